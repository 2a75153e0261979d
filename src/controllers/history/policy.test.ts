import assert from 'node:assert/strict';
import fc from 'fast-check';
import { projectPipelineRun } from '../../tekton/project.ts';
import type { PipelineRun } from '../../tekton/types.ts';
import { type HistoryPolicy, retain, surplus } from './policy.ts';

interface Given {
  readonly name: string;
  readonly status?: 'True' | 'False' | 'Unknown';
  /** Seconds after 10:00:00. */
  readonly created?: number;
  readonly completed?: number | string;
  readonly key?: string;
  readonly deleting?: boolean;
}

const at = (seconds: number) =>
  new Date(Date.parse('2026-11-01T10:00:00Z') + seconds * 1000).toISOString().slice(0, 19);

function run({ name, status, created = 0, completed, key, deleting }: Given): PipelineRun {
  return projectPipelineRun({
    metadata: {
      namespace: 'ci',
      name,
      uid: `uid-${name}`,
      resourceVersion: '1',
      creationTimestamp: `${at(created)}Z`,
      ...(deleting ? { deletionTimestamp: `${at(0)}Z` } : {}),
      ...(key === undefined ? {} : { annotations: { 'pipeline.jquad.rocks/event-key': key } }),
    },
    status: {
      ...(status === undefined ? {} : { conditions: [{ type: 'Succeeded', status, reason: 'r', message: '' }] }),
      ...(completed === undefined
        ? {}
        : { completionTime: typeof completed === 'number' ? `${at(completed)}Z` : completed }),
    },
  });
}

const policy = (maxHistory: number, more: Partial<HistoryPolicy> = {}): HistoryPolicy => ({
  maxHistory,
  current: new Set(),
  intended: new Set(),
  ...more,
});
const namesOf = (runs: readonly PipelineRun[]) => runs.map(({ meta }) => meta.name);

