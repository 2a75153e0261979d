/** Imports point one way. This is the map; a new room adds its line here, with what it may rely on. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

/**
 * What each room may import. Keys and values are prefixes of paths below src, without `.ts`; the longest key that fits a
 * file is its room. `type:` allows types only: the thing itself is handed in.
 */
const arrows: Readonly<Record<string, readonly string[]>> = {
  main: [
    'assembly',
    'demo',
    'hash-password',
    'healthcheck',
    'commandline',
    'config',
    'crossdc/env',
    'gateway/logs/cursor',
    'kube/connect',
    'logger',
    'startup',
    'lifecycle',
    'type:log',
    'fault',
    'clock',
  ],
  demo: ['assembly', 'sandbox/', 'kube/connect', 'lifecycle', 'type:config', 'type:log', 'fault', 'clock'],
  'hash-password': ['gateway/callers/passwords', 'gateway/callers/callerfiles', 'prompt', 'fault'],
  healthcheck: ['settings'],
  prompt: ['fault'],
  assembly: [
    'gateway/',
    'hooks/',
    'controllers/',
    'crossdc/',
    'kube/',
    'prometheus',
    'type:config',
    'type:lifecycle',
    'type:log',
    'clock',
  ],
  // Never tekton/status: tests that look at runs of the sandbox would confirm themselves.
  'sandbox/': ['sandbox/', 'type:tekton/types', 'type:lifecycle', 'type:log', 'fault', 'clock'],
  commandline: ['flags', 'settings', 'values'],
  config: ['flags', 'settings', 'values'],
  flags: ['values'],
  settings: ['values'],
  values: [],
  startup: [],
  // What hooks answer, and what came to them: they are handed in.
  'gateway/': [
    'gateway/',
    'type:hooks/',
    'triggers/',
    'tekton/',
    'kube/',
    'leaky',
    'fault',
    'clock',
    'type:lifecycle',
    'type:log',
    'type:metrics',
  ],
  'hooks/': [
    'hooks/',
    'triggers/',
    'tekton/',
    'flux/',
    'kube/',
    'leaky',
    'fault',
    'clock',
    'type:lifecycle',
    'type:log',
    'type:metrics',
  ],
  'controllers/': [
    'controllers/',
    'triggers/',
    'tekton/',
    'flux/',
    'kube/',
    'fault',
    'clock',
    'type:lifecycle',
    'type:log',
    'type:metrics',
  ],
  'triggers/': ['triggers/', 'flux/', 'tekton/project', 'type:tekton/types', 'kube/objects', 'type:kube/store'],
  'crossdc/': ['crossdc/', 'fault', 'clock', 'type:kube/lease', 'type:log', 'type:metrics'],
  'flux/': ['flux/', 'kube/objects', 'fault', 'clock'],
  'tekton/': ['tekton/', 'kube/objects', 'type:kube/lines', 'fault', 'clock'],
  'kube/': ['kube/', 'fault', 'clock', 'type:lifecycle', 'type:log', 'type:metrics'],
  'kube/objects': ['fault', 'clock'],
  'kube/lines': [],
  lifecycle: ['fault', 'clock', 'type:log'],
  logger: ['type:log', 'clock'],
  prometheus: ['type:metrics', 'clock'],
  leaky: ['type:clock'],
  log: [],
  metrics: [],
  clock: [],
  fault: [],
};

interface Import {
  /** Below src without `.ts`; undefined when it leads out of src. */
  readonly to: string | undefined;
  readonly text: string;
  readonly typeOnly: boolean;
}

const sources = globSync('src/**/*.ts').filter((path) => !path.endsWith('.test.ts'));

