/** The paths that are no resources: health, version, and the documents that say what is served. */
import { methodNotAllowed } from '../status.ts';
import { sendText } from './answer.ts';
import type { Exchange } from './exchange.ts';
import type { Registry } from './kind.ts';
import { formFor } from './negotiate.ts';

/** What a path gets that nothing serves. */
export const NOT_FOUND = '404 page not found\n';

/** Answers a path. Throws StatusErrors before anything is sent. */
export type ServePath = (exchange: Exchange, path: string) => Promise<void>;

/** What paths are served with. */
export interface RootParts {
  readonly registry: Registry;
  /** Whether everything has started. */
  readonly isReady: () => boolean;
}

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
  platform: `${process.platform}/${process.arch}`,
};

/** Makes the handler. */
export function rootServer({ isReady }: RootParts): ServePath {
  return async (exchange, path) => {
    const { method, query } = exchange;
    switch (path.replace(/(.)\/$/, '$1')) {
      case '/healthz':
      case '/livez':
        return health(exchange, true, query.has('verbose'));
      case '/readyz':
        return health(exchange, isReady(), query.has('verbose'));
      case '/version':
        if (method !== 'GET') throw methodNotAllowed();
        return exchange.send(200, VERSION, formFor(exchange.asking));
      case '/api':
      case '/apis':
        if (method !== 'GET') throw methodNotAllowed();
        return plain(exchange, 404, NOT_FOUND);
      default:
        return plain(exchange, 404, NOT_FOUND);
    }
  };
}

async function health(exchange: Exchange, isWell: boolean, verbose: boolean): Promise<void> {
  if (!isWell) return plain(exchange, 500, '[-]sandbox failed: reason withheld\nreadyz check failed\n');
  return plain(exchange, 200, verbose ? `[+]ping ok\n[+]sandbox ok\n${exchange.path.slice(1)} check passed\n` : 'ok');
}

/** A line for people, as Go's own server writes it. */
export async function plain({ response }: Exchange, code: number, text: string): Promise<void> {
  response.setHeader('X-Content-Type-Options', 'nosniff');
  await sendText({ response, acceptEncoding: undefined }, code, text, 'text/plain; charset=utf-8');
}

