/** Where a world stands: the real cluster that `npm run test:cluster` names, else a sandbox of its own in this process. */
import { join } from 'node:path';
import { systemClock } from '../../src/clock.ts';
import { silentLog } from '../../src/log.ts';
import { connect } from '../cluster/cluster.ts';
import { capabilitiesVariable } from './needs.ts';

/** A Kubernetes API with Tekton behind it. */
export interface Ground {
  readonly kind: 'cluster' | 'sandbox';
  /** The administrator's. */
  readonly kubeconfig: string;
  /** The program; a sandbox has it only where somebody lends it. */
  readonly kubectl: string | undefined;
  /** Tekton's own command line, where somebody lends it or has built it. */
  readonly tkn: string | undefined;
  /** Ends a sandbox; leaves a cluster as it is. */
  end(): Promise<void>;
}

/** `npm run test:cluster` sets it to `sandbox` for suites that it runs a second time, there. */
export const groundVariable = 'RUNGATE_GROUND';
/** Names the variable that says whether the worlds of this process have rungates that cache (`on`, the default) or not (`off`). */
export const cacheVariable = 'RUNGATE_CACHE';

/** The kubectl that it lends to those. */
export const kubectlVariable = 'RUNGATE_KUBECTL';

/** The tkn that it lends to those. */
export const tknVariable = 'RUNGATE_TKN';

/** Whether tests of this process stand on a real cluster. */
export const onCluster = process.env[capabilitiesVariable] !== undefined && process.env[groundVariable] !== 'sandbox';

/** Finds the cluster, or starts a sandbox whose files are below `folder`. */
export async function findGround(
  folder: string,
  kind: Ground['kind'] = onCluster ? 'cluster' : 'sandbox',
  { wholeLogs }: { readonly wholeLogs: boolean } = { wholeLogs: false },
): Promise<Ground> {
  if (kind === 'cluster') {
    const { kubeconfig, kubectl, tkn } = await connect();
    return { kind: 'cluster', kubeconfig, kubectl: kubectl.file, tkn, end: async () => {} };
  }
  const { createSandbox } = await import('../../src/sandbox/sandbox.ts');
  const limits = wholeLogs ? { outputBytes: 2 ** 30, log: { bytes: 2 ** 30, files: 1 } } : {};
  const sandbox = createSandbox({
    folder: join(folder, 'sandbox'),
    life: true,
    limits,
    clock: systemClock,
    log: silentLog,
  });
  await sandbox.start();
  return {
    kind: 'sandbox',
    kubeconfig: sandbox.kubeconfigFile,
    kubectl: process.env[kubectlVariable],
    tkn: process.env[tknVariable],
    end: () => sandbox.stop(new AbortController().signal),
  };
}
