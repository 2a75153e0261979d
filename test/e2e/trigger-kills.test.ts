/**
 * Exactly once, held against kills: of two rungates the one that leads is killed again and again, at any instant and right
 * after each of the writes that make a run of a revision, while revisions keep coming. `TRIGGER_SEED` has the same kills and
 * revisions again, `TRIGGER_KILLS` says how many kills.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Dice, diceOf, planOf } from '../../bench/soak/dice.ts';
import { eventually } from '../support/eventually.ts';
import { on, type RequestMatch, type WireFault } from '../support/fault-proxy.ts';
import { onCluster } from '../support/ground.ts';
import { leaderOf, openPlace, type Place } from '../support/places.ts';
import { commitOf, intentWrite, revisionOf, runWrite, type Shape, shapes, triggerOf } from '../support/shapes.ts';
import { type RunManifest, startTriggerWorld, type TriggerWorld } from '../support/triggers.ts';
import { auditedWrites, secondWriters, writesThrough } from '../support/writers.ts';

const seed = Number(process.env.TRIGGER_SEED ?? Math.floor(Math.random() * 2 ** 31));
const kills = Number(process.env.TRIGGER_KILLS ?? (onCluster ? 20 : 200));
/** Worlds side by side: most of the time each of them waits for a Lease to run out. */
const lanes = onCluster ? 2 : 4;
/**
 * How long nobody leads after a kill. Writes of the one that was killed are on their way for a third of it at least: a real API server may
 * take seconds over one.
 */
const leaseSeconds = onCluster ? '10' : '3';
const patience = { withinMs: 120_000 };
/** Tekton may have the runs of others to see to before the last ones of these end. */
const tektonsPatience = { withinMs: 600_000 };

/** When the leader dies. `unheard`: the server has taken the write, and the process does not know. */
const instants = [
  'any',
  'any',
  'intent',
  'create',
  'name',
  'end',
  'intent unheard',
  'create unheard',
  'name unheard',
] as const;
type Instant = (typeof instants)[number];

