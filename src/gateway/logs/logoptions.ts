/** The options of a log: what may be asked for, and what asking for it means. */
import { Fault } from '../../fault.ts';
import type { LogRange } from '../../kube/logread.ts';
import { gitlabShaper } from '../../tekton/gitlab.ts';
import type { LogFilters } from '../../tekton/logs.ts';
import { ndjsonShaper } from '../../tekton/ndjson.ts';
import type { LogShaper } from '../../tekton/shaper.ts';
import { sseShaper } from '../../tekton/sse.ts';
import { textShaper } from '../../tekton/text.ts';
import {
  duration,
  instant,
  listOption,
  type OptionValues,
  objectName,
  option,
  patterned,
  taskPath,
  truth,
  wholeNumber,
  word,
} from '../options.ts';
import type { LogWish } from './stream.ts';

/** Longer than any log that is still there. */
const LONGEST_SINCE_SECONDS = 366 * 24 * 3600;
const MOST_TAIL_LINES = 10_000_000;
const MOST_LIMIT_BYTES = 2 ** 40;
const MOST_ATTEMPTS = 1_000;
const LONGEST_HEARTBEAT_SECONDS = 3_600;
/** Fits in a URL with other options: MAX_URL_BYTES is 8,192. A cursor of 200 containers that are being read has less than 4 KiB. */
const LONGEST_CURSOR = 7_168;
/** Below the idle limits of proxies, which are often 30 or 60 s. */
const HEARTBEAT_SECONDS = 15;
/** GitLab Runner cuts at 4 MiB: who asks for less need not be warned of it. */
const GITLAB_LIMIT_BYTES = 3.5 * 1024 * 1024;

/** The options of `/logs` and of the logs of a TaskRun, as docs/api.md lists them. */
export function logOptions(maxWaitSeconds: number) {
  return {
    follow: option(truth, true, '`false`: what exists now, without waiting for more'),
    wait: option(wholeNumber({ from: 0, to: maxWaitSeconds }), 0, 'Seconds to wait for the run to be created'),
    tail: option(
      wholeNumber({ from: 0, to: MOST_TAIL_LINES }),
      undefined,
      'So many lines of each container, counted from its end; of those that start later, all',
    ),
    since: option(duration({ toSeconds: LONGEST_SINCE_SECONDS }), undefined, 'Only lines younger than this'),
    sinceTime: option(instant, undefined, 'Only lines since this time, in whole seconds; instead of `since`'),
    limitBytes: option(
      wholeNumber({ from: 1, to: MOST_LIMIT_BYTES }),
      undefined,
      'At most so many bytes of log lines, as they are written, in whole lines; the first is written even if it is longer (of a very long one a part). Then the answer ends with `X-Log-Complete: false`; its cursor goes on',
    ),
    timestamps: option(
      word('false', 'true', 'iso'),
      'false',
      "Before each line: the kubelet's, or UTC with milliseconds",
    ),
    task: listOption(
      taskPath,
      'Only these pipeline tasks; `test-3` is one of a matrix, `deploy/test` one of a nested run',
    ),
    step: listOption(objectName, 'Only these steps; of what is included only containers of these names'),
    attempt: listOption(
      wholeNumber({ from: 1, to: MOST_ATTEMPTS }),
      'Only these attempts of each task, counted from 1',
    ),
    include: listOption(
      word('init', 'sidecar', 'injected', 'all'),
      'What is shown beside steps: init containers, sidecars that the task declares, containers that others have injected',
    ),
    failed: option(
      truth,
      false,
      '`true`: only tasks that have failed, of these the last attempt (or those of `attempt`), in it the failing step',
    ),
    order: option(
      word('start', 'spec', 'completion', 'time'),
      'start',
      'Of what is over: by start, as the pipeline has it, by completion as tkn does, or all lines by their timestamps (a run that is over, or `follow=false`). What runs at the same time comes as it is written',
    ),
    format: option(
      word('text', 'ndjson', 'sse', 'gitlab'),
      undefined,
      'How lines are written: plain, an object a line, server-sent events, or a section a task for the log of a GitLab job. Without it as `Accept` says, else `text`',
    ),
    prefix: option(
      word('task', 'none', 'display'),
      'task',
      "`[task : step] ` before each line; `display`: with the task's name for people",
    ),
    color: option(
      word('auto', 'always', 'never'),
      'auto',
      'Of the prefix and of notices; `auto` is on for `text` and `gitlab`',
    ),
    strip: option(truth, false, '`true`: escape sequences of terminals (colours) are taken out of the lines'),
    notices: option(
      word('problems', 'all', 'none'),
      'problems',
      'Sentences beside the log, in lines that begin with `[gateway] `: why nothing comes, what failed, what is missing',
    ),
    heartbeat: option(
      wholeNumber({ from: 0, to: LONGEST_HEARTBEAT_SECONDS }),
      undefined,
      'Seconds of silence after which a sign of life comes; in text it is a notice of what is waited for. 0: never. Without it 15 for `ndjson` and `sse`, 0 for others',
    ),
    onFailure: option(
      word('trailer', 'abort'),
      'trailer',
      '`abort`: an answer about a run that did not succeed is left unfinished, and curl exits 18',
    ),
    cursor: option(
      patterned(/^[\w.-]+$/, LONGEST_CURSOR, 'a cursor as it was received'),
      undefined,
      'Goes on where a stream has ended or was cut: the last `cursor` of `ndjson`, `id` of `sse`, or the trailer `X-Log-Cursor`. With the other options as they were, but for `format` and how lines look',
    ),
  };
}

