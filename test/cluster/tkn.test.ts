/**
 * `tkn pipelinerun logs`, Tekton's own command line, beside rungate on the same runs: the same lines where tkn is right,
 * and each place where it is not as a test of its own. The version of tkn is that of parts/tkn.
 */
import assert from 'node:assert/strict';
import { eventually } from '../support/eventually.ts';
import { linesFrom, sourcesIn } from '../support/log-text.ts';
import { clusterSuite } from '../support/needs.ts';
import { type Ran, runProgram } from '../support/program.ts';
import { startWorld, type World } from '../support/world.ts';
import { connect } from './cluster.ts';
import { setFeatureFlags } from './knobs.ts';

const patience = { withinMs: 240_000 };

/** Tasks one after another with names for people, two steps in one of them, and a task in the end. */
const plain = `
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata:
  name: plain
spec:
  pipelineSpec:
    tasks:
      - name: build
        displayName: Build it
        taskSpec:
          steps:
            - name: fetch
              image: docker.io/library/busybox:1
              script: |
                seq 1 200
            - name: compile
              image: docker.io/library/busybox:1
              script: |
                printf '\\033[32mgreen\\033[0m \\000 \\377 %s\\n\\n' text
                printf 'no newline at the end'
      - name: test
        displayName: Try it
        runAfter: [build]
        taskSpec:
          steps:
            - name: unit
              image: docker.io/library/busybox:1
              script: |
                echo 12 tests passed >&2
    finally:
      - name: report
        displayName: Tell
        taskSpec:
          steps:
            - name: send
              image: docker.io/library/busybox:1
              script: |
                echo reported
`;

/** A Pipeline of its own, and a run that names it. */
const byName = `
apiVersion: tekton.dev/v1
kind: Pipeline
metadata:
  name: named
spec:
  tasks:
    - name: build
      taskSpec:
        steps:
          - name: compile
            image: docker.io/library/busybox:1
            script: |
              echo compiling
---
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata:
  name: by-name
spec:
  pipelineRef:
    name: named
`;

/** A task of finally that fails once, and not before tkn has seen it: tkn looks again every ten seconds. */
const finallyAgain = `
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata:
  name: finally-again
spec:
  pipelineSpec:
    tasks:
      - name: build
        taskSpec:
          steps:
            - name: compile
              image: docker.io/library/busybox:1
              script: |
                echo compiling
    finally:
      - name: report
        retries: 1
        taskSpec:
          steps:
            - name: send
              image: docker.io/library/busybox:1
              script: |
                echo attempt $(context.task.retry-count)
                [ $(context.task.retry-count) = 1 ] && exit 0
                sleep 30
                exit 1
`;

/** What both showed of a run: while it went on, and when it was over. */
interface Shown {
  readonly run: string;
  readonly tkn: { readonly live: Ran; readonly after: Ran };
  readonly ours: { readonly live: Buffer; readonly after: Buffer };
}

