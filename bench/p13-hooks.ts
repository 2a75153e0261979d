/** P13: how many signed deliveries a second become runs, on one core with fifty listeners loaded, and how long each takes. */
import { fork } from 'node:child_process';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Admin, openAdmin } from '../test/support/admin.ts';
import { eventually } from '../test/support/eventually.ts';
import { type Gateway, startGateway } from '../test/support/gateway.ts';
import { keySecret, listenerOf } from '../test/support/hook-manifests.ts';
import { runProgram } from '../test/support/program.ts';
import type { BareHook } from './bare-hook.ts';
import { alternate } from './rounds.ts';
import { type Measured, median, quantile, type Row } from './row.ts';
import { startSandbox } from './sandboxed.ts';
import { pendingRun } from './triggers.ts';

const LISTENERS = 50;
const ROUNDS = 3;
const CLIENTS = 64;
const TOKEN = 'a key of the benchmark';

const common = {
  peer: 'a bare `node:http` server that reads the body, checks the signature and creates such a run',
  unit: 'deliveries/s',
  units: { p99: 'ms' },
  goal: { of: 'ratio', atLeast: 0.5 },
} as const;

/** The row, on the cluster. */
export const hookDeliveries: Row = {
  ...common,
  name: 'P13',
  ours: `signed deliveries to ${LISTENERS} EventListeners, each of which becomes a run`,
  measure: ({ admin }) => rates(admin.kubeconfig, 500),
};

/** The row, in front of a sandbox. */
export const hookDeliveriesOfSandbox: Row = {
  ...common,
  name: 'P13s',
  ours: 'the same in front of the sandbox',
  async measure() {
    await using sandbox = await startSandbox();
    return await rates(sandbox.kubeconfig, 2_000); // which the sandbox has to outlive
  },
};

/** Rounds of so many deliveries, to rungate in one namespace and to its peer in another, both as administrator. */
async function rates(kubeconfig: string, count: number): Promise<Measured> {
  const admin = await openAdmin(kubeconfig);
  const id = randomBytes(3).toString('hex');
  const [ours, bare] = [`bench-p13-${id}`, `bench-p13-${id}-peer`];
  const folder = await mkdtemp(join(tmpdir(), 'rungate-bench-'));
  const endings: (() => unknown)[] = [() => rm(folder, { recursive: true, force: true })];
  try {
    for (const namespace of [ours, bare]) {
      await admin.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
      endings.push(() => admin.remove(`/api/v1/namespaces/${namespace}`));
    }
    const gateway = await startHooks({ admin, kubeconfig, namespace: ours, folder });
    endings.push(() => gateway.stop('SIGKILL'));
    const child = fork(new URL('bare-hook.ts', import.meta.url), { stdio: 'inherit' });
    endings.push(() => child.disconnect());
    child.send({ kubeconfig, namespace: bare, token: TOKEN } satisfies BareHook);
    const [port] = (await once(child, 'message')) as [number];
    await Promise.all([gateway.pid, child.pid].map((pid) => onOneCore(pid ?? 0)));
    let number = 0;
    const measure = (addressOf: (place: number) => string) =>
      deliver(count, () => ({ address: addressOf(number), body: bodyOf(`${id}-${number++}`) }));
    const rounds = await alternate(ROUNDS, {
      ours: () => measure((place) => `${gateway.url}/hooks/${ours}/${listenerNames[place % LISTENERS]}`),
      peer: () => measure(() => `http://127.0.0.1:${port}/`),
    });
    return {
      rounds: rounds.map((round) => ({ ours: round.ours.perSecond, peer: round.peer.perSecond })),
      also: {
        p99: {
          ours: median(rounds.map((round) => round.ours.p99)),
          peer: median(rounds.map((round) => round.peer.p99)),
        },
      },
    };
  } finally {
    for (const end of endings.reverse()) await end();
  }
}

const listenerNames = Array.from({ length: LISTENERS }, (_, place) => `bench-${place}`);

