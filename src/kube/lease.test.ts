import assert from 'node:assert/strict';
import fc from 'fast-check';
import { eventually } from '../../test/support/eventually.ts';
import { HandClock } from '../../test/support/hand-clock.ts';
import { startSandbox } from '../../test/support/sandbox.ts';
import { Fault, faultOf } from '../fault.ts';
import type { Log, LogFields } from '../log.ts';
import { silentLog } from '../log.ts';
import { silentMetrics } from '../metrics.ts';
import { kubeClient } from './client.ts';
import { allOf, createElection, type Election, type ElectionParts, fence, type Leadership } from './lease.ts';
import { type JsonObject, objectOf, stringOf } from './objects.ts';
import { type KubeWriter, WriteFault, type WriteOptions } from './writer.ts';

const LEASE = { namespace: 'rungate', name: 'bb9e0b30.jquad.rocks' };

/** What becomes of a call: it may never arrive, or its answer may not, and either may take its time. */
interface Fate {
  readonly type: 'answered' | 'lost' | 'unheard' | 'refused' | 'failed';
  readonly thereMs?: number;
  readonly backMs?: number;
}

/** One Lease as an API server keeps it, in memory, in the time of the test. */
class LeaseServer {
  readonly #clock: HandClock;
  #version = 0;
  lease: JsonObject | undefined;
  readonly writes: JsonObject[] = [];

  constructor(clock: HandClock) {
    this.#clock = clock;
  }

  get spec(): JsonObject {
    return objectOf(this.lease?.spec);
  }

  /** Writes as somebody at a keyboard would. */
  put(spec: JsonObject | undefined): void {
    this.#version += 1;
    const metadata = { name: LEASE.name, namespace: LEASE.namespace, resourceVersion: String(this.#version) };
    this.lease = spec === undefined ? undefined : { metadata, spec };
  }

  /** A client whose calls meet the fates that `next` gives. */
  client(next: () => Fate = () => ({ type: 'answered' })): ElectionParts['client'] {
    const call = async (work: () => JsonObject, { timeoutMs = 10_000, signal }: WriteOptions = {}) => {
      const fate = next();
      const serve = async (): Promise<JsonObject> => {
        if (fate.thereMs) await this.#clock.sleep(fate.thereMs);
        if (fate.type === 'lost') return new Promise(() => {});
        if (fate.type === 'failed') throw new Fault('unavailable', 'Kubernetes is not available (500)');
        if (fate.type === 'refused') throw fault('refused', 403, 'Forbidden');
        const answer = work();
        if (fate.backMs) await this.#clock.sleep(fate.backMs);
        return fate.type === 'unheard' ? new Promise(() => {}) : answer;
      };
      const ending = new AbortController();
      signal?.addEventListener('abort', () => ending.abort(), { once: true });
      if (signal?.aborted) throw signal.reason;
      const patience = this.#clock.sleep(timeoutMs, ending.signal).then(() => {
        throw signal?.aborted ? signal.reason : new Fault('timeout', 'Kubernetes did not answer in time');
      });
      patience.catch(() => {}); // the answer came first
      try {
        return await Promise.race([serve(), patience]);
      } finally {
        ending.abort();
      }
    };
    return {
      get: (_path, more = {}) =>
        call(
          () => {
            if (this.lease === undefined) throw fault('not-found', 404, 'NotFound');
            return this.lease;
          },
          {
            ...(more.timeoutMs === undefined ? {} : { timeoutMs: more.timeoutMs }),
            ...(more.signal ? { signal: more.signal } : {}),
          },
        ),
      stream: () => Promise.reject(new Error('an election streams nothing')),
      create: (_path, object, more) =>
        call(() => {
          if (this.lease !== undefined) throw fault('conflict', 409, 'AlreadyExists');
          return this.#store(object);
        }, more),
      replace: (_path, object, more) =>
        call(() => {
          if (this.lease === undefined) throw fault('not-found', 404, 'NotFound');
          const { resourceVersion } = objectOf(this.lease.metadata);
          if (objectOf(object.metadata).resourceVersion !== resourceVersion) throw fault('conflict', 409, 'Conflict');
          return this.#store(object);
        }, more),
    };
  }

