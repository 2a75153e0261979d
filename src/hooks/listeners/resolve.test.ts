import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { ListenerStage, type StageWish } from '../../../test/support/listener-stage.ts';
import { listenerKindOf, projectListenerObject } from './manifests.ts';
import type { ListenerTrigger, ReadyTrigger } from './resolve.ts';

const template = `
apiVersion: triggers.tekton.dev/v1beta1
kind: TriggerTemplate
metadata: {name: template}
spec:
  params: [{name: rev}]
  resourcetemplates:
    - {apiVersion: tekton.dev/v1, kind: PipelineRun, metadata: {generateName: run-}, spec: {params: [{name: rev, value: $(tt.params.rev)}]}}
`;

const binding = `
apiVersion: triggers.tekton.dev/v1beta1
kind: TriggerBinding
metadata: {name: binding}
spec: {params: [{name: rev, value: $(body.metadata.revision)}]}
`;

const good = '{name: good, bindings: [{ref: binding}], template: {ref: template}}';

/** A listener with this `spec`, beside the objects above and `others`. */
function resolved(spec: string, others: readonly string[] = [], wish: StageWish = {}, metadata = '{name: build}') {
  const listener = `{apiVersion: triggers.tekton.dev/v1beta1, kind: EventListener, metadata: ${metadata}, spec: ${spec}}`;
  return new ListenerStage([listener, template, binding, ...others].join('\n---\n'), wish).listener;
}

function mistakesOf(trigger: ListenerTrigger | undefined): string {
  return trigger !== undefined && 'mistakes' in trigger ? trigger.mistakes.join('; ') : 'none';
}

function ready(trigger: ListenerTrigger | undefined): ReadyTrigger {
  assert.equal(mistakesOf(trigger), 'none');
  return trigger as ReadyTrigger;
}

function trigger(name: string, namespace = 'apps', more = ''): string {
  const spec = `{bindings: [{ref: binding}], template: {ref: template}${more}}`;
  return `{apiVersion: triggers.tekton.dev/v1beta1, kind: Trigger, metadata: {name: ${name}, namespace: ${namespace}, labels: {team: ${name}}}, spec: ${spec}}`;
}

