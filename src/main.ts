/** The process: flags and configuration, then the parts, until a signal. The only reader of env, argv and signals. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { constants, hostname } from 'node:os';
import { resolve } from 'node:path';
import { systemClock } from './clock.ts';
import { helpText, type Invocation, readFlags } from './commandline.ts';
import { type Config, crossDcAsked, isPasswordKnown, loadConfig, type Replica, replicaOf } from './config.ts';
import type { LockDatabase } from './crossdc/env.ts';
import { Fault } from './fault.ts';
import { type Part, runParts } from './lifecycle.ts';
import type { Log } from './log.ts';
import { createLogger } from './logger.ts';
import { givesUp, PATIENCE_MS, unreachedText } from './startup.ts';

/** Exit codes, as docs/configuration.md has them. A second signal exits with 128 and its number, as shells do. */
const EXIT = { clean: 0, failed: 1, misconfigured: 2, noCluster: 3 } as const;

/** No cluster answered a person who waits; the message is the whole text for them. */
class NoCluster extends Error {}

const terminal = process.stdout.isTTY === true;

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** Until `live` takes over: the kernel lets process 1, which a container's is, ignore a signal that it does not handle. */
const leaving = SIGNALS.map((signal) => {
  const leave = () => process.exit(128 + constants.signals[signal]);
  process.on(signal, leave);
  return [signal, leave] as const;
});

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
      return misconfigured([invocation.mistake]);
    case 'run':
      return await serve(invocation);
    case 'demo':
      return await demo(invocation);
    case 'hash-password':
      return await makeHash(invocation);
    case 'healthcheck':
      return await checkHealth();
  }
}

type Serve = Extract<Invocation, { readonly ask: 'run' }>;

/** Every mistake is told at once, whichever table it is in. */
async function serve(invocation: Serve): Promise<number> {
  const { operator } = invocation;
  const loaded = loadConfig(process.env, { operator });
  const lock = crossDcAsked(operator) ? (await import('./crossdc/env.ts')).readCrossDcEnv(process.env) : undefined;
  if (loaded.ok && lock?.ok !== false) {
    const { config, warnings } = loaded;
    return await run({ config, warnings, lockDatabase: lock?.database }, invocation);
  }
  return misconfigured([
    ...(loaded.ok ? [] : loaded.mistakes),
    ...(lock === undefined || lock.ok ? [] : lock.mistakes),
  ]);
}

async function run(
  {
    config,
    warnings,
    lockDatabase,
  }: {
    readonly config: Config;
    readonly warnings: readonly string[];
    readonly lockDatabase: LockDatabase | undefined;
  },
  { kubeconfig, context }: Serve,
): Promise<number> {
  // Not imported above: --help and a mistake are answered before the libraries are loaded.
  const [{ assemble }, { connect }] = await Promise.all([import('./assembly.ts'), import('./kube/connect.ts')]);
  const log = openLog(config);
  log.info('rungate starts', { version: version(), parts: config.parts.join(',') });
  for (const warning of warnings) log.warn(warning);
  const cursors = await readCursors(config, log);
  if ('mistake' in cursors) return misconfigured([cursors.mistake]);
  const receiver = readReceiver(config);
  if ('mistake' in receiver) return misconfigured([receiver.mistake]);
  let connection: Awaited<ReturnType<typeof connect>>;
  try {
    connection = await connect({
      ...(kubeconfig === undefined ? {} : { kubeconfig }),
      ...(context === undefined ? {} : { context }),
      env: process.env,
      clock: systemClock,
    });
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    process.stderr.write(unreachedText({ reason: error.message }));
    return EXIT.noCluster;
  }
  const { parts, filled, readiness } = assemble({
    config,
    connection,
    version: version(),
    clock: systemClock,
    log,
    replica: replica(config, podNamespace()),
    lockDatabase,
    cursorKey: cursors.key,
    fluxReceiver: receiver.receiver,
  });
  /** Waits only where somebody reads what we print; in a pod the caches go on trying and `/readyz` says so. */
  const firstList = async (stop: AbortSignal): Promise<void> => {
    if (!givesUp({ terminal, serviceHost: process.env.KUBERNETES_SERVICE_HOST })) return;
    const over = new AbortController();
    stop.addEventListener('abort', () => over.abort(), { once: true });
    void systemClock.sleep(PATIENCE_MS, over.signal).then(() => over.abort());
    try {
      await filled(over.signal);
    } catch {
      if (stop.aborted) return;
      const reasons = readiness().watches.flatMap(({ message }) => message ?? []);
      throw new NoCluster(unreachedText({ tried: connection.describe, reason: reasons[0] ?? 'no answer' }));
    } finally {
      over.abort();
    }
  };
  return await live(config, log, (stop) => [
    ...parts,
    { name: 'first list', start: () => firstList(stop), stop: async () => {} }, // a person is told when it does not come
  ]);
}

