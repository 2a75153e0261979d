import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fluxEvent } from '../../../test/support/hook-events.ts';
import { ListenerStage, requestOf, type StageWish } from '../../../test/support/listener-stage.ts';
import { Fault } from '../../fault.ts';
import { type JsonObject, listOf, objectOf } from '../../kube/objects.ts';
import type { TriggerResult } from '../outcome.ts';
import { identityOf } from './identity.ts';

const uid = 'cc4d0095-83f4-4f08-98f2-d2e9f3731fb9';
const [a, b, c] = ['a', 'b', 'c'].map((letter) => `main@sha1:${letter.repeat(40)}`) as [string, string, string];

const web = { namespace: 'apps', name: 'web', uid };

/** An event for revision `revision` of apps/web, as notification-controller forwards it. */
function event(revision: string | undefined, more: Partial<Parameters<typeof fluxEvent>[0]> = {}) {
  return fluxEvent({
    ...web,
    at: Date.parse('2026-11-01T10:00:00Z'),
    ...(revision === undefined ? {} : { revision }),
    ...more,
  });
}

interface Wish extends StageWish {
  readonly annotations?: Readonly<Record<string, string>>;
  readonly triggers?: readonly object[];
  readonly resources?: readonly object[];
  readonly params?: readonly object[];
}

const made = { apiVersion: 'tekton.dev/v1', kind: 'PipelineRun', metadata: { generateName: 'build-' } };

function triggerNamed(name: string, more: object = {}): object {
  return {
    name,
    bindings: [{ name: 'rev', value: '$(body.metadata.revision)' }],
    template: { ref: 'template' },
    ...more,
  };
}

/** A stage whose source apps/web shows `shown`. */
function stageOf(shown: string | undefined, wish: Wish = {}): ListenerStage {
  const {
    annotations = {},
    triggers = [triggerNamed('build')],
    resources,
    params = [{ name: 'rev', default: 'none' }],
    ...more
  } = wish;
  const spec = { params: [{ name: 'rev', value: '$(tt.params.rev)' }] };
  const objects = [
    {
      kind: 'EventListener',
      metadata: { name: 'hook', annotations },
      spec: { serviceAccountName: 'builder', triggers },
    },
    {
      kind: 'TriggerTemplate',
      metadata: { name: 'template' },
      spec: { params, resourcetemplates: resources ?? [{ ...made, spec }] },
    },
  ];
  const yaml = objects
    .map((object) => JSON.stringify({ apiVersion: 'triggers.tekton.dev/v1beta1', ...object }))
    .join('\n---\n');
  const stage = new ListenerStage(yaml, more);
  stage.sources.set('apps/web', { uid, revision: shown });
  return stage;
}

function words(results: readonly TriggerResult[]): readonly string[] {
  return results.map(({ outcome, reason }) => (reason === undefined ? outcome : `${outcome} ${reason}`));
}

function paramsOf(run: JsonObject | undefined): Readonly<Record<string, unknown>> {
  const params = listOf(objectOf(run?.spec).params).map(objectOf);
  return Object.fromEntries(params.map(({ name, value }) => [name, value]));
}

function idOf(revision: string, epoch = 0): string {
  const key = { cluster: '', namespace: 'apps', source: 'source.toolkit.fluxcd.io/GitRepository', uid };
  return identityOf({ ...key, trigger: 'hook/build', revision, epoch }).id16;
}

