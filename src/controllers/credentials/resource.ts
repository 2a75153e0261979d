/** A ManagedCredential as we read it: which token, what for, and what is wrong with one that cannot be understood. Pure, and never throws. */
import {
  type Json,
  type JsonObject,
  type Kept,
  listOf,
  numberOf,
  type ObjectRef,
  objectOf,
  present,
  projectMeta,
  stringOf,
} from '../../kube/objects.ts';

export const CREDENTIAL_GROUP = 'credentials.jquad.rocks';
export const CREDENTIAL_API_VERSION = `${CREDENTIAL_GROUP}/v1alpha1`;
export const CREDENTIAL_KIND = 'ManagedCredential';

/** What a token opens. */
export const CREDENTIAL_TYPES = ['git', 'docker-registry', 'cloud-provider', 'generic'] as const;
export type CredentialType = (typeof CREDENTIAL_TYPES)[number];

/** What an object that is made gets besides. */
export interface ObjectTemplate {
  readonly annotations: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

/** The spec, once nothing is wrong with it. */
export interface CredentialSpec {
  readonly type: CredentialType;
  /** A host, maybe with a port and a path, where the token is for git or for a registry; else any word. */
  readonly provider: string;
  /** The Secret with the token. */
  readonly token: ObjectRef;
  readonly serviceAccount: ObjectTemplate & { readonly imagePullSecrets: readonly string[] };
  readonly secret: ObjectTemplate & { readonly type?: string; readonly dataKey?: string };
}

/** A ManagedCredential, projected. It names Secrets and holds nothing of them. */
export interface ManagedCredential extends Kept {
  readonly generation: number;
  /** The spec, or each thing that is wrong with it, a sentence that names the field. */
  readonly spec: CredentialSpec | { readonly mistakes: readonly string[] };
  /** `status` as it was sent. */
  readonly status: JsonObject;
}

/** The names of what is made for a ManagedCredential, in its own namespace. */
export function namesFor(credential: string): { readonly secret: string; readonly serviceAccount: string } {
  return { secret: `${credential}-secret`, serviceAccount: `${credential}-sa` };
}

/** Keeps of a ManagedCredential what its controller needs. Never throws. */
export function projectCredential(raw: JsonObject): ManagedCredential {
  const meta = projectMeta(raw);
  return {
    meta,
    generation: numberOf(objectOf(raw.metadata).generation) ?? 0,
    spec: readSpec(objectOf(raw.spec), meta),
    status: objectOf(raw.status),
  };
}

/** https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ */
const OBJECT_NAME = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const NAMESPACE_NAME = /^(?=.{1,63}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
/** A key of labels or annotations. https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set */
const QUALIFIED_NAME =
  /^((?=[^/]{1,253}\/)[a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?(?=[^/]{1,63}$)[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const LABEL_VALUE = /^(?=.{0,63}$)([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;
const DATA_KEY = /^[-._A-Za-z0-9]{1,253}$/;
const PROVIDER = /^(?=.{1,1024}$)[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]{1,5})?(\/[-A-Za-z0-9._~/]*)?$/;
/**
 * Kubernetes fills a Secret of the first type with a token of whichever ServiceAccount an annotation of it names, and lets
 * nodes in by the second: whoever may only write ManagedCredentials must not get at either through us.
 */
const REFUSED_TYPES = ['kubernetes.io/service-account-token', 'bootstrap.kubernetes.io/token'];
const MOST_MISTAKES = 20;

type Wrong = (sentence: string) => undefined;

function readSpec(spec: JsonObject, { name, namespace }: ObjectRef): ManagedCredential['spec'] {
  const mistakes: string[] = [];
  const wrong: Wrong = (sentence) => {
    if (mistakes.length < MOST_MISTAKES) mistakes.push(sentence);
    return undefined;
  };
  const type =
    CREDENTIAL_TYPES.find((each) => each === spec.credentialType) ??
    wrong(`spec.credentialType is ${shown(spec.credentialType)}; write one of ${CREDENTIAL_TYPES.join(', ')}`);
  const provider = stringOf(spec.provider) ?? wrong('spec.provider is missing');
  if ((type === 'git' || type === 'docker-registry') && provider !== undefined && !PROVIDER.test(provider)) {
    wrong(`spec.provider is ${shown(provider)}; write a host such as github.com, without https://`);
  }
  const token = readToken(objectOf(spec.tokenSecretRef), namespace, wrong);
  const serviceAccount = objectOf(spec.serviceAccountTemplate);
  const secret = objectOf(spec.secretTemplate);
  const made = {
    serviceAccount: {
      ...readTemplate(serviceAccount, 'spec.serviceAccountTemplate', wrong),
      imagePullSecrets: readPullSecrets(serviceAccount.imagePullSecrets, wrong),
    },
    secret: { ...readTemplate(secret, 'spec.secretTemplate', wrong), ...readSecretFields(secret, wrong) },
  };
  if (!OBJECT_NAME.test(namesFor(name).secret)) {
    wrong('metadata.name is too long: what is made for it adds 7 characters, and 253 is all that a name may have');
  }
  if (type === undefined || provider === undefined || token === undefined || mistakes.length > 0) return { mistakes };
  return { type, provider, token, ...made };
}

function readToken({ name, namespace = '' }: JsonObject, own: string, wrong: Wrong): ObjectRef | undefined {
  const where = namespace === '' || namespace === null ? own : namespace;
  if (typeof name !== 'string' || !OBJECT_NAME.test(name)) {
    return wrong(`spec.tokenSecretRef.name is ${shown(name)}; write the name of a Secret`);
  }
  if (typeof where !== 'string' || !NAMESPACE_NAME.test(where)) {
    return wrong(`spec.tokenSecretRef.namespace is ${shown(where)}; write the name of a namespace`);
  }
  return { namespace: where, name };
}

function readTemplate(template: JsonObject, field: string, wrong: Wrong): ObjectTemplate {
  const strings = (value: Json | undefined, below: string, isGood: (text: string) => boolean) => {
    const read: Record<string, string> = {};
    for (const [key, item] of Object.entries(objectOf(value))) {
      if (!QUALIFIED_NAME.test(key)) wrong(`${below} has the key ${shown(key)}, which Kubernetes does not allow`);
      else if (typeof item !== 'string' || !isGood(item))
        wrong(`${below}.${key} is ${shown(item)}, which Kubernetes does not allow`);
      else read[key] = item;
    }
    return read;
  };
  return {
    annotations: strings(template.annotations, `${field}.annotations`, () => true),
    labels: strings(template.labels, `${field}.labels`, (text) => LABEL_VALUE.test(text)),
  };
}

function readPullSecrets(value: Json | undefined, wrong: Wrong): readonly string[] {
  return listOf(value).flatMap((entry, place) => {
    const { name } = objectOf(entry);
    if (typeof name === 'string' && OBJECT_NAME.test(name)) return [name];
    wrong(`spec.serviceAccountTemplate.imagePullSecrets[${place}].name is ${shown(name)}; write the name of a Secret`);
    return [];
  });
}

function readSecretFields(template: JsonObject, wrong: Wrong): Pick<CredentialSpec['secret'], 'type' | 'dataKey'> {
  const type = stringOf(template.type);
  const dataKey = stringOf(template.dataKey);
  if (type !== undefined && REFUSED_TYPES.includes(type)) {
    wrong(`spec.secretTemplate.type is ${shown(type)}: Secrets of this type are not made from a token`);
  }
  if (dataKey !== undefined && !DATA_KEY.test(dataKey)) {
    wrong(`spec.secretTemplate.dataKey is ${shown(dataKey)}; write letters, digits, "-", "_" and "."`);
  }
  return present({ type, dataKey });
}

/** A value as JSON shows it, no longer than a line. */
function shown(value: Json | undefined): string {
  if (value === undefined) return 'missing';
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
