/**
 * The way from Flux to Tekton as it was first told: three documents of Triggers 0.10, a body of source-controller 0.5, and a run
 * that logs where it was told from. Nothing of them is changed, whether they are objects of the API server or files.
 */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Manifest, manifestsIn } from '../support/admin.ts';
import { eventually } from '../support/eventually.ts';
import { checkout, type Gateway } from '../support/gateway.ts';
import { type PostOptions, postOnce } from '../support/hook-client.ts';
import { identityOf } from '../support/hook-manifests.ts';
import { type HookResult, type HookWorld, patiently, startHookWorld } from '../support/hooks.ts';
import { clusterSuite } from '../support/needs.ts';
import { paramsOf } from '../support/trigger-manifests.ts';

const fixture = (name: string) => readFile(`${checkout}test/fixtures/hooks/${name}`, 'utf8');
const uid = 'cc4d0095-83f4-4f08-98f2-d2e9f3731fb9';
const revision = 'main@sha1:6fca464c6c124156b9cb3913c229b59148323703';
const message = 'Fetched revision: main/6fca464c6c124156b9cb3913c229b59148323703';

clusterSuite('the way from Flux to Tekton', { triggers: true }, function () {
  this.timeout(300_000);
  let world: HookWorld;
  let body: string;

  before(async () => {
    world = await startHookWorld({
      faults: true,
      gateway: false,
      components: ['hooks-impersonation'],
      env: { TEKTON_TRIGGERS_COMPAT: 'true', ALLOW_UNAUTHENTICATED_HOOKS: 'true' },
    });
    body = await fixture('article.json');
    await world.apply(pipeline);
    const name = await accountName();
    for (const object of account(name, world.namespace)) await world.apply(object);
    await world.mayCreateRuns(name);
    const source = await sourceOf(world);
    // An object's uid cannot be chosen; the one of the body is put into what rungate is shown of it.
    const shown = { ...source, metadata: { ...source.metadata, uid } };
    world.faults.add({
      on: { method: 'GET', path: /\/gitrepositories\/flux-system$/ },
      fault: { kind: 'answer', status: 200, body: shown },
    });
  });
  after(async () => {
    await world?.admin.remove(sourcePath);
    await world?.end();
  });

  const addressOf = (gateway: Gateway) => `${gateway.url}/hooks/${world.namespace}/flux-event-listener`;
  const post = async (gateway: Gateway, options: PostOptions = {}) => {
    const how = { component: 'source-controller', ...options };
    const answer = await patiently(() => postOnce({ address: addressOf(gateway) }, body, how));
    assert.equal(answer?.status, 202, answer?.text);
    return answer.json<{ results: HookResult[] }>().results;
  };
  /** What the spec says it comes to, whichever way the documents came. */
  const isRun = async (results: readonly HookResult[]) => {
    const key = { namespace: world.namespace, trigger: 'flux-event-listener/flux-notification-trigger', uid, revision };
    const name = `flux-notification-run-${identityOf(key).uuid}`;
    const [result, ...more] = results;
    assert.deepEqual(more, []);
    assert.deepEqual(
      [result?.trigger, result?.pipelineRun],
      ['flux-notification-trigger', `${world.namespace}/${name}`],
    );
    const [run, ...others] = await world.runs();
    assert.deepEqual(others, []);
    assert.equal(run?.metadata.name, name);
    assert.deepEqual(paramsOf(run), { message, repository: 'flux-system', namespace: 'flux-system' });
    return name;
  };

  it('event 28: the documents as files and the body become a run, which runs and logs where it was told from', async () => {
    const folder = join(world.folder, 'hooks');
    await mkdir(folder);
    await writeFile(join(folder, 'article.yaml'), await fixture('article.yaml'));
    const gateway = await world.startGateway({ env: { HOOKS_DIR: folder } });
    await world.served('flux-event-listener', [gateway]);
    const results = await eventually(() => post(gateway), { withinMs: 240_000 });
    assert.equal(results[0]?.outcome, 'created', JSON.stringify(results));
    const name = await isRun(results);
    assert.equal((await world.finished(name)).status, 'True');
    const log = await gateway.get(`/logs/${name}?prefix=none&color=never`);
    assert.equal(log.text, `notification from flux-system/flux-system\n\n${message}\n\n`);
    await gateway.stop();
  });

  it('files with mistakes are told all at once, and nothing is opened', async () => {
    const folder = join(world.folder, 'mistakes');
    await mkdir(folder);
    await writeFile(join(folder, 'one.yaml'), 'kind: [');
    await writeFile(join(folder, 'two.yaml'), 'apiVersion: triggers.tekton.dev/v1beta1\nkind: EventListener\n');
    await assert.rejects(world.startGateway({ env: { HOOKS_DIR: folder } }), ({ message }: Error) => {
      assert.match(message, /one\.yaml/);
      assert.match(message, /two\.yaml/);
      assert.doesNotMatch(message, /listening/);
      return true;
    });
  });

  it('event 28: the same documents as objects of the API server, and the same body to the address of the Service, are the same run', async () => {
    await world.apply(await fixture('article.yaml'));
    const gateway = await world.startGateway();
    await world.served('flux-event-listener', [gateway]);
    const host = `el-flux-event-listener.${world.namespace}.svc.cluster.local:8080`;
    const how = { component: 'source-controller', host };
    const answer = await patiently(() => postOnce({ address: `${gateway.url}/` }, body, how));
    assert.equal(answer?.status, 202, answer?.text);
    const { results } = answer.json<{ results: HookResult[] }>();
    assert.equal(results[0]?.outcome, 'duplicate', JSON.stringify(results));
    await isRun(results);
    await gateway.stop();
  });

  it('event 29: the same body of another component, or of none, is filtered', async () => {
    const gateway = await world.startGateway();
    await world.served('flux-event-listener', [gateway]);
    for (const component of ['kustomize-controller', undefined]) {
      const [result] = await post(gateway, {
        component,
        more: component ? [] : ['gotk-component: kustomize-controller'],
      });
      assert.equal(result?.outcome, 'filtered');
    }
    assert.equal((await world.runs()).length, 1);
  });
});

