/** The second cluster, asked over HTTPS as it would be, and what is made of every answer it may give. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LoopbackCertificate, loopbackCertificate } from '../../../test/support/certificate.ts';
import { HandClock } from '../../../test/support/hand-clock.ts';
import type { Json, JsonObject } from '../../kube/objects.ts';
import { silentLog } from '../../log.ts';
import { silentMetrics } from '../../metrics.ts';
import { createSecondCluster, type SecondClusterParts } from './secondcluster.ts';

const never = new AbortController().signal;
const branch = 'pipeline.jquad.rocks/git.repository.branch.name';
const commit = 'pipeline.jquad.rocks/git.repository.branch.commit';
const trigger = 'pipeline.jquad.rocks/pipelinetrigger';

/** The run that is about to be created here. */
const run: JsonObject = {
  metadata: {
    namespace: 'ci',
    name: 'app-1',
    labels: { app: 'shop', [branch]: 'main', [commit]: '03da4fd', [trigger]: 't' },
  },
  spec: { pipelineRef: { name: 'build' } },
};
const labels = { [branch]: 'main', [commit]: '03da4fd' };

/** A run there. */
const there = (more: Readonly<Record<string, string>>, spec: JsonObject = {}): JsonObject => ({
  metadata: { namespace: 'ci', name: 'x', labels: { ...labels, ...more } },
  spec,
});
const list = (...items: readonly Json[]): JsonObject => ({ kind: 'PipelineRunList', metadata: {}, items });

