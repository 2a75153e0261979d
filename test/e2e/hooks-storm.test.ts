/**
 * A thousand deliveries as a bad day has them: twice and three times over, in any order, late, refused by the API server, heard and
 * not answered, and rungates killed in between. `HOOK_SEED` has the same day again, `HOOK_DELIVERIES` says how many.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Dice, diceOf } from '../../bench/soak/dice.ts';
import { on, refusal } from '../support/fault-proxy.ts';
import type { Gateway } from '../support/gateway.ts';
import { type Notified, notify, type Provider } from '../support/hook-client.ts';
import type { EventBody } from '../support/hook-events.ts';
import { pendingRunOf } from '../support/hook-manifests.ts';
import { type HookResult, type HookWorld, startHookWorld } from '../support/hooks.ts';
import { clusterSuite } from '../support/needs.ts';
import { commitOf, revisionOf } from '../support/shapes.ts';
import { paramsOf } from '../support/trigger-manifests.ts';

const seed = Number(process.env.HOOK_SEED ?? Math.floor(Math.random() * 2 ** 31));
const deliveries = Number(process.env.HOOK_DELIVERIES ?? 1_000);
/** So many hooks of each kind share them. */
const HOOKS = 10;
const REVISIONS = 5;
/** Times of notification-controller are divided by this; a kill is over sooner than its patience all the same. */
const HASTE = 10;
const KILLS = 6;
const AT_ONCE = 40;

