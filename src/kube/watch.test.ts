import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { HandClock } from '../../test/support/hand-clock.ts';
import { Fault } from '../fault.ts';
import { type LogFields, silentLog } from '../log.ts';
import { silentMetrics } from '../metrics.ts';
import type { KubeReader } from './client.ts';
import { type JsonObject, type Kept, listOf, objectOf, projectMeta, stringOf } from './objects.ts';
import { createStore } from './store.ts';
import { backoffMs, startWatch, type WatchParts } from './watch.ts';

const RUNS = '/apis/tekton.dev/v1/pipelineruns';

/** A raw object: its uid is its name, its version a number. */
const raw = (name: string, version: number): JsonObject => ({
  metadata: { namespace: 'ci', name, uid: name, resourceVersion: String(version) },
});
const page = (version: number, items: readonly JsonObject[], more: JsonObject = {}): JsonObject => ({
  metadata: { resourceVersion: String(version), ...more },
  items,
});
const frame = (type: string, object: JsonObject) => `${JSON.stringify({ type, object })}\n`;
const bookmark = (version: number) => frame('BOOKMARK', { metadata: { resourceVersion: String(version) } });
const listEnd = (version: number) =>
  frame('BOOKMARK', {
    metadata: { resourceVersion: String(version), annotations: { 'k8s.io/initial-events-end': 'true' } },
  });
const expired = frame('ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' });
const broken = frame('ERROR', { kind: 'Status', code: 500, message: 'unable to decode an event' });
const unavailable = new Fault('unavailable', 'Kubernetes cannot be reached');

/** What the server answers to a list, at once or when the test says so. */
type Listing = JsonObject | Fault | Promise<JsonObject>;

/** How the server opens a watch: with this status, or not at all. */
type Opening = number | Fault;

/** A watch on a server that answers as the test scripts it. Whatever is not scripted: an empty list, and watches that open. */
class Bench {
  readonly clock = new HandClock();
  readonly asked: { readonly path: string; readonly query: URLSearchParams; readonly atMs: number }[] = [];
  readonly heard: string[] = [];
  readonly relists: string[] = [];
  readonly warnings: (LogFields | undefined)[] = [];
  readonly bodies: PassThrough[] = [];
  readonly timeouts: (number | undefined)[] = [];
  path: string | undefined = RUNS;
  doubts = 0;
  signal: AbortSignal | undefined;
  readonly store;
  readonly watch;
  readonly #startedAt = this.clock.now();
  readonly #lists: Listing[];
  readonly #openings: Opening[];

