/** Hooks while things go wrong around them: creations that fail or are taken unheard, kills, watches that end, kinds that come later. */
import assert from 'node:assert/strict';
import { eventually } from '../support/eventually.ts';
import { expiredFrame, on, refusal } from '../support/fault-proxy.ts';
import { notify, postOnce } from '../support/hook-client.ts';
import type { EventBody } from '../support/hook-events.ts';
import { listenerOf } from '../support/hook-manifests.ts';
import { type HookResult, type HookWorld, startHookWorld } from '../support/hooks.ts';
import { clusterSuite } from '../support/needs.ts';
import { commitOf, revisionOf } from '../support/shapes.ts';
import { paramsOf } from '../support/trigger-manifests.ts';

const creation = on.create('pipelineruns');
/** So much faster than notification-controller is tried again. */
const haste = 10;

clusterSuite('hooks when things go wrong', { triggers: true }, function () {
  this.timeout(300_000);
  let world: HookWorld;

  before(async () => {
    world = await startHookWorld({ faults: true, env: { TEKTON_TRIGGERS_COMPAT: 'true' } });
    await world.pipeline('skips');
  });
  afterEach(() => world?.faults.lift());
  after(() => world?.end());

  /** A listener and its source at revision 2; resolves with an event of that. */
  const listener = async (name: string): Promise<EventBody> => {
    await world.repository(name, revisionOf(2));
    await world.listen(name);
    return world.event(name, { revision: revisionOf(2) });
  };
  /** A trigger with a hook that has had its run of revision 1, and a source at revision 2 that no watch has told of. */
  const trigger = async (name: string): Promise<EventBody> => {
    await world.repository(name, revisionOf(1));
    await world.hook(name);
    await world.reached(name, revisionOf(1));
    return world.event(name, { revision: revisionOf(2) });
  };
  const outcomeOf = (text: string) => (JSON.parse(text) as { results: HookResult[] }).results[0]?.outcome;
  const outcomeFor = async (hook: string, event: EventBody) => (await world.results(hook, event))[0]?.outcome;
  const runsOf = async (name: string, count: number) =>
    world.until(async () => {
      const runs = await world.runs(`${name}-`);
      assert.equal(runs.length, count, runs.map(({ metadata }) => metadata.name).join());
    });

  it('event 17: a listener whose creation fails twice says 503 with Retry-After, and has one run when it is asked again', async () => {
    const event = await listener('refused');
    world.faults.add({ on: creation, fault: refusal(500) });
    const { status, headers, text } = await world.post('refused', event);
    assert.deepEqual([status, headers['retry-after']], [503, '3'], text);
    await runsOf('refused', 0);
    world.faults.lift();
    world.faults.add({ on: creation, fault: refusal(500), times: 2 });
    const { isDelivered, last } = await notify(world.provider('refused'), event, { haste });
    assert.ok(isDelivered, last?.text);
    assert.equal(outcomeOf(last?.text ?? ''), 'created');
    await runsOf('refused', 1);
  });

  it('event 17: a trigger whose creation fails twice has one run, and the sender need not know', async () => {
    const event = await trigger('bell-refused');
    await world.push('bell-refused', revisionOf(2));
    world.faults.add({ on: creation, fault: refusal(500), times: 2 });
    await world.results('bell-refused', event);
    await world.reached('bell-refused', revisionOf(2));
    await runsOf('bell-refused', 2);
  });

  for (const how of ['reset', 'silence'] as const) {
    it(`event 18: a creation that is taken unheard (${how}) is found to be the same run`, async () => {
      const name = `unheard-${how}`;
      const event = await listener(name);
      world.faults.add({ on: creation, fault: { kind: 'lost', how }, times: 1 });
      const { isDelivered, last } = await notify(world.provider(name), event, { haste });
      assert.ok(isDelivered, last?.text);
      assert.match(outcomeOf(last?.text ?? '') ?? '', /^(created|duplicate)$/);
      await runsOf(name, 1);
      assert.equal(await outcomeFor(name, { ...event, message: 'again' }), 'duplicate');
      await runsOf(name, 1);
    });
  }

  it('event 18: a trigger whose creation is taken unheard has one run', async () => {
    const event = await trigger('bell-unheard');
    await world.push('bell-unheard', revisionOf(2));
    world.faults.add({ on: creation, fault: { kind: 'lost', how: 'reset' }, times: 1 });
    await world.results('bell-unheard', event);
    await world.reached('bell-unheard', revisionOf(2));
    await runsOf('bell-unheard', 2);
  });

  it('event 19: a ledger that cannot be read or written is 503, never a second run', async () => {
    const event = await listener('ledger');
    const lift = world.faults.add({ on: { path: /\/configmaps\/ledger-/ }, fault: refusal(500) });
    const liftCreation = world.faults.add({ on: on.create('configmaps'), fault: refusal(500) });
    const first = await world.post('ledger', event);
    assert.equal(first.status, 503, first.text);
    lift();
    liftCreation();
    const { isDelivered } = await notify(world.provider('ledger'), event, { haste });
    assert.ok(isDelivered);
    await runsOf('ledger', 1);
    const [run] = await world.runs('ledger-');
    await world.remove(run?.metadata.name ?? '', { wait: true });
    assert.equal(await outcomeFor('ledger', { ...event, message: 'again' }), 'duplicate');
    await runsOf('ledger', 0);
  });

  it('killed when the run is created, unheard: the sender who comes again makes no second one', async () => {
    const event = await listener('killed');
    const isTaken = new Promise((met) =>
      world.faults.add({ on: creation, fault: { kind: 'lost', how: 'silence' }, times: 1, met }),
    );
    const unheard = postOnce(world.provider('killed'), event);
    await isTaken;
    await world.gateway.stop('SIGKILL');
    await unheard.catch(() => undefined);
    await world.restart();
    await world.served('killed');
    const { isDelivered, last } = await notify(world.provider('killed'), event, { haste });
    assert.ok(isDelivered, last?.text);
    await runsOf('killed', 1);
  });

  it('event 16: nobody there while the source moved twice: one run for what it is now, and none for what it was', async () => {
    const event = await trigger('missed');
    await world.gateway.stop();
    await world.push('missed', revisionOf(2));
    const { isDelivered } = await notify(world.provider('missed'), event, { haste: 100 });
    assert.equal(isDelivered, false);
    await world.push('missed', revisionOf(3));
    await world.restart();
    await world.reached('missed', revisionOf(3));
    const commits = (await world.runsOf('missed')).map((run) => paramsOf(run).rev).sort();
    assert.deepEqual(commits, [commitOf(1), commitOf(3)]);
  });

  it('event 27: a watch that has to begin anew makes nothing twice, and hooks stay as they are', async () => {
    const event = await listener('relisted');
    const bell = await trigger('bell-relisted');
    assert.equal(await outcomeFor('relisted', event), 'created');
    await world.push('bell-relisted', revisionOf(2));
    await world.results('bell-relisted', bell);
    await world.reached('bell-relisted', revisionOf(2));
    const kinds = ['gitrepositories', 'pipelinetriggers', 'pipelineruns', 'eventlisteners', 'triggertemplates'];
    world.faults.forget();
    for (const kind of kinds) world.faults.add({ on: on.watch(kind), fault: expiredFrame({ bytes: 0 }), times: 1 });
    world.faults.reset();
    await world.until(async () => {
      for (const kind of kinds) {
        const faults = world.faults.matching(on.watch(kind)).map(({ fault }) => fault);
        assert.ok(faults.includes('insert') && faults.at(-1) === undefined, `${kind}: ${faults.join()}`);
      }
    });
    assert.equal(await outcomeFor('relisted', { ...event, message: 'again' }), 'duplicate');
    await world.results('bell-relisted', { ...bell, message: 'again' });
    await world.settled();
    await runsOf('relisted', 1);
    await runsOf('bell-relisted', 2);
  });

  it('event 26: kinds that are not there at the start are taken up when they come, and others are not held up', async () => {
    const unhide = ['v1beta1', 'v1alpha1'].map((version) =>
      world.faults.hide({ group: 'triggers.tekton.dev', version }),
    );
    world.faults.reset();
    const late = await world.startGateway();
    await world.repository('early', revisionOf(1));
    await world.hook('early');
    await world.served('early', [late]);
    for (const object of listenerOf('comes')) await world.apply(object);
    await world.repository('comes', revisionOf(2));
    const event = await world.event('comes', { revision: revisionOf(2) });
    const before = await world.post('comes', event, { gateway: late });
    assert.ok([404, 503].includes(before.status), before.text);
    for (const lift of unhide) lift();
    // Kinds that are not there are looked for once a minute, each for itself.
    let tries = 0;
    await eventually(
      async () => {
        const [result] = await world.results('comes', { ...event, message: `try ${++tries}` }, late);
        assert.ok(['created', 'duplicate'].includes(result?.outcome ?? ''), JSON.stringify(result));
      },
      { withinMs: 240_000, everyMs: 500 },
    );
    await runsOf('comes', 1);
    await late.stop();
  });
});
