/** Which of Tekton's objects are over, and which of their texts many of them share: how stores keep them small. */
import { isDone } from './phase.ts';
import type { Pod, TaskRun } from './types.ts';

/** Whether a TaskRun will not change any more. */
export function isTaskRunAtRest({ succeeded, completed }: TaskRun): boolean {
  return isDone(succeeded) && completed !== undefined;
}

/** Whether the containers of a pod have all ended for good. */
export function isPodAtRest({ phase }: Pod): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}

/** Properties whose values are few: words of Kubernetes and Tekton, and names that a task or its author gave. */
export const SHARED_WORDS: ReadonlySet<string> = new Set([
  'kind',
  'namespace',
  'type',
  'status',
  'reason',
  'message',
  'phase',
  'state',
  'name',
  'displayName',
  'container',
  'terminationReason',
  'pipelineTask',
  'memberOf',
  'task',
  'node',
  'app.kubernetes.io/managed-by',
  'tekton.dev/pipeline',
  'tekton.dev/pipelineTask',
  'tekton.dev/memberOf',
  'tekton.dev/task',
  'triggers.tekton.dev/eventlistener',
  'triggers.tekton.dev/trigger',
]);
