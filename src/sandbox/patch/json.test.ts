import assert from 'node:assert/strict';
import fc from 'fast-check';
import jsonPatch from 'fast-json-patch';
import { describe, it } from 'mocha';
import type { Json, JsonObject } from '../object.ts';
import { StatusError } from '../status.ts';
import { applyJsonPatch } from './json.ts';

const object: JsonObject = { data: { a: '1', b: '2' }, list: ['x', 'y'], 'odd/name': { '~': 1 } };

/** What the real server (1.34) makes of these, without what it does to the object afterwards. */
const changes: readonly { readonly name: string; readonly patch: Json; readonly want: JsonObject }[] = [
  { name: 'nothing', patch: [], want: object },
  {
    name: 'add',
    patch: [{ op: 'add', path: '/data/c', value: '3' }],
    want: { ...object, data: { a: '1', b: '2', c: '3' } },
  },
  {
    name: 'add without a value',
    patch: [{ op: 'add', path: '/data/c' }],
    want: { ...object, data: { a: '1', b: '2', c: null } },
  },
  {
    name: 'add to the end',
    patch: [{ op: 'add', path: '/list/-', value: 'z' }],
    want: { ...object, list: ['x', 'y', 'z'] },
  },
  { name: 'insert', patch: [{ op: 'add', path: '/list/1', value: 'z' }], want: { ...object, list: ['x', 'z', 'y'] } },
  {
    name: 'insert counted from the end',
    patch: [{ op: 'add', path: '/list/-1', value: 'z' }],
    want: { ...object, list: ['x', 'y', 'z'] },
  },
  { name: 'remove', patch: [{ op: 'remove', path: '/data/a' }], want: { ...object, data: { b: '2' } } },
  { name: 'remove the last', patch: [{ op: 'remove', path: '/list/-1' }], want: { ...object, list: ['x'] } },
  { name: 'replace', patch: [{ op: 'replace', path: '/list/0', value: 'z' }], want: { ...object, list: ['z', 'y'] } },
  {
    name: 'replace what is not there',
    patch: [{ op: 'replace', path: '/data/c', value: '3' }],
    want: { ...object, data: { a: '1', b: '2', c: '3' } },
  },
  { name: 'replace all', patch: [{ op: 'replace', path: '', value: { a: 1 } }], want: { a: 1 } },
  { name: 'replace all with a text', patch: [{ op: 'replace', path: '', value: 'x' }], want: object },
  {
    name: 'move',
    patch: [{ op: 'move', from: '/data/a', path: '/data/q' }],
    want: { ...object, data: { b: '2', q: '1' } },
  },
  {
    name: 'copy',
    patch: [{ op: 'copy', from: '/data', path: '/more' }],
    want: { ...object, more: { a: '1', b: '2' } },
  },
  {
    name: 'copy what is not there',
    patch: [{ op: 'copy', from: '/data/q', path: '/data/r' }],
    want: { ...object, data: { a: '1', b: '2', r: null } },
  },
  { name: 'a test that holds', patch: [{ op: 'test', path: '/data', value: { b: '2', a: '1' } }], want: object },
  { name: 'a test for null of what is not there', patch: [{ op: 'test', path: '/data/q', value: null }], want: object },
  { name: 'escaped names', patch: [{ op: 'remove', path: '/odd~1name/~0' }], want: { ...object, 'odd/name': {} } },
  { name: 'no slash at the start', patch: [{ op: 'add', path: 'data/c', value: '3' }], want: { ...object, c: '3' } },
  {
    name: 'a name of JavaScript',
    patch: [{ op: 'add', path: '/data/__proto__', value: 'x' }],
    want: { ...object, data: JSON.parse('{"a":"1","b":"2","__proto__":"x"}') },
  },
];

const rejected = 'the server rejected our request due to an error in our request';
const undecodable = 'error decoding patch: json: cannot unmarshal';
const refusals: readonly {
  readonly name: string;
  readonly patch: Json;
  readonly code: number;
  readonly message: string;
}[] = [
  {
    name: 'an object',
    patch: { a: 1 },
    code: 400,
    message: `${undecodable} object into Go value of type []handlers.jsonPatchOp`,
  },
  {
    name: 'a text',
    patch: 'x',
    code: 400,
    message: `${undecodable} string into Go value of type []handlers.jsonPatchOp`,
  },
  {
    name: 'an operation that is a text',
    patch: ['x'],
    code: 400,
    message: `${undecodable} string into Go value of type handlers.jsonPatchOp`,
  },
  {
    name: 'a number for a word',
    patch: [{ op: 1, path: '/a' }],
    code: 400,
    message: `${undecodable} number into Go struct field jsonPatchOp.op of type string`,
  },
  { name: 'an unknown operation', patch: [{ op: 'foo', path: '/a' }], code: 422, message: rejected },
  { name: 'no path', patch: [{ op: 'add', value: 1 }], code: 422, message: rejected },
  { name: 'a test that fails', patch: [{ op: 'test', path: '/data/a', value: '2' }], code: 422, message: rejected },
  { name: 'removing what is not there', patch: [{ op: 'remove', path: '/data/q' }], code: 422, message: rejected },
  { name: 'removing all', patch: [{ op: 'remove', path: '' }], code: 422, message: rejected },
  {
    name: 'adding below what is not there',
    patch: [{ op: 'add', path: '/q/r', value: 1 }],
    code: 422,
    message: rejected,
  },
  { name: 'adding below a text', patch: [{ op: 'add', path: '/data/a/r', value: 1 }], code: 422, message: rejected },
  { name: 'an index too far', patch: [{ op: 'add', path: '/list/3', value: 1 }], code: 422, message: rejected },
  { name: 'an index that is none', patch: [{ op: 'remove', path: '/list/x' }], code: 422, message: rejected },
  {
    name: 'moving what is not there',
    patch: [{ op: 'move', from: '/data/q', path: '/data/r' }],
    code: 422,
    message: rejected,
  },
  {
    name: 'too many operations',
    patch: Array.from({ length: 10_001 }, () => ({ op: 'test', path: '/data/a', value: '1' })),
    code: 413,
    message: 'Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001',
  },
];

describe('JSON patches', () => {
  for (const { name, patch, want } of changes) {
    it(`${name}`, () => {
      const before = JSON.stringify([object, patch]);
      assert.deepEqual(applyJsonPatch(object, patch), want);
      assert.equal(JSON.stringify([object, patch]), before);
    });
  }

  for (const { name, patch, code, message } of refusals) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => applyJsonPatch(object, patch),
        (error) => error instanceof StatusError && error.code === code && error.message === message,
      );
    });
  }

  it('refuses to make a list of it', () => {
    assert.throws(() => applyJsonPatch(object, [{ op: 'replace', path: '', value: [1] }]), {
      code: 422,
      message: /^ "" is invalid: patch: Invalid value: "\[1\]": couldn't get version\/kind; json parse error: json: /,
    });
  });

  it('makes of an object what it is compared with', () => {
    const any = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }));
    fc.assert(
      fc.property(any, any, (left, right) => {
        const [from, to]: JsonObject[] = JSON.parse(JSON.stringify([left, right]));
        const patch: Json = JSON.parse(JSON.stringify(jsonPatch.compare(from ?? {}, to ?? {})));
        assert.deepEqual(applyJsonPatch(from ?? {}, patch), to);
      }),
    );
  });
});