/** The options of one request. */
export type LogChoice = OptionValues<ReturnType<typeof logOptions>>;

/** A format by name. */
export type LogFormat = NonNullable<LogChoice['format']>;

/** The format that is asked for: by the option, else by the first known type of the `Accept` header. */
export function formatOf({ format }: LogChoice, accept: string | undefined): LogFormat {
  if (format !== undefined) return format;
  for (const range of (accept ?? '').toLowerCase().split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
    if (parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))) continue;
    if (type === 'application/x-ndjson') return 'ndjson';
    if (type === 'text/event-stream') return 'sse';
    if (type === 'text/plain') return 'text';
  }
  return 'text';
}

/** Refuses what cannot stand together, whatever the run. Fault `bad-request`, naming the option. */
export function checkChoice({ since, sinceTime, order }: LogChoice, format: LogFormat): void {
  if (since !== undefined && sinceTime !== undefined) {
    throw new Fault('bad-request', 'option sinceTime is given beside since: write one of them');
  }
  if (order === 'time' && format === 'gitlab') {
    throw new Fault('bad-request', 'option order is "time": sections of format=gitlab cannot be merged');
  }
}

/** Refuses what this run cannot be asked now. Fault `bad-request`, naming the option. */
export function checkForRun({ order, follow }: LogChoice, runIsOver: boolean): void {
  if (order !== 'time' || !follow || runIsOver) return;
  throw new Fault(
    'bad-request',
    'option order is "time": the run is not over, so later lines may be older; write follow=false, or wait for its end',
  );
}

/** The options that change what is read, as one text. */
export function readingKey({ task, step, attempt, include, failed, tail, since, sinceTime }: LogChoice): string {
  const sorted = [task, step, attempt, include].map((values) => [...values].sort());
  return JSON.stringify([...sorted, failed, tail, since, sinceTime]);
}

/** What is asked of a session, first asked for at `askedMs`. */
export function wishOf(choice: LogChoice, format: LogFormat, askedMs: number): LogWish {
  const { follow, order, notices, heartbeat } = choice;
  const framed = format === 'ndjson' || format === 'sse';
  const heartbeatMs = (heartbeat ?? (framed ? HEARTBEAT_SECONDS : 0)) * 1000;
  return { follow, filters: filtersOf(choice), order, range: rangeOf(choice, askedMs), notices, heartbeatMs, askedMs };
}

function rangeOf({ tail, since, sinceTime }: LogChoice, askedMs: number): LogRange {
  const fromMs = sinceTime ?? (since === undefined ? undefined : askedMs - since);
  return {
    ...(tail === undefined ? {} : { tailLines: tail }),
    ...(fromMs === undefined ? {} : { sinceTime: `${new Date(Math.max(0, fromMs)).toISOString().slice(0, 19)}Z` }),
  };
}

function filtersOf({ task, step, attempt, include, failed }: LogChoice): LogFilters {
  const all = ['init', 'sidecar', 'injected'] as const;
  const included = include.includes('all') ? all : include.filter((role) => role !== 'all');
  return {
    ...(task.length === 0 ? {} : { task }),
    ...(step.length === 0 ? {} : { step }),
    ...(attempt.length === 0 ? {} : { attempt }),
    ...(included.length === 0 ? {} : { include: included }),
    ...(failed ? { failed } : {}),
  };
}

/** What writes the answer. */
export function shaperOf(
  { prefix, color, timestamps, strip, notices, limitBytes }: LogChoice,
  format: LogFormat,
): LogShaper {
  const text = {
    prefix,
    color: color !== 'never',
    timestamps: timestamps === 'iso' ? ('iso' as const) : timestamps === 'true',
    strip,
  };
  switch (format) {
    case 'text':
      return textShaper(text);
    case 'ndjson':
      return ndjsonShaper({ strip });
    case 'sse':
      return sseShaper({ strip });
    case 'gitlab':
      return gitlabShaper({ ...text, warns: notices !== 'none' && !((limitBytes ?? Infinity) <= GITLAB_LIMIT_BYTES) });
  }
}
