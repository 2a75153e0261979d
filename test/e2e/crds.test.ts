/**
 * k8s/crds as they are: that an API server takes them, and what it then takes and refuses. They hold for the whole cluster, so
 * they are applied and left there; objects go to a namespace of the test's own. No rungate is needed.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:https';
import { KubeConfig } from '@kubernetes/client-node';
import { AdminError, type Manifest, manifestsIn } from '../support/admin.ts';
import { eventually } from '../support/eventually.ts';
import { checkout } from '../support/gateway.ts';
import { applyDefinitions, startWorld, type World } from '../support/world.ts';

/** As the releases' own documentation writes them: each has to be taken unchanged, with no field dropped. */
const released = `
# 0.1.0 to 0.1.2: nothing but the names
apiVersion: pipeline.jquad.rocks/v1alpha1
kind: PipelineTrigger
metadata: { name: v0-1-0 }
spec:
  source: { kind: ImagePolicy, name: img }
  pipeline:
    name: build
---
# 0.1.3, 0.1.4
apiVersion: pipeline.jquad.rocks/v1alpha1
kind: PipelineTrigger
metadata: { name: v0-1-4 }
spec:
  source: { kind: GitRepository, name: app }
  pipeline:
    name: build
    retries: 3
    maxHistory: 10
    serviceAccountName: build-bot
    workspace: { name: workspace, size: 1Gi, accessMode: ReadWriteOnce }
    inputParams:
      - { name: branch-name, value: $(branch) }
      - { name: commit, value: $(commit) }
      - { name: environment, value: test }
---
# 0.1.5
apiVersion: pipeline.jquad.rocks/v1alpha1
kind: PipelineTrigger
metadata: { name: v0-1-5 }
spec:
  source: { kind: GitRepository, name: app }
  pipeline:
    name: build
    maxFailedRetries: 3
    maxHistory: 2
    serviceAccountName: build-bot
    workspace: { name: workspace, size: 1Gi, accessMode: ReadWriteOnce }
    inputParams: []
---
# 0.2.x
apiVersion: pipeline.jquad.rocks/v1alpha1
kind: PipelineTrigger
metadata: { name: v0-2-0 }
spec:
  source: { kind: PullRequest, name: changes }
  pipeline:
    name: build
    serviceAccountName: build-bot
    workspace: { name: workspace, size: 1Gi, accessMode: ReadWriteOnce }
    securityContext: { runAsUser: 1000, runAsGroup: 1000, fsGroup: 0 }
    inputParams:
      - { name: title, value: $.title }
---
# 0.3.x
apiVersion: pipeline.jquad.rocks/v1alpha1
kind: PipelineTrigger
metadata: { name: v0-3-0 }
spec:
  source: { kind: GitRepository, name: app }
  tektonApiVersion: tekton.dev/v1beta1
  pipelineRunSpec:
    serviceAccountName: build-bot
    pipelineRef: { name: build }
    podTemplate: { securityContext: { runAsUser: 1000 } }
    workspaces:
      - name: workspace
        volumeClaimTemplate:
          spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 16Mi } } }
    params:
      - { name: commit, value: $.commitId }
---
# 0.5.0
apiVersion: pipeline.jquad.rocks/v1alpha1
kind: PipelineTrigger
metadata: { name: v0-5-0 }
spec:
  source: { apiVersion: source.toolkit.fluxcd.io/v1, kind: GitRepository, name: app }
  pipelineRun:
    apiVersion: tekton.dev/v1
    kind: PipelineRun
    metadata: { generateName: app-, namespace: ci, labels: { app: app } }
    spec:
      pipelineRef: { name: build }
      params: [{ name: rev, value: $.commitId }]
---
# after 0.5.0
apiVersion: pipeline.jquad.rocks/v1alpha1
kind: PipelineTrigger
metadata: { name: after-v0-5-0 }
spec:
  source: { apiVersion: image.toolkit.fluxcd.io/v1, kind: ImagePolicy, name: img }
  credentialsRef: { name: forge }
  pipelineRun:
    apiVersion: tekton.dev/v1
    kind: PipelineRun
    spec:
      pipelineRef: { resolver: cluster, params: [{ name: name, value: build }] }
---
# what its documentation says besides
apiVersion: pipeline.jquad.rocks/v1alpha1
kind: PipelineTrigger
metadata: { name: documented }
spec:
  source: { apiVersion: pipeline.jquad.rocks/v1alpha1, kind: PullRequest, name: changes }
  managedCredentialRef: { apiVersion: v1, kind: ManagedCredential, name: forge, namespace: ci }
  pipelineRun:
    apiVersion: tekton.dev/v1beta1
    kind: PipelineRun
    metadata: { name: always-the-same }
    spec: { serviceAccountName: build-bot, pipelineRef: { name: build } }
---
apiVersion: pipeline.jquad.rocks/v1alpha1
kind: PullRequest
metadata: { name: changes }
spec:
  gitProvider:
    provider: Github
    insecureSkipVerify: false
    secretRef: forge
    github: { url: https://forge.example.com, owner: team, repository: app }
  targetBranch: { name: refs/heads/main }
  interval: 1m
---
# without the field that one of the two copies lacks, and with the one that only the other has
apiVersion: pipeline.jquad.rocks/v1alpha1
kind: PullRequest
metadata: { name: bundled }
spec:
  gitProvider:
    provider: Bitbucket
    managedCredentialRef: { name: forge, namespace: ci }
    bitbucket: { restEndpoint: https://forge.example.com/rest, project: TEAM, repository: app }
  targetBranch: { name: refs/heads/main }
  interval: 30s
---
apiVersion: credentials.jquad.rocks/v1alpha1
kind: ManagedCredential
metadata: { name: reads }
spec:
  credentialType: git
  provider: forge.example.com
  description: reads the team's repositories
  tokenSecretRef: { name: forge-token, namespace: ci }
  serviceAccountTemplate: { labels: { team: a }, annotations: { note: x }, imagePullSecrets: [{ name: images }] }
  secretTemplate: { labels: { team: a }, annotations: { note: x }, type: Opaque, dataKey: token }
`;

