import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import fc from 'fast-check';
import { Dice } from '../../test/support/fuzz.ts';
import { parseBody } from './body.ts';
import { expectedRevision } from './eventrevision.ts';
import { type FluxEvent, isFluxEvent, readFluxEvent } from './fluxevent.ts';
import { hookHeaders, valuesOf } from './headers.ts';
import { sign, verifySignature } from './signature.ts';

const SHA1 = '6fca464c6c124156b9cb3913c229b59148323703';
const SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

interface Recorded {
  readonly what: string;
  readonly body: object;
  readonly revision: string | null;
}

const recorded = globSync('test/fixtures/hooks/flux-*.json')
  .sort()
  .map((path) => ({
    release: basename(path, '.json'),
    cases: JSON.parse(readFileSync(path, 'utf8')) as readonly Recorded[], // which the files are written as
  }));

function event(
  kind: string,
  more: Partial<Pick<FluxEvent, 'message' | 'severity'>> & { metadata?: object },
): FluxEvent {
  const group = kind.startsWith('Image') ? 'image.toolkit.fluxcd.io' : 'source.toolkit.fluxcd.io';
  return {
    involvedObject: { group, kind, namespace: 'apps', name: 'web', uid: undefined },
    severity: more.severity ?? 'info',
    timestamp: undefined,
    message: more.message ?? '',
    reason: '',
    metadata: new Map(Object.entries(more.metadata ?? {})),
    reportingController: '',
  };
}