describe('a listener and a delivery', () => {
  it('event 1: a revision that the object shows makes one run, named after what it is for', async () => {
    const stage = stageOf(b);
    const results = await stage.post(event(b));
    assert.deepEqual(results, [{ trigger: 'build', outcome: 'created', pipelineRun: `apps/build-${idOf(b)}` }]);
    const [order] = stage.orders;
    assert.equal(order?.serviceAccount, 'builder');
    assert.equal(order?.entry.triggerId, 'hook/build');
    const metadata = objectOf(order?.manifest.metadata);
    assert.equal(metadata.namespace, 'apps');
    assert.equal(objectOf(metadata.labels)['rungate.dev/key'], idOf(b));
    assert.equal(objectOf(metadata.annotations)['rungate.dev/revision'], b);
    assert.deepEqual(stage.told, [
      { type: 'Normal', reason: 'RunCreated', message: `trigger build: created apps/build-${idOf(b)}` },
    ]);
  });

  it('event 2: the same delivery again makes no other run', async () => {
    const stage = stageOf(b);
    await stage.post(event(b));
    assert.deepEqual(await stage.post(event(b)), [
      { trigger: 'build', outcome: 'duplicate', pipelineRun: `apps/build-${idOf(b)}` },
    ]);
    assert.equal(stage.runs.size, 1);
  });

  it('event 3: the same event in other words makes no other run', async () => {
    const stage = stageOf(b);
    await stage.post(event(b));
    const other = event(b, {
      metadata: { cluster: 'edge', 'event.toolkit.fluxcd.io/x': 'y' },
      message: 'stored artifact',
      at: 0,
    });
    assert.deepEqual(words(await stage.post(other)), ['duplicate']);
    assert.equal(stage.runs.size, 1);
  });

  it('event 2: deliveries at the same time make one run', async () => {
    const stage = stageOf(b);
    const results = await Promise.all([
      stage.post(event(b)),
      stage.post(event(b)),
      stage.post(event(b, { message: 'x' })),
    ]);
    assert.deepEqual(results.flatMap(words).sort(), ['created', 'duplicate', 'duplicate']);
    assert.equal(stage.runs.size, 1);
  });

  it('event 5: what the object does not show yet is waited for', async () => {
    const stage = stageOf(a);
    assert.deepEqual(words(await stage.post(event(b))), ['pending RevisionNotYet']);
    stage.sources.set('apps/web', { uid, revision: b });
    await stage.lookAgain();
    assert.deepEqual([...stage.runs.keys()], [`apps/build-${idOf(b)}`]);
    assert.deepEqual(words(await stage.post(event(b))), ['duplicate']);
  });

  it('takes the parameters of each trigger in a turn of the event loop of its own', async () => {
    const triggers = ['one', 'two', 'three'].map((name) =>
      triggerNamed(name, { bindings: [{ name: 'rev', value: '$(body.text)' }] }),
    );
    let turn = 0;
    const count = () => {
      turn += 1;
      counting = setImmediate(count);
    };
    let counting = setImmediate(count);
    const turns: number[] = [];
    const body = {
      get text() {
        turns.push(turn);
        return '';
      },
    };
    const results = await stageOf(a, { triggers }).hook.receive(
      { ...requestOf({}), body },
      new AbortController().signal,
    );
    clearImmediate(counting);
    assert.deepEqual(words(results), ['created', 'created', 'created']);
    assert.ok(new Set(turns).size >= 3, turns.join());
  });

  it('event 5: what there is no room to wait for is to be sent again, and room that was taken is given back', async () => {
    const trigger = triggerNamed('build', { bindings: [{ name: 'rev', value: '$(body.message)' }] });
    const stage = stageOf(a, { triggers: [trigger], mostPending: 1_000 });
    const long = event(b, { message: 'x'.repeat(600) });
    assert.deepEqual(words(await stage.post(long)), ['pending RevisionNotYet']);
    assert.deepEqual(words(await stage.post(long)), ['unavailable TooManyPending']);
    await stage.lookAgain();
    assert.deepEqual(words(await stage.post(long)), ['pending RevisionNotYet']);
  });

  it('event 5: triggers that wait for one source look at it once', async () => {
    const stage = stageOf(a, { triggers: [triggerNamed('one'), triggerNamed('two')] });
    assert.deepEqual(words(await stage.post(event(b))), ['pending RevisionNotYet', 'pending RevisionNotYet']);
    assert.equal(stage.looks, 1);
    stage.sources.set('apps/web', { uid, revision: b });
    await stage.lookAgain();
    assert.equal(stage.runs.size, 2);
  });

  it('event 5: a run that Kubernetes does not take is asked for again, since nobody delivers it again', async () => {
    const stage = stageOf(a);
    await stage.post(event(b));
    stage.sources.set('apps/web', { uid, revision: b });
    stage.refusals.push({ came: 'unavailable', message: 'busy' }, new Fault('timeout', 'no answer'));
    await stage.lookAgain();
    assert.equal(stage.runs.size, 0);
    await stage.clock.turn(1_000);
    assert.equal(stage.runs.size, 0);
    await stage.clock.turn(2_000);
    assert.deepEqual([...stage.runs.keys()], [`apps/build-${idOf(b)}`]);
    assert.equal(new Set(stage.orders.map(({ keyHash }) => keyHash)).size, 1);
    assert.equal(stage.clock.sleeping, 0);
  });

  it('says when it has given up asking', async () => {
    const stage = stageOf(a);
    await stage.post(event(b));
    stage.sources.set('apps/web', { uid, revision: b });
    stage.refusals.push(...Array.from({ length: 8 }, () => ({ came: 'unavailable', message: 'busy' }) as const));
    await stage.lookAgain();
    await stage.clock.turn(600_000);
    assert.deepEqual(stage.warnings, ['RunNotCreated']);
    assert.equal(stage.orders.length, 8);
  });

  it('event 6: what the object never shows makes no run, and is told', async () => {
    const stage = stageOf(a);
    assert.deepEqual(words(await stage.post(event(c))), ['pending RevisionNotYet']);
    await stage.lookAgain();
    assert.equal(stage.runs.size, 0);
    assert.deepEqual(stage.warnings, ['RevisionNotObserved']);
  });

  it('event 12: an event that tells no revision makes no run', async () => {
    const stage = stageOf(a);
    const failure = event(undefined, { severity: 'error', reason: 'GitOperationFailed', message: 'unable to clone' });
    assert.deepEqual(words(await stage.post(failure)), ['filtered NoRevision']);
    assert.deepEqual(stage.told, []);
  });

  it('event 12: it is no mistake of a binding that wants the revision', async () => {
    const bindings = [{ name: 'rev', value: '$(body.metadata.revision)' }];
    const stage = stageOf(a, { triggers: [{ ...triggerNamed('build'), bindings }], params: [{ name: 'rev' }] });
    const failure = event(undefined, { severity: 'error', reason: 'GitOperationFailed' });
    assert.deepEqual(words(await stage.post(failure)), ['filtered NoRevision']);
    assert.deepEqual(stage.told, []);
  });

  it('event 12: it does where the listener says so, once for each body', async () => {
    const stage = stageOf(a, { annotations: { 'rungate.dev/allow-without-revision': 'true' } });
    const failure = event(undefined, { severity: 'error', reason: 'GitOperationFailed' });
    assert.deepEqual(words(await stage.post(failure)), ['created']);
    assert.deepEqual(words(await stage.post(failure)), ['duplicate']);
    assert.deepEqual(words(await stage.post({ ...failure, message: 'another' })), ['created']);
  });

  it('event 13: a recovery tells of a revision that has been run', async () => {
    const stage = stageOf(a);
    await stage.post(event(a));
    assert.deepEqual(words(await stage.post(event(a, { reason: 'Succeeded' }))), ['duplicate']);
  });

  it('event 14: sources of another namespace are not looked at', async () => {
    const stage = stageOf(a);
    stage.sources.set('other/web', { uid, revision: b });
    assert.deepEqual(words(await stage.post(event(b, { namespace: 'other' }))), ['denied SourceNotAllowed']);
    assert.equal(stage.looks, 0);
    assert.deepEqual(stage.warnings, ['SourceNotAllowed']);
  });

  it('event 14: unless a policy lets it, and the run is in its own namespace then', async () => {
    const stage = stageOf(a, { policy: { sourceNamespaces: ['apps/other'] } });
    stage.sources.set('other/web', { uid, revision: b });
    const [result] = await stage.post(event(b, { namespace: 'other' }));
    assert.equal(result?.outcome, 'created');
    assert.equal(result?.pipelineRun, `apps/build-${idOf(b)}`);
  });

  it('event 15: an object that is another one now makes no run', async () => {
    const stage = stageOf(b);
    assert.deepEqual(words(await stage.post(event(b, { uid: 'another' }))), ['stale SourceReplaced']);
    assert.equal(stage.runs.size, 0);
  });

  it('an object that is not there makes no run', async () => {
    const stage = stageOf(b);
    assert.deepEqual(words(await stage.post(event(b, { name: 'gone' }))), ['denied SourceNotFound']);
  });

  it('event 19: a run that was deleted is not made again', async () => {
    const stage = stageOf(b);
    await stage.post(event(b));
    stage.runs.clear();
    assert.deepEqual(words(await stage.post(event(b))), ['duplicate']);
    assert.equal(stage.runs.size, 0);
  });

  it('event 19: nor is one that is there when the ledger is lost', async () => {
    const stage = stageOf(b);
    await stage.post(event(b));
    stage.forget();
    assert.deepEqual(words(await stage.post(event(b))), ['duplicate']);
    assert.equal(stage.runs.size, 1);
  });

  for (const { onRepeat, runs, came } of [
    { onRepeat: 'skip', runs: 2, came: 'duplicate' },
    { onRepeat: 'rerun', runs: 3, came: 'created' },
  ]) {
    it(`event 20: a source that comes back makes ${runs} runs with ${onRepeat}`, async () => {
      const stage = stageOf(a, { annotations: { 'rungate.dev/on-repeat': onRepeat } });
      for (const revision of [a, b]) {
        stage.sources.set('apps/web', { uid, revision });
        assert.deepEqual(words(await stage.post(event(revision))), ['created']);
      }
      stage.sources.set('apps/web', { uid, revision: a });
      assert.deepEqual(words(await stage.post(event(a))), [came]);
      assert.deepEqual(words(await stage.post(event(a, { message: 'told again' }))), ['duplicate']);
      assert.equal(stage.runs.size, runs);
      assert.equal(stage.runs.has(`apps/build-${idOf(a, 1)}`), onRepeat === 'rerun');
    });
  }

  it('event 21: the same revision in the format of today makes no run', async () => {
    const stage = stageOf(`main@sha1:${'a'.repeat(40)}`);
    const before = event(undefined, { message: `Fetched revision: main/${'a'.repeat(40)}`, reason: 'info' });
    assert.deepEqual(words(await stage.post(before)), ['created']);
    assert.deepEqual(words(await stage.post(event(a))), ['duplicate']);
  });

  it('event 22: an artifact that is away for a while and comes back makes no run', async () => {
    const stage = stageOf(a);
    await stage.post(event(a));
    stage.sources.set('apps/web', { uid, revision: undefined });
    assert.deepEqual(words(await stage.post(event(a))), ['pending RevisionNotYet']);
    stage.sources.set('apps/web', { uid, revision: a });
    await stage.lookAgain();
    assert.equal(stage.runs.size, 1);
  });

  for (const { identity, runs } of [
    { identity: 'revision', runs: 1 },
    { identity: 'content', runs: 2 },
  ]) {
    it(`event 23: another digest of one revision makes ${runs} with the identity ${identity}`, async () => {
      const stage = stageOf(a, { annotations: { 'rungate.dev/identity': identity } });
      for (const digit of ['1', '2', '2']) {
        stage.sources.set('apps/web', { uid, revision: a, digest: `sha256:${digit.repeat(64)}` });
        await stage.post(event(a));
      }
      assert.equal(stage.runs.size, runs);
    });
  }

  it('event 24: an event that tells no image makes a run for the one that its policy has chosen', async () => {
    const stage = stageOf(undefined);
    stage.sources.set('apps/app', { uid, revision: 'org/app:1.0.1' });
    const chosen = fluxEvent({
      kind: 'ImagePolicy',
      namespace: 'apps',
      name: 'app',
      uid,
      message: 'x',
      reason: 'Succeeded',
    });
    assert.deepEqual(words(await stage.post(chosen)), ['created']);
    assert.equal(objectOf(objectOf([...stage.runs.values()][0]?.metadata).labels)['rungate.dev/revision'], '1.0.1');
    assert.deepEqual(words(await stage.post(chosen)), ['duplicate']);
  });

  it('event 36: a suspended source, and a suspended listener, make no run', async () => {
    const stage = stageOf(b);
    stage.sources.set('apps/web', { uid, revision: b, suspended: true });
    assert.deepEqual(words(await stage.post(event(b))), ['filtered SourceSuspended']);
    stage.sources.set('apps/web', { uid, revision: b });
    assert.deepEqual(words(await stage.post(event(b))), ['created']);
    const suspended = stageOf(b, { annotations: { 'rungate.dev/suspend': 'true' } });
    assert.deepEqual(words(await suspended.post(event(b))), ['filtered Suspended']);
  });

  it('event 37: events for an unchanged revision make one run, however many come', async () => {
    const stage = stageOf(a);
    for (let minute = 0; minute < 10; minute++) {
      await stage.post(
        event(a, { metadata: { commit_status: 'update' }, message: `Reconciliation finished in ${minute}s` }),
      );
    }
    assert.equal(stage.runs.size, 1);
  });

  it('what means to be an event of Flux and is none makes no run', async () => {
    const stage = stageOf(a);
    const results = await stage.post({
      ...event(a),
      involvedObject: { kind: 'GitRepository', namespace: '../x', name: 'web' },
    });
    assert.deepEqual(words(results), ['failed InvalidEvent']);
    assert.equal(stage.looks, 0);
  });
});

