/**
 * What Tekton refuses of Pipelines: tasks, their order, what they tell one another, and results. Its webhook asks of what is
 * written, its controller once more of what has become of it.
 */
import { dnsLabel } from '../../../core/formats.ts';
import { dependenciesOf, parseReference } from '../reference.ts';
import { isMatrixed } from '../specs.ts';
import { isList, variablesIn, variablesInValue } from '../substitute.ts';
import type { ParamValue, PipelineSpec, PipelineTask, WhenExpression } from '../types.ts';
import { at, type Complaints } from './complaints.ts';
import { checkMatrix, checkMatrixResults, checkMatrixValues, looksLikeResult, matrixParams } from './matrix.ts';
import {
  checkConditions,
  checkConditionValues,
  checkDeclarations,
  checkTypes,
  checkUnique,
  checkValues,
  type Declared,
  type DeclaredParam,
  declaredBy,
} from './params.ts';
import { checkReference } from './references.ts';
import { stepsOf } from './steps.ts';
import { checkParamsUsed, checkTaskSpec } from './tasks.ts';
import { checkKnown } from './variables.ts';

/** A Pipeline's spec as people write it: types may be none. */
export type PipelineSpecAsWritten = Omit<PipelineSpec, 'params'> & {
  readonly description?: string;
  readonly params?: readonly DeclaredParam[];
};

/** A Pipeline on its own: everything that it uses is declared in it. */
export function checkPipeline(spec: PipelineSpecAsWritten, path: string, say: Complaints): void {
  checkPipelineSpec(spec, path, say);
  const { params = [], workspaces = [] } = spec;
  const declared = declaredBy(params);
  const names = new Set(workspaces.map(({ name }) => name));
  for (const field of sections) {
    const tasks = spec[field] ?? [];
    for (const [index, { taskSpec }] of tasks.entries()) {
      if (taskSpec === undefined) continue;
      checkParamsUsed(stepsOf(taskSpec), [...(taskSpec.params ?? []), ...params], at(path, field, index), say);
    }
    checkTaskValues(tasks, declared, at(path, field), say);
    for (const [index, task] of tasks.entries()) checkTaskWorkspaces(task, names, at(path, field, index), say);
  }
}

/** A Pipeline's spec wherever it stands. */
export function checkPipelineSpec(spec: PipelineSpecAsWritten, path: string, say: Complaints): void {
  const { tasks = [], finally: finals = [], params = [], workspaces = [] } = spec;
  if (Object.keys(spec).length === 0) {
    const fields = ['description', 'params', 'resources', 'tasks', 'workspaces'];
    say.say(
      'expected at least one, got none',
      fields.map((field) => at(path, field)),
    );
  }
  const names = new Set<string>();
  for (const field of sections) {
    const section = spec[field] ?? [];
    for (const [index, task] of section.entries()) {
      checkTaskName(task.name ?? '', names, at(path, field, index), say);
      checkPipelineTask(task, at(path, field, index), say);
      checkConditions(task.when ?? [], at(path, field, index), say);
      checkPrefixes(task, at(path, field, index), say);
    }
    checkParamDeclarations(section, params, at(path, field), say);
    checkContext(section, at(path, field), say);
    for (const [index, task] of section.entries()) checkMatrix(task, at(path, field, index), say);
    checkMatrixResults(section, at(path, field), say);
  }
  checkArtifacts(spec, path, say);
  checkOrder(tasks, at(path, 'tasks'), say);
  checkStates(tasks, finals, path, say);
  for (const [index, { name }] of workspaces.entries()) {
    const here = at(path, 'workspaces', index);
    if (name === '') say.invalid(`workspace ${index} has empty name`, here);
    if (workspaces.findIndex((workspace) => workspace.name === name) < index) {
      say.invalid(`workspace with name ${JSON.stringify(name)} appears more than once`, here);
    }
  }
  checkResults(spec, path, say);
  if (finals.length > 0 && tasks.length === 0) {
    say.invalid(`spec.tasks is empty but spec.finally has ${finals.length} tasks`, at(path, 'finally'));
  }
  checkFinally(tasks, finals, at(path, 'finally'), say);
}

