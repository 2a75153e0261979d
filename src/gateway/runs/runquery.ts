/** What a request for a list of runs asks for: options, the test and the order that they mean, and the page of it. */
import { Fault } from '../../fault.ts';
import { filterOf, type RunOrder, type RunPlace, SORT_KEYS, type SortKey } from '../../tekton/runlist.ts';
import { type Labels, readSelector } from '../../tekton/selector.ts';
import type { PipelineRun } from '../../tekton/types.ts';
import { tagFrom } from '../etag.ts';
import {
  instant,
  listOption,
  type OptionKind,
  type OptionValues,
  objectName,
  option,
  patterned,
  wholeNumber,
  word,
} from '../options.ts';

const LARGEST_PAGE = 500;
const LONGEST_SELECTOR = 4_096;
/** Each is tested on every run, and for everybody who waits for a list again at every change of one. */
const MOST_REQUIREMENTS = 64;
const LONGEST_CONTINUE = 1_024;

/** A label selector, and the test that it means. Faults: `bad-request` that says at which character it is wrong. */
export const labelSelector: OptionKind<{ readonly text: string; readonly selects: (labels: Labels) => boolean }> = {
  allowed: `a label selector of at most ${LONGEST_SELECTOR} characters`,
  schema: {
    type: 'string',
    maxLength: LONGEST_SELECTOR,
    description: `a label selector, as \`kubectl -l\` takes it, of at most ${MOST_REQUIREMENTS} requirements`,
    examples: ['team=a,tier in (web,db),!canary'],
  },
  read(text) {
    if (text.length > LONGEST_SELECTOR) return undefined;
    const reading = readSelector(text);
    if (!reading.ok) {
      throw new Fault('bad-request', `option labelSelector is wrong at character ${reading.at}: ${reading.wrong}`);
    }
    if (reading.requirements > MOST_REQUIREMENTS) {
      const given = `has ${reading.requirements} requirements, and may have ${MOST_REQUIREMENTS}`;
      throw new Fault('bad-request', `option labelSelector ${given}`);
    }
    return { text, selects: reading.selects };
  },
};

const SORTS = SORT_KEYS.flatMap((key) => [key, `-${key}`] as const);

/** The options of `/runs`, as docs/api.md lists them. */
export function runListOptions(maxWaitSeconds: number) {
  return {
    pipeline: option(objectName, undefined, 'Only runs of this pipeline'),
    phase: listOption(
      word('pending', 'running', 'succeeded', 'failed', 'cancelled', 'timedout'),
      'Only runs in one of these phases',
    ),
    labelSelector: option(
      labelSelector,
      undefined,
      'Only runs with these labels, as `kubectl -l` takes them: `team=a,tier in (web,db),!canary`',
    ),
    eventId: option(
      patterned(/^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/, 63, 'an id of letters, digits, "-", "_" and "."'),
      undefined,
      "Only runs of this event: by Tekton Triggers' label, or because their name ends with `-` and the id",
    ),
    name: option(
      patterned(/^[a-z0-9][-a-z0-9.]*$/, 63, 'the beginning of a name: lower case letters, digits, "-" and "."'),
      undefined,
      'Only runs whose name begins so',
    ),
    createdAfter: option(instant, undefined, 'Only runs created then or later'),
    createdBefore: option(instant, undefined, 'Only runs created earlier'),
    sort: option(
      word(...SORTS),
      '-created',
      'By what, `-` for the largest first. Runs that have not completed come last in both orders of `completed`',
    ),
    limit: option(wholeNumber({ from: 1, to: LARGEST_PAGE }), 50, 'Runs on a page'),
    continue: option(
      patterned(/^[A-Za-z0-9_-]+$/, LONGEST_CONTINUE, 'what a page before this one had as `continue`'),
      undefined,
      'The page behind the one that had this as `continue`; the other options as there, but for `limit`',
    ),
    wait: option(
      wholeNumber({ from: 0, to: maxWaitSeconds }),
      0,
      'Seconds: answers when there is at least one such run, or at the deadline. With `If-None-Match`: when the page has changed',
    ),
  };
}

/** What a request asks for, ready to be looked for. */
export interface ListQuery {
  readonly isMeant: (run: PipelineRun) => boolean;
  readonly order: RunOrder;
  readonly after: RunPlace | undefined;
  readonly limit: number;
  readonly waitSeconds: number;
  /** Equal for two requests that mean the same runs in the same order, whatever the page. */
  readonly list: string;
}

/** The query that options mean. Faults: `bad-request` for a `continue` of another list. */
export function queryOf(wish: OptionValues<ReturnType<typeof runListOptions>>): ListQuery {
  const { pipeline, phase, labelSelector, eventId, name, createdAfter, createdBefore, sort, limit } = wish;
  const order: RunOrder = { by: sort.replace('-', '') as SortKey, descending: sort.startsWith('-') }; // a word of SORTS
  const asked = [pipeline, phase, labelSelector?.text, eventId, name, createdAfter, createdBefore, sort];
  const list = JSON.stringify(asked.map((value) => value ?? null));
  const isMeant = filterOf({
    phases: new Set(phase),
    ...(pipeline === undefined ? {} : { pipeline }),
    ...(labelSelector === undefined ? {} : { selects: labelSelector.selects }),
    ...(eventId === undefined ? {} : { eventId }),
    ...(name === undefined ? {} : { namePrefix: name }),
    ...(createdAfter === undefined ? {} : { createdFromMs: createdAfter }),
    ...(createdBefore === undefined ? {} : { createdBeforeMs: createdBefore }),
  });
  return {
    isMeant,
    order,
    after: wish.continue === undefined ? undefined : placeIn(wish.continue, list),
    limit,
    waitSeconds: wish.wait,
    list,
  };
}

/**
 * What `continue` says: the place of the last run of a page, and which list it was. It is neither signed nor secret: a
 * forged one begins elsewhere in what the caller may read anyway, because that is asked anew for every page.
 */
export function continueAt({ key, uid }: RunPlace, list: string): string {
  return Buffer.from(JSON.stringify([key ?? null, uid, tagFrom([list])])).toString('base64url');
}

function placeIn(token: string, list: string): RunPlace {
  let read: unknown;
  try {
    read = JSON.parse(Buffer.from(token, 'base64url').toString());
  } catch {
    read = undefined;
  }
  const [key, uid, tag] = Array.isArray(read) ? (read as readonly unknown[]) : [];
  if ((key !== null && typeof key !== 'string') || typeof uid !== 'string') {
    throw new Fault('bad-request', 'option continue is not what a page had as its `continue`');
  }
  if (tag !== tagFrom([list])) {
    throw new Fault('bad-request', 'option continue belongs to a list with other options; ask for its first page');
  }
  return { key: key ?? undefined, uid };
}
