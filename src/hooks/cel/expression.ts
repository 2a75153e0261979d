/**
 * From the text of an expression to what can be evaluated, or to what is wrong with it. The text is anybody's who may write a listener,
 * so nothing is given to the parser whose parsing would take long.
 */
import { type CelEnv, parse } from '@bufbuild/cel';
import { type Expr, LIMITS, mistakeIn } from './check.ts';
import { APPEND, HAS } from './functions.ts';

/** An expression that can be planned, or one sentence on what is wrong with it. */
export type Read = { readonly ok: true; readonly expr: Expr } | { readonly ok: false; readonly mistake: string };

/** The longest text, in bytes. */
export const LONGEST_EXPRESSION = 10 * 1024;

/** What expressions can see, and the types of it. */
const VARIABLES: ReadonlyMap<string, string> = new Map([
  ['body', 'map'],
  ['header', 'map'],
  ['extensions', 'map'],
  ['requestURL', 'string'],
]);

/** Reads an expression that may call `functions`. Never throws. */
export function readExpression(text: string, functions: CelEnv['funcs']): Read {
  if (Buffer.byteLength(text, 'utf8') > LONGEST_EXPRESSION)
    return wrong(`it is longer than ${LONGEST_EXPRESSION} bytes`);
  const scanned = scan(text);
  if ('mistake' in scanned) return wrong(scanned.mistake, text, scanned.at);
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(scanned.code);
  } catch (error) {
    return notParsed(error);
  }
  const { expr, sourceInfo } = parsed;
  if (expr === undefined) return wrong('it is empty');
  const mistake = mistakeIn(expr, functions, VARIABLES);
  if (mistake === undefined) return { ok: true, expr: rewritten(expr) };
  return wrong(mistake.sentence, text, sourceInfo?.positions[String(mistake.node)]);
}

function wrong(sentence: string, text = '', at?: number): Read {
  if (at === undefined) return { ok: false, mistake: sentence };
  const before = text.slice(0, at).split('\n');
  const column = (before.at(-1) ?? '').length + 1;
  return { ok: false, mistake: `line ${before.length}, column ${column}: ${sentence}` };
}

function notParsed(error: unknown): Read {
  // The parser calls itself for every level.
  if (error instanceof RangeError) return wrong(`it is nested deeper than ${LIMITS.depth} levels`);
  const said = error instanceof Error ? error.message : '';
  const [, line, column, found] = /^<input>:(\d+):(\d+): found (.{1,40}?) but expecting /su.exec(said) ?? [];
  if (found === undefined) return wrong('it does not parse');
  // Where the parser gives up a call or an index it points at where that begins, and no longer knows what was wrong within.
  const what = '.([{?'.includes(found) ? 'what begins here does not parse' : `${found} was not expected`;
  return wrong(`line ${line}, column ${column}: ${what}`);
}

interface Misread {
  readonly mistake: string;
  readonly at: number;
}

type Scanned = { readonly code: string } | Misread;

const CLOSING: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };

/**
 * Finds texts and brackets that do not end, and too many brackets in each other, before a parser has to. Comments are blanked out: ours
 * takes no more than one in a row.
 */
function scan(text: string): Scanned {
  const open: { readonly closing: string; readonly at: number }[] = [];
  let code = '';
  for (let at = 0; at < text.length; ) {
    const here = text[at] ?? '';
    let next = at + 1;
    if (text.startsWith('//', at)) {
      const end = text.slice(at).search(/[\r\n]/);
      next = end === -1 ? text.length : at + end;
      code += ' '.repeat(next - at);
      at = next;
      continue;
    }
    if (here === '"' || here === "'") {
      const end = endOfText(text, at);
      if (typeof end !== 'number') return end;
      next = end;
    }
    const closing = CLOSING[here];
    if (closing !== undefined) open.push({ closing, at });
    if (open.length > LIMITS.depth) return { mistake: `it is nested deeper than ${LIMITS.depth} levels`, at };
    if (here === ')' || here === ']' || here === '}') {
      if (open.pop()?.closing !== here) return { mistake: `${here} was not expected`, at };
    }
    code += text.slice(at, next);
    at = next;
  }
  const unclosed = open.at(-1);
  return unclosed === undefined ? { code } : { mistake: 'the bracket that opens here is not closed', at: unclosed.at };
}

