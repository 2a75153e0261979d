/**
 * A container's file system without a root of its own: which folder of this machine stands for which of its paths.
 * Programs meet the paths of this machine, so whoever writes a path for one asks here first.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join, posix } from 'node:path';
import { resolvePaths } from '../paths.ts';
import type { Container } from './pod.ts';

/** The paths of one container. */
export interface ContainerPaths {
  /** The place on this machine that stands for an absolute path of the container. */
  resolve(path: string): string;
  /** The same for a folder as a pod names it: relative to `base`, or with `inContainer` paths in it. */
  folder(text: string, base: string): string;
  /** A text with every `inContainer` path in it resolved. */
  resolveIn(text: string): string;
  /**
   * The first path in a text that would miss its target, because it is written out: a mounted one, or one of those that
   * Tekton's steps know by name (`/workspace`, `/tekton`).
   */
  literalIn(text: string): string | undefined;
}

/** Where a container's own folders are. */
export interface ContainerFolders {
  /** For every path that is not mounted. */
  readonly root: string;
  /** Of each volume of the pod. */
  volume(name: string): string;
  /** `$(VAR)` in a mount's subPathExpr. */
  expand(text: string): string;
}

/** Maps the mounts of `container`; the folders of subPaths are made. */
export function containerPaths(container: Container, folders: ContainerFolders): ContainerPaths {
  const mounts = (container.volumeMounts ?? [])
    .map(({ name, mountPath, subPath, subPathExpr }) => {
      const below = subPathExpr === undefined ? (subPath ?? '') : folders.expand(subPathExpr);
      const inside = posix.join('/', below).slice(1); // no way out of the volume
      const folder = join(folders.volume(name), inside);
      if (inside !== '' && !existsSync(folder)) mkdirSync(folder, { recursive: true });
      return { path: posix.normalize(mountPath).replace(/(?<=.)\/$/, ''), folder };
    })
    .sort((a, b) => b.path.length - a.path.length);
  const named = [...mounts.map(({ path }) => path), container.terminationMessagePath ?? '', '/workspace', '/tekton'];
  const literal = literalPath(named.filter((path) => path.length > 1));

  function resolve(path: string): string {
    const clean = posix.normalize(path);
    const mount = mounts.find(({ path: at }) => clean === at || clean.startsWith(at === '/' ? at : `${at}/`));
    return mount === undefined ? join(folders.root, clean) : join(mount.folder, clean.slice(mount.path.length));
  }

  return {
    resolve,
    folder(text, base) {
      const resolved = resolvePaths(text, resolve);
      return resolved === text ? resolve(posix.resolve('/', base, text)) : resolved;
    },
    resolveIn: (text) => resolvePaths(text, resolve),
    literalIn: (text) => literal.exec(resolvePaths(text, () => ''))?.[0],
  };
}

/** Finds one of `paths`, or something below it, that begins where a path can begin: not in the middle of another. */
function literalPath(paths: readonly string[]): RegExp {
  const any = paths.map((path) => path.replace(/[^\w/]/g, '\\$&')).join('|');
  return new RegExp(`(?<![\\w./$)}~-])(?:${any})(?![\\w.-])[^\\s'"\`;|&<>()]*`);
}
