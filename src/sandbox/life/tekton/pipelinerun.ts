/**
 * PipelineRuns: what becomes of one, decided from what is there. Each look starts from the beginning, so it does not matter
 * which event rang. The order of the steps is Tekton's, because what is said first is what a run fails with.
 */

import type { Parent } from './children.ts';
import {
  childReference,
  claimFor,
  contextOf,
  customRunFor,
  pipelineRunFor,
  replaceInBindings,
  taskRunFor,
  UnboundWorkspace,
} from './children.ts';
import type { Verdict } from './condition.ts';
import { isDone } from './condition.ts';
import type { Graph, Node } from './graph.ts';
import { buildGraph } from './graph.ts';
import type { Lookup } from './lookup.ts';
import { combinations } from './matrix.ts';
import { pipelineParams, replacementsOf } from './params.ts';
import {
  checkMatrixTypes,
  checkReferences,
  checkRun,
  checkSpec,
  checkSubstituted,
  checkTasks,
  list,
  Refused,
  userError,
} from './pipelinechecks.ts';
import { Progress } from './progress.ts';
import { dependenciesOf } from './reference.ts';
import { ancestorsOf, knownChildren, resolvePipeline, resolveTasks } from './resolve.ts';
import {
  executionStatus,
  missingAtStart,
  pipelineResults,
  propagateResults,
  putResults,
  resolveResults,
  resultsForWorkspaces,
} from './results.ts';
import type { PipelineRunDecision } from './rundraft.ts';
import { RunDraft, Unstoppable } from './rundraft.ts';
import { isMatrixed, only, replaceInPipeline, replaceInReferences } from './specs.ts';
import { replaceText, texts } from './substitute.ts';
import type { TaskState } from './taskstate.ts';
import { isRunning } from './taskstate.ts';
import type {
  CustomRun,
  Draft,
  PipelineRun,
  PipelineRunStatus,
  PipelineSpec,
  PipelineTask,
  TaskRun,
  WorkspaceBinding,
} from './types.ts';

/** What `decidePipelineRun` goes by. */
export interface PipelineRunFacts {
  readonly run: PipelineRun;
  readonly lookup: Lookup;
  readonly now: number;
}

/** Decides for a run that is not being deleted and is ours. A run that is done stays as it is. */
export function decidePipelineRun({ run, lookup, now }: PipelineRunFacts): PipelineRunDecision {
  const draft = new RunDraft(run, now);
  if (isDone(run)) return draft.decision();
  try {
    advance(draft, lookup, now);
  } catch (error) {
    if (error instanceof Refused) draft.judge({ status: 'False', reason: error.reason, message: error.message });
    else if (error instanceof Unstoppable) draft.judge(couldNotStop(run, error));
    else throw error;
  }
  return draft.decision();
}

/** What the API said when it did not take something. */
export interface Refusal {
  readonly code: number;
  readonly message: string;
}

/** The status of a run one of whose children the API did not take. Only mistakes in it (400, 422) end the run. */
export function refusedChild(run: PipelineRun, { code, message }: Refusal, now: number): PipelineRunStatus {
  const draft = new RunDraft(run, now);
  if (code === 400 || code === 422) draft.judge({ status: 'False', reason: 'CreateRunFailed', message });
  return draft.decision().status;
}

/** The status of a run one of whose claims the API did not take. A full quota may have room later. */
export function refusedClaim(
  run: PipelineRun,
  claim: string,
  { code, message }: Refusal,
  now: number,
): PipelineRunStatus {
  const draft = new RunDraft(run, now);
  const { namespace = '', name } = run.metadata;
  if ((code === 403 && message.includes('exceeded quota')) || code === 409) {
    const why = `PVC creation error, retryable for ${claim}: ${message}`;
    draft.judge({
      status: 'Unknown',
      reason: 'PipelineRunPending',
      message: `Waiting for PVC creation to succeed: ${why}`,
    });
  } else {
    const why = `PVC creation error for ${claim}: ${message}`;
    draft.judge({
      status: 'False',
      reason: 'CouldntCreateWorkspacePVC',
      message: `Failed to create PVC for PipelineRun ${namespace}/${name} correctly: ${why}`,
    });
  }
  return draft.decision().status;
}

