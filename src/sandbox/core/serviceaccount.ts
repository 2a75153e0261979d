/** ServiceAccounts and their tokens. https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/service-account-v1/ */
import type { Kind, Subresource } from '../api/kind.ts';
import type { KubeObject } from '../object.ts';
import { flag, list, listByKey } from '../schema/node.ts';
import { builtin } from './builtin.ts';
import { ageColumn, column } from './columns.ts';
import { objectsIn } from './reading.ts';
import { localObjectReference, objectReference } from './shapes/meta.ts';
import { optional } from './typed.ts';

/** `serviceaccounts`, with `token` as the subresource that issues tokens. */
export function serviceAccountKind(token: Subresource): Kind {
  return builtin({
    group: '',
    version: 'v1',
    kind: 'ServiceAccount',
    plural: 'serviceaccounts',
    shortNames: ['sa'],
    namespaced: true,
    deletesAnswerObject: true,
    fields: {
      secrets: listByKey(objectReference, ['name']),
      imagePullSecrets: list(localObjectReference),
      automountServiceAccountToken: optional(flag()),
    },
    columns: [column('Secrets', 'Number of secrets', ({ secrets }) => objectsIn(secrets).length), ageColumn],
    subresources: { token },
    strategy: { prepareForCreate: keepNamesOfSecrets, prepareForUpdate: keepNamesOfSecrets },
  });
}

/** Of a reference to a secret only the name is kept. */
function keepNamesOfSecrets(account: KubeObject): void {
  if (account.secrets === undefined) return;
  account.secrets = objectsIn(account.secrets).map(({ name }) => ({ name }));
}
