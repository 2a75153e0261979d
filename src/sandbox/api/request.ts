/**
 * What a request asks for, read from its method and path.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
 */
import type { Attributes } from '../access/caller.ts';
import type { Resource } from '../object.ts';
import { selectedName } from './selectors.ts';

/** A request for a resource, or for some other path. */
export type Asked =
  | {
      readonly of: 'resource';
      readonly resource: Resource;
      /** '' for all, and for kinds without. */
      readonly namespace: string;
      /** '' for the whole collection. */
      readonly name: string;
      readonly subresource: string;
      /** Segments that no resource has: `/pods/a/log/b`. */
      readonly tooDeep: boolean;
      readonly isWatch: boolean;
    }
  | { readonly of: 'path'; readonly path: string };

/** Reads a path such as `/apis/tekton.dev/v1/namespaces/ci/pipelineruns/build`. */
export function askedFor(path: string, query: URLSearchParams): Asked {
  const segments = path.split('/').slice(1);
  if (segments.at(-1) === '') segments.pop();
  const [root, ...rest] = segments;
  const versionAt = root === 'api' ? 0 : root === 'apis' ? 1 : undefined;
  if (versionAt === undefined || rest.length < versionAt + 2) return { of: 'path', path };
  const group = versionAt === 0 ? '' : decode(rest[0]);
  const version = decode(rest[versionAt]);
  const parts = rest.slice(versionAt + 1).map(decode);
  // The path of old: what follows `watch` is watched, one object by its name.
  const isOldWatch = parts[0] === 'watch' && parts.length > 1;
  const { namespace, within } = splitNamespace(isOldWatch ? parts.slice(1) : parts);
  const [plural = '', name = '', subresource = '', ...deeper] = within;
  const watch = query.get('watch');
  if (isOldWatch) {
    if (name !== '') query.set('fieldSelector', `metadata.name=${name}`);
    query.set('watch', 'true');
    const resource = { group, version, plural };
    return {
      of: 'resource',
      resource,
      namespace,
      name: '',
      subresource: '',
      tooDeep: subresource !== '',
      isWatch: true,
    };
  }
  return {
    of: 'resource',
    resource: { group, version, plural },
    namespace,
    name,
    subresource,
    tooDeep: deeper.length > 0 || within.includes('') || within.some((part) => part.includes('/')),
    isWatch: name === '' && watch !== null && watch.toLowerCase() !== 'false' && watch !== '0',
  };
}

/** `namespaces/ci/pods/a` is a pod, `namespaces/ci` and `namespaces/ci/status` are about the namespace. */
function splitNamespace(parts: readonly string[]): { namespace: string; within: readonly string[] } {
  const [first, namespace = '', third] = parts;
  if (first !== 'namespaces' || third === undefined || third === 'status' || third === 'finalize') {
    return { namespace: '', within: parts };
  }
  return { namespace, within: parts.slice(2) };
}

/** What is not encoded as it should be stays as it is. */
function decode(segment = ''): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/** What the request is to whoever may forbid it. */
export function attributesOf(asked: Asked, method: string, query: URLSearchParams): Attributes {
  if (asked.of === 'path') return { verb: method.toLowerCase(), path: asked.path };
  const { resource, namespace, name, subresource } = asked;
  const isNamespace = resource.group === '' && resource.plural === 'namespaces' && namespace === '';
  const selected = name === '' ? selectedName(query.get('fieldSelector') ?? '') : name;
  return {
    verb: verbOf(asked, method),
    group: resource.group,
    version: resource.version,
    resource: subresource === '' ? resource.plural : `${resource.plural}/${subresource}`,
    // A namespace is within itself, so that whoever may read in it may read it.
    namespace: isNamespace ? name : namespace,
    name: selected,
  };
}

function verbOf({ name, isWatch }: Extract<Asked, { of: 'resource' }>, method: string): string {
  switch (method) {
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return name === '' ? 'deletecollection' : 'delete';
    case 'GET':
    case 'HEAD':
      if (isWatch) return 'watch';
      return name === '' ? 'list' : 'get';
    default:
      return '';
  }
}
