/** Logs that a real kubelet rotates while they are followed: scenarios 13 and 14 with the rotation turned up. */
import assert from 'node:assert/strict';
import { on } from '../support/fault-proxy.ts';
import type { LiveAnswer } from '../support/gateway.ts';
import { linesFrom } from '../support/log-text.ts';
import { clusterSuite } from '../support/needs.ts';
import { startWorld, type World } from '../support/world.ts';
import { connect } from './cluster.ts';
import { type Restore, setKubeletLogging } from './knobs.ts';

/** A rotation every three seconds, as often as the kubelet looks. */
const quickRotation = {
  containerLogMaxSize: '16Ki',
  containerLogMaxFiles: 3,
  containerLogMonitorInterval: '3s',
};
const LINES = 1_200;
/** Numbered lines of 100 bytes, some fifty a second: three or four rotations each ten seconds. */
const drip = `
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata: { name: drip }
spec:
  pipelineSpec:
    tasks:
      - name: drip
        taskSpec:
          steps:
            - name: pour
              image: docker.io/library/busybox:1
              script: |
                awk 'BEGIN { for (i = 1; i <= ${LINES}; i++) { printf "%09d %089d\\n", i, i; if (i % 10 == 0) { fflush(); system("sleep 0.2") } } }'
`;

clusterSuite('a log that the kubelet rotates while it is followed', { knobs: true }, () => {
  let world: World;
  let restore: Restore | undefined;
  before(async function () {
    this.timeout(420_000);
    restore = await setKubeletLogging(await connect(), quickRotation);
    world = await startWorld({ faults: true, env: { STALL_SECONDS: '4' } });
  });
  afterEach(() => world?.faults.lift());
  after(async function () {
    this.timeout(420_000);
    await world?.end();
    await restore?.();
  });

  const numbers = (log: LiveAnswer): number[] =>
    linesFrom(log.bytes(), 'drip : pour').map((line) => Number(line.subarray(0, 9)));
  const gaps = (log: LiveAnswer): number => log.text().match(/lines may be missing here/g)?.length ?? 0;

  /** No line twice or out of order; all of them, or a loss that was told. */
  function assertHonest(log: LiveAnswer): void {
    const got = numbers(log);
    const at = got.findIndex((number, index) => index > 0 && number <= (got[index - 1] ?? 0));
    assert.equal(at, -1, `line ${got[at]} after line ${got[at - 1]}`);
    if (log.trailers['x-log-complete'] === 'true') {
      assert.equal(got.length, LINES);
      assert.equal(gaps(log), 0);
    } else assert.ok(gaps(log) >= 1, 'a loss that nobody told');
  }

  it('run 13: no duplicate, and either no loss or a gap that is told', async () => {
    const run = await world.run(drip);
    const log = await world.gateway.stream(`/logs/${run}?color=never&wait=30`);
    assert.equal(await log.ended(), 'complete');
    assertHonest(log);
  }).timeout(420_000);

  it('run 13: cut again and again besides, no line comes twice and no loss is hushed up', async () => {
    for (let cut = 1; cut <= 6; cut++) {
      const how = cut % 2 === 0 ? 'clean' : 'reset';
      world.faults.add({ on: on.follow(), fault: { kind: 'cut', at: { lines: 90 * cut, into: 13 }, how }, times: 1 });
    }
    const run = await world.run(drip);
    const log = await world.gateway.stream(`/logs/${run}?color=never&wait=30`);
    assert.equal(await log.ended(), 'complete');
    assertHonest(log);
  }).timeout(420_000);

  it('run 14: a follow that is silent while the log grows and is rotated is left and gone on with', async () => {
    world.faults.add({ on: on.follow(), fault: { kind: 'stall', at: { lines: 100 } }, times: 1 });
    const run = await world.run(drip);
    const log = await world.gateway.stream(`/logs/${run}?color=never&wait=30`);
    assert.equal(await log.ended(), 'complete');
    assertHonest(log);
    assert.ok((await world.gateway.metric('rungate_log_resumes_total{reason="stall"}')) >= 1);
    assert.equal(numbers(log).at(-1), LINES);
  }).timeout(420_000);
});
