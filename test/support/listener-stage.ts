/** A stage for one listener: objects of Tekton Triggers from YAML, sources that show what a test says, and runs that are remembered. */
import { createHash } from 'node:crypto';
import { parseAllDocuments } from 'yaml';
import { Fault } from '../../src/fault.ts';
import { sameRevision } from '../../src/flux/revision.ts';
import type { CelEngine } from '../../src/hooks/cel/engine.ts';
import { createEvaluator, readable } from '../../src/hooks/cel/evaluator.ts';
import { expectedRevision } from '../../src/hooks/eventrevision.ts';
import type { FluxEvent } from '../../src/hooks/fluxevent.ts';
import { hookHeaders } from '../../src/hooks/headers.ts';
import type { Hook } from '../../src/hooks/hook.ts';
import { listenerHook } from '../../src/hooks/listeners/listener.ts';
import { type ListenerObject, listenerKindOf, projectListenerObject } from '../../src/hooks/listeners/manifests.ts';
import { createPendingRoom, type PendingRoom } from '../../src/hooks/listeners/pending.ts';
import type { ListenerPolicy } from '../../src/hooks/listeners/policy.ts';
import { type Listener, resolveListener } from '../../src/hooks/listeners/resolve.ts';
import type { Created, LedgerEntry, ListenerWorld, RunOrder, SourceCheck } from '../../src/hooks/listeners/world.ts';
import type { TriggerResult } from '../../src/hooks/outcome.ts';
import type { HookRequest, JsonMap } from '../../src/hooks/request.ts';
import { type JsonObject, type ObjectRef, objectOf, stringOf } from '../../src/kube/objects.ts';
import { silentLog } from '../../src/log.ts';
import { HandClock } from './hand-clock.ts';

/** What the object of a source shows. */
export interface ShownSource {
  readonly uid: string;
  /** Undefined: no artifact. */
  readonly revision: string | undefined;
  readonly digest?: string;
  readonly suspended?: boolean;
}

/** What may be beyond the usual of a stage. */
export interface StageWish {
  readonly policy?: Partial<ListenerPolicy>;
  /** Where objects without a namespace are. */
  readonly namespace?: string;
  /** Characters of parameters that may wait for their sources. */
  readonly mostPending?: number;
}

/** What was told of the listener. */
export interface ToldEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/** The policy of a listener that nobody has allowed anything. */
export const strictPolicy: ListenerPolicy = { sourceNamespaces: ['flux-system'], runNamespaces: [], taskRuns: false };

/** The stage of the one EventListener in `yaml`. */
export class ListenerStage implements ListenerWorld {
  readonly policy: ListenerPolicy;
  readonly listener: Listener;
  readonly clock = new HandClock();
  /** By `namespace/name`; those of no source are missing. */
  readonly sources = new Map<string, ShownSource>();
  /** By `namespace/name`. */
  readonly runs = new Map<string, JsonObject>();
  readonly orders: RunOrder[] = [];
  readonly secrets = new Map<string, string>();
  readonly told: ToldEvent[] = [];
  /** How often a source was looked at. */
  looks = 0;
  /** What is answered to the next orders instead of creating. */
  readonly refusals: (Created | Fault)[] = [];
  readonly #ledger = new Map<string, LedgerEntry[]>();
  readonly #lookers: { readonly event: FluxEvent; readonly then: (check: SourceCheck) => void }[] = [];
  readonly #stopping = new AbortController();
  readonly #pending: PendingRoom;

  constructor(yaml: string, { policy = {}, namespace = 'apps', mostPending }: StageWish = {}) {
    this.#pending = createPendingRoom(mostPending);
    this.policy = { ...strictPolicy, ...policy };
    const objects = documentsOf(yaml).map((raw) => projected(raw, namespace));
    const find = <K extends ListenerObject['kind']>(kind: K, ref: ObjectRef) =>
      objects.find(
        ({ kind: each, meta }) => each === kind && meta.namespace === ref.namespace && meta.name === ref.name,
      ) as Extract<ListenerObject, { readonly kind: K }> | undefined;
    const [listener] = objects.filter((object) => object.kind === 'EventListener');
    if (listener === undefined) throw new Error('there is no EventListener');
    this.listener = resolveListener(
      listener,
      {
        trigger: (ref) => find('Trigger', ref),
        triggers: () => objects.filter((object) => object.kind === 'Trigger'),
        binding: (ref) => find('TriggerBinding', ref),
        clusterBinding: (name) => find('ClusterTriggerBinding', { namespace: '', name }),
        template: (ref) => find('TriggerTemplate', ref),
      },
      { policy: this.policy, mistakeIn: createEvaluator().mistakeIn },
    );
  }

  readonly cel: CelEngine = inThisThread();

  get hook(): Hook {
    return listenerHook(this.listener, {
      world: this,
      policy: this.policy,
      pending: this.#pending,
      clock: this.clock,
      log: silentLog,
      tell: (type, reason, message) => void this.told.push({ type, reason, message }),
      stopping: this.#stopping.signal,
    });
  }

