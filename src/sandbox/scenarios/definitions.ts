/** The kinds of k8s/crds, so that they are to a sandbox what they are to a cluster that they were applied to. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { ApiClient, NewObject } from '../api/client.ts';
import { definitionsResource } from '../api/crds.ts';

/** The CustomResourceDefinitions in the YAML files of a folder. Rejects when the folder cannot be read. */
export async function definitionsIn(folder: string): Promise<readonly NewObject[]> {
  const files = (await readdir(folder)).filter((name) => name.endsWith('.yaml')).sort();
  const texts = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')));
  return texts
    .flatMap((text) => parseAllDocuments(text).map((document) => document.toJS() as NewObject))
    .filter(({ kind }) => kind === 'CustomResourceDefinition');
}

/** Creates them, or brings those up to date that an earlier release left in a state that was kept. Their kinds are served at once. */
export function applyDefinitions(client: ApiClient, definitions: readonly NewObject[]): void {
  for (const definition of definitions) {
    const known = client.get(definitionsResource, '', definition.metadata.name ?? '');
    if (known === undefined) client.create(definitionsResource, definition);
    else client.update(definitionsResource, { ...known, ...definition, metadata: known.metadata });
  }
}
