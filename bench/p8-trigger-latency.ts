/** P8: how long a new revision of a source takes to become a run, one after another and many at once. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openAdmin } from '../test/support/admin.ts';
import { eventually } from '../test/support/eventually.ts';
import { startGateway } from '../test/support/gateway.ts';
import { applyDefinitions } from '../test/support/world.ts';
import type { BareTrigger } from './bare-trigger.ts';
import { alternate } from './rounds.ts';
import { type Goal, type Measured, median, quantile, type Row } from './row.ts';
import { startSandbox } from './sandboxed.ts';
import { administratorOf, open } from './target.ts';
import { changesIn, collectionOf, makeSource, pendingTrigger, report } from './triggers.ts';

const EVENTS = 200;
const ROUNDS = 3;
const AT_ONCE = 'at once';
const goal: Goal = {
  of: 'difference',
  named: 'p99',
  below: 150,
  also: { p50: 30, [`p99 ${AT_ONCE}`]: 150, [`p50 ${AT_ONCE}`]: 30 },
};
const peer = 'a process that sees the same and makes the same two writes, a status and a run';

/** The row, on the cluster. */
export const triggerLatency: Row = {
  name: 'P8',
  ours: `from a new revision of a source to its run, ${EVENTS} one by one, and ${EVENTS} at once`,
  peer,
  unit: 'ms',
  goal,
  measure: ({ admin }) => latencies(admin.kubeconfig),
};

/** The row, in front of a sandbox. */
export const triggerLatencyOfSandbox: Row = {
  name: 'P8s',
  ours: `the same in front of the sandbox: ${EVENTS} revisions one by one, and ${EVENTS} at once`,
  peer,
  unit: 'ms',
  goal,
  async measure() {
    await using sandbox = await startSandbox();
    return await latencies(sandbox.kubeconfig); // which the sandbox has to outlive
  },
};

/** Rounds with rungate in one namespace and its peer in another, both as administrator. */
async function latencies(kubeconfig: string): Promise<Measured> {
  const admin = await openAdmin(kubeconfig);
  await applyDefinitions(admin);
  const id = randomBytes(3).toString('hex');
  const [ours, bare] = [`bench-p8-${id}`, `bench-p8-${id}-peer`];
  const folder = await mkdtemp(join(tmpdir(), 'rungate-bench-'));
  const endings: (() => unknown)[] = [() => rm(folder, { recursive: true, force: true })];
  try {
    for (const namespace of [ours, bare]) {
      await admin.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
      endings.push(() => admin.remove(`/api/v1/namespaces/${namespace}`));
      await inPortions((name) => makeSource(admin, namespace, name));
      await inPortions((name) => report(admin, namespace, name, 1));
      await inPortions(async (name) => void (await admin.create(pendingTrigger(name, namespace))));
    }
    const env = { PARTS: 'triggers', NAMESPACE: ours, NAMESPACES: ours, KUBECONFIG: kubeconfig };
    const gateway = await startGateway({
      env: { ...env, LOG_LEVEL: 'info', LOG_FORMAT: 'json' },
      logFile: join(folder, 'rungate.log'),
    });
    endings.push(() => gateway.stop('SIGKILL'));
    const child = fork(new URL('bare-trigger.ts', import.meta.url), { stdio: 'inherit' });
    endings.push(() => child.disconnect());
    child.send({ kubeconfig, namespace: bare } satisfies BareTrigger);
    await once(child, 'message');
    await eventually(
      async () => {
        const { items } = await admin.get<{ items: unknown[] }>(collectionOf('pipelineruns', ours));
        assert.equal(items.length, EVENTS); // those of the revision that was there before
      },
      { withinMs: 120_000, everyMs: 500 },
    );
    const seen = { ours: await watch(kubeconfig, ours), peer: await watch(kubeconfig, bare) };
    endings.push(seen.ours.end, seen.peer.end);
    let number = 1;
    const measure = async (namespace: string, { timed }: Seen): Promise<Times> => {
      const act = (name: string) => timed(name, () => report(admin, namespace, name, ++number));
      const single: number[] = [];
      for (const name of names) single.push(await act(name));
      return { single, atOnce: await Promise.all(names.map(act)) };
    };
    const rounds = await alternate(ROUNDS, {
      ours: () => measure(ours, seen.ours),
      peer: () => measure(bare, seen.peer),
    });
    const of = (times: keyof Times, share: number) => ({
      ours: median(rounds.map((round) => quantile(round.ours[times], share))),
      peer: median(rounds.map((round) => quantile(round.peer[times], share))),
    });
    return {
      rounds: rounds.map((round) => ({
        ours: quantile(round.ours.single, 0.99),
        peer: quantile(round.peer.single, 0.99),
      })),
      also: { p50: of('single', 0.5), [`p99 ${AT_ONCE}`]: of('atOnce', 0.99), [`p50 ${AT_ONCE}`]: of('atOnce', 0.5) },
    };
  } finally {
    for (const end of endings.reverse()) await end();
  }
}

/** Milliseconds from the change of each source to its run. */
interface Times {
  readonly single: readonly number[];
  readonly atOnce: readonly number[];
}

const names = Array.from({ length: EVENTS }, (_, place) => `app-${place}`);

async function inPortions(act: (name: string) => Promise<void>): Promise<void> {
  for (let at = 0; at < names.length; at += 20) await Promise.all(names.slice(at, at + 20).map(act));
}

/** Bare watches of a namespace. */
interface Seen {
  /** Does what changes a source, and resolves with the milliseconds from seeing that change to seeing its run. */
  timed(name: string, change: () => Promise<void>): Promise<number>;
  end(): void;
}

async function watch(kubeconfig: string, namespace: string): Promise<Seen> {
  interface Waiting {
    changedAt?: number;
    startedAt?: number;
    readonly done: (ms: number) => void;
    readonly failed: (error: Error) => void;
  }
  const waiting = new Map<string, Waiting>();
  const target = await administratorOf(kubeconfig);
  const follow = async (plural: 'gitrepositories' | 'pipelineruns') => {
    const collection = collectionOf(plural, namespace);
    const list = JSON.parse(
      Buffer.concat(await (await open(target, `${collection}?limit=1`)).toArray()).toString(),
    ) as {
      readonly metadata: { readonly resourceVersion: string };
    };
    return open(target, `${collection}?watch=true&resourceVersion=${list.metadata.resourceVersion}`);
  };
  const [sources, runs] = [await follow('gitrepositories'), await follow('pipelineruns')];
  const look = (name: string) => {
    const one = waiting.get(name);
    if (one?.changedAt === undefined || one.startedAt === undefined) return;
    waiting.delete(name);
    one.done(one.startedAt - one.changedAt);
  };
  changesIn(sources, ({ type, name }) => {
    const one = waiting.get(name);
    if (one === undefined || type !== 'MODIFIED') return;
    one.changedAt = performance.now();
    look(name);
  });
  changesIn(runs, ({ type, trigger }) => {
    const one = waiting.get(trigger);
    if (one === undefined || type !== 'ADDED') return;
    one.startedAt = performance.now();
    look(trigger);
  });
  const broke = () => {
    for (const [name, { failed }] of waiting) failed(new Error(`a watch ended before the run of ${name} was seen`));
  };
  for (const each of [sources, runs]) each.once('close', broke);
  return {
    timed(name, change) {
      return new Promise((done, failed) => {
        waiting.set(name, { done, failed });
        change().catch(failed);
      });
    },
    end() {
      for (const each of [sources, runs]) each.removeAllListeners('close').destroy();
    },
  };
}
