import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Fault } from '../../fault.ts';
import { type Json, type JsonObject, objectOf } from '../../kube/objects.ts';
import type { ListenerPolicy } from './policy.ts';
import { type Dollars, type RunTemplate, readTemplate, renderRun, toV1 } from './template.ts';

const policy: ListenerPolicy = { sourceNamespaces: [], runNamespaces: [], taskRuns: false };

function mistakesIn(manifest: Json, allowed: Partial<ListenerPolicy> = {}): readonly string[] {
  const mistakes: string[] = [];
  const ground = { field: 'resourcetemplates[0]', listenerNamespace: 'apps', triggerNamespace: 'apps' };
  const template = readTemplate(manifest, { ...ground, policy: { ...policy, ...allowed } }, mistakes);
  assert.equal(template === undefined, mistakes.length > 0);
  return mistakes;
}

function templateOf(manifest: JsonObject): RunTemplate {
  const mistakes: string[] = [];
  const ground = { field: 'resourcetemplates[0]', listenerNamespace: 'apps', triggerNamespace: 'apps', policy };
  const template = readTemplate({ apiVersion: 'tekton.dev/v1', kind: 'PipelineRun', ...manifest }, ground, mistakes);
  assert.deepEqual(mistakes, []);
  return template as RunTemplate;
}

const uid = '7faccb4d-ee03-8135-896d-67ce5a04dd93';

function rendered(
  manifest: JsonObject,
  params: Readonly<Record<string, string>>,
  dollars: Dollars = 'escape',
): JsonObject {
  return renderRun(templateOf(manifest), { params: new Map(Object.entries(params)), uid, dollars }).manifest;
}

/** What comes of one string. */
function filled(text: string, params: Readonly<Record<string, string>>, dollars: Dollars = 'escape'): Json | undefined {
  return objectOf(rendered({ spec: { value: text } }, params, dollars).spec).value;
}

const run = { apiVersion: 'tekton.dev/v1', kind: 'PipelineRun' };

describe('templates that are not taken', () => {
  const cases: readonly { name: string; manifest: Json; want: RegExp; policy?: Partial<ListenerPolicy> }[] = [
    { name: 'event 33: a Secret', manifest: { apiVersion: 'v1', kind: 'Secret' }, want: /apiVersion must be/ },
    {
      name: 'event 33: another kind of Tekton',
      manifest: { ...run, kind: 'Pipeline' },
      want: /kind must be PipelineRun, as/,
    },
    {
      name: 'event 33: a TaskRun where none is allowed',
      manifest: { ...run, kind: 'TaskRun' },
      want: /kind must be PipelineRun, as/,
    },
    { name: 'event 33: a kind from the event', manifest: { ...run, kind: '$(tt.params.kind)' }, want: /kind must be/ },
    {
      name: 'event 33: a version from the event',
      manifest: { ...run, apiVersion: 'tekton.dev/$(tt.params.v)' },
      want: /apiVersion must be/,
    },
    {
      name: 'event 33: a namespace from the event',
      manifest: { ...run, metadata: { namespace: '$(tt.params.namespace)' } },
      want: /metadata.namespace must be a name without variables; leave it out for apps/,
    },
    {
      name: 'another namespace',
      manifest: { ...run, metadata: { namespace: 'other' } },
      want: /no policy lets this listener create elsewhere/,
    },
    {
      name: 'another namespace, which others may use',
      manifest: { ...run, metadata: { namespace: 'other' } },
      policy: { runNamespaces: ['web/other'] },
      want: /no policy lets/,
    },
    {
      name: 'the name of a field from the event, where fields mean something',
      manifest: { ...run, metadata: { '$(tt.params.field)': 'x' } },
      want: /variable in the name of a field/,
    },
    {
      name: 'the name of a field of its own from the event',
      manifest: { ...run, '$(uid)': 1 },
      want: /variable in the name of a field/,
    },
    { name: 'what is no object', manifest: 'PipelineRun', want: /apiVersion must be/ },
    { name: 'metadata that is no object', manifest: { ...run, metadata: [] }, want: /metadata is no object/ },
    {
      name: 'labels that are no object',
      manifest: { ...run, metadata: { labels: 'x' } },
      want: /metadata.labels is no object/,
    },
    { name: 'a name that is no text', manifest: { ...run, metadata: { name: 7 } }, want: /metadata.name is no text/ },
    {
      name: 'a namespace that is no text',
      manifest: { ...run, metadata: { namespace: 7 } },
      want: /metadata.namespace must be/,
    },
    { name: 'one without end', manifest: { ...run, spec: nested(200) }, want: /nested deeper than 100 levels/ },
  ];
  for (const { name, manifest, want, policy: allowed } of cases) {
    it(name, () => assert.match(mistakesIn(manifest, allowed).join('; '), want));
  }
});

