/**
 * ManagedCredentials as a part of the process: each is made into the Secret and the ServiceAccount that its spec asks for, and
 * whoever starts runs asks here what they may use.
 *
 * Secrets are read one by one and by name, never listed or watched: that is the least that works, and so this process never
 * sees a Secret that no ManagedCredential names. The price is that a changed token is noticed within half a minute, not at
 * once, and later than that where there are more than 250 of them: what all of them cost the API server is bounded, so each
 * is looked at less often. Nothing of a Secret is kept between two looks.
 */
import type { Clock } from '../../clock.ts';
import { Fault } from '../../fault.ts';
import type { KubeReader } from '../../kube/client.ts';
import { type Again, createController } from '../../kube/controller.ts';
import { discovery, type Wanted } from '../../kube/discovery.ts';
import type { Leadership } from '../../kube/lease.ts';
import { mergeOf } from '../../kube/merge.ts';
import { type JsonObject, type ObjectRef, objectOf, stringOf } from '../../kube/objects.ts';
import { scopesOf } from '../../kube/scopes.ts';
import { createStore, within } from '../../kube/store.ts';
import type { Watch } from '../../kube/watch.ts';
import { watchKind } from '../../kube/watchkind.ts';
import { type KubeWriter, WriteFault } from '../../kube/writer.ts';
import type { Part } from '../../lifecycle.ts';
import type { Log } from '../../log.ts';
import type { Metrics } from '../../metrics.ts';
import { createPace } from '../pace.ts';
import type { CredentialFact } from '../triggers/facts.ts';
import type { CredentialRef } from '../triggers/resource.ts';
import { type Act, allowed, type CredentialFacts, decide, type Outcome, statusOf } from './decide.ts';
import { absenceOf, grantOf, type Knowledge } from './grant.ts';
import {
  CREDENTIAL_API_VERSION,
  CREDENTIAL_GROUP,
  type CredentialSpec,
  type ManagedCredential,
  namesFor,
  projectCredential,
} from './resource.ts';

