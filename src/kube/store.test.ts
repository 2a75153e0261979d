import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type LogFields, silentLog } from '../log.ts';
import type { Kept } from './objects.ts';
import { createPacking } from './packing.ts';
import { createStore, type StoreChange, type StoreWriter, within } from './store.ts';

interface Thing extends Kept {
  readonly word: string;
}

function thing(name: string, more: { uid?: string; version?: string; namespace?: string; owner?: string } = {}): Thing {
  const { uid = `uid-${name}`, version = '1', namespace = 'ci', owner } = more;
  return {
    word: `${name}@${version}`,
    meta: {
      namespace,
      name,
      uid,
      resourceVersion: version,
      created: '2026-11-01T10:00:00Z',
      labels: {},
      annotations: {},
      ...(owner === undefined ? {} : { owner: { kind: 'TaskRun', name: owner, uid: owner } }),
    },
  };
}

/** A store, its writer, and everything a listener was told, as `type word`. */
function world() {
  const { store, writer } = createStore<Thing>(silentLog);
  const heard: string[] = [];
  store.subscribe(({ type, object }) => heard.push(`${type} ${object.word}`));
  const words = () => [...store.values()].map(({ word }) => word).sort();
  return { store, writer, heard, words };
}

function sorted(things: readonly Thing[]): readonly Thing[] {
  return things.toSorted((a, b) => (`${a.meta.namespace}/${a.word}` < `${b.meta.namespace}/${b.word}` ? -1 : 1));
}

/** A whole list at once. */
function relist(writer: StoreWriter<Thing>, scope: string, objects: readonly Thing[]): void {
  const listing = writer.relist(scope);
  for (const object of objects) listing.put(object);
  listing.end();
}

