/** P10: a page of a list of very many runs, asked for again and again while runs are changing. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { eventually } from '../test/support/eventually.ts';
import type { BareAnswer } from './bare-server.ts';
import { type Crowd, startCrowd } from './crowd/crowd.ts';
import { alternate } from './rounds.ts';
import { median, quantile, type Row } from './row.ts';
import { open, rungateOf, type Target } from './target.ts';

const RUNS = 50_000;
/** Those that end while pages are read, a few before each page, so that no page can be kept for the next request. */
const CHANGING = 20_000;
const ROUNDS = 3;
const PAGES = 300;

/** The row. */
export const runPages: Row = {
  name: 'P10',
  ours: `a page of 50 of ${RUNS.toLocaleString('en')} runs, page after page, while runs end`,
  peer: 'a bare `node:http` server that sends the first page each time',
  unit: 'ms',
  goal: { of: 'ours', named: 'p95', below: 50 },
  async measure(world) {
    const kubeconfig = join(world.folder, 'crowd.yaml');
    const crowd = await startCrowd({ runs: RUNS, running: CHANGING }, kubeconfig);
    try {
      const gateway = await world.startGateway({
        env: { KUBECONFIG: kubeconfig, NAMESPACES: '*', LOG_LEVEL: 'warn' },
        ready: false,
      });
      const target = rungateOf({ gateway });
      // Filling the caches is another row's business.
      const first = await eventually(() => read(target, '/runs'), { withinMs: 120_000, everyMs: 500 });
      const bare = await startBare(first);
      try {
        const rounds = await alternate(ROUNDS, {
          ours: () => timesOfPages(target, crowd),
          peer: () => timesOfPages(bare.target, undefined),
        });
        return {
          rounds: rounds.map(({ ours, peer }) => ({ ours: quantile(ours, 0.95), peer: quantile(peer, 0.95) })),
          also: {
            p50: {
              ours: median(rounds.map(({ ours }) => median(ours))),
              peer: median(rounds.map(({ peer }) => median(peer))),
            },
          },
        };
      } finally {
        bare.end();
        await gateway.stop('SIGKILL');
      }
    } finally {
      crowd.end();
    }
  },
};

/** How long each of many pages took, one behind the other, in milliseconds. */
async function timesOfPages(target: Target, crowd: Crowd | undefined): Promise<number[]> {
  const times: number[] = [];
  for (let more = ''; times.length < PAGES; ) {
    if (times.length % 10 === 0) await crowd?.finish(5);
    const beganAt = performance.now();
    const page = await read(target, `/runs?limit=50${more}`);
    times.push(performance.now() - beganAt);
    const { continue: token } = JSON.parse(page) as { readonly continue?: string };
    more = token === undefined ? '' : `&continue=${token}`;
  }
  return times;
}

async function read(target: Target, path: string): Promise<string> {
  return Buffer.concat(await (await open(target, path)).toArray()).toString();
}

async function startBare(body: string): Promise<{ readonly target: Target; end(): void }> {
  const child: ChildProcess = fork(new URL('bare-server.ts', import.meta.url), { stdio: 'inherit' });
  const answer: BareAnswer = { status: 200, body };
  child.send(answer);
  const [port] = (await once(child, 'message')) as [number];
  return { target: { origin: `http://127.0.0.1:${port}`, headers: {} }, end: () => child.disconnect() };
}
