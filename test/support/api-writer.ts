/** The API in this process as controllers write to it. */
import type { JsonObject } from '../../src/kube/objects.ts';
import { type KubeWriter, WriteFault } from '../../src/kube/writer.ts';
import type { ApiClient, NewObject } from '../../src/sandbox/api/client.ts';
import type { KubeObject, Resource, JsonObject as SandboxObject } from '../../src/sandbox/object.ts';
import { StatusError } from '../../src/sandbox/status.ts';

/** A writer over `client`: paths in, and what the API refuses as the same Faults that come over a wire. */
export function apiWriter(client: ApiClient): KubeWriter {
  return {
    create: async (path, object) => {
      const { resource, namespace } = placeOf(path);
      const { metadata, ...rest } = object as NewObject; // the API says what is missing
      return said(() => client.create(resource, { ...rest, metadata: { namespace, ...metadata } } as NewObject));
    },
    patch: async (path, merge) => {
      const { resource, namespace, name, options } = placeOf(path);
      return said(() => client.patch(resource, namespace, name, structuredClone(merge) as SandboxObject, options));
    },
    replace: async (path, object) => {
      const { resource, options } = placeOf(path);
      return said(() => client.update(resource, object as KubeObject, options)); // the API says what is missing
    },
    remove: async (path, only) => {
      const { resource, namespace, name } = placeOf(path);
      said(() => {
        client.remove(resource, namespace, name, { ...only, propagation: 'Background' });
        return {};
      });
    },
  };
}

const PATH =
  /^(?:\/api|\/apis\/(?<group>[^/]+))\/(?<version>[^/]+)\/namespaces\/(?<namespace>[^/]+)\/(?<plural>[^/]+)(?:\/(?<name>[^/]+))?(?<status>\/status)?$/;

function placeOf(path: string) {
  const { group = '', version = '', namespace = '', plural = '', name = '', status } = PATH.exec(path)?.groups ?? {};
  const resource: Resource = { group, version, plural };
  return { resource, namespace, name, options: status === undefined ? {} : ({ subresource: 'status' } as const) };
}

function said(work: () => JsonObject): JsonObject {
  try {
    return structuredClone(work());
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    const { code: status, reason, message } = error;
    const code = status === 409 ? 'conflict' : status === 404 ? 'not-found' : status >= 500 ? 'unavailable' : 'refused';
    throw new WriteFault(code, `Kubernetes said ${status}`, { status, reason, said: message });
  }
}
