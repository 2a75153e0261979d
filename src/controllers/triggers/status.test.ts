import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type JsonObject, listOf, objectOf } from '../../kube/objects.ts';
import { projectTrigger } from './resource.ts';
import { mergeOf, type Standing, writeStatus } from './status.ts';

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

const standing: Standing = { lines: new Map(), sequence: 1, closed: [] };
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

  const reasons: readonly [reason: string, want: string][] = [
    ['CouldntGetPipeline', 'CouldntGetPipeline'],
    ['a_b:c,d0', 'a_b:c,d0'],
    ['', 'Failed'],
    ['no-word', 'Failed'],
    ['ends:', 'Failed'],
    ['x'.repeat(5_000), 'Failed'],
  ];
  for (const [reason, want] of reasons) {
    it(`the reason ${JSON.stringify(reason.slice(0, 20))} becomes one that the schema takes`, () => {
      assert.equal(conditionOf(reason, '').condition.reason, want);
    });
  }
});
