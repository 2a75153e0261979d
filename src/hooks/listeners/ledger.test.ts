import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createApi, resources } from '../../../test/support/api.ts';
import { apiWriter } from '../../../test/support/api-writer.ts';
import { HandClock } from '../../../test/support/hand-clock.ts';
import { Fault, faultOf } from '../../fault.ts';
import type { KubeReader } from '../../kube/client.ts';
import { type KubeWriter, WriteFault } from '../../kube/writer.ts';
import { type Log, silentLog } from '../../log.ts';
import type { ApiClient } from '../../sandbox/api/client.ts';
import { changesOf, createLedger, type Ledger, type LedgerLine, linesIn } from './ledger.ts';
import type { LedgerEntry } from './world.ts';

const ID = 'p6wmwtpoanqtlsln';
const stopped = AbortSignal.abort();

function entryOf(revision: string, more: Partial<LedgerEntry> = {}): LedgerEntry {
  const epoch = more.epoch ?? 0;
  const entry = { namespace: 'ci', triggerId16: ID, triggerId: 'el/build', source: 'uid-1', revision, epoch };
  return { ...entry, keyHash: `${revision}#${epoch}`, ...more };
}

type LedgerClient = Pick<KubeReader, 'get'> & Pick<KubeWriter, 'create' | 'patch'>;

