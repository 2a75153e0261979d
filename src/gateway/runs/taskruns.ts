/** `GET /taskruns/...`: how one TaskRun stands, of a run or standing alone. Its log is in `logs`. */
import type { Request } from 'express';
import { containerOf } from '../../tekton/failure.ts';
import { taskRunStatusSchema } from '../described/schemas/taskruns.ts';
import { taskRunSubject } from '../facts/subject.ts';
import { type Operation, type Route, whereReading } from '../operation.ts';
import { taskRunRef } from '../options.ts';
import { type ResourceParts, resourceAnswers, resourceHandler, resourceOptions } from './resource.ts';
import { statusAnswers, statusHandler, statusOptions } from './status.ts';

/** `/taskruns/:namespace/:name/status` as a value. */
function taskRunStatusOperation(maxWaitSeconds: number) {
  return {
    id: 'getTaskRunStatus',
    path: '/taskruns/:namespace/:name/status',
    shortPath: '/taskruns/:name/status',
    tag: 'taskruns',
    summary: 'How a TaskRun stands',
    description: 'As `/status` of a run: four keys and a code that scripts can rely on.',
    options: statusOptions(maxWaitSeconds),
    headers: ['If-None-Match', 'Accept-Encoding'],
    answers: statusAnswers(taskRunStatusSchema),
    problems: whereReading,
  } as const satisfies Operation;
}

/** `/taskruns/:namespace/:name` as a value. */
function taskRunOperation(maxWaitSeconds: number) {
  return {
    id: 'getTaskRun',
    path: '/taskruns/:namespace/:name',
    tag: 'taskruns',
    summary: 'Everything about a TaskRun',
    description:
      'Its attempts and steps, what it waits for, and which step made it fail. A TaskRun that is named `status` or `logs` has its status under `/taskruns/:namespace/:name/status?full=true`.',
    options: resourceOptions(maxWaitSeconds),
    headers: ['If-None-Match', 'Accept-Encoding'],
    answers: resourceAnswers(taskRunStatusSchema),
    problems: whereReading,
  } as const satisfies Operation;
}

/** Routes `/taskruns/:name/status`, `/taskruns/:namespace/:name/status` and `/taskruns/:namespace/:name`, in this order. */
export function taskRunRoutes(parts: ResourceParts): readonly Route[] {
  const { runs, defaultNamespace, maxWaitSeconds } = parts;
  const subject = taskRunSubject(runs);
  const refOf = (request: Request) => taskRunRef(request.params, defaultNamespace);
  return [
    { operation: taskRunStatusOperation(maxWaitSeconds), handler: statusHandler(subject, refOf, parts) },
    {
      operation: taskRunOperation(maxWaitSeconds),
      handler: resourceHandler(subject, refOf, (whole) => containerOf(whole.failure?.step, whole), parts),
    },
  ];
}
