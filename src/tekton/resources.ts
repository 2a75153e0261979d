/** Tekton's kinds, in the versions we can read, best first. https://github.com/tektoncd/pipeline/blob/main/docs/README.md */

const group = 'tekton.dev';

export const PIPELINES = { group, resource: 'pipelines', versions: ['v1', 'v1beta1'] };
export const PIPELINE_RUNS = { group, resource: 'pipelineruns', versions: ['v1', 'v1beta1'] };
export const TASK_RUNS = { group, resource: 'taskruns', versions: ['v1', 'v1beta1'] };
/** A cluster may have none. */
export const CUSTOM_RUNS = { group, resource: 'customruns', versions: ['v1beta1'] };
