/** Bodies as kubectl makes them, field by field. */
import assert from 'node:assert/strict';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import { StatusError } from '../status.ts';
import { readProtobuf } from './protobuf.ts';

/** Writes fields of text, of a message inside, or of a whole number. */
function message(fields: readonly (readonly [number, string | Uint8Array | number])[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const [number, value] of fields) {
    if (typeof value === 'number') writer.tag(number, WireType.Varint).int64(value);
    else if (typeof value === 'string') writer.tag(number, WireType.LengthDelimited).string(value);
    else writer.tag(number, WireType.LengthDelimited).bytes(value);
  }
  return writer.finish();
}

function body(apiVersion: string, kind: string, raw: Uint8Array): Buffer {
  const typeMeta = message([
    [1, apiVersion],
    [2, kind],
  ]);
  return Buffer.concat([
    Buffer.from('k8s\0'),
    message([
      [1, typeMeta],
      [2, raw],
      [3, ''],
      [4, ''],
    ]),
  ]);
}

const entry = (key: string, value: string | Uint8Array) =>
  message([
    [1, key],
    [2, value],
  ]);

describe('readProtobuf', () => {
  const table = [
    {
      name: 'a ConfigMap with two keys',
      given: body(
        'v1',
        'ConfigMap',
        message([
          [
            1,
            message([
              [1, 'colours'],
              [3, 'ci'],
              [8, message([])],
            ]),
          ],
          [2, entry('red', '#f00')],
          [2, entry('none', '')],
          [3, entry('raw', new Uint8Array([0, 255]))],
          [4, 1],
        ]),
      ),
      want: {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'colours', namespace: 'ci' },
        data: { red: '#f00', none: '' },
        binaryData: { raw: 'AP8=' },
        immutable: true,
      },
    },
    {
      name: 'the question of kubectl auth can-i',
      given: body(
        'authorization.k8s.io/v1',
        'SelfSubjectAccessReview',
        message([
          [1, message([])],
          [
            2,
            message([
              [
                1,
                message([
                  [1, 'ci'],
                  [2, 'get'],
                  [3, ''],
                  [4, '*'],
                  [5, 'pods'],
                ]),
              ],
            ]),
          ],
        ]),
      ),
      want: {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectAccessReview',
        metadata: {},
        spec: { resourceAttributes: { namespace: 'ci', verb: 'get', version: '*', resource: 'pods' } },
      },
    },
    {
      name: 'a Lease with times and a field that nobody knows',
      given: body(
        'coordination.k8s.io/v1',
        'Lease',
        message([
          [
            2,
            message([
              [1, 'me'],
              [2, 15],
              [
                4,
                message([
                  [1, 1_790_000_000],
                  [2, 123_456_789],
                ]),
              ],
              [99, 'new'],
            ]),
          ],
        ]),
      ),
      want: {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        spec: { holderIdentity: 'me', leaseDurationSeconds: 15, renewTime: '2026-09-21T14:13:20.123456Z' },
      },
    },
  ];
  for (const { name, given, want } of table) {
    it(`reads ${name}`, () => assert.deepEqual(readProtobuf(given), want));
  }

  it('refuses a kind that it has no table for, and says to send JSON', () => {
    assert.throws(() => readProtobuf(body('apps/v1', 'Deployment', message([]))), { code: 400, message: /send JSON/ });
  });

  it('answers any bytes with an object or a 400', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, inside) => {
        const given = inside ? body('v1', 'ConfigMap', bytes) : Buffer.concat([Buffer.from('k8s\0'), bytes]);
        try {
          readProtobuf(given);
        } catch (error) {
          assert.ok(error instanceof StatusError && error.code === 400, String(error));
        }
      }),
    );
  });
});
