/** What schemas do that no recording of a real server shows: core kinds, updates, and what holds for any input. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Json, KubeObject } from '../object.ts';
import { StatusError } from '../status.ts';
import { compileSchema } from './compile.ts';
import {
  anyObject,
  flag,
  int32,
  int64,
  integer,
  intOrString,
  list,
  listByKey,
  map,
  object,
  text,
  time,
} from './node.ts';

const podLike = compileSchema(
  object({
    data: map(text()),
    bytes: map(text({ format: 'byte' })),
    spec: object(
      {
        containers: list(
          object(
            {
              name: text(),
              image: text(),
              ports: list(object({ containerPort: int32() }, { typeName: 'x.ContainerPort' })),
            },
            { typeName: 'io.k8s.api.core.v1.Container', required: ['name'] },
          ),
        ),
        seconds: int64(),
        hostNetwork: flag(),
        since: time(),
        port: intOrString(),
        limits: map(intOrString({ format: 'quantity' })),
        policy: text({ default: 'Always' }),
      },
      { typeName: 'io.k8s.api.core.v1.PodSpec' },
    ),
  }),
  { custom: false },
);

function pod(more: { [field: string]: Json }): KubeObject {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, ...more } as unknown as KubeObject;
}

describe('a core kind is decoded like its Go type', () => {
  const json = (rest: string) => `json: cannot unmarshal ${rest}`;
  const cases: readonly (readonly [name: string, body: { [field: string]: Json }, refusal: string])[] = [
    ['a number for a string in a map', { data: { a: 1 } }, json('number into Go struct field Pod.data of type string')],
    ['a list for a map', { data: [] }, json('array into Go struct field Pod.data of type map[string]string')],
    [
      'an object for a list',
      { spec: { containers: {} } },
      json('object into Go struct field PodSpec.spec.containers of type []v1.Container'),
    ],
    [
      'a string for an object',
      { spec: { containers: ['x'] } },
      json('string into Go struct field PodSpec.spec.containers of type v1.Container'),
    ],
    [
      'a string for a field far down',
      { spec: { containers: [{ ports: [{ containerPort: 'x' }] }] } },
      json('string into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32'),
    ],
    [
      'a number that is too large',
      { spec: { containers: [{ ports: [{ containerPort: 99999999999 }] }] } },
      json('number 99999999999 into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32'),
    ],
    [
      'a fraction for an integer',
      { spec: { seconds: 1.5 } },
      json('number 1.5 into Go struct field PodSpec.spec.seconds of type int64'),
    ],
    [
      'a string for a flag',
      { spec: { hostNetwork: 'true' } },
      json('string into Go struct field PodSpec.spec.hostNetwork of type bool'),
    ],
    ['a flag for a port', { spec: { port: true } }, json('bool into Go struct field PodSpec.spec.port of type int32')],
    ['a number for an object', { spec: 5 }, json('number into Go struct field Pod.spec of type v1.PodSpec')],
    [
      'what is no time',
      { spec: { since: 'x' } },
      'parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"',
    ],
    [
      'what is no quantity',
      { spec: { limits: { cpu: 'x' } } },
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ],
    ['what is no base64', { bytes: { a: '%%' } }, 'illegal base64 data at input byte 0'],
    ['a number for bytes', { bytes: { a: 5 } }, json('number into Go struct field Pod.bytes of type []uint8')],
    [
      'a name that is a number',
      { metadata: { name: 5 } },
      json('number into Go struct field ObjectMeta.metadata.name of type string'),
    ],
    [
      'metadata that is none',
      { metadata: 'x' },
      json('string into Go struct field Pod.metadata of type v1.ObjectMeta'),
    ],
  ];
  for (const [name, body, refusal] of cases) {
    it(`${name} is refused`, () => {
      assert.throws(
        () => podLike.prune(pod(body)),
        (error) => {
          assert.ok(error instanceof StatusError);
          assert.equal(error.message, `Pod in version "v1" cannot be handled as a Pod: ${refusal}`);
          return error.code === 400;
        },
      );
    });
  }

  it('unknown fields are dropped, and named in the order in which they stand', () => {
    const object = pod({
      spec: { containers: [{ name: 'a', foo: 1, ports: [{ bar: 1 }] }], baz: 1 },
      metadata: { name: 'p', qux: 1 },
    });
    const unknown = ['metadata.qux', 'spec.containers[0].foo', 'spec.containers[0].ports[0].bar', 'spec.baz'];
    assert.deepEqual(podLike.prune(object), unknown);
    assert.deepEqual(object.spec, { containers: [{ name: 'a', ports: [{}] }] });
  });

  it('a null is no value, and an empty one among others', () => {
    const object = pod({
      data: { a: null },
      spec: { containers: [null], seconds: null },
      metadata: { name: 'p', labels: null },
    });
    podLike.prune(object);
    assert.deepEqual([object.data, object.spec, object.metadata], [{ a: '' }, { containers: [{}] }, { name: 'p' }]);
  });

  it('an empty string has its default', () => {
    const object = pod({ spec: { policy: '' } });
    podLike.applyDefaults(object);
    assert.deepEqual(object.spec, { policy: 'Always' });
  });

  it('an empty string is a missing one where one is required', () => {
    const causes = podLike.validate(pod({ spec: { containers: [{ name: '' }] } }));
    assert.deepEqual(causes, [
      { reason: 'FieldValueRequired', field: 'spec.containers[0].name', message: 'Required value' },
    ]);
  });
});

describe('a custom kind', () => {
  const schema = compileSchema(
    object({
      spec: object({
        size: integer({ minimum: 10 }),
        other: text(),
        items: listByKey(object({ name: text(), size: integer({ maximum: 3 }) }), ['name']),
        plain: list(integer({ maximum: 3 })),
      }),
    }),
    { custom: true },
  );
  const custom = (spec: Json) =>
    ({ apiVersion: 'a/v1', kind: 'K', metadata: { name: 'x' }, spec }) as unknown as KubeObject;
  const fields = (spec: Json, old?: Json) =>
    schema.validate(custom(spec), old === undefined ? undefined : custom(old)).map(({ field }) => field);

  it('is not told again what an update has not changed', () => {
    assert.deepEqual(fields({ size: 1, other: 'a' }, { size: 1, other: 'b' }), []);
    assert.deepEqual(fields({ size: 2 }, { size: 1 }), ['spec.size']);
  });

  it('keeps items that are known by their key, wherever they stand', () => {
    const old = { items: [{ name: 'a', size: 9 }] };
    assert.deepEqual(
      fields(
        {
          items: [
            { name: 'b', size: 1 },
            { name: 'a', size: 9 },
          ],
        },
        old,
      ),
      [],
    );
    assert.deepEqual(fields({ items: [{ name: 'b', size: 9 }] }, old), ['spec.items[0].size']);
  });

  it('does not know items without a key', () => {
    assert.deepEqual(fields({ plain: [9, 1] }, { plain: [9] }), ['spec.plain[0]']);
  });

  it('has its rules run only when it is sound', () => {
    const withRule = compileSchema(
      object({ spec: text({ maxLength: 1, 'x-kubernetes-validations': [{ rule: "self == 'a'" }] }) }),
      { custom: true },
    );
    const messages = (spec: string) => withRule.validate(custom(spec)).map(({ message }) => message);
    assert.deepEqual(messages('b'), [`Invalid value: "string": failed rule: self == 'a'`]);
    assert.deepEqual(messages('bb'), [
      'Too long: may not be more than 1 bytes',
      'Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
    ]);
  });
});

describe('any JSON at all', () => {
  const anyJson = fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<Json>;
  const node = object({
    spec: object({
      a: list(map(text({ default: 'x' }))),
      b: { ...anyObject(), properties: { c: object({ d: integer({ default: 1 }) }) } },
      e: object({ f: text({ default: 'g' }) }, { default: {} }),
    }),
  });
  const schema = compileSchema(node, { custom: true });
  const objectOf = (spec: Json) =>
    ({ apiVersion: 'a/v1', kind: 'K', metadata: { name: 'x' }, spec }) as unknown as KubeObject;

  it('is pruned and defaulted once: a second time changes nothing', () => {
    fc.assert(
      fc.property(anyJson, (spec) => {
        const once = objectOf(structuredClone(spec));
        schema.prune(once);
        schema.applyDefaults(once);
        const twice = structuredClone(once);
        assert.deepEqual(schema.prune(twice), []);
        schema.applyDefaults(twice);
        assert.deepEqual(twice, once);
      }),
    );
  });

  it('is validated without an exception, and holds against itself', () => {
    fc.assert(
      fc.property(anyJson, (spec) => {
        const custom = objectOf(spec);
        schema.validate(custom);
        assert.deepEqual(schema.validate(custom, structuredClone(custom)), []);
      }),
    );
  });
});
