/** What a releaser does, as npm scripts: `npm run sbom`, `licenses`, `audit`, `release`, and what `npm version` calls. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { auditText, readAudit } from './audit.ts';
import { billOfMaterials, bomText } from './bom.ts';
import { readChangelog, released } from './changelog.ts';
import { licenseList } from './licenses.ts';
import { type Lockfile, type Manifest, shippedPackages } from './shipped.ts';
import { withVersion } from './version.ts';

const root = join(import.meta.dirname, '..');
const licensesFile = 'THIRD-PARTY-LICENSES.md';

const verbs: Readonly<Record<string, () => void>> = { sbom, licenses, audit, version, release };

const verb = verbs[process.argv[2] ?? ''];
if (verb === undefined) {
  process.stderr.write(`usage: node release/main.ts ${Object.keys(verbs).join('|')}\n`);
  process.exit(2);
}
try {
  verb();
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exit(1);
}

/** Prints the bill of materials of this checkout, with the Node that runs this. */
function sbom(): void {
  process.stdout.write(sbomText());
}

/** Writes the list of licences. */
function licenses(): void {
  writeFileSync(join(root, licensesFile), licensesText());
}

/** Prints what is known of the packages that are shipped; fails where something of it is not explained. */
function audit(): void {
  const { stdout } = spawnSync('npm', ['audit', '--omit=dev', '--json'], { cwd: root, encoding: 'utf8' });
  const { text, isWell } = auditText(readAudit(stdout));
  process.stdout.write(`${text}\n`);
  if (!isWell) process.exitCode = 1;
}

/** After npm has raised the version in package.json: writes it wherever it is repeated, and dates the changelog. */
function version(): void {
  const changed = trackedFiles().filter((path) => {
    const text = readText(path);
    const next = withVersion(path, text, manifest().version);
    if (next !== text) writeFileSync(join(root, path), next);
    return next !== text;
  });
  writeFileSync(
    join(root, 'CHANGELOG.md'),
    released(readText('CHANGELOG.md'), manifest().version, new Date().toISOString().slice(0, 10)),
  );
  git('add', 'CHANGELOG.md', ...changed); // npm commits what is staged
}

/** Makes what is handed out, in .rungate/release, of what is committed: the same commit makes the same bytes. */
function release(): void {
  const { name, version } = manifest();
  if (git('status', '--porcelain') !== '') throw new Error('Commit first: a release is made of what is committed.');
  if (!readChangelog(readText('CHANGELOG.md')).some((section) => section.name === version && section.date)) {
    throw new Error(`CHANGELOG.md has no section of ${version} with its day: npm version writes it.`);
  }
  if (readText(licensesFile) !== licensesText()) throw new Error(`${licensesFile} is old: npm run licenses`);
  const folder = join(root, '.rungate/release');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  // What npm packs is built anew: see prepack.
  execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  writeFileSync(join(folder, `${name}-${version}.cdx.json`), sbomText());
  const sums = [`${name}-${version}.cdx.json`, `${name}-${version}.tgz`].map(
    (file) => `${sha256(join(folder, file))}  ${file}\n`,
  );
  writeFileSync(join(folder, 'SHA256SUMS'), sums.join(''));
  process.stdout.write(`${folder}\n${sums.join('')}`);
}

function sbomText(): string {
  // https://reproducible-builds.org/docs/source-date-epoch/; otherwise the day of the commit, where there is one.
  const seconds = process.env.SOURCE_DATE_EPOCH ?? committedAt();
  const { versions, platform, arch, execPath } = process;
  return bomText(
    billOfMaterials({
      manifest: manifest(),
      lock: lockfile(),
      node: { versions, platform, arch, sha256: sha256(execPath) },
      madeAt: seconds === undefined ? undefined : new Date(Number(seconds) * 1000),
    }),
  );
}

function committedAt(): string | undefined {
  try {
    return git('log', '-1', '--format=%ct') || undefined;
  } catch {
    return undefined; // an image is built without git
  }
}

function licensesText(): string {
  return licenseList(shippedPackages(lockfile()), root);
}

function manifest(): Manifest {
  return JSON.parse(readText('package.json')) as Manifest; // our own; a test reads its fields
}

function lockfile(): Lockfile {
  return JSON.parse(readText('package-lock.json')) as Lockfile; // npm's; what is missing in it is told by path
}

function trackedFiles(): readonly string[] {
  return git('ls-files', '-z').split('\0').filter(Boolean);
}

function git(...args: readonly string[]): string {
  return execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
}

function readText(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

function sha256(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}
