/** ConfigMaps. https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/config-map-v1/ */
import { isDeepStrictEqual } from 'node:util';
import type { Kind } from '../api/kind.ts';
import type { KubeObject } from '../object.ts';
import { flag, map, text } from '../schema/node.ts';
import type { Cause } from '../status.ts';
import { builtin } from './builtin.ts';
import { invalidValue, notAllowed, tooLong } from './causes.ts';
import { ageColumn, column } from './columns.ts';
import { configKey, formatted } from './formats.ts';
import { objectIn, textIn } from './reading.ts';
import { bytes, optional } from './typed.ts';

/** What a ConfigMap or a Secret may hold altogether. */
export const maxDataBytes = 1024 * 1024;

/** `configmaps`. */
export function configMapKind(): Kind {
  return builtin({
    group: '',
    version: 'v1',
    kind: 'ConfigMap',
    plural: 'configmaps',
    shortNames: ['cm'],
    namespaced: true,
    fields: { data: map(text()), binaryData: map(bytes()), immutable: optional(flag()) },
    columns: [column('Data', 'Number of keys', ({ data, binaryData }) => keysOf(data) + keysOf(binaryData)), ageColumn],
    strategy: {
      validate: (configMap, old) => [...frozenCauses(configMap, old, ['data', 'binaryData']), ...dataCauses(configMap)],
    },
  });
}

/** What an update may not do to a ConfigMap or a Secret once its `immutable` is true; `fields` hold its data. */
export function frozenCauses(object: KubeObject, old: KubeObject | undefined, fields: readonly string[]): Cause[] {
  if (old?.immutable !== true) return [];
  const changed = fields.filter((field) => !isDeepStrictEqual(object[field] ?? {}, old[field] ?? {}));
  if (object.immutable !== true) changed.unshift('immutable');
  return changed.map((field) => notAllowed(field, 'field is immutable when `immutable` is set'));
}

/** The bytes that base64 stands for. */
export function decodedBytes(base64: string): number {
  return Buffer.byteLength(base64, 'base64');
}

function dataCauses({ data, binaryData }: KubeObject): Cause[] {
  const causes: Cause[] = [];
  const binary = objectIn(binaryData);
  let total = 0;
  for (const [key, value] of Object.entries(objectIn(data))) {
    causes.push(...formatted(`data[${key}]`, key, configKey));
    if (key in binary) causes.push(invalidValue(`data[${key}]`, key, 'duplicate of key present in binaryData'));
    total += Buffer.byteLength(textIn(value));
  }
  for (const [key, value] of Object.entries(binary)) {
    causes.push(...formatted(`binaryData[${key}]`, key, configKey));
    total += decodedBytes(textIn(value));
  }
  // So the server names the whole object.
  if (total > maxDataBytes) causes.push(tooLong('[]', maxDataBytes));
  return causes;
}

function keysOf(value: KubeObject[string]): number {
  return Object.keys(objectIn(value)).length;
}
