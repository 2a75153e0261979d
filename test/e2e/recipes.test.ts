/** The recipes of examples/, run by real shells with a real curl: what stands in them is what is executed. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { parse } from 'yaml';
import { type FaultProxy, startFaultProxy, type WireFault } from '../support/fault-proxy.ts';
import { checkout } from '../support/gateway.ts';
import { type Ran, runProgram } from '../support/program.ts';
import { startWorld, type World } from '../support/world.ts';

type Env = Readonly<Record<string, string>>;

/** A recipe: the scripts of a job that starts a run and shows its log, as the system that it is for would run them. */
interface Recipe {
  readonly name: string;
  readonly shell: readonly [file: string, ...args: string[]];
  /** One script after the other; the next is run when the one before ended with 0. */
  readonly scripts: readonly string[];
  /** What the system gives every script, `id` being that of its build. */
  env(id: string): Env;
}

const recipes: readonly Recipe[] = [gitlabRecipe(), githubRecipe(), jenkinsRecipe()];

let world: World;
/** What lies between a CI job and rungate: a router, a load balancer, a cable. */
let between: FaultProxy;

/** What rungate.sh is told by whatever runs it. */
function rungateEnv(): Env {
  const { username, password } = world.gateway.credentials;
  return {
    PATH: process.env.PATH ?? '',
    RUNGATE_URL: between.url,
    RUNGATE_USERNAME: username,
    RUNGATE_PASSWORD: password,
  };
}

