/** References to results of other tasks, `$(tasks.x.results.y)`, and the order between tasks that they make. */
import { isMatrixed, variablesInContainer } from './specs.ts';
import { variablesIn, variablesInValue } from './substitute.ts';
import type { Param, PipelineTask, WhenExpression } from './types.ts';

/** One reference to a result. */
export interface ResultReference {
  readonly task: string;
  readonly result: string;
  /** Of `$(tasks.x.results.y[2])`. */
  readonly index?: number;
  /** Of `$(tasks.x.results.y.key)`. */
  readonly key?: string;
}

/** What a variable's name refers to; undefined when it is no result of a task. `tasks` may be `finally` in results. */
export function parseReference(variable: string, first: 'tasks' | 'steps' = 'tasks'): ResultReference | undefined {
  const [kind = '', task = '', results, last = '', key, ...more] = variable.split('.');
  const isKind = kind === first || (first === 'tasks' && kind === 'finally');
  if (!isKind || results !== 'results' || last === '' || more.length > 0) return undefined;
  if (key !== undefined) return { task, result: last, key };
  const [, result = last, index] = /^(.*)\[([0-9]+|\*)\]$/.exec(last) ?? [];
  return index === undefined || index === '*' ? { task, result } : { task, result, index: Number(index) };
}

/** All results that a pipeline task needs, from its parameters, matrix, when expressions, steps and sidecars. */
export function referencesOf(task: PipelineTask): ResultReference[] {
  const variables = [
    ...paramsOf(task).flatMap(({ value }) => variablesInValue(value)),
    ...(task.when ?? []).flatMap(variablesInWhen),
    ...(task.taskSpec?.steps ?? []).flatMap(variablesInContainer),
    ...(task.taskSpec?.sidecars ?? []).flatMap(variablesInContainer),
  ];
  return variables.flatMap((variable) => parseReference(variable) ?? []);
}

/** The tasks whose end a task waits for, each once, in order. */
export function dependenciesOf(task: PipelineTask): string[] {
  return [...new Set([...referencesOf(task).map((reference) => reference.task), ...(task.runAfter ?? [])])].sort();
}

/** Does the task name a result in its parameters or when expressions? Only those make it be skipped. */
export function namesResults(task: PipelineTask): boolean {
  const variables = [
    ...(task.params ?? []).flatMap(({ value }) => variablesInValue(value)),
    ...(task.when ?? []).flatMap(variablesInWhen),
  ];
  return variables.some((variable) => /^(tasks|finally)\.[^.]*\.results\./.test(variable));
}

/** Parameters of a task and of its matrix. */
function paramsOf(task: PipelineTask): readonly Param[] {
  return [...(task.params ?? []), ...(isMatrixed(task) ? matrixParamsOf(task) : [])];
}

/** Parameters of a task's matrix and of its combinations. */
export function matrixParamsOf({ matrix }: PipelineTask): readonly Param[] {
  return [...(matrix?.params ?? []), ...(matrix?.include ?? []).flatMap(({ params }) => params ?? [])];
}

function variablesInWhen({ input = '', cel = '', values = [] }: WhenExpression): string[] {
  return [input, cel, ...values].flatMap(variablesIn);
}
