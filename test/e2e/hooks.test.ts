/** Hooks of PipelineTriggers: an event of Flux is a bell, and what the object says then becomes a run. */
import assert from 'node:assert/strict';
import { eventually } from '../support/eventually.ts';
import { on } from '../support/fault-proxy.ts';
import { fluxEvent } from '../support/hook-events.ts';
import { type HookWorld, startHookWorld } from '../support/hooks.ts';
import { withLatestImage } from '../support/older-flux.ts';
import { commitOf, revisionOf } from '../support/shapes.ts';
import { paramsOf, Tally } from '../support/trigger-manifests.ts';

describe('hooks of PipelineTriggers', function () {
  this.timeout(300_000);
  let world: HookWorld;
  const tally = new Tally();
  const has = (trigger: string, runs: number) => tally.has(world, trigger, runs);

  before(async () => {
    world = await startHookWorld({ faults: true, namespaces: 2 });
    await world.pipeline('skips');
  });
  afterEach(() => see());
  after(() => world?.end());

  /** A trigger with a hook on a source of its name, which has had its run of the first revision. */
  const begin = async (name: string, wish?: Parameters<HookWorld['hook']>[1]) => {
    await world.repository(name, revisionOf(1));
    await world.hook(name, wish);
    await world.hasRuns(name, 1);
  };
  let isBlind = false;
  /** From now on no watch tells of sources. */
  const blind = () => {
    isBlind = true;
    world.faults.add({ on: on.watch('gitrepositories'), fault: { kind: 'stall', at: { bytes: 0 } } });
    world.faults.reset();
  };
  /** From now on watches do again: one that is silent is ended, and asked for anew. */
  const see = () => {
    if (!isBlind) return;
    isBlind = false;
    world.faults.lift();
    world.faults.reset();
  };
  const revisionsOf = async (trigger: string) => (await world.runsOf(trigger)).map((run) => paramsOf(run).rev).sort();
  const commits = (...numbers: number[]) => numbers.map(commitOf);
  const only = async (hook: string, event: Parameters<HookWorld['results']>[1]) => {
    const results = await world.results(hook, event);
    assert.deepEqual(
      results.map(({ trigger }) => trigger),
      [hook],
    );
    return results[0];
  };

  it('event 1: rings, and the revision that the object shows has its run, though no watch tells of it', async () => {
    await begin('rings');
    blind();
    await world.push('rings', revisionOf(2));
    const result = await only('rings', await world.event('rings', { revision: revisionOf(2) }));
    assert.equal(result?.outcome, 'pending');
    const runs = await has('rings', 2);
    assert.deepEqual(await revisionsOf('rings'), commits(1, 2));
    assert.ok(runs.every(({ metadata }) => metadata.annotations?.['pipeline.jquad.rocks/event-key'] !== undefined));
    await world.reached('rings', revisionOf(2));
  });

  it('event 2, 3: the same event again, and once more through another Alert, is the same run', async () => {
    await begin('again');
    await world.push('again', revisionOf(2));
    const event = await world.event('again', { revision: revisionOf(2) });
    await only('again', event);
    await world.hasRuns('again', 2);
    await only('again', event);
    await only('again', { ...event, metadata: { ...event.metadata, cluster: 'other', env: 'prod' } });
    await world.settled();
    await has('again', 2);
  });

  it('event 4: the watch first and the event later is one run', async () => {
    await begin('watched');
    await world.push('watched', revisionOf(2));
    await world.hasRuns('watched', 2);
    await only('watched', await world.event('watched', { revision: revisionOf(2) }));
    await world.settled();
    await has('watched', 2);
  });

  it('event 4: the event first and the watch later is one run', async () => {
    await begin('told');
    blind();
    await world.push('told', revisionOf(2));
    await only('told', await world.event('told', { revision: revisionOf(2) }));
    await world.hasRuns('told', 2);
    see();
    await world.settled();
    await has('told', 2);
  });

  it('event 4: two rungates are told at once, and there is one run', async () => {
    const other = await world.startGateway();
    await begin('raced');
    await world.served('raced', [other]);
    for (const number of [2, 3, 4]) {
      blind();
      await world.push('raced', revisionOf(number));
      const event = await world.event('raced', { revision: revisionOf(number) });
      await Promise.all([world.results('raced', event), world.results('raced', event, other)]);
      await world.hasRuns('raced', number);
      see();
    }
    await other.stop();
    await has('raced', 4);
  });

  it('event 4: a rungate that does not lead passes the bell on', async () => {
    const other = await world.startGateway();
    await begin('passed');
    await world.served('passed', [other]);
    const [led] = await Promise.all([world.gateway, other].map((each) => each.metric('rungate_leader')));
    const follower = led === 1 ? other : world.gateway;
    blind();
    await world.push('passed', revisionOf(2));
    const [result] = await world.results('passed', await world.event('passed', { revision: revisionOf(2) }), follower);
    assert.equal(result?.outcome, 'pending');
    await has('passed', 2);
    await other.stop();
  });

  it('event 5: what the object shows two seconds after the event is one run', async () => {
    await begin('late');
    blind();
    const result = await only('late', await world.event('late', { revision: revisionOf(2) }));
    assert.equal(result?.outcome, 'pending');
    await new Promise((resolve) => setTimeout(resolve, 2_000)); // Flux patches the status after it has sent the event
    await world.push('late', revisionOf(2));
    await has('late', 2);
    assert.deepEqual(await revisionsOf('late'), commits(1, 2));
  });

  it('event 6: what the object never shows is no run, and an Event says so', async () => {
    await begin('claimed');
    await only('claimed', await world.event('claimed', { revision: revisionOf(9) }));
    const told = await world.tells('PipelineTrigger', 'claimed', 'RevisionNotObserved');
    assert.equal(told.type, 'Warning');
    await has('claimed', 1);
  });

  it('event 12: an error is nothing to run', async () => {
    await begin('failing');
    const result = await only(
      'failing',
      await world.event('failing', { severity: 'error', reason: 'GitOperationFailed', message: 'failed to checkout' }),
    );
    assert.equal(result?.outcome, 'filtered');
    await world.settled();
    await has('failing', 1);
  });

  it('event 12: a trigger on failure runs for each failure that its source shows, and for nothing else', async () => {
    await world.repository('on-failure', revisionOf(1));
    await world.hook('on-failure', { hook: { on: 'Failure' }, params: { rev: 'failed' } });
    const path = `/apis/source.toolkit.fluxcd.io/v1/namespaces/${world.namespace}/gitrepositories/on-failure/status`;
    const show = async (status: 'True' | 'False', reason: string, at: string) => {
      const condition = {
        type: 'Ready',
        status,
        reason,
        message: reason,
        observedGeneration: 1,
        lastTransitionTime: at,
      };
      await world.admin.patch(path, { status: { conditions: [condition] } });
    };
    await world.settled();
    await world.hasRuns('on-failure', 0);
    for (const [runs, at] of [
      [1, '2026-01-01T00:00:00Z'],
      [2, '2026-01-01T01:00:00Z'],
    ] as const) {
      await show('False', 'GitOperationFailed', at);
      const failed = { severity: 'error', reason: 'GitOperationFailed', message: `failed to checkout at ${at}` };
      await only('on-failure', await world.event('on-failure', failed));
      await world.hasRuns('on-failure', runs);
      await show('True', 'Succeeded', at.replace('00Z', '30Z'));
      await only('on-failure', await world.event('on-failure', { revision: revisionOf(1), reason: 'Succeeded' }));
      await world.settled();
    }
    await has('on-failure', 2);
  });

  it('event 13: a recovery for a revision that has had its run is none', async () => {
    await begin('recovered');
    const event = await world.event('recovered', {
      revision: revisionOf(1),
      reason: 'Succeeded',
      message: `stored artifact for commit '${revisionOf(1)}'`,
    });
    const result = await only('recovered', event);
    assert.ok(['pending', 'duplicate'].includes(result?.outcome ?? ''), JSON.stringify(result));
    await world.settled();
    await has('recovered', 1);
  });

  it('event 14: an object of another namespace rings nothing', async () => {
    await begin('own');
    const elsewhere = fluxEvent({ namespace: world.namespaces[1] ?? '', name: 'own', revision: revisionOf(1) });
    const answer = await world.deliver('own', elsewhere);
    const denied = answer.status === 403 || answer.json<{ results: { outcome: string }[] }>().results[0]?.outcome;
    assert.ok(denied === true || denied === 'denied', answer.text);
    await world.settled();
    await has('own', 1);
  });

  it('event 14: an object that is not the source of the trigger rings nothing', async () => {
    await begin('named');
    await world.repository('unnamed', revisionOf(1));
    const result = await only('named', await world.event('unnamed', { revision: revisionOf(1) }));
    assert.ok(['denied', 'filtered'].includes(result?.outcome ?? ''), JSON.stringify(result));
    await world.settled();
    await has('named', 1);
  });

  it('event 15: an event about an object that was another one is stale', async () => {
    await begin('stale');
    const uid = '00000000-0000-4000-8000-000000000000';
    const result = await only('stale', await world.event('stale', { uid, revision: revisionOf(2) }));
    assert.equal(result?.outcome, 'stale');
    await world.settled();
    await has('stale', 1);
  });

  it('event 20: back to a revision that was there before is an event of its own', async () => {
    await begin('back');
    for (const [number, runs] of [
      [2, 2],
      [1, 3],
    ] as const) {
      await world.push('back', revisionOf(number));
      await only('back', await world.event('back', { revision: revisionOf(number) }));
      await world.hasRuns('back', runs);
    }
    await has('back', 3);
  });

  it('event 21: the same commit in the format of another Flux is no run', async () => {
    await world.repository('upgraded', `main/${commitOf(1)}`);
    await world.hook('upgraded');
    await world.hasRuns('upgraded', 1);
    await world.push('upgraded', revisionOf(1));
    await only('upgraded', await world.event('upgraded', { revision: revisionOf(1) }));
    await world.settled();
    await has('upgraded', 1);
  });

  it('event 22: an artifact that is gone for a while, and comes again as it was, is no run', async () => {
    await begin('rebuilt');
    const path = `/apis/source.toolkit.fluxcd.io/v1/namespaces/${world.namespace}/gitrepositories/rebuilt`;
    await world.admin.patch(`${path}/status`, { status: { artifact: null } });
    await world.settled();
    await world.push('rebuilt', revisionOf(1));
    await only('rebuilt', await world.event('rebuilt', { revision: revisionOf(1) }));
    await world.admin.patch(`${path}/status`, { status: { artifact: { lastUpdateTime: '2026-06-01T00:00:00Z' } } });
    await world.settled();
    await has('rebuilt', 1);
  });

  for (const [identity, runs] of [
    ['revision', 1],
    ['content', 2],
  ] as const) {
    it(`event 23: another digest of the same revision is ${runs - 1} runs with identity ${identity}`, async () => {
      const name = `by-${identity}`;
      await begin(name, { hook: { identity } });
      await world.push(name, revisionOf(1), `sha256:${'b'.repeat(64)}`);
      await only(name, await world.event(name, { revision: revisionOf(1) }));
      await world.settled();
      await has(name, runs);
    });
  }

  it('event 24: an event of an ImagePolicy says nothing, and the tag that the object has is one run', async () => {
    const image = (tag: string, digest?: string) =>
      world.image('podinfo', { latestRef: { name: 'docker.io/library/podinfo', tag, ...(digest ? { digest } : {}) } });
    await image('1.0.0');
    await world.hook('podinfo', {
      source: { kind: 'ImagePolicy', name: 'podinfo', apiVersion: 'image.toolkit.fluxcd.io/v1' },
      params: { name: '$.imageName', tag: '$.imageVersion' },
    });
    await world.hasRuns('podinfo', 1);
    await image('1.0.1');
    const message =
      'Latest image tag for docker.io/library/podinfo resolved to 1.0.1 (previously docker.io/library/podinfo:1.0.0)';
    await only('podinfo', await world.event('podinfo', { kind: 'ImagePolicy', reason: 'Succeeded', message }));
    const runs = await has('podinfo', 2);
    const tags = runs.map((run) => paramsOf(run).tag).sort();
    assert.deepEqual(tags, ['1.0.0', '1.0.1']);
  });

  it('event 25: an ImagePolicy of Flux 2.5 has its image in another field, which may be blank for a while', async function () {
    // The kind is the whole cluster's, and of a Flux that has no such field any more.
    if (world.ground === 'cluster') return void this.skip();
    await withLatestImage(world);
    const image = (latestImage: string) => world.image('older', { latestImage });
    await image('docker.io/library/older:1.0.0');
    await world.hook('older', {
      source: { kind: 'ImagePolicy', name: 'older', apiVersion: 'image.toolkit.fluxcd.io/v1beta2' },
      params: { tag: '$.imageVersion' },
    });
    await world.hasRuns('older', 1);
    const event = () =>
      world.event('older', {
        kind: 'ImagePolicy',
        reason: 'Succeeded',
        message: "Latest image tag for 'docker.io/library/older' resolved to 1.0.0",
      });
    await image('');
    await only('older', await event());
    await image('docker.io/library/older:1.0.0');
    await only('older', await event());
    await world.settled();
    await world.hasRuns('older', 1);
    await image('docker.io/library/older:1.0.1');
    await only('older', await event());
    await has('older', 2);
  });

  it('event 29: a body that is no event of Flux is refused', async () => {
    await begin('strict');
    const { status, text } = await world.deliver('strict', '{"ref":"refs/heads/main"}');
    assert.equal(status, 400, text);
    assert.match(text, /involvedObject/);
    await has('strict', 1);
  });

  it('event 36: a suspended trigger runs nothing, and then what is there', async () => {
    await begin('suspended');
    await world.change('suspended', { spec: { suspend: true } });
    await world.until(async () => {
      await world.push('suspended', revisionOf(2));
      const result = await only('suspended', await world.event('suspended', { revision: revisionOf(2) }));
      assert.equal(result?.outcome, 'filtered');
    });
    await world.push('suspended', revisionOf(3));
    await world.settled();
    await world.hasRuns('suspended', 1);
    await world.change('suspended', { spec: { suspend: false } });
    await has('suspended', 2);
    assert.deepEqual(await revisionsOf('suspended'), commits(1, 3));
  });

  it('event 36: a suspended source runs nothing, and then what is there', async () => {
    await begin('paused');
    const path = `/apis/source.toolkit.fluxcd.io/v1/namespaces/${world.namespace}/gitrepositories/paused`;
    await world.admin.patch(path, { spec: { suspend: true } });
    await world.push('paused', revisionOf(2));
    const result = await only('paused', await world.event('paused', { revision: revisionOf(2) }));
    assert.equal(result?.outcome, 'filtered');
    await world.settled();
    await world.hasRuns('paused', 1);
    await world.admin.patch(path, { spec: { suspend: false } });
    await world.push('paused', revisionOf(2)); // Flux observes the new generation
    await has('paused', 2);
  });

  it('event 37: what kustomize-controller says every minute of the same revision is no run of a source', async () => {
    await begin('applied');
    for (let minute = 0; minute < 5; minute++) {
      const event = await world.event('applied', {
        kind: 'Kustomization',
        revision: revisionOf(1),
        reason: 'ReconciliationSucceeded',
        message: `Reconciliation finished in ${440 + minute}ms, next run in 1m0s`,
        metadata: { commit_status: 'update' },
      });
      const result = await only('applied', event);
      assert.ok(['denied', 'filtered'].includes(result?.outcome ?? ''), JSON.stringify(result));
    }
    await world.settled();
    await has('applied', 1);
  });

  it('mode events: what a watch sees alone starts nothing, and an event does', async () => {
    await world.repository('events', revisionOf(1));
    await world.hook('events', { hook: { mode: 'events' } });
    await world.push('events', revisionOf(2));
    await world.settled();
    await world.hasRuns('events', 0);
    await only('events', await world.event('events', { revision: revisionOf(2) }));
    await has('events', 1);
    assert.deepEqual(await revisionsOf('events'), commits(2));
  });

  it('mode watch: an event starts nothing, and what the watch sees does', async () => {
    await begin('watch', { hook: { mode: 'watch' } });
    const result = await only('watch', await world.event('watch', { revision: revisionOf(1) }));
    assert.equal(result?.outcome, 'filtered');
    await world.push('watch', revisionOf(2));
    await has('watch', 2);
  });

  it('maxRunsPerHour: what is too much waits, and the condition says so', async () => {
    await begin('many', { hook: { maxRunsPerHour: 2 } });
    await world.push('many', revisionOf(2));
    await world.hasRuns('many', 2);
    await world.reached('many', revisionOf(2));
    await world.push('many', revisionOf(3));
    await only('many', await world.event('many', { revision: revisionOf(3) }));
    await world.until(async () => {
      const { conditions } = await world.status('many');
      assert.match(JSON.stringify(conditions), /hour/);
    });
    await has('many', 2);
  });

  it('trustEvents: an event about an object that is not here is a run, once, and in order', async () => {
    await world.hook('remote', { hook: { trustEvents: true } });
    const told = (number: number) =>
      fluxEvent({
        namespace: world.namespace,
        name: 'remote',
        revision: revisionOf(number),
        metadata: { cluster: 'edge' },
      });
    for (const number of [1, 2]) {
      const event = told(number);
      assert.equal((await only('remote', event))?.outcome, 'pending');
      await world.hasRuns('remote', number);
      await only('remote', event);
    }
    await world.settled();
    await has('remote', 2);
    assert.deepEqual(await revisionsOf('remote'), commits(1, 2));
  });

  it('what happened to each request can be read by those who may, and nobody else', async () => {
    await begin('shown');
    await world.push('shown', revisionOf(2));
    await only('shown', await world.event('shown', { revision: revisionOf(2), message: 'a message of Flux' }));
    const path = `/hooks/${world.namespace}/shown/deliveries`;
    await eventually(async () => {
      const { status, text } = await world.gateway.get(path);
      assert.equal(status, 200, text);
      assert.match(text, /pending/);
      assert.ok(!text.includes(world.token) && !/sha256=/.test(text), text);
    });
    assert.equal((await world.gateway.get(path, { as: 'none' })).status, 401);
    const log = world.gateway.log();
    assert.ok(!log.includes(world.token), 'no key in the log');
    await has('shown', 2);
  });

  it('and in the end no trigger has another run', () => tally.again(world));
});
