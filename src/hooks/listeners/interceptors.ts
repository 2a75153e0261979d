/**
 * Interceptors: what stands before a trigger and decides whether a delivery is for it. Those of Tekton Triggers that need nobody
 * else are known here by their names and work inside, `cel`, `github`, `gitlab` and `bitbucket`, and `hmac` of our own; a trigger
 * with any other is invalid, since passing it over would let through what it keeps out.
 * https://tekton.dev/docs/triggers/interceptors/
 */
import { type JsonObject, type Json as KubeJson, listOf, objectOf, stringOf } from '../../kube/objects.ts';
import type { CelInputs } from '../cel/engine.ts';
import { firstOf, valuesOf } from '../headers.ts';
import type { Outcome, TriggerResult } from '../outcome.ts';
import type { HookRequest, Json, JsonMap } from '../request.ts';
import { verifySignature, verifyToken } from '../signature.ts';
import type { ListenerWorld } from './world.ts';

/** One interceptor, read. `field` is where it stands, for what is said of it. */
export type Interceptor =
  | {
      readonly is: 'cel';
      readonly field: string;
      readonly filter: string | undefined;
      readonly overlays: readonly { readonly key: readonly string[]; readonly expression: string }[];
    }
  | {
      readonly is: 'sender';
      readonly field: string;
      /** The header that has to name one of `allowed`; undefined: any event is. */
      readonly events: { readonly header: string; readonly allowed: readonly string[] } | undefined;
      readonly proof: Proof | undefined;
    };

/** What proves who sent a delivery. */
interface Proof {
  readonly by: 'signature' | 'token';
  readonly header: string;
  readonly secretName: string;
  readonly secretKey: string;
}

/** How each of the senders that are known says who it is, and of what. */
const SENDERS: ReadonlyMap<
  string,
  { readonly by: Proof['by']; readonly proof: string; readonly event: string | undefined }
> = new Map([
  ['github', { by: 'signature', proof: 'X-Hub-Signature-256', event: 'X-GitHub-Event' }],
  ['gitlab', { by: 'token', proof: 'X-Gitlab-Token', event: 'X-Gitlab-Event' }],
  ['bitbucket', { by: 'signature', proof: 'X-Hub-Signature', event: 'X-Event-Key' }],
  ['hmac', { by: 'signature', proof: 'X-Signature', event: undefined }],
]);

const KNOWN: readonly string[] = ['cel', ...SENDERS.keys()];
const INSTEAD = `use ${KNOWN.slice(0, -1).join(', ')} or ${KNOWN.at(-1)}`;

/**
 * Reads an interceptor in any of its forms: `ref` and `params`, or a block of its name as v1alpha1 has it. What is wrong with it is
 * added to `mistakes`, and there is none then. Whether its expressions are CEL is not looked at.
 */
export function readInterceptor(json: KubeJson, field: string, mistakes: string[]): Interceptor | undefined {
  const fields = objectOf(json);
  const blocks = [...KNOWN, 'webhook'].filter((name) => fields[name] !== undefined && fields[name] !== null);
  const { name, kind } = objectOf(fields.ref);
  const named = stringOf(name);
  const names = named === undefined ? blocks : [named, ...blocks];
  const [only] = names;
  if (only === undefined || names.length > 1) {
    mistakes.push(
      `${field} ${only === undefined ? 'names no interceptor' : `is ${names.join(' and ')} at once`}; ${INSTEAD}`,
    );
    return undefined;
  }
  if (!KNOWN.includes(only) || (kind ?? 'ClusterInterceptor') !== 'ClusterInterceptor') {
    mistakes.push(`${field}: the interceptor ${shown(only)} is not supported; ${INSTEAD}`);
    return undefined;
  }
  const params = named === undefined ? objectOf(fields[only]) : paramsOf(fields.params);
  const before = mistakes.length;
  const read = only === 'cel' ? readCel(params, field, mistakes) : readSender(only, params, field, mistakes);
  return mistakes.length === before ? read : undefined;
}

function paramsOf(json: KubeJson | undefined): JsonObject {
  return Object.fromEntries(
    listOf(json)
      .map(objectOf)
      .map(({ name, value }) => [stringOf(name) ?? '', value]),
  );
}

