/**
 * Every overlay of k8s/, and the chart, on a real cluster, in namespaces that enforce `restricted`: rolled out, asked through its Service, its pods
 * deleted, restarted and cut off from the API server while clients follow a run, and held against the rights that are documented.
 *
 * The runs are in a namespace that enforces nothing, and is served besides (NAMESPACES): pods of Tekton are not `restricted`. What
 * `k8s/overlays/cluster` would start in other namespaces is kept from other suites in the same way. The network plugin of the cluster
 * enforces no policy, so of that only what it says is looked at (test/house/manifests.test.ts). The overlay in the place of the
 * original operator is in install-upgrade.test.ts.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { diceOf } from '../../bench/soak/dice.ts';
import { Follower, type LineReader } from '../../bench/soak/follower.ts';
import type { Manifest } from '../support/admin.ts';
import { eventually } from '../support/eventually.ts';
import { checkout } from '../support/gateway.ts';
import { clusterSuite } from '../support/needs.ts';
import { documentedRights, foldersOfRights, objectsOf } from '../support/rights.ts';
import { startWorld, type World } from '../support/world.ts';
import { installChart } from './helm.ts';
import { raiseImage } from './image.ts';
import {
  type Door,
  type Installation,
  install,
  openDoor,
  removeClusterRoles,
  rendered,
  restrictedNamespace,
  serve,
  writeOverlay,
} from './installation.ts';

const folders = ['base', 'overlays/namespaced', 'overlays/hooks', 'overlays/cluster', 'overlays/ha'];
/** Clients of one installation that follow while it is restarted. */
const CLIENTS = 50;
const patience = { withinMs: 480_000, everyMs: 250 };

/** Writes numbered lines until somebody has had enough. */
const endless = JSON.stringify(
  {
    apiVersion: 'tekton.dev/v1',
    kind: 'PipelineRun',
    metadata: { name: 'endless' },
    spec: {
      pipelineSpec: {
        tasks: [
          {
            name: 'count',
            taskSpec: {
              steps: [
                {
                  name: 'write',
                  image: 'docker.io/library/busybox:1',
                  script:
                    '#!/bin/sh\nn=0\nwhile [ ! -e /tmp/enough ]; do n=$((n + 1)); echo "line $n"; sleep 0.2; done\n',
                },
              ],
            },
          },
        ],
      },
    },
  },
  undefined,
  1,
);

/** What one client has read. */
class Sheet implements LineReader {
  readonly lines: string[] = [];
  readonly troubles: string[] = [];
  complete = false;

  take(_step: string, line: string): void {
    this.lines.push(line);
  }

  gap(step: string): void {
    this.troubles.push(`a gap in ${step}`);
  }

  note({ kind, detail }: { readonly kind: string; readonly detail: string }): void {
    this.troubles.push(`${kind}: ${detail}`);
  }

  close({ complete }: { readonly complete: boolean }): void {
    this.complete = complete;
  }
}

/** A client of one installation, and how often it has come back. */
interface Client {
  readonly sheet: Sheet;
  readonly over: Promise<void>;
  returns: number;
}

