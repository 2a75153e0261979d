/** What the tree must not say, and what it says that must be true. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/** This list would find itself. */
const self = 'test/house/words.test.ts';

const forbidden: readonly { readonly what: string; readonly words: RegExp }[] = [
  {
    what: 'hosts of package registries: which one is used is up to whoever installs',
    words: /registry\.npmjs|registry\.yarnpkg|artifactory|jfrog|proxy\.golang\.org|sum\.golang\.org|pypi\.org/i,
  },
  {
    what: 'absolute paths of one machine',
    words: /(?<![\w.$}])\/(?:work|root|Users\/\w+|home\/(?!node\b|nonroot\b)\w+)\/[\w.]/,
  },
  {
    what: 'how the text came about instead of what is so',
    words:
      /\b(?:claude|anthropic|chatgpt|openai|copilot|language model|as an ai|ai-generated|subagent|preamble\.md|cluster-ready)\b/i,
  },
];

/** Number of acceptance scenarios of each specification. */
const scenarios: Readonly<Record<string, number>> = { run: 45, trigger: 45, event: 40, promotion: 47, service: 45 };

const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { encoding: 'utf8' })
  .split('\n')
  .filter((path) => path !== '' && existsSync(path));

const texts = files.filter((path) => !/\.(?:png|jpg|ico|gz|tar)$/.test(path));

describe('the words of the tree', () => {
  for (const { what, words } of forbidden) {
    it(`has no ${what}`, () => {
      const found = texts
        .filter((path) => path !== self)
        .flatMap((path) =>
          readFileSync(path, 'utf8')
            .split('\n')
            .flatMap((line, place) => (words.test(line) ? [`${path}:${place + 1}: ${line.trim().slice(0, 120)}`] : [])),
        );
      assert.deepEqual(found, []);
    });
  }

  it('names only npm scripts that exist', () => {
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
    const found = texts
      .filter((path) => path.endsWith('.md') || path.startsWith('.ci/'))
      .flatMap((path) =>
        [...readFileSync(path, 'utf8').matchAll(/\bnpm (?:run (?:--?[\w-]+ )*([\w:-]+)|(test|start)\b)/g)]
          .map(([, script, verb]) => script ?? verb ?? '')
          .filter((script) => scripts[script] === undefined)
          .map((script) => `${path}: npm run ${script}`),
      );
    assert.deepEqual(found, []);
  });

  it('numbers its scenarios as the specifications do: `run 12: ...`, `run 12, 13: ...`', () => {
    const found = texts
      .filter((path) => path.endsWith('.test.ts'))
      .flatMap((path) =>
        [
          ...readFileSync(path, 'utf8').matchAll(
            /\b(?:it|describe|clusterSuite)\(\s*[`'"]((?:run|trigger|event|promotion|service) \d.*)/g,
          ),
        ]
          .map(([, title]) => title ?? '')
          .filter((title) => !isWellNumbered(title))
          .map((title) => `${path}: ${title}`),
      );
    assert.deepEqual(found, []);
  });
});

function isWellNumbered(title: string): boolean {
  const [, area, numbers] = /^(\w+) (\d+(?:(?:, | and |-)\d+)*): \S/.exec(title) ?? [];
  if (area === undefined || numbers === undefined) return false;
  return numbers.split(/\D+/).every((number) => Number(number) >= 1 && Number(number) <= (scenarios[area] ?? 0));
}
