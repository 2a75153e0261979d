import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createStore } from '../../kube/store.ts';
import { silentLog } from '../../log.ts';
import { projectPipelineRun } from '../../tekton/project.ts';
import { comparePlaces, placeOf, type RunPlace } from '../../tekton/runlist.ts';
import type { PipelineRun } from '../../tekton/types.ts';
import { createRunIndex, type RunChange, type RunIndex, type Scope } from './runindex.ts';

function run(uid: string, { namespace = 'ci', second = 0, version = '1' } = {}): PipelineRun {
  const creationTimestamp = `${new Date(Date.UTC(2026, 10, 1) + second * 1000).toISOString().slice(0, 19)}Z`;
  return projectPipelineRun({
    metadata: { namespace, name: `run-${uid}`, uid, resourceVersion: version, creationTimestamp },
  });
}

/** All runs of a scope, page by page. */
function walk(index: RunIndex, scope: Scope, descending: boolean, count: number): PipelineRun[] {
  const all: PipelineRun[] = [];
  for (let after: RunPlace | undefined; ; ) {
    const page = index.next(scope, { descending, after, count });
    all.push(...page);
    const last = page.at(-1);
    if (last === undefined) return all;
    after = placeOf(last, 'created');
  }
}

const uids = (runs: readonly PipelineRun[]) => runs.map(({ meta }) => meta.uid);

describe('the index of runs', () => {
  it('gives runs newest first or oldest first, of one namespace, of some and of all', () => {
    const { store, writer } = createStore<PipelineRun>(silentLog);
    writer.put(run('b', { second: 2 }));
    const index = createRunIndex(store);
    writer.put(run('c', { second: 3, namespace: 'dev' }));
    writer.put(run('a', { second: 1 }));
    writer.put(run('d', { second: 3, namespace: 'ops' }));
    assert.deepEqual(uids(walk(index, ['ci'], true, 10)), ['b', 'a']);
    assert.deepEqual(uids(walk(index, ['ci', 'dev'], false, 1)), ['a', 'b', 'c']);
    assert.deepEqual(uids(walk(index, 'all', true, 2)), ['d', 'c', 'b', 'a']);
    assert.deepEqual(uids(walk(index, ['nobody'], true, 2)), []);
    assert.deepEqual(uids(walk(index, [], true, 2)), []);
  });

  it('tells changes with what was and what is, to those whose namespaces they are in', () => {
    const { store, writer } = createStore<PipelineRun>(silentLog);
    const index = createRunIndex(store);
    const heard: string[] = [];
    const told =
      (name: string) =>
      ({ before, after }: RunChange) => {
        heard.push(`${name} ${before?.meta.resourceVersion ?? '-'} ${after?.meta.resourceVersion ?? '-'}`);
      };
    const end = index.subscribe(['ci'], told('ci'));
    index.subscribe('all', told('all'));
    const revision = index.revision(['ci']);
    writer.put(run('a'));
    writer.put(run('a', { version: '2' }));
    writer.put(run('b', { namespace: 'dev' }));
    writer.remove(run('a', { version: '3' }));
    assert.deepEqual(heard, ['ci - 1', 'all - 1', 'ci 1 2', 'all 1 2', 'all - 1', 'ci 2 -', 'all 2 -']);
    assert.notEqual(index.revision(['ci']), revision);
    assert.equal(index.revision(['nobody']), 0);
    end();
    end();
    writer.put(run('c'));
    assert.equal(heard.at(-1), 'all - 1');
  });

  it('run 41: is always what sorting everything would give, whatever comes and goes', () => {
    const act = fc.record({
      uid: fc.integer({ min: 0, max: 30 }).map(String),
      namespace: fc.constantFrom('ci', 'dev', 'ops'),
      second: fc.integer({ min: 0, max: 5 }),
      remove: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(act, { maxLength: 120 }),
        fc.integer({ min: 1, max: 7 }),
        fc.boolean(),
        (acts, _count, descending) => {
          const { store, writer } = createStore<PipelineRun>(silentLog);
          const index = createRunIndex(store);
          for (const [place, { uid, namespace, second, remove }] of acts.entries()) {
            const version = String(place);
            if (remove) writer.remove(run(uid, { namespace, second, version }));
            else writer.put(run(uid, { namespace, second, version }));
          }
          for (const scope of ['all', ['ci'], ['dev', 'ops']] as const) {
            const want = [...store.values()]
              .filter(({ meta }) => scope === 'all' || (scope as readonly string[]).includes(meta.namespace))
              .sort((a, b) => comparePlaces(placeOf(a, 'created'), placeOf(b, 'created'), descending));
            const got = index.next(scope, { descending, after: undefined, count: 1_000 });
            assert.deepEqual(uids(got), uids(want));
          }
        },
      ),
    );
  });

  it('holds many, added in any order, and finds the way from any place', () => {
    const { store, writer } = createStore<PipelineRun>(silentLog);
    const index = createRunIndex(store);
    const order = Array.from({ length: 5_000 }, (_, place) => (place * 2_003) % 5_000);
    for (const second of order) writer.put(run(String(second), { second }));
    const numbers = (runs: readonly PipelineRun[]) => uids(runs).map(Number);
    assert.deepEqual(
      numbers(walk(index, ['ci'], false, 333)),
      [...order].sort((a, b) => a - b),
    );
    assert.deepEqual(
      numbers(walk(index, ['ci'], true, 1_000)),
      [...order].sort((a, b) => b - a),
    );
    const after = placeOf(run('2500', { second: 2_500 }), 'created');
    for (const number of order) if (number % 2 === 0) writer.remove(run(String(number), { second: number }));
    assert.deepEqual(numbers(index.next(['ci'], { descending: true, after, count: 3 })), [2_499, 2_497, 2_495]);
    assert.deepEqual(numbers(index.next(['ci'], { descending: false, after, count: 3 })), [2_501, 2_503, 2_505]);
  });
});
