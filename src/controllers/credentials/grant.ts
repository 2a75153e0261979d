/** What a ManagedCredential gives to the runs of a trigger, or why it gives them nothing. Pure. */
import { listOf, objectOf, present, stringOf } from '../../kube/objects.ts';
import type { CredentialFact } from '../triggers/decide.ts';
import { CREDENTIAL_GROUP, type ManagedCredential } from './resource.ts';

/**
 * What `credential` gives to runs in `namespace`. Only one whose last spec has been acted upon with success gives anything:
 * a run without the rights that were meant for it would fail, or do what it should not with others.
 */
export function grantOf(credential: ManagedCredential, namespace: string): CredentialFact {
  const { meta, generation, status } = credential;
  const called = `ManagedCredential ${meta.namespace}/${meta.name}`;
  if (meta.deleting !== undefined) return { ready: false, message: `${called} is being deleted` };
  const ready = listOf(status.conditions)
    .map(objectOf)
    .find(({ type }) => type === 'Ready');
  if (ready === undefined || status.observedGeneration !== generation) {
    return { ready: false, message: `${called} has not been looked at yet` };
  }
  if (ready.status !== 'True') {
    return {
      ready: false,
      message: `${called} is not ready: ${stringOf(ready.message) ?? stringOf(ready.reason) ?? ''}`,
    };
  }
  const [secret, account] = [objectOf(status.secretRef), objectOf(status.serviceAccountRef)];
  const elsewhere = [secret, account]
    .map((ref) => stringOf(ref.namespace) ?? meta.namespace)
    .find((at) => at !== namespace);
  if (elsewhere !== undefined) {
    const message = `${called} has what runs may use in namespace ${elsewhere}, where runs in ${namespace} cannot get at it`;
    return { ready: false, message };
  }
  return {
    ready: true,
    ...present({ serviceAccountName: stringOf(account.name), secretName: stringOf(secret.name) }),
  };
}

/** As Kubernetes words it. */
export function notFound(name: string): CredentialFact {
  return { ready: false, message: `managedcredentials.${CREDENTIAL_GROUP} "${name}" not found` };
}
