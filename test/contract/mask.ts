/** Takes out of answers what no two runs have in common, so that transcripts can be compared. */
import type { Json, JsonObject } from '../../src/sandbox/object.ts';

/** What a mask knows from the start. */
export interface Known {
  readonly namespace: string;
  readonly group: string;
  /** `host:port` of the server. */
  readonly address: string;
}

/** The mask of one case: the same value gets the same name throughout, so that "unchanged" stays visible. */
export interface Mask {
  /** A copy in which uids are `uid-1`, resource versions `rv-1`, times `TIME`, and so on. */
  json(value: Json): Json;
  text(value: string): string;
  /** Of a request line: versions and continue tokens that an earlier answer gave. */
  path(value: string): string;
  /** Tells of a `generateName`: what follows it is random. */
  generates(prefix: string): void;
  /** Whether `metadata.managedFields` stay; they go unless the case is about them. */
  keepManagedFields: boolean;
}

/** Makes the mask of a new case. */
export function makeMask({ namespace, group, address }: Known): Mask {
  const uids = new Map<string, string>();
  const resourceVersions = new Map<string, string>();
  const prefixes = new Set<string>();
  const numbered = (names: Map<string, string>, prefix: string, value: string): string => {
    const name = names.get(value) ?? `${prefix}-${names.size + 1}`;
    names.set(value, name);
    return name;
  };

  function text(value: string): string {
    let masked = value
      .replaceAll(namespace, 'NS')
      .replaceAll(group, 'GROUP')
      .replaceAll(address, 'SERVER')
      .replace(/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, (uid) => numbered(uids, 'uid', uid))
      .replace(/\b(?!2006-)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z/g, 'NANOTIME')
      .replace(/\b(?!2006-)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z/g, 'MICROTIME')
      .replace(/\b(?!2006-)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, 'TIME')
      .replace(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----\n/, 'CERTIFICATES')
      .replace(/(.)\1{63,}/g, (run, one) => `${one}{${run.length}}`)
      .replace(/\b(?:kube-api-access|default-token)-[a-z0-9]{5}\b/g, (name) => `${name.slice(0, -5)}?????`);
    for (const prefix of prefixes) {
      masked = masked.replace(new RegExp(`\\b${prefix}[bcdf-hj-np-tv-z0-9]{5}\\b`, 'g'), `${prefix}?????`);
    }
    return masked;
  }

  /** A sentence about resource versions has no other long numbers in it. */
  const sentence = (value: string): string =>
    /resource ?version/i.test(value)
      ? text(value).replace(/(?<![:\w])\d{2,}\b|(?<=\()\d+(?=\))/g, (number) => resourceVersions.get(number) ?? 'RV')
      : text(value);

  function object(value: JsonObject, parent: string): JsonObject {
    const ofMany = 'items' in value || 'rows' in value || parent === 'BOOKMARK';
    const entries = Object.entries(value).flatMap(([key, field]): [string, Json | undefined][] => {
      if (key === 'managedFields' && !mask.keepManagedFields) return [];
      if (key === 'metadata' && ofMany && isObject(field)) return [[key, ofList(field)]];
      if (/(?:^|\.)resourceVersion$/.test(key) && typeof field === 'string' && field !== '') {
        return [[key, numbered(resourceVersions, 'rv', field)]];
      }
      // What a column or an annotation explains is each server's own prose.
      if ((key === 'description' && parent === 'columnDefinitions') || key === 'kubernetes.io/description') {
        return [[key, field === '' ? '' : 'PROSE']];
      }
      if (key === 'token' && typeof field === 'string') return [[key, 'TOKEN']];
      return [[key, field === undefined ? undefined : json(field, key === 'object' ? String(value.type) : key)]];
    });
    return Object.fromEntries(entries);
  }

  /** A list's version is that of the moment, in which others may write. */
  function ofList({ resourceVersion, continue: next, ...rest }: JsonObject): JsonObject {
    return {
      ...(resourceVersion === undefined ? {} : { resourceVersion: resourceVersion === '' ? '' : 'RV' }),
      ...(next === undefined ? {} : { continue: next === '' ? '' : 'CONTINUE' }),
      ...object(rest, 'metadata'),
    };
  }

  function json(value: Json, parent = ''): Json {
    if (typeof value === 'string') return parent === 'cells' && isAge(value) ? 'AGE' : sentence(value);
    if (Array.isArray(value)) return value.map((item) => json(item, parent));
    return isObject(value) ? object(value, parent) : value;
  }

  const path = (value: string): string =>
    text(
      value.replace(
        /resourceVersion=(\d{2,})/,
        (_, number) => `resourceVersion=${resourceVersions.get(number) ?? 'RV'}`,
      ),
    ).replace(/continue=[\w%-]{30,}/, 'continue=CONTINUE');

  const mask: Mask = { json, text, path, generates: (prefix) => prefixes.add(prefix), keepManagedFields: false };
  return mask;
}

/** Whether a value is an object, neither a list nor null. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** As kubectl's columns write one: `5m2s`. */
function isAge(cell: string): boolean {
  return /^(?:\d+[ydhms])+$/.test(cell);
}
