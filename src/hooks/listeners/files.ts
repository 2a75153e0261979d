/**
 * The objects of listeners as files in a folder: for clusters that do not have the kinds of Tekton Triggers, and for whoever keeps them
 * beside the deployment. Read again when they change. What a file has takes the place of what the cluster has under the same name.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Document, LineCounter, parseAllDocuments } from 'yaml';
import type { Clock } from '../../clock.ts';
import { Fault } from '../../fault.ts';
import { type JsonObject, listOf, type ObjectRef, objectOf, stringOf } from '../../kube/objects.ts';
import type { Part } from '../../lifecycle.ts';
import type { Log } from '../../log.ts';
import type { Metrics } from '../../metrics.ts';
import {
  LISTENER_VERSIONS,
  type ListenerKind,
  type ListenerObject,
  type ListenerObjectOf,
  listenerKindOf,
  projectListenerObject,
  TRIGGERS_GROUP,
} from './manifests.ts';
import type { ListenerShelf } from './shelf.ts';

/** What reading files takes. */
export interface ListenerFilesParts extends FilesGround {
  readonly folder: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'reload'>;
}

/** What a file leaves open. */
export interface FilesGround {
  /** Where an object belongs that names no namespace. */
  readonly defaultNamespace: string;
  readonly served: '*' | readonly string[];
}

/** A file that was read. */
export interface ReadFile {
  readonly name: string;
  readonly text: string;
}

/** What files come to, or all that is wrong with them: a sentence each, with the file and the document. */
export type ReadManifests =
  | { readonly ok: true; readonly objects: readonly ListenerObject[]; readonly leftOut: readonly string[] }
  | { readonly ok: false; readonly mistakes: readonly string[] };

/** How often the folder is looked at. Watching it would miss what network and overlay file systems do not tell. */
const LOOK_MS = 2_000;
/** A change is taken when the folder is still the same after this: a ConfigMap changes file by file. */
const SETTLE_MS = 250;
const MOST_FILES = 200;
const LARGEST_FILE_BYTES = 1024 * 1024;
const LARGEST_FOLDER_BYTES = 8 * 1024 * 1024;
/** Mistakes that are logged of one version. */
const MOST_TOLD = 20;

/**
 * Makes the shelf of a folder. `start` reads it and rejects with Fault `bad-request` when something is wrong with it, a mistake a line;
 * from then on a version with a mistake leaves the one before in use, as a whole: files name each other.
 */
export function createListenerFiles(parts: ListenerFilesParts): ListenerShelf & Part {
  const { folder, clock, log, metrics } = parts;
  const stopped = new AbortController();
  const listeners: (() => void)[] = [];
  let shelf: ReadonlyMap<string, ListenerObject> = new Map();
  let seen = '';

  const take = (read: ReadManifests & { readonly ok: true }): void => {
    shelf = new Map(read.objects.map((object) => [idOf(object.kind, object.meta), object]));
    for (const note of read.leftOut.slice(0, MOST_TOLD)) log.info('a document of HOOKS_DIR is left out', { note });
    for (const listener of listeners) listener();
  };

  /** Reads a version that was not seen before; undefined: it is the same, or changes still. */
  const readChanged = async (): Promise<ReadManifests | undefined> => {
    const version = await versionOf(folder);
    if (version === seen) return undefined;
    await clock.sleep(SETTLE_MS, stopped.signal);
    const read = await readFolder(folder, parts);
    if (stopped.signal.aborted || (await versionOf(folder)) !== version) return undefined;
    seen = version;
    return read;
  };

  const watch = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(LOOK_MS, stopped.signal);
      if (stopped.signal.aborted) return;
      const read = await readChanged();
      if (read === undefined) continue;
      metrics.reload('HOOKS_DIR', read.ok ? 'taken' : 'refused');
      if (read.ok) {
        log.info('a changed folder was taken', { setting: 'HOOKS_DIR', objects: read.objects.length });
        take(read);
        continue;
      }
      for (const mistake of read.mistakes.slice(0, MOST_TOLD)) {
        log.error('a changed folder was not taken; the version before stays in use', { setting: 'HOOKS_DIR', mistake });
      }
    }
  };

  return {
    name: 'listener files',
    // The key holds the kind; TypeScript does not follow that.
    get: <K extends ListenerKind>(kind: K, ref: ObjectRef) =>
      shelf.get(idOf(kind, ref)) as ListenerObjectOf[K] | undefined,
    *all<K extends ListenerKind>(kind: K) {
      for (const object of shelf.values()) if (object.kind === kind) yield object as ListenerObjectOf[K];
    },
    onChange: (listener) => void listeners.push(listener),
    async start() {
      seen = await versionOf(folder);
      const read = await readFolder(folder, parts);
      if (!read.ok) throw new Fault('bad-request', read.mistakes.join('\n'));
      metrics.reload('HOOKS_DIR', 'taken');
      take(read);
      void watch();
    },
    stop: async () => stopped.abort(),
  };
}

/** Changes with whatever may have changed; never throws. A file that a ConfigMap brings is another one with each version. */
async function versionOf(folder: string): Promise<string> {
  try {
    const names = await namesIn(folder);
    const found = await Promise.all(names.slice(0, MOST_FILES + 1).map((name) => stat(join(folder, name))));
    return JSON.stringify(found.map(({ ino, size, mtimeMs }, place) => [names[place], ino, size, mtimeMs]));
  } catch (error) {
    return String(error);
  }
}

/** The files that count, in order. What begins with a dot is how a ConfigMap is mounted. */
async function namesIn(folder: string): Promise<readonly string[]> {
  return (await readdir(folder)).filter((name) => /^[^.].*\.ya?ml$/.test(name)).sort();
}

