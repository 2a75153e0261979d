import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { LineBatch, LogLine } from '../kube/lines.ts';
import { HELD_BYTES_MAX, HOLD_MS, type Joined, Joiner } from './joiner.ts';

const skipped = '2026/11/01 10:00:00 Skipping step because a previous step failed';

function batch(...texts: readonly string[]): LineBatch {
  return { lines: texts.map((text) => line(text)) };
}

function line(text: string, part: LogLine['part'] = 'whole'): LogLine {
  return { timestamp: '', text: Buffer.from(text), part };
}

/** What was handed out, as a reader would see it: `step:text`, and `step--` for a blank line. */
function seen(joined: readonly Joined[]): string[] {
  return joined.flatMap((one) =>
    one.kind !== 'lines'
      ? one.kind === 'blank'
        ? [`${one.step}--`]
        : []
      : one.batch.lines.map(({ text, part }) => `${one.step}:${text}${part === 'whole' ? '' : ` (${part})`}`),
  );
}

type Input = readonly ['lines', number, number, LineBatch] | readonly ['ended' | 'tick', number, number?];

describe('Joiner', () => {
  // Each input: what, when, which step, what it said; `want` is what may be written after each of them.
  const cases: readonly {
    name: string;
    steps: readonly number[];
    given: readonly Input[];
    want: readonly string[][];
  }[] = [
    {
      name: 'the current step passes at once, its end writes the blank line',
      steps: [0, 1],
      given: [
        ['lines', 0, 0, batch('a', 'b')],
        ['ended', 5, 0],
        ['lines', 6, 1, batch('c')],
        ['ended', 9, 1],
      ],
      want: [['0:a', '0:b'], ['0--'], ['1:c'], ['1--']],
    },
    {
      name: "a later step's first line waits for the end of the one before",
      steps: [0, 1],
      given: [
        ['lines', 0, 0, batch('a')],
        ['lines', 10, 1, batch('c')],
        ['lines', 20, 0, batch('b')],
        ['ended', 30, 0],
      ],
      want: [['0:a'], [], ['0:b'], ['0--', '1:c']],
    },
    {
      name: `... but not longer than ${HOLD_MS} ms; what is later still passes as it comes, and the blank line comes once`,
      steps: [0, 1],
      given: [
        ['lines', 0, 0, batch('a')],
        ['lines', 10, 1, batch('c')],
        ['tick', 84],
        ['tick', 85],
        ['lines', 90, 0, batch('b')],
        ['lines', 91, 1, batch('d')],
        ['ended', 92, 0],
        ['ended', 93, 1],
      ],
      want: [['0:a'], [], [], ['0--', '1:c'], ['0:b'], ['1:d'], [], ['1--']],
    },
    {
      name: 'run 9: steps that print nothing add no wait and no blank line',
      steps: [0, 1, 2, 3],
      given: [
        ['ended', 0, 0],
        ['ended', 1, 1],
        ['lines', 2, 2, batch('a')],
        ['ended', 3, 2],
        ['ended', 4, 3],
      ],
      want: [[], [], ['2:a'], ['2--'], []],
    },
    {
      name: 'run 9: an early word of a late step does not stir up the order of those between',
      steps: [0, 1, 2, 3],
      given: [
        ['lines', 0, 3, batch('Error initializing credentials')],
        ['tick', 75],
        ['lines', 80, 0, batch('a')],
        ['lines', 90, 1, batch('b')],
        ['ended', 95, 0],
      ],
      want: [[], ['3:Error initializing credentials'], ['0:a'], [], ['0--', '1:b']],
    },
    {
      name: 'whoever is out of patience takes along what earlier steps have',
      steps: [0, 1, 2],
      given: [
        ['lines', 0, 0, batch('a')],
        ['lines', 10, 2, batch('c')],
        ['lines', 20, 1, batch('b')],
        ['tick', 85],
      ],
      want: [['0:a'], [], [], ['0--', '1:b', '1--', '2:c']],
    },
    {
      name: 'run 23: the entrypoint\'s "Skipping step" line is swallowed, without a blank line',
      steps: [0, 1, 2, 3],
      given: [
        ['lines', 0, 0, batch('a')],
        ['ended', 1, 0],
        ['lines', 2, 1, batch('killed')],
        ['lines', 3, 2, batch(skipped)],
        ['lines', 3, 3, batch(skipped)],
        ['tick', 500],
        ['ended', 900, 2],
        ['ended', 1000, 1],
        ['ended', 1001, 3],
      ],
      want: [['0:a'], ['0--'], ['1:killed'], [], [], [], [], ['1--'], []],
    },
    {
      name: 'run 23: the same words are kept in a step that says more, in the first step, and later in a step',
      steps: [0, 1, 2],
      given: [
        ['lines', 0, 0, batch(skipped)],
        ['ended', 1, 0],
        ['lines', 2, 1, batch(skipped)],
        ['lines', 3, 1, batch('b')],
        ['ended', 4, 1],
        ['lines', 5, 2, batch('c')],
        ['lines', 6, 2, batch(skipped)],
        ['ended', 7, 2],
      ],
      want: [[`0:${skipped}`], ['0--'], [], [`1:${skipped}`, '1:b'], ['1--'], ['2:c'], [`2:${skipped}`], ['2--']],
    },
    {
      name: 'run 23: with a filter the only step read may be one that was skipped',
      steps: [2],
      given: [
        ['lines', 0, 2, batch(skipped)],
        ['ended', 1, 2],
      ],
      want: [[], []],
    },
    {
      name: 'run 31: nothing gets into a fragmented line, however long it takes',
      steps: [0, 1],
      given: [
        ['lines', 0, 0, { lines: [line('x', 'first')] }],
        ['lines', 1, 1, batch('b')],
        ['tick', 500],
        ['lines', 501, 0, { lines: [line('x', 'middle')] }],
        ['lines', 502, 0, { lines: [line('x', 'last')] }],
      ],
      want: [['0:x (first)'], [], [], ['0:x (middle)'], ['0:x (last)', '0--', '1:b']],
    },
    {
      name: 'run 31: a step that ends within a fragmented line has that line ended',
      steps: [0, 1],
      given: [
        ['lines', 0, 0, { lines: [line('x', 'first')] }],
        ['lines', 1, 1, batch('b')],
        ['ended', 2, 0],
        ['ended', 3, 0],
      ],
      want: [['0:x (first)'], [], ['0: (last)', '0--', '1:b'], []],
    },
  ];

  for (const { name, steps, given, want } of cases)
    it(name, () => {
      const joiner = new Joiner(steps);
      const got = given.map(([what, now, step = 0, said]) => {
        if (what === 'tick') return seen(joiner.tick(now));
        return seen(what === 'ended' ? joiner.ended(step, now) : joiner.lines(step, said ?? batch(), now));
      });
      assert.deepEqual(got, want);
      assert.equal(joiner.wakeAt, undefined);
    });

  it('run 9: a log that had ended before it was opened is waited for however long it takes, without a wake-up', () => {
    const joiner = new Joiner([0, 1]);
    joiner.isFinite(0);
    assert.deepEqual(seen(joiner.lines(1, batch('second'), 0)), []);
    assert.equal(joiner.wakeAt, undefined);
    assert.deepEqual(seen(joiner.tick(60_000)), []);
    assert.deepEqual(seen(joiner.lines(0, batch('first'), 60_000)), ['0:first']);
    assert.deepEqual(seen(joiner.ended(0, 60_001)), ['0--', '1:second']);
  });

  it('says when it wants to be called again', () => {
    const joiner = new Joiner([0, 1, 2]);
    assert.equal(joiner.wakeAt, undefined);
    joiner.lines(2, batch('c'), 30);
    joiner.lines(1, batch('b'), 50);
    assert.equal(joiner.wakeAt, 30 + HOLD_MS);
    joiner.ended(0, 60);
    assert.equal(joiner.wakeAt, 30 + HOLD_MS, 'step 2 still waits for step 1');
    joiner.ended(1, 61);
    assert.equal(joiner.wakeAt, undefined);
  });

  it('asks the reader of a held step to pause, empty lines counted too', () => {
    const joiner = new Joiner([0, 1]);
    joiner.lines(1, batch(...Array.from({ length: 2_000 }, () => '')), 0);
    assert.equal(joiner.wants(1), false);
    assert.equal(joiner.wants(0), true);
    joiner.ended(0, 1);
    assert.equal(joiner.wants(1), true);
    assert.equal(joiner.heldBytes, 0);
  });

  it('refuses what cannot be: a step it does not know, a word after the end', () => {
    const joiner = new Joiner([1]);
    joiner.ended(1, 0);
    assert.throws(() => joiner.lines(1, batch('a'), 1), { code: 'internal' });
    assert.throws(() => joiner.ended(0, 1), { code: 'internal' });
  });
});

