/** Options of a request: the query string read by a table, and the run a path names. Whatever is wrong with them is 400. */
import { Fault } from '../fault.ts';
import type { ObjectRef } from '../kube/objects.ts';

/** JSON Schema (2020-12) of an option's text, as the OpenAPI document shows it. */
export type OptionSchema = Readonly<Record<string, unknown>>;

/** What an option's text may be, and how it is read. */
export interface OptionKind<T> {
  /** What to write, as the end of "option wait: write ...". */
  readonly allowed: string;
  /** The same for programs. Whatever it lets pass `read` must accept, unless the value is out of a range it cannot state. */
  readonly schema: OptionSchema;
  /** The value, or `undefined` where the text is none. Fault `bad-request` where more can be said about the mistake. */
  read(text: string): T | undefined;
}

/** An option and what holds without it. */
export interface Option<T> {
  readonly kind: OptionKind<T>;
  readonly fallback: T;
  /** What it is for, a sentence or two for the documentation. */
  readonly purpose: string;
  /** Given several times, the values of each are taken together. Other options may be given once. */
  join?(values: readonly T[]): T;
}

/** Options by the name they have in the query. */
export type OptionTable = Readonly<Record<string, Option<unknown>>>;

/** What a table reads a query to. */
export type OptionValues<T extends OptionTable> = {
  readonly [K in keyof T]: T[K] extends Option<infer V> ? V : never;
};

/** An option that may be given once. */
export function option<T, const F = T>(kind: OptionKind<T>, fallback: F, purpose: string): Option<T | F> {
  return { kind, fallback, purpose };
}

/** An option that may be given several times, as a comma list, or both: `task=a&task=b` is `task=a,b`. None: empty. */
export function listOption<T>(kind: OptionKind<T>, purpose: string): Option<readonly T[]> {
  return { kind: listOf(kind), fallback: [], purpose, join: (values) => [...new Set(values.flat())] };
}

/**
 * Makes the reader of one route's options. The reader takes `request.url`. Faults: `bad-request`, naming the option, for
 * one that is unknown, given twice or malformed. Without a query every call returns the same frozen value.
 */
export function optionReader<T extends OptionTable>(table: T): (url: string) => OptionValues<T> {
  const names = Object.keys(table);
  const known = names.length === 0 ? 'this path takes none' : `this path takes ${names.join(', ')}`;
  // The cast states what the loop below does: one value of its own type for every name of the table.
  const defaults = Object.freeze(
    Object.fromEntries(Object.entries(table).map(([name, { fallback }]) => [name, fallback])),
  ) as OptionValues<T>;

  return (url) => {
    const mark = url.indexOf('?');
    if (mark === -1 || mark === url.length - 1) return defaults;
    const given = new Map<string, unknown[]>();
    for (const [name, text] of new URLSearchParams(url.slice(mark + 1))) {
      const asked = Object.hasOwn(table, name) ? table[name] : undefined;
      if (asked === undefined) throw new Fault('bad-request', `unknown option ${shown(name)}: ${known}`);
      const before = given.get(name);
      if (before !== undefined && asked.join === undefined) {
        throw new Fault('bad-request', `option ${name} is given twice`);
      }
      const value = asked.kind.read(text);
      if (value === undefined) {
        throw new Fault('bad-request', `option ${name} is ${shown(text)}: write ${asked.kind.allowed}`);
      }
      if (before === undefined) given.set(name, [value]);
      else before.push(value);
    }
    const read: Record<string, unknown> = { ...defaults };
    for (const [name, values] of given) {
      const join = table[name]?.join;
      read[name] = join === undefined ? values[0] : join(values);
    }
    return read as OptionValues<T>;
  };
}

/** `true` or `false`. */
export const truth: OptionKind<boolean> = {
  allowed: 'true or false',
  schema: { type: 'boolean' },
  read: (text) => (text === 'true' ? true : text === 'false' ? false : undefined),
};

/** One of the words given. */
export function word<const T extends string>(...words: readonly T[]): OptionKind<T> {
  return {
    allowed: `one of ${words.join(', ')}`,
    schema: { type: 'string', enum: words },
    read: (text) => words.find((each) => each === text),
  };
}

