/** The facts about one trigger: from the stores, and where those cannot know, from the API server. */
import { Fault } from '../../fault.ts';
import { projectSource } from '../../flux/project.ts';
import type { Source, SourceKind } from '../../flux/types.ts';
import type { KubeReader } from '../../kube/client.ts';
import { type ObjectRef, present } from '../../kube/objects.ts';
import { projectPipelineRun } from '../../tekton/project.ts';
import type { PipelineRun } from '../../tekton/types.ts';
import { triggerPath } from '../../triggers/names.ts';
import { type StoredEvent, storedEventsIn, storedEventsPath } from '../../triggers/told.ts';
import type { TriggerCaches } from './caches.ts';
import { missingSource, type SourceTrouble } from './conditions.ts';
import type { CredentialFact, Look, Tried, TriggerFacts } from './facts.ts';
import { type CredentialRef, type PipelineTrigger, pipelineOf, projectTrigger, type TriggerSpec } from './resource.ts';
import { readStanding, type Standing } from './status.ts';

/** Finds the path of a run. */
export type RunPath = (run: ObjectRef) => Promise<string>;

/** Finds the path of a source; undefined where the cluster does not serve its kind. */
export type SourcePath = (kind: SourceKind, source: ObjectRef) => Promise<string | undefined>;

/** What gathering asks. */
export interface GatherParts {
  readonly reader: KubeReader;
  readonly caches: TriggerCaches;
  /** The path of a run, in a version that the cluster serves. Faults as `KubeReader.get`. */
  readonly runPath: RunPath;
  /** The path of a source, likewise. */
  readonly sourcePath: SourcePath;
  /** What a ManagedCredential gives to runs in a namespace; absent: they are not looked after here. */
  readonly credentialOf?: (ref: CredentialRef, namespace: string) => CredentialFact;
}

/** What is remembered of a trigger between two looks at it, and may be forgotten: everything that counts is in its status. */
export interface Memory {
  readonly uid: string;
  /** The trigger as we last wrote it, and the versions that it takes the place of while the watch lags. */
  written?: { readonly trigger: PipelineTrigger; readonly over: ReadonlySet<string> };
  /** The version in which the API server itself had the trigger when it was last asked or written to. */
  live?: string;
  /** The highest number of an event in the status when it was last looked at. */
  sequence?: number;
  /** What came of orders, by line. */
  readonly tried: Map<string, Tried>;
  /** How often in a row an order failed, by line. */
  readonly failures: Map<string, number>;
  /** Runs we have made, and when: until the watch tells of them they are not taken for deleted. */
  readonly made: Map<string, number>;
  /** When the source is to be asked of the API server itself, because somebody was told of an event; on a clock that nobody sets. */
  looksAt: readonly number[];
  /** The source as the API server had it, and what the watch had then: it counts until the watch has caught up. */
  ahead?: { readonly source: Source | SourceTrouble; readonly over: string };
  /** What Flux was asked last. */
  look?: Look;
  /** What was last warned of, or stood in the status already, and when. */
  warned?: { readonly message: string; readonly at: number };
}

/** A memory of nothing. */
export function freshMemory(uid: string): Memory {
  return { uid, tried: new Map(), failures: new Map(), made: new Map(), looksAt: [] };
}

/** How long a watch may take to tell of a run that was made. */
const WATCH_LAG_MS = 60_000;

/** What the API server takes for a name; anything else in its place could make the path one of another object. */
const OBJECT_NAME = /^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/;

/** The trigger as we know it: as it was last written by us while the watch has not caught up, else as the watch has it. */
export function latestOf(kept: PipelineTrigger, memory: Memory): PipelineTrigger {
  const { written } = memory;
  if (written?.over.has(kept.meta.resourceVersion)) return written.trigger;
  delete memory.written;
  return kept;
}

/** The trigger as the API server has it now; undefined: it is gone. Faults as `KubeReader.get`. */
export async function readTrigger(
  reader: KubeReader,
  ref: ObjectRef,
  signal: AbortSignal,
): Promise<PipelineTrigger | undefined> {
  return absentAsUndefined(async () => projectTrigger(await reader.get(triggerPath(ref), { signal })));
}

/**
 * Everything that `decide` looks at. A run that a line still counts on and that no store has is asked for: the store may lag,
 * and a deletion counts. Faults: as `KubeReader.get`.
 */
export async function gather(
  trigger: PipelineTrigger,
  memory: Memory,
  parts: GatherParts,
  { now, steady }: { readonly now: number; readonly steady: number },
  signal: AbortSignal,
): Promise<TriggerFacts> {
  const { reader, caches, runPath, credentialOf } = parts;
  const { spec, meta } = trigger;
  const { namespace } = meta;
  const runs = new Map<string, PipelineRun | 'gone' | undefined>();
  const standing = readStanding(trigger);
  const { lines } = standing;
  forgetOthers(memory, standing);
  for (const { run: name, outcome } of lines.values()) {
    if (name === undefined || outcome !== undefined) continue;
    runs.set(name, await findRun({ namespace, name }, memory, { reader, caches, runPath }, now, signal));
  }
  for (const tried of memory.tried.values()) {
    if (tried.came !== 'run' || runs.has(tried.run)) continue;
    runs.set(tried.run, caches.runs.get({ namespace, name: tried.run }));
  }
  const facts = { trigger, tried: memory.tried, stored: [], now, run: (name: string) => runs.get(name) };
  if ('mistakes' in spec) {
    memory.looksAt = [];
    return { ...facts, source: { trouble: 'unknown', message: '' }, pipelineMissing: false };
  }
  const pipeline = pipelineOf(spec.template);
  const credential =
    spec.credential === undefined
      ? undefined
      : (credentialOf?.(spec.credential, namespace) ?? {
          ready: false as const,
          message: `ManagedCredential ${spec.credential.name}: ManagedCredentials are switched off here; whoever runs rungate sets MANAGED_CREDENTIALS=on`,
        });
  return {
    ...facts,
    ...(spec.hook.trustsEvents
      ? await believed(meta, memory, reader, signal)
      : { source: await findSource(spec, namespace, memory, parts, steady, signal) }),
    pipelineMissing: pipeline !== undefined && caches.isPipelineMissing({ namespace, name: pipeline }),
    ...present({ credential, look: memory.look }),
  };
}

