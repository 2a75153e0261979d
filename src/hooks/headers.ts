/** Headers of a delivery as a handler in Go would see them, because expressions and bindings are written for one. */
import type { HookHeaders } from './request.ts';

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

// What Go's server takes out of the headers before a handler sees them. https://pkg.go.dev/net/http#Request
const TAKEN_OUT: ReadonlySet<string> = new Set(['Host', 'Trailer', 'Transfer-Encoding']);

/**
 * A name as Go writes it: the first letter and each behind a dash large, all others small. A name with a space, or with anything else
 * that a token has not, stays as it is. https://pkg.go.dev/net/http#CanonicalHeaderKey
 */
export function canonicalHeader(name: string): string {
  if (!TOKEN.test(name)) return name;
  return name.toLowerCase().replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase());
}

/**
 * The headers of a request by their canonical names, from Node's `rawHeaders`: names and values in turn. Values are read as UTF-8,
 * which Node does not. `Host`, `Trailer` and `Transfer-Encoding` are left out, as Go leaves them out.
 */
export function hookHeaders(rawHeaders: readonly string[]): HookHeaders {
  const headers = new Map<string, string[]>();
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = canonicalHeader(rawHeaders[at] ?? '');
    if (TAKEN_OUT.has(name)) continue;
    const value = asUtf8(rawHeaders[at + 1] ?? '');
    const values = headers.get(name);
    if (values === undefined) headers.set(name, [value]);
    else values.push(value);
  }
  return headers;
}

/** All values of a header, in the order in which they came, whichever way its name is written; none where it is not there. */
export function valuesOf(headers: HookHeaders, name: string): readonly string[] {
  return headers.get(canonicalHeader(name)) ?? NO_VALUES;
}

/** The first value of a header; '' where it is not there, as `Header.Get` has it. */
export function firstOf(headers: HookHeaders, name: string): string {
  return valuesOf(headers, name)[0] ?? '';
}

/** The value of a header that came once; undefined where it did not come, or came several times. */
export function oneOf(headers: HookHeaders, name: string): string | undefined {
  const values = valuesOf(headers, name);
  return values.length === 1 ? values[0] : undefined;
}

const NO_VALUES: readonly string[] = [];

function asUtf8(value: string): string {
  return /[\x80-\xff]/.test(value) ? Buffer.from(value, 'latin1').toString('utf8') : value;
}
