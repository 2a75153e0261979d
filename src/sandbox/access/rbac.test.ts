import assert from 'node:assert/strict';
import { objectOf, readerOf } from '../../../test/support/core-kinds.ts';
import type { JsonObject, KubeObject } from '../object.ts';
import { bootstrapRoles } from './bootstrap.ts';
import { type Attributes, administrator, type Caller } from './caller.ts';
import { createAuthorizer, forbiddenSentence, refusal } from './rbac.ts';
import { serviceAccountCaller } from './tokens.ts';

const builder = serviceAccountCaller('team', 'builder', 'u');
const user: Caller = { name: 'jane', uid: '', groups: ['devs', 'system:authenticated'] };

function rule(resources: readonly string[], verbs: readonly string[], more: JsonObject = {}): JsonObject {
  return { apiGroups: [''], resources: [...resources], verbs: [...verbs], ...more };
}

function role(name: string, rules: readonly JsonObject[], namespace = 'team'): KubeObject {
  return objectOf('Role', name, { rules: [...rules] }, { namespace });
}

function clusterRole(name: string, fields: JsonObject, labels: { [key: string]: string } = {}): KubeObject {
  const { namespace, ...metadata } = objectOf('ClusterRole', name).metadata;
  return {
    ...fields,
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { ...metadata, labels },
  };
}

function binding(
  name: string,
  kind: string,
  to: string,
  subjects: readonly JsonObject[],
  namespace = 'team',
): KubeObject {
  return objectOf('RoleBinding', name, { roleRef: { kind, name: to }, subjects: [...subjects] }, { namespace });
}

function clusterBinding(name: string, to: string, subjects: readonly JsonObject[]): KubeObject {
  const object = binding(name, 'ClusterRole', to, subjects);
  const { namespace, ...metadata } = object.metadata;
  return { ...object, kind: 'ClusterRoleBinding', metadata };
}

function asks(
  verb: string,
  resource: string,
  more: Partial<Extract<Attributes, { resource: string }>> = {},
): Attributes {
  return { verb, group: '', version: 'v1', resource, namespace: 'team', name: '', ...more };
}

const account = { kind: 'ServiceAccount', name: 'builder' };

const world = [
  role('reader', [
    rule(['pods', 'pods/log'], ['get', 'list']),
    rule(['configmaps'], ['get'], { resourceNames: ['settings'] }),
    rule(['*/status'], ['patch']),
    { ...rule(['pipelineruns'], ['*']), apiGroups: ['tekton.dev'] },
  ]),
  role('reader', [rule(['secrets'], ['get'])], 'other'),
  clusterRole('everything', { rules: [rule(['*'], ['*'], { apiGroups: ['*'] })] }),
  clusterRole('pages', { rules: [{ nonResourceURLs: ['/metrics', '/apis/*'], verbs: ['get'] }] }),
  clusterRole('gathering', {
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { gather: 'yes' } }] },
    rules: null,
  }),
  clusterRole('gathered', { rules: [rule(['nodes'], ['list'])] }, { gather: 'yes' }),
  clusterRole('by-expression', {
    aggregationRule: {
      clusterRoleSelectors: [
        {
          matchExpressions: [
            { key: 'gather', operator: 'In', values: ['yes'] },
            { key: 'never', operator: 'DoesNotExist' },
          ],
        },
      ],
    },
  }),
  binding('readers', 'Role', 'reader', [
    { kind: 'User', name: 'nobody' },
    account,
    { kind: 'Group', name: 'system:serviceaccounts' },
  ]),
  binding('broken', 'Role', 'missing', [{ kind: 'Group', name: 'testers' }]),
  binding('owners', 'ClusterRole', 'everything', [{ kind: 'User', name: 'jane' }], 'janes'),
  clusterBinding('pages', 'pages', [{ kind: 'Group', name: 'devs' }]),
  clusterBinding('gatherers', 'gathering', [{ kind: 'User', name: 'jane' }]),
  clusterBinding('expressers', 'by-expression', [{ kind: 'User', name: 'joe' }]),
];

