/** Where a pod may run: `affinity`, `tolerations`, `topologySpreadConstraints`. */
import { int32, int64, list, text } from '../../schema/node.ts';
import { always, optional, struct } from '../typed.ts';
import { labelSelector } from './meta.ts';

const nodeSelectorRequirement = struct(
  'NodeSelectorRequirement',
  { key: always(text()), operator: always(text()), values: list(text()) },
  { required: ['key', 'operator'] },
);

const nodeSelectorTerm = struct(
  'NodeSelectorTerm',
  { matchExpressions: list(nodeSelectorRequirement), matchFields: list(nodeSelectorRequirement) },
  { 'x-kubernetes-map-type': 'atomic' },
);

const preferredSchedulingTerm = struct(
  'PreferredSchedulingTerm',
  { preference: always(nodeSelectorTerm), weight: always(int32()) },
  { required: ['weight', 'preference'] },
);

const nodeSelector = struct(
  'NodeSelector',
  { nodeSelectorTerms: always(list(nodeSelectorTerm)) },
  { required: ['nodeSelectorTerms'], 'x-kubernetes-map-type': 'atomic' },
);

const nodeAffinity = struct('NodeAffinity', {
  preferredDuringSchedulingIgnoredDuringExecution: list(preferredSchedulingTerm),
  requiredDuringSchedulingIgnoredDuringExecution: nodeSelector,
});

const podAffinityTerm = struct(
  'PodAffinityTerm',
  {
    labelSelector,
    matchLabelKeys: list(text()),
    mismatchLabelKeys: list(text()),
    namespaceSelector: labelSelector,
    namespaces: list(text()),
    topologyKey: always(text()),
  },
  { required: ['topologyKey'] },
);

const weightedPodAffinityTerm = struct(
  'WeightedPodAffinityTerm',
  { podAffinityTerm: always(podAffinityTerm), weight: always(int32()) },
  { required: ['weight', 'podAffinityTerm'] },
);

const podAffinity = struct('PodAffinity', {
  preferredDuringSchedulingIgnoredDuringExecution: list(weightedPodAffinityTerm),
  requiredDuringSchedulingIgnoredDuringExecution: list(podAffinityTerm),
});

const podAntiAffinity = struct('PodAntiAffinity', {
  preferredDuringSchedulingIgnoredDuringExecution: list(weightedPodAffinityTerm),
  requiredDuringSchedulingIgnoredDuringExecution: list(podAffinityTerm),
});

/** Which nodes and neighbours a pod likes. */
export const affinity = struct('Affinity', { nodeAffinity, podAffinity, podAntiAffinity });

/** A taint that a pod puts up with. */
export const toleration = struct('Toleration', {
  effect: text(),
  key: text(),
  operator: text(),
  tolerationSeconds: optional(int64()),
  value: text(),
});

/** How evenly pods are to be spread. */
export const topologySpreadConstraint = struct(
  'TopologySpreadConstraint',
  {
    labelSelector,
    matchLabelKeys: list(text()),
    maxSkew: always(int32()),
    minDomains: optional(int32()),
    nodeAffinityPolicy: optional(text()),
    nodeTaintsPolicy: optional(text()),
    topologyKey: always(text()),
    whenUnsatisfiable: always(text()),
  },
  { required: ['maxSkew', 'topologyKey', 'whenUnsatisfiable'] },
);
