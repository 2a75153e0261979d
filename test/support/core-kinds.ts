/** The core kinds for tests, with as much around them as they need. */
import assert from 'node:assert/strict';
import { administrator } from '../../src/sandbox/access/caller.ts';
import { createAuthorizer } from '../../src/sandbox/access/rbac.ts';
import { createTokens } from '../../src/sandbox/access/tokens.ts';
import type { ApiClient } from '../../src/sandbox/api/client.ts';
import type { Kind } from '../../src/sandbox/api/kind.ts';
import { coreKinds } from '../../src/sandbox/core/kinds.ts';
import type { Json, JsonObject, KubeObject } from '../../src/sandbox/object.ts';

/** The moment at which everything happens. */
export const testTime = new Date('2025-06-01T12:00:00Z');

/** Objects that can be looked up. */
export type TestReader = Pick<ApiClient, 'get' | 'list'>;

/** Looks up among `objects`, by the plural of their kind. */
export function readerOf(objects: readonly KubeObject[]): TestReader {
  const ofPlural = (plural: string) => objects.filter(({ kind }) => `${kind.toLowerCase()}s` === plural);
  return {
    get: ({ plural }, namespace, name) =>
      ofPlural(plural).find(({ metadata }) => (metadata.namespace ?? '') === namespace && metadata.name === name),
    list: ({ plural }) => ofPlural(plural),
  };
}

/** An object with the metadata that a server gives it. */
export function objectOf(
  kind: string,
  name: string,
  fields: JsonObject = {},
  metadata: Partial<KubeObject['metadata']> = {},
): KubeObject {
  return {
    ...fields,
    apiVersion: 'v1',
    kind,
    metadata: {
      name,
      namespace: 'x',
      uid: `${kind}-${name}`,
      resourceVersion: '1',
      creationTimestamp: '2025-06-01T11:55:00Z',
      ...metadata,
    },
  };
}

/** The image of the containers in tests. */
export const podImage = 'busybox:1';

/** A pod as a client sends it: one container `x` with these fields, in a specification with those. */
export function podOf(spec: JsonObject = {}, container: JsonObject = {}): KubeObject {
  return objectOf('Pod', 'a', { spec: { containers: [{ name: 'x', image: podImage, ...container }], ...spec } });
}

/** All kinds, with the default service account of namespace `x` to look up, and whatever else is in `objects`. */
export function testKinds(objects: readonly KubeObject[] = [objectOf('ServiceAccount', 'default')]): Kind[] {
  const reader = readerOf(objects);
  const clock = { now: () => testTime.getTime() };
  return coreKinds({
    now: () => testTime,
    tokens: createTokens({ reader, clock }),
    authorizer: createAuthorizer(reader),
    podLog: undefined,
    reader,
  });
}

/** One of them by its name. */
export function testKind(name: string, objects?: readonly KubeObject[]): Kind {
  const found = testKinds(objects).find(({ kind }) => kind === name);
  assert.ok(found !== undefined);
  return found;
}

/** An object as a create leaves it: decoded, defaulted, prepared and admitted. */
export function created(kind: Kind, given: KubeObject): KubeObject {
  const object = structuredClone(given);
  const schema = kind.versions[0]?.schema;
  schema?.prune(object);
  schema?.applyDefaults(object);
  kind.strategy.mutate?.(object, undefined, administrator);
  kind.strategy.prepareForCreate?.(object);
  return object;
}

/** The same for an update of `old`. */
export function updated(kind: Kind, given: KubeObject, old: KubeObject): KubeObject {
  const object = structuredClone(given);
  const schema = kind.versions[0]?.schema;
  schema?.prune(object);
  schema?.applyDefaults(object);
  kind.strategy.mutate?.(object, old, administrator);
  kind.strategy.prepareForUpdate?.(object, old);
  return object;
}

/** What is wrong with an object, a line each. */
export function complaints(kind: Kind, object: KubeObject, old?: KubeObject, subresource = ''): string[] {
  const causes = kind.strategy.validate?.(object, old, subresource) ?? [];
  return causes.map(({ field, message }) => `${field}: ${message.split('\n')[0]}`);
}

/** The cells of an object's row by the names of their columns. */
export function cellsOf(kind: Kind, object: KubeObject): { readonly [column: string]: Json } {
  const columns = kind.versions[0]?.columns ?? [];
  return Object.fromEntries(columns.map((column) => [column.name, column.cell(object, testTime.getTime())]));
}
