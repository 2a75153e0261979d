/** Leases. https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/lease-v1/ */
import type { Kind } from '../api/kind.ts';
import type { KubeObject } from '../object.ts';
import { int32, text } from '../schema/node.ts';
import type { Cause } from '../status.ts';
import { builtin } from './builtin.ts';
import { invalidValue, notAllowed, notSupported } from './causes.ts';
import { ageColumn, column } from './columns.ts';
import { formatted, qualifiedName } from './formats.ts';
import { objectIn, textIn } from './reading.ts';
import { always, microTime, optional, struct } from './typed.ts';

const leaseSpec = struct('io.k8s.api.coordination.v1.LeaseSpec', {
  holderIdentity: optional(text()),
  leaseDurationSeconds: optional(int32()),
  acquireTime: microTime(),
  renewTime: microTime(),
  leaseTransitions: optional(int32()),
  strategy: optional(text()),
  preferredHolder: optional(text()),
});

/** `leases`. */
export function leaseKind(): Kind {
  return builtin({
    group: 'coordination.k8s.io',
    version: 'v1',
    kind: 'Lease',
    plural: 'leases',
    namespaced: true,
    createsOnUpdate: true,
    updatesNeedVersion: true,
    fields: { spec: always(leaseSpec) },
    columns: [column('Holder', 'Who holds it', ({ spec }) => textIn(objectIn(spec).holderIdentity)), ageColumn],
    strategy: { validate: (lease) => leaseCauses(lease) },
  });
}

function leaseCauses(lease: KubeObject): Cause[] {
  const { leaseDurationSeconds, leaseTransitions, strategy, preferredHolder } = objectIn(lease.spec);
  const causes: Cause[] = [];
  if (typeof leaseDurationSeconds === 'number' && leaseDurationSeconds <= 0) {
    causes.push(invalidValue('spec.leaseDurationSeconds', leaseDurationSeconds, 'must be greater than 0'));
  }
  if (typeof leaseTransitions === 'number' && leaseTransitions < 0) {
    causes.push(invalidValue('spec.leaseTransitions', leaseTransitions, 'must be greater than or equal to 0'));
  }
  if (typeof strategy === 'string') {
    const known = ['OldestEmulationVersion'];
    // The server repeats the last part of this path.
    const field = 'spec.strategy.strategy';
    if (strategy.includes('/')) causes.push(...formatted(field, strategy, qualifiedName));
    else if (!known.includes(strategy)) causes.push(notSupported(field, strategy, known));
  }
  if (textIn(preferredHolder) !== '' && textIn(strategy) === '') {
    causes.push(notAllowed('spec.preferredHolder', 'may only be specified if `strategy` is defined'));
  }
  return causes;
}
