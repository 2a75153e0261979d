/**
 * TriggerTemplates: manifests with parameters in them. Parameters go into the strings of a manifest that has been read, each string in one
 * pass, so that whatever an event says stays text: it cannot become structure, and what it holds is not substituted again. Pure.
 * https://tekton.dev/docs/triggers/triggertemplates/
 */
import { Fault } from '../../fault.ts';
import { type Json, type JsonObject, listOf, objectOf, present, stringOf } from '../../kube/objects.ts';
import { type ListenerPolicy, reaches } from './policy.ts';

/** What becomes of `$(` in a value, which Tekton would read as a variable of its own: written as `$$(`, as Triggers does, or refused. */
export type Dollars = 'escape' | 'reject';

/** A manifest that was checked: what it creates, and where, is settled whatever an event says. */
export interface RunTemplate {
  readonly apiVersion: string;
  readonly kind: 'PipelineRun' | 'TaskRun';
  readonly namespace: string;
  readonly manifest: JsonObject;
  /** The parameters that it uses. */
  readonly params: ReadonlySet<string>;
}

/** The ground on which a manifest is checked. */
export interface TemplateGround {
  readonly field: string;
  readonly listenerNamespace: string;
  /** Where it creates if it does not say. */
  readonly triggerNamespace: string;
  readonly policy: ListenerPolicy;
}

const VARIABLE = /\$\(tt\.params\.([_a-zA-Z][_a-zA-Z0-9.-]*)\)|\$\(uid\)/g;
/** Deeper than anything Tekton has, and shallow enough for every recursion that follows. */
const DEEPEST = 100;
const VERSIONS: readonly string[] = ['tekton.dev/v1', 'tekton.dev/v1beta1'];

/**
 * Checks a manifest. What is wrong with it is added to `mistakes`, and there is none then. What it creates and in which namespace must not
 * depend on an event, which is why neither the values nor the names of these fields can.
 */
export function readTemplate(json: Json, ground: TemplateGround, mistakes: string[]): RunTemplate | undefined {
  const { field, listenerNamespace, triggerNamespace, policy } = ground;
  const before = mistakes.length;
  if (isDeep(json, DEEPEST)) {
    mistakes.push(`${field} is nested deeper than ${DEEPEST} levels`);
    return undefined;
  }
  const manifest = objectOf(json);
  const metadata = metadataOf(manifest);
  const kinds = policy.taskRuns ? ['PipelineRun', 'TaskRun'] : ['PipelineRun'];
  const { apiVersion, kind } = manifest;
  const namespace = metadata.namespace ?? triggerNamespace;
  // A string that is none of these holds a variable as well as anything else.
  if (typeof apiVersion !== 'string' || !VERSIONS.includes(apiVersion)) {
    mistakes.push(`${field}.apiVersion must be ${VERSIONS.join(' or ')}, as it stands there`);
  }
  if (typeof kind !== 'string' || !kinds.includes(kind)) {
    mistakes.push(`${field}.kind must be ${kinds.join(' or ')}, as it stands there; nothing else is created`);
  }
  if (typeof namespace !== 'string' || isVariable(namespace)) {
    mistakes.push(`${field}.metadata.namespace must be a name without variables; leave it out for ${triggerNamespace}`);
  } else if (!reaches(policy.runNamespaces, listenerNamespace, namespace)) {
    mistakes.push(
      `${field}.metadata.namespace is not ${listenerNamespace}, and no policy lets this listener create elsewhere`,
    );
  }
  for (const name of ['metadata', 'spec']) {
    if (!isObjectOrAbsent(manifest[name])) mistakes.push(`${field}.${name} is no object`);
  }
  for (const name of ['name', 'generateName']) {
    if (typeof (metadata[name] ?? '') !== 'string') mistakes.push(`${field}.metadata.${name} is no text`);
  }
  for (const name of ['labels', 'annotations']) {
    if (!isObjectOrAbsent(metadata[name])) mistakes.push(`${field}.metadata.${name} is no object`);
  }
  if ([...Object.keys(manifest), ...Object.keys(metadata)].some(isVariable)) {
    mistakes.push(`${field} has a variable in the name of a field of its own or of its metadata`);
  }
  if (mistakes.length > before) return undefined;
  // Both were looked at above.
  const known = { apiVersion: apiVersion as string, kind: kind as RunTemplate['kind'], namespace: namespace as string };
  return { ...known, manifest, params: new Set(paramsIn(manifest)) };
}

