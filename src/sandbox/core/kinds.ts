/** The kinds that the server itself knows. */
import type { Authorizer } from '../access/caller.ts';
import type { Tokens } from '../access/tokens.ts';
import type { ApiClient } from '../api/client.ts';
import type { Kind, Subresource } from '../api/kind.ts';
import { configMapKind } from './configmap.ts';
import { namespaceKind } from './namespace.ts';
import { podKind } from './pod/kind.ts';
import { secretKind } from './secret.ts';
import { serviceAccountKind } from './serviceaccount.ts';
import { tokenSubresource } from './tokenrequest.ts';

/** What they need of the rest. */
export interface CoreParts {
  now(): Date;
  readonly tokens: Tokens;
  readonly authorizer: Authorizer;
  /** Answers `pods/log`; without it there is no such subresource. */
  readonly podLog: Subresource | undefined;
  /** Looks up what an object depends on: the service account of a pod. */
  readonly reader: Pick<ApiClient, 'get'>;
}

/** All of them, for the registry. */
export function coreKinds(parts: CoreParts): Kind[] {
  return [
    namespaceKind(),
    configMapKind(),
    secretKind(),
    serviceAccountKind(tokenSubresource(parts)),
    podKind({ log: parts.podLog, reader: parts.reader }),
  ];
}
