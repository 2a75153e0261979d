import assert from 'node:assert/strict';
import { TriggerRig } from '../../../test/support/trigger-rig.ts';
import { Fault } from '../../fault.ts';
import { type JsonObject, objectOf } from '../../kube/objects.ts';
import { projectTrigger } from './resource.ts';

describe('the controller of triggers', () => {
  let rig: TriggerRig;
  afterEach(() => rig.stop());

  const runsNamed = () =>
    Object.values(objectOf(objectOf(rig.status.branches).branch)).map((entry) => objectOf(entry).latestPipelineRun);

  it('makes a run of each branch, and writes down which', async () => {
    rig = new TriggerRig(['a', 'b']);
    await rig.start();
    await rig.until(() => assert.deepEqual(runsNamed().sort(), [...rig.runs.keys()].sort()));
    assert.equal(rig.creates, 2);
  });

  it('goes on with others after 25 of a hundred branches, and makes all hundred in the end', async () => {
    rig = new TriggerRig(Array.from({ length: 100 }, (_, place) => `b${place}`));
    await rig.start();
    await rig.until(() => assert.ok(!runsNamed().includes('Unknown') && runsNamed().length === 100));
    assert.equal(rig.creates, 100);
    const portion = rig.writes.slice(0, rig.writes.lastIndexOf('status', 27));
    assert.equal(portion.filter((write) => write.startsWith('run ')).length, 25);
  });

  it('an intent that the watch tells of late is no reason for a run: that run has ended and is gone', async () => {
    const before = new TriggerRig(['a']);
    let intended: JsonObject | undefined;
    before.onCreate = () => {
      intended = before.trigger;
    };
    await before.start();
    await before.until(() => assert.equal(before.status.latestPipelineRun, [...before.runs.keys()][0]));
    await before.stop();

    rig = new TriggerRig(['a']);
    rig.trigger = intended ?? assert.fail('nothing was created');
    rig.watch();
    rig.trigger = before.trigger;
    await rig.start();
    // It asks after its run, which is gone: that is how it ended.
    await rig.until(() => assert.deepEqual(rig.writes, ['status']));
    await rig.clock.turn(60_000);
    assert.equal(rig.creates, 0);
  });

  it('a run that was made before a crash is known again, though the template gives it another name by now', async () => {
    const before = new TriggerRig(['a']);
    let intended: JsonObject | undefined;
    before.onCreate = () => {
      intended = before.trigger;
    };
    await before.start();
    await before.until(() => assert.ok(intended));
    await before.stop();

    rig = new TriggerRig(['a']);
    const trigger = intended ?? assert.fail('nothing was created');
    const spec = objectOf(trigger.spec);
    const pipelineRun = { ...objectOf(spec.pipelineRun), metadata: { generateName: 'other-' } };
    rig.trigger = { ...trigger, spec: { ...spec, pipelineRun } };
    rig.watch();
    for (const run of before.runs.values()) rig.have(run);
    await rig.start();
    await rig.until(() => assert.equal(rig.status.latestPipelineRun, [...before.runs.keys()][0]));
    assert.equal(rig.creates, 0);
  });

  it('an intent that stands is carried out by whoever comes next', async () => {
    const before = new TriggerRig(['a']);
    let intended: JsonObject | undefined;
    before.onCreate = () => {
      intended = before.trigger;
    };
    await before.start();
    await before.until(() => assert.ok(intended));
    await before.stop();

    rig = new TriggerRig(['a']);
    rig.trigger = intended ?? assert.fail('nothing was created');
    rig.watch();
    await rig.start();
    await rig.until(() => assert.equal(rig.status.latestPipelineRun, [...before.runs.keys()][0]));
    assert.equal(rig.creates, 1);
  });

  it('nothing is started on a status that the cluster does not keep whole, and it is not written again and again', async () => {
    rig = new TriggerRig(['a']);
    rig.keep = ({ eventSequence, ...kept }) => kept;
    await rig.start();
    await rig.until(() => assert.equal(rig.writes.length, 1));
    await rig.clock.turn(30_000);
    assert.deepEqual(rig.writes, ['status']);
  });

  it('a status that is refused is told of in an Event', async () => {
    rig = new TriggerRig(['a']);
    rig.refuseStatus = 'status.conditions: Invalid value';
    await rig.start();
    await rig.until(() =>
      assert.deepEqual(rig.told, ['the status cannot be written: status.conditions: Invalid value']),
    );
    assert.equal(rig.creates, 0);
  });

  it('trigger 45: what is in the way is told once: a restart neither tells of it nor writes it again', async () => {
    const before = new TriggerRig(['a']);
    before.trigger = { ...before.trigger, spec: { source: { kind: 'PullRequest', name: 'app' }, pipelineRun: {} } };
    before.watch();
    await before.start();
    await before.until(() => assert.equal(before.told.length, 1));
    await before.stop();

    rig = new TriggerRig(['a']);
    rig.trigger = before.trigger;
    rig.watch();
    await rig.start();
    await rig.clock.turn(60_000);
    assert.deepEqual([rig.told, rig.writes], [[], []]);
  });

  it('a create that failed is tried again in time, though the clock was set back meanwhile', async () => {
    rig = new TriggerRig(['a']);
    rig.refusals.push(new Fault('unavailable', 'no answer'));
    await rig.start();
    await rig.until(() => assert.equal(objectOf((rig.status.conditions as readonly JsonObject[])[0]).type, 'Error'));
    rig.clock.correct(-3_600_000);
    await rig.clock.turn(1_000);
    await rig.until(() => assert.equal(rig.creates, 1));
  });

  it('a server that asks to be left alone for ever is asked again after ten minutes', async () => {
    rig = new TriggerRig(['a']);
    rig.refusals.push(new Fault('unavailable', 'busy', { retryAfterMs: Number.POSITIVE_INFINITY }));
    await rig.start();
    await rig.until(() => assert.equal(objectOf((rig.status.conditions as readonly JsonObject[])[0]).type, 'Error'));
    assert.equal(rig.creates, 0);
    await rig.clock.turn(600_000);
    await rig.until(() => assert.equal(rig.creates, 1));
  });

  it('whoever no longer leads shows no conditions any more', async () => {
    rig = new TriggerRig(['a']);
    await rig.start();
    await rig.until(() => assert.deepEqual([...rig.shown], ['t']));
    rig.lead(false);
    await rig.clock.turn(60_000);
    assert.deepEqual([...rig.shown], []);
    rig.lead(true);
    await rig.until(() => assert.deepEqual([...rig.shown], ['t']));
  });

  it('a trigger that goes while its source is asked for shows no conditions any more', async () => {
    rig = new TriggerRig(['a']);
    await rig.start();
    await rig.until(() => assert.equal(rig.status.latestPipelineRun, [...rig.runs.keys()][0]));
    rig.onLook = () => rig.triggers.writer.remove(projectTrigger(rig.trigger));
    rig.ring();
    await rig.until(() => assert.equal(rig.looks, 1));
    await rig.clock.turn(60_000);
    assert.deepEqual([...rig.shown], []);
  });

  it('a trigger that goes while its runs are made gets no more of them', async () => {
    rig = new TriggerRig(['a', 'b', 'c']);
    rig.onCreate = () => rig.triggers.writer.remove(projectTrigger(rig.trigger));
    await rig.start();
    await rig.until(() => assert.equal(rig.creates, 1));
    await rig.clock.turn(60_000);
    assert.equal(rig.creates, 1);
  });
});
