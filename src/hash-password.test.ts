import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { createPasswordCheck, readHash } from './gateway/callers/passwords.ts';
import { hashPasswordCommand } from './hash-password.ts';

/** A person at a terminal who types what is asked for. */
class Person extends EventEmitter {
  readonly modes: string[] = [];
  readonly #answers: string[];

  constructor(...answers: readonly string[]) {
    super();
    this.#answers = [...answers];
  }

  setRawMode(raw: boolean): void {
    this.modes.push(raw ? 'hidden' : 'shown');
  }

  setEncoding(): void {}

  resume(): void {
    const answer = this.#answers.shift();
    // Key by key, as a terminal in raw mode tells them.
    setImmediate(() => {
      if (answer === undefined) this.emit('end');
      else for (const key of answer.match(/\x1b\[.|[\s\S]/gu) ?? []) this.emit('data', key);
    });
  }

  pause(): void {}
}

async function told(input: Person | string, more: { readonly name?: string; readonly kind?: 'scrypt' } = {}) {
  const [written, asked]: [string[], string[]] = [[], []];
  const isMade = await hashPasswordCommand({
    kind: more.kind ?? 'argon2id',
    name: more.name,
    input:
      typeof input === 'string'
        ? {
            piped: (async function* () {
              yield Buffer.from(input);
            })(),
          }
        : { terminal: input },
    write: (text) => void written.push(text),
    tell: (text) => void asked.push(text),
  });
  return { isMade, written: written.join(''), asked: asked.join('') };
}

async function assertHashOf(line: string, password: string): Promise<void> {
  const read = readHash(line.trim());
  assert('hash' in read, line);
  assert(await createPasswordCheck().matches(read.hash, password, '127.0.0.0/24'), `not the hash of ${password}`);
}

describe('hash-password', () => {
  it('asks a person twice and shows nothing of what is typed', async () => {
    const person = new Person('correct horse\r', 'correct horse\r');
    const { written, asked } = await told(person);
    assert.equal(asked, 'Password: \nOnce more: \n');
    assert.match(written, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[^$]+\$[^$]+\n$/);
    await assertHashOf(written, 'correct horse');
    assert.deepEqual(person.modes, ['hidden', 'shown', 'hidden', 'shown']);
  });

  const typed = [
    { name: 'backspace', keys: 'secrets\x7f key', want: 'secret key' },
    { name: 'backspace over a letter of several units', keys: 'secret🔑\x7f key', want: 'secret key' },
    { name: 'Ctrl-U', keys: 'wrong\x15right one', want: 'right one' },
    { name: 'arrow keys', keys: 'right\x1b[D\x1b[A one', want: 'right one' },
    { name: 'letters beyond ASCII', keys: 'пароль-zoë', want: 'пароль-zoë' },
  ];
  for (const { name, keys, want } of typed) {
    it(`understands ${name}`, async () => {
      const { written } = await told(new Person(`${keys}\r`, `${want}\r`), { kind: 'scrypt' });
      await assertHashOf(written, want);
    });
  }

  for (const [name, ...answers] of [
    ['Ctrl-C', 'correct\x03'],
    ['Ctrl-C at the second question', 'correct horse\r', '\x03'],
    ['Ctrl-D', '\x04'],
    ['a terminal that is closed'],
  ] as const) {
    it(`ends with nothing on ${name}, and leaves the terminal as it was`, async () => {
      const person = new Person(...answers);
      const { isMade, written } = await told(person);
      assert.deepEqual([isMade, written, person.modes.at(-1), person.listenerCount('data')], [false, '', 'shown', 0]);
    });
  }

  it('reads one line of what is piped in, and writes the name before the hash', async () => {
    const { written, asked } = await told('correct horse\n', { name: 'ci' });
    assert.match(written, /^ci:\$argon2id\$/);
    await assertHashOf(written.slice('ci:'.length), 'correct horse');
    assert.equal(asked, '');
  });

  it('advises against a short password, and makes the hash all the same', async () => {
    const { isMade, asked } = await told('short');
    assert.deepEqual([isMade, asked], [true, 'Short passwords are guessed; use 8 characters or more.\n']);
  });

  const refused = [
    { name: 'no password', input: '', want: /empty password/ },
    { name: 'an empty line', input: '\n', want: /empty password/ },
    { name: 'several lines', input: 'one\ntwo\n', want: /more than one line/ },
    { name: 'a control character', input: 'one\ttwo', want: /control character/ },
    { name: 'a file', input: 'x'.repeat(10_000), want: /longer than 4096 bytes/ },
    { name: 'a name with a colon', input: 'correct horse', more: { name: 'a:b' }, want: /--name/ },
  ];
  for (const { name, input, more, want } of refused) {
    it(`refuses ${name}`, () => assert.rejects(told(input, more), { code: 'bad-request', message: want }));
  }

  it('refuses two different passwords', async () => {
    const person = new Person('correct horse\r', 'correct house\r');
    await assert.rejects(told(person), { code: 'bad-request', message: 'these were two different passwords' });
    assert.equal(person.modes.at(-1), 'shown');
  });
});
