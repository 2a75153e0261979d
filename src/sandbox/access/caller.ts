/** Who asks the API, and whether they may. */

/** An authenticated user, as `kubectl auth whoami` shows it. */
export interface Caller {
  readonly name: string;
  readonly uid: string;
  readonly groups: readonly string[];
}

/** The administrator: the caller of the token made at start, and of the sandbox's own controllers. */
export const administrator: Caller = {
  name: 'kubernetes-admin',
  uid: '',
  groups: ['system:masters', 'system:authenticated'],
};

/** What a request wants, as RBAC sees it. */
export type Attributes =
  | {
      readonly verb: string;
      readonly group: string;
      readonly version: string;
      /** `pods`, or with a subresource `pods/log`. */
      readonly resource: string;
      readonly namespace: string;
      readonly name: string;
    }
  | { readonly verb: string; readonly path: string };

/** The answer, with the reason as SelfSubjectAccessReview shows it. */
export interface Permission {
  readonly allowed: boolean;
  readonly reason: string;
}

/** Decides from the RBAC objects as they are now. */
export interface Authorizer {
  allows(caller: Caller, attributes: Attributes): Permission;
}

/** Turns a bearer token into its caller; undefined when nobody (any more) has that token. */
export interface Authenticator {
  callerOf(token: string): Caller | undefined;
}
