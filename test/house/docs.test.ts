/**
 * What the documentation says is what the code does: tables between marks are made from the code (`UPDATE_DOCS=1` writes
 * them), and links lead somewhere. The table of phases is checked beside src/tekton/phase.ts.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OpenApiDocument } from '../../src/gateway/described/openapi.ts';
import {
  answerHeaders,
  type HeaderShape,
  requestHeaders,
  trailers,
} from '../../src/gateway/described/schemas/headers.ts';
import { meanings, type ProblemCode } from '../../src/gateway/described/schemas/problem.ts';
import { schemaInWords } from '../../src/gateway/described/schemas/words.ts';
import { answers } from '../../src/gateway/problem.ts';
import { type Described, operationsIn, parametersOf, servedDocument } from '../support/described.ts';

const root = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

describe('tables of docs/api.md and docs/errors.md', () => {
  let made: ReadonlyMap<string, string>;

  before(async () => {
    made = tablesOf(await servedDocument());
  });

  for (const page of ['docs/api.md', 'docs/errors.md']) {
    it(`those of ${page} are made from the code (UPDATE_DOCS=1 writes them)`, () => {
      const text = read(page);
      const wanted = text.replace(MADE, (_all, name: string) => {
        const table = made.get(name);
        assert(table !== undefined, `${page}: nothing makes "${name}"; there are ${[...made.keys()].join(', ')}`);
        return `<!-- made from the code: ${name} -->\n${table}\n<!-- end -->`;
      });
      if (process.env.UPDATE_DOCS === '1') writeFileSync(join(root, page), wanted);
      else assert.equal(text, wanted);
    });
  }

  it('every one has its place', () => {
    const text = read('docs/api.md') + read('docs/errors.md');
    const placed = [...text.matchAll(MADE)].map(([, name]) => name);
    assert.deepEqual(placed.toSorted(), [...made.keys()].toSorted());
  });
});

const MADE = /<!-- made from the code: ([^>]+) -->\n[\s\S]*?<!-- end -->/g;

/** Every table that is made, by its name. */
function tablesOf(document: OpenApiDocument): ReadonlyMap<string, string> {
  const operations = operationsIn(document);
  const whole = operations.filter(({ operation }) => operation['x-short-of'] === undefined);
  return new Map([
    ['paths', pathTable(operations)],
    ...optionTables(document, whole),
    ['headers of requests', headerTable(requestHeaders)],
    ['headers of answers', headerTable(answerHeaders)],
    ['trailers', headerTable(trailers)],
    ['codes', codeTable()],
  ]);
}

/** A table for each operation that has options, unless one before it has options of the same names: those are read there. */
function optionTables(
  document: OpenApiDocument,
  operations: readonly Described[],
): readonly (readonly [string, string])[] {
  const tables = new Map<string, readonly [string, string]>();
  for (const { operation } of operations) {
    const names = parametersOf(document, operation, 'query').map(({ name }) => name);
    if (names.length === 0 || tables.has(names.join())) continue;
    tables.set(names.join(), [`options of ${operation.operationId}`, optionTable(document, operation)]);
  }
  return [...tables.values()];
}

/** Paths as users write them: that in the default namespace stands beside its own. */
function pathTable(operations: readonly Described[]): string {
  const rows = operations
    .filter(({ operation }) => operation['x-short-of'] === undefined)
    .map(({ path, method, operation }) => {
      const short = operations.find((each) => each.operation['x-short-of'] === operation.operationId)?.path;
      const paths = [...(short === undefined ? [] : [short]), path].map(
        (each) => `\`${each.replace(/\{(\w+)\}/g, ':$1')}\``,
      );
      const post = method === 'get' ? '' : ` (${method.toUpperCase()})`;
      return [`${paths.join(', ')}${post}`, lowered(operation.summary)];
    });
  return table(['Path', ''], rows);
}

function optionTable(document: OpenApiDocument, operation: Described['operation']): string {
  const rows = parametersOf(document, operation, 'query').map(({ name, schema, description }) => {
    const standard = schema.default === undefined ? '' : `\`${String(schema.default)}\``;
    return [`\`${name}\``, schemaInWords(schema), standard, lowered(description)];
  });
  return table(['Option', 'Values', 'Default', ''], rows);
}

function headerTable(headers: Readonly<Record<string, HeaderShape>>): string {
  return table(
    ['Header', ''],
    Object.entries(headers).map(([name, { purpose, schema }]) => {
      const words = schema.enum === undefined || purpose.startsWith('`') ? '' : `: ${schemaInWords(schema)}`;
      return [`\`${name}\``, `${lowered(purpose)}${words}`];
    }),
  );
}

function codeTable(): string {
  const rows = (Object.keys(answers) as ProblemCode[]).map((code) => {
    const { when, advice } = meanings[code];
    return [`\`${code}\``, String(answers[code].status), when, advice];
  });
  return table(['Code', 'Status', 'When', 'What to do'], rows);
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [heads, heads.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
  return lines.map((line) => line.replace(/\| {2}(?=\|)/g, '| ')).join('\n');
}

/** A sentence as it stands in a table: without its capital, unless that is a name's. */
function lowered(sentence: string): string {
  return /^[A-Z][a-z ]/.test(sentence) ? sentence[0]?.toLowerCase() + sentence.slice(1) : sentence;
}

describe('docs/errors.md', () => {
  it('names Retry-After and other headers of a code exactly where they are sent', () => {
    for (const [code, { retryAfterMs, headers = {} }] of Object.entries(answers)) {
      const { when } = meanings[code as ProblemCode];
      assert.equal(when.includes('`Retry-After`'), retryAfterMs !== undefined, code);
      for (const name of Object.keys(headers)) assert(when.includes(`\`${name}`), `${code} ${name}`);
    }
  });
});

describe('docs/run-status.md', () => {
  it('explains every phase that a run or a task can be answered to be in', async () => {
    const { schemas } = (await servedDocument()).components;
    const text = read('docs/run-status.md');
    const words = [schemas.Phase, schemas.TaskPhase].flatMap((schema) => schema?.enum as readonly string[]);
    assert(words.length > 10);
    for (const word of words) assert(text.includes(`| ${word} |`) || text.includes(`\`${word}\``), word);
  });
});

describe('docs', () => {
  it('have no link that leads nowhere', () => {
    const pages = [
      ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', 'test/README.md'],
      ...['examples/README.md', 'charts/rungate/README.md'],
    ];
    for (const page of [
      ...pages,
      ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
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
