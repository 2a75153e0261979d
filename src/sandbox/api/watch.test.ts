/** Watches as clients see them, over HTTPS, with time turned by hand. */
import assert from 'node:assert/strict';
import { type Lines, openTarget, type Target } from '../../../test/contract/target.ts';
import { resources } from '../../../test/support/api.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { HandClock } from '../../../test/support/hand-clock.ts';
import { type RunningSandbox, startSandbox } from '../../../test/support/sandbox.ts';
import type { JsonObject, KubeObject } from '../object.ts';
import type { SandboxOptions } from '../sandbox.ts';
import { expireWatch, slowWatch } from './faults.ts';

const { configMaps } = resources;
const path = '/api/v1/namespaces/default/configmaps';

describe('a watch', () => {
  let sandbox: RunningSandbox;
  let target: Target;
  let clock: HandClock;
  const open: Lines[] = [];

  afterEach(async () => {
    for (const lines of open.splice(0)) lines.close();
    target.close();
    await sandbox.end();
  });

  async function begin(options: Partial<SandboxOptions> = {}): Promise<void> {
    clock = new HandClock();
    sandbox = await startSandbox({ clock, ...options });
    target = await openTarget('sandbox', sandbox.kubeconfigFile);
  }

  function make(name: string, more: JsonObject = {}): KubeObject {
    const metadata = { name, namespace: 'default', labels: { set: 'test' } };
    return sandbox.client.create(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata, ...more });
  }

  async function watch(query: string, headers: Record<string, string> = {}): Promise<Lines> {
    const lines = await target.stream(`${path}?watch=true&labelSelector=set%3Dtest&${query}`, { headers });
    open.push(lines);
    return lines;
  }

  async function next(lines: Lines): Promise<string> {
    const line = await lines.next();
    if (line === undefined) return 'end';
    const { type, object } = JSON.parse(line) as { type: string; object: KubeObject & { message?: string } };
    return `${type} ${object.metadata.name ?? object.message ?? ''}`.trim();
  }

  async function versionNow(): Promise<string> {
    const { body } = await target.request('GET', path);
    return (body as { metadata: { resourceVersion: string } }).metadata.resourceVersion;
  }

  it('tells what is there, and then every change', async () => {
    await begin();
    make('a');
    const lines = await watch('');
    assert.equal(await next(lines), 'ADDED a');
    make('b');
    sandbox.client.patch(configMaps, 'default', 'b', { data: { x: '1' } });
    sandbox.client.remove(configMaps, 'default', 'a');
    assert.deepEqual([await next(lines), await next(lines), await next(lines)], ['ADDED b', 'MODIFIED b', 'DELETED a']);
  });

  it('goes on from a version, of which it leaves nothing out', async () => {
    await begin();
    make('a');
    const version = await versionNow();
    make('b');
    sandbox.client.remove(configMaps, 'default', 'a');
    const lines = await watch(`resourceVersion=${version}`);
    assert.deepEqual([await next(lines), await next(lines)], ['ADDED b', 'DELETED a']);
  });

  it('tells of objects that begin and cease to match', async () => {
    await begin();
    make('a');
    const lines = await watch('');
    await next(lines);
    const label = (set: string | null) =>
      sandbox.client.patch(configMaps, 'default', 'a', { metadata: { labels: { set } } });
    label('other');
    label(null);
    label('test');
    assert.deepEqual([await next(lines), await next(lines)], ['DELETED a', 'ADDED a']);
  });

  it('ends after its time, with a bookmark shortly before', async () => {
    await begin();
    const lines = await watch('timeoutSeconds=100&allowWatchBookmarks=true');
    await eventually(() => assert.ok(clock.sleeping >= 2));
    await clock.turn(60_000);
    assert.equal(await next(lines), 'BOOKMARK');
    await clock.turn(38_000);
    assert.equal(await next(lines), 'BOOKMARK');
    await clock.turn(2_000);
    assert.equal(await next(lines), 'end');
  });

  it('ends within an hour when nobody says when', async () => {
    await begin();
    const lines = await watch('');
    await eventually(() => assert.ok(clock.sleeping >= 1));
    await clock.turn(60 * 60_000);
    assert.equal(await next(lines), 'end');
  });

  it('sends initial events and says when they are over', async () => {
    await begin();
    make('a');
    const lines = await watch('sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true');
    assert.equal(await next(lines), 'ADDED a');
    const { object } = JSON.parse((await lines.next()) ?? '') as { object: KubeObject };
    assert.deepEqual(object.metadata.annotations, { 'k8s.io/initial-events-end': 'true' });
    assert.equal(object.metadata.resourceVersion, await versionNow());
  });

  it('is told in the stream when it asks for what is forgotten', async () => {
    await begin({ history: 5 });
    for (let n = 0; n < 20; n++) make(`c${n}`);
    const lines = await watch('resourceVersion=1');
    assert.match(await next(lines), /^ERROR too old resource version: 1 \(\d+\)$/);
    assert.equal(await next(lines), 'end');
  });

  it('is refused when its version is none', async () => {
    await begin();
    const { status, body } = await target.request('GET', `${path}?watch=true&resourceVersion=x`);
    assert.deepEqual(
      [status, (body as JsonObject).message],
      [500, 'resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax'],
    );
  });

  it('can be had as tables, which name their columns once', async () => {
    await begin();
    const lines = await watch('', { Accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' });
    make('a', { data: { x: '1' } });
    make('b');
    const tables = [await lines.next(), await lines.next()].map(
      (line) => (JSON.parse(line ?? '') as { object: JsonObject }).object,
    );
    const columns = tables.map(({ columnDefinitions }) => Array.isArray(columnDefinitions));
    const cells = tables.map(({ rows }) => (rows as { cells: unknown[] }[])[0]?.cells.slice(0, 2));
    assert.deepEqual(
      [columns, cells],
      [
        [true, false],
        [
          ['a', 1],
          ['b', 0],
        ],
      ],
    );
  });

  it('ends when the server stops', async () => {
    await begin();
    const lines = await watch('');
    const stopped = sandbox.end();
    assert.equal(await next(lines).catch(() => 'end'), 'end');
    await stopped;
  });

  it('slowWatch holds events back, expireWatch refuses a number of times', async () => {
    await begin({ faults: [slowWatch('configmaps', 1_000), expireWatch('configmaps')] });
    assert.match(await next(await watch('')), /^ERROR too old resource version/);
    const lines = await watch('');
    make('a');
    const sleeping = clock.sleeping;
    await eventually(() => assert.ok(clock.sleeping > sleeping));
    const first = next(lines);
    await clock.turn(1_000);
    assert.equal(await first, 'ADDED a');
  });
});
