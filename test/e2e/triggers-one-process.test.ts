/** The gateway and the controllers of triggers in one process: what they share of the API server, and what neither may take from the other. */
import assert from 'node:assert/strict';
import { on, type PassedRequest } from '../support/fault-proxy.ts';
import { Tally, wholeTrigger } from '../support/trigger-manifests.ts';
import { startTriggerWorld, type TriggerWorld } from '../support/triggers.ts';

/** What a client has for short calls. */
const SOCKETS = 64;
const LEASE_SECONDS = 12;
/** Who cannot renew the Lease for so long leads no more. */
const DEADLINE_MS = (LEASE_SECONDS * 1_000 * 2) / 3;

describe('the gateway and the controllers in one process', function () {
  this.timeout(600_000);
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
    // One of each kind begins with a list; what comes after goes on from there. A server that has yet to read a kind says so with a 429.
    const asked = world.faults.matching({ query: { watch: /^true$/, sendInitialEvents: /^true$/ } });
    const begun = asked.filter(({ status }) => status === 200);
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
    const isOpenDuring = (renewal: PassedRequest) => (call: PassedRequest) =>
      call.start <= renewal.start && (call.end ?? Number.POSITIVE_INFINITY) >= (renewal.end ?? 0);
    /** When the Lease was renewed while every socket was taken. */
    const renewals = () => {
      const calls = world.faults.matching(isOneRun);
      return world.faults
        .matching({ ...on.lease, method: 'PUT' })
        .filter((renewal) => renewal.status === 200 && calls.filter(isOpenDuring(renewal)).length === SOCKETS)
        .map(({ start }) => start);
    };
    const heal = world.faults.add({ on: isOneRun, fault: { kind: 'silence' } });
    const before = await spec();
    const over = new AbortController();
    // Each call is given up after ten seconds, and followed by another one.
    const asking = Promise.all(
      Array.from({ length: SOCKETS + 20 }, async (_, at) => {
        while (!over.signal.aborted) await world.gateway.get(`/status/missing-${at}`);
      }),
    );
    asking.catch(() => {}); // heard of in the end
    await world.until(async () => {
      const times = renewals();
      assert.ok((times.at(-1) ?? 0) - (times[0] ?? 0) > DEADLINE_MS, `renewed at ${times.join()}`);
    });
    over.abort();
    heal();
    await asking;
    const after = await spec();
    assert.deepEqual([after.holderIdentity, after.leaseTransitions], [before.holderIdentity, before.leaseTransitions]);
    assert.equal(await world.gateway.metric('rungate_leader'), 1);
    assert.doesNotMatch(world.gateway.log(), /leads no more/);
    await world.push('shared', `main/${'2'.repeat(40)}`);
    await tally.has(world, 'shared', 2);
  });

  it('and in the end no trigger has another run', () => tally.again(world));
});
