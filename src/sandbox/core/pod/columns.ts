/** The columns of `kubectl get pods`. */
import type { Column } from '../../api/kind.ts';
import type { Json, JsonObject, KubeObject } from '../../object.ts';
import { age, ageColumn, column } from '../columns.ts';
import { isObject, numberIn, objectIn, objectsIn, textIn } from '../reading.ts';
import { isSidecar } from './admission.ts';

/** Ready, Status, Restarts and Age; with `-o wide` also where the pod is. */
export const podColumns: readonly Column[] = [
  column('Ready', 'Containers that are ready, of those the pod has', (pod) => {
    const { ready, total } = summary(pod);
    return `${ready}/${total}`;
  }),
  column('Status', 'What the pod is doing, or what keeps it from doing it', (pod) => summary(pod).status),
  column('Restarts', 'How often containers were started again', (pod, nowMs) => {
    const { restarts, lastRestart } = summary(pod);
    return restarts > 0 && lastRestart !== '' ? `${restarts} (${age(lastRestart, nowMs)} ago)` : `${restarts}`;
  }),
  ageColumn,
  wide('IP', 'The address of the pod', ({ status }) => textIn(objectsIn(objectIn(status).podIPs)[0]?.ip)),
  wide('Node', 'The node it runs on', ({ spec }) => textIn(objectIn(spec).nodeName)),
  wide('Nominated Node', 'The node that is being cleared for it', ({ status }) =>
    textIn(objectIn(status).nominatedNodeName),
  ),
  wide('Readiness Gates', 'Conditions of others that are true, of those it waits for', readinessGates),
];

/** What a row says of a pod that has ended. */
export function endOf({ status }: KubeObject): readonly JsonObject[] {
  const { phase } = objectIn(status);
  const ended = { type: 'Completed', status: 'True', reason: textIn(phase) };
  if (phase === 'Succeeded') return [{ ...ended, message: 'The pod has completed successfully.' }];
  return phase === 'Failed' ? [{ ...ended, message: 'The pod failed.' }] : [];
}

interface Summary {
  readonly ready: number;
  readonly total: number;
  readonly status: string;
  readonly restarts: number;
  /** When a container ended that was started again; '' if none did. */
  readonly lastRestart: string;
}

function summary({ metadata, spec: specification, status: reported }: KubeObject): Summary {
  const spec = objectIn(specification);
  const status = objectIn(reported);
  const conditions = objectsIn(status.conditions);
  const phase = textIn(status.phase);
  const initContainers = objectsIn(spec.initContainers);
  const sidecars = new Set(initContainers.filter(isSidecar).map(({ name }) => name));
  const initialization = initializationOf(objectsIn(status.initContainerStatuses), initContainers.length, sidecars);
  const initialized = isTrue(conditions, 'Initialized');
  let shown = textIn(status.reason) || phase;
  if (conditions.some(({ type, reason }) => type === 'PodScheduled' && reason === 'SchedulingGated')) {
    shown = 'SchedulingGated';
  }
  shown = initialization.status ?? shown;
  let { ready } = initialization;
  let restarted = initialization.all;
  if (initialization.status === undefined || initialized) {
    const run = runningOf(objectsIn(status.containerStatuses));
    shown = run.status ?? shown;
    // A pod of which one container has ended is still running while another one does.
    if (shown === 'Completed' && run.ready > 0) shown = isTrue(conditions, 'Ready') ? 'Running' : 'NotReady';
    ready += run.ready;
    restarted = [...initialization.sidecars, ...run.statuses];
  }
  if (metadata.deletionTimestamp !== undefined) {
    if (status.reason === 'NodeLost') shown = 'Unknown';
    else if (phase !== 'Succeeded' && phase !== 'Failed') shown = 'Terminating';
  }
  return {
    ready,
    total: objectsIn(spec.containers).length + sidecars.size,
    status: shown,
    restarts: restarted.reduce((sum, { restartCount }) => sum + numberIn(restartCount), 0),
    lastRestart: restarted
      .map(({ lastState }) => textIn(objectIn(objectIn(lastState).terminated).finishedAt))
      .reduce(later, ''),
  };
}

interface Initialization {
  /** What initialization waits for or failed with; undefined once it is over. */
  readonly status: string | undefined;
  readonly ready: number;
  /** The statuses that were looked at, up to the one that is not done. */
  readonly all: readonly JsonObject[];
  readonly sidecars: readonly JsonObject[];
}

function initializationOf(
  statuses: readonly JsonObject[],
  total: number,
  names: ReadonlySet<Json | undefined>,
): Initialization {
  let ready = 0;
  for (const [place, container] of statuses.entries()) {
    const { terminated, waiting } = objectIn(container.state);
    if (isObject(terminated) && numberIn(terminated.exitCode) === 0) continue;
    if (names.has(container.name) && container.started === true) {
      if (container.ready === true) ready += 1;
      continue;
    }
    const all = statuses.slice(0, place + 1);
    const reason = textIn(objectIn(waiting).reason);
    const status = isObject(terminated)
      ? ending(terminated)
      : reason !== '' && reason !== 'PodInitializing'
        ? reason
        : `${place}/${total}`;
    return { status: `Init:${status}`, ready, all, sidecars: all.filter(({ name }) => names.has(name)) };
  }
  return { status: undefined, ready, all: statuses, sidecars: statuses.filter(({ name }) => names.has(name)) };
}

/** What the first container says that has something to say; the server reads them from the last to the first. */
function runningOf(statuses: readonly JsonObject[]): {
  readonly status: string | undefined;
  readonly ready: number;
  readonly statuses: readonly JsonObject[];
} {
  let ready = 0;
  let status: string | undefined;
  for (const container of statuses.toReversed()) {
    const { terminated, waiting, running } = objectIn(container.state);
    const reason = textIn(objectIn(waiting).reason);
    if (reason !== '') status = reason;
    else if (isObject(terminated)) status = ending(terminated);
    else if (container.ready === true && isObject(running)) ready += 1;
  }
  return { status, ready, statuses };
}

function ending(terminated: JsonObject): string {
  const reason = textIn(terminated.reason);
  if (reason !== '') return reason;
  const signal = numberIn(terminated.signal);
  return signal === 0 ? `ExitCode:${numberIn(terminated.exitCode)}` : `Signal:${signal}`;
}

function readinessGates({ spec, status }: KubeObject): string {
  const gates = objectsIn(objectIn(spec).readinessGates);
  const conditions = objectsIn(objectIn(status).conditions);
  const open = gates.filter(({ conditionType }) => isTrue(conditions, textIn(conditionType)));
  return gates.length === 0 ? '' : `${open.length}/${gates.length}`;
}

function isTrue(conditions: readonly JsonObject[], type: string): boolean {
  return conditions.find((condition) => condition.type === type)?.status === 'True';
}

function later(one: string, other: string): string {
  return other !== '' && (one === '' || Date.parse(other) > Date.parse(one)) ? other : one;
}

function wide(name: string, description: string, cell: (pod: KubeObject) => string): Column {
  return column(name, description, (pod) => cell(pod) || '<none>', { wide: true });
}
