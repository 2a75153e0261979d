/**
 * Tekton's objects from one version to the other. What v1 has no place for is kept in an annotation, so that an object
 * that goes to v1 and back is what it was.
 * https://tekton.dev/docs/pipelines/migrating-v1beta1-to-v1/
 */
import { isObject, objectIn, objectsIn, textIn } from '../../core/reading.ts';
import { groupVersionOf, type Json, type JsonObject, type KubeObject } from '../../object.ts';
import { longLivedFields } from '../podfields.ts';

/** `object` in `version` of its group. A new object, of which nothing is shared that differs. */
export function converted(object: KubeObject, version: string): KubeObject {
  const { group, version: from } = groupVersionOf(object.apiVersion);
  const apiVersion = `${group}/${version}`;
  if (from === version) return { ...object };
  if (from === 'v1beta1' && version === 'v1') return raised({ ...object, apiVersion });
  if (from === 'v1' && version === 'v1beta1') return lowered({ ...object, apiVersion });
  return { ...object, apiVersion };
}

/** The annotation with the fields of steps that v1 does not have, by the name of the Task or pipeline task. */
const deprecations = 'tekton.dev/v1beta1.task-deprecations';

type Words = { readonly [older: string]: string };

const runWords: Words = { stepOverrides: 'stepSpecs', sidecarOverrides: 'sidecarSpecs' };
const overrideWords: Words = {
  ...runWords,
  taskServiceAccountName: 'serviceAccountName',
  taskPodTemplate: 'podTemplate',
};
const containerWords: Words = { resources: 'computeResources' };

function raised(object: KubeObject): KubeObject {
  const kept: JsonObject = {};
  const spec = objectIn(object.spec);
  const status = object.status;
  const result: KubeObject = { ...object, spec: raisedSpec(object, spec, kept) };
  if (isObject(status)) result.status = raisedStatus(object.kind, status);
  if (Object.keys(kept).length === 0) return result;
  const names = Object.keys(kept).sort();
  const annotation = JSON.stringify(Object.fromEntries(names.map((name) => [name, kept[name]])));
  return {
    ...result,
    metadata: { ...object.metadata, annotations: { ...object.metadata.annotations, [deprecations]: annotation } },
  };
}

function raisedSpec(object: KubeObject, spec: JsonObject, kept: JsonObject): JsonObject {
  switch (object.kind) {
    case 'Task':
      return raisedTask(object.metadata.name, spec, kept);
    case 'Pipeline':
      return raisedPipeline(spec, kept);
    case 'TaskRun': {
      const { taskSpec } = spec;
      return {
        ...raisedOverrides(spec, runWords),
        ...(isObject(taskSpec) ? { taskSpec: raisedTask(object.metadata.name, taskSpec, kept) } : {}),
      };
    }
    case 'PipelineRun': {
      const { serviceAccountName, podTemplate, timeout, timeouts, taskRunSpecs, pipelineSpec, ...rest } = spec;
      const whole = timeout === undefined ? timeouts : { ...objectIn(timeouts), pipeline: timeout };
      return {
        ...rest,
        ...given({ timeouts: whole, taskRunSpecs: mapped(taskRunSpecs, (one) => raisedOverrides(one, overrideWords)) }),
        taskRunTemplate: given({ serviceAccountName, podTemplate }),
        ...(isObject(pipelineSpec) ? { pipelineSpec: raisedPipeline(pipelineSpec, kept) } : {}),
      };
    }
    default:
      return spec;
  }
}

function raisedPipeline(spec: JsonObject, kept: JsonObject): JsonObject {
  return eachTask(spec, (name, task) => raisedTask(name, task, kept));
}

