import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { LogLine } from '../../kube/lines.ts';
import type { Joined } from '../../tekton/joiner.ts';
import { Timeline } from './timeline.ts';

function line(timestamp: string, text: string): LogLine {
  return { timestamp, text: Buffer.from(text), part: 'whole' };
}

/** A timeline whose containers have names of one letter; `said` is what left, as `a:text`, and `a.` for an end. */
function rig() {
  const said: string[] = [];
  const opened: string[] = [];
  const timeline = new Timeline();
  return {
    said,
    opened,
    timeline,
    add(key: string, from?: string, behind?: string): void {
      const say = (joined: Joined) => {
        if (joined.kind === 'lines') said.push(...joined.batch.lines.map(({ text }) => `${key}:${text}`));
        else said.push(`${key}.`);
      };
      void timeline.add(key, { from, behind }, say).then(() => opened.push(key));
    },
    take: (key: string, ...lines: readonly LogLine[]) =>
      timeline.take(key, { kind: 'lines', step: 0, batch: { lines } }),
    end: (key: string) => timeline.take(key, { kind: 'over', step: 0 }),
    turn: () => new Promise<void>((resolve) => setImmediate(resolve)),
  };
}

/** A timestamp so many nanoseconds after ten o'clock. */
function at(nanos: number): string {
  return `2026-11-01T10:00:0${Math.floor(nanos / 1e9)}.${String(nanos % 1e9).padStart(9, '0')}Z`;
}

describe('Timeline', () => {
  it('a line leaves when every open container has shown a later one or has ended', async () => {
    const { add, take, end, said, turn } = rig();
    add('a');
    add('b');
    await turn();
    take('a', line(at(1), 'one'), line(at(3), 'three'));
    assert.deepEqual(said, []);
    take('b', line(at(2), 'two'), line(at(4), 'four'));
    assert.deepEqual(said, ['a:one', 'b:two', 'a:three']);
    end('a');
    assert.deepEqual(said, ['a:one', 'b:two', 'a:three', 'a.', 'b:four']);
    end('b');
    assert.deepEqual(said.at(-1), 'b.');
  });

  it('a container is opened when its time has come', async () => {
    const { add, take, end, said, opened, turn } = rig();
    add('a', '2026-11-01T10:00:00Z');
    add('b', '2026-11-01T10:00:05Z');
    await turn();
    assert.deepEqual(opened, ['a']);
    take('a', line('2026-11-01T10:00:01Z', 'one'), line('2026-11-01T10:00:06Z', 'six'));
    await turn();
    assert.deepEqual([said, opened], [['a:one'], ['a', 'b']]);
    take('b', line('2026-11-01T10:00:05.5Z', 'five'));
    end('b');
    assert.deepEqual(said, ['a:one', 'b:five', 'b.', 'a:six']);
  });

  it('the end of one that says nothing comes behind that of the one before it', async () => {
    const { add, take, end, said, turn } = rig();
    add('a');
    add('b', undefined, 'a');
    add('c');
    await turn();
    end('b');
    take('a', line(at(2), 'two'));
    take('c', line(at(1), 'one'));
    end('c');
    end('a');
    assert.deepEqual(said, ['c:one', 'c.', 'a:two', 'a.', 'b.']);
  });

  it('the first is opened although nothing is known of it', async () => {
    const { add, end, said, opened, turn } = rig();
    add('late', '2026-11-01T10:00:05Z');
    add('later', '2026-11-01T10:00:09Z');
    await turn();
    assert.deepEqual(opened, ['late']);
    end('late');
    await turn();
    assert.deepEqual([said, opened], [['late.'], ['late', 'later']]);
  });

  it('timestamps of any width and zone are instants', async () => {
    const { add, take, end, said, turn } = rig();
    add('a');
    add('b');
    await turn();
    take('a', line('2026-11-01T12:00:00.5+02:00', 'half past'));
    take('b', line('2026-11-01T10:00:00.499999999Z', 'before'), line('2026-11-01T10:00:01Z', 'after'));
    end('a');
    end('b');
    assert.deepEqual(said, ['b:before', 'a:half past', 'a.', 'b:after', 'b.']);
  });

  it('makes a reader wait who is far ahead', async () => {
    const { add, take, end, timeline, turn } = rig();
    add('a');
    add('b');
    await turn();
    take('a', line(at(5), 'x'.repeat(70_000)));
    let isLetGo = false;
    void timeline.room('a').then(() => {
      isLetGo = true;
    });
    await turn();
    assert.equal(isLetGo, false);
    end('b');
    await turn();
    assert.equal(isLetGo, true);
  });

  it('every line once, those of a container in its order, all in that of their time where containers are', async () => {
    const logs = fc.array(
      fc.array(fc.array(fc.nat({ max: 9_999 }), { minLength: 1, maxLength: 5 }), { maxLength: 6 }),
      { minLength: 1, maxLength: 5 },
    );
    await fc.assert(
      fc.asyncProperty(logs, fc.infiniteStream(fc.nat()), async (containers, picks) => {
        const { add, take, end, said, turn } = rig();
        let time = 0;
        const batches = containers.map((all, container) => {
          time = 0;
          return all.map((steps, batch) =>
            steps.map((ms, index) => {
              time += ms;
              return line(at(time * 1_000), `${time} ${container} ${batch} ${index}`);
            }),
          );
        });
        for (const container of containers.keys()) add(String(container));
        await turn();
        const left = batches.map((all) => [...all]);
        const unfinished = new Set(containers.keys());
        while (unfinished.size > 0) {
          const all = [...unfinished];
          const container = all[(picks.next().value ?? 0) % all.length] ?? 0;
          const next = left[container]?.shift();
          if (next !== undefined) take(String(container), ...next);
          else {
            end(String(container));
            unfinished.delete(container);
          }
        }
        const texts = said.filter((one) => one.includes(':')).map((one) => one.slice(one.indexOf(':') + 1));
        const times = texts.map((text) => Number(text.split(' ')[0]));
        assert.deepEqual(
          times,
          times.toSorted((a, b) => a - b),
        );
        for (const [container, all] of batches.entries()) {
          const own = texts.filter((text) => text.split(' ')[1] === String(container));
          assert.deepEqual(
            own,
            all.flat().map(({ text }) => text.toString()),
          );
        }
      }),
      { numRuns: 60 },
    );
  });
});
