/** The lock's environment: what is taken, and what is said of what is not. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseAddress, readCrossDcEnv } from './env.ts';

const right = { username: 'lock', password: 's3cret', address: 'db.example:3307', ha_enabled: 'true' };

function mistakesOf(env: Readonly<Record<string, string | undefined>>): readonly string[] {
  const read = readCrossDcEnv(env);
  return read.ok ? [] : read.mistakes;
}

describe('the environment of the cross-data-centre lock', () => {
  it('is taken as the original has it', () => {
    assert.deepEqual(readCrossDcEnv(right), {
      ok: true,
      database: { username: 'lock', password: 's3cret', host: 'db.example', port: 3307, plaintextAllowed: false },
    });
  });

  it('is taken in upper case where there is none in lower case', () => {
    const upper = Object.fromEntries(Object.entries(right).map(([name, value]) => [name.toUpperCase(), value]));
    assert.deepEqual(readCrossDcEnv(upper), readCrossDcEnv(right));
    assert.deepEqual(readCrossDcEnv({ ...upper, ...right, USERNAME: 'somebody' }), readCrossDcEnv(right));
  });

  it('is the local server where no address is given, as the driver of the original has it', () => {
    const read = readCrossDcEnv({ ...right, address: '' });
    assert(read.ok);
    assert.deepEqual([read.database.host, read.database.port], ['127.0.0.1', 3306]);
  });

  it('names a CA file, and says whether plain text is meant', () => {
    const read = readCrossDcEnv({ ...right, tls_ca_file: '/ca.pem', plaintext_connection_allowed: 'true' });
    assert(read.ok);
    assert.deepEqual([read.database.tlsCaFile, read.database.plaintextAllowed], ['/ca.pem', true]);
  });

  const wrong: readonly [name: string, env: Readonly<Record<string, string>>, begins: readonly string[]][] = [
    ['no username', { ...right, username: '' }, ['missing username']],
    ['no password', { ...right, password: '' }, ['missing password']],
    [
      'trigger 40: ha_enabled unset',
      { ...right, ha_enabled: '' },
      ["value [] of 'ha_enabled' could not be understood"],
    ],
    ['ha_enabled: yes', { ...right, ha_enabled: 'yes' }, ["value [yes] of 'ha_enabled' could not be understood"]],
    ['ha_enabled: false', { ...right, ha_enabled: 'f' }, ["value [f] of 'ha_enabled' leaves nothing to lock"]],
    [
      'an address without a host',
      { ...right, address: ':3306' },
      ["value [:3306] of 'address' could not be understood: it must be host, host:port or [IPv6]:port"],
    ],
    [
      'plaintext_connection_allowed: maybe',
      { ...right, plaintext_connection_allowed: 'maybe' },
      ["value [maybe] of 'plaintext_connection_allowed'"],
    ],
    ['nothing at all', {}, ['missing username', 'missing password', "value [] of 'ha_enabled'"]],
  ];
  for (const [name, env, begins] of wrong) {
    it(`${name}: says so`, () => {
      const mistakes = mistakesOf(env);
      assert.equal(mistakes.length, begins.length);
      for (const [place, begin] of begins.entries()) assert(mistakes[place]?.startsWith(begin), mistakes[place]);
    });
  }

  it('says nothing of the password, whatever else is wrong', () => {
    const password = fc.string({ minLength: 12, maxLength: 20 });
    fc.assert(
      fc.property(password, fc.string(), fc.string(), (secret, address, haEnabled) => {
        fc.pre(!address.includes(secret) && !haEnabled.includes(secret));
        const said = mistakesOf({ username: '', password: secret, address, ha_enabled: haEnabled }).join('\n');
        const plain = mistakesOf({ username: '', password: 'x', address, ha_enabled: haEnabled }).join('\n');
        assert.equal(said, plain);
      }),
    );
  });
});

describe('an address', () => {
  const table: readonly [string, ReturnType<typeof parseAddress>][] = [
    ['db', { host: 'db', port: 3306 }],
    ['db:1', { host: 'db', port: 1 }],
    ['10.0.0.5:3306', { host: '10.0.0.5', port: 3306 }],
    ['[fd00::5]:3307', { host: 'fd00::5', port: 3307 }],
    ['[::1]', { host: '::1', port: 3306 }],
    ['::1', { host: '::1', port: 3306 }],
    ['[db]:3306', undefined],
    ['db:0', undefined],
    ['db:65536', undefined],
    ['db:port', undefined],
    ['tcp://db:3306', undefined],
    ['user@db:3306', undefined],
    ['a b', undefined],
  ];
  for (const [text, want] of table)
    it(`${text}: ${JSON.stringify(want)}`, () => assert.deepEqual(parseAddress(text), want));

  it('of any text is one or none, without an error', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const found = parseAddress(text);
        assert(found === undefined || (found.host !== '' && found.port >= 1 && found.port <= 65_535));
      }),
    );
  });
});
