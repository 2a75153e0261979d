/** Runs that callers ask for: who may, once for each key, and of what Flux finds when it is asked to look first. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clusterSuite } from '../support/needs.ts';
import { makeOrigin, type Origin } from '../support/origin.ts';
import { valuesOf, wholeTrigger } from '../support/trigger-manifests.ts';
import { startTriggerWorld, type TriggerWorld } from '../support/triggers.ts';

interface Source {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
  readonly status?: {
    readonly artifact?: { readonly revision: string };
    readonly lastHandledReconcileAt?: string;
  };
}

clusterSuite('runs that callers ask for', { flux: true }, function () {
  this.timeout(600_000);
  let world: TriggerWorld;
  let folder: string;
  const origins: Origin[] = [];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rungate-access-'));
    const file = join(folder, 'access.yaml');
    await writeFile(file, 'ci: {read: "*", run: "*"}\n');
    world = await startTriggerWorld({ components: ['triggers-run'], env: { ACCESS_FILE: file } });
    await world.pipeline('skips');
  });
  after(async () => {
    await world?.end();
    for (const origin of origins) await origin.remove();
    if (folder !== undefined) await rm(folder, { recursive: true });
  });

  const sourcePath = (name: string) =>
    `/apis/source.toolkit.fluxcd.io/v1/namespaces/${world.namespace}/gitrepositories/${name}`;
  const source = (name: string) => world.admin.get<Source & { readonly metadata: { name: string } }>(sourcePath(name));
  const ask = (trigger: string, key: string) =>
    world.gateway.get(`/triggers/${world.namespace}/${trigger}/run`, {
      method: 'POST',
      headers: { 'Idempotency-Key': key },
    });

  /** A trigger on a repository that Flux looks at once an hour, which has had its run of the first commit. */
  const begin = async (name: string) => {
    const origin = await makeOrigin(world, name);
    origins.push(origin);
    const first = await origin.push();
    await world.apply({
      apiVersion: 'source.toolkit.fluxcd.io/v1',
      kind: 'GitRepository',
      metadata: { name },
      spec: { url: origin.url, ref: { branch: 'main' }, interval: '1h' },
    });
    await world.trigger(wholeTrigger(name, name));
    await world.reached(name, `main@sha1:${first}`);
    return { origin, first };
  };
  /** Makes it look as if Flux had found the artifact long ago, to a rungate that reads it then. */
  const age = async (name: string) => {
    await world.admin.patch(`${sourcePath(name)}/status`, {
      status: { artifact: { lastUpdateTime: '2026-01-01T00:00:00Z' } },
    });
    await world.gateway.stop();
    await world.restart();
  };

  it('Flux is asked to look first, and what it finds is run once', async () => {
    const { origin, first } = await begin('old');
    await age('old');
    const second = await origin.push();
    const answer = await ask('old', 'one');
    assert.equal(answer.status, 202, answer.text);
    const { runAt, asked } = answer.json<{ runAt: string; asked: string }>();
    assert.equal(asked, 'now');
    await world.reached('old', `main@sha1:${second}`);
    await world.until(async () => {
      const { metadata, status } = await source('old');
      assert.equal(metadata.annotations?.['reconcile.fluxcd.io/requestedAt'], runAt);
      assert.equal(status?.lastHandledReconcileAt, runAt);
    });
    await world.settled();
    assert.deepEqual(valuesOf(await world.hasRuns('old', 2), 'rev'), [first, second].sort());
  });

  it('a key is one run however often it is sent, another key is another run of the same revision', async () => {
    const { first } = await begin('fresh');
    for (const [key, runs] of [
      ['one', 2],
      ['one', 2],
      ['two', 3],
      ['one', 3],
    ] as const) {
      const answer = await ask('fresh', key);
      assert.equal(answer.status, 202, answer.text);
      assert.deepEqual(valuesOf(await world.hasRuns('fresh', runs), 'rev'), Array(runs).fill(first));
      await world.reached('fresh', `main@sha1:${first}`);
      await world.settled();
    }
    for (const key of ['one', 'two']) {
      const { eventID } = (await ask('fresh', key)).json<{ eventID: string }>();
      const found = await world.gateway.get(`/runs/${world.namespace}?eventId=${eventID}&wait=300`);
      assert.equal(found.json<{ items: unknown[] }>().items.length, 1, `${key}: ${found.text}`);
    }
    assert.equal(await world.gateway.metric('rungate_runs_created_total{cause="hand"}'), 2);
    const told = (await world.eventsOf('fresh')).map(({ message }) => message);
    assert.equal(told.filter((message) => message.includes('got new event')).length, 1);
    assert.equal(told.filter((message) => message.includes('was asked for')).length, 2);
  });

  it('whoever shows no credentials, or sends no key, asks for nothing', async () => {
    await begin('guarded');
    const path = `/triggers/${world.namespace}/guarded/run`;
    assert.equal(
      (await world.gateway.get(path, { as: 'none', method: 'POST', headers: { 'Idempotency-Key': 'x' } })).status,
      401,
    );
    assert.equal((await world.gateway.get(path, { method: 'POST' })).status, 400);
    await world.settled();
    await world.hasRuns('guarded', 1);
  });
});
