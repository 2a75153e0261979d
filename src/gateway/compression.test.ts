import assert from 'node:assert/strict';
import { gunzipSync } from 'node:zlib';
import { acceptsGzip, JsonBody } from './compression.ts';

describe('compression', () => {
  for (const [header, want] of [
    [undefined, false],
    ['', false],
    ['gzip', true],
    ['GZIP', true],
    ['x-gzip', true],
    ['deflate, gzip;q=1.0, *;q=0.5', true],
    ['gzip;q=0', false],
    ['gzip; q=0.000', false],
    ['gzip;q=0.001', true],
    ['*', true],
    ['*;q=0', false],
    ['*;q=0, gzip', true],
    ['gzip;q=0, *', false],
    ['identity', false],
    ['br', false],
    ['gzip;q=0.5, identity', false],
    ['gzip, identity;q=0.5', true],
    ['identity;q=0', false],
    ['gzip;q=nonsense', true],
  ] as const) {
    it(`Accept-Encoding: ${header ?? '(none)'} ${want ? 'takes' : 'does not take'} gzip`, () => {
      assert.equal(acceptsGzip(header), want);
    });
  }

  it('compresses long texts alone, each once', async () => {
    assert.equal(new JsonBody('x'.repeat(1_023)).isCompressible, false);
    const body = new JsonBody('é'.repeat(512), ['ETag', 'W/"1"']);
    assert.equal(body.isCompressible, true);
    assert.deepEqual(body.about, ['ETag', 'W/"1"', 'Vary', 'Accept-Encoding']);
    assert.equal(body.compressed(), body.compressed());
    assert.equal(gunzipSync(await body.compressed()).toString(), body.text);
  });
});