describe('listeners as they are written', () => {
  it('event 28: in the words of 2020', () => {
    const yaml = readFileSync('test/fixtures/hooks/article.yaml', 'utf8');
    const { listener } = new ListenerStage(yaml, { namespace: 'default' });
    const [only] = listener.triggers;
    const { name, id, serviceAccount, interceptors, bindings, templates } = ready(only);
    assert.deepEqual(
      [name, id, serviceAccount],
      ['flux-notification-trigger', 'flux-event-listener/flux-notification-trigger', 'flux-notifications-sa'],
    );
    assert.deepEqual(
      interceptors.map(({ is }) => is),
      ['cel'],
    );
    assert.deepEqual(
      bindings.map((each) => each.name),
      ['message', 'repository', 'namespace'],
    );
    assert.deepEqual(
      templates.map(({ apiVersion, kind, namespace }) => [apiVersion, kind, namespace]),
      [['tekton.dev/v1beta1', 'PipelineRun', 'default']],
    );
  });

  const words: readonly { name: string; spec: string }[] = [
    { name: 'ref and spec', spec: `{triggers: [${good}]}` },
    {
      name: 'template.name',
      spec: '{triggers: [{name: good, bindings: [{ref: binding}], template: {name: template}}]}',
    },
    {
      name: 'a binding that is only a name',
      spec: '{triggers: [{name: good, bindings: [{name: binding}], template: {ref: template}}]}',
    },
    {
      name: 'a binding with its kind',
      spec: '{triggers: [{name: good, bindings: [{ref: binding, kind: TriggerBinding}], template: {ref: template}}]}',
    },
    {
      name: 'a parameter in its place',
      spec: '{triggers: [{name: good, bindings: [{name: rev, value: $(body.metadata.revision)}], template: {ref: template}}]}',
    },
    {
      name: 'maps and lists that are there and empty',
      spec: '{triggers: [{name: good, interceptors: null, bindings: [{ref: binding, value: null}], template: {ref: template, spec: null}}], namespaceSelector: null, labelSelector: null}',
    },
    {
      name: 'a template in its place, whose list has a large letter',
      spec: '{triggers: [{name: good, bindings: [{ref: binding}], template: {spec: {params: [{name: rev}], resourceTemplates: [{apiVersion: tekton.dev/v1, kind: PipelineRun, metadata: {generateName: run-}, spec: {params: [{name: rev, value: $(tt.params.rev)}]}}]}}}]}',
    },
  ];
  for (const { name, spec } of words) {
    it(`reads ${name}`, () => {
      const { bindings, templates } = ready(resolved(spec).triggers[0]);
      assert.deepEqual(
        bindings.map((each) => each.name),
        ['rev'],
      );
      assert.deepEqual(
        templates.map(({ params }) => [...params]),
        [['rev']],
      );
    });
  }

  it('takes ClusterTriggerBindings, and Triggers by reference', () => {
    const cluster =
      '{apiVersion: triggers.tekton.dev/v1alpha1, kind: ClusterTriggerBinding, metadata: {name: all}, spec: {params: [{name: extra, value: x}]}}';
    const spec =
      '{triggers: [{name: one, bindings: [{ref: binding}, {ref: all, kind: ClusterTriggerBinding}], template: {ref: template}}, {triggerRef: two}]}';
    const { triggers } = resolved(spec, [cluster, trigger('two')]);
    assert.deepEqual(
      triggers.map((each) => [each.name, mistakesOf(each)]),
      [
        ['one', 'none'],
        ['two', 'none'],
      ],
    );
    assert.deepEqual(
      ready(triggers[0]).bindings.map(({ name }) => name),
      ['rev', 'extra'],
    );
  });

  it('names triggers that have no name by their place', () => {
    const { triggers } = resolved(
      '{triggers: [{bindings: [{ref: binding}], template: {ref: template}}, {bindings: [{ref: binding}], template: {ref: template}}]}',
    );
    assert.deepEqual(
      triggers.map(({ name, id }) => [name, id]),
      [
        ['trigger-1', 'build/trigger-1'],
        ['trigger-2', 'build/trigger-2'],
      ],
    );
  });

  it('takes the ServiceAccount of the trigger before that of the listener', () => {
    const { triggers } = resolved(`{serviceAccountName: listener, triggers: [${good}, {triggerRef: own}]}`, [
      trigger('own', 'apps', ', serviceAccountName: own'),
    ]);
    assert.deepEqual(
      triggers.map((each) => ready(each).serviceAccount),
      ['listener', 'own'],
    );
  });

  it('says what it does not do', () => {
    const { notes } = resolved(
      `{triggers: [${good}], triggerGroups: [{name: g}], resources: {kubernetesResource: {}}, cloudEventURI: "http://sink"}`,
    );
    assert.deepEqual(
      notes.map((note) => note.split(' ')[0]),
      ['spec.triggerGroups', 'spec.resources', 'spec.cloudEventURI'],
    );
  });

  it('reads its annotations', () => {
    const annotated = (annotations: string) =>
      resolved(`{triggers: [${good}]}`, [], {}, `{name: build, annotations: ${annotations}}`);
    const { secret, options } = annotated(
      '{rungate.dev/hook-secret: key, rungate.dev/suspend: "true", rungate.dev/allow-without-revision: "true", rungate.dev/dollar: reject, rungate.dev/on-repeat: rerun, rungate.dev/identity: content}',
    );
    assert.equal(secret, 'key');
    assert.deepEqual(options, {
      suspended: true,
      allowWithoutRevision: true,
      dollars: 'reject',
      onRepeat: 'rerun',
      identity: 'content',
    });
    const usual = annotated('null');
    assert.equal(usual.secret, undefined);
    assert.deepEqual(usual.options, {
      suspended: false,
      allowWithoutRevision: false,
      dollars: 'escape',
      onRepeat: 'skip',
      identity: 'revision',
    });
  });
});

