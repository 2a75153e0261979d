import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parse } from 'yaml';
import { Fault } from '../../fault.ts';
import { projectSource } from '../../flux/project.ts';
import type { SourceKind } from '../../flux/types.ts';
import { type JsonObject, objectOf, present, stringsOf } from '../../kube/objects.ts';
import { EVENT_KEY_ANNOTATION, projectPipelineRun } from '../../tekton/project.ts';
import { labelValue } from '../../triggers/names.ts';
import { eventsOf, type TriggerEvent } from './event.ts';
import { buildRun, eventKey, type Intent, type RunGround, runName, unrecordedRun } from './manifest.ts';
import { type PipelineTrigger, projectTrigger } from './resource.ts';

const SHA = '03da4fd0d2c9d2b2b1f0ac5ee7b2a7b2f3b9e4c1';
const UID = '6f1c2c1e-0000-4000-8000-000000000001';
const FIRST: Intent = { sequence: 1, attempt: 0, salt: 0 };
const V1: RunGround = { tektonV1: true };
const V1BETA1: RunGround = { tektonV1: false };

const DNS = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;
const LABEL = /^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;

function triggerOf(spec: string | JsonObject, name = 't'): PipelineTrigger {
  const written = typeof spec === 'string' ? (parse(spec) as JsonObject) : spec;
  return projectTrigger({ metadata: { name, namespace: 'ci', uid: UID, generation: 1 }, spec: written });
}

function eventOf(kind: SourceKind, status: JsonObject): TriggerEvent {
  const [event] = eventsOf(projectSource(kind, { metadata: { name: 'app', namespace: 'ci' }, status }));
  return event ?? assert.fail('no event');
}

const git = (revision = `main@sha1:${SHA}`) => eventOf('GitRepository', { artifact: { revision } });
const image = (latestImage: string) => eventOf('ImagePolicy', { latestImage });
const pull = (name: string, details = '{}') =>
  eventOf('PullRequest', { sourceBranches: { branches: [{ name, commit: SHA, details }] } });

const A = `
  source: {kind: GitRepository, name: app}
  pipeline:
    name: build
    serviceAccountName: builder
    retries: 1
    maxHistory: 3
    workspace: {name: work, size: 1Gi, accessMode: ReadWriteOnce}
    inputParams: [{name: branch, value: $(branch)}, {name: commit, value: $(commit)}, {name: fixed, value: main}]
`;

function shapeB(pipelineRun: string, kind: SourceKind = 'GitRepository'): PipelineTrigger {
  return triggerOf({ source: { kind, name: 'app' }, pipelineRun: parse(pipelineRun) as JsonObject });
}

const B = `
  apiVersion: tekton.dev/v1
  kind: PipelineRun
  metadata: {generateName: app-, namespace: ci, labels: {app: app}, annotations: {team: green}}
  spec:
    pipelineRef: {name: build}
    params: [{name: rev, value: $.commitId}]
`;

function built(trigger: PipelineTrigger, event = git(), ground = V1, intent = FIRST): JsonObject {
  return buildRun(trigger, event, intent, ground).object;
}

function metaOf(run: JsonObject) {
  const { name, labels, annotations, ...rest } = objectOf(run.metadata);
  return { name: String(name), labels: stringsOf(labels), annotations: stringsOf(annotations), rest };
}

function refusal(trigger: PipelineTrigger, event = git(), ground = V1): string {
  try {
    built(trigger, event, ground);
  } catch (error) {
    assert.ok(error instanceof Fault && error.code === 'bad-request', String(error));
    return error.message;
  }
  return assert.fail('it was built');
}

