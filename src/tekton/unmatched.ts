/** Why a filter that nothing passes shows nothing: there is no such task, attempt or step. Facts in, sentences out. */
import { stepName } from './containers.ts';
import { isMissingChildren, isTaskSelected, type LogFilters, logPlan } from './logs.ts';
import type { Notice, RunNoun } from './notices.ts';
import { isDone } from './phase.ts';
import { printable } from './text.ts';
import { mayFollow, taskRunsOf, tasksOf } from './tree.ts';
import type { RunFacts } from './types.ts';

/** So many names are given; of more only how many there are. */
const MOST_NAMED = 10;

/**
 * What was asked for and is not there, at most a sentence each of tasks, attempts and steps, with the names there are. To
 * be said when no more is read. Of a run that goes on it says `yet`; of steps that could not be seen it says nothing.
 */
export function unmatchedNotices(facts: RunFacts, filters: LogFilters, noun: RunNoun = 'run'): readonly Notice[] {
  const { task = [], attempt = [], step = [] } = filters;
  const asked = { noun, isOver: isDone(facts.run.succeeded), isChosen: task.length > 0 };
  const found: Notice[] = [];
  if (task.length > 0) {
    const tasks = tasksBelow(facts, '', []);
    const instances = taskRunsOf(facts).map(({ task: name, displayName: path }) => ({ name, path }));
    const all = [...tasks, ...instances];
    const isThere = (value: string) => all.some(({ name, path }) => isTaskSelected(name, path, { task: [value] }));
    const unknown = task.filter((value) => !isThere(value));
    const known = tasks.map(({ path }) => path);
    if (unknown.length > 0) found.push(absent('task', unknown.map(quoted), known, { ...asked, isChosen: false }));
    if (unknown.length === task.length) return found;
  }
  if ((attempt.length === 0 && step.length === 0) || isMissingChildren(facts)) return found;
  const { attempt: _, step: __, failed, ...rest } = filters;
  const plan = logPlan(facts, rest);
  if (attempt.length > 0) {
    const numbers = new Set(plan.map((pod) => pod.attempt));
    const unknown = attempt.filter((number) => !numbers.has(number));
    const known = [...numbers].sort((a, b) => a - b);
    if (unknown.length > 0) found.push(absent('attempt', unknown.map(String), known.map(String), asked));
    if (unknown.length === attempt.length) return found;
  }
  // With `failed` the failing step is shown, whichever that is.
  if (step.length === 0 || failed === true) return found;
  const pods = plan.filter((pod) => attempt.length === 0 || attempt.includes(pod.attempt));
  const names = new Set(pods.flatMap(({ steps, beside }) => [...steps, ...beside].map(({ name }) => name)));
  const unknown = step.filter((value) => !names.has(stepName(value)));
  if (unknown.length > 0) found.push(absent('step', unknown.map(quoted), [...names], asked));
  return found;
}

interface NamedTask {
  readonly name: string;
  /** With the tasks it is nested in. */
  readonly path: string;
}

/** The tasks of a run and of its nested runs, whether they have begun or not. */
function tasksBelow(facts: RunFacts, outer: string, ancestors: readonly string[]): readonly NamedTask[] {
  const line = [...ancestors, facts.run.meta.uid];
  return tasksOf(facts).flatMap(({ name, children }) => {
    const path = `${outer}${name}`;
    const nested = children.flatMap((child) => (child.facts && mayFollow(child.facts, line) ? [child.facts] : []));
    return [{ name, path }, ...nested.flatMap((inner) => tasksBelow(inner, `${path}/`, line))];
  });
}

/** Where it was looked for. */
interface Asked {
  readonly noun: RunNoun;
  readonly isOver: boolean;
  /** Only some tasks were looked at. */
  readonly isChosen: boolean;
}

function absent(
  kind: 'task' | 'attempt' | 'step',
  unknown: readonly string[],
  known: readonly string[],
  { noun, isOver, isChosen }: Asked,
): Notice {
  const whose = isChosen ? 'the tasks that were asked for have' : `the ${noun} has`;
  const yet = isOver ? '' : ' yet';
  const names = [...new Set(known)].map((name) => printable(name));
  const there = names.length === 0 ? 'none is known' : `there is ${listed(names, 'and')}`;
  const sentence = `${whose} no ${kind} ${listed(unknown, 'or')}${yet}: ${there}`;
  return { key: `unmatched ${kind}`, level: 'problems', sentence };
}

function quoted(name: string): string {
  return `"${printable(name)}"`;
}

/** `a, b and c`, the last words counting those that are not named. */
function listed(names: readonly string[], joint: 'and' | 'or'): string {
  const more = names.length - MOST_NAMED;
  const words = more > 0 ? [...names.slice(0, MOST_NAMED), `${more} more`] : names;
  const last = words.at(-1) ?? '';
  return words.length < 2 ? last : `${words.slice(0, -1).join(', ')} ${joint} ${last}`;
}
