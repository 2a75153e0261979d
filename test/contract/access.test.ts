/** Who may do what: tokens, roles, and questions about both. */
import assert from 'node:assert/strict';
import type { JsonObject } from '../../src/sandbox/object.ts';
import { eventually } from '../support/eventually.ts';
import { contract } from './contract.ts';
import type { Conversation } from './conversation.ts';
import { configMap, paths, unschedulable } from './objects.ts';
import { names, only } from './show.ts';

const { configMaps, secrets, pods, roles, roleBindings } = paths;
const review = (kind: string, spec: JsonObject): JsonObject => ({ apiVersion: 'authorization.k8s.io/v1', kind, spec });
const reviews = '/apis/authorization.k8s.io/v1';
const verdict = only('status');

/** Gives a service account of the namespace a role with these rules, and answers its token once they are in force. */
async function withRules(api: Conversation, name: string, rules: JsonObject[], probe: JsonObject): Promise<string> {
  const token = await api.tokenOf(name);
  await api.given.post(roles, { metadata: { name }, rules });
  await api.given.post(roleBindings, {
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
    subjects: [{ kind: 'ServiceAccount', name, namespace: 'NS' }],
  });
  await inForce(api, token, probe);
  return token;
}

/** Until the service account is allowed this, or, with `allowed` false, is not. */
async function inForce(api: Conversation, token: string, attributes: JsonObject, allowed = true): Promise<void> {
  await eventually(
    async () => {
      const { body } = await api.given.post(`${reviews}/selfsubjectaccessreviews`, question(attributes), { token });
      assert.equal((body as { status: JsonObject }).status.allowed, allowed);
    },
    { withinMs: 60_000 },
  );
}

