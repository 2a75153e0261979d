/**
 * `npm run test:cluster [-- file ... --grep TEXT]`: raises the cluster, or finds it, and runs every suite that needs one,
 * each in a process of its own; those of sandboxes, and those of the controllers, run beside the others, but those that stop
 * the kubelet beside none of the cluster. Prints as they go; ends with what was not run and why, and with the sums.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { globSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openAdmin } from '../support/admin.ts';
import { cacheVariable, groundVariable, kubectlVariable, tknVariable } from '../support/ground.ts';
import { capabilitiesVariable } from '../support/needs.ts';
import { oneFailure, type Results, readResults, resultsVariable, writeResults } from '../support/results.ts';
import { removeLeftNamespaces } from '../support/world.ts';
import { connect } from './cluster.ts';

/** Long enough for a slow machine; a suite that takes longer hangs. */
const suiteLimitMs = 40 * 60_000;
const testLimitMs = 10 * 60_000;

const { values, positionals } = parseArgs({
  options: { grep: { type: 'string', short: 'g' }, help: { type: 'boolean', short: 'h' } },
  allowPositionals: true,
});

if (values.help) {
  process.stdout.write(`usage: npm run test:cluster [-- file ...] [--grep TEXT]

Raises a real cluster (npm run cluster -- up), or uses the one of RUNGATE_CLUSTER=existing KUBECONFIG=<file>, and runs the
suites against it: all of test/cluster, test/contract and test/e2e, or the files given. Those of test/e2e whose world can
stand in a sandbox as well are run there too. The cluster stays up for the next time; npm run cluster -- down takes it down.
Result files go to RESULTS_DIR (.rungate/results).
`);
  process.exit(0);
}

/** Suites that need no more of their world than a sandbox has, but for those that `npm test` runs in one, whole. */
const alsoInSandbox = [
  'described',
  'examples',
  'formats',
  'fuzz',
  'hooks-article',
  'hooks-faults',
  'hooks-fuzz',
  'hooks-storm',
  'log-options',
  'logs',
  'long-logs',
  'rbac',
  'recipes',
  'restart',
  'runs',
  'second-cluster',
  'soak',
  'status',
  'trigger-elections',
  'trigger-examples',
  'trigger-kills',
  'triggers-flux',
].map((name) => `test/e2e/${name}.test.ts`);

/** Suites whose flows are the same with CACHE=off, which they are run with once more, in a sandbox. */
const alsoWithoutCaches = ['endings', 'faults', 'logs', 'runs', 'status'].map((name) => `test/e2e/${name}.test.ts`);

/** A file, and what its world stands on. */
interface Suite {
  readonly file: string;
  readonly ground: 'cluster' | 'sandbox';
  readonly cache: 'on' | 'off';
}

const files =
  positionals.length > 0
    ? positionals
    : globSync(['test/cluster/**/*.test.ts', 'test/contract/**/*.test.ts', 'test/e2e/**/*.test.ts']).sort();
const suites: readonly Suite[] = [
  ...files.map((file) => ({ file, ground: 'cluster', cache: 'on' }) as const),
  ...files
    .filter((file) => alsoInSandbox.includes(file))
    .map((file) => ({ file, ground: 'sandbox', cache: 'on' }) as const),
  ...files
    .filter((file) => alsoWithoutCaches.includes(file))
    .map((file) => ({ file, ground: 'sandbox', cache: 'off' }) as const),
];
/**
 * Suites that restart the kubelet, or have it rotate logs soon: meanwhile connections to pods break, pods that are well are not ready
 * for a moment, and logs of others are cut short.
 */
const isAlone = ({ file }: Suite) => /cluster\/(?:cluster|rotation)\.[^/]*$/.test(file);
/**
 * Suites of the controllers, of hooks and of installing: what others do to the cluster meanwhile (Tekton's flags) makes no difference
 * to them.
 */
const isOfControllers = ({ file }: Suite) =>
  /\/(?:trigger|hooks|crossdc|credentials|crds|history|second-cluster|rbac-|recipes-|chart|image|install|migrate|monitoring)[^/]*$/.test(
    file,
  );
const folder = process.env.RESULTS_DIR ?? '.rungate/results';
const titleOf = ({ file, ground, cache }: Suite) =>
  `${file}${ground === 'sandbox' ? ' in a sandbox' : ''}${cache === 'off' ? ' without caches' : ''}`;
const resultsOf = (suite: Suite) => join(folder, `${titleOf(suite).replace(/\W+/g, '-')}.json`);

const children = new Set<ChildProcess>();
let interrupted: NodeJS.Signals | undefined;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // From a terminal the child has had the signal already, and mocha ends its hooks and worlds; a second one hurries it.
    if (signal === 'SIGTERM' || interrupted) for (const child of children) child.kill(signal);
    interrupted = signal;
  });
}

// Not left to end by itself: see test/support/leave.ts.
process.exit(await main());

