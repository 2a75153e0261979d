/** What an event is to the trigger that it was posted to, by what the two of them say alone. Pure. */
import { SOURCE_RESOURCES } from '../../flux/project.ts';
import type { HookedTrigger } from '../../triggers/hooked.ts';
import { expectedRevision } from '../eventrevision.ts';
import type { FluxEvent } from '../fluxevent.ts';
import type { TriggerResult } from '../outcome.ts';

/** Why an event is nothing to a trigger. */
export type Refusal = Required<Pick<TriggerResult, 'outcome' | 'reason' | 'message'>>;

/**
 * Why nothing is to be done about an event; undefined: its source is to be looked at. Owners of Alerts choose what is posted here, so that
 * of events which a trigger is not about most are no mistake: what a wildcard brings is `filtered`.
 */
export function refusalOf(event: FluxEvent, { meta, source, suspended, hook }: HookedTrigger): Refusal | undefined {
  const { group, kind, namespace, name } = event.involvedObject;
  if (hook === undefined) return filtered('NoHook', 'the trigger has no spec.hook');
  // Flux lets the Alerts of a namespace subscribe to objects of others, whoever they belong to.
  if (namespace !== meta.namespace) {
    const message = `events of namespace ${meta.namespace} only: a trigger is on a source of its own namespace`;
    return { outcome: 'denied', reason: 'NamespaceNotAllowed', message };
  }
  const isOfGroup = group === '' || group === SOURCE_RESOURCES[source.kind].group;
  if (kind !== source.kind || name !== source.name || !isOfGroup) {
    return filtered('SourceNotNamed', `the source of this trigger is ${source.kind} ${source.name}`);
  }
  if (hook.mode === 'watch') return filtered('WatchedOnly', 'spec.hook.mode is watch');
  if (suspended) return filtered('Suspended', 'spec.suspend is true');
  if (hook.on === 'Failure') {
    return event.severity === 'error' ? undefined : filtered('NoFailure', 'spec.hook.on is Failure');
  }
  if (event.severity === 'info') return undefined;
  const reason = expectedRevision(event) === undefined ? 'NoRevision' : 'NoSuccess';
  return filtered(reason, 'only events of severity info are run for, unless spec.hook.on is Failure');
}

function filtered(reason: string, message: string): Refusal {
  return { outcome: 'filtered', reason, message };
}