function raisedTask(name: string, spec: JsonObject, kept: JsonObject): JsonObject {
  const steps = objectsIn(spec.steps);
  const template = spec.stepTemplate;
  const older = steps.map((step) => ({ name: '', resources: {}, ...olderFieldsOf(step) }));
  const olderTemplate = isObject(template) ? olderFieldsOf(template) : {};
  const templateName = isObject(template) ? textIn(template.name) : '';
  const hasOlder = steps.some((step) => Object.keys(olderFieldsOf(step)).length > 0);
  const hasOlderTemplate = templateName !== '' || Object.keys(olderTemplate).length > 0;
  const entry = {
    ...(hasOlder ? { deprecatedSteps: older.map(inGoOrder) } : {}),
    ...(hasOlderTemplate
      ? { deprecatedStepTemplate: inGoOrder({ name: templateName, resources: {}, ...olderTemplate }) }
      : {}),
  };
  if (hasOlder || hasOlderTemplate) kept[name] = entry;
  return containersOf(spec, (container, field) => {
    const renamed = withWords(container, containerWords);
    if (field === 'sidecars') return renamed;
    return without(renamed, field === 'stepTemplate' ? ['name', ...olderFields] : olderFields);
  });
}

function lowered(object: KubeObject): KubeObject {
  const { [deprecations]: annotation, ...annotations } = object.metadata.annotations ?? {};
  const kept = annotation === undefined ? {} : objectIn(parsed(annotation));
  const spec = objectIn(object.spec);
  const status = object.status;
  const result: KubeObject = { ...object, spec: loweredSpec(object, spec, kept) };
  if (isObject(status)) result.status = loweredStatus(object.kind, status);
  if (annotation === undefined) return result;
  const { annotations: all, ...metadata } = object.metadata;
  const hasOthers = Object.keys(all ?? {}).length > 1;
  return { ...result, metadata: { ...metadata, ...(hasOthers ? { annotations } : {}) } };
}

function loweredSpec(object: KubeObject, spec: JsonObject, kept: JsonObject): JsonObject {
  switch (object.kind) {
    case 'Task':
      return loweredTask(object.metadata.name, spec, kept);
    case 'Pipeline':
      return loweredPipeline(spec, kept);
    case 'TaskRun': {
      const { taskSpec } = spec;
      return {
        ...loweredOverrides(spec, runWords),
        ...(isObject(taskSpec) ? { taskSpec: loweredTask(object.metadata.name, taskSpec, kept) } : {}),
      };
    }
    case 'PipelineRun': {
      const { taskRunTemplate, taskRunSpecs, pipelineSpec, ...rest } = spec;
      return {
        ...rest,
        ...given({ taskRunSpecs: mapped(taskRunSpecs, (one) => loweredOverrides(one, overrideWords)) }),
        ...objectIn(taskRunTemplate),
        ...(isObject(pipelineSpec) ? { pipelineSpec: loweredPipeline(pipelineSpec, kept) } : {}),
      };
    }
    default:
      return spec;
  }
}

function loweredPipeline(spec: JsonObject, kept: JsonObject): JsonObject {
  return eachTask(spec, (name, task) => loweredTask(name, task, kept));
}

function loweredTask(name: string, spec: JsonObject, kept: JsonObject): JsonObject {
  const { deprecatedSteps, deprecatedStepTemplate } = objectIn(kept[name]);
  const older = objectsIn(deprecatedSteps);
  return containersOf(spec, (container, field, index) => {
    const renamed = withWords(container, reversed(containerWords));
    if (field === 'sidecars') return renamed;
    if (field === 'steps') return { ...olderFieldsOf(older[index] ?? {}), ...renamed };
    const template = objectIn(deprecatedStepTemplate);
    const templateName = textIn(template.name);
    return { ...olderFieldsOf(template), ...renamed, ...(templateName === '' ? {} : { name: templateName }) };
  });
}

function raisedStatus(kind: string, status: JsonObject): JsonObject {
  const rest = without(status, ['taskRuns', 'runs', 'cloudEvents', 'resourcesResult']);
  if (kind === 'PipelineRun') {
    return withSpec(withWords(rest, { pipelineResults: 'results' }), 'pipelineSpec', (spec) =>
      raisedPipeline(spec, {}),
    );
  }
  if (kind !== 'TaskRun') return status;
  const words = withWords(rest, { taskResults: 'results' });
  const retries = mapped(words.retriesStatus, (attempt) => raisedStatus(kind, attempt));
  return withSpec({ ...words, ...given({ retriesStatus: retries }) }, 'taskSpec', (spec) => raisedTask('', spec, {}));
}

