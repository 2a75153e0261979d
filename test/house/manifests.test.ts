/**
 * The Deployments of k8s/ and what components and overlays make of them, held against the program: versions, ports, probes,
 * settings, files, memory and the time it takes to end. What the API server says of them is in test/cluster/install.test.ts.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parse } from 'yaml';
import { readFlags } from '../../src/commandline.ts';
import { loadConfig } from '../../src/config.ts';
import { probes } from '../../src/gateway/health.ts';
import { settings } from '../../src/settings.ts';
import { checkout } from '../support/gateway.ts';

interface EnvVariable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: object;
}

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}

interface Container {
  readonly name: string;
  readonly image: string;
  readonly args?: readonly string[];
  readonly env: readonly EnvVariable[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly startupProbe: Probe;
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
  readonly lifecycle?: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
  readonly resources: {
    readonly requests: { readonly memory: string };
    readonly limits: Readonly<Record<string, string>>;
  };
  readonly securityContext: object;
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
}

interface Deployment {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string; readonly labels: Labels };
  readonly spec: {
    readonly selector: { readonly matchLabels: Labels };
    readonly template: {
      readonly metadata: { readonly labels: Labels };
      readonly spec: {
        readonly serviceAccountName: string;
        readonly securityContext: object;
        readonly terminationGracePeriodSeconds: number;
        readonly containers: readonly Container[];
        readonly volumes?: readonly { readonly name: string }[];
      };
    };
  };
}

type Labels = Readonly<Record<string, string>>;

interface Service {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly selector: Labels;
    readonly ports: readonly { readonly name: string; readonly port: number; readonly targetPort: string }[];
  };
}

interface Kustomization {
  readonly resources?: readonly string[];
  readonly components?: readonly string[];
  readonly patches?: readonly { readonly target: { readonly kind: string }; readonly patch: string }[];
  readonly replacements?: readonly object[];
}

/** A file of k8s/. Each test looks at what its type says of it. */
const read = <T>(path: string) => parse(readFileSync(`${checkout}k8s/${path}`, 'utf8')) as T;
const kustomization = (folder: string) => read<Kustomization>(`${folder}/kustomization.yaml`);
const components = readdirSync(`${checkout}k8s/components`);
const version = (JSON.parse(readFileSync(`${checkout}package.json`, 'utf8')) as { version: string }).version;

const operator = 'overlays/pipeline-trigger-operator';
const deployments = ['base', operator].map((folder) => {
  const deployment = read<Deployment>(`${folder}/deployment.yaml`);
  const [container] = deployment.spec.template.spec.containers;
  assert.ok(container);
  return { folder, deployment, container, pod: deployment.spec.template.spec };
});
const [base] = deployments;
assert.ok(base);

/** The Deployment of a component: what of the pod it changes, as far as it does so by a piece of one. */
function pieceOf(component: string): Pick<Container, 'env' | 'volumeMounts'> | undefined {
  const { patches = [] } = kustomization(`components/${component}`);
  const [piece] = patches.filter(({ target }) => target.kind === 'Deployment').map(({ patch }) => parse(patch));
  return (piece as Deployment | undefined)?.spec.template.spec.containers?.[0];
}

/** The environment that a list of variables comes to; where it comes from a Secret or the pod, from `elsewhere`. */
function environment(variables: readonly EnvVariable[], elsewhere: Labels): Record<string, string> {
  return Object.fromEntries(
    variables.map(({ name, value, valueFrom }) => {
      const text = valueFrom === undefined ? value : elsewhere[name];
      assert.ok(text !== undefined, name);
      return [name, text];
    }),
  );
}

const secrets = { NAMESPACE: 'team-a', AUTH_USERNAME: 'ci', AUTH_PASSWORD: 'correct horse' };

const mebibytes = (quantity: string) => {
  const [, number = '', unit = ''] = /^(\d+)(Mi|Gi)$/.exec(quantity) ?? [];
  return Number(number) * (unit === 'Gi' ? 1024 : 1);
};

