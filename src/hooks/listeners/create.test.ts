import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import { type RunningSandbox, startSandbox } from '../../../test/support/sandbox.ts';
import { sandboxClient } from '../../../test/support/sandbox-client.ts';
import { type Clock, systemClock } from '../../clock.ts';
import { Fault } from '../../fault.ts';
import type { KubeClient } from '../../kube/client.ts';
import { type Discovery, discovery } from '../../kube/discovery.ts';
import { type JsonObject, listOf, objectOf } from '../../kube/objects.ts';
import { WriteFault } from '../../kube/writer.ts';
import { type ApiFault, loseAnswer, type PendingWrite } from '../../sandbox/api/faults.ts';
import { StatusError } from '../../sandbox/status.ts';
import { createRuns } from './create.ts';
import { KEY_HASH_ANNOTATION } from './identity.ts';
import type { LedgerEntry, RunOrder } from './world.ts';

const never = new AbortController().signal;

/** An order for the run `build-<id>` of `namespace`. */
function orderOf(
  namespace: string,
  id: string,
  more: Partial<RunOrder> & { readonly apiVersion?: string } = {},
): RunOrder {
  const { apiVersion = 'tekton.dev/v1', ...fields } = more;
  const entry: LedgerEntry = {
    ...{ namespace, triggerId16: 'abcdefghijklmnop', triggerId: 'el/build', source: 'u' },
    ...{ keyHash: `hash-${id}`, revision: 'main@sha1:aaaa', epoch: 0 },
  };
  const metadata = { name: `build-${id}`, namespace, annotations: { [KEY_HASH_ANNOTATION]: entry.keyHash } };
  const spec: JsonObject =
    apiVersion === 'tekton.dev/v1'
      ? { pipelineRef: { name: 'p' }, taskRunTemplate: { serviceAccountName: 'runner' } }
      : { pipelineRef: { name: 'p' }, serviceAccountName: 'runner' };
  return {
    manifest: { apiVersion, kind: 'PipelineRun', metadata, spec },
    keyHash: entry.keyHash,
    secondName: `build-${id}-second`,
    serviceAccount: undefined,
    entry,
    ...fields,
  };
}

/** A clock on which all waiting is over at once. */
function impatient(): Clock {
  let now = 0;
  const sleep = async (ms: number) => {
    now += ms;
  };
  return { now: () => now, steady: () => now, sleep };
}

