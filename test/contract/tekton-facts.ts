/** What a run came to, without what differs each time: the form in which two Tektons are compared. */
import { type Json, type JsonObject, listOf, objectOf, stringOf } from '../../src/kube/objects.ts';

/** The objects of a namespace that belong to a run. */
export interface RunObjects {
  readonly runs: readonly JsonObject[];
  readonly taskRuns: readonly JsonObject[];
}

/** Everything Tekton says of them, field by field; times, uids, images and the namespace's name left out. */
export function tektonFacts({ runs, taskRuns }: RunObjects, namespace: string): JsonObject {
  const facts = {
    runs: named(runs).map(runFacts),
    taskRuns: named(taskRuns).map(taskRunFacts),
  };
  return JSON.parse(JSON.stringify(facts).replaceAll(namespace, 'NAMESPACE')) as JsonObject;
}

function runFacts(run: JsonObject): JsonObject {
  const status = objectOf(run.status);
  return {
    name: nameOf(run),
    condition: conditionOf(status),
    results: status.results,
    skipped: listOf(status.skippedTasks)
      .map(objectOf)
      .map(({ name, reason, whenExpressions }) => ({ name, reason, whenExpressions })),
    children: listOf(status.childReferences)
      .map(objectOf)
      .map(({ kind, apiVersion, name, pipelineTaskName, displayName, whenExpressions }) => ({
        ...{ kind, apiVersion, name, pipelineTaskName, displayName, whenExpressions },
      })),
    started: status.startTime !== undefined,
    completed: status.completionTime !== undefined,
    finallyStarted: status.finallyStartTime !== undefined,
  };
}

function taskRunFacts(taskRun: JsonObject): JsonObject {
  const status = objectOf(taskRun.status);
  const labels = objectOf(objectOf(taskRun.metadata).labels);
  return {
    name: nameOf(taskRun),
    pipelineTask: labels['tekton.dev/pipelineTask'],
    memberOf: labels['tekton.dev/memberOf'],
    params: objectOf(taskRun.spec).params,
    ...attemptFacts(status),
    attempts: listOf(status.retriesStatus).map(objectOf).map(attemptFacts),
  };
}

function attemptFacts(status: JsonObject): JsonObject {
  return {
    condition: conditionOf(status),
    podName: status.podName,
    results: status.results,
    steps: listOf(status.steps).map(objectOf).map(stepFacts),
    sidecars: listOf(status.sidecars)
      .map(objectOf)
      .map(({ name, container }) => ({ name, container })),
    completed: status.completionTime !== undefined,
  };
}

function stepFacts({
  name,
  container,
  terminationReason,
  results,
  terminated,
  running,
  waiting,
}: JsonObject): JsonObject {
  const { exitCode, reason, message } = objectOf(terminated);
  return {
    ...{ name, container, terminationReason, results },
    state: terminated ? 'terminated' : running ? 'running' : waiting ? 'waiting' : undefined,
    exitCode,
    reason: reason ?? objectOf(waiting).reason,
    // A termination message holds the times of the step; what it says of results is in the TaskRun's.
    message: stringOf(message)?.startsWith('[') ? '[...]' : message,
  };
}

function conditionOf(status: JsonObject): Json | undefined {
  const condition = listOf(status.conditions)
    .map(objectOf)
    .find(({ type }) => type === 'Succeeded');
  return (
    condition && { status: condition.status, reason: condition.reason, message: plain(stringOf(condition.message)) }
  );
}

/** Digests, durations and the machine's name server differ each time. */
function plain(message: string | undefined): string | undefined {
  return message
    ?.replaceAll(/sha256:[0-9a-f]{64}/g, 'sha256:DIGEST')
    .replaceAll(/(lookup \S+) on \S+:53/g, '$1')
    .replaceAll(/\d+m?\d*(\.\d+)?s\b/g, 'SECONDS');
}

function named(objects: readonly JsonObject[]): JsonObject[] {
  return [...objects].sort((a, b) => nameOf(a).localeCompare(nameOf(b)));
}

function nameOf(object: JsonObject): string {
  return stringOf(objectOf(object.metadata).name) ?? '';
}
