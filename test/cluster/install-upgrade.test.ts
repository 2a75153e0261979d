/**
 * k8s/overlays/pipeline-trigger-operator and k8s/crds on top of what the original operator's manifests leave: an installation by its
 * names, its definitions, triggers with the status that it wrote, and runs. The namespace and the names of the whole cluster are the
 * real ones, because that is what this is about; NAMESPACE keeps the new one from the triggers of other suites.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { stringify } from 'yaml';
import type { Manifest } from '../support/admin.ts';
import { eventually } from '../support/eventually.ts';
import { checkout, freePort } from '../support/gateway.ts';
import { clusterSuite } from '../support/needs.ts';
import { documentedRights } from '../support/rights.ts';
import { firstTrigger, sha, wholeTrigger } from '../support/trigger-manifests.ts';
import { startTriggerWorld, type TriggerWorld } from '../support/triggers.ts';
import { testLabel } from '../support/world.ts';
import { issueCertificates, kubeconfigPath } from './certificates.ts';
import { connect, type OwnCluster } from './cluster.ts';
import { controlPlane } from './controlplane.ts';
import { raiseImage } from './image.ts';
import { kubectlIn, removeClusterRoles, writeOverlay } from './installation.ts';
import { bindKubectl, type Kubectl } from './kubectl.ts';
import { nodeAddress, type Settings } from './settings.ts';

const fixtures = `${checkout}test/fixtures/pipeline-trigger-operator`;
const home = 'pipeline-trigger-operator-system';
const deployment = 'pipeline-trigger-operator-controller-manager';
const patience = { withinMs: 480_000, everyMs: 250 };

function condition(type: string, status: string, reason: string) {
  return { type, status, reason, message: '', observedGeneration: 1, lastTransitionTime: '2024-01-01T00:00:00Z' };
}
const success = condition('Success', 'True', 'Succeded');

clusterSuite('an installation of Pipeline Trigger Operator', { root: true, tekton: '1.0' }, function () {
  this.timeout(900_000);
  let world: TriggerWorld;
  let kubectl: ReturnType<typeof kubectlIn>;
  let found: { readonly deployment: Manifest; readonly runs: readonly string[] };
  let pod = '';

  const readDeployment = () => world.admin.get(`/apis/apps/v1/namespaces/${home}/deployments/${deployment}`);
  const runs = async () => {
    const { items } = await world.admin.get<{ items: readonly Manifest[] }>(
      `/apis/tekton.dev/v1/namespaces/${world.namespace}/pipelineruns`,
    );
    return items.map(({ metadata }) => `${metadata.name} ${metadata.uid}`).sort();
  };
  const podsAtHome = async () => {
    const { items } = await world.admin.get<{
      items: readonly (Manifest & { readonly spec: { readonly containers: readonly { readonly image: string }[] } })[];
    }>(`/api/v1/namespaces/${home}/pods`);
    return items;
  };
  const metrics = async () => {
    const { spec } = await world.admin.get<{ spec: { clusterIP: string } }>(
      `/api/v1/namespaces/${home}/services/${deployment}-metrics-service`,
    );
    return (await fetch(`http://${spec.clusterIP}:8443/metrics`, { signal: AbortSignal.timeout(15_000) })).text();
  };

  /** A trigger, the run that the operator made for what its source has, and the status that it wrote about that. */
  async function leftByTheOperator(
    trigger: string,
    { yaml, status, labels, isOwner, pipeline = 'skips' }: Left,
  ): Promise<void> {
    await world.repository(trigger, `main@sha1:${sha('1')}`);
    await world.trigger(yaml);
    const path = `/apis/pipeline.jquad.rocks/v1alpha1/namespaces/${world.namespace}/pipelinetriggers/${trigger}`;
    const { metadata } = await world.admin.get(path);
    const owner = { apiVersion: 'pipeline.jquad.rocks/v1alpha1', kind: 'PipelineTrigger', name: trigger };
    const ownerReferences = [{ ...owner, uid: metadata.uid ?? '', controller: true, blockOwnerDeletion: true }];
    await world.apply({
      apiVersion: 'tekton.dev/v1',
      kind: 'PipelineRun',
      metadata: { name: runOf(trigger), labels, ...(isOwner ? { ownerReferences } : {}) },
      spec: { pipelineRef: { name: pipeline } },
    });
    if (pipeline === 'skips') await world.finished(runOf(trigger), patience);
    await world.admin.patch(`${path}/status`, { status });
  }

  before(async () => {
    await raiseImage();
    world = await startTriggerWorld({ gateway: false });
    kubectl = kubectlIn(world, home);
    await world.pipeline('skips');
    await world.pipeline('waits');
    // A suite that was killed may have left it, and it takes its time to go.
    await eventually(async () => {
      const { status } = await world.admin.bytes(`/api/v1/namespaces/${home}`);
      assert.equal(status, 404);
    }, patience);
    const applied = await world.kubectl('apply', '-f', `${fixtures}/release.yaml`);
    assert.equal(applied.code, 0, applied.stderr);
    const { metadata } = await world.admin.get(`/api/v1/namespaces/${world.namespace}`);
    await world.admin.patch(`/api/v1/namespaces/${home}`, {
      metadata: { labels: { [testLabel]: metadata.labels?.[testLabel] } },
    });
    await kubectl('rollout', 'status', `deployment/${deployment}`, '--timeout=480s');
    await world.admin.create({
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: 'bb9e0b30.jquad.rocks', namespace: home },
      spec: {
        holderIdentity: `${deployment}-5d4f8c7b9-x7x2k_0e0f5a3c`,
        leaseDurationSeconds: 15,
        acquireTime: '2024-01-01T00:00:00.000000Z',
        renewTime: new Date().toISOString().replace('Z', '000Z'),
        leaseTransitions: 3,
      },
    });
    const git = { branchName: 'main', commitId: sha('1') };
    const first = { latestEvent: `main@sha1:${sha('1')}`, conditions: [success] };
    await leftByTheOperator('first', {
      yaml: firstTrigger('first', 'first'),
      labels: { 'pipeline.jquad.rocks/pipelinetrigger': 'first' },
      status: { ...first, latestPipelineRun: runOf('first') },
      isOwner: false,
    });
    await leftByTheOperator('last', {
      yaml: wholeTrigger('last', 'last'),
      labels: {
        'pipeline.jquad.rocks/git.repository.branch.name': 'main',
        'pipeline.jquad.rocks/git.repository.branch.commit': sha('1'),
      },
      status: {
        gitRepository: {
          ...git,
          repositoryName: 'last',
          latestPipelineRun: runOf('last'),
          conditions: [condition('Unknown', 'Unknown', 'Unknown'), success],
        },
      },
      isOwner: true,
    });
    await leftByTheOperator('running', {
      yaml: wholeTrigger('running', 'running', { template: { pipelineRef: { name: 'waits' } } }),
      labels: { 'tekton.dev/pipeline': 'waits' },
      status: {
        gitRepository: {
          ...git,
          repositoryName: 'running',
          latestPipelineRun: runOf('running'),
          conditions: [condition('InProgress', 'Unknown', 'InProgress')],
        },
      },
      isOwner: true,
      pipeline: 'waits',
    });
  });

  after(async () => {
    if (world === undefined) return;
    await world.admin.remove(`/api/v1/namespaces/${home}`);
    await removeClusterRoles(world, 'pipeline-trigger-operator-manager-role');
    await removeClusterRoles(world, 'pipeline-trigger-operator-manager-rolebinding');
    await world.end();
  });

  it('is upgraded by one `kubectl apply -k`, in a namespace that has come to enforce `restricted`', async () => {
    await kubectl('label', 'namespace', home, 'pod-security.kubernetes.io/enforce=restricted');
    found = { deployment: await readDeployment(), runs: await runs() };
    const overlay = join(world.folder, 'overlay');
    const env = { name: 'NAMESPACE', value: world.namespace };
    await writeOverlay(overlay, {
      resources: [relative(overlay, `${checkout}k8s/overlays/pipeline-trigger-operator`)],
      patches: [
        {
          target: { kind: 'Deployment' },
          patch: JSON.stringify([{ op: 'add', path: '/spec/template/spec/containers/0/env/-', value: env }]),
        },
      ],
    });
    const { code, stdout, stderr } = await world.kubectl('apply', '-k', overlay);
    assert.equal(code, 0, stderr);
    assert.equal(stderr, '');
    // Nothing is created beside what was there: every name is the operator's.
    assert.deepEqual(
      stdout
        .trim()
        .split('\n')
        .filter((line) => !line.endsWith(' configured')),
      [],
    );
  });

  it('keeps its Deployment and selector, and the new pod takes the place of the old one', async () => {
    await kubectl('rollout', 'status', `deployment/${deployment}`, '--timeout=480s');
    const now = await readDeployment();
    assert.equal(now.metadata.uid, found.deployment.metadata.uid);
    const selector = ({ spec }: Manifest) => (spec as { readonly selector: object }).selector;
    assert.deepEqual(selector(now), selector(found.deployment));
    await eventually(async () => {
      const pods = await podsAtHome();
      assert.deepEqual(
        pods.map(({ spec }) => spec.containers.map(({ image }) => image.replace(/:.*/, ''))),
        [['rungate']],
      );
      pod = pods[0]?.metadata.name ?? '';
    }, patience);
  });

  it('may do what docs/security.md says of triggers, and no more of what the operator might', async () => {
    const file = join(world.folder, 'review.json');
    const review = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectRulesReview' };
    await writeFile(file, JSON.stringify({ ...review, spec: { namespace: world.namespace } }));
    const as = `--as=system:serviceaccount:${home}:${deployment}`;
    await eventually(async () => {
      const { stdout } = await world.kubectl('create', as, '--validate=false', '-f', file, '-o', 'json');
      const { status } = JSON.parse(stdout) as { status: { resourceRules: readonly Rule[] } };
      const rights = status.resourceRules
        .filter(({ apiGroups }) => !apiGroups.some((group) => /^auth(orization|entication)\.k8s\.io$/.test(group)))
        .flatMap(({ verbs, apiGroups, resources }) =>
          apiGroups.flatMap((group) =>
            resources.flatMap((resource) => verbs.map((verb) => `${verb} ${resource}${group && `.${group}`}`)),
          ),
        );
      const documented = documentedRights('components/triggers').filter((each) => !each.includes(' leases.'));
      assert.deepEqual([...new Set(rights)].sort(), documented);
    }, patience);
  });

  it('takes the Lease that the operator left, and knows every trigger', async () => {
    await eventually(async () => {
      const { spec } = await world.admin.get<{ spec: { holderIdentity: string } }>(
        `/apis/coordination.k8s.io/v1/namespaces/${home}/leases/bb9e0b30.jquad.rocks`,
      );
      assert.ok(spec.holderIdentity.startsWith(`${pod}_`), spec.holderIdentity);
    }, patience);
    await eventually(async () => {
      const text = await metrics();
      assert.match(text, /^rungate_leader 1$/m);
      for (const name of ['first', 'last', 'running'])
        assert.match(text, new RegExp(`^pipelinetrigger_reconcile_condition\\{.*name="${name}".*\\} 1$`, 'm'));
    }, patience);
  });

  it('trigger 44: has started no run and lost none', async () => {
    for (const name of ['first', 'last']) await world.says(name, 'Success', 'True');
    assert.deepEqual(await runs(), found.runs);
  });

  it('starts one run for each trigger whose source has something new', async () => {
    const names = ['first', 'last'];
    for (const name of names) await world.push(name, `main@sha1:${sha('2')}`);
    for (const name of names) await world.hasRuns(name, 2);
    for (const name of names) await world.reached(name, `main@sha1:${sha('2')}`);
    const now = await runs();
    assert.equal(now.length, found.runs.length + names.length);
    for (const run of found.runs) assert.ok(now.includes(run), run);
  });

  it('can be put back by its own manifests', async () => {
    const { code, stderr } = await world.kubectl('apply', '--dry-run=server', '-f', `${fixtures}/release.yaml`);
    assert.equal(code, 0, stderr);
  });
});