describe('the revision of an event', () => {
  for (const { release, cases } of recorded) {
    describe(release, () => {
      for (const { what, body, revision } of cases) {
        it(`${what}: ${revision ?? 'none'}`, () => {
          const parsed = parseBody(Buffer.from(JSON.stringify(body)));
          assert.ok(parsed.ok);
          assert.equal(isFluxEvent(parsed.body), true);
          const read = readFluxEvent(parsed.body);
          assert.ok(read.ok);
          assert.equal(expectedRevision(read.event), revision ?? undefined);
        });
      }
    });
  }

  const prefixed = 'source.toolkit.fluxcd.io/revision';
  const now = `main@sha1:${SHA1}`;
  const table: readonly {
    readonly name: string;
    readonly given: FluxEvent;
    readonly want: string | undefined;
  }[] = [
    {
      name: 'the plain key goes before the one with a prefix, and both before the message',
      given: event('GitRepository', {
        metadata: { [prefixed]: `old@sha1:${SHA1}`, revision: now },
        message: `Fetched revision: other/${SHA1}`,
      }),
      want: now,
    },
    {
      name: 'a key that is no revision is passed over',
      given: event('GitRepository', { metadata: { revision: 'main@sha1:xyz', [prefixed]: now } }),
      want: now,
    },
    {
      name: 'event 21: the old format is the new one',
      given: event('GitRepository', { metadata: { revision: `feature/x/${SHA1}` } }),
      want: `feature/x@sha1:${SHA1}`,
    },
    { name: 'a bare commit', given: event('GitRepository', { metadata: { revision: SHA1 } }), want: `sha1:${SHA1}` },
    {
      name: 'a branch with an @',
      given: event('GitRepository', { metadata: { revision: `a@b@sha1:${SHA1}` } }),
      want: `a@b@sha1:${SHA1}`,
    },
    { name: 'a version', given: event('HelmChart', { metadata: { revision: '1.2.3+4' } }), want: '1.2.3+4' },
    { name: 'an empty key', given: event('GitRepository', { metadata: { revision: '' } }), want: undefined },
    {
      name: 'a short commit',
      given: event('GitRepository', { metadata: { revision: 'main@sha1:abc' } }),
      want: undefined,
    },
    {
      name: 'a digest of 129 digits',
      given: event('GitRepository', { metadata: { revision: `main@sha512:${'a'.repeat(129)}` } }),
      want: undefined,
    },
    {
      name: 'a branch of two lines',
      given: event('GitRepository', { metadata: { revision: `main\nv1@sha1:${SHA1}` } }),
      want: undefined,
    },
    {
      name: 'a branch with a NUL',
      given: event('GitRepository', { metadata: { revision: `main\0@sha1:${SHA1}` } }),
      want: undefined,
    },
    {
      name: 'a branch that is longer than any',
      given: event('GitRepository', { metadata: { revision: `${'a'.repeat(2_048)}@sha1:${SHA1}` } }),
      want: undefined,
    },
    {
      name: 'event 12: a failure whose message quotes a revision',
      given: event('GitRepository', { severity: 'error', message: `unable to fetch revision '${now}'` }),
      want: undefined,
    },
    {
      name: 'a failure that has one in its metadata',
      given: event('Kustomization', { severity: 'error', metadata: { revision: now } }),
      want: now,
    },
    {
      name: 'a title that reads like a revision that was stored',
      given: event('GitRepository', { message: `stored artifact for commit 'revision '${now}''` }),
      want: undefined,
    },
    {
      name: 'a title that reads like what was fetched',
      given: event('GitRepository', { message: `stored artifact for commit 'Fetched revision: main/${SHA1}'` }),
      want: undefined,
    },
    {
      name: 'a title of one word',
      given: event('GitRepository', { message: "stored artifact for commit 'v1'" }),
      want: undefined,
    },
    {
      name: 'a change set that names what it likes',
      given: event('Kustomization', { message: `ConfigMap/apps/x created\nrevision '${now}'` }),
      want: undefined,
    },
    {
      name: 'a message that is too long to say one',
      given: event('OCIRepository', { message: `stored artifact with revision '${now}'${' '.repeat(4_096)}` }),
      want: undefined,
    },
    {
      name: 'event 24: an image by its metadata',
      given: event('ImagePolicy', { metadata: { revision: `reg:5000/acme/web:1.0.1@sha256:${SHA256}` } }),
      want: `reg:5000/acme/web:1.0.1@sha256:${SHA256}`,
    },
    {
      name: 'event 24: metadata of an Alert that is no image',
      given: event('ImagePolicy', {
        metadata: { revision: now },
        message: 'Latest image tag for ghcr.io/acme/web resolved to 1.0.1',
      }),
      want: 'ghcr.io/acme/web:1.0.1',
    },
    {
      name: 'a tag that can be none',
      given: event('ImagePolicy', { message: 'Latest image tag for ghcr.io/acme/web resolved to -1' }),
      want: undefined,
    },
    {
      name: 'a digest that can be none',
      given: event('ImagePolicy', {
        message: 'Latest image tag for ghcr.io/acme/web resolved to 1 with digest sha256:1',
      }),
      want: undefined,
    },
    {
      name: 'an image that can be none',
      given: event('ImagePolicy', { message: "Latest image tag for '$(id)' resolved to: 1" }),
      want: undefined,
    },
    {
      name: 'the words of an ImagePolicy from something else',
      given: event('GitRepository', { message: 'Latest image tag for ghcr.io/acme/web resolved to 1.0.1' }),
      want: undefined,
    },
  ];
  for (const { name, given, want } of table) {
    it(`${name}: ${want ?? 'none'}`, () => {
      assert.equal(expectedRevision(given), want);
    });
  }

  it('has the shape of one, whatever the event says', () => {
    const kind = fc.constantFrom('GitRepository', 'OCIRepository', 'HelmChart', 'ImagePolicy', 'Kustomization');
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.string({ unit: fc.constantFrom('a', 'f', '0', '/', '@', ':', "'", ' ', '\n', 'sha1:', SHA1, SHA256) }),
    );
    const message = fc
      .tuple(
        fc.constantFrom('', 'Fetched revision: ', "stored artifact with revision '", 'Latest image tag for '),
        text,
        fc.constantFrom('', "'", " from 'x'", ' resolved to ', ' with digest '),
        text,
      )
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(kind, message, fc.option(text, { nil: undefined }), (ofKind, said, revision) => {
        const metadata = revision === undefined ? {} : { revision };
        const found = expectedRevision(event(ofKind, { message: said, metadata }));
        if (found === undefined) return;
        assert.doesNotMatch(found, /\p{Cc}/u);
        if (ofKind === 'ImagePolicy')
          assert.match(found, /^[\w./:-]+:\w[\w.-]{0,127}(?:@[a-z0-9+._-]+:[0-9a-f]{40,128})?$/);
        else if (found.includes(':')) assert.match(found, /(?:^|@)[a-z0-9+._-]+:[0-9a-f]{40,128}$/);
        assert.equal(expectedRevision(event(ofKind, { metadata: { revision: found } })), found);
      }),
      { numRuns: 5_000 },
    );
  });

  it('is looked for in time that grows with the length of the message', () => {
    const pieces = [
      "'",
      "revision '",
      "commit '",
      'Latest image tag for ',
      ' updated from ',
      ' (previously ',
      'a',
      '@a:',
      '/',
    ];
    for (const piece of pieces) {
      for (const lead of [
        '',
        'Latest image tag for ',
        "pulled '",
        'Fetched revision: ',
        'Latest image tag for a resolved to ',
      ]) {
        const message = (lead + piece.repeat(4_096)).slice(0, 4_096);
        for (const kind of ['GitRepository', 'HelmChart', 'ImagePolicy']) expectedRevision(event(kind, { message }));
      }
    }
  });
});

