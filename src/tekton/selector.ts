/**
 * Label selectors, as `kubectl -l` and the API server take them: the same texts are accepted, the same refused, the same
 * labels selected. A mistake is told with its place, which the server does not do.
 * https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#api
 * https://github.com/kubernetes/apimachinery/blob/master/pkg/labels/selector.go
 */

/** Labels of an object. */
export type Labels = Readonly<Record<string, string>>;

/** What became of a selector's text: a predicate, or what is wrong with it and where. `at` counts characters from 1. */
export type SelectorReading =
  | {
      readonly ok: true;
      readonly selects: (labels: Labels) => boolean;
      /** How many tests it is made of. */
      readonly requirements: number;
    }
  | { readonly ok: false; readonly at: number; readonly wrong: string };

/** Reads a label selector. A blank one selects everything. Never throws. */
export function readSelector(text: string): SelectorReading {
  try {
    const tests = new Parser(lexemesOf(text)).parse();
    return { ok: true, selects: (labels) => tests.every((test) => test(labels)), requirements: tests.length };
  } catch (error) {
    if (error instanceof Mistake) return { ok: false, at: error.at + 1, wrong: error.message };
    throw error;
  }
}

type Test = (labels: Labels) => boolean;

type Token = 'word' | 'in' | 'notin' | '(' | ')' | ',' | '!' | '=' | '==' | '!=' | '>' | '<' | 'end';

/** A token, what is written for it, and where it begins, counted from 0. */
interface Lexeme {
  readonly token: Token;
  readonly text: string;
  readonly at: number;
}

class Mistake extends Error {
  readonly at: number;

  constructor(at: number, message: string) {
    super(message);
    this.at = at;
  }
}

const SYMBOL = /==|!=|[=!(),<>]/y;
// What the server skips. Other white space belongs to words, where it is then refused.
const SPACE = /[ \t\r\n]+/y;
const WORD = /[^ \t\r\n=!(),<>]+/y;

function lexemesOf(text: string): readonly Lexeme[] {
  const lexemes: Lexeme[] = [];
  let at = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const [found] = pattern.exec(text) ?? [];
    at += found?.length ?? 0;
    return found;
  };
  while (take(SPACE) !== undefined || at < text.length) {
    const start = at;
    if (start === text.length) break;
    const symbol = take(SYMBOL);
    if (symbol !== undefined) {
      lexemes.push({ token: symbol as Token, text: symbol, at: start }); // the pattern has tokens alone
      continue;
    }
    const word = take(WORD) ?? '';
    lexemes.push({ token: word === 'in' || word === 'notin' ? word : 'word', text: word, at: start });
  }
  return [...lexemes, { token: 'end', text: '', at: text.length }];
}

const LONGEST_NAME = 63;
const LONGEST_PREFIX = 253;
const NAME = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const INTEGER = /^[+-]?\d+$/;

/** Recursive descent, a method for each rule; where the server's parser is odd, so is this one. */
class Parser {
  readonly #lexemes: readonly Lexeme[];
  #next = 0;

  constructor(lexemes: readonly Lexeme[]) {
    this.#lexemes = lexemes;
  }