const condition = {
  type: 'Success',
  status: 'True',
  reason: 'Succeded',
  message: '',
  observedGeneration: 1,
  lastTransitionTime: '2024-01-31T12:00:00Z',
};
const trigger = (name: string, spec: object): Manifest => ({
  apiVersion: 'pipeline.jquad.rocks/v1alpha1',
  kind: 'PipelineTrigger',
  metadata: { name },
  spec,
});
const source = { kind: 'GitRepository', name: 'app' };
const pipeline = { name: 'build' };

/** Statuses that the original operator left behind. */
const written: readonly (readonly [string, string, object])[] = [
  ['0.1.0', 'v0-1-0', { pipelineStatus: 'True', pipelineReason: 'Succeeded', latestEvent: 'img:1' }],
  [
    '0.1.4, after a retry',
    'v0-1-4',
    {
      latestEvent: 'main/03da4fd2e83b2e0f4a1f3a7a6ff3a6d6a7d4f6b1',
      latestPipelineRun: 'Unknown',
      currentPipelineRetry: 1,
      conditions: [{ ...condition, type: 'Error', reason: 'Failed', message: 'x'.repeat(2000) }],
    },
  ],
  [
    '0.5.0, on a GitRepository, with old conditions and one whose type is a status',
    'v0-5-0',
    {
      gitRepository: {
        branchName: 'main',
        commitId: '03da4fd2e83b2e0f4a1f3a7a6ff3a6d6a7d4f6b1',
        repositoryName: 'app',
        latestPipelineRun: 'app-x7x2k',
        details: '{"branchName":"main"}',
        conditions: [
          condition,
          { ...condition, type: 'Unknown', status: 'Unknown', reason: 'Unknown', message: 'Unknown' },
          { ...condition, type: 'InProgress', status: 'Unknown', reason: 'InProgress', message: 'Progressing' },
          { ...condition, type: 'False', status: 'False', reason: 'ParamsUnmarshalFailed' },
        ],
      },
    },
  ],
  [
    'after 0.5.0, on an ImagePolicy',
    'after-v0-5-0',
    {
      imagePolicy: {
        repositoryName: 'team',
        imageName: 'nginx',
        imageVersion: '1.2',
        latestPipelineRun: 'nginx-x7x2k',
        details: '{}',
        conditions: [condition],
      },
    },
  ],
  [
    'after 0.5.0, on a PullRequest, with the entry that an error left',
    'documented',
    {
      branches: {
        branch: {
          'feature/x': {
            name: 'feature/x',
            commit: '03da4fd2e83b2e0f4a1f3a7a6ff3a6d6a7d4f6b1',
            latestPipelineRun: 'feature-x-x7x2k',
            details: '',
            conditions: [condition],
          },
          null: { name: '', conditions: [{ ...condition, type: 'Error', status: 'False', reason: 'Failed' }] },
        },
      },
    },
  ],
];

