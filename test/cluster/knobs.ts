/**
 * What suites may turn on a running cluster of our own. Each knob returns the function that turns it back, and
 * both return only when the change has taken effect.
 *
 * A knob turns for the whole cluster: suites that turn one do not run beside others.
 */
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
import { eventually } from './waiting.ts';

/** Turns a knob back to where it was. */
export type Restore = () => Promise<void>;

/**
 * Sets when the kubelet rotates the logs of containers, and how many files it keeps.
 *
 * Only the kubelet is restarted; pods run on. Log streams that pass through it end, as they do when a node's
 * kubelet is upgraded. Rotation that worked in trials: 16Ki, 3 files, looked at every 3s.
 */
export async function setKubeletLogging(cluster: Cluster, wanted: Partial<KubeletLogging>): Promise<Restore> {
  const own = requireOwn(cluster);
  const before = await readKubeletLogging(own.folder);
  await restartKubelet(cluster, own, { ...before, ...wanted });
  return () => restartKubelet(cluster, own, before);
}

/**
 * Sets keys of Tekton's ConfigMap `feature-flags`, for example `{ 'enable-api-fields': 'alpha' }`.
 *
 * Nothing is restarted. Tekton's controller writes the flags it goes by into the status of each run it takes up
 * (`status.provenance.featureFlags`), so a run that fails before it has a pod tells when the new ones hold, and
 * does so for PipelineRuns and TaskRuns each, which keep their own copy. The webhook shows `enable-api-fields` by
 * what it admits; for any other flag it is restarted, which takes ten seconds more.
 *
 * Throws a Fault `timeout` for a flag the controller does not show: `enable-informer-cache-transforms`, or one that
 * it does not know. The ConfigMap is then as it was before.
 */
export async function setFeatureFlags(cluster: Cluster, wanted: Readonly<Record<string, string>>): Promise<Restore> {
  requireOwn(cluster);
  const { kubectl, tektonNamespace: namespace } = cluster;
  if (!namespace) throw new Fault('refused', 'Tekton is not installed on this cluster: npm run cluster -- up');
  const flags: Record<string, string> = JSON.parse(
    await kubectl.run('get', 'configmap', 'feature-flags', '-n', namespace, '-o', 'jsonpath={.data}'),
  );
  const before = Object.fromEntries(Object.keys(wanted).map((name) => [name, flags[name] ?? null]));
  try {
    await changeFlags(kubectl, namespace, flags, wanted);
  } catch (error) {
    await patchFlags(kubectl, namespace, before);
    throw error;
  }
  return () => changeFlags(kubectl, namespace, { ...flags, ...wanted }, before);
}

/**
 * Makes source-controller POST its events to this URL, as it does to notification-controller; '' for nowhere.
 *
 * Only source-controller is restarted. Something should answer there: otherwise each new revision waits up to 40 s
 * for the retries before the object's status moves.
 */
export async function setFluxEvents(cluster: Cluster, url: string): Promise<Restore> {
  const own = requireOwn(cluster);
  await restartFlux(own, url);
  return () => restartFlux(own, '');
}

function requireOwn(cluster: Cluster): OwnCluster {
  if (cluster.own && cluster.capabilities.knobs) return cluster.own;
  throw new Fault(
    'refused',
    'Knobs turn only on a cluster of our own (RUNGATE_CLUSTER=own): ask `capabilities.knobs` first.',
  );
}

