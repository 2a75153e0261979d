/**
 * The programs of the cluster, built from source by Go, once.
 *
 * Each folder of `parts/` is a Go module that names programs as tools. What is built lies in the cache under
 * a name that follows from its go.mod, go.sum and flags, so a changed version is a new part and an unchanged
 * one is never built twice.
 *
 * The cluster is raised from `Parts`. What tests run beside it is built after them, and missed by none of them: tkn when the
 * cluster is raised, Helm when it is first asked for.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Fault } from '../../src/fault.ts';
import { ask, run } from './commands.ts';
import { isAlive, logPath, running, start, stop } from './processes.ts';
import type { Progress } from './progress.ts';
import { eventually } from './waiting.ts';

/** The oldest Go that builds every part. */
const goNeeded = '1.26.4';

/** A build that takes longer hangs, or needs a better machine. */
const buildLimitMs = 2 * 60 * 60_000;

/** One Go module of `parts/`, and what of it we use. */
interface Recipe {
  /** Go's linker sets these variables. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Programs whose module path names them badly: built name to wanted name. */
  readonly rename?: Readonly<Record<string, string>>;
  /** A folder of the upstream module that belongs to the part: YAML to apply. */
  readonly yaml?: { readonly module: string; readonly folder: string };
}

const recipes = {
  etcd: { rename: { server: 'etcd' } },
  kubernetes: {
    // Without these, clients are told that the server is v0.0.0.
    variables: {
      'k8s.io/component-base/version.gitVersion': 'v1.34.4',
      'k8s.io/component-base/version.gitMajor': '1',
      'k8s.io/component-base/version.gitMinor': '34',
    },
  },
  tekton: { yaml: { module: 'github.com/tektoncd/pipeline', folder: 'config' } },
  flux: { yaml: { module: 'github.com/fluxcd/source-controller', folder: 'config/crd/bases' } },
  tkn: {},
  helm: {
    // The version of Kubernetes is that which templates are told where no cluster is asked: v1.20 without this.
    variables: {
      'helm.sh/helm/v3/internal/version.version': 'v3.19.0',
      'helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor': '1',
      'helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor': '34',
      'helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor': '1',
      'helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor': '34',
    },
  },
} satisfies Record<string, Recipe>;

/** What is built here. */
export type PartName = keyof typeof recipes;

/** Where each part that a cluster is raised from lies: a folder with its programs, and with upstream's YAML in `yaml/` if it has any. */
export type Parts = Readonly<Record<Exclude<PartName, 'tkn' | 'helm'>, string>>;

const names = Object.keys(recipes) as PartName[];
const clusterNames = names.filter((name) => name !== 'tkn' && name !== 'helm');

/** Where the parts belong, whether built or not. */
export async function partFolders(cache: string): Promise<Parts> {
  const folders = await Promise.all(clusterNames.map(async (name) => [name, await partFolder(cache, name)] as const));
  return Object.fromEntries(folders) as Record<keyof Parts, string>;
}

/** The path of tkn, Tekton's own command line; undefined where it was not built. */
export async function builtTkn(cache: string): Promise<string | undefined> {
  const file = join(await partFolder(cache, 'tkn'), 'tkn');
  return existsSync(file) ? file : undefined;
}

async function partFolder(cache: string, name: PartName): Promise<string> {
  return join(cache, `${name}-${await fingerprint(name)}`);
}

/** The version of a module in a part, as its go.mod has it: `v1.15.0`. */
export async function moduleVersion(name: PartName | 'triggers', module: string): Promise<string> {
  const mod = await readFile(join(source(name), 'go.mod'), 'utf8');
  const line = mod.split('\n').find((text) =>
    text
      .trim()
      .replace(/^require /, '')
      .startsWith(`${module} v`),
  );
  if (!line) throw new Fault('internal', `parts/${name}/go.mod does not require ${module}.`);
  return (
    line
      .trim()
      .replace(/^require /, '')
      .split(' ')[1] ?? ''
  );
}

