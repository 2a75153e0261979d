/** What is said on a log stream as JSON: one object per line, or per event of another format. */
import { isUtf8 } from 'node:buffer';
import type { LogLine } from '../kube/lines.ts';
import { ansiStripper } from './ansi.ts';
import type { LogEvent, LogShaper, LogSource } from './shaper.ts';

/** What a reader wants to see of each line. */
export interface JsonOptions {
  /** Takes the escape sequences of terminals out of the lines. */
  readonly strip?: boolean;
}

/** Puts one object into its place in the stream. `cursor`: where to go on after it, where anybody can. */
export type JsonFrame = (json: string, type: LogEvent['type'], cursor: string | undefined) => string;

/**
 * A shaper of `application/x-ndjson`: an object and LF for each line, notice, gap, step, task, heartbeat and the end.
 *
 * `log` has `ts` (as the kubelet wrote it; left out where there is none), `task`, `prefix` (what tells the TaskRun from
 * others of the run, where the task's name does not), `taskRun`, `attempt`, `step`, `pod`, `container`, `line` without its
 * LF, and `cursor`. `partial: true`: more of this line follows in the next `log` of the container. `bin: true`: bytes that
 * are no UTF-8 were replaced by U+FFFD. `end` has `message`, `reason` and `status` of the run's condition, `phase`,
 * `complete`, `retry` and `cursor`; the condition's own `type` is always `Succeeded`, and left out.
 */
export function ndjsonShaper(options: JsonOptions = {}): LogShaper {
  const frame: JsonFrame = (json) => `${json}\n`;
  const say = jsonSayer(options);
  return {
    contentType: 'application/x-ndjson',
    framed: true,
    shape: (event) => Buffer.from(say(event, frame)),
  };
}

/** Makes what turns events into framed JSON, '' where there is nothing to show. It remembers; one per stream. */
export function jsonSayer({ strip = false }: JsonOptions): (event: LogEvent, frame: JsonFrame) => string {
  /** Of each container: the constant middle of its objects, and what strips its lines. */
  const containers = new Map<string, { readonly middle: string; readonly strip: (line: LogLine) => Buffer }>();
  const containerOf = (source: LogSource) => {
    const key = `${source.pod}/${source.container}/${source.prefix}`;
    const known = containers.get(key);
    if (known !== undefined) return known;
    const made = {
      middle: `${JSON.stringify(placeOf(source)).slice(1, -1)},"line":`,
      strip: strip ? ansiStripper() : ({ text }: LogLine) => text,
    };
    containers.set(key, made);
    return made;
  };

  const sayLines = ({ source, batch, cursor }: Extract<LogEvent, { type: 'log' }>, frame: JsonFrame): string => {
    const container = containerOf(source);
    let said = '';
    let at = 0;
    for (const line of batch.lines) {
      const bytes = container.strip(line);
      const text = bytes.toString();
      // Timestamps and cursors have no characters that JSON escapes, so they are not looked through once more.
      const { timestamp } = line;
      let json = timestamp === '' ? '{"type":"log",' : `{"type":"log","ts":"${timestamp}",`;
      json += container.middle + JSON.stringify(text);
      if (line.part === 'first' || line.part === 'middle') json += ',"partial":true';
      // Only text with a replacement character in it can have had bytes replaced.
      if (text.includes('\ufffd') && !isUtf8(bytes)) json += ',"bin":true';
      const next = cursor?.(at++);
      if (next !== undefined) json += `,"cursor":"${next}"`;
      said += frame(`${json}}`, 'log', next);
    }
    return said;
  };

  return (event, frame) => {
    if (event.type === 'log') return sayLines(event, frame);
    const object = objectOf(event);
    if (object === undefined) return '';
    return frame(JSON.stringify(object), event.type, event.type === 'end' ? event.cursor : undefined);
  };
}

/** The object for an event that is no line; undefined where there is nothing to show. */
function objectOf(event: Exclude<LogEvent, { type: 'log' }>): object | undefined {
  switch (event.type) {
    case 'blank':
      return undefined;
    case 'notice':
    case 'gap': {
      const { type, sentence: message, source } = event;
      const level = event.type === 'notice' ? { level: event.level } : {};
      return { type, ...level, message, ...(source === undefined ? {} : placeOf(source)) };
    }
    case 'step': {
      const { type, source, ...state } = event;
      return { type, ...placeOf(source), ...state };
    }
    case 'task': {
      const { type, task, prefix, displayName, taskRun, attempt, state, phase, at } = event;
      return { type, task, ...fullName(task, prefix), displayName, taskRun, attempt, state, phase, at };
    }
    case 'heartbeat':
      return event;
    case 'end': {
      const { type, condition, phase, complete, retry, cursor } = event;
      const { message, reason, status } = condition;
      return { type, message, reason, status, phase, complete, retry, cursor };
    }
  }
}

function placeOf({ task, prefix, taskRun, attempt, step, pod, container }: LogSource) {
  return { task, ...fullName(task, prefix), taskRun, attempt, step, pod, container };
}

/** The prefix, where it says more than the task's name. */
function fullName(task: string, prefix: string): { readonly prefix?: string } {
  return prefix === task ? {} : { prefix };
}