clusterSuite('tkn pipelinerun logs', { tkn: true, tekton: '1.0' }, function () {
  this.timeout(900_000);
  let world: World;
  let program: string;
  let administrator: string;

  /** Without colours, as administrator unless told. */
  const tkn = (args: readonly string[], { kubeconfig = administrator, withinMs = 600_000 } = {}): Promise<Ran> =>
    runProgram(program, ['pipelinerun', 'logs', '-C', '-n', world.namespace, '-k', kubeconfig, ...args], { withinMs });
  /** As tkn shows it: without notices, and finished tasks in the order in which they ended. */
  const like = 'color=never&notices=none&order=completion';
  const ours = async (run: string, query = like): Promise<Buffer> =>
    (await world.gateway.get(`/logs/${run}?${query}`)).body;
  /** Read as tkn's output is. */
  const text = (bytes: Buffer): string => bytes.toString();

  /**
   * Starts a run with both following it, and lets both show it again when it is over. A tkn that follows waits ten seconds for the next
   * attempt of a task, and leaves it out when it meets none at their end: it says so, and shows another run then.
   */
  async function shown(manifest: string, triesLeft = 3): Promise<Shown> {
    const run = await world.run(manifest);
    const log = await world.gateway.stream(`/logs/${run}?color=never&notices=none&wait=30`);
    const live = await tkn(['-f', run]);
    if (live.stderr.includes('pod for task not yet available') && triesLeft > 0) return shown(manifest, triesLeft - 1);
    await log.ended();
    await world.finished(run, { withinMs: 600_000 });
    return { run, tkn: { live, after: await tkn([run]) }, ours: { live: log.bytes(), after: await ours(run) } };
  }

  const runs = new Map<string, Promise<Shown>>();
  const manifests: Readonly<Record<string, string>> = { plain, 'by-name': byName, 'finally-again': finallyAgain };
  const of = (name: string): Promise<Shown> => runs.get(name) ?? assert.fail(`no run ${name}`);

  before(async () => {
    const cluster = await connect();
    program = cluster.tkn ?? assert.fail('there is no tkn');
    administrator = cluster.kubeconfig;
    world = await startWorld({ faults: true });
    const names = [
      ...Object.keys(manifests),
      'everything',
      'matrix',
      'parallel',
      'raw-bytes',
      'failing-step',
      'sidecar',
    ];
    // A few at a time: each log that is followed takes one of the node's inotify instances, and there are few.
    const lanes: Promise<unknown>[] = [Promise.resolve(), Promise.resolve(), Promise.resolve()];
    for (const [place, name] of [...names, 'skipped', 'image-missing'].entries()) {
      const begun = (lanes[place % lanes.length] ?? Promise.resolve()).then(() => shown(manifests[name] ?? name));
      lanes[place % lanes.length] = begun.catch(() => {}); // the test that looks at it fails
      runs.set(name, begun);
    }
  });
  after(async () => {
    await Promise.allSettled(runs.values());
    await world?.end();
  });

  describe('where tkn is right, rungate says the same', () => {
    it('tasks one after another and finally: byte for byte, live and afterwards', async () => {
      const { run, tkn: theirs, ours: own } = await of('plain');
      assert.equal(text(own.live), theirs.live.stdout);
      assert.equal(text(own.after), theirs.after.stdout);
      assert.match(theirs.after.stdout, /^\[build : fetch\] 200\n\n\[build : compile\] /m);
      for (const [flag, query] of [
        ['--timestamps', 'timestamps=true'],
        ['--prefix=false', 'prefix=none'],
        ['--long', 'prefix=display'],
        ['--task=test', 'task=test'],
      ] as const) {
        assert.equal(text(await ours(run, `${like}&${query}`)), (await tkn([flag, run])).stdout, flag);
      }
    });

    it('retries, a matrix and finally: line for line in each step', async () => {
      const { tkn: theirs, ours: own } = await of('everything');
      const matrix = ['check : print', 'check-0 : print', 'check-1 : print'];
      assert.deepEqual(differing(own.live, theirs.live.stdout), matrix);
      assert.deepEqual(differing(own.after, theirs.after.stdout), matrix);
      const both = ['check-0 : print', 'check-1 : print'].flatMap((source) => linesFrom(own.live, source).map(String));
      const live = linesFrom(Buffer.from(theirs.live.stdout), 'check : print').map(String);
      assert.deepEqual([...live].sort(), [...both].sort());
      assert.deepEqual(linesFrom(own.after, 'flaky : try').map(String), ['attempt 0', 'attempt 1']);
    });

    it('two tasks at once: line for line in each', async () => {
      const { tkn: theirs, ours: own } = await of('parallel');
      assert.deepEqual(differing(own.live, theirs.live.stdout), []);
      assert.deepEqual(differing(own.after, theirs.after.stdout), []);
    });

    it('the exit code of a failed run', async () => {
      const { run } = await of('failing-step');
      // It asks the API server once more for that, and gives another code where it gets no answer.
      await eventually(async () => assert.equal((await tkn(['-E', run])).code, 1), patience);
      const curl = await world.curl('-s', '-N', `${world.gateway.url}/logs/${run}?color=never&onFailure=abort`);
      assert.equal(curl.code, 18);
    });
  });

  describe('where tkn is wrong, rungate is not', () => {
    it('run 20: of a matrix that is over tkn shows one instance', async () => {
      const { tkn: theirs, ours: own } = await of('matrix');
      assert.equal(linesFrom(Buffer.from(theirs.after.stdout), 'check : print').length, 1);
      assert.deepEqual(sourcesIn(own.after).sort(), nine);
    });

    it('run 20: the instances of a matrix share one prefix in tkn', async () => {
      const { tkn: theirs, ours: own } = await of('matrix');
      assert.deepEqual(sourcesIn(Buffer.from(theirs.live.stdout)), ['check : print']);
      assert.deepEqual(sourcesIn(own.live).sort(), nine);
    });

    it('run 19: the second attempt of a task of finally is cut off when tkn follows', async () => {
      const { tkn: theirs, ours: own } = await of('finally-again');
      assert.doesNotMatch(theirs.live.stdout, /attempt 1/);
      for (const bytes of [own.live, own.after]) {
        assert.deepEqual(linesFrom(bytes, 'report : send').map(String), ['attempt 0', 'attempt 1']);
      }
    });

    it('run 31: tkn cuts lines of more than 4096 bytes', async () => {
      const { tkn: theirs, ours: own } = await of('raw-bytes');
      const isLong = (line: string | Buffer) => /^x+$/.test(String(line));
      assert.ok(linesFrom(Buffer.from(theirs.after.stdout), 'write : raw').filter(isLong).length > 1);
      assert.deepEqual(
        linesFrom(own.after, 'write : raw')
          .filter(isLong)
          .map(({ length }) => length),
        [40_000],
      );
    });

    it('run 32: tkn makes an empty line of one that says EOFLOG', async () => {
      const { tkn: theirs, ours: own } = await of('raw-bytes');
      assert.doesNotMatch(theirs.after.stdout, /EOFLOG/);
      assert.match(text(own.after), /^\[write : raw\] EOFLOG$/m);
    });

    it('run 23: tkn shows what a skipped step says of being skipped', async () => {
      const { tkn: theirs, ours: own } = await of('failing-step');
      for (const { stdout } of [theirs.live, theirs.after]) assert.match(stdout, /Skipping step because/);
      for (const bytes of [own.live, own.after]) assert.doesNotMatch(text(bytes), /Skipping step because/);
    });

    it('run 9: tkn writes an empty line for a step that says nothing', async () => {
      const { tkn: theirs, ours: own } = await of('everything');
      const emptyLines = (said: string) => /\[build : fetch\] 300\n(\n*)/.exec(said)?.[1];
      assert.equal(emptyLines(theirs.after.stdout), '\n\n');
      assert.equal(emptyLines(text(own.after)), '\n');
    });

    it('run 29: tkn takes a sidecar for a step', async () => {
      const { run, ours: own } = await of('sidecar');
      // Tekton stops it by another image, which says a word as well; until that has begun tkn leaves it out.
      await eventually(async () => assert.equal(sourcesIn(Buffer.from((await tkn([run])).stdout)).length, 2), patience);
      assert.deepEqual(sourcesIn(own.after), ['build : compile']);
      // Live: kubelet keeps what a stopped sidecar said for a minute at most.
      const live = await world.gateway.stream(`/logs/${await world.run('sidecar')}?${like}&include=sidecar&wait=30`);
      await live.ended();
      // The two run at the same time: whichever says something first comes first.
      assert.deepEqual(sourcesIn(live.bytes()).sort(), ['build : compile', 'build : sidecar-registry']);
    });

    it('run 21: tkn does not mention a task that is skipped', async () => {
      const { run, tkn: theirs } = await of('skipped');
      assert.doesNotMatch(theirs.after.stdout + theirs.after.stderr, /optional/);
      assert.match(text(await ours(run, 'color=never&notices=all')), /^\[gateway\] task optional is skipped: When /m);
    });

    it('run 17: tkn says beside its output alone, and only once the run is over, that an image cannot be pulled', async () => {
      const { run, tkn: theirs } = await of('image-missing');
      assert.equal(theirs.live.stdout.trim(), '');
      // Which of them depends on whether it still finds the pod.
      assert.match(theirs.live.stderr, /failed to run the pod|failed to pull the image|pods? .*not found/);
      assert.match(text(await ours(run, 'color=never')), /^\[gateway\] task build.*registry\.invalid/m);
    });

    it('run 36: tkn that follows does not say that the run failed, and ends with exit code 0', async () => {
      const { run, tkn: theirs } = await of('failing-step');
      assert.deepEqual([theirs.live.code, /Tasks Completed/.test(theirs.live.stderr)], [0, false]);
      const live = await world.gateway.get(`/logs/${run}?color=never`);
      assert.match(live.text, new RegExp(`^\\[gateway\\] run ${run} failed`, 'm'));
      assert.equal(live.trailers['x-run-status'], 'False');
    });

    it('tkn needs the Pipeline, and the right to read it, but that may have been deleted since', async () => {
      const { run, tkn: theirs, ours: own } = await of('by-name');
      assert.equal(text(own.after), theirs.after.stdout);
      assert.match((await tkn([run], { kubeconfig: world.kubeconfig })).stderr, /pipelines.* is forbidden/);
      await world.admin.remove(`/apis/tekton.dev/v1/namespaces/${world.namespace}/pipelines/named`);
      const later = await tkn([run]);
      assert.deepEqual([later.code, later.stdout], [1, '']);
      assert.match(later.stderr, /pipelines.* "named" not found/);
      assert.ok((await ours(run)).equals(own.after));
    });

    it('run 3: tkn waits ten seconds to say that a run is pending', async () => {
      const run = await world.run('pending');
      const answer = await world.gateway.get(`/logs/${run}?color=never&follow=false&wait=30`);
      assert.match(answer.text, /^\[gateway\] waiting for the run to start: its spec\.status is PipelineRunPending$/m);
      await eventually(async () => {
        const { stdout, stderr } = await tkn([run]);
        assert.match(stdout, /^Pipeline still running \.\.\.\nPipelineRun is still running/, stderr);
      }, patience);
    });

    it('run 16: tkn that follows is silent about a pod that no node takes', async () => {
      const run = await world.run('unschedulable');
      const log = await world.gateway.stream(`/logs/${run}?color=never&wait=30`);
      const theirs = tkn(['-f', run], { withinMs: 10_000 });
      await eventually(() => assert.match(log.text(), /^\[gateway\] task build.*nodes are available/m), patience);
      log.close();
      const { code, stdout, stderr } = await theirs;
      assert.deepEqual([code, stdout], [undefined, '']);
      assert.doesNotMatch(stderr, /nodes are available/);
      await world.remove(run);
    });

    it('run 12: tkn loses what comes after a stream that breaks off', async () => {
      // Slow enough for tkn to begin long before the end: what is over it does not follow.
      const run = await world.run('ticking', { params: { count: '15', pause: '2' } });
      await world.podOf(run, 'clock');
      const lift = world.faults.add({
        on: { path: /\/log$/, query: { follow: /^true$/ } },
        fault: { kind: 'cut', at: { lines: 3 }, how: 'clean' },
      });
      const log = await world.gateway.stream(`/logs/${run}?color=never&notices=none`);
      const theirs = await tkn(['-f', run], { kubeconfig: world.kubeconfig });
      lift();
      assert.equal(await log.ended(), 'complete');
      const want = Array.from({ length: 15 }, (_, at) => `tick ${at + 1}`);
      assert.deepEqual(linesFrom(log.bytes(), 'clock : tick').map(String), want);
      assert.ok(linesFrom(Buffer.from(theirs.stdout), 'clock : tick').length < 15);
    });

    it('run 24: of a cancelled run, whose pods are deleted, tkn says only that they are not found', async () => {
      const run = await world.run('cancelled');
      const log = await world.gateway.stream(`/logs/${run}?color=never&wait=30`);
      await eventually(() => assert.match(log.text(), /working/), patience);
      await world.patch(run, { spec: { status: 'Cancelled' } });
      assert.equal(await log.ended(), 'complete');
      assert.match(log.text(), new RegExp(`^\\[gateway\\] run ${run} was cancelled`, 'm'));
      const pods = `/api/v1/namespaces/${world.namespace}/pods?labelSelector=tekton.dev%2FpipelineRun%3D${run}`;
      await eventually(
        async () => assert.deepEqual((await world.admin.get<{ items: unknown[] }>(pods)).items, []),
        patience,
      );
      const theirs = await tkn([run]);
      assert.match(theirs.stderr, /pods? .*not found/);
      assert.equal(theirs.stdout, '');
      const later = await world.gateway.get(`/logs/${run}?color=never`);
      assert.match(later.text, /^\[gateway\] task build: the log of step compile is gone with its pod \(.*\)$/m);
      assert.equal(later.trailers['x-log-complete'], 'false');
    });
  });
});

