import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../test/support/eventually.ts';
import { createExternalLogs } from './externallogs.ts';
import type { ReadOutcome } from './podlog.ts';

describe('kube/externallogs', () => {
  const server = createServer();
  let url = '';
  let answer: (request: IncomingMessage, response: ServerResponse) => void = () => {};
  const asked: IncomingMessage[] = [];
  before(async () => {
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      asked.push(request);
      answer(request, response);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/kept`;
  });
  beforeEach(() => asked.splice(0));
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  async function read({
    bounds = {},
    at = url,
    lines,
    signal = new AbortController().signal,
  }: {
    readonly bounds?: { readonly idleMs?: number; readonly bytes?: number };
    readonly at?: string;
    readonly lines?: () => Promise<void>;
    readonly signal?: AbortSignal;
  } = {}): Promise<{ outcome: ReadOutcome | undefined; texts: readonly string[]; failures: readonly string[] }> {
    const texts: string[] = [];
    const failures: string[] = [];
    const logs = createExternalLogs(at, { connectMs: 5_000, idleMs: 5_000, bytes: 1e6, ...bounds });
    const outcome = await logs.read({
      namespace: 'ci',
      pod: 'build-pod',
      container: 'step-a b',
      startTime: '2026-11-01T10:00:00Z',
      completionTime: '2026-11-01T10:05:00Z',
      lines: (batch) => {
        texts.push(...batch.lines.map(({ text }) => String(text)));
        return lines?.();
      },
      failed: (how) => failures.push(how),
      signal,
    });
    return { outcome, texts, failures };
  }

  it('asks as Tekton Dashboard does, without credentials, and hands on the lines as they are', async () => {
    answer = (_, response) => response.end('one\n2026-11-01T10:00:00.000000000Z two\n\nlast');
    const { outcome, texts, failures } = await read();
    assert.equal(
      asked[0]?.url,
      '/kept/ci/build-pod/step-a%20b?startTime=2026-11-01T10%3A00%3A00Z&completionTime=2026-11-01T10%3A05%3A00Z',
    );
    assert.equal(asked[0]?.headers.authorization, undefined);
    assert.deepEqual(texts, ['one', '2026-11-01T10:00:00.000000000Z two', '', 'last']);
    assert.equal(outcome, 'complete');
    assert.deepEqual(failures, []);
  });

  it('a log that it does not have is no failure', async () => {
    answer = (_, response) => response.writeHead(404).end('nothing here');
    assert.deepEqual(await read(), { outcome: undefined, texts: [], failures: [] });
  });

  // Only silence is to be given up: a bound that is near makes one of a machine that has much to do.
  for (const { name, give, outcome, failure, idleMs = 30_000 } of [
    {
      name: 'a redirect is not followed',
      give: (response: ServerResponse) => response.writeHead(302, { location: 'http://169.254.169.254/' }).end(),
      outcome: undefined,
      failure: 'answers 302',
    },
    {
      name: 'an error is told',
      give: (response: ServerResponse) => response.writeHead(500).end('stack trace'),
      outcome: undefined,
      failure: 'answers 500',
    },
    {
      name: 'a packed answer is not taken for text',
      give: (response: ServerResponse) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('x'),
      outcome: undefined,
      failure: 'answers in the encoding gzip, which was not asked for',
    },
    {
      name: 'silence before the head is given up',
      give: () => {},
      idleMs: 200,
      outcome: undefined,
      failure: 'does not answer',
    },
    {
      name: 'silence within the log is given up, and what came is kept',
      give: (response: ServerResponse) => response.write('one\n'),
      idleMs: 2_000, // the head and the line have to come before
      outcome: 'incomplete',
      failure: 'went silent within the log',
    },
    {
      name: 'a log without end is cut off',
      give: (response: ServerResponse) => response.end('line\n'.repeat(300_000)),
      outcome: 'incomplete',
      failure: 'sends more than 1000000 bytes of one log',
    },
    {
      name: 'a connection that breaks is told',
      give: (response: ServerResponse) => {
        response.write('one\n');
        setImmediate(() => response.destroy());
      },
      outcome: 'incomplete',
      failure: 'broke off within the log',
    },
  ]) {
    it(name, async () => {
      answer = (_, response) => void give(response);
      const got = await read({ bounds: { idleMs } });
      assert.equal(got.outcome, outcome);
      assert.deepEqual(got.failures, [failure]);
      assert.equal(asked.length, 1);
    });
  }

  it('a server that is not there is told', async () => {
    const got = await read({ at: 'http://127.0.0.1:1' });
    assert.deepEqual(got, { outcome: undefined, texts: [], failures: ['cannot be reached'] });
  });

  it('a slow reader is not taken for a silent server', async () => {
    answer = (_, response) => response.end('one\n');
    const got = await read({ bounds: { idleMs: 1_000 }, lines: () => sleep(1_500) });
    assert.equal(got.outcome, 'complete');
    assert.deepEqual(got.failures, []);
  });

  it('leaving closes the connection, and is no failure', async () => {
    answer = (_, response) => response.write('one\n');
    const ending = new AbortController();
    const got = await read({ signal: ending.signal, lines: async () => ending.abort() });
    assert.deepEqual(got.failures, []);
    assert.equal(got.outcome, 'incomplete');
    await eventually(() => assert.equal(asked[0]?.socket.destroyed, true));
  });

  it('what its reader cannot take is thrown to it', async () => {
    answer = (_, response) => response.end('one\n');
    await assert.rejects(read({ lines: () => Promise.reject(new Error('cannot take this')) }), /cannot take this/);
  });
});
