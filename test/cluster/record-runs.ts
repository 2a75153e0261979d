/**
 * Records what a real Tekton makes of the runs in `runs/`, as the fixtures of `src/tekton`: `node test/cluster/record-runs.ts
 * [case ...]`, with a cluster that `npm run cluster -- up` or KUBECONFIG gives. Each case gets a namespace of its own,
 * which is deleted afterwards. Uids, times and names stay as the cluster made them; managedFields are left out.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Json, JsonObject } from '../../src/kube/objects.ts';
import { listOf, objectOf } from '../../src/kube/objects.ts';
import { projectCustomRun, projectPipelineRun, projectPod, projectTaskRun } from '../../src/tekton/project.ts';
import { isDone } from '../../src/tekton/status.ts';
import { connect } from './cluster.ts';
import { setFeatureFlags } from './knobs.ts';
import type { Kubectl } from './kubectl.ts';
import { eventually } from './waiting.ts';

const runsFolder = join(import.meta.dirname, 'runs');
const fixturesFolder = join(import.meta.dirname, '../fixtures/tekton');
const kinds = ['pipelineruns', 'taskruns', 'customruns', 'pods'] as const;

/** All objects of a case at one moment, as the API server sent them. */
type Snapshot = Readonly<Record<(typeof kinds)[number], readonly JsonObject[]>>;

/** A moment on the way, and what is done to the run once it has been recorded. */
interface Moment {
  readonly name: string;
  readonly when: (snapshot: Snapshot) => boolean;
  readonly afterwards?: (kubectl: Kubectl, namespace: string, snapshot: Snapshot) => Promise<unknown>;
}

const stepRuns: Moment['when'] = ({ taskruns, pods }) =>
  taskruns.map(projectTaskRun).some(({ steps }) => steps.some(({ running }) => running)) &&
  pods.map(projectPod).some(({ phase }) => phase === 'Running');
const reasonIs =
  (reason: string): Moment['when'] =>
  ({ pipelineruns }) =>
    pipelineruns.map(projectPipelineRun).some(({ succeeded }) => succeeded?.reason === reason);
const finallyRuns =
  (reason: string): Moment['when'] =>
  (snapshot) =>
    reasonIs(reason)(snapshot) && snapshot.taskruns.length > 1;
const runDone: Moment['when'] = ({ pipelineruns }) =>
  pipelineruns.length > 0 && pipelineruns.map(projectPipelineRun).every(({ succeeded }) => isDone(succeeded));
const allDone: Moment['when'] = (snapshot) =>
  runDone(snapshot) &&
  snapshot.taskruns.map(projectTaskRun).every(({ succeeded }) => isDone(succeeded)) &&
  snapshot.pods.map(projectPod).every(({ phase }) => phase === 'Succeeded' || phase === 'Failed');

const setStatus =
  (status: string): NonNullable<Moment['afterwards']> =>
  (kubectl, namespace, { pipelineruns: [run] }) =>
    kubectl.run(
      ...['patch', 'pipelinerun', projectPipelineRun(run ?? {}).meta.name, '-n', namespace],
      ...['--type=merge', '-p', JSON.stringify({ spec: { status } })],
    );

const approve: NonNullable<Moment['afterwards']> = (kubectl, namespace, { customruns: [run] }) => {
  const now = new Date().toISOString().replace(/\.\d+/, '');
  const status = {
    conditions: [
      { type: 'Succeeded', status: 'True', reason: 'Approved', message: 'by hand', lastTransitionTime: now },
      { type: 'SignedOff', status: 'True', reason: 'AlsoByHand', message: '', lastTransitionTime: now },
    ],
    startTime: now,
    completionTime: now,
    results: [{ name: 'approver', value: 'somebody' }],
    extraFields: null,
  };
  return kubectl.run(
    ...['patch', 'customrun', projectCustomRun(run ?? {}).meta.name, '-n', namespace, '--subresource=status'],
    ...['--type=merge', '-p', JSON.stringify({ status })],
  );
};

const done: Moment = { name: 'done', when: runDone };
const final: Moment = { name: 'final', when: allDone };
const running: Moment = { name: 'running', when: stepRuns };

/** The cases, and what is recorded of each: most only when all of it is done. */
const moments: Readonly<Record<string, readonly Moment[]>> = {
  results: [running, final],
  'failing-step': [final],
  'failing-exit-7': [final],
  'step-continues': [final],
  'task-continues': [final],
  'retries-fail': [final],
  matrix: [final],
  skipped: [final],
  'task-timeout': [final],
  'step-timeout': [final],
  'pipeline-missing': [final],
  'task-missing': [final],
  'parameter-missing': [final],
  sidecar: [final],
  'out-of-memory': [final],
  'out-of-memory-unnoticed': [final],
  'retries-succeed': [
    {
      name: 'retrying',
      when: ({ taskruns }) => taskruns.map(projectTaskRun).some(({ attempts }) => attempts.length === 1),
    },
    final,
  ],
  cancelled: [{ ...running, afterwards: setStatus('Cancelled') }, done, final],
  'cancelled-run-finally': [
    { ...running, afterwards: setStatus('CancelledRunFinally') },
    { name: 'finally', when: finallyRuns('CancelledRunningFinally') },
    final,
  ],
  'stopped-run-finally': [
    { ...running, afterwards: setStatus('StoppedRunFinally') },
    { name: 'finally', when: finallyRuns('StoppedRunningFinally') },
    final,
  ],
  'pipeline-timeout': [done, final],
  'tasks-timeout': [{ name: 'finally', when: finallyRuns('PipelineRunTimeoutRunningFinally') }, final],
  'image-missing': [
    {
      name: 'waiting',
      when: ({ pods }) =>
        pods
          .map(projectPod)
          .some(({ containers }) =>
            containers.some(({ reason }) => /^(ErrImagePull|ImagePullBackOff)$/.test(reason ?? '')),
          ),
    },
    final,
  ],
  pending: [{ name: 'pending', when: reasonIs('PipelineRunPending') }],
  quota: [
    {
      name: 'waiting',
      when: ({ taskruns }) =>
        taskruns.map(projectTaskRun).some(({ succeeded }) => succeeded?.reason === 'ExceededResourceQuota'),
    },
  ],
  unschedulable: [
    {
      name: 'waiting',
      when: ({ pods, taskruns }) =>
        pods.map(projectPod).some(({ unschedulable }) => unschedulable !== undefined) &&
        taskruns.map(projectTaskRun).some(({ succeeded }) => succeeded?.reason !== 'Started'),
    },
  ],
  'custom-run': [{ name: 'running', when: ({ customruns }) => customruns.length > 0, afterwards: approve }, final],
  nested: [
    { name: 'running', when: ({ pipelineruns, taskruns }) => pipelineruns.length > 1 && taskruns.length > 1 },
    final,
  ],
};

