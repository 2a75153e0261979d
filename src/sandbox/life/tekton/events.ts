/** Kubernetes Events about runs, one for each verdict, as Tekton's controllers write them. Repeats are counted. */
import type { Clock } from '../../../clock.ts';
import type { Log } from '../../../log.ts';
import type { ApiClient } from '../../api/client.ts';
import { timestamp } from './condition.ts';
import type { Condition, Run } from './types.ts';
import { events } from './types.ts';

/** Tells how runs stand. */
export interface Teller {
  /** Writes an Event when the verdict has changed. A run that is met for the first time has `Started` before. Never throws. */
  tell(run: Run, before: Condition | undefined, after: Condition | undefined): void;
  /** Forgets what was told of a run that is gone. */
  forget(uid: string): void;
}

/** A teller whose Events say they come from the controller of the run's kind. What the API refuses is logged and lost. */
export function createTeller(client: ApiClient, { clock, log }: { readonly clock: Clock; readonly log: Log }): Teller {
  const told = new Map<string, Map<string, string>>();
  let sequence = 0;

  function write(run: Run, type: 'Normal' | 'Warning', reason: string, message: string): void {
    const { name, namespace = '', uid, resourceVersion } = run.metadata;
    const now = timestamp(clock.now());
    const ofRun = told.get(uid) ?? new Map<string, string>();
    told.set(uid, ofRun);
    const key = JSON.stringify([type, reason, message]);
    const before = client.get(events, namespace, ofRun.get(key) ?? '');
    if (before !== undefined) {
      const count = typeof before.count === 'number' ? before.count + 1 : 1;
      client.patch(events, namespace, before.metadata.name, { count, lastTimestamp: now });
      return;
    }
    // As the real names: the run's, then nanoseconds in hexadecimal; the sequence keeps two of one instant apart.
    const instant = BigInt(clock.now()) * 1_000_000n + BigInt(sequence++ % 1_000_000);
    const { metadata } = client.create(events, {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: `${name}.${instant.toString(16)}`, namespace },
      involvedObject: { apiVersion: run.apiVersion, kind: run.kind, name, namespace, uid, resourceVersion },
      reason,
      message,
      source: { component: run.kind },
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
      type,
      eventTime: null,
      reportingComponent: run.kind,
      reportingInstance: '',
    });
    ofRun.set(key, metadata.name);
  }

  function tryWrite(...what: Parameters<typeof write>): void {
    try {
      write(...what);
    } catch (error) {
      // A namespace that is going takes no new objects.
      log.debug('an event was not taken', { run: what[0].metadata.name, reason: what[2], error: String(error) });
    }
  }

  return {
    tell(run, before, after) {
      if (after === undefined || isSame(before, after)) return;
      const { status, reason = '', message = '' } = after;
      if (before === undefined) tryWrite(run, 'Normal', 'Started', '');
      const isOnHold = before === undefined && reason.endsWith('RunPending');
      if (isOnHold || reason === 'Started') return;
      if (status === 'True') tryWrite(run, 'Normal', 'Succeeded', message);
      else if (status === 'False') tryWrite(run, 'Warning', 'Failed', message);
      else tryWrite(run, 'Normal', reason, message);
    },
    forget(uid) {
      told.delete(uid);
    },
  };
}

function isSame(before: Condition | undefined, after: Condition): boolean {
  return before?.status === after.status && before.reason === after.reason && before.message === after.message;
}
