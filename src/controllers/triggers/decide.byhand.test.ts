/** Runs that are asked for by `rungate.dev/runAt`, by hand or by a request. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { first, Stage, whole } from '../../../test/support/trigger-stage.ts';
import type { JsonObject } from '../../kube/objects.ts';
import { judgeRequest, runAtOf } from '../../triggers/runat.ts';

const [A, B, C] = ['a', 'b', 'c'].map((letter) => `main@sha1:${letter.repeat(40)}`) as [string, string, string];

describe('a run by hand', () => {
  const keyed = (key: string) => runAtOf('anna', { namespace: 'ci', name: 't' }, key);

  it('is told apart from one of something new, and both at once are one run', () => {
    const stage = new Stage(first);
    stage.push(A);
    stage.rest();
    stage.ask('1');
    stage.rest();
    stage.ask('2');
    stage.push(B);
    stage.rest();
    assert.deepEqual(
      stage.begun.map(({ event, byHand }) => [event, byHand]),
      [
        [A, false],
        [A, true],
        [B, false],
      ],
    );
    stage.push(C);
    stage.rest();
    assert.equal(stage.status.byHand, undefined);
  });

  it('remembers the keys of requests, and of nothing else', () => {
    const stage = new Stage(first);
    stage.push(A);
    stage.rest();
    const keys = Array.from({ length: 25 }, (_, place) => keyed(`${place}`));
    for (const key of keys) {
      stage.ask(key);
      stage.rest();
    }
    stage.ask('by kubectl');
    stage.rest();
    assert.deepEqual(stage.status.handledKeys, keys.slice(-20));
    assert.equal(stage.status.handledRunAt, 'by kubectl');
  });

  it('carries the id of its request, and no other run does', () => {
    const [one, two] = [keyed('one'), keyed('two')];
    const stage = new Stage(first);
    stage.push(A);
    stage.rest();
    stage.ask(one);
    stage.nextCreate = 'refused';
    stage.rest();
    stage.crash();
    stage.restAtLast();
    stage.finish(stage.created.at(-1) ?? '', 'False');
    stage.restAtLast();
    stage.push(B);
    stage.restAtLast();
    stage.ask(two);
    stage.push(C);
    stage.restAtLast();
    stage.ask('by kubectl');
    stage.restAtLast();
    assert.deepEqual(
      stage.begun.map(({ event, eventId }) => [event, eventId]),
      [
        [A, undefined],
        [A, one],
        [A, one], // the retry
        [B, undefined],
        [C, two],
        [C, undefined],
      ],
    );
    assert.equal(stage.status.handledSequences, undefined);
  });

  it('that could not begin is that of the newer event which took its place', () => {
    const [one, two] = [keyed('one'), keyed('two')];
    const stage = new Stage(first);
    stage.push(A);
    stage.rest();
    stage.pipelineMissing = true;
    stage.ask(one);
    stage.rest();
    stage.push(B);
    stage.rest();
    stage.push(C);
    stage.rest();
    assert.deepEqual(stage.created.length, 1);
    stage.pipelineMissing = false;
    stage.restAtLast();
    stage.push(A);
    stage.restAtLast();
    stage.ask(two);
    stage.restAtLast();
    assert.deepEqual(
      stage.begun.map(({ event, eventId }) => [event, eventId]),
      [
        [A, undefined],
        [C, one],
        [A, undefined],
        [A, two],
      ],
    );
  });

  it('whatever happens, each request that was taken has a run', () => {
    const happening = fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom(A, B, C) },
      { weight: 5, arbitrary: fc.constant('step') },
      { weight: 3, arbitrary: fc.constant('ask') },
      { weight: 3, arbitrary: fc.constantFrom('crash', 'sync', 'lost', 'refused', 'missing', 'there') },
      { weight: 1, arbitrary: fc.integer({ min: 1, max: 60_000 }) },
    );
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 60 }), (happenings) => {
        const stage = new Stage(whole);
        stage.report({});
        const asked: string[] = [];
        for (const [place, each] of happenings.entries()) {
          if (typeof each === 'number') stage.later += each;
          else if (each === 'step') stage.step();
          else if (each === 'crash') stage.crash();
          else if (each === 'sync') stage.seen = stage.trigger;
          else if (each === 'missing' || each === 'there') stage.pipelineMissing = each === 'missing';
          else if (each === 'lost' || each === 'refused') stage.nextCreate = each;
          else if (each === 'ask') {
            const runAt = keyed(`${place}`);
            if (judgeRequest(stage.trigger, runAt) !== 'free') continue;
            stage.annotate({ 'rungate.dev/runAt': runAt });
            asked.push(runAt);
          } else stage.push(each);
        }
        stage.push(B);
        stage.pipelineMissing = false;
        stage.restAtLast();
        stage.restAtLast();
        const begun = new Set(stage.begun.map(({ eventId }) => eventId));
        assert.deepEqual(
          asked.filter((each) => !begun.has(each)),
          [],
        );
        assert.equal(new Set(stage.created).size, stage.created.length);
      }),
      { numRuns: 2_000 },
    );
  });

  describe('of a source that may hold something newer', () => {
    const old = (revision: string, more: JsonObject = {}): JsonObject => ({
      artifact: { revision, lastUpdateTime: '2025-12-31T00:00:00Z' },
      ...more,
    });
    const begin = () => {
      const stage = new Stage(first);
      stage.sourceSpec = { interval: '10m' };
      stage.report(old(A));
      stage.rest();
      stage.ask('x');
      stage.rest();
      return stage;
    };

    it('waits until Flux has looked, and runs what it found, once', () => {
      const stage = begin();
      assert.deepEqual([stage.asked, stage.created.length], [1, 1]);
      assert.equal(stage.againMs, 20_000);
      stage.report(old(B, { lastHandledReconcileAt: 'x' }));
      stage.rest();
      assert.deepEqual(
        stage.begun.map(({ event }) => event),
        [A, B],
      );
      stage.crash();
      stage.rest();
      assert.deepEqual([stage.asked, stage.created.length], [1, 2]);
    });

    it('runs the same revision once more where there was nothing newer', () => {
      const stage = begin();
      stage.report(old(A, { lastHandledReconcileAt: 'of a Receiver' }));
      stage.rest();
      assert.deepEqual(
        stage.begun.map(({ event, byHand }) => [event, byHand]),
        [
          [A, false],
          [A, true],
        ],
      );
    });

    it('does not wait for ever, nor ask when the source is fresh', () => {
      const stage = begin();
      stage.later += 20_000;
      stage.rest();
      assert.deepEqual([stage.asked, stage.created.length], [1, 2]);
      const fresh = new Stage(first);
      fresh.sourceSpec = { interval: '10m' };
      fresh.report({ artifact: { revision: A, lastUpdateTime: '2025-12-31T23:55:00Z' } });
      fresh.rest();
      fresh.ask('x');
      fresh.rest();
      assert.deepEqual([fresh.asked, fresh.created.length], [0, 2]);
    });

    it('what comes by itself meanwhile is what was asked for', () => {
      const stage = begin();
      stage.report(old(B));
      stage.rest();
      stage.report(old(B, { lastHandledReconcileAt: 'x' }));
      stage.rest();
      assert.deepEqual(
        stage.begun.map(({ event }) => event),
        [A, B],
      );
    });
  });
});
