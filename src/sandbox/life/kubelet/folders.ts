/** Where on disk everything of a kubelet lies. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Pod } from './pod.ts';

/** The folders below one folder. */
export class KubeletFolders {
  readonly #given: string;
  readonly #folder: string;

  /** Makes `folder`. Nobody but this user may look into it. */
  constructor(folder: string) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.#given = folder;
    this.#folder = withoutBlanks(folder);
    rmSync(this.pipes, { recursive: true, force: true });
    mkdirSync(this.pipes);
  }

  /** Claims' folders, by namespace and name. */
  get claims(): string {
    return join(this.#folder, 'claims');
  }

  /** Named pipes, for the moment that they have names. */
  get pipes(): string {
    return join(this.#folder, 'pipes');
  }

  /** A pod's volumes, and what its containers have for themselves. */
  ofPod({ metadata }: Pod): string {
    return join(this.#folder, 'pods', metadata.uid);
  }

  /** The log of one run of a container. */
  log(pod: Pod, container: string, containerId: string): string {
    return join(this.#logs(pod), container, `${containerId.replace('containerd://', '').slice(0, 16)}.log`);
  }

  /** Removes what is left of a pod. */
  forget(pod: Pod): void {
    for (const folder of [this.ofPod(pod), this.#logs(pod)]) rmSync(folder, { recursive: true, force: true });
  }

  /** Lets go of what is not below the folder itself. */
  close(): void {
    if (this.#folder !== this.#given) rmSync(dirname(this.#folder), { recursive: true, force: true });
  }

  #logs({ metadata }: Pod): string {
    return join(this.#folder, 'logs', `${metadata.namespace}_${metadata.name}_${metadata.uid}`);
  }
}

/** The same folder by a path that needs no quotes in a script: they seldom quote the paths they are given. */
function withoutBlanks(folder: string): string {
  if (/^[\w./+@%=:,-]+$/.test(folder)) return folder;
  const link = join(mkdtempSync(join(tmpdir(), 'sandbox-')), 'kubelet');
  symlinkSync(folder, link);
  return link;
}
