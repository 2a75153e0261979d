/**
 * What suites may turn on a running cluster of our own. Each knob returns the function that turns it back, and
 * both return only when the change has taken effect.
 *
 * A knob turns for the whole cluster: suites that turn one do not run beside others. While one process has a knob
 * turned, another that wants the same one waits.
 */
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { Fault } from '../../src/fault.ts';
import type { Cluster, OwnCluster } from './cluster.ts';
import { sourceController, untilFluxAnswers } from './flux.ts';
import { busyboxImage } from './images.ts';
import type { Kubectl } from './kubectl.ts';
import { holdLock } from './lock.ts';
import { type KubeletLogging, nodePrograms, readKubeletLogging, readyCondition, writeKubeletConfig } from './node.ts';
import { running, start, stop, stopped } from './processes.ts';
import { nodeName } from './settings.ts';
import { taskRunToTry } from './tekton.ts';
import { type Knob, noteBefore, noteRestored, type Positions, turnedKnobs } from './turned.ts';
import { eventually } from './waiting.ts';

/** A Tekton that is busy with the runs of other suites takes a minute to begin with ours. */
const TEKTON_MS = 120_000;

/** Turns a knob back to where it was. */
export type Restore = () => Promise<void>;

/**
 * Sets when the kubelet rotates the logs of containers, and how many files it keeps.
 *
 * Only the kubelet is restarted; pods run on. Log streams that pass through it end, as they do when a node's
 * kubelet is upgraded. Rotation that worked in trials: 16Ki, 3 files, looked at every 3s.
 */
export async function setKubeletLogging(cluster: Cluster, wanted: Partial<KubeletLogging>): Promise<Restore> {
  const { folder } = requireOwn(cluster);
  return turn(cluster, 'kubelet-logging', wanted, async () => ({ ...(await readKubeletLogging(folder)) }));
}

/**
 * Sets keys of Tekton's ConfigMap `feature-flags`, for example `{ 'enable-api-fields': 'alpha' }`.
 *
 * Nothing is restarted. Tekton's controller writes the flags it goes by into the status of each run it takes up
 * (`status.provenance.featureFlags`), so a run that fails before it has a pod tells when the new ones hold, and
 * does so for PipelineRuns and TaskRuns each, which keep their own copy. How the webhook shows it: `webhookIsAbreast`.
 *
 * Throws a Fault `timeout` for a flag the controller does not show: `enable-informer-cache-transforms`, or one that
 * it does not know. The ConfigMap is then as it was before.
 */
export async function setFeatureFlags(cluster: Cluster, wanted: Readonly<Record<string, string>>): Promise<Restore> {
  return turn(cluster, 'feature-flags', wanted, () => readFlags(cluster));
}

/**
 * Makes source-controller POST its events to this URL, as it does to notification-controller; '' for nowhere.
 *
 * Only source-controller is restarted; turned back, it is to nowhere. Something should answer there: otherwise each new revision waits up to 40 s
 * for the retries before the object's status moves.
 */
export async function setFluxEvents(cluster: Cluster, url: string): Promise<Restore> {
  return turn(cluster, 'flux-events', { url }, async () => ({ url: '' }));
}

/**
 * Turns back every knob that a suite left turned when it was killed, and returns which. Knobs of a process that
 * still lives stay. For `up`, which holds the machine's lock.
 */
export async function turnKnobsBack(cluster: Cluster): Promise<Knob[]> {
  const { folder } = requireOwn(cluster);
  const left = (await turnedKnobs(folder)).filter(({ by }) => by === undefined);
  for (const { knob, before } of left) {
    await hands[knob](cluster, before);
    await noteRestored(folder, knob, before);
  }
  return left.map(({ knob }) => knob);
}

/** What sets each knob, and waits until the change has taken effect. */
const hands: Readonly<Record<Knob, (cluster: Cluster, positions: Positions) => Promise<void>>> = {
  'kubelet-logging': restartKubelet,
  'feature-flags': changeFlags,
  'flux-events': restartFlux,
};

