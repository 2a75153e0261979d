/** Errors as a Kubernetes API server says them: a Status object with a reason and a code. */
import type { JsonObject } from './object.ts';

/** One thing wrong with one field, `details.causes[]`. `reason` is FieldValueRequired, FieldValueInvalid and so on. */
export interface Cause {
  readonly reason: CauseReason;
  readonly field: string;
  readonly message: string;
}

/** https://github.com/kubernetes/apimachinery/blob/master/pkg/util/validation/field/errors.go */
export type CauseReason =
  | 'FieldValueNotFound'
  | 'FieldValueRequired'
  | 'FieldValueDuplicate'
  | 'FieldValueInvalid'
  | 'FieldValueNotSupported'
  | 'FieldValueForbidden'
  | 'FieldValueTooLong'
  | 'FieldValueTooMany'
  | 'InternalError'
  | 'FieldValueTypeInvalid'
  | 'FieldManagerConflict'
  | 'UnexpectedServerResponse';

/** The `details` of a Status. */
export interface StatusDetails {
  readonly name?: string | undefined;
  readonly group?: string | undefined;
  readonly kind?: string | undefined;
  readonly uid?: string | undefined;
  readonly causes?:
    | readonly { readonly reason?: string; readonly message?: string; readonly field?: string }[]
    | undefined;
  readonly retryAfterSeconds?: number | undefined;
}

/** Which resource an error is about: the plural and group of `details`. */
export interface Subject {
  readonly group: string;
  readonly plural: string;
}

/** Thrown by whatever refuses; the server's edge turns it into the answer. Anything else thrown is a 500. */
export class StatusError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly details: StatusDetails | undefined;

  constructor(code: number, reason: string, message: string, details?: StatusDetails) {
    super(message);
    this.name = 'StatusError';
    this.code = code;
    this.reason = reason;
    this.details = details;
  }

  /** The Status object that goes over the wire. */
  toStatus(): JsonObject {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      ...(this.reason === '' ? {} : { reason: this.reason }),
      ...(this.details === undefined ? {} : { details: JSON.parse(JSON.stringify(this.details)) as JsonObject }),
      code: this.code,
    };
  }
}

/** `pods "x" not found`; with its group: `pipelineruns.tekton.dev "x" not found`. */
export function notFound(subject: Subject, name: string): StatusError {
  return new StatusError(404, 'NotFound', `${qualified(subject)} ${quoted(name)} not found`, about(subject, name));
}

/** 409, the name is taken. */
export function alreadyExists(subject: Subject, name: string): StatusError {
  const text = `${qualified(subject)} ${quoted(name)} already exists`;
  return new StatusError(409, 'AlreadyExists', text, about(subject, name));
}

/** 409, somebody wrote first, or a precondition does not hold. */
export function conflict(subject: Subject, name: string, why: string): StatusError {
  const text = `Operation cannot be fulfilled on ${qualified(subject)} ${quoted(name)}: ${why}`;
  return new StatusError(409, 'Conflict', text, about(subject, name));
}

/** 409 as an update with an old resourceVersion gets it. */
export function outdated(subject: Subject, name: string): StatusError {
  const why = 'the object has been modified; please apply your changes to the latest version and try again';
  return conflict(subject, name, why);
}

/** 422 with its causes; `kind` with its group as the server says it: `PipelineRun.tekton.dev "x" is invalid: ...`. */
export function invalid(
  kind: { readonly group: string; readonly kind: string },
  name: string,
  causes: readonly Cause[],
): StatusError {
  const texts = [...new Set(causes.map(({ field, message }) => `${field}: ${message}`))];
  const list = texts.length === 1 ? (texts[0] ?? '') : `[${texts.join(', ')}]`;
  const full = kind.group === '' ? kind.kind : `${kind.kind}.${kind.group}`;
  return new StatusError(422, 'Invalid', `${full} ${quoted(name)} is invalid: ${list}`, {
    ...(name === '' ? {} : { name }),
    ...(kind.group === '' ? {} : { group: kind.group }),
    ...(kind.kind === '' ? {} : { kind: kind.kind }),
    causes: causes.map(({ reason, message, field }) => ({ reason, message, field })),
  });
}

/** 400. */
export function badRequest(message: string): StatusError {
  return new StatusError(400, 'BadRequest', message);
}

/** 401. */
export function unauthorized(): StatusError {
  return new StatusError(401, 'Unauthorized', 'Unauthorized');
}

/** 403 with the server's sentence; `why` follows the colon. */
export function forbidden(subject: Subject, name: string, why: string): StatusError {
  const what = name === '' ? qualified(subject) : `${qualified(subject)} ${quoted(name)}`;
  return new StatusError(403, 'Forbidden', `${what} is forbidden: ${why}`, about(subject, name));
}

/** 405. */
export function methodNotAllowed(): StatusError {
  return new StatusError(
    405,
    'MethodNotAllowed',
    'the server does not allow this method on the requested resource',
    {},
  );
}

/** 404 for a path that nothing serves. */
export function noSuchPath(): StatusError {
  return new StatusError(404, 'NotFound', 'the server could not find the requested resource', {});
}

/** 410: what was asked for is no longer remembered. */
export function expired(message: string): StatusError {
  return new StatusError(410, 'Expired', message);
}

/** 500 with the server's own words. */
export function internal(message: string): StatusError {
  return new StatusError(500, 'InternalError', `Internal error occurred: ${message}`, {
    causes: [{ message }],
  });
}

/** A plural with its group, as messages have it. */
export function qualified({ group, plural }: Subject): string {
  return group === '' ? plural : `${plural}.${group}`;
}

function about({ group, plural }: Subject, name: string): StatusDetails {
  return { ...(name === '' ? {} : { name }), ...(group === '' ? {} : { group }), kind: plural };
}

/** As Go's %q writes it. */
function quoted(name: string): string {
  return JSON.stringify(name);
}
