import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { HandClock } from '../../test/support/hand-clock.ts';
import { silentMetrics } from '../metrics.ts';
import type { KubeReader } from './client.ts';
import type { LogPosition } from './lines.ts';
import type { ContainerMoment, ReadNotice, ReadOutcome } from './podlog.ts';
import { type ContainerLogs, createContainerLogs } from './sharedlog.ts';

const EPOCH = Date.parse('2026-11-01T10:00:00Z');

/** A log endpoint with one container, whose log grows as the test says. */
class Endpoint implements KubeReader {
  moment: ContainerMoment = 'running';
  /** Questions that followed, and those of them that are open. */
  followed = 0;
  readonly open = new Set<Readable>();
  readonly texts: string[] = [];

  readonly #listeners = new Set<() => void>();

  get = () => Promise.reject(new Error('not asked'));

  readonly stream: KubeReader['stream'] = async (path, { signal } = {}) => {
    const query = new URLSearchParams(path.slice(path.indexOf('?')));
    const since = query.get('sinceTime');
    const all = this.texts.map((text, at) => ({ at, line: lineOf(at, text) }));
    const from = since === null ? 0 : all.findIndex(({ at }) => timeOf(at) >= Date.parse(since));
    const shown = from === -1 ? [] : all.slice(from);
    const last = query.get('tailLines') === '1' ? shown.slice(-1) : shown;
    const body = new Readable({ read() {} });
    signal?.addEventListener('abort', () => body.destroy(new Error('aborted')), { once: true });
    body.push(last.map(({ line }) => line).join(''));
    if (query.get('follow') === 'true' && this.moment === 'running') {
      this.followed += 1;
      this.open.add(body);
      body.once('close', () => this.open.delete(body));
    } else body.push(null);
    return { status: 200, headers: {}, body: body as unknown as IncomingMessage };
  };

  write(texts: readonly string[]): void {
    const begun = this.texts.length;
    this.texts.push(...texts);
    const written = texts.map((text, index) => lineOf(begun + index, text)).join('');
    for (const body of this.open) body.push(written);
  }

  cut(): void {
    for (const body of [...this.open]) body.destroy(new Error('ECONNRESET'));
  }

