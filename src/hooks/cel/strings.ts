/**
 * The strings extension as cel-go has it, where our library has it otherwise: places are counted in characters, not in units of UTF-16,
 * and `replace` and `split` mean what Go means by them. https://pkg.go.dev/github.com/google/cel-go/ext#Strings
 */
import { type CelFunc, CelScalar, celFunc, celMethod, listType } from '@bufbuild/cel';
import { format } from './format.ts';
import { LONGEST_TEXT } from './values.ts';

const { DYN, INT, STRING } = CelScalar;
const STRINGS = listType(STRING);

/** What replaces, in the library's own extension, the functions of the same name and arguments. */
export const stringFunctions: readonly CelFunc[] = [
  celMethod('charAt', STRING, [INT], STRING, function (at) {
    const characters = charactersOf(this);
    const place = within(at, 0, characters.length, 'charAt');
    return characters[place] ?? '';
  }),
  celMethod('format', STRING, [listType(DYN)], STRING, function (values) {
    return format(this, values);
  }),
  celMethod('indexOf', STRING, [STRING], INT, function (part) {
    return indexOf(this, part, 0n);
  }),
  celMethod('indexOf', STRING, [STRING, INT], INT, function (part, from) {
    return indexOf(this, part, from);
  }),
  celMethod('lastIndexOf', STRING, [STRING], INT, function (part) {
    return placeOf(this, this.lastIndexOf(part));
  }),
  celMethod('lastIndexOf', STRING, [STRING, INT], INT, function (part, from) {
    return lastIndexOf(this, part, from);
  }),
  celMethod('replace', STRING, [STRING, STRING], STRING, function (old, instead) {
    return replace(this, old, instead, -1n);
  }),
  celMethod('replace', STRING, [STRING, STRING, INT], STRING, function (old, instead, most) {
    return replace(this, old, instead, most);
  }),
  celMethod('split', STRING, [STRING], STRINGS, function (separator) {
    return split(this, separator, -1n);
  }),
  celMethod('split', STRING, [STRING, INT], STRINGS, function (separator, most) {
    return split(this, separator, most);
  }),
  celMethod('substring', STRING, [INT], STRING, function (from) {
    const characters = charactersOf(this);
    return textOf(characters.slice(within(from, 0, characters.length, 'substring')));
  }),
  celMethod('substring', STRING, [INT, INT], STRING, function (from, to) {
    const characters = charactersOf(this);
    const end = within(to, 0, characters.length, 'substring');
    return textOf(characters.slice(within(from, 0, end, 'substring'), end));
  }),
  celMethod('reverse', STRING, [], STRING, function () {
    return Array.from(this).reverse().join('');
  }),
  celFunc('strings.quote', [STRING], STRING, (text) => {
    return `"${text.toWellFormed().replace(/[\x07\b\f\n\r\t\v\\"]/g, (character) => ESCAPES[character] ?? `\\${character}`)}"`;
  }),
];

const ESCAPES: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
};

/** Its characters one by one; the text itself where each is one unit, since a copy of a long text takes its time. */
function charactersOf(text: string): string | readonly string[] {
  return isPlain(text) ? text : Array.from(text);
}

function textOf(characters: string | readonly string[]): string {
  return typeof characters === 'string' ? characters : characters.join('');
}

function isPlain(text: string): boolean {
  return !/[\ud800-\udfff]/.test(text);
}

function within(place: bigint, least: number, most: number, name: string): number {
  if (place < least || place > most) throw new Error(`${name}: index out of range`);
  return Number(place);
}

/** A place in units of UTF-16, or -1, as one in characters. */
function placeOf(text: string, unit: number): bigint {
  return BigInt(unit <= 0 || isPlain(text) ? unit : Array.from(text.slice(0, unit)).length);
}

/** The reverse; places beyond the end are beyond the end. */
function unitOf(text: string, place: number): number {
  return isPlain(text) ? place : Array.from(text).slice(0, place).join('').length;
}

function indexOf(text: string, part: string, from: bigint): bigint {
  if (part === '') return from;
  if (from < 0n) throw new Error('indexOf: index out of range');
  if (from > text.length) return -1n;
  return placeOf(text, text.indexOf(part, unitOf(text, Number(from))));
}

function lastIndexOf(text: string, part: string, from: bigint): bigint {
  if (part === '') return from;
  if (from < 0n) throw new Error('lastIndexOf: index out of range');
  const { length } = charactersOf(text);
  if (from >= length) return -1n;
  return placeOf(text, text.lastIndexOf(part, unitOf(text, Number(from))));
}

/** https://pkg.go.dev/strings#Replace: nothing stands before each character and at the end; a negative number means all. */
function replace(text: string, old: string, instead: string, most: bigint): string {
  const pieces = old === '' ? ['', ...Array.from(text), ''] : text.split(old);
  const gaps = pieces.length - 1;
  const replaced = most < 0n || most > gaps ? gaps : Number(most);
  if (text.length + replaced * (instead.length - old.length) > LONGEST_TEXT) {
    throw new Error('replace: the text becomes too long');
  }
  const ahead = pieces.slice(0, replaced + 1).join(instead);
  return [ahead, ...pieces.slice(replaced + 1)].join(old);
}

/** https://pkg.go.dev/strings#SplitN: the last piece is all that is left. */
function split(text: string, separator: string, most: bigint): readonly string[] {
  if (most === 0n) return [];
  const pieces = separator === '' ? Array.from(text) : text.split(separator);
  if (most < 0n || most >= pieces.length) return pieces;
  const whole = Number(most) - 1;
  return [...pieces.slice(0, whole), pieces.slice(whole).join(separator)];
}
