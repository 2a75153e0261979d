/** What one client has read of one run, held against what the run's steps write. */
import { lineOf, type NumberedLines } from './numbered.ts';

/** Something that a promise forbids. */
export interface Violation {
  readonly kind:
    | 'lost'
    | 'repeated'
    | 'out of order'
    | 'altered'
    | 'incomplete'
    | 'refused'
    | 'silent'
    | 'unended'
    /** A replica or a run did not do what it is there for. */
    | 'failed'
    | 'grown'
    /** A fault did not come to pass often enough for the soak to say anything. */
    | 'too few';
  readonly detail: string;
}

/** One step as the run has it. */
export interface Writing {
  readonly lines: NumberedLines;
  /** Its log file rotates, so that a told gap may be true. */
  readonly rotates: boolean;
}

interface Account {
  readonly writing: Writing;
  next: number;
  readonly missing: Set<number>;
  gapTold: boolean;
}

/** Told of every line in the order it was read, it says what is wrong with them. */
export class Ledger {
  readonly #run: string;
  readonly #accounts: ReadonlyMap<string, Account>;
  readonly #violations: Violation[] = [];
  #lines = 0;
  #toldLost = 0;
  #goneBefore = 0;

  /** `writings` by `task/step`. */
  constructor(run: string, writings: ReadonlyMap<string, Writing>) {
    this.#run = run;
    this.#accounts = new Map(
      [...writings].map(([step, writing]) => [step, { writing, next: 1, missing: new Set(), gapTold: false }]),
    );
  }

  /** Lines read so far. */
  get lines(): number {
    return this.#lines;
  }

  /** Lines that are missing where a gap was told and may be true. */
  get toldLost(): number {
    return this.#toldLost;
  }

  /** Lines that had been rotated away when the first one was read. */
  get goneBefore(): number {
    return this.#goneBefore;
  }

  /** Takes the next line of a step, without its line feed. */
  take(step: string, text: string): void {
    const account = this.#accounts.get(step);
    this.#lines++;
    if (account === undefined) {
      this.#wrong('altered', `a line of ${step}, which the run does not have`);
      return;
    }
    const n = Number.parseInt(text, 10);
    const { lines } = account.writing;
    if (!(n >= 1 && n <= lines.count) || text !== lineOf(lines, n)) {
      this.#wrong('altered', `${step} after line ${account.next - 1}: ${JSON.stringify(text.slice(0, 60))}`);
    } else if (n >= account.next) {
      this.#skip(account, n);
      account.next = n + 1;
    } else if (account.missing.delete(n))
      this.#wrong('out of order', `line ${n} of ${step} after line ${account.next - 1}`);
    else this.#wrong('repeated', `line ${n} of ${step} after line ${account.next - 1}`);
  }

  /** Lines of a step were said to be missing from here on. */
  gap(step: string): void {
    const account = this.#accounts.get(step);
    if (account?.writing.rotates) account.gapTold = true;
    else this.#wrong('lost', `a gap in ${step}, whose log does not rotate`);
  }

  /** The stream is over: what did not come will not. */
  close({ complete }: { readonly complete: boolean }): void {
    for (const [step, account] of this.#accounts) {
      this.#skip(account, account.writing.lines.count + 1);
      const [first] = account.missing;
      if (first !== undefined) this.#wrong('lost', `${account.missing.size} lines of ${step}, from line ${first}`);
    }
    const gapTold = [...this.#accounts.values()].some((account) => account.gapTold);
    if (!complete && !gapTold) this.#wrong('incomplete', 'the end says that lines are missing, and no gap was told');
    if (complete && this.#toldLost > 0)
      this.#wrong('incomplete', 'a gap was told, and the end says that nothing is missing');
  }

  /** Notes something that forbids itself whatever was read. */
  note(violation: Violation): void {
    this.#violations.push(violation);
  }

  /** All that was wrong. Whoever has found a fault need not count the thousand that follow from it. */
  get violations(): readonly Violation[] {
    return this.#violations;
  }

  #skip(account: Account, to: number): void {
    if (account.gapTold) {
      this.#toldLost += to - account.next;
      return;
    }
    // Rotated away before the first look at it: nobody can know that there was something.
    if (account.next === 1 && account.writing.rotates) {
      this.#goneBefore += to - 1;
      return;
    }
    for (let n = account.next; n < to; n++) account.missing.add(n);
  }

  #wrong(kind: Violation['kind'], detail: string): void {
    this.#violations.push({ kind, detail: `run ${this.#run}: ${detail}` });
  }
}
