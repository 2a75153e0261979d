/** The rights that k8s/ gives, as data: what is installed for a test, and each right by itself, so that it can be taken away. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { type Manifest, manifestsIn } from './admin.ts';
import { checkout } from './gateway.ts';

/** One verb on one resource. */
export interface Right {
  /** `pipelineruns.tekton.dev`, `events`. */
  readonly resource: string;
  readonly verb: string;
}

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

/** The objects of a folder of k8s/ that are in a namespace (`base`, `components/triggers`), in their order. */
export function objectsOf(folder: string): readonly Manifest[] {
  const path = `${checkout}k8s/${folder}/`;
  const { resources = [] } = parse(readFileSync(`${path}kustomization.yaml`, 'utf8')) as {
    readonly resources?: readonly string[];
  };
  return resources.flatMap((file) => manifestsIn(readFileSync(path + file, 'utf8')));
}

/** Every right that the roles of a folder give, each once, in their order. */
export function rightsOf(folder: string): readonly Right[] {
  const rights = objectsOf(folder)
    .flatMap(rulesOf)
    .flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) =>
          verbs.map((verb): Right => ({ resource: group === '' ? resource : `${resource}.${group}`, verb })),
        ),
      ),
    );
  const keyOf = ({ resource, verb }: Right) => `${verb} ${resource}`;
  return [...new Map(rights.map((right) => [keyOf(right), right])).values()];
}

/** A role that lacks one right; what is no role, or never had it, stays as it is. */
export function without(object: Manifest, { resource, verb }: Right): Manifest {
  if (object.kind !== 'Role' && object.kind !== 'ClusterRole') return object;
  const rules = rulesOf(object).flatMap((rule) =>
    rule.apiGroups.flatMap((group) =>
      rule.resources.flatMap((each) => {
        const isIt = resource === (group === '' ? each : `${each}.${group}`);
        const verbs = isIt ? rule.verbs.filter((one) => one !== verb) : rule.verbs;
        return verbs.length === 0 ? [] : [{ ...rule, apiGroups: [group], resources: [each], verbs }];
      }),
    ),
  );
  return { ...object, rules };
}

function rulesOf({ rules }: Manifest): readonly Rule[] {
  return (rules as readonly Rule[] | undefined) ?? [];
}
