/** A source's artifact: the files of a commit as a gzipped tar that is the same for the same files, whoever makes it. */
import { createHash } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { compileIgnore } from './ignore.ts';
import type { File } from './repository.ts';

/** What `status.artifact` says of it, without revision and time. */
export interface StoredArtifact {
  readonly digest: string;
  /** Below the folder of all artifacts. */
  readonly path: string;
  readonly size: number;
  /** source-controller serves it over HTTP; here it is a file of this machine. */
  readonly url: string;
}

/** Where an object's artifact goes: `gitrepository/<namespace>/<name>/<commit>.tar.gz`. */
export interface ArtifactPlace {
  readonly folder: string;
  readonly namespace: string;
  readonly name: string;
  readonly commit: string;
}

const zipped = promisify(gzip);

/**
 * Writes the artifact and takes away older ones of the same object. `ignore` is `spec.ignore`. Doing it again writes the
 * same bytes. Files that the ignore rules leave out are not in it.
 */
export async function storeArtifact(
  place: ArtifactPlace,
  files: () => AsyncIterable<File>,
  ignore: string,
): Promise<StoredArtifact> {
  const kept: File[] = [];
  let sourceignore = '';
  for await (const file of files()) {
    if (file.path === '.sourceignore') sourceignore = Buffer.from(file.bytes).toString('utf8');
    kept.push(file);
  }
  const isIgnored = compileIgnore(sourceignore, ignore);
  const bytes = await zipped(tarOf(kept.filter(({ path }) => !isIgnored(path))));
  const path = pathOf(place);
  const target = join(place.folder, path);
  await mkdir(dirname(target), { recursive: true });
  await writeFile(`${target}.new`, bytes);
  await rename(`${target}.new`, target); // whoever reads it meets the old one or the whole new one
  for (const other of await readdir(dirname(target))) {
    if (join(dirname(target), other) !== target) await rm(join(dirname(target), other), { force: true });
  }
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  return { digest, path, size: bytes.length, url: pathToFileURL(target).href };
}

/** Is it still where it was written? */
export async function isStored(folder: string, path: string): Promise<boolean> {
  return stat(join(folder, path)).then(
    (found) => found.isFile(),
    () => false,
  );
}

/** Takes away everything of one object. Nothing happens when there is nothing. */
export async function removeArtifacts({ folder, namespace, name }: Omit<ArtifactPlace, 'commit'>): Promise<void> {
  await rm(join(folder, 'gitrepository', namespace, name), { recursive: true, force: true });
}

function pathOf({ namespace, name, commit }: ArtifactPlace): string {
  return `gitrepository/${namespace}/${name}/${commit}.tar.gz`;
}

const BLOCK = 512;

/** Plain ustar, without owners and times, so that equal files make equal bytes. https://www.gnu.org/software/tar/manual/html_node/Standard.html */
function tarOf(files: readonly File[]): Buffer {
  const folders = new Set<string>();
  for (const { path } of files) {
    const parts = path.split('/');
    for (let depth = 1; depth < parts.length; depth++) folders.add(parts.slice(0, depth).join('/'));
  }
  const entries = [
    ...[...folders].map((path) => ({ path: `${path}/`, mode: 0o755, type: '5', bytes: new Uint8Array() })),
    ...files.map(({ path, isExecutable, bytes }) => ({ path, mode: isExecutable ? 0o755 : 0o644, type: '0', bytes })),
  ].sort((a, b) => (a.path < b.path ? -1 : 1));
  const blocks = entries.flatMap(({ path, mode, type, bytes }) => [
    ...longName(path),
    header(path, mode, type, bytes.length),
    bytes,
    Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK),
  ]);
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]);
}

/** A path that does not fit goes before its entry as a pax record. */
function longName(path: string): Uint8Array[] {
  if (Buffer.byteLength(path) <= 100) return [];
  const text = ` path=${path}\n`;
  let length = Buffer.byteLength(text) + 1;
  while (`${length}`.length + Buffer.byteLength(text) !== length) length += 1;
  const record = Buffer.from(`${length}${text}`);
  return [header('pax', 0o644, 'x', record.length), record, Buffer.alloc((BLOCK - (record.length % BLOCK)) % BLOCK)];
}

function header(path: string, mode: number, type: string, size: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, width: number) => `${value.toString(8).padStart(width - 1, '0')}\0`;
  block.write(path, 0, 100);
  block.write(octal(mode, 8), 100);
  block.write(octal(0, 8), 108);
  block.write(octal(0, 8), 116);
  block.write(octal(size, 12), 124);
  block.write(octal(0, 12), 136);
  block.write(' '.repeat(8), 148); // the checksum counts its own field as blanks
  block.write(type, 156);
  block.write('ustar\x0000', 257, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}
