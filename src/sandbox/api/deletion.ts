/**
 * Deleting: at once, after a time of grace, or when the last finalizer is gone.
 * https://kubernetes.io/docs/concepts/architecture/garbage-collection/
 */
import type { KubeObject } from '../object.ts';
import { conflict, notFound } from '../status.ts';
import type { DeleteOptions } from './client.ts';
import type { Kind } from './kind.ts';
import { inOrder } from './metadata.ts';
import { admitNamespaceDeletion, isHeldBySpec, terminating } from './namespaces.ts';
import type { DeleteParameters } from './options.ts';
import { type Commit, erase, objectsOf, type StoreParts, store } from './store.ts';

/** Holds an object until nothing depends on it any more. */
export const FOREGROUND = 'foregroundDeletion';
/** Holds an object until those that depend on it are rid of it. */
export const ORPHAN = 'orphan';

/** What a delete has led to. */
export interface Deletion {
  /** As it was last, or as it waits for its end; in the storage version. */
  readonly object: KubeObject;
  /** False: it waits for finalizers or for its time of grace. */
  readonly isGone: boolean;
}

/** Who deletes what, and how. */
export interface DeletionRequest {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
  readonly options: DeleteParameters;
  readonly now: number;
  lose(): void;
}

/** How something within the process deletes. */
export function deletion({ gracePeriodSeconds, propagation, uid, resourceVersion }: DeleteOptions): DeleteParameters {
  return { dryRun: false, gracePeriodSeconds, propagation, orphanDependents: undefined, uid, resourceVersion };
}

/** Deletes one object. Throws 404, 409 for a precondition that does not hold, and 403 for a namespace that has to stay. */
export function deleteObject(parts: StoreParts, request: DeletionRequest): Deletion {
  const { kind, namespace, name, options } = request;
  const live = objectsOf(parts, kind).get(namespace, name);
  if (live === undefined) throw notFound(kind, name);
  checkPreconditions(kind, live, options);
  if (isHeldBySpec(live) || (kind.group === '' && kind.plural === 'namespaces')) admitNamespaceDeletion(name);
  const commit: Commit = { kind, verb: 'delete', subresource: '', dryRun: options.dryRun, lose: request.lose };
  if (isHeldBySpec(live)) return waitForContent(parts, live, { ...request, commit });

  const step = graceStep(kind, live, options, request.now);
  if (step.at === 'pending') return { object: live, isGone: false };
  const prepared = kind.strategy.prepareForDelete?.(live, request.now) ?? live;
  const finalizers = wantedFinalizers(prepared.metadata.finalizers ?? [], options);
  const marked = mark(prepared, { step, finalizers, now: request.now });
  const isWaiting = finalizers.length > 0 || (step.at === 'graceful' && step.seconds > 0);
  // What is marked first is seen by watches in between, even when its time of grace is nothing.
  const isWritten = marked !== live && (isWaiting || step.at === 'graceful');
  const last = isWritten ? store(parts, marked, commit) : marked;
  if (isWaiting) return { object: last, isGone: false };
  return { object: erase(parts, last, commit), isGone: true };
}

function checkPreconditions(kind: Kind, { metadata }: KubeObject, { uid, resourceVersion }: DeleteParameters): void {
  const subject = { group: kind.group, plural: kind.kind };
  if (uid !== undefined && uid !== metadata.uid) {
    const mismatch = `the UID in the precondition (${uid}) does not match the UID in record (${metadata.uid})`;
    throw conflict(subject, metadata.name, `${mismatch}. The object might have been deleted and then recreated`);
  }
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    const given = `the ResourceVersion in the precondition (${resourceVersion})`;
    const mismatch = `${given} does not match the ResourceVersion in record (${metadata.resourceVersion})`;
    throw conflict(subject, metadata.name, `${mismatch}. The object might have been modified`);
  }
}