interface Left {
  readonly yaml: string;
  readonly status: object;
  readonly labels: Readonly<Record<string, string>>;
  readonly isOwner: boolean;
  readonly pipeline?: 'skips' | 'waits';
}

interface Rule {
  readonly verbs: readonly string[];
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
}

/** Names of the operator's runs end in four random letters. */
function runOf(trigger: string): string {
  return `${trigger}-mkfx`;
}

clusterSuite('the definitions of Pipeline Trigger Operator', { root: true }, function () {
  this.timeout(900_000);
  let server: Beside;
  before(async () => {
    const { own } = await connect();
    assert.ok(own);
    server = await startBeside(own);
  });
  after(() => server?.end());

  const written: readonly (readonly [string, string, object])[] = [
    [
      '0.1.4',
      firstTrigger('t', 'app'),
      {
        latestEvent: `main/${sha('1')}`,
        latestPipelineRun: 't-mkfx',
        currentPipelineRetry: 1,
        conditions: [condition('Error', 'False', 'Failed')],
      },
    ],
    [
      '0.5.0',
      wholeTrigger('t', 'app'),
      {
        gitRepository: {
          branchName: 'main',
          commitId: sha('1'),
          repositoryName: 'app',
          latestPipelineRun: 'app-x7x2k',
          details: '{"branchName":"main"}',
          conditions: [condition('Unknown', 'Unknown', 'Unknown'), success],
        },
      },
    ],
  ];
  for (const [release, yaml, status] of written) {
    it(`of ${release} become those of k8s/crds, and no trigger, field or status is lost`, async () => {
      const { kubectl } = server;
      const name = 'crd/pipelinetriggers.pipeline.jquad.rocks';
      await kubectl.run('apply', '-f', `${fixtures}/crd-${release}.yaml`);
      await kubectl.run('wait', '--for=condition=Established', name, '--timeout=240s');
      // Established is said a moment before it is served.
      await eventually(() => kubectl.pipe(yaml, 'apply', '-f', '-'), patience);
      await kubectl.run(
        ...['patch', 'pipelinetrigger', 't', '--subresource=status', '--type=merge'],
        ...['--patch', JSON.stringify({ status })],
      );
      const read = async () => {
        const object = JSON.parse(await kubectl.run('get', 'pipelinetrigger', 't', '-o', 'json')) as Manifest & {
          readonly metadata: { readonly generation: number };
        };
        const { uid, generation } = object.metadata;
        return { uid, generation, spec: object.spec, status: object.status };
      };
      const before = await read();
      assert.deepEqual(before.status, status);
      await kubectl.run('apply', '--server-side', '--force-conflicts', '-k', `${checkout}k8s/crds`);
      await kubectl.run('wait', '--for=condition=Established', name, '--timeout=240s');
      // Established it was before: a request may meet the moment in which the definition is exchanged.
      await eventually(async () => assert.deepEqual(await read(), before), patience);
      // What only these have is kept from now on.
      await eventually(async () => {
        await kubectl.run('patch', 'pipelinetrigger', 't', '--type=merge', '--patch', '{"spec":{"suspend":true}}');
        assert.deepEqual((await read()).spec, { ...(before.spec as object), suspend: true });
      }, patience);
      await kubectl.run('delete', name, '--timeout=240s');
    });
  }
});