async function readFolder(folder: string, ground: FilesGround): Promise<ReadManifests> {
  const wrong = (mistake: string) => ({ ok: false, mistakes: [`HOOKS_DIR ${mistake}`] }) as const;
  try {
    const names = await namesIn(folder);
    if (names.length > MOST_FILES) return wrong(`has ${names.length} files, and may have ${MOST_FILES}`);
    const files: ReadFile[] = [];
    let bytes = 0;
    for (const name of names) {
      const found = await stat(join(folder, name));
      if (!found.isFile()) return wrong(`has ${name}, which is no file`); // a pipe would never be read to its end
      if (found.size > LARGEST_FILE_BYTES) return wrong(`has ${name} of more than ${LARGEST_FILE_BYTES} bytes`);
      bytes += found.size;
      if (bytes > LARGEST_FOLDER_BYTES) return wrong(`has more than ${LARGEST_FOLDER_BYTES} bytes in its files`);
      files.push({ name, text: await readFile(join(folder, name), 'utf8') });
    }
    return readManifests(files, ground);
  } catch (error) {
    return wrong(`cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/**
 * Reads manifests of YAML, of which a file may have many. Objects of other kinds are left out; one of a version that is not read, of a
 * namespace that is not served, or of a name that another one has, is a mistake. Pure.
 */
export function readManifests(files: readonly ReadFile[], ground: FilesGround): ReadManifests {
  const objects = new Map<string, ListenerObject>();
  const places = new Map<string, string>();
  const mistakes: string[] = [];
  const leftOut: string[] = [];
  for (const { at, object } of files.flatMap((file) => documentsOf(file, mistakes))) {
    const kind = listenerKindOf(object);
    if (kind === undefined) {
      const isOfGroup = (stringOf(object.apiVersion) ?? '').startsWith(`${TRIGGERS_GROUP}/`);
      const versions = LISTENER_VERSIONS.join(' or ');
      if (isOfGroup) mistakes.push(`${at} is of a kind or version that is not read; write one of ${versions}`);
      else leftOut.push(`${at} is no object of ${TRIGGERS_GROUP}`);
      continue;
    }
    const placed = placedIn(kind, object, ground);
    if (typeof placed === 'string') mistakes.push(`${at} ${placed}`);
    else {
      const projected = projectListenerObject(kind, placed);
      const id = idOf(kind, projected.meta);
      const before = places.get(id);
      if (before !== undefined) mistakes.push(`${at} is the ${kind} that ${before} is; leave out the one or the other`);
      places.set(id, at);
      objects.set(id, projected);
    }
  }
  return mistakes.length > 0 ? { ok: false, mistakes } : { ok: true, objects: [...objects.values()], leftOut };
}

/** The objects in a file, those of lists each for itself. Empty documents are none. */
function documentsOf(
  { name, text }: ReadFile,
  mistakes: string[],
): readonly { readonly at: string; readonly object: JsonObject }[] {
  const counter = new LineCounter();
  const documents = parseAllDocuments(text.replace(/^\uFEFF/, ''), {
    lineCounter: counter,
    prettyErrors: false,
    merge: true,
  });
  // Of a text without any document it is one that is empty, and has no errors.
  return [...documents].flatMap((document, place) => {
    const at = `${name} document ${place + 1}`;
    const { errors } = document;
    for (const { message, pos } of errors) {
      mistakes.push(`${at}, line ${counter.linePos(pos[0]).line}: is not YAML that rungate reads: ${message}`);
    }
    const raw = errors.length > 0 ? undefined : contentOf(document, at, mistakes);
    if (raw === undefined) return [];
    if (raw.kind !== 'List') return [{ at, object: raw }];
    return listOf(raw.items).map((item, index) => ({ at: `${at}, item ${index + 1}`, object: objectOf(item) }));
  });
}

function contentOf(document: Document.Parsed, at: string, mistakes: string[]): JsonObject | undefined {
  try {
    // The library ends what grows by aliases of aliases.
    const value: unknown = document.toJS({ maxAliasCount: 100 });
    if (value === null || value === undefined) return undefined;
    if (typeof value === 'object' && !Array.isArray(value)) return value as JsonObject; // whatever YAML has, JSON has
    mistakes.push(`${at} is no object`);
  } catch (error) {
    mistakes.push(`${at} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  return undefined;
}

const NAME = /^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/;
const NAMESPACE = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

/** The object with what an API server would have given it, or what is wrong with where it says that it is. */
function placedIn(kind: ListenerKind, raw: JsonObject, { defaultNamespace, served }: FilesGround): JsonObject | string {
  const metadata = objectOf(raw.metadata);
  const name = stringOf(metadata.name) ?? '';
  const namespace = kind === 'ClusterTriggerBinding' ? '' : (stringOf(metadata.namespace) ?? defaultNamespace);
  if (!NAME.test(name)) return 'has no metadata.name that an object can have';
  if (kind !== 'ClusterTriggerBinding') {
    if (!NAMESPACE.test(namespace)) return 'has no metadata.namespace that there can be';
    if (served !== '*' && !served.includes(namespace)) {
      return `is in the namespace ${namespace}, which is not served; add it to NAMESPACES`;
    }
  }
  return { ...raw, metadata: { ...metadata, name, namespace, uid: uidOf(kind, { namespace, name }) } };
}

function idOf(kind: ListenerKind, { namespace, name }: ObjectRef): string {
  return `${kind}/${namespace}/${name}`;
}

/** The same for every replica and every start. https://www.rfc-editor.org/rfc/rfc9562#section-5.8 */
function uidOf(kind: ListenerKind, ref: ObjectRef): string {
  const hex = createHash('sha256').update(idOf(kind, ref)).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