describe('the Deployments of k8s/', () => {
  for (const { folder, deployment, container, pod } of deployments) {
    describe(folder, () => {
      it('is of the version of package.json, wherever it says one', () => {
        assert.equal(container.image, `rungate:${version}`);
        const { labels } = deployment.metadata;
        assert.equal(labels['app.kubernetes.io/version'], version);
        assert.equal(deployment.spec.template.metadata.labels['app.kubernetes.io/version'], version);
      });

      it('has what Pod Security `restricted` asks for, and a file system that cannot be written', () => {
        // https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
        assert.deepEqual(pod.securityContext, { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
        assert.deepEqual(container.securityContext, {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
      });

      it('selects its own pods, and so does its Service, whose ports are there', () => {
        const { labels } = deployment.spec.template.metadata;
        const service = read<Service>(`${folder}/service.yaml`);
        for (const selector of [deployment.spec.selector.matchLabels, service.spec.selector])
          for (const [name, value] of Object.entries(selector)) assert.equal(labels[name], value);
        const names = container.ports.map(({ name }) => name);
        for (const { targetPort } of service.spec.ports) assert.ok(names.includes(targetPort), targetPort);
      });

      it('has probes that tell live from ready', async () => {
        let ready = false;
        const server = createServer(
          probes({
            readiness: () => ({ ready, watches: [] }),
            drain: { signal: new AbortController().signal },
            exposition: async () => ({ contentType: 'text/plain', text: '' }),
          }),
        ).listen(0, '127.0.0.1');
        await once(server, 'listening');
        const { port } = server.address() as AddressInfo;
        const ask = async ({ httpGet }: Probe) => (await fetch(`http://127.0.0.1:${port}${httpGet.path}`)).status;
        const asked = async () =>
          Promise.all([container.startupProbe, container.livenessProbe, container.readinessProbe].map(ask));
        assert.deepEqual(await asked(), [200, 200, 503]);
        ready = true;
        assert.deepEqual(await asked(), [200, 200, 200]);
        server.close();
      });

      it('is given more time to end than it takes', () => {
        const drain = Number(container.env.find(({ name }) => name === 'DRAIN_SECONDS')?.value);
        const sleeps = container.lifecycle?.preStop.sleep.seconds ?? 0;
        assert.ok(sleeps + drain + 10 <= pod.terminationGracePeriodSeconds);
      });

      it('has a heap that ends before the limit of its memory does', () => {
        const options = container.env.find(({ name }) => name === 'NODE_OPTIONS')?.value ?? '';
        const option = (name: string) => Number(new RegExp(`--max-${name}-size=(\\d+)`).exec(options)?.[1]);
        const heap = option('old-space') + 3 * option('semi-space');
        const limit = mebibytes(container.resources.limits.memory ?? '');
        // Node.js itself takes 65 MiB, and sockets and buffers what they need: docs/performance.md.
        assert.ok(heap > limit / 2 && heap <= limit * 0.75, `${heap} of ${limit}`);
        assert.ok(mebibytes(container.resources.requests.memory) > 130);
        assert.equal(container.resources.limits.cpu, undefined);
      });
    });
  }

  it('base is a gateway of its own namespace', () => {
    const loaded = loadConfig(environment(base.container.env, secrets));
    assert.ok(loaded.ok, JSON.stringify(loaded));
    const { parts, namespaces, port, probing } = loaded.config;
    assert.deepEqual([parts, namespaces, port], [['gateway'], ['team-a'], 8080]);
    assert.deepEqual(
      base.container.ports.map(({ containerPort }) => containerPort),
      [port, ...probing.map((place) => place.port)],
    );
  });

  it('the one in the place of the original operator is triggers in every namespace, at its ports', () => {
    const [, { container }] = deployments as [unknown, (typeof deployments)[number]];
    const invocation = readFlags(container.args ?? []);
    assert.ok(invocation.ask === 'run');
    const loaded = loadConfig(environment(container.env, {}), { operator: invocation.operator });
    assert.ok(loaded.ok, JSON.stringify(loaded));
    const { parts, namespaces, probing, leaseName, leaseNamespace } = loaded.config;
    assert.deepEqual([parts, namespaces, leaseName], [['triggers'], '*', 'bb9e0b30.jquad.rocks']);
    assert.equal(leaseNamespace, undefined); // the pod's own
    assert.deepEqual(
      probing.map(({ port }) => port).sort(),
      container.ports.map(({ containerPort }) => containerPort),
    );
  });

  it('the one in the place of the original operator has its names', () => {
    const [, { deployment, container, pod }] = deployments as [unknown, (typeof deployments)[number]];
    const name = 'pipeline-trigger-operator-controller-manager';
    assert.deepEqual(
      [deployment.metadata.name, deployment.metadata.namespace, pod.serviceAccountName, container.name],
      [name, 'pipeline-trigger-operator-system', name, 'manager'],
    );
    assert.deepEqual(deployment.spec.selector.matchLabels, { 'control-plane': 'controller-manager' });
    assert.ok(container.args?.includes('--leader-elect'));
    const service = read<Service>(`${operator}/service.yaml`);
    assert.equal(service.metadata.name, `${name}-metrics-service`);
    assert.deepEqual(
      service.spec.ports.map(({ port }) => port),
      [8443],
    );
  });
});

describe('the components of k8s/', () => {
  const named = new Set<string>([...Object.values(settings).map(({ variable }) => variable), 'NODE_OPTIONS']);

  for (const component of components) {
    const piece = pieceOf(component);
    if (piece === undefined) continue;
    it(`${component} sets what there is to set, and mounts what that names`, () => {
      const env = [...base.container.env, ...piece.env];
      for (const { name } of env) assert.ok(named.has(name), name);
      const files = piece.env.filter(({ name }) => name.endsWith('_FILE'));
      for (const { name, value = '' } of files) {
        const mounts = piece.volumeMounts ?? [];
        assert.ok(
          mounts.some(({ mountPath }) => value.startsWith(`${mountPath}/`)),
          `${name}=${value}`,
        );
      }
      const loaded = loadConfig(environment(env, secrets));
      assert.ok(loaded.ok, JSON.stringify(loaded));
    });
  }

  it('with a part that writes put it into PARTS, by the name that its Role says', () => {
    const parts = [];
    for (const component of components) {
      const file = `components/${component}/role.yaml`;
      if (!existsSync(`${checkout}k8s/${file}`)) continue;
      const { metadata } = read<{ metadata: { name: string; labels: Labels } }>(file);
      const part = metadata.labels['app.kubernetes.io/component'];
      const { replacements = [] } = kustomization(`components/${component}`);
      assert.equal(replacements.length, part === undefined ? 0 : 1, component);
      if (part === undefined) continue;
      parts.push(part);
      assert.deepEqual(replacements, [
        {
          source: {
            kind: 'Role',
            name: metadata.name,
            fieldPath: 'metadata.labels.[app.kubernetes.io/component]',
          },
          targets: [
            {
              select: { kind: 'Deployment', name: 'rungate' },
              fieldPaths: ['spec.template.spec.containers.[name=rungate].env.[name=PARTS].value'],
              options: { delimiter: ',', index: 9 },
            },
          ],
        },
      ]);
    }
    const all = settings.parts.fallback.split(',');
    assert.deepEqual(['gateway', ...parts].sort(), all.sort());
  });

  it('for every namespace say so in NAMESPACES, but for those that only add to others', () => {
    const wide = components.filter((component) => component.endsWith('-cluster'));
    const silent = wide.filter((component) => {
      const variable = pieceOf(component)?.env.find(({ name }) => name === 'NAMESPACES');
      return variable?.value !== '*';
    });
    assert.deepEqual(silent, [
      'credentials-cluster',
      'hooks-impersonation-cluster',
      'triggers-read-cluster',
      'triggers-run-cluster',
    ]);
  });

  it('metrics opens the port that the pod has for them', () => {
    const [{ patch } = { patch: '' }] = kustomization('components/metrics').patches ?? [];
    const [{ value }] = parse(patch) as [{ value: { name: string; port: number; targetPort: string } }];
    assert.deepEqual(value, { name: 'metrics', port: Number(settings.metricsPort.fallback), targetPort: 'metrics' });
  });
});

describe('the policies of k8s/components', () => {
  interface Policy {
    readonly spec: {
      readonly podSelector: { readonly matchLabels: Labels };
      readonly policyTypes: readonly string[];
      readonly ingress: readonly { readonly from?: readonly object[]; readonly ports: readonly PolicyPort[] }[];
      readonly egress?: readonly { readonly to?: readonly object[]; readonly ports: readonly PolicyPort[] }[];
    };
  }
  interface PolicyPort {
    readonly protocol: string;
    readonly port: number;
  }
  const written = ({ protocol, port }: PolicyPort) => `${protocol} ${port}`;

  it('network-policy opens the ports of the pod and nothing else, and lets it out to DNS and the API server', () => {
    const { spec } = read<Policy>('components/network-policy/networkpolicy.yaml');
    assert.deepEqual(spec.podSelector.matchLabels, base.deployment.spec.selector.matchLabels);
    assert.deepEqual(spec.policyTypes, ['Ingress', 'Egress']);
    const ports = base.container.ports.map(({ containerPort }) => `TCP ${containerPort}`);
    assert.deepEqual(
      spec.ingress.flatMap((rule) => rule.ports.map(written)),
      ports,
    );
    // Callers from everywhere; what asks nobody for credentials only from where Prometheus is.
    assert.deepEqual(
      spec.ingress.map(({ from }) => from !== undefined),
      [false, true],
    );
    assert.deepEqual(
      spec.egress?.map(({ to, ports }) => [to !== undefined, ...ports.map(written)]),
      [
        [true, 'UDP 53', 'TCP 53'],
        [false, 'TCP 443', 'TCP 6443'],
      ],
    );
  });

  it('hooks-network lets nobody but Flux to the port of hooks', () => {
    const { spec } = read<Policy>('components/hooks-network/networkpolicy.yaml');
    const [first] = spec.ingress;
    assert.deepEqual([first?.from?.length, first?.ports.map(written)], [1, ['TCP 8080']]);
  });

  it('disruption-budget never keeps a node from being drained', () => {
    const { spec } = read<{ spec: Record<string, unknown> }>('components/disruption-budget/poddisruptionbudget.yaml');
    assert.equal(spec.maxUnavailable, 1);
    assert.equal(spec.minAvailable, undefined);
    assert.deepEqual(spec.selector, base.deployment.spec.selector);
  });
});