  constructor(
    script: {
      lists?: readonly Listing[];
      openings?: readonly Opening[];
      path?: string | undefined;
      /** Offers streaming lists; without it they are refused, as by a server that does not know them. */
      streams?: boolean;
    } = {},
    more: Partial<WatchParts<Kept>> = {},
  ) {
    this.#lists = [...(script.lists ?? [])];
    this.#openings = [...(script.openings ?? [])];
    if ('path' in script) this.path = script.path;
    const { store, writer } = createStore<Kept>(silentLog);
    this.store = store;
    store.subscribe(({ type, object: { meta } }) => this.heard.push(`${type} ${meta.name}@${meta.resourceVersion}`));
    const reader: KubeReader = {
      get: async (path, { signal, timeoutMs } = {}) => {
        this.#note(path, signal);
        this.timeouts.push(timeoutMs);
        const answer = this.#lists.shift() ?? page(1, []);
        if (answer instanceof Fault) throw answer;
        return answer;
      },
      stream: async (path, { signal } = {}) => {
        const isRefused = !script.streams && path.includes('sendInitialEvents');
        if (!isRefused) this.#note(path, signal);
        const opening = isRefused ? 422 : (this.#openings.shift() ?? 200);
        if (opening instanceof Fault) throw opening;
        const body = new PassThrough();
        this.bodies.push(body);
        const abort = () => body.destroy(signal?.reason);
        signal?.addEventListener('abort', abort);
        body.once('close', () => signal?.removeEventListener('abort', abort));
        if (opening !== 200) body.end('{"kind":"Status","message":"scripted"}');
        // A watch reads its body as any Readable; nothing else of IncomingMessage is used.
        return { status: opening, headers: {}, body: body as unknown as IncomingMessage };
      },
    };
    this.watch = startWatch<Kept>({
      reader,
      path: async () => this.path,
      doubt: () => void this.doubts++,
      resource: 'pipelineruns',
      scope: '',
      writer,
      project: (object) => ({ meta: projectMeta(object) }),
      clock: this.clock,
      random: () => 0,
      log: { ...silentLog, warn: (_message, fields) => this.warnings.push(fields) },
      metrics: { ...silentMetrics, relist: (_resource, reason) => this.relists.push(reason) },
      ...more,
    });
  }

  #note(path: string, signal: AbortSignal | undefined) {
    const [pathname = '', query] = path.split('?', 2);
    this.asked.push({ path: pathname, query: new URLSearchParams(query), atMs: this.clock.now() - this.#startedAt });
    this.signal = signal;
  }

  /** What the last open watch sends next. */
  async send(...frames: readonly string[]) {
    for (const text of frames) this.bodies.at(-1)?.write(text);
    await this.clock.settle();
  }

  async end() {
    this.bodies.at(-1)?.end();
    await this.clock.settle();
  }

  async cut() {
    this.bodies.at(-1)?.destroy(Object.assign(new Error('aborted'), { code: 'ECONNRESET' }));
    await this.clock.settle();
  }

  /** `list` or `watch VERSION` for each request so far. */
  get verbs(): readonly string[] {
    return this.asked.map(({ query }) => {
      if (query.has('sendInitialEvents')) return 'stream';
      return query.has('watch') ? `watch ${query.get('resourceVersion')}` : query.has('continue') ? 'page' : 'list';
    });
  }

  get names(): readonly string[] {
    return [...this.store.values()].map(({ meta }) => `${meta.name}@${meta.resourceVersion}`);
  }

  staleMs(): number {
    return this.watch.staleMs(this.clock.now());
  }

  async isReady(): Promise<boolean> {
    await this.clock.settle();
    return this.watch.listed();
  }
}

describe('watch', () => {
  const benches: Bench[] = [];
  const start = (...given: ConstructorParameters<typeof Bench>) => {
    const bench = new Bench(...given);
    benches.push(bench);
    return bench;
  };
  // Nothing may be left of a watch that was stopped: no timer, no socket, no listener.
  afterEach(async () => {
    for (const bench of benches.splice(0)) {
      await bench.watch.stop();
      await bench.watch.stop();
      await bench.clock.settle();
      assert.equal(bench.clock.sleeping, 0);
      for (const body of bench.bodies) assert.ok(body.destroyed);
      if (bench.signal) assert.equal(getEventListeners(bench.signal, 'abort').length, 0);
    }
  });

  it('lists, then watches from the version of the list', async () => {
    const bench = start(
      { lists: [page(7, [raw('a', 3), raw('b', 5)])] },
      { selection: { labels: 'tekton.dev/taskRun' } },
    );
    assert.equal(await bench.isReady(), true);
    assert.deepEqual(bench.names, ['a@3', 'b@5']);
    const [list, watch] = bench.asked;
    assert.deepEqual(Object.fromEntries(list?.query ?? []), { limit: '250', labelSelector: 'tekton.dev/taskRun' });
    assert.deepEqual(Object.fromEntries(watch?.query ?? []), {
      watch: 'true',
      resourceVersion: '7',
      allowWatchBookmarks: 'true',
      timeoutSeconds: '240',
      labelSelector: 'tekton.dev/taskRun',
    });
  });

  it('reads a long list by pages of one snapshot', async () => {
    const many = Array.from({ length: 250 }, (_, index) => raw(`run-${index}`, index));
    const bench = start({ lists: [page(9, many, { continue: 'token' }), page(12, [raw('last', 1)])] });
    assert.equal(await bench.isReady(), true);
    assert.deepEqual(bench.verbs, ['list', 'page', 'watch 9']);
    assert.equal(bench.asked[1]?.query.get('continue'), 'token');
    assert.equal(bench.store.size, 251);
  });

  it('begins a list anew when its snapshot is gone in the middle', async () => {
    const gone = new Fault('gone', 'Kubernetes no longer has that version (410)');
    const bench = start({ lists: [page(3, [raw('old', 1)], { continue: 'token' }), gone, page(9, [raw('new', 9)])] });
    await bench.clock.settle();
    assert.deepEqual(bench.verbs, ['list', 'page', 'list', 'watch 9']);
    assert.deepEqual(bench.heard, ['added old@1', 'added new@9', 'deleted old@1']);
  });

  it('tells the store what happens', async () => {
    const bench = start({ lists: [page(1, [raw('a', 1)])] });
    await bench.clock.settle();
    await bench.send(frame('ADDED', raw('b', 2)), frame('MODIFIED', raw('a', 3)), frame('DELETED', raw('b', 4)));
    assert.deepEqual(bench.heard, ['added a@1', 'added b@2', 'modified a@3', 'deleted b@4']);
  });

  describe('resumes', () => {
    const cases: readonly { name: string; act: (bench: Bench) => Promise<void>; want: string }[] = [
      { name: 'from the list, when nothing was heard', act: (bench) => bench.end(), want: 'watch 1' },
      {
        name: 'from the last change, when the server ends it',
        act: async (bench) => {
          await bench.send(frame('ADDED', raw('a', 5)));
          await bench.end();
        },
        want: 'watch 5',
      },
      {
        name: 'from the last bookmark, when the connection breaks',
        act: async (bench) => {
          await bench.send(frame('ADDED', raw('a', 5)), bookmark(8));
          await bench.cut();
        },
        want: 'watch 8',
      },
      {
        name: 'from the last whole frame, when it breaks within one',
        act: async (bench) => {
          await bench.send(bookmark(8), frame('ADDED', raw('b', 9)).slice(0, -5));
          await bench.cut();
        },
        want: 'watch 8',
      },
      {
        name: 'from the last frame before an error that is not 410',
        act: (bench) => bench.send(bookmark(8), broken),
        want: 'watch 8',
      },
    ];
    for (const { name, act, want } of cases) {
      it(name, async () => {
        const bench = start();
        await bench.clock.settle();
        await act(bench);
        assert.deepEqual(bench.verbs, ['list', 'watch 1', want]);
        assert.deepEqual(bench.relists, []);
      });
    }
  });

  describe('run 39: lists again, and tells the differences', () => {
    const cases: readonly {
      name: string;
      openings?: readonly Opening[];
      act?: (bench: Bench) => Promise<void>;
      why: string;
    }[] = [
      { name: 'when a frame says 410', act: (bench) => bench.send(expired), why: 'expired' },
      { name: 'when the answer is 410', openings: [410], why: 'expired' },
      { name: 'when the answer is 404', openings: [404], why: 'missing' },
      { name: 'when a frame is no frame', act: (bench) => bench.send('<html>\n'), why: 'unreadable' },
      { name: 'when a frame has an unknown type', act: (bench) => bench.send(frame('MOVED', {})), why: 'unreadable' },
      {
        name: 'when the kind is served in another version now',
        act: (bench) => {
          bench.path = '/apis/tekton.dev/v1beta1/pipelineruns';
          return bench.end();
        },
        why: 'moved',
      },
    ];
    for (const { name, openings = [], act, why } of cases) {
      it(name, async () => {
        const lists = [page(4, [raw('stays', 1), raw('goes', 2), raw('moves', 3)])];
        const bench = start({
          lists: [...lists, page(9, [raw('stays', 1), raw('moves', 8), raw('comes', 9)])],
          openings,
        });
        await bench.clock.settle();
        await act?.(bench);
        assert.deepEqual(bench.verbs, ['list', 'watch 4', 'list', 'watch 9']);
        assert.deepEqual(bench.relists, [why]);
        assert.deepEqual(bench.heard.slice(3), ['modified moves@8', 'added comes@9', 'deleted goes@2']);
        assert.equal(bench.asked.at(-1)?.path, bench.path);
      });
    }
  });

  it('run 39: a half-open watch is found at its time limit and 15 s, and resumed', async () => {
    const bench = start({}, { random: () => 0.999 });
    await bench.clock.settle();
    assert.equal(bench.asked[1]?.query.get('timeoutSeconds'), '300');
    await bench.clock.turn(200_000);
    await bench.send(bookmark(8));
    await bench.clock.turn(114_999);
    assert.deepEqual(bench.verbs, ['list', 'watch 1']);
    await bench.clock.turn(1);
    assert.deepEqual(bench.verbs, ['list', 'watch 1', 'watch 8']);
    assert.ok(bench.bodies[0]?.destroyed);
  });

  it('a watch lives as long as it is told, and is found dead 15 s later', async () => {
    const bench = start({}, { watchSeconds: 5, random: () => 0.999 });
    await bench.clock.settle();
    assert.equal(bench.asked[1]?.query.get('timeoutSeconds'), '5');
    await bench.clock.turn(19_999);
    assert.deepEqual(bench.verbs, ['list', 'watch 1']);
    await bench.clock.turn(1);
    assert.deepEqual(bench.verbs, ['list', 'watch 1', 'watch 1']);
  });

  describe('where the server streams lists', () => {
    it('watches from the first moment, and is ready when the list has ended', async () => {
      const bench = start({ streams: true }, { selection: { labels: 'tekton.dev/taskRun' } });
      await bench.clock.settle();
      assert.deepEqual(Object.fromEntries(bench.asked[0]?.query ?? []), {
        watch: 'true',
        sendInitialEvents: 'true',
        resourceVersionMatch: 'NotOlderThan',
        allowWatchBookmarks: 'true',
        timeoutSeconds: '240',
        labelSelector: 'tekton.dev/taskRun',
      });
      await bench.send(frame('ADDED', raw('a', 3)), frame('ADDED', raw('b', 5)));
      assert.equal(await bench.isReady(), false);
      await bench.send(listEnd(7));
      assert.equal(await bench.isReady(), true);
      assert.equal(bench.staleMs(), 0);
      await bench.send(frame('MODIFIED', raw('a', 8)), frame('DELETED', raw('b', 9)));
      assert.deepEqual(bench.heard, ['added a@3', 'added b@5', 'modified a@8', 'deleted b@9']);
      await bench.end();
      assert.deepEqual(bench.verbs, ['stream', 'watch 9']);
    });

    it('takes what comes in one breath with the end of the list', async () => {
      const bench = start({ streams: true });
      await bench.clock.settle();
      await bench.send(frame('ADDED', raw('a', 3)) + listEnd(7) + frame('DELETED', raw('a', 8)));
      assert.deepEqual(bench.heard, ['added a@3', 'deleted a@8']);
      await bench.end();
      assert.deepEqual(bench.verbs, ['stream', 'watch 8']);
    });

    it('takes changes that come while the list does', async () => {
      const bench = start({ streams: true });
      await bench.clock.settle();
      await bench.send(
        frame('ADDED', raw('a', 3)),
        frame('ADDED', raw('b', 4)),
        frame('MODIFIED', raw('a', 6)),
        frame('DELETED', raw('b', 7)),
        listEnd(7),
      );
      assert.deepEqual(bench.names, ['a@6']);
    });

    it('run 39: after 410 the list comes anew, and what is not in it was deleted', async () => {
      const bench = start({ streams: true });
      await bench.clock.settle();
      await bench.send(frame('ADDED', raw('stays', 1)), frame('ADDED', raw('goes', 2)), listEnd(4));
      await bench.send(expired);
      await bench.send(frame('ADDED', raw('stays', 1)), frame('ADDED', raw('comes', 9)), listEnd(9));
      // After a failure by pages, in case streams do not pass.
      assert.deepEqual(bench.verbs, ['stream', 'list', 'watch 1']);
      assert.deepEqual(bench.relists, ['expired']);
    });

    it('asks by pages after a stream that broke off, and by a stream after pages that did not come', async () => {
      const bench = start({ streams: true, lists: [unavailable] });
      await bench.clock.settle();
      await bench.send(frame('ADDED', raw('a', 3)));
      await bench.cut();
      assert.deepEqual(bench.verbs, ['stream', 'list']);
      await bench.clock.turn(500);
      await bench.send(frame('ADDED', raw('a', 3)), listEnd(3));
      assert.deepEqual(bench.verbs, ['stream', 'list', 'stream']);
      assert.equal(await bench.isReady(), true);
    });

    const ignorant: readonly { name: string; act: (bench: Bench) => Promise<void> }[] = [
      { name: 'sends a bookmark before the end', act: (bench) => bench.send(frame('ADDED', raw('a', 3)), bookmark(4)) },
      { name: 'never ends the list', act: (bench) => bench.clock.turn(30_000) },
    ];
    for (const { name, act } of ignorant) {
      it(`lists by pages, now and later, from a server that ${name}`, async () => {
        const bench = start({ streams: true, lists: [page(5, [raw('a', 3)])] });
        await bench.clock.settle();
        await act(bench);
        assert.deepEqual(bench.verbs, ['stream', 'list', 'watch 5']);
        assert.equal(await bench.isReady(), true);
        await bench.send(expired);
        await bench.clock.turn(500);
        assert.deepEqual(bench.verbs.slice(3), ['list', 'watch 1']);
      });
    }

    it('waits for a list as long as it goes on', async () => {
      const bench = start({ streams: true });
      await bench.clock.settle();
      for (let each = 0; each < 4; each++) {
        await bench.send(frame('ADDED', raw(`run-${each}`, each)));
        await bench.clock.turn(29_000);
      }
      await bench.send(listEnd(4));
      assert.equal(await bench.isReady(), true);
      assert.deepEqual(bench.verbs, ['stream']);
    });

    const refusals: readonly { status: number; want: readonly string[] }[] = [
      { status: 403, want: ['stream', 'list', 'watch 1'] },
      { status: 400, want: ['stream', 'list', 'watch 1'] },
      { status: 422, want: ['stream', 'list', 'watch 1'] },
      { status: 503, want: ['stream', 'list', 'watch 1'] },
    ];
    for (const { status, want } of refusals) {
      it(`lists by pages when a stream is answered ${status}`, async () => {
        const bench = start({ streams: true, openings: [status] });
        assert.equal(await bench.isReady(), true);
        assert.deepEqual(bench.verbs, want);
      });
    }
  });

  describe('pauses', () => {
    const times = (bench: Bench) => bench.asked.map(({ atMs }) => atMs / 1_000);

    it('0, 0.5, 1 ... 30 s between lists that fail', async () => {
      const bench = start({ lists: Array<Fault>(11).fill(unavailable) });
      await bench.clock.turn(200_000);
      assert.deepEqual(times(bench).slice(0, 11), [0, 0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 61.5, 91.5, 121.5]);
      assert.equal(await bench.isReady(), true);
    });

    it('the same between watches that do not open, without listing again', async () => {
      const bench = start({ openings: [unavailable, 503, 401, 403, 429] });
      await bench.clock.turn(8_000);
      assert.deepEqual(bench.verbs, ['list', ...Array<string>(6).fill('watch 1')]);
      assert.deepEqual(times(bench), [0, 0, 0, 0.5, 1.5, 3.5, 7.5]);
    });

    it('the same between watches that end as soon as they are open', async () => {
      const bench = start();
      await bench.clock.settle();
      for (let time = 0; time < 4; time++) {
        await bench.end();
        await bench.clock.turn(time === 0 ? 0 : 500 * 2 ** (time - 1));
      }
      assert.deepEqual(times(bench), [0, 0, 0, 0.5, 1.5, 3.5]);
    });

    it('none after a watch that lived, or was heard', async () => {
      const bench = start();
      await bench.clock.turn(10_000);
      await bench.end();
      await bench.send(bookmark(2));
      await bench.end();
      await bench.send(bookmark(3));
      await bench.end();
      assert.deepEqual(bench.verbs, ['list', 'watch 1', 'watch 1', 'watch 2', 'watch 3']);
      assert.deepEqual(times(bench), [0, 0, 10, 10, 10]);
    });

    it('none after a watch that lived, whatever was before', async () => {
      const bench = start();
      await bench.clock.settle();
      await bench.end();
      await bench.end();
      await bench.clock.turn(500 + 10_000);
      await bench.end();
      assert.deepEqual(times(bench), [0, 0, 0, 0.5, 10.5]);
    });

    it('none after a change and an error in one breath', async () => {
      const bench = start();
      await bench.clock.settle();
      await bench.end();
      await bench.end();
      await bench.clock.turn(500);
      await bench.send(bookmark(2) + broken);
      assert.deepEqual(times(bench), [0, 0, 0, 0.5, 0.5]);
    });

    it('growing ones before lists that lead to nothing but another 410', async () => {
      const bench = start({ openings: [410, 410, 410, 410] });
      await bench.clock.turn(3_500);
      assert.deepEqual(times(bench), [0, 0, 0, 0, 0.5, 0.5, 1.5, 1.5, 3.5, 3.5]);
    });

    it('as long as Retry-After asks', async () => {
      const later = new Fault('unavailable', 'Kubernetes is not available (429)', { retryAfterMs: 7_000 });
      const bench = start({ lists: [later] });
      await bench.clock.turn(7_000);
      assert.deepEqual(times(bench), [0, 7, 7]);
    });

    it('at an event that the server itself cannot read, and then gets past it by a list', async () => {
      const bench = start();
      await bench.clock.settle();
      for (let time = 0; time < 5; time++) {
        await bench.send(broken);
        await bench.clock.turn(8_000);
      }
      assert.deepEqual(bench.relists, ['unreadable']);
      assert.deepEqual(bench.verbs.slice(-2), ['list', 'watch 1']);
    });
  });

  describe('says how it is', () => {
    it('refused: not ready, with the reason, and ready as soon as it may', async () => {
      const refused = new Fault('refused', 'Kubernetes refused the request (403)', { cause: new Error('who are you') });
      const bench = start({ lists: [refused, refused] });
      assert.equal(await bench.isReady(), false);
      assert.equal(bench.watch.problem()?.message, 'Kubernetes refused the request (403)');
      assert.equal(bench.staleMs(), Number.POSITIVE_INFINITY);
      assert.equal(bench.warnings[0]?.cause, 'who are you');
      await bench.clock.turn(500);
      assert.equal(await bench.isReady(), true);
      assert.equal(bench.watch.problem()?.message, undefined);
    });

    it('a list that stalls has a deadline', async () => {
      const bench = start({ lists: [new Fault('timeout', 'Kubernetes did not answer in time')] });
      assert.equal(await bench.isReady(), true);
      assert.deepEqual(bench.timeouts, [30_000, 30_000]);
    });

    it('current while a watch is open, however quiet', async () => {
      const bench = start();
      await bench.clock.turn(200_000);
      assert.equal(bench.staleMs(), 0);
    });

    it('ageing from the moment the connection broke', async () => {
      const bench = start({ openings: [200, ...Array<Fault>(20).fill(unavailable)] });
      await bench.clock.turn(100_000);
      await bench.cut();
      assert.equal(bench.staleMs(), 0);
      await bench.clock.turn(61_000);
      assert.equal(bench.staleMs(), 61_000);
      assert.equal(bench.watch.problem()?.message, 'Kubernetes cannot be reached');
      await bench.clock.turn(600_000);
      assert.equal(bench.staleMs(), 0);
      assert.equal(bench.watch.problem()?.message, undefined);
    });

    it('as old as the moment its list began', async () => {
      const listing = Promise.withResolvers<JsonObject>();
      const bench = start({ lists: [listing.promise], openings: Array<Fault>(20).fill(unavailable) });
      await bench.clock.turn(20_000);
      listing.resolve(page(1, []));
      assert.equal(await bench.isReady(), true);
      assert.equal(bench.staleMs(), 20_000);
    });

    it('ageing while every watch ends as soon as it is open', async () => {
      const bench = start();
      await bench.clock.settle();
      for (let second = 0; second < 61; second++) {
        await bench.end();
        await bench.clock.turn(1_000);
      }
      assert.equal(bench.staleMs(), 61_000);
      assert.equal(bench.watch.problem()?.message, 'Kubernetes ends the watch as soon as it is open');
    });

    it('ageing once it is stopped', async () => {
      const bench = start();
      await bench.clock.settle();
      await bench.watch.stop();
      await bench.clock.turn(61_000);
      assert.equal(bench.staleMs(), 61_000);
    });

    it('ageing from the last thing heard, when the connection was half-open', async () => {
      const bench = start({ openings: [200, ...Array<Fault>(20).fill(unavailable)] });
      await bench.clock.turn(100_000);
      await bench.send(bookmark(2));
      await bench.clock.turn(155_000);
      assert.equal(bench.staleMs(), 155_000);
    });

    it('ready() resolves once listed, or rejects with the reason of its signal', async () => {
      await start().watch.ready(new AbortController().signal);
      const bench = start({ lists: [unavailable, unavailable] });
      await assert.rejects(bench.watch.ready(AbortSignal.abort(new Error('enough'))), /enough/);
    });
  });

  describe('a kind that is absent', () => {
    it('run 45: is nothing to wait for where it is optional, and is found when it comes', async () => {
      const bench = start({ path: undefined, lists: [page(1, [raw('a', 1)])] }, { optional: true });
      assert.equal(await bench.isReady(), true);
      await bench.clock.turn(600_000);
      assert.deepEqual(
        [bench.staleMs(), bench.watch.problem()?.message, bench.asked.length, bench.doubts, bench.watch.absent()],
        [0, undefined, 0, 10, true],
      );
      bench.path = RUNS;
      await bench.clock.turn(60_000);
      assert.deepEqual([bench.names, bench.watch.absent()], [['a@1'], false]);
    });

    it('is a problem where it is needed, and is looked for every minute', async () => {
      const bench = start({ path: undefined });
      assert.equal(await bench.isReady(), false);
      assert.equal(bench.watch.problem()?.message, 'this cluster serves no pipelineruns');
      await bench.clock.turn(120_000);
      assert.equal(bench.doubts, 2);
      bench.path = RUNS;
      await bench.clock.turn(60_000);
      assert.equal(await bench.isReady(), true);
      assert.equal(bench.watch.problem()?.message, undefined);
    });

    it('takes its objects along only when discovery agrees', async () => {
      const missing = new Fault('not-found', 'Kubernetes has no such object (404)');
      const bench = start({ lists: [page(1, [raw('a', 1)]), missing], openings: [404, 404] }, { optional: true });
      await bench.clock.settle();
      assert.deepEqual(bench.names, ['a@1']);
      assert.equal(bench.doubts, 2);
      bench.path = undefined;
      await bench.clock.turn(500);
      assert.deepEqual(bench.names, []);
      assert.equal(bench.staleMs(), 0);
    });
  });

  it('leaves out an object that cannot be projected, and goes on', async () => {
    const project = (object: JsonObject) => {
      const meta = projectMeta(object);
      if (meta.name === 'odd') throw new Error('odd');
      return { meta };
    };
    const bench = start({ lists: [page(1, [raw('odd', 1), raw('a', 1)])] }, { project });
    await bench.clock.settle();
    await bench.send(frame('ADDED', raw('odd', 2)), frame('ADDED', raw('b', 3)));
    assert.deepEqual(bench.names, ['a@1', 'b@3']);
  });

  describe('stops at once', () => {
    const cases: readonly { name: string; given: () => Bench }[] = [
      { name: 'while it lists', given: () => start({}, { path: () => new Promise(() => {}) }) },
      { name: 'while it pauses', given: () => start({ lists: Array<Fault>(3).fill(unavailable) }) },
      { name: 'while it watches', given: () => start() },
    ];
    for (const { name, given } of cases) {
      it(name, async () => {
        const bench = given();
        await bench.clock.settle();
        const said = bench.warnings.length;
        await bench.watch.stop();
        assert.equal(bench.warnings.length, said);
        const asked = bench.asked.length;
        await bench.clock.turn(600_000);
        assert.equal(bench.asked.length, asked);
      });
    }
  });

  it('run 39: whatever breaks, the store comes true again', async () => {
    const change = fc.record({
      act: fc.constant('change' as const),
      name: fc.constantFrom('a', 'b', 'c', 'd'),
      deleted: fc.boolean(),
    });
    const trouble = fc.record({
      act: fc.constantFrom(
        'end',
        'cut',
        'cut-in-frame',
        'forget',
        'expire',
        'error',
        'garbage',
        'bookmark',
        'down',
        'up',
      ),
    });
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.array(fc.oneof(change, trouble), { maxLength: 40 }), async (streams, steps) => {
        const cluster = new Cluster(streams);
        const { store, writer } = createStore<Kept>(silentLog);
        const clock = new HandClock();
        const watch = startWatch<Kept>({
          reader: cluster,
          path: async () => RUNS,
          resource: 'pipelineruns',
          scope: '',
          writer,
          project: (object) => ({ meta: projectMeta(object) }),
          clock,
          random: () => 0,
          log: silentLog,
          metrics: silentMetrics,
        });
        for (const step of steps) {
          if (step.act === 'change') cluster.change(step.name, step.deleted);
          else cluster.trouble(step.act);
          await clock.turn(100);
        }
        cluster.trouble('up');
        await clock.turn(40_000);
        const told = [...store.values()].map(({ meta }) => `${meta.name}@${meta.resourceVersion}`).sort();
        assert.deepEqual(told, cluster.names());
        assert.equal(watch.staleMs(clock.now()), 0);
        await watch.stop();
        assert.equal(clock.sleeping, 0);
      }),
      { numRuns: 60 },
    );
  });
});

