/**
 * A git server on loopback: `git http-backend`, the CGI program that comes with git, behind node's HTTP server.
 *
 * Run as a process of its own: `node gitserver.ts PORT FOLDER`. It serves every bare repository in FOLDER, to
 * read and to push, to anyone on this machine.
 */
import { spawn } from 'node:child_process';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

/** Answers one request by one run of `git http-backend`. */
export function serveGit(folder: string, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, search } = new URL(request.url ?? '/', 'http://localhost');
  if (pathname === '/') {
    response.end('git\n'); // for whoever asks whether we are up
    return;
  }
  const environment: Record<string, string | undefined> = {
    PATH: process.env.PATH,
    GIT_CONFIG_NOSYSTEM: '1', // the machine's own git settings are not part of the test
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_PROJECT_ROOT: folder,
    GIT_HTTP_EXPORT_ALL: '1',
    GIT_PROTOCOL: header(request, 'git-protocol'),
    REQUEST_METHOD: request.method,
    PATH_INFO: decodeURIComponent(pathname),
    QUERY_STRING: search.slice(1),
    CONTENT_TYPE: header(request, 'content-type'),
    CONTENT_LENGTH: header(request, 'content-length'),
    HTTP_CONTENT_ENCODING: header(request, 'content-encoding'),
    REMOTE_ADDR: request.socket.remoteAddress,
  };
  const backend = spawn('git', ['http-backend'], { env: environment, stdio: ['pipe', 'pipe', 'inherit'] });
  request.pipe(backend.stdin).on('error', () => {}); // it may answer without reading all of the request
  let head = Buffer.alloc(0);
  const readHead = (chunk: Buffer) => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    backend.stdout.off('data', readHead);
    for (const line of head.toString('latin1', 0, end).split('\r\n')) {
      const colon = line.indexOf(':');
      const [name, value] = [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      if (name === 'status')
        response.statusCode = Number.parseInt(value, 10); // RFC 3875, 6.3.3
      else response.setHeader(name, value);
    }
    response.write(head.subarray(end + 4));
    backend.stdout.pipe(response);
  };
  backend.stdout.on('data', readHead);
  backend.on('error', (error) => response.writeHead(500).end(`${error.message}\n`));
  backend.on('close', () => response.end());
  response.on('close', () => backend.kill());
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

if (import.meta.main) {
  const [port, folder] = process.argv.slice(2);
  if (!port || !folder) throw new Error('usage: node gitserver.ts PORT FOLDER');
  createServer((request, response) => serveGit(folder, request, response)).listen(Number(port), '127.0.0.1');
}
