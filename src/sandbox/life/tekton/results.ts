/** Results of tasks, handed on to tasks that need them and to the results of the pipeline. */
import type { ResultReference } from './reference.ts';
import { parseReference, referencesOf } from './reference.ts';
import { isMatrixed, replaceInReferences, replaceInTask } from './specs.ts';
import type { Replacements } from './substitute.ts';
import { isList, replaceText, replaceValue, variablesInValue } from './substitute.ts';
import type { TaskState } from './taskstate.ts';
import { anyFailed, hasFailed, hasSucceeded } from './taskstate.ts';
import type { Param, ParamValue, PipelineSpec, Texts } from './types.ts';

/** A reference that does not lead to a value. */
export interface MissingResult {
  /** The task that was to have the result. */
  readonly task: string;
  readonly message: string;
}

/** What `target`'s references stand for, or the first that stands for nothing. */
export function resolveResults(
  target: TaskState,
  states: readonly TaskState[],
): { readonly replacements: Replacements } | { readonly missing: MissingResult } {
  const found: [ResultReference, ParamValue][] = [];
  for (const reference of referencesOf(target.task)) {
    const state = states.find(({ task }) => task.name === reference.task);
    if (state === undefined) {
      return miss(reference, `could not find task "${reference.task}" referenced by result`);
    }
    if (!hasSucceeded(state) && !hasFailed(state)) {
      return miss(reference, `task "${reference.task}" referenced by result was not finished`);
    }
    const value = resultOf(state, reference.result);
    if (value === undefined) return miss(reference, invalidReference(state, reference));
    found.push([reference, value]);
  }
  return { replacements: replacementsOfResults(found) };
}

/** Puts what is known into the task's parameters, when expressions and references. */
export function putResults(state: TaskState, replacements: Replacements): void {
  const { displayName } = state.task;
  const task = replaceInReferences(state.task, replacements);
  state.task = displayName === undefined ? task : { ...task, displayName: replaceText(displayName, replacements) };
}

/** Why a task that is to start now cannot: a result it needs was not written. Undefined when all is there. */
export function missingAtStart(target: TaskState, states: readonly TaskState[]): string | undefined {
  for (const reference of referencesOf(target.task)) {
    const state = states.find(({ task }) => task.name === reference.task);
    if (state === undefined) {
      return `Result reference error: Could not find ref "${reference.task}" in internal pipelineRunState`;
    }
    const runs = state.kind === 'CustomRun' ? state.customRuns : state.taskRuns;
    if (runs.length === 0) {
      const kind = state.kind === 'CustomRun' ? 'CustomRuns' : 'TaskRuns';
      return `Result reference error: Internal result ref "${reference.task}" has zero-length ${kind}`;
    }
    const results: readonly { readonly name: string }[] = runs[0]?.status?.results ?? [];
    if (results.some(({ name }) => name === reference.result)) continue;
    return hasSucceeded(state)
      ? `task "${reference.task}" completed successfully but did not emit the result "${reference.result}", which is referenced by task "${target.task.name}"`
      : invalidReference(state, reference);
  }
  return undefined;
}

/** A list result's index that lies beyond the list: Tekton's sentence, or undefined. */
export function indexOutOfBounds(target: TaskState, states: readonly TaskState[]): string | undefined {
  for (const { task, result, index } of referencesOf(target.task)) {
    const state = states.find((one) => one.task.name === task);
    const value = state && (hasSucceeded(state) || hasFailed(state)) ? resultOf(state, result) : undefined;
    if (index === undefined || value === undefined || !isList(value) || index < value.length) continue;
    return `array Result Index ${index} for Task ${task} Result ${result} is out of bound of size ${value.length}`;
  }
  return undefined;
}

/**
 * A task's results as all others may see them. Those of a matrix exist only when some task of the pipeline names one of
 * them: Tekton gathers them for that task, and not for the pipeline's own results.
 */
function sharedResultsOf(state: TaskState, { tasks = [], finally: last = [] }: PipelineSpec): readonly Param[] {
  const { name } = state.task;
  const isNamed = () =>
    [...tasks, ...last].some((task) => referencesOf(task).some((reference) => reference.task === name));
  return isMatrixed(state.task) && !isNamed() ? [] : resultsOf(state);
}

/** Results of all tasks that are done, put into an embedded or referenced Task's spec that names them without a parameter. */
export function propagateResults(state: TaskState, states: readonly TaskState[], pipeline: PipelineSpec): void {
  if (state.spec === undefined) return;
  const found = states
    .filter((one) => one.kind === 'TaskRun' && (hasSucceeded(one) || hasFailed(one)))
    .flatMap((one) =>
      sharedResultsOf(one, pipeline).map(({ name, value }): [ResultReference, ParamValue] => [
        { task: one.task.name, result: name },
        value,
      ]),
    );
  const { strings, arrays } = replacementsOfResults(found);
  state.spec = replaceInTask(state.spec, { strings, arrays, objects: new Map() });
}

/** Results of finished TaskRuns for the bindings of workspaces. */
export function resultsForWorkspaces(states: readonly TaskState[]): Replacements {
  const found = states
    .filter((one) => one.kind === 'TaskRun' && (hasSucceeded(one) || hasFailed(one)))
    .flatMap((one) =>
      resultsOf(one)
        .filter(({ value }) => !isList(value))
        .map(({ name, value }): [ResultReference, ParamValue] => [{ task: one.task.name, result: name }, value]),
    );
  return replacementsOfResults(found);
}

