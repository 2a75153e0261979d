/**
 * Label and field selectors, in the grammar of the query parameters and with the server's own complaints.
 * https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#api
 */
import { labelValue, qualifiedName } from '../core/formats.ts';
import type { KubeObject } from '../object.ts';
import { badRequest } from '../status.ts';
import type { Kind } from './kind.ts';

/** Whether an object is meant. */
export type Selector = (object: KubeObject) => boolean;

/** What selects everything. */
export const everything: Selector = () => true;

type Test = (labels: { readonly [key: string]: string }) => boolean;

/** Parses `labelSelector`. Throws a 400 StatusError with the sentence of the server's parser. */
export function labelSelector(text: string): Selector {
  if (text.trim() === '') return everything;
  const tests = new LabelParser(text).parse();
  return ({ metadata }) => tests.every((test) => test(metadata.labels ?? {}));
}

/** Parses `fieldSelector` for objects of `kind`. Throws a 400 StatusError, also for fields that the kind does not select by. */
export function fieldSelector(text: string, kind: Kind): Selector {
  const terms = splitTerms(text).map((term) => fieldTerm(term, text));
  if (terms.length === 0) return everything;
  for (const { field } of terms) checkField(field, kind);
  return (object) => {
    const fields = fieldsOf(object, kind);
    return terms.every(({ field, value, equal }) => ((fields[field] ?? '') === value) === equal);
  };
}

/** Both together, as a list asks for them. */
export function selectorFor(
  asked: { readonly labelSelector: string; readonly fieldSelector: string },
  kind: Kind,
): Selector {
  const byLabels = labelSelector(asked.labelSelector);
  const byFields = fieldSelector(asked.fieldSelector, kind);
  if (byLabels === everything) return byFields;
  return byFields === everything ? byLabels : (object) => byLabels(object) && byFields(object);
}

/** The name that `fieldSelector` asks for, where it asks for one alone: RBAC rules with resourceNames then allow a list. */
export function selectedName(text: string): string {
  const found = /^metadata\.name==?([^,=!\\]+)$/.exec(text);
  return found?.[1] ?? '';
}

type Token = 'identifier' | 'end' | ')' | '(' | ',' | '!' | '=' | '==' | '!=' | '>' | '<' | 'in' | 'notin' | 'error';

interface Lexeme {
  readonly token: Token;
  readonly text: string;
}

const SPECIAL = '=!(),><';
const SYMBOLS: ReadonlySet<string> = new Set([')', '(', ',', '!', '=', '==', '!=', '>', '<']);
const OPERATORS = 'in, notin, =, ==, !=, gt, lt';

function lexemes(text: string): Lexeme[] {
  const found: Lexeme[] = [];
  let at = 0;
  while (at < text.length) {
    const letter = text.charAt(at);
    if (/\s/.test(letter)) {
      at += 1;
    } else if (SPECIAL.includes(letter)) {
      // The longest symbol that begins here: `!=` before `!`.
      const two = text.slice(at, at + 2);
      const symbol = SYMBOLS.has(two) ? two : letter;
      found.push({ token: symbol as Token, text: symbol }); // a member of SYMBOLS
      at += symbol.length;
    } else {
      const start = at;
      while (at < text.length && !SPECIAL.includes(text.charAt(at)) && !/\s/.test(text.charAt(at))) at += 1;
      const word = text.slice(start, at);
      found.push({ token: word === 'in' || word === 'notin' ? word : 'identifier', text: word });
    }
  }
  return found;
}

/** Recursive descent over the lexemes, one method for each rule of the grammar. */
class LabelParser {
  readonly #lexemes: readonly Lexeme[];
  #at = 0;

  constructor(text: string) {
    this.#lexemes = lexemes(text);
  }

  parse(): Test[] {
    const tests: Test[] = [];
    if (!this.#startsRequirement()) {
      throw badRequest(`found '${this.#peek().text}', expected: !, identifier, or 'end of string'`);
    }
    for (;;) {
      tests.push(this.#requirement());
      const { token, text } = this.#next();
      if (token === 'end') return tests;
      if (token !== ',') throw badRequest(`found '${text}', expected: ',' or 'end of string'`);
      if (!this.#startsRequirement()) {
        throw badRequest(`found '${this.#peek().text}', expected: identifier after ','`);
      }
    }
  }

  #requirement(): Test {
    const isNegated = this.#peek().token === '!';
    if (isNegated) this.#next();
    const { token, text: key } = this.#next();
    if (token !== 'identifier') throw unparsable(`found '${key}', expected: identifier`);
    for (const wrong of qualifiedName(key)) throw unparsable(`<nil>: Invalid value: ${JSON.stringify(key)}: ${wrong}`);
    if (isNegated) return (labels) => labels[key] === undefined;
    const operator = this.#peek().operatorToken;
    if (operator === 'end' || operator === ',') return (labels) => labels[key] !== undefined;
    return this.#comparison(key);
  }

  #comparison(key: string): Test {
    const { operatorToken, text } = this.#next();
    switch (operatorToken) {
      case 'in':
      case 'notin': {
        const values = new Set(this.#values(key));
        const isIn: Test = (labels) => labels[key] !== undefined && values.has(labels[key]);
        return operatorToken === 'in' ? isIn : (labels) => !isIn(labels);
      }
      case '=':
      case '==': {
        const value = this.#value(key);
        return (labels) => labels[key] === value;
      }
      case '!=': {
        const value = this.#value(key);
        return (labels) => labels[key] !== value;
      }
      case '>':
      case '<': {
        const text = this.#value(key);
        const bound = int64(text);
        if (bound === undefined) {
          const why = "for 'Gt', 'Lt' operators, the value must be an integer";
          throw unparsable(`values[0]: Invalid value: ${JSON.stringify(text)}: ${why}`);
        }
        return (labels) => {
          const value = int64(labels[key] ?? '');
          return value !== undefined && (operatorToken === '>' ? value > bound : value < bound);
        };
      }
      default:
        throw unparsable(`found '${text}', expected: ${OPERATORS}`);
    }
  }

