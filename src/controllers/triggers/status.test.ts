import assert from 'node:assert/strict';
import fc from 'fast-check';
import { projectSource } from '../../flux/project.ts';
import { mergeOf } from '../../kube/merge.ts';
import { type JsonObject, listOf, objectOf } from '../../kube/objects.ts';
import { decide } from './decide.ts';
import { projectTrigger } from './resource.ts';
import { type ClosedBranch, type Line, readStanding, roomBeside, type Standing, writeStatus } from './status.ts';

function trigger(status: JsonObject = {}) {
  return projectTrigger({
    metadata: { namespace: 'ci', name: 't', uid: 'u', generation: 1, resourceVersion: '1' },
    spec: {
      source: { kind: 'PullRequest', name: 'app' },
      pipelineRun: { apiVersion: 'tekton.dev/v1', kind: 'PipelineRun', spec: { pipelineSpec: {} } },
    },
    status,
  });
}

const standing: Standing = {
  lines: new Map(),
  sequence: 1,
  closed: [],
  recentRuns: [],
  trusted: [],
  handledKeys: [],
};
const said = { type: 'Success', status: 'False', reason: 'Failed', message: 'no' } as const;

/** The status of a PullRequest with these branches. */
function statusOf(names: readonly string[], before: JsonObject = {}): JsonObject {
  const lines = names.map((name) => ({ name, line: { raw: 'c', sequence: 1, attempt: 0, run: `run-${name}` }, said }));
  return writeStatus(trigger(before), { standing, lines, said, now: 0 });
}

/** What an API server makes of a merge patch: JSON of it comes and goes. */
function patched(before: JsonObject, merge: JsonObject | undefined): JsonObject {
  const apply = (target: JsonObject, patch: JsonObject): JsonObject => {
    const fields = new Map(Object.entries(target));
    for (const [key, value] of Object.entries(patch)) {
      if (value === null) fields.delete(key);
      else if (typeof value === 'object' && !Array.isArray(value)) {
        fields.set(key, apply(objectOf(fields.get(key)), objectOf(value)));
      } else fields.set(key, value);
    }
    return Object.fromEntries(fields);
  };
  return apply(before, JSON.parse(JSON.stringify(merge ?? {})));
}

