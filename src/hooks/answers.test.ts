import assert from 'node:assert/strict';
import fc from 'fast-check';
import { answered, closed, eventIdOf, refusals, refused } from './answers.ts';
import type { TriggerResult } from './outcome.ts';

const identity = '7faccb4dee036135c96d67ce5a04dd93a98575aae7b390f9e2f5e1d667a9c197';
const delivered = { hook: { ref: { namespace: 'apps', name: 'build' }, uid: 'u' }, identity };

describe('the answer to a delivery', () => {
  it('is that of an EventListener, and what became of each trigger without what is for its owner', () => {
    const results: readonly TriggerResult[] = [
      { trigger: 'a', outcome: 'created', pipelineRun: 'apps/build-1' },
      { trigger: 'b', outcome: 'failed', reason: 'MissingParameter', message: 'for the owner' },
    ];
    assert.deepEqual(answered(delivered, results), {
      status: 202,
      headers: [],
      code: undefined,
      body: {
        eventListener: 'build',
        namespace: 'apps',
        eventListenerUID: 'u',
        eventID: '7faccb4d-ee03-8135-896d-67ce5a04dd93',
        results: [
          { trigger: 'a', outcome: 'created', pipelineRun: 'apps/build-1' },
          { trigger: 'b', outcome: 'failed', reason: 'MissingParameter' },
        ],
      },
    });
  });

  it('is 503 where Kubernetes did not take a run, that trigger before the others', () => {
    const { status, headers, body } = answered(delivered, [
      { trigger: 'a', outcome: 'created' },
      { trigger: 'b', outcome: 'unavailable', message: 'for the owner' },
    ]);
    assert.equal(status, 503);
    assert.deepEqual(headers, ['Retry-After', '3']);
    assert.deepEqual(body, {
      errorMessage: 'a run was not taken; try again',
      error: 'a run was not taken; try again',
      code: 'unavailable',
      results: [
        { trigger: 'b', outcome: 'unavailable' },
        { trigger: 'a', outcome: 'created' },
      ],
    });
  });

  it('has an id of the event that is made of the delivery, and is a UUID', () => {
    assert.equal(eventIdOf(identity), '7faccb4d-ee03-8135-896d-67ce5a04dd93');
    assert.equal(eventIdOf('f'.repeat(64)), 'ffffffff-ffff-8fff-bfff-ffffffffffff');
  });
});

describe('a refusal', () => {
  it('says the same of a hook that is not there and of a key that is wrong, but for the status', () => {
    const [unknown, wrong] = [refused(closed(false), 'r'), refused(closed(true), 'r')];
    assert.deepEqual([unknown.status, wrong.status], [404, 401]);
    assert.deepEqual({ ...unknown, status: 0 }, { ...wrong, status: 0 });
  });

  it('is shorter than 256 bytes, whatever is in it', () => {
    const code = fc.constantFrom(...(Object.keys(refusals) as (keyof typeof refusals)[]));
    fc.assert(
      fc.property(code, fc.string({ unit: 'binary' }), fc.string({ maxLength: 128 }), (each, sentence, requestId) => {
        const { body } = refused({ code: each, sentence }, requestId);
        assert.ok(Buffer.byteLength(JSON.stringify(body)) < 256);
      }),
    );
  });

  it('is shorter than 256 bytes with many results', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 63 }), { minLength: 1, maxLength: 50 }), (triggers) => {
        const { body } = answered(
          delivered,
          triggers.map((trigger) => ({ trigger, outcome: 'unavailable' }) as const),
        );
        assert.ok(Buffer.byteLength(JSON.stringify(body)) < 256);
      }),
    );
  });
});
