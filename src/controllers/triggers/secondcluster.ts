/** Whether a second cluster runs an event already. A question, and no lock: two that ask at the same moment both hear no. */
import { readFile } from 'node:fs/promises';
import type { Clock } from '../../clock.ts';
import { Fault, faultOf } from '../../fault.ts';
import { kubeClient } from '../../kube/client.ts';
import type { Connection } from '../../kube/connect.ts';
import { type Json, type JsonObject, listOf, objectOf, stringOf, stringsOf } from '../../kube/objects.ts';
import type { Log } from '../../log.ts';
import type { Metrics } from '../../metrics.ts';
import { TRIGGER_LABEL } from '../../tekton/project.ts';
import { TRIGGER_GROUP } from '../../triggers/names.ts';

/** How to ask. */
export interface SecondClusterParts {
  /** Its API server: `https://host:6443`; plain HTTP on loopback alone. */
  readonly address: string;
  /** A file is read for each question, so that it may change. */
  readonly token: { readonly text: string } | { readonly file: string };
  /** PEM, read for each question; the authorities of Node.js where there is none. */
  readonly caFile?: string | undefined;
  readonly insecureSkipVerify: boolean;
  /** An event that has waited 60 s for an answer counts as free. */
  readonly failOpen: boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Whether another cluster runs an event already. */
export interface SecondCluster {
  /**
   * Whether there is a run in the same namespace for the same event of the same Pipeline as `run`, which is about to be
   * created here. In which state it is does not count. Fault `unavailable`: that cannot be told, and `run` has to wait.
   */
  covers(run: JsonObject, signal: AbortSignal): Promise<'covered' | 'free'>;
  /** Closes what is open. */
  close(): void;
}

/** The labels that say which event a run is for, as the original and we set them. */
const EVENT_LABELS = [
  'branch',
  'commit',
  'git.repository.branch.name',
  'git.repository.branch.commit',
  'pr.branch.name',
  'pr.branch.commit',
  'ip.image.name',
  'ip.image.version',
].map((name) => `${TRIGGER_GROUP}/${name}`);
/** Tekton's own, on every run that it has seen. https://tekton.dev/docs/pipelines/labels/ */
const PIPELINE_LABEL = 'tekton.dev/pipeline';

const VERSIONS = ['v1', 'v1beta1'] as const;
/** Runs of one event are few: one page, but for a server that leaves the selecting to us. */
const PAGE = 100;
const MOST_PAGES = 20;
const MOST_BYTES = 16 * 1024 * 1024;
const FAIL_OPEN_AFTER_MS = 60_000;
/** Events that wait for an answer and are remembered for that; one more forgets the oldest, which then waits anew. */
const MOST_WAITING = 10_000;

/**
 * Asks with GETs of PipelineRuns in the namespace of the run, and of nothing else: `list` there is all that the token has to
 * allow. The certificate is verified unless `insecureSkipVerify`. Nothing is asked before the first question.
 */
export function createSecondCluster(parts: SecondClusterParts): SecondCluster {
  const { failOpen, clock, log, metrics } = parts;
  const client = kubeClient(connectionTo(parts), {
    // Its calls and streams are not those of our own API server.
    metrics: { ...metrics, upstream() {}, level() {} },
    bodyLimitBytes: MOST_BYTES,
  });
  const waitingSince = new Map<string, number>();
  let isFailing = false;
  metrics.level('second cluster failing', () => (isFailing ? 1 : 0));

  const ask = async (event: EventOfRun, signal: AbortSignal): Promise<'covered' | 'free'> => {
    let next: string | undefined;
    let version: string | undefined;
    for (let page = 0; page < MOST_PAGES; page++) {
      const query = new URLSearchParams({ labelSelector: event.selector, limit: String(PAGE) });
      if (next !== undefined) query.set('continue', next);
      const answer = await firstServed(version === undefined ? VERSIONS : [version], async (each) => {
        version = each;
        return await client.get(`/apis/tekton.dev/${each}/namespaces/${event.namespace}/pipelineruns?${query}`, {
          signal,
        });
      });
      if (!Array.isArray(answer.items)) throw new Fault('unavailable', 'it answers something that is no list');
      if (listOf(answer.items).some((item) => isFor(event, item))) return 'covered';
      next = stringOf(objectOf(answer.metadata).continue);
      if (next === undefined) return 'free';
    }
    throw new Fault('unavailable', 'it has more runs of the event than are looked at');
  };

  return {
    async covers(run, signal) {
      const event = eventOf(run);
      if (event.selector === '') return 'free'; // without a label there is nothing to find it by
      const key = JSON.stringify([event.namespace, event.selector, event.trigger]);
      try {
        const found = await ask(event, signal);
        waitingSince.delete(key);
        if (isFailing) log.info('the second cluster answers again', { address: parts.address });
        isFailing = false;
        return found;
      } catch (error) {
        signal.throwIfAborted();
        const why = faultOf(error).message;
        if (!isFailing) log.warn('the second cluster cannot be asked', { address: parts.address, why, failOpen });
        isFailing = true;
        const since = waitingSince.get(key) ?? clock.now();
        if (failOpen && clock.now() - since >= FAIL_OPEN_AFTER_MS) {
          waitingSince.delete(key);
          log.warn('a run is started without an answer of the second cluster', { namespace: event.namespace, why });
          return 'free';
        }
        remember(waitingSince, key, since);
        throw new Fault('unavailable', `the run waits, because the second cluster cannot be asked: ${why}`, {
          cause: error,
        });
      }
    },
    close: () => client.close(),
  };
}

/** What is looked for. */
interface EventOfRun {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** `labels` as a selector; '' where there are none. */
  readonly selector: string;
  /** The value of the trigger's label. */
  readonly trigger: string | undefined;
  /** Undefined for a run that names no Pipeline. */
  readonly pipeline: string | undefined;
}

function eventOf(run: JsonObject): EventOfRun {
  const { namespace, labels: sent } = objectOf(run.metadata);
  const all = stringsOf(sent);
  const labels = Object.fromEntries(
    EVENT_LABELS.flatMap((name) => (all[name] === undefined ? [] : [[name, all[name]] as const])),
  );
  return {
    namespace: stringOf(namespace) ?? '',
    labels,
    selector: Object.entries(labels)
      .map(([name, value]) => `${name}=${value}`)
      .join(','),
    trigger: all[TRIGGER_LABEL],
    pipeline: pipelineOf(run),
  };
}

/** Whether a run there is for it. The server has selected by labels; one that has not must not be believed. */
function isFor({ labels, trigger, pipeline }: EventOfRun, item: Json): boolean {
  const run = objectOf(item);
  const theirs = stringsOf(objectOf(run.metadata).labels);
  if (!Object.entries(labels).every(([name, value]) => theirs[name] === value)) return false;
  // The original sets no such label, but for its first releases.
  const owner = theirs[TRIGGER_LABEL];
  if (owner !== undefined && trigger !== undefined && owner !== trigger) return false;
  // Tekton sets its label some time after the run was created.
  return pipeline === undefined || theirs[PIPELINE_LABEL] === pipeline || pipelineOf(run) === pipeline;
}

function pipelineOf(run: JsonObject): string | undefined {
  return stringOf(objectOf(objectOf(run.spec).pipelineRef).name);
}

/** The answer of the first version that is served. Fault `unavailable`: none is. */
async function firstServed(
  versions: readonly string[],
  get: (version: string) => Promise<JsonObject>,
): Promise<JsonObject> {
  for (const version of versions) {
    try {
      return await get(version);
    } catch (error) {
      if (!(error instanceof Fault && error.code === 'not-found')) throw error;
    }
  }
  throw new Fault('unavailable', 'it serves no PipelineRuns (404)');
}

function remember(waiting: Map<string, number>, key: string, since: number): void {
  const oldest = waiting.keys().next().value;
  if (!waiting.has(key) && waiting.size >= MOST_WAITING && oldest !== undefined) waiting.delete(oldest);
  waiting.set(key, since);
}

/** Fault `bad-request`: the address is none that a token may be sent to. */
function connectionTo({ address, token, caFile, insecureSkipVerify }: SecondClusterParts): Connection {
  const server = URL.canParse(address) ? new URL(address) : undefined;
  const isLoopback = server !== undefined && /^(?:localhost|\[::1\]|127\..+)$/.test(server.hostname);
  if (server === undefined || (server.protocol !== 'https:' && !(server.protocol === 'http:' && isLoopback))) {
    throw new Fault('bad-request', '--second-cluster-address must be https://, or http:// to this machine alone');
  }
  return {
    server,
    describe: `the second cluster at ${server.host}`,
    async requestOptions() {
      const sent = 'text' in token ? token.text : await readNamed('SECOND_CLUSTER_TOKEN_FILE', token.file);
      const ca = caFile === undefined ? undefined : await readNamed('SECOND_CLUSTER_CA_FILE', caFile);
      return {
        headers: { authorization: `Bearer ${sent.trim()}` },
        rejectUnauthorized: !insecureSkipVerify,
        ...(ca === undefined ? {} : { ca }),
      };
    },
    refreshCredentials: async () => {}, // they are read for each question
  };
}

async function readNamed(setting: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new Fault('refused', `${setting}: ${file} cannot be read`, { cause });
  }
}
