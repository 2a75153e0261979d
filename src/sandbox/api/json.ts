/**
 * What JSON.parse does not say about a text: which fields stand in it twice, and what is wrong with it in the words of Go's
 * decoder, which clients know.
 */
import type { Json } from '../object.ts';

/**
 * Deeper nesting is refused in the words of Go's decoder, which has ten times the patience: whatever walks over an object
 * here needs stack for each level.
 */
const MAX_DEPTH = 1_000;

/** Why a text is no JSON; the message is Go's. */
export class JsonProblem extends Error {}

/** Parses. Throws a JsonProblem. */
export function parseJson(text: string): Json {
  try {
    return JSON.parse(text) as Json; // JSON has no other values
  } catch {
    throw new JsonProblem(new Finder(text).problem());
  }
}

/** `array`, `string` and so on, as Go calls what it found. */
export function typeNameOf(value: Json): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

/** Throws a JsonProblem for JSON that is nested too deep. */
export function requireShallow(text: string): void {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at);
    else if (code === OPEN_BRACE || code === OPEN_BRACKET) depth += 1;
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth -= 1;
    if (depth > MAX_DEPTH) throw new JsonProblem('exceeded max depth');
  }
}

interface Frame {
  /** The keys so far; undefined in a list. */
  readonly keys: string[] | undefined;
  index: number;
}

/** The paths of the fields that stand twice in `text`, which has to be JSON: `spec.steps[0].image`. */
export function duplicateFields(text: string): string[] {
  const duplicates = new Set<string>();
  const frames: Frame[] = [];
  let isKeyNext = false;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case OPEN_BRACE:
        frames.push({ keys: [], index: 0 });
        if (frames.length > MAX_DEPTH) throw new JsonProblem('exceeded max depth');
        isKeyNext = true;
        break;
      case OPEN_BRACKET:
        frames.push({ keys: undefined, index: 0 });
        if (frames.length > MAX_DEPTH) throw new JsonProblem('exceeded max depth');
        break;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        frames.pop();
        isKeyNext = false;
        break;
      case COMMA: {
        const frame = frames.at(-1);
        if (frame?.keys === undefined && frame !== undefined) frame.index += 1;
        isKeyNext = frame?.keys !== undefined;
        break;
      }
      case QUOTE: {
        const end = endOfString(text, at);
        if (isKeyNext) {
          const raw = text.slice(at + 1, end);
          const key = raw.includes('\\') ? (JSON.parse(`"${raw}"`) as string) : raw; // a JSON string is a string
          const keys = frames.at(-1)?.keys ?? [];
          const isTwice = keys.includes(key);
          keys.push(key);
          if (isTwice) duplicates.add(pathOf(frames));
          isKeyNext = false;
        }
        at = end;
        break;
      }
    }
  }
  return [...duplicates];
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  for (;;) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return end;
    end = text.indexOf('"', end + 1);
  }
}

function pathOf(frames: readonly Frame[]): string {
  let path = '';
  for (const { keys, index } of frames) {
    if (keys === undefined) path += `[${index}]`;
    else path += `${path === '' ? '' : '.'}${keys.at(-1)}`;
  }
  return path;
}

/** Walks over a text as Go's scanner does, to say where it stumbles. */
class Finder {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  problem(): string {
    try {
      this.#value(0);
      this.#space();
      if (this.#at < this.#text.length) this.#wrong('after top-level value');
    } catch (error) {
      if (error instanceof JsonProblem) return error.message;
      throw error;
    }
    return 'unexpected end of JSON input';
  }

  #value(depth: number): void {
    if (depth > MAX_DEPTH) throw new JsonProblem('exceeded max depth');
    this.#space();
    const letter = this.#peek();
    if (letter === '{') this.#object(depth);
    else if (letter === '[') this.#array(depth);
    else if (letter === '"') this.#string();
    else if (/[-\d]/.test(letter)) this.#number();
    else if (letter === 't') this.#literal('true');
    else if (letter === 'f') this.#literal('false');
    else if (letter === 'n') this.#literal('null');
    else this.#wrong('looking for beginning of value');
  }

