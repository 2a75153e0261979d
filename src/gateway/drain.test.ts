import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { silentLog } from '../log.ts';
import { createDrain } from './drain.ts';

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
