import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** What a process of its own prints: this one has loaded the whole library for its own purposes. */
async function printed(script: string): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    cwd: import.meta.dirname,
  });
  return stdout.trim();
}

const LOADED = `
import { loadKubeConfig } from './kubeconfig.ts';
const KubeConfig = await loadKubeConfig();
const config = new KubeConfig();
config.loadFromOptions({
  clusters: [{ name: 'ci', server: 'https://ci.example:6443' }],
  users: [{ name: 'ci', token: 'secret' }],
  contexts: [{ name: 'ci', cluster: 'ci', user: 'ci' }],
  currentContext: 'ci',
});
`;

describe('loadKubeConfig', () => {
  it('gives identities as the library does', async () => {
    const script = `${LOADED}
      const options = {};
      await config.applyToHTTPSOptions(options);
      console.log(options.headers.Authorization);`;
    assert.equal(await printed(script), 'Bearer secret');
  });

  it('loads no classes of kinds and calls: who wants to make one is told', async () => {
    const script = `${LOADED}
      try { config.makeApiClient(class {}); } catch (error) { console.log(error.message); }`;
    assert.equal(await printed(script), 'rungate does not load ServerConfiguration');
  });

  it('changes nothing for who loads the library as it is', async () => {
    const script = `${LOADED}
      const { CoreV1Api } = await import('@kubernetes/client-node');
      console.log(typeof CoreV1Api, await loadKubeConfig() === KubeConfig);`;
    assert.equal(await printed(script), 'function true');
  });
});
