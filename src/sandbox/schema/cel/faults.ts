/** What is wrong with an expression, where, and how the compiler says it. */
import type { parse } from '@bufbuild/cel';

/** A node of a parsed expression. */
export type Expression = NonNullable<ReturnType<typeof parse>['expr']>;

/** What the parser knows of places. */
export type SourceInfo = ReturnType<typeof parse>['sourceInfo'];

/** One thing wrong, by its offset in the source. */
export interface SourceFault {
  readonly offset: number;
  readonly message: string;
}

/** The faults as one message, each with its line and a mark below it. */
export function faultText(source: string, faults: readonly SourceFault[]): string {
  return [...faults]
    .sort((one, other) => one.offset - other.offset)
    .map(({ offset, message }) => {
      const before = source.slice(0, offset);
      const start = before.lastIndexOf('\n') + 1;
      const line = before.split('\n').length;
      const column = [...source.slice(start, offset)].length;
      const shown = source.slice(start).split('\n')[0] ?? '';
      return `ERROR: <input>:${line}:${column + 1}: ${message}\n | ${shown}\n | ${'.'.repeat(column)}^`;
    })
    .join('\n');
}

/** Where the compiler points for a node: at the operator, the dot before a field, the bracket of a call. */
export function placesIn(source: string, info: SourceInfo): (node: Expression) => number {
  const offsetOf = (node: Expression) => info?.positions[node.id.toString()] ?? 0;
  const furthest = (node: Expression | undefined): number => {
    if (node === undefined) return 0;
    return Math.max(offsetOf(node), ...partsOf(node).map(furthest));
  };
  const find = (text: string, from: number) => {
    const found = source.indexOf(text, from);
    return found < 0 ? from : found;
  };
  return (node) => {
    const offset = offsetOf(node);
    const { exprKind } = node;
    switch (exprKind.case) {
      case 'selectExpr':
        if (exprKind.value.testOnly) return find('(', offset);
        return find(`.${exprKind.value.field}`, furthest(exprKind.value.operand));
      case 'callExpr': {
        const { function: name, args } = exprKind.value;
        if (name === '_?_:_') return find('?', furthest(args[0]));
        if (/^\w+$/.test(name)) return find('(', find(name, offset));
        return source.length - source.slice(offset).trimStart().length;
      }
      default:
        return offset;
    }
  };
}

function partsOf({ exprKind }: Expression): Expression[] {
  switch (exprKind.case) {
    case 'selectExpr':
      return exprKind.value.operand === undefined ? [] : [exprKind.value.operand];
    case 'callExpr': {
      const { target, args } = exprKind.value;
      return target === undefined ? args : [target, ...args];
    }
    case 'listExpr':
      return exprKind.value.elements;
    default:
      return [];
  }
}