describe('store', () => {
  const cases: readonly {
    name: string;
    act: (writer: ReturnType<typeof world>['writer']) => void;
    heard: readonly string[];
    words: readonly string[];
  }[] = [
    { name: 'a new object is added', act: (w) => w.put(thing('a')), heard: ['added a@1'], words: ['a@1'] },
    {
      name: 'a new version is modified',
      act: (w) => [thing('a'), thing('a', { version: '2' })].forEach(w.put),
      heard: ['added a@1', 'modified a@2'],
      words: ['a@2'],
    },
    {
      name: 'the same version is no change',
      act: (w) => [thing('a'), thing('a')].forEach(w.put),
      heard: ['added a@1'],
      words: ['a@1'],
    },
    {
      name: 'a new uid under an old name is another object, even at the same version',
      act: (w) => [thing('a'), thing('a', { uid: 'second' })].forEach(w.put),
      heard: ['added a@1', 'deleted a@1', 'added a@1'],
      words: ['a@1'],
    },
    {
      name: 'a removal tells the last state',
      act: (w) => {
        w.put(thing('a'));
        w.remove(thing('a', { version: '2' }));
      },
      heard: ['added a@1', 'deleted a@2'],
      words: [],
    },
    { name: 'removing what is absent is nothing', act: (w) => w.remove(thing('a')), heard: [], words: [] },
    {
      name: 'removing another uid is nothing',
      act: (w) => {
        w.put(thing('a'));
        w.remove(thing('a', { uid: 'older' }));
      },
      heard: ['added a@1'],
      words: ['a@1'],
    },
    {
      name: 'a list is told as its differences, deletions last',
      act: (w) => {
        relist(w, '', [thing('a'), thing('b'), thing('c')]);
        relist(w, '', [thing('d'), thing('c', { version: '2' }), thing('b')]);
      },
      heard: ['added a@1', 'added b@1', 'added c@1', 'added d@1', 'modified c@2', 'deleted a@1'],
      words: ['b@1', 'c@2', 'd@1'],
    },
    {
      name: 'a list that is left off forgets nothing',
      act: (w) => {
        w.put(thing('a'));
        w.relist('').put(thing('b'));
      },
      heard: ['added a@1', 'added b@1'],
      words: ['a@1', 'b@1'],
    },
    {
      name: 'what was removed while a list came is told once',
      act: (w) => {
        w.put(thing('a'));
        const listing = w.relist('');
        w.remove(thing('a'));
        listing.end();
      },
      heard: ['added a@1', 'deleted a@1'],
      words: [],
    },
    {
      name: 'a list of one namespace leaves the others alone',
      act: (w) => {
        w.put(thing('a', { namespace: 'one' }));
        w.put(thing('b', { namespace: 'two' }));
        relist(w, 'two', []);
      },
      heard: ['added a@1', 'added b@1', 'deleted b@1'],
      words: ['a@1'],
    },
  ];
  for (const { name, act, heard, words } of cases) {
    it(name, () => {
      const seen = world();
      act(seen.writer);
      assert.deepEqual(seen.heard, heard);
      assert.deepEqual(seen.words(), words);
      assert.equal(seen.store.size, words.length);
    });
  }

  it('children are found by the uid of their owner, and only while they have it', () => {
    const { store, writer } = world();
    const owned = (uid: string) => store.ownedBy(uid).map(({ word }) => word);
    writer.put(thing('a', { owner: 'first' }));
    writer.put(thing('b', { owner: 'first' }));
    assert.deepEqual(owned('first'), ['a@1', 'b@1']);
    writer.put(thing('a', { owner: 'second', version: '2' }));
    assert.deepEqual(owned('first'), ['b@1']);
    assert.deepEqual(owned('second'), ['a@2']);
    relist(writer, '', []);
    assert.deepEqual([...owned('first'), ...owned('second')], []);
  });

  it('an owner may have one child or very many', () => {
    const { store, writer } = world();
    const names = Array.from({ length: 30 }, (_, at) => `child-${at}`);
    for (const [at, name] of names.entries()) {
      writer.put(thing(name, { owner: 'first' }));
      assert.equal(store.ownedBy('first').length, at + 1);
    }
    const words = store.ownedBy('first').map(({ word }) => word);
    assert.deepEqual(
      words,
      names.map((name) => `${name}@1`),
    );
    for (const name of names.slice(1)) writer.remove(thing(name, { owner: 'first' }));
    assert.deepEqual(
      store.ownedBy('first').map(({ word }) => word),
      ['child-0@1'],
    );
  });

  it('what is at rest is kept small, and is as it was', () => {
    const packing = createPacking<Thing>(new Set());
    const { store, writer } = createStore<Thing>(silentLog, { isAtRest: ({ word }) => word.endsWith('@2'), packing });
    const heard: string[] = [];
    store.subscribe(({ type, object }) => heard.push(`${type} ${object.word}`));
    const [live, over] = [thing('a', { owner: 'x' }), thing('a', { owner: 'x', version: '2' })];
    writer.put(live);
    assert.equal(store.get(live.meta), live);
    writer.put(over);
    writer.put(thing('a', { owner: 'x', version: '2' }));
    assert.deepEqual(store.get(over.meta), over);
    assert.notEqual(store.get(over.meta), over);
    assert.deepEqual([store.ownedBy('x'), [...store.values()]], [[over], [over]]);
    relist(writer, '', [over]);
    writer.remove(over);
    assert.deepEqual([store.ownedBy('x'), store.size], [[], 0]);
    assert.deepEqual(heard, ['added a@1', 'modified a@2', 'deleted a@2']);
  });

  it('what is of other namespaces is not kept where only some are wanted, listed or told of', () => {
    const { store, writer } = createStore<Thing>(silentLog);
    const some = within(writer, ['ci', 'team']);
    const relisting = some.relist('');
    for (const namespace of ['ci', 'other', 'team']) relisting.put(thing('a', { namespace, uid: namespace }));
    relisting.end();
    some.put(thing('b', { namespace: 'other' }));
    some.put(thing('b'));
    some.remove(thing('a', { namespace: 'team', uid: 'team' }));
    const kept = [...store.values()].map(({ meta }) => `${meta.namespace}/${meta.name}`);
    assert.deepEqual(kept.sort(), ['ci/a', 'ci/b']);
    const again = some.relist('');
    again.put(thing('b'));
    again.end();
    assert.deepEqual(
      [...store.values()].map(({ meta }) => meta.name),
      ['b'],
    );
  });

  it('a listener that throws is logged and keeps nobody else from hearing', () => {
    const errors: (LogFields | undefined)[] = [];
    const { store, writer } = createStore<Thing>({ ...silentLog, error: (_message, fields) => errors.push(fields) });
    const heard: string[] = [];
    store.subscribe(() => {
      throw new Error('mine');
    });
    store.subscribe(({ object }) => heard.push(object.word));
    writer.put(thing('a'));
    assert.deepEqual(heard, ['a@1']);
    assert.deepEqual(errors, [{ error: 'mine' }]);
  });

  it('a subscription ends once, and only itself', () => {
    const { store, writer } = world();
    const heard: string[] = [];
    const listener = ({ object }: StoreChange<Thing>) => void heard.push(object.word);
    const end = store.subscribe(listener);
    store.subscribe(listener);
    end();
    end();
    writer.put(thing('a'));
    assert.deepEqual(heard, ['a@1']);
  });

  it('what listeners were told always adds up to what is kept', () => {
    const objects = fc
      .record({
        name: fc.constantFrom('a', 'b', 'c'),
        uid: fc.constantFrom('1', '2'),
        version: fc.constantFrom('1', '2', '3'),
        namespace: fc.constantFrom('one', 'two'),
        owner: fc.constantFrom('x', 'y', undefined),
      })
      .map(({ name, owner, ...more }) => thing(name, owner === undefined ? more : { ...more, owner }));
    const acts = fc.oneof(
      fc.record({ act: fc.constant('put' as const), object: objects }),
      fc.record({ act: fc.constant('remove' as const), object: objects }),
      fc.record({
        act: fc.constant('replace' as const),
        scope: fc.constantFrom('', 'one'),
        list: fc.uniqueArray(objects, { selector: ({ meta }) => `${meta.namespace}/${meta.name}` }),
      }),
    );
    fc.assert(
      fc.property(fc.array(acts), fc.boolean(), (steps, rests) => {
        const packing = createPacking<Thing>(new Set());
        const isAtRest = ({ meta }: Thing) => rests && meta.resourceVersion === '2';
        const { store, writer } = createStore<Thing>(silentLog, { isAtRest, packing });
        const told = new Map<string, Thing>();
        store.subscribe(({ type, object }) => {
          const key = `${object.meta.namespace}/${object.meta.name}`;
          assert.equal(told.has(key), type !== 'added');
          if (type === 'modified') assert.equal(told.get(key)?.meta.uid, object.meta.uid);
          if (type === 'deleted') told.delete(key);
          else told.set(key, object);
        });
        for (const step of steps) {
          if (step.act === 'put') writer.put(step.object);
          else if (step.act === 'remove') writer.remove(step.object);
          else
            relist(
              writer,
              step.scope,
              step.list.filter(({ meta }) => ['', meta.namespace].includes(step.scope)),
            );
        }
        assert.deepEqual(sorted([...store.values()]), sorted([...told.values()]));
        for (const uid of ['x', 'y']) {
          const owned = [...told.values()].filter(({ meta }) => meta.owner?.uid === uid);
          assert.deepEqual(sorted(store.ownedBy(uid)), sorted(owned));
        }
      }),
    );
  });
});
