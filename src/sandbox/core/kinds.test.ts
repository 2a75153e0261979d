import assert from 'node:assert/strict';
import { complaints, created, objectOf, testKind, testKinds } from '../../../test/support/core-kinds.ts';
import type { JsonObject, KubeObject } from '../object.ts';
import { objectIn } from './reading.ts';

interface Case {
  readonly name: string;
  readonly kind: string;
  readonly given: JsonObject;
  readonly metadata?: Partial<KubeObject['metadata']>;
  readonly want: readonly string[];
}

const big = 'x'.repeat(1024 * 1024 + 1);
const involvedObject = { kind: 'Pod', name: 'p', namespace: 'x' };

describe('core kinds', () => {
  it('are what discovery lists of them', () => {
    const listed = testKinds().map(
      ({ group, plural, namespaced }) => `${group}/${plural}${namespaced ? ' in namespaces' : ''}`,
    );
    assert.deepEqual(listed, [
      '/namespaces',
      '/configmaps in namespaces',
      '/secrets in namespaces',
      '/serviceaccounts in namespaces',
      '/pods in namespaces',
      '/events in namespaces',
      'events.k8s.io/events in namespaces',
      '/persistentvolumeclaims in namespaces',
      '/resourcequotas in namespaces',
      '/nodes',
      'coordination.k8s.io/leases in namespaces',
      'rbac.authorization.k8s.io/roles in namespaces',
      'rbac.authorization.k8s.io/clusterroles',
      'rbac.authorization.k8s.io/rolebindings in namespaces',
      'rbac.authorization.k8s.io/clusterrolebindings',
      'authorization.k8s.io/selfsubjectaccessreviews',
      'authorization.k8s.io/subjectaccessreviews',
      'authorization.k8s.io/localsubjectaccessreviews in namespaces',
      'authorization.k8s.io/selfsubjectrulesreviews',
      'authentication.k8s.io/selfsubjectreviews',
      'authentication.k8s.io/tokenreviews',
    ]);
  });

  const refused: readonly Case[] = [
    { name: 'a good one', kind: 'ConfigMap', given: { data: { 'a.b': '' }, binaryData: { c: 'YQ==' } }, want: [] },
    {
      name: 'keys',
      kind: 'ConfigMap',
      given: { data: { '..': 'x', a: 'x' }, binaryData: { a: 'YQ==' } },
      want: [
        `data[..]: Invalid value: "..": must not be '..'`,
        'data[a]: Invalid value: "a": duplicate of key present in binaryData',
      ],
    },
    {
      name: 'size',
      kind: 'ConfigMap',
      given: { data: { a: big } },
      want: ['[]: Too long: may not be more than 1048576 bytes'],
    },
    {
      name: 'size',
      kind: 'Secret',
      given: { stringData: { a: big } },
      want: ['data: Too long: may not be more than 1048576 bytes'],
    },
    {
      name: 'a certificate without its key',
      kind: 'Secret',
      given: { type: 'kubernetes.io/tls', data: { 'tls.crt': '' } },
      want: ['data[tls.key]: Required value'],
    },
    {
      name: 'nobody’s password',
      kind: 'Secret',
      given: { type: 'kubernetes.io/basic-auth' },
      want: ['data[username]: Required value', 'data[password]: Required value'],
    },
    {
      name: 'a token of nobody',
      kind: 'Secret',
      given: { type: 'kubernetes.io/service-account-token' },
      want: ['metadata.annotations[kubernetes.io/service-account.name]: Required value'],
    },
    {
      name: 'registries that are no object',
      kind: 'Secret',
      given: { type: 'kubernetes.io/dockerconfigjson', stringData: { '.dockerconfigjson': '[1]' } },
      want: [
        'data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": json: cannot unmarshal array into Go value of type map[string]interface {}',
      ],
    },
    {
      name: 'registries that are no JSON',
      kind: 'Secret',
      given: { type: 'kubernetes.io/dockercfg', stringData: { '.dockercfg': '' } },
      want: ['data[.dockercfg]: Invalid value: "<secret contents redacted>": unexpected end of JSON input'],
    },
    {
      name: 'a key',
      kind: 'Secret',
      given: { type: 'kubernetes.io/ssh-auth' },
      want: ['data[ssh-privatekey]: Required value'],
    },
    {
      name: 'finalizers',
      kind: 'Namespace',
      given: { spec: { finalizers: ['nobody', 'a.b/c'] } },
      want: [
        'spec.finalizers: Invalid value: "nobody": name is neither a standard finalizer name nor is it fully qualified',
      ],
    },
    {
      name: 'nothing asked for',
      kind: 'PersistentVolumeClaim',
      given: {},
      want: [
        'spec.accessModes: Required value: at least 1 access mode is required',
        'spec.resources[storage]: Required value',
      ],
    },
    {
      name: 'modes and size',
      kind: 'PersistentVolumeClaim',
      given: {
        spec: {
          accessModes: ['X', 'ReadWriteOncePod', 'ReadWriteOnce'],
          resources: { requests: { storage: 0 } },
          volumeMode: 'Tape',
        },
      },
      want: [
        'spec.accessModes: Unsupported value: "X": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"',
        'spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes',
        'spec.resources[storage]: Invalid value: "0": must be greater than zero',
        'spec.volumeMode: Unsupported value: "Tape": supported values: "Block", "Filesystem"',
      ],
    },
    {
      name: 'numbers',
      kind: 'Lease',
      given: { spec: { leaseDurationSeconds: 0, leaseTransitions: -1 } },
      want: [
        'spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0',
        'spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0',
      ],
    },
    { name: 'a good one', kind: 'Event', given: { involvedObject }, want: [] },
    {
      name: 'another namespace',
      kind: 'Event',
      given: { involvedObject: { ...involvedObject, namespace: 'y' } },
      want: ['involvedObject.namespace: Invalid value: "y": does not match event.namespace'],
    },
    {
      name: 'a node',
      kind: 'Event',
      given: { involvedObject: { kind: 'Node' } },
      metadata: { namespace: 'default' },
      want: [],
    },
    {
      name: 'the newer style, half',
      kind: 'Event',
      given: {
        involvedObject,
        eventTime: '2025-01-01T00:00:00.000000Z',
        reportingComponent: 'a',
        reason: 'r'.repeat(129),
      },
      want: [
        'reportingInstance: Required value',
        'action: Required value',
        'reason: Invalid value: "": can have at most 128 characters',
      ],
    },
    {
      name: 'rules',
      kind: 'Role',
      given: { rules: [{}, { verbs: ['get'], nonResourceURLs: ['/x'], resources: ['y'] }] },
      want: [
        'rules[0].verbs: Required value: verbs must contain at least one value',
        'rules[0].apiGroups: Required value: resource rules must supply at least one api group',
        'rules[0].resources: Required value: resource rules must supply at least one resource',
        'rules[1].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs',
        'rules[1].nonResourceURLs: Invalid value: ["/x"]: rules cannot apply to both regular resources and non-resource URLs',
      ],
    },
    {
      name: 'an aggregation of nothing',
      kind: 'ClusterRole',
      given: { aggregationRule: {} },
      want: [
        'aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil',
      ],
    },
    {
      name: 'what it names',
      kind: 'RoleBinding',
      given: {
        roleRef: { kind: 'Rule', name: 'a/b', apiGroup: 'x' },
        subjects: [
          { kind: 'X' },
          { kind: 'User', name: 'u', apiGroup: 'y' },
          { kind: 'ServiceAccount', name: 's', apiGroup: 'z' },
        ],
      },
      want: [
        'roleRef.apiGroup: Unsupported value: "x": supported values: "rbac.authorization.k8s.io"',
        'roleRef.kind: Unsupported value: "Rule": supported values: "Role", "ClusterRole"',
        `roleRef.name: Invalid value: "a/b": may not contain '/'`,
        'subjects[0].name: Required value',
        'subjects[0].kind: Unsupported value: "X": supported values: "ServiceAccount", "User", "Group"',
        'subjects[1].apiGroup: Unsupported value: "y": supported values: "rbac.authorization.k8s.io"',
        'subjects[2].apiGroup: Unsupported value: "z": supported values: ""',
      ],
    },
    {
      name: 'an account of no namespace',
      kind: 'ClusterRoleBinding',
      given: { roleRef: { kind: 'Role', name: '' }, subjects: [{ kind: 'ServiceAccount', name: 's' }] },
      want: [
        'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
        'roleRef.name: Required value',
        'subjects[0].namespace: Required value',
      ],
    },
  ];
  for (const { name, kind: kindName, given, metadata, want } of refused) {
    it(`${kindName}: ${name}`, () => {
      const kind = testKind(kindName);
      assert.deepEqual(complaints(kind, created(kind, objectOf(kindName, 'a', given, metadata))), want);
    });
  }

  const made: readonly { kind: string; given: JsonObject; want: JsonObject }[] = [
    { kind: 'ConfigMap', given: { data: {}, immutable: false }, want: { immutable: false } },
    {
      kind: 'Secret',
      given: { data: { a: 'YQ==' }, stringData: { a: 'b', c: '' } },
      want: { data: { a: 'Yg==', c: '' }, type: 'Opaque' },
    },
    { kind: 'ServiceAccount', given: { secrets: [{ name: 's', namespace: 'y' }] }, want: { secrets: [{ name: 's' }] } },
    {
      kind: 'Namespace',
      given: { status: { phase: 'Terminating' } },
      want: { spec: { finalizers: ['kubernetes'] }, status: { phase: 'Active' } },
    },
    {
      kind: 'PersistentVolumeClaim',
      given: { spec: { resources: { requests: { storage: '1024Mi' } }, dataSource: { kind: 'Other', name: 'o' } } },
      want: {
        spec: { resources: { requests: { storage: '1Gi' } }, volumeMode: 'Filesystem' },
        status: { phase: 'Pending' },
      },
    },
    {
      kind: 'Lease',
      given: { spec: { holderIdentity: '', strategy: 'OldestEmulationVersion' } },
      want: { spec: { holderIdentity: '' } },
    },
    {
      kind: 'Event',
      given: {},
      want: {
        eventTime: null,
        firstTimestamp: null,
        involvedObject: {},
        lastTimestamp: null,
        reportingComponent: '',
        reportingInstance: '',
        source: {},
      },
    },
    { kind: 'Role', given: {}, want: { rules: null } },
    {
      kind: 'RoleBinding',
      given: { roleRef: { kind: 'Role', name: 'r' }, subjects: [{ kind: 'User', name: 'u' }] },
      want: {
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'r' },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'u' }],
      },
    },
  ];
  for (const { kind: name, given, want } of made) {
    it(`${name} gets what the server fills in`, () => {
      const { apiVersion, kind, metadata, ...fields } = created(testKind(name), objectOf(name, 'a', given));
      assert.deepEqual(fields, want);
    });
  }

  it('a node can allot what it has', () => {
    const { status } = created(testKind('Node'), objectOf('Node', 'n', { status: { capacity: { cpu: '2000m' } } }));
    assert.deepEqual(objectIn(status).allocatable, { cpu: '2' });
  });

  it('a namespace is labelled with its name', () => {
    const { metadata } = created(testKind('Namespace'), objectOf('Namespace', 'a'));
    assert.deepEqual(metadata.labels, { 'kubernetes.io/metadata.name': 'a' });
  });

  it('a claim is protected from the start', () => {
    const { metadata } = created(testKind('PersistentVolumeClaim'), objectOf('PersistentVolumeClaim', 'a'));
    assert.deepEqual(metadata.finalizers, ['kubernetes.io/pvc-protection']);
  });
});
