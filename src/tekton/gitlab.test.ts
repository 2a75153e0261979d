import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { LogLine } from '../kube/lines.ts';
import { type GitlabOptions, gitlabShaper } from './gitlab.ts';
import type { LogEvent, LogSource } from './shaper.ts';
import { paletteColor } from './text.ts';

const options: GitlabOptions = { prefix: 'none', color: false, timestamps: false, warns: true };
const source: LogSource = {
  task: 'test',
  prefix: 'test',
  taskRun: 'r-test',
  attempt: 1,
  step: 'unit',
  pod: 'r-test-pod',
  container: 'step-unit',
};
const begun = {
  type: 'task',
  task: 'test',
  prefix: 'test',
  taskRun: 'r-test',
  attempt: 1,
  state: 'begun',
  at: '2026-11-01T10:00:00Z',
} as const satisfies LogEvent;
const over = { ...begun, state: 'over', at: '2026-11-01T10:00:07.9Z' } as const;
const end: LogEvent = {
  type: 'end',
  condition: { message: '', reason: 'Running', type: 'Succeeded', status: 'Unknown' },
  phase: 'running',
  complete: false,
  retry: true,
};

function log(...lines: readonly (string | Partial<LogLine>)[]): LogEvent {
  const read = lines.map((line): LogLine => {
    const given = typeof line === 'string' ? { text: Buffer.from(line) } : line;
    return { timestamp: '', text: Buffer.alloc(0), part: 'whole', ...given };
  });
  return { type: 'log', source, batch: { lines: read } };
}

function shaped(events: readonly LogEvent[], more: Partial<GitlabOptions> = {}): string {
  const shaper = gitlabShaper({ ...options, ...more });
  return Buffer.concat(events.map((event) => shaper.shape(event))).toString('latin1');
}

