import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { configMapKind } from '../core/configmap.ts';
import type { Json, JsonObject, KubeObject } from '../object.ts';
import { list, listAsSet, listByKey, map, object, text } from '../schema/node.ts';
import { StatusError } from '../status.ts';
import { serverSideApply } from './apply.ts';
import { recordUpdate } from './managed.ts';
import { applyMergePatch } from './merge.ts';
import type { OwnedKind } from './owners.ts';

const now = '2026-01-02T03:04:05Z';
const configMaps = configMapKind();

/** What somebody does, and what the real server (1.34) then shows. */
interface Step {
  readonly by: string;
  readonly creates?: JsonObject;
  readonly applies?: JsonObject;
  readonly merges?: JsonObject;
  readonly force?: boolean;
  /** `data` and what is asked for of metadata. */
  readonly gets?: JsonObject;
  /** FieldsV1 by manager and operation; `timeless` for an entry without a time. In the order of the entries. */
  readonly owners?: readonly (readonly [string, Json])[];
  readonly refused?: string;
}

const a = { 'f:data': { 'f:a': {} } };
const b = { 'f:data': { 'f:b': {} } };
const both = { 'f:data': { 'f:a': {}, 'f:b': {} } };
const created = { 'f:data': { '.': {}, 'f:a': {} } };

const lastApplied = (data: JsonObject): JsonObject => ({
  'kubectl.kubernetes.io/last-applied-configuration': `${JSON.stringify({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 's' },
    data,
  })}\n`,
});
const annotated = {
  'f:metadata': { 'f:annotations': { '.': {}, 'f:kubectl.kubernetes.io/last-applied-configuration': {} } },
};
const owner = (name: string, uid: string): JsonObject => ({ apiVersion: 'v1', kind: 'ConfigMap', name, uid });

