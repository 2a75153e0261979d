import assert from 'node:assert/strict';
import { HandClock } from '../../test/support/hand-clock.ts';
import { Fault } from '../fault.ts';
import { chooseVersion, discovery } from './discovery.ts';
import type { JsonObject } from './objects.ts';

const RUNS = { group: 'tekton.dev', resource: 'pipelineruns', versions: ['v1', 'v1beta1'] };
const CUSTOM_RUNS = { group: 'tekton.dev', resource: 'customruns', versions: ['v1beta1'] };

const group = (...versions: string[]): JsonObject => ({ versions: versions.map((version) => ({ version })) });
const resources = (...names: string[]): JsonObject => ({
  resources: names.map((name) => ({ name, verbs: ['get', 'list', 'watch'] })),
});

describe('chooseVersion', () => {
  const cases = [
    {
      name: 'the best version served',
      group: group('v1', 'v1beta1'),
      resources: { v1: resources('pipelineruns'), v1beta1: resources('pipelineruns') },
      want: 'v1',
    },
    {
      name: 'run 45: only v1beta1',
      group: group('v1beta1'),
      resources: { v1beta1: resources('pipelineruns') },
      want: 'v1beta1',
    },
    {
      name: 'a version that serves other kinds',
      group: group('v1', 'v1beta1'),
      resources: { v1: resources('tasks'), v1beta1: resources('pipelineruns') },
      want: 'v1beta1',
    },
    {
      name: 'a version we cannot read',
      group: group('v2'),
      resources: { v2: resources('pipelineruns') },
      want: undefined,
    },
    { name: 'no such group', group: {}, resources: {}, want: undefined },
    {
      name: 'a kind that cannot be watched',
      group: group('v1'),
      resources: { v1: { resources: [{ name: 'pipelineruns', verbs: ['get', 'list'] }] } },
      want: undefined,
    },
    { name: 'nonsense', group: { versions: 3 }, resources: { v1: { resources: [null] } }, want: undefined },
  ];
  for (const { name, want, ...given } of cases) {
    it(name, () => assert.equal(chooseVersion(RUNS, given.group, given.resources), want));
  }
});

/** A discovery over `pages`, with everything it asked for. A path that is not there is a 404. */
function world(pages: Record<string, JsonObject | Fault>) {
  const clock = new HandClock();
  const asked: string[] = [];
  const reader = {
    get: async (path: string) => {
      asked.push(path);
      const page = pages[path] ?? new Fault('not-found', 'no such object');
      if (page instanceof Fault) throw page;
      return page;
    },
    stream: () => Promise.reject(new Error('discovery does not stream')),
  };
  return { clock, asked, pages, served: discovery({ reader, clock }) };
}

describe('discovery', () => {
  const whole = () => ({
    '/apis/tekton.dev': group('v1', 'v1beta1'),
    '/apis/tekton.dev/v1': resources('pipelineruns', 'taskruns'),
    '/apis/tekton.dev/v1beta1': resources('pipelineruns', 'taskruns', 'customruns'),
  });

  it('names the collection of one namespace or of all', async () => {
    const { served } = world(whole());
    assert.equal(await served.pathOf(RUNS, ''), '/apis/tekton.dev/v1/pipelineruns');
    assert.equal(await served.pathOf(RUNS, 'ci'), '/apis/tekton.dev/v1/namespaces/ci/pipelineruns');
    assert.equal(await served.pathOf(CUSTOM_RUNS, ''), '/apis/tekton.dev/v1beta1/customruns');
  });

  it('run 45: a cluster without CustomRun has no path for it', async () => {
    const { served } = world({
      '/apis/tekton.dev': group('v1beta1'),
      '/apis/tekton.dev/v1beta1': resources('pipelineruns', 'taskruns'),
    });
    assert.equal(await served.pathOf(RUNS, ''), '/apis/tekton.dev/v1beta1/pipelineruns');
    assert.equal(await served.pathOf(CUSTOM_RUNS, ''), undefined);
  });

  it('a cluster without Tekton has no path at all', async () => {
    const { served, asked } = world({});
    assert.equal(await served.pathOf(RUNS, ''), undefined);
    assert.deepEqual(asked, ['/apis/tekton.dev']);
  });

  it('asks once in ten minutes, however many ask', async () => {
    const { clock, asked, served } = world(whole());
    await Promise.all([served.pathOf(RUNS, 'a'), served.pathOf(RUNS, 'b'), served.pathOf(RUNS, 'c')]);
    await clock.turn(599_999);
    await served.pathOf(RUNS, '');
    assert.deepEqual(asked, ['/apis/tekton.dev', '/apis/tekton.dev/v1', '/apis/tekton.dev/v1beta1']);
    await clock.turn(1);
    await served.pathOf(RUNS, '');
    assert.equal(asked.length, 6);
  });

  it('asks again at once when in doubt', async () => {
    const { pages, served } = world(whole());
    await served.pathOf(RUNS, '');
    pages['/apis/tekton.dev'] = group('v1beta1');
    assert.equal(await served.pathOf(RUNS, ''), '/apis/tekton.dev/v1/pipelineruns');
    served.doubt('tekton.dev');
    assert.equal(await served.pathOf(RUNS, ''), '/apis/tekton.dev/v1beta1/pipelineruns');
  });

  it('in doubt about one group asks about no other', async () => {
    const { asked, served } = world(whole());
    await served.pathOf(RUNS, '');
    const before = asked.length;
    served.doubt('tekton');
    await served.pathOf(RUNS, '');
    assert.equal(asked.length, before);
  });

  it('keeps what it knows while the server does not answer', async () => {
    const { pages, served } = world(whole());
    await served.pathOf(RUNS, '');
    for (const path of Object.keys(pages)) pages[path] = new Fault('unavailable', 'down');
    served.doubt('tekton.dev');
    assert.equal(await served.pathOf(RUNS, ''), '/apis/tekton.dev/v1/pipelineruns');
  });

  it('says why where nothing is known', async () => {
    const { served } = world({ '/apis/tekton.dev': new Fault('unavailable', 'down') });
    await assert.rejects(served.pathOf(RUNS, ''), { code: 'unavailable' });
  });
});