describe('the run of a trigger with spec.pipeline', () => {
  it('trigger 1, 4: is the pipeline with its service account, parameters and workspace, and without a timeout', () => {
    const { path, object } = buildRun(triggerOf(A), git(), FIRST, V1);
    assert.equal(path, '/apis/tekton.dev/v1/namespaces/ci/pipelineruns');
    assert.match(metaOf(object).name, /^t-[a-z]{4}$/);
    assert.deepEqual(
      { apiVersion: object.apiVersion, kind: object.kind, spec: object.spec },
      {
        apiVersion: 'tekton.dev/v1',
        kind: 'PipelineRun',
        spec: {
          pipelineRef: { name: 'build' },
          taskRunTemplate: { serviceAccountName: 'builder' },
          params: [
            { name: 'branch', value: 'main' },
            { name: 'commit', value: SHA },
            { name: 'fixed', value: 'main' },
          ],
          workspaces: [
            {
              name: 'work',
              volumeClaimTemplate: {
                spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
              },
            },
          ],
        },
      },
    );
  });

  it('where only v1beta1 is served it is of v1beta1', () => {
    const { path, object } = buildRun(triggerOf(A), git(), FIRST, V1BETA1);
    assert.equal(path, '/apis/tekton.dev/v1beta1/namespaces/ci/pipelineruns');
    assert.equal(object.apiVersion, 'tekton.dev/v1beta1');
    assert.equal(objectOf(object.spec).serviceAccountName, 'builder');
    assert.equal(objectOf(object.spec).taskRunTemplate, undefined);
  });

  it('carries whose it is and what it is for', () => {
    const { labels, annotations, rest } = metaOf(built(triggerOf(A), git(`feature/x@sha1:${SHA}`)));
    assert.deepEqual(labels, {
      'pipeline.jquad.rocks/pipelinetrigger': 't',
      'pipeline.jquad.rocks/branch': 'feature-x',
      'pipeline.jquad.rocks/commit': SHA,
    });
    assert.deepEqual(annotations, {
      'pipeline.jquad.rocks/branch': 'feature/x',
      'pipeline.jquad.rocks/commit': SHA,
      'pipeline.jquad.rocks/event': `feature/x@sha1:${SHA}`,
      'pipeline.jquad.rocks/event-key': eventKey(UID, 1, 0),
      'pipeline.jquad.rocks/pipelinetrigger': 't',
    });
    assert.deepEqual(rest, {
      namespace: 'ci',
      ownerReferences: [
        {
          apiVersion: 'pipeline.jquad.rocks/v1alpha1',
          kind: 'PipelineTrigger',
          name: 't',
          uid: UID,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    });
  });

  it('a security context holds the numbers that are given, and no others', () => {
    const spec = `
      source: {kind: PullRequest, name: app}
      pipeline: {name: build, inputParams: [{name: t, value: $.title}], securityContext: {runAsUser: 1000, fsGroup: 0}}
    `;
    const run = (ground: RunGround) => objectOf(built(triggerOf(spec), pull('a', '{"title":"T"}'), ground).spec);
    const podTemplate = { securityContext: { runAsUser: 1000, fsGroup: 0 } };
    assert.deepEqual(run(V1).taskRunTemplate, { podTemplate });
    assert.deepEqual(run(V1BETA1).podTemplate, podTemplate);
    assert.deepEqual(run(V1).params, [{ name: 't', value: 'T' }]);
    const none = triggerOf('source: {kind: GitRepository, name: app}\npipeline: {name: build, securityContext: {}}');
    assert.deepEqual(built(none).spec, { pipelineRef: { name: 'build' } });
  });

  it('trigger 7: a revision without a branch leaves the branch out of labels and annotations', () => {
    const { labels, annotations } = metaOf(built(triggerOf(A), git(`sha1:${SHA}`)));
    assert.equal(labels['pipeline.jquad.rocks/branch'], undefined);
    assert.equal(annotations['pipeline.jquad.rocks/branch'], undefined);
    assert.equal(annotations['pipeline.jquad.rocks/commit'], SHA);
  });
});

describe('the run of a trigger with spec.pipelineRun', () => {
  it('is the template with its parameters resolved', () => {
    const { path, object, isFixed } = buildRun(shapeB(B), git(), FIRST, V1);
    assert.deepEqual({ path, isFixed }, { path: '/apis/tekton.dev/v1/namespaces/ci/pipelineruns', isFixed: false });
    const { name, labels, annotations } = metaOf(object);
    assert.match(name, /^app-[a-z0-9]{5}$/);
    assert.equal(objectOf(object.metadata).generateName, undefined);
    assert.deepEqual(labels, {
      app: 'app',
      'pipeline.jquad.rocks/pipelinetrigger': 't',
      'pipeline.jquad.rocks/git.repository.branch.name': 'main',
      'pipeline.jquad.rocks/git.repository.branch.commit': SHA,
    });
    assert.equal(annotations.team, 'green');
    assert.deepEqual(object.spec, { pipelineRef: { name: 'build' }, params: [{ name: 'rev', value: SHA }] });
  });

  it('trigger 29: a template without metadata gets a name from the branch or image, and everything else', () => {
    const bare = '{apiVersion: tekton.dev/v1, kind: PipelineRun, spec: {pipelineRef: {name: build}}}';
    const ofBranch = metaOf(built(shapeB(bare), git(`feature/X@sha1:${SHA}`)));
    assert.match(ofBranch.name, /^feature-x-[a-z0-9]{5}$/);
    assert.equal(ofBranch.rest.namespace, 'ci');
    assert.equal(ofBranch.labels['pipeline.jquad.rocks/pipelinetrigger'], 't');
    const ofImage = metaOf(built(shapeB(bare, 'ImagePolicy'), image('reg:5000/org/Nginx_x:1.2_a')));
    assert.match(ofImage.name, /^nginx-x-[a-z0-9]{5}$/);
    assert.equal(ofImage.labels['pipeline.jquad.rocks/ip.image.version'], '1.2_a');
    assert.equal(ofImage.annotations['pipeline.jquad.rocks/event'], 'reg:5000/org/Nginx_x:1.2_a');
    assert.match(metaOf(built(shapeB(bare), git(`sha1:${SHA}`))).name, /^t-[a-z0-9]{5}$/);
  });

  const refusals: [title: string, change: [string, string], says: RegExp][] = [
    [
      'trigger 29: another namespace',
      ['namespace: ci', 'namespace: other'],
      /spec\.pipelineRun\.metadata\.namespace not supported/,
    ],
    ['trigger 39: no kind', ['kind: PipelineRun', ''], /spec\.pipelineRun\.kind is missing/],
    ['another kind', ['kind: PipelineRun', 'kind: Secret'], /spec\.pipelineRun\.kind is "Secret"/],
    ['another group', ['tekton.dev/v1', 'batch/v1'], /spec\.pipelineRun\.apiVersion is "batch\/v1"/],
    ['no group', ['tekton.dev/v1', 'v1'], /could not split the api version of the pipelinerun as expected/],
    ['no spec', ['spec:', 'other:'], /spec\.pipelineRun\.spec is missing/],
    [
      'labels that are none',
      ['labels: {app: app}', 'labels: [app]'],
      /spec\.pipelineRun\.metadata\.labels is no object/,
    ],
    [
      'annotations that are none',
      ['annotations: {team: green}', 'annotations: x'],
      /metadata\.annotations is no object/,
    ],
    [
      'a name that is none',
      ['generateName: app-', 'name: App_1'],
      /spec\.pipelineRun\.metadata\.name is no name for a run/,
    ],
    [
      'a name that is too long',
      ['generateName: app-', `name: ${'a'.repeat(64)}`],
      /spec\.pipelineRun\.metadata\.name is no name for a run; write at most 63/,
    ],
    [
      'another controller',
      ['labels: {app: app}', 'ownerReferences: [{kind: X, name: x, controller: true}]'],
      /spec\.pipelineRun\.metadata\.ownerReferences has a controller/,
    ],
    [
      'trigger 26: a parameter of nothing',
      ['$.commitId', '$.nope'],
      /^parameter rev: Expression \$\.nope evaluates to null\.$/,
    ],
  ];
  for (const [title, [from, to], says] of refusals) {
    it(`${title} is refused`, () => assert.match(refusal(shapeB(B.replace(from, to))), says));
  }

  it('trigger 30: a fixed name stays what it is', () => {
    const fixed = shapeB(B.replace('generateName: app-', 'name: the-one'));
    for (const intent of [FIRST, { sequence: 7, attempt: 2, salt: 3 }]) {
      const { object, isFixed } = buildRun(fixed, git(), intent, V1);
      assert.deepEqual({ name: metaOf(object).name, isFixed }, { name: 'the-one', isFixed: true });
    }
  });

  it('trigger 34: resolvers, inline pipelines and fields nobody knows stay as they are', () => {
    for (const kept of [
      '{pipelineRef: {resolver: git, params: [{name: url, value: $.untouched}]}}',
      '{pipelineSpec: {tasks: [{name: a, taskSpec: {steps: [{image: b, script: echo $.a $(params.x)}]}}]}, params: []}',
      '{pipelineRef: {name: build}, timeouts: {pipeline: 1h}, novelty: {a: [1, null]}, taskRunSpecs: [{pipelineTaskName: a}]}',
    ]) {
      const trigger = shapeB(`{apiVersion: tekton.dev/v1, kind: PipelineRun, spec: ${kept}}`);
      for (const event of [git(), image('org/nginx:1'), pull('a')]) {
        for (const ground of [V1, V1BETA1]) assert.deepEqual(built(trigger, event, ground).spec, parse(kept));
      }
    }
  });

  it('trigger 32: each branch of a pull request has its own labels and parameters', () => {
    const trigger = shapeB(B.replace('$.commitId', '$.title'), 'PullRequest');
    const runs = ['feature/a', 'feature/b'].map((name) => built(trigger, pull(name, JSON.stringify({ title: name }))));
    assert.deepEqual(
      runs.map((run) => [metaOf(run).labels['pipeline.jquad.rocks/pr.branch.name'], objectOf(run.spec).params]),
      [
        ['feature-a', [{ name: 'rev', value: 'feature/a' }]],
        ['feature-b', [{ name: 'rev', value: 'feature/b' }]],
      ],
    );
  });

  it('ownerReferences of the template stay beside ours', () => {
    const trigger = shapeB(
      B.replace('labels: {app: app}', 'ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: c, uid: u}]'),
    );
    const owners = metaOf(built(trigger)).rest.ownerReferences as readonly JsonObject[];
    assert.deepEqual(
      owners.map(({ kind }) => kind),
      ['ConfigMap', 'PipelineTrigger'],
    );
  });
});

describe('the run of a trigger with spec.pipelineRunSpec', () => {
  it('is a run with that spec', () => {
    const trigger = triggerOf(`
      source: {kind: GitRepository, name: app}
      tektonApiVersion: tekton.dev/v1beta1
      pipelineRunSpec: {pipelineRef: {name: build}, serviceAccountName: sa, params: [{name: b, value: $.branchName}]}
    `);
    const run = built(trigger);
    assert.match(metaOf(run).name, /^main-[a-z0-9]{5}$/);
    assert.equal(metaOf(run).labels['pipeline.jquad.rocks/git.repository.branch.name'], 'main');
    assert.deepEqual(run.spec, {
      pipelineRef: { name: 'build' },
      params: [{ name: 'b', value: 'main' }],
      taskRunTemplate: { serviceAccountName: 'sa' },
    });
  });
});

describe('where a field has its place', () => {
  const beta = `
    serviceAccountName: sa
    podTemplate: {nodeSelector: {a: b}}
    timeout: 10m
    taskRunSpecs:
      - {pipelineTaskName: a, taskServiceAccountName: ta, taskPodTemplate: {x: y}, stepOverrides: [{name: s, resources: {limits: {cpu: 1}}}]}
      - {pipelineTaskName: b, serviceAccountName: tb}
  `;
  const one = `
    taskRunTemplate: {serviceAccountName: sa, podTemplate: {nodeSelector: {a: b}}}
    timeouts: {pipeline: 10m}
    taskRunSpecs:
      - {pipelineTaskName: a, serviceAccountName: ta, podTemplate: {x: y}, stepSpecs: [{name: s, computeResources: {limits: {cpu: 1}}}]}
      - {pipelineTaskName: b, serviceAccountName: tb}
  `;
  const table: [title: string, spec: string, ground: RunGround, want: string][] = [
    ['trigger 35: fields of v1beta1 move to their places in v1', beta, V1, one],
    ['fields of v1 stay in v1', one, V1, one],
    [
      'fields of v1 move back where only v1beta1 is served',
      one,
      V1BETA1,
      `
        serviceAccountName: sa
        podTemplate: {nodeSelector: {a: b}}
        timeouts: {pipeline: 10m}
        taskRunSpecs:
          - {pipelineTaskName: a, taskServiceAccountName: ta, taskPodTemplate: {x: y}, stepOverrides: [{name: s, resources: {limits: {cpu: 1}}}]}
          - {pipelineTaskName: b, taskServiceAccountName: tb}
      `,
    ],
    [
      'what is in both places is what the served version has there',
      '{serviceAccountName: old, timeout: 1m, taskRunTemplate: {serviceAccountName: new}, timeouts: {pipeline: 2m, tasks: 1m}, taskRunSpecs: [{taskServiceAccountName: old, serviceAccountName: new}]}',
      V1,
      '{taskRunTemplate: {serviceAccountName: new}, timeouts: {pipeline: 2m, tasks: 1m}, taskRunSpecs: [{serviceAccountName: new}]}',
    ],
    [
      'timeouts that are there are kept beside the one that moves',
      '{timeout: 1m, timeouts: {tasks: 30s}}',
      V1,
      '{timeouts: {pipeline: 1m, tasks: 30s}}',
    ],
    [
      'what is malformed is left for Tekton to refuse',
      '{taskRunTemplate: x, taskRunSpecs: {a: b}}',
      V1,
      '{taskRunTemplate: x, taskRunSpecs: {a: b}}',
    ],
  ];
  for (const [title, spec, ground, want] of table) {
    for (const apiVersion of ['tekton.dev/v1', 'tekton.dev/v1beta1']) {
      it(`${title} (written as ${apiVersion})`, () => {
        const trigger = triggerOf({
          source: { kind: 'GitRepository', name: 'app' },
          pipelineRun: { apiVersion, kind: 'PipelineRun', spec: parse(spec) as JsonObject },
        });
        const run = built(trigger, git(), ground);
        assert.equal(run.apiVersion, ground.tektonV1 ? 'tekton.dev/v1' : 'tekton.dev/v1beta1');
        assert.deepEqual(run.spec, parse(want));
      });
    }
  }
});

describe('what a credential adds', () => {
  const credential = { serviceAccountName: 'cred-sa', secretName: 'cred-secret' };
  const workspaces = 'workspaces: [{name: work, emptyDir: {}}]';
  const trigger = shapeB(`${B}\n    serviceAccountName: own\n    ${workspaces}`);
  const bound = [
    { name: 'work', emptyDir: {} },
    { name: 'cred-secret', secret: { secretName: 'cred-secret' } },
  ];

  it('trigger 42: the service account in its place, the workspace behind the others', () => {
    const inV1 = objectOf(built(trigger, git(), { ...V1, credential }).spec);
    assert.deepEqual(inV1.taskRunTemplate, { serviceAccountName: 'cred-sa' });
    assert.deepEqual(inV1.workspaces, bound);
    const inV1beta1 = objectOf(built(trigger, git(), { ...V1BETA1, credential }).spec);
    assert.equal(inV1beta1.serviceAccountName, 'cred-sa');
    assert.deepEqual(inV1beta1.workspaces, bound);
  });

  it('trigger 42: it may give either of them', () => {
    const account = objectOf(built(trigger, git(), { ...V1, credential: { serviceAccountName: 'x' } }).spec);
    assert.deepEqual([account.taskRunTemplate, account.workspaces], [{ serviceAccountName: 'x' }, bound.slice(0, 1)]);
    const secret = objectOf(built(shapeB(B), git(), { ...V1, credential: { secretName: 'cred-secret' } }).spec);
    assert.deepEqual([secret.taskRunTemplate, secret.workspaces], [undefined, bound.slice(1)]);
  });

  it('trigger 42: triggers with spec.pipeline get it too', () => {
    const { workspaces: found } = objectOf(built(triggerOf(A), git(), { ...V1, credential }).spec);
    assert.deepEqual(
      (found as readonly JsonObject[]).map(({ name }) => name),
      ['work', 'cred-secret'],
    );
  });

  it('a workspace that the template binds by that name is left to it', () => {
    const own = shapeB(`${B}\n    workspaces: [{name: cred-secret, emptyDir: {}}]`);
    const { workspaces: found } = objectOf(built(own, git(), { ...V1, credential }).spec);
    assert.deepEqual(found, [{ name: 'cred-secret', emptyDir: {} }]);
  });

  it('workspaces that are no list are refused by name', () => {
    assert.match(refusal(shapeB(`${B}\n    workspaces: x`), git(), { ...V1, credential }), /workspaces .* is no list/);
  });
});

describe('names and labels of runs', () => {
  it('a request that asked for it finds it by the label that Tekton Triggers gives runs', () => {
    const ofRequest = (eventId?: string) => {
      const { metadata } = built(shapeB(B), git(), { ...V1, ...present({ eventId }) });
      return objectOf(objectOf(metadata).labels);
    };
    const without = ofRequest();
    assert.equal(without['triggers.tekton.dev/triggers-eventid'], undefined);
    assert.deepEqual(ofRequest('key-1'), { ...without, 'triggers.tekton.dev/triggers-eventid': 'key-1' });
  });

  it('the same intent gives the same name, any other another', () => {
    for (const trigger of [triggerOf(A), shapeB(B)]) {
      const name = (intent: Intent) => runName(trigger, git(), intent);
      assert.equal(name(FIRST), name({ ...FIRST }));
      const others = [
        { ...FIRST, sequence: 2 },
        { ...FIRST, attempt: 1 },
        { ...FIRST, salt: 1 },
      ];
      assert.equal(new Set([FIRST, ...others].map(name)).size, 4);
    }
  });

  it('the salt does not change the event key', () => {
    const keys = [0, 1].map(
      (salt) =>
        metaOf(built(triggerOf(A), git(), V1, { ...FIRST, salt })).annotations['pipeline.jquad.rocks/event-key'],
    );
    assert.equal(keys[0], keys[1]);
  });

  it('event keys of different attempts, events and triggers differ', () => {
    const keys = [
      eventKey('u', 1, 0),
      eventKey('u', 1, 1),
      eventKey('u', 2, 0),
      eventKey('v', 1, 0),
      eventKey('u', 11, 0),
    ];
    assert.equal(new Set(keys).size, keys.length);
  });

  it('trigger 28: long trigger names give short run names and labels', () => {
    for (const size of [63, 100, 253]) {
      const trigger = triggerOf(A, `${'a'.repeat(size - 2)}.b`);
      const { name, labels, annotations } = metaOf(built(trigger));
      assert.ok(name.length <= 63 && DNS.test(name), name);
      const label = labels['pipeline.jquad.rocks/pipelinetrigger'] ?? '';
      assert.ok(label.length <= 63 && LABEL.test(label), label);
      assert.equal(label, labelValue(trigger.meta.name));
      assert.equal(annotations['pipeline.jquad.rocks/pipelinetrigger'], trigger.meta.name);
    }
  });

  it('trigger 6: any branch gives valid labels and keeps its exact name', () => {
    const branch = 'feature/Login_ü@2';
    for (const revision of [`${branch}@sha1:${SHA}`, `${branch}/${SHA}`]) {
      for (const trigger of [
        triggerOf(A),
        shapeB(B.replace('$.commitId', '$.branchName').replace('generateName: app-, ', '')),
      ]) {
        const run = built(trigger, git(revision));
        const { name, labels, annotations } = metaOf(run);
        assert.ok(DNS.test(name), name);
        assert.ok(Object.values(labels).includes('feature-Login_--2'));
        assert.equal(annotations['pipeline.jquad.rocks/branch'], branch);
        const [param] = objectOf(run.spec).params as readonly JsonObject[];
        assert.equal(param?.value, branch);
      }
    }
  });

  const labelTable: [text: string, want: string][] = [
    ['main', 'main'],
    ['feature/x', 'feature-x'],
    ['_1.0-', '1.0'],
    ['a b\u{1F600}c', 'a-b-c'],
    ['ü', ''],
    ['', ''],
  ];
  for (const [text, want] of labelTable) {
    it(`the label of ${JSON.stringify(text)} is ${JSON.stringify(want)}`, () => assert.equal(labelValue(text), want));
  }

  it('long label values that begin alike differ', () => {
    const [one, other] = [labelValue(`${'a'.repeat(80)}1`), labelValue(`${'a'.repeat(80)}2`)];
    assert.equal(one.length, 63);
    assert.match(one, /^a{54}-[0-9a-f]{8}$/);
    assert.notEqual(one, other);
  });

  const anyText = fc.string({ unit: 'binary', maxLength: 120 });
  const anyEvent = fc.oneof(
    anyText.map((branch) => git(`${branch}@sha1:${SHA}`)),
    anyText.filter((text) => text !== '').map((name) => pull(name)),
    anyText.filter((text) => text !== '').map((text) => image(text)),
  );
  const anyTriggerName = fc.stringMatching(
    /^[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,60}[a-z0-9])?){0,3}$/,
  );
  const templates = fc.oneof(
    fc.constant({ pipeline: { name: 'build' } }),
    fc.constant({ pipelineRunSpec: {} }),
    anyText.map((generateName) => ({
      pipelineRun: { apiVersion: 'tekton.dev/v1', kind: 'PipelineRun', metadata: { generateName }, spec: {} },
    })),
  );

  it('whatever the branch, image, prefix or trigger is called, names and labels are valid', () => {
    fc.assert(
      fc.property(templates, anyEvent, anyTriggerName, fc.nat(), (template, event, triggerName, sequence) => {
        const trigger = triggerOf({ source: { kind: 'GitRepository', name: 'app' }, ...template }, triggerName);
        const { name, labels } = metaOf(built(trigger, event, V1, { sequence, attempt: 0, salt: 0 }));
        assert.ok(name.length <= 63 && DNS.test(name), name);
        for (const value of Object.values(labels)) assert.ok(value.length <= 63 && LABEL.test(value), value);
      }),
      { numRuns: 500 },
    );
  });

  it('whatever a template holds, it is built or refused with a Fault, and stays as it was', () => {
    const field = fc.constantFrom(
      'metadata',
      'name',
      'generateName',
      'labels',
      'annotations',
      'ownerReferences',
      'spec',
      'params',
      'value',
      'workspaces',
      'taskRunSpecs',
      'taskRunTemplate',
      'timeouts',
      'timeout',
      'podTemplate',
      'serviceAccountName',
      '__proto__',
    );
    const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom<unknown>(null, true, 1, '', '$.branchName', '$.nope', '$[', 'x'),
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(field, tie('tree'), { maxKeys: 5 }),
      ),
    }));
    const template = fc
      .dictionary(field, tree)
      .map((rest) => ({ ...rest, apiVersion: 'tekton.dev/v1', kind: 'PipelineRun' }));
    const ground = fc.record({
      tektonV1: fc.boolean(),
      credential: fc.constant({ serviceAccountName: 'a', secretName: 'b' }),
    });
    fc.assert(
      fc.property(template, anyEvent, ground, (pipelineRun, event, given) => {
        const trigger = triggerOf({
          source: { kind: 'GitRepository', name: 'app' },
          pipelineRun: pipelineRun as JsonObject,
        });
        const before = JSON.stringify(trigger);
        try {
          const run = built(trigger, event, given);
          assert.deepEqual(built(trigger, event, given), run);
          assert.equal(objectOf(run.metadata).namespace, 'ci');
        } catch (error) {
          assert.ok(error instanceof Fault && error.code === 'bad-request', String(error));
        }
        assert.equal(JSON.stringify(trigger), before);
      }),
      { numRuns: 500 },
    );
  });

  it('a template nested without end is refused', () => {
    const deep = Array.from({ length: 5_000 }).reduce<JsonObject>((inner) => ({ inner }), {});
    const trigger = triggerOf({
      source: { kind: 'GitRepository', name: 'app' },
      pipelineRun: { apiVersion: 'tekton.dev/v1', kind: 'PipelineRun', spec: deep },
    });
    assert.match(refusal(trigger), /^spec\.pipelineRun\.spec is nested deeper than 100 levels$/);
  });

  it('a prefix as long as an object is cut in no time', () => {
    const { name } = metaOf(built(shapeB(B.replace('app-', `a${'-'.repeat(1_000_000)}.b`))));
    assert.match(name, /^a-{57}[a-z0-9]{5}$/);
  });

  it('runs share nothing with their template', () => {
    const trigger = shapeB(B);
    const [one, other] = [built(trigger), built(trigger)];
    assert.notEqual(objectOf(one.spec).pipelineRef, objectOf(other.spec).pipelineRef);
  });
});

