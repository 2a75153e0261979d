/** What a log stream says beside the log: why nothing comes, what failed, how it ended. Facts in, sentences out. */
import { type Attempt, attemptStatus, attemptsOf } from './attempts.ts';
import { failureOf } from './failure.ts';
import { isTaskSelected, type LogFilters, type PodPlan, type StepPlan } from './logs.ts';
import { isDone, isFinal, type NamedTaskRun, phaseOf, runStatus, taskRunsOf } from './status.ts';
import { printable } from './text.ts';
import type { AttemptStatus, InstanceStatus, Phase, PipelineRun, RunFacts, RunStatus, TaskStatus } from './types.ts';

/** How much a reader wants to be told: what is wrong, or also what is only worth knowing. */
export type NoticeLevel = 'problems' | 'all';

/** What a log is of, in words. */
export type RunNoun = 'run' | 'task run';

/** A sentence beside the log, in one line and without control characters. */
export interface Notice {
  /** The same thing has the same key however often it is found: what was said is not said again. */
  readonly key: string;
  /** The least a reader must want to be told it: `problems` is for everybody. */
  readonly level: NoticeLevel;
  readonly sentence: string;
  /** Name of the pod whose lines come first; when nobody reads that pod, nothing has to come first. */
  readonly after?: string;
  /** Because of this some of the log cannot be shown. */
  readonly isLoss?: true;
}

/** Reasons of waiting that are the ordinary way to a running pod, and what the retry notice has said already. */
const ORDINARY_WAITS: ReadonlySet<string> = new Set([
  '',
  'Started',
  'Pending',
  'PodInitializing',
  'ContainerCreating',
  'ToBeRetried',
]);

/** Unknown conditions of a run that mean it goes to its end before its time, or should and cannot. */
const STOPPING: ReadonlySet<string> = new Set([
  'PipelineRunStopping',
  'CancelledRunningFinally',
  'StoppedRunningFinally',
  'PipelineRunTimeoutRunningFinally',
  'PipelineRunCouldntCancel',
  'PipelineRunCouldntTimeOut',
]);

/**
 * What there is to say of a run now, in the order of its tasks. Ask again whenever the facts change and say what has a key
 * that was not said. Notices of tasks that `filters` leave out are left out; those of the run as a whole never are.
 */
export function noticesOf(facts: RunFacts, filters: LogFilters = {}, noun: RunNoun = 'run'): readonly Notice[] {
  const named = new Map(taskRunsOf(facts).map((one) => [one.taskRun.meta.uid, one]));
  // No sentence tells a duration, so any time will do.
  const status = runStatus(facts, new Date(0));
  return [...runNotices(facts.run, noun), ...taskNotices(status, { named, filters, outer: '' })];
}

/** How a stream ends: nothing more comes of the run, it was deleted, this process stops, or the answer is as long as it may be. */
export type LogEnd = 'finished' | 'deleted' | 'draining' | 'limited';

/** The last words of a stream: how the run stands, and whether any of its log is missing. */
export function closingNotices(
  run: PipelineRun,
  ended: LogEnd,
  complete: boolean,
  noun: RunNoun = 'run',
): readonly Notice[] {
  if (ended === 'draining') return [problem('draining', 'this gateway is stopping; ask again to go on')];
  if (ended === 'limited') {
    return [
      problem('limited', 'limitBytes is reached; ask again with the cursor to go on'),
      outcomeNotice(run, ended, noun),
    ];
  }
  const missing = { ...problem('missing', 'some of the log is missing'), isLoss: true as const };
  return [...(complete || ended === 'deleted' ? [] : [missing]), outcomeNotice(run, ended, noun)];
}

function outcomeNotice({ meta, succeeded }: PipelineRun, ended: LogEnd, noun: RunNoun): Notice {
  const phase = ended === 'deleted' ? 'deleted' : phaseOf(succeeded);
  const told = phase === 'deleted' ? '' : beyondPhase(succeeded?.reason ?? '', succeeded?.message ?? '');
  const sentence = `${noun} ${printable(meta.name)} ${OUTCOMES[phase]}${told}`;
  return { key: 'outcome', level: phase === 'succeeded' ? 'all' : 'problems', sentence };
}

const OUTCOMES: Readonly<Record<Phase, string>> = {
  pending: 'is still pending',
  running: 'is still running',
  succeeded: 'succeeded',
  failed: 'failed',
  cancelled: 'was cancelled',
  timedout: 'timed out',
  deleted: 'was deleted',
};

/** Instead of a log that went with its pod: how the step ended. Nothing is said of steps that never ran. */
export function goneNotice(pod: PodPlan, step: StepPlan): Notice {
  const code = step.exitCode === undefined ? '' : `, exit code ${step.exitCode}`;
  const ended = step.reason === undefined ? '' : ` (${printable(step.reason)}${code})`;
  return {
    key: `gone ${pod.pod} ${step.container}`,
    level: 'problems',
    sentence: `task ${printable(pod.prefix)}: the log of ${titleOf(step)} is gone with its pod${ended}`,
    after: pod.pod,
    isLoss: true,
  };
}

