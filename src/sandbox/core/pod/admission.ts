/**
 * What admission adds to a new pod: its service account with the token's volume, its priority, the tolerations of nodes that
 * stop answering. https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/
 */
import type { ApiClient } from '../../api/client.ts';
import { generatedName } from '../../api/generated.ts';
import type { JsonObject, KubeObject } from '../../object.ts';
import { forbidden } from '../../status.ts';
import { isObject, objectIn, objectsIn, textIn } from '../reading.ts';
import { nameAccount } from './defaults.ts';

const subject = { group: '', plural: 'pods' };
const serviceAccounts = { group: '', version: 'v1', plural: 'serviceaccounts' };
const tokenFolder = '/var/run/secrets/kubernetes.io/serviceaccount';
/** A minute more than an hour, so that tokens of this kind can be told apart. */
const tokenSeconds = 3607;

/** Admits a new pod, in place. Throws a 403 when its service account is not there, or when it names a priority class nobody has. */
export function admitPod(pod: KubeObject, reader: Pick<ApiClient, 'get'>): void {
  const spec = objectIn(pod.spec);
  giveAccount(pod, spec, reader);
  givePriority(pod, spec);
  tolerateSilentNodes(spec);
}

function giveAccount(pod: KubeObject, spec: JsonObject, reader: Pick<ApiClient, 'get'>): void {
  if (textIn(spec.serviceAccountName) === '') spec.serviceAccountName = 'default';
  nameAccount(spec);
  const namespace = pod.metadata.namespace ?? '';
  const name = textIn(spec.serviceAccountName);
  const account = reader.get(serviceAccounts, namespace, name);
  if (account === undefined) {
    const why = `error looking up service account ${namespace}/${name}: serviceaccount ${JSON.stringify(name)} not found`;
    throw forbidden(subject, pod.metadata.name, why);
  }
  const mounts = spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true;
  if (mounts === true) mountToken(spec);
  const pullSecrets = objectsIn(account.imagePullSecrets);
  if (objectsIn(spec.imagePullSecrets).length === 0 && pullSecrets.length > 0) {
    spec.imagePullSecrets = structuredClone(pullSecrets);
  }
}

/** Mounts the token wherever nothing else is mounted in its place. */
function mountToken(spec: JsonObject): void {
  const containers = [spec.initContainers, spec.containers].flatMap(objectsIn);
  const without = containers.filter(
    ({ volumeMounts }) => !objectsIn(volumeMounts).some(({ mountPath }) => mountPath === tokenFolder),
  );
  if (without.length === 0) return;
  const volumes = objectsIn(spec.volumes);
  const present = volumes.find(({ name }) => textIn(name).startsWith(tokenVolumePrefix));
  const isTaken = (name: string) => volumes.some((volume) => volume.name === name);
  const name = present === undefined ? generatedName(tokenVolumePrefix, isTaken) : textIn(present.name);
  if (present === undefined) spec.volumes = [...volumes, tokenVolume(name)];
  for (const container of without) {
    const mount = { name, readOnly: true, mountPath: tokenFolder };
    container.volumeMounts = [...objectsIn(container.volumeMounts), mount];
  }
}

const tokenVolumePrefix = 'kube-api-access-';

function tokenVolume(name: string): JsonObject {
  return {
    name,
    projected: {
      defaultMode: 0o644,
      sources: [
        { serviceAccountToken: { expirationSeconds: tokenSeconds, path: 'token' } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        {
          downwardAPI: {
            items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
          },
        },
      ],
    },
  };
}

/** The two priority classes that every cluster has. */
const systemPriorities: ReadonlyMap<string, number> = new Map([
  ['system-cluster-critical', 2_000_000_000],
  ['system-node-critical', 2_000_001_000],
]);

function givePriority(pod: KubeObject, spec: JsonObject): void {
  const name = textIn(spec.priorityClassName);
  const priority = name === '' ? 0 : systemPriorities.get(name);
  if (priority === undefined)
    throw forbidden(subject, pod.metadata.name, `no PriorityClass with name ${name} was found`);
  const asked = spec.priority;
  if (typeof asked === 'number' && asked !== priority) {
    const why = `the integer value of priority (${asked}) must not be provided in pod spec; priority admission controller computed ${priority} from the given PriorityClass name`;
    throw forbidden(subject, pod.metadata.name, why);
  }
  spec.priority = priority;
  spec.preemptionPolicy ??= 'PreemptLowerPriority';
}

/** A node that is not ready, or cannot be reached, keeps its pods for five minutes, unless they say otherwise. In place. */
export function tolerateSilentNodes(spec: JsonObject): void {
  const tolerations = objectsIn(spec.tolerations);
  for (const key of ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']) {
    const tolerated = tolerations.some(
      (toleration) =>
        ['', key].includes(textIn(toleration.key)) && ['', 'NoExecute'].includes(textIn(toleration.effect)),
    );
    if (!tolerated) tolerations.push({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 });
  }
  spec.tolerations = tolerations;
}

/** Does the container restart by itself although it is an init container? Then it is a sidecar. */
export function isSidecar(initContainer: JsonObject | undefined): boolean {
  return isObject(initContainer) && initContainer.restartPolicy === 'Always';
}
