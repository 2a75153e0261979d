/** What a log stream follows: a run, or a TaskRun by itself as the run of it alone. */
import { factsAlone, runAlone } from '../../tekton/alone.ts';
import type { PipelineRun, RunFacts, TaskRun } from '../../tekton/types.ts';
import type { Runs } from './gather.ts';

/** Where it is found, and what belongs to it. */
export interface Followed extends Pick<Runs, 'find' | 'known' | 'facts' | 'pod' | 'fetchPod' | 'subscribe'> {
  readonly kind: 'PipelineRun' | 'TaskRun';
}

/** Runs. */
export function followedRuns(runs: Runs): Followed {
  const { find, known, facts, pod, fetchPod, subscribe } = runs;
  return { kind: 'PipelineRun', find, known, facts, pod, fetchPod, subscribe };
}

/** TaskRuns, of runs or standing alone, by their own names. */
export function followedTaskRuns(runs: Runs): Followed {
  const { pod, fetchPod } = runs;
  /** One run for each version of a TaskRun, and what belongs to it for each set of pods, so that nothing is planned twice. */
  const told = new WeakMap<TaskRun, PipelineRun>();
  const toldOf = new WeakMap<PipelineRun, TaskRun>();
  const gathered = new WeakMap<PipelineRun, RunFacts>();
  const alone = (taskRun: TaskRun): PipelineRun => {
    const known = told.get(taskRun);
    if (known !== undefined) return known;
    const run = runAlone(taskRun);
    told.set(taskRun, run);
    toldOf.set(run, taskRun);
    return run;
  };
  return {
    kind: 'TaskRun',
    pod,
    fetchPod,
    find: async (ref) => alone(await runs.findTaskRun(ref)),
    known(ref) {
      const taskRun = runs.knownTaskRun(ref);
      return taskRun && alone(taskRun);
    },
    facts(run) {
      const taskRun = toldOf.get(run);
      const pods = taskRun === undefined ? [] : runs.podsOf(taskRun);
      const known = gathered.get(run);
      if (known?.pods.length === pods.length && known.pods.every((one, at) => one === pods[at])) return known;
      const made = factsAlone(run, taskRun, pods);
      gathered.set(run, made);
      return made;
    },
    subscribe: (ref, listener) => runs.subscribeTaskRun(ref, listener),
  };
}
