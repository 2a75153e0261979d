import assert from 'node:assert/strict';
import { cellsOf, created, objectOf, testKinds, updated } from '../../../test/support/core-kinds.ts';
import type { Kind } from '../api/kind.ts';
import type { JsonObject, KubeObject } from '../object.ts';
import { StatusError } from '../status.ts';

const kind = testKinds().find(({ group }) => group === 'events.k8s.io') as Kind; // kinds.test.ts lists it
const regarding = { kind: 'Pod', name: 'p', namespace: 'x' };
const good = {
  regarding,
  eventTime: '2025-06-01T11:58:00.000000Z',
  reportingController: 'c',
  reportingInstance: 'i',
  action: 'a',
  reason: 'r',
  note: 'n',
  type: 'Normal',
};

function event(fields: JsonObject): KubeObject {
  return { ...objectOf('Event', 'e', fields), apiVersion: 'events.k8s.io/v1' };
}

function refusal(object: KubeObject, old?: KubeObject): string {
  try {
    kind.strategy.validate?.(object, old, '');
    return '';
  } catch (error) {
    assert.ok(error instanceof StatusError);
    return error.message;
  }
}

describe('events of events.k8s.io', () => {
  it('are those of the core group under other names', () => {
    const made = created(kind, event(good));
    const stored = kind.strategy.convert?.(made, 'v1');
    assert.ok(stored !== undefined);
    const { metadata, ...fields } = stored;
    assert.deepEqual(fields, {
      apiVersion: 'v1',
      kind: 'Event',
      involvedObject: regarding,
      eventTime: good.eventTime,
      reportingComponent: 'c',
      reportingInstance: 'i',
      action: 'a',
      reason: 'r',
      message: 'n',
      type: 'Normal',
      source: {},
      firstTimestamp: null,
      lastTimestamp: null,
    });
    assert.deepEqual(kind.strategy.convert?.(stored, 'v1'), made);
  });

  it('of an older writer name nobody who reports', () => {
    const shown = kind.strategy.convert?.(
      objectOf('Event', 'e', { reportingComponent: '', reportingInstance: '', count: 3 }),
      'v1',
    );
    assert.deepEqual(
      { ...shown, metadata: {} },
      { apiVersion: 'events.k8s.io/v1', kind: 'Event', metadata: {}, deprecatedCount: 3 },
    );
  });

  const cases: readonly { name: string; given: JsonObject; want: string }[] = [
    { name: 'a good one', given: good, want: '' },
    { name: 'no time', given: { ...good, eventTime: null }, want: 'Event "e" is invalid: eventTime: Required value' },
    {
      name: 'no reporter',
      given: { ...good, reportingController: 'a b' },
      want: 'reportingController: Invalid value: "a b"',
    },
    {
      name: 'another type',
      given: { ...good, type: 'X' },
      want: 'Event "e" is invalid: type: Invalid value: "": has invalid value: X',
    },
    {
      name: 'what belongs to the older style',
      given: {
        ...good,
        deprecatedCount: 1,
        deprecatedSource: { host: 'h' },
        deprecatedFirstTimestamp: '2025-06-01T11:58:00Z',
      },
      want: 'Event "e" is invalid: [firstTimestamp: Invalid value: "": needs to be unset, count: Invalid value: "": needs to be unset, source: Invalid value: "": needs to be unset]',
    },
    {
      name: 'a series of one',
      given: { ...good, series: { count: 1 } },
      want: 'Event "e" is invalid: [series.count: Invalid value: "": should be at least 2, series.lastObservedTime: Required value]',
    },
  ];
  for (const { name, given, want } of cases) {
    it(name, () => {
      const said = refusal(created(kind, event(given)));
      assert.ok(want === '' ? said === '' : said.includes(want), said);
    });
  }

  it('go on as a series, and change in nothing else', () => {
    const old = created(kind, event(good));
    const series = { count: 2, lastObservedTime: '2025-06-01T11:59:00.000000Z' };
    assert.equal(refusal(updated(kind, { ...old, series }, old), old), '');
    assert.equal(
      refusal(updated(kind, { ...old, note: 'm', reportingController: 'd' }, old), old),
      'Event "e" is invalid: [message: Invalid value: "m": field is immutable, reportingController: Invalid value: "d": field is immutable]',
    );
  });

  it('are shown and selected as the others', () => {
    const made = created(
      kind,
      event({ ...good, series: { count: 4, lastObservedTime: '2025-06-01T11:59:00.000000Z' } }),
    );
    const cells = cellsOf(kind, made);
    assert.deepEqual(
      [cells['Last Seen'], cells.Object, cells.Source, cells.Message, cells.Count],
      ['60s', 'pod/p', 'c, i', 'n', 4],
    );
    const fields = kind.strategy.fields?.(made);
    assert.equal(fields?.['regarding.name'], 'p');
    assert.equal(fields?.reportingController, 'c');
    assert.equal(fields?.source, undefined);
  });
});
