/** Where the API server is and who we are there: kubeconfig files, or the service account of the pod we run in. */
import { access, readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { isIPv4 } from 'node:net';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import { parse } from 'yaml';
import { type Clock, systemClock } from '../clock.ts';
import { Fault } from '../fault.ts';
import { loadKubeConfig } from './kubeconfig.ts';
import { type Json, type JsonObject, listOf, objectOf, stringOf } from './objects.ts';

/** What a request carries so that the server knows us and we know the server. `agent` is set where a proxy is configured. */
export type RequestIdentity = Readonly<
  Pick<
    RequestOptions,
    'headers' | 'auth' | 'ca' | 'cert' | 'key' | 'pfx' | 'passphrase' | 'servername' | 'rejectUnauthorized' | 'agent'
  >
>;

/** An API server and our identity there. The server never changes; the credentials may. */
export interface Connection {
  /** May carry a path (`https://host/k8s/clusters/c-1`): requests go below it. */
  readonly server: URL;
  /** The server and where it was found, for people. Holds no secrets. */
  readonly describe: string;
  /** The namespace of the context, or of the pod. */
  readonly namespace?: string;
  /**
   * The identity for one request, as it is now: a token file is read at least once a minute, an exec plugin is run
   * when its credentials have expired. Fault `refused`: it cannot be had.
   */
  requestOptions(): Promise<RequestIdentity>;
  /**
   * After a 401: reads kubeconfig and token files anew and forgets what an exec plugin said. Calls at the same time
   * share one reading, and within 5 s of the last it does nothing, so that a lasting 401 does not run a plugin for every
   * request. Fault `refused`: it cannot be read, or names another server now; the old credentials stay.
   */
  refreshCredentials(): Promise<void>;
}

/** Where to look. */
export interface ConnectOptions {
  /** A file named on the command line: nothing else is looked at. */
  readonly kubeconfig?: string | undefined;
  /** The context to use instead of `current-context`. */
  readonly context?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where a pod finds its service account. */
  readonly serviceAccountFolder?: string;
  readonly clock?: Clock;
}

const SERVICE_ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';
const REFRESH_EVERY_MS = 5_000;
/** No kubeconfig can name it. */
const ANONYMOUS = { name: '\0anonymous' };

/** What tells us where the cluster is. */
type Source =
  | { readonly is: 'files'; readonly files: readonly string[] }
  | { readonly is: 'pod'; readonly server: string; readonly folder: string };

/**
 * Finds the cluster: `kubeconfig`, else the files of KUBECONFIG (the first to name a thing wins, as with kubectl), else
 * `~/.kube/config`, else the pod's service account. Nothing is asked over the network.
 *
 * Fault `refused`, with a sentence saying what was looked for: nothing found, a file that cannot be read, a context that
 * does not exist, a server that is neither HTTPS nor plain HTTP on loopback (as `kubectl proxy` is). Over plain HTTP no
 * credentials are sent, as with kubectl. A proxy is used where the kubeconfig says `proxy-url`, and only there.
 * https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
 */
export async function connect(options: ConnectOptions): Promise<Connection> {
  const clock = options.clock ?? systemClock;
  const source = await locate(options);
  let config = await load(source, options.context);
  // Pinned: `kubectl config use-context` in another terminal must not move a running gateway to another cluster.
  const context = config.currentContext;
  const server = serverOf(config, source);
  const insecure = config.getCurrentCluster()?.skipTLSVerify === true;
  const describe = `${shown(server)} (${described(source, context)}${insecure ? ', TLS not verified' : ''})`;
  const namespace = config.getContextObject(context)?.namespace;

  const identify = async (): Promise<RequestIdentity> => {
    if (server.protocol === 'http:') return {};
    const found: RequestOptions = {};
    try {
      await config.applyToHTTPSOptions(found);
    } catch (cause) {
      throw new Fault('refused', `the credentials for ${describe} cannot be had`, { cause });
    }
    const { agent, headers, ...identity } = found;
    return {
      ...identity,
      headers: trimmed(headers),
      // Without a proxy the library's agent is only in the way: it is shared and closes every connection.
      ...(agent !== undefined && config.getCurrentCluster()?.proxyUrl ? { agent } : {}),
    };
  };

  let identity = shared(identify);
  let refreshedAt = Number.NEGATIVE_INFINITY;
  const refresh = async () => {
    if (clock.now() - refreshedAt < REFRESH_EVERY_MS) return;
    const fresh = await load(source, context);
    if (serverOf(fresh, source).href !== server.href) {
      throw new Fault('refused', `${described(source, context)} names another server now: start again to use it`);
    }
    config = fresh;
    // Whoever asks from now on must not be given what was asked for with the old ones.
    identity = shared(identify);
    refreshedAt = clock.now();
  };

  return {
    server,
    describe,
    ...(namespace ? { namespace } : {}),
    requestOptions: () => identity(),
    refreshCredentials: shared(refresh),
  };
}

/** `act`, whose callers share the run that is under way. An exec plugin runs once, however many requests wait for it. */
function shared<T>(act: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    running ??= act().finally(() => {
      running = undefined;
    });
    return running;
  };
}

