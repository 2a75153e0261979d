/** The cluster itself, as suites rely on it. Needs `npm run cluster -- up`. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { clusterSuite } from '../support/needs.ts';
import { type Cluster, connect, type OwnCluster } from './cluster.ts';
import { run } from './commands.ts';
import { setFeatureFlags, setFluxEvents, setKubeletLogging } from './knobs.ts';
import { type KubeletLogging, standardLogging } from './node.ts';
import { makeRepository } from './repository.ts';
import { nodeName } from './settings.ts';
import { eventually } from './waiting.ts';

const namespace = `cluster-test-${process.pid}`;
/** A pod on a busy node, or whatever else is waited for: only what is broken takes so long. */
const PATIENCE_MS = 240_000;
/** Runs have several pods one after another. */
const runTimeout = '--timeout=480s';
let cluster: Cluster;

before(async () => {
  cluster = await connect();
  await cluster.kubectl.run('create', 'namespace', namespace);
});

after(async () => {
  await cluster?.kubectl.run('delete', 'namespace', namespace, '--wait=false');
});

clusterSuite('a cluster', { tekton: '1.0' }, function () {
  this.timeout(600_000);

  it('cluster: a PipelineRun of three tasks ends green', async () => {
    const { kubectl } = cluster;
    await kubectl.pipe(threeTasks, 'apply', '-n', namespace, '-f', '-');
    await kubectl.run('wait', '-n', namespace, '--for=condition=Succeeded', 'pipelinerun/three', runTimeout);
    const pods = 'tekton.dev/pipelineRun=three,tekton.dev/pipelineTask=greet';
    const log = await kubectl.run('logs', '-n', namespace, '-l', pods, '-c', 'step-greet');
    assert.equal(log, 'hello from the first task\n');
  });
});

