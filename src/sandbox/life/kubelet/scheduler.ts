/** The scheduler: binds pods to the one node, in order of their age, as soon as there is room for them. */
import type { Clock } from '../../../clock.ts';
import type { Log } from '../../../log.ts';
import type { ApiClient } from '../../api/client.ts';
import type { JsonObject } from '../../object.ts';
import type { BindPod } from './binding.ts';
import type { Claims } from './claims.ts';
import type { EventRecorder } from './events.ts';
import { type NodeOffer, whyUnschedulable } from './fit.ts';
import { isTerminal, type Pod, podOf, podsResource } from './pod.ts';
import { conditionJson } from './status.ts';

/** What a scheduler works with. */
export interface SchedulerParts {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: EventRecorder;
  readonly claims: Claims;
  readonly bind: BindPod;
  readonly nodeName: string;
  readonly offer: NodeOffer;
}

/** Knows which pods wait and which take up room. */
export class Scheduler {
  readonly #parts: SchedulerParts;
  readonly #waiting = new Map<string, Pod>();
  /** On the node and not ended, or just bound to it. */
  readonly #placed = new Map<string, Pod>();
  #isDue = false;

  constructor(parts: SchedulerParts) {
    this.#parts = parts;
  }

  /** A pod as it is now. */
  see(pod: Pod): void {
    const { uid } = pod.metadata;
    this.#waiting.delete(uid);
    if (isUnscheduled(pod)) {
      // What was just bound is seen once more as it was before.
      if (!this.#placed.has(uid)) this.#waiting.set(uid, pod);
    } else if (pod.spec.nodeName === this.#parts.nodeName && !isTerminal(pod)) this.#placed.set(uid, pod);
    else this.#placed.delete(uid);
  }

  /** A pod that is not there any more. */
  forget({ metadata: { uid } }: Pod): void {
    this.#waiting.delete(uid);
    this.#placed.delete(uid);
  }

  /** Soon places whatever fits, and says of the rest why it does not: once for all changes that come in one go. */
  schedule(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      this.#place();
    });
  }

  #place(): void {
    const { claims, bind, events, nodeName, offer } = this.#parts;
    for (const pod of [...this.#waiting.values()].sort(byAge)) {
      const { namespace = '', name, uid } = pod.metadata;
      const use = { pods: [...this.#placed.values()], claims: claims.in(namespace) };
      const why = whyUnschedulable(pod, offer, use);
      if (why === undefined) {
        this.#waiting.delete(uid);
        this.#placed.set(uid, pod);
        bind(namespace, name, nodeName);
        const message = `Successfully assigned ${namespace}/${name} to ${nodeName}`;
        events.tell(pod, { type: 'Normal', reason: 'Scheduled', message, from: 'default-scheduler' });
      } else if (this.#refuse(pod, why)) {
        events.tell(pod, { type: 'Warning', reason: 'FailedScheduling', message: why, from: 'default-scheduler' });
      }
    }
  }

  /** Says in the pod's conditions why it waits; false when that is known already. */
  #refuse(pod: Pod, why: string): boolean {
    const { client, clock, log } = this.#parts;
    const { namespace = '', name } = pod.metadata;
    const object = client.get(podsResource, namespace, name);
    if (object === undefined) return false;
    const { conditions = [] } = podOf(object).status ?? {};
    if (conditions.some(({ type, message }) => type === 'PodScheduled' && message === why)) return false;
    const own = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: why };
    const others = conditions.filter(({ type }) => type !== own.type);
    const status: JsonObject = {
      ...(object.status as JsonObject), // every pod has one
      conditions: [...structuredClone(others), conditionJson(pod, own, clock.now())] as JsonObject[],
    };
    try {
      client.update(podsResource, { ...object, status }, { subresource: 'status' });
    } catch (error) {
      log.warn("a pod's status was not taken", { pod: name, error: String(error) });
    }
    return true;
  }
}

function isUnscheduled({ spec, metadata }: Pod): boolean {
  return (
    !spec.nodeName &&
    (spec.schedulerName ?? 'default-scheduler') === 'default-scheduler' &&
    !spec.schedulingGates?.length &&
    metadata.deletionTimestamp === undefined
  );
}

function byAge(a: Pod, b: Pod): number {
  const [one, other] = [ageKey(a), ageKey(b)];
  return one < other ? -1 : Number(one > other);
}

/** Pods of one second in the order in which they were written. */
function ageKey({ metadata }: Pod): string {
  return `${metadata.creationTimestamp} ${metadata.resourceVersion.padStart(20, '0')}`;
}
