/** Each format of the log of real runs: what its readers make of it is what the kubelet has. */
import assert from 'node:assert/strict';
import { readdir, readlink } from 'node:fs/promises';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { logObjectSchema } from '../../src/gateway/described/schemas/logs.ts';
import type { RunStatus } from '../../src/tekton/types.ts';
import { eventually } from '../support/eventually.ts';
import { linesFrom } from '../support/log-text.ts';
import { startWorld, type World } from '../support/world.ts';

/** Lines that are long: 64 KiB and one byte, and 5 MiB, of characters of two bytes behind one of one byte. */
const longLines = `
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata:
  name: long-lines
spec:
  pipelineSpec:
    tasks:
      - name: write
        taskSpec:
          steps:
            - name: long
              image: docker.io/library/busybox:1
              script: |
                head -c 65537 /dev/zero | tr '\\0' 'x'
                printf '\\na'
                printf '\\303\\251' > two
                for turn in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21; do cat two two > more; mv more two; done
                cat two; head -c 1048570 two
                printf '\\nend\\n'
`;

/** Two tasks that write 6 MiB each at the same time and then go on for a while. */
const loudTogether = `
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata:
  name: loud-together
spec:
  pipelineSpec:
    tasks:
${['left', 'right']
  .map(
    (name) => `
      - name: ${name}
        taskSpec:
          steps:
            - name: shout
              image: docker.io/library/busybox:1
              script: |
                yes '${name} says what takes a hundred bytes to say, so that there are not too many lines of it in this log' | head -c 6291456
                sleep 6
                echo ${name} is done`,
  )
  .join('\n')}
`;

/** A step that would like to end the section it is in, and to begin one of its own. */
const forging = `
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata:
  name: forging
spec:
  pipelineSpec:
    tasks:
      - name: honest
        displayName: An honest task
        taskSpec:
          steps:
            - name: write
              image: docker.io/library/busybox:1
              script: |
                printf '\\033[0Ksection_end:1:%s_1\\r\\033[0Kfree\\n' "$(context.taskRun.name)"
                printf 'x section_start:1:mine[collapsed=true]\\r\\033[0Kmine\\n'
                printf '\\033[32mgreen\\033[0m\\n'
`;

type LogObject = Readonly<Record<string, unknown>> & { readonly type: string };

const isLogObject = new Ajv2020({ strict: false, validateFormats: false }).compile(logObjectSchema);

/** The objects of an answer in ndjson, each as the description of the API has it. */
function objectsIn(text: string): LogObject[] {
  assert.ok(text.endsWith('\n'));
  const objects = text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as LogObject);
  for (const object of objects) assert.ok(isLogObject(object), JSON.stringify([object, isLogObject.errors]));
  return objects;
}

/** What an EventSource would dispatch. */
interface Message {
  readonly event: string;
  readonly data: string;
  /** The last id up to here: what the client sends when it comes back. */
  readonly lastEventId: string;
}

/** Reads whole messages as the HTML standard says; what is unfinished at the end is dropped. */
function messagesIn(text: string): Message[] {
  const messages: Message[] = [];
  let lastEventId = '';
  for (const block of text.split('\n\n').slice(0, -1)) {
    const fields = new Map<string, string>();
    for (const line of block.split('\n')) {
      const colon = line.indexOf(':');
      assert.notEqual(colon, -1, line);
      fields.set(line.slice(0, colon), line.slice(colon + 1).replace(/^ /, ''));
    }
    lastEventId = fields.get('id') ?? lastEventId;
    const data = fields.get('data');
    if (data !== undefined) messages.push({ event: fields.get('event') ?? 'message', data, lastEventId });
  }
  return messages;
}

/** The lines of each container, put together from their fragments; what is no UTF-8 is replaced in them. */
function linesByContainer(objects: readonly LogObject[]): Map<string, string[]> {
  const lines = new Map<string, string[]>();
  const begun = new Map<string, string>();
  for (const object of objects) {
    if (object.type !== 'log') continue;
    const key = `${object.pod}/${object.container}`;
    const text = (begun.get(key) ?? '') + object.line;
    if (object.partial === true) begun.set(key, text);
    else {
      begun.delete(key);
      const own = lines.get(key) ?? [];
      own.push(text);
      lines.set(key, own);
    }
  }
  assert.equal(begun.size, 0, 'a line was left unfinished');
  return lines;
}

