/**
 * What a kube-apiserver 1.34.4 answered, case by case (`test/fixtures/kubernetes`): custom objects, definitions, and CEL
 * expressions. Ours must answer the same, but for the cases listed here with their reasons.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createCrdKind } from '../api/crds.ts';
import { createRegistry } from '../api/registry.ts';
import type { Json, JsonObject, KubeObject } from '../object.ts';
import { badRequest, type Cause, StatusError } from '../status.ts';
import { CompilationError, compileExpression } from './cel/compile.ts';
import { Budget } from './cel/run.ts';
import { nameOf } from './cel/types.ts';
import { EvaluationError, shapeOf } from './cel/values.ts';
import { compileSchema } from './compile.ts';
import type { SchemaNode } from './node.ts';

function recorded<T>(name: string): T {
  const path = join(import.meta.dirname, '../../../test/fixtures/kubernetes', `${name}.json`);
  return JSON.parse(readFileSync(path, 'utf8')) as T;
}

/** How an answer is compared: the server finds what is wrong in the random order of Go's maps. */
type Answer =
  | { readonly code: number; readonly stored: Json }
  | { readonly code: number; readonly message: string }
  | { readonly code: number; readonly causes: readonly string[] };

function refusal(error: unknown): Answer {
  if (!(error instanceof StatusError)) throw error;
  return { code: error.code, message: error.message };
}

const causesOf = (causes: readonly Cause[]) =>
  causes.map(({ reason, field, message }) => `${reason}|${field}|${message}`).sort();

function strictly(kind: string, unknown: readonly string[]): void {
  if (unknown.length === 0) return;
  const problems = unknown.map((path) => `unknown field "${path}"`).join(', ');
  throw badRequest(`${kind} in version "v1" cannot be handled as a ${kind}: strict decoding error: ${problems}`);
}

describe('custom objects, as a real server takes them', () => {
  interface ObjectCase {
    readonly fieldValidation: 'Strict' | 'Ignore';
    readonly spec: Json;
    readonly code: number;
    readonly stored?: Json;
    readonly message?: string;
    readonly causes?: readonly string[];
  }
  const { schema, cases } = recorded<{ schema: SchemaNode; cases: ObjectCase[] }>('objects');
  const compiled = compileSchema(schema, { custom: true });
  /** Owners of embedded objects are not looked at. */
  const different = (spec: Json) => JSON.stringify(spec).includes('"ownerReferences"');

  function answer({ spec, fieldValidation }: ObjectCase): Answer {
    const metadata = { name: 'x' };
    const object = { apiVersion: 'b.test.rungate.dev/v1', kind: 'Thing', metadata, spec } as unknown as KubeObject;
    try {
      const unknown = compiled.prune(object);
      if (fieldValidation === 'Strict') strictly('Thing', unknown);
    } catch (error) {
      return refusal(error);
    }
    compiled.applyDefaults(object);
    const causes = compiled.validate(object);
    return causes.length === 0 ? { code: 201, stored: object.spec ?? null } : { code: 422, causes: causesOf(causes) };
  }

  for (const one of cases) {
    const { fieldValidation, spec, ...want } = one;
    if (different(spec)) continue;
    it(`${fieldValidation}: ${JSON.stringify(spec)}`, () => {
      assert.deepEqual(answer(structuredClone(one)), want);
    });
  }
});

describe('definitions, as a real server takes them', () => {
  interface DefinitionCase {
    readonly definition: KubeObject;
    readonly code: number;
    readonly spec?: JsonObject;
    readonly warnings?: readonly string[];
    readonly message?: string;
    readonly causes?: readonly string[];
  }
  const { cases } = recorded<{ cases: DefinitionCase[] }>('definitions');

  /** Why a case is answered otherwise. */
  function difference({ causes = [] }: DefinitionCase): string | undefined {
    const said = causes.join();
    if (said.includes('estimated rule cost')) return 'the cost of rules is not estimated';
    if (said.includes('oneOf[0].x-kubernetes-map-type')) return 'of several types that are wanted, the first is named';
    return said.includes('selfType') ? 'a type of a rule has no random name' : undefined;
  }

  function answer(definition: KubeObject) {
    const kind = createCrdKind({ registry: createRegistry(), extras: new Map() });
    const schema = kind.versions[0]?.schema;
    assert.ok(schema);
    try {
      strictly('CustomResourceDefinition', schema.prune(definition));
    } catch (error) {
      return refusal(error);
    }
    schema.applyDefaults(definition);
    kind.strategy.prepareForCreate?.(definition);
    const causes = kind.strategy.validate?.(definition, undefined, '') ?? [];
    if (causes.length > 0) return { code: 422, causes: causesOf(causes) };
    const warnings = kind.strategy.warnings?.(definition, undefined).map((text) => JSON.stringify(text));
    return { code: 201, spec: definition.spec, warnings };
  }

  for (const [at, one] of cases.entries()) {
    const { definition, ...want } = one;
    if (difference(one) !== undefined) continue;
    it(`${at}: ${JSON.stringify(definition.spec ?? null).slice(0, 300)}`, () => {
      assert.deepEqual(answer(structuredClone(definition)), want);
    });
  }
});

describe('CEL expressions, as a real server runs them', () => {
  interface ExpressionCase {
    readonly rule: string;
    readonly value?: boolean;
    readonly fails?: string;
    readonly refused?: string;
  }
  const { schema, self, cases } = recorded<{ schema: SchemaNode; self: Json; cases: ExpressionCase[] }>('expressions');
  const shape = shapeOf(schema);
  assert.ok(shape);
  const types = new Map([
    ['self', shape.type],
    ['oldSelf', shape.type],
  ]);
  const values = new Map([
    ['self', shape.valueOf(self)],
    ['oldSelf', shape.valueOf(self)],
  ]);
  const different = new Map([
    ["self.?imm.orValue('d') == 'd'", 'the parser does not know optional fields'],
    ['self.?a.hasValue()', 'the parser does not know optional fields'],
    ["self.list.all(i, v, v != '')", 'the parser does not know macros of two variables'],
    ['self.items.map(i, i.name).isSorted()', 'the cost of rules is not estimated'],
    ["int('x') == 1", 'what is constant is not worked out when the rule is stored'],
  ]);

  function answer(rule: string) {
    try {
      const program = compileExpression(rule, types);
      assert.ok(['bool', 'dyn'].includes(nameOf(program.type)));
      return { value: program.run(values, new Budget(1_000_000)) };
    } catch (error) {
      if (error instanceof CompilationError) return { refused: error.message };
      if (error instanceof EvaluationError) return { fails: error.message };
      throw error;
    }
  }

  for (const { rule, ...want } of cases) {
    if (different.has(rule)) continue;
    it(rule, () => {
      assert.deepEqual(answer(rule), want);
    });
  }
});
