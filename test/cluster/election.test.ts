/** Who leads, settled with a program that uses client-go's own leader election; and Events as kubectl shows them. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/clock.ts';
import { type KubeClient, kubeClient } from '../../src/kube/client.ts';
import { connect as findApi } from '../../src/kube/connect.ts';
import { createEvents } from '../../src/kube/events.ts';
import { createElection, type Election } from '../../src/kube/lease.ts';
import { objectOf, stringOf } from '../../src/kube/objects.ts';
import { silentLog } from '../../src/log.ts';
import { silentMetrics } from '../../src/metrics.ts';
import { type Admin, openAdmin } from '../support/admin.ts';
import { eventually } from '../support/eventually.ts';
import { clusterSuite } from '../support/needs.ts';
import { type Cluster, connect } from './cluster.ts';

const LEASE = 'bb9e0b30.jquad.rocks';
/** Seconds. A holder who is held up for as long as the Lease lasts loses it, rightly: machines of tests are held up for some. */
const TIMES = { lease: 15, renew: 10, retry: 2 };
/** Whoever could take the Lease from one that leads has done so by then. */
const WATCHED_MS = 1.5 * TIMES.lease * 1_000;
const soon = { withinMs: 120_000, everyMs: 50 };

/** The cluster, a namespace of this suite's own, and a client that is its administrator. */
interface Ground {
  readonly cluster: Cluster;
  readonly admin: Admin;
  readonly namespace: string;
  readonly client: KubeClient;
  end(): Promise<void>;
}

async function prepare(): Promise<Ground> {
  const cluster = await connect();
  const admin = await openAdmin(cluster.kubeconfig);
  const made = await admin.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { generateName: 'test-' } });
  const namespace = made.metadata.name ?? '';
  const client = kubeClient(await findApi({ kubeconfig: cluster.kubeconfig, env: {} }), { metrics: silentMetrics });
  return {
    cluster,
    admin,
    namespace,
    client,
    async end() {
      client.close();
      await admin.remove(`/api/v1/namespaces/${namespace}`);
    },
  };
}

