/**
 * Bodies in Kubernetes' protobuf: kubectl sends what it makes itself (`create configmap`, `auth can-i`, `create token`) in
 * no other form. Read only: answers are JSON, which every client of the API understands.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
 */
import { BinaryReader } from '@bufbuild/protobuf/wire';
import type { Json, JsonObject } from '../object.ts';
import { badRequest, StatusError } from '../status.ts';

/** The media type of such a body. */
export const PROTOBUF = 'application/vnd.kubernetes.protobuf';

/** How the bytes of a field are read: a scalar, a message of `messages` by name, `[...]` a list of it, `{...}` a map of text to it. */
type FieldType = string;

/** The number of each field in the wire format, its name in JSON, and its type. */
type Message = Readonly<Record<number, readonly [name: string, type: FieldType]>>;

const review: Message = { 1: ['metadata', 'ObjectMeta'], 2: ['spec', 'SubjectAccessReviewSpec'] };
const binding: Message = {
  1: ['metadata', 'ObjectMeta'],
  2: ['subjects', '[Subject]'],
  3: ['roleRef', 'RoleRef'],
};

/** Field numbers as the generated.proto files of k8s.io/api and k8s.io/apimachinery have them. */
const messages: Readonly<Record<string, Message>> = {
  Unknown: {
    1: ['typeMeta', 'TypeMeta'],
    2: ['raw', 'bytes'],
  },
  TypeMeta: { 1: ['apiVersion', 'string'], 2: ['kind', 'string'] },
  ObjectMeta: {
    1: ['name', 'string'],
    2: ['generateName', 'string'],
    3: ['namespace', 'string'],
    5: ['uid', 'string'],
    6: ['resourceVersion', 'string'],
    7: ['generation', 'count'],
    8: ['creationTimestamp', 'time'],
    9: ['deletionTimestamp', 'time'],
    10: ['deletionGracePeriodSeconds', 'integer'],
    11: ['labels', '{string}'],
    12: ['annotations', '{string}'],
    13: ['ownerReferences', '[OwnerReference]'],
    14: ['finalizers', '[string]'],
    17: ['managedFields', '[ManagedFieldsEntry]'],
  },
  OwnerReference: {
    1: ['kind', 'string'],
    3: ['name', 'string'],
    4: ['uid', 'string'],
    5: ['apiVersion', 'string'],
    6: ['controller', 'boolean'],
    7: ['blockOwnerDeletion', 'boolean'],
  },
  ManagedFieldsEntry: {
    1: ['manager', 'string'],
    2: ['operation', 'string'],
    3: ['apiVersion', 'string'],
    4: ['time', 'time'],
    6: ['fieldsType', 'string'],
    7: ['fieldsV1', 'fields'],
    8: ['subresource', 'string'],
  },
  DeleteOptions: {
    1: ['gracePeriodSeconds', 'integer'],
    2: ['preconditions', 'Preconditions'],
    3: ['orphanDependents', 'boolean'],
    4: ['propagationPolicy', 'string'],
    5: ['dryRun', '[string]'],
  },
  Preconditions: { 1: ['uid', 'string'], 2: ['resourceVersion', 'string'] },
  ConfigMap: {
    1: ['metadata', 'ObjectMeta'],
    2: ['data', '{string}'],
    3: ['binaryData', '{base64}'],
    4: ['immutable', 'boolean'],
  },
  Secret: {
    1: ['metadata', 'ObjectMeta'],
    2: ['data', '{base64}'],
    3: ['type', 'string'],
    4: ['stringData', '{string}'],
    5: ['immutable', 'boolean'],
  },
  Namespace: { 1: ['metadata', 'ObjectMeta'], 2: ['spec', 'NamespaceSpec'], 3: ['status', 'NamespaceStatus'] },
  NamespaceSpec: { 1: ['finalizers', '[string]'] },
  NamespaceStatus: { 1: ['phase', 'string'] },
  ServiceAccount: {
    1: ['metadata', 'ObjectMeta'],
    2: ['secrets', '[ObjectReference]'],
    3: ['imagePullSecrets', '[LocalObjectReference]'],
    4: ['automountServiceAccountToken', 'boolean'],
  },
  ObjectReference: {
    1: ['kind', 'string'],
    2: ['namespace', 'string'],
    3: ['name', 'string'],
    4: ['uid', 'string'],
    5: ['apiVersion', 'string'],
    6: ['resourceVersion', 'string'],
    7: ['fieldPath', 'string'],
  },
  LocalObjectReference: { 1: ['name', 'string'] },
  ResourceQuota: { 1: ['metadata', 'ObjectMeta'], 2: ['spec', 'ResourceQuotaSpec'] },
  ResourceQuotaSpec: { 1: ['hard', '{quantity}'], 2: ['scopes', '[string]'] },
  Quantity: { 1: ['string', 'string'] },
  Role: { 1: ['metadata', 'ObjectMeta'], 2: ['rules', '[PolicyRule]'] },
  ClusterRole: {
    1: ['metadata', 'ObjectMeta'],
    2: ['rules', '[PolicyRule]'],
    3: ['aggregationRule', 'AggregationRule'],
  },
  RoleBinding: binding,
  ClusterRoleBinding: binding,
  RoleRef: { 1: ['apiGroup', 'string'], 2: ['kind', 'string'], 3: ['name', 'string'] },
  Subject: {
    1: ['kind', 'string'],
    2: ['apiGroup', 'string'],
    3: ['name', 'string'],
    4: ['namespace', 'string'],
  },
  PolicyRule: {
    1: ['verbs', '[string]'],
    2: ['apiGroups', '[string]'],
    3: ['resources', '[string]'],
    4: ['resourceNames', '[string]'],
    5: ['nonResourceURLs', '[string]'],
  },
  AggregationRule: { 1: ['clusterRoleSelectors', '[LabelSelector]'] },
  LabelSelector: { 1: ['matchLabels', '{string}'], 2: ['matchExpressions', '[LabelSelectorRequirement]'] },
  LabelSelectorRequirement: { 1: ['key', 'string'], 2: ['operator', 'string'], 3: ['values', '[string]'] },
  SelfSubjectAccessReview: review,
  SubjectAccessReview: review,
  LocalSubjectAccessReview: review,
  SubjectAccessReviewSpec: {
    1: ['resourceAttributes', 'ResourceAttributes'],
    2: ['nonResourceAttributes', 'NonResourceAttributes'],
    3: ['user', 'string'],
    4: ['groups', '[string]'],
    6: ['uid', 'string'],
  },
  ResourceAttributes: {
    1: ['namespace', 'string'],
    2: ['verb', 'string'],
    3: ['group', 'string'],
    4: ['version', 'string'],
    5: ['resource', 'string'],
    6: ['subresource', 'string'],
    7: ['name', 'string'],
  },
  NonResourceAttributes: { 1: ['path', 'string'], 2: ['verb', 'string'] },
  SelfSubjectRulesReview: { 1: ['metadata', 'ObjectMeta'], 2: ['spec', 'SelfSubjectRulesReviewSpec'] },
  SelfSubjectRulesReviewSpec: { 1: ['namespace', 'string'] },
  SelfSubjectReview: { 1: ['metadata', 'ObjectMeta'] },
  TokenReview: { 1: ['metadata', 'ObjectMeta'], 2: ['spec', 'TokenReviewSpec'] },
  TokenReviewSpec: { 1: ['token', 'string'], 2: ['audiences', '[string]'] },
  TokenRequest: { 1: ['metadata', 'ObjectMeta'], 2: ['spec', 'TokenRequestSpec'] },
  TokenRequestSpec: {
    1: ['audiences', '[string]'],
    3: ['boundObjectRef', 'BoundObjectReference'],
    4: ['expirationSeconds', 'integer'],
  },
  BoundObjectReference: {
    1: ['kind', 'string'],
    2: ['apiVersion', 'string'],
    3: ['name', 'string'],
    4: ['uid', 'string'],
  },
  Lease: { 1: ['metadata', 'ObjectMeta'], 2: ['spec', 'LeaseSpec'] },
  LeaseSpec: {
    1: ['holderIdentity', 'string'],
    2: ['leaseDurationSeconds', 'integer'],
    3: ['acquireTime', 'microtime'],
    4: ['renewTime', 'microtime'],
    5: ['leaseTransitions', 'integer'],
    6: ['strategy', 'string'],
    7: ['preferredHolder', 'string'],
  },
  Event: {
    1: ['metadata', 'ObjectMeta'],
    2: ['involvedObject', 'ObjectReference'],
    3: ['reason', 'string'],
    4: ['message', 'string'],
    5: ['source', 'EventSource'],
    6: ['firstTimestamp', 'time'],
    7: ['lastTimestamp', 'time'],
    8: ['count', 'count'],
    9: ['type', 'string'],
    10: ['eventTime', 'microtime'],
    12: ['action', 'string'],
    13: ['related', 'ObjectReference'],
    14: ['reportingComponent', 'string'],
    15: ['reportingInstance', 'string'],
  },
  EventSource: { 1: ['component', 'string'], 2: ['host', 'string'] },
  Time: { 1: ['seconds', 'integer'], 2: ['nanos', 'integer'] },
};

