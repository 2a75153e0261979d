/**
 * The objects of Tekton Triggers, read into small values of one shape, whichever version and habit they are written in: `template.name`
 * and `template.ref`, a block named `cel` and an interceptor named so, a binding that is only a name, maps that are there and empty. What is
 * wrong with one is kept with it, so that it stops the trigger that it belongs to and nothing else. Pure.
 * https://tekton.dev/docs/triggers/triggers-api/
 */
import {
  type Json,
  type JsonObject,
  type Kept,
  listOf,
  objectOf,
  projectMeta,
  stringOf,
  stringsOf,
} from '../../kube/objects.ts';
import type { BoundParam, DeclaredParam } from './bindings.ts';
import { DOMAIN } from './identity.ts';
import { type Interceptor, readInterceptor } from './interceptors.ts';

/** The group of Tekton Triggers. */
export const TRIGGERS_GROUP = 'triggers.tekton.dev';

/** The kinds that are read, each with the resource that it is served as. Their newest version comes first. */
export const LISTENER_KINDS = {
  EventListener: 'eventlisteners',
  Trigger: 'triggers',
  TriggerBinding: 'triggerbindings',
  ClusterTriggerBinding: 'clustertriggerbindings',
  TriggerTemplate: 'triggertemplates',
} as const;

/** The versions that are read, the newest first. */
export const LISTENER_VERSIONS: readonly string[] = ['v1beta1', 'v1alpha1'];

/** A kind of Tekton Triggers. */
export type ListenerKind = keyof typeof LISTENER_KINDS;

/** What our own annotations on an EventListener say. */
export const ANNOTATIONS = {
  /** The Secret that opens its hook. */
  secret: `${DOMAIN}/hook-secret`,
  /** `"true"`: events that tell no revision make runs as well. */
  allowWithoutRevision: `${DOMAIN}/allow-without-revision`,
  /** `reject`: a value with `$(` makes no run; else it is written as `$$(`. */
  dollar: `${DOMAIN}/dollar`,
  /** `rerun`: a source that comes back to a revision makes another run; else it does not. */
  onRepeat: `${DOMAIN}/on-repeat`,
  /** `content`: what is stored counts as well as its revision. */
  identity: `${DOMAIN}/identity`,
  /** `"true"`: nothing runs. */
  suspend: `${DOMAIN}/suspend`,
} as const;

/** An EventListener. Of a Trigger that it has inline, `field` is where it stands. */
export interface EventListenerObject extends Kept {
  readonly kind: 'EventListener';
  readonly serviceAccount: string | undefined;
  readonly triggers: readonly ListedTrigger[];
  readonly namespaces: readonly string[];
  /** Undefined: it selects no Triggers by their labels. */
  readonly labels: LabelSelector | undefined;
  /** Fields that do nothing here, and which somebody may miss. */
  readonly notes: readonly string[];
}

/** One entry of `spec.triggers`. */
export type ListedTrigger =
  | { readonly is: 'inline'; readonly field: string; readonly name: string | undefined; readonly spec: TriggerSpec }
  | { readonly is: 'ref'; readonly field: string; readonly ref: string };

/** A Trigger. */
export interface TriggerObject extends Kept {
  readonly kind: 'Trigger';
  readonly spec: TriggerSpec;
}

/** What a trigger does, inline or of its own. */
export interface TriggerSpec {
  readonly serviceAccount: string | undefined;
  readonly interceptors: readonly Interceptor[];
  readonly bindings: readonly BindingRef[];
  /** By its name in the namespace of the trigger, or written out. */
  readonly template: string | TemplateSpec | undefined;
  /** Each names its field. */
  readonly mistakes: readonly string[];
}

/** Where parameters come from. */
export type BindingRef =
  | { readonly is: 'param'; readonly param: BoundParam }
  | {
      readonly is: 'ref';
      readonly field: string;
      readonly kind: 'TriggerBinding' | 'ClusterTriggerBinding';
      readonly name: string;
    };

/** A TriggerBinding or ClusterTriggerBinding. */
export interface BindingObject extends Kept {
  readonly kind: 'TriggerBinding' | 'ClusterTriggerBinding';
  readonly params: readonly BoundParam[];
  readonly mistakes: readonly string[];
}

/** A TriggerTemplate. */
export interface TemplateObject extends Kept {
  readonly kind: 'TriggerTemplate';
  readonly spec: TemplateSpec;
}

/** What a template makes, and of which parameters. */
export interface TemplateSpec {
  readonly params: readonly DeclaredParam[];
  readonly resources: readonly Json[];
  readonly mistakes: readonly string[];
}

