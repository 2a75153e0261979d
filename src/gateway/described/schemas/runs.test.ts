/** What is said of every recorded moment of a real Tekton fits the schemas, to the last property. */
import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { basename } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { factsOf, recordedMoments } from '../../../../test/support/facts.ts';
import type { JsonObject } from '../../../kube/objects.ts';
import { runEvent } from '../../../tekton/runevent.ts';
import { runItem } from '../../../tekton/runlist.ts';
import { runStatus, taskRunStatus } from '../../../tekton/status.ts';
import type { RunFacts } from '../../../tekton/types.ts';
import { logsOf } from '../../facts/subject.ts';
import { runEventSchema, runListSchema, runStatusSchema } from './runs.ts';
import type { JsonSchema } from './schema.ts';
import { taskRunStatusSchema } from './taskruns.ts';

const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
const components = { schemas: { RunStatus: runStatusSchema } };
const validators = new Map(
  [runStatusSchema, runEventSchema, runListSchema, taskRunStatusSchema].map((schema) => [
    schema,
    ajv.compile({ ...schema, components }),
  ]),
);

/** Fails unless `value`, as JSON has it, is what `schema` says. */
function assertFits(value: object, schema: JsonSchema): void {
  const validate = validators.get(schema);
  assert.ok(validate?.(JSON.parse(JSON.stringify(value))), ajv.errorsText(validate?.errors));
}

const now = new Date('2026-11-01T10:10:00Z');

function assertAllFits(facts: RunFacts): void {
  const status = runStatus(facts, now, logsOf);
  assertFits(status, runStatusSchema);
  assertFits(runEvent(status), runEventSchema);
  assertFits({ items: [runItem(facts.run)] }, runListSchema);
  for (const taskRun of facts.taskRuns)
    assertFits(taskRunStatus(taskRun, facts.pods, now, logsOf), taskRunStatusSchema);
  for (const nested of facts.nested) assertAllFits(nested);
}

describe('schemas of runs', () => {
  for (const file of globSync('test/fixtures/tekton/*.json').sort()) {
    const name = basename(file, '.json');
    it(`say what is said of ${name}`, () => {
      for (const objects of recordedMoments(name).values()) assertAllFits(factsOf(objects));
    });
  }

  it('run 40: say what is said of objects of any shape', () => {
    const objects = recordedMoments('retries-fail');
    const last = [...objects.values()].at(-1) ?? [];
    fc.assert(
      fc.property(fc.nat(), fc.jsonValue(), (at, junk) => {
        const spoiled = spoil(last, at, junk);
        if (spoiled.some(({ kind }) => kind === 'PipelineRun')) assertAllFits(factsOf(spoiled));
      }),
      { numRuns: 300 },
    );
  });
});

/** The objects with the `at`th value in them (counted around) replaced. */
function spoil(objects: readonly JsonObject[], at: number, junk: unknown): readonly JsonObject[] {
  const copy: unknown = JSON.parse(JSON.stringify(objects));
  const places: (() => void)[] = [];
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const key of Object.keys(value)) {
      const holder = value as Record<string, unknown>; // an object or a list: both are written by key
      places.push(() => {
        holder[key] = junk;
      });
      visit(holder[key]);
    }
  };
  for (const object of copy as readonly object[]) visit(object); // as it was before
  places[at % places.length]?.();
  return copy as readonly JsonObject[];
}
