/** Fields of a pod whose features are switched off, as they are in a cluster that nobody told otherwise: they are not kept. */
import type { JsonObject, KubeObject } from '../../object.ts';
import { isObject, objectIn, objectsIn, textIn } from '../reading.ts';
import { isSidecar } from './admission.ts';
import { containersOf } from './defaults.ts';

/** Drops them, in place. https://kubernetes.io/docs/reference/command-line-tools-reference/feature-gates/ */
export function dropSwitchedOff(pod: KubeObject): void {
  const spec = objectIn(pod.spec);
  delete spec.hostnameOverride;
  dropImageVolumes(spec);
  for (const volume of objectsIn(spec.volumes)) {
    for (const source of objectsIn(objectIn(volume.projected).sources)) {
      delete source.clusterTrustBundle;
      delete source.podCertificate;
    }
  }
  const initContainers = objectsIn(spec.initContainers);
  for (const container of containersOf(spec)) {
    delete container.restartPolicyRules;
    if (!(initContainers.includes(container) && isSidecar(container))) delete container.restartPolicy;
    if (isObject(container.lifecycle)) {
      delete container.lifecycle.stopSignal;
      if (Object.keys(container.lifecycle).length === 0) delete container.lifecycle;
    }
    for (const { valueFrom } of objectsIn(container.env)) delete objectIn(valueFrom).fileKeyRef;
  }
}

function dropImageVolumes(spec: JsonObject): void {
  const volumes = objectsIn(spec.volumes);
  const images = new Set(volumes.filter(({ image }) => isObject(image)).map(({ name }) => textIn(name)));
  if (images.size === 0) return;
  put(
    spec,
    'volumes',
    volumes.filter(({ name }) => !images.has(textIn(name))),
  );
  for (const container of containersOf(spec)) {
    put(
      container,
      'volumeMounts',
      objectsIn(container.volumeMounts).filter(({ name }) => !images.has(textIn(name))),
    );
  }
}

function put(object: JsonObject, field: string, items: JsonObject[]): void {
  if (items.length === 0) delete object[field];
  else object[field] = items;
}
