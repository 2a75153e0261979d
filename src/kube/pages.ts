/** Long lists, page by page, each page as large as the event loop can take at a time. */
import { Fault } from '../fault.ts';
import type { KubeReader } from './client.ts';
import { type Json, listOf, objectOf, stringOf } from './objects.ts';

/** Which objects of a collection. */
export interface Selection {
  /** A label selector. */
  readonly labels?: string;
  /** A field selector; of Tekton's kinds only `metadata.name` can be asked for. */
  readonly fields?: string;
}

/** A part of a list. */
export interface Page {
  readonly items: readonly Json[];
  /** Where to watch from; the same for all pages of a list. */
  readonly resourceVersion: string;
}

/** What a page of the first size costs is not known: small enough for objects of 20 KB, large enough for few round trips. */
const FIRST_PAGE = 250;
const SMALLEST_PAGE = 10;
const LARGEST_PAGE = 2_000;
/** Everything else waits while a page is parsed, so long at most. */
const PARSE_MS = 12;
/** Below the API server's own 60 s: a list that takes longer is not going to come. */
const LIST_TIMEOUT_MS = 30_000;

/**
 * The pages of the list at `path` (an absolute path without query), of one snapshot. Faults: as `KubeReader.get`; `gone`
 * when the snapshot was forgotten before its last page: begin anew. Reading page by page is backpressure: the next page is
 * asked for when it is wanted.
 */
export async function* listPages(
  reader: KubeReader,
  path: string,
  { labels, fields, signal }: Selection & { readonly signal: AbortSignal },
): AsyncGenerator<Page, void> {
  let resourceVersion: string | undefined;
  let next: string | undefined;
  let size = FIRST_PAGE;
  do {
    const query = new URLSearchParams({ limit: String(size), ...selectionQuery({ labels, fields }) });
    if (next !== undefined) query.set('continue', next);
    let parseMs: number | undefined;
    const answer = await reader.get(`${path}?${query}`, {
      signal,
      timeoutMs: LIST_TIMEOUT_MS,
      parsed: (ms) => {
        parseMs = ms;
      },
    });
    const metadata = objectOf(answer.metadata);
    // The first page's: all are of one snapshot, and if a server's are not, the watch repeats rather than misses.
    resourceVersion ??= stringOf(metadata.resourceVersion);
    if (resourceVersion === undefined) throw new Fault('refused', `${path} is not a list`);
    const items = listOf(answer.items);
    yield { items, resourceVersion };
    next = stringOf(metadata.continue);
    if (parseMs !== undefined) size = nextPageSize({ size, items: items.length, parseMs });
  } while (next !== undefined);
}

/** A selection as query parameters. */
export function selectionQuery({
  labels,
  fields,
}: {
  readonly labels?: string | undefined;
  readonly fields?: string | undefined;
}): Readonly<Record<string, string>> {
  return {
    ...(labels === undefined ? {} : { labelSelector: labels }),
    ...(fields === undefined ? {} : { fieldSelector: fields }),
  };
}

/**
 * The size of the next page, from what the last one cost: it shrinks at once to what fits, and grows by a half at most,
 * because the objects of a collection are of many sizes. A page that was not full says nothing about larger ones.
 */
export function nextPageSize({
  size,
  items,
  parseMs,
}: {
  readonly size: number;
  readonly items: number;
  readonly parseMs: number;
}): number {
  if (items === 0) return size;
  const fitting = (items * PARSE_MS) / Math.max(parseMs, 0.1);
  const wanted = Math.min(fitting, size * 1.5);
  if (items < size && fitting > items) return size;
  return Math.round(Math.min(LARGEST_PAGE, Math.max(SMALLEST_PAGE, wanted)));
}
