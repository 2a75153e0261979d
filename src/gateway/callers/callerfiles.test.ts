import assert from 'node:assert/strict';
import fc from 'fast-check';
import { readAccessFile, readAuthFile, strangers } from './callerfiles.ts';
import { hashPassword } from './passwords.ts';

describe('AUTH_FILE', () => {
  let hash: string;
  before(async () => {
    hash = await hashPassword('correct horse', 'argon2id');
  });

  it('is lines name:hash, with comments and blank lines', () => {
    const file = readAuthFile(`\uFEFF# callers\r\n\r\nci:${hash}\r\n  anna b:${hash}  \n#old:x\n`, 'admin');
    assert(file.ok);
    assert.deepEqual([...file.value.keys()], ['ci', 'anna b']);
    assert.equal(file.value.get('ci')?.text, hash);
    assert.deepEqual(file.advice, []);
  });

  it('tells every mistake with its line, and shows no hash', () => {
    const text = [
      'ci:HASH',
      'HASH',
      ':HASH',
      'ci:HASH',
      'admin:HASH',
      'bob:hunter2',
      'eve:$apr1$a$b',
      `${'x'.repeat(256)}:HASH`,
    ];
    const file = readAuthFile(text.join('\n').replaceAll('HASH', hash), 'admin');
    assert(!file.ok);
    assert.deepEqual(
      file.mistakes.map((mistake) => mistake.replace(/; make a new one.*/, '')),
      [
        'AUTH_FILE line 2 has no ":"; write name:hash, as rungate hash-password --name does',
        'AUTH_FILE line 3 has no usable name; write 1 to 255 printable characters',
        'AUTH_FILE line 4 names "ci" again, as line 1 does',
        'AUTH_FILE line 5 names "admin", as AUTH_USERNAME does; set only one',
        'AUTH_FILE line 6 ("bob") has no hash that rungate knows, perhaps a password in the clear',
        'AUTH_FILE line 7 ("eve") has the MD5 of htpasswd ($apr1$)',
        'AUTH_FILE line 8 has no usable name; write 1 to 255 printable characters',
      ],
    );
    assert.doesNotMatch(file.mistakes.join(), /hunter2|\$argon2id/);
  });

  it('gives advice on what is weak', () => {
    const file = readAuthFile('ci:$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC', undefined);
    assert(file.ok);
    assert.match(file.advice.join(), /^AUTH_FILE line 1 \("ci"\) has a bcrypt hash of cost 5/);
  });

  it('may not be empty', () => {
    assert.deepEqual(readAuthFile('# nobody\n', undefined), {
      ok: false,
      mistakes: ['AUTH_FILE has no callers; write lines name:hash'],
    });
  });
});

