/**
 * The sandbox's scheduler and kubelet: finds pods a place on the one node and really runs them, as processes of this
 * machine. What is true of a container here and what is not stands in docs/sandbox.md.
 */
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Clock } from '../../../clock.ts';
import type { Part } from '../../../lifecycle.ts';
import type { Log } from '../../../log.ts';
import type { ApiClient } from '../../api/client.ts';
import type { Subresource } from '../../api/kind.ts';
import type { JsonObject, KubeObject } from '../../object.ts';
import type { BindPod } from './binding.ts';
import { type Claims, createClaims } from './claims.ts';
import type { PodPlace } from './environment.ts';
import { createEventRecorder, type EventRecorder } from './events.ts';
import type { NodeOffer } from './fit.ts';
import { KubeletFolders } from './folders.ts';
import { LogFile, type Rotation } from './logfile.ts';
import type { LogSource } from './logread.ts';
import { createMemoryWatch } from './memory.ts';
import { hostIP, nodeName, nodeOffer, registerNode } from './node.ts';
import { isTerminal, type Pod, podOf, podsResource } from './pod.ts';
import { createPodLog } from './podlog.ts';
import { createRunner } from './run.ts';
import { Scheduler } from './scheduler.ts';
import { createSupervisor } from './supervisor.ts';
import { makeVolumes, refreshDownward, type VolumeParts, volumeFolder } from './volumes.ts';
import { PodWorker } from './worker.ts';

/** What the kubelet is made of. */
export interface KubeletOptions {
  readonly client: ApiClient;
  /** `createBinder` makes it. */
  readonly bind: BindPod;
  readonly clock: Clock;
  readonly log: Log;
  /** Everything on disk lies below: pods, claims, logs. Kept when the kubelet stops. */
  readonly folder: string;
  /** Runs no process and plays written scenarios instead. */
  readonly simulate: boolean;
  readonly limits?: Partial<KubeletLimits>;
  /** Where programs are looked for, `/usr/bin:/bin`; the usual places and Node's own unless told. */
  readonly searchPath?: string;
  /** A token for a pod's service account; without it pods have none. */
  readonly token?: (namespace: string, serviceAccount: string) => string;
}

/** Bounds, so that a pipeline gone wild does not take the machine with it. */
export interface KubeletLimits {
  /** At once; others wait, unschedulable. */
  readonly pods: number;
  /** Of a container that names no limit of its own. */
  readonly memoryBytes: number;
  /** Of each container, in all its life. */
  readonly outputBytes: number;
  readonly activeMs: number;
  /** How often memory is looked at. */
  readonly memorySampleMs: number;
  /** `containerLogMaxSize` and `containerLogMaxFiles`. */
  readonly log: Rotation;
}

/** A kubelet, and what answers `pods/log`, which can be mounted before it starts. */
export interface Kubelet extends Part {
  readonly podLog: Subresource;
}

const defaults: KubeletLimits = {
  pods: 32,
  memoryBytes: 1 << 30,
  outputBytes: 256 << 20,
  activeMs: 6 * 3_600_000,
  memorySampleMs: 250,
  log: { bytes: 10 << 20, files: 5 },
};

const usualPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/homebrew/bin';

/** Makes a kubelet that has not begun. */
export function createKubelet(options: KubeletOptions): Kubelet {
  const kubelet = new NodeKubelet(options);
  return {
    name: 'kubelet',
    podLog: createPodLog(kubelet, options.clock),
    start: () => kubelet.start(),
    stop: () => kubelet.stop(),
  };
}

class NodeKubelet {
  readonly #options: KubeletOptions;
  readonly #limits: KubeletLimits;
  readonly #offer: NodeOffer;
  readonly #workers = new Map<string, PodWorker>();
  readonly #addresses = new Map<string, string>();
  readonly #logs = new Map<string, LogFile>();
  readonly #ends: (() => void)[] = [];
  #folders: KubeletFolders | undefined;
  #addressCount = 0;
  #stopped = false;

  constructor(options: KubeletOptions) {
    this.#options = options;
    this.#limits = { ...defaults, ...options.limits };
    this.#offer = nodeOffer(this.#limits.pods);
  }