describe('a listener and what Kubernetes says', () => {
  it('event 35: a refusal is an answer, which is told', async () => {
    const stage = stageOf(b);
    stage.refusals.push({ came: 'denied', said: 'pipelineruns.tekton.dev is forbidden: builder cannot create' });
    assert.deepEqual(await stage.post(event(b)), [
      {
        trigger: 'build',
        outcome: 'denied',
        reason: 'CreationDenied',
        message: 'pipelineruns.tekton.dev is forbidden: builder cannot create',
      },
    ]);
    assert.deepEqual(stage.warnings, ['CreationDenied']);
  });

  it('two names of others are told', async () => {
    const stage = stageOf(b);
    stage.refusals.push({ came: 'collision', message: 'both exist' });
    assert.deepEqual(words(await stage.post(event(b))), ['failed NameCollision']);
    assert.deepEqual(stage.warnings, ['NameCollision']);
  });

  for (const code of ['unavailable', 'timeout', 'conflict', 'exhausted', 'draining'] as const) {
    const reason = code === 'exhausted' ? 'Overloaded' : 'KubernetesUnavailable';
    it(`event 17: ${code} is worth another try, which makes the run that the first would have made`, async () => {
      const stage = stageOf(b);
      stage.refusals.push(new Fault(code, 'later'));
      assert.deepEqual(words(await stage.post(event(b))), [`unavailable ${reason}`]);
      assert.deepEqual(await stage.post(event(b)), [
        { trigger: 'build', outcome: 'created', pipelineRun: `apps/build-${idOf(b)}` },
      ]);
    });
  }

  it('what it must not do itself is a failure', async () => {
    const stage = stageOf(b);
    stage.refusals.push(new Fault('refused', 'secrets is forbidden'));
    assert.deepEqual(words(await stage.post(event(b))), ['failed Refused']);
  });

  it('what nobody expected is a failure that says nothing', async () => {
    const stage = stageOf(b);
    stage.create = () => Promise.reject(new Error('secret'));
    const results = await stage.post(event(b));
    assert.deepEqual(words(results), ['failed InternalError']);
    assert.equal(JSON.stringify(results).includes('secret'), false);
  });

  it('what there was no time for is to be sent again', async () => {
    const stage = stageOf(b);
    const gone = new AbortController();
    stage.create = () => {
      gone.abort();
      return Promise.reject(gone.signal.reason);
    };
    assert.deepEqual(words(await stage.hook.receive(requestOf(event(b)), gone.signal)), ['unavailable OutOfTime']);
  });
});

