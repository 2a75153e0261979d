/** How the cluster is, part by part. */
import { ownCluster } from './cluster.ts';
import { gitUrl } from './flux.ts';
import type { Kubectl } from './kubectl.ts';
import { isNodeReady } from './node.ts';
import { buildingNow } from './parts.ts';
import { running } from './processes.ts';
import { everyProgram } from './programs.ts';
import type { Settings } from './settings.ts';
import { tektonDeployments, tektonNamespace } from './tekton.ts';
import { turnedKnobs } from './turned.ts';
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
  const cluster = await ownCluster(settings);
  if (!cluster) {
    const building = buildingNow(cache);
    const detail = building ? `not raised; ${building} is being built` : `none in ${folder}: npm run cluster -- up`;
    return [line('cluster', false, detail)];
  }
  const { kubectl, parts } = cluster;
  const { ports } = cluster.settings;
  const programs = everyProgram(cluster.settings, parts).map(({ name }) => {
    const identity = running(folder, name);
    return line(name, identity !== undefined, identity ? `runs as process ${identity.pid}` : 'does not run');
  });
  const [api, node, proxy, tekton, flux, git, knobs] = await Promise.all([
    kubectl.ask('get', '--raw', '/readyz'),
    isNodeReady(kubectl),
    answers(`http://127.0.0.1:${ports.proxyHealth}/healthz`),
    availableDeployments(kubectl),
    answers(`http://127.0.0.1:${ports.fluxHealth}/readyz`),
    answers(`${gitUrl(cluster.settings)}/`),
    turnedKnobs(folder),
  ]);
  return [
    ...programs,
    line('API server', api === 'ok'),
    line('node', node),
    line('service addresses', proxy),
    ...tektonDeployments.map((name) => line(name, tekton.includes(name))),
    line('Flux', flux),
    line('git server', git),
    ...knobs.map(({ knob, by }) =>
      line(`knob ${knob}`, true, by ? `turned by process ${by.pid}` : 'left turned by a suite: `up` turns it back'),
    ),
  ];
}

function line(what: string, well: boolean, detail = well ? 'ready' : 'not ready'): StatusLine {
  return { what, well, detail };
}

async function availableDeployments(kubectl: Kubectl): Promise<string[]> {
  const template = '{range .items[?(@.status.availableReplicas>0)]}{.metadata.name}{"\\n"}{end}';
  const names = await kubectl.ask('get', 'deployment', '-n', tektonNamespace, '-o', `jsonpath=${template}`);
  return (names ?? '').split('\n');
}
