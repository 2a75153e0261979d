/**
 * Query parameters and DeleteOptions, checked as the server checks them.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/
 */
import { notAllowed, notSupported, required, tooLong } from '../core/causes.ts';
import type { JsonObject } from '../object.ts';
import { badRequest, type Cause, invalid, StatusError } from '../status.ts';
import { goQuoted } from './json.ts';

/** What the server does about fields that it does not know, or that stand there twice. */
export type FieldValidation = 'Ignore' | 'Warn' | 'Strict';

/** Of a list or a watch. Selectors are still text: only the kind knows what they may ask for. */
export interface ListOptions {
  readonly labelSelector: string;
  readonly fieldSelector: string;
  /** 0: everything at once. */
  readonly limit: number;
  readonly continue: string;
  /** '' when none was given. */
  readonly resourceVersion: string;
  readonly match: '' | 'Exact' | 'NotOlderThan';
  readonly watch: boolean;
  readonly timeoutSeconds: number | undefined;
  readonly bookmarks: boolean;
  readonly sendInitialEvents: boolean;
}

/** Of a create, an update or a patch. */
export interface WriteParameters {
  readonly dryRun: boolean;
  readonly fieldManager: string;
  readonly fieldValidation: FieldValidation;
}

/** Of a delete. */
export interface DeleteParameters {
  readonly dryRun: boolean;
  readonly gracePeriodSeconds: number | undefined;
  readonly propagation: 'Background' | 'Foreground' | 'Orphan' | undefined;
  /** The old way to say it: true orphans, false does not. */
  readonly orphanDependents: boolean | undefined;
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
}

/** Reads those of a list or watch. Throws 400 and 422 StatusErrors. */
export function listOptions(query: URLSearchParams): ListOptions {
  const limit = integerIn(query, 'limit') ?? 0;
  const timeoutSeconds = integerIn(query, 'timeoutSeconds');
  const watch = flagIn(query, 'watch');
  const sendInitialEvents = query.has('sendInitialEvents') ? flagIn(query, 'sendInitialEvents') : undefined;
  const resourceVersion = query.get('resourceVersion') ?? '';
  const match = query.get('resourceVersionMatch') ?? '';
  const from = query.get('continue') ?? '';
  const causes = checkMatch({ watch, sendInitialEvents, resourceVersion, match, continue: from });
  if (causes.length > 0) throw invalidOptions('ListOptions', causes);
  return {
    labelSelector: query.get('labelSelector') ?? '',
    fieldSelector: query.get('fieldSelector') ?? '',
    limit: Math.max(limit, 0),
    continue: from,
    resourceVersion,
    match: match as ListOptions['match'], // checked above
    watch,
    timeoutSeconds,
    bookmarks: flagIn(query, 'allowWatchBookmarks'),
    sendInitialEvents: sendInitialEvents ?? false,
  };
}

interface Match {
  readonly watch: boolean;
  readonly sendInitialEvents: boolean | undefined;
  readonly resourceVersion: string;
  readonly match: string;
  readonly continue: string;
}

function checkMatch(options: Match): Cause[] {
  return options.watch ? checkWatchMatch(options) : checkListMatch(options);
}

