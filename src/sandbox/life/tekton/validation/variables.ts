/** References to variables in texts: whether they name something that is there, and may stand where they stand. */
import { at, type Complaints } from './complaints.ts';

/** What is known of the variables below a prefix. */
export interface Scope {
  /** `params`, `context.taskRun`, `results`. */
  readonly prefix: string;
  readonly names: ReadonlySet<string>;
}

interface Reference {
  /** With its brackets: `$(params.list[*])`. */
  readonly expression: string;
  /** As it is written: `list`, `object.key`. */
  readonly name: string;
  /** Written with a dot rather than in brackets. */
  readonly dotted: boolean;
}

/** Says so when `text` names a variable that is not there, or goes deeper than a key. Only the first one is named. */
export function checkKnown(text: string | undefined, { prefix, names }: Scope, path: string, say: Complaints): void {
  for (const { name, dotted } of referencesIn(text, prefix)) {
    if (dotted && name.split('.').length > 2) {
      say.say(
        `Invalid referencing of parameters in ${quoted(text)}! Only two dot-separated components after the prefix ${quoted(prefix)} are allowed.`,
        path,
      );
      return;
    }
    if (!names.has(withoutIndex(dotted ? (name.split('.')[0] ?? '') : name))) {
      say.say(`non-existent variable in ${quoted(text)}`, path);
      return;
    }
  }
}

/** Says so when `text` uses one of `names` (lists) where only a text may stand. An element, `list[0]`, is one. */
export function checkNoList(text: string | undefined, { prefix, names }: Scope, path: string, say: Complaints): void {
  const isList = referencesIn(text, prefix).some(({ name, dotted }) => names.has(withoutStar(firstOf(name, dotted))));
  if (isList) say.say(`variable type invalid in ${quoted(text)}`, path);
}

/** Says so when `text` uses one of `names` (lists) beside something else. */
export function checkIsolated(text: string | undefined, { prefix, names }: Scope, path: string, say: Complaints): void {
  const references = referencesIn(text, prefix);
  const isList = references.some(({ name, dotted }) => names.has(withoutStar(firstOf(name, dotted))));
  if (isList && text !== references[0]?.expression)
    say.say(`variable is not properly isolated in ${quoted(text)}`, path);
}

/** Says so when `text` uses one of `names` (objects) as a whole. */
export function checkNoWhole(text: string | undefined, { prefix, names }: Scope, path: string, say: Complaints): void {
  const isWhole = referencesIn(text, prefix).some(({ name }) => names.has(withoutStar(name)));
  if (isWhole) say.say(`variable type invalid in ${quoted(text)}`, path);
}

/** The name in a text that is one reference to a whole list or object and nothing else, `$(params.list[*])`. */
export function wholeReference(text: string, prefix: string): string | undefined {
  const [reference, ...more] = referencesIn(text, prefix);
  if (reference === undefined || more.length > 0 || reference.expression !== text) return undefined;
  return reference.name.endsWith('[*]') ? withoutStar(reference.name) : undefined;
}

/** A text of an object and where it stands. */
export interface Place {
  readonly text: string | undefined;
  readonly path: string;
}

/** Places of a list of texts. */
export function placesOf(texts: readonly string[] | undefined, path: string, field: string): Place[] {
  return (texts ?? []).map((text, index) => ({ text, path: at(path, field, index) }));
}

const variableName = '[_a-zA-Z][_a-zA-Z0-9.-]*(?:\\[(?:[0-9]+|\\*)\\])?';

function referencesIn(text: string | undefined, prefix: string): Reference[] {
  if (text === undefined || !text.includes('$(')) return [];
  const start = prefix.replaceAll('.', '\\.');
  const forms = `\\.(${variableName})|\\["(${variableName})"\\]|\\['(${variableName})'\\]`;
  const pattern = new RegExp(`\\$\\(${start}(?:${forms})\\)`, 'g');
  return [...text.matchAll(pattern)].map(([expression, dotted, double, single]) => ({
    expression,
    name: dotted ?? double ?? single ?? '',
    dotted: dotted !== undefined,
  }));
}

function firstOf(name: string, dotted: boolean): string {
  return dotted ? (name.split('.')[0] ?? '') : name;
}

function withoutStar(name: string): string {
  return name.endsWith('[*]') ? name.slice(0, -3) : name;
}

function withoutIndex(name: string): string {
  return name.replace(/\[(?:[0-9]+|\*)\]$/, '');
}

/** As Go's %q writes it. */
function quoted(text: string | undefined): string {
  return JSON.stringify(text ?? '');
}
