/**
 * source-controller for repositories of this machine: every GitRepository is looked at once an interval, when its spec
 * changes and when somebody asks; what it finds is in its status, in source-controller's order of writing it.
 * https://fluxcd.io/flux/components/source/gitrepositories/
 */
import type { Clock } from '../../clock.ts';
import type { Part } from '../../lifecycle.ts';
import type { Log } from '../../log.ts';
import type { ApiClient } from '../api/client.ts';
import { objectIn, textIn } from '../core/reading.ts';
import type { JsonObject, KubeObject, Resource } from '../object.ts';
import { goDurationNanoseconds } from '../schema/formats.ts';
import { StatusError } from '../status.ts';
import { isStored, removeArtifacts, storeArtifact } from './artifact.ts';
import {
  type Condition,
  conditionsOf,
  jsonOf,
  requestedAt,
  type Said,
  statusOf,
  timestamp,
  withConditions,
} from './conditions.ts';
import { createEventWriter, type EventWriter } from './events.ts';
import { type Reference, readRepository, Unreadable } from './repository.ts';

/** GitRepositories. */
export const gitRepositories: Resource = {
  group: 'source.toolkit.fluxcd.io',
  version: 'v1',
  plural: 'gitrepositories',
};

/** What the controller needs. */
export interface SourceControllerOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly log: Log;
  /** Where artifacts go. */
  readonly folder: string;
}

/** The first wait after a failed look; it doubles with each that follows, up to the interval. */
const RETRY_MS = 750;
const finalizer = 'finalizers.fluxcd.io';
/** Whoever carries it is another controller's, as in a Flux that is sharded. https://fluxcd.io/flux/installation/configuration/sharding/ */
const shardLabel = 'sharding.fluxcd.io/key';

/** Makes GitRepositories live. Their kind must be served before it starts; it leaves no timer behind. */
export function createSourceController({ client, clock, log, folder }: SourceControllerOptions): Part {
  const events = createEventWriter(client, { clock, log });
  const stopping = new AbortController();
  const loops = new Map<string, Loop>();
  let unwatch = () => {};

  /** Looks at one repository again and again, until it is gone or the controller stops. */
  async function follow(namespace: string, name: string, loop: Loop): Promise<void> {
    let failures = 0;
    while (!stopping.signal.aborted) {
      loop.alarm = new AbortController();
      const object = client.get(gitRepositories, namespace, name);
      if (object === undefined) return;
      loop.seen = causeOf(object);
      const look = new Look(object, { client, clock, folder, events });
      const next = await look.take().catch((error: unknown): Outcome => {
        // Gone or changed meanwhile: the watch has rung, or will.
        if (!(error instanceof StatusError))
          log.error('a source could not be looked at', { name, error: String(error) });
        return 'failed';
      });
      if (next === 'suspended' && !loop.alarm.signal.aborted) {
        await aborted(AbortSignal.any([stopping.signal, loop.alarm.signal]));
        continue;
      }
      failures = next === 'failed' ? failures + 1 : 0;
      const interval = msOf(objectIn(object.spec).interval, 60_000);
      const wait = failures === 0 ? interval : Math.min(interval, RETRY_MS * 2 ** (failures - 1));
      await clock.sleep(wait, AbortSignal.any([stopping.signal, loop.alarm.signal]));
    }
  }

  return {
    name: 'source-controller',

    async start() {
      unwatch = client.watch(gitRepositories, {}, ({ type, object }) => {
        const { namespace = '', name, labels = {} } = object.metadata;
        if (shardLabel in labels) return;
        const key = `${namespace}/${name}`;
        const running = loops.get(key);
        if (running !== undefined) {
          if (type === 'DELETED' || running.seen !== causeOf(object)) running.alarm.abort();
          return;
        }
        if (type === 'DELETED') return;
        const loop: Loop = { alarm: new AbortController(), seen: '', ended: Promise.resolve() };
        loops.set(key, loop);
        loop.ended = follow(namespace, name, loop).finally(() => {
          loops.delete(key);
        });
      });
    },

    async stop() {
      unwatch();
      stopping.abort();
      await Promise.all([...loops.values()].map(({ ended }) => ended));
    },
  };
}

interface Loop {
  /** Aborts when the repository should be looked at now. A new one for each look. */
  alarm: AbortController;
  /** What the look that is going on, or was last, has taken into account. */
  seen: string;
  ended: Promise<void>;
}

/** What makes a controller look at once: the spec, somebody who asks, and the end. */
function causeOf({ metadata }: KubeObject): string {
  const { uid, generation, annotations, deletionTimestamp } = metadata;
  return JSON.stringify([uid, generation, requestedAt(annotations), deletionTimestamp]);
}

type Outcome = 'done' | 'failed' | 'suspended';

interface Tools {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly folder: string;
  readonly events: EventWriter;
}

/** One look at one repository. Every write of its status is where source-controller has one. */
class Look {
  readonly #tools: Tools;
  readonly #object: KubeObject;
  readonly #spec: JsonObject;
  readonly #status: JsonObject;
  readonly #generation: number;
  #conditions: readonly Condition[];

