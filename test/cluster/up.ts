/** Raises the cluster: an agenda in which every item finds out what is there already, so that it can be begun again. */
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { Fault } from '../../src/fault.ts';
import { issueCertificates, kubeconfigPath } from './certificates.ts';
import { connect } from './cluster.ts';
import { apiServerUrl, raiseControlPlane } from './controlplane.ts';
import { lower } from './down.ts';
import { raiseFlux } from './flux.ts';
import { importImages, makeImages } from './images.ts';
import { turnKnobsBack } from './knobs.ts';
import { bindKubectl } from './kubectl.ts';
import { holdLock } from './lock.ts';
import { installPackages, requireMachine } from './machine.ts';
import { bridgeOwner, hasServiceRules, raiseNetwork } from './network.ts';
import { raiseContainerd, raiseNode } from './node.ts';
import { buildParts, buildTkn, fetchTriggers, moduleVersion, type Parts } from './parts.ts';
import { bootId, type Program, running, stopped } from './processes.ts';
import { everyProgram } from './programs.ts';
import { type Progress, since } from './progress.ts';
import { differences, readRecord, writeRecord } from './record.ts';
import { nodeAddress, type Settings } from './settings.ts';
import { installTekton, tektonModule } from './tekton.ts';
import { installTriggers } from './triggers.ts';

/**
 * Raises what is not there: parts, certificates, network, programs, Tekton, the kinds of Triggers, Flux. Returns when all of it is ready.
 *
 * Called twice, the second call finds everything and returns within seconds. Called after one that was killed, it
 * goes on from there. Throws a Fault if this machine cannot, or if the running cluster was raised otherwise.
 */
export async function up(settings: Settings, progress: Progress): Promise<void> {
  requireMachine();
  const onWait = () => progress.say('Another `npm run cluster` is at work on this machine: waiting for it to end.');
  await using _lock = await holdLock({ patienceMs: 3_600_000, onWait });
  const began = Date.now();
  const { folder, cache } = settings;
  await refuseStrangers(settings);
  await installPackages(progress);
  const parts = await buildParts(cache, progress);
  await buildTkn(cache, progress);
  const triggers = await fetchTriggers(cache, progress);
  await keepOrBegin(settings, parts, progress);
  const programs = everyProgram(settings, parts);
  const found = programs.filter(({ name }) => running(folder, name)).map(({ name }) => name);
  if (found.length > 0 && found.length < programs.length) progress.say(`Going on: ${found.join(', ')} found running.`);
  if (found.length === 0) await requireFreePorts(settings);

  const kubectl = bindKubectl(join(parts.kubernetes, 'kubectl'), kubeconfigPath(folder, 'admin'));
  const version = await moduleVersion('tekton', tektonModule);
  await issueCertificates(folder, apiServerUrl(settings));
  await raiseNetwork(folder);
  await progress.during('control plane, containerd and images', () =>
    Promise.all([
      raiseControlPlane(settings, parts, kubectl),
      raiseContainerd(settings).then(async () => importImagesOnce(settings, await makeImages(cache, parts, version))),
    ]),
  );
  await progress.during('node', () => raiseNode(settings, parts, kubectl));
  await progress.during(`Tekton Pipelines ${version} and Flux`, () =>
    Promise.race([
      Promise.all([
        installTekton(folder, parts, version, kubectl),
        raiseFlux(settings, parts, kubectl),
        ...(triggers === undefined ? [] : [installTriggers(triggers, kubectl)]),
      ]),
      firstToStop(
        folder,
        programs.filter(({ name }) => running(folder, name)),
      ),
    ]),
  );
  const turnedBack = await turnKnobsBack(await connect({ RUNGATE_CLUSTER_DIR: folder }));
  if (turnedBack.length > 0) progress.say(`Turned back, after a suite that could not: ${turnedBack.join(', ')}.`);
  progress.say(
    `${found.length === programs.length ? 'The cluster was running already.' : `The cluster is up, after ${since(began)}.`}`,
  );
  progress.say('In your shell: eval "$(npm run --silent cluster -- env)"');
}

/** Never resolves; throws the Fault of a program that stops, so that nobody waits for what cannot come. */
async function firstToStop(folder: string, programs: readonly Program[]): Promise<never> {
  for (;;) {
    // Not a reason to stay: when the other work is done, we are.
    await new Promise((resolve) => setTimeout(resolve, 1000).unref());
    for (const { name } of programs) if (!running(folder, name)) throw stopped(folder, name);
  }
}

/** A cluster of another folder, or another Kubernetes altogether: both would share our bridge and kube-proxy's chains. */
async function refuseStrangers({ folder }: Settings): Promise<void> {
  const owner = await bridgeOwner();
  if (owner !== undefined && owner !== folder) {
    throw new Fault(
      'refused',
      `One cluster per machine, and there is one in ${owner}. Take it down first: RUNGATE_CLUSTER_DIR=${owner} npm run cluster -- down`,
    );
  }
  if (owner === undefined && (await readRecord(folder)) === undefined && (await hasServiceRules())) {
    throw new Fault(
      'refused',
      'Another Kubernetes is at work on this machine (iptables has its chain KUBE-SERVICES), and two would undo each other. Use that one with RUNGATE_CLUSTER=existing and KUBECONFIG.',
    );
  }
}

/** Goes on with the cluster in the folder if it is the one we mean; begins a new one if there is none that can run. */
async function keepOrBegin(settings: Settings, parts: Parts, progress: Progress): Promise<void> {
  const record = await readRecord(settings.folder);
  if (record === undefined) {
    await writeRecord(settings, parts);
    return;
  }
  if (record.bootId !== (await bootId())) {
    progress.say('This machine was restarted since the cluster was raised: beginning anew.');
    await lower(settings.folder);
    await writeRecord(settings, parts);
    return;
  }
  const changed = differences(record, settings, parts);
  if (changed.length > 0) {
    throw new Fault(
      'refused',
      `The cluster in ${settings.folder} was raised otherwise: ${changed.join('; ')}. Run \`npm run cluster -- down\` with the settings it has, then \`up\` again.`,
    );
  }
}

/** A port that is taken would be found out by the tenth program's log; better now, by name. */
async function requireFreePorts({ ports }: Settings): Promise<void> {
  for (const port of Object.values(ports)) {
    for (const host of ['127.0.0.1', nodeAddress]) {
      const taken = await new Promise<boolean>((resolve) => {
        const server = createServer();
        server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'EADDRINUSE'));
        server.listen(port, host, () => server.close(() => resolve(false)));
      });
      if (taken) {
        throw new Fault(
          'refused',
          `Port ${port} is taken by another program. Set RUNGATE_CLUSTER_PORT to the first of ${Object.keys(ports).length} free ports.`,
        );
      }
    }
  }
}

async function importImagesOnce(settings: Settings, archive: string): Promise<void> {
  const notePath = join(settings.folder, 'images-imported');
  const archiveName = basename(dirname(archive)); // follows from what is in it
  if ((await readFile(notePath, 'utf8').catch(() => '')) === archiveName) return;
  await importImages(settings.folder, archive);
  await writeFile(notePath, archiveName);
}
