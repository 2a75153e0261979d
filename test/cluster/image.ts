/**
 * rungate's own image, built from the Dockerfile by buildah, which needs no engine, and handed to the node. What it stands
 * on is made here (`imagebase.ts`).
 */
import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { Fault } from '../../src/fault.ts';
import { connect } from './cluster.ts';
import { ask, run } from './commands.ts';
import { type Buildah, baseImage, makeBases, mountsOfBuild, nodeImage } from './imagebase.ts';
import { importImages } from './images.ts';
import { holdLock } from './lock.ts';
import { type Progress, showProgress } from './progress.ts';

const checkout = join(import.meta.dirname, '../..');

/** What the Dockerfile reads, as its .dockerignore has it, and what builds it. */
const ingredients = [
  'test/cluster/image.ts',
  'test/cluster/imagebase.ts',
  'Dockerfile',
  '.dockerignore',
  'LICENSE',
  'THIRD-PARTY-LICENSES.md',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'bin/**/*',
  'k8s/crds/*',
  'release/**/*',
  'src/**/*',
];

/** What is run, and the Debian package of each. */
const needed = ['buildah', 'debootstrap'] as const;

/** Longer than it takes somebody else to make everything from nothing on a busy machine. */
const patienceMs = 30 * 60_000;

/** What its label says of the revision. Not the commit's: an image would be another one with each of them. */
export const testRevision = 'test';

/** The image, where pods of the cluster can use it. */
export interface RaisedImage {
  /** As pods name it, `rungate:0.1.0`, with an imagePullPolicy of IfNotPresent. */
  readonly reference: string;
  /** The same as a docker archive. */
  readonly archive: string;
  /** Follows from what it is made of. */
  readonly key: string;
}

/**
 * Builds the image, unless it is there and nothing of it has changed, and hands it to the node. From nothing that takes some
 * minutes, after a change of the source one, else no time. Several processes may ask at once: one of them builds.
 *
 * Faults: `refused` where the cluster or the machine is not ours; `unavailable` with what buildah said.
 */
export async function raiseImage(): Promise<RaisedImage> {
  const { own } = await connect();
  if (own === undefined || process.getuid?.() !== 0) {
    throw new Fault('refused', 'The image is built for a cluster of our own, as root: this one is not, or we are not.');
  }
  const progress = showProgress(process.stderr);
  const { folder } = own;
  const { cache } = own.settings;
  const note = join(folder, 'image-imported');
  const isImported = async (key: string) => (await readFile(note, 'utf8').catch(() => '')) === key;

  const key = fingerprint();
  const raised = { reference: reference(), archive: join(cache, `image-${key}`, 'image.tar'), key };
  if (existsSync(raised.archive) && (await isImported(key))) return raised;

  const onWait = () => progress.say('Another suite builds the image: waiting for it to end.');
  await using _lock = await holdLock({ of: 'image', patienceMs, onWait });
  if (!existsSync(raised.archive)) {
    await installPrograms(progress);
    const { buildah } = await makeBases(cache, checkout, progress);
    await progress.during(`building the image ${raised.reference}`, () => build(buildah, raised));
    await removeOthers(cache, key);
  }
  if (!(await isImported(key))) {
    await importImages(folder, raised.archive);
    await writeFile(note, key);
  }
  return raised;
}

/** `rungate:` and the version of package.json. */
function reference(): string {
  const { version }: { version: string } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8'));
  return `rungate:${version}`;
}

function fingerprint(): string {
  const files = globSync(ingredients, { cwd: checkout, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.test.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  const hash = createHash('sha256');
  for (const file of files) hash.update(file.slice(checkout.length)).update('\0').update(readFileSync(file));
  return hash.digest('hex').slice(0, 12);
}

async function installPrograms(progress: Progress): Promise<void> {
  const missing: string[] = [];
  for (const program of needed) if ((await ask(program, ['--version'])) === undefined) missing.push(program);
  if (missing.length === 0) return;
  await progress.during(`installing ${missing.join(' ')}`, async () => {
    const options = { env: { DEBIAN_FRONTEND: 'noninteractive' }, timeoutMs: 900_000, outlivesUs: true };
    await run('apt-get', ['update', '-q'], options);
    await run('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...missing], options);
  });
}

/** Builds as a person would, apart from the bases; layers that nothing has changed in are taken from the last time. */
async function build(buildah: Buildah, { archive, reference: name }: RaisedImage): Promise<void> {
  const folder = dirname(archive);
  const half = `${folder}.half`;
  await rm(half, { recursive: true, force: true });
  await mkdir(half, { recursive: true });
  const options = {
    isolation: 'chroot', // no engine, no container of its own
    format: 'docker', // OCI's own has no HEALTHCHECK
    layers: 'true',
    pull: 'never',
    tag: `docker.io/library/${name}`, // what a kubelet makes of the short name
  };
  const values = { NODE_IMAGE: nodeImage, BASE_IMAGE: baseImage, REVISION: testRevision };
  await buildah(
    'build',
    ...Object.entries(options).map(([option, value]) => `--${option}=${value}`),
    ...Object.entries(values).map(([name, value]) => `--build-arg=${name}=${value}`),
    ...mountsOfBuild(homedir()).map((mount) => `--volume=${mount}:ro`),
    '.',
  );
  await buildah('push', options.tag, `docker-archive:${join(half, 'image.tar')}:${options.tag}`);
  await rename(half, folder);
}

/** One of them is enough: each is as large as all it was made of. */
async function removeOthers(cache: string, key: string): Promise<void> {
  for (const entry of await readdir(cache)) {
    if (entry.startsWith('image-') && entry !== `image-${key}`) {
      await rm(join(cache, entry), { recursive: true, force: true });
    }
  }
}