function metadataOf(manifest: JsonObject): JsonObject {
  return objectOf(manifest.metadata);
}

function isObjectOrAbsent(json: Json | undefined): boolean {
  return (json ?? null) === null || (typeof json === 'object' && !Array.isArray(json));
}

function isVariable(text: string): boolean {
  return text.search(VARIABLE) >= 0;
}

function isDeep(json: Json | undefined, left: number): boolean {
  if (typeof json !== 'object' || json === null) return false;
  return left === 0 || Object.values(json).some((child: Json | undefined) => isDeep(child, left - 1));
}

function* paramsIn(json: Json | undefined): Iterable<string> {
  if (typeof json === 'string') {
    for (const [, name] of json.matchAll(VARIABLE)) if (name !== undefined) yield name;
  } else if (typeof json === 'object' && json !== null) {
    if (!Array.isArray(json)) for (const key of Object.keys(json)) yield* paramsIn(key);
    for (const child of Object.values(json)) yield* paramsIn(child);
  }
}

/** What goes into a template. */
export interface TemplateValues {
  readonly params: ReadonlyMap<string, string>;
  readonly uid: string;
  readonly dollars: Dollars;
}

/** A manifest with its parameters in place, without what its metadata says of its name and namespace. */
export interface RenderedRun {
  /** `metadata` holds neither `name` nor `generateName` nor `namespace`; its labels and annotations are objects. */
  readonly manifest: JsonObject;
  readonly name: string | undefined;
  readonly generateName: string | undefined;
  readonly namedByUid: boolean;
}

/**
 * Puts parameters into a template: into its strings and the names of its fields, and nowhere else. Throws `bad-request` with a sentence that
 * holds nothing of the values: where one is missing, holds `$(` that is to be rejected, or gives two fields one name.
 */
export function renderRun(template: RunTemplate, values: TemplateValues): RenderedRun {
  const manifest = objectOf(new Filling(values).json(template.manifest));
  const { name, generateName, namespace: _settled, labels, annotations, ...metadata } = metadataOf(manifest);
  const written = metadataOf(template.manifest).name;
  return {
    manifest: { ...manifest, metadata: { ...metadata, labels: objectOf(labels), annotations: objectOf(annotations) } },
    name: stringOf(name),
    generateName: stringOf(generateName),
    namedByUid: typeof written === 'string' && written.includes('$(uid)'),
  };
}

/** All that is put into one manifest: an object of that size is refused by Kubernetes anyway. */
const MOST_INSERTED = 2 * 1024 * 1024;

/** The filling of one template. */
class Filling {
  readonly #values: TemplateValues;
  #size = 0;

  constructor(values: TemplateValues) {
    this.#values = values;
  }