/** Types and declarations of a pipeline's parameters, and that no task gets one twice. Tekton says it once a section. */
export function checkParamDeclarations(
  tasks: readonly PipelineTask[],
  params: readonly DeclaredParam[],
  path: string,
  say: Complaints,
): void {
  checkTypes(params, at(path, 'params'), say);
  checkDeclarations(params, path, say);
  for (const [index, { params: values = [] }] of tasks.entries()) checkUnique(values, at(path, index, 'params'), say);
}

/** What tasks get uses what is declared. */
export function checkTaskValues(
  tasks: readonly PipelineTask[],
  declared: Declared,
  path: string,
  say: Complaints,
): void {
  for (const [index, task] of tasks.entries()) {
    const here = at(path, index);
    checkValues(task.params ?? [], declared, here, say);
    if (isMatrixed(task)) checkMatrixValues(task.matrix ?? {}, declared, here, say);
    checkConditionValues(task.when ?? [], declared, here, say);
    checkUnique(task.params ?? [], at(here, 'params'), say);
  }
}

const sections = ['tasks', 'finally'] as const;

function checkTaskName(name: string, names: Set<string>, path: string, say: Complaints): void {
  if (dnsLabel(name).length > 0) {
    say.say(
      `invalid value ${JSON.stringify(name)}`,
      at(path, 'name'),
      'Pipeline Task name must be a valid DNS Label.For more info refer to https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#names',
    );
  }
  if (names.has(name)) say.both(at(path, 'name'));
  names.add(name);
}

/** What a task does on an error is a word for it, or a parameter that is still to become one. */
export function checkOnError({ onError = '', retries = 0 }: PipelineTask, path: string, say: Complaints): void {
  if (onError === '' || onError.startsWith('$(params')) return;
  if (onError !== 'continue' && onError !== 'stopAndFail') {
    say.invalid(onError, at(path, 'OnError'), 'PipelineTask OnError must be either "continue" or "stopAndFail"');
  }
  if (onError === 'continue' && retries > 0) {
    say.say('PipelineTask OnError cannot be set to "continue" when Retries is greater than 0', '');
  }
}

/** Pipelines in pipelines, an experiment that Tekton wants to be turned on, are always taken. */
function checkPipelineTask(task: PipelineTask, path: string, say: Complaints): void {
  const { taskRef, taskSpec } = task;
  const given = (['taskRef', 'taskSpec', 'pipelineRef', 'pipelineSpec'] as const).filter(
    (field) => task[field] !== undefined,
  );
  if (given.length > 1) {
    say.say(
      'expected exactly one, got multiple',
      given.map((field) => at(path, field)),
    );
  }
  if (given.length === 0) say.neither([at(path, 'taskRef'), at(path, 'taskSpec')]);
  if (taskSpec !== undefined && (taskSpec.steps ?? []).length > 0) {
    for (const field of ['apiVersion', 'kind'] as const) {
      if ((taskSpec[field] ?? '') === '') continue;
      say.say(`taskSpec.${field} cannot be specified when using taskSpec.steps`, at(path, 'taskSpec', field));
    }
  }
  checkOnError(task, path, say);
  if (isCustom(taskRef) || isCustom(taskSpec)) {
    checkCustomTask('ref', taskRef, at(path, 'taskRef'), say);
    checkCustomTask('spec', taskSpec, at(path, 'taskSpec'), say);
    return;
  }
  if (taskSpec !== undefined) checkTaskSpec(taskSpec, at(path, 'taskSpec'), say);
  if (taskRef !== undefined) checkReference(taskRef, at(path, 'taskRef'), say);
  if (task.pipelineRef !== undefined) checkReference(task.pipelineRef, at(path, 'pipelineRef'), say);
  if (task.pipelineSpec !== undefined) checkPipelineSpec(task.pipelineSpec, at(path, 'pipelineSpec'), say);
}

