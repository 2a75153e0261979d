/** Objects and lists as a client wants to see them: whole, as rows of a table, or their metadata alone. */
import { apiVersionOf, type Json, type JsonObject, type KubeObject } from '../object.ts';
import { StatusError } from '../status.ts';
import type { Kind, ServedVersion } from './kind.ts';
import type { Representation } from './negotiate.ts';
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
export function showObject(object: KubeObject, { kind, served, as, now, withColumns = true }: Showing): JsonObject {
  const shown = shownAs(object, kind, served.version);
  switch (as.kind) {
    case 'object':
      return shown as JsonObject;
    case 'table':
      return tableOf({
        kind,
        served,
        objects: [shown],
        include: as.include,
        now,
        withColumns,
        metadata: { resourceVersion: shown.metadata.resourceVersion },
      });
    case 'metadata':
      if (as.isList) throw mismatch('PartialObjectMetadataList', `is not a list (*${typeOf(kind, kind.kind)})`);
      return partialObject(shown);
  }
}

/** A list with its `metadata`. Throws 406 for the metadata of one object. */
export function showList(objects: readonly KubeObject[], metadata: JsonObject, showing: Showing): JsonObject {
  const { kind, served, as, now } = showing;
  const shown = objects.map((object) => shownAs(object, kind, served.version));
  switch (as.kind) {
    case 'object': {
      const apiVersion = apiVersionOf({ group: kind.group, version: served.version });
      return { kind: kind.listKind, apiVersion, metadata, items: shown.map((object) => itemOf(object, kind)) };
    }
    case 'table':
      return tableOf({ kind, served, objects: shown, include: as.include, now, metadata });
    case 'metadata': {
      if (!as.isList) throw mismatch('PartialObjectMetadata', `is a list (*${typeOf(kind, kind.listKind)})`);
      const items = shown.map(partialObject);
      return { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1', metadata, items };
    }
  }
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
