/** Objects and lists as a client wants to see them: whole, as rows of a table, or their metadata alone. */
import { apiVersionOf, type Json, type JsonObject, type KubeObject } from '../object.ts';
import { StatusError } from '../status.ts';
import type { Kind, ServedVersion } from './kind.ts';
import type { MetaVersion, Representation } from './negotiate.ts';
import { partialObject, tableOf } from './table.ts';
import { shownAs } from './versions.ts';

/** What is shown. */
export interface Showing {
  readonly kind: Kind;
  readonly served: ServedVersion;
  readonly as: Representation;
  /** Milliseconds since the epoch, for ages. */
  readonly now: number;
  /** Whether a table names its columns; true unless told otherwise. */
  readonly withColumns?: boolean;
}

/** One object. Throws 406 for the metadata of a list. */
export function showObject(object: KubeObject, showing: Showing): JsonObject {
  const { kind, served, as } = showing;
  const shown = shownAs(object, kind, served.version);
  switch (as.kind) {
    case 'object':
      return shown as JsonObject;
    case 'table':
      return table([shown], { resourceVersion: shown.metadata.resourceVersion }, showing, as);
    case 'metadata':
      if (as.isList) throw mismatch('PartialObjectMetadataList', `is not a list (*${typeOf(kind, kind.kind)})`);
      return inVersion(partialObject(shown), as.version);
  }
}

/** A list with its `metadata`. Throws 406 for the metadata of one object. */
export function showList(objects: readonly KubeObject[], metadata: JsonObject, showing: Showing): JsonObject {
  const { kind, served, as } = showing;
  const shown = objects.map((object) => shownAs(object, kind, served.version));
  switch (as.kind) {
    case 'object': {
      const apiVersion = apiVersionOf({ group: kind.group, version: served.version });
      return { kind: kind.listKind, apiVersion, metadata, items: shown.map((object) => itemOf(object, kind)) };
    }
    case 'table':
      return table(shown, withoutEmptyContinue(metadata), showing, as);
    case 'metadata': {
      if (!as.isList) throw mismatch('PartialObjectMetadata', `is a list (*${typeOf(kind, kind.listKind)})`);
      const items = shown.map((object) => inVersion(partialObject(object), as.version));
      const list = {
        kind: 'PartialObjectMetadataList',
        apiVersion: 'meta.k8s.io/v1',
        metadata: withoutEmptyContinue(metadata),
      };
      return inVersion({ ...list, items }, as.version);
    }
  }
}

function table(
  objects: readonly KubeObject[],
  metadata: JsonObject,
  { kind, served, now, withColumns = true }: Showing,
  { include, version }: Extract<Representation, { kind: 'table' }>,
): JsonObject {
  const made = tableOf({ kind, served, objects, include, now, withColumns, metadata });
  if (version === 'v1' || !Array.isArray(made.rows)) return made;
  const rows = made.rows.map((row) => {
    const { object, ...cells } = row as { object: JsonObject | null }; // rows are objects, with what each is about
    return { ...cells, object: object !== null && include === 'Metadata' ? inVersion(object, version) : object };
  });
  return inVersion({ ...made, rows }, version);
}

function inVersion(object: JsonObject, version: MetaVersion): JsonObject {
  return version === 'v1' ? object : { ...object, apiVersion: `meta.k8s.io/${version}` };
}

/** Only whole lists of kinds from CRDs say that there is no more. */
function withoutEmptyContinue({ continue: token, ...metadata }: JsonObject): JsonObject {
  return token === undefined || token === '' ? metadata : { ...metadata, continue: token };
}

/** Lists of built-in kinds say once for all items what they are. */
function itemOf(object: KubeObject, { custom }: Kind): Json {
  if (custom) return object as JsonObject;
  const { apiVersion: _, kind: __, ...item } = object;
  return item;
}

/** What the server calls the type of what it holds. */
function typeOf({ custom, group }: Kind, name: string): string {
  if (custom) return name.endsWith('List') ? 'unstructured.UnstructuredList' : 'unstructured.Unstructured';
  return `${group === '' ? 'core' : group.split('.')[0]}.${name}`;
}

function mismatch(wanted: string, found: string): StatusError {
  return new StatusError(406, 'NotAcceptable', `you requested ${wanted}, but the requested object ${found}`);
}
