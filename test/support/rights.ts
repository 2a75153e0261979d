/** The rights that k8s/ gives, as data: what is installed for a test, and each right by itself, so that it can be taken away. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { type Admin, type Manifest, manifestsIn } from './admin.ts';
import { eventually } from './eventually.ts';
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

/** What a rungate outside of the cluster needs there: who it is, what it may, and the kinds that it acts on. */
const kindsOfRights = new Set(['ServiceAccount', 'Role', 'RoleBinding', 'CustomResourceDefinition']);

/** The objects of a folder of k8s/ (`base`, `components/triggers`, `crds`) that rights and kinds are made of, in their order. */
export function objectsOf(folder: string): readonly Manifest[] {
  const { resources = [] } = kustomizationOf(folder);
  return resources
    .flatMap((file) => manifestsIn(readFileSync(`${checkout}k8s/${folder}/${file}`, 'utf8')))
    .filter(({ kind }) => kindsOfRights.has(kind));
}

interface Kustomization {
  readonly resources?: readonly string[];
  readonly components?: readonly string[];
  readonly patches?: readonly { readonly target: { readonly kind: string }; readonly patch: string }[];
}

function kustomizationOf(folder: string): Kustomization {
  return parse(readFileSync(`${checkout}k8s/${folder}/kustomization.yaml`, 'utf8')) as Kustomization;
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
  return [...new Map(rights.map((right) => [keyOf(right), right])).values()];
}

/** A right as people say it: `delete pipelineruns.tekton.dev`. */
export function keyOf({ resource, verb }: Right): string {
  return `${verb} ${resource}`;
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

/**
 * Makes the roles of some folders in a namespace what k8s/ says, less `missing`, and waits until the API server judges by them.
 * `account` is the namespace of rungate's ServiceAccount.
 */
export async function giveAllBut(
  missing: readonly Right[],
  {
    admin,
    namespace,
    folders,
    account = namespace,
  }: {
    readonly admin: Admin;
    readonly namespace: string;
    readonly folders: readonly string[];
    readonly account?: string;
  },
): Promise<void> {
  const isHome = namespace === account;
  for (const object of folders.flatMap(objectsOf)) {
    if (object.kind !== 'Role' || (object.metadata.name === 'rungate-lease' && !isHome)) continue;
    await admin.apply({ ...missing.reduce(without, object), metadata: { ...object.metadata, namespace } });
  }
  const taken = new Set(missing.map(keyOf));
  for (const right of folders.flatMap(rightsOf)) {
    if (right.resource.startsWith('leases') && !isHome) continue;
    const wanted = !taken.has(keyOf(right));
    await eventually(async () =>
      assert.equal(await isAllowed(right, { admin, namespace, account }), wanted, `${keyOf(right)} in ${namespace}`),
    );
  }
}

/** Whether the API server would let rungate's account do it. */
async function isAllowed(
  { verb, resource: whole }: Right,
  { admin, namespace, account }: { readonly admin: Admin; readonly namespace: string; readonly account: string },
): Promise<boolean> {
  const [, resource = '', subresource = '', group = ''] = /^([^./]+)\/?([^.]*)\.?(.*)$/.exec(whole) ?? [];
  const name = resource === 'leases' && verb !== 'create' ? 'bb9e0b30.jquad.rocks' : '';
  const { status } = await admin.post<{ readonly status: { readonly allowed: boolean } }>(
    '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: {
        user: `system:serviceaccount:${account}:rungate`,
        resourceAttributes: { namespace, verb, group, resource, subresource, name },
      },
    },
  );
  return status.allowed;
}

/** What the API server says of a right that is missing in a namespace, as a log (in JSON or not) or a condition quotes it. */
export function refusalOf({ verb, resource }: Right, namespace: string): RegExp {
  const [, plural = '', group = ''] = /^([^.]+)\.?(.*)$/.exec(resource) ?? [];
  const quoted = (text: string) => `\\\\?"${text.replaceAll('.', '\\.')}\\\\?"`;
  return new RegExp(
    `cannot ${verb} resource ${quoted(plural)} in API group ${quoted(group)} in the namespace ${quoted(namespace)}`,
  );
}

