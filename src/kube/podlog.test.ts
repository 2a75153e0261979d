import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { HandClock } from '../../test/support/hand-clock.ts';
import { Fault } from '../fault.ts';
import { silentMetrics } from '../metrics.ts';
import type { StreamAnswer } from './answers.ts';
import type { KubeReader } from './client.ts';
import type { LogPosition } from './lines.ts';
import { type ContainerMoment, type ReadNotice, type ReadOutcome, readContainerLog } from './podlog.ts';

/** What the log endpoint does with the next read that fits. */
interface Scripted {
  readonly on?: RegExp;
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  /** How the body ends: cleanly, by a reset, or not at all. */
  readonly ends?: 'cleanly' | 'cut' | 'never';
  readonly refuses?: Fault;
}

const LINES = ['10:00:00.000000001Z one', '10:00:00.000000002Z two', '10:00:03.000000000Z three'];
const body = (...lines: string[]) => lines.map((line) => `2026-11-01T${line}\n`).join('');
const ALL = body(...LINES);

/** One reading of a container whose endpoint follows a script and whose pod is moved by the test. */
class Bench {
  readonly clock = new HandClock();
  readonly asked: string[] = [];
  readonly texts: string[] = [];
  readonly notices: ReadNotice[] = [];
  readonly ending = new AbortController();
  moment: ContainerMoment = 'running';
  outcome: ReadOutcome | undefined;
  worthRetrying = true;
  restarts = 0;
  readonly positions: LogPosition[] = [];
  failingForMs = 0;
  refuses: Error | undefined;
  mistake: unknown;
  open = 0;
  #listeners = new Set<() => void>();
  #script: Scripted[];
  #stream: Readable | undefined;

  constructor(
    script: Scripted[],
    more: {
      follow?: boolean;
      moment?: ContainerMoment;
      tailLines?: number;
      restarts?: number;
      from?: LogPosition | undefined;
      onlyFirstRun?: boolean;
    } = {},
  ) {
    this.#script = script;
    this.moment = more.moment ?? 'running';
    this.restarts = more.restarts ?? 0;
    const reader: KubeReader = {
      get: () => Promise.reject(new Error('not asked')),
      stream: (path, { signal } = {}) => this.#answer(path, signal),
    };
    void readContainerLog({
      reader,
      clock: this.clock,
      random: () => 0.5,
      metrics: silentMetrics,
      namespace: 'ci',
      pod: 'build-pod',
      container: 'step-a',
      sight: {
        now: () => this.moment,
        restarts: () => this.restarts,
        subscribe: (listener) => {
          this.#listeners.add(listener);
          return () => this.#listeners.delete(listener);
        },
      },
      follow: more.follow ?? true,
      range: more.tailLines === undefined ? {} : { tailLines: more.tailLines },
      ...(more.from === undefined ? {} : { from: more.from }),
      onlyFirstRun: more.onlyFirstRun ?? false,
      lines: ({ lines, positionAfter }) => {
        if (this.refuses !== undefined) throw this.refuses;
        this.positions.push(...lines.map((_, at) => positionAfter(at)));
        this.texts.push(...lines.map(({ text }) => String(text)));
      },
      notice: (notice) => this.notices.push(notice),
      worthRetrying: (failingForMs) => {
        this.failingForMs = failingForMs;
        return this.worthRetrying;
      },
      signal: this.ending.signal,
    }).then(
      (outcome) => {
        this.outcome = outcome;
      },
      (error) => {
        this.mistake = error;
      },
    );
  }

