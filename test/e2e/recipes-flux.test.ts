/**
 * examples/flux, typed as examples/README.md has it: a real source-controller follows a real repository, and what the Alert and the
 * Provider say is done by a relay, where notification-controller would do it.
 */
import assert from 'node:assert/strict';
import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { connect } from '../cluster/cluster.ts';
import { type Restore, setFluxEvents } from '../cluster/knobs.ts';
import { makeRepository, type Repository } from '../cluster/repository.ts';
import { manifestsIn } from '../support/admin.ts';
import { on } from '../support/fault-proxy.ts';
import { checkout } from '../support/gateway.ts';
import { type FluxRelay, startFluxRelay } from '../support/hook-relay.ts';
import { type HookWorld, startHookWorld } from '../support/hooks.ts';
import { clusterSuite } from '../support/needs.ts';
import { type Ran, runProgram } from '../support/program.ts';
import { commandsBelow } from '../support/recipe.ts';
import { paramsOf } from '../support/trigger-manifests.ts';
import { discovered } from '../support/world.ts';

interface ProviderManifest {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly type: string; readonly address: string; readonly secretRef: { readonly name: string } };
}

interface AlertManifest {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly providerRef: { readonly name: string };
    readonly eventSources: readonly { readonly kind: string; readonly name: string }[];
  };
}

clusterSuite('the recipe for Flux', { flux: true, knobs: true, triggers: true }, () => {
  let world: HookWorld;
  let relay: FluxRelay | undefined;
  let repository: Repository | undefined;
  let restore: Restore | undefined;
  /** Types a block of the page, where `default` is the world's namespace. */
  let type: (block: string | undefined) => Promise<Ran>;
  const [setUp, look] = commandsBelow('Flux');

  before(async () => {
    const cluster = await connect();
    assert.ok(cluster.own);
    world = await startHookWorld({ faults: true });
    for (const kind of manifestsIn(await readFile(`${checkout}test/fixtures/hooks/notification-crds.yaml`, 'utf8'))) {
      await world.admin.apply(kind);
      await discovered(world.admin, kind);
    }
    repository = await makeRepository(cluster.own, `${world.namespace}-app`);
    const work = join(world.folder, 'work');
    const files = join(work, 'examples/flux');
    await cp(`${checkout}examples`, join(work, 'examples'), { recursive: true });
    for (const name of await readdir(files)) {
      const text = await readFile(join(files, name), 'utf8');
      const here = text
        .replaceAll('namespace: default', `namespace: ${world.namespace}`)
        .replaceAll('/hooks/default/', `/hooks/${world.namespace}/`)
        .replaceAll('https://git.example.com/team/app.git', repository.url);
      await writeFile(join(files, name), here);
    }
    const env = { PATH: `${dirname(cluster.kubectl.file)}:${process.env.PATH}`, KUBECONFIG: cluster.kubeconfig };
    type = async (block) => {
      const text =
        block?.replaceAll('--namespace default', `--namespace ${world.namespace}`) ?? assert.fail('no block');
      const ran = await runProgram('bash', ['-ec', text], { env, cwd: work });
      assert.equal(ran.code, 0, `${text}\n${ran.stdout}${ran.stderr}`);
      return ran;
    };
    relay = await startFluxRelay();
    restore = await setFluxEvents(cluster, relay.address);
  });
  after(async () => {
    await restore?.();
    await relay?.close();
    await world?.end();
    await repository?.remove();
  });

  /** Does from now on what the Alerts and Providers of the namespace say; the Service that they name is rungate here. */
  const deliver = async (): Promise<void> => {
    const { admin, namespace } = world;
    const collection = (plural: string) =>
      `/apis/notification.toolkit.fluxcd.io/v1beta3/namespaces/${namespace}/${plural}`;
    const { items: alerts } = await admin.get<{ items: readonly AlertManifest[] }>(collection('alerts'));
    assert.equal(alerts.length, 1);
    for (const { spec } of alerts) {
      const provider = await admin.get<ProviderManifest>(`${collection('providers')}/${spec.providerRef.name}`);
      assert.equal(provider.spec.type, 'generic-hmac');
      const secret = await admin.get<{ metadata: object; data: { token: string } }>(
        `/api/v1/namespaces/${namespace}/secrets/${provider.spec.secretRef.name}`,
      );
      const { origin, pathname } = new URL(provider.spec.address);
      assert.equal(origin, 'http://rungate.tekton-pipelines.svc:8080');
      const address = `${world.gateway.url}${pathname}`;
      const token = Buffer.from(secret.data.token, 'base64');
      for (const { kind, name } of spec.eventSources)
        relay?.alert({ kind, name, namespace, provider: { ...world.provider('app'), address, token } });
    }
  };
  const hasRuns = (commits: readonly string[]) =>
    world.until(async () => {
      assert.deepEqual((await world.runs('app-')).map((run) => paramsOf(run).commit).sort(), [...commits].sort());
    });

  it('what is applied makes one run of each push, and the alert is what rings when no watch does', async () => {
    const first = await repository?.push({ 'README.md': 'one\n' });
    await type(setUp);
    await world.served('app');
    await deliver();
    await hasRuns([first ?? '']);
    await world.reached('app', `main@sha1:${first}`);

    world.faults.add({ on: on.watch('gitrepositories'), fault: { kind: 'stall', at: { bytes: 0 } } });
    world.faults.reset();
    const second = await repository?.push({ 'README.md': 'two\n' });
    // Once a minute is often for Flux and long for a test; `flux reconcile source git app` does the same.
    await world.admin.patch(`/apis/source.toolkit.fluxcd.io/v1/namespaces/${world.namespace}/gitrepositories/app`, {
      metadata: { annotations: { 'reconcile.fluxcd.io/requestedAt': new Date().toISOString() } },
    });
    await hasRuns([first ?? '', second ?? '']);
    await world.until(async () => {
      const delivered = relay?.sent.filter(({ came }) => came.isDelivered).map(({ event }) => event.metadata?.revision);
      assert.ok(delivered?.includes(`main@sha1:${second}`), delivered?.join());
    });
    assert.ok(
      relay?.sent.every(({ came }) => came.isDelivered),
      'every event is taken',
    );
  });

  it('kubectl shows the trigger and its runs', async () => {
    const { stdout } = await type(look);
    assert.match(stdout, /^app\s/m);
    for (const { metadata } of await world.runs('app-')) assert.match(stdout, new RegExp(`^${metadata.name}\\s`, 'm'));
  });
});
