import assert from 'node:assert/strict';
import { concealIn } from './hidden-api.ts';

describe('concealIn', () => {
  const group = {
    kind: 'APIGroup',
    name: 'tekton.dev',
    versions: ['v1', 'v1beta1'].map((version) => ({ groupVersion: `tekton.dev/${version}`, version })),
  };
  const versions = (document: unknown) => (document as typeof group).versions.map(({ version }) => version);

  it('run 45: a hidden version is missing from its group, a hidden resource leaves the versions alone', () => {
    assert.deepEqual(versions(concealIn(group, { group: 'tekton.dev', version: 'v1' })), ['v1beta1']);
    const resource = { group: 'tekton.dev', version: 'v1beta1', resource: 'customruns' };
    assert.deepEqual(versions(concealIn(group, resource)), ['v1', 'v1beta1']);
  });

  it('run 45: a hidden resource is missing from the list of its own version only', () => {
    const hidden = { group: 'tekton.dev', version: 'v1beta1', resource: 'customruns' };
    for (const [version, want] of [
      ['v1beta1', ['taskruns']],
      ['v1', ['customruns', 'customruns/status', 'taskruns']],
    ] as const) {
      const resources = ['customruns', 'customruns/status', 'taskruns'].map((name) => ({ name }));
      const list = { kind: 'APIResourceList', groupVersion: `tekton.dev/${version}`, resources };
      assert.deepEqual(
        (concealIn(list, hidden) as typeof list).resources.map(({ name }) => name),
        want,
      );
    }
  });
});
