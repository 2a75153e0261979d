/**
 * A PipelineRun's tasks together: which are done, skipped, next, and what that makes of the run. Asked within one look at
 * a run; nothing here reads or writes the API.
 */
import type { Verdict } from './condition.ts';
import { formatDuration, parseDuration } from './duration.ts';
import type { Graph } from './graph.ts';
import { candidates } from './graph.ts';
import { namesResults } from './reference.ts';
import { executionStatus, putResults, resolveResults } from './results.ts';
import { isMatrixed } from './specs.ts';
import { isList } from './substitute.ts';
import type { TaskState } from './taskstate.ts';
import { anyFailed, hasFailed, hasSucceeded, isRunning, isScheduled, reasonOf, wasCancelled } from './taskstate.ts';
import type { PipelineRun, SkippedTask } from './types.ts';
import { allow } from './when.ts';

/** Why a task is not run, in Tekton's words. */
export type SkipReason =
  | 'When Expressions evaluated to false'
  | 'Parent Tasks were skipped'
  | 'PipelineRun was stopping'
  | 'PipelineRun was gracefully cancelled'
  | 'PipelineRun was gracefully stopped'
  | 'Results were missing'
  | 'PipelineRun timeout has been reached'
  | 'PipelineRun Tasks timeout has been reached'
  | 'PipelineRun Finally timeout has been reached'
  | 'Matrix Parameters have an empty array';

/** A run's timeouts in milliseconds, 0 for none; `tasks` and `finally` follow from the others where they can. */
export interface Timeouts {
  readonly pipeline: number;
  readonly tasks: number | undefined;
  readonly finally: number | undefined;
}

/** Without `spec.timeouts.pipeline` a run has an hour. */
const DEFAULT_TIMEOUT_MS = 3_600_000;

/** The timeouts of a run. */
export function timeoutsOf({ timeouts = {} }: PipelineRun['spec']): Timeouts {
  const ms = (text: string | undefined) => (text === undefined ? undefined : parseDuration(text));
  const [pipeline, tasks, last] = [ms(timeouts.pipeline), ms(timeouts.tasks), ms(timeouts.finally)];
  const rest = (part: number | undefined) => (pipeline && part ? pipeline - part : undefined);
  return { pipeline: pipeline ?? DEFAULT_TIMEOUT_MS, tasks: tasks ?? rest(last), finally: last ?? rest(tasks) };
}

/** What a run's progress is judged by. */
export interface ProgressFacts {
  readonly run: PipelineRun;
  readonly states: readonly TaskState[];
  /** Of the tasks without the finally tasks. */
  readonly graph: Graph;
  readonly now: number;
  /** Start times as they are in this look, which may be the first. */
  readonly startedAt: number | undefined;
}

/** The tasks of one run, at one moment. */
export class Progress {
  readonly states: readonly TaskState[];
  readonly timeouts: Timeouts;
  finallyStartedAt: number | undefined;
  /** Tasks that could not start because a result they need was never written, each with the sentence that says so. */
  readonly #invalid = new Map<TaskState, string>();
  readonly #skips = new Map<TaskState, SkipReason | undefined>();
  readonly #run: PipelineRun;
  readonly #graph: Graph;
  readonly #now: number;
  readonly #startedAt: number | undefined;

  constructor({ run, states, graph, now, startedAt }: ProgressFacts) {
    this.#run = run;
    this.states = states;
    this.#graph = graph;
    this.#now = now;
    this.#startedAt = startedAt;
    this.timeouts = timeoutsOf(run.spec);
    const { finallyStartTime } = run.status ?? {};
    this.finallyStartedAt = finallyStartTime === undefined ? undefined : Date.parse(finallyStartTime);
  }

  /** The task cannot start and makes the run fail. */
  markInvalid(state: TaskState, why: string): void {
    this.#invalid.set(state, why);
    this.#skips.clear();
  }

  /** Forgets which tasks are skipped: something has been started. */
  reconsider(): void {
    this.#skips.clear();
  }

  get hasTimedOut(): boolean {
    return this.#over(this.#startedAt, this.timeouts.pipeline);
  }

  get haveTasksTimedOut(): boolean {
    return this.#over(this.#startedAt, this.timeouts.tasks);
  }

