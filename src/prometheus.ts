/** The real metrics: prom-client series for what rooms count, and for the process itself. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Clock } from './clock.ts';
import type { Metrics, TriggerLine, TriggerName } from './metrics.ts';

/** Metrics that can be read. */
export interface PrometheusMetrics extends Metrics {
  /** Every series in the text format, and its content type. */
  exposition(): Promise<{ readonly contentType: string; readonly text: string }>;
}

/**
 * Makes the series, each in a registry of its own, so that two can live in one process. With `processSeries` also those
 * of the process: CPU, memory, garbage collection and the lag of the event loop; only `main` wants them.
 */
export function createMetrics(options: {
  readonly clock: Clock;
  readonly version: string;
  readonly processSeries: boolean;
  /** What `/readyz` says. */
  readonly isReady: () => boolean;
}): PrometheusMetrics {
  const { clock, version, processSeries, isReady } = options;
  const registry = new Registry();
  const registers = [registry];
  if (processSeries) collectDefaultMetrics({ register: registry });

  new Gauge({
    name: 'rungate_build_info',
    help: 'Always 1; the labels say which rungate on which Node.js this is.',
    labelNames: ['version', 'node'],
    registers,
  }).set({ version, node: process.version }, 1);
  const requests = new Histogram({
    name: 'rungate_http_request_duration_seconds',
    help: 'Time from the arrival of a request to the end of its answer. Long polls and log streams last as long as they were asked to.',
    labelNames: ['route', 'method', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300],
    registers,
  });
  new Gauge({
    name: 'rungate_ready',
    help: 'Whether /readyz is 200: 1, else 0.',
    registers,
    collect() {
      this.set(isReady() ? 1 : 0);
    },
  });
  const openStreams = new Gauge({ name: 'rungate_log_streams_open', help: 'Log streams open now.', registers });
  const endedStreams = new Counter({
    name: 'rungate_log_streams_total',
    help: 'Log streams that have ended, by how.',
    labelNames: ['outcome'],
    registers,
  });
  const bytes = new Counter({ name: 'rungate_log_bytes_total', help: 'Log bytes handed to clients.', registers });
  const calls = new Counter({
    name: 'rungate_kube_requests_total',
    help: 'Calls to the API server, by verb and HTTP status; "error" had none.',
    labelNames: ['verb', 'code'],
    registers,
  });
  const reconciles = new Histogram({
    name: 'rungate_reconcile_duration_seconds',
    help: 'Time that a controller spent on one object, by whether it was done, aborted (it stops, or leads no more) or failed, and how.',
    labelNames: ['controller', 'outcome'],
    buckets: [0.005, 0.025, 0.1, 0.5, 1, 5, 30],
    registers,
  });
  const triggers = triggerConditions(registers);
  const created = new Counter({
    name: 'rungate_runs_created_total',
    help: 'Runs created for PipelineTriggers, by why: an event, by hand, or a retry of a run that failed.',
    labelNames: ['cause'],
    registers,
  });
  for (const cause of ['event', 'hand', 'retry']) created.inc({ cause }, 0); // a rate needs to have seen 0
  const deleted = new Counter({
    name: 'rungate_runs_deleted_total',
    help: 'Runs deleted because their PipelineTrigger keeps no more.',
    registers,
  });
  const deliveries = new Counter({
    name: 'rungate_hook_deliveries_total',
    help: 'Deliveries to hooks, once for each trigger that they reached, by what became of them there; those that reached none by the code of their refusal.',
    labelNames: ['kind', 'outcome'],
    registers,
  });
  const leader = new Gauge({
    name: 'rungate_leader',
    help: '1 while this process may start runs, 0 while another one may or nobody.',
    registers,
  });
  const relists = new Counter({
    name: 'rungate_watch_relists_total',
    help: 'Times a watch had to list again.',
    labelNames: ['resource', 'reason'],
    registers,
  });
  const resumes = new Counter({
    name: 'rungate_log_resumes_total',
    help: "Times a container's log had to be resumed.",
    labelNames: ['reason'],
    registers,
  });
  const limited = new Counter({
    name: 'rungate_limited_total',
    help: 'Requests and connections refused because a limit is used up, by setting.',
    labelNames: ['limit'],
    registers,
  });
  const levels = new Map<string, () => number>();
  new Gauge({
    name: 'rungate_open',
    help: 'What is open now: connections, streams, requests that wait for a change, and what they hold.',
    labelNames: ['what'],
    registers,
    collect() {
      for (const [what, read] of levels) this.set({ what }, read());
    },
  });
  const reloads = new Counter({
    name: 'rungate_reloads_total',
    help: 'Times a file that a setting names had changed, by whether the new version was taken.',
    labelNames: ['setting', 'outcome'],
    registers,
  });
  const current = new Gauge({
    name: 'rungate_reload_current',
    help: '0 while the file that a setting names cannot be used and an older version of it is.',
    labelNames: ['setting'],
    registers,
  });
  const watches = new Set<{ readonly resource: string; readonly heardAtMs: () => number }>();
  new Gauge({
    name: 'rungate_watch_age_seconds',
    help: 'Time since the watches of a resource last heard anything (an event, a bookmark or a list) or began, of the one that is worst off.',
    labelNames: ['resource'],
    registers,
    collect() {
      this.reset();
      const oldest = new Map<string, number>();
      for (const { resource, heardAtMs } of watches) {
        const atMs = heardAtMs();
        oldest.set(resource, Math.min(atMs, oldest.get(resource) ?? atMs));
      }
      for (const [resource, atMs] of oldest) this.set({ resource }, Math.max(0, clock.now() - atMs) / 1000);
    },
  });

  return {
    request: (route, method, status, seconds) => requests.observe({ route, method, status }, seconds),
    stream() {
      openStreams.inc();
      return (outcome) => {
        openStreams.dec();
        endedStreams.inc({ outcome });
      };
    },
    logBytes: (count) => bytes.inc(count),
    upstream: (verb, code) => calls.inc({ verb, code }),
    reconcile: (controller, outcome, seconds) => reconciles.observe({ controller, outcome }, seconds),
    triggerCondition: triggers.show,
    triggerGone: triggers.hide,
    runCreated: (cause) => created.inc({ cause }),
    runDeleted: () => deleted.inc(),
    hookDelivery: (kind, outcome) => deliveries.inc({ kind, outcome }),
    leading: (held) => leader.set(held ? 1 : 0),
    watching(resource, heardAtMs) {
      const watch = { resource, heardAtMs };
      watches.add(watch);
      return () => void watches.delete(watch);
    },
    relist: (resource, reason) => relists.inc({ resource, reason }),
    resume: (reason) => resumes.inc({ reason }),
    limited: (limit) => limited.inc({ limit }),
    level: (what, read) => void levels.set(what, read),
    reload(setting, outcome) {
      reloads.inc({ setting, outcome });
      current.set({ setting }, outcome === 'taken' ? 1 : 0);
    },
    exposition: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  };
}

