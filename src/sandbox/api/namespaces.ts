/** What namespaces and definitions that come to an end have to say about the objects that belong to them. */
import type { KubeObject } from '../object.ts';
import { forbidden, notFound, StatusError } from '../status.ts';
import type { Kind } from './kind.ts';
import type { Memory } from './memory.ts';
import { inOrder } from './metadata.ts';

/** The namespaces that every cluster has; they are made at start. */
export const SYSTEM_NAMESPACES = ['default', 'kube-node-lease', 'kube-public', 'kube-system'] as const;

/** Those that the server does not let go. */
const IMMORTAL: ReadonlySet<string> = new Set(['default', 'kube-public', 'kube-system']);

const NAMESPACES = { group: '', plural: 'namespaces' };

/** Throws what a create in a namespace gets that is not there (404) or is being emptied (403). */
export function admitToNamespace(
  memory: Memory,
  namespace: string,
  { group, plural, name }: { readonly group: string; readonly plural: string; readonly name: string },
): void {
  const found = memory.collection('', 'namespaces').get('', namespace);
  if (found === undefined) throw notFound(NAMESPACES, namespace);
  if (found.metadata.deletionTimestamp === undefined) return;
  const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
  const refusal = forbidden({ group, plural }, name, why);
  throw new StatusError(refusal.code, refusal.reason, refusal.message, {
    ...refusal.details,
    causes: [
      {
        reason: 'NamespaceTerminating',
        message: `namespace ${namespace} is being terminated`,
        field: 'metadata.namespace',
      },
    ],
  });
}

/** Throws the 403 that a create gets when the definition of its kind is being deleted. */
export function admitToDefinition(memory: Memory, { group, plural, custom }: Kind, name: string): void {
  if (!custom) return;
  const definition = memory
    .collection('apiextensions.k8s.io', 'customresourcedefinitions')
    .get('', `${plural}.${group}`);
  if (definition?.metadata.deletionTimestamp === undefined) return;
  throw forbidden({ group, plural }, name, 'create not allowed while custom resource definition is terminating');
}

/** Throws for a namespace that may not be deleted. */
export function admitNamespaceDeletion(name: string): void {
  if (IMMORTAL.has(name)) throw forbidden(NAMESPACES, name, 'this namespace may not be deleted');
}

/** A namespace that is to go: emptying it begins. */
export function terminating(namespace: KubeObject, now: string): KubeObject {
  const { status } = namespace;
  const rest = typeof status === 'object' && !Array.isArray(status) ? status : {};
  return {
    ...namespace,
    metadata: inOrder({ ...namespace.metadata, deletionTimestamp: now }),
    status: { ...rest, phase: 'Terminating' },
  };
}

/** Whether something still holds a namespace besides the finalizers that every object may have. */
export function isHeldBySpec({ kind, apiVersion, spec }: KubeObject): boolean {
  if (kind !== 'Namespace' || apiVersion !== 'v1') return false;
  const finalizers = typeof spec === 'object' && spec !== null && !Array.isArray(spec) ? spec.finalizers : undefined;
  return Array.isArray(finalizers) && finalizers.length > 0;
}
