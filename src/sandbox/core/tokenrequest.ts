/** `serviceaccounts/token`: a token is asked for. https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/ */
import type { BoundObject, Tokens } from '../access/tokens.ts';
import type { ApiClient } from '../api/client.ts';
import type { Subresource } from '../api/kind.ts';
import { groupVersionOf, type JsonObject, type KubeObject } from '../object.ts';
import { int64, list, text } from '../schema/node.ts';
import { badRequest, type Cause, conflict, invalid, notFound } from '../status.ts';
import { builtinSchema } from './builtin.ts';
import { invalidValue } from './causes.ts';
import { isObject, numberIn, objectIn, textIn, textsIn } from './reading.ts';
import { secondsOf } from './times.ts';
import { always, orNull, struct, time } from './typed.ts';

const group = 'authentication.k8s.io';
const kind = 'TokenRequest';

const boundObjectReference = struct('io.k8s.api.authentication.v1.BoundObjectReference', {
  kind: text(),
  apiVersion: text(),
  name: text(),
  uid: text(),
});

const tokenRequestSpec = struct(
  'io.k8s.api.authentication.v1.TokenRequestSpec',
  { audiences: always(list(text())), expirationSeconds: orNull(int64()), boundObjectRef: orNull(boundObjectReference) },
  { required: ['audiences'] },
);

const tokenRequestStatus = struct(
  'io.k8s.api.authentication.v1.TokenRequestStatus',
  { token: always(text()), expirationTimestamp: always(time()) },
  { required: ['token', 'expirationTimestamp'] },
);

const schema = builtinSchema({ fields: { spec: always(tokenRequestSpec), status: always(tokenRequestStatus) } });

/** Issues tokens. Throws what the server throws: 422 for times out of bounds, 404 and 409 for a bound object that is not there. */
export function tokenSubresource(parts: {
  now(): Date;
  readonly tokens: Tokens;
  readonly reader: Pick<ApiClient, 'get'>;
}): Subresource {
  return {
    kind,
    group,
    version: 'v1',
    verbs: ['create'],
    handle({ body }, account) {
      const asked = readRequest(body, account);
      const spec = objectIn(asked.spec);
      const seconds = numberIn(spec.expirationSeconds);
      const causes = expirationCauses(seconds);
      if (causes.length > 0) throw invalid({ group, kind }, '', causes);
      const bound = boundObject(spec.boundObjectRef, account, parts.reader);
      const now = parts.now();
      const { token, audiences } = parts.tokens.issue(account, { audiences: textsIn(spec.audiences), seconds, bound });
      return {
        code: 201,
        object: {
          kind,
          apiVersion: `${group}/v1`,
          metadata: {
            name: account.metadata.name,
            namespace: account.metadata.namespace,
            uid: account.metadata.uid,
            creationTimestamp: secondsOf(now),
          },
          spec: { audiences: [...audiences], expirationSeconds: seconds, boundObjectRef: spec.boundObjectRef ?? null },
          status: { token, expirationTimestamp: secondsOf(new Date(now.getTime() + seconds * 1000)) },
        },
      };
    },
  };
}

/** The request in the body, which need not say what kind it is. */
function readRequest(body: JsonObject | undefined, account: KubeObject): KubeObject {
  const { apiVersion = `${group}/v1`, kind: named = kind, metadata, ...rest } = body ?? {};
  const version = textIn(apiVersion).split('/').at(-1) ?? '';
  if (apiVersion !== `${group}/v1` || named !== kind) {
    const why = `converting (${version}.${named}) to (authentication.${kind}): unknown conversion`;
    throw badRequest(`${named} in version "${version}" cannot be handled as a ${kind}: ${why}`);
  }
  const asked = structuredClone({ ...rest, apiVersion, kind, metadata: objectIn(metadata) }) as KubeObject; // nothing of its metadata is required
  schema.prune(asked);
  schema.applyDefaults(asked);
  checkAccount(asked.metadata, account.metadata);
  objectIn(asked.spec).expirationSeconds ??= 3600;
  return asked;
}

/** Throws for a request that names another account than its path does. */
function checkAccount(asked: Partial<KubeObject['metadata']>, { name, namespace, uid }: KubeObject['metadata']): void {
  for (const [field, given, own] of [
    ['name', asked.name, name],
    ['namespace', asked.namespace, namespace],
  ] as const) {
    if ((given ?? '') === '' || given === own) continue;
    const cause = invalidValue(`metadata.${field}`, given, `must match the service account ${field} if specified`);
    throw invalid({ group, kind }, name, [cause]);
  }
  if ((asked.uid ?? '') === '' || asked.uid === uid) return;
  const why = `the UID in the token request (${asked.uid}) does not match the UID of the service account (${uid})`;
  throw conflict({ group, plural: kind }, name, why);
}

function expirationCauses(seconds: number): Cause[] {
  const field = 'spec.expirationSeconds';
  if (seconds < 600) return [invalidValue(field, seconds, 'may not specify a duration less than 10 minutes')];
  if (seconds > 2 ** 32) return [invalidValue(field, seconds, 'may not specify a duration larger than 2^32 seconds')];
  return [];
}

const boundKinds: ReadonlyMap<
  string,
  { readonly kind: BoundObject['kind']; readonly plural: string; readonly namespaced: boolean }
> = new Map([
  ['Pod', { kind: 'Pod', plural: 'pods', namespaced: true }],
  ['Secret', { kind: 'Secret', plural: 'secrets', namespaced: true }],
  ['Node', { kind: 'Node', plural: 'nodes', namespaced: false }],
]);

function boundObject(
  reference: JsonObject[string],
  account: KubeObject,
  reader: Pick<ApiClient, 'get'>,
): BoundObject | undefined {
  if (!isObject(reference)) return undefined;
  const bindable = reference.apiVersion === 'v1' ? boundKinds.get(textIn(reference.kind)) : undefined;
  if (bindable === undefined) {
    const { group: of, version } = groupVersionOf(textIn(reference.apiVersion));
    throw badRequest(`cannot bind token to object of type ${of}/${version}, Kind=${textIn(reference.kind)}`);
  }
  const name = textIn(reference.name);
  const subject = { group: '', plural: bindable.plural };
  const namespace = bindable.namespaced ? (account.metadata.namespace ?? '') : '';
  const object = reader.get({ ...subject, version: 'v1' }, namespace, name);
  if (object === undefined) throw notFound(subject, name);
  const own = account.metadata.name;
  if (bindable.kind === 'Pod' && objectIn(object.spec).serviceAccountName !== own) {
    throw badRequest(
      `cannot bind token for serviceaccount "${own}" to pod running with different serviceaccount name.`,
    );
  }
  const uid = textIn(reference.uid);
  if (uid !== '' && uid !== object.metadata.uid) {
    const why = `the UID in the bound object reference (${uid}) does not match the UID in record. The object might have been deleted and then recreated`;
    throw conflict(subject, name, why);
  }
  return { kind: bindable.kind, name, uid: object.metadata.uid };
}
