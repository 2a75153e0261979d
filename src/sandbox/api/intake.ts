/** What a client sent becomes an object of its kind: decoded by the schema, unknown fields dropped, named or refused. */
import { apiVersionOf, type Json, type JsonObject, type KubeObject } from '../object.ts';
import { goText } from '../patch/go.ts';
import { badRequest, invalid, StatusError } from '../status.ts';
import { mistakenIdentity } from './decode.ts';
import { JsonProblem, requireShallow } from './json.ts';
import type { Kind, Registry, ServedVersion } from './kind.ts';
import type { FieldValidation } from './options.ts';

/** How an object came, and who is told what is odd about it. */
export interface Intake {
  readonly kind: Kind;
  readonly served: ServedVersion;
  readonly fieldValidation: FieldValidation;
  /** What the decoder found already: fields that stand there twice. */
  readonly problems: readonly string[];
  /** Of a patch: an object with the fields that it writes to. */
  readonly touched?: Json;
  /** Of a strategic merge patch, which is converted without passing through JSON: other words for what does not fit. */
  readonly isStrategic?: boolean;
  warn(text: string): void;
}

/**
 * Decodes in place by the schema of the kind. Throws a 400 StatusError for a value that has no place in it, and with
 * `Strict` for unknown fields and for those that stand there twice.
 */
export function takeIn(object: KubeObject, intake: Intake): void {
  const { kind, served, fieldValidation, problems, warn } = intake;
  const unknown = served.schema.prune(object).map((path) => `unknown field ${JSON.stringify(path)}`);
  if (fieldValidation === 'Ignore') return;
  // The decoder of built-in kinds meets unknown fields on its way; for the others pruning comes last, as it does for what
  // a patch has made.
  const isAfter = kind.custom || intake.touched !== undefined;
  const found = isAfter ? [...problems, ...unknown] : [...unknown, ...problems];
  if (found.length === 0) return;
  if (fieldValidation === 'Strict') {
    throw badRequest(`${cannotBeHandled(object, kind, served)}strict decoding error: ${strictText(found)}`);
  }
  for (const problem of found) warn(problem);
}

/** Problems of YAML, one a line, stand together. */
function strictText(found: readonly string[]): string {
  const isYaml = (problem: string) => problem.startsWith('line ');
  const lines = found.filter(isYaml).map((problem) => `\n  ${problem}`);
  const rest = found.filter((problem) => !isYaml(problem));
  return [...(lines.length === 0 ? [] : [`yaml: unmarshal errors:${lines.join('')}`]), ...rest].join(', ');
}

/**
 * The same for what a patch has made. The server answers a patch that leads to something it cannot decode with the whole
 * object and 422, instead of 400.
 */
export function takeInPatched(object: KubeObject, intake: Intake & { readonly registry: Registry }): void {
  const { kind, served, registry } = intake;
  const text = JSON.stringify(object); // decoding works in place, and the answer shows what was to be decoded
  const refuse = (why: string) => {
    const sent = JSON.parse(text) as JsonObject;
    const shown = JSON.stringify(kind.custom ? sorted(sent) : sortedWhere(sent, intake.touched ?? {}));
    return invalid({ group: '', kind: '' }, '', [
      { reason: 'FieldValueInvalid', field: 'patch', message: `Invalid value: ${JSON.stringify(shown)}: ${why}` },
    ]);
  };
  const expected = apiVersionOf({ group: kind.group, version: served.version });
  if (!kind.custom) {
    const wrong = mistakenIdentity(object.apiVersion, object.kind, { kind, expected, registry });
    if (wrong !== undefined) throw nameless(refuse(wrong));
  }
  try {
    requireShallow(text); // each patch may add some levels
    takeIn(object, intake);
  } catch (error) {
    if (error instanceof JsonProblem) throw nameless(refuse(error.message));
    const before = cannotBeHandled(object, kind, served);
    if (error instanceof StatusError && error.message.startsWith(before)) {
      const why = error.message.slice(before.length);
      throw nameless(
        intake.isStrategic === true ? (unconvertible(why, intake.touched ?? null) ?? refuse(why)) : refuse(why),
      );
    }
    throw error;
  }
}

/** Fields by name, as Go writes a map. */
function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  return Object.fromEntries(namesIn(value).map((name) => [name, sorted(value[name] ?? null)]));
}

/** Only what a patch has touched is written anew: the rest keeps the order of its struct. */
function sortedWhere(value: JsonObject, touched: Json): JsonObject {
  return Object.fromEntries(
    namesIn(value).map((name) => {
      const field = value[name] ?? null;
      const below = isObject(touched) ? touched[name] : undefined;
      return [name, isObject(field) && isObject(below ?? null) ? sortedWhere(field, below ?? null) : field];
    }),
  );
}

function namesIn(value: JsonObject): string[] {
  return Object.keys(value).sort();
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What a strategic merge patch gets for a value of another type; undefined for any other complaint. */
function unconvertible(why: string, patch: Json): StatusError | undefined {
  const found = /^json: cannot unmarshal (\w+) into Go struct field \S+ of type (\S+)$/.exec(why);
  if (found === null) return undefined;
  const [, from = '', to = ''] = found;
  const given = { number: 'int64', array: 'slice', object: 'map' }[from] ?? from;
  const complaint = to.startsWith('map[')
    ? `cannot restore map from ${given}`
    : to.startsWith('[]')
      ? `cannot restore slice from ${given}`
      : /^v1\.|\.[A-Z]/.test(to)
        ? `cannot restore struct from: ${given}`
        : `cannot convert ${given} to ${to}`;
  const message = `Invalid value: ${JSON.stringify(goText(patch))}: ${complaint}`;
  return invalid({ group: '', kind: '' }, '', [{ reason: 'FieldValueInvalid', field: 'patch', message }]);
}

function nameless(error: StatusError): StatusError {
  const causes: StatusError['details'] = { causes: error.details?.causes };
  return new StatusError(error.code, error.reason, error.message, causes);
}

function cannotBeHandled(object: KubeObject, kind: Kind, { version }: ServedVersion): string {
  return `${object.kind} in version "${version}" cannot be handled as a ${kind.kind}: `;
}

/**
 * Holds the name and the namespace of an object against those of the request, and fills in the namespace.
 * Throws 400 StatusErrors. `name` is undefined for a create.
 */
export function checkAddress(
  object: KubeObject,
  { kind, namespace, name }: { readonly kind: Kind; readonly namespace: string; readonly name: string | undefined },
): void {
  const { metadata } = object;
  if (name !== undefined) {
    if ((metadata.name ?? '') === '') {
      throw badRequest(`the name of the object (${name} based on URL) was undeterminable: name must be provided`);
    }
    if (metadata.name !== name) {
      throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`);
    }
  }
  const given = metadata.namespace ?? '';
  if (given !== '' && given !== namespace && namespace !== '') {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  if (kind.namespaced) metadata.namespace = namespace;
  else delete metadata.namespace;
}

/** What a client may send at all: an object. */
export function asObject(value: JsonObject): KubeObject {
  const { apiVersion = '', kind = '', metadata } = value;
  return { ...value, apiVersion, kind, metadata: metadata ?? {} } as KubeObject; // of any type until it is taken in
}
