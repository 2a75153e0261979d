/** Roles and bindings. https://kubernetes.io/docs/reference/access-authn-authz/rbac/ */
import { isDeepStrictEqual } from 'node:util';
import { refuseEscalation } from '../access/escalation.ts';
import type { RoleAuthorizer } from '../access/rbac.ts';
import type { Column, Kind, Strategy } from '../api/kind.ts';
import type { JsonObject, KubeObject } from '../object.ts';
import { list, type SchemaNode, text } from '../schema/node.ts';
import type { Cause } from '../status.ts';
import { builtin } from './builtin.ts';
import { invalidValue, notSupported, required } from './causes.ts';
import { ageColumn, column } from './columns.ts';
import { dnsSubdomain, formatted, pathSegment } from './formats.ts';
import { isObject, objectIn, objectsIn, textIn, textsIn } from './reading.ts';
import { labelSelector } from './shapes/meta.ts';
import { always, struct } from './typed.ts';

const group = 'rbac.authorization.k8s.io';
const inRbac = (name: string) => `io.k8s.api.rbac.v1.${name}`;

const policyRule = struct(
  inRbac('PolicyRule'),
  {
    verbs: always(list(text())),
    apiGroups: list(text()),
    resources: list(text()),
    resourceNames: list(text()),
    nonResourceURLs: list(text()),
  },
  { required: ['verbs'] },
);

const roleRef = struct(
  inRbac('RoleRef'),
  { apiGroup: always(text()), kind: always(text()), name: always(text()) },
  { required: ['apiGroup', 'kind', 'name'], 'x-kubernetes-map-type': 'atomic' },
);

const subject = struct(
  inRbac('Subject'),
  { kind: always(text()), apiGroup: text(), name: always(text()), namespace: text() },
  { required: ['kind', 'name'], 'x-kubernetes-map-type': 'atomic' },
);

const aggregationRule = struct(inRbac('AggregationRule'), { clusterRoleSelectors: list(labelSelector) });

/** `roles`, `clusterroles` and their bindings. The authorizer is told whenever one of them has changed. */
export function roleKinds(authorizer: RoleAuthorizer): Kind[] {
  const rules = always(list(policyRule));
  const binding = { roleRef: always(roleRef), subjects: list(subject) };
  const strategy = (validate: NonNullable<Strategy['validate']>): Strategy => ({
    names: pathSegment,
    stored: () => authorizer.changed(),
    mutate: (object, old, caller) => refuseEscalation(object, old, { caller, authorizer }),
    validate,
  });
  return [
    kindOf('Role', true, { rules }, strategy(ruleCauses)),
    kindOf(
      'ClusterRole',
      false,
      { rules, aggregationRule },
      strategy((role) => [...ruleCauses(role), ...aggregationCauses(role)]),
    ),
    bindingOf('RoleBinding', true, binding, strategy(bindingCauses)),
    bindingOf('ClusterRoleBinding', false, binding, strategy(bindingCauses)),
  ];
}

function kindOf(
  kind: string,
  namespaced: boolean,
  fields: { readonly [name: string]: SchemaNode },
  strategy: Strategy,
): Kind {
  return builtin({
    group,
    version: 'v1',
    kind,
    plural: `${kind.toLowerCase()}s`,
    namespaced,
    createsOnUpdate: true,
    fields,
    strategy,
  });
}

function bindingOf(
  kind: string,
  namespaced: boolean,
  fields: { readonly [name: string]: SchemaNode },
  strategy: Strategy,
): Kind {
  return builtin({
    group,
    version: 'v1',
    kind,
    plural: `${kind.toLowerCase()}s`,
    namespaced,
    createsOnUpdate: true,
    fields,
    required: ['roleRef'],
    defaults: nameGroups,
    columns: bindingColumns,
    strategy,
  });
}

const bindingColumns: readonly Column[] = [
  column('Role', 'The role that is given', (binding) => {
    const { kind, name } = objectIn(binding.roleRef);
    return `${textIn(kind)}/${textIn(name)}`;
  }),
  ageColumn,
  column('Users', 'Users in it', subjectsOf('User'), { wide: true }),
  column('Groups', 'Groups in it', subjectsOf('Group'), { wide: true }),
  column('ServiceAccounts', 'Service accounts in it', subjectsOf('ServiceAccount'), { wide: true }),
];

function subjectsOf(kind: string): (binding: KubeObject) => string {
  return ({ subjects }) =>
    objectsIn(subjects)
      .filter((one) => one.kind === kind)
      .map(({ name, namespace }) => (kind === 'ServiceAccount' ? `${textIn(namespace)}/${textIn(name)}` : textIn(name)))
      .join(', ');
}

