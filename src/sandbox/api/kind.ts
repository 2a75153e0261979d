/** What the API server knows of one kind. Core kinds are written down in `core/`, the others come from CRDs. */
import type { Readable } from 'node:stream';
import type { Caller } from '../access/caller.ts';
import type { JsonObject, KubeObject } from '../object.ts';
import type { SchemaNode } from '../schema/node.ts';
import type { Cause } from '../status.ts';

/** The verbs of a resource, as discovery lists them. */
export type Verb = 'create' | 'delete' | 'deletecollection' | 'get' | 'list' | 'patch' | 'update' | 'watch';

/** A compiled schema of one version of a kind. Made once; `schema/compile.ts` makes it. */
export interface ObjectSchema {
  readonly node: SchemaNode;
  /** Fills in defaults, in place. Calling it twice changes nothing. */
  applyDefaults(object: KubeObject): void;
  /** Removes, in place, fields that the schema does not know; answers their paths as `fieldValidation` reports them: `spec.foo`, `spec.containers[0].foo`. */
  prune(object: KubeObject): string[];
  /** Everything wrong with `object`; `old` is what an update replaces (transition rules, ratcheting). Never throws. */
  validate(object: KubeObject, old?: KubeObject): Cause[];
}

/** A column of `kubectl get`. */
export interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  readonly format: string;
  readonly description: string;
  /** 0 is always shown, more only with `-o wide`. */
  readonly priority: number;
  /** The value of its cell. Dates are answered as an age already ("5m"). */
  cell(object: KubeObject, nowMs: number): string | number | boolean | null;
}

/** One version of a kind. */
export interface ServedVersion {
  readonly version: string;
  readonly schema: ObjectSchema;
  /** Without the columns every kind has by default (Name, and Age when there are no others). */
  readonly columns: readonly Column[];
  /** Sent as a Warning header with every answer. */
  readonly deprecationWarning?: string;
  /** What a row of a table says of its object beside the cells: that a pod has ended. */
  rowConditions?(object: KubeObject): readonly JsonObject[];
}

/** What happens to an object besides its schema. Hooks that are absent do nothing; each may change `object` in place. */
export interface Strategy {
  /** What is wrong with a name of this kind, in the server's sentences; absent: it has to be a DNS-1123 subdomain. */
  names?(name: string): string[];
  /** Before a create: what the server decides itself (status dropped, phase set). `generation` is handled by the verbs. */
  prepareForCreate?(object: KubeObject): void;
  /** Before an update of the main resource: what may not be changed is taken over from `old`. */
  prepareForUpdate?(object: KubeObject, old: KubeObject): void;
  /** Before an update of the status subresource. Without it everything but `status` and metadata is taken from `old`. */
  prepareForStatusUpdate?(object: KubeObject, old: KubeObject): void;
  /** Rules that a schema cannot say. `old` on updates; `subresource` is '' or 'status'. */
  validate?(object: KubeObject, old: KubeObject | undefined, subresource: string): Cause[];
  /** Warnings for the client, sent as Warning headers. */
  warnings?(object: KubeObject, old: KubeObject | undefined): string[];
  /** Before a delete: the object as it is to be marked, when something has to happen before it may go: with a finalizer more. */
  prepareForDelete?(object: KubeObject, nowMs: number): KubeObject;
  /** After the memory has changed; `object` is undefined once it is gone. Must not throw. */
  stored?(object: KubeObject | undefined, old: KubeObject | undefined): void;
  /** The seconds of grace a delete without `gracePeriodSeconds` gets; absent: deleted at once. Pods have it. */
  gracePeriodSeconds?(object: KubeObject): number;
  /** How an object becomes another version's; absent: only `apiVersion` changes. Returns a new object. */
  convert?(object: KubeObject, version: string): KubeObject;
  /** Admission of what `caller` writes, after defaulting: what a mutating webhook would do. Throws a StatusError to deny. */
  mutate?(object: KubeObject, old: KubeObject | undefined, caller: Caller): void;
  /** Admission, after validation: what a validating webhook would do. Throws a StatusError to deny. */
  admit?(object: KubeObject, old: KubeObject | undefined): void;
  /** Does `metadata.generation` count here, and which change moves it? Absent: no generation, as most core kinds. */
  generationMoves?(object: KubeObject, old: KubeObject): boolean;
  /**
   * Values of field selectors beyond `metadata.name` and `metadata.namespace`: `status.phase` of a pod. Answers every path
   * that can be selected by, also for an object that has none of them.
   */
  fields?(object: KubeObject): { readonly [path: string]: string };
}

