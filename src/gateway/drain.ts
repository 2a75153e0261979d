/** The end of the gateway: no new requests, and open ones get time to finish. */
import type { Part } from '../lifecycle.ts';
import type { Log } from '../log.ts';

/**
 * Knows which requests are open and whether the gateway is ending. As the last part of the list it is the first to stop,
 * so that requests end while all that answers them still works.
 */
export interface Drain extends Part {
  /** Aborts when draining begins. Streams end with a notice then, long polls with Fault `draining`. */
  readonly signal: AbortSignal;
  /** Requests that are open. */
  readonly open: number;
  /** Counts one request as open until the function returned is called. Calling that twice is harmless. */
  enter(): () => void;
}

/** Makes a drain that has not begun. Its `stop` begins it, and resolves when no request is open or `signal` aborts. */
export function createDrain(log: Log): Drain {
  const draining = new AbortController();
  let open = 0;
  let onIdle: () => void = () => {};
  return {
    name: 'drain',
    signal: draining.signal,
    get open() {
      return open;
    },
    enter() {
      open += 1;
      let inside = true;
      return () => {
        if (!inside) return;
        inside = false;
        open -= 1;
        if (open === 0) onIdle();
      };
    },
    start: async () => {},
    async stop(signal) {
      const idle = new Promise<void>((resolve) => {
        onIdle = resolve;
      });
      log.info('draining', { open });
      draining.abort();
      if (open === 0 || signal.aborted) return;
      const letGo = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      await Promise.race([idle, letGo]);
      if (open > 0) log.warn('requests were cut', { open });
    },
  };
}

/** Who wants to hear of the end of a signal that all requests share, by signal. */
const hearers = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `listener` once, when `signal` aborts. Returns the end of that; calling it twice is harmless. For a signal that
 * lives as long as the process: an EventTarget looks through all its listeners at each one that comes or goes, and ten
 * thousand waiters would be fifty million looks.
 */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  const known = hearers.get(signal);
  const all = known ?? new Set<() => void>();
  if (known === undefined) {
    hearers.set(signal, all);
    signal.addEventListener('abort', () => {
      for (const hear of [...all]) hear();
    });
  }
  const own = () => listener();
  all.add(own);
  return () => void all.delete(own);
}
