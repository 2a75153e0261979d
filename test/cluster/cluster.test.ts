/** The cluster itself, as suites rely on it. Needs `npm run cluster -- up`. */
import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'mocha';
import { type Cluster, connect, lacks, type OwnCluster } from './cluster.ts';
import { type Restore, setFeatureFlags, setFluxEvents, setKubeletLogging } from './knobs.ts';
import { makeRepository } from './repository.ts';
import { eventually } from './waiting.ts';

describe('cluster', function () {
  this.timeout(180_000);
  const namespace = `cluster-test-${process.pid}`;
  let cluster: Cluster;

  before(async () => {
    cluster = await connect();
    await cluster.kubectl.run('create', 'namespace', namespace);
  });

  after(async () => {
    await cluster.kubectl.run('delete', 'namespace', namespace, '--wait=false');
  });

  /** The part of the cluster that only ours has; skips the test on another one. */
  function own(test: Mocha.Context): OwnCluster {
    if (!cluster.own) test.skip();
    return cluster.own;
  }

  it('cluster: a PipelineRun of three tasks ends green', async () => {
    const { kubectl } = cluster;
    await kubectl.pipe(threeTasks, 'apply', '-n', namespace, '-f', '-');
    await kubectl.run('wait', '-n', namespace, '--for=condition=Succeeded', 'pipelinerun/three', '--timeout=120s');
    const log = await kubectl.run(
      'logs',
      '-n',
      namespace,
      '-l',
      'tekton.dev/pipelineRun=three,tekton.dev/pipelineTask=greet',
      '-c',
      'step-greet',
    );
    assert.equal(log, 'hello from the first task\n');
  });

  it('cluster: an image that nobody imported cannot be pulled, and the pod says so', async () => {
    const { kubectl } = cluster;
    await kubectl.run('run', 'pull', '-n', namespace, '--image=docker.io/library/nowhere:1', '--restart=Never');
    await eventually(
      'the pod to say ImagePullBackOff',
      60_000,
      async () => {
        const reason = await kubectl.ask(
          'get',
          'pod',
          'pull',
          '-n',
          namespace,
          '-o',
          'jsonpath={.status.containerStatuses[0].state.waiting.reason}',
        );
        return reason === 'ImagePullBackOff' || reason === 'ErrImagePull' || undefined;
      },
      500,
    );
  });

  it("cluster: a push to the git server moves a GitRepository's revision", async function () {
    const { kubectl } = cluster;
    const repository = await makeRepository(own(this), namespace);
    try {
      const first = await repository.push({ 'README.md': 'one\n' });
      await kubectl.pipe(source(repository.url), 'apply', '-n', namespace, '-f', '-');
      await eventually('the first revision', 60_000, () => revisionIs(`main@sha1:${first}`));
      const second = await repository.push({ 'README.md': 'two\n' });
      await eventually('the second revision', 60_000, () => revisionIs(`main@sha1:${second}`));
    } finally {
      await kubectl.run('delete', 'gitrepository', 'pushed', '-n', namespace, '--ignore-not-found');
      await repository.remove();
    }
  });

  it('cluster: the audit log tells who wrote what', async function () {
    const { auditLogPath } = own(this);
    await cluster.kubectl.run('create', 'configmap', 'audited', '-n', namespace);
    const writes = (await readFile(auditLogPath, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const write = writes.find(({ objectRef }) => objectRef?.name === 'audited' && objectRef.namespace === namespace);
    assert.equal(write?.verb, 'create');
    assert.equal(write.user.username, 'admin');
    assert.equal(write.responseStatus.code, 201);
    assert.equal(
      writes.some(({ verb }) => ['get', 'list', 'watch'].includes(verb)),
      false,
      'reads are not logged',
    );
    const byTekton = writes.find(
      ({ objectRef, user }) =>
        objectRef?.resource === 'taskruns' && user.username.endsWith(':tekton-pipelines-controller'),
    );
    assert.ok(byTekton, 'what Tekton wrote is under its own name');
  });

  it('cluster: the kubelet rotates logs as the knob says, and as before afterwards', async function () {
    const { podLogsFolder } = own(this);
    const { kubectl } = cluster;
    const files = () => globSync(`${podLogsFolder}/${namespace}_chatty_*/chatty/*`).length;
    const restore = await setKubeletLogging(cluster, {
      containerLogMaxSize: '16Ki',
      containerLogMaxFiles: 3,
      containerLogMonitorInterval: '3s',
    });
    try {
      await kubectl.pipe(chatty, 'apply', '-n', namespace, '-f', '-');
      await eventually('the log to be rotated', 60_000, async () => files() === 3 || undefined);
    } finally {
      await restore();
    }
    const config = JSON.parse(
      await kubectl.run('get', '--raw', '/api/v1/nodes/rungate-node/proxy/configz'),
    ).kubeletconfig;
    assert.equal(config.containerLogMaxSize, '512Mi');
    assert.equal(config.containerLogMaxFiles, 5);
    await kubectl.run('delete', 'pod', 'chatty', '-n', namespace, '--grace-period=0', '--force');
  });

  it('cluster: a pipeline in a pipeline runs once the knob has set enable-api-fields to alpha', async function () {
    own(this);
    const { kubectl } = cluster;
    await assert.rejects(kubectl.pipe(nested, 'create', '-n', namespace, '-f', '-'), /alpha/);
    let restore: Restore | undefined;
    try {
      restore = await setFeatureFlags(cluster, { 'enable-api-fields': 'alpha' });
      await kubectl.pipe(nested, 'create', '-n', namespace, '-f', '-');
      await kubectl.run('wait', '-n', namespace, '--for=condition=Succeeded', 'pipelinerun/nested', '--timeout=120s');
    } finally {
      await restore?.();
    }
    await kubectl.run('delete', 'pipelinerun', 'nested', '-n', namespace);
    await assert.rejects(kubectl.pipe(nested, 'create', '-n', namespace, '-f', '-'), /alpha/);
  });

  it('cluster: an existing cluster lacks what needs our own', () => {
    const existing: Pick<Cluster, 'capabilities'> = {
      capabilities: { root: false, knobs: false, flux: false, tektonVersion: 'v1.15.0' },
    };
    assert.deepEqual(lacks(existing, ['tektonVersion', 'knobs', 'root']), ['knobs', 'root']);
  });

  async function revisionIs(wanted: string): Promise<true | undefined> {
    const revision = await cluster.kubectl.ask(
      'get',
      'gitrepository',
      'pushed',
      '-n',
      namespace,
      '-o',
      'jsonpath={.status.artifact.revision}',
    );
    return revision === wanted || undefined;
  }
});

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
