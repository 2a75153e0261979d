/**
 * The roles and bindings that every cluster begins with, as far as anything here asks for them.
 * https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings
 */
import type { NewObject } from '../api/client.ts';
import type { JsonObject } from '../object.ts';

const group = 'rbac.authorization.k8s.io';
const reading = ['get', 'list', 'watch'];
const writing = ['create', 'delete', 'deletecollection', 'patch', 'update'];
const everything = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

/** ClusterRoles and ClusterRoleBindings to be created before anybody is let in. */
export function bootstrapRoles(): NewObject[] {
  return [...clusterRoles(), ...clusterRoleBindings()];
}

function clusterRoles(): NewObject[] {
  return [
    role('cluster-admin', [on(['*'], ['*'], ['*']), { nonResourceURLs: ['*'], verbs: ['*'] }]),
    gathering('admin', {}),
    gathering('edit', { [`${group}/aggregate-to-admin`]: 'true' }),
    gathering('view', { [`${group}/aggregate-to-edit`]: 'true' }),
    gathered('admin', [
      on(['authorization.k8s.io'], ['localsubjectaccessreviews'], ['create']),
      on([group], ['rolebindings', 'roles'], everything),
    ]),
    gathered('edit', [
      on([''], [...podConnections, 'secrets', 'services/proxy'], reading),
      on([''], ['serviceaccounts'], ['impersonate']),
      on([''], ['pods', ...podConnections], writing),
      on([''], ['pods/eviction'], ['create']),
      on([''], ['configmaps', 'events', 'persistentvolumeclaims', 'replicationcontrollers'], writing),
      on([''], ['replicationcontrollers/scale', 'secrets', 'serviceaccounts', 'services', 'services/proxy'], writing),
      on([''], ['serviceaccounts/token'], ['create']),
      on(['coordination.k8s.io'], ['leases'], everything),
    ]),
    gathered('view', [
      on([''], ['configmaps', 'endpoints', 'persistentvolumeclaims', 'persistentvolumeclaims/status', 'pods'], reading),
      on([''], ['replicationcontrollers', 'replicationcontrollers/scale', 'serviceaccounts'], reading),
      on([''], ['services', 'services/status'], reading),
      on([''], ['bindings', 'events', 'limitranges', 'namespaces/status', 'pods/log', 'pods/status'], reading),
      on([''], ['replicationcontrollers/status', 'resourcequotas', 'resourcequotas/status'], reading),
      on([''], ['namespaces'], reading),
    ]),
    role('system:basic-user', [
      on(['authorization.k8s.io'], ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'], ['create']),
      on(['authentication.k8s.io'], ['selfsubjectreviews'], ['create']),
    ]),
    role('system:discovery', [at(['/api', '/api/*', '/apis', '/apis/*', '/healthz', '/livez', ...documents])]),
    role('system:public-info-viewer', [at(['/healthz', '/livez', '/readyz', '/version', '/version/'])]),
    role('system:service-account-issuer-discovery', [at(issuerPages)]),
  ];
}

const podConnections = ['pods/attach', 'pods/exec', 'pods/portforward', 'pods/proxy'];
const documents = ['/openapi', '/openapi/*', '/readyz', '/version', '/version/'];
const issuerPages = ['/.well-known/openid-configuration', '/openid/v1/jwks'].flatMap((page) => [page, `${page}/`]);

function clusterRoleBindings(): NewObject[] {
  const authenticated = 'system:authenticated';
  return [
    binding('cluster-admin', ['system:masters']),
    binding('system:basic-user', [authenticated]),
    binding('system:discovery', [authenticated]),
    binding('system:public-info-viewer', [authenticated, 'system:unauthenticated']),
    binding('system:service-account-issuer-discovery', ['system:serviceaccounts']),
  ];
}

function role(name: string, rules: readonly JsonObject[], labels: Labels = {}): NewObject {
  return { apiVersion: `${group}/v1`, kind: 'ClusterRole', metadata: metadata(name, labels), rules: [...rules] };
}

/** A role that is whatever the roles labelled for it are together. */
function gathering(name: string, labels: Labels): NewObject {
  const clusterRoleSelectors = [{ matchLabels: { [`${group}/aggregate-to-${name}`]: 'true' } }];
  return { ...role(name, [], labels), aggregationRule: { clusterRoleSelectors } };
}

function gathered(into: string, rules: readonly JsonObject[]): NewObject {
  return role(`system:aggregate-to-${into}`, rules, { [`${group}/aggregate-to-${into}`]: 'true' });
}

function binding(name: string, groups: readonly string[]): NewObject {
  return {
    apiVersion: `${group}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: metadata(name, {}),
    roleRef: { apiGroup: group, kind: 'ClusterRole', name },
    subjects: groups.map((one) => ({ apiGroup: group, kind: 'Group', name: one })),
  };
}

type Labels = { readonly [key: string]: string };

function metadata(name: string, labels: Labels): NewObject['metadata'] {
  return {
    name,
    labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults', ...labels },
    annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' },
  };
}

function on(apiGroups: readonly string[], resources: readonly string[], verbs: readonly string[]): JsonObject {
  return { apiGroups: [...apiGroups], resources: [...resources], verbs: [...verbs] };
}

function at(paths: readonly string[]): JsonObject {
  return { nonResourceURLs: [...paths], verbs: ['get'] };
}
