/** What can be wrong with a pod as a whole. Its volumes and containers have files of their own. */
import { isIP } from 'node:net';
import type { JsonObject, KubeObject } from '../../object.ts';
import type { Cause } from '../../status.ts';
import { duplicate, invalidValue, notAllowed, notSupported, required } from '../causes.ts';
import { dnsLabel, dnsSubdomain, formatted, labelValue, qualifiedName } from '../formats.ts';
import { isObject, numberIn, objectIn, objectsIn, textIn, textsIn } from '../reading.ts';
import { blankImageCauses, containerCauses, identityCauses, resourceCauses } from './containers.ts';
import { volumeCauses } from './volumes.ts';

/** Everything wrong with a new pod. */
export function newPodCauses(pod: KubeObject): Cause[] {
  const spec = objectIn(pod.spec);
  const causes = podCauses(pod);
  if (objectsIn(spec.ephemeralContainers).length > 0) {
    causes.push(notAllowed('spec.ephemeralContainers', 'cannot be set on create'));
  }
  if (textIn(spec.nodeName) !== '' && objectsIn(spec.schedulingGates).length > 0) {
    causes.push(notAllowed('spec.nodeName', 'cannot be set until all schedulingGates have been cleared'));
  }
  return causes;
}

/** Everything wrong with a pod, new or not. */
export function podCauses(pod: KubeObject): Cause[] {
  const spec = objectIn(pod.spec);
  return [
    ...volumeCauses(objectsIn(spec.volumes), pod.metadata.name),
    ...containerCauses(spec),
    ...(isObject(spec.resources) ? resourceCauses(spec.resources, 'spec.resources') : []),
    ...hostNetworkCauses(spec),
    ...choiceCauses(spec),
    ...placementCauses(spec),
    ...identityOf(objectIn(spec.securityContext)),
    ...dnsCauses(spec),
    ...gateCauses(spec),
    ...nameCauses(spec),
    ...tolerationCauses(objectsIn(spec.tolerations)),
    ...hostAliasCauses(objectsIn(spec.hostAliases)),
    ...blankImageCauses(objectsIn(spec.containers), 'spec.containers'),
    ...blankImageCauses(objectsIn(spec.initContainers), 'spec.initContainers'),
  ];
}

function hostNetworkCauses(spec: JsonObject): Cause[] {
  if (spec.hostNetwork !== true) return [];
  return objectsIn(spec.containers).flatMap(({ ports }, container) =>
    objectsIn(ports).flatMap(({ hostPort, containerPort }, place) => {
      if (numberIn(hostPort) === numberIn(containerPort)) return [];
      const field = `spec.containers[${container}].ports[${place}].hostPort`;
      return [invalidValue(field, numberIn(hostPort), 'must match `containerPort` when `hostNetwork` is true')];
    }),
  );
}

