/** A kind that the server itself knows: one version, its schema in the words of `typed.ts`, its rules in code. */
import type { Column, Kind, ObjectSchema, ServedVersion, Strategy, Subresource, Verb } from '../api/kind.ts';
import type { KubeObject } from '../object.ts';
import { compileSchema } from '../schema/compile.ts';
import { metadataNode } from '../schema/metadata.ts';
import { object, type SchemaNode, text } from '../schema/node.ts';
import { typed } from './typed.ts';

/** What tells one such kind from another. */
export interface Builtin {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  /** Absent: the kind in lower case. */
  readonly singular?: string;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly namespaced: boolean;
  /** Absent: all of them. */
  readonly verbs?: readonly Verb[];
  /** What the kind has beside `apiVersion`, `kind` and `metadata`. */
  readonly fields: { readonly [name: string]: SchemaNode };
  readonly required?: readonly string[];
  /** Defaults that depend on more than the field itself. Twice must be as once. */
  readonly defaults?: (object: KubeObject) => void;
  readonly columns?: readonly Column[];
  readonly rowConditions?: NonNullable<ServedVersion['rowConditions']>;
  readonly statusSubresource?: boolean;
  readonly subresources?: { readonly [name: string]: Subresource };
  readonly strategy?: Strategy;
  readonly review?: NonNullable<Kind['review']>;
  readonly createsOnUpdate?: true;
  readonly updatesNeedVersion?: true;
  readonly deletesAnswerObject?: true;
  readonly sharesWith?: NonNullable<Kind['sharesWith']>;
}

/** Every verb there is. */
const allVerbs: readonly Verb[] = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

/** Compiles it. */
export function builtin(about: Builtin): Kind {
  return {
    group: about.group,
    kind: about.kind,
    listKind: `${about.kind}List`,
    plural: about.plural,
    singular: about.singular ?? about.kind.toLowerCase(),
    shortNames: about.shortNames ?? [],
    categories: about.categories ?? [],
    namespaced: about.namespaced,
    verbs: about.verbs ?? allVerbs,
    versions: [
      {
        version: about.version,
        schema: builtinSchema(about),
        columns: about.columns ?? [],
        ...(about.rowConditions === undefined ? {} : { rowConditions: about.rowConditions }),
      },
    ],
    storageVersion: about.version,
    statusSubresource: about.statusSubresource ?? false,
    subresources: about.subresources ?? {},
    strategy: about.strategy ?? {},
    custom: false,
    createsOnUpdate: about.createsOnUpdate ?? false,
    updatesNeedVersion: about.updatesNeedVersion ?? false,
    deletesAnswerObject: about.deletesAnswerObject ?? false,
    ...(about.review === undefined ? {} : { review: about.review }),
    ...(about.sharesWith === undefined ? {} : { sharesWith: about.sharesWith }),
  };
}

/** The schema of such a kind, or of the body that a subresource is sent. */
export function builtinSchema({
  fields,
  required,
  defaults,
}: Pick<Builtin, 'fields' | 'required' | 'defaults'>): ObjectSchema {
  const node = object(
    { apiVersion: text(), kind: text(), metadata: metadataNode, ...fields },
    required === undefined ? {} : { required },
  );
  const compiled = compileSchema(node, { custom: false });
  const bringIntoForm = typed(object(fields));
  return {
    node: compiled.node,
    applyDefaults(target) {
      bringIntoForm(target);
      compiled.applyDefaults(target);
      defaults?.(target);
    },
    prune: (target) => compiled.prune(target),
    // What the server refuses of its own kinds it refuses by code, in other words and another order than a schema would.
    validate: () => [],
  };
}
