import assert from 'node:assert/strict';
import type { Replacements } from './substitute.ts';
import { allOf, mapTexts, replaceText, replaceValue, replaceWhen, texts, variablesIn } from './substitute.ts';

const known: Replacements = {
  strings: new Map([
    ['params.name', 'moon'],
    ['params["name"]', 'moon'],
    ["params['name']", 'moon'],
    ['params.list[0]', 'a'],
    ['params.object.key', 'value'],
    ['params.trick', '$(params.name)'],
  ]),
  arrays: new Map([['params.list', ['a', 'b']]]),
  objects: new Map([['params.object', { key: 'value' }]]),
};

describe('replaceText', () => {
  const cases = [
    { name: 'nothing to replace', given: 'plain $HOME', want: 'plain $HOME' },
    {
      name: 'every way of writing a name',
      given: `$(params.name) $(params["name"]) $(params['name'])`,
      want: 'moon moon moon',
    },
    { name: 'an element and a key', given: '$(params.list[0])-$(params.object.key)', want: 'a-value' },
    { name: 'an unknown variable stays', given: '$(params.other) $(params.name)', want: '$(params.other) moon' },
    { name: 'within the shell’s own', given: '$(cat $(params.name))', want: '$(cat moon)' },
    { name: 'what was put in is not looked at again', given: '$(params.trick)', want: '$(params.name)' },
    { name: 'a parenthesis that never closes', given: 'a $(params.name', want: 'a $(params.name' },
    { name: 'one beside the other', given: '$(params.name)$(params.name)', want: 'moonmoon' },
  ];
  for (const { name, given, want } of cases) {
    it(name, () => assert.equal(replaceText(given, known), want));
  }
});

describe('replaceValue', () => {
  const cases = [
    { name: 'a text', given: 'to the $(params.name)', want: 'to the moon' },
    { name: 'a text that is a whole list', given: '$(params.list[*])', want: ['a', 'b'] },
    { name: 'a text that is a whole object', given: '$(params.object[*])', want: { key: 'value' } },
    { name: 'a list within a text stays', given: 'x $(params.list[*])', want: 'x $(params.list[*])' },
    { name: 'a list unfolds within a list', given: ['$(params.list[*])', '$(params.name)'], want: ['a', 'b', 'moon'] },
    { name: 'an object by its values', given: { one: '$(params.name)' }, want: { one: 'moon' } },
  ];
  for (const { name, given, want } of cases) {
    it(name, () => assert.deepEqual(replaceValue(given, known), want));
  }
});

describe('replaceWhen', () => {
  it('writes a list in the input as JSON, unfolds one in the values', () => {
    const given = [{ input: '$(params.list[*])', operator: 'in', values: ['$(params.list[*])', 'c'] }];
    assert.deepEqual(replaceWhen(given, known), [{ input: '["a","b"]', operator: 'in', values: ['a', 'b', 'c'] }]);
  });
});

describe('variablesIn', () => {
  it('finds what Tekton looks for: no spaces, no quotes', () => {
    const text = `$(params.a) $(tasks.b.results.c[1]) $(d.e[*]) $(ls -l) $(params['f'])`;
    assert.deepEqual(variablesIn(text), ['params.a', 'tasks.b.results.c[1]', 'd.e[*]']);
  });

  it('takes no longer for a text made to take long', () => {
    assert.deepEqual(variablesIn(`$(${'a.'.repeat(50_000)}!)`), []);
  });
});

describe('allOf', () => {
  it('the later of two counts', () => {
    assert.equal(replaceText('$(x)', allOf(texts({ x: '1' }), texts({ x: '2' }))), '2');
  });
});

describe('mapTexts', () => {
  it('changes every text and nothing else', () => {
    const given = { a: ['x', 1, null], b: { c: 'y', d: true } };
    assert.deepEqual(
      mapTexts(given, (text) => text.toUpperCase()),
      { a: ['X', 1, null], b: { c: 'Y', d: true } },
    );
  });
});
