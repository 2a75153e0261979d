/** examples/dashboard: its module in Node.js, where requests can be counted, and the page in a real browser, from another origin. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { type Browser, browserSuite, startBrowser } from '../support/browser.ts';
import { eventually } from '../support/eventually.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { checkout, type Gateway } from '../support/gateway.ts';
import { startWorld, type World } from '../support/world.ts';

interface List {
  readonly items: readonly { readonly name: string; readonly phase: string }[];
}

/** What examples/dashboard/poll.js exports. */
interface Poll {
  readonly Refused: new () => Error;
  poll(options: {
    readonly url: string;
    readonly username: string;
    readonly password: string;
    readonly query?: string;
    readonly signal: AbortSignal;
    readonly show: (list: List) => void;
    readonly trouble?: (sentence: string | undefined) => void;
  }): Promise<void>;
}

const folder = `${checkout}examples/dashboard`;

describe('the recipe for dashboards', () => {
  let world: World;
  let between: FaultProxy;
  let module: Poll;

  before(async () => {
    world = await startWorld();
    between = await startFaultProxy({ url: world.gateway.url }, { secure: false });
    module = (await import(join(folder, 'poll.js'))) as Poll; // plain JavaScript: what it exports is said above
  });
  afterEach(() => {
    between?.lift();
    between?.forget();
  });
  after(async () => {
    await between?.close();
    await world?.end();
  });

  /** Polls through the proxy; `end` ends it, and rejects with what it threw. */
  const watch = (options: { readonly query?: string; readonly password?: string } = {}) => {
    const lists: List[] = [];
    const troubles: (string | undefined)[] = [];
    const over = new AbortController();
    const polling = module.poll({
      url: between.url,
      ...world.gateway.credentials,
      ...options,
      signal: over.signal,
      show: (list) => lists.push(list),
      trouble: (sentence) => troubles.push(sentence),
    });
    polling.catch(() => {}); // looked at by `end`
    const end = () => {
      over.abort();
      return polling;
    };
    const shows = (holds: (list: List) => void) =>
      eventually(() => holds(lists.at(-1) ?? assert.fail('nothing was shown yet')), { withinMs: 240_000 });
    return { lists, troubles, end, shows, polling };
  };
  const asked = () => between.requests.filter(({ path }) => path === '/runs');

  it('shows each run as it comes and goes on, and asks again only when something has changed', async () => {
    const watched = watch();
    await watched.shows(({ items }) => assert.deepEqual(items, []));
    const run = await world.run('green');
    await watched.shows(({ items }) =>
      assert.deepEqual(
        items.map(({ name, phase }) => [name, phase]),
        [[run, 'succeeded']],
      ),
    );
    // Before it ends: of an answer that is on its way then nothing is shown.
    await eventually(() => {
      const answered = asked().filter(({ status }) => status === 200);
      assert.equal(answered.length, watched.lists.length);
    });
    await watched.end();
    const [first, ...later] = asked();
    assert.equal(first?.query.get('wait'), null);
    assert.ok(later.length > 0 && later.every(({ query }) => query.get('wait') === '50'));
    await world.remove(run, { wait: true });
    // The next tests begin with a list that does not change any more.
    await eventually(async () => {
      const { items } = (await world.gateway.get('/runs')).json<List>();
      assert.deepEqual(items, []);
    });
  });

  it('a list that is the same is 304, and is not shown again', async () => {
    const watched = watch();
    await watched.shows(() => {});
    await eventually(() => assert.equal(asked().length, 2));
    between.add({ on: { path: /^\/runs$/ }, fault: { kind: 'answer', status: 304, body: '' }, times: 3 });
    between.reset(); // the request that waits ends, and three after it are answered "not modified"
    await eventually(() => assert.ok(asked().length > 5), { withinMs: 60_000 });
    await watched.end();
    assert.equal(watched.lists.length, 1);
  });

  it('goes on where rungate cannot be reached for a while, and says so meanwhile', async () => {
    const watched = watch();
    await watched.shows(() => {});
    between.add({
      on: { path: /^\/runs$/ },
      fault: { kind: 'answer', status: 503, body: { error: 'stopping' } },
      times: 1,
    });
    between.reset();
    await eventually(() => assert.ok(watched.troubles.includes('stopping')), { withinMs: 60_000 });
    await eventually(() => assert.equal(watched.troubles.at(-1), undefined), { withinMs: 60_000 });
    await watched.end();
  });

  for (const { name, options } of [
    { name: 'a wrong password', options: { password: 'wrong' } },
    { name: 'an option that there is not', options: { query: 'colour=blue' } },
  ]) {
    it(`${name} is not tried again`, async () => {
      await assert.rejects(watch(options).polling, (error) => error instanceof module.Refused);
      assert.equal(asked().length, 1);
    });
  }

  it('has credentials in no URL', async () => {
    const watched = watch();
    await watched.shows(() => {});
    await watched.end();
    for (const { path, query } of between.requests) {
      assert.doesNotMatch(`${path}?${query}`, new RegExp(encodeURIComponent(world.gateway.credentials.password)));
    }
  });
});

