import assert from 'node:assert/strict';
import { HandClock } from '../../test/support/hand-clock.ts';
import { Fault, faultOf } from '../fault.ts';
import type { Discovery } from '../kube/discovery.ts';
import type { JsonObject } from '../kube/objects.ts';
import { type Log, silentLog } from '../log.ts';
import { silentMetrics } from '../metrics.ts';
import type { FluxEvent } from './fluxevent.ts';
import type { SourceCheck } from './listeners/world.ts';
import { createSources, type Sources } from './sources.ts';

const SOURCES = 'source.toolkit.fluxcd.io';
const AAAA = `main@sha1:${'a'.repeat(40)}`;
const BBBB = `main@sha1:${'b'.repeat(40)}`;
const CCCC = `main@sha1:${'c'.repeat(40)}`;
const REPOSITORY = '/apis/source.toolkit.fluxcd.io/v1/namespaces/apps/gitrepositories/web';
const POLICY = '/apis/image.toolkit.fluxcd.io/v1/namespaces/apps/imagepolicies/web';

/** An event about the GitRepository `apps/web`, unless told. */
function eventOf(
  revision: string | undefined,
  more: { readonly involvedObject?: Partial<FluxEvent['involvedObject']> } & Partial<
    Omit<FluxEvent, 'involvedObject'>
  > = {},
): FluxEvent {
  const { involvedObject, ...fields } = more;
  const object = { group: SOURCES, kind: 'GitRepository', namespace: 'apps', name: 'web', uid: 'u', ...involvedObject };
  return {
    severity: 'info',
    timestamp: undefined,
    message: 'stored artifact',
    reason: 'NewArtifact',
    metadata: new Map(revision === undefined ? [] : [['revision', revision]]),
    reportingController: 'source-controller',
    ...fields,
    involvedObject: object,
  };
}

function repository(revision: string, more: { uid?: string; generation?: number; suspend?: boolean } = {}): JsonObject {
  const { uid = 'u', generation = 1, suspend = false } = more;
  return {
    metadata: { uid, generation },
    spec: { suspend },
    status: { observedGeneration: 1, artifact: { revision, digest: 'sha256:d' } },
  };
}

const policy = (tag: string, digest?: string): JsonObject => ({
  metadata: { uid: 'p', generation: 1 },
  status: { observedGeneration: 1, latestRef: { name: 'reg/web', tag, ...(digest === undefined ? {} : { digest }) } },
});
const aboutPolicy = { group: 'image.toolkit.fluxcd.io', kind: 'ImagePolicy', uid: 'p' };

const sameRepository = (revision: string): SourceCheck => ({
  found: 'same',
  groupKind: `${SOURCES}/GitRepository`,
  uid: 'u',
  revision,
  digest: 'sha256:d',
});

