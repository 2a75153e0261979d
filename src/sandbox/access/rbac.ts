/**
 * Role-based access: decides from the roles and bindings that are stored.
 * https://kubernetes.io/docs/reference/access-authn-authz/rbac/
 */
import type { ApiClient } from '../api/client.ts';
import { isObject, objectIn, objectsIn, textIn, textsIn } from '../core/reading.ts';
import type { JsonObject, KubeObject, Resource } from '../object.ts';
import { forbidden, StatusError } from '../status.ts';
import type { Attributes, Authorizer, Caller, Permission } from './caller.ts';
import { serviceAccountName } from './tokens.ts';

/** One rule of a role. Empty lists stand for what the rule does not say. */
export interface PolicyRule {
  readonly verbs: readonly string[];
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames: readonly string[];
  readonly nonResourceURLs: readonly string[];
}

/** What a caller may do in a namespace. */
export interface Rights {
  readonly rules: readonly PolicyRule[];
  /** Roles that bindings name and that are not there, in a sentence; '' when there are none. */
  readonly problem: string;
}

/** Authorizes by roles. */
export interface RoleAuthorizer extends Authorizer {
  /** Every rule that holds for `caller` in `namespace`; in '' those that hold everywhere. */
  rights(caller: Caller, namespace: string): Rights;
  /** The rules of a role, for a binding in `namespace`; undefined when it is not there. */
  rulesOf(
    roleRef: { readonly kind: string; readonly name: string },
    namespace: string,
  ): readonly PolicyRule[] | undefined;
  /** To be called after a role or a binding has changed; the next question reads them again. */
  changed(): void;
}

const rbac = 'rbac.authorization.k8s.io';
const resource = (plural: string): Resource => ({ group: rbac, version: 'v1', plural });

/** Whoever is in this group may do anything, whatever the roles say. */
export const almighty = 'system:masters';

/** Reads roles and bindings from `reader` when a question comes and something has changed since the last one. */
export function createAuthorizer(reader: Pick<ApiClient, 'list'>): RoleAuthorizer {
  let index: Index | undefined;
  const current = () => {
    index ??= indexRoles(reader);
    return index;
  };
  return {
    changed() {
      index = undefined;
    },
    allows(caller, attributes) {
      if (caller.groups.includes(almighty)) return { allowed: true, reason: '' };
      return decide(current(), caller, attributes);
    },
    rights(caller, namespace) {
      const grants = grantsOf(current(), caller, namespace);
      return { rules: grants.flatMap(({ rules }) => rules), problem: problemOf(grants) };
    },
    rulesOf: (roleRef, namespace) => current().rulesOf.get(roleKey(roleRef, namespace)),
  };
}

/**
 * The 403 that a caller gets who may not do what `attributes` say; `reason` is that of the permission.
 * `pods "x" is forbidden: User "u" cannot get resource "pods" in API group "" in the namespace "n"`.
 */
export function refusal(caller: Caller, attributes: Attributes, reason: string): StatusError {
  const sentence = `${forbiddenSentence(caller, attributes)}${reason === '' ? '' : `: ${reason}`}`;
  if ('path' in attributes) return new StatusError(403, 'Forbidden', `forbidden: ${sentence}`, {});
  const plural = attributes.resource.split('/')[0] ?? '';
  return forbidden({ group: attributes.group, plural }, attributes.name, sentence);
}

