import assert from 'node:assert/strict';
import { objectOf, readerOf, testTime } from '../../../test/support/core-kinds.ts';
import type { Kind } from '../api/kind.ts';
import type { JsonObject, KubeObject } from '../object.ts';
import { StatusError } from '../status.ts';
import { bootstrapRoles } from './bootstrap.ts';
import { administrator, type Caller } from './caller.ts';
import { createAuthorizer } from './rbac.ts';
import { reviewKinds } from './reviews.ts';
import { createTokens, issuer, serviceAccountCaller } from './tokens.ts';

const account = objectOf('ServiceAccount', 'builder', {}, { namespace: 'team' });
const builder = serviceAccountCaller('team', 'builder', account.metadata.uid);
const role = objectOf(
  'Role',
  'r',
  { rules: [{ apiGroups: [''], resources: ['pods/log'], verbs: ['get'] }] },
  { namespace: 'team' },
);
const binding = objectOf(
  'RoleBinding',
  'b',
  { roleRef: { kind: 'Role', name: 'r' }, subjects: [{ kind: 'ServiceAccount', name: 'builder' }] },
  { namespace: 'team' },
);
const beginning = bootstrapRoles().map((object) => ({
  ...object,
  metadata: { uid: '', resourceVersion: '', creationTimestamp: '', name: '', ...object.metadata },
}));
const reader = readerOf([account, role, binding, ...beginning]);
const tokens = createTokens({ reader, clock: { now: () => testTime.getTime() } });
const kinds = reviewKinds({ now: () => testTime, tokens, authorizer: createAuthorizer(reader) });

function ask(name: string, fields: JsonObject, caller: Caller = builder, metadata: JsonObject = {}): KubeObject {
  const kind = kinds.find((one) => one.kind === name) as Kind; // there is one of each
  const asked = { ...fields, apiVersion: `${kind.group}/v1`, kind: name, metadata } as KubeObject; // reviews have no names
  kind.versions[0]?.schema.applyDefaults(asked);
  const answer = kind.review?.(asked, caller);
  assert.ok(answer !== undefined);
  return answer;
}

const log = { verb: 'get', resource: 'pods', subresource: 'log', namespace: 'team' };
const reason = 'RBAC: allowed by RoleBinding "b/team" of Role "r" to ServiceAccount "builder/team"';