  #store(object: JsonObject): JsonObject {
    this.#version += 1;
    this.lease = { ...object, metadata: { ...objectOf(object.metadata), resourceVersion: String(this.#version) } };
    this.writes.push(this.lease);
    return this.lease;
  }
}

function fault(code: Fault['code'], status: number, reason: string): WriteFault {
  return new WriteFault(code, `Kubernetes said ${status}`, { status, reason, said: `no (${reason})` });
}

describe('createElection', () => {
  const running: { election: Election; clock: HandClock }[] = [];
  afterEach(async () => {
    for (const { election, clock } of running.splice(0)) {
      const stopping = election.stop(AbortSignal.abort());
      await clock.turn(60_000);
      await stopping;
    }
  });

  const start = async (
    identity: string,
    clock: HandClock,
    more: Partial<ElectionParts> & Pick<ElectionParts, 'client'>,
  ) => {
    const heard: boolean[] = [];
    const election = createElection({ ...LEASE, identity, clock, random: () => 0, log: silentLog, ...more });
    election.subscribe((held) => heard.push(held));
    running.push({ election, clock });
    await election.start();
    await clock.settle();
    return { election, heard };
  };
  const ground = () => {
    const clock = new HandClock();
    return { clock, server: new LeaseServer(clock) };
  };
  /** Nothing arrives any more once `isCut`. */
  const cuttable = () => {
    const wire: { fate: Fate } = { fate: { type: 'answered' } };
    return { wire, next: () => wire.fate };
  };
  const recorder = () => {
    const lines: { level: string; message: string; fields: LogFields }[] = [];
    const write =
      (level: string) =>
      (message: string, fields: LogFields = {}) =>
        void lines.push({ level, message, fields });
    const log: Log = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
    return { lines, log };
  };

  describe('a Lease that nobody has', () => {
    it('is made as client-go makes it, and renewed every two seconds', async () => {
      const { clock, server } = ground();
      const { election, heard } = await start('a_1', clock, { client: server.client() });
      assert.equal(election.held(), true);
      assert.deepEqual(heard, [true]);
      assert.equal(election.holder(), 'a_1');
      assert.deepEqual(server.lease, {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { ...LEASE, resourceVersion: '1' },
        spec: {
          holderIdentity: 'a_1',
          leaseDurationSeconds: 15,
          acquireTime: '2026-11-01T10:00:00.000000Z',
          renewTime: '2026-11-01T10:00:00.000000Z',
          leaseTransitions: 0,
        },
      });
      await clock.turn(6_000);
      assert.equal(server.writes.length, 4);
      assert.equal(server.spec.acquireTime, '2026-11-01T10:00:00.000000Z');
      assert.equal(server.spec.renewTime, '2026-11-01T10:00:06.000000Z');
      assert.equal(server.spec.leaseTransitions, 0);
    });

    it('is certain for ten seconds from when its renewal was sent', async () => {
      const { clock, server } = ground();
      const { election } = await start('a', clock, {
        client: server.client(() => ({ type: 'answered', thereMs: 300 })),
      });
      await clock.turn(600);
      assert.equal(election.remainingMs(), 9_700);
    });

    it('one that was given back is taken at once, and counts as another transition', async () => {
      const { clock, server } = ground();
      server.put({ holderIdentity: '', leaseDurationSeconds: 1, leaseTransitions: 4 });
      const { election } = await start('a', clock, { client: server.client() });
      assert.equal(election.held(), true);
      assert.equal(server.spec.leaseTransitions, 5);
    });

    it('what others have put beside the record stays', async () => {
      const { clock, server } = ground();
      server.put({ holderIdentity: '', strategy: 'OldestEmulationVersion' });
      server.lease = { ...server.lease, metadata: { ...objectOf(server.lease?.metadata), labels: { owner: 'ops' } } };
      await start('a', clock, { client: server.client() });
      assert.equal(server.spec.strategy, 'OldestEmulationVersion');
      assert.deepEqual(objectOf(server.lease.metadata).labels, { owner: 'ops' });
    });
  });

  describe('a Lease that another one has', () => {
    it('is not taken while it is renewed, whatever time its record tells', async () => {
      const { clock, server } = ground();
      const renew = (count: number) =>
        server.put({ holderIdentity: 'b', leaseDurationSeconds: 15, renewTime: `1999-01-01T00:00:00.00000${count}Z` });
      renew(0);
      const { election, heard } = await start('a', clock, { client: server.client() });
      for (let count = 1; count < 9; count++) {
        await clock.turn(10_000);
        renew(count);
      }
      assert.equal(election.held(), false);
      assert.equal(election.holder(), 'b');
      assert.deepEqual(heard, []);
      assert.equal(server.writes.length, 0);
    });

    it('is taken when it has not changed for as long as it says, counted from when we saw it', async () => {
      const { clock, server } = ground();
      server.put({ holderIdentity: 'b', leaseDurationSeconds: 15, renewTime: '2199-01-01T00:00:00.000000Z' });
      const { election } = await start('a', clock, { client: server.client() });
      await clock.turn(14_900);
      assert.equal(election.held(), false);
      await clock.turn(100);
      assert.equal(election.held(), true);
      assert.equal(server.spec.leaseTransitions, 1);
    });

    it('the duration is that of its holder, not ours', async () => {
      const { clock, server } = ground();
      server.put({ holderIdentity: 'b', leaseDurationSeconds: 60 });
      const { election } = await start('a', clock, { client: server.client(), leaseSeconds: 3 });
      await clock.turn(59_000);
      assert.equal(election.held(), false);
      await clock.turn(1_500);
      assert.equal(election.held(), true);
    });

    it('one that is deleted under its holder is not taken before he must have noticed', async () => {
      const { clock, server } = ground();
      server.put({ holderIdentity: 'b', leaseDurationSeconds: 15 });
      const { election } = await start('a', clock, { client: server.client() });
      await clock.turn(10_000);
      server.put(undefined);
      await clock.turn(14_900);
      assert.equal(election.held(), false);
      await clock.turn(3_000);
      assert.equal(election.held(), true);
    });

    for (const spec of [
      {},
      { holderIdentity: 7, leaseDurationSeconds: 'soon' },
      { holderIdentity: 'b', leaseDurationSeconds: -1 },
    ]) {
      it(`one that makes no sense ends nothing: ${JSON.stringify(spec)}`, async () => {
        const { clock, server } = ground();
        server.put(spec);
        const { election } = await start('a', clock, { client: server.client() });
        await clock.turn(18_000);
        assert.equal(election.held(), true);
      });
    }
  });

  describe('losing it', () => {
    it('happens ten seconds after the last renewal when nothing can be renewed; the listeners hear it then', async () => {
      const { clock, server } = ground();
      const { wire, next } = cuttable();
      const { election, heard } = await start('a', clock, { client: server.client(next) });
      wire.fate = { type: 'lost' };
      await clock.turn(9_999);
      assert.equal(election.held(), true);
      assert.equal(election.remainingMs(), 1);
      await clock.turn(1);
      assert.deepEqual([election.held(), election.remainingMs(), heard], [false, 0, [true, false]]);
      wire.fate = { type: 'answered' };
      await clock.turn(5_000);
      assert.equal(election.held(), true, 'nobody else has taken it');
    });

    it('one renewal without an answer is not the end', async () => {
      const { clock, server } = ground();
      let count = 0;
      const next = (): Fate => ({ type: ++count === 4 ? 'unheard' : 'answered' });
      const { heard } = await start('a', clock, { client: server.client(next) });
      await clock.turn(60_000);
      assert.deepEqual(heard, [true]);
    });

    it('somebody who edits the Lease beside us does not cost us anything', async () => {
      const { clock, server } = ground();
      const { heard } = await start('a', clock, { client: server.client() });
      server.put({ ...server.spec, strategy: 'edited' });
      await clock.turn(10_000);
      assert.deepEqual(heard, [true]);
      assert.equal(server.spec.strategy, 'edited');
    });

    it('somebody who takes it is believed at the next renewal', async () => {
      const { clock, server } = ground();
      const { election, heard } = await start('a', clock, { client: server.client() });
      server.put({ holderIdentity: 'b', leaseDurationSeconds: 15 });
      await clock.turn(2_000);
      assert.deepEqual([election.held(), heard, election.holder()], [false, [true, false], 'b']);
    });

    it('a Lease that was deleted is made again by whoever holds it', async () => {
      const { clock, server } = ground();
      const { heard } = await start('a', clock, { client: server.client() });
      server.put(undefined);
      await clock.turn(2_000);
      assert.equal(server.spec.holderIdentity, 'a');
      assert.deepEqual(heard, [true]);
    });

    it('a listener that fails does not keep the others from hearing', async () => {
      const { clock, server } = ground();
      const { lines, log } = recorder();
      const election = createElection({
        ...LEASE,
        identity: 'a',
        client: server.client(),
        clock,
        random: () => 0,
        log,
      });
      running.push({ election, clock });
      const heard: boolean[] = [];
      election.subscribe(() => assert.fail('a mistake of ours'));
      const end = election.subscribe((held) => heard.push(held));
      await election.start();
      await clock.settle();
      assert.deepEqual(heard, [true]);
      end();
      assert(lines.some(({ level }) => level === 'error'));
    });
  });

  describe('trouble', () => {
    for (const type of ['refused', 'failed', 'lost'] as const) {
      it(`an API that is ${type}: said once, tried on, and never taken for leading`, async () => {
        const { clock, server } = ground();
        const { wire, next } = cuttable();
        const { lines, log } = recorder();
        wire.fate = { type };
        const { election } = await start('a', clock, { client: server.client(next), log });
        await clock.turn(120_000);
        assert.equal(election.held(), false);
        assert.equal(election.holder(), undefined);
        assert.deepEqual(
          lines.map(({ level, message }) => [level, message]),
          [['warn', 'the Lease cannot be read or written: trying on']],
        );
        wire.fate = { type: 'answered' };
        await clock.turn(8_000);
        assert.equal(election.held(), true);
      });
    }
  });

  describe('stop', () => {
    it('tells the listeners, waits for the writes in flight, and then gives the Lease back', async () => {
      const { clock, server } = ground();
      const writes = Promise.withResolvers<void>();
      const { election, heard } = await start('a', clock, { client: server.client(), settled: () => writes.promise });
      const stopping = election.stop(new AbortController().signal);
      await clock.turn(1_000);
      assert.deepEqual([election.held(), heard], [false, [true, false]]);
      assert.equal(server.spec.holderIdentity, 'a');
      writes.resolve();
      await clock.turn(0);
      await stopping;
      assert.deepEqual(
        [server.spec.holderIdentity, server.spec.leaseDurationSeconds, server.spec.leaseTransitions],
        ['', 1, 0],
      );
      assert.equal(clock.sleeping, 0);
      const other = await start('b', clock, { client: server.client() });
      assert.equal(other.election.held(), true);
    });

    it('with writes that do not end the Lease is kept until it has run out', async () => {
      const { clock, server } = ground();
      const settled = () => new Promise<void>(() => {});
      const { election } = await start('a', clock, { client: server.client(), settled });
      const deadline = new AbortController();
      const stopping = election.stop(deadline.signal);
      deadline.abort();
      await stopping;
      assert.equal(server.spec.holderIdentity, 'a');
    });

    it('gives back a Lease whose last renewal was taken without an answer', async () => {
      const { clock, server } = ground();
      const { wire, next } = cuttable();
      const { election } = await start('a', clock, { client: server.client(next) });
      wire.fate = { type: 'unheard' };
      await clock.turn(2_100);
      wire.fate = { type: 'answered' };
      await Promise.all([election.stop(new AbortController().signal), clock.turn(100)]);
      assert.equal(server.spec.holderIdentity, '');
    });

    it('gives back a Lease that it took as it stopped, without an answer', async () => {
      const { clock, server } = ground();
      server.put({ holderIdentity: '', leaseDurationSeconds: 1 });
      const fates: Fate[] = [{ type: 'answered' }, { type: 'unheard' }];
      const { election } = await start('a', clock, {
        client: server.client(() => fates.shift() ?? { type: 'answered' }),
      });
      assert.deepEqual([server.spec.holderIdentity, election.held()], ['a', false]);
      await Promise.all([election.stop(new AbortController().signal), clock.turn(100)]);
      assert.equal(server.spec.holderIdentity, '');
    });

    it("leaves another one's Lease alone", async () => {
      const { clock, server } = ground();
      server.put({ holderIdentity: 'b', leaseDurationSeconds: 15 });
      const { election } = await start('a', clock, { client: server.client() });
      await Promise.all([election.stop(new AbortController().signal), clock.turn(100)]);
      assert.equal(server.spec.holderIdentity, 'b');
    });

    it('an API that is away costs a log line, no error', async () => {
      const { clock, server } = ground();
      const { wire, next } = cuttable();
      const { lines, log } = recorder();
      const { election } = await start('a', clock, { client: server.client(next), log });
      wire.fate = { type: 'failed' };
      await Promise.all([election.stop(new AbortController().signal), clock.turn(100)]);
      assert.match(lines.at(-1)?.message ?? '', /could not be given back/);
    });
  });

  describe('two of them', () => {
    it('a holder that falls silent is followed within the duration and a try', async () => {
      const { clock, server } = ground();
      const { wire, next } = cuttable();
      const a = await start('a', clock, { client: server.client(next) });
      const b = await start('b', clock, { client: server.client(), random: () => 0.99 });
      await clock.turn(10_000);
      assert.deepEqual([a.election.held(), b.election.held()], [true, false]);
      wire.fate = { type: 'lost' };
      await clock.turn(10_000);
      assert.deepEqual([a.election.held(), b.election.held()], [false, false]);
      await clock.turn(7_500);
      assert.deepEqual([a.election.held(), b.election.held()], [false, true]);
    });

    it('whatever is lost, late or repeated: what one was promised is over before the other may write', async () => {
      // The same fate for a while, so that there are silences long enough for the other one to act.
      const spell = fc.record({
        type: fc.constantFrom<Fate['type']>('answered', 'answered', 'answered', 'lost', 'lost', 'unheard', 'failed'),
        thereMs: fc.constantFrom(0, 0, 0, 200, 900, 2_500),
        backMs: fc.constantFrom(0, 0, 0, 200, 900, 2_500),
        calls: fc.integer({ min: 1, max: 12 }),
      });
      const plan = fc
        .array(spell, { minLength: 1, maxLength: 10 })
        .map((spells) => spells.flatMap(({ calls, ...fate }) => Array.from({ length: calls }, (): Fate => fate)));
      await fc.assert(
        fc.asyncProperty(plan, plan, fc.array(fc.nat(500), { maxLength: 3 }), async (ofA, ofB, edits) => {
          const { clock, server } = ground();
          let isCalm = false;
          const client = (fates: readonly Fate[]) => {
            const rest = [...fates];
            return server.client(() => (isCalm ? undefined : rest.shift()) ?? { type: 'answered' });
          };
          const both = [
            (await start('a', clock, { client: client(ofA), leaseSeconds: 3 })).election,
            (await start('b', clock, { client: client(ofB), leaseSeconds: 3, random: () => 0.5 })).election,
          ];
          /** Until when each has been told that it may write. */
          const promised = [0, 0];
          for (let step = 0; step < 600; step++) {
            isCalm = step > 480;
            if (edits.includes(step)) server.put({ ...server.spec, strategy: String(step) });
            await clock.turn(100);
            for (const [place, election] of both.entries()) {
              if (!election.held()) continue;
              const other = promised[1 - place] ?? 0;
              assert(clock.steady() >= other, `${place} leads ${other - clock.steady()} ms too early`);
              promised[place] = clock.steady() + election.remainingMs();
            }
          }
          for (const election of both) assert.equal(election.holder(), stringOf(server.spec.holderIdentity));
          assert.equal(both.filter((election) => election.held()).length, 1, 'somebody leads in the end');
          for (const election of both) {
            const stopping = election.stop(AbortSignal.abort());
            await clock.turn(3_000);
            await stopping;
          }
          running.splice(0);
        }),
        { numRuns: 60 },
      );
    });

    it('on a whole API server: one leads, its silence and its stop each hand over to the other', async () => {
      const sandbox = await startSandbox();
      const clock = new HandClock();
      const connection = {
        server: new URL(sandbox.url),
        describe: 'the sandbox',
        requestOptions: async () => ({ headers: { Authorization: `Bearer ${sandbox.token}` }, ca: sandbox.authority }),
        refreshCredentials: async () => {},
      };
      const client = kubeClient(connection, { metrics: silentMetrics });
      const wire = { isCut: false };
      const cut = <T>(work: () => Promise<T>) =>
        wire.isCut ? Promise.reject(new Fault('unavailable', 'Kubernetes cannot be reached')) : work();
      const cuttable: ElectionParts['client'] = {
        get: (path, more) => cut(() => client.get(path, more)),
        stream: client.stream,
        create: (path, object, more) => cut(() => client.create(path, object, more)),
        replace: (path, object, more) => cut(() => client.replace(path, object, more)),
      };
      const make = (identity: string, through: ElectionParts['client']) =>
        createElection({
          namespace: 'default',
          name: 'test',
          identity,
          client: through,
          clock,
          random: Math.random,
          log: silentLog,
        });
      const [a, b] = [make('a', cuttable), make('b', client)];
      // Time goes on with the event loop: a Lease that ends by the clock ends for a process that was held up as well.
      const inTime = (probe: () => void) =>
        eventually(
          async () => {
            await clock.turn(200);
            probe();
          },
          { everyMs: 20 },
        );
      try {
        await a.start();
        await inTime(() => assert(a.held()));
        await b.start();
        await inTime(() => assert.equal(b.holder(), 'a'));
        wire.isCut = true;
        await inTime(() => assert(b.held()));
        assert(!a.held());
        wire.isCut = false;
        await inTime(() => assert.equal(a.holder(), 'b'));
        await b.stop(AbortSignal.timeout(30_000));
        await inTime(() => assert(a.held()));
        const lease = await client.get('/apis/coordination.k8s.io/v1/namespaces/default/leases/test');
        assert.equal(objectOf(lease.spec).leaseTransitions, 2);
      } finally {
        await a.stop(AbortSignal.timeout(30_000));
        await b.stop(AbortSignal.timeout(30_000));
        client.close();
        await sandbox.end();
      }
    });
  });
});

/** Leadership as the test says. */
class Given implements Leadership {
  #listeners = new Set<(held: boolean) => void>();
  leftMs: number;
  readonly #name: string;

  constructor(leftMs: number, name = '') {
    this.leftMs = leftMs;
    this.#name = name;
  }
  held(): boolean {
    return this.leftMs > 0;
  }
  remainingMs(): number {
    return this.leftMs;
  }
  holder(): string {
    return this.#name;
  }
  subscribe(listener: (held: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
  become(leftMs: number): void {
    this.leftMs = leftMs;
    for (const listener of this.#listeners) listener(this.held());
  }
  get watched(): number {
    return this.#listeners.size;
  }
}

describe('allOf', () => {
  it('is held while all are, for as long as the shortest', () => {
    const [lease, lock] = [new Given(8_000, 'a'), new Given(3_000)];
    const both = allOf(lease, lock);
    assert.deepEqual([both.held(), both.remainingMs(), both.holder()], [true, 3_000, 'a']);
    lock.leftMs = 0;
    assert.deepEqual([both.held(), both.remainingMs()], [false, 0]);
  });

  it('tells only what changes it', () => {
    const [lease, lock] = [new Given(0), new Given(0)];
    const heard: boolean[] = [];
    const end = allOf(lease, lock).subscribe((held) => heard.push(held));
    lease.become(5_000);
    lock.become(5_000);
    lock.become(4_000);
    lease.become(0);
    lock.become(0);
    assert.deepEqual(heard, [true, false]);
    end();
    assert.equal(lease.watched + lock.watched, 0);
  });

  it('one that is in doubt while the other is won does not hide that', () => {
    const [lease, lock] = [new Given(0), new Given(0)];
    const heard: boolean[] = [];
    allOf(lease, lock).subscribe((held) => heard.push(held));
    lock.become(5_000);
    lock.leftMs = 0;
    lease.become(5_000);
    assert.deepEqual(heard, [true]);
  });
});

describe('fence', () => {
  const writer = () => {
    const sent: { verb: string; more: WriteOptions }[] = [];
    const pending: PromiseWithResolvers<JsonObject>[] = [];
    const send = (verb: string, more: WriteOptions = {}) => {
      sent.push({ verb, more });
      const answer = Promise.withResolvers<JsonObject>();
      pending.push(answer);
      return answer.promise;
    };
    const all: KubeWriter = {
      create: (_path, _object, more) => send('create', more),
      patch: (_path, _merge, more) => send('patch', more),
      replace: (_path, _object, more) => send('replace', more),
      remove: async (_path, _only, more) => void (await send('remove', more)),
    };
    return { all, sent, pending };
  };
  const calls = (fenced: KubeWriter, more?: WriteOptions): readonly (() => Promise<unknown>)[] => [
    () => fenced.create('/a', {}, more),
    () => fenced.patch('/a', {}, more),
    () => fenced.replace('/a', {}, more),
    () => fenced.remove('/a', { uid: 'u' }, more),
  ];

  it('refuses every verb of who does not lead, and sends nothing', async () => {
    const { all, sent } = writer();
    for (const call of calls(fence(all, new Given(0)))) {
      const { code, message, retryAfterMs } = faultOf(await call().catch((error: unknown) => error));
      assert.deepEqual([code, message, retryAfterMs], ['unavailable', 'another replica leads', 1_000]);
    }
    assert.deepEqual(sent, []);
  });

  it('lets every verb of who leads pass, and waits no longer than that is certain', async () => {
    const cases = [
      { leftMs: 3_000.7, asked: {}, want: 3_000 },
      { leftMs: 60_000, asked: {}, want: 10_000 },
      { leftMs: 60_000, asked: { timeoutMs: 500 }, want: 500 },
      { leftMs: 300, asked: { timeoutMs: 500 }, want: 300 },
    ];
    for (const { leftMs, asked, want } of cases) {
      const { all, sent, pending } = writer();
      const passing = calls(fence(all, new Given(leftMs)), asked).map((call) => call());
      for (const { resolve } of pending) resolve({ taken: true });
      const [created] = await Promise.all(passing);
      assert.deepEqual(created, { taken: true });
      assert.deepEqual(
        sent,
        ['create', 'patch', 'replace', 'remove'].map((verb) => ({ verb, more: { timeoutMs: want } })),
      );
    }
  });

  it('settles when what is in flight has ended, well or not', async () => {
    const { all, pending } = writer();
    const leadership = new Given(5_000);
    const fenced = fence(all, leadership);
    await fenced.settled();
    const writes = [fenced.create('/a', {}), fenced.patch('/a', {})].map((write) => write.catch(faultOf));
    let isSettled = false;
    const settling = fenced.settled().then(() => {
      isSettled = true;
    });
    leadership.become(0);
    pending[0]?.resolve({});
    await writes[0];
    assert.equal(isSettled, false);
    pending[1]?.reject(new Fault('timeout', ''));
    await settling;
    await Promise.all(writes);
  });
});
