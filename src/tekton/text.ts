/** How the log of a run looks as text: prefixes, colours, timestamps, notices. The bytes of the log itself are never touched. */
import type { LineBatch, LogLine } from '../kube/lines.ts';

/** What a reader wants to see of each line. */
export interface TextOptions {
  /** `task`: `[task : step] ` before every line, as tkn has it. */
  readonly prefix: 'task' | 'none';
  /** Colours the prefix by task and dims notices; what a step wrote keeps its own colours either way. */
  readonly color: boolean;
  /** After the prefix: `true` the kubelet's timestamp as it is, `iso` the same in UTC with milliseconds. */
  readonly timestamps: boolean | 'iso';
}

/** Where a line comes from, as far as a reader is told. */
export interface TextSource {
  /** Name of the pipeline task: all of its instances share a colour. */
  readonly task: string;
  /** What tells this task's stream from all others of the run: `test`, `test-3`, `deploy/test`. */
  readonly prefix: string;
  /** Without `step-`. */
  readonly step: string;
}

/** Turns what is to be said into bytes for a text client. */
export interface TextShaper {
  /** All lines of a batch, prefixed and each ended by LF, in one Buffer. Of a fragmented line only the first part has a prefix, only the last an LF. */
  lines(batch: LineBatch, source: TextSource): Buffer;
  /** The empty line after a container. */
  blank(): Buffer;
  /** `[gateway] ` and a sentence. The sentence is written as it is: see `printable`. */
  notice(sentence: string): Buffer;
}

/** The colours of tkn's palette: bright green, yellow, blue, magenta, cyan. Red stays the mark of errors. */
const PALETTE = [92, 93, 94, 95, 96] as const;

const LF = 0x0a;
const NOTHING = Buffer.alloc(0);

/** A shaper for one client. It remembers the prefixes it has made, so keep one per stream. */
export function textShaper({ prefix, color, timestamps }: TextOptions): TextShaper {
  const prefixes = new Map<string, Buffer>();
  const stamp = timestamps === 'iso' ? isoTimestamp : (timestamp: string) => timestamp;

  const prefixOf = (source: TextSource): Buffer => {
    if (prefix === 'none') return NOTHING;
    const key = `${source.prefix}\0${source.step}`;
    const known = prefixes.get(key);
    if (known !== undefined) return known;
    const words = `[${printable(source.prefix)} : ${printable(source.step)}]`;
    const made = Buffer.from(color ? `\x1b[1;${paletteColor(source.task)}m${words}\x1b[0m ` : `${words} `);
    prefixes.set(key, made);
    return made;
  };

  return {
    lines({ lines }, source) {
      const head = prefixOf(source);
      const stamps = timestamps ? lines.map((line) => (begins(line) ? stamp(line.timestamp) : '')) : undefined;
      let size = 0;
      for (const [at, line] of lines.entries()) {
        const stampBytes = stamps?.[at]?.length ?? 0;
        size += line.text.length + (ends(line) ? 1 : 0) + (begins(line) ? head.length : 0);
        if (stampBytes > 0) size += stampBytes + 1;
      }
      const out = Buffer.allocUnsafe(size);
      let end = 0;
      for (const [at, line] of lines.entries()) {
        if (begins(line)) {
          out.set(head, end);
          end += head.length;
        }
        const timestamp = stamps?.[at] ?? '';
        if (timestamp !== '') end += out.write(`${timestamp} `, end, 'latin1');
        out.set(line.text, end);
        end += line.text.length;
        if (ends(line)) out[end++] = LF;
      }
      return out;
    },
    blank: () => Buffer.from('\n'),
    notice: (sentence) => Buffer.from(color ? `\x1b[2m[gateway] ${sentence}\x1b[0m\n` : `[gateway] ${sentence}\n`),
  };
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
