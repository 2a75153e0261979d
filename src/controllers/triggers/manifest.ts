/**
 * The PipelineRun of an event: its name, what it carries to be found again, and its spec as the trigger has it, in the version of
 * Tekton's API that the cluster serves. Pure.
 */
import { createHash } from 'node:crypto';
import { Fault } from '../../fault.ts';
import { type Json, type JsonObject, objectOf, present, stringOf } from '../../kube/objects.ts';
import { EVENT_KEY_ANNOTATION, TRIGGER_LABEL } from '../../tekton/project.ts';
import { EVENT_ID_LABEL } from '../../tekton/trigger.ts';
import type { PipelineRun } from '../../tekton/types.ts';
import { labelValue, TRIGGER_API_VERSION, TRIGGER_GROUP, TRIGGER_KIND } from '../../triggers/names.ts';
import type { Shown, TriggerEvent } from './event.ts';
import { resolveParams } from './params.ts';
import type { PipelineFields, PipelineTrigger, Template } from './resource.ts';

/** Which run of which event is meant: what is written down before it is created. */
export interface Intent {
  /** Which event of the trigger it is, from 1. */
  readonly sequence: number;
  /** How many runs of the event came before. */
  readonly attempt: number;
  /** How many names were found to be taken by others. */
  readonly salt: number;
}

/** What else a run depends on. */
export interface RunGround {
  /** Whether the cluster serves `tekton.dev/v1`; else the run is of v1beta1. */
  readonly tektonV1: boolean;
  /** What the trigger's ManagedCredential gives. */
  readonly credential?: { readonly serviceAccountName?: string; readonly secretName?: string };
  /** Of the request that asked for it. */
  readonly eventId?: string;
}

/** A run to create. */
export interface BuiltRun {
  /** Of the collection to create it in. */
  readonly path: string;
  readonly object: JsonObject;
  /** The template names its runs itself, so that there can only be one at a time: another salt gives the same name. */
  readonly isFixed: boolean;
}

/** What the annotation `event-key` holds: equal for one attempt at one event of one trigger, and for nothing else. */
export function eventKey(triggerUid: string, sequence: number, attempt: number): string {
  return `${triggerUid}/${sequence}/${attempt}`;
}

/**
 * The run's name: the template's, or one that follows from the trigger's uid and the intent, so that asking twice gives the same
 * name. A derived name is a DNS-1123 subdomain of at most 63 characters, the most that Tekton takes. Throws `bad-request` for a
 * trigger with mistakes.
 */
export function runName(trigger: PipelineTrigger, event: TriggerEvent, intent: Intent): string {
  const template = templateOf(trigger);
  const { uid, name } = trigger.meta;
  const seed = `${eventKey(uid, intent.sequence, intent.attempt)}/${intent.salt}`;
  if (template.shape === 'pipeline') return `${stem(name, 4)}-${suffix(seed, LETTERS, 4)}`;
  const fixed = fixedName(template);
  if (fixed !== undefined) return fixed;
  const prefix = dnsText(stringOf(metadataOf(template).generateName) ?? '').slice(0, MOST_OF_NAME - 5);
  if (prefix !== '') return `${prefix}${suffix(seed, UNSPEAKABLE, 5)}`;
  const { shown } = event;
  const said = stem(shown.as === 'image' ? shown.imageName : shown.branchName, 5);
  return `${said || stem(name, 5)}-${suffix(seed, UNSPEAKABLE, 5)}`;
}

/**
 * The run to create. The template is copied, and is as the trigger has it but for the parameters, what has another place in the
 * version that is served, and what a credential adds. The same arguments make the same run. Throws `bad-request` with a sentence
 * that names the field or the parameter; nothing that is given is changed.
 */
export function buildRun(
  trigger: PipelineTrigger,
  event: TriggerEvent,
  intent: Intent,
  { tektonV1, credential, eventId }: RunGround,
): BuiltRun {
  const template = templateOf(trigger);
  const apiVersion = tektonV1 ? 'tekton.dev/v1' : 'tekton.dev/v1beta1';
  const { spec: _spec, ...around } = template.shape === 'pipelineRun' ? template.pipelineRun : {};
  const rest = copyOf(around, 'spec.pipelineRun');
  const spec = placed(specOf(template, event), tektonV1);
  return {
    isFixed: fixedName(template) !== undefined,
    path: `/apis/${apiVersion}/namespaces/${encodeURIComponent(trigger.meta.namespace)}/pipelineruns`,
    object: {
      ...rest,
      apiVersion,
      kind: 'PipelineRun',
      metadata: runMetadata(trigger, event, intent, eventId, objectAt(rest.metadata, 'spec.pipelineRun.metadata')),
      spec: credential === undefined ? spec : withCredential(spec, credential, tektonV1),
    },
  };
}

