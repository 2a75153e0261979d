/**
 * The kinds that are asked and not kept: may I, may they, who am I, whose token is this.
 * https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/
 */
import type { Kind } from '../api/kind.ts';
import { builtin } from '../core/builtin.ts';
import { invalidValue, required } from '../core/causes.ts';
import { isObject, objectIn, objectsIn, textIn, textsIn } from '../core/reading.ts';
import { labelSelectorRequirement } from '../core/shapes/meta.ts';
import { secondsOf } from '../core/times.ts';
import { always, struct } from '../core/typed.ts';
import type { Json, JsonObject, KubeObject } from '../object.ts';
import { flag, list, map, type SchemaNode, text } from '../schema/node.ts';
import { badRequest, type Cause, invalid } from '../status.ts';
import type { Attributes, Caller } from './caller.ts';
import type { PolicyRule, RoleAuthorizer } from './rbac.ts';
import { issuer, type TokenClaims, type Tokens } from './tokens.ts';

const authorization = 'authorization.k8s.io';
const authentication = 'authentication.k8s.io';
const inAuthorization = (name: string) => `io.k8s.api.authorization.v1.${name}`;
const inAuthentication = (name: string) => `io.k8s.api.authentication.v1.${name}`;

const fieldSelectorRequirement = struct(
  'io.k8s.apimachinery.pkg.apis.meta.v1.FieldSelectorRequirement',
  { key: always(text()), operator: always(text()), values: list(text()) },
  { required: ['key', 'operator'] },
);

const resourceAttributes = struct(inAuthorization('ResourceAttributes'), {
  namespace: text(),
  verb: text(),
  group: text(),
  version: text(),
  resource: text(),
  subresource: text(),
  name: text(),
  fieldSelector: struct(inAuthorization('FieldSelectorAttributes'), {
    rawSelector: text(),
    requirements: list(fieldSelectorRequirement),
  }),
  labelSelector: struct(inAuthorization('LabelSelectorAttributes'), {
    rawSelector: text(),
    requirements: list(labelSelectorRequirement),
  }),
});

const nonResourceAttributes = struct(inAuthorization('NonResourceAttributes'), { path: text(), verb: text() });

const subjectAccessReviewSpec = struct(inAuthorization('SubjectAccessReviewSpec'), {
  resourceAttributes,
  nonResourceAttributes,
  user: text(),
  groups: list(text()),
  extra: map(list(text())),
  uid: text(),
});

const subjectAccessReviewStatus = struct(
  inAuthorization('SubjectAccessReviewStatus'),
  { allowed: always(flag()), denied: flag(), reason: text(), evaluationError: text() },
  { required: ['allowed'] },
);

const subjectRulesReviewStatus = struct(
  inAuthorization('SubjectRulesReviewStatus'),
  {
    resourceRules: always(
      list(
        struct(
          inAuthorization('ResourceRule'),
          {
            verbs: always(list(text())),
            apiGroups: list(text()),
            resources: list(text()),
            resourceNames: list(text()),
          },
          { required: ['verbs'] },
        ),
      ),
    ),
    nonResourceRules: always(
      list(
        struct(
          inAuthorization('NonResourceRule'),
          { verbs: always(list(text())), nonResourceURLs: list(text()) },
          { required: ['verbs'] },
        ),
      ),
    ),
    incomplete: always(flag()),
    evaluationError: text(),
  },
  { required: ['resourceRules', 'nonResourceRules', 'incomplete'] },
);

const userInfo = struct(inAuthentication('UserInfo'), {
  username: text(),
  uid: text(),
  groups: list(text()),
  extra: map(list(text())),
});

const tokenReviewSpec = struct(inAuthentication('TokenReviewSpec'), { token: text(), audiences: list(text()) });

const tokenReviewStatus = struct(inAuthentication('TokenReviewStatus'), {
  authenticated: flag(),
  user: always(userInfo),
  audiences: list(text()),
  error: text(),
});

