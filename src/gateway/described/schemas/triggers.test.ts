/** What is told of triggers of any shape fits the schemas, to the last property. */
import assert from 'node:assert/strict';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import type { JsonObject } from '../../../kube/objects.ts';
import { triggerItem } from '../../../triggers/item.ts';
import { projectTriggerSummary } from '../../../triggers/summary.ts';
import { triggerSchema } from './triggers.ts';

const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
const validate = ajv.compile(triggerSchema);

const condition = fc.record(
  {
    type: fc.constantFrom('Unknown', 'InProgress', 'Success', 'Error', 'False'),
    status: fc.oneof(fc.constantFrom('True', 'False', 'Unknown'), fc.jsonValue()),
    reason: fc.oneof(fc.string(), fc.jsonValue()),
    message: fc.oneof(fc.string(), fc.jsonValue()),
    lastTransitionTime: fc.oneof(fc.constant('2026-11-01T10:00:00Z'), fc.jsonValue()),
  },
  { requiredKeys: ['type'] },
);
const line = {
  conditions: fc.array(condition, { maxLength: 3 }),
  commit: fc.jsonValue(),
  latestPipelineRun: fc.oneof(fc.constantFrom('Unknown', 'run-1'), fc.jsonValue()),
  attempt: fc.oneof(fc.nat(), fc.jsonValue()),
  outcome: fc.jsonValue(),
};
const trigger = fc.record({
  metadata: fc.record({ generation: fc.oneof(fc.nat(), fc.jsonValue()), labels: fc.jsonValue(), name: fc.jsonValue() }),
  spec: fc.record({
    source: fc.record({ kind: fc.constantFrom('PullRequest', 'ImagePolicy', 'GitRepository'), name: fc.jsonValue() }),
    pipeline: fc.record({ name: fc.jsonValue(), retries: fc.oneof(fc.nat(), fc.jsonValue()) }),
    suspend: fc.oneof(fc.boolean(), fc.jsonValue()),
  }),
  status: fc.record(
    {
      ...line,
      latestEvent: fc.jsonValue(),
      observedGeneration: fc.jsonValue(),
      branches: fc.record({ branch: fc.dictionary(fc.string(), fc.record(line, { requiredKeys: [] })) }),
    },
    { requiredKeys: [] },
  ),
});

describe('schemas of triggers', () => {
  it('say what is said of objects of any shape', () => {
    fc.assert(
      fc.property(trigger, (raw) => {
        const told = { ...triggerItem(projectTriggerSummary(raw as JsonObject)), runs: [] };
        assert.ok(validate(JSON.parse(JSON.stringify(told))), ajv.errorsText(validate.errors));
      }),
      { numRuns: 500 },
    );
  });
});
