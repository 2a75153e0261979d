/** The image as buildah made it, and as a pod that may do nothing it need not: the Pod Security Standard `restricted`. */
import assert from 'node:assert/strict';
import { createReadStream, existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Manifest } from '../support/admin.ts';
import { eventually } from '../support/eventually.ts';
import { checkout } from '../support/gateway.ts';
import { clusterSuite } from '../support/needs.ts';
import { runProgram } from '../support/program.ts';
import { type PodManifest, startWorld, type World } from '../support/world.ts';
import { run } from './commands.ts';
import { type RaisedImage, raiseImage, testRevision } from './image.ts';
import { apiServiceAddress } from './settings.ts';

/** From nothing, on a machine that does other things as well. */
const buildMs = 900_000;
/** A pod on a busy node. */
const podMs = 240_000;
const patience = { withinMs: podMs, everyMs: 300 };

const largestBytes = 130_000_000;

/** The part of an image's configuration that engines act on. https://github.com/moby/docker-image-spec/blob/main/spec.md */
interface ImageConfig {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[] | null;
  readonly Healthcheck: { readonly Test: readonly string[]; readonly Interval: number };
  readonly ExposedPorts: Readonly<Record<string, object>>;
  readonly Labels: Readonly<Record<string, string>>;
  readonly StopSignal: string;
  readonly WorkingDir: string;
}

const credentials = { username: 'ci', password: 'a-long-one-for-the-image' };
const authorization = `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}`;

