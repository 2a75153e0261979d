/** From the bytes of a request to an object of the kind that was asked for, or to the server's refusal. */
import { type Document, isScalar, LineCounter, parseDocument, visit } from 'yaml';
import { apiVersionOf, groupVersionOf, type Json, type JsonObject, type KubeObject } from '../object.ts';
import { badRequest, StatusError } from '../status.ts';
import { duplicateFields, JsonProblem, parseJson, requireShallow, typeNameOf } from './json.ts';
import type { Kind, Registry, ServedVersion } from './kind.ts';
import { PROTOBUF, readProtobuf } from './protobuf.ts';

/** What a request has in its body. */
export interface Body {
  readonly bytes: Buffer;
  /** As the client wrote it; '' for none. */
  readonly contentType: string;
}

/** A decoded body. `problems` are those that `fieldValidation` decides about. */
export interface Decoded<T> {
  readonly value: T;
  readonly problems: readonly string[];
}

const MEDIA_TYPES = ['application/json', 'application/yaml'];

/** The media type alone, in lower case. */
export function mediaTypeOf(contentType: string): string {
  return (contentType.split(';')[0] ?? '').trim().toLowerCase();
}

/** 415, with what would have been understood. */
export function unsupportedMediaType(accepted: readonly string[]): StatusError {
  const why = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`;
  return new StatusError(415, 'UnsupportedMediaType', why);
}

/**
 * The object of a create or an update. Core kinds may leave out what the path says already; the others have to say what
 * they are. Throws 400 and 415 StatusErrors.
 */
export function decodeObject(body: Body, kind: Kind, served: ServedVersion, registry: Registry): Decoded<KubeObject> {
  const source = readSource(body, kind);
  const about = unrecognized(body, kind.kind);
  const { value: object, problems } = readObject(source, about);
  checkIdentity(object, { kind, served, registry, about, source });
  const { apiVersion, kind: name, metadata, ...rest } = object;
  // What is not there is the path's; `metadata` may still be of any type, which the schema's decoding finds.
  return { value: { apiVersion, kind: name, metadata: metadata ?? {}, ...rest } as KubeObject, problems };
}

/** What a subresource is sent, which has to be a `kind`. Throws 400 and 415 StatusErrors. */
export function decodeRequest(body: Body, kind: string): JsonObject {
  return readObject(readSource(body), unrecognized(body, kind)).value;
}

/** Makes the refusal of a body that is no `kind`, with how it begins. */
type Unrecognized = (why: string) => StatusError;

function unrecognized({ bytes }: Body, kind: string): Unrecognized {
  return (why) =>
    badRequest(`the object provided is unrecognized (must be of type ${kind}): ${why} (${summary(bytes)})`);
}

/** Go looks for version and kind first, so that is what it says it was doing. */
function readObject(source: Source, about: Unrecognized): Decoded<JsonObject> {
  const versionless = (why: string) => about(`couldn't get version/kind; json parse error: ${why}`);
  const { value, problems } = read(source, source.type === 'yaml' ? about : versionless);
  if (value !== null && !isObject(value)) {
    const type =
      'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }';
    throw versionless(`json: cannot unmarshal ${typeNameOf(value)} into Go value of type ${type}`);
  }
  const object: JsonObject = value ?? {};
  for (const field of ['apiVersion', 'kind']) {
    const given = object[field] ?? '';
    if (typeof given === 'string') continue;
    throw versionless(`json: cannot unmarshal ${typeNameOf(given)} into Go struct field .${field} of type string`);
  }
  return { value: object, problems };
}

interface Identification {
  readonly kind: Kind;
  readonly served: ServedVersion;
  readonly registry: Registry;
  readonly source: Source;
  readonly about: Unrecognized;
}

