import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { JsonObject, KubeObject } from '../../object.ts';
import { podOf } from './pod.ts';
import { type ContainerRecord, fullImageName, type PodFacts, podStatus, type Terminated, untouched } from './status.ts';

type Recorded = { readonly [moment: string]: { readonly pods?: readonly KubeObject[] } };

interface StatusJson {
  readonly name: string;
  readonly restartCount: number;
  readonly imageID: string;
  readonly state: { readonly waiting?: JsonObject; readonly running?: JsonObject; readonly terminated?: JsonObject };
}

/** Pods as a real kubelet left or showed them, recorded on a cluster. */
const recordings = globSync('test/fixtures/tekton/*.json').flatMap((file) =>
  Object.entries(JSON.parse(readFileSync(file, 'utf8')) as Recorded).flatMap(([moment, { pods = [] }]) =>
    pods.map((pod) => ({ name: `${basename(file, '.json')}, ${moment}: ${pod.metadata.name}`, pod })),
  ),
);

function statusesOf(pod: KubeObject): StatusJson[] {
  const { initContainerStatuses, containerStatuses } = pod.status as JsonObject;
  return [initContainerStatuses, containerStatuses].flatMap((list) => (list ?? []) as unknown as StatusJson[]);
}

function terminatedOf(json: JsonObject): Terminated {
  const { exitCode, reason, message, startedAt, finishedAt, containerID = '' } = json as { [field: string]: string };
  return {
    exitCode: Number(exitCode),
    reason: String(reason),
    message,
    startedAtMs: Date.parse(String(startedAt)),
    finishedAtMs: Date.parse(String(finishedAt)),
    containerId: containerID,
  };
}

function recordOf({ state, restartCount, imageID, ...rest }: StatusJson): ContainerRecord {
  const { waiting, running, terminated } = state;
  const { containerID } = rest as { containerID?: string };
  const told = { last: undefined, restartCount, created: imageID !== '' };
  if (running) {
    const startedAtMs = Date.parse(String(running.startedAt));
    return { ...told, state: { at: 'running', startedAtMs, containerId: String(containerID) } };
  }
  if (terminated) return { ...told, state: { at: 'terminated', ...terminatedOf(terminated) } };
  return { ...told, state: { at: 'waiting', reason: String(waiting?.reason), message: waiting?.message as string } };
}

/** What the status depends on, read back from it. */
function factsOf(pod: KubeObject): PodFacts {
  const status = pod.status as JsonObject;
  const conditions = status.conditions as JsonObject[];
  return {
    records: new Map(statusesOf(pod).map((one) => [one.name, recordOf(one)])),
    startedAtMs: Date.parse(String(status.startTime)),
    nowMs: 0,
    podIP: String(status.podIP ?? ''),
    hostIP: String(status.hostIP),
    sandboxReady: conditions.some(({ type, status: is }) => type === 'PodReadyToStartContainers' && is === 'True'),
    ending: false,
  };
}

/** A hash that is the image's own. */
function withoutImageIds(status: JsonObject): JsonObject {
  return JSON.parse(
    JSON.stringify(status).replace(/"imageID":"sha256:[0-9a-f]*"/g, '"imageID":"sha256:"'),
  ) as JsonObject;
}

