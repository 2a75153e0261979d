/** Triggers as users of the first and of the later releases write them, and what tests ask of the runs that come of them. */
import assert from 'node:assert/strict';
import type { Branch, RunManifest, TriggerWorld } from './triggers.ts';

/** A trigger of release 0.1.4 on a GitRepository, as JSON; `pipeline` has fields of `spec.pipeline` that are not usual. */
export function firstTrigger(name: string, source: string, pipeline: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    apiVersion: 'pipeline.jquad.rocks/v1alpha1',
    kind: 'PipelineTrigger',
    metadata: { name },
    spec: {
      source: { kind: 'GitRepository', name: source },
      pipeline: {
        name: 'skips',
        serviceAccountName: 'default',
        retries: 1,
        maxHistory: 10,
        workspace: { name: 'source', size: '1Gi', accessMode: 'ReadWriteOnce' },
        inputParams: [
          { name: 'rev', value: '$(commit)' },
          { name: 'branch', value: '$(branch)' },
        ],
        ...pipeline,
      },
    },
  });
}

/** The kinds of sources, and the version in which the original's manifests name them. */
const SOURCE_VERSIONS = {
  GitRepository: 'source.toolkit.fluxcd.io/v1',
  OCIRepository: 'source.toolkit.fluxcd.io/v1',
  Bucket: 'source.toolkit.fluxcd.io/v1',
  ImagePolicy: 'image.toolkit.fluxcd.io/v1',
  PullRequest: 'pipeline.jquad.rocks/v1alpha1',
};

/** A parameter of a template. */
export interface TemplateParam {
  readonly name: string;
  readonly value: unknown;
}

/** What a trigger of the later releases has that is not usual. */
export interface WholeTriggerOptions {
  /** Of its source; GitRepository unless told. */
  readonly kind?: keyof typeof SOURCE_VERSIONS;
  /** Of its template; `generateName: <name>-` unless told. */
  readonly metadata?: object;
  /** Of its template; `rev` and `branch`, as the kind of the source tells them, unless told. */
  readonly params?: readonly TemplateParam[];
  /** Fields of its template's spec besides `params`; the Pipeline `skips` unless told. */
  readonly template?: object;
}

/** A trigger of the later releases, with `spec.pipelineRun`, as JSON. */
export function wholeTrigger(name: string, source: string, options: WholeTriggerOptions = {}): string {
  const { kind = 'GitRepository', metadata = { generateName: `${name}-` }, params = usual(kind) } = options;
  const { template = { pipelineRef: { name: 'skips' } } } = options;
  return JSON.stringify({
    apiVersion: 'pipeline.jquad.rocks/v1alpha1',
    kind: 'PipelineTrigger',
    metadata: { name },
    spec: {
      source: { apiVersion: SOURCE_VERSIONS[kind], kind, name: source },
      pipelineRun: { apiVersion: 'tekton.dev/v1', kind: 'PipelineRun', metadata, spec: { ...template, params } },
    },
  });
}

function usual(kind: keyof typeof SOURCE_VERSIONS): readonly TemplateParam[] {
  const [rev, branch] = {
    GitRepository: ['$.commitId', '$.branchName'],
    OCIRepository: ['$.commitId', '$.branchName'],
    Bucket: ['$.commitId', '$.repositoryName'],
    ImagePolicy: ['$.imageVersion', '$.imageName'],
    PullRequest: ['$.head.sha', '$.head.ref'],
  }[kind];
  return [
    { name: 'rev', value: rev },
    { name: 'branch', value: branch },
  ];
}

/** A branch of a PullRequest with the details that the parameters of `wholeTrigger` ask for, and `more`. */
export function pull(name: string, commit: string, more: object = {}): Branch {
  return { name, commit, details: JSON.stringify({ head: { ref: name, sha: commit }, ...more }) };
}

/** A commit's hash, told apart by one hexadecimal digit. */
export function sha(digit: string): string {
  return digit.repeat(40);
}

/** The parameters of a run by name. */
export function paramsOf({ spec }: RunManifest): Readonly<Record<string, unknown>> {
  return Object.fromEntries((spec.params ?? []).map(({ name, value }) => [name, value]));
}

/** The values that the runs have for one parameter, in alphabetical order. */
export function valuesOf(runs: readonly RunManifest[], param: string): readonly unknown[] {
  return runs.map((run) => paramsOf(run)[param]).sort();
}

/** Remembers how many runs each trigger had when its test was over, so that it can be counted again in the end. */
export class Tally {
  readonly #counted = new Map<string, number>();

  /** Waits until the trigger has so many runs, expects that it keeps them, and returns them. */
  async has(world: TriggerWorld, trigger: string, runs: number): Promise<readonly RunManifest[]> {
    this.expect(trigger, runs);
    return world.hasRuns(trigger, runs);
  }

  /** Expects so many runs of a trigger in the end. */
  expect(trigger: string, runs: number): void {
    this.#counted.set(trigger, runs);
  }

  /** Counts again after a wait that is long enough for a run too many. */
  async again(world: TriggerWorld): Promise<void> {
    await world.settled();
    await new Promise((resolve) => setTimeout(resolve, world.ground === 'cluster' ? 30_000 : 2_000));
    await world.settled();
    for (const [trigger, runs] of this.#counted) {
      const found = await world.runsOf(trigger);
      assert.equal(found.length, runs, `${trigger}: ${found.map(({ metadata }) => metadata.name).join()}`);
    }
  }
}
