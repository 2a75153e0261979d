/** The examples of docs/api.md, run by a real shell with a real curl: word for word, but that `default` is another namespace. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../support/eventually.ts';
import { checkout, type Gateway } from '../support/gateway.ts';
import { type Ran, runProgram } from '../support/program.ts';
import { startTriggerWorld, type TriggerWorld } from '../support/triggers.ts';

const page = readFileSync(`${checkout}docs/api.md`, 'utf8');

/** Commands, each with the JSON that the page shows behind it. */
const examples = [...page.matchAll(/```sh\n(curl [^`]+)\n```(?:\s+```json\n([^`]+)\n```)?/g)].map(
  ([, command = '', answer]) => ({ command, answer }),
);

/** The trigger that the page asks about. */
const app = `
apiVersion: pipeline.jquad.rocks/v1alpha1
kind: PipelineTrigger
metadata:
  name: app
spec:
  source:
    kind: GitRepository
    name: app
  pipeline:
    name: build
`;

describe('the examples of docs/api.md', function () {
  this.timeout(600_000);
  let world: TriggerWorld;
  let gateway: Gateway;
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rungate-access-'));
    const access = join(folder, 'access.yaml');
    await writeFile(access, 'ci: {read: "*", run: "*"}\n');
    const env = { AUTH_USERNAME: 'ci', AUTH_PASSWORD: 'secret', ACCESS_FILE: access };
    world = await startTriggerWorld({ components: ['triggers-run'], env });
    ({ gateway } = world);
    await Promise.all([world.pipeline('skips', 'build'), world.repository('app', `main@sha1:${'0'.repeat(40)}`)]);
    await world.trigger(app);
    await world.apply(readFileSync(`${checkout}examples/hello.yaml`, 'utf8'));
    await world.finished('hello');
    await world.says('app', 'Success', 'True');
    // What the cluster has, the gateway may have yet to hear of.
    const as = { username: 'ci', password: 'secret' };
    await eventually(async () => {
      assert.equal((await gateway.get('/status/hello', { as })).status, 200);
      const answer = await gateway.get(`/triggers/${world.namespace}/app`, { as });
      assert.equal(answer.json<{ state: string }>().state, 'succeeded', answer.text);
    });
    // The page speaks of localhost:8080, where something else may listen.
    const { host } = new URL(gateway.url);
    await writeFile(join(world.folder, '.curlrc'), `connect-to = "localhost:8080:${host}"\nsilent\nshow-error\n`);
  });
  after(async () => {
    await world?.end();
    if (folder !== undefined) await rm(folder, { recursive: true });
  });

  function run(command: string): Promise<Ran> {
    const there = command.replaceAll('/default', `/${world.namespace}`);
    return runProgram('bash', ['-c', there], { env: { PATH: process.env.PATH, HOME: world.folder } });
  }

  it('are there for every chapter', () => {
    const paths = examples.map(({ command }) => /localhost:8080(\/\w+)/.exec(command)?.[1]);
    assert.deepEqual([...new Set(paths)].sort(), ['/logs', '/runs', '/status', '/taskruns', '/tickets', '/triggers']);
  });

  for (const { command, answer } of examples) {
    it(command, async () => {
      const { code, stdout, stderr } = await run(command);
      assert.equal(code, 0, stderr);
      assert.doesNotMatch(stdout, /"error":/);
      if (answer !== undefined) assert.deepEqual(shapeOf(JSON.parse(stdout)), shapeOf(JSON.parse(answer)));
      else assert.notEqual(stdout, '');
    });
  }
});

/** What an answer looks like: its names in their order, and of what kind each value is. */
function shapeOf(value: object): readonly (readonly [string, string])[] {
  return Object.entries(value).map(([name, each]) => [name, typeof each]);
}