async function locate({ kubeconfig, env, serviceAccountFolder }: ConnectOptions): Promise<Source> {
  if (kubeconfig !== undefined) {
    if (!(await exists(kubeconfig))) throw new Fault('refused', `the kubeconfig ${kubeconfig} cannot be read`);
    return { is: 'files', files: [kubeconfig] };
  }
  const named = (env.KUBECONFIG ?? '').split(delimiter).filter((file) => file !== '');
  if (named.length > 0) {
    const files: string[] = [];
    for (const file of named) if (await exists(file)) files.push(file);
    // Whoever sets KUBECONFIG means that cluster: looking further would be a guess.
    if (files.length === 0) throw new Fault('refused', `KUBECONFIG names ${named.join(', ')}: none can be read`);
    return { is: 'files', files };
  }
  const home = env.HOME ?? env.USERPROFILE;
  const usual = home === undefined ? undefined : join(home, '.kube', 'config');
  if (usual !== undefined && (await exists(usual))) return { is: 'files', files: [usual] };
  const folder = serviceAccountFolder ?? SERVICE_ACCOUNT_FOLDER;
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env;
  if (host && (await exists(join(folder, 'token')))) {
    return { is: 'pod', server: `https://${host.includes(':') ? `[${host}]` : host}:${port ?? 443}`, folder };
  }
  const looked = ['--kubeconfig and KUBECONFIG (not given)', `${usual ?? '~/.kube/config'} (not there)`];
  looked.push(host ? `${join(folder, 'token')} (not there)` : 'KUBERNETES_SERVICE_HOST (not set: not in a pod)');
  throw new Fault('refused', `no Kubernetes cluster is configured; looked for ${looked.join(', ')}`);
}

/** Reads a source anew, with `context` (else its current one) chosen and complete: cluster and user are there. */
async function load(source: Source, context: string | undefined): Promise<KubeConfig> {
  // Loaded when needed: the demo and the tests of others need not pay for it.
  const Kubeconfig = await loadKubeConfig();
  const config = new Kubeconfig();
  if (source.is === 'pod') {
    config.loadFromClusterAndUser(
      { name: 'pod', server: source.server, caFile: join(source.folder, 'ca.crt'), skipTLSVerify: false },
      tokenFileUser('pod', join(source.folder, 'token')),
    );
    const namespace = await readFile(join(source.folder, 'namespace'), 'utf8').catch(() => '');
    config.contexts = config.contexts.map((each) => ({ ...each, namespace: namespace.trim() }));
  } else {
    for (const file of source.files) {
      const next = new Kubeconfig();
      await readInto(next, file);
      // Not `mergeConfig`: it lets the last file choose the context and throws when two files name the same thing.
      config.clusters = firstOfEachName(config.clusters, next.clusters);
      config.users = firstOfEachName(config.users, next.users);
      config.contexts = firstOfEachName(config.contexts, next.contexts);
      config.currentContext ||= next.currentContext;
    }
  }
  complete(config, source, context);
  return config;
}

