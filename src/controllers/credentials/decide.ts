/**
 * What to make of a ManagedCredential: the Secret and the ServiceAccount that Tekton understands, and what its status says. Pure.
 * What it returns holds the token: it is for `perform` alone, never for a log.
 */
import { isDeepStrictEqual } from 'node:util';
import {
  type Json,
  type JsonObject,
  listOf,
  type ObjectRef,
  objectOf,
  present,
  stringOf,
  stringsOf,
} from '../../kube/objects.ts';
import type { Precondition } from '../../kube/writer.ts';
import {
  CREDENTIAL_API_VERSION,
  CREDENTIAL_KIND,
  type CredentialSpec,
  type ManagedCredential,
  namesFor,
} from './resource.ts';

/** Everything a decision depends on. Objects are as the API server has them. */
export interface CredentialFacts {
  readonly credential: ManagedCredential;
  /** Its spec, as `allowed` gives it. */
  readonly spec: CredentialSpec;
  /** The Secret with the token; undefined: there is none. */
  readonly source: JsonObject | undefined;
  /** What there is already under the names of what is to be made. */
  readonly secret: JsonObject | undefined;
  readonly serviceAccount: JsonObject | undefined;
}

/** One write. */
export type Act = { readonly kind: 'Secret' | 'ServiceAccount'; readonly object: JsonObject } & (
  | { readonly do: 'create' }
  /** The object carries the resourceVersion that it must still have. */
  | { readonly do: 'replace' }
  /** Its type cannot be changed in place. */
  | { readonly do: 'recreate'; readonly only: Precondition }
);

/** What has come of it. `reason` is a condition's. */
export type Outcome =
  | { readonly at: 'synced' }
  | { readonly at: 'secret not found'; readonly message: string }
  | { readonly at: 'failed'; readonly reason: string; readonly message: string };

/** What to write, in this order, and what may be said once that is done. Nothing is written unless it is `synced`. */
export interface CredentialDecision {
  readonly acts: readonly Act[];
  readonly outcome: Outcome;
}

/** The key of the token in its Secret; of what is made of it too, unless told otherwise. */
const TOKEN_KEY = 'token';
const DOCKER_CONFIG_KEY = '.dockerconfigjson';
const DOCKER_CONFIG_TYPE = 'kubernetes.io/dockerconfigjson';
/** Who a token is of, where its Secret has no `username`: what GitLab wants, and what others that look at the token alone accept. */
const TOKEN_USERNAME = 'oauth2';
/** Which labels and annotations came from a template, so that they go when the template no longer has them. */
const TEMPLATE_KEYS_ANNOTATION = 'rungate.dev/template-keys';

/** The spec, if the Secret it names may be looked at; else why not. */
export function allowed(
  { spec, meta }: ManagedCredential,
  acrossNamespaces: boolean,
): { readonly spec: CredentialSpec } | Outcome {
  if ('mistakes' in spec) return { at: 'failed', reason: 'InvalidSpec', message: spec.mistakes.join('; ') };
  if (spec.token.namespace === meta.namespace || acrossNamespaces) return { spec };
  const message = `spec.tokenSecretRef.namespace is ${spec.token.namespace}: Secrets of other namespaces are not read unless CREDENTIALS_ACROSS_NAMESPACES allows it`;
  return { at: 'failed', reason: 'NamespaceRefused', message };
}

/** Decides. What is as it should be is not written again. */
export function decide({ credential, spec, source, secret, serviceAccount }: CredentialFacts): CredentialDecision {
  const { meta } = credential;
  const from = `${spec.token.namespace}/${spec.token.name}`;
  if (source === undefined) return nothing({ at: 'secret not found', message: `Secret ${from} does not exist` });
  const content = contentOf(spec, source);
  if ('lacks' in content) {
    const message = `Secret ${from} has no value under the key ${content.lacks}`;
    return nothing({ at: 'failed', reason: 'KeyMissing', message });
  }
  for (const [kind, found] of [
    ['Secret', secret],
    ['ServiceAccount', serviceAccount],
  ] as const) {
    if (found === undefined || ownerUid(found) === meta.uid) continue;
    const message = `${kind} ${meta.namespace}/${objectOf(found.metadata).name} exists and does not belong to this ManagedCredential`;
    return nothing({ at: 'failed', reason: 'NameTaken', message });
  }
  const acts = [secretAct(credential, spec, content, secret), accountAct(credential, spec, content, serviceAccount)];
  return { acts: acts.filter((act) => act !== undefined), outcome: { at: 'synced' } };
}

function nothing(outcome: Outcome): CredentialDecision {
  return { acts: [], outcome };
}

/** What goes into the Secret. Values are base64, as the API server has them. */
interface Content {
  readonly type: string;
  readonly data: Readonly<Record<string, string>>;
  /** How Tekton learns where the token is for. https://tekton.dev/docs/pipelines/auth/ */
  readonly annotations: Readonly<Record<string, string>>;
}

