/**
 * `/triggers` of a real API server: what callers are told of PipelineTriggers and their runs. In most of it statuses are written
 * by the test, as a controller would write them, and rungate is a gateway alone, with no right to write anything; in the last
 * part it is the whole.
 */
import assert from 'node:assert/strict';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { RunItem } from '../../src/tekton/runlist.ts';
import type { TriggerItem } from '../../src/triggers/item.ts';
import type { Manifest } from '../support/admin.ts';
import { eventually } from '../support/eventually.ts';
import type { Gateway } from '../support/gateway.ts';
import { startTriggerWorld, type TriggerWorld } from '../support/triggers.ts';
import { applyDefinitions, startWorld, type World } from '../support/world.ts';

type Trigger = TriggerItem & { readonly runs: readonly RunItem[] };
interface List {
  readonly items: readonly Trigger[];
  readonly served: boolean;
}

const at = '2026-11-01T10:00:00Z';
const condition = (type: string, status: string, reason: string, message: string) => ({
  conditions: [{ type, status, reason, message, lastTransitionTime: at }],
});

for (const cache of ['on', 'off'] as const) {
  describe(`triggers of a gateway with CACHE=${cache}`, () => {
    let world: World;
    before(async () => {
      world = await startWorld({
        namespaces: 2,
        components: ['triggers-read'],
        env: { CACHE: cache, PARTS: 'gateway' },
      });
    });
    after(() => world?.end());

    const pathOf = (name: string) =>
      `/apis/pipeline.jquad.rocks/v1alpha1/namespaces/${world.namespace}/pipelinetriggers/${name}`;
    const make = async (name: string, spec: object, labels = {}): Promise<Manifest> => {
      const [made] = await world.apply({
        apiVersion: 'pipeline.jquad.rocks/v1alpha1',
        kind: 'PipelineTrigger',
        metadata: { name, labels },
        spec,
      });
      assert.ok(made);
      return made;
    };
    const say = (name: string, status: object) => world.admin.patch(`${pathOf(name)}/status`, { status });
    const ask = async <T>(path: string, gateway: Gateway = world.gateway) => {
      const answer = await gateway.get(path);
      assert.equal(answer.status, 200, answer.text);
      return answer.json<T>();
    };
    const one = (name: string, query = '') => ask<Trigger>(`/triggers/${world.namespace}/${name}${query}`);

    it('trigger 8: one whose source has no artifact is told to wait for it, and then for the next', async () => {
      const source = { kind: 'GitRepository', name: 'app' };
      await make('app', { source, pipeline: { name: 'build', retries: 2 } }, { team: 'web' });
      await eventually(async () => {
        assert.equal((await one('app')).waitingFor, 'a controller to look at it for the first time');
      });
      const waited = world.gateway.get(`/triggers/${world.namespace}/app?wait=60`);
      await say(
        'app',
        condition('Unknown', 'Unknown', 'Unknown', 'waiting for GitRepository app to report a revision'),
      );
      await eventually(async () => {
        const { state, waitingFor } = await one('app');
        assert.deepEqual([state, waitingFor], ['waiting', 'GitRepository app to report a revision']);
      });
      await say('app', {
        latestEvent: 'main/03da4f0000000000000000000000000000000000',
        latestPipelineRun: 'app-abcd',
        ...condition('Success', 'True', 'Succeded', ''),
      });
      const { status, text } = await waited;
      assert.equal(status, 200);
      const told = JSON.parse(text) as Trigger;
      assert.deepEqual(
        [told.state, told.latestEvent, told.latestPipelineRun, told.waitingFor],
        [
          'succeeded',
          'main/03da4f0000000000000000000000000000000000',
          'app-abcd',
          'GitRepository app to report another revision',
        ],
      );
    });

    it('its runs are told, newest first, with where they stand: owned ones, and those of before that are only labelled', async () => {
      const source = { kind: 'GitRepository', name: 'lib' };
      const { metadata } = await make('lib', { source, pipeline: { name: 'build' } });
      const label = { 'pipeline.jquad.rocks/pipelinetrigger': 'lib' };
      const manifest = (name: string, more: object) => ({
        apiVersion: 'tekton.dev/v1',
        kind: 'PipelineRun',
        metadata: { name, ...more },
        spec: {
          pipelineSpec: {
            tasks: [{ name: 'say', taskSpec: { steps: [{ name: 'say', image: 'busybox', script: 'echo hello' }] } }],
          },
          status: 'PipelineRunPending',
        },
      });
      const owner = {
        apiVersion: 'pipeline.jquad.rocks/v1alpha1',
        kind: 'PipelineTrigger',
        name: 'lib',
        uid: metadata.uid,
        controller: true,
      };
      await world.apply(manifest('lib-before', { labels: label }));
      await world.apply(manifest('lib-owned', { ownerReferences: [owner] }));
      await world.apply(manifest('lib-foreign', { labels: { 'pipeline.jquad.rocks/pipelinetrigger': 'app' } }));
      await eventually(async () => {
        const trigger = await one('lib');
        assert.deepEqual(trigger.runs.map(({ name }) => name).sort(), ['lib-before', 'lib-owned']);
        assert.deepEqual(new Set(trigger.runs.map(({ phase }) => phase)), new Set(['pending']));
      });
      assert.equal((await one('lib', '?runs=1')).runs.length, 1);
      // Tekton may look at it between the two answers.
      await eventually(async () => {
        const { runs } = await one('lib');
        const { items } = await ask<{ items: readonly RunItem[] }>(`/runs/${world.namespace}?name=lib-owned`);
        assert.deepEqual(
          runs.find(({ name }) => name === 'lib-owned'),
          items[0],
        );
      });
      for (const run of ['lib-before', 'lib-owned', 'lib-foreign']) await world.remove(run);
      await eventually(async () => assert.deepEqual((await one('lib')).runs, []), { withinMs: 240_000 });
    });

    it('trigger 32: of a PullRequest each branch is told by itself', async () => {
      const spec = { pipelineRun: { apiVersion: 'tekton.dev/v1', kind: 'PipelineRun', spec: { pipelineSpec: {} } } };
      await make('prs', { source: { kind: 'PullRequest', name: 'prs' }, ...spec });
      const branch = {
        'feature/a': {
          name: 'feature/a',
          commit: 'aaa',
          details: '{"title":"hidden"}',
          latestPipelineRun: 'feature-a-1',
          ...condition('InProgress', 'Unknown', 'InProgress', 'Progressing'),
        },
        'feature/b': { name: 'feature/b', commit: 'bbb', ...condition('Error', 'False', 'Failed', 'denied') },
      };
      await say('prs', { branches: { branch } });
      await eventually(async () => {
        const told = await one('prs');
        assert.deepEqual(
          told.branches?.map(({ name, state, latestEvent, waitingFor }) => [name, state, latestEvent, waitingFor]),
          [
            ['feature/a', 'running', 'aaa', 'run feature-a-1 to end'],
            ['feature/b', 'error', 'bbb', 'somebody to put this right: denied'],
          ],
        );
        assert.doesNotMatch(JSON.stringify(told), /hidden/);
      });
    });

    it('lists are those of the namespace, chosen and paged, as the document describes them', async () => {
      const list = await ask<List>(`/triggers/${world.namespace}`);
      assert.deepEqual(
        list.items.map(({ name }) => name),
        ['app', 'lib', 'prs'],
      );
      assert.equal(list.served, true);
      assert.deepEqual(
        (await ask<List>('/triggers?labelSelector=team%3Dweb')).items.map(({ name }) => name),
        ['app'],
      );
      assert.deepEqual(await ask<List>(`/triggers/${world.namespaces[1]}`), { items: [], served: true });
      interface Document {
        readonly paths: Record<
          string,
          { get: { responses: Record<string, { content: Record<string, { schema: object }> }> } }
        >;
        readonly components: object;
      }
      const { paths, components } = await ask<Document>('/openapi.json');
      const schema = paths['/triggers/{namespace}']?.get.responses['200']?.content['application/json']?.schema;
      const validate = new Ajv2020({ strict: false, validateFormats: false }).compile({ ...schema, components });
      assert.ok(validate(list), JSON.stringify(validate.errors));
    });

    it('a caller without the namespace learns nothing; a name that is not there is 404', async () => {
      for (const path of ['/triggers/kube-system', '/triggers/kube-system/app']) {
        assert.equal((await world.gateway.get(path)).status, 403, path);
      }
      assert.equal((await world.gateway.get(`/triggers/${world.namespace}/nobody`)).status, 404);
    });

    it('trigger 36: one that is deleted is told no more', async () => {
      await world.admin.remove(pathOf('app'));
      await eventually(async () => {
        assert.equal((await world.gateway.get(`/triggers/${world.namespace}/app`)).status, 404);
      });
    });
  });
}