describe('rbac', () => {
  const authorizer = createAuthorizer(readerOf(world));
  const readers = 'RBAC: allowed by RoleBinding "readers/team" of Role "reader" to ServiceAccount "builder/team"';
  const cases: readonly { name: string; caller: Caller; asked: Attributes; allowed: boolean; reason: string }[] = [
    { name: 'a verb of its role', caller: builder, asked: asks('list', 'pods'), allowed: true, reason: readers },
    { name: 'another verb', caller: builder, asked: asks('delete', 'pods'), allowed: false, reason: '' },
    {
      name: 'a subresource by its name',
      caller: builder,
      asked: asks('get', 'pods/log'),
      allowed: true,
      reason: readers,
    },
    { name: 'another subresource', caller: builder, asked: asks('get', 'pods/exec'), allowed: false, reason: '' },
    {
      name: 'a subresource of anything',
      caller: builder,
      asked: asks('patch', 'pods/status'),
      allowed: true,
      reason: readers,
    },
    {
      name: 'an object by its name',
      caller: builder,
      asked: asks('get', 'configmaps', { name: 'settings' }),
      allowed: true,
      reason: readers,
    },
    {
      name: 'another object',
      caller: builder,
      asked: asks('get', 'configmaps', { name: 'other' }),
      allowed: false,
      reason: '',
    },
    {
      name: 'all objects, when one is named',
      caller: builder,
      asked: asks('get', 'configmaps'),
      allowed: false,
      reason: '',
    },
    {
      name: 'another group',
      caller: builder,
      asked: asks('list', 'pods', { group: 'metrics.k8s.io' }),
      allowed: false,
      reason: '',
    },
    {
      name: 'any verb of a group',
      caller: builder,
      asked: asks('watch', 'pipelineruns', { group: 'tekton.dev' }),
      allowed: true,
      reason: readers,
    },
    {
      name: 'another namespace',
      caller: builder,
      asked: asks('list', 'pods', { namespace: 'other' }),
      allowed: false,
      reason: '',
    },
    {
      name: 'all namespaces',
      caller: builder,
      asked: asks('list', 'pods', { namespace: '' }),
      allowed: false,
      reason: '',
    },
    {
      name: 'a cluster role in one namespace',
      caller: user,
      asked: asks('delete', 'secrets', { namespace: 'janes' }),
      allowed: true,
      reason: 'RBAC: allowed by RoleBinding "owners/janes" of ClusterRole "everything" to User "jane"',
    },
    { name: 'the same elsewhere', caller: user, asked: asks('delete', 'secrets'), allowed: false, reason: '' },
    {
      name: 'a page',
      caller: user,
      asked: { verb: 'get', path: '/apis/tekton.dev' },
      allowed: true,
      reason: 'RBAC: allowed by ClusterRoleBinding "pages" of ClusterRole "pages" to Group "devs"',
    },
    { name: 'another page', caller: user, asked: { verb: 'get', path: '/metrics/a' }, allowed: false, reason: '' },
    {
      name: 'what a role gathers',
      caller: user,
      asked: asks('list', 'nodes', { namespace: '' }),
      allowed: true,
      reason: 'RBAC: allowed by ClusterRoleBinding "gatherers" of ClusterRole "gathering" to User "jane"',
    },
    {
      name: 'what a role gathers by an expression',
      caller: { name: 'joe', uid: '', groups: [] },
      asked: asks('list', 'nodes'),
      allowed: true,
      reason: 'RBAC: allowed by ClusterRoleBinding "expressers" of ClusterRole "by-expression" to User "joe"',
    },
    {
      name: 'a role that is not there',
      caller: { name: 'joe', uid: '', groups: ['testers'] },
      asked: asks('get', 'pods'),
      allowed: false,
      reason: 'RBAC: role.rbac.authorization.k8s.io "missing" not found',
    },
    {
      name: 'anything as a master',
      caller: administrator,
      asked: asks('impersonate', 'users'),
      allowed: true,
      reason: '',
    },
  ];
  for (const { name, caller, asked, allowed, reason } of cases) {
    it(name, () => assert.deepEqual(authorizer.allows(caller, asked), { allowed, reason }));
  }

  it('reads roles again after a change, and not before', () => {
    const objects = [...world];
    const watched = createAuthorizer(readerOf(objects));
    const question = asks('get', 'secrets', { namespace: 'other' });
    assert.equal(watched.allows(builder, question).allowed, false);
    objects.push(binding('more', 'Role', 'reader', [{ ...account, namespace: 'team' }], 'other'));
    assert.equal(watched.allows(builder, question).allowed, false);
    watched.changed();
    assert.equal(watched.allows(builder, question).allowed, true);
  });

  it('names all rights once, however many groups lead to a binding', () => {
    const { rules, problem } = authorizer.rights(builder, 'team');
    assert.deepEqual(
      rules.map(({ resources }) => resources),
      [['pods', 'pods/log'], ['configmaps'], ['*/status'], ['pipelineruns']],
    );
    assert.equal(problem, '');
    assert.equal(
      authorizer.rights({ name: 'joe', uid: '', groups: ['testers'] }, 'team').problem,
      'role.rbac.authorization.k8s.io "missing" not found',
    );
  });
});

