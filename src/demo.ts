/** The demo: a sandbox, a gateway in front of it and a few runs to look at, in one process and from one command. */
import { mkdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Assembled, assemble } from './assembly.ts';
import type { Clock } from './clock.ts';
import type { Config, Replica } from './config.ts';
import { Fault } from './fault.ts';
import { connect } from './kube/connect.ts';
import { group, type Part, stopAfterStart } from './lifecycle.ts';
import type { Log } from './log.ts';
import type { Sandbox } from './sandbox/sandbox.ts';

/** What the demo sets where the environment does not. Only this machine reaches it, so its password is no secret. */
export const demoEnvironment = {
  HOST: '127.0.0.1',
  NAMESPACE: 'default',
  NAMESPACES: '*',
  AUTH_USERNAME: 'demo',
  AUTH_PASSWORD: 'demo',
  LOG_LEVEL: 'warn',
  DRAIN_SECONDS: '3',
} as const;

/** Beside `src`, and beside `dist` in a package. */
const definitions = join(import.meta.dirname, '../k8s/crds');

/** What the demo is told. */
export interface DemoOptions {
  readonly config: Config;
  /** Whether everybody would try the password first. */
  readonly isPasswordKnown: boolean;
  readonly version: string;
  readonly replica: Replica;
  /** Everything it writes is below this folder. */
  readonly folder: string;
  /** Who we are, and whether a process is there. */
  readonly process: { readonly pid: number; isAlive(pid: number): boolean };
  /** Keep objects, logs and volumes for the next start. */
  readonly keep: boolean;
  /** Play written scenarios instead of running processes. */
  readonly simulate: boolean;
  readonly clock: Clock;
  readonly log: Log;
  /** Where the text for the person at the terminal goes. */
  readonly write: (text: string) => void;
}

/** The parts of a demo. The last one prints what to try, once everything above it answers. */
export function createDemo(options: DemoOptions): readonly Part[] {
  const { config, isPasswordKnown, version, replica, folder, keep, simulate, clock, log, write } = options;
  const kubeconfigFile = join(folder, 'kubeconfig');
  // What is kept lies apart: a demo that keeps nothing does not touch it.
  const state = join(folder, keep ? 'kept' : 'sandbox');
  const startedAt = clock.now();
  const stopped = new AbortController();
  let sandbox: Sandbox;
  let gateway: Assembled;
  let repository: string;
  return [
    claimFolder({ ...options, passing: keep ? [kubeconfigFile] : [kubeconfigFile, state] }),
    group('sandbox', async () => {
      // Imported here, so that no other start pays for it.
      const { createSandbox } = await import('./sandbox/sandbox.ts');
      sandbox = createSandbox({ folder: state, kubeconfigFile, keep, simulate, life: true, clock, log });
      return [sandbox];
    }),
    stopAfterStart({
      name: 'kinds',
      start: async () => {
        const { applyDefinitions, definitionsIn } = await import('./sandbox/scenarios/definitions.ts');
        applyDefinitions(sandbox.client, await definitionsIn(definitions));
      },
      stop: async () => {},
    }),
    group('gateway', async () => {
      const connection = await connect({ kubeconfig: sandbox.kubeconfigFile, env: {}, clock });
      gateway = assemble({
        config,
        connection,
        version,
        replica,
        clock,
        log,
        anyPort: true,
        isPasswordKnown,
      });
      return gateway.parts;
    }),
    stopAfterStart({
      name: 'repository',
      start: async () => {
        const { seedRepository } = await import('./sandbox/scenarios/repository.ts');
        repository = await seedRepository(state, clock.now());
      },
      stop: async () => {},
    }),
    {
      name: 'samples',
      start: async () => {
        const [{ applySamples, sampleObjects, sampleTrigger }, { repositorySource }] = await Promise.all([
          import('./sandbox/scenarios/samples.ts'),
          import('./sandbox/scenarios/repository.ts'),
        ]);
        applySamples(sandbox.client, [...sampleObjects(), repositorySource(repository), sampleTrigger()]);
        await gateway.filled(stopped.signal);
      },
      stop: async () => stopped.abort(),
    },
    {
      name: 'greeting',
      start: async () => {
        const port = gateway.api?.port() ?? config.port; // there is no demo without the gateway
        const taken = config.port !== 0 && port !== config.port ? config.port : undefined;
        write(
          greeting({
            url: `http${config.tlsCertFile ? 's' : ''}://localhost:${port}`,
            taken,
            credentials:
              config.username === undefined || config.password === undefined
                ? undefined
                : { username: config.username, password: config.password },
            kubeconfig: sandbox.kubeconfigFile,
            repository,
            simulate,
            keep,
            seconds: (clock.now() - startedAt) / 1000,
          }),
        );
      },
      stop: async () => write('\nStopping.\n'),
    },
  ];
}