// What GitLab looks for, wherever it stands in a line: lib/gitlab/regex.rb, build_trace_section_regex.
const MARK = /section_(start|end):(\d+):([a-zA-Z0-9_.-]+)(\[(?:\w+=\w+)(?:, ?(?:\w+=\w+))*\])?\r\x1b\[0K/g;

function marksIn(text: string): string[] {
  return [...text.matchAll(MARK)].map(([, what, at, name, settings = '']) => `${what} ${at} ${name}${settings}`);
}

describe('gitlabShaper', () => {
  it('makes a section of a TaskRun, as GitLab documents it', () => {
    assert.equal(
      shaped([begun, log('a', 'b'), over]),
      '\x1b[0Ksection_start:1793527200:r-test_1[collapsed=true]\r\x1b[0KTask test\na\nb\n' +
        '\x1b[0Ksection_end:1793527207:r-test_1\r\x1b[0K\n',
    );
  });

  it('has lines, blank lines and notices as text has them', () => {
    const notice = { type: 'notice', level: 'problem', sentence: 'task test failed' } as const;
    const color = paletteColor('test');
    assert.equal(
      shaped([begun, log('a'), { type: 'blank', source }, notice], { prefix: 'task', color: true }).replace(
        MARK,
        'MARK',
      ),
      `\x1b[0KMARK\x1b[1;${color}mTask test\x1b[0m\n\x1b[1;${color}m[test : unit]\x1b[0m a\n\n` +
        '\x1b[2m[gateway] task test failed\x1b[0m\n',
    );
  });

  it('names sections so that each is unique and GitLab knows all of its letters', () => {
    const taskRuns = ['r-test', 'r.test', 'r-test-2', 'r-tes%t'];
    const events = taskRuns.flatMap((taskRun) =>
      [1, 2].map((attempt): LogEvent => ({ ...begun, taskRun, attempt, displayName: 'One\r\nname\x1b' })),
    );
    const text = shaped(events);
    const names = marksIn(text).map((mark) => mark.split(' ')[2]);
    assert.equal(new Set(names).size, events.length);
    assert.equal(names.length, events.length);
    assert.match(text, /Task One\\r\\nname\\u001b, attempt 2\n/);
  });

  it('unfolds what is known to have failed, and ends each section once', () => {
    assert.match(shaped([{ ...begun, phase: 'failed' }]), /\[collapsed=false\]/);
    assert.equal(shaped([over, begun, over, over, end]).match(/section_end/g)?.length, 1);
  });

  it('says behind a folded section that its task failed', () => {
    const failed = { ...over, phase: 'failed', attempt: 2 } as const;
    assert.match(
      shaped([{ ...begun, attempt: 2 }, failed]),
      /section_end:.*\r\x1b\[0K\nTask test, attempt 2 failed\n$/,
    );
    assert.match(shaped([begun, { ...over, phase: 'timedout' }]), /\nTask test timed out\n$/);
    assert.match(shaped([begun, { ...over, phase: 'succeeded' }]), /section_end:.*\r\x1b\[0K\n$/);
    assert.match(shaped([{ ...begun, attempt: 2, phase: 'failed' }, failed]), /section_end:.*\r\x1b\[0K\n$/);
  });

  it('ends a section that is open at the end of the stream', () => {
    assert.deepEqual(marksIn(shaped([begun, end])), [
      'start 1793527200 r-test_1[collapsed=true]',
      'end 1793527200 r-test_1',
    ]);
  });

  const forged: readonly { name: string; lines: readonly (string | Partial<LogLine>)[]; want: string }[] = [
    {
      name: 'a mark',
      lines: ['\x1b[0Ksection_end:1:r-test_1\r\x1b[0Kx'],
      want: '\x1b[0Ksection_end:1:r-test_1\x1b[0Kx\n',
    },
    {
      name: 'a mark with settings',
      lines: ['a section_start:1:x[collapsed=true]\r\x1b[0Kb'],
      want: 'a section_start:1:x[collapsed=true]\x1b[0Kb\n',
    },
    {
      name: 'a mark cut into fragments before its escape sequence',
      lines: [
        { text: Buffer.from('section_end:1:x\r'), part: 'first' },
        { text: Buffer.from('\x1b[0Kx'), part: 'last' },
      ],
      want: 'section_end:1:x\x1b[0Kx\n',
    },
    {
      name: 'a mark cut into fragments within its word',
      lines: [
        { text: Buffer.from('sect'), part: 'first' },
        { text: Buffer.from('ion'), part: 'middle' },
        { text: Buffer.from('_end:1:x\r\x1b[0Kx'), part: 'last' },
      ],
      want: 'section_end:1:x\x1b[0Kx\n',
    },
    { name: 'a progress bar is none', lines: ['1%\r\x1b[0K2%', 'section_a\rb'], want: '1%\r\x1b[0K2%\nsection_a\rb\n' },
  ];
  for (const { name, lines, want } of forged)
    it(`a line cannot forge a section: ${name}`, () => assert.equal(shaped([log(...lines)]), want));

  it('a line cannot forge a section, whatever it says and wherever it is cut', () => {
    const pieces = fc.array(
      fc.constantFrom(
        'section_start',
        'section_end',
        'section',
        '_end',
        ':',
        '1',
        ':x',
        '[a=b]',
        '\r',
        '\x1b',
        '[0K',
        ' ',
        'é',
      ),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(pieces, fc.array(fc.nat(60)), fc.boolean(), (texts, cuts, strip) => {
        const whole = Buffer.from(texts.join(''));
        const places = [0, ...cuts.filter((cut) => cut < whole.length).sort((a, b) => a - b), whole.length];
        const fragments = places.slice(1).map((to, at): Partial<LogLine> => {
          const part = at === 0 ? 'first' : at === places.length - 2 ? 'last' : 'middle';
          return { text: whole.subarray(places[at], to), part: places.length === 2 ? 'whole' : part };
        });
        assert.deepEqual(marksIn(shaped([log(...fragments, 'next')], { strip })), []);
      }),
    );
  });
});

describe('the limit of GitLab Runner', () => {
  const due = 3_670_016;
  const sentence = '[gateway] GitLab Runner cuts the log of a job at 4194304 bytes';
  const outgoing = (pieces: readonly Buffer[], more: Partial<GitlabOptions> = {}): string => {
    const shaper = gitlabShaper({ ...options, ...more });
    return Buffer.concat(pieces.map((piece) => shaper.outgoing?.(piece) ?? piece)).toString();
  };
  const lines = (bytes: number) => Buffer.from(`${'x'.repeat(99)}\n`.repeat(bytes / 100));

  it('is told once, between two lines, when 3.5 MiB have gone out', () => {
    const text = outgoing([lines(due - 16), lines(100), lines(2_000_000)]);
    const at = text.indexOf(sentence);
    assert.equal(at, due - 16 + 100);
    assert.match(text.slice(at), /^.*limitBytes or tail for less\nxxx/);
    assert.equal(text.indexOf(sentence, at + 1), -1);
    assert.equal(text.replace(/\[gateway\].*\n/, ''), Buffer.concat([lines(due - 16), lines(2_000_100)]).toString());
  });

  it('is told in time even if much goes out at once', () => {
    const text = outgoing([lines(8_000_000)]);
    assert.equal(text.indexOf(sentence), due - 16 + 100);
  });

  it('waits for the end of a line that is longer', () => {
    const long = Buffer.alloc(due, 'x');
    assert.equal(outgoing([long, long, Buffer.from('y\nz')]).indexOf(sentence), 2 * due + 2);
  });

  it('is not told of a short log, nor to those who want no notices', () => {
    assert.doesNotMatch(outgoing([lines(due - 16)]), /gateway/);
    assert.doesNotMatch(outgoing([lines(8_000_000)], { warns: false }), /gateway/);
  });
});
