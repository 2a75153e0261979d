/**
 * Tekton's objects as the controllers read and write them: v1 shapes, of which only the fields named here are looked at.
 * Everything else in an object stays where it is, because parts of objects are passed on by spreading.
 * https://tekton.dev/docs/pipelines/pipeline-api/
 */
import type { Json, KubeObject, ObjectMeta, OwnerReference, Resource } from '../../object.ts';

export const pipelineRuns: Resource = { group: 'tekton.dev', version: 'v1', plural: 'pipelineruns' };
export const taskRuns: Resource = { group: 'tekton.dev', version: 'v1', plural: 'taskruns' };
export const customRuns: Resource = { group: 'tekton.dev', version: 'v1beta1', plural: 'customruns' };
export const pipelines: Resource = { group: 'tekton.dev', version: 'v1', plural: 'pipelines' };
export const tasks: Resource = { group: 'tekton.dev', version: 'v1', plural: 'tasks' };
export const stepActions: Resource = { group: 'tekton.dev', version: 'v1beta1', plural: 'stepactions' };
export const pods: Resource = { group: '', version: 'v1', plural: 'pods' };
export const claims: Resource = { group: '', version: 'v1', plural: 'persistentvolumeclaims' };
export const serviceAccounts: Resource = { group: '', version: 'v1', plural: 'serviceaccounts' };
export const events: Resource = { group: '', version: 'v1', plural: 'events' };

/** Names to texts: labels, annotations, the value of an object parameter. */
export type Texts = { readonly [name: string]: string };

/** A parameter's or result's value. */
export type ParamValue = string | readonly string[] | Texts;
export type ParamType = 'string' | 'array' | 'object';

/** A value for a parameter. */
export type Param = { readonly name: string; readonly value: ParamValue };

/** A declared parameter. */
export type ParamSpec = {
  readonly name: string;
  readonly type?: ParamType;
  readonly default?: ParamValue;
  readonly properties?: { readonly [key: string]: { readonly type?: string } };
};

/** A declared result of a Task or step. */
export type ResultSpec = {
  readonly name: string;
  readonly type?: ParamType;
  readonly properties?: { readonly [key: string]: { readonly type?: string } };
  /** `$(steps.x.results.y)`: the result of a step becomes the Task's. */
  readonly value?: string;
};

/** Either `input`, `operator` and `values`, or `cel`. */
export type WhenExpression = {
  readonly input?: string;
  readonly operator?: string;
  readonly values?: readonly string[];
  readonly cel?: string;
};

/** One combination that is added to a matrix. */
export type MatrixInclude = { readonly name?: string; readonly params?: readonly Param[] };

/** What a PipelineTask is fanned out over. */
export type Matrix = { readonly params?: readonly Param[]; readonly include?: readonly MatrixInclude[] };

/** A reference to a Task, Pipeline or StepAction: by name, or by a resolver and its parameters. */
export type Reference = {
  readonly name?: string;
  readonly kind?: string;
  readonly apiVersion?: string;
  readonly resolver?: string;
  readonly params?: readonly Param[];
};

export type EnvVar = { readonly name: string; readonly value?: string; readonly valueFrom?: Json };
export type VolumeMount = {
  readonly name: string;
  readonly mountPath: string;
  readonly subPath?: string;
  readonly readOnly?: boolean;
};
export type Volume = { readonly name: string; readonly [source: string]: Json | undefined };
export type Quantities = { readonly [resource: string]: string | number };
export type ComputeResources = { readonly requests?: Quantities; readonly limits?: Quantities };

/** What steps, sidecars and the step template have in common with containers. */
export type ContainerFields = {
  readonly name?: string;
  readonly image?: string;
  readonly imagePullPolicy?: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly workingDir?: string;
  readonly env?: readonly EnvVar[];
  readonly envFrom?: readonly { readonly [source: string]: Json | undefined }[];
  readonly volumeMounts?: readonly VolumeMount[];
  readonly computeResources?: ComputeResources;
  readonly securityContext?: Json;
};

/** How a step or sidecar uses a workspace that is only for those that ask for it. */
export type WorkspaceUsage = { readonly name: string; readonly mountPath?: string };

export type Step = ContainerFields & {
  readonly script?: string;
  readonly timeout?: string;
  readonly onError?: string;
  readonly workspaces?: readonly WorkspaceUsage[];
  readonly results?: readonly ResultSpec[];
  readonly params?: readonly Param[];
  readonly ref?: Reference;
  readonly when?: readonly WhenExpression[];
  readonly stdoutConfig?: { readonly path?: string };
  readonly stderrConfig?: { readonly path?: string };
};