function checkWatchMatch({ sendInitialEvents, match, continue: from }: Match): Cause[] {
  const at = 'resourceVersionMatch';
  const causes: Cause[] = [];
  if (sendInitialEvents !== undefined && match !== 'NotOlderThan') {
    causes.push(notAllowed(at, 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'));
  }
  if (match !== '') {
    if (sendInitialEvents === undefined) {
      causes.push(notAllowed(at, 'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided'));
    }
    if (match !== 'NotOlderThan') causes.push(notSupported(at, match, ['NotOlderThan']));
  }
  if (from !== '') causes.push(notAllowed(at, 'resourceVersionMatch is forbidden when continue is provided'));
  return causes;
}

function checkListMatch({ sendInitialEvents, resourceVersion, match, continue: from }: Match): Cause[] {
  const at = 'resourceVersionMatch';
  const causes: Cause[] = [];
  if (sendInitialEvents !== undefined) {
    causes.push(notAllowed('sendInitialEvents', 'sendInitialEvents is forbidden for list'));
  }
  if (match === '') return causes;
  if (resourceVersion === '') {
    causes.push(notAllowed(at, 'resourceVersionMatch is forbidden unless resourceVersion is provided'));
  }
  if (from !== '') causes.push(notAllowed(at, 'resourceVersionMatch is forbidden when continue is provided'));
  if (match !== 'Exact' && match !== 'NotOlderThan') {
    causes.push(notSupported(at, match, ['Exact', 'NotOlderThan', '']));
  } else if (match === 'Exact' && resourceVersion === '0') {
    causes.push(notAllowed(at, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'));
  }
  return causes;
}

/** Reads those of a create, update or patch; `kind` is CreateOptions, UpdateOptions or PatchOptions. */
export function writeParameters(
  kind: 'CreateOptions' | 'UpdateOptions' | 'PatchOptions',
  query: URLSearchParams,
  { isApply }: { readonly isApply: boolean } = { isApply: false },
): WriteParameters {
  const fieldManager = query.get('fieldManager') ?? '';
  const fieldValidation = query.get('fieldValidation') ?? '';
  const causes: Cause[] = [];
  if (isApply && fieldManager === '') causes.push(required('fieldManager', 'is required for apply patch'));
  if (kind === 'PatchOptions' && !isApply && query.has('force')) {
    causes.push(notAllowed('force', 'may not be specified for non-apply patch'));
  }
  causes.push(...checkManager(fieldManager), ...checkDryRun(query.getAll('dryRun')));
  if (!['', 'Ignore', 'Warn', 'Strict'].includes(fieldValidation)) {
    causes.push(notSupported('fieldValidation', fieldValidation, ['', 'Ignore', 'Strict', 'Warn']));
  }
  if (causes.length > 0) throw invalidOptions(kind, causes);
  return {
    dryRun: query.getAll('dryRun').length > 0,
    fieldManager,
    fieldValidation: fieldValidation === '' ? 'Warn' : (fieldValidation as FieldValidation), // checked above
  };
}

/** Whether an apply takes fields from other managers. */
export function isForced(query: URLSearchParams): boolean {
  return flagIn(query, 'force');
}

/** Reads those of a delete: the body's, or where there is none the query's. */
export function deleteParameters(query: URLSearchParams, body: JsonObject | undefined): DeleteParameters {
  return body === undefined ? fromQuery(query) : fromBody(body);
}

function fromQuery(query: URLSearchParams): DeleteParameters {
  return checkedDelete({
    dryRun: query.getAll('dryRun'),
    gracePeriodSeconds: integerIn(query, 'gracePeriodSeconds'),
    propagation: query.get('propagationPolicy') ?? undefined,
    orphanDependents: query.has('orphanDependents') ? flagIn(query, 'orphanDependents') : undefined,
    uid: undefined,
    resourceVersion: undefined,
  });
}

function fromBody(body: JsonObject): DeleteParameters {
  const given = <T>(value: unknown, field: string, type: string, is: (value: unknown) => value is T): T | undefined => {
    if (value === undefined || value === null) return undefined;
    if (is(value)) return value;
    const found = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;
    const why = `json: cannot unmarshal ${found} into Go struct field DeleteOptions.${field} of type ${type}`;
    throw new StatusError(500, '', why);
  };
  const preconditions = given(body.preconditions, 'preconditions', 'v1.Preconditions', isObject);
  return checkedDelete({
    dryRun: given(body.dryRun, 'dryRun', '[]string', isTexts) ?? [],
    gracePeriodSeconds: given(body.gracePeriodSeconds, 'gracePeriodSeconds', 'int64', isNumber),
    propagation: given(body.propagationPolicy, 'propagationPolicy', 'v1.DeletionPropagation', isText),
    orphanDependents: given(body.orphanDependents, 'orphanDependents', 'bool', isFlag),
    uid: given(preconditions?.uid, 'preconditions.uid', 'types.UID', isText),
    resourceVersion: given(preconditions?.resourceVersion, 'preconditions.resourceVersion', 'string', isText),
  });
}

const PROPAGATIONS = ['Foreground', 'Background', 'Orphan'];

function checkedDelete(given: {
  dryRun: readonly string[];
  gracePeriodSeconds: number | undefined;
  propagation: string | undefined;
  orphanDependents: boolean | undefined;
  uid: string | undefined;
  resourceVersion: string | undefined;
}): DeleteParameters {
  const { propagation, orphanDependents } = given;
  const at = 'propagationPolicy';
  const causes: Cause[] = [];
  if (propagation !== undefined && orphanDependents !== undefined) {
    const why = 'orphanDependents and deletionPropagation cannot be both set';
    causes.push({
      reason: 'FieldValueInvalid',
      field: at,
      message: `Invalid value: ${JSON.stringify(propagation)}: ${why}`,
    });
  } else if (propagation !== undefined && !PROPAGATIONS.includes(propagation)) {
    causes.push(notSupported(at, propagation, [...PROPAGATIONS, 'nil']));
  }
  causes.push(...checkDryRun(given.dryRun));
  if (causes.length > 0) throw invalidOptions('DeleteOptions', causes);
  return {
    ...given,
    propagation: propagation as DeleteParameters['propagation'], // checked above
    dryRun: given.dryRun.length > 0,
  };
}

function checkManager(manager: string): Cause[] {
  if (Buffer.byteLength(manager) > 128) return [tooLong('fieldManager', 128)];
  const place = [...manager].findIndex((letter) => !/[\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.test(letter));
  if (place < 0) return [];
  const code = ([...manager][place]?.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
  const message = `Invalid value: ${goQuoted(manager)}: invalid character U+${code} (at position ${place})`;
  return [{ reason: 'FieldValueInvalid', field: 'fieldManager', message }];
}

function checkDryRun(given: readonly string[]): Cause[] {
  if (given.every((value) => value === 'All')) return [];
  return [notSupported('dryRun', [...given], ['All'])];
}

function invalidOptions(kind: string, causes: readonly Cause[]): StatusError {
  const error = invalid({ group: 'meta.k8s.io', kind }, '', causes);
  const { name: _, ...details } = error.details ?? {};
  return new StatusError(error.code, error.reason, error.message, details);
}

/** A resourceVersion as the server parses it. Throws what `refuse` makes of Go's complaint. */
export function parseVersion(text: string, refuse: (why: string) => StatusError): number {
  if (text === '') return 0;
  if (!/^\d+$/.test(text)) throw refuse(`strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Number(text);
}

function integerIn(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (!/^[+-]?\d+$/.test(text)) throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Number(text);
}

/** Whatever is not said to be false is true, as long as it is there at all. */
function flagIn(query: URLSearchParams, name: string): boolean {
  const text = query.get(name);
  return text !== null && text.toLowerCase() !== 'false' && text !== '0';
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(isText);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number';
}

function isFlag(value: unknown): value is boolean {
  return typeof value === 'boolean';
}
