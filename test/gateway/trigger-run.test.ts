/** `POST /triggers/:namespace/:trigger/run`: who may, what a key is good for, and what is written. */
import assert from 'node:assert/strict';
import request from 'supertest';
import { Fault } from '../../src/fault.ts';
import { buildApp } from '../../src/gateway/app.ts';
import type { Caller } from '../../src/gateway/callers/callers.ts';
import { createDrain } from '../../src/gateway/drain.ts';
import { triggerRunRoutes } from '../../src/gateway/triggers/run.ts';
import { type JsonObject, objectOf } from '../../src/kube/objects.ts';
import { WriteFault } from '../../src/kube/writer.ts';
import { type Log, silentLog } from '../../src/log.ts';
import { silentMetrics } from '../../src/metrics.ts';
import { openEntrance } from '../support/entrance.ts';
import { HandClock } from '../support/hand-clock.ts';

const PATH = '/triggers/ci/app/run';

/** The app with this route alone, and an API server with the trigger `ci/app`. */
class Rig {
  annotations: Record<string, string> = {};
  status: JsonObject = {};
  spec: JsonObject = {};
  version = 1;
  writes = 0;
  /** Somebody else writes before each of so many writes of ours. */
  rivals = 0;
  readFails: Fault | undefined;
  writeFails: Fault | undefined;
  readonly audited: unknown[] = [];
  readonly app;

  constructor(may: Partial<Caller> = { runs: ['ci'] }) {
    const clock = new HandClock();
    const callers = new Map(
      ['anna', 'bob'].map((name) => [name, { name, namespaces: ['ci', 'dev'], ...may } satisfies Caller]),
    );
    const log: Log = {
      ...silentLog,
      info: (message, fields) => void (message === 'audit' && this.audited.push(fields?.event)),
    };
    this.app = buildApp({
      ...openEntrance(clock),
      callers: {
        find: async (name, password) => (password === 'secret' ? callers.get(name) : undefined),
        named: (name) => callers.get(name),
      },
      readiness: () => ({ ready: true, watches: [] }),
      drain: createDrain(silentLog),
      routes: [
        triggerRunRoutes({
          served: ['ci', 'dev'],
          log,
          reader: {
            get: async (path) => {
              if (this.readFails !== undefined) throw this.readFails;
              if (!path.endsWith('/namespaces/ci/pipelinetriggers/app')) throw new Fault('not-found', '404');
              const { annotations, status, spec } = this;
              return {
                metadata: { annotations: { ...annotations }, resourceVersion: `${this.version}` },
                status,
                spec,
              };
            },
          },
          writer: {
            patch: async (_path, merge) => {
              if (this.writeFails !== undefined) throw this.writeFails;
              if (this.rivals > 0) {
                this.rivals--;
                this.version++;
              }
              const { annotations, resourceVersion } = objectOf(merge.metadata);
              if (resourceVersion !== `${this.version}`) {
                throw new WriteFault('conflict', '409', { status: 409, reason: 'Conflict', said: '' });
              }
              this.version++;
              this.writes++;
              Object.assign(this.annotations, annotations);
              return {};
            },
          },
        }),
      ],
      log: silentLog,
      metrics: silentMetrics,
      version: '1.2.3',
    });
  }

  get runAt() {
    return this.annotations['rungate.dev/runAt'];
  }

  /** The controller has begun what was asked for. */
  begin() {
    const { runAt = '' } = this;
    const keys = (this.status.handledKeys as readonly string[] | undefined) ?? [];
    this.status = { handledRunAt: runAt, handledKeys: [...keys, runAt] };
  }

  post(headers: Readonly<Record<string, string>> = { 'Idempotency-Key': 'one' }, path = PATH, name = 'anna') {
    return request(this.app).post(path).auth(name, 'secret').set(headers);
  }
}