/** What runs beside the steps of a task that is over, and was not stopped. */
export function lingeringNotice(pod: PodPlan, container: StepPlan): Notice {
  return {
    key: `lingering ${pod.pod} ${container.container}`,
    level: 'problems',
    sentence: `task ${printable(pod.prefix)}: ${titleOf(container)} still runs although its task is over; it is not waited for`,
    after: pod.pod,
    isLoss: true,
  };
}

function titleOf({ role, name }: StepPlan): string {
  return `${role === 'step' ? 'step' : 'container'} ${printable(name)}`;
}

/** So many tasks are named; of more only how many there are. */
const MOST_AWAITED = 3;

/** What a stream waits for now, to be said after `waiting for`. */
export function awaited(facts: RunFacts, filters: LogFilters = {}): string {
  if (isDone(facts.run.succeeded)) return 'the last lines';
  const tasks = taskRunsOf(facts)
    .filter(
      ({ taskRun, task, displayName }) => !isDone(taskRun.succeeded) && isTaskSelected(task, displayName, filters),
    )
    .map(({ taskRun, displayName, facts: { pods } }) =>
      awaitedOf(attemptsOf(taskRun, pods).at(-1), printable(displayName)),
    );
  if (tasks.length === 0) return facts.run.succeeded === undefined ? 'the run to start' : 'the next task';
  const more = tasks.length > MOST_AWAITED ? [`${tasks.length - MOST_AWAITED} more`] : [];
  return [...tasks.slice(0, MOST_AWAITED), ...more].join('; ');
}

function awaitedOf(attempt: Attempt | undefined, name: string): string {
  if (attempt === undefined) return `task ${name}`;
  // No word here tells a duration, so any time will do.
  const { steps, waiting } = attemptStatus(attempt, new Date(0));
  const step = steps.find(({ state }) => state === 'running');
  if (step !== undefined) return `task ${name}, step ${printable(step.name)}`;
  return `task ${name} to start${waiting === undefined || waiting.reason === '' ? '' : ` (${printable(waiting.reason)})`}`;
}

/** What keeps the run as a whole from going on. */
function runNotices({ succeeded, requested }: PipelineRun, noun: RunNoun): readonly Notice[] {
  if (isDone(succeeded)) return [];
  const waiting = `waiting for the ${noun} to start`;
  if (requested === 'PipelineRunPending') {
    return [problem('run held back', `${waiting}: its spec.status is PipelineRunPending`)];
  }
  // Nearly every run begins like this, for a moment: worth knowing, but no problem.
  if (succeeded === undefined) return [{ key: 'run not started', level: 'all', sentence: waiting }];
  const { reason, message } = succeeded;
  const key = `run ${reason}`;
  if (STOPPING.has(reason)) return [problem(key, `the ${noun} is being stopped${because(reason, message)}`)];
  const isWaiting = reason === 'PipelineRunPending' || reason.startsWith('Resolving');
  return isWaiting ? [{ key, level: 'all', sentence: `${waiting}${because(reason, message)}` }] : [];
}

interface Surroundings {
  readonly named: ReadonlyMap<string, NamedTaskRun>;
  readonly filters: LogFilters;
  /** Path of the nested run: '' or `deploy/`. */
  readonly outer: string;
}

function taskNotices(run: RunStatus, around: Surroundings): readonly Notice[] {
  const { filters, outer } = around;
  return run.tasks.flatMap((task) => {
    const path = `${outer}${task.name}`;
    if (task.phase === 'skipped' && isTaskSelected(task.name, path, filters)) {
      const sentence = `task ${printable(path)} is skipped: ${printable(task.skip ?? 'no reason given')}`;
      // Who names it wants to know why nothing comes.
      const level = filters.task === undefined || filters.task.length === 0 ? 'all' : 'problems';
      return [{ key: `skipped ${run.uid} ${task.name}`, level, sentence } as const];
    }
    return task.instances.flatMap((instance) => [
      ...(instance.run === undefined ? [] : taskNotices(instance.run, { ...around, outer: `${path}/` })),
      ...instanceNotices(run, task, instance, around),
    ]);
  });
}

function instanceNotices(
  run: RunStatus,
  task: TaskStatus,
  instance: InstanceStatus,
  { named, filters, outer }: Surroundings,
): readonly Notice[] {
  const known = named.get(instance.uid);
  const displayName = known?.displayName ?? `${outer}${task.name}`;
  if (!isTaskSelected(task.name, displayName, filters)) return [];
  const name = `task ${printable(displayName)}`;
  if (instance.uid === '') return unseenNotices(run, task, instance, name);
  const current = instance.attempts.at(-1);
  return [
    ...retryNotices(instance, name, known?.taskRun.retries ?? 0),
    ...(current?.waiting === undefined ? [] : waitingNotices(instance, name, current.waiting)),
    ...endNotices(run, task, instance, name, known).map((notice) => ({
      ...notice,
      ...(current?.pod === undefined ? {} : { after: current.pod }),
    })),
  ];
}