/** All of them. */
export function reviewKinds({
  now,
  tokens,
  authorizer,
}: {
  now(): Date;
  readonly tokens: Tokens;
  readonly authorizer: RoleAuthorizer;
}): Kind[] {
  const permission = (caller: Caller, spec: JsonObject): JsonObject => {
    const { allowed, reason } = authorizer.allows(caller, attributesOf(spec));
    return { allowed, ...(reason === '' ? {} : { reason }) };
  };
  return [
    reviewKind('SelfSubjectAccessReview', {
      group: authorization,
      spec: struct(inAuthorization('SelfSubjectAccessReviewSpec'), { resourceAttributes, nonResourceAttributes }),
      status: subjectAccessReviewStatus,
      review(asked, caller) {
        refuse(asked, [...attributeCauses(asked), ...metadataCauses(asked)]);
        return { ...asked, status: permission(caller, objectIn(asked.spec)) };
      },
    }),
    reviewKind('SubjectAccessReview', {
      group: authorization,
      spec: subjectAccessReviewSpec,
      status: subjectAccessReviewStatus,
      review(asked) {
        refuse(asked, [...attributeCauses(asked), ...subjectCauses(asked), ...metadataCauses(asked)]);
        return { ...asked, status: permission(subjectOf(asked), objectIn(asked.spec)) };
      },
    }),
    reviewKind('LocalSubjectAccessReview', {
      group: authorization,
      namespaced: true,
      spec: subjectAccessReviewSpec,
      status: subjectAccessReviewStatus,
      review(asked) {
        refuse(asked, [
          ...attributeCauses(asked),
          ...subjectCauses(asked),
          ...metadataCauses(asked),
          ...placeCauses(asked),
        ]);
        return { ...asked, status: permission(subjectOf(asked), objectIn(asked.spec)) };
      },
    }),
    reviewKind('SelfSubjectRulesReview', {
      group: authorization,
      spec: struct(inAuthorization('SelfSubjectRulesReviewSpec'), { namespace: text() }),
      status: subjectRulesReviewStatus,
      review(asked, caller) {
        const namespace = textIn(objectIn(asked.spec).namespace);
        if (namespace === '') throw badRequest('no namespace on request');
        const { rules, problem } = authorizer.rights(caller, namespace);
        return answer(asked, {
          spec: {},
          status: {
            resourceRules: rules.filter(({ resources }) => resources.length > 0).map(resourceRule),
            nonResourceRules: rules.filter(({ nonResourceURLs }) => nonResourceURLs.length > 0).map(nonResourceRule),
            incomplete: false,
            ...(problem === '' ? {} : { evaluationError: problem }),
          },
        });
      },
    }),
    reviewKind('SelfSubjectReview', {
      group: authentication,
      spec: undefined,
      status: struct(inAuthentication('SelfSubjectReviewStatus'), { userInfo: always(userInfo) }),
      review(asked, caller) {
        const metadata = { creationTimestamp: secondsOf(now()) };
        return { ...answer(asked, { status: { userInfo: shownCaller(caller, {}) } }), metadata: metadataOf(metadata) };
      },
    }),
    reviewKind('TokenReview', {
      group: authentication,
      spec: tokenReviewSpec,
      status: tokenReviewStatus,
      review(asked) {
        const spec = objectIn(asked.spec);
        if (textIn(spec.token) === '') throw badRequest('token is required for TokenReview in authentication');
        const audiences = textsIn(spec.audiences);
        return {
          ...asked,
          status: tokenStatus(tokens, textIn(spec.token), audiences.length === 0 ? [issuer] : audiences),
        };
      },
    }),
  ];
}

interface ReviewKind {
  readonly group: string;
  readonly namespaced?: true;
  readonly spec: SchemaNode | undefined;
  readonly status: SchemaNode;
  readonly review: NonNullable<Kind['review']>;
}

function reviewKind(kind: string, { group, namespaced, spec, status, review }: ReviewKind): Kind {
  return builtin({
    group,
    version: 'v1',
    kind,
    plural: `${kind.toLowerCase()}s`,
    namespaced: namespaced ?? false,
    verbs: ['create'],
    fields: { ...(spec === undefined ? {} : { spec: always(spec) }), status: always(status) },
    ...(spec === undefined ? {} : { required: ['spec'] }),
    review,
  });
}

/** The answer to a question of which nothing but its kind is repeated. */
function answer({ apiVersion, kind }: KubeObject, fields: JsonObject): KubeObject {
  return { ...fields, apiVersion, kind, metadata: metadataOf({}) };
}

/** What is not kept has no name, uid or version. */
function metadataOf(fields: Partial<KubeObject['metadata']>): KubeObject['metadata'] {
  return fields as KubeObject['metadata'];
}

function attributesOf(spec: JsonObject): Attributes {
  const { nonResourceAttributes: plain, resourceAttributes: asked } = spec;
  if (isObject(plain)) return { verb: textIn(plain.verb), path: textIn(plain.path) };
  const { verb, group, version, resource, subresource, namespace, name } = objectIn(asked);
  return {
    verb: textIn(verb),
    group: textIn(group),
    version: textIn(version),
    resource: textIn(subresource) === '' ? textIn(resource) : `${textIn(resource)}/${textIn(subresource)}`,
    namespace: textIn(namespace),
    name: textIn(name),
  };
}

