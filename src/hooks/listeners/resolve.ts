/** Listeners as they are now: an EventListener with all that it names, ready to run or with what keeps each trigger from it. Pure. */
import { Fault } from '../../fault.ts';
import type { ObjectRef } from '../../kube/objects.ts';
import { type Binding, type BoundParam, type DeclaredParam, readBinding } from './bindings.ts';
import { triggerId } from './identity.ts';
import type { Interceptor } from './interceptors.ts';
import {
  ANNOTATIONS,
  type BindingObject,
  type BindingRef,
  type EventListenerObject,
  type LabelSelector,
  type TemplateObject,
  type TemplateSpec,
  type TriggerObject,
  type TriggerSpec,
} from './manifests.ts';
import { type ListenerPolicy, reaches } from './policy.ts';
import { type Dollars, type RunTemplate, readTemplate } from './template.ts';

/** An EventListener with all that it names. */
export interface Listener {
  readonly ref: ObjectRef;
  readonly uid: string;
  /** The Secret that opens its hook. */
  readonly secret: string | undefined;
  readonly options: ListenerOptions;
  /** Those that it has inline or by reference in their order, then those that it selects by namespace and name. */
  readonly triggers: readonly ListenerTrigger[];
  /** What it asks for and does not get, each in a sentence that names the field. */
  readonly notes: readonly string[];
}

/** What its annotations say. */
export interface ListenerOptions {
  readonly suspended: boolean;
  readonly allowWithoutRevision: boolean;
  readonly dollars: Dollars;
  readonly onRepeat: 'skip' | 'rerun';
  readonly identity: 'revision' | 'content';
}

/** A trigger of a listener: one that can run, or one that cannot until somebody changes something. */
export type ListenerTrigger = ReadyTrigger | BrokenTrigger;

/** A trigger that can run. */
export interface ReadyTrigger extends TriggerNames {
  readonly serviceAccount: string | undefined;
  readonly interceptors: readonly Interceptor[];
  readonly bindings: readonly Binding[];
  readonly declared: readonly DeclaredParam[];
  readonly templates: readonly RunTemplate[];
}

/** A trigger that cannot run. */
export interface BrokenTrigger extends TriggerNames {
  /** Each names the field and says what to do. */
  readonly mistakes: readonly string[];
}

interface TriggerNames {
  /** As results have it: one of another namespace with that before it. */
  readonly name: string;
  readonly ref: ObjectRef;
  /** As `triggerId` makes it. */
  readonly id: string;
}

/** What there is to refer to. */
export interface ListenerObjects {
  trigger(ref: ObjectRef): TriggerObject | undefined;
  triggers(): Iterable<TriggerObject>;
  binding(ref: ObjectRef): BindingObject | undefined;
  clusterBinding(name: string): BindingObject | undefined;
  template(ref: ObjectRef): TemplateObject | undefined;
}

/** What else decides whether a trigger can run. */
export interface ResolveGround {
  readonly policy: ListenerPolicy;
  /** What is wrong with an expression; undefined: nothing. */
  readonly mistakeIn: (expression: string) => string | undefined;
}

/**
 * Looks up all that a listener names. What is not there, or has mistakes, stops the trigger that names it and no other; a Trigger that is
 * named twice runs once. Never throws.
 */
export function resolveListener(
  listener: EventListenerObject,
  objects: ListenerObjects,
  ground: ResolveGround,
): Listener {
  const { meta, notes } = listener;
  const { namespace, name, uid, annotations } = meta;
  const selected = selectedTriggers(listener, objects, ground.policy);
  const wanted = [...listedTriggers(listener, objects), ...selected.triggers];
  const taken = new Map<string, Wanted>();
  const triggers = wanted.flatMap((each) => {
    const key = `${each.ref.namespace}/${each.ref.name}`;
    const before = taken.get(key);
    if (before === undefined) taken.set(key, each);
    // The same Trigger, referred to and selected.
    else if (before.object !== undefined && before.object === each.object) return [];
    const mistake = before && `${each.field}: there is another trigger called ${each.ref.name}; give each its own name`;
    return [resolveTrigger(mistake === undefined ? each : { ...each, found: [mistake] }, listener, objects, ground)];
  });
  return {
    ref: { namespace, name },
    uid,
    secret: annotations[ANNOTATIONS.secret] || undefined,
    options: {
      suspended: annotations[ANNOTATIONS.suspend] === 'true',
      allowWithoutRevision: annotations[ANNOTATIONS.allowWithoutRevision] === 'true',
      dollars: annotations[ANNOTATIONS.dollar] === 'reject' ? 'reject' : 'escape',
      onRepeat: annotations[ANNOTATIONS.onRepeat] === 'rerun' ? 'rerun' : 'skip',
      identity: annotations[ANNOTATIONS.identity] === 'content' ? 'content' : 'revision',
    },
    triggers,
    notes: [...notes, ...selected.notes],
  };
}

