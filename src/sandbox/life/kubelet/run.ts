/** One run of a container, made from its pod: folders, environment, log, and what it does. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../../clock.ts';
import type { ApiClient } from '../../api/client.ts';
import { parseQuantity } from '../../core/quantity.ts';
import { parseEntrypoint } from '../entrypoint.ts';
import { runBody } from './body.ts';
import type { Changes } from './changes.ts';
import { environmentOf, expand, type PodPlace } from './environment.ts';
import { launch, type Stopping } from './launch.ts';
import { readLeft } from './leftfile.ts';
import type { LogFile } from './logfile.ts';
import { readLog } from './logread.ts';
import { containerPaths } from './mounts.ts';
import type { Container, Pod } from './pod.ts';
import type { StartProcess } from './process.ts';
import { play } from './scenario.ts';
import type { ContainerEnd } from './step.ts';

/** A run that can begin. */
export interface Run {
  /** 64 hexadecimal digits. */
  readonly id: string;
  /** Runs it to its end, which `stopping` can bring about; `started` is called when it runs, if it ever does. Called once. */
  body(stopping: Stopping, started: () => void): Promise<RunEnd>;
}

/** How it ended, and the message it left. */
export interface RunEnd extends ContainerEnd {
  readonly message?: string | undefined;
}

/** Makes a run. Throws a ConfigError when something it needs is missing. */
export type RunContainer = (
  pod: Pod,
  container: Container,
  about: { readonly id: string; readonly changes: Changes },
) => Run;

/** What bounds every container, unless it says less itself. */
export interface RunLimits {
  readonly memoryBytes: number;
  readonly outputBytes: number;
  readonly activeMs: number;
}

/** What runs are made with. */
export interface RunParts {
  readonly client: Pick<ApiClient, 'get'>;
  readonly clock: Clock;
  /** Runs programs; undefined plays scenarios instead. */
  readonly start: StartProcess | undefined;
  readonly limits: RunLimits;
  /** Where programs are looked for. */
  readonly searchPath: string;
  place(pod: Pod): PodPlace;
  /** The pod's own folder, and those of its volumes and logs. */
  podFolder(pod: Pod): string;
  volumeFolder(pod: Pod, name: string): string;
  /** The log of a run that begins; it is closed when the run has ended. */
  openLog(pod: Pod, container: string, containerId: string): LogFile;
}

/** Messages that are read back from the log are at most this long. */
const FALLBACK_BYTES = 2048;
const FALLBACK_LINES = 80;
const MESSAGE_BYTES = 4096;

/** Makes runs of containers with `parts`. */
export function createRunner(parts: RunParts): RunContainer {
  return (pod, container, about) => makeRun(pod, container, about, parts);
}

function makeRun(
  pod: Pod,
  container: Container,
  { id, changes }: { readonly id: string; readonly changes: Changes },
  parts: RunParts,
): Run {
  const { client, clock, limits } = parts;
  const own = join(parts.podFolder(pod), 'containers', container.name);
  const variables = environmentOf(pod, container, client, parts.place(pod));
  const paths = containerPaths(container, {
    root: join(own, 'root'),
    volume: (name) => parts.volumeFolder(pod, name),
    expand: (text) => expand(text, variables),
  });
  const isStep = parseEntrypoint(container.command, container.args) !== undefined;
  const base = new Map([
    ['PATH', parts.searchPath],
    ['HOME', homeOf(container, paths.resolve)],
    ['TMPDIR', join(own, 'tmp')],
    ['LANG', 'C.UTF-8'],
    ['HOSTNAME', pod.spec.hostname ?? pod.metadata.name],
  ]);

  async function body(stopping: Stopping, started: () => void): Promise<RunEnd> {
    rmSync(join(own, 'root'), { recursive: true, force: true }); // a container starts from its image each time
    for (const name of ['HOME', 'TMPDIR']) mkdirSync(base.get(name) ?? own, { recursive: true });
    const messageFile = paths.resolve(container.terminationMessagePath ?? '/dev/termination-log');
    mkdirSync(join(messageFile, '..'), { recursive: true });
    rmSync(messageFile, { force: true });
    const log = parts.openLog(pod, container.name, `containerd://${id}`);
    const end = await runBody(stopping, {
      container,
      variables,
      paths,
      log,
      clock,
      changes,
      started,
      volume: (name) => parts.volumeFolder(pod, name),
      launch: (command, environment, stops, { asks, copies, results, onStart }) =>
        parts.start === undefined
          ? play(pod, container, stops, { clock, log, paths, results, onStart })
          : launch(
              command,
              environment,
              stops,
              {
                start: parts.start,
                paths,
                log,
                base,
                scratch: join(own, 'scripts'),
                workingDir: container.workingDir ?? (isStep ? '/workspace' : '/'),
                asks,
                onStart,
                ...boundsOf(container, limits),
              },
              copies,
            ),
    }).catch((error: unknown): ContainerEnd => {
      log.say('stderr', `sandbox: ${error instanceof Error ? error.message : error}`);
      return { exitCode: 128, startError: `the sandbox could not run it: ${error}` };
    });
    log.close();
    return { ...end, message: await messageOf(container, end, messageFile, log) };
  }

  return { id, body };
}

/** The container's own limit of memory where it names one. */
function boundsOf({ resources }: Container, { memoryBytes, outputBytes, activeMs }: RunLimits): RunLimits {
  const limit = resources?.limits?.memory;
  const own = limit === undefined ? 0 : Number((parseQuantity(limit)?.nanos ?? 0n) / 1_000_000_000n);
  return { memoryBytes: own || memoryBytes, outputBytes, activeMs };
}

/** Tekton's home where it is mounted, as it was for every step once; else a home of the container's own. */
function homeOf({ volumeMounts }: Container, resolve: (path: string) => string): string {
  return resolve(volumeMounts?.some(({ mountPath }) => mountPath === '/tekton/home') ? '/tekton/home' : '/root');
}

/** https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/ */
async function messageOf(
  container: Container,
  end: ContainerEnd,
  file: string,
  log: LogFile,
): Promise<string | undefined> {
  const written = readLeft(file, MESSAGE_BYTES);
  if (written) return written;
  if (container.terminationMessagePolicy !== 'FallbackToLogsOnError' || end.exitCode === 0) return undefined;
  const chunks: Buffer[] = [];
  const wish = { follow: false, timestamps: false, since: undefined, tailLines: FALLBACK_LINES, limitBytes: undefined };
  for await (const chunk of readLog(log, wish, new AbortController().signal)) chunks.push(chunk);
  return Buffer.concat(chunks).subarray(-FALLBACK_BYTES).toString() || undefined;
}
