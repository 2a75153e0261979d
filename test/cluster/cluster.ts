/** The running cluster, as suites see it: our own, or one that was there. */
import { join } from 'node:path';
import { Fault } from '../../src/fault.ts';
import { certificateFolder, kubeconfigPath } from './certificates.ts';
import { ask } from './commands.ts';
import { apiServerUrl, auditLogPath } from './controlplane.ts';
import { gitUrl } from './flux.ts';
import { bindKubectl, type Kubectl } from './kubectl.ts';
import { podLogsFolder } from './node.ts';
import { builtTkn, type Parts } from './parts.ts';
import { readRecord } from './record.ts';
import { type Choice, chooseCluster, type Settings } from './settings.ts';
import { findTekton } from './tekton.ts';
import { hasTriggers } from './triggers.ts';

/** What a cluster offers to suites. One that needs more than this is not run, and says so. */
export interface Capabilities {
  /** We are root on the machine of the node: logs, audit log and processes can be touched. */
  readonly root: boolean;
  /** The knobs of `knobs.ts` turn. */
  readonly knobs: boolean;
  /** Flux's source-controller and a git server are ours to use. */
  readonly flux: boolean;
  /** Tekton's own version, `v1.15.0`; undefined if Tekton is not installed. */
  readonly tektonVersion: string | undefined;
  /** There is a tkn to compare with. */
  readonly tkn: boolean;
  /** Tekton Triggers' kinds are served. */
  readonly triggers: boolean;
}

/** What only a cluster of our own has. */
export interface OwnCluster {
  readonly settings: Settings;
  readonly parts: Parts;
  /** State folder. */
  readonly folder: string;
  /** The cluster's certificate authority, PEM. */
  readonly authorityPath: string;
  /** Every write, by whom: one JSON object a line (audit.k8s.io/v1 Event, level Metadata). */
  readonly auditLogPath: string;
  /** The kubelet's `podLogsDir`: NAMESPACE_POD_UID/CONTAINER/N.log. */
  readonly podLogsFolder: string;
  /** Repositories are `<gitUrl>/<name>.git`; make them with `repository.ts`. */
  readonly gitUrl: string;
}

/** A cluster that runs. */
export interface Cluster {
  readonly kind: Choice['kind'];
  readonly kubectl: Kubectl;
  /** The path of tkn, Tekton's own command line; undefined where there is none. */
  readonly tkn: string | undefined;
  readonly kubeconfig: string;
  /** URL of the API server. */
  readonly server: string;
  readonly port: number;
  /** Where Tekton's controller runs; undefined if Tekton is not installed. */
  readonly tektonNamespace: string | undefined;
  readonly capabilities: Capabilities;
  /** Undefined for an existing cluster. */
  readonly own: OwnCluster | undefined;
}

/** Finds the running cluster that the environment means. Throws a Fault that says how to get one. */
export async function connect(environment: NodeJS.ProcessEnv = process.env): Promise<Cluster> {
  const choice = chooseCluster(environment);
  return choice.kind === 'own' ? connectOwn(choice.settings) : connectExisting(choice.kubeconfig);
}

/** A cluster of our own, from its record alone: whether it runs is not asked. Undefined if none was raised there. */
export async function ownCluster(settings: Settings): Promise<(OwnCluster & { kubectl: Kubectl }) | undefined> {
  const record = await readRecord(settings.folder);
  if (!record) return undefined;
  const { folder, parts } = { folder: settings.folder, parts: record.parts };
  return {
    kubectl: bindKubectl(join(parts.kubernetes, 'kubectl'), kubeconfigPath(folder, 'admin')),
    settings: record.settings,
    parts,
    folder,
    authorityPath: join(certificateFolder(folder), 'ca.crt'),
    auditLogPath: auditLogPath(folder),
    podLogsFolder: podLogsFolder(folder),
    gitUrl: gitUrl(record.settings),
  };
}

async function connectOwn(settings: Settings): Promise<Cluster> {
  const own = await ownCluster(settings);
  if (!own) throw new Fault('refused', `No cluster in ${settings.folder}. Raise one: npm run cluster -- up`);
  const { kubectl } = own;
  if ((await kubectl.ask('get', '--raw', '/readyz')) !== 'ok') {
    throw new Fault(
      'unavailable',
      `The cluster in ${settings.folder} does not answer. Raise it again: npm run cluster -- up`,
    );
  }
  const tekton = await findTekton(kubectl);
  const tkn = await builtTkn(own.settings.cache);
  return {
    kind: 'own',
    kubectl,
    tkn,
    kubeconfig: kubectl.kubeconfig,
    server: apiServerUrl(own.settings),
    port: own.settings.ports.apiServer,
    tektonNamespace: tekton?.namespace,
    capabilities: {
      root: process.getuid?.() === 0,
      knobs: true,
      flux: true,
      tektonVersion: tekton?.version,
      tkn: tkn !== undefined,
      triggers: await hasTriggers(kubectl),
    },
    own,
  };
}

async function connectExisting(kubeconfig: string): Promise<Cluster> {
  const kubectl = bindKubectl('kubectl', kubeconfig);
  const show = ['config', 'view', '--minify', '-o', 'jsonpath={.clusters[0].cluster.server}'];
  const server = await kubectl.run(...show).catch((cause) => {
    throw new Fault('refused', `KUBECONFIG=${kubeconfig} names no cluster to use: ${cause.message}`, { cause });
  });
  const url = new URL(server);
  const tekton = await findTekton(kubectl);
  const tkn = (await ask('tkn', ['version', '--client'])) === undefined ? undefined : 'tkn';
  return {
    kind: 'existing',
    kubectl,
    tkn,
    kubeconfig,
    server,
    port: Number(url.port || (url.protocol === 'https:' ? 443 : 80)),
    tektonNamespace: tekton?.namespace,
    capabilities: {
      root: false,
      knobs: false,
      flux: false,
      tektonVersion: tekton?.version,
      tkn: tkn !== undefined,
      triggers: await hasTriggers(kubectl),
    },
    own: undefined,
  };
}
