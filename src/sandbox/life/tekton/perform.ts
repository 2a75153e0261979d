/** The one place in which what was decided for runs is done. */
import { isDeepStrictEqual } from 'node:util';
import type { ApiClient, NewObject } from '../../api/client.ts';
import type { KubeObject, Resource } from '../../object.ts';
import { StatusError } from '../../status.ts';
import { isDone, succeeded } from './condition.ts';
import type { Teller } from './events.ts';
import { nopImage } from './images.ts';
import { refusedChild, refusedClaim } from './pipelinerun.ts';
import { readyAnnotation, readyValue } from './pod.ts';
import type { PipelineRunDecision, Stop } from './rundraft.ts';
import type { PodAction, TaskRunDecision } from './taskrun.ts';
import { refusedPod, refusedClaim as refusedTaskClaim } from './taskrun.ts';
import { cancelledBecause } from './taskstate.ts';
import type { Draft, PipelineRun, PipelineRunStatus, Pod, Run, TaskRun, Texts } from './types.ts';
import { as, claims, customRuns, pipelineRuns, pods, taskRuns } from './types.ts';

/** What it takes to do something. */
export interface Hands {
  readonly client: ApiClient;
  readonly teller: Teller;
  readonly now: number;
}

/** When to look at the run again although nothing has happened. */
export type DueAt = number | undefined;

const created: { readonly [kind: string]: Resource } = {
  TaskRun: taskRuns,
  CustomRun: customRuns,
  PipelineRun: pipelineRuns,
  PersistentVolumeClaim: claims,
  Pod: pods,
};

/**
 * Creates what a PipelineRun needs next, stops what is to stop, and writes how it stands. A child with a mistake in it ends
 * the run. Throws what the API answers to a write that may succeed later; the run then stands as before.
 */
export function performPipelineRun(run: PipelineRun, decision: PipelineRunDecision, hands: Hands): DueAt {
  const { client, now } = hands;
  const { labels, annotations } = decision;
  const write = (status: PipelineRunStatus) => writeRun(pipelineRuns, run, { labels, annotations, status }, hands);
  for (const stop of decision.stops) stopRun(run, stop, client);
  for (const draft of decision.creates) {
    const refusal = tryCreate(draft, client);
    if (refusal === undefined || (draft.kind === 'PersistentVolumeClaim' && refusal.code === 409)) continue;
    const held: PipelineRun = { ...run, status: decision.held };
    const status =
      draft.kind === 'PersistentVolumeClaim'
        ? refusedClaim(held, draft.metadata.name, refusal, now)
        : refusedChild(held, refusal, now);
    write(status);
    if (isDone({ status })) return undefined;
    throw refusal;
  }
  write(decision.status);
  return decision.dueAt;
}

/** Does to a TaskRun's pod what was decided, and writes how the run stands. Throws what may succeed later. */
export function performTaskRun(run: TaskRun, decided: TaskRunDecision, hands: Hands): DueAt {
  const decision = act(run, decided, hands);
  const { labels, annotations, status, dueAt } = decision;
  // A run that was done and still is keeps its labels, whatever happens to its sidecars.
  const metadata = isDone(run) ? {} : { labels, annotations };
  writeRun(taskRuns, run, { ...metadata, status }, hands);
  return dueAt;
}

function act(run: TaskRun, decision: TaskRunDecision, { client, now }: Hands): TaskRunDecision {
  const { action } = decision;
  const { namespace = '' } = run.metadata;
  switch (action.at) {
    case 'nothing':
      return decision;
    case 'create':
      return createPod(run, decision, action, { client, now });
    case 'delete':
      client.remove(pods, namespace, action.name);
      return decision;
    case 'ready':
      client.patch(pods, namespace, action.name, { metadata: { annotations: { [readyAnnotation]: readyValue } } });
      return decision;
    case 'stop-sidecars':
      stopSidecars(namespace, action, client);
      return decision;
  }
}

