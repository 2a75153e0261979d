import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { LogLine } from '../kube/lines.ts';
import { ndjsonShaper } from './ndjson.ts';
import type { LogEvent, LogSource } from './shaper.ts';
import { sseShaper } from './sse.ts';

const source: LogSource = {
  task: 'test',
  prefix: 'test-3',
  taskRun: 'r-test-3',
  attempt: 2,
  step: 'unit',
  pod: 'r-test-3-pod-retry1',
  container: 'step-unit',
};
const place = {
  task: 'test',
  prefix: 'test-3',
  taskRun: 'r-test-3',
  attempt: 2,
  step: 'unit',
  pod: 'r-test-3-pod-retry1',
  container: 'step-unit',
};
const ts = '2026-11-01T10:00:00.123456789Z';

function line(text: string | Buffer, more: Partial<LogLine> = {}): LogLine {
  return { timestamp: ts, text: Buffer.from(text), part: 'whole', ...more };
}

/** The objects that a client of ndjson reads. */
function objectsIn(bytes: Buffer): Record<string, unknown>[] {
  const text = bytes.toString();
  assert.ok(text === '' || text.endsWith('\n'));
  return text
    .split('\n')
    .slice(0, -1)
    .map((one) => JSON.parse(one));
}

function log(lines: readonly LogLine[], cursor?: (at: number) => string | undefined): LogEvent {
  return { type: 'log', source, batch: { lines }, ...(cursor === undefined ? {} : { cursor }) };
}

const condition = { message: 'All "done"', reason: 'Succeeded', type: 'Succeeded', status: 'True' };
const others: readonly { readonly given: LogEvent; readonly want: object | undefined }[] = [
  { given: { type: 'blank', source }, want: undefined },
  {
    given: { type: 'notice', level: 'problem', sentence: 'a "b"' },
    want: { type: 'notice', level: 'problem', message: 'a "b"' },
  },
  {
    given: { type: 'notice', level: 'info', sentence: 'a', source },
    want: { type: 'notice', level: 'info', message: 'a', ...place },
  },
  { given: { type: 'gap', source, sentence: 'lost' }, want: { type: 'gap', message: 'lost', ...place } },
  { given: { type: 'step', source, state: 'running' }, want: { type: 'step', ...place, state: 'running' } },
  {
    given: { type: 'step', source, state: 'terminated', exitCode: 7, reason: 'Error' },
    want: { type: 'step', ...place, state: 'terminated', exitCode: 7, reason: 'Error' },
  },
  {
    given: { type: 'task', task: 'test', prefix: 'test', taskRun: 'r-test', attempt: 1, state: 'begun', at: ts },
    want: { type: 'task', task: 'test', taskRun: 'r-test', attempt: 1, state: 'begun', at: ts },
  },
  {
    given: {
      type: 'task',
      task: 'test',
      prefix: 'a/test',
      displayName: 'Test',
      taskRun: 'r-test',
      attempt: 1,
      state: 'over',
      phase: 'failed',
      at: ts,
    },
    want: {
      type: 'task',
      task: 'test',
      prefix: 'a/test',
      displayName: 'Test',
      taskRun: 'r-test',
      attempt: 1,
      state: 'over',
      phase: 'failed',
      at: ts,
    },
  },
  {
    given: { type: 'heartbeat', awaiting: 'the run to start' },
    want: { type: 'heartbeat', awaiting: 'the run to start' },
  },
  {
    given: { type: 'end', condition, phase: 'succeeded', complete: true, retry: false, cursor: 'c' },
    want: {
      type: 'end',
      message: 'All "done"',
      reason: 'Succeeded',
      status: 'True',
      phase: 'succeeded',
      complete: true,
      retry: false,
      cursor: 'c',
    },
  },
];

describe('ndjsonShaper', () => {
  it('writes an object with the keys of docs/api.md for each line', () => {
    const bytes = ndjsonShaper().shape(log([line('a'), line('b', { timestamp: '' })], (at) => `c.${at}`));
    assert.deepEqual(objectsIn(bytes), [
      { type: 'log', ts, ...place, line: 'a', cursor: 'c.0' },
      { type: 'log', ...place, line: 'b', cursor: 'c.1' },
    ]);
  });

  it('leaves out the prefix that says nothing more than the task, and the cursor that nobody has', () => {
    const shaped = ndjsonShaper().shape({ ...log([line('a')]), source: { ...source, prefix: 'test' } } as LogEvent);
    const { prefix, ...rest } = place;
    assert.deepEqual(objectsIn(shaped), [{ type: 'log', ts, ...rest, line: 'a' }]);
    assert.equal(prefix, 'test-3');
  });

  for (const { given, want } of others)
    it(`${given.type}: ${JSON.stringify(want)}`, () =>
      assert.deepEqual(objectsIn(ndjsonShaper().shape(given)), want === undefined ? [] : [want]));

  it('run 31: of a fragmented line all but the last are partial', () => {
    const parts = ['first', 'middle', 'last'] as const;
    const objects = objectsIn(ndjsonShaper().shape(log([...parts.map((part) => line(part, { part })), line('whole')])));
    assert.deepEqual(
      objects.map(({ line: text, partial }) => [text, partial]),
      [
        ['first', true],
        ['middle', true],
        ['last', undefined],
        ['whole', undefined],
      ],
    );
  });

  const awkward: readonly { name: string; given: Buffer; line: string; bin?: true }[] = [
    { name: 'ANSI', given: Buffer.from('\x1b[31mred\x1b[0m'), line: '\x1b[31mred\x1b[0m' },
    { name: 'CR and NUL', given: Buffer.from('50%\r100%\0'), line: '50%\r100%\0' },
    {
      name: 'line separators of Unicode',
      given: Buffer.from('a\u2028b\u2029c\u0085d'),
      line: 'a\u2028b\u2029c\u0085d',
    },
    { name: 'invalid UTF-8', given: Buffer.from([0x61, 0xff, 0xfe, 0x62]), line: 'a\ufffd\ufffdb', bin: true },
    { name: 'half a character', given: Buffer.from([0xed, 0xa0, 0x80]), line: '\ufffd\ufffd\ufffd', bin: true },
    { name: 'a replacement character that was written', given: Buffer.from('a\ufffdb'), line: 'a\ufffdb' },
    { name: 'a byte order mark', given: Buffer.from('\ufeffa'), line: '\ufeffa' },
    { name: 'quotes', given: Buffer.from('{"a":"\\"}'), line: '{"a":"\\"}' },
  ];
  for (const { name, given, line: want, bin } of awkward)
    it(`run 32: ndjson is valid JSON: ${name}`, () => {
      const [object] = objectsIn(ndjsonShaper().shape(log([line(given)])));
      assert.deepEqual([object?.line, object?.bin], [want, bin]);
    });

  it('takes escape sequences out when asked to', () => {
    const [object] = objectsIn(ndjsonShaper({ strip: true }).shape(log([line('\x1b[31mred\x1b[0m')])));
    assert.equal(object?.line, 'red');
  });
});

