import assert from 'node:assert/strict';
import { hashSync } from 'bcryptjs';
import fc from 'fast-check';
import { createPasswordCheck, decoyFor, hashPassword, type PasswordHash, readHash } from './passwords.ts';

const SALT = Buffer.alloc(16, 1).toString('base64').replace(/=+$/, '');
const HASH = Buffer.alloc(32, 2).toString('base64').replace(/=+$/, '');
const NETWORK = '192.0.2.0/24';
const REMEDY = 'make a new one with: rungate hash-password';

function hashIn(text: string): PasswordHash {
  const read = readHash(text);
  assert('hash' in read, JSON.stringify(read));
  return read.hash;
}

describe('hashes', () => {
  const check = createPasswordCheck();

  for (const kind of ['argon2id', 'scrypt'] as const) {
    it(`are made with ${kind}, each with a salt of its own, and match their password alone`, async () => {
      const [first, second] = [await hashPassword('pässword 1', kind), await hashPassword('pässword 1', kind)];
      assert.notEqual(first, second);
      assert.match(first, new RegExp(`^\\$${kind}\\$`));
      assert.deepEqual(
        [
          await check.matches(hashIn(first), 'pässword 1', NETWORK),
          await check.matches(hashIn(first), 'pässword 2', NETWORK),
          await check.matches(hashIn(first), '', NETWORK),
        ],
        [true, false, false],
      );
    });
  }

  const written = [
    {
      by: 'the reference implementation of Argon2',
      password: 'password',
      hash: '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    },
    {
      by: "Python's hashlib",
      password: 'correct horse',
      hash: '$scrypt$ln=14,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$0LupyHkzAIgDr9UDsriAAf87vMbCbcaUfDvFOAHk0D0',
    },
    {
      by: 'htpasswd -B',
      password: 'myPassword',
      hash: '$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC',
    },
  ];
  for (const { by, password, hash } of written) {
    it(`that ${by} wrote are read`, async () => {
      const read = hashIn(hash);
      assert.deepEqual(
        [await check.matches(read, password, NETWORK), await check.matches(read, `${password} `, NETWORK)],
        [true, false],
      );
    });
  }

  for (const prefix of ['$2a$', '$2b$', '$2y$']) {
    it(`of bcrypt are read: ${prefix}`, async () => {
      const hash = hashIn(hashSync('correct', 5).replace(/^\$2.\$/, prefix));
      assert.deepEqual(
        [await check.matches(hash, 'correct', NETWORK), await check.matches(hash, 'wrong', NETWORK)],
        [true, false],
      );
    });
  }

  it('of bcrypt do not hold up the event loop', async () => {
    const hash = hashIn(hashSync('correct', 10));
    let turns = 0;
    const turning = setInterval(() => turns++, 1);
    await check.matches(hash, 'wrong', NETWORK);
    clearInterval(turning);
    assert(turns > 1, `${turns}`);
  });

  it('that are quick to guess come with advice', () => {
    const read = readHash(hashSync('correct', 5));
    assert('advice' in read && read.advice !== undefined);
    assert.match(read.advice, /cost 5, .*htpasswd -B -C 12/);
  });

  const argon2id = (costs: string, salt = SALT, hash = HASH) => `$argon2id$v=19$${costs}$${salt}$${hash}`;
  const scrypt = (costs: string, salt = SALT, hash = HASH) => `$scrypt$${costs}$${salt}$${hash}`;
  const bcrypt = (cost: string) => `$2y$${cost}$${'a'.repeat(53)}`;
  const refused = [
    { given: '$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/', want: /\$apr1\$/ },
    { given: '{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=', want: /SHA-1/ },
    { given: '{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=', want: /SHA-1/ },
    { given: '$1$abc$def', want: /MD5-crypt/ },
    { given: '$6$rounds=5000$abc$def', want: /SHA-crypt/ },
    { given: 'rqXexS6ZhobKA', want: /crypt/ },
    { given: 'hunter2', want: /in the clear/ },
    { given: '', want: /in the clear/ },
    { given: argon2id('m=65536,t=3,p=4').replace('argon2id', 'argon2i'), want: /Argon2i or Argon2d/ },
    { given: argon2id('m=65536,t=3,p=4').replace('v=19', 'v=16'), want: /version 19/ },
    { given: argon2id('m=1024,t=3,p=1'), want: /m is 1024, and may be from 7168 to 131072/ },
    { given: argon2id('m=4194304,t=1,p=1'), want: /m is 4194304/ },
    { given: argon2id('m=19456,t=1000000,p=1'), want: /t is 1000000/ },
    { given: argon2id('m=19456,t=0,p=1'), want: /t is 0/ },
    { given: argon2id('m=131072,t=10,p=1'), want: /m times t is above/ },
    { given: argon2id('m=19456,t=2,p=1', 'AAAA'), want: /odd length/ },
    { given: argon2id('m=19456,t=2,p=1', SALT, 'AAAA'), want: /odd length/ },
    { given: argon2id('m=19456,t=2,p=1', SALT, `${HASH}=`), want: /odd length/ },
    { given: scrypt('ln=10,r=8,p=1'), want: /ln is 10/ },
    { given: scrypt('ln=30,r=8,p=1'), want: /ln is 30/ },
    { given: scrypt('ln=17,r=8,p=16'), want: /N times r times p is above/ },
    { given: scrypt('N=16384,r=8,p=1'), want: /not whole/ },
    { given: bcrypt('04'), want: /cost is 4, and may be from 5 to 14/ },
    { given: bcrypt('31'), want: /cost is 31/ },
    { given: bcrypt('10').slice(0, -1), want: /not whole/ },
    { given: bcrypt('10').replace('2y', '2x'), want: /old form/ },
  ];
  for (const { given, want } of refused) {
    it(`refuses ${given.slice(0, 40)}, and says what to do`, () => {
      const read = readHash(given);
      assert('wrong' in read);
      assert.match(read.wrong, want);
      assert(read.wrong.endsWith(REMEDY), read.wrong);
      if (given.length > 8) assert(!read.wrong.includes(given.slice(-8)), 'shows the hash');
    });
  }
});

describe('any text', () => {
  it('is a hash within bounds, or is refused with what to do', () => {
    const digits = fc.integer({ min: 0, max: 999_999_999 });
    const text = fc.oneof(
      fc.string(),
      fc.tuple(digits, digits, digits, fc.base64String(), fc.base64String()).map(([m, t, p, salt, hash]) => {
        return `$argon2id$v=19$m=${m},t=${t},p=${p}$${salt}$${hash}`;
      }),
      fc.tuple(digits, fc.string()).map(([cost, rest]) => `$2b$${cost}$${rest}`),
    );
    fc.assert(
      fc.property(text, (given) => {
        const read = readHash(given);
        if ('wrong' in read) assert(read.wrong.endsWith(REMEDY), read.wrong);
        else assert(read.hash.kind !== 'argon2id' || read.hash.memoryKiB * read.hash.passes <= 512 * 1024);
      }),
    );
  });
});

describe('the decoy', () => {
  it('costs as much as the costliest and matches nothing', async () => {
    const hashes = [hashIn(await hashPassword('a', 'argon2id')), hashIn(hashSync('b', 5)), hashIn(hashSync('c', 12))];
    const decoy = decoyFor(hashes);
    assert(decoy.kind === 'bcrypt');
    assert.equal(decoy.cost, 12);
    assert.notEqual(decoy.text, (hashes[2] as typeof decoy).text);
    assert('hash' in readHash(decoy.text), decoy.text);
    assert.equal(decoyFor([]).kind, 'argon2id');
    const check = createPasswordCheck();
    assert.equal(await check.matches(decoyFor(hashes.slice(0, 1)), 'a', NETWORK), false);
    assert.equal(await check.matches(decoyFor(hashes.slice(1, 2)), 'b', NETWORK), false);
  });
});

describe('comparing', () => {
  const hash = readHash(`$scrypt$ln=14,r=8,p=1$${SALT}$${HASH}`);
  assert('hash' in hash);

  it('works on two at a time, lets 32 wait in order, and refuses the rest', async () => {
    const begun: string[] = [];
    const ends: ((matches: boolean) => void)[] = [];
    const check = createPasswordCheck((_hash, password) => {
      begun.push(password);
      return new Promise((resolve) => ends.push(resolve));
    });
    const asked = Array.from({ length: 34 }, (_, place) => check.matches(hash.hash, String(place), NETWORK));
    assert.deepEqual(begun, ['0', '1']);
    await assert.rejects(check.matches(hash.hash, '34', NETWORK), { code: 'exhausted', retryAfterMs: 1_000 });
    for (let place = 0; place < 34; place++) {
      ends[place]?.(true);
      assert.equal(await asked[place], true);
    }
    assert.deepEqual(
      begun,
      Array.from({ length: 34 }, (_, place) => String(place)),
    );
  });

  it('takes networks by turns: one that asks without end does not keep the others out', async () => {
    const begun: string[] = [];
    const ends: (() => void)[] = [];
    const check = createPasswordCheck((_hash, password) => {
      begun.push(password);
      return new Promise((resolve) => ends.push(() => resolve(false)));
    });
    const flood = Array.from({ length: 34 }, () => check.matches(hash.hash, 'guess', '203.0.113.0/24'));
    await assert.rejects(check.matches(hash.hash, 'guess', '203.0.113.0/24'), { code: 'exhausted' });
    const others = ['a', 'b'].map((password) => check.matches(hash.hash, password, `198.51.100.${password}`));
    for (const end of ends.splice(0)) end();
    await Promise.all(flood.slice(0, 2));
    for (const end of ends.splice(0)) end();
    await Promise.all(others.slice(0, 1));
    assert.deepEqual(begun.slice(2), ['guess', 'a', 'b', 'guess']);
    while (ends.length > 0) {
      for (const end of ends.splice(0)) end();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all([...flood, ...others]);
  });

  it('bounds those who wait, of all networks together', async () => {
    const ends: (() => void)[] = [];
    const check = createPasswordCheck(() => new Promise((resolve) => ends.push(() => resolve(false))));
    const asked = Array.from({ length: 258 }, (_, place) => check.matches(hash.hash, '', `network ${place % 16}`));
    await assert.rejects(check.matches(hash.hash, '', 'another network'), { code: 'exhausted' });
    while (ends.length > 0) {
      for (const end of ends.splice(0)) end();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(asked);
  });

  it('gives its place back when it fails', async () => {
    let fails = true;
    const check = createPasswordCheck(async () => {
      if (fails) throw new Error('broken');
      return true;
    });
    for (let times = 0; times < 5; times++) await assert.rejects(check.matches(hash.hash, 'a', NETWORK), /broken/);
    fails = false;
    assert.equal(await check.matches(hash.hash, 'a', NETWORK), true);
  });
});
