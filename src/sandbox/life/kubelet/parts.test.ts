import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HandClock } from '../../../../test/support/hand-clock.ts';
import { inContainer } from '../paths.ts';
import { createChanges } from './changes.ts';
import { expand } from './environment.ts';
import { whyUnschedulable } from './fit.ts';
import { isNop, judgeImage } from './image.ts';
import { createMemoryWatch } from './memory.ts';
import { containerPaths } from './mounts.ts';
import { type Pod, podOf } from './pod.ts';
import { findProgram, interpreterOf } from './program.ts';
import { parseTime } from './rfc3339.ts';
import { substituteStepResults } from './stepresults.ts';

describe('images', () => {
  const verdicts: readonly { readonly image: string; readonly want: RegExp | 'present' }[] = [
    { image: 'busybox', want: 'present' },
    { image: 'docker.io/library/busybox:1', want: 'present' },
    { image: 'localhost:5000/a/b@sha256:0123456789abcdef0123456789abcdef', want: 'present' },
    { image: 'tekton/nop:v1.15.0', want: 'present' },
    {
      image: 'unpullable.test/app',
      want: /^unpullable: .*"unpullable\.test\/app:latest".*Head "https:\/\/unpullable\.test\/v2\/app\/manifests\/latest": dial tcp: lookup unpullable\.test: no such host$/,
    },
    { image: 'registry.invalid/a/b:1', want: /^unpullable: .*v2\/a\/b\/manifests\/1"/ },
    {
      image: 'Bad Image!',
      want: /^invalid: Failed to apply default image tag "Bad Image!": couldn't parse image name "Bad Image!": invalid reference format: repository name \(library\/Bad Image!\) must be lowercase$/,
    },
    { image: 'a b', want: /^invalid: .*invalid reference format$/ },
  ];
  for (const { image, want } of verdicts) {
    it(`${image} is ${want === 'present' ? want : String(want).slice(2, 12)}`, () => {
      const verdict = judgeImage(image);
      if (want === 'present') assert.deepEqual(verdict, { at: 'present' });
      else assert.match('message' in verdict ? `${verdict.at}: ${verdict.message}` : verdict.at, want);
    });
  }

  it('the nop is known by its name', () => {
    assert.deepEqual(
      ['tekton/nop:v1', 'x.io/pipeline/nop-8eaf7575778fbc6@sha256:ab', 'team/nope', 'nopal/app'].map(isNop),
      [true, true, false, false],
    );
  });
});

describe('paths of a container', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'mounts-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const paths = () =>
    containerPaths(
      {
        name: 'a',
        terminationMessagePath: '/dev/termination-log',
        volumeMounts: [
          { name: 'w', mountPath: '/workspace' },
          { name: 's', mountPath: '/workspace/source/', subPath: 'one' },
          { name: 'd', mountPath: '/data.d', subPathExpr: '../$(X)' },
        ],
      },
      { root: '/own', volume: (name) => join(folder, name), expand: (text) => text.replace('$(X)', 'two') },
    );

  for (const [path, want] of [
    ['/workspace/a', 'w/a'],
    ['/workspace', 'w'],
    ['/workspace/source/a', 's/one/a'],
    ['/workspace/../data.d/x', 'd/two/x'],
  ] as const) {
    it(`${path} is ${want} of the volumes`, () => assert.equal(paths().resolve(path), join(folder, want)));
  }

  it("what is not mounted is the container's own", () =>
    assert.equal(paths().resolve('/workspaces/x'), '/own/workspaces/x'));

  it('folders may be relative, absolute or marked', () => {
    const { folder: folderOf } = paths();
    assert.deepEqual(
      ['src', '/workspace/src', `${inContainer('/workspace/source')}/src`].map((text) => folderOf(text, '/workspace')),
      ['w/src', 'w/src', 's/one/src'].map((path) => join(folder, path)),
    );
  });

  const literals: readonly (readonly [text: string, found: string | undefined])[] = [
    ['cat /workspace/source/go.mod', '/workspace/source/go.mod'],
    ['cd "/tekton/results"; ls', '/tekton/results'],
    ['X=/data.d/x:/y', '/data.d/x:/y'],
    ['echo > /dev/termination-log', '/dev/termination-log'],
    [`cat ${inContainer('/workspace/x')}/y`, undefined],
    [`cat $HOME/workspace $\{X}/workspace $(pwd)/workspace ./workspace`, undefined],
    ['cat /workspaces /tekton.yaml /data/d https://example.com/workspace', undefined],
  ];
  for (const [text, found] of literals) {
    it(`${found === undefined ? 'nothing is' : `${found} is`} written out in ${text}`, () =>
      assert.equal(paths().literalIn(text), found));
  }
});

