/** k8s/base as it is: what the real API server lets rungate's account do with it, and that this is enough. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { manifestsIn } from '../support/admin.ts';
import { checkout } from '../support/gateway.ts';
import { startWorld, type World } from '../support/world.ts';

interface Rule {
  readonly verbs: readonly string[];
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
}

describe('the rights of k8s/base', function () {
  this.timeout(600_000);
  let world: World;

  before(async () => {
    world = await startWorld({ namespaces: 2 });
  });

  after(() => world?.end());

  const asRungate = (...args: string[]) => world.kubectl('--kubeconfig', world.kubeconfig, ...args);

  it('are to look at runs and pods and to read logs, and nothing else', async () => {
    const review = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectRulesReview',
      spec: { namespace: world.namespace },
    };
    const file = join(world.folder, 'review.json');
    await writeFile(file, JSON.stringify(review));
    const { code, stdout, stderr } = await asRungate('create', '--validate=false', '-f', file, '-o', 'json');
    assert.equal(code, 0, stderr);
    const { status } = JSON.parse(stdout) as { status: { resourceRules: readonly Rule[] } };
    // Every account may ask about itself; that is Kubernetes' own ClusterRole system:basic-user.
    const ours = status.resourceRules.filter(
      ({ apiGroups }) => !apiGroups.some((group) => /^(authorization|authentication)\.k8s\.io$/.test(group)),
    );
    const rights = ours.flatMap(({ verbs, apiGroups, resources }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb) => `${verb} ${group ? `${resource}.${group}` : resource}`)),
      ),
    );
    const look = (resource: string) => ['get', 'list', 'watch'].map((verb) => `${verb} ${resource}`);
    assert.deepEqual(
      [...new Set(rights)].sort(),
      [
        ...['customruns', 'pipelineruns', 'taskruns'].flatMap((kind) => look(`${kind}.tekton.dev`)),
        ...look('pods'),
        'get pods/log',
      ].sort(),
    );
  });

  for (const [verb, resource] of [
    ['get', 'secrets'],
    ['create', 'pipelineruns.tekton.dev'],
    ['patch', 'pipelineruns.tekton.dev'],
    ['delete', 'pods'],
    ['create', 'pods/exec'],
  ] as const) {
    it(`do not let it ${verb} ${resource}`, async () => {
      const { stdout } = await asRungate('auth', 'can-i', verb, resource, '--namespace', world.namespace);
      assert.equal(stdout.trim(), 'no');
    });
  }

  it('end at the namespace', async () => {
    const { stdout } = await asRungate('auth', 'can-i', 'list', 'pods', '--namespace', 'kube-system');
    assert.equal(stdout.trim(), 'no');
  });

  it('are installed in another namespace by an overlay of two lines', async () => {
    const base = relative(world.folder, `${checkout}k8s/base`);
    await writeFile(join(world.folder, 'kustomization.yaml'), `namespace: ${world.namespace}\nresources: [${base}]\n`);
    const { code, stdout, stderr } = await world.kubectl('kustomize', world.folder);
    assert.equal(code, 0, stderr);
    // Its Service and Deployment are of no use here: test/cluster/install.test.ts is about them.
    const rights = manifestsIn(stdout).filter(({ kind }) => ['ServiceAccount', 'Role', 'RoleBinding'].includes(kind));
    const applied = [];
    for (const object of rights) applied.push(...(await world.apply(object)));
    assert.deepEqual(
      applied.map(({ kind, metadata }) => `${kind} ${metadata.namespace}/${metadata.name}`),
      [
        `ServiceAccount ${world.namespace}/rungate`,
        `Role ${world.namespace}/rungate-read`,
        `RoleBinding ${world.namespace}/rungate-read`,
      ],
    );
    assert.deepEqual(applied.at(-1)?.subjects, [
      { kind: 'ServiceAccount', name: 'rungate', namespace: world.namespace },
    ]);
    const still = await asRungate('auth', 'can-i', 'get', 'pods', '--subresource=log', '--namespace', world.namespace);
    assert.equal(still.stdout.trim(), 'yes');
  });

  it('are enough for status and logs, in each namespace served', async () => {
    for (const namespace of world.namespaces) {
      const run = await world.run('green', { namespace });
      const log = await world.gateway.get(`/logs/${namespace}/${run}?prefix=none&color=never`);
      assert.equal(log.status, 200);
      assert.match(log.text, /^compiling$/m);
      const status = await world.gateway.get(`/status/${namespace}/${run}?wait=300`);
      assert.equal(status.status, 200, status.text);
    }
  });
});
