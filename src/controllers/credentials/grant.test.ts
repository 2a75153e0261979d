import assert from 'node:assert/strict';
import { parse } from 'yaml';
import { objectOf } from '../../kube/objects.ts';
import { absenceOf, grantOf } from './grant.ts';
import { projectCredential } from './resource.ts';

const credential = (status: string, metadata: object = {}) =>
  projectCredential({
    metadata: { namespace: 'ci', name: 'forge', uid: 'u1', generation: 2, ...metadata },
    spec: {},
    status: objectOf(parse(status)),
  });
const refs = 'secretRef: { namespace: ci, name: forge-secret }\nserviceAccountRef: { namespace: ci, name: forge-sa }';
const ready = 'conditions: [{ type: Ready, status: "True", reason: Synced, message: "" }]';

describe('what a ManagedCredential gives to runs', () => {
  it('trigger 42: one that is ready gives its service account and its Secret', () => {
    assert.deepEqual(grantOf(credential(`observedGeneration: 2\n${ready}\n${refs}`), 'ci'), {
      ready: true,
      serviceAccountName: 'forge-sa',
      secretName: 'forge-secret',
    });
  });

  it('references without a namespace are to its own, and either may be left out', () => {
    const status = `observedGeneration: 2\n${ready}\nsecretRef: { name: s }`;
    assert.deepEqual(grantOf(credential(status), 'ci'), { ready: true, secretName: 's' });
  });

  for (const [name, status, message] of [
    ['one that nobody has looked at', '{}', 'ManagedCredential ci/forge has not been looked at yet'],
    [
      'one whose spec has changed since',
      `observedGeneration: 1\n${ready}\n${refs}`,
      'ManagedCredential ci/forge has not been looked at yet',
    ],
    [
      'one whose Secret is missing',
      `observedGeneration: 2\n${refs}\nconditions: [{ type: Ready, status: "False", reason: SecretNotFound, message: Secret ci/token does not exist }]`,
      'ManagedCredential ci/forge is not ready: Secret ci/token does not exist',
    ],
    [
      'one of which nothing is certain',
      `observedGeneration: 2\n${refs}\nconditions: [{ type: Ready, status: Unknown, reason: Waiting, message: "" }]`,
      'ManagedCredential ci/forge is not ready: Waiting',
    ],
    [
      'one whose Secret is elsewhere',
      `observedGeneration: 2\n${ready}\nsecretRef: { namespace: other, name: s }`,
      'ManagedCredential ci/forge has what runs may use in namespace other, where runs in ci cannot get at it',
    ],
    [
      'one that is malformed',
      'observedGeneration: 2\nconditions: 7',
      'ManagedCredential ci/forge has not been looked at yet',
    ],
  ] as const) {
    it(`trigger 42: ${name} gives nothing`, () => {
      assert.deepEqual(grantOf(credential(status), 'ci'), { ready: false, message });
    });
  }

  it('trigger 42: one that is being deleted gives nothing, and one of another namespace nothing that is there only', () => {
    const status = `observedGeneration: 2\n${ready}\n${refs}`;
    const going = grantOf(credential(status, { deletionTimestamp: '2026-11-01T10:00:00Z' }), 'ci');
    assert.deepEqual(going, { ready: false, message: 'ManagedCredential ci/forge is being deleted' });
    assert.equal(grantOf(credential(status), 'elsewhere').ready, false);
  });
});

describe('a ManagedCredential of which nothing is known', () => {
  for (const [known, message] of [
    [{ of: 'all' }, 'managedcredentials.credentials.jquad.rocks "forge" not found'],
    [{ of: 'no kind' }, 'this cluster serves no managedcredentials.credentials.jquad.rocks'],
    [{ of: 'other namespaces' }, 'ManagedCredentials of namespace ci are not looked after here'],
    [
      { of: 'nothing', because: 'they have not been listed yet' },
      'ManagedCredential ci/forge is not known: they have not been listed yet',
    ],
  ] as const) {
    it(`trigger 42: gives nothing, and says why: ${message}`, () => {
      assert.deepEqual(absenceOf({ namespace: 'ci', name: 'forge' }, known), { ready: false, message });
    });
  }
});
