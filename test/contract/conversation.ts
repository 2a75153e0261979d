/** What a case does: it asks an API server, and what comes back is written down. */
import { isDeepStrictEqual } from 'node:util';
import type { Json } from '../../src/sandbox/object.ts';
import { eventually } from '../support/eventually.ts';
import { isObject, type Known, makeMask } from './mask.ts';
import { valueAt } from './show.ts';
import type { Answer, Lines, Sent, Target } from './target.ts';

/** One question and its answer, masked, as it lies in the recordings. */
export interface Exchange {
  readonly ask: string;
  readonly status: number;
  /** Those a client can rely on; left out where they are as for nearly every answer, see `usual`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** A Status that says no, without what is the same in each of them. */
  readonly failure?: Json;
  readonly body?: Json;
  /** Of a watch or a followed log: what came, in order. */
  readonly events?: readonly Json[];
}

/** How a patch says what it wants, by the last word of its content type. */
export type PatchType = 'json' | 'merge' | 'strategic' | 'apply';

/** What may accompany a question. */
export interface More extends Omit<Sent, 'body'> {
  /** The part of the body to write down, where the whole is long or somebody else's. */
  readonly show?: (body: Json) => Json | undefined;
}

/** An answer with a way to reach into it. */
export interface Told extends Answer {
  /** The text at a path: `metadata.uid`. Throws when there is none. */
  at(path: string): string;
}

/** Verbs. In paths and bodies `NS` stands for the suite's namespace and `GROUP` for its API group. */
export interface Verbs {
  get(path: string, more?: More): Promise<Told>;
  post(path: string, body: Json, more?: More): Promise<Told>;
  put(path: string, body: Json, more?: More): Promise<Told>;
  patch(path: string, type: PatchType, body: Json, more?: More): Promise<Told>;
  remove(path: string, body?: Json, more?: More): Promise<Told>;
}

/** A watch, or a log that is followed. */
export interface Stream {
  /** Waits for so many more events, and writes them down. Resolves with the last. */
  take(count: number): Promise<Json>;
  /** Takes events until one makes this true. */
  takeUntil(last: (event: Json) => boolean): Promise<Json>;
  /** Takes what comes until the server ends the answer. */
  takeAll(): Promise<void>;
}

/** A case's side of the conversation: every question asked here is written down with its answer. */
export interface Conversation extends Verbs {
  /** The same verbs for what only prepares the question: not written down, and an answer of 400 or more throws. */
  readonly given: Verbs;
  /** Any method. */
  ask(method: string, path: string, sent?: More & Sent): Promise<Told>;
  /** A GET whose answer comes in lines of JSON (or of text); ends with the case. */
  stream(path: string, more?: More): Promise<Stream>;
  /** Asks again, unrecorded, until the answer makes this true; resolves with it. */
  until(path: string, holds: (answer: Told) => boolean): Promise<Told>;
  /** The same, and writes that answer down: what is asked for once more could have changed again. */
  getWhen(path: string, holds: (answer: Told) => boolean, more?: More): Promise<Told>;
  /** A token of a service account of the suite's namespace, made with no rights unless it was there. */
  tokenOf(serviceAccount: string): Promise<string>;
  /** Writes `metadata.managedFields` down too. */
  keepManagedFields(): void;
}

/** The headers that clients act on. */
const headers = [
  'allow',
  'cache-control',
  'content-encoding',
  'content-type',
  'etag',
  'location',
  'retry-after',
  'vary',
  'warning',
  'www-authenticate',
];

const usual: Readonly<Record<string, string>> = {
  'cache-control': 'no-cache, private',
  'content-type': 'application/json',
};

const contentTypes: Readonly<Record<PatchType, string>> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
};

