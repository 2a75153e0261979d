/** What a request for a list of triggers asks for: options, the test and the place that they mean. */
import { Fault } from '../../fault.ts';
import type { ObjectRef } from '../../kube/objects.ts';
import { stateOfTrigger, TRIGGER_STATES } from '../../triggers/item.ts';
import type { TriggerSummary } from '../../triggers/summary.ts';
import { tagFrom } from '../etag.ts';
import { listOption, longObjectName, type OptionValues, option, patterned, wholeNumber, word } from '../options.ts';
import { labelSelector } from '../runs/runquery.ts';

const LARGEST_PAGE = 200;
/** A namespace, a name and a tag, as base64 has them. */
const LONGEST_CONTINUE = 1_024;
/** So many of the runs of each are told at most; `/runs` has all of them. */
const MOST_RUNS = 10;

/** The options of `/triggers`, as docs/api.md lists them. */
export function triggerListOptions(maxWaitSeconds: number) {
  return {
    state: listOption(word(...TRIGGER_STATES), 'Only triggers in one of these states'),
    source: option(longObjectName, undefined, 'Only triggers whose source has this name, whatever its kind'),
    labelSelector: option(
      labelSelector,
      undefined,
      'Only triggers with these labels, as `kubectl -l` takes them: `team=a,tier in (web,db),!canary`',
    ),
    name: option(
      patterned(/^[a-z0-9][-a-z0-9.]*$/, 253, 'the beginning of a name: lower case letters, digits, "-" and "."'),
      undefined,
      'Only triggers whose name begins so',
    ),
    runs: option(wholeNumber({ from: 0, to: MOST_RUNS }), 3, 'So many of the runs of each, the newest first'),
    limit: option(wholeNumber({ from: 1, to: LARGEST_PAGE }), 50, 'Triggers on a page'),
    continue: option(
      patterned(/^[A-Za-z0-9_-]+$/, LONGEST_CONTINUE, 'what a page before this one had as `continue`'),
      undefined,
      'The page behind the one that had this as `continue`; the other options as there, but for `runs` and `limit`',
    ),
    wait: option(
      wholeNumber({ from: 0, to: maxWaitSeconds }),
      0,
      'Seconds: answers when there is at least one such trigger, or at the deadline. With `If-None-Match`: when the page has changed',
    ),
  };
}

/** What a request asks for, ready to be looked for. */
export interface TriggerQuery {
  readonly isMeant: (trigger: TriggerSummary) => boolean;
  /** Where the page begins: behind this one. */
  readonly after: ObjectRef | undefined;
  readonly runs: number;
  readonly limit: number;
  readonly waitSeconds: number;
  /** Equal for two requests that mean the same triggers, whatever the page. */
  readonly list: string;
}

/** The query that options mean. Faults: `bad-request` for a `continue` of another list. */
export function triggerQueryOf(wish: OptionValues<ReturnType<typeof triggerListOptions>>): TriggerQuery {
  const { state, source, labelSelector: labels, name, runs, limit, wait } = wish;
  const list = JSON.stringify([state, source ?? null, labels?.text ?? null, name ?? null]);
  const states = new Set(state);
  return {
    isMeant: (trigger) =>
      (name === undefined || trigger.meta.name.startsWith(name)) &&
      (source === undefined || trigger.source.name === source) &&
      (states.size === 0 || states.has(stateOfTrigger(trigger))) &&
      (labels?.selects(trigger.meta.labels) ?? true),
    after: wish.continue === undefined ? undefined : placeIn(wish.continue, list),
    runs,
    limit,
    waitSeconds: wait,
    list,
  };
}

/** Below 0 when `a` comes before `b`: by namespace, then by name, which nobody can change. */
export function compareRefs(a: ObjectRef, b: ObjectRef): number {
  if (a.namespace !== b.namespace) return a.namespace < b.namespace ? -1 : 1;
  return a.name === b.name ? 0 : a.name < b.name ? -1 : 1;
}

/**
 * What `continue` says: the last trigger of a page, and which list it was. It is neither signed nor secret: a forged one
 * begins elsewhere in what the caller may read anyway, because that is asked anew for every page.
 */
export function continueBehind({ namespace, name }: ObjectRef, list: string): string {
  return Buffer.from(JSON.stringify([namespace, name, tagFrom([list])])).toString('base64url');
}

function placeIn(token: string, list: string): ObjectRef {
  let read: unknown;
  try {
    read = JSON.parse(Buffer.from(token, 'base64url').toString());
  } catch {
    read = undefined;
  }
  const [namespace, name, tag] = Array.isArray(read) ? (read as readonly unknown[]) : [];
  if (typeof namespace !== 'string' || typeof name !== 'string') {
    throw new Fault('bad-request', 'option continue is not what a page had as its `continue`');
  }
  if (tag !== tagFrom([list])) {
    throw new Fault('bad-request', 'option continue belongs to a list with other options; ask for its first page');
  }
  return { namespace, name };
}
