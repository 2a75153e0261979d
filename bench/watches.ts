/** Many watches of one collection, and how fast all of them have seen what changes. */
import type { IncomingMessage } from 'node:http';
import { creationRate } from './load.ts';
import { open, remove, type Target } from './target.ts';

/** What a watch has received so far. */
interface Seen {
  readonly answer: IncomingMessage;
  events: number;
  bytes: number;
}

/**
 * Watches the ConfigMaps of a namespace `watches` times, creates `changes` of them, and resolves with the events per second
 * that all watches together have seen, from the first create to the last event. Throws unless each has seen each change.
 */
export async function eventRate(
  target: Target,
  namespace: string,
  { watches, changes }: { readonly watches: number; readonly changes: number },
): Promise<number> {
  const collection = `/api/v1/namespaces/${namespace}/configmaps`;
  const path = `${collection}?watch=true&resourceVersion=${await versionOf(target, collection)}`;
  const seen: Seen[] = [];
  // In portions: a server's backlog of connections is short.
  while (seen.length < watches) {
    const portion = Array.from({ length: Math.min(50, watches - seen.length) }, () => open(target, path));
    seen.push(...(await Promise.all(portion)).map((answer) => ({ answer, events: 0, bytes: 0 })));
  }
  const allSeen = Promise.withResolvers<void>();
  let waiting = watches;
  for (const one of seen) {
    one.answer.on('data', (chunk: Buffer) => {
      one.bytes += chunk.length;
      for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) one.events++;
      if (one.events >= changes && --waiting === 0) allSeen.resolve();
    });
    one.answer.once('close', () => allSeen.reject(new Error(`a watch ended after ${one.events} of ${changes} events`)));
  }
  const beganAt = performance.now();
  await Promise.all([creationRate(target, collection, small, changes), allSeen.promise]);
  const seconds = (performance.now() - beganAt) / 1000;
  for (const { answer } of seen) answer.removeAllListeners('close').destroy();
  const [first] = seen;
  if (seen.some(({ events, bytes }) => events !== changes || bytes !== first?.bytes)) {
    throw new Error('the watches of one collection have seen different changes');
  }
  return (watches * changes) / seconds;
}

/** A ConfigMap as small as most are; the server finds its name. */
export const small = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { generateName: 'bench-', labels: { 'app.kubernetes.io/part-of': 'bench' } },
  data: { branch: 'main', revision: '6a1f0c2' },
};

/** Deletes all ConfigMaps of a namespace. */
export async function emptied(target: Target, namespace: string): Promise<void> {
  await remove(target, `/api/v1/namespaces/${namespace}/configmaps`);
}

async function versionOf(target: Target, collection: string): Promise<string> {
  const answer = await open(target, `${collection}?limit=1`);
  const list = JSON.parse(Buffer.concat(await answer.toArray()).toString()) as {
    readonly metadata: { readonly resourceVersion: string };
  };
  return list.metadata.resourceVersion;
}
