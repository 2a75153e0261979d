/** Replacing objects: conflicts, what may not change, what does not count as a change. */
import type { JsonObject } from '../../src/sandbox/object.ts';
import { contract } from './contract.ts';
import type { Told } from './conversation.ts';
import { configMap, paths, unschedulable, widget, widgets } from './objects.ts';
import { only } from './show.ts';

const { configMaps } = paths;
/** The object of an answer, with changes on top. */
const changed = (answer: Told, change: JsonObject): JsonObject => ({ ...(answer.body as JsonObject), ...change });
const withMetadata = (answer: Told, change: JsonObject): JsonObject =>
  changed(answer, { metadata: { ...((answer.body as JsonObject).metadata as JsonObject), ...change } });

contract(
  'update',
  {
    'an update with the current version replaces everything': async (api) => {
      const made = await api.post(configMaps, configMap('replaced', { a: '1', b: '2' }, { labels: { x: 'y' } }));
      const resourceVersion = made.at('metadata.resourceVersion');
      await api.put(`${configMaps}/replaced`, configMap('replaced', { c: '3' }, { resourceVersion }));
    },
    'an update without a version wins whatever there is': async (api) => {
      await api.given.post(configMaps, configMap('unversioned', { a: '1' }));
      await api.put(`${configMaps}/unversioned`, configMap('unversioned', { a: '2' }));
    },
    'an update with an old version is a conflict': async (api) => {
      const made = await api.given.post(configMaps, configMap('outdated', { a: '1' }));
      await api.given.patch(`${configMaps}/outdated`, 'merge', { data: { a: '2' } });
      await api.put(`${configMaps}/outdated`, changed(made, { data: { a: '3' } }));
    },
    'a conflict names the group of the resource': async (api) => {
      const made = await api.given.post(paths.leases, { metadata: { name: 'outdated' } });
      await api.given.patch(`${paths.leases}/outdated`, 'merge', { spec: { holderIdentity: 'a' } });
      await api.put(`${paths.leases}/outdated`, changed(made, { spec: { holderIdentity: 'b' } }));
    },
    'a version that is no number is refused': async (api) => {
      await api.given.post(configMaps, configMap('odd-version'));
      await api.put(`${configMaps}/odd-version`, configMap('odd-version', {}, { resourceVersion: 'latest' }));
    },
    'an update that changes nothing keeps the version': async (api) => {
      const made = await api.post(configMaps, configMap('same', { a: '1' }), only('metadata.resourceVersion'));
      await api.put(`${configMaps}/same`, configMap('same', { a: '1' }), only('metadata.resourceVersion'));
      await api.put(`${configMaps}/same`, changed(made, {}), only('metadata.resourceVersion'));
    },
    'an update of what does not exist is not found': async (api) => {
      await api.put(`${configMaps}/never`, configMap('never'));
      await api.put(`${paths.widgets}/never`, widget('never'));
    },
    'leases are created by an update': async (api) => {
      await api.put(`${paths.leases}/by-update`, { metadata: { name: 'by-update' }, spec: { holderIdentity: 'me' } });
    },
    'the name of the body must be that of the path': async (api) => {
      await api.given.post(configMaps, configMap('path-name'));
      await api.put(`${configMaps}/path-name`, configMap('body-name'));
      await api.put(`${configMaps}/path-name`, { data: { a: '1' } });
    },
    'the namespace of the body must be that of the path': async (api) => {
      await api.given.post(configMaps, configMap('path-namespace'));
      await api.put(`${configMaps}/path-namespace`, configMap('path-namespace', {}, { namespace: 'default' }));
    },
    'another uid is a conflict': async (api) => {
      const made = await api.given.post(configMaps, configMap('other-uid'));
      await api.put(`${configMaps}/other-uid`, withMetadata(made, { uid: '11111111-2222-3333-4444-555555555555' }));
    },
    'what the server decided stays': async (api) => {
      const made = await api.given.post(configMaps, configMap('decided'));
      const times = { creationTimestamp: '2001-01-01T00:00:00Z', selfLink: '/x', generateName: 'other-' };
      await api.put(`${configMaps}/decided`, withMetadata(made, times));
      await api.put(
        `${configMaps}/decided`,
        configMap('decided', { a: '1' }, { deletionTimestamp: '2001-01-01T00:00:00Z' }),
      );
    },
    'an invalid update is refused and changes nothing': async (api) => {
      await api.given.post(configMaps, configMap('kept', { a: '1' }));
      await api.put(`${configMaps}/kept`, configMap('kept', { 'a/b': '1' }));
      await api.put(`${configMaps}/kept`, configMap('kept', {}, { labels: { 'a b': 'c' } }));
      await api.get(`${configMaps}/kept`, only('data'));
    },
    'an update of another kind is refused': async (api) => {
      await api.given.post(configMaps, configMap('kind'));
      await api.put(`${configMaps}/kind`, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'kind' } });
    },
    'unknown fields of an update are warned of or refused': async (api) => {
      await api.given.post(configMaps, configMap('unknown'));
      await api.put(`${configMaps}/unknown`, { ...configMap('unknown'), extra: 1 });
      await api.put(`${configMaps}/unknown?fieldValidation=Strict`, { ...configMap('unknown'), extra: 1 });
    },
    'a dry run of an update keeps nothing': async (api) => {
      await api.given.post(configMaps, configMap('dry', { a: '1' }));
      await api.put(`${configMaps}/dry?dryRun=All`, configMap('dry', { a: '2' }), only('data'));
      await api.get(`${configMaps}/dry`, only('data'));
    },
    'an immutable config map keeps its data': async (api) => {
      await api.given.post(configMaps, { ...configMap('immutable', { a: '1' }), immutable: true });
      await api.put(`${configMaps}/immutable`, { ...configMap('immutable', { a: '2' }), immutable: true });
      await api.put(`${configMaps}/immutable`, configMap('immutable', { a: '1' }));
      await api.put(`${configMaps}/immutable`, {
        ...configMap('immutable', { a: '1' }, { labels: { x: 'y' } }),
        immutable: true,
      });
    },
    'the type of a secret is immutable': async (api) => {
      await api.given.post(paths.secrets, { metadata: { name: 'typed' }, stringData: { a: '1' } });
      await api.put(`${paths.secrets}/typed`, {
        metadata: { name: 'typed' },
        type: 'example.com/other',
        stringData: { a: '1' },
      });
    },
    'the spec of a volume claim is immutable': async (api) => {
      const spec = {
        accessModes: ['ReadWriteOnce'],
        storageClassName: 'none',
        resources: { requests: { storage: '1Gi' } },
      };
      await api.given.post(paths.claims, { metadata: { name: 'claim' }, spec });
      await api.patch(`${paths.claims}/claim`, 'merge', { spec: { accessModes: ['ReadWriteMany'] } });
    },
    'the role of a binding is immutable': async (api) => {
      const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'a' };
      await api.given.post(paths.roleBindings, { metadata: { name: 'bound' }, roleRef, subjects: [] });
      await api.put(`${paths.roleBindings}/bound`, {
        metadata: { name: 'bound' },
        roleRef: { ...roleRef, name: 'b' },
        subjects: [],
      });
    },
    'a finalizer cannot be added to what is being deleted': async (api) => {
      const hold = ['test.rungate.dev/hold'];
      await api.given.post(configMaps, configMap('leaving', {}, { finalizers: hold }));
      await api.given.remove(`${configMaps}/leaving`);
      await api.put(
        `${configMaps}/leaving`,
        configMap('leaving', {}, { finalizers: [...hold, 'test.rungate.dev/more'] }),
      );
      await api.put(
        `${configMaps}/leaving`,
        configMap('leaving', { still: 'possible' }, { finalizers: hold }),
        only('data'),
      );
      await api.put(`${configMaps}/leaving`, configMap('leaving'));
      await api.get(`${configMaps}/leaving`);
    },
    'the generation of a custom object counts changes of its spec': async (api) => {
      const counted = only('metadata.generation', 'spec', 'status');
      const made = await api.post(paths.widgets, { ...widget('counted'), status: { phase: 'Ignored' } }, counted);
      const resourceVersion = made.at('metadata.resourceVersion');
      await api.put(
        `${paths.widgets}/counted`,
        widget('counted', { size: 2 }, { resourceVersion, labels: { a: 'b' } }),
        counted,
      );
      await api.patch(`${paths.widgets}/counted`, 'merge', { metadata: { labels: { a: 'c' } } }, counted);
      await api.patch(`${paths.widgets}/counted`, 'merge', { metadata: { generation: 9 } }, counted);
    },
    'an update of a custom object needs its version': async (api) => {
      await api.given.post(paths.widgets, widget('needs-version'));
      await api.put(`${paths.widgets}/needs-version`, widget('needs-version', { size: 2 }));
    },
    'the status subresource changes nothing but the status': async (api) => {
      const made = await api.given.post(paths.widgets, widget('status'));
      const both = { spec: { size: 3 }, status: { phase: 'Ready' } };
      const shown = only('metadata.generation', 'metadata.labels', 'spec', 'status');
      const put = await api.put(
        `${paths.widgets}/status/status`,
        { ...withMetadata(made, { labels: { a: 'b' } }), ...both },
        shown,
      );
      await api.put(
        `${paths.widgets}/status`,
        { ...changed(put, {}), spec: { size: 4 }, status: { phase: 'Lost' } },
        shown,
      );
      await api.get(`${paths.widgets}/status/status`, shown);
    },
    'the status subresource conflicts as the object does': async (api) => {
      const made = await api.given.post(paths.widgets, widget('status-conflict'));
      await api.given.patch(`${paths.widgets}/status-conflict/status`, 'merge', { status: { seen: 1 } });
      await api.put(`${paths.widgets}/status-conflict/status`, changed(made, { status: { seen: 2 } }));
    },
    'the status of a custom object is validated': async (api) => {
      const made = await api.given.post(paths.widgets, widget('status-invalid'));
      await api.put(`${paths.widgets}/status-invalid/status`, changed(made, { status: { seen: 'often' } }));
    },
    'a status cannot be created or deleted': async (api) => {
      await api.given.post(paths.widgets, widget('status-verbs'));
      await api.post(`${paths.widgets}/status-verbs/status`, widget('status-verbs'));
      await api.remove(`${paths.widgets}/status-verbs/status`);
    },
    'the status of a pod is its own': async (api) => {
      await api.given.post(paths.pods, unschedulable('pod-status'));
      const shown = only('status.phase', 'status.message', 'spec.activeDeadlineSeconds');
      const both = { status: { message: 'from a test' }, spec: { activeDeadlineSeconds: 100 } };
      await api.patch(`${paths.pods}/pod-status/status`, 'merge', both, shown);
      await api.patch(`${paths.pods}/pod-status`, 'merge', { status: { message: 'ignored' } }, shown);
    },
  },
  {
    async before(api) {
      await api.given.post(paths.definitions, widgets);
      await api.until(paths.widgets, ({ status }) => status === 200);
    },
    async after(api) {
      await api.given.remove(`${paths.definitions}/widgets.GROUP`);
    },
  },
);