/** One step's whole log, cut into batches that arrive as one. */
interface Script {
  readonly batches: readonly LineBatch[];
}

const scripts: fc.Arbitrary<readonly Script[]> = fc
  .array(
    fc.record({
      lines: fc.array(
        fc.oneof(
          { weight: 6, arbitrary: fc.constant('whole' as const) },
          { weight: 1, arbitrary: fc.constant('long' as const) },
          { weight: 1, arbitrary: fc.constant('skipped' as const) },
          { weight: 1, arbitrary: fc.constant('big' as const) },
        ),
        { maxLength: 6 },
      ),
      cuts: fc.array(fc.boolean(), { maxLength: 20 }),
      unfinished: fc.boolean(),
    }),
    { minLength: 1, maxLength: 5 },
  )
  .map((steps) =>
    steps.map(({ lines, cuts, unfinished }, step) => {
      const all = lines.flatMap((kind, at): LogLine[] => {
        if (kind === 'skipped') return [line(skipped)];
        if (kind === 'big') return [line(`${step}.${at} ${'#'.repeat(HELD_BYTES_MAX / 2)}`)];
        if (kind === 'whole') return [line(`${step}.${at}`)];
        return [line(`${step}.${at}a`, 'first'), line(`${step}.${at}b`, 'middle'), line(`${step}.${at}c`, 'last')];
      });
      if (unfinished && all.at(-1)?.part === 'last') all.pop();
      const batches: LogLine[][] = [[]];
      for (const [at, one] of all.entries()) {
        if (cuts[at]) batches.push([]);
        batches.at(-1)?.push(one);
      }
      return { batches: batches.map((lines) => ({ lines })) };
    }),
  );

