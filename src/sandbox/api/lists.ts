/**
 * Lists, whole or page by page. A continued list shows what was there when it began.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
 */
import type { JsonObject, KubeObject } from '../object.ts';
import { badRequest, expired, StatusError } from '../status.ts';
import { JsonProblem, parseJson } from './json.ts';
import type { Kind } from './kind.ts';
import type { Collection } from './memory.ts';
import { type ListOptions, parseVersion } from './options.ts';
import { everything, type Selector } from './selectors.ts';

/** A page of a list. Objects are in the storage version. */
export interface Page {
  readonly objects: readonly KubeObject[];
  readonly resourceVersion: string;
  /** '' on the last page. */
  readonly continue: string;
  /** How many are left; undefined on the last page, and where selectors make it unknown. */
  readonly remaining: number | undefined;
}

/** Which objects, of which collection. */
export interface ListRequest {
  readonly collection: Collection;
  readonly kind: Kind;
  readonly namespace: string;
  readonly options: ListOptions;
  readonly select: Selector;
}

/** Reads a page. Throws 400 for a token that is none, 410 for a version that is no longer known, 504 for one yet to come. */
export function readPage(request: ListRequest): Page {
  const { collection, namespace, options, select } = request;
  const start = options.continue === '' ? freshStart(collection, options) : continuedStart(collection, options);
  const all = objectsAt(request, start);
  const from = start.after === '' ? 0 : all.findIndex((object) => placeOf(object, namespace) >= start.after);
  const rest = from < 0 ? [] : all.slice(from);
  const resourceVersion = String(start.version);
  if (start.limit === 0) {
    return {
      objects: select === everything ? rest : rest.filter(select),
      resourceVersion,
      continue: '',
      remaining: undefined,
    };
  }
  const objects: KubeObject[] = [];
  for (const [place, object] of rest.entries()) {
    if (select !== everything && !select(object)) continue;
    if (objects.length === start.limit) {
      // The next page begins right after the last object of this one, whatever is written in between.
      const last = objects.at(-1) as KubeObject; // the limit is above 0
      const token = writeToken({ version: start.version, after: `${placeOf(last, namespace)}\u0000` });
      const remaining = select === everything ? rest.length - place : undefined;
      return { objects, resourceVersion, continue: token, remaining };
    }
    objects.push(object);
  }
  return { objects, resourceVersion, continue: '', remaining: undefined };
}

/** The `metadata` of a list. */
export function listMeta({ resourceVersion, continue: token, remaining }: Page, { custom }: Kind): JsonObject {
  return {
    resourceVersion,
    // A list of a kind from a CRD always says so.
    ...(token === '' && !custom ? {} : { continue: token }),
    ...(remaining === undefined ? {} : { remainingItemCount: remaining }),
  };
}

/** Throws the 504 that a version gets which does not exist yet. */
export function requireReached(wanted: number, current: number): void {
  if (wanted <= current) return;
  throw new StatusError(504, 'Timeout', `Timeout: Too large resource version: ${wanted}, current: ${current}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  });
}

interface Start {
  readonly version: number;
  readonly limit: number;
  /** The first key that is wanted; '' for all. */
  readonly after: string;
}

function freshStart(collection: Collection, { resourceVersion, match, limit }: ListOptions): Start {
  const current = collection.resourceVersion;
  const version = parseVersion(resourceVersion, (why) =>
    badRequest(`invalid resource version: resourceVersion: Invalid value: ${JSON.stringify(resourceVersion)}: ${why}`),
  );
  requireReached(version, current);
  // A list at a version with a limit goes to storage, which knows exactly that version; without, the cache is new enough.
  const isExact = match === 'Exact' || (match === '' && limit > 0 && version > 0);
  // A version of 0 asks for whatever is at hand, all of it.
  return { version: isExact ? version : current, limit: resourceVersion === '0' ? 0 : limit, after: '' };
}

function continuedStart(collection: Collection, { continue: token, resourceVersion, limit }: ListOptions): Start {
  const { version, after } = readToken(token);
  if (resourceVersion !== '' && resourceVersion !== '0') {
    throw badRequest('specifying resource version is not allowed when using continue');
  }
  // A token that the server gave when the snapshot was gone: go on with what is there now.
  if (version < 0) return { version: collection.resourceVersion, limit, after };
  requireReached(version, collection.resourceVersion);
  return { version, limit, after };
}

function objectsAt({ collection, namespace }: ListRequest, { version, after }: Start): KubeObject[] {
  try {
    return collection.objectsAt(version, namespace === '' ? undefined : namespace);
  } catch (error) {
    const isContinued = after !== '' && error instanceof StatusError && error.code === 410;
    throw isContinued ? new ContinueExpired(writeToken({ version: -1, after })) : error;
  }
}

/** 410 with a token that goes on all the same, at the price of a list that is of two times. */
class ContinueExpired extends StatusError {
  readonly #token: string;

  constructor(token: string) {
    const { code, reason } = expired('');
    super(code, reason, CONTINUE_EXPIRED);
    this.#token = token;
  }

  override toStatus(): JsonObject {
    return { ...super.toStatus(), metadata: { continue: this.#token } };
  }
}

const CONTINUE_EXPIRED =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without ' +
  'the continue parameter, or use the continue token in this response to retrieve the remainder of the results. ' +
  'Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted ' +
  'between the time the first chunk was returned and now may show up in the list.';

interface Token {
  readonly version: number;
  readonly after: string;
}

function writeToken({ version, after }: Token): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: version, start: after })).toString('base64url');
}

function readToken(token: string): Token {
  const refuse = (why: string) => badRequest(`invalid continue token: continue key is not valid: ${why}`);
  const illegal = token.search(/[^\w-]/);
  if (illegal >= 0) throw refuse(`illegal base64 data at input byte ${illegal}`);
  let read: unknown;
  const text = Buffer.from(token, 'base64url').toString('latin1');
  try {
    read = parseJson(text);
  } catch (error) {
    throw error instanceof JsonProblem ? refuse(error.message) : error;
  }
  const { v, rv, start } = (typeof read === 'object' && read !== null ? read : {}) as { [field: string]: unknown }; // checked below
  if (v !== 'meta.k8s.io/v1') throw refuse(`server does not recognize this encoded version ${v}`);
  if (typeof rv !== 'number' || rv === 0)
    throw refuse('incorrect encoded start resourceVersion (version meta.k8s.io/v1)');
  if (typeof start !== 'string' || start === '') throw refuse('encoded start key empty (version meta.k8s.io/v1)');
  return { version: rv, after: start };
}

/** The key of an object below what is listed, as tokens have it. */
function placeOf({ metadata }: KubeObject, namespace: string): string {
  return namespace === '' && metadata.namespace !== undefined
    ? `${metadata.namespace}/${metadata.name}`
    : `/${metadata.name}`;
}
