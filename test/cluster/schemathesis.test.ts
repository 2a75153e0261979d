/** The OpenAPI document held against the gateway by a program of others: https://schemathesis.readthedocs.io */
import assert from 'node:assert/strict';
import { access, mkdir, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { OpenApiDocument } from '../../src/gateway/described/openapi.ts';
import { runProgram } from '../support/program.ts';
import { startWorld, type World } from '../support/world.ts';

/** Both of PyPI. What they find may change with a version, so it is ours to choose when. */
const PACKAGES = { schemathesis: '4.32.5', 'openapi-spec-validator': '0.9.0' };
/** Of each operation; there are about twenty. */
const MOST_EXAMPLES = 150;
const WITHIN_MS = 12 * 60_000;

/** What it may be told beforehand, as its own settings have it. */
const SETTINGS = `
[checks]
enabled = true

# What is refused before its options are read counts as refused.
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "413", "414", "431", "5xx"]

# What no schema can say: /status answers 400 about a run that has failed.
[[operations]]
include-path-regex = "/status"
[operations.checks.positive_data_acceptance]
enabled = false

# A cursor and the token of a page are signed; since and sinceTime exclude each other.
[[operations]]
include-path-regex = "/logs|^/runs|^/triggers"
[operations.checks.positive_data_acceptance]
enabled = false
`;

describe('the OpenAPI document, held against the gateway', function () {
  this.timeout(WITHIN_MS + 5 * 60_000);
  let world: World;
  let programs: string;
  let file: string;

  before(async () => {
    programs = await installed();
    world = await startWorld({ components: ['triggers-read'], env: { MAX_WAIT: '1' } });
    const runs = await Promise.all([world.run('green'), world.run('red')]);
    await Promise.all(runs.map((run) => world.finished(run)));
    const document = (await world.gateway.get('/openapi.json')).json<OpenApiDocument>();
    file = join(world.folder, 'openapi.json');
    await writeFile(file, JSON.stringify(withNames(document, world.namespace, runs)));
  });
  after(() => world?.end());

  it('is valid OpenAPI 3.1', async () => {
    const { code, stdout, stderr } = await runProgram(join(programs, 'openapi-spec-validator'), [file]);
    assert.equal(code, 0, stdout + stderr);
  });

  it('says which answers there are: schemathesis meets no others', async () => {
    const { username, password } = world.gateway.credentials;
    const settings = join(world.folder, 'schemathesis.toml');
    await writeFile(settings, SETTINGS);
    const { code, stdout, stderr } = await runProgram(
      join(programs, 'st'),
      [
        ['--config-file', settings, 'run', file],
        ['--url', world.gateway.url, '--auth', `${username}:${password}`],
        ['--max-examples', String(MOST_EXAMPLES), '--workers', '4', '--seed', '1'],
        ['--phases', 'examples,coverage,fuzzing', '--continue-on-failure', '--request-timeout', '30', '--no-color'],
      ].flat(),
      { withinMs: WITHIN_MS, cwd: world.folder },
    );
    assert.equal(code, 0, `${stdout}\n${stderr}`);
    // How many requests there are is schemathesis' own affair, but a run that tested nothing proves nothing.
    const [sum, tested = '0'] = /(\d+) generated, .*/.exec(stdout) ?? [];
    assert(Number(tested) > 1_000, stdout);
    process.stdout.write(`      ${sum}\n`);
  });
});

/** The document with names that are there, so that not every answer is 404. */
function withNames(document: OpenApiDocument, namespace: string, runs: readonly string[]): OpenApiDocument {
  const { components } = document;
  const { namespace: ofNamespace, name: ofName } = components.parameters;
  assert(ofNamespace && ofName);
  const names = runs.flatMap((run) => [run, `${run}-build`]); // a run, and one of its TaskRuns
  const parameters = {
    ...components.parameters,
    namespace: { ...ofNamespace, examples: { served: { value: namespace } } },
    name: { ...ofName, examples: Object.fromEntries(names.map((name, place) => [`name${place}`, { value: name }])) },
  };
  return { ...document, components: { ...components, parameters } };
}

/** A folder with the programs, installed if they are not there yet. */
async function installed(): Promise<string> {
  const cache = process.env.RUNGATE_CLUSTER_CACHE ?? join(homedir(), '.cache/rungate/cluster');
  const wanted = Object.entries(PACKAGES).map(([name, version]) => `${name}==${version}`);
  const folder = join(cache, `pypi-${Object.values(PACKAGES).join('-')}`);
  const isThere = await access(join(folder, 'installed')).then(
    () => true,
    () => false,
  );
  if (isThere) return join(folder, 'bin');
  await mkdir(cache, { recursive: true });
  await rm(folder, { recursive: true, force: true });
  await program('python3', ['-m', 'venv', folder], 'python3 with venv is needed (of Debian: python3-venv)');
  await program(join(folder, 'bin/pip'), ['install', '--quiet', ...wanted], 'PyPI is needed');
  await writeFile(join(folder, 'installed'), '');
  return join(folder, 'bin');
}

async function program(name: string, args: readonly string[], need: string): Promise<void> {
  const { code, stderr } = await runProgram(name, args, { withinMs: 5 * 60_000 });
  if (code !== 0) throw new Error(`${need}: ${stderr}`);
}
