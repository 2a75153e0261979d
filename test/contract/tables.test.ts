/** Objects as tables, which is what kubectl get asks for, and as metadata alone. */
import { contract } from './contract.ts';
import { configMap, paths, pod, unschedulable, widget, widgets } from './objects.ts';

const { configMaps } = paths;
const table = { headers: { Accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' } };
const partial = {
  headers: { Accept: 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json' },
};
const partials = {
  headers: { Accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json' },
};

contract(
  'tables',
  {
    'a list of config maps': async (api) => {
      await api.get(`${configMaps}?labelSelector=set%3Dtable`, table);
    },
    'one config map': async (api) => {
      await api.get(`${configMaps}/table-a`, table);
    },
    'rows can be had with whole objects, or without': async (api) => {
      await api.get(`${configMaps}/table-a?includeObject=Object`, table);
      await api.get(`${configMaps}/table-a?includeObject=None`, table);
      await api.get(`${configMaps}/table-a?includeObject=Metadata`, table);
      await api.get(`${configMaps}/table-a?includeObject=Everything`, table);
    },
    'a list of nothing is a table without rows': async (api) => {
      await api.get(`${configMaps}?labelSelector=set%3Dnothing`, table);
    },
    'a table is served in pages': async (api) => {
      await api.get(`${configMaps}?labelSelector=set%3Dtable&limit=1`, table);
    },
    'an old version of tables is served, a view that nobody knows is not': async (api) => {
      await api.get(`${configMaps}/table-a`, {
        headers: { Accept: 'application/json;as=Table;v=v1beta1;g=meta.k8s.io' },
      });
      await api.get(`${configMaps}/table-a`, { headers: { Accept: 'application/json;as=Chart;v=v1;g=meta.k8s.io' } });
    },
    'an error is an error, not a table': async (api) => {
      await api.get(`${configMaps}/absent`, table);
    },
    'a pod that waits': async (api) => {
      await api.get(`${paths.pods}/waits`, table);
    },
    'a pod that has ended': async (api) => {
      await api.until(`${paths.pods}/ended`, ({ body }) => JSON.stringify(body).includes('"phase":"Succeeded"'));
      await api.get(`${paths.pods}/ended?includeObject=None`, {
        ...table,
        show: (body) => (body as { rows: { cells: string[] }[] }).rows.map(({ cells }) => cells.slice(0, 4)),
      });
    },
    'secrets, service accounts, namespaces': async (api) => {
      await api.get(`${paths.secrets}?includeObject=None`, table);
      await api.get(`${paths.serviceAccounts}?includeObject=None`, table);
      await api.get('/api/v1/namespaces/NS?includeObject=None', table);
    },
    'volume claims': async (api) => {
      await api.get(`${paths.claims}?includeObject=None`, table);
    },
    events: async (api) => {
      await api.get(`${paths.events}/table.1?includeObject=None`, table);
      await api.get('/apis/events.k8s.io/v1/namespaces/NS/events/table.1?includeObject=None', table);
    },
    'roles and bindings': async (api) => {
      await api.get(`${paths.roles}?includeObject=None`, table);
      await api.get(`${paths.roleBindings}?includeObject=None`, table);
    },
    leases: async (api) => {
      await api.get(`${paths.leases}?includeObject=None`, table);
    },
    'custom objects have the columns of their definition': async (api) => {
      await api.get(paths.widgets, table);
      await api.get(`${paths.widgets}/second?includeObject=None`, table);
    },
    'definitions have columns, too': async (api) => {
      await api.get(`${paths.definitions}/widgets.GROUP?includeObject=None`, table);
    },
    'the metadata of one object': async (api) => {
      await api.get(`${configMaps}/table-a`, partial);
      await api.get(`${paths.widgets}/first`, partial);
    },
    'the metadata of a list': async (api) => {
      await api.get(`${configMaps}?labelSelector=set%3Dtable`, partials);
    },
    'the metadata of a list, asked for as of one object': async (api) => {
      await api.get(`${configMaps}?labelSelector=set%3Dtable`, partial);
    },
    'what a create or a patch answers can be metadata alone': async (api) => {
      await api.post(configMaps, configMap('answered', { a: '1' }), partial);
      await api.patch(`${configMaps}/answered`, 'merge', { data: { a: '2' } }, partial);
      await api.patch(`${configMaps}/answered`, 'merge', { data: { a: '3' } }, table);
    },
  },
  {
    async before(api) {
      await api.given.post(paths.definitions, widgets);
      await api.until(paths.widgets, ({ status }) => status === 200);
      const labels = { set: 'table' };
      await api.given.post(configMaps, configMap('table-a', { x: '1', y: '2' }, { labels }));
      await api.given.post(configMaps, { ...configMap('table-b', {}, { labels }), binaryData: { z: 'YQ==' } });
      await api.given.post(paths.pods, unschedulable('waits'));
      await api.given.post(paths.pods, pod('ended', 'true'));
      await api.given.post(paths.secrets, { metadata: { name: 'secret' }, stringData: { a: '1' } });
      await api.given.post(paths.claims, {
        metadata: { name: 'claim' },
        spec: { accessModes: ['ReadWriteOnce'], storageClassName: 'none', resources: { requests: { storage: '1Gi' } } },
      });
      await api.given.post(paths.events, {
        metadata: { name: 'table.1' },
        involvedObject: { kind: 'Pod', namespace: 'NS', name: 'p' },
        reason: 'Tested',
        message: 'a test',
        type: 'Normal',
        firstTimestamp: '2026-01-02T03:04:05Z',
        lastTimestamp: '2026-01-02T03:04:05Z',
        count: 3,
        source: { component: 'contract' },
      });
      await api.given.post(paths.roles, { metadata: { name: 'role' }, rules: [] });
      const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'role' };
      const subjects = [
        { kind: 'User', name: 'a' },
        { kind: 'ServiceAccount', name: 'b', namespace: 'NS' },
      ];
      await api.given.post(paths.roleBindings, { metadata: { name: 'binding' }, roleRef, subjects });
      await api.given.post(paths.leases, { metadata: { name: 'lease' }, spec: { holderIdentity: 'me' } });
      await api.given.post(paths.widgets, widget('first', { size: 1 }));
      await api.given.post(paths.widgets, widget('second', { size: 2, parts: [{ name: 'a' }, { name: 'b' }] }));
      await api.given.patch(`${paths.widgets}/second/status`, 'merge', { status: { phase: 'Ready' } });
    },
    async after(api) {
      await api.given.remove(`${paths.definitions}/widgets.GROUP`);
    },
  },
);
