import type { KubeObject } from '../../object.ts';
import type { Cause } from '../../status.ts';
export function podUpdateCauses(_pod: KubeObject, _old: KubeObject): Cause[] {
  return [];
}
export function statusUpdateCauses(_pod: KubeObject, _old: KubeObject): Cause[] {
  return [];
}
