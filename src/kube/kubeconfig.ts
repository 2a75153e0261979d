/**
 * The library's `KubeConfig` without the rest of the library. Identity is all we want of it, but its file brings along a
 * class for every kind and call of Kubernetes and an HTTP client for them: half a second and 60 MiB that nothing here uses.
 */
import { registerHooks } from 'node:module';
import type { KubeConfig } from '@kubernetes/client-node';

/** What takes the place of the imports that only serve `makeApiClient` and calls by fetch. */
const INSTEAD: Readonly<Record<string, string>> = {
  './gen/index.js': moduleOf('ServerConfiguration', 'createConfiguration'),
  undici: moduleOf('Agent', 'ProxyAgent'),
};

let loading: Promise<typeof KubeConfig> | undefined;

/**
 * The class: contexts, files, exec plugins and `applyToHTTPSOptions` are as the library has them; `makeApiClient` and
 * `applySecurityAuthentication` throw. A process that has loaded the whole library before gets the class from there.
 * Loaded at the first call.
 */
export function loadKubeConfig(): Promise<typeof KubeConfig> {
  loading ??= load();
  return loading;
}

async function load(): Promise<typeof KubeConfig> {
  const importer = import.meta.resolve('@kubernetes/client-node/dist/config.js');
  const hooks = registerHooks({
    resolve(specifier, context, nextResolve) {
      const url = context.parentURL === importer ? INSTEAD[specifier] : undefined;
      return url === undefined ? nextResolve(specifier, context) : { url, format: 'module', shortCircuit: true };
    },
  });
  try {
    return (await import('@kubernetes/client-node/dist/config.js')).KubeConfig;
  } finally {
    hooks.deregister();
  }
}

/** A module with classes of these names, none of which can be made. */
function moduleOf(...names: readonly string[]): string {
  const classes = names.map(
    (name) => `export class ${name} { constructor() { throw new Error('rungate does not load ${name}'); } }`,
  );
  return `data:text/javascript,${encodeURIComponent(classes.join('\n'))}`;
}