describe('triggers that cannot run', () => {
  const cases: readonly { name: string; trigger: string; want: RegExp }[] = [
    {
      name: 'a binding that is not there',
      trigger: '{name: t, bindings: [{ref: gone}], template: {ref: template}}',
      want: /spec\.triggers\[1\]\.bindings\[0\]: there is no TriggerBinding gone/,
    },
    {
      name: 'a template that is not there',
      trigger: '{name: t, bindings: [{ref: binding}], template: {ref: gone}}',
      want: /spec\.triggers\[1\]\.template: there is no TriggerTemplate gone/,
    },
    {
      name: 'a Trigger that is not there',
      trigger: '{triggerRef: gone}',
      want: /spec\.triggers\[1\]\.triggerRef: there is no Trigger gone/,
    },
    { name: 'no template', trigger: '{name: t}', want: /spec\.triggers\[1\]\.template has neither ref nor spec/ },
    {
      name: 'a reference and more',
      trigger: '{triggerRef: gone, bindings: [{ref: binding}]}',
      want: /has triggerRef and bindings; leave out/,
    },
    {
      name: 'a name that no label has',
      trigger: '{name: "a b", bindings: [{ref: binding}], template: {ref: template}}',
      want: /spec\.triggers\[1\]\.name is no value for a label/,
    },
    {
      name: 'the name of another one',
      trigger: good,
      want: /there is another trigger called good; give each its own name/,
    },
    {
      name: 'a parameter given twice',
      trigger: '{name: t, bindings: [{ref: binding}, {name: rev, value: x}], template: {ref: template}}',
      want: /give the parameter rev twice/,
    },
    {
      name: 'a parameter that nobody gives',
      trigger: '{name: t, template: {ref: template}}',
      want: /\$\(tt\.params\.rev\), which has no default and no binding gives/,
    },
    {
      name: 'a value that is no text',
      trigger: '{name: t, bindings: [{name: rev, value: 1}], template: {ref: template}}',
      want: /bindings\[0\]\.value is no text; put it in quotes/,
    },
    {
      name: 'a path that cannot be read',
      trigger: '{name: t, bindings: [{name: rev, value: $(body..a)}], template: {ref: template}}',
      want: /the parameter rev: \$\(body\.\.a\) has `\.\.`/,
    },
    {
      name: 'CEL that cannot be read',
      trigger:
        '{name: t, interceptors: [{cel: {filter: "body. =="}}], bindings: [{ref: binding}], template: {ref: template}}',
      want: /spec\.triggers\[1\]\.interceptors\[0\]: filter: /,
    },
    {
      name: 'an interceptor that is not supported',
      trigger: '{name: t, interceptors: [{webhook: {}}], bindings: [{ref: binding}], template: {ref: template}}',
      want: /interceptors\[0\]: the interceptor "webhook" is not supported/,
    },
    {
      name: 'a binding of no kind',
      trigger: '{name: t, bindings: [{ref: binding, kind: Binding}], template: {ref: template}}',
      want: /bindings\[0\]\.kind must be/,
    },
    {
      name: 'event 33: a template for a Secret',
      trigger: '{name: t, template: {spec: {resourcetemplates: [{apiVersion: v1, kind: Secret}]}}}',
      want: /spec\.triggers\[1\]\.template\.spec\.resourcetemplates\[0\]\.kind must be PipelineRun/,
    },
    {
      name: 'a parameter that is not declared',
      trigger:
        '{name: t, template: {spec: {resourcetemplates: [{apiVersion: tekton.dev/v1, kind: PipelineRun, spec: {x: $(tt.params.y)}}]}}}',
      want: /\$\(tt\.params\.y\), which its params do not declare/,
    },
    {
      name: 'a template of nothing',
      trigger: '{name: t, template: {spec: {resourcetemplates: []}}}',
      want: /resourcetemplates is empty/,
    },
    {
      name: 'a default that is no text',
      trigger:
        '{name: t, template: {spec: {params: [{name: a, default: 1}], resourcetemplates: [{apiVersion: tekton.dev/v1, kind: PipelineRun}]}}}',
      want: /params\[0\]\.default is no text/,
    },
  ];
  for (const { name, trigger: broken, want } of cases) {
    it(`stop nobody else: ${name}`, () => {
      const { triggers } = resolved(`{triggers: [${good}, ${broken}]}`);
      assert.equal(mistakesOf(triggers[0]), 'none');
      assert.match(mistakesOf(triggers[1]), want);
    });
  }

  it('say which object has the mistake', () => {
    const bad =
      '{apiVersion: triggers.tekton.dev/v1beta1, kind: TriggerBinding, metadata: {name: bad}, spec: {params: [{name: rev, value: [1]}]}}';
    const { triggers } = resolved('{triggers: [{name: t, bindings: [{ref: bad}], template: {ref: template}}]}', [bad]);
    assert.match(mistakesOf(triggers[0]), /^TriggerBinding bad: spec\.params\[0\]\.value is no text; put it in quotes/);
  });
});