describe("a pod's status", () => {
  for (const { name, pod } of recordings) {
    const status = pod.status as JsonObject;
    if (status.startTime === undefined) continue; // never met a kubelet
    // The end comes in steps: for a moment all containers have ended, but the phase or the conditions do not say so yet.
    const ended = statusesOf(pod).every(({ state }) => state.terminated !== undefined);
    const saidSo = (status.conditions as JsonObject[]).some(({ reason }) =>
      /^Pod(?:Failed|Completed)$/.test(String(reason)),
    );
    if (ended && !(saidSo && /Failed|Succeeded/.test(String(status.phase)))) continue;
    it(`is what the kubelet makes of the same containers: ${name}`, () => {
      // The generation it has seen, which may lie behind the pod's.
      const seen = { ...pod, metadata: { ...pod.metadata, generation: status.observedGeneration as number } };
      assert.deepEqual(withoutImageIds(podStatus(podOf(seen), factsOf(pod))), withoutImageIds(status));
    });
  }

  const image = [
    ['busybox', 'docker.io/library/busybox:latest'],
    ['busybox:1', 'docker.io/library/busybox:1'],
    ['team/app:1', 'docker.io/team/app:1'],
    ['registry.example.com:5000/app', 'registry.example.com:5000/app:latest'],
    ['localhost/app:1', 'localhost/app:1'],
    ['app@sha256:0123', 'docker.io/library/app@sha256:0123'],
  ] as const;
  for (const [given, want] of image) {
    it(`names the image ${given} in full: ${want}`, () => assert.equal(fullImageName(given), want));
  }

  function pod(spec: JsonObject, status: JsonObject = {}) {
    const metadata = {
      name: 'p',
      uid: 'u',
      resourceVersion: '1',
      creationTimestamp: '2026-11-01T10:00:00Z',
      generation: 2,
    };
    return podOf({ apiVersion: 'v1', kind: 'Pod', metadata, spec, status });
  }

  const ended = (exitCode: number): ContainerRecord => ({
    state: { at: 'terminated', exitCode, reason: 'x', startedAtMs: 0, finishedAtMs: 0, containerId: 'c' },
    last: undefined,
    restartCount: 0,
    created: true,
  });
  const running: ContainerRecord = { ...ended(0), state: { at: 'running', startedAtMs: 0, containerId: 'c' } };
  const backing: ContainerRecord = {
    ...ended(3),
    last: terminatedOf({ exitCode: 3 }),
    state: { at: 'waiting', reason: 'CrashLoopBackOff' },
  };

  const phases: readonly {
    readonly policy: string;
    readonly records: readonly ContainerRecord[];
    readonly ending?: boolean;
    readonly want: string;
  }[] = [
    { policy: 'Never', records: [running, ended(1)], want: 'Running' },
    { policy: 'Never', records: [ended(0), ended(0)], want: 'Succeeded' },
    { policy: 'Never', records: [ended(0), ended(1)], want: 'Failed' },
    { policy: 'OnFailure', records: [ended(0), backing], want: 'Running' },
    { policy: 'OnFailure', records: [ended(0), ended(0)], want: 'Succeeded' },
    { policy: 'Always', records: [ended(0), backing], want: 'Running' },
    { policy: 'Always', records: [ended(0), ended(0)], ending: true, want: 'Succeeded' },
    { policy: 'Always', records: [ended(0), ended(143)], ending: true, want: 'Failed' },
    { policy: 'Always', records: [running], want: 'Pending' },
  ];
  for (const { policy, records, ending = false, want } of phases) {
    it(`${want}: ${records.map(({ state }) => state.at).join(' and ')}, restarted ${policy}${ending ? ', ending' : ''}`, () => {
      const given = pod({ restartPolicy: policy, containers: [{ name: 'a' }, { name: 'b' }] });
      const facts = { startedAtMs: 0, nowMs: 0, podIP: '', hostIP: '', sandboxReady: true, ending };
      const all = new Map(records.map((record, place) => [['a', 'b'][place] ?? '', record]));
      assert.equal(podStatus(given, { ...facts, records: all }).phase, want);
    });
  }

  it('keeps the time of a transition while nothing changes, and the conditions of others', () => {
    const before = { type: 'Initialized', status: 'True', lastTransitionTime: '2026-11-01T09:00:00Z' };
    const given = pod(
      { containers: [{ name: 'a' }] },
      { conditions: [before, { type: 'example.com/own', status: 'True' }] },
    );
    const facts = {
      records: new Map([['a', running]]),
      startedAtMs: 0,
      podIP: '',
      hostIP: '',
      sandboxReady: true,
      ending: false,
    };
    const conditions = podStatus(given, { ...facts, nowMs: Date.parse('2026-11-01T10:00:00Z') })
      .conditions as JsonObject[];
    const times = conditions.map(({ type, lastTransitionTime }) => [type, lastTransitionTime]);
    assert.deepEqual(times.slice(1, 3), [
      ['Initialized', '2026-11-01T09:00:00Z'],
      ['Ready', '2026-11-01T10:00:00Z'],
    ]);
    assert.deepEqual(conditions.at(-1), { type: 'example.com/own', status: 'True' });
  });

  it('shares 12 KiB of messages among the containers', () => {
    const record: ContainerRecord = {
      ...ended(0),
      state: {
        ...(ended(0).state as Extract<ContainerRecord['state'], { at: 'terminated' }>),
        message: 'x'.repeat(5_000),
      },
    };
    const containers = Array.from({ length: 4 }, (_, place) => ({ name: `c${place}` }));
    const facts = {
      records: new Map([['c0', record]]),
      startedAtMs: 0,
      nowMs: 0,
      podIP: '',
      hostIP: '',
      sandboxReady: true,
      ending: false,
    };
    const [first] = podStatus(pod({ containers }), facts).containerStatuses as JsonObject[];
    const { terminated } = (first as { state: { terminated: JsonObject } }).state;
    assert.equal(String(terminated.message).length, 3_072);
  });

  it('of a container that nothing was done for', () => {
    assert.deepEqual(untouched(pod({ containers: [] })).state, { at: 'waiting', reason: 'ContainerCreating' });
    assert.deepEqual(untouched(pod({ containers: [], initContainers: [{ name: 'i' }] })).state, {
      at: 'waiting',
      reason: 'PodInitializing',
    });
  });
});