  end(): void {
    this.moment = 'terminated';
    for (const body of this.open) body.push(null);
    for (const listener of [...this.#listeners]) listener();
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get subscribers(): number {
    return this.#listeners.size;
  }
}

/** Three lines share each instant, and ten instants each second. */
function timeOf(at: number): number {
  return EPOCH + Math.floor(at / 3) * 100;
}

function lineOf(at: number, text: string): string {
  return `${new Date(timeOf(at)).toISOString().slice(0, -1)}000000Z ${text}\n`;
}

/** A reader who takes what he is allowed to. */
class Reader {
  readonly texts: string[] = [];
  readonly notices: ReadNotice[] = [];
  readonly ending = new AbortController();
  position: LogPosition | undefined;
  outcome: ReadOutcome | undefined;
  mistake: unknown;
  refuses: Error | undefined;
  #isSlow: boolean;
  #allow: (() => void) | undefined;

  constructor(
    logs: ContainerLogs,
    endpoint: Endpoint,
    more: { slow?: boolean; from?: LogPosition | undefined; podUid?: string; tailLines?: number } = {},
  ) {
    this.#isSlow = more.slow ?? false;
    void logs
      .read({
        namespace: 'ci',
        pod: 'build-pod',
        podUid: more.podUid ?? 'u1',
        container: 'step-a',
        follow: true,
        range: more.tailLines === undefined ? {} : { tailLines: more.tailLines },
        ...(more.from === undefined ? {} : { from: more.from }),
        sight: { now: () => endpoint.moment, subscribe: (listener) => endpoint.subscribe(listener) },
        lines: async ({ lines, positionAfter }) => {
          if (this.refuses !== undefined) throw this.refuses;
          this.texts.push(...lines.map(({ text }) => String(text)));
          this.position = positionAfter(lines.length - 1);
          if (this.#isSlow) {
            await new Promise<void>((resolve) => {
              this.#allow = resolve;
            });
          }
        },
        notice: (notice) => this.notices.push(notice),
        worthRetrying: () => true,
        signal: this.ending.signal,
      })
      .then(
        (outcome) => {
          this.outcome = outcome;
        },
        (error: unknown) => {
          this.mistake = error;
        },
      );
  }

  /** Takes the batch that is waiting. */
  take(): void {
    this.#allow?.();
  }

  hurry(): void {
    this.#isSlow = false;
    this.take();
  }
}

function bench(): { clock: HandClock; endpoint: Endpoint; logs: ContainerLogs; upstreams: () => number } {
  const clock = new HandClock();
  const endpoint = new Endpoint();
  let upstreams = () => 0;
  const metrics = {
    ...silentMetrics,
    level: (_: string, read: () => number) => {
      upstreams = read;
    },
  };
  const logs = createContainerLogs({ reader: endpoint, clock, random: () => 0.5, metrics });
  return { clock, endpoint, logs, upstreams: () => upstreams() };
}

const numbered = (from: number, count: number, bytes = 0) =>
  Array.from({ length: count }, (_, at) => `${from + at}`.padEnd(bytes, 'x'));

describe('kube/sharedlog', () => {
  it('fifty who follow one container share one stream, and each has every line once', async () => {
    const { clock, endpoint, logs, upstreams } = bench();
    endpoint.write(numbered(0, 40));
    const readers: Reader[] = [];
    for (let count = 0; count < 50; count++) {
      readers.push(new Reader(logs, endpoint));
      await clock.settle();
    }
    assert.equal(endpoint.open.size, 1);
    assert.equal(upstreams(), 1);
    endpoint.write(numbered(40, 10));
    await clock.settle();
    endpoint.end();
    await clock.turn(1_000);
    for (const { texts, outcome, notices } of readers) {
      assert.deepEqual(texts, numbered(0, 50));
      assert.deepEqual(notices, []);
      assert.equal(outcome, 'complete');
    }
    assert.equal(upstreams(), 0);
    assert.equal(clock.sleeping, 0);
    assert.equal(endpoint.subscribers, 0);
  });

  for (const { what, before, count, followed } of [
    { what: 'a short log that one alone has read', before: 1, count: 10, followed: 1 },
    { what: 'a log that two have read, while all of it is kept', before: 2, count: 150, followed: 1 },
    { what: 'more than is kept for one alone', before: 1, count: 150, followed: 2 },
    { what: 'more than is kept at all', before: 2, count: 400, followed: 2 },
  ]) {
    it(`who comes later to ${what} asks for ${followed === 1 ? 'nothing' : 'the log himself'}`, async () => {
      const { clock, endpoint, logs } = bench();
      const readers = Array.from({ length: before }, () => new Reader(logs, endpoint));
      await clock.settle();
      for (let at = 0; at < count; at += 10) {
        endpoint.write(numbered(at, 10, 1_000));
        await clock.settle();
      }
      readers.push(new Reader(logs, endpoint));
      await clock.settle();
      assert.equal(endpoint.followed, followed);
      endpoint.write(numbered(count, 3, 1_000));
      await clock.settle();
      for (const { texts, ending } of readers) {
        assert.deepEqual(texts, numbered(0, count + 3, 1_000));
        ending.abort();
      }
      await clock.settle();
      assert.equal(endpoint.open.size, 0);
    });
  }

  it('a tail is of the log as it is when it is asked for', async () => {
    const { clock, endpoint, logs } = bench();
    endpoint.write(numbered(0, 3));
    const first = new Reader(logs, endpoint, { tailLines: 1 });
    await clock.settle();
    endpoint.write(numbered(3, 3));
    await clock.settle();
    const second = new Reader(logs, endpoint, { tailLines: 1 });
    await clock.settle();
    assert.deepEqual(first.texts, numbered(2, 4));
    assert.deepEqual(second.texts, numbered(5, 1));
    for (const { ending } of [first, second]) ending.abort();
    await clock.settle();
  });

  it('those who wait for a container together ask for its log once', async () => {
    const { clock, endpoint, logs } = bench();
    endpoint.moment = 'waiting';
    const readers = Array.from({ length: 20 }, () => new Reader(logs, endpoint));
    await clock.settle();
    endpoint.moment = 'running';
    endpoint.write(numbered(0, 5));
    endpoint.end();
    endpoint.moment = 'running';
    await clock.settle();
    assert.equal(endpoint.followed, 1);
    for (const { texts } of readers) assert.deepEqual(texts, numbered(0, 5));
    for (const { ending } of readers) ending.abort();
    await clock.settle();
    assert.equal(endpoint.open.size, 0);
  });

  it('who asks for another beginning, or for another pod of that name, does not get this one’s', async () => {
    const { clock, endpoint, logs } = bench();
    const first = new Reader(logs, endpoint, { tailLines: 5 });
    const second = new Reader(logs, endpoint);
    const third = new Reader(logs, endpoint, { podUid: 'u2' });
    await clock.settle();
    assert.equal(endpoint.open.size, 3);
    endpoint.write(numbered(0, 3));
    await clock.settle();
    assert.equal(endpoint.open.size, 2, 'the first two are at the same place now');
    for (const { texts } of [first, second, third]) assert.deepEqual(texts, numbered(0, 3));
    for (const { ending } of [first, second, third]) ending.abort();
    await clock.settle();
  });

  it('the one who came first may leave: the stream stays as long as somebody reads it', async () => {
    const { clock, endpoint, logs, upstreams } = bench();
    const [first, second] = [new Reader(logs, endpoint), new Reader(logs, endpoint)];
    await clock.settle();
    endpoint.write(numbered(0, 3));
    await clock.settle();
    first.ending.abort();
    await clock.settle();
    assert.equal(first.outcome, 'incomplete');
    assert.equal(endpoint.open.size, 1);
    endpoint.write(numbered(3, 3));
    await clock.settle();
    assert.deepEqual(second.texts, numbered(0, 6));
    assert.equal(endpoint.followed, 1);
    second.ending.abort();
    await clock.settle();
    assert.equal(endpoint.open.size, 0);
    assert.equal(upstreams(), 0);
    assert.equal(clock.sleeping, 0);
  });

  it('run 33: who takes nothing holds up nobody, reads on by himself from where he is, and joins again', async () => {
    const { clock, endpoint, logs } = bench();
    const [fast, slow] = [new Reader(logs, endpoint), new Reader(logs, endpoint, { slow: true })];
    await clock.settle();
    for (let batch = 0; batch < 40; batch++) {
      endpoint.write(numbered(batch * 20, 20, 1_000));
      await clock.settle();
    }
    assert.equal(fast.texts.length, 800);
    assert.equal(slow.texts.length, 20);
    assert.equal(endpoint.open.size, 1);
    slow.hurry();
    await clock.turn(100);
    assert.deepEqual(slow.texts, fast.texts);
    assert.equal(endpoint.followed, 2, 'he fell behind what is kept, and asked for himself');
    assert.equal(endpoint.open.size, 1, 'he has joined again');
    endpoint.write(numbered(800, 1));
    endpoint.end();
    await clock.turn(1_000);
    assert.equal(slow.texts.length, 801);
    assert.deepEqual([fast.outcome, slow.outcome], ['complete', 'complete']);
  });

  it('a reader alone is read for at his own pace', async () => {
    const { clock, endpoint, logs } = bench();
    const reader = new Reader(logs, endpoint, { slow: true });
    await clock.settle();
    for (let batch = 0; batch < 5; batch++) {
      endpoint.write(numbered(batch, 1));
      await clock.settle();
    }
    assert.deepEqual(reader.texts, ['0']);
    reader.hurry();
    await clock.settle();
    assert.deepEqual(reader.texts, numbered(0, 5));
    reader.ending.abort();
    await clock.settle();
  });

  it('run 37: who comes back with a position at the end of the log joins without asking for it', async () => {
    const { clock, endpoint, logs } = bench();
    const first = new Reader(logs, endpoint);
    endpoint.write(numbered(0, 3));
    await clock.settle();
    const second = new Reader(logs, endpoint, { from: first.position });
    await clock.settle();
    endpoint.write(numbered(3, 2));
    await clock.settle();
    assert.deepEqual(second.texts, ['3', '4']);
    assert.equal(endpoint.followed, 1);
    for (const { ending } of [first, second]) ending.abort();
    await clock.settle();
  });

  it('a gap is told to each who was there, and to nobody else', async () => {
    const { clock, endpoint, logs } = bench();
    const readers = [new Reader(logs, endpoint), new Reader(logs, endpoint)];
    await clock.settle();
    endpoint.write(numbered(0, 3));
    await clock.settle();
    endpoint.texts.fill('rotated away');
    endpoint.write(Array.from({ length: 90 }, () => 'rotated away'));
    endpoint.cut();
    await clock.turn(1_000);
    for (const { notices } of readers) assert.deepEqual(notices, [{ type: 'gap' }]);
    const late = new Reader(logs, endpoint);
    await clock.settle();
    assert.deepEqual(late.notices, []);
    for (const { ending } of [...readers, late]) ending.abort();
    await clock.settle();
  });

  it('what one cannot take is thrown to him, and to nobody else', async () => {
    const { clock, endpoint, logs } = bench();
    const [good, bad] = [new Reader(logs, endpoint), new Reader(logs, endpoint)];
    await clock.settle();
    bad.refuses = new Error('cannot take this');
    endpoint.write(numbered(0, 2));
    await clock.settle();
    assert.equal(bad.mistake, bad.refuses);
    endpoint.write(numbered(2, 2));
    await clock.settle();
    assert.deepEqual(good.texts, numbered(0, 4));
    good.ending.abort();
    await clock.settle();
  });

  it('whoever joins, leaves, falls behind or is cut, and whenever: every reader has every line once, in order', async () => {
    const action = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({ do: fc.constant('write' as const), count: fc.integer({ min: 1, max: 120 }) }),
      },
      { weight: 3, arbitrary: fc.record({ do: fc.constant('join' as const), slow: fc.boolean(), from: fc.boolean() }) },
      { weight: 4, arbitrary: fc.record({ do: fc.constant('take' as const), who: fc.nat(9) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const), who: fc.nat(9) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('cut' as const) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.nat(3_000) }) },
    );
    // Lines of which the ring holds thousands, or a few.
    const actionsAndWidth = fc.tuple(
      fc.array(fc.tuple(action, fc.boolean()), { maxLength: 30 }),
      fc.constantFrom(0, 1_500),
    );
    await fc.assert(
      fc.asyncProperty(actionsAndWidth, async ([actions, width]) => {
        const { clock, endpoint, logs, upstreams } = bench();
        const readers: { readonly reader: Reader; readonly begun: number }[] = [];
        for (const [each, settles] of actions) {
          const chosen = 'who' in each ? readers[each.who % Math.max(1, readers.length)]?.reader : undefined;
          if (each.do === 'write') endpoint.write(numbered(endpoint.texts.length, each.count, width));
          else if (each.do === 'join') {
            const other = each.from ? readers.find(({ reader }) => reader.position !== undefined) : undefined;
            const begun = other === undefined ? 0 : other.begun + other.reader.texts.length;
            const reader = new Reader(logs, endpoint, { slow: each.slow, from: other?.reader.position });
            readers.push({ reader, begun });
          } else if (each.do === 'take') chosen?.take();
          else if (each.do === 'leave') chosen?.ending.abort();
          else if (each.do === 'cut') endpoint.cut();
          else await clock.turn(each.ms);
          if (settles) await clock.settle();
        }
        for (const { reader } of readers) reader.hurry();
        await clock.turn(20_000);
        endpoint.end();
        await clock.turn(20_000);
        for (const { reader, begun } of readers) {
          const want = endpoint.texts.slice(begun);
          if (reader.ending.signal.aborted) {
            assert.deepEqual(reader.texts, want.slice(0, reader.texts.length));
            continue;
          }
          assert.deepEqual(reader.texts, want);
          // Cut twice in a row, he may be told that the log cannot be read for a moment.
          assert.ok(reader.notices.every(({ type }) => type === 'unreachable' || type === 'reached'));
          assert.equal(reader.outcome, 'complete');
        }
        assert.equal(upstreams(), 0);
        assert.equal(endpoint.open.size, 0);
        assert.equal(clock.sleeping, 0);
        assert.equal(endpoint.subscribers, 0);
      }),
      { numRuns: 100 },
    );
  }).timeout(60_000);
});
