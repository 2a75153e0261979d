/** Triggers over HTTP: what each waits for, its last event, its runs; who may see them, and who learns nothing. */
import assert from 'node:assert/strict';
import { gunzipSync } from 'node:zlib';
import { Fault } from '../../src/fault.ts';
import type { RunItem } from '../../src/tekton/runlist.ts';
import type { TriggerItem } from '../../src/triggers/item.ts';
import { AppRig, type Got } from '../support/app-rig.ts';
import { eventually } from '../support/eventually.ts';
import { HandClock } from '../support/hand-clock.ts';

let version = 0;

interface TriggerMore {
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly source?: string;
  readonly spec?: object;
  readonly status?: object;
  /** `type/reason/status/message` of its condition. */
  readonly says?: string;
}

/** A PipelineTrigger. */
function trigger(name: string, more: TriggerMore = {}) {
  const { namespace = 'ci', labels = {}, source = 'app', says } = more;
  const [type, reason, status, message = ''] = says?.split('/') ?? [];
  return {
    kind: 'PipelineTrigger',
    metadata: {
      namespace,
      name,
      uid: `uid-${namespace}-${name}`,
      resourceVersion: String(++version),
      creationTimestamp: '2026-11-01T10:00:00Z',
      generation: 1,
      labels,
    },
    spec: { source: { kind: 'GitRepository', name: source }, pipeline: { name: 'build' }, ...more.spec },
    status: { ...(says === undefined ? {} : { conditions: [{ type, reason, status, message }] }), ...more.status },
  };
}

const WAITING = 'Unknown/Unknown/Unknown/waiting for GitRepository app to report a revision';
const DONE = 'Success/Succeded/True/';
const WRONG = 'Error/Failed/True/Pipeline.tekton.dev "build" not found';

/** A run of a trigger: owned by it, or only labelled. */
function run(name: string, of: { owned?: string; labelled?: string; namespace?: string; created?: string } = {}) {
  const { owned, labelled, namespace = 'ci', created = '2026-11-01T10:00:00Z' } = of;
  const owner = { kind: 'PipelineTrigger', name: owned, uid: `uid-ci-${owned}`, controller: true };
  return {
    kind: 'PipelineRun',
    metadata: {
      namespace,
      name,
      uid: `uid-${namespace}-${name}`,
      resourceVersion: String(++version),
      creationTimestamp: created,
      labels: labelled === undefined ? {} : { 'pipeline.jquad.rocks/pipelinetrigger': labelled },
      ...(owned === undefined ? {} : { ownerReferences: [owner] }),
    },
    status: {},
  };
}

type Trigger = TriggerItem & { readonly runs: readonly RunItem[] };
interface List {
  readonly items: readonly Trigger[];
  readonly served: boolean;
  readonly continue?: string;
}

const listOf = ({ text }: Got): List => JSON.parse(text);
const oneOf = ({ text }: Got): Trigger => JSON.parse(text);
const namesOf = (got: Got) => listOf(got).items.map(({ name }) => name);
const runsOf = (got: Got) => oneOf(got).runs.map(({ name }) => name);

