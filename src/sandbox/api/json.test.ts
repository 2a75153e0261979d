/** JSON as Go's decoder sees it. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { duplicateFields, goQuoted, JsonProblem, parseJson, requireShallow } from './json.ts';

describe('parseJson', () => {
  const wrong = [
    ['{"a" 1}', "invalid character '1' after object key"],
    ['{"a":}', "invalid character '}' looking for beginning of value"],
    ['{"a":1 "b"}', `invalid character '"' after object key:value pair`],
    ['[1 2]', "invalid character '2' after array element"],
    ['{a:1}', "invalid character 'a' looking for beginning of object key string"],
    ['{"a":tru}', "invalid character '}' in literal true (expecting 'e')"],
    ['{"a":01}', "invalid character '1' after object key:value pair"],
    ['{"a":1.}', "invalid character '}' after decimal point in numeric literal"],
    ['{"a":1e}', "invalid character '}' in exponent of numeric literal"],
    ['{"a":-}', "invalid character '}' in numeric literal"],
    ['{"a":"\\x"}', "invalid character 'x' in string escape code"],
    ['{"a":"\\u12x"}', "invalid character 'x' in \\u hexadecimal character escape"],
    ['{"a":"\n"}', "invalid character '\\n' in string literal"],
    ['{} x', "invalid character 'x' after top-level value"],
    ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
    ["'", "invalid character '\\'' looking for beginning of value"],
    ['   ', 'unexpected end of JSON input'],
    ['{"a":"b', 'unexpected end of JSON input'],
    ['[1,', 'unexpected end of JSON input'],
  ] as const;
  for (const [text, want] of wrong) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseJson(text), new JsonProblem(want));
    });
  }

  it('agrees with JSON.parse about what is JSON', () => {
    const almost = fc.json().chain((text) =>
      fc.oneof(
        fc.constant(text),
        fc.nat(text.length).map((at) => text.slice(0, at)),
        fc.tuple(fc.nat(text.length), fc.string({ maxLength: 2 })).map(([at, more]) => {
          return text.slice(0, at) + more + text.slice(at);
        }),
      ),
    );
    fc.assert(
      fc.property(almost, (text) => {
        let want: unknown;
        try {
          want = JSON.parse(text);
        } catch {
          assert.throws(() => parseJson(text), JsonProblem);
          return;
        }
        assert.deepEqual(parseJson(text), want);
      }),
    );
  });
});

describe('duplicateFields', () => {
  const table = [
    ['{"a":1,"b":2}', []],
    ['{"a":1,"a":2}', ['a']],
    ['{"a":1,"a":2,"a":3}', ['a']],
    ['{"a":{"b":1,"b":2},"c":[{"d":1},{"d":1,"d":2}]}', ['a.b', 'c[1].d']],
    ['{"a":[1,[2,3]],"a":{}}', ['a']],
    ['{"a\\u0062":1,"ab":2}', ['ab']],
    ['{"a":"\\"a\\":1,{","b\\\\":[]}', []],
    ['["a","a"]', []],
  ] as const;
  for (const [text, want] of table) {
    it(`finds ${JSON.stringify(want)} in ${text}`, () => assert.deepEqual(duplicateFields(text), want));
  }

  it('finds none in what JSON.stringify writes', () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => assert.deepEqual(duplicateFields(JSON.stringify(value)), [])));
  });
});

it('nesting has an end', () => {
  const nested = (depth: number) => `${'[{"[":'.repeat(depth / 2)}"{"${'}]'.repeat(depth / 2)}`;
  for (const read of [duplicateFields, requireShallow]) {
    read(nested(1_000));
    assert.throws(() => read(nested(1_002)), new JsonProblem('exceeded max depth'));
  }
});

describe('goQuoted', () => {
  const table = [
    ['plain', '"plain"'],
    ['a"b\\c', '"a\\"b\\\\c"'],
    ['a\nb\tc\0', '"a\\nb\\tc\\x00"'],
    ['\u009e\u{e0001}', '"\\u009e\\U000e0001"'],
    ['żółw', '"żółw"'],
  ] as const;
  for (const [text, want] of table) it(`writes ${want}`, () => assert.equal(goQuoted(text), want));
});
