import assert from 'node:assert/strict';
import { givesUp, unreachedText } from './startup.ts';

describe('a start without a reachable cluster', () => {
  for (const { name, given, want } of [
    { name: 'a person at a terminal is told', given: { terminal: true, serviceHost: undefined }, want: true },
    { name: 'a pod keeps trying', given: { terminal: false, serviceHost: '10.0.0.1' }, want: false },
    {
      name: 'a pod with a terminal (kubectl run -it) keeps trying',
      given: { terminal: true, serviceHost: '10.0.0.1' },
      want: false,
    },
    { name: 'a service of the system keeps trying', given: { terminal: false, serviceHost: undefined }, want: false },
  ]) {
    it(name, () => assert.equal(givesUp(given), want));
  }

  it('says what was tried and names the ways out', () => {
    const text = unreachedText({ tried: 'https://127.0.0.1:6443 (~/.kube/config)', reason: 'connection refused' });
    assert.match(
      text,
      /^rungate cannot reach a Kubernetes cluster: tried https:\/\/127\.0\.0\.1:6443 .*: connection refused\.\n/,
    );
    assert.match(text, /KUBECONFIG/);
    assert.match(text, /npm run demo/);
    assert.match(text, /npm run cluster -- up/);
  });

  it('says what was looked for where there was nothing to try', () => {
    assert.match(unreachedText({ reason: 'none is configured' }), /cluster: none is configured\.\n/);
  });
});
