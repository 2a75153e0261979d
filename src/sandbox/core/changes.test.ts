import assert from 'node:assert/strict';
import { complaints, created, objectOf, testKind, updated } from '../../../test/support/core-kinds.ts';
import type { JsonObject, KubeObject } from '../object.ts';
import { objectIn } from './reading.ts';

describe('what may become of the core kinds', () => {
  const frozen = 'field is immutable when `immutable` is set';
  const claim = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '2Gi' } } };
  const claimRule =
    'spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims';
  const changes: readonly {
    name: string;
    kind: string;
    old: JsonObject;
    change: JsonObject;
    want: readonly string[];
  }[] = [
    { name: 'its data while it may', kind: 'ConfigMap', old: { data: { a: 'b' } }, change: { data: {} }, want: [] },
    {
      name: 'what is frozen',
      kind: 'ConfigMap',
      old: { data: { a: 'b' }, immutable: true },
      change: { data: { a: 'c' }, binaryData: { d: 'YQ==' }, immutable: false },
      want: [`immutable: Forbidden: ${frozen}`, `data: Forbidden: ${frozen}`, `binaryData: Forbidden: ${frozen}`],
    },
    {
      name: 'what is frozen, by text',
      kind: 'Secret',
      old: { data: { a: 'YQ==' }, immutable: true },
      change: { stringData: { b: 'c' } },
      want: [`data: Forbidden: ${frozen}`],
    },
    {
      name: 'its type',
      kind: 'Secret',
      old: { type: 'a' },
      change: { type: 'b' },
      want: ['type: Invalid value: "b": field is immutable'],
    },
    {
      name: 'nothing by leaving out its type',
      kind: 'Secret',
      old: { type: 'Opaque' },
      change: { type: '' },
      want: [],
    },
    {
      name: 'its role',
      kind: 'RoleBinding',
      old: { roleRef: { kind: 'Role', name: 'r' } },
      change: { roleRef: { kind: 'Role', name: 's' } },
      want: [
        'roleRef: Invalid value: {"APIGroup":"rbac.authorization.k8s.io","Kind":"Role","Name":"s"}: cannot change roleRef',
      ],
    },
    {
      name: 'its modes',
      kind: 'PersistentVolumeClaim',
      old: { spec: claim },
      change: { spec: { ...claim, accessModes: ['ReadWriteMany'] } },
      want: [claimRule],
    },
    {
      name: 'its volume, once',
      kind: 'PersistentVolumeClaim',
      old: { spec: claim },
      change: { spec: { ...claim, volumeName: 'v' } },
      want: [],
    },
    {
      name: 'its volume, again',
      kind: 'PersistentVolumeClaim',
      old: { spec: { ...claim, volumeName: 'v' } },
      change: { spec: { ...claim, volumeName: 'w' } },
      want: [claimRule],
    },
    {
      name: 'its mode',
      kind: 'PersistentVolumeClaim',
      old: { spec: claim },
      change: { spec: { ...claim, volumeMode: 'Block' } },
      want: [claimRule, 'volumeMode: Invalid value: "Block": field is immutable'],
    },
  ];
  for (const { name, kind: kindName, old, change, want } of changes) {
    it(`${kindName} changes ${name}`, () => {
      const kind = testKind(kindName);
      const before = created(kind, objectOf(kindName, 'a', old));
      const after = updated(kind, { ...before, ...change }, before);
      assert.deepEqual(complaints(kind, after, before), want);
    });
  }

  it('a bound claim may grow, and shrink no further than its volume', () => {
    const kind = testKind('PersistentVolumeClaim');
    const bound = { phase: 'Bound', capacity: { storage: '2Gi' } };
    const old: KubeObject = {
      ...created(kind, objectOf('PersistentVolumeClaim', 'a', { spec: { ...claim, volumeName: 'v' } })),
      status: bound,
    };
    const sized = (storage: string) =>
      complaints(
        kind,
        updated(kind, { ...old, spec: { ...objectIn(old.spec), resources: { requests: { storage } } } }, old),
        old,
      );
    assert.deepEqual(sized('3Gi'), []);
    assert.deepEqual(sized('1Gi'), [
      'spec.resources.requests.storage: Forbidden: field can not be less than status.capacity',
    ]);
  });

  it('a namespace says how it is going', () => {
    const kind = testKind('Namespace');
    const object = objectOf('Namespace', 'a', { status: { phase: 'Terminating' } });
    assert.deepEqual(complaints(kind, object, object, 'status'), [
      'status.Phase: Invalid value: "Terminating": may only be \'Active\' if `deletionTimestamp` is empty',
    ]);
  });
});
