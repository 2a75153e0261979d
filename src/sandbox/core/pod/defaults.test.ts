import assert from 'node:assert/strict';
import { created, objectOf, podImage, podOf, testKind } from '../../../../test/support/core-kinds.ts';
import type { Json, JsonObject, KubeObject } from '../../object.ts';
import { objectIn, objectsIn } from '../reading.ts';
import { pullPolicyFor } from './defaults.ts';

const pods = testKind('Pod');

function specOf(object: KubeObject): JsonObject {
  return objectIn(object.spec);
}

describe('a new pod', () => {
  it('gets what the server fills in', () => {
    const { spec, status } = created(
      pods,
      podOf({ hostNetwork: false, nodeSelector: {}, volumes: [{ name: 'v' }] }, { command: [] }),
    );
    const { volumes, containers, ...rest } = objectIn(spec);
    assert.deepEqual(rest, {
      dnsPolicy: 'ClusterFirst',
      enableServiceLinks: true,
      preemptionPolicy: 'PreemptLowerPriority',
      priority: 0,
      restartPolicy: 'Always',
      schedulerName: 'default-scheduler',
      securityContext: {},
      serviceAccount: 'default',
      serviceAccountName: 'default',
      terminationGracePeriodSeconds: 30,
      tolerations: ['not-ready', 'unreachable'].map((what) => ({
        effect: 'NoExecute',
        key: `node.kubernetes.io/${what}`,
        operator: 'Exists',
        tolerationSeconds: 300,
      })),
    });
    const [own, token] = objectsIn(volumes);
    assert.deepEqual(own, { name: 'v', emptyDir: {} });
    assert.match(String(token?.name), /^kube-api-access-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
    assert.deepEqual(objectsIn(containers), [
      {
        name: 'x',
        image: podImage,
        imagePullPolicy: 'IfNotPresent',
        resources: {},
        terminationMessagePath: '/dev/termination-log',
        terminationMessagePolicy: 'File',
        volumeMounts: [
          { name: token?.name, mountPath: '/var/run/secrets/kubernetes.io/serviceaccount', readOnly: true },
        ],
      },
    ]);
    assert.deepEqual(status, { phase: 'Pending', qosClass: 'BestEffort' });
  });

  const fields: readonly { name: string; given: KubeObject; field: string; want: Json | undefined }[] = [
    {
      name: 'asks for what it may use',
      given: podOf({}, { resources: { limits: { cpu: '1000m' }, requests: { memory: '1024Mi' } } }),
      field: 'resources',
      want: { limits: { cpu: '1' }, requests: { cpu: '1', memory: '1Gi' } },
    },
    {
      name: 'gets defaults of probes',
      given: podOf({}, { livenessProbe: { httpGet: { port: 80 } } }),
      field: 'livenessProbe',
      want: {
        httpGet: { port: 80, path: '/', scheme: 'HTTP' },
        timeoutSeconds: 1,
        periodSeconds: 10,
        successThreshold: 1,
        failureThreshold: 3,
      },
    },
    {
      name: 'gets ports of the node on its network',
      given: podOf({ hostNetwork: true }, { ports: [{ containerPort: 80 }] }),
      field: 'ports',
      want: [{ containerPort: 80, hostPort: 80, protocol: 'TCP' }],
    },
    {
      name: 'says of which version a field is',
      given: podOf(
        {},
        {
          env: [
            { name: 'A', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
            { name: 'B', value: '' },
          ],
        },
      ),
      field: 'env',
      want: [{ name: 'A', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } } }, { name: 'B' }],
    },
    {
      name: 'loses what is switched off',
      given: podOf({}, { restartPolicy: 'Always', lifecycle: { stopSignal: 'SIGTERM' } }),
      field: 'lifecycle',
      want: undefined,
    },
  ];
  for (const { name, given, field, want } of fields) {
    it(name, () => assert.deepEqual(objectsIn(specOf(created(pods, given)).containers)[0]?.[field], want));
  }

  const tags: readonly { given: string; want: string }[] = [
    { given: 'busybox', want: 'Always' },
    { given: 'registry.test:5000/busybox', want: 'Always' },
    { given: 'busybox:latest', want: 'Always' },
    { given: 'busybox:1', want: 'IfNotPresent' },
    { given: `busybox@sha256:${'a'.repeat(64)}`, want: 'IfNotPresent' },
  ];
  for (const { given, want } of tags)
    it(`pulls ${given.slice(0, 30)} ${want}`, () => assert.equal(pullPolicyFor(given), want));

  const classes: readonly { name: string; given: KubeObject; want: string }[] = [
    { name: 'asks for nothing', given: podOf(), want: 'BestEffort' },
    { name: 'asks for some', given: podOf({}, { resources: { requests: { cpu: '1' } } }), want: 'Burstable' },
    {
      name: 'asks for all it may use',
      given: podOf({}, { resources: { limits: { cpu: 1, memory: '1Gi' } } }),
      want: 'Guaranteed',
    },
    {
      name: 'asks for less than it may use',
      given: podOf({}, { resources: { limits: { cpu: 1, memory: '1Gi' }, requests: { cpu: '1m' } } }),
      want: 'Burstable',
    },
    {
      name: 'asks for disk only',
      given: podOf({}, { resources: { limits: { 'ephemeral-storage': 1 } } }),
      want: 'BestEffort',
    },
    { name: 'asks as a whole', given: podOf({ resources: { limits: { cpu: 1, memory: 1 } } }), want: 'Guaranteed' },
  ];
  for (const { name, given, want } of classes) {
    it(`that ${name} is ${want}`, () => assert.equal(objectIn(created(pods, given).status).qosClass, want));
  }

  it('mounts no token when its account says so', () => {
    const kind = testKind('Pod', [
      objectOf('ServiceAccount', 'default', { automountServiceAccountToken: false, imagePullSecrets: [{ name: 's' }] }),
    ]);
    const spec = specOf(created(kind, podOf()));
    assert.equal(spec.volumes, undefined);
    assert.deepEqual(spec.imagePullSecrets, [{ name: 's' }]);
  });

  it('waits at its gates', () => {
    const status = objectIn(created(pods, podOf({ schedulingGates: [{ name: 'g' }] })).status);
    assert.equal(objectsIn(status.conditions)[0]?.reason, 'SchedulingGated');
  });

  const denied: readonly { given: JsonObject; want: string }[] = [
    {
      given: { serviceAccountName: 'nope' },
      want: 'pods "a" is forbidden: error looking up service account x/nope: serviceaccount "nope" not found',
    },
    { given: { priorityClassName: 'nope' }, want: 'pods "a" is forbidden: no PriorityClass with name nope was found' },
    {
      given: { priority: 5 },
      want: 'pods "a" is forbidden: the integer value of priority (5) must not be provided in pod spec; priority admission controller computed 0 from the given PriorityClass name',
    },
  ];
  for (const { given, want } of denied) {
    it(`is denied with ${JSON.stringify(given)}`, () =>
      assert.throws(() => created(pods, podOf(given)), { message: want }));
  }
});
