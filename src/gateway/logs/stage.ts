/** Where the tasks of a run speak to one client: all on one floor as it comes, or one after another. */
import type { Clock } from '../../clock.ts';
import type { LogShaper } from '../../tekton/shaper.ts';
import { containerKey, Floor, type Milestone, type Portion, type Sink } from './floor.ts';
import type { StreamSpools } from './spool.ts';

/** Floors for those who speak. */
export interface Stage {
  /** Where a pod speaks; the order of first calls is the order of turns. */
  of(pod: string): Floor;
  /** Resolves when what a pod says is shown as it comes. */
  turnOf(pod: string): Promise<void>;
  /** Where something about a pod is said: with it while it speaks, else as `own`. */
  near(pod: string | undefined): Floor;
  /** Where the gateway itself speaks: there it is heard at once. */
  readonly own: Floor;
  /** A pod has said all it had to say. Calling it twice is harmless. */
  over(pod: string): void;
  /** Time has passed: lines that keep others waiting are ended. */
  tick(): void;
  /** Resolves when all that was said is on its way to the client. */
  shown(): Promise<void>;
  /** Ends the line that is being said, lets nobody speak any more but `own`, and forgets what was not shown. Twice is harmless. */
  close(): void;
}

/** What a stage is made of. */
export interface StageParts {
  readonly sink: Sink;
  readonly shaper: LogShaper;
  readonly clock: Clock;
  /** Whether lines leave one by one, because a limit may fall between any two. */
  readonly byLine: boolean;
}

/** Everybody speaks on one floor: whole lines, as they come. */
export function openStage(parts: StageParts): Stage {
  const floor = new Floor(parts);
  return {
    of: () => floor,
    turnOf: () => Promise.resolve(),
    near: () => floor,
    own: floor,
    over() {},
    tick: () => floor.interrupt('overlong'),
    shown: () => Promise.resolve(),
    close: () => floor.interrupt('at the end'),
  };
}

/**
 * Pods are shown one after another. Those whose turn has not come speak into spools; `failed` is told when what they said
 * cannot be had back.
 */
export function turnStage(parts: StageParts, spools: StreamSpools, failed: (error: unknown) => void): Stage {
  return new TurnStage(parts, spools, failed);
}

class TurnStage implements Stage {
  readonly #parts: StageParts;
  readonly #spools: StreamSpools;
  readonly #failed: (error: unknown) => void;
  readonly #turns = new Map<string, Turn>();
  readonly #direct: Floor;
  #shown: Promise<void> = Promise.resolve();
  #live: Turn | undefined;
  #isClosed = false;

  constructor(parts: StageParts, spools: StreamSpools, failed: (error: unknown) => void) {
    this.#parts = parts;
    this.#spools = spools;
    this.#failed = failed;
    this.#direct = new Floor(parts);
  }

  of(pod: string): Floor {
    return this.#turn(pod).floor;
  }

  near(pod: string | undefined): Floor {
    const turn = pod === undefined ? undefined : this.#turns.get(pod);
    return turn === undefined || turn.isOver ? this.own : turn.floor;
  }

  turnOf(pod: string): Promise<void> {
    return this.#turn(pod).begun;
  }

