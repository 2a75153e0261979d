/** When expressions. https://tekton.dev/docs/pipelines/pipelines/#guard-task-execution-using-when-expressions */
import type { WhenExpression } from './types.ts';

/** Do all of them hold? One in CEL gets no further than the webhook: Tekton wants that feature to be turned on. */
export function allow(expressions: readonly WhenExpression[]): boolean {
  return expressions.every(({ input = '', operator, values = [] }) => values.includes(input) === (operator === 'in'));
}
