/** What callers of /logs can ask for, in the app over stores filled by hand. */
import assert from 'node:assert/strict';
import { AppRig, type Got } from '../support/app-rig.ts';
import { finish, GREEN, OVER, pod, RED, run, taskRun, underWay } from '../support/build-run.ts';
import { eventually } from '../support/eventually.ts';
import { HandClock } from '../support/hand-clock.ts';

/** An object of ndjson, as far as tests look at it. */
interface Said {
  readonly type: string;
  readonly line?: string;
  readonly partial?: boolean;
  readonly task?: string;
  readonly step?: string;
  readonly container?: string;
  readonly state?: string;
  readonly exitCode?: number;
  readonly message?: string;
  readonly level?: string;
  readonly cursor?: string;
  readonly complete?: boolean;
  readonly retry?: boolean;
  readonly phase?: string;
  readonly status?: string;
  readonly awaiting?: string;
}

function saidIn(text: string): Said[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

/** The lines of a text answer without blank ones. */
function linesIn({ text }: Got): string[] {
  return text.split('\n').filter((line) => line !== '');
}

/** Another task beside the one of `underWay`. */
function other(yaml: string): string {
  return yaml.replaceAll('compile', 'other').replaceAll('task-1', 'task-2').replaceAll('pod-1', 'pod-2');
}

/** A finished run in which both steps have said something. */
async function finished(options?: ConstructorParameters<typeof AppRig>[0], verdict = GREEN): Promise<AppRig> {
  const rig = await underWay(options);
  rig.file('build-compile-pod', 'step-one').say('again');
  rig.file('build-compile-pod', 'step-two').say('world');
  finish(rig, verdict);
  return rig;
}

describe('GET /logs, formats', () => {
  for (const { asked, accept, want } of [
    { asked: '', accept: '*/*', want: 'text/plain; charset=utf-8' },
    { asked: '', accept: 'text/html, application/xml;q=0.9', want: 'text/plain; charset=utf-8' },
    { asked: '', accept: 'application/x-ndjson', want: 'application/x-ndjson' },
    { asked: '', accept: 'text/event-stream;q=0, application/x-ndjson;q=0.5', want: 'application/x-ndjson' },
    { asked: '', accept: 'text/event-stream', want: 'text/event-stream' },
    { asked: '?format=text', accept: 'text/event-stream', want: 'text/plain; charset=utf-8' },
    { asked: '?format=sse', accept: '*/*', want: 'text/event-stream' },
    { asked: '?format=gitlab', accept: '*/*', want: 'text/plain; charset=utf-8' },
  ]) {
    it(`${asked || 'no format'} with Accept: ${accept} is ${want}`, async () => {
      await using rig = await finished();
      const { headers, status } = await rig.get(`/logs/build${asked}`, { accept });
      assert.deepEqual([status, headers['content-type'], headers.vary], [200, want, 'Accept']);
    });
  }

  it('ndjson: every line with where it comes from, steps and tasks as they begin and end, and the outcome last', async () => {
    await using rig = await finished();
    const said = saidIn((await rig.get('/logs/build?format=ndjson')).text);
    assert.deepEqual(
      said.map(({ type, state, step, line }) => [type, state ?? line, step].filter(Boolean).join(' ')),
      [
        'task begun',
        'step running one',
        'log hello one',
        'log again one',
        'step terminated one',
        'step running two',
        'log world two',
        'step terminated two',
        'task over',
        'end',
      ],
    );
    const end = said.at(-1);
    assert.deepEqual([end?.status, end?.phase, end?.complete, end?.retry], ['True', 'succeeded', true, false]);
    const [, , line] = said;
    assert.deepEqual([line?.task, line?.container], ['compile', 'step-one']);
  });

  it('run 38: who is sent away is told to come back, with a cursor', async () => {
    await using rig = await underWay();
    const client = rig.follow('/logs/build?format=ndjson');
    await eventually(() => assert.match(client.text(), /hello/));
    void rig.drain.stop(new AbortController().signal);
    const end = saidIn((await client.whole).text).at(-1);
    assert.deepEqual([end?.type, end?.retry, end?.complete, end?.status], ['end', true, false, 'Unknown']);
    assert.ok(end?.cursor);
  });

  it('gitlab: a section a task, and tasks that run at the same time one after another', async () => {
    await using rig = await underWay();
    rig.put(other(taskRun()));
    rig.put(other(pod()));
    const file = rig.file('build-other-pod', 'step-one');
    rig.file('build-other-pod', 'step-two');
    const client = rig.follow('/logs/build?format=gitlab&color=never');
    await eventually(() => assert.match(client.text(), /hello/));
    file.say('of the other');
    await eventually(() => assert.equal(rig.file('build-other-pod', 'step-one').followers, 1));
    rig.file('build-compile-pod', 'step-one').say('still the first');
    await eventually(() => assert.match(client.text(), /still the first/));
    assert.doesNotMatch(client.text(), /of the other/);
    file.end();
    rig.file('build-other-pod', 'step-two').end();
    rig.put(other(pod(OVER, OVER)));
    rig.put(other(taskRun(GREEN, '  completionTime: "2026-11-01T10:00:30Z"')));
    finish(rig);
    const { text, trailers } = await client.whole;
    const order = [...text.matchAll(/section_(?:start|end):\d+:[\w.-]+|hello|still the first|of the other/g)].map(
      String,
    );
    assert.deepEqual(
      order.map((mark) => mark.replace(/:\d+:/, ' ')),
      [
        'section_start build-compile_1',
        'hello',
        'still the first',
        'section_end build-compile_1',
        'section_start build-other_1',
        'of the other',
        'section_end build-other_1',
      ],
    );
    assert.equal(trailers['x-log-complete'], 'true');
  });

  it('gitlab: of a run that is over, each task and each attempt is a section', async () => {
    await using rig = await finished();
    rig.put(other(taskRun(GREEN, '  completionTime: "2026-11-01T10:00:50Z"')));
    rig.put(other(pod(OVER, OVER)));
    rig.file('build-other-pod', 'step-one').say('of the other');
    for (const step of ['step-one', 'step-two']) rig.file('build-other-pod', step).end();
    const { text, trailers } = await rig.get('/logs/build?format=gitlab&color=never');
    const order = [...text.matchAll(/section_(?:start|end):\d+:[\w.-]+|hello|world|of the other/g)].map(String);
    assert.deepEqual(
      order.map((mark) => mark.replace(/:\d+:/, ' ')),
      [
        'section_start build-compile_1',
        'hello',
        'world',
        'section_end build-compile_1',
        'section_start build-other_1',
        'of the other',
        'section_end build-other_1',
      ],
    );
    assert.equal(trailers['x-log-complete'], 'true');
  });

  it('gitlab: a cursor counts what was shown, not what waits for its turn', async () => {
    await using rig = await underWay();
    rig.put(other(taskRun()));
    rig.put(other(pod()));
    rig.file('build-other-pod', 'step-one').say('of the other');
    rig.file('build-other-pod', 'step-two');
    const client = rig.follow('/logs/build?format=gitlab&color=never');
    await eventually(() => assert.match(client.text(), /hello/));
    await eventually(() => assert.equal(rig.file('build-other-pod', 'step-one').followers, 1));
    void rig.drain.stop(new AbortController().signal);
    const { trailers, text } = await client.whole;
    assert.doesNotMatch(text, /of the other/);
    await using again = await underWay();
    again.put(other(taskRun()));
    again.put(other(pod()));
    again.file('build-other-pod', 'step-one').say('of the other');
    again.file('build-other-pod', 'step-two');
    const rest = await again.get(`/logs/build?color=never&follow=false&cursor=${trailers['x-log-cursor']}`);
    assert.deepEqual(
      linesIn(rest).filter((line) => !line.startsWith('[gateway]')),
      ['[other : one] of the other'],
    );
  });
});

describe('GET /logs, cursors', () => {
  /** Two tasks of two steps each, all of them with several lines, the second task still running. */
  async function busy(): Promise<AppRig> {
    const rig = await underWay();
    rig.put(other(taskRun()));
    rig.put(other(pod()));
    for (const name of ['compile', 'other'])
      for (const step of ['step-one', 'step-two'])
        for (let line = 1; line <= 3; line++) rig.file(`build-${name}-pod`, step).say(`${name} ${step} ${line}`);
    return rig;
  }

  function sayMore(rig: AppRig): void {
    for (const name of ['compile', 'other'])
      for (const step of ['step-one', 'step-two']) rig.file(`build-${name}-pod`, step).say(`${name} ${step} more`);
    for (const step of ['step-one', 'step-two']) rig.file('build-other-pod', step).end();
    rig.put(other(pod(OVER, OVER)));
    rig.put(other(taskRun(GREEN, '  completionTime: "2026-11-01T10:00:50Z"')));
    finish(rig);
  }

  it('run 37: taken at any line, it goes on exactly behind it, whatever was read of other containers', async () => {
    await using first = await busy();
    const client = first.follow('/logs/build?format=ndjson');
    const logs = () =>
      saidIn(client.text().slice(0, client.text().lastIndexOf('\n') + 1)).filter(({ type }) => type === 'log');
    await eventually(() => assert.equal(logs().length, 13));
    const before = logs();
    client.leave();
    await client.whole.catch(() => {});
    await using second = await busy();
    sayMore(second);
    const all = saidIn((await second.get('/logs/build?format=ndjson')).text).filter(({ type }) => type === 'log');
    assert.equal(all.length, 17);
    for (const [at, { cursor, line }] of before.entries()) {
      assert.ok(cursor !== undefined);
      for (const format of ['ndjson', 'text']) {
        const { text, trailers } = await second.get(
          `/logs/build?format=${format}&prefix=none&color=never&cursor=${cursor}`,
        );
        const rest =
          format === 'text'
            ? text.split('\n').filter((each) => each !== '')
            : saidIn(text).flatMap(({ type, line }) => (type === 'log' ? (line ?? '') : []));
        const joined = [...before.slice(0, at + 1).map((each) => each.line), ...rest];
        assert.deepEqual(joined.sort(), all.map((each) => each.line).sort(), `after ${line} as ${format}`);
        assert.equal(trailers['x-log-complete'], 'true');
      }
    }
  });

  it('run 31, 37: taken within a line that came in fragments, it goes on within that line', async () => {
    const long = Array.from({ length: 30_000 }, (_, at) => `word ${at} `)
      .join('')
      .repeat(8);
    const speak = (rig: AppRig): void => {
      rig.file('build-compile-pod', 'step-one').say(long);
      rig.file('build-compile-pod', 'step-one').say('after it');
      finish(rig);
    };
    await using rig = await underWay();
    speak(rig);
    const all = saidIn((await rig.get('/logs/build?format=ndjson')).text).filter(({ type }) => type === 'log');
    const textOf = (said: readonly Said[]) => said.map(({ line, partial }) => `${line}${partial ? '' : '\n'}`).join('');
    assert.equal(textOf(all), `hello\n${long}\nafter it\n`);
    assert.ok(all.length > 20, 'it came in fragments');
    for (const at of [1, 7, all.length - 3]) {
      const rest = await rig.get(`/logs/build?format=ndjson&cursor=${all[at]?.cursor}`);
      const said = saidIn(rest.text).filter(({ type }) => type === 'log');
      assert.equal(textOf([...all.slice(0, at + 1), ...said]), textOf(all), `after ${at}`);
    }
  });

  it('containers that were read to their end are not read again', async () => {
    await using rig = await finished();
    const { trailers } = await rig.get('/logs/build');
    rig.reads.length = 0;
    const again = await rig.get(`/logs/build?color=never&cursor=${trailers['x-log-cursor']}`);
    assert.deepEqual([linesIn(again), rig.reads], [[], []]);
    assert.equal(again.trailers['x-log-complete'], 'true');
  });

  it('an event source comes back with its last id, and is sent away when it has had everything', async () => {
    await using rig = await finished();
    const whole = await rig.get('/logs/build', { accept: 'text/event-stream' });
    const ids = [...whole.text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id ?? '');
    const rest = await rig.get('/logs/build?format=sse', { 'last-event-id': ids[0] ?? '' });
    const lines = [...rest.text.matchAll(/"line":"(\w+)"/g)].map(([, line]) => line);
    assert.deepEqual(lines, ['again', 'world']);
    const over = await rig.get('/logs/build?format=sse', { 'last-event-id': ids.at(-1) ?? '' });
    assert.deepEqual([over.status, over.text], [204, '']);
    const nearly = await rig.get('/logs/build?format=sse', { 'last-event-id': ids.at(-2) ?? '' });
    assert.match(nearly.text, /^event: end$/m, 'the last word counts too');
    const text = await rig.get('/logs/build?color=never', { 'last-event-id': ids[0] ?? '' });
    assert.equal(linesIn(text).length, 3, 'it means nothing to other formats');
  });

  it('it belongs to its run and its options', async () => {
    await using rig = await finished();
    const { trailers } = await rig.get('/logs/build?step=one');
    const cursor = trailers['x-log-cursor'];
    for (const { query, want } of [
      { query: `step=two&cursor=${cursor}`, want: /^option cursor .*other options/ },
      { query: `cursor=${cursor}`, want: /^option cursor .*other options/ },
      { query: `step=one&cursor=${cursor?.slice(0, -3)}AAA`, want: /^option cursor .*another server/ },
      { query: 'cursor=nonsense', want: /^option cursor .*no cursor/ },
    ]) {
      const { status, text } = await rig.get(`/logs/build?${query}`);
      assert.equal(status, 400, query);
      assert.match(JSON.parse(text).error, want);
    }
    rig.put(run(GREEN).replaceAll('run-1', 'run-2'));
    const moved = await rig.get(`/logs/build?step=one&cursor=${cursor}`);
    assert.equal(moved.status, 400);
    assert.match(JSON.parse(moved.text).error, /^option cursor belongs to another run/);
  });

  it('tail is of what was there at the first request: what started later is shown whole', async () => {
    const clock = new HandClock();
    const runningSince = (time: string) => pod('running: {}', `running: { startedAt: "${time}" }`);
    await using first = await underWay({ clock });
    const client = first.follow('/logs/build?tail=1');
    await eventually(() => assert.match(client.text(), /hello/));
    void first.drain.stop(new AbortController().signal);
    const cursor = (await client.whole).trailers['x-log-cursor'];
    await clock.turn(600_000);
    const at = (ms: number) => new Date(clock.now() - ms).toISOString();
    for (const { started, want } of [
      { started: at(300_000), want: ['a', 'b'] },
      { started: at(900_000), want: ['b'] },
    ]) {
      await using rig = await underWay({ clock });
      rig.put(runningSince(started).replace('resourceVersion: "3', 'resourceVersion: "4'));
      for (const line of ['a', 'b']) rig.file('build-compile-pod', 'step-two').say(line);
      const rest = await rig.get(`/logs/build?tail=1&follow=false&prefix=none&notices=none&cursor=${cursor}`);
      assert.deepEqual(linesIn(rest), want);
    }
  });

  it('since counts from the first request', async () => {
    const clock = new HandClock();
    const waiting = pod('running: {}', 'waiting: { reason: PodInitializing }');
    const sinceOf = (rig: AppRig, step: string) =>
      rig.reads.flatMap((read) => new RegExp(`/${step}\\?.*sinceTime=([^&]+)`).exec(read)?.[1] ?? []);
    await using first = await underWay({ clock });
    first.put(waiting.replace('resourceVersion: "3', 'resourceVersion: "4'));
    const client = first.follow('/logs/build?since=5m');
    await eventually(() => assert.match(client.text(), /hello/));
    void first.drain.stop(new AbortController().signal);
    const { trailers } = await client.whole;
    const [since] = sinceOf(first, 'step-one');
    assert.ok(since);
    await clock.turn(600_000);
    await using second = await underWay({ clock });
    await second.get(`/logs/build?since=5m&follow=false&cursor=${trailers['x-log-cursor']}`);
    assert.deepEqual([...new Set(sinceOf(second, 'step-two'))], [since]);
  });
});

describe('GET /logs, what is shown', () => {
  it('run 35: after silence a sign of life comes in ndjson and sse, in text only when it was asked for', async () => {
    for (const { query, want, seconds } of [
      { query: 'format=ndjson', want: /\n\{"type":"heartbeat","awaiting":"task compile, step one"\}\n$/, seconds: 15 },
      { query: 'format=sse', want: /\n\n:\n\n$/, seconds: 15 },
      { query: 'heartbeat=3&color=never', want: /\n\[gateway\] waiting for task compile, step one\n$/, seconds: 3 },
      { query: 'color=never', want: /hello\n$/, seconds: 60 },
    ]) {
      const clock = new HandClock();
      await using rig = await underWay({ clock });
      const client = rig.follow(`/logs/build?${query}`);
      await eventually(() => assert.match(client.text(), /hello/));
      for (let second = 1; second < seconds; second++) await clock.turn(1_000);
      if (seconds < 60) assert.doesNotMatch(client.text(), want);
      await clock.turn(1_000);
      await clock.turn(1_000);
      await eventually(() => assert.match(client.text(), want));
      client.leave();
      await client.whole.catch(() => {});
    }
  });

  it('run 35: no sign of life within a line', async () => {
    const clock = new HandClock();
    await using rig = await underWay({ clock });
    const client = rig.follow('/logs/build?heartbeat=2&color=never');
    await eventually(() => assert.match(client.text(), /hello/));
    rig.file('build-compile-pod', 'step-one').say('x'.repeat(2 * 1024 * 1024), { ended: false });
    await eventually(() => assert.match(client.text(), /xxx$/));
    for (let second = 0; second < 6; second++) await clock.turn(1_000);
    assert.match(client.text(), /xxx$/);
    client.leave();
    await client.whole.catch(() => {});
  });

  it('limitBytes: whole lines up to so many bytes, and a cursor to go on', async () => {
    await using rig = await finished();
    const query = 'color=never&prefix=none&limitBytes=12';
    const first = await rig.get(`/logs/build?${query}`);
    assert.deepEqual(linesIn(first), [
      'hello',
      'again',
      '[gateway] limitBytes is reached; ask again with the cursor to go on',
    ]);
    assert.equal(first.trailers['x-log-complete'], 'false');
    assert.equal(first.trailers['x-run-status'], 'True');
    const second = await rig.get(`/logs/build?${query}&cursor=${first.trailers['x-log-cursor']}`);
    assert.deepEqual(linesIn(second), ['world']);
    assert.equal(second.trailers['x-log-complete'], 'true');
    const waited = await rig.get('/logs/build?color=never&limitBytes=40&format=gitlab');
    assert.match(waited.text, /hello/);
    assert.doesNotMatch(waited.text, /\] again|world/);
    assert.equal(waited.trailers['x-log-complete'], 'false');
  });

  for (const format of ['text', 'gitlab', 'ndjson']) {
    it(`limitBytes: one that is smaller than any line still comes to the end (${format})`, async () => {
      await using rig = await finished();
      const lines: string[] = [];
      let cursor = '';
      for (const want of ['hello', 'again', 'world']) {
        const got = await rig.get(`/logs/build?color=never&limitBytes=1&notices=none&format=${format}${cursor}`);
        lines.push(...(got.text.match(/hello|again|world/g) ?? []));
        assert.equal(lines.at(-1), want);
        assert.equal(got.trailers['x-log-complete'], String(want === 'world'));
        cursor = `&cursor=${got.trailers['x-log-cursor']}`;
      }
      assert.deepEqual(lines, ['hello', 'again', 'world']);
    });
  }

  for (const { query, want } of [
    { query: 'task=nope', want: 'the run has no task "nope": there is compile' },
    { query: 'step=nope', want: 'the run has no step "nope": there is one and two' },
    { query: 'attempt=9', want: 'the run has no attempt 9: there is 1' },
    {
      query: 'task=compile&step=nope',
      want: 'the tasks that were asked for have no step "nope": there is one and two',
    },
    { query: 'task=nope&step=nope&attempt=9', want: 'the run has no task "nope": there is compile' },
    { query: 'task=nope&follow=false', want: 'the run has no task "nope": there is compile' },
    { query: 'task=nope&notices=none', want: undefined },
  ]) {
    it(`a filter that nothing passes is told: ${query}`, async () => {
      await using rig = await finished();
      const got = await rig.get(`/logs/build?color=never&${query}`);
      assert.deepEqual(linesIn(got), want === undefined ? [] : [`[gateway] ${want}`]);
      assert.equal(got.trailers['x-log-complete'], 'true');
    });
  }

  it('without following, what a run does not have it may still get', async () => {
    await using rig = await underWay();
    const got = await rig.get('/logs/build?color=never&follow=false&task=nope');
    assert.deepEqual(linesIn(got), [
      '[gateway] the run has no task "nope" yet: there is compile',
      '[gateway] run build is still running: working',
    ]);
  });

  for (const query of ['', '&format=gitlab', '&follow=false']) {
    it(`run 19: of a run that is over, what is said of an attempt stands behind its lines${query}`, async () => {
      await using rig = await new AppRig().listen();
      const past = `\n  retriesStatus: [{ podName: build-compile-pod, startTime: "2026-11-01T10:00:01Z", conditions: [{ type: Succeeded, status: "False", reason: StepFailed, message: it broke }] }]`;
      const again = (yaml: string) =>
        yaml.replaceAll('build-compile-pod', 'build-compile-pod-retry1').replace('pod-1', 'pod-2');
      rig.put(again(taskRun(RED, '  completionTime: "2026-11-01T10:01:00Z"')) + past);
      rig.put(pod(OVER, OVER));
      rig.put(again(pod(OVER, OVER)));
      rig.put(run(RED));
      for (const name of ['build-compile-pod', 'build-compile-pod-retry1']) {
        rig.file(name, 'step-one').say(`from ${name}`);
        for (const step of ['step-one', 'step-two']) rig.file(name, step).end();
      }
      const { text } = await rig.get(`/logs/build?color=never&prefix=none${query}`);
      assert.deepEqual(text.match(/from [\w-]+|\[gateway\] .*/g), [
        'from build-compile-pod',
        '[gateway] task compile: attempt 2 of 2 after StepFailed: it broke',
        'from build-compile-pod-retry1',
        '[gateway] task compile failed: a task failed',
        '[gateway] run build failed: a task failed',
      ]);
    });
  }

  for (const order of ['start', 'time']) {
    it(`run 22: steps end in their order, the skipped ones too (order=${order})`, async () => {
      await using rig = await underWay();
      rig.file('build-compile-pod', 'step-one').say('again');
      rig.file('build-compile-pod', 'step-two').say('2026/11/01 10:00:00 Skipping step because a previous step failed');
      finish(rig, RED);
      const said = saidIn((await rig.get(`/logs/build?format=ndjson&order=${order}`)).text);
      assert.deepEqual(
        said.flatMap(({ type, state, step, line }) => (type === 'step' ? `${state} ${step}` : (line ?? []))),
        ['running one', 'hello', 'again', 'terminated one', 'terminated two'],
      );
    });
  }

  it('include: init containers stand before the steps, sidecars and what was injected beside them', async () => {
    await using rig = await underWay();
    const more = (yaml: string) =>
      yaml
        .replace('resourceVersion: "3', 'resourceVersion: "4')
        .replace('containers: [', 'initContainers: [{ name: prepare }], containers: [{ name: istio-proxy }, ')
        .replace('{ name: step-two }]', '{ name: step-two }, { name: sidecar-db }]')
        .replace(
          'containerStatuses:',
          `initContainerStatuses: [{ name: prepare, restartCount: 0, state: { ${OVER} } }]
  containerStatuses:
    - { name: istio-proxy, restartCount: 0, state: { ${OVER} } }
    - { name: sidecar-db, restartCount: 0, state: { ${OVER} } }`,
        );
    for (const container of ['prepare', 'istio-proxy', 'sidecar-db']) {
      rig.file('build-compile-pod', container).say(`from ${container}`);
      rig.file('build-compile-pod', container).end();
    }
    finish(rig);
    rig.put(more(pod(OVER, OVER)));
    for (const { include, want } of [
      { include: '', want: ['one] hello'] },
      { include: '&include=init', want: ['prepare] from prepare', 'one] hello'] },
      { include: '&include=sidecar', want: ['one] hello', 'sidecar-db] from sidecar-db'] },
      { include: '&include=injected', want: ['istio-proxy] from istio-proxy', 'one] hello'] },
      {
        include: '&include=all',
        want: ['istio-proxy] from istio-proxy', 'one] hello', 'prepare] from prepare', 'sidecar-db] from sidecar-db'],
      },
      { include: '&include=all&step=sidecar-db', want: ['sidecar-db] from sidecar-db'] },
    ]) {
      const got = await rig.get(`/logs/build?color=never${include}`);
      const lines = linesIn(got).map((line) => line.replace('[compile : ', ''));
      assert.deepEqual(include === '&include=init' ? lines : lines.sort(), want, include);
      assert.equal(got.trailers['x-log-complete'], 'true');
    }
  });

  it('run 29: a sidecar that nobody stops does not keep the stream open for ever', async () => {
    const clock = new HandClock();
    await using rig = await underWay({ clock });
    finish(rig);
    rig.put(
      pod(OVER, OVER)
        .replace('resourceVersion: "3', 'resourceVersion: "4')
        .replace('{ name: step-two }]', '{ name: step-two }, { name: sidecar-db }]')
        .replace(
          'containerStatuses:',
          'containerStatuses:\n    - { name: sidecar-db, restartCount: 0, state: { running: {} } }',
        ),
    );
    rig.file('build-compile-pod', 'sidecar-db').say('listening');
    const client = rig.follow('/logs/build?color=never&include=sidecar');
    await eventually(() => assert.match(client.text(), /listening/));
    for (let second = 0; second < 40; second++) {
      rig.file('build-compile-pod', 'sidecar-db').say(`second ${second}`);
      await clock.turn(1_000);
    }
    const { text, trailers } = await client.whole;
    assert.match(text, /container sidecar-db still runs although its task is over/);
    assert.equal(trailers['x-log-complete'], 'false');
  });

  it('failed: of a task that failed the failing step alone', async () => {
    await using rig = await finished({}, RED);
    rig.put(pod(OVER, 'terminated: { exitCode: 3, reason: Error }'));
    rig.put(other(taskRun(GREEN, '  completionTime: "2026-11-01T10:00:50Z"')));
    rig.put(other(pod(OVER, OVER)));
    rig.file('build-other-pod', 'step-one').say('fine');
    const got = await rig.get('/logs/build?color=never&failed=true&notices=none');
    assert.deepEqual(linesIn(got), ['[compile : two] world']);
    assert.equal(got.trailers['x-log-complete'], 'true');
  });

  it('order: by start, by completion, as the pipeline has it, or every line by its time', async () => {
    await using rig = await new AppRig().listen();
    rig.put(run(GREEN, '  pipelineSpec: { tasks: [{ name: compile, taskSpec: {} }, { name: other, taskSpec: {} }] }'));
    const later = (yaml: string) =>
      yaml.replace('startTime: "2026-11-01T10:00:01Z"', 'startTime: "2026-11-01T10:00:09Z"');
    rig.put(later(taskRun(GREEN, '  completionTime: "2026-11-01T10:01:00Z"')));
    rig.put(other(taskRun(GREEN, '  completionTime: "2026-11-01T10:02:00Z"')));
    rig.put(pod(OVER, OVER));
    rig.put(other(pod(OVER, OVER)));
    for (const name of ['compile', 'other']) {
      for (const line of ['first', 'second']) rig.file(`build-${name}-pod`, 'step-one').say(`${name} ${line}`);
      for (const step of ['step-one', 'step-two']) rig.file(`build-${name}-pod`, step).end();
    }
    for (const { order, want } of [
      { order: 'start', want: ['other first', 'other second', 'compile first', 'compile second'] },
      { order: 'spec', want: ['compile first', 'compile second', 'other first', 'other second'] },
      { order: 'completion', want: ['compile first', 'compile second', 'other first', 'other second'] },
    ]) {
      const got = await rig.get(`/logs/build?prefix=none&order=${order}`);
      assert.deepEqual(linesIn(got), want, order);
    }
    for (const query of ['order=time', 'order=time&follow=false']) {
      const got = await rig.get(`/logs/build?prefix=none&timestamps=true&${query}`);
      const stamps = linesIn(got).map((line) => line.split(' ')[0]);
      assert.equal(stamps.length, 4);
      assert.deepEqual(stamps, stamps.toSorted());
      assert.equal(got.trailers['x-log-complete'], 'true');
      assert.doesNotMatch(got.text, /\n\n/);
    }
  });

  it('strip and color', async () => {
    await using rig = await underWay();
    rig.file('build-compile-pod', 'step-one').say('\x1b[31mred\x1b[0m');
    finish(rig);
    const as = async (query: string) => linesIn(await rig.get(`/logs/build?prefix=none&${query}`))[1];
    assert.equal(await as('color=never'), '\x1b[31mred\x1b[0m');
    assert.equal(await as('color=never&strip=true'), 'red');
  });

  it('a log that went with its pod is read where such logs are kept', async () => {
    const asked: unknown[] = [];
    await using rig = await underWay({
      external: {
        read: async ({ pod: name, container, startTime, completionTime, lines }) => {
          asked.push([name, container, startTime, completionTime]);
          if (container !== 'step-one') return undefined;
          const kept = ['kept', 'for', 'long'].map((text) => ({
            timestamp: '',
            text: Buffer.from(text),
            part: 'whole' as const,
          }));
          await lines({ lines: kept.slice(0, 1) });
          await lines({ lines: kept.slice(1) });
          return 'complete';
        },
      },
    });
    rig.remove('Pod', 'build-compile-pod');
    const steps = ['one', 'two'].map(
      (step) =>
        `{ name: ${step}, container: step-${step}, terminated: { exitCode: 0, reason: Completed, startedAt: "2026-11-01T10:00:05Z", finishedAt: "2026-11-01T10:00:06Z" } }`,
    );
    rig.put(taskRun(GREEN, `  completionTime: "2026-11-01T10:01:00Z"\n  steps: [${steps.join(', ')}]`));
    rig.put(run(GREEN));
    const got = await rig.get('/logs/build?color=never');
    assert.deepEqual(linesIn(got), [
      '[compile : one] kept',
      '[compile : one] for',
      '[compile : one] long',
      '[gateway] task compile: the log of step two is gone with its pod (Completed, exit code 0)',
      '[gateway] some of the log is missing',
    ]);
    assert.deepEqual(asked[0], ['build-compile-pod', 'step-one', '2026-11-01T10:00:05Z', '2026-11-01T10:00:06Z']);
    const logs = saidIn((await rig.get('/logs/build?format=ndjson')).text).filter(({ type }) => type === 'log');
    for (const [at, { cursor }] of logs.entries()) {
      const rest = await rig.get(`/logs/build?prefix=none&notices=none&cursor=${cursor}`);
      assert.deepEqual(linesIn(rest), ['kept', 'for', 'long'].slice(at + 1));
    }
  });
});

