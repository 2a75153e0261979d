import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import type { JsonObject } from '../../kube/objects.ts';
import { createStore } from '../../kube/store.ts';
import { silentLog } from '../../log.ts';
import { projectCustomRun, projectPipelineRun, projectPod, projectTaskRun } from '../../tekton/project.ts';
import type { CustomRun, PipelineRun, Pod, TaskRun } from '../../tekton/types.ts';
import { storedRuns } from './gather.ts';

/** The metadata of an object whose uid is its name, owned by the one of that kind and name. */
function meta(name: string, owner?: { readonly kind: string; readonly name: string }, version = '1'): JsonObject {
  const ownerReferences = owner === undefined ? [] : [{ ...owner, uid: owner.name, controller: true }];
  return { metadata: { namespace: 'ci', name, uid: name, resourceVersion: version, ownerReferences } };
}

const run = (name: string, parent?: string, version?: string) =>
  projectPipelineRun(meta(name, parent === undefined ? undefined : { kind: 'PipelineRun', name: parent }, version));
const taskRun = (name: string, parent: string, version?: string) =>
  projectTaskRun(meta(name, { kind: 'PipelineRun', name: parent }, version));
const pod = (name: string, parent: string, version?: string) =>
  projectPod(meta(name, { kind: 'TaskRun', name: parent }, version));

function world() {
  const [runs, taskRuns, customRuns, pods] = [
    createStore<PipelineRun>(silentLog),
    createStore<TaskRun>(silentLog),
    createStore<CustomRun>(silentLog),
    createStore<Pod>(silentLog),
  ];
  const stores = { runs: runs.store, taskRuns: taskRuns.store, customRuns: customRuns.store, pods: pods.store };
  const stored = storedRuns(stores, silentLog);
  return { stored, runs: runs.writer, taskRuns: taskRuns.writer, customRuns: customRuns.writer, pods: pods.writer };
}

describe('storedRuns', () => {
  it('gathers what a run owns, by uid, nested runs with what they own', () => {
    const { stored, runs, taskRuns, customRuns, pods } = world();
    const outer = run('outer');
    runs.put(outer);
    runs.put(run('inner', 'outer'));
    taskRuns.put(taskRun('outer-build', 'outer'));
    taskRuns.put(taskRun('inner-sign', 'inner'));
    customRuns.put(projectCustomRun(meta('outer-approve', { kind: 'PipelineRun', name: 'outer' })));
    pods.put(pod('outer-build-pod', 'outer-build'));
    pods.put(pod('inner-sign-pod', 'inner-sign'));
    const facts = stored.facts(outer);
    const names = (objects: readonly { readonly meta: { readonly name: string } }[]) =>
      objects.map((each) => each.meta.name);
    assert.deepEqual(names(facts.taskRuns), ['outer-build']);
    assert.deepEqual(names(facts.customRuns), ['outer-approve']);
    assert.deepEqual(names(facts.pods), ['outer-build-pod']);
    assert.deepEqual(
      facts.nested.map((each) => [each.run.meta.name, ...names(each.taskRuns), ...names(each.pods)]),
      [['inner', 'inner-sign', 'inner-sign-pod']],
    );
  });

  it('gathers once, and anew when anything of the run has changed', () => {
    const { stored, runs, taskRuns, pods } = world();
    const [outer, other] = [run('outer'), run('other')];
    runs.put(outer);
    runs.put(other);
    runs.put(run('inner', 'outer'));
    taskRuns.put(taskRun('inner-sign', 'inner'));
    const before = stored.facts(outer);
    const beforeOfOther = stored.facts(other);
    assert.equal(stored.facts(outer), before);
    pods.put(pod('inner-sign-pod', 'inner-sign'));
    assert.notEqual(stored.facts(outer), before);
    assert.equal(stored.facts(outer).nested[0]?.pods.length, 1);
    assert.equal(stored.facts(other), beforeOfOther, 'nothing of this one has changed');
    pods.remove(pod('inner-sign-pod', 'inner-sign'));
    assert.equal(stored.facts(outer).nested[0]?.pods.length, 0);
  });

  it('a run that owns itself in a circle is gathered all the same', () => {
    const { stored, runs } = world();
    const first = run('first', 'second');
    runs.put(first);
    runs.put(run('second', 'first'));
    assert.equal(stored.facts(first).nested[0]?.nested.length, 0);
  });

  it('tells the followers of a run once for all that has changed in a turn, and those of its TaskRun too', async () => {
    const { stored, runs, taskRuns, pods } = world();
    const heard: string[] = [];
    const ref = (name: string) => ({ namespace: 'ci', name });
    stored.subscribe(ref('outer'), () => heard.push('outer'));
    stored.subscribe(ref('inner'), () => heard.push('inner'));
    stored.subscribeTaskRun(ref('inner-sign'), () => heard.push('inner-sign'));
    stored.subscribe(ref('inner-sign'), () => heard.push('a run of that name'));
    const end = stored.subscribe(ref('outer'), () => heard.push('never'));
    end();
    runs.put(run('outer'));
    runs.put(run('inner', 'outer'));
    taskRuns.put(taskRun('inner-sign', 'inner'));
    pods.put(pod('inner-sign-pod', 'inner-sign'));
    assert.deepEqual(heard, []);
    await turn();
    assert.deepEqual(heard.sort(), ['inner', 'inner-sign', 'outer']);
    pods.put(pod('inner-sign-pod', 'inner-sign', '2'));
    await turn();
    assert.equal(heard.length, 6);
  });

  it('a follower that throws keeps nobody else from hearing', async () => {
    const { stored, runs } = world();
    let told = false;
    stored.subscribe({ namespace: 'ci', name: 'outer' }, () => {
      throw new Error('mine');
    });
    stored.subscribe({ namespace: 'ci', name: 'outer' }, () => {
      told = true;
    });
    runs.put(run('outer'));
    await turn();
    assert.ok(told);
  });
});
