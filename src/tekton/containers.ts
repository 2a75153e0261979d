/** The containers of one attempt: what each of them is, and what may be asked of its log. */
import { present } from '../kube/objects.ts';
import { isBlameless } from './failure.ts';
import type { Attempt } from './status.ts';
import type { Pod, PodContainer, StepState } from './types.ts';

/**
 * What a container is to its task: a step; `init`, which runs before the steps; a `sidecar` that the Task declares; or
 * `injected` by somebody else (a mesh proxy, Tekton's own reader of results).
 */
export type ContainerRole = 'step' | 'init' | 'sidecar' | 'injected';

/** One container to be read. */
export interface StepPlan {
  /** Without `step-`; the whole name of one that is no step. */
  readonly name: string;
  readonly container: string;
  readonly role: ContainerRole;
  /**
   * Its place among all steps of the pod, from 0, whatever the filters: what the joiner calls a step. Init containers
   * stand before them, below 0. What runs beside the steps is joined with nobody and has 0.
   */
  readonly position: number;
  /**
   * What may be asked of its log: `unknown` and `waiting` have none yet; `running` and `terminated` can be read; one that
   * is `gone` had something to say and its pod is deleted; a step that `never` ran has no log, and none is missing.
   */
  readonly state: 'unknown' | 'waiting' | 'running' | 'terminated' | 'gone' | 'never';
  readonly exitCode?: number;
  /** Tekton's `terminationReason` (`Completed`, `Error`, `Skipped`, `Continued`, ...), else the container's own reason. */
  readonly reason?: string;
  /** RFC 3339; a step's is that of its own work, not of its container, which starts with all others. */
  readonly startedAt?: string;
  readonly finishedAt?: string;
}

/** An attempt's containers: `steps`, with init containers before them, speak one after another; those `beside` them at any time. */
export interface AttemptContainers {
  readonly steps: readonly StepPlan[];
  readonly beside: readonly StepPlan[];
}

/** What is known of an attempt beside itself. */
export interface AttemptSetting {
  /** It has ended as far as Tekton is concerned. */
  readonly isOver: boolean;
  /** When the TaskRun was created, RFC 3339. */
  readonly created: string;
  /** As the TaskRun tells them of its current attempt. */
  readonly sidecars: readonly StepState[];
}

/** The containers of an attempt, in the order of its pod; as its TaskRun tells them when there is no pod. */
export function containersOf(attempt: Attempt, setting: AttemptSetting): AttemptContainers {
  const { pod, steps, number } = attempt;
  // Until the next pod reports, a TaskRun that is tried again still tells the states of the attempt before.
  const isStale = number > 1 && !setting.isOver;
  if (pod !== undefined) return ofPod(pod, isStale ? [] : [...steps, ...setting.sidecars], setting);
  const plan = (role: ContainerRole) => (told: StepState, place: number) =>
    withoutPod(told, { role, position: role === 'step' ? place : 0, isStale, ...setting });
  return { steps: steps.map(plan('step')), beside: setting.sidecars.map(plan('sidecar')) };
}

/** The step to blame for the end of an attempt: the first that ended for a reason of its own. */
export function blamedStep(steps: readonly StepPlan[]): StepPlan | undefined {
  return steps.find(
    ({ role, state, reason, exitCode }) =>
      role === 'step' && (state === 'terminated' || state === 'gone') && !isBlameless(reason, exitCode),
  );
}

/** `compile` of `step-compile`. */
export function stepName(container: string): string {
  return container.startsWith('step-') ? container.slice('step-'.length) : container;
}

function withoutPod(
  told: StepState,
  {
    role,
    position,
    isOver,
    isStale,
    created,
  }: AttemptSetting & Pick<StepPlan, 'role' | 'position'> & { isStale: boolean },
): StepPlan {
  const name = role === 'step' ? told.name : told.container;
  const shape = { name, container: told.container, role, position };
  if (isOver) return { ...shape, state: hasRun(told, created) ? 'gone' : 'never', ...ending(told) };
  if (isStale) return { ...shape, state: 'unknown' };
  const { terminated, running, waiting } = told;
  const state = terminated ? 'terminated' : running ? 'running' : waiting ? 'waiting' : 'unknown';
  return { ...shape, state, ...ending(told) };
}