function templateOf({ spec }: PipelineTrigger): Template {
  if ('mistakes' in spec) throw new Fault('bad-request', spec.mistakes.join('; '));
  return spec.template;
}

function metadataOf(template: Template): JsonObject {
  return template.shape === 'pipelineRun' ? objectOf(template.pipelineRun.metadata) : {};
}

function fixedName(template: Template): string | undefined {
  return stringOf(metadataOf(template).name);
}

const MOST_OF_NAME = 63;
const NAME = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;
const LETTERS = 'abcdefghijklmnopqrstuvwxyz';
// As Kubernetes' own generated names: without vowels, and what looks like them, nothing rude comes out.
const UNSPEAKABLE = 'bcdfghjklmnpqrstvwxz2456789';

/** `text` in the characters of a DNS-1123 subdomain, beginning as one does. It may end in a dash or a dot. */
function dnsText(text: string): string {
  return text
    .slice(0, 4 * MOST_OF_NAME) // more would be cut anyway, and a prefix may be as long as an object
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, '-')
    .replace(/[.-]*\.[.-]*/g, '.')
    .replace(/^[.-]+/, '');
}

/** What stands before the dash and `size` characters of a derived name; '' if nothing of `text` can. */
function stem(text: string, size: number): string {
  return dnsText(text)
    .slice(0, MOST_OF_NAME - 1 - size)
    .replace(/[.-]+$/, '');
}

function suffix(seed: string, alphabet: string, size: number): string {
  const hash = createHash('sha256').update(seed).digest();
  return Array.from({ length: size }, (_, place) => alphabet[hash.readUInt32BE(place * 4) % alphabet.length]).join('');
}

function runMetadata(
  trigger: PipelineTrigger,
  event: TriggerEvent,
  intent: Intent,
  eventId: string | undefined,
  given: JsonObject,
): JsonObject {
  const { name: triggerName, namespace, uid } = trigger.meta;
  const { generateName, ...rest } = given;
  const field = 'spec.pipelineRun.metadata';
  const name = runName(trigger, event, intent);
  if (name.length > MOST_OF_NAME || !NAME.test(name)) {
    throw new Fault(
      'bad-request',
      `${field}.name is no name for a run; write at most ${MOST_OF_NAME} small letters, digits, dashes and dots`,
    );
  }
  const owners = listAt(rest.ownerReferences, `${field}.ownerReferences`);
  if (owners.some((owner) => objectOf(owner).controller === true)) {
    throw new Fault('bad-request', `${field}.ownerReferences has a controller; runs are controlled by their trigger`);
  }
  return {
    ...rest,
    name,
    namespace,
    labels: {
      ...objectAt(rest.labels, `${field}.labels`),
      [TRIGGER_LABEL]: labelValue(triggerName),
      ...eventLabels(templateOf(trigger), event.shown),
      ...present({ [EVENT_ID_LABEL]: eventId }),
    },
    annotations: {
      ...objectAt(rest.annotations, `${field}.annotations`),
      ...eventAnnotations(event),
      // The label of a long name would not say whose run this is where nothing owns it.
      [TRIGGER_LABEL]: triggerName,
      [EVENT_KEY_ANNOTATION]: eventKey(uid, intent.sequence, intent.attempt),
    },
    ownerReferences: [
      ...owners,
      {
        apiVersion: TRIGGER_API_VERSION,
        kind: TRIGGER_KIND,
        name: triggerName,
        uid,
        controller: true,
        blockOwnerDeletion: true,
      },
    ],
  };
}

/** The labels that the original sets for the shape and the source, those of them that have a value. */
function eventLabels({ shape }: Template, shown: Shown): Readonly<Record<string, string>> {
  switch (shown.as) {
    case 'repository':
      return shape === 'pipeline'
        ? labels({ branch: shown.branchName, commit: shown.commitId })
        : labels({
            'git.repository.branch.name': shown.branchName,
            'git.repository.branch.commit': shown.commitId,
          });
    case 'pullRequest':
      return labels({ 'pr.branch.name': shown.branchName, 'pr.branch.commit': shown.commitId });
    case 'image':
      return labels({ 'ip.image.name': shown.imageName, 'ip.image.version': shown.imageVersion });
  }
}

