/** Creating objects. */
import type { Json } from '../../src/sandbox/object.ts';
import { contract } from './contract.ts';
import { configMap, paths } from './objects.ts';
import { valueAt } from './show.ts';

const { configMaps, secrets } = paths;

contract('create', {
  'a new object comes back with what the server decides': async (api) => {
    await api.post(
      configMaps,
      configMap('new', { colour: 'red' }, { labels: { app: 'a' }, annotations: { note: 'b' } }),
    );
  },
  'what only the server decides is ignored': async (api) => {
    const claimed = {
      uid: '11111111-2222-3333-4444-555555555555',
      generation: 7,
      creationTimestamp: '2001-01-01T00:00:00Z',
      deletionTimestamp: '2001-01-01T00:00:00Z',
      deletionGracePeriodSeconds: 5,
      selfLink: '/somewhere',
    };
    await api.post(configMaps, configMap('claims', {}, claimed));
  },
  'a resourceVersion must not be set': async (api) => {
    await api.post(configMaps, configMap('versioned', {}, { resourceVersion: '1' }));
  },
  'a name that is taken already exists': async (api) => {
    await api.given.post(configMaps, configMap('taken'));
    await api.post(configMaps, configMap('taken', { other: 'data' }));
  },
  'a taken name with its group is named so': async (api) => {
    const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'taken' } };
    await api.given.post(paths.leases, lease);
    await api.post(paths.leases, lease);
  },
  'generateName is completed with five characters': async (api) => {
    await api.post(configMaps, { metadata: { generateName: 'made-' } });
  },
  'a name goes before generateName': async (api) => {
    await api.post(configMaps, { metadata: { name: 'both', generateName: 'made-' } });
  },
  'a long generateName is cut to leave room': async (api) => {
    const long = `${'g'.repeat(252)}-`;
    await api.post(configMaps, { metadata: { generateName: long } }, lengthOfName);
  },
  'a name is needed': async (api) => {
    await api.post(configMaps, { metadata: {} });
    await api.post(configMaps, {});
  },
  'a name must be a DNS subdomain': async (api) => {
    for (const name of ['Upper', 'under_score', '-dash', 'dot.', 'a/b', '..', 'x'.repeat(254)]) {
      await api.post(configMaps, configMap(name));
    }
  },
  'a generateName must be one, too': async (api) => {
    await api.post(configMaps, { metadata: { generateName: 'Upper-' } });
  },
  'labels are checked': async (api) => {
    await api.post(configMaps, configMap('labels', {}, { labels: { 'a b': 'c' } }));
    await api.post(configMaps, configMap('labels', {}, { labels: { a: 'not valid!' } }));
    await api.post(configMaps, configMap('labels', {}, { labels: { 'x/y/z': 'c' } }));
    await api.post(configMaps, configMap('labels', {}, { labels: { a: 'x'.repeat(64) } }));
    await api.post(configMaps, configMap('labels', {}, { labels: { 'UPPER.io/a': 'c' } }));
  },
  'annotations are checked': async (api) => {
    await api.post(configMaps, configMap('annotations', {}, { annotations: { 'a b': 'c' } }));
    await api.post(configMaps, configMap('annotations', {}, { annotations: { a: 'x'.repeat(262_145) } }));
  },
  'finalizers are checked': async (api) => {
    await api.post(configMaps, configMap('finalizers', {}, { finalizers: ['unqualified'] }));
    await api.post(configMaps, configMap('finalizers', {}, { finalizers: ['a b/c'] }));
  },
  'owners are checked': async (api) => {
    const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: '' };
    await api.post(configMaps, configMap('owned', {}, { ownerReferences: [owner] }));
    await api.post(configMaps, configMap('owned', {}, { ownerReferences: [{ ...owner, uid: 'u', apiVersion: '' }] }));
    const controllers = ['a', 'b'].map((uid) => ({ ...owner, uid, controller: true }));
    await api.post(configMaps, configMap('owned', {}, { ownerReferences: controllers }));
  },
  'the namespace is filled in from the path': async (api) => {
    await api.post(configMaps, configMap('placed'));
  },
  'another namespace in the body is refused': async (api) => {
    await api.post(configMaps, configMap('misplaced', {}, { namespace: 'default' }));
  },
  'a namespace that does not exist is not found': async (api) => {
    await api.post('/api/v1/namespaces/absent-NS/configmaps', configMap('homeless'));
  },
  'a namespace with an impossible name is not found either': async (api) => {
    await api.post('/api/v1/namespaces/UPPER/configmaps', configMap('homeless'));
  },
  'unknown fields are dropped with a warning': async (api) => {
    const body = { ...configMap('unknown-default'), extra: 1, metadata: { name: 'unknown-default', colour: 'red' } };
    await api.post(configMaps, body);
  },
  'unknown fields are dropped in silence when the client says Ignore': async (api) => {
    await api.post(`${configMaps}?fieldValidation=Ignore`, { ...configMap('unknown-ignore'), extra: 1 });
  },
  'unknown fields are dropped with one warning each when the client says Warn': async (api) => {
    await api.post(`${configMaps}?fieldValidation=Warn`, { ...configMap('unknown-warn'), extra: 1, more: { deep: 1 } });
  },
  'unknown fields are refused when the client says Strict': async (api) => {
    await api.post(`${configMaps}?fieldValidation=Strict`, { ...configMap('unknown-strict'), extra: 1, more: 2 });
    await api.get(`${configMaps}/unknown-strict`);
  },
  'a field that stands twice is warned of': async (api) => {
    await api.post(configMaps, twice('twice-warn'), json);
  },
  'a field that stands twice is refused when the client says Strict': async (api) => {
    await api.post(`${configMaps}?fieldValidation=Strict`, twice('twice-strict'), json);
  },
  'field names mind their case': async (api) => {
    await api.post(`${configMaps}?fieldValidation=Strict`, { metadata: { name: 'case' }, Data: { a: 'b' } });
  },
  'a dry run answers as a create would, and keeps nothing': async (api) => {
    await api.post(`${configMaps}?dryRun=All`, configMap('dry'));
    await api.get(`${configMaps}/dry`);
  },
  'a dry run fails as a create would': async (api) => {
    await api.given.post(configMaps, configMap('dry-taken'));
    await api.post(`${configMaps}?dryRun=All`, configMap('dry-taken'));
    await api.post(`${configMaps}?dryRun=All`, configMap('Not valid'));
  },
  'keys of a config map are checked': async (api) => {
    await api.post(configMaps, configMap('keys', { 'a/b': 'c' }));
    await api.post(configMaps, configMap('keys', { '..': 'c' }));
    await api.post(configMaps, { ...configMap('keys', { same: 'c' }), binaryData: { same: 'YQ==' } });
  },
  'binary data must be base64': async (api) => {
    await api.post(configMaps, { metadata: { name: 'binary' }, binaryData: { a: 'not base64!' } });
  },
  'a config map has a limited size': async (api) => {
    await api.post(configMaps, configMap('size', { a: 'x'.repeat(1024 * 1024 + 1) }));
  },
  'stringData of a secret becomes data': async (api) => {
    const secret = { metadata: { name: 'strings' }, data: { a: 'b2xk', b: 'a2VwdA==' }, stringData: { a: 'new' } };
    await api.post(secrets, secret);
  },
  'a secret of a known type must have its keys': async (api) => {
    await api.post(secrets, { metadata: { name: 'basic' }, type: 'kubernetes.io/basic-auth', data: {} });
    await api.post(secrets, { metadata: { name: 'tls' }, type: 'kubernetes.io/tls', stringData: { 'tls.crt': 'x' } });
    await api.post(secrets, {
      metadata: { name: 'docker' },
      type: 'kubernetes.io/dockerconfigjson',
      stringData: { '.dockerconfigjson': 'x' },
    });
  },
  'a service account needs no more than a name': async (api) => {
    await api.post(paths.serviceAccounts, { metadata: { name: 'robot' } });
  },
  'an event is about an object in its own namespace': async (api) => {
    const event = {
      metadata: { name: 'event.1' },
      involvedObject: { kind: 'Pod', namespace: 'NS', name: 'p' },
      reason: 'Tested',
      message: 'a test',
      type: 'Normal',
    };
    await api.post(paths.events, event);
    await api.post(paths.events, {
      ...event,
      metadata: { name: 'event.2' },
      involvedObject: { kind: 'Pod', namespace: 'default', name: 'p' },
    });
  },
  'an event of the new kind is checked more strictly': async (api) => {
    await api.post('/apis/events.k8s.io/v1/namespaces/NS/events', {
      metadata: { name: 'event.3' },
      regarding: { kind: 'Pod', namespace: 'NS', name: 'p' },
      reason: 'Tested',
      type: 'Normal',
    });
  },
  'a lease is checked': async (api) => {
    await api.post(paths.leases, {
      metadata: { name: 'negative' },
      spec: { leaseDurationSeconds: -1, leaseTransitions: -1 },
    });
    await api.post(paths.leases, { metadata: { name: 'times' }, spec: { renewTime: 'yesterday' } });
    await api.post(paths.leases, {
      metadata: { name: 'held' },
      spec: { holderIdentity: 'me', leaseDurationSeconds: 15, renewTime: '2026-01-02T03:04:05.678901Z' },
    });
  },
  'a volume claim is defaulted and checked': async (api) => {
    const spec = {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'none',
      resources: { requests: { storage: '1Gi' } },
    };
    await api.post(paths.claims, { metadata: { name: 'claim' }, spec });
    await api.post(paths.claims, { metadata: { name: 'sizeless' }, spec: { accessModes: ['ReadWriteOnce'] } });
    await api.post(paths.claims, { metadata: { name: 'modeless' }, spec: { ...spec, accessModes: [] } });
    await api.post(paths.claims, {
      metadata: { name: 'odd' },
      spec: { ...spec, accessModes: ['Sometimes'], resources: { requests: { storage: '-1' } } },
    });
  },
});

const json = { headers: { 'Content-Type': 'application/json' } };
const twice = (name: string) =>
  `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"${name}","labels":{"a":"1","a":"2"}},"data":{"k":"1"},"data":{"k":"2"}}`;
const lengthOfName = { show: (body: Json) => String(valueAt(body, 'metadata.name')).length };