  parse(): readonly Test[] {
    const tests: Test[] = [];
    if (this.#peek().token === 'end') return tests;
    for (;;) {
      if (!['word', 'in', 'notin', '!'].includes(this.#peek().token)) throw this.#expected('a label key or !');
      tests.push(this.#requirement());
      if (this.#peek().token === 'end') return tests;
      if (this.#peek().token !== ',') throw this.#expected('"," or the end');
      this.#take();
    }
  }

  #requirement(): Test {
    const isNegated = this.#peek().token === '!';
    if (isNegated) this.#take();
    const key = this.#key();
    // `!key` ends here: whatever follows is the caller's to refuse.
    if (isNegated) return (labels) => !Object.hasOwn(labels, key);
    const operator = this.#peek();
    switch (operator.token) {
      case 'end':
      case ',':
        return (labels) => Object.hasOwn(labels, key);
      case 'in':
      case 'notin': {
        this.#take();
        const values = new Set(this.#values());
        const isIn: Test = (labels) => Object.hasOwn(labels, key) && values.has(labels[key] ?? '');
        return operator.token === 'in' ? isIn : (labels) => !isIn(labels);
      }
      case '=':
      case '==':
      case '!=': {
        this.#take();
        const value = this.#value();
        const isSame: Test = (labels) => Object.hasOwn(labels, key) && labels[key] === value;
        return operator.token === '!=' ? (labels) => !isSame(labels) : isSame;
      }
      case '>':
      case '<': {
        this.#take();
        const at = this.#peek().at;
        const bound = int64(this.#value());
        if (bound === undefined) throw new Mistake(at, `a whole number is expected after "${operator.text}"`);
        return (labels) => {
          const value = Object.hasOwn(labels, key) ? int64(labels[key] ?? '') : undefined;
          if (value === undefined) return false;
          return operator.token === '>' ? value > bound : value < bound;
        };
      }
      default:
        throw this.#expected('in, notin, =, ==, !=, > or <');
    }
  }

  #key(): string {
    const { token, text, at } = this.#peek();
    if (!isWord(token)) throw this.#expected('a label key');
    this.#take();
    const parts = text.split('/');
    const name = parts.at(-1) ?? '';
    const [prefix] = parts.length > 1 ? parts : [undefined];
    const isKey =
      parts.length <= 2 &&
      (prefix === undefined || (prefix.length <= LONGEST_PREFIX && SUBDOMAIN.test(prefix))) &&
      name.length <= LONGEST_NAME &&
      NAME.test(name);
    if (!isKey) throw new Mistake(at, `${shown(text)} is no label key`);
    return text;
  }

  /** The value behind `=` and its like; none is the empty one. */
  #value(): string {
    const { token } = this.#peek();
    if (token === 'end' || token === ',') return '';
    if (!isWord(token)) throw this.#expected('a label value');
    return this.#word();
  }

  /** The values of a set: between commas, before the first and behind the last an empty one may stand. */
  #values(): readonly string[] {
    if (this.#peek().token !== '(') throw this.#expected('"("');
    this.#take();
    if (this.#peek().token === ')') {
      this.#take();
      return [''];
    }
    const values: string[] = [];
    for (;;) {
      const { token } = this.#peek();
      if (isWord(token)) {
        values.push(this.#word());
        const after = this.#peek().token;
        if (after !== ',' && after !== ')') throw this.#expected('"," or ")"');
        if (after === ')') break;
      } else if (token === ',') {
        if (values.length === 0) values.push('');
        this.#take();
        if (this.#peek().token === ')') {
          values.push('');
          break;
        }
        // Two commas are one empty value, and what follows them cannot be the end.
        if (this.#peek().token === ',') {
          this.#take();
          values.push('');
        }
      } else {
        throw this.#expected('"," or a label value');
      }
    }
    this.#take();
    return values;
  }

  #word(): string {
    const { text, at } = this.#take();
    if (text.length > LONGEST_NAME || !NAME.test(text)) throw new Mistake(at, `${shown(text)} is no label value`);
    return text;
  }

  #peek(): Lexeme {
    // The last lexeme is the end, and nothing takes that.
    return this.#lexemes[this.#next] ?? { token: 'end', text: '', at: 0 };
  }

  #take(): Lexeme {
    const lexeme = this.#peek();
    this.#next += 1;
    return lexeme;
  }

  #expected(what: string): Mistake {
    const { token, text, at } = this.#peek();
    return new Mistake(at, `${token === 'end' ? 'the end' : shown(text)} was found where ${what} is expected`);
  }
}

/** `in` and `notin` are words like any other, but where an operator is expected. */
function isWord(token: Token): boolean {
  return token === 'word' || token === 'in' || token === 'notin';
}

/** The number that a text is to the server: a decimal of 64 bits. */
function int64(text: string): bigint | undefined {
  if (!INTEGER.test(text)) return undefined;
  const value = BigInt(text.replace('+', ''));
  return BigInt.asIntN(64, value) === value ? value : undefined;
}

/** As JSON would show it, so that invisible characters are seen, and no longer than a line. */
function shown(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}...` : text);
}
