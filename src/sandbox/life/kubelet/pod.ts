/** Pods as the kubelet reads them: the slice of their fields that it acts upon. https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/ */
import type { KubeObject, ObjectMeta, Resource } from '../../object.ts';

export const podsResource: Resource = { group: '', version: 'v1', plural: 'pods' };

/** A pod. Of `status` only what somebody else wrote before matters here. */
export interface Pod {
  readonly metadata: ObjectMeta;
  readonly spec: PodSpec;
  readonly status?: { readonly conditions?: readonly PodCondition[]; readonly [field: string]: unknown };
}

export interface PodSpec {
  readonly initContainers?: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes?: readonly Volume[];
  readonly restartPolicy?: RestartPolicy;
  readonly terminationGracePeriodSeconds?: number;
  readonly activeDeadlineSeconds?: number;
  readonly nodeName?: string;
  readonly nodeSelector?: { readonly [label: string]: string };
  readonly schedulerName?: string;
  readonly schedulingGates?: readonly { readonly name: string }[];
  readonly serviceAccountName?: string;
  readonly hostname?: string;
}

export type RestartPolicy = 'Always' | 'OnFailure' | 'Never';

export interface Container {
  readonly name: string;
  readonly image?: string;
  readonly imagePullPolicy?: 'Always' | 'IfNotPresent' | 'Never';
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly workingDir?: string;
  readonly env?: readonly EnvVar[];
  readonly envFrom?: readonly EnvFrom[];
  readonly volumeMounts?: readonly VolumeMount[];
  readonly resources?: Resources;
  /** Of an init container only: `Always` makes it a sidecar. */
  readonly restartPolicy?: RestartPolicy;
  readonly terminationMessagePath?: string;
  readonly terminationMessagePolicy?: 'File' | 'FallbackToLogsOnError';
}

export interface Resources {
  readonly requests?: { readonly [resource: string]: string | number };
  readonly limits?: { readonly [resource: string]: string | number };
}

export interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: {
    readonly fieldRef?: FieldRef;
    readonly resourceFieldRef?: ResourceFieldRef;
    readonly configMapKeyRef?: KeyRef;
    readonly secretKeyRef?: KeyRef;
  };
}

export interface EnvFrom {
  readonly prefix?: string;
  readonly configMapRef?: NameRef;
  readonly secretRef?: NameRef;
}

export interface NameRef {
  readonly name?: string;
  readonly optional?: boolean;
}

export interface KeyRef extends NameRef {
  readonly key: string;
}

export interface FieldRef {
  readonly fieldPath: string;
}

export interface ResourceFieldRef {
  readonly containerName?: string;
  readonly resource: string;
  readonly divisor?: string | number;
}

export interface VolumeMount {
  readonly name: string;
  readonly mountPath: string;
  readonly subPath?: string;
  readonly subPathExpr?: string;
  readonly readOnly?: boolean;
}

export interface Volume extends VolumeSource {
  readonly name: string;
}

/** What a volume is made of. Kinds that are not named here cannot be mounted. */
export interface VolumeSource {
  readonly emptyDir?: object;
  readonly persistentVolumeClaim?: { readonly claimName: string };
  readonly configMap?: NameRef & { readonly items?: readonly KeyToPath[]; readonly defaultMode?: number };
  readonly secret?: {
    readonly secretName?: string;
    readonly optional?: boolean;
    readonly items?: readonly KeyToPath[];
    readonly defaultMode?: number;
  };
  readonly downwardAPI?: { readonly items?: readonly DownwardFile[]; readonly defaultMode?: number };
  readonly projected?: { readonly sources?: readonly Projection[]; readonly defaultMode?: number };
}

export interface Projection {
  readonly configMap?: NameRef & { readonly items?: readonly KeyToPath[] };
  readonly secret?: NameRef & { readonly items?: readonly KeyToPath[] };
  readonly downwardAPI?: { readonly items?: readonly DownwardFile[] };
  readonly serviceAccountToken?: { readonly path: string };
}

export interface KeyToPath {
  readonly key: string;
  readonly path: string;
  readonly mode?: number;
}

export interface DownwardFile {
  readonly path: string;
  readonly fieldRef?: FieldRef;
  readonly resourceFieldRef?: ResourceFieldRef;
  readonly mode?: number;
}

export interface PodCondition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string | null;
}

/** The pod in an object of that kind, which the API has checked against its schema. */
export function podOf(object: KubeObject): Pod {
  return object as unknown as Pod; // JSON of a kind whose schema has been applied has the types above
}

/** Ended for good, whatever may still be running down. */
export function isTerminal(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

/** An init container that runs beside the others for as long as they do. */
export function isSidecar(container: Container): boolean {
  return container.restartPolicy === 'Always';
}

/** `spec.containers{name}`, as events point at a container. */
export function fieldPathOf(pod: Pod, container: Container): string {
  const list = pod.spec.initContainers?.some(({ name }) => name === container.name) ? 'initContainers' : 'containers';
  return `spec.${list}{${container.name}}`;
}

/** `2026-11-01T10:00:00Z`, the precision of times in objects. */
export function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