export type Sidecar = ContainerFields & {
  readonly script?: string;
  readonly workspaces?: readonly WorkspaceUsage[];
};

export type WorkspaceDeclaration = {
  readonly name: string;
  readonly mountPath?: string;
  readonly readOnly?: boolean;
  readonly optional?: boolean;
};

/** A volume for a workspace. Exactly one of the sources is there. */
export type WorkspaceBinding = {
  readonly name: string;
  readonly subPath?: string;
  readonly persistentVolumeClaim?: { readonly claimName: string; readonly readOnly?: boolean };
  readonly volumeClaimTemplate?: {
    readonly metadata?: { readonly name?: string; readonly labels?: Texts; readonly annotations?: Texts };
    readonly spec?: Json;
  };
  readonly emptyDir?: Json;
  readonly configMap?: Json;
  readonly secret?: Json;
  readonly projected?: Json;
  readonly csi?: Json;
};

export type TaskSpec = {
  readonly params?: readonly ParamSpec[];
  readonly results?: readonly ResultSpec[];
  readonly steps?: readonly Step[];
  readonly sidecars?: readonly Sidecar[];
  readonly stepTemplate?: ContainerFields;
  readonly volumes?: readonly Volume[];
  readonly workspaces?: readonly WorkspaceDeclaration[];
};

/** A Task written within a pipeline; with `apiVersion` and `kind` a custom task's, which is in `spec`. */
export type EmbeddedTask = TaskSpec & {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: { readonly labels?: Texts; readonly annotations?: Texts };
  readonly spec?: Json;
};

export type PipelineTask = {
  readonly name: string;
  readonly displayName?: string;
  readonly taskRef?: Reference;
  readonly taskSpec?: EmbeddedTask;
  readonly pipelineRef?: Reference;
  readonly pipelineSpec?: PipelineSpec;
  readonly params?: readonly Param[];
  readonly matrix?: Matrix;
  readonly when?: readonly WhenExpression[];
  readonly runAfter?: readonly string[];
  readonly retries?: number;
  readonly timeout?: string;
  readonly onError?: string;
  readonly workspaces?: readonly {
    readonly name: string;
    readonly workspace?: string;
    readonly subPath?: string;
  }[];
};

export type PipelineSpec = {
  readonly params?: readonly ParamSpec[];
  readonly results?: readonly { readonly name: string; readonly value: ParamValue }[];
  readonly workspaces?: readonly { readonly name: string; readonly optional?: boolean }[];
  readonly tasks?: readonly PipelineTask[];
  readonly finally?: readonly PipelineTask[];
};

/** `podTemplate`, of which only what the controllers look at is named. */
export type PodTemplate = {
  readonly env?: readonly EnvVar[];
  readonly volumes?: readonly Volume[];
  readonly [field: string]: Json | undefined | readonly EnvVar[] | readonly Volume[];
};

export type ResourceOverride = { readonly name: string; readonly computeResources?: ComputeResources };

/** `status.conditions[]` */
export type Condition = {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime: string;
};

/** Metadata of an object that is stored. */
export type Meta = Readonly<ObjectMeta>;

/** What all runs have in common: enough to ask how one stands. */
export type Run = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Meta;
  readonly status?: { readonly conditions?: readonly Condition[] };
};

/** Attributes of a run's task that are given by the PipelineRun. `spec.taskRunSpecs[]` */
export type TaskRunOverride = {
  readonly pipelineTaskName?: string;
  readonly serviceAccountName?: string;
  readonly podTemplate?: PodTemplate;
  readonly stepSpecs?: readonly ResourceOverride[];
  readonly sidecarSpecs?: readonly ResourceOverride[];
  readonly metadata?: { readonly labels?: Texts; readonly annotations?: Texts };
  readonly computeResources?: ComputeResources;
  readonly timeout?: string;
};

export type PipelineRunSpec = {
  readonly pipelineRef?: Reference;
  readonly pipelineSpec?: PipelineSpec;
  readonly params?: readonly Param[];
  readonly status?: string;
  readonly timeouts?: { readonly pipeline?: string; readonly tasks?: string; readonly finally?: string };
  readonly taskRunTemplate?: { readonly serviceAccountName?: string; readonly podTemplate?: PodTemplate };
  readonly taskRunSpecs?: readonly TaskRunOverride[];
  readonly workspaces?: readonly WorkspaceBinding[];
  readonly managedBy?: string;
};

export type ChildReference = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly displayName?: string;
  readonly pipelineTaskName: string;
  readonly whenExpressions?: readonly WhenExpression[];
};

export type SkippedTask = {
  readonly name: string;
  readonly reason: string;
  readonly whenExpressions?: readonly WhenExpression[];
};

