/** Steps that refer to StepActions: what they become. https://tekton.dev/docs/pipelines/stepactions/ */

import type { Lookup } from './lookup.ts';
import { follow } from './lookup.ts';
import { replacementsOf, taskParams } from './params.ts';
import { parseReference } from './reference.ts';
import { only, replaceInStep, withResultType, withType } from './specs.ts';
import { allOf, replaceParams, texts, variablesIn } from './substitute.ts';
import type { Param, Step, StepAction, TaskRun, TaskSpec } from './types.ts';

/** The steps of a Task with StepActions in the place of references to them. Throws an Error with Tekton's sentence. */
export function resolveSteps(spec: TaskSpec, run: TaskRun, lookup: Lookup): readonly Step[] {
  return (spec.steps ?? []).map((step, index) => {
    if (step.ref === undefined) return step;
    const failed = (why: string) =>
      new Error(`failed to resolve step ref for step ${JSON.stringify(step.name ?? '')} (index ${index}): ${why}`);
    const found = follow('stepAction', step.ref, lookup);
    if ('why' in found) throw failed(found.why);
    const wrong = wrongParams(step.params ?? [], found.object);
    if (wrong !== undefined) throw failed(wrong);
    return merged(step, found.object, taskParams(spec.params ?? [], run.spec.params ?? []));
  });
}

function merged({ ref: __, params = [], ...step }: Step, { spec: action }: StepAction, given: readonly Param[]): Step {
  const declared = (action.params ?? []).map(withType);
  const values = taskParams(declared, replaceParams(params, replacementsOf(given)));
  const { params: _, ...body } = action;
  const replaced = replaceInStep(body, allOf(replacementsOf(values), stepResults(action, values)));
  return {
    ...step,
    ...only('image', replaced.image),
    ...only('securityContext', replaced.securityContext),
    ...only('command', replaced.command ?? step.command),
    ...only('args', replaced.args ?? step.args),
    ...only('script', replaced.script ?? step.script),
    ...only('workingDir', replaced.workingDir),
    ...only('env', replaced.env ?? step.env),
    ...only('volumeMounts', replaced.volumeMounts ?? step.volumeMounts),
    ...only('results', action.results?.map(withResultType) ?? step.results),
  };
}

function wrongParams(given: readonly Param[], { spec: { params = [] } }: StepAction): string | undefined {
  const extra = given.filter(({ name }) => !params.some((param) => param.name === name)).map(({ name }) => name);
  if (extra.length > 0) return `extra params passed by Step to StepAction: [${extra.join(' ')}]`;
  const missing = params.filter(
    (param) => param.default === undefined && !given.some(({ name }) => name === param.name),
  );
  if (missing.length === 0) return undefined;
  return `non-existent params in Step: [${missing.map(({ name }) => name).join(' ')}]`;
}

/** A parameter that is another step's result, a list or an object, is taken apart where it is used, not where it is given. */
function stepResults({ params = [] }: StepAction['spec'], values: readonly Param[]): ReturnType<typeof texts> {
  const pairs = values.flatMap(({ name, value }): [string, string][] => {
    const reference = typeof value === 'string' ? parseReference(variablesIn(value)[0] ?? '', 'steps') : undefined;
    const declared = params.find((param) => param.name === name);
    if (reference === undefined || declared === undefined) return [];
    const result = `steps.${reference.task}.results.${reference.result}`;
    if (declared.type === 'object') {
      return Object.keys(declared.properties ?? {}).map((key) => [`params.${name}.${key}`, `$(${result}.${key})`]);
    }
    if (declared.type !== 'array') return [];
    return [[`params.${name}[*]`, `$(${result}[*])`]];
  });
  return texts(new Map(pairs));
}
