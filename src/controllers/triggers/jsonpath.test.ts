import assert from 'node:assert/strict';
import fc from 'fast-check';
import { query } from 'json-p3';
import { Fault } from '../../fault.ts';
import { Budget, jsonOf, parseDocument, select } from './jsonpath.ts';

const DOCUMENT = `{
  "title": "He said \\"x\\" & y", "id": 9007199254740993, "ratio": 1.0, "huge": 1e400, "draft": false, "none": null,
  "head": {"ref": "feature/x", "my-key": "dashed", "ü": 1},
  "labels": [{"name": "bug", "size": 2}, {"name": "ui", "size": 10}, {"name": "docs"}],
  "__proto__": {"polluted": true}
}`;

function found(path: string, text = DOCUMENT): string[] {
  const budget = new Budget();
  return select(path, parseDocument(text), budget).map((value) => jsonOf(value, budget));
}

function refusal(path: string, text = DOCUMENT): string {
  try {
    found(path, text);
  } catch (error) {
    assert.ok(error instanceof Fault && error.code === 'bad-request', String(error));
    return error.message;
  }
  return assert.fail(`${path} was accepted`);
}

describe('JSONPath', () => {
  const table: [path: string, ...want: string[]][] = [
    ['$.head.ref', '"feature/x"'],
    ["$['head']['my-key']", '"dashed"'],
    ['$.head["ü"]', '1'],
    ['$.head.ü', '1'],
    ['$.id', '9007199254740993'],
    ['$.ratio', '1.0'],
    ['$.huge', '1e400'],
    ['$.none', 'null'],
    ['$.nope'],
    ['$.title.nope'],
    ['$.labels[0].name', '"bug"'],
    ['$.labels[-1].name', '"docs"'],
    ['$.labels[7]'],
    ['$.labels[*].size', '2', '10'],
    ['$.labels[0,2].name', '"bug"', '"docs"'],
    ['$.labels[1:].name', '"ui"', '"docs"'],
    ['$.labels[::-1].name', '"docs"', '"ui"', '"bug"'],
    ['$.labels[::0]'],
    ['$..name', '"bug"', '"ui"', '"docs"'],
    ['$.labels[?@.size > 5].name', '"ui"'],
    ['$.labels[?(@.name == "bug" || @.size >= 10)].name', '"bug"', '"ui"'],
    ['$.labels[?!@.size].name', '"docs"'],
    ['$.labels[?length(@.name) == 4].name', '"docs"'],
    ['$.labels[?count(@.*) != 2].name', '"docs"'],
    ['$.labels[?value(@..size) < 3].name', '"bug"'],
    ['$.labels[?@.size == $.labels[1].size].name', '"ui"'],
    ['$[?@ == 9007199254740993]', '9007199254740993'],
    ["$['__proto__'].polluted", 'true'],
    ['$.constructor'],
    ['$.labels.length'],
  ];
  for (const [path, ...want] of table)
    it(`${path} is ${want.join(', ') || 'nothing'}`, () => assert.deepEqual(found(path), want));

  const refusals: [path: string, says: RegExp][] = [
    ['$.[[', /unexpected shorthand selector '\['/],
    ['$[', /unclosed/],
    ['$.labels[?@.name', /unbalanced brackets/],
    ['$.labels[?match(@.name, "b.*")]', /^the function match\(\) is not supported$/],
    ['$.labels[?search(@.name, "(a+)+$")]', /^the function search\(\) is not supported$/],
    ['$.labels[?avg(@.name) > 1]', /^the function avg\(\) is not supported$/],
    [`$${'.a'.repeat(600)}`, /longer than 1000 characters/],
    ['$.a.~b', /unexpected/],
  ];
  for (const [path, says] of refusals) it(`refuses ${path.slice(0, 40)}`, () => assert.match(refusal(path), says));

  it('answers to filters within filters, as deep as they can be written', () => {
    assert.deepEqual(found(`$[?${'@[?'.repeat(240)}@${']'.repeat(241)}`), []);
    assert.deepEqual(found(`$[?${'('.repeat(480)}@.ref${')'.repeat(480)}].ref`), ['"feature/x"']);
  });

  it('gives up where there are too many expressions to read', () => {
    const budget = new Budget();
    const path = `$['a'${",'b'".repeat(200)}]`;
    assert.throws(() => {
      for (let each = 0; each < 200; each++) select(path, parseDocument('{}'), budget);
    }, /it takes more than 100000 steps/);
  });

  it('gives up on what makes too much text', () => {
    const text = JSON.stringify(Array.from({ length: 90 }).reduce((inner) => [inner, 'x'.repeat(400)], 1));
    assert.match(refusal('$..[0]', text), /^it makes more than 524288 characters$/);
  });

  it('refuses documents that are none', () => {
    assert.match(refusal('$', ''), /is no JSON/);
    assert.match(refusal('$', '{"a":'), /is no JSON/);
    assert.match(refusal('$', `${'['.repeat(200)}${']'.repeat(200)}`), /deeper than 100 levels/);
    assert.match(refusal('$', '['.repeat(200_000)), /is no JSON/);
    assert.match(refusal('$', `${'['.repeat(200_000)}${']'.repeat(200_000)}`), /is no JSON|deeper/);
  });

  const wide = JSON.stringify(Array.from({ length: 5_000 }, (_, place) => ({ place, list: [1, 2, 3] })));
  const deep = `${'[1,'.repeat(90)}1${']'.repeat(90)}`;
  for (const [path, text] of [
    ['$..*..*..*..*', deep],
    ['$..[?@..[?@..*]]', deep],
    [`$${'[*,*,*,*]'.repeat(12)}`, '[[[[[[[[[[[[1]]]]]]]]]]]]'],
    [
      `$[${"'a',".repeat(20)}'a'][${"'a',".repeat(20)}'a'][${"'a',".repeat(20)}'a'][${"'a',".repeat(20)}'a']`,
      '{"a":{"a":{"a":{"a":1}}}}',
    ],
    ['$[?$..[?@.place > 1]]', wide],
    ['$..[?$ == $]', wide],
    ['$..[?length($) > 1]', wide],
  ] as const) {
    it(`gives up on ${path.slice(0, 40)} in bounded time`, () => {
      assert.match(refusal(path, text), /^it takes more than 100000 steps$/);
    });
  }

  // What json-p3 itself selects, as long as neither bounds nor functions are met.
  it('selects what the standard says, in its order', () => {
    const key = fc.constantFrom('a', 'b', 'c');
    const { value } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        fc.constantFrom<unknown>(null, true, false, 0, 1, 2, 'a', 'b', ''),
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(key, tie('value'), { maxKeys: 3 }),
      ),
    }));
    const place = fc.oneof(fc.constant(''), fc.integer({ min: -4, max: 4 }).map(String));
    const selector = fc.oneof(
      key.map((name) => `'${name}'`),
      fc.constant('*'),
      fc.integer({ min: -3, max: 3 }).map(String),
      fc.tuple(place, place, place).map(([start, stop, step]) => `${start}:${stop}${step === '' ? '' : `:${step}`}`),
      fc
        .tuple(
          key,
          fc.constantFrom('==', '!=', '<', '<=', '>', '>='),
          fc.constantFrom('1', "'a'", 'null', 'true', '$.a', '@.b'),
        )
        .map(([name, operator, other]) => `?@.${name} ${operator} ${other}`),
      key.map((name) => `?!@.${name} || @..${name}`),
      key.map((name) => `?@.${name} && count(@.*) > 1`),
      fc.constant('?length(@) >= 1'),
    );
    const segment = fc
      .tuple(fc.constantFrom('', '', '..'), fc.array(selector, { minLength: 1, maxLength: 3 }))
      .map(([dots, selectors]) => `${dots}[${selectors.join(',')}]`);
    fc.assert(
      fc.property(value, fc.array(segment, { maxLength: 3 }), (document, segments) => {
        const path = `$${segments.join('')}`;
        const ours = select(path, document as never, new Budget());
        assert.deepEqual(ours, query(path, document as never).values(), path);
      }),
      { numRuns: 500 },
    );
  });

  it('nothing that can be written for a path throws anything but a Fault', () => {
    const piece = fc.constantFrom(
      '$',
      '.',
      '..',
      '[',
      ']',
      '*',
      '?',
      '@',
      "'a'",
      '"',
      "'",
      '(',
      ')',
      '0',
      ':',
      ',',
      'a',
      '==',
      '&&',
      '!',
      ' ',
      '\\u',
      'length(',
      'match(',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(piece).map((pieces) => pieces.join('')),
          fc.string({ unit: 'binary' }),
        ),
        (rest) => {
          try {
            select(`$${rest}`, parseDocument(DOCUMENT), new Budget());
          } catch (error) {
            assert.ok(error instanceof Fault && error.code === 'bad-request', String(error));
          }
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('any document comes out as it went in', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        assert.deepEqual(JSON.parse(jsonOf(parseDocument(text), new Budget())), JSON.parse(text));
      }),
    );
  });
});
