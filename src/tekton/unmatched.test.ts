import assert from 'node:assert/strict';
import { runFacts } from '../../test/support/run-facts.ts';
import type { LogFilters } from './logs.ts';
import { unmatchedNotices } from './unmatched.ts';

function run(status = '"True"', name = 'r', task = ''): string {
  const labels = task === '' ? '' : `, labels: { tekton.dev/pipelineRun: r, tekton.dev/pipelineTask: ${task} }`;
  const tasks = task === '' ? '{ name: build }, { name: test }, { name: deploy }' : '{ name: push }';
  return `
kind: PipelineRun
metadata: { name: ${name}${labels} }
status:
  conditions: [{ type: Succeeded, status: ${status}, reason: Running }]
  pipelineSpec: { tasks: [${tasks}] }
  ${task === '' ? 'skippedTasks: [{ name: test, reason: When Expressions evaluated to false }]' : ''}
---
`;
}

/** A TaskRun that was tried twice, in the last attempt with two steps. */
const build = `
kind: TaskRun
metadata: { name: r-build, labels: { tekton.dev/pipelineRun: r, tekton.dev/pipelineTask: build } }
status:
  podName: b-retry1
  conditions: [{ type: Succeeded, status: "True", reason: Succeeded }]
  retriesStatus: [{ podName: b, steps: [{ name: make, container: step-make, terminated: { exitCode: 1 } }] }]
  steps:
    - { name: make, container: step-make, terminated: { exitCode: 0, startedAt: 2026-11-01T10:00:05Z } }
    - { name: pack, container: step-pack, terminated: { exitCode: 0, startedAt: 2026-11-01T10:00:06Z } }
---
`;

const whole = run() + build + run('"True"', 'r-deploy', 'deploy');

describe('unmatchedNotices', () => {
  const cases: readonly { name: string; given?: string; filters: LogFilters; want: readonly string[] }[] = [
    { name: 'no filter', filters: {}, want: [] },
    {
      name: 'a task that ran, one that was skipped, a nested run',
      filters: { task: ['build', 'test', 'deploy'] },
      want: [],
    },
    {
      name: 'a task of a nested run, by its name and by its path',
      filters: { task: ['push', 'deploy/push'] },
      want: [],
    },
    {
      name: 'no such task',
      filters: { task: ['nope', 'build', 'deploy/nope'] },
      want: ['the run has no task "nope" or "deploy/nope": there is build, test, deploy and deploy/push'],
    },
    {
      name: 'no such task yet',
      given: run('Unknown'),
      filters: { task: ['nope'] },
      want: ['the run has no task "nope" yet: there is build, test and deploy'],
    },
    {
      name: 'a run whose tasks nobody knows',
      given: 'kind: PipelineRun\nmetadata: { name: r }\nstatus: { conditions: [{ type: Succeeded, status: "False" }] }',
      filters: { task: ['nope'] },
      want: ['the run has no task "nope": none is known'],
    },
    { name: 'attempts there are', filters: { attempt: [1, 2] }, want: [] },
    { name: 'no such attempt', filters: { attempt: [2, 9] }, want: ['the run has no attempt 9: there is 1 and 2'] },
    { name: 'steps there are, with and without their prefix', filters: { step: ['make', 'step-pack'] }, want: [] },
    { name: 'no such step', filters: { step: ['nope'] }, want: ['the run has no step "nope": there is make and pack'] },
    {
      name: 'no such step in that attempt of that task',
      filters: { task: ['build'], attempt: [1], step: ['pack'] },
      want: ['the tasks that were asked for have no step "pack": there is make'],
    },
    { name: 'with failed, steps are not chosen by name', filters: { failed: true, step: ['nope'] }, want: [] },
    {
      name: 'of what was not found nothing further is said',
      filters: { task: ['nope'], attempt: [9], step: ['nope'] },
      want: ['the run has no task "nope": there is build, test, deploy and deploy/push'],
    },
    {
      name: 'steps of a TaskRun that is gone may have been these',
      given: run().replace(
        'skippedTasks',
        'childReferences: [{ kind: TaskRun, name: gone, pipelineTaskName: build }]\n  skippedTasks',
      ),
      filters: { step: ['make'], attempt: [2] },
      want: [],
    },
    {
      name: 'many names are counted',
      given: run().replace('{ name: test }', Array.from({ length: 20 }, (_, at) => `{ name: t${at} }`).join(', ')),
      filters: { task: ['nope'] },
      want: ['the run has no task "nope": there is build, t0, t1, t2, t3, t4, t5, t6, t7, t8 and 13 more'],
    },
  ];
  for (const { name, given = whole, filters, want } of cases)
    it(name, () => {
      const notices = unmatchedNotices(runFacts(given), filters);
      assert.deepEqual(
        notices.map(({ sentence }) => sentence),
        want,
      );
      assert.ok(notices.every(({ level }) => level === 'problems'));
    });

  it('a task run is called one, and what is asked for cannot command a terminal', () => {
    const [notice] = unmatchedNotices(runFacts(whole), { task: ['x\u001b[2J'] }, 'task run');
    assert.match(notice?.sentence ?? '', /^the task run has no task "x\\u001b\[2J"/);
  });
});
