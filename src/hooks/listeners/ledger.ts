/**
 * What listeners have made runs for, kept in the cluster: runs are pruned and deleted, and a delivery that comes again must not start
 * another one then. One ConfigMap for each trigger, written by any replica that serves hooks; the API server refuses a write when
 * somebody else has written since, and it is then made anew from what is there.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../../clock.ts';
import { Fault, faultOf } from '../../fault.ts';
import type { KubeReader } from '../../kube/client.ts';
import { type JsonObject, numberOf, objectOf, stringOf, stringsOf } from '../../kube/objects.ts';
import { type KubeWriter, WriteFault } from '../../kube/writer.ts';
import type { Part } from '../../lifecycle.ts';
import type { Log } from '../../log.ts';
import type { LedgerEntry, ListenerWorld } from './world.ts';

/** The ledgers of all triggers. As a part: `stop` writes, within its deadline, what is still to be written. */
export interface Ledger extends Part {
  /**
   * What is entered for a source and revision, as it was a second ago at most, with what this process has entered since. Faults:
   * `unavailable`, `timeout`: the ledger cannot be read, so nobody knows what stands in it.
   */
  readonly known: ListenerWorld['known'];
  /**
   * Enters a run that is there. Waits for nothing: it is written soon, and tried again until it has been taken; should this process end
   * before, the run itself still says what it was made for. What stands there already costs nothing.
   */
  enter(entry: LedgerEntry): void;
}

/** What ledgers are made of. */
export interface LedgerParts {
  /** Not behind a fence: every replica writes. */
  readonly client: Pick<KubeReader, 'get'> & Pick<KubeWriter, 'create' | 'patch'>;
  readonly clock: Clock;
  /** In [0, 1), so that replicas that met do not meet again. */
  readonly random: () => number;
  readonly log: Log;
}

/** One run that was made. */
export interface LedgerLine {
  readonly keyHash: string;
  readonly revision: string;
  readonly epoch: number;
  /** When it was entered, RFC 3339. */
  readonly at: string;
}

/** The lines of each source, the latest last, by the key of the ConfigMap that stands for the source. */
export type LedgerLines = ReadonlyMap<string, readonly LedgerLine[]>;

/** A ledger as the API server had it. */
interface View {
  /** Undefined: there was no such ConfigMap. */
  readonly resourceVersion: string | undefined;
  readonly lines: LedgerLines;
  readonly readAt: number;
}

/** A line on its way into a ledger. */
interface Entered {
  readonly key: string;
  readonly line: LedgerLine;
}

/** What this process knows of one ledger. */
interface Book {
  readonly namespace: string;
  readonly id16: string;
  readonly triggerId: string;
  view?: View | undefined;
  /** Entered here, and not known to be written. */
  waiting: readonly Entered[];
  /** Writes that were taken: a read that began before one of them tells less. */
  writes: number;
  reading?: Promise<View> | undefined;
  writing?: Promise<void> | undefined;
}

type Whose = Omit<LedgerEntry, 'epoch' | 'keyHash'>;

/** Deliveries of one moment share a read. Whoever knows less than another replica for so long still finds the run itself. */
const FRESH_MS = 1_000;
/** Runs of one moment share a write. */
const GATHER_MS = 100;
const CALL_MS = 2_000;
/** Of a source. */
const MOST_LINES = 50;
/** A ConfigMap may have 1 MiB with all that belongs to it. */
const LARGEST_BYTES = 512 * 1024;
const LONGEST_REVISION = 256;
const MOST_BOOKS = 1_000;
const MOST_WAITING = 1_000;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 30_000;
/** What is refused as it is will be refused again, until somebody changes a role or a quota. */
const REFUSED_MS = 60_000;
/** Of a part that is to stop. */
const LAST_TRIES = 3;

