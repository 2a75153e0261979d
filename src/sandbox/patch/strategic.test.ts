import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { podKind } from '../core/pod/kind.ts';
import type { Json, JsonObject } from '../object.ts';
import type { SchemaNode } from '../schema/node.ts';
import { StatusError } from '../status.ts';
import { applyStrategicPatch } from './strategic.ts';

const node: SchemaNode =
  podKind({ log: undefined, reader: { get: () => undefined, list: () => [] } }).versions[0]?.schema.node ?? {};

const env = [
  { name: 'A', value: '1' },
  { name: 'B', value: '2' },
];
const pod: JsonObject = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', labels: { a: '1', b: '2' }, finalizers: ['a/a', 'b/b'] },
  spec: {
    containers: [
      { name: 'a', image: 'x' },
      { name: 'b', image: 'y', env },
    ],
    volumes: [{ name: 'v', emptyDir: {} }],
    tolerations: [{ key: 'a', operator: 'Exists' }],
  },
};
const withSpec = (spec: JsonObject): JsonObject => ({ ...pod, spec: { ...(pod.spec as JsonObject), ...spec } });
const withMetadata = (metadata: JsonObject): JsonObject => ({
  ...pod,
  metadata: { ...(pod.metadata as JsonObject), ...metadata },
});

/** What the real server (1.34) makes of these before it validates the pod. */
const changes: readonly { readonly name: string; readonly patch: Json; readonly want: JsonObject }[] = [
  { name: 'nothing', patch: {}, want: pod },
  { name: 'null', patch: null, want: pod },
  {
    name: 'an image, by the name of the container',
    patch: { spec: { containers: [{ name: 'b', image: 'z' }] } },
    want: withSpec({
      containers: [
        { name: 'a', image: 'x' },
        { name: 'b', image: 'z', env },
      ],
    }),
  },
  {
    name: 'a variable, by its name in the container by its name',
    patch: {
      spec: {
        containers: [
          {
            name: 'b',
            env: [
              { name: 'B', value: '3' },
              { name: 'C', value: '4' },
            ],
          },
        ],
      },
    },
    want: withSpec({
      containers: [
        { name: 'a', image: 'x' },
        {
          name: 'b',
          image: 'y',
          env: [
            { name: 'A', value: '1' },
            { name: 'B', value: '3' },
            { name: 'C', value: '4' },
          ],
        },
      ],
    }),
  },
  {
    name: 'an item deleted',
    patch: { spec: { containers: [{ name: 'a', $patch: 'delete' }] } },
    want: withSpec({ containers: [{ name: 'b', image: 'y', env }] }),
  },
  {
    name: 'a list replaced',
    patch: { spec: { containers: [{ $patch: 'replace' }, { name: 'c', image: 'z' }] } },
    want: withSpec({ containers: [{ name: 'c', image: 'z' }] }),
  },
  {
    name: 'a list in another order',
    patch: {
      spec: { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }], containers: [{ name: 'a', image: 'q' }] },
    },
    want: withSpec({
      containers: [
        { name: 'b', image: 'y', env },
        { name: 'a', image: 'q' },
      ],
    }),
  },
  {
    name: 'an item in the place of another',
    patch: {
      spec: {
        '$setElementOrder/containers': [{ name: 'c' }],
        containers: [
          { name: 'c', image: 'z' },
          { name: 'a', $patch: 'delete' },
        ],
      },
    },
    want: withSpec({
      containers: [
        { name: 'b', image: 'y', env },
        { name: 'c', image: 'z' },
      ],
    }),
  },
  {
    name: 'a list without a key',
    patch: { spec: { tolerations: [{ key: 'b', operator: 'Exists' }] } },
    want: withSpec({ tolerations: [{ key: 'b', operator: 'Exists' }] }),
  },
  {
    name: 'a list set to null',
    patch: { spec: { volumes: null } },
    want: {
      ...pod,
      spec: { containers: (pod.spec as JsonObject).containers, tolerations: (pod.spec as JsonObject).tolerations },
    },
  },
  {
    name: 'a volume of another type',
    patch: { spec: { volumes: [{ name: 'v', $retainKeys: ['name', 'secret'], secret: { secretName: 's' } }] } },
    want: withSpec({ volumes: [{ name: 'v', secret: { secretName: 's' } }] }),
  },
  {
    name: 'finalizers, those of the patch first',
    patch: { metadata: { finalizers: ['c/c', 'a/a'] } },
    want: withMetadata({ finalizers: ['c/c', 'a/a', 'b/b'] }),
  },
  {
    name: 'finalizers in an order',
    patch: { metadata: { '$setElementOrder/finalizers': ['c/c', 'b/b'], finalizers: ['c/c'] } },
    want: withMetadata({ finalizers: ['c/c', 'a/a', 'b/b'] }),
  },
  {
    name: 'a finalizer taken out',
    patch: {
      metadata: { '$deleteFromPrimitiveList/finalizers': ['a/a'], '$setElementOrder/finalizers': ['b/b'] },
    },
    want: withMetadata({ finalizers: ['b/b'] }),
  },
  { name: 'a label removed', patch: { metadata: { labels: { a: null } } }, want: withMetadata({ labels: { b: '2' } }) },
  {
    name: 'labels replaced',
    patch: { metadata: { labels: { $patch: 'replace', c: '3' } } },
    want: withMetadata({ labels: { c: '3' } }),
  },
  { name: 'labels deleted', patch: { metadata: { labels: { $patch: 'delete' } } }, want: withMetadata({ labels: {} }) },
  {
    name: 'labels retained',
    patch: { metadata: { labels: { $retainKeys: ['a', 'c'], c: '3' } } },
    want: withMetadata({ labels: { a: '1', c: '3' } }),
  },
  { name: 'another kind', patch: { kind: 'Secret', apiVersion: null }, want: pod },
  {
    name: 'all but the metadata left out',
    patch: { $retainKeys: ['metadata'] },
    want: { apiVersion: 'v1', kind: 'Pod', metadata: pod.metadata as JsonObject },
  },
  {
    name: 'nulls and directives where there is nothing to merge',
    patch: { metadata: { annotations: { x: null, y: 'z' } }, spec: { securityContext: { $patch: 'delete' } } },
    want: withMetadata({ annotations: { y: 'z' } }),
  },
];

