import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { LogLine } from '../kube/lines.ts';
import type { LogSource } from './shaper.ts';
import { displayNameOf, paletteColor, printable, type TextOptions, textShaper } from './text.ts';

const source: LogSource = {
  task: 'test',
  prefix: 'test-3',
  displayName: 'Unit tests',
  taskRun: 'r-test-3',
  attempt: 1,
  step: 'unit',
  pod: 'r-test-3-pod',
  container: 'step-unit',
};
const plain: TextOptions = { prefix: 'task', color: false, timestamps: false };
const bare: TextOptions = { prefix: 'none', color: false, timestamps: false };

function line(text: string | Buffer, more: Partial<LogLine> = {}): LogLine {
  return { timestamp: '2026-11-01T10:00:00.123456789Z', text: Buffer.from(text), part: 'whole', ...more };
}

/** A line as it is read in one piece. */
function lineAsRead(text: string): LogLine {
  const { timestamp } = line(text);
  return line(text, { stampedText: Buffer.from(`${timestamp} ${text}`) });
}

describe('textShaper', () => {
  const green = `\x1b[1;${paletteColor('test')}m`;
  const cases: readonly { name: string; options: TextOptions; lines: readonly LogLine[]; want: string }[] = [
    { name: 'prefix', options: plain, lines: [line('a'), line('')], want: '[test-3 : unit] a\n[test-3 : unit] \n' },
    {
      name: 'timestamps of lines that were read in one piece, and of others',
      options: { ...plain, timestamps: true },
      lines: [lineAsRead('a'), line('b'), lineAsRead(''), line('c', { timestamp: '' })],
      want: [
        '[test-3 : unit] 2026-11-01T10:00:00.123456789Z a',
        '[test-3 : unit] 2026-11-01T10:00:00.123456789Z b',
        '[test-3 : unit] 2026-11-01T10:00:00.123456789Z ',
        '[test-3 : unit] c',
        '',
      ].join('\n'),
    },
    {
      name: 'other timestamps, or none, of lines that were read in one piece',
      options: { ...bare, timestamps: 'iso' },
      lines: [lineAsRead('a')],
      want: '2026-11-01T10:00:00.123Z a\n',
    },
    {
      name: 'a line that was read in one piece without its colours',
      options: { ...bare, timestamps: true, strip: true },
      lines: [lineAsRead('\x1b[31ma\x1b[0m')],
      want: '2026-11-01T10:00:00.123456789Z a\n',
    },
    { name: 'no prefix', options: bare, lines: [line('a'), line('b')], want: 'a\nb\n' },
    { name: 'nothing', options: plain, lines: [], want: '' },
    {
      name: 'the prefix is coloured, the text is not',
      options: { ...plain, color: true },
      lines: [line('a')],
      want: `${green}[test-3 : unit]\x1b[0m a\n`,
    },
    {
      name: 'the prefix made for people',
      options: { ...plain, prefix: 'display' },
      lines: [line('a')],
      want: '[Unit tests (test-3) : unit] a\n',
    },
    {
      name: 'escape sequences are taken out when asked to',
      options: { ...plain, color: true, strip: true },
      lines: [line('\x1b[31mred\x1b[0m'), line('\x1b[1m', { part: 'first' }), line('m', { part: 'last' })],
      want: `${green}[test-3 : unit]\x1b[0m red\n${green}[test-3 : unit]\x1b[0m m\n`,
    },
    {
      name: "the kubelet's timestamp stands after the prefix, and not before a line that has none",
      options: { ...plain, timestamps: true },
      lines: [line('a'), line('b', { timestamp: '' })],
      want: '[test-3 : unit] 2026-11-01T10:00:00.123456789Z a\n[test-3 : unit] b\n',
    },
    {
      name: 'run 31: of a fragmented line only the first part is prefixed and only the last is ended',
      options: { ...plain, timestamps: 'iso' },
      lines: [line('a', { part: 'first' }), line('b', { part: 'middle' }), line('c', { part: 'last' }), line('d')],
      want: '[test-3 : unit] 2026-11-01T10:00:00.123Z abc\n[test-3 : unit] 2026-11-01T10:00:00.123Z d\n',
    },
  ];
  for (const { name, options, lines, want } of cases)
    it(name, () => assert.equal(textShaper(options).shape({ type: 'log', source, batch: { lines } }).toString(), want));

  const stamps: readonly { name: string; given: string; want: string }[] = [
    { name: 'nine digits', given: '2026-11-01T10:00:00.999999999Z', want: '2026-11-01T10:00:00.999Z' },
    { name: 'fewer digits', given: '2026-11-01T10:00:00.5Z', want: '2026-11-01T10:00:00.500Z' },
    { name: 'no digits', given: '2026-11-01T10:00:00Z', want: '2026-11-01T10:00:00.000Z' },
    { name: 'an offset', given: '2026-11-01T10:00:00.123456789+02:00', want: '2026-11-01T08:00:00.123Z' },
    { name: 'no timestamp at all', given: 'yesterday', want: 'yesterday' },
  ];
  for (const { name, given, want } of stamps)
    it(`iso timestamps are UTC with milliseconds: ${name}`, () => {
      const shaper = textShaper({ ...bare, timestamps: 'iso' });
      assert.equal(
        shaper.shape({ type: 'log', source, batch: { lines: [line('a', { timestamp: given })] } }).toString(),
        `${want} a\n`,
      );
    });

  it('run 32: text is byte-exact, whatever a step writes', () => {
    const bytes = fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array.filter((byte) => byte !== 0x0a)));
    const telling = fc
      .constantFrom('\x1b[31mred\x1b[0m', '50%\r100%', 'a\0b', '\xff\xfe\x80')
      .map((text) => Buffer.from(text, 'latin1'));
    fc.assert(
      fc.property(
        fc.array(fc.oneof(bytes, telling)),
        fc.constantFrom(false, true, 'iso' as const),
        (texts, timestamps) => {
          const lines = texts.map((text) =>
            line(text, { timestamp: timestamps ? '2026-11-01T10:00:00.000000000Z' : '' }),
          );
          const stamp = { false: '', true: '2026-11-01T10:00:00.000000000Z ', iso: '2026-11-01T10:00:00.000Z ' }[
            `${timestamps}`
          ];
          const want = Buffer.concat(
            texts.flatMap((text) => [Buffer.from(`[test-3 : unit] ${stamp}`), text, Buffer.from('\n')]),
          );
          assert.deepEqual(textShaper({ ...plain, timestamps }).shape({ type: 'log', source, batch: { lines } }), want);
        },
      ),
    );
  });

  it('run 20: streams that differ only in where a name ends do not share a prefix', () => {
    const shaper = textShaper(plain);
    const shown = ['a', 'a b'].map((prefix) =>
      shaper
        .shape({
          type: 'log',
          source: { ...source, prefix, step: prefix === 'a' ? 'b c' : 'c' },
          batch: { lines: [line('x')] },
        })
        .toString(),
    );
    assert.deepEqual(shown, ['[a : b c] x\n', '[a b : c] x\n']);
  });

  it('writes notices and blank lines', () => {
    const notice = { type: 'notice', level: 'problem', sentence: 'waiting' } as const;
    assert.equal(textShaper(plain).shape(notice).toString(), '[gateway] waiting\n');
    assert.equal(
      textShaper({ ...plain, color: true })
        .shape(notice)
        .toString(),
      '\x1b[2m[gateway] waiting\x1b[0m\n',
    );
    assert.equal(textShaper(plain).shape({ type: 'blank', source }).toString(), '\n');
    const gap = { type: 'gap', source, sentence: 'lines may be missing' } as const;
    assert.equal(textShaper(plain).shape(gap).toString(), '[gateway] lines may be missing\n');
    const heartbeat = { type: 'heartbeat', awaiting: 'the run to start' } as const;
    assert.equal(textShaper(plain).shape(heartbeat).toString(), '[gateway] waiting for the run to start\n');
  });
});

