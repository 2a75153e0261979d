import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { Kind } from '../api/kind.ts';
import { configMapKind } from '../core/configmap.ts';
import { eventKind } from '../core/event.ts';
import { podKind } from '../core/pod/kind.ts';
import type { Json, JsonObject, KubeObject, ManagedFieldsEntry } from '../object.ts';
import { recordUpdate } from './managed.ts';

const at = (second: number): string => `2026-01-02T03:04:${String(second).padStart(2, '0')}Z`;

/** A create as the server takes it: decoded and defaulted. */
function created(kind: Kind, body: JsonObject): Json {
  const object = { apiVersion: 'v1', kind: kind.kind, ...structuredClone(body) } as unknown as KubeObject;
  kind.versions[0]?.schema.applyDefaults(object);
  const entries = recordUpdate({ before: undefined, after: object, manager: 'x', kind, subresource: '', now: at(0) });
  assert.deepEqual(
    entries.map(({ fieldsV1: _, ...entry }) => entry),
    [{ manager: 'x', operation: 'Update', apiVersion: 'v1', time: at(0), fieldsType: 'FieldsV1' }],
  );
  return entries[0]?.fieldsV1 ?? null;
}

describe('field owners after a create', () => {
  it('of a pod, as the real server (1.34) writes them', () => {
    const fields = created(podKind({ log: undefined, reader: { get: () => undefined, list: () => [] } }), {
      metadata: { name: 'p', finalizers: ['a/a', 'b/b'] },
      spec: {
        nodeName: 'nowhere',
        terminationGracePeriodSeconds: 0,
        containers: [
          { name: 'a', image: 'x' },
          {
            name: 'b',
            image: 'y',
            env: [
              { name: 'A', value: '1' },
              { name: 'B', value: '2' },
            ],
          },
        ],
        volumes: [{ name: 'v', emptyDir: {} }],
        tolerations: [{ key: 'a', operator: 'Exists' }],
      },
    });
    const container = {
      'f:image': {},
      'f:imagePullPolicy': {},
      'f:name': {},
      'f:resources': {},
      'f:terminationMessagePath': {},
      'f:terminationMessagePolicy': {},
    };
    const variable = { '.': {}, 'f:name': {}, 'f:value': {} };
    const want = {
      'f:metadata': { 'f:finalizers': { '.': {}, 'v:"a/a"': {}, 'v:"b/b"': {} } },
      'f:spec': {
        'f:containers': {
          'k:{"name":"a"}': { '.': {}, ...container },
          'k:{"name":"b"}': {
            '.': {},
            'f:env': { '.': {}, 'k:{"name":"A"}': variable, 'k:{"name":"B"}': variable },
            ...container,
          },
        },
        'f:dnsPolicy': {},
        'f:enableServiceLinks': {},
        'f:nodeName': {},
        'f:restartPolicy': {},
        'f:schedulerName': {},
        'f:securityContext': {},
        'f:terminationGracePeriodSeconds': {},
        'f:tolerations': {},
        'f:volumes': { '.': {}, 'k:{"name":"v"}': { '.': {}, 'f:emptyDir': {}, 'f:name': {} } },
      },
    };
    assert.equal(JSON.stringify(fields), JSON.stringify(want));
  });

  it('of an event, whose source is always there', () => {
    const fields = created(eventKind(), {
      metadata: { name: 'e', namespace: 'n' },
      involvedObject: { kind: 'Pod', name: 'p' },
      reason: 'r',
      source: { component: 'c' },
    });
    assert.deepEqual(fields, { 'f:involvedObject': {}, 'f:reason': {}, 'f:source': { 'f:component': {} } });
  });
});

