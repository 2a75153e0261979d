import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { type SignatureHash, sign, verifyBearer, verifySignature, verifyToken } from './signature.ts';

const BODY = '{"involvedObject":{"kind":"GitRepository","namespace":"apps","name":"web"},"severity":"info"}';
const SIGNATURE = 'sha256=bb19725af7f235c1bb9594f890a3478de22c162dd6ad59f57dcead59b4dce389';

const raw = Buffer.from(BODY);
const key = Buffer.from('fluxkey');
const other = Buffer.from('another');

function mac(hash: string, secret = key): string {
  return createHmac(hash, secret).update(raw).digest('hex');
}

describe('signatures', () => {
  it('are those that notification-controller makes', () => {
    assert.equal(raw.length, 93);
    assert.equal(sign(key, raw), SIGNATURE);
    assert.equal(verifySignature([SIGNATURE], [key], raw), true);
  });

  const hex = SIGNATURE.slice('sha256='.length);
  const table: readonly { readonly name: string; readonly given: readonly string[]; readonly want: boolean }[] = [
    { name: 'sha256', given: [`sha256=${hex}`], want: true },
    { name: 'sha384', given: [`sha384=${mac('sha384')}`], want: true },
    { name: 'sha512', given: [`sha512=${mac('sha512')}`], want: true },
    { name: 'large hex', given: [`sha256=${hex.toUpperCase()}`], want: true },
    { name: 'no header', given: [], want: false },
    { name: 'an empty header', given: [''], want: false },
    { name: 'the header twice', given: [SIGNATURE, SIGNATURE], want: false },
    { name: 'two signatures in one header', given: [`${SIGNATURE}, ${SIGNATURE}`], want: false },
    { name: 'sha1', given: [`sha1=${mac('sha1')}`], want: false },
    { name: 'sha224', given: [`sha224=${mac('sha224')}`], want: false },
    { name: 'md5', given: [`md5=${mac('md5')}`], want: false },
    { name: 'sha256 under the name of another hash', given: [`sha512=${hex}`], want: false },
    { name: 'a hash in large letters', given: [`SHA256=${hex}`], want: false },
    { name: 'a name that objects have', given: [`toString=${hex}`], want: false },
    { name: 'no name of a hash', given: [hex], want: false },
    { name: 'hex that is too short', given: [`sha256=${hex.slice(0, -2)}`], want: false },
    { name: 'hex of half a byte less', given: [`sha256=${hex.slice(0, -1)}`], want: false },
    { name: 'hex that is too long', given: [`sha256=${hex}00`], want: false },
    { name: 'something behind the hex', given: [`sha256=${hex}=`], want: false },
    { name: 'no hex', given: [`sha256=${'g'.repeat(64)}`], want: false },
    { name: 'hex that ends early', given: [`sha256=${hex.slice(0, 62)}zz`], want: false },
    { name: 'a line break', given: [`sha256=${hex.slice(0, 63)}\n`], want: false },
    { name: 'base64', given: [`sha256=${Buffer.from(hex, 'hex').toString('base64')}`], want: false },
    { name: 'zeros', given: [`sha256=${'0'.repeat(64)}`], want: false },
    { name: 'the signature of another key', given: [sign(other, raw)], want: false },
  ];
  for (const { name, given, want } of table) {
    it(`event 7: ${name} ${want ? 'is taken' : 'is refused'}`, () => {
      assert.equal(verifySignature(given, [key], raw), want);
    });
  }

  it('event 7: a body that differs by one byte is refused', () => {
    for (let at = 0; at < raw.length; at++) {
      const altered = Buffer.from(raw);
      altered[at] = (altered[at] ?? 0) ^ 1;
      assert.equal(verifySignature([SIGNATURE], [key], altered), false);
    }
  });

  it('event 8: a line break at the end of a key belongs to it', () => {
    const untrimmed = Buffer.from('fluxkey\n');
    assert.equal(verifySignature([sign(untrimmed, raw)], [untrimmed], raw), true);
    assert.equal(verifySignature([sign(key, raw)], [untrimmed], raw), false);
  });

  it('of any of several keys are taken, wherever it stands', () => {
    assert.equal(verifySignature([SIGNATURE], [other, key], raw), true);
    assert.equal(verifySignature([SIGNATURE], [key, other], raw), true);
    assert.equal(verifySignature([SIGNATURE], [other, other], raw), false);
  });

  it('cannot be made without a key, nor with an empty one', () => {
    const empty = Buffer.alloc(0);
    assert.equal(verifySignature([SIGNATURE], [], raw), false);
    assert.equal(verifySignature([sign(empty, raw)], [], raw), false);
    assert.equal(verifySignature([sign(empty, raw)], [empty], raw), false);
    assert.equal(verifySignature([SIGNATURE], [empty, key], raw), true);
  });

  it('of whatever bytes, by whatever key, are taken back', () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 200 }).map((each) => Buffer.from(each));
    const hash = fc.constantFrom<SignatureHash>('sha256', 'sha384', 'sha512');
    fc.assert(
      fc.property(bytes, bytes, hash, (secret, body, by) => {
        assert.equal(verifySignature([sign(secret, body, by)], [secret], body), true);
        // HMAC fills keys up with zeros, so zeros behind one change nothing.
        assert.equal(verifySignature([sign(secret, body, by)], [Buffer.concat([secret, Buffer.of(1)])], body), false);
      }),
    );
  });

  it('of whatever text are refused without an error', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' }), { maxLength: 3 }), (values) => {
        assert.equal(verifySignature(values, [key], raw), false);
        assert.equal(verifyToken(values, [key]), false);
        assert.equal(verifyBearer(values, [key]), false);
      }),
    );
  });
});

describe('tokens', () => {
  const table: readonly { readonly name: string; readonly given: readonly string[]; readonly want: boolean }[] = [
    { name: 'the token', given: ['fluxkey'], want: true },
    { name: 'no token', given: [], want: false },
    { name: 'an empty one', given: [''], want: false },
    { name: 'the token twice', given: ['fluxkey', 'fluxkey'], want: false },
    { name: 'its beginning', given: ['fluxke'], want: false },
    { name: 'more than it', given: ['fluxkeys'], want: false },
    { name: 'other letters', given: ['FLUXKEY'], want: false },
  ];
  for (const { name, given, want } of table) {
    it(`${name}: ${want ? 'taken' : 'refused'}`, () => {
      assert.equal(verifyToken(given, [key]), want);
      assert.equal(verifyToken(given, [other, key]), want);
      assert.equal(
        verifyBearer(
          given.map((each) => `Bearer ${each}`),
          [key],
        ),
        want,
      );
    });
  }

  it('without a key, or with an empty one, none is taken', () => {
    for (const keys of [[], [Buffer.alloc(0)]]) {
      for (const given of [[], [''], ['fluxkey']]) assert.equal(verifyToken(given, keys), false);
      assert.equal(verifyBearer(['Bearer '], keys), false);
    }
  });

  it('a bearer token stands behind its scheme, in either case', () => {
    for (const value of ['Bearer fluxkey', 'bearer fluxkey', 'BEARER   fluxkey'])
      assert.equal(verifyBearer([value], [key]), true, value);
    for (const value of ['fluxkey', 'Bearerfluxkey', 'Basic fluxkey', 'Bearer fluxkey x', ' Bearer fluxkey', 'Bearer'])
      assert.equal(verifyBearer([value], [key]), false, value);
  });

  it('may hold any letters', () => {
    const token = 'größe-😀';
    assert.equal(verifyToken([token], [Buffer.from(token)]), true);
  });
});
