import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { factsOf, objectsOf } from '../../test/support/facts.ts';
import type { Condition } from '../kube/objects.ts';
import { isDone, isFinal, PHASE_BY_REASON, phaseOf, runCondition } from './phase.ts';
import { projectPipelineRun, projectTaskRun } from './project.ts';

const condition = (status: string, reason: string): Condition => ({ type: 'Succeeded', status, reason, message: '' });

describe('phase', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/run-status.md'), 'utf8');
  const rows = [...page.matchAll(/^\| (none|Unknown|True|False) \| (.*?) ?\| (\w+) \|/gm)].map(
    ([, status = '', reason = '', phase = '']) => ({
      status,
      reason: reason === 'any other' ? 'InventedTomorrow' : reason.replaceAll('`', ''),
      phase,
    }),
  );

  it('the docs have a table', () => assert.ok(rows.length > 30));

  for (const { status, reason, phase } of rows) {
    it(`run 40: status ${status}, reason ${reason || 'absent'} is ${phase}, as the docs say`, () => {
      assert.equal(phaseOf(status === 'none' ? undefined : condition(status, reason)), phase);
    });
  }

  it('every reason that makes a difference is in the docs', () => {
    for (const status of ['Unknown', 'False'] as const) {
      for (const [reason, phase] of PHASE_BY_REASON[status]) {
        assert.ok(
          rows.some((row) => row.status === status && row.reason === reason && row.phase === phase),
          `${status} ${reason}`,
        );
      }
    }
  });

  it('run 40: a status that is none of the three is read as Unknown', () => {
    assert.equal(phaseOf(condition('Perhaps', 'Invented')), 'running');
    assert.equal(isDone(condition('Perhaps', 'Invented')), false);
  });

  it('run 40: a reason named like a property of every object is only a reason', () => {
    assert.equal(phaseOf(condition('False', 'constructor')), 'failed');
  });
});

describe('runCondition', () => {
  it('run 1: exactly the four keys in the order of the listener', () => {
    const { run } = factsOf(
      objectsOf(`
        kind: PipelineRun
        metadata: { name: green, uid: u }
        status:
          conditions:
            - { status: "True", type: Succeeded, reason: Succeeded, message: "Tasks Completed: 4 (Failed: 0, Cancelled 0), Skipped: 0", lastTransitionTime: "2026-11-01T10:00:00Z" }
      `),
    );
    assert.equal(
      JSON.stringify(runCondition(run)),
      '{"message":"Tasks Completed: 4 (Failed: 0, Cancelled 0), Skipped: 0","reason":"Succeeded","type":"Succeeded","status":"True"}',
    );
  });

  const notStarted =
    '{"message":"PipelineRun has not started","reason":"Pending","type":"Succeeded","status":"Unknown"}';
  const table: readonly { readonly name: string; readonly status: string; readonly want: string }[] = [
    { name: 'no status', status: '', want: notStarted },
    { name: 'conditions: []', status: 'status: { conditions: [] }', want: notStarted },
    { name: 'only other types', status: 'status: { conditions: [{ type: Ready, status: "True" }] }', want: notStarted },
    { name: 'conditions that are none', status: 'status: { conditions: [null, 7, "x", {}] }', want: notStarted },
    { name: 'a status that is a word', status: 'status: Running', want: notStarted },
    {
      name: 'a condition without status and reason',
      status: 'status: { conditions: [{ type: Succeeded }] }',
      want: '{"message":"","reason":"","type":"Succeeded","status":"Unknown"}',
    },
    {
      name: 'the last of several conditions is another',
      status:
        'status: { conditions: [{ type: Succeeded, status: "False", reason: Failed, message: m }, { type: Ready, status: "True" }] }',
      want: '{"message":"m","reason":"Failed","type":"Succeeded","status":"False"}',
    },
  ];
  for (const { name, status, want } of table) {
    it(`run 3: ${name}`, () => {
      const [raw = {}] = objectsOf(`kind: PipelineRun\nmetadata: { name: a, uid: u }\n${status}`);
      assert.equal(JSON.stringify(runCondition(projectPipelineRun(raw))), want);
    });
  }
});

describe('isFinal', () => {
  const table: readonly {
    readonly name: string;
    readonly status: string;
    readonly runDone: boolean;
    readonly unchangedMs: number;
    readonly want: boolean;
  }[] = [
    { name: 'no condition', status: '{}', runDone: true, unchangedMs: 60_000, want: false },
    {
      name: 'running',
      status: '{ conditions: [{ type: Succeeded, status: Unknown }] }',
      runDone: true,
      unchangedMs: 60_000,
      want: false,
    },
    {
      name: 'succeeded',
      status: '{ conditions: [{ type: Succeeded, status: "True" }] }',
      runDone: false,
      unchangedMs: 0,
      want: true,
    },
    {
      name: 'failed and completed',
      status: '{ conditions: [{ type: Succeeded, status: "False" }], completionTime: "2026-11-01T10:00:00Z" }',
      runDone: false,
      unchangedMs: 0,
      want: true,
    },
    {
      name: 'failed, not completed, just now',
      status: '{ conditions: [{ type: Succeeded, status: "False" }] }',
      runDone: false,
      unchangedMs: 9_999,
      want: false,
    },
    {
      name: 'failed, not completed, ten seconds ago',
      status: '{ conditions: [{ type: Succeeded, status: "False" }] }',
      runDone: false,
      unchangedMs: 10_000,
      want: true,
    },
    {
      name: 'failed, not completed, its run done',
      status: '{ conditions: [{ type: Succeeded, status: "False" }] }',
      runDone: true,
      unchangedMs: 0,
      want: true,
    },
  ];
  for (const { name, status, runDone, unchangedMs, want } of table) {
    it(`${name}: ${want ? 'final' : 'not final'}`, () => {
      const [raw = {}] = objectsOf(`kind: TaskRun\nmetadata: { name: a }\nstatus: ${status}`);
      assert.equal(isFinal(projectTaskRun(raw), { runDone, unchangedMs }), want);
    });
  }
});
