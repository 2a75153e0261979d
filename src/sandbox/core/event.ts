/** Events of the core group. https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/ */
import type { Column, Kind } from '../api/kind.ts';
import type { JsonObject, KubeObject } from '../object.ts';
import { int32, text } from '../schema/node.ts';
import type { Cause } from '../status.ts';
import { builtin } from './builtin.ts';
import { invalidValue, required } from './causes.ts';
import { age, column } from './columns.ts';
import { dnsSubdomain, formatted, pathSegment, qualifiedName } from './formats.ts';
import { isObject, numberIn, objectIn, textIn } from './reading.ts';
import { objectReference } from './shapes/meta.ts';
import { always, microTime, struct, time } from './typed.ts';

const eventSeries = struct('EventSeries', { count: int32(), lastObservedTime: always(microTime()) });
/** Who says so. */
export const eventSource = struct('EventSource', { component: text(), host: text() });

/** `events`. */
export function eventKind(): Kind {
  return builtin({
    group: '',
    version: 'v1',
    kind: 'Event',
    plural: 'events',
    shortNames: ['ev'],
    namespaced: true,
    createsOnUpdate: true,
    fields: {
      involvedObject: always(objectReference),
      reason: text(),
      message: text(),
      source: always(eventSource),
      firstTimestamp: always(time()),
      lastTimestamp: always(time()),
      count: int32(),
      type: text(),
      eventTime: always(microTime()),
      series: eventSeries,
      action: text(),
      related: objectReference,
      reportingComponent: always(text()),
      reportingInstance: always(text()),
    },
    required: ['metadata', 'involvedObject'],
    columns: eventColumns,
    strategy: {
      names: pathSegment,
      validate: (event) => eventCauses(event, 'reportingComponent'),
      fields: selectableFields,
    },
  });
}

/** Their columns, which have the name last. */
export const eventColumns: readonly Column[] = [
  column('Last Seen', 'Time since it happened last', (event, nowMs) => age(lastSeen(event), nowMs)),
  column('Type', 'Normal or Warning', ({ type }) => textIn(type)),
  column('Reason', 'What happened, in a word', ({ reason }) => textIn(reason)),
  column('Object', 'To whom it happened', target),
  column('Subobject', 'To which part of it', ({ involvedObject }) => textIn(objectIn(involvedObject).fieldPath), {
    wide: true,
  }),
  column('Source', 'Who says so', sourceOf, { wide: true }),
  column('Message', 'What happened', ({ message }) => textIn(message).trim()),
  column('First Seen', 'Time since it happened first', (event, nowMs) => age(firstSeen(event), nowMs), {
    wide: true,
  }),
  column('Count', 'How often it happened', ({ series, count }) => timesSeen(series, count), { wide: true }),
  { ...column('Name', 'Name of the event', ({ metadata }) => metadata.name, { wide: true }), format: 'name' },
];

function lastSeen(event: KubeObject): JsonObject[string] {
  if (isObject(event.series)) return event.series.lastObservedTime;
  return event.lastTimestamp ?? firstSeen(event);
}

function firstSeen({ firstTimestamp, eventTime }: KubeObject): JsonObject[string] {
  return firstTimestamp ?? eventTime;
}

function timesSeen(series: JsonObject[string], count: JsonObject[string]): number {
  return isObject(series) ? numberIn(series.count) : numberIn(count) || 1;
}

function target({ involvedObject }: KubeObject): string {
  const { kind, name } = objectIn(involvedObject);
  return [textIn(kind).toLowerCase(), textIn(name)].filter((part, place) => place === 0 || part !== '').join('/');
}

function sourceOf({ source, reportingComponent, reportingInstance }: KubeObject): string {
  const { component, host } = objectIn(source);
  const instance = textIn(host) || textIn(reportingInstance);
  return `${textIn(component) || textIn(reportingComponent)}${instance === '' ? '' : `, ${instance}`}`;
}

/** What events are selected by. */
export function selectableFields({ involvedObject, reason, reportingComponent, source, type }: KubeObject): {
  readonly [path: string]: string;
} {
  const involved = objectIn(involvedObject);
  const fields = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'];
  return {
    ...Object.fromEntries(fields.map((field) => [`involvedObject.${field}`, textIn(involved[field])])),
    reason: textIn(reason),
    reportingComponent: textIn(reportingComponent),
    source: textIn(objectIn(source).component) || textIn(reportingComponent),
    type: textIn(type),
  };
}

/** Everything wrong with an event; `reporter` is what the group it is written in calls who reports it. */
export function eventCauses(event: KubeObject, reporter: string): Cause[] {
  const causes = (event.eventTime ?? null) === null ? placeCauses(event) : newStyleCauses(event, reporter);
  return [...causes, ...formatted('namespace', event.metadata.namespace ?? '', dnsSubdomain)];
}

function placeCauses({ metadata, involvedObject }: KubeObject): Cause[] {
  const namespace = textIn(objectIn(involvedObject).namespace);
  const own = metadata.namespace ?? '';
  const agrees = namespace === '' ? own === '' || own === 'default' : own === namespace;
  return agrees ? [] : [misplaced(namespace)];
}

/** Events that say when they happened have to say more. */
function newStyleCauses(event: KubeObject, reporter: string): Cause[] {
  const causes: Cause[] = [];
  const namespace = textIn(objectIn(event.involvedObject).namespace);
  if (namespace === '' && !['default', 'kube-system'].includes(event.metadata.namespace ?? '')) {
    causes.push(misplaced(namespace));
  }
  const reporting = textIn(event.reportingComponent);
  if (reporting === '') causes.push(required(reporter));
  causes.push(...formatted(reporter, reporting, qualifiedName));
  for (const field of ['reportingInstance', 'action', 'reason'] as const) {
    const value = textIn(event[field]);
    if (value === '') causes.push(required(field));
    if (Buffer.byteLength(value) > 128) causes.push(invalidValue(field, '', 'can have at most 128 characters'));
  }
  if (Buffer.byteLength(textIn(event.message)) > 1024) {
    causes.push(invalidValue('message', '', 'can have at most 1024 characters'));
  }
  return causes;
}

function misplaced(namespace: string): Cause {
  return invalidValue('involvedObject.namespace', namespace, 'does not match event.namespace');
}