/** What the credentials need. */
export interface CredentialsParts {
  readonly reader: KubeReader;
  /** Refuses unless this process leads. */
  readonly writer: KubeWriter;
  readonly leadership: Leadership;
  /** The namespaces that are looked after. */
  readonly served: '*' | readonly string[];
  /** As CREDENTIALS_ACROSS_NAMESPACES: whether a Secret, or a ManagedCredential, of another namespace may be used. */
  readonly acrossNamespaces: boolean;
  readonly watchSeconds?: number;
  readonly clock: Clock;
  /** In [0, 1), for jitter. */
  readonly random: () => number;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** ManagedCredentials, for whoever starts runs. */
export interface Credentials extends Part {
  /** What the ManagedCredential gives to runs in a namespace: names to use, or the sentence that says why there are none. */
  of(ref: CredentialRef, triggerNamespace: string): CredentialFact;
  /** Calls `listener` when what `of` says of a ManagedCredential may have changed. Returns the end of it; calling that twice is harmless. */
  subscribe(listener: (credential: ObjectRef) => void): () => void;
}

const CREDENTIALS: Wanted = { group: CREDENTIAL_GROUP, resource: 'managedcredentials', versions: ['v1alpha1'] };
/** How soon the Secrets of one that is ready are looked at again: a changed token is noticed, a deleted Secret made anew. */
const SYNCED_AGAIN_MS = 30_000;
/** How soon a Secret that is missing, or wrong, is looked for again. */
const WRONG_AGAIN_MS = 5_000;
/** How soon a write that was refused is tried again. */
const REFUSED_AGAIN_MS = 60_000;
const BESIDE_EACH_OTHER = 4;
/** Reads of Secrets and ServiceAccounts, over all credentials: nobody bounds how many those are. */
const MOST_READS_PER_SECOND = 50;
/** The token's Secret, and the two objects that are made. */
const READS_OF_A_LOOK = 3;
/** For so long for each credential that there is nobody looks again: half of the reads are left for those that change. */
const LOOK_MS = (2_000 * READS_OF_A_LOOK) / MOST_READS_PER_SECOND;

/** Makes the part. `start` begins to watch and does not wait; it writes only while this process leads. */
export function createCredentials(parts: CredentialsParts): Credentials {
  const { reader, writer, served, acrossNamespaces, clock, random, log } = parts;
  const scopes = scopesOf(served);
  const versions = discovery({ reader, clock });
  const { store, writer: kept } = createStore<ManagedCredential>(log);
  let watches: readonly Watch[] = [];
  const ends: (() => void)[] = [];
  const listeners = new Set<{ hear(credential: ObjectRef): void }>();
  /** What was asked about before it could be said whether there is such a thing: whoever asked is told when it can. */
  const unanswered = new Map<string, ObjectRef>();
  const stopped = new AbortController();
  const pace = createPace({ perSecond: MOST_READS_PER_SECOND, clock });

  const controller = createController({
    ...parts,
    name: 'credentials',
    concurrency: BESIDE_EACH_OTHER,
    // With hundreds of them a first look takes a while: those that somebody may be waiting for come first.
    keys: () => [...store.values()].sort((a, b) => Number(isReady(a)) - Number(isReady(b))).map(({ meta }) => meta),
    reconcile: async (key, signal) => {
      const credential = store.get(key);
      if (credential === undefined || credential.meta.deleting !== undefined) return {};
      const outcome = await bring(credential, signal);
      await writeStatus(credential, outcome, signal);
      return again(credential, outcome);
    },
  });

  /** Makes the Secret and the ServiceAccount what they should be. */
  const bring = async (credential: ManagedCredential, signal: AbortSignal): Promise<Outcome> => {
    const { meta } = credential;
    const found = allowed(credential, acrossNamespaces);
    if ('at' in found) return found;
    const facts = await gather(credential, found.spec, signal);
    if ('at' in facts) return facts;
    const { acts, outcome } = decide(facts);
    for (const act of acts) {
      const refused = await perform(act, meta.namespace, signal);
      if (refused !== undefined) return refused;
    }
    if (acts.length > 0) log.info('credential synced', { namespace: meta.namespace, name: meta.name });
    return outcome;
  };

  /** What the decision depends on, read live. A right that is missing in one namespace is the trouble of its credentials alone. */
  const gather = async (
    credential: ManagedCredential,
    spec: CredentialSpec,
    signal: AbortSignal,
  ): Promise<CredentialFacts | Outcome> => {
    const { token } = spec;
    const { namespace, name } = credential.meta;
    const names = namesFor(name);
    try {
      const source = await find(secretPath(token), signal);
      const [secret, serviceAccount] = await Promise.all([
        find(secretPath({ namespace, name: names.secret }), signal),
        find(accountPath({ namespace, name: names.serviceAccount }), signal),
      ]);
      return { credential, spec, source, secret, serviceAccount };
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== 'refused') throw error;
      const message = `Secret ${token.namespace}/${token.name} and what is made of it cannot be read: ${error.message}`;
      return { at: 'failed', reason: 'SecretUnreadable', message };
    }
  };

  /** The object at `path`; undefined: there is none. Waits for its turn. Faults as `KubeReader.get`. */
  const find = async (path: string, signal: AbortSignal): Promise<JsonObject | undefined> => {
    await pace.turn(signal);
    try {
      return await reader.get(path, { signal });
    } catch (error) {
      if (error instanceof Fault && error.code === 'not-found') return undefined;
      throw error;
    }
  };

  /** Does one write; resolves with what the server has against it. */
  const perform = async (act: Act, namespace: string, signal: AbortSignal): Promise<Outcome | undefined> => {
    const name = stringOf(objectOf(act.object.metadata).name) ?? '';
    const path = (act.kind === 'Secret' ? secretPath : accountPath)({ namespace, name });
    const collection = path.slice(0, path.lastIndexOf('/'));
    try {
      if (act.do === 'recreate') await writer.remove(path, act.only, { signal });
      if (act.do === 'replace') await writer.replace(path, act.object, { signal });
      else await writer.create(collection, act.object, { signal });
      return undefined;
    } catch (error) {
      if (!(error instanceof WriteFault) || error.code !== 'refused') throw error;
      // Not what the server said: a webhook may repeat what it was sent, and that was a token.
      const message = `Kubernetes refused ${act.kind} ${namespace}/${name} (${error.status} ${error.reason}): ${REFUSAL_HINTS[error.status] ?? 'see its own log'}`;
      return { at: 'failed', reason: 'WriteRefused', message };
    }
  };