  json(json: Json | undefined): Json {
    if (typeof json === 'string') return this.#text(json);
    if (typeof json !== 'object' || json === null) return json ?? null;
    if (Array.isArray(json)) return json.map((item: Json) => this.json(item));
    const entries = Object.entries(json).map(([key, item]) => [this.#text(key), this.json(item)] as const);
    if (new Set(entries.map(([key]) => key)).size < entries.length) {
      throw new Fault('bad-request', 'its parameters give two fields of one object the same name');
    }
    return Object.fromEntries(entries);
  }

  /** One string with what its variables stand for, from left to right and once. */
  #text(text: string): string {
    const { uid, dollars } = this.#values;
    let filled = '';
    let end = 0;
    for (const variable of text.matchAll(VARIABLE)) {
      const [whole, param] = variable;
      filled = joined(filled, text.slice(end, variable.index), dollars);
      filled = joined(filled, param === undefined ? uid : this.#param(param), dollars);
      end = variable.index + whole.length;
    }
    return end === 0 ? text : joined(filled, text.slice(end), dollars);
  }

  #param(name: string): string {
    const { params, dollars } = this.#values;
    const value = params.get(name);
    if (value === undefined) throw new Fault('bad-request', `it uses $(tt.params.${name}), which has no value`);
    this.#size += value.length;
    if (this.#size > MOST_INSERTED) throw new Fault('bad-request', 'its parameters make more than 2 MiB');
    if (!value.includes('$(')) return value;
    if (dollars === 'reject') throw refused();
    // Not as a text, in which dollars have a meaning of their own.
    return value.replaceAll('$(', () => '$$(');
  }
}

/** One text behind another. A dollar that ends the one and a parenthesis that begins the other would be a variable of nobody's. */
function joined(before: string, after: string, dollars: Dollars): string {
  if (!before.endsWith('$') || !after.startsWith('(')) return before + after;
  if (dollars === 'reject') throw refused();
  return `${before}$${after}`;
}

function refused(): Fault {
  return new Fault('bad-request', 'a value holds $(, which this listener rejects');
}

/** What v1 has under another name or not at all, in the parts of a run that are otherwise the same. */
const CHANGED = {
  spec: ['resources', 'bundle', 'stepOverrides', 'sidecarOverrides'],
  ref: ['bundle'],
  taskRunSpec: ['taskServiceAccountName', 'taskPodTemplate', 'stepOverrides', 'sidecarOverrides'],
  pipelineTask: ['resources'],
  taskSpec: ['resources'],
  step: [
    'resources',
    'ports',
    'livenessProbe',
    'readinessProbe',
    'startupProbe',
    'lifecycle',
    'stdin',
    'stdinOnce',
    'tty',
  ],
} as const;

/**
 * A PipelineRun or TaskRun as v1 has it: of a PipelineRun `serviceAccountName` and `podTemplate` move to `taskRunTemplate`, and `timeout` to
 * `timeouts.pipeline`. One of v1 is given back as it is. Throws `bad-request` with the name of a field that would have to be rewritten.
 * https://tekton.dev/docs/pipelines/migrating-v1beta1-to-v1/
 */
export function toV1(manifest: JsonObject): JsonObject {
  if (manifest.apiVersion === 'tekton.dev/v1') return manifest;
  const spec = objectOf(manifest.spec);
  refuse(spec, CHANGED.spec, 'spec');
  refuse(spec.taskRef, CHANGED.ref, 'spec.taskRef');
  refuse(spec.pipelineRef, CHANGED.ref, 'spec.pipelineRef');
  for (const [place, entry] of listOf(spec.taskRunSpecs).entries()) {
    refuse(entry, CHANGED.taskRunSpec, `spec.taskRunSpecs[${place}]`);
  }
  refuseTaskSpec(spec.taskSpec, 'spec.taskSpec');
  refusePipelineSpec(spec.pipelineSpec, 'spec.pipelineSpec');
  return { ...manifest, apiVersion: 'tekton.dev/v1', spec: manifest.kind === 'PipelineRun' ? moved(spec) : spec };
}

function moved(spec: JsonObject): JsonObject {
  const { serviceAccountName, podTemplate, timeout, ...rest } = spec;
  if (timeout !== undefined && rest.timeouts !== undefined) {
    throw new Fault('bad-request', 'spec.timeout and spec.timeouts cannot both be there');
  }
  const ofTaskRuns = present({ serviceAccountName, podTemplate });
  const hasAny = Object.keys(ofTaskRuns).length > 0;
  return {
    ...rest,
    ...(hasAny ? { taskRunTemplate: { ...ofTaskRuns, ...objectOf(rest.taskRunTemplate) } } : {}),
    ...(timeout === undefined ? {} : { timeouts: { pipeline: timeout } }),
  };
}

function refusePipelineSpec(json: Json | undefined, field: string): void {
  const spec = objectOf(json);
  refuse(spec, CHANGED.taskSpec, field);
  for (const list of ['tasks', 'finally']) {
    for (const [place, item] of listOf(spec[list]).entries()) {
      const at = `${field}.${list}[${place}]`;
      const task = objectOf(item);
      refuse(task, CHANGED.pipelineTask, at);
      refuse(task.taskRef, CHANGED.ref, `${at}.taskRef`);
      refuseTaskSpec(task.taskSpec, `${at}.taskSpec`);
    }
  }
}

function refuseTaskSpec(json: Json | undefined, field: string): void {
  const spec = objectOf(json);
  refuse(spec, CHANGED.taskSpec, field);
  refuse(spec.stepTemplate, CHANGED.step, `${field}.stepTemplate`);
  for (const [place, step] of listOf(spec.steps).entries()) refuse(step, CHANGED.step, `${field}.steps[${place}]`);
}

function refuse(json: Json | undefined, names: readonly string[], field: string): void {
  const object = objectOf(json);
  const name = names.find((each) => object[each] !== undefined);
  if (name !== undefined) {
    throw new Fault(
      'bad-request',
      `${field}.${name} is not in tekton.dev/v1, and v1beta1 is not served; write the template for v1`,
    );
  }
}