/** A small API server with one collection: it lists, watches from any version it still knows, and misbehaves on demand. */
class Cluster implements KubeReader {
  #version = 1;
  #known = 1;
  #up = true;
  readonly #objects = new Map<string, JsonObject>();
  readonly #events: { readonly version: number; readonly text: string }[] = [];
  readonly #open = new Set<PassThrough>();
  readonly #streams: boolean;

  constructor(streams: boolean) {
    this.#streams = streams;
  }

  get: KubeReader['get'] = async (path) => {
    if (!this.#up) throw unavailable;
    // Pages of one object, so that changes fall between them; the snapshot is the first page's.
    const query = new URLSearchParams(path.split('?')[1]);
    const [version, rest] = JSON.parse(query.get('continue') ?? 'null') ?? [this.#version, [...this.#objects.values()]];
    const [first, ...others] = listOf(rest);
    const items = first === undefined ? [] : [objectOf(first)];
    return page(version, items, others.length === 0 ? {} : { continue: JSON.stringify([version, others]) });
  };

  stream: KubeReader['stream'] = async (path, { signal } = {}) => {
    if (!this.#up) throw unavailable;
    const query = new URLSearchParams(path.split('?')[1]);
    const listsToo = query.has('sendInitialEvents');
    const from = listsToo ? this.#version : Number(query.get('resourceVersion'));
    const body = new PassThrough();
    // As in Bench.
    const answered = { headers: {}, body: body as unknown as IncomingMessage };
    if (listsToo && !this.#streams) {
      body.end();
      return { status: 422, ...answered };
    }
    signal?.addEventListener('abort', () => body.destroy());
    body.once('close', () => this.#open.delete(body));
    this.#open.add(body);
    if (listsToo) for (const object of this.#objects.values()) body.write(frame('ADDED', object));
    if (listsToo) body.write(listEnd(this.#version));
    if (from < this.#known) body.write(expired);
    else for (const { version, text } of this.#events) if (version > from) body.write(text);
    return { status: 200, ...answered };
  };

  change(name: string, deleted: boolean) {
    const type = !deleted ? (this.#objects.has(name) ? 'MODIFIED' : 'ADDED') : 'DELETED';
    if (deleted && !this.#objects.has(name)) return;
    const object = raw(name, ++this.#version);
    if (deleted) this.#objects.delete(name);
    else this.#objects.set(name, object);
    this.#send(frame(type, object), this.#version);
  }

  trouble(
    act: 'end' | 'cut' | 'cut-in-frame' | 'forget' | 'expire' | 'error' | 'garbage' | 'bookmark' | 'down' | 'up',
  ) {
    if (act === 'up' || act === 'down') this.#up = act === 'up';
    if (act === 'forget' || act === 'expire') {
      this.#known = this.#version;
      this.#events.length = 0;
    }
    for (const body of this.#open) {
      if (act === 'end') body.end();
      if (act === 'cut' || act === 'down' || act === 'forget') body.destroy(new Error('reset'));
      if (act === 'cut-in-frame') body.end(frame('ADDED', raw('never', 99)).slice(0, -10));
      if (act === 'expire') body.write(expired);
      if (act === 'error') body.write(broken);
      if (act === 'garbage') body.write('garbage\n');
      if (act === 'bookmark') body.write(bookmark(this.#version));
    }
  }

  names(): readonly string[] {
    return [...this.#objects.values()]
      .map(({ metadata }) => `${stringOf(objectOf(metadata).name)}@${stringOf(objectOf(metadata).resourceVersion)}`)
      .sort();
  }

  #send(text: string, version: number) {
    this.#events.push({ version, text });
    for (const body of this.#open) body.write(text);
  }
}

describe('backoffMs', () => {
  it('is up to a fifth longer, by chance', () => {
    assert.equal(
      backoffMs(3, () => 0.5),
      1_100,
    );
    assert.equal(
      backoffMs(1, () => 0.5),
      0,
    );
    assert.equal(
      backoffMs(1_000, () => 0),
      30_000,
    );
  });
});
