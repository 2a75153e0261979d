/**
 * Written scenarios: what a container does when no process may run (`--simulate`). Data, so that another one is one more
 * entry. Chosen by the annotation `sandbox.rungate.dev/scenario` of the pod, which Tekton passes on from a run: the name of a
 * scenario for every step, or `compile=red,test=slow` by step; else by a step of a scenario's name; else `green`, and for
 * sidecars `server`.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, posix } from 'node:path';
import type { Clock } from '../../../clock.ts';
import type { Launched, Stopping } from './launch.ts';
import type { LogFile, Stream } from './logfile.ts';
import type { ContainerPaths } from './mounts.ts';
import type { Container, Pod } from './pod.ts';

/** One container's life. */
export interface Scenario {
  readonly lines: readonly ScenarioLine[];
  /** `server` goes on until it is asked to end. */
  readonly end: { readonly exitCode: number } | 'out-of-memory' | 'server';
  /** By name; a result that the Task declares and the scenario does not name is `simulated`. */
  readonly results?: { readonly [name: string]: string };
}

/** A line and how long it takes to come. `{step}` in it is the container's name without its prefix. */
export interface ScenarioLine {
  readonly afterMs: number;
  readonly text: string;
  readonly stream?: Stream;
}

/** The annotation that chooses. */
const scenarioAnnotation = 'sandbox.rungate.dev/scenario';

/** Those that are always there. */
export const scenarios: { readonly [name: string]: Scenario } = {
  green: {
    lines: [
      { afterMs: 100, text: '{step}: begins (simulated: no process runs)' },
      { afterMs: 400, text: '{step}: half way' },
      { afterMs: 400, text: '{step}: done' },
    ],
    end: { exitCode: 0 },
  },
  red: {
    lines: [
      { afterMs: 100, text: '{step}: begins (simulated: no process runs)' },
      { afterMs: 400, text: '{step}: error: this scenario fails', stream: 'stderr' },
    ],
    end: { exitCode: 1 },
  },
  slow: {
    lines: Array.from({ length: 60 }, (_, place) => ({ afterMs: 1_000, text: `{step}: ${place + 1} of 60` })),
    end: { exitCode: 0 },
  },
  'out-of-memory': {
    lines: [{ afterMs: 200, text: '{step}: takes all memory there is' }],
    end: 'out-of-memory',
  },
  server: { lines: [{ afterMs: 50, text: '{step}: serves' }], end: 'server' },
};

/** What a scenario is played with. */
export interface PlayParts {
  readonly clock: Clock;
  readonly log: LogFile;
  readonly paths: ContainerPaths;
  /** Files of the container in which results are expected. */
  readonly results: readonly string[];
  onStart(): void;
}

/** Plays the scenario of a container to its end, or to when it is stopped. One that does not exist fails and says so. */
export async function play(pod: Pod, container: Container, stopping: Stopping, parts: PlayParts): Promise<Launched> {
  const { clock, log, paths } = parts;
  parts.onStart();
  const step = stepOf(container);
  const name = scenarioNameOf(pod, container);
  const scenario = scenarios[name];
  if (scenario === undefined) {
    log.say(
      'stderr',
      `sandbox: there is no scenario ${JSON.stringify(name)}, only ${Object.keys(scenarios).join(', ')}`,
    );
    return ended({ code: 1 });
  }
  const stopped = AbortSignal.any([stopping.term, stopping.kill]);
  for (const { afterMs, text, stream = 'stdout' } of scenario.lines) {
    await clock.sleep(afterMs, stopped);
    if (stopped.aborted) return ended({ signal: stopping.kill.aborted ? 9 : 15 });
    log.say(stream, text.replaceAll('{step}', step));
  }
  if (scenario.end === 'server') {
    await new Promise<void>((resolve) => {
      if (stopped.aborted) resolve();
      else stopped.addEventListener('abort', () => resolve(), { once: true });
    });
    return ended({ signal: stopping.kill.aborted ? 9 : 15 });
  }
  if (scenario.end === 'out-of-memory') return ended({ signal: 9, broke: 'memory' });
  for (const path of parts.results) {
    const file = paths.resolve(path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, scenario.results?.[posix.basename(path)] ?? 'simulated');
  }
  return ended({ code: scenario.end.exitCode });
}

function ended(end: { readonly code?: number; readonly signal?: number; readonly broke?: 'memory' }): Launched {
  return { at: 'ended', code: end.code, signal: end.signal, broke: end.broke, starved: false };
}

function scenarioNameOf({ metadata }: Pod, container: Container): string {
  const step = stepOf(container);
  const asked = metadata.annotations?.[scenarioAnnotation];
  if (asked !== undefined && !asked.includes('=')) return asked;
  const byStep = asked?.split(',').map((choice) => choice.trim().split('='));
  const chosen = byStep?.find(([name]) => name === step)?.[1];
  if (chosen !== undefined) return chosen;
  if (step in scenarios) return step;
  return container.name.startsWith('sidecar-') ? 'server' : 'green';
}

function stepOf({ name }: Container): string {
  return name.replace(/^(?:step|sidecar)-/, '');
}