describe('Triggers that a listener selects', () => {
  const there = [trigger('one'), trigger('two'), trigger('far', 'other', ', serviceAccountName: far')];
  const far = [template, binding].map((yaml) =>
    yaml.replace('metadata: {name: ', 'metadata: {namespace: other, name: '),
  );
  const namesFor = (spec: string, wish: StageWish = {}) => resolved(spec, [...there, ...far], wish);
  const cases: readonly { name: string; spec: string; runNamespaces?: readonly string[]; want: readonly string[] }[] = [
    { name: 'none without a selector', spec: `{triggers: [${good}]}`, want: ['good'] },
    {
      name: 'behind those it has itself, once each',
      spec: `{triggers: [${good}, {triggerRef: two}], labelSelector: {}}`,
      want: ['good', 'two', 'one'],
    },
    { name: 'by labels', spec: '{labelSelector: {matchLabels: {team: two}}}', want: ['two'] },
    {
      name: 'by expressions',
      spec: '{labelSelector: {matchExpressions: [{key: team, operator: In, values: [one, three]}]}}',
      want: ['one'],
    },
    {
      name: 'by what they are not',
      spec: '{labelSelector: {matchExpressions: [{key: team, operator: NotIn, values: [one]}, {key: x, operator: DoesNotExist}]}}',
      want: ['two'],
    },
    {
      name: 'by an operator that does not exist',
      spec: '{labelSelector: {matchExpressions: [{key: team, operator: Like, values: [one]}]}}',
      want: [],
    },
    { name: 'of its own namespace', spec: '{namespaceSelector: {matchNames: [apps]}}', want: ['one', 'two'] },
    {
      name: 'of other namespaces not without a policy',
      spec: '{namespaceSelector: {matchNames: [apps, other]}}',
      want: ['one', 'two'],
    },
    {
      name: 'of other namespaces with one',
      spec: '{namespaceSelector: {matchNames: [other]}}',
      runNamespaces: ['apps/other'],
      want: ['other/far'],
    },
    {
      name: 'of all that it may',
      spec: "{namespaceSelector: {matchNames: ['*']}}",
      runNamespaces: ['other'],
      want: ['one', 'two', 'other/far'],
    },
    {
      name: 'of all that it may, which may be only its own',
      spec: "{namespaceSelector: {matchNames: ['*']}}",
      want: ['one', 'two'],
    },
  ];
  for (const { name, spec, runNamespaces = [], want } of cases) {
    it(name, () => {
      const { triggers } = namesFor(spec, { policy: { runNamespaces } });
      assert.deepEqual(
        triggers.map((each) => each.name),
        want,
      );
      assert.deepEqual(
        triggers.map(mistakesOf).filter((mistakes) => mistakes !== 'none'),
        [],
      );
    });
  }

  it('says which namespaces it may not use', () => {
    const { notes } = namesFor('{namespaceSelector: {matchNames: [apps, other]}}');
    assert.deepEqual(notes, ['spec.namespaceSelector: no policy lets this listener use the triggers of other']);
  });

  it('creates for another namespace as that namespace says, or not at all', () => {
    const nobody = trigger('nobody', 'other');
    const wish = { policy: { runNamespaces: ['other'] } };
    const { triggers } = resolved(
      '{serviceAccountName: listener, namespaceSelector: {matchNames: [other]}}',
      [...there, ...far, nobody],
      wish,
    );
    assert.equal(ready(triggers[0]).serviceAccount, 'far');
    assert.deepEqual(
      ready(triggers[0]).templates.map(({ namespace }) => namespace),
      ['other'],
    );
    assert.equal(ready(triggers[0]).id, 'apps/build/far');
    assert.match(mistakesOf(triggers[1]), /Trigger other\/nobody: spec\.serviceAccountName is missing/);
  });
});

describe('objects of Tekton Triggers', () => {
  it('are known by their kind in the versions that are read', () => {
    const of = (apiVersion: string, kind: string) => listenerKindOf({ apiVersion, kind });
    assert.equal(of('triggers.tekton.dev/v1alpha1', 'EventListener'), 'EventListener');
    assert.equal(of('triggers.tekton.dev/v1beta1', 'ClusterTriggerBinding'), 'ClusterTriggerBinding');
    assert.equal(of('triggers.tekton.dev/v1', 'EventListener'), undefined);
    assert.equal(of('tekton.dev/v1beta1', 'EventListener'), undefined);
    assert.equal(of('triggers.tekton.dev/v1beta1', 'toString'), undefined);
  });

  it('never throw, however they are written', () => {
    for (const kind of [
      'EventListener',
      'Trigger',
      'TriggerBinding',
      'ClusterTriggerBinding',
      'TriggerTemplate',
    ] as const) {
      for (const spec of [
        undefined,
        null,
        7,
        'x',
        [],
        {},
        { triggers: 7, params: 7 },
        { triggers: [7, null], params: [null], bindings: [7] },
      ]) {
        const object = projectListenerObject(kind, spec === undefined ? {} : { spec });
        assert.equal(object.kind, kind);
      }
    }
  });
});
