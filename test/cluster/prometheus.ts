/**
 * A real Prometheus, and its promtool: those on the PATH, else those of the Debian package, taken out of it without installing
 * it, because that would start a service.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/gateway.ts';
import { connect } from './cluster.ts';
import { ask, run } from './commands.ts';

/** The programs, by path. */
export interface PrometheusPrograms {
  readonly prometheus: string;
  readonly promtool: string;
}

/** Finds them, or fetches them into the cache of the cluster. Throws a Fault where neither can be. */
export async function prometheusPrograms(): Promise<PrometheusPrograms> {
  const onPath = { prometheus: 'prometheus', promtool: 'promtool' };
  if (
    (await ask(onPath.prometheus, ['--version'])) !== undefined &&
    (await ask(onPath.promtool, ['--version'])) !== undefined
  )
    return onPath;
  const { own } = await connect();
  const folder = join(own?.settings.cache ?? '.rungate', 'prometheus');
  const unpacked = { prometheus: join(folder, 'usr/bin/prometheus'), promtool: join(folder, 'usr/bin/promtool') };
  if ((await ask(unpacked.promtool, ['--version'])) !== undefined) return unpacked;
  const half = `${folder}.${process.pid}`;
  await mkdir(half, { recursive: true });
  try {
    const options = { cwd: half, timeoutMs: 600_000 };
    await run('apt-get', ['update', '-q'], options);
    await run('apt-get', ['download', '-q', 'prometheus'], options);
    const [archive = ''] = await readdir(half);
    await run('dpkg-deb', ['-x', archive, half], options);
    await rm(join(half, archive));
    await rm(folder, { recursive: true, force: true });
    await rename(half, folder);
  } finally {
    await rm(half, { recursive: true, force: true });
  }
  return unpacked;
}

/** A label set and the newest value, as the query API has it. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

/** A Prometheus that scrapes. */
export interface Prometheus {
  /** What an expression comes to now. Throws with what Prometheus says of it where it is wrong. */
  query(expression: string): Promise<readonly Sample[]>;
  /** Every rule that was loaded, with whether it could be evaluated. */
  rules(): Promise<readonly RuleState[]>;
  end(): Promise<void>;
}

/** A rule as the API has it. */
export interface RuleState {
  readonly name: string;
  readonly health: 'ok' | 'err' | 'unknown';
  readonly lastError?: string;
  readonly state: 'inactive' | 'pending' | 'firing';
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts one with this configuration (YAML) and its data in `folder`, on loopback; resolves when it answers. */
export async function startPrometheus(
  { prometheus }: PrometheusPrograms,
  { folder, config }: { readonly folder: string; readonly config: string },
): Promise<Prometheus> {
  const port = await freePort();
  const file = join(folder, 'prometheus.yaml');
  await writeFile(file, config);
  const logFile = join(folder, 'prometheus.log');
  const log = openSync(logFile, 'a');
  const options = [
    `--config.file=${file}`,
    `--storage.tsdb.path=${join(folder, 'prometheus')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ];
  const child = spawn(prometheus, options, { stdio: ['ignore', log, log] });
  running.add(child);
  const over = new Promise<void>((resolve) => {
    child.once('close', () => {
      running.delete(child);
      resolve();
    });
  });
  const url = `http://127.0.0.1:${port}`;
  const asked = async <T>(path: string): Promise<T> => {
    const answer = await fetch(url + path);
    const { data, error } = (await answer.json()) as { readonly data: T; readonly error?: string };
    if (error !== undefined) throw new Error(`${decodeURIComponent(path)}: ${error}`);
    return data;
  };
  await eventually(
    async () => {
      if (child.exitCode !== null) throw new Error(`Prometheus ended; see ${logFile}`);
      await asked('/api/v1/status/buildinfo');
    },
    { withinMs: 60_000 },
  );
  return {
    query: async (expression) =>
      (await asked<{ result: readonly Sample[] }>(`/api/v1/query?query=${encodeURIComponent(expression)}`)).result,
    rules: async () =>
      (await asked<{ groups: readonly { rules: readonly RuleState[] }[] }>('/api/v1/rules')).groups.flatMap(
        (group) => group.rules,
      ),
    async end() {
      child.kill('SIGTERM');
      await over;
    },
  };
}
