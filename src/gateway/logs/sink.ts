/** The last stop before the client: what leaves here counts as delivered, and no more of the log leaves than was asked for. */
import type { Clock } from '../../clock.ts';
import type { LogShaper } from '../../tekton/shaper.ts';
import type { Outbox } from '../outbox.ts';
import type { Delivered } from './delivered.ts';
import type { Portion, Sink } from './floor.ts';

/** What a sink is made of. */
export interface ClientSinkParts {
  readonly outbox: Outbox;
  readonly shaper: LogShaper;
  readonly clock: Clock;
  readonly delivered: Delivered;
  /** The most bytes of the log, as they are written; the first line leaves even if it has more, or nobody would ever come past it. */
  readonly limitBytes: number | undefined;
}

/** Hands portions to the outbox of one client. */
export class ClientSink implements Sink {
  readonly #parts: ClientSinkParts;
  readonly #limited = new AbortController();
  #logBytes = 0;
  #wroteAt: number;

  constructor(parts: ClientSinkParts) {
    this.#parts = parts;
    this.#wroteAt = parts.clock.now();
  }

  /** Aborts when a portion did not fit; from then on nothing of the log leaves any more. */
  get limited(): AbortSignal {
    return this.#limited.signal;
  }

  /** When something last left. */
  get wroteAt(): number {
    return this.#wroteAt;
  }

  write({ bytes, isLog, reached }: Portion): void {
    const { outbox, shaper, clock, delivered, limitBytes } = this.#parts;
    if (isLog && limitBytes !== undefined) {
      if (this.#limited.signal.aborted) return;
      if (this.#logBytes > 0 && this.#logBytes + bytes.length > limitBytes) {
        this.#limited.abort();
        return;
      }
      this.#logBytes += bytes.length;
    }
    if (bytes.length > 0) {
      outbox.write(shaper.outgoing?.(bytes) ?? bytes);
      this.#wroteAt = clock.now();
    }
    for (const milestone of reached) if (!this.#limited.signal.aborted) delivered.reach(milestone);
  }

  room(): Promise<void> {
    return this.#parts.outbox.room();
  }
}
