/** What a container's program finds in its environment, and `$(VAR)` in its command. Nothing of ours is in it. */
import type { ApiClient } from '../../api/client.ts';
import { parseQuantity } from '../../core/quantity.ts';
import type { KubeObject, Resource } from '../../object.ts';
import type { Container, FieldRef, KeyRef, NameRef, Pod, ResourceFieldRef } from './pod.ts';

/** What keeps a container from being made, `CreateContainerConfigError`: it names what is missing. */
export class ConfigError extends Error {}

/** Variables in order of definition; later ones replace earlier ones of their name. */
export type Environment = ReadonlyMap<string, string>;

const configMaps: Resource = { group: '', version: 'v1', plural: 'configmaps' };
const secrets: Resource = { group: '', version: 'v1', plural: 'secrets' };

/** What the fields of a pod depend on besides the pod. */
export interface PodPlace {
  readonly podIP: string;
  readonly hostIP: string;
  readonly nodeName: string;
  /** What a container may use that says nothing of its own, quantities of `cpu` and `memory`. */
  readonly allocatable: { readonly [resource: string]: string };
}

/**
 * `envFrom`, then `env`, with references to earlier variables expanded, as the kubelet builds it. Throws a ConfigError for
 * a ConfigMap, Secret or key that is not there and not optional.
 */
export function environmentOf(
  pod: Pod,
  container: Container,
  client: Pick<ApiClient, 'get'>,
  place: PodPlace,
): Environment {
  const { namespace = '' } = pod.metadata;
  const variables = new Map<string, string>();
  for (const { prefix = '', configMapRef, secretRef } of container.envFrom ?? []) {
    const entries = configMapRef
      ? configEntries(client, namespace, configMapRef)
      : secretEntries(client, namespace, secretRef ?? {});
    for (const [key, value] of entries) {
      if (/^[-._a-zA-Z][-._a-zA-Z0-9]*$/.test(`${prefix}${key}`)) variables.set(`${prefix}${key}`, String(value));
    }
  }
  for (const { name, value, valueFrom } of container.env ?? []) {
    const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef } = valueFrom ?? {};
    const found = fieldRef
      ? podField(pod, fieldRef, place)
      : resourceFieldRef
        ? containerResource(pod, container, resourceFieldRef, place)
        : configMapKeyRef
          ? keyOf(
              configEntries(client, namespace, configMapKeyRef),
              configMapKeyRef,
              `ConfigMap ${namespace}/${configMapKeyRef.name}`,
            )
          : secretKeyRef
            ? keyOf(
                secretEntries(client, namespace, secretKeyRef),
                secretKeyRef,
                `Secret ${namespace}/${secretKeyRef.name}`,
              )
            : expand(value ?? '', variables);
    if (found !== undefined) variables.set(name, String(found));
  }
  return variables;
}

/**
 * `$(VAR)` replaced by the variable, left as it is when there is none; `$$` is a `$` that begins no reference.
 * https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
 */
export function expand(text: string, variables: Environment): string {
  return text.replace(/\$(?:\$|\(([^)]*)\))/g, (found, name: string | undefined) =>
    name === undefined ? '$' : (variables.get(name) ?? found),
  );
}

/** The value of a downward API field, `metadata.labels['app']`. */
export function podField(pod: Pod, { fieldPath }: FieldRef, place: PodPlace): string {
  const [, list, key = ''] = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(fieldPath) ?? [];
  const { labels = {}, annotations = {}, name, namespace = '', uid } = pod.metadata;
  if (list !== undefined) return (list === 'labels' ? labels : annotations)[key] ?? '';
  switch (fieldPath) {
    case 'metadata.name':
      return name;
    case 'metadata.namespace':
      return namespace;
    case 'metadata.uid':
      return uid;
    case 'metadata.labels':
      return quotedLines(labels);
    case 'metadata.annotations':
      return quotedLines(annotations);
    case 'spec.nodeName':
      return place.nodeName;
    case 'spec.serviceAccountName':
      return pod.spec.serviceAccountName ?? '';
    case 'status.hostIP':
    case 'status.hostIPs':
      return place.hostIP;
    case 'status.podIP':
    case 'status.podIPs':
      return place.podIP;
    default:
      throw new ConfigError(`unsupported fieldPath: ${fieldPath}`);
  }
}

/** The value of a downward API resource, `limits.memory`, in units of its divisor, rounded up. */
export function containerResource(pod: Pod, own: Container, ref: ResourceFieldRef, place: PodPlace): string {
  const containers = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  const container = ref.containerName ? containers.find(({ name }) => name === ref.containerName) : own;
  const [list, name = ''] = ref.resource.split('.');
  if (container === undefined || (list !== 'limits' && list !== 'requests')) {
    throw new ConfigError(`unsupported container resource : ${ref.resource}`);
  }
  const said = container.resources?.[list]?.[name];
  const amount = parseQuantity(said ?? (list === 'limits' ? (place.allocatable[name] ?? '0') : '0'));
  const divisor = parseQuantity(ref.divisor || '1') ?? { nanos: 0n };
  if (amount === undefined || divisor.nanos <= 0n) return String(Number((amount?.nanos ?? 0n) / 1_000_000_000n));
  return String((amount.nanos + divisor.nanos - 1n) / divisor.nanos);
}

/** What a ConfigMap holds as files: its keys and their bytes. Nothing when it is optional and not there. */
export function configFiles(client: Pick<ApiClient, 'get'>, namespace: string, ref: NameRef): Map<string, Buffer> {
  const object = look(client, configMaps, namespace, ref);
  return new Map([
    ...textsIn(object, 'data').map(([key, value]) => [key, Buffer.from(value)] as const),
    ...textsIn(object, 'binaryData').map(([key, value]) => [key, Buffer.from(value, 'base64')] as const),
  ]);
}

/** What a Secret holds as files. Nothing when it is optional and not there. */
export function secretFiles(client: Pick<ApiClient, 'get'>, namespace: string, ref: NameRef): Map<string, Buffer> {
  const object = look(client, secrets, namespace, ref);
  return new Map(textsIn(object, 'data').map(([key, value]) => [key, Buffer.from(value, 'base64')]));
}

function configEntries(client: Pick<ApiClient, 'get'>, namespace: string, ref: NameRef): Map<string, string> {
  return new Map(textsIn(look(client, configMaps, namespace, ref), 'data'));
}

function secretEntries(client: Pick<ApiClient, 'get'>, namespace: string, ref: NameRef): Map<string, Buffer> {
  return secretFiles(client, namespace, ref);
}

function keyOf<Value>(
  entries: ReadonlyMap<string, Value>,
  { key, optional }: KeyRef,
  where: string,
): Value | undefined {
  const value = entries.get(key);
  if (value === undefined && !optional) throw new ConfigError(`couldn't find key ${key} in ${where}`);
  return value;
}

function look(
  client: Pick<ApiClient, 'get'>,
  resource: Resource,
  namespace: string,
  { name = '', optional }: NameRef,
): KubeObject | undefined {
  const object = client.get(resource, namespace, name);
  if (object === undefined && !optional) throw new ConfigError(`${resource.plural} ${JSON.stringify(name)} not found`);
  return object;
}

function textsIn(object: KubeObject | undefined, field: string): [key: string, value: string][] {
  // Both kinds' schemas allow texts only.
  return Object.entries((object?.[field] ?? {}) as { [key: string]: string });
}

function quotedLines(entries: { readonly [key: string]: string }): string {
  return Object.entries(entries)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join('\n');
}