/** What makes a task a custom one. */
interface Custom {
  readonly apiVersion?: string;
  readonly kind?: string;
}

function isCustom(task: Custom | undefined): boolean {
  const { apiVersion = '', kind = '' } = task ?? {};
  return apiVersion !== '' || (kind !== '' && kind !== 'Task');
}

function checkCustomTask(word: string, task: Custom | undefined, path: string, say: Complaints): void {
  if (task === undefined) return;
  const { apiVersion = '', kind = '' } = task;
  if (kind === '') say.invalid(`custom task ${word} must specify kind`, at(path, 'kind'));
  if (apiVersion === '') say.invalid(`custom task ${word} must specify apiVersion`, at(path, 'apiVersion'));
  else if (!/^[^/]+\/[^/]+$/.test(apiVersion)) {
    say.invalid(
      `invalid apiVersion format ${JSON.stringify(apiVersion)}, must be in the format "group/version"`,
      at(path, 'apiVersion'),
    );
  }
}

function checkTaskWorkspaces(task: PipelineTask, declared: ReadonlySet<string>, path: string, say: Complaints): void {
  const seen = new Set<string>();
  for (const [index, { name, workspace = '' }] of (task.workspaces ?? []).entries()) {
    const here = at(path, 'workspaces', index);
    if (seen.has(name)) say.say(`workspace name ${JSON.stringify(name)} must be unique`, here);
    seen.add(name);
    const wanted = workspace === '' ? name : workspace;
    if (declared.has(wanted)) continue;
    say.invalid(
      `pipeline task ${JSON.stringify(task.name)} expects workspace with name ${JSON.stringify(wanted)} but none exists in pipeline spec`,
      here,
    );
  }
}

/** Variables start with a word that Tekton knows: what does not is mostly a shell's. */
function checkPrefixes(task: PipelineTask, path: string, say: Complaints): void {
  const check = (variables: readonly string[], here: string) => {
    for (const variable of variables) {
      if (prefixes.has(variable.split('.')[0] ?? '')) continue;
      say.invalid(
        `invalid variable reference "$(${variable})", must start with a valid prefix: params, tasks, finally, context, workspaces, or results; if you meant a shell variable, use \${VAR} instead`,
        here,
      );
    }
  };
  for (const { name, value } of task.params ?? []) {
    check(variablesInValue(value), at(path, 'params', { key: name }, 'value'));
  }
  for (const { name, value } of task.matrix?.params ?? []) {
    check(variablesInValue(value), at(path, 'matrix.params', { key: name }, 'value'));
  }
  for (const [place, { params = [] }] of (task.matrix?.include ?? []).entries()) {
    for (const { name, value } of params) {
      check(variablesInValue(value), at(path, 'matrix.include', place, 'params', { key: name }, 'value'));
    }
  }
  for (const [index, condition] of (task.when ?? []).entries()) {
    check(variablesInCondition(condition), at(path, 'when', index));
  }
}

const prefixes: ReadonlySet<string> = new Set(['params', 'tasks', 'finally', 'context', 'workspaces', 'results']);

/** Only the last task's values are looked at, which is Tekton's own slip: the earlier ones are forgotten. */
function checkContext(tasks: readonly PipelineTask[], path: string, say: Complaints): void {
  const last = tasks.at(-1);
  if (last === undefined) return;
  const all = [...(last.params ?? []), ...matrixParams(last.matrix)];
  for (const text of all.flatMap(({ value }) => textsIn(value))) {
    for (const [prefix, names] of contextNames) checkKnown(text, { prefix, names }, at(path, 'value'), say);
  }
}

