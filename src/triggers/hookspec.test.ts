import assert from 'node:assert/strict';
import type { Json } from '../kube/objects.ts';
import { projectHookedTrigger } from './hooked.ts';
import { NO_HOOK, readHook } from './hookspec.ts';

const read = (hook: Json | undefined, kind = 'GitRepository') => {
  const mistakes: string[] = [];
  return { hook: readHook(hook, kind, (mistake) => mistakes.push(mistake)), mistakes };
};

describe('spec.hook', () => {
  it('is that of a trigger that is only watched, where there is none', () => {
    for (const none of [undefined, null]) assert.equal(read(none).hook, NO_HOOK);
  });

  for (const [title, hook, want] of [
    ['empty', {}, { mode: 'both' }],
    [
      'with everything',
      {
        secretRef: { name: 'key' },
        mode: 'watch',
        on: 'Failure',
        identity: 'content',
        initialRun: 'never',
        maxRunsPerHour: 3,
      },
      { secret: 'key', mode: 'watch', on: 'Failure', byContent: true, skipsFirst: true, maxRunsPerHour: 3 },
    ],
    ['that believes', { trustEvents: true, mode: 'both' }, { mode: 'events', trustsEvents: true }],
  ] as const) {
    it(`is read: ${title}`, () => assert.deepEqual(read(hook), { hook: { ...NO_HOOK, ...want }, mistakes: [] }));
  }

  for (const [hook, mistake, kind] of [
    [{ mode: 'sometimes' }, /spec\.hook\.mode .* both, events, watch/],
    [{ on: 'Tuesday' }, /spec\.hook\.on .* Success, Failure/],
    [{ secretRef: {} }, /spec\.hook\.secretRef\.name is missing/],
    [{ maxRunsPerHour: 0 }, /spec\.hook\.maxRunsPerHour/],
    [{ maxRunsPerHour: 1.5 }, /spec\.hook\.maxRunsPerHour/],
    [{ maxRunsPerHour: 1_001 }, /spec\.hook\.maxRunsPerHour/],
    [{ mode: 'watch', trustEvents: true }, /leave one of them out/],
    [{ mode: 'events' }, /spec\.hook\.mode is events/, 'PullRequest'],
    [{ on: 'Failure' }, /spec\.hook\.on is Failure/, 'PullRequest'],
    [{ trustEvents: true }, /spec\.hook\.trustEvents is true/, 'PullRequest'],
  ] as const) {
    it(`names the field that is wrong: ${JSON.stringify(hook)}`, () => {
      const { mistakes } = read(hook, kind);
      assert.equal(mistakes.length, 1);
      assert.match(mistakes[0] ?? '', mistake);
    });
  }

  it('of a trigger as its hook knows it', () => {
    const source = { kind: 'GitRepository', name: 'web' };
    const of = (spec: Json) => projectHookedTrigger({ metadata: { namespace: 'a', name: 'b' }, spec });
    assert.equal(of({ source, hook: {} }).hook?.mode, 'both');
    for (const spec of [
      { source },
      { source, hook: { mode: 'x' } },
      { source: { kind: 'X', name: 'web' }, hook: {} },
      null,
      [],
    ]) {
      assert.equal(of(spec).hook, undefined, JSON.stringify(spec));
    }
  });
});
