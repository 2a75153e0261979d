/** A kubelet over an API in this process, for one test: no HTTPS and no controllers, real processes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { systemClock } from '../../src/clock.ts';
import { silentLog } from '../../src/log.ts';
import { administrator } from '../../src/sandbox/access/caller.ts';
import type { ApiClient, NewObject } from '../../src/sandbox/api/client.ts';
import { createBinder } from '../../src/sandbox/life/kubelet/binding.ts';
import { createKubelet, type KubeletOptions } from '../../src/sandbox/life/kubelet/kubelet.ts';
import { groupVersionOf, type JsonObject, type KubeObject, type Resource } from '../../src/sandbox/object.ts';
import { bareApi, resources } from './api.ts';

/** What a request for a log was answered. */
export interface LogAnswer {
  readonly code: number;
  readonly text: string;
}

/** A kubelet that runs, and its API. */
export interface KubeletRig {
  readonly client: ApiClient;
  readonly folder: string;
  /** Creates everything in YAML, in the namespace `default` unless it names another, without a token unless it asks for one. */
  apply(yaml: string): KubeObject[];
  /** Throws when it is not there. */
  pod(name: string): KubeObject;
  /** The pod's status. */
  status(name: string): JsonObject;
  /** Of one container: its status, whether it is an init container or not. */
  container(pod: string, name: string): JsonObject;
  /** `GET pods/<name>/log?<query>`; rejects with the StatusError of a refusal. Ends with the log, or when `signal` aborts. */
  log(pod: string, query?: string, signal?: AbortSignal): Promise<LogAnswer>;
  /** The pod's events as `reason: message`, in the order in which they first came. */
  events(pod: string): string[];
  /** Stops the kubelet and starts another one in its place. */
  restart(): Promise<void>;
  /** Stops the kubelet and removes its folder. Calling it twice is harmless. */
  end(): Promise<void>;
}

const resourceOf: { readonly [kind: string]: Resource } = {
  Pod: resources.pods,
  ConfigMap: resources.configMaps,
  Secret: resources.secrets,
  PersistentVolumeClaim: { group: '', version: 'v1', plural: 'persistentvolumeclaims' },
};
const { pods } = resources;
const never = new AbortController().signal;
const events: Resource = { group: '', version: 'v1', plural: 'events' };

/** Starts one, with whatever `options` say otherwise. */
export async function startKubelet(options: Partial<KubeletOptions> = {}): Promise<KubeletRig> {
  const folder = mkdtempSync(join(tmpdir(), 'kubelet-'));
  const { clock = systemClock, log = silentLog } = options;
  const { client, memory, serveCore } = bareApi({ clock, log });
  const create = () =>
    createKubelet({
      client,
      clock,
      log,
      bind: createBinder(memory, clock),
      folder: join(folder, 'kubelet'),
      simulate: false,
      ...options,
    });
  let kubelet = create();
  serveCore(kubelet.podLog);
  client.create(resources.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } });
  client.create(resources.serviceAccounts, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default', namespace: 'default' },
    automountServiceAccountToken: false,
  });
  await kubelet.start();
  let ended: Promise<void> | undefined;

  function pod(name: string): KubeObject {
    const found = client.get(pods, 'default', name);
    if (found === undefined) throw new Error(`no pod ${name}`);
    return found;
  }

  function status(name: string): JsonObject {
    return pod(name).status as JsonObject; // every pod has one
  }

  return {
    client,
    folder,
    apply: (yaml) =>
      parseAllDocuments(yaml).map((document) => {
        const object = document.toJS() as NewObject;
        const resource = resourceOf[object.kind];
        if (resource === undefined) throw new Error(`${object.kind} of ${groupVersionOf(object.apiVersion).group}`);
        return client.create(resource, { ...object, metadata: { namespace: 'default', ...object.metadata } });
      }),
    pod,
    status,
    container(name, container) {
      const { initContainerStatuses, containerStatuses } = status(name);
      const all = [initContainerStatuses, containerStatuses].flatMap((list) => (list ?? []) as JsonObject[]);
      return all.find((one) => one.name === container) ?? {};
    },
    async log(name, query = '', signal = never) {
      const request = {
        caller: administrator,
        method: 'GET',
        query: new URLSearchParams(query),
        body: undefined,
        signal,
      };
      const answer = await kubelet.podLog.handle(request, pod(name));
      if (!('contentType' in answer)) throw new Error('a log is no object');
      const chunks: Buffer[] = [];
      for await (const chunk of answer.body ?? []) chunks.push(Buffer.from(chunk));
      return { code: answer.code, text: Buffer.concat(chunks).toString() };
    },
    events: (name) =>
      client
        .list(events)
        .filter(({ involvedObject }) => (involvedObject as JsonObject).name === name)
        .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
        .map(({ reason, message, count }) => `${reason}: ${message}${count === 1 ? '' : ` x${count}`}`),
    async restart() {
      await kubelet.stop(never);
      kubelet = create();
      await kubelet.start();
    },
    end: () =>
      (ended ??= kubelet.stop(never).then(() => {
        rmSync(folder, { recursive: true, force: true });
      })),
  };
}
