/** A CustomResourceDefinition from the few facts that tell one from another. */
import type { NewObject } from '../api/client.ts';
import type { Json } from '../object.ts';
import { object, type SchemaNode, text } from '../schema/node.ts';

/** A printer column, `additionalPrinterColumns[]`. */
export interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'boolean' | 'date';
  readonly jsonPath: string;
  /** 1 is shown with `-o wide` only. */
  readonly priority?: number;
}

/** One served version. */
export interface CustomVersion {
  readonly name: string;
  readonly spec: SchemaNode;
  /** Absent: the schema knows no `status`, so what is sent of it is pruned. */
  readonly status?: SchemaNode;
  /** There is not even a status subresource. */
  readonly hasNoStatus?: boolean;
  readonly columns?: readonly PrinterColumn[];
  /** What the answer's Warning header says of this version. */
  readonly deprecationWarning?: string;
}

/** A namespaced kind. */
export interface CustomKind {
  readonly group: string;
  readonly kind: string;
  readonly plural: string;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly labels?: { readonly [key: string]: string };
  /** The first one is stored. */
  readonly versions: readonly [CustomVersion, ...CustomVersion[]];
}

/**
 * The CustomResourceDefinition of `custom`, as it is sent to be created.
 * https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/custom-resource-definition-v1/
 */
export function customResource(custom: CustomKind): NewObject {
  const { group, kind, plural, shortNames = [], categories = [], labels, versions } = custom;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}`, ...(labels === undefined ? {} : { labels: { ...labels } }) },
    spec: {
      group,
      scope: 'Namespaced',
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        ...(shortNames.length === 0 ? {} : { shortNames: [...shortNames] }),
        ...(categories.length === 0 ? {} : { categories: [...categories] }),
      },
      versions: versions.map((version) => versionOf(version, version === versions[0])),
    },
  };
}

function versionOf(version: CustomVersion, storage: boolean): Json {
  const { name, spec, status, hasNoStatus = false, columns = [], deprecationWarning } = version;
  const schema = object({
    apiVersion: text(),
    kind: text(),
    metadata: { type: 'object' },
    spec,
    ...(status === undefined ? {} : { status }),
  });
  return {
    name,
    served: true,
    storage,
    ...(deprecationWarning === undefined ? {} : { deprecated: true, deprecationWarning }),
    ...(hasNoStatus ? {} : { subresources: { status: {} } }),
    ...(columns.length === 0 ? {} : { additionalPrinterColumns: columns.map((column) => ({ ...column })) }),
    schema: { openAPIV3Schema: jsonOf(schema) },
  };
}

/** Nodes are shared between schemas and read-only; an object that is sent is neither. */
function jsonOf(node: SchemaNode): Json {
  return JSON.parse(JSON.stringify(node)) as Json;
}
