import assert from 'node:assert/strict';
import { createDeliveries, type Delivery } from './deliveries.ts';

const build = { namespace: 'apps', name: 'build' };
const hookNamed = (name: string) => ({ namespace: 'apps', name });

const delivery = (at: number, changes: Partial<Delivery> = {}): Delivery => ({
  at,
  id: `id-${at}`,
  requestId: 'r',
  client: '192.0.2.1',
  component: 'source-controller',
  event: undefined,
  status: 202,
  problem: undefined,
  isRepeat: false,
  results: [{ trigger: 't', outcome: 'created' }],
  durationMs: 3,
  ...changes,
});

describe('the past of a hook', () => {
  it('is its last hundred deliveries, the newest first', () => {
    const deliveries = createDeliveries();
    for (let at = 1; at <= 101; at++) deliveries.add(build, delivery(at));
    const { deliveries: kept } = deliveries.of(build);
    assert.deepEqual([kept.length, kept[0]?.at, kept.at(-1)?.at], [100, 101, 2]);
    assert.deepEqual(deliveries.of(hookNamed('other')), { deliveries: [], refused: { count: 0, lastAt: undefined } });
  });

  it('counts who was not let in, at the cost of nobody', () => {
    const deliveries = createDeliveries();
    deliveries.add(build, delivery(1));
    for (let at = 0; at < 1_000; at++) deliveries.refuse(build, at);
    const { deliveries: kept, refused } = deliveries.of(build);
    assert.deepEqual([kept.length, refused], [1, { count: 1_000, lastAt: 999 }]);
  });

  it('cuts what a sender wrote', () => {
    const deliveries = createDeliveries();
    const long = 'x\n'.repeat(10_000);
    const event = {
      kind: 'GitRepository',
      namespace: 'apps',
      name: 'web',
      revision: long,
      severity: long,
      reason: long,
    };
    const results = Array.from({ length: 50 }, () => ({ trigger: 't', outcome: 'failed', message: long }) as const);
    deliveries.add(build, delivery(1, { component: long, event, results, problem: long }));
    const [kept] = deliveries.of(build).deliveries;
    assert(kept);
    assert.ok(JSON.stringify(kept).length < 20_000);
    assert.doesNotMatch(JSON.stringify(kept), /\\n/);
    assert.equal(kept.results.length, 20);
  });

  it('takes bounded memory: the hook that is quiet for the longest loses its oldest first', () => {
    const size = JSON.stringify(delivery(1)).length;
    const deliveries = createDeliveries({ mostBytes: 10 * size });
    for (let at = 1; at <= 6; at++) deliveries.add(build, delivery(at));
    for (let at = 1; at <= 6; at++) deliveries.add(hookNamed('loud'), delivery(at));
    assert.deepEqual(
      deliveries.of(build).deliveries.map(({ at }) => at),
      [6, 5, 4, 3],
    );
    assert.equal(deliveries.of(hookNamed('loud')).deliveries.length, 6);
  });

  it('is forgotten where there are too many hooks, refusals as well', () => {
    const deliveries = createDeliveries({ mostHooks: 2 });
    for (const name of ['a', 'b', 'c']) {
      deliveries.add(hookNamed(name), delivery(1));
      deliveries.refuse(hookNamed(name), 1);
    }
    const known = (name: string) => {
      const { deliveries: kept, refused } = deliveries.of(hookNamed(name));
      return [kept.length, refused.count];
    };
    assert.deepEqual(
      [known('a'), known('b'), known('c')],
      [
        [0, 0],
        [1, 1],
        [1, 1],
      ],
    );
  });
});