describe('the status of a trigger', () => {
  it('a merge makes of one status the other, whatever branches are called', () => {
    const name = fc.oneof(fc.constantFrom('__proto__', 'constructor', 'toString', 'valueOf', 'a', 'b'), fc.string());
    const names = fc.uniqueArray(name, { maxLength: 6 });
    fc.assert(
      fc.property(names, names, (one, other) => {
        const before = patched({}, mergeOf({}, statusOf(one)));
        const after = statusOf(other, before);
        const kept = patched(before, mergeOf(before, after));
        assert.equal(mergeOf(kept, after), undefined);
        assert.deepEqual(Object.keys(objectOf(objectOf(kept.branches).branch)).sort(), [...other].sort());
      }),
    );
  });

  const conditionOf = (reason: string, message: string) => {
    const outcome = { status: 'False', reason, message } as const;
    const line = { raw: 'c', sequence: 1, attempt: 0, run: 'r', outcome };
    const told = { ...said, reason, message };
    const lines = [{ name: 'b', line, said: told }];
    const status = writeStatus(trigger(), { standing, lines, said: told, now: 0 });
    return { condition: objectOf(listOf(status.conditions)[0]), status };
  };

  it('is small, and on one line, whatever a run says of its end', () => {
    const { condition, status } = conditionOf('Failed', `a\nb\u202e${'c'.repeat(100_000)}`);
    assert.match(String(condition.message), /^a b c{2,}…$/);
    assert.ok(JSON.stringify(status).length < 10_000);
  });

  describe('of a PullRequest with very many branches', () => {
    const commit = 'c'.repeat(40);
    const failed = (message: string) => ({ status: 'False', reason: 'Failed', message }) as const;
    const lineOf = (name: string, message: string): Line => ({
      raw: commit,
      identity: `PullRequest/app ${name}@${commit}`,
      sequence: 1,
      attempt: 0,
      run: `run-${name}`.slice(0, 63),
      outcome: failed(message),
    });
    /** The status of a trigger that follows these branches, all of which failed with these words. */
    const write = (
      before: JsonObject,
      names: readonly string[],
      message: string,
      closed: readonly ClosedBranch[] = [],
    ) => {
      const known = readStanding(trigger(before)).lines;
      const lines = names.map((name) => {
        const line = known.get(name) ?? lineOf(name, message);
        return { name, line, said: { ...said, message: line.outcome?.message ?? '' } };
      });
      const status = writeStatus(trigger(before), { standing: { ...standing, closed }, lines, said, now: 0 });
      return patched(before, mergeOf(before, status));
    };
    const namesOf = (count: number, name = 'feature/change-') =>
      Array.from({ length: count }, (_, at) => `${name}${at}`);
    const closedOf = (names: readonly string[], message: string): ClosedBranch[] =>
      names.map((name) => ({ name, closed: '2026-11-01T10:00:00Z', line: lineOf(name, message) }));
    const bytesOf = (status: JsonObject) => Buffer.byteLength(JSON.stringify(status));
    const entriesIn = (status: JsonObject) => Object.values(objectOf(objectOf(status.branches).branch)).map(objectOf);
    const LIMIT = 512 * 1024;

    const texts = {
      words: 'The run did not end well. '.repeat(80),
      quotes: '"\\'.repeat(1_000),
      umlauts: 'ü'.repeat(2_000),
    };
    for (const [kind, message] of Object.entries(texts)) {
      for (const count of [1, 100, 300, 1_000]) {
        it(`${count} that say two kilobytes of ${kind} each fit into it, and are cut once`, () => {
          const names = namesOf(count);
          const status = write({}, names, message, closedOf(namesOf(500, 'gone-'), message));
          assert.ok(bytesOf(status) < LIMIT, `${bytesOf(status)} bytes`);
          const entries = entriesIn(status);
          assert.equal(entries.length, count);
          for (const { outcome } of entries) assert.match(String(objectOf(outcome).message), /…$/);
          // Each reconcile would write it again otherwise.
          const { closed } = readStanding(trigger(status));
          assert.deepEqual(write(status, names, message, closed), status);
        });
      }
    }

    it('a hundred have room for what is worth reading, a thousand for its beginning', () => {
      const shortest = (count: number) =>
        Math.min(
          ...entriesIn(write({}, namesOf(count), texts.words)).map(
            ({ conditions }) => String(objectOf(listOf(conditions)[0]).message).length,
          ),
        );
      assert.ok(shortest(100) > 1_900, `${shortest(100)} characters`);
      assert.ok(shortest(300) > 500, `${shortest(300)} characters`);
      assert.ok(shortest(1_000) >= 12, `${shortest(1_000)} characters`);
    });

    it('what was closed longest ago is let go first', () => {
      const names = namesOf(900);
      const status = write({}, names, texts.words, closedOf(namesOf(500, 'gone-'), texts.words));
      const kept = listOf(status.closedBranches).map((each) => objectOf(each).name);
      assert.ok(kept.length > 0 && kept.length < 500, `${kept.length} are kept`);
      assert.deepEqual(kept, namesOf(500, 'gone-').slice(-kept.length));
    });

    it('there is room for hundreds of new ones, and what was let in fits whatever becomes of it', () => {
      const name = fc.oneof(
        fc.string({ minLength: 1, maxLength: 250 }),
        fc.integer({ max: 9_999 }).map((n) => `feature/change-${n}`),
        fc.constantFrom('"', '\\', 'ü').map((character) => character.repeat(2_000)),
      );
      fc.assert(
        fc.property(fc.uniqueArray(name, { minLength: 1, maxLength: 40 }), (some) => {
          const hasRoom = roomBeside(new Map());
          const all = namesOf(2_000).flatMap((usual, at) => [usual, `${some[at % some.length]}${at}`]);
          const taken = all.filter((each) => hasRoom(each, lineOf(each, '')));
          assert.ok(taken.length >= 50 && taken.length < all.length, `${taken.length}`);
          const worst = {
            type: 'InProgress',
            status: 'Unknown',
            reason: 'R'.repeat(100),
            message: 'm'.repeat(3_000),
          } as const;
          const lines = taken.map((each) => {
            const line = { ...lineOf(each, ''), run: 'r'.repeat(63), attempt: 9, sequence: 9_999_999 };
            const outcome = { status: 'Unknown', reason: 'R'.repeat(100), message: '"'.repeat(3_000) } as const;
            return { name: each, line: { ...line, outcome }, said: worst };
          });
          const status = writeStatus(trigger(), { standing, lines, said: worst, now: Date.now() });
          assert.ok(bytesOf(status) < LIMIT, `${bytesOf(status)} bytes of ${taken.length} branches`);
        }),
        { numRuns: 10 },
      );
      const hasRoom = roomBeside(new Map(namesOf(600).map((each) => [each, lineOf(each, '')])));
      const more = namesOf(2_000, 'more-').filter((each) => hasRoom(each, lineOf(each, ''))).length;
      assert.ok(more > 100 && more < 300, `${more} beside 600`);
    });

    it('more than fit are not run for, which the trigger says; they are as soon as others are gone', () => {
      let status: JsonObject = {};
      const branches = namesOf(2_000).map((name) => ({ name, commit, details: '{}' }));
      /** What is decided once the status is as it should be. */
      const decided = (from: number, to: number) => {
        const raw = {
          metadata: { namespace: 'ci', name: 'app', uid: 'a' },
          status: { sourceBranches: { branches: branches.slice(from, to) } },
        };
        for (let looks = 0; looks < 3; looks++) {
          const decision = decide({
            trigger: trigger(status),
            source: projectSource('PullRequest', raw),
            pipelineMissing: false,
            run: () => undefined,
            tried: new Map(),
            stored: [],
            now: 0,
          });
          const merge = mergeOf(status, decision.status);
          if (merge === undefined) return decision;
          status = patched(status, merge);
        }
        return assert.fail('it does not come to rest');
      };
      const crowded = decided(0, 2_000);
      const { length } = entriesIn(status);
      assert.ok(length > 500 && length < 1_000 && bytesOf(status) < LIMIT, `${length}, ${bytesOf(status)} bytes`);
      assert.equal(crowded.orders.length, length);
      const [condition] = listOf(status.conditions).map(objectOf);
      const words = `PullRequest app has ${2_000 - length} branches more than one PipelineTrigger can follow`;
      assert.ok(String(condition?.message).startsWith(words), String(condition?.message));
      assert.equal(crowded.warning, condition?.message);
      decided(100, 2_000);
      const followed = entriesIn(status).map(({ name }) => name);
      assert.equal(followed.length, length);
      assert.deepEqual(
        followed.toSorted(),
        namesOf(2_000)
          .slice(100, length + 100)
          .toSorted(),
      );
      assert.equal(decided(100, 600).warning, undefined);
    });
  });

  const reasons: readonly [reason: string, want: string][] = [
    ['CouldntGetPipeline', 'CouldntGetPipeline'],
    ['a_b:c,d0', 'a_b:c,d0'],
    ['', 'Failed'],
    ['no-word', 'Failed'],
    ['ends:', 'Failed'],
    ['x'.repeat(40), 'x'.repeat(40)],
    ['x'.repeat(41), 'Failed'],
  ];
  for (const [reason, want] of reasons) {
    it(`the reason ${JSON.stringify(reason.slice(0, 20))} becomes one that the schema takes`, () => {
      assert.equal(conditionOf(reason, '').condition.reason, want);
    });
  }
});
