/** The verbs of resources over HTTP: parse, ask, shape the answer. */
import { pipeline } from 'node:stream/promises';
import type { Clock } from '../../clock.ts';
import type { Log } from '../../log.ts';
import type { JsonObject, KubeObject, Resource } from '../object.ts';
import { methodNotAllowed, noSuchPath, notFound, qualified, StatusError } from '../status.ts';
import {
  type Body,
  decodeDeleteOptions,
  decodeObject,
  decodeRequest,
  mediaTypeOf,
  unsupportedMediaType,
} from './decode.ts';
import { deleteObject } from './deletion.ts';
import type { Exchange } from './exchange.ts';
import type { Kind, Subresource, SubresourceAnswer, Verb } from './kind.ts';
import { listMeta, readPage, requireReached } from './lists.ts';
import { type Form, formFor, formForWatch, requireKnownType } from './negotiate.ts';
import {
  deleteParameters,
  isForced,
  type ListOptions,
  listOptions,
  parseVersion,
  type WriteParameters,
  writeParameters,
} from './options.ts';
import { PATCH_TYPES, type Patch, readPatch } from './patches.ts';
import { showList, showObject } from './representation.ts';
import type { Asked } from './request.ts';
import { NOT_FOUND, plain } from './roots.ts';
import { selectorFor } from './selectors.ts';
import { objectsOf } from './store.ts';
import { requireVerb, type Target, type VerbParts, type Verbs, type WriteRequest } from './verbs.ts';
import { FrameCache, serveWatch } from './watch.ts';

/** What resources are served with. */
export interface ResourceParts extends VerbParts {
  readonly verbs: Verbs;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  /** Aborts when the server stops. */
  readonly signal: AbortSignal;
}

/** A request for a resource. */
export type ResourceAsked = Extract<Asked, { of: 'resource' }>;

/** Answers it. Throws StatusErrors before anything is sent. */
export type ServeResource = (exchange: Exchange, asked: ResourceAsked) => Promise<void>;