describe('a run that the original created and did not write down', () => {
  const at = (minute: number) => `2026-11-01T10:0${minute}:00Z`;
  const run = (name: string, created: string, labels: Readonly<Record<string, string>>, isOurs = false) =>
    projectPipelineRun({
      metadata: {
        ...{ name, namespace: 'ci', creationTimestamp: created },
        labels: Object.fromEntries(
          Object.entries(labels).map(([key, value]) => [`pipeline.jquad.rocks/${key}`, value]),
        ),
        annotations: isOurs ? { [EVENT_KEY_ANNOTATION]: 'u-1-0' } : {},
      },
    });
  const main = { 'git.repository.branch.name': 'main', 'git.repository.branch.commit': SHA };
  const before = { ...main, 'git.repository.branch.commit': 'f'.repeat(40) };
  const table: readonly {
    readonly name: string;
    readonly runs: readonly ReturnType<typeof run>[];
    readonly want: string | undefined;
  }[] = [
    { name: 'no run at all', runs: [], want: undefined },
    { name: 'the newest one', runs: [run('a', at(1), before), run('b', at(2), main)], want: 'b' },
    {
      name: 'one behind which there is another',
      runs: [run('a', at(1), main), run('b', at(2), before)],
      want: undefined,
    },
    {
      name: 'one of the same second as another',
      runs: [run('a', at(1), main), run('b', at(1), before)],
      want: undefined,
    },
    { name: 'one of ours', runs: [run('a', at(1), main, true)], want: undefined },
    {
      name: 'one behind which there is one of ours',
      runs: [run('a', at(1), main), run('b', at(2), before, true)],
      want: undefined,
    },
    { name: 'one of another commit', runs: [run('a', at(1), before)], want: undefined },
    { name: 'one without labels', runs: [run('a', at(1), {})], want: undefined },
    {
      name: 'one beside a newer one of another branch',
      runs: [run('a', at(1), main), run('b', at(2), { ...before, 'git.repository.branch.name': 'next' })],
      want: 'a',
    },
  ];
  for (const { name, runs, want } of table) {
    it(`trigger 44: ${name}`, () => assert.equal(unrecordedRun(shapeB(B), git(), runs)?.meta.name, want));
  }

  it('trigger 44: by the labels of the first releases, of pull requests and of images', () => {
    const first = run('a', at(1), { branch: 'main', commit: SHA });
    assert.equal(unrecordedRun(triggerOf(A), git(), [first])?.meta.name, 'a');
    const branch = run('b', at(1), { 'pr.branch.name': 'fix', 'pr.branch.commit': SHA });
    const other = run('c', at(2), { 'pr.branch.name': 'other', 'pr.branch.commit': SHA });
    assert.equal(unrecordedRun(shapeB(B, 'PullRequest'), pull('fix'), [branch, other])?.meta.name, 'b');
    const event = image('example/app:1.2.3');
    const chosen = shapeB(B.replace('$.commitId', '1'), 'ImagePolicy');
    const { labels } = metaOf(built(chosen, event));
    const own = projectPipelineRun({ metadata: { name: 'd', namespace: 'ci', creationTimestamp: at(1), labels } });
    assert.equal(unrecordedRun(chosen, event, [own])?.meta.name, 'd');
  });

  it('is never taken for that of a failure', () => {
    const failed = { ...git(), identity: 'failure main' };
    assert.equal(unrecordedRun(shapeB(B), failed, [run('a', at(1), main)]), undefined);
  });
});
