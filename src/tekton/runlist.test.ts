import assert from 'node:assert/strict';
import fc from 'fast-check';
import { projectPipelineRun } from './project.ts';
import { comparePlaces, filterOf, placeOf, type RunFilter, type RunPlace, runItem } from './runlist.ts';
import type { Phase } from './types.ts';

const EVENT = 'triggers.tekton.dev/triggers-eventid';

function run(name: string, more: { labels?: Record<string, string>; created?: string; verdict?: string } = {}) {
  const { labels = {}, created = '2026-11-01T10:00:00Z', verdict } = more;
  const [status, reason] = verdict?.split('/') ?? [];
  return projectPipelineRun({
    metadata: { namespace: 'ci', name, uid: `uid-${name}`, creationTimestamp: created, labels },
    spec: {},
    status: verdict === undefined ? {} : { conditions: [{ type: 'Succeeded', status, reason, message: 'as told' }] },
  });
}

const phases = (...of: readonly Phase[]) => new Set(of);

describe('filters of runs', () => {
  const green = run('build-17', {
    labels: { 'tekton.dev/pipeline': 'build', team: 'a', [EVENT]: 'e-1' },
    verdict: 'True/Succeeded',
  });
  const at = (text: string) => Date.parse(text);
  const table: readonly (readonly [string, Partial<RunFilter>, boolean])[] = [
    ['nothing is asked', {}, true],
    ['its pipeline', { pipeline: 'build' }, true],
    ['another pipeline', { pipeline: 'buil' }, false],
    ['its phase', { phases: phases('failed', 'succeeded') }, true],
    ['another phase', { phases: phases('failed') }, false],
    ['its label', { selects: ({ team }) => team === 'a' }, true],
    ['another label', { selects: ({ team }) => team === 'b' }, false],
    ['its event by label', { eventId: 'e-1' }, true],
    ['its event by name', { eventId: '17' }, true],
    ['a part of its event', { eventId: '1' }, false],
    ['another event', { eventId: 'build-17' }, false],
    ['how its name begins', { namePrefix: 'build-' }, true],
    ['how another begins', { namePrefix: 'uild' }, false],
    ['from its second on', { createdFromMs: at('2026-11-01T10:00:00Z') }, true],
    ['from just after it on', { createdFromMs: at('2026-11-01T10:00:00.001Z') }, false],
    ['before its second', { createdBeforeMs: at('2026-11-01T10:00:00Z') }, false],
    ['before just after it', { createdBeforeMs: at('2026-11-01T10:00:00.001Z') }, true],
    ['a time in another zone', { createdFromMs: at('2026-11-01T12:00:00+02:00') }, true],
    ['from the end of time on', { createdFromMs: at('9999-12-31T23:59:59.999Z') }, false],
    ['all that fits and one thing that does not', { pipeline: 'build', eventId: 'e-1', namePrefix: 'x' }, false],
  ];
  for (const [name, filter, want] of table) {
    it(`${name}: ${want ? 'meant' : 'not meant'}`, () => {
      assert.equal(filterOf({ phases: phases(), ...filter })(green), want);
    });
  }

  it('run 40: a run without status, labels and times is meant by what asks for nothing of it', () => {
    const bare = projectPipelineRun({ metadata: { name: 'bare' } });
    assert.equal(filterOf({ phases: phases('pending') })(bare), true);
    assert.equal(filterOf({ phases: phases(), pipeline: 'x' })(bare), false);
    assert.equal(runItem(bare).phase, 'pending');
  });
});

describe('an item of a list', () => {
  it('has what the run itself tells, and durations of what is over', () => {
    const item = runItem(
      projectPipelineRun({
        metadata: {
          namespace: 'ci',
          name: 'r',
          uid: 'u',
          creationTimestamp: '2026-11-01T10:00:00Z',
          labels: { 'tekton.dev/pipeline': 'p', [EVENT]: 'e' },
        },
        status: {
          startTime: '2026-11-01T10:00:01Z',
          completionTime: '2026-11-01T10:01:01Z',
          conditions: [{ type: 'Succeeded', status: 'False', reason: 'NeverHeardOf', message: 'm' }],
        },
      }),
    );
    assert.deepEqual(item, {
      namespace: 'ci',
      name: 'r',
      uid: 'u',
      pipeline: 'p',
      phase: 'failed',
      reason: 'NeverHeardOf',
      message: 'm',
      created: '2026-11-01T10:00:00Z',
      started: '2026-11-01T10:00:01Z',
      completed: '2026-11-01T10:01:01Z',
      durationMs: 60_000,
      trigger: { eventId: 'e' },
      labels: { 'tekton.dev/pipeline': 'p', [EVENT]: 'e' },
    });
  });
});

describe('places', () => {
  const place = fc.record({
    key: fc.option(fc.constantFrom('2026-11-01T10:00:00Z', '2026-11-01T10:00:01Z', 'a', 'b'), { nil: undefined }),
    uid: fc.constantFrom('u1', 'u2', 'u3'),
  });

  it('stand in one order each way, and runs without a key at the end of both', () => {
    fc.assert(
      fc.property(fc.array(place, { maxLength: 20 }), fc.boolean(), (places, descending) => {
        const sorted = [...places].sort((a, b) => comparePlaces(a, b, descending));
        for (let at = 1; at < sorted.length; at++) {
          const [before, after] = [sorted[at - 1], sorted[at]] as [RunPlace, RunPlace]; // within the bounds of the loop
          assert.ok(comparePlaces(before, after, descending) <= 0);
          assert.ok(comparePlaces(after, before, descending) >= 0);
          if (before.key === undefined) assert.equal(after.key, undefined);
          else if (after.key !== undefined) assert.ok(descending ? before.key >= after.key : before.key <= after.key);
        }
      }),
    );
  });

  it('are of what the list is sorted by', () => {
    const one = run('r', { created: '2026-11-01T10:00:00Z' });
    assert.deepEqual(placeOf(one, 'created'), { key: '2026-11-01T10:00:00Z', uid: 'uid-r' });
    assert.deepEqual(placeOf(one, 'name'), { key: 'r', uid: 'uid-r' });
    assert.deepEqual(placeOf(one, 'completed'), { key: undefined, uid: 'uid-r' });
  });
});
