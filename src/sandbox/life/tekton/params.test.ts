import assert from 'node:assert/strict';
import {
  missingKeys,
  missingParams,
  mistypedParams,
  pipelineParams,
  referencesOutOfBounds,
  replacementsOf,
  taskParams,
} from './params.ts';
import { withType } from './specs.ts';
import { replaceText } from './substitute.ts';
import type { Param, ParamSpec } from './types.ts';

describe('pipelineParams', () => {
  const cases: { name: string; declared: ParamSpec[]; given: Param[]; want: Param[] }[] = [
    {
      name: 'a value counts more than a default',
      declared: [{ name: 'a', default: 'one' }],
      given: [{ name: 'a', value: 'two' }],
      want: [{ name: 'a', value: 'two' }],
    },
    {
      name: 'defaults name others, in whatever order they are declared',
      declared: [
        { name: 'url', default: '$(params.host)/$(params.path)' },
        { name: 'host', default: 'https://$(params.domain)' },
        { name: 'domain', default: 'example.test' },
      ],
      given: [{ name: 'path', value: 'app' }],
      want: [
        { name: 'path', value: 'app' },
        { name: 'url', value: 'https://example.test/app' },
        { name: 'host', value: 'https://example.test' },
        { name: 'domain', value: 'example.test' },
      ],
    },
    {
      name: 'lists and objects may name texts',
      declared: [
        { name: 'tag', default: 'v1' },
        { name: 'list', default: ['$(params.tag)', 'x'] },
        { name: 'object', default: { tag: '$(params.tag)' } },
      ],
      given: [],
      want: [
        { name: 'tag', value: 'v1' },
        { name: 'list', value: ['v1', 'x'] },
        { name: 'object', value: { tag: 'v1' } },
      ],
    },
  ];
  for (const { name, declared, given, want } of cases) {
    it(name, () => assert.deepEqual(pipelineParams(declared, given), want));
  }

  const refusals: { name: string; declared: ParamSpec[]; want: RegExp }[] = [
    {
      name: 'a circle',
      declared: [
        { name: 'a', default: '$(params.b)' },
        { name: 'b', default: '$(params.a)' },
      ],
      want: /circular dependency detected in param "params\.[ab]"/,
    },
    {
      name: 'one that is not there',
      declared: [{ name: 'a', default: '$(params.b)' }],
      want: /references undefined param "params\.b"/,
    },
    {
      name: 'a chain without an end in sight',
      declared: Array.from({ length: 13 }, (_, index) => ({
        name: `p${index}`,
        default: index === 12 ? 'end' : `$(params.p${index + 1})`,
      })),
      want: /maximum recursion depth \(10\) exceeded/,
    },
  ];
  for (const { name, declared, want } of refusals) {
    it(`refuses ${name}`, () => assert.throws(() => pipelineParams(declared, []), want));
  }
});

describe('taskParams', () => {
  it('fills in defaults, and keys that a given object lacks', () => {
    const declared: ParamSpec[] = [
      { name: 'who', default: 'you' },
      { name: 'greeting', default: 'hi $(params.who)' },
      { name: 'object', default: { a: '1', b: '2' } },
    ];
    const values = new Map(
      taskParams(declared, [{ name: 'object', value: { b: '3' } }]).map((param) => [param.name, param.value]),
    );
    assert.deepEqual(values.get('object'), { a: '1', b: '3' });
    assert.equal(values.get('greeting'), 'hi you');
  });
});

describe('replacementsOf', () => {
  it('knows every way of writing a parameter', () => {
    const known = replacementsOf([
      { name: 'a.b', value: 'dotted' },
      { name: 'list', value: ['x', 'y'] },
      { name: 'object', value: { key: 'z' } },
    ]);
    assert.equal(replaceText(`$(params["a.b"]) $(params['list'][1]) $(params.object.key)`, known), 'dotted y z');
    assert.deepEqual(known.objects.get('params.object'), { key: 'z' });
  });
});

describe('what is wrong with values', () => {
  const declared: ParamSpec[] = [
    { name: 'text' },
    { name: 'list', type: 'array' },
    { name: 'object', type: 'object', properties: { b: {}, a: {} } },
    { name: 'easy', default: 'x' },
  ];

  it('those without a default have to be given', () => {
    assert.deepEqual(missingParams(declared, [{ name: 'list', value: [] }]), ['text', 'object']);
  });

  it('values of another type, extra ones left aside', () => {
    const given: Param[] = [
      { name: 'text', value: ['a'] },
      { name: 'list', value: ['a'] },
      { name: 'extra', value: {} },
    ];
    assert.deepEqual(mistypedParams(declared, given), ['text']);
  });

  it('keys that an object lacks', () => {
    assert.deepEqual([...missingKeys(declared, [{ name: 'object', value: { c: '1' } }])], [['object', ['a', 'b']]]);
    assert.deepEqual([...missingKeys(declared, [])], [], 'that is a missing parameter, not a missing key');
  });

  it('elements beyond the end', () => {
    const text = ['$(params.list[1]) $(params.list[2])', `$(params['list'][9])`, '$(params.text[7])'];
    const given: Param[] = [{ name: 'list', value: ['a', 'b'] }];
    assert.deepEqual(
      referencesOutOfBounds(text, declared, given),
      ['$(params.list[2])', `$(params['list'][9])`].sort(),
    );
  });
});

describe('withType', () => {
  const cases: { given: ParamSpec; want: string }[] = [
    { given: { name: 'a' }, want: 'string' },
    { given: { name: 'a', default: ['x'] }, want: 'array' },
    { given: { name: 'a', default: { x: 'y' } }, want: 'object' },
    { given: { name: 'a', properties: { x: {} } }, want: 'object' },
    { given: { name: 'a', type: 'array', default: 'x' }, want: 'array' },
  ];
  for (const { given, want } of cases) {
    it(`${JSON.stringify(given)} is of type ${want}`, () => assert.equal(withType(given).type, want));
  }
});