/** Cases whose last moment is also recorded as v1beta1, which the API server converts. */
const alsoOld = ['results', 'step-continues', 'failing-step'];

async function record(kubectl: Kubectl, name: string): Promise<void> {
  const namespace = `record-${name}`;
  await kubectl.ask('delete', 'namespace', namespace, '--ignore-not-found');
  await kubectl.run('create', 'namespace', namespace);
  try {
    await eventually(
      'the service account',
      20_000,
      () => kubectl.ask('get', 'serviceaccount', 'default', '-n', namespace),
      500,
    );
    const manifest = await readFile(join(runsFolder, `${name}.yaml`), 'utf8');
    const created = await kubectl.pipe(manifest, 'create', '-n', namespace, '-o', 'json', '-f', '-');
    const recorded: Record<string, Snapshot> = {};
    // The answer to a create is the run as it is before any controller has seen it.
    if (name === 'results') {
      recorded.created = { pipelineruns: [slim(JSON.parse(created))], taskruns: [], customruns: [], pods: [] };
    }
    for (const moment of moments[name] ?? []) {
      const snapshot = await eventually(
        `"${moment.name}" of ${name}`,
        240_000,
        async () => {
          const seen = await snapshotOf(kubectl, namespace, '');
          return moment.when(seen) ? seen : undefined;
        },
        300,
      );
      recorded[moment.name] = snapshot;
      await moment.afterwards?.(kubectl, namespace, snapshot);
    }
    if (alsoOld.includes(name)) recorded['final-v1beta1'] = await snapshotOf(kubectl, namespace, '.v1beta1.tekton.dev');
    await writeFile(join(fixturesFolder, `${name}.json`), format(recorded));
    console.log(`${name}: ${Object.keys(recorded).join(', ')}`);
  } finally {
    await kubectl.ask('delete', 'namespace', namespace, '--wait=false');
  }
}

async function snapshotOf(kubectl: Kubectl, namespace: string, version: string): Promise<Snapshot> {
  const names = [`pipelineruns${version}`, `taskruns${version}`, 'customruns', 'pods'].join(',');
  const items = listOf(JSON.parse(await kubectl.run('get', names, '-n', namespace, '-o', 'json')).items).map(objectOf);
  const ofKind = (kind: string) => items.filter((item) => item.kind === kind).map(slim);
  return {
    pipelineruns: ofKind('PipelineRun'),
    taskruns: ofKind('TaskRun'),
    customruns: ofKind('CustomRun'),
    pods: ofKind('Pod'),
  };
}

function slim(object: JsonObject): JsonObject {
  const { managedFields: _, ...metadata } = objectOf(object.metadata);
  return { ...object, metadata };
}

/** JSON with one object a line: small, and a change shows as the object it is in. */
function format(recorded: Readonly<Record<string, Snapshot>>): string {
  const list = (objects: readonly Json[]) =>
    objects.length === 0 ? '[]' : `[\n${objects.map((one) => JSON.stringify(one)).join(',\n')}\n]`;
  const snapshot = (one: Snapshot) => `{\n${kinds.map((kind) => `"${kind}": ${list(one[kind])}`).join(',\n')}\n}`;
  return `{\n${Object.entries(recorded)
    .map(([moment, one]) => `"${moment}": ${snapshot(one)}`)
    .join(',\n')}\n}\n`;
}

/** Cases that need Tekton's alpha features; they come last, because the flag is the whole cluster's. */
const alpha = ['nested'];

const cluster = await connect();
const asked = process.argv.slice(2);
const cases = Object.keys(moments).filter((name) => asked.length === 0 || asked.includes(name));
const failed: string[] = [];

/** Three at a time: enough to be quick, few enough for steps with timeouts of a few seconds. */
async function recordAll(names: string[]): Promise<void> {
  const worker = async () => {
    for (let name = names.shift(); name !== undefined; name = names.shift()) {
      const which = name;
      await record(cluster.kubectl, which).catch((error) => {
        failed.push(which);
        console.error(`${which}: ${error instanceof Error ? error.message : error}`);
      });
    }
  };
  await Promise.all([worker(), worker(), worker()]);
}

await mkdir(fixturesFolder, { recursive: true });
await recordAll(cases.filter((name) => !alpha.includes(name)));
const needAlpha = cases.filter((name) => alpha.includes(name));
if (needAlpha.length > 0) {
  const restore = await setFeatureFlags(cluster, { 'enable-api-fields': 'alpha' });
  try {
    await recordAll(needAlpha);
  } finally {
    await restore();
  }
}
process.exitCode = failed.length === 0 ? 0 : 1;
