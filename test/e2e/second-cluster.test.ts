/** A rungate that asks a second cluster, a sandbox of its own, before it starts a run. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '../support/eventually.ts';
import { freePort, type Gateway } from '../support/gateway.ts';
import { startTriggerWorld, type TriggerWorld } from '../support/triggers.ts';
import { startWorld, type World } from '../support/world.ts';

const sha = (digit: number) => String(digit).repeat(40);

describe('a second cluster', function () {
  this.timeout(600_000);
  let world: TriggerWorld;
  let second: World;
  let rungate: Gateway | undefined;

  before(async () => {
    second = await startWorld({ ground: 'sandbox', gateway: false });
    world = await startTriggerWorld({ gateway: false });
    await world.pipeline('build');
    await second.admin.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: world.namespace } });
    await writeFile(join(world.folder, 'second-ca.pem'), second.admin.authority);
    await writeFile(join(world.folder, 'second-token'), await tokenThere());
  });
  after(async () => {
    await world?.end();
    await second?.end();
  });
  afterEach(async () => {
    await rungate?.stop(); // and gives the Lease back
  });

  /** Of a ServiceAccount there that may list runs in the namespace, and no more. */
  const tokenThere = async (): Promise<string> => {
    const { namespace } = world;
    const rbac = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name: 'asking', namespace } };
    await second.admin.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'asking', namespace } });
    await second.admin.apply({
      ...rbac,
      kind: 'Role',
      rules: [{ apiGroups: ['tekton.dev'], resources: ['pipelineruns'], verbs: ['list'] }],
    });
    await second.admin.apply({
      ...rbac,
      kind: 'RoleBinding',
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'asking' },
      subjects: [{ kind: 'ServiceAccount', name: 'asking', namespace }],
    });
    const answer = await second.admin.post<{ status: { token: string } }>(
      `/api/v1/namespaces/${namespace}/serviceaccounts/asking/token`,
      { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} },
    );
    return answer.status.token;
  };
  const start = async (address: string): Promise<void> => {
    rungate = await world.startGateway({
      args: ['--second-cluster', `--second-cluster-address=${address}`],
      env: {
        PARTS: 'triggers',
        SECOND_CLUSTER_TOKEN_FILE: join(world.folder, 'second-token'),
        SECOND_CLUSTER_CA_FILE: join(world.folder, 'second-ca.pem'),
      },
      ready: false,
    });
  };
  /** A run there, as the original makes it. */
  const runThere = (name: string, commit: string) =>
    second.admin.apply({
      apiVersion: 'tekton.dev/v1',
      kind: 'PipelineRun',
      metadata: {
        name,
        namespace: world.namespace,
        labels: {
          'pipeline.jquad.rocks/git.repository.branch.name': 'main',
          'pipeline.jquad.rocks/git.repository.branch.commit': commit,
        },
      },
      spec: { pipelineRef: { name: 'build' } },
    });
  /** Waits until the trigger says that its event is taken care of there, and returns how. */
  const runsElsewhere = async (name: string): Promise<string> => {
    const message = `Pipeline is running on the second cluster in namespace ${world.namespace}`;
    await eventually(async () => assert.equal((await world.says(name, 'Unknown')).message, message), {
      withinMs: 240_000,
    });
    return message;
  };
  const trigger = (name: string, source: string) =>
    world.trigger(`
      apiVersion: pipeline.jquad.rocks/v1alpha1
      kind: PipelineTrigger
      metadata: { name: ${name} }
      spec:
        source: { apiVersion: source.toolkit.fluxcd.io/v1, kind: GitRepository, name: ${source} }
        pipelineRun:
          apiVersion: tekton.dev/v1
          kind: PipelineRun
          metadata: { generateName: ${name}- }
          spec: { pipelineRef: { name: build } }
    `);

  it('trigger 41: what runs there is not run here, and what does not is', async () => {
    await runThere('theirs', sha(1));
    await world.repository('app', `main@sha1:${sha(1)}`);
    await trigger('t', 'app');
    await start(second.admin.server);
    const message = await runsElsewhere('t');
    await world.push('app', `main@sha1:${sha(2)}`);
    const [run, ...others] = await world.hasRuns('t', 1);
    assert.equal(others.length, 0);
    assert.equal(run?.metadata.annotations?.['pipeline.jquad.rocks/commit'], sha(2));
    const told = (await world.eventsOf('t')).map(({ message }) => message);
    assert.equal(told.filter((each) => each === message).length, 1, told.join('\n'));
  });

  it('trigger 41: while nobody answers there the run waits and the condition says why, and later there is one', async () => {
    await world.repository('late', `main@sha1:${sha(3)}`);
    await trigger('held', 'late');
    await start(`https://127.0.0.1:${await freePort()}`);
    const condition = await world.says('held', 'Error');
    assert.match(condition.message, /^the run waits, because the second cluster cannot be asked: /);
    assert.equal((await world.runsOf('held')).length, 0);
    await rungate?.stop();
    await start(second.admin.server);
    await world.hasRuns('held', 1);
  });

  it('trigger 41: what has begun there while the run was waiting here is not run twice', async () => {
    await world.repository('twice', `main@sha1:${sha(4)}`);
    await trigger('twice', 'twice');
    await start(`https://127.0.0.1:${await freePort()}`);
    await world.says('twice', 'Error');
    await rungate?.stop();
    await runThere('theirs-4', sha(4));
    await start(second.admin.server);
    await runsElsewhere('twice');
    assert.equal((await world.runsOf('twice')).length, 0);
  });
});
