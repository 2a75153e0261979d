/** The way of an object through the server: what is filled in, what is refused, what is left as it was. */
import assert from 'node:assert/strict';
import { type Api, createApi, resources } from '../../../test/support/api.ts';
import type { JsonObject, KubeObject, Resource } from '../object.ts';
import { conflictOnWrite, denyAdmission, loseAnswer, quotaFull } from './faults.ts';
import { insideRequest, type WriteRequest } from './verbs.ts';

const { configMaps, widgets, leases, namespaces } = resources;

const configMap = (name: string, more: JsonObject = {}): KubeObject =>
  ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'ci' }, ...more }) as KubeObject;
const widget = (name: string, more: JsonObject = {}): KubeObject =>
  ({ apiVersion: 'test.rungate.dev/v1', kind: 'Widget', metadata: { name, namespace: 'ci' }, ...more }) as KubeObject;

describe('the verbs', () => {
  let api: Api;
  const request = (resource: Resource, more: Partial<WriteRequest> = {}): WriteRequest => ({
    ...insideRequest(api.verbs.target(resource, 'ci'), 'tester'),
    ...more,
  });
  const refusal = (act: () => unknown) => {
    try {
      act();
    } catch (error) {
      return error as { code: number; reason: string; message: string };
    }
    assert.fail('nothing was refused');
  };

  beforeEach(() => {
    api = createApi();
  });

  it('create: the server decides what is its own to decide', () => {
    const given = configMap('a', {
      metadata: {
        name: 'a',
        namespace: 'ci',
        uid: 'mine',
        creationTimestamp: '2020-01-01T00:00:00Z',
        deletionTimestamp: '2020-01-01T00:00:00Z',
        labels: { x: 'y' },
      },
    });
    const { metadata } = api.verbs.create(request(configMaps), given);
    assert.notEqual(metadata.uid, 'mine');
    assert.equal(metadata.creationTimestamp, '2026-11-01T10:00:00Z');
    assert.equal(metadata.deletionTimestamp, undefined);
    assert.equal(metadata.resourceVersion, String(api.memory.resourceVersion));
    assert.deepEqual(
      metadata.managedFields?.map(({ manager, operation }) => [manager, operation]),
      [['tester', 'Update']],
    );
  });

  it('create: a name is made up of letters that spell nothing', () => {
    const given = configMap('', { metadata: { generateName: 'build-', namespace: 'ci' } });
    assert.match(
      api.verbs.create(request(configMaps), given).metadata.name,
      /^build-[bcdfghjklmnpqrstvwxz2456789]{5}$/,
    );
  });

  const created: readonly (readonly [string, JsonObject, number, RegExp])[] = [
    [
      'a name that is none',
      { metadata: { name: 'Bad_Name' } },
      422,
      /^ConfigMap "Bad_Name" is invalid: metadata.name: /,
    ],
    ['no name', { metadata: {} }, 422, /name or generateName is required/],
    ['another namespace', { metadata: { name: 'a', namespace: 'other' } }, 400, /does not match the namespace sent/],
    ['a resourceVersion', { metadata: { name: 'a', resourceVersion: '5' } }, 500, /should not be set on objects to be/],
    [
      'two controllers',
      { metadata: { name: 'a', ownerReferences: [owner('x'), owner('y')] } },
      422,
      /Only one reference/,
    ],
  ];
  for (const [what, more, code, message] of created) {
    it(`create: ${what} is refused with ${code}`, () => {
      const error = refusal(() => api.verbs.create(request(configMaps), configMap('a', more)));
      assert.equal(error.code, code);
      assert.match(error.message, message);
    });
  }

  it('create: a taken name, a namespace that is not there and one that ends are refused', () => {
    api.client.create(configMaps, configMap('a'));
    assert.equal(refusal(() => api.client.create(configMaps, configMap('a'))).message, 'configmaps "a" already exists');
    const lost = { ...configMap('a'), metadata: { name: 'a', namespace: 'none' } };
    assert.equal(refusal(() => api.client.create(configMaps, lost)).message, 'namespaces "none" not found');
    api.client.remove(namespaces, '', 'ci');
    assert.match(
      refusal(() => api.client.create(configMaps, configMap('b'))).message,
      /because it is being terminated$/,
    );
  });

  it('create: a dry run stores nothing and answers as if it had', () => {
    const dry = request(configMaps);
    const object = api.verbs.create({ ...dry, writer: { ...dry.writer, dryRun: true } }, configMap('a'));
    assert.equal(object.metadata.resourceVersion, undefined);
    assert.notEqual(object.metadata.uid, undefined);
    assert.equal(api.client.get(configMaps, 'ci', 'a'), undefined);
  });

  it('fields that nobody knows are refused, named or passed over', () => {
    const odd = () => widget('a', { spec: { size: 1, weight: 2 } });
    const warnings: string[] = [];
    const asked = (fieldValidation: 'Strict' | 'Warn' | 'Ignore') => {
      const { writer, ...rest } = request(widgets, { problems: ['duplicate field "spec.size"'] });
      return {
        ...rest,
        writer: { ...writer, fieldValidation, dryRun: true, warn: (text: string) => void warnings.push(text) },
      };
    };
    assert.equal(
      refusal(() => api.verbs.create(asked('Strict'), odd())).message,
      'Widget in version "v1" cannot be handled as a Widget: strict decoding error: ' +
        'duplicate field "spec.size", unknown field "spec.weight"',
    );
    assert.deepEqual(api.verbs.create(asked('Warn'), odd()).spec, { size: 1 });
    assert.deepEqual(warnings, ['duplicate field "spec.size"', 'unknown field "spec.weight"']);
    api.verbs.create(asked('Ignore'), odd());
    assert.equal(warnings.length, 2);
  });

  it('update: whoever has an old version is told so', () => {
    const first = api.client.create(configMaps, configMap('a'));
    api.client.update(configMaps, { ...first, data: { x: '1' } });
    const { code, message } = refusal(() => api.client.update(configMaps, { ...first, data: { x: '2' } }));
    assert.equal(code, 409);
    assert.match(message, /^Operation cannot be fulfilled on configmaps "a": the object has been modified/);
  });

  it('update: some kinds need a version, and some make what is not there', () => {
    api.client.create(widgets, widget('a'));
    assert.match(refusal(() => api.client.update(widgets, widget('a'))).message, /must be specified for an update$/);
    const lease = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: 'l', namespace: 'ci' },
      spec: {},
    };
    assert.equal(api.verbs.update(request(leases), 'l', lease as unknown as KubeObject).created, true);
    assert.equal(refusal(() => api.client.update(configMaps, configMap('none'))).code, 404);
  });

  it('update: what changes nothing is not written', async () => {
    const first = api.client.create(configMaps, configMap('a', { data: { x: '1' } }));
    await api.clock.turn(60_000);
    assert.equal(api.client.update(configMaps, { ...first }), first);
    assert.equal(api.client.patch(configMaps, 'ci', 'a', { data: { x: '1' } }), first);
  });

  it('update: uid and time of creation stay', () => {
    const first = api.client.create(configMaps, configMap('a'));
    const patch = (metadata: JsonObject) => api.client.patch(configMaps, 'ci', 'a', { metadata });
    assert.match(
      refusal(() => patch({ uid: 'other' })).message,
      /metadata.uid: Invalid value: "other": field is immutable$/,
    );
    assert.equal(patch({ creationTimestamp: null, generation: 7 }), first);
    assert.match(
      refusal(() => patch({ name: 'b' })).message,
      /^the name of the object \(b\) does not match the name on the/,
    );
  });

  it('a generation counts the changes of the spec alone', () => {
    const generation = () => api.client.get(widgets, 'ci', 'a')?.metadata.generation;
    api.client.create(widgets, widget('a', { spec: { size: 1 } }));
    assert.equal(generation(), 1);
    api.client.patch(widgets, 'ci', 'a', { metadata: { labels: { x: 'y' } } });
    assert.equal(generation(), 1);
    api.client.patch(widgets, 'ci', 'a', { spec: { size: 2 } });
    assert.equal(generation(), 2);
    api.client.patch(widgets, 'ci', 'a', { status: { phase: 'Ready' } }, { subresource: 'status' });
    assert.equal(generation(), 2);
  });

  it('a status is written through its subresource, and nothing else is', () => {
    api.client.create(widgets, widget('a', { spec: { size: 1 }, status: { phase: 'Forged' } }));
    assert.equal(api.client.get(widgets, 'ci', 'a')?.status, undefined);
    api.client.patch(widgets, 'ci', 'a', { status: { phase: 'Forged' }, spec: { size: 2 } });
    assert.equal(api.client.get(widgets, 'ci', 'a')?.status, undefined);
    const change = { status: { phase: 'Ready' }, spec: { size: 3 }, metadata: { labels: { x: 'y' } } };
    const { spec, status, metadata } = api.client.patch(widgets, 'ci', 'a', change, { subresource: 'status' });
    assert.deepEqual(
      { spec, status, labels: metadata.labels },
      { spec: { size: 2 }, status: { phase: 'Ready' }, labels: undefined },
    );
  });

  it('a status whose schema begins with something has that from the start, whatever was sent along', () => {
    const status = { type: 'object', default: { seen: -1 }, properties: { seen: { type: 'integer' } } };
    api.client.create(resources.definitions, {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'gauges.test.rungate.dev' },
      spec: {
        group: 'test.rungate.dev',
        scope: 'Namespaced',
        names: { plural: 'gauges', kind: 'Gauge' },
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            subresources: { status: {} },
            schema: { openAPIV3Schema: { type: 'object', properties: { status } } },
          },
        ],
      },
    });
    const gauges = { ...widgets, plural: 'gauges' };
    const gauge = { ...widget('a', { status: { seen: 7 } }), kind: 'Gauge' };
    assert.deepEqual(api.client.create(gauges, gauge).status, { seen: -1 });
    assert.deepEqual(api.client.get(gauges, 'ci', 'a')?.status, { seen: -1 });
  });

  it("stored objects are nobody else's: what was handed in can be changed, and shared parts stay", () => {
    const shared = { size: 1, weight: 2 } as JsonObject;
    const first = api.client.create(widgets, widget('a', { spec: shared }));
    shared.size = 5;
    assert.deepEqual(first.spec, { size: 1 });
    api.client.create(widgets, { ...widget('b'), spec: first.spec });
    assert.deepEqual(api.client.get(widgets, 'ci', 'a'), first);
  });

  it('an apply makes, owns and conflicts', () => {
    const apply = (manager: string, size: number, force = false) => {
      const patch = widget('a', { spec: { size } }) as JsonObject;
      return api.verbs.patch({ ...insideRequest(api.verbs.target(widgets, 'ci'), manager) }, 'a', {
        type: 'apply',
        patch,
        force,
      });
    };
    assert.equal(apply('one', 1).created, true);
    assert.equal(apply('one', 2).created, false);
    assert.match(
      refusal(() => apply('two', 3)).message,
      /^Apply failed with 1 conflict: conflict with "one": \.spec\.size$/,
    );
    assert.deepEqual(apply('two', 3, true).object.spec, { size: 3 });
  });
});

