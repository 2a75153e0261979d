/**
 * Tekton's webhook reads every object into its Go types and writes it again, before anything else looks at it. What is
 * empty vanishes, some fields appear, time spans and quantities get their one spelling, and what the types do not know is
 * refused even where the CustomResourceDefinition is open.
 */
import { parseQuantity, writeQuantity } from '../../core/quantity.ts';
import { isObject } from '../../core/reading.ts';
import { formatDuration, parseDuration } from '../../life/tekton/duration.ts';
import type { Json, JsonObject } from '../../object.ts';
import { goDurationNanoseconds } from '../../schema/formats.ts';
import { anything, list, object, type SchemaNode, text } from '../../schema/node.ts';
import { duration, paramValue } from '../commonfields.ts';
import { olderPipelineSpec, pipelineSpec } from '../pipelinefields.ts';
import {
  explicitFlag,
  explicitInt32,
  explicitInt64,
  quantity,
  templateMetadata,
  volumeClaimTemplate,
} from '../podfields.ts';
import { customRunSpec, olderPipelineRunSpec, olderTaskRunSpec, pipelineRunSpec, taskRunSpec } from '../runfields.ts';
import { olderTaskSpec, stepActionSpec, taskSpec } from '../taskfields.ts';
import { denied } from './denied.ts';

/**
 * The spec of a kind as Tekton writes it. A new value; what was handed in is not changed. Throws the webhook's StatusError
 * for what its types cannot read.
 */
export function rewritten(kind: string, version: string, spec: Json | undefined): JsonObject {
  const node = specs.get(`${kind}/${version}`);
  if (node === undefined || !isObject(spec)) return {};
  const written = write(spec, node, { struct: kind, path: 'spec' });
  return isObject(written) ? written : {};
}

/** Where a value stands, as Go says it: the struct that has the field, and the path without places in lists. */
interface Place {
  readonly struct: string;
  readonly path: string;
}

const volumeSources = [
  'awsElasticBlockStore',
  'azureDisk',
  'azureFile',
  'cephfs',
  'cinder',
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'fc',
  'flexVolume',
  'flocker',
  'gcePersistentDisk',
  'gitRepo',
  'glusterfs',
  'hostPath',
  'image',
  'iscsi',
  'nfs',
  'persistentVolumeClaim',
  'photonPersistentDisk',
  'portworxVolume',
  'projected',
  'quobyte',
  'rbd',
  'scaleIO',
  'secret',
  'storageos',
  'vsphereVolume',
];
const volumes = list(
  object(
    { name: text(), ...Object.fromEntries(volumeSources.map((source) => [source, anything()])) },
    { required: ['name'] },
  ),
);

const wholeTask = withFields(taskSpec, { volumes });
const wholeOlderTask = withFields(olderTaskSpec, { volumes });
const embeddedTask = embedded(wholeTask);
const embeddedOlderTask = embedded(wholeOlderTask);
/** A pipeline within a pipeline is one of the same kind again. */
const nestedPipeline = anything();
const nestedOlderPipeline = anything();
const pipelineTask = withFields(itemsOf(fieldOf(pipelineSpec, 'tasks')), {
  pipelineSpec: nestedPipeline,
  taskSpec: embeddedTask,
});
const olderPipelineTask = withFields(itemsOf(fieldOf(olderPipelineSpec, 'tasks')), {
  pipelineSpec: nestedOlderPipeline,
  taskSpec: embeddedOlderTask,
});
const wholePipeline = withFields(pipelineSpec, { tasks: list(pipelineTask), finally: list(pipelineTask) });
const wholeOlderPipeline = withFields(olderPipelineSpec, {
  tasks: list(olderPipelineTask),
  finally: list(olderPipelineTask),
});

const specs: ReadonlyMap<string, SchemaNode> = new Map([
  ['Task/v1', wholeTask],
  ['Task/v1beta1', wholeOlderTask],
  ['Pipeline/v1', wholePipeline],
  ['Pipeline/v1beta1', wholeOlderPipeline],
  ['PipelineRun/v1', withFields(pipelineRunSpec, { pipelineSpec: wholePipeline })],
  ['PipelineRun/v1beta1', withFields(olderPipelineRunSpec, { pipelineSpec: wholeOlderPipeline })],
  ['TaskRun/v1', withFields(taskRunSpec, { taskSpec: wholeTask })],
  ['TaskRun/v1beta1', withFields(olderTaskRunSpec, { taskSpec: wholeOlderTask })],
  ['CustomRun/v1beta1', customRunSpec],
  ['StepAction/v1beta1', stepActionSpec],
  ['StepAction/v1alpha1', stepActionSpec],
]);

