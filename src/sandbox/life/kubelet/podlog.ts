/**
 * `GET pods/<name>/log`: which container, which part of its log, and what is answered while there is none, in the words
 * of kube-apiserver 1.34 and its kubelet. https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#get-read-log-of-the-specified-pod
 */
import { Readable } from 'node:stream';
import type { Clock } from '../../../clock.ts';
import type { Subresource } from '../../api/kind.ts';
import { badRequest, type Cause, invalid } from '../../status.ts';
import { type LogSource, type LogWish, readLog } from './logread.ts';
import { type Pod, podOf } from './pod.ts';
import { parseTime } from './rfc3339.ts';

/** Where the log of a run of a container is. */
export interface ContainerLogs {
  /** Of the run with that id, `containerd://...`; undefined when nothing is left of it. */
  find(pod: Pod, container: string, containerId: string): LogSource | undefined;
}

/** The options of a request, as far as they can be judged without knowing the pod. */
interface LogOptions extends LogWish {
  readonly container: string;
  readonly previous: boolean;
}

/** What of a container's status says where its log is. */
interface StatusSlice {
  readonly name: string;
  readonly state?: StateSlice;
  readonly lastState?: StateSlice;
  readonly containerID?: string;
}

interface StateSlice {
  readonly waiting?: { readonly reason?: string };
  readonly running?: object;
  readonly terminated?: { readonly containerID?: string };
}

/** The subresource `pods/log`, to be mounted on pods. Answers 204 for a pod that runs nowhere yet. */
export function createPodLog(logs: ContainerLogs, clock: Clock): Subresource {
  return {
    kind: 'Pod',
    verbs: ['get'],
    handle({ query, signal }, object) {
      const pod = podOf(object);
      const options = parseOptions(query, pod.metadata.name, clock.now());
      const container = chooseContainer(pod, options.container);
      if (!pod.spec.nodeName) return { code: 204, contentType: 'text/plain', body: undefined };
      const containerId = runWithLog(pod, container, options.previous);
      const source = logs.find(pod, container, containerId);
      // The real kubelet has answered 200 before it looks for the file, so what is wrong is said in the body.
      const body =
        source === undefined
          ? Readable.from([Buffer.from(`unable to retrieve container logs for ${containerId}`)])
          : Readable.from(readLog(source, options, signal), { objectMode: false });
      body.on('error', () => {}); // the reader hears of it; a log that went away must not end the process
      return { code: 200, contentType: 'text/plain', body };
    },
  };
}

/** Reads the options in the order in which the server decodes them, so that the first mistake is the one it names. */
function parseOptions(query: URLSearchParams, pod: string, nowMs: number): LogOptions {
  const container = query.get('container') ?? '';
  const follow = flag(query, 'follow');
  const previous = flag(query, 'previous');
  const sinceSeconds = integer(query, 'sinceSeconds');
  const sinceTime = instant(query);
  const timestamps = flag(query, 'timestamps');
  const tailLines = integer(query, 'tailLines');
  const limitBytes = integer(query, 'limitBytes');
  const causes: Cause[] = [
    ...(tailLines !== undefined && tailLines < 0
      ? [wrong('tailLines', tailLines, 'must be greater than or equal to 0')]
      : []),
    ...(limitBytes !== undefined && limitBytes < 1 ? [wrong('limitBytes', limitBytes, 'must be greater than 0')] : []),
    ...(sinceSeconds !== undefined && sinceTime !== undefined
      ? [forbidden('[]', 'at most one of `sinceTime` or `sinceSeconds` may be specified')]
      : []),
    ...(sinceSeconds !== undefined && sinceTime === undefined && sinceSeconds < 1
      ? [wrong('sinceSeconds', sinceSeconds, 'must be greater than 0')]
      : []),
    // It takes the feature gate PodLogsQuerySplitStreams, which is off by default.
    ...(query.has('stream') ? [forbidden('stream', 'may not be specified')] : []),
  ];
  if (causes.length > 0) throw invalid({ group: '', kind: 'PodLogOptions' }, pod, causes);
  const sinceMs = sinceSeconds === undefined ? sinceTime?.ms : nowMs - sinceSeconds * 1_000;
  return {
    container,
    follow,
    previous,
    timestamps,
    since: sinceMs === undefined ? undefined : `${new Date(Math.max(0, sinceMs)).toISOString().slice(0, -1)}000000Z`,
    tailLines,
    limitBytes,
  };
}

