/**
 * A release of the chart, packed and installed in a namespace that enforces Pod Security `restricted`: it shows a run through its
 * Service, is upgraded, rolled back and removed.
 *
 * The runs are in a namespace that enforces nothing, and is served besides: pods of Tekton are not `restricted`.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { eventually } from '../support/eventually.ts';
import { clusterSuite } from '../support/needs.ts';
import { runProgram } from '../support/program.ts';
import type { World } from '../support/world.ts';
import { connect } from './cluster.ts';
import { chart, type Helm, startHelm, type Values } from './helm.ts';
import { raiseImage } from './image.ts';
import { type Installation, kubectlIn, restrictedNamespace } from './installation.ts';

/** Helm may have to be built, and the image. */
const buildMs = 25 * 60_000;
/** Pods, one at a time and slowly: several suites share the machine. */
const wait = ['--wait', '--timeout', '10m'];
const patience = { withinMs: 240_000, everyMs: 250 };

clusterSuite('a release of the chart', { root: true }, function () {
  this.timeout(900_000);
  let helm: Helm;
  let world: World;
  let namespace: string;
  let kubectl: Installation['kubectl'];
  let packed: string;
  let image: string;
  // Not rungate: that is what the rungate of the world is called in the namespace of the runs.
  const release = 'chart';
  const name = 'chart-rungate';
  const [first, second] = [randomBytes(16).toString('hex'), randomBytes(16).toString('hex')];
  /** What there is of every kind that is in a namespace, but for what the cluster itself writes. */
  const everythingIn = async (place: string): Promise<readonly string[]> => {
    const kinds = await kubectl('api-resources', '--verbs=list', '--namespaced', '--output=name');
    const asked = kinds.split('\n').filter((kind) => kind !== '' && !/^(?:events|.*\.metrics\.k8s\.io)/.test(kind));
    const there = await kubectl('--namespace', place, 'get', asked.join(','), '--ignore-not-found', '--output=name');
    return there.split('\n').filter((name) => /chart-rungate|helm/.test(name));
  };
  /** As whoever comes from the listener's chart has them. */
  const values = (password: string): Values => ({
    image,
    auth: { username: 'ci', password },
    service: { type: 'NodePort', port: 8080 },
    deployment: {
      replicas: 1,
      limits: { cpu: '500m', memory: '512Mi' },
      requests: { cpu: '100m', memory: '256Mi' },
    },
    annotations: { 'example.test/team': 'ci' },
    namespaces: [world.namespace],
  });
  const url = async () => `http://${await kubectl('get', 'service', name, '--output=jsonpath={.spec.clusterIP}')}:8080`;
  const answerTo = async (path: string, password: string): Promise<string> => {
    // What is still led to a pod that is gone is asked again, not waited for.
    const patient = ['--connect-timeout', '5', '--max-time', '90'];
    const { stdout } = await world.curl(
      '-s',
      ...patient,
      '-u',
      `ci:${password}`,
      '-w',
      '%{http_code}',
      `${await url()}${path}`,
    );
    return stdout;
  };

  before(async function () {
    this.timeout(buildMs);
    helm = await startHelm();
    world = helm.world;
    image = (await raiseImage()).reference;
    namespace = await restrictedNamespace(world, `${world.namespace}-chart`);
    kubectl = kubectlIn(world, namespace);
    const folder = join(world.folder, 'packed');
    await mkdir(folder);
    packed = /saved it to: (\S+)/.exec(await helm.done(['package', chart, '--destination', folder]))?.[1] ?? '';
  });
  after(async () => {
    await world?.admin.remove(`/api/v1/namespaces/${namespace}`);
    await world?.end();
  });

  it('installs, with the values of the listener’s chart, and shows a run through its Service', async () => {
    await helm.done(['install', release, packed, '--namespace', namespace, ...wait], values(first));
    const run = await world.run('green');
    await world.finished(run, { withinMs: 600_000 });
    // Its pod is ready before every packet for the Service is led to it.
    await eventually(async () => assert.match(await answerTo('/ready', first), /200$/), patience);
    assert.match(await answerTo(`/status/${world.namespace}/${run}?wait=60`, first), /"status":"True".*200$/s);
    const own = await world.gateway.get(`/logs/${run}?color=never`);
    assert.equal(await answerTo(`/logs/${world.namespace}/${run}?color=never`, first), `${own.text}200`);
    const pods = await kubectl('get', 'pods', '--output=jsonpath={.items[*].metadata.annotations}');
    assert.match(pods, /"example.test\/team":"ci"/);
  });

  it('says in its notes what to type', async () => {
    const notes = await helm.done(['get', 'notes', release, '--namespace', namespace]);
    const typed = notes
      .split('\n')
      .filter((line) => line.startsWith('  '))
      .map((line) => line.trim());
    const [status = '', forward = '', ...rest] = typed;
    assert.match(forward, /^kubectl .* port-forward /);
    // Another port than the one in the notes, which may be somebody's; kubectl chooses it.
    const script = [
      'set -e',
      status,
      `${forward.replace(' 8080:', ' :')} > forwarded & forwarding=$!`,
      `trap 'kill $forwarding' EXIT`,
      'until grep -q Forwarding forwarded; do sleep 0.1; done',
      `port=$(sed -n 's/.*127.0.0.1:\\([0-9]*\\) .*/\\1/p' forwarded)`,
      ...rest.map((line) =>
        line.replace('localhost:8080', 'localhost:$port').replace('curl ', 'curl -sS --fail-with-body '),
      ),
    ].join('\n');
    const path = [dirname((await connect()).kubectl.file), process.env.PATH].join(':');
    const env = { ...process.env, KUBECONFIG: world.admin.kubeconfig, PATH: path };
    const { code, stdout, stderr } = await runProgram('bash', ['-c', script], { env, cwd: world.folder });
    assert.equal(code, 0, `${script}\n${stderr}`);
    assert.match(stdout, /\{"status":1\}\s*\{"items":\[/);
  });

  it('rolls its pods when the password changes, and takes other values', async () => {
    const next = {
      ...values(second),
      deployment: { replicas: 2, requests: { cpu: '10m', memory: '128Mi' }, limits: { memory: '512Mi' } },
      podDisruptionBudget: { enabled: true },
      networkPolicy: { enabled: true },
      metrics: { enabled: true },
      service: { type: 'ClusterIP' },
    };
    await helm.done(['upgrade', release, packed, '--namespace', namespace, ...wait], next);
    await eventually(async () => assert.match(await answerTo('/ready', second), /200$/), patience);
    await eventually(async () => assert.match(await answerTo('/ready', first), /401$/), patience);
    // The last pod of before may still be about to end.
    await eventually(async () => {
      const there = await everythingIn(namespace);
      for (const each of [`poddisruptionbudget.policy/${name}`, `networkpolicy.networking.k8s.io/${name}`])
        assert.ok(there.includes(each), there.join('\n'));
      assert.equal(there.filter((each) => each.startsWith('pod/')).length, 2, there.join('\n'));
    }, patience);
  });

  it('answers while a pod of two is gone, and has two again', async () => {
    const pods = async () => (await kubectl('get', 'pods', '--output=name')).split('\n').filter((each) => each !== '');
    const [gone = ''] = await pods();
    await kubectl('delete', gone, '--wait=false');
    const answers = async () => assert.match(await answerTo(`/runs/${world.namespace}`, second), /200$/);
    // Until the node knows that it goes, some may still be led to it.
    await eventually(answers, patience);
    await eventually(async () => assert.ok(!(await pods()).includes(gone)), patience);
    await eventually(answers, patience);
    await kubectl('rollout', 'status', `deployment/${name}`, '--timeout=600s');
  });

  it('goes back to what it was', async () => {
    await helm.done(['rollback', release, '1', '--namespace', namespace, ...wait]);
    await eventually(async () => assert.match(await answerTo('/ready', first), /200$/), patience);
    await eventually(async () => assert.match(await answerTo('/ready', second), /401$/), patience);
    // A kind that another suite takes away meanwhile cannot be listed.
    await eventually(async () => {
      const there = await everythingIn(namespace);
      assert.ok(!there.some((name) => /poddisruption|networkpolicy/.test(name)), there.join('\n'));
    }, patience);
  });

  it('leaves nothing of its own', async () => {
    await helm.done(['uninstall', release, '--namespace', namespace, ...wait]);
    for (const place of [namespace, world.namespace])
      await eventually(async () => assert.deepEqual(await everythingIn(place), []), patience);
  });
});
