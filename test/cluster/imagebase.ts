/**
 * What our image stands on, made here because there is no registry to pull it from: Debian without what an image of it leaves
 * out, and the same with the checkout's own Node.js and with npm. They take the place of the Dockerfile's NODE_IMAGE and
 * BASE_IMAGE.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Fault } from '../../src/fault.ts';
import { ask, run } from './commands.ts';
import type { Progress } from './progress.ts';

/** In the place of BASE_IMAGE. */
export const baseImage = 'rungate.invalid/debian:bookworm-slim';
/** In the place of NODE_IMAGE. */
export const nodeImage = 'rungate.invalid/node:24-bookworm-slim';

/** The release of Debian that the Dockerfile's own defaults name. */
const release = 'bookworm';

/** Where a certificate authority of this machine is trusted, in the image as well. */
const authorities = '/etc/ssl/certs/ca-certificates.crt';

/** What images of Debian leave out: nobody reads a manual there. The nodes of `dev` are made by whoever runs it. */
const leftOut = [
  'dev/*',
  'usr/share/doc/*',
  'usr/share/info/*',
  'usr/share/locale/*',
  'usr/share/man/*',
  'var/cache/apt/*',
  'var/lib/apt/lists/*',
  'var/log/*',
];

/** Changes whenever what follows does, so that cached images are not mistaken for the new ones. */
const layout = 3;

/** buildah, on a store of ours: images and layers lie there and nowhere else. */
export type Buildah = (...args: readonly string[]) => Promise<string>;

/**
 * Makes both, once, and resolves with buildah on the store that they are in, which lies in the cache: about a minute. Needs
 * root, buildah and debootstrap.
 */
export async function makeBases(
  cache: string,
  checkout: string,
  progress: Progress,
): Promise<{ readonly buildah: Buildah; readonly key: string }> {
  const node = join(checkout, 'node_modules', 'node', 'bin', 'node');
  const npm = (await run('npm', ['--version'])).trim();
  const registry = (await run('npm', ['config', 'get', 'registry'], { cwd: checkout })).trim();
  const version = (await run(node, ['--version'])).trim();
  const driver = await layerDriver(cache);
  const key = createHash('sha256')
    .update([version, npm, registry, release, leftOut, driver, layout, process.arch].join())
    .digest('hex')
    .slice(0, 12);
  const store = join(cache, `buildah-${key}`);
  const place = ['--root', store, '--runroot', `${store}.run`, '--storage-driver', driver];
  const buildah: Buildah = (...args) => run('buildah', [...place, ...args], { cwd: checkout, timeoutMs: 1_200_000 });

  const made = join(store, 'made');
  if (existsSync(made)) return { buildah, key };
  for (const entry of await readdir(cache)) if (entry.startsWith('buildah-')) await clear(join(cache, entry));
  await progress.during(`making Debian ${release} and Node.js ${version} as images`, async () => {
    await makeImage(buildah, 'scratch', baseImage, bootstrap);
    await makeImage(buildah, baseImage, nodeImage, async (root) => {
      await copyFile(node, join(root, 'usr/local/bin/node'));
      await addNpm(root, npm, registry);
    });
  });
  await writeFile(made, '');
  return { buildah, key };
}

/** Removes a store: what is still mounted in it would keep it. */
async function clear(store: string): Promise<void> {
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' ')[1] ?? '');
  // The last one first: it may lie in another one.
  for (const path of mounts.filter((each) => each.startsWith(`${store}/`)).reverse()) await run('umount', [path]);
  await rm(store, { recursive: true, force: true });
}

/** Layers as overlays where the file system can bear them, else as whole copies, which take longer. */
async function layerDriver(cache: string): Promise<'overlay' | 'vfs'> {
  await mkdir(cache, { recursive: true });
  const kind = await ask('stat', ['-f', '-c', '%T', cache]);
  return kind !== undefined && /^(?:ext2\/ext3|xfs|btrfs)$/.test(kind.trim()) ? 'overlay' : 'vfs';
}

/** An image of what `fill` puts into the file system of another one. */
async function makeImage(
  buildah: Buildah,
  from: string,
  name: string,
  fill: (root: string) => Promise<void>,
): Promise<void> {
  const container = (await buildah('from', '--pull=never', from)).trim();
  await fill((await buildah('mount', container)).trim());
  await buildah('commit', '--rm', container, name);
}

async function bootstrap(root: string): Promise<void> {
  const mirror = await ownMirror();
  const where = mirror === undefined ? [] : [mirror];
  await run('debootstrap', ['--variant=minbase', release, root, ...where], { timeoutMs: 900_000 });
  await run('sh', ['-c', `cd "$0" && rm -rf ${leftOut.join(' ')}`, root]);
}

/** Where this machine gets packages of that release from; undefined where it has another one, and debootstrap knows where. */
async function ownMirror(): Promise<string | undefined> {
  const targets = await run('apt-get', [
    'indextargets',
    '--format',
    '$(CODENAME) $(COMPONENT) $(SITE)',
    'Created-By: Packages',
  ]);
  const [, , site] =
    targets
      .split('\n')
      .find((line) => line.startsWith(`${release} main `))
      ?.split(' ') ?? [];
  return site;
}

/** npm is a package of itself, with all that it needs inside. */
async function addNpm(root: string, version: string, registry: string): Promise<void> {
  const home = join(root, 'usr/local/lib/node_modules/npm');
  await mkdir(home, { recursive: true });
  const pack = ['pack', `npm@${version}`, '--json', '--pack-destination', home];
  const [packed] = JSON.parse(await run('npm', pack)) as { readonly filename: string }[];
  if (packed === undefined) throw new Fault('unavailable', `npm pack npm@${version} packed nothing`);
  const archive = join(home, packed.filename);
  await run('tar', ['-xzf', archive, '-C', home, '--strip-components=1', '--no-same-owner']);
  await rm(archive);
  for (const program of ['npm', 'npx']) {
    await symlink(`../lib/node_modules/npm/bin/${program}-cli.js`, join(root, 'usr/local/bin', program));
  }
  // As on this machine: whom npm asks, and by whose certificates. The bundle itself is mounted when something is built.
  const trust = existsSync(authorities) ? `cafile=${authorities}\n` : '';
  await writeFile(join(home, 'npmrc'), `registry=${registry}\n${trust}`);
}

/** What a build has to see of this machine, as `from:to`: its names, whom it trusts, and npm's settings of this user. */
export function mountsOfBuild(home: string): readonly string[] {
  const own = join(home, '.npmrc');
  return [
    ...['/etc/resolv.conf', authorities].filter((path) => existsSync(path)).map((path) => `${path}:${path}`),
    ...(existsSync(own) ? [`${own}:/usr/local/etc/npmrc`] : []),
  ];
}
