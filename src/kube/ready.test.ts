import assert from 'node:assert/strict';
import { Fault } from '../fault.ts';
import { readiness } from './ready.ts';

const NOW = Date.parse('2026-11-01T10:00:00Z');

function watch(more: { scope?: string; listed?: boolean; staleMs?: number; problem?: string }) {
  const { scope = '', listed = true, staleMs = 0, problem } = more;
  const fault = problem === undefined ? undefined : new Fault('unavailable', problem);
  return { resource: 'pods', scope, listed: () => listed, staleMs: () => staleMs, problem: () => fault };
}

describe('readiness', () => {
  const cases = [
    { name: 'an open watch', given: watch({}), want: { name: 'pods', state: 'current', ageSeconds: 0 } },
    {
      name: 'a watch out of touch for exactly a minute',
      given: watch({ staleMs: 60_000 }),
      want: { name: 'pods', state: 'current', ageSeconds: 60 },
    },
    {
      name: 'a watch out of touch for longer',
      given: watch({ scope: 'ci', staleMs: 60_001, problem: 'Kubernetes cannot be reached' }),
      want: { name: 'pods in ci', state: 'stale', ageSeconds: 60, message: 'Kubernetes cannot be reached' },
    },
    {
      name: 'a watch that may not list',
      given: watch({
        listed: false,
        staleMs: Number.POSITIVE_INFINITY,
        problem: 'Kubernetes refused the request (403)',
      }),
      want: { name: 'pods', state: 'listing', message: 'Kubernetes refused the request (403)' },
    },
  ];
  for (const { name, given, want } of cases) {
    it(name, () => {
      assert.deepEqual(readiness([given], NOW), { ready: want.state === 'current', watches: [want] });
    });
  }

  it('one watch that is not current is enough', () => {
    assert.equal(readiness([watch({}), watch({ listed: false })], NOW).ready, false);
  });
});
