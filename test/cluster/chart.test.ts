/**
 * The chart as Helm reads it: what it makes is what kustomize makes of k8s/, the API server takes it, what is wrong is refused, and
 * the page of the chart can be typed. Helm is built from its Go module when this is first run.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { stringify } from 'yaml';
import { type Manifest, manifestsIn } from '../support/admin.ts';
import { checkout } from '../support/gateway.ts';
import { clusterSuite } from '../support/needs.ts';
import { blocksOf, sitDown, type Typist } from '../support/typed-docs.ts';
import { applyDefinitions } from '../support/world.ts';
import { openSite, type Site } from './docs-site.ts';
import { chart, comparable, type Helm, startHelm, type Values } from './helm.ts';
import { rendered, restrictedNamespace, writeOverlay } from './installation.ts';

/** The names and the namespace of k8s/. */
const asInFiles = ['rungate', chart, '--namespace', 'tekton-pipelines'];
const callers = { auth: { existingSecret: 'rungate-auth' } };
const cursorKey = { existingSecret: 'rungate-cursor-key' };
/** Helm may have to be built, and the image. */
const buildMs = 25 * 60_000;

/** Folders of k8s/, and the values that say the same. */
const pairs: Readonly<Record<string, { readonly folders: readonly string[]; readonly values: Values }>> = {
  'a gateway of one namespace': { folders: ['base'], values: {} },
  'a gateway of all namespaces': { folders: ['base', 'components/gateway-cluster'], values: { allNamespaces: true } },
  'triggers of one namespace': {
    folders: ['overlays/namespaced'],
    values: { triggers: { enabled: true }, cursorKey },
  },
  'triggers of all namespaces': {
    folders: ['overlays/cluster'],
    values: { triggers: { enabled: true }, allNamespaces: true, cursorKey },
  },
  'hooks of one namespace': {
    folders: ['overlays/hooks'],
    values: { triggers: { enabled: true }, hooks: { enabled: true }, cursorKey },
  },
  'everything in all namespaces': {
    folders: ['base', ...['gateway', 'triggers', 'hooks', 'credentials'].map((part) => `components/${part}-cluster`)],
    values: { triggers: { enabled: true, credentials: true }, hooks: { enabled: true }, allNamespaces: true },
  },
  'what others depend on': {
    folders: ['overlays/ha'],
    values: {
      triggers: { enabled: true },
      cursorKey,
      deployment: { replicas: 2 },
      podDisruptionBudget: { enabled: true },
      metrics: { enabled: true },
    },
  },
  'metrics and a network policy': {
    folders: ['base', 'components/metrics', 'components/network-policy'],
    values: { metrics: { enabled: true }, networkPolicy: { enabled: true } },
  },
  'callers in a file, what they may read, and TLS': {
    folders: ['base', 'components/users', 'components/access', 'components/tls'],
    values: {
      auth: { ...callers.auth, usersKey: 'users' },
      access: { existingConfigMap: 'rungate-access' },
      tls: { existingSecret: 'rungate-tls' },
    },
  },
  'triggers that are looked at': {
    folders: ['base', 'components/triggers-read'],
    values: { gateway: { readTriggers: true } },
  },
  'triggers that are run by hand': {
    folders: ['base', 'components/triggers-read', 'components/triggers-run'],
    values: { gateway: { runTriggers: true } },
  },
  'triggers of all namespaces that are run by hand': {
    folders: ['base', ...['gateway', 'triggers-read', 'triggers-run'].map((part) => `components/${part}-cluster`)],
    values: { gateway: { runTriggers: true }, allNamespaces: true },
  },
  'hooks of all namespaces that act as somebody': {
    folders: [
      'base',
      ...['gateway', 'triggers', 'hooks', 'hooks-impersonation'].map((part) => `components/${part}-cluster`),
    ],
    values: { triggers: { enabled: true }, hooks: { enabled: true, impersonation: true }, allNamespaces: true },
  },
  'credentials, and hooks that act as somebody': {
    folders: [
      'base',
      ...['triggers', 'credentials', 'hooks', 'hooks-impersonation'].map((part) => `components/${part}`),
    ],
    values: { triggers: { enabled: true, credentials: true }, hooks: { enabled: true, impersonation: true } },
  },
};

