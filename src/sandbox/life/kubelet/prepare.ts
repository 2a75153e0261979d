/** From a container of a pod to a run that can begin: its image, its configuration, its command; tried until it succeeds. */
import type { Clock } from '../../../clock.ts';
import { hasCommand, noCommand } from './body.ts';
import { ConfigError } from './environment.ts';
import type { Told } from './events.ts';
import { judgeImage } from './image.ts';
import type { Container } from './pod.ts';
import type { Run } from './run.ts';

/** What is needed for it. */
export interface PrepareParts {
  readonly clock: Clock;
  /** The container as its pod has it now: one whose image cannot be pulled may be given another. */
  current(): Container;
  /** Throws a ConfigError when something that the container refers to is missing. */
  make(container: Container): Run;
  /** Writes an Event about the container. */
  tell(told: Told): void;
  /** Says in the container's status what it waits for. */
  wait(reason: string, message: string): void;
}

const FIRST_BACKOFF_MS = 10_000;
const LONGEST_BACKOFF_MS = 300_000;
/** The kubelet looks about every ten seconds whether what was missing is there. */
const TRIED_AGAIN_AFTER_MS = 10_000;
/** A failed pull is seen as such for about a second before it is seen to be backed off. */
const FAILED_FOR_MS = 1_000;

/** Answers the run, or undefined when `term` aborted before there was one. */
export async function prepareRun(term: AbortSignal, parts: PrepareParts): Promise<Run | undefined> {
  for (let backoff = FIRST_BACKOFF_MS; !term.aborted; ) {
    const container = parts.current();
    const { image = '' } = container;
    const verdict = judgeImage(image);
    switch (verdict.at) {
      case 'unpullable':
        await failToPull(image, verdict.message, backoff, term, parts);
        backoff = Math.min(backoff * 2, LONGEST_BACKOFF_MS);
        continue;
      case 'invalid':
        parts.tell({ type: 'Warning', reason: 'InspectFailed', message: verdict.message });
        parts.tell({ type: 'Warning', reason: 'Failed', message: 'Error: InvalidImageName' });
        parts.wait('InvalidImageName', verdict.message);
        break;
      case 'present': {
        const message = `Container image ${JSON.stringify(image)} already present on machine`;
        parts.tell({ type: 'Normal', reason: 'Pulled', message });
        const run = make(container, parts);
        if (run !== undefined) return run;
      }
    }
    await parts.clock.sleep(TRIED_AGAIN_AFTER_MS, term);
  }
  return undefined;
}

async function failToPull(
  image: string,
  why: string,
  backoff: number,
  term: AbortSignal,
  { clock, tell, wait }: PrepareParts,
): Promise<void> {
  const quoted = JSON.stringify(image);
  tell({ type: 'Normal', reason: 'Pulling', message: `Pulling image ${quoted}` });
  tell({ type: 'Warning', reason: 'Failed', message: `Failed to pull image ${quoted}: ${why}` });
  tell({ type: 'Warning', reason: 'Failed', message: 'Error: ErrImagePull' });
  wait('ErrImagePull', why);
  await clock.sleep(FAILED_FOR_MS, term);
  if (term.aborted) return;
  tell({ type: 'Normal', reason: 'BackOff', message: `Back-off pulling image ${quoted}` });
  tell({ type: 'Warning', reason: 'Failed', message: 'Error: ImagePullBackOff' });
  wait('ImagePullBackOff', `Back-off pulling image ${quoted}: ErrImagePull: ${why}`);
  await clock.sleep(backoff, term);
}

/** The run; undefined after having said why there is none. */
function make(container: Container, parts: PrepareParts): Run | undefined {
  const refuse = (reason: string, message: string) => {
    parts.tell({ type: 'Warning', reason: 'Failed', message: `Error: ${message}` });
    parts.wait(reason, message);
    return undefined;
  };
  if (!hasCommand(container)) return refuse('CreateContainerError', noCommand);
  try {
    return parts.make(container);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return refuse('CreateContainerConfigError', error.message);
  }
}
