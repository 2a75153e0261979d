/** One object in the versions of its kind: it is stored in one, and met in any. */
import { apiVersionOf, type KubeObject } from '../object.ts';
import type { Kind } from './kind.ts';

/** What was converted already. Stored objects never change, so neither does what they look like in another version. */
const converted = new WeakMap<KubeObject, Map<string, KubeObject>>();

/** A stored object as `version` shows it. Must not be changed in place. */
export function shownAs(object: KubeObject, kind: Kind, version: string): KubeObject {
  if (object.apiVersion === apiVersionOf({ group: kind.group, version })) return object;
  const versions = converted.get(object) ?? new Map<string, KubeObject>();
  const shown = versions.get(version) ?? convert(object, kind, version);
  versions.set(version, shown);
  converted.set(object, versions);
  return shown;
}

/** An object as it is to be stored. */
export function storedAs(object: KubeObject, kind: Kind): KubeObject {
  const { group, storageVersion, sharesWith } = kind;
  const stored = sharesWith?.apiVersion ?? apiVersionOf({ group, version: storageVersion });
  return object.apiVersion === stored ? object : convert(object, kind, storageVersion);
}

function convert(object: KubeObject, kind: Kind, version: string): KubeObject {
  return (
    kind.strategy.convert?.(object, version) ?? {
      ...object,
      apiVersion: apiVersionOf({ group: kind.group, version }),
    }
  );
}
