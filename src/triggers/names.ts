/** What PipelineTriggers are called, and how their runs carry their name. */
import { createHash } from 'node:crypto';
import type { ObjectRef } from '../kube/objects.ts';

export const TRIGGER_GROUP = 'pipeline.jquad.rocks';
export const TRIGGER_API_VERSION = `${TRIGGER_GROUP}/v1alpha1`;
export const TRIGGER_KIND = 'PipelineTrigger';
/** The kind, in the versions we can read. A cluster may have none. */
export const TRIGGERS = { group: TRIGGER_GROUP, resource: 'pipelinetriggers', versions: ['v1alpha1'] };

/** Starts a run of the current event whenever its value changes. */
export const RUN_AT_ANNOTATION = 'rungate.dev/runAt';
/** What a replica that does not lead was told of by an event: whoever leads looks at the source when it changes. */
export const RANG_ANNOTATION = 'rungate.dev/rang';
/** The revisions that events told of and that were not run yet, separated by spaces, the latest first: see `toldIn`. */
export const TOLD_ANNOTATION = 'rungate.dev/event';

/** Stands in a status where the name of a run will be: the original operator wrote it between an event and its run. */
export const INTENDED_RUN = 'Unknown';

/** The path of a trigger. */
export function triggerPath({ namespace, name }: ObjectRef): string {
  return `/apis/${TRIGGER_API_VERSION}/namespaces/${namespace}/pipelinetriggers/${name}`;
}

const MOST_OF_LABEL = 63;

/**
 * The nearest label value to `text`: what a label cannot hold becomes a dash, and of a long one the beginning and a hash of all of
 * it stay. '' if nothing of it can be held. https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
 */
export function labelValue(text: string): string {
  const value = text
    .replace(/[^A-Za-z0-9._-]/gu, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .replace(/[^A-Za-z0-9]+$/, '');
  if (value.length <= MOST_OF_LABEL) return value;
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 8);
  return `${value.slice(0, MOST_OF_LABEL - 9)}-${hash}`;
}
