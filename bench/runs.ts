/** The runs that are measured, and how they are brought to where they are measured. */
import type { PodManifest, World } from '../test/support/world.ts';

/** A PipelineRun of one task, `only`, with one step, `step-say`, that runs `script`. */
export function manifestOf(name: string, script: string): object {
  const step = { name: 'say', image: 'docker.io/library/busybox:1', script };
  return {
    apiVersion: 'tekton.dev/v1',
    kind: 'PipelineRun',
    metadata: { name },
    spec: { pipelineSpec: { tasks: [{ name: 'only', taskSpec: { steps: [step] } }] } },
  };
}

/** As YAML, which JSON is; it has lines, so that it is not taken for the name of a file. */
function oneStep(name: string, script: string): string {
  return JSON.stringify(manifestOf(name, script), undefined, 1);
}

/** Where a run's one container is. */
export interface Speaker {
  readonly run: string;
  /** Path of its log at the API server, without options. */
  readonly logPath: string;
}

/** Starts a run of one step and resolves when it has succeeded. */
export async function finishedRun(world: World, name: string, script: string): Promise<Speaker> {
  const run = await world.run(oneStep(name, script));
  const { status, message } = await world.finished(run);
  if (status !== 'True') throw new Error(`run ${run} did not succeed: ${message}`);
  return speakerOf(world, run, await world.podOf(run, 'only'));
}

/** Starts a run of one step and resolves when its pod runs; it is over with `cancel`. */
export async function speakingRun(world: World, name: string, script: string): Promise<Speaker> {
  const run = await world.run(oneStep(name, script));
  return speakerOf(world, run, await world.podOf(run, 'only'));
}

/** Cancels a run and waits for its end, so that it does not disturb what is measured next. */
export async function cancel(world: World, { run }: Speaker): Promise<void> {
  await world.patch(run, { spec: { status: 'Cancelled' } });
  await world.finished(run);
}

function speakerOf({ namespace }: World, run: string, { metadata }: PodManifest): Speaker {
  return { run, logPath: `/api/v1/namespaces/${namespace}/pods/${metadata.name}/log?container=step-say` };
}