  async start(): Promise<void> {
    const { client, clock, log, bind, folder } = this.#options;
    const folders = new KubeletFolders(folder);
    this.#folders = folders;
    registerNode(client, this.#offer, clock.now());
    const events = createEventRecorder(client, { clock, log, nodeName });
    const claims = createClaims(client, { folder: folders.claims, log });
    const scheduler = new Scheduler({ client, clock, log, events, claims, bind, nodeName, offer: this.#offer });
    const begin = this.#beginner(folders, claims, events);
    // Pods that an earlier sandbox has left.
    const left = new Set(client.list(podsResource).map(({ metadata }) => metadata.uid));

    const see = (object: KubeObject) => {
      const pod = podOf(object);
      const { uid } = pod.metadata;
      scheduler.see(pod);
      const worker = this.#workers.get(uid);
      if (worker !== undefined) return worker.update(pod);
      if (pod.spec.nodeName !== nodeName || isTerminal(pod)) return;
      if (left.delete(uid) && wasRunning(pod)) this.#giveUp(object);
      else this.#workers.set(uid, begin(pod));
    };

    const forget = (pod: Pod) => {
      const { uid } = pod.metadata;
      const worker = this.#workers.get(uid);
      this.#workers.delete(uid);
      scheduler.forget(pod);
      events.forget(pod);
      worker?.abandon();
      void (worker?.done ?? Promise.resolve()).then(() => {
        this.#addresses.delete(uid);
        if (!this.#stopped) folders.forget(pod);
      });
    };

    this.#ends.push(
      claims.watch(() => scheduler.schedule()),
      client.watch(podsResource, {}, ({ type, object }) => {
        if (type === 'DELETED') forget(podOf(object));
        else see(object);
        scheduler.schedule();
      }),
    );
  }

  /** Ends every process. Objects stay as they are: nobody could tell any more what becomes of them. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const end of this.#ends.splice(0)) end();
    const workers = [...this.#workers.values()];
    for (const worker of workers) worker.abandon();
    await Promise.all(workers.map(({ done }) => done));
    this.#folders?.close();
  }

  /** The log of a container's run, live or left. */
  find(pod: Pod, container: string, containerId: string): LogSource | undefined {
    const live = this.#logs.get(containerId);
    if (live !== undefined) return live;
    const path = this.#folders?.log(pod, container, containerId);
    return path !== undefined && existsSync(path) ? { path, closed: true } : undefined;
  }

  /** What begins the life of a pod on the node. */
  #beginner(folders: KubeletFolders, claims: Claims, events: EventRecorder): (pod: Pod) => PodWorker {
    const { client, clock, log, simulate, searchPath, token } = this.#options;
    const volumesOf = (pod: Pod): VolumeParts => ({
      client,
      place: this.#placeOf(pod),
      folder: folders.ofPod(pod),
      claimFolder: claims.folder,
      token: token && (({ metadata, spec }) => token(metadata.namespace ?? '', spec.serviceAccountName ?? 'default')),
    });
    const memory = createMemoryWatch({ everyMs: this.#limits.memorySampleMs });
    const run = createRunner({
      client,
      clock,
      start: simulate ? undefined : createSupervisor({ clock, memory, folder: folders.pipes }),
      limits: this.#limits,
      searchPath: searchPath ?? `${usualPath}:${dirname(process.execPath)}`,
      place: (pod) => this.#placeOf(pod),
      podFolder: (pod) => folders.ofPod(pod),
      volumeFolder: (pod, name) => volumeFolder(pod, name, volumesOf(pod)),
      openLog: (pod, container, id) => this.#openLog(folders.log(pod, container, id), id),
    });
    return (pod) =>
      new PodWorker(pod, {
        client,
        clock,
        log,
        events,
        hostIP,
        podIP: this.#addressOf(pod),
        mount: (one) => makeVolumes(one, volumesOf(one)),
        refresh: (one) => refreshDownward(one, volumesOf(one)),
        run,
      });
  }

  #openLog(path: string, containerId: string): LogFile {
    const log = new LogFile(path, { rotation: this.#limits.log, clock: this.#options.clock });
    this.#logs.set(containerId, log);
    log.watch(() => {
      if (log.closed) this.#logs.delete(containerId);
    });
    return log;
  }

  /** Its processes ended with the sandbox that ran them: nobody knows how. */
  #giveUp(object: KubeObject): void {
    const status = object.status as JsonObject; // the pod was running, so it has one
    const lost = {
      exitCode: 137,
      reason: 'ContainerStatusUnknown',
      message: 'The container could not be located when the pod was terminated',
      startedAt: null,
      finishedAt: null,
    };
    const statuses = (status.containerStatuses as JsonObject[] | undefined) ?? [];
    const containerStatuses = statuses.map((one) => {
      const ended = (one.state as JsonObject | undefined)?.terminated;
      // With its id, by which its log is still found.
      const terminated = { ...lost, ...(one.containerID === undefined ? {} : { containerID: one.containerID }) };
      return ended === undefined ? { ...one, ready: false, started: false, state: { terminated } } : one;
    });
    const failed = { ...object, status: { ...status, phase: 'Failed', containerStatuses } };
    this.#options.client.update(podsResource, failed, { subresource: 'status' });
  }

  #placeOf(pod: Pod): PodPlace {
    return { podIP: this.#addressOf(pod), hostIP, nodeName, allocatable: this.#offer.allocatable };
  }

  /** Of the loopback network, all of which reaches this machine on Linux. */
  #addressOf({ metadata: { uid } }: Pod): string {
    const known = this.#addresses.get(uid);
    if (known !== undefined) return known;
    const count = this.#addressCount++;
    const address = `127.1.${Math.floor(count / 250) % 250}.${(count % 250) + 2}`;
    this.#addresses.set(uid, address);
    return address;
  }
}

/** Had a container been started by an earlier sandbox? One whose pod would not start it again is lost. */
function wasRunning({ spec, status }: Pod): boolean {
  return spec.restartPolicy === 'Never' && Array.isArray(status?.containerStatuses);
}
