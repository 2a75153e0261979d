import assert from 'node:assert/strict';
import fc from 'fast-check';
import { plainText } from './plain.ts';

describe('plainText', () => {
  const cases = [
    { name: 'what fits stays', given: 'Source app ü', most: 20, want: 'Source app ü' },
    { name: 'exactly as long as may be', given: 'abcdef', most: 6, want: 'abcdef' },
    { name: 'too long', given: 'abcdefg', most: 6, want: 'abc…' },
    { name: 'cut before a character that would be halved', given: 'abü def', most: 6, want: 'ab…' },
    { name: 'cut before four bytes', given: 'a😀😀', most: 8, want: 'a😀…' },
    { name: 'line breaks and colours', given: 'a\r\nb\u001b[31mc\u2028d', most: 99, want: 'a b [31mc d' },
    { name: 'a turned direction', given: 'a\u202egnp.exe', most: 99, want: 'a gnp.exe' },
    { name: 'half a character', given: 'a\ud83d', most: 99, want: 'a\ufffd' },
    { name: 'nothing', given: '\n\n', most: 99, want: '' },
  ];
  for (const { name, given, most, want } of cases) it(name, () => assert.equal(plainText(given, most), want));

  it('is a well-formed line within the limit, whatever it is given', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), fc.integer({ min: 3, max: 80 }), (text, most) => {
        const line = plainText(text, most);
        assert(Buffer.byteLength(line) <= most);
        assert(line.isWellFormed());
        assert.doesNotMatch(line, /[\x00-\x1f\x7f-\x9f\u2028\u2029]/);
        assert.equal(plainText(line, most), line);
      }),
    );
  });
});
