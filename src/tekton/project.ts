/**
 * Raw API objects → the slices we keep. An object may be of any version, half written or malformed: what cannot be read
 * is absent afterwards, and nothing here throws. Everything not named in `types` is dropped on arrival, which is what
 * lets a replica hold tens of thousands of runs.
 */
import {
  type Condition,
  type Json,
  type JsonObject,
  listOf,
  numberOf,
  objectOf,
  present,
  projectConditions,
  projectMeta,
  shared,
  stringOf,
  stringsOf,
} from '../kube/objects.ts';
import type {
  ChildReference,
  CustomRun,
  NamedValue,
  PastAttempt,
  PipelineRun,
  PipelineTask,
  Pod,
  PodContainer,
  SkippedTask,
  StepState,
  TaskRun,
} from './types.ts';

/** TaskRun annotation: what its task does with a failure. The only word Tekton writes is `continue`. */
const ON_ERROR_ANNOTATION = 'pipeline.tekton.dev/pipeline-task-on-error';

/** The annotations kept and shown: the failure policy, and where Tekton Results keeps what is archived. */
const KEPT_ANNOTATIONS: readonly string[] = [
  ON_ERROR_ANNOTATION,
  'results.tekton.dev/result',
  'results.tekton.dev/record',
  'results.tekton.dev/log',
  'results.tekton.dev/stored',
];

/** Which event of its trigger a PipelineRun was made for. rungate writes it, and knows its own runs again by it. */
export const EVENT_KEY_ANNOTATION = 'pipeline.jquad.rocks/event-key';
/** The label of a PipelineRun that names its trigger; the annotation of the same key has the exact name where the label had to cut it. */
export const TRIGGER_LABEL = 'pipeline.jquad.rocks/pipelinetrigger';

// Tekton hands a run's annotations down to its TaskRuns, where these two would say the same once more.
const KEPT_RUN_ANNOTATIONS: readonly string[] = [...KEPT_ANNOTATIONS, EVENT_KEY_ANNOTATION, TRIGGER_LABEL];

/**
 * Keeps a PipelineRun of `tekton.dev/v1` or `v1beta1`. Never throws.
 * https://tekton.dev/docs/pipelines/pipelineruns/#monitoring-execution-status
 */
export function projectPipelineRun(raw: JsonObject): PipelineRun {
  const spec = objectOf(raw.spec);
  const status = objectOf(raw.status);
  const meta = projectMeta(raw, KEPT_RUN_ANNOTATIONS);
  const timeouts = objectOf(spec.timeouts);
  return {
    kind: 'PipelineRun',
    meta,
    ...present({
      pipeline: shared(meta.labels['tekton.dev/pipeline'] || stringOf(objectOf(spec.pipelineRef).name)),
      requested: shared(stringOf(spec.status)),
      managedBy: shared(stringOf(spec.managedBy)),
      succeeded: succeededOf(raw),
      started: stringOf(status.startTime),
      completed: stringOf(status.completionTime),
      finallyStarted: stringOf(status.finallyStartTime),
      provenance: provenanceOf(status),
    }),
    params: paramsOf(spec),
    workspaces: eachNamed(spec.workspaces, (name) => shared(name)),
    timeouts: oneTimeouts(
      present({
        pipeline: stringOf(timeouts.pipeline) ?? stringOf(spec.timeout), // `spec.timeout`: v1beta1 only
        tasks: stringOf(timeouts.tasks),
        finally: stringOf(timeouts.finally),
      }),
    ),
    results: resultsOf(status.results ?? status.pipelineResults),
    children: childReferences(status),
    skipped: eachNamed(
      status.skippedTasks,
      (name, item): SkippedTask => ({ name: shared(name), reason: shared(stringOf(item.reason)) ?? '' }),
    ),
    tasks: onePipeline(pipelineTasks(objectOf(status.pipelineSpec ?? spec.pipelineSpec))),
  };
}

