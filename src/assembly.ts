/** A gateway put together: from a configuration and a connection to the parts that serve, in the order they start. */
import type { Clock } from './clock.ts';
import type { Config } from './config.ts';
import { networks } from './gateway/address.ts';
import { buildApp, inOriginForm, messagesOf } from './gateway/app.ts';
import { createCallers } from './gateway/callers/callers.ts';
import { corsFor } from './gateway/callers/cors.ts';
import { createLimits } from './gateway/callers/limits.ts';
import { createPasswordCheck } from './gateway/callers/passwords.ts';
import { createTickets, ticketsRoutes } from './gateway/callers/tickets.ts';
import { createDrain } from './gateway/drain.ts';
import { createCaches } from './gateway/facts/caches.ts';
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
import { kubeClient } from './kube/client.ts';
import type { Connection } from './kube/connect.ts';
import { createExternalLogs } from './kube/externallogs.ts';
import { createContainerLogs } from './kube/sharedlog.ts';
import type { Part } from './lifecycle.ts';
import type { Log } from './log.ts';
import { createMetrics } from './prometheus.ts';

/** What a gateway is made of. */
export interface GatewayMaterial {
  readonly config: Config;
  readonly connection: Connection;
  readonly version: string;
  readonly clock: Clock;
  readonly log: Log;
  /** What CURSOR_KEY_FILE has; without it cursors end with this process. */
  readonly cursorKey?: Buffer | undefined;
  /** Take any free port where the one asked for is taken. */
  readonly anyPort?: boolean;
  /** Everybody knows the password: only who asks for this machine by a name of its own is answered. */
  readonly isPasswordKnown?: boolean;
}

/** A gateway whose parts have not been started. */
export interface Assembled {
  /** Read down to start, up to stop. Each part may rely on every part above it. */
  readonly parts: readonly Part[];
  /** The public port's listener. */
  readonly api: Listener;
  readiness(): Readiness;
  /** Resolves when every first list is in; rejects when `signal` aborts before. */
  filled(signal: AbortSignal): Promise<void>;
}

/** Puts a gateway together. Nothing listens or asks the cluster before its parts are started. */
export function assembleGateway(material: GatewayMaterial): Assembled {
  const { config, connection, version, clock, log, cursorKey, anyPort = false, isPasswordKnown = false } = material;
  const metrics = createMetrics({ clock, version, processSeries: true });
  const drain = createDrain(log);
  const client = kubeClient(connection, { metrics });
  const { watchSeconds } = config;
  const makeCaches = config.cache === 'on' ? createCaches : createOnDemand;
  const watching = { reader: client, served: config.namespaces, watchSeconds };
  const caches = makeCaches({ ...watching, clock, random: Math.random, log, metrics });
  const { readiness, runs } = caches;
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
  const probing = createListener({
    name: 'metrics',
    portSetting: 'METRICS_PORT',
    port: config.metricsPort,
    anyPort,
    host,
    handler: probes({ readiness, drain, exposition: metrics.exposition }),
    clock,
    log,
    metrics,
  });
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
  const parts: readonly Part[] = [
    callers, // before anything listens: a file with a mistake is told before a port is taken
    probing, // as early and as late as can be: the kubelet asks whatever happens
    api, // early for /health; late, to say 503 to the end
    { name: 'cluster', start: async () => {}, stop: async () => client.close() }, // sockets outlive whoever reads from them
    caches,
    drain, // first to stop, while everything that open requests need still works
  ];
  return { parts, api, readiness, filled: (signal) => caches.filled(signal) };
}
