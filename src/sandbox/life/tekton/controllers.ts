/**
 * Tekton's controllers: they watch runs and pods, and look at each run whenever something near it has changed or its time
 * is over. An event only says where to look; what is decided comes from how things are then.
 */
import { randomInt } from 'node:crypto';
import type { Clock } from '../../../clock.ts';
import type { Part } from '../../../lifecycle.ts';
import type { Log } from '../../../log.ts';
import type { ApiClient, WatchEvent } from '../../api/client.ts';
import { StatusError } from '../../status.ts';
import { DueKeys } from './duekeys.ts';
import { createTeller } from './events.ts';
import { lookUp } from './lookup.ts';
import type { DueAt } from './perform.ts';
import { performPipelineRun, performTaskRun } from './perform.ts';
import { decidePipelineRun } from './pipelinerun.ts';
import { decideTaskRun } from './taskrun.ts';
import type { PipelineRun, TaskRun } from './types.ts';
import { as, customRuns, pipelineRuns, pods, taskRuns } from './types.ts';

/** What the controllers need. */
export interface ControllersOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly log: Log;
}

/** The first wait after a failed look; it doubles with each that follows. */
const RETRY_MS = 5;
/** The longest wait after a failed look. */
const LONGEST_RETRY_MS = 30_000;
/** The longest that a timer can wait. */
const FOREVER_MS = 2_147_483_647;
/** Runs that say so are somebody else's to move. */
const OURS = 'tekton.dev/pipeline';

/** Makes PipelineRuns and TaskRuns live. Their kinds must be served before it starts; it leaves no timer behind. */
export function createTektonControllers({ client, clock, log }: ControllersOptions): Part {
  const due = new DueKeys();
  const failures = new Map<string, number>();
  const teller = createTeller(client, { clock, log });
  const stopping = new AbortController();
  let ring = () => {};
  let unwatch: (() => void)[] = [];
  let loop = Promise.resolve();

  function nudge(key: string, at = clock.now()): void {
    due.add(key, at);
    ring();
  }

  function nudgeOwners({ object }: WatchEvent, kind: string): void {
    for (const owner of object.metadata.ownerReferences ?? []) {
      if (owner.kind === kind && owner.controller === true)
        nudge(keyOf(kind, object.metadata.namespace ?? '', owner.name));
    }
  }

  function onRun(kind: 'PipelineRun' | 'TaskRun', event: WatchEvent): void {
    const { namespace = '', name, uid } = event.object.metadata;
    nudgeOwners(event, 'PipelineRun');
    if (event.type === 'DELETED') teller.forget(uid);
    else nudge(keyOf(kind, namespace, name));
  }

  function look(key: string): DueAt {
    const [kind = '', namespace = '', name = ''] = key.split('/');
    const resource = kind === 'PipelineRun' ? pipelineRuns : taskRuns;
    const object = client.get(resource, namespace, name);
    if (object === undefined || object.metadata.deletionTimestamp !== undefined) return undefined;
    const lookup = lookUp(client, namespace);
    const now = clock.now();
    const hands = { client, teller, now };
    if (kind === 'PipelineRun') {
      const run = as<PipelineRun>(object);
      if ((run.spec.managedBy ?? OURS) !== OURS) return undefined;
      return performPipelineRun(run, decidePipelineRun({ run, lookup, now }), hands);
    }
    const run = as<TaskRun>(object);
    if ((run.spec.managedBy ?? OURS) !== OURS) return undefined;
    return performTaskRun(run, decideTaskRun({ run, lookup, now, suffix }), hands);
  }

  /** Looks at one run. A look that fails is repeated: soon at first, then less and less often. */
  function lookSafely(key: string): void {
    try {
      const dueAt = look(key);
      failures.delete(key);
      if (dueAt !== undefined) due.add(key, dueAt);
    } catch (error) {
      const count = failures.get(key) ?? 0;
      failures.set(key, count + 1);
      due.add(key, clock.now() + Math.min(RETRY_MS * 2 ** count, LONGEST_RETRY_MS));
      const isExpected = error instanceof StatusError;
      if (isExpected) log.debug('a run could not be moved yet', { key, error: error.message });
      else
        log.error('a run could not be moved', {
          key,
          error: error instanceof Error ? (error.stack ?? error.message) : String(error),
        });
    }
  }

  async function work(): Promise<void> {
    while (!stopping.signal.aborted) {
      const key = due.take(clock.now());
      if (key !== undefined) {
        lookSafely(key);
        await yieldToOthers();
        continue;
      }
      const bell = new AbortController();
      ring = () => bell.abort();
      const { nextAt } = due;
      const wait = nextAt === undefined ? FOREVER_MS : Math.min(Math.max(0, nextAt - clock.now()), FOREVER_MS);
      await clock.sleep(wait, AbortSignal.any([bell.signal, stopping.signal]));
    }
  }

  return {
    name: 'tekton controllers',
    async start() {
      unwatch = [
        client.watch(pipelineRuns, {}, (event) => onRun('PipelineRun', event)),
        client.watch(taskRuns, {}, (event) => onRun('TaskRun', event)),
        client.watch(customRuns, {}, (event) => nudgeOwners(event, 'PipelineRun')),
        client.watch(pods, { labels: 'tekton.dev/taskRun' }, (event) => nudgeOwners(event, 'TaskRun')),
      ];
      loop = work();
    },
    async stop() {
      for (const end of unwatch) end();
      stopping.abort();
      await loop;
    },
  };
}

function keyOf(kind: string, namespace: string, name: string): string {
  return `${kind}/${namespace}/${name}`;
}

/** Five characters of the alphabet that Kubernetes makes names of. */
function suffix(): string {
  const alphabet = 'bcdfghjklmnpqrstvwxz2456789';
  return Array.from({ length: 5 }, () => alphabet[randomInt(alphabet.length)]).join('');
}

function yieldToOthers(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