async function readInto(config: KubeConfig, file: string): Promise<void> {
  let raw: Json;
  try {
    const text = await readFile(file, 'utf8');
    raw = parse(text);
    config.loadFromString(text);
  } catch (error) {
    // The first line only, and no cause: a YAML error quotes the lines around it, and those may be keys.
    const why = error instanceof Error ? error.message.split('\n', 1)[0] : 'unreadable';
    throw new Fault('refused', `the kubeconfig ${file} cannot be used: ${why}`);
  }
  const folder = dirname(file);
  config.makePathsAbsolute(folder);
  const besideFile = (path: string) => (isAbsolute(path) ? path : join(folder, path));
  const sent = new Map(listOf(objectOf(raw).users).map((entry) => named(objectOf(entry))));
  config.users = config.users.map((user) => {
    // The library knows neither `tokenFile` nor that a plugin's path is relative to the file that names it.
    const tokenFile = stringOf(sent.get(user.name)?.tokenFile);
    if (tokenFile !== undefined) return { ...user, ...tokenFileUser(user.name, besideFile(tokenFile)) };
    const command = stringOf(objectOf(sent.get(user.name)?.exec).command);
    return command?.includes('/') ? { ...user, exec: { ...user.exec, command: besideFile(command) } } : user;
  });
}

function named(entry: JsonObject): [string, JsonObject] {
  return [stringOf(entry.name) ?? '', objectOf(entry.user)];
}

function tokenFileUser(name: string, tokenFile: string) {
  return { name, authProvider: { name: 'tokenFile', config: { tokenFile } } };
}

function firstOfEachName<T extends { readonly name: string }>(first: readonly T[], then: readonly T[]): T[] {
  return [...first, ...then.filter(({ name }) => !first.some((known) => known.name === name))];
}

function complete(config: KubeConfig, source: Source, wanted: string | undefined): void {
  if (wanted !== undefined) config.setCurrentContext(wanted);
  const where = described(source);
  const context = config.contexts.find(({ name }) => name === config.currentContext);
  if (context === undefined) {
    const there = config.contexts.map(({ name }) => name).join(', ') || 'none';
    const missing = config.currentContext ? `no context "${config.currentContext}"` : 'no current-context';
    throw new Fault('refused', `${missing} in ${where}; contexts there: ${there}`);
  }
  if (!config.clusters.some(({ name }) => name === context.cluster)) {
    throw new Fault('refused', `context "${context.name}" in ${where} names no cluster of it`);
  }
  if (context.user === undefined || context.user === '') {
    // The library applies not even the CA where a context has no user.
    config.contexts = config.contexts.map((each) => (each === context ? { ...each, user: ANONYMOUS.name } : each));
    config.users = [...config.users, ANONYMOUS];
  } else if (!config.users.some(({ name }) => name === context.user)) {
    throw new Fault('refused', `context "${context.name}" in ${where} names no user of it`);
  }
}

function serverOf(config: KubeConfig, source: Source): URL {
  const text = config.getCurrentCluster()?.server ?? '';
  const server = URL.canParse(text) ? new URL(text) : undefined;
  if (server?.protocol === 'https:' || (server?.protocol === 'http:' && isLoopback(server.hostname))) return server;
  const where = server === undefined ? 'an address that is no URL' : shown(server);
  throw new Fault('refused', `${described(source)} names ${where}: it must be https, or http on loopback`);
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || (isIPv4(hostname) && hostname.startsWith('127.'));
}

/** Without user information and query, which may be secret. */
function shown(server: URL): string {
  return `${server.protocol}//${server.host}${server.pathname === '/' ? '' : server.pathname}`;
}

function described(source: Source, context?: string): string {
  if (source.is === 'pod') return 'the service account of this pod';
  const files = source.files.join(', ');
  return context === undefined ? files : `context "${context}" of ${files}`;
}

/** A token file may end with a line break, which no header can carry. */
function trimmed(headers: RequestOptions['headers']): Record<string, string> {
  const sent: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers ?? {})) sent[name] = String(value).trim();
  return sent;
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
