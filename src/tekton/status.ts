/** What is known of a run → what callers are told of it. Pure: facts and the time in, a status out, never an exception. */
import { type ObjectRef, present } from '../kube/objects.ts';
import { attemptStatus, attemptsOf, millisecondsBetween } from './attempts.ts';
import { attemptsFailure, failureOf } from './failure.ts';
import { childPhase, phaseOf, runCondition, taskRunPhase } from './phase.ts';
import { type Child, mayFollow, type RunTask, tasksOf } from './tree.ts';
import { triggerOf } from './trigger.ts';
import type {
  AttemptStatus,
  InstanceStatus,
  NamedValue,
  PipelineRun,
  Pod,
  Progress,
  RunFacts,
  RunStatus,
  TaskPhase,
  TaskRun,
  TaskRunStatus,
  TaskStatus,
} from './types.ts';

export { type Attempt, attemptsOf, waitingFor } from './attempts.ts';
export { isDone, isFinal, phaseOf, runCondition, taskRunPhase } from './phase.ts';
export { type NamedTaskRun, taskRunsOf } from './tree.ts';

/**
 * The whole of a run. Running durations are those at `now`, which is served as `asOf`. Nested runs are followed eight
 * deep. A run that is no longer in the cluster is the caller's to call `deleted`.
 */
export function runStatus(facts: RunFacts, now: Date, logsOf?: LogsOf): RunStatus {
  return statusBelow(facts, { now, logsOf, ancestors: [] });
}

/** Where the log of a step is: a path of the API. Attempts count from 1. */
export type LogsOf = (taskRun: ObjectRef, attempt: number, step: string) => string;

/** One TaskRun by itself, with its pods. Otherwise as `runStatus`. */
export function taskRunStatus(taskRun: TaskRun, pods: readonly Pod[], now: Date, logsOf?: LogsOf): TaskRunStatus {
  const { meta, succeeded, started, completed, params, results, retries } = taskRun;
  const attempts = attemptStatuses(taskRun, pods, now, logsOf);
  const phase = taskRunPhase(taskRun);
  const condition = runCondition(taskRun);
  const hasFailed = phase === 'failed' || phase === 'timedout';
  return {
    namespace: meta.namespace,
    name: meta.name,
    uid: meta.uid,
    ...present({
      task: taskRun.task,
      displayName: taskRun.displayName,
      pipelineRun: meta.owner?.kind === 'PipelineRun' ? meta.owner.name : undefined,
      pipelineTask: taskRun.pipelineTask,
    }),
    phase,
    condition: { ...condition, ...present({ lastTransitionTime: succeeded?.lastTransitionTime }) },
    created: meta.created,
    ...present({ started, completed, durationMs: millisecondsBetween(started, completed ?? now.toISOString()) }),
    retries,
    params,
    results,
    labels: meta.labels,
    annotations: meta.annotations,
    attempts,
    ...present({ failure: hasFailed ? attemptsFailure({ ...condition, attempts }) : undefined }),
    asOf: now.toISOString(),
  };
}

function attemptStatuses(
  taskRun: TaskRun,
  pods: readonly Pod[],
  now: Date,
  logsOf: LogsOf | undefined,
): readonly AttemptStatus[] {
  return attemptsOf(taskRun, pods).map((attempt) => {
    const status = attemptStatus(attempt, now);
    if (logsOf === undefined) return status;
    const steps = status.steps.map((step) => ({ ...step, logs: logsOf(taskRun.meta, attempt.number, step.name) }));
    return { ...status, steps };
  });
}

/** What is told from a run to what is in it. */
interface Telling {
  readonly now: Date;
  readonly logsOf: LogsOf | undefined;
  /** Uids of the runs that this one is nested in, outermost first. */
  readonly ancestors: readonly string[];
}

function statusBelow(facts: RunFacts, telling: Telling): RunStatus {
  const { now, ancestors } = telling;
  const { run } = facts;
  const { meta, succeeded } = run;
  const asOf = now.toISOString();
  const phase = phaseOf(succeeded);
  const condition = runCondition(run);
  const tasks = tasksOf(facts).map((task) => taskStatus(task, facts, telling));
  const end = run.completed ?? asOf;
  return {
    namespace: meta.namespace,
    name: meta.name,
    uid: meta.uid,
    phase,
    condition: { ...condition, ...present({ lastTransitionTime: succeeded?.lastTransitionTime }) },
    created: meta.created,
    ...present({
      pipeline: run.pipeline,
      started: run.started,
      finallyStarted: run.finallyStarted,
      completed: run.completed,
      trigger: triggerOf(meta.labels),
      provenance: run.provenance,
      failure: failureOf(phase, condition, tasks),
    }),
    durations: present({
      queued: millisecondsBetween(meta.created, firstScheduled(facts, ancestors)),
      running: millisecondsBetween(run.started, end),
      finally: millisecondsBetween(run.finallyStarted, end),
    }),
    timeouts: run.timeouts,
    params: run.params,
    results: run.results,
    workspaces: run.workspaces,
    labels: meta.labels,
    annotations: meta.annotations,
    progress: progressOf(tasks),
    tasks,
    asOf,
  };
}

function taskStatus(task: RunTask, facts: RunFacts, telling: Telling): TaskStatus {
  const { name, kind, memberOf, spec, skipped, children } = task;
  const onError = spec?.onError ?? children.map(onErrorOf).find((policy) => policy !== undefined);
  const differing = differingParams(children);
  const instances = children.map((child) => instanceStatus(child, { ...telling, onError, differing, facts }));
  const phase = taskPhase(instances, skipped !== undefined);
  // A task speaks with the voice of the first instance that made it what it is.
  const voice =
    instances.find((instance) => instance.phase === phase) ?? instances.find(({ phase }) => phase === 'pending');
  return {
    name,
    kind,
    memberOf,
    runAfter: spec?.runAfter ?? [],
    phase,
    reason: voice?.reason ?? '',
    message: voice?.message ?? '',
    ...present({
      displayName: spec?.displayName ?? children[0]?.displayName,
      skip: phase === 'skipped' ? skipped?.reason : undefined,
      onError,
    }),
    instances,
  };
}

