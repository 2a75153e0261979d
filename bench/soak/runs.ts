/** The runs that the soak's clients follow: some are always under way, each is followed by many, and gone when nobody needs it. */
import type { World } from '../../test/support/world.ts';
import { Ledger, type Violation, type Writing } from './ledger.ts';
import { type NumberedLines, scriptOf } from './numbered.ts';

/** A run that can be followed. */
export interface SoakRun {
  readonly name: string;
  /** What its steps write, by `task/step`. */
  readonly writings: ReadonlyMap<string, Writing>;
}

/** The runs under way. */
export interface SoakRuns {
  /** The run with the fewest clients of those under way; it has one more from now on, until `leave`. */
  join(): Promise<SoakRun>;
  leave(run: SoakRun): Promise<void>;
  /** Starts a run whose one step writes more than fits into one log file of the sandbox, 10 MiB. */
  startBulk(): Promise<SoakRun>;
  /** How many were started. */
  readonly started: number;
}

/** A ledger for a client of `run`. */
export function ledgerOf({ name, writings }: SoakRun): Ledger {
  return new Ledger(name, writings);
}

const STEPS = ['build', 'test'] as const;
const TASKS = ['left', 'right'] as const;
/** 11.5 MB in about six seconds. */
const BULK: Omit<NumberedLines, 'salt'> = { count: 9000, width: 1000, burst: 150, pauseSeconds: 0.1 };

interface Kept {
  readonly run: SoakRun;
  clients: number;
  finished: boolean;
}

/** Starts runs as they are needed: `underWay` at a time, each of about `seconds`. A run that fails is told to `wrong`. */
export function createRuns(
  world: World,
  {
    underWay,
    seconds,
    wrong,
  }: { readonly underWay: number; readonly seconds: number; readonly wrong: (violation: Violation) => void },
): SoakRuns {
  // Half of the time for each step; five bursts in two seconds.
  const own: Omit<NumberedLines, 'salt'> = {
    count: Math.ceil(seconds / 2) * 20,
    width: 8,
    burst: 8,
    pauseSeconds: 0.4,
  };
  const kept = new Set<Kept>();
  let started = 0;

  async function start(
    steps: readonly (readonly [task: string, step: string, lines: NumberedLines])[],
    rotates: boolean,
  ) {
    const name = `soak-${++started}`;
    await world.run(numberedRun(steps), { name });
    const writings = new Map(steps.map(([task, step, lines]) => [`${task}/${step}`, { lines, rotates }] as const));
    const one: Kept = { run: { name, writings }, clients: 0, finished: false };
    kept.add(one);
    void world
      .finished(name, { withinMs: 300_000 })
      .then(({ status, message }) => {
        if (status !== 'True') wrong({ kind: 'failed', detail: `run ${name} did not succeed: ${message}` });
      })
      .catch(() => wrong({ kind: 'failed', detail: `run ${name} did not end` }))
      .then(() => {
        one.finished = true;
        return dispose(one);
      });
    return one;
  }

  /** A run that is over and that nobody follows any more is deleted, with its pods. */
  async function dispose(one: Kept): Promise<void> {
    if (!one.finished || one.clients > 0 || !kept.delete(one)) return;
    await world.remove(one.run.name).catch(() => {}); // the namespace goes with the soak
  }

  /** Starts at the same moment see the same gap, and must not both fill it. */
  let beginning: Promise<unknown> = Promise.resolve();
  async function fill(): Promise<void> {
    const alive = [...kept].filter((one) => !one.finished && one.run.writings.size > 1);
    if (alive.length >= underWay) return;
    const salt = started * 16;
    const steps = TASKS.flatMap((task, t) =>
      STEPS.map((step, s) => [task, step, { ...own, salt: salt + t * 2 + s }] as const),
    );
    await start(steps, false);
  }

  return {
    async join() {
      const filled = beginning.then(fill);
      beginning = filled.catch(() => {});
      await filled;
      const open = [...kept].filter((one) => !one.finished && one.run.writings.size > 1);
      const [fewest] = open.sort((a, b) => a.clients - b.clients);
      if (fewest === undefined) throw new Error('no run is under way');
      fewest.clients++;
      return fewest.run;
    },
    async leave(run) {
      const one = [...kept].find((each) => each.run === run);
      if (one === undefined) return;
      one.clients--;
      await dispose(one);
    },
    async startBulk() {
      const one = await start([['bulk', 'write', { ...BULK, salt: started }]], true);
      one.clients++;
      return one.run;
    },
    get started() {
      return started;
    },
  };
}

/** A PipelineRun, as YAML, whose tasks run side by side, each with its steps one after another. */
export function numberedRun(steps: readonly (readonly [task: string, step: string, lines: NumberedLines])[]): string {
  const tasks = Map.groupBy(steps, ([task]) => task);
  return JSON.stringify(
    {
      apiVersion: 'tekton.dev/v1',
      kind: 'PipelineRun',
      metadata: { name: 'soak' },
      spec: {
        pipelineSpec: {
          tasks: [...tasks].map(([name, own]) => ({
            name,
            taskSpec: {
              steps: own.map(([, step, lines]) => ({
                name: step,
                image: 'docker.io/library/busybox:1',
                script: `#!/bin/sh\n${scriptOf(lines)}\n`,
              })),
            },
          })),
        },
      },
    },
    undefined,
    1,
  );
}