/** A whole number from `from` to `to`, both included. */
export function wholeNumber({ from, to }: { readonly from: number; readonly to: number }): OptionKind<number> {
  return {
    allowed: `a whole number from ${from} to ${to}`,
    schema: { type: 'integer', minimum: from, maximum: to },
    read(text) {
      if (!/^\d{1,16}$/.test(text)) return undefined;
      const value = Number(text);
      return value >= from && value <= to ? value : undefined;
    },
  };
}

// Without look-ahead, which not every reader of a schema knows.
const DURATION = /^(?:\d{1,9}|\d{1,9}h(?:\d{1,9}m)?(?:\d{1,9}s)?|\d{1,9}m(?:\d{1,9}s)?|\d{1,9}s)$/;
const SECONDS_IN: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1 };

/** A length of time, in milliseconds: `90`, `90s`, `5m`, `1h30m`; a number alone is seconds. */
export function duration({ toSeconds }: { readonly toSeconds: number }): OptionKind<number> {
  return {
    allowed: `a duration such as 90, 90s, 5m or 1h30m, at most ${toSeconds} seconds`,
    schema: { type: 'string', pattern: DURATION.source, examples: ['90', '5m', '1h30m'] },
    read(text) {
      if (!DURATION.test(text)) return undefined;
      let seconds = 0;
      for (const [, count, unit = ''] of text.matchAll(/(\d+)([hms]?)/g)) {
        seconds += Number(count) * (SECONDS_IN[unit] ?? 1);
      }
      return seconds <= toSeconds ? seconds * 1000 : undefined;
    },
  };
}

// Every day that a calendar has and no other: JavaScript takes 31 February for 3 March.
const LEAP_YEAR = '(\\d\\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)';
const DAY = `(\\d{4}-((0[1-9]|1[0-2])-(0[1-9]|1\\d|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)|${LEAP_YEAR}-02-29)`;
const TIME = '([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?';
const INSTANT = new RegExp(`^${DAY}T${TIME}(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)$`);

/** A moment, in milliseconds since the epoch. https://www.rfc-editor.org/rfc/rfc3339#section-5.6 */
export const instant: OptionKind<number> = {
  allowed: 'a time such as 2026-11-01T10:00:00Z (a "+" in it is written %2B)',
  schema: { type: 'string', pattern: INSTANT.source, examples: ['2026-11-01T10:00:00Z'] },
  read: (text) => (INSTANT.test(text) ? Date.parse(text) : undefined),
};

/** Text that matches a pattern as a whole, as the end of "option name: write ...". */
export function patterned(pattern: RegExp, maxLength: number, allowed: string): OptionKind<string> {
  return {
    allowed,
    schema: { type: 'string', pattern: pattern.source, minLength: 1, maxLength },
    read: (text) => (text.length > 0 && text.length <= maxLength && pattern.test(text) ? text : undefined),
  };
}

const LONGEST_NAME = 253;
const RUN_NAME_TEXT = '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*';
const RUN_NAME = new RegExp(`^${RUN_NAME_TEXT}$`);

/** A name of Kubernetes' kind: lower case letters, digits, `-` and `.`, at most 63 characters. */
export const objectName: OptionKind<string> = {
  allowed: 'a name of lower case letters, digits, "-" and "."',
  schema: { type: 'string', pattern: RUN_NAME.source, maxLength: 63 },
  read: (text) => (isRunName(text) ? text : undefined),
};

/** As `objectName`, of the kinds whose names may have 253 characters. https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names */
export const longObjectName: OptionKind<string> = {
  allowed: 'a name of lower case letters, digits, "-" and ".", of at most 253 characters',
  schema: { type: 'string', pattern: RUN_NAME.source, maxLength: LONGEST_NAME },
  read: (text) => (text.length <= LONGEST_NAME && RUN_NAME.test(text) ? text : undefined),
};

