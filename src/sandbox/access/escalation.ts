/**
 * Nobody gives away rights that they do not have: who writes a role has all that its rules say, and who binds one too, unless
 * they may `escalate` or `bind` it. https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping
 */
import { isDeepStrictEqual } from 'node:util';
import { objectIn, textIn } from '../core/reading.ts';
import type { KubeObject } from '../object.ts';
import { forbidden, notFound } from '../status.ts';
import type { Attributes, Caller } from './caller.ts';
import { almighty, covers, type PolicyRule, policyRules, type RoleAuthorizer } from './rbac.ts';

const group = 'rbac.authorization.k8s.io';

/** Throws the 403 of a role or binding that would give more than its writer has, or the 404 of a binding to no role. */
export function refuseEscalation(
  object: KubeObject,
  old: KubeObject | undefined,
  { caller, authorizer }: { readonly caller: Caller; readonly authorizer: RoleAuthorizer },
): void {
  if (caller.groups.includes(almighty) || (old !== undefined && isSameButForOwners(object, old))) return;
  const { name, namespace = '' } = object.metadata;
  const given = object.kind.endsWith('Binding')
    ? boundRules(object, namespace, caller, authorizer)
    : writtenRules(object, old, namespace, caller, authorizer);
  const { rules, problem } = authorizer.rights(caller, namespace);
  const missing = given.flatMap(smallest).filter((wanted) => !rules.some((rule) => covers(rule, wanted)));
  if (missing.length === 0) return;
  const sentence = `user ${quoted(caller.name)} (groups=${quotedList(caller.groups)}) is attempting to grant RBAC permissions not currently held:`;
  const unresolved = problem === '' ? '' : `; resolution errors: [${problem}]`;
  const plural = `${object.kind.toLowerCase()}s`;
  throw forbidden({ group, plural }, name ?? '', `${sentence}\n${described(missing).join('\n')}${unresolved}`);
}

/** What a role would give, or nothing when its writer may write anything into it. */
function writtenRules(
  role: KubeObject,
  old: KubeObject | undefined,
  namespace: string,
  caller: Caller,
  authorizer: RoleAuthorizer,
): readonly PolicyRule[] {
  const name = old === undefined ? '' : role.metadata.name;
  const escalate = { verb: 'escalate', group, version: '*', resource: `${role.kind.toLowerCase()}s`, namespace, name };
  return authorizer.allows(caller, escalate).allowed ? [] : policyRules(role);
}

/** What a binding would give, or nothing when its writer may bind that role. */
function boundRules(
  binding: KubeObject,
  namespace: string,
  caller: Caller,
  authorizer: RoleAuthorizer,
): readonly PolicyRule[] {
  const ref = objectIn(binding.roleRef);
  const [kind, name] = [textIn(ref.kind), textIn(ref.name)];
  const plural = `${kind.toLowerCase()}s`;
  if (authorizer.allows(caller, { verb: 'bind', group, version: '*', resource: plural, namespace, name }).allowed)
    return [];
  const rules = authorizer.rulesOf({ kind, name }, namespace);
  if (rules === undefined) throw notFound({ group, plural }, name);
  return rules;
}

/** Whoever cleans up after others may do so with roles that give more than they have. */
function isSameButForOwners(object: KubeObject, old: KubeObject): boolean {
  const lasting = ({ metadata, ...rest }: KubeObject) => {
    const { ownerReferences, finalizers, managedFields, resourceVersion, ...kept } = metadata;
    return { ...rest, metadata: kept };
  };
  return isDeepStrictEqual(lasting(object), lasting(old));
}

/** A rule as the single permissions that it is made of. */
function smallest({ verbs, apiGroups, resources, resourceNames, nonResourceURLs }: PolicyRule): Attributes[] {
  const names = resourceNames.length === 0 ? [''] : resourceNames;
  const onResources = apiGroups.flatMap((apiGroup) =>
    resources.flatMap((resource) =>
      verbs.flatMap((verb) =>
        names.map((name) => ({ verb, group: apiGroup, version: '', resource, namespace: '', name })),
      ),
    ),
  );
  return [...onResources, ...nonResourceURLs.flatMap((path) => verbs.map((verb) => ({ verb, path })))];
}

/** What is missing, a line for each resource and page, in alphabetical order. Verbs of one resource stand together. */
function described(missing: readonly Attributes[]): string[] {
  const verbsOf = new Map<string, string[]>();
  const lines: string[] = [];
  for (const one of missing) {
    if ('path' in one) {
      lines.push(`{NonResourceURLs:${quotedList([one.path])}, Verbs:${quotedList([one.verb])}}`);
      continue;
    }
    const named = one.name === '' ? '' : `, ResourceNames:${quotedList([one.name])}`;
    const what = `APIGroups:${quotedList([one.group])}, Resources:${quotedList([one.resource])}${named}`;
    verbsOf.set(what, [...(verbsOf.get(what) ?? []), one.verb]);
  }
  for (const [what, verbs] of verbsOf) lines.push(`{${what}, Verbs:${quotedList(verbs)}}`);
  return lines.sort();
}

function quotedList(texts: readonly string[]): string {
  return `[${texts.map(quoted).join(' ')}]`;
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
