/** What the command says before it touches anything. Needs no cluster, and no root. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { whyNot } from './machine.ts';
import { chooseCluster } from './settings.ts';

describe('npm run cluster', () => {
  const command = (args: readonly string[], env: NodeJS.ProcessEnv = {}) =>
    spawnSync(process.execPath, [join(import.meta.dirname, 'cli.ts'), ...args], {
      encoding: 'utf8',
      env: { ...process.env, ...env },
    });

  it('cluster: --help names every verb and every setting', () => {
    const { status, stdout } = command(['--help']);
    assert.equal(status, 0);
    for (const word of ['up', 'status', 'env', 'down', 'RUNGATE_CLUSTER_DIR', 'RUNGATE_CLUSTER_PORT'])
      assert.match(stdout, new RegExp(word));
  });

  for (const args of [[], ['sideways'], ['up', 'down'], ['constructor']]) {
    it(`cluster: "${args.join(' ')}" is not understood: exit code 2, with the usage`, () => {
      const { status, stderr } = command(args);
      assert.equal(status, 2);
      assert.match(stderr, /usage: npm run cluster/);
    });
  }

  const wrong = [
    { env: { RUNGATE_CLUSTER: 'mine' }, says: /RUNGATE_CLUSTER is "mine"/ },
    { env: { RUNGATE_CLUSTER: 'existing', KUBECONFIG: '' }, says: /needs KUBECONFIG/ },
    { env: { RUNGATE_CLUSTER_PORT: 'high' }, says: /RUNGATE_CLUSTER_PORT is "high"/ },
    { env: { RUNGATE_CLUSTER_PORT: '65530' }, says: /RUNGATE_CLUSTER_PORT/ },
    { env: { RUNGATE_CLUSTER_DIR: 'relative' }, says: /RUNGATE_CLUSTER_DIR .* absolute/ },
    { env: { RUNGATE_CLUSTER_DIR: `/${'long/'.repeat(20)}` }, says: /RUNGATE_CLUSTER_DIR .* 64 characters/ },
    { env: { RUNGATE_CLUSTER_CACHE: '/with space' }, says: /RUNGATE_CLUSTER_CACHE/ },
  ];
  for (const { env, says } of wrong) {
    it(`cluster: ${Object.entries(env)
      .map((pair) => pair.join('='))
      .join(' ')} is refused, by name`, () => {
      const { status, stderr } = command(['up'], env);
      assert.equal(status, 1);
      assert.match(stderr, says);
    });
  }

  it('cluster: on a Mac, and without root, it names the other way', () => {
    for (const reason of [whyNot('darwin', 501), whyNot('linux', 1000)])
      assert.match(reason ?? '', /RUNGATE_CLUSTER=existing KUBECONFIG=/);
    assert.equal(whyNot('linux', 0), undefined);
  });

  it('cluster: `down` leaves an existing cluster alone, and says so', () => {
    const { status, stderr } = command(['down'], { RUNGATE_CLUSTER: 'existing', KUBECONFIG: '/nowhere' });
    assert.equal(status, 0);
    assert.match(stderr, /not ours to take down/);
  });

  it('cluster: no port is one that other servers of tests like to have', () => {
    const choice = chooseCluster({});
    assert.ok(choice.kind === 'own');
    for (const port of Object.values(choice.settings.ports)) assert.ok(![8080, 9090, 5432].includes(port));
  });
});