describe('GET /triggers', () => {
  it('lists the triggers of a namespace, or of all that are open, in the order of their names', async () => {
    await using rig = await new AppRig().listen();
    rig.putObject(trigger('web', { says: DONE, status: { latestEvent: 'main/03da', latestPipelineRun: 'web-abcd' } }));
    rig.putObject(trigger('api', { says: WAITING }));
    rig.putObject(trigger('zoo', { namespace: 'dev' }));
    rig.putObject(trigger('hidden', { namespace: 'other' }));
    const ci = await rig.get('/triggers/ci');
    assert.equal(ci.status, 200);
    assert.deepEqual(namesOf(ci), ['api', 'web']);
    assert.deepEqual(namesOf(await rig.get('/triggers')), ['api', 'web', 'zoo']);
    const [api, web] = listOf(ci).items;
    assert.deepEqual([api?.state, api?.waitingFor], ['waiting', 'GitRepository app to report a revision']);
    assert.deepEqual([web?.state, web?.latestEvent, web?.latestPipelineRun], ['succeeded', 'main/03da', 'web-abcd']);
    assert.equal(listOf(ci).served, true);
  });

  it('a namespace that is not open is 403, whatever is there, and a continue opens none', async () => {
    await using rig = await new AppRig().listen();
    rig.putObject(trigger('a', { namespace: 'other' }));
    for (const path of ['/triggers/other', '/triggers/nowhere', '/triggers/other/a', '/triggers/other/b?wait=5']) {
      const { status, text } = await rig.get(path);
      assert.deepEqual([status, JSON.parse(text).error], [403, 'this namespace is not open to you'], path);
    }
    const forged = Buffer.from(JSON.stringify(['a', 'a', 'x'])).toString('base64url');
    assert.equal((await rig.get(`/triggers?continue=${forged}`)).status, 400);
  });

  it('a caller sees the triggers of the namespaces that are both served and theirs', async () => {
    await using rig = await new AppRig({ grants: ['dev', 'other'] }).listen();
    for (const namespace of ['ci', 'dev', 'other']) rig.putObject(trigger(`in-${namespace}`, { namespace }));
    assert.deepEqual(namesOf(await rig.get('/triggers')), ['in-dev']);
    assert.equal((await rig.get('/triggers/ci')).status, 403);
    assert.equal((await rig.get('/triggers/ci/in-ci')).status, 403);
  });

  it('where nobody may look it says so, and where the kind is missing too', async () => {
    await using rig = await new AppRig().listen();
    rig.servesTriggers = false;
    assert.equal((await rig.get('/triggers')).text, '{"items":[],"served":false}');
    const one = await rig.get('/triggers/ci/app');
    assert.deepEqual([one.status, JSON.parse(one.text).error], [404, 'trigger not found: this cluster has none']);
    rig.triggersFail = new Fault('refused', 'PipelineTriggers cannot be read: Kubernetes refused the request (403)');
    for (const path of ['/triggers', '/triggers/ci', '/triggers/ci/app']) {
      const { status, text } = await rig.get(path);
      assert.deepEqual([status, JSON.parse(text).code], [502, 'refused'], path);
    }
    // Nobody's look at runs depends on it.
    assert.equal((await rig.get('/runs/ci')).status, 200);
    assert.equal((await rig.get('/ready')).status, 200);
  });

  describe('options', () => {
    let rig: AppRig;
    before(async () => {
      rig = await new AppRig().listen();
      rig.putObject(trigger('a-1', { says: WAITING, labels: { team: 'a' } }));
      rig.putObject(trigger('a-2', { says: DONE, labels: { team: 'a' }, source: 'lib' }));
      rig.putObject(trigger('b-1', { says: WRONG }));
      rig.putObject(trigger('b-2', { namespace: 'dev', says: DONE }));
    });
    after(() => rig[Symbol.asyncDispose]());

    for (const [query, want] of [
      ['', 'a-1 a-2 b-1 b-2'],
      ['state=error', 'b-1'],
      ['state=succeeded&state=waiting', 'a-1 a-2 b-2'],
      ['source=lib', 'a-2'],
      ['labelSelector=team%3Da', 'a-1 a-2'],
      ['name=b-', 'b-1 b-2'],
      ['name=b-&state=succeeded', 'b-2'],
      ['limit=1', 'a-1'],
    ] as const) {
      it(`?${query} is ${want}`, async () => {
        assert.equal(namesOf(await rig.get(`/triggers?${query}`)).join(' '), want);
      });
    }

    for (const [query, names] of [
      ['state=pending', 'state'],
      ['runs=11', 'runs'],
      ['limit=0', 'limit'],
      ['limit=1&limit=2', 'limit'],
      ['continue=!', 'continue'],
      ['continue=W10', 'continue'],
      ['sort=name', 'sort'],
      ['labelSelector=,', 'labelSelector'],
    ] as const) {
      it(`?${query} is 400, and named`, async () => {
        const { status, text } = await rig.get(`/triggers?${query}`);
        assert.equal(status, 400);
        assert.match(JSON.parse(text).error, new RegExp(`option "?${names}`));
      });
    }

    it('pages follow each other while triggers come and go', async () => {
      const seen: string[] = [];
      let more = '';
      for (let page = 0; page < 9; page++) {
        const got = await rig.get(`/triggers?limit=1${more}`);
        seen.push(...namesOf(got));
        const { continue: next } = listOf(got);
        if (next === undefined) break;
        more = `&continue=${next}`;
        rig.putObject(trigger('a-0', { says: WAITING }));
        if (page === 1) rig.remove('PipelineTrigger', 'a-2');
      }
      assert.deepEqual(seen, ['a-1', 'a-2', 'b-1', 'b-2']);
      const { continue: token } = listOf(await rig.get('/triggers?limit=1'));
      assert.equal((await rig.get(`/triggers?limit=1&state=error&continue=${token}`)).status, 400);
    });
  });
});

