/** Selectors: what they select, and how the server complains of what is none. */
import assert from 'node:assert/strict';
import { createApi, resources } from '../../../test/support/api.ts';
import type { KubeObject } from '../object.ts';
import { fieldSelector, labelSelector, selectedName } from './selectors.ts';

const labelled = (labels: { [key: string]: string }): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'a', namespace: 'ci', uid: 'u', resourceVersion: '1', creationTimestamp: '', labels },
});

describe('labelSelector', () => {
  const table = [
    ['', { any: 'thing' }, true],
    ['a=b', { a: 'b' }, true],
    ['a==b', { a: 'b' }, true],
    ['a=b', { a: 'c' }, false],
    ['a=', { a: '' }, true],
    ['a!=b', {}, true],
    ['a!=b', { a: 'b' }, false],
    ['a', { a: '' }, true],
    ['a', {}, false],
    ['!a', {}, true],
    ['! a', { a: 'x' }, false],
    ['a in (b, c)', { a: 'c' }, true],
    ['a in (b,c)', { a: 'd' }, false],
    ['a in (b,c)', {}, false],
    ['a in ()', { a: '' }, true],
    ['a in (,b)', { a: '' }, true],
    ['a in (b,)', { a: '' }, true],
    ['a in (b,,c)', { a: 'c' }, true],
    ['a notin (b)', {}, true],
    ['a notin (b)', { a: 'b' }, false],
    ['a>5', { a: '6' }, true],
    ['a>5', { a: '5' }, false],
    ['a<5', { a: '-3' }, true],
    ['a<5', { a: 'x' }, false],
    ['in in (in),notin', { in: 'in', notin: 'x' }, true],
    ['a=b,c', { a: 'b', c: 'd' }, true],
    ['example.com/a=b', { 'example.com/a': 'b' }, true],
  ] as const;
  for (const [text, labels, want] of table) {
    it(`${JSON.stringify(text)} ${want ? 'selects' : 'leaves out'} ${JSON.stringify(labels)}`, () => {
      assert.equal(labelSelector(text)(labelled(labels)), want);
    });
  }

  const requirement = 'unable to parse requirement: ';
  const wrong = [
    ['a b', `${requirement}found 'b', expected: in, notin, =, ==, !=, gt, lt`],
    ['a in', `${requirement}found '' expected: '('`],
    ['a in (', `${requirement}found '', expected: ',', ')' or identifier`],
    ['a in (b', `${requirement}found '', expected: ',' or ')'`],
    ['a in (b,,)', `${requirement}found ')', expected: ',', or identifier`],
    ['a in (=)', `${requirement}found '=', expected: ',', ')' or identifier`],
    ['a>x', `${requirement}values[0]: Invalid value: "x": for 'Gt', 'Lt' operators, the value must be an integer`],
    [
      'a>9223372036854775808',
      `${requirement}values[0]: Invalid value: "9223372036854775808": for 'Gt', 'Lt' operators, the value must be an integer`,
    ],
    ['!', `${requirement}found '', expected: identifier`],
    ['a,', "found '', expected: identifier after ','"],
    [',a', "found ',', expected: !, identifier, or 'end of string'"],
    ['a=c d', "found 'd', expected: ',' or 'end of string'"],
    ['a=b=c', "found '=', expected: ',' or 'end of string'"],
    ['a===b', `${requirement}found '=', expected: identifier`],
    ['(a)', "found '(', expected: !, identifier, or 'end of string'"],
    ['a!b', `${requirement}found '!', expected: in, notin, =, ==, !=, gt, lt`],
  ] as const;
  for (const [text, message] of wrong) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => labelSelector(text), { code: 400, reason: 'BadRequest', message });
    });
  }

  it('refuses keys and values that no label has', () => {
    assert.throws(() => labelSelector('a/b/c=d'), {
      message: /^unable to parse requirement: <nil>: Invalid value: "a\/b\/c": a qualified name must/,
    });
    assert.throws(() => labelSelector('a=-x'), {
      message: /^unable to parse requirement: values\[0\]\[a\]: Invalid value: "-x": a valid label must/,
    });
  });
});

describe('fieldSelector', () => {
  const { verbs } = createApi();
  const configMap = verbs.target(resources.configMaps, 'ci').kind;
  const pod = verbs.target(resources.pods, 'ci').kind;
  const widget = verbs.target(resources.widgets, 'ci').kind;

  const table = [
    ['', true],
    ['metadata.name=a', true],
    ['metadata.name==a', true],
    ['metadata.name!=a', false],
    ['metadata.name=a,metadata.namespace!=other', true],
    ['metadata.name=b', false],
    ['metadata.name=a\\,b', false],
  ] as const;
  for (const [text, want] of table) {
    it(`${JSON.stringify(text)} ${want ? 'selects' : 'leaves out'} ci/a`, () => {
      assert.equal(fieldSelector(text, configMap)(labelled({})), want);
    });
  }

  const wrong = [
    ['a', configMap, "invalid selector: 'a'; can't understand 'a'"],
    ['a=b,c', configMap, "invalid selector: 'a=b,c'; can't understand 'c'"],
    ['metadata.name=a=b', configMap, 'invalid field selector: unescaped character in value: 61'],
    ['foo=1', configMap, '"foo" is not a known field selector: only "metadata.name", "metadata.namespace"'],
    ['foo=1', pod, 'field label not supported: foo'],
    ['spec.x=1', widget, 'field label not supported: spec.x'],
  ] as const;
  for (const [text, kind, message] of wrong) {
    it(`refuses ${JSON.stringify(text)} for ${kind.plural}`, () => {
      assert.throws(() => fieldSelector(text, kind), { code: 400, message });
    });
  }

  it('selects by the fields of the kind', () => {
    const pending: KubeObject = { ...labelled({}), kind: 'Pod', spec: {}, status: { phase: 'Pending' } };
    assert.equal(fieldSelector('status.phase=Pending', pod)(pending), true);
    assert.equal(fieldSelector('status.phase=Running', pod)(pending), false);
  });
});

describe('selectedName', () => {
  for (const [text, want] of [
    ['metadata.name=a', 'a'],
    ['metadata.name==a', 'a'],
    ['metadata.name!=a', ''],
    ['metadata.name=a,status.phase=Running', ''],
    ['', ''],
  ] as const) {
    it(`of ${JSON.stringify(text)} is ${JSON.stringify(want)}`, () => assert.equal(selectedName(text), want));
  }
});
