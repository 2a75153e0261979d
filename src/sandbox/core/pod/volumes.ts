/** What can be wrong with the volumes of a pod. Sources of clouds and of storage that nobody has here are not looked into. */
import type { Json, JsonObject } from '../../object.ts';
import type { Cause } from '../../status.ts';
import { duplicate, invalidValue, notAllowed, notSupported, required } from '../causes.ts';
import { dnsLabel, formatted, qualifiedName } from '../formats.ts';
import { parseQuantity } from '../quantity.ts';
import { isObject, objectIn, objectsIn, textIn } from '../reading.ts';

/** Fields of the pod that a file can show. */
const fileFields = ['metadata.annotations', 'metadata.labels', 'metadata.name', 'metadata.namespace', 'metadata.uid'];

/** Resources of a container that a file or a variable can show. */
const shownResources = ['cpu', 'ephemeral-storage', 'memory']
  .flatMap((name) => [`limits.${name}`, `requests.${name}`])
  .sort();

/** Everything wrong with `spec.volumes`. */
export function volumeCauses(volumes: readonly JsonObject[], podName: string): Cause[] {
  const names = new Set<string>();
  const created = new Set(
    volumes.filter(({ ephemeral }) => isObject(ephemeral)).map(({ name }) => `${podName}-${name}`),
  );
  return volumes.flatMap((volume, place) => {
    const at = `spec.volumes[${place}]`;
    const name = textIn(volume.name);
    const causes = sourceCauses(volume, at);
    causes.push(...(name === '' ? [required(`${at}.name`)] : formatted(`${at}.name`, name, dnsLabel)));
    if (names.has(name)) causes.push(duplicate(`${at}.name`, name));
    if (causes.length === 0) names.add(name);
    const claim = textIn(objectIn(volume.persistentVolumeClaim).claimName);
    if (created.has(claim)) {
      const why = 'must not reference a PVC that gets created for an ephemeral volume';
      causes.push(invalidValue(`${at}.persistentVolumeClaim.claimName`, claim, why));
    }
    return causes;
  });
}

/** The volumes that containers can mount: those with which nothing is wrong. */
export function mountableVolumes(volumes: readonly JsonObject[]): ReadonlySet<string> {
  const sound = volumes.filter((volume) => textIn(volume.name) !== '' && sourceCauses(volume, '').length === 0);
  return new Set(sound.map(({ name }) => textIn(name)));
}

function sourceCauses(volume: JsonObject, at: string): Cause[] {
  const causes: Cause[] = [];
  const present = Object.keys(volume).filter((field) => field !== 'name' && isObject(volume[field]));
  const sources = present.sort((one, other) => order(one) - order(other));
  if (sources.length === 0) causes.push(required(at, 'must specify a volume type'));
  for (const [place, source] of sources.entries()) {
    const field = `${at}.${source}`;
    if (place > 0) causes.push(notAllowed(field, 'may not specify more than 1 volume type'));
    else causes.push(...(sourceChecks[source]?.(objectIn(volume[source]), field) ?? []));
  }
  return causes;
}

/** The order in which the server looks at sources; the others come after these, as they stand. */
const looked = [
  'emptyDir',
  'hostPath',
  'secret',
  'persistentVolumeClaim',
  'downwardAPI',
  'configMap',
  'projected',
  'ephemeral',
  'image',
];

function order(source: string): number {
  const place = looked.indexOf(source);
  return place < 0 ? looked.length : place;
}

