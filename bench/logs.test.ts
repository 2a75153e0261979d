import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createDigest, type Digest } from './logs.ts';

describe('the digest of a log', () => {
  const digestOf = (text: string, pieceBytes: number): Digest => {
    const digest = createDigest();
    for (let at = 0; at < text.length; at += pieceBytes) digest.update(Buffer.from(text.slice(at, at + pieceBytes)));
    return digest.end();
  };
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

  for (const { name, text, counted } of [
    { name: 'is that of its bytes', text: 'one\ntwo\n', counted: 'one\ntwo\n' },
    { name: 'leaves out the empty line behind a container', text: 'one\ntwo\n\n', counted: 'one\ntwo\n' },
    { name: 'keeps empty lines within', text: 'one\n\ntwo\n', counted: 'one\n\ntwo\n' },
    { name: 'is that of nothing', text: '', counted: '' },
    { name: 'is that of a byte', text: '\n', counted: '\n' },
  ])
    it(`${name}, whatever pieces they come in`, () => {
      for (const pieceBytes of [1, 2, 3, 100])
        assert.deepEqual(digestOf(text, pieceBytes), { bytes: counted.length, sha256: sha256(counted) });
    });
});