function createPod(
  run: TaskRun,
  decision: TaskRunDecision,
  { claims: wanted, pod }: Extract<PodAction, { readonly at: 'create' }>,
  { client, now }: Pick<Hands, 'client' | 'now'>,
): TaskRunDecision {
  for (const claim of wanted) {
    const refusal = tryCreate(claim, client);
    if (refusal !== undefined && refusal.code !== 409)
      return refusedTaskClaim(decision, run, { name: claim.metadata.name, why: refusal.message }, now);
  }
  const refusal = tryCreate(pod, client);
  if (refusal === undefined) return decision;
  // It is there already: whoever looks next follows it.
  if (refusal.code === 409 && client.get(pods, pod.metadata.namespace, pod.metadata.name) !== undefined) {
    return { ...decision, dueAt: now };
  }
  return refusedPod(decision, run, refusal, now);
}

function stopSidecars(
  namespace: string,
  { name, containers }: Extract<PodAction, { readonly at: 'stop-sidecars' }>,
  client: ApiClient,
): void {
  const object = client.get(pods, namespace, name);
  if (object === undefined) return;
  const { spec } = as<Pod>(object);
  if (spec.containers.every((container) => !containers.includes(container.name) || container.image === nopImage))
    return;
  const stopped = spec.containers.map((container) =>
    containers.includes(container.name) ? { ...container, image: nopImage } : container,
  );
  client.update(pods, asObject({ ...object, spec: { ...spec, containers: stopped } }));
}

/** Asks a child to stop; one that is done, or gone, has stopped. */
function stopRun(run: PipelineRun, { kind, name, why }: Stop, client: ApiClient): void {
  const { namespace = '' } = run.metadata;
  const resource = kind === 'TaskRun' ? taskRuns : customRuns;
  const child = client.get(resource, namespace, name);
  if (child === undefined || isDone(as<Run>(child))) return;
  const [status, messages] =
    kind === 'TaskRun'
      ? (['TaskRunCancelled', cancelledBecause.taskRun] as const)
      : (['RunCancelled', cancelledBecause.customRun] as const);
  client.patch(resource, namespace, name, { spec: { status, statusMessage: messages[why] } });
}

/** Undefined when it has been made; what the API said when not. */
function tryCreate(draft: Draft, client: ApiClient): StatusError | undefined {
  const resource = created[draft.kind];
  if (resource === undefined) throw new Error(`nobody makes a ${draft.kind}`);
  try {
    // A draft is JSON all through, and the API's own from here on.
    client.create(resource, structuredClone(draft) as unknown as NewObject);
    return undefined;
  } catch (error) {
    if (error instanceof StatusError) return error;
    throw error;
  }
}

interface Written {
  readonly labels?: Texts;
  readonly annotations?: Texts;
  readonly status: object;
}

/** Writes metadata and status where they have changed, and tells of a new verdict. */
function writeRun(
  resource: Resource,
  run: Run,
  { labels, annotations, status }: Written,
  { client, teller }: Hands,
): void {
  const { namespace = '', name } = run.metadata;
  const newLabels = changes(run.metadata.labels, labels);
  const newAnnotations = changes(run.metadata.annotations, annotations);
  if (newLabels !== undefined || newAnnotations !== undefined) {
    const metadata = {
      ...(newLabels === undefined ? {} : { labels: newLabels }),
      ...(newAnnotations === undefined ? {} : { annotations: newAnnotations }),
    };
    client.patch(resource, namespace, name, { metadata });
  }
  if (isDeepStrictEqual(run.status ?? {}, status)) return;
  const current = client.get(resource, namespace, name);
  if (current === undefined || current.metadata.uid !== run.metadata.uid) return;
  const stored = client.update(resource, asObject({ ...current, status }), { subresource: 'status' });
  teller.tell(as<Run>(stored), succeeded(run.status), succeeded(status));
}

/** What is new or different in `after`; undefined when nothing is. */
function changes(before: Texts = {}, after: Texts = {}): { [name: string]: string } | undefined {
  const changed = Object.entries(after).filter(([name, value]) => before[name] !== value);
  return changed.length === 0 ? undefined : Object.fromEntries(changed);
}

/** Our readonly shapes as what the API takes; a copy, because it becomes the API's own. */
function asObject(shape: object): KubeObject {
  return structuredClone(shape) as KubeObject;
}