const sourceChecks: { readonly [source: string]: (source: JsonObject, at: string) => Cause[] } = {
  emptyDir({ sizeLimit }, at) {
    const size = typeof sizeLimit === 'string' ? parseQuantity(sizeLimit) : undefined;
    const why = 'SizeLimit field must be a valid resource quantity';
    return size !== undefined && size.nanos < 0n ? [notAllowed(`${at}.sizeLimit`, why)] : [];
  },
  hostPath({ path, type }, at) {
    if (textIn(path) === '') return [required(`${at}.path`)];
    const types = ['', 'BlockDevice', 'CharDevice', 'Directory', 'DirectoryOrCreate', 'File', 'FileOrCreate', 'Socket'];
    const causes = backstepCauses(textIn(path), `${at}.path`);
    if (!types.includes(textIn(type))) causes.push(notSupported(`${at}.type`, textIn(type), types));
    return causes;
  },
  secret: ({ secretName, defaultMode, items }, at) => [
    ...(textIn(secretName) === '' ? [required(`${at}.secretName`)] : []),
    ...modeCauses(defaultMode, `${at}.defaultMode`),
    ...itemCauses(items, `${at}.items`),
  ],
  configMap: ({ name, defaultMode, items }, at) => [
    ...(textIn(name) === '' ? [required(`${at}.name`)] : []),
    ...modeCauses(defaultMode, `${at}.defaultMode`),
    ...itemCauses(items, `${at}.items`),
  ],
  persistentVolumeClaim: ({ claimName }, at) => (textIn(claimName) === '' ? [required(`${at}.claimName`)] : []),
  downwardAPI: ({ defaultMode, items }, at) => [
    ...modeCauses(defaultMode, `${at}.defaultMode`),
    ...objectsIn(items).flatMap((file) => downwardFileCauses(file, at)),
  ],
  projected: projectedCauses,
  image: ({ reference }, at) => (textIn(reference) === '' ? [required(`${at}.reference`)] : []),
  ephemeral: ({ volumeClaimTemplate }, at) =>
    isObject(volumeClaimTemplate) ? [] : [required(`${at}.volumeClaimTemplate`)],
};

function projectedCauses({ defaultMode, sources }: JsonObject, at: string): Cause[] {
  const paths = new Set<string>();
  const causes = modeCauses(defaultMode, `${at}.defaultMode`);
  const claim = (path: string, value: string) => {
    if (path !== '' && paths.has(path)) causes.push(invalidValue(at, value, 'conflicting duplicate paths'));
    paths.add(path);
  };
  for (const [place, source] of objectsIn(sources).entries()) {
    const here = `${at}.sources[${place}]`;
    for (const kind of ['secret', 'configMap'] as const) {
      if (!isObject(source[kind])) continue;
      const { name, items } = source[kind];
      if (textIn(name) === '') causes.push(required(`${here}.${kind}.name`));
      causes.push(...itemCauses(items, `${here}.${kind}.items`));
      for (const { path } of objectsIn(items)) claim(textIn(path), textIn(name));
    }
    for (const file of objectsIn(objectIn(source.downwardAPI).items)) {
      causes.push(...downwardFileCauses(file, `${here}.downwardAPI`));
      claim(textIn(file.path), textIn(file.path));
    }
    if (isObject(source.serviceAccountToken)) {
      const { expirationSeconds, path } = source.serviceAccountToken;
      const field = `${here}.serviceAccountToken.expirationSeconds`;
      const seconds = typeof expirationSeconds === 'number' ? expirationSeconds : 0;
      if (seconds < 600) causes.push(invalidValue(field, seconds, 'may not specify a duration less than 10 minutes'));
      if (seconds > 2 ** 32) {
        causes.push(invalidValue(field, seconds, 'may not specify a duration larger than 2^32 seconds'));
      }
      if (textIn(path) === '') causes.push(required(`${at}.path`));
      else causes.push(...relativePathCauses(textIn(path), `${at}.path`));
    }
    if (Object.values(source).filter(isObject).length > 1) {
      causes.push(notAllowed(here, 'may not specify more than 1 volume type per source'));
    }
  }
  return causes;
}

function itemCauses(items: Json | undefined, at: string): Cause[] {
  return objectsIn(items).flatMap(({ key, path, mode }, place) => [
    ...(textIn(key) === '' ? [required(`${at}[${place}].key`)] : []),
    ...(textIn(path) === '' ? [required(`${at}[${place}].path`)] : []),
    ...relativePathCauses(textIn(path), `${at}[${place}].path`),
    ...modeCauses(mode, `${at}[${place}].mode`),
  ]);
}

