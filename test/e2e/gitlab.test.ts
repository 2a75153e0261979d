/** The GitLab recipe of examples/gitlab, run by a real shell with a real curl. */
import assert from 'node:assert/strict';
import { type FaultProxy, startFaultProxy, type WireFault } from '../support/fault-proxy.ts';
import { checkout } from '../support/gateway.ts';
import { type Ran, runProgram } from '../support/program.ts';
import { startWorld, type World } from '../support/world.ts';

describe('the GitLab recipe', () => {
  let world: World;
  /** What lies between the CI job and rungate: a router, a load balancer, a cable. */
  let between: FaultProxy;

  before(async () => {
    world = await startWorld();
    between = await startFaultProxy({ url: world.gateway.url }, { secure: false });
  });

  afterEach(() => between.lift());

  after(async () => {
    await between?.close();
    await world?.end();
  });

  function recipe(run: string, env: Readonly<Record<string, string>> = {}): Promise<Ran> {
    const { username, password } = world.gateway.credentials;
    return runProgram('sh', [`${checkout}examples/gitlab/rungate.sh`, run], {
      env: {
        PATH: process.env.PATH,
        RUNGATE_URL: between.url,
        RUNGATE_USERNAME: username,
        RUNGATE_PASSWORD: password,
        ...env,
      },
    });
  }

  it('run 36: a green run shows its log and ends with 0', async () => {
    const { code, stdout, stderr } = await recipe(await world.run('green'));
    assert.equal(code, 0, stderr);
    for (const text of ['compiling', 'packaged', '12 tests passed', 'reported']) assert.match(stdout, new RegExp(text));
  });

  it('run 36: a red run shows its log, says why and ends with 1', async () => {
    const { code, stdout, stderr } = await recipe(await world.run('red'));
    assert.equal(code, 1, stderr);
    assert.match(stdout, /1 test failed/);
    assert.match(stderr, /did not succeed: .*"status":"False"/);
  });

  it('run 7: a run that is created after the job began is waited for', async () => {
    const name = `late-${Date.now()}`;
    const running = recipe(name);
    await world.run('green', { name });
    const { code, stderr } = await running;
    assert.equal(code, 0, stderr);
  });

  const cuts: readonly { readonly name: string; readonly fault: WireFault }[] = [
    { name: 'by a reset', fault: { kind: 'cut', at: { lines: 2 }, how: 'reset' } },
    { name: 'in the middle of a line', fault: { kind: 'cut', at: { lines: 2, into: 5 }, how: 'unfinished' } },
    { name: 'with an orderly end', fault: { kind: 'cut', at: { lines: 2 }, how: 'clean' } },
  ];
  for (const { name, fault } of cuts) {
    it(`a log that is cut mid-run ${name} ends neither as green nor as red`, async () => {
      const run = await world.run('ticking', { params: { count: '120' } });
      between.add({ on: { path: /^\/logs\// }, fault, times: 1 });
      const { code, stdout, stderr } = await recipe(run);
      assert.match(stdout, /tick 1/);
      assert.equal(code, 3, stderr);
      assert.match(stderr, /Run this job again|ended, but not the run/);
      await world.remove(run);
    });
  }

  it('a log that is cut of a run that then failed ends with 1', async () => {
    const run = await world.run('red');
    await world.finished(run);
    between.add({ on: { path: /^\/logs\// }, fault: { kind: 'cut', at: { bytes: 1 }, how: 'reset' }, times: 1 });
    const { code, stderr } = await recipe(run);
    assert.equal(code, 1, stderr);
  });

  const refused: readonly {
    readonly name: string;
    readonly run: string;
    readonly env: Readonly<Record<string, string>>;
    readonly says: RegExp;
  }[] = [
    { name: 'wrong credentials', run: 'x', env: { RUNGATE_PASSWORD: 'wrong"\\ $x' }, says: /401|error/ },
    { name: 'a run that does not come', run: 'nowhere', env: { RUNGATE_WAIT: '0' }, says: /pipeline not found/ },
    { name: 'a bad name', run: 'A_B', env: {}, says: /Invalid pipeline RunID/ },
    { name: 'no URL', run: 'x', env: { RUNGATE_URL: '' }, says: /RUNGATE_URL is not set/ },
  ];
  for (const { name, run, env, says } of refused) {
    it(`${name}: ends with 2 and says so`, async () => {
      const { code, stdout, stderr } = await recipe(run, env);
      assert.equal(code, 2, stderr);
      assert.match(stdout + stderr, says);
    });
  }
});
