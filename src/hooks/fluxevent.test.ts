import assert from 'node:assert/strict';
import { parseBody } from './body.ts';
import { isFluxEvent, readFluxEvent } from './fluxevent.ts';
import type { JsonMap } from './request.ts';

const UID = 'cc4d0095-83f4-4f08-98f2-d2e9f3731fb9';

const whole = {
  involvedObject: {
    kind: 'GitRepository',
    namespace: 'apps',
    name: 'web',
    uid: UID,
    apiVersion: 'source.toolkit.fluxcd.io/v1',
    resourceVersion: '4711',
  },
  severity: 'info',
  timestamp: '2026-08-07T13:15:53Z',
  message: "stored artifact for commit 'Add a page'",
  reason: 'NewArtifact',
  metadata: { revision: `main@sha1:${'a'.repeat(40)}`, cluster: 'north' },
  reportingController: 'source-controller',
  reportingInstance: 'source-controller-7f6b9d-x2x2x',
};

function bodyOf(value: unknown): JsonMap {
  const parsed = parseBody(Buffer.from(JSON.stringify(value)));
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.body;
}

/** The event with some fields changed; undefined takes one out. */
function read(changed: object = {}, changedObject: object = {}) {
  const involvedObject = { ...whole.involvedObject, ...changedObject };
  return readFluxEvent(bodyOf({ ...whole, involvedObject, ...changed }));
}

function eventOf(...given: Parameters<typeof read>) {
  const found = read(...given);
  if (!found.ok) throw new Error(found.message);
  return found.event;
}