function contentOf(spec: CredentialSpec, source: JsonObject): Content | { readonly lacks: string } {
  const given = stringsOf(source.data);
  const token = given[TOKEN_KEY];
  const dockerConfig = given[DOCKER_CONFIG_KEY];
  if (spec.type === 'docker-registry' && dockerConfig && (!token || source.type === DOCKER_CONFIG_TYPE)) {
    const type = spec.secret.type ?? DOCKER_CONFIG_TYPE;
    return { type, data: { [DOCKER_CONFIG_KEY]: dockerConfig }, annotations: {} };
  }
  if (!token) return { lacks: spec.type === 'docker-registry' ? `${TOKEN_KEY} or ${DOCKER_CONFIG_KEY}` : TOKEN_KEY };
  switch (spec.type) {
    case 'git':
    case 'docker-registry': {
      const annotation = spec.type === 'git' ? 'tekton.dev/git-0' : 'tekton.dev/docker-0';
      return {
        type: spec.secret.type ?? 'kubernetes.io/basic-auth',
        data: { username: given.username || Buffer.from(TOKEN_USERNAME).toString('base64'), password: token },
        annotations: { [annotation]: addressOf(spec) },
      };
    }
    case 'cloud-provider':
    case 'generic':
      return {
        type: spec.secret.type ?? 'Opaque',
        data: { [spec.secret.dataKey ?? TOKEN_KEY]: token },
        annotations: {},
      };
  }
}

/** Docker Hub is asked for under another name than it goes by. https://tekton.dev/docs/pipelines/auth/#configuring-authentication-for-docker */
function addressOf({ type, provider }: CredentialSpec): string {
  if (type === 'docker-registry' && provider === 'docker.io') return 'https://index.docker.io/v1/';
  return `https://${provider}`;
}

function secretAct(
  credential: ManagedCredential,
  { secret: template }: CredentialSpec,
  { type, data, annotations }: Content,
  existing: JsonObject | undefined,
): Act | undefined {
  const metadata = metadataOf(credential, namesFor(credential.meta.name).secret, existing, {
    labels: template.labels,
    annotations: { ...template.annotations, ...annotations },
  });
  const object = { apiVersion: 'v1', kind: 'Secret', metadata, type, data };
  if (existing === undefined) return { do: 'create', kind: 'Secret', object };
  const isSameData = isDeepStrictEqual(stringsOf(existing.data), data);
  if (existing.type !== type || (existing.immutable === true && !isSameData)) {
    const { name, namespace, labels, annotations: kept, ownerReferences, uid, resourceVersion } = metadata;
    const only = { uid: stringOf(uid) ?? '', ...present({ resourceVersion: stringOf(resourceVersion) }) };
    const fresh = { name, namespace, labels, annotations: kept, ownerReferences };
    return { do: 'recreate', kind: 'Secret', object: { ...object, metadata: fresh }, only };
  }
  if (isSameData && isSameMetadata(existing, metadata)) return undefined;
  return { do: 'replace', kind: 'Secret', object: { ...existing, ...object } };
}

function accountAct(
  credential: ManagedCredential,
  { serviceAccount: template }: CredentialSpec,
  { type }: Content,
  existing: JsonObject | undefined,
): Act | undefined {
  const names = namesFor(credential.meta.name);
  const { labels, annotations } = template;
  const metadata = metadataOf(credential, names.serviceAccount, existing, { labels, annotations });
  const pulled = type === DOCKER_CONFIG_TYPE ? [...template.imagePullSecrets, names.secret] : template.imagePullSecrets;
  const references = {
    secrets: namedSecrets(names.serviceAccount, existing?.secrets, [names.secret]),
    imagePullSecrets: namedSecrets(names.serviceAccount, existing?.imagePullSecrets, pulled),
  };
  const object = { apiVersion: 'v1', kind: 'ServiceAccount', metadata, ...references };
  if (existing === undefined) return { do: 'create', kind: 'ServiceAccount', object };
  const isSame =
    isSameMetadata(existing, metadata) &&
    isDeepStrictEqual(listOf(existing.secrets), references.secrets) &&
    isDeepStrictEqual(listOf(existing.imagePullSecrets), references.imagePullSecrets);
  return isSame ? undefined : { do: 'replace', kind: 'ServiceAccount', object: { ...existing, ...object } };
}

/**
 * The Secrets that a ServiceAccount names: `wanted`, and those that the cluster's own controllers have put there, which are
 * called after the account.
 */
function namedSecrets(account: string, existing: Json | undefined, wanted: readonly string[]): readonly JsonObject[] {
  const names = new Set(wanted);
  const theirs = listOf(existing)
    .map(objectOf)
    .filter(({ name }) => typeof name === 'string' && name.startsWith(`${account}-`) && !names.has(name));
  return [...[...names].map((name) => ({ name })), ...theirs];
}

