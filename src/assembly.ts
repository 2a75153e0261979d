/** The process put together: from a configuration and a connection to the parts that serve and act, in the order they start. */
import type { Express } from 'express';
import type { Clock } from './clock.ts';
import type { Config, Replica } from './config.ts';
import { type Controllers, createControllers } from './controllers/catalog.ts';
import type { FluxReceiver } from './controllers/triggers/fluxlook.ts';
import { createSecondCluster } from './controllers/triggers/secondcluster.ts';
import type { LockDatabase } from './crossdc/env.ts';
import { createCrossDcLock } from './crossdc/lock.ts';
import { mysqlSessions, shownPlace } from './crossdc/mysql.ts';
import { networks } from './gateway/address.ts';
import { buildApp, buildHookApp, inOriginForm, messagesOf } from './gateway/app.ts';
import { createCallers } from './gateway/callers/callers.ts';
import { corsFor } from './gateway/callers/cors.ts';
import { createLimits } from './gateway/callers/limits.ts';
import { createPasswordCheck } from './gateway/callers/passwords.ts';
import { createTickets, ticketsRoutes } from './gateway/callers/tickets.ts';
import { createDrain, type Drain } from './gateway/drain.ts';
import { type Caches, createCaches } from './gateway/facts/caches.ts';
import { createOnDemand } from './gateway/facts/ondemand.ts';
import { probes } from './gateway/health.ts';
import { deliveriesRoutes } from './gateway/hooks/deliveries.ts';
import { type HookEntrance, hookEntrance } from './gateway/hooks/entrance.ts';
import { createCursors } from './gateway/logs/cursor.ts';
import { logsRoutes } from './gateway/logs/logs.ts';
import { createSpooling } from './gateway/logs/spool.ts';
import { runEventsRoutes } from './gateway/runs/runevents.ts';
import { runListRoutes } from './gateway/runs/runlist.ts';
import { runRoutes } from './gateway/runs/runs.ts';
import { statusRoutes } from './gateway/runs/status.ts';
import { taskRunRoutes } from './gateway/runs/taskruns.ts';
import { createListener, type Listener } from './gateway/server.ts';
import { triggerRunRoutes } from './gateway/triggers/run.ts';
import { triggerRoutes } from './gateway/triggers/triggers.ts';
import { createHooks, type Hooks } from './hooks/hooks.ts';
import { namesIn } from './hooks/keys.ts';
import { type KubeClient, kubeClient } from './kube/client.ts';
import type { Connection } from './kube/connect.ts';
import { createExternalLogs } from './kube/externallogs.ts';
import type { Leadership } from './kube/lease.ts';
import { present } from './kube/objects.ts';
import type { Readiness } from './kube/ready.ts';
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
  /** What asks Flux to look at sources, where it is not asked by an annotation. */
  readonly fluxReceiver?: FluxReceiver | undefined;
  /** Take any free port where the one asked for is taken. */
  readonly anyPort?: boolean;
  /** Everybody knows the password: only who asks for this machine by a name of its own is answered. */
  readonly isPasswordKnown?: boolean;
}

