/** Workspaces of a TaskRun: whether they are bound as declared, and how they become volumes and mounts of its pod. */
import { posix } from 'node:path';
import type { Json } from '../../object.ts';
import { hashedName } from './names.ts';
import { only } from './specs.ts';
import type { TaskSpec, Volume, VolumeMount, WorkspaceBinding, WorkspaceDeclaration } from './types.ts';

const sources = ['persistentVolumeClaim', 'emptyDir', 'configMap', 'secret', 'projected', 'csi'] as const;

/** Where a workspace is mounted unless a step says otherwise. */
export function mountPathOf({ name, mountPath }: WorkspaceDeclaration): string {
  return mountPath === undefined || mountPath === '' ? posix.join('/workspace', name) : mountPath;
}

/** Tekton's sentence for what is wrong with the bindings; undefined when nothing is. */
export function wrongBindings(
  declared: readonly WorkspaceDeclaration[],
  bindings: readonly WorkspaceBinding[],
): string | undefined {
  const bound = new Set(bindings.map(({ name }) => name));
  const missing = declared.find(({ name, optional }) => optional !== true && !bound.has(name));
  if (missing !== undefined) return `declared workspace "${missing.name}" is required but has not been bound`;
  const stray = bindings.find(({ name }) => !declared.some((one) => one.name === name));
  if (stray !== undefined) return `workspace binding "${stray.name}" does not match any declared workspace`;
  const claims = new Set(
    bindings.flatMap(({ name, persistentVolumeClaim, volumeClaimTemplate }) => [
      ...(persistentVolumeClaim === undefined ? [] : [persistentVolumeClaim.claimName]),
      ...(volumeClaimTemplate === undefined ? [] : [name]),
    ]),
  );
  return claims.size > 1 ? 'more than one PersistentVolumeClaim is bound' : undefined;
}

/** The volume of each binding, by its name. Bindings of one claim share a volume. */
export function volumesOf(bindings: readonly WorkspaceBinding[]): ReadonlyMap<string, Volume> {
  const volumes = new Map<string, Volume>();
  const ofClaims = new Map<string, Volume>();
  const used = new Set<string>();
  for (const binding of bindings) {
    let name = hashedName('ws', binding.name, 5);
    while (used.has(name)) name = hashedName('ws', `${name}$`, 5);
    used.add(name);
    const claim = binding.persistentVolumeClaim?.claimName;
    const shared = claim === undefined ? undefined : ofClaims.get(claim);
    const volume = shared ?? { name, ...sourceOf(binding) };
    if (claim !== undefined) ofClaims.set(claim, volume);
    volumes.set(binding.name, volume);
  }
  return volumes;
}

/**
 * The spec with its workspaces mounted: into every step and sidecar, or, where one of them asks for a workspace by name,
 * only into those that do.
 */
export function mountWorkspaces(
  spec: TaskSpec,
  bindings: readonly WorkspaceBinding[],
  volumes: ReadonlyMap<string, Volume>,
): TaskSpec {
  const isolated = new Set(
    [...(spec.steps ?? []), ...(spec.sidecars ?? [])].flatMap(({ workspaces = [] }) =>
      workspaces.map(({ name }) => name),
    ),
  );
  let mounted = spec;
  for (const binding of bindings) {
    const declaration = (spec.workspaces ?? []).find(({ name }) => name === binding.name) ?? { name: binding.name };
    const volume = volumes.get(binding.name);
    if (volume === undefined) continue;
    const mount: VolumeMount = {
      name: volume.name,
      mountPath: mountPathOf(declaration),
      ...only('subPath', binding.subPath === '' ? undefined : binding.subPath),
      ...only('readOnly', declaration.readOnly === true ? true : undefined),
    };
    mounted = isolated.has(binding.name)
      ? mountWhereAsked(mounted, binding.name, mount)
      : mountEverywhere(mounted, mount);
  }
  const bound = new Set(bindings.flatMap(({ name }) => volumes.get(name) ?? []));
  return bound.size === 0 ? mounted : { ...mounted, volumes: [...(mounted.volumes ?? []), ...bound] };
}

function mountEverywhere(spec: TaskSpec, mount: VolumeMount): TaskSpec {
  const { stepTemplate = {}, sidecars } = spec;
  return {
    ...spec,
    stepTemplate: { ...stepTemplate, volumeMounts: [...(stepTemplate.volumeMounts ?? []), mount] },
    ...only(
      'sidecars',
      sidecars?.map((sidecar) =>
        (sidecar.volumeMounts ?? []).some(({ mountPath }) => mountPath === mount.mountPath)
          ? sidecar
          : { ...sidecar, volumeMounts: [...(sidecar.volumeMounts ?? []), mount] },
      ),
    ),
  };
}

function mountWhereAsked(spec: TaskSpec, workspace: string, mount: VolumeMount): TaskSpec {
  const asked = <Asking extends NonNullable<TaskSpec['sidecars']>[number]>(one: Asking): Asking => {
    const usage = (one.workspaces ?? []).find(({ name }) => name === workspace);
    if (usage === undefined) return one;
    const own = usage.mountPath ? { ...mount, mountPath: usage.mountPath } : mount;
    return { ...one, volumeMounts: [...(one.volumeMounts ?? []), own] };
  };
  return {
    ...spec,
    ...only('steps', spec.steps?.map(asked)),
    ...only('sidecars', spec.sidecars?.map(asked)),
  };
}

function sourceOf(binding: WorkspaceBinding): { readonly [source: string]: Json | undefined } {
  const source = sources.find((one) => binding[one] !== undefined);
  return source === undefined ? {} : { [source]: binding[source] };
}