/** Keeps a TaskRun of `tekton.dev/v1` or `v1beta1`. Never throws. https://tekton.dev/docs/pipelines/taskruns/#monitoring-execution-status */
export function projectTaskRun(raw: JsonObject): TaskRun {
  const spec = objectOf(raw.spec);
  const status = objectOf(raw.status);
  const meta = projectMeta(raw, KEPT_ANNOTATIONS);
  return {
    kind: 'TaskRun',
    meta,
    ...membership(meta.labels),
    ...present({
      task: shared(meta.labels['tekton.dev/task'] || stringOf(objectOf(spec.taskRef).name)),
      displayName: shared(stringOf(objectOf(status.taskSpec).displayName)),
      requested: shared(stringOf(spec.status)),
      statusMessage: shared(stringOf(spec.statusMessage)),
      onError: shared(meta.annotations[ON_ERROR_ANNOTATION]),
    }),
    retries: countOf(spec.retries) ?? 0,
    params: paramsOf(spec),
    ...attempt(status),
    sidecars: containerStates(status.sidecars, 'sidecar'),
    results: resultsOf(status.results ?? status.taskResults),
    attempts: listOf(status.retriesStatus).map(objectOf).map(attempt),
  };
}

/** Keeps a CustomRun of `tekton.dev/v1beta1`, the only version there is. Never throws. https://tekton.dev/docs/pipelines/customruns/ */
export function projectCustomRun(raw: JsonObject): CustomRun {
  const spec = objectOf(raw.spec);
  const status = objectOf(raw.status);
  const meta = projectMeta(raw, KEPT_ANNOTATIONS);
  return {
    kind: 'CustomRun',
    meta,
    ...membership(meta.labels),
    ...present({
      requested: shared(stringOf(spec.status)),
      statusMessage: shared(stringOf(spec.statusMessage)),
      onError: shared(meta.annotations[ON_ERROR_ANNOTATION]),
      succeeded: succeededOf(raw),
      started: stringOf(status.startTime),
      completed: stringOf(status.completionTime),
    }),
    params: paramsOf(spec),
    results: resultsOf(status.results),
  };
}

/** Keeps a Pod. Never throws. https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/ */
export function projectPod(raw: JsonObject): Pod {
  const spec = objectOf(raw.spec);
  const status = objectOf(raw.status);
  const scheduled = projectConditions(raw).find(({ type }) => type === 'PodScheduled');
  return {
    kind: 'Pod',
    meta: projectMeta(raw),
    phase: shared(stringOf(status.phase)) ?? 'Unknown',
    ...present({
      reason: shared(stringOf(status.reason)),
      message: stringOf(status.message),
      node: shared(stringOf(spec.nodeName)),
      scheduled: scheduled?.status === 'True' ? scheduled.lastTransitionTime : undefined,
      unschedulable: scheduled?.status === 'False' ? scheduled.message || scheduled.reason : undefined,
    }),
    containers: [
      ...containers(spec.initContainers, status.initContainerStatuses, true),
      ...containers(spec.containers, status.containerStatuses, false),
    ],
  };
}

/** What most lists of most objects are. */
const NOTHING: readonly never[] = [];

/** What `make` makes of the objects of a list that have a name; Tekton's lists are all keyed by it. */
function eachNamed<T>(list: Json | undefined, make: (name: string, item: JsonObject) => T): readonly T[] {
  const items = listOf(list)
    .map(objectOf)
    .filter(({ name }) => stringOf(name) !== undefined);
  if (items.length === 0) return NOTHING;
  // Not `push`, which leaves room for as many again: what is kept is of just its length.
  return items.map((item) => make(stringOf(item.name) ?? '', item));
}

/** Parameters: most runs of a pipeline are given the same. */
function paramsOf(spec: JsonObject): readonly NamedValue[] {
  return eachNamed(spec.params, (name, { value = null }) => ({
    name: shared(name),
    value: typeof value === 'string' ? shared(value) : value,
  }));
}

/** Results: most are digests and versions, of one run alone. */
function resultsOf(list: Json | undefined): readonly NamedValue[] {
  return eachNamed(list, (name, { value = null }) => ({ name: shared(name), value }));
}

