/** How the log of a run looks as text: prefixes, colours, timestamps, notices. The bytes of a line are those of its step. */
import type { LogLine } from '../kube/lines.ts';
import { ansiStripper } from './ansi.ts';
import type { LogEvent, LogShaper, LogSource } from './shaper.ts';

/** What a reader wants to see of each line. */
export interface TextOptions {
  /** `task`: `[task : step] ` before every line, as tkn has it; `display`: the same with the name made for people. */
  readonly prefix: 'task' | 'none' | 'display';
  /** Colours the prefix by task and dims notices; what a step wrote keeps its own colours either way. */
  readonly color: boolean;
  /** After the prefix: `true` the kubelet's timestamp as it is, `iso` the same in UTC with milliseconds. */
  readonly timestamps: boolean | 'iso';
  /** Takes the escape sequences of terminals out of what a step wrote: colours, movements of the cursor. */
  readonly strip?: boolean;
}

/** The colours of tkn's palette: bright green, yellow, blue, magenta, cyan. Red stays the mark of errors. */
const PALETTE = [92, 93, 94, 95, 96] as const;

const LF = 0x0a;
const SPACE = 0x20;
const NOTHING = Buffer.alloc(0);
const EMPTY_LINE = Buffer.from('\n');

/** What a container's lines are made with. */
interface Manner {
  /** The prefix with the space behind it. */
  readonly head: Buffer;
  readonly strip: ((line: LogLine) => Buffer) | undefined;
}

/** A shaper for one client. It remembers the prefixes it has made, so keep one per stream. */
export function textShaper({ prefix, color, timestamps, strip = false }: TextOptions): LogShaper {
  const manners = new Map<string, Manner>();
  const stamp = timestamps === 'iso' ? isoTimestamp : (timestamp: string) => timestamp;

  const headOf = (source: LogSource): Buffer => {
    if (prefix === 'none') return NOTHING;
    const name = prefix === 'display' ? displayNameOf(source) : source.prefix;
    const words = `[${printable(name)} : ${printable(source.step)}]`;
    return Buffer.from(color ? `\x1b[1;${paletteColor(source.task)}m${words}\x1b[0m ` : `${words} `);
  };
  const mannerOf = (source: LogSource): Manner => {
    const key = `${source.pod}/${source.container}/${source.prefix}`;
    const known = manners.get(key);
    if (known !== undefined) return known;
    const made = { head: headOf(source), strip: strip ? ansiStripper() : undefined };
    manners.set(key, made);
    return made;
  };

  const shapeLines = ({ source, batch: { lines } }: Extract<LogEvent, { type: 'log' }>): Buffer => {
    const { head, strip: strippedOf } = mannerOf(source);
    // Timestamps that are shown as they came are sent as they came.
    const isAsRead = timestamps === true && strippedOf === undefined;
    const textOf = strippedOf ?? (isAsRead ? ({ stampedText, text }: LogLine) => stampedText ?? text : undefined);
    const texts = textOf && lines.map(textOf);
    const isStamped = (line: LogLine, at: number) => isAsRead && texts?.[at] !== line.text;
    const stampOf = (line: LogLine, at: number) => (begins(line) && !isStamped(line, at) ? stamp(line.timestamp) : '');
    const stamps = timestamps ? lines.map(stampOf) : undefined;
    // The most that can be needed: what is left over is not sent.
    let size = (head.length + 1) * lines.length;
    for (let at = 0; at < lines.length; at += 1) size += (texts?.[at] ?? lines[at]?.text ?? NOTHING).length;
    for (const each of stamps ?? []) size += each.length + 1;
    const out = Buffer.allocUnsafe(size);
    let end = 0;
    for (let at = 0; at < lines.length; at += 1) {
      const line = lines[at];
      if (line === undefined) break;
      if (begins(line)) {
        out.set(head, end);
        end += head.length;
      }
      const timestamp = stamps?.[at] ?? '';
      if (timestamp !== '') {
        end += out.write(timestamp, end, 'latin1');
        out[end++] = SPACE;
      }
      const text = texts?.[at] ?? line.text;
      out.set(text, end);
      end += text.length;
      if (ends(line)) out[end++] = LF;
    }
    return out.subarray(0, end);
  };
  const shapeNotice = (sentence: string): Buffer =>
    Buffer.from(color ? `\x1b[2m[gateway] ${sentence}\x1b[0m\n` : `[gateway] ${sentence}\n`);

  return {
    contentType: 'text/plain; charset=utf-8',
    framed: false,
    shape(event) {
      switch (event.type) {
        case 'log':
          return shapeLines(event);
        case 'blank':
          return EMPTY_LINE;
        case 'notice':
        case 'gap':
          return shapeNotice(event.sentence);
        case 'heartbeat':
          return shapeNotice(`waiting for ${event.awaiting}`);
        case 'step':
        case 'task':
        case 'end':
          return NOTHING;
      }
    },
  };
}

/**
 * The name that the pipeline's author gave a task for people, or its prefix where there is none. Instances of a matrix and
 * tasks of nested runs may share one: behind it stands what tells them apart.
 */
export function displayNameOf(named: Pick<LogSource, 'task' | 'prefix' | 'displayName'>): string {
  const { task, prefix, displayName } = named;
  if (displayName === undefined) return prefix;
  return prefix === task ? displayName : `${displayName} (${prefix})`;
}

function begins({ part }: LogLine): boolean {
  return part === 'whole' || part === 'first';
}

function ends({ part }: LogLine): boolean {
  return part === 'whole' || part === 'last';
}

/** UTC with milliseconds, cut and not rounded, so that no line claims to be later than it was. What is no timestamp stays as it is. */
function isoTimestamp(timestamp: string): string {
  // What nearly every kubelet writes needs no calendar.
  if (timestamp.length === 30 && timestamp.endsWith('Z')) return `${timestamp.slice(0, 23)}Z`;
  const [, seconds, fraction = '', zone] = /^(.{19})(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/.exec(timestamp) ?? [];
  const epochMs = Date.parse(`${seconds}.${fraction.padEnd(3, '0').slice(0, 3)}${zone}`);
  return Number.isNaN(epochMs) ? timestamp : new Date(epochMs).toISOString();
}

/** The SGR foreground of a task, 92 to 96: the same name has the same colour in every run and on every replica. */
export function paletteColor(task: string): number {
  // FNV-1a: short names that differ in one letter still spread. http://www.isthe.com/chongo/tech/comp/fnv/
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(task)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return PALETTE[hash % PALETTE.length] ?? PALETTE[0];
}

/**
 * `text` on one line of a terminal that it cannot command: control characters and those that change the direction of
 * writing or break a line are escaped as in JSON (`\n`, `\u001b`), lone surrogates become U+FFFD. Longer than
 * `longest` characters it is cut, with an ellipsis.
 */
export function printable(text: string, longest = 1_000): string {
  const cut = text.length > longest ? `${text.slice(0, longest)}…` : text;
  return cut.toWellFormed().replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (character) => {
    const short = SHORT_ESCAPES[character];
    return short ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

const SHORT_ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };
