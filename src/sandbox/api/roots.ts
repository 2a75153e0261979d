/** The paths that are no resources: health, version, and the documents that say what is served. */
import { createHash } from 'node:crypto';
import type { JsonObject } from '../object.ts';
import { methodNotAllowed, noSuchPath } from '../status.ts';
import { sendText } from './answer.ts';
import {
  aggregatedDiscovery,
  aggregatedType,
  coreVersions,
  groupDocument,
  groupList,
  groupVersions,
  resourceList,
} from './discovery.ts';
import type { Exchange } from './exchange.ts';
import type { Registry } from './kind.ts';
import { type Clause, clausesOf, formFor } from './negotiate.ts';
import { createOpenApi } from './openapi.ts';

/** Answers a path. Throws StatusErrors before anything is sent. */
export type ServePath = (exchange: Exchange, path: string) => Promise<void>;

/** What paths are served with. */
export interface RootParts {
  readonly registry: Registry;
  /** Host and port, as discovery says them. */
  readonly address: () => string;
  /** Whether everything has started. */
  readonly isReady: () => boolean;
}

/** What a path gets that nothing serves. */
export const NOT_FOUND = '404 page not found\n';

/** The server that the sandbox stands in for. */
const VERSION = {
  major: '1',
  minor: '34',
  emulationMajor: '1',
  emulationMinor: '34',
  minCompatibilityMajor: '1',
  minCompatibilityMinor: '33',
  gitVersion: 'v1.34.4',
  gitCommit: 'rungate-sandbox',
  gitTreeState: '',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: 'go1.26.8',
  compiler: 'gc',
  platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`, // as Go names them
};

/**
 * OpenAPI v2 that describes nothing: kubectl looks there for kinds that v3 does not have, and says what is wrong with them
 * only when it finds a document. `swagger: "2.0"`, in the one form that it asks for.
 */
const OPENAPI_TWO = {
  type: 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf',
  bytes: Buffer.from([0x0a, 0x03, 0x32, 0x2e, 0x30]),
};

/** Makes the handler. */
export function rootServer({ registry, address, isReady }: RootParts): ServePath {
  const openApi = createOpenApi(registry);

  return async (exchange, given) => {
    const path = given.length > 1 ? given.replace(/\/$/, '') : given;
    switch (path) {
      case '/healthz':
      case '/livez':
        return health(exchange, true);
      case '/readyz':
        return health(exchange, isReady());
      case '/openapi/v2':
        return openApiTwo(exchange);
      case '/openapi/v3':
        return openApiIndex(exchange);
    }
    if (path.startsWith('/openapi/v3/')) return openApiDocument(exchange, path.slice('/openapi/v3/'.length));
    const object = objectAt(path);
    if (object === undefined && isOwnGroup(path)) throw noSuchPath();
    if (object === undefined) return plain(exchange, 404, NOT_FOUND);
    if (exchange.method !== 'GET') throw methodNotAllowed();
    const part = path === '/api' ? 'core' : path === '/apis' ? 'groups' : undefined;
    if (part === undefined || !wantsAggregated(exchange)) return exchange.send(200, object, formFor(exchange.asking));
    exchange.response.setHeader('Vary', 'Accept');
    exchange.response.setHeader('Cache-Control', 'public');
    await document(exchange, JSON.stringify(aggregatedDiscovery(registry, part)), aggregatedType);
  };

  function objectAt(path: string): JsonObject | undefined {
    const [, root, group = '', version] = path.split('/');
    switch (path) {
      case '/':
        return { paths: allPaths() };
      case '/version':
        return VERSION;
      case '/api':
        return coreVersions(address());
      case '/apis':
        return groupList(registry);
    }
    if (path.split('/').length > 4) return undefined;
    if (root === 'api' && version === undefined) return resourceList(registry, '', group);
    if (root !== 'apis') return undefined;
    return version === undefined ? groupDocument(registry, group) : resourceList(registry, group, version);
  }

  /** A version that a group of the server's own does not have is missed with a Status. */
  function isOwnGroup(path: string): boolean {
    const [, root, group] = path.split('/');
    if (root === 'api') return true;
    return root === 'apis' && registry.kinds().some((kind) => !kind.custom && kind.group === group);
  }

  async function openApiIndex({ response, request }: Exchange): Promise<void> {
    const acceptEncoding = request.headers['accept-encoding']?.toString();
    await sendText({ response, acceptEncoding }, 200, JSON.stringify(openApi.index()), 'text/plain; charset=utf-8');
  }

  function allPaths(): string[] {
    const served = groupVersions(registry).map(({ group, version }) =>
      group === '' ? `/api/${version}` : `/apis/${group}/${version}`,
    );
    const groups = served.filter((path) => path.startsWith('/apis/')).map((path) => path.replace(/\/[^/]+$/, ''));
    const rest = ['/api', '/apis', '/healthz', '/livez', '/openapi/v3', '/readyz', '/version'];
    return [...new Set([...served, ...groups, ...rest])].sort();
  }

  async function openApiDocument(exchange: Exchange, path: string): Promise<void> {
    const found = openApi.document(path);
    if (found === undefined) {
      exchange.response.writeHead(404);
      exchange.response.end();
      return;
    }
    exchange.response.setHeader('Vary', 'Accept');
    const hash = exchange.query.get('hash');
    if (hash !== null && hash !== found.hash) {
      exchange.response.writeHead(301, { Location: `/openapi/v3/${path}?hash=${found.hash}` });
      exchange.response.end();
      return;
    }
    // Whoever asks with the hash may keep the answer: another state has another hash.
    if (hash !== null) exchange.response.setHeader('Cache-Control', 'public, immutable');
    await document(exchange, found.text);
  }
}

function openApiTwo({ response }: Exchange): void {
  response.setHeader('Content-Type', OPENAPI_TWO.type);
  response.end(OPENAPI_TWO.bytes);
}

/** A document that clients keep, and ask again whether it has changed. */
async function document({ request, response }: Exchange, text: string, type = 'application/json'): Promise<void> {
  const tag = `"${createHash('sha512').update(text).digest('hex').toUpperCase()}"`;
  response.setHeader('ETag', tag);
  if (request.headers['if-none-match'] === tag) {
    response.writeHead(304);
    response.end();
    return;
  }
  const acceptEncoding = request.headers['accept-encoding']?.toString();
  await sendText({ response, acceptEncoding }, 200, text, type);
}

/** Whether the aggregated form comes before the plain one among what the client accepts. */
function wantsAggregated({ asking }: Exchange): boolean {
  const isAggregated = ({ type, parameters }: Clause) => {
    const is = (name: string, value: string) => parameters.get(name) === value;
    return (
      type === 'application/json' &&
      is('as', 'APIGroupDiscoveryList') &&
      is('g', 'apidiscovery.k8s.io') &&
      is('v', 'v2')
    );
  };
  const known = clausesOf(asking.accept).find((clause) => {
    return (
      isAggregated(clause) ||
      (!clause.parameters.has('as') && /^(application\/(json|yaml|\*)|\*\/\*)$/.test(clause.type))
    );
  });
  return known !== undefined && isAggregated(known);
}

async function health(exchange: Exchange, isWell: boolean): Promise<void> {
  if (exchange.method !== 'GET') throw methodNotAllowed();
  const name = exchange.path.replace(/\//g, '');
  if (!isWell) return plain(exchange, 500, `[-]sandbox failed: reason withheld\n${name} check failed\n`);
  const verbose = exchange.query.has('verbose');
  return plain(exchange, 200, verbose ? `[+]ping ok\n[+]sandbox ok\n${name} check passed\n` : 'ok');
}

/** A line for people, as Go's own server writes it. */
export async function plain({ response }: Exchange, code: number, text: string): Promise<void> {
  response.setHeader('X-Content-Type-Options', 'nosniff');
  await sendText({ response, acceptEncoding: undefined }, code, text, 'text/plain; charset=utf-8');
}