clusterSuite('the image', { root: true, knobs: true }, () => {
  let image: RaisedImage;
  let config: ImageConfig;
  before(async function () {
    this.timeout(buildMs);
    image = await raiseImage();
  });

  describe('as it is kept', () => {
    let folder: string;
    let layers: readonly string[];
    let files: readonly string[];
    before(async function () {
      this.timeout(podMs);
      folder = await mkdtemp(join(tmpdir(), 'rungate-image-'));
      await run('tar', ['-xf', image.archive, '-C', folder]);
      const [entry] = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'));
      ({ config } = JSON.parse(await readFile(join(folder, entry.Config), 'utf8')));
      layers = (entry.Layers as readonly string[]).map((layer) => join(folder, layer));
      const lists = await Promise.all(layers.map((layer) => run('tar', ['-tf', layer])));
      files = lists.flatMap((list) => list.split('\n')).filter((path) => path !== '');
    });
    after(() => rm(folder, { recursive: true, force: true }));

    it('is run by nobody in particular, by its number', () => assert.equal(config.User, '65532:65532'));

    it('is started, stopped and asked for its health without a shell', () => {
      assert.deepEqual(config.Entrypoint, ['/usr/local/bin/node', '/app/bin/rungate.js']);
      assert.deepEqual(config.Cmd ?? [], []);
      assert.deepEqual(config.Healthcheck.Test, ['CMD', ...config.Entrypoint, 'healthcheck']);
      assert.equal(config.StopSignal, 'SIGTERM');
    });

    it('says what it is, in the labels of OCI', async () => {
      const { version, description, license } = JSON.parse(await readFile(`${checkout}package.json`, 'utf8'));
      const labels = Object.entries(config.Labels).flatMap(([name, value]) =>
        name.startsWith('org.opencontainers.image.') ? [[name.slice('org.opencontainers.image.'.length), value]] : [],
      );
      assert.deepEqual(Object.fromEntries(labels), {
        title: 'rungate',
        description,
        licenses: license,
        version,
        revision: testRevision,
        source: '', // left to whoever publishes it
      });
      assert.deepEqual(Object.keys(config.ExposedPorts), ['8080/tcp', '9090/tcp']);
    });

    it('has the packages that are needed to run, at the versions of the lock file, and no others', async () => {
      const { packages } = JSON.parse(await readFile(`${checkout}package-lock.json`, 'utf8')) as {
        readonly packages: Readonly<Record<string, { readonly dev?: true; readonly optional?: true }>>;
      };
      const installed = new Set(
        files.flatMap((path) => /^app\/(node_modules\/.*)\/package\.json$/.exec(path)?.[1] ?? []),
      );
      const kept = Object.entries(packages).filter(([path, { dev }]) => path !== '' && dev !== true);
      assert(kept.length > 50);
      for (const [path, { optional }] of kept) assert(optional === true || installed.has(path), `${path} is missing`);
      for (const [path, { dev }] of Object.entries(packages)) assert(!(dev && installed.has(path)), `${path} is there`);
    });

    it('has what was built, and no source, test, benchmark or tool', () => {
      const ours = files.filter((path) => path.startsWith('app/') && !path.startsWith('app/node_modules/'));
      assert.deepEqual([...new Set(ours.map((path) => path.split('/')[1]).filter((name) => name !== ''))].toSorted(), [
        'LICENSE',
        'THIRD-PARTY-LICENSES.md',
        'bin',
        'dist',
        'k8s',
        'package.json',
        'sbom.cdx.json',
      ]);
      assert(ours.includes('app/dist/main.js'));
      assert.deepEqual(
        ours.filter((path) => /^app\/k8s\/(?!$|crds\/)/.test(path)),
        [],
      );
      assert.deepEqual(
        ours.filter((path) => /\.ts$|\.test\./.test(path)),
        [],
      );
      assert.deepEqual(
        files.filter((path) => /(?:^|\/)(?:npm|npx|yarn|corepack|tsc)$/.test(path)),
        [],
      );
    });

    it('has the bill of materials of what is in it, with the Node that it carries', async () => {
      const texts = await Promise.all(
        layers.map((layer) => run('tar', ['-xOf', layer, 'app/sbom.cdx.json']).catch(() => '')),
      );
      const bom = JSON.parse(texts.join('')) as { readonly components: readonly { name: string; version: string }[] };
      const { packages } = JSON.parse(await readFile(`${checkout}package-lock.json`, 'utf8'));
      const versionOf = (wanted: string) => bom.components.find(({ name }) => name === wanted)?.version;
      assert.equal(versionOf('express'), packages['node_modules/express'].version);
      assert.match(versionOf('node') ?? '', /^v?24\./);
    });

    it('can be read by every user, and written by none', async () => {
      const lists = await Promise.all(layers.map((layer) => run('tar', ['--numeric-owner', '-tvf', layer])));
      const ours = lists.flatMap((list) => list.split('\n')).filter((line) => / app\//.test(line));
      assert(ours.length > 1000);
      assert.deepEqual(
        ours.filter((line) => !/^(?:d.{6}r-x|-.{6}r-[-x]|l.{9}) 0\/0 /.test(line)),
        [],
      );
    });

    it(`takes less than ${largestBytes / 1e6} MB compressed, the base that it stands on included`, async function () {
      this.timeout(podMs);
      const sizes: number[] = [];
      for (const layer of layers) sizes.push(await compressedBytes(layer));
      const sum = sizes.reduce((all, each) => all + each, 0);
      const parts = sizes.map((size) => (size / 1e6).toFixed(1)).join(' + ');
      // The base is Debian as debootstrap makes it, without manuals and package lists; the others are those of any build.
      console.log(`      ${(sum / 1e6).toFixed(1)} MB, by layer: ${parts}`);
      assert(sum < largestBytes);
    });
  });

  describe('as a pod', () => {
    let world: World;
    let home: string;
    let runs: string;
    before(async function () {
      this.timeout(podMs);
      world = await startWorld({ namespaces: 2, gateway: false });
      [home, runs] = world.namespaces as [string, string];
      const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
      await world.admin.patch(`/api/v1/namespaces/${home}`, { metadata: { labels } });
      await world.admin.apply({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'rungate-auth', namespace: home },
        stringData: { AUTH_USERNAME: credentials.username, AUTH_PASSWORD: credentials.password },
      });
    });
    after(() => world?.end());

    const podPath = (name: string) => `/api/v1/namespaces/${home}/pods/${name}`;
    const readPod = (name: string) => world.admin.get<PodManifest>(podPath(name));

    /** A pod of the image alone, as a careful person would write it. */
    function pod(name: string, more: { readonly container?: object; readonly spec?: object } = {}): Manifest {
      return {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace: home, labels: { 'app.kubernetes.io/name': name } },
        spec: {
          serviceAccountName: 'rungate',
          automountServiceAccountToken: true,
          restartPolicy: 'Never',
          enableServiceLinks: false,
          terminationGracePeriodSeconds: 60,
          securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
          containers: [
            {
              name: 'rungate',
              image: image.reference,
              imagePullPolicy: 'IfNotPresent',
              securityContext: {
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                capabilities: { drop: ['ALL'] },
              },
              env: [
                { name: 'NAMESPACE', value: runs },
                { name: 'PARTS', value: 'gateway' },
                { name: 'DRAIN_SECONDS', value: '5' },
              ],
              envFrom: [{ secretRef: { name: 'rungate-auth' } }],
              readinessProbe: { httpGet: { path: '/readyz', port: 9090 }, periodSeconds: 1 },
              ...more.container,
            },
          ],
          ...more.spec,
        },
      };
    }

    /** Makes the pod and a Service before it, and resolves with the URL of that when the pod is ready. */
    async function serve(manifest: Manifest): Promise<string> {
      const name = manifest.metadata.name ?? '';
      const service = await world.admin.apply({
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name, namespace: home },
        spec: { selector: { 'app.kubernetes.io/name': name }, ports: [{ name: 'http', port: 8080 }] },
      });
      await world.admin.create(manifest);
      await eventually(async () => assertReady(await readPod(name)), patience);
      const { clusterIP } = service.spec as { readonly clusterIP: string };
      const url = `http://${clusterIP}:8080`;
      // The pod is ready before every packet for the Service is led to it.
      await eventually(async () => {
        const { status } = await fetch(`${url}/health`, { signal: AbortSignal.timeout(15_000) });
        assert.equal(status, 200);
      }, patience);
      return url;
    }

    const status = (url: string, name: string) =>
      fetch(`${url}/status/${name}?full=true`, { headers: { authorization } });

    /** Engines ask again, too, before they take a container for sick. */
    const isWell = (name: string) =>
      eventually(async () => {
        const command = config.Healthcheck.Test.slice(1);
        const { code, stderr } = await world.kubectl('exec', '--namespace', home, name, '--', ...command);
        assert.equal(code, 0, stderr);
      }, patience);

    const exitCode = async (name: string) => {
      const { containerStatuses = [], phase } = (await readPod(name)).status;
      const [container] = containerStatuses;
      assert(container?.state.terminated, `${name} is ${phase}: ${JSON.stringify(container?.state)}`);
      return container.state.terminated.exitCode;
    };

    it('serves a run through its Service, reading and writing no file but its own, where no shell is', async () => {
      // Nothing lies in an empty folder, and nothing can be put there: no sh, no env, no cat.
      const url = await serve(
        pod('served', {
          container: {
            volumeMounts: ['/usr/bin', '/usr/sbin'].map((mountPath) => ({ name: 'empty', mountPath, readOnly: true })),
          },
          spec: { volumes: [{ name: 'empty', emptyDir: {} }] },
        }),
      );
      assert.notEqual((await world.kubectl('exec', '--namespace', home, 'served', '--', 'sh', '-c', ':')).code, 0);
      assert.deepEqual(await (await fetch(`${url}/health`)).json(), { status: 1 });

      const name = await world.run('green', { namespace: runs });
      assert.equal((await fetch(`${url}/status/${name}`)).status, 401);
      await eventually(
        async () => {
          const answer = await status(url, name);
          assert.equal(answer.status, 200, await answer.clone().text());
          assert.match(await answer.text(), /Succeeded/);
        },
        { withinMs: 2 * podMs, everyMs: 500 }, // three pods, one after another
      );
      const log = await fetch(`${url}/logs/${name}`, { headers: { authorization } });
      assert.match(await log.text(), /packaged[\s\S]*12 tests passed/);
      for (const page of ['/docs', '/openapi.json'])
        assert.equal((await fetch(url + page, { headers: { authorization } })).status, 200, page);
    }).timeout(4 * podMs);

    it('says that it is well while it serves', async () => {
      await isWell('served');
    });

    it('ends with 0 when it is asked to, before it would be killed', async () => {
      // A finalizer keeps the pod after its end, with what became of the container.
      await world.admin.patch(podPath('served'), { metadata: { finalizers: ['rungate.dev/test'] } });
      try {
        await world.admin.remove(podPath('served'));
        const code = await eventually(() => exitCode('served'), patience);
        assert.equal(code, 0);
      } finally {
        await world.admin.patch(podPath('served'), { metadata: { finalizers: null } });
      }
    }).timeout(2 * podMs);

    it('says with 1 that it is not well where nothing answers, and why', async () => {
      await world.admin.create(pod('alone', { container: { args: ['healthcheck'], readinessProbe: null } }));
      assert.equal(await eventually(() => exitCode('alone'), patience), 1);
      const { stdout } = await world.kubectl('logs', '--namespace', home, 'alone');
      assert.match(stdout, /^rungate: http:\/\/127\.0\.0\.1:9090\/livez does not answer: .*ECONNREFUSED/);
    }).timeout(2 * podMs);

    it('has the demo in it, which needs no more than a folder to write to', async () => {
      await world.admin.create(
        pod('demo', {
          container: {
            args: ['demo', '--simulate'],
            env: [],
            envFrom: [],
            workingDir: '/tmp',
            readinessProbe: null,
            volumeMounts: [{ name: 'scratch', mountPath: '/tmp' }],
          },
          spec: { volumes: [{ name: 'scratch', emptyDir: {} }] },
        }),
      );
      // It listens on loopback alone, so it is asked from inside.
      const ask = `fetch('http://127.0.0.1:8080/status/green-build', { headers: { authorization: 'Basic ${btoa('demo:demo')}' } })
        .then(async (answer) => console.log(answer.status, await answer.text()))`;
      await eventually(
        async () => {
          const { stdout, stderr } = await world.kubectl('exec', '--namespace', home, 'demo', '--', 'node', '-e', ask);
          assert.match(stdout, /^200 .*Succeeded/, stderr);
        },
        { withinMs: podMs, everyMs: 1_000 },
      );
      await isWell('demo');
    }).timeout(2 * podMs);

    it('runs as its Dockerfile says, with a kubeconfig that is mounted, as a user of any number', async () => {
      const told = await readRunCommand();
      const kubeconfig = (await readFile(world.kubeconfig, 'utf8')).replace(
        /https:\/\/127\.0\.0\.1:\d+/,
        `https://${apiServiceAddress}:443`,
      );
      await world.admin.apply({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'kubeconfig', namespace: home },
        stringData: { kubeconfig },
      });
      const here: Readonly<Record<string, string>> = {
        NAMESPACE: runs,
        AUTH_USERNAME: credentials.username,
        AUTH_PASSWORD: credentials.password,
      };
      const env = told.env.map(([name, value]) => ({ name, value: here[name] ?? value }));
      const url = await serve(
        pod('docker-run', {
          container: {
            env,
            envFrom: [],
            volumeMounts: [{ name: 'kubeconfig', mountPath: told.mountPath, subPath: 'kubeconfig', readOnly: true }],
          },
          spec: {
            automountServiceAccountToken: false,
            securityContext: {
              runAsNonRoot: true,
              runAsUser: 12345,
              runAsGroup: 12345,
              seccompProfile: { type: 'RuntimeDefault' },
            },
            volumes: [{ name: 'kubeconfig', secret: { secretName: 'kubeconfig' } }],
          },
        }),
      );
      const answer = await status(url, 'there-is-none');
      assert.equal(answer.status, 404, await answer.text());
      await isWell('docker-run');
    }).timeout(4 * podMs);
  });

  it('is not built again, nor handed over again, where nothing has changed', async () => {
    assert.deepEqual(await raiseImage(), image);
    assert(existsSync(image.archive));
  });
});

