/** The slice of Tekton's API that we read, as `project` keeps it: v1 field names, both served versions read into one shape. */
import type { Condition, Json, Kept, ObjectRef } from '../kube/objects.ts';

/** A reference from a run to something it created. `status.childReferences[]` */
export interface ChildReference {
  readonly kind: string;
  readonly name: string;
  readonly displayName?: string;
  readonly pipelineTaskName: string;
}

/** A task that never got a child. `status.skippedTasks[]`; reasons are Tekton's sentences, verbatim. */
export interface SkippedTask {
  readonly name: string;
  readonly reason: string;
}

/** One task of the resolved `status.pipelineSpec` (or of an inline `spec.pipelineSpec` before that is written). */
export interface PipelineTask {
  readonly name: string;
  readonly displayName?: string;
  /** What it becomes when its turn comes. */
  readonly kind: 'TaskRun' | 'CustomRun' | 'PipelineRun';
  readonly memberOf: 'tasks' | 'finally';
  /** Names of the tasks it follows: `runAfter` and the tasks whose results it uses, each once. */
  readonly runAfter: readonly string[];
  readonly onError?: string;
  readonly retries?: number;
  readonly matrix: boolean;
}

/** A result or a parameter, with whatever JSON value it has. */
export interface NamedValue {
  readonly name: string;
  readonly value: Json;
}

/** A PipelineRun, projected. `succeeded` is the condition of type `Succeeded`; absent means not started. */
export interface PipelineRun extends Kept {
  readonly kind: 'PipelineRun';
  readonly pipeline?: string;
  /** `spec.status`: what a person asked for (`Cancelled`, `PipelineRunPending`, ...). */
  readonly requested?: string;
  readonly managedBy?: string;
  readonly params: readonly NamedValue[];
  /** Workspace names only. */
  readonly workspaces: readonly string[];
  readonly timeouts: { readonly pipeline?: string; readonly tasks?: string; readonly finally?: string };
  readonly succeeded?: Condition;
  readonly started?: string;
  readonly completed?: string;
  readonly finallyStarted?: string;
  readonly results: readonly NamedValue[];
  readonly children: readonly ChildReference[];
  readonly skipped: readonly SkippedTask[];
  readonly tasks: readonly PipelineTask[];
  /** `status.provenance.refSource`. */
  readonly provenance?: {
    readonly uri?: string;
    readonly digest?: Readonly<Record<string, string>>;
    readonly entryPoint?: string;
  };
}

/** One step (or sidecar) as `status.steps[]` tells it. Exactly one of the three states, or none while nothing is known. */
export interface StepState {
  readonly name: string;
  readonly container: string;
  readonly waiting?: { readonly reason: string; readonly message: string };
  readonly running?: { readonly startedAt?: string };
  readonly terminated?: {
    readonly exitCode: number;
    readonly reason: string;
    readonly message?: string;
    readonly startedAt?: string;
    readonly finishedAt?: string;
  };
  readonly terminationReason?: string;
}

/** One finished attempt, from `status.retriesStatus[]`, oldest first. */
export interface PastAttempt {
  readonly podName?: string;
  readonly succeeded?: Condition;
  readonly started?: string;
  readonly completed?: string;
  readonly steps: readonly StepState[];
}

/** A TaskRun, projected. Its own `podName`, `steps`, ... are the current attempt's. */
export interface TaskRun extends Kept {
  readonly kind: 'TaskRun';
  readonly pipelineTask?: string;
  readonly memberOf?: string;
  readonly task?: string;
  readonly displayName?: string;
  readonly requested?: string;
  readonly statusMessage?: string;
  /** Annotation `pipeline.tekton.dev/pipeline-task-on-error`. */
  readonly onError?: string;
  readonly retries: number;
  readonly params: readonly NamedValue[];
  readonly succeeded?: Condition;
  readonly started?: string;
  readonly completed?: string;
  readonly podName?: string;
  readonly steps: readonly StepState[];
  readonly sidecars: readonly StepState[];
  readonly results: readonly NamedValue[];
  readonly attempts: readonly PastAttempt[];
}

