import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { whyUnhealthy } from './healthcheck.ts';

describe('whyUnhealthy', () => {
  let server: Server | undefined;
  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
    server = undefined;
  });

  async function serve(handler: RequestListener, host = '127.0.0.1'): Promise<string> {
    server = createServer(handler).listen(0, host);
    await once(server, 'listening');
    return String((server.address() as AddressInfo).port);
  }

  for (const [host, bound] of [
    [undefined, '127.0.0.1'],
    ['', '127.0.0.1'],
    ['0.0.0.0', '0.0.0.0'],
    ['127.0.0.1', '127.0.0.1'],
    ['localhost', '127.0.0.1'],
  ] as const) {
    it(`asks /livez where HOST is ${host === undefined ? 'not set' : `"${host}"`}`, async () => {
      const asked: (string | undefined)[] = [];
      const port = await serve((request, response) => {
        asked.push(request.url);
        response.end('ok\n');
      }, bound);
      assert.equal(await whyUnhealthy({ METRICS_PORT: port, HOST: host }), undefined);
      assert.deepEqual(asked, ['/livez']);
    });
  }

  it('says what another status is', async () => {
    const port = await serve((_request, response) => response.writeHead(503).end());
    assert.equal(await whyUnhealthy({ METRICS_PORT: port }), `http://127.0.0.1:${port}/livez answers 503`);
  });

  it('says that nobody answers', async () => {
    const port = await serve(() => {});
    server?.close();
    assert.match((await whyUnhealthy({ METRICS_PORT: port })) ?? '', /\/livez does not answer: .*ECONNREFUSED/);
  });

  it('does not wait for ever', async () => {
    const port = await serve(() => {});
    assert.match((await whyUnhealthy({ METRICS_PORT: port }, 100)) ?? '', /\/livez does not answer: .*aborted/);
  });

  for (const { given, want } of [
    { given: '0', want: 'METRICS_PORT is 0, so nobody knows which port to ask; write one' },
    { given: 'x', want: 'METRICS_PORT is "x"; write a port from 1 to 65535, or 0 for any free one' },
  ]) {
    it(`refuses METRICS_PORT=${given}`, async () => assert.equal(await whyUnhealthy({ METRICS_PORT: given }), want));
  }
});
