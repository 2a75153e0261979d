/** Helm, for tests of the chart: run as whoever installs runs it, and its objects beside those of kustomize. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Manifest } from '../support/admin.ts';
import { checkout } from '../support/gateway.ts';
import { type Ran, runProgram } from '../support/program.ts';
import { startWorld, type World } from '../support/world.ts';
import { connect } from './cluster.ts';
import { raiseImage } from './image.ts';
import { type Installation, installationOf, prepare } from './installation.ts';
import { raiseHelm } from './parts.ts';
import { showProgress } from './progress.ts';

/** The folder of the chart. */
export const chart = `${checkout}charts/rungate`;

/** Values of the chart. */
export type Values = Readonly<Record<string, unknown>>;

/** Helm, bound to a world. */
export interface Helm {
  readonly world: World;
  /** Runs it to its end, however that is; values go into a file for those commands that take one. */
  run(args: readonly string[], values?: Values): Promise<Ran>;
  /** The same, and what it printed; throws where it fails. */
  done(args: readonly string[], values?: Values): Promise<string>;
}

/** More than any `--timeout` that it is told. */
const HELM_MS = 11 * 60_000;

const takingValues = ['template', 'install', 'upgrade', 'lint'];

/** Starts a world with Helm beside it, which is built if it is not there. */
export async function startHelm(): Promise<Helm> {
  const program = await raiseProgram();
  return helmOn(await startWorld(), program);
}

async function raiseProgram(): Promise<string> {
  const { own } = await connect();
  assert.ok(own);
  return raiseHelm(own.settings.cache, showProgress(process.stderr));
}

/** Installs the chart and does not wait for its pods, with two of them, triggers, and a key for cursors. It serves the world's namespace. */
export async function installChart(world: World, env: Readonly<Record<string, string>>): Promise<Installation> {
  const helm = helmOn(world, await raiseProgram());
  const prepared = await prepare(world, 'chart');
  const { namespace, credentials } = prepared;
  const values = {
    image: (await raiseImage()).reference,
    auth: credentials,
    cursorKey: { existingSecret: 'rungate-cursor-key' },
    triggers: { enabled: true },
    deployment: { replicas: 2 },
    podDisruptionBudget: { enabled: true },
    namespaces: [world.namespace],
    env: Object.entries(env).map(([name, value]) => ({ name, value })),
  };
  // Not called rungate: that is what the rights of the runs' namespace are called already.
  const { code, stderr } = await helm.run(['install', 'chart', chart, '--namespace', namespace], values);
  assert.equal(code, 0, stderr);
  return installationOf(world, prepared, { name: 'chart', deployment: 'chart-rungate', warnings: stderr });
}

function helmOn(world: World, program: string): Helm {
  const env = { ...process.env, KUBECONFIG: world.admin.kubeconfig, HELM_CACHE_HOME: world.folder };
  const run: Helm['run'] = async (args, values = {}) => {
    const file = join(world.folder, `values-${randomBytes(4).toString('hex')}.yaml`);
    await writeFile(file, stringify(values), { mode: 0o600 });
    const given = takingValues.includes(args[0] ?? '') ? ['--values', file] : [];
    return runProgram(program, [...args, ...given], { env, withinMs: HELM_MS });
  };
  return {
    world,
    run,
    done: async (args, values) => {
      const { code, stdout, stderr } = await run(args, values);
      assert.equal(code, 0, `helm ${args.join(' ')}: ${stderr}`);
      return stdout;
    },
  };
}

/** Labels that say which release of which chart an object is of: what kustomize has no word for. */
const ofReleases = new Set(['app.kubernetes.io/instance', 'app.kubernetes.io/managed-by', 'helm.sh/chart']);

/** Objects by kind and name, to be compared: without what only Helm has, and with lists that have no order in one. */
export function comparable(objects: readonly Manifest[]): Readonly<Record<string, unknown>> {
  const entries = objects.map((object): readonly [string, unknown] => {
    const { kind, metadata } = object;
    return [`${kind} ${metadata.namespace ?? ''}/${metadata.name}`, plain(object, kind === 'Service' ? 'Service' : '')];
  });
  return Object.fromEntries(entries.toSorted(([one], [other]) => one.localeCompare(other)));
}

function plain(value: unknown, at: string): unknown {
  if (Array.isArray(value)) {
    const items = value.map((item) => plain(item, ''));
    return ['env', 'volumes', 'volumeMounts', 'ports'].includes(at) ? items.toSorted(byOwnName) : items;
  }
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value)
    .filter(([name]) => !ofReleases.has(name) && name !== 'helm.sh/resource-policy')
    .map(([name, inner]) => [name, plain(inner, name)] as const)
    .filter(([name, inner]) => name !== 'annotations' || Object.keys(inner as object).length > 0)
    // A Service that says nothing has this type.
    .filter(([name, inner]) => name !== 'type' || inner !== 'ClusterIP');
  return Object.fromEntries(entries);
}

function byOwnName(one: unknown, other: unknown): number {
  return nameOf(one).localeCompare(nameOf(other));
}

/** What has no name, such as a port of a policy, stays where it is. */
function nameOf(item: unknown): string {
  return item !== null && typeof item === 'object' && 'name' in item ? String(item.name) : '';
}
