/**
 * Objects as `kubectl get` shows them: `meta.k8s.io/v1` Tables.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
 */
import { duration } from '../core/columns.ts';
import type { JsonObject, KubeObject } from '../object.ts';
import type { Column, Kind, ServedVersion } from './kind.ts';

/** What a table is made from. */
export interface TableParts {
  readonly kind: Pick<Kind, 'custom'>;
  readonly served: Pick<ServedVersion, 'columns' | 'rowConditions'>;
  readonly objects: readonly KubeObject[];
  /** How much of each object comes with its row. */
  readonly include: 'None' | 'Metadata' | 'Object';
  /** Milliseconds since the epoch, for ages. */
  readonly now: number;
  /** Of the list; of one object, its resourceVersion alone. */
  readonly metadata: JsonObject;
  /** A watch names the columns in its first event, and `false` leaves them out of the others. */
  readonly withColumns?: boolean;
}

/** A table of objects. */
export function tableOf({ kind, served, objects, include, now, metadata, withColumns = true }: TableParts): JsonObject {
  const columns = columnsOf(kind, served);
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: withColumns ? columns.map(definitionOf) : null,
    rows: objects.map((object) => {
      const conditions = served.rowConditions?.(object) ?? [];
      return {
        cells: columns.map((column) => column.cell(object, now)),
        ...(conditions.length === 0 ? {} : { conditions: [...conditions] }),
        object: shownObject(object, include),
      };
    }),
  };
}

/** An object of which only the metadata is asked for. */
export function partialObject(object: KubeObject): JsonObject {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata };
}

type TableColumn = Omit<Column, 'type' | 'format'> & { readonly type: string; readonly format: string };

const nameColumn: TableColumn = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'The name of the object, which no other object of its kind has in its namespace.',
  priority: 0,
  cell: ({ metadata }) => metadata.name,
};

/** The age of kinds that define no columns of their own. */
const ageColumn: TableColumn = {
  name: 'Age',
  type: 'date',
  format: '',
  description: 'The time since the object was created.',
  priority: 0,
  cell: ({ metadata }, nowMs) => duration(nowMs - Date.parse(metadata.creationTimestamp)),
};

/** The same for built-in kinds, which say when instead of how long ago. */
const createdAtColumn: TableColumn = {
  name: 'Created At',
  type: 'date',
  format: '',
  description: 'The time at which the object was created.',
  priority: 0,
  cell: ({ metadata }) => metadata.creationTimestamp,
};

function columnsOf({ custom }: TableParts['kind'], { columns }: TableParts['served']): readonly TableColumn[] {
  // Events have the name elsewhere.
  if (columns.some(({ format }) => format === 'name')) return columns;
  if (columns.length > 0) return [nameColumn, ...columns];
  return [nameColumn, custom ? ageColumn : createdAtColumn];
}

function definitionOf({ name, type, format, description, priority }: TableColumn): JsonObject {
  return { name, type, format, description, priority };
}

function shownObject(object: KubeObject, include: TableParts['include']): JsonObject | null {
  switch (include) {
    case 'None':
      return null;
    case 'Metadata':
      return partialObject(object);
    case 'Object':
      return object;
  }
}