/** `User "u" cannot list resource "pods" in API group "" at the cluster scope`. */
export function forbiddenSentence({ name }: Caller, attributes: Attributes): string {
  const user = `User ${JSON.stringify(name)} cannot ${attributes.verb}`;
  if ('path' in attributes) return `${user} path ${JSON.stringify(attributes.path)}`;
  const { namespace } = attributes;
  const scope = namespace === '' ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`;
  const what = JSON.stringify(attributes.resource);
  return `${user} resource ${what} in API group ${JSON.stringify(attributes.group)} ${scope}`;
}

/** What one binding gives to one of its subjects. */
interface Grant {
  /** Where the binding and its subject stand; the first subject that fits is the one that counts. */
  readonly binding: number;
  readonly subject: number;
  /** `RoleBinding "a/b" of Role "c" to User "d"`. */
  readonly source: string;
  readonly rules: readonly PolicyRule[];
  /** Why there are no rules; '' when there are. */
  readonly problem: string;
}

interface Index {
  /** Rules by role: `ClusterRole x`, `Role namespace/x`. */
  readonly rulesOf: ReadonlyMap<string, readonly PolicyRule[]>;
  /** Grants by subject: `User x`, `Group x`. Those of a namespace hold there, those of '' everywhere. */
  readonly grants: ReadonlyMap<string, ReadonlyMap<string, readonly Grant[]>>;
}

function indexRoles(reader: Pick<ApiClient, 'list'>): Index {
  const clusterRoles = reader.list(resource('clusterroles'));
  const rulesOf = new Map<string, readonly PolicyRule[]>();
  for (const role of clusterRoles)
    rulesOf.set(`ClusterRole ${role.metadata.name}`, aggregatedRules(role, clusterRoles));
  for (const role of reader.list(resource('roles'))) {
    rulesOf.set(`Role ${role.metadata.namespace}/${role.metadata.name}`, policyRules(role));
  }
  const index = new Map<string, Map<string, Grant[]>>();
  const bindings = [...reader.list(resource('clusterrolebindings')), ...reader.list(resource('rolebindings'))];
  for (const [place, binding] of bindings.entries()) {
    const namespace = binding.metadata.namespace ?? '';
    const grants = index.get(namespace) ?? new Map<string, Grant[]>();
    index.set(namespace, grants);
    for (const [at, subject] of objectsIn(binding.subjects).entries()) {
      const key = keyOf(subject, namespace);
      if (key === undefined) continue;
      const held = grants.get(key) ?? [];
      held.push({ binding: place, subject: at, ...grantOf(binding, subject, rulesOf) });
      grants.set(key, held);
    }
  }
  return { rulesOf, grants: index };
}

function roleKey({ kind, name }: { readonly kind: string; readonly name: string }, namespace: string): string {
  return kind === 'Role' ? `Role ${namespace}/${name}` : `ClusterRole ${name}`;
}

function grantOf(
  binding: KubeObject,
  subject: JsonObject,
  rulesOf: ReadonlyMap<string, readonly PolicyRule[]>,
): Omit<Grant, 'binding' | 'subject'> {
  const { name, namespace } = binding.metadata;
  const ref = objectIn(binding.roleRef);
  const [kind, role] = [textIn(ref.kind), textIn(ref.name)];
  const rules = rulesOf.get(roleKey({ kind, name: role }, namespace ?? ''));
  const place = namespace === undefined ? name : `${name}/${namespace}`;
  const who =
    subject.kind === 'ServiceAccount'
      ? `${textIn(subject.name)}/${textIn(subject.namespace) || namespace}`
      : textIn(subject.name);
  const of = `${kind} ${JSON.stringify(role)}`;
  return {
    source: `${binding.kind} ${JSON.stringify(place)} of ${of} to ${textIn(subject.kind)} ${JSON.stringify(who)}`,
    rules: rules ?? [],
    problem: rules === undefined ? `${kind.toLowerCase()}.${rbac} ${JSON.stringify(role)} not found` : '',
  };
}

function keyOf({ kind, name, namespace }: JsonObject, own: string): string | undefined {
  if (kind === 'User' || kind === 'Group') return `${kind} ${textIn(name)}`;
  const of = textIn(namespace) || own;
  return kind === 'ServiceAccount' && of !== '' ? `User ${serviceAccountName(of, textIn(name))}` : undefined;
}

/** The grants that `caller` has in `namespace`, those that hold everywhere first; of each binding one. */
function grantsOf({ grants: index }: Index, caller: Caller, namespace: string): Grant[] {
  const keys = [`User ${caller.name}`, ...caller.groups.map((group) => `Group ${group}`)];
  const places = namespace === '' ? [''] : ['', namespace];
  const grants = places.flatMap((place) => keys.flatMap((key) => index.get(place)?.get(key) ?? []));
  return grants
    .sort((one, other) => one.binding - other.binding || one.subject - other.subject)
    .filter(({ binding }, place, all) => binding !== all[place - 1]?.binding);
}

function decide(index: Index, caller: Caller, attributes: Attributes): Permission {
  const grants = grantsOf(index, caller, 'path' in attributes ? '' : attributes.namespace);
  const allowing = grants.find(({ rules }) => rules.some((rule) => covers(rule, attributes)));
  if (allowing !== undefined) return { allowed: true, reason: `RBAC: allowed by ${allowing.source}` };
  const problem = problemOf(grants);
  return { allowed: false, reason: problem === '' ? '' : `RBAC: ${problem}` };
}

function problemOf(grants: readonly Grant[]): string {
  const problems = [...new Set(grants.map(({ problem }) => problem).filter((problem) => problem !== ''))];
  return problems.length > 1 ? `[${problems.join(', ')}]` : (problems[0] ?? '');
}

/** Whether one rule allows what is asked. */
export function covers(rule: PolicyRule, attributes: Attributes): boolean {
  if (!isNamed(rule.verbs, attributes.verb)) return false;
  if ('path' in attributes) return rule.nonResourceURLs.some((pattern) => matchesPath(pattern, attributes.path));
  const { group, resource: wanted, name } = attributes;
  const subresource = wanted.includes('/') ? wanted.slice(wanted.indexOf('/') + 1) : '';
  return (
    isNamed(rule.apiGroups, group) &&
    (isNamed(rule.resources, wanted) || (subresource !== '' && rule.resources.includes(`*/${subresource}`))) &&
    (rule.resourceNames.length === 0 || rule.resourceNames.includes(name))
  );
}

function isNamed(names: readonly string[], name: string): boolean {
  return names.includes('*') || names.includes(name);
}

function matchesPath(pattern: string, path: string): boolean {
  if (pattern === '*' || pattern === path) return true;
  return pattern.endsWith('*') && path.startsWith(pattern.slice(0, -1));
}

/** The rules of a ClusterRole, with those of the roles that it gathers by their labels. */
function aggregatedRules(
  role: KubeObject,
  all: readonly KubeObject[],
  within: ReadonlySet<KubeObject> = new Set(),
): PolicyRule[] {
  const rule = role.aggregationRule;
  if (!isObject(rule) || within.has(role)) return policyRules(role);
  const inside = new Set(within).add(role);
  const selectors = objectsIn(rule.clusterRoleSelectors);
  return all
    .filter((other) => other !== role && selectors.some((selector) => selects(selector, other.metadata.labels ?? {})))
    .flatMap((other) => aggregatedRules(other, all, inside));
}

function selects(selector: JsonObject, labels: { readonly [key: string]: string }): boolean {
  const equal = Object.entries(objectIn(selector.matchLabels)).every(([key, value]) => labels[key] === value);
  return (
    equal &&
    objectsIn(selector.matchExpressions).every(({ key, operator, values }) => {
      const value = labels[textIn(key)];
      const listed = value !== undefined && textsIn(values).includes(value);
      switch (operator) {
        case 'In':
          return listed;
        case 'NotIn':
          return !listed;
        case 'Exists':
          return value !== undefined;
        case 'DoesNotExist':
          return value === undefined;
        default:
          return false;
      }
    })
  );
}

/** The rules that are written down in a role. */
export function policyRules({ rules }: KubeObject): PolicyRule[] {
  return objectsIn(rules).map((rule) => ({
    verbs: textsIn(rule.verbs),
    apiGroups: textsIn(rule.apiGroups),
    resources: textsIn(rule.resources),
    resourceNames: textsIn(rule.resourceNames),
    nonResourceURLs: textsIn(rule.nonResourceURLs),
  }));
}
