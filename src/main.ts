/** The process: flags and configuration, then the parts, until a signal. The only reader of env, argv and signals. */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { systemClock } from './clock.ts';
import { type Config, helpText, loadConfig, readFlags } from './config.ts';
import { Fault } from './fault.ts';
import { type Part, runParts } from './lifecycle.ts';
import { createLogger } from './logger.ts';
import { givesUp, PATIENCE_MS, unreachedText } from './startup.ts';

/** Exit codes, as docs/configuration.md has them. A second signal exits with 128 and its number, as shells do. */
const EXIT = { clean: 0, failed: 1, misconfigured: 2, noCluster: 3 } as const;

process.exit(await main());

async function main(): Promise<number> {
  const invocation = readFlags(process.argv.slice(2));
  switch (invocation.ask) {
    case 'help':
      process.stdout.write(helpText());
      return EXIT.clean;
    case 'version':
      process.stdout.write(`${version()}\n`);
      return EXIT.clean;
    case 'nothing':
      process.stderr.write(`rungate: ${invocation.mistake}\n`);
      return EXIT.misconfigured;
    case 'run': {
      const loaded = loadConfig(process.env);
      if (loaded.ok) return await run(loaded.config, invocation);
      for (const mistake of loaded.mistakes) process.stderr.write(`rungate: ${mistake}\n`);
      return EXIT.misconfigured;
    }
  }
}

async function run(
  config: Config,
  { kubeconfig, context }: { readonly kubeconfig: string | undefined; readonly context: string | undefined },
): Promise<number> {
  // Not imported above: --help and a mistake are answered before the libraries are loaded.
  const [
    { buildApp, messagesOf },
    { oneCaller },
    { createCaches },
    { createDrain },
    { probes },
    { logsRoutes },
    { createListener },
    { statusRoutes },
    { kubeClient },
    { connect },
    { createMetrics },
  ] = await Promise.all([
    import('./gateway/app.ts'),
    import('./gateway/auth.ts'),
    import('./gateway/caches.ts'),
    import('./gateway/drain.ts'),
    import('./gateway/health.ts'),
    import('./gateway/logs.ts'),
    import('./gateway/server.ts'),
    import('./gateway/status.ts'),
    import('./kube/client.ts'),
    import('./kube/connect.ts'),
    import('./prometheus.ts'),
  ]);
  const clock = systemClock;
  const terminal = process.stdout.isTTY === true;
  const log = createLogger({
    level: config.logLevel,
    format: config.logFormat === 'auto' ? (terminal ? 'text' : 'json') : config.logFormat,
    clock,
    write: (lines) => process.stdout.write(lines),
  });
  process.on('exit', () => log.flush());
  const metrics = createMetrics({ clock, version: version(), processSeries: true });
  const drain = createDrain(log);

  let connection: Awaited<ReturnType<typeof connect>>;
  try {
    connection = await connect({
      ...(kubeconfig === undefined ? {} : { kubeconfig }),
      ...(context === undefined ? {} : { context }),
      env: process.env,
      clock,
    });
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    process.stderr.write(unreachedText({ reason: error.message }));
    return EXIT.noCluster;
  }
  const client = kubeClient(connection, { metrics });
  const caches = createCaches({ reader: client, served: config.namespaces, clock, random: Math.random, log, metrics });
  const { readiness, runs } = caches;
  const served = {
    runs,
    clock,
    log,
    metrics,
    defaultNamespace: config.namespace,
    served: config.namespaces,
    maxWaitSeconds: config.maxWaitSeconds,
    draining: drain.signal,
  };
  const routes = [
    statusRoutes(served),
    logsRoutes({ ...served, reader: client, random: Math.random, maxStreams: config.maxStreams }),
  ];

  const app = buildApp({
    callers: oneCaller(config.username, config.password),
    readiness,
    drain,
    routes,
    log,
    metrics,
  });
  const { host, tlsCertFile, tlsKeyFile } = config;
  const tls = tlsCertFile && tlsKeyFile ? { certFile: tlsCertFile, keyFile: tlsKeyFile } : undefined;
  /** Read down to start, up to stop. Each part may rely on every part above it. */
  const parts: readonly Part[] = [
    createListener({
      name: 'metrics',
      portSetting: 'METRICS_PORT',
      port: config.metricsPort,
      host,
      handler: probes({ readiness, drain, exposition: metrics.exposition }),
      clock,
      log,
    }), // first and last: the kubelet asks whatever happens
    createListener({
      name: 'api',
      portSetting: 'PORT',
      port: config.port,
      host,
      tls,
      handler: app,
      messages: messagesOf(app),
      clock,
      log,
    }), // early for /health; late, to say 503 to the end
    { name: 'cluster', start: async () => {}, stop: async () => client.close() }, // sockets outlive whoever reads from them
    caches,
    { name: 'first list', start: () => firstList(), stop: async () => {} }, // a person at a terminal is told when it does not come
    drain, // first to stop, while everything that open requests need still works
  ];

  const stop = new AbortController();
  const hurry = new AbortController();
  let exitCode: number = EXIT.clean;
  let failure: number = EXIT.failed;
  /** Waits only where somebody reads what we print; in a pod the caches go on trying and `/readyz` says so. */
  const firstList = async (): Promise<void> => {
    if (!givesUp({ terminal, serviceHost: process.env.KUBERNETES_SERVICE_HOST })) return;
    const over = new AbortController();
    stop.signal.addEventListener('abort', () => over.abort(), { once: true });
    void clock.sleep(PATIENCE_MS, over.signal).then(() => over.abort());
    try {
      await caches.filled(over.signal);
    } catch {
      if (stop.signal.aborted) return;
      failure = EXIT.noCluster;
      const reasons = readiness().watches.flatMap(({ message }) => message ?? []);
      throw new Fault('unavailable', unreachedText({ tried: connection.describe, reason: reasons[0] ?? 'no answer' }));
    } finally {
      over.abort();
    }
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) {
        exitCode = 128 + constants.signals[signal];
        hurry.abort();
      } else {
        log.info('stopping', { signal });
        stop.abort();
      }
    });
  }
  try {
    const deadlineMs = config.drainSeconds * 1000;
    await runParts(parts, { stop: stop.signal, hurry: hurry.signal, deadlineMs, clock, log });
    log.info('stopped');
    return exitCode;
  } catch (error) {
    // A Fault's sentence is for whoever started us; anything else is a mistake of ours and shows where.
    const text = error instanceof Fault ? error.message : (error as Error).stack;
    process.stderr.write(failure === EXIT.noCluster ? `${text}` : `rungate: ${text}\n`);
    return failure;
  }
}

function version(): string {
  const manifest: { version: string } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return manifest.version;
}
