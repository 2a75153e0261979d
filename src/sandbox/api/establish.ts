/**
 * What happens to a definition once it is stored: its names are accepted or not, it is established, and when it is deleted
 * the objects of its kind go first.
 * https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
 */
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../clock.ts';
import { objectIn, objectsIn, textIn, textsIn } from '../core/reading.ts';
import type { JsonObject, KubeObject, Resource } from '../object.ts';
import { StatusError } from '../status.ts';
import type { ApiClient } from './client.ts';
import type { Registry } from './kind.ts';

/** Where definitions are asked for. */
export const definitionsResource: Resource = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
};

/** Holds a definition that is being deleted until no object of its kind is left. */
export const cleanupFinalizer = 'customresourcecleanup.apiextensions.k8s.io';

/** A condition of a definition, without its time. */
export interface Condition {
  readonly type: 'NamesAccepted' | 'Established' | 'Terminating';
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

/** Which of its names a definition may have, and why it may not have the others. */
export interface NameVerdict {
  readonly names: JsonObject;
  readonly condition: Condition;
}

/** Judges the names that a definition asks for: none may be taken by another kind of its group. */
export function judgeNames(definition: KubeObject, registry: Pick<Registry, 'kinds'>): NameVerdict {
  const spec = objectIn(definition.spec);
  const wanted = objectIn(spec.names);
  const names = { ...objectIn(objectIn(definition.status).acceptedNames) };
  const others = registry.kinds().filter((kind) => kind.group === spec.group && kind.plural !== wanted.plural);
  const taken = new Set(others.flatMap(({ plural, singular, shortNames }) => [plural, singular, ...shortNames]));
  const takenKinds = new Set(others.flatMap(({ kind, listKind }) => [kind, listKind]));
  let condition: Condition = {
    type: 'NamesAccepted',
    status: 'True',
    reason: 'NoConflicts',
    message: 'no conflicts found',
  };
  for (const [field, reason, used] of [
    ['plural', 'PluralConflict', taken],
    ['singular', 'SingularConflict', taken],
    ['shortNames', 'ShortNamesConflict', taken],
    ['kind', 'KindConflict', takenKinds],
    ['listKind', 'ListKindConflict', takenKinds],
  ] as const) {
    const asked = field === 'shortNames' ? textsIn(wanted[field]) : [textIn(wanted[field])];
    const conflicts = asked.filter((name) => used.has(name)).map((name) => `${JSON.stringify(name)} is already in use`);
    if (conflicts.length === 0) takeOver(names, wanted, field);
    else {
      const message = conflicts.length === 1 ? (conflicts[0] ?? '') : `[${conflicts.join(', ')}]`;
      condition = { type: 'NamesAccepted', status: 'False', reason, message };
    }
  }
  if (condition.status === 'True') takeOver(names, wanted, 'categories');
  return { names, condition };
}

/** Whether a definition's kind is served: once its names were accepted it stays. */
export function isServed(definition: KubeObject, { condition }: NameVerdict): boolean {
  return condition.status === 'True' || hasCondition(definition, 'Established');
}

/** Sets a condition in a status, in place; its time moves only with what it says of the truth. */
export function setCondition(status: JsonObject, condition: Condition, nowMs: number): void {
  const conditions = objectsIn(status.conditions);
  const before = conditions.find(({ type }) => type === condition.type);
  const lastTransitionTime =
    before?.status === condition.status
      ? (before.lastTransitionTime ?? null)
      : `${new Date(nowMs).toISOString().slice(0, 19)}Z`;
  const { type, status: truth, reason, message } = condition;
  const entry = { type, status: truth, lastTransitionTime, reason, message };
  status.conditions =
    before === undefined ? [...conditions, entry] : conditions.map((one) => (one === before ? entry : one));
}

/** What the keeper of definitions needs. */
export interface KeeperParts {
  readonly client: ApiClient;
  readonly registry: Pick<Registry, 'kinds'>;
  readonly clock: Pick<Clock, 'now'>;
}

/**
 * Keeps the status of definitions: accepts names, establishes kinds, and of a definition that is being deleted deletes the
 * objects and lets it go when none is left. Answers the function that ends it.
 */
export function keepDefinitions(parts: KeeperParts): () => void {
  const emptying = new Map<string, () => void>();
  const stop = parts.client.watch(definitionsResource, {}, ({ type, object: definition }) => {
    const { name, uid, deletionTimestamp } = definition.metadata;
    if (type === 'DELETED') {
      emptying.get(uid)?.();
      emptying.delete(uid);
    } else if (deletionTimestamp === undefined) {
      establish(name, parts);
    } else if (!emptying.has(uid)) {
      emptying.set(uid, emptyOut(definition, parts));
    }
  });
  return () => {
    stop();
    for (const end of emptying.values()) end();
  };
}

/** Says in the status what came of the names; another watch event may have been first. */
function establish(name: string, parts: KeeperParts): void {
  changeStatus(name, parts, (definition, status) => {
    const { names, condition } = judgeNames(definition, parts.registry);
    status.acceptedNames = names;
    setCondition(status, condition, parts.clock.now());
    if (hasCondition(definition, 'Established')) return;
    const verdict =
      condition.status === 'True'
        ? { status: 'True', reason: 'InitialNamesAccepted', message: 'the initial names have been accepted' }
        : { status: 'False', reason: 'NotAccepted', message: 'not all names are accepted' };
    setCondition(status, { type: 'Established', ...verdict } as Condition, parts.clock.now());
  });
}

/** Deletes every object of a kind, and lets go of its definition with the last one. */
function emptyOut(definition: KubeObject, parts: KeeperParts): () => void {
  const { client, clock } = parts;
  const { name } = definition.metadata;
  const resource = resourceOf(definition, parts.registry);
  const left = new Set(resource === undefined ? [] : client.list(resource).map(({ metadata }) => metadata.uid));
  const progress = (status: 'True' | 'False', reason: string, message: string) =>
    changeStatus(name, parts, (_, state) =>
      setCondition(state, { type: 'Terminating', status, reason, message }, clock.now()),
    );
  const release = () => {
    if (left.size > 0) return;
    progress('False', 'InstanceDeletionCompleted', 'removed all instances');
    const now = client.get(definitionsResource, '', name);
    const finalizers = now?.metadata.finalizers?.filter((finalizer) => finalizer !== cleanupFinalizer) ?? [];
    if (now?.metadata.finalizers?.includes(cleanupFinalizer) !== true) return;
    const merge = { metadata: { finalizers: finalizers.length === 0 ? null : finalizers } };
    client.patch(definitionsResource, '', name, merge);
  };
  if (resource === undefined || left.size === 0) {
    release();
    return () => {};
  }
  progress('True', 'InstanceDeletionInProgress', 'CustomResource deletion is in progress');
  return client.watch(resource, {}, ({ type, object: { metadata } }) => {
    if (type === 'DELETED') {
      left.delete(metadata.uid);
      release();
    } else if (metadata.deletionTimestamp === undefined) {
      client.remove(resource, metadata.namespace ?? '', metadata.name, { uid: metadata.uid });
    }
  });
}

/** Changes the status of a definition as it is now, if there is a change. */
function changeStatus(
  name: string,
  { client }: KeeperParts,
  change: (definition: KubeObject, status: JsonObject) => void,
): void {
  const definition = client.get(definitionsResource, '', name);
  if (definition === undefined) return;
  const status = structuredClone(objectIn(definition.status));
  change(definition, status);
  if (isDeepStrictEqual(status, definition.status)) return;
  try {
    client.update(definitionsResource, { ...definition, status }, { subresource: 'status' });
  } catch (error) {
    // Whoever wrote in between is followed by another event.
    if (!(error instanceof StatusError && (error.code === 409 || error.code === 404))) throw error;
  }
}

/** A version in which the objects of a definition are served; undefined when there is none. */
function resourceOf(definition: KubeObject, registry: Pick<Registry, 'kinds'>): Resource | undefined {
  const { group, names } = objectIn(definition.spec);
  const { plural } = objectIn(names);
  const version = registry.kinds().find((kind) => kind.group === group && kind.plural === plural)?.versions[0]?.version;
  return version === undefined ? undefined : { group: textIn(group), version, plural: textIn(plural) };
}

function hasCondition({ status }: KubeObject, type: Condition['type']): boolean {
  return objectsIn(objectIn(status).conditions).some(
    (condition) => condition.type === type && condition.status === 'True',
  );
}

function takeOver(names: JsonObject, wanted: JsonObject, field: string): void {
  if (wanted[field] === undefined) delete names[field];
  else names[field] = structuredClone(wanted[field]);
}
