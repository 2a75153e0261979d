/**
 * What hooks write of events before they answer: a mark that rings for whoever leads, revisions to look for, and events that are believed.
 * Any replica writes them, unfenced: none starts a run, and the controller that leads reads them whenever it looks.
 */
import { Fault } from '../../fault.ts';
import type { KubeReader } from '../../kube/client.ts';
import { type JsonObject, listOf, type ObjectRef, objectOf, stringOf, stringsOf } from '../../kube/objects.ts';
import { type KubeWriter, WriteFault } from '../../kube/writer.ts';
import type { HookedTrigger } from '../../triggers/hooked.ts';
import { RANG_ANNOTATION, TOLD_ANNOTATION, triggerPath } from '../../triggers/names.ts';
import {
  MOST_STORED,
  type StoredEvent,
  storedAlready,
  storedEntry,
  storedEventsIn,
  storedEventsPath,
  storedEventsWith,
  storedKey,
  withTold,
} from '../../triggers/told.ts';

/** What is written for whoever leads. Faults: as `KubeReader.get` and `KubeWriter.patch`, `refused` where the rights are missing. */
export interface Notes {
  /** Rings for a replica that leads elsewhere. The same `what` again is no other ring. */
  ring(trigger: ObjectRef, what: string, signal: AbortSignal): Promise<void>;
  /** Notes a revision, normalised, or a failure as `toldFailure` writes it. Twice is once. Faults: `conflict` too, if others never rest. */
  tell(trigger: ObjectRef, revision: string, signal: AbortSignal): Promise<void>;
  /**
   * Stores an event, once; `full`: so many wait that it was not. Resolves with the key that it is stored under. Faults: as `tell`, and
   * `conflict` where something else has the ConfigMap's name.
   */
  store(
    trigger: HookedTrigger['meta'],
    event: Omit<StoredEvent, 'key'>,
    nowMs: number,
    signal: AbortSignal,
  ): Promise<string | 'full'>;
}

/** A hook answers in seconds, and several calls have to fit in. */
const CALL_MS = 3_000;
/** Longer texts ring as well when they are cut. */
const LONGEST_RING = 512;
/** Other replicas may write at the same time: each round one of them gets through. */
const MOST_ROUNDS = 8;

/** Makes them. What is written to one object is written one after another. */
export function createNotes({
  reader,
  writer,
}: {
  readonly reader: Pick<KubeReader, 'get'>;
  readonly writer: Pick<KubeWriter, 'create' | 'patch'>;
}): Notes {
  const annotate = async (
    trigger: ObjectRef,
    annotations: Readonly<Record<string, string>>,
    more: { readonly resourceVersion?: string; readonly signal: AbortSignal },
  ): Promise<void> => {
    const { resourceVersion, signal } = more;
    const metadata = resourceVersion === undefined ? { annotations } : { annotations, resourceVersion };
    await writer.patch(triggerPath(trigger), { metadata }, { signal, timeoutMs: CALL_MS });
  };
  const lasts = new Map<string, Promise<unknown>>();
  /** Waits for what this process writes there already: it would only be in its own way. */
  const inTurn = async <T>(path: string, write: () => Promise<T>): Promise<T> => {
    const written = Promise.resolve(lasts.get(path)).then(write);
    const last = written.catch(() => {}).then(() => void (lasts.get(path) === last && lasts.delete(path)));
    lasts.set(path, last);
    return written;
  };
  const rounds = async <T>(round: () => Promise<T>): Promise<T> => {
    for (let tries = 1; ; tries++) {
      try {
        return await round();
      } catch (error) {
        if (!(error instanceof Fault) || error.code !== 'conflict' || tries === MOST_ROUNDS) throw error;
      }
    }
  };
  const read = async (path: string, signal: AbortSignal): Promise<JsonObject | undefined> => {
    try {
      return await reader.get(path, { signal, timeoutMs: CALL_MS });
    } catch (error) {
      if (error instanceof Fault && error.code === 'not-found') return undefined;
      throw error;
    }
  };

  return {
    async ring(trigger, what, signal) {
      await annotate(trigger, { [RANG_ANNOTATION]: what.slice(0, LONGEST_RING).toWellFormed() }, { signal });
    },
    tell: (trigger, revision, signal) =>
      inTurn(triggerPath(trigger), () =>
        rounds(async () => {
          const raw = await read(triggerPath(trigger), signal);
          if (raw === undefined) return; // it is gone, and nothing is to be run any more
          const { annotations, resourceVersion } = objectOf(raw.metadata);
          const before = stringsOf(annotations)[TOLD_ANNOTATION];
          const after = withTold(before, revision, stringOf(objectOf(raw.status).latestEvent));
          if (after === (before ?? '')) return;
          await annotate(
            trigger,
            { [TOLD_ANNOTATION]: after },
            { signal, resourceVersion: stringOf(resourceVersion) ?? '' },
          );
        }),
      ),
    store: (trigger, event, nowMs, signal) =>
      inTurn(storedEventsPath(trigger), () =>
        rounds(async () => {
          const path = storedEventsPath(trigger);
          const raw = await read(path, signal);
          if (raw === undefined) {
            const first = { key: storedKey(event, [], nowMs), ...event };
            const collection = path.slice(0, path.lastIndexOf('/'));
            // That somebody was quicker is a conflict: then it is there to be read.
            await writer.create(collection, storedEventsWith(trigger, first), { signal, timeoutMs: CALL_MS });
            return first.key;
          }
          requireOwn(raw, trigger);
          const stored = storedEventsIn(raw);
          const already = storedAlready(event, stored);
          if (already !== undefined) return already.key;
          if (Object.keys(objectOf(raw.data)).length >= MOST_STORED) return 'full';
          const key = storedKey(event, stored, nowMs);
          const { resourceVersion } = objectOf(raw.metadata);
          const merge = { metadata: { resourceVersion }, data: storedEntry({ key, ...event }) };
          await writer.patch(path, merge, { signal, timeoutMs: CALL_MS });
          return key;
        }),
      ),
  };
}

/** Not that of a trigger of this name which is gone, and which Kubernetes takes away in a moment; and not somebody's own. */
function requireOwn(raw: JsonObject, { uid }: HookedTrigger['meta']): void {
  const owners = listOf(objectOf(raw.metadata).ownerReferences).map(objectOf);
  if (owners.some((owner) => owner.uid === uid)) return;
  throw new WriteFault('unavailable', 'the ConfigMap for stored events is not of this trigger', {
    status: 409,
    reason: 'NotOwned',
    said: '',
  });
}
