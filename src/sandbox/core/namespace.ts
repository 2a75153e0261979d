/** Namespaces. https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/namespace-v1/ */
import type { Kind } from '../api/kind.ts';
import type { KubeObject } from '../object.ts';
import { list, listByKey, text } from '../schema/node.ts';
import type { Cause } from '../status.ts';
import { builtin } from './builtin.ts';
import { invalidValue } from './causes.ts';
import { ageColumn, column } from './columns.ts';
import { dnsLabel, formatted, qualifiedName } from './formats.ts';
import { objectIn, textIn, textsIn } from './reading.ts';
import { always, struct, time } from './typed.ts';

const namespaceSpec = struct('NamespaceSpec', { finalizers: list(text()) });

const namespaceCondition = struct(
  'NamespaceCondition',
  {
    type: always(text()),
    status: always(text()),
    lastTransitionTime: always(time()),
    reason: text(),
    message: text(),
  },
  { required: ['type', 'status'] },
);

const namespaceStatus = struct('NamespaceStatus', {
  phase: text(),
  conditions: listByKey(namespaceCondition, ['type']),
});

/** The finalizer in `spec.finalizers` that whoever empties a namespace takes away when nothing is left. */
export const namespaceFinalizer = 'kubernetes';

/** `namespaces`. Emptying one that goes is up to the server's housekeeping. */
export function namespaceKind(): Kind {
  return builtin({
    group: '',
    version: 'v1',
    kind: 'Namespace',
    plural: 'namespaces',
    shortNames: ['ns'],
    namespaced: false,
    verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'],
    deletesAnswerObject: true,
    fields: { spec: always(namespaceSpec), status: always(namespaceStatus) },
    defaults: labelWithName,
    statusSubresource: true,
    columns: [
      column('Status', 'Active, or Terminating while it is emptied', ({ status }) => textIn(objectIn(status).phase)),
      ageColumn,
    ],
    strategy: {
      names: dnsLabel,
      prepareForCreate(namespace) {
        labelWithName(namespace);
        const finalizers = textsIn(objectIn(namespace.spec).finalizers);
        if (!finalizers.includes(namespaceFinalizer)) finalizers.push(namespaceFinalizer);
        namespace.spec = { ...objectIn(namespace.spec), finalizers };
        namespace.status = { phase: 'Active' };
      },
      prepareForUpdate(namespace, old) {
        if (old.spec !== undefined) namespace.spec = structuredClone(old.spec);
        if (old.status !== undefined) namespace.status = structuredClone(old.status);
      },
      validate(namespace, old, subresource) {
        if (subresource === 'status') return phaseCauses(namespace);
        return old === undefined ? finalizerCauses(namespace) : [];
      },
      fields: (namespace) => ({
        'status.phase': textIn(objectIn(namespace.status).phase),
        name: namespace.metadata.name,
      }),
    },
  });
}

/** Lets a label selector name a namespace. */
function labelWithName({ metadata }: KubeObject): void {
  if (metadata.name === undefined || metadata.name === '') return;
  metadata.labels = { ...metadata.labels, 'kubernetes.io/metadata.name': metadata.name };
}

function finalizerCauses(namespace: KubeObject): Cause[] {
  return textsIn(objectIn(namespace.spec).finalizers).flatMap((finalizer) => {
    const wrong = formatted('spec.finalizers', finalizer, qualifiedName);
    if (wrong.length > 0 || finalizer.includes('/') || finalizer === namespaceFinalizer) return wrong;
    return [
      invalidValue('spec.finalizers', finalizer, 'name is neither a standard finalizer name nor is it fully qualified'),
    ];
  });
}

function phaseCauses({ metadata, status }: KubeObject): Cause[] {
  const phase = textIn(objectIn(status).phase);
  const [want, when] =
    metadata.deletionTimestamp === undefined ? ['Active', 'is empty'] : ['Terminating', 'is not empty'];
  if (phase === want) return [];
  return [invalidValue('status.Phase', phase, `may only be '${want}' if \`deletionTimestamp\` ${when}`)];
}
