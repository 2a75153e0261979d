/** TaskRuns: what becomes of one, decided from what is there. Each look starts from the beginning. */
import { claimFor, replaceInBindings, withClaim } from './children.ts';
import type { Verdict } from './condition.ts';
import { isDone, succeeded, timestamp, withVerdict } from './condition.ts';
import { formatDuration, parseDuration } from './duration.ts';
import type { Lookup } from './lookup.ts';
import { replacementsOf, taskParams } from './params.ts';
import { Refused, wrongTask } from './pipelinechecks.ts';
import {
  buildPod,
  podName as podNameOf,
  readyAnnotation,
  readyValue,
  release,
  releaseAnnotation,
  Unbuildable,
} from './pod.ts';
import { areSidecarsReady, statusFromPod, stoppedSidecars } from './podstatus.ts';
import { provenance } from './provenance.ts';
import { only } from './specs.ts';
import type { ResolvedTask } from './taskspec.ts';
import { checkTaskRun, plainPaths, resolveTaskOf, substituteTask } from './taskspec.ts';
import { checkResults } from './termination.ts';
import type { Draft, Pod, StepState, TaskRun, TaskRunStatus, TaskSpec, Texts } from './types.ts';
import { mountWorkspaces, volumesOf } from './workspaces.ts';

/** What is to be done with the run's pod. */
export type PodAction =
  | { readonly at: 'nothing' }
  /** Claims first, then the pod; a refusal is put to `refusedPod`. */
  | { readonly at: 'create'; readonly claims: readonly Draft[]; readonly pod: Draft }
  | { readonly at: 'delete'; readonly name: string }
  /** The first step may begin. */
  | { readonly at: 'ready'; readonly name: string }
  /** These sidecars are to end. */
  | { readonly at: 'stop-sidecars'; readonly name: string; readonly containers: readonly string[] };

/** What is to be done for a run now. */
export interface TaskRunDecision {
  readonly action: PodAction;
  readonly labels: Texts;
  readonly annotations: Texts;
  readonly status: TaskRunStatus;
  /** When to look again although nothing has happened. */
  readonly dueAt: number | undefined;
}

/** What `decideTaskRun` goes by. */
export interface TaskRunFacts {
  readonly run: TaskRun;
  readonly lookup: Lookup;
  readonly now: number;
  /** Five characters that nobody can guess, for the names of scripts. */
  readonly suffix: () => string;
}

/** A full quota is looked at again after this long. */
const QUOTA_RETRY_MS = 60_000;
/** A pod of the same name that is still going. */
const CONFLICT_RETRY_MS = 1_000;

/** Waiting reasons after which a container will not come. */
const hopelessReasons = new Set([
  'ImagePullBackOff',
  'InvalidImageName',
  'CreateContainerConfigError',
  'CreateContainerError',
]);

/** Decides for a run that is not being deleted and is ours. */
export function decideTaskRun(facts: TaskRunFacts): TaskRunDecision {
  const { run, lookup, now } = facts;
  if (isDone(run)) return { ...decided(run), ...stopSidecars(run, lookup) };
  const started = start(run, now);
  const { name } = run.metadata;
  const quoted = JSON.stringify(name);
  if (run.spec.status === 'TaskRunCancelled') {
    const message = `TaskRun ${quoted} was cancelled. ${run.spec.statusMessage ?? ''}`;
    return ended(started, { reason: 'TaskRunCancelled', message: withPrevious(message, run) }, now);
  }
  if (run.spec.status === 'TaskRunPending') {
    return decided(
      judged(run, { status: 'Unknown', reason: 'TaskRunPending', message: `TaskRun ${quoted} is pending` }, now),
    );
  }
  if (hasTimedOut(started, now)) {
    const message = `TaskRun ${quoted} failed to finish within "${formatDuration(timeoutOf(run))}"`;
    const seen = withStepsOfPod(started, lookup, now);
    return retried(ended(seen, { reason: 'TaskRunTimeout', message: withPrevious(message, run) }, now), run, now);
  }
  const hopeless = hopelessContainer(run);
  if (hopeless !== undefined) return retried(ended(started, hopeless, now), run, now);
  return retried(advance({ ...facts, run: started }), run, now);
}

