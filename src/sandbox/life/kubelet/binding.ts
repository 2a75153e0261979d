/** Giving pods their node. */
import type { Clock } from '../../../clock.ts';
import type { Memory } from '../../api/memory.ts';
import type { JsonObject } from '../../object.ts';
import { podOf } from './pod.ts';
import { conditionJson } from './status.ts';

/** Gives a pod its node; nothing happens when the pod is gone. */
export type BindPod = (namespace: string, name: string, nodeName: string) => void;

/**
 * Binds as `pods/binding` does: past the rules for updates, which let nobody change the node, and without a new
 * generation. https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/binding-v1/
 */
export function createBinder(memory: Pick<Memory, 'collection'>, clock: Clock): BindPod {
  return (namespace, name, nodeName) => {
    const pods = memory.collection('', 'pods');
    const pod = pods.get(namespace, name);
    if (pod === undefined) return;
    const scheduled = conditionJson(podOf(pod), { type: 'PodScheduled', status: 'True' }, clock.now());
    pods.put({
      ...pod,
      // Both are there in every pod that has been stored.
      spec: { ...(pod.spec as JsonObject), nodeName },
      status: { ...(pod.status as JsonObject), conditions: [scheduled] },
    });
  };
}