// The cluster's own scheduler is a client-go program. One more of it, which no pod asks for, stands for a replica of the original.
clusterSuite('an election among us and client-go', { knobs: true }, () => {
  let ground: Ground;
  let folder: string;
  const elections: Election[] = [];
  const schedulers: ChildProcess[] = [];

  before(async () => {
    ground = await prepare();
    folder = await mkdtemp(join(tmpdir(), 'rungate-election-'));
  });
  afterEach(async () => {
    for (const election of elections.splice(0)) await election.stop(AbortSignal.timeout(5_000));
    for (const scheduler of schedulers.splice(0)) await endProgram(scheduler, 'SIGKILL');
    await ground.admin.remove(leasePath());
  });
  after(async () => {
    await ground?.end();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  const leasePath = () => `/apis/coordination.k8s.io/v1/namespaces/${ground.namespace}/leases/${LEASE}`;
  const holder = async () => stringOf(objectOf((await ground.client.get(leasePath())).spec).holderIdentity) ?? '';

  const ours = async (): Promise<Election> => {
    const election = createElection({
      client: ground.client,
      namespace: ground.namespace,
      name: LEASE,
      identity: `ours_${elections.length}`,
      leaseSeconds: TIMES.lease,
      clock: systemClock,
      random: Math.random,
      log: silentLog,
    });
    elections.push(election);
    await election.start();
    return election;
  };

  /** Starts a scheduler, and resolves when it is seen to take part: it has read the Lease. */
  const theirs = async (): Promise<ChildProcess> => {
    const { own, kubeconfig } = ground.cluster;
    assert(own !== undefined);
    const config = join(folder, 'scheduler.yaml');
    const settings = {
      apiVersion: 'kubescheduler.config.k8s.io/v1',
      kind: 'KubeSchedulerConfiguration',
      clientConnection: { kubeconfig },
      leaderElection: {
        leaderElect: true,
        leaseDuration: `${TIMES.lease}s`,
        renewDeadline: `${TIMES.renew}s`,
        retryPeriod: `${TIMES.retry}s`,
        resourceLock: 'leases',
        resourceName: LEASE,
        resourceNamespace: ground.namespace,
      },
      profiles: [{ schedulerName: 'nobody-asks-for-this' }],
    };
    await writeFile(config, JSON.stringify(settings));
    const program = join(own.parts.kubernetes, 'kube-scheduler');
    const scheduler = spawn(program, [`--config=${config}`, '--secure-port=0'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    schedulers.push(scheduler);
    let said = '';
    scheduler.stderr.on('data', (piece: Buffer) => {
      said += piece.toString();
    });
    await eventually(() => assert.match(said, /attempting to acquire leader lease/), soon);
    return scheduler;
  };

  it('theirs waits while ours leads, and follows at once when ours stops', async () => {
    const election = await ours();
    await eventually(() => assert(election.held()), soon);
    const scheduler = await theirs();
    const until = systemClock.steady() + WATCHED_MS;
    while (systemClock.steady() < until) {
      assert.equal(await holder(), 'ours_0');
      await systemClock.sleep(200);
    }
    await election.stop(AbortSignal.timeout(5_000));
    await eventually(async () => assert.match(await holder(), /^(?!ours_).+_/), soon);
    assert.equal(scheduler.exitCode, null);
  });

  it('ours waits while theirs leads, and follows when theirs is killed', async () => {
    const scheduler = await theirs();
    await eventually(async () => assert.notEqual(await holder(), ''), soon);
    const election = await ours();
    const until = systemClock.steady() + WATCHED_MS;
    while (systemClock.steady() < until) {
      assert(!election.held());
      await systemClock.sleep(200);
    }
    assert.equal(election.holder(), await holder());
    await endProgram(scheduler, 'SIGKILL');
    await eventually(() => assert(election.held()), soon);
    const spec = objectOf((await ground.client.get(leasePath())).spec);
    assert.deepEqual([spec.holderIdentity, spec.leaseTransitions], ['ours_0', 1]);
  });
});

clusterSuite('Events', {}, () => {
  let ground: Ground;
  before(async () => {
    ground = await prepare();
  });
  after(() => ground?.end());

  it('trigger 3: kubectl shows what was told: once, counted, and by whom', async () => {
    const { client, cluster, namespace } = ground;
    const kind = { apiVersion: 'v1', kind: 'ConfigMap' };
    const made = await client.create(`/api/v1/namespaces/${namespace}/configmaps`, {
      ...kind,
      metadata: { name: 't' },
    });
    const about = { ...kind, namespace, name: 't', uid: stringOf(objectOf(made.metadata).uid) ?? '' };
    const recorder = () =>
      createEvents({
        writer: client,
        name: 'triggers',
        component: 'PipelineTrigger',
        instance: 'rungate-0',
        clock: systemClock,
        log: silentLog,
        metrics: silentMetrics,
      });
    for (const events of [recorder(), recorder()]) {
      events.tell(about, {
        type: 'Normal',
        reason: 'Info',
        message: 'Source app got new event main/03da4fd',
        once: '1',
      });
      await events.stop(AbortSignal.timeout(soon.withinMs));
    }
    const events = recorder();
    const warning = { type: 'Warning', reason: 'ProcessingError', message: 'Pipeline "build" not found' } as const;
    events.tell(about, warning);
    await eventually(async () => assert.match(await described(), /ProcessingError/), soon);
    events.tell(about, warning);
    events.tell(about, warning);
    await events.stop(AbortSignal.timeout(soon.withinMs));
    const shown = (await described()).split('Events:')[1] ?? '';
    assert.match(shown, /Normal +Info +\S+ +PipelineTrigger +Source app got new event main\/03da4fd\n/);
    assert.match(shown, /Warning +ProcessingError +\S+ \(x3 over \S+\) +PipelineTrigger +Pipeline "build" not found\n/);
    assert.equal(shown.match(/PipelineTrigger/g)?.length, 2);

    async function described(): Promise<string> {
      return cluster.kubectl.run('-n', namespace, 'describe', 'configmap', 't');
    }
  });
});

async function endProgram(program: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (program.exitCode !== null || program.signalCode !== null) return;
  const ended = once(program, 'exit');
  program.kill(signal);
  await ended;
}
