import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { JsonObject } from '../kube/objects.ts';
import {
  failureToldAt,
  type StoredEvent,
  storable,
  storedAlready,
  storedEntry,
  storedEventsIn,
  storedEventsPath,
  storedEventsWith,
  storedKey,
  toldFailure,
  toldIn,
  withTold,
} from './told.ts';

const [A, B, C] = ['a', 'b', 'c'].map((letter) => `main@sha1:${letter.repeat(40)}`) as [string, string, string];

describe('revisions that were told of', () => {
  for (const [title, before, revision, done, want] of [
    ['the first', undefined, A, undefined, A],
    ['the latest comes first', A, B, undefined, `${B} ${A}`],
    ['the same again', `${B} ${A}`, A, undefined, `${B} ${A}`],
    ['the same in another format', A, `main/${'a'.repeat(40)}`, undefined, A],
    ['what was run is looked for no longer', `${B} ${A}`, C, B, `${C} ${A}`],
    ['what was run is told of again', A, A, A, A],
    ['what would be two', A, 'a b', undefined, A],
  ] as const) {
    it(title, () => assert.equal(withTold(before, revision, done), want));
  }

  it('are eight at most', () => {
    let annotation: string | undefined;
    for (let number = 0; number < 20; number++) annotation = withTold(annotation, `v${number}`, undefined);
    assert.deepEqual(toldIn(annotation), ['v19', 'v18', 'v17', 'v16', 'v15', 'v14', 'v13', 'v12']);
  });

  it('a failure is told of by its time', () => {
    const at = Date.parse('2026-11-01T10:00:00Z');
    assert.equal(failureToldAt([A, toldFailure(at - 1_000), toldFailure(at), 'failure@x']), at);
    assert.equal(failureToldAt([A]), undefined);
  });
});

describe('events that are stored', () => {
  const event = (more: Partial<StoredEvent> = {}): Omit<StoredEvent, 'key'> => ({
    cluster: 'edge',
    revision: A,
    reason: 'NewArtifact',
    message: '',
    atMs: 1_000,
    ...more,
  });
  const trigger = { namespace: 'apps', name: 'build', uid: 'u' };

  it('come back as they went in, in the order in which they came', () => {
    const came = fc.record({
      cluster: fc.stringMatching(/^[a-z-]{0,10}$/),
      revision: fc.constantFrom(A, B, undefined),
      reason: fc.string(),
      message: fc.string(),
      atMs: fc.integer({ min: -8.64e15, max: 8.64e15 }),
    });
    fc.assert(
      fc.property(fc.array(fc.tuple(came, fc.integer({ min: 0, max: 2e12 })), { maxLength: 8 }), (all) => {
        let stored: readonly StoredEvent[] = [];
        for (const [{ revision, ...rest }, nowMs] of all) {
          const told = storable(revision === undefined ? rest : { ...rest, revision });
          assert(told);
          if (storedAlready(told, stored) !== undefined) continue;
          stored = [...stored, { key: storedKey(told, stored, nowMs), ...told }];
        }
        const data = Object.assign({}, ...stored.map(storedEntry)) as JsonObject;
        assert.deepEqual(storedEventsIn({ data }), stored);
      }),
    );
  });

  it('the same event is known again, another time of it is another', () => {
    const first = { key: storedKey(event(), [], 5), ...event() };
    assert.equal(storedAlready(event({ message: 'other words' }), [first]), first);
    for (const other of [{ atMs: 2_000 }, { cluster: 'other' }, { revision: B }]) {
      assert.equal(storedAlready(event(other), [first]), undefined, JSON.stringify(other));
    }
  });

  it('what somebody else wrote there is left out, and never throws', () => {
    const data = { a: 'x', b: '7', c: '{}', d: '{"atMs":1e300}', e: '{"atMs":1,"cluster":"a b"}', f: '{"atMs":1}' };
    assert.deepEqual(
      storedEventsIn({ data }).map(({ key }) => key),
      ['f'],
    );
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.string()), (any) => Array.isArray(storedEventsIn({ data: any }))),
    );
  });

  it('bounds what others write', () => {
    const told = storable(event({ message: 'x'.repeat(100_000), reason: 'y'.repeat(1_000) }));
    assert.deepEqual([told?.message.length, told?.reason.length], [2_048, 253]);
    for (const cluster of ['a b', 'a\nb', 'x'.repeat(254)]) assert.equal(storable(event({ cluster })), undefined);
  });

  it('are in a ConfigMap of the trigger, whose name fits however long that of the trigger is', () => {
    assert.equal(storedEventsPath(trigger), '/api/v1/namespaces/apps/configmaps/build-flux-events');
    const names = ['a', 'b'].map((end) => storedEventsPath({ namespace: 'apps', name: `${'x'.repeat(252)}${end}` }));
    assert.equal(new Set(names).size, 2);
    for (const path of names) assert.match(path.split('/').at(-1) ?? '', /^x+-[0-9a-f]{16}-flux-events$/);
    assert.ok(names.every((path) => (path.split('/').at(-1) ?? '').length <= 253));
    const { metadata } = storedEventsWith(trigger, { key: 'k', ...event() });
    assert.equal((metadata as JsonObject).name, 'build-flux-events');
  });
});
