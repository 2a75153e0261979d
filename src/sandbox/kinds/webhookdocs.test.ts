/** What docs/sandbox.md says of Tekton's webhook is what was recorded of the real one, and all of it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

const docs = readFileSync(join(import.meta.dirname, '../../../docs/sandbox.md'), 'utf8');
const recorded = parse(readFileSync(join(import.meta.dirname, 'tektonwebhook.cases.yaml'), 'utf8')) as readonly {
  readonly refused?: string;
}[];

/** The sentences of one table, in the last column. */
function sentencesBelow(heading: string): string[] {
  const [, table = ''] = docs.split(`\n${heading}\n\n`);
  const rows = (table.split('\n\n')[0] ?? '').split('\n').slice(2);
  return rows.map((row) => {
    const cell = row.replaceAll('\\|', '\u0000').split('|').at(-2)?.trim().replaceAll('\u0000', '|') ?? '';
    return cell.replace(/^(`+) ?(.*?) ?\1$/, '$2');
  });
}

/** Messages without their paths; what else a complaint says stands on lines of its own. */
const messages = new Set(
  recorded
    .flatMap(({ refused = '' }) => refused.split('\n'))
    .flatMap((line) => /^(.*): (?:(?:spec|metadata|statusMessage).*)?$/.exec(line)?.[1]?.trim() ?? [])
    .filter((message) => message !== 'String/Array Names' && message !== 'Object Names')
    // Pipelines within pipelines are taken, which the section says too.
    .filter((message) => !/^pipeline(?:Ref|Spec) requires /.test(message)),
);

function matcherOf(sentence: string): RegExp {
  const literal = (text: string) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  return new RegExp(`^${sentence.split('…').map(literal).join('.*')}$`);
}

describe("docs/sandbox.md on Tekton's webhook", () => {
  const sentences = sentencesBelow('Refused when it is created or changed:');

  it('has only sentences that the real one says', () => {
    const unsaid = sentences.filter((sentence) => ![...messages].some((message) => matcherOf(sentence).test(message)));
    assert.deepEqual(unsaid, []);
  });

  it('has every sentence that was recorded', () => {
    const matchers = sentences.map(matcherOf);
    // A value that is wrong by itself is said with nothing but that value.
    const isBareValue = (message: string) => /^invalid value: \S+$/.test(message);
    const missing = [...messages].filter(
      (message) => !isBareValue(message) && !matchers.some((one) => one.test(message)),
    );
    assert.deepEqual(missing, []);
  });

  it('counts the recordings', () => {
    assert.ok(docs.includes(`what the real one made of ${recorded.length} objects`));
  });
});