/** Where the pipeline's definition came from. */
function provenanceOf(status: JsonObject): PipelineRun['provenance'] {
  const refSource = objectOf(objectOf(status.provenance).refSource);
  const digest = stringsOf(refSource.digest);
  const provenance = present({
    uri: stringOf(refSource.uri),
    digest: Object.keys(digest).length === 0 ? undefined : digest,
    entryPoint: stringOf(refSource.entryPoint),
  });
  return Object.keys(provenance).length === 0 ? undefined : oneProvenance(provenance);
}

function succeededOf(raw: JsonObject): Condition | undefined {
  const succeeded = projectConditions(raw).find(({ type }) => type === 'Succeeded');
  if (succeeded === undefined) return undefined;
  const { reason, message } = succeeded;
  return { ...succeeded, type: 'Succeeded', reason: shared(reason), message: shared(message) };
}

function membership(labels: Readonly<Record<string, string>>) {
  return present({
    pipelineTask: shared(labels['tekton.dev/pipelineTask'] || undefined),
    memberOf: shared(labels['tekton.dev/memberOf'] || undefined),
  });
}

/** The part of a TaskRun status that belongs to one attempt; `retriesStatus` holds the same shape once more. */
function attempt(status: JsonObject): PastAttempt {
  return {
    ...present({
      succeeded: succeededOf({ status }),
      started: stringOf(status.startTime),
      completed: stringOf(status.completionTime),
      podName: stringOf(status.podName),
    }),
    steps: containerStates(status.steps, 'step'),
  };
}

function containerStates(list: Json | undefined, prefix: 'step' | 'sidecar'): readonly StepState[] {
  return eachNamed(list, (name, item) => ({
    name: shared(name),
    container: shared(stringOf(item.container)) ?? `${prefix}-${name}`,
    ...containerState(item),
    ...present({ terminationReason: shared(stringOf(item.terminationReason)) }),
  }));
}

function containerState(state: JsonObject): Pick<StepState, 'waiting' | 'running' | 'terminated'> {
  if (isObject(state.terminated)) {
    const terminated = objectOf(state.terminated);
    return {
      terminated: {
        exitCode: integerOf(terminated.exitCode) ?? 0,
        reason: shared(stringOf(terminated.reason)) ?? '',
        ...present({
          message: stringOf(terminated.message),
          startedAt: stringOf(terminated.startedAt),
          finishedAt: stringOf(terminated.finishedAt),
        }),
      },
    };
  }
  if (isObject(state.running)) return { running: present({ startedAt: stringOf(objectOf(state.running).startedAt) }) };
  if (isObject(state.waiting)) {
    const waiting = objectOf(state.waiting);
    return { waiting: { reason: shared(stringOf(waiting.reason)) ?? '', message: stringOf(waiting.message) ?? '' } };
  }
  return {};
}

/** `value` if it is a whole number, else undefined. */
function integerOf(value: Json | undefined): number | undefined {
  const number = numberOf(value);
  return Number.isSafeInteger(number) ? number : undefined;
}

function countOf(value: Json | undefined): number | undefined {
  const number = integerOf(value);
  return number !== undefined && number >= 0 ? number : undefined;
}

function isObject(value: Json | undefined): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function containers(specs: Json | undefined, statuses: Json | undefined, init: boolean): readonly PodContainer[] {
  const byName = new Map(eachNamed(statuses, (name, item) => [name, item]));
  return eachNamed(specs, (name) => {
    const status = byName.get(name) ?? {};
    const { waiting, running, terminated } = containerState(objectOf(status.state));
    return {
      name: shared(name),
      init,
      state: terminated ? 'terminated' : running ? 'running' : waiting ? 'waiting' : 'none',
      ...present({
        reason: terminated?.reason || waiting?.reason || undefined,
        message: terminated?.message || waiting?.message || undefined,
        exitCode: terminated?.exitCode,
        startedAt: terminated?.startedAt ?? running?.startedAt,
        finishedAt: terminated?.finishedAt,
      }),
      restarts: countOf(status.restartCount) ?? 0,
      hasPrevious: isObject(objectOf(status.lastState).terminated),
    };
  });
}

