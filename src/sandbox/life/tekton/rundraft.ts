/** What becomes of one PipelineRun, collected step by step until the decision is complete. */

import type { Verdict } from './condition.ts';
import { isDone, succeeded, timestamp, withVerdict } from './condition.ts';
import { restrictLength } from './names.ts';
import type { Progress } from './progress.ts';
import { timeoutsOf } from './progress.ts';
import { provenance } from './provenance.ts';
import { only } from './specs.ts';
import type { ChildReference, Draft, PipelineRun, PipelineRunStatus, PipelineSpec, Texts } from './types.ts';

/** A child that is to stop, and why. */
export interface Stop {
  readonly kind: 'TaskRun' | 'CustomRun';
  readonly name: string;
  readonly why: 'cancelled' | 'timedOut';
}

/** What is to be done for a run now. */
export interface PipelineRunDecision {
  /** To be created in this order, before the status is written. */
  readonly creates: readonly Draft[];
  readonly stops: readonly Stop[];
  readonly labels: Texts;
  readonly annotations: Texts;
  readonly status: PipelineRunStatus;
  /** The status as it was before anything was created: what stands if the API cannot take what is to be created now. */
  readonly held: PipelineRunStatus;
  /** When to look again although nothing has happened: the next timeout. */
  readonly dueAt: number | undefined;
}

/** The pipeline of a run, and what of its metadata the run takes over. */
export interface Pipelined {
  readonly name: string;
  readonly spec: PipelineSpec;
  readonly labels?: Texts | undefined;
  readonly annotations?: Texts | undefined;
  /** The pipeline is the run's own, whose name was generated: the label is shorter than the name then. */
  readonly isGenerated?: boolean;
}

/** Children of a kind that Tekton does not know how to stop: nested PipelineRuns. The others are stopped all the same. */
export class Unstoppable extends Error {
  readonly why: Stop['why'];

  constructor(why: Stop['why'], message: string) {
    super(message);
    this.why = why;
  }
}

/** Collects what becomes of one run. */
export class RunDraft {
  readonly run: PipelineRun;
  readonly #now: number;
  readonly #creates: Draft[] = [];
  readonly #stops = new Map<string, Stop>();
  #labels: Texts;
  #annotations: Texts;
  #status: PipelineRunStatus;
  #held: PipelineRunStatus | undefined;

  constructor(run: PipelineRun, now: number) {
    this.run = run;
    this.#now = now;
    this.#labels = run.metadata.labels ?? {};
    this.#annotations = run.metadata.annotations ?? {};
    this.#status = run.status ?? {};
  }

  get children(): readonly ChildReference[] {
    return this.#status.childReferences ?? [];
  }

  get startedAt(): number | undefined {
    const { startTime } = this.#status;
    return startTime === undefined ? undefined : Date.parse(startTime);
  }

  get pipelineLabel(): string | undefined {
    return this.#labels['tekton.dev/pipeline'];
  }