const writeOf = (instant: Instant): RequestMatch | undefined => {
  switch (instant) {
    case 'any':
      return undefined;
    case 'intent':
    case 'intent unheard':
      return on.status('pipelinetriggers', '[^/]+', intentWrite);
    case 'create':
    case 'create unheard':
      return on.create('pipelineruns');
    case 'name':
    case 'name unheard':
      return on.status('pipelinetriggers', '[^/]+', runWrite);
    case 'end':
      return on.status('pipelinetriggers', '[^/]+', /"outcome":\{/);
  }
};

/** A trigger, and how its source moves. `waits`: each revision comes when the one before has its run, so none may be missing. */
interface Driven {
  readonly name: string;
  readonly shape: Shape;
  readonly waits: boolean;
  /** The last revision. */
  revision: number;
}

const commitIn = ({ spec }: RunManifest) => spec.params?.find(({ name }) => name === 'rev')?.value;

describe(`exactly once, through ${kills} kills (TRIGGER_SEED=${seed})`, function () {
  this.timeout(20 * 60_000);
  const open: (() => Promise<void>)[] = [];
  after(async () => {
    await Promise.all(open.map((end) => end()));
  });

  /** Moves a source until `over` aborts. */
  async function drive(world: TriggerWorld, driven: Driven, dice: Dice, over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      if (driven.waits) {
        await eventually(
          async () => {
            if (over.aborted) return;
            const { latestEvent, latestPipelineRun } = await world.status(driven.name);
            assert.equal(latestEvent, revisionOf(driven.revision));
            assert.ok(latestPipelineRun !== undefined && latestPipelineRun !== 'Unknown');
          },
          // On a busy machine many kills may follow each other before a leader gets so far; in the end there is a bound.
          { withinMs: 15 * 60_000, everyMs: 100 },
        );
      }
      // A real Tekton takes its time over each run, and has those of others to see to.
      await sleep(dice.whole(0, driven.waits && !onCluster ? 300 : 1_500));
      if (over.aborted) return;
      driven.revision++;
      await world.push(driven.name, revisionOf(driven.revision));
    }
  }

  /** Kills who leads at that instant, and resolves with the place when it is dead. */
  async function kill(places: readonly Place[], instant: Instant, dice: Dice): Promise<Place> {
    const match = writeOf(instant);
    const anyTime = () => atAnyTime(places, dice);
    // A run may take long to end where Tekton has others to see to: nobody waits for that write for ever.
    const killed = await (match === undefined
      ? anyTime()
      : Promise.race([writing(places, instant, match, dice), sleep(20_000, undefined, { ref: false }).then(anyTime)]));
    for (const { faults } of places) faults.lift();
    await killed.gateway.stop('SIGKILL');
    return killed;
  }

  async function atAnyTime(places: readonly Place[], dice: Dice): Promise<Place> {
    await sleep(dice.whole(0, 1_000));
    return eventually(() => leaderOf(places), patience);
  }

  /** Who makes this write, one of the next few: whoever leads then. */
  function writing(places: readonly Place[], instant: Instant, match: RequestMatch, dice: Dice): Promise<Place> {
    // A delay of nothing: the answer is passed on before the end is told of.
    const fault: WireFault = instant.endsWith('unheard') ? { kind: 'lost', how: 'silence' } : { kind: 'delay', ms: 0 };
    const after = dice.whole(0, 3);
    return new Promise((resolve) => {
      for (const place of places) place.faults.add({ on: match, fault, after, times: 1, met: () => resolve(place) });
    });
  }

  /** Everything that is promised of one world, when its kills are over. */
  async function judge(world: TriggerWorld, triggers: readonly Driven[], places: readonly Place[]): Promise<number> {
    const statuses = await Promise.all(
      triggers.map(({ name, revision }) =>
        eventually(() => world.reached(name, revisionOf(revision)), tektonsPatience),
      ),
    );
    const leader = await eventually(() => leaderOf(places), patience);
    await eventually(
      async () => assert.equal(await leader.gateway.metric('rungate_open{what="controller keys triggers"}'), 0),
      patience,
    );
    let made = 0;
    for (const [at, { name, waits, revision }] of triggers.entries()) {
      const status = statuses[at];
      const runs = await world.runsOf(name);
      made += runs.length;
      const keys = runs.map(({ metadata }) => metadata.annotations?.['pipeline.jquad.rocks/event-key'] ?? '');
      assert.equal(new Set(keys).size, keys.length, `${name}: an event has two runs`);
      const commits = runs.map(commitIn);
      assert.equal(new Set(commits).size, commits.length, `${name}: a revision has two runs`);
      const last = runs.find((run) => commitIn(run) === commitOf(revision));
      assert.equal(status?.latestPipelineRun, last?.metadata.name, `${name}: the last revision has its run`);
      assert.deepEqual(
        status?.conditions?.map(({ type, status: is }) => [type, is]),
        [['Success', 'True']],
      );
      const sequence = Number(status?.eventSequence);
      const numbers = keys.map((key) => Number(key.split('/')[1])).sort((a, b) => a - b);
      assert.equal(numbers.at(-1), sequence, `${name}: the last event has its run`);
      // An event that another one took the place of before it had its run is passed over, as one is that nobody saw.
      if (!waits) continue;
      assert.deepEqual(
        numbers,
        Array.from({ length: revision }, (_, number) => number + 1),
        `${name}: every event has its run`,
      );
      assert.deepEqual(
        commits.sort(),
        Array.from({ length: revision }, (_, number) => commitOf(number + 1)),
        `${name}: every revision has its run`,
      );
    }
    return made;
  }

  async function lane(place: number, plan: readonly Instant[]): Promise<number> {
    const dice = diceOf(seed + place);
    const world = await startTriggerWorld({ gateway: false, env: { LEASE_SECONDS: leaseSeconds } });
    open.push(() => world.end());
    const places = [await openPlace(world, 'a'), await openPlace(world, 'b')];
    open.push(async () => void (await Promise.all(places.map((each) => each.close()))));
    await world.pipeline('skips');
    const triggers = shapes.flatMap((shape) =>
      [true, true, false].map(
        (waits, number): Driven => ({
          name: `${shape === 'pipeline' ? 'a' : 'b'}${number}`,
          shape,
          waits,
          revision: 1,
        }),
      ),
    );
    for (const { name, shape } of triggers) {
      await world.repository(name, revisionOf(1));
      await world.trigger(triggerOf(shape, name));
    }
    await Promise.all(places.map((each) => each.start()));
    const over = new AbortController();
    const driving = Promise.all(
      triggers.map((driven, number) => drive(world, driven, diceOf(seed + 100 * place + number), over.signal)),
    );
    /** Only ever rejects. */
    const failing = driving.then(() => new Promise<never>(() => {}));
    failing.catch(() => {}); // heard of by the next kill
    for (const instant of plan) {
      await eventually(() => leaderOf(places), patience);
      const killed = await Promise.race([kill(places, instant, dice), failing]);
      await killed.start(); // while the other one finds that nobody leads
    }
    over.abort();
    await driving;
    const made = await judge(world, triggers, places);
    assert.deepEqual(secondWriters(writesThrough(places.map(({ faults }) => faults))), []);
    const audited = await auditedWrites(world);
    if (audited !== undefined) {
      assert.ok(audited.filter(({ what }) => what === 'object').length >= made, 'the audit log has these writes');
      assert.deepEqual(secondWriters(audited), []);
    }
    return made;
  }

  it('no event has two runs, none is missing, every status is right, and never did two write', async () => {
    const plan = planOf(instants, kills, diceOf(seed));
    const made = await Promise.all(
      Array.from({ length: lanes }, (_, number) =>
        lane(
          number,
          plan.filter((_, at) => at % lanes === number),
        ),
      ),
    );
    assert.ok(made.reduce((sum, runs) => sum + runs) > kills, `runs of each world: ${made}`);
  });
});