/** Events with lines of any bytes, among which others are said. */
const events = fc.array(
  fc.oneof(
    { arbitrary: fc.constantFrom(...others.map(({ given }) => given)), weight: 1 },
    {
      arbitrary: fc
        .array(fc.oneof(fc.string({ unit: 'binary' }).map(Buffer.from), fc.uint8Array().map(Buffer.from)))
        .map((texts) =>
          log(
            texts.map((text) => line(text.filter((byte) => byte !== 0x0a) as Buffer)),
            (at) => `c.${at}`,
          ),
        ),
      weight: 3,
    },
  ),
);

/** The lines of events as a client should read them. */
function linesOf(given: readonly LogEvent[]): string[] {
  return given.flatMap((event) => (event.type === 'log' ? event.batch.lines.map(({ text }) => text.toString()) : []));
}

describe('run 32: any sequence of events is read back', () => {
  it('from ndjson', () => {
    fc.assert(
      fc.property(events, (given) => {
        const shaper = ndjsonShaper();
        const objects = objectsIn(Buffer.concat(given.map((event) => shaper.shape(event))));
        const types = given.flatMap((event) =>
          event.type === 'log' ? event.batch.lines.map(() => 'log') : event.type === 'blank' ? [] : [event.type],
        );
        assert.deepEqual(
          objects.map(({ type }) => type),
          types,
        );
        assert.deepEqual(
          objects.filter(({ type }) => type === 'log').map((object) => object.line),
          linesOf(given),
        );
      }),
    );
  });

  it('from server-sent events', () => {
    fc.assert(
      fc.property(events, (given) => {
        const shaper = sseShaper();
        const messages = messagesIn(Buffer.concat(given.map((event) => shaper.shape(event))).toString());
        const shown = given.filter(({ type }) => type !== 'blank' && type !== 'heartbeat');
        const ndjson = ndjsonShaper();
        assert.deepEqual(
          messages.map(({ data }) => data),
          Buffer.concat(shown.map((event) => ndjson.shape(event)))
            .toString()
            .split('\n')
            .slice(0, -1),
        );
        for (const { event, data, id } of messages) {
          const object = JSON.parse(data);
          assert.deepEqual([event, id], [object.type, object.cursor]);
        }
      }),
    );
  });
});

describe('sseShaper', () => {
  it('tells the client first when to come back', () => {
    const shaper = sseShaper();
    assert.equal(shaper.shape({ type: 'heartbeat', awaiting: 'x' }).toString(), 'retry: 1000\n\n:\n\n');
    assert.equal(shaper.shape({ type: 'heartbeat', awaiting: 'x' }).toString(), ':\n\n');
    assert.equal(shaper.contentType, 'text/event-stream');
  });

  it('writes id, event and data', () => {
    const shaper = sseShaper();
    shaper.shape({ type: 'blank', source });
    const shaped = shaper.shape({
      type: 'end',
      condition,
      phase: 'succeeded',
      complete: true,
      retry: true,
      cursor: 'c',
    });
    assert.equal(
      shaped.toString(),
      'id: c\nevent: end\ndata: {"type":"end","message":"All \\"done\\"","reason":"Succeeded","status":"True",' +
        '"phase":"succeeded","complete":true,"retry":true,"cursor":"c"}\n\n',
    );
  });
});

interface Message {
  event?: string;
  id?: string;
  data: string;
}

/** What an EventSource dispatches, by the rules of the specification: CR, LF and CRLF end lines, an empty one a message. */
function messagesIn(text: string): Message[] {
  const messages: Message[] = [];
  for (const block of text.split(/(?:\r\n|\r|\n){2}/)) {
    const message: Message = { data: '' };
    const data: string[] = [];
    for (const field of block.split(/\r\n|\r|\n/)) {
      const [, name = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(field) ?? [];
      if (name === 'data') data.push(value);
      else if (name === 'event' || name === 'id') message[name] = value;
    }
    if (data.length > 0) messages.push({ ...message, data: data.join('\n') });
  }
  return messages;
}
