import assert from 'node:assert/strict';
import { buildGraph, candidates } from './graph.ts';
import { dependenciesOf, parseReference } from './reference.ts';

describe('buildGraph', () => {
  const refusals = [
    {
      name: 'a name given twice',
      given: [
        { name: 'a', after: [] },
        { name: 'a', after: [] },
      ],
      want: "task a is already present in Graph, can't add it again: duplicate pipeline task",
    },
    {
      name: 'a circle, by its first task and what that still waits for',
      given: [
        { name: 'start', after: [] },
        { name: 'c', after: ['b', 'start'] },
        { name: 'b', after: ['c'] },
      ],
      want: 'cycle detected; task "b" depends on "c"',
    },
    {
      name: 'a task that is not there',
      given: [{ name: 'a', after: ['gone'] }],
      want: "couldn't add link between a and gone: task a depends on gone but gone wasn't present in Pipeline",
    },
  ];
  for (const { name, given, want } of refusals) {
    it(`refuses ${name}`, () => assert.throws(() => buildGraph(given), { message: want }));
  }
});

describe('candidates', () => {
  const graph = buildGraph([
    { name: 'a', after: [] },
    { name: 'b', after: ['a'] },
    { name: 'c', after: ['a', 'b'] },
    { name: 'd', after: [] },
  ]);
  const cases = [
    { done: [], want: ['a', 'd'] },
    { done: ['a'], want: ['b', 'd'] },
    { done: ['a', 'b', 'd'], want: ['c'] },
    { done: ['a', 'b', 'c', 'd'], want: [] },
  ];
  for (const { done, want } of cases) {
    it(`after ${done.join(', ') || 'nothing'}: ${want.join(', ') || 'nothing'}`, () => {
      assert.deepEqual([...candidates(graph, new Set(done))].sort(), want);
    });
  }
});

describe('parseReference', () => {
  const cases = [
    { given: 'tasks.a.results.b', want: { task: 'a', result: 'b' } },
    { given: 'finally.a.results.b', want: { task: 'a', result: 'b' } },
    { given: 'tasks.a.results.b[*]', want: { task: 'a', result: 'b' } },
    { given: 'tasks.a.results.b[3]', want: { task: 'a', result: 'b', index: 3 } },
    { given: 'tasks.a.results.b.key', want: { task: 'a', result: 'b', key: 'key' } },
    { given: 'tasks.a.results.b.c.d', want: undefined },
    { given: 'tasks.a.status', want: undefined },
    { given: 'steps.a.results.b', want: undefined },
    { given: 'params.a', want: undefined },
  ];
  for (const { given, want } of cases) {
    it(`${given} is ${want === undefined ? 'no reference' : JSON.stringify(want)}`, () =>
      assert.deepEqual(parseReference(given), want));
  }
});

describe('dependenciesOf', () => {
  it('comes from parameters, matrix, when, steps and runAfter, each task once', () => {
    const task = {
      name: 'x',
      runAfter: ['e', 'a'],
      params: [{ name: 'p', value: ['$(tasks.a.results.r)'] }],
      matrix: { params: [{ name: 'm', value: '$(tasks.b.results.r[*])' }] },
      when: [{ input: '$(tasks.c.results.r)', operator: 'in', values: ['y'] }],
      taskSpec: { steps: [{ script: 'echo $(tasks.d.results.r)' }] },
    };
    assert.deepEqual(dependenciesOf(task), ['a', 'b', 'c', 'd', 'e']);
  });
});
