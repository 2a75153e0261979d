/** Why a run failed: Tekton's message counts failures, this names the one that came first. */
import { present } from '../kube/objects.ts';
import type { Failure, InstanceStatus, Phase, RunCondition, StepStatus, TaskStatus } from './types.ts';

/** A container of a pod, with the TaskRun that the pod belongs to. */
export interface FailedContainer {
  readonly taskRun: string;
  readonly taskRunUid: string;
  readonly pod: string;
  readonly container: string;
}

/** The container of the step that a failure names, in whichever nested run it is; undefined where none ran. */
export function failedContainer(
  failure: Failure | undefined,
  tasks: readonly TaskStatus[],
): FailedContainer | undefined {
  if (failure?.taskRun === undefined || failure.step === undefined) return undefined;
  for (const { name, uid, attempts, run } of tasks.flatMap(({ instances }) => instances)) {
    if (run !== undefined) {
      const found = failedContainer(failure, run.tasks);
      if (found !== undefined) return found;
    }
    if (name === failure.taskRun) return containerOf(failure.step, { name, uid, attempts });
  }
  return undefined;
}

/** The container of a step in the last attempt of a TaskRun; undefined when that never had a pod. */
export function containerOf(
  step: string | undefined,
  { name, uid, attempts }: Pick<InstanceStatus, 'name' | 'uid' | 'attempts'>,
): FailedContainer | undefined {
  const last = attempts.at(-1);
  const container = last?.steps.find((each) => each.name === step)?.container;
  if (last?.pod === undefined || container === undefined) return undefined;
  return { taskRun: name, taskRunUid: uid, pod: last.pod, container };
}

/** How a step ends that is not to blame. `Skipped` exits with 1, but because a step before it failed. */
const BLAMELESS: ReadonlySet<string> = new Set(['Completed', 'Skipped', 'Continued']);

/**
 * The failure of a run in `phase`: the task that failed first, and in it the step. While the run goes on, that of a task
 * which has failed already. Undefined when nothing failed, or a person cancelled what did not.
 */
export function failureOf(phase: Phase, condition: RunCondition, tasks: readonly TaskStatus[]): Failure | undefined {
  if (phase === 'succeeded') return undefined;
  const blamed = tasks
    .flatMap((task) => task.instances.map((instance) => ({ task: task.name, instance })))
    .filter(({ instance }) => instance.phase === 'timedout' || (instance.phase === 'failed' && phase !== 'timedout'))
    .sort((a, b) => byCompletion(a.instance, b.instance));
  const [first] = blamed;
  const whole = { reason: condition.reason, message: condition.message };
  if (first === undefined) return phase === 'failed' || phase === 'timedout' ? whole : undefined;
  const { task, instance } = first;
  const found = instance.run?.failure ? nestedFailure(task, instance.run.failure) : taskFailure(task, instance);
  // When the time of the whole run was over, the task only shows where it stood.
  return phase === 'timedout' ? { ...found, ...whole } : found;
}

function nestedFailure(task: string, failure: Failure): Failure {
  return { ...failure, task: failure.task === undefined ? task : `${task}/${failure.task}` };
}

function taskFailure(task: string, instance: InstanceStatus): Failure {
  const { name, attempts, run } = instance;
  const taskRun = attempts.length > 0 && run === undefined ? name : undefined;
  return { task, ...present({ taskRun }), ...attemptsFailure(instance) };
}

/** Why the attempts of one TaskRun failed: the last one's step, and the TaskRun's own reason and message. */
export function attemptsFailure(instance: Pick<InstanceStatus, 'attempts' | 'reason' | 'message'>): Failure {
  const { reason, message } = instance;
  const step = failingStep(instance);
  // The controller closes the steps of a pod it deletes, with its own reason and exit code 1: nothing exited with that.
  const exitCode = step?.reason === reason ? undefined : step?.exitCode;
  return { ...present({ step: step?.name, exitCode }), reason, message, ...present({ logs: step?.logs }) };
}

/**
 * The first step of the last attempt that ended for a reason of its own. An exit code alone does not tell: a skipped step
 * has 1, a tolerated one keeps its real code, a step out of memory may have 0.
 */
function failingStep({ attempts, message }: Pick<InstanceStatus, 'attempts' | 'message'>): StepStatus | undefined {
  const steps = attempts.at(-1)?.steps ?? [];
  // A pod that never started has all its steps closed alike; only the message says whose image or configuration it was.
  const [, named] = /^the step "([^"]+)" in TaskRun /.exec(message) ?? [];
  return (
    steps.find(({ name }) => name === named) ??
    steps.find(({ state, reason, exitCode }) => state === 'terminated' && !isBlameless(reason, exitCode))
  );
}

/** Whether a step that ended so is not to blame for the end of its task. */
export function isBlameless(reason: string | undefined, exitCode: number | undefined): boolean {
  return reason === undefined ? exitCode === 0 : BLAMELESS.has(reason);
}

function byCompletion(a: InstanceStatus, b: InstanceStatus): number {
  if (a.completed === undefined || b.completed === undefined) {
    return Number(a.completed === undefined) - Number(b.completed === undefined);
  }
  return Date.parse(a.completed) - Date.parse(b.completed);
}