/** The decision for a run whose pod the API did not take. */
export function refusedPod(
  { action: _, ...decision }: TaskRunDecision,
  run: TaskRun,
  { code, message }: { readonly code: number; readonly message: string },
  now: number,
): TaskRunDecision {
  const { startTime, podName: __, ...status } = decision.status;
  const waits = (reason: string, text: string): TaskRunStatus => ({
    ...status,
    podName: '',
    conditions: withVerdict(status.conditions, { status: 'Unknown', reason, message: text }, now),
  });
  const idle = { ...decision, action: { at: 'nothing' } } as const;
  if (code === 403 && message.includes('exceeded quota')) {
    const text = `TaskRun Pod exceeded available resources: ${message}`;
    return { ...idle, status: waits('ExceededResourceQuota', text), dueAt: now + QUOTA_RETRY_MS };
  }
  if (code === 409) {
    const waiting = waits('Pending', 'tried to create pod, but it already exists');
    return { ...idle, status: { ...waiting, ...only('startTime', startTime) }, dueAt: now + CONFLICT_RETRY_MS };
  }
  const current: TaskRun = { ...run, status: { ...status, podName: '', ...only('startTime', startTime) } };
  const isAdmission = code === 403 && /violates PodSecurity|security context constraint/.test(message);
  const refused = isAdmission ? new Refused('PodAdmissionFailed', message) : podCreationFailed(run, message);
  return retried({ ...idle, status: failed(current, refused, now).status ?? {}, dueAt: undefined }, run, now);
}

/** The decision for a run one of whose claims the API did not take. */
export function refusedClaim(
  { action: _, ...decision }: TaskRunDecision,
  run: TaskRun,
  { name, why }: { readonly name: string; readonly why: string },
  now: number,
): TaskRunDecision {
  const { namespace = '', name: runName } = run.metadata;
  const message = `failed to create PVC for TaskRun ${namespace}/${runName} workspaces correctly: PVC creation error for ${name}: ${why}`;
  const unplanned: TaskRun = { ...run, status: { ...decision.status, podName: '' } };
  const over = failed(unplanned, new Refused('CouldntCreateWorkspacePVC', message), now);
  return retried({ ...decision, action: { at: 'nothing' }, status: over.status ?? {}, dueAt: undefined }, run, now);
}

function advance({ run, lookup, now, suffix }: TaskRunFacts): TaskRunDecision {
  let known = run;
  try {
    const task = resolveTaskOf(run, lookup);
    known = inherited(run, task);
    checkTaskRun(known, task);
    return withPod({ run: known, lookup, now, suffix }, task);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return decided(failed(known, error, now));
  }
}

/** The run with its pod: followed when there is one, else to be created. */
function withPod({ run, lookup, now, suffix }: TaskRunFacts, task: ResolvedTask): TaskRunDecision {
  const pod = podOf(run, lookup);
  const params = replacementsOf(taskParams(task.spec.params ?? [], run.spec.params ?? []));
  const bindings = replaceInBindings(
    (run.spec.workspaces ?? []).map((binding) => withClaim(run, binding)),
    params,
  );
  const volumes = volumesOf(bindings);
  const spec = substituteTask(run, task, bindings, volumes);
  const current: TaskRun = { ...run, status: { ...run.status, taskSpec: plainPaths(spec) } };
  if (pod !== undefined) return followPod(current, pod, task.spec, now);
  const wrong = wrongTask(plainPaths(spec));
  if (wrong !== undefined) throw podCreationFailed(run, wrong);
  try {
    const { serviceAccountName: account = 'default' } = run.spec;
    if (!lookup.hasServiceAccount(account)) throw new Unbuildable(`serviceaccounts "${account}" not found`);
    const made = buildPod({ run: current, spec: mountWorkspaces(spec, bindings, volumes), suffix });
    const claims = (run.spec.workspaces ?? []).flatMap((binding) => claimFor(run, binding) ?? []);
    const status = statusFromPod(current, unborn(made), task.spec, now);
    return { ...decided({ ...current, status }), action: { at: 'create', claims, pod: made } };
  } catch (error) {
    if (error instanceof Unbuildable) throw podCreationFailed(run, `translating TaskSpec to Pod: ${error.message}`);
    throw error;
  }
}

/** The run's status by its pod, and what the pod needs. */
function followPod(run: TaskRun, pod: Pod, spec: TaskSpec, now: number): TaskRunDecision {
  const followed: TaskRun = { ...run, status: statusFromPod(run, pod, spec, now) };
  const needsReady = areSidecarsReady(pod) && pod.metadata.annotations?.[readyAnnotation] !== readyValue;
  const action: PodAction = needsReady ? { at: 'ready', name: pod.metadata.name } : { at: 'nothing' };
  // An embedded Task is counted twice: Tekton names each key that is missing twice.
  const declared = [...(run.spec.taskSpec?.results ?? []), ...(spec.results ?? [])];
  const { kept, wrong } = checkResults(followed.status?.results ?? [], declared);
  const { results: _, ...status } = followed.status ?? {};
  const checked: TaskRun = {
    ...followed,
    status: { ...status, ...only('results', kept.length === 0 ? undefined : kept) },
  };
  if (wrong === undefined) return { ...decided(checked), action };
  return { ...decided(failed(checked, new Refused('TaskRunValidationFailed', `[User error] ${wrong}`), now)), action };
}

