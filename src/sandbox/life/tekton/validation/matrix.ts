/** What Tekton refuses of matrices: how many combinations, and of what. */
import { parseReference } from '../reference.ts';
import { isMatrixed } from '../specs.ts';
import { isList, variablesInValue } from '../substitute.ts';
import type { Matrix, Param, PipelineTask } from '../types.ts';
import { at, type Complaints } from './complaints.ts';
import { checkElement, checkText, checkUnique, type Declared } from './params.ts';

/** How many combinations a matrix may have. */
const MOST_COMBINATIONS = 256;

/** Not too many combinations, and every parameter given once. */
export function checkMatrix(task: PipelineTask, path: string, say: Complaints): void {
  const { matrix = {} } = task;
  const { params = [], include = [] } = matrix;
  if (isMatrixed(task)) {
    const count = combinationsOf(matrix);
    if (count > MOST_COMBINATIONS) say.say(`expected 0 <= ${count} <= ${MOST_COMBINATIONS}`, at(path, 'matrix'));
    checkUnique(params, at(path, 'matrix.params'), say);
    for (const [index, { params: more = [] }] of include.entries()) {
      checkUnique(more, at(path, 'matrix', 'include', index, 'params'), say);
    }
  }
  const fanned = new Set(matrixParams(matrix).map(({ name }) => name));
  for (const { name } of task.params ?? []) {
    if (fanned.has(name)) say.both([at(path, 'matrix', { key: name }), at(path, 'params', { key: name })]);
  }
}

function combinationsOf({ params = [], include = [] }: Matrix): number {
  if (params.length === 0) return include.length;
  const product = params.reduce((count, { value }) => count * (isList(value) ? value.length : 0), 1);
  const values = new Map(params.map(({ name, value }) => [name, isList(value) ? value : []]));
  let more = 0;
  for (const { params: included = [] } of include) {
    for (const { name, value } of included) {
      const known = values.get(name);
      if (known === undefined) continue;
      if (typeof value === 'string' && known.includes(value)) break;
      more += 1;
    }
  }
  return product + more;
}

/** What the values of a matrix use is declared. */
export function checkMatrixValues(matrix: Matrix, declared: Declared, path: string, say: Complaints): void {
  for (const { params = [] } of matrix.include ?? []) {
    for (const [index, { value }] of params.entries()) {
      const text = typeof value === 'string' ? value : '';
      checkText(text, declared, at(path, 'matrix.include.params', index), say);
    }
  }
  for (const { name, value } of matrix.params ?? []) {
    for (const [index, text] of (isList(value) ? value : []).entries()) {
      checkElement(text, declared, at(path, 'matrix.params', { key: name }, 'value', index), say);
    }
  }
}

/** A matrix' results are used all at once, and are texts. Of all parameters only the last that uses results is judged. */
export function checkMatrixResults(tasks: readonly PipelineTask[], path: string, say: Complaints): void {
  const byName = new Map(tasks.map((task) => [task.name, task]));
  let used: readonly string[] = [];
  for (const { value } of tasks.flatMap(({ params = [] }) => params)) {
    const variables = variablesInValue(value).filter(looksLikeResult);
    if (variables.length === 0) continue;
    used = variables.filter((variable) => {
      const task = byName.get(variable.split('.')[1] ?? '');
      return task !== undefined && isMatrixed(task);
    });
    const single = used.filter((variable) => !variable.endsWith('[*]'));
    for (const variable of single) {
      say.say(
        `A matrixed pipelineTask can only be consumed in aggregate using [*] notation, but is currently set to ${variable}`,
        '',
      );
    }
    if (single.length > 0) return;
  }
  for (const reference of used.flatMap((variable) => parseReference(variable) ?? [])) {
    const declared = byName.get(reference.task)?.taskSpec?.results ?? [];
    for (const { name, type = '' } of declared) {
      if (name !== reference.result || type === 'string') continue;
      say.invalid(
        `Matrixed PipelineTasks emitting results must have an underlying type string, but result ${name} has type ${type} in pipelineTask`,
        path,
      );
    }
  }
}

/** Whether a variable is meant to be the result of a task. */
export function looksLikeResult(variable: string): boolean {
  const [kind, , results] = variable.split('.');
  return (kind === 'tasks' || kind === 'finally') && results === 'results';
}

/** All parameters of a matrix, those of its additions too. */
export function matrixParams({ params = [], include = [] }: Matrix = {}): Param[] {
  return [...params, ...include.flatMap(({ params: more = [] }) => more)];
}