describe('the sources of events', () => {
  let clock: HandClock;
  let sources: Sources;
  /** What is there, by path: an object, or why it cannot be had. Absent: 404. */
  let there: Map<string, JsonObject | Fault>;
  /** The version that is served, by group; `v1` unless told, undefined for none. */
  let served: Map<string, string | undefined>;
  let asked: string[];
  let doubted: string[];
  let warned: string[];

  beforeEach(() => {
    clock = new HandClock();
    [there, served, asked, doubted, warned] = [new Map(), new Map(), [], [], []];
    const versions: Discovery = {
      async pathOf({ group, resource, versions: wanted }, namespace) {
        const version = served.has(group) ? served.get(group) : 'v1';
        if (version === undefined || !wanted.includes(version)) return undefined;
        return `/apis/${group}/${version}/namespaces/${namespace}/${resource}`;
      },
      doubt: (group) => void doubted.push(group),
    };
    const reader = {
      async get(path: string, { signal }: { signal?: AbortSignal } = {}) {
        asked.push(path);
        signal?.throwIfAborted();
        const found = there.get(path) ?? new Fault('not-found', 'Kubernetes has no such object (404)');
        if (found instanceof Fault) throw found;
        return found;
      },
    };
    const log: Log = { ...silentLog, warn: (message) => void warned.push(message) };
    sources = createSources({ reader, versions, clock, log, metrics: silentMetrics });
  });
  afterEach(async () => {
    await sources.stop(AbortSignal.abort());
    assert.equal(clock.sleeping, 0);
  });

  const check = async (event: FluxEvent): Promise<SourceCheck> => {
    const checked = sources.check(event, new AbortController().signal);
    checked.catch(() => {});
    await clock.turn(250);
    return checked;
  };

  describe('checks', () => {
    const table: readonly { name: string; there?: JsonObject | Fault; event: FluxEvent; want: SourceCheck }[] = [
      {
        name: 'event 1: an object that shows what the event says',
        there: repository(BBBB),
        event: eventOf(BBBB),
        want: sameRepository(BBBB),
      },
      {
        name: 'event 5: an object that does not show it yet',
        there: repository(AAAA),
        event: eventOf(BBBB),
        want: { found: 'not-yet' },
      },
      {
        name: 'event 12: an event that says nothing of a revision',
        there: repository(AAAA),
        event: eventOf(undefined, { severity: 'error', reason: 'GitOperationFailed' }),
        want: { found: 'no-revision' },
      },
      {
        name: 'event 15: an object of that name that is another one',
        there: repository(BBBB, { uid: 'other' }),
        event: eventOf(BBBB),
        want: { found: 'replaced' },
      },
      {
        name: 'event 21: an object in the old format and an event in the new one',
        there: repository(`main/${'b'.repeat(40)}`),
        event: eventOf(BBBB),
        want: sameRepository(BBBB),
      },
      {
        name: 'event 22: an object without an artifact',
        there: { metadata: { uid: 'u' }, status: { artifact: null } },
        event: eventOf(BBBB),
        want: { found: 'not-yet' },
      },
      {
        name: 'event 36: an object that is suspended',
        there: repository(BBBB, { suspend: true }),
        event: eventOf(BBBB),
        want: { found: 'suspended' },
      },
      {
        name: 'an event without a uid',
        there: repository(BBBB),
        event: eventOf(BBBB, { involvedObject: { uid: undefined } }),
        want: sameRepository(BBBB),
      },
      {
        name: 'an object whose spec was changed since',
        there: repository(BBBB, { generation: 2 }),
        event: eventOf(BBBB),
        want: { found: 'not-yet' },
      },
      { name: 'no object', event: eventOf(BBBB), want: { found: 'missing' } },
      {
        name: 'a name that would be another path',
        there: repository(BBBB),
        event: eventOf(BBBB, { involvedObject: { name: '../web' } }),
        want: { found: 'missing' },
      },
      {
        name: 'an object that may not be read',
        there: new Fault('refused', 'Kubernetes refused the request (403)'),
        event: eventOf(BBBB),
        want: {
          found: 'unreadable',
          message: 'gitrepositories.source.toolkit.fluxcd.io cannot be read: Kubernetes refused the request (403)',
        },
      },
      {
        name: 'a kind that is none of ours',
        event: eventOf(BBBB, { involvedObject: { group: '', kind: 'Secret' } }),
        want: { found: 'unreadable', message: 'rungate reads no Secret of group ""' },
      },
    ];
    for (const { name, there: object, event, want } of table) {
      it(name, async () => {
        if (object !== undefined) there.set(REPOSITORY, object);
        assert.deepEqual(await check(event), want);
      });
    }

    it('event 12: an event that says nothing costs no look', async () => {
      await check(eventOf(undefined));
      assert.deepEqual(asked, []);
    });

    it('event 24: an image whose event says nothing is what the policy shows a moment later', async () => {
      there.set(POLICY, policy('1.0.0'));
      const checked = sources.check(
        eventOf(undefined, { involvedObject: aboutPolicy, message: '' }),
        new AbortController().signal,
      );
      await clock.turn(100);
      there.set(POLICY, policy('1.0.1'));
      await clock.turn(150);
      const { found, ...shown } = await checked;
      assert.equal(found, 'same');
      assert.deepEqual(shown, {
        groupKind: 'image.toolkit.fluxcd.io/ImagePolicy',
        uid: 'p',
        revision: 'reg/web:1.0.1',
        digest: undefined,
      });
    });

    it('event 24: an image that an event names without its digest is the one that the policy shows', async () => {
      there.set(POLICY, policy('1.0.1', `sha256:${'d'.repeat(64)}`));
      const says = (tag: string) =>
        eventOf(undefined, {
          involvedObject: aboutPolicy,
          message: `Latest image tag for reg/web resolved to ${tag} (previously reg/web:1.0.0)`,
        });
      assert.equal((await check(says('1.0.1'))).found, 'same');
      assert.equal((await check(says('1.0'))).found, 'not-yet');
    });

    it('a failure of an image tells of nothing', async () => {
      there.set(POLICY, policy('1.0.0'));
      const event = eventOf(undefined, { involvedObject: aboutPolicy, severity: 'error', message: 'no such tag' });
      assert.equal((await check(event)).found, 'no-revision');
    });

    it('an object is found in whichever version is served, whatever the event says', async () => {
      served.set(SOURCES, 'v1beta2');
      there.set(REPOSITORY.replace('/v1/', '/v1beta2/'), repository(BBBB));
      assert.equal((await check(eventOf(BBBB))).found, 'same');
    });

    it('a version that went away is looked for again', async () => {
      served.set(SOURCES, 'v1beta2');
      const checked = sources.check(eventOf(BBBB), new AbortController().signal);
      served.set(SOURCES, 'v1');
      there.set(REPOSITORY, repository(BBBB));
      assert.equal((await checked).found, 'same');
      assert.deepEqual(doubted, [SOURCES]);
    });

    it('event 26: a kind that is not there is unreadable, and found when it comes', async () => {
      served.set(SOURCES, undefined);
      assert.deepEqual(await check(eventOf(BBBB)), {
        found: 'unreadable',
        message: 'this cluster serves no gitrepositories.source.toolkit.fluxcd.io',
      });
      assert.deepEqual(doubted, [SOURCES]);
      served.delete(SOURCES);
      there.set(REPOSITORY, repository(BBBB));
      assert.equal((await check(eventOf(BBBB))).found, 'same');
    });

    it('events about objects that are missing do not ask again and again what is served', async () => {
      for (let count = 0; count < 20; count++) await check(eventOf(BBBB));
      assert.deepEqual(doubted, [SOURCES]);
      await clock.turn(30_000);
      await check(eventOf(BBBB));
      assert.deepEqual(doubted, [SOURCES, SOURCES]);
    });

    it('an API server that is away is no answer', async () => {
      for (const code of ['unavailable', 'timeout'] as const) {
        there.set(REPOSITORY, new Fault(code, 'away'));
        await assert.rejects(check(eventOf(BBBB)), (error) => faultOf(error).code === code);
      }
    });

    it('rejects with the reason of its signal', async () => {
      there.set(REPOSITORY, repository(BBBB));
      const gone = new Error('the caller went away');
      await assert.rejects(sources.check(eventOf(BBBB), AbortSignal.abort(gone)), gone);
      there.set(POLICY, policy('1'));
      const going = new AbortController();
      const checked = sources.check(eventOf(undefined, { involvedObject: aboutPolicy, message: '' }), going.signal);
      const rejected = assert.rejects(checked, gone);
      await clock.settle();
      going.abort(gone);
      await rejected;
    });
  });

  describe('looks on', () => {
    /** Checks, looks on, and gathers what that comes to. */
    const follow = async (event: FluxEvent): Promise<SourceCheck[]> => {
      assert.equal((await check(event)).found, 'not-yet');
      asked.length = 0;
      const came: SourceCheck[] = [];
      sources.lookOn(event, (found) => void came.push(found));
      assert.deepEqual(came, []);
      return came;
    };

    it('event 5: until the object shows what the event says, and tells that once', async () => {
      there.set(REPOSITORY, repository(AAAA));
      const came = await follow(eventOf(BBBB));
      await clock.turn(2_000);
      assert.deepEqual(came, []);
      there.set(REPOSITORY, repository(BBBB));
      await clock.turn(2_000);
      assert.deepEqual(came, [sameRepository(BBBB)]);
      await clock.turn(60_000);
      assert.equal(came.length, 1);
    });

    it('event 6: for fifteen seconds, after which it was never shown', async () => {
      there.set(REPOSITORY, repository(AAAA));
      const came = await follow(eventOf(CCCC));
      const looks: number[] = [];
      for (let ms = 0; ms < 20_000; ms += 250) {
        await clock.turn(250);
        if (asked.splice(0).length > 0) looks.push(ms + 250);
      }
      assert.deepEqual(looks, [250, 500, 1_000, 2_000, 4_000, 8_000, 15_000]);
      assert.deepEqual(came, [{ found: 'not-yet' }]);
    });

    it('event 5: an object that moves on to something else is that', async () => {
      there.set(REPOSITORY, repository(AAAA));
      const came = await follow(eventOf(BBBB));
      await clock.turn(250);
      there.set(REPOSITORY, repository(CCCC));
      await clock.turn(1_000);
      assert.deepEqual(came, [sameRepository(CCCC)]);
    });

    it('what it moved on to between the event and the first look counts as well', async () => {
      there.set(REPOSITORY, repository(AAAA));
      const event = eventOf(BBBB);
      const came = await follow(event);
      there.set(REPOSITORY, repository(CCCC));
      await clock.turn(15_000);
      assert.deepEqual(came, [sameRepository(CCCC)]);
    });

    it('event 22: an artifact that was away and comes back as it was is nothing new', async () => {
      there.set(REPOSITORY, repository(AAAA));
      const came = await follow(eventOf(BBBB));
      there.set(REPOSITORY, { metadata: { uid: 'u' }, status: { artifact: null } });
      await clock.turn(1_000);
      there.set(REPOSITORY, repository(AAAA));
      await clock.turn(15_000);
      assert.deepEqual(came, [{ found: 'not-yet' }]);
    });

    it('a spec that was changed meanwhile: what the one before led to is not taken', async () => {
      there.set(REPOSITORY, repository(AAAA));
      const came = await follow(eventOf(BBBB));
      there.set(REPOSITORY, repository(CCCC, { generation: 2 }));
      await clock.turn(15_000);
      assert.deepEqual(came, [{ found: 'not-yet' }]);
    });

    for (const [name, object, want] of [
      ['event 15: is replaced', repository(BBBB, { uid: 'other' }), { found: 'replaced' }],
      ['event 36: is suspended', repository(BBBB, { suspend: true }), { found: 'suspended' }],
      ['goes', undefined, { found: 'missing' }],
    ] as const) {
      it(`${name}: that is the end of it`, async () => {
        there.set(REPOSITORY, repository(AAAA));
        const came = await follow(eventOf(BBBB));
        if (object === undefined) there.delete(REPOSITORY);
        else there.set(REPOSITORY, object);
        await clock.turn(250);
        assert.deepEqual(came, [want]);
      });
    }

    it('an API server that is away at the last look is waited for: the event does not come again', async () => {
      there.set(REPOSITORY, repository(AAAA));
      const came = await follow(eventOf(BBBB));
      there.set(REPOSITORY, new Fault('unavailable', 'away'));
      await clock.turn(50_000);
      assert.deepEqual(came, []);
      there.set(REPOSITORY, repository(BBBB));
      await clock.turn(15_000);
      assert.deepEqual(came, [sameRepository(BBBB)]);
    });

    it('but not for ever', async () => {
      there.set(REPOSITORY, repository(AAAA));
      const came = await follow(eventOf(BBBB));
      there.set(REPOSITORY, new Fault('unavailable', 'away'));
      await clock.turn(5 * 60_000);
      assert.deepEqual(came, [{ found: 'not-yet' }]);
    });

    it('for a thousand events, and says so when there are more', async () => {
      there.set(REPOSITORY, repository(AAAA));
      const came: SourceCheck[] = [];
      for (let count = 0; count < 1_003; count++) sources.lookOn(eventOf(BBBB), (found) => void came.push(found));
      assert.deepEqual(came, []);
      await clock.settle();
      assert.deepEqual(came, [{ found: 'not-yet' }, { found: 'not-yet' }, { found: 'not-yet' }]);
      assert.deepEqual(warned, ['too many events wait for their objects: further ones are not waited for']);
    });

    it('event 40: when the process stops nobody is called any more', async () => {
      there.set(REPOSITORY, repository(AAAA));
      const came = await follow(eventOf(BBBB));
      await sources.stop(new AbortController().signal);
      there.set(REPOSITORY, repository(BBBB));
      await clock.turn(15_000);
      assert.deepEqual([came, asked], [[], []]);
      assert.deepEqual(warned, ['stopping while events wait for their objects']);
    });

    it('whoever throws at what it came to is logged, and harms nobody', async () => {
      there.set(REPOSITORY, repository(AAAA));
      sources.lookOn(eventOf(BBBB), () => {
        throw new Error('no');
      });
      await clock.turn(15_000);
    });
  });
});
