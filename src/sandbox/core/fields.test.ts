import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { testKinds } from '../../../test/support/core-kinds.ts';
import { object, type SchemaNode } from '../schema/node.ts';

/**
 * The fields of the real server's own types, from its `/openapi/v3` (`kubectl get --raw /openapi/v3/api/v1` and so on): what
 * each is, how lists are told apart, how a strategic patch merges them.
 */
const recorded: { readonly types: { readonly [type: string]: { readonly [field: string]: string } } } = JSON.parse(
  readFileSync(new URL('../../../test/fixtures/kubernetes/core-fields.json', import.meta.url), 'utf8'),
);

const types = new Map<string, { readonly [field: string]: string }>();
for (const kind of testKinds()) {
  const group = kind.group === '' ? 'core' : kind.group.split('.')[0];
  const { apiVersion, kind: _, metadata, ...fields } = kind.versions[0]?.schema.node.properties ?? {};
  collect(object(fields, { typeName: `io.k8s.api.${group}.v1.${kind.kind}` }));
}

function collect(node: SchemaNode): void {
  const { typeName, properties, items, additionalProperties } = node;
  if (items !== undefined) collect(items);
  if (typeof additionalProperties === 'object') collect(additionalProperties);
  if (properties === undefined) return;
  const fields = Object.entries(properties).map(([field, child]) => [field, written(child)] as const);
  if (node['x-kubernetes-map-type'] === 'atomic') fields.push(['(itself)', 'atomic']);
  if (typeName !== undefined) types.set(shortName(typeName), Object.fromEntries(fields));
  for (const child of Object.values(properties)) collect(child);
}

function written(node: SchemaNode): string {
  const { typeName, type, items, additionalProperties, format } = node;
  if (typeName !== undefined) return typeName.slice(typeName.lastIndexOf('.') + 1);
  if (node['x-kubernetes-int-or-string'] === true) return 'IntOrString';
  if (type === 'array') return `[${written(items ?? {})}]${listWords(node)}`;
  if (typeof additionalProperties === 'object') {
    return `{${written(additionalProperties)}}${node['x-kubernetes-map-type'] === 'atomic' ? ' atomic' : ''}`;
  }
  return { byte: 'bytes' }[format ?? ''] ?? format ?? type ?? '';
}

function listWords(node: SchemaNode): string {
  const type = node['x-kubernetes-list-type'] ?? 'atomic';
  const keys = node['x-kubernetes-list-map-keys'];
  const strategy = node['x-kubernetes-patch-strategy'];
  const mergeKey = node['x-kubernetes-patch-merge-key'];
  return [
    type === 'atomic' ? '' : ` ${type}`,
    keys === undefined ? '' : ` by ${keys.join(',')}`,
    strategy === undefined ? '' : ` patch ${strategy}`,
    mergeKey === undefined ? '' : ` by ${mergeKey}`,
  ].join('');
}

function shortName(typeName: string): string {
  return typeName.replace(/^io\.k8s\.(?:api|apimachinery\.pkg\.apis)\./, '');
}

describe('fields of the core kinds', () => {
  for (const [type, fields] of Object.entries(recorded.types)) {
    it(type, () => {
      const own = types.get(type);
      assert.ok(own !== undefined, 'there is no such type here');
      const sorted = (one: { readonly [field: string]: string }) => Object.entries(one).sort();
      assert.deepEqual(sorted(own), sorted(fields));
    });
  }
});