/**
 * The source: as the watch has it, unless a bell rang, or has rung and the watch has not caught up with what was seen then. What a watch
 * tells may be older than that although it is news to the watch, so it is asked anew each time until both agree; going back to it would be
 * taken for a move of the source.
 */
async function findSource(
  { source: { kind, name } }: TriggerSpec,
  namespace: string,
  memory: Memory,
  { reader, caches, sourcePath }: Pick<GatherParts, 'reader' | 'caches' | 'sourcePath'>,
  steady: number,
  signal: AbortSignal,
): Promise<Source | SourceTrouble> {
  const ref = { namespace, name };
  const kept = caches.source(kind, ref);
  const later = memory.looksAt.filter((at) => at > steady);
  const isDue = later.length < memory.looksAt.length;
  const { ahead } = memory;
  if (!isDue && ahead === undefined) return kept;
  const version = versionOf(kept);
  if (!isDue && ahead?.over === version) return ahead.source;
  let live: Source | SourceTrouble | undefined;
  try {
    live = await readSource(kind, ref, { reader, sourcePath }, signal);
  } catch (error) {
    // Whoever may only watch sources has the watch.
    if (!(error instanceof Fault) || error.code !== 'refused') throw error;
  }
  memory.looksAt = later;
  if (live === undefined || versionOf(live) === version) delete memory.ahead;
  else memory.ahead = { source: live, over: version };
  return live ?? kept;
}

function versionOf(source: Source | SourceTrouble): string {
  return 'trouble' in source ? source.trouble : `${source.meta.uid} ${source.meta.resourceVersion}`;
}

async function readSource(
  kind: SourceKind,
  ref: ObjectRef,
  { reader, sourcePath }: Pick<GatherParts, 'reader' | 'sourcePath'>,
  signal: AbortSignal,
): Promise<Source | SourceTrouble | undefined> {
  const path = await sourcePath(kind, ref);
  if (path === undefined) return undefined;
  const found = await absentAsUndefined(async () => projectSource(kind, await reader.get(path, { signal })));
  return found ?? missingSource(kind, ref.name);
}

/** What a trigger goes by whose source is in another cluster: what was stored of its events. */
async function believed(
  trigger: ObjectRef,
  memory: Memory,
  reader: KubeReader,
  signal: AbortSignal,
): Promise<{ readonly source: SourceTrouble; readonly stored: readonly StoredEvent[] }> {
  memory.looksAt = []; // there is nothing to look at but this
  const elsewhere: SourceTrouble = { trouble: 'unknown', message: 'it is in another cluster' };
  try {
    const stored = await absentAsUndefined(() => reader.get(storedEventsPath(trigger), { signal }));
    return { source: elsewhere, stored: stored === undefined ? [] : storedEventsIn(stored) };
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'refused') throw error;
    const message = `what was stored of events cannot be read: ${error.message}; the rights for it are in k8s/components/hooks`;
    return { source: { trouble: 'unreadable', message }, stored: [] };
  }
}

/**
 * Branches come and go: what is remembered of those that are gone would only grow. Where the numbers of events have fallen somebody
 * has written another status, and what came of an event of that number says nothing of the next one that gets it.
 */
function forgetOthers(memory: Memory, { lines, sequence }: Standing): void {
  const { tried, failures } = memory;
  const isAnother = sequence < (memory.sequence ?? 0);
  memory.sequence = sequence;
  for (const line of [...tried.keys(), ...failures.keys()]) {
    if (lines.has(line) && !isAnother) continue;
    tried.delete(line);
    failures.delete(line);
  }
}

async function findRun(
  ref: ObjectRef,
  { made }: Memory,
  { reader, caches, runPath }: Pick<GatherParts, 'reader' | 'caches' | 'runPath'>,
  now: number,
  signal: AbortSignal,
): Promise<PipelineRun | 'gone' | undefined> {
  const kept = caches.runs.get(ref);
  if (kept !== undefined) {
    made.delete(ref.name);
    return kept;
  }
  if (!OBJECT_NAME.test(ref.name)) return 'gone'; // somebody has written that into the status: there is no such run
  const madeAt = made.get(ref.name);
  if (madeAt !== undefined && now - madeAt < WATCH_LAG_MS) return undefined;
  return (
    (await absentAsUndefined(async () => projectPipelineRun(await reader.get(await runPath(ref), { signal })))) ??
    'gone'
  );
}

async function absentAsUndefined<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof Fault && error.code === 'not-found') return undefined;
    throw error;
  }
}
