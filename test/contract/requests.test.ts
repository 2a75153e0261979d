/** What every request must be before the object in it is looked at. */
import type { Json } from '../../src/sandbox/object.ts';
import { contract } from './contract.ts';
import { configMap, paths } from './objects.ts';
import { nothing, sayingUpTo } from './show.ts';

const { configMaps } = paths;

contract('requests', {
  'a token that nobody has is refused': async (api) => {
    await api.get(configMaps, { token: 'not-a-token' });
  },
  'a token that nobody has is refused for paths that do not exist, too': async (api) => {
    await api.get('/nothing/here', { token: 'not-a-token' });
  },
  'who shows no credentials reads no objects': async (api) => {
    await api.get(configMaps, { token: '' });
  },
  'a path that nothing serves is not found': async (api) => {
    await api.get('/nothing/here');
  },
  'a resource that a group does not have is not found': async (api) => {
    await api.get('/api/v1/namespaces/NS/gizmos');
    await api.get('/api/v1/namespaces/NS/gizmos/x');
    await api.get('/apis/coordination.k8s.io/v1/namespaces/NS/gizmos');
    await api.get('/apis/nobody.test.rungate.dev/v1/namespaces/NS/gizmos');
  },
  'a subresource that a resource does not have is not found': async (api) => {
    await api.given.post(configMaps, configMap('no-subresource'));
    await api.get(`${configMaps}/no-subresource/status`);
    await api.get(`${configMaps}/no-subresource/anything`);
  },
  'an object of a namespace is not found without its namespace': async (api) => {
    await api.get('/api/v1/configmaps/no-namespace');
  },
  'a slash too many is not found': async (api) => {
    await api.given.post(configMaps, configMap('slash'));
    await api.get(`${configMaps}/`);
    await api.get(`${configMaps}/slash/`);
  },
  'a named object cannot be posted to': async (api) => {
    await api.post(`${configMaps}/named`, configMap('named'));
  },
  'a collection cannot be replaced': async (api) => {
    await api.put(configMaps, configMap('named'));
  },
  'a collection cannot be patched': async (api) => {
    await api.patch(configMaps, 'merge', { data: {} });
  },
  'objects of a namespace cannot be created across namespaces': async (api) => {
    await api.post('/api/v1/configmaps', configMap('across'));
  },
  'a review cannot be listed': async (api) => {
    await api.get('/apis/authorization.k8s.io/v1/selfsubjectaccessreviews');
  },
  'HEAD is not a verb': async (api) => {
    await api.ask('HEAD', `${configMaps}/any`);
  },
  'a format that the server cannot write is not acceptable': async (api) => {
    await api.get(configMaps, { headers: { Accept: 'application/xml' } });
    await api.get(configMaps, { headers: { Accept: 'text/html' } });
  },
  'any format is JSON': async (api) => {
    await api.given.post(configMaps, configMap('any-format'));
    await api.get(`${configMaps}/any-format`, { headers: { Accept: '*/*' } });
    await api.get(`${configMaps}/any-format`, { headers: { Accept: 'text/html, application/*' } });
  },
  'who takes protobuf or JSON gets protobuf': async (api) => {
    await api.given.post(configMaps, configMap('protobuf'));
    const headers = { Accept: 'application/vnd.kubernetes.protobuf,application/json' };
    await api.get(`${configMaps}/protobuf`, { headers, ...nothing });
  },
  'an object can be had as YAML': async (api) => {
    await api.given.post(configMaps, configMap('as-yaml', { colour: 'red' }, { annotations: { note: 'two words' } }));
    await api.get(`${configMaps}/as-yaml`, { headers: { Accept: 'application/yaml' }, show: withoutManagedFields });
  },
  'a long answer is compressed for who takes that, a short one is not': async (api) => {
    await api.given.post(configMaps, configMap('long', { text: 'x'.repeat(200_000) }));
    await api.given.post(configMaps, configMap('brief'));
    const headers = { 'Accept-Encoding': 'gzip' };
    await api.get(`${configMaps}/long`, { headers, ...nothing });
    await api.get(`${configMaps}/brief`, { headers, ...nothing });
    await api.get(`${configMaps}/long`, nothing);
  },
  'an error can be had as YAML': async (api) => {
    await api.get(`${configMaps}/absent`, { headers: { Accept: 'application/yaml' } });
  },
  'a body that claims to be text is an unsupported media type': async (api) => {
    await api.post(configMaps, JSON.stringify(configMap('text')), { headers: { 'Content-Type': 'text/plain' } });
  },
  'a body that claims to be a form is an unsupported media type': async (api) => {
    const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
    await api.post(configMaps, 'name=form', { headers });
  },
  'a body without a type is JSON': async (api) => {
    await api.post(configMaps, JSON.stringify(configMap('untyped')));
  },
  'the character set may be named': async (api) => {
    const headers = { 'Content-Type': 'application/json; charset=utf-8' };
    await api.post(configMaps, configMap('charset', { word: 'grün' }), { headers });
  },
  'a body may be YAML': async (api) => {
    const yaml =
      'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: from-yaml\ndata:\n  colour: red\n  lines: |\n    one\n    two\n';
    await api.post(configMaps, yaml, { headers: { 'Content-Type': 'application/yaml' } });
  },
  'YAML that is none is refused': async (api) => {
    const headers = { 'Content-Type': 'application/yaml' };
    await api.post(configMaps, 'apiVersion: v1\nkind: [ConfigMap\n', { headers, ...sayingUpTo('yaml:') });
  },
  'JSON that ends early is refused': async (api) => {
    await api.post(configMaps, '{"apiVersion":"v1","kind":"ConfigMap"', json);
  },
  'JSON that is none is refused': async (api) => {
    await api.post(configMaps, 'not json', json);
    await api.post(configMaps, '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a",}}', json);
  },
  'a body that is a list is refused': async (api) => {
    await api.post(configMaps, '[]', json);
  },
  'an empty body is refused': async (api) => {
    await api.post(configMaps, '', json);
  },
  'a body without kind and version is taken for what the path says': async (api) => {
    await api.post(configMaps, { metadata: { name: 'kindless' } });
  },
  'a body of another kind is refused': async (api) => {
    await api.post(configMaps, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'other-kind' } });
  },
  'a body of another group is refused': async (api) => {
    await api.post(configMaps, {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: 'other-group' },
    });
  },
  'a body of a kind that nobody knows is refused': async (api) => {
    await api.post(configMaps, { apiVersion: 'v1', kind: 'Gizmo', metadata: { name: 'unknown-kind' } });
  },
  'a body of the wrong version is refused': async (api) => {
    await api.post(configMaps, { apiVersion: 'v9', kind: 'ConfigMap', metadata: { name: 'other-version' } });
  },
  'a field of the wrong type is refused': async (api) => {
    await api.post(configMaps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'types' },
      data: { count: 1 },
    });
    await api.post(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'types' }, data: 'text' });
    await api.post(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 7 } });
    await api.post(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'types', labels: ['a'] } });
  },
  'a body above the limit is refused': async (api) => {
    await api.post(configMaps, configMap('large', { text: 'x'.repeat(3 * 1024 * 1024) }));
  },
  'an option that cannot be read is refused': async (api) => {
    await api.get(`${configMaps}?limit=many`);
    await api.get(`${configMaps}?timeoutSeconds=soon`);
  },
  'an option that does not exist is ignored': async (api) => {
    await api.get(`${configMaps}?labelSelector=absent%3Dyes&colour=red`);
  },
  'dryRun knows only All': async (api) => {
    await api.post(`${configMaps}?dryRun=Some`, configMap('dry'));
    await api.post(`${configMaps}?dryRun=`, configMap('dry-empty'));
  },
  'fieldValidation knows three words': async (api) => {
    await api.post(`${configMaps}?fieldValidation=Maybe`, configMap('validated'));
  },
  'a fieldManager has a limited length and printable characters': async (api) => {
    await api.post(`${configMaps}?fieldManager=${'m'.repeat(129)}`, configMap('managed'));
    await api.post(`${configMaps}?fieldManager=a%0Ab`, configMap('managed'));
  },
});

const json = { headers: { 'Content-Type': 'application/json' } };

/** YAML that was not parsed, so fields go by lines. */
function withoutManagedFields(body: Json): Json {
  return String(body)
    .replace(/^ {2}managedFields:\n(?: {2}[- ].*\n)*?(?= {2}\w)/m, '')
    .split('\n');
}