  /** Posts a body and gives the results. */
  post(body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<readonly TriggerResult[]> {
    return this.hook.receive(requestOf(body, headers), new AbortController().signal);
  }

  /** The reasons that were told as warnings, each as often as it was. */
  get warnings(): readonly string[] {
    return this.told.filter(({ type }) => type === 'Warning').map(({ reason }) => reason);
  }

  secret(namespace: string, name: string, key: string): Promise<Buffer | undefined> {
    const value = this.secrets.get(`${namespace}/${name}/${key}`);
    return Promise.resolve(value === undefined ? undefined : Buffer.from(value));
  }

  source(event: FluxEvent): Promise<SourceCheck> {
    this.looks += 1;
    return Promise.resolve(this.#check(event));
  }

  lookOn(event: FluxEvent, then: (check: SourceCheck) => void): void {
    this.#lookers.push({ event, then });
  }

  /** Lets those who look on look for the last time. */
  async lookAgain(): Promise<void> {
    for (const { event, then } of this.#lookers.splice(0)) then(this.#check(event));
    await this.clock.settle();
  }

  #check({ involvedObject, ...event }: FluxEvent): SourceCheck {
    const { group, kind, namespace, name, uid } = involvedObject;
    const expected = expectedRevision({ involvedObject, ...event });
    if (expected === undefined && (event.severity === 'error' || !kind.startsWith('Image')))
      return { found: 'no-revision' };
    const shown = this.sources.get(`${namespace}/${name}`);
    if (shown === undefined) return { found: 'missing' };
    if (uid !== undefined && uid !== shown.uid) return { found: 'replaced' };
    if (shown.suspended) return { found: 'suspended' };
    const { revision, digest } = shown;
    if (revision === undefined || (expected !== undefined && !sameRevision(revision, expected)))
      return { found: 'not-yet' };
    return { found: 'same', groupKind: `${group}/${kind}`, uid: shown.uid, revision, digest };
  }

  create(order: RunOrder): Promise<Created> {
    this.orders.push(order);
    const refusal = this.refusals.shift();
    if (refusal instanceof Fault) return Promise.reject(refusal);
    if (refusal !== undefined) return Promise.resolve(refusal);
    const { namespace = '', name = '' } = objectOf(order.manifest.metadata) as { namespace?: string; name?: string };
    for (const each of new Set([name, order.secondName])) {
      const there = this.runs.get(`${namespace}/${each}`);
      if (there !== undefined && keyHashOf(there) !== order.keyHash) continue;
      this.runs.set(`${namespace}/${each}`, there ?? order.manifest);
      this.#enter(order.entry);
      return Promise.resolve({ came: there === undefined ? 'created' : 'duplicate', run: { namespace, name: each } });
    }
    return Promise.resolve({ came: 'collision', message: `${name} exists already` });
  }

  #enter(entry: LedgerEntry): void {
    const line = this.#ledger.get(lineOf(entry)) ?? [];
    if (!line.some(({ keyHash }) => keyHash === entry.keyHash)) line.push(entry);
    this.#ledger.set(lineOf(entry), line);
  }

  /** The ledger is lost. */
  forget(): void {
    this.#ledger.clear();
  }

  known(entry: Omit<LedgerEntry, 'epoch' | 'keyHash'>): ReturnType<ListenerWorld['known']> {
    const line = this.#ledger.get(lineOf(entry)) ?? [];
    const epochs = line.filter(({ revision }) => revision === entry.revision).map(({ epoch }) => epoch);
    const isLatest = line.at(-1)?.revision === entry.revision;
    return Promise.resolve(epochs.length === 0 ? undefined : { epoch: Math.max(...epochs), isLatest });
  }
}

/** A delivery of `body` to `apps/build`. */
export function requestOf(body: unknown, headers: Readonly<Record<string, string>> = {}): HookRequest {
  const raw = Buffer.from(JSON.stringify(body));
  return {
    hook: { namespace: 'apps', name: 'build' },
    identity: createHash('sha256').update(raw).digest('hex'),
    headers: hookHeaders(Object.entries(headers).flat()),
    raw,
    body: JSON.parse(raw.toString()) as JsonMap,
    url: '/hooks/apps/build',
    arrivedAt: Date.parse('2026-11-01T10:00:00Z'),
  };
}

/** CEL without a worker, for expressions that tests trust. */
export function inThisThread(): CelEngine {
  const evaluator = createEvaluator();
  return {
    mistakesIn: async (expressions) => expressions.map(evaluator.mistakeIn),
    evaluate: async (expressions, inputs) =>
      expressions.map((expression) => {
        const result = evaluator.prepare(expression)(readable(inputs), []);
        return 'needs' in result ? { ok: false, error: 'it needs a Secret' } : result;
      }),
    close: async () => {},
  };
}

function documentsOf(yaml: string): readonly JsonObject[] {
  return parseAllDocuments(yaml).map((document) => document.toJS() as JsonObject);
}

function projected(raw: JsonObject, namespace: string): ListenerObject {
  const kind = listenerKindOf(raw);
  if (kind === undefined)
    throw new Error(`${String(raw.apiVersion)} ${String(raw.kind)} is no object of Tekton Triggers`);
  const metadata = objectOf(raw.metadata);
  const place = kind === 'ClusterTriggerBinding' ? '' : (stringOf(metadata.namespace) ?? namespace);
  return projectListenerObject(kind, { ...raw, metadata: { uid: 'el-uid', ...metadata, namespace: place } });
}

function keyHashOf(manifest: JsonObject): unknown {
  return objectOf(objectOf(manifest.metadata).annotations)['rungate.dev/key-hash'];
}

function lineOf({ namespace, triggerId16, source }: Pick<LedgerEntry, 'namespace' | 'triggerId16' | 'source'>): string {
  return `${namespace}/${triggerId16}/${source}`;
}
