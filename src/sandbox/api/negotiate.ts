/**
 * Which form of an answer a client accepts.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources
 */
import { badRequest, StatusError } from '../status.ts';

/** The form of an answer. */
export interface Form {
  readonly mediaType: 'application/json' | 'application/yaml';
  readonly as: Representation;
  /** Over several lines, for people. */
  readonly pretty: boolean;
}

/** What is shown of an object. */
export type Representation =
  | { readonly kind: 'object' }
  | { readonly kind: 'table'; readonly version: MetaVersion; readonly include: 'None' | 'Metadata' | 'Object' }
  | { readonly kind: 'metadata'; readonly version: MetaVersion; readonly isList: boolean };

/** The version in which `meta.k8s.io` shows it. */
export type MetaVersion = 'v1' | 'v1beta1';

/** What is being asked for. */
export interface Asking {
  readonly accept: string | undefined;
  readonly userAgent: string | undefined;
  readonly query: URLSearchParams;
}

/** One clause of an Accept header. */
export interface Clause {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** Kinds from CRDs speak no protobuf; the sandbox speaks it for none. */
const MEDIA_TYPES = 'application/json, application/yaml';

/** The clauses of an Accept header, most wanted first. */
export function clausesOf(accept: string | undefined): Clause[] {
  const text = accept === undefined || accept.trim() === '' ? '*/*' : accept;
  return text
    .split(',')
    .map((clause) => {
      const [type = '', ...parameters] = clause.split(';').map((part) => part.trim());
      const pairs = parameters.map((parameter) => {
        const equals = parameter.indexOf('=');
        return equals < 0
          ? ([parameter, ''] as const)
          : ([
              parameter.slice(0, equals).trim(),
              parameter
                .slice(equals + 1)
                .trim()
                .replace(/^"|"$/g, ''),
            ] as const);
      });
      return { type: type.toLowerCase(), parameters: new Map(pairs) };
    })
    .map((clause) => ({ clause, weight: Number(clause.parameters.get('q') ?? '1') }))
    .sort((a, b) => b.weight - a.weight)
    .map(({ clause }) => clause);
}

/** The form for objects and lists. Throws 406 when none of those asked for can be had. */
export function formFor(asking: Asking): Form {
  for (const clause of clausesOf(asking.accept)) {
    const mediaType = mediaTypeOf(clause);
    if (mediaType === undefined) continue;
    const as = representationOf(clause, asking.query);
    if (as !== undefined) return { mediaType, as, pretty: isPretty(asking) };
  }
  throw notAcceptable(MEDIA_TYPES);
}

/** The form for the events of a watch, which come as JSON. Throws 406. */
export function formForWatch(asking: Asking): Form {
  for (const clause of clausesOf(asking.accept)) {
    if (mediaTypeOf(clause) !== 'application/json') continue;
    const as = representationOf(clause, asking.query);
    if (as !== undefined) return { mediaType: 'application/json', as, pretty: false };
  }
  throw notAcceptable('application/json;stream=watch');
}

/** The form for a Status: what was asked for if it can be had, else JSON. */
export function formForStatus(asking: Asking): Form {
  const mediaType = clausesOf(asking.accept)
    .map(mediaTypeOf)
    .find((found) => found !== undefined);
  return { mediaType: mediaType ?? 'application/json', as: { kind: 'object' }, pretty: isPretty(asking) };
}

/** What the router of the built-in kinds says to a type that nothing is made in; kinds from CRDs have another sentence. */
export function requireKnownType({ accept }: Asking): void {
  // That router takes `*/*`, and no half of it.
  const isKnown = (clause: Clause) => clause.type !== 'application/*' && mediaTypeOf(clause) !== undefined;
  if (clausesOf(accept).some(isKnown)) return;
  const text = `406: Not Acceptable\n\nAvailable representations: ${MEDIA_TYPES}`;
  throw new StatusError(406, 'NotAcceptable', text, {});
}

function mediaTypeOf({ type }: Clause): Form['mediaType'] | undefined {
  switch (type) {
    case 'application/json':
    case 'application/*':
    case '*/*':
      return 'application/json';
    case 'application/yaml':
      return 'application/yaml';
    default:
      return undefined;
  }
}

function representationOf({ parameters }: Clause, query: URLSearchParams): Representation | undefined {
  const as = parameters.get('as');
  if (as === undefined) return { kind: 'object' };
  const version = parameters.get('v');
  if (parameters.get('g') !== 'meta.k8s.io' || (version !== 'v1' && version !== 'v1beta1')) return undefined;
  switch (as) {
    case 'Table':
      return { kind: 'table', version, include: includedObject(query) };
    case 'PartialObjectMetadata':
      return { kind: 'metadata', version, isList: false };
    case 'PartialObjectMetadataList':
      return { kind: 'metadata', version, isList: true };
    default:
      return undefined;
  }
}

function includedObject(query: URLSearchParams): 'None' | 'Metadata' | 'Object' {
  const include = query.get('includeObject') ?? '';
  switch (include) {
    case '':
      return 'Metadata';
    case 'None':
    case 'Metadata':
    case 'Object':
      return include;
    default: {
      const why = `Invalid value: ${JSON.stringify(include)}: must be 'Metadata', 'Object', 'None', or empty`;
      throw badRequest(`Unable to convert to Table as requested: includeObject: ${why}`);
    }
  }
}

/** For browsers and tools of the command line, unless the query says otherwise. */
function isPretty({ query, userAgent = '' }: Asking): boolean {
  const wanted = query.get('pretty') ?? '';
  if (wanted !== '') return ['1', 't', 'true'].includes(wanted.toLowerCase());
  return /^(curl|Wget|Mozilla\/5\.0)/.test(userAgent);
}

function notAcceptable(accepted: string): StatusError {
  return new StatusError(406, 'NotAcceptable', `only the following media types are accepted: ${accepted}`);
}