// Which reader has something next (modulo the steps), and how long it took until then.
const arrivals = fc.array(fc.record({ step: fc.nat(4), afterMs: fc.nat(60), inTurn: fc.boolean() }), {
  minLength: 60,
  maxLength: 60,
});

interface Played {
  /** Every line and blank in the order it was handed out, with when it was given and when it was handed out. */
  readonly out: readonly { step: number; line: LogLine | 'blank'; givenMs: number; outMs: number }[];
  readonly mostHeldBytes: number;
}

/** Plays the logs of `steps` as a session would: it obeys `wants` and `wakeAt`, and ends every step. */
function play(
  steps: readonly Script[],
  plan: readonly { step: number; afterMs: number; inTurn: boolean }[],
  inOrder: boolean,
): Played {
  const joiner = new Joiner(steps.map((_, step) => step));
  const given = new Map<LogLine, number>();
  const out: { step: number; line: LogLine | 'blank'; givenMs: number; outMs: number }[] = [];
  const next = steps.map(() => 0);
  let now = 0;
  let mostHeldBytes = 0;
  const ends = new Set<number>();
  const take = (joined: readonly Joined[]) => {
    for (const one of joined) {
      assert.ok(!ends.has(one.step), 'nothing comes after the end of a step');
      if (one.kind === 'over') {
        assert.equal(one.step, ends.size, 'ends come in the order of the steps');
        ends.add(one.step);
      } else if (one.kind === 'blank') out.push({ step: one.step, line: 'blank', givenMs: now, outMs: now });
      else
        for (const each of one.batch.lines)
          out.push({ step: one.step, line: each, givenMs: given.get(each) ?? now, outMs: now });
    }
    mostHeldBytes = Math.max(mostHeldBytes, joiner.heldBytes);
  };
  const pass = (ms: number) => {
    const until = now + ms;
    for (let wake = joiner.wakeAt; wake !== undefined && wake <= until; wake = joiner.wakeAt) {
      now = Math.max(now, wake);
      take(joiner.tick(now));
      assert.ok(joiner.wakeAt === undefined || joiner.wakeAt > now, 'tick at wakeAt does what was due');
    }
    now = until;
  };
  const over = (step: number) => (next[step] ?? 0) > (steps[step]?.batches.length ?? 0);
  const move = (step: number) => {
    const at = next[step] ?? 0;
    const said = steps[step]?.batches[at];
    if (said !== undefined && !joiner.wants(step)) return;
    next[step] = at + 1;
    for (const each of said?.lines ?? []) given.set(each, now);
    take(said === undefined ? joiner.ended(step, now) : joiner.lines(step, said, now));
  };
  const left = () => steps.map((_, step) => step).filter((step) => !over(step));
  for (const { step, afterMs, inTurn } of plan) {
    pass(afterMs);
    const candidates = left();
    const chosen = inOrder || inTurn ? candidates[0] : candidates[step % Math.max(1, candidates.length)];
    if (chosen !== undefined) move(chosen);
  }
  for (let first = left()[0]; first !== undefined; first = left()[0]) move(first);
  assert.equal(ends.size, steps.length, 'every step comes to its end');
  return { out, mostHeldBytes };
}

