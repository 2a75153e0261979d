import assert from 'node:assert/strict';
import fc from 'fast-check';
import { id16Of, identityOf, type RunKey, runMarks, runNames, triggerId } from './identity.ts';

const article: RunKey = {
  cluster: '',
  namespace: 'default',
  trigger: 'flux-event-listener/flux-notification-trigger',
  source: 'source.toolkit.fluxcd.io/GitRepository',
  uid: 'cc4d0095-83f4-4f08-98f2-d2e9f3731fb9',
  revision: 'main@sha1:6fca464c6c124156b9cb3913c229b59148323703',
  epoch: 0,
};

describe('who a run of a listener is', () => {
  it('follows from what it is for, as the specification has it', () => {
    const { hash, id16, uuid } = identityOf(article);
    assert.equal(hash, '7faccb4dee036135c96d67ce5a04dd93a98575aae7b390f9e2f5e1d667a9c197');
    assert.equal(id16, 'p6wmwtpoanqtlsln');
    assert.equal(uuid, '7faccb4d-ee03-8135-896d-67ce5a04dd93');
  });

  it('has a second id of other bits of the same hash', () => {
    // Bytes 10 to 20: 67ce5a04dd93a98575aa.
    assert.equal(identityOf(article).second16, 'm7hfubg5souyk5nk');
  });

  it('is another one when any field is', () => {
    const others: readonly Partial<RunKey>[] = [
      { cluster: 'edge' },
      { namespace: 'apps' },
      { trigger: 'flux-event-listener/other' },
      { source: 'source.toolkit.fluxcd.io/Bucket' },
      { uid: '1' },
      { revision: 'main@sha1:0000000000000000000000000000000000000000' },
      { epoch: 1 },
    ];
    const hashes = others.map((other) => identityOf({ ...article, ...other }).hash);
    assert.equal(new Set([...hashes, identityOf(article).hash]).size, others.length + 1);
  });

  it('names a trigger by its listener, and by the namespace of that where it is another one', () => {
    const listener = { namespace: 'apps', name: 'build' };
    assert.equal(triggerId(listener, { namespace: 'apps', name: 't' }), 'build/t');
    assert.equal(triggerId(listener, { namespace: 'shared', name: 't' }), 'apps/build/t');
  });

  it('makes ids of texts as of keys', () => {
    // RFC 4648 of the first ten bytes of SHA-256 of "abc": ba7816bf8f01cfea4141.
    assert.equal(id16Of('abc'), 'xj4bnp4pahh6uqkb');
  });
});

describe('the names of a run', () => {
  const identity = identityOf(article);
  const nothing = { name: undefined, generateName: undefined, namedByUid: false };
  const cases: readonly {
    name: string;
    given: Partial<typeof nothing> | object;
    trigger?: string;
    want: string;
    second: string;
  }[] = [
    {
      name: 'the trigger and the id where the template has none',
      given: {},
      want: 'build-p6wmwtpoanqtlsln',
      second: 'build-m7hfubg5souyk5nk',
    },
    {
      name: 'what stands before the random characters of generateName',
      given: { generateName: 'run-' },
      want: 'run-p6wmwtpoanqtlsln',
      second: 'run-m7hfubg5souyk5nk',
    },
    {
      name: 'a generateName without a dash',
      given: { generateName: 'run' },
      want: 'runp6wmwtpoanqtlsln',
      second: 'runm7hfubg5souyk5nk',
    },
    {
      name: 'a long generateName, cut',
      given: { generateName: `${'x'.repeat(60)}-` },
      want: `${'x'.repeat(46)}-p6wmwtpoanqtlsln`,
      second: `${'x'.repeat(46)}-m7hfubg5souyk5nk`,
    },
    {
      name: 'a generateName as long as may be',
      given: { generateName: `${'x'.repeat(46)}-` },
      want: `${'x'.repeat(46)}-p6wmwtpoanqtlsln`,
      second: `${'x'.repeat(46)}-m7hfubg5souyk5nk`,
    },
    {
      name: 'a generateName with what no name has',
      given: { generateName: 'Feature/X_1-' },
      want: 'feature-x-1-p6wmwtpoanqtlsln',
      second: 'feature-x-1-m7hfubg5souyk5nk',
    },
    {
      name: 'a long trigger, cut so that it ends in no dash',
      given: {},
      trigger: `${'t'.repeat(45)}-rest`,
      want: `${'t'.repeat(45)}-p6wmwtpoanqtlsln`,
      second: `${'t'.repeat(45)}-m7hfubg5souyk5nk`,
    },
    { name: 'a fixed name, which leaves no other', given: { name: 'nightly' }, want: 'nightly', second: 'nightly' },
    {
      name: 'a name with the uid in it, and one beside it',
      given: { name: 'flux-notification-run-7faccb4d-ee03-8135-896d-67ce5a04dd93', namedByUid: true },
      want: 'flux-notification-run-7faccb4d-ee03-8135-896d-67ce5a04dd93',
      second: 'flux-notification-run-7faccb4d-ee03-8135-896d-m7hfubg5souyk5nk',
    },
  ];
  for (const { name, given, trigger = 'build', want, second } of cases) {
    it(name, () => {
      assert.deepEqual(runNames({ ...nothing, ...given }, trigger, identity), { name: want, secondName: second });
    });
  }

  it('event 1: derived ones are names that Tekton takes, whatever they are derived from', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.string({ maxLength: 80 }),
        fc.boolean(),
        (prefix, trigger, isGenerated) => {
          const wanted = isGenerated ? { ...nothing, generateName: prefix } : nothing;
          for (const name of Object.values(runNames(wanted, trigger, identity))) {
            assert.match(name, /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/);
            assert.ok(name.length <= 63, name);
          }
        },
      ),
    );
  });
});

