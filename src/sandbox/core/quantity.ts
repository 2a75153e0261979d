/**
 * Amounts of CPU, memory and storage.
 * https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
 */

/** An amount, exact to a billionth, and the family of suffixes it is written with. */
export interface Quantity {
  readonly nanos: bigint;
  readonly family: 'binary' | 'decimal' | 'exponent';
}

const nano = 1_000_000_000n;
const decimalSuffixes = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'];
const binarySuffixes = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

/** What a Quantity cannot be read from, in the server's words. */
export const quantitySentence =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/** Reads `500m`, `1Gi`, `1e3` or a bare number; undefined when it is none. Finer parts than a billionth are rounded up. */
export function parseQuantity(written: string | number): Quantity | undefined {
  const parts = /^([+-]?)(\d*)(?:\.(\d*))?([eEinumkKMGTP]*[-+]?\d*)$/.exec(String(written));
  if (parts === null) return undefined;
  const [, sign = '', whole = '', fraction = '', suffix = ''] = parts;
  if (whole === '' && fraction === '') return undefined;
  const scale = scaleOf(suffix);
  if (scale === undefined) return undefined;
  const digits = BigInt(`${whole}${fraction}`);
  const divisor = 10n ** BigInt(fraction.length) * scale.divisor;
  const scaled = digits * scale.factor * nano;
  const nanos = scaled / divisor + (scaled % divisor === 0n ? 0n : 1n);
  const family = scale.family === 'binary' && nanos > 0n && nanos < nano ? 'decimal' : scale.family;
  return { nanos: sign === '-' ? -nanos : nanos, family };
}

/** The one way in which the server writes an amount: no fraction, the largest suffix that loses nothing. */
export function writeQuantity({ nanos, family }: Quantity): string {
  if (nanos === 0n) return '0';
  const size = nanos < 0n ? -nanos : nanos;
  const sign = nanos < 0n ? '-' : '';
  if (family === 'binary' && size % nano === 0n && size >= 1024n * nano) {
    const { digits, steps } = reduced(size / nano, 1024n, binarySuffixes.length - 1);
    return `${sign}${digits}${binarySuffixes[steps]}`;
  }
  const { digits, steps } = reduced(size, 1000n, decimalSuffixes.length - 1);
  if (family !== 'exponent') return `${sign}${digits}${decimalSuffixes[steps]}`;
  const exponent = (steps - 3) * 3;
  return `${sign}${digits}${exponent === 0 ? '' : `e${exponent}`}`;
}

function scaleOf(
  suffix: string,
): { readonly factor: bigint; readonly divisor: bigint; readonly family: Quantity['family'] } | undefined {
  const decimal = decimalSuffixes.indexOf(suffix);
  if (decimal >= 0) return { ...powerOfTen((decimal - 3) * 3), family: 'decimal' };
  const binary = binarySuffixes.indexOf(suffix);
  if (binary > 0) return { factor: 1024n ** BigInt(binary), divisor: 1n, family: 'binary' };
  const exponent = /^[eE]([-+]?\d{1,2})$/.exec(suffix)?.[1];
  return exponent === undefined ? undefined : { ...powerOfTen(Number(exponent)), family: 'exponent' };
}

function powerOfTen(exponent: number): { readonly factor: bigint; readonly divisor: bigint } {
  return exponent >= 0
    ? { factor: 10n ** BigInt(exponent), divisor: 1n }
    : { factor: 1n, divisor: 10n ** BigInt(-exponent) };
}

function reduced(amount: bigint, base: bigint, most: number): { readonly digits: bigint; readonly steps: number } {
  let digits = amount;
  let steps = 0;
  while (steps < most && digits % base === 0n) {
    digits /= base;
    steps += 1;
  }
  return { digits, steps };
}
