/** `format` of the strings extension, as cel-go writes values. https://pkg.go.dev/github.com/google/cel-go/ext#Strings */
import { type CelList, type CelValue, isCelList, isCelMap, isCelType, isCelUint } from '@bufbuild/cel';
import { toJson } from '@bufbuild/protobuf';
import { LONGEST_TEXT } from './values.ts';

/** Digits behind the point where a clause does not say how many, and how many it may ask for. */
const [USUAL_PRECISION, HIGHEST_PRECISION] = [6, 100];

/** The template with each clause (`%s`, `%.2f`) written from the next value. Values that no clause takes are left out, as there. */
export function format(template: string, values: CelList): string {
  let taken = 0;
  let length = 0;
  return template.replace(/%(?:\.(\d{1,4}))?([\s\S]?)/g, (_clause, precision: string | undefined, verb: string) => {
    if (verb === '%' && precision === undefined) return '%';
    const value = values.get(taken++);
    if (value === undefined) throw new Error('format: fewer values than clauses');
    const written = write(verb, value, precision === undefined ? USUAL_PRECISION : Number(precision));
    length += written.length;
    if (length > LONGEST_TEXT) throw new Error('format: the text becomes too long');
    return written;
  });
}

function write(verb: string, value: CelValue, precision: number): string {
  if (precision > HIGHEST_PRECISION) throw new Error(`format: a precision above ${HIGHEST_PRECISION}`);
  const whole = isCelUint(value) ? value.value : value;
  switch (verb) {
    case 's':
      return asText(value);
    case 'd':
      if (typeof whole === 'bigint' || typeof whole === 'number') return asText(whole);
      break;
    case 'f':
    case 'e':
      if (typeof whole !== 'bigint' && typeof whole !== 'number') break;
      if (!Number.isFinite(Number(whole))) return asText(whole);
      return verb === 'f' ? fixed(Number(whole), precision) : exponential(Number(whole), precision);
    case 'b':
      if (typeof whole === 'boolean') return whole ? '1' : '0';
      if (typeof whole === 'bigint') return whole.toString(2);
      break;
    case 'o':
      if (typeof whole === 'bigint') return whole.toString(8);
      break;
    case 'x':
      return hex(whole);
    case 'X':
      return hex(whole).toUpperCase();
    default:
      throw new Error('format: a % that begins no clause');
  }
  throw new Error(`format: %${verb} is not for this type`);
}

function hex(value: CelValue): string {
  if (typeof value === 'bigint') return value.toString(16);
  if (typeof value === 'string' || value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  throw new Error('format: %x is not for this type');
}

function asText(value: CelValue): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return plain(value);
  if (value === null || typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  if (isCelUint(value)) return value.value.toString();
  if (isCelType(value)) return value.name;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
  if (isCelList(value)) return `[${Array.from(value, asText).join(', ')}]`;
  if (isCelMap(value)) {
    const entries = [...value].map(([key, item]) => [asText(key), asText(item)] as const);
    const sorted = entries.sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${sorted.map((entry) => entry.join(': ')).join(', ')}}`;
  }
  return shortFraction(String(toJson(value.desc, value.message)));
}

/** A timestamp or a duration of JSON, whose fraction has three, six or nine digits, without zeros that say nothing. */
export function shortFraction(text: string): string {
  return text.replace(/(\.\d*?)0+(?=[sZ]$)/, '$1').replace(/\.(?=[sZ]$)/, '');
}

/** As few digits as tell it from every other double, and no exponent. */
function plain(number: number): string {
  if (!Number.isFinite(number)) return String(number);
  const [, sign, first, rest = '', exponent] = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(number.toExponential()) ?? [];
  const digits = `${first}${rest}`;
  const point = Number(exponent) + 1;
  const minus = sign === '-' || Object.is(number, -0) ? '-' : '';
  if (point <= 0) return `${minus}0.${'0'.repeat(-point)}${digits}`;
  if (point >= digits.length) return `${minus}${digits}${'0'.repeat(point - digits.length)}`;
  return `${minus}${digits.slice(0, point)}.${digits.slice(point)}`;
}

/** With so many digits behind the point, of what the double really is, rounded to even where it lies in the middle. */
function fixed(number: number, precision: number): string {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, number);
  const raw = bits.getBigUint64(0);
  const power = Number((raw >> 52n) & 0x7ffn);
  const fraction = raw & 0xfffffffffffffn;
  // The double is mantissa * 2^(power - 1075); the smallest ones have no leading one.
  const mantissa = power === 0 ? fraction : fraction | 0x10000000000000n;
  const shift = BigInt(Math.max(power, 1) - 1075);
  const scaled = mantissa * 10n ** BigInt(precision);
  const digits = (shift >= 0n ? scaled << shift : roundedHalf(scaled, -shift)).toString().padStart(precision + 1, '0');
  const minus = raw >> 63n === 1n ? '-' : '';
  const point = digits.length - precision;
  return `${minus}${digits.slice(0, point)}${precision === 0 ? '' : `.${digits.slice(point)}`}`;
}

/** Divided by a power of two. */
function roundedHalf(value: bigint, power: bigint): bigint {
  const quotient = value >> power;
  const twiceTheRest = (value - (quotient << power)) << 1n;
  const one = 1n << power;
  const isUp = twiceTheRest > one || (twiceTheRest === one && (quotient & 1n) === 1n);
  return isUp ? quotient + 1n : quotient;
}

function exponential(number: number, precision: number): string {
  return number.toExponential(precision).replace(/e([+-])(\d)$/, 'e$10$2');
}
