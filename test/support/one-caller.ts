/** The one caller of a gateway whose callers are not what a test is about. */
import type { Caller, Callers } from '../../src/gateway/callers/callers.ts';

/** A caller of this name and password. */
export function oneCaller(
  username: string,
  password: string,
  namespaces: Caller['namespaces'] = 'all served',
): Callers {
  const caller: Caller = { name: username, namespaces };
  return {
    find: async (name, secret) => (name === username && secret === password ? caller : undefined),
    named: (name) => (name === username ? caller : undefined),
  };
}
