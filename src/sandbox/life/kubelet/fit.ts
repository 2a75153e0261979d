/** Is there room for a pod on the one node, and if not, what does the scheduler say? Pure. */
import { parseQuantity } from '../../core/quantity.ts';
import type { Pod, Resources } from './pod.ts';

/** What the node offers. */
export interface NodeOffer {
  readonly labels: { readonly [label: string]: string };
  /** Of `cpu`, `memory` and `pods`, quantities as an object has them. */
  readonly allocatable: { readonly [resource: string]: string };
}

/** What is already there and not ended, and which claims exist in the pod's namespace. */
export interface NodeUse {
  readonly pods: readonly Pod[];
  readonly claims: ReadonlySet<string>;
}

/**
 * The scheduler's sentence about a pod that finds no place; undefined when there is room. What is looked at: node
 * selectors, claims that do not exist, the number of pods, requested cpu and memory. Affinities, taints and topology are not.
 */
export function whyUnschedulable(pod: Pod, offer: NodeOffer, use: NodeUse): string | undefined {
  const missing = (pod.spec.volumes ?? [])
    .map(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName)
    .find((claim) => claim !== undefined && !use.claims.has(claim));
  if (missing !== undefined) return `0/1 nodes are available: persistentvolumeclaim "${missing}" not found. not found`;
  const selector = Object.entries(pod.spec.nodeSelector ?? {});
  if (selector.some(([label, value]) => offer.labels[label] !== value)) {
    return sentence("1 node(s) didn't match Pod's node affinity/selector", 'Preemption is not helpful for scheduling');
  }
  const used = use.pods.map(requestsOf);
  const wanted = requestsOf(pod);
  const shortages = [
    ...(use.pods.length >= amount(offer.allocatable.pods) ? ['1 Too many pods'] : []),
    ...(['cpu', 'memory'] as const)
      .filter((name) => {
        const free = amount(offer.allocatable[name]) - used.reduce((sum, one) => sum + one[name], 0);
        return wanted[name] > 0 && wanted[name] > free;
      })
      .map((name) => `1 Insufficient ${name}`),
  ];
  if (shortages.length === 0) return undefined;
  const hopeless = (['cpu', 'memory'] as const).some((name) => wanted[name] > amount(offer.allocatable[name]));
  return sentence(
    shortages.join(', '),
    hopeless ? 'Preemption is not helpful for scheduling' : 'No preemption victims found for incoming pod',
  );
}

/** What a pod asks for: of its containers together or its greediest init container, whichever is more. */
function requestsOf(pod: Pod): { readonly cpu: number; readonly memory: number } {
  const need = (name: string) => {
    const asked = ({ resources }: { readonly resources?: Resources }) => amount(resources?.requests?.[name]);
    const together = pod.spec.containers.reduce((sum, container) => sum + asked(container), 0);
    return Math.max(together, ...(pod.spec.initContainers ?? []).map(asked));
  };
  return { cpu: need('cpu'), memory: need('memory') };
}

function amount(quantity: string | number | undefined): number {
  return quantity === undefined ? 0 : Number(parseQuantity(quantity)?.nanos ?? 0n) / 1e9;
}

function sentence(why: string, preemption: string): string {
  const end = `no new claims to deallocate, preemption: 0/1 nodes are available: 1 ${preemption}.`;
  return `0/1 nodes are available: ${why}. ${end}`;
}