/** An API server beside the cluster's, with a store of its own: what holds for a whole cluster can be changed there. */
interface Beside {
  readonly kubectl: Kubectl;
  end(): Promise<void>;
}

async function startBeside({ settings: { ports: standard, cache }, parts }: OwnCluster): Promise<Beside> {
  const folder = await mkdtemp(join(tmpdir(), 'beside-'));
  const [etcd, etcdPeer, apiServer] = [await freePort(), await freePort(), await freePort()];
  const settings: Settings = { folder, cache, ports: { ...standard, etcd, etcdPeer, apiServer } };
  await issueCertificates(folder, `https://${nodeAddress}:${apiServer}`);
  await mkdir(join(folder, 'audit'));
  const policy = { apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules: [{ level: 'None' }] };
  await writeFile(join(folder, 'audit', 'policy.yaml'), stringify(policy));
  const children: ChildProcess[] = [];
  const end = async () => {
    for (const child of children.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'close');
    }
    await rm(folder, { recursive: true, force: true });
  };
  try {
    for (const { file, args } of controlPlane(settings, parts).slice(0, 2)) {
      // However this process ends, they end with it.
      children.push(spawn('setpriv', ['--pdeathsig', 'KILL', file, ...args], { stdio: 'ignore' }));
    }
    const kubectl = bindKubectl(join(parts.kubernetes, 'kubectl'), kubeconfigPath(folder, 'admin'));
    await eventually(async () => assert.equal(await kubectl.ask('get', '--raw', '/readyz'), 'ok'), patience);
    await eventually(() => kubectl.run('get', 'namespace', 'default'), patience);
    return { kubectl, end };
  } catch (error) {
    await end();
    throw error;
  }
}
