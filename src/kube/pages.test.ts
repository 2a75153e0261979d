import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Fault } from '../fault.ts';
import type { KubeReader } from './client.ts';
import type { JsonObject } from './objects.ts';
import { listPages, nextPageSize } from './pages.ts';

const RUNS = '/apis/tekton.dev/v1/pipelineruns';

/** A collection of `count` objects, which takes `msEach` to parse for every one; what was asked of it. */
function collection(count: number, msEach: number) {
  const asked: { readonly limit: number; readonly query: URLSearchParams }[] = [];
  const get: KubeReader['get'] = async (path, { parsed } = {}) => {
    const query = new URLSearchParams(path.split('?')[1]);
    const limit = Number(query.get('limit'));
    asked.push({ limit, query });
    const from = Number(query.get('continue') ?? 0);
    const items: JsonObject[] = Array.from({ length: Math.min(limit, count - from) }, (_, at) => ({ at: from + at }));
    parsed?.(items.length * msEach);
    const next = from + items.length;
    return { metadata: { resourceVersion: '7', ...(next < count ? { continue: String(next) } : {}) }, items };
  };
  const reader: KubeReader = { get, stream: () => Promise.reject(new Error('nothing is streamed')) };
  const read = async () => {
    const all: number[] = [];
    for await (const { items, resourceVersion } of listPages(reader, RUNS, { signal: new AbortController().signal })) {
      assert.equal(resourceVersion, '7');
      for (const item of items) all.push((item as { readonly at: number }).at);
    }
    return all;
  };
  return { asked, read, reader };
}

describe('listPages', () => {
  it('reads everything once, whatever the sizes of its pages', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: 3_000 }), fc.double({ min: 0, max: 5, noNaN: true }), async (count, msEach) => {
        const all = await collection(count, msEach).read();
        assert.deepEqual(
          all,
          Array.from({ length: count }, (_, at) => at),
        );
      }),
      { numRuns: 50 },
    );
  });

  it('asks for less of what is heavy, and for more of what is light', async () => {
    const heavy = collection(1_000, 0.5);
    await heavy.read();
    assert.deepEqual(
      heavy.asked.slice(0, 3).map(({ limit }) => limit),
      [250, 24, 24],
    );
    const light = collection(5_000, 0.01);
    await light.read();
    assert.deepEqual(
      light.asked.slice(0, 4).map(({ limit }) => limit),
      [250, 375, 563, 845],
    );
  });

  it('selects by labels and fields', async () => {
    const { reader, asked } = collection(1, 0);
    const { signal } = new AbortController();
    const selection = { labels: 'tekton.dev/pipelineRun=green', fields: 'metadata.name=green' };
    for await (const _ of listPages(reader, RUNS, { ...selection, signal })) break;
    assert.deepEqual(Object.fromEntries(asked[0]?.query ?? []), {
      limit: '250',
      labelSelector: selection.labels,
      fieldSelector: selection.fields,
    });
  });

  it('refuses what is not a list', async () => {
    const reader: KubeReader = { ...collection(0, 0).reader, get: async () => ({ kind: 'Status' }) };
    await assert.rejects(
      async () => {
        for await (const _ of listPages(reader, RUNS, { signal: new AbortController().signal }));
      },
      new Fault('refused', `${RUNS} is not a list`),
    );
  });
});

describe('nextPageSize', () => {
  const cases = [
    { name: 'shrinks at once to what fits', given: { size: 500, items: 500, parseMs: 120 }, want: 50 },
    { name: 'grows by a half', given: { size: 500, items: 500, parseMs: 1 }, want: 750 },
    { name: 'stays where it fits', given: { size: 100, items: 100, parseMs: 12 }, want: 100 },
    { name: 'never below ten', given: { size: 20, items: 20, parseMs: 1_000 }, want: 10 },
    { name: 'never above 2000', given: { size: 1_900, items: 1_900, parseMs: 0 }, want: 2_000 },
    { name: 'does not grow by a page that was not full', given: { size: 500, items: 3, parseMs: 0 }, want: 500 },
    { name: 'is as it was after an empty page', given: { size: 500, items: 0, parseMs: 0 }, want: 500 },
  ];
  for (const { name, given, want } of cases) it(name, () => assert.equal(nextPageSize(given), want));
});
