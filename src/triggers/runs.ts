/** Which runs are a trigger's, and which trigger a run is of: an index, so that neither question looks at every run there is. */
import type { ObjectRef } from '../kube/objects.ts';
import type { Store } from '../kube/store.ts';
import { TRIGGER_LABEL } from '../tekton/project.ts';
import type { PipelineRun } from '../tekton/types.ts';
import { labelValue, TRIGGER_KIND } from './names.ts';

/** Which trigger: another one of the same name is another. */
export interface TriggerIdentity extends ObjectRef {
  readonly uid: string;
}

/** The runs of a store by the triggers that they are of. May lag the cluster as the store does. */
export interface RunIndex {
  /**
   * The runs of a trigger, in no particular order: those that it owns, and those that nobody owns and that carry its label, as
   * the first releases of the original made them. A run that something else owns is not its run, whatever its labels say.
   */
  of(trigger: TriggerIdentity): readonly PipelineRun[];
}

/** The trigger that a run is of, by its owner, else by its label; undefined: none. There may be no such trigger any more. */
export function triggerOf({ meta }: PipelineRun): ObjectRef | undefined {
  const { namespace, owner, labels, annotations } = meta;
  if (owner !== undefined) return owner.kind === TRIGGER_KIND ? { namespace, name: owner.name } : undefined;
  const label = labels[TRIGGER_LABEL];
  if (label === undefined || label === '') return undefined;
  const exact = annotations[TRIGGER_LABEL];
  return { namespace, name: exact !== undefined && labelValue(exact) === label ? exact : label };
}

/** What a run and its trigger have in common: of the run, undefined where it is no trigger's. See `keysOf`. */
export function keyOf({ meta: { namespace, owner, labels } }: PipelineRun): string | undefined {
  if (owner !== undefined) return `${namespace} ${owner.uid}`;
  const label = labels[TRIGGER_LABEL];
  return label === undefined || label === '' ? undefined : `${namespace}/${label}`;
}

/**
 * The keys of the runs of a trigger: of those that it owns, and of those that nobody owns. The namespace is part of both: whoever
 * writes in another one may put any uid into an owner reference.
 */
export function keysOf({ namespace, name, uid }: TriggerIdentity): readonly [owned: string, labelled: string] {
  return [`${namespace} ${uid}`, `${namespace}/${labelValue(name)}`];
}

/** Indexes `store`: what is in it and whatever comes, in the same turn. Subscribe to the store afterwards to find the index up to date. */
export function createRunIndex(store: Store<PipelineRun>): RunIndex {
  // Only names: the store may keep runs packed, and what is found is asked of it.
  const unowned = new Map<string, Set<string>>();

  const keep = (run: PipelineRun): void => {
    const key = unownedKey(run);
    if (key === undefined) return;
    const names = unowned.get(key);
    if (names === undefined) unowned.set(key, new Set([run.meta.name]));
    else names.add(run.meta.name);
  };
  const forget = (run: PipelineRun): void => {
    const key = unownedKey(run);
    const names = key === undefined ? undefined : unowned.get(key);
    if (key === undefined || names === undefined) return;
    names.delete(run.meta.name);
    if (names.size === 0) unowned.delete(key);
  };
  for (const run of store.values()) keep(run);
  store.subscribe(({ type, object, before }) => {
    if (before !== undefined) forget(before);
    if (type !== 'deleted') keep(object);
  });

  return {
    of(trigger) {
      const { namespace, uid } = trigger;
      const [, labelled] = keysOf(trigger);
      const names = [...(unowned.get(labelled) ?? [])];
      const owned = store.ownedBy(uid).filter(({ meta }) => meta.namespace === namespace);
      return [...owned, ...names.flatMap((name) => store.get({ namespace, name }) ?? [])];
    },
  };
}

/** Where a run without an owner is indexed; undefined: it has one, or is no trigger's. */
function unownedKey(run: PipelineRun): string | undefined {
  return run.meta.owner === undefined ? keyOf(run) : undefined;
}
