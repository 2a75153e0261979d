/** What a pod is to be. https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#PodSpec */
import { flag, int32, int64, list, listByKey, map, text } from '../../schema/node.ts';
import { always, optional, quantity, struct } from '../typed.ts';
import {
  appArmorProfile,
  container,
  ephemeralContainer,
  resourceRequirements,
  seccompProfile,
  seLinuxOptions,
  windowsSecurityContextOptions,
} from './container.ts';
import { localObjectReference } from './meta.ts';
import { affinity, toleration, topologySpreadConstraint } from './scheduling.ts';
import { volume } from './volumes.ts';

const podDNSConfigOption = struct('PodDNSConfigOption', { name: text(), value: optional(text()) });

const podDNSConfig = struct('PodDNSConfig', {
  nameservers: list(text()),
  options: list(podDNSConfigOption),
  searches: list(text()),
});

const hostAlias = struct('HostAlias', { hostnames: list(text()), ip: always(text()) }, { required: ['ip'] });

const podOS = struct('PodOS', { name: always(text()) }, { required: ['name'] });

const podReadinessGate = struct('PodReadinessGate', { conditionType: always(text()) }, { required: ['conditionType'] });

const podResourceClaim = struct(
  'PodResourceClaim',
  { name: always(text()), resourceClaimName: optional(text()), resourceClaimTemplateName: optional(text()) },
  { required: ['name'] },
);

const podSchedulingGate = struct('PodSchedulingGate', { name: always(text()) }, { required: ['name'] });

const sysctl = struct('Sysctl', { name: always(text()), value: always(text()) }, { required: ['name', 'value'] });

const podSecurityContext = struct('PodSecurityContext', {
  appArmorProfile,
  fsGroup: optional(int64()),
  fsGroupChangePolicy: optional(text()),
  runAsGroup: optional(int64()),
  runAsNonRoot: optional(flag()),
  runAsUser: optional(int64()),
  seLinuxChangePolicy: optional(text()),
  seLinuxOptions,
  seccompProfile,
  supplementalGroups: list(int64()),
  supplementalGroupsPolicy: optional(text()),
  sysctls: list(sysctl),
  windowsOptions: windowsSecurityContextOptions,
});

/** `spec` of a pod. */
export const podSpec = struct(
  'PodSpec',
  {
    activeDeadlineSeconds: optional(int64()),
    affinity,
    automountServiceAccountToken: optional(flag()),
    containers: always(listByKey(container, ['name'])),
    dnsConfig: podDNSConfig,
    dnsPolicy: text(),
    enableServiceLinks: optional(flag()),
    ephemeralContainers: listByKey(ephemeralContainer, ['name']),
    hostAliases: listByKey(hostAlias, ['ip']),
    hostIPC: flag(),
    hostNetwork: flag(),
    hostPID: flag(),
    hostUsers: optional(flag()),
    hostname: text(),
    hostnameOverride: optional(text()),
    imagePullSecrets: listByKey(localObjectReference, ['name']),
    initContainers: listByKey(container, ['name']),
    nodeName: text(),
    nodeSelector: map(text(), { 'x-kubernetes-map-type': 'atomic' }),
    os: podOS,
    overhead: map(quantity()),
    preemptionPolicy: optional(text()),
    priority: optional(int32()),
    priorityClassName: text(),
    readinessGates: list(podReadinessGate),
    resourceClaims: listByKey(podResourceClaim, ['name'], { 'x-kubernetes-patch-strategy': 'merge,retainKeys' }),
    resources: resourceRequirements,
    restartPolicy: text(),
    runtimeClassName: optional(text()),
    schedulerName: text(),
    schedulingGates: listByKey(podSchedulingGate, ['name']),
    securityContext: podSecurityContext,
    serviceAccount: text(),
    serviceAccountName: text(),
    setHostnameAsFQDN: optional(flag()),
    shareProcessNamespace: optional(flag()),
    subdomain: text(),
    terminationGracePeriodSeconds: optional(int64()),
    tolerations: list(toleration),
    topologySpreadConstraints: listByKey(topologySpreadConstraint, ['topologyKey', 'whenUnsatisfiable']),
    volumes: listByKey(volume, ['name'], { 'x-kubernetes-patch-strategy': 'merge,retainKeys' }),
  },
  { required: ['containers'] },
);
