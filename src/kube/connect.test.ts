import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { HandClock } from '../../test/support/hand-clock.ts';
import { type ConnectOptions, connect } from './connect.ts';

/** A kubeconfig with one context `name`, whose cluster and user have that name too. */
function kubeconfig(name: string, more: { server?: string; cluster?: string; user?: string; context?: string } = {}) {
  return `
apiVersion: v1
kind: Config
current-context: ${name}
clusters:
- name: ${name}
  cluster: { server: '${more.server ?? `https://${name}.example:6443`}', ${more.cluster ?? ''} }
users:
- name: ${name}
  user: { ${more.user ?? 'token: secret'} }
contexts:
- name: ${name}
  context: { cluster: ${name}, ${more.context ?? `user: ${name}, namespace: ${name}-runs`} }
`;
}

describe('connect', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rungate-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const file = async (name: string, text: string) => {
    const path = join(folder, name);
    await mkdir(join(path, '..'), { recursive: true });
    await writeFile(path, text);
    return path;
  };
  /** Looks nowhere but in this test's folder. */
  const find = (more: Partial<ConnectOptions> = {}) =>
    connect({ serviceAccountFolder: join(folder, 'account'), ...more, env: { HOME: folder, ...more.env } });
  const authorization = async (connection: Awaited<ReturnType<typeof connect>>) =>
    (await connection.requestOptions()).headers;

  describe('looks in order', () => {
    it('at the file of the command line, and at nothing else', async () => {
      const named = await file('named', kubeconfig('named'));
      const env = { KUBECONFIG: await file('other', kubeconfig('other')) };
      const found = await find({ kubeconfig: named, env });
      assert.equal(found.server.href, 'https://named.example:6443/');
      assert.equal(found.namespace, 'named-runs');
      assert.equal(found.describe, `https://named.example:6443 (context "named" of ${named})`);
      await assert.rejects(find({ kubeconfig: join(folder, 'absent'), env }), {
        code: 'refused',
        message: `the kubeconfig ${join(folder, 'absent')} cannot be read`,
      });
    });

    it('at the files of KUBECONFIG, where the first to name a thing wins', async () => {
      const first = await file('first', kubeconfig('one'));
      const second = await file('second', kubeconfig('two'));
      const third = await file('third', kubeconfig('one', { server: 'https://not-this' }));
      const env = { KUBECONFIG: [first, join(folder, 'absent'), third, second].join(delimiter) };
      assert.equal((await find({ env })).server.hostname, 'one.example');
      assert.equal((await find({ env, context: 'two' })).server.hostname, 'two.example');
    });

    it('no further than KUBECONFIG where it is set', async () => {
      await file('.kube/config', kubeconfig('home'));
      await assert.rejects(find({ env: { KUBECONFIG: join(folder, 'absent') } }), {
        code: 'refused',
        message: `KUBECONFIG names ${join(folder, 'absent')}: none can be read`,
      });
    });

    it('at ~/.kube/config', async () => {
      await file('.kube/config', kubeconfig('home'));
      assert.equal((await find()).server.hostname, 'home.example');
    });

    it("at the pod's service account", async () => {
      await file('account/token', 'first\n');
      await file('account/ca.crt', 'CA');
      await file('account/namespace', 'rungate\n');
      const found = await find({ env: { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' } });
      assert.equal(found.server.href, 'https://[fd00::1]/');
      assert.equal(found.namespace, 'rungate');
      assert.equal(found.describe, 'https://[fd00::1] (the service account of this pod)');
      const { headers, ca, agent } = await found.requestOptions();
      assert.deepEqual(headers, { Authorization: 'Bearer first' });
      assert.equal(String(ca), 'CA');
      assert.equal(agent, undefined);
    });

    it('and then says where it looked, rather than to try localhost', async () => {
      await assert.rejects(find(), (error: Error) => {
        for (const place of ['--kubeconfig', 'KUBECONFIG', join(folder, '.kube/config'), 'KUBERNETES_SERVICE_HOST']) {
          assert.ok(error.message.includes(place), `${place} in: ${error.message}`);
        }
        return true;
      });
    });
  });

  const refusals: readonly { name: string; text: string; context?: string; want: RegExp }[] = [
    {
      name: 'a context that is not there',
      text: kubeconfig('a'),
      context: 'b',
      want: /no context "b" in .*; contexts there: a$/,
    },
    { name: 'no current context', text: 'clusters: []', want: /no current-context in .*; contexts there: none$/ },
    { name: 'an empty file', text: '', want: /the kubeconfig .* cannot be used/ },
    {
      name: 'a cluster that is not there',
      text: kubeconfig('a').replace('cluster: a,', 'cluster: b,'),
      want: /context "a" in .* names no cluster of it/,
    },
    {
      name: 'a user that is not there',
      text: kubeconfig('a', { context: 'user: b' }),
      want: /context "a" in .* names no user of it/,
    },
    {
      name: 'plain HTTP that leaves the machine',
      text: kubeconfig('a', { server: 'http://10.0.0.1:8080', cluster: 'insecure-skip-tls-verify: true' }),
      want: /names http:\/\/10.0.0.1:8080: it must be https, or http on loopback/,
    },
    {
      name: 'a name that only looks like loopback',
      text: kubeconfig('a', { server: 'http://127.0.0.1.example' }),
      want: /must be https/,
    },
    {
      name: 'a server that is no URL',
      text: kubeconfig('a', { server: 'somewhere' }),
      want: /an address that is no URL/,
    },
  ];
  for (const { name, text, context, want } of refusals) {
    it(`refuses ${name}`, async () => {
      const path = await file('config', text);
      const wanted = context === undefined ? {} : { context };
      await assert.rejects(find({ kubeconfig: path, ...wanted }), { code: 'refused', message: want });
    });
  }

  it('quotes no secret of a file it cannot parse', async () => {
    const path = await file('config', 'users:\n- user: {token: hunter2\n  x: [}\n');
    await assert.rejects(find({ kubeconfig: path }), (error: Error) => {
      assert.ok(!error.message.includes('hunter2'), error.message);
      assert.equal(error.cause, undefined);
      return true;
    });
  });

  it('shows no credentials that stand in the URL', async () => {
    const path = await file(
      'config',
      kubeconfig('a', { server: 'https://me:hunter2@host/k8s/clusters/c-1?q=hunter2' }),
    );
    assert.equal((await find({ kubeconfig: path })).describe, `https://host/k8s/clusters/c-1 (context "a" of ${path})`);
  });

  it('says when TLS is not verified', async () => {
    const path = await file('config', kubeconfig('a', { cluster: 'insecure-skip-tls-verify: true' }));
    const found = await find({ kubeconfig: path });
    assert.match(found.describe, /TLS not verified/);
    assert.equal((await found.requestOptions()).rejectUnauthorized, false);
  });

  it('sends no credentials over plain HTTP on loopback', async () => {
    for (const server of ['http://127.0.0.1:8001', 'http://localhost:8001', 'http://[::1]:8001']) {
      const path = await file('config', kubeconfig('a', { server }));
      assert.deepEqual(await (await find({ kubeconfig: path })).requestOptions(), {});
    }
  });

  it('trusts the CA even where a context has no user', async () => {
    const cluster = `certificate-authority-data: ${Buffer.from('CA').toString('base64')}`;
    const path = await file('config', kubeconfig('a', { cluster, context: 'namespace: x' }));
    const { ca, headers } = await (await find({ kubeconfig: path })).requestOptions();
    assert.equal(String(ca), 'CA');
    assert.deepEqual(headers, {});
  });

  it('uses the proxy that the kubeconfig names, and an agent of the library nowhere else', async () => {
    const path = await file('config', kubeconfig('a', { cluster: "proxy-url: 'http://proxy.example:3128'" }));
    assert.notEqual((await (await find({ kubeconfig: path })).requestOptions()).agent, undefined);
    await file('config', kubeconfig('a'));
    const env = { HTTPS_PROXY: 'http://proxy.example:3128' };
    assert.equal((await (await find({ kubeconfig: path, env })).requestOptions()).agent, undefined);
  });

  it('reads a token file named beside the kubeconfig', async () => {
    await file('token', 'from-file\n');
    const path = await file('config', kubeconfig('a', { user: 'tokenFile: token' }));
    assert.deepEqual(await authorization(await find({ kubeconfig: path })), { Authorization: 'Bearer from-file' });
  });

  it('names the server, not the reason, when credentials cannot be had', async () => {
    const path = await file('config', kubeconfig('a', { user: 'tokenFile: absent' }));
    const found = await find({ kubeconfig: path });
    await assert.rejects(found.requestOptions(), {
      code: 'refused',
      message: `the credentials for ${found.describe} cannot be had`,
    });
  });

  describe('after a 401', () => {
    it('reads a rotated token anew', async () => {
      const env = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' };
      await file('account/token', 'first');
      await file('account/ca.crt', 'CA');
      const found = await find({ env });
      assert.deepEqual(await authorization(found), { Authorization: 'Bearer first' });
      await file('account/token', 'second');
      await found.refreshCredentials();
      assert.deepEqual(await authorization(found), { Authorization: 'Bearer second' });
    });

    it('runs an exec plugin anew: one of them for all who wait, and not again within 5 s', async () => {
      const plugin = await file(
        'bin/plugin',
        [
          '#!/bin/sh',
          `echo run >> '${folder}/runs'`,
          `token=$(wc -l < '${folder}/runs' | tr -d ' ')`,
          'echo \'{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"\'$token\'"}}\'',
        ].join('\n'),
      );
      await chmod(plugin, 0o755);
      const exec = 'exec: { apiVersion: client.authentication.k8s.io/v1, command: ./bin/plugin }';
      const clock = new HandClock();
      const found = await find({ kubeconfig: await file('config', kubeconfig('a', { user: exec })), clock });
      const tokens = async () => {
        const all = await Promise.all([authorization(found), authorization(found), authorization(found)]);
        return [...new Set(all.map((headers) => JSON.stringify(headers)))];
      };
      assert.deepEqual(await tokens(), ['{"Authorization":"Bearer 1"}']);
      await Promise.all([found.refreshCredentials(), found.refreshCredentials()]);
      assert.deepEqual(await tokens(), ['{"Authorization":"Bearer 2"}']);
      await clock.turn(4_999);
      await found.refreshCredentials();
      assert.deepEqual(await tokens(), ['{"Authorization":"Bearer 2"}']);
      await clock.turn(1);
      await found.refreshCredentials();
      assert.deepEqual(await tokens(), ['{"Authorization":"Bearer 3"}']);
    });

    it('stays in the context it began with', async () => {
      const path = await file('config', kubeconfig('a', { user: 'token: first' }));
      const found = await find({ kubeconfig: path });
      const both = kubeconfig('a', { user: 'token: second' })
        .replace('current-context: a', 'current-context: b')
        .replace('contexts:', 'contexts:\n- name: b\n  context: { cluster: a, user: a, namespace: other }');
      await file('config', both);
      await found.refreshCredentials();
      assert.deepEqual(await authorization(found), { Authorization: 'Bearer second' });
    });

    it('keeps the old credentials when the file is broken, or names another server', async () => {
      const path = await file('config', kubeconfig('a'));
      const found = await find({ kubeconfig: path });
      await file('config', kubeconfig('a', { server: 'https://elsewhere', user: 'token: stolen' }));
      await assert.rejects(found.refreshCredentials(), { code: 'refused', message: /names another server now/ });
      await file('config', '{');
      await assert.rejects(found.refreshCredentials(), { code: 'refused', message: /cannot be used/ });
      assert.deepEqual(await authorization(found), { Authorization: 'Bearer secret' });
    });
  });
});