describe('displayNameOf', () => {
  const cases: readonly { name: string; given: Parameters<typeof displayNameOf>[0]; want: string }[] = [
    { name: 'no name for people', given: { task: 'test', prefix: 'test-3' }, want: 'test-3' },
    { name: 'one of its own', given: { task: 'test', prefix: 'test', displayName: 'Unit tests' }, want: 'Unit tests' },
    {
      name: 'one that others share',
      given: { task: 'test', prefix: 'deploy/test', displayName: 'Unit tests' },
      want: 'Unit tests (deploy/test)',
    },
  ];
  for (const { name, given, want } of cases) it(name, () => assert.equal(displayNameOf(given), want));
});

describe('paletteColor', () => {
  it('is one of the five bright colours, never red, the same for the same name', () => {
    fc.assert(
      fc.property(fc.string(), (task) => {
        assert.ok(paletteColor(task) >= 92 && paletteColor(task) <= 96);
        assert.equal(paletteColor(task), paletteColor(task));
      }),
    );
  });

  it('uses all of them', () => {
    const tasks = Array.from({ length: 50 }, (_, index) => `task-${index}`);
    assert.deepEqual([...new Set(tasks.map(paletteColor))].sort(), [92, 93, 94, 95, 96]);
  });
});

describe('printable', () => {
  const cases: readonly { name: string; given: string; want: string }[] = [
    { name: 'ordinary text, of any script', given: 'Zoë 走る 🚀', want: 'Zoë 走る 🚀' },
    { name: 'line ends and tabs', given: 'a\r\n\tb', want: 'a\\r\\n\\tb' },
    { name: 'terminal commands', given: '\x1b]0;title\x07\x9b31m', want: '\\u001b]0;title\\u0007\\u009b31m' },
    { name: 'direction of writing', given: 'a\u202eb\u2066c\u2028d', want: 'a\\u202eb\\u2066c\\u2028d' },
    { name: 'half a character', given: 'a\ud800b', want: 'a\ufffdb' },
    { name: 'too much', given: 'x'.repeat(1_001), want: `${'x'.repeat(1_000)}…` },
  ];
  for (const { name, given, want } of cases) it(name, () => assert.equal(printable(given), want));
});
