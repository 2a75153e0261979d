import assert from 'node:assert/strict';
import { silentLog } from '../log.ts';
import { type Feed, together } from './feeds.ts';
import { type JsonObject, type Kept, projectMeta, stringOf } from './objects.ts';
import { createStore, within } from './store.ts';

interface Coloured extends Kept {
  readonly colour: string;
}

const raw = (name: string, version: number, colour: string, namespace = 'ci'): JsonObject => ({
  metadata: { namespace, name, uid: `uid-${name}`, resourceVersion: String(version) },
  colour,
});

describe('stores that live on one watch', () => {
  const rig = () => {
    const names = createStore<Kept>(silentLog);
    const colours = createStore<Coloured>(silentLog);
    const heard: string[] = [];
    names.store.subscribe(({ type, object }) => heard.push(`names: ${type} ${object.meta.name}`));
    colours.store.subscribe(({ type, object }) => heard.push(`colours: ${type} ${object.meta.name} ${object.colour}`));
    const feeds: Feed<Kept>[] = [
      { project: (object) => ({ meta: projectMeta(object) }), writer: names.writer },
      {
        project: (object) => ({ meta: projectMeta(object), colour: stringOf(object.colour) ?? '' }),
        writer: within(colours.writer, ['ci']),
      },
    ];
    const { project, writer } = together(feeds);
    return { names: names.store, colours: colours.store, heard, project, writer };
  };

  it('each keeps its own part of an object, and hears of it in the same turn', () => {
    const { names, colours, heard, project, writer } = rig();
    writer.put(project(raw('a', 1, 'red')));
    writer.put(project(raw('a', 2, 'blue')));
    const ref = { namespace: 'ci', name: 'a' };
    assert.deepEqual(Object.keys(names.get(ref) ?? {}), ['meta']);
    assert.equal(colours.get(ref)?.colour, 'blue');
    writer.remove(project(raw('a', 3, 'blue')));
    assert.deepEqual([names.size, colours.size], [0, 0]);
    assert.deepEqual(heard, [
      'names: added a',
      'colours: added a red',
      'names: modified a',
      'colours: modified a blue',
      'names: deleted a',
      'colours: deleted a blue',
    ]);
  });

  it('a list that is complete makes each forget what is not in it; one that is left off makes none', () => {
    const { names, colours, project, writer } = rig();
    for (const name of ['a', 'b']) writer.put(project(raw(name, 1, 'red')));
    writer.relist('').put(project(raw('a', 2, 'red')));
    assert.deepEqual([names.size, colours.size], [2, 2]);
    const relisting = writer.relist('');
    relisting.put(project(raw('b', 2, 'green')));
    relisting.end();
    assert.deepEqual(
      [...colours.values()].map(({ meta, colour }) => [meta.name, colour]),
      [['b', 'green']],
    );
    assert.equal(names.size, 1);
  });

  it('one may want less than the other', () => {
    const { names, colours, project, writer } = rig();
    writer.put(project(raw('a', 1, 'red', 'dev')));
    assert.deepEqual([names.size, colours.size], [1, 0]);
  });
});
