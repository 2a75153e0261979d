/** What the controller does for hooks: it looks past a watch that lags, believes what is stored, and asks Flux before a run by hand. */
import assert from 'node:assert/strict';
import { TriggerRig } from '../../../test/support/trigger-rig.ts';
import { Fault } from '../../fault.ts';
import type { JsonObject } from '../../kube/objects.ts';
import { storedEntry } from '../../triggers/told.ts';

const [A, B] = ['a', 'b'].map((letter) => `main@sha1:${letter.repeat(40)}`) as [string, string];

/** A GitRepository in a version, at a revision. */
function repository(resourceVersion: string, revision: string, more: JsonObject = {}): JsonObject {
  return {
    metadata: { namespace: 'ci', name: 'app', uid: 's', resourceVersion, generation: 1 },
    status: { observedGeneration: 1, artifact: { revision }, ...more },
  };
}

describe('the controller of triggers, rung by a hook', () => {
  let rig: TriggerRig;
  afterEach(() => rig.stop());

  const begin = async (hook: JsonObject = {}, kept = repository('1', A)) => {
    rig = new TriggerRig([], {}, { source: { kind: 'GitRepository', name: 'app' }, hook });
    rig.kept = kept;
    await rig.start();
    await rig.clock.turn(10);
  };
  const ranFor = (revision: string, runs: number) =>
    rig.until(() => assert.deepEqual([rig.status.latestEvent, rig.creates, rig.runs.size], [revision, runs, runs]));
  const rests = async (runs: number) => {
    await rig.clock.turn(60_000);
    assert.equal(rig.creates, runs);
  };

  it('event 4, 5: finds what the watch does not tell yet, and does not go back to what it tells then', async () => {
    await begin();
    await ranFor(A, 1);
    rig.live = repository('9', B);
    assert.equal(rig.ring(), true);
    await ranFor(B, 2);
    // The watch comes on, with a version between the two that still shows the revision before.
    rig.kept = repository('5', A);
    rig.annotate({ touched: 'once' });
    rig.ring();
    await rests(2);
    rig.kept = repository('6', A);
    rig.annotate({ 'rungate.dev/rang': 'x' });
    await rests(2);
    rig.kept = repository('9', B);
    rig.annotate({ 'rungate.dev/rang': 'y' });
    await rests(2);
    // It has caught up, and counts again.
    rig.live = undefined;
    const { looks } = rig;
    rig.kept = repository('12', A);
    rig.annotate({ 'pipeline.jquad.rocks/max-history': '3' });
    await ranFor(A, 3);
    assert.equal(rig.looks, looks);
  });

  it('a replica that does not lead rings by an annotation, and the same one rings no more', async () => {
    await begin();
    await ranFor(A, 1);
    rig.live = repository('2', B);
    rig.annotate({ 'rungate.dev/rang': B });
    await ranFor(B, 2);
    const { looks } = rig;
    rig.kept = repository('2', B);
    rig.annotate({ 'rungate.dev/rang': B, more: 'x' });
    await rests(2);
    assert.equal(rig.looks, looks);
  });

  it('event 15, 16: where the source may only be watched, or is gone, that is what counts', async () => {
    await begin();
    await ranFor(A, 1);
    rig.live = new Fault('refused', 'no');
    rig.ring();
    await rests(1);
    rig.live = new Fault('not-found', 'gone');
    rig.ring();
    await rig.until(() => {
      const [condition] = rig.status.conditions as readonly JsonObject[];
      assert.match(String(condition?.message), /"app" not found/);
    });
    await rests(1);
  });

  it('event 17: a source that cannot be asked at the moment is asked again', async () => {
    await begin();
    await ranFor(A, 1);
    rig.live = new Fault('unavailable', 'away');
    rig.ring();
    await rests(1);
    rig.live = repository('2', B);
    await rig.clock.turn(60_000);
    await ranFor(B, 2);
  });

  it('whoever does not lead says so, and does nothing', async () => {
    await begin();
    await ranFor(A, 1);
    rig.lead(false);
    rig.live = repository('2', B);
    assert.equal(rig.ring(), false);
    await rests(1);
  });

  it('event 12: on failures it looks again for a quarter of a minute: Flux tells first, and writes then', async () => {
    const failing = {
      conditions: [
        { type: 'Ready', status: 'False', reason: 'GitOperationFailed', lastTransitionTime: '2026-11-01T10:00:00Z' },
      ],
    };
    await begin({ on: 'Failure' });
    rig.live = repository('1', A);
    rig.ring();
    await rig.clock.turn(3_000);
    assert.deepEqual([rig.creates, rig.looks], [0, 2]);
    rig.live = repository('2', A, failing);
    await rig.clock.turn(1_000);
    await ranFor('GitOperationFailed', 1);
    await rests(1);
  });

  it('event 19: events that are believed are run in order, and put away when the next one has its run', async () => {
    const event = (key: string, revision: string, atMs: number) =>
      storedEntry({ key, cluster: 'edge', revision, reason: 'NewArtifact', message: '', atMs }) as Record<
        string,
        string
      >;
    await begin({ trustEvents: true });
    rig.stored = { ...event('1-x', A, 1_000), ...event('2-y', B, 2_000) };
    rig.ring();
    await ranFor(B, 2);
    await rig.until(() => assert.deepEqual(Object.keys(rig.stored), ['2-y']));
    rig.annotate({ 'rungate.dev/rang': 'again' });
    await rests(2);
  });

  it('says so where what is stored may not be read', async () => {
    await begin({ trustEvents: true });
    rig.storedFails = new Fault('refused', 'no');
    rig.ring();
    await rig.until(() => {
      const [condition] = rig.status.conditions as readonly JsonObject[];
      assert.deepEqual([condition?.type, /k8s\/components\/hooks/.test(String(condition?.message))], ['Error', true]);
    });
    await rests(0);
  });

  it('a bell that rings for a trigger that is wrong is heard once', async () => {
    await begin();
    await ranFor(A, 1);
    rig.trigger = { ...rig.trigger, spec: { source: { kind: 'GitRepository', name: 'app' } } };
    rig.annotate({});
    await rig.clock.turn(1_000);
    const { reconciles } = rig;
    rig.ring();
    await rests(1);
    assert.equal(rig.reconciles, reconciles + 1);
  });

  it('what waits for its hour begins when that is over', async () => {
    await begin({ maxRunsPerHour: 1 });
    await ranFor(A, 1);
    rig.live = repository('2', B);
    rig.ring();
    await rests(1);
    await rig.clock.turn(3_600_000);
    await ranFor(B, 2);
  });

  it('a run by hand is no new event, neither in words nor in numbers', async () => {
    await begin();
    await ranFor(A, 1);
    rig.annotate({ 'rungate.dev/runAt': 'x' });
    await ranFor(A, 2);
    assert.deepEqual(rig.causes, ['event', 'hand']);
    assert.deepEqual(
      rig.told.filter((message) => !message.startsWith('Started')),
      [`Source app in namespace ci got new event ${A}`, `A run of event ${A} was asked for by rungate.dev/runAt`],
    );
  });

  it('before a run by hand Flux is asked to look, and what it finds is run', async () => {
    const old = (resourceVersion: string, revision: string, more: JsonObject = {}): JsonObject => ({
      ...repository(resourceVersion, revision, {
        artifact: { revision, lastUpdateTime: '2026-10-01T00:00:00Z' },
        ...more,
      }),
      spec: { interval: '10m' },
    });
    await begin({}, old('1', A));
    await ranFor(A, 1);
    rig.annotate({ 'rungate.dev/runAt': 'x' });
    await rig.until(() => assert.deepEqual(rig.fluxAsked, ['GitRepository ci/app x']));
    await rig.clock.turn(5_000);
    assert.equal(rig.creates, 1);
    rig.kept = old('2', B, { lastHandledReconcileAt: 'x' });
    rig.annotate({ 'rungate.dev/runAt': 'x', touched: 'yes', 'rungate.dev/rang': 'z' });
    await ranFor(B, 2);
    await rests(2);
    assert.equal(rig.fluxAsked.length, 1);
  });
});
