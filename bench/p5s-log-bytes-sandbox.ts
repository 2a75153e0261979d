/** P5s: the same as P5 where nothing before rungate is slow: how fast it can read and send a log at all. */
import { join } from 'node:path';
import { startGateway } from '../test/support/gateway.ts';
import { digestOf, evenLog, requireSameBytes, textRate } from './logs.ts';
import { alternate } from './rounds.ts';
import type { Row } from './row.ts';
import { manifestOf } from './runs.ts';
import { startSandbox } from './sandboxed.ts';
import { post, rungateOf, untilDone } from './target.ts';

const log = evenLog(400);
const RUNS = '/apis/tekton.dev/v1/namespaces/default/pipelineruns';

/** The row. */
export const logBytesOfSandbox: Row = {
  name: 'P5s',
  ours: `\`/logs/:run\` in front of the sandbox: ${log.textBytes / 1e6} MB of 100-byte lines of a finished container`,
  peer: 'the sandbox’s log endpoint, the same bytes',
  unit: 'MB/s',
  goal: { of: 'ratio', atLeast: 0.5 },
  async measure({ folder }) {
    await using sandbox = await startSandbox({ life: true, unbounded: true });
    const gateway = await startGateway({
      env: { KUBECONFIG: sandbox.kubeconfig, NAMESPACE: 'default', LOG_LEVEL: 'info', LOG_FORMAT: 'json' },
      logFile: join(folder, 'p5s.log'),
    });
    try {
      await post(sandbox.target, RUNS, manifestOf('p5s', log.script));
      await untilDone(sandbox.target, `${RUNS}/p5s`);
      const ours = {
        target: rungateOf({ gateway }),
        path: '/logs/p5s?follow=false&timestamps=true&prefix=none&color=never',
      };
      const peer = {
        target: sandbox.target,
        path: '/api/v1/namespaces/default/pods/p5s-only-pod/log?container=step-say&timestamps=true',
      };
      requireSameBytes(await digestOf(ours), await digestOf(peer), log);
      return { rounds: await alternate(4, { ours: () => textRate(ours, log), peer: () => textRate(peer, log) }) };
    } finally {
      await gateway.stop('SIGKILL');
    }
  },
};