  const writeStatus = async (credential: ManagedCredential, outcome: Outcome, signal: AbortSignal): Promise<void> => {
    const { meta, status } = credential;
    const merge = mergeOf(status, statusOf(credential, outcome, clock.now()));
    if (merge === undefined) return;
    const path = `/apis/${CREDENTIAL_API_VERSION}/namespaces/${meta.namespace}/managedcredentials/${meta.name}/status`;
    await writer.patch(path, { metadata: { resourceVersion: meta.resourceVersion }, status: merge }, { signal });
    if (outcome.at === 'synced') return;
    log.warn('credential not ready', { namespace: meta.namespace, name: meta.name, problem: outcome.message });
  };

  /** Spread out, so that many credentials are not all looked at in the same moment, and the later the more there are. */
  const again = ({ spec }: ManagedCredential, outcome: Outcome): Again => {
    const after = (ms: number): Again => ({
      againMs: Math.round(Math.max(ms, store.size * LOOK_MS) * (1 + random() / 5)),
    });
    // Only another spec, or another setting of this process, can change these.
    if ('mistakes' in spec || (outcome.at === 'failed' && outcome.reason === 'NamespaceRefused')) return {};
    if (outcome.at === 'synced') return after(SYNCED_AGAIN_MS);
    return after(outcome.at === 'failed' && outcome.reason === 'WriteRefused' ? REFUSED_AGAIN_MS : WRONG_AGAIN_MS);
  };

  const watch = (scope: string): Watch =>
    watchKind(CREDENTIALS, scope, versions, {
      ...parts,
      optional: true,
      writer: within(kept, served),
      project: projectCredential,
    });

  const tell = ({ namespace, name }: ObjectRef) => {
    for (const { hear } of listeners) hear({ namespace, name });
  };

  const answer = () => {
    const refs = [...unanswered.values()];
    unanswered.clear();
    for (const ref of refs) tell(ref);
  };

  const knowledgeOf = (namespace: string): Knowledge => {
    if (served !== '*' && !served.includes(namespace)) return { of: 'other namespaces' };
    const watching = watches.find(({ scope }) => scope === '' || scope === namespace);
    if (watching?.listed()) return watching.absent() ? { of: 'no kind' } : { of: 'all' };
    return { of: 'nothing', because: watching?.problem()?.message ?? 'they have not been listed yet' };
  };

  return {
    name: 'credentials',
    of({ name, namespace = '' }, triggerNamespace) {
      const where = namespace || triggerNamespace;
      if (where !== triggerNamespace && !acrossNamespaces) {
        const message = `spec.credentialsRef.namespace is ${where}: ManagedCredentials of other namespaces are not used unless CREDENTIALS_ACROSS_NAMESPACES allows it`;
        return { ready: false, message };
      }
      const asked = { namespace: where, name };
      const credential = store.get(asked);
      if (credential !== undefined) return grantOf(credential, triggerNamespace);
      const known = knowledgeOf(where);
      if (known.of === 'nothing') unanswered.set(`${where}/${name}`, asked);
      return absenceOf(asked, known);
    },
    subscribe(hear) {
      // An object of its own: the same function may subscribe twice, and each subscription ends by itself.
      const listener = { hear };
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async start() {
      ends.push(
        store.subscribe(({ type, object, before }) => {
          if (type === 'deleted') controller.forget(object.meta);
          // Our own writes of the status come back as changes: nothing to do about them.
          else if (before?.generation !== object.generation) controller.ring(object.meta);
          tell(object.meta);
        }),
      );
      watches = scopes.map(watch);
      for (const each of watches) void each.ready(stopped.signal).then(answer, () => {});
      await controller.start();
    },
    async stop(signal) {
      stopped.abort();
      for (const end of ends.splice(0)) end();
      await controller.stop(signal);
      await Promise.all(watches.map((each) => each.stop()));
    },
  };
}

function isReady(credential: ManagedCredential): boolean {
  return grantOf(credential, credential.meta.namespace).ready;
}

/** What to look at first, by HTTP status. */
const REFUSAL_HINTS: Readonly<Record<number, string>> = {
  403: 'rungate lacks the right, or an admission policy forbids it',
  422: 'look at spec.secretTemplate and spec.serviceAccountTemplate',
};

function secretPath({ namespace, name }: ObjectRef): string {
  return `/api/v1/namespaces/${namespace}/secrets/${name}`;
}

function accountPath({ namespace, name }: ObjectRef): string {
  return `/api/v1/namespaces/${namespace}/serviceaccounts/${name}`;
}