const live = (spec: string): string =>
  `list element types are not identical: [[map[image:x name:a] map[env:[map[name:A value:1] map[name:B value:2]] image:y name:b]] ${spec}]`;
const refusals: readonly {
  readonly name: string;
  readonly patch: Json;
  readonly code: number;
  readonly message: string;
}[] = [
  {
    name: 'a list',
    patch: [1],
    code: 400,
    message: 'json: cannot unmarshal array into Go value of type map[string]interface {}',
  },
  {
    name: 'an unknown directive',
    patch: { metadata: { labels: { $patch: 'foo' } } },
    code: 500,
    message: 'unknown patch type: foo in map: map[$patch:foo]',
  },
  {
    name: 'merge, which is no directive',
    patch: { metadata: { labels: { $patch: 'merge', z: '1' } } },
    code: 500,
    message: 'unknown patch type: merge in map: map[$patch:merge z:1]',
  },
  {
    name: 'keys that are not retained',
    patch: { metadata: { labels: { $retainKeys: ['a'], c: '1' } } },
    code: 400,
    message: 'invalid patch format of retainKeys',
  },
  {
    name: 'retained keys that are no list',
    patch: { metadata: { labels: { $retainKeys: 'a', c: '1' } } },
    code: 400,
    message: 'invalid patch format of retainKeys',
  },
  {
    name: 'an order that is no list',
    patch: { metadata: { '$setElementOrder/finalizers': 'x' } },
    code: 500,
    message: 'expected a []interface {}, but received a string',
  },
  {
    name: 'an order of nothing',
    patch: { metadata: { $setElementOrder: ['a/a'] } },
    code: 400,
    message: 'invalid patch format of setElementOrder list',
  },
  {
    name: 'items in another order than said',
    patch: { metadata: { '$setElementOrder/finalizers': ['b/b', 'a/a'], finalizers: ['a/a', 'b/b'] } },
    code: 500,
    message: "The order in patch list:\n[a/a b/b]\n doesn't match $setElementOrder list:\n[b/b a/a]\n",
  },
  {
    name: 'deleting from nothing',
    patch: { metadata: { $deleteFromPrimitiveList: ['a/a'] } },
    code: 400,
    message: 'invalid patch format of primitive list',
  },
  {
    name: 'an item without its key',
    patch: { spec: { containers: [{ image: 'z' }] } },
    code: 500,
    message: 'map: map[image:z] does not contain declared merge key: name',
  },
  {
    name: 'a deletion without its key',
    patch: { spec: { containers: [{ $patch: 'delete' }] } },
    code: 500,
    message: 'map: map[$patch:delete] does not contain declared merge key: name',
  },
  {
    name: 'an unknown directive in a list',
    patch: { spec: { containers: [{ $patch: 'foo', name: 'a' }] } },
    code: 500,
    message: 'unknown patch type: foo in map: map[$patch:foo name:a]',
  },
  {
    name: 'merge in a list',
    patch: { spec: { containers: [{ $patch: 'merge', name: 'a' }] } },
    code: 500,
    message: 'merging lists cannot yet be specified in the patch',
  },
  { name: 'a text among objects', patch: { spec: { containers: ['z'] } }, code: 500, message: live('[z]') },
  { name: 'both', patch: { spec: { containers: [{ name: 'a' }, 'z'] } }, code: 500, message: live('[map[name:a] z]') },
  { name: 'a list among objects', patch: { spec: { containers: [['z']] } }, code: 500, message: live('[[z]]') },
];

