import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { HandClock } from '../../../test/support/hand-clock.ts';
import { Fault } from '../../fault.ts';
import { projectPod } from '../../tekton/project.ts';
import { withLogTail } from './failurelog.ts';

const failure = {
  task: 'build',
  taskRun: 'r-build',
  step: 'compile',
  exitCode: 2,
  reason: 'StepFailed',
  message: 'no',
};
const container = { taskRun: 'r-build', taskRunUid: 'uid', pod: 'r-build-pod', container: 'step-compile' };
const pod = projectPod({
  metadata: {
    namespace: 'ci',
    name: 'r-build-pod',
    ownerReferences: [{ kind: 'TaskRun', name: 'r-build', uid: 'uid', controller: true }],
  },
});

/** What is told of a log of these pieces, `lines` of it. */
async function told(pieces: readonly (string | Buffer)[] | Fault, { lines = 3, status = 200, known = true } = {}) {
  return withLogTail(
    failure,
    { namespace: 'ci', lines, container },
    {
      reader: {
        stream: async () => {
          if (pieces instanceof Fault) throw pieces;
          const body = Readable.from(pieces.map((piece) => Buffer.from(piece)));
          return { status, headers: {}, body: body as IncomingMessage }; // as far as it is looked at
        },
      },
      runs: { pod: () => (known ? pod : undefined), fetchPod: async () => undefined },
      clock: new HandClock(),
    },
  );
}

const AT = '2026-11-01T10:00:00.000000001Z';

describe('the last lines of a failed step', () => {
  for (const [name, pieces, want] of [
    ['whole lines', [`${AT} one\n${AT} two\n`], ['one', 'two']],
    ['no more than asked for', [1, 2, 3, 4].map((number) => `${AT} ${number}\n`), ['2', '3', '4']],
    ['lines in pieces', [`${AT} o`, 'n', `e\n${AT}`, ' two\n'], ['one', 'two']],
    ['a last line without its end', [`${AT} one\n${AT} tw`], ['one', 'tw']],
    ['a record that goes on without a timestamp', [`${AT} one\ntwo\n`], ['one', 'two']],
    ['empty lines', [`${AT} \n${AT} \n`], ['', '']],
    ['times of another zone', ['2026-11-01T12:00:00.5+02:00 one\n'], ['one']],
    ['bytes that are no text', [Buffer.concat([Buffer.from(`${AT} a`), Buffer.from([0xff, 0x0a])])], ['a\ufffd']],
    ['nothing', [], []],
  ] as const) {
    it(name, async () => {
      assert.deepEqual(await told(pieces), { ...failure, logTail: want });
    });
  }

  it('a long line is cut, and says so', async () => {
    const { logTail } = await told([`${AT} ${'x'.repeat(100_000)}`, 'x'.repeat(100_000), `\n${AT} end\n`]);
    assert.deepEqual([logTail?.length, logTail?.[1]], [2, 'end']);
    assert.match(logTail?.[0] ?? '', /^x{4000,4096}…$/);
  });

  it('lines without end are not read to it', async () => {
    let sent = 0;
    const endless = (function* () {
      for (; ; sent += 1024 * 1024) yield Buffer.alloc(1024 * 1024, 'x');
    })();
    const body = Readable.from(endless) as unknown as IncomingMessage; // as far as it is looked at
    await withLogTail(
      failure,
      { namespace: 'ci', lines: 1, container },
      {
        reader: { stream: async () => ({ status: 200, headers: {}, body }) },
        runs: { pod: () => pod, fetchPod: async () => undefined },
        clock: new HandClock(),
      },
    );
    assert.ok(sent < 64 * 1024 * 1024);
    assert.equal(body.destroyed, true);
  });

  it('a log that does not come is not waited for, and no timer is left', async () => {
    const clock = new HandClock();
    const asked = withLogTail(
      failure,
      { namespace: 'ci', lines: 1, container },
      {
        reader: {
          stream: (_, options) =>
            new Promise((_resolve, reject) => {
              options?.signal?.addEventListener('abort', () => reject(options.signal?.reason));
            }),
        },
        runs: { pod: () => pod, fetchPod: async () => undefined },
        clock,
      },
    );
    await clock.turn(5_000);
    assert.equal((await asked).logProblem, 'the log did not come in time');
    assert.equal((await told([])).logProblem, undefined);
    assert.equal(clock.sleeping, 0);
  });

  for (const [name, got, want] of [
    [
      'run 15: an error of the kubelet with a 200',
      () => told(['unable to retrieve container logs for containerd://1']),
      /no log of it any more/,
    ],
    ['a container without a log', () => told([], { status: 400 }), /400/],
    [
      'a cluster that does not answer',
      () => told(new Fault('timeout', 'the cluster is slow')),
      /^the cluster is slow$/,
    ],
    ['a pod that is gone', () => told([], { known: false }), /the pod is gone/],
  ] as const) {
    it(`${name} is a reason, and fails nothing`, async () => {
      const { logTail, logProblem } = await got();
      assert.equal(logTail, undefined);
      assert.match(logProblem ?? '', want);
    });
  }
});