describe('programs', () => {
  const place = { searchPath: '/usr/bin:/bin', folder: '/bin' };
  it('are found by name, by path, and by the name of a path that is not here', () => {
    for (const command of ['sh', '/bin/sh', './sh', '/opt/image/sh'])
      assert.ok('program' in findProgram(command, place), command);
    assert.deepEqual(findProgram('nosuch', place), { missing: 'executable file not found in $PATH' });
    assert.deepEqual(findProgram('/bin/nosuch', place), { missing: 'no such file or directory' });
    assert.deepEqual(findProgram('', place), { missing: 'executable file not found in $PATH' });
  });

  for (const [script, want] of [
    ['#!/bin/sh\necho', ['/bin/sh']],
    ['#! /usr/bin/env -S bash -e \n', ['/usr/bin/env', '-S bash -e']],
    ['\n#!/bin/sh', undefined],
    ['echo', undefined],
  ] as const) {
    it(`${JSON.stringify(script)} is run by ${want?.join(' ')}`, () => assert.deepEqual(interpreterOf(script), want));
  }
});

describe('variables', () => {
  const variables = new Map([
    ['A', 'one'],
    ['B', '$(A)'],
  ]);
  for (const [text, want] of [
    ['$(A)-$(B)', 'one-$(A)'],
    ['$$(A) $(C) $(A', '$(A) $(C) $(A'],
    ['$$$(A) $', '$one $'],
  ] as const) {
    it(`${text} becomes ${want}`, () => assert.equal(expand(text, variables), want));
  }
});

describe('results of earlier steps', () => {
  const results: { readonly [name: string]: string } = {
    'a.text': 'x',
    'a.list': '["p","q"]',
    'a.object': '{"k":"v"}',
  };
  const read = (step: string, name: string) => {
    const value = results[`${step}.${name}`];
    if (value === undefined) throw new Error(`no ${name}`);
    return value;
  };
  it('are put into commands, variables and when', () => {
    const given = {
      command: ['echo', '$(steps.a.results.list[*])', '<$(steps.a.results.list[1])>', '$(steps.a.results.object.k)'],
      variables: new Map([['X', 'is $(steps.a.results.text)']]),
      expressions: [{ input: '$(steps.a.results.text)', operator: 'in', values: ['$(steps.a.results.list[*])'] }],
    };
    const { command, variables, expressions } = substituteStepResults(given, read);
    assert.deepEqual(command, ['echo', 'p', 'q', '<q>', 'v']);
    assert.deepEqual([...variables], [['X', 'is x']]);
    assert.deepEqual(expressions, [{ input: 'x', operator: 'in', values: ['p', 'q'] }]);
  });
  it('a missing one, and a list within a text, are mistakes', () => {
    for (const word of ['$(steps.b.results.text)', 'a $(steps.a.results.list[*])']) {
      assert.throws(() => substituteStepResults({ command: [word], variables: new Map(), expressions: [] }, read));
    }
  });
});

describe('times', () => {
  for (const [text, want] of [
    ['2026-11-01T10:00:00Z', { ms: Date.UTC(2026, 10, 1, 10) }],
    ['2026-11-01T10:00:00.123456789+02:00', { ms: Date.UTC(2026, 10, 1, 8) + 123 }],
    [
      '2026-11-01T10:00:00',
      { error: 'parsing time "2026-11-01T10:00:00" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "Z07:00"' },
    ],
    ['2026-11-01T10:00:00Zx', { error: 'parsing time "2026-11-01T10:00:00Zx": extra text: "x"' }],
    ['2026-11-01T24:00:00Z', { error: 'parsing time "2026-11-01T24:00:00Z": hour out of range' }],
  ] as const) {
    it(`${text} is read as Go reads it`, () => assert.deepEqual(parseTime(text), want));
  }
});

