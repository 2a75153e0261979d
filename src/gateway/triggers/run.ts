/** `POST /triggers/:namespace/:trigger/run`: the current event once more, for callers who may ask for that. */
import type { Request } from 'express';
import { Fault } from '../../fault.ts';
import type { KubeReader } from '../../kube/client.ts';
import { type ObjectRef, objectOf } from '../../kube/objects.ts';
import type { KubeWriter } from '../../kube/writer.ts';
import type { Log } from '../../log.ts';
import { RUN_AT_ANNOTATION, triggerPath } from '../../triggers/names.ts';
import { judgeRequest, runAtOf } from '../../triggers/runat.ts';
import { sendJson } from '../answer.ts';
import { auditRunAsked } from '../callers/audit.ts';
import { requireRead, requireRun, type ServedNamespaces } from '../callers/auth.ts';
import { runAskedSchema } from '../described/schemas/triggers.ts';
import { callerOf } from '../notes.ts';
import { type Operation, type Route, whereReading } from '../operation.ts';
import { optionReader, triggerRef } from '../options.ts';

/** What the route is made of. */
export interface TriggerRunParts {
  readonly reader: Pick<KubeReader, 'get'>;
  /** Not fenced: any replica may write what is asked for, and the one that leads does it. */
  readonly writer: Pick<KubeWriter, 'patch'>;
  readonly served: ServedNamespaces;
  readonly log: Log;
}

/** `/triggers/:namespace/:trigger/run` as a value. */
const runOperation = {
  id: 'runTrigger',
  method: 'post',
  path: '/triggers/:namespace/:trigger/run',
  tag: 'triggers',
  summary: 'Runs the current event of a trigger once more',
  description:
    'For callers to whom ACCESS_FILE gives `run`. The answer comes before the run, which `/runs/:namespace?eventId=` finds by the `eventID` of the answer when it is there; `/triggers/:namespace/:trigger` tells what it waits for. Where the source may hold something newer than it has told, Flux is asked to look first, and what it finds is run instead. A trigger that has had no event waits for one. While one run is asked for and not begun another is refused with 409.',
  options: {},
  headers: ['Idempotency-Key'],
  answers: {
    202: {
      description: 'It is asked for',
      headers: ['Location'],
      content: { 'application/json': { schema: runAskedSchema } },
    },
  },
  problems: [...whereReading, 'conflict'],
} as const satisfies Operation;

/** Others may write at the same time. */
const MOST_ROUNDS = 5;
const KEY = /^[!-~]{1,255}$/;

/** Route `POST /triggers/:namespace/:trigger/run`. */
export function triggerRunRoutes({ reader, writer, served, log }: TriggerRunParts): readonly Route[] {
  const readNone = optionReader(runOperation.options);
  return [
    {
      operation: runOperation,
      handler: async (request, response) => {
        readNone(request.url);
        const trigger = triggerRef(request.params);
        const caller = callerOf(request);
        requireRead(caller, trigger.namespace, served);
        requireRun(caller, trigger.namespace);
        const runAt = runAtOf(caller.name, trigger, keyOf(request));
        const gone = new AbortController();
        response.once('close', () => gone.abort());
        const asked = await askForRun(trigger, runAt, { reader, writer }, gone.signal);
        auditRunAsked(log, request, trigger, asked);
        if (response.destroyed) return;
        const { namespace, name } = trigger;
        const body = { namespace, name, eventID: runAt, runAt, asked };
        sendJson(request, response, 202, body, ['Location', `/triggers/${namespace}/${name}`]);
      },
    },
  ];
}

/**
 * A key makes a request that is sent again the same one. It is a guard as well: a page of another origin can make the browser of a caller
 * post here with the credentials that it remembers, but no header of its own without having asked.
 * https://fetch.spec.whatwg.org/#cors-safelisted-request-header
 */
function keyOf({ headers }: Request): string {
  const key = headers['idempotency-key'];
  if (key === undefined)
    throw new Fault('bad-request', 'header Idempotency-Key is missing: give this run a text of its own');
  if (typeof key === 'string' && KEY.test(key)) return key;
  throw new Fault('bad-request', 'header Idempotency-Key is not valid: write up to 255 characters without blanks');
}

/** Writes down that a run is asked for; `before`: it was, and is not asked for again. */
async function askForRun(
  trigger: ObjectRef,
  runAt: string,
  { reader, writer }: Pick<TriggerRunParts, 'reader' | 'writer'>,
  signal: AbortSignal,
): Promise<'now' | 'before'> {
  for (let round = 1; ; round++) {
    const raw = await explained(() => reader.get(triggerPath(trigger), { signal }));
    const judged = judgeRequest(raw, runAt);
    if (judged === 'asked') return 'before';
    if (judged === 'suspended') throw new Fault('conflict', 'the trigger is suspended: it runs nothing');
    if (judged === 'taken') {
      throw new Fault('conflict', 'another run of this trigger was asked for and has not begun: ask when it has');
    }
    const { resourceVersion } = objectOf(raw.metadata);
    const metadata = { annotations: { [RUN_AT_ANNOTATION]: runAt }, resourceVersion };
    try {
      await explained(() => writer.patch(triggerPath(trigger), { metadata }, { signal }));
      return 'now';
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== 'conflict' || round === MOST_ROUNDS) throw error;
    }
  }
}

/** In words of this API: what Kubernetes says is about rungate, not about whoever asks. */
async function explained<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    if (!(cause instanceof Fault)) throw cause;
    if (cause.code === 'not-found') throw new Fault('not-found', 'trigger not found', { cause });
    if (cause.code !== 'refused') throw cause;
    throw new Fault('refused', 'rungate may not ask for runs: the rights for it are in k8s/components/triggers-run', {
      cause,
    });
  }
}
