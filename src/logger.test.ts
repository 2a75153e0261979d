import assert from 'node:assert/strict';
import fc from 'fast-check';
import { HandClock } from '../test/support/hand-clock.ts';
import type { LogFields } from './log.ts';
import { createLogger } from './logger.ts';

describe('createLogger', () => {
  it('writes one JSON object a line: time, level, message, then the fields', () => {
    assert.equal(
      written('json', { run: 'build-1', attempts: 2, done: false, pod: null, node: undefined }),
      '{"time":"2026-11-01T10:00:00.000Z","level":"info","message":"hello","run":"build-1","attempts":2,"done":false,"pod":null}\n',
    );
  });

  it('writes a line to read', () => {
    assert.equal(
      written('text', { run: 'build-1', reason: 'no route to host' }),
      '10:00:00.000 INFO  hello run=build-1 reason="no route to host"\n',
    );
  });

  const secrets: { name: string; given: LogFields; want: LogFields }[] = [
    { name: 'a password', given: { password: 'x' }, want: { password: '[redacted]' } },
    { name: 'a header', given: { Authorization: 'Basic eDp5' }, want: { Authorization: '[redacted]' } },
    {
      name: 'a token by any other name',
      given: { bearerToken: 'x', token_file: 'y' },
      want: { bearerToken: '[redacted]', token_file: '[redacted]' },
    },
    { name: 'a cookie', given: { 'set-cookie': 'a=b' }, want: { 'set-cookie': '[redacted]' } },
    {
      name: 'a client key',
      given: { privateKey: 'x', apiKey: 'y' },
      want: { privateKey: '[redacted]', apiKey: '[redacted]' },
    },
    {
      name: 'credentials in a URL',
      given: { error: 'cannot reach https://me:pa$$@host/x and http://you@b' },
      want: { error: 'cannot reach https://[redacted]@host/x and http://[redacted]@b' },
    },
    {
      name: 'nothing in a URL without',
      given: { url: 'https://host:443/a@b?c=d@e' },
      want: { url: 'https://host:443/a@b?c=d@e' },
    },
  ];
  for (const { name, given, want } of secrets) {
    it(`hides ${name}`, () => {
      const { time, level, message, ...fields } = JSON.parse(written('json', given));
      assert.deepEqual(fields, want);
    });
  }

  it('moves a field aside that has the name of one of its own', () => {
    const line = JSON.parse(written('json', { level: 'error', message: 'forged', time: 'never' }));
    assert.deepEqual(line, {
      time: '2026-11-01T10:00:00.000Z',
      level: 'info',
      message: 'hello',
      'field.level': 'error',
      'field.message': 'forged',
      'field.time': 'never',
    });
  });

  it('is always one line without control characters, and JSON keeps the value', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 50 }), (value) => {
        fc.pre(!value.includes('://'));
        for (const format of ['json', 'text'] as const) {
          assert.match(written(format, { value }), /^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*\n$/);
        }
        assert.equal(JSON.parse(written('json', { value })).value, value);
      }),
    );
  });

  it('leaves out what is less important than its level', () => {
    const { log, lines } = logger('json', 'warn');
    log.info('no');
    log.warn('yes');
    log.flush();
    assert.deepEqual(
      lines().map((line) => JSON.parse(line).message),
      ['yes'],
    );
  });

  it('hands over the lines of one turn together, in order', async () => {
    const writes: string[] = [];
    const log = createLogger({
      level: 'info',
      format: 'text',
      clock: new HandClock(),
      write: (text) => writes.push(text),
    });
    log.info('one');
    log.error('two');
    assert.deepEqual(writes, []);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(writes, ['10:00:00.000 INFO  one\n10:00:00.000 ERROR two\n']);
    log.flush();
    assert.equal(writes.length, 1);
  });
});

function logger(format: 'json' | 'text', level: 'info' | 'warn' = 'info') {
  let text = '';
  const log = createLogger({ level, format, clock: new HandClock(), write: (lines) => (text += lines) });
  return { log, text: () => text, lines: () => text.split('\n').filter((line) => line !== '') };
}

function written(format: 'json' | 'text', fields: LogFields): string {
  const { log, text } = logger(format);
  log.info('hello', fields);
  log.flush();
  return text();
}
