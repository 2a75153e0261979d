import assert from 'node:assert/strict';
import { objectOf } from '../../../test/support/core-kinds.ts';
import type { ApiClient, WatchEvent } from '../api/client.ts';
import type { JsonObject, KubeObject } from '../object.ts';
import { protect, protectClaims } from './protection.ts';
import { objectIn, textsIn } from './reading.ts';

/** A client of which only what protection needs is there; `say` tells its watchers of a change. */
function rig(objects: readonly KubeObject[]) {
  const watchers = new Map<string, (event: WatchEvent) => void>();
  const patched: JsonObject[] = [];
  const ofPlural = (plural: string) => objects.filter(({ kind }) => `${kind.toLowerCase()}s` === plural);
  const client: Pick<ApiClient, 'get' | 'list' | 'patch' | 'watch'> = {
    get: ({ plural }, _, name) => ofPlural(plural).find(({ metadata }) => metadata.name === name),
    list: ({ plural }) => ofPlural(plural),
    patch(_, __, name, merge) {
      patched.push({ name, ...merge });
      return objectOf('PersistentVolumeClaim', name);
    },
    watch({ plural }, _, on) {
      watchers.set(plural, on);
      return () => watchers.delete(plural);
    },
  };
  const end = protectClaims(client);
  return {
    patched,
    watchers,
    end,
    say: (plural: string, event: WatchEvent) => watchers.get(plural)?.(event),
  };
}

const finalizers = ['a.b/c', 'kubernetes.io/pvc-protection'];
const going = objectOf('PersistentVolumeClaim', 'c', {}, { finalizers, deletionTimestamp: '2025-06-01T12:00:00Z' });
const volumes = [{ name: 'v', persistentVolumeClaim: { claimName: 'c' } }];

function user(phase: string): KubeObject {
  return objectOf('Pod', 'p', { spec: { nodeName: 'n', volumes }, status: { phase } });
}

describe('protection of claims', () => {
  it('a claim is protected once', () => {
    const claim = objectOf('PersistentVolumeClaim', 'c');
    protect(claim);
    protect(claim);
    assert.deepEqual(claim.metadata.finalizers, ['kubernetes.io/pvc-protection']);
  });

  it('lets a claim go that nobody uses', () => {
    const { say, patched } = rig([going]);
    say('persistentvolumeclaims', { type: 'MODIFIED', object: going });
    assert.equal(patched.length, 1);
    assert.deepEqual(textsIn(objectIn(patched[0]?.metadata).finalizers), ['a.b/c']);
  });

  it('leaves a claim alone that is to stay', () => {
    const { say, patched } = rig([]);
    say('persistentvolumeclaims', {
      type: 'ADDED',
      object: objectOf('PersistentVolumeClaim', 'c', {}, { finalizers }),
    });
    assert.deepEqual(patched, []);
  });

  it('holds a claim while a pod runs with it, and lets it go when that has ended', () => {
    const pods = [user('Running')];
    const { say, patched } = rig([going, ...pods]);
    say('persistentvolumeclaims', { type: 'MODIFIED', object: going });
    assert.deepEqual(patched, []);

    const after = rig([going, user('Succeeded')]);
    after.say('pods', { type: 'MODIFIED', object: user('Succeeded') });
    assert.equal(after.patched.length, 1);
  });

  it('lets it go when the pod is gone', () => {
    const { say, patched } = rig([going]);
    say('pods', { type: 'DELETED', object: user('Running') });
    assert.equal(patched.length, 1);
  });

  it('stops watching', () => {
    const { watchers, end } = rig([]);
    end();
    assert.equal(watchers.size, 0);
  });
});
