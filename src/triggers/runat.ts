/** Values of `rungate.dev/runAt` that stand for a request. Anything else that somebody writes there is a value too. Pure. */
import { createHash } from 'node:crypto';
import { type JsonObject, listOf, type ObjectRef, objectOf, stringOf, stringsOf } from '../kube/objects.ts';
import { INTENDED_RUN, RUN_AT_ANNOTATION } from './names.ts';

const PREFIX = 'key-';

/** The value for a key that a caller gives a request: the same for the same caller, trigger and key, and for no others. */
export function runAtOf(caller: string, { namespace, name }: ObjectRef, key: string): string {
  const hash = createHash('sha256')
    .update(JSON.stringify([caller, namespace, name, key]))
    .digest('hex');
  return `${PREFIX}${hash.slice(0, 32)}`;
}

/**
 * What becomes of a request, as the trigger stands: `asked` before, `suspended`, `taken` by another request whose run is not there yet and
 * would be lost, or `free` to be written down.
 */
export function judgeRequest(trigger: JsonObject, runAt: string): 'asked' | 'suspended' | 'taken' | 'free' {
  const status = objectOf(trigger.status);
  const before = stringsOf(objectOf(trigger.metadata).annotations)[RUN_AT_ANNOTATION] ?? '';
  if (before === runAt || listOf(status.handledKeys).includes(runAt)) return 'asked';
  if (objectOf(trigger.spec).suspend === true) return 'suspended';
  if (before === '') return 'free';
  return before !== stringOf(status.handledRunAt) || isOwed(status) ? 'taken' : 'free';
}

/** Whether the run of a request was taken note of and is not there yet. */
function isOwed({ handledSequences, eventSequence, latestPipelineRun }: JsonObject): boolean {
  const last = listOf(handledSequences)[1];
  return last !== undefined && last === eventSequence && latestPipelineRun === INTENDED_RUN;
}

/** Whether a value is one of `runAtOf`. */
export function isKeyed(runAt: string): boolean {
  return /^key-[0-9a-f]{32}$/.test(runAt);
}