/** The labels of `eventLabels` that tell one event from the next of the same branch or image. */
const OF_THE_EVENT = ['commit', 'git.repository.branch.commit', 'pr.branch.commit', 'ip.image.version'].map(
  (key) => `${TRIGGER_GROUP}/${key}`,
);

/**
 * The run that the original operator has created for an event and not written down, because it was replaced in between: the newest
 * of the trigger's runs for that branch or image, if its labels tell of this event and it is none of ours. Undefined: there is none.
 */
export function unrecordedRun(
  trigger: PipelineTrigger,
  { shown, identity }: TriggerEvent,
  runs: readonly PipelineRun[],
): PipelineRun | undefined {
  const wanted = Object.entries(eventLabels(templateOf(trigger), shown));
  // The original runs for no failure, whose labels are those of the revision that did not come to be.
  if (identity.startsWith('failure ') || !wanted.some(([key]) => OF_THE_EVENT.includes(key))) return undefined;
  const standing = wanted.filter(([key]) => !OF_THE_EVENT.includes(key));
  const has =
    ({ meta }: PipelineRun) =>
    ([key, value]: readonly [string, string]) =>
      meta.labels[key] === value;
  const peers = runs.filter((run) => standing.every(has(run)));
  // Times have whole seconds: of two in one second it is not known which is newer.
  const [newest, next] = peers.toSorted((one, other) => (one.meta.created < other.meta.created ? 1 : -1));
  if (newest === undefined || newest.meta.created === next?.meta.created) return undefined;
  return newest.meta.annotations[EVENT_KEY_ANNOTATION] === undefined && wanted.every(has(newest)) ? newest : undefined;
}

function labels(values: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const entries = Object.entries(values).map(([key, value]) => [`${TRIGGER_GROUP}/${key}`, labelValue(value)] as const);
  return Object.fromEntries(entries.filter(([, value]) => value !== ''));
}

/** The exact values, of which labels hold only what a label may. */
function eventAnnotations({ raw, shown }: TriggerEvent): Readonly<Record<string, string>> {
  const exact = shown.as === 'image' ? {} : { branch: shown.branchName, commit: shown.commitId };
  const entries = Object.entries({ ...exact, event: raw }).filter(([, value]) => value !== '');
  return Object.fromEntries(entries.map(([key, value]) => [`${TRIGGER_GROUP}/${key}`, value]));
}

/** The spec as the trigger's shape has it, with its parameters resolved. */
function specOf(template: Template, event: TriggerEvent): JsonObject {
  if (template.shape === 'pipeline') return pipelineSpec(template.pipeline, event);
  const [written, field] =
    template.shape === 'pipelineRun'
      ? [objectOf(template.pipelineRun.spec), 'spec.pipelineRun.spec']
      : [template.spec, 'spec.pipelineRunSpec'];
  const spec = copyOf(written, field);
  return spec.params === undefined ? spec : { ...spec, params: resolveParams(spec.params, event, 'jsonpath') };
}

/** Written as v1beta1 has it. A security context holds what the trigger says and no more: 0 would be root. */
function pipelineSpec(pipeline: PipelineFields, event: TriggerEvent): JsonObject {
  const { name, serviceAccountName, inputParams, workspace, securityContext } = pipeline;
  const params = inputParams.length === 0 ? undefined : resolveParams(inputParams.map(copied), event, 'variables');
  const hasContext = securityContext !== undefined && Object.keys(securityContext).length > 0;
  return {
    pipelineRef: { name },
    ...present({
      serviceAccountName,
      params,
      podTemplate: hasContext ? { securityContext: { ...securityContext } } : undefined,
      workspaces: workspace === undefined ? undefined : [claim(workspace)],
    }),
  };
}

function copied(param: PipelineFields['inputParams'][number]): JsonObject {
  return { name: param.name, value: param.value };
}

function claim({ name, size, accessMode }: NonNullable<PipelineFields['workspace']>): JsonObject {
  const spec = { accessModes: [accessMode], resources: { requests: { storage: size } } };
  return { name, volumeClaimTemplate: { spec } };
}

/** A field that v1 renamed, and those that it renamed in the entries of its list. */
interface Renaming {
  readonly v1beta1: string;
  readonly v1: string;
  readonly entries?: readonly Renaming[];
}

const OVERRIDE: readonly Renaming[] = [{ v1beta1: 'resources', v1: 'computeResources' }];