  /** The run with labels and status as they are by now. */
  current(): PipelineRun {
    const metadata = { ...this.run.metadata, labels: this.#labels, annotations: this.#annotations };
    return { ...this.run, metadata, status: this.#status };
  }

  start(): void {
    if (this.#status.startTime !== undefined) return;
    this.#status = { ...this.#status, startTime: timestamp(this.#now) };
    this.judge({ status: 'Unknown', reason: 'Started', message: succeeded(this.#status)?.message ?? '' });
  }

  startFinally(progress: Progress): void {
    progress.finallyStartedAt ??= this.#now;
    if (this.#status.finallyStartTime !== undefined) return;
    this.#status = { ...this.#status, finallyStartTime: timestamp(this.#now) };
  }

  judge(verdict: Verdict): void {
    const conditions = withVerdict(this.#status.conditions, verdict, this.#now);
    const completion = verdict.status === 'Unknown' ? {} : { completionTime: timestamp(this.#now) };
    this.#status = { ...this.#status, ...completion, conditions };
  }

  /** The label that names the pipeline, before the pipeline itself is known. */
  labelWithPipeline(): void {
    if (this.pipelineLabel !== undefined) return;
    const { name, generateName } = this.run.metadata;
    const { pipelineRef, pipelineSpec } = this.run.spec;
    const resolved = pipelineRef?.params?.find((param) => param.name === 'name')?.value;
    const isPipeline = pipelineRef?.params?.some(({ name: key, value }) => key === 'kind' && value === 'pipeline');
    let label = name;
    if (pipelineRef?.name) label = pipelineRef.name;
    else if (pipelineSpec !== undefined && generateName !== undefined) label = restrictLength(generateName) || name;
    else if (isPipeline && typeof resolved === 'string') label = resolved;
    this.#labels = { ...this.#labels, 'tekton.dev/pipeline': label };
  }

  /** Takes over what the pipeline's metadata says, once; what the run says itself counts more. */
  remember({ name, spec, labels = {}, annotations = {}, isGenerated = false }: Pipelined): void {
    this.#status = { ...this.#status, provenance: provenance(this.#status.provenance) };
    if (this.#status.pipelineSpec !== undefined) return;
    this.#labels = { ...labels, ...this.#labels };
    if (name !== '' && (this.pipelineLabel === undefined || !isGenerated)) {
      this.#labels = { ...this.#labels, 'tekton.dev/pipeline': name };
    }
    this.#annotations = { ...annotations, ...this.#annotations };
    this.setSpec(spec);
  }

  setSpec(pipelineSpec: PipelineSpec): void {
    this.#status = { ...this.#status, pipelineSpec };
  }

  setChildren(children: readonly ChildReference[]): void {
    this.#status = { ...this.#status, ...only('childReferences', children.length === 0 ? undefined : children) };
  }

  setSkipped(skipped: PipelineRunStatus['skippedTasks'] = []): void {
    const { skippedTasks: _, ...status } = this.#status;
    this.#status = { ...status, ...only('skippedTasks', skipped.length === 0 ? undefined : skipped) };
  }

  setResults(results: PipelineRunStatus['results'] = []): void {
    this.#status = { ...this.#status, ...only('results', results.length === 0 ? undefined : results) };
  }

  create(draft: Draft | undefined): void {
    if (draft === undefined) return;
    this.#held ??= this.#status;
    this.#creates.push(draft);
  }

  stopAll(why: Stop['why']): void {
    this.stop(
      why,
      this.children.map(({ pipelineTaskName }) => pipelineTaskName),
    );
  }

  /** Stops the runs of these tasks. A nested PipelineRun cannot be stopped so, and Tekton says so. */
  stop(why: Stop['why'], tasks: readonly string[]): void {
    const stopped = this.children.filter(({ pipelineTaskName }) => tasks.includes(pipelineTaskName));
    const unknown = stopped.filter(({ kind }) => kind !== 'TaskRun' && kind !== 'CustomRun');
    for (const { kind, name } of stopped) {
      if (kind === 'TaskRun' || kind === 'CustomRun') this.#stops.set(`${kind}/${name}`, { kind, name, why });
    }
    if (unknown.length === 0) return;
    const kinds = `map[${unknown
      .map(({ name, kind }) => `${name}:${kind}`)
      .sort()
      .join(' ')}]`;
    throw new Unstoppable(why, `found child objects of unknown kinds: ${kinds}`);
  }

  decision(): PipelineRunDecision {
    return {
      creates: this.#creates,
      stops: [...this.#stops.values()],
      labels: this.#labels,
      annotations: this.#annotations,
      status: this.#status,
      held: this.#held ?? this.#status,
      dueAt: isDone({ status: this.#status }) ? undefined : this.#nextTimeout(),
    };
  }

  /** A moment after the next timeout: one has passed when more than it has gone by. */
  #nextTimeout(): number | undefined {
    const { pipeline, tasks, finally: last } = timeoutsOf(this.run.spec);
    const { finallyStartTime } = this.#status;
    const startedAt = this.startedAt;
    if (startedAt === undefined) return undefined;
    const part =
      finallyStartTime === undefined ? tasks && startedAt + tasks : last && Date.parse(finallyStartTime) + last;
    const ends = [pipeline === 0 ? 0 : startedAt + pipeline, part ?? 0]
      .map((at) => at + 1)
      .filter((at) => at > this.#now);
    return ends.length === 0 ? undefined : Math.min(...ends);
  }
}
