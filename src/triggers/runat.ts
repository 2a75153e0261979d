/** Values of `rungate.dev/runAt` that stand for a request. Anything else that somebody writes there is a value too. Pure. */
import { createHash } from 'node:crypto';
import type { ObjectRef } from '../kube/objects.ts';

const PREFIX = 'key-';

/** The value for a key that a caller gives a request: the same for the same caller, trigger and key, and for no others. */
export function runAtOf(caller: string, { namespace, name }: ObjectRef, key: string): string {
  const hash = createHash('sha256')
    .update(JSON.stringify([caller, namespace, name, key]))
    .digest('hex');
  return `${PREFIX}${hash.slice(0, 32)}`;
}

/** Whether a value is one of `runAtOf`. */
export function isKeyed(runAt: string): boolean {
  return /^key-[0-9a-f]{32}$/.test(runAt);
}
