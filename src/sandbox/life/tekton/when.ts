/** When expressions. https://tekton.dev/docs/pipelines/pipelines/#guard-task-execution-using-when-expressions */
import { isCelError, run } from '@bufbuild/cel';
import type { WhenExpression } from './types.ts';

/** Do all of them hold? Throws an Error for a CEL expression that cannot be evaluated or is not a boolean. */
export function allow(expressions: readonly WhenExpression[]): boolean {
  return expressions.every(({ input = '', operator, values = [], cel = '' }) =>
    cel === '' ? values.includes(input) === (operator === 'in') : evaluate(cel),
  );
}

/** Throws what `allow` would throw, for whoever wants to know before it matters. */
export function checkCel(expressions: readonly WhenExpression[]): void {
  for (const { cel = '' } of expressions) if (cel !== '') evaluate(cel);
}

function evaluate(cel: string): boolean {
  const value = run(cel);
  if (isCelError(value)) throw new Error(value.message);
  if (typeof value !== 'boolean') throw new Error(`The CEL expression ${cel} is not evaluated to a boolean`);
  return value;
}
