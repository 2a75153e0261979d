/** A matrix' combinations. https://tekton.dev/docs/pipelines/matrix/ */
import { isList } from './substitute.ts';
import type { Matrix, Param, Texts } from './types.ts';

/** The parameters of each run of a matrixed task, in order; names sorted within one run. */
export function combinations({ params = [], include = [] }: Matrix): Param[][] {
  const included = include.map((one) => textsOf(one.params ?? []));
  if (params.length === 0) return included.map(toParams);
  const fannedOut = params.reduce<Texts[]>(
    (sofar, { name, value }) => listOf(value).flatMap((text) => sofar.map((one) => ({ ...one, [name]: text }))),
    [{}],
  );
  // Values that are all the same as an include's get what it has beyond them.
  const all = fannedOut.map((one): Texts => Object.assign({}, one, ...included.filter((other) => agrees(one, other))));
  // One that shares no value with any is a run of its own.
  for (const one of included) if (isNew(one, all)) all.push(one);
  return all.map(toParams);
}

/** How many runs a matrix makes. An empty list counts as if it were not there: such a task is skipped, not fanned out. */
export function countCombinations({ params = [], include = [] }: Matrix): number {
  if (params.length === 0) return include.length;
  const product = params.reduce((count, { value }) => count * Math.max(1, listOf(value).length), 1);
  return product + include.reduce((count, one) => count + newValues(one.params ?? [], params), 0);
}

/** How many of an include's parameters have values that the matrix does not have, up to the first that it has. */
function newValues(included: readonly Param[], params: readonly Param[]): number {
  let count = 0;
  for (const { name, value } of included) {
    const values = params.find((param) => param.name === name);
    if (values === undefined) continue;
    if (typeof value === 'string' && listOf(values.value).includes(value)) break;
    count++;
  }
  return count;
}

function agrees(combination: Texts, include: Texts): boolean {
  return Object.entries(include).every(([name, value]) => (combination[name] ?? value) === value);
}

function isNew(include: Texts, all: readonly Texts[]): boolean {
  const values = Object.entries(include);
  return values.length > 0 && !all.some((one) => values.some(([name, value]) => one[name] === value));
}

function textsOf(params: readonly Param[]): Texts {
  return Object.fromEntries(params.map(({ name, value }) => [name, typeof value === 'string' ? value : '']));
}

function listOf(value: Param['value']): readonly string[] {
  return isList(value) ? value : [];
}

function toParams(combination: Texts): Param[] {
  return Object.entries(combination)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => ({ name, value }));
}
