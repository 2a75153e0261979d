/**
 * A PipelineTrigger as we read it: every shape that was released under `pipeline.jquad.rocks/v1alpha1`, and what is wrong with
 * one that says too little. Pure, and never throws: one that is wrong affects itself only.
 */
import { SOURCE_KINDS, type SourceKind } from '../../flux/types.ts';
import {
  type Json,
  type JsonObject,
  type Kept,
  listOf,
  numberOf,
  objectOf,
  present,
  projectMeta,
  stringOf,
} from '../../kube/objects.ts';
import { isQuantity } from '../../kube/quantity.ts';
import { type HookSpec, readHook } from '../../triggers/hookspec.ts';
import { RANG_ANNOTATION, RUN_AT_ANNOTATION, TOLD_ANNOTATION } from '../../triggers/names.ts';

/** `maxHistory` for shapes that have no such field. */
export const MAX_HISTORY_ANNOTATION = 'pipeline.jquad.rocks/max-history';

/** `spec.pipeline`: releases 0.1.x and 0.2.x. */
export interface PipelineFields {
  readonly name: string;
  readonly serviceAccountName?: string;
  readonly inputParams: readonly { readonly name: string; readonly value: string }[];
  readonly workspace?: { readonly name: string; readonly size: string; readonly accessMode: string };
  /** Of 0.2.x. */
  readonly securityContext?: { readonly runAsUser?: number; readonly runAsGroup?: number; readonly fsGroup?: number };
}

/** What runs are made from. `pipelineRunSpec` is of 0.3.x, `pipelineRun` of 0.5.0 and later. */
export type Template =
  | { readonly shape: 'pipeline'; readonly pipeline: PipelineFields }
  | { readonly shape: 'pipelineRunSpec'; readonly apiVersion?: string; readonly spec: JsonObject }
  | { readonly shape: 'pipelineRun'; readonly pipelineRun: JsonObject };

/** `credentialsRef`, or `managedCredentialRef`. */
export interface CredentialRef {
  readonly name: string;
  /** Absent: the trigger's own. */
  readonly namespace?: string;
}

/** The spec, once nothing is wrong with it. */
export interface TriggerSpec {
  readonly source: { readonly apiVersion?: string; readonly kind: SourceKind; readonly name: string };
  readonly template: Template;
  readonly credential?: CredentialRef;
  readonly suspend: boolean;
  /** How many runs may follow the first when it fails. */
  readonly retries: number;
  /** How many runs to keep; absent: all. */
  readonly maxHistory?: number;
  readonly hook: HookSpec;
}

/** A spec that is wrong, as far as it can be told what it is about. */
export interface MistakenSpec {
  /** Sentences that each name a field. */
  readonly mistakes: readonly string[];
  /** Whether it has `spec.pipeline`. */
  readonly hasPipeline: boolean;
  /** As they stand there; '' where nothing does. */
  readonly source: { readonly kind: string; readonly name: string };
}

/** A PipelineTrigger, projected. */
export interface PipelineTrigger extends Kept {
  readonly generation: number;
  readonly spec: TriggerSpec | MistakenSpec;
  /** The value of `rungate.dev/runAt`. */
  readonly runAt?: string;
  /** The value of `rungate.dev/rang`. */
  readonly rang?: string;
  /** The value of `rungate.dev/event`. */
  readonly told?: string;
  /** `status` as it was sent: what we know of it, and what others wrote. */
  readonly status: JsonObject;
}

const ACCESS_MODES = ['ReadWriteOnce', 'ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOncePod'];

/** Keeps of a PipelineTrigger what its controller needs. Never throws. */
export function projectTrigger(raw: JsonObject): PipelineTrigger {
  const meta = projectMeta(raw, [RUN_AT_ANNOTATION, RANG_ANNOTATION, TOLD_ANNOTATION, MAX_HISTORY_ANNOTATION]);
  return {
    meta,
    generation: numberOf(objectOf(raw.metadata).generation) ?? 0,
    spec: readSpec(objectOf(raw.spec), meta.namespace, meta.annotations[MAX_HISTORY_ANNOTATION]),
    ...present({
      runAt: meta.annotations[RUN_AT_ANNOTATION] || undefined,
      rang: meta.annotations[RANG_ANNOTATION] || undefined,
      told: meta.annotations[TOLD_ANNOTATION] || undefined,
    }),
    status: objectOf(raw.status),
  };
}

/** What is told of a spec with more mistakes than anybody reads. */
const MOST_MISTAKES = 20;

/** Whether it is of releases 0.1.x and 0.2.x, those with `spec.pipeline`: conditions, Events and names have a form of their own there. */
export function isOfFirstReleases(spec: TriggerSpec | MistakenSpec): boolean {
  return 'mistakes' in spec ? spec.hasPipeline : spec.template.shape === 'pipeline';
}

