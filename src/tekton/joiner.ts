/** Several steps of one pod become one stream of whole lines in step order: a state machine without I/O and without timers. */
import { Fault } from '../fault.ts';
import type { LineBatch, LogLine } from '../kube/lines.ts';

/** What may be written now. `step` is the position that was given to the joiner. */
export type Joined =
  | { readonly kind: 'lines'; readonly step: number; readonly batch: LineBatch }
  | { readonly kind: 'blank'; readonly step: number }
  /** The step and all before it have ended and all it said is out: comes once for each step, last, in the order of the steps. */
  | { readonly kind: 'over'; readonly step: number };

/** How long a step's first line waits for the end of the steps before it. */
export const HOLD_MS = 75;
/** From how many held bytes on a step's reader should pause. */
export const HELD_BYTES_MAX = 64 * 1024;

// An empty line is an object too: without this, a million of them would count as nothing.
const LINE_OVERHEAD_BYTES = 64;

// What Tekton's entrypoint says, through Go's log.Print, in a step that never ran:
// https://github.com/tektoncd/pipeline/blob/v1.15.0/cmd/entrypoint/main.go#L167
const SKIPPED = /^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d Skipping step because a previous step failed$/;
const SKIPPED_BYTES = '2026/11/01 10:00:00 Skipping step because a previous step failed'.length;

const lineEnd: LineBatch = { lines: [{ timestamp: '', text: Buffer.alloc(0), part: 'last' }] };

interface Step {
  readonly position: number;
  readonly index: number;
  held: LineBatch[];
  heldBytes: number;
  /** When the first of `held` came. */
  heldSinceMs: number;
  /** All that `held` has, and all this step ever said, is the entrypoint's sentence: it is kept until something else or the end comes. */
  onlySkipped: boolean;
  /** Its turn has come: from now on its lines wait for nobody, except while another step's line is unfinished. */
  open: boolean;
  /** The last line that came is a fragment and wants another. */
  midLine: boolean;
  ended: boolean;
  /** Its container had ended before its log was opened: that log comes at once and to its end. */
  finite: boolean;
  /** Something of it was handed out. */
  spoke: boolean;
  /** Its blank line was handed out. */
  setApart: boolean;
  /** Its end was handed out. */
  over: boolean;
}

/**
 * Joins the steps of one pod.
 *
 * - Guarantees: every line once, in the order of its step, but for the one line of a step that was skipped, which is
 *   swallowed; no other step's line within a fragmented one; one blank line per step that said something.
 * - Tekton runs steps one after another, but the kubelet tells the end of a log up to a second late. So a step's first line
 *   waits until all steps before it have ended, and at most `HOLD_MS`; then the step is open, and lines of earlier steps
 *   that are later still pass as they come. A step that says nothing makes nobody wait.
 * - The log of a container that had ended before (`isFinite`) comes as fast as it can be read, so there is no end to be late:
 *   later steps wait for it however long that takes.
 * - The blank line comes at the step's end, or when a later step begins to speak, whichever is first.
 * - A line waits longer than `HOLD_MS` only while another step's fragmented line is unfinished; the end of that step finishes it.
 *
 * Every input returns what may be written now, in order. Times are milliseconds of any clock that does not run backwards.
 */
export class Joiner {
  readonly #steps: readonly Step[];
  #unfinished: Step | undefined;

