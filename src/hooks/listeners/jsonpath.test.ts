import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Fault } from '../../fault.ts';
import type { Json } from '../request.ts';
import { parsePath, select } from './jsonpath.ts';

const document: Json = {
  body: {
    a: { b: 'c', 'd.e': 'f', "it's": 'g' },
    list: [1, 2, 3],
    empty: [],
    null: null,
    items: [
      { a: 'b', w: '1', n: 1 },
      { a: 'c', w: '2', n: 2 },
      { a: 'd', w: '3', n: 3, extra: true },
    ],
    mixed: [{ a: 1 }, { b: 2 }, { a: 3 }],
    lists: [[1, 2], null, [3, 4]],
  },
};

describe('JSONPath as kubectl has it', () => {
  const found: readonly [path: string, want: readonly Json[]][] = [
    ['body.a.b', ['c']],
    ['.body.a.b', ['c']],
    ['{body.a.b}', ['c']],
    ['{.body.a.b}', ['c']],
    ['body.a.b ', ['c']],
    ['body .list [0]', [1]],
    ["body['a'].b", ['c']],
    ["body['a.b']", ['c']],
    ['body.a.d\\.e', ['f']],
    ["body.a['d\\.e']", ['f']],
    ["body.a.it's", ['g']],
    ['body.null', [null]],
    ['body.list', [[1, 2, 3]]],
    ['body.list[0]', [1]],
    ['body.list[-1]', [3]],
    ['body.list[-1:]', [3]],
    ['body.list[:2]', [1, 2]],
    ['body.list[1:]', [2, 3]],
    ['body.list[1:2]', [2]],
    ['body.list[-2:-1]', [2]],
    ['body.list[:]', [1, 2, 3]],
    ['body.list[*]', [1, 2, 3]],
    ['body.list[1:1]', []],
    ['body.empty[*]', []],
    ['body.null[0]', []],
    ['body.null[*].x', []],
    ['body.lists[*][0]', [1, 3]],
    ['body.items[*].w', ['1', '2', '3']],
    ['body.mixed[*].a', [1, 3]],
    ["body.items[?(@.a == 'd')].w", ['3']],
    ['body.items[?(@.a == "d")].w', ['3']],
    ["body.items[?(@.a=='d')].w", ['3']],
    ["body.items[?(@.a != 'd')].w", ['1', '2']],
    ["body.items[?(@.a >= 'c')].w", ['2', '3']],
    ["body.items[?(@.a < 'c')].w", ['1']],
    ['body.items[?(@.n > 1)].w', ['2', '3']],
    ['body.items[?(@.n <= 1.0)].w', ['1']],
    ['body.items[?(@.extra)].w', ['3']],
    ["body.items[?(@.a == 'x')].w", []],
    ['body.items[?(@.w == @.w)].n', [1, 2, 3]],
    ["body.items[?(@.a == 'a)]b')].w", []],
  ];
  for (const [path, want] of found) {
    it(`${path} selects ${JSON.stringify(want)}`, () => assert.deepEqual(select(parsePath(path), document), want));
  }

  const wrong: readonly string[] = [
    '',
    '{.hello',
    '[1',
    'body.[0]',
    'body..a',
    'body.*',
    'body.a.',
    'body.list[]',
    'body.list[0,1]',
    'body.list[0:2:2]',
    'body.list["a"]',
    'body.list[x]',
    'body.items[?(@.a =~ /x/)]',
    'body.items[?(a == 1)]',
    'body.items[?(@.a == b)]',
    'body.items[?(@.a == )]',
    'body.items[?(@.a',
    'body a',
    ' body.a',
    'body$',
    '{foo.bar}}',
    '{{foo.bar}',
    `body.${'a'.repeat(1_000)}`,
  ];
  for (const path of wrong) {
    it(`${path.slice(0, 40) || 'nothing'} is no path`, () => assert.throws(() => parsePath(path), Fault));
  }

  const missing: readonly string[] = [
    'body.missing',
    'body.a.b.c',
    'body.a[0]',
    'body.list[3]',
    'body.list[-4]',
    'body.list[1:9]',
    'body.list[2:1]',
    'body.empty[0]',
    'body.items[*].missing',
    'body.a[?(@.x)]',
    'body.null[?(@.x)]',
    "body.items[?(@.missing == 'x')]",
    "body.items[?(@.n == 'x')]",
    '+12.3.0',
    'constructor',
    'body.__proto__',
    'body.toString',
  ];
  for (const path of missing) {
    it(`${path} has no value, which is a mistake`, () => assert.throws(() => select(parsePath(path), document), Fault));
  }

  it('makes no error of what each item of a list misses: thousands of them, with their stacks, take half a second', () => {
    let made = 0;
    class Counted extends Error {
      constructor(...all: ConstructorParameters<typeof Error>) {
        super(...all);
        made += 1;
      }
    }
    const items = { items: Array.from({ length: 1_000 }, () => ({})) };
    Object.setPrototypeOf(Fault, Counted);
    try {
      assert.deepEqual(select(parsePath('items[?(@.missing)]'), items), []);
      assert.throws(() => select(parsePath('missing'), items), Fault);
    } finally {
      Object.setPrototypeOf(Fault, Error);
    }
    assert.equal(made, 1);
  });

  it('says what is missing without anything of the document', () => {
    assert.throws(() => select(parsePath('body.a.secret'), document), {
      message: 'asks for secret, which is not there',
    });
  });

  it('never throws anything but a Fault, whatever it is given', () => {
    const piece = fc.constantFrom(
      '.',
      '[',
      ']',
      '?(',
      ')',
      '@',
      "'",
      '"',
      '\\',
      'a',
      '1',
      '-',
      ':',
      '*',
      '{',
      '}',
      '==',
      ' ',
    );
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 30 }).map((pieces) => `body${pieces.join('')}`),
        (path) => {
          try {
            select(parsePath(path), document);
          } catch (error) {
            assert.ok(error instanceof Fault, String(error));
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
