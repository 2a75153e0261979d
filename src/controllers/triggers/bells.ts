/** Which triggers have something to do with an object: what changes there rings for them. */
import { SOURCE_KINDS } from '../../flux/types.ts';
import type { ObjectRef } from '../../kube/objects.ts';
import type { StoreChange } from '../../kube/store.ts';
import type { PipelineRun } from '../../tekton/types.ts';
import { triggerOf } from '../../triggers/runs.ts';
import type { TriggerCaches } from './caches.ts';
import { MAX_HISTORY_ANNOTATION, type PipelineTrigger, pipelineOf } from './resource.ts';

/** What is told of. */
export interface BellParts {
  readonly caches: TriggerCaches;
  /** Something that a trigger depends on has changed. */
  ring(trigger: ObjectRef): void;
  /** A run of it has changed, of which it only tells: who waits for a run goes first. */
  ringLast(trigger: ObjectRef): void;
  /** A replica that does not lead was told of an event of this trigger, whatever the watch of its source says by now. */
  rang(trigger: ObjectRef): void;
  /** A trigger is gone. */
  gone(trigger: PipelineTrigger): void;
  /** A run of a trigger has been deleted. */
  runGone(trigger: ObjectRef, run: string): void;
  /** Calls back with each ManagedCredential that changes; returns the end of that. */
  readonly credentials?: (changed: (credential: ObjectRef) => void) => () => void;
}

/** Hangs the bells. Returns what takes them down; calling that twice is harmless. */
export function hangBells({ caches, ring, ringLast, rang, gone, runGone, credentials }: BellParts): () => void {
  const dependants = new Map<string, Map<string, ObjectRef>>();
  const ringAll = (key: string) => {
    for (const trigger of dependants.get(key)?.values() ?? []) ring(trigger);
  };
  const enter = (trigger: PipelineTrigger) => {
    const { namespace, name } = trigger.meta;
    for (const key of dependenciesOf(trigger)) {
      const known = dependants.get(key) ?? new Map<string, ObjectRef>();
      known.set(`${namespace}/${name}`, { namespace, name });
      dependants.set(key, known);
    }
  };
  const leave = (trigger: PipelineTrigger) => {
    const { namespace, name } = trigger.meta;
    for (const key of dependenciesOf(trigger)) {
      const known = dependants.get(key);
      known?.delete(`${namespace}/${name}`);
      if (known?.size === 0) dependants.delete(key);
    }
  };
  for (const trigger of caches.triggers.values()) enter(trigger);

  const ends = [
    caches.triggers.subscribe(({ type, object, before }) => {
      if (before !== undefined) leave(before);
      if (type === 'deleted') return gone(object);
      enter(object);
      // Our own writes of the status come back as changes: nothing to do about them.
      if (before === undefined || isAskedOtherwise(before, object)) ring(object.meta);
      // One that stands there when the trigger is first seen rang for who led then.
      if (before !== undefined && isRung(before, object)) rang(object.meta);
    }),
    ...SOURCE_KINDS.map((kind) =>
      caches.sources[kind].subscribe(({ object: { meta } }) => ringAll(`${kind}/${meta.namespace}/${meta.name}`)),
    ),
    caches.pipelines.subscribe(({ type, object: { meta } }) => {
      if (type !== 'modified') ringAll(`Pipeline/${meta.namespace}/${meta.name}`);
    }),
    caches.runs.subscribe((change) => {
      if (!matters(change)) return;
      const trigger = triggerOf(change.object);
      if (trigger === undefined) return;
      if (change.type === 'deleted') runGone(trigger, change.object.meta.name);
      ringLast(trigger);
    }),
    credentials?.(({ namespace, name }) => ringAll(`ManagedCredential/${namespace}/${name}`)) ?? (() => {}),
  ];
  return () => {
    for (const end of ends) end();
  };
}

/** The objects whose change matters to a trigger. */
function dependenciesOf({ spec, meta: { namespace } }: PipelineTrigger): readonly string[] {
  if ('mistakes' in spec) return [];
  const { source, template, credential } = spec;
  const pipeline = pipelineOf(template);
  return [
    `${source.kind}/${namespace}/${source.name}`,
    ...(pipeline === undefined ? [] : [`Pipeline/${namespace}/${pipeline}`]),
    ...(credential === undefined ? [] : [`ManagedCredential/${credential.namespace ?? namespace}/${credential.name}`]),
  ];
}

function isAskedOtherwise(before: PipelineTrigger, after: PipelineTrigger): boolean {
  return (
    before.generation !== after.generation ||
    before.runAt !== after.runAt ||
    before.meta.deleting !== after.meta.deleting ||
    before.meta.annotations[MAX_HISTORY_ANNOTATION] !== after.meta.annotations[MAX_HISTORY_ANNOTATION]
  );
}

function isRung(before: PipelineTrigger, after: PipelineTrigger): boolean {
  return (
    (after.rang !== undefined && before.rang !== after.rang) || (after.told !== undefined && before.told !== after.told)
  );
}

/** Whether a run's change says something new of how it goes. */
function matters({ type, object, before }: StoreChange<PipelineRun>): boolean {
  if (type !== 'modified' || before === undefined) return true;
  const [was, is] = [before.succeeded, object.succeeded];
  return was?.status !== is?.status || was?.reason !== is?.reason;
}
