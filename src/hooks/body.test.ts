import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseBody } from './body.ts';
import type { Json } from './request.ts';

function parse(text: string | Buffer) {
  return parseBody(Buffer.from(text as string)); // Buffer.from takes either
}

function nested(levels: number): string {
  return `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;
}

/** `count` brackets and commas, the body's own brackets among them. */
function counting(count: number, piece: string): string {
  return `{"a":[${Array(count - 1)
    .fill(piece)
    .join(',')}]}`;
}

describe('bodies', () => {
  const refused: readonly { readonly name: string; readonly given: string | Buffer; readonly want: string }[] = [
    { name: 'nothing', given: '', want: 'the body is not valid JSON' },
    { name: 'half of an object', given: '{"a":', want: 'the body is not valid JSON' },
    { name: 'commas behind the last', given: '{"a":1,}', want: 'the body is not valid JSON' },
    { name: 'two objects', given: '{}{}', want: 'the body is not valid JSON' },
    { name: 'comments', given: '{/**/}', want: 'the body is not valid JSON' },
    { name: 'single quotes', given: "{'a':1}", want: 'the body is not valid JSON' },
    { name: 'NaN', given: '{"a":NaN}', want: 'the body is not valid JSON' },
    { name: 'a line break in a text', given: '{"a":"\n"}', want: 'the body is not valid JSON' },
    { name: 'a text that does not end', given: '{"a":"\\', want: 'the body is not valid JSON' },
    { name: 'a byte order mark', given: '\ufeff{}', want: 'the body is not valid JSON' },
    { name: 'a form', given: 'payload=%7B%7D', want: 'the body is not valid JSON' },
    { name: 'Latin-1', given: Buffer.from('{"a":"ü"}', 'latin1'), want: 'the body is not valid UTF-8' },
    {
      name: 'half of a letter',
      given: Buffer.from([0x7b, 0x22, 0xe2, 0x82, 0x22, 0x7d]),
      want: 'the body is not valid UTF-8',
    },
    {
      name: 'a letter in more bytes than it needs',
      given: Buffer.from([0xc0, 0xaf]),
      want: 'the body is not valid UTF-8',
    },
    { name: 'UTF-16', given: Buffer.from('{"a":"\u20ac"}', 'utf16le'), want: 'the body is not valid UTF-8' },
    { name: 'a list', given: '[]', want: 'the body must be a JSON object' },
    { name: 'null', given: 'null', want: 'the body must be a JSON object' },
    { name: 'a text', given: '"{}"', want: 'the body must be a JSON object' },
    { name: 'a number', given: '1', want: 'the body must be a JSON object' },
    { name: '33 levels', given: nested(33), want: 'the body is nested deeper than 32 levels' },
    { name: 'lists without end', given: '['.repeat(1_000), want: 'the body is nested deeper than 32 levels' },
    { name: 'too many values', given: counting(32_769, '1'), want: 'the body has too many values' },
    { name: 'too many objects', given: counting(16_386, '{}'), want: 'the body has too many values' },
    { name: '__proto__', given: '{"a":[{"__proto__":{"b":1}}]}', want: 'the body has a key __proto__' },
    { name: 'an escaped __proto__', given: '{"\\u005f_proto__":1}', want: 'the body has a key __proto__' },
    { name: 'constructor', given: '{"a":{"constructor":1}}', want: 'the body has a key constructor' },
    { name: 'prototype', given: '{"prototype":null}', want: 'the body has a key prototype' },
    { name: 'a number beyond doubles', given: '{"a":[1e400]}', want: 'the body has a number that is too large' },
  ];
  for (const { name, given, want } of refused) {
    it(`event 9: ${name} is refused: ${want}`, () => {
      assert.deepEqual(parse(given), { ok: false, message: want });
    });
  }

  const taken: readonly { readonly name: string; readonly given: string; readonly want: unknown }[] = [
    { name: 'an empty object', given: ' {\n}\t', want: {} },
    { name: '32 levels', given: nested(32), want: JSON.parse(nested(32)) },
    { name: 'many values', given: counting(32_768, '1'), want: { a: Array(32_767).fill(1) } },
    { name: 'a key twice, with its last value', given: '{"a":1,"b":2,"a":3}', want: { a: 3, b: 2 } },
    {
      name: 'brackets and commas in texts',
      given: JSON.stringify({ a: '[{,'.repeat(20_000) }),
      want: { a: '[{,'.repeat(20_000) },
    },
    {
      name: 'quotes and backslashes in texts',
      given: JSON.stringify({ '"\\': ['\\"[', '\\\\'] }),
      want: { '"\\': ['\\"[', '\\\\'] },
    },
    {
      name: 'keys like those that are refused',
      given: '{"Constructor":1,"proto":2,"toString":3}',
      want: { Constructor: 1, proto: 2, toString: 3 },
    },
    { name: 'a number as close as doubles come', given: '{"a":9007199254740993}', want: { a: 9007199254740992 } },
    { name: 'what Go escapes', given: '{"a":"\\u003cb\\u003e \\u0026"}', want: { a: '<b> &' } },
  ];
  for (const { name, given, want } of taken) {
    it(`${name}: taken`, () => {
      const parsed = parse(given);
      assert.equal(parsed.ok, true);
      assert.deepEqual(parsed.ok && JSON.parse(JSON.stringify(parsed.body)), want);
    });
  }

  it('have objects without a prototype, at any depth', () => {
    const parsed = parse('{"a":[{"b":{}}]}');
    assert.equal(parsed.ok, true);
    const objects: object[] = [];
    const visit = (value: Json): void => {
      if (typeof value !== 'object' || value === null) return;
      if (!Array.isArray(value)) objects.push(value);
      for (const each of Object.values(value)) visit(each);
    };
    if (parsed.ok) visit(parsed.body);
    assert.equal(objects.length, 3);
    assert.deepEqual(
      objects.map((each) => Object.getPrototypeOf(each)),
      [null, null, null],
    );
  });

  it('that are JSON come out as they went in', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ unit: 'binary', maxLength: 10 }), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 5 }),
        (value) => {
          const text = JSON.stringify(value);
          fc.pre(!/"(?:__proto__|constructor|prototype)":/.test(text));
          const parsed = parse(text);
          assert.equal(parsed.ok && JSON.stringify(parsed.body), JSON.stringify(JSON.parse(text)));
        },
      ),
    );
  });
});