  /** `steps`: the positions, in the pod, of the steps that will be read, ascending. Those not named make nobody wait. */
  constructor(steps: readonly number[]) {
    this.#steps = steps.map((position, index) => ({
      position,
      index,
      held: [],
      heldBytes: 0,
      heldSinceMs: 0,
      onlySkipped: false,
      open: false,
      midLine: false,
      ended: false,
      finite: false,
      spoke: false,
      setApart: false,
      over: false,
    }));
  }

  /** A step said `batch`. Fault `internal`: the step is not one of ours, or has ended. */
  lines(position: number, batch: LineBatch, now: number): readonly Joined[] {
    const step = this.#step(position);
    if (step.ended) throw new Fault('internal', `step ${position} spoke after its end`);
    this.#hold(step, batch, now);
    return this.#settle(now);
  }

  /** The step's container had ended before its log was opened. Call it before the first line; calling it twice is harmless. */
  isFinite(position: number): void {
    this.#step(position).finite = true;
  }

  /** A step's log is complete, or nothing more of it will come. Calling it twice is harmless. */
  ended(position: number, now: number): readonly Joined[] {
    const step = this.#step(position);
    if (!step.ended && step.midLine) this.#hold(step, lineEnd, now);
    step.ended = true;
    return this.#settle(now);
  }

  /** Time has passed. Harmless at any time; needed at `wakeAt`. */
  tick(now: number): readonly Joined[] {
    return this.#settle(now);
  }

  /** When `tick` has something to do at the latest; undefined while only other inputs can change anything. */
  get wakeAt(): number | undefined {
    if (this.#unfinished !== undefined) return undefined;
    let earliest: number | undefined;
    for (const step of this.#patientSteps()) {
      if (step.held.length === 0 || step.onlySkipped) continue;
      const due = step.heldSinceMs + HOLD_MS;
      if (earliest === undefined || due < earliest) earliest = due;
    }
    return earliest;
  }

  /** False while so much of a step is held that its reader should pause; a batch given nevertheless is kept. */
  wants(position: number): boolean {
    return this.#step(position).heldBytes < HELD_BYTES_MAX;
  }

  /** Bytes held over all steps, with some for each line's own weight. */
  get heldBytes(): number {
    return this.#steps.reduce((sum, step) => sum + step.heldBytes, 0);
  }

  #step(position: number): Step {
    const step = this.#steps.find((one) => one.position === position);
    if (step === undefined) throw new Fault('internal', `step ${position} is not joined here`);
    return step;
  }

  /** The steps up to the first one that has to be waited for: only their patience can end. */
  #patientSteps(): readonly Step[] {
    const awaited = this.#steps.findIndex(({ finite, ended }) => finite && !ended);
    return awaited === -1 ? this.#steps : this.#steps.slice(0, awaited + 1);
  }

  #hold(step: Step, batch: LineBatch, now: number): void {
    const last = batch.lines.at(-1);
    if (last === undefined) return;
    if (step.held.length === 0) step.heldSinceMs = now;
    step.held.push(batch);
    step.midLine = last.part === 'first' || last.part === 'middle';
    // A batch that passes at once is not weighed line by line: the current step pays for nothing it does not need.
    const passes = step.open && (this.#unfinished ?? step) === step;
    if (!passes) step.heldBytes += weight(batch.lines);
    step.onlySkipped =
      !step.spoke && step.position > 0 && step.held.length === 1 && batch.lines.length === 1 && saysSkipped(last);
  }

  #settle(now: number): readonly Joined[] {
    const out: Joined[] = [];
    if (this.#unfinished !== undefined) this.#write(this.#unfinished, out);
    if (this.#unfinished !== undefined) return out;
    const lastDue = this.#patientSteps().findLastIndex(
      (step) => step.held.length > 0 && !step.onlySkipped && step.heldSinceMs + HOLD_MS <= now,
    );
    let allBeforeEnded = true;
    for (const step of this.#steps) {
      // Whoever is due takes along what earlier steps have, so that the order stays even when patience ends.
      const mayWrite = step.open || allBeforeEnded || step.index <= lastDue;
      if (mayWrite && !step.onlySkipped) this.#write(step, out);
      if (this.#unfinished !== undefined) return out;
      if (step.ended) this.#finish(step, allBeforeEnded, out);
      allBeforeEnded &&= step.ended;
    }
    return out;
  }

  #write(step: Step, out: Joined[]): void {
    if (step.held.length === 0) return;
    for (const earlier of this.#steps.slice(0, step.index)) if (earlier.spoke) setApart(earlier, out);
    for (const batch of step.held) out.push({ kind: 'lines', step: step.position, batch });
    const last = step.held.at(-1)?.lines.at(-1)?.part;
    this.#unfinished = last === 'first' || last === 'middle' ? step : undefined;
    step.held = [];
    step.heldBytes = 0;
    step.open = true;
    step.spoke = true;
  }

  #finish(step: Step, allBeforeEnded: boolean, out: Joined[]): void {
    if (step.onlySkipped) {
      step.onlySkipped = false;
      step.held = [];
      step.heldBytes = 0;
    }
    if (step.held.length > 0 || step.over) return;
    if (step.spoke) setApart(step, out);
    if (!allBeforeEnded) return;
    step.over = true;
    out.push({ kind: 'over', step: step.position });
  }
}

function setApart(step: Step, out: Joined[]): void {
  if (step.setApart) return;
  step.setApart = true;
  out.push({ kind: 'blank', step: step.position });
}

function weight(lines: readonly LogLine[]): number {
  let bytes = 0;
  for (const line of lines) bytes += line.text.length + LINE_OVERHEAD_BYTES;
  return bytes;
}

function saysSkipped({ text, part }: LogLine): boolean {
  return part === 'whole' && text.length === SKIPPED_BYTES && SKIPPED.test(text.toString('latin1'));
}