/** A CustomRun, projected: no pod of its own. */
export interface CustomRun extends Kept {
  readonly kind: 'CustomRun';
  readonly pipelineTask?: string;
  readonly memberOf?: string;
  readonly requested?: string;
  readonly statusMessage?: string;
  readonly onError?: string;
  readonly params: readonly NamedValue[];
  readonly succeeded?: Condition;
  readonly started?: string;
  readonly completed?: string;
  readonly results: readonly NamedValue[];
}

/** A container as `pod.spec` and `pod.status` tell it together. */
export interface PodContainer {
  readonly name: string;
  readonly init: boolean;
  /** `none`: the kubelet has not said anything of it yet. */
  readonly state: 'none' | 'waiting' | 'running' | 'terminated';
  /** Of `waiting` or `terminated`. */
  readonly reason?: string;
  readonly message?: string;
  readonly exitCode?: number;
  readonly startedAt?: string;
  readonly finishedAt?: string;
  readonly restarts: number;
  /** `lastState.terminated` is set: what ran before can be read with `previous=true`. */
  readonly hasPrevious: boolean;
}

/** A Tekton pod, projected: `meta.owner` is its TaskRun. Containers in the order of `spec`, init containers first. */
export interface Pod extends Kept {
  readonly kind: 'Pod';
  readonly phase: string;
  readonly reason?: string;
  readonly message?: string;
  readonly node?: string;
  /** `lastTransitionTime` of PodScheduled=True. */
  readonly scheduled?: string;
  /** Message of PodScheduled=False: why no node takes it. */
  readonly unschedulable?: string;
  readonly containers: readonly PodContainer[];
}

/**
 * Where a run, task or step stands, in a word.
 * `deleted` is what was there and went; `ignored` and `skipped` and `notstarted` are tasks only.
 */
export type Phase = 'pending' | 'running' | 'succeeded' | 'failed' | 'cancelled' | 'timedout' | 'deleted';
/** A task also knows three ways of not counting. */
export type TaskPhase = Phase | 'ignored' | 'skipped' | 'notstarted';

/** Everything the answer depends on, gathered first. Children are found by the uid of their owner, never by name. */
export interface RunFacts {
  readonly run: PipelineRun;
  readonly taskRuns: readonly TaskRun[];
  readonly customRuns: readonly CustomRun[];
  /** Nested PipelineRuns with what belongs to them. */
  readonly nested: readonly RunFacts[];
  /** Pods of `taskRuns`, any attempt. */
  readonly pods: readonly Pod[];
}

/** The compatible answer of `/status`: these four keys, in this order. */
export interface RunCondition {
  readonly message: string;
  readonly reason: string;
  readonly type: string;
  readonly status: string;
}

/** One step of one attempt, as `/status?full=true` shows it. */
export interface StepStatus {
  readonly name: string;
  readonly container: string;
  readonly state: 'waiting' | 'running' | 'terminated' | 'unknown';
  readonly exitCode?: number;
  /** `terminationReason`, else the container's reason. */
  readonly reason?: string;
  readonly message?: string;
  readonly started?: string;
  readonly finished?: string;
  readonly durationMs?: number;
  /** Where its log is, as a path of the API. */
  readonly logs?: string;
}

/** One pod's worth of trying. */
export interface AttemptStatus {
  readonly pod?: string;
  readonly node?: string;
  readonly podPhase?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly waiting?: { readonly container?: string; readonly reason: string; readonly message: string };
  readonly started?: string;
  readonly completed?: string;
  readonly steps: readonly StepStatus[];
}