  get hasFinallyTimedOut(): boolean {
    return this.#over(this.finallyStartedAt, this.timeouts.finally);
  }

  /** A task that is no finally task has runs that are not done. */
  get isRunning(): boolean {
    return this.states.some((state) => !state.isFinal && isRunning(state));
  }

  /** No task has a run yet. */
  get isBeforeFirst(): boolean {
    return this.states.every(({ taskRuns, customRuns, pipelineRuns }) =>
      [taskRuns, customRuns, pipelineRuns].every((runs) => runs.length === 0),
    );
  }

  get areTasksDone(): boolean {
    return this.states.every((state) => state.isFinal || this.isDone(state));
  }

  /** A finally task has a run, and all others are done. */
  get isFinallyStarted(): boolean {
    return this.areTasksDone && this.states.some((state) => state.isFinal && isScheduled(state));
  }

  /** Skipped, succeeded, failed, or never able to start. */
  isDone(state: TaskState): boolean {
    return this.skipOf(state) !== undefined || hasSucceeded(state) || hasFailed(state) || this.#invalid.has(state);
  }

  /** Tasks whose turn it is, finally tasks left out. */
  nextTasks(): TaskState[] {
    const asked = this.#run.spec.status;
    if (asked === 'Cancelled' || asked === 'CancelledRunFinally') return [];
    const done = this.states.filter((state) => !state.isFinal && this.isDone(state)).map(({ task }) => task.name);
    const names = candidates(this.#graph, new Set(done));
    if (this.#isStopping() || asked === 'StoppedRunFinally') return [];
    return this.states.filter((state) => !state.isFinal && names.has(state.task.name) && !hasRuns(state));
  }

  /** Finally tasks whose turn it is. */
  nextFinally(): TaskState[] {
    if (!this.areTasksDone) return [];
    return this.states.filter((state) => state.isFinal && !hasRuns(state));
  }

  /** Why a task is skipped. Finally tasks never are here: see `finallySkipOf`. */
  skipOf(state: TaskState): SkipReason | undefined {
    const known = this.#skips.get(state);
    if (known !== undefined || this.#skips.has(state)) return known;
    const reason = this.#judge(state);
    this.#skips.set(state, reason);
    return reason;
  }

  /** Why a finally task is skipped, once all others are done. */
  finallySkipOf(state: TaskState): SkipReason | undefined {
    if (isScheduled(state) || !state.isFinal || !this.areTasksDone) return undefined;
    if (this.#lacksResults(state)) return 'Results were missing';
    if (!allow(state.task.when ?? [])) return 'When Expressions evaluated to false';
    if (this.hasTimedOut) return 'PipelineRun timeout has been reached';
    if (this.hasFinallyTimedOut) return 'PipelineRun Finally timeout has been reached';
    return hasEmptyMatrix(state) ? 'Matrix Parameters have an empty array' : undefined;
  }

  /** `status.skippedTasks` */
  skippedTasks(): SkippedTask[] {
    return this.states.flatMap((state) => {
      const { name, when = [] } = state.task;
      const reason = this.skipOf(state);
      const last = this.finallySkipOf(state);
      const withWhen = (skip: SkipReason, shown: boolean): SkippedTask => ({
        name,
        reason: skip,
        ...(shown && when.length > 0 ? { whenExpressions: when } : {}),
      });
      return [
        ...(reason === undefined ? [] : [withWhen(reason, true)]),
        ...(last === undefined ? [] : [withWhen(last, last === 'When Expressions evaluated to false')]),
      ];
    });
  }

  /** What finally tasks may ask: `tasks.<name>.status`, `tasks.<name>.reason`, `tasks.status`. */
  taskStatuses(): ReadonlyMap<string, string> {
    const tasks = this.states.filter(({ isFinal }) => !isFinal);
    const each = tasks.flatMap((state): [string, string][] => [
      [`tasks.${state.task.name}.status`, executionStatus(state)],
      [`tasks.${state.task.name}.reason`, reasonOf(state)],
    ]);
    return new Map([...each, ['tasks.status', this.#aggregate(tasks)]]);
  }

  /** How the run stands now. */
  verdict(): Verdict {
    const { name } = this.#run.metadata;
    const quoted = JSON.stringify(name);
    if (this.hasTimedOut) {
      const message = `PipelineRun ${quoted} failed to finish within "${formatDuration(this.timeouts.pipeline)}"`;
      return { status: 'False', reason: 'PipelineRunTimeout', message };
    }
    const finallyPending = this.states.some(({ isFinal }) => isFinal) && !this.#isFinallyDone();
    if (this.haveTasksTimedOut && !finallyPending) {
      const within = formatDuration(this.timeouts.tasks ?? 0);
      const message = `PipelineRun ${quoted} failed due to tasks failed to finish within "${within}"`;
      return { status: 'False', reason: 'PipelineRunTimeout', message };
    }
    const count = this.#count();
    return count.incomplete === 0 ? this.#final(count) : this.#ongoing(count, finallyPending);
  }

  #final({ succeeded, failed, ignored, cancelled, skipped, timedOut, invalid }: Count): Verdict {
    const completed = succeeded + failed + ignored + cancelled;
    const ignoring = ignored > 0 ? ` (Ignored: ${ignored})` : '';
    const counts = `Tasks Completed: ${completed} (Failed: ${failed + ignored}${ignoring}, Cancelled ${cancelled}), Skipped: ${skipped}`;
    const message = counts + this.#invalidNote(invalid);
    if (invalid > 0) return { status: 'False', reason: 'PipelineValidationFailed', message };
    if (failed > 0 || timedOut > 0) return { status: 'False', reason: 'Failed', message };
    const asked = this.#run.spec.status;
    if (asked === 'CancelledRunFinally' || asked === 'StoppedRunFinally') {
      return {
        status: 'False',
        reason: 'Cancelled',
        message: `PipelineRun ${JSON.stringify(this.#run.metadata.name)} was cancelled`,
      };
    }
    if (cancelled > 0) return { status: 'False', reason: 'Cancelled', message };
    return { status: 'True', reason: skipped > 0 ? 'Completed' : 'Succeeded', message };
  }

  #invalidNote(invalid: number): string {
    if (invalid === 0) return '';
    const sentences = [...this.#invalid].sort(([a], [b]) => (a.task.name < b.task.name ? -1 : 1)).map(([, why]) => why);
    const text = sentences.join('; ');
    const bytes = Buffer.from(text);
    return `, Failed Validation: ${invalid} (${bytes.length > 1024 ? `${bytes.subarray(0, 1024).toString()}...` : text})`;
  }

  #ongoing({ succeeded, failed, ignored, cancelled, incomplete, skipped }: Count, finallyPending: boolean): Verdict {
    const completed = succeeded + failed + ignored + cancelled;
    const message = `Tasks Completed: ${completed} (Failed: ${failed}, Cancelled ${cancelled}), Incomplete: ${incomplete}, Skipped: ${skipped}`;
    return { status: 'Unknown', reason: this.#ongoingReason({ failed, cancelled }, finallyPending), message };
  }

  #ongoingReason({ failed, cancelled }: Pick<Count, 'failed' | 'cancelled'>, finallyPending: boolean): string {
    if (this.haveTasksTimedOut && finallyPending) return 'PipelineRunTimeoutRunningFinally';
    if (this.#run.spec.status === 'CancelledRunFinally') return 'CancelledRunningFinally';
    if (this.#run.spec.status === 'StoppedRunFinally') return 'StoppedRunningFinally';
    return cancelled > 0 || (failed > 0 && this.#isFinallyDone()) ? 'PipelineRunStopping' : 'Running';
  }

  #count(): Count {
    const count: Count = {
      succeeded: 0,
      failed: 0,
      ignored: 0,
      cancelled: 0,
      invalid: 0,
      skipped: 0,
      timedOut: 0,
      incomplete: 0,
    };
    for (const state of this.states) {
      if (hasSucceeded(state)) count.succeeded++;
      else if (wasCancelled(state, { forTimeout: true })) count.failed++;
      else if (wasCancelled(state)) count.cancelled++;
      else if (hasFailed(state)) count[state.task.onError === 'continue' ? 'ignored' : 'failed']++;
      else if (this.#invalid.has(state)) count.invalid++;
      else this.#countSkip(count, state);
    }
    return count;
  }

  #countSkip(count: Count, state: TaskState): void {
    const skip = this.skipOf(state);
    const last = this.finallySkipOf(state);
    if (skip === undefined && last === undefined) {
      count.incomplete++;
      return;
    }
    count.skipped++;
    const late =
      skip === 'PipelineRun timeout has been reached' ||
      skip === 'PipelineRun Tasks timeout has been reached' ||
      last === 'PipelineRun Finally timeout has been reached';
    if (late) count.timedOut++;
  }

  #judge(state: TaskState): SkipReason | undefined {
    if (state.isFinal || isScheduled(state) || this.#invalid.has(state)) return undefined;
    if (this.#isStopping()) return 'PipelineRun was stopping';
    if (this.#run.spec.status === 'CancelledRunFinally') return 'PipelineRun was gracefully cancelled';
    if (this.#run.spec.status === 'StoppedRunFinally') return 'PipelineRun was gracefully stopped';
    const parents = this.#parentsOf(state);
    const parentsDone = parents.every((parent) => this.isDone(parent));
    if (parentsDone && !allow(state.task.when ?? [])) return 'When Expressions evaluated to false';
    const skips = parents.map((parent) => this.skipOf(parent));
    // A parent's own when expression only guards the parent.
    if (skips.some((skip) => skip !== undefined && skip !== 'When Expressions evaluated to false')) {
      return 'Parent Tasks were skipped';
    }
    if (parentsDone && this.#lacksResults(state)) return 'Results were missing';
    if (parentsDone && this.hasTimedOut) return 'PipelineRun timeout has been reached';
    if (parentsDone && this.haveTasksTimedOut) return 'PipelineRun Tasks timeout has been reached';
    return hasEmptyMatrix(state) ? 'Matrix Parameters have an empty array' : undefined;
  }

  /** Does it need a result that will never be, so that it is to be skipped? Puts in the results that are there. */
  #lacksResults(state: TaskState): boolean {
    if (!namesResults(state.task)) return false;
    const resolved = resolveResults(state, this.states);
    if ('replacements' in resolved) {
      putResults(state, resolved.replacements);
      return false;
    }
    const source = this.states.find(({ task }) => task.name === resolved.missing.task);
    if (source === undefined) return false;
    return (
      state.task.onError === 'continue' ||
      state.isFinal ||
      this.skipOf(source) === 'When Expressions evaluated to false'
    );
  }

  #isStopping(): boolean {
    return this.states.some(
      (state) => !state.isFinal && state.task.onError !== 'continue' && (hasFailed(state) || this.#invalid.has(state)),
    );
  }

  #isFinallyDone(): boolean {
    return this.states.every((state) => !state.isFinal || this.isDone(state));
  }

  #parentsOf({ task }: TaskState): TaskState[] {
    const names = this.#graph.get(task.name) ?? [];
    return this.states.filter((state) => names.includes(state.task.name));
  }

  #aggregate(tasks: readonly TaskState[]): string {
    if (!this.areTasksDone) return 'None';
    if (tasks.some(anyFailed)) return 'Failed';
    return tasks.some((state) => this.skipOf(state) !== undefined) ? 'Completed' : 'Succeeded';
  }

  #over(startedAt: number | undefined, timeout: number | undefined): boolean {
    return startedAt !== undefined && timeout !== undefined && timeout !== 0 && this.#now - startedAt > timeout;
  }
}

/** How many tasks stand where. Each counts once; `timedOut` are among the skipped. */
interface Count {
  succeeded: number;
  failed: number;
  ignored: number;
  cancelled: number;
  invalid: number;
  skipped: number;
  timedOut: number;
  incomplete: number;
}

function hasRuns({ taskRuns, customRuns, pipelineRuns }: TaskState): boolean {
  return taskRuns.length > 0 || customRuns.length > 0 || pipelineRuns.length > 0;
}

function hasEmptyMatrix({ task }: TaskState): boolean {
  return isMatrixed(task) && (task.matrix?.params ?? []).some(({ value }) => isList(value) && value.length === 0);
}
