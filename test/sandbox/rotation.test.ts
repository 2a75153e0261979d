/** Logs that the sandbox's kubelet rotates as a real one does: at 10 MiB, with five files kept and the newest readable. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { eventually } from '../support/eventually.ts';
import { on } from '../support/fault-proxy.ts';
import type { LiveAnswer } from '../support/gateway.ts';
import { linesFrom } from '../support/log-text.ts';
import { startWorld, type World } from '../support/world.ts';

const LINES = 440_000;
/** Six megabytes: less than a file has before it is rotated. */
const PORTION = 60_000;
/**
 * Lines of 100 bytes, numbered, a few megabytes a second: five rotations, since the file has a timestamp for each. Before each line whose
 * number is so many times `portion` it waits for the file that `gate` and the number name.
 */
const flood = (gate: string, portion: number) => `
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata: { name: flood }
spec:
  pipelineSpec:
    tasks:
      - name: flood
        taskSpec:
          steps:
            - name: pour
              image: docker.io/library/busybox:1
              script: |
                awk 'BEGIN {
                  for (i = 1; i <= ${LINES}; i++) {
                    if (i % ${portion} == 0) { fflush(); while (system("test -e ${gate}-" i) != 0) system("sleep 0.1") }
                    printf "%09d %089d\\n", i, i
                    if (i % 3000 == 0) { fflush(); system("sleep 0.05") }
                  }
                }'
`;

describe('a log that is rotated while it is followed', function () {
  this.timeout(400_000);
  let world: World;
  before(async () => {
    world = await startWorld({ faults: true, ground: 'sandbox' });
  });
  afterEach(() => world?.faults.lift());
  after(() => world?.end());

  const follow = (run: string, gateway = world.gateway): Promise<LiveAnswer> =>
    gateway.stream(`/logs/${run}?color=never&wait=30`);
  const numbers = (log: LiveAnswer): number[] =>
    linesFrom(log.bytes(), 'flood : pour').map((line) => Number(line.subarray(0, 9)));
  /** So many lines have come. */
  const came = (log: LiveAnswer, lines: number) =>
    eventually(() => assert.ok(log.bytes().length > lines * 100), { withinMs: 60_000, everyMs: 250 });
  const gaps = (log: LiveAnswer): number => log.text().match(/lines may be missing here/g)?.length ?? 0;

  function assertRising(got: readonly number[]): void {
    const at = got.findIndex((number, index) => index > 0 && number <= (got[index - 1] ?? 0));
    assert.equal(at, -1, `line ${got[at]} after line ${got[at - 1]}`);
  }

  it('run 13: 44 MB over five rotations: no line twice, none lost, and no gap is told', async () => {
    const gate = `${world.folder}/kept-up`;
    const run = await world.run(flood(gate, PORTION));
    const log = await follow(run);
    // Who reads is never a whole file behind, which is then nowhere to be read any more.
    for (let line = PORTION; line <= LINES; line += PORTION) {
      await came(log, line - 1);
      await writeFile(`${gate}-${line}`, '');
    }
    assert.equal(await log.ended(), 'complete');
    const got = numbers(log);
    assertRising(got);
    assert.equal(got.length, LINES);
    assert.equal(gaps(log), 0);
    assert.equal(log.trailers['x-log-complete'], 'true');
  });

  it('run 13: a file that is rotated away while the API is gone: no line twice, and the loss is told once', async () => {
    const gate = `${world.folder}/away`;
    const run = await world.run(flood(gate, PORTION));
    const log = await follow(run);
    await came(log, PORTION - 1);
    await world.faults.away();
    for (let line = PORTION; line <= LINES; line += PORTION) await writeFile(`${gate}-${line}`, '');
    await world.finished(run);
    await world.faults.back();
    assert.equal(await log.ended(), 'complete');
    const got = numbers(log);
    assertRising(got);
    assert.ok(got.length < LINES, 'something was lost');
    assert.equal(got.at(-1), LINES);
    assert.equal(gaps(log), 1);
    assert.equal(log.trailers['x-log-complete'], 'false');
  });

  it('run 14: a follow that went silent at a rotation is noticed, left and gone on with, and the loss is told', async () => {
    world.faults.add({ on: on.follow(), fault: { kind: 'stall', at: { bytes: 8_000_000 } }, times: 1 });
    const gateway = await world.startGateway({ env: { STALL_SECONDS: '2' } });
    const gate = `${world.folder}/silent`;
    const run = await world.run(flood(gate, LINES - 1_000));
    const log = await follow(run, gateway);
    // Nothing has ended, nothing was cut: all that is to be seen is that nothing comes.
    await eventually(() => assert.ok(numbers(log).at(-1) === LINES - 1_001), { withinMs: 60_000, everyMs: 1_000 });
    assert.equal(log.state, 'open');
    assert.ok((await gateway.metric('rungate_log_resumes_total{reason="stall"}')) >= 1);
    await writeFile(`${gate}-${LINES - 1_000}`, '');
    assert.equal(await log.ended(), 'complete');
    const got = numbers(log);
    assertRising(got);
    assert.equal(got.at(-1), LINES);
    assert.equal(gaps(log), 1);
    assert.equal(log.trailers['x-log-complete'], 'false');
  });
});