describe('reviews', () => {
  it('are asked and not kept', () => {
    for (const { verbs, review } of kinds) {
      assert.deepEqual(verbs, ['create']);
      assert.ok(review !== undefined);
    }
  });

  const answers: readonly { name: string; kind: string; spec: JsonObject; caller?: Caller; want: JsonObject }[] = [
    {
      name: 'may I',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes: log },
      want: { allowed: true, reason },
    },
    {
      name: 'may I not',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes: { ...log, verb: 'delete' } },
      want: { allowed: false },
    },
    {
      name: 'may the administrator',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes: { verb: '*', resource: '*' } },
      caller: administrator,
      want: { allowed: true },
    },
    {
      name: 'may I see a page',
      kind: 'SelfSubjectAccessReview',
      spec: { nonResourceAttributes: { verb: 'get', path: '/apis' } },
      want: {
        allowed: true,
        reason:
          'RBAC: allowed by ClusterRoleBinding "system:discovery" of ClusterRole "system:discovery" to Group "system:authenticated"',
      },
    },
    {
      name: 'may they',
      kind: 'SubjectAccessReview',
      spec: { resourceAttributes: log, user: builder.name },
      caller: administrator,
      want: { allowed: true, reason },
    },
  ];
  for (const { name, kind, spec, caller, want } of answers) {
    it(`${name}`, () => assert.deepEqual(ask(kind, { spec }, caller).status, want));
  }

  it('may they, in this namespace', () => {
    const spec = { resourceAttributes: log, user: builder.name };
    assert.deepEqual(ask('LocalSubjectAccessReview', { spec }, administrator, { namespace: 'team' }).status, {
      allowed: true,
      reason,
    });
  });

  it('what may I do here', () => {
    const { spec, status } = ask('SelfSubjectRulesReview', { spec: { namespace: 'team' } });
    assert.deepEqual(spec, {});
    const { resourceRules, nonResourceRules, ...rest } = status as JsonObject; // that is its shape
    assert.deepEqual(rest, { incomplete: false });
    assert.ok(Array.isArray(nonResourceRules) && nonResourceRules.length > 0);
    assert.deepEqual(Array.isArray(resourceRules) ? resourceRules.at(-1) : undefined, {
      verbs: ['get'],
      apiGroups: [''],
      resources: ['pods/log'],
    });
  });

  it('who am I', () => {
    const { metadata, status } = ask('SelfSubjectReview', {});
    assert.deepEqual(metadata, { creationTimestamp: '2025-06-01T12:00:00Z' });
    assert.deepEqual(status, { userInfo: { username: builder.name, uid: builder.uid, groups: builder.groups } });
  });

  it('whose token is this', () => {
    const { token } = tokens.issue(account, { audiences: [], seconds: 600 });
    const { status } = ask('TokenReview', { spec: { token } });
    const { authenticated, audiences, user } = status as JsonObject; // that is its shape
    assert.equal(authenticated, true);
    assert.deepEqual(audiences, [issuer]);
    const { extra, ...shown } = user as JsonObject;
    assert.deepEqual(shown, { username: builder.name, uid: builder.uid, groups: builder.groups });
    assert.match(JSON.stringify(extra), /"authentication.kubernetes.io\/credential-id":\["JTI=[-0-9a-f]{36}"\]/);
  });

  it('nobody’s token', () => {
    assert.deepEqual(ask('TokenReview', { spec: { token: 'a.b.c' } }).status, {
      user: {},
      error: 'invalid bearer token',
    });
  });

  const refused: readonly {
    name: string;
    kind: string;
    fields: JsonObject;
    metadata?: JsonObject;
    code: number;
    want: string;
  }[] = [
    {
      name: 'nothing asked',
      kind: 'SelfSubjectAccessReview',
      fields: {},
      code: 422,
      want: '.authorization.k8s.io "" is invalid: spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified',
    },
    {
      name: 'two things asked',
      kind: 'SelfSubjectAccessReview',
      fields: { spec: { resourceAttributes: log, nonResourceAttributes: { path: '/x' } } },
      code: 422,
      want: '.authorization.k8s.io "" is invalid: spec.nonResourceAttributes: Invalid value: {"Path":"/x","Verb":""}: cannot be specified in combination with resourceAttributes',
    },
    {
      name: 'nobody meant',
      kind: 'SubjectAccessReview',
      fields: { spec: { resourceAttributes: log } },
      code: 422,
      want: '.authorization.k8s.io "" is invalid: spec.user: Invalid value: "": at least one of user or group must be specified',
    },
    {
      name: 'a name',
      kind: 'SelfSubjectAccessReview',
      fields: { spec: { resourceAttributes: log } },
      metadata: { name: 'x' },
      code: 422,
      want: '.authorization.k8s.io "" is invalid: metadata: Invalid value: {"name":"x"}: must be empty',
    },
    {
      name: 'another namespace',
      kind: 'LocalSubjectAccessReview',
      fields: { spec: { resourceAttributes: log, user: 'u' } },
      metadata: { namespace: 'other' },
      code: 422,
      want: '.authorization.k8s.io "" is invalid: spec.resourceAttributes.namespace: Invalid value: "team": must match metadata.namespace',
    },
    {
      name: 'an empty selector',
      kind: 'SelfSubjectAccessReview',
      fields: { spec: { resourceAttributes: { ...log, labelSelector: {} } } },
      code: 422,
      want: '.authorization.k8s.io "" is invalid: spec.resourceAttributes.labelSelector.requirements: Required value: when spec.resourceAttributes.labelSelector is specified, requirements or rawSelector is required',
    },
    { name: 'no namespace', kind: 'SelfSubjectRulesReview', fields: {}, code: 400, want: 'no namespace on request' },
    {
      name: 'no token',
      kind: 'TokenReview',
      fields: {},
      code: 400,
      want: 'token is required for TokenReview in authentication',
    },
  ];
  for (const { name, kind, fields, metadata, code, want } of refused) {
    it(`${kind}: ${name}`, () => {
      assert.throws(
        () => ask(kind, fields, builder, metadata),
        (error) => error instanceof StatusError && error.code === code && error.message === want,
      );
    });
  }
});