describe('the triggers of a listener', () => {
  const cel = (filter: string) => ({ interceptors: [{ cel: { filter } }] });

  it('event 30: do not mind what becomes of the others', async () => {
    const triggers = [
      triggerNamed('text', cel("'true'")),
      triggerNamed('error', cel('body.missing')),
      triggerNamed('broken', { template: { ref: 'gone' } }),
      triggerNamed('build', cel("body.involvedObject.kind == 'GitRepository'")),
      triggerNamed('unbound', { bindings: [{ name: 'other', value: '$(body.missing)' }] }),
    ];
    const stage = stageOf(b, { triggers });
    const results = await stage.post(event(b));
    assert.deepEqual(
      results.map(({ trigger }) => trigger),
      ['text', 'error', 'broken', 'build', 'unbound'],
    );
    assert.deepEqual(words(results), [
      'filtered NotMatched',
      'filtered FilterError',
      'failed InvalidTrigger',
      'created',
      'failed InvalidParameters',
    ]);
    assert.deepEqual([...stage.warnings].sort(), ['FilterError', 'InvalidParameters', 'InvalidTrigger']);
  });

  it('are each run, however many there are, in the order of the listener', async () => {
    const names = Array.from({ length: 40 }, (_, place) => `t${place}`);
    const stage = stageOf(b, {
      triggers: names.map((name) => triggerNamed(name)),
      resources: [{ ...made, metadata: {} }],
    });
    const results = await stage.post(event(b));
    assert.deepEqual(
      results.map(({ trigger, outcome }) => `${trigger} ${outcome}`),
      names.map((name) => `${name} created`),
    );
    assert.equal(stage.looks, 1);
    assert.equal(stage.runs.size, 40);
  });

  it('event 31: a missing value is the default, or else the failure of its trigger, which says what is missing', async () => {
    const withDefault = stageOf(b);
    await withDefault.post({ ...event(b), metadata: undefined, message: `Fetched revision: ${b}` });
    assert.deepEqual([...withDefault.runs.values()].map(paramsOf), [{ rev: 'none' }]);
    const without = stageOf(b, { params: [{ name: 'rev' }] });
    const results = await without.post({ ...event(b), metadata: undefined, message: `Fetched revision: ${b}` });
    const message = 'parameter rev: $(body.metadata.revision) asks for metadata, which is not there';
    assert.deepEqual(results, [{ trigger: 'build', outcome: 'failed', reason: 'InvalidParameters', message }]);
    assert.equal(without.looks, 0);
  });

  it('event 33: a template for anything but a run is never created', async () => {
    const stage = stageOf(b, { resources: [{ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'x' } }] });
    const results = await stage.post(event(b));
    assert.deepEqual(words(results), ['failed InvalidTrigger']);
    assert.match(
      results[0]?.message ?? '',
      /TriggerTemplate template: spec\.resourcetemplates\[0\]\.kind must be PipelineRun/,
    );
    assert.equal(stage.orders.length, 0);
  });

  it('make all their runs, each once, with one event id for all of them', async () => {
    const resources = [
      { ...made, metadata: { generateName: 'same-' } },
      { ...made, metadata: { generateName: 'same-' } },
      { ...made, metadata: { name: 'id-$(uid)' } },
    ];
    const stage = stageOf(b, { resources });
    stage.refusals.push(
      { came: 'created', run: { namespace: 'apps', name: 'lost' } },
      { came: 'denied', said: 'quota' },
    );
    const first = await stage.post(event(b));
    assert.deepEqual(words(first), ['denied CreationDenied']);
    assert.equal(first[0]?.pipelineRun, 'apps/lost');
    assert.equal(stage.orders.length, 2, 'what stands behind the one that failed is not asked for');
    assert.deepEqual(words(await stage.post(event(b))), ['created']);
    assert.equal(stage.runs.size, 3);
    const metadata = [...stage.runs.values()].map((run) => objectOf(run.metadata));
    const ids = new Set(metadata.map(({ labels }) => objectOf(labels)['triggers.tekton.dev/triggers-eventid']));
    assert.deepEqual([...ids], [String(metadata[2]?.name).replace('id-', '')]);
    assert.deepEqual(words(await stage.post(event(b))), ['duplicate']);
  });

  it('give a name that cannot be one no chance', async () => {
    const stage = stageOf(b, { resources: [{ ...made, metadata: { name: 'run-$(tt.params.rev)' } }] });
    assert.deepEqual(words(await stage.post(event(b))), ['failed InvalidParameters']);
    assert.equal(stage.orders.length, 0);
  });
});

