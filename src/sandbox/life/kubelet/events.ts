/** Kubernetes Events as the scheduler and the kubelet write them: about a pod or one of its containers, repeats folded. */
import type { Clock } from '../../../clock.ts';
import type { Log } from '../../../log.ts';
import type { ApiClient } from '../../api/client.ts';
import type { Resource } from '../../object.ts';
import { type Pod, timestamp } from './pod.ts';

/** One thing to tell. */
export interface Told {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
  /** `spec.containers{name}`, when it is about one container. */
  readonly fieldPath?: string;
  readonly from?: 'kubelet' | 'default-scheduler';
}

/** Tells what happens to pods. */
export interface EventRecorder {
  /** Writes an Event, or counts up the one that said the same of the same pod. Never throws. */
  tell(pod: Pod, told: Told): void;
  /** Forgets what was told of a pod that is gone. */
  forget(pod: Pod): void;
}

const eventsResource: Resource = { group: '', version: 'v1', plural: 'events' };

/** A recorder for the node of that name. Events that the API refuses are logged and lost, as the real ones are. */
export function createEventRecorder(
  client: ApiClient,
  { clock, log, nodeName }: { readonly clock: Clock; readonly log: Log; readonly nodeName: string },
): EventRecorder {
  const told = new Map<string, Map<string, { readonly name: string; count: number }>>();
  let sequence = 0;

  function write(pod: Pod, { type, reason, message, fieldPath, from = 'kubelet' }: Told): void {
    const { name, namespace = '', uid, resourceVersion } = pod.metadata;
    const now = timestamp(clock.now());
    const ofPod = told.get(uid) ?? new Map<string, { readonly name: string; count: number }>();
    told.set(uid, ofPod);
    const key = JSON.stringify([from, type, reason, message, fieldPath]);
    const before = ofPod.get(key);
    if (before !== undefined && client.get(eventsResource, namespace, before.name) !== undefined) {
      before.count += 1;
      client.patch(eventsResource, namespace, before.name, { count: before.count, lastTimestamp: now });
      return;
    }
    // As the real names: the pod's, then nanoseconds in hexadecimal; the sequence keeps two of one instant apart.
    const instant = BigInt(clock.now()) * 1_000_000n + BigInt(sequence++ % 1_000_000);
    const event = { name: `${name}.${instant.toString(16)}`, count: 1 };
    const isKubelet = from === 'kubelet';
    client.create(eventsResource, {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: event.name, namespace },
      involvedObject: {
        kind: 'Pod',
        namespace,
        name,
        uid,
        apiVersion: 'v1',
        resourceVersion,
        ...(fieldPath === undefined ? {} : { fieldPath }),
      },
      reason,
      message,
      source: { component: from, ...(isKubelet ? { host: nodeName } : {}) },
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
      type,
      eventTime: null,
      reportingComponent: from,
      reportingInstance: isKubelet ? nodeName : '',
    });
    ofPod.set(key, event);
  }

  return {
    tell(pod, what) {
      try {
        write(pod, what);
      } catch (error) {
        // A namespace that is going takes no new objects.
        log.debug('an event was not taken', { pod: pod.metadata.name, reason: what.reason, error: String(error) });
      }
    },
    forget(pod) {
      told.delete(pod.metadata.uid);
    },
  };
}
