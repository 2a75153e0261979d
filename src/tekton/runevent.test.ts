import assert from 'node:assert/strict';
import { factsOf, objectsOf } from '../../test/support/facts.ts';
import { isSettled, runEvent } from './runevent.ts';
import { runStatus } from './status.ts';

const eventAt = (yaml: string, at: string) => runEvent(runStatus(factsOf(objectsOf(yaml)), new Date(at)));

const run = (verdict: string, task: string) => `
kind: PipelineRun
metadata: { name: r, namespace: ci, uid: run, creationTimestamp: "2026-11-01T10:00:00Z" }
status: { startTime: "2026-11-01T10:00:00Z", conditions: [{ type: Succeeded, ${verdict} }] }
---
kind: TaskRun
metadata:
  name: r-build
  namespace: ci
  uid: build
  creationTimestamp: "2026-11-01T10:00:00Z"
  labels: { tekton.dev/pipelineTask: build }
  ownerReferences: [{ kind: PipelineRun, name: r, uid: run, controller: true }]
status:
  startTime: "2026-11-01T10:00:00Z"
  conditions: [{ type: Succeeded, ${task} }]
  steps: [{ name: compile, container: step-compile, running: { startedAt: "2026-11-01T10:00:00Z" } }]
`;
const BUSY = 'status: Unknown, reason: Running, message: working';
const OVER = 'status: "False", reason: Cancelled, message: no';
const STOPPED = 'status: "False", reason: TaskRunCancelled, message: no';

describe('events of runs', () => {
  it('say nothing that changes with time alone', () => {
    assert.deepEqual(
      eventAt(run(BUSY, BUSY), '2026-11-01T10:00:01Z'),
      eventAt(run(BUSY, BUSY), '2026-11-01T11:00:00Z'),
    );
    const { phase, progress, tasks } = eventAt(run(BUSY, BUSY), '2026-11-01T10:00:01Z');
    assert.deepEqual([phase, progress.running], ['running', 1]);
    assert.deepEqual(tasks, [
      {
        name: 'build',
        phase: 'running',
        reason: 'Running',
        instances: [{ name: 'r-build', phase: 'running', reason: 'Running', attempts: 1 }],
      },
    ]);
  });

  for (const [name, verdict, task, want] of [
    ['a run that goes on', BUSY, BUSY, false],
    ['run 24: a run that is over before its tasks are', OVER, BUSY, false],
    ['a run that goes on although its tasks are over', BUSY, STOPPED, false],
    ['a run that is over with all of its tasks', OVER, STOPPED, true],
  ] as const) {
    it(`${name} is ${want ? '' : 'not '}settled`, () => {
      assert.equal(isSettled(eventAt(run(verdict, task), '2026-11-01T10:00:01Z')), want);
    });
  }
});
