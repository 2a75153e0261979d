import assert from 'node:assert/strict';
import fc from 'fast-check';
import { canonicalHeader, firstOf, hookHeaders, oneOf, valuesOf } from './headers.ts';

describe('headers as Go has them', () => {
  const names: readonly (readonly [name: string, want: string])[] = [
    ['gotk-component', 'Gotk-Component'],
    ['GOTK-COMPONENT', 'Gotk-Component'],
    ['Gotk-Component', 'Gotk-Component'],
    ['X-GitHub-Event', 'X-Github-Event'],
    ['x-hub-signature-256', 'X-Hub-Signature-256'],
    ['WWW-Authenticate', 'Www-Authenticate'],
    ['ETag', 'Etag'],
    ['x', 'X'],
    ['-x--y-', '-X--Y-'],
    ['1a-2B', '1a-2b'],
    ["!#$%&'*+.^_`|~aB", "!#$%&'*+.^_`|~ab"],
    ['a_b-c.d', 'A_b-C.d'],
    ['two words', 'two words'],
    ['a:b', 'a:b'],
    ['größe', 'größe'],
    ['ſhort-K', 'ſhort-K'],
    ['a\tb', 'a\tb'],
    ['', ''],
  ];
  for (const [name, want] of names) {
    it(`${JSON.stringify(name)} is ${JSON.stringify(want)}`, () => {
      assert.equal(canonicalHeader(name), want);
    });
  }

  it('a name that is canonical stays so', () => {
    fc.assert(
      fc.property(fc.string(), (name) => canonicalHeader(canonicalHeader(name)) === canonicalHeader(name)),
      { numRuns: 2_000 },
    );
  });

  it('names that differ by case are one header, whose values keep their order', () => {
    const headers = hookHeaders(['x-team', 'a', 'Accept', '*/*', 'X-TEAM', 'b', 'X-Team', '']);
    assert.deepEqual(
      [...headers],
      [
        ['X-Team', ['a', 'b', '']],
        ['Accept', ['*/*']],
      ],
    );
    assert.deepEqual(valuesOf(headers, 'x-team'), ['a', 'b', '']);
    assert.equal(firstOf(headers, 'x-TEAM'), 'a');
    assert.equal(oneOf(headers, 'x-team'), undefined);
    assert.equal(oneOf(headers, 'accept'), '*/*');
  });

  it('a header that is not there has no value', () => {
    const headers = hookHeaders([]);
    assert.deepEqual(valuesOf(headers, 'Gotk-Component'), []);
    assert.equal(firstOf(headers, 'Gotk-Component'), '');
    assert.equal(oneOf(headers, 'Gotk-Component'), undefined);
  });

  it('what says where and how a request was sent is not among them', () => {
    const raw = ['host', 'gateway.example', 'TRAILER', 'X-Sum', 'transfer-encoding', 'chunked', 'Content-Length', '2'];
    assert.deepEqual([...hookHeaders(raw)], [['Content-Length', ['2']]]);
  });

  it('values are UTF-8, which Node hands on as bytes', () => {
    const sent = Buffer.from('größe 😀').toString('latin1');
    assert.equal(firstOf(hookHeaders(['X-Title', sent]), 'X-Title'), 'größe 😀');
  });

  it('names that mean something to objects are names like others', () => {
    const headers = hookHeaders(['__proto__', 'a', 'constructor', 'b']);
    assert.equal(firstOf(headers, '__proto__'), 'a');
    assert.equal(firstOf(headers, 'constructor'), 'b');
    assert.equal(firstOf(hookHeaders([]), 'constructor'), '');
  });

  it('a name without a value is left out', () => {
    assert.deepEqual([...hookHeaders(['Accept', '*/*', 'X-Odd'])], [['Accept', ['*/*']]]);
  });
});
