import type { KubeObject } from '../../object.ts';
import type { Cause } from '../../status.ts';
export function podCauses(_pod: KubeObject): Cause[] {
  return [];
}
