/** One question to the log endpoint, and what its answer means when it is no log. */
import type { Clock } from '../clock.ts';
import { parseRetryAfter, type StreamAnswer } from './answers.ts';
import type { KubeReader } from './client.ts';
import { LineSplitter, type ReadLine } from './splitter.ts';

const LONGEST_ERROR_BYTES = 4_096;
/** The body of a refusal is waited for this long; its status says most of it. */
const REFUSAL_MS = 5_000;
/** How long the question for the last line may take. */
const LAST_LINE_MS = 10_000;
/** Of the answer to it: nothing that large is one record of any runtime. */
const LAST_LINE_BYTES = 1024 * 1024;
/** However long a server asks us to wait: it may be back long before. */
const LONGEST_RETRY_AFTER_MS = 60_000;

/** Whose log. */
export interface LogPlace {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

/** Which lines of what exists. Not sent again once something was delivered. */
export interface LogRange {
  readonly tailLines?: number;
  /** RFC 3339; the API server drops fractions of a second. */
  readonly sinceTime?: string;
}

/** The path and query of one read. https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#get-read-log-of-the-specified-pod */
export function logPath(
  where: LogPlace,
  query: { readonly follow?: boolean; readonly previous?: boolean; readonly limitBytes?: number } & LogRange,
): string {
  const search = new URLSearchParams({ container: where.container, timestamps: 'true' });
  if (query.follow === true) search.set('follow', 'true');
  if (query.previous === true) search.set('previous', 'true');
  if (query.sinceTime !== undefined) search.set('sinceTime', query.sinceTime);
  if (query.tailLines !== undefined) search.set('tailLines', String(query.tailLines));
  if (query.limitBytes !== undefined) search.set('limitBytes', String(query.limitBytes));
  return `/api/v1/namespaces/${encodeURIComponent(where.namespace)}/pods/${encodeURIComponent(where.pod)}/log?${search}`;
}

/** An answer that is not 200, in a word. */
export type LogRefusal =
  | { readonly ended: 'not-started'; readonly text: string } // 204, or 400 "waiting to start"
  | { readonly ended: 'refused'; readonly text: string } // any other 400
  | { readonly ended: 'forbidden' }
  | { readonly ended: 'no-pod' }
  | { readonly ended: 'busy'; readonly retryAfterMs: number | undefined }; // 401, 410, 429, 5xx

/** Reads the body of an answer that is not 200 and says what it means for the reading. */
export async function refusalOf(answer: StreamAnswer, clock: Clock): Promise<LogRefusal> {
  const { status } = answer;
  const retryAfterMs = parseRetryAfter(answer.headers['retry-after'], clock.now());
  const text = status === 400 ? await errorText(answer, clock) : '';
  answer.body.destroy();
  if (status === 204) return { ended: 'not-started', text: '' };
  if (status === 400)
    return /is waiting to start/.test(text) ? { ended: 'not-started', text } : { ended: 'refused', text };
  if (status === 403) return { ended: 'forbidden' };
  if (status === 404) return { ended: 'no-pod' };
  return {
    ended: 'busy',
    retryAfterMs: retryAfterMs === undefined ? undefined : Math.min(retryAfterMs, LONGEST_RETRY_AFTER_MS),
  };
}

/** The last line of a log. `isOpen`: its line feed has not been written yet. */
export interface LastLine {
  readonly line: ReadLine;
  readonly isOpen: boolean;
}

/**
 * Asks for the last line of a log; where a line was written in several records, that is the last of them. `empty`: there is
 * none. `unknown`: the question was not answered; whoever reads the log next meets the same trouble and deals with it.
 */
export async function askLastLine(
  { reader, clock, signal, ...where }: LogPlace & LogAsking,
  query: LogRange,
): Promise<LastLine | 'empty' | 'unknown'> {
  const patience = new AbortController();
  const stop = () => patience.abort();
  signal.addEventListener('abort', stop, { once: true });
  void clock.sleep(LAST_LINE_MS, patience.signal).then(stop);
  try {
    const tailLines = Math.min(1, query.tailLines ?? 1);
    const path = logPath(where, { ...query, tailLines, limitBytes: LAST_LINE_BYTES });
    const answer = await reader.stream(path, { signal: patience.signal });
    if (answer.status !== 200) {
      answer.body.destroy();
      return 'unknown';
    }
    const splitter = new LineSplitter();
    const lines: ReadLine[] = [];
    for await (const chunk of answer.body as AsyncIterable<Buffer>) lines.push(...splitter.push(chunk));
    const rest = splitter.end();
    const line = rest[0] ?? lines[0];
    if (line === undefined) return 'empty';
    return lines.length + rest.length > 1 ? 'unknown' : { line, isOpen: rest.length > 0 };
  } catch {
    return 'unknown';
  } finally {
    stop();
    signal.removeEventListener('abort', stop);
  }
}

/** What it takes to ask. */
export interface LogAsking {
  readonly reader: KubeReader;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

async function errorText(answer: StreamAnswer, clock: Clock): Promise<string> {
  const patience = new AbortController();
  void clock.sleep(REFUSAL_MS, patience.signal).then(() => answer.body.destroy());
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size >= LONGEST_ERROR_BYTES) break;
    }
  } catch {
    // What came before it broke off is what there is to say.
  } finally {
    patience.abort();
  }
  const body = Buffer.concat(chunks).toString('utf8').slice(0, LONGEST_ERROR_BYTES);
  try {
    const status: unknown = JSON.parse(body);
    if (typeof status === 'object' && status !== null && 'message' in status) return String(status.message);
  } catch {
    // Not a Status: the text itself is what there is to say.
  }
  return body;
}

/**
 * Tells an error of the kubelet's from a log: asked for timestamps, genuine text begins with one, so a body that is one
 * line without is an error that came with a 200 (https://github.com/kubernetes/kubernetes/issues/142258).
 */
export class FirstLineDoor {
  #first: ReadLine | undefined;
  #passed = false;

  /** Passes lines on; the first waits for the second while it may be all there is. */
  admit(lines: readonly ReadLine[]): readonly ReadLine[] {
    if (this.#passed || lines.length === 0) return lines;
    const all = this.#first === undefined ? lines : [this.#first, ...lines];
    const [head] = all;
    if (all.length === 1 && head !== undefined && !head.stamped && head.part === 'whole') {
      this.#first = head;
      return [];
    }
    this.#passed = true;
    this.#first = undefined;
    return all;
  }

  /** Passes on the last lines, unless everything there was is an error: then its text. */
  close(rest: readonly ReadLine[]): { readonly lines: readonly ReadLine[]; readonly notLog?: string } {
    const lines = this.admit(rest);
    return this.#first === undefined ? { lines } : { lines: [], notLog: textOf(this.#first) };
  }
}

function textOf(line: ReadLine): string {
  return line.text.toString('utf8').slice(0, LONGEST_ERROR_BYTES);
}