  constructor(object: KubeObject, tools: Tools) {
    this.#tools = tools;
    this.#object = object;
    this.#spec = objectIn(object.spec);
    this.#status = objectIn(object.status);
    this.#generation = object.metadata.generation ?? 1;
    this.#conditions = conditionsOf(this.#status);
  }

  async take(): Promise<Outcome> {
    const { metadata } = this.#object;
    if (metadata.deletionTimestamp !== undefined) return this.#end();
    if (!(metadata.finalizers ?? []).includes(finalizer)) {
      const finalizers = [...(metadata.finalizers ?? []), finalizer];
      this.#tools.client.patch(gitRepositories, this.#namespace, metadata.name, { metadata: { finalizers } });
    }
    if (this.#spec.suspend === true) {
      if (this.#carryOver()) this.#finish({});
      return 'suspended';
    }
    try {
      await this.#fetch();
      return 'done';
    } catch (error) {
      if (error instanceof Unreadable) this.#fail(new Failed('FetchFailed', error.reason, error.message));
      else if (error instanceof Failed) this.#fail(error);
      else throw error;
      return 'failed';
    }
  }

  get #namespace(): string {
    return this.#object.metadata.namespace ?? '';
  }

  async #fetch(): Promise<void> {
    const { folder } = this.#tools;
    const wasFailing = statusOf(this.#conditions, 'FetchFailed') === 'True';
    const observed = this.#status.observedGeneration;
    const isNew = observed !== this.#generation;
    this.#progress(
      isNew
        ? `processing object: new generation ${observed ?? -1} -> ${this.#generation}`
        : 'reconciliation in progress',
    );
    const artifact = objectIn(this.#status.artifact);
    const hasArtifact = typeof artifact.path === 'string';
    const isMissing = hasArtifact && !(await isStored(folder, textIn(artifact.path)));
    if (!hasArtifact || isMissing) {
      this.#say([], ['ArtifactInStorage']);
      this.#progress(isMissing ? 'building artifact: disappeared from storage' : 'building artifact');
    }
    this.#checkSecret();
    const url = textIn(this.#spec.url);
    const found = await this.#withinTimeout(url, () => readRepository(url, referenceOf(this.#spec.ref)));
    const { revision } = found;
    const isKnown = hasArtifact && !isMissing && artifact.revision === revision;
    const ignore = textIn(this.#spec.ignore);
    if (isKnown && textIn(this.#status.observedIgnore) === ignore) {
      this.#succeed(revision, {});
      const sentence = wasFailing
        ? `stored artifact for commit '${revision}'`
        : `no changes since last reconcilation: observed revision '${revision}'`;
      this.#tell('Normal', wasFailing ? 'Succeeded' : 'GitOperationSucceeded', sentence);
      return;
    }
    if (!isKnown) {
      const message = `new upstream revision '${revision}'`;
      if (hasArtifact && !isMissing) this.#say([condition('ArtifactOutdated', 'True', 'NewRevision', message)], []);
      this.#say([], ['FetchFailed']);
      this.#progress(`building artifact: ${message}`);
    }
    const place = { folder, namespace: this.#namespace, name: this.#object.metadata.name, commit: found.commit };
    const stored = await this.#withinTimeout(url, () => storeArtifact(place, found.files, ignore)).catch((error) => {
      throw unstored(error);
    });
    const lastUpdateTime = timestamp(this.#tools.clock.now());
    this.#succeed(revision, {
      artifact: { ...stored, revision, lastUpdateTime },
      observedIgnore: ignore === '' ? null : ignore,
    });
    if (artifact.digest !== stored.digest) {
      this.#tell('Normal', 'NewArtifact', `stored artifact for commit '${found.title}'`, {
        'source.toolkit.fluxcd.io/revision': revision,
        'source.toolkit.fluxcd.io/digest': stored.digest,
      });
    }
  }

  /** Credentials are looked up as source-controller does, and then not needed: nobody asks for them here. */
  #checkSecret(): void {
    const name = textIn(objectIn(this.#spec.secretRef).name);
    if (name === '') {
      this.#say([], ['CredentialsIgnored']);
      return;
    }
    const secrets: Resource = { group: '', version: 'v1', plural: 'secrets' };
    if (this.#tools.client.get(secrets, this.#namespace, name) === undefined) {
      const why = `failed to get secret '${this.#namespace}/${name}'`;
      throw new Failed(
        'FetchFailed',
        'AuthenticationFailed',
        `${why}: ${why}: secrets ${JSON.stringify(name)} not found`,
      );
    }
    const sentence = `the sandbox reads local repositories as whoever runs it: secret '${name}' is not used`;
    this.#say([condition('CredentialsIgnored', 'True', 'LocalRepository', sentence)], []);
  }

  async #withinTimeout<T>(url: string, work: () => Promise<T>): Promise<T> {
    const over = new AbortController();
    const timeout = this.#tools.clock.sleep(msOf(this.#spec.timeout, 60_000), over.signal).then(() => {
      throw new Unreadable(
        `failed to checkout and determine revision: unable to clone '${url}': context deadline exceeded`,
      );
    });
    timeout.catch(() => {}); // nobody waits for it once the work is done
    try {
      return await Promise.race([work(), timeout]);
    } finally {
      over.abort();
    }
  }

  #succeed(revision: string, status: JsonObject): void {
    const message = `stored artifact for revision '${revision}'`;
    this.#say(
      [condition('Ready', 'True', 'Succeeded', message), condition('ArtifactInStorage', 'True', 'Succeeded', message)],
      ['Reconciling', 'ArtifactOutdated', 'FetchFailed', 'StorageOperationFailed'],
    );
    this.#finish(status);
  }

  #fail({ condition: type, reason, message }: Failed): void {
    const reconciling = this.#conditions.find(({ type }) => type === 'Reconciling');
    this.#say(
      [
        condition('Reconciling', 'True', 'ProgressingWithRetry', reconciling?.message ?? message),
        condition(type, 'True', reason, message),
        condition('Ready', 'False', reason, message),
      ],
      [],
    );
    this.#write({ conditions: jsonOf(this.#conditions), ...this.#handled() });
    this.#tell('Warning', reason, message);
  }

  /** Conditions go before the rest, as source-controller writes them: who is quick sees the one without the other. */
  #finish(status: JsonObject): void {
    this.#write({ conditions: jsonOf(this.#conditions) });
    this.#write({ ...status, observedGeneration: this.#generation, ...this.#handled() });
  }

  /** Says of this generation what was said of the one before; false when nothing was. */
  #carryOver(): boolean {
    const ready = this.#conditions.find(({ type }) => type === 'Ready');
    if (ready === undefined) return false;
    this.#say([condition('Ready', ready.status, ready.reason, ready.message)], []);
    return true;
  }

  #handled(): JsonObject {
    const requested = requestedAt(this.#object.metadata.annotations);
    return requested === '' ? {} : { lastHandledReconcileAt: requested };
  }

  /** Says that it is at work. A repository that was ready stays so until something new is found. */
  #progress(message: string): void {
    const isBuilding = message.startsWith('building') || statusOf(this.#conditions, 'Ready') === undefined;
    this.#say(
      [
        condition('Reconciling', 'True', 'Progressing', message),
        ...(isBuilding ? [condition('Ready', 'Unknown', 'Progressing', message)] : []),
      ],
      [],
    );
    this.#write({ conditions: jsonOf(this.#conditions) });
  }

  #say(said: readonly Said[], gone: readonly string[]): void {
    const moment = { generation: this.#generation, nowMs: this.#tools.clock.now() };
    this.#conditions = withConditions(this.#conditions, said, gone, moment);
  }

  #write(status: JsonObject): void {
    const { name } = this.#object.metadata;
    this.#tools.client.patch(gitRepositories, this.#namespace, name, { status }, { subresource: 'status' });
  }

  #tell(
    type: 'Normal' | 'Warning',
    reason: string,
    message: string,
    annotations: { readonly [key: string]: string } = {},
  ): void {
    this.#tools.events.tell(this.#object, { type, reason, message, annotations });
  }

  async #end(): Promise<Outcome> {
    const { client, folder } = this.#tools;
    const { name, finalizers = [] } = this.#object.metadata;
    await removeArtifacts({ folder, namespace: this.#namespace, name });
    if (this.#carryOver()) this.#write({ conditions: jsonOf(this.#conditions) });
    this.#tell('Normal', 'GarbageCollectionSucceeded', 'garbage collected artifacts for deleted resource');
    const left = finalizers.filter((one) => one !== finalizer);
    if (left.length < finalizers.length) {
      client.patch(gitRepositories, this.#namespace, name, { metadata: { finalizers: left } });
    }
    return 'suspended';
  }
}

/** What ends a look, and the condition that says so. */
class Failed extends Error {
  readonly condition: 'FetchFailed' | 'StorageOperationFailed';
  readonly reason: string;

  constructor(type: Failed['condition'], reason: string, message: string) {
    super(message);
    this.condition = type;
    this.reason = reason;
  }
}

/** Anything that is not of the repository went wrong with the disk. */
function unstored(error: unknown): unknown {
  if (error instanceof Unreadable) return error;
  const why = error instanceof Error ? error.message : String(error);
  const message = `unable to archive artifact to storage: ${why}`;
  return new Failed('StorageOperationFailed', 'ArchiveOperationFailed', message);
}

function condition(type: string, status: Said['status'], reason: string, message: string): Said {
  return { type, status, reason, message };
}

function referenceOf(ref: JsonObject[string]): Reference {
  const entries = Object.entries(objectIn(ref)).filter(([, value]) => typeof value === 'string');
  return Object.fromEntries(entries);
}

function msOf(duration: JsonObject[string], otherwise: number): number {
  const nanoseconds = goDurationNanoseconds(textIn(duration));
  return nanoseconds === undefined ? otherwise : nanoseconds / 1e6;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