/** Fields that are written even when they are absent, by the object that has them. */
const alwaysWritten: ReadonlyMap<SchemaNode, JsonObject> = new Map<SchemaNode, JsonObject>([
  [itemsOf(fieldOf(taskSpec, 'steps')), { computeResources: {} }],
  [itemsOf(fieldOf(taskSpec, 'sidecars')), { computeResources: {} }],
  [fieldOf(taskSpec, 'stepTemplate'), { computeResources: {} }],
  [itemsOf(fieldOf(olderTaskSpec, 'steps')), { resources: {} }],
  [itemsOf(fieldOf(olderTaskSpec, 'sidecars')), { resources: {} }],
  [fieldOf(olderTaskSpec, 'stepTemplate'), { resources: {} }],
  [embeddedTask, { metadata: {}, spec: null }],
  [embeddedOlderTask, { metadata: {}, spec: null }],
  [itemsOf(fieldOf(pipelineSpec, 'results')), { description: '' }],
  [itemsOf(fieldOf(olderPipelineSpec, 'results')), { description: '' }],
  [fieldOf(customRunSpec, 'customSpec'), { metadata: {}, spec: null }],
  [fieldOf(itemsOf(fieldOf(taskRunSpec, 'workspaces')), 'projected'), { sources: null }],
]);

/** The names of structs, which are in the sentences about values of a wrong type. */
const structs: ReadonlyMap<SchemaNode, string> = new Map([
  [wholePipeline, 'PipelineSpec'],
  [wholeOlderPipeline, 'PipelineSpec'],
  [pipelineTask, 'PipelineTask'],
  [olderPipelineTask, 'PipelineTask'],
  [wholeTask, 'TaskSpec'],
  [wholeOlderTask, 'TaskSpec'],
  [embeddedTask, 'EmbeddedTask'],
  [embeddedOlderTask, 'EmbeddedTask'],
  [itemsOf(fieldOf(taskSpec, 'steps')), 'Step'],
  [itemsOf(fieldOf(olderTaskSpec, 'steps')), 'Step'],
  [itemsOf(fieldOf(taskSpec, 'sidecars')), 'Sidecar'],
  [itemsOf(fieldOf(olderTaskSpec, 'sidecars')), 'Sidecar'],
]);

/** Answers undefined for what is not written at all. */
function write(value: Json, node: SchemaNode, place: Place): Json | undefined {
  if (node === paramValue) return writeParamValue(value);
  if (value === null) return undefined;
  if (node === nestedPipeline) return write(value, wholePipeline, place);
  if (node === nestedOlderPipeline) return write(value, wholeOlderPipeline, place);
  if (node === duration) return writeDuration(value, place);
  if (node === quantity) return writeAmount(value);
  if (node === volumeClaimTemplate) return isObject(value) ? { metadata: {}, status: {}, ...value } : value;
  if (node.properties !== undefined) return writeStruct(value, node, node.properties, place);
  if (typeof node.additionalProperties === 'object') return writeMap(value, node.additionalProperties, place);
  switch (node.type) {
    case 'array':
      return writeList(value, node.items ?? {}, place);
    case 'string':
      if (typeof value !== 'string') throw mistyped(value, place, 'string');
      return value === '' ? undefined : value;
    case 'boolean':
      if (typeof value !== 'boolean') throw mistyped(value, place, 'bool');
      return value || node === explicitFlag ? value : undefined;
    case 'integer':
      if (typeof value !== 'number') throw mistyped(value, place, node.format ?? 'int');
      return value !== 0 || node === explicitInt32 || node === explicitInt64 ? value : undefined;
    default:
      return value;
  }
}

