import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Json, JsonMap } from '../request.ts';
import { createEvaluator, type Evaluated, readable, type SecretValue } from './evaluator.ts';

const evaluator = createEvaluator();

function evaluate(expression: string, body: JsonMap = {}, secrets: readonly SecretValue[] = []): Evaluated {
  const inputs = readable({ body, header: {}, extensions: {}, requestURL: '/' });
  return evaluator.prepare(expression)(inputs, secrets);
}

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('evaluating expressions', () => {
  const some: JsonMap = {
    text: 'x'.repeat(100_000),
    list: Array.from({ length: 2_000 }, (_, at) => at),
    deep: JSON.parse(`${'['.repeat(40)}${']'.repeat(40)}`) as Json, // which is what it returns
  };
  const bounded: readonly { readonly name: string; readonly given: string; readonly want: string }[] = [
    { name: 'a text that is doubled', given: doubled('t + t', 7), want: '_+_: the text becomes too long' },
    {
      name: 'bytes that are doubled',
      given: doubled('t + t', 9, 'bytes(body.text)'),
      want: 'bytes: too many for one event',
    },
    { name: 'a list that is doubled', given: doubled('t + t', 7, 'body.list'), want: '_+_: the list becomes too long' },
    {
      name: 'a text in place of many',
      given: "body.text.replace('x', body.text)",
      want: 'replace: the text becomes too long',
    },
    {
      name: 'nothing replaced',
      given: "body.text.replace('', body.text)",
      want: 'replace: the text becomes too long',
    },
    {
      name: 'texts that are joined',
      given: "body.list.map(n, body.text).join('')",
      want: 'join: the result becomes too long',
    },
    {
      name: 'texts that are formatted',
      given: `'${'%s'.repeat(50)}'.format(body.list.map(n, body.text))`,
      want: 'format: the text becomes too long',
    },
    { name: 'a text that is split', given: "body.text.split('')", want: 'split: the result becomes too long' },
    {
      name: 'a text that is translated',
      given: "body.text.substring(0, 200).translate('x', body.text)",
      want: 'translate: the text becomes too long',
    },
    {
      name: 'a result of many values',
      given: 'body.list.map(n, body.list)',
      want: 'the result has more than 32768 values',
    },
    {
      name: 'a result of few values that are seen often',
      given: doubled('[t, t]', 20, '[1]'),
      want: 'the result has more than 32768 values',
    },
    {
      name: 'bytes that are kept in a list',
      given: 'body.list.map(n, bytes(body.text)).size()',
      want: 'bytes: too many for one event',
    },
    {
      name: 'a result of long texts',
      given: 'body.list.map(n, body.text)',
      want: 'the result is longer than 4194304 characters',
    },
    {
      name: 'a result that is deep',
      given: '[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[body.deep]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]',
      want: 'the result is nested deeper than 64 levels',
    },
    {
      name: 'a pattern that no program can hold',
      given: "'x'.matches('(x{1000}){1000}')",
      want: 'regex: not a regular expression of RE2',
    },
  ];
  for (const { name, given, want } of bounded) {
    it(`bounds ${name}`, () => assert.deepEqual(evaluate(given, some), { ok: false, error: want }));
  }

  it('gathers long lists in macros, and leaves those alone that it was given', () => {
    const body = { list: Array.from({ length: 30_000 }, (_, at) => at) };
    assert.deepEqual(evaluate('body.list.map(n, n).filter(n, n >= 29998.0)', body), {
      ok: true,
      value: [29998, 29999],
    });
    const grown = evaluate('[[1], [2]].map(l, l.map(n, n)).map(l, l + [9]) + [[1], [2]].map(l, l)');
    assert.deepEqual(grown, { ok: true, value: [[1, 9], [2, 9], [1], [2]] });
  });

  it('takes keys for keys, whatever they are called', () => {
    const body = JSON.parse(
      '{"__proto__": {"a": 1}, "constructor": {"name": "x"}, "toString": 2, "map": 3}',
    ) as JsonMap; // which it is
    const cases: readonly [string, unknown][] = [
      ['body.__proto__.a', 1],
      ['body.constructor.name', 'x'],
      ['body.toString', 2],
      ['body.map', 3],
      ['has(body.hasOwnProperty)', false],
      ["'valueOf' in body", false],
      ['size(body)', 4],
    ];
    for (const [expression, want] of cases)
      assert.deepEqual(evaluate(expression, body), { ok: true, value: want }, expression);
    const whole = evaluate('body', body);
    assert('ok' in whole && whole.ok);
    assert.equal(Object.getPrototypeOf(whole.value), null);
    assert.deepEqual(Object.keys(whole.value as JsonMap), ['__proto__', 'constructor', 'map', 'toString']);
  });

  it('says nothing of what was sent when an expression fails', () => {
    const secret = 'hunter-2';
    const body = { secret, time: secret, list: [1] };
    const failing = [
      'int(body.secret)',
      'double(body.secret)',
      'bool(body.secret)',
      'timestamp(body.secret)',
      'duration(body.secret)',
      'body[body.secret]',
      'body.list[body.secret]',
      "body.secret.matches('(' + body.secret)",
      "'a'.translate('(' + body.secret, '')",
      'body.secret.parseJSON()',
      "('{' + body.secret).parseYAML()",
      "('http://x:' + body.secret).parseURL()",
      "('%' + body.secret).format([])",
      'base64.decode(body.secret)',
      '{body.secret: 1, body.time: 2}',
      "timestamp('2026-01-01T00:00:00Z').getHours(body.secret)",
      "'x'.compareSecret(body.secret, 'known')",
    ];
    for (const expression of failing) {
      const result = evaluate(expression, body, [{ name: 'known', key: secret, value: undefined }]);
      assert('ok' in result && !result.ok, expression);
      assert(!result.error.includes(secret), `${expression}: ${result.error}`);
    }
  });

  it('asks for the Secrets that it needs and has not, and for each once', () => {
    const expression =
      "'a'.compareSecret('k', 'one') || 'a'.compareSecret('k', 'one') || 'a'.compareSecret('k', 'two')";
    const [one, two] = [
      { name: 'one', key: 'k' },
      { name: 'two', key: 'k' },
    ];
    assert.deepEqual(evaluate(expression), { needs: [one, two] });
    const both = [
      { ...one, value: Buffer.from('b') },
      { ...two, value: Buffer.from('a') },
    ];
    assert.deepEqual(evaluate(expression, {}, both), { ok: true, value: true });
    assert.deepEqual(evaluate(expression, {}, both.slice(0, 1)), { needs: [two] });
  });

  it('comes to the JSON that it was given', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const body = { value: value as Json }; // fast-check's own name for the same
        // The sign of a zero is not written.
        assert.deepEqual(plain(evaluate('body.value', body)), { ok: true, value: plain(value) });
      }),
    );
  });

  it('never throws, whatever comes together', () => {
    const value = fc.constantFrom(
      'body',
      'body.a',
      'body.l',
      "'😀é'",
      "''",
      '-1',
      '0u',
      '1.5',
      'true',
      'null',
      "b'\\xff'",
      '[]',
      '{}',
      "duration('1s')",
    );
    const call = fc.constantFrom('+', '-', '*', '/', '%', '<', '==', 'in', '&&', '||');
    const method = fc.constantFrom(
      'size()',
      'first()',
      'marshalJSON()',
      'parseURL()',
      'parseYAML()',
      'split("", -9)',
      'truncate(-1)',
      'reverse()',
      'a',
      'canonical("a")',
    );
    const expression = fc.oneof(
      fc.tuple(value, call, value).map((parts) => parts.join(' ')),
      fc.tuple(value, method).map((parts) => parts.join('.')),
      fc.tuple(value, value, value).map(([a, b, c]) => `(${a}) ? ${b} : ${c}`),
      fc.tuple(value, value).map(([a, b]) => `${a}[${b}]`),
      fc.tuple(value, value).map(([a, b]) => `[${a}].map(x, ${b}).format([${a}, ${b}])`),
    );
    fc.assert(
      fc.property(expression, (text) => void evaluate(text, { a: 'b', l: [1, null, { x: 1 }] })),
      { numRuns: 1_000 },
    );
  });
});

/** A macro behind a macro, each of which makes a value twice as large. */
function doubled(step: string, times: number, first = 'body.text'): string {
  return `[${first}]${`.map(t, ${step})`.repeat(times)}`;
}