/** The metadata of an object that is made: what others have put there stays, what a template had before goes. */
function metadataOf(
  { meta }: ManagedCredential,
  name: string,
  existing: JsonObject | undefined,
  wanted: { readonly labels: Readonly<Record<string, string>>; readonly annotations: Readonly<Record<string, string>> },
): JsonObject {
  const before = objectOf(existing?.metadata);
  const keys = templateKeys(stringsOf(before.annotations)[TEMPLATE_KEYS_ANNOTATION]);
  const set = { labels: Object.keys(wanted.labels).sort(), annotations: Object.keys(wanted.annotations).sort() };
  const isEmpty = set.labels.length === 0 && set.annotations.length === 0;
  return {
    ...before,
    name,
    namespace: meta.namespace,
    labels: { ...without(stringsOf(before.labels), keys.labels), ...wanted.labels },
    annotations: {
      ...without(stringsOf(before.annotations), [...keys.annotations, TEMPLATE_KEYS_ANNOTATION]),
      ...wanted.annotations,
      ...(isEmpty ? {} : { [TEMPLATE_KEYS_ANNOTATION]: JSON.stringify(set) }),
    },
    ownerReferences:
      existing === undefined
        ? [
            {
              apiVersion: CREDENTIAL_API_VERSION,
              kind: CREDENTIAL_KIND,
              name: meta.name,
              uid: meta.uid,
              controller: true,
            },
          ]
        : before.ownerReferences,
  };
}

function templateKeys(text: string | undefined): {
  readonly labels: readonly string[];
  readonly annotations: readonly string[];
} {
  let read: JsonObject = {};
  try {
    read = objectOf(JSON.parse(text ?? '{}'));
  } catch {
    // Somebody has changed it: then nothing is known of the past, and nothing is taken away.
  }
  const strings = (list: Json | undefined) => listOf(list).filter((key) => typeof key === 'string');
  return { labels: strings(read.labels), annotations: strings(read.annotations) };
}

function without(entries: Readonly<Record<string, string>>, keys: readonly string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(entries).filter(([key]) => !keys.includes(key)));
}

function isSameMetadata(existing: JsonObject, wanted: JsonObject): boolean {
  const before = objectOf(existing.metadata);
  return (
    isDeepStrictEqual(stringsOf(before.labels), wanted.labels) &&
    isDeepStrictEqual(stringsOf(before.annotations), wanted.annotations)
  );
}

function ownerUid(object: JsonObject): string | undefined {
  const owner = listOf(objectOf(object.metadata).ownerReferences)
    .map(objectOf)
    .find(({ controller }) => controller === true);
  return stringOf(owner?.uid);
}

/** Conditions that are there only while they hold. */
const TROUBLES = ['SyncFailed', 'SecretNotFound'];

/**
 * The status that tells of `outcome`: `Ready`, and what is wrong, if something is. What was made before stays named while
 * something is wrong; it is `Ready` that says whether it may be used. Times move only where a condition changes its status.
 */
export function statusOf({ meta, generation, status }: ManagedCredential, outcome: Outcome, now: number): JsonObject {
  const before = listOf(status.conditions).map(objectOf);
  const said = conditionsOf(meta, outcome).map((condition) => {
    const old = before.find(({ type, status: was }) => type === condition.type && was === condition.status);
    const since = stringOf(old?.lastTransitionTime) ?? new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
    return { ...condition, observedGeneration: generation, lastTransitionTime: since };
  });
  const others = before.filter(({ type }) => type !== 'Ready' && !TROUBLES.includes(stringOf(type) ?? ''));
  const refs = outcome.at === 'synced' ? referencesTo(meta) : {};
  return { ...status, ...refs, observedGeneration: generation, conditions: [...said, ...others] };
}

function conditionsOf({ namespace, name }: ObjectRef, outcome: Outcome) {
  switch (outcome.at) {
    case 'synced': {
      const names = namesFor(name);
      const message = `Secret ${namespace}/${names.secret} and ServiceAccount ${namespace}/${names.serviceAccount} are as they should be`;
      return [{ type: 'Ready', status: 'True', reason: 'Synced', message }];
    }
    case 'secret not found': {
      const said = { reason: 'SecretNotFound', message: outcome.message };
      return [
        { type: 'Ready', status: 'False', ...said },
        { type: 'SecretNotFound', status: 'True', ...said },
      ];
    }
    case 'failed': {
      const said = { reason: outcome.reason, message: outcome.message };
      return [
        { type: 'Ready', status: 'False', ...said },
        { type: 'SyncFailed', status: 'True', ...said },
      ];
    }
  }
}

function referencesTo({ namespace, name }: ObjectRef): JsonObject {
  const names = namesFor(name);
  return {
    secretRef: { apiVersion: 'v1', kind: 'Secret', namespace, name: names.secret },
    serviceAccountRef: { apiVersion: 'v1', kind: 'ServiceAccount', namespace, name: names.serviceAccount },
  };
}