/** What a subresource (other than status) is asked. */
export interface SubresourceRequest {
  readonly caller: Caller;
  readonly method: string;
  readonly query: URLSearchParams;
  /** The parsed body of a POST or PUT. */
  readonly body: JsonObject | undefined;
  /** Aborts when the client has gone or the server stops. */
  readonly signal: AbortSignal;
}

/** What it answers: an object, or bytes that are streamed with backpressure and flushed as they come. */
export type SubresourceAnswer =
  | { readonly code: number; readonly object: JsonObject }
  | { readonly code: number; readonly contentType: string; readonly body: Readable | undefined };

/** `pods/log`, `serviceaccounts/token` and so on. Throws StatusErrors. */
export interface Subresource {
  /** As discovery lists it. */
  readonly kind: string;
  readonly group?: string;
  readonly version?: string;
  readonly verbs: readonly Verb[];
  handle(request: SubresourceRequest, object: KubeObject): Promise<SubresourceAnswer> | SubresourceAnswer;
}

/** A kind in all its versions. */
export interface Kind {
  readonly group: string;
  readonly kind: string;
  readonly listKind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  readonly verbs: readonly Verb[];
  /** Most preferred first. */
  readonly versions: readonly ServedVersion[];
  /** The version the memory keeps. One of `versions`, or of a CRD's that are not served. */
  readonly storageVersion: string;
  readonly statusSubresource: boolean;
  readonly subresources: { readonly [name: string]: Subresource };
  readonly strategy: Strategy;
  /** Came from a CRD: unknown fields are pruned rather than dropped on decoding, and strategic merge patches are refused. */
  readonly custom: boolean;
  /** An update of a name that is not there creates it, as for leases, events and RBAC's kinds. */
  readonly createsOnUpdate?: boolean;
  /** An update has to name the resourceVersion that it replaces, as for leases; kinds from CRDs always demand it. */
  readonly updatesNeedVersion?: boolean;
  /** A delete answers with the object that is gone instead of a Status, as for pods, claims and service accounts. */
  readonly deletesAnswerObject?: boolean;
  /**
   * For a kind that shows the objects of another one, as events of events.k8s.io do those of the core group: where they are,
   * and what they say they are. `strategy.convert` takes them there and back.
   */
  readonly sharesWith?: { readonly group: string; readonly plural: string; readonly apiVersion: string };
  /**
   * For kinds that are asked and not kept (SelfSubjectAccessReview): the answer to a create. Only `create` is served then.
   */
  review?(object: KubeObject, caller: Caller): KubeObject;
}

/** The kinds that are served now. CRDs come and go. */
export interface Registry {
  /** All of them, ordered by group and plural. */
  kinds(): readonly Kind[];
  /** By the path of a request; undefined when that version is not served. */
  find(
    group: string,
    version: string,
    plural: string,
  ): { readonly kind: Kind; readonly served: ServedVersion } | undefined;
  /** By what an object says it is. */
  findKind(group: string, kind: string): Kind | undefined;
  /** Changes with every change of the kinds: an ETag for discovery and OpenAPI. */
  readonly revision: number;
  /** Adds a kind, or replaces the one of the same group and plural. */
  put(kind: Kind): void;
  /** Takes it away; nothing happens when it is not there. */
  remove(group: string, plural: string): void;
}
