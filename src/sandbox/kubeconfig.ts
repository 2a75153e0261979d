/** The file with which kubectl, and whoever else speaks to a cluster, finds a sandbox. */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** What such a file says. */
export interface KubeconfigFacts {
  readonly url: string;
  /** PEM of the authority that vouches for the server. */
  readonly authority: string;
  readonly token: string;
}

/** Writes it, readable for this user alone; the folder is made if need be. */
export async function writeKubeconfig(file: string, { url, authority, token }: KubeconfigFacts): Promise<void> {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'sandbox',
    clusters: [
      {
        name: 'sandbox',
        cluster: { server: url, 'certificate-authority-data': Buffer.from(authority).toString('base64') },
      },
    ],
    users: [{ name: 'administrator', user: { token } }],
    contexts: [{ name: 'sandbox', context: { cluster: 'sandbox', user: 'administrator', namespace: 'default' } }],
  };
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const unfinished = `${file}.new`;
  await writeFile(unfinished, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
  await rename(unfinished, file);
}
