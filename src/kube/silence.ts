/** How long one stream has been silent, and whether it is silent because it is dead. */
import type { Clock } from '../clock.ts';

/** How far the patience grows while each suspicion is wrong. */
const MOST_WAITS = 4;
/** A suspected stream may be about to bring what was just written. */
const REPRIEVE_MS = 1_000;

/**
 * The silence of one stream. Time in which what came is being handed on does not count: then nobody listens. A follow can
 * go silent for good while its log grows (https://github.com/kubernetes/kubernetes/issues/108678); that is found out by
 * asking beside the stream, after `stallMs` of silence, then twice that, then four times that again and again.
 */
export class Silence {
  readonly #clock: Clock;
  readonly #stallMs: number;
  #heardAt: number;
  #suspectedAt: number;
  #patienceMs: number;
  #isHanding = false;

  constructor(clock: Clock, stallMs: number) {
    this.#clock = clock;
    this.#stallMs = stallMs;
    this.#patienceMs = stallMs;
    this.#heardAt = clock.now();
    this.#suspectedAt = this.#heardAt;
  }

  /** Something came. */
  broken(): void {
    this.#heardAt = this.#clock.now();
    this.#patienceMs = this.#stallMs;
  }

  /** Hands on what came. */
  async handing(work: () => Promise<void>): Promise<void> {
    this.#isHanding = true;
    await work();
    this.#isHanding = false;
    this.#heardAt = this.#clock.now();
  }

  get ms(): number {
    return this.#isHanding ? 0 : this.#clock.now() - this.#heardAt;
  }

  /** Whether it is time to ask beside the stream. */
  get isSuspicious(): boolean {
    return this.ms >= this.#patienceMs && this.#clock.now() - this.#suspectedAt >= this.#patienceMs;
  }

  /** Whether the stream is dead: `hasMore` says that there is something, and the stream does not bring anything. */
  async isDeath(hasMore: () => Promise<boolean>, signal: AbortSignal): Promise<boolean> {
    const before = this.#heardAt;
    const isBehind = await hasMore();
    if (isBehind && this.#heardAt === before) await this.#clock.sleep(REPRIEVE_MS, signal);
    this.#suspectedAt = this.#clock.now();
    this.#patienceMs = Math.min(2 * this.#patienceMs, MOST_WAITS * this.#stallMs);
    return isBehind && this.#heardAt === before && !this.#isHanding;
  }
}
