/** Bodies, and what the server says to those that it cannot read. */
import assert from 'node:assert/strict';
import { createApi, resources } from '../../../test/support/api.ts';
import type { Resource } from '../object.ts';
import { decodeApply, decodeDeleteOptions, decodeObject, decodePatch } from './decode.ts';

describe('decodeObject', () => {
  const api = createApi();
  const decode = (resource: Resource, text: string, contentType = 'application/json') => {
    const { kind, served } = api.verbs.target(resource, 'ci');
    return decodeObject({ bytes: Buffer.from(text), contentType }, kind, served, api.registry);
  };
  const { configMaps, widgets } = resources;
  const unrecognized = 'the object provided is unrecognized (must be of type ConfigMap): ';
  const noVersion = `${unrecognized}couldn't get version/kind; json parse error: `;
  const handled = 'cannot be handled as a ConfigMap: ';

  it('fills in what the path of a built-in kind says', () => {
    const { value } = decode(configMaps, '{"metadata":{"name":"a"}}');
    assert.deepEqual(value, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } });
  });

  it('takes YAML, in which y is true', () => {
    const { value, problems } = decode(configMaps, 'metadata: {name: y}\ndata:\n  a: b\n  a: c\n', 'application/yaml');
    assert.deepEqual([value.metadata, value.data], [{ name: true }, { a: 'c' }]);
    assert.deepEqual(problems, ['line 4: key "a" already set in map']);
  });

  it('names what stands there twice', () => {
    assert.deepEqual(decode(configMaps, '{"metadata":{},"data":{"a":"1","a":"2"}}').problems, [
      'duplicate field "data.a"',
    ]);
  });

  const wrong = [
    [configMaps, '{"metadata":{"name":"x"},', `${noVersion}unexpected end of JSON input ({"metadata":{"name":"x"},)`],
    [configMaps, '', `${noVersion}unexpected end of JSON input (<empty>)`],
    [configMaps, 'x', `${noVersion}invalid character 'x' looking for beginning of value (78)`],
    [
      configMaps,
      '{"kind":1}',
      `${noVersion}json: cannot unmarshal number into Go struct field .kind of type string ({"kind":1})`,
    ],
    [
      configMaps,
      '{"apiVersion":"a/b/c"}',
      `${unrecognized}unexpected GroupVersion string: a/b/c ({"apiVersion":"a/b/c"})`,
    ],
    [
      configMaps,
      '{"apiVersion":"v2","kind":"ConfigMap"}',
      `ConfigMap in version "v2" ${handled}no kind "ConfigMap" is registered for version "v2" in scheme "pkg/runtime/scheme.go:110"`,
    ],
    [
      configMaps,
      '{"apiVersion":"v1","kind":"Secret"}',
      `Secret in version "v1" ${handled}converting (v1.Secret) to (core.ConfigMap): unknown conversion`,
    ],
    [
      widgets,
      '{"metadata":{"name":"a-long-name"}}',
      `the object provided is unrecognized (must be of type Widget): Object 'Kind' is missing in '{"metadata":{"name":"a-long-name"}}' ({"metadata":{"name":"a-long-na ...)`,
    ],
    [
      widgets,
      '{"apiVersion":"test.rungate.dev/v7","kind":"Widget"}',
      'the API version in the data (test.rungate.dev/v7) does not match the expected API version (test.rungate.dev/v1)',
    ],
  ] as const;
  for (const [resource, text, message] of wrong) {
    it(`refuses ${text || 'nothing'} for ${resource.plural}`, () => {
      assert.throws(() => decode(resource, text), { code: 400, reason: 'BadRequest', message });
    });
  }

  it('refuses types that it does not read', () => {
    assert.throws(() => decode(configMaps, '{}', 'text/plain'), { code: 415 });
    assert.throws(() => decode(widgets, '', 'application/vnd.kubernetes.protobuf'), { code: 415 });
  });
});

describe('decodePatch, decodeApply, decodeDeleteOptions', () => {
  const body = (text: string, contentType = 'application/json') => ({ bytes: Buffer.from(text), contentType });
  const table = [
    [() => decodePatch(body('{')), 400, 'error decoding patch: unexpected end of JSON input'],
    [() => decodePatch(body('{'), { isStrategic: true }), 400, 'unexpected end of JSON input'],
    [
      () => decodeApply(body('[]')),
      400,
      'error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value of type map[string]interface {}',
    ],
    [
      () => decodeApply(body('{')),
      400,
      'error decoding YAML: error converting YAML to JSON: yaml: line 1: did not find expected node content',
    ],
    [
      () => decodeDeleteOptions(body('{"kind":"Foo"}')),
      500,
      'no kind "Foo" is registered for version "meta.k8s.io/v1" in scheme "pkg/runtime/scheme.go:110"',
    ],
    [
      () => decodeDeleteOptions(body('{')),
      500,
      "couldn't get version/kind; json parse error: unexpected end of JSON input",
    ],
  ] as const;
  for (const [decode, code, message] of table) {
    it(`refuses with ${code}: ${message}`, () => assert.throws(decode, { code, message }));
  }

  it('names keys of YAML that stand there twice, in order', () => {
    const { problems } = decodeApply(body('a: 1\nb:\n  c: 1\n  c: 2\na: 3'));
    assert.deepEqual(problems, ['line 4: key "c" already set in map', 'line 5: key "a" already set in map']);
  });

  it('refuses YAML that makes much of little, and what is nested without end', () => {
    const levels = ['a: &a [x,x,x,x,x,x,x,x,x,x]'];
    for (const [from, to] of ['ab', 'bc', 'cd', 'de']) {
      levels.push(`${to}: &${to} [${`*${from},`.repeat(9)}*${from}]`);
    }
    const before = 'error decoding YAML: error converting YAML to JSON: yaml: ';
    const wrong = [
      [levels.join('\n'), `${before}document contains excessive aliasing`],
      [`a: ${'['.repeat(20_000)}${']'.repeat(20_000)}`, `${before}line 1: exceeded max depth of 10000`],
    ] as const;
    for (const [text, message] of wrong) assert.throws(() => decodeApply(body(text)), { code: 400, message });
  });

  it('has no options where there is no body', () =>
    assert.equal(decodeDeleteOptions(body('', 'text/plain')), undefined));
});