describe('templates that are taken', () => {
  const cases: readonly { name: string; manifest: Json; policy?: Partial<ListenerPolicy> }[] = [
    { name: 'a PipelineRun', manifest: run },
    { name: 'one of v1beta1', manifest: { ...run, apiVersion: 'tekton.dev/v1beta1' } },
    { name: 'one with its own namespace', manifest: { ...run, metadata: { namespace: 'apps' } } },
    {
      name: 'one with fields that are there and empty',
      manifest: { ...run, metadata: { annotations: null, labels: null, namespace: null } },
    },
    { name: 'a TaskRun where they are allowed', manifest: { ...run, kind: 'TaskRun' }, policy: { taskRuns: true } },
    {
      name: 'another namespace that the policy names',
      manifest: { ...run, metadata: { namespace: 'other' } },
      policy: { runNamespaces: ['apps/other'] },
    },
    {
      name: 'another namespace that all may use',
      manifest: { ...run, metadata: { namespace: 'other' } },
      policy: { runNamespaces: ['other'] },
    },
  ];
  for (const { name, manifest, policy: allowed } of cases)
    it(name, () => assert.deepEqual(mistakesIn(manifest, allowed), []));

  it('say which parameters they use, those in names of fields too', () => {
    const template = templateOf({
      spec: { a: '$(tt.params.one) $(tt.params.two-x.y)', '$(tt.params.three)': ['$(uid)'] },
    });
    assert.deepEqual([...template.params].sort(), ['one', 'three', 'two-x.y']);
  });
});

describe('what is put into a template', () => {
  const cases: readonly [text: string, params: Readonly<Record<string, string>>, want: string][] = [
    ['no variable', {}, 'no variable'],
    ['$(tt.params.a)', { a: 'x' }, 'x'],
    ['$(tt.params.a)$(tt.params.a) and $(tt.params.b)', { a: 'x', b: '' }, 'xx and '],
    ['run-$(uid)', {}, `run-${uid}`],
    // Variables of Tekton's own stay, and so does what only looks like one of ours.
    [
      '$(params.a) $(context.pipelineRun.name) $(tt.params) $(tt.params.1)',
      {},
      '$(params.a) $(context.pipelineRun.name) $(tt.params) $(tt.params.1)',
    ],
    ['$(tt.params.a)', { a: 'x"}],"kind":"Secret' }, 'x"}],"kind":"Secret'],
    ['$(tt.params.a)', { a: 'one\ntwo\\n' }, 'one\ntwo\\n'],
    ['$(tt.params.a)', { a: '{"object":[1]}' }, '{"object":[1]}'],
    ['$(tt.params.a)', { a: '$(tt.params.b)', b: 'secret' }, '$$(tt.params.b)'],
    ['$(tt.params.a)', { a: '$(uid)' }, '$$(uid)'],
    ['$(tt.params.a)', { a: '$& $1 $$' }, '$& $1 $$'],
    // Two halves make no whole: neither of two values, nor of a value and what stands beside it.
    ['$(tt.params.a)$(tt.params.b)', { a: '$', b: '(params.x)' }, '$$(params.x)'],
    ['$$(tt.params.a)', { a: '(params.x)' }, '$$(params.x)'],
    ['$(tt.params.a)(params.x)', { a: '$' }, '$$(params.x)'],
    ['$(tt.params.a)$(tt.params.b)(x)', { a: '$', b: '' }, '$$(x)'],
  ];
  for (const [text, params, want] of cases) {
    it(`event 32: ${text} with ${JSON.stringify(params)}`, () => assert.equal(filled(text, params), want));
  }

  it('event 32: can be rejected where it holds a variable of Tekton, or would come to hold one', () => {
    for (const params of [
      { a: '$(params.x)', b: '' },
      { a: '$', b: '(params.x)' },
    ]) {
      assert.throws(() => filled('$(tt.params.a)$(tt.params.b)', params, 'reject'), /holds \$\(/);
    }
    assert.equal(filled('$(tt.params.a)', { a: 'a $ and a (' }, 'reject'), 'a $ and a (');
  });

  it('event 32: goes into names of fields as well, and never makes one of two', () => {
    assert.deepEqual(rendered({ spec: { 'x-$(tt.params.a)': 1 } }, { a: 'y' }).spec, { 'x-y': 1 });
    assert.throws(() => rendered({ spec: { '$(tt.params.a)': 1, b: 2 } }, { a: 'b' }), /the same name/);
    const { spec } = rendered({ spec: { '$(tt.params.a)': 1 } }, { a: '__proto__' });
    assert.deepEqual(Object.keys(objectOf(spec)), ['__proto__']);
  });

  it('is at most so much', () => {
    const text = '$(tt.params.a)'.repeat(10);
    assert.throws(() => filled(text, { a: 'x'.repeat(500_000) }), /2 MiB/);
  });

  it('leaves a parameter without a value out of nothing: there is no run then', () => {
    assert.throws(() => filled('$(tt.params.a)', {}), /\$\(tt\.params\.a\), which has no value/);
  });

  it('gives names apart, and maps for labels and annotations whatever was there', () => {
    const template = templateOf({
      metadata: {
        name: 'run-$(uid)',
        generateName: 'g-',
        namespace: 'apps',
        annotations: null,
        labels: { a: '$(tt.params.a)' },
      },
    });
    const run = renderRun(template, { params: new Map([['a', 'x']]), uid, dollars: 'escape' });
    assert.deepEqual(run, {
      name: `run-${uid}`,
      generateName: 'g-',
      namedByUid: true,
      manifest: { apiVersion: 'tekton.dev/v1', kind: 'PipelineRun', metadata: { labels: { a: 'x' }, annotations: {} } },
    });
  });

  it('event 32: changes no structure, whatever it is', () => {
    const hostile = fc.constantFrom('$(tt.params.a)', '$(tt.params.b)', '$(uid)', '$(params.x)', '$', '(', '"', '\n');
    const piece = fc.constantFrom('$(tt.params.a)', '$(tt.params.b)(', '$(uid)', 'x(', '$', '"', '\n');
    const textOf = (pieces: fc.Arbitrary<string>) => fc.array(pieces).map((all) => all.join(''));
    const text = textOf(piece);
    const leaf = fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null));
    const { tree } = fc.letrec<{ tree: Json }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        leaf,
        fc.array(tie('tree'), { maxLength: 4 }),
        fc.dictionary(fc.stringMatching(/^[a-z]*$/), tie('tree'), { maxKeys: 4 }),
      ),
    }));
    const value = fc.oneof(fc.string({ unit: 'binary' }), textOf(hostile));
    fc.assert(
      fc.property(tree, value, value, (spec, a, b) => {
        const before = { spec: { tree: spec } };
        const after = rendered(before, { a, b });
        assert.deepEqual(shapeOf(after.spec), shapeOf(before.spec));
        // No variable is left or has come to be: the template has none of Tekton's own.
        assert.doesNotMatch(JSON.stringify(after.spec), /(?<!\$)\$\(/);
      }),
    );
  });
});

