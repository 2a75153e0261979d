/** CEL rules on objects: where a failure is reported, what it says, and what an update is asked. */
import assert from 'node:assert/strict';
import type { Json, KubeObject } from '../object.ts';
import { integer, list, listByKey, map, object, type SchemaNode, text, type ValidationRule } from './node.ts';
import { compileRules } from './rules.ts';

const rules = (...list: (string | ValidationRule)[]) => ({
  'x-kubernetes-validations': list.map((rule) => (typeof rule === 'string' ? { rule } : rule)),
});

const specNode: SchemaNode = object({
  short: text(rules("self.startsWith('s')")),
  told: text(
    rules(
      { rule: "self == 'x'", messageExpression: "'got ' + self + ' not x'" },
      { rule: "self == 'x'", messageExpression: "'a'.substring(9)", message: 'instead' },
      { rule: "self == 'x'", messageExpression: "''", message: 'instead of nothing' },
    ),
  ),
  items: listByKey(
    object(
      { name: text(), size: integer() },
      rules(
        { rule: '!has(self.size) || self.size < 10', message: 'must be small' },
        { rule: '!has(oldSelf.size) || self.size >= oldSelf.size', message: 'must not shrink' },
      ),
    ),
    ['name'],
  ),
  words: map(text(rules({ rule: "self != 'bad'", message: 'not that word' }))),
  fixed: text(rules({ rule: 'self == oldSelf', message: 'is fixed' })),
  growing: text(
    rules({
      rule: '!oldSelf.hasValue() || self.size() >= oldSelf.value().size()',
      optionalOldSelf: true,
      message: 'must grow',
    }),
  ),
  reasons: object(
    { one: text(), other: text() },
    rules(
      { rule: 'has(self.one)', reason: 'FieldValueRequired', fieldPath: '.one', message: 'one is needed' },
      { rule: 'has(self.one)', reason: 'FieldValueForbidden', message: 'not so' },
      { rule: 'has(self.one)', reason: 'FieldValueDuplicate', message: 'twice' },
      { rule: 'has(self.one)', reason: 'FieldValueInvalid', fieldPath: '.other', message: 'wrong' },
    ),
  ),
  missing: object({ one: text() }, rules("self.one == 'x' && true", "false || self.one == 'x'", 'self.one.size() > 1')),
  numbers: list(integer(), rules('self.all(a, self.all(b, self.all(c, self.all(d, a + b + c + d >= 0))))')),
});

const node = object({ spec: specNode }, rules("self.metadata.name != 'nobody'"));

const objectOf = (spec: Json, name = 'x') => ({ metadata: { name }, spec }) as unknown as KubeObject;

function said(spec: Json, old?: Json, name?: string): string[] {
  const run = compileRules(node);
  assert.ok(run);
  const causes = run(objectOf(spec, name), old === undefined ? undefined : objectOf(old, name));
  return causes.map(
    ({ reason, field, message }) => `${field}: ${message}${reason === 'FieldValueInvalid' ? '' : ` (${reason})`}`,
  );
}

describe('rules', () => {
  const cases: readonly (readonly [name: string, spec: Json, want: readonly string[], old?: Json])[] = [
    [
      'one without a message shows itself',
      { short: 'x' },
      [`spec.short: Invalid value: "string": failed rule: self.startsWith('s')`],
    ],
    [
      'make their own messages, and fall back',
      { told: 'y' },
      [
        'spec.told: Invalid value: "string": got y not x',
        'spec.told: Invalid value: "string": instead',
        'spec.told: Invalid value: "string": instead of nothing',
      ],
    ],
    [
      'are run for each item',
      { items: [{ name: 'a', size: 20 }] },
      ['spec.items[0]: Invalid value: "object": must be small'],
    ],
    [
      'are run for each value of a map',
      { words: { a: 'b', 'k.1': 'bad' } },
      ['spec.words[k.1]: Invalid value: "string": not that word'],
    ],
    [
      'give reasons and point at fields',
      { reasons: {} },
      [
        'spec.reasons.one: Required value: one is needed (FieldValueRequired)',
        'spec.reasons: Forbidden: not so (FieldValueForbidden)',
        'spec.reasons: Duplicate value: "object" (FieldValueDuplicate)',
        'spec.reasons.other: Invalid value: "object": wrong',
      ],
    ],
    [
      'fail where a field is missing',
      { missing: {} },
      [
        `spec.missing: Invalid value: "object": no such key: one evaluating rule: self.one == 'x' && true`,
        `spec.missing: Invalid value: "object": no such key: one evaluating rule: false || self.one == 'x'`,
        'spec.missing: Invalid value: "object": no such key: one evaluating rule: self.one.size() > 1',
      ],
    ],
    ['that compare are not asked on a create', { fixed: 'a', growing: 'abc', items: [{ name: 'a', size: 5 }] }, []],
    ['compare with what was', { fixed: 'b' }, ['spec.fixed: Invalid value: "string": is fixed'], { fixed: 'a' }],
    ['do not compare with nothing', { fixed: 'b' }, [], {}],
    [
      'may ask whether there was something',
      { growing: 'a' },
      ['spec.growing: Invalid value: "string": must grow'],
      { growing: 'ab' },
    ],
    [
      'compare items by their key, wherever they stand',
      {
        items: [
          { name: 'new', size: 1 },
          { name: 'a', size: 4 },
        ],
      },
      ['spec.items[1]: Invalid value: "object": must not shrink'],
      { items: [{ name: 'a', size: 5 }] },
    ],
    ['say nothing of what has not changed', { short: 'x', growing: 'abc' }, [], { short: 'x', growing: 'ab' }],
  ];
  for (const [name, spec, want, old] of cases) {
    it(name, () => {
      assert.deepEqual(said(spec, old), want);
    });
  }

  it('see the name of the object', () => {
    assert.deepEqual(said({}, undefined, 'nobody'), [
      `<nil>: Invalid value: "object": failed rule: self.metadata.name != 'nobody'`,
    ]);
  });

  it('cannot go on for ever', () => {
    const [one] = said({ numbers: Array.from({ length: 100 }, (_, at) => at) });
    assert.match(
      one ?? '',
      /^spec\.numbers: .*'operation cancelled: actual cost limit exceeded': no further validation/,
    );
  });

  it('are none in a schema without any', () => {
    assert.equal(compileRules(object({ spec: text() })), undefined);
  });
});
