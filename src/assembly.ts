/** The process put together: from a configuration and a connection to the parts that serve and act, in the order they start. */
import type { Clock } from './clock.ts';
import type { Config, Replica } from './config.ts';
import { createControllers } from './controllers/catalog.ts';
import { createSecondCluster } from './controllers/triggers/secondcluster.ts';
import type { LockDatabase } from './crossdc/env.ts';
import { createCrossDcLock } from './crossdc/lock.ts';
import { mysqlSessions, shownPlace } from './crossdc/mysql.ts';
import { networks } from './gateway/address.ts';
import { buildApp, inOriginForm, messagesOf } from './gateway/app.ts';
import { createCallers } from './gateway/callers/callers.ts';
import { corsFor } from './gateway/callers/cors.ts';
import { createLimits } from './gateway/callers/limits.ts';
import { createPasswordCheck } from './gateway/callers/passwords.ts';
import { createTickets, ticketsRoutes } from './gateway/callers/tickets.ts';
import { createDrain, type Drain } from './gateway/drain.ts';
import { type Caches, createCaches } from './gateway/facts/caches.ts';
import { createOnDemand } from './gateway/facts/ondemand.ts';
import { probes, type Readiness } from './gateway/health.ts';
import { createCursors } from './gateway/logs/cursor.ts';
import { logsRoutes } from './gateway/logs/logs.ts';
import { createSpooling } from './gateway/logs/spool.ts';
import { runEventsRoutes } from './gateway/runs/runevents.ts';
import { runListRoutes } from './gateway/runs/runlist.ts';
import { runRoutes } from './gateway/runs/runs.ts';
import { statusRoutes } from './gateway/runs/status.ts';
import { taskRunRoutes } from './gateway/runs/taskruns.ts';
import { createListener, type Listener } from './gateway/server.ts';
import { triggerRoutes } from './gateway/triggers/triggers.ts';
import { type KubeClient, kubeClient } from './kube/client.ts';
import type { Connection } from './kube/connect.ts';
import { createExternalLogs } from './kube/externallogs.ts';
import type { Leadership } from './kube/lease.ts';
import { createContainerLogs } from './kube/sharedlog.ts';
import type { Part } from './lifecycle.ts';
import type { Log } from './log.ts';
import { createMetrics, type PrometheusMetrics } from './prometheus.ts';

/** What the process is made of. */
export interface Material {
  readonly config: Config;
  readonly connection: Connection;
  readonly version: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly replica: Replica;
  /** Where data centres share a lock; without it the Lease alone settles who starts runs. */
  readonly lockDatabase?: LockDatabase | undefined;
  /** What CURSOR_KEY_FILE has; without it cursors end with this process. */
  readonly cursorKey?: Buffer | undefined;
  /** Take any free port where the one asked for is taken. */
  readonly anyPort?: boolean;
  /** Everybody knows the password: only who asks for this machine by a name of its own is answered. */
  readonly isPasswordKnown?: boolean;
}

/** A process whose parts have not been started. */
export interface Assembled {
  /** Read down to start, up to stop. Each part may rely on every part above it. */
  readonly parts: readonly Part[];
  /** The public port's listener; undefined where PARTS leaves the gateway out, because then it is not opened. */
  readonly api: Listener | undefined;
  readiness(): Readiness;
  /** Resolves when every first list is in; rejects when `signal` aborts before. */
  filled(signal: AbortSignal): Promise<void>;
}

/** What everything that PARTS can name stands on. */
interface Ground extends Material {
  readonly metrics: PrometheusMetrics;
  readonly client: KubeClient;
  readonly drain: Drain;
  /** Of the whole process. */
  readonly readiness: () => Readiness;
}

/** What is kept true by watches, and how far it can be believed. */
type Filling = Pick<Caches, 'readiness' | 'filled'>;

/** Puts together what PARTS names. Nothing listens or asks the cluster before its parts are started. */
export function assemble(material: Material): Assembled {
  const { config, connection, version, clock, log } = material;
  const metrics = createMetrics({ clock, version, processSeries: true });
  const client = kubeClient(connection, { metrics });
  const drain = createDrain(log);
  const readiness = () => together(filling.map((each) => each.readiness()));
  const ground: Ground = { ...material, metrics, client, drain, readiness };
  const gateway = config.parts.includes('gateway') ? gatewayOn(ground) : undefined;
  const filling: readonly Filling[] = gateway === undefined ? [] : [gateway.caches];
  const parts: readonly Part[] = [
    ...(gateway ? [gateway.callers] : []), // before anything listens: a file with a mistake is told before a port is taken
    ...probingOn(ground), // as early and as late as can be: the kubelet asks whatever happens
    ...(gateway ? [gateway.api] : []), // early for /health; late, to say 503 to the end
    { name: 'cluster', start: async () => {}, stop: async () => client.close() }, // sockets outlive whoever reads from them
    ...(gateway ? [gateway.caches] : []),
    ...(config.parts.includes('triggers') ? triggersOn(ground, gateway?.caches) : []),
    drain, // first to stop, while everything that open requests need still works
  ];
  return {
    parts,
    api: gateway?.api,
    readiness,
    filled: async (signal) => void (await Promise.all(filling.map((each) => each.filled(signal)))),
  };
}

/** Ready is what is ready in all of it. */
function together(each: readonly Readiness[]): Readiness {
  return { ready: each.every(({ ready }) => ready), watches: each.flatMap(({ watches }) => watches) };
}