/** Builds what is missing and returns where everything is. A build that fails or is killed leaves no part behind. */
export async function buildParts(cache: string, progress: Progress): Promise<Parts> {
  const folders = await partFolders(cache);
  await clearLeftovers(cache);
  const missing = clusterNames.filter((name) => !existsSync(folders[name]));
  if (missing.length === 0) return folders;
  await requireGo();
  progress.say(
    `To be built, once: ${missing.join(', ')}. All four from nothing take about 10 minutes on two idle cores.`,
  );
  for (const [place, name] of missing.entries()) {
    const rest = missing.slice(place + 1);
    const left = rest.length > 0 ? `, then ${rest.join(', ')}` : '';
    await progress.during(`building ${name} (${place + 1} of ${missing.length}${left})`, () =>
      build(cache, name, folders[name]),
    );
  }
  return folders;
}

/** Builds tkn if it is missing. A build that fails is told and keeps nobody from the cluster: suites that need tkn say that it lacks. */
export async function buildTkn(cache: string, progress: Progress): Promise<void> {
  const folder = await partFolder(cache, 'tkn');
  if (existsSync(folder)) return;
  await requireGo();
  try {
    await progress.during('building tkn, for tests alone', () => build(cache, 'tkn', folder));
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'unavailable') throw error;
    progress.say(error.message);
  }
}

/**
 * The path of helm, which is built if it is missing: nothing of the cluster needs it, so only who asks for it waits.
 *
 * While another process builds it, waits for that one. Throws a Fault `unavailable` where Go cannot build it.
 */
export async function raiseHelm(cache: string, progress: Progress): Promise<string> {
  const folder = await partFolder(cache, 'helm');
  const isThere = async () => existsSync(folder) || undefined;
  if (running(cache, buildName('helm'))) {
    const isOver = async () => running(cache, buildName('helm')) === undefined || undefined;
    await eventually('another build of helm', buildLimitMs, isOver, 500);
    await eventually('what it built', 10_000, isThere).catch(() => {}); // one that failed leaves nothing: ours will say why
  }
  if (!(await isThere())) {
    await requireGo();
    await progress.during('building helm, for tests alone', () => build(cache, 'helm', folder));
  }
  return join(folder, 'helm');
}

/**
 * Fetches the definitions of Tekton Triggers' kinds if they are missing, and returns the folder in which they lie. Of that module
 * nothing is built. Undefined where Go does not get it: that is told and keeps nobody from the cluster, as with tkn.
 */
export async function fetchTriggers(cache: string, progress: Progress): Promise<string | undefined> {
  const module = 'github.com/tektoncd/triggers';
  const version = await moduleVersion('triggers', module);
  const folder = join(cache, `triggers-${version}`);
  if (existsSync(folder)) return folder;
  await requireGo();
  try {
    await progress.during('fetching the kinds of Tekton Triggers', async () => {
      // go.sum beside it says what the module has to be.
      const download = ['mod', 'download', '-json', `${module}@${version}`];
      const { Dir } = JSON.parse(await run('go', download, { cwd: source('triggers'), env: goEnvironment }));
      const config = join(Dir, 'config');
      const half = `${folder}.half`;
      await mkdir(half, { recursive: true });
      const definitions = (await readdir(config)).filter((file) => file.startsWith('300-'));
      for (const file of definitions) await writeFile(join(half, file), await readFile(join(config, file)));
      await rename(half, folder);
    });
    return folder;
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'unavailable') throw error;
    progress.say(error.message);
    return undefined;
  }
}

/** The build that this process has started and not yet seen the end of. */
let building: { readonly cache: string; readonly name: PartName } | undefined;

/** Ends the build that this process began, if there is one: for the moment when we are interrupted. */
export async function stopOwnBuild(): Promise<void> {
  if (building) await stop(building.cache, buildName(building.name), 5000);
  building = undefined;
}

/** Ends a build that outlived the `up` which began it, and removes what it left half done. */
export async function clearLeftovers(cache: string): Promise<void> {
  for (const name of names) await stop(cache, buildName(name), 5000);
  const entries = existsSync(cache) ? await readdir(cache) : [];
  for (const entry of entries.filter((text) => text.endsWith('.half')))
    await rm(join(cache, entry), { recursive: true, force: true });
}

