/** What becomes of a stream when the gateway goes, by a signal or by being killed: whoever comes back with a cursor has the whole log. */
import assert from 'node:assert/strict';
import { createHash, type Hash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { diceOf } from '../../bench/soak/dice.ts';
import { type CursorFormat, Follower, type LineReader } from '../../bench/soak/follower.ts';
import type { NumberedLines } from '../../bench/soak/numbered.ts';
import { numberedRun } from '../../bench/soak/runs.ts';
import { eventually } from '../support/eventually.ts';
import { ask, type Exit, type Gateway } from '../support/gateway.ts';
import { linesFrom } from '../support/log-text.ts';
import { digest, startWorld, type World } from '../support/world.ts';

const TASKS = ['left', 'middle', 'right'] as const;
const STEPS = ['build', 'test'] as const;
/** 9.5 MB for each of six steps, in about three seconds: 57 MB in all, and no file is rotated. */
const LINES: Omit<NumberedLines, 'salt'> = { count: 7800, width: 980, burst: 260, pauseSeconds: 0.1 };
const ENDS = 6;
const MIB = 2 ** 20;

describe('a stream that outlives its gateway', function () {
  this.timeout(600_000);
  let world: World;
  let gateway: Gateway;

  async function start(): Promise<void> {
    gateway = await world.startGateway({
      env: { CURSOR_KEY_FILE: join(world.folder, 'cursor-key'), LOG_LEVEL: 'info' },
    });
  }

  before(async () => {
    world = await startWorld({ gateway: false });
    await writeFile(join(world.folder, 'cursor-key'), randomBytes(32));
    await start();
  });
  after(() => world?.end());

  const startLongRun = () =>
    world.run(
      numberedRun(
        TASKS.flatMap((task, t) => STEPS.map((step, s) => [task, step, { ...LINES, salt: t * 2 + s }] as const)),
      ),
    );

  /** Throws unless what was read of each step is what the API server serves of its container, to the byte. */
  async function assertWhole(
    run: string,
    read: (source: string) => { readonly bytes: number; readonly sha256: string },
  ) {
    let total = 0;
    for (const task of TASKS) {
      const pod = (await world.podOf(run, task)).metadata.name;
      for (const step of STEPS) {
        const source = await world.kubeletLog(pod, `step-${step}`);
        assert.deepEqual(read(`${task}/${step}`), { bytes: source.length, sha256: digest(source) }, `${task}/${step}`);
        total += source.length;
      }
    }
    assert.ok(total > 50e6, `${total} bytes`);
  }

  for (const format of ['ndjson', 'sse'] as const satisfies readonly CursorFormat[]) {
    it(`run 37: killed ${ENDS} times within 57 MB, what a client of ${format} has joined is the source`, async () => {
      const run = await startLongRun();
      const book = new Book();
      let resumes = 0;
      const broken = new AbortController();
      let restarting: Promise<void> = Promise.resolve();
      const follower = new Follower({
        format,
        replica: () => gateway,
        dice: diceOf(1),
        resumed: () => resumes++,
      });
      let kills = 0;
      book.atEach(8 * MIB, () => {
        if (kills++ >= ENDS) return;
        restarting = gateway.stop('SIGKILL').then(start);
        restarting.catch((error: Error) => broken.abort(error));
      });
      await follower.follow(run, book, broken.signal);
      await restarting;
      assert.ok(resumes >= ENDS, `${resumes} returns`);
      assert.deepEqual(book.troubles, []);
      assert.equal(book.complete, true);
      await assertWhole(run, (source) => book.digestOf(source));
      await world.remove(run);
    });
  }

  it('run 37, 38: told to stop four times within 57 MB, a client of text goes on by the cursor of the trailer', async () => {
    const run = await startLongRun();
    const pieces: Buffer[] = [];
    let stops = 0;
    let cursor = '';
    for (;;) {
      const { url, credentials } = gateway;
      const log = await ask(`${url}/logs/${run}?color=never&wait=60${cursor && `&cursor=${cursor}`}`, {
        as: credentials,
      });
      assert.equal(log.statusCode, 200);
      let stopping: Promise<Exit> | undefined;
      let bytes = 0;
      for await (const piece of log as AsyncIterable<Buffer>) {
        pieces.push(piece);
        bytes += piece.length;
        if (bytes < 8 * MIB || stops >= 4 || stopping !== undefined) continue;
        stops++;
        stopping = gateway.stop('SIGTERM'); // and whatever it still has to say is read
      }
      assert.ok(log.complete);
      if (stopping === undefined) break;
      assert.deepEqual(await stopping, { code: 0, signal: null });
      assert.equal(log.trailers['x-log-complete'], 'false');
      assert.match(String(pieces.at(-1)), /this gateway is stopping; ask again to go on\n$/);
      cursor = encodeURIComponent(log.trailers['x-log-cursor'] ?? '');
      await start();
    }
    assert.equal(stops, 4);
    const joined = Buffer.concat(pieces);
    await assertWhole(run, (source) => {
      const text = Buffer.concat(
        linesFrom(joined, source.replace('/', ' : ')).flatMap((line) => [line, Buffer.from('\n')]),
      );
      return { bytes: text.length, sha256: digest(text) };
    });
    await world.remove(run);
  });

  it('run 38: on SIGTERM open streams end with a retry and a cursor, new ones are 503, and the cursor goes on elsewhere', async () => {
    const run = await world.run('ticking', { params: { count: '24' } });
    const before = gateway;
    const log = await before.stream(`/logs/${run}?format=ndjson&wait=60`);
    await eventually(() => assert.match(log.text(), /tick 3"/), { withinMs: 240_000 });
    // A client that does not read keeps the old replica in its drain until the new one is asked.
    const exit = before.stop('SIGTERM');
    await eventually(async () => {
      const refused = await before.get(`/logs/${run}`).catch(() => undefined);
      assert.ok(refused === undefined || refused.status === 503);
      if (refused !== undefined) assert.ok(Number(refused.headers['retry-after']) > 0);
    });
    assert.equal(await log.ended(), 'complete');
    assert.deepEqual(await exit, { code: 0, signal: null });
    const said = objectsOf(log.bytes());
    const end = said.at(-1);
    assert.deepEqual([end?.type, end?.retry, end?.complete], ['end', true, false]);
    await start();
    const rest = await gateway.get(`/logs/${run}?format=ndjson&cursor=${encodeURIComponent(end?.cursor ?? '')}`);
    assert.equal(rest.status, 200, rest.text);
    const ticks = [...said, ...objectsOf(rest.body)].filter(({ type }) => type === 'log').map(({ line }) => line);
    assert.deepEqual(
      ticks,
      Array.from({ length: 24 }, (_, place) => `tick ${place + 1}`),
    );
    assert.equal(objectsOf(rest.body).at(-1)?.complete, true);
    await world.remove(run);
  });
});

/** What one client has read, as long as it is: lengths and hashes by step. */
class Book implements LineReader {
  readonly #steps = new Map<string, { bytes: number; hash: Hash }>();
  #bytes = 0;
  #next = Number.POSITIVE_INFINITY;
  #interval = 0;
  #reached: () => void = () => {};
  readonly troubles: string[] = [];
  complete: boolean | undefined;

  /** Calls `reached` each time that so many bytes more have been read. */
  atEach(bytes: number, reached: () => void): void {
    this.#interval = bytes;
    this.#next = bytes;
    this.#reached = reached;
  }

  take(step: string, line: string): void {
    const own = this.#steps.get(step) ?? { bytes: 0, hash: createHash('sha256') };
    this.#steps.set(step, own);
    own.hash.update(line).update('\n');
    own.bytes += line.length + 1;
    this.#bytes += line.length + 1;
    if (this.#bytes < this.#next) return;
    this.#next += this.#interval;
    this.#reached();
  }

  gap(step: string): void {
    this.troubles.push(`a gap in ${step}`);
  }

  note({ kind, detail }: { readonly kind: string; readonly detail: string }): void {
    this.troubles.push(`${kind}: ${detail}`);
  }

  close({ complete }: { readonly complete: boolean }): void {
    this.complete = complete;
  }

  digestOf(step: string): { readonly bytes: number; readonly sha256: string } {
    const own = this.#steps.get(step);
    return { bytes: own?.bytes ?? 0, sha256: own?.hash.copy().digest('hex') ?? '' };
  }
}

interface Said {
  readonly type: string;
  readonly line?: string;
  readonly cursor?: string;
  readonly retry?: boolean;
  readonly complete?: boolean;
}

function objectsOf(bytes: Buffer): Said[] {
  return bytes
    .toString()
    .split('\n')
    .filter((text) => text !== '')
    .map((text) => JSON.parse(text) as Said);
}
