/** The log of a run in the log of a GitLab job: each TaskRun is a section that can be folded. */
import type { LogLine } from '../kube/lines.ts';
import type { LogEvent, LogShaper } from './shaper.ts';
import { displayNameOf, paletteColor, printable, type TextOptions, textShaper } from './text.ts';

/** What a reader wants to see. */
export interface GitlabOptions extends TextOptions {
  /** Says so before GitLab Runner cuts the job's log. */
  readonly warns: boolean;
}

/**
 * Where GitLab Runner cuts the log of a job unless its `output_limit` says otherwise, and where that is told: the job has
 * said something before us, and what is said after this must still fit.
 * https://docs.gitlab.com/runner/configuration/advanced-configuration/#the-runners-section
 */
const RUNNER_LIMIT_BYTES = 4_194_304;
const WARNING_BYTES = 3.5 * 1024 * 1024;

const CR = 0x0d;
const LF = 0x0a;
const ESC = 0x1b;
const MARK = 'section_';
const NOTHING = Buffer.alloc(0);

/** Phases of an attempt that people want to look into, in words. */
const BAD_ENDS: Readonly<Record<string, string>> = {
  failed: 'failed',
  timedout: 'timed out',
  cancelled: 'was cancelled',
};

interface Section {
  /** When it began, in seconds since the epoch. */
  readonly seconds: number;
  readonly folded: boolean;
}

/**
 * A shaper of text for the log of a GitLab job. It needs the TaskRuns one after another: sections cannot interleave. A
 * section is folded unless its attempt had failed before; one that fails later says so in a line behind it.
 *
 * Lines are those of `textShaper`, but that none can pass for the mark of a section: of a line with the word
 * `section_start` or `section_end` the CRs that stand before an escape sequence are left out, without which GitLab shows
 * it as it is. https://docs.gitlab.com/ci/jobs/job_logs/#create-custom-collapsible-sections
 */
export function gitlabShaper(options: GitlabOptions): LogShaper {
  const text = textShaper(options);
  /** Those that are open, by name. */
  const sections = new Map<string, Section>();
  const disarmers = new Map<string, (line: LogLine) => LogLine>();
  const warning = options.warns ? runnerWarning(text) : undefined;

  const disarmed = (event: Extract<LogEvent, { type: 'log' }>): LogEvent => {
    const key = `${event.source.pod}/${event.source.container}`;
    const disarm = disarmers.get(key) ?? lineDisarmer();
    disarmers.set(key, disarm);
    return { ...event, batch: { lines: event.batch.lines.map(disarm) } };
  };
  const shapeTask = (task: Extract<LogEvent, { type: 'task' }>): string => {
    const name = sectionName(task);
    const seconds = Math.floor(Date.parse(task.at) / 1000) || 0;
    const attempt = task.attempt > 1 ? `, attempt ${task.attempt}` : '';
    const title = `Task ${printable(displayNameOf(task))}${attempt}`;
    const shown = (words: string) =>
      options.color ? `\x1b[1;${paletteColor(task.task)}m${words}\x1b[0m\n` : `${words}\n`;
    const ended = BAD_ENDS[task.phase ?? ''];
    if (task.state === 'begun') {
      // Folded, unless it is known already that this is where to look.
      const folded = ended === undefined;
      sections.set(name, { seconds, folded });
      return `\x1b[0Ksection_start:${seconds}:${name}[collapsed=${folded}]\r\x1b[0K${shown(title)}`;
    }
    const section = sections.get(name);
    if (section === undefined) return '';
    sections.delete(name);
    // What is said in a section that is folded is not seen.
    return sectionEnd(name, seconds) + (section.folded && ended !== undefined ? shown(`${title} ${ended}`) : '');
  };

  return {
    contentType: text.contentType,
    framed: false,
    shape(event) {
      switch (event.type) {
        case 'log':
          return text.shape(disarmed(event));
        case 'task':
          return Buffer.from(shapeTask(event));
        case 'end': {
          // A run that is left before its end has sections that are open.
          const ends = [...sections].map(([name, { seconds }]) => sectionEnd(name, seconds));
          sections.clear();
          return Buffer.from(ends.join(''));
        }
        default:
          return text.shape(event);
      }
    },
    ...(warning === undefined ? {} : { outgoing: warning }),
  };
}

/** Unique in the run: `_` is in no name of Kubernetes. GitLab knows letters, digits, `_`, `.` and `-`. */
function sectionName({ taskRun, attempt }: { readonly taskRun: string; readonly attempt: number }): string {
  return `${taskRun.replace(/[^a-zA-Z0-9.-]/g, '-')}_${attempt}`;
}

function sectionEnd(name: string, seconds: number): string {
  return `\x1b[0Ksection_end:${seconds}:${name}\r\x1b[0K\n`;
}

/** Makes what keeps one container's lines, given in order, from being marks of sections. */
function lineDisarmer(): (line: LogLine) => LogLine {
  /** Of a line in fragments: whether it has the word, and the last bytes, in which the word may have begun. */
  let hasMark = false;
  let tail: Buffer = NOTHING;
  return (line) => {
    const { text, part } = line;
    const disarmed = (isLineOver: boolean): LogLine => {
      return { timestamp: line.timestamp, text: withoutArmedReturns(text, isLineOver), part };
    };
    if (part === 'whole') return text.includes(MARK) ? disarmed(true) : line;
    if (part === 'first') {
      hasMark = false;
      tail = NOTHING;
    }
    hasMark ||= text.includes(MARK) || Buffer.concat([tail, text.subarray(0, MARK.length)]).includes(MARK);
    tail = Buffer.concat([tail, text.subarray(-MARK.length)]).subarray(-MARK.length);
    return hasMark ? disarmed(part === 'last') : line;
  };
}

/** Leaves out each CR before an escape sequence, and one at the end of a fragment, behind which an escape sequence may come. */
function withoutArmedReturns(text: Buffer, isLineOver: boolean): Buffer {
  const isArmed = (at: number) => (at + 1 < text.length ? text[at + 1] === ESC : !isLineOver);
  return Buffer.from(text.filter((byte, at) => byte !== CR || !isArmed(at)));
}

/** Makes what puts a notice between two lines, once, shortly before GitLab Runner cuts the log. */
function runnerWarning(text: LogShaper): (bytes: Buffer) => Buffer {
  let passed = 0;
  let isSaid = false;
  return (bytes) => {
    if (isSaid) return bytes;
    const due = WARNING_BYTES - passed;
    passed += bytes.length;
    if (due > bytes.length) return bytes;
    const lineEnd = bytes.indexOf(LF, Math.max(due - 1, 0));
    if (lineEnd === -1) return bytes;
    isSaid = true;
    const sentence = `GitLab Runner cuts the log of a job at ${RUNNER_LIMIT_BYTES} bytes, unless its output_limit is higher: ask with limitBytes or tail for less`;
    const notice = text.shape({ type: 'notice', level: 'problem', sentence });
    return Buffer.concat([bytes.subarray(0, lineEnd + 1), notice, bytes.subarray(lineEnd + 1)]);
  };
}
