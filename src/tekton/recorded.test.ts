/**
 * What real runs look like: every case of test/cluster/runs, as a real Tekton made it and `test/cluster/record-runs.ts`
 * recorded it. Reasons that cannot be had there in seconds are written by hand in status.test.ts and docs/run-status.md:
 * evicted pods, failed sidecars and init containers, results that are too large, remote resolution, signatures.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { recordedFacts, recordedMoments } from '../../test/support/facts.ts';
import { runStatus, taskRunsOf } from './status.ts';
import type { RunStatus } from './types.ts';

const now = new Date('2030-01-01T00:00:00Z');
const statusOf = (name: string, moment?: string) => runStatus(recordedFacts(name, moment), now);

/** A run in a line: `failed Failed: build failed StepFailed; deploy notstarted`. */
function sketch({ phase, condition, tasks }: RunStatus): string {
  const told = tasks.map((task) => [task.name, task.phase, task.skip ?? task.reason].filter(Boolean).join(' '));
  return `${phase} ${condition.reason}: ${told.join('; ')}`;
}

for (const f of readdirSync(join(import.meta.dirname, '../../test/fixtures/tekton'))) {
  const name = f.replace('.json', '');
  for (const moment of recordedMoments(name).keys()) {
    const s = statusOf(name, moment);
    console.log(`[${name} @ ${moment}] ${sketch(s)}\n     ${s.condition.message}\n     ${JSON.stringify(s.progress)}\n     failure=${JSON.stringify(s.failure)} durations=${JSON.stringify(s.durations)} names=${taskRunsOf(recordedFacts(name, moment)).map(t=>t.displayName)}`);
    for (const t of s.tasks) for (const i of t.instances) console.log(`       ${i.name} ${i.phase} ${i.reason} | ${i.message.slice(0,200)}\n` + i.attempts.map((a) => `          ${a.pod} ${a.podPhase} ${a.reason} w=${JSON.stringify(a.waiting)} ` + a.steps.map((x) => `${x.name}:${x.state}:${x.exitCode}:${x.reason}`).join(' ')).join('\n'));
  }
}
void assert;