describe('triggers that rungate may not read', () => {
  let world: World;
  before(async () => {
    world = await startWorld({ gateway: false });
    await applyDefinitions(world.admin);
    await world.startGateway({ env: { PARTS: 'gateway' } });
  });
  after(() => world?.end());

  it('are 502 that says so, while runs are served and the process is ready', async () => {
    for (const path of ['/triggers', `/triggers/${world.namespace}`, `/triggers/${world.namespace}/app`]) {
      const answer = await eventually(async () => {
        const told = await world.gateway.get(path);
        assert.equal(told.status, 502, told.text);
        return told;
      });
      assert.match(answer.json<{ error: string }>().error, /^PipelineTriggers cannot be read: /);
    }
    assert.equal((await world.gateway.get('/ready')).status, 200);
    assert.equal((await world.gateway.get('/runs')).status, 200);
  });
});

describe('triggers of a rungate that starts runs itself', function () {
  this.timeout(600_000);
  let world: TriggerWorld;
  before(async () => {
    world = await startTriggerWorld();
  });
  after(() => world?.end());

  it('trigger 10: are told from the missing Pipeline to the end of the run, and the log of that can be read', async () => {
    const revision = 'main@sha1:03da4f0000000000000000000000000000000001';
    const ask = async (query = '') =>
      (await world.gateway.get(`/triggers/${world.namespace}/t${query}`)).json<Trigger>();
    await world.repository('app', revision);
    await world.trigger(`
apiVersion: pipeline.jquad.rocks/v1alpha1
kind: PipelineTrigger
metadata: { name: t }
spec:
  source: { kind: GitRepository, name: app }
  pipeline:
    name: build
    inputParams: [{ name: rev, value: $(commit) }]
`);
    await world.until(async () => {
      const { state, waitingFor } = await ask();
      assert.deepEqual(
        [state, waitingFor],
        ['error', 'somebody to put this right: Pipeline.tekton.dev "build" not found'],
      );
    });
    const { headers } = await world.gateway.get(`/triggers/${world.namespace}/t`);
    const changed = world.gateway.get(`/triggers/${world.namespace}/t?wait=60`, {
      headers: { 'if-none-match': headers.etag ?? '' },
    });
    await world.pipeline('build');
    assert.equal((await changed).status, 200);
    const told = await eventually(
      async () => {
        const trigger = await ask('?wait=60');
        assert.deepEqual([trigger.state, trigger.runs[0]?.phase], ['succeeded', 'succeeded']);
        return trigger;
      },
      { withinMs: 240_000 },
    );
    assert.deepEqual(
      [told.latestEvent, told.runs.map(({ name }) => name), told.waitingFor],
      [revision, [told.latestPipelineRun], 'GitRepository app to report another revision'],
    );
    const log = await world.gateway.get(`/logs/${told.latestPipelineRun}?color=never&prefix=none&wait=30`);
    assert.match(log.text, /^built 03da4f0000000000000000000000000000000001$/m);
  });
});