function advance(draft: RunDraft, lookup: Lookup, now: number): void {
  const { run } = draft;
  const asked = run.spec.status;
  if (asked !== 'PipelineRunPending') draft.start();
  draft.labelWithPipeline();
  if (asked === 'Cancelled') {
    draft.stopAll('cancelled');
    draft.judge({ status: 'False', reason: 'Cancelled', message: `PipelineRun ${quoted(run)} was cancelled` });
    return;
  }
  draft.setChildren(knownChildren(run));
  if (asked === 'PipelineRunPending') {
    draft.judge({ status: 'Unknown', reason: 'PipelineRunPending', message: `PipelineRun ${quoted(run)} is pending` });
    return;
  }
  const { name, spec } = resolvePipeline(draft, lookup);
  const graph = graphOf(draft, spec);
  checkSpec(run, name, spec);
  checkRun(run, name, spec);
  const { spec: replaced, workspaces } = substituted(draft, name, spec);
  draft.setSpec(replaced);
  checkSubstituted(run, name, replaced);
  const states = resolveTasks(draft, replaced, name, lookup);
  const progress = new Progress({ run: draft.current(), states, graph, now, startedAt: draft.startedAt });
  checkTasks(run, states);
  if (asked === 'CancelledRunFinally' && progress.isRunning) draft.stopAll('cancelled');
  if (progress.isBeforeFirst) {
    checkReferences(run, replaced, states);
    for (const workspace of workspaces) draft.create(claimFor(run, workspace));
  }
  stopLate(draft, progress);
  startNext(draft, progress, {
    run: draft.current(),
    ancestors: ancestorsOf(draft.current(), lookup),
    spec: replaced,
    states,
    timeouts: progress.timeouts,
    workspaces: replaceInBindings(workspaces, resultsForWorkspaces(states)),
  });
  progress.reconsider();
  if (progress.hasTimedOut) draft.stopAll('timedOut');
  conclude(draft, progress, replaced);
}

function graphOf({ run }: RunDraft, spec: PipelineSpec): Graph {
  const { namespace = '', name } = run.metadata;
  const build = (nodes: readonly Node[], where: string) => {
    try {
      return buildGraph(nodes);
    } catch (error) {
      const message = `PipelineRun ${namespace}/${name}'s Pipeline DAG is invalid${where}: ${messageOf(error)}`;
      throw userError('PipelineInvalidGraph', message);
    }
  };
  const graph = build(
    (spec.tasks ?? []).map((task) => ({ name: task.name, after: dependenciesOf(task) })),
    '',
  );
  build(
    (spec.finally ?? []).map((task) => ({ name: task.name, after: [] })),
    ' for finally clause',
  );
  return graph;
}

/** The pipeline with parameters, context and workspaces put in, and the run's bindings with parameters put in. */
function substituted(
  { run }: RunDraft,
  name: string,
  spec: PipelineSpec,
): { readonly spec: PipelineSpec; readonly workspaces: readonly WorkspaceBinding[] } {
  const given = run.spec.params ?? [];
  let params = given;
  try {
    params = pipelineParams(spec.params ?? [], given);
  } catch (error) {
    const message = `Failed to apply parameters to Pipeline ${run.metadata.namespace}/${name}: ${messageOf(error)}`;
    throw userError('PipelineValidationFailed', message);
  }
  const context = texts(contextOf(run, name));
  const boundness = new Map([
    ...(spec.workspaces ?? []).map((workspace): [string, string] => [`workspaces.${workspace.name}.bound`, 'false']),
    ...(run.spec.workspaces ?? []).map((workspace): [string, string] => [`workspaces.${workspace.name}.bound`, 'true']),
  ]);
  const titled = (task: PipelineTask): PipelineTask => ({
    ...task,
    ...only('displayName', task.displayName === undefined ? undefined : replaceText(task.displayName, context)),
  });
  const withParams = replaceInPipeline(spec, replacementsOf(params));
  const withContext = replaceInPipeline(
    {
      ...withParams,
      ...only('tasks', withParams.tasks?.map(titled)),
      ...only('finally', withParams.finally?.map(titled)),
    },
    context,
  );
  return {
    spec: replaceInPipeline(withContext, texts(boundness)),
    workspaces: replaceInBindings(run.spec.workspaces ?? [], replacementsOf(given)),
  };
}

/** Tasks that run beyond the time of all tasks, and finally tasks beyond theirs. */
function stopLate(draft: RunDraft, progress: Progress): void {
  const isLate = progress.finallyStartedAt === undefined ? progress.haveTasksTimedOut : progress.hasFinallyTimedOut;
  if (!isLate) return;
  const late = progress.states.filter(
    (state) => state.isFinal === (progress.finallyStartedAt !== undefined) && isRunning(state),
  );
  draft.stop(
    'timedOut',
    late.map(({ task }) => task.name),
  );
}

