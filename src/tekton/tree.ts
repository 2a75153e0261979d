/** Which child belongs to which task of a run, in pipeline order, and what each is called where its lines are shown. */
import { present } from '../kube/objects.ts';
import type { CustomRun, PipelineRun, PipelineTask, RunFacts, SkippedTask, TaskRun } from './types.ts';

/** How deep nested runs are followed; Tekton refuses cycles of its own, but labels and owners can be set by hand. */
const MAX_DEPTH = 8;

/** What a task became: once, or several times for a matrix. Named by a reference alone while (or once) it cannot be seen. */
export interface Child {
  readonly name: string;
  readonly displayName?: string;
  readonly object?: TaskRun | CustomRun | PipelineRun;
  /** What belongs to `object` when that is a nested run. */
  readonly facts?: RunFacts;
}

/** One task of a run with its children. `spec` is absent when the run does not tell its pipeline's spec. */
export interface RunTask {
  readonly name: string;
  readonly kind: PipelineTask['kind'];
  readonly memberOf: PipelineTask['memberOf'];
  readonly spec?: PipelineTask;
  readonly skipped?: SkippedTask;
  readonly children: readonly Child[];
}

/**
 * The tasks of a run: in the order of its spec, then those only its children or skips tell of. Children are those of the
 * status, which lags, united with those that were found by their owner; in the order of the status, then of the matrix.
 */
export function tasksOf(facts: RunFacts): readonly RunTask[] {
  const { run } = facts;
  const byTask = Map.groupBy(placedChildren(facts).sort(byPlace), ({ task }) => task);
  const specs = new Map(run.tasks.map((spec) => [spec.name, spec]));
  const skips = new Map(run.skipped.map((skip) => [skip.name, skip]));
  return [...new Set([...specs.keys(), ...byTask.keys(), ...skips.keys()])].map((name) => {
    const spec = specs.get(name);
    const own = byTask.get(name) ?? [];
    return {
      name,
      kind: own[0]?.kind ?? spec?.kind ?? 'TaskRun',
      memberOf: spec?.memberOf ?? (own.some(({ child }) => isFinally(child)) ? 'finally' : 'tasks'),
      ...present({ spec, skipped: skips.get(name) }),
      children: own.map(({ child }) => child),
    };
  });
}

/** A child with what decides where it stands. */
interface PlacedChild {
  readonly task: string;
  readonly kind: PipelineTask['kind'];
  /** In `childReferences`; after all of them while the status has not caught up. */
  readonly place: number;
  readonly child: Child;
}

function placedChildren({ run, taskRuns, customRuns, nested }: RunFacts): PlacedChild[] {
  const seen: readonly (Child & { readonly object: TaskRun | CustomRun | PipelineRun })[] = [
    ...[...taskRuns, ...customRuns].map((object) => ({ name: object.meta.name, object })),
    ...nested.map((facts) => ({ name: facts.run.meta.name, object: facts.run, facts })),
  ];
  const places = new Map(run.children.map(({ kind, name }, place) => [`${kind}/${name}`, place]));
  const placed = seen.map((child): PlacedChild => {
    const { kind, meta } = child.object;
    const place = places.get(`${kind}/${child.name}`) ?? run.children.length;
    const reference = run.children[place];
    // The controller writes references; labels can be set by hand.
    const task = reference?.pipelineTaskName || meta.labels['tekton.dev/pipelineTask'] || child.name;
    return { task, kind, place, child: { ...child, ...present({ displayName: reference?.displayName }) } };
  });
  const seenPlaces = new Set(placed.map(({ place }) => place));
  const unseen = run.children.map(({ kind, name, displayName, pipelineTaskName }, place): PlacedChild => {
    const known = kind === 'TaskRun' || kind === 'PipelineRun' ? kind : 'CustomRun';
    return { task: pipelineTaskName || name, kind: known, place, child: { name, ...present({ displayName }) } };
  });
  return [...placed, ...unseen.filter(({ place }) => !seenPlaces.has(place))];
}

/** A TaskRun of a run, with the name its lines are shown under. */
export interface NamedTaskRun {
  readonly taskRun: TaskRun;
  /** The pipeline task. */
  readonly task: string;
  /** Unique in its run: `build`, `build-3` in a matrix, `release/build` in the nested run of task `release`. */
  readonly displayName: string;
  /** The facts of the run it belongs to, which hold its pods. */
  readonly facts: RunFacts;
}

/**
 * The TaskRuns of a run and of its nested runs, in pipeline order, under names that tell them apart. A matrix instance
 * has the number Tekton gave its TaskRun; where two names would be the same, the later one is its TaskRun's own.
 */
export function taskRunsOf(facts: RunFacts): readonly NamedTaskRun[] {
  return namedBelow(facts, '', []);
}

function namedBelow(facts: RunFacts, path: string, ancestors: readonly string[]): readonly NamedTaskRun[] {
  const tasks = tasksOf(facts);
  const line = [...ancestors, facts.run.meta.uid];
  const taken = new Set(tasks.map(({ name }) => name));
  return tasks.flatMap((task) =>
    task.children.flatMap((child, place) => {
      const wanted = wantedName(task, child, place);
      const isOwn = wanted === task.name && place === 0;
      const others = [wanted, child.name, child.object?.meta.uid ?? child.name];
      const name = isOwn ? wanted : (others.find((other) => !taken.has(other)) ?? child.name);
      taken.add(name);
      const displayName = `${path}${name}`;
      if (child.object?.kind === 'TaskRun') return [{ taskRun: child.object, task: task.name, displayName, facts }];
      return child.facts && mayFollow(child.facts, line) ? namedBelow(child.facts, `${displayName}/`, line) : [];
    }),
  );
}

/** The task's own name, which no other child may take; in a matrix with the number of the instance. */
function wantedName({ name, spec, children }: RunTask, child: Child, place: number): string {
  const number = matrixNumber(child.name, name);
  if (children.length > 1) return `${name}-${number ?? place}`;
  const isMatrix = spec?.matrix ?? child.name.endsWith(`-${name}-${number}`);
  return isMatrix && number !== undefined ? `${name}-${number}` : name;
}

/** Whether a nested run may be followed below `ancestors` (uids, outermost first): neither a cycle nor too deep. */
export function mayFollow(nested: RunFacts, ancestors: readonly string[]): boolean {
  return ancestors.length <= MAX_DEPTH && !ancestors.includes(nested.run.meta.uid);
}

/** `3` of `<run>-<task>-3`. A long name is hashed before the number, so the number alone is sure. */
function matrixNumber(childName: string, task: string): number | undefined {
  if (childName.endsWith(`-${task}`)) return undefined;
  const [, digits] = /-(\d{1,6})$/.exec(childName) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

function isFinally({ object }: Child): boolean {
  return object?.meta.labels['tekton.dev/memberOf'] === 'finally';
}

function byPlace(a: PlacedChild, b: PlacedChild): number {
  const number = ({ child, task }: PlacedChild) => matrixNumber(child.name, task) ?? 0;
  const created = ({ child }: PlacedChild) => child.object?.meta.created ?? '';
  return (
    a.place - b.place ||
    created(a).localeCompare(created(b)) ||
    number(a) - number(b) ||
    a.child.name.localeCompare(b.child.name)
  );
}
