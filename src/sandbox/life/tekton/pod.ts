/**
 * The pod of a TaskRun, as Tekton builds it: steps wait for one another by files that the entrypoint writes, so all
 * containers start at once and still run in order. https://github.com/tektoncd/pipeline/blob/main/docs/developers/taskruns.md
 */
import { posix } from 'node:path';
import type { Json } from '../../object.ts';
import type { PlacedScript } from '../entrypoint.ts';
import {
  entrypointArgs,
  entrypointImagePath,
  entrypointPath,
  placeScriptsArgs,
  withInterpreter,
  workingDirInitPath,
} from '../entrypoint.ts';
import { mergeTemplate, shareResources, withOverrides } from './containers.ts';
import { parseDuration } from './duration.ts';
import { entrypointImage, shellImage, workingDirImage } from './images.ts';
import { childName, restrictLength, stepContainer } from './names.ts';
import { replacementsOf, taskParams } from './params.ts';
import { only } from './specs.ts';
import { replaceDeep } from './substitute.ts';
import type {
  ContainerFields,
  Draft,
  PodTemplate,
  Sidecar,
  Step,
  TaskRun,
  TaskSpec,
  Texts,
  Volume,
  VolumeMount,
} from './types.ts';
import { controllerReference } from './types.ts';

/** The annotation that tells the first step to begin, and its value once the sidecars are up. */
export const readyAnnotation = 'tekton.dev/ready';
export const readyValue = 'READY';

/** Says which Tekton made a TaskRun's pod; one that was built outside a checkout does not know. */
export const releaseAnnotation = 'pipeline.tekton.dev/release';
export const release = 'unknown';

/** A Task that no pod can be made of; the message is the end of Tekton's sentence. */
export class Unbuildable extends Error {}

const emptyDir = (name: string): Volume => ({ name, emptyDir: {} });
const mount = (name: string, mountPath: string, readOnly = false): VolumeMount => ({
  name,
  mountPath,
  ...(readOnly ? { readOnly } : {}),
});

const implicitMounts: readonly VolumeMount[] = [
  mount('tekton-internal-workspace', '/workspace'),
  mount('tekton-internal-home', '/tekton/home'),
  mount('tekton-internal-results', '/tekton/results'),
  mount('tekton-internal-steps', '/tekton/steps', true),
  mount('tekton-internal-artifacts', '/tekton/artifacts'),
];
const scripts = (readOnly: boolean) => mount('tekton-internal-scripts', '/tekton/scripts', readOnly);
const programs = (readOnly: boolean) => mount('tekton-internal-bin', '/tekton/bin', readOnly);
const downward: Volume = {
  name: 'tekton-internal-downward',
  downwardAPI: {
    items: [{ path: 'ready', fieldRef: { fieldPath: `metadata.annotations['${readyAnnotation}']` } }],
  },
};

/** Fields of a pod template that become the pod's as they are. */
const templateFields = [
  'nodeSelector',
  'tolerations',
  'affinity',
  'securityContext',
  'runtimeClassName',
  'automountServiceAccountToken',
  'schedulerName',
  'hostNetwork',
  'hostUsers',
  'dnsPolicy',
  'dnsConfig',
  'enableServiceLinks',
  'priorityClassName',
  'imagePullSecrets',
  'hostAliases',
  'topologySpreadConstraints',
];

/** What a pod is built from. */
export interface PodPlan {
  /** With the labels and annotations it has by now. */
  readonly run: TaskRun;
  /** With variables put in and workspaces mounted. */
  readonly spec: TaskSpec;
  /** Five characters that nobody can guess, for the names of scripts. */
  readonly suffix: () => string;
}

/** The name of the pod of a run's current attempt. */
export function podName({ metadata, status }: TaskRun): string {
  const retries = status?.retriesStatus?.length ?? 0;
  return childName(metadata.name, retries === 0 ? '-pod' : `-pod-retry${retries}`);
}

