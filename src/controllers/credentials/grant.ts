/** What a ManagedCredential gives to the runs of a trigger, or why it gives them nothing. Pure. */
import { listOf, type ObjectRef, objectOf, present, stringOf } from '../../kube/objects.ts';
import type { CredentialFact } from '../triggers/facts.ts';
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

/** What is known of the ManagedCredentials of a namespace. */
export type Knowledge =
  | { readonly of: 'all' }
  /** The cluster does not serve the kind. */
  | { readonly of: 'no kind' }
  /** This process was not told to look after that namespace. */
  | { readonly of: 'other namespaces' }
  | { readonly of: 'nothing'; readonly because: string };

/** Why a ManagedCredential of which nothing is known gives nothing: only sometimes because there is none. */
export function absenceOf({ namespace, name }: ObjectRef, known: Knowledge): CredentialFact {
  switch (known.of) {
    case 'all':
      return { ready: false, message: `managedcredentials.${CREDENTIAL_GROUP} "${name}" not found` };
    case 'no kind':
      return { ready: false, message: `this cluster serves no managedcredentials.${CREDENTIAL_GROUP}` };
    case 'other namespaces':
      return { ready: false, message: `ManagedCredentials of namespace ${namespace} are not looked after here` };
    case 'nothing':
      return { ready: false, message: `ManagedCredential ${namespace}/${name} is not known: ${known.because}` };
  }
}
