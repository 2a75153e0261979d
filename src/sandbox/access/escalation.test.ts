import assert from 'node:assert/strict';
import { objectOf, readerOf } from '../../../test/support/core-kinds.ts';
import type { JsonObject, KubeObject } from '../object.ts';
import { StatusError } from '../status.ts';
import { administrator, type Caller } from './caller.ts';
import { refuseEscalation } from './escalation.ts';
import { createAuthorizer } from './rbac.ts';

const jane: Caller = { name: 'jane', uid: '', groups: ['devs'] };
const joe: Caller = { name: 'joe', uid: '', groups: [] };
const pods = { apiGroups: [''], resources: ['pods', '*/status'], verbs: ['get', 'list'] };
const named = { apiGroups: [''], resources: ['secrets'], resourceNames: ['one'], verbs: ['get'] };

function role(name: string, rules: readonly JsonObject[]): KubeObject {
  return objectOf('Role', name, { rules: [...rules] });
}

function binding(name: string, to: string, user: string): KubeObject {
  const subjects = [{ kind: 'User', name: user }];
  return objectOf('RoleBinding', name, { roleRef: { kind: 'Role', name: to }, subjects });
}

const rbac = ['rbac.authorization.k8s.io'];
const authorizer = createAuthorizer(
  readerOf([
    role('reader', [pods, named]),
    role('climber', [
      { apiGroups: rbac, resources: ['roles'], verbs: ['escalate'] },
      { apiGroups: rbac, resources: ['roles'], verbs: ['bind'], resourceNames: ['secret-reader'] },
    ]),
    role('secret-reader', [{ apiGroups: [''], resources: ['secrets'], verbs: ['get', 'list'] }]),
    binding('readers', 'reader', 'jane'),
    binding('climbers', 'climber', 'joe'),
  ]),
);

function said(object: KubeObject, caller: Caller, old?: KubeObject): string {
  try {
    refuseEscalation(object, old, { caller, authorizer });
    return '';
  } catch (error) {
    assert.ok(error instanceof StatusError);
    return `${error.code} ${error.message}`;
  }
}

const attempt =
  'is forbidden: user "jane" (groups=["devs"]) is attempting to grant RBAC permissions not currently held:';

describe('nobody gives more than they have', () => {
  const cases: readonly { name: string; object: KubeObject; caller: Caller; want: string }[] = [
    { name: 'what one has', object: role('a', [{ ...pods, verbs: ['get'] }]), caller: jane, want: '' },
    {
      name: 'a subresource of anything',
      object: role('a', [{ ...pods, resources: ['jobs/status'] }]),
      caller: jane,
      want: '',
    },
    { name: 'one object of those one has', object: role('a', [named]), caller: jane, want: '' },
    {
      name: 'all objects of which one has one',
      object: role('a', [{ ...named, resourceNames: [] }]),
      caller: jane,
      want: `403 roles.rbac.authorization.k8s.io "a" ${attempt}\n{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}`,
    },
    {
      name: 'more verbs, resources and pages',
      object: role('a', [
        { ...pods, resources: ['pods', 'nodes'], verbs: ['list', 'watch', 'delete'] },
        { nonResourceURLs: ['/x'], verbs: ['get', 'put'] },
      ]),
      caller: jane,
      want: [
        `403 roles.rbac.authorization.k8s.io "a" ${attempt}`,
        '{APIGroups:[""], Resources:["nodes"], Verbs:["list" "watch" "delete"]}',
        '{APIGroups:[""], Resources:["pods"], Verbs:["watch" "delete"]}',
        '{NonResourceURLs:["/x"], Verbs:["get"]}',
        '{NonResourceURLs:["/x"], Verbs:["put"]}',
      ].join('\n'),
    },
    { name: 'anything, when one may escalate', object: role('a', [{ ...pods, verbs: ['*'] }]), caller: joe, want: '' },
    { name: 'anything as a master', object: role('a', [{ ...pods, verbs: ['*'] }]), caller: administrator, want: '' },
    { name: 'a role that gives what one has', object: binding('b', 'reader', 'x'), caller: jane, want: '' },
    {
      name: 'a role that gives more',
      object: binding('b', 'secret-reader', 'x'),
      caller: jane,
      want: `403 rolebindings.rbac.authorization.k8s.io "b" ${attempt}\n{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}`,
    },
    { name: 'a role that one may bind', object: binding('b', 'secret-reader', 'x'), caller: joe, want: '' },
    {
      name: 'a role that is not there',
      object: binding('b', 'missing', 'x'),
      caller: jane,
      want: '404 roles.rbac.authorization.k8s.io "missing" not found',
    },
  ];
  for (const { name, object, caller, want } of cases) it(name, () => assert.equal(said(object, caller), want));

  it('but may clean up', () => {
    const old = role('a', [{ ...pods, verbs: ['*'] }]);
    const released = { ...old, metadata: { ...old.metadata, finalizers: ['a.b/c'] } };
    assert.equal(said(released, jane, old), '');
    const labelled = { ...old, metadata: { ...old.metadata, labels: { a: 'b' } } };
    assert.match(said(labelled, jane, old), /^403 /);
  });
});
