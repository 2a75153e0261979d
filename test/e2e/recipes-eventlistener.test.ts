/**
 * examples/eventlistener: what a team has for Tekton Triggers, served as it is, and the way there and back as examples/README.md has
 * it. Of Tekton Triggers the cluster has the kinds alone: a pod that answers stands for the listener's, and the test looks names up
 * where pods would ask the cluster's DNS.
 */
import assert from 'node:assert/strict';
import { chmod, cp, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { connect } from '../cluster/cluster.ts';
import { nodeAddress } from '../cluster/settings.ts';
import { checkout } from '../support/gateway.ts';
import { onCluster } from '../support/ground.ts';
import { type HookAnswer, postOnce, signatureOf } from '../support/hook-client.ts';
import { type HookResult, type HookWorld, patiently, startHookWorld } from '../support/hooks.ts';
import { clusterSuite } from '../support/needs.ts';
import { runProgram } from '../support/program.ts';
import { commandsBelow, inPlace, recipe } from '../support/recipe.ts';
import { paramsOf } from '../support/trigger-manifests.ts';

const token = 'the secret of the webhook';
const settings = { TEKTON_TRIGGERS_COMPAT: 'true', ALLOW_UNAUTHENTICATED_HOOKS: 'true' };

/** A sender that was set up years ago: it knows the address of the Service, and how Git hosts sign. */
const push = async (
  address: string,
  namespace: string,
  {
    commit,
    branch = 'main',
    key = token,
  }: { readonly commit: string; readonly branch?: string; readonly key?: string },
): Promise<HookAnswer> => {
  const body = JSON.stringify({ ref: `refs/heads/${branch}`, after: commit, repository: { full_name: 'team/app' } });
  const headers = {
    'X-GitHub-Event': 'push',
    'X-GitHub-Delivery': `delivery-of-${commit}-${branch}-${key.length}`,
    'X-Hub-Signature-256': signatureOf(key, body),
  };
  const host = `el-build.${namespace}.svc.cluster.local:8080`;
  const answer = await patiently(() => postOnce({ address: `${address}/`, headers }, body, { host }));
  return answer ?? assert.fail('the connection ended without an answer');
};
const resultOf = (answer: HookAnswer): HookResult | undefined => {
  assert.equal(answer.status, 202, answer.text);
  return answer.json<{ results: HookResult[] }>().results[0];
};

clusterSuite('the recipe for an estate of EventListeners', { triggers: true }, () => {
  let world: HookWorld;
  before(async () => {
    world = await startHookWorld({ components: ['hooks-impersonation'], env: settings, gateway: false });
    await world.secret('build-webhook', { token });
    await world.apply(recipe('eventlistener/estate.yaml'));
    await world.mayCreateRuns('build-bot');
    await world.startGateway();
    await world.served('build');
  });
  after(() => world?.end());

  const pushHere = (what: Parameters<typeof push>[2]) => push(world.gateway.url, world.namespace, what);

  it('a push to main becomes a run of the template, as the account of the listener', async () => {
    const commit = 'a'.repeat(40);
    const result = resultOf(await pushHere({ commit }));
    assert.equal(result?.outcome, 'created', JSON.stringify(result));
    const [run, ...more] = await world.runs('build-');
    assert.deepEqual(more, []);
    assert.deepEqual(run && paramsOf(run), { repository: 'team/app', commit });
    const name = run?.metadata.name ?? '';
    assert.equal((await world.finished(name, { withinMs: 240_000 })).status, 'True');
    assert.match(
      (await world.gateway.get(`/logs/${name}?prefix=none`)).text,
      new RegExp(`^building ${commit} of team/app$`, 'm'),
    );
    assert.equal(resultOf(await pushHere({ commit }))?.outcome, 'duplicate');
  });

  it('another branch is filtered, and another key denied', async () => {
    assert.equal(resultOf(await pushHere({ commit: 'b'.repeat(40), branch: 'topic' }))?.outcome, 'filtered');
    assert.equal(resultOf(await pushHere({ commit: 'c'.repeat(40), key: 'a guess' }))?.outcome, 'denied');
    assert.equal((await world.runs('build-')).length, 1);
  });

  (onCluster ? it : it.skip)(
    'the Service is turned to rungate and back, and the sender knows nothing of it',
    async () => {
      const { namespace, admin, folder } = world;
      const { kubectl } = await connect();
      const gateway = await world.startGateway({ env: { HOST: '0.0.0.0' } });
      await world.served('build', [gateway]);
      for (const object of standIns(namespace, Number(new URL(gateway.url).port))) await world.apply(object);

      // What people type, where they would: a checkout, and a kubeconfig that means the team's namespace.
      const work = join(folder, 'work');
      await cp(`${checkout}examples`, join(work, 'examples'), { recursive: true });
      const service = join(work, 'examples/eventlistener/service.yaml');
      await chmod(service, 0o600);
      await writeFile(service, inPlace(await readFile(service, 'utf8'), { '.tekton-pipelines.': `.${namespace}.` }));
      const kubeconfig = join(folder, 'kubeconfig-of-the-team');
      await writeFile(kubeconfig, (await world.kubectl('config', 'view', '--raw', '--flatten')).stdout, {
        mode: 0o600,
      });
      const env = { PATH: `${dirname(kubectl.file)}:${process.env.PATH}`, KUBECONFIG: kubeconfig };
      const type = async (block: string | undefined) => {
        const text =
          block?.replaceAll('--namespace tekton-pipelines', `--namespace ${namespace}`) ?? assert.fail('no block');
        const { code, stdout, stderr } = await runProgram('bash', ['-ec', text], { env, cwd: work });
        assert.equal(code, 0, `${text}\n${stdout}${stderr}`);
      };
      await type(`kubectl config set-context --current --namespace=${namespace}`);

      interface Service {
        readonly metadata: { readonly name: string };
        readonly spec: {
          readonly type: string;
          readonly externalName?: string;
          readonly clusterIP?: string;
          readonly clusterIPs?: readonly string[];
        };
      }
      const read = (name: string) => admin.get<Service>(`/api/v1/namespaces/${namespace}/services/${name}`);
      const replicas = async () =>
        (
          await admin.get<{ metadata: object; spec: { replicas: number } }>(
            `/apis/apps/v1/namespaces/${namespace}/deployments/tekton-triggers-controller`,
          )
        ).spec.replicas;
      /** Where the sender's request goes: what the cluster's DNS says of el-build. */
      const lookUp = async (): Promise<string> => {
        const { spec } = await read('el-build');
        const [name, of] =
          spec.type === 'ExternalName' ? (spec.externalName ?? '').split('.') : ['el-build', namespace];
        assert.equal(of, namespace);
        return `http://${(await read(name ?? '')).spec.clusterIP}:8080`;
      };
      const answers = (commit: string, words: RegExp) =>
        world.until(async () => assert.match((await push(await lookUp(), namespace, { commit })).text, words));

      const [there, back] = commandsBelow('An estate of EventListeners');
      await answers('d'.repeat(40), /a pod of Tekton Triggers/);
      const before = await read('el-build');
      await type(there);
      assert.equal(await replicas(), 0);
      await answers('e'.repeat(40), /"outcome":"(?:created|duplicate)"/);
      await world.until(async () => {
        const commits = (await world.runs('build-')).map((run) => paramsOf(run).commit);
        assert.deepEqual(commits.sort(), ['a'.repeat(40), 'e'.repeat(40)]);
      });
      await type(back);
      await answers('f'.repeat(40), /a pod of Tekton Triggers/);
      const shape = ({ spec: { clusterIP, clusterIPs, ...rest } }: Service) => rest; // it may get another address
      assert.deepEqual(shape(await read('el-build')), shape(before));
      assert.equal(await replicas(), 1);
    },
  );
});

/** The Deployment and the Service that Tekton makes for a listener, Tekton's controller, and the Service of rungate, which here is a process of the node. */
function standIns(namespace: string, port: number) {
  const labels = {
    eventlistener: 'build',
    'app.kubernetes.io/managed-by': 'EventListener',
    'app.kubernetes.io/part-of': 'Triggers',
  };
  const answer = `HTTP/1.1 202 Accepted\\r\\nContent-Length: 24\\r\\nConnection: close\\r\\n\\r\\na pod of Tekton Triggers`;
  const deployment = (name: string, its: Readonly<Record<string, string>>, script: string) => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, labels: its },
    spec: {
      selector: { matchLabels: its },
      template: {
        metadata: { labels: its },
        spec: {
          terminationGracePeriodSeconds: 0,
          containers: [{ name: 'only', image: 'docker.io/library/busybox:1', command: ['sh', '-c', script] }],
        },
      },
    },
  });
  const ports = [{ name: 'http-listener', port: 8080, targetPort: 8080 }];
  return [
    deployment('tekton-triggers-controller', { app: 'tekton-triggers-controller' }, 'sleep 100000'),
    deployment('el-build', labels, `while true; do printf '${answer}' | nc -l -p 8080; done`),
    { apiVersion: 'v1', kind: 'Service', metadata: { name: 'el-build', labels }, spec: { selector: labels, ports } },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'rungate' },
      spec: { ports: [{ name: 'http', port: 8080 }] },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'rungate-node', namespace, labels: { 'kubernetes.io/service-name': 'rungate' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [nodeAddress], conditions: { ready: true } }],
      ports: [{ name: 'http', port }],
    },
  ];
}
