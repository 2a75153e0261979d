/**
 * The peer of P13, a process: reads a body, checks its signature, creates the run that it asks for, answers 202, and does nothing
 * else. It is told where in its first message, and sends its port back.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { administratorOf } from './target.ts';
import { collectionOf, pendingRun } from './triggers.ts';

/** Where it acts, and what opens it. */
export interface BareHook {
  readonly kubeconfig: string;
  readonly namespace: string;
  readonly token: string;
}

process.once('message', async ({ kubeconfig, namespace, token }: BareHook) => {
  const target = await administratorOf(kubeconfig);
  const agent = new https.Agent({ keepAlive: true, maxSockets: 64 });
  const headers = { ...target.headers, 'content-type': 'application/json' };
  const path = collectionOf('pipelineruns', namespace);
  const create = async (run: object): Promise<number> => {
    const options = { agent, method: 'POST', headers, ca: target.authority, ...target.certificate };
    const call = https.request(target.origin + path, options);
    call.end(JSON.stringify(run));
    const [answer] = (await once(call, 'response')) as [IncomingMessage];
    await answer.toArray();
    return answer.statusCode ?? 0;
  };
  const server = createServer(async (request, response) => {
    const raw = Buffer.concat((await request.toArray()) as Buffer[]);
    const shown = Buffer.from(String(request.headers['x-signature']).replace('sha256=', ''), 'hex');
    const right = createHmac('sha256', token).update(raw).digest();
    if (shown.length !== right.length || !timingSafeEqual(shown, right)) return response.writeHead(401).end();
    const { after } = JSON.parse(raw.toString()) as { readonly after: string };
    const status = await create(pendingRun({ name: `bare-${after.slice(-16)}`, trigger: 'bare' }));
    response.writeHead(status === 201 ? 202 : 503).end();
  });
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
});
// Also when the parent was killed.
process.once('disconnect', () => process.exit());
// The parent ends us; a Ctrl-C at the terminal reaches both.
process.on('SIGINT', () => {});
