/** PipelineTriggers on a GitRepository in the shapes that users have, for flows that are the same in all of them. */

/** By the field of the spec: of the first releases (A), and of the last ones (B). */
export const shapes = ['pipeline', 'pipelineRun'] as const;

/** One of them. */
export type Shape = (typeof shapes)[number];

/**
 * A trigger as JSON. Its runs have the commit in the parameter `rev`. `pipeline` is one of `TriggerWorld.pipeline`, `skips` unless
 * told; `source` has the trigger's name unless told.
 */
export function triggerOf(
  shape: Shape,
  name: string,
  { pipeline = 'skips', source = name }: { readonly pipeline?: string; readonly source?: string } = {},
): string {
  const template =
    shape === 'pipeline'
      ? { name: pipeline, serviceAccountName: 'default', inputParams: [{ name: 'rev', value: '$(commit)' }] }
      : {
          apiVersion: 'tekton.dev/v1',
          kind: 'PipelineRun',
          metadata: { generateName: `${name}-` },
          spec: { pipelineRef: { name: pipeline }, params: [{ name: 'rev', value: '$.commitId' }] },
        };
  return JSON.stringify({
    apiVersion: 'pipeline.jquad.rocks/v1alpha1',
    kind: 'PipelineTrigger',
    metadata: { name },
    spec: {
      source: { apiVersion: 'source.toolkit.fluxcd.io/v1', kind: 'GitRepository', name: source },
      [shape]: template,
    },
  });
}

/** A revision whose commit is that number. */
export function revisionOf(number: number): string {
  return `main@sha1:${commitOf(number)}`;
}

/** The commit of a revision. */
export function commitOf(number: number): string {
  return number.toString(16).padStart(40, '0');
}

/** The status that says that a run is intended, before it is created. */
export const intentWrite = /"latestPipelineRun":"Unknown"/;

/** The status that names the run, after it has been created. */
export const runWrite = /"latestPipelineRun":"(?!Unknown")/;