/** One TaskRun, CustomRun or nested PipelineRun of a task: a matrix task has several. */
export interface InstanceStatus {
  /** The name of the TaskRun, CustomRun or PipelineRun. */
  readonly name: string;
  readonly uid: string;
  readonly displayName?: string;
  readonly phase: TaskPhase;
  readonly reason: string;
  readonly message: string;
  readonly started?: string;
  readonly completed?: string;
  readonly durationMs?: number;
  /** What tells matrix instances apart. */
  readonly params?: readonly NamedValue[];
  readonly results?: readonly NamedValue[];
  /** Oldest first; the last is the current one. Empty for CustomRuns and nested runs. */
  readonly attempts: readonly AttemptStatus[];
  readonly run?: RunStatus;
}

/** One task of the pipeline. */
export interface TaskStatus {
  readonly name: string;
  readonly displayName?: string;
  readonly kind: 'TaskRun' | 'CustomRun' | 'PipelineRun';
  readonly memberOf: 'tasks' | 'finally';
  readonly runAfter: readonly string[];
  readonly phase: TaskPhase;
  readonly reason: string;
  readonly message: string;
  /** Tekton's own sentence, when `phase` is `skipped`. */
  readonly skip?: string;
  readonly onError?: string;
  readonly instances: readonly InstanceStatus[];
}

/** How many tasks (not instances) stand where, as Tekton counts: `failed` includes `timedout`. A `deleted` one is in `total` only. */
export interface Progress {
  readonly total: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly ignored: number;
  readonly cancelled: number;
  readonly skipped: number;
  readonly running: number;
  readonly notStarted: number;
}

/** Which step made the run fail, as far as it can be told. Without `task` the run failed as a whole (`CouldntGetPipeline`). */
export interface Failure {
  /** `parent/child` inside a nested run. */
  readonly task?: string;
  readonly taskRun?: string;
  readonly step?: string;
  readonly exitCode?: number;
  readonly reason: string;
  readonly message: string;
  /** Where the log of `step` is, as a path of the API. */
  readonly logs?: string;
}

/** The whole of a run, as `/status?full=true` shows it. Times are RFC 3339, durations milliseconds. */
export interface RunStatus extends ObjectRef {
  readonly uid: string;
  readonly pipeline?: string;
  readonly phase: Phase;
  readonly condition: RunCondition & { readonly lastTransitionTime?: string };
  readonly created: string;
  readonly started?: string;
  readonly finallyStarted?: string;
  readonly completed?: string;
  /** `queued`: first pod scheduled minus created; `running`, `finally`: until completed, else until `asOf`. */
  readonly durations: { readonly queued?: number; readonly running?: number; readonly finally?: number };
  readonly timeouts: PipelineRun['timeouts'];
  readonly params: readonly NamedValue[];
  readonly results: readonly NamedValue[];
  readonly workspaces: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly trigger?: { readonly eventListener?: string; readonly trigger?: string; readonly eventId?: string };
  readonly provenance?: PipelineRun['provenance'];
  readonly progress: Progress;
  readonly failure?: Failure;
  readonly tasks: readonly TaskStatus[];
  /** The instant that running durations were computed at. */
  readonly asOf: string;
}

/** The whole of one TaskRun, of a run or standing alone. Times are RFC 3339, durations milliseconds. */
export interface TaskRunStatus extends ObjectRef {
  readonly uid: string;
  readonly task?: string;
  readonly displayName?: string;
  /** The run that it belongs to, and which of its tasks it is. */
  readonly pipelineRun?: string;
  readonly pipelineTask?: string;
  readonly phase: Phase;
  readonly condition: RunCondition & { readonly lastTransitionTime?: string };
  readonly created: string;
  readonly started?: string;
  readonly completed?: string;
  /** From `started` until `completed`, else until `asOf`. */
  readonly durationMs?: number;
  /** How often it may be tried again. */
  readonly retries: number;
  readonly params: readonly NamedValue[];
  readonly results: readonly NamedValue[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Oldest first; the last is the current one. */
  readonly attempts: readonly AttemptStatus[];
  readonly failure?: Failure;
  /** The instant that running durations were computed at. */
  readonly asOf: string;
}
