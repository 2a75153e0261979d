/** ManagedCredentials made true by a real rungate, and runs of triggers that use them. */
import assert from 'node:assert/strict';
import type { Manifest } from '../support/admin.ts';
import { eventually } from '../support/eventually.ts';
import { startWorld, type World } from '../support/world.ts';

interface Secret extends Manifest {
  readonly type: string;
  readonly data: Readonly<Record<string, string>>;
}

interface Account extends Manifest {
  readonly secrets?: readonly { readonly name: string }[];
  readonly imagePullSecrets?: readonly { readonly name: string }[];
}

interface Conditioned extends Manifest {
  readonly status?: {
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason: string;
      readonly message: string;
    }[];
    readonly secretRef?: { readonly name: string };
    readonly serviceAccountRef?: { readonly name: string };
    readonly observedGeneration?: number;
  };
}

interface Run extends Manifest {
  readonly spec: {
    readonly taskRunTemplate: { readonly serviceAccountName: string };
    readonly workspaces: readonly { readonly name: string; readonly secret?: { readonly secretName: string } }[];
  };
}

const plain = (data: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]));

describe('ManagedCredentials', () => {
  let world: World;
  /** In no log, event or condition may be anything of these. */
  const token = 'glpat-0123456789abcdef';
  const newToken = 'glpat-fedcba9876543210';

  before(async () => {
    world = await startWorld({
      namespaces: 2,
      components: ['triggers', 'credentials'],
      env: { PARTS: 'triggers', MANAGED_CREDENTIALS: 'on' },
    });
  });
  after(() => world?.end());

  const core = (plural: string, name: string) => `/api/v1/namespaces/${world.namespace}/${plural}/${name}`;
  const credentialPath = (name: string) =>
    `/apis/credentials.jquad.rocks/v1alpha1/namespaces/${world.namespace}/managedcredentials/${name}`;
  const triggerPath = (name: string) =>
    `/apis/pipeline.jquad.rocks/v1alpha1/namespaces/${world.namespace}/pipelinetriggers/${name}`;

  const makeSecret = (name: string, stringData: Readonly<Record<string, string>>, type = 'Opaque') =>
    world.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name }, type, stringData });
  const makeCredential = (name: string, spec: object) =>
    world.apply({
      apiVersion: 'credentials.jquad.rocks/v1alpha1',
      kind: 'ManagedCredential',
      metadata: { name },
      spec: {
        credentialType: 'git',
        provider: 'git.example.com',
        tokenSecretRef: { name: `${name}-token`, namespace: world.namespace },
        ...spec,
      },
    });
  /** Waits until its conditions are these (`Ready True Synced`) and resolves with it. */
  const stands = (name: string, ...conditions: readonly string[]) =>
    eventually(
      async () => {
        const found = await world.admin.get<Conditioned>(credentialPath(name));
        const said = found.status?.conditions?.map(({ type, status, reason }) => `${type} ${status} ${reason}`);
        assert.deepEqual(said?.sort(), [...conditions].sort());
        return found;
      },
      { withinMs: 240_000 },
    );
  const messageOf = ({ status }: Conditioned) => status?.conditions?.find(({ type }) => type === 'Ready')?.message;

  it('a token for git becomes a Secret and a ServiceAccount that Tekton understands', async () => {
    await makeSecret('forge-token', { token });
    await makeCredential('forge', {
      serviceAccountTemplate: { labels: { team: 'a' } },
      secretTemplate: { annotations: { 'tekton.dev/git-0': 'https://elsewhere.example', note: 'mine' } },
    });
    const forge = await stands('forge', 'Ready True Synced');
    assert.equal(forge.status?.secretRef?.name, 'forge-secret');
    assert.equal(forge.status?.serviceAccountRef?.name, 'forge-sa');
    assert.equal(forge.status?.observedGeneration, 1);

    const secret = await world.admin.get<Secret>(core('secrets', 'forge-secret'));
    assert.equal(secret.type, 'kubernetes.io/basic-auth');
    assert.deepEqual(plain(secret.data), { username: 'oauth2', password: token });
    assert.equal(secret.metadata.annotations?.['tekton.dev/git-0'], 'https://git.example.com');
    assert.equal(secret.metadata.annotations?.note, 'mine');
    const account = await world.admin.get<Account>(core('serviceaccounts', 'forge-sa'));
    assert.deepEqual(account.secrets, [{ name: 'forge-secret' }]);
    assert.equal(account.metadata.labels?.team, 'a');
    for (const { metadata } of [secret, account]) {
      assert.deepEqual(
        metadata.ownerReferences?.map(({ kind, uid }) => [kind, uid]),
        [['ManagedCredential', forge.metadata.uid]],
      );
    }
  });

  it('a changed token is taken over, and what is deleted is made again', async function () {
    this.timeout(300_000); // Secrets are not watched, but looked at every half minute
    await makeSecret('forge-token', { token: newToken, username: 'robot' });
    await world.admin.remove(core('serviceaccounts', 'forge-sa'));
    await eventually(
      async () => {
        const { data } = await world.admin.get<Secret>(core('secrets', 'forge-secret'));
        assert.deepEqual(plain(data), { username: 'robot', password: newToken });
        await world.admin.get(core('serviceaccounts', 'forge-sa'));
      },
      { withinMs: 240_000, everyMs: 500 },
    );
  });

  it('a step of a run with that ServiceAccount has it where git looks', async function () {
    if (world.ground === 'sandbox') this.skip(); // its steps are processes of this machine, which get no Secrets
    const run = await world.run(`
      apiVersion: tekton.dev/v1
      kind: PipelineRun
      metadata: { name: signed-in }
      spec:
        taskRunTemplate: { serviceAccountName: forge-sa }
        pipelineSpec:
          tasks:
            - name: look
              taskSpec:
                steps: [{ name: look, image: "docker.io/library/busybox:1", script: 'cat "$HOME/.git-credentials"' }]
    `);
    assert.equal((await world.finished(run)).status, 'True');
    const pod = await world.podOf(run, 'look');
    const log = (await world.kubeletLog(pod.metadata.name, 'step-look')).toString();
    assert.equal(log.trim(), `https://robot:${newToken}@git.example.com`);
  });

  it('a file of docker is passed on, and another type takes the place of the Secret', async () => {
    const auths = JSON.stringify({ auths: { 'registry.example.com': { auth: 'cm9ib3Q6cHc=' } } });
    await makeSecret('hub-token', { token, '.dockerconfigjson': auths });
    await makeCredential('hub', { credentialType: 'docker-registry', provider: 'docker.io' });
    await stands('hub', 'Ready True Synced');
    const first = await world.admin.get<Secret>(core('secrets', 'hub-secret'));
    assert.equal(first.type, 'kubernetes.io/basic-auth');
    assert.equal(first.metadata.annotations?.['tekton.dev/docker-0'], 'https://index.docker.io/v1/');

    await world.admin.patch(core('secrets', 'hub-token'), { data: { token: null } });
    await world.admin.patch(credentialPath('hub'), { spec: { provider: 'registry.example.com' } });
    await eventually(
      async () => {
        const { type, data, metadata } = await world.admin.get<Secret>(core('secrets', 'hub-secret'));
        assert.equal(type, 'kubernetes.io/dockerconfigjson');
        assert.deepEqual(plain(data), { '.dockerconfigjson': auths });
        assert.equal(metadata.annotations?.['tekton.dev/docker-0'], undefined);
        const account = await world.admin.get<Account>(core('serviceaccounts', 'hub-sa'));
        assert.deepEqual(account.imagePullSecrets, [{ name: 'hub-secret' }]);
      },
      { withinMs: 240_000 },
    );
  });

  it('a Secret of that name that is somebody else’s is not touched', async () => {
    await makeSecret('taken-token', { token });
    await makeSecret('taken-secret', { mine: 'precious' });
    await makeCredential('taken', {});
    const taken = await stands('taken', 'Ready False NameTaken', 'SyncFailed True NameTaken');
    assert.match(messageOf(taken) ?? '', /taken-secret exists and does not belong to this ManagedCredential$/);
    const { data } = await world.admin.get<Secret>(core('secrets', 'taken-secret'));
    assert.deepEqual(plain(data), { mine: 'precious' });
    assert.equal((await world.admin.bytes(core('serviceaccounts', 'taken-sa'))).status, 404);
  });

  it('a Secret of another namespace is not read', async () => {
    const [, other = ''] = world.namespaces;
    await world.admin.create({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'vault', namespace: other },
      stringData: { token },
    });
    await makeCredential('across', { tokenSecretRef: { name: 'vault', namespace: other } });
    const across = await stands('across', 'Ready False NamespaceRefused', 'SyncFailed True NamespaceRefused');
    assert.match(messageOf(across) ?? '', /^spec\.tokenSecretRef\.namespace is /);
    assert.equal((await world.admin.bytes(core('secrets', 'across-secret'))).status, 404);
  });

  it('what the API server refuses is told without what was sent', async () => {
    await makeSecret('wrong-token', { token });
    await makeCredential('wrong', { secretTemplate: { type: 'kubernetes.io/dockerconfigjson' } });
    const wrong = await stands('wrong', 'Ready False WriteRefused', 'SyncFailed True WriteRefused');
    assert.match(
      messageOf(wrong) ?? '',
      /^Kubernetes refused Secret .*wrong-secret \(422 Invalid\): look at spec\.secretTemplate/,
    );
  });

  for (const field of ['credentialsRef', 'managedCredentialRef']) {
    it(`trigger 42: a ${field} to a credential that is not there starts nothing, and one run when it is`, async () => {
      const name = field.toLowerCase();
      const triggerOf = `pipeline.jquad.rocks/pipelinetrigger=${name}`;
      const runs = async () =>
        (
          await world.admin.get<{ items: readonly Run[] }>(
            `/apis/tekton.dev/v1/namespaces/${world.namespace}/pipelineruns?labelSelector=${encodeURIComponent(triggerOf)}`,
          )
        ).items;
      await world.apply(
        `
        apiVersion: pipeline.jquad.rocks/v1alpha1
        kind: PullRequest
        metadata: { name: ${name} }
        spec:
          gitProvider: { provider: Github, insecureSkipVerify: false, github: { url: u, owner: o, repository: r } }
          targetBranch: { name: refs/heads/main }
          interval: 1h
        ---
        apiVersion: pipeline.jquad.rocks/v1alpha1
        kind: PipelineTrigger
        metadata: { name: ${name} }
        spec:
          source: { apiVersion: pipeline.jquad.rocks/v1alpha1, kind: PullRequest, name: ${name} }
          ${field}: { name: ${name} }
          pipelineRun:
            apiVersion: tekton.dev/v1
            kind: PipelineRun
            spec:
              workspaces: [{ name: source, emptyDir: {} }]
              pipelineSpec:
                workspaces: [{ name: source }]
                tasks:
                  - name: build
                    taskSpec: { steps: [{ name: echo, image: busybox, script: "true" }] }
      `.replace(/^ {8}/gm, ''),
      );
      await world.admin.patch(
        `/apis/pipeline.jquad.rocks/v1alpha1/namespaces/${world.namespace}/pullrequests/${name}/status`,
        { status: { sourceBranches: { branches: [{ name: 'feature', commit: 'a'.repeat(40), details: '{}' }] } } },
      );
      await eventually(
        async () => {
          const { status } = await world.admin.get<Conditioned>(triggerPath(name));
          const error = status?.conditions?.find(({ type }) => type === 'Error');
          assert.match(
            error?.message ?? '',
            new RegExp(`managedcredentials.credentials.jquad.rocks "${name}" not found`),
          );
        },
        { withinMs: 240_000 },
      );
      assert.deepEqual(await runs(), []);

      await makeCredential(name, {});
      await stands(name, 'Ready False SecretNotFound', 'SecretNotFound True SecretNotFound');
      await eventually(
        async () => {
          const { status } = await world.admin.get<Conditioned>(triggerPath(name));
          assert.match(JSON.stringify(status?.conditions), /is not ready: Secret [^ ]* does not exist/);
        },
        { withinMs: 240_000 },
      );
      assert.deepEqual(await runs(), []);

      await makeSecret(`${name}-token`, { token });
      await stands(name, 'Ready True Synced');
      const [run, ...more] = await eventually(
        async () => {
          const found = await runs();
          assert.notEqual(found.length, 0);
          return found;
        },
        { withinMs: 240_000 },
      );
      assert.ok(run);
      assert.deepEqual(more, []);
      assert.equal(run.spec.taskRunTemplate.serviceAccountName, `${name}-sa`);
      assert.deepEqual(
        run.spec.workspaces.map((workspace) => [workspace.name, workspace.secret?.secretName]),
        [
          ['source', undefined],
          [`${name}-secret`, `${name}-secret`],
        ],
      );
    });
  }

  it('what was made goes with its credential', async () => {
    await world.admin.remove(credentialPath('forge'));
    await eventually(
      async () => {
        for (const path of [core('secrets', 'forge-secret'), core('serviceaccounts', 'forge-sa')]) {
          assert.equal((await world.admin.bytes(path)).status, 404);
        }
      },
      { withinMs: 240_000 },
    );
    await world.admin.get(core('secrets', 'forge-token'));
  });

  it('nothing of a token is in the log, in an Event or in what is said of a credential or a trigger', async () => {
    const lists = await Promise.all(
      [
        `/api/v1/namespaces/${world.namespace}/events`,
        credentialPath(''),
        triggerPath(''),
        `/apis/tekton.dev/v1/namespaces/${world.namespace}/pipelineruns`,
      ].map(async (path) => (await world.admin.bytes(path.replace(/\/$/, ''))).body.toString()),
    );
    for (const said of [world.gateway.log(), ...lists]) {
      for (const secret of [
        token,
        newToken,
        ...[token, newToken].map((text) => Buffer.from(text).toString('base64')),
      ]) {
        assert.ok(
          !said.includes(secret.slice(0, 16)),
          said.slice(Math.max(0, said.indexOf(secret.slice(0, 16)) - 300), 400),
        );
      }
    }
  });
});
