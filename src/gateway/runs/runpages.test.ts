import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { createStore } from '../../kube/store.ts';
import { silentLog } from '../../log.ts';
import { projectPipelineRun } from '../../tekton/project.ts';
import type { PipelineRun } from '../../tekton/types.ts';
import type { Runs } from '../facts/gather.ts';
import { createPages } from './runpages.ts';
import type { ListQuery } from './runquery.ts';

const RUNS = 2_000;
const letGo = new AbortController().signal;

function manyPages() {
  const { store, writer } = createStore<PipelineRun>(silentLog);
  for (let place = 0; place < RUNS; place++) {
    const metadata = { namespace: 'ci', name: `run-${place}`, uid: `uid-${place}`, resourceVersion: '1' };
    writer.put(projectPipelineRun({ metadata: { ...metadata, creationTimestamp: '2026-11-01T10:00:00Z' } }));
  }
  // Pages ask nothing else of where there is an index.
  return createPages({ all: store, requireFresh() {} } as Partial<Runs> as Runs);
}

/** A list that has no run, and tells of each that is looked at. */
function emptyList(list: string, looked: () => void): ListQuery {
  const isMeant = () => {
    looked();
    return false;
  };
  return { isMeant, order: { by: 'created', descending: true }, after: undefined, limit: 1, waitSeconds: 0, list };
}

describe('pages of runs', () => {
  it('are looked for a slice a turn of the event loop, however many are', async () => {
    const pages = manyPages();
    let turn = 0;
    const looking = new Map<number, Set<string>>();
    const asked = Array.from({ length: 20 }, (_, place) => {
      const list = `list ${place}`;
      const query = emptyList(list, () => looking.set(turn, (looking.get(turn) ?? new Set()).add(list)));
      return pages.read(['ci'], query, letGo);
    });
    let isOver = false;
    const counting = (async () => {
      for (; !isOver; turn += 1) await setImmediate();
    })();
    await Promise.all(asked);
    isOver = true;
    await counting;
    looking.delete(0); // each begins in the turn that it was asked in
    assert(looking.size > 20, `${looking.size} turns`);
    for (const [at, lists] of looking) assert(lists.size <= 2, `${lists.size} lists in turn ${at}`);
  });

  it('are looked for no longer than somebody wants them', async () => {
    const pages = manyPages();
    let looked = 0;
    const query = emptyList('list', () => {
      looked += 1;
    });
    const [one, other] = [new AbortController(), new AbortController()];
    const asked = [one, other].map(({ signal }) => pages.read(['ci'], query, signal));
    const refused = asked.map((each) => assert.rejects(each, { name: 'AbortError' }));
    one.abort();
    await refused[0];
    const soFar = looked;
    while (looked === soFar) await setImmediate(); // for whoever is left
    other.abort();
    await refused[1];
    for (let turns = 0; turns < 5; turns++) await setImmediate();
    assert(looked < RUNS, `${looked} were looked at for nobody`);
    assert.equal((await pages.read(['ci'], query, letGo)).isEmpty, true);
  });
});