/** Makes the handler of everything below `/api/v1` and `/apis/<group>/<version>`. */
export function resourceServer(parts: ResourceParts): ServeResource {
  const { verbs, registry } = parts;
  const frames = new FrameCache();

  return async (exchange, asked) => {
    const target = targetOf(asked, exchange.method);
    if (target === undefined) return plain(exchange, 404, NOT_FOUND);
    const { name, subresource } = asked;
    if (subresource !== '' && subresource !== 'status') return askSubresource(exchange, asked, target);
    if (!target.kind.custom) requireKnownType(exchange.asking);
    if (subresource === 'status' && !target.kind.statusSubresource) throw noSuchSubresource(asked, target);
    switch (exchange.method) {
      case 'GET':
        if (name !== '') return get(exchange, target, name);
        return asked.isWatch ? watch(exchange, target) : list(exchange, target);
      case 'POST':
        if (subresource !== '' && target.kind.custom) throw notSupportedOn(target.kind, 'create');
        if (name !== '') throw methodNotAllowed();
        return create(exchange, target);
      case 'PUT':
        if (name === '') throw methodNotAllowed();
        return update(exchange, target, name, subresource);
      case 'PATCH':
        if (name === '') throw methodNotAllowed();
        return patch(exchange, target, name, subresource);
      case 'DELETE':
        if (subresource !== '') throw target.kind.custom ? notSupportedOn(target.kind, 'delete') : methodNotAllowed();
        return name === '' ? removeAll(exchange, target) : remove(exchange, target, name);
      default:
        throw methodNotAllowed();
    }
  };

  /** A group that is made of definitions alone knows none but their resources; elsewhere a resource may be missing. */
  function isServed({ group, version, plural }: Resource): boolean {
    const kinds = registry
      .kinds()
      .filter((kind) => kind.group === group && kind.versions.some((one) => one.version === version));
    return kinds.some((kind) => !kind.custom || kind.plural === plural);
  }

  /** Undefined: nothing is served there, and the answer is not even a Status. */
  function targetOf({ resource, namespace, name, tooDeep }: ResourceAsked, method: string): Target | undefined {
    if (!isServed(resource)) return undefined;
    if (tooDeep) throw noSuchPath();
    const target = verbs.target(resource, namespace);
    const { namespaced, custom } = target.kind;
    const isWhole = name === '' && (!custom || method === 'GET');
    if (namespaced ? namespace !== '' || isWhole : namespace === '') return target;
    if (custom) return undefined;
    throw noSuchPath();
  }

  async function get(exchange: Exchange, target: Target, name: string): Promise<void> {
    requireVerb(target.kind, 'get');
    const form = formFor(exchange.asking);
    const text = exchange.query.get('resourceVersion') ?? '';
    const wanted = parseVersion(text, (why) => {
      return new StatusError(500, '', `resourceVersion: Invalid value: ${JSON.stringify(text)}: ${why}`);
    });
    requireReached(wanted, parts.memory.resourceVersion);
    await show(exchange, 200, verbs.get(target, name), target, form);
  }

  async function list(exchange: Exchange, target: Target): Promise<void> {
    requireVerb(target.kind, 'list');
    const form = formFor(exchange.asking);
    const options = listOptions(exchange.query);
    await showPage(exchange, target, options, form);
  }

  async function showPage(exchange: Exchange, target: Target, options: ListOptions, form: Form): Promise<void> {
    const { kind, namespace } = target;
    const collection = objectsOf(parts, kind);
    const page = readPage({ collection, kind, namespace, options, select: selectorFor(options, kind) });
    tellDeprecation(exchange, target);
    const shown = showList(page.objects, listMeta(page, kind), { ...target, as: form.as, now: parts.now() });
    await exchange.send(200, shown, form);
  }

  async function watch(exchange: Exchange, target: Target): Promise<void> {
    requireVerb(target.kind, 'watch');
    const { as } = formForWatch(exchange.asking);
    const options = listOptions(exchange.query);
    const { kind, served, namespace } = target;
    await serveWatch({
      kind,
      served,
      namespace,
      collection: objectsOf(parts, kind),
      options,
      select: selectorFor(options, kind),
      as: as.kind === 'metadata' ? { ...as, isList: false } : as,
      response: exchange.response,
      clock: parts.clock,
      log: parts.log,
      frames,
      faults: parts.faults,
      random: parts.random,
      signal: parts.signal,
    });
  }

  async function create(exchange: Exchange, target: Target): Promise<void> {
    requireVerb(target.kind, 'create');
    if (target.kind.namespaced && target.namespace === '') throw methodNotAllowed();
    const form = formFor(exchange.asking);
    const parameters = writeParameters('CreateOptions', exchange.query);
    const body = await exchange.body();
    const { value, problems } = decodeObject(body, target.kind, target.served, registry);
    const object = verbs.create(requestOf(exchange, target, { body, problems, parameters }), value);
    await show(exchange, 201, object, target, form);
  }

  async function update(exchange: Exchange, target: Target, name: string, subresource: '' | 'status'): Promise<void> {
    requireVerb(target.kind, 'update');
    const form = formFor(exchange.asking);
    const parameters = writeParameters('UpdateOptions', exchange.query);
    const body = await exchange.body();
    const { value, problems } = decodeObject(body, target.kind, target.served, registry);
    const request = requestOf(exchange, target, { body, problems, parameters, subresource });
    const { object, created } = verbs.update(request, name, value);
    await show(exchange, created ? 201 : 200, object, target, form);
  }

  async function patch(exchange: Exchange, target: Target, name: string, subresource: '' | 'status'): Promise<void> {
    requireVerb(target.kind, 'patch');
    const form = formFor(exchange.asking);
    const type = patchType(exchange, target.kind);
    const parameters = writeParameters('PatchOptions', exchange.query, { isApply: type === 'apply' });
    const body = await exchange.body();
    const { problems, ...given } = readPatch(body, type, isForced(exchange.query));
    const request = requestOf(exchange, target, { body, problems, parameters, subresource });
    const { object, created } = verbs.patch(request, name, given);
    await show(exchange, created ? 201 : 200, object, target, form);
  }

  async function remove(exchange: Exchange, target: Target, name: string): Promise<void> {
    const { kind, namespace } = target;
    requireVerb(kind, 'delete');
    const form = formFor(exchange.asking);
    const options = deleteParameters(exchange.query, decodeDeleteOptions(await exchange.body()));
    const { lose } = exchange;
    const { object, isGone } = deleteObject(parts, { kind, namespace, name, options, now: parts.now(), lose });
    tellDeprecation(exchange, target);
    // Who asked in the old way for dependents to go is told that they may still be there.
    const code = !isGone && options.orphanDependents === false ? 202 : 200;
    if (isGone && kind.deletesAnswerObject !== true) return exchange.sendStatus(code, deleted(kind, object));
    await show(exchange, code, object, target, form);
  }

  async function removeAll(exchange: Exchange, target: Target): Promise<void> {
    const { kind, namespace } = target;
    requireVerb(kind, 'deletecollection');
    if (kind.namespaced && namespace === '') throw methodNotAllowed();
    const form = formFor(exchange.asking);
    const list = listOptions(exchange.query);
    const options = deleteParameters(exchange.query, decodeDeleteOptions(await exchange.body()));
    const collection = objectsOf(parts, kind);
    const page = readPage({ collection, kind, namespace, options: list, select: selectorFor(list, kind) });
    for (const { metadata } of page.objects) {
      const { lose } = exchange;
      const request = {
        kind,
        namespace: metadata.namespace ?? '',
        name: metadata.name,
        options,
        now: parts.now(),
        lose,
      };
      deleteObject(parts, request);
    }
    tellDeprecation(exchange, target);
    const shown = showList(page.objects, listMeta(page, kind), { ...target, as: form.as, now: parts.now() });
    await exchange.send(200, shown, form);
  }

  async function askSubresource(exchange: Exchange, asked: ResourceAsked, target: Target): Promise<void> {
    const { kind, served, namespace } = target;
    const subresource = Object.hasOwn(kind.subresources, asked.subresource)
      ? kind.subresources[asked.subresource]
      : undefined;
    if (subresource === undefined) throw noSuchSubresource(asked, target);
    requireSubresourceVerb(subresource, exchange.method);
    const form = formFor(exchange.asking);
    const takesBody = exchange.method === 'POST' || exchange.method === 'PUT';
    const body = takesBody ? decodeRequest(await exchange.body(), subresource.kind) : undefined;
    const object = verbs.get({ kind, served, namespace }, asked.name);
    const gone = new AbortController();
    exchange.response.on('close', () => gone.abort());
    const { caller, method, query } = exchange;
    const signal = AbortSignal.any([gone.signal, parts.signal]);
    const answer = await subresource.handle({ caller, method, query, body, signal }, object);
    await sendAnswer(exchange, answer, { form, signal });
  }

  async function sendAnswer(
    exchange: Exchange,
    answer: SubresourceAnswer,
    { form, signal }: { readonly form: Form; readonly signal: AbortSignal },
  ): Promise<void> {
    if ('object' in answer) return exchange.send(answer.code, answer.object, form);
    const { response } = exchange;
    const { code, contentType, body } = answer;
    response.writeHead(code, body === undefined ? {} : { 'Content-Type': contentType });
    if (body === undefined) {
      response.end();
      return;
    }
    response.flushHeaders();
    // A client that goes, or a server that stops, ends the source too; there is nobody left to be told.
    await pipeline(body, response, { signal }).catch(() => response.destroy());
  }

  async function show(exchange: Exchange, code: number, object: KubeObject, target: Target, form: Form): Promise<void> {
    tellDeprecation(exchange, target);
    await exchange.send(code, showObject(object, { ...target, as: form.as, now: parts.now() }), form);
  }

  function requestOf(
    { caller, warn, lose, managerOf }: Exchange,
    target: Target,
    { body, problems, parameters, subresource = '' }: Received,
  ): WriteRequest {
    const { dryRun, fieldManager, fieldValidation } = parameters;
    const writer = { caller, manager: managerOf(fieldManager), dryRun, fieldValidation, warn, lose };
    return { target, writer, subresource, problems, bytes: body.bytes.length };
  }
}