browserSuite('the recipe for dashboards, in a browser', () => {
  let world: World;
  let browser: Browser;
  let pages: Server;
  let origin: string;
  let gateway: Gateway;

  before(async () => {
    world = await startWorld();
    pages = servePages();
    await once(pages.listen(0, '127.0.0.1'), 'listening');
    origin = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;
    gateway = await world.startGateway({ env: { CORS_ORIGINS: origin } });
    browser = await startBrowser();
  });
  after(async () => {
    await browser?.close();
    pages?.closeAllConnections();
    pages?.close();
    await world?.end();
  });

  /** Opens the page, fills its form and sends it. */
  const signIn = async (at: Gateway, password = at.credentials.password) => {
    const page = await browser.open(`${origin}/index.html?rungate=${encodeURIComponent(at.url)}`);
    const field = (name: string) => `document.forms[0].elements.${name}`;
    await eventually(async () => assert.equal(await page.value(`${field('url')}.value`), at.url), {
      withinMs: 120_000,
    });
    await page.value(`${field('username')}.value = ${JSON.stringify(at.credentials.username)}`);
    await page.value(`${field('password')}.value = ${JSON.stringify(password)}`);
    await page.value('document.forms[0].requestSubmit()');
    const says = (words: RegExp) =>
      eventually(
        async () => assert.match(String(await page.value("document.querySelector('output').textContent")), words),
        {
          withinMs: 60_000,
        },
      );
    return { page, says };
  };

  it('shows runs as they go on, from another origin, without anything in its address', async () => {
    const { page, says } = await signIn(gateway);
    await says(/^live$/);
    const run = await world.run('red');
    await eventually(
      async () => {
        const rows = await page.value(
          "[...document.querySelectorAll('tbody tr')].map((row) => [row.cells[1].textContent, row.dataset.phase])",
        );
        assert.deepEqual(rows, [[run, 'failed']]);
      },
      { withinMs: 240_000 },
    );
    assert.doesNotMatch(
      String(await page.value('location.href')),
      new RegExp(encodeURIComponent(gateway.credentials.password)),
    );
    assert.deepEqual(page.complaints, []);
  });

  it('says that the credentials are wrong, without a window of the browser', async () => {
    const { says } = await signIn(gateway, 'wrong');
    await says(/credentials|password|Unauthorized|authoriz/i);
  });

  it('is told nothing by a rungate that does not name its origin', async () => {
    const { says } = await signIn(world.gateway);
    await says(/^trying again: /);
  });
});

/** The folder as any web server serves it. */
function servePages(): Server {
  const types: Readonly<Record<string, string>> = {
    '.html': 'text/html',
    '.css': 'text/css',
    '.js': 'text/javascript',
  };
  return createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://page');
    const content = await readFile(join(folder, pathname)).catch(() => undefined);
    if (content === undefined) response.writeHead(404).end();
    else response.writeHead(200, { 'Content-Type': types[extname(pathname)] ?? 'text/plain' }).end(content);
  });
}
