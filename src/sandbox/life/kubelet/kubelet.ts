/**
 * The sandbox's scheduler and kubelet: finds pods a place on the one node and really runs them, as processes of this
 * machine. What is true of a container here and what is not stands in docs/sandbox.md.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Clock } from '../../../clock.ts';
import type { Part } from '../../../lifecycle.ts';
import type { Log } from '../../../log.ts';
import type { ApiClient } from '../../api/client.ts';
import type { Subresource } from '../../api/kind.ts';
import type { JsonObject, KubeObject } from '../../object.ts';
import type { BindPod } from './binding.ts';
import { createClaims } from './claims.ts';
import type { PodPlace } from './environment.ts';
import { createEventRecorder } from './events.ts';
import type { LogFile, Rotation } from './logfile.ts';
import type { LogSource } from './logread.ts';
import { createMemoryWatch } from './memory.ts';
import { hostIP, nodeName, nodeOffer, registerNode } from './node.ts';
import { isTerminal, type Pod, podOf, podsResource } from './pod.ts';
import { createPodLog } from './podlog.ts';
import { createRunner } from './run.ts';
import { whyUnschedulable } from './schedule.ts';
import { conditionJson } from './status.ts';
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
  readonly #pods = new Map<string, KubeObject>();
  readonly #workers = new Map<string, PodWorker>();
  readonly #addresses = new Map<string, string>();
  readonly #logs = new Map<string, LogFile>();
  readonly #ends: (() => void)[] = [];
  #folder: string;
  #addressCount = 0;
  #stopped = false;

  constructor(options: KubeletOptions) {
    this.#options = options;
    this.#limits = { ...defaults, ...options.limits };
    this.#folder = options.folder;
  }

  async start(): Promise<void> {
    const { client, clock, log, folder, simulate, searchPath, token } = this.#options;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.#folder = this.#withoutBlanks(folder);
    const offer = nodeOffer(this.#limits.pods);
    registerNode(client, offer, clock.now());
    const events = createEventRecorder(client, { clock, log, nodeName });
    const claims = createClaims(client, { folder: join(this.#folder, 'claims'), log });
    const scratch = join(this.#folder, 'pipes');
    rmSync(scratch, { recursive: true, force: true });
    mkdirSync(scratch);
    const memory = createMemoryWatch({ everyMs: this.#limits.memorySampleMs });
    const volumesOf = (pod: Pod): VolumeParts => ({
      client,
      place: this.#placeOf(pod),
      folder: this.#podFolder(pod),
      claimFolder: claims.folder,
      token: token && (({ metadata, spec }) => token(metadata.namespace ?? '', spec.serviceAccountName ?? 'default')),
    });
    const run = createRunner({
      client,
      clock,
      start: simulate ? undefined : createSupervisor({ clock, memory, folder: scratch }),
      limits: this.#limits,
      rotation: this.#limits.log,
      searchPath: searchPath ?? `${usualPath}:${dirname(process.execPath)}`,
      place: (pod) => this.#placeOf(pod),
      podFolder: (pod) => this.#podFolder(pod),
      volumeFolder: (pod, name) => volumeFolder(pod, name, volumesOf(pod)),
      onLog: (pod, container, id) => this.#logOf(pod, container, id),
    });

    const schedule = () => {
      const placed = [...this.#pods.values()].map(podOf);
      const waiting = placed.filter(isUnscheduled).sort(byAge);
      const busy = placed.filter((pod) => pod.spec.nodeName === nodeName && !isTerminal(pod));
      for (const pod of waiting) {
        const { namespace = '', name } = pod.metadata;
        const why = whyUnschedulable(pod, offer, { pods: busy, claims: claims.in(namespace) });
        if (why === undefined) {
          busy.push(pod);
          this.#options.bind(namespace, name, nodeName);
          const message = `Successfully assigned ${namespace}/${name} to ${nodeName}`;
          events.tell(pod, { type: 'Normal', reason: 'Scheduled', message, from: 'default-scheduler' });
        } else if (this.#refuse(pod, why)) {
          events.tell(pod, { type: 'Warning', reason: 'FailedScheduling', message: why, from: 'default-scheduler' });
        }
      }
    };

    const begin = (pod: Pod) => {
      const { uid } = pod.metadata;
      const worker = new PodWorker(pod, {
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
      this.#workers.set(uid, worker);
    };

    const forget = (pod: Pod) => {
      const { uid } = pod.metadata;
      const worker = this.#workers.get(uid);
      worker?.abandon();
      this.#workers.delete(uid);
      events.forget(pod);
      void (worker?.done ?? Promise.resolve()).then(() => {
        if (this.#stopped) return;
        this.#addresses.delete(uid);
        for (const place of [this.#podFolder(pod), this.#logFolder(pod)])
          rmSync(place, { recursive: true, force: true });
      });
    };

    const before = new Set(client.list(podsResource).map(({ metadata }) => metadata.uid));
    this.#ends.push(
      claims.watch(schedule),
      client.watch(podsResource, {}, ({ type, object }) => {
        const pod = podOf(object);
        const { uid } = pod.metadata;
        if (type === 'DELETED') {
          this.#pods.delete(uid);
          forget(pod);
        } else {
          this.#pods.set(uid, object);
          const worker = this.#workers.get(uid);
          if (worker !== undefined) worker.update(pod);
          else if (pod.spec.nodeName === nodeName && !isTerminal(pod)) {
            if (before.delete(uid) && wasRunning(pod)) this.#giveUp(object);
            else begin(pod);
          }
        }
        schedule();
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
    if (this.#folder !== this.#options.folder) rmSync(dirname(this.#folder), { recursive: true, force: true });
  }

  /** The log of a container's run, live or left. */
  find(pod: Pod, container: string, containerId: string): LogSource | undefined {
    const live = this.#logs.get(containerId);
    if (live !== undefined) return live;
    const path = this.#logPath(pod, container, containerId);
    return existsSync(path) ? { path, closed: true } : undefined;
  }

  /** Says in the pod's conditions why it waits; false when that is known already. */
  #refuse(pod: Pod, why: string): boolean {
    const { client, clock, log } = this.#options;
    const { namespace = '', name } = pod.metadata;
    const object = client.get(podsResource, namespace, name);
    if (object === undefined) return false;
    const { conditions = [] } = podOf(object).status ?? {};
    if (conditions.some(({ type, message }) => type === 'PodScheduled' && message === why)) return false;
    const own = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: why };
    const status: JsonObject = { ...(object.status as JsonObject), conditions: [conditionJson(pod, own, clock.now())] };
    try {
      client.update(podsResource, { ...object, status }, { subresource: 'status' });
    } catch (error) {
      log.warn("a pod's status was not taken", { pod: name, error: String(error) });
    }
    return true;
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
      return ended === undefined ? { ...one, ready: false, started: false, state: { terminated: lost } } : one;
    });
    this.#options.client.update(
      podsResource,
      { ...object, status: { ...status, phase: 'Failed', containerStatuses } },
      { subresource: 'status' },
    );
  }

  #placeOf(pod: Pod): PodPlace {
    return { podIP: this.#addressOf(pod), hostIP, nodeName, allocatable: nodeOffer(this.#limits.pods).allocatable };
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

  #podFolder({ metadata }: Pod): string {
    return join(this.#folder, 'pods', metadata.uid);
  }

  #logFolder({ metadata }: Pod): string {
    return join(this.#folder, 'logs', `${metadata.namespace}_${metadata.name}_${metadata.uid}`);
  }

  #logPath(pod: Pod, container: string, containerId: string): string {
    return join(this.#logFolder(pod), container, `${containerId.replace('containerd://', '').slice(0, 16)}.log`);
  }

  #logOf(pod: Pod, container: string, containerId: string) {
    return {
      path: this.#logPath(pod, container, containerId),
      opened: (log: LogFile) => {
        this.#logs.set(containerId, log);
        const unwatch = log.watch(() => {
          if (!log.closed) return;
          this.#logs.delete(containerId);
          unwatch();
        });
      },
    };
  }

  /** Scripts seldom quote the paths they are given, so those have nothing in them that would need it. */
  #withoutBlanks(folder: string): string {
    if (/^[\w./+@%=:,-]+$/.test(folder)) return folder;
    const link = join(mkdtempSync(join(tmpdir(), 'sandbox-')), 'kubelet');
    symlinkSync(folder, link);
    return link;
  }
}

function isUnscheduled({ spec, metadata }: Pod): boolean {
  return (
    !spec.nodeName &&
    (spec.schedulerName ?? 'default-scheduler') === 'default-scheduler' &&
    !spec.schedulingGates?.length &&
    metadata.deletionTimestamp === undefined
  );
}

/** Had a container been started by an earlier sandbox? One whose pod would not start it again is lost. */
function wasRunning({ spec, status }: Pod): boolean {
  return spec.restartPolicy === 'Never' && Array.isArray(status?.containerStatuses);
}

function byAge(a: Pod, b: Pod): number {
  const [one, other] = [a, b].map(({ metadata }) => `${metadata.creationTimestamp} ${metadata.name}`) as [
    string,
    string,
  ];
  return one < other ? -1 : 1;
}
