import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { logOptions } from '../../src/gateway/logs.ts';
import { statusOptions } from '../../src/gateway/status.ts';

const root = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

/** The rows of the option table in one chapter of docs/api.md, by option. */
function documented(chapter: string): Map<string, string> {
  const text = read('docs/api.md').split(`\n## ${chapter}\n`)[1]?.split('\n## ')[0] ?? '';
  const rows = text.split('\n').filter((line) => /^\| `\w+` \|.*\|.*\|.*\|$/.test(line));
  return new Map(rows.map((row) => [/`(\w+)`/.exec(row)?.[1] ?? '', row]));
}

describe('docs/api.md', () => {
  for (const { chapter, options } of [
    { chapter: '/status', options: statusOptions(300) },
    { chapter: '/logs', options: logOptions(300) },
  ]) {
    it(`lists the options of ${chapter}, their words and their defaults`, () => {
      const rows = documented(chapter);
      assert.deepEqual([...rows.keys()], Object.keys(options));
      for (const [name, { kind, fallback }] of Object.entries(options)) {
        const row = rows.get(name) ?? '';
        const words = /^(?:one of )?((?:\w+(?:, | or )?)+)$/.exec(kind.allowed)?.[1]?.split(/, | or /) ?? [];
        for (const word of words) assert.ok(row.includes(`\`${word}\``), `${name} takes ${word}`);
        if (typeof fallback === 'string' || typeof fallback === 'boolean') {
          assert.ok(row.split('|')[3]?.includes(`\`${fallback}\``), `${name} is ${fallback} unless told`);
        }
      }
    });
  }
});

describe('docs', () => {
  it('have no link that leads nowhere', () => {
    const pages = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', 'test/README.md'];
    for (const page of [
      ...pages,
      ...readdirSync(join(root, 'docs'))
        .filter((name) => name.endsWith('.md'))
        .map((name) => `docs/${name}`),
    ]) {
      for (const [, target = ''] of read(page).matchAll(/\]\(([^)#]+)[^)]*\)/g)) {
        if (/^https?:/.test(target)) continue;
        assert.ok(existsSync(join(root, page, '..', target)), `${page} leads to ${target}`);
      }
    }
  });
});