function textOf({ text, part }: LogLine): string {
  return `${part} ${text.toString()}`;
}

function isSwallowed({ batches }: Script, step: number): boolean {
  const all = batches.flatMap(({ lines }) => lines);
  return step > 0 && all.length === 1 && all[0]?.text.toString() === skipped;
}

describe('Joiner, any interleaving, batching and timing', () => {
  const anything = fc.tuple(scripts, arrivals);

  it('run 8: hands out every line exactly once and in the order of its step, and one blank line per step that spoke', () => {
    fc.assert(
      fc.property(anything, ([steps, plan]) => {
        const { out } = play(steps, plan, false);
        for (const [step, script] of steps.entries()) {
          const said = isSwallowed(script, step) ? [] : script.batches.flatMap(({ lines }) => lines.map(textOf));
          const ofStep = out.filter((one) => one.step === step);
          const got = ofStep.flatMap(({ line }) => (line === 'blank' ? [] : [textOf(line)]));
          if (said.length > 0 && !/^(whole|last)/.test(said.at(-1) ?? '')) said.push('last ');
          assert.deepEqual(got, said);
          assert.equal(ofStep.filter(({ line }) => line === 'blank').length, said.length > 0 ? 1 : 0);
        }
      }),
    );
  });

  it('run 8: never lets anything into a fragmented line', () => {
    fc.assert(
      fc.property(anything, ([steps, plan]) => {
        const { out } = play(steps, plan, false);
        for (const [at, { step, line }] of out.entries()) {
          if (line === 'blank' || line.part === 'whole' || line.part === 'last') continue;
          assert.equal(out[at + 1]?.step, step);
          assert.notEqual(out[at + 1]?.line, 'blank');
        }
      }),
    );
  });

  it(`holds nothing longer than ${HOLD_MS} ms, but for fragmented lines and a lone "Skipping step"`, () => {
    const whole = scripts.map((steps) =>
      steps.map(({ batches }) => ({
        batches: batches.map(({ lines }) => ({
          lines: lines.map((one) => ({ ...one, part: 'whole' as const })),
        })),
      })),
    );
    fc.assert(
      fc.property(fc.tuple(whole, arrivals), ([steps, plan]) => {
        const { out } = play(steps, plan, false);
        for (const { line, givenMs, outMs } of out)
          if (line !== 'blank' && line.text.toString() !== skipped) assert.ok(outMs - givenMs <= HOLD_MS);
      }),
    );
  });

  it('keeps what it holds bounded when the readers it does not want pause', () => {
    fc.assert(
      fc.property(anything, ([steps, plan]) => {
        const largestBatch = Math.max(
          ...steps.flatMap(({ batches }) =>
            batches.map(({ lines }) => lines.reduce((sum, { text }) => sum + text.length + 64, 0)),
          ),
        );
        assert.ok(play(steps, plan, false).mostHeldBytes < steps.length * (HELD_BYTES_MAX + largestBatch));
      }),
    );
  });

  it('run 9: writes in step order and without any wait when every end comes before the next first line', () => {
    fc.assert(
      fc.property(anything, ([steps, plan]) => {
        const { out } = play(steps, plan, true);
        const order = out.map(({ step }) => step);
        assert.deepEqual(
          order,
          order.toSorted((a, b) => a - b),
        );
        for (const [at, { step, line, givenMs, outMs }] of out.entries()) {
          if (line === 'blank') assert.notEqual(out[at + 1]?.step, step, 'the blank line is the last of its step');
          else if (line.text.toString() !== skipped) assert.equal(outMs, givenMs);
        }
      }),
    );
  });
});
