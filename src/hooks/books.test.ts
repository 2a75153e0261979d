import assert from 'node:assert/strict';
import { joinBooks } from './books.ts';
import type { Found, Hook, HookBook } from './hook.ts';

const ref = { namespace: 'apps', name: 'build' };

describe('books of several kinds', () => {
  const told: string[] = [];
  const hook = (kind: Hook['kind']): Hook => ({
    kind,
    ref,
    uid: kind,
    secret: 's',
    wantsFluxEvent: true,
    receive: async () => [],
    tell: (type, reason, message) => void told.push(`${kind} ${type} ${reason} ${message}`),
  });
  const [trigger, listener] = [hook('PipelineTrigger'), hook('EventListener')];
  const book = (found: Found): HookBook => ({ find: () => found });

  const table: readonly [string, readonly Found[], Found][] = [
    ['none has it', [undefined, undefined], undefined],
    ['the first has it', [trigger, undefined], trigger],
    ['the second has it', [undefined, listener], listener],
    ['the first may turn out to have it', ['waiting', listener], 'waiting'],
    ['the second may have it as well', [trigger, 'waiting'], trigger],
    ['nobody knows', [undefined, 'waiting'], 'waiting'],
    ['both have it', [trigger, listener], trigger],
  ];
  for (const [name, found, want] of table) {
    it(`are one: ${name}`, () => assert.equal(joinBooks(found.map(book)).find(ref), want));
  }

  it('are waited for where one has to read first', async () => {
    const slow: HookBook = { find: async () => trigger };
    assert.equal(await joinBooks([slow, book(listener)]).find(ref), trigger);
    assert.equal(await joinBooks([book(undefined), slow]).find(ref), trigger);
  });

  it('tell the one that gets nothing, once however often it is asked for', () => {
    const joined = joinBooks([book(trigger), book(listener)]);
    told.length = 0;
    for (let at = 0; at < 3; at++) joined.find(ref);
    assert.deepEqual(told, [
      'EventListener Warning HookTaken /hooks/apps/build is the hook of the PipelineTrigger of this name: nothing comes to this EventListener. Rename one of them.',
    ]);
  });
});
