/** `spec.hook` of a PipelineTrigger: what counts as an event of it, and what is posted to it. Pure, and never throws. */
import { type Json, type JsonObject, objectOf, present, stringOf } from '../kube/objects.ts';

/** What a trigger says of its events. */
export interface HookSpec {
  /** The Secret in its namespace that opens its hook; absent: nothing is asked of who posts. */
  readonly secret?: string;
  /** `events`: what nobody posted an event of starts nothing. `watch`: nothing that is posted counts. */
  readonly mode: 'events' | 'watch' | 'both';
  /** `Failure`: that the source fails is what it runs for. */
  readonly on: 'Success' | 'Failure';
  /** A changed digest is an event as well. */
  readonly byContent: boolean;
  /** What the source reports when it is first seen is not run. */
  readonly skipsFirst: boolean;
  /** The source is in another cluster: it is not looked for here, and what a signed event says of it is believed. */
  readonly trustsEvents: boolean;
  /** How many runs may be started within an hour, those by hand apart; absent: as many as there are events. */
  readonly maxRunsPerHour?: number;
}

/** How a trigger without `spec.hook` goes about its events: its source is watched, and nothing can be posted to it. */
export const NO_HOOK: HookSpec = {
  mode: 'watch',
  on: 'Success',
  byContent: false,
  skipsFirst: false,
  trustsEvents: false,
};

/** The start of each of these runs is kept in the status for an hour. */
const MOST_RUNS_PER_HOUR = 1_000;

/**
 * Reads `spec.hook`; `wrong` is told each mistake as a sentence that names the field. What is wrong reads as if it were not there.
 */
export function readHook(value: Json | undefined, sourceKind: string, wrong: (sentence: string) => void): HookSpec {
  if (value === undefined || value === null) return NO_HOOK;
  const hook = objectOf(value);
  const trustsEvents = hook.trustEvents === true;
  const mode = oneOf(hook, 'mode', ['both', 'events', 'watch'], wrong);
  const on = oneOf(hook, 'on', ['Success', 'Failure'], wrong);
  const secretRef = objectOf(hook.secretRef);
  const secret = stringOf(secretRef.name);
  if (hook.secretRef !== undefined && secret === undefined) wrong('spec.hook.secretRef.name is missing');
  if (trustsEvents && hook.mode === 'watch') {
    wrong(
      'spec.hook.mode is watch and spec.hook.trustEvents is true: nothing would ever be an event; leave one of them out',
    );
  }
  if (sourceKind === 'PullRequest') {
    // Flux has no such kind: nobody posts events of one, and it has no condition Ready.
    if (hook.mode === 'events')
      wrong('spec.hook.mode is events, and nobody posts events of a PullRequest; write watch or both');
    if (on === 'Failure') wrong('spec.hook.on is Failure, which a PullRequest does not tell of; write Success');
    if (trustsEvents) wrong('spec.hook.trustEvents is true, and nobody posts events of a PullRequest; leave it out');
  }
  return {
    mode: trustsEvents ? 'events' : mode,
    on,
    byContent: hook.identity === 'content',
    skipsFirst: hook.initialRun === 'never',
    trustsEvents,
    ...present({ secret, maxRunsPerHour: limitIn(hook, wrong) }),
  };
}

/** One of `words`, the first where none is given. */
function oneOf<const T extends string>(
  hook: JsonObject,
  field: string,
  words: readonly [T, ...T[]],
  wrong: (sentence: string) => void,
): T {
  const value = hook[field];
  const found = value === undefined || value === null ? words[0] : words.find((word) => word === value);
  if (found === undefined) wrong(`spec.hook.${field} is no word that it can be; write one of ${words.join(', ')}`);
  return found ?? words[0];
}

function limitIn({ maxRunsPerHour: value }: JsonObject, wrong: (sentence: string) => void): number | undefined {
  if (value === undefined || value === null) return undefined;
  const isLimit = typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= MOST_RUNS_PER_HOUR;
  if (isLimit) return value;
  wrong(`spec.hook.maxRunsPerHour is no limit; write a whole number from 1 to ${MOST_RUNS_PER_HOUR}`);
  return undefined;
}
