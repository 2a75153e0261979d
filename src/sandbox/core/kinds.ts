/** The kinds that the server itself knows. */
import type { RoleAuthorizer } from '../access/rbac.ts';
import { reviewKinds } from '../access/reviews.ts';
import type { Tokens } from '../access/tokens.ts';
import type { ApiClient } from '../api/client.ts';
import type { Kind, Subresource } from '../api/kind.ts';
import { claimKind } from './claim.ts';
import { configMapKind } from './configmap.ts';
import { eventKind } from './event.ts';
import { leaseKind } from './lease.ts';
import { namespaceKind } from './namespace.ts';
import { newEventKind } from './newevent.ts';
import { nodeKind } from './node.ts';
import { podKind } from './pod/kind.ts';
import { quotaKind } from './quota.ts';
import { roleKinds } from './roles.ts';
import { secretKind } from './secret.ts';
import { serviceAccountKind } from './serviceaccount.ts';
import { tokenSubresource } from './tokenrequest.ts';

/** What they need of the rest. */
export interface CoreParts {
  now(): Date;
  readonly tokens: Tokens;
  /** Is told when roles or bindings change. */
  readonly authorizer: RoleAuthorizer;
  /** Answers `pods/log`; without it there is no such subresource. */
  readonly podLog: Subresource | undefined;
  /** Looks up what an object depends on: the service account of a pod. */
  readonly reader: Pick<ApiClient, 'get' | 'list'>;
}

/** All of them, for the registry. */
export function coreKinds(parts: CoreParts): Kind[] {
  return [
    namespaceKind(),
    configMapKind(),
    secretKind(),
    serviceAccountKind(tokenSubresource(parts)),
    podKind({ log: parts.podLog, reader: parts.reader }),
    eventKind(),
    newEventKind(),
    claimKind(),
    quotaKind(parts.reader),
    nodeKind(),
    leaseKind(),
    ...roleKinds(parts.authorizer),
    ...reviewKinds(parts),
  ];
}
