/** The real log: winston, one line per entry, secrets and control characters taken out on the way. */
import { PassThrough } from 'node:stream';
import winston from 'winston';
import type { Clock } from './clock.ts';
import type { Log, LogFields } from './log.ts';

/** Where lines go and how they look. */
export interface LoggerOptions {
  readonly level: 'error' | 'warn' | 'info' | 'debug';
  /** `json` for machines: one object per line. `text` for a person at a terminal. */
  readonly format: 'json' | 'text';
  readonly clock: Clock;
  /** Takes whole lines, several at a time. */
  write(lines: string): void;
}

/** A log and its end. */
export interface Logger extends Log {
  /** Writes what is still held back. Lines logged in one turn of the event loop leave together in the next. */
  flush(): void;
}

/** Field names whose value is never shown, whatever it is. */
const SECRET_NAME = /authorization|password|passwd|passphrase|token|cookie|secret|credential|private-?key|api-?key/i;

/** What every line has by itself; a field of that name is moved aside, not lost. */
const OWN_NAMES: ReadonlySet<string> = new Set<keyof OwnFields>(['time', 'level', 'message']);

/** `scheme://name:password@host`, wherever it stands in a value. */
const URL_CREDENTIALS = /([a-z][a-z0-9+.-]*:\/\/)[^\s/?#@]+@/gi;

/** C0, DEL, C1 and the two separators: what could draw on a terminal or break a line for somebody. */
const CONTROLS = /[\x00-\x1f\x7f-\x9f\u2028\u2029]/g;

/** Winston's way: the smaller, the worse. */
const LEVELS = { error: 0, warn: 1, info: 2, debug: 3 } as const;

const LINE = Symbol.for('message'); // where winston's transports look for the finished line

/** Makes the log. Field values longer than 4096 characters are cut. */
export function createLogger({ level, format, clock, write }: LoggerOptions): Logger {
  const draw = format === 'json' ? jsonLine : textLine;
  const timeText = timeTexts();
  const output = new HeldLines(write);
  const logger = winston.createLogger({
    level,
    levels: LEVELS,
    format: winston.format((entry) => {
      const time = timeText(clock.now());
      // Only `at` below puts fields there.
      const fields = entry.fields as LogFields | undefined;
      entry[LINE] = draw({ time, level: entry.level, message: String(entry.message) }, fields);
      return entry;
    })(),
    transports: [output],
  });
  const at = (name: keyof typeof LEVELS): Log['info'] => {
    if (LEVELS[name] > LEVELS[level]) return () => {}; // winston would find that out at every line
    // Fields go in as one value: winston would merge a field named `message` or `level` into its own.
    return (message, fields) => void logger.log({ level: name, message, fields });
  };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), flush: () => output.flush() };
}

/** Joins the lines of one turn of the event loop into one write: a busy gateway logs thousands a second. */
class HeldLines extends winston.transports.Stream {
  readonly #writeOut: (lines: string) => void;
  #held = '';

  constructor(writeOut: (lines: string) => void) {
    super({ stream: new PassThrough() }); // winston wants one; `log` below never writes to it
    this.#writeOut = writeOut;
  }

  override log(entry: winston.LogEntry & { readonly [LINE]?: string }, done: () => void): void {
    if (this.#held === '') setImmediate(() => this.flush());
    this.#held += `${entry[LINE]}\n`;
    done();
  }

  flush(): void {
    if (this.#held === '') return;
    const lines = this.#held;
    this.#held = '';
    this.#writeOut(lines);
  }
}

/** The text of a time. Lines of one millisecond share it: a busy gateway has dozens of them. */
function timeTexts(): (ms: number) => string {
  let last = { ms: Number.NaN, text: '' };
  return (ms) => {
    if (ms !== last.ms) last = { ms, text: new Date(ms).toISOString() };
    return last.text;
  };
}

/** What every line has by itself, in the order it is shown in. */
interface OwnFields {
  readonly time: string;
  readonly level: string;
  readonly message: string;
}

/** What is known of a field's name; the names are few, and each comes with every line. */
interface Field {
  /** What it is called in the line. */
  readonly key: string;
  /** The same as JSON, with what stands before and behind it. */
  readonly json: string;
  readonly isSecret: boolean;
}

const FIELDS = new Map<string, Field>();

function fieldOf(name: string): Field {
  const known = FIELDS.get(name);
  if (known !== undefined) return known;
  const key = OWN_NAMES.has(name) ? `field.${name}` : name;
  const field = { key, json: `,${jsonText(key)}:`, isSecret: SECRET_NAME.test(name) };
  if (FIELDS.size < 1_000) FIELDS.set(name, field);
  return field;
}

function shownText(value: string): string {
  const cut = value.length > 4096 ? `${value.slice(0, 4096)}...` : value;
  return cut.includes('://') ? cut.replace(URL_CREDENTIALS, '$1[redacted]@') : cut;
}

/** Put together by hand: at a busy gateway this is most of what a line costs, and the access line comes with every request. */
function jsonLine({ time, level, message }: OwnFields, fields: LogFields = {}): string {
  let line = `{"time":"${time}","level":"${level}","message":${jsonText(message)}`;
  for (const name in fields) {
    const value = fields[name];
    if (value === undefined) continue;
    const { json, isSecret } = fieldOf(name);
    line += json;
    if (isSecret) line += '"[redacted]"';
    else if (typeof value === 'string') line += jsonText(shownText(value));
    else line += JSON.stringify(value);
  }
  return `${line}}`;
}

/** Printable ASCII without what JSON escapes. */
const PLAIN = /^[ !#-[\]-~]*$/;

function jsonText(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : escaped(JSON.stringify(text));
}

function textLine({ time, level, message }: OwnFields, fields: LogFields = {}): string {
  const pairs = Object.entries(fields).flatMap(([name, value]) => {
    if (value === undefined) return [];
    const { key, isSecret } = fieldOf(name);
    const text = isSecret ? '[redacted]' : String(typeof value === 'string' ? shownText(value) : value);
    return `${key}=${/^[^\s"=]+$/.test(text) ? text : JSON.stringify(text)}`;
  });
  return escaped([time.slice(11, 23), level.toUpperCase().padEnd(5), message, ...pairs].join(' '));
}

/** Control characters as `\u` escapes, which are valid inside a JSON string too. */
function escaped(text: string): string {
  return text.replace(CONTROLS, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
