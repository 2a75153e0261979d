import assert from 'node:assert/strict';
import { eventually } from '../../../../test/support/eventually.ts';
import { type KubeletRig, startKubelet } from '../../../../test/support/kubelet.ts';
import type { JsonObject } from '../../object.ts';
import {
  type Entrypoint,
  entrypointArgs,
  entrypointImagePath,
  entrypointPath,
  placeScriptsArgs,
  withInterpreter,
} from '../entrypoint.ts';
import { inContainer } from '../paths.ts';

/** A step as a Task has it, as far as its pod depends on it. */
interface StepGiven extends Partial<Entrypoint> {
  readonly name: string;
  readonly script?: string;
  readonly env?: readonly JsonObject[];
  readonly image?: string;
  readonly workingDir?: string;
  /** A limit, `100Mi`. */
  readonly memory?: string;
}

const tekton = ['scripts', 'bin', 'workspace', 'home', 'results', 'steps', 'artifacts'];

/** Takes 200 MB and keeps them. */
const hog = `"${process.execPath}" -e "const b = Buffer.alloc(200 << 20, 1); setInterval(() => b.fill(2), 1e3)"`;

/** A TaskRun's pod, ready at once unless `ready` is ''. Built as Tekton builds it, in the namespace of the rig. */
function taskPod(
  name: string,
  steps: readonly StepGiven[],
  { ready = 'READY', sidecars = [] as JsonObject[] } = {},
): string {
  const mountOf = (volume: string) => ({
    name: `tekton-internal-${volume}`,
    mountPath: volume === 'workspace' ? '/workspace' : `/tekton/${volume}`,
  });
  const file = (place: number) => `/tekton/scripts/script-${place}-abcde`;
  const scripts = steps.flatMap(({ script }, place) =>
    script === undefined ? [] : [{ file: file(place), text: withInterpreter(script) }],
  );
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, annotations: { 'tekton.dev/ready': ready } },
    spec: {
      restartPolicy: 'Never',
      initContainers: [
        {
          name: 'prepare',
          image: 'tekton/entrypoint:v1.15.0',
          workingDir: '/',
          command: [
            entrypointImagePath,
            'init',
            entrypointImagePath,
            entrypointPath,
            ...steps.map((step) => `step-${step.name}`),
          ],
          volumeMounts: [mountOf('bin'), mountOf('steps')],
        },
        {
          name: 'place-scripts',
          image: 'tekton/shell:v1.15.0',
          command: ['sh'],
          args: placeScriptsArgs(scripts),
          volumeMounts: [mountOf('scripts'), mountOf('bin')],
        },
      ],
      containers: [
        ...steps.map(
          (
            { name: step, script, env = [], image = 'busybox:1', workingDir, memory, command = [], ...more },
            place,
          ) => ({
            name: `step-${step}`,
            image,
            env,
            ...(workingDir === undefined ? {} : { workingDir }),
            ...(memory === undefined ? {} : { resources: { limits: { memory } } }),
            command: [entrypointPath],
            args: entrypointArgs({
              waitFile: place === 0 ? '/tekton/downward/ready' : `/tekton/run/${place - 1}/out`,
              waitFileContent: place === 0,
              postFile: `/tekton/run/${place}/out`,
              terminationPath: '/tekton/termination',
              stepMetadataDir: `/tekton/run/${place}/status`,
              ...more,
              command: script === undefined ? command : [file(place)],
            }),
            terminationMessagePath: '/tekton/termination',
            volumeMounts: [
              ...tekton.map(mountOf),
              { name: 'tekton-internal-downward', mountPath: '/tekton/downward' },
              ...steps.map((_, run) => ({ name: `tekton-internal-run-${run}`, mountPath: `/tekton/run/${run}` })),
            ],
          }),
        ),
        ...sidecars,
      ],
      volumes: [
        ...[...tekton, ...steps.map((_, run) => `run-${run}`)].map((volume) => ({
          name: `tekton-internal-${volume}`,
          emptyDir: {},
        })),
        {
          name: 'tekton-internal-downward',
          downwardAPI: {
            items: ['ready', 'cancel'].map((path) => ({
              path,
              fieldRef: { fieldPath: `metadata.annotations['tekton.dev/${path}']` },
            })),
          },
        },
      ],
    },
  });
}

