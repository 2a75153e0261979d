/** Lists in pages, and lists as they were. */
import assert from 'node:assert/strict';
import { type Api, createApi, resources } from '../../../test/support/api.ts';
import { listMeta, type Page, readPage } from './lists.ts';
import { listOptions } from './options.ts';
import { selectorFor } from './selectors.ts';

const { configMaps } = resources;

describe('readPage', () => {
  let api: Api;

  beforeEach(() => {
    api = createApi({ history: 10 });
    for (const name of ['a', 'b', 'c', 'd', 'e']) write(name);
  });

  function write(name: string, labels: { [key: string]: string } = {}): void {
    api.client.create(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'ci', labels } });
  }

  function read(text: string, namespace = 'ci'): Page {
    const { kind } = api.verbs.target(configMaps, namespace);
    const options = listOptions(new URLSearchParams(text));
    const collection = api.memory.collection('', 'configmaps');
    return readPage({ collection, kind, namespace, options, select: selectorFor(options, kind) });
  }

  const names = ({ objects }: Page) => objects.map(({ metadata }) => metadata.name);

  it('gives everything at once unless it is asked for less', () => {
    const page = read('');
    assert.deepEqual(names(page), ['a', 'b', 'c', 'd', 'e']);
    assert.equal(page.resourceVersion, String(api.memory.resourceVersion));
    assert.deepEqual(listMeta(page, api.verbs.target(configMaps, 'ci').kind), {
      resourceVersion: page.resourceVersion,
    });
  });

  it('goes on where the page before ended, whatever was written in between', () => {
    const first = read('limit=2');
    assert.deepEqual([names(first), first.remaining], [['a', 'b'], 3]);
    write('bb');
    api.client.remove(configMaps, 'ci', 'c');
    const second = read(`limit=2&continue=${first.continue}`);
    assert.deepEqual([names(second), second.remaining, second.resourceVersion], [['c', 'd'], 1, first.resourceVersion]);
    const third = read(`limit=2&continue=${second.continue}`);
    assert.deepEqual([names(third), third.continue, third.remaining], [['e'], '', undefined]);
  });

  it('goes on over all namespaces', () => {
    api.client.create(resources.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'zz' } });
    api.client.create(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', namespace: 'zz' } });
    const first = read('limit=4', '');
    assert.deepEqual(names(read(`continue=${first.continue}`, '')), ['e', 'a']);
  });

  it('does not know how many are left when a selector chooses', () => {
    write('f', { x: 'y' });
    write('g', { x: 'y' });
    const first = read('limit=1&labelSelector=x');
    assert.deepEqual([names(first), first.remaining], [['f'], undefined]);
    assert.deepEqual(names(read(`limit=1&labelSelector=x&continue=${first.continue}`)), ['g']);
  });

  it('gives everything for version 0, and what there was for an exact one', () => {
    const { resourceVersion } = read('');
    write('f');
    assert.equal(names(read('limit=1&resourceVersion=0')).length, 6);
    assert.deepEqual(names(read(`limit=9&resourceVersion=${resourceVersion}`)), ['a', 'b', 'c', 'd', 'e']);
    assert.equal(names(read(`resourceVersion=${resourceVersion}`)).length, 6);
    assert.equal(names(read(`resourceVersion=${resourceVersion}&resourceVersionMatch=Exact`)).length, 5);
  });

  it('offers a list of two times when what it showed is forgotten', () => {
    const first = read('limit=2');
    for (let n = 0; n < 30; n++) write(`z${n}`);
    const error = refusal(() => read(`limit=2&continue=${first.continue}`));
    assert.equal(error.code, 410);
    assert.match(error.message, /^The provided continue parameter is too old to display a consistent list result\./);
    const { metadata } = error.toStatus() as { metadata: { continue: string } };
    assert.deepEqual(names(read(`limit=2&continue=${metadata.continue}`)), ['c', 'd']);
  });

  const token = (content: object) => Buffer.from(JSON.stringify(content)).toString('base64url');
  const wrong = [
    ['continue=abc', 400, /^invalid continue token: continue key is not valid: invalid character 'i' looking for/],
    ['continue=a%2Bb', 400, /illegal base64 data at input byte 1$/],
    [`continue=${token({ v: 'v7', rv: 1, start: 'a' })}`, 400, /does not recognize this encoded version v7$/],
    [`continue=${token({ v: 'meta.k8s.io/v1', rv: 0, start: 'a' })}`, 400, /incorrect encoded start resourceVersion/],
    [
      `continue=${token({ v: 'meta.k8s.io/v1', rv: 5, start: 'a' })}&resourceVersion=5`,
      400,
      /^specifying resource version is not/,
    ],
    [
      'resourceVersion=abc',
      400,
      /^invalid resource version: resourceVersion: Invalid value: "abc": strconv\.ParseUint/,
    ],
    ['resourceVersion=99999', 504, /^Timeout: Too large resource version: 99999, current: \d+$/],
    ['resourceVersion=1&resourceVersionMatch=Exact', 410, /^The resourceVersion for the provided list is too old\.$/],
  ] as const;
  for (const [text, code, message] of wrong) {
    it(`refuses ${text.slice(0, 50)} with ${code}`, () => {
      for (let n = 0; n < 30; n++) write(`z${n}`);
      assert.throws(() => read(text), { code, message });
    });
  }
});

function refusal(act: () => unknown): { code: number; message: string; toStatus(): object } {
  try {
    act();
  } catch (error) {
    return error as { code: number; message: string; toStatus(): object };
  }
  assert.fail('nothing was refused');
}
