/**
 * A small world of one trigger for its decisions: an API server that keeps it and its runs, and an operator that takes the steps of the
 * loop one by one, and may crash between any two.
 */
import assert from 'node:assert/strict';
import { decide } from '../../src/controllers/triggers/decide.ts';
import type { Look, Tried, TriggerFacts } from '../../src/controllers/triggers/facts.ts';
import { projectTrigger } from '../../src/controllers/triggers/resource.ts';
import { projectSource } from '../../src/flux/project.ts';
import type { SourceKind } from '../../src/flux/types.ts';
import { mergeOf } from '../../src/kube/merge.ts';
import { type JsonObject, objectOf, present } from '../../src/kube/objects.ts';
import { projectPipelineRun } from '../../src/tekton/project.ts';
import type { PipelineRun } from '../../src/tekton/types.ts';
import type { StoredEvent } from '../../src/triggers/told.ts';

/** A trigger of the first releases, with retries. */
export const first = {
  source: { kind: 'GitRepository', name: 'app' },
  pipeline: { name: 'build', retries: 2, inputParams: [] },
};

/** A trigger with a whole PipelineRun. */
export const whole = {
  source: { kind: 'GitRepository', name: 'app' },
  pipelineRun: { apiVersion: 'tekton.dev/v1', kind: 'PipelineRun', spec: { pipelineRef: { name: 'build' } } },
};

/** That world. What is wrong with what is done is thrown at once. */
export class Stage {
  readonly #now = Date.parse('2026-01-01T00:00:00Z');
  later = 0;
  trigger: JsonObject;
  version = 1;
  /** Runs that are there, by name. */
  readonly runs = new Map<string, PipelineRun>();
  /** Every name that was ever taken by a create. */
  readonly created: string[] = [];
  readonly warnings: string[] = [];
  writes = 0;
  reported: JsonObject | undefined;
  sourceKind: SourceKind;
  sourceSpec: JsonObject = {};
  pipelineMissing = false;
  /** What the operator remembers, and the trigger as its watch has it. */
  tried = new Map<string, Tried>();
  seen: JsonObject;
  /** What events that are believed have left. */
  stored: readonly StoredEvent[] = [];
  /** What Flux was asked, and how often. */
  look: Look | undefined;
  asked = 0;
  /** When each run was created, and whether somebody asked for it. */
  readonly begun: {
    readonly at: number;
    readonly byHand: boolean;
    readonly event: string;
    readonly eventId?: string;
  }[] = [];
  /** When the last decision wanted another look. */
  againMs: number | undefined;
  /** What happens to the next create. */
  nextCreate: 'taken' | 'lost' | 'refused' | 'invalid' = 'taken';

  constructor(spec: JsonObject, status: JsonObject = {}) {
    this.sourceKind = objectOf(spec.source).kind as SourceKind;
    this.trigger = {
      metadata: { name: 't', namespace: 'ci', uid: 'u', generation: 1, resourceVersion: '1' },
      spec,
      status,
    };
    this.seen = this.trigger;
  }

  get now() {
    return this.#now + this.later;
  }

  get status(): JsonObject {
    return objectOf(this.trigger.status);
  }

  get condition() {
    const [condition] = this.status.conditions as readonly JsonObject[];
    return condition;
  }

  report(status: JsonObject | undefined) {
    this.reported = status;
  }

  push(revision: string) {
    this.report({ artifact: { revision, digest: `sha256:${revision}` } });
  }

  change(spec: JsonObject) {
    const metadata = objectOf(this.trigger.metadata);
    this.#keep({ ...this.trigger, metadata: { ...metadata, generation: Number(metadata.generation) + 1 }, spec });
  }

  annotate(annotations: JsonObject) {
    this.#keep({ ...this.trigger, metadata: { ...objectOf(this.trigger.metadata), annotations } });
  }

  /** Asks for a run by hand, which the watch tells of at once. */
  ask(runAt: string) {
    this.annotate({ ...objectOf(objectOf(this.trigger.metadata).annotations), 'rungate.dev/runAt': runAt });
    this.seen = this.trigger;
  }

