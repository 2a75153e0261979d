import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { notify, postOnce, signatureOf } from './hook-client.ts';
import { fluxEvent, forwarded, goJson } from './hook-events.ts';

/** What a server of these tests was asked. */
interface Asked {
  readonly rawHeaders: readonly string[];
  readonly body: string;
  readonly socket: number;
}

/** A server that answers one after the other, and the last for ever. */
async function answering(...answers: readonly ((response: ServerResponse) => void)[]) {
  const asked: Asked[] = [];
  const server = createServer(async (request: IncomingMessage, response) => {
    const body = Buffer.concat((await request.toArray()) as Buffer[]).toString();
    const answer = answers[Math.min(asked.length, answers.length - 1)];
    asked.push({ rawHeaders: request.rawHeaders, body, socket: request.socket.remotePort ?? 0 });
    answer?.(response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    asked,
    address: `http://127.0.0.1:${port}/hooks/apps/build`,
    host: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

const says =
  (status: number, headers: Readonly<Record<string, string>> = {}) =>
  (response: ServerResponse) =>
    void response.writeHead(status, headers).end('{}');
const hangsUp = (response: ServerResponse) => void response.destroy();

const event = fluxEvent({ namespace: 'apps', name: 'web', revision: `main@sha1:${'a'.repeat(40)}`, at: 0 });

describe('what notification-controller sends', () => {
  it('is signed over the bytes of the body', () => {
    const body = '{"involvedObject":{"kind":"GitRepository","namespace":"apps","name":"web"},"severity":"info"}';
    assert.equal(
      signatureOf('fluxkey', body),
      'sha256=bb19725af7f235c1bb9594f890a3478de22c162dd6ad59f57dcead59b4dce389',
    );
  });

  it('has its headers in the order of Go, those of the Secret among them, and the signature of the bytes', async () => {
    await using server = await answering(says(202));
    const provider = { address: server.address, token: 'key\n', headers: { Authorization: 'Bearer of-the-secret' } };
    await postOnce(provider, event);
    const [asked] = server.asked;
    const body = goJson(event);
    assert.equal(asked?.body, body);
    assert.deepEqual(asked.rawHeaders, [
      ...['Host', server.host],
      ...['User-Agent', 'Go-http-client/1.1'],
      ...['Content-Length', String(body.length)],
      ...['Authorization', 'Bearer of-the-secret'],
      ...['Content-Type', 'application/json'],
      ...['Gotk-Component', 'source-controller'],
      ...['X-Signature', signatureOf('key\n', body)],
      ...['Accept-Encoding', 'gzip'],
    ]);
  });

  it('escapes what Go escapes', () => {
    assert.equal(goJson({ message: '<a> & "b"' }), '{"message":"\\u003ca\\u003e \\u0026 \\"b\\""}');
  });

  it('has no prefixes, and nothing of what is its own', () => {
    const metadata = {
      'source.toolkit.fluxcd.io/revision': 'main@sha1:a',
      'source.toolkit.fluxcd.io/digest': 'sha256:b',
      'event.toolkit.fluxcd.io/commit': 'c',
      'helm.toolkit.fluxcd.io/token': 'of another group',
    };
    assert.deepEqual(forwarded({ ...event, metadata }).metadata, { commit: 'c', revision: 'main@sha1:a' });
    assert.ok(!('metadata' in forwarded({ ...event, metadata: { other: 'd' } })));
  });
});

describe('how long notification-controller goes on', () => {
  const table: readonly {
    readonly name: string;
    readonly answers: readonly ((response: ServerResponse) => void)[];
    readonly attempts: readonly (number | undefined)[];
    readonly isDelivered: boolean;
  }[] = [
    { name: 'any 2xx is an end', answers: [says(204)], attempts: [204], isDelivered: true },
    { name: 'a refusal is an end', answers: [says(401)], attempts: [401], isDelivered: false },
    { name: '501 is an end', answers: [says(501)], attempts: [501], isDelivered: false },
    {
      name: 'a connection that fails, 429 and 5xx are not',
      answers: [hangsUp, says(429), says(500), says(202)],
      attempts: [undefined, 429, 500, 202],
      isDelivered: true,
    },
    {
      name: 'left alone it tries four times within its 15 s',
      answers: [says(500)],
      attempts: [500, 500, 500, 500],
      isDelivered: false,
    },
    {
      name: 'five times where Retry-After says 3 s',
      answers: [says(503, { 'Retry-After': '3' })],
      attempts: [503, 503, 503, 503, 503],
      isDelivered: false,
    },
    {
      name: 'Retry-After of 500 says nothing',
      answers: [says(500, { 'Retry-After': '3' })],
      attempts: [500, 500, 500, 500],
      isDelivered: false,
    },
    {
      name: 'not at all where it is to wait for longer than it may',
      answers: [says(503, { 'Retry-After': '60' })],
      attempts: [503],
      isDelivered: false,
    },
  ];
  for (const { name, answers, attempts, isDelivered } of table) {
    it(name, async () => {
      await using server = await answering(...answers);
      const came = await notify({ address: server.address }, event, { haste: 1_000_000, now: () => 0 });
      assert.deepEqual([came.attempts, came.isDelivered], [attempts, isDelivered]);
      assert.equal(
        new Set(server.asked.map(({ socket }) => socket)).size,
        server.asked.length,
        'a fresh connection each',
      );
    });
  }
});
