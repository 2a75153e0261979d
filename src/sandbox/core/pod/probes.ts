/** What can be wrong with the probes of a container, and with the hooks around its life. */
import type { Json, JsonObject } from '../../object.ts';
import type { Cause } from '../../status.ts';
import { invalidValue, notAllowed, notSupported, required } from '../causes.ts';
import { formatted, portName, portNumber } from '../formats.ts';
import { isObject, numberIn, objectIn, textIn, textsIn } from '../reading.ts';

/** Everything wrong with the hooks and probes of a container that runs beside others; a pod that ends waits `graceSeconds`. */
export function watchCauses(container: JsonObject, at: string, graceSeconds: number): Cause[] {
  const { lifecycle, livenessProbe, readinessProbe, startupProbe } = container;
  const causes: Cause[] = [];
  for (const hook of ['postStart', 'preStop']) {
    const handler = objectIn(lifecycle)[hook];
    if (isObject(handler)) causes.push(...handlerCauses(handler, `${at}.lifecycle.${hook}`, graceSeconds));
  }
  for (const [field, probe] of Object.entries({ livenessProbe, readinessProbe, startupProbe })) {
    if (isObject(probe)) causes.push(...probeCauses(probe, `${at}.${field}`, field === 'readinessProbe', graceSeconds));
  }
  return causes;
}

/** Nobody looks after a container that only prepares the way. */
export function unwatchedCauses(container: JsonObject, at: string): Cause[] {
  const why = 'may not be set for init containers without restartPolicy=Always';
  const set = ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'].filter((field) =>
    isObject(container[field]),
  );
  return set.map((field) => notAllowed(`${at}.${field}`, why));
}

function probeCauses(probe: JsonObject, at: string, readiness: boolean, graceSeconds: number): Cause[] {
  const causes = handlerCauses(probe, at, graceSeconds);
  for (const field of [
    'initialDelaySeconds',
    'timeoutSeconds',
    'periodSeconds',
    'successThreshold',
    'failureThreshold',
  ]) {
    const value = numberIn(probe[field]);
    if (value < 0) causes.push(invalidValue(`${at}.${field}`, value, 'must be greater than or equal to 0'));
  }
  const own = probe.terminationGracePeriodSeconds;
  const field = `${at}.terminationGracePeriodSeconds`;
  if (typeof own === 'number' && own <= 0) causes.push(invalidValue(field, own, 'must be greater than 0'));
  if (readiness) {
    if (own !== undefined) causes.push(invalidValue(field, own, 'must not be set for readinessProbes'));
  } else if (probe.successThreshold !== 1) {
    causes.push(invalidValue(`${at}.successThreshold`, numberIn(probe.successThreshold), 'must be 1'));
  }
  return causes;
}

function handlerCauses(handler: JsonObject, at: string, graceSeconds: number): Cause[] {
  const present = ['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'].filter((type) => isObject(handler[type]));
  const [first, ...more] = present;
  if (first === undefined) return [required(at, 'must specify a handler type')];
  return [
    ...actionCauses(first, objectIn(handler[first]), `${at}.${first}`, graceSeconds),
    ...more.map((type) => notAllowed(`${at}.${type}`, 'may not specify more than 1 handler type')),
  ];
}

function actionCauses(type: string, action: JsonObject, at: string, graceSeconds: number): Cause[] {
  switch (type) {
    case 'exec':
      return textsIn(action.command).length === 0 ? [required(`${at}.command`)] : [];
    case 'httpGet':
      return [
        ...(textIn(action.path) === '' ? [required(`${at}.path`)] : []),
        ...namedPortCauses(action.port, `${at}.port`),
        ...(['HTTP', 'HTTPS'].includes(textIn(action.scheme))
          ? []
          : [notSupported(`${at}.scheme`, textIn(action.scheme), ['HTTP', 'HTTPS'])]),
      ];
    case 'sleep': {
      const seconds = numberIn(action.seconds);
      if (seconds >= 0 && seconds <= graceSeconds) return [];
      const why = `must be non-negative and less than terminationGracePeriodSeconds (${graceSeconds})`;
      return [invalidValue(at, seconds, why)];
    }
    default:
      return namedPortCauses(action.port, `${at}.port`);
  }
}

function namedPortCauses(port: Json | undefined, at: string): Cause[] {
  return typeof port === 'string' ? formatted(at, port, portName) : portNumber(at, port);
}