describe('the recipes', () => {
  before(async () => {
    world = await startWorld();
    between = await startFaultProxy({ url: world.gateway.url }, { secure: false });
  });
  afterEach(() => between.lift());
  after(async () => {
    await between?.close();
    await world?.end();
  });

  for (const recipe of recipes) {
    describe(`for ${recipe.name}`, () => {
      for (const { kind, want } of [
        { kind: 'green', want: 0 },
        { kind: 'red', want: 1 },
      ]) {
        it(`run 7, 36: starts a ${kind} run, shows its log and ends with ${want}`, async () => {
          const listener = await startListener(kind);
          try {
            const id = `${recipe.name.toLowerCase()}-${Date.now()}`;
            const env = { ...rungateEnv(), ...recipe.env(id), EVENTLISTENER_URL: listener.url };
            let ran: Ran = { code: 0, stdout: '', stderr: '' };
            for (const script of recipe.scripts) {
              assert.equal(ran.code, 0, ran.stderr);
              const [file, ...args] = recipe.shell;
              ran = await runProgram(file, [...args, '-c', script], { env, cwd: checkout });
            }
            assert.equal(ran.code, want, ran.stdout + ran.stderr);
            assert.match(ran.stdout, kind === 'green' ? /12 tests passed/ : /1 test failed/);
            assert.doesNotMatch(ran.stdout + ran.stderr, new RegExp(world.gateway.credentials.password));
          } finally {
            await listener.close();
          }
        });
      }
    });
  }

  describe('for GitHub in particular', () => {
    it('puts no expression into a script, where what others wrote would be run', () => {
      const file = readFileSync(`${checkout}examples/github/rungate.yml`, 'utf8');
      for (const script of [...file.matchAll(/run: \|\n((?: {10}.*\n|\n)+)/g)].map(([, body]) => body)) {
        assert.doesNotMatch(script ?? '', /\$\{\{/);
      }
    });

    it('takes nothing in the log for a command', async () => {
      const [, show = ''] = githubRecipe().scripts;
      const env = { ...rungateEnv(), EVENT_ID: 'none', RUNGATE_WAIT: '0' };
      const { stdout } = await runProgram('bash', ['-e', '-c', show], { env, cwd: checkout });
      const lines = stdout.split('\n').filter((line) => line.startsWith('::'));
      const token = /^::stop-commands::([0-9a-f]{32})$/.exec(lines[0] ?? '')?.[1];
      assert(token);
      assert.deepEqual(lines, [`::stop-commands::${token}`, `::${token}::`]);
    });
  });

  describe('for shells', () => {
    function script(run: string, env: Env = {}): Promise<Ran> {
      return runProgram('sh', [`${checkout}examples/shell/rungate.sh`, run], { env: { ...rungateEnv(), ...env } });
    }

    it('run 36: a green run shows its log and ends with 0', async () => {
      const { code, stdout, stderr } = await script(await world.run('green'));
      assert.equal(code, 0, stderr);
      for (const words of ['compiling', 'packaged', '12 tests passed', 'reported'])
        assert.match(stdout, new RegExp(words));
    });

    it('run 36: a red run shows its log, says why and ends with 1', async () => {
      const { code, stdout, stderr } = await script(await world.run('red'));
      assert.equal(code, 1, stderr);
      assert.match(stdout, /1 test failed/);
      assert.match(stderr, /did not succeed: .*"status":"False"/);
    });

    it('run 7: a run that is created after the job began is waited for', async () => {
      const name = `late-${Date.now()}`;
      const running = script(name);
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
        const { code, stdout, stderr } = await script(run);
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
      const { code, stderr } = await script(run);
      assert.equal(code, 1, stderr);
    });

    const refused: readonly {
      readonly name: string;
      readonly run: string;
      readonly env: Env;
      readonly says: RegExp;
    }[] = [
      { name: 'wrong credentials', run: 'x', env: { RUNGATE_PASSWORD: 'wrong"\\ $x' }, says: /401|error/ },
      { name: 'a run that does not come', run: 'nowhere', env: { RUNGATE_WAIT: '0' }, says: /pipeline not found/ },
      { name: 'a bad name', run: 'A_B', env: {}, says: /Invalid pipeline RunID/ },
      { name: 'no URL', run: 'x', env: { RUNGATE_URL: '' }, says: /RUNGATE_URL is not set/ },
      { name: 'a format that there is not', run: 'x', env: { RUNGATE_FORMAT: 'pdf' }, says: /option format/ },
    ];
    for (const { name, run, env, says } of refused) {
      it(`${name}: ends with 2 and says so`, async () => {
        const { code, stdout, stderr } = await script(run, env);
        assert.equal(code, 2, stderr);
        assert.match(stdout + stderr, says);
      });
    }
  });
});

/** What stands for an EventListener: it answers 202 at once, and the run comes after. */
async function startListener(kind: string): Promise<{ readonly url: string; close(): Promise<void> }> {
  const started: Promise<unknown>[] = [];
  const server: Server = createServer(async (request, response) => {
    const { event_id: id } = JSON.parse(await text(request)) as { readonly event_id: string };
    response.writeHead(202, { 'Content-Type': 'application/json' }).end('{"eventListener":"service"}');
    started.push(world.run(kind, { name: `service-${id}` }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await Promise.all(started);
    },
  };
}

function gitlabRecipe(): Recipe {
  interface Job {
    readonly script: readonly string[];
  }
  const file = parse(readFileSync(`${checkout}examples/gitlab/.gitlab-ci.yml`, 'utf8')) as {
    readonly variables: Env;
    readonly trigger: Job;
    readonly build: Job;
  };
  return {
    name: 'GitLab',
    shell: ['bash', '-eo', 'pipefail'],
    scripts: [file.trigger, file.build].map(({ script }) => script.join('\n')),
    env: (id) => {
      const given: Env = { CI_PIPELINE_ID: id, CI_COMMIT_SHA: 'f00d' };
      return {
        ...given,
        ...expanded(file.variables, (value) => value.replace(/\$(\w+)/g, (_, name) => given[name] ?? '')),
      };
    },
  };
}

function githubRecipe(): Recipe {
  const file = parse(readFileSync(`${checkout}examples/github/rungate.yml`, 'utf8')) as {
    readonly jobs: {
      readonly build: { readonly env: Env; readonly steps: readonly { readonly run?: string; readonly env?: Env }[] };
    };
  };
  const { env, steps } = file.jobs.build;
  return {
    name: 'GitHub',
    shell: ['bash', '-e'],
    scripts: steps.flatMap(({ run }) => (run === undefined ? [] : [run])),
    env: (id) => {
      const known: Env = { 'github.run_id': id, 'github.run_attempt': '1' };
      const fill = (value: string) => value.replace(/\$\{\{ ([\w.]+) \}\}/g, (_, name: string) => known[name] ?? '');
      return { GITHUB_SHA: 'f00d', ...expanded(env, fill) };
    },
  };
}

/** Groovy's strings in three single quotes: `\\` is a backslash, and one at the end of a line joins it with the next. */
function jenkinsRecipe(): Recipe {
  const file = readFileSync(`${checkout}examples/jenkins/Jenkinsfile`, 'utf8');
  const scripts = [...file.matchAll(/sh '''([\s\S]*?)'''/g)].map(([, body = '']) =>
    body.replace(/\\(\n|\\)/g, (_, sign: string) => (sign === '\n' ? '' : sign)),
  );
  assert.match(file, /EVENT_ID = "\$\{env\.BUILD_NUMBER\}"/);
  assert.match(file, /RUNGATE = credentials\('rungate'\)/);
  return {
    name: 'Jenkins',
    shell: ['sh', '-xe'],
    scripts,
    env: (id) => {
      // credentials() sets these for the stage; a script that uses other names would be without them in Jenkins.
      const { RUNGATE_USERNAME: user = '', RUNGATE_PASSWORD: password = '' } = rungateEnv();
      return {
        EVENT_ID: id,
        GIT_COMMIT: 'f00d',
        RUNGATE_USR: user,
        RUNGATE_PSW: password,
        RUNGATE_USERNAME: '',
        RUNGATE_PASSWORD: '',
      };
    },
  };
}

function expanded(variables: Env, change: (value: string) => string): Env {
  return Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, change(value)]));
}
