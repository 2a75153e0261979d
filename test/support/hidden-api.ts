/** Makes an API server look as if it did not serve a version or a resource: which answers change, and how. Pure. */

/** What is not there: a version (`tekton.dev/v1`), or in it one resource (`customruns`). */
export interface HiddenApi {
  readonly group: string;
  readonly version: string;
  readonly resource?: string;
}

/** What to do with a request while `hidden` is hidden: nothing, answer 404, or edit the document on its way. */
export function concealment(hidden: HiddenApi, path: string): 'none' | 'absent' | 'edit' {
  const group = `/apis/${hidden.group}`;
  const version = `${group}/${hidden.version}`;
  if (hidden.resource === undefined) {
    if (path === version || path.startsWith(`${version}/`)) return 'absent';
    return path === '/apis' || path === group ? 'edit' : 'none';
  }
  if (path === version) return 'edit';
  if (!path.startsWith(`${version}/`)) return 'none';
  const [first, , third] = path.slice(version.length + 1).split('/');
  return first === hidden.resource || (first === 'namespaces' && third === hidden.resource) ? 'absent' : 'none';
}

interface GroupDocument {
  readonly name?: string;
  readonly versions?: readonly { readonly groupVersion: string; readonly version: string }[];
}

/**
 * A discovery document (APIGroupList, APIGroup or APIResourceList) without what is hidden; undefined when nothing of it
 * remains. https://kubernetes.io/docs/reference/using-api/api-concepts/#unaggregated-discovery
 */
export function concealIn(document: unknown, hidden: HiddenApi): unknown {
  const found = document as GroupDocument & {
    readonly kind?: string;
    readonly groupVersion?: string;
    readonly groups?: readonly GroupDocument[];
    readonly resources?: readonly { readonly name: string }[];
  };
  if (found.kind === 'APIGroupList') {
    const groups = (found.groups ?? [])
      .map((group) => withoutVersion(group, hidden))
      .filter((group) => group !== undefined);
    return { ...found, groups };
  }
  if (found.kind === 'APIGroup') return withoutVersion(found, hidden);
  if (found.kind === 'APIResourceList' && found.groupVersion === `${hidden.group}/${hidden.version}`) {
    return {
      ...found,
      resources: (found.resources ?? []).filter(({ name }) => name.split('/')[0] !== hidden.resource),
    };
  }
  return document;
}

function withoutVersion(group: GroupDocument, hidden: HiddenApi): GroupDocument | undefined {
  if (group.name !== hidden.group || hidden.resource !== undefined) return group;
  const versions = (group.versions ?? []).filter(({ version }) => version !== hidden.version);
  return versions.length === 0 ? undefined : { ...group, versions, ...{ preferredVersion: versions[0] } };
}
