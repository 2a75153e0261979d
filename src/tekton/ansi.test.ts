import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { LogLine } from '../kube/lines.ts';
import { ansiStripper } from './ansi.ts';

function line(text: Buffer | string, part: LogLine['part'] = 'whole'): LogLine {
  return { timestamp: '', text: Buffer.from(text), part };
}

describe('ansiStripper', () => {
  const cases: readonly { name: string; given: string; want: string }[] = [
    { name: 'plain text', given: 'ünïcode 100% [31m', want: 'ünïcode 100% [31m' },
    { name: 'colours', given: '\x1b[1;31mred\x1b[0m and \x1b[38;2;1;2;3mrgb\x1b[m', want: 'red and rgb' },
    { name: 'colours written with colons', given: '\x1b[38:5:9mred\x1b[0m', want: 'red' },
    { name: 'movements of the cursor', given: '\x1b[2K\x1b[1A\x1b[?25lone\rtwo', want: 'one\rtwo' },
    { name: 'a title', given: 'a\x1b]0;title\x07b', want: 'ab' },
    { name: 'a link', given: '\x1b]8;;https://example.com\x1b\\text\x1b]8;;\x1b\\', want: 'text' },
    { name: 'a device string', given: 'a\x1bPdata\x1b\\b', want: 'ab' },
    { name: 'character sets and other short ones', given: '\x1b(Ba\x1b7b\x1b=c\x1bMd', want: 'abcd' },
    { name: 'a sequence that a line end cuts', given: 'a\x1b[31', want: 'a' },
    { name: 'a title that never ends', given: 'a\x1b]0;title', want: 'a' },
    { name: 'an escape alone', given: 'a\x1b', want: 'a' },
    { name: 'a sequence that another one cuts', given: 'a\x1b[3\x1b[31mb', want: 'ab' },
    { name: 'what is no sequence', given: 'a\x1b\tb\x1b[3\rc', want: 'a\tb\rc' },
    { name: 'NUL and other control characters', given: 'a\0\b\x0c\x7f', want: 'a\0\b\x0c\x7f' },
  ];
  for (const { name, given, want } of cases) it(name, () => assert.equal(ansiStripper()(line(given)).toString(), want));

  it('gives back a line without sequences, not a copy, and leaves bytes that are no text', () => {
    const plain = line(Buffer.from([0xff, 0x9b, 0x00, 0x80]));
    assert.equal(ansiStripper()(plain), plain.text);
  });

  it('begins anew with each line', () => {
    const strip = ansiStripper();
    assert.equal(strip(line('a\x1b]0;title')).toString(), 'a');
    assert.equal(strip(line('b')).toString(), 'b');
  });

  const pieces = fc.array(
    fc.oneof(
      fc.string(),
      fc.constantFrom('\x1b[31m', '\x1b[0m', '\x1b]0;title\x07', '\x1b]8;;x\x1b\\', '\x1b(B', '\x1b', '\x1b[3', '\x9b'),
    ),
  );

  it('run 31: a line in fragments is stripped like the whole line', () => {
    fc.assert(
      fc.property(pieces, fc.array(fc.nat(200)), (texts, cuts) => {
        const whole = Buffer.from(texts.join(''));
        const places = [0, ...cuts.filter((cut) => cut < whole.length).sort((a, b) => a - b), whole.length];
        const strip = ansiStripper();
        const fragments = places.slice(1).map((end, at) => {
          const part = at === 0 ? 'first' : at === places.length - 2 ? 'last' : 'middle';
          return strip(line(whole.subarray(places[at], end), part));
        });
        assert.deepEqual(Buffer.concat(fragments), ansiStripper()(line(whole)));
      }),
    );
  });

  it('leaves no escape character and adds nothing', () => {
    fc.assert(
      fc.property(fc.uint8Array(), pieces, (bytes, texts) => {
        const text = Buffer.concat([bytes, Buffer.from(texts.join(''))]);
        const stripped = ansiStripper()(line(text));
        assert.ok(!stripped.includes(0x1b));
        let at = -1;
        for (const byte of stripped) {
          at = text.indexOf(byte, at + 1);
          assert.notEqual(at, -1);
        }
      }),
    );
  });
});
