import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Json } from '../request.ts';
import { createEvaluator, readable } from './evaluator.ts';

const evaluator = createEvaluator();

/** What an expression comes to for these; undefined for an error. */
function evaluate(expression: string, body: Readonly<Record<string, Json>>): Json | undefined {
  const inputs = readable({ body, header: {}, extensions: {}, requestURL: '/' });
  const result = evaluator.prepare(expression)(inputs, []);
  return 'ok' in result && result.ok ? result.value : undefined;
}

/** Texts whose characters take one to four bytes, one or two units, and come often enough to be found again. */
const text = fc.array(fc.constantFrom('a', 'b', 'é', '😀', '/'), { maxLength: 8 }).map((parts) => parts.join(''));
const place = fc.integer({ min: -2, max: 10 });

describe('functions on texts', () => {
  const holds = (
    name: string,
    expression: string,
    want: (s: string, t: string, n: number) => Json | undefined,
  ): void => {
    it(`${name}: ${expression}`, () => {
      fc.assert(
        fc.property(text, text, place, (s, t, n) => {
          assert.deepEqual(evaluate(expression, { s, t, n }), want(s, t, n));
        }),
        { numRuns: 300 },
      );
    });
  };

  holds('places are counted in characters', 'body.s.charAt(int(body.n))', (s, _t, n) => {
    const characters = Array.from(s);
    return n < 0 || n > characters.length ? undefined : (characters[n] ?? '');
  });
  holds('a part is cut between characters', 'body.s.substring(int(body.n))', (s, _t, n) => {
    const characters = Array.from(s);
    return n < 0 || n > characters.length ? undefined : characters.slice(n).join('');
  });
  holds(
    'what is found stands there',
    'body.s.indexOf(body.t) < 0 ? !body.s.contains(body.t) : body.s.substring(body.s.indexOf(body.t)).startsWith(body.t)',
    () => true,
  );
  holds('the last one is not before the first', 'body.s.lastIndexOf(body.t) >= body.s.indexOf(body.t)', () => true);
  holds('what was split can be joined', "body.s.split(body.t).join(body.t) == body.s || body.t == ''", () => true);
  holds(
    'the last piece is the rest',
    "int(body.n) == 0 || body.s.split('/', int(body.n)).join('/') == body.s",
    () => true,
  );
  holds(
    'no more pieces than were asked for',
    "int(body.n) < 1 || body.s.split('/', int(body.n)).size() <= int(body.n)",
    () => true,
  );
  holds('all are replaced', 'body.s.replace(body.t, "-")', (s, t) => {
    return t === '' ? ['', ...Array.from(s), ''].join('-') : s.replaceAll(t, '-');
  });
  holds('no more are replaced than were asked for', "body.s.replace('a', '-', int(body.n))", (s, _t, n) => {
    let left = n < 0 ? Number.POSITIVE_INFINITY : n;
    return s.replaceAll('a', (found) => (left-- > 0 ? '-' : found));
  });
  holds('turned round twice it is the same', 'body.s.reverse().reverse() == body.s', () => true);
  holds('no more bytes than were asked for, and whole characters', 'body.s.truncate(int(body.n))', (s, _t, n) => {
    if (n < 0) return undefined;
    let kept = '';
    for (const character of s) {
      if (Buffer.byteLength(kept + character) > n) break;
      kept += character;
    }
    return kept;
  });
  holds('what was encoded can be decoded', 'string(base64.decode(base64.encode(bytes(body.s))))', (s) => s);
  holds('what was marshalled can be parsed', "{'s': body.s, 't': body.t}.marshalJSON().parseJSON().s", (s) => s);
  holds('what is quoted is between quotes', 'strings.quote(body.s)', (s) => `"${s}"`);

  it('format writes numbers as they are', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (number) => {
        const written = String(evaluate("'%s'.format([body.number])", { number }));
        assert.match(written, /^-?\d+(\.\d+)?$/);
        assert(Number(written) === number);
      }),
    );
  });

  it('format rounds as exactly as toFixed, but to even in the middle', () => {
    fc.assert(
      fc.property(fc.double({ min: -1e9, max: 1e9, noNaN: true }), (number) => {
        const isInTheMiddle = Number.isInteger(number * 2 ** 10);
        fc.pre(!isInTheMiddle && !Object.is(number, -0));
        // A negative number that is rounded to nothing keeps its sign in Go, and in JavaScript too.
        assert.equal(evaluate("'%.4f'.format([body.number])", { number }), number.toFixed(4));
      }),
    );
    const cases: readonly [number, string][] = [
      [0.5, '0'],
      [1.5, '2'],
      [2.5, '2'],
      [-2.5, '-2'],
      [1e21, '1000000000000000000000'],
    ];
    for (const [number, want] of cases) assert.equal(evaluate("'%.0f'.format([body.number])", { number }), want);
  });
});