clusterSuite(`a storm of ${deliveries} deliveries (HOOK_SEED=${seed})`, { triggers: true }, function () {
  this.timeout(15 * 60_000);
  let world: HookWorld;
  /** Two replicas: one of them is always there, or coming. */
  const replicas: Gateway[] = [];

  before(async () => {
    world = await startHookWorld({
      faults: true,
      gateway: false,
      // Who is killed is followed before the next kill.
      env: { TEKTON_TRIGGERS_COMPAT: 'true', LEASE_SECONDS: '3', ...withoutLimits },
    });
    await world.pipeline('skips');
    for (let place = 0; place < HOOKS; place++) {
      for (const kind of ['el', 'pt', 'web'] as const) {
        if (kind !== 'web') await world.repository(`${kind}${place}`, revisionOf(0));
      }
    }
    for (let replica = 0; replica < 2; replica++) replicas.push(await world.startGateway());
    for (let place = 0; place < HOOKS; place++) {
      for (const [name, rev] of [
        [`el${place}`, '$(body.metadata.revision)'],
        [`web${place}`, '$(body.after)'],
      ] as const) {
        await world.listen(name, { triggers: [{ name, bindings: { rev }, resources: [pendingRunOf(name)] }] });
      }
      await world.hook(`pt${place}`);
      for (const kind of ['el', 'web', 'pt']) await world.served(`${kind}${place}`, replicas);
    }
  });
  after(() => world?.end());

  /** One delivery: what is sent where, and before it what the source shows from then on. */
  interface Sent {
    readonly hook: string;
    readonly number: number;
    readonly kind: 'el' | 'pt' | 'web';
    /** What it does by chance, whatever others do meanwhile. */
    readonly dice: Dice;
    came?: Notified;
  }

  /** What every source goes through, each in its order, and what is sent of it, in any order. */
  function planOf(dice: Dice): Sent[] {
    const kinds = ['el', 'pt', 'web'] as const;
    const distinct = kinds.flatMap((kind) =>
      Array.from({ length: HOOKS * REVISIONS }, (_, at) => {
        return { kind, hook: `${kind}${at % HOOKS}`, number: 1 + Math.floor(at / HOOKS) };
      }),
    );
    const copies = Array.from({ length: Math.max(0, deliveries - distinct.length) }, () => dice.pick(distinct));
    // Roughly in the order of their numbers: a delivery may be overtaken by later ones, not by all of them.
    return [...distinct, ...copies]
      .map((what, place): { readonly sent: Sent; readonly at: number } => ({
        sent: { ...what, dice: diceOf(seed + 100 + place) },
        at: what.number + dice.whole(0, 150) / 100,
      }))
      .sort((a, b) => a.at - b.at)
      .map(({ sent }) => sent);
  }

  const providerOf = ({ kind, hook, number }: Sent): Provider => {
    const headers: Record<string, string> = kind === 'web' ? { 'X-GitHub-Delivery': `${hook}-${number}` } : {};
    return { ...world.provider(hook, replicas[0]), headers, timeoutMs: 60_000 };
  };

  async function bodyOf({ kind, hook, number, dice }: Sent): Promise<EventBody | string> {
    if (kind === 'web') return JSON.stringify({ after: commitOf(number), hook });
    // Two Alerts write different bytes.
    return world.event(hook, { revision: revisionOf(number), metadata: { env: dice.pick(['test', 'prod']) } });
  }

  it('a listener has as many runs as keys were accepted, a trigger at most one of a revision and always the last', async () => {
    const plan = planOf(diceOf(seed));
    const shown = new Map<string, number>();
    const weather = new AbortController();
    const bad = [badWeather(diceOf(seed + 1), weather.signal), kills(diceOf(seed + 2), weather.signal)];
    const queue = [...plan];
    const sender = async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const { hook, number, kind, dice } = next;
        if (kind !== 'web' && (shown.get(hook) ?? 0) < number) {
          shown.set(hook, number); // Flux shows it right after it has told of it, or right before
          if (dice.whole(0, 1) === 0) await shownAsLast(hook);
          else later.push(sleep(dice.whole(0, 400)).then(() => shownAsLast(hook)));
        }
        await sleep(dice.whole(0, 60));
        const body = await bodyOf(next);
        next.came = await notify(providerOf(next), body, {
          haste: HASTE,
          at: () => world.provider(hook, dice.pick(replicas)).address,
        });
      }
    };
    const later: Promise<void>[] = [];
    const pushes = new Map<string, Promise<void>>();
    /** One after another: a push that is overtaken would show what was before, and going back is an event of its own. */
    const shownAsLast = (hook: string): Promise<void> => {
      const push = (pushes.get(hook) ?? Promise.resolve()).then(() =>
        world.push(hook, revisionOf(shown.get(hook) ?? 0)),
      );
      pushes.set(hook, push);
      return push;
    };
    await Promise.all(Array.from({ length: AT_ONCE }, sender));
    await Promise.all(later);
    weather.abort();
    await Promise.all(bad);
    world.faults.lift();
    for (const hook of shown.keys()) await shownAsLast(hook);
    // What was lost in the storm, or was looked for by one that was killed, is told once more, as the next event of its object does.
    for (const sent of plan.filter(({ came }) => came?.isDelivered !== true || isPending(came))) {
      sent.came = await notify(providerOf(sent), await bodyOf(sent), { haste: HASTE });
    }
    await judgeWebhooks(plan);
    await judgeListeners(plan);
    await judgeTriggers();
    const lost = plan.filter(({ came }) => came?.isDelivered !== true).length;
    const tries = plan.reduce((sum, { came }) => sum + (came?.attempts.length ?? 0), 0);
    process.stdout.write(`      ${plan.length} deliveries in ${tries} tries, ${lost} never taken\n`);
  });

  /** What Git hosts post: one run for each delivery's id that was accepted. */
  async function judgeWebhooks(plan: readonly Sent[]): Promise<void> {
    const accepted = new Set(
      plan
        .filter(({ kind, came }) => kind === 'web' && came?.isDelivered)
        .map(({ hook, number }) => `${hook} ${commitOf(number)}`),
    );
    await world.until(async () => {
      const runs = (await world.runs('web')).map((run) => `${listenerOfRun(run)} ${paramsOf(run).rev}`);
      assert.deepEqual(runs.sort(), [...accepted].sort());
    });
  }

  /** Events of Flux: one run for each revision that an answer names a run for, or that was looked for; never two of one. */
  async function judgeListeners(plan: readonly Sent[]): Promise<void> {
    const named = new Set(
      plan
        .filter(({ kind, came }) => kind === 'el' && came?.isDelivered)
        .flatMap(({ came }) => came?.last?.json<{ results: HookResult[] }>().results ?? [])
        .flatMap(({ pipelineRun }) => pipelineRun ?? []),
    );
    await world.until(async () => {
      const runs = await world.runs('el');
      const names = new Set(runs.map(({ metadata }) => `${world.namespace}/${metadata.name}`));
      assert.deepEqual(
        [...named].filter((name) => !names.has(name)),
        [],
      );
      const keys = runs.map((run) => `${listenerOfRun(run)} ${run.metadata.annotations?.['rungate.dev/revision']}`);
      assert.deepEqual(
        keys.filter((key, at) => keys.indexOf(key) !== at),
        [],
        'a key has two runs',
      );
      for (let place = 0; place < HOOKS; place++) {
        assert.ok(keys.includes(`el${place} ${revisionOf(REVISIONS)}`), `el${place} has no run of its last revision`);
      }
    });
  }

  async function judgeTriggers(): Promise<void> {
    for (let place = 0; place < HOOKS; place++) {
      await world.reached(`pt${place}`, revisionOf(REVISIONS));
      const commits = (await world.runsOf(`pt${place}`)).map((run) => paramsOf(run).rev);
      assert.equal(new Set(commits).size, commits.length, `pt${place}: ${commits.join()}`);
      assert.ok(commits.includes(commitOf(REVISIONS)));
    }
  }

  /** What the API server does to writes until `over` aborts. */
  async function badWeather(dice: Dice, over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      const times = dice.whole(1, 4);
      const which = dice.pick([
        on.create('pipelineruns'),
        { path: /\/configmaps/ },
        { method: 'GET', path: /repositories\// },
      ]);
      world.faults.add({
        on: which,
        times,
        fault: dice.pick([
          refusal(500),
          refusal(503),
          refusal(429, 1),
          { kind: 'lost', how: 'reset' },
          { kind: 'delay', ms: dice.whole(50, 1_500) },
        ]),
      });
      await sleep(dice.whole(100, 600), undefined, { ref: false });
    }
  }

  /** Kills one replica after the other, each of which comes back. */
  async function kills(dice: Dice, over: AbortSignal): Promise<void> {
    for (let kill = 0; kill < KILLS && !over.aborted; kill++) {
      await sleep(dice.whole(1_000, 4_000), undefined, { ref: false });
      if (over.aborted) return;
      const place = kill % replicas.length;
      await replicas[place]?.stop('SIGKILL');
      replicas[place] = await world.startGateway();
    }
  }
});

const isPending = ({ last }: Notified) =>
  last?.json<{ results: HookResult[] }>().results.some(({ outcome }) => outcome === 'pending') ?? false;

/** More than a storm comes to: what is refused for its pace is another test's matter. */
const withoutLimits = { HOOKS_PER_SECOND: '0', MAX_HOOKS: '1000' };

const listenerOfRun = ({ metadata }: { readonly metadata: { readonly labels?: Readonly<Record<string, string>> } }) =>
  metadata.labels?.['triggers.tekton.dev/eventlistener'];