export type PipelineRunStatus = {
  readonly conditions?: readonly Condition[];
  readonly startTime?: string;
  readonly completionTime?: string;
  readonly finallyStartTime?: string;
  readonly pipelineSpec?: PipelineSpec;
  readonly childReferences?: readonly ChildReference[];
  readonly skippedTasks?: readonly SkippedTask[];
  readonly results?: readonly Param[];
  readonly provenance?: Json;
};

export type PipelineRun = Run & { readonly spec: PipelineRunSpec; readonly status?: PipelineRunStatus };

export type TaskRunSpec = {
  readonly taskRef?: Reference;
  readonly taskSpec?: TaskSpec;
  readonly params?: readonly Param[];
  readonly serviceAccountName?: string;
  readonly status?: string;
  readonly statusMessage?: string;
  readonly retries?: number;
  readonly timeout?: string;
  readonly podTemplate?: PodTemplate;
  readonly workspaces?: readonly WorkspaceBinding[];
  readonly stepSpecs?: readonly ResourceOverride[];
  readonly sidecarSpecs?: readonly ResourceOverride[];
  readonly computeResources?: ComputeResources;
  readonly managedBy?: string;
};

/** A result that a TaskRun has: its `type` is what the value is, not what was declared. */
export type TaskRunResult = { readonly name: string; readonly type: ParamType; readonly value: ParamValue };

export type Waiting = { readonly reason?: string; readonly message?: string };
export type Running = { readonly startedAt?: string };
export type Terminated = {
  readonly exitCode: number;
  readonly reason?: string;
  readonly message?: string;
  readonly startedAt?: string;
  readonly finishedAt?: string;
  readonly containerID?: string;
};

/** One of the three, or none while nothing is known. */
export type ContainerState = {
  readonly waiting?: Waiting;
  readonly running?: Running;
  readonly terminated?: Terminated;
};

export type StepState = ContainerState & {
  readonly name: string;
  readonly container?: string;
  readonly imageID?: string;
  readonly results?: readonly TaskRunResult[];
  readonly provenance?: Json;
  readonly terminationReason?: string;
};

export type SidecarState = ContainerState & {
  readonly name: string;
  readonly container?: string;
  readonly imageID?: string;
};

export type TaskRunStatus = {
  readonly conditions?: readonly Condition[];
  readonly podName?: string;
  readonly startTime?: string;
  readonly completionTime?: string;
  readonly steps?: readonly StepState[];
  readonly sidecars?: readonly SidecarState[];
  readonly results?: readonly TaskRunResult[];
  readonly retriesStatus?: readonly TaskRunStatus[];
  readonly taskSpec?: TaskSpec;
  readonly artifacts?: Json;
  readonly provenance?: Json;
};

export type TaskRun = Run & { readonly spec: TaskRunSpec; readonly status?: TaskRunStatus };

export type CustomRun = Run & {
  readonly spec: { readonly params?: readonly Param[]; readonly status?: string; readonly statusMessage?: string };
  readonly status?: {
    readonly conditions?: readonly Condition[];
    readonly results?: readonly { readonly name: string; readonly value: string }[];
  };
};

export type Task = Run & { readonly spec: TaskSpec };
export type Pipeline = Run & { readonly spec: PipelineSpec };
export type StepAction = Run & {
  readonly spec: ContainerFields & {
    readonly params?: readonly ParamSpec[];
    readonly results?: readonly ResultSpec[];
    readonly script?: string;
  };
};

export type Container = ContainerFields & { readonly name: string };

export type ContainerStatus = {
  readonly name: string;
  readonly ready?: boolean;
  readonly imageID?: string;
  readonly state?: ContainerState;
  readonly lastState?: ContainerState;
};

export type Pod = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Meta;
  readonly spec: {
    readonly containers: readonly Container[];
    readonly [field: string]: Json | undefined | readonly Container[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly reason?: string;
    readonly message?: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
      readonly message?: string;
    }[];
    readonly containerStatuses?: readonly ContainerStatus[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
  };
};

/** An object that is to be created: metadata without what the server decides. */
export type Draft = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels?: Texts;
    readonly annotations?: Texts;
    readonly ownerReferences?: readonly OwnerReference[];
  };
  readonly spec: object;
};

/**
 * An object as the shape its kind has. The API has validated it against its schema when it was written, which is why
 * nothing is checked again here, and why the cast is right.
 */
export function as<Shape extends { readonly kind: string }>(object: KubeObject): Shape {
  return object as unknown as Shape;
}

/** The owner reference by which `owner` controls what it makes. */
export function controllerReference(owner: Run): OwnerReference {
  return {
    apiVersion: owner.apiVersion,
    kind: owner.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}