const sourcePath = '/apis/source.toolkit.fluxcd.io/v1/namespaces/flux-system/gitrepositories/flux-system';

/** The object that Flux bootstraps itself from, at the revision that the body tells of. */
async function sourceOf({ admin, namespace }: HookWorld): Promise<Manifest> {
  await admin.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'flux-system' } });
  await admin.apply({
    apiVersion: 'source.toolkit.fluxcd.io/v1',
    kind: 'GitRepository',
    metadata: { name: 'flux-system', namespace: 'flux-system', labels: { 'sharding.fluxcd.io/key': namespace } },
    spec: { url: 'https://git.invalid/fleet.git', interval: '10m' },
  });
  const { metadata } = await admin.get<{ metadata: { generation: number } }>(sourcePath);
  return admin.patch(`${sourcePath}/status`, {
    status: {
      observedGeneration: metadata.generation,
      artifact: {
        revision,
        digest: `sha256:${'a'.repeat(64)}`,
        path: 'gitrepository/flux-system/flux-system/latest.tar.gz',
        url: 'http://source-controller.invalid/latest.tar.gz',
        lastUpdateTime: '2020-12-05T13:15:53Z',
      },
    },
  });
}

/** Says who told, and what. */
const echo = (name: string, text: string) => ({
  name,
  image: 'docker.io/library/busybox:1',
  command: ['echo'],
  args: [text],
});
const names = ['message', 'repository', 'namespace'];
const pipeline: Manifest = {
  apiVersion: 'tekton.dev/v1',
  kind: 'Pipeline',
  metadata: { name: 'flux-demo-pipeline' },
  spec: {
    params: names.map((name) => ({ name, type: 'string' })),
    tasks: [
      {
        name: 'task-echo-message',
        params: names.map((name) => ({ name, value: `$(params.${name})` })),
        taskSpec: {
          params: names.map((name) => ({ name, type: 'string' })),
          steps: [
            echo('echo-pipeline', 'notification from $(params.namespace)/$(params.repository)'),
            echo('echo-message', '$(params.message)'),
          ],
        },
      },
    ],
  },
};

/** The account that the listener names. */
async function accountName(): Promise<string> {
  const [listener] = manifestsIn(await fixture('article.yaml')).filter(({ kind }) => kind === 'EventListener');
  const spec = listener?.spec as { readonly serviceAccountName: string } | undefined;
  return spec?.serviceAccountName ?? assert.fail('the fixture has no EventListener');
}

/** That account, with the right that its runs need. */
const account = (name: string, namespace: string): Manifest[] => [
  { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: { name },
    rules: [{ apiGroups: ['tekton.dev'], resources: ['pipelineruns'], verbs: ['create'] }],
  },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
    subjects: [{ kind: 'ServiceAccount', name, namespace }],
  },
];