/** `?follow`, `?follow=` and `?follow=yes` all say yes, only `0` and `false` say no. */
function flag(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  return value !== null && value !== '0' && value.toLowerCase() !== 'false';
}

function integer(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  if (!/^[-+]?\d+$/.test(text)) throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  const value = BigInt(text);
  if (BigInt.asIntN(64, value) !== value) {
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: value out of range`);
  }
  return Number(value);
}

/** The server hands the kubelet whole seconds; an empty value means no time at all, yet one was given. */
function instant(query: URLSearchParams): { readonly ms: number | undefined } | undefined {
  const text = query.get('sinceTime');
  if (text === null) return undefined;
  if (text === '' || text === 'null') return { ms: undefined };
  const parsed = parseTime(text);
  if ('error' in parsed) throw badRequest(parsed.error);
  return { ms: Math.floor(parsed.ms / 1_000) * 1_000 };
}

function wrong(field: string, value: number, sentence: string): Cause {
  return { reason: 'FieldValueInvalid', field, message: `Invalid value: ${value}: ${sentence}` };
}

function forbidden(field: string, sentence: string): Cause {
  return { reason: 'FieldValueForbidden', field, message: `Forbidden: ${sentence}` };
}

function chooseContainer({ metadata, spec }: Pod, asked: string): string {
  const names = [...(spec.initContainers ?? []), ...spec.containers].map(({ name }) => name);
  if (asked !== '') {
    if (names.includes(asked)) return asked;
    throw badRequest(`container ${asked} is not valid for pod ${metadata.name}`);
  }
  const [only, ...others] = spec.containers;
  if (only !== undefined && others.length === 0) return only.name;
  const choice = `choose one of: [${names.join(' ')}]`;
  throw badRequest(`a container name must be specified for pod ${metadata.name}, ${choice}`);
}

/** The id of the run whose log is meant; throws what the kubelet says when there is none. */
function runWithLog(pod: Pod, container: string, previous: boolean): string {
  const what = `container ${JSON.stringify(container)} in pod ${JSON.stringify(pod.metadata.name)}`;
  const status = statusesOf(pod).find(({ name }) => name === container);
  if (status === undefined) throw badRequest(`${what} is not available`);
  const { state = {}, lastState = {} } = status;
  const last = lastState.terminated;
  if (previous) {
    if (last?.containerID) return last.containerID;
    throw badRequest(`previous terminated ${what} not found`);
  }
  if (state.running !== undefined && status.containerID) return status.containerID;
  const ended = state.terminated ?? last;
  if (ended !== undefined) {
    const id = ended.containerID || last?.containerID;
    if (id) return id;
    throw badRequest(`${what} is terminated`);
  }
  if (state.waiting === undefined) throw badRequest(`${what} is waiting to start - no logs yet`);
  throw badRequest(`${what} is waiting to start: ${waitingFor(state.waiting.reason ?? '')}`);
}

function waitingFor(reason: string): string {
  if (reason === 'ErrImagePull') return "image can't be pulled";
  return reason === 'ImagePullBackOff' ? 'trying and failing to pull image' : reason;
}

function statusesOf({ status = {} }: Pod): StatusSlice[] {
  // Written by podStatus, or by whoever else may write the status of pods, checked against its schema.
  const lists = [status.containerStatuses, status.initContainerStatuses] as (StatusSlice[] | undefined)[];
  return lists.flatMap((list) => list ?? []);
}