function downwardFileCauses({ path, fieldRef, resourceFieldRef, mode }: JsonObject, at: string): Cause[] {
  const causes = textIn(path) === '' ? [required(`${at}.path`)] : [];
  causes.push(...relativePathCauses(textIn(path), `${at}.path`));
  if (isObject(fieldRef)) {
    causes.push(...fieldRefCauses(fieldRef, fileFields, `${at}.fieldRef`));
    if (isObject(resourceFieldRef)) {
      const why = 'fieldRef and resourceFieldRef can not be specified simultaneously';
      causes.push(invalidValue(at, 'resource', why));
    }
  } else if (isObject(resourceFieldRef)) {
    causes.push(...resourceRefCauses(resourceFieldRef, `${at}.resourceFieldRef`, { namesContainer: true }));
  } else {
    causes.push(required(at, 'one of fieldRef and resourceFieldRef is required'));
  }
  return [...causes, ...modeCauses(mode, `${at}.mode`)];
}

/** Everything wrong with a reference to a field of the pod, of which `fields` can be shown here. */
export function fieldRefCauses(ref: JsonObject, fields: readonly string[], at: string): Cause[] {
  const path = textIn(ref.fieldPath);
  if (textIn(ref.apiVersion) === '') return [required(`${at}.apiVersion`)];
  if (path === '') return [required(`${at}.fieldPath`)];
  const [, base = path, key] = /^([^[]*)\['(.*)'\]$/.exec(path) ?? [];
  if (!knownFields.includes(base)) {
    return [invalidValue(`${at}.fieldPath`, path, `error converting fieldPath: field label not supported: ${path}`)];
  }
  if (key !== undefined) {
    if (base === 'metadata.annotations') return formatted(at, key.toLowerCase(), qualifiedName);
    if (base === 'metadata.labels') return formatted(at, key, qualifiedName);
    return [invalidValue(at, base, 'does not support subscript')];
  }
  return fields.includes(path) ? [] : [notSupported(`${at}.fieldPath`, path, fields)];
}

/** Fields that can be shown somewhere, if not here. */
const knownFields = [
  ...fileFields,
  'spec.nodeName',
  'spec.restartPolicy',
  'spec.schedulerName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.phase',
  'status.podIP',
  'status.podIPs',
];

/** Everything wrong with a reference to a resource of a container, which a file has to name and a variable need not. */
export function resourceRefCauses(
  ref: JsonObject,
  at: string,
  { namesContainer }: { readonly namesContainer: boolean },
): Cause[] {
  const resource = textIn(ref.resource);
  if (namesContainer && textIn(ref.containerName) === '') return [required(`${at}.containerName`)];
  if (resource === '') return [required(`${at}.resource`)];
  const pages = /^(?:limits|requests)\.hugepages-/.test(resource);
  return pages || shownResources.includes(resource) ? [] : [notSupported(`${at}.resource`, resource, shownResources)];
}

/** A path below something else, which it must not leave. */
export function descendingPathCauses(path: string, at: string): Cause[] {
  const absolute = path.startsWith('/') ? [invalidValue(at, path, 'must be a relative path')] : [];
  return [...absolute, ...backstepCauses(path, at)];
}

function relativePathCauses(path: string, at: string): Cause[] {
  const causes = descendingPathCauses(path, at);
  const reserved = path.startsWith('..') && !path.startsWith('../');
  if (reserved) causes.push(invalidValue(at, path, "must not start with '..'"));
  return causes;
}

function backstepCauses(path: string, at: string): Cause[] {
  return path.split('/').includes('..') ? [invalidValue(at, path, "must not contain '..'")] : [];
}

function modeCauses(mode: Json | undefined, at: string): Cause[] {
  if (typeof mode !== 'number' || (mode >= 0 && mode <= 0o777)) return [];
  return [invalidValue(at, mode, 'must be a number between 0 and 0777 (octal), both inclusive')];
}