/** The pod of the current attempt. One that was made before its name could be written down is known by its owner. */
function podOf(run: TaskRun, lookup: Lookup): Pod | undefined {
  const { podName = '' } = run.status ?? {};
  if (podName !== '') return lookup.pod(podName);
  const pod = lookup.pod(podNameOf(run));
  const isOurs = pod?.metadata.ownerReferences?.some(({ uid }) => uid === run.metadata.uid);
  return isOurs === true ? pod : undefined;
}

/** The run with its Task's labels, annotations and steps, the first time that the Task is known. */
function inherited(run: TaskRun, { name, metadata, spec }: ResolvedTask): TaskRun {
  const status = run.status ?? {};
  const steps = (spec.steps ?? []).map((step, index) => step.name || `unnamed-${index}`);
  const states: StepState[] = [...(status.steps ?? [])].map((state) => ({
    ...state,
    provenance: state.provenance ?? {},
  }));
  for (const step of steps) {
    if (!states.some((state) => state.name === step)) states.push({ name: step, provenance: {} });
  }
  const isNew = status.taskSpec === undefined;
  const { 'kubectl.kubernetes.io/last-applied-configuration': _, ...annotations } = metadata.annotations ?? {};
  return {
    ...run,
    metadata: {
      ...run.metadata,
      labels: {
        ...(isNew ? metadata.labels : {}),
        ...run.metadata.labels,
        ...(isNew && run.spec.taskRef !== undefined ? { 'tekton.dev/task': name } : {}),
      },
      annotations: { ...(isNew ? annotations : {}), ...run.metadata.annotations },
    },
    status: {
      ...status,
      steps: states,
      taskSpec: status.taskSpec ?? spec,
      provenance: provenance(status.provenance),
    },
  };
}

/** Sidecars that still run although the steps are done. A pod that was deleted for it needs no stopping. */
function stopSidecars(run: TaskRun, lookup: Lookup): Partial<TaskRunDecision> {
  const { podName = '', sidecars = [] } = run.status ?? {};
  const reason = succeeded(run.status)?.reason;
  if (podName === '' || reason === 'TaskRunCancelled' || reason === 'TaskRunTimeout') return {};
  const pod = lookup.pod(podName);
  if (pod === undefined) return {};
  const runs = (pod.status?.containerStatuses ?? []).filter(
    ({ name, state }) => !name.startsWith('step-') && state?.running !== undefined,
  );
  const isRunning = sidecars.some(({ terminated }) => terminated === undefined);
  const told = isRunning ? { status: { ...run.status, ...only('sidecars', stoppedSidecars(pod)) } } : {};
  if (pod.status?.phase !== 'Running' || runs.length === 0) return told;
  return { ...told, action: { at: 'stop-sidecars', name: podName, containers: runs.map(({ name }) => name) } };
}

/** A container that will never start; a TaskRun does not wait for it until its time is over. */
function hopelessContainer(run: TaskRun): { readonly reason: string; readonly message: string } | undefined {
  const { steps = [], sidecars = [] } = run.status ?? {};
  const all = [
    ...steps.map((state) => ({ ...state, what: 'step' })),
    ...sidecars.map((state) => ({ ...state, what: 'sidecar' })),
  ];
  const one = all.find(({ waiting }) => hopelessReasons.has(waiting?.reason ?? ''));
  if (one?.waiting === undefined) return undefined;
  const { reason: waitingFor = '', message: said = '' } = one.waiting;
  const which = `the ${one.what} ${JSON.stringify(one.name)} in TaskRun ${JSON.stringify(run.metadata.name)}`;
  const because = `The pod errored with the message: "${said}."`;
  if (waitingFor === 'ImagePullBackOff' || waitingFor === 'InvalidImageName') {
    const image = JSON.stringify(one.imageID ?? '');
    return { reason: 'TaskRunImagePullFailed', message: `${which} failed to pull the image ${image}. ${because}` };
  }
  const reason = waitingFor === 'CreateContainerConfigError' ? 'CreateContainerConfigError' : 'PodCreationFailed';
  return { reason, message: `${which} failed to start. ${because}` };
}

/** Ends a run before its pod has: the pod is deleted, and steps that were not done are closed in its name. */
function ended(
  run: TaskRun,
  { reason, message }: { readonly reason: string; readonly message: string },
  now: number,
): TaskRunDecision {
  const over = failed(run, new Refused(reason, message), now);
  const { podName = '', steps } = over.status ?? {};
  if (podName === '') return decided(over);
  const status = {
    ...over.status,
    ...only(
      'steps',
      steps?.map((step) => closed(step, run, { reason, podName, now })),
    ),
  };
  return { ...decided({ ...over, status }), action: { at: 'delete', name: podName } };
}

