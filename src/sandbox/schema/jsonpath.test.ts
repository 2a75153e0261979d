/** Paths into objects. */
import assert from 'node:assert/strict';
import type { Json } from '../object.ts';
import { compileJsonPath, simplePath } from './jsonpath.ts';

const run: Json = {
  metadata: { name: 'n', annotations: { 'a.b/c': 'dotted' } },
  status: {
    conditions: [
      { type: 'Ready', status: 'True', age: 3 },
      { type: 'Done', status: 'False', age: 5, reason: "it's" },
    ],
    empty: null,
  },
};

describe('a JSONPath', () => {
  const cases: readonly (readonly [path: string, want: readonly Json[] | undefined])[] = [
    ['.metadata.name', ['n']],
    ['.metadata', [{ name: 'n', annotations: { 'a.b/c': 'dotted' } }]],
    ['.metadata.nothing.below', []],
    ['.metadata.annotations.a\\.b/c', ['dotted']],
    [".metadata.annotations['a.b/c']", ['dotted']],
    [".metadata['name','annotations']", ['n', { 'a.b/c': 'dotted' }]],
    ['.status.conditions[0].type', ['Ready']],
    ['.status.conditions[-1].type', ['Done']],
    ['.status.conditions[7].type', []],
    ['.status.conditions[*].type', ['Ready', 'Done']],
    ['.status.conditions[0,1].type', ['Ready', 'Done']],
    ['.status.conditions[0:1].type', ['Ready']],
    ['.status.conditions[?(@.type=="Ready")].status', ['True']],
    [".status.conditions[?(@.type == 'Done')].status", ['False']],
    ['.status.conditions[?(@.age>3)].type', ['Done']],
    ['.status.conditions[?(@.age<=3)].type', ['Ready']],
    ['.status.conditions[?(@.type!="Ready")].type', ['Done']],
    ['.status.conditions[?(@.reason)].type', ['Done']],
    ['.status.conditions[?(@.type>3)].type', []],
    ['..type', ['Ready', 'Done']],
    ['.status.empty', [null]],
    ['.status.conditions[', undefined],
    ['.status.conditions[?(@.type=="Ready)]', undefined],
    ['.status.conditions[nonsense]', undefined],
  ];
  for (const [path, want] of cases) {
    it(path, () => {
      assert.deepEqual(compileJsonPath(path)?.(run), want);
    });
  }
});

describe('a simple path', () => {
  for (const [path, want] of [
    ['.spec.color', ['spec', 'color']],
    ['.spec', ['spec']],
    ['spec', undefined],
    ['.spec[0]', undefined],
    ['', undefined],
  ] as const) {
    it(path || 'nothing', () => {
      assert.deepEqual(simplePath(path), want);
    });
  }
});