const NAMESPACE_NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** A DNS-1123 label. https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ */
export const namespaceName: OptionKind<string> = {
  allowed: 'a namespace: lower case letters, digits and "-"',
  schema: { type: 'string', pattern: NAMESPACE_NAME.source, maxLength: 63 },
  read: (text) => (NAMESPACE_NAME.test(text) ? text : undefined),
};

const TASK_PATH = new RegExp(`^${RUN_NAME_TEXT}(/${RUN_NAME_TEXT})*$`);
/** Eight names, which is as deep as runs are followed. */
const LONGEST_TASK_PATH = 8 * 64 - 1;

/** The name of a task, behind those of the runs it is nested in: `test`, `deploy/test`. */
export const taskPath: OptionKind<string> = {
  allowed: 'names of lower case letters, digits, "-" and ".", joined by "/"',
  schema: { type: 'string', pattern: TASK_PATH.source, maxLength: LONGEST_TASK_PATH },
  read: (text) => (text.length <= LONGEST_TASK_PATH && TASK_PATH.test(text) ? text : undefined),
};

/** More values than any run has tasks. */
const LONGEST_LIST = 200;

function listOf<T>(kind: OptionKind<T>): OptionKind<readonly T[]> {
  return {
    allowed: `${kind.allowed}; several are separated by commas`,
    schema: { type: 'array', items: kind.schema, minItems: 1, maxItems: LONGEST_LIST },
    read(text) {
      const values = text.split(',').map((each) => kind.read(each.trim()));
      if (values.length > LONGEST_LIST || values.includes(undefined)) return undefined;
      return values as readonly T[]; // none is undefined, as the line above made sure
    },
  };
}

/**
 * The run that a path names: `/:name` in the default namespace, or `/:namespace/:name`. Faults: `bad-request` with the
 * listener's sentence where the name can be no PipelineRun's (DNS-1123 subdomain of at most 63 characters).
 */
export function runRef(params: PathParams, defaultNamespace: string): ObjectRef {
  return objectRef(params, defaultNamespace, 'Invalid pipeline RunID');
}

/** The TaskRun that a path names, as `runRef`. Tekton's rules for its name are the same. */
export function taskRunRef(params: PathParams, defaultNamespace: string): ObjectRef {
  return objectRef(params, defaultNamespace, 'Invalid TaskRun name');
}

/** The trigger that a path names, which always says its namespace. Fault `bad-request` where the name can be none. */
export function triggerRef({ namespace, trigger }: PathParams): ObjectRef {
  const name = typeof trigger === 'string' ? longObjectName.read(trigger) : undefined;
  const ref = { namespace: namespaceOf({ namespace }), name: name ?? '' };
  if (name === undefined) throw new Fault('bad-request', 'Invalid PipelineTrigger name');
  return ref;
}

/** The hook that a path names. Fault `bad-request` where it can be none. */
export function hookRef({ namespace, hook }: PathParams): ObjectRef {
  const name = typeof hook === 'string' ? longObjectName.read(hook) : undefined;
  const ref = { namespace: namespaceOf({ namespace }), name: name ?? '' };
  if (name === undefined) throw new Fault('bad-request', 'Invalid name of a hook');
  return ref;
}

/** The namespace that a path names. Fault `bad-request` where it can be none. */
export function namespaceOf({ namespace }: PathParams): string {
  if (typeof namespace !== 'string' || !NAMESPACE_NAME.test(namespace))
    throw new Fault('bad-request', 'Invalid namespace');
  return namespace;
}

/** Segments of a path by name, as Express reads them. */
export type PathParams = Readonly<Record<string, string | readonly string[] | undefined>>;

function objectRef(params: PathParams, defaultNamespace: string, invalid: string): ObjectRef {
  const { name, namespace = defaultNamespace } = params;
  const ref = { namespace: namespaceOf({ namespace }), name: typeof name === 'string' ? name : '' };
  if (!isRunName(ref.name)) throw new Fault('bad-request', invalid);
  return ref;
}

function isRunName(text: string): boolean {
  return text.length <= 63 && RUN_NAME.test(text);
}

/** As JSON would show it, so that invisible characters are seen, and no longer than a line. */
function shown(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}...` : text);
}