/** Fields that name one of a few things; the server lists them in an order of its own. */
function choiceCauses(spec: JsonObject): Cause[] {
  const choices: readonly (readonly [string, readonly string[]])[] = [
    ['restartPolicy', ['Always', 'OnFailure', 'Never']],
    ['dnsPolicy', ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None']],
  ];
  return choices.flatMap(([field, values]) => {
    const value = textIn(spec[field]);
    return values.includes(value) ? [] : [notSupported(`spec.${field}`, value, values)];
  });
}

function placementCauses({ nodeSelector, affinity, topologySpreadConstraints }: JsonObject): Cause[] {
  const causes: Cause[] = [];
  for (const [key, value] of Object.entries(objectIn(nodeSelector))) {
    causes.push(...formatted('spec.nodeSelector', key, qualifiedName));
    causes.push(...formatted('spec.nodeSelector', textIn(value), labelValue));
  }
  const wanted = objectIn(objectIn(affinity).nodeAffinity).requiredDuringSchedulingIgnoredDuringExecution;
  if (isObject(wanted) && objectsIn(wanted.nodeSelectorTerms).length === 0) {
    const field = 'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms';
    causes.push(required(field, 'must have at least one node selector term'));
  }
  for (const [place, constraint] of objectsIn(topologySpreadConstraints).entries()) {
    const at = `spec.topologySpreadConstraints[${place}]`;
    const skew = numberIn(constraint.maxSkew);
    if (skew <= 0) causes.push(invalidValue(`${at}.maxSkew`, skew, 'must be greater than zero'));
    if (textIn(constraint.topologyKey) === '') causes.push(required(`${at}.topologyKey`, 'can not be empty'));
    const actions = ['DoNotSchedule', 'ScheduleAnyway'];
    const action = textIn(constraint.whenUnsatisfiable);
    if (!actions.includes(action)) causes.push(notSupported(`${at}.whenUnsatisfiable`, action, actions));
  }
  return causes;
}

function identityOf({ runAsUser, runAsGroup, fsGroup }: JsonObject): Cause[] {
  return Object.entries({ fsGroup, runAsUser, runAsGroup }).flatMap(([field, value]) =>
    identityCauses(value, `spec.securityContext.${field}`),
  );
}

function dnsCauses({ dnsPolicy, dnsConfig }: JsonObject): Cause[] {
  const at = 'spec.dnsConfig';
  const servers = textsIn(objectIn(dnsConfig).nameservers);
  if (dnsPolicy === 'None') {
    if (!isObject(dnsConfig)) return [required(at, 'must provide `dnsConfig` when `dnsPolicy` is None')];
    if (servers.length === 0) {
      return [required(`${at}.nameservers`, 'must provide at least one DNS nameserver when `dnsPolicy` is None')];
    }
  }
  const wrong = servers.flatMap((server, place) => addressCauses(server, `${at}.nameservers[${place}]`));
  if (servers.length > 3)
    wrong.unshift(invalidValue(`${at}.nameservers`, servers, 'must not have more than 3 nameservers'));
  return wrong;
}

function gateCauses({ readinessGates, schedulingGates }: JsonObject): Cause[] {
  const causes = objectsIn(readinessGates).flatMap(({ conditionType }, place) =>
    formatted(`spec.readinessGates[${place}].conditionType`, textIn(conditionType), qualifiedName),
  );
  const seen = new Set<string>();
  for (const [place, { name }] of objectsIn(schedulingGates).entries()) {
    const own = textIn(name);
    causes.push(...formatted(`spec.schedulingGates[${place}]`, own, qualifiedName));
    if (seen.has(own)) causes.push(duplicate(`spec.schedulingGates[${place}]`, own));
    seen.add(own);
  }
  return causes;
}

function nameCauses(spec: JsonObject): Cause[] {
  const causes: Cause[] = [];
  for (const field of ['serviceAccountName', 'nodeName'] as const) {
    const name = textIn(spec[field]);
    if (name !== '') causes.push(...formatted(`spec.${field}`, name, dnsSubdomain));
  }
  const deadline = spec.activeDeadlineSeconds;
  if (typeof deadline === 'number' && (deadline < 1 || deadline > 2 ** 31 - 1)) {
    causes.push(invalidValue('spec.activeDeadlineSeconds', deadline, 'must be between 1 and 2147483647, inclusive'));
  }
  for (const field of ['hostname', 'subdomain'] as const) {
    const name = textIn(spec[field]);
    if (name !== '') causes.push(...formatted(`spec.${field}`, name, dnsLabel));
  }
  const system = spec.os;
  if (isObject(system)) {
    const name = textIn(system.name);
    if (name === '') causes.push(required('spec.os.name'));
    else if (!['linux', 'windows'].includes(name)) causes.push(notSupported('spec.os', name, ['linux', 'windows']));
  }
  return causes;
}

/** Everything wrong with `spec.tolerations`. */
export function tolerationCauses(tolerations: readonly JsonObject[]): Cause[] {
  return tolerations.flatMap(({ key, operator, value, effect, tolerationSeconds }, place) => {
    const at = `spec.tolerations[${place}]`;
    const [ownKey, own, ownValue, ownEffect] = [textIn(key), textIn(operator), textIn(value), textIn(effect)];
    const causes = ownKey === '' ? [] : formatted(`${at}.key`, ownKey, qualifiedName);
    if (ownKey === '' && own !== 'Exists') {
      const why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"';
      causes.push(invalidValue(`${at}.operator`, own, why));
    }
    if (tolerationSeconds !== undefined && ownEffect !== 'NoExecute') {
      const why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
      causes.push(invalidValue(`${at}.effect`, ownEffect, why));
    }
    if (own === 'Exists') {
      const why = "value must be empty when `operator` is 'Exists'";
      if (ownValue !== '') causes.push(invalidValue(`${at}.operator`, ownValue, why));
    } else if (own === 'Equal' || own === '') {
      const wrong = labelValue(ownValue);
      if (wrong.length > 0) causes.push(invalidValue(`${at}.operator`, ownValue, wrong.join(';')));
    } else {
      causes.push(notSupported(`${at}.operator`, own, ['Equal', 'Exists']));
    }
    const effects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];
    if (ownEffect !== '' && !effects.includes(ownEffect)) causes.push(notSupported(`${at}.effect`, ownEffect, effects));
    return causes;
  });
}

function hostAliasCauses(aliases: readonly JsonObject[]): Cause[] {
  return aliases.flatMap(({ ip, hostnames }, place) => [
    ...addressCauses(textIn(ip), `spec.hostAliases[${place}].ip`),
    ...textsIn(hostnames).flatMap((name, at) =>
      formatted(`spec.hostAliases[${place}].hostnames[${at}]`, name, dnsSubdomain),
    ),
  ]);
}

function addressCauses(address: string, at: string): Cause[] {
  const why = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';
  return isIP(address) === 0 ? [invalidValue(at, address, why)] : [];
}
