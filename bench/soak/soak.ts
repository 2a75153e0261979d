/**
 * The soak: many clients follow runs through two replicas while a fault of some kind happens every second, and every line
 * is held against what the steps wrote.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../test/support/eventually.ts';
import { expiredFrame, on } from '../../test/support/fault-proxy.ts';
import { ask } from '../../test/support/gateway.ts';
import { startWorld, type World } from '../../test/support/world.ts';
import { type Dice, diceOf, planOf } from './dice.ts';
import { Follower } from './follower.ts';
import { type Hands, type SoakFault, soakFaults } from './kinds.ts';
import type { Ledger, Violation } from './ledger.ts';
import { type Replicas, startReplicas } from './replicas.ts';
import { createRuns, ledgerOf, type SoakRun, type SoakRuns } from './runs.ts';
import { type Series, type Trend, trendOf, vitalsOf } from './vitals.ts';

/** How a soak is done. */
export interface SoakOptions {
  readonly seconds: number;
  /** Which faults happen when, and to whom. The same seed does the same again, though the machine may not. */
  readonly seed: number;
  /** Clients following at the same time. */
  readonly streams: number;
  /** Runs under way at the same time. */
  readonly runs: number;
  /** Where it stands; where the tests of this process do unless told. */
  readonly ground?: World['ground'];
  /** Is told how it goes. */
  readonly say?: (sentence: string) => void;
}

/** How often a fault was meant to happen, and did. */
export interface Count {
  readonly name: string;
  readonly planned: number;
  readonly struck: number;
}

/** What came of a soak. */
export interface SoakReport extends SoakOptions {
  readonly ground: World['ground'];
  readonly runsStarted: number;
  /** Lines that clients have read, each held against what was written. */
  readonly lines: number;
  /** Streams that were followed to their end. */
  readonly followed: number;
  /** Times that a client came back with its cursor. */
  readonly resumes: number;
  /** Lines that are missing behind a gap that was told, where a log rotated. */
  readonly toldLost: number;
  /** Lines that a log had rotated away before a client first came to it. */
  readonly goneBefore: number;
  readonly faults: readonly Count[];
  /** Of the replica that was never ended. */
  readonly memory: Trend;
  /** Without those of its clients' streams. */
  readonly sockets: Trend;
  /** Empty when every promise was kept. */
  readonly violations: readonly Violation[];
}

/** A soak of so many seconds or more is judged by its counts and by what grows; in a shorter one neither says much. */
export const JUDGED_SECONDS = 300;
/** Each kind comes once in 24 s: this many of ten minutes' 25 must have come to pass. */
const LEAST_STRUCK_PER_MINUTE = 2;
const MOST_GROWN_BYTES = 48 * 2 ** 20;
/** One that leaks with every sixth fault is found; how many there are at a moment wavers with what was just cut. */
const MOST_GROWN_SOCKETS = 100;
/** Longer than the slowest recovery: a half-open connection, then a stalled watch, of a run that a busy cluster has yet to begin with. */
const LONGEST_END_MS = 300_000;
/** Longer than a busy cluster needs to begin with two runs, one after another. */
const LONGEST_STRIKE_MS = 180_000;
/** About as long as a run takes. */
const RUN_SECONDS = 16;

/** Does it. Rejects only when it cannot be begun. Everything that it started has ended when it resolves. */
export async function soak(options: SoakOptions): Promise<SoakReport> {
  await using world = await startWorld({
    faults: true,
    gateway: false,
    ...(options.ground === undefined ? {} : { ground: options.ground }),
  });
  return await new Soak(world, options).run(); // the world ends with this function
}

class Soak {
  readonly #world: World;
  readonly #options: SoakOptions;
  readonly #dice: Dice;
  readonly #violations: Violation[] = [];
  readonly #counts = new Map<string, { planned: number; struck: number }>();
  readonly #followers: Follower[] = [];
  readonly #runs: SoakRuns;
  /** Aborts when no new run is to be followed. */
  readonly #over = new AbortController();
  /** Aborts when nobody is waited for any longer. */
  readonly #given = new AbortController();
  /** What faults have begun, to be waited for at the end. */
  readonly #begun: Promise<unknown>[] = [];
  #bulk: SoakRun | undefined;
  #lines = 0;
  #followed = 0;
  #resumes = 0;
  #toldLost = 0;
  #goneBefore = 0;

