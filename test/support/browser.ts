/** A real browser without a window, told what to do over the DevTools protocol: https://chromedevtools.github.io/devtools-protocol/ */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from './eventually.ts';

/** The program, or undefined where it is not installed. */
export const chromium = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);

/** A mocha `describe` that runs only where there is a browser; elsewhere it is one pending test that says so. */
export function browserSuite(title: string, body: () => void): void {
  const lacking = 'not run: there is no browser (Debian package chromium)';
  describe(title, chromium === undefined ? () => it(lacking) : body);
}

/** One page, opened. */
export interface Page {
  /** What an expression comes to in the page, a promise awaited; it has to be JSON. Throws what the page throws. */
  value(expression: string): Promise<unknown>;
  /** What the page complained of: exceptions, and errors in its console. */
  readonly complaints: readonly string[];
}

/** A browser that runs until it is closed. */
export interface Browser {
  /** Opens a page in a tab of its own. */
  open(url: string): Promise<Page>;
  close(): Promise<void>;
}

/** What comes over the wire, as far as we look at it. */
interface Message {
  readonly id?: number;
  readonly sessionId?: string;
  readonly method?: string;
  readonly params?: object;
  readonly result?: object;
  readonly error?: { readonly message: string };
}

interface Evaluated {
  readonly result: { readonly value?: unknown };
  readonly exceptionDetails?: { readonly text: string; readonly exception?: { readonly description?: string } };
}

/** Starts one with a profile of its own, which ends with it. */
export async function startBrowser(): Promise<Browser> {
  if (chromium === undefined) throw new Error('there is no chromium');
  const folder = await mkdtemp(join(tmpdir(), 'rungate-browser-'));
  const flags = [
    '--headless=new',
    '--no-sandbox', // it refuses to run as root with one; its pages are our own
    '--disable-gpu',
    '--disable-dev-shm-usage',
    '--no-first-run',
    '--disable-background-networking',
    '--remote-debugging-port=0',
    `--user-data-dir=${folder}`,
    'about:blank',
  ];
  const child = spawn(chromium, flags, { stdio: ['ignore', 'ignore', 'pipe'] });
  const kill = () => void child.kill('SIGKILL');
  process.once('exit', kill);
  const said: Buffer[] = [];
  child.stderr.on('data', (piece: Buffer) => said.push(piece));
  const close = async () => {
    process.off('exit', kill);
    if (child.exitCode === null && child.signalCode === null) {
      const over = once(child, 'exit');
      kill();
      await over;
    }
    await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }); // its children write a little longer
  };
  try {
    const address = await eventually(
      () => {
        const text = Buffer.concat(said).toString();
        const [, found] = /DevTools listening on (ws:\S+)/.exec(text) ?? [];
        if (found === undefined) throw new Error(`chromium does not listen:\n${text.slice(-2000)}`);
        return found;
      },
      { withinMs: 60_000 },
    );
    const wire = await openWire(address);
    return {
      async open(url) {
        const { targetId } = await wire.ask<{ targetId: string }>('Target.createTarget', { url: 'about:blank' });
        const attached = { targetId, flatten: true };
        const { sessionId } = await wire.ask<{ sessionId: string }>('Target.attachToTarget', attached);
        const complaints: string[] = [];
        wire.on(sessionId, (method, params) => {
          const isError = method === 'Log.entryAdded' && /"level":"error"/.test(JSON.stringify(params));
          if (isError || method === 'Runtime.exceptionThrown') complaints.push(JSON.stringify(params));
        });
        for (const domain of ['Runtime', 'Log', 'Page']) await wire.ask(`${domain}.enable`, {}, sessionId);
        await wire.ask('Page.navigate', { url }, sessionId);
        return {
          complaints,
          async value(expression) {
            const wanted = { expression, awaitPromise: true, returnByValue: true };
            const { result, exceptionDetails } = await wire.ask<Evaluated>('Runtime.evaluate', wanted, sessionId);
            if (exceptionDetails === undefined) return result.value;
            throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
          },
        };
      },
      async close() {
        wire.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Requests and their answers over one WebSocket. */
async function openWire(address: string) {
  const socket = new WebSocket(address);
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve, { once: true });
    socket.addEventListener('error', () => reject(new Error(`${address} cannot be reached`)), { once: true });
  });
  const waiting = new Map<number, (message: Message) => void>();
  const listeners = new Map<string, (method: string, params: object) => void>();
  socket.addEventListener('message', ({ data }) => {
    const message = JSON.parse(String(data)) as Message;
    if (message.id !== undefined) waiting.get(message.id)?.(message);
    else listeners.get(message.sessionId ?? '')?.(message.method ?? '', message.params ?? {});
  });
  let last = 0;
  return {
    on: (session: string, listener: (method: string, params: object) => void) => void listeners.set(session, listener),
    ask<T>(method: string, params: object, sessionId?: string): Promise<T> {
      const id = ++last;
      return new Promise((resolve, reject) => {
        waiting.set(id, ({ error, result }) => {
          waiting.delete(id);
          if (error) reject(new Error(`${method}: ${error.message}`));
          else resolve(result as T); // as the protocol's own description has it
        });
        socket.send(JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) }));
      });
    },
    close: () => socket.close(),
  };
}
