/** What may become of a pod that is there. https://kubernetes.io/docs/concepts/workloads/pods/#pod-update-and-replacement */
import { isDeepStrictEqual } from 'node:util';
import type { Json, JsonObject, KubeObject } from '../../object.ts';
import type { Cause } from '../../status.ts';
import { immutable, invalidValue, notAllowed, required } from '../causes.ts';
import { difference } from '../difference.ts';
import { formatted, qualifiedName } from '../formats.ts';
import { isObject, numberIn, objectIn, objectsIn, textIn } from '../reading.ts';
import { isSidecar } from './admission.ts';
import { blankImageCauses } from './containers.ts';
import { podCauses, tolerationCauses } from './validate.ts';

const changeable = [
  '`spec.containers[*].image`',
  '`spec.initContainers[*].image`',
  '`spec.activeDeadlineSeconds`',
  '`spec.tolerations` (only additions to existing tolerations)',
  '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
].join(',');

/** Everything wrong with a pod that replaces `old`. */
export function podUpdateCauses(pod: KubeObject, old: KubeObject): Cause[] {
  const [spec, oldSpec] = [objectIn(pod.spec), objectIn(old.spec)];
  const causes = podCauses(pod);
  for (const field of ['containers', 'initContainers']) {
    if (objectsIn(spec[field]).length !== objectsIn(oldSpec[field]).length) {
      return [...causes, notAllowed(`spec.${field}`, 'pod updates may not add or remove containers')];
    }
    causes.push(...imageUpdateCauses(objectsIn(spec[field]), `spec.${field}`));
  }
  const { causes: deadline, ends } = deadlineCauses(spec.activeDeadlineSeconds, oldSpec.activeDeadlineSeconds);
  causes.push(...deadline);
  if (ends) return causes;
  causes.push(...tolerationUpdateCauses(objectsIn(spec.tolerations), objectsIn(oldSpec.tolerations)));
  causes.push(...gateUpdateCauses(objectsIn(spec.schedulingGates), objectsIn(oldSpec.schedulingGates)));
  const rest = withoutChangeable(spec, oldSpec);
  if (!isDeepStrictEqual(rest, oldSpec)) {
    const why = `pod updates may not change fields other than ${changeable}\n${difference(oldSpec, rest)}`;
    causes.push(notAllowed('spec', why));
  }
  return causes;
}

/** An update is asked once more for what every pod is asked for; the server does not mind saying it twice. */
function imageUpdateCauses(containers: readonly JsonObject[], at: string): Cause[] {
  const missing = [...containers.entries()].filter(([, { image }]) => textIn(image) === '');
  return [...missing.map(([place]) => required(`${at}[${place}].image`)), ...blankImageCauses(containers, at)];
}

/** Everything wrong with a status that replaces that of `old`. */
export function statusUpdateCauses(pod: KubeObject, old: KubeObject): Cause[] {
  const [status, oldStatus] = [objectIn(pod.status), objectIn(old.status)];
  const causes: Cause[] = [];
  const system = ['PodScheduled', 'Ready', 'Initialized'];
  for (const [place, { type }] of objectsIn(status.conditions).entries()) {
    if (system.includes(textIn(type))) continue;
    causes.push(...formatted(`status.conditions[${place}].Type`, textIn(type), qualifiedName));
  }
  if (status.qosClass !== oldStatus.qosClass) causes.push(immutable('status.qosClass', textIn(status.qosClass)));
  const spec = objectIn(old.spec);
  for (const [field, containers] of [
    ['containerStatuses', objectsIn(spec.containers)],
    ['initContainerStatuses', objectsIn(spec.initContainers)],
  ] as const) {
    causes.push(...resurrectionCauses(objectsIn(status[field]), objectsIn(oldStatus[field]), field, containers, spec));
  }
  return causes;
}

/** A container that has ended and is not to be started again stays as it is. */
function resurrectionCauses(
  statuses: readonly JsonObject[],
  old: readonly JsonObject[],
  field: string,
  containers: readonly JsonObject[],
  { restartPolicy }: JsonObject,
): Cause[] {
  return old.flatMap(({ name, state }, place) => {
    const { terminated } = objectIn(state);
    if (!isObject(terminated)) return [];
    const container = containers.find((one) => one.name === name);
    const policy = textIn(container?.restartPolicy) || textIn(restartPolicy);
    if (isSidecar(container) || policy === 'Always') return [];
    if (policy === 'OnFailure' && numberIn(terminated.exitCode) !== 0) return [];
    const now = statuses.find((one) => one.name === name);
    if (now === undefined || isObject(objectIn(now.state).terminated)) return [];
    return [notAllowed(`status.${field}[${place}].state`, 'may not be transitioned to non-terminated state')];
  });
}

/** A deadline may come, or come nearer; a wrong one ends all further checks. */
function deadlineCauses(deadline: Json | undefined, old: Json | undefined): { causes: Cause[]; ends: boolean } {
  const field = 'spec.activeDeadlineSeconds';
  if (typeof deadline !== 'number') {
    const why = 'must not update from a positive integer to nil value';
    return { causes: typeof old === 'number' ? [invalidValue(field, null, why)] : [], ends: false };
  }
  if (deadline < 0 || deadline > 2 ** 31 - 1) {
    return { causes: [invalidValue(field, deadline, 'must be between 0 and 2147483647, inclusive')], ends: true };
  }
  if (typeof old === 'number' && old < deadline) {
    return { causes: [invalidValue(field, deadline, 'must be less than or equal to previous value')], ends: true };
  }
  return { causes: [], ends: false };
}

function tolerationUpdateCauses(tolerations: readonly JsonObject[], old: readonly JsonObject[]): Cause[] {
  const timeless = ({ tolerationSeconds, ...rest }: JsonObject) => rest;
  const kept = old.every((one) => tolerations.some((other) => isDeepStrictEqual(timeless(one), timeless(other))));
  if (kept) return tolerationCauses(tolerations);
  return [notAllowed('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds')];
}

function gateUpdateCauses(gates: readonly JsonObject[], old: readonly JsonObject[]): Cause[] {
  return gates.flatMap(({ name }, place) => {
    if (old.some((gate) => gate.name === name)) return [];
    const why = `only deletion is allowed, but found new scheduling gate '${textIn(name)}'`;
    return [notAllowed(`spec.schedulingGates[${place}].name`, why)];
  });
}

/** `spec` with everything that may change taken from `old`. */
function withoutChangeable(spec: JsonObject, old: JsonObject): JsonObject {
  const rest = { ...spec };
  for (const field of ['containers', 'initContainers']) {
    const former = objectsIn(old[field]);
    if (rest[field] === undefined) continue;
    rest[field] = objectsIn(spec[field]).map((one, place) => ({ ...one, image: former[place]?.image }));
  }
  for (const field of ['activeDeadlineSeconds', 'schedulingGates', 'tolerations']) {
    if (old[field] === undefined) delete rest[field];
    else rest[field] = old[field];
  }
  if (numberIn(old.terminationGracePeriodSeconds) < 0 && spec.terminationGracePeriodSeconds === 1) {
    rest.terminationGracePeriodSeconds = old.terminationGracePeriodSeconds;
  }
  // Pods that wait at a gate may still be told where to go.
  if (objectsIn(old.schedulingGates).length > 0) {
    rest.nodeSelector = old.nodeSelector;
    rest.affinity = old.affinity;
    for (const field of ['nodeSelector', 'affinity']) if (rest[field] === undefined) delete rest[field];
  }
  return rest;
}