/** A PullRequest may have any number of branches; what is scraped is bounded. */
const MOST_LINES = 200;
/** Whatever length a branch has. */
const MOST_REPO_CHARACTERS = 256;

const STATUSES = ['True', 'False', 'Unknown'] as const;

type ConditionLabels = Readonly<
  Record<'kind' | 'namespace' | 'name' | 'sourcekind' | 'repo' | 'type' | 'status', string>
>;

/**
 * The gauge of Pipeline Trigger Operator: for each line the type of its condition with every status, 1 for the one that it
 * has. It keeps which series a trigger has, so that those that no longer hold are taken away; the cost is that of its lines.
 */
function triggerConditions(registers: Registry[]) {
  const gauge = new Gauge({
    name: 'pipelinetrigger_reconcile_condition',
    help: "The status of the pipeline trigger's last started pipeline run",
    labelNames: ['kind', 'name', 'namespace', 'sourcekind', 'repo', 'type', 'status'],
    registers,
  });
  const shown = new Map<string, ReadonlyMap<string, ConditionLabels>>();
  const keyOf = ({ namespace, name }: TriggerName) => `${namespace}/${name}`;

  function show({ namespace, name }: TriggerName, lines: readonly TriggerLine[]): void {
    const before = shown.get(keyOf({ namespace, name }));
    const now = new Map<string, ConditionLabels>();
    const byRepo = new Map(
      lines.slice(0, MOST_LINES).map((line) => [line.repo.slice(0, MOST_REPO_CHARACTERS), line] as const),
    );
    for (const [repo, { sourceKind, type, status: current }] of byRepo) {
      for (const status of STATUSES) {
        const labels = { kind: 'PipelineTrigger', name, namespace, sourcekind: sourceKind, repo, type, status };
        gauge.set(labels, status === current ? 1 : 0);
        now.set(JSON.stringify([sourceKind, repo, type, status]), labels);
      }
    }
    for (const [key, labels] of before ?? []) if (!now.has(key)) gauge.remove(labels);
    shown.set(keyOf({ namespace, name }), now);
  }

  function hide(trigger: TriggerName): void {
    for (const labels of shown.get(keyOf(trigger))?.values() ?? []) gauge.remove(labels);
    shown.delete(keyOf(trigger));
  }

  return { show, hide };
}