/** Begins a conversation. `end` closes what is open and answers what was written down. */
export function converse(target: Target, known: Known): { api: Conversation; end(): readonly Exchange[] } {
  const mask = makeMask(known);
  const exchanges: Exchange[] = [];
  const open: Lines[] = [];
  const fill = (text: string) =>
    text.replace(/(?:\b|(?<=%3D))NS\b/g, known.namespace).replace(/\bGROUP\b/g, known.group);

  async function send(method: string, path: string, { body, ...sent }: Sent): Promise<Told> {
    const filled =
      body === undefined
        ? {}
        : { body: typeof body === 'string' ? fill(body) : (JSON.parse(fill(JSON.stringify(body))) as Json) };
    const prefix = body === undefined ? undefined : valueAt(body, 'metadata.generateName');
    if (typeof prefix === 'string') mask.generates(prefix);
    const headers = Object.entries(sent.headers ?? {}).map(([name, value]) => [name, fill(value)]);
    const options = { ...sent, ...filled, headers: Object.fromEntries(headers) };
    const answer = await target.request(method, fill(path), options);
    return { ...answer, at: (way) => textAt(answer.body, way) };
  }

  function write(ask: string, { status, headers: all, body }: Answer, show: More['show']): void {
    const shown = body === undefined ? undefined : show ? show(body) : body;
    exchanges.push({
      ask: mask.path(ask),
      status,
      ...shownHeaders(all, (value) => mask.text(value)),
      ...(shown === undefined ? {} : failureOf(mask.json(shown), status)),
    });
  }

  async function ask(method: string, path: string, { show, ...sent }: More & Sent = {}): Promise<Told> {
    const answer = await send(method, path, sent);
    write(`${method} ${path}`, answer, show);
    return answer;
  }

  async function must(method: string, path: string, { show: _, ...sent }: More & Sent = {}): Promise<Told> {
    const answer = await send(method, path, sent);
    if (answer.status >= 400) throw new Error(`${method} ${fill(path)}: ${JSON.stringify(answer.body)}`);
    return answer;
  }

  async function tokenOf(name: string): Promise<string> {
    const metadata = { name };
    await send('POST', '/api/v1/namespaces/NS/serviceaccounts', { body: { metadata } });
    const path = `/api/v1/namespaces/NS/serviceaccounts/${name}/token`;
    return (await must('POST', path, { body: { spec: {} } })).at('status.token');
  }

  async function stream(path: string, more: More = {}): Promise<Stream> {
    const lines = await target.stream(fill(path), more);
    open.push(lines);
    const events: Json[] = [];
    exchanges.push({
      ask: mask.path(`GET ${path}`),
      status: lines.status,
      ...shownHeaders(lines.headers, (value) => mask.text(value)),
      events,
    });
    const one = async (): Promise<Json | undefined> => {
      const line = await lines.next();
      if (line === undefined) return undefined;
      const event = line.startsWith('{') ? (JSON.parse(line) as Json) : line;
      const shown = more.show ? more.show(event) : event;
      if (shown !== undefined) events.push(mask.json(shown));
      return event;
    };
    const takeUntil = async (last: (event: Json) => boolean): Promise<Json> => {
      for (;;) {
        const event = await one();
        if (event === undefined) throw new Error(`GET ${path} ended after ${JSON.stringify(events)}`);
        if (last(event)) return event;
      }
    };
    return {
      takeUntil,
      async take(count) {
        let left = count;
        return takeUntil(() => --left === 0);
      },
      async takeAll() {
        while ((await one()) !== undefined);
      },
    };
  }

  const until = (path: string, holds: (answer: Told) => boolean, sent: Sent = {}): Promise<Told> =>
    eventually(
      async () => {
        const answer = await send('GET', path, sent);
        if (!holds(answer)) throw new Error(`GET ${fill(path)} still says ${JSON.stringify(answer.body)}`);
        return answer;
      },
      { withinMs: target.name === 'real' ? 240_000 : 60_000 },
    );

  const api: Conversation = {
    ...verbs(ask),
    given: verbs(must),
    ask,
    stream,
    tokenOf,
    until: (path, holds) => until(path, holds),
    async getWhen(path, holds, { show, ...sent } = {}) {
      const answer = await until(path, holds, sent);
      write(`GET ${path}`, answer, show);
      return answer;
    },
    keepManagedFields() {
      mask.keepManagedFields = true;
    },
  };
  return {
    api,
    end() {
      for (const lines of open) lines.close();
      return exchanges;
    },
  };
}

function verbs(ask: (method: string, path: string, sent?: More & Sent) => Promise<Told>): Verbs {
  return {
    get: (path, more) => ask('GET', path, more),
    post: (path, body, more) => ask('POST', path, { ...more, body }),
    put: (path, body, more) => ask('PUT', path, { ...more, body }),
    patch: (path, type, body, more) =>
      ask('PATCH', path, { ...more, body, headers: { 'Content-Type': contentTypes[type], ...more?.headers } }),
    remove: (path, body, more) => ask('DELETE', path, { ...more, body }),
  };
}

/** Tells a refusal in short, but only one that is in no way special. */
function failureOf(body: Json, code: number): Pick<Exchange, 'failure' | 'body'> {
  if (!isObject(body)) return { body };
  const { message, reason, details, ...rest } = body;
  const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', code };
  return isDeepStrictEqual(rest, status)
    ? { failure: JSON.parse(JSON.stringify({ reason, message, details })) }
    : { body };
}

function shownHeaders(all: Answer['headers'], masked: (value: string) => string): Pick<Exchange, 'headers'> {
  const shown = headers.flatMap((name): [string, string][] => {
    const values = all[name];
    if (values === undefined || (values.length === 1 && values[0] === usual[name])) return [];
    // An ETag says no more than that there is one.
    return [[name, name === 'etag' ? 'ETAG' : masked(values.join(' | '))]];
  });
  return shown.length === 0 ? {} : { headers: Object.fromEntries(shown) };
}

function textAt(body: Json | undefined, path: string): string {
  const value = body === undefined ? undefined : valueAt(body, path);
  if (typeof value !== 'string') throw new Error(`no text at ${path} in ${JSON.stringify(body)}`);
  return value;
}
