/** The gateway and the controllers of triggers in one process: what they share of the API server, and what neither may take from the other. */
import assert from 'node:assert/strict';
import type { PassedRequest } from '../support/fault-proxy.ts';
import { Tally, wholeTrigger } from '../support/trigger-manifests.ts';
import { startTriggerWorld, type TriggerWorld } from '../support/triggers.ts';

/** What a client has for short calls. */
const SOCKETS = 64;
const LEASE_SECONDS = 6;
/** Who cannot renew the Lease for so long leads no more. */
const DEADLINE_MS = (LEASE_SECONDS * 1_000 * 2) / 3;

describe('the gateway and the controllers in one process', function () {
  this.timeout(300_000);
  let world: TriggerWorld;
  const tally = new Tally();

  before(async () => {
    world = await startTriggerWorld({
      faults: true,
      gateway: false,
      env: { CACHE: 'on', LEASE_SECONDS: String(LEASE_SECONDS) },
    });
    await world.pipeline('skips');
    await world.startGateway();
  });
  after(() => world?.end());

  it('watch each kind once, and both hear of what it tells', async () => {
    await world.repository('shared', `main/${'1'.repeat(40)}`);
    await world.trigger(wholeTrigger('shared', 'shared'));
    const [run] = await tally.has(world, 'shared', 1);
    await world.says('shared', 'Success', 'True');
    await world.until(async () => {
      const told = (await world.gateway.get(`/triggers/${world.namespace}/shared`)).json<{
        latestPipelineRun?: string;
      }>();
      assert.equal(told.latestPipelineRun, run?.metadata.name);
    });
    // One of each kind begins with a list; what comes after goes on from there.
    const begun = world.faults.matching({ query: { watch: /^true$/, sendInitialEvents: /^true$/ } });
    const kinds = begun.map(({ path }) => path).sort();
    assert.deepEqual(kinds, [...new Set(kinds)]);
    for (const kind of ['pipelinetriggers', 'pipelineruns', 'gitrepositories', 'taskruns']) {
      assert.equal(kinds.filter((path) => path.endsWith(`/${kind}`)).length, 1, kinds.join('\n'));
    }
  });

  it('keep the Lease although every socket for other calls hangs, and go on when they do', async () => {
    const lease = `/apis/coordination.k8s.io/v1/namespaces/${world.namespace}/leases/bb9e0b30.jquad.rocks`;
    const spec = async () =>
      (await world.admin.get<{ spec: { holderIdentity: string; renewTime: string; leaseTransitions: number } }>(lease))
        .spec;
    const isOneRun = { method: 'GET', path: /\/pipelineruns\/missing-\d+$/ };
    const hanging = () => world.faults.matching(isOneRun).filter(({ end }: PassedRequest) => end === undefined);
    const heal = world.faults.add({ on: isOneRun, fault: { kind: 'silence' } });
    const before = await spec();
    const answers = Array.from({ length: SOCKETS + 20 }, (_, at) => world.gateway.get(`/status/missing-${at}`));
    await world.until(async () => assert.equal(hanging().length, SOCKETS));
    const filledAt = Date.parse((await spec()).renewTime);
    await world.until(async () => {
      const { renewTime } = await spec();
      assert.ok(Date.parse(renewTime) - filledAt > DEADLINE_MS, renewTime);
    });
    assert.equal(hanging().length, SOCKETS, 'they hang all the while');
    heal();
    await Promise.all(answers); // each is given up after ten seconds
    const after = await spec();
    assert.deepEqual([after.holderIdentity, after.leaseTransitions], [before.holderIdentity, before.leaseTransitions]);
    assert.equal(await world.gateway.metric('rungate_leader'), 1);
    assert.doesNotMatch(world.gateway.log(), /leads no more/);
    await world.push('shared', `main/${'2'.repeat(40)}`);
    await tally.has(world, 'shared', 2);
  });

  it('and in the end no trigger has another run', () => tally.again(world));
});