describe('what a run carries', () => {
  const source = {
    groupKind: 'source.toolkit.fluxcd.io/GitRepository',
    namespace: 'apps',
    name: 'web',
    uid: 'u-1',
    revision: 'feature/x@sha1:6fca464c6c124156b9cb3913c229b59148323703',
    digest: `sha256:${'d'.repeat(64)}`,
  };
  const origin = {
    listener: 'hook',
    trigger: 'build',
    eventId: '7faccb4d-ee03-8135-896d-67ce5a04dd93',
    identity: identityOf(article),
    source,
    eventTimestamp: Date.parse('2026-08-07T13:15:53Z'),
  };

  it('event 1: the labels and annotations of Triggers and of ours', () => {
    assert.deepEqual(runMarks(origin), {
      labels: {
        'triggers.tekton.dev/eventlistener': 'hook',
        'triggers.tekton.dev/trigger': 'build',
        'triggers.tekton.dev/triggers-eventid': '7faccb4d-ee03-8135-896d-67ce5a04dd93',
        'rungate.dev/trigger': 'build',
        'rungate.dev/key': 'p6wmwtpoanqtlsln',
        'rungate.dev/source-kind': 'GitRepository',
        'rungate.dev/source-name': 'web',
        'rungate.dev/revision': '6fca464c6c12',
      },
      annotations: {
        'rungate.dev/revision': source.revision,
        'rungate.dev/digest': source.digest,
        'rungate.dev/source': 'source.toolkit.fluxcd.io/GitRepository/apps/web/u-1',
        'rungate.dev/key-hash': '7faccb4dee036135c96d67ce5a04dd93a98575aae7b390f9e2f5e1d667a9c197',
        'rungate.dev/via': 'event',
        'rungate.dev/event-timestamp': '2026-08-07T13:15:53Z',
      },
    });
  });

  it('nothing of a source where none was looked at', () => {
    const { labels, annotations } = runMarks({ ...origin, source: undefined, eventTimestamp: undefined });
    assert.deepEqual(
      Object.keys(labels).filter((key) => key.includes('source') || key.includes('revision')),
      [],
    );
    assert.deepEqual(Object.keys(annotations), ['rungate.dev/key-hash', 'rungate.dev/via']);
  });

  const revisions: readonly { revision: string; kind?: string; want: string }[] = [
    { revision: 'sha1:6fca464c6c124156b9cb3913c229b59148323703', want: '6fca464c6c12' },
    { revision: '6.5.0', want: '6.5.0' },
    { revision: '1.2.3+4', want: '1.2.3-4' },
    { revision: 'org/app:v1.0.1', kind: 'ImagePolicy', want: 'v1.0.1' },
    { revision: `org/app:v1.0.1@sha256:${'a'.repeat(64)}`, kind: 'ImagePolicy', want: 'v1.0.1' },
  ];
  for (const { revision, kind = 'GitRepository', want } of revisions) {
    it(`a label for the revision ${revision} of a ${kind}`, () => {
      const marks = runMarks({ ...origin, source: { ...source, groupKind: `group/${kind}`, revision } });
      assert.equal(marks.labels['rungate.dev/revision'], want);
    });
  }

  it('a label for a name that is too long for one', () => {
    const { labels } = runMarks({ ...origin, source: { ...source, name: `${'n'.repeat(100)}` } });
    assert.match(labels['rungate.dev/source-name'] ?? '', /^n{54}-[0-9a-f]{8}$/);
  });
});
