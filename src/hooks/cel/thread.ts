/** One worker thread for expressions: started, given one task at a time, watched, and ended where a task takes too much. */
import { Worker } from 'node:worker_threads';
import type { Clock } from '../../clock.ts';
import { NOT_BEGUN, type WorkerOutcome, type WorkerStart, type WorkerTask, type WorkerWord } from './task.ts';

/** Why a worker has gone: what it was given took too much, it was told to, or something that nobody foresaw. */
export type Gone = { readonly why: 'time' | 'memory' | 'closed' } | { readonly why: 'broken'; readonly cause: unknown };

/** What came of a task: of each expression in its order, as far as the worker came. */
export interface TaskEnd {
  readonly outcomes: readonly WorkerOutcome[];
  /** Milliseconds of computing. */
  readonly spentMs: number;
  /** Undefined: it did all of it, and can be given the next one. */
  readonly gone: Gone | undefined;
}

/** A worker that has been started. */
export interface CelThread {
  /** Resolves when it can be given a task, or has gone before that. Never rejects. */
  readonly ready: Promise<Gone | undefined>;
  /** Gives it a task that may compute for `limitMs`. Only one at a time, and none after it has gone. Never rejects. */
  perform(task: WorkerTask, limitMs: number): Promise<TaskEnd>;
  /** Ends it. Calling it twice is harmless. */
  end(): Promise<void>;
}

/**
 * A task that has not computed its share after this long is ended as well: the machine has no time for it. Generous, because a process
 * that starves for a second is no fault of an expression.
 */
const PATIENCE_MS = 5_000;
/** How soon a task that has not used its time yet is looked at again, at least. */
const SHORTEST_LOOK_MS = 5;

/** What V8 may take for one worker: the library, a body and its copies, and some room. Beyond it the worker ends, not the process. */
export const MOST_MEMORY_MIB = 128;

/** Our file as it lies here, whether as it was written or as it was built. */
const program = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);

interface Running {
  readonly outcomes: WorkerOutcome[];
  readonly end: (end: { readonly spentMs: number; readonly gone: Gone | undefined }) => void;
}

/** Starts a worker. It keeps the process alive while it starts and while it has a task, not otherwise. */
export function startThread(clock: Clock): CelThread {
  const began = new BigInt64Array(new SharedArrayBuffer(8));
  Atomics.store(began, 0, NOT_BEGUN);
  const start: WorkerStart = { began };
  const worker = new Worker(program, {
    name: 'cel',
    workerData: start,
    // It needs no setting and no secret of the process, so it sees none.
    env: {},
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: MOST_MEMORY_MIB, maxYoungGenerationSizeMb: 16 },
  });
  const ready = Promise.withResolvers<Gone | undefined>();
  let gone: Gone | undefined;
  let running: Running | undefined;

  const leave = (why: Gone): void => {
    gone ??= why;
    ready.resolve(gone);
    running?.end({ spentMs: 0, gone });
    running = undefined;
  };
  worker.on('message', (word: WorkerWord) => {
    if (word.word === 'outcome') running?.outcomes.push(word.outcome);
    else {
      worker.unref();
      if (word.word === 'ready') ready.resolve(undefined);
      else running?.end({ spentMs: word.spentMs, gone: undefined });
      running = undefined;
    }
  });
  worker.on('error', (error: NodeJS.ErrnoException) => {
    leave(error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? { why: 'memory' } : { why: 'broken', cause: error });
  });
  worker.on('exit', (code) => leave({ why: 'broken', cause: new Error(`the worker ended with ${code}`) }));

  /** Milliseconds that the running task has computed; 0 while it is prepared, and when the worker does not say. */
  const computedMs = async (): Promise<number> => {
    const from = Atomics.load(began, 0);
    if (from === NOT_BEGUN) return 0;
    try {
      const { user, system } = await worker.cpuUsage();
      return (user + system - Number(from)) / 1000;
    } catch {
      return 0;
    }
  };

  const watch = async (limitMs: number, over: AbortSignal): Promise<void> => {
    const latest = clock.steady() + PATIENCE_MS;
    for (let waitMs = limitMs; ; ) {
      await clock.sleep(waitMs, over);
      const leftMs = over.aborted ? 0 : limitMs - (await computedMs());
      if (over.aborted) return;
      if (leftMs <= 0 || clock.steady() >= latest) {
        leave({ why: 'time' });
        await worker.terminate();
        return;
      }
      waitMs = Math.max(leftMs, SHORTEST_LOOK_MS);
    }
  };

  return {
    ready: ready.promise,
    async perform(task, limitMs) {
      if (gone !== undefined) return { outcomes: [], spentMs: 0, gone };
      const { promise, resolve } = Promise.withResolvers<{
        readonly spentMs: number;
        readonly gone: Gone | undefined;
      }>();
      const outcomes: WorkerOutcome[] = [];
      running = { outcomes, end: resolve };
      const over = new AbortController();
      worker.ref();
      worker.postMessage(task);
      void watch(limitMs, over.signal);
      const end = await promise;
      over.abort();
      return { outcomes, ...end };
    },
    async end() {
      leave({ why: 'closed' });
      await worker.terminate();
    },
  };
}