clusterSuite('an installation', { root: true, tekton: '1.0' }, function () {
  this.timeout(900_000);
  let world: World;
  let door: Door;
  let green = '';
  let run = '';
  const installations: Installation[] = [];
  const clients = new Map<Installation, Client[]>();
  const leave = new AbortController();
  /** base keeps no key for cursors: whoever followed begins anew there. */
  const keyed = () => installations.filter(({ name }) => name !== 'base');
  const all = <T>(act: (installation: Installation) => Promise<T>) => Promise.all(installations.map(act));

  /** A connection that was kept may lead to a pod that is gone, and say nothing any more. */
  const getAsNobody = ({ url }: Installation, path: string) =>
    fetch(`${url}${path}`, { signal: AbortSignal.timeout(15_000) });
  const get = ({ url, credentials: { username, password } }: Installation, path: string, patientMs = 15_000) => {
    const authorization = `Basic ${btoa(`${username}:${password}`)}`;
    return fetch(`${url}${path}`, { headers: { authorization }, signal: AbortSignal.timeout(patientMs) });
  };

  function follow(installation: Installation, place: number): Client {
    const client: Client = { sheet: new Sheet(), returns: 0, over: Promise.resolve() };
    const follower = new Follower({
      format: place % 2 === 0 ? 'ndjson' : 'sse',
      replica: () => installation,
      dice: diceOf(place),
      resumed: () => {
        client.returns++;
      },
    });
    return Object.assign(client, {
      over: follower.follow(`${world.namespace}/${run}`, client.sheet, leave.signal),
    });
  }

  /** Waits until every client has so many more lines than now. */
  async function allReadOn(): Promise<void> {
    const before = new Map([...clients.values()].flat().map((client) => [client, client.sheet.lines.length]));
    for (const [client, lines] of before)
      await eventually(() => assert.ok(client.sheet.lines.length >= lines + 5), patience);
  }

  before(async () => {
    await raiseImage();
    world = await startWorld({ gateway: false, components: ['triggers'] });
    door = await openDoor(world.admin.server);
    for (const folder of folders) {
      const env = { NAMESPACES: world.namespace, ...door.env };
      installations.push(await install(world, { folder, env }));
    }
    await all((installation) => serve(world, installation, world.namespace));
    installations.push(await installChart(world, door.env));
    green = await world.run('green');
    run = await world.run(endless);
  });

  after(async () => {
    leave.abort();
    if (world === undefined) return;
    await removeClusterRoles(world, `-${world.namespace}-cluster`);
    await all(({ namespace }) => world.admin.remove(`/api/v1/namespaces/${namespace}`));
    await world.end();
    await door?.end();
  });

  for (const [place, folder] of [...folders, 'the chart'].entries()) {
    it(`${folder} is taken without a warning, and rolls out`, async () => {
      const installation = installations[place];
      assert.ok(installation);
      assert.equal(installation.warnings, '');
      await installation.rolledOut();
      const pods = await installation.pods();
      assert.equal(pods.length, installation.replicas);
      assert.equal(pods.length, ['overlays/ha', 'the chart'].includes(folder) ? 2 : 1);
    });
  }

  it('every one serves status and log of a run through its Service, and nobody without credentials', async () => {
    await world.finished(green, patience);
    await all((installation) =>
      // A pod is ready before every packet for its Service is led to it.
      eventually(async () => {
        const path = `${world.namespace}/${green}`;
        const status = await get(installation, `/status/${path}?wait=60`, 90_000);
        assert.equal(status.status, 200, installation.name);
        const log = await get(installation, `/logs/${path}?prefix=none&color=never`);
        assert.match(await log.text(), /^compiling$/m, installation.name);
        assert.equal((await getAsNobody(installation, `/status/${path}`)).status, 401);
        assert.equal((await getAsNobody(installation, '/health')).status, 200);
      }, patience),
    );
  });

  it(`a rolling restart under ${CLIENTS} open streams each ends all of them, and they come back`, async () => {
    for (const installation of keyed()) {
      clients.set(
        installation,
        Array.from({ length: CLIENTS }, (_, place) => follow(installation, place)),
      );
    }
    await allReadOn();
    await all(({ kubectl, deployment }) => kubectl('rollout', 'restart', `deployment/${deployment}`));
    await all(({ rolledOut }) => rolledOut());
    for (const client of [...clients.values()].flat()) {
      await eventually(() => assert.ok(client.returns > 0), patience);
    }
    await allReadOn();
  });

  it('an API server that is away and comes back restarts no pod, and streams go on', async () => {
    // Those of before the restart would knock as well.
    await all(({ noneEnding }) => noneEnding());
    const before = await all(({ pods }) => pods());
    door.shut();
    const everyPodKnocks = (least: number) =>
      eventually(() => {
        assert.equal(door.knocks.size, before.flat().length);
        for (const [address, times] of door.knocks) assert.ok(times >= least, `${address}: ${times}`);
      }, patience);
    await everyPodKnocks(1);
    await all((installation) =>
      eventually(
        async () => {
          assert.equal((await getAsNobody(installation, '/health')).status, 200, installation.name);
          // From memory, as long as that is less than a minute old.
          assert.equal((await get(installation, `/status/${world.namespace}/${green}`)).status, 200, installation.name);
        },
        { withinMs: 60_000 },
      ),
    );
    // Again and again, at longer and longer intervals.
    await everyPodKnocks(30);
    door.open();
    await allReadOn();
    await all(({ rolledOut }) => rolledOut());
    const now = await all(({ pods }) => pods());
    const shown = (pods: typeof now) =>
      pods
        .flat()
        .map(({ metadata, status }) => [metadata.uid, status.containerStatuses?.map((each) => each.restartCount)]);
    assert.deepEqual(shown(now).sort(), shown(before).sort());
    for (const [, restarts] of shown(now)) assert.deepEqual(restarts, [0]);
  });

  it('a pod that is deleted is replaced, and the log is served again', async () => {
    const doomed = await all(({ pods }) => pods());
    await all(async ({ kubectl, name }) => {
      const [pod] = doomed[installations.findIndex((each) => each.name === name)] ?? [];
      await kubectl('delete', 'pod', pod?.metadata.name ?? '', '--wait=false');
    });
    await all(async (installation) => {
      await eventually(async () => {
        const pods = await installation.pods();
        assert.equal(pods.length, installation.replicas);
        assert.ok(pods.every(({ status }) => status.containerStatuses?.every(({ ready }) => ready)));
        const gone = doomed[installations.indexOf(installation)]?.[0]?.metadata.uid;
        assert.ok(!pods.some(({ metadata }) => metadata.uid === gone));
      }, patience);
      await eventually(async () => {
        const log = await get(installation, `/logs/${world.namespace}/${green}?prefix=none&color=never`);
        assert.match(await log.text(), /^compiling$/m);
      }, patience);
    });
    await allReadOn();
  });

  it('and every client has every line exactly once', async () => {
    const pod = await world.podOf(run, 'count');
    const { code, stderr } = await world.kubectl(
      ...['exec', '--namespace', world.namespace, pod.metadata.name, '--container', 'step-write'],
      ...['--', 'touch', '/tmp/enough'],
    );
    assert.equal(code, 0, stderr);
    await world.finished(run, patience);
    const source = (await world.kubeletLog(pod.metadata.name, 'step-write')).toString().trimEnd().split('\n');
    for (const [{ name }, own] of clients) {
      for (const [place, { sheet, over }] of own.entries()) {
        await over;
        assert.deepEqual(sheet.troubles, [], `${name}, client ${place}`);
        assert.ok(sheet.complete, `${name}, client ${place}`);
        assert.deepEqual(sheet.lines, source, `${name}, client ${place}`);
      }
    }
    assert.equal(clients.size, installations.length - 1);
    assert.ok(source.length > 100);
  });
});