describe('field owners after updates', () => {
  const kind = configMapKind();
  const object = (data: JsonObject, managedFields: ManagedFieldsEntry[] = []): KubeObject =>
    ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'c', uid: '1', managedFields },
      data,
    }) as unknown as KubeObject;
  const write = (before: KubeObject | undefined, data: JsonObject, manager: string, second: number): KubeObject => {
    const after = object(data, before?.metadata.managedFields ?? []);
    if (before === undefined) delete after.metadata.managedFields;
    const entries = recordUpdate({ before, after, manager, kind, subresource: '', now: at(second) });
    return object(data, entries);
  };
  const owners = ({ metadata }: KubeObject): (string | undefined)[][] =>
    (metadata.managedFields ?? []).map(({ manager, time, fieldsV1 }) => [
      manager,
      time,
      Object.keys(fieldsV1['f:data'] ?? {}).join(' '),
    ]);

  it('a writer that changes nothing keeps its time', () => {
    const first = write(undefined, { a: '1' }, 'one', 1);
    assert.deepEqual(owners(write(first, { a: '1' }, 'one', 2)), [['one', at(1), '. f:a']]);
  });

  it('a writer that loses a field keeps its time, and one that changes a field gets a new one', () => {
    const first = write(undefined, { a: '1', b: '1' }, 'one', 1);
    const second = write(first, { a: '1', b: '2' }, 'two', 2);
    assert.deepEqual(owners(second), [
      ['one', at(1), '. f:a'],
      ['two', at(2), 'f:b'],
    ]);
    assert.deepEqual(owners(write(second, { a: '1', b: '3' }, 'two', 3)), [
      ['one', at(1), '. f:a'],
      ['two', at(3), 'f:b'],
    ]);
  });

  it('entries stand in the order of their times, then their names', () => {
    let live = write(undefined, { a: '1' }, 'z', 5);
    live = write(live, { a: '1', b: '1' }, 'b', 7);
    live = write(live, { a: '1', b: '1', c: '1' }, 'a', 7);
    assert.deepEqual(
      owners(live).map(([manager]) => manager),
      ['z', 'a', 'b'],
    );
  });

  it('of more than ten the oldest become one', () => {
    let live = write(undefined, { k0: '0' }, 'm0', 0);
    const data: JsonObject = { k0: '0' };
    for (let place = 1; place <= 11; place++) {
      data[`k${place}`] = String(place);
      live = write(live, { ...data }, `m${place}`, place);
    }
    const found = owners(live);
    assert.equal(found.length, 10);
    assert.deepEqual(found[0], ['ancient-changes', at(2), '. f:k0 f:k1 f:k2']);
    assert.deepEqual(found[1], ['m3', at(3), 'f:k3']);
  });

  it('what a client sends that is no entry is not taken', () => {
    const first = write(undefined, { a: '1' }, 'one', 1);
    const bad: readonly Json[] = [
      [{ manager: 'x' }],
      [{ manager: 'x', operation: 'Sell', apiVersion: 'v1', fieldsType: 'FieldsV1', fieldsV1: {} }],
      [{ manager: 'x', operation: 'Update', apiVersion: 'v1', fieldsType: 'FieldsV2', fieldsV1: {} }],
      [{ manager: 'x', operation: 'Update', apiVersion: 'v1', fieldsType: 'FieldsV1', fieldsV1: { data: {} } }],
      [
        {
          manager: 'x',
          operation: 'Update',
          apiVersion: 'v1',
          fieldsType: 'FieldsV1',
          fieldsV1: { 'k:{': {}, 'k:{"': {} },
        },
      ],
    ];
    for (const managedFields of bad) {
      // A cast: the point is that these are not entries.
      const after = object({ a: '1' }, managedFields as unknown as ManagedFieldsEntry[]);
      const entries = recordUpdate({ before: first, after, manager: 'two', kind, subresource: '', now: at(2) });
      assert.deepEqual(entries, first.metadata.managedFields, JSON.stringify(managedFields));
    }
  });

  it('through a subresource a client cannot change them', () => {
    const first = write(undefined, { a: '1' }, 'one', 1);
    const after = object({ a: '1' }, []);
    const entries = recordUpdate({ before: first, after, manager: 'two', kind, subresource: 'status', now: at(2) });
    assert.deepEqual(entries, first.metadata.managedFields);
  });
});
