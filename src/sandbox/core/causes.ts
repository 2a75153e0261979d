/**
 * What is wrong with one field, in the server's sentences.
 * https://pkg.go.dev/k8s.io/apimachinery/pkg/util/validation/field
 */
import type { Json } from '../object.ts';
import type { Cause, CauseReason } from '../status.ts';

/** Nothing is there where something has to be. */
export function required(field: string, detail = ''): Cause {
  return cause('FieldValueRequired', field, 'Required value', detail);
}

/** The value breaks a rule; `detail` says which. A value that the client never sees in full is given as its stand-in. */
export function invalidValue(field: string, value: Json | undefined, detail: string): Cause {
  return cause('FieldValueInvalid', field, `Invalid value: ${shown(value)}`, detail);
}

/** The value is none of those allowed. The server names them in alphabetical order where it keeps them in a set. */
export function notSupported(field: string, value: Json | undefined, supported: readonly string[]): Cause {
  const detail = supported.length === 0 ? '' : `supported values: ${supported.map((one) => shown(one)).join(', ')}`;
  return cause('FieldValueNotSupported', field, `Unsupported value: ${shown(value)}`, detail);
}

/** The value stands there twice; the second one is at `field`. */
export function duplicate(field: string, value: Json | undefined): Cause {
  return cause('FieldValueDuplicate', field, `Duplicate value: ${shown(value)}`, '');
}

/** What is named is not there. */
export function notThere(field: string, value: Json | undefined): Cause {
  return cause('FieldValueNotFound', field, `Not found: ${shown(value)}`, '');
}

/** The field may not be set, or not be changed, here. */
export function notAllowed(field: string, detail: string): Cause {
  return cause('FieldValueForbidden', field, 'Forbidden', detail);
}

/** More bytes than fit. */
export function tooLong(field: string, maxBytes: number): Cause {
  return cause(
    'FieldValueTooLong',
    field,
    'Too long',
    `may not be more than ${maxBytes} ${maxBytes === 1 ? 'byte' : 'bytes'}`,
  );
}

/** `field is immutable`, with the value that was refused. */
export function immutable(field: string, value: Json | undefined): Cause {
  return invalidValue(field, value, 'field is immutable');
}

function cause(reason: CauseReason, field: string, body: string, detail: string): Cause {
  return { reason, field, message: detail === '' ? body : `${body}: ${detail}` };
}

function shown(value: Json | undefined): string {
  return value === undefined ? 'null' : JSON.stringify(value);
}
