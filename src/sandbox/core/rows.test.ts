import assert from 'node:assert/strict';
import { cellsOf, objectOf, testKind } from '../../../test/support/core-kinds.ts';
import type { JsonObject } from '../object.ts';

const involvedObject = { kind: 'Pod', name: 'p', namespace: 'x' };

describe('what is seen of the core kinds', () => {
  const rows: readonly { kind: string; given: JsonObject; want: JsonObject }[] = [
    { kind: 'Namespace', given: { status: { phase: 'Active' } }, want: { Status: 'Active', Age: '5m' } },
    { kind: 'ConfigMap', given: { data: { a: '' }, binaryData: { b: '' } }, want: { Data: 2, Age: '5m' } },
    { kind: 'Secret', given: { data: { a: '' }, type: 't' }, want: { Type: 't', Data: 1, Age: '5m' } },
    { kind: 'ServiceAccount', given: { secrets: [{ name: 's' }] }, want: { Secrets: 1, Age: '5m' } },
    { kind: 'Lease', given: { spec: { holderIdentity: 'h' } }, want: { Holder: 'h', Age: '5m' } },
    { kind: 'Role', given: {}, want: {} },
    {
      kind: 'RoleBinding',
      given: {
        roleRef: { kind: 'Role', name: 'r' },
        subjects: [
          { kind: 'ServiceAccount', name: 's', namespace: 'y' },
          { kind: 'User', name: 'u' },
        ],
      },
      want: { Role: 'Role/r', Age: '5m', Users: 'u', Groups: '', ServiceAccounts: 'y/s' },
    },
    {
      kind: 'PersistentVolumeClaim',
      given: {
        spec: { volumeName: 'v', storageClassName: 'c' },
        status: { phase: 'Bound', capacity: { storage: '1Gi' }, accessModes: ['ReadWriteMany', 'ReadWriteOnce'] },
      },
      want: {
        Status: 'Bound',
        Volume: 'v',
        Capacity: '1Gi',
        'Access Modes': 'RWO,RWX',
        StorageClass: 'c',
        VolumeAttributesClass: '<unset>',
        Age: '5m',
        VolumeMode: '<unset>',
      },
    },
    {
      kind: 'Node',
      given: {
        spec: { unschedulable: true },
        status: {
          conditions: [{ type: 'Ready', status: 'True' }],
          addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
          nodeInfo: { kubeletVersion: 'v1' },
        },
      },
      want: {
        Status: 'Ready,SchedulingDisabled',
        Roles: '<none>',
        Age: '5m',
        Version: 'v1',
        'Internal-IP': '10.0.0.1',
        'External-IP': '<none>',
        'OS-Image': '<unknown>',
        'Kernel-Version': '<unknown>',
        'Container-Runtime': '<unknown>',
      },
    },
    {
      kind: 'Event',
      given: {
        involvedObject,
        type: 'Normal',
        reason: 'R',
        message: ' m\n',
        firstTimestamp: '2025-06-01T11:00:00Z',
        lastTimestamp: '2025-06-01T11:59:00Z',
        source: { component: 'c', host: 'h' },
      },
      want: {
        'Last Seen': '60s',
        Type: 'Normal',
        Reason: 'R',
        Object: 'pod/p',
        Subobject: '',
        Source: 'c, h',
        Message: 'm',
        'First Seen': '60m',
        Count: 1,
        Name: 'a',
      },
    },
  ];
  for (const { kind: name, given, want } of rows) {
    it(`the row of a ${name}`, () => assert.deepEqual(cellsOf(testKind(name), objectOf(name, 'a', given)), want));
  }

  it('events are found by what they are about', () => {
    const fields = testKind('Event').strategy.fields?.(
      objectOf('Event', 'e', { involvedObject, reason: 'R', source: { component: 'c' } }),
    );
    assert.equal(fields?.['involvedObject.name'], 'p');
    assert.equal(fields?.reason, 'R');
    assert.equal(fields?.source, 'c');
  });
});
