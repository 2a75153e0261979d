/**
 * Requests as nobody should send them: made of the OpenAPI document, then bent. The same seed makes the same requests, so
 * that one which does harm can be sent again.
 */
import type { OpenApiDocument, Parameter } from '../../src/gateway/described/openapi.ts';
import { operationsIn, parametersOf } from './described.ts';

/** A request as bytes, and what may come of it. */
export interface FuzzRequest {
  readonly bytes: Buffer;
  readonly method: string;
  /** Not HTTP: it may be answered by closing the connection, and wants one of its own. */
  readonly isMalformed: boolean;
  /** It asks to wait for something, so no answer within a short time is right too. */
  readonly mayWait: boolean;
  /** It asks for an answer that is left unfinished where a run did not succeed. */
  readonly mayBreakOff: boolean;
}

/** What requests are made of. */
export interface FuzzMaterial {
  readonly document: OpenApiDocument;
  readonly credentials: { readonly username: string; readonly password: string };
  /** Names of runs that are there and are over. */
  readonly runs: readonly string[];
  readonly namespaces: readonly string[];
}

/** Numbers from a seed: mulberry32, whose few lines are in the public domain. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 up to, and without, 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number below `limit`. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  /** Whether, once in `times`. */
  once(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(from: readonly T[]): T {
    const found = from[this.below(from.length)];
    if (found === undefined) throw new Error('nothing to pick from');
    return found;
  }
}

const METHODS = [
  'POST',
  'PUT',
  'DELETE',
  'OPTIONS',
  'PATCH',
  'TRACE',
  'PROPFIND',
  'PURGE',
  'QUERY',
  'M-SEARCH',
  'LOCK',
];

/** What stands where something sane should: for segments, values and names alike. */
const ODD = [
  '',
  '.',
  '..',
  '...',
  '-',
  '--last',
  '-f',
  '_',
  '*',
  '~',
  "'",
  '"',
  '<script>alert(1)</script>',
  `\${jndi:ldap://x}`,
  '{{7*7}}',
  '$(id)',
  '`id`',
  ';ls',
  '|ls',
  '../../../../etc/passwd',
  '..\\..\\',
  '/etc/passwd',
  'C:\\',
  'file:///etc/passwd',
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'null',
  'undefined',
  'NaN',
  'true',
  'false',
  '0',
  '-1',
  '1e309',
  '9007199254740993',
  '0x1F',
  '٣',
  'ｎａｍｅ',
  '\u202e',
  '\u0000',
  '\ufeff',
  '😀',
  'é',
  'e\u0301',
  'a\nb',
  'a\r\nX-Evil: 1',
  ' ',
  '\t',
  '%',
  '%%',
  '%00',
  '%zz',
  '%2e%2e',
  '%2f',
  '%252f',
  '%c0%af',
  '%ff',
  '+',
  '&',
  '=',
  '#',
  '?',
  ',',
  ',,,',
  'a,b',
  '[]',
  "' OR 1=1--",
  'a'.repeat(63),
  'a'.repeat(64),
  'a'.repeat(300),
  'a.'.repeat(31),
  'W/"x"',
  '*/*',
  'a in (b',
  'a notin (b),c',
  '!a',
  'a>1',
  '2026-11-01T10:00:00Z',
  '2026-99-99',
  '1h30m',
  '99999999999h',
  'eyJhIjoxfQ',
  'AAAA.BBBB',
] as const;

