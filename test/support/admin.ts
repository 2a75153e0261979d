/** The cluster's administrator, for tests: makes, changes and reads objects, and reads logs, past rungate and past any fault proxy. */
import { readFileSync } from 'node:fs';
import https from 'node:https';
import { KubeConfig } from '@kubernetes/client-node';
import { parseAllDocuments } from 'yaml';

/** An object as it is applied or read. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name?: string;
    readonly generateName?: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly { readonly kind: string; readonly name: string; readonly uid: string }[];
  };
  // What else a kind has is the test's business.
  readonly [field: string]: unknown;
}

/** What the API server answered. */
export interface AdminAnswer {
  readonly status: number;
  readonly body: Buffer;
}

/** Speaks to one API server with the rights of its kubeconfig. Every method throws `AdminError` on an answer of 400 and above. */
export interface Admin {
  /** `https://host:port` of the API server. */
  readonly server: string;
  /** PEM of the authority that vouches for it. */
  readonly authority: string;
  /** The kubeconfig it reads, for `kubectl --kubeconfig`. */
  readonly kubeconfig: string;
  get<T = Manifest>(path: string): Promise<T>;
  /** The answer as it came, whatever its status: for logs. */
  bytes(path: string): Promise<AdminAnswer>;
  /** POSTs JSON. */
  post<T = Manifest>(path: string, body: unknown): Promise<T>;
  /** A merge patch. */
  patch<T = Manifest>(path: string, body: unknown): Promise<T>;
  /** Deletes; what is not there is deleted already. */
  remove(path: string): Promise<void>;
  /** Creates an object; its name may be left to `generateName`. */
  create(object: Manifest): Promise<Manifest>;
  /** Server-side apply: creates the object or makes it so. */
  apply(object: Manifest): Promise<Manifest>;
  /** Where an object of this kind lives. */
  pathOf(object: Manifest): Promise<string>;
}

/** An answer that says no. */
export class AdminError extends Error {
  readonly status: number;

  constructor(method: string, path: string, { status, body }: AdminAnswer) {
    super(`${method} ${path}: ${status} ${body.toString().slice(0, 500)}`);
    this.status = status;
  }
}

/** The server closed a connection in the moment in which it was used again. https://nodejs.org/api/http.html#requestreusedsocket */
class KeptSocketClosed extends Error {}

/** The objects in a YAML text of one or more documents. */
export function manifestsIn(yaml: string): Manifest[] {
  return parseAllDocuments(yaml)
    .map((document) => {
      const [error] = document.errors;
      if (error) throw error;
      return document.toJS() as Manifest | null;
    })
    .filter((object) => object !== null);
}

/** The administrator that a kubeconfig describes. */
export async function openAdmin(kubeconfig: string): Promise<Admin> {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const cluster = config.getCurrentCluster();
  if (!cluster) throw new Error(`${kubeconfig} has no current cluster`);
  const agent = new https.Agent({ keepAlive: true, maxSockets: 16 });
  const identity: https.RequestOptions = {};
  await config.applyToHTTPSOptions(identity);
  const kinds = new Map<string, Promise<readonly Resource[]>>();

  /** Once more where the server closed a connection that was kept for this, and nothing can have come of it that asking again would double. */
  function send(method: string, path: string, body?: unknown, type = 'application/json'): Promise<AdminAnswer> {
    return sendOnce(method, path, body, type).catch((error: unknown) => {
      if (error instanceof KeptSocketClosed && method !== 'POST') return sendOnce(method, path, body, type);
      throw error;
    });
  }

  function sendOnce(method: string, path: string, body: unknown, type: string): Promise<AdminAnswer> {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const call = https.request(cluster?.server + path, {
        ...identity,
        agent,
        method,
        headers: {
          ...identity.headers,
          ...(payload ? { 'Content-Type': type, 'Content-Length': Buffer.byteLength(payload) } : {}),
        },
      });
      call.on('error', (error: NodeJS.ErrnoException) => {
        const isKeptSocketClosed = call.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
        reject(isKeptSocketClosed ? new KeptSocketClosed(error.message, { cause: error }) : error);
      });
      call.on('response', (answered) => {
        answered
          .toArray()
          .then(
            (pieces: Buffer[]) => resolve({ status: answered.statusCode ?? 0, body: Buffer.concat(pieces) }),
            reject,
          );
      });
      call.end(payload);
    });
  }

  async function json<T>(method: string, path: string, body?: unknown, type?: string): Promise<T> {
    const answer = await send(method, path, body, type);
    if (answer.status >= 400) throw new AdminError(method, path, answer);
    return JSON.parse(answer.body.toString()) as T;
  }

  async function collectionOf({ apiVersion, kind, metadata }: Manifest): Promise<string> {
    const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const known =
      kinds.get(group) ?? json<{ resources: readonly Resource[] }>('GET', group).then(({ resources }) => resources);
    kinds.set(group, known);
    const resource = (await known).find((each) => each.kind === kind && !each.name.includes('/'));
    if (!resource) throw new Error(`the cluster has no ${kind} in ${apiVersion}`);
    return resource.namespaced
      ? `${group}/namespaces/${metadata.namespace ?? 'default'}/${resource.name}`
      : `${group}/${resource.name}`;
  }

  const pathOf = async (object: Manifest) => `${await collectionOf(object)}/${object.metadata.name}`;
  return {
    server: cluster.server,
    authority: cluster.caData
      ? Buffer.from(cluster.caData, 'base64').toString()
      : readFileSync(cluster.caFile ?? '', 'utf8'),
    kubeconfig,
    get: (path) => json('GET', path),
    bytes: (path) => send('GET', path),
    post: (path, body) => json('POST', path, body),
    patch: (path, body) => json('PATCH', path, body, 'application/merge-patch+json'),
    remove: async (path) => {
      const answer = await send('DELETE', path);
      if (answer.status >= 400 && answer.status !== 404) throw new AdminError('DELETE', path, answer);
    },
    create: async (object) => json('POST', await collectionOf(object), object),
    apply: async (object) =>
      json(
        'PATCH',
        `${await pathOf(object)}?fieldManager=rungate-test&force=true`,
        object,
        'application/apply-patch+yaml',
      ),
    pathOf,
  };
}

interface Resource {
  readonly name: string;
  readonly kind: string;
  readonly namespaced: boolean;
}
