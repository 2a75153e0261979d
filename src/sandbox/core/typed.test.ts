import assert from 'node:assert/strict';
import type { JsonObject, KubeObject } from '../object.ts';
import { flag, int32, list, map, object, text } from '../schema/node.ts';
import { StatusError } from '../status.ts';
import { always, bytes, microTime, optional, orNull, quantity, struct, time, typed } from './typed.ts';

const child = struct('Child', { name: always(text()), note: text(), on: optional(flag()) });

const pass = typed(
  object({
    spec: always(
      object({
        word: text(),
        count: int32(),
        plain: flag(),
        told: optional(flag()),
        required: always(text()),
        names: list(text()),
        rules: always(list(text())),
        labels: map(text()),
        amounts: map(quantity()),
        at: time(),
        seen: always(time()),
        exact: microTime(),
        secret: map(bytes()),
        child,
        children: list(child),
        group: orNull(text()),
      }),
    ),
  }),
);

function passed(spec: JsonObject | undefined): JsonObject {
  const thing: KubeObject & { spec?: JsonObject } = {
    apiVersion: 'v1',
    kind: 'Thing',
    metadata: { name: 'a', uid: '', resourceVersion: '', creationTimestamp: '' },
    ...(spec === undefined ? {} : { spec }),
  };
  pass(thing);
  return thing.spec ?? {};
}

/** What is written of every spec. */
const written = { required: '', rules: null, seen: null, group: null };

describe('typed', () => {
  const cases: readonly { name: string; given: JsonObject | undefined; want: JsonObject }[] = [
    { name: 'writes what is always written', given: undefined, want: {} },
    {
      name: 'drops empty values that nobody tells from absent ones',
      given: { word: '', count: 0, plain: false, names: [], labels: {} },
      want: {},
    },
    { name: 'drops nulls', given: { word: null, told: null, child: null }, want: {} },
    { name: 'keeps an empty value that says something', given: { told: false }, want: { told: false } },
    { name: 'keeps an empty struct', given: { child: {} }, want: { child: { name: '' } } },
    {
      name: 'goes into lists',
      given: { children: [{ note: '', on: false }, null] },
      want: { children: [{ name: '', on: false }, { name: '' }] },
    },
    {
      name: 'keeps empty strings in lists and maps',
      given: { names: [''], labels: { a: '', b: null } },
      want: { names: [''], labels: { a: '', b: '' } },
    },
    {
      name: 'writes quantities in one way',
      given: { amounts: { cpu: '1000m', memory: '1024Mi', disk: 5 } },
      want: { amounts: { cpu: '1', memory: '1Gi', disk: '5' } },
    },
    {
      name: 'writes times in UTC',
      given: { at: '2025-01-01T01:00:00+01:00', seen: '2025-01-01T00:00:00.5Z', exact: '2025-01-01T00:00:00.123456Z' },
      want: { at: '2025-01-01T00:00:00Z', seen: '2025-01-01T00:00:00Z', exact: '2025-01-01T00:00:00.123456Z' },
    },
    {
      name: 'takes line breaks out of bytes',
      given: { secret: { a: 'YWJj\nZGVm' } },
      want: { secret: { a: 'YWJjZGVm' } },
    },
    {
      name: 'leaves what has a wrong type',
      given: { word: 5, names: 'x', child: 'y' },
      want: { word: 5, names: 'x', child: 'y' },
    },
    { name: 'leaves unknown fields', given: { unknown: '' }, want: { unknown: '' } },
  ];
  for (const { name, given, want } of cases) {
    it(name, () => {
      const once = passed(structuredClone(given));
      assert.deepEqual(once, { ...written, ...want });
      assert.deepEqual(passed(structuredClone(once)), once, 'twice is as once');
    });
  }

  const refused: readonly { given: JsonObject; want: string }[] = [
    {
      given: { amounts: { cpu: 'abc' } },
      want: "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    },
    { given: { at: 'x' }, want: 'parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"' },
    { given: { secret: { a: '$$' } }, want: 'illegal base64 data at input byte 0' },
  ];
  for (const { given, want } of refused) {
    it(`refuses ${JSON.stringify(given)}`, () => {
      assert.throws(
        () => passed(given),
        (error) => {
          assert.ok(error instanceof StatusError);
          assert.equal(error.code, 400);
          assert.equal(error.message, `Thing in version "v1" cannot be handled as a Thing: ${want}`);
          return true;
        },
      );
    });
  }
});
