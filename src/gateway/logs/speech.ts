/** What one attempt of a TaskRun says on the stage: its lines, when its steps begin and end, when it is over itself. */
import type { Clock } from '../../clock.ts';
import { present } from '../../kube/objects.ts';
import type { Joined } from '../../tekton/joiner.ts';
import type { PodPlan, StepPlan } from '../../tekton/logs.ts';
import type { LogEvent, LogSource } from '../../tekton/shaper.ts';
import type { Delivered } from './delivered.ts';
import { containerKey, type Floor, NO_VOICE, type Reached } from './floor.ts';
import type { PodFlow } from './podflow.ts';
import type { Stage } from './stage.ts';

/** What a pod's speech needs. */
export interface PodSpeechParts {
  readonly stage: Stage;
  readonly delivered: Delivered;
  readonly clock: Clock;
}

/** The speech of one pod. */
export class PodSpeech {
  readonly #plan: PodPlan;
  readonly #parts: PodSpeechParts;
  readonly #floor: Floor;
  readonly #sources = new Map<string, LogSource>();
  /** Containers that were said to run. */
  readonly #begun = new Set<string>();
  #isBegun = false;
  #isOver = false;

  constructor(plan: PodPlan, parts: PodSpeechParts) {
    this.#plan = plan;
    this.#parts = parts;
    this.#floor = parts.stage.of(plan.pod);
    for (const { container } of [...plan.steps, ...plan.beside]) {
      const start = parts.delivered.startOf(plan.pod, container);
      if (typeof start === 'object') this.#floor.beginAnew(containerKey({ pod: plan.pod, container }));
    }
  }

  /** The voice of containers that speak one after another. */
  voiceOf(steps: readonly StepPlan[]): string {
    return containerKey({ pod: this.#plan.pod, container: steps[0]?.container ?? '' });
  }

  /** Resolves when `voice` may go on. */
  room(voice: string): Promise<void> {
    return this.#floor.room(voice);
  }

  /** Says what was joined of `steps`. `planned`: how a container stands now; `flow`: who reads it. */
  say(
    voice: string,
    steps: readonly StepPlan[],
    joined: Joined,
    planned: (step: StepPlan) => StepPlan,
    flow: Pick<PodFlow, 'hasAll'>,
  ): void {
    const step = steps.find(({ position }) => position === joined.step);
    if (step === undefined) return;
    const source = this.#sourceOf(step);
    const { pod, container } = source;
    switch (joined.kind) {
      case 'lines': {
        if (!this.#begun.has(container)) this.#beginStep(voice, source);
        const { batch } = joined;
        const { positionAfter } = batch;
        const cursor = this.#parts.delivered.lineCursors(pod, container, batch);
        const reached: Reached | undefined = positionAfter && ((at) => ({ pod, container, at: positionAfter(at) }));
        this.#floor.say(voice, { type: 'log', source, batch, ...(cursor === undefined ? {} : { cursor }) }, reached);
        return;
      }
      case 'blank':
        this.#floor.say(voice, { type: 'blank', source });
        return;
      case 'over':
        this.#endStep(voice, source, planned(step), flow.hasAll(container));
    }
  }

  /** Says that the attempt is over, if it is. */
  overWhenFinal(plan: readonly PodPlan[]): void {
    if (this.#isOver) return;
    const now = plan.find(({ pod }) => pod === this.#plan.pod);
    if (now !== undefined && now.phase !== 'pending' && now.phase !== 'running') this.over(plan);
  }

  /** Says that the attempt is over, or that nothing more of it will be shown. Twice: nothing more. */
  over(plan: readonly PodPlan[]): void {
    if (this.#isOver) return;
    this.#begin();
    this.#isOver = true;
    const now = plan.find(({ pod }) => pod === this.#plan.pod) ?? this.#plan;
    this.#floor.say(NO_VOICE, this.#event('over', now, now.completed));
    this.#parts.stage.over(this.#plan.pod);
  }

  #sourceOf(step: StepPlan): LogSource {
    const known = this.#sources.get(step.container);
    if (known !== undefined) return known;
    const made = sourceOf(this.#plan, step);
    this.#sources.set(step.container, made);
    return made;
  }

  #beginStep(voice: string, source: LogSource): void {
    this.#begin();
    this.#begun.add(source.container);
    this.#floor.say(voice, { type: 'step', source, state: 'running' });
  }

  #endStep(voice: string, source: LogSource, { state, exitCode, reason }: StepPlan, hasAll: boolean): void {
    const { pod, container } = source;
    // What could not be read may be there when the client comes back.
    const reached: Reached = () => (hasAll ? { pod, container, at: 'complete' } : undefined);
    if (state === 'terminated' || state === 'gone') {
      this.#begin();
      const event: LogEvent = { type: 'step', source, state: 'terminated', ...present({ exitCode, reason }) };
      this.#floor.say(voice, event, reached);
    } else if (hasAll) this.#parts.delivered.reach({ pod, container, at: 'complete' });
  }

  #begin(): void {
    if (this.#isBegun) return;
    this.#isBegun = true;
    this.#floor.say(NO_VOICE, this.#event('begun', this.#plan, this.#plan.started));
  }

  #event(state: 'begun' | 'over', plan: PodPlan, time: string | undefined): LogEvent {
    const { task, prefix, displayName, taskRun, attempt, phase } = plan;
    const at = time ?? new Date(this.#parts.clock.now()).toISOString();
    return { type: 'task', task, prefix, ...present({ displayName }), taskRun, attempt, state, phase, at };
  }
}

/** Where lines of a container come from. */
export function sourceOf(plan: PodPlan, { name, container }: StepPlan): LogSource {
  const { task, prefix, displayName, taskRun, attempt, pod } = plan;
  return { task, prefix, ...present({ displayName }), taskRun, attempt, step: name, pod, container };
}
