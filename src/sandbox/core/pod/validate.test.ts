import assert from 'node:assert/strict';
import { complaints, created, podImage, podOf, testKind } from '../../../../test/support/core-kinds.ts';
import type { KubeObject } from '../../object.ts';

const pods = testKind('Pod');

describe('what can be wrong with a pod', () => {
  const container = 'spec.containers[0]';
  const cases: readonly { name: string; given: KubeObject; want: string[] }[] = [
    { name: 'nothing', given: podOf(), want: [] },
    { name: 'no containers', given: podOf({ containers: [] }), want: ['spec.containers: Required value'] },
    { name: 'no image', given: podOf({}, { image: '' }), want: [`${container}.image: Required value`] },
    {
      name: 'blanks around an image',
      given: podOf({}, { image: ' a' }),
      want: [`${container}.image: Invalid value: " a": must not have leading or trailing whitespace`],
    },
    {
      name: 'names taken twice',
      given: podOf({
        containers: ['a', 'a'].map((name) => ({ name, image: podImage })),
        initContainers: [{ name: 'a', image: podImage }],
      }),
      want: ['spec.containers[1].name: Duplicate value: "a"', 'spec.initContainers[0].name: Duplicate value: "a"'],
    },
    {
      name: 'choices nobody offers',
      given: podOf({ restartPolicy: 'Sometimes', dnsPolicy: 'X' }),
      want: [
        'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
        'spec.dnsPolicy: Unsupported value: "X": supported values: "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"',
      ],
    },
    {
      name: 'ports',
      given: podOf(
        {},
        {
          ports: [
            { containerPort: 0 },
            { containerPort: 70000 },
            { containerPort: 1, name: 'a' },
            { containerPort: 2, name: 'a', protocol: 'X' },
          ],
        },
      ),
      want: [
        `${container}.ports[0].containerPort: Required value`,
        `${container}.ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive`,
        `${container}.ports[3].name: Duplicate value: "a"`,
        `${container}.ports[3].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"`,
      ],
    },
    {
      name: 'ports of the node',
      given: podOf(
        {},
        {
          ports: [
            { containerPort: 1, hostPort: 80 },
            { containerPort: 2, hostPort: 80 },
          ],
        },
      ),
      want: [`${container}.ports[1].hostPort: Duplicate value: "TCP//80"`],
    },
    {
      name: 'variables',
      given: podOf(
        {},
        {
          env: [
            { name: '' },
            { name: 'a', valueFrom: {} },
            { name: 'b', value: 'x', valueFrom: { configMapKeyRef: { name: 'c', key: 'k' } } },
            { name: 'd', valueFrom: { fieldRef: { fieldPath: 'status.phase' } } },
            { name: 'e', valueFrom: { fieldRef: { fieldPath: 'metadata.nope' } } },
            { name: 'f', valueFrom: { resourceFieldRef: { resource: '' } } },
          ],
        },
      ),
      want: [
        `${container}.env[0].name: Required value`,
        `${container}.env[1].valueFrom: Invalid value: "": must specify one of: \`fieldRef\`, \`resourceFieldRef\`, \`configMapKeyRef\` or \`secretKeyRef\``,
        `${container}.env[2].valueFrom: Invalid value: "": may not be specified when \`value\` is not empty`,
        `${container}.env[3].valueFrom.fieldRef.fieldPath: Unsupported value: "status.phase": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"`,
        `${container}.env[4].valueFrom.fieldRef.fieldPath: Invalid value: "metadata.nope": error converting fieldPath: field label not supported: metadata.nope`,
        `${container}.env[5].valueFrom.resourceFieldRef.resource: Required value`,
      ],
    },
    {
      name: 'sources of variables',
      given: podOf({}, { envFrom: [{}, { configMapRef: { name: 'a' }, secretRef: { name: 'b' } }] }),
      want: [
        `${container}.envFrom: Invalid value: "": must specify one of: \`configMapRef\` or \`secretRef\``,
        `${container}.envFrom: Invalid value: "": may not have more than one field specified at a time`,
      ],
    },
    {
      name: 'mounts',
      given: podOf(
        { volumes: [{ name: 'v', emptyDir: {} }] },
        {
          volumeMounts: [
            { name: 'w', mountPath: '/a' },
            { name: 'v', mountPath: '/b', subPath: '/../c' },
            { name: 'v', mountPath: '/b', mountPropagation: 'Bidirectional' },
          ],
        },
      ),
      want: [
        `${container}.volumeMounts[0].name: Not found: "w"`,
        `${container}.volumeMounts.subPath: Invalid value: "/../c": must be a relative path`,
        `${container}.volumeMounts.subPath: Invalid value: "/../c": must not contain '..'`,
        `${container}.volumeMounts[2].mountPath: Invalid value: "/b": must be unique`,
        `${container}.volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers`,
      ],
    },
    {
      name: 'volumes',
      given: podOf({
        volumes: [
          { name: 'a', emptyDir: {}, hostPath: { path: '/x' } },
          { name: 'b', secret: {} },
          { name: 'c', configMap: { name: 'c', items: [{ key: '', path: '../x', mode: 9999 }] } },
          { name: 'd', hostPath: { path: '', type: 'X' } },
          { name: 'e', projected: { sources: [{ serviceAccountToken: { path: 't', expirationSeconds: 5 } }] } },
          { name: 'f', downwardAPI: { items: [{ path: 'x' }] } },
          { name: 'b', persistentVolumeClaim: {} },
        ],
      }),
      want: [
        'spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type',
        'spec.volumes[1].secret.secretName: Required value',
        'spec.volumes[2].configMap.items[0].key: Required value',
        `spec.volumes[2].configMap.items[0].path: Invalid value: "../x": must not contain '..'`,
        'spec.volumes[2].configMap.items[0].mode: Invalid value: 9999: must be a number between 0 and 0777 (octal), both inclusive',
        'spec.volumes[3].hostPath.path: Required value',
        'spec.volumes[4].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes',
        'spec.volumes[5].downwardAPI: Required value: one of fieldRef and resourceFieldRef is required',
        'spec.volumes[6].persistentVolumeClaim.claimName: Required value',
      ],
    },
    {
      name: 'resources',
      given: podOf(
        {},
        { resources: { limits: { cpu: '1', memory: '-1' }, requests: { cpu: '2', x: '1', 'a.b/c': '1' } } },
      ),
      want: [
        `${container}.resources.limits[memory]: Invalid value: "-1": must be greater than or equal to 0`,
        `${container}.resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1`,
        `${container}.resources.requests[memory]: Invalid value: "-1": must be greater than or equal to 0`,
        `${container}.resources.requests[x]: Invalid value: "x": must be a standard resource type or fully qualified`,
        `${container}.resources.requests[x]: Invalid value: "x": must be a standard resource for containers`,
        `${container}.resources.limits: Required value: Limit must be set for non overcommitable resources`,
      ],
    },
    {
      name: 'probes and hooks',
      given: podOf(
        {},
        {
          livenessProbe: {},
          readinessProbe: { exec: { command: [] }, httpGet: { port: 1 }, periodSeconds: -1 },
          startupProbe: { tcpSocket: { port: 'A' }, successThreshold: 2 },
          lifecycle: { preStop: { sleep: { seconds: 99 } } },
        },
      ),
      want: [
        `${container}.lifecycle.preStop.sleep: Invalid value: 99: must be non-negative and less than terminationGracePeriodSeconds (30)`,
        `${container}.livenessProbe: Required value: must specify a handler type`,
        `${container}.readinessProbe.exec.command: Required value`,
        `${container}.readinessProbe.httpGet: Forbidden: may not specify more than 1 handler type`,
        `${container}.readinessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0`,
        `${container}.startupProbe.tcpSocket.port: Invalid value: "A": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)`,
        `${container}.startupProbe.tcpSocket.port: Invalid value: "A": must contain at least one letter (a-z)`,
        `${container}.startupProbe.successThreshold: Invalid value: 2: must be 1`,
      ],
    },
    {
      name: 'a probe before the pod runs',
      given: podOf({ initContainers: [{ name: 'i', image: podImage, livenessProbe: { exec: { command: ['a'] } } }] }),
      want: [
        'spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always',
      ],
    },
    {
      name: 'tolerations',
      given: podOf({
        tolerations: [
          { operator: 'Equal' },
          { key: 'a', operator: 'Exists', value: 'x' },
          { key: 'b', tolerationSeconds: 1 },
          { key: 'c', effect: 'Z' },
        ],
      }),
      want: [
        'spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which means "match all values and all keys"',
        'spec.tolerations[1].operator: Invalid value: "x": value must be empty when `operator` is \'Exists\'',
        'spec.tolerations[2].effect: Invalid value: "": effect must be \'NoExecute\' when `tolerationSeconds` is set',
        'spec.tolerations[3].effect: Unsupported value: "Z": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
      ],
    },
    {
      name: 'confinement',
      given: podOf(
        { securityContext: { fsGroup: -1 } },
        { securityContext: { privileged: true, allowPrivilegeEscalation: false } },
      ),
      want: [
        `${container}.securityContext: Invalid value: {"Capabilities":null,"Privileged":true,"SELinuxOptions":null,"WindowsOptions":null,"RunAsUser":null,"RunAsGroup":null,"RunAsNonRoot":null,"ReadOnlyRootFilesystem":null,"AllowPrivilegeEscalation":false,"ProcMount":null,"SeccompProfile":null,"AppArmorProfile":null}: cannot set \`allowPrivilegeEscalation\` to false and \`privileged\` to true`,
        'spec.securityContext.fsGroup: Invalid value: -1: must be between 0 and 2147483647, inclusive',
      ],
    },
    {
      name: 'deadlines and gates',
      given: podOf({ activeDeadlineSeconds: 0, schedulingGates: [{ name: 'a' }, { name: 'a' }], nodeName: 'n' }),
      want: [
        'spec.schedulingGates[1]: Duplicate value: "a"',
        'spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive',
        'spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared',
      ],
    },
    {
      name: 'containers to look around in',
      given: podOf({ ephemeralContainers: [{ name: 'e', image: podImage, targetContainerName: 'nope' }] }),
      want: [
        'spec.ephemeralContainers[0].targetContainerName: Not found: "nope"',
        'spec.ephemeralContainers: Forbidden: cannot be set on create',
      ],
    },
    {
      name: 'names',
      given: podOf({
        dnsPolicy: 'None',
        hostAliases: [{ ip: 'x' }],
        os: { name: 'dos' },
        affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: {} } },
      }),
      want: [
        'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must have at least one node selector term',
        'spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None',
        'spec.os: Unsupported value: "dos": supported values: "linux", "windows"',
        'spec.hostAliases[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
      ],
    },
  ];
  for (const { name, given, want } of cases) {
    it(name, () => assert.deepEqual(complaints(pods, created(pods, given)), want));
  }
});