function assertReady({ metadata, status }: PodManifest): void {
  const { conditions = [] } = status as { readonly conditions?: readonly { type: string; status: string }[] };
  const isReady = conditions.some(({ type, status: is }) => type === 'Ready' && is === 'True');
  assert(isReady, `${metadata.name} is not ready: ${JSON.stringify(status.containerStatuses)}`);
}

/** What the Dockerfile's own `docker run` sets, and where it mounts the kubeconfig; the shell reads the line as it stands. */
async function readRunCommand(): Promise<{
  readonly env: readonly (readonly [name: string, value: string])[];
  readonly mountPath: string;
}> {
  const [, line = ''] = /^#\s+(docker run .*)$/m.exec(await readFile(`${checkout}Dockerfile`, 'utf8')) ?? [];
  const { stdout } = await runProgram('bash', ['-c', `docker() { printf '%s\\n' "$@"; }; ${line}`]);
  const words = stdout.trimEnd().split('\n');
  const after = (option: string) => words.flatMap((word, at) => (words[at - 1] === option ? [word] : []));
  const env = after('-e').map((pair) => pair.split('=', 2) as [string, string]);
  const [mount = ''] = after('-v');
  const mountPath = mount.split(':')[1] ?? '';
  assert.deepEqual(env.find(([name]) => name === 'KUBECONFIG')?.[1], mountPath, line);
  assert(words.at(-1)?.startsWith('rungate:'), line);
  return { env, mountPath };
}

/** As a registry keeps it and a node fetches it. */
async function compressedBytes(layer: string): Promise<number> {
  let bytes = 0;
  const count = new Writable({
    write(piece: Buffer, _encoding, done) {
      bytes += piece.length;
      done();
    },
  });
  await pipeline(createReadStream(layer), createGzip({ level: 6 }), count);
  return bytes;
}
