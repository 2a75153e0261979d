/** Callers as whoever runs rungate keeps them: two files, a command that writes their lines, and what a change of them does. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { hashSync } from 'bcryptjs';
import { eventually } from '../support/eventually.ts';
import { ask, type Credentials, checkout, type Gateway } from '../support/gateway.ts';
import { runProgram } from '../support/program.ts';
import { startWorld, type World } from '../support/world.ts';

const stub = `${checkout}bin/rungate.js`;

/** What `rungate hash-password` writes for a password that is piped in. */
async function hashed(password: string, ...args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, [stub, 'hash-password', ...args], { env: { PATH: process.env.PATH } });
  child.stdin.end(password);
  const [out, problem] = await Promise.all([text(child.stdout), text(child.stderr)]);
  assert.equal(problem, '');
  return out;
}

const as = (username: string, password: string): Credentials => ({ username, password });

describe('rungate hash-password', () => {
  it('--help tells what it does', async () => {
    const { code, stdout } = await runProgram(process.execPath, [stub, 'hash-password', '--help']);
    assert.equal(code, 0);
    assert.match(stdout, /rungate hash-password \[flags\]\n {2}Makes a line for AUTH_FILE/);
  });

  it('writes one line and nothing else', async () => {
    assert.match(await hashed('correct horse', '--name', 'ci'), /^ci:\$argon2id\$v=19\$[^\n]+\n$/);
    assert.match(await hashed('correct horse\n', '--scrypt'), /^\$scrypt\$ln=15,r=8,p=3\$[^\n]+\n$/);
  });

  it('refuses an empty password with 2', async () => {
    const child = spawn(process.execPath, [stub, 'hash-password'], { stdio: ['pipe', 'pipe', 'pipe'] });
    child.stdin.end();
    const [out, problem, code] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      new Promise((resolve) => child.once('close', resolve)),
    ]);
    assert.deepEqual([out, problem, code], ['', 'rungate: an empty password would let everybody in\n', 2]);
  });
});