describe('faults', () => {
  const act = (api: Api, name = 'a') => api.client.create(configMaps, configMap(name));

  it('conflictOnWrite: the n-th write alone', () => {
    const api = createApi({ faults: [conflictOnWrite(2, { plural: 'configmaps' })] });
    act(api);
    assert.throws(() => act(api, 'b'), { code: 409, reason: 'Conflict' });
    act(api, 'b');
  });

  it('quotaFull and denyAdmission: in the words of the server', () => {
    const quota = createApi({ faults: [quotaFull('configmaps', 'ci')] });
    const why = 'exceeded quota: quota, requested: configmaps=1, used: configmaps=1, limited: configmaps=1';
    assert.throws(() => act(quota), { code: 403, message: `configmaps "a" is forbidden: ${why}` });
    const denied = createApi({
      faults: [denyAdmission('hook.test', 'not today', { verb: 'create', plural: 'configmaps' })],
    });
    assert.throws(() => act(denied), {
      code: 403,
      message: 'admission webhook "hook.test" denied the request: not today',
    });
  });

  it('loseAnswer: the write is there, and who asked is not told', () => {
    const api = createApi({ faults: [loseAnswer(1, { plural: 'configmaps' })] });
    let lost = 0;
    const request = insideRequest(api.verbs.target(configMaps, 'ci'), 'tester');
    api.verbs.create({ ...request, writer: { ...request.writer, lose: () => void lost++ } }, configMap('a'));
    assert.equal(lost, 1);
    assert.notEqual(api.client.get(configMaps, 'ci', 'a'), undefined);
  });
});

function owner(name: string): JsonObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', name, uid: name, controller: true };
}
