/** One question to the log endpoint, and what its answer means when it is no log. */
import type { StreamAnswer } from './client.ts';
import type { ReadLine } from './splitter.ts';

const LONGEST_ERROR_BYTES = 4_096;

/** Which lines of what exists. Not sent again once something was delivered. */
export interface LogRange {
  readonly tailLines?: number;
  /** RFC 3339; the API server drops fractions of a second. */
  readonly sinceTime?: string;
}

/** The path and query of one read. https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#get-read-log-of-the-specified-pod */
export function logPath(
  where: { readonly namespace: string; readonly pod: string; readonly container: string },
  query: { readonly follow?: boolean } & LogRange,
): string {
  const search = new URLSearchParams({ container: where.container, timestamps: 'true' });
  if (query.follow === true) search.set('follow', 'true');
  if (query.sinceTime !== undefined) search.set('sinceTime', query.sinceTime);
  if (query.tailLines !== undefined) search.set('tailLines', String(query.tailLines));
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
export async function refusalOf(answer: StreamAnswer): Promise<LogRefusal> {
  const { status } = answer;
  const retryAfter = Number(answer.headers['retry-after']);
  const text = status === 400 ? await errorText(answer) : '';
  answer.body.destroy();
  if (status === 204) return { ended: 'not-started', text: '' };
  if (status === 400)
    return /is waiting to start/.test(text) ? { ended: 'not-started', text } : { ended: 'refused', text };
  if (status === 403) return { ended: 'forbidden' };
  if (status === 404) return { ended: 'no-pod' };
  return { ended: 'busy', retryAfterMs: Number.isFinite(retryAfter) ? retryAfter * 1000 : undefined };
}

async function errorText(answer: StreamAnswer): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer.body as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= LONGEST_ERROR_BYTES) break;
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
