/**
 * The peer of P8, a process: sees that a source of its namespace has a new revision, writes the status of the trigger of that
 * name, creates a run, and does nothing else.
 */
import { once } from 'node:events';
import https from 'node:https';
import { administratorOf, open } from './target.ts';
import { type Changed, changesIn, collectionOf, pendingRun } from './triggers.ts';

/** Where it acts; sent by the parent as the first message. It sends one back when it watches. */
export interface BareTrigger {
  readonly kubeconfig: string;
  readonly namespace: string;
}

/** As many as rungate looks at triggers beside each other. */
const BESIDE_EACH_OTHER = 10;

process.once('message', async ({ kubeconfig, namespace }: BareTrigger) => {
  const target = await administratorOf(kubeconfig);
  const agent = new https.Agent({ keepAlive: true, maxSockets: BESIDE_EACH_OTHER });
  const write = async (method: string, path: string, type: string, object: object): Promise<void> => {
    const headers = { ...target.headers, 'content-type': type };
    const call = https.request(target.origin + path, {
      agent,
      method,
      headers,
      ca: target.authority,
      ...target.certificate,
    });
    call.end(JSON.stringify(object));
    const [answer] = await once(call, 'response');
    const body = Buffer.concat(await answer.toArray());
    if (answer.statusCode >= 300) throw new Error(`${method} ${path} is answered ${answer.statusCode}: ${body}`);
  };
  const waiting: Changed[] = [];
  let working = 0;
  const work = async () => {
    working++;
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { name, revision } = next;
      const status = { latestEvent: revision, latestPipelineRun: 'Unknown' };
      const trigger = `${collectionOf('pipelinetriggers', namespace)}/${name}/status`;
      await write('PATCH', trigger, 'application/merge-patch+json', { status });
      const run = pendingRun({ name: `${name}-${revision.slice(-8)}`, trigger: name });
      await write('POST', collectionOf('pipelineruns', namespace), 'application/json', run);
    }
    working--;
  };
  const watched = await open(target, `${collectionOf('gitrepositories', namespace)}?watch=true`);
  changesIn(watched, (changed) => {
    if (changed.type !== 'MODIFIED') return;
    waiting.push(changed);
    if (working < BESIDE_EACH_OTHER) void work();
  });
  process.send?.('watches');
});
// Also when the parent was killed.
process.once('disconnect', () => process.exit());
// The parent ends us; a Ctrl-C at the terminal reaches both.
process.on('SIGINT', () => {});