/** A trigger that a listener asks for, found or not. */
interface Wanted {
  readonly field: string;
  readonly ref: ObjectRef;
  /** The Trigger, where it is one of its own. */
  readonly object: TriggerObject | undefined;
  /** What it does, or why nothing is known of that. */
  readonly found: TriggerSpec | readonly string[];
}

const LABEL_VALUE = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;

function listedTriggers(
  { meta: { namespace }, triggers }: EventListenerObject,
  objects: ListenerObjects,
): readonly Wanted[] {
  return triggers.map((listed, place): Wanted => {
    const { field } = listed;
    if (listed.is === 'ref') {
      const ref = { namespace, name: listed.ref };
      const object = objects.trigger(ref);
      return { field, ref, object, found: object?.spec ?? [`${field}.triggerRef: there is no Trigger ${listed.ref}`] };
    }
    const name = listed.name ?? `trigger-${place + 1}`;
    const found = LABEL_VALUE.test(name) ? listed.spec : [`${field}.name is no value for a label`];
    return { field, ref: { namespace, name }, object: undefined, found };
  });
}

function selectedTriggers(
  { meta: { namespace }, namespaces, labels }: EventListenerObject,
  objects: ListenerObjects,
  { runNamespaces }: ListenerPolicy,
): { readonly triggers: readonly Wanted[]; readonly notes: readonly string[] } {
  if (namespaces.length === 0 && labels === undefined) return { triggers: [], notes: [] };
  const isEvery = namespaces.length === 1 && namespaces[0] === '*';
  const asked = namespaces.length === 0 ? [namespace] : namespaces;
  const isAllowed = (other: string) => reaches(runNamespaces, namespace, other);
  const found = [...objects.triggers()]
    .filter(({ meta }) => (isEvery || asked.includes(meta.namespace)) && isAllowed(meta.namespace))
    .filter(({ meta }) => labels === undefined || fits(labels, meta.labels))
    .sort((one, other) => compare(placeOf(one), placeOf(other)));
  const refused = isEvery ? [] : asked.filter((other) => !isAllowed(other));
  return {
    triggers: found.map((object) => {
      const { meta, spec } = object;
      const ref = { namespace: meta.namespace, name: meta.name };
      return { field: `Trigger ${placeOf(object)}`, ref, object, found: spec };
    }),
    notes: refused.map((other) => `spec.namespaceSelector: no policy lets this listener use the triggers of ${other}`),
  };
}

function placeOf({ meta }: TriggerObject): string {
  return `${meta.namespace}/${meta.name}`;
}

function compare(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}

function fits(selector: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  return selector.every(({ key, operator, values }) => {
    const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
    switch (operator) {
      case 'In':
        return value !== undefined && values.includes(value);
      case 'NotIn':
        return value === undefined || !values.includes(value);
      case 'Exists':
        return value !== undefined;
      case 'DoesNotExist':
        return value === undefined;
      default:
        return false;
    }
  });
}

function resolveTrigger(
  wanted: Wanted,
  listener: EventListenerObject,
  objects: ListenerObjects,
  ground: ResolveGround,
): ListenerTrigger {
  const { field, ref, found } = wanted;
  const { namespace } = listener.meta;
  const isForeign = ref.namespace !== namespace;
  const names: TriggerNames = {
    name: isForeign ? `${ref.namespace}/${ref.name}` : ref.name,
    ref,
    id: triggerId(listener.meta, ref),
  };
  if (isMistakes(found)) return { ...names, mistakes: found };

  const mistakes = [...found.mistakes, ...celMistakes(found.interceptors, ground)];
  // The one of the listener is in its own namespace, and rungate itself may do more than either.
  const serviceAccount = found.serviceAccount ?? (isForeign ? undefined : listener.serviceAccount);
  if (isForeign && serviceAccount === undefined) {
    mistakes.push(
      `${field}: spec.serviceAccountName is missing, which a trigger needs to run for a listener of another namespace`,
    );
  }
  const bindings = readBindings(boundParams(found.bindings, ref.namespace, objects, mistakes), field, mistakes);
  const template = templateOf(found.template, ref.namespace, field, objects, mistakes);
  const templates = (template?.spec.resources ?? []).flatMap((json, place) => {
    const at = { field: `${template?.field}.resourcetemplates[${place}]`, triggerNamespace: ref.namespace };
    return readTemplate(json, { ...at, listenerNamespace: namespace, policy: ground.policy }, mistakes) ?? [];
  });
  const declared = template?.spec.params ?? [];
  if (mistakes.length === 0) mistakes.push(...unbound(templates, declared, bindings, field));
  if (mistakes.length > 0) return { ...names, mistakes };
  return { ...names, serviceAccount, interceptors: found.interceptors, bindings, declared, templates };
}

