/**
 * Creates the runs that listeners order. A run's name says what it is for, so asking again is safe: that it exists is the answer to a
 * try whose own answer was lost, to another replica, or to a delivery before. Any replica does this, so no fence stands before it.
 */
import type { Clock } from '../../clock.ts';
import { Fault, faultOf } from '../../fault.ts';
import type { KubeReader } from '../../kube/client.ts';
import type { Discovery, Wanted } from '../../kube/discovery.ts';
import { type JsonObject, type ObjectRef, objectOf, stringOf, stringsOf } from '../../kube/objects.ts';
import { type KubeWriter, WriteFault, type WriteOptions } from '../../kube/writer.ts';
import { PIPELINE_RUNS, TASK_RUNS } from '../../tekton/resources.ts';
import { KEY_HASH_ANNOTATION } from './identity.ts';
import type { Ledger } from './ledger.ts';
import { toV1 } from './template.ts';
import type { Created, ListenerWorld, RunOrder } from './world.ts';

/** What creating takes. */
export interface RunCreationParts {
  readonly client: Pick<KubeReader, 'get'> & Pick<KubeWriter, 'create'>;
  readonly versions: Discovery;
  readonly ledger: Pick<Ledger, 'enter'>;
  readonly clock: Clock;
}

/** A hook has to be answered in 8 s, and its source was looked at before. */
const DEADLINE_MS = 6_000;
const CALL_MS = 3_000;
const FIRST_RETRY_MS = 200;

const RESOURCES: ReadonlyMap<string, Wanted> = new Map([
  ['PipelineRun', PIPELINE_RUNS],
  ['TaskRun', TASK_RUNS],
]);

/** One request for a run, under one of its names. */
interface Wish {
  readonly manifest: JsonObject;
  readonly run: ObjectRef;
  readonly keyHash: string;
  /** Who creates it; undefined: we do. */
  readonly as: ObjectRef | undefined;
}

/** What one try came to. */
type Tried =
  | Extract<Created, { readonly came: 'created' | 'duplicate' | 'denied' }>
  /** The name is that of a run for something else. */
  | { readonly came: 'taken' }
  /** It may come to something the next time. */
  | { readonly came: 'nothing'; readonly message: string; readonly retryAfterMs: number };

/**
 * Makes the function that creates runs, as the ServiceAccount that the order names, and enters them in the ledger. It tries for 6 s at
 * most, always under the same name, unless that is the name of a run for something else. Rejects with the reason of `signal` alone.
 */
export function createRuns({ client, versions, ledger, clock }: RunCreationParts): ListenerWorld['create'] {
  /** Where a run is created, and as what. One of a version that is no longer served becomes one of version 1. */
  const place = async ({ manifest, run }: Wish): Promise<{ readonly path: string; readonly object: JsonObject }> => {
    const [group = '', version = ''] = (stringOf(manifest.apiVersion) ?? '').split('/');
    const wanted = RESOURCES.get(stringOf(manifest.kind) ?? '');
    if (wanted === undefined || wanted.group !== group)
      throw new Fault('bad-request', 'only runs of Tekton are created');
    const path = await versions.pathOf({ ...wanted, versions: [version] }, run.namespace);
    if (path !== undefined) return { path, object: manifest };
    const pathInV1 = await versions.pathOf({ ...wanted, versions: ['v1'] }, run.namespace);
    if (pathInV1 !== undefined) return { path: pathInV1, object: toV1(manifest) };
    versions.doubt(group);
    throw new Fault('unavailable', `this cluster serves no ${wanted.resource}.${group} now`);
  };

  const ask = async (wish: Wish, options: WriteOptions): Promise<Tried> => {
    const { run, keyHash, as } = wish;
    const { path, object } = await place(wish);
    const named = { ...object, metadata: { ...objectOf(object.metadata), name: run.name } };
    try {
      await client.create(path, named, { ...options, ...(as === undefined ? {} : { as }) });
      return { came: 'created', run };
    } catch (error) {
      if (!(error instanceof WriteFault && error.reason === 'AlreadyExists')) throw error;
    }
    const { metadata } = await client.get(`${path}/${run.name}`, options);
    const isTheSame = stringsOf(objectOf(metadata).annotations)[KEY_HASH_ANNOTATION] === keyHash;
    return isTheSame ? { came: 'duplicate', run } : { came: 'taken' };
  };

  /** Asks until there is an answer, or no time is left for another try. */
  const askOn = async (wish: Wish, until: number, signal: AbortSignal): Promise<Tried> => {
    for (let tries = 1; ; tries++) {
      const timeoutMs = Math.min(CALL_MS, Math.max(1, until - clock.steady()));
      const tried = await ask(wish, { signal, timeoutMs }).catch((error: unknown) => {
        signal.throwIfAborted();
        const fault = faultOf(error);
        // Said of a version that is no longer served, of a run that was deleted just now, and of a namespace that is not there.
        if (fault.code === 'not-found') versions.doubt(PIPELINE_RUNS.group);
        return meaningOf(fault, tries);
      });
      if (tried.came !== 'nothing') return tried;
      const waitMs = Math.max(FIRST_RETRY_MS * 2 ** (tries - 1), tried.retryAfterMs);
      if (clock.steady() + waitMs >= until) return tried;
      await clock.sleep(waitMs, signal);
      signal.throwIfAborted();
    }
  };

  return async (order, signal) => {
    const until = clock.steady() + DEADLINE_MS;
    const names = namesOf(order);
    for (const name of names) {
      const came = await askOn(wishFor(order, name), until, signal);
      if (came.came === 'nothing') return { came: 'unavailable', message: came.message };
      if (came.came === 'taken') continue;
      if (came.came !== 'denied') ledger.enter(order.entry);
      return came;
    }
    return { came: 'collision', message: `taken by runs for something else: ${names.join(', ')}` };
  };
}

/** The names to ask under; where a template names its run, there is one. */
function namesOf({ manifest, secondName }: RunOrder): readonly string[] {
  const first = stringOf(objectOf(manifest.metadata).name) ?? '';
  return secondName === first ? [first] : [first, secondName];
}

function wishFor({ manifest, keyHash, serviceAccount, entry }: RunOrder, name: string): Wish {
  const namespace = stringOf(objectOf(manifest.metadata).namespace) ?? entry.namespace;
  const as = serviceAccount === undefined ? undefined : { namespace: entry.namespace, name: serviceAccount };
  return { manifest, run: { namespace, name }, keyHash, as };
}

/** What it means that the run was not created, or cannot be told from another one. Throws what is our own mistake. */
function meaningOf(fault: Fault, tries: number): Tried {
  const { code, message, retryAfterMs = 0 } = fault;
  const said = fault instanceof WriteFault && fault.said !== '' ? fault.said : message;
  const isUnknown = fault instanceof WriteFault && fault.status === 401;
  switch (code) {
    case 'internal':
      throw fault;
    case 'bad-request':
      return { came: 'denied', said };
    case 'not-found':
      return tries > 1 ? { came: 'denied', said } : { came: 'nothing', message, retryAfterMs };
    case 'refused':
      // Whoever is not known, or asks somebody who cannot be trusted, is not refused for what they ask.
      if (fault instanceof WriteFault && !isUnknown) return { came: 'denied', said };
      return { came: 'nothing', message, retryAfterMs };
    default:
      return { came: 'nothing', message, retryAfterMs };
  }
}
