/** Container images made here: there is no registry to pull from, so the node is handed every image it needs. */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { chmod, copyFile, link, mkdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { run } from './commands.ts';
import { staticBusybox } from './machine.ts';
import { containerdSocket } from './node.ts';
import type { Parts } from './parts.ts';

/** A shell and the usual programs, for steps of tests. */
export const busyboxImage = 'docker.io/library/busybox:1';
/** Holds a pod's namespaces open. `invalid` is a domain that never resolves: a missing image fails at once. */
export const pauseImage = 'rungate.invalid/pause:1';

/** The programs of Tekton that run in pods, each as an image of its own. */
export const tektonPrograms = [
  'controller',
  'webhook',
  'events',
  'entrypoint',
  'nop',
  'sidecarlogresults',
  'workingdirinit',
] as const;

/** The image of one of Tekton's programs. */
export function tektonImage(program: (typeof tektonPrograms)[number], version: string): string {
  return `rungate.invalid/tekton/${program}:${version}`;
}

/** An image to be made from a folder. */
export interface ImageRecipe {
  /** With its tag: `docker.io/library/busybox:1`. */
  readonly name: string;
  /** Its file system. Everything in it will belong to root. */
  readonly root: string;
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
}

/** Makes the archive of all images of the cluster in the cache, once, and returns its path. */
export async function makeImages(cache: string, parts: Parts, tektonVersion: string): Promise<string> {
  const busybox = staticBusybox();
  if (!busybox) throw new Error('busybox-static is not installed, although it was a moment ago');
  const { size, mtimeMs } = await stat(busybox);
  const key = createHash('sha256')
    .update([basename(parts.tekton), tektonVersion, busybox, size, mtimeMs, layout].join())
    .digest('hex')
    .slice(0, 12);
  const folder = join(cache, `images-${key}`);
  const archive = join(folder, 'images.tar');
  if (existsSync(archive)) return archive;
  const half = `${folder}.half`;
  await rm(half, { recursive: true, force: true });
  await mkdir(half, { recursive: true });
  const recipes: ImageRecipe[] = [
    await busyboxRecipe(busybox, join(half, 'busybox')),
    await pauseRecipe(busybox, join(half, 'pause')),
    ...(await Promise.all(
      tektonPrograms.map((program) => tektonRecipe(parts, program, tektonVersion, join(half, program))),
    )),
  ];
  await writeArchive(join(half, 'images.tar'), recipes);
  for (const { root } of recipes) await rm(root, { recursive: true });
  await rename(half, folder);
  return archive;
}

/** Hands every image of a docker archive to the node. Images that are there already are no trouble. */
export async function importImages(folder: string, archive: string): Promise<void> {
  await run('ctr', ['--address', containerdSocket(folder), '--namespace', 'k8s.io', 'images', 'import', archive], {
    timeoutMs: 600_000,
  });
}

/** Writes images as one docker archive: a layer and a configuration each, and a manifest that names them. */
export async function writeArchive(path: string, recipes: readonly ImageRecipe[]): Promise<void> {
  const half = `${path}.half`;
  await rm(half, { recursive: true, force: true });
  await mkdir(half, { recursive: true });
  const manifest = [];
  for (const { name, root, entrypoint, command } of recipes) {
    const layer = join(half, 'layer.tar');
    await run('tar', [
      '--owner=0',
      '--group=0',
      '--numeric-owner',
      '--sort=name',
      '--mtime=@0',
      '-C',
      root,
      '-cf',
      layer,
      '.',
    ]);
    const digest = await hashFile(layer);
    await rename(layer, join(half, `${digest}.tar`));
    const config = JSON.stringify({
      architecture: architecture(),
      os: 'linux',
      config: {
        Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
        Entrypoint: entrypoint,
        Cmd: command,
      },
      rootfs: { type: 'layers', diff_ids: [`sha256:${digest}`] },
    });
    const configName = `${createHash('sha256').update(config).digest('hex')}.json`;
    await writeFile(join(half, configName), config);
    manifest.push({ Config: configName, RepoTags: [name], Layers: [`${digest}.tar`] });
  }
  await writeFile(join(half, 'manifest.json'), JSON.stringify(manifest));
  await run('tar', ['-C', half, '-cf', `${path}.new`, '.']);
  await rename(`${path}.new`, path);
  await rm(half, { recursive: true });
}

/** Changes whenever the layout of the images below does, so that a cached archive is not mistaken for the new one. */
const layout = 1;

async function busyboxRecipe(busybox: string, root: string): Promise<ImageRecipe> {
  await skeleton(root);
  await copyFile(busybox, join(root, 'bin', 'busybox'));
  const applets = (await run(busybox, ['--list'])).split('\n').filter((applet) => applet && applet !== 'busybox');
  for (const applet of applets) await symlink('/bin/busybox', join(root, 'bin', applet));
  await symlink('/bin/env', join(root, 'usr', 'bin', 'env')); // where scripts look for it
  return { name: busyboxImage, root, command: ['sh'] };
}

async function pauseRecipe(busybox: string, root: string): Promise<ImageRecipe> {
  await skeleton(root);
  await copyFile(busybox, join(root, 'bin', 'busybox'));
  return { name: pauseImage, root, entrypoint: ['/bin/busybox', 'sleep', '2147483647'] };
}

async function tektonRecipe(
  parts: Parts,
  program: (typeof tektonPrograms)[number],
  version: string,
  root: string,
): Promise<ImageRecipe> {
  await skeleton(root);
  const path = join(root, 'ko-app', program); // where upstream's images have it, and its own code expects it
  await mkdir(dirname(path), { recursive: true });
  await link(join(parts.tekton, program), path);
  return { name: tektonImage(program, version), root, entrypoint: [`/ko-app/${program}`] };
}

async function skeleton(root: string): Promise<void> {
  for (const folder of ['bin', 'etc', 'home', 'root', 'tmp', 'usr/bin', 'var'])
    await mkdir(join(root, folder), { recursive: true });
  await chmod(join(root, 'tmp'), 0o1777);
  await writeFile(
    join(root, 'etc', 'passwd'),
    'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n',
  );
  await writeFile(join(root, 'etc', 'group'), 'root:x:0:\nnogroup:x:65534:\n');
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return hash.digest('hex');
}

/** Go's name for this machine's processor, which is also what images use. */
function architecture(): string {
  return { x64: 'amd64' }[process.arch as string] ?? process.arch;
}
