/**
 * Two and three rungates that look after the same triggers: one leads, and another does when that one is killed, told to stop,
 * cut off, or was the original operator. Whatever happens, a revision is one run, and never do two write at once.
 */
import assert from 'node:assert/strict';
import { eventually } from '../support/eventually.ts';
import { on } from '../support/fault-proxy.ts';
import { leaderOf, openPlace, type Place } from '../support/places.ts';
import { commitOf, revisionOf, type Shape, shapes, triggerOf } from '../support/shapes.ts';
import { startTriggerWorld, type TriggerWorld } from '../support/triggers.ts';
import { auditedWrites, secondWriters, writesThrough } from '../support/writers.ts';

const within = { withinMs: 240_000 };
const leaseName = 'bb9e0b30.jquad.rocks';
/** Nobody may lose it for being slow: who leads is what is tested. */
const leaseSeconds = 10;
const microTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;

interface LeaseSpec {
  readonly holderIdentity: string;
  readonly leaseDurationSeconds: number;
  readonly acquireTime: string;
  readonly renewTime: string;
  readonly leaseTransitions: number;
}

describe('several rungates with the part triggers', function () {
  this.timeout(600_000);
  let world: TriggerWorld;
  let places: readonly [Place, Place, Place];
  /** How many revisions each source has had. */
  let revision = 1;

  before(async () => {
    world = await startTriggerWorld({ gateway: false, env: { LEASE_SECONDS: String(leaseSeconds) } });
    places = [await openPlace(world, 'a'), await openPlace(world, 'b'), await openPlace(world, 'c')];
    await world.pipeline('skips');
    for (const shape of shapes) {
      await world.repository(sourceOf(shape), revisionOf(revision));
      await world.trigger(triggerOf(shape, sourceOf(shape)));
    }
  });
  after(async () => {
    await world?.end();
    for (const place of places ?? []) await place.close();
  });

  const sourceOf = (shape: Shape) => (shape === 'pipeline' ? 'first' : 'last');
  const leasePath = () => `/apis/coordination.k8s.io/v1/namespaces/${world.namespace}/leases/${leaseName}`;
  const lease = async () => (await world.admin.get<{ spec: LeaseSpec }>(leasePath())).spec;
  const leader = (among: readonly Place[] = places) => eventually(() => leaderOf(among), within);
  const push = async () => {
    revision++;
    for (const shape of shapes) await world.push(sourceOf(shape), revisionOf(revision));
  };
  /** Each revision so far is one run of each trigger, and the status says so. */
  const isRight = async () => {
    for (const shape of shapes) {
      const name = sourceOf(shape);
      const { eventSequence } = await world.reached(name, revisionOf(revision));
      const runs = await world.runsOf(name);
      const commits = runs.map(({ spec }) => spec.params?.find((param) => param.name === 'rev')?.value);
      assert.deepEqual(
        commits.sort(),
        Array.from({ length: revision }, (_, at) => commitOf(at + 1)),
      );
      assert.equal(eventSequence, revision);
    }
  };
  const noSecondWriter = async () => {
    assert.deepEqual(secondWriters(writesThrough(places.map(({ faults }) => faults))), []);
    const audited = await auditedWrites(world);
    if (audited === undefined) return;
    assert.ok(audited.filter(({ what }) => what === 'object').length >= 2 * revision, 'the audit log has these writes');
    assert.deepEqual(secondWriters(audited), []);
  };

  it('one of three leads, and the Lease says so as client-go does', async () => {
    await Promise.all(places.map((place) => place.start()));
    const { name } = await leader();
    await isRight();
    const spec = await lease();
    assert.match(spec.holderIdentity, new RegExp(`^${name}_`));
    assert.equal(spec.leaseDurationSeconds, leaseSeconds);
    assert.match(spec.acquireTime, microTime);
    assert.match(spec.renewTime, microTime);
    assert.equal(spec.leaseTransitions, 0);
    await eventually(async () => assert.ok((await lease()).renewTime > spec.renewTime), within);
    assert.equal((await lease()).acquireTime, spec.acquireTime);
    const printed = await world.kubectl('get', 'lease', leaseName, '--namespace', world.namespace, '--no-headers');
    assert.match(printed.stdout, new RegExp(`^${leaseName.replaceAll('.', '\\.')} +${spec.holderIdentity} +\\d+s`));
  });

  it('one that is killed is followed by another, which runs what came in between', async () => {
    const before = await lease();
    const first = await leader();
    await first.gateway.stop('SIGKILL');
    await push();
    const second = await leader(places.filter((place) => place !== first));
    await isRight();
    const spec = await lease();
    assert.match(spec.holderIdentity, new RegExp(`^${second.name}_`));
    assert.equal(spec.leaseTransitions, before.leaseTransitions + 1);
    assert.ok(spec.acquireTime > before.acquireTime);
    await first.start();
    await push();
    await isRight();
    assert.equal(await leader(), second, 'who comes back waits for his turn');
  });

  it('one that is cut off stops before another begins, and stands by when it is back', async () => {
    const first = await leader();
    await push();
    const heal = first.cut();
    await push();
    await eventually(async () => assert.equal(await first.leads(), false), within);
    const second = await leader();
    assert.notEqual(second, first);
    await isRightOrSkipped();
    heal();
    await push();
    await isRightOrSkipped();
    assert.equal(await leader(), second);
    await noSecondWriter();
  });

  /** Two revisions came right after each other, and the first of them may have been passed over. */
  const isRightOrSkipped = async () => {
    for (const shape of shapes) {
      const name = sourceOf(shape);
      await world.reached(name, revisionOf(revision));
      const runs = await world.runsOf(name);
      const commits = runs.map(({ spec }) => spec.params?.find((param) => param.name === 'rev')?.value);
      assert.equal(new Set(commits).size, commits.length, commits.join());
      assert.ok(commits.includes(commitOf(revision)));
    }
  };

  it('the API server goes away for all of them, and when it is back one leads', async () => {
    const before = await leader();
    await Promise.all(places.map(({ faults }) => faults.away()));
    await eventually(async () => assert.equal(await before.leads(), false), within);
    await push();
    await Promise.all(places.map(({ faults }) => faults.back()));
    await leader();
    await isRightOrSkipped();
    await noSecondWriter();
  });

  it('one that is told to stop hands over at once, however long its Lease would last', async () => {
    const last = await leader();
    // One that is stopped while it takes the Lease does not hear that it has it.
    await Promise.all(places.filter((place) => place !== last).map(({ gateway }) => gateway.stop()));
    await last.gateway.stop();
    assert.equal((await lease()).holderIdentity, '');
    const env = { LEASE_SECONDS: '60' };
    await Promise.all(places.slice(0, 2).map((place) => place.start(env)));
    const first = await leader(places.slice(0, 2));
    const { leaseDurationSeconds } = await lease();
    assert.equal(leaseDurationSeconds, 60);
    assert.equal((await first.gateway.stop()).code, 0);
    await push();
    const [second] = places.slice(0, 2).filter((place) => place !== first);
    // Well within the minute that a Lease which nobody gave back would have to be waited for.
    await eventually(async () => assert.equal(await second?.leads(), true), { withinMs: 45_000 });
    await isRightOrSkipped();
    await noSecondWriter();
    await second?.gateway.stop();
  });

  it('the original operator is not disturbed while it renews its Lease, and followed when it does no more', async () => {
    const original = 'pipeline-trigger-operator-controller-manager-7d9f8-x2vqp_5c1c9f3e';
    const hold = async () => {
      const now = new Date().toISOString().replace('Z', '000Z');
      const record = {
        holderIdentity: original,
        leaseDurationSeconds: 10,
        acquireTime: now,
        renewTime: now,
        leaseTransitions: 0,
      };
      await world.admin.patch(leasePath(), { spec: record });
    };
    await hold();
    const [place] = places;
    await place.start();
    await eventually(() => assert.match(place.gateway.log(), /another replica leads/), within);
    await push();
    const { length } = await world.runsOf(sourceOf('pipeline'));
    // One that did not see it renewed would take it after ten seconds.
    for (let renewals = 0; renewals < 13; renewals++) {
      await hold();
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      assert.equal(await place.leads(), false);
      assert.equal((await lease()).holderIdentity, original);
    }
    assert.equal((await world.runsOf(sourceOf('pipeline'))).length, length);
    await eventually(async () => assert.equal(await place.leads(), true), within);
    await isRightOrSkipped();
    await noSecondWriter();
  });

  it('trigger 16: a create that arrives when another one leads already is the same run', async () => {
    await Promise.all(places.slice(1).map((place) => place.start()));
    const first = await leader();
    const isTaken = new Promise((met) =>
      first.faults.add({
        on: on.create('pipelineruns'),
        fault: { kind: 'lost', how: 'silence', lateMs: 2_000 * leaseSeconds },
        times: 2,
        met,
      }),
    );
    await push();
    await world.until(async () => assert.equal((await world.status('first')).latestPipelineRun, 'Unknown'));
    first.faults.add({ on: on.lease, fault: { kind: 'silence' } });
    const second = await leader(places.filter((place) => place !== first));
    assert.notEqual(second, first);
    await isTaken;
    await isRightOrSkipped();
  });

  it('a Lease that somebody deletes is made again, and one leads', async () => {
    for (const { faults } of places) faults.lift();
    await leader();
    await world.admin.remove(leasePath());
    await push();
    await eventually(async () => {
      await lease();
      await leaderOf(places);
    }, within);
    await isRightOrSkipped();
  });

  it('and in the end each run is one of its own event, and its trigger names the last', async () => {
    for (const shape of shapes) {
      const runs = await world.runsOf(sourceOf(shape));
      const keys = runs.map(({ metadata }) => metadata.annotations?.['pipeline.jquad.rocks/event-key']);
      assert.equal(new Set(keys).size, runs.length);
      const { latestPipelineRun } = await world.reached(sourceOf(shape), revisionOf(revision));
      const last = runs.find(
        ({ spec }) => spec.params?.find(({ name }) => name === 'rev')?.value === commitOf(revision),
      );
      assert.equal(latestPipelineRun, last?.metadata.name);
    }
  });
});
