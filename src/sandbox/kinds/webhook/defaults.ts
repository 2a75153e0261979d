/** What Tekton's webhook fills in. https://tekton.dev/docs/pipelines/additional-configs/#customizing-basic-execution-parameters */
import { objectIn, objectsIn, textIn } from '../../core/reading.ts';
import type { Json, JsonObject } from '../../object.ts';

/** The label that TaskRuns get, and their pods after them. */
export const managedByLabel = 'app.kubernetes.io/managed-by';
/** Its value, `default-managed-by-label-value`. */
export const managedBy = 'tekton-pipelines';

const defaultServiceAccount = 'default';
const defaultTimeout = '1h0m0s';

/** Fills in what `spec`, as Tekton has rewritten it, does not say. In place; calling it twice changes nothing. */
export function fillIn(kind: string, version: string, spec: JsonObject): void {
  switch (kind) {
    case 'PipelineRun':
      fillInPipelineRun(version, spec);
      break;
    case 'TaskRun':
      spec.serviceAccountName ??= defaultServiceAccount;
      spec.timeout ??= defaultTimeout;
      fillInTaskRef(spec.taskRef);
      fillInTask(spec.taskSpec);
      break;
    case 'CustomRun':
      spec.serviceAccountName ??= defaultServiceAccount;
      break;
    case 'Pipeline':
      fillInPipeline(spec);
      break;
    default:
      fillInTask(spec);
  }
}

function fillInPipelineRun(version: string, spec: JsonObject): void {
  if (version === 'v1') {
    const template = objectIn(spec.taskRunTemplate);
    spec.taskRunTemplate = { ...template, serviceAccountName: template.serviceAccountName ?? defaultServiceAccount };
  } else {
    spec.serviceAccountName ??= defaultServiceAccount;
  }
  if (spec.timeout === undefined) spec.timeouts = { pipeline: defaultTimeout, ...objectIn(spec.timeouts) };
  fillInPipeline(objectIn(spec.pipelineSpec));
}

function fillInPipeline(spec: JsonObject): void {
  fillInTypes(spec.params);
  for (const task of [...objectsIn(spec.tasks), ...objectsIn(spec.finally)]) {
    fillInTaskRef(task.taskRef);
    fillInTask(task.taskSpec);
    fillInPipeline(objectIn(task.pipelineSpec));
  }
}

/** A name alone is a Task's; what a resolver finds says itself what it is. */
function fillInTaskRef(reference: Json | undefined): void {
  if (reference === undefined) return;
  const { kind, resolver } = objectIn(reference);
  if (textIn(kind) === '' && textIn(resolver) === '') objectIn(reference).kind = 'Task';
}

function fillInTask(spec: Json | undefined): void {
  const { params, results } = objectIn(spec);
  fillInTypes(params);
  fillInTypes(results);
}

/** Types of parameters and results: that of their properties or of their default, or text. */
function fillInTypes(declared: Json | undefined): void {
  for (const one of objectsIn(declared)) {
    const { properties, default: value } = one;
    if (textIn(one.type) === '') one.type = properties === undefined ? typeOf(value) : 'object';
    for (const property of Object.values(objectIn(properties))) objectIn(property).type ??= 'string';
  }
}

function typeOf(value: Json | undefined): string {
  if (Array.isArray(value)) return 'array';
  return typeof value === 'object' && value !== null ? 'object' : 'string';
}