describe('deliveries that are no events of Flux', () => {
  const push = { ref: 'refs/heads/main', after: 'x' };

  it('are run once for each delivery that its sender names', async () => {
    const stage = stageOf(undefined);
    const headers = { 'X-GitHub-Delivery': '72d3162e-cc78-11e3-81ab-4c9367dc0958' };
    assert.deepEqual(words(await stage.post(push, headers)), ['created']);
    assert.deepEqual(words(await stage.post(push, headers)), ['duplicate']);
    assert.deepEqual(words(await stage.post(push, { 'X-GitHub-Delivery': 'another' })), ['created']);
    assert.deepEqual(words(await stage.post(push, { 'X-Gitlab-Event-UUID': 'one' })), ['created']);
    assert.equal(stage.looks, 0);
  });

  it('are run once for each body where nobody names them', async () => {
    const stage = stageOf(undefined, { annotations: { 'rungate.dev/on-repeat': 'rerun' } });
    assert.deepEqual(words(await stage.post(push)), ['created']);
    assert.deepEqual(words(await stage.post({ ...push, after: 'y' })), ['created']);
    assert.deepEqual(words(await stage.post(push)), ['duplicate']);
  });
});

describe('the listener of 2020', () => {
  const yaml = readFileSync('test/fixtures/hooks/article.yaml', 'utf8');
  const body = JSON.parse(readFileSync('test/fixtures/hooks/article.json', 'utf8'));
  const revision = 'main@sha1:6fca464c6c124156b9cb3913c229b59148323703';
  const sent = { 'Gotk-Component': 'source-controller' };

  function article(): ListenerStage {
    const stage = new ListenerStage(yaml, { namespace: 'default' });
    stage.sources.set('flux-system/flux-system', { uid, revision });
    return stage;
  }

  it('event 28: makes the run that it was written for', async () => {
    const stage = article();
    const name = 'flux-notification-run-7faccb4d-ee03-8135-896d-67ce5a04dd93';
    assert.deepEqual(await stage.post(body, sent), [
      { trigger: 'flux-notification-trigger', outcome: 'created', pipelineRun: `default/${name}` },
    ]);
    const run = stage.runs.get(`default/${name}`);
    assert.equal(run?.apiVersion, 'tekton.dev/v1beta1');
    assert.deepEqual(objectOf(run?.spec).pipelineRef, { name: 'flux-demo-pipeline' });
    assert.deepEqual(paramsOf(run), {
      message: 'Fetched revision: main/6fca464c6c124156b9cb3913c229b59148323703',
      repository: 'flux-system',
      namespace: 'flux-system',
    });
    const { labels, annotations } = objectOf(run?.metadata);
    assert.equal(objectOf(labels)['triggers.tekton.dev/triggers-eventid'], '7faccb4d-ee03-8135-896d-67ce5a04dd93');
    assert.equal(objectOf(annotations)['rungate.dev/revision'], revision);
  });

  it('event 29: makes none for another sender, for none, or for a body that is about nothing', async () => {
    const stage = article();
    assert.deepEqual(words(await stage.post(body, { 'gotk-component': 'kustomize-controller' })), [
      'filtered NotMatched',
    ]);
    assert.deepEqual(words(await stage.post(body)), ['filtered NotMatched']);
    const { involvedObject: _, ...rest } = body;
    assert.deepEqual(words(await stage.post(rest, sent)), ['filtered FilterError']);
    assert.equal(stage.runs.size, 0);
    assert.equal(stage.looks, 0);
  });

  it('event 29: takes a header however it is written', async () => {
    assert.deepEqual(words(await article().post(body, { 'gotk-component': 'source-controller' })), ['created']);
  });

  it('event 32: takes a message for data, whatever it says', async () => {
    for (const message of [
      'x"}],"kind":"Secret',
      'one\ntwo\r\n\u2028three',
      '$(tt.params.namespace)',
      '$(uid)',
      '$(context.pipelineRun.name) $',
      '{"a":[1]}',
    ]) {
      const stage = article();
      // Since 0.22 the title of a commit is in the message, and the revision beside it.
      const results = await stage.post({ ...body, message, metadata: { revision } }, sent);
      assert.deepEqual(words(results), ['created']);
      const [run] = stage.runs.values();
      assert.equal(run?.kind, 'PipelineRun');
      assert.deepEqual(paramsOf(run), {
        message: message.replaceAll('$(', () => '$$('),
        repository: 'flux-system',
        namespace: 'flux-system',
      });
    }
  });

  it('event 32: rejects a message that holds a variable where its listener says so', async () => {
    const named = '  name: flux-event-listener\n';
    const strict = yaml.replace(named, `${named}  annotations: {rungate.dev/dollar: reject}\n`);
    const stage = new ListenerStage(strict, { namespace: 'default' });
    stage.sources.set('flux-system/flux-system', { uid, revision });
    const post = (message: string) => stage.post({ ...body, message, metadata: { revision } }, sent);
    assert.deepEqual(words(await post('$(params.x)')), ['failed InvalidParameters']);
    assert.deepEqual(words(await post('no variable')), ['created']);
  });
});
