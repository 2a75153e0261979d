/**
 * bcrypt in a thread of its own. It is plain JavaScript and takes hundreds of milliseconds, for which the event loop must
 * not stand still. This file is both ends: imported it asks, started as a worker it answers.
 */
import { parentPort, Worker, workerData } from 'node:worker_threads';
import { compareSync } from 'bcryptjs';

interface Question {
  readonly id: number;
  readonly password: string;
  readonly hash: string;
}

interface Answer {
  readonly id: number;
  readonly matches: boolean;
}

/** How the worker knows that it is one: others may load this file as well. */
const ROLE = 'rungate bcrypt';

if (workerData === ROLE) {
  parentPort?.on('message', ({ id, password, hash }: Question) => {
    parentPort?.postMessage({ id, matches: compareSync(password, hash) } satisfies Answer);
  });
}

interface Asked {
  readonly resolve: (matches: boolean) => void;
  readonly reject: (error: unknown) => void;
}

let worker: Worker | undefined;
let asked = 0;
const unanswered = new Map<number, Asked>();

/**
 * Whether `password` is what the bcrypt hash `hash` was made of; of its first 72 bytes, as bcrypt is. The thread is
 * started by the first question and never keeps the process alive. Rejects when it breaks; the next question starts
 * another.
 */
export function bcryptMatches(password: string, hash: string): Promise<boolean> {
  worker ??= startWorker();
  const thread = worker;
  return new Promise((resolve, reject) => {
    asked += 1;
    unanswered.set(asked, { resolve, reject });
    thread.postMessage({ id: asked, password, hash } satisfies Question);
  });
}

function startWorker(): Worker {
  // Neither flags nor the environment of the process are its business: passwords are in there.
  const started = new Worker(new URL(import.meta.url), { workerData: ROLE, execArgv: [], env: {} });
  const broken = (error: unknown): void => {
    if (worker !== started) return;
    worker = undefined;
    for (const { reject } of unanswered.values()) reject(error);
    unanswered.clear();
  };
  started.on('message', ({ id, matches }: Answer) => {
    unanswered.get(id)?.resolve(matches);
    unanswered.delete(id);
  });
  started.once('error', broken);
  started.once('exit', (code) => broken(new Error(`the bcrypt thread ended with ${code}`)));
  started.unref();
  return started;
}
