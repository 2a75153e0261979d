/** What callers ask about by name, a run or a TaskRun, behind one face: `/status`, `/runs` and `/taskruns` differ in little else. */
import type { Kept, ObjectRef } from '../../kube/objects.ts';
import { type LogsOf, phaseOf, runStatus, taskRunPhase, taskRunStatus } from '../../tekton/status.ts';
import type { Phase, PipelineRun, RunFacts, RunStatus, TaskRun, TaskRunStatus } from '../../tekton/types.ts';
import { type Finder, type Runs, taskRunFinder } from './gather.ts';

/** One kind of objects: how they are found, and what is said of one. */
export interface Subject<T extends PipelineRun | TaskRun, Whole> extends Finder<T> {
  /** Said where there is none: the listener's sentence for runs. */
  readonly missing: string;
  /** As `find`, for who wants nothing but the object itself. */
  glance(ref: ObjectRef): Promise<T>;
  phase(object: T): Phase;
  /** Everything that `whole` is made of, the object first. */
  parts(object: T): readonly Kept[];
  /** All that is known, running times as they are now. */
  whole(object: T, now: Date): Whole;
}

/** Runs. */
export function runSubject(runs: Runs): Subject<PipelineRun, RunStatus> {
  return {
    missing: 'pipeline not found',
    find: (ref) => runs.find(ref),
    glance: (ref) => runs.glance(ref),
    known: (ref) => runs.known(ref),
    subscribe: (ref, listener) => runs.subscribe(ref, listener),
    phase: ({ succeeded }) => phaseOf(succeeded),
    parts: (run) => partsOf(runs.facts(run)),
    whole: (run, now) => runStatus(runs.facts(run), now, logsOf),
  };
}

/** TaskRuns, of runs or standing alone. */
export function taskRunSubject(runs: Runs): Subject<TaskRun, TaskRunStatus> {
  return {
    missing: 'taskrun not found',
    ...taskRunFinder(runs),
    glance: (ref) => runs.findTaskRun(ref),
    phase: taskRunPhase,
    parts: (taskRun) => [taskRun, ...runs.podsOf(taskRun)],
    whole: (taskRun, now) => taskRunStatus(taskRun, runs.podsOf(taskRun), now, logsOf),
  };
}

/** Everything that the status of a run is made of, the run first. */
function partsOf({ run, taskRuns, customRuns, pods, nested }: RunFacts): readonly Kept[] {
  return [run, ...taskRuns, ...customRuns, ...pods, ...nested.flatMap(partsOf)];
}

/** By TaskRun, whose name says which instance of which nested run it is, and by attempt, so that a link means the same tomorrow. */
export const logsOf: LogsOf = ({ namespace, name }, attempt, step) =>
  `/taskruns/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}/logs?step=${encodeURIComponent(step)}&attempt=${attempt}`;
