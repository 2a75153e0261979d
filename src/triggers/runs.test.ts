import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { JsonObject } from '../kube/objects.ts';
import { createStore } from '../kube/store.ts';
import { silentLog } from '../log.ts';
import { projectPipelineRun } from '../tekton/project.ts';
import type { PipelineRun } from '../tekton/types.ts';
import { labelValue } from './names.ts';
import { createRunIndex, keyOf, keysOf, triggerOf } from './runs.ts';

interface Given {
  readonly name: string;
  readonly namespace?: string;
  readonly label?: string;
  /** uid of an owner that controls it. */
  readonly owner?: string;
  readonly ownerKind?: string;
  readonly trigger?: string;
  readonly version?: number;
}

function run({
  name,
  namespace = 'ci',
  label,
  owner,
  ownerKind = 'PipelineTrigger',
  trigger,
  version = 1,
}: Given): PipelineRun {
  const metadata: JsonObject = {
    namespace,
    name,
    uid: `uid-${name}`,
    resourceVersion: String(version),
    ...(label === undefined ? {} : { labels: { 'pipeline.jquad.rocks/pipelinetrigger': label } }),
    ...(trigger === undefined ? {} : { annotations: { 'pipeline.jquad.rocks/pipelinetrigger': trigger } }),
    ...(owner === undefined
      ? {}
      : { ownerReferences: [{ kind: ownerKind, name: `of-${owner}`, uid: owner, controller: true }] }),
  };
  return projectPipelineRun({ metadata });
}

const indexed = (...given: readonly Given[]) => {
  const { store, writer } = createStore<PipelineRun>(silentLog);
  const index = createRunIndex(store);
  for (const each of given) writer.put(run(each));
  const of = (name: string, uid: string, namespace = 'ci') =>
    index
      .of({ namespace, name, uid })
      .map(({ meta }) => meta.name)
      .sort();
  return { of, writer, store };
};

describe('the runs of a trigger', () => {
  it('are those that it owns, whatever their labels say', () => {
    const { of } = indexed({ name: 'a', owner: 'u1' }, { name: 'b', owner: 'u1', label: 'other' }, { name: 'c' });
    assert.deepEqual(of('t', 'u1'), ['a', 'b']);
  });

  it('are those without an owner that carry its label, as the original made them', () => {
    const { of } = indexed(
      { name: 'a', label: 't' },
      { name: 'b', label: 'other' },
      { name: 'c', label: 't', namespace: 'elsewhere' },
      { name: 'd', owner: 'u1', label: 't' },
    );
    assert.deepEqual(of('t', 'u1'), ['a', 'd']);
    assert.deepEqual(of('t', 'u2', 'elsewhere'), ['c']);
  });

  it('are none of another namespace, whatever uid somebody wrote there into an owner reference', () => {
    const { of } = indexed({ name: 'forged', owner: 'u1', namespace: 'elsewhere' }, { name: 'own', owner: 'u1' });
    assert.deepEqual(of('t', 'u1'), ['own']);
    const [owned] = keysOf({ namespace: 'ci', name: 't', uid: 'u1' });
    assert.notEqual(keyOf(run({ name: 'forged', owner: 'u1', namespace: 'elsewhere' })), owned);
  });

  it('are none that something else owns', () => {
    const { of } = indexed(
      { name: 'a', label: 't', owner: 'u2' },
      { name: 'b', label: 't', owner: 'x', ownerKind: 'CronJob' },
    );
    assert.deepEqual(of('t', 'u1'), []);
  });

  it('trigger 28: are found by a label that the name did not fit into', () => {
    const long = `${'long-name-'.repeat(9)}end`;
    const label = labelValue(long);
    const { of } = indexed({ name: 'a', label, trigger: long }, { name: 'b', label });
    assert.equal(label.length, 63);
    assert.deepEqual(of(long, 'u1'), ['a', 'b']);
    assert.equal(triggerOf(run({ name: 'c', label, trigger: long }))?.name, long);
  });

  it('change with the store', () => {
    const { of, writer } = indexed({ name: 'a', label: 't' });
    writer.put(run({ name: 'b', label: 't' }));
    assert.deepEqual(of('t', 'u1'), ['a', 'b']);
    writer.put(run({ name: 'a', label: 'other', version: 2 }));
    assert.deepEqual(of('t', 'u1'), ['b']);
    assert.deepEqual(of('other', 'u2'), ['a']);
    writer.remove(run({ name: 'b', label: 't' }));
    assert.deepEqual(of('t', 'u1'), []);
  });

  it('that were in the store before are known too', () => {
    const { store, writer } = createStore<PipelineRun>(silentLog);
    writer.put(run({ name: 'a', label: 't' }));
    assert.equal(createRunIndex(store).of({ namespace: 'ci', name: 't', uid: 'u1' }).length, 1);
  });

  it('are the same as by looking at every run, whatever happens to the store', () => {
    const names = ['a', 'b', 'c'];
    const change = fc.record({
      name: fc.constantFrom(...names),
      label: fc.constantFrom(undefined, 't', 'other', ''),
      owner: fc.constantFrom(undefined, 'u1', 'u2'),
      gone: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
        const { of, store, writer } = indexed();
        for (const [version, { name, label, owner, gone }] of changes.entries()) {
          const object = run({
            name,
            version,
            ...(label === undefined ? {} : { label }),
            ...(owner === undefined ? {} : { owner }),
          });
          if (gone) writer.remove(object);
          else writer.put(object);
        }
        const all = [...store.values()].filter(
          ({ meta }) =>
            meta.owner?.uid === 'u1' ||
            (meta.owner === undefined && meta.labels['pipeline.jquad.rocks/pipelinetrigger'] === 't'),
        );
        assert.deepEqual(of('t', 'u1'), all.map(({ meta }) => meta.name).sort());
      }),
    );
  });
});

describe('the trigger of a run', () => {
  for (const [name, given, want] of [
    ['its owner', { name: 'a', owner: 'u1', label: 'other' }, 'of-u1'],
    ['without an owner, what its label says', { name: 'a', label: 't' }, 't'],
    ['none, if something else owns it', { name: 'a', owner: 'x', ownerKind: 'CronJob', label: 't' }, undefined],
    ['none, without either', { name: 'a' }, undefined],
    ['none, if its label is empty', { name: 'a', label: '' }, undefined],
    ['what its label says, not what an annotation says besides', { name: 'a', label: 't', trigger: 'other' }, 't'],
  ] as const) {
    it(name, () => {
      const found = triggerOf(run(given));
      assert.deepEqual(found, want === undefined ? undefined : { namespace: 'ci', name: want });
    });
  }
});