  #turn(pod: string): Turn {
    const known = this.#turns.get(pod);
    if (known !== undefined) return known;
    const turn = new Turn(this.#parts, this.#spools);
    this.#turns.set(pod, turn);
    this.#shown = this.#shown.then(() => this.#show(turn)).catch(this.#failed);
    if (this.#live === undefined) this.#live = turn;
    return turn;
  }

  /** While a turn is being caught up with, what is said beside it has to wait for that as well. */
  get own(): Floor {
    return this.#live === undefined || this.#live.isOver || this.#isClosed ? this.#direct : this.#live.floor;
  }

  over(pod: string): void {
    const turn = this.#turns.get(pod);
    // What it did not finish will not be finished.
    turn?.floor.interrupt('at the end');
    turn?.end();
  }

  tick(): void {
    for (const { floor } of this.#turns.values()) floor.interrupt('overlong');
  }

  shown(): Promise<void> {
    return this.#shown;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#live?.floor.interrupt('at the end');
    this.#isClosed = true;
    for (const turn of this.#turns.values()) turn.end();
    this.#spools.close();
  }

  async #show(turn: Turn): Promise<void> {
    if (this.#isClosed) return;
    this.#live = turn;
    await turn.show();
  }
}

/** Portions that are kept are told apart in steps of this many bytes. */
const MARKED_BYTES = 64 * 1024;

/** Portions that leave together. `begin` and `end`: as bytes given to the spool. */
interface Mark {
  readonly begin: number;
  end: number;
  readonly isLog: boolean;
  /** The last of each container. */
  readonly reached: Map<string, Milestone>;
}

/** What one pod says: kept until its turn, then passed on. */
class Turn implements Sink {
  readonly floor: Floor;
  /** Resolves when what was kept is handed on, or nothing is shown any more. */
  readonly begun: Promise<void>;
  #begin: () => void = () => {};
  readonly #sink: Sink;
  readonly #spool: ReturnType<StreamSpools['open']>;
  readonly #byLine: boolean;
  #marks: Mark[] = [];
  #given = 0;
  #passed = 0;
  /** What came out of the spool behind the last mark: it leaves with the next, so that a cursor never falls within a portion. */
  #rest: Buffer[] = [];
  #end: () => void = () => {};
  readonly #ended: Promise<void>;
  isOver = false;

  constructor(parts: StageParts, spools: StreamSpools) {
    this.#sink = parts.sink;
    this.#byLine = parts.byLine;
    this.#spool = spools.open();
    this.#ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.begun = new Promise((resolve) => {
      this.#begin = resolve;
    });
    this.floor = new Floor({ ...parts, sink: this });
  }

  write({ bytes, isLog, reached }: Portion): void {
    this.#given += bytes.length;
    const last = this.#marks.at(-1);
    // Small portions are put together, or their marks would weigh more than they do.
    if (last !== undefined && !this.#byLine && last.isLog === isLog && this.#given - last.begin < MARKED_BYTES) {
      last.end = this.#given;
      for (const milestone of reached) last.reached.set(containerKey(milestone), milestone);
    } else {
      const begin = this.#given - bytes.length;
      this.#marks.push({
        begin,
        end: this.#given,
        isLog,
        reached: new Map(reached.map((milestone) => [containerKey(milestone), milestone])),
      });
    }
    this.#spool.write(bytes);
    // Nothing comes out of a spool for what has no bytes.
    this.#passMarks();
  }

  room(): Promise<void> {
    return this.#spool.room();
  }

  end(): void {
    this.isOver = true;
    this.#begin();
    this.#end();
  }

  /** Hands on what was kept, then everything as it comes, until the end. */
  async show(): Promise<void> {
    await this.#spool.release({
      write: (bytes) => {
        this.#passed += bytes.length;
        this.#rest.push(bytes);
        this.#passMarks();
      },
      room: () => this.#sink.room(),
    });
    this.#begin();
    await this.#ended;
  }

  #passMarks(): void {
    for (let mark = this.#marks[0]; mark !== undefined && mark.end <= this.#passed; mark = this.#marks[0]) {
      this.#marks.shift();
      const { end, isLog, reached } = mark;
      const [oldest, ...younger] = this.#rest;
      const all = oldest !== undefined && younger.length === 0 ? oldest : Buffer.concat(this.#rest);
      const bytes = all.subarray(0, all.length - (this.#passed - end));
      this.#rest = end === this.#passed ? [] : [all.subarray(bytes.length)];
      this.#sink.write({ bytes, isLog, reached: [...reached.values()] });
    }
  }
}
