/** The body of a delivery, from bytes that anybody may have sent to plain data that can be trusted to be no more than that. */
import { isUtf8 } from 'node:buffer';
import type { Json, JsonMap } from './request.ts';

/** A body that was read, or what is wrong with it: one sentence that holds nothing of the body. */
export type ParsedBody =
  | { readonly ok: true; readonly body: JsonMap }
  | { readonly ok: false; readonly message: string };

/** How many objects and lists may lie in each other, the body itself among them. */
const DEEPEST = 32;
/**
 * How many brackets and commas there may be, which is about how many values. A megabyte of real payload has fewer; a megabyte of `{},`
 * would take the event loop for a tenth of a second here, and as long again wherever it is copied.
 */
const MOST_VALUES = 32_768;

/** Keys that mean something else than a key to careless code. */
const FORBIDDEN: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;
const OPENING_BRACKET = 0x5b;
const CLOSING_BRACKET = 0x5d;

/**
 * Reads a body as JSON: UTF-8 without a byte order mark, one object, at most 32 levels deep and of some 32,768 values. Its objects have
 * no prototype. A key that is there twice has the last of its values, as in Go and in browsers; numbers are doubles, as CEL has them of
 * JSON, and one that is too large for that is refused. Never throws; its time is bounded by the length of the body, whatever is in it.
 * https://www.rfc-editor.org/rfc/rfc8259
 */
export function parseBody(raw: Buffer): ParsedBody {
  if (!isUtf8(raw)) return refused('the body is not valid UTF-8');
  // Before it is parsed: parsing is what hostile nesting would make slow.
  const excess = excessIn(raw);
  if (excess !== undefined) return refused(excess);
  let parsed: Json;
  try {
    parsed = JSON.parse(raw.toString('utf8')) as Json; // which is what it returns
  } catch {
    return refused('the body is not valid JSON');
  }
  if (!isMap(parsed)) return refused('the body must be a JSON object');
  const mistakes: string[] = [];
  const body = plainMap(parsed, mistakes);
  const [mistake] = mistakes;
  return mistake === undefined ? { ok: true, body } : refused(mistake);
}

function refused(message: string): ParsedBody {
  return { ok: false, message };
}

function isMap(value: Json): value is JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Counts brackets and commas outside of texts. What is no JSON at all is not told here. */
function excessIn(raw: Buffer): string | undefined {
  let depth = 0;
  let values = 0;
  for (let at = 0; at < raw.length; at++) {
    switch (raw[at]) {
      case QUOTE:
        at = endOfText(raw, at + 1);
        break;
      case OPENING_BRACE:
      case OPENING_BRACKET:
        depth++;
        values++;
        if (depth > DEEPEST) return `the body is nested deeper than ${DEEPEST} levels`;
        break;
      case CLOSING_BRACE:
      case CLOSING_BRACKET:
        depth--;
        break;
      case COMMA:
        values++;
        break;
    }
    if (values > MOST_VALUES) return 'the body has too many values';
  }
  return undefined;
}

function endOfText(raw: Buffer, from: number): number {
  let at = from;
  while (at < raw.length && raw[at] !== QUOTE) at += raw[at] === BACKSLASH ? 2 : 1;
  return at;
}

/** An object as it is, but without a prototype. What it must not hold goes to `mistakes`. */
function plainMap(parsed: JsonMap, mistakes: string[]): JsonMap {
  const map: Record<string, Json> = Object.create(null);
  for (const key of Object.keys(parsed)) {
    if (FORBIDDEN.has(key)) mistakes.push(`the body has a key ${key}`);
    else map[key] = plainValue(parsed[key] ?? null, mistakes);
  }
  return map;
}

function plainValue(parsed: Json, mistakes: string[]): Json {
  // Such as 1e400, which JSON.parse takes for Infinity, and which no JSON can be written of again.
  if (typeof parsed === 'number' && !Number.isFinite(parsed)) mistakes.push('the body has a number that is too large');
  if (typeof parsed !== 'object' || parsed === null) return parsed;
  return isMap(parsed) ? plainMap(parsed, mistakes) : parsed.map((each) => plainValue(each, mistakes));
}