/** Checks what the object says it is, and fills in what it leaves out. */
function checkIdentity(object: JsonObject, { kind, served, registry, about, source }: Identification): void {
  const expected = apiVersionOf({ group: kind.group, version: served.version });
  const apiVersion = textOf(object.apiVersion);
  const name = textOf(object.kind);
  if (apiVersion.split('/').length > 2) throw about(`unexpected GroupVersion string: ${apiVersion}`);
  if (kind.custom) {
    if (name === '') throw about(`Object 'Kind' is missing in '${source.text}'`);
    if (apiVersion !== expected) {
      const why = `the API version in the data (${apiVersion}) does not match the expected API version (${expected})`;
      throw badRequest(why);
    }
    return;
  }
  object.apiVersion = apiVersion === '' ? expected : apiVersion;
  object.kind = name === '' ? kind.kind : name;
  const wrong = mistakenIdentity(object.apiVersion, object.kind, { kind, expected, registry });
  if (wrong === undefined) return;
  const { version } = groupVersionOf(object.apiVersion);
  throw badRequest(`${object.kind} in version "${version}" cannot be handled as a ${kind.kind}: ${wrong}`);
}

/** Why something that says it is `name` in `apiVersion` is none of this kind; undefined when it is. */
export function mistakenIdentity(
  apiVersion: string,
  name: string,
  { kind, expected, registry }: { kind: Kind; expected: string; registry: Registry },
): string | undefined {
  if (apiVersion === expected && name === kind.kind) return undefined;
  const { group, version } = groupVersionOf(apiVersion);
  const other = registry.findKind(group, name);
  if (other === undefined || other.custom || !other.versions.some((served) => served.version === version)) {
    return `no kind "${name}" is registered for version "${apiVersion}" in scheme "pkg/runtime/scheme.go:110"`;
  }
  const inside = kind.group === '' ? 'core' : (kind.group.split('.')[0] ?? kind.group);
  return `converting (${version}.${name}) to (${inside}.${kind.kind}): unknown conversion`;
}

/** The options of a delete in its body; undefined without a body. Throws 415, and 500 as the server does for what it cannot read. */
export function decodeDeleteOptions(body: Body): JsonObject | undefined {
  if (body.bytes.length === 0) return undefined;
  const source = readSource(body);
  const unreadable = (why: string) => new StatusError(500, '', why);
  const { value } = read(source, (why) => unreadable(`couldn't get version/kind; json parse error: ${why}`));
  if (!isObject(value))
    throw unreadable(
      `couldn't get version/kind; json parse error: json: cannot unmarshal ${typeNameOf(value)} into Go value`,
    );
  const kind = textOf(value.kind) === '' ? 'DeleteOptions' : textOf(value.kind);
  const apiVersion = textOf(value.apiVersion) === '' ? 'meta.k8s.io/v1' : textOf(value.apiVersion);
  if (kind !== 'DeleteOptions') {
    throw unreadable(
      `no kind "${kind}" is registered for version "${apiVersion}" in scheme "pkg/runtime/scheme.go:110"`,
    );
  }
  return value;
}

/** The text of a patch as JSON. Throws a 400 StatusError; that of a strategic merge patch says less. */
export function decodePatch(body: Body, { isStrategic = false } = {}): Decoded<Json> {
  const source: Source = { type: 'json', text: body.bytes.toString('utf8') };
  return read(source, (why) => badRequest(isStrategic ? why : `error decoding patch: ${why}`));
}

/** The configuration of an apply, which is YAML. Throws a 400 StatusError. */
export function decodeApply(body: Body): Decoded<JsonObject> {
  const source: Source = { type: 'yaml', text: body.bytes.toString('utf8') };
  const { value, problems } = read(source, (why) => {
    const line = /line |^yaml: document/.test(why) ? why : why.replace(/^yaml: /, 'yaml: line 1: ');
    return badRequest(`error decoding YAML: error converting YAML to JSON: ${line}`);
  });
  if (isObject(value)) return { value, problems };
  const why = `json: cannot unmarshal ${typeNameOf(value)} into Go value of type map[string]interface {}`;
  throw badRequest(`error decoding YAML: error unmarshaling JSON: while decoding JSON: ${why}`);
}

interface Source {
  readonly type: 'json' | 'yaml';
  readonly text: string;
}