describe('ACCESS_FILE', () => {
  const served = ['ci', 'dev', 'prod'];

  it('is YAML of names and their namespaces', () => {
    const file = readAccessFile('# who may what\nci: [ci, dev, ci]\nanna:\n  - prod\nroot: "*"\nnobody: []\n', served);
    assert(file.ok);
    assert.deepEqual(
      [...file.value],
      [
        ['ci', { namespaces: ['ci', 'dev'], runs: [], line: 2 }],
        ['anna', { namespaces: ['prod'], runs: [], line: 3 }],
        ['root', { namespaces: 'all served', runs: [], line: 5 }],
        ['nobody', { namespaces: [], runs: [], line: 6 }],
      ],
    );
  });

  it('says who may run triggers, which nobody may of whom it does not', () => {
    const file = readAccessFile(
      'ci: {read: [ci, dev], run: [dev]}\nanna:\n  read: "*"\n  run: "*"\nroot: {read: "*", run: [prod]}\nbob: {read: [ci]}\n',
      served,
    );
    assert(file.ok);
    assert.deepEqual(
      [...file.value].map(([name, { namespaces, runs }]) => [name, namespaces, runs]),
      [
        ['ci', ['ci', 'dev'], ['dev']],
        ['anna', 'all served', 'all served'],
        ['root', 'all served', ['prod']],
        ['bob', ['ci'], []],
      ],
    );
  });

  it('may be empty, and then says nothing of anybody', () => {
    for (const text of ['', '# nobody yet\n', '{}'])
      assert.deepEqual(readAccessFile(text, served), { ok: true, value: new Map(), advice: [] });
  });

  it('may name any namespace where all are served', () => {
    assert(readAccessFile('ci: [anything]', '*').ok);
  });

  const refused = [
    { name: 'no map', text: '- ci\n', want: ['ACCESS_FILE is no map; write name: [namespace, ...]'] },
    {
      name: 'no list',
      text: 'ci: dev\n',
      want: ['ACCESS_FILE line 1 ("ci") has no list; write [namespace, ...], or "*" for all that are served'],
    },
    {
      name: 'nothing behind a name',
      text: 'ci:\n',
      want: ['ACCESS_FILE line 1 ("ci") has no list; write [namespace, ...], or "*" for all that are served'],
    },
    {
      name: 'a number for a name',
      text: '42: [dev]\n',
      want: ['ACCESS_FILE line 1 has a name that is no text; write it in quotes'],
    },
    {
      name: 'a right to run what may not be read, and a right that there is not',
      text: 'ci: {read: [dev], run: [dev, prod]}\nanna: {run: [ci]}\nroot: {read: [ci], run: "*"}\nbob: {read: [ci], write: [ci]}\n',
      want: [
        'ACCESS_FILE line 1 ("ci") may run triggers of "prod" and not read them; add it to read',
        'ACCESS_FILE line 2 ("anna") has no read; write what they may read as well',
        'ACCESS_FILE line 2 ("anna") may run triggers of "ci" and not read them; add it to read',
        'ACCESS_FILE line 3 ("root") may run triggers of "*" and not read them; add it to read',
        'ACCESS_FILE line 4 ("bob") has "write"; write read and run',
      ],
    },
    {
      name: 'what is no namespace, and one that is not served',
      text: 'ci: [dev, Dev_1]\nanna:\n  - staging\n  - 7\n',
      want: [
        'ACCESS_FILE line 1 ("ci") names "Dev_1", which is no namespace',
        'ACCESS_FILE line 3 ("anna") names "staging", which is not served; add it to NAMESPACES',
        'ACCESS_FILE line 4 ("anna") names 7, which is no namespace',
      ],
    },
  ];
  for (const { name, text, want } of refused) {
    it(`refuses ${name}`, () => assert.deepEqual(readAccessFile(text, served), { ok: false, mistakes: want }));
  }

  for (const { name, text, line } of [
    { name: 'a name twice', text: 'ci: [dev]\nci: [prod]\n', line: 2 },
    { name: 'what is no YAML', text: 'anna: [dev]\nci: [dev\n', line: 3 },
    { name: 'a tab', text: 'ci:\n\t- dev\n', line: 2 },
  ]) {
    it(`refuses ${name}, with its line`, () => {
      const file = readAccessFile(text, served);
      assert(!file.ok);
      assert.match(file.mistakes[0] ?? '', new RegExp(`^ACCESS_FILE line ${line} is not YAML`));
    });
  }

  it('names those who are no callers', () => {
    const file = readAccessFile('ci: [dev]\nana: [dev]\n', served);
    assert(file.ok);
    assert.deepEqual(
      strangers(file.value, (name) => name === 'ci'),
      ['ACCESS_FILE line 2 names "ana", who is no caller'],
    );
  });
});

describe('any text', () => {
  it('is read, or refused with a sentence for each mistake, and never breaks', () => {
    const text = fc.array(fc.oneof(fc.string(), fc.constantFrom('\n', ':', '- ', '[a]', '"', '*', '&a ', '# ')), {
      maxLength: 40,
    });
    fc.assert(
      fc.property(text, (pieces) => {
        for (const file of [readAuthFile(pieces.join(''), 'ci'), readAccessFile(pieces.join(''), ['a'])]) {
          if (!file.ok)
            assert(file.mistakes.length > 0 && file.mistakes.every((each) => /^A(?:UTH|CCESS)_FILE /.test(each)));
        }
      }),
    );
  });

  it('of aliases that multiply is not multiplied', () => {
    const levels = Array.from(
      { length: 30 },
      (_, place) => `a${place}: &a${place} [${place === 0 ? 'x' : `*a${place - 1}, *a${place - 1}`}]`,
    );
    assert(!readAccessFile(levels.join('\n'), '*').ok);
  });
});