/** The key that cursors are signed with, where there is a gateway to sign them. */
async function readCursors({ parts, cursorKeyFile }: Config, log: Log) {
  if (!parts.includes('gateway')) return { key: undefined };
  if (cursorKeyFile !== undefined) return (await import('./gateway/logs/cursor.ts')).readCursorKey(cursorKeyFile);
  log.info('log cursors end with this process: CURSOR_KEY_FILE is not set');
  return { key: undefined };
}

/** What asks Flux to look, with the token as it is in its file: a line break at the end belongs to it. */
function readReceiver({ fluxReceiverUrl: url, fluxReceiverTokenFile: file }: Config) {
  if (url === undefined) return { receiver: undefined };
  try {
    return { receiver: { url, key: file === undefined ? Buffer.alloc(0) : readFileSync(file) } };
  } catch (error) {
    return { mistake: `FLUX_RECEIVER_TOKEN_FILE cannot be read: ${(error as Error).message}` };
  }
}

async function demo(options: { readonly keep: boolean; readonly simulate: boolean }): Promise<number> {
  const { createDemo, demoEnvironment } = await import('./demo.ts');
  const loaded = loadConfig({ ...demoEnvironment, ...process.env }, { demo: true });
  if (!loaded.ok) return misconfigured(loaded.mistakes);
  const log = openLog(loaded.config);
  return await live(loaded.config, log, () =>
    createDemo({
      ...options,
      config: loaded.config,
      isPasswordKnown: isPasswordKnown(loaded.config),
      version: version(),
      replica: replica(loaded.config, undefined), // its Kubernetes is not the one that a pod of ours would be in
      folder: resolve('.rungate'),
      process: { pid: process.pid, isAlive },
      clock: systemClock,
      log,
      write: (text: string) => void process.stdout.write(text),
    }),
  );
}

async function makeHash(options: { readonly name: string | undefined; readonly kind: 'argon2id' | 'scrypt' }) {
  const { hashPasswordCommand } = await import('./hash-password.ts');
  const { stdin } = process;
  try {
    const isMade = await hashPasswordCommand({
      ...options,
      input: stdin.isTTY ? { terminal: stdin } : { piped: stdin },
      write: (text) => void process.stdout.write(text),
      tell: (text) => void process.stderr.write(text),
    });
    return isMade ? EXIT.clean : 128 + constants.signals.SIGINT;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return misconfigured([error.message]);
  }
}

async function checkHealth(): Promise<number> {
  const { whyUnhealthy } = await import('./healthcheck.ts');
  const reason = await whyUnhealthy(process.env);
  if (reason === undefined) return EXIT.clean;
  process.stderr.write(`rungate: ${reason}\n`);
  return EXIT.failed;
}

function openLog(config: Config): Log {
  const log = createLogger({
    level: config.logLevel,
    format: config.logFormat === 'auto' ? (terminal ? 'text' : 'json') : config.logFormat,
    clock: systemClock,
    write: (lines) => process.stdout.write(lines),
  });
  process.on('exit', () => log.flush());
  return log;
}

/** The parts of `make` from here to the signal that ends them; a second signal ends them at once. */
async function live(config: Config, log: Log, make: (stop: AbortSignal) => readonly Part[]): Promise<number> {
  const stop = new AbortController();
  const hurry = new AbortController();
  // Whoever read what we print has gone (EPIPE; EIO of a closed terminal), or the disk that it goes to is full; what we
  // serve is not less for it.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  let exitCode: number = EXIT.clean;
  // A closed terminal is the end as well, and Node does not know whether `nohup` asked for something else.
  for (const [signal, leave] of leaving) {
    process.off(signal, leave);
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
    await runParts(make(stop.signal), { stop: stop.signal, hurry: hurry.signal, deadlineMs, clock: systemClock, log });
    log.info('stopped');
    return exitCode;
  } catch (error) {
    if (error instanceof NoCluster) {
      process.stderr.write(error.message);
      return EXIT.noCluster;
    }
    // A file that a setting names is a part of the configuration.
    if (error instanceof Fault && error.code === 'bad-request') return misconfigured(error.message.split('\n'));
    // A Fault's sentence is for whoever started us; anything else is a mistake of ours and shows where.
    process.stderr.write(`rungate: ${error instanceof Fault ? error.message : (error as Error).stack}\n`);
    return EXIT.failed;
  }
}

function replica(config: Config, namespace: string | undefined): Replica {
  return replicaOf(config, { hostname: hostname(), podNamespace: namespace, unique: randomUUID() });
}

/** https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/#directly-accessing-the-rest-api */
function podNamespace(): string | undefined {
  try {
    return readFileSync('/var/run/secrets/kubernetes.io/serviceaccount/namespace', 'utf8').trim() || undefined;
  } catch {
    return undefined; // not in a pod, or in one without a ServiceAccount
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'; // somebody else's
  }
}

function misconfigured(mistakes: readonly string[]): number {
  for (const mistake of mistakes) process.stderr.write(`rungate: ${mistake}\n`);
  return EXIT.misconfigured;
}

function version(): string {
  const manifest: { version: string } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return manifest.version;
}