/** Which labels an object must have. https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors */
export type LabelSelector = readonly LabelRequirement[];

/** One of the things that labels must be. */
export interface LabelRequirement {
  readonly key: string;
  /** As it is written, which need not be one that exists: then no labels fit. */
  readonly operator: string;
  readonly values: readonly string[];
}

/** Any of them. */
export type ListenerObject = EventListenerObject | TriggerObject | BindingObject | TemplateObject;

/** What each kind is kept as. */
export interface ListenerObjectOf {
  readonly EventListener: EventListenerObject;
  readonly Trigger: TriggerObject;
  readonly TriggerBinding: BindingObject;
  readonly ClusterTriggerBinding: BindingObject;
  readonly TriggerTemplate: TemplateObject;
}

/** Which kind an object is of, if it is one of Tekton Triggers in a version that is read. */
export function listenerKindOf({ apiVersion, kind }: JsonObject): ListenerKind | undefined {
  const isRead = LISTENER_VERSIONS.some((version) => apiVersion === `${TRIGGERS_GROUP}/${version}`);
  return isRead && typeof kind === 'string' && isKind(kind) ? kind : undefined;
}

function isKind(kind: string): kind is ListenerKind {
  return Object.hasOwn(LISTENER_KINDS, kind);
}

/** Keeps of an object what a listener needs. Never throws: what is malformed reads as absent, or as a mistake. */
export function projectListenerObject<K extends ListenerKind>(kind: K, raw: JsonObject): ListenerObjectOf[K] {
  const spec = objectOf(raw.spec);
  // The table has one projection for each kind; TypeScript does not follow the kind through it.
  return PROJECTIONS[kind](projectMeta(raw, Object.values(ANNOTATIONS)), spec) as ListenerObjectOf[K];
}

const PROJECTIONS: Readonly<Record<ListenerKind, (meta: Kept['meta'], spec: JsonObject) => ListenerObject>> = {
  EventListener: (meta, spec) => ({
    kind: 'EventListener',
    meta,
    serviceAccount: stringOf(spec.serviceAccountName),
    triggers: listOf(spec.triggers).map((entry, place) => listedTrigger(objectOf(entry), `spec.triggers[${place}]`)),
    namespaces: textsOf(objectOf(spec.namespaceSelector).matchNames),
    labels: isThere(spec.labelSelector) ? selectorOf(objectOf(spec.labelSelector)) : undefined,
    notes: notesOf(spec),
  }),
  Trigger: (meta, spec) => ({ kind: 'Trigger', meta, spec: triggerSpec(spec, 'spec') }),
  TriggerBinding: (meta, spec) => ({ kind: 'TriggerBinding', meta, ...paramsOf(spec) }),
  ClusterTriggerBinding: (meta, spec) => ({ kind: 'ClusterTriggerBinding', meta, ...paramsOf(spec) }),
  TriggerTemplate: (meta, spec) => ({ kind: 'TriggerTemplate', meta, spec: templateSpec(spec, 'spec') }),
};

function notesOf(spec: JsonObject): readonly string[] {
  const notes: string[] = [];
  if (listOf(spec.triggerGroups).length > 0) {
    notes.push(
      'spec.triggerGroups is not supported, and its triggers do not run; give each its own interceptors in spec.triggers',
    );
  }
  if (isThere(spec.resources)) notes.push('spec.resources is ignored: there is no pod of its own to shape');
  if (isThere(spec.cloudEventURI)) notes.push('spec.cloudEventURI is ignored: no CloudEvents are sent');
  return notes;
}

function listedTrigger(entry: JsonObject, field: string): ListedTrigger {
  const ref = stringOf(entry.triggerRef);
  const others = ['template', 'bindings', 'interceptors'].filter((name) => isThere(entry[name]));
  if (ref !== undefined && others.length === 0) return { is: 'ref', field, ref };
  const spec = triggerSpec(entry, field);
  const mistake = `${field} has triggerRef and ${others.join(', ')}; leave out the one or the other`;
  return {
    is: 'inline',
    field,
    name: stringOf(entry.name),
    spec: ref === undefined ? spec : { ...spec, mistakes: [mistake, ...spec.mistakes] },
  };
}

