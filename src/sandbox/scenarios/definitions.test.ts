import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type RunningSandbox, startSandbox } from '../../../test/support/sandbox.ts';
import { applyDefinitions, definitionsIn } from './definitions.ts';
import { applySamples, SAMPLES_NAMESPACE, sampleTrigger } from './samples.ts';

const folder = join(import.meta.dirname, '../../../k8s/crds');
const triggers = { group: 'pipeline.jquad.rocks', version: 'v1alpha1', plural: 'pipelinetriggers' };

describe('the kinds of k8s/crds in a sandbox', () => {
  let sandbox: RunningSandbox;
  beforeEach(async () => {
    sandbox = await startSandbox();
  });
  afterEach(() => sandbox.end());

  it('are served as soon as they are applied, and take the sample trigger whole', async () => {
    applyDefinitions(sandbox.client, await definitionsIn(folder));
    applySamples(sandbox.client, [sampleTrigger()]);
    assert.deepEqual(sandbox.client.get(triggers, SAMPLES_NAMESPACE, 'demo')?.spec, sampleTrigger().spec);
  });

  it('are brought up to date where older ones were kept, and their objects stay', async () => {
    const definitions = await definitionsIn(folder);
    applyDefinitions(
      sandbox.client,
      definitions.map((each) => ({ ...each, metadata: { ...each.metadata, labels: {} } })),
    );
    applySamples(sandbox.client, [sampleTrigger()]);
    applyDefinitions(sandbox.client, definitions);
    assert.ok(sandbox.client.get(triggers, SAMPLES_NAMESPACE, 'demo'));
  });
});