const contextNames: readonly (readonly [string, ReadonlySet<string>])[] = [
  ['context.pipelineRun', new Set(['name', 'namespace', 'uid'])],
  ['context.pipeline', new Set(['name'])],
  ['context.pipelineTask', new Set(['retries'])],
];

/** Tasks know nothing of how others ended; finally tasks know of the tasks, not of one another. */
function checkStates(
  tasks: readonly PipelineTask[],
  finals: readonly PipelineTask[],
  path: string,
  say: Complaints,
): void {
  const names = new Set(tasks.map(({ name }) => name));
  forReferences(tasks, at(path, 'tasks'), (variables, here) => {
    if (!variables.some(isState)) return;
    say.invalid(
      'pipeline tasks can not refer to execution status of any other pipeline task or aggregate status of tasks',
      here,
    );
  });
  forReferences(finals, at(path, 'finally'), (variables, here) => {
    for (const variable of variables.filter(isState)) {
      const name = variable.replace(/^tasks\./, '').replace(/\.(?:status|reason)$/, '');
      if (variable !== 'tasks.status' && !names.has(name)) {
        say.invalid(`pipeline task ${name} is not defined in the pipeline`, here);
      }
    }
  });
}

function isState(variable: string): boolean {
  return /^tasks\..*(?:\.status|\.reason)$|^tasks\.(?:status|reason)$/.test(variable);
}

/** Variables of parameters and conditions, a group at a time; those with results among them are not about states. */
function forReferences(
  tasks: readonly PipelineTask[],
  path: string,
  check: (variables: readonly string[], path: string) => void,
): void {
  for (const [index, { params = [], when = [] }] of tasks.entries()) {
    for (const { name, value } of params) {
      const variables = variablesInValue(value);
      if (!variables.some(looksLikeResult)) check(variables, at(path, index, 'params', { key: name }, 'value'));
    }
    for (const [place, condition] of when.entries()) {
      const variables = variablesInCondition(condition);
      if (!variables.some(looksLikeResult)) check(variables, at(path, index, 'when', place));
    }
  }
}

function checkFinally(
  tasks: readonly PipelineTask[],
  finals: readonly PipelineTask[],
  path: string,
  say: Complaints,
): void {
  const taskNames = new Set(tasks.map(({ name }) => name));
  const finalNames = new Set(finals.map(({ name }) => name));
  const check = (variables: readonly string[], here: string) => {
    for (const task of variables.flatMap((variable) => parseReference(variable)?.task ?? [])) {
      const sentence = 'invalid task result reference, final task has task result reference from a';
      if (finalNames.has(task)) say.invalid(`${sentence} final task ${task}`, here);
      else if (!taskNames.has(task)) {
        say.invalid(`${sentence} task ${task} which is not defined in the pipeline`, here);
      }
    }
  };
  for (const [index, { name, runAfter = [], params = [], when = [] }] of finals.entries()) {
    if (runAfter.length > 0) {
      say.invalid(`no runAfter allowed under spec.finally, final task ${name} has runAfter specified`, at(path, index));
    }
    for (const param of params) {
      check(variablesInValue(param.value), at(path, index, 'params', { key: param.name }, 'value'));
    }
    for (const [place, condition] of when.entries()) {
      check(variablesInCondition(condition), at(path, index, 'when', place));
    }
  }
}

/** Tasks wait for tasks that are there, and not for one another. The first thing wrong is the only one said. */
function checkOrder(tasks: readonly PipelineTask[], path: string, say: Complaints): void {
  const waits = new Map<string, Set<string>>();
  for (const task of tasks) {
    const { name } = task;
    if (waits.has(name)) {
      say.invalid(`task ${name} is already present in Graph, can't add it again: duplicate pipeline task`, path);
      return;
    }
    waits.set(name, new Set(dependenciesOf(task)));
  }
  const stuck = cycleIn(waits);
  if (stuck !== undefined) {
    const others = stuck.waitsFor.map((name) => JSON.stringify(name)).join(', ');
    say.invalid(`cycle detected; task ${JSON.stringify(stuck.name)} depends on ${others}`, path);
    return;
  }
  for (const [name, others] of waits) {
    const absent = [...others].find((other) => !waits.has(other));
    if (absent === undefined) continue;
    say.invalid(
      `couldn't add link between ${name} and ${absent}: task ${name} depends on ${absent} but ${absent} wasn't present in Pipeline`,
      path,
    );
    return;
  }
}

