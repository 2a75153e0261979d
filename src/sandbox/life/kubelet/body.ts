/**
 * What a container does from its start to its end: run a program, or be one of Tekton's own, which are known by their
 * commands and done here, because the sandbox has none of their images.
 */
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import type { Clock } from '../../../clock.ts';
import {
  entrypointImagePath,
  type PlacedScript,
  parseEntrypoint,
  parsePlacedScripts,
  workingDirInitPath,
} from '../entrypoint.ts';
import type { Changes } from './changes.ts';
import { type Environment, expand } from './environment.ts';
import { isNop } from './image.ts';
import type { Copies, Launched, Stopping } from './launch.ts';
import type { LogFile } from './logfile.ts';
import type { ContainerPaths } from './mounts.ts';
import type { Container } from './pod.ts';
import { type ContainerEnd, goLogLine, runStep, type StepParts } from './step.ts';

/** What a container is run with. */
export interface BodyParts {
  readonly container: Container;
  readonly variables: Environment;
  readonly paths: ContainerPaths;
  readonly log: LogFile;
  readonly clock: Clock;
  readonly changes: Changes;
  /** To be called when the container runs. */
  started(): void;
  /** The folder that stands for one of the pod's volumes. */
  volume(name: string): string;
  launch(
    command: readonly string[],
    variables: Environment,
    stopping: Stopping,
    about: {
      readonly asks: 'first' | 'all';
      readonly copies: Copies;
      /** Files of the container in which results are expected. */
      readonly results: readonly string[];
      onStart(): void;
    },
  ): Promise<Launched>;
}

/** Why a container without a command cannot even be made, as the runtime says it. */
export const noCommand =
  'failed to generate spec: no command specified (the sandbox has no images, so a container must name its command)';

/** Can it be made at all? */
export function hasCommand({ command, args, image = '' }: Container): boolean {
  return (command?.length ?? 0) > 0 || isNop(image) || (args?.length ?? 0) > 0;
}

/** Runs a container to its end; `stopping` is what it is sent. Rejects only for what the sandbox itself cannot do. */
export async function runBody(stopping: Stopping, parts: BodyParts): Promise<ContainerEnd> {
  const { container, variables, started } = parts;
  const expanded = (words: readonly string[] = []) => words.map((word) => expand(word, variables));
  const [command, args] = [expanded(container.command), expanded(container.args)];
  const own = tektonsOwn(command, args, stopping, parts);
  if (own !== undefined) {
    started();
    return own();
  }
  const about = { asks: 'first', copies: {}, results: [], onStart: started } as const;
  const launched = await parts.launch([...command, ...args], variables, stopping, about);
  return endOf(launched, stopping.term.aborted);
}

/** What a container of Tekton's does; undefined when it runs a program. */
function tektonsOwn(
  command: readonly string[],
  args: readonly string[],
  stopping: Stopping,
  parts: BodyParts,
): (() => Promise<ContainerEnd> | ContainerEnd) | undefined {
  if (isNop(parts.container.image ?? '')) return () => runNop(parts.container, parts);
  const entrypoint = parseEntrypoint(command, args);
  if (entrypoint !== undefined) {
    const results = [
      ...(entrypoint.results ?? []).map((name) => `/tekton/results/${name}`),
      ...(entrypoint.stepResults ?? []).map((name) => posix.join(entrypoint.stepMetadataDir, 'results', name)),
    ];
    const launch: StepParts['launch'] = (words, environment, stops, copies) =>
      parts.launch(words, environment, stops, { asks: 'all', copies, results, onStart() {} });
    return () => runStep(entrypoint, stopping, { ...parts, launch });
  }
  const scripts = command.length === 1 && command[0] === 'sh' ? parsePlacedScripts(args) : undefined;
  if (scripts !== undefined) return () => placeScripts(scripts, parts);
  const [program, subcommand, ...rest] = [...command, ...args];
  // init <entrypoint> <copy> <step> ...
  if (program === entrypointImagePath && subcommand === 'init') return () => initSteps(rest.slice(2), parts);
  return program === workingDirInitPath ? () => makeWorkingDirs([subcommand ?? '', ...rest], parts) : undefined;
}

/** A container's exit code from how its program ended. */
function endOf(launched: Launched, wasAsked: boolean): ContainerEnd {
  switch (launched.at) {
    case 'literal':
      return { exitCode: 1 };
    case 'missing': {
      const { program, path, why } = launched;
      const sentence = path ? `stat ${program}: ${why}` : why;
      return {
        exitCode: 128,
        startError:
          'failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: ' +
          `unable to start container process: exec: ${JSON.stringify(program)}: ${sentence}: unknown`,
      };
    }
    case 'ended': {
      const { broke, signal, starved } = launched;
      if (broke !== undefined) return { exitCode: 137, outOfMemory: broke === 'memory' };
      // In a container it would be process 1, which no signal ends that it does not catch: it would have been killed.
      if (wasAsked && signal === 15) return { exitCode: 137 };
      return { exitCode: launched.code ?? 128 + (signal ?? 0), outOfMemory: starved };
    }
  }
}

/** What Tekton puts in a sidecar's place in order to stop it: it ends at once, and fails where it was given a command. */
function runNop({ command }: Container, { log, clock }: BodyParts): ContainerEnd {
  if (command?.length) return { exitCode: 1 };
  log.say('stderr', goLogLine(clock.now(), 'Exiting...'));
  return { exitCode: 0 };
}

/** Links /tekton/steps/<name> and /tekton/steps/<index> to where each step leaves its data. */
function initSteps(steps: readonly string[], { paths, volume, log, clock }: BodyParts): ContainerEnd {
  const folder = paths.resolve('/tekton/steps');
  mkdirSync(folder, { recursive: true });
  for (const [index, step] of steps.entries()) {
    for (const name of [step, String(index)]) {
      const link = join(folder, name);
      rmSync(link, { force: true });
      symlinkSync(join(volume(`tekton-internal-run-${index}`), 'status'), link);
    }
  }
  log.say('stderr', goLogLine(clock.now(), 'Entrypoint initialization'));
  return { exitCode: 0 };
}

/** Writes scripts as they are: their paths are resolved by the container that runs them. */
function placeScripts(scripts: readonly PlacedScript[], { paths, log, clock }: BodyParts): ContainerEnd {
  for (const { file, text } of scripts) {
    const place = paths.resolve(file);
    mkdirSync(dirname(place), { recursive: true });
    writeFileSync(place, text, { mode: 0o755 });
    log.say('stderr', goLogLine(clock.now(), `Decoded script ${file}`));
  }
  return { exitCode: 0 };
}

function makeWorkingDirs(folders: readonly string[], { container, paths }: BodyParts): ContainerEnd {
  for (const folder of folders)
    mkdirSync(paths.folder(folder, container.workingDir ?? '/workspace'), { recursive: true });
  return { exitCode: 0 };
}
