/** What can be wrong with the containers of a pod. */
import type { Json, JsonObject } from '../../object.ts';
import type { Cause } from '../../status.ts';
import { duplicate, invalidValue, notAllowed, notSupported, notThere, required } from '../causes.ts';
import {
  configKey,
  dnsLabel,
  dnsSubdomain,
  formatted,
  portName,
  portNumber,
  qualifiedName,
  variableName,
} from '../formats.ts';
import { parseQuantity } from '../quantity.ts';
import { isObject, numberIn, objectIn, objectsIn, textIn } from '../reading.ts';
import { isSidecar } from './admission.ts';
import { unwatchedCauses, watchCauses } from './probes.ts';
import { descendingPathCauses, fieldRefCauses, mountableVolumes, resourceRefCauses } from './volumes.ts';

/** Fields of the pod that a variable can show. */
const variableFields = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
];

/** Everything wrong with `spec.containers`, `spec.initContainers` and `spec.ephemeralContainers`. */
export function containerCauses(spec: JsonObject): Cause[] {
  const containers = objectsIn(spec.containers);
  const initContainers = objectsIn(spec.initContainers);
  const surroundings: Surroundings = {
    volumes: mountableVolumes(objectsIn(spec.volumes)),
    graceSeconds: numberIn(spec.terminationGracePeriodSeconds),
  };
  return [
    ...regularCauses(containers, surroundings),
    ...initCauses(initContainers, containers, surroundings),
    ...ephemeralCauses(objectsIn(spec.ephemeralContainers), [...containers, ...initContainers], surroundings),
  ];
}

/** What a container refers to beside itself. */
interface Surroundings {
  readonly volumes: ReadonlySet<string>;
  readonly graceSeconds: number;
}

function regularCauses(containers: readonly JsonObject[], surroundings: Surroundings): Cause[] {
  if (containers.length === 0) return [required('spec.containers')];
  const names = new Set<string>();
  const causes = containers.flatMap((container, place) => {
    const at = `spec.containers[${place}]`;
    return [
      ...commonCauses(container, at, surroundings),
      ...nameTaken(container, names, at),
      ...watchCauses(container, at, surroundings.graceSeconds),
    ];
  });
  return [...causes, ...hostPortCauses(containers, 'spec.containers')];
}

function initCauses(
  containers: readonly JsonObject[],
  regular: readonly JsonObject[],
  surroundings: Surroundings,
): Cause[] {
  const names = new Set(regular.map(({ name }) => textIn(name)));
  return containers.flatMap((container, place) => {
    const at = `spec.initContainers[${place}]`;
    return [
      ...commonCauses(container, at, surroundings),
      ...nameTaken(container, names, at),
      ...hostPortCauses([container], 'spec.initContainers'),
      ...(isSidecar(container)
        ? watchCauses(container, at, surroundings.graceSeconds)
        : unwatchedCauses(container, at)),
    ];
  });
}

function ephemeralCauses(
  containers: readonly JsonObject[],
  others: readonly JsonObject[],
  surroundings: Surroundings,
): Cause[] {
  const names = new Set(others.map(({ name }) => textIn(name)));
  return containers.flatMap((container, place) => {
    const at = `spec.ephemeralContainers[${place}]`;
    const target = textIn(container.targetContainerName);
    const known = target === '' || others.some(({ name }) => name === target);
    return [
      ...commonCauses(container, at, surroundings),
      ...nameTaken(container, names, at),
      ...(known ? [] : [notThere(`${at}.targetContainerName`, target)]),
    ];
  });
}

function nameTaken({ name }: JsonObject, names: Set<string>, at: string): Cause[] {
  const own = textIn(name);
  if (names.has(own)) return [duplicate(`${at}.name`, own)];
  names.add(own);
  return [];
}

