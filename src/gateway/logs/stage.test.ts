import assert from 'node:assert/strict';
import { HandClock } from '../../../test/support/hand-clock.ts';
import type { LogLine, LogPosition } from '../../kube/lines.ts';
import { silentLog } from '../../log.ts';
import type { LogEvent, LogSource } from '../../tekton/shaper.ts';
import { textShaper } from '../../tekton/text.ts';
import type { Portion, Sink } from './floor.ts';
import { createSpooling } from './spool.ts';
import { openStage, type Stage, turnStage } from './stage.ts';

function source(pod: string): LogSource {
  return { task: pod, prefix: pod, taskRun: pod, attempt: 1, step: 's', pod, container: 'step-s' };
}

function lines(pod: string, ...texts: readonly (readonly [string, LogLine['part']])[]): LogEvent {
  const all = texts.map(([text, part]) => ({ timestamp: '', text: Buffer.from(text), part }));
  return { type: 'log', source: source(pod), batch: { lines: all } };
}

function position(nth: number): LogPosition {
  return { seconds: 1, nanos: 0, checksum: 0, nth, aheadNanos: 0 };
}

/** Keeps what it is given; `text` is what a client would have. */
class KeptSink implements Sink {
  readonly portions: Portion[] = [];

  write(portion: Portion): void {
    this.portions.push(portion);
  }

  room(): Promise<void> {
    return Promise.resolve();
  }

  get text(): string {
    return this.portions.map(({ bytes }) => bytes.toString()).join('');
  }

  get reached(): string[] {
    return this.portions.flatMap(({ reached }) =>
      reached.map(({ pod, at }) => `${pod} ${typeof at === 'object' ? at.nth : at}`),
    );
  }
}

function partsFor(sink: Sink, clock = new HandClock(), byLine = false) {
  return { sink, shaper: textShaper({ prefix: 'task', color: false, timestamps: false }), clock, byLine };
}

function reached(pod: string, nth: number) {
  return () => ({ pod, container: 'step-s', at: position(nth) });
}

describe('openStage', () => {
  it('run 8: within a line nobody else is heard, and then everybody who waited', async () => {
    const sink = new KeptSink();
    const { own, of } = openStage(partsFor(sink));
    of('a').say('a', lines('a', ['begin', 'first']), reached('a', 1));
    own.say('', { type: 'notice', level: 'problem', sentence: 'listen' });
    of('b').say('b', lines('b', ['other', 'whole']), reached('b', 1));
    let hasRoom = false;
    void own.room('b').then(() => {
      hasRoom = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([sink.text, hasRoom, sink.reached], ['[a : s] begin', false, ['a 1']]);
    of('a').say('a', lines('a', [' end', 'last']), reached('a', 2));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(sink.text, '[a : s] begin end\n[gateway] listen\n[b : s] other\n');
    assert.deepEqual([hasRoom, sink.reached], [true, ['a 1', 'a 2', 'b 1']]);
  });

  it('run 8: a line that does not go on is ended for those who wait, and its rest begins a new one', async () => {
    const sink = new KeptSink();
    const clock = new HandClock();
    const stage = openStage(partsFor(sink, clock));
    stage.of('a').say('a', lines('a', ['begin', 'first']));
    stage.tick();
    stage.own.say('', { type: 'notice', level: 'problem', sentence: 'listen' });
    stage.tick();
    assert.equal(sink.text, '[a : s] begin', 'only after a while');
    await clock.turn(1_000);
    stage.tick();
    stage.of('a').say('a', lines('a', ['more', 'middle'], [' end', 'last']));
    assert.equal(sink.text, '[a : s] begin\n[gateway] listen\n[a : s] more end\n');
  });

  it('formats that frame each fragment need nobody to wait', () => {
    const sink = new KeptSink();
    const shape = (event: LogEvent) => Buffer.from(event.type === 'log' ? `<${event.batch.lines[0]?.text}>` : '<!>');
    const stage = openStage({ ...partsFor(sink), shaper: { contentType: '', framed: true, shape } });
    stage.of('a').say('a', lines('a', ['begin', 'first']));
    stage.own.say('', { type: 'heartbeat', awaiting: 'more' });
    stage.of('a').say('a', lines('a', ['end', 'last']));
    assert.deepEqual([sink.text, stage.own.isMidLine], ['<begin><!><end>', false]);
  });

  it('by line: each is a portion of its own, with what is delivered by it', () => {
    const sink = new KeptSink();
    const stage = openStage(partsFor(sink, new HandClock(), true));
    stage.of('a').say('a', lines('a', ['1', 'whole'], ['2', 'whole']), (at) => ({
      pod: 'a',
      container: 'step-s',
      at: position(at),
    }));
    assert.deepEqual(
      sink.portions.map(({ bytes }) => bytes.toString()),
      ['[a : s] 1\n', '[a : s] 2\n'],
    );
    assert.deepEqual(sink.reached, ['a 0', 'a 1']);
  });
});

describe('turnStage', () => {
  function turns(byLine = false): { readonly stage: Stage; readonly sink: KeptSink } {
    const sink = new KeptSink();
    const failed = (error: unknown) => {
      throw error;
    };
    const stage = turnStage(
      partsFor(sink, new HandClock(), byLine),
      createSpooling({ log: silentLog }).forStream(),
      failed,
    );
    return { stage, sink };
  }

  it('pods are shown one after another, in the order in which they were first asked for', async () => {
    const { stage, sink } = turns();
    stage.of('a');
    stage.of('b').say('b', lines('b', ['one', 'whole']), reached('b', 1));
    stage.of('a').say('a', lines('a', ['one', 'whole']), reached('a', 1));
    stage.of('b').say('b', lines('b', ['two', 'whole']), reached('b', 2));
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([sink.text, sink.reached], ['[a : s] one\n', ['a 1']]);
    stage.own.say('', { type: 'notice', level: 'problem', sentence: 'listen' });
    stage.over('a');
    stage.over('b');
    await stage.shown();
    assert.equal(sink.text, '[a : s] one\n[gateway] listen\n[b : s] one\n[b : s] two\n');
    assert.deepEqual(sink.reached, ['a 1', 'b 2'], 'what left together is delivered together');
  });

  it('closed, it shows nothing more of what waits, and hears only its own', async () => {
    const { stage, sink } = turns();
    stage.of('a').say('a', lines('a', ['begin', 'first']), reached('a', 1));
    stage.of('b').say('b', lines('b', ['one', 'whole']), reached('b', 1));
    await new Promise((resolve) => setImmediate(resolve));
    stage.close();
    stage.close();
    stage.own.say('', { type: 'notice', level: 'problem', sentence: 'the end' });
    await stage.shown();
    assert.equal(sink.text, '[a : s] begin\n[gateway] the end\n');
    assert.deepEqual(sink.reached, ['a 1']);
  });

  it('what waits is told apart in steps, or line by line where a limit may fall between', async () => {
    for (const byLine of [false, true]) {
      const { stage, sink } = turns(byLine);
      stage.of('a');
      for (let nth = 1; nth <= 3; nth++) stage.of('b').say('b', lines('b', [`${nth}`, 'whole']), reached('b', nth));
      stage.of('b').say('b', lines('b', ['x'.repeat(100_000), 'whole']), reached('b', 4));
      stage.over('a');
      stage.over('b');
      await stage.shown();
      assert.deepEqual(sink.reached, byLine ? ['b 1', 'b 2', 'b 3', 'b 4'] : ['b 3', 'b 4']);
    }
  });
});
