/**
 * THIRD-PARTY-LICENSES.md: the licences of the packages that are shipped, with their texts, from what is installed. A
 * text that several packages have stands once, below their names and copyright lines.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ShippedPackage } from './shipped.ts';

/** Licences that ask for no more than to be named and passed on. Another one is a decision: it adds its line here. */
export const allowedLicenses: ReadonlySet<string> = new Set([
  '0BSD',
  'Apache-2.0',
  'BSD-3-Clause',
  'ISC',
  'MIT',
  'PSF-2.0',
  'Unlicense',
  'Zlib',
]);

/** Whether a licence is allowed; of an expression with `OR` one side, of one with `AND` all. One with both is not read. */
export function isAllowed(license: string): boolean {
  const parts = license.replace(/[()]/g, '').split(/ (AND|OR) /);
  const names = parts.filter((_part, place) => place % 2 === 0);
  const joints = new Set(parts.filter((_part, place) => place % 2 === 1));
  if (joints.size > 1) return false;
  return joints.has('OR')
    ? names.some((name) => allowedLicenses.has(name))
    : names.every((name) => allowedLicenses.has(name));
}

/** Files of packages without a licence file that have the text at their head. */
const heads: Readonly<Record<string, string>> = {
  '@bufbuild/protobuf': 'dist/esm/wire/varint.js',
  diff3: 'diff3.js',
};

/** A text, and the packages that have it, each with its copyright lines. */
interface Text {
  readonly text: string;
  readonly packages: string[];
}

/** What a package says of its licence. */
interface Statement {
  readonly text: string;
  readonly notices: readonly string[];
}

/**
 * The whole file. `root` is the checkout whose node_modules are read; everything that is shipped lies there, since nothing
 * of it is of one platform.
 */
export function licenseList(packages: readonly ShippedPackage[], root: string): string {
  const texts = new Map<string, Text>();
  const without: string[] = [];
  for (const shipped of uniquePackages(packages)) {
    const statements = statementsOf(join(root, shipped.path), shipped.name);
    if (statements.length === 0) without.push(`${titleOf(shipped)}: ${shipped.license}, by ${authorOf(root, shipped)}`);
    for (const { text, notices } of statements) {
      const key = text.replace(/\s+/g, ' ').toLowerCase();
      const group = texts.get(key) ?? { text, packages: [] };
      texts.set(key, group);
      group.packages.push([`- ${titleOf(shipped)}`, ...notices].join('\\\n  '));
    }
  }
  return [
    '# Licences of what rungate ships with',
    'Made by `npm run licenses` from the packages of package-lock.json that are not for development alone. rungate itself is under [Apache-2.0](LICENSE). Node.js has its own LICENSE, which names what is built into it; `npm run sbom` lists that.',
    table(packages),
    '## Texts',
    ...[...texts.values()].map(section),
    '## Packages that carry no text',
    'The text of Apache-2.0 is in [LICENSE](LICENSE), that of MIT stands above.',
    without.map((line) => `- ${line}`).join('\n'),
    '',
  ]
    .join('\n\n')
    .replace(/\n+$/, '\n');
}

function table(packages: readonly ShippedPackage[]): string {
  const rows = uniquePackages(packages).map(({ name, version, license }) => `| ${name} | ${version} | ${license} |`);
  return ['| Package | Version | Licence |', '|---|---|---|', ...rows].join('\n');
}

function section({ text, packages }: Text): string {
  return `${packages.join('\n')}\n\n\`\`\`text\n${text}\n\`\`\``;
}

function titleOf({ name, version }: ShippedPackage): string {
  return `${name} ${version}`;
}

/** A package that lies in several folders stands once. */
function uniquePackages(packages: readonly ShippedPackage[]): readonly ShippedPackage[] {
  const unique = new Map(packages.map((shipped) => [titleOf(shipped), shipped]));
  return [...unique.values()].sort((a, b) => (titleOf(a) < titleOf(b) ? -1 : 1));
}

/** What the files of an installed package say: its licence and notice files, else its readme, else the head of a source. */
function statementsOf(folder: string, name: string): readonly Statement[] {
  const files = readdirSync(folder).sort();
  const named = files.filter((file) => /^(?:(?:un)?licen[cs]e|copying|notice)(?:[-.](?!js|ts).*)?$/i.test(file));
  if (named.length > 0) return named.map((file) => statement(readFileSync(join(folder, file), 'utf8')));
  const readme = files.find((file) => /^readme\.md$/i.test(file));
  const [, section = ''] =
    /^#+ licen[cs]e\s*\n([\s\S]*)/im.exec(readme ? readFileSync(join(folder, readme), 'utf8') : '') ?? [];
  if (/copyright/i.test(section)) return [statement(section)];
  const head = heads[name];
  return head === undefined ? [] : [statement(headComment(readFileSync(join(folder, head), 'utf8')))];
}

/** Parts a text from its title and its copyright lines, in which copies of the same licence differ. */
function statement(whole: string): Statement {
  const paragraphs = plain(whole).split(/\n\s*\n/);
  const isNotice = (paragraph: string) => /^\s*copyright\b(?!.*yyyy)/i.test(paragraph); // Apache's has a blank to fill in
  const notices = paragraphs.filter(isNotice).flatMap((paragraph) => paragraph.split('\n').map((line) => line.trim()));
  const text = paragraphs.filter((paragraph) => !isNotice(paragraph) && !TITLE.test(paragraph.trim()));
  return { text: text.join('\n\n').trim(), notices: notices.filter((line) => line !== '') };
}

/** Names a licence and says nothing else. */
const TITLE = /^[#\s]*\(?(?:the )?(?:mit|isc|bsd 3-clause)(?: license| licence)?(?: \(mit\))?\)?[\s=-]*$/i;

function plain(text: string): string {
  return text
    .replace(/\r\n?/g, '\n')
    .replace(/[ \t]+$/gm, '')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>');
}

function headComment(source: string): string {
  const lines = source.split('\n');
  const end = lines.findIndex((line) => !line.startsWith('//'));
  return lines
    .slice(0, end)
    .map((line) => line.replace(/^\/\/ ?/, ''))
    .join('\n');
}

function authorOf(root: string, { path }: ShippedPackage): string {
  const { author }: { author?: string | { readonly name: string } } = JSON.parse(
    readFileSync(join(root, path, 'package.json'), 'utf8'),
  );
  return (typeof author === 'object' ? author.name : author) ?? 'its contributors';
}