const stories: readonly { readonly name: string; readonly steps: readonly Step[] }[] = [
  {
    name: 'two apply different fields',
    steps: [
      { by: 'one', applies: { data: { a: '1' } }, gets: { data: { a: '1' } }, owners: [['one Apply', a]] },
      {
        by: 'two',
        applies: { data: { b: '2' } },
        gets: { data: { a: '1', b: '2' } },
        owners: [
          ['one Apply', a],
          ['two Apply', b],
        ],
      },
    ],
  },
  {
    name: 'who applies what is there already owns it too, without a time',
    steps: [
      { by: 'one', applies: { data: { a: '1' } } },
      {
        by: 'two',
        applies: { data: { a: '1' } },
        owners: [
          ['two Apply timeless', a],
          ['one Apply', a],
        ],
      },
    ],
  },
  {
    name: 'what is left out stays while somebody else applies it, and goes with the last',
    steps: [
      { by: 'one', applies: { data: { a: '1', b: '2' } } },
      { by: 'two', applies: { data: { a: '1' } } },
      {
        by: 'one',
        applies: { data: { b: '2' } },
        gets: { data: { a: '1', b: '2' } },
        owners: [
          ['two Apply timeless', a],
          ['one Apply', b],
        ],
      },
      { by: 'two', applies: {}, gets: { data: { b: '2' } }, owners: [['one Apply', b]] },
    ],
  },
  {
    name: 'what is left out stays when somebody has updated it since',
    steps: [
      { by: 'one', applies: { data: { a: '1', b: '2' } } },
      {
        by: 'two',
        merges: { data: { a: '3' } },
        owners: [
          ['one Apply', b],
          ['two Update', a],
        ],
      },
      {
        by: 'one',
        applies: { data: { b: '2' } },
        gets: { data: { a: '3', b: '2' } },
        owners: [
          ['one Apply', b],
          ['two Update', a],
        ],
      },
    ],
  },
  {
    name: 'an update takes, and the applier is told',
    steps: [
      { by: 'one', applies: { data: { a: '1' } } },
      { by: 'two', merges: { data: { a: '2' } }, owners: [['two Update', a]] },
      {
        by: 'one',
        applies: { data: { a: '1' } },
        refused: 'Apply failed with 1 conflict: conflict with "two" using v1: .data.a',
      },
    ],
  },
  {
    name: 'several conflicts are told by who owns',
    steps: [
      { by: 'one', applies: { data: { a: '1', b: '1' } } },
      { by: 'two', merges: { data: { c: '1' } } },
      {
        by: 'three',
        applies: { data: { a: '2', b: '2', c: '2' } },
        refused:
          'Apply failed with 3 conflicts: conflicts with "one":\n- .data.a\n- .data.b\nconflicts with "two" using v1:\n- .data.c',
      },
    ],
  },
  {
    name: 'force takes',
    steps: [
      { by: 'one', applies: { data: { a: '1', b: '1' } } },
      {
        by: 'two',
        applies: { data: { a: '2' } },
        force: true,
        gets: { data: { a: '2', b: '1' } },
        owners: [
          ['one Apply', b],
          ['two Apply', a],
        ],
      },
    ],
  },
  {
    name: 'all is left out',
    steps: [
      { by: 'one', applies: { data: { a: '1' } } },
      { by: 'one', applies: {}, gets: {}, owners: [] },
    ],
  },
  {
    name: 'an empty map is owned itself',
    steps: [
      { by: 'one', applies: { data: { a: '1' } } },
      { by: 'one', applies: { data: {} }, gets: {}, owners: [['one Apply', { 'f:data': {} }]] },
    ],
  },
  {
    name: 'a creator owns the map as well as what is in it',
    steps: [
      { by: 'one', creates: { data: { a: '1' } }, owners: [['one Update', created]] },
      {
        by: 'two',
        applies: { data: { b: '1' } },
        owners: [
          ['two Apply', b],
          ['one Update', created],
        ],
      },
    ],
  },
  {
    name: 'an update that changes nothing owns nothing',
    steps: [
      { by: 'one', creates: { data: { a: '1' } } },
      { by: 'two', merges: { data: { a: '1' } }, owners: [['one Update', created]] },
    ],
  },
  {
    name: 'what is removed has no owner',
    steps: [
      { by: 'one', creates: { data: { a: '1' } } },
      { by: 'two', merges: { data: null }, gets: {}, owners: [] },
    ],
  },
  {
    name: 'whoever applies and updates is two owners',
    steps: [
      { by: 'one', applies: { data: { a: '1' } } },
      { by: 'one', merges: { data: { a: '2' } }, owners: [['one Update', a]] },
    ],
  },
  {
    name: 'finalizers are owned one by one',
    steps: [
      { by: 'one', applies: { metadata: { finalizers: ['a/a'] } } },
      {
        by: 'two',
        applies: { metadata: { finalizers: ['b/b', 'a/a'] } },
        gets: { finalizers: ['b/b', 'a/a'] },
        owners: [
          ['one Apply', { 'f:metadata': { 'f:finalizers': { 'v:"a/a"': {} } } }],
          ['two Apply', { 'f:metadata': { 'f:finalizers': { 'v:"a/a"': {}, 'v:"b/b"': {} } } }],
        ],
      },
      {
        by: 'one',
        applies: { metadata: { finalizers: ['c/c'] } },
        gets: { finalizers: ['b/b', 'a/a', 'c/c'] },
        owners: [
          ['one Apply', { 'f:metadata': { 'f:finalizers': { 'v:"c/c"': {} } } }],
          ['two Apply', { 'f:metadata': { 'f:finalizers': { 'v:"a/a"': {}, 'v:"b/b"': {} } } }],
        ],
      },
    ],
  },
  {
    name: 'owner references are told apart by uid',
    steps: [
      {
        by: 'one',
        applies: { metadata: { ownerReferences: [owner('x', '1')] } },
        owners: [['one Apply', { 'f:metadata': { 'f:ownerReferences': { 'k:{"uid":"1"}': {} } } }]],
      },
      {
        by: 'two',
        merges: { metadata: { ownerReferences: [owner('x', '1'), owner('y', '2')] } },
        owners: [
          ['one Apply', { 'f:metadata': { 'f:ownerReferences': { 'k:{"uid":"1"}': {} } } }],
          ['two Update', { 'f:metadata': { 'f:ownerReferences': { 'k:{"uid":"2"}': {} } } }],
        ],
      },
      { by: 'one', applies: {}, gets: { ownerReferences: [owner('y', '2')] } },
    ],
  },
  {
    name: 'a label that goes leaves the map to its owner',
    steps: [
      { by: 'one', creates: { metadata: { labels: { a: '1' } } } },
      {
        by: 'two',
        merges: { metadata: { labels: { a: null, c: '1' } } },
        gets: { labels: { c: '1' } },
        owners: [
          ['one Update', { 'f:metadata': { 'f:labels': {} } }],
          ['two Update', { 'f:metadata': { 'f:labels': { 'f:c': {} } } }],
        ],
      },
    ],
  },
  {
    name: 'an empty list of managedFields ends tracking until the next apply',
    steps: [
      { by: 'one', creates: { data: { a: '1' } } },
      { by: 'two', merges: { metadata: { managedFields: [] }, data: { b: '1' } }, owners: [] },
      { by: 'two', merges: { data: { c: '1' } }, owners: [] },
      {
        by: 'three',
        applies: { data: { d: '1' } },
        owners: [
          ['three Apply', { 'f:data': { 'f:d': {} } }],
          ['before-first-apply Update', { 'f:data': { '.': {}, 'f:a': {}, 'f:b': {}, 'f:c': {} } }],
        ],
      },
    ],
  },
  {
    name: 'an empty entry does the same',
    steps: [
      { by: 'one', creates: { data: { a: '1' } } },
      { by: 'two', merges: { metadata: { managedFields: [{}] } }, owners: [] },
    ],
  },
  {
    name: 'a client that knows no managedFields changes none',
    steps: [
      { by: 'one', creates: { data: { a: '1' } } },
      {
        by: 'two',
        merges: { metadata: { managedFields: null }, data: { b: '1' } },
        owners: [
          ['one Update', created],
          ['two Update', b],
        ],
      },
    ],
  },
  {
    name: 'a client may give ownership to another, in any order',
    steps: [
      { by: 'one', creates: { data: { a: '1' } } },
      {
        by: 'two',
        merges: {
          metadata: {
            managedFields: [
              {
                manager: 'x',
                operation: 'Update',
                apiVersion: 'v1',
                time: '2020-01-01T00:00:00Z',
                fieldsType: 'FieldsV1',
                fieldsV1: { 'f:data': { 'f:a': {}, '.': {} } },
              },
            ],
          },
        },
        owners: [['x Update', created]],
      },
    ],
  },
  {
    name: 'kubectl takes over what it applied at the client',
    steps: [
      {
        by: 'kubectl-client-side-apply',
        creates: { metadata: { annotations: lastApplied({ a: '1', b: '1' }) }, data: { a: '1', b: '1' } },
      },
      {
        by: 'kubectl',
        applies: { data: { a: '2', b: '1' } },
        gets: {
          data: { a: '2', b: '1' },
          annotations: {
            'kubectl.kubernetes.io/last-applied-configuration':
              '{"apiVersion":"v1","data":{"a":"2","b":"1"},"kind":"ConfigMap","metadata":{"name":"s","namespace":"n"}}\n',
          },
        },
        owners: [
          ['kubectl Apply', both],
          ['kubectl-client-side-apply Update', { 'f:data': { '.': {}, 'f:b': {} }, ...annotated }],
        ],
      },
    ],
  },
  {
    name: 'kubectl takes over no more than that',
    steps: [
      {
        by: 'kubectl-client-side-apply',
        creates: { metadata: { annotations: lastApplied({ a: '1' }) }, data: { a: '1', b: '1' } },
      },
      { by: 'other', merges: { data: { b: '5' } } },
      {
        by: 'kubectl',
        applies: { data: { a: '2', b: '1' } },
        refused: 'Apply failed with 1 conflict: conflict with "other" using v1: .data.b',
      },
    ],
  },
  {
    name: 'nobody is unknown',
    steps: [{ by: '', creates: { data: { a: '1' } }, owners: [['unknown Update', created]] }],
  },
];

