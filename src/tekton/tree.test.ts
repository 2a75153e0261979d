import assert from 'node:assert/strict';
import fc from 'fast-check';
import { factsOf, objectsOf } from '../../test/support/facts.ts';
import { taskRunsOf, tasksOf } from './tree.ts';
import type { RunFacts } from './types.ts';

const owner = (uid: string) => `ownerReferences: [{ kind: PipelineRun, name: r, uid: ${uid}, controller: true }]`;
const taskRun = (name: string, task: string, run = 'run') =>
  `---\nkind: TaskRun\nmetadata: { name: ${name}, uid: ${name}-uid, labels: { tekton.dev/pipelineTask: ${task} }, ${owner(run)} }`;

const namesOf = (facts: RunFacts) => taskRunsOf(facts).map(({ displayName }) => displayName);

describe('tasksOf', () => {
  it('tells tasks in the order of the spec, then those that only children tell of', () => {
    const facts = factsOf(
      objectsOf(`
kind: PipelineRun
metadata: { name: r, uid: run }
status:
  pipelineSpec: { tasks: [{ name: b }, { name: a }], finally: [{ name: f }] }
  skippedTasks: [{ name: gone, reason: Results were missing }]
  childReferences: [{ kind: TaskRun, name: r-a, pipelineTaskName: a }]
${taskRun('r-new', 'new')}
${taskRun('r-b', 'b')}
${taskRun('r-a', 'a')}`),
    );
    assert.deepEqual(
      tasksOf(facts).map(({ name, memberOf, children, skipped }) => [
        name,
        memberOf,
        children.map((child) => child.name).join(),
        skipped?.reason,
      ]),
      [
        ['b', 'tasks', 'r-b', undefined],
        ['a', 'tasks', 'r-a', undefined],
        ['f', 'finally', '', undefined],
        ['new', 'tasks', 'r-new', undefined],
        ['gone', 'tasks', '', 'Results were missing'],
      ],
    );
  });

  it('believes the reference rather than the label, which anybody can set', () => {
    const facts = factsOf(
      objectsOf(`
kind: PipelineRun
metadata: { name: r, uid: run }
status: { childReferences: [{ kind: TaskRun, name: r-a, pipelineTaskName: a }] }
${taskRun('r-a', 'forged')}`),
    );
    assert.deepEqual(
      tasksOf(facts).map(({ name }) => name),
      ['a'],
    );
  });

  it('tells the instances of a matrix in its order, those the status does not name yet last', () => {
    const facts = factsOf(
      objectsOf(`
kind: PipelineRun
metadata: { name: r, uid: run }
status: { childReferences: [{ kind: TaskRun, name: r-m-1, pipelineTaskName: m }, { kind: TaskRun, name: r-m-0, pipelineTaskName: m }] }
${['r-m-10', 'r-m-0', 'r-m-9', 'r-m-1'].map((name) => taskRun(name, 'm')).join('\n')}`),
    );
    assert.deepEqual(
      tasksOf(facts)[0]?.children.map(({ name }) => name),
      ['r-m-1', 'r-m-0', 'r-m-9', 'r-m-10'],
    );
  });
});

describe('taskRunsOf', () => {
  const spec = (tasks: string) =>
    `kind: PipelineRun\nmetadata: { name: r, uid: run }\nstatus: { pipelineSpec: { tasks: [${tasks}] } }`;
  const table: readonly { readonly name: string; readonly yaml: string; readonly want: readonly string[] }[] = [
    {
      name: 'one TaskRun: the task',
      yaml: `${spec('{ name: build }')}\n${taskRun('r-build', 'build')}`,
      want: ['build'],
    },
    {
      name: 'run 20: a matrix has the numbers of its TaskRuns, even while only one is there',
      yaml: `${spec('{ name: m, matrix: {} }')}\n${taskRun('r-m-3', 'm')}`,
      want: ['m-3'],
    },
    {
      name: 'a matrix of one has no number',
      yaml: `${spec('{ name: m-2, matrix: {} }')}\n${taskRun('r-m-2', 'm-2')}`,
      want: ['m-2'],
    },
    {
      name: 'a task that ends with a number is no matrix',
      yaml: `${spec('{ name: m-2 }')}\n${taskRun('r-m-2', 'm-2')}`,
      want: ['m-2'],
    },
    {
      name: 'a name so long that Tekton hashed it still ends with the number',
      yaml: `${spec('{ name: m, matrix: {} }')}\n${taskRun('rrrr0123456789abcdef-0', 'm')}\n${taskRun('rrrr0123456789abcdef-1', 'm')}`,
      want: ['m-0', 'm-1'],
    },
    {
      name: 'without a spec the name tells',
      yaml: `kind: PipelineRun\nmetadata: { name: r, uid: run }\n${taskRun('r-m-4', 'm')}\n${taskRun('r-t', 't')}`,
      want: ['t', 'm-4'],
    },
    {
      name: 'several without numbers are counted',
      yaml: `${spec('{ name: m }')}\n${taskRun('r-x', 'm')}\n${taskRun('r-y', 'm')}`,
      want: ['m-0', 'm-1'],
    },
    {
      name: 'a matrix instance gives way to the task of that name',
      yaml: `${spec('{ name: m, matrix: {} }, { name: m-1 }')}\n${taskRun('r-m-0', 'm')}\n${taskRun('r0-m-1', 'm')}\n${taskRun('r-m-1', 'm-1')}`,
      want: ['m-0', 'r0-m-1', 'm-1'],
    },
    {
      name: 'run 30: tasks of a nested run have its task in front',
      yaml: `${spec('{ name: build }, { name: release, pipelineSpec: {} }')}
${taskRun('r-build', 'build')}
---
kind: PipelineRun
metadata: { name: r-release, uid: nested, labels: { tekton.dev/pipelineTask: release }, ${owner('run')} }
${taskRun('r-release-build', 'build', 'nested')}`,
      want: ['build', 'release/build'],
    },
  ];
  for (const { name, yaml, want } of table) it(name, () => assert.deepEqual(namesOf(factsOf(objectsOf(yaml))), want));

  it('run 30: does not follow a cycle, nor deeper than eight', () => {
    const facts = factsOf(objectsOf(`kind: PipelineRun\nmetadata: { name: r, uid: run }\n${taskRun('r-a', 'a')}`));
    const cyclic: RunFacts & { nested: RunFacts[] } = { ...facts, nested: [] };
    cyclic.nested.push(cyclic);
    assert.deepEqual(namesOf(cyclic), ['a']);
    let deep: RunFacts = facts;
    for (let depth = 0; depth < 20; depth++) {
      deep = { ...facts, run: { ...facts.run, meta: { ...facts.run.meta, uid: `run-${depth}` } }, nested: [deep] };
    }
    assert.equal(namesOf(deep).length, 9);
  });

  it('run 20: names are unique whatever the TaskRuns are called', () => {
    const word = fc.constantFrom('m', 'm-0', 'm-1', 'm-1-0', 'r-m-1', 'x');
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(word, word), { selector: ([name]) => name }),
        fc.boolean(),
        (pairs, isMatrix) => {
          const tasks = [...new Set(pairs.map(([, task]) => task))].map(
            (name) => `{ name: ${name}${isMatrix ? ', matrix: {}' : ''} }`,
          );
          const names = namesOf(
            factsOf(objectsOf(`${spec(tasks.join())}\n${pairs.map(([name, task]) => taskRun(name, task)).join('\n')}`)),
          );
          assert.equal(new Set(names).size, pairs.length);
        },
      ),
    );
  });
});