describe('the scheduler', () => {
  const offer = { labels: { disk: 'ssd' }, allocatable: { cpu: '2', memory: '1Gi', pods: '3' } };
  const pod = (spec: object): Pod =>
    podOf({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', uid: 'u', resourceVersion: '1', creationTimestamp: '' },
      spec: JSON.parse(JSON.stringify({ containers: [{ name: 'a' }], ...spec })),
    });
  const asking = (cpu: string, memory = '1Mi') =>
    pod({ containers: [{ name: 'a', resources: { requests: { cpu, memory } } }] });
  const end = (why: string) => `no new claims to deallocate, preemption: 0/1 nodes are available: 1 ${why}.`;
  const [useless, victimless] = [
    end('Preemption is not helpful for scheduling'),
    end('No preemption victims found for incoming pod'),
  ];

  const cases: readonly {
    readonly name: string;
    readonly pod: Pod;
    readonly there?: readonly Pod[];
    readonly want: string | undefined;
  }[] = [
    { name: 'room', pod: asking('1500m'), there: [asking('500m')], want: undefined },
    { name: 'a label that fits', pod: pod({ nodeSelector: { disk: 'ssd' } }), want: undefined },
    {
      name: 'a label that does not',
      pod: pod({ nodeSelector: { disk: 'moon' } }),
      want: `0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. ${useless}`,
    },
    {
      name: 'more than there is',
      pod: asking('400', '900Gi'),
      want: `0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory. ${useless}`,
    },
    {
      name: 'more than is left',
      pod: asking('1500m'),
      there: [asking('501m')],
      want: `0/1 nodes are available: 1 Insufficient cpu. ${victimless}`,
    },
    {
      name: 'a greedy init container',
      pod: pod({ initContainers: [{ name: 'i', resources: { requests: { cpu: '3' } } }] }),
      want: `0/1 nodes are available: 1 Insufficient cpu. ${useless}`,
    },
    {
      name: 'too many',
      pod: asking('0'),
      there: [pod({}), pod({}), pod({})],
      want: `0/1 nodes are available: 1 Too many pods. ${victimless}`,
    },
    {
      name: 'no claim',
      pod: pod({ volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'nope' } }] }),
      want: '0/1 nodes are available: persistentvolumeclaim "nope" not found. not found',
    },
  ];
  for (const { name, pod: given, there = [], want } of cases) {
    it(`says: ${name}`, () =>
      assert.equal(whyUnschedulable(given, offer, { pods: there, claims: new Set(['data']) }), want));
  }
});

describe('the memory watch', () => {
  it('tells of groups that use too much and of their largest process, as long as they are watched', async () => {
    const watch = createMemoryWatch({
      everyMs: 1,
      read: async () => [
        { pid: 10, group: 1, bytes: 100 },
        { pid: 20, group: 2, bytes: 90 },
        { pid: 21, group: 2, bytes: 120 },
      ],
    });
    const over: number[] = [];
    watch.watch(1, 200, (largest) => over.push(largest));
    watch.watch(3, 1, (largest) => over.push(largest))();
    await new Promise<void>((resolve) => {
      const unwatch = watch.watch(2, 200, (largest) => {
        over.push(largest);
        if (over.length < 2) return;
        unwatch();
        resolve();
      });
    });
    assert.deepEqual(over, [21, 21]);
  });
});

describe('changes', () => {
  it('wake whoever waits, once, and whoever is told to stop', async () => {
    const clock = new HandClock();
    const changes = createChanges();
    const stop = new AbortController();
    const woken: string[] = [];
    void changes.next(stop.signal).then(() => woken.push('one'));
    void changes.next(new AbortController().signal).then(() => woken.push('two'));
    await clock.settle();
    assert.equal(woken.length, 0);
    changes.ring();
    await clock.settle();
    assert.equal(woken.join(), 'one,two');
    void changes.next(stop.signal).then(() => woken.push('three'));
    stop.abort();
    await clock.settle();
    assert.equal(woken.join(), 'one,two,three');
  });
});