/** The Pipeline that a template names in its own namespace; undefined where it names none, or leaves finding it to a resolver. */
export function pipelineOf(template: Template): string | undefined {
  if (template.shape === 'pipeline') return template.pipeline.name;
  const spec = template.shape === 'pipelineRun' ? objectOf(template.pipelineRun.spec) : template.spec;
  const { name, resolver, bundle } = objectOf(spec.pipelineRef);
  if (typeof name !== 'string' || name === '') return undefined;
  return resolver === undefined && bundle === undefined ? name : undefined;
}

/** A name for what is wrong while reading on: every mistake is told, not only the first. */
type Wrong = (sentence: string) => undefined;

function readSpec(spec: JsonObject, namespace: string, maxHistory: string | undefined): PipelineTrigger['spec'] {
  const mistakes: string[] = [];
  const wrong: Wrong = (sentence) => {
    if (mistakes.length < MOST_MISTAKES) mistakes.push(sentence);
    return undefined;
  };
  const source = readSource(objectOf(spec.source), wrong);
  const template = readTemplate(spec, namespace, wrong);
  const pipeline = objectOf(spec.pipeline);
  const history =
    maxHistory === undefined
      ? wholeNumber(pipeline.maxHistory, 'spec.pipeline.maxHistory', wrong)
      : wholeNumber(
          /^\d{1,6}$/.test(maxHistory) ? Number(maxHistory) : maxHistory,
          `annotation ${MAX_HISTORY_ANNOTATION}`,
          wrong,
          100_000,
        );
  const retries = readRetries(pipeline, wrong);
  const credential = readCredential(spec, wrong);
  const hook = readHook(spec.hook, source?.kind ?? '', wrong);
  if (source === undefined || template === undefined || mistakes.length > 0) {
    const { kind, name } = objectOf(spec.source);
    return {
      mistakes,
      hasPipeline: spec.pipeline !== undefined,
      source: { kind: stringOf(kind) ?? '', name: stringOf(name) ?? '' },
    };
  }
  return {
    source,
    template,
    suspend: spec.suspend === true,
    retries,
    hook,
    ...present({ credential, maxHistory: history }),
  };
}

function readSource(source: JsonObject, wrong: Wrong): TriggerSpec['source'] | undefined {
  const kind = SOURCE_KINDS.find((each) => each === source.kind);
  const name = stringOf(source.name);
  const apiVersion = stringOf(source.apiVersion);
  if (kind === undefined) wrong(`spec.source.kind is ${shown(source.kind)}; write one of ${SOURCE_KINDS.join(', ')}`);
  if (name === undefined) wrong('spec.source.name is missing');
  if (apiVersion !== undefined && apiVersion.split('/').length !== 2) {
    wrong(`spec.source.apiVersion is ${shown(apiVersion)}: could not split the api version of the source as expected`);
  }
  return kind && name ? { kind, name, ...present({ apiVersion }) } : undefined;
}

function readTemplate(spec: JsonObject, namespace: string, wrong: Wrong): Template | undefined {
  const given = (['pipeline', 'pipelineRun', 'pipelineRunSpec'] as const).filter((field) => spec[field] !== undefined);
  const [shape] = given;
  if (shape === undefined || given.length > 1) {
    const what =
      given.length === 0 ? 'none is there' : `${given.map((field) => `spec.${field}`).join(' and ')} are there`;
    return wrong(`${what}; write exactly one of spec.pipeline, spec.pipelineRun and spec.pipelineRunSpec`);
  }
  const value = spec[shape];
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return wrong(`spec.${shape} is no object`);
  const written = objectOf(value);
  switch (shape) {
    case 'pipeline':
      return readPipeline(written, wrong);
    case 'pipelineRun':
      return readPipelineRun(written, namespace, wrong);
    case 'pipelineRunSpec': {
      const apiVersion = stringOf(spec.tektonApiVersion);
      if (apiVersion !== undefined) requireTekton(apiVersion, 'spec.tektonApiVersion', wrong);
      return { shape, spec: written, ...present({ apiVersion }) };
    }
  }
}

function readPipelineRun(pipelineRun: JsonObject, namespace: string, wrong: Wrong): Template {
  const { kind, apiVersion, metadata, spec } = pipelineRun;
  if (kind !== 'PipelineRun') wrong(`spec.pipelineRun.kind is ${shown(kind)}; write PipelineRun`);
  requireTekton(apiVersion, 'spec.pipelineRun.apiVersion', wrong);
  const own = objectOf(metadata).namespace;
  if (own !== undefined && own !== '' && own !== namespace) {
    wrong('spec.pipelineRun.metadata.namespace not supported: runs are made in the namespace of their trigger');
  }
  if (typeof spec !== 'object' || spec === null || Array.isArray(spec)) wrong('spec.pipelineRun.spec is missing');
  return { shape: 'pipelineRun', pipelineRun };
}

