import assert from 'node:assert/strict';
import { HandClock } from '../../../test/support/hand-clock.ts';
import { Fault, faultOf } from '../../fault.ts';
import type { JsonObject } from '../../kube/objects.ts';
import { createSecrets } from './secrets.ts';
import type { ListenerWorld } from './world.ts';

const PATH = '/api/v1/namespaces/apps/secrets/key';

describe('the Secrets of interceptors', () => {
  let clock: HandClock;
  let there: Map<string, JsonObject | Fault>;
  let asked: string[];
  let secret: ListenerWorld['secret'];

  beforeEach(() => {
    clock = new HandClock();
    [there, asked] = [new Map(), []];
    const reader = {
      async get(path: string) {
        asked.push(path);
        const found = there.get(path) ?? new Fault('not-found', 'Kubernetes has no such object (404)');
        if (found instanceof Fault) throw found;
        return found;
      },
    };
    secret = createSecrets({ reader, clock });
  });

  const put = (value: string) =>
    there.set(PATH, { data: { token: Buffer.from(value).toString('base64'), empty: '', odd: 7 } });

  it('are read byte for byte, line breaks at their end included', async () => {
    put('fluxkey\n');
    assert.equal(String(await secret('apps', 'key', 'token')), 'fluxkey\n');
    assert.equal(String(await secret('apps', 'key', 'empty')), '');
  });

  it('have no value for a key that is not there, nor where there is no Secret', async () => {
    put('a');
    for (const [name, key] of [
      ['key', 'other'],
      ['key', 'odd'],
      ['key', '__proto__'],
      ['absent', 'token'],
    ] as const) {
      assert.equal(await secret('apps', name, key), undefined, `${name} ${key}`);
    }
  });

  it('are not looked for under a name that would be another path', async () => {
    for (const name of ['../secrets/key', '', 'a/b', 'A', 'key?x'])
      assert.equal(await secret('apps', name, 'token'), undefined);
    assert.deepEqual(asked, []);
  });

  it('are asked for once by all who ask in the same five seconds', async () => {
    put('a');
    await Promise.all(Array.from({ length: 5 }, () => secret('apps', 'key', 'token')));
    await clock.turn(4_999);
    put('b');
    assert.equal(String(await secret('apps', 'key', 'token')), 'a');
    assert.equal(asked.length, 1);
    await clock.turn(1);
    assert.equal(String(await secret('apps', 'key', 'token')), 'b');
  });

  it('that could not be read are asked for again at once', async () => {
    for (const code of ['unavailable', 'timeout', 'refused'] as const) {
      there.set(PATH, new Fault(code, 'no'));
      await assert.rejects(secret('apps', 'key', 'token'), (error) => faultOf(error).code === code);
    }
    put('a');
    assert.equal(String(await secret('apps', 'key', 'token')), 'a');
  });

  it('are forgotten when there are too many', async () => {
    put('a');
    await secret('apps', 'key', 'token');
    for (let count = 0; count < 500; count++) await secret('apps', `other-${count}`, 'token');
    asked = [];
    await secret('apps', 'key', 'token');
    assert.deepEqual(asked, [PATH]);
  });
});