/** rungate with the listeners as files, each with a filter, a binding and a template, and no limit of its own in the way. */
async function startHooks(at: {
  readonly admin: Admin;
  readonly kubeconfig: string;
  readonly namespace: string;
  readonly folder: string;
}): Promise<Gateway> {
  const { admin, kubeconfig, namespace, folder } = at;
  const metadata = { name: keySecret, namespace };
  await admin.create({ apiVersion: 'v1', kind: 'Secret', metadata, stringData: { token: TOKEN } });
  const files = join(folder, 'hooks');
  await mkdir(files);
  for (const name of listenerNames) {
    const { metadata: _, ...run } = pendingRun({ name, trigger: name });
    const resources = [
      { ...run, metadata: { generateName: `${name}-`, annotations: { after: '$(tt.params.after)' } } },
    ];
    const filter = "header.canonical('X-GitHub-Event') == 'push' && body.ref.startsWith('refs/heads/')";
    const triggers = [{ name, filter, bindings: { after: '$(body.after)' }, resources }];
    const documents = listenerOf(name, { triggers }).map((object) =>
      JSON.stringify({ ...object, metadata: { ...object.metadata, namespace } }),
    );
    await writeFile(join(files, `${name}.yaml`), documents.join('\n---\n'));
  }
  const gateway = await startGateway({
    env: {
      KUBECONFIG: kubeconfig,
      NAMESPACE: namespace,
      NAMESPACES: namespace,
      PARTS: 'gateway,hooks',
      HOOKS_DIR: files,
      HOOKS_PER_SECOND: '0',
      LOG_LEVEL: 'info',
      LOG_FORMAT: 'json',
    },
    logFile: join(folder, 'rungate.log'),
  });
  await eventually(
    async () => {
      const { status, text } = await gateway.get(`/hooks/${namespace}/${listenerNames.at(-1)}/deliveries`);
      if (status !== 200) throw new Error(`${status} ${text}`);
    },
    { withinMs: 60_000 },
  );
  return gateway;
}

/** Every thread of a process on the first core, those that it starts later as well. */
async function onOneCore(pid: number): Promise<void> {
  const { code, stderr } = await runProgram('taskset', ['--all-tasks', '--pid', '--cpu-list', '0', String(pid)]);
  if (code !== 0) throw new Error(`taskset could not keep ${pid} on one core: ${stderr}`);
}

interface Rate {
  readonly perSecond: number;
  /** Milliseconds from the POST to its 202, which says that the run is there. */
  readonly p99: number;
}

/** Sends so many deliveries over connections that are kept, and throws unless each is taken. */
async function deliver(count: number, next: () => { readonly address: string; readonly body: string }): Promise<Rate> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: CLIENTS });
  const times: number[] = [];
  let left = count;
  const client = async (): Promise<void> => {
    while (left-- > 0) {
      const { address, body } = next();
      const signature = createHmac('sha256', TOKEN).update(body).digest('hex');
      const headers = {
        'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(body),
        'X-GitHub-Event': 'push',
        'X-GitHub-Delivery': createHash('md5').update(body).digest('hex'),
        'X-Signature': `sha256=${signature}`,
      };
      const beganAt = performance.now();
      const call = http.request(address, { agent, method: 'POST', headers });
      call.end(body);
      const [answer] = (await once(call, 'response')) as [http.IncomingMessage];
      const said = Buffer.concat((await answer.toArray()) as Buffer[]).toString();
      if (answer.statusCode !== 202 || said.includes('"failed"')) throw new Error(`${answer.statusCode} ${said}`);
      times.push(performance.now() - beganAt);
    }
  };
  const beganAt = performance.now();
  await Promise.all(Array.from({ length: CLIENTS }, client));
  const seconds = (performance.now() - beganAt) / 1_000;
  agent.destroy();
  return { perSecond: count / seconds, p99: quantile(times, 0.99) };
}

/** What a Git host says of a push, as far as anybody here reads it, and as much again. */
function bodyOf(id: string): string {
  const after = createHash('sha1').update(id).digest('hex');
  return JSON.stringify({
    ref: 'refs/heads/main',
    after,
    repository: { full_name: 'team/app', clone_url: 'https://git.invalid/team/app.git' },
    commits: Array.from({ length: 5 }, (_, place) => ({
      id: after,
      message: `change ${place} of ${id}`,
      added: ['a', 'b'],
    })),
  });
}