async function build(cache: string, name: PartName, folder: string): Promise<void> {
  const recipe: Recipe = recipes[name];
  const half = `${folder}.half`;
  await mkdir(half, { recursive: true });
  await rm(logPath(cache, buildName(name)), { force: true });
  // As a recorded process: an `up` that is killed leaves Go building, and the next one must know whom to stop.
  building = { cache, name };
  const identity = await start(cache, {
    name: buildName(name),
    file: 'go',
    args: ['build', ...flags(name), '-o', `${half}/`, 'tool'],
    env: goEnvironment,
    cwd: source(name),
  }).catch(() => undefined); // one that ends at once has failed, and its log says why
  await eventually(
    `Go to build ${name}`,
    buildLimitMs,
    async () => identity === undefined || !isAlive(identity) || undefined,
    200,
  );
  await stopOwnBuild();
  const built = await readdir(half);
  // Go writes programs in the end, all or none of each; `tool` lines say how many there should be.
  if (built.length < (await toolCount(name))) throw await buildFailed(cache, name);
  for (const [from, to] of Object.entries(recipe.rename ?? {})) await rename(join(half, from), join(half, to));
  if (recipe.yaml) {
    const moduleFolder = (
      await run('go', ['list', '-m', '-f', '{{.Dir}}', recipe.yaml.module], { cwd: source(name), env: goEnvironment })
    ).trim();
    await cp(join(moduleFolder, recipe.yaml.folder), join(half, 'yaml'), { recursive: true });
    // Go keeps its modules read-only; the next `rm` of the cache should not need to know.
    await run('chmod', ['-R', 'u+w', join(half, 'yaml')]);
  }
  await rename(half, folder);
}

/** Whether a build runs at this moment; for `status`. */
export function buildingNow(cache: string): PartName | undefined {
  return names.find((name) => running(cache, buildName(name)));
}

const goEnvironment = {
  CGO_ENABLED: '0',
  GOFLAGS: '', // the machine's own must not change what is built
  GOWORK: 'off',
  GOTOOLCHAIN: 'local', // the Go that is here, never one fetched on the side
};

function flags(name: PartName): string[] {
  const recipe: Recipe = recipes[name];
  const variables = Object.entries(recipe.variables ?? {}).map(([variable, value]) => `-X ${variable}=${value}`);
  return ['-trimpath', '-buildvcs=false', '-ldflags', ['-s', '-w', ...variables].join(' ')];
}

function buildName(name: PartName): string {
  return `build-${name}`;
}

function source(name: PartName | 'triggers'): string {
  return join(import.meta.dirname, 'parts', name);
}

async function fingerprint(name: PartName): Promise<string> {
  // A part may have a program of its own beside those that its modules bring.
  const own = (await readdir(source(name))).filter((file) => file.endsWith('.go')).sort();
  const files = await Promise.all(['go.mod', 'go.sum', ...own].map((file) => readFile(join(source(name), file))));
  const hash = createHash('sha256');
  for (const file of files) hash.update(file);
  return hash.update(flags(name).join(' ')).update(process.arch).digest('hex').slice(0, 12);
}

async function toolCount(name: PartName): Promise<number> {
  return (await run('go', ['list', 'tool'], { cwd: source(name), env: goEnvironment })).trim().split('\n').length;
}

async function buildFailed(cache: string, name: PartName): Promise<Fault> {
  const path = logPath(cache, buildName(name));
  const log = await readFile(path, 'utf8').catch(() => '');
  return new Fault(
    'unavailable',
    `Go could not build ${name}. All it said is in ${path}; the end of it:\n${log.trimEnd().split('\n').slice(-10).join('\n')}`,
  );
}

async function requireGo(): Promise<void> {
  const said = await ask('go', ['env', 'GOVERSION'], { env: goEnvironment });
  const version = said?.trim().replace(/^go/, '');
  const advice = `The cluster's programs are built from source: install Go ${goNeeded} or newer, put \`go\` on the PATH, and run this again.`;
  if (version === undefined) throw new Fault('refused', `Go is not installed. ${advice}`);
  if (isOlder(version, goNeeded)) throw new Fault('refused', `Go ${version} is too old. ${advice}`);
}

/** Compares dotted versions by number; anything after the numbers (`rc1`) is ignored. */
function isOlder(version: string, than: string): boolean {
  const [left, right] = [version, than].map((text) =>
    text.split('.').map((digits) => Number.parseInt(digits, 10) || 0),
  );
  for (const [place, wanted] of (right ?? []).entries()) {
    const has = left?.[place] ?? 0;
    if (has !== wanted) return has < wanted;
  }
  return false;
}