  async #answer(path: string, signal: AbortSignal | undefined): Promise<StreamAnswer> {
    this.asked.push(decodeURIComponent(path.slice(path.indexOf('?') + 1)));
    const place = this.#script.findIndex(({ on }) => on === undefined || on.test(path));
    const found = this.#script[place];
    if (found === undefined) throw new Fault('unavailable', 'nothing scripted');
    this.#script.splice(place, 1);
    if (found.refuses !== undefined) throw found.refuses;
    const stream = new Readable({ read() {} });
    if (found.ends === 'never') this.#stream = stream;
    this.open += 1;
    stream.once('close', () => {
      this.open -= 1;
    });
    signal?.addEventListener('abort', () => stream.destroy(new Error('aborted')), { once: true });
    if (found.body !== undefined) stream.push(Buffer.from(found.body));
    if (found.ends === 'cut') setImmediate(() => stream.destroy(new Error('ECONNRESET')));
    else if (found.ends !== 'never') stream.push(null);
    return { status: found.status ?? 200, headers: found.headers ?? {}, body: stream as IncomingMessage };
  }

  /** Brings more on the stream that was opened last and stays open. */
  say(text: string): Promise<void> {
    this.#stream?.push(Buffer.from(text));
    return this.clock.settle();
  }

  move(moment: ContainerMoment, restarts = this.restarts): Promise<void> {
    this.moment = moment;
    this.restarts = restarts;
    for (const listener of [...this.#listeners]) listener();
    return this.clock.settle();
  }
}

const TAIL = { on: /tailLines=1/, body: body(LINES[2] ?? '') };

describe('kube/podlog', () => {
  it('follows, and is complete when the last line of the log is the last line delivered', async () => {
    const bench = new Bench([{ body: ALL, ends: 'cleanly' }, TAIL]);
    await bench.clock.settle();
    assert.equal(bench.outcome, undefined);
    await bench.move('terminated');
    await bench.clock.turn(0);
    assert.deepEqual(bench.texts, ['one', 'two', 'three']);
    assert.equal(bench.outcome, 'complete');
    assert.deepEqual(bench.asked, [
      'container=step-a&timestamps=true&follow=true',
      'container=step-a&timestamps=true&tailLines=1&limitBytes=1048576',
    ]);
    assert.equal(bench.clock.sleeping, 0);
  });

  it('run 12: a clean end while the container runs is a reason to go on, not an end', async () => {
    const bench = new Bench([{ body: body(...LINES.slice(0, 2)) }, TAIL, { body: ALL, ends: 'never' }]);
    await bench.clock.turn(250);
    assert.deepEqual(bench.texts, ['one', 'two', 'three']);
    assert.match(bench.asked[2] ?? '', /follow=true&sinceTime=2026-11-01T09:59:59Z$/);
    assert.equal(bench.outcome, undefined);
    assert.deepEqual(bench.notices, []);
  });

  it('run 11: a cut inside a line is resumed and repeats nothing', async () => {
    const bench = new Bench([
      { body: ALL.slice(0, 50), ends: 'cut' },
      { body: ALL, ends: 'never' },
    ]);
    await bench.clock.turn(0);
    assert.deepEqual(bench.texts, ['one', 'two', 'three']);
  });

  it('run 12: a stream that ended early although its container has terminated is read to its real end', async () => {
    const bench = new Bench([{ body: body(...LINES.slice(0, 1)) }, TAIL, { on: /sinceTime/, body: ALL }, TAIL]);
    await bench.clock.settle();
    await bench.move('terminated');
    await bench.clock.turn(0);
    assert.deepEqual(bench.texts, ['one', 'two', 'three']);
    assert.equal(bench.outcome, 'complete');
  });

  it('run 15: a 200 whose body is an error of the kubelet is a notice, tried again, and incomplete', async () => {
    const text = 'unable to retrieve container logs for containerd://abc';
    const bench = new Bench(Array.from({ length: 4 }, () => ({ body: text })));
    await bench.clock.turn(5_000);
    assert.deepEqual(bench.texts, []);
    assert.deepEqual(bench.notices, [{ type: 'not-log', text }]);
    assert.equal(bench.asked.length, 4);
    assert.equal(bench.outcome, 'incomplete');
  });

  it('run 16: a container that waits is not asked for its log', async () => {
    const bench = new Bench([{ body: ALL, ends: 'never' }], { moment: 'waiting' });
    await bench.clock.turn(60_000);
    assert.deepEqual(bench.asked, []);
    await bench.move('running');
    assert.deepEqual(bench.texts, ['one', 'two', 'three']);
    assert.equal(bench.asked.length, 1);
  });

  for (const { name, script } of [
    { name: 'a 204', script: { status: 204 } },
    {
      name: 'a 400 that says it waits',
      script: {
        status: 400,
        body: '{"message":"container \\"step-a\\" in pod \\"p\\" is waiting to start: PodInitializing"}',
      },
    },
  ]) {
    it(`run 16: ${name} is answered by waiting for the pod to change`, async () => {
      const bench = new Bench([script, { body: ALL, ends: 'never' }]);
      await bench.clock.settle();
      assert.equal(bench.asked.length, 1);
      await bench.move('running');
      assert.deepEqual(bench.texts, ['one', 'two', 'three']);
    });
  }

  it('run 6: while the API is away it tries again without end, says so once, and goes on where it was', async () => {
    const away = new Fault('unavailable', 'no answer');
    const bench = new Bench([
      { body: body(...LINES.slice(0, 1)), ends: 'cut' },
      ...Array.from({ length: 30 }, () => ({ refuses: away })),
      { status: 503, headers: { 'retry-after': '7' } },
      { body: ALL, ends: 'never' },
    ]);
    await bench.clock.turn(300_000);
    assert.deepEqual(bench.texts, ['one', 'two', 'three']);
    assert.deepEqual(bench.notices, [{ type: 'unreachable' }, { type: 'reached' }]);
  });

  it('a failure that is not worth another try ends as incomplete', async () => {
    const bench = new Bench([{ status: 500 }]);
    bench.worthRetrying = false;
    await bench.clock.turn(0);
    assert.equal(bench.outcome, 'incomplete');
  });

  it('run 24: a pod that is gone ends what was read of it, and says so', async () => {
    const bench = new Bench([{ body: ALL, ends: 'cleanly' }, { body: 'of another pod' }]);
    await bench.clock.settle();
    await bench.move('gone');
    await bench.clock.turn(0);
    assert.deepEqual(bench.texts, ['one', 'two', 'three']);
    assert.deepEqual(bench.notices, [{ type: 'gone', delivered: true }]);
    assert.equal(bench.outcome, 'incomplete');
  });

  it('a 403 is said and ends the reading', async () => {
    const bench = new Bench([{ status: 403 }]);
    await bench.clock.turn(0);
    assert.deepEqual(bench.notices, [{ type: 'forbidden' }]);
    assert.equal(bench.outcome, 'incomplete');
  });

  it('a rotation between two reads is told as a gap and ends as incomplete', async () => {
    const bench = new Bench([
      { body: body(...LINES.slice(0, 1)), ends: 'cut' },
      { body: body('10:00:09.000000000Z nine'), ends: 'cleanly' },
      { on: /tailLines=1/, body: body('10:00:09.000000000Z nine') },
    ]);
    await bench.clock.turn(0);
    await bench.move('terminated');
    await bench.clock.turn(0);
    assert.deepEqual(bench.texts, ['one', 'nine']);
    assert.deepEqual(bench.notices, [{ type: 'gap' }]);
    assert.equal(bench.outcome, 'incomplete');
  });

  it('a stream that stays open after its container has ended is left', async () => {
    const bench = new Bench([{ body: ALL, ends: 'never' }, TAIL]);
    await bench.clock.settle();
    await bench.move('terminated');
    await bench.clock.turn(6_000);
    assert.equal(bench.outcome, 'complete');
    assert.equal(bench.open, 0);
  });

  it('not following, it delivers what exists and looks once whether that was all', async () => {
    const bench = new Bench([{ body: ALL }, TAIL], { follow: false, moment: 'terminated' });
    await bench.clock.turn(0);
    assert.deepEqual(bench.texts, ['one', 'two', 'three']);
    assert.equal(bench.outcome, 'complete');
    assert.ok(bench.asked.every((query) => !query.includes('follow')));
  });

  it('not following, a container that waits has nothing to say', async () => {
    const bench = new Bench([], { follow: false, moment: 'waiting' });
    await bench.clock.turn(0);
    assert.equal(bench.outcome, 'complete');
  });

  it('a last line without LF is delivered once', async () => {
    const cut = ALL.slice(0, -1);
    const bench = new Bench([
      { body: cut },
      { on: /tailLines=1/, body: body(LINES[2] ?? '').slice(0, -1) },
      { body: cut },
      { on: /tailLines=1/, body: body(LINES[2] ?? '').slice(0, -1) },
    ]);
    await bench.clock.settle();
    await bench.move('terminated');
    await bench.clock.turn(0);
    assert.deepEqual(bench.texts, ['one', 'two', 'three']);
    assert.equal(bench.outcome, 'complete');
  });

  it('run 12: an ended log that is cut cleanly inside what a resumed read repeats is not taken for whole', async () => {
    const bench = new Bench(
      [
        { body: body(...LINES.slice(0, 2)) },
        TAIL,
        { on: /sinceTime/, body: body(...LINES.slice(0, 1)) },
        TAIL,
        { on: /sinceTime/, body: ALL },
        TAIL,
      ],
      { moment: 'terminated' },
    );
    await bench.clock.turn(10_000);
    assert.deepEqual(bench.texts, ['one', 'two', 'three']);
    assert.deepEqual(bench.notices, []);
    assert.equal(bench.outcome, 'complete');
  });

  it('run 12: half a line before a clean end is not a line', async () => {
    const bench = new Bench([{ body: ALL.slice(0, -3) }, TAIL, { on: /sinceTime/, body: ALL }, TAIL], {
      moment: 'terminated',
    });
    await bench.clock.turn(10_000);
    assert.deepEqual(bench.texts, ['one', 'two', 'three']);
    assert.equal(bench.outcome, 'complete');
  });

  it('run 12: an ended log whose end never comes is incomplete', async () => {
    const short = { on: /sinceTime|follow/, body: body(...LINES.slice(0, 2)) };
    const bench = new Bench([{ body: short.body }, ...Array.from({ length: 4 }, () => [TAIL, short]).flat()], {
      moment: 'terminated',
    });
    await bench.clock.turn(60_000);
    assert.deepEqual(bench.texts, ['one', 'two']);
    assert.deepEqual(bench.notices, [{ type: 'gap' }]);
    assert.equal(bench.outcome, 'incomplete');
  });

  it('a last line of several records, of which the question for it shows only the last, is an end all the same', async () => {
    const text = 'x'.repeat(40_000);
    const whole = body(LINES[0] ?? '', `10:00:00.000000002Z ${text}`);
    const last = { on: /tailLines=1/, body: body(`10:00:00.000000009Z ${text.slice(32_768)}`) };
    const bench = new Bench(Array.from({ length: 4 }, () => [{ on: /^(?!.*tailLines)/, body: whole }, last]).flat(), {
      moment: 'terminated',
    });
    await bench.clock.turn(10_000);
    assert.deepEqual(bench.texts, ['one', text]);
    assert.equal(bench.outcome, 'complete');
  });

  it('an empty log is complete when it has been seen to be empty', async () => {
    const bench = new Bench([{ body: '' }, { on: /tailLines=1/, body: '' }], { moment: 'terminated' });
    await bench.clock.turn(0);
    assert.equal(bench.outcome, 'complete');
    assert.equal(bench.asked.length, 2);
  });

  it('not following, a read that stalls is given up', async () => {
    const bench = new Bench([{ body: body(LINES[0] ?? ''), ends: 'never' }], { follow: false, moment: 'terminated' });
    bench.worthRetrying = false;
    await bench.clock.turn(29_000);
    assert.equal(bench.outcome, undefined);
    await bench.clock.turn(5_000);
    assert.equal(bench.outcome, 'incomplete');
    assert.equal(bench.open, 0);
  });

  it('not following, answers that break after their head count as failing', async () => {
    const bench = new Bench(
      Array.from({ length: 200 }, () => ({ body: '', ends: 'cut' as const })),
      { follow: false, moment: 'terminated' },
    );
    await bench.clock.turn(60_000);
    assert.ok(bench.failingForMs >= 10_000, `failing for ${bench.failingForMs} ms`);
    bench.worthRetrying = false;
    await bench.clock.turn(10_000);
    assert.equal(bench.outcome, 'incomplete');
  });

  it('the range is asked for until something was delivered, and not again', async () => {
    const bench = new Bench(
      [{ status: 500 }, { body: body(LINES[1] ?? ''), ends: 'cut' }, { body: ALL, ends: 'never' }],
      { tailLines: 2 },
    );
    await bench.clock.turn(1_000);
    assert.deepEqual(bench.texts, ['two', 'three']);
    assert.match(bench.asked[1] ?? '', /tailLines=2/);
    assert.doesNotMatch(bench.asked[2] ?? '', /tailLines/);
  });

  it('what its reader cannot take is thrown to it, not read again', async () => {
    const bench = new Bench([
      { body: ALL, ends: 'never' },
      { body: ALL, ends: 'never' },
    ]);
    bench.refuses = new Error('cannot take this');
    await bench.clock.turn(60_000);
    assert.equal(bench.mistake, bench.refuses);
    assert.equal(bench.asked.length, 1);
    assert.equal(bench.open, 0);
    assert.equal(bench.clock.sleeping, 0);
  });

  const FOUR = '10:00:40.000000000Z four';
  const last = (...lines: string[]) => ({ on: /tailLines=1/, body: body(...lines) });

  it('run 14: a stream that is silent while its log has grown is left after 30 s, and gone on with', async () => {
    const bench = new Bench([
      { on: /follow/, body: ALL, ends: 'never' },
      last(FOUR),
      { on: /follow/, body: ALL + body(FOUR), ends: 'never' },
    ]);
    await bench.clock.turn(29_000);
    assert.equal(bench.asked.length, 1);
    await bench.clock.turn(6_000);
    assert.deepEqual(bench.texts, ['one', 'two', 'three', 'four']);
    assert.deepEqual(bench.notices, []);
    assert.equal(bench.open, 1, 'the dead stream is closed');
  });

  it('run 14: a file that was rotated away from under a stream is told as one gap, and as incomplete', async () => {
    const bench = new Bench([
      { on: /follow/, body: ALL, ends: 'never' },
      last(FOUR),
      { on: /follow/, body: body(FOUR), ends: 'never' },
      last(FOUR),
    ]);
    await bench.clock.turn(35_000);
    assert.deepEqual(bench.texts, ['one', 'two', 'three', 'four']);
    await bench.move('terminated');
    await bench.clock.turn(6_000);
    assert.deepEqual(bench.notices, [{ type: 'gap' }]);
    assert.equal(bench.outcome, 'incomplete');
  });

  it('run 14: a healthy stream is asked about after 30, 60, 120 and again 120 s of silence, and stays', async () => {
    const bench = new Bench([{ on: /follow/, body: ALL, ends: 'never' }, ...Array.from({ length: 9 }, () => TAIL)]);
    await bench.clock.settle();
    const questions: number[] = [];
    for (let second = 1; second <= 340; second++) {
      const before = bench.asked.length;
      await bench.clock.turn(1_000);
      if (bench.asked.length > before) questions.push(second);
    }
    assert.deepEqual(questions, [30, 90, 210, 330]);
    await bench.say(body(FOUR));
    assert.deepEqual(bench.texts, ['one', 'two', 'three', 'four']);
    assert.equal(bench.open, 1);
  });

  it('run 14: a line that the stream brings while it is suspected clears it', async () => {
    const bench = new Bench([{ on: /follow/, body: ALL, ends: 'never' }, last(FOUR)]);
    await bench.clock.turn(30_500);
    assert.equal(bench.asked.length, 2);
    await bench.say(body(FOUR));
    await bench.clock.turn(10_000);
    assert.deepEqual(bench.texts, ['one', 'two', 'three', 'four']);
    assert.equal(bench.asked.length, 2);
    assert.equal(bench.open, 1);
  });

  for (const { name, answer } of [
    { name: 'a line that is still being written', answer: { on: /tailLines=1/, body: body(FOUR).slice(0, -1) } },
    { name: 'an empty new file', answer: { on: /tailLines=1/, body: '' } },
    { name: 'a question that fails', answer: { on: /tailLines=1/, status: 500 } },
  ]) {
    it(`run 14: ${name} does not condemn a silent stream`, async () => {
      const bench = new Bench([{ on: /follow/, body: ALL, ends: 'never' }, answer]);
      await bench.clock.turn(40_000);
      assert.equal(bench.asked.length, 2);
      assert.equal(bench.open, 1);
    });
  }

  it('run 37: it goes on after a position, without asking for the range again', async () => {
    const first = new Bench([{ body: ALL, ends: 'never' }], { tailLines: 7 });
    await first.clock.settle();
    for (const [index, want] of [['two', 'three'], ['three'], []].entries()) {
      const bench = new Bench([{ body: ALL, ends: 'never' }], { tailLines: 7, from: first.positions[index] });
      await bench.clock.settle();
      assert.deepEqual(bench.texts, want);
      assert.match(bench.asked[0] ?? '', /sinceTime=2026/);
      assert.doesNotMatch(bench.asked[0] ?? '', /tailLines/);
    }
  });

  it('run 37: a position at the end of a finished log is its end, and nothing is read', async () => {
    const first = new Bench([{ body: ALL, ends: 'never' }]);
    await first.clock.settle();
    const bench = new Bench([TAIL], { moment: 'terminated', from: first.positions[2] });
    await bench.clock.settle();
    assert.equal(bench.outcome, 'complete');
    assert.deepEqual(bench.texts, []);
  });

  it('run 12: without following, an answer about a running container that ends early is asked for again', async () => {
    const whole = new Bench([{ body: body(...LINES.slice(0, 1)) }, TAIL, { on: /sinceTime/, body: ALL + body(FOUR) }], {
      follow: false,
    });
    await whole.clock.turn(1_000);
    assert.deepEqual(whole.texts, ['one', 'two', 'three', 'four']);
    assert.equal(whole.outcome, 'complete');
    assert.equal(whole.asked.length, 3, 'what is written meanwhile is not waited for');
    const short = new Bench(
      [
        { body: body(...LINES.slice(0, 1)) },
        TAIL,
        ...Array.from({ length: 5 }, () => ({ body: body(LINES[0] ?? '') })),
      ],
      { follow: false },
    );
    await short.clock.turn(10_000);
    assert.deepEqual(short.texts, ['one']);
    assert.deepEqual(short.notices, [{ type: 'gap' }]);
    assert.equal(short.outcome, 'incomplete');
  });

  it('without following, a line that its container is still writing is left for the next time', async () => {
    const bench = new Bench([{ body: ALL.slice(0, -2) }], { follow: false });
    await bench.clock.settle();
    assert.deepEqual(bench.texts, ['one', 'two']);
    assert.equal(bench.outcome, 'complete');
  });

  const NOP = '10:00:50.000000000Z nop';

  it('run 29: a container that was started anew is read from the run before', async () => {
    const bench = new Bench([{ on: /previous/, body: ALL }, { body: body(NOP) }, last(NOP)], {
      moment: 'terminated',
      restarts: 1,
    });
    await bench.clock.turn(1_000);
    assert.deepEqual(bench.texts, ['one', 'two', 'three', 'nop']);
    assert.deepEqual(bench.notices, []);
    assert.equal(bench.outcome, 'complete');
    assert.doesNotMatch(bench.asked[1] ?? '', /previous|sinceTime/);
  });

  it('run 29: where only the first run counts, what is started in its place is not read', async () => {
    const late = new Bench([{ on: /previous/, body: ALL }], { moment: 'terminated', restarts: 1, onlyFirstRun: true });
    await late.clock.turn(1_000);
    const live = new Bench(
      [
        { on: /follow/, body: body(LINES[0] ?? '') },
        { on: /previous/, body: ALL },
      ],
      {
        onlyFirstRun: true,
      },
    );
    await live.clock.settle();
    await live.move('running', 1);
    await live.clock.turn(1_000);
    for (const bench of [late, live]) {
      assert.deepEqual(bench.texts, ['one', 'two', 'three']);
      assert.equal(bench.outcome, 'complete');
    }
  });

  it('run 29: a container that is started anew while it is followed loses nothing, though the run before is not kept', async () => {
    const bench = new Bench([
      { on: /follow/, body: ALL },
      {
        on: /previous/,
        status: 400,
        body: '{"message":"previous terminated container \\"c\\" in pod \\"p\\" not found"}',
      },
      { body: 'failed to create containerd task' },
    ]);
    await bench.clock.settle();
    await bench.move('terminated', 1);
    await bench.clock.turn(6_000);
    assert.deepEqual(bench.texts, ['one', 'two', 'three']);
    assert.deepEqual(bench.notices, []);
    assert.equal(bench.outcome, 'complete');
  });

  it('run 29: what the stream did not bring of a run that is over comes from the run before', async () => {
    const bench = new Bench([
      { on: /follow/, body: body(LINES[0] ?? '') },
      { on: /previous/, body: ALL },
      { body: '' },
      { on: /tailLines=1/, body: '' },
    ]);
    await bench.clock.settle();
    await bench.move('terminated', 1);
    await bench.clock.turn(6_000);
    assert.deepEqual(bench.texts, ['one', 'two', 'three']);
    assert.match(bench.asked[1] ?? '', /previous=true&sinceTime=/);
    assert.equal(bench.outcome, 'complete');
  });

  it('run 29: a run before that is not kept any more, and was not followed, is said to be missing', async () => {
    const text = 'previous terminated container "c" in pod "p" not found';
    const bench = new Bench(
      [{ on: /previous/, status: 400, body: JSON.stringify({ message: text }) }, { body: '' }, last()],
      {
        moment: 'terminated',
        restarts: 1,
      },
    );
    await bench.clock.turn(1_000);
    assert.deepEqual(bench.notices, [{ type: 'refused', text }]);
    assert.equal(bench.outcome, 'incomplete');
  });

  it('run 29: a position in the latest run of a container is gone on with there', async () => {
    const first = new Bench([{ body: body(NOP), ends: 'never' }]);
    await first.clock.settle();
    const bench = new Bench([{ on: /previous/, body: ALL }, { body: body(NOP, '10:00:51.000000000Z more') }], {
      restarts: 1,
      from: first.positions[0],
    });
    await bench.clock.turn(100);
    assert.deepEqual(bench.texts, ['more']);
    assert.deepEqual(bench.notices, []);
  });

  it('an API that asks for patience gets it, within reason', async () => {
    const bench = new Bench([
      { status: 429, headers: { 'retry-after': '86400' } },
      { body: ALL, ends: 'never' },
    ]);
    await bench.clock.turn(59_000);
    assert.equal(bench.asked.length, 1);
    await bench.clock.turn(2_000);
    assert.deepEqual(bench.texts, ['one', 'two', 'three']);
  });

  it('run 34: ending it closes its socket and leaves no timer', async () => {
    const bench = new Bench([{ body: ALL, ends: 'never' }]);
    await bench.clock.settle();
    bench.ending.abort();
    await bench.clock.settle();
    assert.equal(bench.outcome, 'incomplete');
    assert.equal(bench.open, 0);
    assert.equal(bench.clock.sleeping, 0);
  });
});
