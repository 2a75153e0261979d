/** What `spec.hook` changes about decisions: what counts as an event, what is believed, and how many runs may follow. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { first, Stage, whole } from '../../../test/support/trigger-stage.ts';
import { type JsonObject, objectOf } from '../../kube/objects.ts';
import { type StoredEvent, storedKey } from '../../triggers/told.ts';

const [A, B, C] = ['a', 'b', 'c'].map((letter) => `main@sha1:${letter.repeat(40)}`) as [string, string, string];
const hooked = (hook: JsonObject, spec: JsonObject = whole): JsonObject => ({ ...spec, hook });
const tell = (stage: Stage, value: string) => {
  stage.annotate({ ...objectOf(objectOf(stage.trigger.metadata).annotations), 'rungate.dev/event': value });
  stage.seen = stage.trigger;
};
describe('a trigger with a hook', () => {
  it('event 4: told of by a watch and by an event, in whichever order, a revision is one run', () => {
    for (const mode of ['both', 'events']) {
      const stage = new Stage(hooked({ mode }));
      if (mode === 'events') tell(stage, B);
      stage.push(B);
      stage.rest();
      tell(stage, B);
      stage.rest();
      assert.equal(stage.created.length, 1, mode);
    }
  });

  it('event 13, 37: what tells of the revision that was run for again and again starts nothing, and writes nothing', () => {
    const stage = new Stage(hooked({}));
    stage.push(A);
    stage.rest();
    const { writes } = stage;
    for (let minute = 0; minute < 10; minute++) stage.rest();
    assert.deepEqual([stage.created.length, stage.writes], [1, writes]);
  });

  it('event 16, 27: after a time of seeing nothing the current revision is run, and none between', () => {
    const stage = new Stage(hooked({}));
    stage.push(A);
    stage.rest();
    for (const revision of [B, C]) stage.push(revision);
    stage.crash();
    stage.rest();
    assert.deepEqual(
      stage.begun.map(({ event }) => event),
      [A, C],
    );
  });

  it('event 20: back to an older revision is an event', () => {
    const stage = new Stage(hooked({}));
    for (const revision of [A, B, A]) {
      stage.push(revision);
      stage.rest();
    }
    assert.equal(stage.created.length, 3);
  });

  it('event 21, 22: the format of an older Flux, no artifact for a while, and another time of it are no events', () => {
    const stage = new Stage(hooked({}));
    stage.push(`main/${'a'.repeat(40)}`);
    stage.rest();
    for (const artifact of [
      { revision: A },
      null,
      { revision: A, lastUpdateTime: '2026-11-01T10:00:00Z' },
      { revision: A, lastUpdateTime: '2026-11-02T10:00:00Z' },
    ]) {
      stage.report({ artifact });
      stage.rest();
    }
    assert.equal(stage.created.length, 1);
  });

  it('event 23: a changed digest is an event by content only', () => {
    for (const [identity, runs] of [
      ['revision', 1],
      ['content', 2],
    ] as const) {
      const stage = new Stage(hooked({ identity }));
      for (const digest of ['sha256:1', 'sha256:2']) {
        stage.report({ artifact: { revision: A, digest } });
        stage.rest();
      }
      assert.equal(stage.created.length, runs, identity);
    }
  });

  it('event 24, 25: an image is an event by its tag, in whichever field the release of Flux has it', () => {
    const spec = { ...whole, source: { kind: 'ImagePolicy', name: 'app' } };
    const stage = new Stage(hooked({}, spec));
    for (const status of [
      { latestImage: 'docker.io/library/app:1.0.0' },
      { latestImage: '' },
      { latestImage: 'docker.io/library/app:1.0.0' },
      { latestRef: { name: 'docker.io/library/app', tag: '1.0.0', digest: 'sha256:1' } },
      { latestRef: { name: 'docker.io/library/app', tag: '1.0.0', digest: 'sha256:2' } },
      { latestRef: { name: 'docker.io/library/app', tag: '1.0.1', digest: 'sha256:2' } },
    ]) {
      stage.report(status);
      stage.rest();
    }
    assert.deepEqual(
      stage.begun.map(({ event }) => event),
      ['docker.io/library/app:1.0.0', 'docker.io/library/app:1.0.1'],
    );
  });

  it('event 36: suspended it takes note of nothing, and afterwards runs the current revision alone', () => {
    const stage = new Stage(hooked({ mode: 'events' }));
    stage.change({ ...hooked({ mode: 'events' }), suspend: true });
    tell(stage, C);
    for (const revision of [A, B, C]) stage.push(revision);
    stage.rest();
    assert.deepEqual(stage.created, []);
    stage.change(hooked({ mode: 'events' }));
    stage.seen = stage.trigger;
    stage.rest();
    assert.deepEqual(
      stage.begun.map(({ event }) => event),
      [C],
    );
  });
});

describe('mode: events', () => {
  it('what was not told of starts nothing, and what was told of starts when the source shows it', () => {
    const stage = new Stage(hooked({ mode: 'events' }));
    stage.push(A);
    stage.rest();
    assert.equal(stage.condition?.message, 'waiting for an event of GitRepository app to be posted to its hook');
    tell(stage, B);
    stage.rest();
    assert.deepEqual(stage.created, [], 'event 6: the source has never shown it');
    stage.push(B);
    stage.rest();
    stage.push(C);
    stage.rest();
    assert.equal(stage.status.latestEvent, B);
    tell(stage, `${C} ${B}`);
    stage.rest();
    assert.deepEqual(
      stage.begun.map(({ event }) => event),
      [B, C],
    );
  });

  it('a revision that moves on before its run is created is not run under the name of the one before', () => {
    const stage = new Stage(hooked({ mode: 'events' }));
    tell(stage, A);
    stage.push(A);
    stage.nextCreate = 'refused';
    stage.step();
    stage.step();
    stage.push(B);
    stage.later += 5_000;
    stage.rest();
    assert.deepEqual(stage.created, []);
    tell(stage, B);
    stage.rest();
    assert.deepEqual([stage.created, stage.status.latestEvent], [['t--2-0'], B]);
  });

  it('an image is told of with its digest or without', () => {
    for (const told of ['docker.io/library/app:1.0.1', 'docker.io/library/app:1.0.1@sha256:2']) {
      const stage = new Stage(hooked({ mode: 'events' }, { ...whole, source: { kind: 'ImagePolicy', name: 'app' } }));
      tell(stage, told);
      stage.report({ latestRef: { name: 'docker.io/library/app', tag: '1.0.1', digest: 'sha256:2' } });
      stage.rest();
      assert.equal(stage.created.length, 1, told);
    }
  });
});

describe('on: Failure', () => {
  const ready = (status: string, more: JsonObject = {}) => ({
    artifact: { revision: A },
    conditions: [
      {
        type: 'Ready',
        status,
        reason: status === 'True' ? 'Succeeded' : 'GitOperationFailed',
        message: 'failed to checkout',
        lastTransitionTime: '2026-01-01T00:00:00Z',
        ...more,
      },
    ],
  });

  it('runs once for a failure, however often Flux tries again and moves its time', () => {
    const stage = new Stage(hooked({ on: 'Failure' }));
    stage.report(ready('True'));
    stage.rest();
    assert.equal(stage.condition?.message, 'waiting for GitRepository app to fail');
    for (let minute = 0; minute < 5; minute++) {
      stage.report(ready('False', { lastTransitionTime: `2026-01-01T00:0${minute}:00Z`, message: `try ${minute}` }));
      stage.rest();
      stage.report(ready('Unknown'));
      stage.rest();
    }
    assert.deepEqual(stage.created, ['t--1-0']);
    assert.equal(stage.status.latestEvent, 'GitOperationFailed');
    const { details } = objectOf(stage.status.gitRepository);
    const { reason, branchName, commitId, since } = JSON.parse(String(details));
    assert.deepEqual([reason, branchName, commitId], ['GitOperationFailed', 'main', 'a'.repeat(40)]);
    assert.equal(since, '2026-01-01T00:04:00Z');
  });

  it('runs again when the source was well in between, after a crash too, or fails for another reason', () => {
    const stage = new Stage(hooked({ on: 'Failure' }));
    for (const status of ['False', 'True', 'False'] as const) {
      stage.report(ready(status));
      stage.rest();
      stage.crash();
    }
    stage.report(ready('False', { reason: 'AuthenticationFailed' }));
    stage.rest();
    assert.equal(stage.created.length, 3);
  });

  it('a failure that was over before its run was created is not run for', () => {
    const stage = new Stage(hooked({ on: 'Failure' }));
    stage.report(ready('False'));
    stage.nextCreate = 'refused';
    stage.step();
    stage.step();
    stage.report(ready('True'));
    stage.restAtLast();
    assert.deepEqual(stage.created, []);
    assert.match(String(objectOf(stage.status.outcome).reason), /Recovered/);
  });

  it('a condition about an older spec says nothing, and one of a spec that was never met does', () => {
    const stage = new Stage(hooked({ on: 'Failure' }));
    stage.report({ ...ready('False', { observedGeneration: 0 }), observedGeneration: 0 });
    stage.rest();
    assert.deepEqual(stage.created, []);
    stage.report({ ...ready('False', { observedGeneration: 1 }), observedGeneration: -1 });
    stage.rest();
    assert.equal(stage.created.length, 1);
  });

  it('the other way round a trigger on success ignores that its source fails', () => {
    const stage = new Stage(hooked({ on: 'Success' }));
    stage.report(ready('True'));
    stage.rest();
    stage.report(ready('False'));
    stage.rest();
    assert.equal(stage.created.length, 1);
    assert.equal(stage.status.latestEvent, A);
  });

  it('with mode: events it waits for one, and an old one is none', () => {
    const stage = new Stage(hooked({ on: 'Failure', mode: 'events' }));
    stage.report(ready('False', { lastTransitionTime: '2026-01-01T10:00:00Z' }));
    tell(stage, 'failure@2026-01-01T09:00:00.000Z');
    stage.rest();
    assert.deepEqual(stage.created, []);
    tell(stage, 'failure@2026-01-01T09:59:59.000Z');
    stage.rest();
    assert.equal(stage.created.length, 1);
  });
});

describe('trustEvents', () => {
  const spec = hooked({ trustEvents: true });
  let sent = 0;
  const event = (revision: string, more: Partial<StoredEvent> = {}): Omit<StoredEvent, 'key'> => ({
    cluster: 'edge',
    revision,
    reason: 'NewArtifact',
    message: '',
    atMs: 1_000 * ++sent,
    ...more,
  });
  const store = (stage: Stage, told: Omit<StoredEvent, 'key'>) => {
    stage.stored = [...stage.stored, { key: storedKey(told, stage.stored, stage.now), ...told }];
  };

  it('each event is a run, in order, one after another; what has been run is put away when the next has its run', () => {
    const stage = new Stage(spec);
    stage.rest();
    assert.equal(stage.condition?.message, 'waiting for an event of GitRepository app to be posted to its hook');
    for (const revision of [A, B, C]) store(stage, event(revision));
    stage.rest();
    assert.deepEqual(
      stage.begun.map(({ event: raw }) => raw),
      [A, B, C],
    );
    assert.deepEqual(
      stage.stored.map(({ revision }) => revision),
      [C],
    );
    assert.deepEqual(JSON.parse(String(objectOf(stage.status.gitRepository).details)).cluster, 'edge');
  });

  it('the second waits while the first is not created, and passes by one that can never be', () => {
    const stage = new Stage(spec);
    store(stage, event(A));
    store(stage, event(B));
    stage.nextCreate = 'refused';
    stage.rest();
    assert.deepEqual(stage.created, []);
    stage.later += 2_000;
    stage.nextCreate = 'invalid';
    stage.rest();
    assert.deepEqual(
      stage.begun.map(({ event: raw }) => raw),
      [B],
    );
  });

  it('the same again, twice, late or after a crash is no run; the same of another cluster is one', () => {
    const stage = new Stage(spec);
    const [one, two] = [event(A), event(B)];
    store(stage, one);
    stage.rest();
    store(stage, event(A)); // tells the same a minute later
    stage.rest();
    store(stage, two);
    stage.rest();
    for (const late of [one, two, event(B)]) {
      stage.crash();
      store(stage, late);
      stage.rest();
    }
    assert.equal(stage.created.length, 2);
    store(stage, event(B, { cluster: 'other' }));
    stage.rest();
    store(stage, event(A));
    stage.rest();
    assert.equal(stage.created.length, 4, 'back to A is an event of its own');
  });

  it('a run that is tried again, and one by hand, have the event they need', () => {
    const stage = new Stage(hooked({ trustEvents: true }, first));
    store(stage, event(A));
    stage.rest();
    stage.finish('t--1-0', 'False');
    stage.rest();
    stage.ask('x');
    stage.rest();
    assert.deepEqual(stage.created, ['t--1-0', 't--1-1', 't--2-0']);
    assert.deepEqual(
      stage.begun.map(({ byHand }) => byHand),
      [false, false, true],
    );
  });

  it('whatever is posted and whenever it crashes, no event has two runs, and the last one of each cluster has one', () => {
    const posts = fc.array(
      fc.record({
        cluster: fc.constantFrom('x', 'y'),
        revision: fc.constantFrom(A, B, C),
        repeats: fc.integer({ min: 1, max: 3 }),
        next: fc.constantFrom('step', 'rest', 'crash', 'nothing'),
      }),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(posts, (posted) => {
        const stage = new Stage(spec);
        const moves = { x: 0, y: 0 };
        const last: Record<string, string> = {};
        let at = 0;
        for (const { cluster, revision, repeats, next } of posted) {
          at += 1_000;
          for (let again = 0; again < repeats; again++) store(stage, event(revision, { cluster, atMs: at }));
          if (last[cluster] !== revision) moves[cluster as 'x' | 'y']++;
          last[cluster] = revision;
          if (next === 'step') stage.step();
          if (next === 'rest') stage.rest(1_000);
          if (next === 'crash') stage.crash();
        }
        stage.rest(1_000);
        assert.equal(stage.created.length, moves.x + moves.y);
        assert.equal(new Set(stage.created).size, stage.created.length);
      }),
      { numRuns: 200 },
    );
  });
});

describe('maxRunsPerHour', () => {
  const limited = hooked({ maxRunsPerHour: 2 }, first);

  it('holds what is too much, says until when, and runs the latest then', () => {
    const stage = new Stage(limited);
    for (const revision of [A, B]) {
      stage.push(revision);
      stage.rest();
      stage.later += 60_000;
    }
    for (const revision of [C, A, C]) {
      stage.push(revision);
      stage.rest();
    }
    assert.equal(stage.created.length, 2);
    assert.match(
      String(stage.condition?.message),
      /^waiting for the hour to end in which 2 runs may be started, .*01:00:00/,
    );
    assert.equal(stage.condition?.type, 'Unknown');
    assert.equal(stage.againMs, 3_600_000 - 120_000);
    stage.crash();
    stage.later += (stage.againMs ?? 0) - 1;
    stage.rest();
    assert.equal(stage.created.length, 2);
    stage.later += 1;
    stage.rest();
    assert.deepEqual(
      stage.begun.map(({ event }) => event),
      [A, B, C],
    );
  });

  it('holds retries as well, but nobody who asks by hand', () => {
    const stage = new Stage(limited);
    stage.push(A);
    stage.rest();
    for (const attempt of [0, 1]) {
      stage.finish(`t--1-${attempt}`, 'False');
      stage.rest();
    }
    assert.deepEqual(stage.created, ['t--1-0', 't--1-1']);
    stage.ask('x');
    stage.rest();
    assert.deepEqual(stage.begun.at(-1)?.byHand, true);
    assert.equal(stage.created.length, 3);
  });

  it('is not fooled by a clock that is set back by days', () => {
    const stage = new Stage(limited);
    stage.later = 10 * 86_400_000;
    for (const revision of [A, B]) {
      stage.push(revision);
      stage.rest();
    }
    stage.later = 0;
    stage.push(C);
    stage.rest();
    assert.equal(stage.created.length, 3);
  });

  it('counts what may have been created although nobody knows, and every branch of a PullRequest', () => {
    const stage = new Stage(limited);
    stage.push(A);
    stage.nextCreate = 'lost';
    stage.step();
    stage.step();
    stage.push(B);
    stage.rest();
    stage.push(C);
    stage.rest();
    assert.equal(stage.created.length, 2);
    const pulls = new Stage(hooked({ maxRunsPerHour: 2 }, { ...whole, source: { kind: 'PullRequest', name: 'app' } }));
    const branches = ['a', 'b', 'c', 'd'].map((name) => ({ name, commit: name, details: '{}' }));
    pulls.report({ sourceBranches: { branches } });
    pulls.step();
    pulls.step();
    pulls.crash();
    pulls.rest();
    assert.equal(pulls.created.length, 2);
    pulls.later += 3_600_000;
    pulls.rest();
    assert.equal(pulls.created.length, 4);
  });

  it('a limit that goes takes its notes along', () => {
    const stage = new Stage(limited);
    stage.push(A);
    stage.rest();
    assert.equal((stage.status.recentRuns as readonly string[]).length, 1);
    stage.change(first);
    stage.seen = stage.trigger;
    stage.rest();
    assert.equal(stage.status.recentRuns, undefined);
  });

  it('whatever happens, no hour has more runs than that, and the last revision is run in the end', () => {
    const happening = fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom(A, B, C) },
      { weight: 4, arbitrary: fc.constant('step') },
      { weight: 2, arbitrary: fc.constantFrom('crash', 'sync', 'touch', 'lost', 'refused', 'fails') },
      { weight: 2, arbitrary: fc.integer({ min: 1, max: 3_000_000 }) },
    );
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 60 }), fc.integer({ min: 1, max: 3 }), (happenings, most) => {
        const stage = new Stage(hooked({ maxRunsPerHour: most }, first));
        stage.report({});
        let at: string | undefined;
        for (const each of happenings) {
          if (typeof each === 'number') stage.later += each;
          else if (each === 'step') stage.step();
          else if (each === 'crash') stage.crash();
          else if (each === 'sync') stage.seen = stage.trigger;
          else if (each === 'touch') stage.annotate({ touched: String(stage.version) });
          else if (each === 'lost' || each === 'refused') stage.nextCreate = each;
          else if (each === 'fails') stage.finish(stage.created.at(-1) ?? '', 'False');
          else {
            at = each;
            stage.push(each);
          }
        }
        for (let hours = 0; hours < 4; hours++) stage.restAtLast();
        for (const { at: begin } of stage.begun) {
          const within = stage.begun.filter((other) => other.at >= begin && other.at < begin + 3_600_000);
          assert.ok(within.length <= most, `${within.length} runs in an hour`);
        }
        assert.equal(new Set(stage.created).size, stage.created.length);
        if (at !== undefined) assert.equal(stage.begun.at(-1)?.event, at);
      }),
      { numRuns: 1_000 },
    );
  });
});