/** `childReferences`; Tekton before 0.45 wrote two maps by name instead (`full` embedded status), which v1beta1 still may show. */
function childReferences(status: JsonObject): readonly ChildReference[] {
  const references = eachNamed(status.childReferences, (name, item) => ({
    kind: shared(stringOf(item.kind)) ?? 'TaskRun',
    name,
    ...present({ displayName: shared(stringOf(item.displayName)) }),
    pipelineTaskName: shared(stringOf(item.pipelineTaskName)) ?? '',
  }));
  if (references.length > 0) return references;
  const embedded = (kind: string, map: Json | undefined) =>
    Object.entries(objectOf(map)).map(([name, item]) => ({
      kind,
      name,
      pipelineTaskName: shared(stringOf(objectOf(item).pipelineTaskName)) ?? '',
    }));
  return [...embedded('TaskRun', status.taskRuns), ...embedded('CustomRun', status.runs)];
}

// A pipeline's runs all carry its tasks, its source and its timeouts, which would be a third of what is kept of them.
const onePipeline = oneOfEqual<readonly PipelineTask[]>();
const oneProvenance = oneOfEqual<NonNullable<PipelineRun['provenance']>>();
const oneTimeouts = oneOfEqual<PipelineRun['timeouts']>();

/** Makes the function that gives the one copy that all equal values share. Bounded as words are. */
function oneOfEqual<T extends object>(): (value: T) => T {
  const mostKept = 5_000;
  const kept = new Map<string, T>();
  return (value) => {
    const text = JSON.stringify(value);
    const known = kept.get(text);
    if (known !== undefined) return known;
    if (kept.size >= mostKept) kept.clear();
    kept.set(text, value);
    return value;
  };
}

function pipelineTasks(spec: JsonObject): readonly PipelineTask[] {
  const lists = [
    { memberOf: 'tasks' as const, tasks: eachNamed(spec.tasks, (name, item) => ({ name, item })) },
    { memberOf: 'finally' as const, tasks: eachNamed(spec.finally, (name, item) => ({ name, item })) },
  ];
  const names = new Set(lists.flatMap(({ tasks }) => tasks.map(({ name }) => name)));
  return lists.flatMap(({ memberOf, tasks }) =>
    tasks.map(({ name, item }) => ({
      name,
      kind: childKind(item),
      memberOf,
      runAfter: dependencies(name, item, names),
      ...present({
        displayName: shared(stringOf(item.displayName)),
        onError: shared(stringOf(item.onError)),
        retries: countOf(item.retries),
      }),
      matrix: isObject(item.matrix),
    })),
  );
}

/** Tekton takes any reference or spec with both an apiVersion and a kind for a custom task, even `tekton.dev/v1` `Task`. */
function childKind(task: JsonObject): PipelineTask['kind'] {
  if (isObject(task.pipelineRef) || isObject(task.pipelineSpec)) return 'PipelineRun';
  const isCustom = [objectOf(task.taskRef), objectOf(task.taskSpec)].some(
    ({ apiVersion, kind }) => stringOf(apiVersion) !== undefined && stringOf(kind) !== undefined,
  );
  return isCustom ? 'CustomRun' : 'TaskRun';
}

/**
 * `runAfter`, then the tasks whose results are used: in params, matrix, when, workspaces or an embedded task's steps.
 * A nested `pipelineSpec` is left out, because the tasks it names are its own.
 */
function dependencies(task: string, spec: JsonObject, names: ReadonlySet<string>): readonly string[] {
  const found = new Set<string>();
  for (const name of listOf(spec.runAfter)) if (typeof name === 'string') found.add(shared(name));
  const { pipelineSpec: _, ...own } = spec;
  for (const name of resultReferences(own)) if (name !== task && names.has(name)) found.add(shared(name));
  return [...found];
}

function* resultReferences(value: Json | undefined): Generator<string> {
  if (typeof value === 'string') {
    for (const [, name] of value.matchAll(/\$\(tasks\.([^.()]+)\.results\./g)) if (name !== undefined) yield name;
  } else if (typeof value === 'object' && value !== null) {
    for (const item of Object.values(value)) yield* resultReferences(item);
  }
}