/** What a path is bent by. */
const PATH_TWISTS: readonly ((path: string, dice: Dice) => string)[] = [
  (path) => `${path}/`,
  (path) => `/${path}`,
  (path) => path.replaceAll('/', '//'),
  (path) => path.toUpperCase(),
  (path) => `${path}/..`,
  (path) => `/./x/..${path}`,
  (path) => path.replace(/\/([^/]*)$/, '%2f$1'),
  (path) => path.replace(/[a-z]/g, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
  (path, dice) => `${path}/${encoded(dice.pick(ODD), dice)}`,
  (path, dice) => `${path}${'/a'.repeat(dice.below(500))}`,
  (path) => path.slice(0, -1),
  (path) => path.replace('/', ''),
  (path) => `http://evil.example${path}`,
  (path) => `${path}#fragment`,
  (path) => `${path};a=b`,
  () => '*',
  () => '/',
  () => '/favicon.ico',
  () => '/metrics',
  () => '/.git/config',
  (_, dice) => `/${encoded(dice.pick(ODD), dice)}`,
];

/** Headers with a value each, or none for one that is made up. */
const HEADERS: readonly (readonly [name: string, values: readonly string[]])[] = [
  ['Accept', ['*/*', 'text/event-stream', 'application/x-ndjson', 'text/html', 'application/json;q=0', ',', 'a/b;q=x']],
  ['Accept-Encoding', ['gzip', 'gzip;q=0', 'br', '*', 'identity;q=0, *;q=0', 'gzip;q=9', ';;;', 'GZIP']],
  ['If-None-Match', ['*', '"', 'W/', 'W/"x"', '"a", "b"', ',', 'x'.repeat(2000)]],
  ['Last-Event-ID', ['0', 'x', '\u00ff', 'AAAA.BBBB']],
  ['X-Request-Id', ['ok-1', '', 'a b', '"><script>', 'x'.repeat(129), `\${jndi:ldap://x}`]],
  ['X-Forwarded-For', ['127.0.0.1', '::1', 'a, b', '999.1.1.1', 'x'.repeat(500)]],
  ['X-Forwarded-Proto', ['https', 'x']],
  ['X-HTTP-Method-Override', ['DELETE']],
  ['Origin', ['null', 'https://evil.example', 'x']],
  ['Access-Control-Request-Method', ['GET', 'DELETE']],
  ['Range', ['bytes=0-0', 'bytes=-1', 'lines=1-2', 'bytes=9-1']],
  ['Connection', ['close', 'keep-alive', 'upgrade', 'x']],
  ['Upgrade', ['websocket', 'h2c', 'TLS/1.0']],
  ['TE', ['trailers', 'x']],
  ['Content-Type', ['application/json', 'text/plain', 'multipart/form-data', 'x']],
  ['Cookie', ['a=b', '__proto__=1', ';;;']],
  ['Host', ['evil.example', 'x'.repeat(300)]],
  ['Date', ['x']],
  ['User-Agent', ['', 'x'.repeat(3000)]],
];

/** Makes requests for ever. */
export function* fuzzRequests(material: FuzzMaterial, dice: Dice): Generator<FuzzRequest, never> {
  const operations = operationsIn(material.document).map(({ path, method, operation }) => ({
    path,
    method,
    options: parametersOf(material.document, operation, 'query'),
  }));
  for (;;) {
    if (dice.once(20)) {
      yield { bytes: malformed(dice), method: 'GET', isMalformed: true, mayWait: true, mayBreakOff: true };
      continue;
    }
    const { path, method, options } = dice.pick(operations);
    const segments = path.replace(/\{(\w+)\}/g, (_, name: string) => segment(name, material, dice));
    const bent = dice.once(6) ? dice.pick(PATH_TWISTS)(segments, dice) : segments;
    const query = queryFor(options, dice);
    yield written(
      dice.once(10) ? dice.pick(METHODS) : dice.once(8) ? 'HEAD' : method.toUpperCase(),
      bent + query,
      material,
      dice,
    );
  }
}

function segment(name: string, { runs, namespaces }: FuzzMaterial, dice: Dice): string {
  if (dice.once(8)) return encoded(dice.pick(ODD), dice);
  if (name === 'namespace') return dice.pick([...namespaces, ...namespaces, 'kube-system', 'nowhere']);
  return dice.pick([...runs, 'nothing', 'a.b.c', `${dice.pick(runs)}x`]);
}

function queryFor(options: readonly Parameter[], dice: Dice): string {
  const pairs: string[] = [];
  for (let count = dice.below(4); count > 0; count--) {
    const option = options.length > 0 && !dice.once(12) ? dice.pick(options) : undefined;
    const name = option?.name ?? encoded(dice.pick(ODD), dice);
    const value = option !== undefined && !dice.once(5) ? sampleOf(option.schema, dice) : dice.pick(ODD);
    pairs.push(dice.once(20) ? name : `${name}${dice.once(15) ? '[]' : ''}=${encoded(value, dice)}`);
    if (dice.once(12)) pairs.push(pairs[0] ?? '');
  }
  if (dice.once(300)) pairs.push(`x=${'y'.repeat(dice.below(20_000))}`);
  if (dice.once(300)) pairs.push(...Array.from({ length: dice.below(1500) }, (_, place) => `p${place}=`));
  return pairs.length === 0 ? (dice.once(10) ? '?' : '') : `?${pairs.join(dice.once(30) ? ';' : '&')}`;
}

function sampleOf(schema: Parameter['schema'], dice: Dice): string {
  const { type, enum: words, minimum = 0, maximum = 100, items, examples } = schema;
  if (Array.isArray(words)) return String(dice.pick(words as readonly unknown[]));
  if (type === 'boolean') return dice.pick(['true', 'false']);
  if (type === 'integer')
    return String(dice.pick([minimum, maximum, Number(maximum) + 1, Number(minimum) - 1, dice.below(3)]));
  if (type === 'array') {
    return Array.from({ length: 1 + dice.below(3) }, () => sampleOf(items as Parameter['schema'], dice)).join(',');
  }
  if (Array.isArray(examples) && !dice.once(3)) return String(dice.pick(examples as readonly unknown[]));
  return dice.pick(['build', 'test', 'a', ...ODD]);
}

/** Percent-encoded as it should be, or not. */
function encoded(text: string, dice: Dice): string {
  return dice.once(8) ? text.replace(/[\r\n\0 ]/g, '') : encodeURIComponent(text);
}

function written(method: string, target: string, { credentials }: FuzzMaterial, dice: Dice): FuzzRequest {
  const headers: string[] = ['Host: localhost'];
  if (!dice.once(20)) headers.push(`Authorization: Basic ${base64(`${credentials.username}:${credentials.password}`)}`);
  else if (dice.once(2))
    headers.push(
      `Authorization: ${dice.pick(['Basic', 'Basic !', 'Bearer x', 'Basic Og==', 'Digest a=b', `Basic ${base64('ci:wrong')}`])}`,
    );
  for (let count = dice.below(5); count > 0; count--) {
    const [name, values] = dice.pick(HEADERS);
    headers.push(`${name}: ${dice.once(4) ? dice.pick(ODD).replace(/[\r\n\0]/g, '') : dice.pick(values)}`);
  }
  if (dice.once(400)) headers.push(...Array.from({ length: dice.below(3000) }, (_, place) => `X-${place}: y`));
  if (dice.once(400)) headers.push(`X-Long: ${'z'.repeat(dice.below(100_000))}`);
  const body = dice.once(12) ? dice.pick(['{}', '{"a":', '[]', 'x'.repeat(10_000), '\0\0', '{"__proto__":{}}']) : '';
  if (body !== '') headers.push(`Content-Length: ${Buffer.byteLength(body)}`);
  const version = dice.once(40) ? '1.0' : '1.1';
  const bytes = Buffer.from(`${method} ${target} HTTP/${version}\r\n${headers.join('\r\n')}\r\n\r\n${body}`, 'utf8');
  const head = `${target} ${headers.join('\n')}`;
  // Whatever Node's parser refuses: raw spaces and bytes beyond ASCII in the target, hosts given twice.
  const isMalformed =
    /[^\x21-\x7e]/.test(target) ||
    headers.filter((each) => /^host:/i.test(each)).length > 1 ||
    /[^\t\x20-\x7e\x80-\xff\n]/.test(head);
  return { bytes, method, isMalformed, mayWait: /wait|follow/i.test(target), mayBreakOff: /onFailure/i.test(target) };
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

/** What is no HTTP, or HTTP of the kind that proxies and servers have been led astray with. */
function malformed(dice: Dice): Buffer {
  const random = Buffer.from(Array.from({ length: dice.below(400) }, () => dice.below(256)));
  const host = 'Host: localhost';
  const made = dice.pick<() => Buffer | string>([
    () => random,
    () => Buffer.concat([Buffer.from('GET /'), random, Buffer.from(` HTTP/1.1\r\n${host}\r\n\r\n`)]),
    () => Buffer.concat([Buffer.from(`GET / HTTP/1.1\r\n${host}\r\nX: `), random, Buffer.from('\r\n\r\n')]),
    () => 'GET\r\n\r\n',
    () => 'GET /health\r\n\r\n',
    () => 'GET /health HTTP/9.9\r\n\r\n',
    () => 'GET /health HTTP/1.1\r\n\r\n',
    () => `GET /health HTTP/1.1\n${host}\n\n`,
    () => `get /health HTTP/1.1\r\n${host}\r\n\r\n`,
    () => `GET  /health  HTTP/1.1\r\n${host}\r\n\r\n`,
    () => `GET /health HTTP/1.1\r\n${host}\r\n${host}\r\n\r\n`,
    () => `GET /health HTTP/1.1\r\n${host}\r\n folded: yes\r\n\r\n`,
    () => `GET /health HTTP/1.1\r\n${host}\r\nContent-Length: -1\r\n\r\n`,
    () => `GET /health HTTP/1.1\r\n${host}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab`,
    () =>
      `POST /health HTTP/1.1\r\n${host}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /status/x HTTP/1.1\r\n\r\n`,
    () => `POST /health HTTP/1.1\r\n${host}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
    () => `POST /health HTTP/1.1\r\n${host}\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n\r\n`,
    () => `POST /health HTTP/1.1\r\n${host}\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n`,
    () => `POST /health HTTP/1.1\r\n${host}\r\nContent-Length: 1000000\r\n\r\nhalf`,
    () => `POST /health HTTP/1.1\r\n${host}\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}`,
    () => `GET /health HTTP/1.1\r\n${host}\r\nExpect: miracles\r\n\r\n`,
    () => `CONNECT evil.example:443 HTTP/1.1\r\n${host}\r\n\r\n`,
    () => `GET /${'a'.repeat(dice.below(200_000))} HTTP/1.1\r\n${host}\r\n\r\n`,
    () => `GET /health HTTP/1.1\r\n${host}\r\n${'X: y\r\n'.repeat(dice.below(20_000))}\r\n`,
    () => `GET /health HTTP/1.1\r\n${host}\r\nX: ${'\0'.repeat(3)}\r\n\r\n`,
    () => `GET /health HTTP/1.1\r\n: empty\r\n\r\n`,
    () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    () => Buffer.from('16030100a5010000a10303', 'hex'),
    () => '\r\n\r\n\r\n',
    () => '',
  ])();
  return typeof made === 'string' ? Buffer.from(made) : made;
}
