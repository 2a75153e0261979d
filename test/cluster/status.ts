/** How the cluster is, part by part. */
import { connect } from './cluster.ts';
import { gitUrl } from './flux.ts';
import { isNodeReady } from './node.ts';
import { buildingNow } from './parts.ts';
import { running } from './processes.ts';
import { readRecord } from './record.ts';
import type { Settings } from './settings.ts';
import { tektonNamespace } from './tekton.ts';
import { everyProgram } from './up.ts';
import { answers } from './waiting.ts';

/** One line of the status: what, whether it is well, and what is known about it. */
export interface StatusLine {
  readonly what: string;
  readonly well: boolean;
  readonly detail: string;
}

/** Looks at every part of our own cluster. Changes nothing, and needs no lock. */
export async function statusOf(settings: Settings): Promise<StatusLine[]> {
  const { folder, cache } = settings;
  const record = await readRecord(folder);
  if (!record) {
    const building = buildingNow(cache);
    return [
      {
        what: 'cluster',
        well: false,
        detail: building ? `not raised; ${building} is being built` : `none in ${folder}: npm run cluster -- up`,
      },
    ];
  }
  const lines: StatusLine[] = everyProgram(record.settings, record.parts).map(({ name }) => {
    const identity = running(folder, name);
    return {
      what: name,
      well: identity !== undefined,
      detail: identity ? `runs as process ${identity.pid}` : 'does not run',
    };
  });
  const { kubectl } = await connect({ ...process.env, RUNGATE_CLUSTER_DIR: folder });
  const [ready, node, proxy, tekton, flux, git] = await Promise.all([
    kubectl.ask('get', '--raw', '/readyz'),
    isNodeReady(kubectl),
    answers(`http://127.0.0.1:${record.settings.ports.proxyHealth}/healthz`),
    kubectl.ask(
      'get',
      'deployment',
      '-n',
      tektonNamespace,
      '-o',
      'jsonpath={range .items[*]}{.metadata.name} {.status.availableReplicas}{"\\n"}{end}',
    ),
    answers(`http://127.0.0.1:${record.settings.ports.fluxHealth}/readyz`),
    answers(`${gitUrl(record.settings)}/`),
  ]);
  const say = (what: string, well: boolean): StatusLine => ({ what, well, detail: well ? 'ready' : 'not ready' });
  const deployments = (tekton ?? '')
    .trim()
    .split('\n')
    .map((line) => line.trim().split(' '));
  lines.push(say('API server', ready === 'ok'), say('node', node), say('service addresses', proxy));
  for (const name of ['controller', 'webhook', 'events-controller'].map((short) =>
    short.includes('-') ? `tekton-${short}` : `tekton-pipelines-${short}`,
  )) {
    lines.push(
      say(
        name,
        deployments.some(([deployment, available]) => deployment === name && Number(available) > 0),
      ),
    );
  }
  lines.push(say('source-controller answers', flux), say('git server answers', git));
  return lines;
}