async function main(): Promise<number> {
  mkdirSync(folder, { recursive: true });
  for (const old of globSync('*.json', { cwd: folder })) rmSync(join(folder, old));
  // Written first: whatever ends this process, a suite that did not run counts as a failure.
  for (const suite of suites) writeResults(resultsOf(suite), oneFailure(`${titleOf(suite)} did not run`));

  if ((await runNode(['test/cluster/cli.ts', 'up'], {})) !== 0) return 1;
  const cluster = await connect();
  await removeLeftNamespaces(await openAdmin(cluster.kubeconfig));
  const env = {
    [capabilitiesVariable]: JSON.stringify(cluster.capabilities),
    [kubectlVariable]: cluster.kubectl.file,
    ...(cluster.tkn === undefined ? {} : { [tknVariable]: cluster.tkn }),
  };
  let begun = 0;
  const lane = async (
    isIn: (suite: Suite) => boolean,
    say: (suite: Suite, title: string) => Promise<void>,
  ): Promise<void> => {
    for (const suite of suites.filter(isIn)) {
      if (interrupted) return;
      begun += 1;
      await say(suite, `\n${titleOf(suite)} (${begun} of ${suites.length})\n`);
    }
  };
  const envOf = ({ ground, cache }: Suite) => ({ ...env, [groundVariable]: ground, [cacheVariable]: cache });
  const whenOver = async (suite: Suite, title: string): Promise<void> => {
    const printed: Buffer[] = [];
    await runSuite(suite, envOf(suite), (piece) => printed.push(piece));
    process.stdout.write(`${title}${Buffer.concat(printed)}`);
  };
  const asItGoes = async (suite: Suite, title: string): Promise<void> => {
    process.stdout.write(title);
    await runSuite(suite, envOf(suite));
  };
  const onCluster = async (): Promise<void> => {
    const isOn = (suite: Suite) => suite.ground === 'cluster' && !isAlone(suite);
    await lane((suite) => suite.ground === 'cluster' && isAlone(suite), asItGoes);
    await Promise.all([
      lane((suite) => isOn(suite) && !isOfControllers(suite), asItGoes),
      lane((suite) => isOn(suite) && isOfControllers(suite), whenOver),
    ]);
  };
  // Suites of the cluster mostly wait for it: others run meanwhile, each printed when it is over.
  await Promise.all([onCluster(), lane((suite) => suite.ground === 'sandbox', whenOver)]);
  return sumUp();
}

/** `print`: what takes the suite's output; our own does unless told. */
async function runSuite(
  suite: Suite,
  env: Readonly<Record<string, string>>,
  print?: (piece: Buffer) => void,
): Promise<void> {
  const { file } = suite;
  const results = resultsOf(suite);
  writeResults(results, oneFailure(`${titleOf(suite)} wrote no results: it did not load, or was ended`));
  const grep = values.grep === undefined ? [] : ['--grep', values.grep];
  const options = [
    '--no-config',
    '--require',
    './test/support/leave.ts',
    '--forbid-only',
    '--timeout',
    String(testLimitMs),
    '--reporter',
    './test/support/reporter.ts',
  ];
  const args = ['node_modules/mocha/bin/mocha.js', ...options, ...grep, file];
  const code = await runNode(args, { ...env, [resultsVariable]: results }, print);
  const found = readResults(results);
  if (code !== 0 && found.failed === 0) {
    writeResults(results, { ...found, failed: 1, failures: [`${titleOf(suite)} ended with exit code ${code}`] });
  }
}

/** Runs a program on this Node, its output on ours or to `print`, and resolves with its exit code; one that takes too long is killed. */
function runNode(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  print?: (piece: Buffer) => void,
): Promise<number> {
  const limit = args.includes('up') ? {} : { timeout: suiteLimitMs, killSignal: 'SIGKILL' as const };
  const output = print === undefined ? 'inherit' : 'pipe';
  const child = spawn(process.execPath, args, {
    stdio: ['inherit', output, output],
    env: { ...process.env, ...env },
    ...limit,
  });
  children.add(child);
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (piece: Buffer) => print?.(piece));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      children.delete(child);
      resolve(code ?? (signal ? 1 : 0));
    });
  });
}

function sumUp(): number {
  const all = suites.map((suite): readonly [string, Results] => [titleOf(suite), readResults(resultsOf(suite))]);
  const total = (count: (results: Results) => number) => all.reduce((sum, [, results]) => sum + count(results), 0);
  const print = (title: string, pick: (results: Results) => readonly string[]) => {
    const lines = all.flatMap(([file, results]) => pick(results).map((line) => `  ${file}: ${line}`));
    if (lines.length > 0) process.stdout.write(`\n${title}\n${lines.join('\n')}\n`);
  };
  print('Not run:', ({ notRun }) => notRun);
  print('Failed:', ({ failures }) => failures);
  const [passed, failed, notRun] = [
    total((results) => results.passed),
    total((results) => results.failed),
    total((results) => results.notRun.length),
  ];
  process.stdout.write(`\n${suites.length} suites: ${passed} passed, ${failed} failed, ${notRun} not run\n`);
  if (interrupted) return interrupted === 'SIGINT' ? 130 : 143;
  return failed > 0 ? 1 : 0;
}
