/** What is remembered, for how long, and who hears of it. */
import assert from 'node:assert/strict';
import type { KubeObject } from '../object.ts';
import { StatusError } from '../status.ts';
import { type Collection, Memory } from './memory.ts';

function config(name: string, namespace = 'ci', data: { [key: string]: string } = {}): KubeObject {
  const metadata = { name, namespace, uid: `${namespace}-${name}`, resourceVersion: '', creationTimestamp: '' };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data };
}

const names = (objects: readonly KubeObject[]) =>
  objects.map(({ metadata: { namespace, name } }) => `${namespace}/${name}`);
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('a collection', () => {
  let memory: Memory;
  let configs: Collection;

  beforeEach(() => {
    memory = new Memory({ history: 5 });
    configs = memory.collection('', 'configmaps');
  });

  it('is the same for the same group and plural', () => {
    assert.equal(memory.collection('', 'configmaps'), configs);
    assert.notEqual(memory.collection('other', 'configmaps'), configs);
  });

  it('stamps every write with the next resourceVersion of all collections', () => {
    const before = memory.resourceVersion;
    configs.put(config('a'));
    memory.collection('', 'secrets').put(config('s'));
    const changed = configs.put(config('a', 'ci', { x: '1' }));
    assert.equal(changed.metadata.resourceVersion, String(before + 3));
    assert.equal(configs.get('ci', 'a'), changed);
    assert.equal(configs.size, 1);
  });

  it('lists in the order of keys, in which a dash comes before the slash', () => {
    for (const [name, namespace] of [
      ['b', 'a'],
      ['z', 'a-b'],
      ['a', 'a'],
      ['c', 'b'],
    ] as const) {
      configs.put(config(name, namespace));
    }
    assert.deepEqual(names(configs.objects()), ['a-b/z', 'a/a', 'a/b', 'b/c']);
    assert.deepEqual(names(configs.objects('a')), ['a/a', 'a/b']);
    configs.remove(config('b', 'a'));
    assert.deepEqual(names(configs.objects('a')), ['a/a']);
    assert.deepEqual(names(configs.objects('none')), []);
  });

  it('knows what it looked like before', () => {
    configs.put(config('a'));
    const first = configs.put(config('b'));
    const then = Number(first.metadata.resourceVersion);
    configs.put(config('b', 'ci', { x: '1' }));
    configs.put(config('c'));
    configs.remove(config('a'));
    assert.deepEqual(names(configs.objectsAt(then)), ['ci/a', 'ci/b']);
    assert.equal(configs.objectsAt(then)[1], first);
    assert.deepEqual(names(configs.objectsAt(then, 'elsewhere')), []);
  });

  it('forgets what is older than its history', () => {
    const first = configs.put(config('a'));
    for (let n = 0; n < 20; n++) configs.put(config('a', 'ci', { n: String(n) }));
    const version = Number(first.metadata.resourceVersion);
    const gone = { code: 410, reason: 'Expired' };
    assert.throws(() => configs.objectsAt(version), {
      ...gone,
      message: 'The resourceVersion for the provided list is too old.',
    });
    assert.throws(() => configs.follow(version, () => {}), {
      ...gone,
      message: /^too old resource version: 2 \(\d+\)$/,
    });
  });

  it('does not know what happened before anybody asked for it', () => {
    configs.put(config('a'));
    assert.throws(() => memory.collection('late', 'things').follow(1, () => {}), StatusError);
  });

  it('tells followers what has changed, in order and once', async () => {
    configs.put(config('a'));
    let woken = 0;
    const follower = configs.follow(configs.resourceVersion, () => woken++);
    configs.put(config('b'));
    configs.put(config('b', 'ci', { x: '1' }));
    configs.remove(config('b'));
    assert.equal(woken, 0, 'nobody hears of a write before it has returned');
    await turn();
    assert.equal(woken, 1);
    assert.deepEqual(
      follower.take(2).map(({ type }) => type),
      ['ADDED', 'MODIFIED'],
    );
    assert.deepEqual(
      follower.take(2).map(({ type }) => type),
      ['DELETED'],
    );
    assert.deepEqual(follower.take(2), []);
    follower.close();
    configs.put(config('c'));
    await turn();
    assert.equal(woken, 1);
  });

  it('shows a deletion at a version of its own', () => {
    const put = configs.put(config('a'));
    const gone = configs.remove(put);
    assert.equal(Number(gone.metadata.resourceVersion), Number(put.metadata.resourceVersion) + 1);
  });

  it('loses a follower that takes too long', () => {
    const follower = configs.follow(configs.resourceVersion, () => {});
    for (let n = 0; n < 20; n++) configs.put(config(`c${n}`));
    assert.equal(follower.isLost(), true);
    assert.throws(() => follower.take(1), { code: 410 });
  });
});

describe('the memory', () => {
  it('tells listeners of every change, within the write', () => {
    const memory = new Memory();
    const heard: string[] = [];
    const stop = memory.listen(({ plural }, { type, object }) =>
      heard.push(`${type} ${plural} ${object.metadata.name}`),
    );
    memory.collection('', 'configmaps').put(config('a'));
    memory.collection('', 'secrets').put(config('s'));
    stop();
    memory.collection('', 'secrets').remove(config('s'));
    assert.deepEqual(heard, ['ADDED configmaps a', 'ADDED secrets s']);
  });

  it('goes on from a snapshot', () => {
    const before = new Memory();
    before.collection('', 'configmaps').put(config('a'));
    const snapshot = JSON.parse(JSON.stringify(before.snapshot())) as ReturnType<Memory['snapshot']>;
    const after = new Memory();
    after.restore(snapshot);
    assert.equal(after.resourceVersion, before.resourceVersion);
    assert.deepEqual(after.collection('', 'configmaps').objects(), before.collection('', 'configmaps').objects());
    assert.throws(() => after.collection('', 'configmaps').follow(1, () => {}), { code: 410 });
  });
});