describe('the second cluster', () => {
  let certificate: LoopbackCertificate;
  let server: Server;
  let folder: string;
  let caFile: string;
  let asked: { path: string; selector: string | null; authorization: string | undefined }[];
  let answer: (request: IncomingMessage, response: ServerResponse) => void;
  const clusters: { close(): void }[] = [];

  before(async () => {
    certificate = await loopbackCertificate();
    folder = await mkdtemp(join(tmpdir(), 'rungate-second-'));
    caFile = join(folder, 'ca.pem');
    await writeFile(caFile, certificate.authority);
    server = createServer({ key: certificate.key, cert: certificate.certificate }, (request, response) => {
      const url = new URL(request.url ?? '', 'https://second');
      asked.push({
        path: url.pathname,
        selector: url.searchParams.get('labelSelector'),
        authorization: request.headers.authorization,
      });
      answer(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  after(async () => {
    server.close();
    server.closeAllConnections();
    await rm(folder, { recursive: true, force: true });
  });
  beforeEach(() => {
    asked = [];
    says(200, list());
  });
  afterEach(() => {
    for (const cluster of clusters.splice(0)) cluster.close();
  });

  function says(status: number, body: JsonObject): void {
    answer = (_request, response) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
  }

  const ask = (more: Partial<SecondClusterParts> = {}) => {
    const { port } = server.address() as AddressInfo; // it listens on TCP
    const cluster = createSecondCluster({
      address: `https://127.0.0.1:${port}/`,
      token: { text: 's3cret' },
      caFile,
      insecureSkipVerify: false,
      failOpen: false,
      clock: new HandClock(),
      log: silentLog,
      metrics: silentMetrics,
      ...more,
    });
    clusters.push(cluster);
    return cluster;
  };

  it('trigger 41: is asked for the runs of the event in the namespace, with the token', async () => {
    assert.equal(await ask().covers(run, never), 'free');
    assert.deepEqual(asked, [
      {
        path: '/apis/tekton.dev/v1/namespaces/ci/pipelineruns',
        selector: `${branch}=main,${commit}=03da4fd`,
        authorization: 'Bearer s3cret',
      },
    ]);
  });

  const answers: readonly [name: string, items: readonly JsonObject[], want: 'covered' | 'free'][] = [
    ['trigger 41: a run of the original', [there({ 'tekton.dev/pipeline': 'build' })], 'covered'],
    ['a run of ours', [there({ [trigger]: 't', 'tekton.dev/pipeline': 'build' })], 'covered'],
    ['a run that Tekton has not seen yet', [there({}, { pipelineRef: { name: 'build' } })], 'covered'],
    ['a run of another trigger', [there({ [trigger]: 'other', 'tekton.dev/pipeline': 'build' })], 'free'],
    ['a run of another Pipeline', [there({ 'tekton.dev/pipeline': 'deploy' })], 'free'],
    ['a run that was not asked for', [there({ [commit]: 'ffff', 'tekton.dev/pipeline': 'build' })], 'free'],
    ['the second of two', [there({ [commit]: 'f' }), there({ 'tekton.dev/pipeline': 'build' })], 'covered'],
  ];
  for (const [name, items, want] of answers) {
    it(`${name}: ${want}`, async () => {
      says(200, list(...items));
      assert.equal(await ask().covers(run, never), want);
    });
  }

  it('a run that names no Pipeline is covered by any for its event', async () => {
    says(200, list(there({ 'tekton.dev/pipeline': 'whatever' })));
    assert.equal(await ask().covers({ ...run, spec: { pipelineSpec: {} } }, never), 'covered');
  });

  it('a run without labels of an event is free, and nothing is asked', async () => {
    assert.equal(await ask().covers({ metadata: { namespace: 'ci', labels: { app: 'shop' } } }, never), 'free');
    assert.deepEqual(asked, []);
  });

  it('is asked in version v1beta1 where it has no other', async () => {
    answer = (request, response) => {
      const isOld = request.url?.startsWith('/apis/tekton.dev/v1beta1/') === true;
      response
        .writeHead(isOld ? 200 : 404)
        .end(JSON.stringify(isOld ? list(there({ 'tekton.dev/pipeline': 'build' })) : { kind: 'Status' }));
    };
    assert.equal(await ask().covers(run, never), 'covered');
    assert.equal(asked.length, 2);
  });

  it('is read page by page, and no longer than that makes sense', async () => {
    answer = (request, response) => {
      const after = Number(new URL(request.url ?? '', 'https://second').searchParams.get('continue') ?? 0);
      const items = after === 3 ? [there({ 'tekton.dev/pipeline': 'build' })] : [];
      response.writeHead(200).end(JSON.stringify({ ...list(...items), metadata: { continue: String(after + 1) } }));
    };
    assert.equal(await ask().covers(run, never), 'covered');
    assert.equal(asked.length, 4);
    says(200, { ...list(), metadata: { continue: 'for ever' } });
    asked = [];
    await assert.rejects(ask().covers(run, never), { code: 'unavailable' });
    assert(asked.length <= 20);
  });

  const failures: readonly [name: string, status: number, body: JsonObject, why: RegExp][] = [
    ['no rights there', 403, { kind: 'Status', message: 'user "x" cannot list' }, /refused the request \(403\)$/],
    ['a token that is not known', 401, { kind: 'Status' }, /\(401\)$/],
    ['no Tekton there', 404, { kind: 'Status' }, /it serves no PipelineRuns \(404\)$/],
    ['an error there', 500, { kind: 'Status' }, /\(500\)$/],
    ['an answer of something else', 200, { hello: 'world' }, /something that is no list$/],
  ];
  for (const [name, status, body, why] of failures) {
    it(`trigger 41: ${name}: the run waits`, async () => {
      says(status, body);
      await assert.rejects(ask().covers(run, never), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'unavailable');
        assert.match(error.message, /^the run waits, because the second cluster cannot be asked: /);
        assert.match(error.message, why);
        assert.doesNotMatch(error.message, /s3cret|cannot list/);
        return true;
      });
    });
  }

  it('nobody there: the run waits, for ever unless it may fail open, and then for 60 s', async () => {
    for (const failOpen of [false, true]) {
      const clock = new HandClock();
      const cluster = ask({ address: 'https://127.0.0.1:1', failOpen, clock });
      await assert.rejects(cluster.covers(run, never), { code: 'unavailable' });
      await clock.turn(59_000);
      await assert.rejects(cluster.covers(run, never), { code: 'unavailable' });
      await clock.turn(1_000);
      const last = cluster.covers(run, never);
      if (failOpen) assert.equal(await last, 'free');
      else await assert.rejects(last, { code: 'unavailable' });
      await assert.rejects(
        cluster.covers({ ...run, metadata: { namespace: 'other', labels } }, never),
        { code: 'unavailable' },
        'each event waits by itself',
      );
    }
  });

  it('is not told the token where its certificate is not trusted, unless that is wanted', async () => {
    await assert.rejects(
      ask({ caFile: undefined }).covers(run, never),
      /certificate of the Kubernetes API is not trusted/,
    );
    assert.deepEqual(asked, []);
    assert.equal(await ask({ caFile: undefined, insecureSkipVerify: true }).covers(run, never), 'free');
    assert.equal(asked.length, 1);
  });

  it('is told the token that the file has now', async () => {
    const file = join(folder, 'token');
    await writeFile(file, 'first\n');
    const cluster = ask({ token: { file } });
    await cluster.covers(run, never);
    await writeFile(file, 'second\n');
    await cluster.covers(run, never);
    assert.deepEqual(
      asked.map(({ authorization }) => authorization),
      ['Bearer first', 'Bearer second'],
    );
    await rm(file);
    await assert.rejects(cluster.covers(run, never), /SECOND_CLUSTER_TOKEN_FILE: .* cannot be read$/);
  });

  it('is told no token in plain text, but on this machine', () => {
    const parts = { token: { text: 's3cret' }, insecureSkipVerify: false, failOpen: false };
    for (const address of ['http://second.example', 'second.example:6443', '', 'file:///etc/passwd']) {
      assert.throws(() => ask({ ...parts, address }), { code: 'bad-request' }, address);
    }
    ask({ ...parts, address: 'http://127.0.0.1:8001' });
  });

  it('that does not answer any more is not waited for when the caller goes', async () => {
    const gone = new AbortController();
    answer = () => gone.abort(new Error('stopping'));
    await assert.rejects(ask().covers(run, gone.signal), /stopping/);
  });
});
