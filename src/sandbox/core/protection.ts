/**
 * A claim that a pod still uses does not go: a finalizer holds it until the last such pod has ended.
 * https://kubernetes.io/docs/concepts/storage/persistent-volumes/#storage-object-in-use-protection
 */
import type { ApiClient } from '../api/client.ts';
import type { KubeObject } from '../object.ts';
import { objectIn, objectsIn, textIn } from './reading.ts';

const finalizer = 'kubernetes.io/pvc-protection';
const claims = { group: '', version: 'v1', plural: 'persistentvolumeclaims' };
const pods = { group: '', version: 'v1', plural: 'pods' };

/** Puts a new claim under protection, in place. */
export function protect({ metadata }: KubeObject): void {
  const { finalizers = [] } = metadata;
  if (!finalizers.includes(finalizer)) metadata.finalizers = [...finalizers, finalizer];
}

/** Lets claims go that are to go and that no pod uses any more, until the answer is called. */
export function protectClaims(client: Pick<ApiClient, 'get' | 'list' | 'patch' | 'watch'>): () => void {
  const release = (claim: KubeObject) => {
    const { namespace = '', name, deletionTimestamp, finalizers = [] } = claim.metadata;
    if (deletionTimestamp === undefined || !finalizers.includes(finalizer)) return;
    if (client.list(pods, { namespace }).some((pod) => isRunning(pod) && uses(pod, name))) return;
    const rest = finalizers.filter((one) => one !== finalizer);
    client.patch(claims, namespace, name, { metadata: { finalizers: rest } });
  };
  const endings = [
    client.watch(claims, {}, ({ type, object }) => {
      if (type !== 'DELETED') release(object);
    }),
    client.watch(pods, {}, ({ type, object }) => {
      if (type !== 'DELETED' && isRunning(object)) return;
      for (const name of claimsOf(object)) {
        const claim = client.get(claims, object.metadata.namespace ?? '', name);
        if (claim !== undefined) release(claim);
      }
    }),
  ];
  return () => {
    for (const end of endings) end();
  };
}

/** A pod that has ended, or that never came to a node, holds nothing. */
function isRunning({ spec, status }: KubeObject): boolean {
  const phase = textIn(objectIn(status).phase);
  return textIn(objectIn(spec).nodeName) !== '' && phase !== 'Succeeded' && phase !== 'Failed';
}

function uses(pod: KubeObject, claim: string): boolean {
  return claimsOf(pod).includes(claim);
}

/** The claims a pod names, and those made for its ephemeral volumes. */
function claimsOf({ metadata, spec }: KubeObject): string[] {
  return objectsIn(objectIn(spec).volumes).flatMap(({ name, persistentVolumeClaim, ephemeral }) => {
    const claim = textIn(objectIn(persistentVolumeClaim).claimName);
    if (claim !== '') return [claim];
    return ephemeral === undefined ? [] : [`${metadata.name}-${textIn(name)}`];
  });
}
