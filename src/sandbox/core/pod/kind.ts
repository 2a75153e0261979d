/** Pods. https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/ */
import { isDeepStrictEqual } from 'node:util';
import type { ApiClient } from '../../api/client.ts';
import type { Kind, Subresource } from '../../api/kind.ts';
import type { JsonObject, KubeObject } from '../../object.ts';
import { builtin } from '../builtin.ts';
import { holdToQuotas } from '../quota.ts';
import { numberIn, objectIn, objectsIn, textIn } from '../reading.ts';
import { podSpec } from '../shapes/podspec.ts';
import { podStatus } from '../shapes/podstatus.ts';
import { always } from '../typed.ts';
import { admitPod, tolerateSilentNodes } from './admission.ts';
import { endOf, podColumns } from './columns.ts';
import { fillInPod } from './defaults.ts';
import { dropSwitchedOff } from './features.ts';
import { qosClassOf } from './qos.ts';
import { podUpdateCauses, statusUpdateCauses } from './update.ts';
import { newPodCauses } from './validate.ts';

/** `pods`; `log` is what answers `pods/log`. Admission looks service accounts and quotas up with `reader`. */
export function podKind(parts: {
  readonly log: Subresource | undefined;
  readonly reader: Pick<ApiClient, 'get' | 'list'>;
}): Kind {
  return builtin({
    group: '',
    version: 'v1',
    kind: 'Pod',
    plural: 'pods',
    shortNames: ['po'],
    categories: ['all'],
    namespaced: true,
    deletesAnswerObject: true,
    fields: { spec: always(podSpec), status: always(podStatus) },
    defaults: fillInPod,
    statusSubresource: true,
    subresources: parts.log === undefined ? {} : { log: parts.log },
    columns: podColumns,
    rowConditions: endOf,
    strategy: {
      prepareForCreate(pod) {
        dropSwitchedOff(pod);
        const spec = objectIn(pod.spec);
        if (numberIn(spec.terminationGracePeriodSeconds) < 0) spec.terminationGracePeriodSeconds = 1;
        const gated = objectsIn(spec.schedulingGates).length > 0;
        pod.status = {
          phase: 'Pending',
          qosClass: qosClassOf(spec),
          ...(gated ? { conditions: [gatedCondition()] } : {}),
        };
      },
      prepareForUpdate(pod, old) {
        dropSwitchedOff(pod);
        if (old.status !== undefined) pod.status = structuredClone(old.status);
      },
      prepareForStatusUpdate(pod, old) {
        if (old.spec !== undefined) pod.spec = structuredClone(old.spec);
        // A client that never knew of the class does not take it away.
        const status = objectIn(pod.status);
        status.qosClass ??= objectIn(old.status).qosClass;
        pod.status = status;
      },
      generationMoves: (pod, old) => !isDeepStrictEqual(pod.spec, old.spec),
      mutate(pod, old) {
        if (old === undefined) admitPod(pod, parts.reader);
        else tolerateSilentNodes(objectIn(pod.spec));
      },
      validate(pod, old, subresource) {
        if (old === undefined) return newPodCauses(pod);
        return subresource === 'status' ? statusUpdateCauses(pod, old) : podUpdateCauses(pod, old);
      },
      admit(pod, old) {
        if (old === undefined) holdToQuotas(pod, parts.reader);
      },
      gracePeriodSeconds: gracePeriodOf,
      fields: selectableFields,
    },
  });
}

function gatedCondition(): JsonObject {
  return {
    type: 'PodScheduled',
    status: 'False',
    reason: 'SchedulingGated',
    message: 'Scheduling is blocked due to non-empty scheduling gates',
    lastProbeTime: null,
    lastTransitionTime: null,
  };
}

/** Nobody waits for a pod that runs nowhere, or that has ended. */
function gracePeriodOf({ spec: specification, status }: KubeObject): number {
  const spec = objectIn(specification);
  const phase = textIn(objectIn(status).phase);
  if (textIn(spec.nodeName) === '' || phase === 'Succeeded' || phase === 'Failed') return 0;
  const seconds = numberIn(spec.terminationGracePeriodSeconds);
  return seconds < 0 ? 1 : seconds;
}

function selectableFields({ spec: specification, status: reported }: KubeObject): { readonly [path: string]: string } {
  const spec = objectIn(specification);
  const status = objectIn(reported);
  return {
    'spec.nodeName': textIn(spec.nodeName),
    'spec.restartPolicy': textIn(spec.restartPolicy),
    'spec.schedulerName': textIn(spec.schedulerName),
    'spec.serviceAccountName': textIn(spec.serviceAccountName),
    'spec.hostNetwork': String(spec.hostNetwork === true),
    'status.phase': textIn(status.phase),
    'status.podIP': textIn(objectsIn(status.podIPs)[0]?.ip),
    'status.nominatedNodeName': textIn(status.nominatedNodeName),
  };
}