function triggerSpec(spec: JsonObject, field: string): TriggerSpec {
  const mistakes: string[] = [];
  const interceptors = listAt(spec.interceptors, `${field}.interceptors`, mistakes).flatMap((each, place) => {
    return readInterceptor(each, `${field}.interceptors[${place}]`, mistakes) ?? [];
  });
  const bindings = listAt(spec.bindings, `${field}.bindings`, mistakes).flatMap((each, place) => {
    return bindingRef(objectOf(each), `${field}.bindings[${place}]`, mistakes) ?? [];
  });
  return {
    serviceAccount: stringOf(spec.serviceAccountName),
    interceptors,
    bindings,
    template: templateRef(objectOf(spec.template), `${field}.template`, mistakes),
    mistakes,
  };
}

function bindingRef(binding: JsonObject, field: string, mistakes: string[]): BindingRef | undefined {
  const [ref, name] = [stringOf(binding.ref), stringOf(binding.name)];
  const hasValue = isThere(binding.value);
  if (ref !== undefined && (name !== undefined || hasValue)) {
    mistakes.push(`${field} has ref as well as name or value; leave out the one or the other`);
    return undefined;
  }
  if (name !== undefined && hasValue) {
    if (typeof binding.value === 'string') return { is: 'param', param: { name, value: binding.value } };
    mistakes.push(`${field}.value is no text; put it in quotes`);
    return undefined;
  }
  // Before Triggers 0.9 a reference was written as a name.
  const target = ref ?? name;
  const kind = stringOf(binding.kind) ?? 'TriggerBinding';
  if (target === undefined) mistakes.push(`${field} has neither ref nor name`);
  else if (kind !== 'TriggerBinding' && kind !== 'ClusterTriggerBinding') {
    mistakes.push(`${field}.kind must be TriggerBinding or ClusterTriggerBinding`);
  } else return { is: 'ref', field, kind, name: target };
  return undefined;
}

function templateRef(template: JsonObject, field: string, mistakes: string[]): TriggerSpec['template'] {
  const ref = stringOf(template.ref) ?? stringOf(template.name);
  if (!isThere(template.spec)) {
    if (ref === undefined) mistakes.push(`${field} has neither ref nor spec`);
    return ref;
  }
  if (ref !== undefined) mistakes.push(`${field} has ref and spec; leave out the one or the other`);
  return templateSpec(objectOf(template.spec), `${field}.spec`);
}

function templateSpec(spec: JsonObject, field: string): TemplateSpec {
  const mistakes: string[] = [];
  const params = listAt(spec.params, `${field}.params`, mistakes).map((each, place) => {
    const { name, default: value } = objectOf(each);
    const at = `${field}.params[${place}]`;
    if (stringOf(name) === undefined) mistakes.push(`${at}.name is missing`);
    if (isThere(value) && typeof value !== 'string') mistakes.push(`${at}.default is no text; put it in quotes`);
    return { name: stringOf(name) ?? '', default: typeof value === 'string' ? value : undefined };
  });
  const resources = listAt(spec.resourcetemplates ?? spec.resourceTemplates, `${field}.resourcetemplates`, mistakes);
  if (resources.length === 0) mistakes.push(`${field}.resourcetemplates is empty`);
  return { params, resources, mistakes };
}

function paramsOf(spec: JsonObject): { readonly params: readonly BoundParam[]; readonly mistakes: readonly string[] } {
  const mistakes: string[] = [];
  const params = listAt(spec.params, 'spec.params', mistakes).flatMap((each, place) => {
    const { name, value } = objectOf(each);
    const text = stringOf(name);
    if (text === undefined) mistakes.push(`spec.params[${place}].name is missing`);
    else if (typeof (value ?? '') !== 'string')
      mistakes.push(`spec.params[${place}].value is no text; put it in quotes`);
    else return [{ name: text, value: stringOf(value) ?? '' }];
    return [];
  });
  return { params, mistakes };
}

function selectorOf({ matchLabels, matchExpressions }: JsonObject): LabelSelector {
  const equal = Object.entries(stringsOf(matchLabels)).map(([key, value]) => ({
    key,
    operator: 'In',
    values: [value],
  }));
  const expressions = listOf(matchExpressions)
    .map(objectOf)
    .map(({ key, operator, values }) => ({
      key: stringOf(key) ?? '',
      operator: stringOf(operator) ?? '',
      values: textsOf(values),
    }));
  return [...equal, ...expressions];
}

function listAt(json: Json | undefined, field: string, mistakes: string[]): readonly Json[] {
  if (isThere(json) && !Array.isArray(json)) mistakes.push(`${field} is no list`);
  return listOf(json);
}

function textsOf(json: Json | undefined): readonly string[] {
  return listOf(json).filter((item) => typeof item === 'string');
}

/** A field that is there and empty in YAML is null, and the same as one that is not there. */
function isThere(json: Json | undefined): boolean {
  return json !== undefined && json !== null;
}
