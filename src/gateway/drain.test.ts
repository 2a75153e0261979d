import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { silentLog } from '../log.ts';
import { createDrain, onAbort } from './drain.ts';

describe('createDrain', () => {
  it('ends at once when nothing is open', async () => {
    const drain = createDrain(silentLog);
    assert.equal(drain.signal.aborted, false);
    await drain.stop(new AbortController().signal);
    assert.equal(drain.signal.aborted, true);
  });

  it('waits for the last open request', async () => {
    const drain = createDrain(silentLog);
    const [first, second] = [drain.enter(), drain.enter()];
    let over = false;
    const stopping = drain.stop(new AbortController().signal).then(() => (over = true));
    first();
    first();
    await turn();
    assert.equal(drain.open, 1);
    assert.equal(over, false);
    second();
    await stopping;
  });

  it('lets go of open requests when told to', async () => {
    const drain = createDrain(silentLog);
    drain.enter();
    const letGo = new AbortController();
    const stopping = drain.stop(letGo.signal);
    letGo.abort();
    await stopping;
    assert.equal(drain.open, 1);
  });
});

describe('onAbort', () => {
  it('tells everyone once, and nobody who has stopped listening', () => {
    const ending = new AbortController();
    const heard: string[] = [];
    onAbort(ending.signal, () => heard.push('first'));
    const end = onAbort(ending.signal, () => heard.push('second'));
    onAbort(ending.signal, () => heard.push('third'));
    end();
    end();
    ending.abort();
    ending.abort();
    assert.deepEqual(heard, ['first', 'third']);
  });

  it('keeps one listener on the signal, however many hear', () => {
    const { signal } = new AbortController();
    const ends = Array.from({ length: 1_000 }, () => onAbort(signal, () => {}));
    assert.equal(getEventListeners(signal, 'abort').length, 1);
    for (const end of ends) end();
  });
});
