/** Pods: defaults, validation, what may change. What runs in them is in podlogs.test.ts. */
import assert from 'node:assert/strict';
import type { JsonObject } from '../../src/sandbox/object.ts';
import { eventually } from '../support/eventually.ts';
import { contract } from './contract.ts';
import { paths, pod, unschedulable } from './objects.ts';
import { only } from './show.ts';

const { pods } = paths;
const container = (more: JsonObject = {}): JsonObject => ({
  name: 'main',
  image: 'docker.io/library/busybox:1',
  ...more,
});
const withSpec = (name: string, spec: JsonObject): JsonObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec,
});
/** Without the printed difference of two pods, which is Go's own way to write one. */
const firstLine = {
  show: (body: unknown): JsonObject => {
    const { kind, message, reason, code } = body as JsonObject;
    return kind === 'Status' ? { reason, code, message: String(message).split('\n')[0] } : { kind };
  },
};

contract('pods', {
  'a pod comes back with its defaults': async (api) => {
    await api.post(pods, withSpec('defaults', { containers: [container()], nodeSelector: { nowhere: 'true' } }));
  },
  'defaults depend on the image': async (api) => {
    const images = ['x', 'x:latest', 'x:1', 'x@sha256:'.padEnd(74, 'a'), 'host:5000/x'];
    const containers = images.map((image, place) => ({ name: `c${place}`, image }));
    await api.post(pods, withSpec('images', { containers, nodeSelector: { nowhere: 'true' } }), {
      show: (body) =>
        (body as { spec?: { containers: JsonObject[] } }).spec?.containers.map(({ image, imagePullPolicy }) => [
          image ?? '',
          imagePullPolicy ?? '',
        ]) ?? body,
    });
  },
  'defaults of what a container can have': async (api) => {
    const main = container({
      ports: [{ containerPort: 80 }],
      env: [
        { name: 'A', value: '' },
        { name: 'B', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        { name: 'C', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } },
      ],
      resources: { limits: { cpu: '1', memory: '64Mi' } },
      livenessProbe: { exec: { command: ['true'] } },
      readinessProbe: { httpGet: { port: 80 } },
      lifecycle: { preStop: { exec: { command: ['true'] } } },
      securityContext: { runAsUser: 1 },
    });
    await api.post(
      pods,
      withSpec('rich', { containers: [main], nodeSelector: { nowhere: 'true' } }),
      only('spec.containers.0', 'status.qosClass'),
    );
  },
  'defaults of volumes': async (api) => {
    const volumes = [
      { name: 'empty', emptyDir: {} },
      { name: 'none' },
      { name: 'secret', secret: { secretName: 's' } },
      { name: 'map', configMap: { name: 'm', items: [{ key: 'a', path: 'b' }] } },
      { name: 'claim', persistentVolumeClaim: { claimName: 'c' } },
      { name: 'down', downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } },
      { name: 'host', hostPath: { path: '/tmp' } },
      {
        name: 'projected',
        projected: { sources: [{ serviceAccountToken: { path: 't' } }, { configMap: { name: 'm' } }] },
      },
    ];
    await api.post(
      pods,
      withSpec('volumes', { containers: [container()], volumes, automountServiceAccountToken: false }),
      only('spec.volumes'),
    );
    await api.given.remove(`${pods}/volumes?gracePeriodSeconds=0`);
  },
  'the token of the service account is mounted, unless it is not wanted': async (api) => {
    const nodeSelector = { nowhere: 'true' };
    await api.post(
      pods,
      withSpec('mounted', { containers: [container()], nodeSelector }),
      only('spec.volumes', 'spec.containers.0.volumeMounts', 'spec.serviceAccountName'),
    );
    await api.post(
      pods,
      withSpec('unmounted', { containers: [container()], automountServiceAccountToken: false, nodeSelector }),
      only('spec.volumes', 'spec.containers.0.volumeMounts'),
    );
  },
  'a service account that does not exist is refused': async (api) => {
    await api.post(pods, withSpec('accountless', { containers: [container()], serviceAccountName: 'absent' }));
  },
  'init containers and sidecars': async (api) => {
    const initContainers = [container({ name: 'first' }), container({ name: 'beside', restartPolicy: 'Always' })];
    await api.post(
      pods,
      withSpec('inits', {
        initContainers,
        containers: [container()],
        automountServiceAccountToken: false,
        nodeSelector: { nowhere: 'true' },
      }),
      only('spec.initContainers'),
    );
  },
  'containers are needed': async (api) => {
    await api.post(pods, withSpec('containerless', {}));
    await api.post(pods, withSpec('containerless', { containers: [] }));
    await api.post(pods, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'specless' } });
  },
  'a container has a name and an image': async (api) => {
    await api.post(pods, withSpec('nameless', { containers: [{ image: 'x' }] }));
    await api.post(pods, withSpec('imageless', { containers: [{ name: 'main' }] }));
    await api.post(pods, withSpec('misnamed', { containers: [container({ name: 'Main_1' })] }));
    await api.post(pods, withSpec('spaced', { containers: [container({ image: ' x' })] }));
    await api.post(pods, withSpec('twice', { containers: [container(), container()] }));
  },
  'what a container mounts is there': async (api) => {
    await api.post(
      pods,
      withSpec('unmounted', { containers: [container({ volumeMounts: [{ name: 'absent', mountPath: '/a' }] })] }),
    );
    const volumes = [{ name: 'v', emptyDir: {} }];
    const volumeMounts = [
      { name: 'v', mountPath: '/a' },
      { name: 'v', mountPath: '/a' },
    ];
    await api.post(pods, withSpec('mounted-twice', { containers: [container({ volumeMounts })], volumes }));
    await api.post(
      pods,
      withSpec('mount-pathless', { containers: [container({ volumeMounts: [{ name: 'v' }] })], volumes }),
    );
  },
  'volumes are checked': async (api) => {
    const containers = [container()];
    await api.post(
      pods,
      withSpec('volume-twice', {
        containers,
        volumes: [
          { name: 'v', emptyDir: {} },
          { name: 'v', emptyDir: {} },
        ],
      }),
    );
    await api.post(
      pods,
      withSpec('volume-both', { containers, volumes: [{ name: 'v', emptyDir: {}, secret: { secretName: 's' } }] }),
    );
    await api.post(pods, withSpec('volume-nameless', { containers, volumes: [{ emptyDir: {} }] }));
    await api.post(
      pods,
      withSpec('volume-claimless', { containers, volumes: [{ name: 'v', persistentVolumeClaim: {} }] }),
    );
  },
  'environment variables are checked': async (api) => {
    await api.post(pods, withSpec('env', { containers: [container({ env: [{ name: '' }] })] }));
    await api.post(pods, withSpec('env', { containers: [container({ env: [{ name: 'A=B', value: '1' }] })] }));
    await api.post(pods, withSpec('env', { containers: [container({ env: [{ name: 'A', valueFrom: {} }] })] }));
    await api.post(
      pods,
      withSpec('env', {
        containers: [container({ env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'spec.colour' } } }] })],
      }),
    );
  },
  'resources are checked': async (api) => {
    await api.post(
      pods,
      withSpec('resources', {
        containers: [container({ resources: { requests: { cpu: '2' }, limits: { cpu: '1' } } })],
      }),
    );
    await api.post(
      pods,
      withSpec('resources', { containers: [container({ resources: { limits: { memory: 'much' } } })] }),
    );
    await api.post(
      pods,
      withSpec('resources', { containers: [container({ resources: { limits: { memory: '-1' } } })] }),
    );
    await api.post(
      pods,
      withSpec('resources', { containers: [container({ resources: { limits: { colour: '1' } } })] }),
    );
  },
  'policies are words of a list': async (api) => {
    const containers = [container()];
    await api.post(pods, withSpec('policy', { containers, restartPolicy: 'Sometimes' }));
    await api.post(pods, withSpec('policy', { containers, dnsPolicy: 'Sometimes' }));
    await api.post(pods, withSpec('policy', { containers: [container({ imagePullPolicy: 'Sometimes' })] }));
    await api.post(pods, withSpec('policy', { containers, terminationGracePeriodSeconds: -1 }));
    await api.post(pods, withSpec('policy', { containers, activeDeadlineSeconds: 0 }));
  },
  'unknown fields of a container are warned of with their place': async (api) => {
    const spec = { containers: [container({ colour: 'red' })], nodeSelector: { nowhere: 'true' }, shape: 'round' };
    await api.post(pods, withSpec('unknown', spec), { show: () => undefined });
    await api.post(`${pods}?fieldValidation=Strict`, withSpec('unknown-strict', spec));
  },
  'a field of the wrong type is refused': async (api) => {
    await api.post(pods, withSpec('types', { containers: {} }));
    await api.post(pods, withSpec('types', { containers: [container({ command: 'true' })] }));
    await api.post(pods, withSpec('types', { containers: [container({ env: [{ name: 'A', value: 1 }] })] }));
    await api.post(pods, withSpec('types', { containers: [container()], activeDeadlineSeconds: 'long' }));
    await api.post(pods, withSpec('types', { containers: [container({ ports: [{ containerPort: '80' }] })] }));
  },
  'a pod keeps what it runs': async (api) => {
    await api.given.post(pods, unschedulable('immutable'));
    await api.patch(`${pods}/immutable`, 'merge', { spec: { restartPolicy: 'Always' } }, firstLine);
    await api.patch(
      `${pods}/immutable`,
      'json',
      [{ op: 'replace', path: '/spec/containers/0/command', value: ['false'] }],
      firstLine,
    );
    await api.patch(
      `${pods}/immutable`,
      'json',
      [{ op: 'add', path: '/spec/containers/-', value: container({ name: 'second' }) }],
      firstLine,
    );
    await api.patch(`${pods}/immutable`, 'json', [{ op: 'remove', path: '/spec/containers/0' }], firstLine);
  },
  'image, deadline and tolerations of a pod may change': async (api) => {
    await api.given.post(pods, unschedulable('mutable'));
    const shown = only('spec.activeDeadlineSeconds', 'spec.containers.0.image', 'metadata.generation');
    await api.patch(
      `${pods}/mutable`,
      'json',
      [{ op: 'replace', path: '/spec/containers/0/image', value: 'y' }],
      shown,
    );
    await api.patch(`${pods}/mutable`, 'merge', { spec: { activeDeadlineSeconds: 100 } }, shown);
    await api.patch(`${pods}/mutable`, 'merge', { spec: { activeDeadlineSeconds: 200 } }, firstLine);
    await api.patch(`${pods}/mutable`, 'merge', { spec: { activeDeadlineSeconds: null } }, firstLine);
    await api.patch(`${pods}/mutable`, 'merge', { metadata: { labels: { a: 'b' } } }, shown);
  },
  'a pod that no node takes says so': async (api) => {
    await api.given.post(pods, unschedulable('pending'));
    await api.until(`${pods}/pending`, ({ body }) => JSON.stringify(body).includes('Unschedulable'));
    await api.get(`${pods}/pending`, {
      show: (body) => {
        const { status } = body as { status: { phase: string; conditions: JsonObject[] } };
        return {
          phase: status.phase,
          conditions: status.conditions.map(({ type, status, reason }) => ({ type, status, reason })) as JsonObject[],
        };
      },
    });
  },
  'a quota that is used up is refused': async (api) => {
    await api.given.post('/api/v1/namespaces', { metadata: { name: 'NS-few' } });
    const few = '/api/v1/namespaces/NS-few';
    await api.until(`${few}/serviceaccounts/default`, ({ status }) => status === 200);
    await api.given.post(`${few}/resourcequotas`, { metadata: { name: 'few' }, spec: { hard: { pods: '0' } } });
    await api.until(`${few}/resourcequotas/few`, ({ body }) => JSON.stringify(body).includes('"used"'));
    // Who admits pods hears of that a moment later.
    const attempt = () => api.given.post(`${few}/pods?dryRun=All`, unschedulable('too-many'));
    await eventually(() => assert.rejects(attempt(), /exceeded quota/), { withinMs: 60_000 });
    await api.post(`${few}/pods`, unschedulable('too-many'));
    await api.given.remove(few);
  },
  'a pod that ended well': async (api) => {
    await api.given.post(pods, pod('good', 'echo hello'));
    await api.until(`${pods}/good`, ({ body }) => JSON.stringify(body).includes('"phase":"Succeeded"'));
    await api.get(`${pods}/good`, ended);
  },
  'a pod that failed': async (api) => {
    await api.given.post(pods, pod('bad', 'exit 7'));
    await api.until(`${pods}/bad`, ({ body }) => JSON.stringify(body).includes('"phase":"Failed"'));
    await api.get(`${pods}/bad`, ended);
  },
  'a pod of two containers ends with the last of them': async (api) => {
    const two = [
      container({ name: 'one', command: ['sh', '-c', 'exit 0'] }),
      container({ name: 'two', command: ['sh', '-c', 'exit 3'] }),
    ];
    await api.given.post(pods, withSpec('two', { restartPolicy: 'Never', containers: two }));
    await api.until(`${pods}/two`, ({ body }) => JSON.stringify(body).includes('"phase":"Failed"'));
    await api.get(`${pods}/two`, ended);
  },
  'a pod whose init container failed never begins': async (api) => {
    const spec = {
      restartPolicy: 'Never',
      initContainers: [container({ name: 'first', command: ['sh', '-c', 'exit 4'] })],
      containers: [container({ command: ['sh', '-c', 'echo never'] })],
    };
    await api.given.post(pods, withSpec('init-fails', spec));
    await api.until(`${pods}/init-fails`, ({ body }) => JSON.stringify(body).includes('"phase":"Failed"'));
    await api.get(`${pods}/init-fails`, ended);
  },
  'a pod whose command is not there': async (api) => {
    await api.given.post(
      pods,
      withSpec('commandless', { restartPolicy: 'Never', containers: [container({ command: ['no-such-command'] })] }),
    );
    await api.until(`${pods}/commandless`, ({ body }) => JSON.stringify(body).includes('"phase":"Failed"'));
    await api.get(`${pods}/commandless`, {
      show: (body) => {
        const { status } = body as { status: { containerStatuses: { state: { terminated: JsonObject } }[] } };
        const { reason, exitCode } = status.containerStatuses[0]?.state.terminated ?? {};
        return { reason, exitCode };
      },
    });
  },
  'a pod that took too long': async (api) => {
    await api.given.post(pods, pod('deadline', 'sleep 1000', { activeDeadlineSeconds: 1 }));
    await api.until(`${pods}/deadline`, ({ body }) => JSON.stringify(body).includes('"phase":"Failed"'));
    await api.get(`${pods}/deadline`, only('status.phase', 'status.reason', 'status.message'));
  },
  'a pod that is started again counts': async (api) => {
    const containers = [container({ command: ['sh', '-c', 'exit 1'] })];
    await api.given.post(
      pods,
      withSpec('again', { restartPolicy: 'OnFailure', containers, terminationGracePeriodSeconds: 1 }),
    );
    await api.until(`${pods}/again`, ({ body }) => /"restartCount":[1-9]/.test(JSON.stringify(body)));
    await api.get(`${pods}/again`, only('status.phase'));
    await api.given.remove(`${pods}/again?gracePeriodSeconds=0`);
  },
  'the termination message is what the container wrote': async (api) => {
    const main = container({
      command: ['sh', '-c', 'echo last words; exit 1'],
      terminationMessagePolicy: 'FallbackToLogsOnError',
    });
    await api.given.post(pods, withSpec('message', { restartPolicy: 'Never', containers: [main] }));
    await api.until(`${pods}/message`, ({ body }) => JSON.stringify(body).includes('"phase":"Failed"'));
    await api.get(`${pods}/message`, {
      show: (body) => only('status.containerStatuses.0.state.terminated.message').show(body),
    });
  },
  'a variable can come from elsewhere': async (api) => {
    await api.given.post(paths.configMaps, { metadata: { name: 'source' }, data: { colour: 'red' } });
    await api.given.post(paths.secrets, { metadata: { name: 'source' }, stringData: { word: 'secret' } });
    const env = [
      { name: 'COLOUR', valueFrom: { configMapKeyRef: { name: 'source', key: 'colour' } } },
      { name: 'WORD', valueFrom: { secretKeyRef: { name: 'source', key: 'word' } } },
      { name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      { name: 'BOTH', value: '$(COLOUR) $(WORD) $$(POD) $(ABSENT)' },
    ];
    const main = container({
      env,
      command: ['sh', '-c', 'echo "$COLOUR $WORD $POD"; echo "$BOTH"'],
      envFrom: [{ configMapRef: { name: 'source' } }],
    });
    await api.given.post(pods, withSpec('variables', { restartPolicy: 'Never', containers: [main] }));
    await api.until(`${pods}/variables`, ({ body }) => JSON.stringify(body).includes('"phase":"Succeeded"'));
    await api.get(`${pods}/variables/log`);
  },
  'a variable from what is not there waits': async (api) => {
    const env = [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'absent', key: 'a' } } }];
    await api.given.post(
      pods,
      withSpec('variable-waits', { restartPolicy: 'Never', containers: [container({ env, command: ['true'] })] }),
    );
    await api.until(`${pods}/variable-waits`, ({ body }) =>
      JSON.stringify(body).includes('CreateContainerConfigError'),
    );
    await api.get(`${pods}/variable-waits`, only('status.phase', 'status.containerStatuses.0.state'));
    await api.given.remove(`${pods}/variable-waits?gracePeriodSeconds=0`);
  },
});

/** What a pod that has ended says of itself and its containers; addresses and times aside. */
const ended = {
  show: (body: unknown): JsonObject => {
    const { status } = body as {
      status: JsonObject & {
        conditions: JsonObject[];
        containerStatuses: JsonObject[];
        initContainerStatuses?: JsonObject[];
      };
    };
    const states = (all: readonly JsonObject[] | undefined) =>
      all?.map(({ name, ready, started, restartCount, state }) => {
        const { terminated, waiting } = state as { terminated?: JsonObject; waiting?: JsonObject };
        const end = terminated && { exitCode: terminated.exitCode, reason: terminated.reason };
        return { name, ready, started, restartCount, ...(end ?? waiting) } as JsonObject;
      });
    const inits = states(status.initContainerStatuses);
    return {
      phase: status.phase,
      conditions: status.conditions.map(({ type, status, reason }) => ({
        type,
        status,
        ...(reason === undefined ? {} : { reason }),
      })) as JsonObject[],
      containers: states(status.containerStatuses) ?? [],
      ...(inits ? { inits } : {}),
    };
  },
};
