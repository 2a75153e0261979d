import assert from 'node:assert/strict';
import { afterFailedTry, unreachedText } from './startup.ts';

describe('a start without a reachable cluster', () => {
  const person = { terminal: true, serviceHost: undefined, everReached: false, elapsedMs: 10_000 };
  const table = [
    { name: 'a person has waited 10 s', given: person, want: 'give-up' },
    { name: 'a person has waited less', given: { ...person, elapsedMs: 9_999 }, want: 'keep-trying' },
    { name: 'it had answered before', given: { ...person, everReached: true }, want: 'keep-trying' },
    { name: 'in a pod', given: { ...person, terminal: false, serviceHost: '10.0.0.1' }, want: 'keep-trying' },
    {
      name: 'in a pod with a terminal (kubectl run -it)',
      given: { ...person, serviceHost: '10.0.0.1' },
      want: 'keep-trying',
    },
    { name: 'nobody reads along', given: { ...person, terminal: false }, want: 'keep-trying' },
  ] as const;
  for (const { name, given, want } of table) {
    it(`${want}: ${name}`, () => assert.equal(afterFailedTry(given), want));
  }

  it('says what was tried and names the ways out', () => {
    const text = unreachedText({ tried: 'https://127.0.0.1:6443 (from ~/.kube/config)', reason: 'connection refused' });
    assert.match(text, /^rungate cannot reach .* Tried https:\/\/127\.0\.0\.1:6443 .*: connection refused\.\n/);
    assert.match(text, /KUBECONFIG/);
    assert.match(text, /npm run cluster -- up/);
  });
});