/** A value with every text that is not a name of a field taken out. */
function shapeOf(json: Json | undefined): Json {
  if (typeof json === 'string') return 'text';
  if (Array.isArray(json)) return json.map((item: Json) => shapeOf(item));
  if (typeof json !== 'object' || json === null) return json ?? null;
  return Object.fromEntries(Object.entries(json).map(([key, value]) => [key, shapeOf(value)]));
}

function nested(levels: number): Json {
  let value: Json = 'x';
  for (let level = 0; level < levels; level++) value = [value];
  return value;
}

describe('v1beta1 where only v1 is served', () => {
  it('moves what has another place in a PipelineRun', () => {
    const spec = {
      pipelineRef: { name: 'p' },
      serviceAccountName: 'sa',
      podTemplate: { hostNetwork: false },
      timeout: '1h',
    };
    assert.deepEqual(toV1({ apiVersion: 'tekton.dev/v1beta1', kind: 'PipelineRun', metadata: { name: 'r' }, spec }), {
      apiVersion: 'tekton.dev/v1',
      kind: 'PipelineRun',
      metadata: { name: 'r' },
      spec: {
        pipelineRef: { name: 'p' },
        taskRunTemplate: { serviceAccountName: 'sa', podTemplate: { hostNetwork: false } },
        timeouts: { pipeline: '1h' },
      },
    });
  });

  it('leaves what is the same, and a TaskRun, as it is', () => {
    const spec = { serviceAccountName: 'sa', timeout: '1h', params: [{ name: 'a', value: 'b' }] };
    const { spec: after, apiVersion } = toV1({ apiVersion: 'tekton.dev/v1beta1', kind: 'TaskRun', spec });
    assert.deepEqual([apiVersion, after], ['tekton.dev/v1', spec]);
    const v1 = { apiVersion: 'tekton.dev/v1', kind: 'PipelineRun', spec: { resources: [] } };
    assert.equal(toV1(v1), v1);
  });

  const refused: readonly [spec: JsonObject, want: string][] = [
    [{ resources: [] }, 'spec.resources'],
    [{ pipelineRef: { name: 'p', bundle: 'b' } }, 'spec.pipelineRef.bundle'],
    [{ taskRunSpecs: [{}, { taskServiceAccountName: 'sa' }] }, 'spec.taskRunSpecs[1].taskServiceAccountName'],
    [{ pipelineSpec: { finally: [{ taskRef: { bundle: 'b' } }] } }, 'spec.pipelineSpec.finally[0].taskRef.bundle'],
    [
      { pipelineSpec: { tasks: [{ taskSpec: { steps: [{ resources: {} }] } }] } },
      'spec.pipelineSpec.tasks[0].taskSpec.steps[0].resources',
    ],
    [{ timeout: '1h', timeouts: { tasks: '1h' } }, 'spec.timeout and spec.timeouts'],
  ];
  for (const [spec, want] of refused) {
    it(`does not guess at ${want}`, () => {
      const convert = () => toV1({ apiVersion: 'tekton.dev/v1beta1', kind: 'PipelineRun', spec });
      assert.throws(
        convert,
        (error) => error instanceof Fault && error.code === 'bad-request' && error.message.startsWith(want),
      );
    });
  }
});
