/** Kubernetes' own types in rules: URLs, quantities, addresses; and optional values. https://kubernetes.io/docs/reference/using-api/cel/ */
import { BlockList, isIP, isIPv6 } from 'node:net';
import { parseQuantity, quantitySentence, writeQuantity } from '../../core/quantity.ts';
import { type Declared, declare } from './declare.ts';
import { EvaluationError, ListValue, MapValue, OpaqueValue, OptionalValue, type Value } from './values.ts';

/** An opaque value whose insides these functions know. */
function inside<T>({ value }: OpaqueValue): T {
  return value as T; // the signature has made sure of the type, and only the functions below make such values
}

interface ParsedUrl {
  readonly scheme: string;
  readonly host: string;
  readonly path: string;
  readonly query: string;
}

function parseUrl(text: string): ParsedUrl | undefined {
  if (/[\x00-\x1f\x7f]/.test(text)) return undefined;
  const match = /^(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(?:\/\/(?:[^/?#@]*@)?([^/?#\s]*))?([^?]*)(?:\?(.*))?$/.exec(text);
  if (match === null) return undefined;
  const [, scheme = '', host = '', path = '', query = ''] = match;
  if (scheme === '' && !path.startsWith('/')) return undefined;
  return { scheme: scheme.toLowerCase(), host, path, query };
}

function url(text: string): OpaqueValue {
  const parsed = parseUrl(text);
  if (parsed !== undefined) return new OpaqueValue('URL', parsed, text);
  const why = `parse ${JSON.stringify(text)}: invalid URI for request`;
  throw new EvaluationError(`URL parse error during conversion from string: ${why}`);
}

function hostname(host: string): string {
  return host.replace(/:\d*$/, '').replace(/^\[(.*)\]$/, '$1');
}

function queryOf(query: string): MapValue {
  const values = new Map<string, string[]>();
  for (const [key, value] of new URLSearchParams(query)) values.set(key, [...(values.get(key) ?? []), value]);
  return new MapValue([...values].map(([key, list]) => [key, new ListValue(list)]));
}

const urls: Declared[] = [
  declare('url', '(string) URL', url),
  declare('isURL', '(string) bool', (text: string) => parseUrl(text) !== undefined),
  declare('getScheme', 'URL.() string', (value: OpaqueValue) => inside<ParsedUrl>(value).scheme),
  declare('getHost', 'URL.() string', (value: OpaqueValue) => inside<ParsedUrl>(value).host),
  declare('getHostname', 'URL.() string', (value: OpaqueValue) => hostname(inside<ParsedUrl>(value).host)),
  declare('getPort', 'URL.() string', (value: OpaqueValue) => /:(\d*)$/.exec(inside<ParsedUrl>(value).host)?.[1] ?? ''),
  declare('getEscapedPath', 'URL.() string', (value: OpaqueValue) => escapedPath(inside<ParsedUrl>(value).path)),
  declare('getQuery', 'URL.() map(string, list(string))', (value: OpaqueValue) =>
    queryOf(inside<ParsedUrl>(value).query),
  ),
];

function escapedPath(path: string): string {
  return path.replace(/[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]/gu, encodeURIComponent);
}

const NANO = 1_000_000_000n;

function quantity(text: string): OpaqueValue {
  const parsed = parseQuantity(text);
  if (parsed === undefined) throw new EvaluationError(quantitySentence);
  return quantityOf(parsed.nanos);
}

function quantityOf(nanos: bigint): OpaqueValue {
  return new OpaqueValue('Quantity', nanos, writeQuantity({ nanos, family: 'decimal' }));
}

function ordering(one: OpaqueValue, other: OpaqueValue): bigint {
  const [left, right] = [inside<bigint>(one), inside<bigint>(other)];
  return left < right ? -1n : left > right ? 1n : 0n;
}

function isWhole(value: OpaqueValue): boolean {
  const nanos = inside<bigint>(value);
  return nanos % NANO === 0n && nanos / NANO >= -(2n ** 63n) && nanos / NANO < 2n ** 63n;
}

const quantities: Declared[] = [
  declare('quantity', '(string) Quantity', quantity),
  declare('isQuantity', '(string) bool', (text: string) => parseQuantity(text) !== undefined),
  declare('sign', 'Quantity.() int', (value: OpaqueValue) => ordering(value, quantityOf(0n))),
  declare('isInteger', 'Quantity.() bool', isWhole),
  declare('asInteger', 'Quantity.() int', (value: OpaqueValue) => {
    if (!isWhole(value)) throw new EvaluationError('cannot convert value to integer');
    return inside<bigint>(value) / NANO;
  }),
  declare('asApproximateFloat', 'Quantity.() double', (value: OpaqueValue) => Number(inside<bigint>(value)) / 1e9),
  declare(
    'isGreaterThan',
    'Quantity.(Quantity) bool',
    (one: OpaqueValue, other: OpaqueValue) => ordering(one, other) > 0n,
  ),
  declare(
    'isLessThan',
    'Quantity.(Quantity) bool',
    (one: OpaqueValue, other: OpaqueValue) => ordering(one, other) < 0n,
  ),
  declare('compareTo', 'Quantity.(Quantity) int', ordering),
  declare('add', 'Quantity.(Quantity) Quantity', (one: OpaqueValue, other: OpaqueValue) =>
    quantityOf(inside<bigint>(one) + inside<bigint>(other)),
  ),
  declare('add', 'Quantity.(int) Quantity', (one: OpaqueValue, other: bigint) =>
    quantityOf(inside<bigint>(one) + other * NANO),
  ),
  declare('sub', 'Quantity.(Quantity) Quantity', (one: OpaqueValue, other: OpaqueValue) =>
    quantityOf(inside<bigint>(one) - inside<bigint>(other)),
  ),
  declare('sub', 'Quantity.(int) Quantity', (one: OpaqueValue, other: bigint) =>
    quantityOf(inside<bigint>(one) - other * NANO),
  ),
];

function isAddress(text: string): boolean {
  return isIP(text) !== 0 && !text.includes('%') && !/^::ffff:\d+\./i.test(text);
}

function address(text: string): OpaqueValue {
  if (isAddress(text)) return new OpaqueValue('IP', text, canonical(text));
  const why = `ParseAddr(${JSON.stringify(text)}): unable to parse IP`;
  throw new EvaluationError(`IP Address ${JSON.stringify(text)} parse error during conversion from string: ${why}`);
}

/** An address in its shortest spelling. */
function canonical(text: string): string {
  return isIPv6(text) ? new URL(`http://[${text}]`).hostname.slice(1, -1) : text;
}

interface Network {
  readonly address: string;
  readonly length: number;
  readonly family: 'ipv4' | 'ipv6';
}

function parseNetwork(text: string): Network | undefined {
  const match = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text);
  const [, base = '', digits = ''] = match ?? [];
  if (!isAddress(base)) return undefined;
  const family = isIPv6(base) ? 'ipv6' : 'ipv4';
  return Number(digits) > (family === 'ipv6' ? 128 : 32)
    ? undefined
    : { address: base, length: Number(digits), family };
}

function network(text: string): OpaqueValue {
  const parsed = parseNetwork(text);
  if (parsed !== undefined) return new OpaqueValue('CIDR', parsed, text);
  throw new EvaluationError(
    `network address parse error during conversion from string: netip.ParsePrefix(${JSON.stringify(text)})`,
  );
}

function contains({ address: base, length, family }: Network, text: string): boolean {
  if ((isIPv6(text) ? 'ipv6' : 'ipv4') !== family) return false;
  const list = new BlockList();
  list.addSubnet(base, length, family);
  return list.check(text, family);
}

/** Whether an address is in one of these networks. */
function isIn(...networks: readonly string[]) {
  const parsed = networks.map((text) => parseNetwork(text)).filter((one) => one !== undefined);
  return (value: OpaqueValue) => parsed.some((one) => contains(one, inside<string>(value)));
}

const isUnspecified = isIn('0.0.0.0/32', '::/128');
const isLoopback = isIn('127.0.0.0/8', '::1/128');
const isLinkLocalMulticast = isIn('224.0.0.0/24', 'ff02::/16');
const isLinkLocalUnicast = isIn('169.254.0.0/16', 'fe80::/10');
const isMulticast = isIn('224.0.0.0/4', 'ff00::/8');
const isBroadcast = isIn('255.255.255.255/32');

function isGlobalUnicast(value: OpaqueValue): boolean {
  return ![isUnspecified, isLoopback, isMulticast, isLinkLocalUnicast, isBroadcast].some((is) => is(value));
}

const addresses: Declared[] = [
  declare('ip', '(string) IP', address),
  declare('isIP', '(string) bool', isAddress),
  declare('ip.isCanonical', '(string) bool', (text: string) => address(text).text === text),
  declare('family', 'IP.() int', (value: OpaqueValue) => (isIPv6(inside<string>(value)) ? 6n : 4n)),
  declare('isUnspecified', 'IP.() bool', isUnspecified),
  declare('isLoopback', 'IP.() bool', isLoopback),
  declare('isLinkLocalMulticast', 'IP.() bool', isLinkLocalMulticast),
  declare('isLinkLocalUnicast', 'IP.() bool', isLinkLocalUnicast),
  declare('isGlobalUnicast', 'IP.() bool', isGlobalUnicast),
  declare('string', '(IP) string', ({ text }: OpaqueValue) => text),
  declare('cidr', '(string) CIDR', network),
  declare('isCIDR', '(string) bool', (text: string) => parseNetwork(text) !== undefined),
  declare('string', '(CIDR) string', ({ text }: OpaqueValue) => text),
  declare('ip', 'CIDR.() IP', (value: OpaqueValue) => address(inside<Network>(value).address)),
  declare('prefixLength', 'CIDR.() int', (value: OpaqueValue) => BigInt(inside<Network>(value).length)),
  declare('containsIP', 'CIDR.(string) bool', (value: OpaqueValue, text: string) =>
    contains(inside<Network>(value), inside<string>(address(text))),
  ),
  declare('containsIP', 'CIDR.(IP) bool', (value: OpaqueValue, other: OpaqueValue) =>
    contains(inside<Network>(value), inside<string>(other)),
  ),
  declare('containsCIDR', 'CIDR.(string) bool', (value: OpaqueValue, text: string) =>
    holds(inside<Network>(value), inside<Network>(network(text))),
  ),
  declare('containsCIDR', 'CIDR.(CIDR) bool', (value: OpaqueValue, other: OpaqueValue) =>
    holds(inside<Network>(value), inside<Network>(other)),
  ),
];

function holds(outer: Network, inner: Network): boolean {
  return outer.length <= inner.length && contains(outer, inner.address);
}

const optionals: Declared[] = [
  declare('optional.of', '(A) optional(A)', (value: Value) => new OptionalValue(value)),
  declare('optional.none', '() optional(A)', () => new OptionalValue(undefined)),
  declare('hasValue', 'optional(A).() bool', ({ value }: OptionalValue) => value !== undefined),
  declare('value', 'optional(A).() A', ({ value }: OptionalValue) => {
    if (value === undefined) throw new EvaluationError('optional.none() dereference');
    return value;
  }),
  declare('or', 'optional(A).(optional(A)) optional(A)', (one: OptionalValue, other: OptionalValue) =>
    one.value === undefined ? other : one,
  ),
  declare('orValue', 'optional(A).(A) A', ({ value }: OptionalValue, other: Value) =>
    value === undefined ? other : value,
  ),
];

/** All of these. */
export const kubernetesLibrary: readonly Declared[] = [...urls, ...quantities, ...addresses, ...optionals];
