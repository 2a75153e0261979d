/** Keys of Secrets that interceptors compare with, looked at live and kept for seconds. */
import type { Clock } from '../../clock.ts';
import { faultOf } from '../../fault.ts';
import type { KubeReader } from '../../kube/client.ts';
import { objectOf, stringOf } from '../../kube/objects.ts';
import type { ListenerWorld } from './world.ts';

/** So long a key is believed to be as it was. */
const FRESH_MS = 5_000;
const MOST_KEPT = 500;
const GET_MS = 2_000;
const NAME = /^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/;

/**
 * Makes the function that reads them. Those who ask at the same time share a request; that there is no such Secret is kept as well, that it
 * could not be read is not. Faults: as `KubeReader.get`, without `not-found`.
 */
export function createSecrets({
  reader,
  clock,
}: {
  readonly reader: Pick<KubeReader, 'get'>;
  readonly clock: Pick<Clock, 'steady'>;
}): ListenerWorld['secret'] {
  /** The one that was read longest ago is first. */
  const kept = new Map<string, { readonly value: Promise<Buffer | undefined>; readonly atMs: number }>();

  const read = async (namespace: string, name: string, key: string): Promise<Buffer | undefined> => {
    try {
      const path = `/api/v1/namespaces/${namespace}/secrets/${name}`;
      const data = objectOf((await reader.get(path, { timeoutMs: GET_MS })).data);
      if (typeof data[key] !== 'string') return undefined;
      return Buffer.from(stringOf(data[key]) ?? '', 'base64');
    } catch (error) {
      if (faultOf(error).code === 'not-found') return undefined;
      throw error;
    }
  };

  return async (namespace, name, key) => {
    if (!NAME.test(name)) return undefined;
    const id = JSON.stringify([namespace, name, key]);
    const before = kept.get(id);
    const nowMs = clock.steady();
    if (before !== undefined && nowMs - before.atMs < FRESH_MS) return before.value;
    const now = { value: read(namespace, name, key), atMs: nowMs };
    now.value.catch(() => {
      if (kept.get(id) === now) kept.delete(id);
    });
    kept.delete(id);
    kept.set(id, now);
    const [oldest] = kept.keys();
    if (kept.size > MOST_KEPT && oldest !== undefined) kept.delete(oldest);
    return now.value;
  };
}
