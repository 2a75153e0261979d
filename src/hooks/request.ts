/** What was posted to a hook, once it has been read whole: what every later step looks at. */
import type { ObjectRef } from '../kube/objects.ts';

/** JSON as it was parsed; its objects have no prototype, so a key is never a method. */
export type Json = null | boolean | number | string | readonly Json[] | JsonMap;

/** An object of JSON. */
export interface JsonMap {
  readonly [key: string]: Json;
}

/**
 * Headers by their canonical names as Go writes them (`gotk-component` is `Gotk-Component`), each with all its values in the order
 * in which they came. https://pkg.go.dev/net/http#CanonicalHeaderKey
 */
export type HookHeaders = ReadonlyMap<string, readonly string[]>;

/** One delivery. */
export interface HookRequest {
  readonly hook: ObjectRef;
  /** SHA-256, in hex, of the hook and the raw body: what is delivered again has it again. */
  readonly identity: string;
  readonly headers: HookHeaders;
  /** The bytes that a signature covers. */
  readonly raw: Buffer;
  readonly body: JsonMap;
  /** Path and query as they were asked for. */
  readonly url: string;
  /** Milliseconds since the epoch. */
  readonly arrivedAt: number;
}