clusterSuite('a cluster of our own', { root: true, knobs: true, flux: true }, function () {
  this.timeout(600_000);
  let own: OwnCluster;

  before(() => {
    assert.ok(cluster.own);
    own = cluster.own;
  });

  it('cluster: an image that nobody imported cannot be pulled, and the pod says so', async () => {
    const { kubectl } = cluster;
    await kubectl.run('run', 'pull', '-n', namespace, '--image=rungate.invalid/nowhere:1', '--restart=Never');
    const waiting = 'jsonpath={.status.containerStatuses[0].state.waiting.reason}';
    await eventually('the pod to wait for its image', PATIENCE_MS, async () => {
      const reason = await kubectl.ask('get', 'pod', 'pull', '-n', namespace, '-o', waiting);
      return reason === 'ImagePullBackOff' || reason === 'ErrImagePull' || undefined;
    });
  });

  it("cluster: a push to the git server moves a GitRepository's revision", async () => {
    const { kubectl } = cluster;
    const repository = await makeRepository(own, namespace);
    try {
      const first = await repository.push({ 'README.md': 'one\n' });
      await kubectl.pipe(source(repository.url), 'apply', '-n', namespace, '-f', '-');
      await eventually('the first revision', PATIENCE_MS, () => revisionIs(`main@sha1:${first}`));
      const second = await repository.push({ 'README.md': 'two\n' });
      await eventually('the second revision', PATIENCE_MS, () => revisionIs(`main@sha1:${second}`));
    } finally {
      await kubectl.run('delete', 'gitrepository', 'pushed', '-n', namespace, '--ignore-not-found');
      await repository.remove();
    }
  });

  it('cluster: source-controller posts its events where the knob says', async () => {
    const { kubectl } = cluster;
    const events: { involvedObject: { namespace: string }; reason: string }[] = [];
    const listener = createServer(async (request, response) => {
      events.push(JSON.parse(await text(request)));
      response.end();
    }).listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const { port } = listener.address() as AddressInfo;
    const repository = await makeRepository(own, `${namespace}-events`);
    const restore = await setFluxEvents(cluster, `http://127.0.0.1:${port}/`);
    try {
      await repository.push({ 'README.md': 'one\n' });
      await kubectl.pipe(source(repository.url), 'apply', '-n', namespace, '-f', '-');
      await eventually('the event of a new artifact', PATIENCE_MS, async () =>
        events.find(({ involvedObject, reason }) => involvedObject.namespace === namespace && reason === 'NewArtifact'),
      );
    } finally {
      await kubectl.run('delete', 'gitrepository', 'pushed', '-n', namespace, '--ignore-not-found');
      await restore();
      await repository.remove();
      listener.close();
    }
  });

  it("cluster: Tekton Triggers' kinds are served, and nothing of Triggers runs for them", async () => {
    const { kubectl } = cluster;
    for (const version of ['v1alpha1', 'v1beta1']) {
      const listener = {
        apiVersion: `triggers.tekton.dev/${version}`,
        kind: 'EventListener',
        metadata: { name: version },
      };
      const spec = { triggers: [{ name: 'unknown fields', are: 'kept' }] };
      await kubectl.pipe(JSON.stringify({ ...listener, spec }), 'create', '-n', namespace, '-f', '-');
      const kept = await kubectl.run('get', 'el', version, '-n', namespace, '-o', 'jsonpath={.spec}');
      assert.deepEqual(JSON.parse(kept), spec);
    }
    assert.equal(await kubectl.run('get', 'deployments,services', '-n', namespace, '-o', 'name'), '');
  });

  it('cluster: the audit log tells who wrote what', async () => {
    await cluster.kubectl.run('create', 'configmap', 'audited', '-n', namespace);
    const audited = async (): Promise<readonly Audited[]> => {
      const text = await readFile(own.auditLogPath, 'utf8');
      // What stands behind the last line is being written.
      const lines = text.slice(0, text.lastIndexOf('\n')).split('\n');
      return lines.map((line) => JSON.parse(line));
    };
    // A request is written down when it has been answered.
    const write = await eventually('the line about a write', PATIENCE_MS, async () =>
      (await audited()).find(({ objectRef }) => objectRef?.name === 'audited' && objectRef.namespace === namespace),
    );
    assert.equal(write.verb, 'create');
    assert.equal(write.user.username, 'admin');
    assert.equal(write.responseStatus?.code, 201);
    const writes = await audited();
    const reads = writes.filter(({ verb }) => ['get', 'list', 'watch'].includes(verb));
    assert.equal(reads.length, 0, 'reads are not logged');
    const controller = 'system:serviceaccount:tekton-pipelines:tekton-pipelines-controller';
    assert.ok(
      writes.some(({ objectRef, user }) => objectRef?.resource === 'taskruns' && user.username === controller),
      'what Tekton wrote is under its own name',
    );
  });

  it('cluster: the kubelet rotates logs as the knob says, and as before afterwards', async () => {
    const { kubectl } = cluster;
    const restore = await setKubeletLogging(cluster, quickRotation);
    try {
      await kubectl.pipe(chatty, 'apply', '-n', namespace, '-f', '-');
      await eventually('the log to be in three files', PATIENCE_MS, async () => {
        const files = globSync(`${own.podLogsFolder}/${namespace}_chatty_*/chatty/*`);
        return files.length === 3 || undefined;
      });
    } finally {
      await restore();
      await kubectl.run('delete', 'pod', 'chatty', '-n', namespace, '--ignore-not-found', '--wait=false');
    }
    assert.deepEqual(await kubeletLogging(), standardLogging);
  });

  it('cluster: a pipeline in a pipeline runs once the knob has set enable-api-fields to alpha', async () => {
    const { kubectl } = cluster;
    const create = () => kubectl.pipe(nested, 'create', '-n', namespace, '-f', '-');
    await assert.rejects(create(), /alpha/);
    const restore = await setFeatureFlags(cluster, { 'enable-api-fields': 'alpha' });
    try {
      await create();
      await kubectl.run('wait', '-n', namespace, '--for=condition=Succeeded', 'pipelinerun/nested', runTimeout);
    } finally {
      await restore();
    }
    await kubectl.run('delete', 'pipelinerun', 'nested', '-n', namespace);
    await assert.rejects(create(), /alpha/);
  });

  it('cluster: a flag that only the webhook reads holds when the knob returns', async () => {
    const create = () => cluster.kubectl.pipe(withEnum, 'create', '--dry-run=server', '-n', namespace, '-f', '-');
    await assert.rejects(create(), /enable-param-enum/);
    const restore = await setFeatureFlags(cluster, { 'enable-param-enum': 'true' });
    try {
      await create();
    } finally {
      await restore();
    }
    await assert.rejects(create(), /enable-param-enum/);
  });

  it('cluster: a knob that a killed suite left turned is turned back by `up`', async () => {
    const suite = spawn(process.execPath, ['--input-type=module', '-e', turnAndHang], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(suite.stdout, 'data');
    assert.equal((await kubeletLogging()).containerLogMaxSize, '16Ki');
    suite.kill('SIGKILL');
    await once(suite, 'exit');
    await run(process.execPath, [join(import.meta.dirname, 'cli.ts'), 'up'], { timeoutMs: 600_000 });
    assert.deepEqual(await kubeletLogging(), standardLogging);
  });

  async function revisionIs(wanted: string): Promise<true | undefined> {
    const { kubectl } = cluster;
    const where = ['gitrepository', 'pushed', '-n', namespace, '-o', 'jsonpath={.status.artifact.revision}'];
    return (await kubectl.ask('get', ...where)) === wanted || undefined;
  }

  /** What the kubelet itself says. */
  async function kubeletLogging(): Promise<KubeletLogging> {
    const config = await cluster.kubectl.run('get', '--raw', `/api/v1/nodes/${nodeName}/proxy/configz`);
    const { containerLogMaxSize, containerLogMaxFiles, containerLogMonitorInterval } = JSON.parse(config).kubeletconfig;
    return { containerLogMaxSize, containerLogMaxFiles, containerLogMonitorInterval };
  }
});

/** A line of the audit log, as far as it is looked at here. */
interface Audited {
  readonly verb: string;
  readonly user: { readonly username: string };
  readonly objectRef?: { readonly resource: string; readonly name?: string; readonly namespace?: string };
  readonly responseStatus?: { readonly code: number };
}

const quickRotation: KubeletLogging = {
  containerLogMaxSize: '16Ki',
  containerLogMaxFiles: 3,
  containerLogMonitorInterval: '3s',
};

const turnAndHang = `
const { connect } = await import('${import.meta.dirname}/cluster.ts');
const { setKubeletLogging } = await import('${import.meta.dirname}/knobs.ts');
await setKubeletLogging(await connect(), ${JSON.stringify(quickRotation)});
console.log('turned');
setInterval(() => {}, 1000);
`;

const threeTasks = `
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata: { name: three }
spec:
  pipelineSpec:
    tasks:
      - name: first
        taskSpec:
          results: [{ name: words }]
          steps:
            - { name: write, image: docker.io/library/busybox:1, script: 'printf "hello from the first task" > $(results.words.path)' }
      - name: beside
        taskSpec:
          steps: [{ name: nothing, image: docker.io/library/busybox:1, command: ['true'] }]
      - name: greet
        params: [{ name: words, value: $(tasks.first.results.words) }]
        taskSpec:
          params: [{ name: words }]
          steps: [{ name: greet, image: docker.io/library/busybox:1, command: [echo], args: [$(params.words)] }]
`;

const nested = `
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata: { name: nested }
spec:
  pipelineSpec:
    tasks:
      - name: inner
        pipelineSpec:
          tasks:
            - name: say
              taskSpec:
                steps: [{ name: say, image: docker.io/library/busybox:1, command: [echo, inside] }]
`;

const withEnum = `
apiVersion: tekton.dev/v1
kind: Task
metadata: { name: choosy }
spec:
  params: [{ name: size, type: string, enum: [small, large] }]
  steps: [{ name: say, image: docker.io/library/busybox:1, command: [echo, $(params.size)] }]
`;

const chatty = `
apiVersion: v1
kind: Pod
metadata: { name: chatty }
spec:
  restartPolicy: Never
  containers:
    - name: chatty
      image: docker.io/library/busybox:1
      command: [sh, -c, 'trap "exit 0" TERM; while :; do seq 1 100; sleep 0.1; done']
`;

function source(url: string): string {
  return `
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: { name: pushed }
spec:
  url: ${url}
  ref: { branch: main }
  interval: 5s
`;
}
