/** A pod's volumes as folders of this machine. */
import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import type { ApiClient } from '../../api/client.ts';
import { ConfigError, configFiles, containerResource, type PodPlace, podField, secretFiles } from './environment.ts';
import type { DownwardFile, KeyToPath, Pod, Projection, Volume } from './pod.ts';

/** What keeps a pod from starting, `FailedMount`: the kubelet's sentence about it. */
export class MountError extends Error {}

/** What volumes are made from. */
export interface VolumeParts {
  readonly client: Pick<ApiClient, 'get'>;
  readonly place: PodPlace;
  /** The pod's own folder. */
  readonly folder: string;
  /** The folder that stands for a claim. */
  claimFolder(namespace: string, claim: string): string;
  /** A token for the pod's service account; without it a volume for one has no such file. */
  token?: ((pod: Pod) => string) | undefined;
}

interface VolumeFile {
  readonly path: string;
  readonly bytes: Buffer;
  readonly mode: number | undefined;
}

/**
 * Makes all folders and fills them. May be called again, which changes nothing but files whose content has changed. Throws
 * a MountError for the first volume that cannot be made.
 */
export function makeVolumes(pod: Pod, parts: VolumeParts): void {
  for (const volume of pod.spec.volumes ?? []) {
    try {
      makeVolume(pod, volume, parts);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      throw new MountError(`MountVolume.SetUp failed for volume "${volume.name}" : ${error.message}`);
    }
  }
}

/** Writes again what the pod's own fields say: labels, annotations. Files appear and change at once, never half. */
export function refreshDownward(pod: Pod, parts: VolumeParts): void {
  for (const volume of pod.spec.volumes ?? []) {
    const isDownward = volume.downwardAPI ?? volume.projected?.sources?.some(({ downwardAPI }) => downwardAPI);
    if (isDownward) makeVolume(pod, volume, parts);
  }
}

/** The folder that stands for a volume of the pod. */
export function volumeFolder(pod: Pod, name: string, parts: Pick<VolumeParts, 'folder' | 'claimFolder'>): string {
  const claim = pod.spec.volumes?.find((volume) => volume.name === name)?.persistentVolumeClaim?.claimName;
  if (claim !== undefined) return parts.claimFolder(pod.metadata.namespace ?? '', claim);
  return join(parts.folder, 'volumes', name);
}

function makeVolume(pod: Pod, volume: Volume, parts: VolumeParts): void {
  const folder = volumeFolder(pod, volume.name, parts);
  mkdirSync(folder, { recursive: true });
  const { emptyDir, persistentVolumeClaim, configMap, secret, downwardAPI, projected } = volume;
  if (emptyDir !== undefined || persistentVolumeClaim !== undefined) return;
  const secretNamed = secret && { ...secret, name: secret.secretName ?? '' };
  const sources: readonly Projection[] = projected?.sources ?? [
    {
      ...(configMap && { configMap }),
      ...(secretNamed && { secret: secretNamed }),
      ...(downwardAPI && { downwardAPI }),
    },
  ];
  if (sources.every((source) => Object.keys(source).length === 0)) {
    throw new ConfigError(
      'the sandbox knows emptyDir, persistentVolumeClaim, configMap, secret, downwardAPI and projected volumes only',
    );
  }
  const defaultMode = (configMap ?? secret ?? downwardAPI ?? projected)?.defaultMode;
  for (const { path, bytes, mode } of sources.flatMap((source) => filesOf(pod, source, parts))) {
    put(join(folder, posix.join('/', path)), bytes, mode ?? defaultMode ?? 0o644);
  }
}

function filesOf(pod: Pod, source: Projection, { client, place, token }: VolumeParts): VolumeFile[] {
  const { namespace = '' } = pod.metadata;
  const { configMap, secret, downwardAPI, serviceAccountToken } = source;
  return [
    ...(configMap
      ? chosen(configFiles(client, namespace, configMap), configMap, 'configmap references non-existent config key')
      : []),
    ...(secret ? chosen(secretFiles(client, namespace, secret), secret, 'references non-existent secret key') : []),
    ...(downwardAPI?.items ?? []).map((item) => ({
      path: item.path,
      bytes: Buffer.from(downwardText(pod, item, place)),
      mode: item.mode,
    })),
    ...(serviceAccountToken && token
      ? [{ path: serviceAccountToken.path, bytes: Buffer.from(token(pod)), mode: 0o600 }]
      : []),
  ];
}

function chosen(
  files: ReadonlyMap<string, Buffer>,
  { items, optional }: { readonly items?: readonly KeyToPath[]; readonly optional?: boolean },
  sentence: string,
): VolumeFile[] {
  if (items === undefined) return [...files].map(([path, bytes]) => ({ path, bytes, mode: undefined }));
  return items.flatMap(({ key, path, mode }) => {
    const bytes = files.get(key);
    if (bytes !== undefined) return [{ path, bytes, mode }];
    if (optional) return [];
    throw new ConfigError(`${sentence}: ${key}`);
  });
}

function downwardText(pod: Pod, { fieldRef, resourceFieldRef }: DownwardFile, place: PodPlace): string {
  if (fieldRef) return podField(pod, fieldRef, place);
  const [first] = pod.spec.containers;
  return resourceFieldRef && first ? containerResource(pod, first, resourceFieldRef, place) : '';
}

/** Renamed into place, so that whoever waits for content never meets half of it. */
function put(path: string, bytes: Buffer, mode: number): void {
  mkdirSync(dirname(path), { recursive: true });
  const fresh = join(dirname(path), `..${posix.basename(path)}.new`);
  writeFileSync(fresh, bytes, { mode });
  chmodSync(fresh, mode); // what the process's umask took away
  renameSync(fresh, path);
}