describe('server-side apply', () => {
  for (const { name, steps } of stories) {
    it(name, () => {
      let live: KubeObject | undefined;
      for (const step of steps) {
        const done = attempt(() => perform(step, live));
        if (step.refused !== undefined) {
          assert.ok(done instanceof StatusError, `${step.by} was not refused`);
          assert.deepEqual([done.code, done.reason, done.message], [409, 'Conflict', step.refused]);
          continue;
        }
        if (done instanceof StatusError) throw done;
        live = done;
        if (step.gets !== undefined) assert.deepEqual(shown(live, Object.keys(step.gets)), step.gets);
        if (step.owners !== undefined) assert.equal(JSON.stringify(owners(live)), JSON.stringify(step.owners));
      }
    });
  }

  const refusals: readonly {
    readonly name: string;
    readonly applied: JsonObject;
    readonly code: number;
    readonly message: string;
  }[] = [
    {
      name: 'another kind',
      applied: { kind: 'Secret' },
      code: 400,
      message: 'invalid object type: /v1, Kind=Secret',
    },
    {
      name: 'a version that is no text',
      applied: { apiVersion: 5 },
      code: 400,
      message: 'invalid object type: /, Kind=ConfigMap',
    },
    {
      name: 'managedFields',
      applied: { metadata: { name: 's', managedFields: [] } },
      code: 400,
      message: 'metadata.managedFields must be nil',
    },
    {
      name: 'a uid where nothing is',
      applied: { metadata: { name: 's', uid: 'xx' } },
      code: 409,
      message:
        'Operation cannot be fulfilled on configmaps "s": uid mismatch: the provided object specified uid xx, and no existing object was found',
    },
    {
      name: 'a number for a text',
      applied: { data: { x: 1 } },
      code: 500,
      message: '.data.x: expected string, got &value.valueUnstructured{Value:1}',
    },
    {
      name: 'an object for a text',
      applied: { data: { x: { a: 1 } } },
      code: 500,
      message: '.data.x: expected string, got &value.valueUnstructured{Value:map[string]interface {}{"a":1}}',
    },
    {
      name: 'a list for a text',
      applied: { data: { x: ['a', 1] } },
      code: 500,
      message: '.data.x: expected string, got &value.valueUnstructured{Value:[]interface {}{"a", 1}}',
    },
    { name: 'a text for a map', applied: { data: 's' }, code: 500, message: '.data: expected map, got &{s}' },
    { name: 'a list for a map', applied: { data: [1] }, code: 500, message: '.data: expected map, got &{[1]}' },
    {
      name: 'a text for a boolean',
      applied: { immutable: 'x' },
      code: 500,
      message: '.immutable: expected boolean, got &{x}',
    },
    { name: 'an unknown field', applied: { foo: 'x' }, code: 500, message: '.foo: field not declared in schema' },
    {
      name: 'several mistakes',
      applied: { foo: 'x', data: { a: 1, b: 2 } },
      code: 500,
      message:
        'errors:\n  .data.a: expected string, got &value.valueUnstructured{Value:1}\n  .data.b: expected string, got &value.valueUnstructured{Value:2}\n  .foo: field not declared in schema',
    },
    {
      name: 'a finalizer twice',
      applied: { metadata: { name: 's', namespace: 'n', finalizers: ['a/b', 'a/b'] } },
      code: 500,
      message: '.metadata.finalizers: duplicate entries for key [="a/b"]',
    },
    {
      name: 'a null in a set',
      applied: { metadata: { name: 's', namespace: 'n', finalizers: [null] } },
      code: 500,
      message: ".metadata.finalizers: element 0: associative list without keys has an element that's an explicit null",
    },
  ];
  for (const { name, applied, code, message } of refusals) {
    it(`refuses ${name}`, () => {
      const done = attempt(() => perform({ by: 'one', applies: applied }, undefined));
      assert.ok(done instanceof StatusError);
      const about = code === 500 ? 'failed to create typed patch object (n/s; /v1, Kind=ConfigMap): ' : '';
      assert.deepEqual([done.code, done.message], [code, about + message]);
    });
  }

  it('says of every conflict which field it is about', () => {
    let live: KubeObject | undefined;
    for (const step of [
      { by: 'one', applies: { data: { a: '1' } } },
      { by: 'two', merges: { data: { b: '1' } } },
    ]) {
      live = perform(step, live);
    }
    const done = attempt(() => perform({ by: 'three', applies: { data: { a: '2', b: '2' } } }, live));
    assert.ok(done instanceof StatusError);
    assert.deepEqual(done.details, {
      causes: [
        { reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.data.a' },
        { reason: 'FieldManagerConflict', message: 'conflict with "two" using v1', field: '.data.b' },
      ],
    });
  });

  describe('of a kind that a definition brought', () => {
    const item = object({ name: text(), value: text() });
    const node = object({
      spec: object({
        items: listByKey(item, ['name']),
        set: listAsSet(text()),
        list: list(text()),
        whole: map(text(), { 'x-kubernetes-map-type': 'atomic' }),
        free: object({}, { 'x-kubernetes-preserve-unknown-fields': true }),
      }),
      status: object({ phase: text() }),
    });
    const things: OwnedKind = {
      group: 'example.com',
      kind: 'Thing',
      plural: 'things',
      custom: true,
      statusSubresource: true,
      versions: ['v1', 'v2'].map((version) => ({
        version,
        columns: [],
        schema: { node, applyDefaults() {}, prune: () => [], validate: () => [] },
      })),
      strategy: {},
    };
    const apply = (live: KubeObject | undefined, by: string, body: JsonObject, more = {}): KubeObject =>
      serverSideApply({
        live,
        applied: { apiVersion: 'example.com/v1', kind: 'Thing', metadata: { name: 't' }, ...body } as KubeObject,
        manager: by,
        force: false,
        kind: things,
        version: 'v1',
        subresource: '',
        now,
        ...more,
      });

    it('merges lists by key in the order of who applies, and leaves the others where they stood', () => {
      const first = apply(undefined, 'one', { spec: { items: [{ name: 'a' }, { name: 'b' }, { name: 'c' }] } });
      const second = apply(first, 'two', { spec: { items: [{ name: 'c', value: '3' }, { name: 'd' }] } });
      const items = (second.spec as JsonObject).items;
      assert.deepEqual(items, [{ name: 'a' }, { name: 'b' }, { name: 'c', value: '3' }, { name: 'd' }]);
    });

    it('leaves null where all goes that was in an object that is still applied', () => {
      const first = apply(undefined, 'one', { spec: { free: { a: 1 }, items: [{ name: 'a' }] } });
      assert.deepEqual(apply(first, 'one', { spec: { free: {}, items: [] } }).spec, { free: null });
    });

    it('replaces atomic lists and maps', () => {
      const first = apply(undefined, 'one', { spec: { list: ['a'], whole: { a: '1' }, free: { list: [1] } } });
      const body = { spec: { list: ['b'], whole: { b: '1' }, free: { list: [2] } } };
      const done = attempt(() => apply(first, 'two', body));
      assert.ok(done instanceof StatusError);
      const fields = done.details?.causes?.map(({ field }) => field);
      assert.deepEqual(fields, ['.spec.list', '.spec.whole', '.spec.free.list']);
      assert.deepEqual(apply(first, 'two', body, { force: true }).spec, body.spec);
    });

    it('gives nobody a status through the main resource, nor a spec through the status', () => {
      const first = apply(undefined, 'one', { spec: { set: ['a'] }, status: { phase: 'x' } });
      assert.deepEqual(owners(first), [['one Apply', { 'f:spec': { 'f:set': { 'v:"a"': {} } } }]]);
      const second = apply(first, 'one', { spec: { set: ['b'] }, status: { phase: 'y' } }, { subresource: 'status' });
      assert.deepEqual(second.metadata.managedFields?.[1], {
        manager: 'one',
        operation: 'Apply',
        apiVersion: 'example.com/v1',
        time: now,
        fieldsType: 'FieldsV1',
        fieldsV1: { 'f:status': { 'f:phase': {} } },
        subresource: 'status',
      });
      const done = attempt(() => apply(second, 'two', { status: { phase: 'z' } }, { subresource: 'status' }));
      assert.ok(done instanceof StatusError);
      assert.equal(
        done.message,
        'Apply failed with 1 conflict: conflict with "one" with subresource "status": .status.phase',
      );
    });

    it('knows an applier again in another version, and forgets owners of versions that are gone', () => {
      const first = apply(undefined, 'one', { spec: { set: ['a'] } });
      const inV2 = { ...first, apiVersion: 'example.com/v2' };
      const second = apply(inV2, 'one', { apiVersion: 'example.com/v2', spec: { set: ['b'] } }, { version: 'v2' });
      assert.deepEqual(second.spec, { set: ['b'] });
      assert.deepEqual(
        second.metadata.managedFields?.map(({ apiVersion }) => apiVersion),
        ['example.com/v2'],
      );
      const onlyV1 = { ...things, versions: things.versions.slice(0, 1) };
      const gone = apply(
        { ...second, apiVersion: 'example.com/v1' },
        'two',
        { spec: { set: ['c'] } },
        { kind: onlyV1 },
      );
      assert.deepEqual(
        gone.metadata.managedFields?.map(({ manager }) => manager),
        ['two'],
      );
    });

    const letter = fc.constantFrom('a', 'b', 'c', 'd');
    const spec = fc.record(
      {
        items: fc.uniqueArray(fc.record({ name: letter, value: letter }, { requiredKeys: ['name'] }), {
          selector: ({ name }) => name,
        }),
        set: fc.uniqueArray(letter),
        list: fc.array(letter),
        whole: fc.dictionary(letter, letter),
        free: fc.dictionary(letter, fc.jsonValue({ maxDepth: 2 })),
      },
      { requiredKeys: [] },
    );
    const plain = (value: unknown): JsonObject => JSON.parse(JSON.stringify(value));

    it('changes nothing when the same is applied twice', () => {
      fc.assert(
        fc.property(spec, spec, (first, second) => {
          const live = apply(apply(undefined, 'one', plain({ spec: first })), 'two', plain({ spec: second }), {
            force: true,
          });
          const body = plain({ spec: second });
          assert.deepEqual(apply(live, 'two', body, { now: '2030-01-01T00:00:00Z' }), live);
        }),
      );
    });

    it('leaves nothing of what only one has applied when that one applies nothing', () => {
      fc.assert(
        fc.property(spec, (first) => {
          fc.pre(first.set?.length !== 0 && first.items?.length !== 0); // these have no owner, as the next test says
          const live = apply(undefined, 'one', plain({ spec: first }));
          const { spec: left, metadata } = apply(live, 'one', {});
          assert.ok(left === undefined || left === null);
          assert.equal(metadata.managedFields, undefined);
        }),
      );
    });

    for (const empty of [{ set: [] }, { items: [] }]) {
      it(`leaves ${JSON.stringify(empty)}, which has no elements that anybody could own`, () => {
        const live = apply(undefined, 'one', { spec: empty });
        assert.equal(live.metadata.managedFields, undefined);
        assert.deepEqual(apply(live, 'two', {}).spec, empty);
      });
    }

    it('gives each field that was applied by force to nobody else', () => {
      fc.assert(
        fc.property(spec, spec, (first, second) => {
          const live = apply(apply(undefined, 'one', plain({ spec: first })), 'two', plain({ spec: second }), {
            force: true,
          });
          // Not a conflict: whoever has applied last, applies again without force.
          apply(live, 'two', plain({ spec: second }));
        }),
      );
    });
  });
});

function perform(step: Step, live: KubeObject | undefined): KubeObject {
  const { by, applies, creates, merges } = step;
  const body = applies ?? creates ?? {};
  const sent = { apiVersion: 'v1', kind: 'ConfigMap', ...body } as unknown as KubeObject;
  const metadata = { name: 's', namespace: 'n', ...(body.metadata as JsonObject | undefined) };
  let result: KubeObject;
  if (applies !== undefined) {
    result = serverSideApply({
      live,
      applied: { ...sent, metadata } as KubeObject,
      manager: by,
      force: step.force ?? false,
      kind: configMaps,
      version: 'v1',
      subresource: '',
      now,
    });
  } else {
    const after =
      merges === undefined || live === undefined
        ? ({ ...sent, metadata } as KubeObject)
        : (applyMergePatch(live as JsonObject, merges) as KubeObject);
    const managedFields = recordUpdate({ before: live, after, manager: by, kind: configMaps, subresource: '', now });
    result = { ...after, metadata: { ...after.metadata, managedFields } };
  }
  const object = structuredClone(result);
  object.metadata.uid = '1';
  configMaps.versions[0]?.schema.applyDefaults(object);
  return object;
}

function shown({ metadata, data }: KubeObject, fields: readonly string[]): JsonObject {
  const all: JsonObject = { data, ...(metadata as JsonObject) };
  const asked = fields.length === 0 ? ['data'] : fields;
  return Object.fromEntries(asked.flatMap((field) => (all[field] === undefined ? [] : [[field, all[field]]])));
}

function owners({ metadata }: KubeObject): [string, Json][] {
  return (metadata.managedFields ?? []).map(({ manager, operation, time, fieldsV1 }) => [
    `${manager} ${operation}${time === undefined ? ' timeless' : ''}`,
    fieldsV1,
  ]);
}

function attempt<T>(act: () => T): T | StatusError {
  try {
    return act();
  } catch (error) {
    if (error instanceof StatusError) return error;
    throw error;
  }
}