describe('steps', () => {
  let rig: KubeletRig;
  before(async () => {
    rig = await startKubelet();
  });
  after(() => rig.end());

  const pods = { group: '', version: 'v1', plural: 'pods' };

  /** Each step's exit code, reason and message, times left out of it: `0 Completed sum=3(1) StartedAt(3)`. */
  async function ends(name: string): Promise<string[]> {
    await eventually(() => assert.match(String(rig.status(name).phase), /Succeeded|Failed/));
    const statuses = rig.status(name).containerStatuses as JsonObject[];
    const order = ((rig.pod(name).spec as JsonObject).containers as JsonObject[]).map((container) => container.name);
    return order.map((container) => {
      const { state } = statuses.find((status) => status.name === container) ?? {};
      const { exitCode, reason, message } = (state as JsonObject).terminated as JsonObject;
      const entries = (message === undefined ? [] : JSON.parse(String(message))) as {
        key: string;
        value: string;
        type: number;
      }[];
      return [
        exitCode,
        reason,
        ...entries.map(({ key, value, type }) =>
          key === 'StartedAt' ? `${key}(${type})` : `${key}=${value}(${type})`,
        ),
      ].join(' ');
    });
  }

  async function endWaiting(name: string): Promise<void> {
    await eventually(() => assert.ok((rig.container(name, 'step-b').state as JsonObject).terminated));
    assert.equal(rig.status(name).phase, 'Running');
    rig.client.patch(pods, 'default', name, { spec: { activeDeadlineSeconds: 1 } });
  }

  const cases: readonly {
    readonly name: string;
    readonly steps: readonly StepGiven[];
    readonly want: readonly string[];
    readonly logs?: readonly RegExp[];
  }[] = [
    {
      name: 'green',
      steps: [
        { name: 'a', script: 'echo a' },
        { name: 'b', command: ['echo', 'b', 'c'] },
      ],
      want: ['0 Completed StartedAt(3)', '0 Completed StartedAt(3)'],
      logs: [/^a\n$/, /^b c\n$/],
    },
    {
      name: 'red',
      steps: [
        { name: 'a', script: 'exit 7' },
        { name: 'b', script: 'echo never' },
        { name: 'c', script: 'echo never' },
      ],
      want: [
        '7 Error StartedAt(3)',
        '1 Error StartedAt(3) Reason=Skipped(3)',
        '1 Error StartedAt(3) Reason=Skipped(3)',
      ],
      logs: [/^$/, /^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d Skipping step because a previous step failed\n$/],
    },
    {
      name: 'continues',
      steps: [
        { name: 'a', script: 'exit 7', onError: 'continue' },
        { name: 'b', script: `cat ${inContainer('/tekton/steps/step-a/exitCode')}` },
      ],
      want: ['0 Completed StartedAt(3) ExitCode=7(3)', '0 Completed StartedAt(3)'],
      logs: [/^$/, /^7$/],
    },
    {
      name: 'signalled',
      steps: [
        { name: 'a', script: 'kill -9 $$', onError: 'continue' },
        { name: 'b', script: 'kill $$' },
      ],
      want: ['0 Completed StartedAt(3) ExitCode=-1(3)', '255 Error StartedAt(3)'],
    },
    {
      name: 'timeout',
      steps: [
        { name: 'a', script: 'echo begun; sleep 600', timeoutMs: 2_000 },
        { name: 'b', script: 'echo never' },
      ],
      want: ['1 Error StartedAt(3) Reason=TimeoutExceeded(3)', '1 Error StartedAt(3) Reason=Skipped(3)'],
      logs: [/^begun\n\S+ \S+ context deadline exceeded\n$/],
    },
    {
      name: 'results',
      steps: [
        {
          name: 'a',
          script: `printf 3 > ${inContainer('/tekton/results/sum')}\necho '[1,2]' > ${inContainer('/tekton/steps/step-a/results/list')}`,
          results: ['sum', 'none'],
          stepResults: ['list'],
        },
        {
          name: 'b',
          command: [
            'echo',
            '$(steps.a.results.list[1])',
            '$(steps.a.results.list[*])',
            inContainer('/tekton/results/sum'),
          ],
          results: ['sum'],
          env: [{ name: 'X', value: '$(steps.a.results.list[0])' }],
        },
      ],
      want: ['0 Completed sum=3(1) list=[1,2]\n(4) StartedAt(3)', '0 Completed sum=3(1) StartedAt(3)'],
      logs: [/^$/, /^2 1 2 \/\S+\/sum\n$/],
    },
    {
      name: 'too-large',
      steps: [
        {
          name: 'a',
          script: `head -c 5000 /dev/zero | tr '\\0' x > ${inContainer('/tekton/results/big')}`,
          results: ['big'],
        },
        { name: 'b', script: 'echo b' },
      ],
      want: ['1 Error StartedAt(3)', '0 Completed StartedAt(3)'],
      logs: [
        /ERROR Error while substituting step artifacts: error="Termination message is above max allowed size 4096, caused by large task result\."\n\S+ \S+ Termination message is above max allowed size 4096, caused by large task result\.\n$/,
      ],
    },
    {
      name: 'no-program',
      steps: [{ name: 'a', command: ['nosuchprogram'] }],
      want: ['1 Error StartedAt(3)'],
      logs: [/ Error executing command: exec: "nosuchprogram": executable file not found in \$PATH\n$/],
    },
    {
      name: 'no-interpreter',
      steps: [{ name: 'a', script: '#!/usr/bin/nosuchshell\necho' }],
      want: ['1 Error StartedAt(3)'],
      logs: [/ Error executing command: fork\/exec \/tekton\/scripts\/script-0-abcde: no such file or directory\n$/],
    },
    {
      name: 'interpreter',
      steps: [
        { name: 'a', script: '#!/usr/bin/env node\nconsole.log(6 * 7)' },
        { name: 'b', script: '#!/opt/images/only/sh -e\nfalse\necho never' },
      ],
      want: ['0 Completed StartedAt(3)', '1 Error StartedAt(3)'],
      logs: [/^42\n$/, /^$/],
    },
    {
      name: 'when',
      steps: [
        { name: 'a', script: 'echo a', when: [{ input: 'x', operator: 'in', values: ['y'] }] },
        { name: 'b', script: 'echo b', when: [{ cel: "'x' == 'x'" }] },
      ],
      want: ['0 Completed StartedAt(3) Reason=Skipped(3)', '0 Completed StartedAt(3)'],
      logs: [/INFO Step was skipped due to when expressions were evaluated to false\.\n$/, /^b\n$/],
    },
    {
      name: 'literal',
      steps: [
        { name: 'a', script: 'echo x > /tekton/results/sum' },
        { name: 'b', script: 'echo never' },
      ],
      want: ['1 Error StartedAt(3)', '1 Error StartedAt(3) Reason=Skipped(3)'],
      logs: [/^sandbox: the path \/tekton\/results\/sum is written out/],
    },
    {
      name: 'folders',
      steps: [
        { name: 'a', script: 'basename "$PWD"; mkdir src; echo "$HOME" | grep -o "home$"', workingDir: '/workspace' },
        { name: 'b', script: 'basename "$PWD"', workingDir: inContainer('/workspace/src') },
      ],
      want: ['0 Completed StartedAt(3)', '0 Completed StartedAt(3)'],
      logs: [/^tekton-internal-workspace\nhome\n$/, /^src\n$/],
    },
    {
      name: 'copies',
      steps: [
        { name: 'a', script: 'echo out; echo err >&2', stdoutPath: '/workspace/out', stderrPath: '/workspace/err' },
        { name: 'b', script: `cat out err` },
      ],
      want: ['0 Completed StartedAt(3)', '0 Completed StartedAt(3)'],
      logs: [/^out\nerr\n$/, /^out\nerr\n$/],
    },
    {
      name: 'escapes',
      steps: [{ name: 'a', script: `printf '<a&b>\\n' > ${inContainer('/tekton/results/html')}`, results: ['html'] }],
      want: ['0 Completed html=<a&b>\n(1) StartedAt(3)'],
    },
    {
      name: 'memory',
      steps: [
        { name: 'a', script: `${hog} || echo never mind`, memory: '100Mi' },
        { name: 'b', script: `exec ${hog}`, memory: '100Mi' },
        { name: 'c', script: 'echo waits for ever, as the real one does' },
      ],
      want: ['0 OOMKilled StartedAt(3)', '137 OOMKilled', '2 Error'],
      logs: [
        /never mind\nsandbox: a process was stopped: together its processes used more than/,
        /sandbox: stopped: together/,
        /^$/,
      ],
    },
  ];
  for (const { name, steps, want, logs = [] } of cases) {
    it(`end as Tekton's entrypoint ends them: ${name}`, async () => {
      rig.apply(taskPod(name, steps));
      // What waits for a step that was killed waits until its pod ends: Tekton's controller ends such a run.
      if (name === 'memory') await endWaiting(name);

      assert.deepEqual(await ends(name), want);
      for (const [place, pattern] of logs.entries()) {
        assert.match((await rig.log(name, `container=step-${steps[place]?.name}`)).text, pattern);
      }
    });
  }

  it('write what Go writes: escaped for HTML', () => {
    const { message } = (rig.container('escapes', 'step-a').state as JsonObject).terminated as JsonObject;
    assert.match(String(message), /"\\u003ca\\u0026b\\u003e\\n"/);
  });

  it("what Tekton's own init containers do and say", async () => {
    assert.match((await rig.log('green', 'container=prepare')).text, /^\S+ \S+ Entrypoint initialization\n$/);
    assert.match(
      (await rig.log('green', 'container=place-scripts')).text,
      /^\S+ \S+ Decoded script \/tekton\/scripts\/script-0-abcde\n$/,
    );
  });

  it('wait until the pod is said to be ready', async () => {
    rig.apply(taskPod('gate', [{ name: 'a', script: 'echo a' }], { ready: '' }));
    await eventually(() => assert.equal(rig.status('gate').phase, 'Running'));
    assert.equal((await rig.log('gate')).text, '');
    rig.client.patch(pods, 'default', 'gate', { metadata: { annotations: { 'tekton.dev/ready': 'READY' } } });
    assert.deepEqual(await ends('gate'), ['0 Completed StartedAt(3)']);
  });

  it('are cancelled by the annotation, and the pod stays', async () => {
    rig.apply(
      taskPod('cancel', [
        { name: 'a', script: 'echo a; sleep 600' },
        { name: 'b', script: 'echo b' },
      ]),
    );
    await eventually(async () => assert.equal((await rig.log('cancel', 'container=step-a')).text, 'a\n'));
    rig.client.patch(pods, 'default', 'cancel', { metadata: { annotations: { 'tekton.dev/cancel': 'CANCEL' } } });
    assert.deepEqual(await ends('cancel'), [
      '9 Error StartedAt(3) Reason=Cancelled(3)',
      '1 Error StartedAt(3) Reason=Skipped(3)',
    ]);
    assert.match(
      (await rig.log('cancel', 'container=step-a')).text,
      /^a\n\S+ \S+ INFO Step was canceling\n\S+ \S+ Step was cancelled\n$/,
    );
  });

  it('are asked to end with their pod: what runs as 255, what waits as 2', async () => {
    rig.apply(
      taskPod('deleted', [
        { name: 'a', script: 'echo a; sleep 600' },
        { name: 'b', script: 'echo b' },
      ]),
    );
    await eventually(async () => assert.equal((await rig.log('deleted', 'container=step-a')).text, 'a\n'));
    const last: JsonObject[] = [];
    const unwatch = rig.client.watch(pods, {}, ({ object }) => {
      if (object.metadata.name === 'deleted') last.push(object.status as JsonObject);
    });
    rig.client.remove(pods, 'default', 'deleted');
    await eventually(() => assert.equal(rig.client.get(pods, 'default', 'deleted'), undefined));
    await eventually(() => assert.equal(last.at(-1)?.phase, 'Failed'));
    unwatch();
    const codes = ((last.at(-1) as JsonObject).containerStatuses as JsonObject[]).map(
      ({ state }) => ((state as JsonObject).terminated as JsonObject).exitCode,
    );
    assert.deepEqual(codes, [255, 2]);
  });

  it('a sidecar whose image becomes the nop ends, and its real output is its previous log', async () => {
    rig.apply(
      taskPod('sidecar', [{ name: 'a', script: 'echo a' }], {
        sidecars: [{ name: 'sidecar-s', image: 'busybox:1', command: ['sh', '-c', 'echo serving; sleep 600'] }],
      }),
    );
    await eventually(async () => assert.equal((await rig.log('sidecar', 'container=sidecar-s')).text, 'serving\n'));
    const { containers } = rig.pod('sidecar').spec as { containers: JsonObject[] };
    rig.client.patch(pods, 'default', 'sidecar', {
      spec: {
        containers: containers.map((one) => (one.name === 'sidecar-s' ? { ...one, image: 'tekton/nop:v1.15.0' } : one)),
      },
    });
    assert.deepEqual(await ends('sidecar'), ['0 Completed StartedAt(3)', '1 Error']);
    const { restartCount, lastState } = rig.container('sidecar', 'sidecar-s');
    assert.deepEqual([restartCount, ((lastState as JsonObject).terminated as JsonObject).exitCode], [1, 137]);
    assert.equal((await rig.log('sidecar', 'container=sidecar-s')).text, '');
    assert.equal((await rig.log('sidecar', 'container=sidecar-s&previous=true')).text, 'serving\n');
    assert.ok(rig.events('sidecar').includes('Killing: Container sidecar-s definition changed, will be restarted'));
  });
});

