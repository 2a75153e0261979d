/** Tokens of service accounts: issued to them, and recognised while they are good. */
import { createHmac, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../clock.ts';
import type { ApiClient } from '../api/client.ts';
import { isObject, objectIn, textIn, textsIn } from '../core/reading.ts';
import type { Json, JsonObject, KubeObject } from '../object.ts';
import type { Authenticator, Caller } from './caller.ts';

/** What tokens say of who issued them, and the audience of those that ask for none. */
export const issuer = 'https://kubernetes.default.svc';

/** What a token is bound to beside its account: it ends when that object is gone. */
export interface BoundObject {
  readonly kind: 'Pod' | 'Secret' | 'Node';
  readonly name: string;
  readonly uid: string;
}

/** A token that was issued. */
export interface IssuedToken {
  readonly token: string;
  /** Whom it is good for: those asked for, or the server itself. */
  readonly audiences: readonly string[];
}

/** What a good token says. */
export interface TokenClaims {
  readonly caller: Caller;
  readonly audiences: readonly string[];
  /** What TokenReview and SelfSubjectReview show as `extra`. */
  readonly extra: { readonly [key: string]: readonly string[] };
}

/** Issues tokens and recognises them. */
export interface Tokens extends Authenticator {
  /** A token of a ServiceAccount object, good for `seconds`. */
  issue(
    account: KubeObject,
    wanted: {
      readonly audiences: readonly string[];
      readonly seconds: number;
      readonly bound?: BoundObject | undefined;
    },
  ): IssuedToken;
  /** What `token` says if it is good for one of `audiences`; undefined when it is not. None given: the server's own. */
  review(token: string, audiences?: readonly string[]): TokenClaims | undefined;
}

/** Looks up what tokens depend on, as it is now. */
export type TokenReader = Pick<ApiClient, 'get'>;

/**
 * Tokens look like those of a cluster (a JWT whose `sub` is the account) and are signed with a key of this process, so none of
 * them outlives it. A token ends with its time, with its account, and with the pod or secret it is bound to.
 * https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/
 */
export function createTokens({
  reader,
  clock,
}: {
  readonly reader: TokenReader;
  readonly clock: Pick<Clock, 'now'>;
}): Tokens {
  const key = randomBytes(32);
  const header = encode({ alg: 'HS256', kid: randomBytes(16).toString('base64url') });
  const sign = (content: string) => createHmac('sha256', key).update(content).digest();

  function claimsOf(token: string): JsonObject | undefined {
    const [head, body, signature, ...more] = token.split('.');
    if (head !== header || body === undefined || signature === undefined || more.length > 0) return undefined;
    const given = Buffer.from(signature, 'base64url');
    const right = sign(`${head}.${body}`);
    if (given.length !== right.length || !timingSafeEqual(given, right)) return undefined;
    const claims: Json = JSON.parse(Buffer.from(body, 'base64url').toString());
    return isObject(claims) ? claims : undefined;
  }

  function isGood(claims: JsonObject): boolean {
    const { namespace, serviceaccount, pod, secret } = objectIn(claims['kubernetes.io']);
    const expires = typeof claims.exp === 'number' ? claims.exp * 1000 : 0;
    if (clock.now() >= expires) return false;
    const bindings = [
      ['serviceaccounts', serviceaccount],
      ['pods', pod],
      ['secrets', secret],
    ] as const;
    return bindings.every(([plural, binding]) => {
      if (!isObject(binding)) return true;
      const object = reader.get({ group: '', version: 'v1', plural }, textIn(namespace), textIn(binding.name));
      return object?.metadata.uid === binding.uid;
    });
  }

  function review(token: string, audiences: readonly string[] = [issuer]): TokenClaims | undefined {
    const claims = claimsOf(token);
    if (claims === undefined || !isGood(claims)) return undefined;
    const meant = textsIn(claims.aud).filter((audience) => audiences.includes(audience));
    if (meant.length === 0) return undefined;
    const { namespace, serviceaccount, pod } = objectIn(claims['kubernetes.io']);
    const { name, uid } = objectIn(serviceaccount);
    const bound = isObject(pod)
      ? {
          'authentication.kubernetes.io/pod-name': [textIn(pod.name)],
          'authentication.kubernetes.io/pod-uid': [textIn(pod.uid)],
        }
      : {};
    return {
      caller: serviceAccountCaller(textIn(namespace), textIn(name), textIn(uid)),
      audiences: meant,
      extra: { 'authentication.kubernetes.io/credential-id': [`JTI=${textIn(claims.jti)}`], ...bound },
    };
  }

  return {
    issue({ metadata }, { audiences, seconds, bound }) {
      const now = Math.floor(clock.now() / 1000);
      const meant = audiences.length === 0 ? [issuer] : audiences;
      const claims: JsonObject = {
        aud: [...meant],
        exp: now + seconds,
        iat: now,
        iss: issuer,
        jti: randomUUID(),
        'kubernetes.io': {
          namespace: metadata.namespace,
          ...(bound === undefined ? {} : { [bound.kind.toLowerCase()]: { name: bound.name, uid: bound.uid } }),
          serviceaccount: { name: metadata.name, uid: metadata.uid },
        },
        nbf: now,
        sub: serviceAccountName(metadata.namespace ?? '', metadata.name),
      };
      const content = `${header}.${encode(claims)}`;
      return { token: `${content}.${sign(content).toString('base64url')}`, audiences: meant };
    },
    review,
    callerOf: (token) => review(token)?.caller,
  };
}

/** `system:serviceaccount:<namespace>:<name>`. */
export function serviceAccountName(namespace: string, name: string): string {
  return `system:serviceaccount:${namespace}:${name}`;
}

/** A service account as a caller, with the groups that every one of them is in. */
export function serviceAccountCaller(namespace: string, name: string, uid: string): Caller {
  return {
    name: serviceAccountName(namespace, name),
    uid,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
  };
}

function encode(value: JsonObject): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