  constructor(world: World, options: SoakOptions) {
    this.#world = world;
    this.#options = options;
    this.#dice = diceOf(options.seed);
    this.#runs = createRuns(world, {
      underWay: options.runs,
      seconds: RUN_SECONDS,
      wrong: (violation) => this.#wrong(violation),
    });
  }

  async run(): Promise<SoakReport> {
    const { seconds, streams, say = () => {} } = this.#options;
    const replicas = await startReplicas(this.#world, (violation) => this.#wrong(violation));
    void replicas.steady.exit.then(({ code, signal }) => {
      if (!this.#given.signal.aborted) this.#wrong({ kind: 'failed', detail: `rungate ended with ${signal ?? code}` });
    });
    const idle = await vitalsOf(replicas.steady);
    const [memory, sockets]: [{ at: number; value: number }[], { at: number; value: number }[]] = [[], []];
    this.#followers.push(...Array.from({ length: streams }, (_, place) => this.#follower(place, replicas)));
    const clients = this.#followers.map((follower) => this.#follow(follower));

    const plan = planOf(soakFaults, seconds, this.#dice);
    const beganAt = performance.now();
    for (const [second, fault] of plan.entries()) {
      await sleep(Math.max(0, beganAt + second * 1000 - performance.now()));
      this.#strike(fault, replicas);
      if (second % 2 === 1) {
        const vitals = await vitalsOf(replicas.steady).catch(() => undefined); // it has ended, which is told
        if (vitals !== undefined) memory.push({ at: second, value: vitals.residentBytes });
        if (vitals !== undefined) sockets.push({ at: second, value: vitals.sockets - vitals.openStreams });
      }
      // Its records are for tests that ask for them, and an hour's are many.
      if (second % 60 === 59) this.#world.faults.forget();
      if (second % 15 === 14) say(this.#progress(second + 1, memory));
    }
    await this.#struck();
    this.#world.faults.lift();
    this.#over.abort();
    say('No more faults: waiting for the runs that are followed.');
    await this.#ended(clients);
    await this.#nothingLeft(replicas, idle.sockets);
    this.#given.abort();
    return this.#report(memory, sockets);
  }

  /** A fault waits for the request that it befalls: a cluster whose pods are slow to begin may have had none yet. */
  async #struck(): Promise<void> {
    const isLeft = () => [...this.#counts].filter(([, { struck }]) => struck === 0).map(([name]) => name);
    const untilMs = performance.now() + LONGEST_STRIKE_MS;
    while (isLeft().length > 0 && performance.now() < untilMs) await sleep(500);
  }

  #follower(place: number, replicas: Replicas): Follower {
    const dice = diceOf(this.#options.seed + place + 1);
    return new Follower({
      // One in four as a browser does it, the rest as programs do.
      format: place % 4 === 3 ? 'sse' : 'ndjson',
      replica: () => dice.pick(replicas.serving),
      dice,
      resumed: () => this.#resumes++,
    });
  }

  /** One run after another, until the soak is over. */
  async #follow(follower: Follower): Promise<void> {
    while (!this.#over.signal.aborted) {
      const run = await this.#runs.join();
      await this.#followOne(follower, run);
    }
  }

  async #followOne(follower: Follower, run: SoakRun): Promise<void> {
    const ledger = ledgerOf(run);
    await follower.follow(run.name, ledger, this.#given.signal);
    if (this.#given.signal.aborted)
      ledger.note({ kind: 'unended', detail: `run ${run.name} after ${ledger.lines} lines` });
    this.#keep(ledger, follower.where);
    await this.#runs.leave(run);
  }

  #keep(ledger: Ledger, where: string): void {
    this.#followed++;
    this.#lines += ledger.lines;
    this.#toldLost += ledger.toldLost;
    this.#goneBefore += ledger.goneBefore;
    for (const { kind, detail } of ledger.violations) this.#wrong({ kind, detail: `${detail} (${where})` });
  }

  #strike(fault: SoakFault, replicas: Replicas): void {
    const count = this.#counts.get(fault.name) ?? { planned: 0, struck: 0 };
    this.#counts.set(fault.name, count);
    count.planned++;
    const struck = () => {
      count.struck++;
    };
    const begin = (work: Promise<unknown>) => {
      this.#begun.push(
        work.then(struck, (error: Error) => this.#wrong({ kind: 'failed', detail: `${fault.name}: ${error.message}` })),
      );
    };
    fault.strike(this.#hands(replicas, { struck, begin }));
  }

  #hands(
    replicas: Replicas,
    { struck, begin }: { readonly struck: () => void; readonly begin: (work: Promise<unknown>) => void },
  ): Hands {
    const { faults } = this.#world;
    const dice = this.#dice;
    const some = (count: number) => dice.shuffled(this.#followers).slice(0, count);
    const meet: Hands['meet'] = (fault, ...matches) => {
      const lifts = matches.map((match) =>
        faults.add({
          on: match,
          fault,
          times: 1,
          met: (came) => {
            for (const lift of lifts) lift();
            if (came) struck();
            // The body ended before the place in it: the next one meets the fault.
            else if (!this.#over.signal.aborted) meet(fault, ...matches);
          },
        }),
      );
    };
    return {
      dice,
      meet,
      expireWatch: (resource) => void faults.add({ on: on.watch(resource), fault: expiredFrame({ ms: 0 }), times: 1 }),
      refuseHandshake: () => faults.refuseNext(struck),
      writeMuch: () => begin(this.#followBulk(replicas)),
      hangUp: (clients) => {
        for (const follower of some(clients)) follower.hangUp();
        struck();
      },
      readSlowly: (clients) => {
        const pauses = some(clients).map((follower) => follower.pause(dice.whole(2000, 5000)));
        begin(Promise.all([...pauses, this.#readBulkSlowly(replicas)]));
      },
      storm: (clients) => {
        const all = Array.from({ length: clients }, () =>
          comeAndGo(dice.pick(replicas.serving), `soak-${dice.whole(1, this.#runs.started)}`, dice.whole(0, 300)),
        );
        begin(Promise.all(all));
      },
      terminate: () => begin(replicas.terminate()),
      kill: () => begin(replicas.kill()),
    };
  }

  async #followBulk(replicas: Replicas): Promise<void> {
    const run = await this.#runs.startBulk();
    this.#bulk = run;
    await this.#followOne(this.#follower(this.#runs.started, replicas), run);
  }

  /** Reads the log that was written last at 200 KB a second, for some seconds. */
  async #readBulkSlowly({ serving }: Replicas): Promise<void> {
    if (this.#bulk === undefined) return;
    const { url, credentials } = this.#dice.pick(serving);
    const answer = await ask(`${url}/logs/${this.#bulk.name}?follow=false`, { as: credentials }).catch(() => undefined);
    if (answer === undefined) return; // the replica has just been killed
    const enoughAt = performance.now() + 4000;
    try {
      for await (const chunk of answer as AsyncIterable<Buffer>) {
        if (performance.now() > enoughAt) break;
        await sleep(chunk.length / 200);
      }
    } catch {
      // Or is killed while it is read.
    }
  }

  /** Waits for the clients and for what faults have begun. */
  async #ended(clients: readonly Promise<void>[]): Promise<void> {
    const patience = setTimeout(() => this.#given.abort(), LONGEST_END_MS);
    await Promise.all([...clients, ...this.#begun]);
    clearTimeout(patience);
  }

  /** Nobody asks any more: what was open for them must be closed. */
  async #nothingLeft({ steady }: Replicas, idleSockets: number): Promise<void> {
    try {
      await eventually(
        async () => {
          const { openStreams, sockets } = await vitalsOf(steady);
          if (openStreams > 0) throw new Error(`${openStreams} log streams are open although nobody follows`);
          // Watches and a few connections that are kept for the next call.
          if (sockets > idleSockets + 10)
            throw new Error(`${sockets} sockets are open although nobody follows; there were ${idleSockets}`);
        },
        { withinMs: 30_000, everyMs: 500 },
      );
    } catch (error) {
      this.#wrong({ kind: 'grown', detail: (error as Error).message });
    }
  }

  #report(memory: Series, sockets: Series): SoakReport {
    const { seconds, ground = this.#world.ground } = this.#options;
    const possible = soakFaults.filter(({ sandboxOnly }) => ground === 'sandbox' || !sandboxOnly);
    const faults = possible.map(({ name }) => ({ name, planned: 0, struck: 0, ...this.#counts.get(name) }));
    const [memoryTrend, socketTrend] = [trendOf(memory), trendOf(sockets)];
    if (seconds >= JUDGED_SECONDS) {
      if (memoryTrend.to - memoryTrend.from > MOST_GROWN_BYTES)
        this.#wrong({ kind: 'grown', detail: `memory from ${memoryTrend.from} to ${memoryTrend.to} bytes` });
      if (socketTrend.to - socketTrend.from > MOST_GROWN_SOCKETS)
        this.#wrong({ kind: 'grown', detail: `sockets from ${socketTrend.from} to ${socketTrend.to}` });
      for (const { name, struck } of faults)
        if (struck < Math.floor((seconds / 60) * LEAST_STRUCK_PER_MINUTE))
          this.#wrong({ kind: 'too few', detail: `${name} came to pass only ${struck} times` });
    }
    return {
      ...this.#options,
      ground,
      runsStarted: this.#runs.started,
      lines: this.#lines,
      followed: this.#followed,
      resumes: this.#resumes,
      toldLost: this.#toldLost,
      goneBefore: this.#goneBefore,
      faults,
      memory: memoryTrend,
      sockets: socketTrend,
      violations: this.#violations,
    };
  }

  #progress(second: number, memory: Series): string {
    const struck = [...this.#counts.values()].reduce((sum, count) => sum + count.struck, 0);
    const mib = Math.round((memory.at(-1)?.value ?? 0) / 2 ** 20);
    return `${second} s: ${struck} faults, ${this.#followed} streams followed to their end, ${this.#lines} lines, ${this.#resumes} resumes, ${mib} MiB, ${this.#violations.length} violations`;
  }

  #wrong(violation: Violation): void {
    this.#violations.push(violation);
  }
}

/** Connects, asks for a log and hangs up after so long, whatever was answered. */
async function comeAndGo({ url, credentials }: Replicas['steady'], run: string, ms: number): Promise<void> {
  const answer = await ask(`${url}/logs/${run}`, { as: credentials }).catch(() => undefined);
  answer?.resume().on('error', () => {});
  await sleep(ms);
  answer?.destroy();
}
