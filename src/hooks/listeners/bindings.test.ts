import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Fault } from '../../fault.ts';
import { hookHeaders } from '../headers.ts';
import type { Json, JsonMap } from '../request.ts';
import { type Binding, type BindingInputs, type DeclaredParam, draw, paramsOf, readBinding } from './bindings.ts';

const inputs: BindingInputs = {
  body: {
    text: 'v\r\n"\u70c8" <b>',
    object: { z: 1, a: { y: null, b: [true, 'x"'] } },
    list: ['a', 'b', 'c'],
    number: 42,
    half: 0.5,
    large: 1e21,
    yes: true,
    null: null,
    empty: '',
    child: [
      { a: 'b', w: '1' },
      { a: 'd', w: '3' },
    ],
  },
  headers: hookHeaders(['header-one', 'val1', 'Header-One', 'val2', 'x', 'y']),
  extensions: { foo: { bar: ['a', 'b'] } },
};
const eventId = '7faccb4d-ee03-8135-896d-67ce5a04dd93';

function bind(
  bindings: readonly Binding[],
  declared: readonly DeclaredParam[],
  given: BindingInputs,
): ReadonlyMap<string, string> {
  return paramsOf(draw(bindings, declared, given), eventId);
}

function textOf(value: string, declared: readonly DeclaredParam[] = []): string | undefined {
  return bind([readBinding({ name: 'p', value })], declared, inputs).get('p');
}

describe('bindings', () => {
  const cases: readonly [value: string, want: string][] = [
    ['text', 'text'],
    ['', ''],
    ['$(body.text)', 'v\r\n"\u70c8" <b>'],
    ['$(body.empty)', ''],
    ['$(body.number)', '42'],
    ['$(body.half)', '0.5'],
    ['$(body.large)', '1e+21'],
    ['$(body.yes)', 'true'],
    ['$(body.null)', 'null'],
    ['$(body.object)', '{"a":{"b":[true,"x\\""],"y":null},"z":1}'],
    ['$(body.list)', '["a","b","c"]'],
    ['$(body.list[:2])', '["a","b"]'],
    ['$(body.list[1])', 'b'],
    ['$(body.null[*])', '[]'],
    ["$(body.child[?(@.a == 'd')].w) : $(body.child[0].a)", '3 : b'],
    ['$(header.Header-One)', 'val1,val2'],
    ['$(header.header-one)', 'val1,val2'],
    ['$({.header.HEADER-ONE})', 'val1,val2'],
    ['$(header)', '{"Header-One":"val1,val2","X":"y"}'],
    ['$(extensions.foo.bar[1])', 'b'],
    ['$(context.eventID)', '7faccb4d-ee03-8135-896d-67ce5a04dd93'],
    ['$(context)', '{"eventID":"7faccb4d-ee03-8135-896d-67ce5a04dd93"}'],
    ['$(body.number)/$({.context.eventID})', '42/7faccb4d-ee03-8135-896d-67ce5a04dd93'],
    ['$({.body.number})', '42'],
    ['a $(body.number)-$(body.number) b', 'a 42-42 b'],
    ['($(body.number))', '(42)'],
    ['$(body.number))', '42)'],
    // Of nested ones the innermost is an expression, and what is around it is text.
    ['$($(body.number))', '$(42)'],
    ['$($($(body.number)))', '$($(42))'],
    ['$(body.number)-$(not-this', '42-$(not-this'],
    ['$body.number)', '$body.number)'],
    ['asd)$(asd', 'asd)$(asd'],
  ];
  for (const [value, want] of cases) {
    it(`${value || 'nothing'} is ${JSON.stringify(want)}`, () => assert.equal(textOf(value), want));
  }

  it('event 31: the default takes the place of an expression without a value', () => {
    const declared = [{ name: 'p', default: 'none' }];
    assert.equal(textOf('$(body.missing)', declared), 'none');
    assert.equal(textOf('v-$(body.missing)-$(body.number)', declared), 'v-none-42');
    assert.equal(textOf('$(body.number)', declared), '42');
  });

  it('event 31: without a default there are no parameters, and the expression is named', () => {
    assert.throws(() => textOf('$(body.missing)'), {
      message: 'parameter p: $(body.missing) asks for missing, which is not there',
    });
  });

  it('event 31: what the context has not is missing before anything else is known', () => {
    const binding = readBinding({ name: 'p', value: '$(context.eventId)' });
    assert.throws(() => draw([binding], [], inputs), /parameter p: \$\(context\.eventId\) asks for eventId/);
  });

  it('gives the defaults of those that no binding gives, and all that bindings give', () => {
    const declared = [
      { name: 'one', default: '1' },
      { name: 'two', default: undefined },
    ];
    const bindings = [readBinding({ name: 'three', value: '3' })];
    assert.deepEqual(
      [...bind(bindings, declared, inputs)],
      [
        ['one', '1'],
        ['three', '3'],
      ],
    );
  });

  it('says where an expression is wrong when it is read', () => {
    assert.throws(() => readBinding({ name: 'p', value: 'a $(body..b)' }), {
      message: '$(body..b) has `..`, which is not supported',
    });
  });

  it('event 32: what a value holds is not an expression, whatever stands beside it', () => {
    const body = { one: '$(body.two)', two: 'secret' };
    const params = bind([readBinding({ name: 'p', value: '$(body.one) $(body.two)' })], [], { ...inputs, body });
    assert.equal(params.get('p'), '$(body.two) secret');
  });

  it('ends where the values of an event become larger than an object may be', () => {
    const body = { text: 'x'.repeat(600_000) };
    const twice = readBinding({ name: 'p', value: '$(body.text)$(body.text)' });
    assert.throws(() => bind([twice], [], { ...inputs, body }), /larger than 1 MiB/);
  });

  it('ends where the paths of a trigger look at too many items, whatever default there is', () => {
    const body: JsonMap = { list: Array.from({ length: 15_000 }, () => ({})) };
    const paths = (count: number) => readBinding({ name: 'p', value: '$(body.list[?(@.a)])'.repeat(count) });
    const declared = [{ name: 'p', default: 'd' }];
    assert.equal(bind([paths(3)], declared, { ...inputs, body }).get('p'), '[][][]');
    assert.throws(
      () => bind([paths(4)], declared, { ...inputs, body }),
      /^Fault: parameter p: its paths look at too many/,
    );
  });

  it('writes an object once, however many parameters ask for it', () => {
    let reads = 0;
    const large = {
      get a() {
        reads += 1;
        return 1;
      },
    };
    const body = { large } as JsonMap;
    for (let trigger = 0; trigger < 3; trigger++) {
      const both = readBinding({ name: 'p', value: '$(body.large)$(body.large)' });
      assert.equal(bind([both], [], { ...inputs, body }).get('p'), '{"a":1}{"a":1}');
    }
    assert.equal(reads, 1);
  });

  it('writes JSON that reads as what it was', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        const body = { value } as JsonMap;
        const text = bind([readBinding({ name: 'p', value: '$(body.value)' })], [], { ...inputs, body }).get('p') ?? '';
        if (typeof value === 'string') assert.equal(text, value);
        else assert.deepEqual(JSON.parse(text) as Json, JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('reads any value or says what is wrong with it', () => {
    const piece = fc.constantFrom('$(', ')', '(', 'body', '.a', '[0]', '{', '}', 'x', '$');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
        try {
          bind([readBinding({ name: 'p', value: pieces.join('') })], [{ name: 'p', default: 'd' }], inputs);
        } catch (error) {
          assert.ok(error instanceof Fault, String(error));
        }
      }),
    );
  });
});