/** What is refused where it is applied, and the words that say which field it is about. */
const refused: readonly (readonly [string, object, RegExp])[] = [
  ['retries: 0', { source, pipeline: { ...pipeline, retries: 0 } }, /spec\.pipeline\.retries: Invalid value: 0/],
  ['retries: 11', { source, pipeline: { ...pipeline, retries: 11 } }, /spec\.pipeline\.retries: Invalid value: 11/],
  [
    'maxFailedRetries: 0',
    { source, pipeline: { ...pipeline, maxFailedRetries: 0 } },
    /spec\.pipeline\.maxFailedRetries: Invalid value: 0/,
  ],
  [
    'maxHistory: 0',
    { source, pipeline: { ...pipeline, maxHistory: 0 } },
    /spec\.pipeline\.maxHistory: Invalid value: 0/,
  ],
  [
    'maxHistory: 11',
    { source, pipeline: { ...pipeline, maxHistory: 11 } },
    /spec\.pipeline\.maxHistory: Invalid value: 11/,
  ],
  [
    'retries beside maxFailedRetries',
    { source, pipeline: { ...pipeline, retries: 1, maxFailedRetries: 1 } },
    /spec\.pipeline.*spec\.pipeline\.retries and spec\.pipeline\.maxFailedRetries cannot both be set/,
  ],
  [
    'kind HelmChart',
    { source: { ...source, kind: 'HelmChart' }, pipeline },
    /spec\.source\.kind: Unsupported value: \\?"HelmChart\\?"/,
  ],
  ['no kind', { source: { name: 'app' }, pipeline }, /spec\.source\.kind: Required value/],
  ['an empty source.name', { source: { ...source, name: '' }, pipeline }, /spec\.source\.name.*at least 1 chars long/],
  [
    'a source.name of 254 characters',
    { source: { ...source, name: 'a'.repeat(254) }, pipeline },
    /spec\.source\.name: Too long/,
  ],
  ['no source', { pipeline }, /spec\.source: Required value/],
  [
    'both pipeline and pipelineRun',
    { source, pipeline, pipelineRun: { kind: 'PipelineRun' } },
    /exactly one of spec\.pipeline, spec\.pipelineRun and spec\.pipelineRunSpec must be set/,
  ],
  [
    'both pipelineRun and pipelineRunSpec',
    { source, pipelineRun: {}, pipelineRunSpec: {} },
    /exactly one of spec\.pipeline, spec\.pipelineRun and spec\.pipelineRunSpec must be set/,
  ],
  [
    'nothing to run',
    { source },
    /exactly one of spec\.pipeline, spec\.pipelineRun and spec\.pipelineRunSpec must be set/,
  ],
  [
    'both names of a credential',
    { source, pipeline, credentialsRef: { name: 'a' }, managedCredentialRef: { name: 'a' } },
    /spec\.managedCredentialRef is another name of spec\.credentialsRef/,
  ],
  [
    'a credential without a name',
    { source, pipeline, credentialsRef: { namespace: 'ci' } },
    /spec\.credentialsRef\.name: Required value/,
  ],
  ['pipelineRun: a text', { source, pipelineRun: 'build' }, /spec\.pipelineRun: Invalid value: \\?"string\\?"/],
  [
    'a version that Tekton never had',
    { source, tektonApiVersion: 'tekton.dev/v2', pipelineRunSpec: {} },
    /spec\.tektonApiVersion: Unsupported value/,
  ],
  [
    'an identity that is none',
    { source, pipeline, hook: { identity: 'digest' } },
    /spec\.hook\.identity: Unsupported value/,
  ],
];

/** What no schema can judge, or what the original took: the controller says what is wrong, and only of that trigger. */
const left: readonly (readonly [string, object])[] = [
  ['workspace.size: abc', { source, pipeline: { ...pipeline, workspace: { name: 'w', size: 'abc' } } }],
  ['a pipelineRun without kind', { source, pipelineRun: { spec: {} } }],
  ['a pipelineRun for another namespace', { source, pipelineRun: { metadata: { namespace: 'other' } } }],
  ['a parameter that is no JSONPath', { source, pipelineRunSpec: { params: [{ name: 'p', value: '$.[[' }] } }],
];

