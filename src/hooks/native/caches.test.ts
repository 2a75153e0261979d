import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { eventually } from '../../../test/support/eventually.ts';
import { HandClock } from '../../../test/support/hand-clock.ts';
import { type RunningSandbox, startSandbox } from '../../../test/support/sandbox.ts';
import { sandboxClient } from '../../../test/support/sandbox-client.ts';
import type { KubeClient } from '../../kube/client.ts';
import { type JsonObject, objectOf } from '../../kube/objects.ts';
import { silentLog } from '../../log.ts';
import { silentMetrics } from '../../metrics.ts';
import { createHookedTriggers } from './caches.ts';

const crd = new URL('../../../k8s/crds/pipelinetriggers.yaml', import.meta.url);
const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const name = 'pipelinetriggers.pipeline.jquad.rocks';

describe('the triggers that hooks know', () => {
  let sandbox: RunningSandbox;
  let client: KubeClient;
  before(async () => {
    sandbox = await startSandbox();
    client = sandboxClient(sandbox);
    const there = await client.get(`${definitions}/${name}`).catch(() => undefined);
    const { uid } = (there?.metadata ?? {}) as JsonObject;
    if (typeof uid === 'string') await client.remove(`${definitions}/${name}`, { uid });
  });
  after(async () => {
    client.close();
    await sandbox.end();
  });

  it('event 26: a kind that is not there has no hooks, and is picked up when it comes', async () => {
    const clock = new HandClock();
    const triggers = createHookedTriggers({
      ...{ reader: client, served: ['default'], clock, random: () => 0, log: silentLog, metrics: silentMetrics },
    });
    const ref = { namespace: 'default', name: 'build' };
    assert.deepEqual([triggers.find(ref), triggers.isListing()], ['waiting', true]);
    assert.equal(triggers.find({ ...ref, namespace: 'other' }), undefined, 'a namespace that is not served has none');
    await triggers.start();
    await eventually(() => assert.equal(triggers.find(ref), undefined));
    assert.equal(triggers.isListing(), false);
    await client.create(definitions, parse(readFileSync(crd, 'utf8')) as JsonObject);
    const collection = '/apis/pipeline.jquad.rocks/v1alpha1/namespaces/default/pipelinetriggers';
    await eventually(() => client.get(collection));
    await client.create(collection, {
      apiVersion: 'pipeline.jquad.rocks/v1alpha1',
      kind: 'PipelineTrigger',
      metadata: ref,
      spec: { source: { kind: 'GitRepository', name: 'web' }, pipeline: { name: 'build' }, hook: { mode: 'events' } },
    });
    await eventually(async () => {
      await clock.turn(60_000);
      const found = triggers.find(ref);
      assert.ok(typeof found === 'object' && found.hook?.mode === 'events');
    });
    await triggers.stop(AbortSignal.abort());
  });

  it('are none where they may not be read, so that the hooks of EventListeners do not wait for ever', async () => {
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'poor' } };
    await client.create('/api/v1/namespaces/default/serviceaccounts', account);
    const { status } = await client.create('/api/v1/namespaces/default/serviceaccounts/poor/token', {
      ...{ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest' },
      spec: { expirationSeconds: 600 },
    });
    const reader = sandboxClient(sandbox, String(objectOf(status).token));
    const triggers = createHookedTriggers({
      ...{ reader, served: ['default'], clock: new HandClock(), random: () => 0 },
      ...{ log: silentLog, metrics: silentMetrics },
    });
    await triggers.start();
    await eventually(() => assert.equal(triggers.find({ namespace: 'default', name: 'build' }), undefined));
    assert.equal(triggers.isListing(), false, 'nobody waits for what does not come');
    await triggers.stop(AbortSignal.abort());
    reader.close();
  });
});