/** The pod. Throws Unbuildable. */
export function buildPod({ run, spec, suffix }: PodPlan): Draft {
  const template = replacedTemplate(run, spec);
  const merged = (spec.steps ?? []).map((step) => mergeTemplate(spec.stepTemplate, step));
  const steps = shareResources(withOverrides(merged, run.spec.stepSpecs ?? []), run.spec.computeResources);
  const sidecars = withOverrides(spec.sidecars ?? [], run.spec.sidecarSpecs ?? []);
  if (steps.length === 0) throw new Unbuildable('no steps specified');
  const placed: PlacedScript[] = [];
  const place = (script: string, name: string) => {
    const file = `/tekton/scripts/${name}-${suffix()}`;
    placed.push({ file, text: withInterpreter(script) });
    return file;
  };
  const commands = steps.map((step, index) => commandOf(step, index, place));
  const sidecarContainers = sidecars.map((sidecar, index) => sidecarContainer(sidecar, index, place));
  const stepContainers = steps.map((step, index) =>
    stepToContainer({ step, index, count: steps.length, command: commands[index] ?? [], spec, template }),
  );
  const workingDirs = relativeWorkingDirs(steps);
  const perStep = steps.flatMap((_, index): Volume[] => [
    { name: `tekton-creds-init-home-${index}`, emptyDir: { medium: 'Memory' } },
    emptyDir(`tekton-internal-run-${index}`),
  ]);
  const initContainers = [
    {
      name: 'prepare',
      image: entrypointImage,
      workingDir: '/',
      command: [
        entrypointImagePath,
        'init',
        entrypointImagePath,
        entrypointPath,
        ...steps.map(({ name }, index) => stepContainer(name, index)),
      ],
      volumeMounts: [programs(false), mount('tekton-internal-steps', '/tekton/steps')],
    },
    ...(placed.length === 0
      ? []
      : [
          {
            name: 'place-scripts',
            image: shellImage,
            command: ['sh'],
            args: placeScriptsArgs(placed),
            volumeMounts: [scripts(false), programs(false)],
          },
        ]),
    ...(workingDirs.length === 0
      ? []
      : [
          {
            name: 'working-dir-initializer',
            image: workingDirImage,
            command: [workingDirInitPath],
            args: workingDirs,
            workingDir: '/workspace',
            volumeMounts: implicitMounts,
          },
        ]),
  ];
  const volumes = [
    ...implicitMounts.map(({ name }) => emptyDir(name)),
    ...(placed.length === 0 ? [] : [emptyDir('tekton-internal-scripts')]),
    emptyDir('tekton-internal-bin'),
    downward,
    ...perStep,
    ...(spec.volumes ?? []),
    ...(template.volumes ?? []),
  ];
  const twice = volumes.find(({ name }, place) => volumes.findIndex((volume) => volume.name === name) < place);
  if (twice !== undefined) throw new Unbuildable(`multiple volumes with same name "${twice.name}"`);
  const passedOn = templateFields.flatMap((field): [string, Json][] => {
    const value = template[field];
    // Fields other than `env` and `volumes` are JSON that is passed on as it is.
    return value === undefined ? [] : [[field, value as Json]];
  });
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: podName(run),
      namespace: run.metadata.namespace ?? '',
      labels: labelsOf(run),
      annotations: annotationsOf(run),
      ownerReferences: [controllerReference(run)],
    },
    spec: {
      restartPolicy: 'Never',
      initContainers,
      containers: [...stepContainers, ...sidecarContainers],
      ...only('serviceAccountName', run.spec.serviceAccountName),
      volumes,
      ...Object.fromEntries(passedOn),
      activeDeadlineSeconds: activeDeadlineSeconds(run.spec.timeout),
    },
  };
}

interface StepContext {
  readonly step: Step;
  readonly index: number;
  readonly count: number;
  readonly command: readonly string[];
  readonly spec: TaskSpec;
  readonly template: PodTemplate;
}

function stepToContainer({ step, index, count, command, spec, template }: StepContext): object {
  const results = (spec.results ?? []).filter(({ value }) => value === undefined).map(({ name }) => name);
  const stepResults = (step.results ?? []).map(({ name }) => name);
  const args = entrypointArgs({
    ...(index === 0
      ? { waitFile: '/tekton/downward/ready', waitFileContent: true }
      : { waitFile: `/tekton/run/${index - 1}/out` }),
    postFile: `/tekton/run/${index}/out`,
    terminationPath: '/tekton/termination',
    stepMetadataDir: `/tekton/run/${index}/status`,
    ...only('onError', onErrorOf(step)),
    ...only('timeoutMs', step.timeout === undefined ? undefined : parseDuration(step.timeout)),
    ...only('stdoutPath', step.stdoutConfig?.path),
    ...only('stderrPath', step.stderrConfig?.path),
    ...only('stepResults', stepResults.length === 0 ? undefined : stepResults),
    ...only('when', step.when === undefined || step.when.length === 0 ? undefined : step.when),
    ...only('results', (spec.results ?? []).length === 0 ? undefined : results),
    command,
  });
  const own = [
    ...(step.volumeMounts ?? []),
    ...(step.script === undefined || step.script === '' ? [] : [scripts(true)]),
    ...(index === 0 ? [mount('tekton-internal-downward', '/tekton/downward', true)] : []),
    mount(`tekton-creds-init-home-${index}`, '/tekton/creds'),
    ...Array.from({ length: count }, (_, other) =>
      mount(`tekton-internal-run-${other}`, `/tekton/run/${other}`, other !== index),
    ),
  ];
  const taken = new Set(own.map(({ mountPath }) => posix.normalize(mountPath)));
  const env = [...(step.env ?? []), ...(template.env ?? [])];
  return {
    ...containerFields(step),
    name: restrictLength(stepContainer(step.name, index)),
    ...only('env', env.length === 0 ? undefined : env),
    command: [entrypointPath],
    args,
    terminationMessagePath: '/tekton/termination',
    volumeMounts: [...own, ...[programs(true), ...implicitMounts].filter(({ mountPath }) => !taken.has(mountPath))],
  };
}

