/**
 * The rights of k8s/components: each that is taken away breaks one thing, the log or a condition says which right that is, and
 * all the rest goes on. A namespace lacks one right, and a rungate serves them all, beside one that has everything.
 *
 * Lists are asked for page by page here: where the API server streams them, as newer ones do, `watch` covers `list` too.
 */
import assert from 'node:assert/strict';
import type { Manifest } from '../support/admin.ts';
import { eventually } from '../support/eventually.ts';
import type { Gateway } from '../support/gateway.ts';
import { giveAllBut, keyOf, type Right, refusalOf, right, rightsOf } from '../support/rights.ts';
import {
  startTriggerWorld,
  type TriggerStatus,
  type TriggerWorld,
  type WrittenCondition,
} from '../support/triggers.ts';

const lists = {
  on: { query: { sendInitialEvents: /true/ } },
  fault: { kind: 'answer', status: 422, body: {} },
} as const;

const sha = (letter: string) => `main@sha1:${letter.repeat(40)}`;
const group = 'pipeline.jquad.rocks';
const triggerFolders = ['base', 'components/triggers'];

/** Waits until the log says that this right is missing. */
const logSays = (gateway: Gateway, missing: Right, namespace: string): Promise<void> =>
  eventually(() => assert.match(gateway.log(), refusalOf(missing, namespace)), { withinMs: 240_000 });

const artifactKinds = [
  ['GitRepository', 'gitrepositories', { url: 'https://git.invalid/app.git', interval: '10m' }],
  ['OCIRepository', 'ocirepositories', { url: 'oci://registry.invalid/app', interval: '10m' }],
  ['Bucket', 'buckets', { endpoint: 'bucket.invalid', bucketName: 'app', interval: '10m' }],
] as const;

const sourceRights = (verb: string): readonly Right[] =>
  [
    ...artifactKinds.map(([, plural]) => `${plural}.source.toolkit.fluxcd.io`),
    'imagepolicies.image.toolkit.fluxcd.io',
    `pullrequests.${group}`,
  ].map((resource) => ({ verb, resource }));

/** What lacks in each namespace but the first. Kinds of sources do not meet: each has a trigger of its own. */
const lacking = {
  'list sources': sourceRights('list'),
  'watch sources': sourceRights('watch'),
  'list triggers': [right(`list pipelinetriggers.${group}`)],
  'watch triggers': [right(`watch pipelinetriggers.${group}`)],
  'get triggers': [right(`get pipelinetriggers.${group}`)],
  'patch status': [right(`patch pipelinetriggers/status.${group}`)],
  'list pipelines': [right('list pipelines.tekton.dev')],
  'watch pipelines': [right('watch pipelines.tekton.dev')],
  'get runs': [right('get pipelineruns.tekton.dev')],
  'list runs': [right('list pipelineruns.tekton.dev')],
  'watch runs': [right('watch pipelineruns.tekton.dev')],
  'create runs': [right('create pipelineruns.tekton.dev')],
  'delete runs': [right('delete pipelineruns.tekton.dev')],
  'create events': [right('create events')],
} as const;
type Lack = keyof typeof lacking;
const lacks = Object.keys(lacking) as Lack[];

/** Whether the trigger `app` starts runs in the namespace that lacks this. */
const startsRuns = (lack: Lack) =>
  !/sources$/.test(lack) && !['list triggers', 'patch status', 'list runs', 'create runs'].includes(lack);

const leaseRights = ['create', 'get', 'update'].map((verb) => right(`${verb} leases.coordination.k8s.io`));

/** Rights whose lack a flow cannot show, and where it is shown. */
const shownElsewhere: readonly Right[] = [
  // Refused by an admission plugin that neither ground has on: test/house/rights.test.ts keeps it in the role.
  right(`update pipelinetriggers/finalizers.${group}`),
  // Counts a Warning that comes again ten minutes later at the earliest: src/kube/events.test.ts turns the clock.
  right('patch events'),
];