  #object(depth: number): void {
    this.#at += 1;
    this.#space();
    if (this.#take('}')) return;
    for (;;) {
      this.#space();
      if (this.#peek() !== '"') this.#wrong('looking for beginning of object key string');
      this.#string();
      this.#space();
      if (!this.#take(':')) this.#wrong('after object key');
      this.#value(depth + 1);
      this.#space();
      if (this.#take('}')) return;
      if (!this.#take(',')) this.#wrong('after object key:value pair');
    }
  }

  #array(depth: number): void {
    this.#at += 1;
    this.#space();
    if (this.#take(']')) return;
    for (;;) {
      this.#value(depth + 1);
      this.#space();
      if (this.#take(']')) return;
      if (!this.#take(',')) this.#wrong('after array element');
    }
  }

  #string(): void {
    this.#at += 1;
    for (;;) {
      const letter = this.#peek();
      if (letter === '"') break;
      if (letter === '\\') {
        this.#at += 1;
        if (this.#take('u')) {
          for (let digit = 0; digit < 4; digit++) {
            if (!/[\da-fA-F]/.test(this.#peek())) this.#wrong('in \\u hexadecimal character escape');
            this.#at += 1;
          }
          continue;
        }
        if (!/["\\/bfnrt]/.test(this.#peek())) this.#wrong('in string escape code');
      } else if (letter < ' ') {
        this.#wrong('in string literal');
      }
      this.#at += 1;
    }
    this.#at += 1;
  }

  #number(): void {
    if (this.#take('-') && !/\d/.test(this.#peek())) this.#wrong('in numeric literal');
    if (!this.#take('0')) this.#digits();
    if (this.#has('.')) {
      if (!/\d/.test(this.#peek())) this.#wrong('after decimal point in numeric literal');
      this.#digits();
    }
    if (this.#has('e') || this.#has('E')) {
      if (!this.#has('+')) this.#has('-');
      if (!/\d/.test(this.#peek())) this.#wrong('in exponent of numeric literal');
      this.#digits();
    }
  }

  #digits(): void {
    while (/\d/.test(this.#text.charAt(this.#at))) this.#at += 1;
  }

  #literal(word: string): void {
    for (const letter of word) {
      if (!this.#take(letter)) this.#wrong(`in literal ${word} (expecting '${letter}')`);
    }
  }

  #space(): void {
    while (/[ \t\r\n]/.test(this.#text.charAt(this.#at))) this.#at += 1;
  }

  /** The letter that has to be here; that there is none ends the walk. */
  #peek(): string {
    if (this.#at >= this.#text.length) throw new JsonProblem('unexpected end of JSON input');
    return this.#text.charAt(this.#at);
  }

  #take(letter: string): boolean {
    if (this.#peek() !== letter) return false;
    this.#at += 1;
    return true;
  }

  /** Like `#take`, where the text may end. */
  #has(letter: string): boolean {
    if (this.#text.charAt(this.#at) !== letter) return false;
    this.#at += 1;
    return true;
  }

  #wrong(where: string): never {
    const letter = this.#peek();
    throw new JsonProblem(`invalid character ${quoted(letter)} ${where}`);
  }
}

/** A text as Go's %q writes it. */
export function goQuoted(text: string): string {
  return `"${[...text].map((letter) => (letter === '"' ? '\\"' : escaped(letter))).join('')}"`;
}

/** A letter as Go shows it within quotes. */
function quoted(letter: string): string {
  return letter === "'" ? "'\\''" : `'${escaped(letter)}'`;
}

const ESCAPES: { readonly [letter: string]: string } = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
};

function escaped(letter: string): string {
  const short = ESCAPES[letter];
  if (short !== undefined) return short;
  if (/[\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.test(letter)) return letter;
  const code = letter.codePointAt(0) ?? 0;
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`;
  return code > 0xffff ? `\\U${code.toString(16).padStart(8, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
}