describe('POST /triggers/:namespace/:trigger/run', () => {
  it('writes down that a run is asked for, and says where to look', async () => {
    const rig = new Rig();
    const answer = await rig.post().expect(202);
    assert.equal(answer.headers.location, '/triggers/ci/app');
    assert.deepEqual(answer.body, { namespace: 'ci', name: 'app', eventID: rig.runAt, runAt: rig.runAt, asked: 'now' });
    assert.match(rig.runAt ?? '', /^key-[0-9a-f]{32}$/);
    assert.deepEqual(rig.audited, ['run asked for']);
  });

  it('a key is one run, however often it is sent, and after others too; of somebody else it is another', async () => {
    const rig = new Rig();
    await rig.post();
    assert.equal((await rig.post().expect(202)).body.asked, 'before');
    rig.begin();
    await rig.post({ 'Idempotency-Key': 'two' }).expect(202);
    rig.begin();
    assert.equal((await rig.post().expect(202)).body.asked, 'before');
    assert.equal(rig.writes, 2);
    assert.equal((await rig.post({ 'Idempotency-Key': 'one' }, PATH, 'bob').expect(202)).body.asked, 'now');
    assert.equal(rig.writes, 3);
  });

  it('another run waits until the one before has begun, whoever asked for that', async () => {
    const rig = new Rig();
    await rig.post();
    const { body } = await rig.post({ 'Idempotency-Key': 'two' }).expect(409);
    assert.equal(body.code, 'conflict');
    rig.annotations = { 'rungate.dev/runAt': 'by kubectl' };
    await rig.post().expect(409);
    rig.status = { handledRunAt: 'by kubectl' };
    await rig.post().expect(202);
  });

  it('another run waits until that of a request is there, and not for one that was not asked for', async () => {
    const rig = new Rig();
    await rig.post();
    rig.begin();
    const owed = { ...rig.status, handledSequences: [3, 4], eventSequence: 4, latestPipelineRun: 'Unknown' };
    rig.status = owed;
    await rig.post({ 'Idempotency-Key': 'two' }).expect(409);
    assert.equal((await rig.post().expect(202)).body.asked, 'before');
    rig.status = { ...owed, eventSequence: 5 };
    await rig.post({ 'Idempotency-Key': 'two' }).expect(202);
    rig.begin();
    rig.status = { ...owed, handledRunAt: rig.runAt, latestPipelineRun: 'app-x' };
    await rig.post({ 'Idempotency-Key': 'three' }).expect(202);
  });

  it('a suspended trigger runs nothing', async () => {
    const rig = new Rig();
    rig.spec = { suspend: true };
    assert.match((await rig.post().expect(409)).body.error, /suspended/);
    assert.equal(rig.writes, 0);
  });

  it('without the header nothing is done: a page of another origin cannot send one unasked', async () => {
    const rig = new Rig();
    for (const headers of [
      {},
      { 'Content-Type': 'application/x-www-form-urlencoded' },
      { 'Idempotency-Key': '' },
      { 'Idempotency-Key': 'a b' },
      { 'Idempotency-Key': 'x'.repeat(256) },
    ]) {
      const { body } = await rig.post(headers as Record<string, string>).expect(400);
      assert.match(body.error, /Idempotency-Key/);
    }
    assert.equal(rig.writes, 0);
  });

  it('nobody may who is not named for it, and of namespaces that are not open nothing is said', async () => {
    for (const [may, path, error] of [
      [{}, PATH, /may not run the triggers/],
      [{ runs: ['dev'] }, PATH, /may not run the triggers/],
      [{ runs: 'all served' }, '/triggers/other/app/run', /not open to you/],
      [{ namespaces: ['dev'], runs: 'all served' }, PATH, /not open to you/],
    ] as const) {
      const rig = new Rig(may);
      const { body } = await rig.post({ 'Idempotency-Key': 'one' }, path).expect(403);
      assert.match(body.error, error);
      assert.deepEqual([rig.writes, rig.audited], [0, []]);
    }
    await new Rig({ runs: 'all served' }).post().expect(202);
  });

  it('a trigger that is not there is 404, and a name that none can have 400', async () => {
    const rig = new Rig();
    await rig.post({ 'Idempotency-Key': 'one' }, '/triggers/ci/other/run').expect(404);
    await rig.post({ 'Idempotency-Key': 'one' }, '/triggers/ci/A_B/run').expect(400);
    await rig.post({ 'Idempotency-Key': 'one' }, `${PATH}?now=1`).expect(400);
  });

  it('where rungate may not write it says what to apply', async () => {
    const rig = new Rig();
    rig.writeFails = new WriteFault('refused', '403', { status: 403, reason: 'Forbidden', said: 'secret words' });
    const { body, text } = await rig.post().expect(502);
    assert.match(body.error, /k8s\/components\/triggers-run/);
    assert.ok(!text.includes('secret words'));
    rig.writeFails = new Fault('unavailable', 'away');
    await rig.post().expect(503);
    rig.readFails = new Fault('timeout', 'no answer');
    await rig.post().expect(504);
  });

  it('whoever writes at the same time is let through first', async () => {
    const rig = new Rig();
    rig.rivals = 3;
    await rig.post().expect(202);
    assert.equal(rig.writes, 1);
    const busy = new Rig();
    busy.rivals = 100;
    await busy.post().expect(409);
  });

  it('is POST alone', async () => {
    const rig = new Rig();
    const { headers } = await request(rig.app).get(PATH).auth('anna', 'secret').expect(405);
    assert.equal(headers.allow, 'POST');
  });
});