/** What has come with a write. */
interface Received {
  readonly body: Body;
  readonly problems: readonly string[];
  readonly parameters: WriteParameters;
  readonly subresource?: '' | 'status';
}

function patchType({ request }: Exchange, kind: Kind): Patch['type'] {
  const type = PATCH_TYPES[mediaTypeOf(request.headers['content-type'] ?? '')];
  if (type === undefined || (kind.custom && type === 'strategic')) throw unsupportedPatch(kind);
  return type;
}

/** What kinds from CRDs say to a verb that their status does not have. */
function notSupportedOn({ group, plural }: Kind, verb: string): StatusError {
  const text = `${verb} is not supported on resources of kind "${qualified({ group, plural })}"`;
  return new StatusError(405, 'MethodNotAllowed', text, { group, kind: plural });
}

/** The router of the built-in kinds and the handler of the others each have their own sentence. */
function unsupportedPatch({ custom }: Kind): StatusError {
  if (custom) return unsupportedMediaType(Object.keys(PATCH_TYPES).filter((type) => PATCH_TYPES[type] !== 'strategic'));
  return new StatusError(415, 'UnsupportedMediaType', '415: Unsupported Media Type', {});
}

function noSuchSubresource({ name }: ResourceAsked, { kind }: Target): StatusError {
  return kind.custom ? notFound(kind, name) : noSuchPath();
}

const SUBRESOURCE_VERBS: { readonly [method: string]: Verb } = {
  GET: 'get',
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
};

function requireSubresourceVerb({ verbs }: Subresource, method: string): void {
  const verb = SUBRESOURCE_VERBS[method];
  if (verb === undefined || !verbs.includes(verb)) throw methodNotAllowed();
}

function tellDeprecation({ warn }: Exchange, { served }: Target): void {
  if (served.deprecationWarning !== undefined) warn(served.deprecationWarning);
}

/** What a delete answers when the object is gone. */
function deleted({ group, plural }: Kind, { metadata }: KubeObject): JsonObject {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: { name: metadata.name, ...(group === '' ? {} : { group }), kind: plural, uid: metadata.uid },
  };
}