function requireTekton(apiVersion: Json | undefined, field: string, wrong: Wrong): void {
  const parts = typeof apiVersion === 'string' ? apiVersion.split('/') : [];
  if (parts.length !== 2) {
    wrong(`${field} is ${shown(apiVersion)}: could not split the api version of the pipelinerun as expected`);
  } else if (parts[0] !== 'tekton.dev') {
    wrong(`${field} is ${shown(apiVersion)}; write tekton.dev/v1`);
  }
}

function readPipeline(pipeline: JsonObject, wrong: Wrong): Template | undefined {
  const name = stringOf(pipeline.name);
  if (name === undefined) wrong('spec.pipeline.name is missing');
  const inputParams = listOf(pipeline.inputParams).map((entry, place) => {
    const { name: param, value } = objectOf(entry);
    if (typeof param !== 'string' || param === '') wrong(`spec.pipeline.inputParams[${place}].name is missing`);
    if (typeof value !== 'string')
      wrong(`spec.pipeline.inputParams[${place}].value is ${shown(value)}; write a string`);
    return { name: String(param), value: String(value) };
  });
  const workspace = readWorkspace(pipeline.workspace, wrong);
  const security = objectOf(pipeline.securityContext);
  const { runAsUser, runAsGroup, fsGroup } = security;
  const securityContext =
    pipeline.securityContext === undefined
      ? undefined
      : present({
          runAsUser: numberOf(runAsUser),
          runAsGroup: numberOf(runAsGroup),
          fsGroup: numberOf(fsGroup),
        });
  if (name === undefined) return undefined;
  return {
    shape: 'pipeline',
    pipeline: {
      name,
      inputParams,
      ...present({ serviceAccountName: stringOf(pipeline.serviceAccountName), workspace, securityContext }),
    },
  };
}

function readWorkspace(value: Json | undefined, wrong: Wrong): PipelineFields['workspace'] {
  if (value === undefined || value === null) return undefined;
  const { name, size, accessMode } = objectOf(value);
  const field = 'spec.pipeline.workspace';
  if (typeof name !== 'string' || name === '') wrong(`${field}.name is missing`);
  if (typeof size !== 'string' || !isQuantity(size)) {
    wrong(`${field}.size is ${shown(size)}; write a quantity such as 1Gi`);
  }
  if (typeof accessMode !== 'string' || !ACCESS_MODES.includes(accessMode)) {
    wrong(`${field}.accessMode is ${shown(accessMode)}; write one of ${ACCESS_MODES.join(', ')}`);
  }
  return { name: String(name), size: String(size), accessMode: String(accessMode) };
}

/** How many runs may follow the first: `retries` counts them, `maxFailedRetries` counts the first as well. */
function readRetries(pipeline: JsonObject, wrong: Wrong): number {
  const retries = wholeNumber(pipeline.retries, 'spec.pipeline.retries', wrong);
  const all = wholeNumber(pipeline.maxFailedRetries, 'spec.pipeline.maxFailedRetries', wrong);
  if (retries !== undefined && all !== undefined) {
    wrong('spec.pipeline.retries and spec.pipeline.maxFailedRetries are both there; write one of them');
  }
  return retries ?? (all === undefined ? 0 : all - 1);
}

function readCredential(spec: JsonObject, wrong: Wrong): CredentialRef | undefined {
  const given = (['credentialsRef', 'managedCredentialRef'] as const).filter((field) => spec[field] !== undefined);
  const [field] = given;
  if (field === undefined) return undefined;
  if (given.length > 1)
    return wrong('spec.credentialsRef and spec.managedCredentialRef are both there; write one of them');
  const { name, namespace } = objectOf(spec[field]);
  if (typeof name !== 'string' || name === '') return wrong(`spec.${field}.name is missing`);
  return { name, ...present({ namespace: stringOf(namespace) }) };
}

function wholeNumber(value: Json | undefined, field: string, wrong: Wrong, most = 10): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= most) return value;
  return wrong(`${field} is ${shown(value)}; write a whole number from 1 to ${most}`);
}

/** A value as JSON shows it, no longer than a line; of a list or an object only that it is one. */
function shown(value: Json | undefined): string {
  if (value === undefined) return 'missing';
  // What is nested deeply enough cannot be made into text at all.
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object';
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