/** Roles, users and groups are of this group unless they say otherwise. */
function nameGroups(binding: KubeObject): void {
  const ref = objectIn(binding.roleRef);
  if (textIn(ref.apiGroup) === '') ref.apiGroup = group;
  for (const one of objectsIn(binding.subjects)) {
    if (textIn(one.apiGroup) === '' && (one.kind === 'User' || one.kind === 'Group')) one.apiGroup = group;
  }
}

function ruleCauses(role: KubeObject): Cause[] {
  return objectsIn(role.rules).flatMap((rule, place) => {
    const at = `rules[${place}]`;
    const causes: Cause[] = [];
    const urls = textsIn(rule.nonResourceURLs);
    if (textsIn(rule.verbs).length === 0) causes.push(required(`${at}.verbs`, 'verbs must contain at least one value'));
    if (urls.length > 0) {
      const field = `${at}.nonResourceURLs`;
      if (role.kind === 'Role') {
        causes.push(invalidValue(field, urls, 'namespaced rules cannot apply to non-resource URLs'));
      }
      if ([rule.apiGroups, rule.resources, rule.resourceNames].some((names) => textsIn(names).length > 0)) {
        causes.push(invalidValue(field, urls, 'rules cannot apply to both regular resources and non-resource URLs'));
      }
      return causes;
    }
    if (textsIn(rule.apiGroups).length === 0) {
      causes.push(required(`${at}.apiGroups`, 'resource rules must supply at least one api group'));
    }
    if (textsIn(rule.resources).length === 0) {
      causes.push(required(`${at}.resources`, 'resource rules must supply at least one resource'));
    }
    return causes;
  });
}

function aggregationCauses({ aggregationRule: rule }: KubeObject): Cause[] {
  if (!isObject(rule) || objectsIn(rule.clusterRoleSelectors).length > 0) return [];
  const why = 'at least one clusterRoleSelector required if aggregationRule is non-nil';
  return [required('aggregationRule.clusterRoleSelectors', why)];
}

function bindingCauses(binding: KubeObject, old: KubeObject | undefined): Cause[] {
  const namespaced = binding.kind === 'RoleBinding';
  const ref = objectIn(binding.roleRef);
  const kinds = namespaced ? ['Role', 'ClusterRole'] : ['ClusterRole'];
  const causes: Cause[] = [];
  if (ref.apiGroup !== group) causes.push(notSupported('roleRef.apiGroup', textIn(ref.apiGroup), [group]));
  if (!kinds.includes(textIn(ref.kind))) causes.push(notSupported('roleRef.kind', textIn(ref.kind), kinds));
  if (textIn(ref.name) === '') causes.push(required('roleRef.name'));
  else causes.push(...formatted('roleRef.name', textIn(ref.name), pathSegment));
  for (const [place, one] of objectsIn(binding.subjects).entries()) {
    causes.push(...subjectCauses(one, namespaced, `subjects[${place}]`));
  }
  if (old !== undefined && !isDeepStrictEqual(inGo(old.roleRef), inGo(ref))) {
    causes.push(invalidValue('roleRef', inGo(ref), 'cannot change roleRef'));
  }
  return causes;
}

function subjectCauses(one: JsonObject, namespaced: boolean, at: string): Cause[] {
  const [kind, name, apiGroup] = [textIn(one.kind), textIn(one.name), textIn(one.apiGroup)];
  const causes: Cause[] = [];
  if (name === '') causes.push(required(`${at}.name`));
  switch (kind) {
    case 'ServiceAccount':
      if (name !== '') causes.push(...formatted(`${at}.name`, name, dnsSubdomain));
      if (apiGroup !== '') causes.push(notSupported(`${at}.apiGroup`, apiGroup, ['']));
      if (!namespaced && textIn(one.namespace) === '') causes.push(required(`${at}.namespace`));
      break;
    case 'User':
    case 'Group':
      if (apiGroup !== group) causes.push(notSupported(`${at}.apiGroup`, apiGroup, [group]));
      break;
    default:
      causes.push(notSupported(`${at}.kind`, kind, ['ServiceAccount', 'User', 'Group']));
  }
  return causes;
}

/** The server shows a reference by the names its own struct has for the fields. */
function inGo(ref: JsonObject[string]): JsonObject {
  const { apiGroup, kind, name } = objectIn(ref);
  return { APIGroup: textIn(apiGroup), Kind: textIn(kind), Name: textIn(name) };
}