/** Makes the ledgers. Nothing is read or written before it is asked for. */
export function createLedger({ client, clock, random, log }: LedgerParts): Ledger {
  /** The one that was asked for longest ago is first. */
  const books = new Map<string, Book>();
  /** From then on nothing is waited for but the API server. */
  const closing = new AbortController();
  const stopping = new AbortController();

  const bookOf = ({ namespace, triggerId16: id16, triggerId }: Whose): Book => {
    const id = `${namespace}/${id16}`;
    const book: Book = books.get(id) ?? { namespace, id16, triggerId, waiting: [], writes: 0 };
    books.delete(id);
    books.set(id, book);
    for (const [oldest, { reading, writing }] of books) {
      if (books.size <= MOST_BOOKS) break;
      if (reading === undefined && writing === undefined && oldest !== id) books.delete(oldest);
    }
    return book;
  };

  const read = async (book: Book): Promise<View> => {
    const { writes } = book;
    const readAt = clock.steady();
    const object = await client.get(pathOf(book), { timeoutMs: CALL_MS }).catch((error: unknown) => {
      if (faultOf(error).code !== 'not-found') throw error;
    });
    if (book.writes === writes || book.view === undefined) book.view = viewOf(object ?? undefined, readAt);
    return book.view;
  };

  const fresh = (book: Book): Promise<View> => {
    const { view } = book;
    if (view !== undefined && clock.steady() - view.readAt < FRESH_MS) return Promise.resolve(view);
    book.reading ??= read(book).finally(() => {
      book.reading = undefined;
    });
    return book.reading;
  };

  /** Writes lines, unless they stand there. Faults as of the client; `conflict` where somebody else has written since. */
  const write = async (book: Book, entered: readonly Entered[]): Promise<void> => {
    const view = book.view ?? (await read(book));
    const changed = changesOf(view.lines, entered);
    if (changed.size === 0) return;
    const { resourceVersion } = view;
    const data = Object.fromEntries(changed);
    const sentAt = clock.steady();
    const options = { signal: stopping.signal, timeoutMs: CALL_MS };
    const object =
      resourceVersion === undefined
        ? await client.create(collectionOf(book), configMapOf(book, data), options)
        : await client.patch(pathOf(book), { metadata: { resourceVersion }, data }, options);
    book.writes += 1;
    book.view = viewOf(object, sentAt);
  };

  /** Writes what waits until nothing does, or until it cannot be written any more. */
  const writeAll = async (book: Book): Promise<void> => {
    let failures = 0;
    let lastTries = LAST_TRIES;
    while (book.waiting.length > 0) {
      await clock.sleep(GATHER_MS, closing.signal);
      const { waiting } = book;
      try {
        await write(book, waiting);
        book.waiting = book.waiting.filter((each) => !waiting.includes(each));
        failures = 0;
      } catch (error) {
        const fault = faultOf(error);
        const isNamespaceGone = fault.code === 'not-found' && book.view?.resourceVersion === undefined;
        book.view = undefined; // whoever wrote first is read first
        if (closing.signal.aborted) lastTries -= 1;
        if (isNamespaceGone || lastTries === 0 || stopping.signal.aborted) {
          tellOf(book, fault, 'a ledger was not written');
          book.waiting = [];
          return;
        }
        failures += 1;
        // That somebody wrote first is how it goes, and an outage is told once.
        if (failures === 1 && fault.code !== 'conflict') tellOf(book, fault, 'a ledger is not written yet');
        await clock.sleep(pauseMs(fault, failures, random), closing.signal);
      }
    }
  };

  const tellOf = ({ namespace, triggerId: trigger, waiting }: Book, fault: Fault, message: string) => {
    const said = fault instanceof WriteFault ? fault.said : undefined;
    log.warn(message, { namespace, trigger, entries: waiting.length, problem: fault.message, said });
  };

  const startWriting = (book: Book): void => {
    book.writing ??= writeAll(book).finally(() => {
      book.writing = undefined;
      if (book.waiting.length > 0) startWriting(book); // entered between the last look and here
    });
  };

  return {
    name: 'ledger',
    async start() {},
    async stop(signal) {
      closing.abort();
      const letGo = () => stopping.abort(signal.reason);
      if (signal.aborted) letGo();
      else signal.addEventListener('abort', letGo, { once: true });
      await Promise.all([...books.values()].map(({ writing }) => writing));
      signal.removeEventListener('abort', letGo);
    },
    async known(entry) {
      const book = bookOf(entry);
      const { lines } = await fresh(book).catch((cause: unknown) => {
        const { code } = faultOf(cause);
        if (code === 'unavailable' || code === 'timeout') throw cause;
        throw new Fault('unavailable', `the ledger of ${entry.triggerId} cannot be read`, { cause });
      });
      const key = keyOf(entry.source);
      const revision = shortened(entry.revision);
      const all = withLines(lines, book.waiting).get(key) ?? [];
      const epochs = all.filter((line) => line.revision === revision).map(({ epoch }) => epoch);
      if (epochs.length === 0) return undefined;
      return { epoch: Math.max(...epochs), isLatest: all.at(-1)?.revision === revision };
    },
    enter(entry) {
      const { source, keyHash, epoch } = entry;
      const book = bookOf(entry);
      const key = keyOf(source);
      if (
        withLines(book.view?.lines ?? new Map(), book.waiting)
          .get(key)
          ?.some((line) => line.keyHash === keyHash)
      ) {
        return;
      }
      const at = new Date(clock.now()).toISOString();
      const line = { keyHash, revision: shortened(entry.revision), epoch, at };
      book.waiting = [...book.waiting.slice(1 - MOST_WAITING), { key, line }];
      startWriting(book);
    },
  };
}