/** A source without its comments and texts, so that words in them are not taken for code. */
function codeOf(path: string): string {
  return readFileSync(path, 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*|`(?:[^`\\]|\\.)*`/g, '');
}

/** What a source imports, as it is written there. */
function statementsOf(path: string): { readonly text: string; readonly typeOnly: boolean }[] {
  const statements = codeOf(path).matchAll(
    /\b(?:import|export)\s+(type\s+)?(?:[^'";()]*?\sfrom\s+)?'([^']+)'|\bimport\(\s*'([^']+)'/g,
  );
  return [...statements].map(([, typeOnly, named, dynamic]) => ({
    text: named ?? dynamic ?? '',
    typeOnly: typeOnly !== undefined,
  }));
}

function packagesOf(path: string): string[] {
  return statementsOf(path)
    .map(({ text }) => text)
    .filter((text) => !text.startsWith('.'));
}

function importsOf(path: string): Import[] {
  return statementsOf(path)
    .filter(({ text }) => text.startsWith('.'))
    .map(({ text, typeOnly }) => {
      const target = normalize(join(dirname(path), text));
      return { text, typeOnly, to: target.startsWith('src/') ? target.slice(4).replace(/\.ts$/, '') : undefined };
    });
}

function isAllowed({ to, typeOnly }: Import, allowed: readonly string[]): boolean {
  if (to === undefined) return false;
  return allowed.some((arrow) => (arrow.startsWith('type:') ? typeOnly && fits(arrow.slice(5), to) : fits(arrow, to)));
}

function roomOf(path: string): string | undefined {
  const file = path.slice(4).replace(/\.ts$/, '');
  return Object.keys(arrows)
    .filter((room) => fits(room, file))
    .sort((a, b) => b.length - a.length)[0];
}

function fits(room: string, file: string): boolean {
  return room.endsWith('/') ? file.startsWith(room) : file === room;
}

describe('the arrows between rooms', () => {
  it('every file is in a room', () => {
    assert.deepEqual(
      sources.filter((path) => roomOf(path) === undefined),
      [],
    );
  });

  it('no imports lead back to where they come from, those of types included', () => {
    let circling = sources;
    for (let before = Number.POSITIVE_INFINITY; circling.length < before; ) {
      before = circling.length;
      const files = new Set(circling.map((path) => path.slice(4).replace(/\.ts$/, '')));
      circling = circling.filter((path) => importsOf(path).some(({ to }) => to !== undefined && files.has(to)));
    }
    assert.deepEqual(circling, []);
  });

  for (const [room, allowed] of Object.entries(arrows)) {
    it(`${room} imports ${allowed.length === 0 ? 'nothing of ours' : `only ${allowed.join(', ')}`}`, () => {
      const wrong = sources
        .filter((path) => roomOf(path) === room)
        .flatMap((path) =>
          importsOf(path)
            .filter((found) => !isAllowed(found, allowed))
            .map(({ text }) => `${path}: ${text}`),
        );
      assert.deepEqual(wrong, []);
    });
  }

  it('point one way: no room is reached again from what it may import', () => {
    const around = Object.keys(arrows).filter((room) => reachable(room).has(room));
    assert.deepEqual(around, []);
  });

  it('lead out of src only to packages that are installed with it', () => {
    const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as { dependencies: Record<string, string> };
    const found = sources.flatMap((path) => packagesOf(path).map((name) => ({ path, name })));
    const wrong = found.filter(({ name }) => {
      const [scope = '', rest = ''] = name.split('/');
      const own = scope.startsWith('@') ? `${scope}/${rest}` : scope;
      return !name.startsWith('node:') && manifest.dependencies[own] === undefined;
    });
    assert.deepEqual(wrong, []);
  });

  it('only main reads the environment, arguments and signals, or ends the process', () => {
    const found = sources
      .filter((path) => path !== 'src/main.ts')
      .flatMap((path) =>
        // The sandbox's kubelet ends the processes that it has started, and no others.
        [...codeOf(path).matchAll(/\bprocess\.(?:env|argv|on|once|exit|exitCode|kill|stdin)\b/g)]
          .filter(([what]) => what !== 'process.kill' || !path.startsWith('src/sandbox/life/kubelet/'))
          .map(([what]) => `${path}: ${what}`),
      );
    assert.deepEqual(found, []);
  });
});

/** Rooms reached from one, itself only if an arrow leads back. Files within a room may know each other. */
function reachable(from: string): Set<string> {
  const reached = new Set<string>();
  const next = [from];
  for (let room = next.pop(); room !== undefined; room = next.pop()) {
    const targets = (arrows[room] ?? []).map((arrow) => arrow.replace('type:', ''));
    const fresh = targets.filter((target) => target !== room && !reached.has(target));
    for (const target of fresh) reached.add(target);
    next.push(...fresh);
  }
  return reached;
}