function loweredStatus(kind: string, status: JsonObject): JsonObject {
  if (kind === 'PipelineRun') {
    const words = withWords(status, { results: 'pipelineResults' });
    return withSpec(words, 'pipelineSpec', (spec) => loweredPipeline(spec, {}));
  }
  if (kind !== 'TaskRun') return status;
  const rest = without(withWords(status, { results: 'taskResults' }), ['artifacts']);
  const retries = mapped(rest.retriesStatus, (attempt) => loweredStatus(kind, attempt));
  const steps = mapped(rest.steps, (step) => without(step, ['terminationReason']));
  return withSpec({ ...rest, ...given({ retriesStatus: retries, steps }) }, 'taskSpec', (spec) =>
    loweredTask('', spec, {}),
  );
}

/** The order in which Tekton's struct has a step's older fields, which is that of the annotation. */
const goOrder = [
  'name',
  'ports',
  'resources',
  'livenessProbe',
  'readinessProbe',
  'startupProbe',
  'lifecycle',
  'terminationMessagePath',
  'terminationMessagePolicy',
  'stdin',
  'stdinOnce',
  'tty',
];
const olderFields = Object.keys(longLivedFields);

function inGoOrder(fields: JsonObject): JsonObject {
  return Object.fromEntries(goOrder.flatMap((name) => (fields[name] === undefined ? [] : [[name, fields[name]]])));
}

function olderFieldsOf(container: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(container).filter(([name]) => olderFields.includes(name)));
}

function without(object: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)));
}

function raisedOverrides(spec: JsonObject, words: Words): JsonObject {
  return overridesOf(withWords(spec, words), Object.values(runWords), containerWords);
}

function loweredOverrides(spec: JsonObject, words: Words): JsonObject {
  return overridesOf(withWords(spec, reversed(words)), Object.keys(runWords), reversed(containerWords));
}

function overridesOf(spec: JsonObject, fields: readonly string[], words: Words): JsonObject {
  const changed = fields.map((field) => [field, mapped(spec[field], (one) => withWords(one, words))]);
  return { ...spec, ...given(Object.fromEntries(changed)) };
}

function eachTask(spec: JsonObject, change: (name: string, task: JsonObject) => JsonObject): JsonObject {
  const changed = (tasks: Json | undefined) =>
    mapped(tasks, (task) => {
      const { taskSpec, pipelineSpec } = task;
      if (isObject(taskSpec)) return { ...task, taskSpec: change(textIn(task.name), taskSpec) };
      return isObject(pipelineSpec) ? { ...task, pipelineSpec: eachTask(pipelineSpec, change) } : task;
    });
  return { ...spec, ...given({ tasks: changed(spec.tasks), finally: changed(spec.finally) }) };
}

function containersOf(
  spec: JsonObject,
  change: (container: JsonObject, field: 'steps' | 'sidecars' | 'stepTemplate', index: number) => JsonObject,
): JsonObject {
  const { steps, sidecars, stepTemplate } = spec;
  return {
    ...spec,
    ...given({
      steps: mapped(steps, (step, index) => change(step, 'steps', index)),
      sidecars: mapped(sidecars, (sidecar, index) => change(sidecar, 'sidecars', index)),
      stepTemplate: isObject(stepTemplate) ? change(stepTemplate, 'stepTemplate', 0) : undefined,
    }),
  };
}

function withSpec(status: JsonObject, field: string, change: (spec: JsonObject) => JsonObject): JsonObject {
  const spec = status[field];
  return isObject(spec) ? { ...status, [field]: change(spec) } : status;
}

function withWords(object: JsonObject, words: Words): JsonObject {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [words[name] ?? name, value]));
}

function reversed(words: Words): Words {
  return Object.fromEntries(Object.entries(words).map(([older, newer]) => [newer, older]));
}

function mapped(list: Json | undefined, change: (item: JsonObject, index: number) => JsonObject): Json[] | undefined {
  return Array.isArray(list) ? objectsIn(list).map(change) : undefined;
}

function given(fields: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function parsed(annotation: string): Json {
  try {
    return JSON.parse(annotation) as Json;
  } catch {
    return {}; // somebody wrote it by hand; what it kept is lost then
  }
}
