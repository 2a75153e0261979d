/** The soak in short: every fault of docs/reliability.md once or twice, so that neither the promise nor the soak itself rots. */
import assert from 'node:assert/strict';
import { reportText } from '../../bench/soak/report.ts';
import { soak } from '../../bench/soak/soak.ts';

/** Every kind once. */
const SECONDS = 24;

describe('rungate under every fault at once', function () {
  this.timeout(15 * 60_000);

  it('run 11, 12, 37: loses nothing, repeats nothing, and tells the truth at the end', async () => {
    const report = await soak({ seconds: SECONDS, seed: 20_261_121, streams: 40, runs: 4 });
    assert.deepEqual(report.violations, [], reportText(report));
    assert.ok(report.followed >= 40, reportText(report));
    assert.ok(report.resumes > 0, reportText(report));
    // Not all: a stream that ends before the place of its cut has not been cut.
    const struck = report.faults.filter((fault) => fault.struck > 0);
    assert.ok(struck.length >= report.faults.length * 0.8, reportText(report));
  });
});