describe('runs that listeners order', () => {
  const faults: ApiFault[] = [];
  let sandbox: RunningSandbox;
  let client: KubeClient;
  let versions: Discovery;
  let namespace: string;
  let entered: LedgerEntry[];
  let count = 0;

  before(async () => {
    sandbox = await startSandbox({ faults });
    client = sandboxClient(sandbox);
    versions = discovery({ reader: client, clock: systemClock });
  });
  after(async () => {
    client.close();
    await sandbox.end();
  });
  beforeEach(async () => {
    namespace = `apps-${++count}`;
    entered = [];
    await client.create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  });
  afterEach(() => void faults.splice(0));

  const create = (order: RunOrder, signal = never, clock: Clock = systemClock) =>
    createRuns({ client, versions, ledger: { enter: (entry) => void entered.push(entry) }, clock })(order, signal);
  const runs = async () => {
    const { items } = await client.get(`/apis/tekton.dev/v1/namespaces/${namespace}/pipelineruns`);
    return listOf(items).map((item) => objectOf(item));
  };
  const names = async () => (await runs()).map(({ metadata }) => objectOf(metadata).name);
  /** Every creation of a run goes wrong like this, `times` times. */
  const failCreation = (status: number, times = Number.POSITIVE_INFINITY) => {
    let left = times;
    faults.push({
      beforeWrite({ verb, plural }: PendingWrite) {
        if (verb !== 'create' || plural !== 'pipelineruns' || left-- <= 0) return;
        throw new StatusError(status, status === 429 ? 'TooManyRequests' : 'InternalError', 'not now');
      },
    });
  };

  it('event 1: a run is created and entered', async () => {
    const order = orderOf(namespace, 'a');
    const run = { namespace, name: 'build-a' };
    assert.deepEqual(await create(order), { came: 'created', run });
    assert.deepEqual(await names(), ['build-a']);
    assert.deepEqual(entered, [order.entry]);
  });

  it('event 2, 19: one that is there is a duplicate, and is entered: a ledger that was lost is healed', async () => {
    await create(orderOf(namespace, 'a'));
    entered = [];
    const order = orderOf(namespace, 'a');
    assert.deepEqual(await create(order), { came: 'duplicate', run: { namespace, name: 'build-a' } });
    assert.deepEqual(await names(), ['build-a']);
    assert.deepEqual(entered, [order.entry]);
  });

  it('event 4: of replicas that race one creates it', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => create(orderOf(namespace, 'a'))));
    assert.deepEqual(all.map(({ came }) => came).sort(), ['created', ...Array.from({ length: 7 }, () => 'duplicate')]);
    assert.deepEqual(await names(), ['build-a']);
  });

  for (const status of [500, 503, 429]) {
    it(`event 17: an API server that says ${status} twice gets the same name a third time`, async () => {
      failCreation(status, 2);
      assert.equal((await create(orderOf(namespace, 'a'), never, impatient())).came, 'created');
      assert.deepEqual(await names(), ['build-a']);
    });
  }

  it('event 17: while it goes on failing, the run is unavailable and nothing is entered', async () => {
    failCreation(500);
    const came = await create(orderOf(namespace, 'a'), never, impatient());
    assert.deepEqual(came, { came: 'unavailable', message: 'Kubernetes is not available (500)' });
    assert.deepEqual([await names(), entered], [[], []]);
  });

  it('event 18: a creation whose answer is lost is found by its key', async () => {
    faults.push(loseAnswer(1, { verb: 'create', plural: 'pipelineruns' }));
    const order = orderOf(namespace, 'a');
    assert.deepEqual(await create(order), { came: 'duplicate', run: { namespace, name: 'build-a' } });
    assert.deepEqual(await names(), ['build-a']);
    assert.deepEqual(entered, [order.entry]);
  });

  it('a name that belongs to a run for something else is passed by', async () => {
    await create(orderOf(namespace, 'a', { keyHash: 'other' }));
    const order = orderOf(namespace, 'a');
    const other = { ...order, keyHash: 'hash-b' };
    const run = { namespace, name: 'build-a-second' };
    assert.deepEqual(await create(other), { came: 'created', run });
    assert.deepEqual(await names(), ['build-a', 'build-a-second']);
  });

  it('a second name that is taken as well is a collision', async () => {
    for (const name of ['build-a', 'build-a-second']) {
      const { manifest, ...rest } = orderOf(namespace, 'a');
      const metadata = { ...objectOf(manifest.metadata), name };
      await create({ ...rest, manifest: { ...manifest, metadata } });
    }
    entered = [];
    assert.deepEqual(await create({ ...orderOf(namespace, 'a'), keyHash: 'hash-b' }), {
      came: 'collision',
      message: 'taken by runs for something else: build-a, build-a-second',
    });
    assert.deepEqual(entered, []);
  });

  it('a template that names its run has no second name', async () => {
    await create(orderOf(namespace, 'a'));
    const order = { ...orderOf(namespace, 'a', { secondName: 'build-a' }), keyHash: 'hash-b' };
    assert.deepEqual(await create(order), {
      came: 'collision',
      message: 'taken by runs for something else: build-a',
    });
  });

  it('what the API server refuses for what it is, is refused in its words', async () => {
    const order = orderOf(namespace, 'a');
    const came = await create({ ...order, manifest: { ...order.manifest, spec: {} } });
    assert(came.came === 'denied', came.came);
    assert.match(came.said, /admission webhook .* denied the request|expected exactly one/);
  });

  it('a namespace that is not there is no reason to try on', async () => {
    const came = await create(orderOf('nowhere', 'a'));
    assert.deepEqual(came, { came: 'denied', said: 'namespaces "nowhere" not found' });
  });

  it('a kind that is none of Tekton is not created', async () => {
    const order = orderOf(namespace, 'a');
    const manifest = { ...order.manifest, apiVersion: 'v1', kind: 'Secret' };
    assert.deepEqual(await create({ ...order, manifest }), { came: 'denied', said: 'only runs of Tekton are created' });
  });

  it('a run of v1beta1 stays one where that is served', async () => {
    assert.equal((await create(orderOf(namespace, 'a', { apiVersion: 'tekton.dev/v1beta1' }))).came, 'created');
    const [run] = await runs();
    assert.equal(objectOf(objectOf(run?.spec).taskRunTemplate).serviceAccountName, 'runner');
  });

  it('a run of v1beta1 becomes one of v1 where that alone is served', async () => {
    const onlyV1: Discovery = {
      ...versions,
      pathOf: async (wanted, at) => (wanted.versions.includes('v1') ? versions.pathOf(wanted, at) : undefined),
    };
    const made = createRuns({ client, versions: onlyV1, ledger: { enter() {} }, clock: systemClock });
    assert.equal((await made(orderOf(namespace, 'a', { apiVersion: 'tekton.dev/v1beta1' }), never)).came, 'created');
    const order = orderOf(namespace, 'b', { apiVersion: 'tekton.dev/v1beta1' });
    const manifest = { ...order.manifest, spec: { ...objectOf(order.manifest.spec), resources: [] } };
    const came = await made({ ...order, manifest }, never);
    assert(came.came === 'denied' && /spec\.resources/.test(came.said));
  });

  it('rejects with the reason of its signal, and tries no more', async () => {
    failCreation(500);
    const stopping = new AbortController();
    const gone = new Error('the caller went away');
    const rejected = assert.rejects(create(orderOf(namespace, 'a'), stopping.signal), gone);
    await setTimeout(50);
    stopping.abort(gone);
    await rejected;
    assert.deepEqual(entered, []);
  });

  describe('as a ServiceAccount', () => {
    const rbac = '/apis/rbac.authorization.k8s.io/v1';
    beforeEach(async () => {
      for (const name of ['may', 'may-not']) {
        const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } };
        await client.create(`/api/v1/namespaces/${namespace}/serviceaccounts`, account);
      }
      const [apiGroup, metadata] = ['rbac.authorization.k8s.io', { name: 'may' }];
      const rules = [{ apiGroups: ['tekton.dev'], resources: ['pipelineruns'], verbs: ['create'] }];
      const at = `${rbac}/namespaces/${namespace}`;
      await client.create(`${at}/roles`, { apiVersion: `${apiGroup}/v1`, kind: 'Role', metadata, rules });
      await client.create(`${at}/rolebindings`, {
        ...{ apiVersion: `${apiGroup}/v1`, kind: 'RoleBinding', metadata },
        roleRef: { apiGroup, kind: 'Role', name: 'may' },
        subjects: [{ kind: 'ServiceAccount', name: 'may', namespace }],
      });
    });

    it('that may, the run is created with the rights of that one', async () => {
      const order = orderOf(namespace, 'a', { serviceAccount: 'may' });
      assert.deepEqual(await create(order), { came: 'created', run: { namespace, name: 'build-a' } });
    });

    it('event 35: that may not, it is denied in the words of the API server, whatever we may ourselves', async () => {
      const came = await create(orderOf(namespace, 'a', { serviceAccount: 'may-not' }));
      assert(came.came === 'denied', came.came);
      assert.match(came.said, new RegExp(`User "system:serviceaccount:${namespace}:may-not" cannot create`));
      assert.deepEqual([await names(), entered], [[], []]);
    });

    it('event 35: that we may not impersonate, it is denied as well', async () => {
      const spec = { spec: { expirationSeconds: 600 } };
      const path = `/api/v1/namespaces/${namespace}/serviceaccounts/may-not/token`;
      const { status } = await client.create(path, {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        ...spec,
      });
      const poor = sandboxClient(sandbox, String(objectOf(status).token));
      try {
        const made = createRuns({ client: poor, versions, ledger: { enter() {} }, clock: systemClock });
        const came = await made(orderOf(namespace, 'a', { serviceAccount: 'may' }), never);
        assert(came.came === 'denied', came.came);
        assert.match(came.said, /cannot impersonate resource "serviceaccounts".* in the namespace/);
      } finally {
        poor.close();
      }
    });

    for (const name of ['a:b', 'may\r\nX-Other: 1', '../may', '']) {
      it(`whose name can be none, ${JSON.stringify(name)}, it is denied and nothing is sent`, async () => {
        const came = await create(orderOf(namespace, 'a', { serviceAccount: name }));
        assert.deepEqual(came, { came: 'denied', said: 'no ServiceAccount can be called what is to be impersonated' });
        assert.deepEqual(await names(), []);
      });
    }
  });

  describe('of an API server that cannot be trusted to answer', () => {
    const answers: readonly { name: string; fault: Fault; want: string }[] = [
      {
        name: 'credentials that are no longer good',
        fault: new WriteFault('refused', 'refused (401)', {
          status: 401,
          reason: 'Unauthorized',
          said: 'Unauthorized',
        }),
        want: 'unavailable',
      },
      { name: 'a certificate that is not trusted', fault: new Fault('refused', 'not trusted'), want: 'unavailable' },
      {
        name: 'a quota that changed at the same moment',
        fault: new WriteFault('conflict', 'conflict', { status: 409, reason: 'Conflict', said: 'quota' }),
        want: 'unavailable',
      },
      { name: 'no answer in time', fault: new Fault('timeout', 'no answer'), want: 'unavailable' },
      {
        name: 'a wait that is longer than a hook may take',
        fault: new Fault('unavailable', 'later', { retryAfterMs: 60_000 }),
        want: 'unavailable',
      },
      {
        name: 'a quota that is used up',
        fault: new WriteFault('refused', 'refused (403)', { status: 403, reason: 'Forbidden', said: 'exceeded quota' }),
        want: 'denied',
      },
    ];
    for (const { name, fault, want } of answers) {
      it(`${name}: ${want}`, async () => {
        const clock = impatient();
        const failing = { get: client.get, create: () => Promise.reject(fault) };
        const made = createRuns({ client: failing, versions, ledger: { enter() {} }, clock });
        assert.equal((await made(orderOf(namespace, 'a'), never)).came, want);
        assert(clock.steady() < 6_000, `${clock.steady()} ms`);
      });
    }

    it('a mistake of our own is thrown', async () => {
      const failing = { get: client.get, create: () => Promise.reject(new TypeError('oops')) };
      const made = createRuns({ client: failing, versions, ledger: { enter() {} }, clock: systemClock });
      await assert.rejects(made(orderOf(namespace, 'a'), never), /internal error/);
    });
  });
});