/** The first task by name that waits in a circle, or for one, and for whom. */
function cycleIn(
  waits: ReadonlyMap<string, ReadonlySet<string>>,
): { readonly name: string; readonly waitsFor: readonly string[] } | undefined {
  const left = new Map([...waits].map(([name, others]) => [name, new Set(others)]));
  for (;;) {
    const ready = [...left].filter(([, others]) => [...others].every((other) => !left.has(other)));
    if (ready.length === 0) break;
    for (const [name] of ready) left.delete(name);
  }
  const [name] = [...left.keys()].sort();
  if (name === undefined) return undefined;
  return { name, waitsFor: [...(left.get(name) ?? [])].filter((other) => left.has(other)).sort() };
}

/** Tekton stops at the first use of the feature. */
function checkArtifacts(spec: PipelineSpecAsWritten, path: string, say: Complaints): void {
  for (const field of sections) {
    const tasks = spec[field] ?? [];
    const index = tasks.findIndex(({ params = [] }) =>
      params.some(({ value }) =>
        textsIn(value).some((text) => /\$\(tasks\.[^)]*\.(?:inputs|outputs)\.[^)]*\)/.test(text)),
      ),
    );
    if (index < 0) continue;
    say.needsFlag('enable-artifacts', 'use artifacts feature.', at(path, field, index, 'params'));
    return;
  }
}

function checkResults(spec: PipelineSpecAsWritten, path: string, say: Complaints): void {
  const names = {
    tasks: new Set((spec.tasks ?? []).map(({ name }) => name)),
    finally: new Set((spec.finally ?? []).map(({ name }) => name)),
  };
  for (const [index, { value }] of (spec.results ?? []).entries()) {
    const here = at(path, 'results', index, 'value');
    const variables = variablesInValue(value);
    const expected = 'expected pipeline results to be task result expressions but';
    if (variables.length === 0) say.invalid(`${expected} no expressions were found`, here);
    const likely = variables.filter(looksLikeResult);
    if (likely.length === 0) say.invalid(`${expected} an invalid expressions was found`, here);
    const references = likely.filter((variable) => parseReference(variable) !== undefined);
    if (references.length !== likely.length) {
      say.invalid(
        `expected all of the expressions [${likely.join(' ')}] to be result expressions but only [${references.join(' ')}] were`,
        here,
      );
    }
    if (typeof value === 'string' && !isAllReferences(value, names))
      say.invalid('referencing a nonexistent task', here);
  }
}

/** A text that is references to tasks that are there, with nothing but them: what follows a `$` is taken for one. */
function isAllReferences(
  text: string,
  names: { readonly tasks: ReadonlySet<string>; readonly finally: ReadonlySet<string> },
): boolean {
  return text
    .split('$')
    .filter((part) => part !== '')
    .every((part) => {
      const variable = part.replace(/^\(/, '').replace(/\)$/, '');
      const reference = parseReference(variable);
      if (reference === undefined) return false;
      return variable.startsWith('finally') ? names.finally.has(reference.task) : names.tasks.has(reference.task);
    });
}

function textsIn(value: ParamValue): readonly string[] {
  if (typeof value === 'string') return [value];
  return isList(value) ? value : Object.values(value);
}

function variablesInCondition({ input = '', cel = '', values = [] }: WhenExpression): string[] {
  return [input, cel, ...values].flatMap(variablesIn);
}
