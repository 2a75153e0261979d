/** What the server fills into a pod as it is read, beside the defaults of its schema. */
import type { JsonObject, KubeObject } from '../../object.ts';
import { isObject, objectIn, objectsIn, textIn } from '../reading.ts';

/**
 * Fills in, in place, what depends on more than one field.
 * https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
 */
export function fillInPod(pod: KubeObject): void {
  const spec = objectIn(pod.spec);
  spec.enableServiceLinks ??= true;
  spec.restartPolicy ??= 'Always';
  spec.dnsPolicy ??= 'ClusterFirst';
  spec.schedulerName ??= 'default-scheduler';
  spec.terminationGracePeriodSeconds ??= 30;
  if (!isObject(spec.securityContext)) spec.securityContext = {};
  nameAccount(spec);
  for (const volume of objectsIn(spec.volumes)) fillInVolume(volume);
  for (const container of containersOf(spec)) fillInContainer(container, spec.hostNetwork === true);
  fillInRequests(spec);
  mirrorAddress(objectIn(pod.status));
}

/** All containers of a pod: those that run first, those that run, and those that were added to look around. */
export function containersOf(spec: JsonObject): JsonObject[] {
  return [spec.initContainers, spec.containers, spec.ephemeralContainers].flatMap(objectsIn);
}

/** `Always` where the image's tag can move: none, or `latest`. */
export function pullPolicyFor(image: string): string {
  const name = image.slice(image.lastIndexOf('/') + 1);
  if (name.includes('@')) return 'IfNotPresent';
  const colon = name.indexOf(':');
  return colon < 0 || name.slice(colon + 1) === 'latest' ? 'Always' : 'IfNotPresent';
}

/** `serviceAccount` is the old name of `serviceAccountName`, and follows it. */
export function nameAccount(spec: JsonObject): void {
  const name = textIn(spec.serviceAccountName) || textIn(spec.serviceAccount);
  if (name === '') return;
  spec.serviceAccountName = name;
  spec.serviceAccount = name;
}

function fillInContainer(container: JsonObject, onHostNetwork: boolean): void {
  container.imagePullPolicy ??= pullPolicyFor(textIn(container.image));
  container.terminationMessagePath ??= '/dev/termination-log';
  container.terminationMessagePolicy ??= 'File';
  for (const variable of objectsIn(container.env)) fillInFieldRef(objectIn(variable.valueFrom));
  for (const name of ['livenessProbe', 'readinessProbe', 'startupProbe']) fillInProbe(container[name]);
  const lifecycle = objectIn(container.lifecycle);
  for (const name of ['postStart', 'preStop']) fillInHttpGet(objectIn(lifecycle[name]).httpGet);
  if (onHostNetwork) for (const port of objectsIn(container.ports)) port.hostPort ??= port.containerPort ?? 0;
  fillInRequests(container);
}

/** What may be used and is not asked for is asked for. */
function fillInRequests(resourced: JsonObject): void {
  const resources = resourced.resources;
  if (!isObject(resources) || !isObject(resources.limits)) return;
  resources.requests = { ...resources.limits, ...objectIn(resources.requests) };
}

function fillInProbe(probe: JsonObject[string]): void {
  if (!isObject(probe)) return;
  probe.timeoutSeconds ??= 1;
  probe.periodSeconds ??= 10;
  probe.successThreshold ??= 1;
  probe.failureThreshold ??= 3;
  fillInHttpGet(probe.httpGet);
  if (isObject(probe.grpc)) probe.grpc.service ??= '';
}

function fillInHttpGet(httpGet: JsonObject[string]): void {
  if (!isObject(httpGet)) return;
  httpGet.path ??= '/';
  httpGet.scheme ??= 'HTTP';
}

function fillInFieldRef(source: JsonObject): void {
  if (isObject(source.fieldRef)) source.fieldRef.apiVersion ??= 'v1';
}

function fillInVolume(volume: JsonObject): void {
  if (Object.keys(volume).every((field) => field === 'name')) volume.emptyDir = {};
  const { secret, configMap, downwardAPI, projected, hostPath, image, ephemeral } = volume;
  for (const source of [secret, configMap, downwardAPI, projected]) {
    if (isObject(source)) source.defaultMode ??= readableMode;
  }
  for (const file of objectsIn(objectIn(downwardAPI).items)) fillInFieldRef(file);
  for (const source of objectsIn(objectIn(projected).sources)) {
    if (isObject(source.serviceAccountToken)) source.serviceAccountToken.expirationSeconds ??= 3600;
    for (const file of objectsIn(objectIn(source.downwardAPI).items)) fillInFieldRef(file);
  }
  if (isObject(hostPath)) hostPath.type ??= '';
  if (isObject(image)) image.pullPolicy ??= pullPolicyFor(textIn(image.reference));
  if (isObject(ephemeral)) {
    const claim = objectIn(ephemeral.volumeClaimTemplate);
    if (isObject(claim.spec)) claim.spec.volumeMode ??= 'Filesystem';
  }
}

/** 0644 */
const readableMode = 0o644;

/** The single address is the first of the list, whichever of the two was written. */
function mirrorAddress(status: JsonObject): void {
  const listed = objectsIn(status.podIPs);
  const single = textIn(status.podIP);
  if (single !== '' && textIn(listed[0]?.ip) !== single) status.podIPs = [{ ip: single }];
  else if (single === '' && listed[0] !== undefined) status.podIP = textIn(listed[0].ip);
}
