import assert from 'node:assert/strict';
import { HandClock } from '../../../test/support/hand-clock.ts';
import { Fault } from '../../fault.ts';
import type { KubeReader } from '../../kube/client.ts';
import type { Leadership } from '../../kube/lease.ts';
import type { JsonObject } from '../../kube/objects.ts';
import { createStore } from '../../kube/store.ts';
import { type KubeWriter, WriteFault } from '../../kube/writer.ts';
import { silentLog } from '../../log.ts';
import { silentMetrics } from '../../metrics.ts';
import { projectPipelineRun } from '../../tekton/project.ts';
import type { PipelineRun } from '../../tekton/types.ts';
import { createRunIndex } from '../../triggers/runs.ts';
import { type PipelineTrigger, projectTrigger } from '../triggers/resource.ts';
import { createHistory } from './controller.ts';

const started = Date.parse('2026-11-01T10:00:00Z');
const at = (seconds: number) => new Date(started + seconds * 1_000).toISOString().replace('.000Z', 'Z');

interface Trigger {
  readonly name?: string;
  readonly maxHistory?: number;
  readonly latestPipelineRun?: string;
  readonly sequence?: number;
  readonly version?: number;
  readonly uid?: string;
}

function trigger({
  name = 't',
  maxHistory,
  latestPipelineRun,
  sequence = 1,
  version = 1,
  uid = `uid-${name}`,
}: Trigger): JsonObject {
  return {
    metadata: { namespace: 'ci', name, uid, resourceVersion: String(version), generation: 1 },
    spec: {
      source: { kind: 'GitRepository', name: 'app' },
      pipeline: { name: 'build', inputParams: [], ...(maxHistory === undefined ? {} : { maxHistory }) },
    },
    status:
      latestPipelineRun === undefined
        ? {}
        : { latestEvent: 'main/1', eventSequence: sequence, eventIdentity: 'main/1', latestPipelineRun },
  };
}

interface Run {
  readonly name: string;
  /** Seconds after the start; absent while it goes on. */
  readonly completed?: number;
  readonly of?: string;
  readonly version?: number;
  readonly key?: string;
}

function run({ name, completed, of = 't', version = 1, key }: Run): PipelineRun {
  return projectPipelineRun({
    metadata: {
      namespace: 'ci',
      name,
      uid: `uid-${name}`,
      resourceVersion: String(version),
      creationTimestamp: at(0),
      ownerReferences: [{ kind: 'PipelineTrigger', name: of, uid: `uid-${of}`, controller: true }],
      ...(key === undefined ? {} : { annotations: { 'pipeline.jquad.rocks/event-key': key } }),
    },
    status:
      completed === undefined
        ? {}
        : {
            conditions: [{ type: 'Succeeded', status: 'True', reason: 'r', message: '' }],
            completionTime: at(completed),
          },
  });
}

