/** The life of a sandbox as a whole: it starts, keeps what it is told to keep, and leaves nothing behind. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openTarget } from '../../test/contract/target.ts';
import { resources } from '../../test/support/api.ts';
import { eventually } from '../../test/support/eventually.ts';
import { HandClock } from '../../test/support/hand-clock.ts';
import { type RunningSandbox, startSandbox } from '../../test/support/sandbox.ts';
import { Fault } from '../fault.ts';
import type { NewObject } from './api/client.ts';
import { objectIn } from './core/reading.ts';

const { configMaps, definitions, widgets } = resources;

describe('a sandbox', () => {
  let folder: string;
  const running: RunningSandbox[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sandbox-'));
  });
  afterEach(async () => {
    for (const sandbox of running.splice(0)) await sandbox.end();
    await rm(folder, { recursive: true, force: true });
  });

  async function start(options: Parameters<typeof startSandbox>[0] = {}): Promise<RunningSandbox> {
    const sandbox = await startSandbox({ folder, ...options });
    running.push(sandbox);
    return sandbox;
  }

  const configMap = (name: string): NewObject => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: 'default' },
  });

  it('says where it is in a kubeconfig that works', async () => {
    const sandbox = await start();
    const target = await openTarget('sandbox', sandbox.kubeconfigFile);
    const { status } = await target.request('GET', '/api/v1/namespaces/default');
    target.close();
    assert.equal(status, 200);
  });

  it('leaves nothing open', async () => {
    const open = () =>
      process.getActiveResourcesInfo().filter((resource) => /TCP|TLS|Process|FSEvent|Stat/.test(resource));
    await eventually(() => assert.deepEqual(open(), [])); // connections of tests before this one close when they like
    const clock = new HandClock();
    const sandbox = await start({ life: true, clock });
    const target = await openTarget('sandbox', sandbox.kubeconfigFile);
    const lines = await target.stream('/api/v1/pods?watch=true');
    assert.ok(open().length > 0);
    await sandbox.end();
    lines.close();
    target.close();
    await eventually(() => assert.deepEqual([open(), clock.sleeping], [[], 0]));
  });

  it('forgets everything, unless it is to keep it', async () => {
    const first = await start();
    first.client.create(configMaps, configMap('a'));
    await first.end();
    assert.equal((await start()).client.get(configMaps, 'default', 'a'), undefined);
  });

  it('keeps objects, versions, definitions and their objects', async () => {
    const first = await start({ keep: true });
    const kept = first.client.create(configMaps, configMap('a'));
    first.client.create(definitions, {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'widgets.test.rungate.dev' },
      spec: {
        group: 'test.rungate.dev',
        scope: 'Namespaced',
        names: { plural: 'widgets', kind: 'Widget' },
        versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
      },
    });
    const widget = { apiVersion: 'test.rungate.dev/v1', kind: 'Widget', metadata: { name: 'w', namespace: 'default' } };
    first.client.create(widgets, widget);
    await first.end();
    assert.equal((await stat(join(folder, 'state.json'))).mode & 0o777, 0o600);

    const second = await start({ keep: true });
    assert.deepEqual(second.client.get(configMaps, 'default', 'a'), kept);
    assert.notEqual(second.client.get(widgets, 'default', 'w'), undefined);
    const later = second.client.create(configMaps, configMap('b'));
    assert.ok(Number(later.metadata.resourceVersion) > Number(kept.metadata.resourceVersion));
    assert.notEqual(second.token, first.token);
  });

  it('saves now and then, so that being killed costs little', async () => {
    const clock = new HandClock();
    const sandbox = await start({ keep: true, clock });
    sandbox.client.create(configMaps, configMap('a'));
    await eventually(() => assert.ok(clock.sleeping > 0));
    await clock.turn(5_000);
    await eventually(async () => {
      assert.match(await readFile(join(folder, 'state.json'), 'utf8'), /"name":"a"/);
    });
  });

  it('does not begin with a state that is none', async () => {
    await writeFile(join(folder, 'state.json'), '{"torn');
    await assert.rejects(start({ keep: true }), (error) => {
      return (
        error instanceof Fault &&
        error.code === 'refused' &&
        /state\.json is no state of a sandbox; remove it/.test(error.message)
      );
    });
    assert.equal(await readFile(join(folder, 'state.json'), 'utf8'), '{"torn');
  });

  it('says which port is taken, and leaves nothing of its start', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as { port: number };
    await assert.rejects(
      start({ port }),
      (error) => error instanceof Fault && error.message.includes(`port ${port} of 127.0.0.1`),
    );
    await new Promise((resolve) => other.close(resolve));
    await start({ port });
  });

  it('runs what it is given to run', async function () {
    this.timeout(90_000);
    const sandbox = await start({ life: true });
    const taskRuns = { group: 'tekton.dev', version: 'v1', plural: 'taskruns' };
    sandbox.client.create(taskRuns, {
      apiVersion: 'tekton.dev/v1',
      kind: 'TaskRun',
      metadata: { name: 'hello', namespace: 'default' },
      spec: {
        taskSpec: {
          results: [{ name: 'sum' }],
          steps: [{ name: 'add', image: 'alpine', script: 'printf 3 > $(results.sum.path)' }],
        },
      },
    });
    await eventually(
      () => {
        const { results, conditions } = objectIn(sandbox.client.get(taskRuns, 'default', 'hello')?.status);
        assert.match(JSON.stringify(conditions), /"reason":"Succeeded"/);
        assert.deepEqual(results, [{ name: 'sum', type: 'string', value: '3' }]);
      },
      { withinMs: 60_000 },
    );
  });
});