contract('access', {
  'without a role a service account reads nothing': async (api) => {
    const token = await api.tokenOf('nobody');
    await api.get(configMaps, { token });
    await api.get(`${configMaps}/any`, { token });
    await api.get('/api/v1/configmaps', { token });
    await api.get(`${configMaps}?watch=true`, { token });
    await api.get('/api/v1/namespaces', { token });
    await api.get('/api/v1/namespaces/NS', { token });
  },
  'without a role a service account writes nothing': async (api) => {
    const token = await api.tokenOf('nobody');
    await api.post(configMaps, configMap('refused'), { token });
    await api.put(`${configMaps}/refused`, configMap('refused'), { token });
    await api.patch(`${configMaps}/refused`, 'merge', {}, { token });
    await api.patch(`${configMaps}/refused?fieldManager=a`, 'apply', configMap('refused'), { token });
    await api.remove(`${configMaps}/refused`, undefined, { token });
    await api.remove(configMaps, undefined, { token });
  },
  'a refusal names group and subresource': async (api) => {
    const token = await api.tokenOf('nobody');
    await api.get(`${paths.leases}/any`, { token });
    await api.get(`${pods}/any/log`, { token });
    await api.patch(`${pods}/any/status`, 'merge', {}, { token });
    await api.post(`${paths.serviceAccounts}/any/token`, { spec: {} }, { token });
    await api.get(paths.definitions, { token });
    await api.get('/apis/nobody.test.rungate.dev/v1/namespaces/NS/gizmos', { token });
  },
  'everybody may read discovery and health': async (api) => {
    const token = await api.tokenOf('nobody');
    // A server that a slow disk keeps waiting says for a moment that it is not ready.
    for (const path of ['/version', '/healthz', '/readyz', '/livez'])
      await api.getWhen(path, ({ status }) => status !== 500, { token, show: () => undefined });
    for (const path of ['/api', '/apis', '/api/v1', '/openapi/v3'])
      await api.get(path, { token, show: () => undefined });
    await api.get('/metrics', { token });
    await api.get('/nothing/here', { token });
  },
  'a role gives what it says and no more': async (api) => {
    const rules = [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list'] }];
    await api.given.post(configMaps, configMap('readable'));
    const token = await withRules(api, 'reader', rules, { namespace: 'NS', resource: 'configmaps', verb: 'list' });
    await api.get(`${configMaps}?fieldSelector=metadata.name%3Dreadable`, { token, ...names });
    await api.get(`${configMaps}/readable`, { token, ...only('metadata.name') });
    await api.get(`${configMaps}?watch=true`, { token });
    await api.get('/api/v1/configmaps', { token });
    await api.get('/api/v1/namespaces/default/configmaps', { token });
    await api.get(secrets, { token });
    await api.remove(`${configMaps}/readable`, undefined, { token });
  },
  'whoever may impersonate a service account does what that may, and no more': async (api) => {
    const impersonates = [{ apiGroups: [''], resources: ['serviceaccounts'], verbs: ['impersonate'] }];
    await api.given.post(configMaps, configMap('impersonated'));
    const reads = [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get'] }];
    await withRules(api, 'read', reads, { namespace: 'NS', resource: 'configmaps', verb: 'get' });
    const token = await withRules(api, 'impersonator', impersonates, {
      namespace: 'NS',
      resource: 'serviceaccounts',
      verb: 'impersonate',
    });
    const as = (user: string) => ({ token, headers: { 'Impersonate-User': user } });
    await api.get(`${configMaps}/impersonated`, { ...as('system:serviceaccount:NS:read'), ...only('metadata.name') });
    await api.get(`${secrets}/any`, as('system:serviceaccount:NS:read'));
    await api.get(`${configMaps}/impersonated`, as('system:serviceaccount:NS:nobody'));
    await api.get(`${configMaps}/impersonated`, as('system:serviceaccount:kube-system:read'));
    await api.get(`${configMaps}/impersonated`, as('system:serviceaccount:No Name:read'));
    await api.get(`${configMaps}/impersonated`, as('somebody'));
    await api.get(`${configMaps}/impersonated`, { token });
  },
  'resourceNames narrow a rule': async (api) => {
    const rules = [
      { apiGroups: [''], resources: ['secrets'], resourceNames: ['mine'], verbs: ['get', 'list', 'create', 'delete'] },
    ];
    await api.given.post(secrets, { metadata: { name: 'mine' } });
    await api.given.post(secrets, { metadata: { name: 'yours' } });
    const token = await withRules(api, 'named', rules, {
      namespace: 'NS',
      resource: 'secrets',
      verb: 'get',
      name: 'mine',
    });
    await api.get(`${secrets}/mine`, { token, ...only('metadata.name') });
    await api.get(`${secrets}/yours`, { token });
    await api.get(secrets, { token });
    await api.get(`${secrets}?fieldSelector=metadata.name%3Dmine`, { token, ...names });
    await api.post(secrets, { metadata: { name: 'mine' } }, { token });
  },
  'a subresource is a resource of its own': async (api) => {
    const rules = [{ apiGroups: [''], resources: ['pods/log'], verbs: ['get'] }];
    await api.given.post(pods, unschedulable('logged'));
    const token = await withRules(api, 'logger', rules, {
      namespace: 'NS',
      resource: 'pods',
      subresource: 'log',
      verb: 'get',
    });
    await api.get(`${pods}/logged/log`, { token });
    await api.get(`${pods}/logged`, { token });
    await api.get(`${pods}/logged/status`, { token });
  },
  'stars stand for everything': async (api) => {
    const rules = [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }];
    const token = await withRules(api, 'star', rules, {
      namespace: 'NS',
      resource: 'pods',
      subresource: 'log',
      verb: 'get',
    });
    await api.get(paths.leases, { token, ...names });
    await api.get('/api/v1/namespaces/NS', { token, ...only('metadata.name') });
    await api.get('/api/v1/namespaces', { token });
  },
  'a cluster role can be bound in one namespace': async (api) => {
    const token = await api.tokenOf('bound');
    const metadata = { name: 'NS-bound' };
    await api.given.post('/apis/rbac.authorization.k8s.io/v1/clusterroles', {
      metadata,
      rules: [{ apiGroups: [''], resources: ['secrets'], verbs: ['list'] }],
    });
    await api.given.post(roleBindings, {
      metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'NS-bound' },
      subjects: [{ kind: 'Group', apiGroup: 'rbac.authorization.k8s.io', name: 'system:serviceaccounts:NS' }],
    });
    await inForce(api, token, { namespace: 'NS', resource: 'secrets', verb: 'list' });
    await api.get('/api/v1/namespaces/default/secrets', { token });
    await api.post(
      `${reviews}/selfsubjectaccessreviews`,
      question({ namespace: 'NS', resource: 'secrets', verb: 'list' }),
      { token, ...verdict },
    );
    await api.given.remove('/apis/rbac.authorization.k8s.io/v1/clusterroles/NS-bound');
    await api.given.remove(`${roleBindings}/NS-bound`);
  },
  'a cluster role bound to the cluster': async (api) => {
    const token = await api.tokenOf('global');
    const metadata = { name: 'NS-global' };
    const cluster = '/apis/rbac.authorization.k8s.io/v1';
    await api.given.post(`${cluster}/clusterroles`, {
      metadata,
      rules: [
        { apiGroups: [''], resources: ['namespaces'], verbs: ['get'] },
        { nonResourceURLs: ['/metrics', '/logs/*'], verbs: ['get'] },
      ],
    });
    await api.given.post(`${cluster}/clusterrolebindings`, {
      metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'NS-global' },
      subjects: [{ kind: 'ServiceAccount', name: 'global', namespace: 'NS' }],
    });
    await inForce(api, token, { resource: 'namespaces', verb: 'get' });
    await api.get('/api/v1/namespaces/default', { token, ...only('metadata.name') });
    for (const path of ['/metrics', '/metrics/cadvisor', '/logs/any']) {
      const nonResourceAttributes = { path, verb: 'get' };
      await api.post(
        `${reviews}/selfsubjectaccessreviews`,
        review('SelfSubjectAccessReview', { nonResourceAttributes }),
        { token, ...verdict },
      );
    }
    await api.given.remove(`${cluster}/clusterroles/NS-global`);
    await api.given.remove(`${cluster}/clusterrolebindings/NS-global`);
  },
  'a role that is taken away is no longer in force': async (api) => {
    const rules = [{ apiGroups: [''], resources: ['configmaps'], verbs: ['list'] }];
    const attributes = { namespace: 'NS', resource: 'configmaps', verb: 'list' };
    const token = await withRules(api, 'former', rules, attributes);
    await api.given.remove(`${roleBindings}/former`);
    await inForce(api, token, attributes, false);
    await api.get(configMaps, { token });
  },
  'may I: the answer has a reason': async (api) => {
    await api.post(`${reviews}/selfsubjectaccessreviews`, question({ namespace: 'NS', resource: 'pods', verb: 'get' }));
    const token = await api.tokenOf('nobody');
    await api.post(
      `${reviews}/selfsubjectaccessreviews`,
      question({ namespace: 'NS', resource: 'pods', verb: 'get' }),
      { token },
    );
    const nonResourceAttributes = { path: '/openapi/v3', verb: 'get' };
    await api.post(
      `${reviews}/selfsubjectaccessreviews`,
      review('SelfSubjectAccessReview', { nonResourceAttributes }),
      { token },
    );
  },
  'may I: a question needs its attributes': async (api) => {
    await api.post(`${reviews}/selfsubjectaccessreviews`, review('SelfSubjectAccessReview', {}));
    const both = { resourceAttributes: { verb: 'get' }, nonResourceAttributes: { path: '/' } };
    await api.post(`${reviews}/selfsubjectaccessreviews`, review('SelfSubjectAccessReview', both));
  },
  'may they: asked for somebody else': async (api) => {
    const resourceAttributes = { namespace: 'NS', resource: 'pods', verb: 'get' };
    const user = 'system:serviceaccount:NS:nobody';
    await api.post(
      `${reviews}/subjectaccessreviews`,
      review('SubjectAccessReview', { resourceAttributes, user }),
      verdict,
    );
    await api.post(
      `${reviews}/subjectaccessreviews`,
      review('SubjectAccessReview', { resourceAttributes, user: 'admin', groups: ['system:masters'] }),
      verdict,
    );
    await api.post(`${reviews}/subjectaccessreviews`, review('SubjectAccessReview', { resourceAttributes }));
    await api.post(
      `${reviews}/namespaces/NS/localsubjectaccessreviews`,
      review('LocalSubjectAccessReview', { resourceAttributes, user }),
      verdict,
    );
  },
  'what may I: the rules of a namespace': async (api) => {
    const rules = [{ apiGroups: [''], resources: ['pods', 'pods/log'], verbs: ['get', 'list'] }];
    const token = await withRules(api, 'ruled', rules, { namespace: 'NS', resource: 'pods', verb: 'list' });
    await api.post(`${reviews}/selfsubjectrulesreviews`, review('SelfSubjectRulesReview', { namespace: 'NS' }), {
      token,
      show: (body) =>
        (body as { status: { resourceRules: { resources: string[] }[] } }).status.resourceRules.filter(
          ({ resources }) => resources.includes('pods'),
        ),
    });
    await api.post(`${reviews}/selfsubjectrulesreviews`, review('SelfSubjectRulesReview', {}), { token });
  },
  'who am I': async (api) => {
    const token = await api.tokenOf('nobody');
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
    await api.post('/apis/authentication.k8s.io/v1/selfsubjectreviews', body, { token, ...withoutCredentialId });
  },
  'a token is asked for': async (api) => {
    await api.given.post(paths.serviceAccounts, { metadata: { name: 'asked' } });
    await api.post(
      `${paths.serviceAccounts}/asked/token`,
      { spec: { expirationSeconds: 3600 } },
      only('kind', 'apiVersion', 'metadata', 'spec', 'status'),
    );
    await api.post(`${paths.serviceAccounts}/asked/token`, { spec: { expirationSeconds: 5 } });
    await api.post(`${paths.serviceAccounts}/absent/token`, { spec: {} });
  },
  'a token says whose it is': async (api) => {
    const token = await api.tokenOf('claims');
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as JsonObject;
    await api.get(`${paths.serviceAccounts}/claims`, {
      show: () => ({ sub: claims.sub, ...(claims['kubernetes.io'] as JsonObject) }),
    });
  },
  'a token ends with its service account': async (api) => {
    const token = await api.tokenOf('ending');
    await api.given.remove(`${paths.serviceAccounts}/ending`);
    // A token that was taken once more is remembered for ten seconds.
    await eventually(() => assert.rejects(api.given.get('/version', { token })), { withinMs: 60_000 });
    await api.get('/version', { token });
  },
  'a token that was tampered with is nobody’s': async (api) => {
    const token = await api.tokenOf('tampered');
    await api.get('/version', { token: `${token.slice(0, -8)}AAAAAAAA` });
  },
  'rules are checked': async (api) => {
    await api.post(roles, { metadata: { name: 'verbless' }, rules: [{ apiGroups: [''], resources: ['pods'] }] });
    await api.post(roles, { metadata: { name: 'resourceless' }, rules: [{ apiGroups: [''], verbs: ['get'] }] });
    await api.post(roles, { metadata: { name: 'urls' }, rules: [{ nonResourceURLs: ['/metrics'], verbs: ['get'] }] });
    await api.post(roles, { metadata: { name: 'with:colon' }, rules: [] });
  },
  'bindings are checked': async (api) => {
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'any' };
    await api.post(roleBindings, {
      metadata: { name: 'defaults' },
      roleRef: { kind: 'Role', name: 'any' },
      subjects: [{ kind: 'User', name: 'a' }],
    });
    await api.post(roleBindings, { metadata: { name: 'nameless' }, roleRef: { ...roleRef, name: '' }, subjects: [] });
    await api.post(roleBindings, { metadata: { name: 'kind' }, roleRef: { ...roleRef, kind: 'Rule' }, subjects: [] });
    await api.post(roleBindings, {
      metadata: { name: 'subject' },
      roleRef,
      subjects: [
        { kind: 'ServiceAccount', name: 'a' },
        { kind: 'Robot', name: 'b' },
      ],
    });
  },
  'nobody gives more than they have': async (api) => {
    const rules = [{ apiGroups: ['rbac.authorization.k8s.io'], resources: ['roles'], verbs: ['create'] }];
    const token = await withRules(api, 'climber', rules, {
      namespace: 'NS',
      group: 'rbac.authorization.k8s.io',
      resource: 'roles',
      verb: 'create',
    });
    await api.post(
      roles,
      { metadata: { name: 'climbed' }, rules: [{ apiGroups: [''], resources: ['secrets'], verbs: ['get'] }] },
      { token },
    );
  },
});

const question = (resourceAttributes: JsonObject) => review('SelfSubjectAccessReview', { resourceAttributes });
const withoutCredentialId = only('kind', 'status.userInfo.username', 'status.userInfo.groups', 'status.userInfo.uid');
