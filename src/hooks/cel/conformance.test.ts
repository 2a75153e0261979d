import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { CelInputs } from './engine.ts';
import { createEvaluator, readable, type SecretValue } from './evaluator.ts';

/** The cases, as conformance.cases.yaml has them. */
interface Conformance {
  readonly inputs: CelInputs;
  readonly secrets: readonly { readonly name: string; readonly key: string; readonly value: string }[];
  readonly cases: readonly {
    readonly written: string;
    readonly expressions: readonly ({ readonly cel: string } & Come)[];
  }[];
}

/** What an expression comes to: one of these. */
type Come = { readonly is: unknown } | { readonly fails: string } | { readonly mistake: string };

const file = new URL('conformance.cases.yaml', import.meta.url);
const { inputs, secrets, cases } = parse(readFileSync(file, 'utf8')) as Conformance; // whose shape the tests rely on

describe('expressions of Tekton Triggers', () => {
  const evaluator = createEvaluator();
  const input = readable(inputs);
  const known: SecretValue[] = secrets.map(({ name, key, value }) => ({ name, key, value: Buffer.from(value) }));

  const evaluated = (cel: string): unknown => {
    const mistake = evaluator.mistakeIn(cel);
    if (mistake !== undefined) return { mistake };
    const evaluate = evaluator.prepare(cel);
    const first = evaluate(input, known);
    // Of a Secret that is asked for and not listed it is known that it is not there.
    const result =
      'needs' in first
        ? evaluate(input, [...known, ...first.needs.map((need) => ({ ...need, value: undefined }))])
        : first;
    if ('needs' in result) return result;
    return result.ok ? { is: JSON.parse(JSON.stringify(result.value)) } : { fails: result.error };
  };

  for (const { written, expressions } of cases) {
    describe(written, () => {
      for (const { cel, ...want } of expressions) it(cel, () => assert.deepEqual(evaluated(cel), want));
    });
  }

  it('are as many as it takes to know their dialect', () => {
    assert(cases.flatMap(({ expressions }) => expressions).length >= 80);
  });
});