function writeStruct(
  value: Json,
  node: SchemaNode,
  properties: { readonly [name: string]: SchemaNode },
  { struct, path }: Place,
): JsonObject {
  const own = structs.get(node);
  if (!isObject(value)) throw mistyped(value, { struct, path }, `v1.${own ?? struct}`);
  const unknown = Object.keys(value).find((name) => !Object.hasOwn(properties, name));
  if (unknown !== undefined) throw undecodable(`json: unknown field ${JSON.stringify(unknown)}`);
  const written: JsonObject = {};
  for (const [name, child] of Object.entries(properties)) {
    const field = value[name];
    const isRequired = node.required?.includes(name) === true;
    if (field === undefined && !(isRequired && child === paramValue)) {
      if (isRequired) written[name] = emptyOf(child);
      continue;
    }
    const passed = write(field ?? null, child, { struct: own ?? struct, path: `${path}.${name}` });
    if (passed !== undefined) written[name] = passed;
    else if (isRequired) written[name] = emptyOf(child);
  }
  return { ...structuredClone(alwaysWritten.get(node) ?? {}), ...written };
}

function writeMap(value: Json, values: SchemaNode, place: Place): JsonObject | undefined {
  if (!isObject(value)) throw mistyped(value, place, 'map[string]string');
  const entries = Object.entries(value).map(([key, entry]): [string, Json] => [
    key,
    write(entry ?? null, values, place) ?? emptyOf(values),
  ]);
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

function writeList(value: Json, items: SchemaNode, place: Place): Json[] | undefined {
  if (!Array.isArray(value))
    throw mistyped(value, place, `[]${structs.has(items) ? `v1.${structs.get(items)}` : 'string'}`);
  if (value.length === 0) return undefined;
  return value.map((item) => write(item, items, place) ?? emptyOf(items));
}

/** A text, a list of texts or an object of texts; everything else becomes the text of its JSON. */
function writeParamValue(value: Json): Json {
  if (value === null) {
    throw denied(
      'webhook.pipeline.tekton.dev',
      'mutation failed: cannot create patch for round tripped newBytes: cannot marshal interface: json: error calling MarshalJSON for type v1.ParamValue: impossible ParamValues.Type: ""',
    );
  }
  if (typeof value === 'string') return value;
  const isTexts = (values: readonly (Json | undefined)[]) => values.every((one) => typeof one === 'string');
  if (Array.isArray(value) && isTexts(value)) return value;
  if (isObject(value) && isTexts(Object.values(value))) return value;
  return JSON.stringify(value);
}

function writeDuration(value: Json, place: Place): string {
  if (typeof value !== 'string') throw mistyped(value, place, 'string');
  if (goDurationNanoseconds(value) === undefined) throw undecodable(`time: ${durationFault(value)}`);
  return formatDuration(parseDuration(value));
}

/** What Go says of a time span that is none. https://pkg.go.dev/time#ParseDuration */
function durationFault(value: string): string {
  const rest = value.replace(/^[-+]?/, '').replace(/^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h))*/, '');
  const [, number = '', unit = ''] = /^(\d+\.?\d*|\.\d+)?([^0-9.]*)/.exec(rest) ?? [];
  if (number === '') return `invalid duration ${JSON.stringify(value)}`;
  if (unit === '') return `missing unit in duration ${JSON.stringify(value)}`;
  return `unknown unit ${JSON.stringify(unit)} in duration ${JSON.stringify(value)}`;
}

function writeAmount(value: Json): Json {
  const amount = typeof value === 'string' || typeof value === 'number' ? parseQuantity(value) : undefined;
  return amount === undefined ? value : writeQuantity(amount);
}

function emptyOf(node: SchemaNode): Json {
  switch (node.type) {
    case 'string':
      return '';
    case 'integer':
      return 0;
    case 'boolean':
      return false;
    case 'object':
      return {};
    default:
      return null;
  }
}

function mistyped(value: Json, { struct, path }: Place, type: string): Error {
  const word = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;
  return undecodable(`json: cannot unmarshal ${word} into Go struct field ${struct}.${path} of type ${type}`);
}

function undecodable(why: string): Error {
  return denied('webhook.pipeline.tekton.dev', `mutation failed: cannot decode incoming new object: ${why}`);
}

/** A Task within a pipeline may be a custom one. */
function embedded(task: SchemaNode): SchemaNode {
  return withFields(task, { apiVersion: text(), kind: text(), metadata: templateMetadata, spec: anything() });
}

function withFields(node: SchemaNode, fields: { readonly [name: string]: SchemaNode }): SchemaNode {
  return { ...node, properties: { ...node.properties, ...fields } };
}

function fieldOf(node: SchemaNode, name: string): SchemaNode {
  const field = node.properties?.[name];
  if (field === undefined) throw new Error(`no field ${name}`);
  return field;
}

function itemsOf(node: SchemaNode): SchemaNode {
  if (node.items === undefined) throw new Error('no list');
  return node.items;
}
