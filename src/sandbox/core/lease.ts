/** Leases. https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/lease-v1/ */
import type { Kind } from '../api/kind.ts';
import type { KubeObject } from '../object.ts';
import { int32, text } from '../schema/node.ts';
import type { Cause } from '../status.ts';
import { builtin } from './builtin.ts';
import { invalidValue } from './causes.ts';
import { ageColumn, column } from './columns.ts';
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
    strategy: {
      prepareForCreate: dropCoordination,
      prepareForUpdate: dropCoordination,
      validate: (lease) => leaseCauses(lease),
    },
  });
}

/** Coordinated leader election is switched off, and so are its fields. */
function dropCoordination(lease: KubeObject): void {
  const spec = objectIn(lease.spec);
  delete spec.strategy;
  delete spec.preferredHolder;
}

function leaseCauses(lease: KubeObject): Cause[] {
  const { leaseDurationSeconds, leaseTransitions } = objectIn(lease.spec);
  const causes: Cause[] = [];
  if (typeof leaseDurationSeconds === 'number' && leaseDurationSeconds <= 0) {
    causes.push(invalidValue('spec.leaseDurationSeconds', leaseDurationSeconds, 'must be greater than 0'));
  }
  if (typeof leaseTransitions === 'number' && leaseTransitions < 0) {
    causes.push(invalidValue('spec.leaseTransitions', leaseTransitions, 'must be greater than or equal to 0'));
  }
  return causes;
}