/** A task whose TaskRun (or nested run) cannot be seen had a log that we cannot find. While the run goes on it may still come. */
function unseenNotices(run: RunStatus, task: TaskStatus, instance: InstanceStatus, name: string): readonly Notice[] {
  if (!isDone(run.condition) || task.kind === 'CustomRun') return [];
  const sentence = `${name}: its log is gone with ${task.kind} ${printable(instance.name)}`;
  return [{ ...problem(`unseen ${run.uid} ${instance.name}`, sentence), isLoss: true }];
}

function retryNotices({ uid, attempts }: InstanceStatus, name: string, retries: number): readonly Notice[] {
  const total = Math.max(retries + 1, attempts.length);
  return attempts.slice(1).map((_, index) => {
    const before = attempts[index];
    const why = because(before?.reason ?? '', before?.message ?? '', ' after ');
    return {
      ...problem(`retry ${uid} ${index + 2}`, `${name}: attempt ${index + 2} of ${total}${why}`),
      ...(before?.pod === undefined ? {} : { after: before.pod }),
    };
  });
}

function waitingNotices(
  { uid, attempts }: InstanceStatus,
  name: string,
  waiting: NonNullable<AttemptStatus['waiting']>,
): readonly Notice[] {
  const { container, reason, message } = waiting;
  if (ORDINARY_WAITS.has(reason)) return [];
  const key = `waiting ${uid} ${attempts.length} ${container ?? ''} ${reason}`;
  const where = container === undefined ? '' : `, container ${printable(container)}`;
  const what = reason === 'Unschedulable' ? ' for a node' : '';
  const sentence = `${name}${where} is waiting${what}${because(reason === 'Unschedulable' ? '' : reason, message)}`;
  return [{ key, level: reason.startsWith('Resolving') ? 'all' : 'problems', sentence }];
}

/** How an instance ended, once that is certain. */
function endNotices(
  run: RunStatus,
  task: TaskStatus,
  instance: InstanceStatus,
  name: string,
  known: NamedTaskRun | undefined,
): readonly Notice[] {
  const { uid, phase, reason, message } = instance;
  if (known !== undefined) {
    const runDone = isDone(known.facts.run.succeeded);
    if (!isFinal(known.taskRun, { runDone, unchangedMs: 0 })) return [];
  }
  const said = beyondPhase(reason, message);
  const key = `end ${uid}`;
  switch (phase) {
    case 'failed':
      // Whatever failed inside has said so itself.
      if (instance.run?.failure?.task !== undefined) return [{ key, level: 'all', sentence: `${name} failed${said}` }];
      return [problem(key, `${name} failed${whatFailed(run, task, instance) ?? said}`)];
    case 'timedout':
      return [problem(key, `${name} timed out${said}`)];
    case 'cancelled':
      return [problem(key, `${name} was cancelled${said}`)];
    case 'ignored':
      return [{ key, level: 'all', sentence: `${name} failed, which its pipeline tolerates${said}` }];
    default:
      return [];
  }
}

/** The failing step with its exit code, where there is one to blame. */
function whatFailed(run: RunStatus, task: TaskStatus, instance: InstanceStatus): string | undefined {
  const failure = failureOf('failed', run.condition, [{ ...task, instances: [instance] }]);
  if (failure?.step === undefined || failure.exitCode === undefined) return undefined;
  const { step, exitCode, reason } = failure;
  return `: step ${printable(step)} ended with exit code ${exitCode} (${printable(reason)})`;
}

function problem(key: string, sentence: string): Notice {
  return { key, level: 'problems', sentence };
}

/** Reasons that say no more than the word for the phase: nobody is told that a run failed because it failed. */
const ECHOES: ReadonlySet<string> = new Set([
  'Succeeded',
  'Completed',
  'Failed',
  'FailureIgnored',
  'Cancelled',
  'TaskRunCancelled',
  'PipelineRunTimeout',
  'TaskRunTimeout',
  'Running',
  'Started',
  'Pending',
  'PipelineRunPending',
]);

/** The beginning of a message that says no more than the phase either. */
const CANCELLED = /^(?:PipelineRun|TaskRun) "[^"]*" was cancelled(?:\.\s*|$)/;

/** What a condition adds to the word for its phase. */
function beyondPhase(reason: string, message: string): string {
  return because(ECHOES.has(reason) ? '' : reason, message.replace(CANCELLED, ''));
}

/** `: reason: message`, or as much of it as there is. */
function because(reason: string, message: string, before = ': '): string {
  const words = [reason, message].filter((word) => word !== '').map((word) => printable(word));
  return words.length === 0 ? '' : `${before}${words.join(': ')}`;
}