function readCel(params: JsonObject, field: string, mistakes: string[]): Interceptor {
  refuseOthers(params, ['filter', 'overlays'], field, mistakes);
  const overlays = itemsOf(params.overlays, `${field}: overlays`, mistakes).map((overlay, place) => {
    const { key, expression } = objectOf(overlay);
    const at = `${field}: overlays[${place}]`;
    return {
      key: dotted(textOf(key, `${at}.key`, mistakes) ?? ''),
      expression: textOf(expression, `${at}.expression`, mistakes) ?? '',
    };
  });
  for (const [place, { key, expression }] of overlays.entries()) {
    if (key.includes('')) mistakes.push(`${field}: overlays[${place}].key is no path such as a.b`);
    if (expression === '') mistakes.push(`${field}: overlays[${place}].expression is missing`);
  }
  return { is: 'cel', field, filter: textOf(params.filter, `${field}: filter`, mistakes), overlays };
}

function readSender(name: string, params: JsonObject, field: string, mistakes: string[]): Interceptor | undefined {
  const sender = SENDERS.get(name);
  if (sender === undefined) return undefined;
  const known = sender.event === undefined ? ['secretRef', 'header'] : ['secretRef', 'eventTypes'];
  refuseOthers(params, known, field, mistakes);
  const header =
    (sender.event === undefined ? textOf(params.header, `${field}: header`, mistakes) : undefined) ?? sender.proof;
  const proof = readProof(params.secretRef, `${field}: secretRef`, { by: sender.by, header }, mistakes);
  if (sender.event === undefined) {
    if (proof === undefined) mistakes.push(`${field}: secretRef is missing`);
    return { is: 'sender', field, events: undefined, proof };
  }
  // None at all is what Triggers reads as "whatever it is"; an empty list allows nothing there.
  const allowed =
    (params.eventTypes ?? null) === null ? undefined : itemsOf(params.eventTypes, `${field}: eventTypes`, mistakes);
  const events = allowed && { header: sender.event, allowed: allowed.filter((type) => typeof type === 'string') };
  return { is: 'sender', field, events, proof };
}

function readProof(
  json: KubeJson | undefined,
  field: string,
  { by, header }: Pick<Proof, 'by' | 'header'>,
  mistakes: string[],
): Proof | undefined {
  if ((json ?? null) === null) return undefined;
  const { secretName, secretKey } = objectOf(json);
  const [name, key] = [stringOf(secretName), stringOf(secretKey)];
  if (name === undefined) mistakes.push(`${field}.secretName is missing`);
  if (key === undefined) mistakes.push(`${field}.secretKey is missing`);
  return { by, header, secretName: name ?? '', secretKey: key ?? '' };
}

/** A parameter that is not known might be one that keeps something out. */
function refuseOthers(params: JsonObject, known: readonly string[], field: string, mistakes: string[]): void {
  for (const [name, value] of Object.entries(params)) {
    const isOff = (value ?? null) === null || objectOf(value).enabled === false;
    if (!known.includes(name) && !isOff) mistakes.push(`${field}: ${shown(name)} is not supported; leave it out`);
  }
}

function itemsOf(json: KubeJson | undefined, field: string, mistakes: string[]): readonly KubeJson[] {
  if ((json ?? null) !== null && !Array.isArray(json)) mistakes.push(`${field} is no list`);
  return listOf(json);
}

function textOf(json: KubeJson | undefined, field: string, mistakes: string[]): string | undefined {
  if ((json ?? null) !== null && typeof json !== 'string') mistakes.push(`${field} is no text`);
  return stringOf(json);
}

/** `a.b\.c` is the key `b.c` in `a`. */
function dotted(text: string): readonly string[] {
  return (text.match(/(?:\\.|[^.\\])+|(?<=^|\.)(?=\.|$)/gs) ?? ['']).map((key) => key.replace(/\\(.)/gs, '$1'));
}

function shown(name: string): string {
  return JSON.stringify(name.slice(0, 100));
}

/** What interceptors made of a delivery: what overlays added to it, or why it is not for the trigger. */
export type Intercepted =
  | { readonly passed: true; readonly extensions: JsonMap }
  | { readonly passed: false; readonly came: Omit<TriggerResult, 'trigger'> };

