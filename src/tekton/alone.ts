/** A TaskRun by itself, told as a run of one task: what is made for runs serves for it too. */
import { present } from '../kube/objects.ts';
import type { PipelineRun, Pod, RunFacts, TaskRun } from './types.ts';

/** A TaskRun as the run of it alone. It has the TaskRun's own name, uid and condition. */
export function runAlone({ meta, succeeded, started, completed }: TaskRun): PipelineRun {
  return {
    kind: 'PipelineRun',
    meta,
    ...present({ succeeded, started, completed }),
    params: [],
    workspaces: [],
    timeouts: {},
    results: [],
    children: [],
    skipped: [],
    tasks: [],
  };
}

/** What belongs to that run: the TaskRun and its pods. */
export function factsAlone(run: PipelineRun, taskRun: TaskRun | undefined, pods: readonly Pod[]): RunFacts {
  return { run, taskRuns: taskRun === undefined ? [] : [taskRun], customRuns: [], nested: [], pods };
}
