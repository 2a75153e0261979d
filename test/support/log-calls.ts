/** Every line that the source can log, found by reading it: level, constant message, names of fields, and where. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** One place that logs. */
export interface LogCall {
  /** `src/kube/watch.ts`. */
  readonly file: string;
  readonly levels: readonly string[];
  /** The messages that it can have; more than one where the source chooses. */
  readonly messages: readonly string[];
  /** In the order in which they are written. */
  readonly fields: readonly string[];
}

const root = join(import.meta.dirname, '../..');

/** The demo's Kubernetes is no part of an installation. */
const leftOut = /^sandbox\//;

/** What some files log by a name that is made elsewhere: where the literals are. */
const elsewhere: Readonly<Record<string, (source: string) => readonly string[]>> = {
  'OUTCOMES[tried.came]': (source) => literalsIn(between(source, 'const OUTCOMES = {', '}')),
  'src/hooks/listeners/ledger.ts message': (source) =>
    [...source.matchAll(/\btellOf\([^']*'([^']+)'\)/g)].map(([, text = '']) => text),
  'src/hooks/listeners/book.ts message': (source) =>
    literalsIn(between(source, 'const message = isOfCluster', 'if (isNews')),
  'src/main.ts warning': () => {
    const config = read('src/config.ts');
    return literalsIn(between(config, 'const warnings: string[] = [];', 'return warnings;')).filter((text) =>
      text.includes(' '),
    );
  },
};

/** Fields that come with a spread or by a name: theirs. The test asks that each stands in the file. */
const bundles: Readonly<Record<string, readonly string[]>> = {
  'src/controllers/triggers/fluxlook.ts ...about': ['kind', 'namespace', 'name'],
  'src/hooks/sources.ts ...namesOf(event)': ['kind', 'namespace', 'name'],
  'src/gateway/callers/audit.ts ...trigger': ['namespace', 'name'],
  'src/gateway/callers/audit.ts ...asked': [
    'verb',
    'resource',
    'namespace',
    'name',
    'mode',
    'caller',
    'path',
    'client',
    'requestId',
  ],
  'src/gateway/callers/audit.ts ...whence(request)': ['client', 'requestId'],
  'src/gateway/callers/audit.ts ...about(request, defaultNamespace)': [
    'mode',
    'caller',
    'verb',
    'resource',
    'namespace',
    'name',
    'path',
    'client',
    'requestId',
  ],
};

/** What is logged at one level of importance or another, by its message. */
export interface LoggedMessage {
  readonly levels: readonly string[];
  readonly fields: readonly string[];
}

/** Every message with the levels and the fields that it can have, wherever it is logged. */
export function loggedMessages(): ReadonlyMap<string, LoggedMessage> {
  const found = new Map<string, LoggedMessage>();
  for (const { messages, levels, fields } of logCalls()) {
    for (const message of messages) {
      const before = found.get(message) ?? { levels: [], fields: [] };
      found.set(message, {
        levels: [...new Set([...before.levels, ...levels])].toSorted(),
        fields: [...new Set([...before.fields, ...fields])],
      });
    }
  }
  return found;
}

/** Every call of a log in src, tests and sandbox aside. Throws where a message or a field cannot be told. */
export function logCalls(): readonly LogCall[] {
  return readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !leftOut.test(name))
    .toSorted()
    .flatMap((name) => callsIn(`src/${name}`));
}

function callsIn(file: string): readonly LogCall[] {
  const source = withoutComments(read(file));
  return [...source.matchAll(/\blog(?:\.(debug|info|warn|error)|\[([^\]]+)\])\(/g)].map((found) => {
    const [head, level, choice = ''] = found;
    const [message = '', fields = ''] = argumentsAt(source, found.index + head.length);
    return {
      file,
      levels: level === undefined ? levelsIn(choice) : [level],
      messages: messagesOf(file, source, message),
      fields: fieldsOf(file, source.slice(0, found.index), fields),
    };
  });
}

function levelsIn(choice: string): readonly string[] {
  if (choice === 'logged') return ['warn', 'error'];
  return [...choice.replace(/=== '[^']*'/g, '').matchAll(/'(\w+)'/g)].map(([, level = '']) => level);
}

function messagesOf(file: string, source: string, expression: string): readonly string[] {
  const made = elsewhere[expression] ?? elsewhere[`${file} ${expression}`];
  const messages = made?.(source) ?? literalsIn(expression.replace(/=== '[^']*'/g, ''));
  if (messages.length === 0) throw new Error(`${file} logs what cannot be told: ${expression}`);
  return messages;
}

function fieldsOf(file: string, source: string, expression: string): readonly string[] {
  const bundle = bundles[`${file} ${expression}`];
  if (expression === '' || bundle !== undefined) return bundle ?? [];
  if (!expression.startsWith('{')) {
    // A name: the object that it was given in the lines before.
    const at = source.lastIndexOf(`const ${expression} = {`);
    if (at === -1) throw new Error(`${file} logs fields that cannot be told: ${expression}`);
    return fieldsOf(file, source, `{${between(source.slice(at), '{', '}')}}`);
  }
  return parts(expression.slice(1, -1)).flatMap((part) => {
    if (!part.startsWith('...')) return [/^'?([\w.]+)'?/.exec(part)?.[1] ?? part];
    const name = part.slice(3);
    const known = bundles[`${file} ${part}`];
    if (known !== undefined) return known;
    if (/^\w+$/.test(name)) return fieldsOf(file, source, name);
    throw new Error(`${file} logs fields that cannot be told: ${part}`);
  });
}

/** The arguments of a call whose opening parenthesis ends at `start`. */
function argumentsAt(source: string, start: number): readonly string[] {
  return parts(source.slice(start, endOf(source, start)));
}

/** Where the bracket that was opened before `start` is closed. */
function endOf(source: string, start: number): number {
  let depth = 0;
  for (let at = start; at < source.length; at += 1) {
    const letter = source[at] ?? '';
    if (`'"\``.includes(letter)) at = source.indexOf(letter, at + 1);
    else if ('([{'.includes(letter)) depth += 1;
    else if (')]}'.includes(letter)) {
      if (depth === 0) return at;
      depth -= 1;
    }
  }
  throw new Error('a bracket that is not closed');
}

/** What stands between commas of the outermost level. */
function parts(text: string): readonly string[] {
  const found: string[] = [];
  let from = 0;
  for (let at = 0; at < text.length; at += 1) {
    const letter = text[at] ?? '';
    if (`'"\``.includes(letter)) at = text.indexOf(letter, at + 1);
    else if ('([{'.includes(letter)) at = endOf(text, at + 1);
    else if (letter === ',') {
      found.push(text.slice(from, at));
      from = at + 1;
    }
  }
  return [...found, text.slice(from)].map((part) => part.trim()).filter((part) => part !== '');
}

function literalsIn(text: string): readonly string[] {
  return [...text.matchAll(/'([^']*)'|"([^"]*)"/g)].map(([, single, double]) => single ?? double ?? '');
}

function between(text: string, from: string, to: string): string {
  const start = text.indexOf(from);
  if (start === -1) throw new Error(`"${from}" stands nowhere`);
  return text.slice(start + from.length, text.indexOf(to, start + from.length));
}

/** An apostrophe in a comment would begin a string. */
function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');
}

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}