describe('callers', function () {
  this.timeout(600_000);
  let world: World;
  let gateway: Gateway;
  let folder: string;
  let lines: Record<'ci' | 'narrow' | 'old' | 'bcrypt', string>;

  before(async () => {
    world = await startWorld({ namespaces: 2, faults: true, gateway: false });
    folder = join(world.folder, 'mounted');
    lines = {
      ci: await hashed('password of ci', '--name', 'jobs'),
      narrow: await hashed('password of narrow', '--name', 'narrow', '--scrypt'),
      old: await hashed('password of old', '--name', 'old'),
      bcrypt: `apache:${hashSync('password of apache', 6)}\n`,
    };
    await mkdir(folder);
    await mount(`# jobs\n${lines.ci}${lines.narrow}${lines.old}${lines.bcrypt}`, `narrow: [${world.namespaces[1]}]\n`);
    gateway = await world.startGateway({
      env: { AUTH_FILE: join(folder, 'callers'), ACCESS_FILE: join(folder, 'access.yaml') },
    });
  });
  after(() => world?.end());

  let version = 0;
  /** Puts both files there as the kubelet does: a new folder, and a link that is swapped. */
  async function mount(callers: string, access: string): Promise<void> {
    version += 1;
    const place = join(folder, `..version-${version}`);
    await mkdir(place);
    await writeFile(join(place, 'callers'), callers);
    await writeFile(join(place, 'access.yaml'), access);
    await symlink(`..version-${version}`, join(folder, '..data_tmp'));
    await rename(join(folder, '..data_tmp'), join(folder, '..data'));
    if (version === 1) {
      for (const file of ['callers', 'access.yaml']) await symlink(join('..data', file), join(folder, file));
    } else await rm(join(folder, `..version-${version - 1}`), { recursive: true });
  }

  const statusOf = async (who: Credentials, path = '/ready') => (await gateway.get(path, { as: who })).status;

  it('are those of both files and of the environment, whatever made their hashes', async () => {
    const people = [
      as('ci', 'correct horse'),
      as('jobs', 'password of ci'),
      as('narrow', 'password of narrow'),
      as('old', 'password of old'),
      as('apache', 'password of apache'),
    ];
    for (const who of people) assert.equal(await statusOf(who), 200, JSON.stringify(who));
    for (const who of [as('jobs', 'password of narrow'), as('nobody', 'password of ci'), as('ci', 'password of ci')]) {
      assert.equal(await statusOf(who), 401, JSON.stringify(who));
    }
    await eventually(() => assert.match(gateway.log(), /"caller":"jobs"/));
    assert.match(gateway.log(), /AUTH_FILE line 5 \(\\"apache\\"\) has a bcrypt hash of cost 6/);
    for (const { username, password } of people as readonly { username: string; password: string }[]) {
      const encoded = Buffer.from(`${username}:${password}`).toString('base64');
      assert(!gateway.log().includes(password) && !gateway.log().includes(encoded), `${username} is in the log`);
    }
  });

  it('run 43: who has no right to a namespace gets the same answer whatever is in it, and Kubernetes is not asked', async () => {
    const run = await world.run('green', { name: 'there' });
    await world.finished(run);
    const narrow = as('narrow', 'password of narrow');
    world.faults.forget();
    const bodies = new Set<string>();
    for (const name of [run, 'not-there']) {
      for (const path of [`/status/${world.namespace}/${name}`, `/logs/${world.namespace}/${name}`]) {
        const answer = await gateway.get(path, { as: narrow, headers: { 'X-Request-Id': 'same' } });
        assert.equal(answer.status, 403, path);
        bodies.add(answer.text);
      }
    }
    assert.equal(bodies.size, 1);
    const asked = world.faults.requests.map(({ path }) => path).filter((path) => /there/.test(path));
    assert.deepEqual(asked, []);
    assert.equal(await statusOf(narrow, `/status/${world.namespaces[1]}/not-there`), 404);
    assert.match(gateway.log(), /"message":"audit","event":"read","decision":"deny".*"caller":"narrow"/);
  });

  it('run 43: a pod that does not descend from the run is never read, whatever the filters say', async () => {
    const [one, other] = [await world.run('green'), await world.run('red')];
    await Promise.all([world.finished(one), world.finished(other)]);
    const foreign = (await world.pods(other)).map(({ metadata }) => metadata.name);
    assert(foreign.length > 0);
    world.faults.forget();
    for (const filter of ['', `task=${foreign[0]}`, `step=${foreign[0]}`, 'task=test', 'step=run', `task=${other}`]) {
      const answer = await gateway.get(`/logs/${one}?color=never&notices=none&${filter}`);
      assert([200, 400, 404].includes(answer.status), `${filter}: ${answer.status}`);
    }
    const read = world.faults.requests.map(({ path }) => path).filter((path) => path.endsWith('/log'));
    assert(read.length > 0, 'nothing was read at all');
    for (const pod of foreign) assert(!read.some((path) => path.includes(`/pods/${pod}/`)), `${pod} was read`);
  });

  it('who is removed loses access within seconds, open streams included; others do not notice', async () => {
    const run = await world.run('ticking', { params: { count: '600', pause: '1' } });
    const [old, kept] = [as('old', 'password of old'), as('jobs', 'password of ci')];
    const [cut, going] = [
      await gateway.stream(`/logs/${run}?wait=30&color=never`, { as: old }),
      await gateway.stream(`/logs/${run}?wait=30&color=never`, { as: kept }),
    ];
    await eventually(() => assert.match(cut.text(), /tick 2\n/), { withinMs: 240_000 });
    await mount(`${lines.ci}${lines.narrow}${lines.bcrypt}`, `narrow: [${world.namespaces[1]}]\n`);
    assert.equal(await cut.ended(), 'unfinished');
    assert.equal(await statusOf(old), 401);
    const soFar = going.text().match(/tick/g)?.length ?? 0;
    await eventually(() => assert((going.text().match(/tick/g)?.length ?? 0) > soFar), { withinMs: 240_000 });
    assert.equal(going.state, 'open');
    going.close();
    await eventually(() => assert.match(gateway.log(), /"event":"caller removed","caller":"old"/));
    await eventually(() => assert.match(gateway.log(), /"event":"stream closed","outcome":"revoked".*"caller":"old"/));
    await world.remove(run);
  });

  it('stay as they are while a changed file has a mistake, which log and metrics tell', async () => {
    await mount(`${lines.ci}eve:plain-text-secret\n`, `narrow: [${world.namespaces[1]}]\n`);
    await eventually(() => assert.match(gateway.log(), /AUTH_FILE line 2 \(\\"eve\\"\) has no hash/));
    assert.doesNotMatch(gateway.log(), /plain-text-secret/);
    await eventually(async () => assert.equal(await gateway.metric('rungate_reload_current{setting="AUTH_FILE"}'), 0));
    assert.equal(await statusOf(as('narrow', 'password of narrow')), 200);
    await mount(`${lines.ci}`, '{}\n');
    await eventually(async () => assert.equal(await statusOf(as('narrow', 'password of narrow')), 401));
    await eventually(async () => assert.equal(await gateway.metric('rungate_reload_current{setting="AUTH_FILE"}'), 1));
  });

  it('with a mistake from the start are told line by line, and rungate ends with 2', async () => {
    const file = join(world.folder, 'wrong');
    await writeFile(file, 'ci:x\nanna\n');
    const { code, stderr } = await runProgram(process.execPath, [stub], {
      env: { PATH: process.env.PATH, KUBECONFIG: world.kubeconfig, AUTH_FILE: file, PORT: '0', METRICS_PORT: '0' },
    });
    assert.equal(code, 2, stderr);
    assert.deepEqual(
      stderr
        .trim()
        .split('\n')
        .map((line) => line.split(' ').slice(0, 4).join(' ')),
      ['rungate: AUTH_FILE line 1', 'rungate: AUTH_FILE line 2'],
    );
  });

  it('a ticket opens a stream for a page that can send no credentials', async () => {
    const run = await world.run('green');
    await world.finished(run);
    const path = `/logs/${world.namespace}/${run}`;
    const issued = await gateway.get(`/tickets?path=${path}`, { method: 'POST' });
    assert.equal(issued.status, 201);
    const { ticket } = issued.json<{ ticket: string }>();
    const opened = await gateway.get(`${path}?color=never&ticket=${ticket}`, { as: 'none' });
    assert.equal(opened.status, 200);
    assert.match(opened.text, /compiling/);
    assert.equal((await gateway.get(`${path}?ticket=${ticket}`, { as: 'none' })).status, 401);
    assert(!gateway.log().includes(ticket));
  });

  it('guesses are slowed down, and whoever has the right password gets in', async () => {
    // Who was right within the last minute makes no attempt; the tests before this one may have taken longer.
    assert.equal(await statusOf(as('jobs', 'password of ci')), 200);
    for (let guess = 0; guess < 5; guess++) assert.equal(await statusOf(as('jobs', `guess ${guess}`)), 401);
    // Four of these wait, for longer than anybody wants to watch; they end with rungate.
    const answers: number[] = [];
    for (let place = 0; place < 30; place++) {
      void statusOf(as('jobs', `more ${place}`)).then(
        (status) => answers.push(status),
        () => {},
      );
    }
    await eventually(() => assert(answers.filter((status) => status === 429).length >= 20, answers.join()));
    assert.equal(await statusOf(as('jobs', 'password of ci')), 200);
    const limited = await ask(`${gateway.url}/ready`, { as: as('ci', 'correct horse') });
    assert.equal(limited.statusCode, 200);
    limited.resume();
  });

  it('are told apart behind a proxy that is believed, and pages of a named origin may read', async () => {
    const page = 'https://dashboard.example.com';
    const other = await world.startGateway({ env: { TRUST_PROXY: '127.0.0.0/8', CORS_ORIGINS: page } });
    const headers = { Origin: page, 'X-Forwarded-For': '192.0.2.66, 198.51.100.7', 'X-Request-Id': 'forwarded' };
    const answer = await other.get('/ready', { headers });
    assert.equal(answer.headers['access-control-allow-origin'], page);
    await eventually(() => assert.match(other.log(), /"client":"198\.51\.100\.7","requestId":"forwarded"/));
    await gateway.get('/ready', { headers });
    await eventually(() => assert.match(gateway.log(), /"client":"127\.0\.0\.1","requestId":"forwarded"/));
  });
});