async function restartKubelet({ kubectl }: Cluster, own: OwnCluster, logging: KubeletLogging): Promise<void> {
  await using _lock = await holdLock(60_000);
  const { folder, settings, parts } = own;
  const kubelet = nodePrograms(settings, parts).find(({ name }) => name === 'kubelet');
  if (!kubelet) throw new Error('no kubelet among the programs of the node');
  await writeKubeletConfig(settings, logging);
  await stop(folder, 'kubelet');
  const startedAt = Math.floor(Date.now() / 1000) * 1000; // the API's times are whole seconds
  await start(folder, kubelet);
  await eventually(
    'the restarted kubelet to be ready with its new settings',
    60_000,
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

async function restartFlux({ folder, settings, parts }: OwnCluster, url: string): Promise<void> {
  await using _lock = await holdLock(60_000);
  await stop(folder, 'source-controller');
  await start(folder, sourceController(settings, parts, url));
  await untilFluxAnswers(settings);
}

type Changes = Readonly<Record<string, string | null>>;

async function changeFlags(
  kubectl: Kubectl,
  namespace: string,
  flags: Readonly<Record<string, string>>,
  changes: Changes,
): Promise<void> {
  const changed = Object.entries(changes).filter(([name, value]) => (flags[name] ?? null) !== value);
  if (changed.length === 0) return;
  const before = await flagsInForce(kubectl);
  await patchFlags(kubectl, namespace, changes);
  await eventually(
    `Tekton's controller to go by ${JSON.stringify(changes)}`,
    60_000,
    async () => {
      const now = await flagsInForce(kubectl);
      return now.every((flagsOfKind, place) => !isDeepStrictEqual(flagsOfKind, before[place])) || undefined;
    },
    500,
  );
  const fields = changed.find(([name]) => name === 'enable-api-fields');
  if (changed.length === 1 && fields) {
    await eventually(
      "Tekton's webhook to go by enable-api-fields",
      60_000,
      async () => (await admitsAlpha(kubectl)) === (fields[1] === 'alpha') || undefined,
      300,
    );
  } else {
    await kubectl.run('rollout', 'restart', 'deployment/tekton-pipelines-webhook', '-n', namespace);
    await kubectl.run('rollout', 'status', 'deployment/tekton-pipelines-webhook', '-n', namespace, '--timeout=120s');
  }
}

async function patchFlags(kubectl: Kubectl, namespace: string, data: Changes): Promise<void> {
  await kubectl.run(
    'patch',
    'configmap',
    'feature-flags',
    '-n',
    namespace,
    '--type=merge',
    '-p',
    JSON.stringify({ data }),
  );
}

/** The flags that Tekton goes by now, as it writes them into a PipelineRun and into a TaskRun. */
async function flagsInForce(kubectl: Kubectl): Promise<unknown[]> {
  const names = (await kubectl.pipe(probes, 'create', '-f', '-', '-o', 'name')).trim().split('\n');
  try {
    await kubectl.run(
      'wait',
      '-n',
      'default',
      '--for=jsonpath={.status.conditions[0].status}=False',
      '--timeout=60s',
      ...names,
    );
    return await Promise.all(
      names.map(async (name) => {
        const text = await kubectl.run(
          'get',
          '-n',
          'default',
          name,
          '-o',
          'jsonpath={.status.provenance.featureFlags}',
        );
        return text ? JSON.parse(text) : undefined; // no provenance at all is an answer too: a flag turns it off
      }),
    );
  } finally {
    await kubectl.run('delete', '-n', 'default', '--wait=false', ...names);
  }
}

/** Whether the webhook lets a pipeline inside a pipeline pass, which only alpha has. Nothing is created. */
async function admitsAlpha(kubectl: Kubectl): Promise<boolean> {
  return kubectl.pipe(nested, 'create', '--dry-run=server', '-o', 'name', '-f', '-').then(
    () => true,
    () => false,
  );
}

// Both lack a parameter that they need: they fail as soon as Tekton takes them up, and no pod is made.
const probes = `
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata: { generateName: rungate-cluster-probe-, namespace: default }
spec:
  pipelineSpec:
    params: [{ name: missing }]
    tasks: [{ name: never, taskSpec: { steps: [{ name: never, image: ${busyboxImage}, command: ['true'] }] } }]
---
apiVersion: tekton.dev/v1
kind: TaskRun
metadata: { generateName: rungate-cluster-probe-, namespace: default }
spec:
  taskSpec: { params: [{ name: missing }], steps: [{ name: never, image: ${busyboxImage}, command: ['true'] }] }
`;

const nested = `
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata: { generateName: rungate-cluster-probe-, namespace: default }
spec:
  pipelineSpec:
    tasks:
      - name: inner
        pipelineSpec: { tasks: [{ name: never, taskSpec: { steps: [{ name: never, image: ${busyboxImage}, command: ['true'] }] } }] }
`;