/** Turns a knob to `wanted`, once nobody else has it turned. `now` tells where it stands. */
async function turn(cluster: Cluster, knob: Knob, wanted: Positions, now: () => Promise<Positions>): Promise<Restore> {
  const { folder } = requireOwn(cluster);
  const before = await eventually(
    `another suite to turn back ${knob}`,
    600_000,
    async () => {
      await using _lock = await holdLock({ patienceMs: 120_000 });
      const turned = (await turnedKnobs(folder)).find((one) => one.knob === knob);
      if (turned?.by && turned.by.pid !== process.pid) return undefined;
      const positions = await now();
      const found = Object.fromEntries(Object.keys(wanted).map((name) => [name, positions[name] ?? null]));
      await noteBefore(folder, knob, found);
      return found;
    },
    1000,
  );
  const set = async (positions: Positions) => {
    await using _lock = await holdLock({ patienceMs: 120_000 });
    await hands[knob](cluster, positions);
  };
  const restore = async () => {
    await set(before);
    await noteRestored(folder, knob, before);
  };
  try {
    await set(wanted);
  } catch (error) {
    await restore().catch(() => {}); // the first error says more; the note stays for the next `up`
    throw error;
  }
  return restore;
}

function requireOwn(cluster: Cluster): OwnCluster {
  if (cluster.own && cluster.capabilities.knobs) return cluster.own;
  throw new Fault(
    'refused',
    'Knobs turn only on a cluster of our own (RUNGATE_CLUSTER=own): ask `capabilities.knobs` first.',
  );
}

async function restartKubelet(cluster: Cluster, positions: Positions): Promise<void> {
  const { kubectl } = cluster;
  const { folder, settings, parts } = requireOwn(cluster);
  const kubelet = nodePrograms(settings, parts).find(({ name }) => name === 'kubelet');
  if (!kubelet) throw new Error('no kubelet among the programs of the node');
  const logging = { ...(await readKubeletLogging(folder)), ...positions };
  await writeKubeletConfig(settings, logging);
  await stop(folder, 'kubelet');
  const startedAt = Math.floor(Date.now() / 1000) * 1000; // the API's times are whole seconds
  await start(folder, kubelet);
  await eventually(
    'the restarted kubelet to be ready with its new settings',
    180_000,
    async () => {
      if (!running(folder, 'kubelet')) throw stopped(folder, 'kubelet');
      // What the kubelet says of itself, not what we wrote; and a heartbeat of this kubelet, not of the one before.
      const config = await kubectl.ask('get', '--raw', `/api/v1/nodes/${nodeName}/proxy/configz`);
      if (!config || !holds(JSON.parse(config).kubeletconfig, logging)) return undefined;
      const ready = await readyCondition(kubectl);
      return (ready?.status === 'True' && Date.parse(ready.lastHeartbeatTime) >= startedAt) || undefined;
    },
    250,
  );
}

function holds(config: Record<string, unknown>, logging: KubeletLogging): boolean {
  return Object.entries(logging).every(([name, value]) => String(config[name]) === String(value));
}

async function restartFlux(cluster: Cluster, { url }: Positions): Promise<void> {
  const { folder, settings, parts } = requireOwn(cluster);
  await stop(folder, 'source-controller');
  await start(folder, sourceController(settings, parts, String(url)));
  await untilFluxAnswers(settings);
}

async function changeFlags(cluster: Cluster, changes: Positions): Promise<void> {
  const { kubectl, tektonNamespace: namespace = '' } = cluster;
  const flags = await readFlags(cluster);
  const changed = Object.entries(changes).filter(([name, value]) => (flags[name] ?? null) !== value);
  if (changed.length === 0) return;
  const before = await flagsInForce(kubectl);
  await patchConfigMap(kubectl, namespace, 'feature-flags', changes);
  await eventually(
    `Tekton's controller to go by ${JSON.stringify(changes)}`,
    TEKTON_MS,
    async () => {
      const now = await flagsInForce(kubectl);
      return now.every((flagsOfKind, place) => !isDeepStrictEqual(flagsOfKind, before[place])) || undefined;
    },
    500,
  );
  await webhookIsAbreast(kubectl, namespace);
}

