/**
 * The columns that a definition asks for, found in objects by JSONPath.
 * https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#additional-printer-columns
 */
import { duration } from '../core/columns.ts';
import { numberIn, textIn } from '../core/reading.ts';
import type { Json, JsonObject } from '../object.ts';
import { compileJsonPath } from '../schema/jsonpath.ts';
import { sortedJson } from '../schema/wording.ts';
import type { Column } from './kind.ts';

/** `additionalPrinterColumns[]` as columns. A path that finds several values shows the first, one that finds none nothing. */
export function printerColumns(columns: readonly JsonObject[]): Column[] {
  return columns.map((column) => {
    const path = textIn(column.jsonPath);
    const find = compileJsonPath(path);
    const type = typeIn(column.type);
    return {
      name: textIn(column.name),
      type,
      format: textIn(column.format),
      description: textIn(column.description) || `Custom resource definition column (in JSONPath format): ${path}`,
      priority: numberIn(column.priority),
      cell: (object, nowMs) => cellOf(find?.(object)[0], type, nowMs),
    };
  });
}

function typeIn(type: Json | undefined): Column['type'] {
  return type === 'integer' || type === 'number' || type === 'boolean' || type === 'date' ? type : 'string';
}

function cellOf(value: Json | undefined, type: Column['type'], nowMs: number): string | number | boolean | null {
  if (value === undefined || value === null) return null;
  switch (type) {
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : null;
    case 'number':
      return typeof value === 'number' ? value : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    case 'date':
      return typeof value === 'string' ? ageSince(value, nowMs) : null;
    case 'string':
      return typeof value === 'object' ? sortedJson(value) : String(value);
  }
}

function ageSince(time: string, nowMs: number): string {
  if (time === '' || time === 'null') return '<unknown>';
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/.test(time);
  const ms = Date.parse(time);
  return isTime && !Number.isNaN(ms) ? duration(nowMs - ms) : '<invalid>';
}
