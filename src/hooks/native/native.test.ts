import assert from 'node:assert/strict';
import { Fault } from '../../fault.ts';
import type { JsonObject, ObjectRef } from '../../kube/objects.ts';
import { silentLog } from '../../log.ts';
import { type HookedTrigger, projectHookedTrigger } from '../../triggers/hooked.ts';
import type { FluxEvent } from '../fluxevent.ts';
import type { Hook } from '../hook.ts';
import type { SourceCheck } from '../listeners/world.ts';
import type { HookRequest, JsonMap } from '../request.ts';
import { nativeBook } from './native.ts';

const ref = { namespace: 'apps', name: 'build' };
const A = `main@sha1:${'a'.repeat(40)}`;
const B = `main@sha1:${'b'.repeat(40)}`;
const AT = Date.parse('2026-11-01T10:00:00Z');

/** An event about GitRepository `apps/web` at revision B, with `more` in it. */
const body = (more: JsonMap = {}): JsonMap => ({
  involvedObject: {
    apiVersion: 'source.toolkit.fluxcd.io/v1',
    kind: 'GitRepository',
    namespace: 'apps',
    name: 'web',
    uid: 'u',
  },
  severity: 'info',
  timestamp: '2026-11-01T10:00:00Z',
  message: 'stored artifact',
  reason: 'NewArtifact',
  metadata: { revision: B },
  reportingController: 'source-controller',
  ...more,
});
const about = (object: JsonMap): JsonMap => ({ involvedObject: { ...(body().involvedObject as JsonMap), ...object } });
const failure = { severity: 'error', reason: 'GitOperationFailed', metadata: {} };

const same = (revision: string): SourceCheck => ({
  found: 'same',
  groupKind: 'source.toolkit.fluxcd.io/GitRepository',
  uid: 'u',
  revision,
  digest: undefined,
});

/** One hook, and everything that it did. */
class Rig {
  /** What the source says of an event, now and later. */
  check: SourceCheck | Fault = same(B);
  later: ((check: SourceCheck) => void) | undefined;
  readonly checked: FluxEvent[] = [];
  /** `rang`, `told` and `stored` with what, in order; `leader` where the controller in this process was rung. */
  readonly did: string[] = [];
  readonly warned: string[] = [];
  leads = true;
  writes: Fault | undefined;
  full = false;
  trigger: HookedTrigger | 'waiting' | undefined;

  constructor(hook: JsonObject | undefined = { secretRef: { name: 'key' } }, spec: JsonObject = {}) {
    this.trigger = projectHookedTrigger({
      metadata: { ...ref, uid: 't' },
      spec: {
        source: { kind: 'GitRepository', name: 'web' },
        pipeline: { name: 'build' },
        ...(hook === undefined ? {} : { hook }),
        ...spec,
      },
    });
  }

  find() {
    const write = (what: string) => {
      if (this.writes !== undefined) throw this.writes;
      this.did.push(what);
    };
    return nativeBook({
      triggers: { find: () => this.trigger },
      controller: {
        ring: (trigger: ObjectRef) => {
          if (this.leads) this.did.push(`leader ${trigger.name}`);
          return this.leads;
        },
      },
      sources: {
        check: async (event) => {
          this.checked.push(event);
          if (this.check instanceof Fault) throw this.check;
          return this.check;
        },
        lookOn: (_event, then) => {
          this.later = then;
        },
      },
      notes: {
        ring: async (_trigger, what) => write(`rang ${what}`),
        tell: async (_trigger, revision) => write(`told ${revision}`),
        store: async (_trigger, { cluster, revision, reason }) => {
          if (this.full) return 'full';
          write(`stored ${cluster}/${revision ?? reason}`);
          return 'the-key';
        },
      },
      events: { tell: (_about, { reason }) => void this.warned.push(reason) },
      log: silentLog,
    }).find(ref);
  }

  async receive(posted: JsonMap = body()) {
    const hook = this.find() as Hook;
    const request: HookRequest = {
      hook: ref,
      identity: 'i',
      headers: new Map(),
      raw: Buffer.alloc(0),
      body: posted,
      url: '/hooks/apps/build',
      arrivedAt: AT,
    };
    const [result, ...more] = await hook.receive(request, new AbortController().signal);
    assert.deepEqual([result?.trigger, more], ['build', []]);
    return [result?.outcome, result?.reason];
  }
}

