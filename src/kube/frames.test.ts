import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { type WatchFrame, watchFrames } from './frames.ts';

const frame = (type: string, object: object) => `${JSON.stringify({ type, object })}\n`;
const bookmark = (version: number, annotations: object = {}) =>
  frame('BOOKMARK', { metadata: { resourceVersion: String(version), annotations } });
const expired = frame('ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' });
const broken = frame('ERROR', { kind: 'Status', code: 500, message: 'unable to decode an event' });

describe('watchFrames', () => {
  const read = async (chunks: readonly Buffer[], limitBytes?: number) => {
    const frames: WatchFrame[] = [];
    for await (const batch of watchFrames(Readable.from(chunks, { objectMode: false }), limitBytes))
      frames.push(...batch);
    return frames;
  };

  it('are the same wherever the bytes are split', async () => {
    const plain = { noNullPrototype: true };
    const metadata = fc.record({ resourceVersion: fc.string() }, plain);
    const object = fc.record({ metadata, text: fc.string({ unit: 'grapheme' }) }, plain);
    const objects = fc.record({ type: fc.constantFrom('ADDED', 'MODIFIED', 'DELETED'), object }, plain);
    await fc.assert(
      fc.asyncProperty(
        fc.array(objects, { maxLength: 5 }),
        fc.array(fc.nat(), { maxLength: 20 }),
        async (sent, cuts) => {
          const bytes = Buffer.from(sent.map((each) => `${JSON.stringify(each)}\n`).join(''));
          const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
          const chunks = places.slice(1).map((end, index) => bytes.subarray(places[index], end));
          const frames = await read(chunks.filter((chunk) => chunk.length > 0));
          const want = sent.map(({ type, object }) => ({
            type,
            object,
            resourceVersion: object.metadata.resourceVersion,
          }));
          assert.deepEqual(frames, want);
        },
      ),
    );
  });

  const cases: readonly { name: string; given: string; limitBytes?: number; want: RegExp }[] = [
    { name: 'what is not JSON', given: '{"type":\n', want: /not JSON/ },
    { name: 'what has no type', given: '{}\n', want: /unknown type/ },
    {
      name: 'a line that is too long',
      given: bookmark(1).repeat(3).replaceAll('\n', ''),
      limitBytes: 100,
      want: /more than 100/,
    },
  ];
  for (const { name, given, limitBytes, want } of cases) {
    it(`refuse ${name}`, () =>
      assert.rejects(read([Buffer.from(given)], limitBytes), { code: 'refused', message: want }));
  }

  it('know the bookmark that ends a list from others', async () => {
    const end = { 'k8s.io/initial-events-end': 'true' };
    assert.deepEqual(await read([Buffer.from(bookmark(7) + bookmark(8, end))]), [
      { type: 'BOOKMARK', resourceVersion: '7', endsList: false },
      { type: 'BOOKMARK', resourceVersion: '8', endsList: true },
    ]);
  });

  it('know an error that means 410 from another', async () => {
    assert.deepEqual(await read([Buffer.from(`\n${expired}${broken}`)]), [
      { type: 'ERROR', expired: true, message: 'too old resource version' },
      { type: 'ERROR', expired: false, message: 'unable to decode an event' },
    ]);
  });
});