function closed(
  { running, waiting, ...step }: StepState,
  run: TaskRun,
  { reason, podName, now }: { readonly reason: string; readonly podName: string; readonly now: number },
): StepState {
  if (running === undefined && waiting === undefined) return step;
  return {
    ...step,
    terminated: {
      exitCode: 1,
      finishedAt: timestamp(now),
      message: `Step ${step.name} terminated as pod ${podName} is terminated`,
      reason,
      // The schema wants a time, even for a step that never started.
      startedAt: running?.startedAt ?? run.metadata.creationTimestamp,
    },
    terminationReason: reason,
  };
}

/** A failed attempt with retries left becomes history, and the run begins anew. */
function retried(decision: TaskRunDecision, { spec }: TaskRun, now: number): TaskRunDecision {
  const { status } = decision;
  const attempts = status.retriesStatus ?? [];
  const condition = succeeded(status);
  if (condition?.status !== 'False' || attempts.length >= (spec.retries ?? 0)) return decision;
  const { retriesStatus: _, ...archived } = status;
  const { startTime: _start, completionTime: _completion, results: _results, ...rest } = status;
  const verdict: Verdict = { status: 'Unknown', reason: 'ToBeRetried', message: condition.message ?? '' };
  const conditions = withVerdict(status.conditions, verdict, now);
  return {
    ...decision,
    status: { ...rest, podName: '', retriesStatus: [...attempts, archived], conditions },
    dueAt: now,
  };
}

function start(run: TaskRun, now: number): TaskRun {
  const { status = {} } = run;
  if (status.startTime !== undefined || run.spec.status === 'TaskRunPending') return run;
  const begun: TaskRun = { ...run, status: { ...status, startTime: timestamp(now) } };
  return judged(begun, { status: 'Unknown', reason: 'Started', message: succeeded(status)?.message ?? '' }, now);
}

function judged(run: TaskRun, verdict: Verdict, now: number): TaskRun {
  return { ...run, status: { ...run.status, conditions: withVerdict(run.status?.conditions, verdict, now) } };
}

function failed(run: TaskRun, { reason, message }: Refused, now: number): TaskRun {
  const over = judged(run, { status: 'False', reason, message }, now);
  return { ...over, status: { ...over.status, completionTime: timestamp(now) } };
}

/** Nothing is to be done but to write down how the run stands, and to look again when its time is over. */
function decided(run: TaskRun): TaskRunDecision {
  const { podName = '', ...status } = run.status ?? {};
  const started = run.status?.startTime;
  const timeout = timeoutOf(run);
  const ends = isDone(run) || started === undefined || timeout === 0 ? undefined : Date.parse(started) + timeout + 1;
  return {
    action: { at: 'nothing' },
    labels: run.metadata.labels ?? {},
    annotations: { ...run.metadata.annotations, [releaseAnnotation]: release },
    status: { podName, ...status },
    dueAt: ends,
  };
}

/** Without a timeout of its own a run has an hour; 0 is none. */
function timeoutOf({ spec }: TaskRun): number {
  return parseDuration(spec.timeout ?? '1h');
}

function hasTimedOut(run: TaskRun, now: number): boolean {
  const started = run.status?.startTime;
  const timeout = timeoutOf(run);
  return started !== undefined && timeout !== 0 && now - Date.parse(started) > timeout;
}

/** What a run was waiting for when it was stopped, so that it is not forgotten. */
function withPrevious(message: string, run: TaskRun): string {
  const { reason = '', message: said = '' } = succeeded(run.status) ?? {};
  if (said === '' || ['', 'Started', 'Running', 'TaskRunPending'].includes(reason)) return message;
  return `${message}\nPrevious status: [${reason}] ${said}`;
}

/** The steps as the pod tells them at last. */
function withStepsOfPod(run: TaskRun, lookup: Lookup, now: number): TaskRun {
  const { podName = '', taskSpec = {} } = run.status ?? {};
  const pod = podName === '' ? undefined : lookup.pod(podName);
  if (pod === undefined) return run;
  const { steps } = statusFromPod(run, pod, taskSpec, now);
  return { ...run, status: { ...run.status, ...only('steps', steps) } };
}

function podCreationFailed({ metadata, spec }: TaskRun, why: string): Refused {
  const maybe =
    spec.taskRef === undefined
      ? 'invalid TaskSpec'
      : `missing or invalid Task ${metadata.namespace}/${spec.taskRef.name ?? ''}`;
  return new Refused('PodCreationFailed', `failed to create task run pod "${metadata.name}": ${why}. Maybe ${maybe}`);
}

/** A pod as it will be, before the API has made it: nothing is known of it but what it was made of. */
function unborn(made: Draft): Pod {
  return made as unknown as Pod;
}
