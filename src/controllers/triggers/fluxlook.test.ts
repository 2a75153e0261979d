import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Fault } from '../../fault.ts';
import { receiverPath } from '../../flux/receiver.ts';
import type { JsonObject } from '../../kube/objects.ts';
import { silentLog } from '../../log.ts';
import { createFluxLook, type FluxReceiver } from './fluxlook.ts';

const never = new AbortController().signal;
const web = { namespace: 'apps', name: 'web' };

describe('asking Flux to look', () => {
  const received: { readonly request: IncomingMessage; readonly body: string }[] = [];
  let status = 200;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      received.push({ request, body: Buffer.concat(chunks).toString() });
      response.writeHead(status, status === 302 ? { Location: '/elsewhere' } : {}).end();
    });
  });
  let receiver: FluxReceiver;
  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}${receiverPath('tok123', 'gw-receiver', 'apps')}`;
    receiver = { url, key: Buffer.from('tok123') };
  });
  after(() => void server.close());
  beforeEach(() => {
    received.length = 0;
    status = 200;
  });

  const look = (
    more: { readonly patchFails?: Fault; readonly receiver?: FluxReceiver; readonly path?: string } = {},
  ) => {
    const { patchFails, path = '/sources/web', ...rest } = more;
    const patched: JsonObject[] = [];
    const flux = createFluxLook({
      ...rest,
      sourcePath: async () => path,
      writer: {
        patch: async (_path, merge) => {
          if (patchFails !== undefined) throw patchFails;
          patched.push(merge);
          return {};
        },
      },
      log: silentLog,
    });
    return { flux, patched };
  };

  it('annotates the source, and leaves the Receiver alone', async () => {
    const { flux, patched } = look({ receiver });
    assert.equal(await flux.ask('GitRepository', web, 'x', never), true);
    assert.deepEqual(patched, [{ metadata: { annotations: { 'reconcile.fluxcd.io/requestedAt': 'x' } } }]);
    assert.equal(received.length, 0);
  });

  it('signs what it posts to the Receiver, where it may not write', async () => {
    const { flux } = look({ receiver, patchFails: new Fault('refused', 'no') });
    assert.equal(await flux.ask('GitRepository', web, 'x', never), true);
    const [{ request, body } = assert.fail('nothing was posted')] = received;
    const signature = createHmac('sha256', 'tok123').update(body).digest('hex');
    assert.deepEqual(
      [request.method, request.url, request.headers['x-signature']],
      ['POST', '/hook/56538b75a2faa2586120801fc1fb665c775d55385eefe748259ed791193f50a9', `sha256=${signature}`],
    );
  });

  it('says that it could not, with neither right nor Receiver', async () => {
    assert.equal(await look({ patchFails: new Fault('refused', 'no') }).flux.ask('Bucket', web, 'x', never), false);
  });

  for (const wrong of [302, 404, 503]) {
    it(`says that it could not when the Receiver answers ${wrong}`, async () => {
      status = wrong;
      const { flux } = look({ receiver, patchFails: new Fault('unavailable', 'away') });
      assert.equal(await flux.ask('GitRepository', web, 'x', never), false);
      assert.equal(received.length, 1, 'a redirect is not followed');
    });
  }

  it('is given up with its signal', async () => {
    const { flux } = look({ patchFails: new Fault('timeout', 'no answer') });
    await assert.rejects(flux.ask('GitRepository', web, 'x', AbortSignal.abort(new Error('stop'))), /stop/);
  });
});
