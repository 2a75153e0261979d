/** The tables of docs/logging.md are what the code can say: each message with its levels and fields, and what to do. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { logCalls, loggedMessages } from '../support/log-calls.ts';

const root = join(import.meta.dirname, '../..');
const page = readFileSync(join(root, 'docs/logging.md'), 'utf8');

const rows = page
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
  .filter((cells) => cells.length === 4);

describe('docs/logging.md', () => {
  it('has every message that can be logged, once, and no other', () => {
    const messages = rows.map(([message = '']) => message.replace(/^`|`$/g, ''));
    assert.deepEqual(messages.toSorted(), [...loggedMessages().keys()].toSorted());
  });

  it('has the levels and the fields of each, and says what it means', () => {
    const logged = loggedMessages();
    for (const [message = '', levels, fields = '', meaning = ''] of rows) {
      const { levels: ownLevels, fields: ownFields } =
        logged.get(message.replace(/^`|`$/g, '')) ?? assert.fail(message);
      assert.equal(levels, ownLevels.join(', '), message);
      assert(meaning.endsWith('.') || meaning.endsWith(').'), `${message}: ${meaning}`);
      if (fields === 'see there') continue;
      assert.equal(fields, ownFields.map((field) => `\`${field}\``).join(', '), message);
    }
  });

  it('leaves to docs/security.md only what is explained there', () => {
    const security = readFileSync(join(root, 'docs/security.md'), 'utf8');
    const logged = loggedMessages();
    for (const [message = '', , fields] of rows) {
      const name = message.replace(/^`|`$/g, '');
      if (fields !== 'see there') continue;
      assert.match(security, new RegExp(`One line \`${name}\``));
      if (name === 'hook delivery') continue; // its fields are those of an event, and are named there in words
      for (const field of logged.get(name)?.fields ?? [])
        assert(security.includes(`\`${field}\``), `${name}: ${field}`);
    }
  });

  it('is made of messages that are constant: nothing is put into them', () => {
    for (const { file, messages } of logCalls())
      for (const message of messages) assert.doesNotMatch(message, /\$\{/, file);
  });
});