function isMistakes(found: Wanted['found']): found is readonly string[] {
  return Array.isArray(found);
}

function celMistakes(interceptors: readonly Interceptor[], { mistakeIn }: ResolveGround): readonly string[] {
  return interceptors.flatMap((interceptor) => {
    if (interceptor.is !== 'cel') return [];
    const { field, filter, overlays } = interceptor;
    const expressions = [
      ...(filter === undefined ? [] : [[`${field}: filter`, filter] as const]),
      ...overlays.map(({ expression }, place) => [`${field}: overlays[${place}].expression`, expression] as const),
    ];
    return expressions.flatMap(([at, expression]) => {
      const mistake = mistakeIn(expression);
      return mistake === undefined ? [] : [`${at}: ${mistake}`];
    });
  });
}

function boundParams(
  refs: readonly BindingRef[],
  namespace: string,
  objects: ListenerObjects,
  mistakes: string[],
): readonly BoundParam[] {
  return refs.flatMap((each) => {
    if (each.is === 'param') return [each.param];
    const { field, kind, name } = each;
    const found = kind === 'TriggerBinding' ? objects.binding({ namespace, name }) : objects.clusterBinding(name);
    if (found === undefined) mistakes.push(`${field}: there is no ${kind} ${name}`);
    for (const mistake of found?.mistakes ?? []) mistakes.push(`${kind} ${name}: ${mistake}`);
    return found?.params ?? [];
  });
}

function readBindings(params: readonly BoundParam[], field: string, mistakes: string[]): readonly Binding[] {
  const names = new Set<string>();
  return params.flatMap((param) => {
    if (names.has(param.name))
      mistakes.push(`${field}.bindings give the parameter ${param.name} twice; leave out one of them`);
    names.add(param.name);
    try {
      return [readBinding(param)];
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      mistakes.push(`${field}.bindings: the value of the parameter ${param.name}: ${error.message}`);
      return [];
    }
  });
}

function templateOf(
  template: TriggerSpec['template'],
  namespace: string,
  field: string,
  objects: ListenerObjects,
  mistakes: string[],
): { readonly field: string; readonly spec: TemplateSpec } | undefined {
  if (template === undefined) return undefined;
  const found =
    typeof template === 'string'
      ? { field: `TriggerTemplate ${template}: spec`, spec: objects.template({ namespace, name: template })?.spec }
      : { field: `${field}.template.spec`, spec: template };
  if (found.spec === undefined) {
    mistakes.push(`${field}.template: there is no TriggerTemplate ${template}`);
    return undefined;
  }
  const owner = typeof template === 'string' ? `TriggerTemplate ${template}: ` : '';
  mistakes.push(...found.spec.mistakes.map((mistake) => `${owner}${mistake}`));
  return { field: found.field, spec: found.spec };
}

/** Parameters that a template uses and nobody gives: Triggers would create the run with the variable in it. */
function unbound(
  templates: readonly RunTemplate[],
  declared: readonly DeclaredParam[],
  bindings: readonly Binding[],
  field: string,
): readonly string[] {
  const used = new Set(templates.flatMap(({ params }) => [...params]));
  return [...used].flatMap((name) => {
    const param = declared.find((each) => each.name === name);
    if (param === undefined) return [`${field}.template uses $(tt.params.${name}), which its params do not declare`];
    const isGiven = param.default !== undefined || bindings.some((binding) => binding.name === name);
    return isGiven ? [] : [`${field}.template uses $(tt.params.${name}), which has no default and no binding gives`];
  });
}
