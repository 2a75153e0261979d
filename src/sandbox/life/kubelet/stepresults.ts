/**
 * `$(steps.<name>.results.<name>)` in a step's command, variables and `when`, replaced just before the step runs, because
 * the steps before it have written them only then. https://tekton.dev/docs/pipelines/stepactions/#passing-results-between-steps
 */
import type { WhenExpression } from '../tekton/types.ts';
import type { Environment } from './environment.ts';

/** What is substituted in. */
export interface StepTexts {
  readonly command: readonly string[];
  readonly variables: Environment;
  readonly expressions: readonly WhenExpression[];
}

const one = /\$\(steps\.([\w-]+)\.results\.([\w-]+)(?:\[(\d+|\*)\]|\.([\w-]+))?\)/;
const all = new RegExp(one, 'g');

/** Replaces them all. `read` gives the bytes of a step's result and throws when there is none, which this throws as well. */
export function substituteStepResults(texts: StepTexts, read: (step: string, result: string) => string): StepTexts {
  const text = (given: string) =>
    given.replace(all, (_, step: string, name: string, index?: string, key?: string) => {
      const value = valueIn(read(step, name));
      if (index === '*')
        throw new Error(
          'value must be in "$(steps.<step-name>.results.<result-name>[*])" format, when using array results',
        );
      if (index !== undefined) return String(Array.isArray(value) ? value[Number(index)] : value);
      if (key !== undefined)
        return String(value !== null && typeof value === 'object' && !Array.isArray(value) ? value[key] : '');
      return typeof value === 'string' ? value : JSON.stringify(value);
    });
  /** A whole list where nothing but a list is named, else one text. */
  const listOf = (given: string): string[] => {
    const [found, step = '', name = '', index] = one.exec(given) ?? [];
    if (found !== given || index !== '*') return [text(given)];
    const value = valueIn(read(step, name));
    return Array.isArray(value) ? value.map(String) : [String(value)];
  };
  return {
    command: texts.command.flatMap(listOf),
    variables: new Map([...texts.variables].map(([name, value]) => [name, text(value)])),
    expressions: texts.expressions.map((expression) => ({
      ...expression,
      ...(expression.input === undefined ? {} : { input: text(expression.input) }),
      ...(expression.values === undefined ? {} : { values: expression.values.flatMap(listOf) }),
      ...(expression.cel === undefined ? {} : { cel: text(expression.cel) }),
    })),
  };
}

type Value = string | unknown[] | { readonly [key: string]: unknown };

/** A result file holds a list or an object as JSON; everything else is a text as it stands. */
function valueIn(content: string): Value {
  if (!/^\s*[[{]/.test(content)) return content;
  try {
    return JSON.parse(content) as Value; // begins with [ or {
  } catch {
    return content;
  }
}