/** The results of the pipeline itself, and the names of those that refer to something that is not there. */
export function pipelineResults(
  pipeline: PipelineSpec,
  states: readonly TaskState[],
  statusOf: (task: string) => string | undefined,
): { readonly results: readonly Param[]; readonly invalid: readonly string[] } {
  const made: Param[] = [];
  const invalid: string[] = [];
  for (const { name, value } of pipeline.results ?? []) {
    const variables = variablesInValue(value);
    const found: [ResultReference, ParamValue][] = [];
    let isValid = variables.length > 0;
    for (const variable of variables) {
      const reference = parseReference(variable);
      const state = states.find(({ task }) => task.name === reference?.task);
      const whole = reference && state && finishedResultOf(state, reference.result, pipeline);
      const part = reference && whole !== undefined ? partOf(whole, reference) : undefined;
      if (reference !== undefined && whole !== undefined && part !== undefined) {
        found.push([reference, whole]);
        continue;
      }
      isValid = false;
      // A task that did not succeed need not have results; one that did, or that is unknown, must.
      const status = whole === undefined && reference !== undefined ? statusOf(reference.task) : undefined;
      if (status === undefined || status === 'Succeeded') invalid.push(name);
    }
    if (isValid) made.push({ name, value: replaceValue(value, replacementsOfResults(found)) });
  }
  return { results: made, invalid };
}

/** What a task declares: is `reference` something that it can have at all? Tekton's sentence when not. */
export function unknownResult(reference: ResultReference, states: readonly TaskState[]): string | undefined {
  const state = states.find(({ task }) => task.name === reference.task);
  if (state === undefined) return `referenced pipeline task "${reference.task}" does not exist`;
  if (state.kind === 'CustomRun') return undefined;
  if (state.spec === undefined) {
    return `unable to validate result referencing pipeline task "${reference.task}": task spec not found`;
  }
  const isDeclared = (state.spec.results ?? []).some(({ name }) => name === reference.result);
  return isDeclared
    ? undefined
    : `"${reference.result}" is not a named result returned by pipeline task "${reference.task}"`;
}

/** How many values of a result a matrixed task's runs have, for `$(tasks.x.matrix.y.length)`. */
export function countResults(state: TaskState, result: string): number {
  return state.taskRuns.flatMap(({ status }) => status?.results ?? []).filter(({ name }) => name === result).length;
}

function miss({ task }: ResultReference, message: string): { readonly missing: MissingResult } {
  return { missing: { task, message } };
}

function invalidReference({ task }: TaskState, reference: ResultReference): string {
  const kind = isMatrixed(task) ? 'task' : 'pipeline task';
  return `Invalid task result reference: Could not find result with name ${reference.result} for ${kind} ${reference.task}`;
}

function resultOf(state: TaskState, result: string): ParamValue | undefined {
  return resultsOf(state).find(({ name }) => name === result)?.value;
}

function finishedResultOf(state: TaskState, result: string, pipeline: PipelineSpec): ParamValue | undefined {
  if (!hasSucceeded(state) && !hasFailed(state)) return undefined;
  return sharedResultsOf(state, pipeline).find(({ name }) => name === result)?.value;
}

/** A task's results. Those of a matrix are lists, with a value of each run that has one, by the name of the run. */
function resultsOf(state: TaskState): readonly Param[] {
  if (state.kind === 'PipelineRun') return [];
  if (state.kind === 'CustomRun') {
    return (state.customRuns[0]?.status?.results ?? []).map(({ name, value }) => ({ name, value: listOrText(value) }));
  }
  if (!isMatrixed(state.task)) return state.taskRuns[0]?.status?.results ?? [];
  const lists = new Map<string, string[]>();
  for (const { status } of [...state.taskRuns].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))) {
    for (const { name, value } of status?.results ?? []) {
      lists.set(name, [...(lists.get(name) ?? []), typeof value === 'string' ? value : '']);
    }
  }
  return [...lists].map(([name, value]) => ({ name, value }));
}

/** Results of custom tasks are texts; one that is a JSON list of texts counts as that list. */
function listOrText(value: string): ParamValue {
  try {
    const parsed: unknown = JSON.parse(value);
    if (Array.isArray(parsed) && parsed.length > 0 && parsed.every((one) => typeof one === 'string')) return parsed;
  } catch {
    // Not JSON: the text itself is the result.
  }
  return value;
}

function partOf(value: ParamValue, { index, key }: ResultReference): ParamValue | undefined {
  if (key !== undefined) return typeof value === 'string' || isList(value) ? undefined : value[key];
  if (index !== undefined && isList(value)) return value[index];
  return value;
}

function replacementsOfResults(found: readonly (readonly [ResultReference, ParamValue])[]): Replacements {
  const strings = new Map<string, string>();
  const arrays = new Map<string, readonly string[]>();
  const objects = new Map<string, Texts>();
  for (const [{ task, result }, value] of found) {
    for (const first of ['tasks', 'finally']) {
      const prefix = `${first}.${task}.results`;
      for (const key of [`${prefix}.${result}`, `${prefix}["${result}"]`, `${prefix}['${result}']`]) {
        if (typeof value === 'string') strings.set(key, value);
        else if (isList(value)) {
          arrays.set(key, value);
          value.forEach((element, index) => void strings.set(`${key}[${index}]`, element));
        } else {
          objects.set(key, value);
          for (const [property, text] of Object.entries(value)) {
            strings.set(key.endsWith(']') ? `${key}[${property}]` : `${key}.${property}`, text);
          }
        }
      }
    }
  }
  return { strings, arrays, objects };
}

/** The status of a task as finally tasks and results see it: `Succeeded`, `Failed` or `None`. */
export function executionStatus(state: TaskState): string {
  if (hasSucceeded(state)) return 'Succeeded';
  return anyFailed(state) ? 'Failed' : 'None';
}