  #values(key: string): string[] {
    const opening = this.#next();
    if (opening.token !== '(') throw unparsable(`found '${opening.text}' expected: '('`);
    const first = this.#peek();
    if (first.token === ')') {
      this.#next();
      return [''];
    }
    if (first.token !== 'identifier' && first.token !== ',') {
      throw unparsable(`found '${first.text}', expected: ',', ')' or identifier`);
    }
    const values: string[] = [];
    // As the server has it: an empty place is the empty value, but behind two commas there must be another one.
    for (;;) {
      const { token, text } = this.#next();
      if (token === 'identifier') values.push(text);
      else if (token !== ',') throw unparsable(`found '${text}', expected: ',', or identifier`);
      else if (values.length === 0) values.push('');
      const after = this.#peek();
      if (token === 'identifier' && after.token !== ',' && after.token !== ')') {
        throw unparsable(`found '${after.text}', expected: ',' or ')'`);
      }
      if (after.token === ')') {
        if (token === ',') values.push('');
        break;
      }
      if (token === ',' && after.token === ',') {
        this.#next();
        values.push('');
      }
    }
    this.#next();
    for (const [place, value] of values.entries()) checkValue(key, value, place);
    return values;
  }

  #value(key: string): string {
    const { token, text } = this.#peek();
    if (token === 'end' || token === ',') return '';
    this.#next();
    if (token !== 'identifier') throw unparsable(`found '${text}', expected: identifier`);
    checkValue(key, text, 0);
    return text;
  }

  #startsRequirement(): boolean {
    const { token } = this.#peek();
    return token === 'identifier' || token === '!';
  }

  /** `in` and `notin` are words like any other but where an operator is expected. */
  #peek(): Lexeme & { readonly operatorToken: Token } {
    const lexeme = this.#lexemes[this.#at] ?? { token: 'end', text: '' };
    const isWord = lexeme.token === 'in' || lexeme.token === 'notin';
    return { token: isWord ? 'identifier' : lexeme.token, text: lexeme.text, operatorToken: lexeme.token };
  }

  #next(): Lexeme & { readonly operatorToken: Token } {
    const lexeme = this.#peek();
    this.#at += 1;
    return lexeme;
  }
}

/** The decimal of 64 bits that a text is to the server. */
function int64(text: string): bigint | undefined {
  if (!/^[+-]?\d+$/.test(text)) return undefined;
  const value = BigInt(text.replace('+', ''));
  return BigInt.asIntN(64, value) === value ? value : undefined;
}

function checkValue(key: string, value: string, place: number): void {
  for (const wrong of labelValue(value)) {
    throw unparsable(`values[${place}][${key}]: Invalid value: ${JSON.stringify(value)}: ${wrong}`);
  }
}

function unparsable(why: string) {
  return badRequest(`unable to parse requirement: ${why}`);
}

interface FieldTerm {
  readonly field: string;
  readonly value: string;
  readonly equal: boolean;
}

/** Commas separate terms unless a backslash stands before them. */
function splitTerms(text: string): string[] {
  const terms = text.match(/(?:\\[\s\S]|[^,\\])+/g) ?? [];
  return terms.filter((term) => term !== '');
}

function fieldTerm(term: string, whole: string): FieldTerm {
  const found = /^((?:\\[\s\S]|[^=!\\])*)(==|!=|=)([\s\S]*)$/.exec(term);
  if (found === null) throw badRequest(`invalid selector: '${whole}'; can't understand '${term}'`);
  const [, field = '', operator, value = ''] = found;
  return { field, value: unescapeValue(value), equal: operator !== '!=' };
}

function unescapeValue(value: string): string {
  let plain = '';
  for (let at = 0; at < value.length; at++) {
    const letter = value.charAt(at);
    if (letter === '\\') {
      at += 1;
      const escaped = value.charAt(at);
      if (!['\\', ',', '='].includes(escaped)) {
        throw badRequest(`invalid field selector: invalid escape sequence: \\${escaped}`);
      }
      plain += escaped;
    } else if (letter === ',' || letter === '=') {
      throw badRequest(`invalid field selector: unescaped character in value: ${letter.charCodeAt(0)}`);
    } else {
      plain += letter;
    }
  }
  return plain;
}

function checkField(field: string, kind: Kind): void {
  if (field === 'metadata.name' || (field === 'metadata.namespace' && (kind.namespaced || !kind.custom))) return;
  if (!kind.custom && kind.strategy.fields === undefined) {
    const known = '"metadata.name", "metadata.namespace"';
    throw badRequest(`${JSON.stringify(field)} is not a known field selector: only ${known}`);
  }
  if (field in (kind.strategy.fields?.(blank(kind)) ?? {})) return;
  throw badRequest(`field label not supported: ${field}`);
}

function fieldsOf(object: KubeObject, kind: Kind): { readonly [path: string]: string } {
  const { name, namespace = '' } = object.metadata;
  return { ...kind.strategy.fields?.(object), 'metadata.name': name, 'metadata.namespace': namespace };
}

/** An object of which nothing is known but its kind: asked for its fields, it tells which ones there are. */
function blank({ kind, storageVersion }: Kind): KubeObject {
  return {
    apiVersion: storageVersion,
    kind,
    metadata: { name: '', uid: '', resourceVersion: '', creationTimestamp: '' },
  };
}