/** Only kinds from CRDs cannot be sent as protobuf. */
function readSource({ bytes, contentType }: Body, kind?: Kind): Source {
  const type = mediaTypeOf(contentType);
  if (type === PROTOBUF && kind?.custom !== true) return { type: 'json', text: JSON.stringify(readProtobuf(bytes)) };
  const text = bytes.toString('utf8');
  if (type === '' || type === 'application/json') return { type: 'json', text };
  if (type === 'application/yaml') return { type: 'yaml', text };
  throw unsupportedMediaType(kind?.custom === true ? MEDIA_TYPES : [...MEDIA_TYPES, PROTOBUF]);
}

function read({ type, text }: Source, refuse: (why: string) => StatusError): Decoded<Json> {
  try {
    if (type === 'yaml') return readYaml(text);
    const value = parseJson(text);
    return { value, problems: duplicateFields(text).map((path) => `duplicate field ${JSON.stringify(path)}`) };
  } catch (error) {
    if (error instanceof JsonProblem) throw refuse(error.message);
    throw error;
  }
}

/** YAML 1.1, in which `yes` and `on` are booleans: that is what the server's decoder speaks. */
function readYaml(text: string): Decoded<Json> {
  const lines = new LineCounter();
  // Looking for duplicates is left to us: the library compares each key with all before it.
  const document = parseDocument(text, { version: '1.1', uniqueKeys: false, merge: true, lineCounter: lines });
  const [error] = document.errors;
  if (error !== undefined) {
    const { code, linePos, message, pos } = error;
    const line = linePos?.[0].line ?? 1;
    const why = flowComplaint(message, text, pos[0]) ?? YAML_COMPLAINTS[code] ?? message.split('\n')[0];
    // Lines are counted from 0 there, and the first is not named.
    throw new JsonProblem(line === 1 ? `yaml: ${why}` : `yaml: line ${line - 1}: ${why}`);
  }
  const json = JSON.stringify(contentOf(document) ?? null);
  requireShallow(json);
  return { value: JSON.parse(json) as Json, problems: duplicateKeys(document, lines) }; // whatever YAML had, JSON it is now
}

/** The value of a document, unless its aliases make much of little. */
function contentOf(document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    if (error instanceof ReferenceError) throw new JsonProblem('yaml: document contains excessive aliasing');
    throw error;
  }
}

/** Keys that stand in their map already, in the order of the text. */
function duplicateKeys(document: Document, lines: LineCounter): string[] {
  const found: { readonly line: number; readonly key: string }[] = [];
  visit(document, {
    Map(_, { items }) {
      const known = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        if (known.has(key.value)) {
          found.push({ line: lines.linePos(key.range?.[0] ?? 0).line, key: key.source ?? String(key.value) });
        }
        known.add(key.value);
      }
    },
  });
  return found
    .sort((a, b) => a.line - b.line)
    .map(({ line, key }) => `line ${line}: key ${JSON.stringify(key)} already set in map`);
}

/** What is wrong within brackets or braces. */
function flowComplaint(message: string, text: string, at: number): string | undefined {
  const bracket = /flow (sequence|seq)/i.test(message) ? ']' : /flow map/i.test(message) ? '}' : undefined;
  if (bracket === undefined) return undefined;
  const isEmpty = /[[{,]\s*$/.test(text.slice(0, at).replace(/[\]}]\s*$/, ''));
  return isEmpty ? 'did not find expected node content' : `did not find expected ',' or '${bracket}'`;
}

/** The commonest mistakes, in the words of Go's YAML. */
const YAML_COMPLAINTS: { readonly [code: string]: string } = {
  BAD_INDENT: 'did not find expected key',
  TAB_AS_INDENT: 'found character that cannot start any token',
  BLOCK_AS_IMPLICIT_KEY: 'mapping values are not allowed in this context',
  MULTILINE_IMPLICIT_KEY: "could not find expected ':'",
  RESOURCE_EXHAUSTION: 'exceeded max depth of 10000',
};

function summary(bytes: Buffer): string {
  const MAX = 30;
  if (bytes.length === 0) return '<empty>';
  const isShort = bytes.length <= MAX;
  const start = bytes.subarray(0, MAX);
  const shown = bytes[0] === 0x7b ? start.toString('utf8') : start.toString('hex');
  return isShort ? shown : `${shown} ...`;
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