function commonCauses(container: JsonObject, at: string, { volumes }: Surroundings): Cause[] {
  const name = textIn(container.name);
  const image = textIn(container.image);
  const causes = name === '' ? [required(`${at}.name`)] : formatted(`${at}.name`, name, dnsLabel);
  if (image === '') causes.push(required(`${at}.image`));
  causes.push(
    ...oneOf(container.terminationMessagePolicy, ['File', 'FallbackToLogsOnError'], `${at}.terminationMessagePolicy`),
    ...portCauses(objectsIn(container.ports), `${at}.ports`),
    ...variableCauses(objectsIn(container.env), `${at}.env`),
    ...variableSourceCauses(objectsIn(container.envFrom), `${at}.envFrom`),
    ...mountCauses(container, volumes, `${at}.volumeMounts`),
    ...oneOf(container.imagePullPolicy, ['Always', 'IfNotPresent', 'Never'], `${at}.imagePullPolicy`),
    ...resourceCauses(objectIn(container.resources), `${at}.resources`),
    ...confinementCauses(objectIn(container.securityContext), `${at}.securityContext`),
  );
  return causes;
}

/** An image has no blanks around its name. The template of a pod is not asked for that. */
export function blankImageCauses(containers: readonly JsonObject[], at: string): Cause[] {
  return containers.flatMap(({ image }, place) => {
    const name = textIn(image);
    if (name.trim() === name) return [];
    return [invalidValue(`${at}[${place}].image`, name, 'must not have leading or trailing whitespace')];
  });
}

function portCauses(ports: readonly JsonObject[], at: string): Cause[] {
  const names = new Set<string>();
  return ports.flatMap(({ name, containerPort, hostPort, protocol }, place) => {
    const here = `${at}[${place}]`;
    const causes: Cause[] = [];
    const own = textIn(name);
    if (own !== '') {
      causes.push(...formatted(`${here}.name`, own, portName));
      if (names.has(own)) causes.push(duplicate(`${here}.name`, own));
      names.add(own);
    }
    if (numberIn(containerPort) === 0) causes.push(required(`${here}.containerPort`));
    else causes.push(...portNumber(`${here}.containerPort`, containerPort));
    if (numberIn(hostPort) !== 0) causes.push(...portNumber(`${here}.hostPort`, hostPort));
    return [...causes, ...oneOf(protocol, ['SCTP', 'TCP', 'UDP'], `${here}.protocol`)];
  });
}

/** The ports of the node are there once for all of these containers. */
function hostPortCauses(containers: readonly JsonObject[], at: string): Cause[] {
  const taken = new Set<string>();
  return containers.flatMap(({ ports }, container) =>
    objectsIn(ports).flatMap(({ hostPort, protocol, hostIP }, place) => {
      if (numberIn(hostPort) === 0) return [];
      const key = `${textIn(protocol)}/${textIn(hostIP)}/${numberIn(hostPort)}`;
      if (taken.has(key)) return [duplicate(`${at}[${container}].ports[${place}].hostPort`, key)];
      taken.add(key);
      return [];
    }),
  );
}

function variableCauses(variables: readonly JsonObject[], at: string): Cause[] {
  return variables.flatMap(({ name, value, valueFrom }, place) => {
    const here = `${at}[${place}]`;
    const causes =
      textIn(name) === '' ? [required(`${here}.name`)] : formatted(`${here}.name`, textIn(name), variableName);
    return isObject(valueFrom) ? [...causes, ...sourceCauses(valueFrom, textIn(value), `${here}.valueFrom`)] : causes;
  });
}