const misfits: readonly (readonly [JsonObject, string])[] = [
  [{ metadata: { labels: { a: 1 } } }, 'cannot convert int64 to string'],
  [{ metadata: { labels: { a: true } } }, 'unrecognized type: string'],
  [{ metadata: { labels: 'x' } }, 'cannot restore map from string'],
  [{ metadata: { finalizers: { a: '1' } } }, 'cannot restore slice from map'],
  [{ spec: [] }, 'cannot restore struct from: slice'],
  [{ spec: { containers: 'x' } }, 'cannot restore slice from string'],
  [{ spec: { activeDeadlineSeconds: '5' } }, 'unrecognized type: int64'],
  [{ spec: { activeDeadlineSeconds: 1.5 } }, 'cannot convert float64 to int64'],
  [{ spec: { hostNetwork: 1 } }, 'unrecognized type: bool'],
];

describe('strategic merge patches', () => {
  for (const { name, patch, want } of changes) {
    it(name, () => {
      const before = JSON.stringify([pod, patch]);
      const once = applyStrategicPatch(pod, patch, node);
      assert.deepEqual(once, want);
      assert.equal(JSON.stringify([pod, patch]), before);
    });
  }

  for (const [patch, why] of misfits) {
    it(`refuses ${JSON.stringify(patch)}`, () => {
      assert.throws(
        () => applyStrategicPatch(pod, patch, node),
        (error) => {
          assert.ok(error instanceof StatusError);
          assert.equal(error.code, 422);
          assert.match(error.message, /^ "" is invalid: patch: Invalid value: "map\[(metadata|spec):/);
          assert.ok(error.message.endsWith(`": ${why}`), error.message);
          return true;
        },
      );
    });
  }

  for (const { name, patch, code, message } of refusals) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => applyStrategicPatch(pod, patch, node),
        (error) => {
          assert.ok(error instanceof StatusError);
          assert.deepEqual([error.code, error.message], [code, message]);
          return true;
        },
      );
    });
  }
});
