import assert from 'node:assert/strict';
import { Fault, type FaultCode } from '../fault.ts';
import { readiness } from './ready.ts';

const NOW = Date.parse('2026-11-01T10:00:00Z');

function watch(more: {
  scope?: string;
  listed?: boolean;
  staleMs?: number;
  absent?: boolean;
  code?: FaultCode;
  problem?: string;
}) {
  const { scope = '', listed = true, staleMs = 0, absent = false, code = 'unavailable', problem } = more;
  const fault = problem === undefined ? undefined : new Fault(code, problem);
  return {
    ...{ resource: 'pods', scope, listed: () => listed, staleMs: () => staleMs },
    ...{ absent: () => absent, problem: () => fault },
  };
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

  const closed = { code: 'refused', problem: 'Kubernetes refused the request (403)' } as const;
  const table: readonly {
    readonly name: string;
    readonly given: Parameters<typeof watch>[0];
    readonly want: boolean;
  }[] = [
    { name: 'one of a namespace that may not be read', given: { scope: 'gone', listed: false, ...closed }, want: true },
    { name: 'one that may not be read any more', given: { scope: 'gone', staleMs: 90_000, ...closed }, want: true },
    { name: 'one of all namespaces that may not be read', given: { listed: false, ...closed }, want: false },
    {
      name: 'one of a kind that is not there',
      given: { scope: 'a', listed: false, absent: true, ...closed },
      want: false,
    },
    { name: 'one that cannot be reached', given: { scope: 'a', listed: false, problem: 'away' }, want: false },
  ];
  for (const { name, given, want } of table) {
    it(`beside a current watch: ${name}`, () => {
      assert.equal(readiness([watch({ scope: 'ci' }), watch(given)], NOW).ready, want);
    });
  }

  it('that nothing may be read is not ready', () => {
    assert.equal(readiness([watch({ scope: 'ci', listed: false, ...closed })], NOW).ready, false);
  });

  it('one watch that is not current is enough', () => {
    assert.equal(readiness([watch({}), watch({ listed: false })], NOW).ready, false);
  });
});