function sourceCauses(source: JsonObject, value: string, at: string): Cause[] {
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef, fileKeyRef } = source;
  const causes: Cause[] = [];
  if (isObject(fieldRef)) causes.push(...fieldRefCauses(fieldRef, variableFields, `${at}.fieldRef`));
  if (isObject(resourceFieldRef)) {
    causes.push(...resourceRefCauses(resourceFieldRef, `${at}.resourceFieldRef`, { namesContainer: false }));
  }
  for (const [field, ref] of Object.entries({ configMapKeyRef, secretKeyRef })) {
    if (!isObject(ref)) continue;
    const here = `${at}.${field}`;
    causes.push(...formatted(`${here}.name`, textIn(ref.name), dnsSubdomain));
    causes.push(
      ...(textIn(ref.key) === '' ? [required(`${here}.key`)] : formatted(`${here}.key`, textIn(ref.key), configKey)),
    );
  }
  const sources = [fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef, fileKeyRef].filter(isObject).length;
  if (sources === 0) {
    const why = 'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`';
    causes.push(invalidValue(at, '', why));
  } else if (value !== '') {
    causes.push(invalidValue(at, '', 'may not be specified when `value` is not empty'));
  } else if (sources > 1) {
    causes.push(invalidValue(at, '', 'may not have more than one field specified at a time'));
  }
  return causes;
}

function variableSourceCauses(sources: readonly JsonObject[], at: string): Cause[] {
  return sources.flatMap((source, place) => {
    const here = `${at}[${place}]`;
    const prefix = textIn(source.prefix);
    const causes = prefix === '' ? [] : formatted(`${here}.prefix`, prefix, variableName);
    const refs = ['configMapRef', 'secretRef'].filter((field) => isObject(source[field]));
    for (const field of refs) {
      const name = textIn(objectIn(source[field]).name);
      causes.push(
        ...(name === '' ? [required(`${here}.${field}.name`)] : formatted(`${here}.${field}.name`, name, dnsSubdomain)),
      );
    }
    if (refs.length === 0) causes.push(invalidValue(at, '', 'must specify one of: `configMapRef` or `secretRef`'));
    if (refs.length > 1) causes.push(invalidValue(at, '', 'may not have more than one field specified at a time'));
    return causes;
  });
}

function mountCauses(container: JsonObject, volumes: ReadonlySet<string>, at: string): Cause[] {
  const paths = new Set<string>();
  const privileged = objectIn(container.securityContext).privileged === true;
  return objectsIn(container.volumeMounts).flatMap((mount, place) => {
    const here = `${at}[${place}]`;
    const [name, path] = [textIn(mount.name), textIn(mount.mountPath)];
    const [subPath, subPathExpr] = [textIn(mount.subPath), textIn(mount.subPathExpr)];
    const causes: Cause[] = [];
    if (name === '') causes.push(required(`${here}.name`));
    if (!volumes.has(name)) causes.push(notThere(`${here}.name`, name));
    if (path === '') causes.push(required(`${here}.mountPath`));
    if (paths.has(path)) causes.push(invalidValue(`${here}.mountPath`, path, 'must be unique'));
    paths.add(path);
    causes.push(...descendingPathCauses(subPath, `${at}.subPath`));
    if (subPathExpr !== '' && subPath !== '') {
      causes.push(invalidValue(`${here}.subPathExpr`, subPathExpr, 'subPathExpr and subPath are mutually exclusive'));
    }
    causes.push(...descendingPathCauses(subPathExpr, `${at}.subPathExpr`));
    if (mount.mountPropagation !== undefined) {
      const field = `${at}.mountPropagation`;
      causes.push(...oneOf(mount.mountPropagation, ['Bidirectional', 'HostToContainer', 'None'], field));
      if (mount.mountPropagation === 'Bidirectional' && !privileged) {
        const why = 'Bidirectional mount propagation is available only to privileged containers';
        causes.push(notAllowed(field, why));
      }
    }
    return causes;
  });
}

/** Resources that a container can be given by a bare name. */
const standardResources = ['cpu', 'memory', 'ephemeral-storage'];