describe('the refusal', () => {
  const name = builder.name;
  const cases: readonly { asked: Attributes; want: string }[] = [
    {
      asked: asks('list', 'pods'),
      want: `User "${name}" cannot list resource "pods" in API group "" in the namespace "team"`,
    },
    {
      asked: asks('list', 'nodes', { namespace: '' }),
      want: `User "${name}" cannot list resource "nodes" in API group "" at the cluster scope`,
    },
    { asked: { verb: 'get', path: '/metrics' }, want: `User "${name}" cannot get path "/metrics"` },
  ];
  for (const { asked, want } of cases) it(want, () => assert.equal(forbiddenSentence(builder, asked), want));

  it('names the object, and why', () => {
    const refused = refusal(builder, asks('get', 'pods/log', { name: 'p' }), 'RBAC: no');
    assert.equal(refused.code, 403);
    assert.equal(
      refused.message,
      `pods "p" is forbidden: User "${name}" cannot get resource "pods/log" in API group "" in the namespace "team": RBAC: no`,
    );
    assert.deepEqual(refused.details, { name: 'p', kind: 'pods' });
  });

  it('of a page has no details', () => {
    const refused = refusal(builder, { verb: 'get', path: '/x' }, '');
    assert.equal(refused.message, `forbidden: User "${name}" cannot get path "/x"`);
    assert.deepEqual(refused.details, {});
  });
});

describe('the roles at the beginning', () => {
  const given = bootstrapRoles().map((object) => ({
    ...object,
    metadata: { uid: '', resourceVersion: '', creationTimestamp: '', name: '', ...object.metadata },
  }));
  const authorizer = createAuthorizer(
    readerOf([
      ...given,
      ...['view', 'edit', 'admin'].map((name) => binding(name, 'ClusterRole', name, [{ kind: 'User', name }])),
    ]),
  );
  const cases: readonly { who: string; asked: Attributes; want: boolean }[] = [
    { who: 'anybody', asked: { verb: 'get', path: '/apis/tekton.dev' }, want: true },
    { who: 'anybody', asked: { verb: 'get', path: '/metrics' }, want: false },
    {
      who: 'anybody',
      asked: asks('create', 'selfsubjectaccessreviews', { group: 'authorization.k8s.io', namespace: '' }),
      want: true,
    },
    { who: 'anybody', asked: asks('list', 'pods'), want: false },
    { who: 'view', asked: asks('get', 'pods/log'), want: true },
    { who: 'view', asked: asks('get', 'secrets'), want: false },
    { who: 'view', asked: asks('create', 'pods'), want: false },
    { who: 'edit', asked: asks('get', 'pods/log'), want: true },
    { who: 'edit', asked: asks('create', 'secrets'), want: true },
    { who: 'edit', asked: asks('create', 'roles', { group: 'rbac.authorization.k8s.io' }), want: false },
    { who: 'admin', asked: asks('create', 'roles', { group: 'rbac.authorization.k8s.io' }), want: true },
    { who: 'admin', asked: asks('get', 'pods', { namespace: 'other' }), want: false },
  ];
  for (const { who, asked, want } of cases) {
    it(`${who}: ${forbiddenSentence({ name: who, uid: '', groups: [] }, asked).replace('cannot', want ? 'can' : 'cannot')}`, () => {
      const caller = { name: who, uid: '', groups: ['system:authenticated'] };
      assert.equal(authorizer.allows(caller, asked).allowed, want);
    });
  }
});