describe('GET /taskruns/.../logs', () => {
  it('shows one TaskRun, with the options of a run', async () => {
    await using rig = await finished();
    for (const path of ['/taskruns/build-compile/logs', '/taskruns/ci/build-compile/logs']) {
      const { status, text, trailers, headers } = await rig.get(`${path}?color=never&step=two`);
      assert.deepEqual([status, text], [200, '[compile : two] world\n\n']);
      assert.deepEqual([trailers['x-run-status'], trailers['x-log-complete']], ['True', 'true']);
      assert.equal(headers['x-run-uid'], 'task-1');
    }
  });

  it('follows it while it runs', async () => {
    await using rig = await underWay();
    const client = rig.follow('/taskruns/build-compile/logs?color=never');
    await eventually(() => assert.match(client.text(), /hello/));
    rig.file('build-compile-pod', 'step-two').say('world');
    finish(rig);
    const { text, trailers } = await client.whole;
    assert.equal(text, '[compile : one] hello\n\n[compile : two] world\n\n');
    assert.equal(trailers['x-run-status'], 'True');
  });

  it('one that is not there is 404, one that comes in time is waited for', async () => {
    await using rig = await new AppRig().listen();
    const missing = await rig.get('/taskruns/build-compile/logs');
    assert.deepEqual([missing.status, JSON.parse(missing.text).error], [404, 'taskrun not found']);
    const client = rig.follow('/taskruns/build-compile/logs?wait=30&color=never');
    await eventually(() => assert.equal(rig.drain.open, 1));
    rig.put(taskRun());
    rig.put(pod());
    rig.file('build-compile-pod', 'step-one').say('hello');
    await eventually(() => assert.match(client.text(), /hello/));
    client.leave();
    await client.whole.catch(() => {});
  });
});