function onErrorOf({ onError }: Step): 'continue' | 'stopAndFail' | undefined {
  if (onError === undefined || onError === '') return undefined;
  if (onError === 'continue' || onError === 'stopAndFail') return onError;
  throw new Unbuildable(
    `task step onError must be either "continue" or "stopAndFail" but it is set to an invalid value "${onError}"`,
  );
}

/** What a step runs: its script, or its command. An image's own entrypoint is unknown, as there are no images. */
function commandOf(step: Step, index: number, place: (script: string, name: string) => string): readonly string[] {
  const { script = '', command = [], args = [] } = step;
  if (script !== '') return [place(script, `script-${index}`), ...args];
  if (command.length > 0) return [...command, ...args];
  throw new Unbuildable(
    `step ${JSON.stringify(step.name ?? '')} names neither a script nor a command, and the sandbox has no images to take one from`,
  );
}

function sidecarContainer(sidecar: Sidecar, index: number, place: (script: string, name: string) => string): object {
  const { script = '', volumeMounts = [] } = sidecar;
  return {
    ...containerFields(sidecar),
    name: restrictLength(`sidecar-${sidecar.name ?? ''}`),
    ...(script === ''
      ? {}
      : { command: [place(script, `sidecar-script-${index}`)], volumeMounts: [...volumeMounts, scripts(true)] }),
  };
}

/** A step or sidecar without what only Tekton knows. */
function containerFields(step: ContainerFields & Step): object {
  const {
    script: _script,
    timeout: _timeout,
    onError: _onError,
    workspaces: _workspaces,
    results: _results,
    params: _params,
    ref: _ref,
    when: _when,
    stdoutConfig: _stdout,
    stderrConfig: _stderr,
    computeResources,
    ...container
  } = step;
  return { ...container, ...only('resources', computeResources) };
}

/** Working directories that have to be made: relative ones and those below /workspace, each once, in order. */
function relativeWorkingDirs(steps: readonly Step[]): string[] {
  const named = steps.flatMap(({ workingDir = '' }) => (workingDir === '' ? [] : [workingDir]));
  const cleaned = [...new Set(named)].sort().map((folder) => posix.normalize(folder).replace(/(.)\/$/, '$1'));
  return cleaned.filter(
    (folder) => !posix.isAbsolute(folder) || folder.startsWith('/workspace/') || folder.startsWith('$('),
  );
}

/** The pod's own limit: half as long again as the run's timeout, which is to come first. */
function activeDeadlineSeconds(timeout = '1h'): number {
  const ms = parseDuration(timeout);
  return ms === 0 ? 2_147_483_647 : Math.trunc((ms / 1_000) * 1.5);
}

function labelsOf({ metadata }: TaskRun): Texts {
  return {
    ...(metadata.labels ?? {}),
    'tekton.dev/taskRun': metadata.name,
    'tekton.dev/taskRunUID': metadata.uid,
    'app.kubernetes.io/managed-by': 'tekton-pipelines',
  };
}

function annotationsOf({ metadata }: TaskRun): Texts {
  const { 'app.kubernetes.io/managed-by': _, ...annotations } = metadata.annotations ?? {};
  return { ...annotations, [releaseAnnotation]: release };
}

function replacedTemplate(run: TaskRun, spec: TaskSpec): PodTemplate {
  const { podTemplate = {} } = run.spec;
  return replaceDeep(podTemplate, replacementsOf(taskParams(spec.params ?? [], run.spec.params ?? [])));
}