describe('k8s/crds', function () {
  this.timeout(300_000);
  let world: World;
  const path = (kind: string, name: string) =>
    `/apis/pipeline.jquad.rocks/v1alpha1/namespaces/${world.namespace}/${kind}/${name}`;

  before(async () => {
    world = await startWorld({ gateway: false });
    await applyDefinitions(world.admin);
  });
  after(() => world?.end());

  for (const name of [
    'pipelinetriggers.pipeline.jquad.rocks',
    'pullrequests.pipeline.jquad.rocks',
    'managedcredentials.credentials.jquad.rocks',
  ]) {
    it(`${name} is established, and its schema is structural`, async () => {
      const { conditions } = await eventually(async () => {
        const { status } = await world.admin.get<{
          status: { conditions: readonly { type: string; status: string }[] };
        }>(`/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}`);
        assert.ok(status.conditions.some((each) => each.type === 'Established' && each.status === 'True'));
        return status;
      });
      assert.deepEqual(
        conditions.filter(({ type }) => type === 'NonStructuralSchema'),
        [],
      );
    });
  }

  describe('trigger 38: manifests of every release, side by side in one namespace', () => {
    for (const manifest of manifestsIn(released)) {
      it(`${manifest.kind} ${manifest.metadata.name} is taken whole`, async () => {
        const taken = await eventually(() => createStrictly(world, manifest), { withinMs: 90_000 });
        assert.deepEqual(taken.spec, manifest.spec);
      });
    }
  });

  describe('a status of the original operator is taken whole', () => {
    for (const [title, name, status] of written) {
      it(title, async () => {
        const taken = await world.admin.patch(`${path('pipelinetriggers', name)}/status`, { status });
        assert.deepEqual(taken.status, status);
      });
    }
  });

  describe('trigger 38: is refused with words that name the field:', () => {
    for (const [title, spec, words] of refused) {
      it(title, async () => {
        // An API server goes by the kind as it was for a moment, where this cluster had another version of it.
        const { metadata: _name, ...nameless } = trigger('refused', spec);
        await eventually(() =>
          assert.rejects(
            createStrictly(world, { ...nameless, metadata: { generateName: 'refused-' } } as Manifest),
            (error: unknown) => {
              assert(error instanceof AdminError, String(error));
              assert.equal(error.status, 422);
              assert.match(error.message, words);
              return true;
            },
          ),
        );
      });
    }
  });

  describe('trigger 37, 39: is taken, for the controller to say what is wrong:', () => {
    for (const [place, [title, spec]] of left.entries()) {
      it(title, async () => {
        const [taken] = await world.apply(trigger(`left-${place}`, spec));
        assert.deepEqual(taken?.spec, spec);
      });
    }
  });

  describe('examples/triggers:', () => {
    const folder = `${checkout}examples/triggers`;
    for (const file of readdirSync(folder)) {
      it(`${file} is taken whole`, async () => {
        for (const manifest of manifestsIn(readFileSync(`${folder}/${file}`, 'utf8'))) {
          await createStrictly(world, manifest);
        }
      });
    }
  });

  it('a table shows the source, the latest event and run, and how it stands', async () => {
    await world.apply(trigger('shown', { source, pipeline }));
    await world.admin.patch(`${path('pipelinetriggers', 'shown')}/status`, {
      status: { latestEvent: 'main@sha1:03da4fd', latestPipelineRun: 'shown-abcd', conditions: [condition] },
    });
    const table = await tableOf(world, path('pipelinetriggers', 'shown'));
    assert.deepEqual(
      table.columnDefinitions.map(({ name }) => name),
      ['Name', 'Source', 'Latest Event', 'Latest Run', 'Status', 'Message', 'Age'],
    );
    assert.deepEqual(table.rows[0]?.cells.slice(0, 5), ['shown', 'app', 'main@sha1:03da4fd', 'shown-abcd', 'Succeded']);
  });

  it('the same file applied again changes nothing', async () => {
    const [first] = await world.apply(trigger('again', { source, pipeline }));
    const [second] = await world.apply(trigger('again', { source, pipeline }));
    assert.deepEqual(second?.metadata, first?.metadata);
  });
});

/** Creates it as kubectl does: a field that the schema does not know is an error. */
async function createStrictly(world: World, manifest: Manifest): Promise<Manifest> {
  const { namespace } = world;
  const path = await world.admin.pathOf({ ...manifest, metadata: { ...manifest.metadata, namespace } });
  const collection = path.slice(0, path.lastIndexOf('/'));
  return world.admin.post(`${collection}?fieldValidation=Strict`, manifest);
}

interface Table {
  readonly columnDefinitions: readonly { readonly name: string }[];
  readonly rows: readonly { readonly cells: readonly unknown[] }[];
}

/** What kubectl shows it from. */
async function tableOf(world: World, path: string): Promise<Table> {
  const config = new KubeConfig();
  config.loadFromFile(world.admin.kubeconfig);
  const options = { headers: { Accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' } };
  await config.applyToHTTPSOptions(options);
  return new Promise((resolve, reject) => {
    const call = request(world.admin.server + path, options, (answer) => {
      answer
        .toArray()
        .then((pieces: Buffer[]) => resolve(JSON.parse(Buffer.concat(pieces).toString()) as Table), reject);
    });
    call.on('error', reject);
    call.end();
  });
}
