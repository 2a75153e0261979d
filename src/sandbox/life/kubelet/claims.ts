/** Binds PersistentVolumeClaims, each at once and to a folder of its own, which is there for as long as the claim. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../../../log.ts';
import type { ApiClient } from '../../api/client.ts';
import type { JsonObject, KubeObject, Resource } from '../../object.ts';

const claimsResource: Resource = { group: '', version: 'v1', plural: 'persistentvolumeclaims' };

/** The claims there are, and their folders. */
export interface Claims {
  /** Begins to bind claims; `changed` is called when there is another, or one less. The answer ends it. */
  watch(changed: () => void): () => void;
  /** Names of the claims of a namespace. */
  in(namespace: string): ReadonlySet<string>;
  /** The folder that stands for a claim, there or not. */
  folder(namespace: string, claim: string): string;
}

/** Folders lie below `folder`, by namespace and name. */
export function createClaims(
  client: ApiClient,
  { folder, log }: { readonly folder: string; readonly log: Log },
): Claims {
  const known = new Map<string, Set<string>>();
  const folderOf = (namespace: string, claim: string) => join(folder, namespace, claim);

  function bind(claim: KubeObject): void {
    const { name, namespace = '', uid } = claim.metadata;
    if ((claim.status as JsonObject | undefined)?.phase === 'Bound') return;
    const spec = claim.spec as JsonObject; // required by its schema
    const storage = ((spec.resources as JsonObject | undefined)?.requests as JsonObject | undefined)?.storage;
    try {
      const bound = client.patch(claimsResource, namespace, name, {
        metadata: {
          annotations: {
            'pv.kubernetes.io/bind-completed': 'yes',
            'pv.kubernetes.io/bound-by-controller': 'yes',
          },
        },
        spec: { volumeName: `pvc-${uid}` },
      });
      const status: JsonObject = {
        phase: 'Bound',
        accessModes: spec.accessModes ?? ['ReadWriteOnce'],
        ...(storage === undefined ? {} : { capacity: { storage } }),
      };
      client.update(claimsResource, { ...bound, status }, { subresource: 'status' });
    } catch (error) {
      log.warn('a claim could not be bound', { claim: name, error: String(error) });
    }
  }

  return {
    watch(changed) {
      return client.watch(claimsResource, {}, ({ type, object }) => {
        const { name, namespace = '' } = object.metadata;
        const names = known.get(namespace) ?? new Set();
        known.set(namespace, names);
        if (type === 'DELETED') {
          names.delete(name);
          rmSync(folderOf(namespace, name), { recursive: true, force: true });
        } else {
          names.add(name);
          bind(object);
        }
        changed();
      });
    },
    in: (namespace) => known.get(namespace) ?? new Set(),
    folder: folderOf,
  };
}