function subjectOf({ spec }: KubeObject): Caller {
  const { user, uid, groups } = objectIn(spec);
  return { name: textIn(user), uid: textIn(uid), groups: textsIn(groups) };
}

function refuse({ apiVersion }: KubeObject, causes: readonly Cause[]): void {
  // The server has lost the kind by the time it refuses.
  if (causes.length > 0) throw invalid({ group: apiVersion.split('/')[0] ?? '', kind: '' }, '', causes);
}

function attributeCauses({ spec }: KubeObject): Cause[] {
  const { resourceAttributes: asked, nonResourceAttributes: plain } = objectIn(spec);
  const causes: Cause[] = [];
  if (isObject(asked) && isObject(plain)) {
    const why = 'cannot be specified in combination with resourceAttributes';
    causes.push(invalidValue('spec.nonResourceAttributes', inGo(plain), why));
  }
  if (!isObject(asked) && !isObject(plain)) {
    const why = 'exactly one of nonResourceAttributes or resourceAttributes must be specified';
    causes.push(invalidValue('spec.resourceAttributes', null, why));
  }
  for (const name of ['fieldSelector', 'labelSelector']) {
    causes.push(...selectorCauses(objectIn(asked)[name], `spec.resourceAttributes.${name}`));
  }
  return causes;
}

function selectorCauses(selector: Json | undefined, field: string): Cause[] {
  if (!isObject(selector)) return [];
  const raw = textIn(selector.rawSelector);
  const requirements = objectsIn(selector.requirements);
  if (raw !== '' && requirements.length > 0) {
    return [invalidValue(`${field}.rawSelector`, raw, 'may not specified at the same time as requirements')];
  }
  if (raw !== '' || requirements.length > 0) return [];
  return [required(`${field}.requirements`, `when ${field} is specified, requirements or rawSelector is required`)];
}

function subjectCauses({ spec }: KubeObject): Cause[] {
  const { user, groups } = objectIn(spec);
  if (textIn(user) !== '' || textsIn(groups).length > 0) return [];
  return [invalidValue('spec.user', '', 'at least one of user or group must be specified')];
}

function metadataCauses({ metadata, kind }: KubeObject): Cause[] {
  const local = kind === 'LocalSubjectAccessReview';
  const { managedFields, namespace, ...rest } = metadata;
  const said = Object.entries({ ...rest, ...(local ? {} : { namespace }) }).some(([, value]) => (value ?? '') !== '');
  const why = local ? 'must be empty except for namespace' : 'must be empty';
  return said ? [invalidValue('metadata', JSON.parse(JSON.stringify(metadata)), why)] : [];
}

function placeCauses({ metadata, spec }: KubeObject): Cause[] {
  const { resourceAttributes: asked, nonResourceAttributes: plain } = objectIn(spec);
  const causes: Cause[] = [];
  if (isObject(asked) && textIn(asked.namespace) !== (metadata.namespace ?? '')) {
    const field = 'spec.resourceAttributes.namespace';
    causes.push(invalidValue(field, textIn(asked.namespace), 'must match metadata.namespace'));
  }
  if (isObject(plain)) {
    causes.push(invalidValue('spec.nonResourceAttributes', inGo(plain), 'disallowed on this kind of request'));
  }
  return causes;
}

/** The server shows these attributes by the names its own struct has for them. */
function inGo({ path, verb }: JsonObject): JsonObject {
  return { Path: textIn(path), Verb: textIn(verb) };
}

function resourceRule({ verbs, apiGroups, resources, resourceNames }: PolicyRule): JsonObject {
  return {
    verbs: [...verbs],
    apiGroups: [...apiGroups],
    resources: [...resources],
    ...(resourceNames.length === 0 ? {} : { resourceNames: [...resourceNames] }),
  };
}

function nonResourceRule({ verbs, nonResourceURLs }: PolicyRule): JsonObject {
  return { verbs: [...verbs], nonResourceURLs: [...nonResourceURLs] };
}

function shownCaller({ name, uid, groups }: Caller, extra: TokenClaims['extra']): JsonObject {
  const said: [string, Json][] = Object.entries(extra).map(([key, values]) => [key, [...values]]);
  return {
    username: name,
    ...(uid === '' ? {} : { uid }),
    groups: [...groups],
    ...(said.length === 0 ? {} : { extra: Object.fromEntries(said) }),
  };
}

function tokenStatus(tokens: Tokens, token: string, audiences: readonly string[]): JsonObject {
  const claims = tokens.review(token, audiences);
  if (claims === undefined) return { user: {}, error: 'invalid bearer token' };
  return { authenticated: true, user: shownCaller(claims.caller, claims.extra), audiences: [...claims.audiences] };
}