clusterSuite('what k8s/ has besides overlays', { root: true }, function () {
  this.timeout(600_000);
  let world: World;
  const besides = ['access', 'credentials', 'disruption-budget', 'hooks-impersonation', 'hooks-network'];
  const more = ['metrics', 'network-policy', 'replicas', 'tls', 'triggers-read', 'triggers-run', 'users'];

  before(async () => {
    world = await startWorld({ gateway: false, components: ['triggers'] });
  });
  after(async () => {
    if (world === undefined) return;
    await removeClusterRoles(world, `-${world.namespace}`);
    await world.admin.remove(`/api/v1/namespaces/${world.namespace}-x`);
    await world.end();
  });

  it('is taken by the API server, all of it together, without a warning', async () => {
    const namespace = await restrictedNamespace(world, `${world.namespace}-x`);
    const folder = join(world.folder, 'all');
    const components = [...besides, ...more].map((name) => relative(folder, `${checkout}k8s/components/${name}`));
    const resources = [relative(folder, `${checkout}k8s/overlays/hooks`)];
    await writeOverlay(folder, { namespace, resources, components });
    const { code, stdout, stderr } = await world.kubectl('apply', '--dry-run=server', '-k', folder);
    assert.equal(code, 0, stderr);
    assert.equal(stderr, '');
    for (const kind of ['networkpolicy', 'poddisruptionbudget', 'deployment', 'service'])
      assert.match(stdout, new RegExp(`^${kind}`, 'm'));
  });

  for (const folder of ['base', 'overlays/namespaced', 'overlays/hooks', 'overlays/cluster', 'overlays/ha']) {
    it(`${folder} as it is written is taken too, by the command that it names`, async () => {
      const { code, stderr } = await world.kubectl('apply', '--dry-run=server', '-k', `${checkout}k8s/${folder}`);
      assert.equal(code, 0, stderr);
      assert.equal(stderr, '');
    });
  }

  /** What the API server says an account may do in a namespace, sorted; what every account may is left out. */
  async function rightsOfAccount(account: string, namespace: string): Promise<readonly string[]> {
    const review = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectRulesReview',
      spec: { namespace },
    };
    const file = join(world.folder, `${account}.json`);
    await writeFile(file, JSON.stringify(review));
    const as = `--as=system:serviceaccount:${world.namespace}:${account}`;
    const { code, stdout, stderr } = await world.kubectl('create', as, '--validate=false', '-f', file, '-o', 'json');
    assert.equal(code, 0, stderr);
    const { status } = JSON.parse(stdout) as { status: { resourceRules: readonly Rule[] } };
    const rights = status.resourceRules
      .filter(({ apiGroups }) => !apiGroups.some((group) => /^auth(orization|entication)\.k8s\.io$/.test(group)))
      .flatMap(({ verbs, apiGroups, resources, resourceNames = [''] }) =>
        apiGroups.flatMap((group) =>
          resources.flatMap((resource) =>
            resourceNames.flatMap((name) =>
              verbs.map((verb) => `${verb} ${resource}${group && `.${group}`}${name && ` named ${name}`}`),
            ),
          ),
        ),
      );
    return [...new Set(rights)].sort();
  }

  for (const folder of foldersOfRights.filter((each) => !each.endsWith('-cluster'))) {
    it(`the account of ${folder} may do what docs/security.md says, as the API server has it`, async () => {
      const account = folder.replace('/', '-');
      const { namespace } = world;
      await world.admin.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: account, namespace } });
      for (const object of objectsOf(folder)) {
        if (object.kind === 'ServiceAccount') continue;
        await world.admin.apply(ofAccount(object, { account, namespace }));
      }
      await eventually(
        async () => assert.deepEqual(await rightsOfAccount(account, namespace), documentedRights(folder)),
        patience,
      );
    });
  }

  it('the folders for every namespace give what docs/security.md says in one that nothing else was given for', async () => {
    const folder = join(world.folder, 'wide');
    const wide = foldersOfRights.filter((each) => each.endsWith('-cluster'));
    await writeOverlay(folder, {
      namespace: world.namespace,
      resources: [relative(folder, `${checkout}k8s/base`)],
      components: wide.map((each) => relative(folder, `${checkout}k8s/${each}`)),
    });
    const [account, namespace] = ['wide', world.namespace];
    await world.admin.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: account, namespace } });
    for (const object of await rendered(world, folder)) {
      if (!object.kind.startsWith('ClusterRole')) continue;
      const name = `${object.metadata.name}-${world.namespace}`;
      const roleRef = object.roleRef as object | undefined;
      await world.admin.apply({
        ...ofAccount(object, { account, namespace }),
        metadata: { name },
        ...(roleRef === undefined ? {} : { roleRef: { ...roleRef, name } }),
      });
    }
    // The Lease stays in rungate's own namespace.
    const documented = new Set(wide.flatMap(documentedRights).filter((each) => !each.includes(' leases.')));
    await eventually(
      async () => assert.deepEqual(await rightsOfAccount(account, 'default'), [...documented].sort()),
      patience,
    );
  });
});

interface Rule {
  readonly verbs: readonly string[];
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
}

/** A role or a binding in a namespace, the binding for this account, both under a name that no other account's have. */
function ofAccount(
  object: Manifest,
  { account, namespace }: { readonly account: string; readonly namespace: string },
): Manifest {
  const name = `${object.metadata.name}-${account}`;
  const roleRef = object.roleRef as { readonly name: string } | undefined;
  return {
    ...object,
    metadata: { name, namespace },
    ...(roleRef === undefined
      ? {}
      : {
          roleRef: { ...roleRef, name: `${roleRef.name}-${account}` },
          subjects: [{ kind: 'ServiceAccount', name: account, namespace }],
        }),
  };
}
