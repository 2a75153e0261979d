/** The API as the sandbox's own controllers meet it: the same verbs and rules, in the process, as administrator. */
import type { Json, JsonObject, KubeObject, Resource } from '../object.ts';

/** One change, or with `ADDED` an object that was there when the watch began. */
export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: KubeObject;
}

/** Which objects of a list are meant. */
export interface ListFilter {
  readonly namespace?: string;
  /** Label selector, in the query parameter's grammar. */
  readonly labels?: string;
  readonly fields?: string;
}

/** How to delete. */
export interface DeleteOptions {
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly gracePeriodSeconds?: number;
  readonly propagation?: 'Background' | 'Foreground' | 'Orphan';
}

/**
 * Verbs in the process, synchronous because everything is in memory. They validate, convert, admit and check
 * resourceVersions as requests over HTTP do, and throw the same StatusErrors. Objects handed out are shared: never change
 * them in place. Objects handed in become the API's own.
 */
export interface ApiClient {
  /** Undefined when it is not there. */
  get(resource: Resource, namespace: string, name: string): KubeObject | undefined;
  /** In order of namespace and name. */
  list(resource: Resource, filter?: ListFilter): KubeObject[];
  /** `metadata.name` or `metadata.generateName`; the server fills in the rest. */
  create(resource: Resource, object: NewObject): KubeObject;
  /** Replaces it; with `subresource: 'status'` only its status. Conflict when `metadata.resourceVersion` is set and old. */
  update(resource: Resource, object: KubeObject, options?: { readonly subresource?: 'status' }): KubeObject;
  /** A merge patch (RFC 7386). */
  patch(
    resource: Resource,
    namespace: string,
    name: string,
    merge: JsonObject,
    options?: { readonly subresource?: 'status' },
  ): KubeObject;
  /** Nothing happens when it is not there (any more). */
  remove(resource: Resource, namespace: string, name: string, options?: DeleteOptions): void;
  /**
   * Calls `on` for everything that is there, then for every change, in order, until the answer is called. `on` runs after
   * the write that caused it has returned, never within it. An error that `on` throws is logged and does not end the watch.
   */
  watch(resource: Resource, filter: ListFilter, on: (event: WatchEvent) => void): () => void;
}

/** What a create takes: metadata without what the server decides. */
export type NewObject = {
  apiVersion: string;
  kind: string;
  metadata: Partial<KubeObject['metadata']>;
} & { [field: string]: Json | undefined };
