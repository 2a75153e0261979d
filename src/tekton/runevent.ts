/** What is told of a run while it goes on: no more than changes, so that two equal texts mean that nothing did. Pure. */
import { type ObjectRef, present } from '../kube/objects.ts';
import type { Failure, Phase, Progress, RunStatus, TaskPhase } from './types.ts';

/** How a run stands after a change. */
export interface RunEvent extends ObjectRef {
  readonly uid: string;
  readonly phase: Phase;
  readonly condition: RunStatus['condition'];
  readonly started?: string;
  readonly finallyStarted?: string;
  readonly completed?: string;
  readonly progress: Progress;
  readonly failure?: Failure;
  readonly tasks: readonly {
    readonly name: string;
    readonly phase: TaskPhase;
    readonly reason: string;
    readonly instances: readonly {
      readonly name: string;
      readonly phase: TaskPhase;
      readonly reason: string;
      /** How often it was tried. */
      readonly attempts: number;
    }[];
  }[];
}

/** The event of a run that stands so. */
export function runEvent(status: RunStatus): RunEvent {
  const { namespace, name, uid, phase, condition, started, finallyStarted, completed, progress, failure, tasks } =
    status;
  return {
    namespace,
    name,
    uid,
    phase,
    condition,
    ...present({ started, finallyStarted, completed }),
    progress,
    ...present({ failure }),
    tasks: tasks.map((task) => ({
      name: task.name,
      phase: task.phase,
      reason: task.reason,
      instances: task.instances.map((instance) => ({
        name: instance.name,
        phase: instance.phase,
        reason: instance.reason,
        attempts: instance.attempts.length,
      })),
    })),
  };
}

/** Whether nothing will change any more: the run is done, and none of its tasks is on its way. */
export function isSettled({ phase, progress }: RunEvent): boolean {
  return phase !== 'pending' && phase !== 'running' && progress.running === 0;
}