/** What every such body begins with. */
const MAGIC = Buffer.from('k8s\0');

/** Messages within messages: deeper than any Kubernetes object goes. */
const MAX_DEPTH = 32;

/**
 * The object in a protobuf body, as it would have been in JSON. Fields that a kind's table does not have are left out, as
 * a server does with fields of a newer client. Throws a 400 StatusError for bytes that are none, and for kinds without a table.
 */
export function readProtobuf(bytes: Buffer): JsonObject {
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw badRequest('provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]');
  }
  try {
    const envelope = readMessage(bytes.subarray(MAGIC.length), 'Unknown', 0);
    const { apiVersion = '', kind = '' } = (envelope.typeMeta ?? {}) as { apiVersion?: string; kind?: string };
    if (!Object.hasOwn(messages, kind)) {
      throw badRequest(`${kind || 'an object without a kind'} is not understood as protobuf here: send JSON`);
    }
    const raw = Buffer.from(String(envelope.raw ?? ''), 'base64');
    return { apiVersion, kind, ...readMessage(raw, kind, 0) };
  } catch (error) {
    if (error instanceof StatusError) throw error;
    throw badRequest(`the protobuf body is broken: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function readMessage(bytes: Uint8Array, name: string, depth: number): JsonObject {
  if (depth > MAX_DEPTH) throw new RangeError('it is nested too deeply');
  const fields = messages[name] ?? {};
  const reader = new BinaryReader(bytes);
  const found: JsonObject = {};
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const field = fields[number];
    if (field === undefined) {
      reader.skip(wireType);
      continue;
    }
    const [key, type] = field;
    if (type.startsWith('[')) {
      const items = (found[key] ?? []) as Json[]; // lists are only ever put there by the line below
      found[key] = [...items, readValue(reader, type.slice(1, -1), depth)];
    } else if (type.startsWith('{')) {
      const entry = readEntry(reader.bytes(), type.slice(1, -1), depth);
      found[key] = { ...((found[key] ?? {}) as JsonObject), ...entry };
    } else {
      const value = readValue(reader, type, depth);
      // Go writes empty texts, zero counts and the zero time where JSON leaves them out.
      if (value !== '' && value !== null) found[key] = value;
    }
  }
  return found;
}

/** A map's entry is a message of a key and a value. */
function readEntry(bytes: Uint8Array, type: FieldType, depth: number): JsonObject {
  const reader = new BinaryReader(bytes);
  let [key, value]: [string, Json] = ['', ''];
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number === 1) key = reader.string();
    else if (number === 2) value = readValue(reader, type, depth);
    else reader.skip(wireType);
  }
  return Object.fromEntries([[key, value]]);
}

function readValue(reader: BinaryReader, type: FieldType, depth: number): Json {
  switch (type) {
    case 'string':
      return reader.string();
    case 'boolean':
      return reader.bool();
    case 'integer':
      return Number(reader.int64());
    case 'count':
      return Number(reader.int64()) || null;
    case 'bytes':
    case 'base64':
      return Buffer.from(reader.bytes()).toString('base64');
    case 'quantity':
      return readMessage(reader.bytes(), 'Quantity', depth + 1).string ?? '0';
    case 'fields': {
      const inner = new BinaryReader(reader.bytes());
      inner.tag(); // the only field there is: the JSON itself
      return JSON.parse(Buffer.from(inner.bytes()).toString('utf8')) as Json;
    }
    case 'time':
    case 'microtime': {
      const { seconds = 0, nanos = 0 } = readMessage(reader.bytes(), 'Time', depth + 1) as Record<string, number>;
      if (seconds <= 0) return null;
      const text = new Date(seconds * 1000).toISOString().slice(0, 19);
      return type === 'time' ? `${text}Z` : `${text}.${String(Math.floor(nanos / 1000)).padStart(6, '0')}Z`;
    }
    default:
      return readMessage(reader.bytes(), type, depth + 1);
  }
}