/** Everything wrong with what a container, or the whole pod, asks for and may use. */
export function resourceCauses({ limits, requests }: JsonObject, at: string): Cause[] {
  const bounds = objectIn(limits);
  const causes: Cause[] = [];
  for (const [list, amounts] of Object.entries({ limits: bounds, requests: objectIn(requests) })) {
    for (const [name, amount] of Object.entries(amounts)) {
      const field = `${at}.${list}[${name}]`;
      causes.push(...resourceNameCauses(name, field));
      const nanos = nanosOf(amount);
      if (nanos < 0n) causes.push(invalidValue(field, textIn(amount), 'must be greater than or equal to 0'));
      const bound = bounds[name];
      if (list === 'limits') continue;
      const overcommits = !name.includes('/') && !name.startsWith('hugepages-');
      if (bound === undefined) {
        if (!overcommits) causes.push(required(`${at}.limits`, 'Limit must be set for non overcommitable resources'));
      } else if (!overcommits && nanos !== nanosOf(bound)) {
        causes.push(invalidValue(`${at}.requests`, textIn(amount), `must be equal to ${name} limit of ${bound}`));
      } else if (nanos > nanosOf(bound)) {
        causes.push(
          invalidValue(`${at}.requests`, textIn(amount), `must be less than or equal to ${name} limit of ${bound}`),
        );
      }
    }
  }
  return causes;
}

function resourceNameCauses(name: string, field: string): Cause[] {
  const wrong = formatted(field, name, qualifiedName);
  if (wrong.length > 0 || name.includes('/') || name.startsWith('hugepages-')) return wrong;
  if (standardResources.includes(name)) return [];
  const sentences = [
    'must be a standard resource type or fully qualified',
    'must be a standard resource for containers',
  ];
  return sentences.map((sentence) => invalidValue(field, name, sentence));
}

function nanosOf(amount: Json | undefined): bigint {
  return typeof amount === 'string' ? (parseQuantity(amount)?.nanos ?? 0n) : 0n;
}

function confinementCauses(context: JsonObject, at: string): Cause[] {
  const { runAsUser, runAsGroup, privileged, allowPrivilegeEscalation } = context;
  const causes = [...identityCauses(runAsUser, `${at}.runAsUser`), ...identityCauses(runAsGroup, `${at}.runAsGroup`)];
  if (allowPrivilegeEscalation === false && privileged === true) {
    const why = 'cannot set `allowPrivilegeEscalation` to false and `privileged` to true';
    causes.push(invalidValue(at, inGo(context), why));
  }
  return causes;
}

/** The server shows a security context as its own struct has it. */
function inGo(context: JsonObject): JsonObject {
  const { capabilities } = context;
  const { add = null, drop = null } = objectIn(capabilities);
  return {
    Capabilities: isObject(capabilities) ? { Add: add, Drop: drop } : null,
    Privileged: context.privileged ?? null,
    SELinuxOptions: context.seLinuxOptions ?? null,
    WindowsOptions: context.windowsOptions ?? null,
    RunAsUser: context.runAsUser ?? null,
    RunAsGroup: context.runAsGroup ?? null,
    RunAsNonRoot: context.runAsNonRoot ?? null,
    ReadOnlyRootFilesystem: context.readOnlyRootFilesystem ?? null,
    AllowPrivilegeEscalation: context.allowPrivilegeEscalation ?? null,
    ProcMount: context.procMount ?? null,
    SeccompProfile: context.seccompProfile ?? null,
    AppArmorProfile: context.appArmorProfile ?? null,
  };
}

/** A number of a user or a group. */
export function identityCauses(value: Json | undefined, at: string): Cause[] {
  if (typeof value !== 'number' || (value >= 0 && value <= 2 ** 31 - 1)) return [];
  return [invalidValue(at, value, 'must be between 0 and 2147483647, inclusive')];
}

function oneOf(value: Json | undefined, supported: readonly string[], at: string): Cause[] {
  const own = textIn(value);
  if (own === '') return [required(at)];
  return supported.includes(own) ? [] : [notSupported(at, own, supported)];
}
