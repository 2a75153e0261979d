/**
 * The pages that people type from: a test types each of their blocks, or this file says why none does. Whoever adds a page or a
 * block that nobody types fails here. What types them is on the real cluster (test/cluster); the rest of what they say is held
 * against the tree here.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { settings } from '../../src/settings.ts';
import { blocksOf, languagesOf, missingIn, typedBy } from '../support/typed-docs.ts';

const root = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const pagesIn = (folder: string) => readdirSync(join(root, folder)).map((name) => `${folder}${name}`);

const pages = Object.keys(typedBy).flatMap((path) => (path.endsWith('/') ? pagesIn(path) : [path]));
const blocks = pages.flatMap((page) => blocksOf(page, read(page)));

/** Blocks that no test types: the first line of each, and where. */
const untyped: readonly (readonly [page: string, command: string])[] = [
  ['docs/install.md', 'docker build -t rungate:0.1.0 .'],
  ['docs/install.md', 'kubectl delete -k k8s/crds'],
  ['docs/install.md', 'docker run --rm'],
  ['docs/migrate/eventlistener.md', 'for file in sources-role sources-rolebinding; do'],
  ['docs/migrate/eventlistener.md', 'kubectl -n flux-system create secret generic build-hook'],
  ['docs/migrate/eventlistener.md', 'kubectl -n tekton-pipelines scale deployment tekton-triggers-controller'],
];

describe('pages that people type from', () => {
  it('are all typed by a test that names them', () => {
    const must = ['docs/install.md', 'docs/upgrade.md', 'docs/operations.md', ...pagesIn('docs/migrate/')];
    assert.deepEqual(
      [...must, ...pagesIn('docs/runbooks/')].filter((page) => !pages.includes(page)),
      [],
    );
    for (const [page, file] of Object.entries(typedBy)) {
      assert(existsSync(join(root, file)), `${file} is not there`);
      assert(read(file).includes(page.replace(/\/$/, '')), `${file} does not name ${page}`);
    }
  });

  it('have commands in blocks of `sh` alone, where they are found', () => {
    for (const page of pages) {
      const others = languagesOf(read(page)).filter((each) => !['sh', 'yaml', 'json', 'text', ''].includes(each));
      assert.deepEqual(others, [], page);
    }
  });

  it('leave out only blocks that are listed here', () => {
    const left = blocks.filter(({ manner }) => manner.kind === 'not typed');
    const notListed = left.filter(
      ({ page, text }) => !untyped.some(([where, command]) => where === page && text.startsWith(command)),
    );
    assert.deepEqual(
      notListed.map(({ page, line, text }) => `${page}:${line}: ${text}`),
      [],
    );
    assert.equal(left.length, untyped.length);
  });

  it('name folders of k8s, charts and examples that there are', () => {
    for (const { page, line, text } of blocks) {
      for (const [path = ''] of text.matchAll(/(?<![\w./-])(?:k8s|charts|examples|monitoring)\/[\w./-]+/g))
        assert(existsSync(join(root, path)), `${page}:${line}: ${path}`);
    }
  });

  it('name the version of package.json, and settings that there are', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string };
    const variables = new Set<string>(Object.values(settings).map((setting) => setting.variable));
    for (const { page, line, text } of blocks) {
      for (const [, told] of text.matchAll(/\brungate:(\d+\.\d+\.\d+)/g))
        assert.equal(told, version, `${page}:${line}`);
      for (const [, told] of text.matchAll(/\bnewTag: (\S+)/g)) assert.equal(told, version, `${page}:${line}`);
    }
    for (const page of pages.filter((each) => each.startsWith('docs/'))) {
      for (const [, name = ''] of read(page).matchAll(
        /`((?:MAX|HOOKS?|COMPAT|TLS|AUTH|LEASE|SECOND|DRAIN|NAMESPACES)_?[A-Z_]*)`/g,
      ))
        assert(variables.has(name) || name.endsWith('_'), `${page}: ${name}`);
    }
  });
});

describe('docs/operations.md', () => {
  it('leads to the page of every alert', () => {
    const text = read('docs/operations.md');
    for (const page of pagesIn('docs/runbooks/'))
      assert(text.includes(`](${page.replace('docs/', '')})`), `${page} is not named`);
  });
});

describe('docs/security.md', () => {
  it('names tests that there are', () => {
    const named = [...read('docs/security.md').matchAll(/`((?:src|test)\/[\w/.-]+\.test\.ts)`/g)].map(
      ([, path]) => path,
    );
    assert(named.length > 20);
    assert.deepEqual(
      named.filter((path) => !existsSync(join(root, path ?? ''))),
      [],
    );
  });
});

describe('a page that is typed', () => {
  const page = [
    '```sh',
    'one',
    '```',
    '',
    '```',
    'answer',
    '```',
    '',
    '1. In a list:',
    '',
    '   <!-- in another terminal -->',
    '   ```sh',
    '   two \\',
    '     on',
    '   ```',
    '',
    '<!-- not typed: why -->',
    '```sh',
    'three',
    '```',
    '',
    'Words between.',
    '',
    '```json',
    '{}',
    '```',
  ].join('\n');

  it('is its blocks, each with the answer that stands right behind it', () => {
    assert.deepEqual(
      blocksOf('page', page).map(({ text, line, answer, manner }) => [text, line, answer, manner.kind]),
      [
        ['one', 2, 'answer', 'typed'],
        ['two \\\n  on', 13, undefined, 'beside'],
        ['three', 19, undefined, 'not typed'],
      ],
    );
  });

  it('is refused where a line before a block is not understood, or a block does not end', () => {
    assert.throws(() => blocksOf('page', '<!-- later -->\n```sh\none\n```'), /page:3: not understood: <!-- later -->/);
    assert.throws(() => blocksOf('page', '```sh\none'), /does not end/);
  });

  const answers: readonly (readonly [name: string, printed: string, answer: string, want: string | undefined])[] = [
    ['the same', 'a\nb', 'a\nb', undefined],
    ['lines between', 'a\nx\nb', 'a\nb', undefined],
    ['another order', 'b\na', 'a\nb', 'b'],
    ['anything', '{"a":1,"b":2}', '{"a":…}', undefined],
    ['anything at the end, and a line behind it', 'x y 401', 'x …\n401', undefined],
    ['signs that mean something elsewhere', 'a.b (c) $d', 'a.b (c) $d', undefined],
    ['a dot is a dot', 'axb', 'a.b', 'a.b'],
    ['other blanks', 'NAME   READY', 'NAME READY', undefined],
    ['colours', '\u001b[1;93m[a : b]\u001b[0m c', '[a : b] c', undefined],
  ];
  for (const [name, printed, answer, want] of answers) {
    it(`has an answer that is ${want === undefined ? 'there' : 'missed'}: ${name}`, () => {
      assert.equal(missingIn(printed, answer), want);
    });
  }
});
