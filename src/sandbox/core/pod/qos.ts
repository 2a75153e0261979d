/** How much a pod is promised of its node: the class that decides who goes first when memory runs out. */
import type { JsonObject } from '../../object.ts';
import { isObject, objectIn, objectsIn } from '../reading.ts';

/** https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/ */
export type QosClass = 'BestEffort' | 'Burstable' | 'Guaranteed';

const counted = ['cpu', 'memory'];

/** The class of a pod's `spec`, whose quantities are in the server's spelling already. */
export function qosClassOf(spec: JsonObject): QosClass {
  const whole = spec.resources;
  const shares =
    isObject(whole) && (isObject(whole.limits) || isObject(whole.requests)) ? [{ resources: whole }] : undefined;
  const resources = (shares ?? [spec.initContainers, spec.containers].flatMap(objectsIn)).map((one) =>
    objectIn(one.resources),
  );
  const asks = resources.some(({ requests, limits }) =>
    [requests, limits].some((amounts) => counted.some((name) => isAmount(objectIn(amounts)[name]))),
  );
  if (!asks) return 'BestEffort';
  const guaranteed = resources.every(({ requests, limits }) =>
    counted.every((name) => {
      const limit = objectIn(limits)[name];
      return isAmount(limit) && (objectIn(requests)[name] ?? limit) === limit;
    }),
  );
  return guaranteed ? 'Guaranteed' : 'Burstable';
}

function isAmount(value: JsonObject[string]): boolean {
  return value !== undefined && value !== '0';
}