clusterSuite('the chart', { root: true }, () => {
  let helm: Helm;
  const template = async (values: Values, ...more: readonly string[]) =>
    manifestsIn(await helm.done(['template', ...asInFiles, ...more], { ...callers, ...values }));

  before(async function () {
    this.timeout(buildMs);
    helm = await startHelm();
  });
  after(() => helm?.world.end());

  describe('as Helm reads it', () => {
    it('is clean to helm lint --strict', async () => {
      assert.match(await helm.done(['lint', '--strict', chart], callers), /0 chart\(s\) failed/);
    });

    for (const [name, { folders, values }] of Object.entries(pairs)) {
      it(`${name}: makes what kustomize makes of ${folders.join(', ')}`, async () => {
        const overlay = join(helm.world.folder, name.replace(/\W+/g, '-'));
        const [resource = '', ...components] = folders.map((each) => relative(overlay, `${checkout}k8s/${each}`));
        await writeOverlay(overlay, { resources: [resource], components });
        const [ours, theirs] = [await template(values), await rendered(helm.world, overlay)];
        assert.deepEqual(comparable(ours), comparable(theirs));
      });
    }

    it('has the kinds of k8s/crds where it is told, to stay when it goes', async () => {
      const made = await template({ crds: { install: true } }, '--show-only', 'templates/crds.yaml');
      const wanted = manifestsIn(
        (await rendered(helm.world, `${checkout}k8s/crds`)).map((each) => stringify(each)).join('---\n'),
      );
      for (const { metadata } of made) assert.equal(metadata.annotations?.['helm.sh/resource-policy'], 'keep');
      assert.deepEqual(comparable(made), comparable(wanted));
    });

    it('has what watches as monitoring has it', async () => {
      const metrics = { enabled: true, serviceMonitor: true, rules: true, dashboard: true };
      const made = await template({ metrics }, '--show-only', 'templates/monitoring.yaml');
      assert.deepEqual(comparable(made), comparable(await rendered(helm.world, `${checkout}monitoring`)));
    });

    it('gives a release of another name names of its own', async () => {
      const made = manifestsIn(await helm.done(['template', 'ci', chart], { ...callers, triggers: { enabled: true } }));
      for (const { kind, metadata } of made) assert.match(metadata.name ?? '', /^ci-rungate(-|$)/, kind);
    });

    it('gives each namespace that is served its Roles, and the Lease to its own alone', async () => {
      const values = { triggers: { enabled: true }, namespace: 'builds', namespaces: ['2026', 'builds'] };
      const made = await template(values);
      // A namespace may have a name that YAML takes for a number.
      for (const { kind, metadata } of made) assert.equal(typeof metadata.namespace, 'string', kind);
      assert.equal(environmentOf(made).get('NAMESPACES'), '2026,builds');
      const roles = made.filter(({ kind }) => kind === 'Role');
      assert.deepEqual(roles.map(({ metadata }) => `${metadata.name} ${metadata.namespace}`).sort(), [
        'rungate-lease tekton-pipelines',
        'rungate-read 2026',
        'rungate-read builds',
        'rungate-triggers 2026',
        'rungate-triggers builds',
      ]);
    });

    it('lets hooks look at sources where their EventListeners may, and nowhere else', async () => {
      const eventListeners = { enabled: true, sourceNamespaces: ['apps/flux-system'] };
      const made = await template({ hooks: { enabled: true, eventListeners } });
      const roles = made.filter(({ kind, metadata }) => kind === 'Role' && metadata.namespace === 'flux-system');
      assert.deepEqual(
        roles.map(({ metadata }) => metadata.name),
        ['rungate-hooks-sources'],
      );
      assert.equal(environmentOf(made).get('COMPAT_SOURCE_NAMESPACES'), 'apps/flux-system');
    });

    it('writes settings as rungate reads them', async () => {
      const values = { settings: { CACHE: false, ORPHAN_RUNS: true, MAX_HOOK_BYTES: 1_048_576, DRAIN_SECONDS: 0 } };
      const variables = environmentOf(await template(values));
      assert.deepEqual(
        Object.keys(values.settings).map((name) => variables.get(name)),
        ['off', 'true', '1048576', '0'],
      );
    });

    for (const [memory, heap] of [
      ['512Mi', 352],
      ['1.5Gi', 1056],
      ['1G', 655],
      [1_073_741_824, 704],
    ] as const) {
      it(`keeps the heap below a limit of ${memory}`, async () => {
        const variables = environmentOf(await template({ deployment: { limits: { memory } } }));
        assert.equal(variables.get('NODE_OPTIONS'), `--max-old-space-size=${heap} --max-semi-space-size=16`);
      });
    }

    it('keeps metrics at a Service of their own, inside the cluster, where the other one can be reached from outside', async () => {
      const made = await template({ metrics: { enabled: true }, service: { type: 'NodePort' } });
      const services = made.filter(({ kind }) => kind === 'Service');
      assert.deepEqual(
        services.map(({ spec }) => {
          const { type = 'ClusterIP', ports } = spec as { type?: string; ports: readonly { name: string }[] };
          return [type, ports.map(({ name }) => name)];
        }),
        [
          ['NodePort', ['http']],
          ['ClusterIP', ['metrics']],
        ],
      );
    });

    it('has alerts with the numbers of its own limits', async () => {
      const made = await template({
        metrics: { enabled: true, rules: true },
        deployment: { limits: { memory: '4Gi' } },
        settings: { MAX_STREAMS: 5_000, WATCH_SECONDS: 600 },
      });
      const rules = JSON.stringify(made.find(({ kind }) => kind === 'PrometheusRule'));
      for (const number of ['> 0.75 * 4096 * 1024 * 1024', '> 4000', '> 660'])
        assert.ok(rules.includes(number), number);
    });

    it('may not read logs where it has no part that does', async () => {
      const made = await template({ gateway: { enabled: false }, triggers: { enabled: true } });
      assert.ok(!JSON.stringify(made.filter(({ kind }) => kind.endsWith('Role'))).includes('pods/log'));
    });

    it('says nothing of a password but what scrypt leaves of it', async () => {
      const annotations = async (password: string) => {
        const made = await template({ auth: { username: 'ci', password } }, '--show-only', 'templates/deployment.yaml');
        return JSON.stringify((made[0] as Deployment).spec.template.metadata.annotations);
      };
      const first = await annotations('a first one');
      assert.match(first, /^\{"checksum\/secrets":"[0-9a-f]{64}"\}$/);
      assert.equal(await annotations('a first one'), first);
      assert.notEqual(await annotations('another one'), first);
    });

    const refused: readonly (readonly [string, Values, RegExp])[] = [
      ['no callers', { auth: {} }, /auth\.password is missing: /],
      ['a name without a password', { auth: { username: 'ci' } }, /auth\.password is missing/],
      ['a password without a name', { auth: { password: 'long and dull' } }, /auth\.username is missing/],
      [
        'the password of the listener',
        { auth: { username: 'admin', password: 'admin' } },
        /auth\.password is one that/,
      ],
      ['a value that is spelt wrong', { deployment: { replica: 2 } }, /\/deployment'.*'replica' not allowed/s],
      ['a value of another type', { service: { port: 'http' } }, /\/service\/port'/],
      ['a setting that there is not', { settings: { MAX_STREAM: 5 } }, /'MAX_STREAM' not allowed/],
      ['no part at all', { gateway: { enabled: false } }, /gateway\.enabled, triggers\.enabled and hooks\.enabled/],
      ['all namespaces and some', { allNamespaces: true, namespaces: ['a'] }, /namespaces and allNamespaces/],
      ['credentials without triggers', { triggers: { credentials: true } }, /triggers\.credentials needs/],
      ['impersonation without hooks', { hooks: { impersonation: true } }, /hooks\.impersonation needs/],
      [
        'a key without its Secret',
        { auth: { username: 'ci', password: 'long and dull', usersKey: 'users' } },
        /auth\.usersKey is a key of/,
      ],
    ];
    for (const [name, values, sentence] of refused) {
      it(`refuses ${name}, and names the value`, async () => {
        const { code, stderr } = await helm.run(['template', ...asInFiles], {
          ...(values.auth ? {} : callers),
          ...values,
        });
        assert.notEqual(code, 0);
        assert.match(stderr, sentence);
      });
    }
  });

  describe('as the API server takes it', () => {
    let namespace: string;

    before(async () => {
      namespace = await restrictedNamespace(helm.world, `${helm.world.namespace}-chart`);
      await applyDefinitions(helm.world.admin);
    });

    after(() => helm.world.admin.remove(`/api/v1/namespaces/${namespace}`));

    for (const [name, { values }] of Object.entries(pairs)) {
      it(`${name}: without a warning`, async () => {
        const file = join(helm.world.folder, 'made.yaml');
        await writeFile(
          file,
          await helm.done(['template', 'rungate', chart, '--namespace', namespace], { ...callers, ...values }),
        );
        const { code, stderr } = await helm.world.kubectl('apply', '--dry-run=server', '-f', file);
        assert.equal(stderr, '');
        assert.equal(code, 0);
      });
    }

    it('leaves kinds alone that are not its own, and says so', async () => {
      const args = ['install', 'kinds', chart, '--namespace', namespace, '--dry-run=server'];
      const { code, stderr } = await helm.run(args, { ...callers, crds: { install: true } });
      assert.notEqual(code, 0);
      assert.match(stderr, /"(?:managedcredentials|pipelinetriggers|pullrequests)\..*invalid ownership metadata/s);
    });
  });
});

clusterSuite('charts/rungate/README.md', { root: true }, function () {
  this.timeout(900_000);
  const page = 'charts/rungate/README.md';
  const blocks = blocksOf(page, readFileSync(checkout + page, 'utf8'));
  let site: Site;
  let typist: Typist;

  before(async function () {
    this.timeout(buildMs);
    site = await openSite(blocks);
    typist = await sitDown(site.desk);
  });
  after(async () => {
    await typist?.leave();
    await site?.close();
  });

  for (const block of blocks) {
    it(`line ${block.line}: ${block.text.split('\n').at(-1)}`, () => typist.type(block));
  }
});

interface Variable {
  readonly name: string;
  readonly value?: string;
}

interface Deployment extends Manifest {
  readonly spec: {
    readonly template: {
      readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
      readonly spec: { readonly containers: readonly [{ readonly env: readonly Variable[] }] };
    };
  };
}

/** What the container is told, by name. */
function environmentOf(made: readonly Manifest[]): ReadonlyMap<string, string | undefined> {
  const deployment = made.find((object): object is Deployment => object.kind === 'Deployment');
  return new Map(deployment?.spec.template.spec.containers[0].env.map(({ name, value }) => [name, value]));
}