describe('events of Flux', () => {
  it('are read whole', () => {
    assert.deepEqual(read(), {
      ok: true,
      event: {
        involvedObject: {
          group: 'source.toolkit.fluxcd.io',
          kind: 'GitRepository',
          namespace: 'apps',
          name: 'web',
          uid: UID,
        },
        severity: 'info',
        timestamp: Date.UTC(2026, 7, 7, 13, 15, 53),
        message: "stored artifact for commit 'Add a page'",
        reason: 'NewArtifact',
        metadata: new Map(Object.entries(whole.metadata)),
        reportingController: 'source-controller',
      },
    });
  });

  it('need no more than the kind, the namespace and the name of their object', () => {
    const involvedObject = { kind: 'GitRepository', namespace: 'apps', name: 'web' };
    assert.deepEqual(readFluxEvent(bodyOf({ involvedObject })), {
      ok: true,
      event: {
        involvedObject: { group: '', uid: undefined, ...involvedObject },
        severity: '',
        timestamp: undefined,
        message: '',
        reason: '',
        metadata: new Map(),
        reportingController: '',
      },
    });
  });

  it('may say null where they say nothing', () => {
    const nothing = { severity: null, timestamp: null, message: null, reason: null, metadata: null };
    assert.equal(read(nothing, { uid: null, apiVersion: null }).ok, true);
  });

  const refused: readonly {
    readonly name: string;
    readonly changed?: object;
    readonly object?: object;
    readonly want: string;
  }[] = [
    { name: 'no object', changed: { involvedObject: undefined }, want: 'involvedObject is missing' },
    { name: 'null for an object', changed: { involvedObject: null }, want: 'involvedObject is missing' },
    { name: 'a list for an object', changed: { involvedObject: [] }, want: 'involvedObject must be an object' },
    { name: 'a text for an object', changed: { involvedObject: 'web' }, want: 'involvedObject must be an object' },
    { name: 'no kind', object: { kind: undefined }, want: 'involvedObject.kind is missing' },
    { name: 'no name', object: { name: undefined }, want: 'involvedObject.name is missing' },
    { name: 'an empty name', object: { name: '' }, want: 'involvedObject.name is missing' },
    { name: 'no namespace', object: { namespace: null }, want: 'involvedObject.namespace is missing' },
    { name: 'a number for a name', object: { name: 1 }, want: 'involvedObject.name must be a string' },
    {
      name: 'a path for a name',
      object: { name: '../../secrets/x' },
      want: 'involvedObject.name must be a DNS-1123 subdomain of at most 253 characters',
    },
    {
      name: 'a name that is too long',
      object: { name: 'a'.repeat(254) },
      want: 'involvedObject.name must be a DNS-1123 subdomain of at most 253 characters',
    },
    {
      name: 'a namespace with a dot',
      object: { namespace: 'a.b' },
      want: 'involvedObject.namespace must be a DNS-1123 label of at most 63 characters',
    },
    {
      name: 'a namespace with a line break behind it',
      object: { namespace: 'apps\n' },
      want: 'involvedObject.namespace must be a DNS-1123 label of at most 63 characters',
    },
    {
      name: 'a kind with a slash',
      object: { kind: 'Git/Repository' },
      want: 'involvedObject.kind must be the name of a kind of at most 63 characters',
    },
    {
      name: 'a group with a path',
      object: { apiVersion: '../v1/x' },
      want: 'involvedObject.apiVersion must be a group and a version of at most 317 characters',
    },
    {
      name: 'a uid of two lines',
      object: { uid: 'a\nb' },
      want: 'involvedObject.uid must be a uid of at most 128 characters',
    },
    { name: 'a number for a severity', changed: { severity: 1 }, want: 'severity must be a string' },
    { name: 'an object for a message', changed: { message: {} }, want: 'message must be a string' },
    { name: 'a number for a timestamp', changed: { timestamp: 1786108553 }, want: 'timestamp must be a string' },
    { name: 'a long reason', changed: { reason: 'a'.repeat(1_025) }, want: 'reason is longer than 1024 characters' },
    { name: 'a list for metadata', changed: { metadata: [] }, want: 'metadata must be an object' },
    { name: 'a number in metadata', changed: { metadata: { a: 1 } }, want: 'metadata must have strings for values' },
    {
      name: 'more metadata than there may be',
      changed: { metadata: Object.fromEntries(Array.from({ length: 65 }, (_, place) => [`k${place}`, ''])) },
      want: 'metadata has more than 64 keys',
    },
    {
      name: 'a long key',
      changed: { metadata: { ['a'.repeat(318)]: '' } },
      want: 'metadata has a key of more than 317 characters',
    },
    {
      name: 'a long value',
      changed: { metadata: { a: 'ü'.repeat(4_097) } },
      want: 'metadata has a value of more than 8 KiB',
    },
  ];
  for (const { name, changed, object, want } of refused) {
    it(`event 9: with ${name} are refused: ${want}`, () => {
      assert.deepEqual(read(changed, object), { ok: false, message: want });
    });
  }

  it('may be as large as their bounds', () => {
    const metadata = Object.fromEntries(
      Array.from({ length: 64 }, (_, place) => [`${place}`.padEnd(317, 'k'), 'ü'.repeat(4_096)]),
    );
    const event = eventOf(
      { metadata, reason: 'a'.repeat(1_024) },
      { name: 'a'.repeat(253), namespace: 'a'.repeat(63) },
    );
    assert.equal(event.metadata.size, 64);
  });

  it('have a message that is cut, between letters', () => {
    assert.equal(eventOf({ message: 'a'.repeat(39_000) }).message.length, 39_000);
    assert.equal(eventOf({ message: 'a'.repeat(39_001) }).message.length, 39_000);
    assert.equal(eventOf({ message: `${'a'.repeat(38_999)}😀` }).message, 'a'.repeat(38_999));
  });

  const groups: readonly (readonly [apiVersion: string, want: string])[] = [
    ['source.toolkit.fluxcd.io/v1beta1', 'source.toolkit.fluxcd.io'],
    ['apps/v1', 'apps'],
    ['v1', ''],
    ['', ''],
  ];
  for (const [apiVersion, want] of groups) {
    it(`of ${JSON.stringify(apiVersion)} are of the group ${JSON.stringify(want)}`, () => {
      assert.equal(eventOf({}, { apiVersion }).involvedObject.group, want);
    });
  }

  const times: readonly (readonly [text: string, want: number | undefined])[] = [
    ['2026-08-07T13:15:53Z', Date.UTC(2026, 7, 7, 13, 15, 53)],
    ['2026-08-07T13:15:53.25Z', Date.UTC(2026, 7, 7, 13, 15, 53, 250)],
    ['2026-08-07T13:15:53.123456789Z', Date.UTC(2026, 7, 7, 13, 15, 53, 123)],
    ['2026-08-07T15:15:53+02:00', Date.UTC(2026, 7, 7, 13, 15, 53)],
    ['2026-99-07T13:15:53Z', undefined],
    ['2026-08-07T13:15:53', undefined],
    ['2026-08-07', undefined],
    ['Fri, 07 Aug 2026 13:15:53 GMT', undefined],
    ['1786108553', undefined],
    ['', undefined],
  ];
  for (const [timestamp, want] of times) {
    it(`of ${JSON.stringify(timestamp)} are ${want === undefined ? 'of no time' : 'of that time'}`, () => {
      assert.equal(eventOf({ timestamp }).timestamp, want);
    });
  }

  it('have metadata by any name', () => {
    const event = eventOf({ metadata: { toString: 'a', 'source.toolkit.fluxcd.io/revision': 'b' } });
    assert.equal(event.metadata.get('toString'), 'a');
    assert.equal(event.metadata.get('source.toolkit.fluxcd.io/revision'), 'b');
    assert.equal(event.metadata.get('revision'), undefined);
  });

  it('are told from what Git hosts post', () => {
    assert.equal(isFluxEvent(bodyOf(whole)), true);
    assert.equal(isFluxEvent(bodyOf({ ...whole, involvedObject: {} })), true);
    assert.equal(isFluxEvent(bodyOf({ ref: 'refs/heads/main', repository: {} })), false);
    assert.equal(isFluxEvent(bodyOf({ ...whole, involvedObject: 'web' })), false);
    assert.equal(isFluxEvent(bodyOf({ ...whole, reportingController: undefined })), false);
    assert.equal(isFluxEvent(bodyOf({})), false);
  });
});
