import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../../../../test/support/eventually.ts';
import { HandClock } from '../../../../test/support/hand-clock.ts';
import { type KubeletRig, startKubelet } from '../../../../test/support/kubelet.ts';
import type { JsonObject } from '../../object.ts';

/** A pod of one container that runs a script. */
function podYaml(name: string, script: string, more = ''): string {
  return `
apiVersion: v1
kind: Pod
metadata: { name: ${name} }
spec:
  restartPolicy: Never
  ${more}
  containers:
    - name: a
      image: busybox:1
      command: [sh, -c, ${JSON.stringify(script)}]
`;
}

describe('the kubelet', () => {
  let rig: KubeletRig;
  before(async () => {
    rig = await startKubelet();
  });
  after(() => rig.end());

  const phase = (name: string) => rig.status(name).phase;
  const state = (name: string, container = 'a') => rig.container(name, container).state as JsonObject;
  const terminated = (name: string, container = 'a') => state(name, container).terminated as JsonObject;
  const conditions = (name: string) =>
    (rig.status(name).conditions as JsonObject[]).map(({ type, status, reason, message }) =>
      [type, status, reason, message].filter((part) => part !== undefined).join(' '),
    );

  it('runs a pod to its end and says so as the real one does', async () => {
    rig.apply(podYaml('ok', 'echo hi; echo oops >&2'));
    await eventually(() => assert.equal(phase('ok'), 'Succeeded'));
    const { containerID, startedAt, finishedAt, ...rest } = terminated('ok');
    assert.deepEqual(rest, { exitCode: 0, reason: 'Completed' });
    assert.match(String(containerID), /^containerd:\/\/[0-9a-f]{64}$/);
    assert.match(`${startedAt} ${finishedAt}`, /^[\d-]{10}T[\d:]{8}Z [\d-]{10}T[\d:]{8}Z$/);
    assert.deepEqual(conditions('ok'), [
      'PodReadyToStartContainers False',
      'Initialized True PodCompleted',
      'Ready False PodCompleted',
      'ContainersReady False PodCompleted',
      'PodScheduled True',
    ]);
    assert.equal((rig.pod('ok').spec as JsonObject).nodeName, 'sandbox');
    assert.equal(rig.pod('ok').metadata.generation, 1);
    assert.deepEqual((await rig.log('ok')).text, 'hi\noops\n');
    assert.deepEqual(rig.events('ok'), [
      'Scheduled: Successfully assigned default/ok to sandbox',
      'Pulled: Container image "busybox:1" already present on machine',
      'Created: Created container: a',
      'Started: Started container a',
    ]);
    assert.equal(rig.container('ok', 'a').image, 'docker.io/library/busybox:1');
  });

  const endings: readonly {
    readonly name: string;
    readonly script: string;
    readonly more?: string;
    readonly want: JsonObject;
  }[] = [
    { name: 'exit code', script: 'exit 3', want: { exitCode: 3, reason: 'Error' } },
    { name: 'killed by itself', script: 'kill -9 $$$$', want: { exitCode: 137, reason: 'Error' } },
    {
      name: 'message',
      script: 'printf "all is\\nwell" > "$(sandbox:/dev/termination-log)"; exit 1',
      want: { exitCode: 1, reason: 'Error', message: 'all is\nwell' },
    },
  ];
  for (const [place, { name, script, more, want }] of endings.entries()) {
    it(`tells how a container ended: ${name}`, async () => {
      rig.apply(podYaml(`end-${place}`, script, more));
      await eventually(() => assert.equal(phase(`end-${place}`), 'Failed'));
      const { containerID, startedAt, finishedAt, ...rest } = terminated(`end-${place}`);
      assert.deepEqual(rest, want);
    });
  }

  it('takes the message from the log when asked to and there is no other', async () => {
    rig.apply(
      podYaml('fallback', 'echo one; echo two >&2; exit 3').replace(
        'command:',
        'terminationMessagePolicy: FallbackToLogsOnError\n      command:',
      ),
    );
    await eventually(() => assert.equal(phase('fallback'), 'Failed'));
    assert.equal(terminated('fallback').message, 'one\ntwo\n');
  });

  it('a program that this machine does not have ends as the runtime ends it', async () => {
    rig.apply(podYaml('none', '').replace(/\[sh.*\]/, '[nosuchprogram]'));
    await eventually(() => assert.equal(phase('none'), 'Failed'));
    const { exitCode, reason, message, startedAt } = terminated('none');
    assert.deepEqual([exitCode, reason, startedAt], [128, 'StartError', '1970-01-01T00:00:00Z']);
    assert.match(String(message), /exec: "nosuchprogram": executable file not found in \$PATH: unknown$/);
    assert.deepEqual(rig.events('none').slice(2), ['Created: Created container: a', `Failed: Error: ${message}`]);
    assert.deepEqual(await rig.log('none'), { code: 200, text: '' });
  });

  it('init containers run one after another, sidecars beside all that follows and no longer', async () => {
    rig.apply(`
apiVersion: v1
kind: Pod
metadata: { name: init }
spec:
  restartPolicy: Never
  volumes: [{ name: v, emptyDir: {} }]
  initContainers:
    - { name: i1, image: busybox, command: [sh, -c, 'echo i1 >> $(sandbox:/v/order)'], volumeMounts: [{ name: v, mountPath: /v }] }
    - { name: side, image: busybox, restartPolicy: Always, command: [sh, -c, 'echo side >> $(sandbox:/v/order); sleep 600'], volumeMounts: [{ name: v, mountPath: /v }] }
    - { name: i2, image: busybox, command: [sh, -c, 'until grep -q side $(sandbox:/v/order); do sleep 0.05; done; echo i2 >> $(sandbox:/v/order)'], volumeMounts: [{ name: v, mountPath: /v }] }
  containers:
    - { name: b, image: busybox, command: [sh, -c, 'exit 0'] }
    - { name: a, image: busybox, command: [sh, -c, 'cat $(sandbox:/v/order)'], volumeMounts: [{ name: v, mountPath: /v }] }
`);
    await eventually(() => assert.equal(phase('init'), 'Succeeded'));
    assert.equal((await rig.log('init', 'container=a')).text, 'i1\nside\ni2\n');
    assert.equal(terminated('init', 'side').exitCode, 137);
    assert.ok(rig.events('init').includes('Killing: Stopping container side'));
    const names = (rig.status('init').containerStatuses as JsonObject[]).map(({ name }) => name);
    assert.deepEqual(names, ['a', 'b']);
  });

  it('an init container that fails ends the pod, and the others never begin', async () => {
    rig.apply(
      podYaml('initfail', 'echo never', 'initContainers: [{ name: i1, image: busybox, command: [sh, -c, exit 2] }]'),
    );
    await eventually(() => assert.equal(phase('initfail'), 'Failed'));
    assert.deepEqual(state('initfail'), { waiting: { reason: 'PodInitializing' } });
    assert.deepEqual(conditions('initfail').slice(1, 3), [
      'Initialized False ContainersNotInitialized containers with incomplete status: [i1]',
      'Ready False PodFailed',
    ]);
  });

  it('an image that cannot be pulled', async () => {
    // A state is gone on from by the clock: turned by hand, for nobody to come too late for it.
    const clock = new HandClock();
    const rig = await startKubelet({ clock });
    try {
      const waiting = () => ((rig.container('pull', 'a').state ?? {}) as JsonObject).waiting as JsonObject | undefined;
      rig.apply(podYaml('pull', 'true').replace('busybox:1', 'unpullable.test/x:1'));
      await eventually(() => assert.equal(waiting()?.reason, 'ErrImagePull'));
      await assert.rejects(rig.log('pull'), {
        code: 400,
        message: `container "a" in pod "pull" is waiting to start: image can't be pulled`,
      });
      await clock.turn(1_000);
      await eventually(() => assert.equal(waiting()?.reason, 'ImagePullBackOff'));
      await assert.rejects(rig.log('pull'), {
        message: 'container "a" in pod "pull" is waiting to start: trying and failing to pull image',
      });
      assert.equal(rig.status('pull').phase, 'Pending');
      assert.match(
        rig.events('pull').join('\n'),
        /Failed: Error: ErrImagePull\nBackOff: Back-off pulling image "unpullable.test\/x:1"\nFailed: Error: ImagePullBackOff$/,
      );
    } finally {
      await rig.end();
    }
  });

  const configs: readonly { readonly name: string; readonly field: string; readonly want: string }[] = [
    {
      name: 'no-map',
      field: 'env: [{ name: X, valueFrom: { configMapKeyRef: { name: nope, key: k } } }]',
      want: 'configmaps "nope" not found',
    },
    { name: 'no-secret', field: 'envFrom: [{ secretRef: { name: nope } }]', want: 'secrets "nope" not found' },
    {
      name: 'no-key',
      field: 'env: [{ name: X, valueFrom: { configMapKeyRef: { name: settings, key: k } } }]',
      want: "couldn't find key k in ConfigMap default/settings",
    },
  ];
  for (const { name, field, want } of configs) {
    it(`a container without its configuration waits: ${want}`, async () => {
      if (name === 'no-key')
        rig.apply('{ apiVersion: v1, kind: ConfigMap, metadata: { name: settings }, data: { a: b } }');
      rig.apply(podYaml(name, 'true').replace('command:', `${field}\n      command:`));
      await eventually(() =>
        assert.deepEqual(state(name), { waiting: { reason: 'CreateContainerConfigError', message: want } }),
      );
      assert.equal(rig.events(name).at(-1), `Failed: Error: ${want}`);
    });
  }

  it('a pod whose volume cannot be made waits until it can', async () => {
    rig.apply(
      podYaml('late', 'cat "$(sandbox:/v/k)"', 'volumes: [{ name: v, configMap: { name: late } }]').replace(
        'command:',
        'volumeMounts: [{ name: v, mountPath: /v }]\n      command:',
      ),
    );
    await eventually(() =>
      assert.match(
        rig.events('late').join('\n'),
        /FailedMount: MountVolume.SetUp failed for volume "v" : configmaps "late" not found/,
      ),
    );
    assert.deepEqual(state('late'), { waiting: { reason: 'ContainerCreating' } });
    rig.apply('{ apiVersion: v1, kind: ConfigMap, metadata: { name: late }, data: { k: now } }');
    await eventually(() => assert.equal(phase('late'), 'Succeeded'));
    assert.equal((await rig.log('late')).text, 'now');
  });

  it('a claim is bound and its folder outlives the pods that write to it', async () => {
    const mount = (name: string, script: string) =>
      podYaml(name, script, 'volumes: [{ name: v, persistentVolumeClaim: { claimName: data } }]').replace(
        'command:',
        'volumeMounts: [{ name: v, mountPath: /v }]\n      command:',
      );
    rig.apply(mount('first', 'echo kept > "$(sandbox:/v/file)"'));
    await eventually(() =>
      assert.match(
        conditions('first').join(),
        /PodScheduled False Unschedulable 0\/1 nodes are available: persistentvolumeclaim "data" not found/,
      ),
    );
    assert.equal((await rig.log('first')).code, 204);
    rig.apply(
      '{ apiVersion: v1, kind: PersistentVolumeClaim, metadata: { name: data }, spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Gi } } } }',
    );
    await eventually(() => assert.equal(phase('first'), 'Succeeded'));
    rig.apply(mount('second', 'cat "$(sandbox:/v/file)"'));
    await eventually(() => assert.equal(phase('second'), 'Succeeded'));
    assert.equal((await rig.log('second')).text, 'kept\n');
    const claim = rig.client.get({ group: '', version: 'v1', plural: 'persistentvolumeclaims' }, 'default', 'data');
    assert.deepEqual(claim?.status, { accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' }, phase: 'Bound' });
  });

  it('a pod that fits nowhere says why', async () => {
    rig.apply(podYaml('nowhere', 'true', 'nodeSelector: { disk: moon }'));
    await eventually(() => assert.equal(rig.events('nowhere').length, 1));
    assert.deepEqual(rig.events('nowhere'), [
      "FailedScheduling: 0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
    ]);
    assert.equal(phase('nowhere'), 'Pending');
    assert.equal(rig.status('nowhere').qosClass, 'BestEffort');
  });

  it('a pod is active no longer than it may be', async () => {
    rig.apply(podYaml('deadline', 'echo began; sleep 600', 'activeDeadlineSeconds: 1'));
    await eventually(() => assert.equal(rig.status('deadline').reason, 'DeadlineExceeded'));
    assert.equal(rig.status('deadline').message, 'Pod was active on the node longer than the specified deadline');
    await eventually(() => assert.equal(terminated('deadline')?.exitCode, 137));
    assert.equal(phase('deadline'), 'Failed');
  });

  it('deleting a pod asks its containers, kills them when their time is over, and then removes it', async () => {
    rig.apply(podYaml('asked', `trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.05; done`));
    rig.apply(podYaml('deaf', `trap '' TERM; echo ready; while :; do sleep 0.05; done`));
    const pods = { group: '', version: 'v1', plural: 'pods' };
    const seen: string[] = [];
    const unwatch = rig.client.watch(pods, {}, ({ type, object }) => {
      const [first] = ((object.status as JsonObject).containerStatuses as JsonObject[] | undefined) ?? [];
      seen.push(
        `${object.metadata.name} ${type} ${(object.status as JsonObject).phase} ${JSON.stringify((first?.state as JsonObject)?.terminated ?? {}).slice(0, 200)}`,
      );
    });
    for (const name of ['asked', 'deaf'])
      await eventually(async () => assert.equal((await rig.log(name)).text, 'ready\n'));
    const following = rig.log('asked', 'follow=true');
    rig.client.remove(pods, 'default', 'asked');
    rig.client.remove(pods, 'default', 'deaf', { gracePeriodSeconds: 1 });
    assert.equal((await following).text, 'ready\nbye\n');
    await eventually(() => {
      assert.equal(rig.client.get(pods, 'default', 'asked'), undefined);
      assert.equal(rig.client.get(pods, 'default', 'deaf'), undefined);
    });
    await eventually(() => assert.ok(seen.some((line) => line.startsWith('deaf DELETED'))));
    unwatch();
    assert.match(seen.filter((line) => line.startsWith('asked MODIFIED Failed')).at(-1) ?? '', /"exitCode":5/);
    assert.match(seen.filter((line) => line.startsWith('deaf MODIFIED Failed')).at(-1) ?? '', /"exitCode":137/);
    await eventually(() =>
      assert.deepEqual(
        readdirSync(join(rig.folder, 'kubelet', 'logs')).filter((name) => /asked|deaf/.test(name)),
        [],
      ),
    );
  });

  it('a pod that is deleted by force is gone at once, and so are its processes', async () => {
    rig.apply(podYaml('force', 'echo ready; sleep 600'));
    await eventually(async () => assert.equal((await rig.log('force')).text, 'ready\n'));
    const following = rig.log('force', 'follow=true');
    rig.client.remove({ group: '', version: 'v1', plural: 'pods' }, 'default', 'force', { gracePeriodSeconds: 0 });
    assert.equal((await following).text, 'ready\n');
  });

  it('a container that is to be started again is, and its first log is the previous one', async () => {
    rig.apply(
      podYaml(
        'crash',
        'echo run $(cat "$(sandbox:/v/runs)" | wc -l); echo x >> "$(sandbox:/v/runs)"; exit 3',
        'volumes: [{ name: v, emptyDir: {} }]',
      )
        .replace('Never', 'OnFailure')
        .replace('command:', 'volumeMounts: [{ name: v, mountPath: /v }]\n      command:'),
    );
    await eventually(() =>
      assert.equal((state('crash').waiting as JsonObject | undefined)?.reason, 'CrashLoopBackOff'),
    );
    const { restartCount, lastState } = rig.container('crash', 'a');
    assert.equal(restartCount, 1);
    assert.equal(((lastState as JsonObject).terminated as JsonObject).exitCode, 3);
    assert.match(
      String((state('crash').waiting as JsonObject).message),
      /^back-off 10s restarting failed container=a pod=crash_default\(/,
    );
    assert.equal((await rig.log('crash')).text, 'run 1\n');
    assert.equal(phase('crash'), 'Running');
    assert.match(
      rig.events('crash').join('\n'),
      /Started: Started container a x2\nBackOff: Back-off restarting failed container a in pod crash_default/,
    );
  });

  it('what a container finds in its environment', async () => {
    rig.apply('{ apiVersion: v1, kind: Secret, metadata: { name: creds }, stringData: { user: bob, pass: s3 } }');
    rig.apply(`
apiVersion: v1
kind: Pod
metadata: { name: env, labels: { app: web } }
spec:
  restartPolicy: Never
  containers:
    - name: a
      image: busybox
      command: [sh, -c, 'env | sort; echo "$0" "$1"', $(B)/$(NONE), $(A)-$$(A)]
      envFrom: [{ prefix: S_, secretRef: { name: creds } }]
      resources: { limits: { memory: 64Mi } }
      env:
        - { name: A, value: one }
        - { name: B, value: $(A)/$(S_user) }
        - { name: NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
        - { name: APP, valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } }
        - { name: LIMIT, valueFrom: { resourceFieldRef: { resource: limits.memory, divisor: 1Mi } } }
`);
    await eventually(() => assert.equal(phase('env'), 'Succeeded'));
    const lines = (await rig.log('env')).text.split('\n').filter((line) => !/^(PWD|OLDPWD|SHLVL|_)=/.test(line));
    const names = lines.map((line) => line.split('=')[0]);
    assert.deepEqual(names, [
      'A',
      'APP',
      'B',
      'HOME',
      'HOSTNAME',
      'LANG',
      'LIMIT',
      'NAME',
      'PATH',
      'S_pass',
      'S_user',
      'TMPDIR',
      'one/bob/$(NONE) one-$(A)',
      '',
    ]);
    for (const line of ['APP=web', 'B=one/bob', 'LIMIT=64', 'NAME=env', 'S_pass=s3'])
      assert.ok(lines.includes(line), line);
  });

  it('a path of the container that is written out fails the container, and the log says what to write', async () => {
    rig.apply(podYaml('literal', 'cat /workspace/source/go.mod'));
    await eventually(() => assert.equal(phase('literal'), 'Failed'));
    assert.equal(terminated('literal').exitCode, 1);
    assert.match(
      (await rig.log('literal')).text,
      /^sandbox: the path \/workspace\/source\/go\.mod is written out.*\nsandbox: write a variable.*\$\(workspaces\.<name>\.path\)/,
    );
  });
});

describe('a kubelet with narrow bounds', () => {
  it('lets pods wait for a place, in their order', async () => {
    const rig = await startKubelet({ limits: { pods: 1 } });
    try {
      for (const name of ['one', 'two']) rig.apply(podYaml(name, 'sleep 0.3'));
      await eventually(() =>
        assert.match(
          rig.events('two').join(),
          /FailedScheduling: 0\/1 nodes are available: 1 Too many pods\. .*No preemption victims found for incoming pod\.$/,
        ),
      );
      await eventually(() => assert.equal(rig.status('two').phase, 'Succeeded'));
      assert.equal(rig.status('one').phase, 'Succeeded');
    } finally {
      await rig.end();
    }
  });

  it('stops what takes too much memory or writes too much, and the log says so', async () => {
    const rig = await startKubelet({ limits: { memorySampleMs: 20, outputBytes: 1_000 } });
    try {
      rig.apply(
        podYaml(
          'hog',
          `exec "${process.execPath}" -e "const b = Buffer.alloc(200 << 20, 1); setInterval(() => b.fill(2), 1e3)"`,
        ).replace('command:', 'resources: { limits: { memory: 100Mi } }\n      command:'),
      );
      rig.apply(podYaml('torrent', 'yes'));
      for (const name of ['hog', 'torrent']) await eventually(() => assert.equal(rig.status(name).phase, 'Failed'));
      const ends = ['hog', 'torrent'].map(
        (name) => (rig.container(name, 'a').state as JsonObject).terminated as JsonObject,
      );
      assert.deepEqual(
        ends.map(({ exitCode, reason }) => [exitCode, reason]),
        [
          [137, 'OOMKilled'],
          [137, 'Error'],
        ],
      );
      assert.match(
        (await rig.log('hog')).text,
        /sandbox: stopped: together its processes used more than the 104857600 bytes of memory that it may have\n$/,
      );
      assert.match(
        (await rig.log('torrent')).text,
        /y\ny\nsandbox: stopped: it wrote more than the 1000 bytes of output it may write\n$/,
      );
    } finally {
      await rig.end();
    }
  });

  it('leaves nothing running when it stops', async () => {
    const rig = await startKubelet();
    rig.apply(
      podYaml(
        'going',
        'echo $$$$ > "$(sandbox:/v/pid)"; trap "" TERM; sleep 600',
        'volumes: [{ name: v, persistentVolumeClaim: { claimName: data } }]',
      ).replace('command:', 'volumeMounts: [{ name: v, mountPath: /v }]\n      command:'),
    );
    rig.apply(
      '{ apiVersion: v1, kind: PersistentVolumeClaim, metadata: { name: data }, spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Gi } } } }',
    );
    const file = join(rig.folder, 'kubelet', 'claims', 'default', 'data', 'pid');
    await eventually(() => assert.ok(existsSync(file)));
    await rig.end();
    assert.equal(existsSync(rig.folder), false);
  });

  it('started again, gives up what ran before, and still has its log; what waited goes on', async () => {
    const rig = await startKubelet();
    try {
      rig.apply(podYaml('ran', 'echo ready; sleep 600'));
      rig.apply(podYaml('waits', 'true', 'nodeSelector: { disk: moon }'));
      await eventually(async () => assert.equal((await rig.log('ran')).text, 'ready\n'));
      await rig.restart();
      rig.apply(podYaml('later', 'echo later'));
      await eventually(() => assert.equal(rig.status('later').phase, 'Succeeded'));
      assert.equal(rig.status('ran').phase, 'Failed');
      const { terminated } = rig.container('ran', 'a').state as { terminated: JsonObject };
      assert.deepEqual([terminated.exitCode, terminated.reason], [137, 'ContainerStatusUnknown']);
      assert.equal((await rig.log('ran')).text, 'ready\n');
      assert.equal(rig.status('waits').phase, 'Pending');
    } finally {
      await rig.end();
    }
  });

  it('a folder with a blank in its name does not disturb scripts', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'a blank '));
    const rig = await startKubelet({ folder });
    try {
      rig.apply(
        podYaml(
          'blank',
          'echo x > $(sandbox:/v/file); cat $(sandbox:/v/file)',
          'volumes: [{ name: v, emptyDir: {} }]',
        ).replace('command:', 'volumeMounts: [{ name: v, mountPath: /v }]\n      command:'),
      );
      await eventually(() => assert.equal(rig.status('blank').phase, 'Succeeded'));
      assert.equal((await rig.log('blank')).text, 'x\n');
    } finally {
      await rig.end();
      rmSync(folder, { recursive: true });
    }
  });
});