describe('the rights of k8s/components/triggers', () => {
  let world: TriggerWorld;
  /** The controller has fifteen namespaces to look after. */
  const until = (holds: () => Promise<void>) => eventually(holds, { withinMs: 240_000 });
  const namespaceOf = (lack: Lack) => world.namespaces[lacks.indexOf(lack) + 1] ?? '';
  const triggers = (namespace: string, name: string) =>
    `/apis/${group}/v1alpha1/namespaces/${namespace}/pipelinetriggers/${name}`;
  const status = async (namespace: string, name = 'app') =>
    ((await world.admin.get(triggers(namespace, name))).status ?? {}) as TriggerStatus;
  const runsIn = async (namespace: string, name = 'app') =>
    (
      await world.admin.get<{ items: readonly Manifest[] }>(
        `/apis/tekton.dev/v1/namespaces/${namespace}/pipelineruns?labelSelector=${group}/pipelinetrigger%3D${name}`,
      )
    ).items;
  const condition = (conditions: readonly WrittenCondition[] = [], type: string) =>
    conditions.find((each) => each.type === type);

  const trigger = (
    namespace: string,
    name = 'app',
    { kind = 'GitRepository', source = 'app', pipeline = 'skips' } = {},
  ) =>
    world.apply({
      apiVersion: `${group}/v1alpha1`,
      kind: 'PipelineTrigger',
      metadata: { name, namespace, annotations: { [`${group}/max-history`]: '1' } },
      spec: {
        source: { kind, name: source },
        pipelineRun: { apiVersion: 'tekton.dev/v1', kind: 'PipelineRun', spec: { pipelineRef: { name: pipeline } } },
      },
    });
  const pipeline = async (namespace: string, name: string, step: object = {}) => {
    const taskSpec = { steps: [{ name: 'step', image: 'docker.io/library/busybox:1', script: 'sleep 300' }] };
    await world.apply({
      apiVersion: 'tekton.dev/v1',
      kind: 'Pipeline',
      metadata: { name, namespace },
      spec: { tasks: [{ name: 'only', taskSpec, ...step }] },
    });
  };
  const skips = { when: [{ input: 'no', operator: 'in', values: ['yes'] }] };
  const source = async (namespace: string, kind: string, spec: object, more: object) => {
    const [made] = await world.apply({
      apiVersion:
        kind === 'PullRequest'
          ? `${group}/v1alpha1`
          : `${kind === 'ImagePolicy' ? imageApi : 'source.toolkit.fluxcd.io/v1'}`,
      kind,
      metadata: { name: 'app', namespace, labels: { 'sharding.fluxcd.io/key': 'test' } },
      spec,
    });
    assert.ok(made);
    await world.admin.patch(`${await world.admin.pathOf(made)}/status`, { status: more });
  };
  /** The status of a source that has an artifact of this revision. */
  const artifact = (revision: string) => ({
    observedGeneration: 1,
    artifact: {
      revision,
      digest: `sha256:${revision.slice(-1).repeat(64)}`,
      path: `app/${revision.slice(-8)}.tar.gz`,
      url: 'http://source-controller.invalid/latest.tar.gz',
      lastUpdateTime: '2026-01-01T00:00:00Z',
    },
  });
  /** Makes every kind of source in a namespace report a revision. */
  const report = async (namespace: string, letter: string, kinds: readonly string[] = ['GitRepository']) => {
    for (const [kind, , spec] of artifactKinds) {
      if (kinds.includes(kind)) await source(namespace, kind, spec, artifact(sha(letter)));
    }
    if (kinds.includes('ImagePolicy')) {
      const policy = { imageRepositoryRef: { name: 'app' }, policy: { semver: { range: '*' } } };
      await source(namespace, 'ImagePolicy', policy, {
        observedGeneration: 1,
        latestRef: { name: 'ghcr.io/org/app', tag: `v1.0.${letter}` },
      });
    }
    if (kinds.includes('PullRequest')) {
      const provider = {
        provider: 'Github',
        insecureSkipVerify: false,
        github: { url: 'u', owner: 'o', repository: 'r' },
      };
      const spec = { gitProvider: provider, targetBranch: { name: 'main' }, interval: '1h' };
      const branches = [{ name: 'change', commit: letter.repeat(40), details: '{}' }];
      await source(namespace, 'PullRequest', spec, { sourceBranches: { branches } });
    }
  };
  const everyKind = [...artifactKinds.map(([kind]) => kind), 'ImagePolicy', 'PullRequest'];
  let imageApi = '';

  before(async function () {
    this.timeout(15 * 60_000);
    world = await startTriggerWorld({ namespaces: lacks.length + 1, gateway: false, faults: true });
    const { versions } = await world.admin.get<{ versions: readonly { groupVersion: string }[] }>(
      '/apis/image.toolkit.fluxcd.io',
    );
    imageApi = versions[0]?.groupVersion ?? '';
    world.faults.add(lists);
    const inEach = async (lack: Lack | undefined) => {
      const namespace = lack === undefined ? world.namespace : namespaceOf(lack);
      const missing = lack === undefined ? [] : lacking[lack];
      await giveAllBut(missing, { admin: world.admin, namespace, folders: triggerFolders, account: world.namespace });
      await pipeline(namespace, 'skips', skips);
      await report(namespace, '1', lack?.endsWith('sources') ? everyKind : ['GitRepository']);
      if (lack?.endsWith('sources')) {
        for (const kind of everyKind) await trigger(namespace, kind.toLowerCase(), { kind });
      } else await trigger(namespace);
    };
    await Promise.all([undefined, ...lacks].map(inEach));
    await world.startGateway({ env: { PARTS: 'triggers' } });
    await until(async () => assert.ok(condition((await status(world.namespace)).conditions, 'Success')));
    // In each namespace what there is at the start has been looked at before anything changes.
    for (const lack of lacks.filter((each) => startsRuns(each))) {
      await until(async () => assert.equal((await runsIn(namespaceOf(lack))).length, 1, `a run without ${lack}`));
    }
    for (const kind of everyKind) {
      const name = kind.toLowerCase();
      await until(async () =>
        assert.equal((await runsIn(namespaceOf('watch sources'), name)).length, 1, `a run of ${kind}`),
      );
    }

    // What happens from here on must be seen by watches.
    for (const lack of ['watch pipelines', 'list pipelines'] as const) {
      await pipeline(namespaceOf(lack), 'late', skips);
      await trigger(namespaceOf(lack), 'late', { pipeline: lack === 'list pipelines' ? 'nowhere' : 'late' });
    }
    await trigger(namespaceOf('watch triggers'), 'late');
    await pipeline(namespaceOf('get runs'), 'waits');
    await trigger(namespaceOf('get runs'), 'waits', { pipeline: 'waits' });
    await until(async () => {
      const { latestPipelineRun = 'Unknown' } = await status(namespaceOf('get runs'), 'waits');
      assert.notEqual(latestPipelineRun, 'Unknown');
    });
    for (const lack of [...lacks.filter((each) => each !== 'list sources'), undefined]) {
      const namespace = lack === undefined ? world.namespace : namespaceOf(lack);
      await report(namespace, '2', lack === 'watch sources' ? everyKind : ['GitRepository']);
    }
    await until(async () => {
      const { latestEvent, conditions } = await status(world.namespace);
      assert.equal(latestEvent, sha('2'));
      assert.ok(condition(conditions, 'Success'), JSON.stringify(conditions));
      assert.equal((await runsIn(world.namespace)).length, 1);
    });
  });
  after(() => world?.end());

  const missingIn = (lack: Lack): Right => lacking[lack][0] as Right; // none of the lists is empty
  const said = (lack: Lack) => logSays(world.gateway, missingIn(lack), namespaceOf(lack));

  it('are, each of them, taken away below', () => {
    const shown = [...Object.values(lacking).flat(), ...leaseRights, ...shownElsewhere].map(keyOf);
    assert.deepEqual(new Set(shown), new Set(rightsOf('components/triggers').map(keyOf)));
    assert.equal(shown.length, new Set(shown).size);
  });

  it('are enough, all together, while others lack some', async () => {
    const { latestPipelineRun } = await status(world.namespace);
    assert.deepEqual(
      (await runsIn(world.namespace)).map(({ metadata }) => metadata.name),
      [latestPipelineRun],
    );
    assert.doesNotMatch(world.gateway.log(), new RegExp(`cannot [a-z]+ resource.*${world.namespace}\\\\?"`));
  });

  for (const [at, kind] of everyKind.entries()) {
    it(`list and watch of ${kind}: the condition says that it cannot be read; without watch alone what comes next is not seen`, async () => {
      const [unlisted, unwatched] = [namespaceOf('list sources'), namespaceOf('watch sources')];
      await until(async () => {
        const { conditions } = await status(unlisted, kind.toLowerCase());
        const { resource } = lacking['list sources'][at] as Right;
        assert.equal(
          condition(conditions, 'Unknown')?.message,
          `${resource} cannot be read: Kubernetes refused the request (403)`,
        );
      });
      assert.deepEqual(await runsIn(unlisted, kind.toLowerCase()), []);
      await logSays(world.gateway, lacking['list sources'][at] as Right, unlisted);
      await until(async () => {
        const said = JSON.stringify(await status(unwatched, kind.toLowerCase()));
        assert.equal((await runsIn(unwatched, kind.toLowerCase())).length, 1, said);
      });
      assert.doesNotMatch(JSON.stringify(await status(unwatched, kind.toLowerCase())), /2{40}|v1\.0\.2/);
      await logSays(world.gateway, lacking['watch sources'][at] as Right, unwatched);
    });
  }

  it('list pipelinetriggers: none of the namespace is looked at', async () => {
    assert.deepEqual(await status(namespaceOf('list triggers')), {});
    await said('list triggers');
  });

  it('watch pipelinetriggers: those of the start are looked at, later ones are not', async () => {
    await until(async () => assert.equal((await status(namespaceOf('watch triggers'))).latestEvent, sha('2')));
    assert.deepEqual(await status(namespaceOf('watch triggers'), 'late'), {});
    await said('watch triggers');
  });

  it('get pipelinetriggers: runs are started, and not pruned', async () => {
    await until(async () => assert.equal((await runsIn(namespaceOf('get triggers'))).length, 2));
    await said('get triggers');
  });

  it('patch pipelinetriggers/status: nothing is started, because an intent is written down first', async () => {
    await said('patch status');
    assert.deepEqual(await status(namespaceOf('patch status')), {});
    assert.deepEqual(await runsIn(namespaceOf('patch status')), []);
  });

  it('list pipelines: runs are started, also of a Pipeline that is not there', async () => {
    await until(async () => assert.equal((await runsIn(namespaceOf('list pipelines'), 'late')).length, 1));
    await said('list pipelines');
  });

  it('watch pipelines: one that came later is said to be missing', async () => {
    await until(async () => {
      const { conditions } = await status(namespaceOf('watch pipelines'), 'late');
      assert.equal(condition(conditions, 'Error')?.message, 'pipelines.tekton.dev "late" not found');
    });
    await said('watch pipelines');
  });

  it('get pipelineruns: that a run was deleted is not noticed', async () => {
    const namespace = namespaceOf('get runs');
    const { latestPipelineRun } = await status(namespace, 'waits');
    await world.admin.remove(`/apis/tekton.dev/v1/namespaces/${namespace}/pipelineruns/${latestPipelineRun}`);
    await said('get runs');
    assert.doesNotMatch(JSON.stringify(await status(namespace, 'waits')), /was deleted/);
  });

  it('list pipelineruns: nothing is started in the namespace, because what becomes of it would not be seen', async () => {
    await said('list runs');
    assert.deepEqual(await runsIn(namespaceOf('list runs')), []);
  });

  it('watch pipelineruns: runs are started, and their end is not seen', async () => {
    const namespace = namespaceOf('watch runs');
    await until(async () => assert.notEqual((await runsIn(namespace)).length, 0));
    await said('watch runs');
    assert.equal(condition((await status(namespace)).conditions, 'Success'), undefined);
  });

  it('create pipelineruns: the condition quotes the API server', async () => {
    const namespace = namespaceOf('create runs');
    await until(async () => {
      const { conditions } = await status(namespace);
      assert.match(condition(conditions, 'Error')?.message ?? '', refusalOf(missingIn('create runs'), namespace));
    });
    assert.deepEqual(await runsIn(namespace), []);
  });

  it('delete pipelineruns: runs are started, and not pruned', async () => {
    await until(async () => assert.equal((await runsIn(namespaceOf('delete runs'))).length, 2));
    await said('delete runs');
  });

  it('create events: all is done, and told to nobody', async () => {
    const namespace = namespaceOf('create events');
    await until(async () => assert.ok(condition((await status(namespace)).conditions, 'Success')));
    const { items } = await world.admin.get<{ items: readonly { source: { component: string } }[] }>(
      `/api/v1/namespaces/${namespace}/events`,
    );
    assert.deepEqual(
      items.filter(({ source: { component } }) => component === 'PipelineTrigger'),
      [],
    );
    await said('create events');
  });

  for (const missing of leaseRights) {
    it(`${keyOf(missing)}: this replica does not go on leading, says so, and leads when the right is given`, async () => {
      await using own = await startTriggerWorld({ gateway: false, without: missing });
      await own.pipeline('skips');
      const gateway = await own.startGateway({ env: { PARTS: 'triggers', LEASE_SECONDS: '3' } });
      await logSays(gateway, missing, own.namespace);
      const leading = 'rungate_leader';
      await until(async () => assert.equal(await gateway.metric(leading), 0));
      await own.repository('app', sha('1'));
      await own.trigger(
        `{apiVersion: ${group}/v1alpha1, kind: PipelineTrigger, metadata: {name: app}, spec: {source: {kind: GitRepository, name: app}, pipeline: {name: skips, serviceAccountName: default, inputParams: []}}}`,
      );
      assert.deepEqual(await own.runsOf('app'), []);
      await giveAllBut([], { admin: own.admin, namespace: own.namespace, folders: triggerFolders });
      await own.hasRuns('app', 1);
      // With a Lease of three seconds a machine that stands still for as long makes it lead anew.
      await until(async () => assert.equal(await gateway.metric(leading), 1));
    });
  }
});
