/** A cluster that is there already: looked at, never changed. */
import { Fault } from '../../src/fault.ts';
import { type Cluster, connect } from './cluster.ts';
import { ask } from './commands.ts';

/** The cluster that KUBECONFIG names, once it answers and has Tekton. Throws a Fault that says what it lacks. */
export async function findExisting(environment: NodeJS.ProcessEnv): Promise<Cluster> {
  if ((await ask('kubectl', ['version', '--client'])) === undefined) {
    throw new Fault(
      'refused',
      'An existing cluster is reached through kubectl, and there is none on the PATH: install it.',
    );
  }
  const cluster = await connect(environment);
  const answer = await cluster.kubectl.run('get', '--raw', '/version', '--request-timeout=20s').catch((cause) => {
    throw new Fault(
      'unavailable',
      `The cluster of ${cluster.kubeconfig} does not answer at ${cluster.server}. Check that file and the network.\n${cause.message}`,
      { cause },
    );
  });
  if (cluster.capabilities.tektonVersion === undefined) {
    throw new Fault(
      'refused',
      `The cluster at ${cluster.server} (Kubernetes ${JSON.parse(answer).gitVersion}) answers, but has no Tekton Pipelines: install it there first.`,
    );
  }
  return cluster;
}
