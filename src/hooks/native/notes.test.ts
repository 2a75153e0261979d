import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { eventually } from '../../../test/support/eventually.ts';
import { type RunningSandbox, startSandbox } from '../../../test/support/sandbox.ts';
import { sandboxClient } from '../../../test/support/sandbox-client.ts';
import { Fault } from '../../fault.ts';
import type { KubeClient } from '../../kube/client.ts';
import { type JsonObject, objectOf, projectMeta, stringsOf } from '../../kube/objects.ts';
import { triggerPath } from '../../triggers/names.ts';
import { MOST_STORED, type StoredEvent, storedEventsIn, storedEventsPath } from '../../triggers/told.ts';
import { createNotes, type Notes } from './notes.ts';

const never = new AbortController().signal;
const crd = new URL('../../../k8s/crds/pipelinetriggers.yaml', import.meta.url);
const revision = (letter: string) => `main@sha1:${letter.repeat(40)}`;
const event = (letter: string, atMs = 0): Omit<StoredEvent, 'key'> => ({
  cluster: 'edge',
  revision: revision(letter),
  reason: 'NewArtifact',
  message: '',
  atMs,
});

describe('what hooks write down', () => {
  let sandbox: RunningSandbox;
  let client: KubeClient;
  let notes: Notes;
  let trigger: ReturnType<typeof projectMeta>;
  let count = 0;
  const namespace = 'default';

  before(async () => {
    sandbox = await startSandbox();
    client = sandboxClient(sandbox);
    notes = createNotes({ reader: client, writer: client });
    const definition = parse(readFileSync(crd, 'utf8')) as JsonObject;
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
    await client.create(path, definition).catch((error: unknown) => {
      if (!(error instanceof Fault) || error.code !== 'conflict') throw error; // it is there already
    });
    await eventually(() => client.get(`/apis/pipeline.jquad.rocks/v1alpha1/namespaces/${namespace}/pipelinetriggers`));
  });
  after(async () => {
    client.close();
    await sandbox.end();
  });
  beforeEach(async () => {
    trigger = await make(`build-${++count}`);
  });

  const make = async (name: string) => {
    const path = triggerPath({ namespace, name });
    const object = {
      apiVersion: 'pipeline.jquad.rocks/v1alpha1',
      kind: 'PipelineTrigger',
      metadata: { name, namespace },
      spec: { source: { kind: 'GitRepository', name: 'web' }, pipeline: { name: 'build' } },
    };
    return projectMeta(await client.create(path.slice(0, path.lastIndexOf('/')), object));
  };
  const annotations = async () => stringsOf(objectOf((await client.get(triggerPath(trigger))).metadata).annotations);
  const version = async () => objectOf((await client.get(triggerPath(trigger))).metadata).resourceVersion;
  const stored = async () => storedEventsIn(await client.get(storedEventsPath(trigger)));

  it('a ring is an annotation, and the same ring again changes nothing', async () => {
    await notes.ring(trigger, revision('a'), never);
    assert.equal((await annotations())['rungate.dev/rang'], revision('a'));
    const before = await version();
    await notes.ring(trigger, revision('a'), never);
    assert.equal(await version(), before);
  });

  it('revisions that are told of at once are all there, and what was run is looked for no longer', async () => {
    await Promise.all(['a', 'b', 'c'].map((letter) => notes.tell(trigger, revision(letter), never)));
    const told = (await annotations())['rungate.dev/event']?.split(' ').sort();
    assert.deepEqual(told, ['a', 'b', 'c'].map(revision));
    const before = await version();
    await notes.tell(trigger, revision('a'), never);
    assert.equal(await version(), before, 'twice is once');
    await client.patch(`${triggerPath(trigger)}/status`, { status: { latestEvent: revision('b') } });
    await notes.tell(trigger, revision('d'), never);
    assert.deepEqual((await annotations())['rungate.dev/event']?.split(' ').sort(), ['a', 'c', 'd'].map(revision));
  });

  it('events that come at once are all stored, each once, in the order of their keys', async () => {
    const letters = ['a', 'b', 'c', 'd'];
    await Promise.all([...letters, ...letters].map((letter) => notes.store(trigger, event(letter), 1_000, never)));
    const all = await stored();
    assert.deepEqual(all.map((each) => each.revision).sort(), letters.map(revision));
    assert.deepEqual(
      all.map(({ key }) => key),
      all.map(({ key }) => key).sort(),
    );
    const later = await notes.store(trigger, event('e'), 0, never);
    assert.equal((await stored()).at(-1)?.key, later, 'a clock that is behind makes no older event of it');
  });

  it('the ConfigMap goes with its trigger, and one of another is not written into', async () => {
    await notes.store(trigger, event('a'), 1_000, never);
    const raw = await client.get(storedEventsPath(trigger));
    const { ownerReferences, labels } = objectOf(raw.metadata);
    assert.deepEqual(ownerReferences, [
      { apiVersion: 'pipeline.jquad.rocks/v1alpha1', kind: 'PipelineTrigger', name: trigger.name, uid: trigger.uid },
    ]);
    assert.deepEqual(labels, { 'rungate.dev/events-of': trigger.name });
    await assert.rejects(notes.store({ ...trigger, uid: 'another' }, event('b'), 1_000, never), {
      code: 'unavailable',
    });
  });

  it('more than may wait are refused', async () => {
    for (let at = 0; at < MOST_STORED; at++) await notes.store(trigger, event('a', at), 1_000, never);
    assert.equal(await notes.store(trigger, event('b'), 1_000, never), 'full');
    assert.notEqual(await notes.store(trigger, event('a', 7), 1_000, never), 'full', 'one that is there is there');
  }).timeout(60_000);

  it('a trigger that is gone is told nothing, and rings nowhere', async () => {
    await client.remove(triggerPath(trigger), { uid: trigger.uid });
    await notes.tell(trigger, revision('a'), never);
    await assert.rejects(notes.ring(trigger, revision('a'), never), { code: 'not-found' });
  });
});