/**
 * Returns when Tekton's webhook has taken in every change of a ConfigMap that was made before the call.
 *
 * It takes them in one after the other, in the order of their making (one watch, one handler), so it is enough to see
 * it go by a later one: the label it gives to a TaskRun that has none, seen on one that is never created.
 */
async function webhookIsAbreast(kubectl: Kubectl, namespace: string): Promise<void> {
  const key = 'default-managed-by-label-value';
  const patch = (value: string | null) => patchConfigMap(kubectl, namespace, 'config-defaults', { [key]: value });
  const found = await kubectl.run(
    'get',
    'configmap',
    'config-defaults',
    '-n',
    namespace,
    '-o',
    `jsonpath={.data.${key}}`,
  );
  const mark = `${probePrefix}${randomUUID().slice(0, 8)}`;
  await patch(mark);
  try {
    await eventually(
      "Tekton's webhook to take in its ConfigMaps",
      TEKTON_MS,
      async () => (await labelGiven(kubectl)) === mark || undefined,
    );
  } finally {
    await patch(found === '' || found.startsWith(probePrefix) ? null : found); // a mark of ours is one that a kill left
  }
}

async function labelGiven(kubectl: Kubectl): Promise<string> {
  const label = 'jsonpath={.metadata.labels.app\\.kubernetes\\.io/managed-by}';
  return kubectl.pipe(taskRunToTry, 'create', '--dry-run=server', '-o', label, '-f', '-');
}

async function patchConfigMap(kubectl: Kubectl, namespace: string, name: string, data: Positions): Promise<void> {
  const patch = JSON.stringify({ data });
  await kubectl.run('patch', 'configmap', name, '-n', namespace, '--type=merge', '-p', patch);
}

async function readFlags({ kubectl, tektonNamespace }: Cluster): Promise<Record<string, string>> {
  if (!tektonNamespace) throw new Fault('refused', 'Tekton is not installed on this cluster: npm run cluster -- up');
  const text = await kubectl.run('get', 'configmap', 'feature-flags', '-n', tektonNamespace, '-o', 'jsonpath={.data}');
  return JSON.parse(text);
}

/** Begins the names of what we make to see what Tekton goes by; all of it is gone when a knob returns. */
const probePrefix = 'rungate-cluster-probe-';

/** The flags that Tekton goes by now, as it writes them into a PipelineRun and into a TaskRun. */
async function flagsInForce(kubectl: Kubectl): Promise<unknown[]> {
  const name = `${probePrefix}${randomUUID().slice(0, 8)}`;
  const runs = [`taskrun/${name}`, `pipelinerun/${name}`];
  await kubectl.pipe(probes(name), 'create', '-f', '-');
  try {
    const failed = '--for=condition=Succeeded=False';
    await kubectl.run('wait', '-n', 'default', failed, `--timeout=${TEKTON_MS / 1000}s`, ...runs);
    return await Promise.all(
      runs.map(async (run) => {
        const text = await kubectl.run('get', '-n', 'default', run, '-o', 'jsonpath={.status.provenance.featureFlags}');
        return text ? JSON.parse(text) : undefined; // no provenance at all is an answer too: a flag turns it off
      }),
    );
  } finally {
    await kubectl.run('delete', '-n', 'default', '--wait=false', ...runs, `task/${name}`, `pipeline/${name}`);
  }
}

/**
 * Both runs lack a parameter that they need: they fail as soon as Tekton takes them up, and no pod is made. They name
 * their Pipeline and Task instead of holding them, because a flag may forbid that.
 */
function probes(name: string): string {
  return `
apiVersion: tekton.dev/v1
kind: Task
metadata: { name: ${name}, namespace: default }
spec: { params: [{ name: missing }], steps: [{ name: never, image: ${busyboxImage}, command: ['true'] }] }
---
apiVersion: tekton.dev/v1
kind: Pipeline
metadata: { name: ${name}, namespace: default }
spec: { params: [{ name: missing }], tasks: [{ name: never, taskRef: { name: ${name} } }] }
---
apiVersion: tekton.dev/v1
kind: TaskRun
metadata: { name: ${name}, namespace: default }
spec: { taskRef: { name: ${name} } }
---
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata: { name: ${name}, namespace: default }
spec: { pipelineRef: { name: ${name} } }
`;
}