clusterSuite('tkn pipelinerun logs of nested runs', { tkn: true, tekton: '1.0', knobs: true }, function () {
  this.timeout(900_000);
  let world: World;
  let restore: (() => Promise<void>) | undefined;
  before(async () => {
    restore = await setFeatureFlags(await connect(), { 'enable-api-fields': 'alpha' });
    world = await startWorld();
  });
  after(async () => {
    await world?.end();
    await restore?.();
  });

  it('run 30: tkn leaves out the tasks of nested runs', async () => {
    const { tkn: program = assert.fail('there is no tkn'), kubeconfig } = await connect();
    const run = await world.run('nested');
    await world.finished(run, { withinMs: 600_000 });
    const args = ['pipelinerun', 'logs', '-C', '-n', world.namespace, '-k', kubeconfig, run];
    const theirs = Buffer.from((await runProgram(program, args)).stdout);
    const own = (await world.gateway.get(`/logs/${run}?color=never&notices=none`)).body;
    assert.deepEqual(sourcesIn(theirs), ['build : compile']);
    assert.deepEqual(sourcesIn(own), ['build : compile', 'release/sign : sign', 'release/publish : upload']);
    assert.deepEqual(linesFrom(own, 'build : compile'), linesFrom(theirs, 'build : compile'));
  });
});

/** The prefixes of a matrix of three by three. */
const nine = Array.from({ length: 9 }, (_, at) => `check-${at} : print`);

/** The prefixes under which the two do not say the same lines in the same order. */
function differing(own: Buffer, theirs: string): string[] {
  const other = Buffer.from(theirs);
  return [...new Set([...sourcesIn(own), ...sourcesIn(other)])]
    .filter((source) => linesFrom(own, source).join('\n') !== linesFrom(other, source).join('\n'))
    .sort();
}