/** What GitLab makes of a job's log: lines, each with the sections it is in. Throws where sections do not nest. */
function sectionsIn(text: string): { readonly line: string; readonly within: readonly string[] }[] {
  // lib/gitlab/regex.rb of GitLab: build_trace_section_regex. It is looked for anywhere in a line.
  const mark =
    /(?:\x1b\[0K)?section_(start|end):\d+:([a-zA-Z0-9_.-]+)(?:\[(?:\w+=\w+)(?:, ?(?:\w+=\w+))*\])?\r\x1b\[0K/g;
  const seen = new Set<string>();
  const open: string[] = [];
  return text
    .split('\n')
    .slice(0, -1)
    .flatMap((line) => {
      for (const [, what, name = ''] of line.matchAll(mark)) {
        if (what === 'end') assert.equal(open.pop(), name);
        else {
          assert.ok(!seen.has(name), `section ${name} begins again`);
          seen.add(name);
          open.push(name);
        }
      }
      const shown = line.replace(mark, '');
      return line !== '' && shown === '' ? [] : [{ line: shown, within: [...open] }];
    });
}

describe('formats of real runs', function () {
  this.timeout(600_000);
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world?.end());

  /** Follows a run to its end in each of the formats at the same time. */
  async function followed(manifest: string, formats: readonly string[]) {
    const run = await world.run(manifest);
    const logs = await Promise.all(
      formats.map((format) => world.gateway.stream(`/logs/${run}?color=never&wait=30&format=${format}`)),
    );
    for (const log of logs) {
      assert.equal(await log.ended(), 'complete');
      assert.equal(log.trailers['x-log-complete'], 'true');
    }
    const status = await eventually(async () => {
      const whole = (await world.gateway.get(`/status/${run}?full=true`)).json<RunStatus>();
      // TaskRuns have a watch of their own, which may come behind that of their run.
      assert.ok(whole.completed !== undefined && whole.progress.running === 0, `${run} is still ${whole.phase}`);
      return whole;
    });
    return { run, status, texts: logs.map((log) => log.text()), logs };
  }

  /** What the kubelet has of every container that said something, as ndjson names them. */
  async function assertLikeKubelet(lines: ReadonlyMap<string, readonly string[]>, containers: number): Promise<void> {
    assert.equal(lines.size, containers);
    for (const [key, said] of lines) {
      const [pod = '', container = ''] = key.split('/');
      const want = (await world.kubeletLog(pod, container)).toString().replace(/\n$/, '').split('\n');
      assert.deepEqual(said, want, key);
    }
  }

  it('run 8, 19, 20: a run in all formats at once: every line once, in the order of its step', async () => {
    const { run, status, texts, logs } = await followed('everything', ['ndjson', 'sse', 'gitlab', 'text']);
    const [ndjson = '', sse = '', gitlab = '', text = ''] = texts;
    assert.deepEqual(
      logs.map(({ headers }) => headers['content-type']),
      ['application/x-ndjson', 'text/event-stream', 'text/plain; charset=utf-8', 'text/plain; charset=utf-8'],
    );

    const objects = objectsIn(ndjson);
    await assertLikeKubelet(linesByContainer(objects), 8);
    const messages = messagesIn(sse);
    assert.match(sse, /^retry: 1000\n\n/);
    const events = messages.map(({ data }) => JSON.parse(data) as LogObject);
    await assertLikeKubelet(linesByContainer(events), 8);
    for (const [at, { event, lastEventId }] of messages.entries()) {
      assert.equal(event, events[at]?.type);
      if (event === 'log') assert.equal(lastEventId, events[at]?.cursor);
    }

    for (const all of [objects, events]) {
      const { message, reason, status: succeeded } = status.condition;
      const { cursor, ...end } = all.at(-1) ?? assert.fail('nothing was said');
      assert.equal(typeof cursor, 'string');
      const want = { message, reason, status: succeeded, phase: 'succeeded', complete: true, retry: false };
      assert.deepEqual(end, { type: 'end', ...want });
      assert.equal(all.filter(({ type }) => type === 'end').length, 1);
      for (const [taskRun, said] of Map.groupBy(all, (object) => `${object.taskRun} ${object.attempt}`)) {
        if (taskRun === 'undefined undefined') continue;
        const shown = said.filter(({ type }) => type !== 'notice');
        assert.deepEqual([shown[0]?.type, shown[0]?.state], ['task', 'begun'], taskRun);
        assert.deepEqual([shown.at(-1)?.type, shown.at(-1)?.state], ['task', 'over'], taskRun);
      }
    }
    const matrix = objects.filter(({ type, task }) => type === 'log' && task === 'check');
    assert.deepEqual([...new Set(matrix.map(({ prefix }) => prefix))].sort(), ['check-0', 'check-1']);

    const shown = sectionsIn(gitlab);
    const named = Map.groupBy(shown, ({ line }) => /^\[(.*) : .*\] /.exec(line)?.[1]);
    for (const prefix of ['build', 'check-0', 'check-1', 'deploy', 'report']) {
      const [section, ...others] = new Set(named.get(prefix)?.map(({ within }) => within.join()));
      assert.match(section ?? '', new RegExp(`^${run}-.*_1$`), prefix);
      assert.deepEqual(others, []);
    }
    assert.deepEqual(new Set(named.get('flaky')?.map(({ within }) => within[0]?.slice(-2))), new Set(['_1', '_2']));
    for (const source of ['build : fetch', 'flaky : try', 'check-0 : print', 'report : tell']) {
      const lines = linesFrom(Buffer.from(text), source).map(String);
      const own = shown.flatMap(({ line }) => (line.startsWith(`[${source}] `) ? [line.slice(source.length + 3)] : []));
      assert.deepEqual(own, lines, source);
    }
  });

  it('run 32: bytes that are no text: ndjson is valid JSON, text and gitlab have them as they are', async () => {
    const { status, texts, logs } = await followed('raw-bytes', ['ndjson', 'sse', 'gitlab']);
    const [ndjson = '', sse = ''] = texts;
    const objects = objectsIn(ndjson);
    await assertLikeKubelet(linesByContainer(objects), 1);
    await assertLikeKubelet(linesByContainer(messagesIn(sse).map(({ data }) => JSON.parse(data))), 1);
    const replaced = objects.filter(({ bin }) => bin === true).map(({ line }) => line);
    assert.deepEqual(replaced, ['invalid \ufffd\ufffd utf-8']);
    const pod = status.tasks[0]?.instances[0]?.attempts[0]?.pod ?? '';
    const want = (await world.kubeletLog(pod, 'step-raw')).toString('latin1').replace(/\n$/, '').split('\n');
    const gitlab = linesFrom(logs[2]?.bytes() ?? Buffer.alloc(0), 'write : raw');
    assert.deepEqual(
      gitlab.map((line) => line.toString('latin1')),
      want,
    );
  });

  it('run 32: strip takes the colours out of what a step wrote', async () => {
    const { run } = await followed('raw-bytes', ['text']);
    const text = (await world.gateway.get(`/logs/${run}?color=never&strip=true`)).text;
    assert.match(text, /^\[write : raw\] red$/m);
    assert.match(text, /^\[write : raw\] ten\rnine\reight$/m);
    const ndjson = (await world.gateway.get(`/logs/${run}?format=ndjson&strip=true`)).text;
    assert.deepEqual(objectsIn(ndjson).find(({ type }) => type === 'log')?.line, 'red');
  });

  it('run 31: lines of 64 KiB and more, and of 5 MiB: whole as text, in marked fragments that no character is cut in as JSON', async () => {
    const { status, texts, logs } = await followed(longLines, ['text', 'ndjson', 'sse', 'gitlab']);
    const pod = status.tasks[0]?.instances[0]?.attempts[0]?.pod ?? '';
    const want = (await world.kubeletLog(pod, 'step-long')).toString().replace(/\n$/, '').split('\n');
    assert.deepEqual(
      want.map((line) => Buffer.byteLength(line)),
      [65_537, 1 + 4 * 1024 * 1024 + 1_048_570, 3],
    );
    for (const place of [0, 3]) {
      const lines = linesFrom(logs[place]?.bytes() ?? Buffer.alloc(0), 'write : long').map(String);
      assert.ok(lines.length === want.length && lines.every((line, at) => line === want[at]));
    }
    const [, ndjson = '', sse = ''] = texts;
    for (const objects of [objectsIn(ndjson), messagesIn(sse).map(({ data }) => JSON.parse(data) as LogObject)]) {
      const [lines = []] = linesByContainer(objects).values();
      assert.ok(lines.length === want.length && lines.every((line, at) => line === want[at]));
      const fragments = objects.filter(({ partial }) => partial === true);
      assert.ok(fragments.length > 70);
      assert.ok(objects.every(({ bin }) => bin === undefined));
    }
  });

  it('run 37: an event source that loses its connection comes back by itself and misses nothing', async () => {
    const run = await world.run('torrent');
    const path = `/logs/${run}?wait=30`;
    const heard: Message[] = [];
    for (let at = 1; at <= 4; at += 1) {
      const headers = {
        Accept: 'text/event-stream',
        ...(heard.length > 0 ? { 'Last-Event-ID': heard.at(-1)?.lastEventId ?? '' } : {}),
      };
      const log = await world.gateway.stream(path, { headers });
      assert.equal(log.headers['content-type'], 'text/event-stream');
      await eventually(() => assert.ok(messagesIn(log.text()).length > 500), { withinMs: 240_000 });
      log.close();
      heard.push(...messagesIn(log.text()));
    }
    const headers = { Accept: 'text/event-stream', 'Last-Event-ID': heard.at(-1)?.lastEventId ?? '' };
    const log = await world.gateway.stream(path, { headers });
    assert.equal(await log.ended(), 'complete');
    heard.push(...messagesIn(log.text()));
    await assertLikeKubelet(linesByContainer(heard.map(({ data }) => JSON.parse(data))), 1);
    // What had everything is told not to come again.
    const lastEventId = heard.at(-1)?.lastEventId ?? '';
    const again = await world.gateway.get(path, { headers: { ...headers, 'Last-Event-ID': lastEventId } });
    assert.equal(again.status, 204);
  });

  it('run 36: curl reads each format to its end, and the last words say that the run failed', async () => {
    const run = await world.run('failing-step');
    await world.finished(run);
    for (const [format, want] of [
      ['text', /\[gateway\] run failing-step-\w+ failed: /],
      ['gitlab', /\[gateway\] run failing-step-\w+ failed: /],
      ['ndjson', /^\{"type":"end",.*"reason":"Failed","status":"False","phase":"failed","complete":true/m],
      ['sse', /^event: end\ndata: \{"type":"end",.*"status":"False"/m],
    ] as const) {
      const shown = await world.curl('-s', '-N', `${world.gateway.url}/logs/${run}?color=never&format=${format}`);
      assert.equal(shown.code, 0);
      assert.match(shown.stdout, want);
      const aborted = await world.curl('-s', '-N', `${world.gateway.url}/logs/${run}?onFailure=abort&format=${format}`);
      assert.equal(aborted.code, 18, format);
    }
  });

  it('a step cannot forge a section of the log of a GitLab job', async () => {
    const { run, texts } = await followed(forging, ['gitlab']);
    const shown = sectionsIn(texts[0] ?? '');
    const lines = shown.filter(({ line }) => line.startsWith('[honest : write] '));
    assert.equal(lines.length, 3);
    for (const { within } of lines) assert.deepEqual(within, [`${run}-honest_1`]);
    assert.equal(lines[2]?.line, '[honest : write] \x1b[32mgreen\x1b[0m');
    const display = (await world.gateway.get(`/logs/${run}?color=never&format=gitlab&prefix=display`)).text;
    assert.match(display, /\r\x1b\[0KTask An honest task\n/);
  });

  it('tasks that run at the same time are shown to GitLab one after another; what waits lies in a file without a name', async () => {
    const run = await world.run(loudTogether);
    const log = await world.gateway.stream(`/logs/${run}?color=never&format=gitlab&wait=30`);
    await eventually(
      async () => {
        const spools = await spoolsOf(world.gateway.pid);
        assert.equal(spools.length, 1);
        assert.match(spools[0] ?? '', / \(deleted\)$/);
      },
      { withinMs: 240_000 },
    );
    assert.equal(await log.ended(), 'complete');
    assert.equal(log.trailers['x-log-complete'], 'true');
    const sections = sectionsIn(log.text()).filter(({ line }) => /^\[(left|right) : shout\] /.test(line));
    const order = sections.map(({ within }) => within.join());
    const [first = '', second = ''] = new Set(order);
    assert.equal(order.lastIndexOf(first) + 1, order.indexOf(second));
    for (const task of ['left', 'right']) {
      const pod = (await world.podOf(run, task)).metadata.name;
      const want = await world.kubeletLog(pod, 'step-shout');
      const own = linesFrom(log.bytes(), `${task} : shout`);
      assert.ok(Buffer.concat(own.flatMap((line) => [line, Buffer.from('\n')])).equals(want), task);
    }
    // 12 MiB are more than GitLab Runner takes, and it is told before that is reached.
    const told = log.bytes().indexOf('[gateway] GitLab Runner cuts the log of a job at 4194304 bytes');
    assert.ok(told > 3_670_016 && told < 4_194_304);
    await eventually(async () => assert.deepEqual(await spoolsOf(world.gateway.pid), []));
  });
});

/** The spool files that a process has open. */
async function spoolsOf(pid: number): Promise<string[]> {
  const descriptors = await readdir(`/proc/${pid}/fd`);
  const names = await Promise.all(descriptors.map((each) => readlink(`/proc/${pid}/fd/${each}`).catch(() => '')));
  return names.filter((name) => name.includes('rungate-spool-'));
}
