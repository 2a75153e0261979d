import assert from 'node:assert/strict';
import { complaints, created, podImage, podOf, testKind, updated } from '../../../../test/support/core-kinds.ts';
import type { JsonObject, KubeObject } from '../../object.ts';
import { objectIn, objectsIn } from '../reading.ts';

const pods = testKind('Pod');

function specOf(object: KubeObject): JsonObject {
  return objectIn(object.spec);
}

describe('what may become of a pod', () => {
  const old = created(pods, podOf({ activeDeadlineSeconds: 10 }));
  const fields =
    'spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';
  const first = objectsIn(specOf(old).containers)[0] ?? {};
  const cases: readonly { name: string; change: JsonObject; want: string[] }[] = [
    { name: 'another image', change: { containers: [{ ...first, image: 'b' }] }, want: [] },
    { name: 'another command', change: { containers: [{ ...first, command: ['b'] }] }, want: [fields] },
    {
      name: 'one container more',
      change: { containers: [first, { name: 'y', image: podImage }] },
      want: ['spec.containers: Forbidden: pod updates may not add or remove containers'],
    },
    { name: 'a host name', change: { hostname: 'b' }, want: [fields] },
    { name: 'an earlier deadline', change: { activeDeadlineSeconds: 9 }, want: [] },
    {
      name: 'a later deadline',
      change: { activeDeadlineSeconds: 11 },
      want: ['spec.activeDeadlineSeconds: Invalid value: 11: must be less than or equal to previous value'],
    },
    {
      name: 'no deadline',
      change: { activeDeadlineSeconds: null },
      want: ['spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value'],
    },
    { name: 'no tolerations, which come back', change: { tolerations: null }, want: [] },
    {
      name: 'one toleration more',
      change: { tolerations: [...objectsIn(specOf(old).tolerations), { key: 'a', operator: 'Exists' }] },
      want: [],
    },
    {
      name: 'a gate',
      change: { schedulingGates: [{ name: 'g' }] },
      want: ["spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'g'"],
    },
  ];
  for (const { name, change, want } of cases) {
    it(name, () => {
      const changed = updated(pods, { ...old, spec: { ...specOf(old), ...change } }, old);
      assert.deepEqual(complaints(pods, changed, old), want);
      const moves = pods.strategy.generationMoves?.(changed, old);
      if (want.length === 0) assert.equal(moves, !name.includes('come back'));
    });
  }

  it('the whole update says what differs', () => {
    const changed = updated(pods, { ...old, spec: { ...specOf(old), hostname: 'b' } }, old);
    const cause = pods.strategy.validate?.(changed, old, '')[0];
    assert.match(cause?.message ?? '', /\n@@ -.* @@\n[\s\S]*\n\+ "hostname": "b"/);
  });

  it('its status comes from elsewhere', () => {
    const changed = updated(pods, { ...old, status: { phase: 'Running' } }, old);
    assert.deepEqual(changed.status, old.status);
  });
});

describe('the status of a pod', () => {
  const old: KubeObject = {
    ...created(pods, podOf({ restartPolicy: 'Never' })),
    status: {
      phase: 'Running',
      qosClass: 'BestEffort',
      containerStatuses: [{ name: 'x', state: { terminated: { exitCode: 0 } } }],
    },
  };
  const cases: readonly { name: string; status: JsonObject; want: string[] }[] = [
    { name: 'stays as it is', status: objectIn(old.status), want: [] },
    { name: 'keeps its class', status: { phase: 'Running' }, want: [] },
    {
      name: 'gets no other class',
      status: { qosClass: 'Guaranteed' },
      want: ['status.qosClass: Invalid value: "Guaranteed": field is immutable'],
    },
    {
      name: 'does not run again what has ended',
      status: { containerStatuses: [{ name: 'x', state: { running: {} } }] },
      want: ['status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state'],
    },
  ];
  for (const { name, status, want } of cases) {
    it(name, () => {
      const changed = structuredClone({ ...old, status });
      pods.strategy.prepareForStatusUpdate?.(changed, old);
      assert.deepEqual(complaints(pods, changed, old, 'status'), want);
    });
  }

  it('has one address and a list of them', () => {
    const changed = structuredClone({ ...old, status: { podIP: '10.0.0.1' } });
    pods.versions[0]?.schema.applyDefaults(changed);
    assert.deepEqual(objectIn(changed.status).podIPs, [{ ip: '10.0.0.1' }]);
  });
});

describe('how long a pod may take to end', () => {
  const cases: readonly { name: string; spec: JsonObject; phase: string; want: number }[] = [
    { name: 'on no node', spec: {}, phase: 'Pending', want: 0 },
    { name: 'running', spec: { nodeName: 'n' }, phase: 'Running', want: 30 },
    { name: 'ended', spec: { nodeName: 'n' }, phase: 'Succeeded', want: 0 },
    {
      name: 'with a negative time',
      spec: { nodeName: 'n', terminationGracePeriodSeconds: -5 },
      phase: 'Running',
      want: 1,
    },
  ];
  for (const { name, spec, phase, want } of cases) {
    it(name, () =>
      assert.equal(pods.strategy.gracePeriodSeconds?.({ ...created(pods, podOf(spec)), status: { phase } }), want),
    );
  }
});