/** What interceptors look at. */
export interface Interception {
  readonly request: HookRequest;
  /** Of the trigger: its Secrets are there. */
  readonly namespace: string;
  readonly world: Pick<ListenerWorld, 'cel' | 'secret'>;
  readonly signal: AbortSignal;
}

/** Asks one after another, each of which sees what those before it added. Rejects with what `world` rejects with. */
export async function intercept(interceptors: readonly Interceptor[], ground: Interception): Promise<Intercepted> {
  let extensions: JsonMap = {};
  for (const interceptor of interceptors) {
    const came =
      interceptor.is === 'cel' ? await asCel(interceptor, extensions, ground) : await asSender(interceptor, ground);
    if (!came.passed) return came;
    // As Triggers has it: a key that was there before is replaced, whatever lies below it.
    extensions = { ...extensions, ...came.extensions };
  }
  return { passed: true, extensions };
}

async function asCel(
  { field, filter, overlays }: Extract<Interceptor, { is: 'cel' }>,
  extensions: JsonMap,
  { request, namespace, world, signal }: Interception,
): Promise<Intercepted> {
  const inputs: CelInputs = {
    body: request.body,
    header: Object.fromEntries(request.headers),
    extensions,
    requestURL: request.url,
  };
  const expressions = [...(filter === undefined ? [] : [filter]), ...overlays.map(({ expression }) => expression)];
  // All of them at once, since one limit of time holds for them; what the overlays come to counts only behind the filter.
  const results = await world.cel.evaluate(expressions, inputs, {
    secret: (name, key) => world.secret(namespace, name, key),
    owner: namespace,
    signal,
  });
  const [verdict] = filter === undefined ? [] : results;
  if (verdict?.ok === false)
    return stopped('FilterError', `${field}: its filter is an error for what was sent: ${verdict.error}`);
  if (filter !== undefined && verdict?.value !== true) {
    return stopped('NotMatched', `${field}: its filter is not true for what was sent`);
  }
  let added: JsonMap = {};
  for (const [place, { key }] of overlays.entries()) {
    const result = results[place + (filter === undefined ? 0 : 1)];
    if (result?.ok !== true) {
      const why = result?.error ?? 'it was not evaluated';
      return stopped('OverlayError', `${field}: overlays[${place}] is an error for what was sent: ${why}`);
    }
    added = withValue(added, key, result.value);
  }
  return { passed: true, extensions: added };
}

function stopped(reason: string, message: string, outcome: Outcome = 'filtered'): Intercepted {
  return { passed: false, came: { outcome, reason, message } };
}

/** `map` with a value at a path; what is no object on the way there is replaced by one. */
function withValue(map: JsonMap, [key = '', ...rest]: readonly string[], value: Json): JsonMap {
  if (rest.length === 0) return { ...map, [key]: value };
  const below = Object.hasOwn(map, key) ? map[key] : undefined;
  return { ...map, [key]: withValue(isMap(below) ? below : {}, rest, value) };
}

function isMap(value: Json | undefined): value is JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

async function asSender(
  { field, events, proof }: Extract<Interceptor, { is: 'sender' }>,
  { request: { headers, raw }, namespace, world }: Interception,
): Promise<Intercepted> {
  if (events !== undefined && !events.allowed.includes(firstOf(headers, events.header))) {
    return stopped('EventType', `${field}: ${events.header} is none of those that it allows`);
  }
  if (proof === undefined) return { passed: true, extensions: {} };
  const { by, header, secretName, secretKey } = proof;
  const key = await world.secret(namespace, secretName, secretKey);
  // Without the Secret the same work is done, so that its time does not tell that there is none.
  const keys = key === undefined ? [] : [key];
  const values = valuesOf(headers, header);
  const isProven = by === 'signature' ? verifySignature(values, keys, raw) : verifyToken(values, keys);
  if (key === undefined || key.length === 0) {
    return stopped('SecretNotFound', `${field}: there is no Secret ${secretName} with a key ${secretKey}`, 'failed');
  }
  return isProven
    ? { passed: true, extensions: {} }
    : stopped('NotAuthenticated', `${field}: ${header} proves nothing`, 'denied');
}