/** The lines with those that were entered behind them: each once, and of each source the latest. */
export function withLines(lines: LedgerLines, entered: readonly Entered[]): LedgerLines {
  if (entered.length === 0) return lines;
  const all = new Map(lines);
  for (const { key, line } of entered) {
    const before = all.get(key) ?? [];
    if (before.some(({ keyHash }) => keyHash === line.keyHash)) continue;
    all.set(key, [...before.slice(1 - MOST_LINES), line]);
  }
  return all;
}

/** What the data of a ConfigMap becomes when lines are entered: new texts by key, null for what goes. Sources that were silent longest go first. */
export function changesOf(lines: LedgerLines, entered: readonly Entered[]): ReadonlyMap<string, string | null> {
  const all = withLines(lines, entered);
  const changed = new Map<string, string | null>();
  let bytes = 0;
  for (const [key, of] of all) {
    const text = textOf(of);
    bytes += Buffer.byteLength(key) + Buffer.byteLength(text);
    if (of !== lines.get(key)) changed.set(key, text);
  }
  const silentFirst = [...all].sort(([, one], [, other]) => compare(lastOf(one), lastOf(other)));
  for (const [key, of] of silentFirst) {
    if (bytes <= LARGEST_BYTES || changed.has(key)) continue;
    bytes -= Buffer.byteLength(key) + Buffer.byteLength(textOf(of));
    changed.set(key, null);
  }
  return changed;
}

function lastOf(lines: readonly LedgerLine[]): string {
  return lines.at(-1)?.at ?? '';
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

/** JSON, a line each: readable with `kubectl get -o yaml`, and one that was spoilt spoils no other. */
function textOf(lines: readonly LedgerLine[]): string {
  return lines.map((line) => `${JSON.stringify(line)}\n`).join('');
}

/** The lines of a ConfigMap. What is no line reads as absent. Never throws. */
export function linesIn(configMap: JsonObject): LedgerLines {
  const data = Object.entries(stringsOf(configMap.data));
  return new Map(data.map(([key, text]) => [key, text.split('\n').flatMap(lineIn)]));
}

function lineIn(text: string): readonly LedgerLine[] {
  if (text === '') return [];
  try {
    const raw = objectOf(JSON.parse(text));
    const [keyHash, revision, at] = [stringOf(raw.keyHash), stringOf(raw.revision), stringOf(raw.at)];
    if (keyHash === undefined || revision === undefined) return [];
    return [{ keyHash, revision, epoch: numberOf(raw.epoch) ?? 0, at: at ?? '' }];
  } catch {
    return [];
  }
}

function viewOf(configMap: JsonObject | undefined, readAt: number): View {
  if (configMap === undefined) return { resourceVersion: undefined, lines: new Map(), readAt };
  const resourceVersion = stringOf(objectOf(configMap.metadata).resourceVersion);
  return { resourceVersion, lines: linesIn(configMap), readAt };
}

function configMapOf({ id16, triggerId }: Book, data: JsonObject): JsonObject {
  const labels = { 'app.kubernetes.io/managed-by': 'rungate', 'rungate.dev/ledger': id16 };
  const metadata = { name: nameOf(id16), labels, annotations: { 'rungate.dev/trigger': triggerId } };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data };
}

function nameOf(id16: string): string {
  return `ledger-${id16}`;
}

function collectionOf({ namespace }: Book): string {
  return `/api/v1/namespaces/${namespace}/configmaps`;
}

function pathOf(book: Book): string {
  return `${collectionOf(book)}/${nameOf(book.id16)}`;
}

/** A source as a key of a ConfigMap. https://kubernetes.io/docs/concepts/configuration/configmap/#configmap-object */
function keyOf(source: string): string {
  if (source === '') return 'deliveries';
  return /^[-._a-zA-Z0-9]{1,128}$/.test(source) ? source : hashOf(source);
}

/** What is long is known by its hash. */
function shortened(revision: string): string {
  return revision.length <= LONGEST_REVISION ? revision : `sha256:${hashOf(revision)}`;
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function pauseMs({ code, retryAfterMs = 0 }: Fault, failures: number, random: () => number): number {
  if (code === 'conflict' || code === 'not-found')
    return Math.round(random() * FIRST_RETRY_MS * Math.min(failures, 10));
  if (code === 'refused') return REFUSED_MS;
  const backoffMs = FIRST_RETRY_MS * 2 ** Math.min(failures, 20);
  return Math.min(LONGEST_RETRY_MS, Math.max(backoffMs, retryAfterMs));
}