describe('ledgers of listeners', () => {
  let client: ApiClient;
  let clock: HandClock;
  /** Asked before each call; may throw. */
  let meet: (verb: 'get' | 'create' | 'patch') => void;
  /** Asked after each write that was taken; may throw: its answer is lost. */
  let lose: () => void;
  let calls: string[];
  let warned: string[];
  let ledgers: Ledger[];

  beforeEach(() => {
    ({ client } = createApi());
    clock = new HandClock();
    [meet, lose, calls, warned, ledgers] = [() => {}, () => {}, [], [], []];
  });
  afterEach(async () => {
    for (const ledger of ledgers) await ledger.stop(stopped);
    assert.equal(clock.sleeping, 0);
  });

  const api: LedgerClient = {
    async get(path) {
      calls.push('get');
      meet('get');
      const [, namespace = '', name = ''] = /namespaces\/([^/]+)\/configmaps\/([^/]+)$/.exec(path) ?? [];
      const found = client.get(resources.configMaps, namespace, name);
      if (found === undefined) throw new Fault('not-found', 'Kubernetes has no such object (404)');
      return structuredClone(found);
    },
    async create(path, object) {
      calls.push('create');
      meet('create');
      const taken = await apiWriter(client).create(path, object);
      lose();
      return taken;
    },
    async patch(path, merge) {
      calls.push('patch');
      meet('patch');
      const taken = await apiWriter(client).patch(path, merge);
      lose();
      return taken;
    },
  };
  /** Another replica. */
  const replica = (): Ledger => {
    const log: Log = { ...silentLog, warn: (message) => void warned.push(message) };
    const ledger = createLedger({ client: api, clock, random: () => 0.5, log });
    ledgers.push(ledger);
    return ledger;
  };
  const configMap = () => client.get(resources.configMaps, 'ci', `ledger-${ID}`);
  /** The revisions that are written for a source, the latest last. */
  const written = (source = 'uid-1') =>
    (linesIn(structuredClone(configMap() ?? { data: {} })).get(source) ?? []).map(({ revision }) => revision);

  it('knows nothing of what was never entered', async () => {
    assert.equal(await replica().known(entryOf('a')), undefined);
  });

  it('event 13: knows what was entered at once, and writes it soon', async () => {
    const ledger = replica();
    ledger.enter(entryOf('a'));
    assert.deepEqual(await ledger.known(entryOf('a')), { epoch: 0, isLatest: true });
    assert.deepEqual(written(), []);
    await clock.turn(100);
    assert.deepEqual(written(), ['a']);
  });

  it('is a ConfigMap that people can read', async () => {
    replica().enter(entryOf('main@sha1:aaaa'));
    await clock.turn(100);
    const { metadata, data } = configMap() ?? assert.fail('none was written');
    assert.deepEqual(
      [metadata.labels, metadata.annotations],
      [{ 'app.kubernetes.io/managed-by': 'rungate', 'rungate.dev/ledger': ID }, { 'rungate.dev/trigger': 'el/build' }],
    );
    assert.deepEqual(data, {
      'uid-1': '{"keyHash":"main@sha1:aaaa#0","revision":"main@sha1:aaaa","epoch":0,"at":"2026-11-01T10:00:00.000Z"}\n',
    });
  });

  it('event 19: what one process wrote another one knows after a restart', async () => {
    replica().enter(entryOf('a'));
    await clock.turn(100);
    assert.deepEqual(await replica().known(entryOf('a')), { epoch: 0, isLatest: true });
  });

  it('event 20: the latest is the one that came last, and each has its highest epoch', async () => {
    const ledger = replica();
    for (const [revision, epoch] of [
      ['a', 0],
      ['b', 0],
    ] as const) {
      ledger.enter(entryOf(revision, { epoch }));
    }
    assert.deepEqual(await ledger.known(entryOf('a')), { epoch: 0, isLatest: false });
    ledger.enter(entryOf('a', { epoch: 1 }));
    assert.deepEqual(await ledger.known(entryOf('a')), { epoch: 1, isLatest: true });
    assert.deepEqual(await ledger.known(entryOf('b')), { epoch: 0, isLatest: false });
    await clock.turn(100);
    assert.deepEqual(written(), ['a', 'b', 'a']);
  });

  it('what is entered twice stands there once', async () => {
    const ledger = replica();
    ledger.enter(entryOf('a'));
    ledger.enter(entryOf('a'));
    await clock.turn(100);
    ledger.enter(entryOf('a'));
    await clock.turn(100);
    assert.deepEqual(written(), ['a']);
    assert.equal(calls.filter((call) => call !== 'get').length, 1);
  });

  it('sources do not know of each other, nor do triggers', async () => {
    const ledger = replica();
    ledger.enter(entryOf('a'));
    ledger.enter(entryOf('b', { source: '' }));
    assert.equal(await ledger.known(entryOf('a', { source: 'uid-2' })), undefined);
    assert.equal(await ledger.known(entryOf('a', { source: '' })), undefined);
    assert.equal(await ledger.known(entryOf('a', { triggerId16: 'other' })), undefined);
    assert.deepEqual(await ledger.known(entryOf('b', { source: '' })), { epoch: 0, isLatest: true });
    await clock.turn(100);
    assert.deepEqual([written(), written('deliveries')], [['a'], ['b']]);
  });

  it('runs of one moment share a write, and deliveries of one moment a read', async () => {
    const ledger = replica();
    await Promise.all(Array.from({ length: 20 }, (_, place) => ledger.known(entryOf(`r${place}`))));
    for (let place = 0; place < 20; place++) ledger.enter(entryOf(`r${place}`));
    await clock.turn(100);
    assert.deepEqual(calls, ['get', 'create']);
    assert.equal(written().length, 20);
  });

  it('event 4: replicas that write at the same time lose nothing', async () => {
    const replicas = [replica(), replica(), replica()];
    for (let round = 0; round < 5; round++) {
      for (const [place, ledger] of replicas.entries()) ledger.enter(entryOf(`r${round}-${place}`));
      await clock.turn(2_000);
    }
    assert.equal(new Set(written()).size, 15);
    assert.deepEqual(warned, []);
  });

  it('knows after a second at most what another replica wrote', async () => {
    const [one, other] = [replica(), replica()];
    assert.equal(await one.known(entryOf('a')), undefined);
    other.enter(entryOf('a'));
    await clock.turn(100);
    assert.equal(await one.known(entryOf('a')), undefined);
    await clock.turn(900);
    assert.deepEqual(await one.known(entryOf('a')), { epoch: 0, isLatest: true });
  });

  it('an answer that is lost is found written', async () => {
    const ledger = replica();
    ledger.enter(entryOf('a'));
    lose = () => {
      lose = () => {};
      throw new Fault('timeout', 'Kubernetes did not answer in time');
    };
    await clock.turn(1_000);
    assert.deepEqual(written(), ['a']);
    assert.deepEqual(calls, ['get', 'create', 'get']);
  });

  it('a ledger that somebody deleted is begun anew', async () => {
    const ledger = replica();
    ledger.enter(entryOf('a'));
    await clock.turn(100);
    client.remove(resources.configMaps, 'ci', `ledger-${ID}`);
    ledger.enter(entryOf('b'));
    await clock.turn(1_000);
    assert.deepEqual(written(), ['b']);
  });

  it('is written when the API server is there again, and says once that it was not', async () => {
    const ledger = replica();
    meet = () => {
      throw new Fault('unavailable', 'Kubernetes cannot be reached');
    };
    ledger.enter(entryOf('a'));
    await clock.turn(120_000);
    assert.deepEqual(warned, ['a ledger is not written yet']);
    meet = () => {};
    await clock.turn(30_000);
    assert.deepEqual(written(), ['a']);
  });

  it('is written when it may be again', async () => {
    const ledger = replica();
    meet = (verb) => {
      if (verb !== 'get') throw new WriteFault('refused', 'no', { status: 403, reason: 'Forbidden', said: 'no' });
    };
    ledger.enter(entryOf('a'));
    await clock.turn(1_000);
    assert.deepEqual(await ledger.known(entryOf('a')), { epoch: 0, isLatest: true });
    meet = () => {};
    await clock.turn(60_100);
    assert.deepEqual(written(), ['a']);
  });

  it('of a namespace that is gone nothing is kept', async () => {
    const ledger = replica();
    ledger.enter(entryOf('a', { namespace: 'nowhere' }));
    await clock.turn(1_000);
    assert.deepEqual(warned, ['a ledger was not written']);
    assert.equal(clock.sleeping, 0);
  });

  for (const code of ['unavailable', 'timeout', 'refused'] as const) {
    it(`one that cannot be read (${code}) is not one in which nothing stands`, async () => {
      meet = () => {
        throw new Fault(code, 'no');
      };
      const want = code === 'refused' ? 'unavailable' : code;
      await assert.rejects(replica().known(entryOf('a')), (error) => faultOf(error).code === want);
    });
  }

  it('event 40: what is entered is written before the process ends', async () => {
    const ledger = replica();
    ledger.enter(entryOf('a'));
    await ledger.stop(new AbortController().signal);
    assert.deepEqual(written(), ['a']);
  });

  it('a process that ends does not wait for an API server that is away', async () => {
    const ledger = replica();
    meet = () => {
      throw new Fault('unavailable', 'Kubernetes cannot be reached');
    };
    ledger.enter(entryOf('a'));
    await ledger.stop(new AbortController().signal);
    assert.deepEqual(written(), []);
  });

  it('lines that somebody has spoilt are passed over, and the others count', async () => {
    const data = { 'uid-1': 'no line\n{"keyHash":1}\n[]\n{"keyHash":"k","revision":"a","epoch":2}\n' };
    const metadata = { name: `ledger-${ID}`, namespace: 'ci' };
    client.create(resources.configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata, data });
    assert.deepEqual(await replica().known(entryOf('a')), { epoch: 2, isLatest: true });
  });

  it('a revision without end is known as well', async () => {
    const long = 'x'.repeat(10_000);
    const ledger = replica();
    ledger.enter(entryOf(long, { keyHash: 'k' }));
    assert.deepEqual(await ledger.known(entryOf(long)), { epoch: 0, isLatest: true });
    assert.equal(await ledger.known(entryOf(`${long}y`)), undefined);
    await clock.turn(100);
    assert.equal(JSON.stringify(configMap()?.data).length < 1_000, true);
  });

  describe('are bounded', () => {
    const line = (revision: string, second: number): LedgerLine => ({
      ...{ keyHash: `hash of ${revision}`, revision, epoch: 0 },
      at: new Date(second * 1_000).toISOString(),
    });

    it('of a source the last fifty stay', () => {
      let data: Record<string, string | null> = {};
      for (let count = 0; count < 60; count++) {
        const changed = changesOf(linesIn({ data }), [{ key: 'u', line: line(`r${count}`, count) }]);
        data = { ...data, ...Object.fromEntries(changed) };
      }
      const kept = linesIn({ data }).get('u') ?? [];
      assert.equal(kept.length, 50);
      assert.deepEqual([kept[0]?.revision, kept.at(-1)?.revision], ['r10', 'r59']);
    });

    it('of many sources those stay that were last heard of', () => {
      const lines = new Map(Array.from({ length: 5_000 }, (_, place) => [`u${place}`, [line('r'.repeat(200), place)]]));
      const changed = changesOf(lines, [{ key: 'new', line: line('a', 0) }]);
      assert.equal(typeof changed.get('new'), 'string', 'what was just entered stays');
      const gone = [...changed].filter(([, text]) => text === null).map(([key]) => key);
      assert.deepEqual(
        gone,
        Array.from({ length: gone.length }, (_, place) => `u${place}`),
      );
      const left = [...lines].filter(([key]) => !gone.includes(key));
      const bytes = left.reduce((sum, [key, of]) => sum + key.length + JSON.stringify(of).length, 0);
      assert(bytes < 600_000 && bytes > 400_000, `${bytes} bytes`);
    });

    it('whatever is entered stands there once, behind what stood there, and is read as it was written', () => {
      const key = fc.constantFrom('u', 'v', 'w');
      const lineOf = fc.record(
        {
          keyHash: fc.string({ minLength: 1, maxLength: 3 }),
          revision: fc.string({ unit: 'binary', minLength: 1, maxLength: 5 }),
          epoch: fc.nat(),
          at: fc.constant('2026-11-01T10:00:00.000Z'),
        },
        { noNullPrototype: true },
      );
      fc.assert(
        fc.property(fc.array(fc.record({ key, line: lineOf }), { maxLength: 30 }), (entered) => {
          let data: Record<string, string | null> = {};
          for (const each of entered) {
            const changed = changesOf(linesIn({ data }), [each]);
            data = { ...data, ...Object.fromEntries(changed) };
          }
          const inOne = Object.fromEntries(changesOf(new Map(), entered));
          assert.deepEqual(inOne, data);
          for (const name of ['u', 'v', 'w']) {
            const own = entered.filter((each) => each.key === name).map(({ line }) => line);
            const first = own.filter(
              ({ keyHash }, place) => own.findIndex((each) => each.keyHash === keyHash) === place,
            );
            assert.deepEqual(linesIn({ data }).get(name) ?? [], first);
          }
        }),
      );
    });
  });
});
