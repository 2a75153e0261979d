/** One open watch: the request that opens it, the deadlines that end it, and what comes of it. */
import type { Clock } from '../clock.ts';
import { Fault } from '../fault.ts';
import { answerFault } from './answers.ts';
import type { KubeReader } from './client.ts';
import { type WatchFrame, watchFrames } from './frames.ts';
import { type Selection, selectionQuery } from './pages.ts';

/** An open watch. */
export interface WatchConnection {
  /** What it says, in the batches it comes in; rejects as `watchFrames` does. */
  readonly frames: AsyncIterator<readonly WatchFrame[]>;
  readonly openedAt: number;
  /** Breaks it off: `frames` rejects with `fault`. */
  fail(fault: Fault): void;
  /** Ends it and its deadline. Calling it twice is harmless. */
  close(): void;
}

/** How a watch was answered: open, or with another status than 200 and the Fault that means. */
export type Opened = { readonly connection: WatchConnection } | { readonly refused: number; readonly fault: Fault };

/** After `timeoutSeconds` the server ends a watch by itself; this much later the connection is dead. */
const GRACE_MS = 15_000;

/**
 * Makes the function that opens watches of a path, `from` being the parameters that say where to begin. A watch ends by
 * itself between four fifths of `watchSeconds` and all of it, and with Fault `timeout` when it outlives that by 15 s.
 * Rejects as `KubeReader.stream`.
 */
export function watchOpener(parts: {
  readonly reader: KubeReader;
  readonly selection: Selection;
  readonly watchSeconds: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly signal: AbortSignal;
}): (path: string, from: Readonly<Record<string, string>>) => Promise<Opened> {
  const { reader, selection, watchSeconds, clock, random, signal } = parts;
  return async (path, from) => {
    // Random, so that the watches of many replicas do not all end in the same second.
    const least = Math.ceil(watchSeconds * 0.8);
    const timeoutSeconds = least + Math.floor(random() * (watchSeconds - least + 1));
    const query = new URLSearchParams({
      watch: 'true',
      ...from,
      allowWatchBookmarks: 'true',
      timeoutSeconds: String(timeoutSeconds),
      ...selectionQuery(selection),
    });
    const target = `${path}?${query}`;
    const answer = await reader.stream(target, { signal });
    if (answer.status !== 200) return { refused: answer.status, fault: await answerFault(answer, target) };
    const { body } = answer;
    const closed = new AbortController();
    const fail = (fault: Fault) => void body.destroy(fault);
    void clock.sleep(timeoutSeconds * 1_000 + GRACE_MS, closed.signal).then(() => {
      if (!closed.signal.aborted) fail(new Fault('timeout', 'a watch outlived its time limit'));
    });
    const connection: WatchConnection = {
      frames: watchFrames(body),
      openedAt: clock.now(),
      fail,
      close() {
        closed.abort();
        body.destroy();
      },
    };
    return { connection };
  };
}

/** Breaks a connection off with Fault `timeout` when `heard` was not called `forMs` long, until `end` is. */
export function breakWhenSilent(
  { fail }: WatchConnection,
  { clock, forMs }: { readonly clock: Clock; readonly forMs: number },
): { readonly heard: () => void; readonly end: () => void } {
  const over = new AbortController();
  let heardAt = clock.now();
  const listen = async () => {
    while (!over.signal.aborted) {
      await clock.sleep(heardAt + forMs - clock.now(), over.signal);
      if (over.signal.aborted || clock.now() - heardAt < forMs) continue;
      fail(new Fault('timeout', 'Kubernetes did not go on with a list'));
      return;
    }
  };
  void listen();
  return {
    heard: () => {
      heardAt = clock.now();
    },
    end: () => over.abort(),
  };
}

/** The connection as it goes on behind the first `taken` of `frames`, which came together. */
export function rest(connection: WatchConnection, frames: readonly WatchFrame[], taken: number): WatchConnection {
  if (taken === frames.length) return connection;
  async function* goingOn(): AsyncGenerator<readonly WatchFrame[], void> {
    yield frames.slice(taken);
    for await (const more of { [Symbol.asyncIterator]: () => connection.frames }) yield more;
  }
  return { ...connection, frames: goingOn() };
}
