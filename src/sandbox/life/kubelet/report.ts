/** What is known of a pod's containers, and how it gets into the pod's status. */
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../../clock.ts';
import type { Log } from '../../../log.ts';
import type { ApiClient } from '../../api/client.ts';
import { type Container, type Pod, podOf, podsResource } from './pod.ts';
import { type ContainerRecord, type ContainerState, type PodFacts, podStatus, untouched } from './status.ts';

/** What a report is written with. */
export interface ReportParts {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly log: Log;
  /** All else that the status depends on, as it is now; undefined when nothing is to be written any more. */
  facts(): Omit<PodFacts, 'records' | 'nowMs'> | undefined;
}

/** The report of one pod. */
export class PodReport {
  readonly #pod: Pod;
  readonly #parts: ReportParts;
  readonly #records = new Map<string, ContainerRecord>();
  #isDue = false;

  constructor(pod: Pod, parts: ReportParts) {
    this.#pod = pod;
    this.#parts = parts;
  }

  /** Where a container stands. */
  of({ name }: Container): ContainerRecord {
    return this.#records.get(name) ?? untouched(this.#pod);
  }

  /** A container stands elsewhere now; it is published. */
  set(container: Container, state: ContainerState): void {
    const record = this.of(container);
    this.#records.set(container.name, {
      ...record,
      state,
      last: record.state.at === 'terminated' && record.state.containerId !== '' ? record.state : record.last,
      created: record.created || (state.at !== 'waiting' && state.containerId !== ''),
    });
    this.publish();
  }

  /** A container is about to be run once more. */
  countRestart(container: Container): void {
    const record = this.of(container);
    this.#records.set(container.name, { ...record, restartCount: record.restartCount + 1 });
  }

  /** Writes soon: what changes in one go is written once. */
  publish(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      this.write();
    });
  }

  /** Writes now, if there is anything new. A status that the API refuses is logged and left. */
  write(): void {
    const { client, clock, log } = this.#parts;
    const { name, namespace = '', uid } = this.#pod.metadata;
    const facts = this.#parts.facts();
    const current = client.get(podsResource, namespace, name);
    if (facts === undefined || current?.metadata.uid !== uid) return;
    const status = podStatus(podOf(current), { ...facts, records: this.#records, nowMs: clock.now() });
    if (isDeepStrictEqual(status, current.status)) return;
    try {
      client.update(podsResource, { ...current, status }, { subresource: 'status' });
    } catch (error) {
      log.warn("a pod's status was not taken", { pod: name, error: String(error) });
    }
  }
}