describe('hooks of PipelineTriggers', () => {
  it('are there for triggers with spec.hook, opened by their Secret', () => {
    const hook = new Rig().find() as Hook;
    assert.deepEqual(
      [hook.kind, hook.ref, hook.uid, hook.secret, hook.wantsFluxEvent],
      ['PipelineTrigger', ref, 't', 'key', true],
    );
    assert.equal((new Rig({}).find() as Hook).secret, undefined);
    const without = new Rig();
    without.trigger = projectHookedTrigger({ metadata: ref, spec: { source: { kind: 'GitRepository', name: 'web' } } });
    assert.equal(without.find(), undefined);
    without.trigger = undefined;
    assert.equal(without.find(), undefined);
    without.trigger = 'waiting';
    assert.equal(without.find(), 'waiting');
    assert.equal(new Rig({ mode: 'sometimes' }).find(), undefined, 'nobody knows what a wrong one would be');
  });

  const refused: readonly (readonly [
    title: string,
    hook: JsonObject,
    more: JsonMap,
    outcome: string,
    reason: string,
    spec?: JsonObject,
  ])[] = [
    ['event 14: of another namespace', {}, about({ namespace: 'other' }), 'denied', 'NamespaceNotAllowed'],
    ['event 14: of another name', {}, about({ name: 'other' }), 'filtered', 'SourceNotNamed'],
    ['event 37: of a Kustomization', {}, about({ kind: 'Kustomization' }), 'filtered', 'SourceNotNamed'],
    ['of a kind of another group', {}, about({ apiVersion: 'example.org/v1' }), 'filtered', 'SourceNotNamed'],
    ['event 12: of an error', {}, failure, 'filtered', 'NoRevision'],
    ['of an error that names a revision', {}, { severity: 'error' }, 'filtered', 'NoSuccess'],
    ['of a success, on failure', { on: 'Failure' }, {}, 'filtered', 'NoFailure'],
    ['event 36: while the trigger is suspended', {}, {}, 'filtered', 'Suspended', { suspend: true }],
    ['where only the watch counts', { mode: 'watch' }, {}, 'filtered', 'WatchedOnly'],
  ];
  for (const [title, hook, more, outcome, reason, spec = {}] of refused) {
    it(`${title}: ${outcome}, and nothing is looked at`, async () => {
      const rig = new Rig(hook, spec);
      assert.deepEqual(await rig.receive(body(more)), [outcome, reason]);
      assert.deepEqual([rig.did, rig.checked], [[], []]);
    });
  }

  const found: readonly (readonly [title: string, check: SourceCheck, outcome: string, reason: string])[] = [
    ['a source that is not there', { found: 'missing' }, 'denied', 'SourceNotFound'],
    ['event 15: a source that is another one', { found: 'replaced' }, 'stale', 'SourceReplaced'],
    ['event 36: a source that is suspended', { found: 'suspended' }, 'filtered', 'SourceSuspended'],
    ['a source that may not be read', { found: 'unreadable', message: 'no' }, 'denied', 'SourceUnreadable'],
  ];
  for (const [title, check, outcome, reason] of found) {
    for (const [hook, posted] of [
      [{}, body()],
      [{ on: 'Failure' }, body(failure)],
    ] as const) {
      it(`${title}: ${outcome} (on ${hook.on ?? 'Success'})`, async () => {
        const rig = new Rig(hook);
        rig.check = check;
        assert.deepEqual(await rig.receive(posted), [outcome, reason]);
        assert.deepEqual(rig.did, []);
      });
    }
  }

  it('event 4: what the source shows rings here, or for the replica that leads', async () => {
    const rig = new Rig();
    assert.deepEqual(await rig.receive(), ['pending', undefined]);
    rig.leads = false;
    assert.deepEqual(await rig.receive(), ['pending', undefined]);
    assert.deepEqual(rig.did, ['leader build', `rang ${B}`]);
  });

  it('event 5: what it does not show yet is pending, and rings when it does', async () => {
    const rig = new Rig();
    rig.check = { found: 'not-yet' };
    assert.deepEqual(await rig.receive(), ['pending', undefined]);
    assert.deepEqual(rig.did, []);
    rig.later?.(same(B));
    await new Promise(setImmediate);
    assert.deepEqual(rig.did, ['leader build']);
  });

  it('event 6: what it never shows is told of in a Warning', async () => {
    const rig = new Rig();
    rig.check = { found: 'not-yet' };
    await rig.receive();
    rig.later?.({ found: 'not-yet' });
    assert.deepEqual([rig.warned, rig.did], [['RevisionNotObserved'], []]);
  });

  it('an event that names no revision rings all the same, unless it has to be written down', async () => {
    const rig = new Rig();
    rig.check = { found: 'no-revision' };
    assert.deepEqual(await rig.receive(body({ metadata: {} })), ['pending', undefined]);
    assert.deepEqual(rig.did, ['leader build']);
    const written = new Rig({ mode: 'events' });
    written.check = { found: 'no-revision' };
    assert.deepEqual(await written.receive(body({ metadata: {} })), ['filtered', 'NoRevision']);
  });

  it('with mode: events the revision is written down first, though the source does not show it yet', async () => {
    const rig = new Rig({ mode: 'events' });
    rig.check = same(A);
    await rig.receive();
    rig.check = { found: 'not-yet' };
    await rig.receive();
    rig.later?.(same(A));
    await new Promise(setImmediate);
    assert.deepEqual(rig.did, [`told ${A}`, 'leader build', `told ${B}`, 'leader build', `told ${A}`, 'leader build']);
  });

  it('event 17: where the API server is away it is not answered as if it were taken', async () => {
    for (const [hook, leads] of [
      [{ mode: 'events' }, true],
      [{ trustEvents: true }, true],
      [{}, false],
    ] as const) {
      const rig = new Rig(hook);
      rig.leads = leads;
      rig.writes = new Fault('unavailable', 'away');
      await assert.rejects(rig.receive(), { code: 'unavailable' });
    }
    const blind = new Rig();
    blind.check = new Fault('timeout', 'no answer');
    await assert.rejects(blind.receive(), { code: 'timeout' });
  });

  it('without the right to write, what has to be written is for the sender to send again, and a bell is for the watch', async () => {
    const cases: readonly (readonly [JsonObject, string])[] = [
      [{ mode: 'events' }, 'unavailable'],
      [{ trustEvents: true }, 'unavailable'],
      [{}, 'pending'],
    ];
    for (const [hook, outcome] of cases) {
      const rig = new Rig(hook);
      rig.leads = false;
      rig.writes = new Fault('refused', 'no');
      const [came] = await rig.receive();
      assert.equal(came, outcome, JSON.stringify(hook));
    }
  });

  it('on: Failure writes down when, and asks only whether the object is there', async () => {
    const rig = new Rig({ on: 'Failure', mode: 'events' });
    rig.check = { found: 'not-yet' };
    assert.deepEqual(await rig.receive(body(failure)), ['pending', undefined]);
    assert.deepEqual(rig.did, ['told failure@2026-11-01T10:00:00.000Z', 'leader build']);
    assert.deepEqual([rig.later, rig.checked[0]?.severity], [undefined, 'info']);
  });

  it('an event about a PullRequest is a bell and no more', async () => {
    const rig = new Rig({}, { source: { kind: 'PullRequest', name: 'web' } });
    const posted = about({ kind: 'PullRequest', apiVersion: 'pipeline.jquad.rocks/v1alpha1' });
    assert.deepEqual(await rig.receive(body(posted)), ['pending', undefined]);
    assert.deepEqual([rig.did, rig.checked], [['leader build'], []]);
  });

  describe('that believe their events', () => {
    it('store them, look at nothing here, and ring', async () => {
      const rig = new Rig({ trustEvents: true });
      const posted = body({ metadata: { revision: B, cluster: 'edge' } });
      assert.deepEqual(await rig.receive(posted), ['pending', undefined]);
      rig.leads = false;
      await rig.receive(posted);
      assert.deepEqual(rig.did, [`stored edge/${B}`, 'leader build', `stored edge/${B}`, 'rang the-key']);
      assert.deepEqual(rig.checked, []);
    });

    it('take none without a revision, nor one from a cluster of no name, nor more than may wait', async () => {
      const rig = new Rig({ trustEvents: true });
      assert.deepEqual(await rig.receive(body({ metadata: {} })), ['filtered', 'NoRevision']);
      const named = body({ metadata: { revision: B, cluster: 'a b' } });
      assert.deepEqual(await rig.receive(named), ['denied', 'ClusterNotNamed']);
      rig.full = true;
      assert.deepEqual(await rig.receive(), ['unavailable', 'TooManyEvents']);
      assert.deepEqual(rig.did, []);
    });

    it('event 14: take those of their own namespace alone', async () => {
      const rig = new Rig({ trustEvents: true });
      assert.deepEqual(await rig.receive(body(about({ namespace: 'other' }))), ['denied', 'NamespaceNotAllowed']);
    });

    it('store failures where they run for those', async () => {
      const rig = new Rig({ trustEvents: true, on: 'Failure' });
      assert.deepEqual(await rig.receive(body(failure)), ['pending', undefined]);
      assert.deepEqual(rig.did, ['stored /GitOperationFailed', 'leader build']);
    });
  });
});
