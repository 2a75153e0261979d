/**
 * A real source-controller tells of real pushes: through a relay that does what notification-controller does, and straight, as
 * nobody should but as its events come when somebody does.
 */
import assert from 'node:assert/strict';
import { connect, type OwnCluster } from '../cluster/cluster.ts';
import { type Restore, setFluxEvents } from '../cluster/knobs.ts';
import { makeRepository, type Repository } from '../cluster/repository.ts';
import { on } from '../support/fault-proxy.ts';
import { type FluxRelay, startFluxRelay } from '../support/hook-relay.ts';
import { type HookWorld, startHookWorld } from '../support/hooks.ts';
import { clusterSuite } from '../support/needs.ts';
import { paramsOf } from '../support/trigger-manifests.ts';

clusterSuite('hooks behind a real Flux', { flux: true, knobs: true, triggers: true }, () => {
  let world: HookWorld;
  let own: OwnCluster;
  let relay: FluxRelay;
  let restore: Restore | undefined;
  const repositories: Repository[] = [];

  before(async () => {
    const cluster = await connect();
    assert.ok(cluster.own);
    own = cluster.own;
    world = await startHookWorld({
      faults: true,
      env: { TEKTON_TRIGGERS_COMPAT: 'true', ALLOW_UNAUTHENTICATED_HOOKS: 'true' },
    });
    await world.pipeline('skips');
    relay = await startFluxRelay();
    restore = await setFluxEvents(cluster, relay.address);
  });
  after(async () => {
    await restore?.();
    await relay?.close();
    await world?.end();
    for (const repository of repositories) await repository.remove();
  });
  afterEach(() => {
    world?.faults.lift();
    world?.faults.reset();
  });

  /** A git repository with one commit, and a GitRepository of that name which follows it. */
  const follow = async (name: string): Promise<{ readonly repository: Repository; readonly first: string }> => {
    const repository = await makeRepository(own, `${world.namespace}-${name}`);
    repositories.push(repository);
    const first = await repository.push({ 'README.md': 'one\n' }, 'the first commit');
    await world.apply({
      apiVersion: 'source.toolkit.fluxcd.io/v1',
      kind: 'GitRepository',
      metadata: { name },
      spec: { url: repository.url, ref: { branch: 'main' }, interval: '1s' },
    });
    return { repository, first };
  };
  const alert = (name: string, hook: string) =>
    relay.alert({ kind: 'GitRepository', namespace: world.namespace, name, provider: world.provider(hook) });
  /** Waits until the runs of a listener are of these commits, one each. */
  const hasRuns = (prefix: string, commits: readonly string[]) =>
    world.until(async () => {
      const made = (await world.runs(prefix)).map((run) => String(paramsOf(run).rev).split(':')[1]);
      assert.deepEqual(made.sort(), [...commits].sort());
    });

  it('event 1, 5: every push becomes one run of a listener, though Flux tells of it before the object shows it', async () => {
    alert('told', 'told');
    await world.listen('told');
    const { repository, first } = await follow('told');
    const commits = [first];
    await hasRuns('told-', commits);
    for (const content of ['two\n', 'three\n']) {
      commits.push(await repository.push({ 'README.md': content }, `a title, "quoted" <and> & $(tt.params.rev)`));
      await hasRuns('told-', commits);
    }
    // A fetch that fails once for want of time is told as an error, without a revision.
    const events = relay.received.filter(
      ({ involvedObject, severity }) => involvedObject.namespace === world.namespace && severity === 'info',
    );
    assert.ok(
      events.length > 0 &&
        events.every(({ metadata }) => metadata?.['source.toolkit.fluxcd.io/revision'] !== undefined),
    );
    await world.until(async () => {
      const came = relay.sent.filter(({ event }) => event.involvedObject.name === 'told' && event.severity === 'info');
      // Flux tells again of what it could not write into the status.
      const revisions = came
        .filter(({ came: { isDelivered } }) => isDelivered)
        .map(({ event }) => event.metadata?.revision);
      assert.deepEqual([...new Set(revisions)].sort(), commits.map((commit) => `main@sha1:${commit}`).sort());
      assert.ok(came.every(({ event }) => event.metadata?.digest === undefined));
    });
  });

  it('event 1: every push rings for a trigger that no watch tells of it', async () => {
    alert('rung', 'rung');
    const { repository, first } = await follow('rung');
    await world.hook('rung');
    await world.reached('rung', `main@sha1:${first}`);
    world.faults.add({ on: on.watch('gitrepositories'), fault: { kind: 'stall', at: { bytes: 0 } } });
    world.faults.reset();
    const second = await repository.push({ 'README.md': 'two\n' });
    await world.reached('rung', `main@sha1:${second}`);
    assert.equal((await world.runsOf('rung')).length, 2);
  });

  it('event 3: two Alerts on one hook are one run', async () => {
    alert('twice', 'twice');
    alert('*', 'twice');
    await world.listen('twice', { triggers: [{ name: 'twice', filter: "body.involvedObject.name == 'twice'" }] });
    const { first } = await follow('twice');
    await world.until(async () => {
      const came = relay.sent.filter(({ event }) => event.involvedObject.name === 'twice');
      assert.ok(came.length >= 2 && came.every(({ came: { isDelivered } }) => isDelivered));
    });
    await hasRuns('twice-', [first]);
  });

  it('event 12: what cannot be fetched is told, and is no run', async () => {
    alert('broken', 'broken');
    await world.listen('broken', { triggers: [{ name: 'broken', bindings: { rev: '$(body.message)' } }] });
    await world.apply({
      apiVersion: 'source.toolkit.fluxcd.io/v1',
      kind: 'GitRepository',
      metadata: { name: 'broken' },
      spec: { url: `${own.gitUrl}/not-there-${world.namespace}.git`, interval: '1m' },
    });
    await world.until(async () => {
      const came = relay.sent.find(({ event }) => event.involvedObject.name === 'broken');
      assert.equal(came?.event.severity, 'error');
      assert.equal(came.came.last?.json<{ results: { outcome: string }[] }>().results[0]?.outcome, 'filtered');
    });
    await hasRuns('broken-', []);
  });

  it('event 1: events that come straight from source-controller, with their prefixes and unsigned, become runs', async () => {
    const cluster = await connect();
    await world.listen('straight', {
      secret: undefined,
      triggers: [{ name: 'straight', bindings: { rev: '$(body.metadata.source\\.toolkit\\.fluxcd\\.io/revision)' } }],
    });
    await restore?.();
    restore = await setFluxEvents(cluster, world.provider('straight').address);
    const { repository, first } = await follow('straight');
    await hasRuns('straight-', [first]);
    const second = await repository.push({ 'README.md': 'two\n' });
    await hasRuns('straight-', [first, second]);
  });
});
