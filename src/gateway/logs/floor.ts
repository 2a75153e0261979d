/** Who may speak to a client: whole lines only, one voice at a time. Whoever has something to say within another's line waits for its end. */
import type { Clock } from '../../clock.ts';
import type { LogLine, LogPosition } from '../../kube/lines.ts';
import type { LogEvent, LogShaper } from '../../tekton/shaper.ts';

/** Silent for so long in the middle of a line, a voice is interrupted when others wait. */
const LONGEST_PAUSE_MS = 1_000;

/** How far a container's log has been delivered. */
export interface Milestone {
  readonly pod: string;
  readonly container: string;
  readonly at: LogPosition | 'complete';
}

/** Bytes that stay together. */
export interface Portion {
  readonly bytes: Buffer;
  /** Lines of a log: what a limit counts. */
  readonly isLog: boolean;
  /** What is delivered once they are on their way to the client. */
  readonly reached: readonly Milestone[];
}

/** Where portions go. */
export interface Sink {
  write(portion: Portion): void;
  /** Resolves when more may be written. */
  room(): Promise<void>;
}

/** The voice of those who speak for nobody in particular: notices, heartbeats. */
export const NO_VOICE = '';

/** What a floor is made of. */
export interface FloorParts {
  readonly sink: Sink;
  readonly shaper: LogShaper;
  readonly clock: Clock;
  /** Every line is a portion of its own, because a limit may fall between any two. */
  readonly byLine: boolean;
}

/** What is delivered with line `at` of a batch; of other events with 0. */
export type Reached = (at: number) => Milestone | undefined;

interface Speech {
  readonly voice: string;
  readonly event: LogEvent;
  readonly reached: Reached | undefined;
}

/**
 * One place to speak at. What is said is shaped at the moment it goes, so that a shaper sees everything in the order of the
 * client. Formats that frame every fragment by itself need no whole lines, and nobody waits.
 */
export class Floor {
  readonly #parts: FloorParts;
  /** Whose fragmented line is unfinished, by its last fragment. */
  #speaker: (Speech & { readonly event: Extract<LogEvent, { type: 'log' }> }) | undefined;
  #spokeAt = 0;
  #unspoken: Speech[] = [];
  #awaiting: (() => void)[] = [];
  /** Containers whose line was ended for them: what comes of it begins a new one. */
  readonly #interrupted = new Set<string>();

  constructor(parts: FloorParts) {
    this.#parts = parts;
  }

  /** Says something, now or when the line of another voice has ended. */
  say(voice: string, event: LogEvent, reached?: Reached): void {
    const speech = { voice, event, reached };
    if (this.#speaker !== undefined && this.#speaker.voice !== voice) this.#unspoken.push(speech);
    else this.#speak(speech);
  }

  /** Resolves when `voice` may go on. */
  async room(voice: string): Promise<void> {
    if (this.#speaker !== undefined && this.#speaker.voice !== voice) {
      await new Promise<void>((resolve) => this.#awaiting.push(resolve));
    }
    await this.#parts.sink.room();
  }

  /** True within a line. */
  get isMidLine(): boolean {
    return this.#speaker !== undefined;
  }

  /** The rest of a line whose beginning the client has had before: it begins a new one. `key`: as `containerKey` makes it. */
  beginAnew(key: string): void {
    this.#interrupted.add(key);
  }

  /**
   * Ends a line whose end does not come: at the end of the stream, or when it has been silent while others wait. Progress
   * bars write megabytes without a line feed; the other tasks must be heard all the same.
   */
  interrupt(why: 'overlong' | 'at the end'): void {
    if (this.#speaker === undefined) return;
    const isWaitedFor = this.#unspoken.length > 0 && this.#parts.clock.now() - this.#spokeAt >= LONGEST_PAUSE_MS;
    if (why === 'overlong' && !isWaitedFor) return;
    const { source } = this.#speaker.event;
    this.#write({ type: 'blank', source });
    this.#interrupted.add(containerKey(source));
    this.#yield();
  }

  #speak(speech: Speech): void {
    const { event, reached } = speech;
    if (event.type !== 'log') {
      this.#write(event, reached?.(0));
      return;
    }
    this.#spokeAt = this.#parts.clock.now();
    const begun = this.#begunAnew(event);
    const { lines } = begun.batch;
    if (this.#parts.byLine) {
      for (const [at, line] of lines.entries()) {
        const { cursor } = begun;
        const one = {
          ...begun,
          batch: { lines: [line] },
          ...(cursor === undefined ? {} : { cursor: () => cursor(at) }),
        };
        this.#write(one, reached?.(at));
      }
    } else this.#write(begun, reached?.(lines.length - 1));
    const last = lines.at(-1)?.part;
    const isMidLine = (last === 'first' || last === 'middle') && !this.#parts.shaper.framed;
    if (isMidLine) this.#speaker = { ...speech, event };
    else if (this.#speaker !== undefined) this.#yield();
  }

  #write(event: LogEvent, reached?: Milestone): void {
    const bytes = this.#parts.shaper.shape(event);
    this.#parts.sink.write({ bytes, isLog: event.type === 'log', reached: reached === undefined ? [] : [reached] });
  }

  #begunAnew(event: Extract<LogEvent, { type: 'log' }>): Extract<LogEvent, { type: 'log' }> {
    if (this.#interrupted.size === 0 || !this.#interrupted.delete(containerKey(event.source))) return event;
    const [head, ...rest] = event.batch.lines;
    if (head === undefined || head.part === 'whole' || head.part === 'first') return event;
    const { timestamp, text } = head;
    const first: LogLine = { timestamp, text, part: head.part === 'middle' ? 'first' : 'whole' };
    return { ...event, batch: { lines: [first, ...rest] } };
  }

  /** A fragmented line has ended: what waited for that is said now. */
  #yield(): void {
    this.#speaker = undefined;
    const waiting = this.#unspoken;
    this.#unspoken = [];
    for (const { voice, event, reached } of waiting) this.say(voice, event, reached);
    if (this.#speaker !== undefined) return;
    const all = this.#awaiting;
    this.#awaiting = [];
    for (const resolve of all) resolve();
  }
}

/** Names a container among all of a run. */
export function containerKey({ pod, container }: { readonly pod: string; readonly container: string }): string {
  return `${pod}/${container}`;
}
