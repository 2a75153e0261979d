/** Kubernetes Events about sources, as source-controller writes them: repeats are counted. */
import type { Clock } from '../../clock.ts';
import type { Log } from '../../log.ts';
import type { ApiClient } from '../api/client.ts';
import { numberIn } from '../core/reading.ts';
import type { KubeObject, Resource } from '../object.ts';
import { timestamp } from './conditions.ts';

/** One thing to tell. */
export interface Told {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
  readonly annotations: { readonly [key: string]: string };
}

/** Tells what happens to sources. */
export interface EventWriter {
  /** Writes an Event, or counts up the one that said the same of the same object. Never throws. */
  tell(object: KubeObject, told: Told): void;
}

const events: Resource = { group: '', version: 'v1', plural: 'events' };
const component = 'source-controller';

/** An Event that the API refuses is logged and lost, as the real ones are. */
export function createEventWriter(
  client: ApiClient,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): EventWriter {
  let sequence = 0;

  function write(object: KubeObject, { type, reason, message, annotations }: Told): void {
    const { name, namespace = '', uid, resourceVersion } = object.metadata;
    const now = timestamp(clock.now());
    const filter = { namespace, fields: `involvedObject.uid=${uid},reason=${reason}` };
    const before = client.list(events, filter).find((event) => event.message === message);
    if (before !== undefined) {
      const count = numberIn(before.count) + 1;
      client.patch(events, namespace, before.metadata.name, { count, lastTimestamp: now });
      return;
    }
    // As the real names: the object's, then nanoseconds in hexadecimal; the sequence keeps two of one instant apart.
    const instant = BigInt(clock.now()) * 1_000_000n + BigInt(sequence++ % 1_000_000);
    client.create(events, {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: `${name}.${instant.toString(16)}`, namespace, annotations: { ...annotations } },
      involvedObject: { apiVersion: object.apiVersion, kind: object.kind, name, namespace, uid, resourceVersion },
      reason,
      message,
      source: { component },
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
      type,
      eventTime: null,
      reportingComponent: component,
      reportingInstance: '',
    });
  }

  return {
    tell(object, told) {
      try {
        write(object, told);
      } catch (error) {
        // A namespace that is going takes no new objects.
        log.debug('an event was not taken', { name: object.metadata.name, reason: told.reason, error: String(error) });
      }
    },
  };
}
