/**
 * Events as the group events.k8s.io has them: the objects of the core group under other names for some of their fields, and
 * stricter rules. https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
 */
import { isDeepStrictEqual } from 'node:util';
import type { Kind } from '../api/kind.ts';
import type { KubeObject } from '../object.ts';
import { int32, text } from '../schema/node.ts';
import { type Cause, invalid } from '../status.ts';
import { builtin } from './builtin.ts';
import { immutable, invalidValue, required } from './causes.ts';
import { eventCauses, eventColumns, eventSource, selectableFields } from './event.ts';
import { pathSegment } from './formats.ts';
import { isObject, numberIn, objectIn, textIn } from './reading.ts';
import { objectReference } from './shapes/meta.ts';
import { always, microTime, struct, time } from './typed.ts';

const group = 'events.k8s.io';

const eventSeries = struct(
  'io.k8s.api.events.v1.EventSeries',
  { count: always(int32()), lastObservedTime: always(microTime()) },
  { required: ['count', 'lastObservedTime'] },
);

/** What each field is called here, and in the core group. */
const names: readonly (readonly [here: string, core: string])[] = [
  ['regarding', 'involvedObject'],
  ['note', 'message'],
  ['reportingController', 'reportingComponent'],
  ['deprecatedSource', 'source'],
  ['deprecatedFirstTimestamp', 'firstTimestamp'],
  ['deprecatedLastTimestamp', 'lastTimestamp'],
  ['deprecatedCount', 'count'],
];

/** `events` of events.k8s.io, over those of the core group. */
export function newEventKind(): Kind {
  return builtin({
    group,
    version: 'v1',
    kind: 'Event',
    plural: 'events',
    shortNames: ['ev'],
    namespaced: true,
    createsOnUpdate: true,
    sharesWith: { group: '', plural: 'events', apiVersion: 'v1' },
    fields: {
      eventTime: always(microTime()),
      series: eventSeries,
      reportingController: text(),
      reportingInstance: text(),
      action: text(),
      reason: text(),
      regarding: always(objectReference),
      related: objectReference,
      note: text(),
      type: text(),
      deprecatedSource: always(eventSource),
      deprecatedFirstTimestamp: always(time()),
      deprecatedLastTimestamp: always(time()),
      deprecatedCount: int32(),
    },
    required: ['eventTime'],
    columns: eventColumns.map((column) => ({ ...column, cell: (event, nowMs) => column.cell(asCore(event), nowMs) })),
    strategy: {
      names: pathSegment,
      convert: (event) => (event.apiVersion === 'v1' ? asHere(event) : asCore(event)),
      validate(event, old) {
        const own = asCore(event);
        const causes = eventCauses(own, 'reportingController');
        causes.push(...(old === undefined ? newCauses(own) : changeCauses(own, asCore(old))));
        // The server refuses it by its kind in the core group.
        if (causes.length > 0) throw invalid({ group: '', kind: 'Event' }, event.metadata.name, causes);
        return [];
      },
      fields(event) {
        const fields = Object.entries(selectableFields(asCore(event))).filter(([field]) => field !== 'source');
        return Object.fromEntries(
          fields.map(([field, value]) => [
            field.replace('involvedObject.', 'regarding.').replace('reportingComponent', 'reportingController'),
            value,
          ]),
        );
      },
    },
  });
}

function asHere(event: KubeObject): KubeObject {
  const renamed = rename(
    event,
    names.map(([here, core]) => [core, here]),
  );
  for (const field of ['reportingController', 'reportingInstance']) if (renamed[field] === '') delete renamed[field];
  return { ...renamed, apiVersion: `${group}/v1`, kind: 'Event', metadata: event.metadata };
}

function asCore(event: KubeObject): KubeObject {
  if (event.apiVersion === 'v1') return event;
  const renamed = rename(event, names);
  const empty = { reportingComponent: '', reportingInstance: '' };
  return { ...empty, ...renamed, apiVersion: 'v1', kind: 'Event', metadata: event.metadata };
}

function rename(
  event: KubeObject,
  pairs: readonly (readonly [string, string])[],
): { [field: string]: KubeObject[string] } {
  const renamed = new Map(pairs);
  return Object.fromEntries(Object.entries(event).map(([field, value]) => [renamed.get(field) ?? field, value]));
}

/** What a new event has to say here, and what it has to leave to the core group. */
function newCauses(event: KubeObject): Cause[] {
  const causes = seriesCauses(event);
  if ((event.eventTime ?? null) === null) causes.push(required('eventTime'));
  const type = textIn(event.type);
  if (type !== 'Normal' && type !== 'Warning') causes.push(invalidValue('type', '', `has invalid value: ${type}`));
  const { component, host } = objectIn(event.source);
  const set = {
    firstTimestamp: (event.firstTimestamp ?? null) !== null,
    lastTimestamp: (event.lastTimestamp ?? null) !== null,
    count: numberIn(event.count) !== 0,
    source: textIn(component) !== '' || textIn(host) !== '',
  };
  for (const [field, isSet] of Object.entries(set))
    if (isSet) causes.push(invalidValue(field, '', 'needs to be unset'));
  return causes;
}

/** Of an event only its series moves on. */
function changeCauses(event: KubeObject, old: KubeObject): Cause[] {
  const causes = isDeepStrictEqual(event.series, old.series) ? [] : seriesCauses(event);
  const fixed = ['involvedObject', 'reason', 'message', 'source', 'firstTimestamp', 'lastTimestamp', 'count', 'type'];
  for (const field of [...fixed, 'eventTime', 'action', 'related']) {
    if (!isDeepStrictEqual(event[field], old[field])) causes.push(immutable(field, event[field]));
  }
  if (event.reportingComponent !== old.reportingComponent) {
    causes.push(immutable('reportingController', event.reportingComponent));
  }
  if (event.reportingInstance !== old.reportingInstance) {
    causes.push(immutable('reportingInstance', event.reportingInstance));
  }
  return causes;
}

function seriesCauses({ series }: KubeObject): Cause[] {
  if (!isObject(series)) return [];
  const causes: Cause[] = [];
  if (numberIn(series.count) < 2) causes.push(invalidValue('series.count', '', 'should be at least 2'));
  if ((series.lastObservedTime ?? null) === null) causes.push(required('series.lastObservedTime'));
  return causes;
}