/** A namespace is only marked; whoever empties it takes the finalizer in its spec away when nothing is left. */
function waitForContent(
  parts: StoreParts,
  live: KubeObject,
  { commit, now }: DeletionRequest & { readonly commit: Commit },
): Deletion {
  if (live.metadata.deletionTimestamp !== undefined) return { object: live, isGone: false };
  return { object: store(parts, terminating(live, timestamp(now)), commit), isGone: false };
}

type GraceStep =
  | { readonly at: 'immediate' }
  /** It is on its way already, and not to go sooner. */
  | { readonly at: 'pending' }
  /** It is to go in so many seconds after `from`. */
  | { readonly at: 'graceful'; readonly seconds: number; readonly from: number };

function graceStep(
  { strategy }: Kind,
  { metadata, ...rest }: KubeObject,
  { gracePeriodSeconds }: DeleteParameters,
  now: number,
): GraceStep {
  if (strategy.gracePeriodSeconds === undefined) return { at: 'immediate' };
  const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = metadata;
  if (deletionTimestamp === undefined) {
    const usual = strategy.gracePeriodSeconds({ metadata, ...rest } as KubeObject); // the object as it came
    // Where nothing runs there is nobody to be patient with, whatever was asked for.
    const seconds = usual === 0 ? 0 : (gracePeriodSeconds ?? usual);
    return { at: 'graceful', seconds: seconds < 0 ? 1 : seconds, from: now };
  }
  if (deletionGracePeriodSeconds === 0) return { at: 'immediate' };
  if (gracePeriodSeconds === undefined || gracePeriodSeconds >= deletionGracePeriodSeconds) return { at: 'pending' };
  const from = Date.parse(deletionTimestamp) - deletionGracePeriodSeconds * 1000;
  return { at: 'graceful', seconds: gracePeriodSeconds, from };
}

/** What holds the object back: its own finalizers, and the one that stands for the wanted propagation. */
function wantedFinalizers(finalizers: readonly string[], options: DeleteParameters): string[] {
  const own = finalizers.filter((finalizer) => finalizer !== ORPHAN && finalizer !== FOREGROUND);
  switch (propagationOf(finalizers, options)) {
    case 'Orphan':
      return [...own, ORPHAN];
    case 'Foreground':
      return [...own, FOREGROUND];
    case 'Background':
      return own;
  }
}

function propagationOf(
  finalizers: readonly string[],
  { propagation, orphanDependents }: DeleteParameters,
): 'Background' | 'Foreground' | 'Orphan' {
  if (propagation !== undefined) return propagation;
  if (orphanDependents !== undefined) return orphanDependents ? 'Orphan' : 'Background';
  const chosen = finalizers.find((finalizer) => finalizer === ORPHAN || finalizer === FOREGROUND);
  if (chosen === undefined) return 'Background';
  return chosen === ORPHAN ? 'Orphan' : 'Foreground';
}

function mark(
  live: KubeObject,
  { step, finalizers, now }: { step: GraceStep; finalizers: readonly string[]; now: number },
): KubeObject {
  const { metadata } = live;
  const isFirst = metadata.deletionTimestamp === undefined;
  const isMarked = step.at === 'graceful' || (finalizers.length > 0 && isFirst);
  const before = metadata.finalizers ?? [];
  const hasNewFinalizers = finalizers.length !== before.length || finalizers.some((one) => !before.includes(one));
  if (!isMarked && !hasNewFinalizers) return live;
  const seconds = step.at === 'graceful' ? step.seconds : 0;
  const from = step.at === 'graceful' ? step.from : now;
  const generation = metadata.generation === undefined || !isFirst ? metadata.generation : metadata.generation + 1;
  return {
    ...live,
    metadata: inOrder({
      ...metadata,
      ...(isMarked
        ? { generation, deletionTimestamp: timestamp(from + seconds * 1000), deletionGracePeriodSeconds: seconds }
        : {}),
      finalizers: [...finalizers],
    }),
  };
}

function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