/** The place behind a text that begins with the quote at `start`. */
function endOfText(text: string, start: number): number | Misread {
  const quote = text[start] ?? '';
  const isRaw = /(?:^|[^A-Za-z0-9_])[bB]?[rR][bB]?$/.test(text.slice(Math.max(start - 3, 0), start));
  const mark = text.startsWith(quote.repeat(3), start) ? quote.repeat(3) : quote;
  for (let at = start + mark.length; at < text.length; at++) {
    if (text.startsWith(mark, at)) return at + mark.length;
    if (text[at] === '\\' && !isRaw) {
      const found = ESCAPE.exec(text.slice(at, at + 10))?.[0];
      if (found === undefined) return { mistake: "there is no such escape; a text like r'\\d' takes it as it is", at };
      at += found.length - 1;
    } else if (mark.length === 1 && (text[at] === '\n' || text[at] === '\r')) break;
  }
  return { mistake: 'the text that begins here does not end', at: start };
}

/** https://github.com/google/cel-spec/blob/master/doc/langdef.md#string-and-bytes-values */
const ESCAPE = /^\\(?:[abfnrtv"'`\\?]|[xX][0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[0-3][0-7]{2})/;

/**
 * With calls of ours where the library falls short: `has(m.k)` asks us, since it takes a key whose value is null for none; and the
 * list of a macro grows in place, since it builds a new one, a level deeper, for every item.
 */
function rewritten(expr: Expr): Expr {
  const { exprKind: kind } = expr;
  switch (kind.case) {
    case 'selectExpr': {
      const { operand, field, testOnly } = kind.value;
      if (operand === undefined) return expr;
      if (testOnly) return call(expr, HAS, [rewritten(operand), text(expr, field)]);
      return { ...expr, exprKind: { ...kind, value: { ...kind.value, operand: rewritten(operand) } } };
    }
    case 'callExpr': {
      const { target, function: name, args } = kind.value;
      const [list, added] = args;
      if (name === '_+_' && isAccumulator(list) && added?.exprKind.case === 'listExpr') {
        return call(expr, APPEND, [list, ...added.exprKind.value.elements.map(rewritten)]);
      }
      const value = { ...kind.value, args: args.map(rewritten), ...(target && { target: rewritten(target) }) };
      return { ...expr, exprKind: { ...kind, value } };
    }
    case 'listExpr': {
      const value = { ...kind.value, elements: kind.value.elements.map(rewritten) };
      return { ...expr, exprKind: { ...kind, value } };
    }
    case 'structExpr': {
      const entries = kind.value.entries.map((entry) => ({
        ...entry,
        ...(entry.keyKind.case === 'mapKey' && {
          keyKind: { ...entry.keyKind, value: rewritten(entry.keyKind.value) },
        }),
        ...(entry.value && { value: rewritten(entry.value) }),
      }));
      return { ...expr, exprKind: { ...kind, value: { ...kind.value, entries } } };
    }
    case 'comprehensionExpr': {
      const { iterRange, accuInit, loopCondition, loopStep, result } = kind.value;
      const value = {
        ...kind.value,
        ...(iterRange && { iterRange: rewritten(iterRange) }),
        ...(accuInit && { accuInit: rewritten(accuInit) }),
        ...(loopCondition && { loopCondition: rewritten(loopCondition) }),
        ...(loopStep && { loopStep: rewritten(loopStep) }),
        ...(result && { result: rewritten(result) }),
      };
      return { ...expr, exprKind: { ...kind, value } };
    }
    default:
      return expr;
  }
}

/** The list that a macro gathers: the parser names it so, and nobody else can. */
function isAccumulator(expr: Expr | undefined): expr is Expr {
  return expr?.exprKind.case === 'identExpr' && expr.exprKind.value.name === '@result';
}

function call({ id }: Expr, name: string, args: Expr[]): Expr {
  const value = { $typeName: 'cel.expr.Expr.Call', function: name, args } as const;
  return { $typeName: 'cel.expr.Expr', id, exprKind: { case: 'callExpr', value } };
}

function text({ id }: Expr, value: string): Expr {
  const constant = { $typeName: 'cel.expr.Constant', constantKind: { case: 'stringValue', value } } as const;
  return { $typeName: 'cel.expr.Expr', id, exprKind: { case: 'constExpr', value: constant } };
}