  #keep(object: JsonObject) {
    this.version++;
    this.trigger = {
      ...object,
      metadata: { ...objectOf(object.metadata), resourceVersion: String(this.version) },
    };
  }

  facts(): TriggerFacts {
    const raw = this.reported && {
      metadata: { name: 'app', namespace: 'ci', generation: 1 },
      spec: this.sourceSpec,
      status: { observedGeneration: 1, ...this.reported },
    };
    return {
      trigger: projectTrigger(this.seen),
      source: raw
        ? projectSource(this.sourceKind, raw)
        : { trouble: 'missing', message: 'gitrepositories.source.toolkit.fluxcd.io "app" not found' },
      pipelineMissing: this.pipelineMissing,
      run: (name) => this.runs.get(name) ?? 'gone',
      tried: this.tried,
      stored: this.stored,
      ...(this.look === undefined ? {} : { look: this.look }),
      now: this.now,
    };
  }

  /** One step of the operator, as its loop takes it; false: nothing is left to do. */
  step(): boolean {
    const decision = decide(this.facts());
    const merge = mergeOf(objectOf(this.seen.status), decision.status);
    if (merge !== undefined) {
      if (this.seen === this.trigger) {
        this.writes++;
        this.#keep({ ...this.trigger, status: merged(this.trigger.status, merge) });
      }
      this.seen = this.trigger; // a conflict reads it again
      return true;
    }
    if (decision.warning !== undefined) this.warnings.push(decision.warning);
    this.againMs = decision.againMs;
    this.stored = this.stored.filter(({ key }) => !decision.done.includes(key));
    if (decision.asksFlux) {
      const { runAt } = projectTrigger(this.seen);
      this.asked++;
      const handledBefore = objectOf(this.reported).lastHandledReconcileAt as string | undefined;
      this.look = { runAt: runAt ?? '', handledBefore, untilMs: this.now + 20_000 };
      return true;
    }
    const [order] = decision.orders;
    if (order === undefined) return false;
    const { sequence, attempt, event, byHand, eventId } = order;
    const name = `t-${event.line}-${sequence}-${attempt}`;
    const came = this.nextCreate;
    this.nextCreate = 'taken';
    const isThere = this.runs.has(name);
    if (!isThere && (came === 'taken' || came === 'lost')) {
      this.created.push(name);
      this.begun.push({ at: this.now, byHand, event: event.raw, ...present({ eventId }) });
      this.runs.set(name, run(name));
    }
    const generation = Number(objectOf(this.trigger.metadata).generation);
    const refused = { sequence, attempt, came: 'refused' as const, message: 'no', generation, details: event.details };
    this.tried.set(
      event.line,
      came === 'taken' || (isThere && came !== 'lost')
        ? { sequence, attempt, came: 'run', run: name }
        : { ...refused, ...(came === 'invalid' ? {} : { untilMs: this.now + 1000 }) },
    );
    return true;
  }

  rest(most = 200) {
    for (let steps = 0; this.step(); steps++) assert.ok(steps < most, 'it does not come to rest');
  }

  /** As long as something is tried again by itself. */
  restAtLast() {
    this.nextCreate = 'taken';
    this.rest();
    this.later += 3_600_000;
    this.seen = this.trigger;
    this.rest();
  }

  crash() {
    this.tried = new Map();
    this.look = undefined;
    this.seen = this.trigger;
  }

  /** A run of that name that goes on. */
  static run(name: string): PipelineRun {
    return run(name);
  }

  finish(name: string, status: 'True' | 'False', reason = status === 'True' ? 'Succeeded' : 'Failed') {
    if (this.runs.has(name)) this.runs.set(name, run(name, { type: 'Succeeded', status, reason, message: 'said' }));
  }
}

function run(name: string, condition?: JsonObject): PipelineRun {
  return projectPipelineRun({
    metadata: { name, namespace: 'ci', uid: name },
    spec: {},
    status: condition ? { conditions: [condition] } : {},
  });
}

/** RFC 7386. */
function merged(target: unknown, patch: JsonObject): JsonObject {
  const result: Record<string, JsonObject[string]> = { ...objectOf(target as JsonObject) };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else if (typeof value === 'object' && !Array.isArray(value)) result[key] = merged(result[key], value as JsonObject);
    else result[key] = value;
  }
  return result;
}
