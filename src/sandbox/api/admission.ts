/** Who is asking, and whether they may. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { type Attributes, type Authenticator, type Authorizer, administrator, type Caller } from '../access/caller.ts';
import { refusal } from '../access/rbac.ts';
import { unauthorized } from '../status.ts';

/** How callers are known. */
export interface AccessParts {
  /** The administrator's token. */
  readonly token: string;
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
}

/** Knows callers, and stops those who may not. */
export interface Access {
  /** Throws 401 for credentials that are none. Without any the caller is anonymous. */
  callerOf(headers: IncomingHttpHeaders): Caller;
  /** Throws 403. */
  require(caller: Caller, attributes: Attributes): void;
}

const ACCOUNT =
  /^system:serviceaccount:([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?):([a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?)$/;
const anonymous: Caller = { name: 'system:anonymous', uid: '', groups: ['system:unauthenticated'] };

/** Tokens are compared by their digests, so that time tells nothing. */
export function createAccess({ token, authenticator, authorizer }: AccessParts): Access {
  const right = digest(token);
  return {
    callerOf(headers) {
      const caller = bearer(headers.authorization);
      return impersonated(caller, headers);
    },
    require: requirePermission,
  };

  function bearer(header: string | undefined): Caller {
    const given = /^Bearer +(\S+)\s*$/i.exec(header ?? '')?.[1];
    if (given === undefined) return anonymous;
    if (timingSafeEqual(digest(given), right)) return administrator;
    const caller = authenticator.callerOf(given);
    if (caller === undefined) throw unauthorized();
    return caller;
  }

  /** `kubectl --as`: whoever may, acts as somebody else. https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation */
  function impersonated(caller: Caller, headers: IncomingHttpHeaders): Caller {
    const name = headers['impersonate-user'];
    if (typeof name !== 'string') return caller;
    const groups = [headers['impersonate-group'] ?? []].flat().flatMap((group) => group.split(', '));
    const wanted = { verb: 'impersonate', group: '', version: 'v1', namespace: '' };
    // With names that no account can have, it is the name of some user.
    const [, namespace, account = ''] = ACCOUNT.exec(name) ?? [];
    if (namespace === undefined) requirePermission(caller, { ...wanted, resource: 'users', name });
    else requirePermission(caller, { ...wanted, namespace, resource: 'serviceaccounts', name: account });
    for (const group of groups) requirePermission(caller, { ...wanted, resource: 'groups', name: group });
    const implied = namespace === undefined ? [] : ['system:serviceaccounts', `system:serviceaccounts:${namespace}`];
    return { name, uid: '', groups: [...groups, ...implied, 'system:authenticated'] };
  }

  function requirePermission(caller: Caller, attributes: Attributes): void {
    const { allowed, reason } = authorizer.allows(caller, attributes);
    if (!allowed) throw refusal(caller, attributes, reason);
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
