/** What docs/hooks.md says in its tables is what the code of hooks does. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { refusals } from '../../src/hooks/answers.ts';
import { ANNOTATIONS } from '../../src/hooks/listeners/manifests.ts';
import { settings } from '../../src/settings.ts';

const root = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const page = read('docs/hooks.md');

describe('docs/hooks.md', () => {
  it('has every outcome, and no other, as src/hooks/outcome.ts has them', () => {
    const [, union = ''] = /export type Outcome =([^;]+);/.exec(read('src/hooks/outcome.ts')) ?? [];
    const words = [...union.matchAll(/'([a-z]+)'/g)].map(([, word]) => word);
    assert(words.length > 5);
    assert.deepEqual(
      rowsUnder('`outcome`').flatMap(([cell]) => codeIn(cell)),
      words,
    );
    const inApi = rowsUnder('`outcome`', read('docs/api.md')).flatMap(([cell]) => codeIn(cell));
    assert.deepEqual(inApi, words);
  });

  it('has every status that a delivery is refused with, and no other; with Retry-After where it is sent', () => {
    const inCode = new Map(Object.values(refusals).map(({ status, headers }) => [status, headers]));
    for (const text of [page, read('docs/api.md')]) {
      const rows = rowsUnder('Status', text).filter(([status]) => status !== '202');
      const statuses = rows.flatMap(([cell = '']) => cell.split(', ').map(Number));
      // Where there is no such hook the refusal of 401 is answered with 404.
      assert.deepEqual(statuses.toSorted(), [...inCode.keys(), 404].toSorted());
      for (const row of rows) {
        const isPromised = row.join(' ').includes('Retry-After');
        const isSent = row[0]?.split(', ').some((status) => inCode.get(Number(status))?.includes('Retry-After'));
        assert.equal(isPromised, isSent === true, row[0]);
      }
    }
  });

  it('has every reason that a trigger of an EventListener is told with, and no other', () => {
    const folders = ['src/hooks', 'src/hooks/listeners'];
    const sources = folders.flatMap((folder) =>
      readdirSync(join(root, folder))
        .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
        .map((name) => read(`${folder}/${name}`)),
    );
    const said = sources.flatMap((text) =>
      [...text.matchAll(/\boutcome: '\w+',\s+reason: '([A-Z]\w+)'|\bstopped\('([A-Z]\w+)'/g)].map(
        ([, plain, stopped]) => plain ?? stopped,
      ),
    );
    const rows = rowsUnder('`reason`').flatMap(([cell]) => codeIn(cell));
    assert.deepEqual(rows.toSorted(), [...new Set(said)].toSorted());
  });

  it('has every annotation of an EventListener, and no other', () => {
    const rows = rowsUnder('Annotation').flatMap(([cell]) => codeIn(cell));
    const names = rows.map((code) => code.split(':')[0]);
    assert.deepEqual(names.toSorted(), Object.values(ANNOTATIONS).toSorted());
    const anywhere = [...page.matchAll(/\brungate\.dev\/([\w-]+)/g)].map(([whole]) => whole);
    for (const name of anywhere) assert((Object.values(ANNOTATIONS) as string[]).includes(name), name);
  });

  it('names only settings that there are, and all that are about hooks', () => {
    const variables: readonly string[] = Object.values(settings).map(({ variable }) => variable);
    const named = new Set(codeIn(page).map((code) => code.split('=')[0] ?? ''));
    // `NO_PROXY` is for the pods of Flux.
    const looksLikeOne = [...named].filter((name) => /^[A-Z]+(?:_[A-Z]+)+$/.test(name) && name !== 'NO_PROXY');
    assert.deepEqual(
      looksLikeOne.filter((name) => !variables.includes(name)),
      [],
    );
    const aboutHooks = variables.filter((name) => /HOOK|COMPAT|FLUX_RECEIVER_URL|TLS_CLIENT_CA/.test(name));
    assert(aboutHooks.length > 8);
    assert.deepEqual(
      aboutHooks.filter((name) => !named.has(name)),
      [],
    );
  });
});

/** The cells of each row of the table whose first head this is. */
function rowsUnder(head: string, text = page): readonly (readonly string[])[] {
  const lines = text.split('\n');
  const first = lines.findIndex((line, place) => line.startsWith(`| ${head} |`) && isOfHooks(lines, place));
  assert.notEqual(first, -1, `no table begins with ${head}`);
  const length = lines.slice(first).findIndex((line) => !line.startsWith('|'));
  return lines.slice(first + 2, first + length).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** Of a page with several rooms, whether a line is in the part about hooks. */
function isOfHooks(lines: readonly string[], place: number): boolean {
  if (!lines.includes('## /hooks')) return true;
  return lines.slice(0, place).findLast((line) => line.startsWith('## ')) === '## /hooks';
}

function codeIn(text = ''): readonly string[] {
  return [...text.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);
}
