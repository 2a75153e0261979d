/** What the server says it serves. */
import type { Json } from '../../src/sandbox/object.ts';
import { contract } from './contract.ts';
import { isObject } from './mask.ts';

/** Groups that both servers have. */
const groups = [
  'apiextensions.k8s.io',
  'authentication.k8s.io',
  'authorization.k8s.io',
  'coordination.k8s.io',
  'events.k8s.io',
  'rbac.authorization.k8s.io',
];

/** Resources of the core group that both servers have. */
const core = [
  'configmaps',
  'events',
  'namespaces',
  'namespaces/status',
  'persistentvolumeclaims',
  'persistentvolumeclaims/status',
  'pods',
  'pods/log',
  'pods/status',
  'secrets',
  'serviceaccounts',
  'serviceaccounts/token',
];

const list = (body: Json | undefined, field: string): Json[] => {
  const value = isObject(body) ? body[field] : undefined;
  return Array.isArray(value) ? value : [];
};
const text = (value: Json | undefined, field: string): string =>
  isObject(value) && typeof value[field] === 'string' ? value[field] : '';
const withList = (body: Json, field: string, items: readonly Json[]): Json =>
  isObject(body) ? { ...body, [field]: [...items] } : body;

/** Only what both have; a storage hash is each server's own. */
const resources = (names?: readonly string[]) => (body: Json) =>
  withList(
    body,
    'resources',
    list(body, 'resources')
      .filter((item) => names === undefined || names.includes(text(item, 'name')))
      .map((item) => {
        if (!isObject(item)) return item;
        const { storageVersionHash: _, ...rest } = item;
        return rest;
      }),
  );

const aggregated = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

/** Of aggregated discovery, one group's resources. */
const discovered = (group: string, names?: readonly string[]) => (body: Json) =>
  withList(
    body,
    'items',
    list(body, 'items')
      .filter((item) => isObject(item) && text(item.metadata, 'name') === group)
      .map((item) =>
        withList(
          isObject(item) ? { ...item, metadata: { name: group } } : item,
          'versions',
          list(item, 'versions').map((version) =>
            withList(
              version,
              'resources',
              list(version, 'resources')
                .filter((each) => names === undefined || names.includes(text(each, 'resource')))
                .map((each) =>
                  names === undefined || list(each, 'subresources').length === 0
                    ? each
                    : withList(
                        each,
                        'subresources',
                        list(each, 'subresources').filter((sub) =>
                          names.includes(`${text(each, 'resource')}/${text(sub, 'subresource')}`),
                        ),
                      ),
                ),
            ),
          ),
        ),
      ),
  );

contract('discovery', {
  'version says which Kubernetes this is': (api) =>
    api
      .get('/version', { show: (body) => ({ major: text(body, 'major'), minor: text(body, 'minor') }) })
      .then(() => {}),
  'healthz, livez and readyz say ok': async (api) => {
    // A server that a slow disk keeps waiting says for a moment that it is not ready.
    for (const path of ['/healthz', '/livez', '/readyz']) await api.getWhen(path, ({ status }) => status !== 500);
  },
  'api lists the versions of the core group': async (api) => {
    await api.get('/api', { show: (body) => ({ kind: text(body, 'kind'), versions: list(body, 'versions') }) });
  },
  'api/v1 lists the resources of the core group': async (api) => {
    await api.get('/api/v1', { show: resources(core) });
  },
  'apis lists the groups': async (api) => {
    await api.get('/apis', {
      show: (body) =>
        withList(
          body,
          'groups',
          list(body, 'groups')
            .filter((item) => groups.includes(text(item, 'name')))
            .sort((a, b) => text(a, 'name').localeCompare(text(b, 'name'))),
        ),
    });
  },
  'a group answers for itself': async (api) => {
    await api.get('/apis/rbac.authorization.k8s.io');
    await api.get('/apis/coordination.k8s.io');
  },
  'rbac lists its resources': async (api) => {
    await api.get('/apis/rbac.authorization.k8s.io/v1', { show: resources() });
  },
  'coordination lists leases': async (api) => {
    await api.get('/apis/coordination.k8s.io/v1', { show: resources() });
  },
  'events has a group of its own besides the core one': async (api) => {
    await api.get('/apis/events.k8s.io/v1', { show: resources() });
  },
  'reviews can only be created': async (api) => {
    const names = ['selfsubjectaccessreviews', 'selfsubjectrulesreviews', 'selfsubjectreviews', 'subjectaccessreviews'];
    await api.get('/apis/authorization.k8s.io/v1', { show: resources(names) });
    await api.get('/apis/authentication.k8s.io/v1', { show: resources(names) });
  },
  'apiextensions lists definitions': async (api) => {
    await api.get('/apis/apiextensions.k8s.io/v1', { show: resources() });
  },
  'a group that nobody serves is not found': async (api) => {
    await api.get('/apis/nobody.test.rungate.dev');
    await api.get('/apis/nobody.test.rungate.dev/v1');
  },
  'a version that a group does not have is not found': async (api) => {
    await api.get('/apis/coordination.k8s.io/v7');
    await api.get('/api/v2');
  },
  'aggregated discovery tells the core group in one answer': async (api) => {
    await api.get('/api', { headers: { Accept: aggregated }, show: discovered('', core) });
  },
  'aggregated discovery tells the other groups in one answer': async (api) => {
    await api.get('/apis', { headers: { Accept: aggregated }, show: discovered('coordination.k8s.io', ['leases']) });
    await api.get('/apis', { headers: { Accept: aggregated }, show: discovered('rbac.authorization.k8s.io') });
  },
  'aggregated discovery is what kubectl asks for, with the old ways as alternatives': async (api) => {
    const accept = `${aggregated},application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json`;
    await api.get('/apis', { headers: { Accept: accept }, show: (body) => ({ kind: text(body, 'kind') }) });
  },
  'aggregated discovery need not be sent again to who has it': async (api) => {
    const first = await api.get('/api', { headers: { Accept: aggregated }, show: () => undefined });
    const etag = first.headers.etag?.[0] ?? '';
    await api.get('/api', { headers: { Accept: aggregated, 'If-None-Match': etag } });
  },
  'openapi v3 has a document for each group and version': async (api) => {
    await api.get('/openapi/v3', {
      show: (body) => {
        const found = isObject(body) && isObject(body.paths) ? body.paths : {};
        const both = ['api', 'api/v1', 'apis', ...groups.flatMap((group) => [`apis/${group}`, `apis/${group}/v1`])];
        return Object.fromEntries(
          both
            .filter((path) => found[path] !== undefined)
            .map((path) => [path, text(found[path], 'serverRelativeURL').replace(/hash=\w+/, 'hash=HASH')]),
        );
      },
    });
  },
  'openapi v3 names the kind of each schema': async (api) => {
    await api.get('/openapi/v3/api/v1', {
      show: (body) => {
        const components = isObject(body) ? body.components : undefined;
        const schemas = isObject(components) && isObject(components.schemas) ? components.schemas : {};
        const configMap = schemas['io.k8s.api.core.v1.ConfigMap'];
        return isObject(configMap)
          ? {
              openapi: text(body, 'openapi'),
              type: configMap.type,
              kinds: configMap['x-kubernetes-group-version-kind'],
              fields: isObject(configMap.properties) ? Object.keys(configMap.properties).sort() : [],
            }
          : undefined;
      },
    });
  },
  'openapi v3 of a group that nobody serves is not found': async (api) => {
    await api.get('/openapi/v3/apis/nobody.test.rungate.dev/v1');
  },
});