/** What an instance is told by its task and its run. */
interface Surroundings extends Telling {
  readonly onError: string | undefined;
  readonly differing: ReadonlySet<string>;
  readonly facts: RunFacts;
}

function instanceStatus(child: Child, around: Surroundings): InstanceStatus {
  const { facts, now, logsOf, onError, differing } = around;
  const { object, name, displayName } = child;
  if (object === undefined) return unseenInstance(child, facts.run);
  const { succeeded, started, completed, results } = object;
  const ancestors = [...around.ancestors, facts.run.meta.uid];
  const isFollowed = child.facts !== undefined && mayFollow(child.facts, ancestors);
  const params = object.params.filter((param) => differing.has(param.name));
  return {
    name,
    uid: object.meta.uid,
    phase: childPhase(object, onError),
    reason: succeeded?.reason ?? '',
    message: succeeded?.message ?? '',
    ...present({
      displayName: displayName ?? (object.kind === 'TaskRun' ? object.displayName : undefined),
      started,
      completed,
      durationMs: millisecondsBetween(started, completed ?? now.toISOString()),
      params: params.length > 0 ? params : undefined,
      results: results.length > 0 ? results : undefined,
      run: isFollowed && child.facts ? statusBelow(child.facts, { now, logsOf, ancestors }) : undefined,
    }),
    attempts: object.kind === 'TaskRun' ? attemptStatuses(object, facts.pods, now, logsOf) : [],
  };
}

/**
 * A child that the run names and nobody sees: just created, living on another cluster (`spec.managedBy`), or deleted. A
 * run that succeeded vouches for it; one that ended otherwise does not say how it went.
 */
function unseenInstance({ name, displayName }: Child, run: PipelineRun): InstanceStatus {
  const phases: Readonly<Record<string, TaskPhase>> = { True: 'succeeded', False: 'deleted' };
  return {
    name,
    uid: '',
    ...present({ displayName }),
    phase: phases[run.succeeded?.status ?? ''] ?? 'pending',
    reason: 'NotFound',
    message: `"${name}" is not in the cluster`,
    attempts: [],
  };
}

/** A task is done when all its instances are; then the worst of them counts, in the order in which Tekton counts. */
function taskPhase(instances: readonly InstanceStatus[], isSkipped: boolean): TaskPhase {
  if (instances.length === 0) return isSkipped ? 'skipped' : 'notstarted';
  const phases = new Set(instances.map(({ phase }) => phase));
  if (phases.has('running') || (phases.has('pending') && phases.size > 1)) return 'running';
  const worstFirst: readonly TaskPhase[] = ['pending', 'timedout', 'cancelled', 'failed', 'ignored', 'deleted'];
  return worstFirst.find((phase) => phases.has(phase)) ?? 'succeeded';
}

function progressOf(tasks: readonly TaskStatus[]): Progress {
  const count = (...phases: readonly TaskPhase[]) => tasks.filter(({ phase }) => phases.includes(phase)).length;
  return {
    total: tasks.length,
    succeeded: count('succeeded'),
    failed: count('failed', 'timedout'),
    ignored: count('ignored'),
    cancelled: count('cancelled'),
    skipped: count('skipped'),
    running: count('running', 'pending'),
    notStarted: count('notstarted'),
  };
}

/** The names of the parameters in which the instances of one task differ. */
function differingParams(children: readonly Child[]): ReadonlySet<string> {
  const [first, ...others] = children.flatMap(({ object }) => (object === undefined ? [] : [valuesOf(object.params)]));
  if (first === undefined || others.length === 0) return new Set();
  const names = new Set([first, ...others].flatMap((values) => [...values.keys()]));
  return new Set([...names].filter((name) => others.some((values) => values.get(name) !== first.get(name))));
}

function valuesOf(params: readonly NamedValue[]): ReadonlyMap<string, string> {
  return new Map(params.map(({ name, value }) => [name, JSON.stringify(value)]));
}

function onErrorOf({ object }: Child): string | undefined {
  return object === undefined || object.kind === 'PipelineRun' ? undefined : object.onError;
}

/** When the first pod found a node. Pods of finished TaskRuns are not always kept: undefined when an earlier one may be missing. */
function firstScheduled(facts: RunFacts, ancestors: readonly string[]): string | undefined {
  const { taskRuns, pods } = everyPod(facts, ancestors);
  const first = pods.flatMap(({ scheduled }) => scheduled ?? []).sort()[0];
  if (first === undefined) return undefined;
  const seen = new Set(pods.map(({ meta }) => meta.owner?.uid));
  const isEarlierUnseen = ({ meta, started, attempts }: TaskRun) =>
    !seen.has(meta.uid) &&
    [started, ...attempts.map((attempt) => attempt.started)].some((time) => time && time < first);
  return taskRuns.some(isEarlierUnseen) ? undefined : first;
}

function everyPod(facts: RunFacts, ancestors: readonly string[]): Pick<RunFacts, 'taskRuns' | 'pods'> {
  const line = [...ancestors, facts.run.meta.uid];
  const below = facts.nested.filter((nested) => mayFollow(nested, line)).map((nested) => everyPod(nested, line));
  return {
    taskRuns: [...facts.taskRuns, ...below.flatMap(({ taskRuns }) => taskRuns)],
    pods: [...facts.pods, ...below.flatMap(({ pods }) => pods)],
  };
}
