/** What Tekton Triggers wrote on a run about where it comes from. https://tekton.dev/docs/triggers/eventlisteners/#labels-in-event-listeners */
import { present } from '../kube/objects.ts';
import type { RunStatus } from './types.ts';

/** The event that the run was made for. */
export const EVENT_ID_LABEL = 'triggers.tekton.dev/triggers-eventid';

/** The EventListener, the trigger in it and the event, as far as labels tell them; undefined when they tell nothing. */
export function triggerOf(labels: Readonly<Record<string, string>>): RunStatus['trigger'] {
  const trigger = present({
    eventListener: labels['triggers.tekton.dev/eventlistener'],
    trigger: labels['triggers.tekton.dev/trigger'],
    eventId: labels[EVENT_ID_LABEL],
  });
  return Object.keys(trigger).length === 0 ? undefined : trigger;
}
