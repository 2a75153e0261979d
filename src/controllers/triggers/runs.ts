/** Which runs are a trigger's, and which trigger a run is of: an index, so that neither question looks at every run there is. */
import type { ObjectRef } from '../../kube/objects.ts';
import type { Store } from '../../kube/store.ts';
import { TRIGGER_ANNOTATION } from '../../tekton/project.ts';
import type { PipelineRun } from '../../tekton/types.ts';
import { TRIGGER_LABEL } from './event.ts';
import { labelValue } from './manifest.ts';
import { TRIGGER_KIND } from './resource.ts';

/** The runs of a store by the triggers that they are of. May lag the cluster as the store does. */
export interface RunIndex {
  /**
   * The runs of a trigger, in no particular order: those that it owns, and those that nobody owns and that carry its label, as
   * the first releases of the original made them. A run that something else owns is not its run, whatever its labels say.
   */
  of(trigger: { readonly namespace: string; readonly name: string; readonly uid: string }): readonly PipelineRun[];
  /** The trigger that a run is of, by its owner, else by its label; undefined: none. There may be no such trigger any more. */
  triggerOf(run: PipelineRun): ObjectRef | undefined;
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
    of({ namespace, name, uid }) {
      const labelled = [...(unowned.get(keyOf(namespace, labelValue(name))) ?? [])].flatMap(
        (run) => store.get({ namespace, name: run }) ?? [],
      );
      return [...store.ownedBy(uid), ...labelled];
    },
    triggerOf({ meta: { namespace, owner, labels, annotations } }) {
      if (owner !== undefined) return owner.kind === TRIGGER_KIND ? { namespace, name: owner.name } : undefined;
      const label = labels[TRIGGER_LABEL];
      if (label === undefined || label === '') return undefined;
      const exact = annotations[TRIGGER_ANNOTATION];
      return { namespace, name: exact !== undefined && labelValue(exact) === label ? exact : label };
    },
  };
}

/** Where a run without an owner is indexed; undefined: it is no trigger's. */
function unownedKey({ meta: { namespace, owner, labels } }: PipelineRun): string | undefined {
  const label = labels[TRIGGER_LABEL];
  return owner !== undefined || label === undefined || label === '' ? undefined : keyOf(namespace, label);
}

/** Neither part can hold a slash. */
function keyOf(namespace: string, label: string): string {
  return `${namespace}/${label}`;
}