describe('which runs of a trigger are kept', () => {
  const cases: readonly {
    readonly name: string;
    readonly runs: readonly Given[];
    readonly policy: HistoryPolicy;
    readonly removed: readonly string[];
  }[] = [
    { name: 'none: nothing', runs: [], policy: policy(1), removed: [] },
    {
      name: 'as many as are wanted: all',
      runs: [
        { name: 'a', status: 'True', completed: 1 },
        { name: 'b', status: 'False', completed: 2 },
      ],
      policy: policy(2),
      removed: [],
    },
    {
      name: 'trigger 23: of six the three that ended last, failed or not',
      runs: [3, 1, 2, 6, 5, 4].map((second) => ({
        name: `run-${second}`,
        status: second % 2 === 0 ? ('True' as const) : ('False' as const),
        completed: second,
      })),
      policy: policy(3, { current: new Set(['run-6']) }),
      removed: ['run-1', 'run-2', 'run-3'],
    },
    {
      name: 'trigger 23: two unfinished and three finished, of which two are one too many',
      runs: [
        { name: 'going', status: 'Unknown' },
        { name: 'new' },
        { name: 'c', status: 'True', completed: 3 },
        { name: 'a', status: 'True', completed: 1 },
        { name: 'b', status: 'True', completed: 2 },
      ],
      policy: policy(3),
      removed: ['a', 'b'],
    },
    {
      name: 'unfinished ones, however many',
      runs: [
        { name: 'a' },
        { name: 'b', status: 'Unknown' },
        { name: 'c' },
        { name: 'd', status: 'True', completed: 9 },
      ],
      policy: policy(1),
      removed: ['d'],
    },
    {
      name: 'the current one, though it is the oldest',
      runs: [
        { name: 'a', status: 'True', completed: 1 },
        { name: 'b', status: 'True', completed: 2 },
        { name: 'c', status: 'True', completed: 3 },
      ],
      policy: policy(1, { current: new Set(['a']) }),
      removed: ['b', 'c'],
    },
    {
      name: 'the one that the status intends and cannot name yet: it would be made again',
      runs: [
        { name: 'slow', status: 'True', completed: 9, key: 'one' },
        { name: 'quick', status: 'True', completed: 3, key: 'two' },
      ],
      policy: policy(1, { intended: new Set(['two']) }),
      removed: ['slow'],
    },
    {
      name: 'ended at the same time: the one created later; created at the same time: the later in the alphabet',
      runs: [
        { name: 'd', status: 'True', created: 1, completed: 5 },
        { name: 'a', status: 'True', created: 2, completed: 5 },
        { name: 'c', status: 'True', created: 1, completed: 5 },
        { name: 'b', status: 'True', created: 3, completed: 5 },
      ],
      policy: policy(1),
      removed: ['c', 'd', 'a'],
    },
    {
      name: 'without a legible end, by their creation',
      runs: [
        { name: 'a', status: 'False', created: 4 },
        { name: 'b', status: 'False', created: 3, completed: 'noon' },
        { name: 'c', status: 'False', created: 1, completed: 5 },
      ],
      policy: policy(1),
      removed: ['b', 'a'],
    },
    {
      name: 'one that is going already neither goes again nor counts',
      runs: [
        { name: 'a', status: 'True', completed: 1, deleting: true },
        { name: 'b', status: 'True', completed: 2 },
        { name: 'c', status: 'True', completed: 3 },
      ],
      policy: policy(2),
      removed: [],
    },
  ];
  for (const { name, runs, policy: wanted, removed } of cases) {
    it(name, () => assert.deepEqual(namesOf(retain(runs.map(run), wanted).remove), removed));
  }

  it('every reason is told', () => {
    const { keep } = retain(
      [
        run({ name: 'a', status: 'True', completed: 1 }),
        run({ name: 'b', status: 'True', completed: 2 }),
        run({ name: 'c', status: 'Unknown', key: 'three' }),
      ],
      policy(2, { current: new Set(['a', 'c']), intended: new Set(['three']) }),
    );
    assert.deepEqual(
      keep.map(({ run: { meta }, why }) => [meta.name, ...why]),
      [
        ['a', 'current'],
        ['c', 'unfinished', 'current', 'intended'],
      ],
    );
  });

  const anyRuns = fc
    .uniqueArray(
      fc.record({
        name: fc.stringMatching(/^[a-f][0-9]?$/),
        status: fc.constantFrom('True' as const, 'False' as const, 'Unknown' as const, undefined),
        created: fc.integer({ min: 0, max: 4 }),
        completed: fc.option(fc.oneof(fc.integer({ min: 0, max: 4 }), fc.constant('never')), { nil: undefined }),
        key: fc.constantFrom('k1', 'k2', undefined),
        deleting: fc.boolean(),
      }),
      { selector: ({ name }) => name, maxLength: 14 },
    )
    .map((given) =>
      given.map(({ status, completed, key, ...rest }) =>
        run({
          ...rest,
          ...(status === undefined ? {} : { status }),
          ...(completed === undefined ? {} : { completed }),
          ...(key === undefined ? {} : { key }),
        }),
      ),
    );
  const anyPolicy = fc.record({
    maxHistory: fc.integer({ min: 1, max: 10 }),
    current: fc.subarray(['a', 'b', 'c1', 'd2']).map((names) => new Set(names)),
    intended: fc.subarray(['k1']).map((keys) => new Set(keys)),
  });

  it('what goes is finished, neither current nor intended, and older than all that might have gone instead', () => {
    fc.assert(
      fc.property(anyRuns, anyPolicy, (runs, wanted) => {
        const { keep, remove } = retain(runs, wanted);
        for (const { succeeded, meta } of remove) {
          assert.ok(succeeded?.status === 'True' || succeeded?.status === 'False');
          assert.ok(!wanted.current.has(meta.name));
          assert.ok(!wanted.intended.has(meta.annotations['pipeline.jquad.rocks/event-key'] ?? ''));
          assert.equal(meta.deleting, undefined);
        }
        const count = runs.filter(({ meta }) => meta.deleting === undefined).length;
        assert.equal(keep.length + remove.length, count);
        assert.equal(surplus(runs, wanted), remove.length);
        const optional = keep.filter(({ why }) => why.includes('among the newest'));
        if (keep.length > wanted.maxHistory) assert.deepEqual(optional, []);
        else if (remove.length > 0) assert.equal(keep.length, wanted.maxHistory);
        const endOf = ({ completed, meta }: PipelineRun) => Date.parse(completed ?? '') || Date.parse(meta.created);
        for (const { run: newer } of optional) for (const older of remove) assert.ok(endOf(older) <= endOf(newer));
      }),
    );
  });

  it('the order in which runs are told of changes nothing, and what is left asks for nothing more', () => {
    fc.assert(
      fc.property(anyRuns, anyPolicy, (runs, wanted) => {
        const { keep, remove } = retain(runs, wanted);
        assert.deepEqual(namesOf(retain(runs.toReversed(), wanted).remove), namesOf(remove));
        assert.deepEqual(
          retain(
            keep.map(({ run: kept }) => kept),
            wanted,
          ).remove,
          [],
        );
      }),
    );
  });

  it('when some of it has been done, the rest is what was to be done anyway', () => {
    fc.assert(
      fc.property(anyRuns, anyPolicy, fc.nat(14), (runs, wanted, done) => {
        const { remove } = retain(runs, wanted);
        const left = runs.filter((each) => !remove.slice(0, done).includes(each));
        assert.deepEqual(namesOf(retain(left, wanted).remove), namesOf(remove.slice(done)));
      }),
    );
  });
});