/**
 * Keeps other demos out of the folder, and takes away what is `passing` at the end: what a demo that was killed left is
 * taken away at the start.
 */
function claimFolder({
  folder,
  process,
  passing,
}: Pick<DemoOptions, 'folder' | 'process'> & { readonly passing: readonly string[] }): Part {
  const claim = join(folder, 'demo.pid');
  const clear = () => Promise.all(passing.map((path) => rm(path, { recursive: true, force: true })));
  return stopAfterStart({
    name: 'folder',
    async start() {
      try {
        await mkdir(folder, { recursive: true, mode: 0o700 });
        const other = Number(await readFile(claim, 'utf8').catch(() => ''));
        // In a container every start may have the same number: then it is the one that was killed.
        if (other > 0 && other !== process.pid && process.isAlive(other)) {
          throw new Fault(
            'refused',
            `a demo runs here already (process ${other}); end it, start this one in another folder, or delete ${claim} if that process is another program`,
          );
        }
        await writeFile(claim, `${process.pid}\n`);
        await clear();
      } catch (error) {
        if (error instanceof Fault) throw error;
        throw new Fault('refused', `${folder} cannot be written: ${(error as Error).message}`, { cause: error });
      }
    },
    async stop() {
      await clear();
      await rm(claim, { force: true });
      await rmdir(folder).catch(() => {}); // others may have put something there
    },
  });
}

/** What is told at the terminal. */
interface Greeting {
  readonly url: string;
  /** The port that was asked for and belongs to another program. */
  readonly taken: number | undefined;
  readonly credentials: { readonly username: string; readonly password: string } | undefined;
  readonly kubeconfig: string;
  /** The git repository that a GitRepository follows. */
  readonly repository: string;
  readonly simulate: boolean;
  readonly keep: boolean;
  readonly seconds: number;
}

function greeting(told: Greeting): string {
  const { url, taken, kubeconfig, repository, simulate, keep, seconds } = told;
  const { username, password } = told.credentials ?? { username: 'NAME', password: 'PASSWORD' };
  const credentials = `-u ${username}:${password}`;
  const who = told.credentials === undefined ? 'callers of AUTH_FILE' : `user ${username}, password ${password}`;
  return [
    '',
    `rungate ${url}   ${who}   (up in ${seconds.toFixed(1)} s)`,
    ...(taken === undefined ? [] : [`Port ${taken} belongs to another program, so this is another one.`]),
    '',
    'Three runs are there. Try, in another terminal:',
    `  curl -N ${credentials} ${url}/logs/slow-build        # streams while it runs, and ends with it`,
    `  curl ${credentials} ${url}/status/green-build        # 200: it succeeded`,
    `  curl ${credentials} '${url}/status/red-build?full=true'   # 400: it failed, and where`,
    `Everything else that it answers: ${url}/docs, in a browser.`,
    '',
    'It is a Kubernetes API with Tekton and Flux to kubectl as well:',
    `  export KUBECONFIG=${shellWord(kubeconfig)}`,
    '  kubectl get pipelineruns,pods',
    '  kubectl create -f examples/hello.yaml',
    `A push to ${repository}`,
    'starts a run of the new commit, because the PipelineTrigger demo follows it:',
    `  git clone ${shellWord(repository)} work && cd work && date > now && git add now && git commit -m now && git push`,
    `  curl ${credentials} ${url}/triggers/default/demo        # names the run; follow it with curl -N and /logs/NAME`,
    '  kubectl get pipelinetrigger demo',
    '',
    simulate
      ? 'No step is run: written scenarios are played.'
      : 'Steps run as processes of this machine; the images they name are ignored.',
    `Ctrl-C ends it${keep ? '; what is there is kept in .rungate/' : ' and leaves nothing behind'}.`,
    '',
  ].join('\n');
}

/** A path as a shell reads it as one word. */
function shellWord(path: string): string {
  return /^[\w./@%+=:,-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}