/** The ports of kubelet and Prometheus, all with the same content: that of METRICS_PORT, and those that flags add. */
function probingOn({ config, anyPort = false, readiness, drain, clock, log, metrics }: Ground): readonly Listener[] {
  const handler = probes({ readiness, drain, exposition: metrics.exposition });
  return config.probing.map(({ port, host, portSetting, hostSetting }) =>
    createListener({
      name: 'metrics',
      portSetting,
      port,
      anyPort,
      host,
      hostSetting,
      handler,
      clock,
      log,
      metrics,
    }),
  );
}

/** The controllers of triggers, on the runs that the gateway keeps where it keeps any. */
function triggersOn(ground: Ground, kept: Caches | undefined): readonly Part[] {
  const { config, client, clock, log, metrics, replica, lockDatabase } = ground;
  const runs = kept?.pipelineRuns;
  const secondCluster = config.secondCluster && createSecondCluster({ ...config.secondCluster, clock, log, metrics });
  const controllers = createControllers({
    client,
    leaseClient: kubeClient(ground.connection, { metrics: { ...metrics, level() {} } }), // it streams nothing
    served: config.namespaces,
    watchSeconds: config.watchSeconds,
    ...(runs === undefined ? {} : { runs }),
    lease: {
      namespace: replica.leaseNamespace,
      name: config.leaseName,
      seconds: config.leaseSeconds,
      identity: replica.identity,
    },
    ...(lockDatabase === undefined
      ? {}
      : {
          lock: (within: Leadership, settled: () => Promise<void>) =>
            createCrossDcLock({
              open: mysqlSessions(lockDatabase, log),
              place: shownPlace(lockDatabase),
              identity: replica.identity,
              within,
              settled,
              clock,
              random: Math.random,
              log,
              metrics,
            }),
        }),
    ...(secondCluster === undefined ? {} : { secondCluster }),
    orphanRuns: config.orphanRuns,
    ...(config.managedCredentials === 'on'
      ? { credentials: { acrossNamespaces: config.credentialsAcrossNamespaces } }
      : {}),
    maxDeletesPerSecond: config.maxDeletesPerSecond,
    clock,
    random: Math.random,
    log,
    metrics,
  });
  if (secondCluster === undefined) return controllers;
  return [{ name: 'second cluster', start: async () => {}, stop: async () => secondCluster.close() }, ...controllers];
}

/** The gateway: callers, the API and what it answers from. */
function gatewayOn(ground: Ground): { readonly callers: Part; readonly api: Listener; readonly caches: Caches } {
  const { config, version, clock, log, metrics, client, drain, readiness } = ground;
  const { cursorKey, anyPort = false, isPasswordKnown = false } = ground;
  const { watchSeconds } = config;
  const makeCaches = config.cache === 'on' ? createCaches : createOnDemand;
  const watching = { reader: client, served: config.namespaces, watchSeconds };
  const caches = makeCaches({ ...watching, clock, random: Math.random, log, metrics });
  const { runs } = caches;
  const limits = createLimits(config, { clock, metrics });
  const stallMs = config.stallSeconds * 1000;
  const logs = createContainerLogs({ reader: client, clock, random: Math.random, metrics, stallMs });
  const served = {
    runs,
    limits,
    clock,
    log,
    metrics,
    defaultNamespace: config.namespace,
    served: config.namespaces,
    maxWaitSeconds: config.maxWaitSeconds,
    draining: drain.signal,
  };
  const tickets = createTickets({ clock, metrics });
  const callers = createCallers({ ...config, isPasswordKnown }, { check: createPasswordCheck(), clock, log, metrics });
  const routes = [
    statusRoutes(served), // first, because it is asked for most, and each route that is passed by costs a little
    logsRoutes({
      ...served,
      logs,
      external: config.externalLogsUrl === undefined ? undefined : createExternalLogs(config.externalLogsUrl),
      cursors: createCursors({ key: cursorKey }),
      spooling: createSpooling({ log }),
      slowClientSeconds: config.slowClientSeconds,
      graceSeconds: config.graceSeconds,
    }),
    runListRoutes(served),
    runRoutes({ ...served, reader: client }),
    runEventsRoutes({ ...served, slowClientSeconds: config.slowClientSeconds, graceSeconds: config.graceSeconds }),
    taskRunRoutes({ ...served, reader: client }),
    triggerRoutes({ ...served, triggers: caches.triggers }),
    ticketsRoutes({ tickets, log }),
  ];
  const app = buildApp({
    callers,
    tickets,
    limits,
    cors: corsFor(config.corsOrigins ?? []),
    trustedProxies: networks(config.trustProxy ?? []),
    maxUrlBytes: config.maxUrlBytes,
    onlyLoopbackNames: isPasswordKnown,
    defaultNamespace: config.namespace,
    readiness,
    drain,
    routes,
    clock,
    log,
    metrics,
    version,
  });
  const { host, tlsCertFile, tlsKeyFile } = config;
  const tls = tlsCertFile && tlsKeyFile ? { certFile: tlsCertFile, keyFile: tlsKeyFile } : undefined;
  const api = createListener({
    name: 'api',
    portSetting: 'PORT',
    port: config.port,
    anyPort,
    host,
    tls,
    handler: inOriginForm(app),
    messages: messagesOf(app),
    limits: config,
    clock,
    log,
    metrics,
  });
  return { callers, api, caches };
}
