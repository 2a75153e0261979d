/** `GET /runs/:namespace/:name`: everything about a run. Lists of runs are in `runlist`, its changes in `runevents`. */
import { failedContainer } from '../../tekton/failure.ts';
import { runStatusSchema } from '../described/schemas/runs.ts';
import { runSubject } from '../facts/subject.ts';
import { type Operation, type Route, whereReading } from '../operation.ts';
import { runRef } from '../options.ts';
import { type ResourceParts, resourceAnswers, resourceHandler, resourceOptions } from './resource.ts';

/** `/runs/:namespace/:name` as a value. */
function runOperation(maxWaitSeconds: number) {
  return {
    id: 'getRun',
    path: '/runs/:namespace/:name',
    tag: 'runs',
    summary: 'Everything about a run',
    description:
      'Its tasks, instances, attempts and steps, what is waited for, how far it is, and which step made it fail. The code is 200 however the run stands; `/status` is for scripts that look at the code alone.',
    options: resourceOptions(maxWaitSeconds),
    headers: ['If-None-Match', 'Accept-Encoding'],
    answers: resourceAnswers(runStatusSchema),
    problems: whereReading,
  } as const satisfies Operation;
}

/** The route `/runs/:namespace/:name`. */
export function runRoutes(parts: ResourceParts): readonly Route[] {
  const { runs, defaultNamespace, maxWaitSeconds } = parts;
  const handler = resourceHandler(
    runSubject(runs),
    (request) => runRef(request.params, defaultNamespace),
    ({ failure, tasks }) => failedContainer(failure, tasks),
    parts,
  );
  return [{ operation: runOperation(maxWaitSeconds), handler }];
}