/** Starts what can start now. A result that was never written stops everything but the finally tasks. */
function startNext(draft: RunDraft, progress: Progress, parent: Parent): void {
  const next = progress.nextTasks();
  const invalid = next.flatMap((state): [TaskState, string][] => {
    const why = missingAtStart(state, progress.states);
    return why === undefined ? [] : [[state, why]];
  });
  for (const [state, why] of invalid) progress.markInvalid(state, why);
  const last = progress.nextFinally();
  const statuses = texts(progress.taskStatuses());
  for (const state of last) {
    state.task = {
      ...replaceInReferences(state.task, statuses),
      ...only('displayName', state.task.displayName && replaceText(state.task.displayName, statuses)),
    };
  }
  const ready = last.filter((state) => {
    const results = resolveResults(state, progress.states);
    if ('replacements' in results) putResults(state, results.replacements);
    return 'replacements' in results;
  });
  if (progress.isFinallyStarted) draft.startFinally(progress);
  for (const state of [...(invalid.length > 0 ? [] : next), ...ready]) {
    if (state.isFinal) draft.startFinally(progress);
    if (progress.skipOf(state) !== undefined || progress.finallySkipOf(state) !== undefined) continue;
    propagateResults(state, progress.states, parent.spec);
    if (isMatrixed(state.task)) checkMatrixTypes(progress.states);
    startTask(draft, parent, state);
  }
}

function startTask(draft: RunDraft, parent: Parent, state: TaskState): void {
  const fannedOut = isMatrixed(state.task) ? combinations(state.task.matrix ?? {}) : [];
  try {
    for (const [index, name] of state.names.entries()) {
      const combination = fannedOut[index] ?? [];
      // A run that does not exist yet stands in its own place until it does: nothing is known of it but its spec.
      if (state.kind === 'TaskRun') {
        const made = taskRunFor(parent, state, name, combination);
        draft.create(made);
        state.taskRuns = [...state.taskRuns, unborn<TaskRun>(made)];
      } else if (state.kind === 'CustomRun') {
        const made = customRunFor(parent, state, name, combination);
        draft.create(made);
        state.customRuns = [...state.customRuns, unborn<CustomRun>(made)];
      } else {
        refuseCircle(parent, state);
        const made = pipelineRunFor(parent, state, name);
        draft.create(made);
        state.pipelineRuns = [...state.pipelineRuns, unborn<PipelineRun>(made)];
      }
    }
  } catch (error) {
    if (error instanceof UnboundWorkspace) throw new Refused('CreateRunFailed', error.message);
    throw error;
  }
}

/** A Pipeline that is nested in itself, by whatever way, would never end. */
function refuseCircle({ ancestors }: Parent, { pipeline }: TaskState): void {
  if (pipeline?.name === undefined || !ancestors.includes(pipeline.name)) return;
  const place = ancestors.indexOf(pipeline.name);
  const message = `detected cycle in pipeline-in-pipeline: pipeline "${pipeline.name}" is already running in ancestor chain ${list(ancestors.slice(0, place))}`;
  throw new Refused('CreateRunFailed', message);
}

/** How the run stands after all that, and what it tells of its tasks. */
function conclude(draft: RunDraft, progress: Progress, spec: PipelineSpec): void {
  const verdict = progress.verdict();
  // What has been written since is shown where it is referred to, in when expressions above all.
  for (const state of progress.states) {
    if (!progress.isDone(state)) continue;
    const results = resolveResults(state, progress.states);
    if ('replacements' in results) for (const other of progress.states) putResults(other, results.replacements);
  }
  const children = progress.states.flatMap((state) =>
    [...state.pipelineRuns, ...state.taskRuns, ...state.customRuns].map((run) => childReference(state, run)),
  );
  draft.setChildren(children);
  draft.setSkipped(progress.skippedTasks());
  if (verdict.status === 'Unknown') {
    draft.judge(verdict);
    return;
  }
  const statuses = new Map(progress.states.map((state) => [state.task.name, executionStatus(state)]));
  const { results, invalid } = pipelineResults(spec, progress.states, (task) => statuses.get(task));
  draft.setResults(results);
  if (invalid.length === 0) {
    draft.judge(verdict);
    return;
  }
  const why = `invalid pipelineresults ${list(invalid)}, the referenced results don't exist`;
  draft.judge({
    status: 'False',
    reason: 'CouldntGetPipelineResult',
    message: `Failed to get PipelineResult from TaskRun Results for PipelineRun ${draft.run.metadata.name}: ${why}`,
  });
}

/** Cancelled or out of time, with children that do not know how to stop. It is tried again when one of them moves. */
function couldNotStop(run: PipelineRun, { why, message }: Unstoppable): Verdict {
  const told = {
    cancelled: { reason: 'PipelineRunCouldntCancel', did: 'was cancelled', tried: 'cancel' },
    timedOut: { reason: 'PipelineRunCouldntTimeOut', did: 'was timed out', tried: 'time out' },
  }[why];
  return {
    status: 'Unknown',
    reason: told.reason,
    message: `PipelineRun ${quoted(run)} ${told.did} but had errors trying to ${told.tried} TaskRuns and/or Runs: ${message}`,
  };
}

/** A run as it will be, before the API has made it: nothing is known of it but what it was made of. */
function unborn<Made extends TaskRun | CustomRun | PipelineRun>(made: Draft): Made {
  return made as unknown as Made;
}

function quoted({ metadata }: PipelineRun): string {
  return JSON.stringify(metadata.name);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