describe('simulated steps', () => {
  let rig: KubeletRig;
  before(async () => {
    rig = await startKubelet({ simulate: true });
  });
  after(() => rig.end());

  it('play scenarios: by annotation, by name, and otherwise a green one with results', async () => {
    const given = JSON.parse(
      taskPod('played', [
        { name: 'one', script: 'exit 9', results: ['sum'] },
        { name: 'red', script: 'true' },
        { name: 'three', script: 'true' },
      ]),
    );
    rig.apply(JSON.stringify(given));
    await eventually(() => assert.equal(rig.status('played').phase, 'Failed'));
    assert.match((await rig.log('played', 'container=step-one')).text, /^one: begins .*\none: half way\none: done\n$/);
    assert.match((await rig.log('played', 'container=step-red')).text, /red: error: this scenario fails\n$/);
    const message = ((rig.container('played', 'step-one').state as JsonObject).terminated as JsonObject).message;
    assert.match(String(message), /"sum","value":"simulated","type":1/);
    given.metadata = {
      name: 'chosen',
      annotations: { ...given.metadata.annotations, 'sandbox.rungate.dev/scenario': 'one=out-of-memory' },
    };
    rig.apply(JSON.stringify(given));
    await eventually(() =>
      assert.equal(
        ((rig.container('chosen', 'step-one').state as JsonObject).terminated as JsonObject)?.reason,
        'OOMKilled',
      ),
    );
  });
});