/** `get pods` as a right. */
export function right(written: string): Right {
  const [verb = '', resource = ''] = written.split(' ');
  return { verb, resource };
}

function rulesOf({ rules }: Manifest): readonly Rule[] {
  return (rules as readonly Rule[] | undefined) ?? [];
}

/** The folders that give rights, `base` first. Those whose name ends in `-cluster` give the ones of another in every namespace. */
export const foldersOfRights: readonly string[] = [
  'base',
  ...readdirSync(`${checkout}k8s/components`).map((name) => `components/${name}`),
].filter((folder) => folder.endsWith('-cluster') || rightsOf(folder).length > 0);

/** The table of docs/security.md: what each folder lets rungate do. */
export function rightsMarkdown(): string {
  const rows = foldersOfRights.flatMap((folder) => {
    const rules = folder.endsWith('-cluster') ? addedRules(folder) : objectsOf(folder).flatMap(rulesOf);
    const own = rules.map((rule) => [resourcesIn(rule).join(', '), rule.verbs.join(', ')]);
    const cells = folder.endsWith('-cluster')
      ? [[`those of \`${widened(folder)}\`, in every namespace`, ''], ...own]
      : own;
    return cells.map(([resources, verbs], place) => {
      const name = place === 0 ? `[\`${folder}\`](../k8s/${folder})` : '';
      return `| ${[name, resources, verbs].join(' | ')} |`.replaceAll('|  |', '| |');
    });
  });
  return ['| Folder of `k8s` | Resources | Verbs |', '|---|---|---|', ...rows].join('\n');
}

/** Which folder has the rules that a `-cluster` folder gives in every namespace. */
export function widened(folder: string): string {
  const [other] = kustomizationOf(folder).components ?? [];
  return other === undefined ? 'base' : other.replace('..', 'components');
}

/** The rules that such a folder adds to those. */
function addedRules(folder: string): readonly Rule[] {
  const { patches = [] } = kustomizationOf(folder);
  return patches
    .filter(({ target }) => target.kind === 'ClusterRole')
    .flatMap(({ patch }) => parse(patch) as readonly { readonly value: Rule }[])
    .map(({ value }) => value);
}

function resourcesIn({ apiGroups, resources, resourceNames = [] }: Rule): readonly string[] {
  const names = resourceNames.length === 0 ? '' : ` named ${resourceNames.map((name) => `\`${name}\``).join(', ')}`;
  return apiGroups.flatMap((group) =>
    resources.map((resource) => `\`${group === '' ? resource : `${resource}.${group}`}\`${names}`),
  );
}

/**
 * What docs/security.md says a folder lets rungate do, each as `get pods`, or `get leases.coordination.k8s.io named x`, sorted.
 * Those of a `-cluster` folder have the rights of the one that it widens among them.
 */
export function documentedRights(folder: string): readonly string[] {
  const rights: string[] = [];
  let current = '';
  for (const line of readFileSync(`${checkout}docs/security.md`, 'utf8').split('\n')) {
    const [, name = '', resources = '', verbs = ''] =
      /^\|([^|]*)\|([^|]*)\|([^|]*)\|$/.exec(line)?.map((each) => each.trim()) ?? [];
    current = /^\[`(.+)`\]\(\.\.\/k8s\//.exec(name)?.[1] ?? (name === '' && resources !== '' ? current : '');
    if (current !== folder) continue;
    const [, other] = /^those of `(.+)`, in every namespace$/.exec(resources) ?? [];
    if (other !== undefined) rights.push(...documentedRights(other));
    else
      for (const resource of resources.replaceAll('`', '').split(', '))
        rights.push(...verbs.split(', ').map((verb) => `${verb} ${resource}`));
  }
  return [...new Set(rights)].sort();
}