describe('what anybody posts', () => {
  /** What stands where something sane should. */
  const odd: readonly unknown[] = [
    ...[
      null,
      true,
      0,
      -1,
      1e308,
      '',
      ' ',
      '__proto__',
      'a\nb',
      '\ud800',
      '\0',
      '$(id)',
      "'",
      `main/${SHA1}`,
      [],
      {},
      [[]],
    ],
    ...[
      `main@sha1:${SHA1}`,
      `sha256:${SHA256}`,
      'x'.repeat(9_000),
      { a: { b: [] } },
      '../../x',
      '2026-08-07T13:15:53Z',
    ],
  ];
  const names = ['X-Signature', 'x-signature', 'Gotk-Component', 'Host', '', 'a b', '__proto__'];
  const bodies = recorded.flatMap(({ cases }) => cases.map(({ body }) => body));

  /** Its fields, most of them as they are. */
  function bentFields(map: object, dice: Dice): object {
    const fields = Object.entries(map).map(([key, value]: [string, unknown]) => {
      if (dice.once(12)) return [key, dice.pick(odd)];
      return [key, typeof value === 'object' && value !== null ? bentFields(value, dice) : value];
    });
    return Object.fromEntries(fields);
  }

  /** A recorded body with some of its values or bytes bent. */
  function bent(dice: Dice): Buffer {
    const body = bentFields(dice.pick(bodies), dice);
    const raw = Buffer.from(JSON.stringify(body));
    for (let count = dice.once(2) ? dice.below(4) : 0; count > 0; count--)
      raw[dice.below(raw.length)] = dice.below(256);
    return dice.once(20) ? raw.subarray(0, dice.below(raw.length)) : raw;
  }

  it('50,000 bodies and headers are read or refused, never more', function () {
    this.timeout(60_000);
    const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 32));
    const dice = new Dice(seed);
    const key = Buffer.from('fluxkey');
    const came = { read: 0, refused: 0, unread: 0 };
    try {
      for (let count = 0; count < 50_000; count++) {
        const raw = bent(dice);
        const ours = sign(key, raw);
        const signature = dice.once(2) ? ours : String(dice.pick(odd));
        const headers = hookHeaders([dice.pick(names), signature, dice.pick(names), String(dice.pick(odd))]);
        const values = valuesOf(headers, 'X-Signature');
        const isSigned = values.length === 1 && values[0] === ours;
        assert.equal(verifySignature(values, [key], raw), isSigned);
        const parsed = parseBody(raw);
        if (!parsed.ok) {
          came.unread++;
          assert.ok(parsed.message.length < 100);
          continue;
        }
        isFluxEvent(parsed.body);
        const read = readFluxEvent(parsed.body);
        if (read.ok) expectedRevision(read.event);
        else assert.ok(read.message.length < 120);
        came[read.ok ? 'read' : 'refused']++;
      }
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
    for (const [what, times] of Object.entries(came)) assert.ok(times > 1_000, `${what}: ${times} times, seed ${seed}`);
  });
});