function ofPod(pod: Pod, told: readonly StepState[], { isOver, created }: AttemptSetting): AttemptContainers {
  const plan = (role: ContainerRole, container: PodContainer, position: number): StepPlan => ({
    name: stepName(container.name),
    container: container.name,
    role,
    position,
    ...stateInPod(
      container,
      told.find((one) => one.container === container.name),
      { isPodOver: pod.phase === 'Succeeded' || pod.phase === 'Failed', isOver, created },
    ),
  });
  const byRole = Map.groupBy(pod.containers, roleOf);
  const inits = byRole.get('init') ?? [];
  const steps = byRole.get('step') ?? [];
  return {
    steps: [
      ...inits.map((container, place) => plan('init', container, place - inits.length)),
      ...steps.map((container, place) => plan('step', container, place)),
    ],
    beside: pod.containers.flatMap((container) => {
      const role = roleOf(container);
      return role === 'sidecar' || role === 'injected' ? [plan(role, container, 0)] : [];
    }),
  };
}

/** The pod is believed over the TaskRun, which after a cancel calls steps terminated that still write. */
function stateInPod(
  { state, exitCode, reason, startedAt, finishedAt }: PodContainer,
  step: StepState | undefined,
  { isPodOver, isOver, created }: { readonly isPodOver: boolean; readonly isOver: boolean; readonly created: string },
): Omit<StepPlan, 'name' | 'container' | 'role' | 'position'> {
  const told = step === undefined ? {} : ending(step);
  if (state === 'running') return { state, ...present({ startedAt }), ...timesOf(step) };
  if (state === 'terminated') return { state, ...present({ exitCode, reason, startedAt, finishedAt }), ...told };
  // Evicted, or never able to start: it will not run any more. Where only the TaskRun says that it ran, our copy of
  // the pod lags, and there is something to read as soon as it has caught up.
  if (isPodOver || (isOver && step?.terminated === undefined)) {
    return { state: step !== undefined && hasRun(step, created) ? 'gone' : 'never', ...told };
  }
  return { state: state === 'none' ? 'unknown' : state };
}

/** Sidecars may be init containers that keep running; Tekton's reader of results calls itself one, but nobody declared it. */
function roleOf({ name, init }: PodContainer): ContainerRole {
  if (name === 'sidecar-tekton-log-results') return 'injected';
  if (name.startsWith('sidecar-')) return 'sidecar';
  if (init) return 'init';
  return name.startsWith('step-') ? 'step' : 'injected';
}

/** What the controller says of a step that it closes because its pod is deleted. */
const CLOSED = /^Step .+ terminated as pod .+ is terminated$/;

/**
 * Whether a step that is over had anything to say. A step that was still waiting when its pod was deleted is written down
 * as terminated, and to have begun when the TaskRun was created; one that was skipped wrote what nobody is shown.
 * https://github.com/tektoncd/pipeline/blob/v1.15.0/pkg/reconciler/taskrun/taskrun.go#L1034
 */
function hasRun({ terminated, running, terminationReason }: StepState, created: string): boolean {
  if (terminated === undefined) return running !== undefined;
  const { startedAt, message = '' } = terminated;
  if (startedAt === undefined || terminationReason === 'Skipped') return false;
  return startedAt !== created || !CLOSED.test(message);
}

function ending(step: StepState): Pick<StepPlan, 'exitCode' | 'reason' | 'startedAt' | 'finishedAt'> {
  const { terminated, terminationReason } = step;
  if (terminated === undefined) return timesOf(step);
  const reason = terminationReason || terminated.reason || undefined;
  return { exitCode: terminated.exitCode, ...present({ reason }), ...timesOf(step) };
}

function timesOf(step: StepState | undefined): Pick<StepPlan, 'startedAt' | 'finishedAt'> {
  const { startedAt = step?.running?.startedAt, finishedAt } = step?.terminated ?? {};
  return present({ startedAt, finishedAt });
}