/** A history over stores that a test fills, and an API server that knows what is in them. */
function rig({ maxDeletesPerSecond = 50 } = {}) {
  const clock = new HandClock();
  const triggers = createStore<PipelineTrigger>(silentLog);
  const runs = createStore<PipelineRun>(silentLog);
  const index = createRunIndex(runs.store);
  /** Triggers as the server has them, which a store may lag behind. */
  const live = new Map<string, JsonObject>();
  const deletions: { readonly name: string; readonly atMs: number }[] = [];
  const world = { complete: true, refuse: undefined as Fault | undefined, reads: 0, held: true };
  const listeners = new Set<(held: boolean) => void>();

  const nameIn = (path: string) => path.slice(path.lastIndexOf('/') + 1);
  const reader: KubeReader = {
    async get(path) {
      world.reads++;
      assert.match(path, /^\/apis\/pipeline\.jquad\.rocks\/v1alpha1\/namespaces\/ci\/pipelinetriggers\/[a-z0-9]+$/);
      const found = live.get(nameIn(path));
      if (found === undefined) throw new Fault('not-found', 'gone');
      return found;
    },
    stream: () => assert.fail('nothing is streamed'),
  };
  const notHere = () => assert.fail('nothing but deletions');
  const writer: KubeWriter = {
    create: notHere,
    patch: notHere,
    replace: notHere,
    async remove(path, only) {
      if (world.refuse !== undefined) throw world.refuse;
      assert.match(path, /^\/apis\/tekton\.dev\/v1\/namespaces\/ci\/pipelineruns\//);
      const found = runs.store.get({ namespace: 'ci', name: nameIn(path) });
      deletions.push({ name: nameIn(path), atMs: clock.now() - started });
      if (found === undefined) return;
      assert.equal(only.uid, found.meta.uid);
      if (only.resourceVersion !== found.meta.resourceVersion) {
        throw new WriteFault('conflict', 'changed', { status: 409, reason: 'Conflict', said: '' });
      }
      runs.writer.remove(found);
    },
  };
  const leadership: Leadership = {
    held: () => world.held,
    remainingMs: () => (world.held ? 10_000 : 0),
    holder: () => undefined,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
  const history = createHistory({
    reader,
    runPath: async ({ namespace, name }) => `/apis/tekton.dev/v1/namespaces/${namespace}/pipelineruns/${name}`,
    writer,
    triggers: triggers.store,
    runs: runs.store,
    index,
    complete: () => world.complete,
    leadership,
    maxDeletesPerSecond,
    clock,
    random: () => 0,
    log: silentLog,
    metrics: silentMetrics,
  });
  return {
    clock,
    history,
    world,
    deletions,
    /** Puts a trigger where the server has it and, unless told, into the store too. */
    putTrigger(given: Trigger, { seen = true } = {}) {
      const raw = trigger(given);
      live.set(given.name ?? 't', raw);
      if (seen) triggers.writer.put(projectTrigger(raw));
    },
    removeTrigger(name: string) {
      live.delete(name);
      const kept = triggers.store.get({ namespace: 'ci', name });
      if (kept !== undefined) triggers.writer.remove(kept);
    },
    forgetLive: (name: string) => live.delete(name),
    putRun: (given: Run) => runs.writer.put(run(given)),
    removeRun: (name: string) => runs.writer.remove(run({ name })),
    lead(held: boolean) {
      world.held = held;
      for (const listener of listeners) listener(held);
    },
    names: () => [...runs.store.values()].map(({ meta }) => meta.name).sort(),
    end: () => history.stop(new AbortController().signal),
  };
}

describe('the history of a trigger', () => {
  it('trigger 23: what is too old goes, whatever was there when it began to look', async () => {
    const { putTrigger, putRun, clock, history, names, end } = rig();
    putTrigger({ maxHistory: 3, latestPipelineRun: 'r6' });
    for (let second = 1; second <= 6; second++) putRun({ name: `r${second}`, completed: second });
    await history.start();
    await clock.turn(5_000);
    assert.deepEqual(names(), ['r4', 'r5', 'r6']);
    await end();
  });

  it('trigger 23: is looked at when a run begins, when it ends, and when the status goes on to another', async () => {
    const { putTrigger, putRun, clock, history, names, end } = rig();
    putTrigger({ maxHistory: 1, latestPipelineRun: 'r1' });
    putRun({ name: 'r1', completed: 1 });
    await history.start();
    putTrigger({ maxHistory: 1, latestPipelineRun: 'Unknown', sequence: 2, version: 2 });
    putRun({ name: 'r2', key: 'uid-t/2/0' });
    await clock.turn(2_000);
    assert.deepEqual(names(), ['r2'], 'the status has gone on to the second');
    putRun({ name: 'r2', key: 'uid-t/2/0', completed: 9, version: 2 });
    putTrigger({ maxHistory: 1, latestPipelineRun: 'r2', sequence: 2, version: 3 });
    putTrigger({ maxHistory: 1, latestPipelineRun: 'r3', sequence: 3, version: 4 });
    putRun({ name: 'r3' });
    await clock.turn(2_000);
    assert.deepEqual(names(), ['r3']);
    await end();
  });

  it('a run that the status intends is not deleted, though the store of triggers lags behind', async () => {
    const { putTrigger, putRun, clock, history, names, end } = rig();
    putTrigger({ maxHistory: 1, latestPipelineRun: 'r1' });
    putRun({ name: 'r1', completed: 9 });
    await history.start();
    putTrigger({ maxHistory: 1, latestPipelineRun: 'Unknown', sequence: 2, version: 2 }, { seen: false });
    putRun({ name: 'r2', completed: 5, key: 'uid-t/2/0' });
    await clock.turn(2_000);
    assert.deepEqual(names(), ['r2']);
    await end();
  });

  it('nothing is asked where nothing may go', async () => {
    const { putTrigger, putRun, clock, history, world, names, end } = rig();
    putTrigger({ name: 'all' });
    putTrigger({ name: 'few', maxHistory: 3 });
    for (let second = 1; second <= 9; second++) putRun({ name: `a${second}`, of: 'all', completed: second });
    for (let second = 1; second <= 3; second++) putRun({ name: `f${second}`, of: 'few', completed: second });
    await history.start();
    await clock.turn(60_000);
    assert.equal(names().length, 12);
    assert.equal(world.reads, 0);
    await end();
  });

  it('trigger 36: of a trigger that is gone, or that is another one by now, nothing is deleted', async () => {
    const { putTrigger, removeTrigger, forgetLive, putRun, clock, history, names, end } = rig();
    putTrigger({ name: 'a', maxHistory: 1 });
    putTrigger({ name: 'b', maxHistory: 1 });
    putTrigger({ name: 'c', maxHistory: 1 });
    for (const owner of ['a', 'b', 'c']) {
      for (const second of [1, 2]) putRun({ name: `${owner}${second}`, of: owner, completed: second });
    }
    removeTrigger('a');
    forgetLive('b');
    putTrigger({ name: 'c', maxHistory: 1, uid: 'another' }, { seen: false });
    await history.start();
    await clock.turn(60_000);
    assert.deepEqual(names(), ['a1', 'a2', 'b1', 'b2', 'c1', 'c2']);
    await end();
  });

  it('nothing is deleted before every run is known', async () => {
    const { putTrigger, putRun, clock, history, world, names, end } = rig();
    world.complete = false;
    putTrigger({ maxHistory: 1 });
    putRun({ name: 'r3', completed: 3 });
    putRun({ name: 'r2', completed: 2 });
    await history.start();
    await clock.turn(10_000);
    assert.deepEqual(names(), ['r2', 'r3']);
    putRun({ name: 'r1', completed: 1 });
    world.complete = true;
    await clock.turn(2_000);
    assert.deepEqual(names(), ['r3']);
    await end();
  });

  it('a run that has changed meanwhile is looked at again, and one that is gone is no trouble', async () => {
    const { putTrigger, putRun, clock, history, world, names, end } = rig();
    putTrigger({ maxHistory: 1, latestPipelineRun: 'r3' });
    for (let second = 1; second <= 3; second++) putRun({ name: `r${second}`, completed: second });
    world.refuse = new WriteFault('conflict', 'changed', { status: 409, reason: 'Conflict', said: '' });
    await history.start();
    await clock.turn(100);
    assert.equal(names().length, 3);
    putRun({ name: 'r1', completed: 1, version: 2 });
    world.refuse = undefined;
    await clock.turn(5_000);
    assert.deepEqual(names(), ['r3']);
    await end();
  });

  it('while another replica leads nothing is deleted, and whoever begins to lead begins with everything', async () => {
    const { putTrigger, putRun, clock, history, lead, names, end } = rig();
    lead(false);
    putTrigger({ maxHistory: 1 });
    await history.start();
    for (let second = 1; second <= 3; second++) putRun({ name: `r${second}`, completed: second });
    await clock.turn(10_000);
    assert.equal(names().length, 3);
    lead(true);
    await clock.turn(2_000);
    assert.deepEqual(names(), ['r3']);
    await end();
  });

  it('two thousand runs go at the pace that is set, and a trigger that comes later has not to wait for them', async () => {
    const { putTrigger, putRun, clock, history, deletions, names, end } = rig();
    putTrigger({ name: 'big', maxHistory: 10 });
    for (let place = 0; place < 2_000; place++) putRun({ name: `big${place}`, of: 'big', completed: place });
    await history.start();
    await clock.turn(5_000);
    putTrigger({ name: 'small', maxHistory: 1 });
    for (const place of [1, 2, 3]) putRun({ name: `small${place}`, of: 'small', completed: place });
    await clock.turn(5_000);
    assert.deepEqual(
      names().filter((name) => name.startsWith('small')),
      ['small3'],
    );
    await clock.turn(60_000);
    assert.equal(names().length, 11);
    assert.equal(deletions.length, 1_992);
    for (const [place, { atMs }] of deletions.entries()) {
      const before = deletions[place - 50];
      if (before !== undefined) assert.ok(atMs - before.atMs >= 1_000, `deletion ${place} after ${atMs} ms`);
    }
    await end();
    assert.equal(clock.sleeping, 0);
  });
});