/** A process whose parts have not been started. */
export interface Assembled {
  /** Read down to start, up to stop. Each part may rely on every part above it. */
  readonly parts: readonly Part[];
  /** The public port's listener; undefined where PARTS has neither gateway nor hooks, because then it is not opened. */
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

/** Puts together what PARTS names. Nothing listens or asks the cluster before its parts are started. */
export function assemble(material: Material): Assembled {
  const { config, connection, version, clock, log } = material;
  const drain = createDrain(log);
  const isReady = () => !drain.signal.aborted && readiness().ready;
  const metrics = createMetrics({ clock, version, processSeries: true, isReady });
  const client = kubeClient(connection, { metrics });
  const readiness = () => together(filling.map((each) => each.readiness()));
  const ground: Ground = { ...material, metrics, client, drain, readiness };
  const does = (part: Config['parts'][number]) => config.parts.includes(part);
  const caches = does('gateway') ? cachesOn(ground) : undefined;
  const triggers = does('triggers') ? triggersOn(ground, caches) : undefined;
  const hooks = does('hooks') ? hooksOn(ground, caches, triggers?.controllers) : undefined;
  const gateway = caches === undefined ? undefined : gatewayOn(ground, caches, hooks);
  const app = gateway?.app ?? (hooks && buildHookApp({ ...entranceOn(ground), hooks: entranceOf(hooks) }));
  const api = app && publicPort(ground, app);
  const filling = [caches, hooks].filter((each) => each !== undefined);
  const parts: readonly Part[] = [
    // Before anything listens: a file with a mistake is told before a port is taken.
    ...(gateway ? [gateway.callers] : []),
    ...(hooks?.files ? [hooks.files] : []),
    ...probingOn(ground), // as early and as late as can be: the kubelet asks whatever happens
    ...(api ? [api] : []), // early for /health; late, to say 503 to the end
    { name: 'cluster', start: async () => {}, stop: async () => client.close() }, // sockets outlive whoever reads from them
    ...(caches ? [caches] : []),
    ...(triggers?.parts ?? []),
    ...(hooks?.parts ?? []), // what comes in rings for the controllers above
    drain, // first to stop, while everything that open requests need still works
  ];
  return {
    parts,
    api,
    readiness,
    filled: async (signal) => void (await caches?.filled(signal)),
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

/** The controllers of triggers, on what the gateway watches where it watches anything. */
function triggersOn(
  ground: Ground,
  kept: Caches | undefined,
): { readonly controllers: Controllers; readonly parts: readonly Part[] } {
  const { config, client, clock, log, metrics, replica, lockDatabase } = ground;
  const { pipelineRuns: runs, triggerWatches } = kept ?? {};
  const secondCluster = config.secondCluster && createSecondCluster({ ...config.secondCluster, clock, log, metrics });
  const controllers = createControllers({
    client,
    leaseClient: kubeClient(ground.connection, { metrics: { ...metrics, level() {} } }), // it streams nothing
    served: config.namespaces,
    watchSeconds: config.watchSeconds,
    ...present({ runs, triggerWatches, receiver: ground.fluxReceiver }),
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
  if (secondCluster === undefined) return { controllers, parts: controllers.parts };
  const ofSecond = { name: 'second cluster', start: async () => {}, stop: async () => secondCluster.close() };
  return { controllers, parts: [ofSecond, ...controllers.parts] };
}

/** Hooks, on what the gateway watches and what the controllers know where there are some. */
function hooksOn(ground: Ground, kept: Caches | undefined, controllers: Controllers | undefined): Hooks {
  const { config, client, clock, log, metrics, replica, drain } = ground;
  return createHooks({
    settings: config,
    client,
    served: config.namespaces,
    defaultNamespace: config.namespace,
    watchSeconds: config.watchSeconds,
    controllers,
    triggerWatches: kept?.triggerWatches,
    instance: replica.identity,
    draining: drain.signal,
    clock,
    random: Math.random,
    log,
    metrics,
  });
}

function entranceOf({ door }: Hooks): HookEntrance {
  return hookEntrance(door, namesIn);
}

/** What the gateway answers from. */
function cachesOn({ config, client, clock, log, metrics }: Ground): Caches {
  const { watchSeconds } = config;
  const makeCaches = config.cache === 'on' ? createCaches : createOnDemand;
  const watching = { reader: client, served: config.namespaces, watchSeconds };
  return makeCaches({ ...watching, clock, random: Math.random, log, metrics });
}

/** What stands at the public port before everything else. */
function entranceOn({ config, drain, log, metrics, isPasswordKnown = false }: Ground) {
  return {
    cors: corsFor(config.corsOrigins ?? []),
    trustedProxies: networks(config.trustProxy ?? []),
    maxUrlBytes: config.maxUrlBytes,
    onlyLoopbackNames: isPasswordKnown,
    defaultNamespace: config.namespace,
    drain,
    log,
    metrics,
  };
}

/** The gateway: callers and the API, which has hooks in it where there are some. */
function gatewayOn(
  ground: Ground,
  caches: Caches,
  hooks: Hooks | undefined,
): { readonly callers: Part; readonly app: Express } {
  const { config, version, clock, log, metrics, client, drain, readiness } = ground;
  const { cursorKey, isPasswordKnown = false } = ground;
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
    triggerRunRoutes({ ...served, reader: client, writer: client }),
    ...(hooks === undefined ? [] : [deliveriesRoutes({ ...hooks, served: config.namespaces })]),
    ticketsRoutes({ tickets, log }),
  ];
  const app = buildApp({
    ...entranceOn(ground),
    callers,
    tickets,
    limits,
    readiness,
    routes,
    hooks: hooks && entranceOf(hooks),
    clock,
    version,
  });
  return { callers, app };
}

/** The port of the API and of hooks. */
function publicPort({ config, anyPort = false, clock, log, metrics }: Ground, app: Express): Listener {
  const { host, tlsCertFile, tlsKeyFile, tlsClientCaFile: clientCaFile } = config;
  const tls = tlsCertFile && tlsKeyFile ? { certFile: tlsCertFile, keyFile: tlsKeyFile, clientCaFile } : undefined;
  return createListener({
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
}
