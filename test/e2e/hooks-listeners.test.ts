/** Hooks of EventListeners: the payload is the input, and each key has one run, on whichever rungate it comes in. */
import assert from 'node:assert/strict';
import type { Manifest } from '../support/admin.ts';
import { eventually } from '../support/eventually.ts';
import type { Gateway } from '../support/gateway.ts';
import { signatureOf } from '../support/hook-client.ts';
import { type EventBody, fluxEvent } from '../support/hook-events.ts';
import { identityOf, keySecret, runOf } from '../support/hook-manifests.ts';
import { type HookResult, type HookWorld, startHookWorld } from '../support/hooks.ts';
import { clusterSuite } from '../support/needs.ts';
import { commitOf, revisionOf } from '../support/shapes.ts';
import { paramsOf } from '../support/trigger-manifests.ts';

clusterSuite('hooks of EventListeners', { triggers: true }, function () {
  this.timeout(300_000);
  let world: HookWorld;
  /** How many runs each listener has in the end; the names of its runs begin with its own. */
  const counted = new Map<string, number>();

  before(async () => {
    world = await startHookWorld({
      faults: true,
      namespaces: 2,
      components: ['hooks-impersonation'],
      env: { TEKTON_TRIGGERS_COMPAT: 'true', ALLOW_UNAUTHENTICATED_HOOKS: 'true' },
    });
    await world.pipeline('skips');
  });
  after(() => world?.end());

  const hasRuns = async (listener: string, count: number) => {
    counted.set(listener, count);
    return eventually(
      async () => {
        const runs = await world.runs(`${listener}-`);
        assert.equal(runs.length, count, runs.map(({ metadata }) => metadata.name).join());
        return runs;
      },
      { withinMs: 240_000 },
    );
  };
  const only = async (hook: string, body: EventBody | string, gateway?: Gateway): Promise<HookResult> => {
    const [result, ...more] = await world.results(hook, body, gateway);
    assert.ok(result && more.length === 0, JSON.stringify([result, ...more]));
    return result;
  };
  /** Waits until the ledger of a trigger with the name of its listener has a run: it is written a moment after the answer. */
  const isEntered = (name: string) =>
    world.until(async () => {
      const { items } = await world.admin.get<{
        items: readonly { metadata: Manifest['metadata']; data?: Readonly<Record<string, string>> }[];
      }>(`/api/v1/namespaces/${world.namespace}/configmaps`);
      const ledger = items.find(({ metadata }) => metadata.annotations?.['rungate.dev/trigger'] === `${name}/${name}`);
      assert.match(JSON.stringify(ledger?.data ?? {}), /keyHash/);
    });
  /** A listener with one trigger of its name, and a source of that name at revision 2; resolves with an event of that. */
  const begin = async (name: string, wish?: Parameters<HookWorld['listen']>[1]): Promise<EventBody> => {
    await world.repository(name, revisionOf(2));
    await world.listen(name, wish);
    return world.event(name, { revision: revisionOf(2) });
  };

  it('event 1: a new artifact is a run with the name, the labels and the annotations of its key', async () => {
    const event = await begin('build');
    const answer = await world.deliver('build', event);
    assert.equal(answer.status, 202, answer.text);
    const listener = await world.object('EventListener', 'build');
    const uid = event.involvedObject.uid ?? '';
    const { namespace } = world;
    const key = identityOf({ namespace, trigger: 'build/build', uid, revision: revisionOf(2) });
    const name = `build-${key.id16}`;
    const { eventID, results, ...rest } = answer.json<{ eventID: string; results: HookResult[] }>();
    assert.deepEqual(rest, { eventListener: 'build', namespace, eventListenerUID: listener?.metadata.uid });
    assert.match(eventID, /^[0-9a-f-]{36}$/);
    assert.deepEqual(results, [{ trigger: 'build', outcome: 'created', pipelineRun: `${namespace}/${name}` }]);
    const [run] = await hasRuns('build', 1);
    assert.equal(run?.metadata.name, name);
    const labels = run.metadata.labels ?? {};
    assert.deepEqual(
      [labels['triggers.tekton.dev/eventlistener'], labels['triggers.tekton.dev/trigger']],
      ['build', 'build'],
    );
    assert.equal(labels['triggers.tekton.dev/triggers-eventid'], key.uuid);
    assert.equal(labels['rungate.dev/key'], key.id16);
    assert.deepEqual(
      [labels['rungate.dev/source-kind'], labels['rungate.dev/source-name'], labels['rungate.dev/revision']],
      ['GitRepository', 'build', commitOf(2).slice(0, 12)],
    );
    const annotations = run.metadata.annotations ?? {};
    assert.equal(annotations['rungate.dev/revision'], revisionOf(2));
    assert.equal(annotations['rungate.dev/key-hash'], key.hash);
    assert.equal(annotations['rungate.dev/via'], 'event');
    assert.equal(annotations['rungate.dev/event-timestamp'], event.timestamp);
    assert.equal(annotations['rungate.dev/source'], `source.toolkit.fluxcd.io/GitRepository/${namespace}/build/${uid}`);
    assert.match(annotations['rungate.dev/digest'] ?? '', /^sha256:/);
    assert.deepEqual(paramsOf(run), { rev: revisionOf(2) });
  });

  it('event 2, 3: the same event again, and once more through another Alert, is a duplicate', async () => {
    const event = await begin('again');
    const { pipelineRun } = await only('again', event);
    const others = { ...event, metadata: { ...event.metadata, cluster: 'other', env: 'prod' } };
    for (const body of [event, others]) {
      const result = await only('again', body);
      assert.deepEqual([result.outcome, result.pipelineRun], ['duplicate', pipelineRun]);
    }
    await hasRuns('again', 1);
  });

  it('event 4: two rungates get the same event at once, and make one run', async () => {
    const other = await world.startGateway();
    const event = await begin('raced');
    await world.served('raced', [other]);
    for (let number = 2; number < 12; number++) {
      await world.push('raced', revisionOf(number));
      const body = { ...event, metadata: { revision: revisionOf(number) } };
      const results = await Promise.all([only('raced', body), only('raced', body, other)]);
      const came = results.map(({ outcome }) => outcome).sort();
      assert.deepEqual(came, ['created', 'duplicate']);
    }
    await other.stop();
    await hasRuns('raced', 10);
  });

  it('event 5: what the object shows two seconds after the event is one run', async () => {
    const event = await begin('late');
    const body = { ...event, metadata: { revision: revisionOf(3) } };
    assert.equal((await only('late', body)).outcome, 'pending');
    await new Promise((resolve) => setTimeout(resolve, 2_000)); // Flux patches the status after it has sent the event
    await world.push('late', revisionOf(3));
    const [run] = await hasRuns('late', 1);
    assert.equal(run?.metadata.annotations?.['rungate.dev/revision'], revisionOf(3));
    await world.until(async () =>
      assert.equal((await only('late', { ...body, message: 'again' })).outcome, 'duplicate'),
    );
  });

  it('event 6: what the object never shows is no run, and an Event says so', async () => {
    const event = await begin('claimed');
    const result = await only('claimed', { ...event, metadata: { revision: revisionOf(9) } });
    assert.equal(result.outcome, 'pending');
    const told = await world.tells('EventListener', 'claimed', 'RevisionNotObserved');
    assert.equal(told.type, 'Warning');
    await hasRuns('claimed', 0);
  });

  it('event 12: an error without a revision is filtered, unless the listener says that it may be without', async () => {
    const bindings = { rev: '$(body.reason)' };
    await begin('failing', { triggers: [{ name: 'failing', bindings }] });
    await begin('literal', {
      annotations: { 'rungate.dev/allow-without-revision': 'true' },
      triggers: [{ name: 'literal', bindings }],
    });
    const failed = { severity: 'error', reason: 'GitOperationFailed', message: 'failed to checkout' };
    const result = await only('failing', await world.event('failing', failed));
    assert.deepEqual([result.outcome, result.reason], ['filtered', 'NoRevision']);
    await hasRuns('failing', 0);
    const event = await world.event('literal', failed);
    assert.equal((await only('literal', event)).outcome, 'created');
    assert.equal((await only('literal', event)).outcome, 'duplicate');
    await hasRuns('literal', 1);
  });

  it('event 13: a recovery for a revision that has had its run is a duplicate', async () => {
    const event = await begin('recovered');
    await only('recovered', event);
    const again = { ...event, reason: 'Succeeded', message: `stored artifact for commit '${revisionOf(2)}'` };
    assert.equal((await only('recovered', again)).outcome, 'duplicate');
    await hasRuns('recovered', 1);
  });

  it('event 14: an object of another namespace is denied before anybody looks at it', async () => {
    await begin('own');
    world.faults.forget();
    const namespace = world.namespaces[1] ?? '';
    const result = await only('own', fluxEvent({ namespace, name: 'own', revision: revisionOf(2) }));
    assert.equal(result.outcome, 'denied');
    const looked = world.faults.requests.filter(({ path }) => path.includes(`/namespaces/${namespace}/`));
    assert.deepEqual(
      looked.filter(({ path }) => path.includes('gitrepositories/')).map(({ path }) => path),
      [],
    );
    await hasRuns('own', 0);
  });

  it('event 14: with a policy that allows it, the run is in the namespace of the listener all the same', async () => {
    const namespace = world.namespaces[1] ?? '';
    const allowing = await world.startGateway({
      env: { COMPAT_SOURCE_NAMESPACES: `${world.namespace}/${namespace}` },
    });
    await begin('allowed');
    await world.served('allowed', [allowing]);
    const source = {
      apiVersion: 'source.toolkit.fluxcd.io/v1',
      kind: 'GitRepository',
      metadata: { name: 'allowed', namespace, labels: { 'sharding.fluxcd.io/key': 'test' } },
      spec: { url: 'https://git.invalid/app.git', interval: '10m' },
    };
    await world.apply(source);
    const path = `/apis/source.toolkit.fluxcd.io/v1/namespaces/${namespace}/gitrepositories/allowed/status`;
    const artifact = {
      revision: revisionOf(2),
      digest: `sha256:${'a'.repeat(64)}`,
      path: 'a',
      url: 'http://a.invalid/',
    };
    await world.admin.patch(path, {
      status: { observedGeneration: 1, artifact: { ...artifact, lastUpdateTime: '2026-01-01T00:00:00Z' } },
    });
    const event = fluxEvent({ namespace, name: 'allowed', revision: revisionOf(2) });
    const result = await only('allowed', event, allowing);
    assert.equal(result.outcome, 'created', JSON.stringify(result));
    assert.match(result.pipelineRun ?? '', new RegExp(`^${world.namespace}/`));
    await allowing.stop();
    await hasRuns('allowed', 1);
  });

  it('event 15: an event about an object that was another one is stale, and one about none is denied', async () => {
    await begin('stale');
    const uid = '00000000-0000-4000-8000-000000000000';
    assert.equal((await only('stale', await world.event('stale', { uid, revision: revisionOf(2) }))).outcome, 'stale');
    const gone = fluxEvent({ namespace: world.namespace, name: 'not-there', revision: revisionOf(2) });
    const result = await only('stale', gone);
    assert.deepEqual([result.outcome, result.reason], ['denied', 'SourceNotFound']);
    await hasRuns('stale', 0);
  });

  it('event 19: a run that is gone is not made again, by the ledger; and one that is there is not, without it', async () => {
    const event = await begin('pruned');
    const { pipelineRun = '' } = await only('pruned', event);
    await isEntered('pruned');
    await world.remove(pipelineRun.split('/')[1] ?? '', { wait: true });
    const other = await world.startGateway();
    await world.served('pruned', [other]);
    assert.equal((await only('pruned', event, other)).outcome, 'duplicate');
    await hasRuns('pruned', 0);

    const kept = await begin('kept');
    await only('kept', kept, other);
    await isEntered('kept');
    const ledgers = await world.admin.get<{ items: readonly { metadata: { name: string } }[] }>(
      `/api/v1/namespaces/${world.namespace}/configmaps`,
    );
    const names = ledgers.items.map(({ metadata }) => metadata.name).filter((name) => name.startsWith('ledger-'));
    assert.ok(names.length > 0);
    for (const name of names) await world.admin.remove(`/api/v1/namespaces/${world.namespace}/configmaps/${name}`);
    const third = await world.startGateway(); // which has read no ledger
    await world.served('kept', [third]);
    assert.equal((await only('kept', kept, third)).outcome, 'duplicate');
    await Promise.all([other.stop(), third.stop()]);
    await hasRuns('kept', 1);
  });

  for (const [onRepeat, outcome, runs] of [
    ['skip', 'duplicate', 2],
    ['rerun', 'created', 3],
  ] as const) {
    it(`event 20: back to a revision that has had its run is ${runs} runs with ${onRepeat}`, async () => {
      const name = `repeat-${onRepeat}`;
      const first = await begin(name, { annotations: { 'rungate.dev/on-repeat': onRepeat } });
      assert.equal((await only(name, first)).outcome, 'created');
      await world.push(name, revisionOf(3));
      assert.equal((await only(name, { ...first, metadata: { revision: revisionOf(3) } })).outcome, 'created');
      await world.push(name, revisionOf(2));
      const back = { ...first, message: 'stored artifact for commit back' };
      assert.equal((await only(name, back)).outcome, outcome);
      assert.equal((await only(name, back)).outcome, 'duplicate');
      await hasRuns(name, runs);
    });
  }

  it('event 21: the same commit in the format of another Flux is a duplicate', async () => {
    await world.repository('upgraded', `main/${commitOf(2)}`);
    await world.listen('upgraded');
    const event = await world.event('upgraded', { revision: `main/${commitOf(2)}` });
    assert.equal((await only('upgraded', event)).outcome, 'created');
    await world.push('upgraded', revisionOf(2));
    assert.equal((await only('upgraded', { ...event, metadata: { revision: revisionOf(2) } })).outcome, 'duplicate');
    await hasRuns('upgraded', 1);
  });

  for (const [identity, outcome, runs] of [
    ['revision', 'duplicate', 1],
    ['content', 'created', 2],
  ] as const) {
    it(`event 23: another digest of the same revision is ${outcome} with identity ${identity}`, async () => {
      const name = `by-${identity}`;
      const event = await begin(name, { annotations: { 'rungate.dev/identity': identity } });
      assert.equal((await only(name, event)).outcome, 'created');
      await world.push(name, revisionOf(2), `sha256:${'b'.repeat(64)}`);
      assert.equal((await only(name, { ...event, message: 'another digest' })).outcome, outcome);
      await hasRuns(name, runs);
    });
  }

  it('event 24: an event of an ImagePolicy says no revision, and the tag that the object has is one run', async () => {
    const latest = (tag: string) => world.image('image', { latestRef: { name: 'docker.io/library/podinfo', tag } });
    await latest('1.0.0');
    await world.listen('image', { triggers: [{ name: 'image', bindings: { rev: '$(body.involvedObject.name)' } }] });
    const event = await world.event('image', {
      kind: 'ImagePolicy',
      reason: 'Succeeded',
      message: 'Latest image tag for docker.io/library/podinfo resolved to 1.0.0',
    });
    assert.equal((await only('image', event)).outcome, 'created');
    assert.equal((await only('image', { ...event, message: 'again' })).outcome, 'duplicate');
    await latest('1.0.1');
    assert.equal((await only('image', { ...event, message: 'and again' })).outcome, 'created');
    const runs = await hasRuns('image', 2);
    const revisions = runs.map(({ metadata }) => metadata.annotations?.['rungate.dev/revision']).sort();
    assert.deepEqual(revisions, ['docker.io/library/podinfo:1.0.0', 'docker.io/library/podinfo:1.0.1']);
  });

  it('event 29: a filter looks at the canonical header, which may be missing, and a body without what it names is an error of the filter', async () => {
    const filter =
      "header.canonical('Gotk-Component') == 'source-controller' && body.involvedObject.kind == 'GitRepository'";
    const event = await begin('filtered', { triggers: [{ name: 'filtered', filter }] });
    for (const [component, more] of [
      ['kustomize-controller', []],
      [undefined, ['gotk-component: kustomize-controller']],
      [undefined, []],
    ] as const) {
      const answer = await world.deliver('filtered', event, { component, more });
      assert.equal(answer.status, 202, answer.text);
      assert.equal(answer.json<{ results: HookResult[] }>().results[0]?.outcome, 'filtered');
    }
    const answer = await world.deliver('filtered', '{"some":"thing"}', { component: 'source-controller' });
    assert.equal(answer.status, 202, answer.text);
    const [result] = answer.json<{ results: HookResult[] }>().results;
    assert.deepEqual([result?.outcome, result?.reason], ['filtered', 'FilterError']);
    await hasRuns('filtered', 0);
    assert.equal((await only('filtered', event)).outcome, 'created');
    await hasRuns('filtered', 1);
  });

  it('event 30: what is not exactly true does not match, and other triggers of the listener run', async () => {
    const filters = {
      text: "'true'",
      number: '1.0',
      error: 'body.not.there',
      throws: "body.message.parseJSON().a == 'b'",
      list: '[true]',
    };
    const event = await begin('truth', {
      triggers: [
        ...Object.entries(filters).map(([name, filter]) => ({ name: `truth-${name}`, filter })),
        { name: 'truth-right', filter: "body.severity == 'info'" },
      ],
    });
    const results = await world.results('truth', event);
    assert.deepEqual(
      results.map(({ trigger, outcome }) => [trigger, outcome]),
      [...Object.keys(filters).map((name) => [`truth-${name}`, 'filtered']), ['truth-right', 'created']],
    );
    await hasRuns('truth', 1);
  });

  it('event 31: a value that is not there has its default, or its trigger fails and says so', async () => {
    const bindings = { rev: '$(body.metadata.commit)' };
    const event = await begin('values', {
      triggers: [
        { name: 'values-default', bindings, params: { rev: 'none told' } },
        { name: 'values-missing', bindings },
      ],
    });
    const results = await world.results('values', event);
    assert.deepEqual(
      results.map(({ trigger, outcome }) => [trigger, outcome]),
      [
        ['values-default', 'created'],
        ['values-missing', 'failed'],
      ],
    );
    const [run] = await hasRuns('values', 1);
    assert.equal(run && paramsOf(run).rev, 'none told');
  });

  it('event 32: whatever a commit says is data', async () => {
    const titles = [
      'x"}],"kind":"Secret',
      'two\nlines\ttabs',
      '$(tt.params.other)',
      '$(uid)',
      '$(params.x)',
      '<&>\u2028 ü 🚀',
    ];
    const bindings = { message: '$(body.message)', other: 'never inserted twice' };
    const resources = [runOf('hostile', { message: '$(tt.params.message)', other: '$(tt.params.other)' })];
    const event = await begin('hostile', { triggers: [{ name: 'hostile', bindings, resources }] });
    for (const [place, message] of titles.entries()) {
      const revision = revisionOf(10 + place);
      await world.push('hostile', revision);
      const { pipelineRun } = await only('hostile', { ...event, message, metadata: { revision } });
      const run = (await world.runs('hostile-')).find(
        ({ metadata }) => pipelineRun === `${world.namespace}/${metadata.name}`,
      );
      assert.ok(run, JSON.stringify(pipelineRun));
      assert.deepEqual(paramsOf(run), { message: message.replaceAll('$(', '$$$('), other: 'never inserted twice' });
    }
    await hasRuns('hostile', titles.length);
  });

  it('event 33: a template of another kind, or with a namespace from outside, is never created', async () => {
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'taken' }, stringData: { a: 'b' } };
    const elsewhere = runOf('odd', undefined, { generateName: 'odd-', namespace: '$(tt.params.rev)' });
    const foreign = runOf('odd', undefined, { generateName: 'odd-', namespace: world.namespaces[1] });
    const event = await begin('odd', {
      triggers: [
        { name: 'odd-secret', resources: [secret] },
        { name: 'odd-namespace', resources: [elsewhere] },
        { name: 'odd-foreign', resources: [foreign] },
        { name: 'odd-right' },
      ],
    });
    const results = await world.results('odd', event);
    assert.equal(results.find(({ trigger }) => trigger === 'odd-right')?.outcome, 'created');
    for (const { trigger, outcome } of results) {
      if (trigger !== 'odd-right') assert.ok(['failed', 'denied'].includes(outcome), `${trigger}: ${outcome}`);
    }
    await hasRuns('odd', 1);
    const { status } = await world.admin.bytes(`/api/v1/namespaces/${world.namespace}/secrets/taken`);
    assert.equal(status, 404);
  });

  it('event 34: a hostile pattern and a long text hold up nobody', async () => {
    const event = await begin('slow', {
      triggers: [
        { name: 'slow-pattern', filter: "body.message.matches('^(a+)+$') && body.message.matches('(a|aa)+b$')" },
        { name: 'slow-lists', filter: `${'[1,2,3,4,5,6,7,8,9].all(a, '.repeat(3)}true${')'.repeat(3)}` },
        { name: 'slow-right' },
      ],
    });
    const body = { ...event, message: `${'a'.repeat(30_000)}!` };
    const results = await world.results('slow', body);
    assert.equal(results.find(({ trigger }) => trigger === 'slow-pattern')?.outcome, 'filtered');
    assert.equal(results.find(({ trigger }) => trigger === 'slow-right')?.outcome, 'created');
    await world.runs('slow-').then((runs) => counted.set('slow', runs.length));
  });

  it('event 35: a ServiceAccount that may create no run is denied, and an Event says so', async () => {
    await world.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'nobody' } });
    const event = await begin('nobody', { triggers: [{ name: 'nobody', serviceAccountName: 'nobody' }] });
    const result = await only('nobody', event);
    assert.equal(result.outcome, 'denied', JSON.stringify(result));
    await world.until(async () => {
      const all = await world.told('EventListener', 'nobody');
      const told = all.find(({ type }) => type === 'Warning') ?? assert.fail(JSON.stringify(all));
      assert.match(told.message, /nobody/);
    });
    await hasRuns('nobody', 0);
  });

  it('the run of a trigger that names a ServiceAccount is created by that account', async () => {
    await world.apply(accountWhoMayCreate('builder'));
    await world.apply(roleWhoMayCreate('builder'));
    await world.apply(bindingOf('builder', world.namespace));
    await world.mayCreateRuns('builder');
    const event = await begin('builder', { triggers: [{ name: 'builder', serviceAccountName: 'builder' }] });
    assert.equal((await only('builder', event)).outcome, 'created');
    await hasRuns('builder', 1);
  });

  it('event 36: a suspended source is filtered', async () => {
    const event = await begin('paused');
    const path = `/apis/source.toolkit.fluxcd.io/v1/namespaces/${world.namespace}/gitrepositories/paused`;
    await world.admin.patch(path, { spec: { suspend: true } });
    assert.equal((await only('paused', event)).outcome, 'filtered');
    await world.admin.patch(path, { spec: { suspend: false } });
    await world.push('paused', revisionOf(2)); // Flux observes the new generation
    assert.equal((await only('paused', { ...event, message: 'not suspended any more' })).outcome, 'created');
    await hasRuns('paused', 1);
  });

  it('event 37: what kustomize-controller says every minute of the same revision is one run', async () => {
    await world.kustomization('apps', revisionOf(2));
    await world.listen('apps');
    const outcomes: string[] = [];
    for (let minute = 0; minute < 5; minute++) {
      const event = await world.event('apps', {
        kind: 'Kustomization',
        revision: revisionOf(2),
        reason: 'ReconciliationSucceeded',
        message: `Reconciliation finished in ${440 + minute}ms, next run in 1m0s`,
        metadata: { commit_status: 'update' },
      });
      outcomes.push((await only('apps', event)).outcome);
    }
    assert.deepEqual(outcomes, ['created', 'duplicate', 'duplicate', 'duplicate', 'duplicate']);
    await hasRuns('apps', 1);
  });

  it('the Host of the Service that Triggers would have made leads to the hook, whatever the path', async () => {
    const event = await begin('habit');
    const host = `el-habit.${world.namespace}.svc.cluster.local:8080`;
    const address = `${world.gateway.url}/any/path?at=all`;
    const answer = await world.deliver('habit', event, { host, with: { address } });
    assert.equal(answer.status, 202, answer.text);
    assert.equal(answer.json<{ results: HookResult[] }>().results[0]?.outcome, 'created');
    await hasRuns('habit', 1);
  });

  it('what a git host posts is run once for each of its deliveries, if its interceptor finds the signature right', async () => {
    await world.secret('github', { token: 'of the webhook' });
    const github = {
      ref: { name: 'github', kind: 'ClusterInterceptor' },
      params: [
        { name: 'secretRef', value: { secretName: 'github', secretKey: 'token' } },
        { name: 'eventTypes', value: ['push'] },
      ],
    };
    const bindings = { rev: '$(body.after)' };
    await world.listen('pushes', {
      secret: undefined,
      triggers: [{ name: 'pushes', interceptors: [github], bindings }],
    });
    const deliver = async (id: string, { signed = 'of the webhook', type = 'push', after = commitOf(2) } = {}) => {
      const body = JSON.stringify({ ref: 'refs/heads/main', after });
      const headers = {
        'X-GitHub-Delivery': id,
        'X-GitHub-Event': type,
        'X-Hub-Signature-256': signatureOf(signed, body),
      };
      const answer = await world.deliver('pushes', body, { with: { headers } });
      assert.equal(answer.status, 202, answer.text);
      return answer.json<{ results: HookResult[] }>().results[0]?.outcome;
    };
    assert.equal(await deliver('one'), 'created');
    assert.equal(await deliver('one'), 'duplicate');
    assert.equal(await deliver('two'), 'created');
    assert.equal(await deliver('three', { signed: 'of another' }), 'denied');
    assert.equal(await deliver('four', { type: 'issues' }), 'filtered');
    await hasRuns('pushes', 2);
  });

  it('a listener that is wrong says so, where people look for it', async () => {
    await world.apply({
      apiVersion: 'triggers.tekton.dev/v1beta1',
      kind: 'EventListener',
      metadata: { name: 'wrong', annotations: { 'rungate.dev/hook-secret': keySecret } },
      spec: { triggers: [{ name: 'wrong', template: { ref: 'not-there' } }] },
    });
    await world.served('wrong');
    await world.repository('wrong', revisionOf(2));
    const result = await only('wrong', await world.event('wrong', { revision: revisionOf(2) }));
    assert.equal(result.outcome, 'failed');
    const { message } = await world.tells('EventListener', 'wrong', result.reason ?? '');
    assert.match(message, /there is no TriggerTemplate not-there/);
    const { text } = await world.gateway.get(`/hooks/${world.namespace}/wrong/deliveries`);
    assert.match(text, /there is no TriggerTemplate not-there/);
  });

  it('and in the end no listener has another run', async () => {
    for (const [listener, count] of counted) await hasRuns(listener, count);
  });
});

const accountWhoMayCreate = (name: string) => ({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } });
const roleWhoMayCreate = (name: string) => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'Role',
  metadata: { name },
  rules: [{ apiGroups: ['tekton.dev'], resources: ['pipelineruns'], verbs: ['create', 'get'] }],
});
const bindingOf = (name: string, namespace: string) => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'RoleBinding',
  metadata: { name },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
  subjects: [{ kind: 'ServiceAccount', name, namespace }],
});