describe('GET /triggers/:namespace/:trigger', () => {
  it('tells its runs, the newest first: those that it owns, and those that say so and have no owner', async () => {
    await using rig = await new AppRig().listen();
    rig.putObject(trigger('app', { says: DONE }));
    const minute = (at: number) => `2026-11-01T10:0${at}:00Z`;
    rig.putObject(run('app-1', { labelled: 'app', created: minute(1) }));
    rig.putObject(run('app-2', { owned: 'app', labelled: 'app', created: minute(2) }));
    rig.putObject(run('app-3', { owned: 'app', created: minute(3) }));
    rig.putObject(run('of-another', { owned: 'other', labelled: 'app', created: minute(4) }));
    rig.putObject(run('elsewhere', { owned: 'app', labelled: 'app', namespace: 'dev', created: minute(5) }));
    rig.putObject(run('by-hand', { created: minute(6) }));
    assert.deepEqual(runsOf(await rig.get('/triggers/ci/app')), ['app-3', 'app-2', 'app-1']);
    assert.deepEqual(runsOf(await rig.get('/triggers/ci/app?runs=1')), ['app-3']);
    assert.deepEqual(runsOf(await rig.get('/triggers/ci/app?runs=0')), []);
    rig.remove('PipelineRun', 'app-3');
    assert.deepEqual(runsOf(await rig.get('/triggers/ci/app')), ['app-2', 'app-1']);
    const [first] = oneOf(await rig.get('/triggers/ci/app')).runs;
    assert.deepEqual(first, listOf(await rig.get('/runs/ci?name=app-2')).items[0]);
  });

  it('one that is not there is 404; a name that can be none is 400, one of 253 characters is not', async () => {
    await using rig = await new AppRig().listen();
    const missing = await rig.get('/triggers/ci/app');
    assert.deepEqual([missing.status, JSON.parse(missing.text).error], [404, 'trigger not found']);
    const long = 'a'.repeat(253);
    rig.putObject(trigger(long));
    assert.equal((await rig.get(`/triggers/ci/${long}`)).status, 200);
    assert.equal((await rig.get(`/triggers/ci/${long}a`)).status, 400);
    assert.equal((await rig.get('/triggers/ci/App')).status, 400);
    assert.equal((await rig.get('/triggers/ci/app?tail=1')).status, 400);
  });

  it('has a tag that changes with what is told, and with nothing else', async () => {
    await using rig = await new AppRig().listen();
    rig.putObject(trigger('app', { says: WAITING }));
    const { headers } = await rig.get('/triggers/ci/app');
    const tag = headers.etag ?? '';
    rig.putObject(trigger('app', { says: WAITING, status: { gitRepository: { details: 'x' } } }));
    const unchanged = await rig.get('/triggers/ci/app', { 'if-none-match': tag });
    assert.deepEqual([unchanged.status, unchanged.text, unchanged.headers.etag], [304, '', tag]);
    rig.putObject(run('app-1', { owned: 'app' }));
    assert.equal((await rig.get('/triggers/ci/app', { 'if-none-match': tag })).status, 200);
    const list = (await rig.get('/triggers/ci')).headers.etag ?? '';
    assert.equal((await rig.get('/triggers/ci', { 'if-none-match': list })).status, 304);
  });

  it('with wait it is answered when it is settled, created first if need be', async () => {
    const clock = new HandClock();
    await using rig = await new AppRig({ clock }).listen();
    const waiting = rig.follow('/triggers/ci/app?wait=60');
    const list = rig.follow('/triggers/ci?wait=60&state=succeeded');
    await eventually(() => assert.equal(clock.sleeping, 2));
    rig.putObject(trigger('app', { says: WAITING }));
    await clock.settle();
    assert.equal(clock.sleeping, 2);
    rig.putObject(trigger('app', { says: DONE }));
    assert.equal(oneOf(await waiting.whole).state, 'succeeded');
    assert.deepEqual(namesOf(await list.whole), ['app']);
    assert.equal(clock.sleeping, 0);
  });

  it('with wait and a tag the next change is the answer, and the deadline is 304', async () => {
    const clock = new HandClock();
    await using rig = await new AppRig({ clock }).listen();
    rig.putObject(trigger('app', { says: DONE }));
    rig.putObject(trigger('other', { says: DONE }));
    const tag = (await rig.get('/triggers/ci/app')).headers.etag ?? '';
    const changed = rig.follow('/triggers/ci/app?wait=60', { 'if-none-match': tag });
    await eventually(() => assert.equal(clock.sleeping, 1));
    rig.putObject(trigger('other', { says: WRONG }));
    rig.putObject(run('app-1', { owned: 'app' }));
    const { status, text, headers } = await changed.whole;
    assert.deepEqual([status, JSON.parse(text).runs.length], [200, 1]);
    const same = rig.follow('/triggers/ci/app?wait=60', { 'if-none-match': headers.etag ?? '' });
    await eventually(() => assert.equal(clock.sleeping, 1));
    await clock.turn(60_000);
    assert.equal((await same.whole).status, 304);
  });

  it('deleted while it is waited for it is 404; never created, too; a process that stops says so', async () => {
    const clock = new HandClock();
    await using rig = await new AppRig({ clock }).listen();
    rig.putObject(trigger('app', { says: WAITING }));
    const deleted = rig.follow('/triggers/ci/app?wait=60');
    const never = rig.follow('/triggers/ci/none?wait=60');
    await eventually(() => assert.equal(clock.sleeping, 2));
    rig.remove('PipelineTrigger', 'app');
    assert.equal((await deleted.whole).status, 404);
    await clock.turn(60_000);
    assert.equal((await never.whole).status, 404);
    const stopped = rig.follow('/triggers/ci/none?wait=60');
    await eventually(() => assert.equal(clock.sleeping, 1));
    await rig.drain.stop(new AbortController().signal);
    assert.equal(JSON.parse((await stopped.whole).text).code, 'draining');
  });

  it('a client that hangs up leaves nothing behind', async () => {
    const clock = new HandClock();
    await using rig = await new AppRig({ clock }).listen();
    const gone = rig.follow('/triggers/ci/none?wait=60');
    await eventually(() => assert.equal(clock.sleeping, 1));
    gone.whole.catch(() => {});
    gone.leave();
    await eventually(() => assert.equal(clock.sleeping, 0));
  });

  it('is compressed for whoever takes that; HEAD has no body', async () => {
    await using rig = await new AppRig().listen();
    rig.putObject(trigger('app', { says: `Error/Failed/True/${'long '.repeat(300)}` }));
    const plain = await rig.get('/triggers/ci/app');
    const packed = rig.follow('/triggers/ci/app', { 'accept-encoding': 'gzip' });
    const { headers } = await packed.whole;
    assert.equal(headers['content-encoding'], 'gzip');
    assert.equal(gunzipSync(Buffer.from(packed.text(), 'latin1')).toString(), plain.text);
    assert.equal((await rig.follow('/triggers/ci/app', {}, 'HEAD').whole).text, '');
    assert.equal((await rig.follow('/triggers/ci/app', {}, 'POST').whole).status, 405);
  });
});