/** In an entry of `taskRunSpecs`. https://tekton.dev/docs/pipelines/migrating-v1beta1-to-v1/ */
const TASK_RUN_SPEC: readonly Renaming[] = [
  { v1beta1: 'taskServiceAccountName', v1: 'serviceAccountName' },
  { v1beta1: 'taskPodTemplate', v1: 'podTemplate' },
  { v1beta1: 'stepOverrides', v1: 'stepSpecs', entries: OVERRIDE },
  { v1beta1: 'sidecarOverrides', v1: 'sidecarSpecs', entries: OVERRIDE },
];

/** The spec with each field where the served version has it. Where a field is in both places, the served version's own counts. */
function placed(spec: JsonObject, tektonV1: boolean): JsonObject {
  const taskRunSpecs = renamedAll(spec.taskRunSpecs, TASK_RUN_SPEC, tektonV1);
  if (!tektonV1) {
    const { taskRunTemplate, ...rest } = spec;
    const { serviceAccountName, podTemplate } = objectOf(taskRunTemplate);
    return { ...present({ serviceAccountName, podTemplate }), ...rest, ...present({ taskRunSpecs }) };
  }
  const { serviceAccountName, podTemplate, timeout, ...rest } = spec;
  const ofTaskRuns = present({ serviceAccountName, podTemplate });
  const ofTime = present({ pipeline: timeout });
  return {
    ...rest,
    ...present({
      taskRunSpecs,
      taskRunTemplate: merged(ofTaskRuns, rest.taskRunTemplate),
      timeouts: merged(ofTime, rest.timeouts),
    }),
  };
}

/** `moved` below what stands at its new place; that alone, whatever it is, when nothing was moved. */
function merged(moved: JsonObject, there: Json | undefined): Json | undefined {
  return Object.keys(moved).length === 0 ? there : { ...moved, ...objectOf(there) };
}

function renamedAll(list: Json | undefined, renamings: readonly Renaming[], tektonV1: boolean): Json | undefined {
  return Array.isArray(list) ? list.map((entry: Json) => renamed(entry, renamings, tektonV1)) : list;
}

function renamed(entry: Json, renamings: readonly Renaming[], tektonV1: boolean): Json {
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) return entry;
  const [from, to] = tektonV1 ? (['v1beta1', 'v1'] as const) : (['v1', 'v1beta1'] as const);
  const fields = objectOf(entry);
  return Object.fromEntries(
    Object.entries(fields).flatMap(([key, value]) => {
      const renaming = renamings.find((each) => each[from] === key);
      if (renaming === undefined) return [[key, value]];
      if (Object.hasOwn(fields, renaming[to])) return [];
      return [[renaming[to], renamedAll(value, renaming.entries ?? [], tektonV1)]];
    }),
  );
}

/** The credential's service account takes the place of the template's; its secret comes after the template's workspaces. */
function withCredential(
  spec: JsonObject,
  { serviceAccountName, secretName }: NonNullable<RunGround['credential']>,
  tektonV1: boolean,
): JsonObject {
  const account = present({ serviceAccountName });
  const workspaces = listAt(spec.workspaces, 'workspaces of the template');
  // A workspace of that name which the template binds itself is what its author wants.
  const isBound = workspaces.some((workspace) => objectOf(workspace).name === secretName);
  return {
    ...spec,
    ...(tektonV1
      ? present({ taskRunTemplate: serviceAccountName && { ...objectOf(spec.taskRunTemplate), ...account } })
      : account),
    ...(secretName === undefined || isBound
      ? {}
      : { workspaces: [...workspaces, { name: secretName, secret: { secretName } }] }),
  };
}

/** Deeper than anything Tekton has, and shallow enough for every recursion that follows. */
const DEEPEST = 100;

function copyOf(object: JsonObject, field: string): JsonObject {
  const copy = (value: Json, depth: number): Json => {
    if (typeof value !== 'object' || value === null) return value;
    if (depth > DEEPEST) throw new Fault('bad-request', `${field} is nested deeper than ${DEEPEST} levels`);
    if (Array.isArray(value)) return value.map((item: Json) => copy(item, depth + 1));
    return Object.fromEntries(
      Object.entries(objectOf(value)).map(([key, item]) => [key, copy(item ?? null, depth + 1)]),
    );
  };
  return objectOf(copy(object, 0));
}

function objectAt(value: Json | undefined, field: string): JsonObject {
  if (value === undefined || value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw new Fault('bad-request', `${field} is no object`);
  return objectOf(value);
}

function listAt(value: Json | undefined, field: string): readonly Json[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new Fault('bad-request', `${field} is no list`);
  return value;
}
