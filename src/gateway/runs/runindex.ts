/** Runs in the order of their creation, namespace by namespace, so that a page of many is found without looking at all. */
import type { Store } from '../../kube/store.ts';
import { comparePlaces, placeOf, type RunPlace } from '../../tekton/runlist.ts';
import type { PipelineRun } from '../../tekton/types.ts';

/** Which namespaces are meant: all that are kept, or these. */
export type Scope = 'all' | readonly string[];

/** A change of one run: as it was, and as it is. */
export interface RunChange {
  readonly before: PipelineRun | undefined;
  readonly after: PipelineRun | undefined;
}

/** The runs of a store, ordered. */
export interface RunIndex {
  /** Up to `count` runs of `scope` behind a place (or from the first), newest first if `descending`. */
  next(
    scope: Scope,
    from: { readonly descending: boolean; readonly after: RunPlace | undefined; readonly count: number },
  ): readonly PipelineRun[];
  /** A number that is another one after every change of a run in `scope`. */
  revision(scope: Scope): number;
  /** Calls `listener` after every change of a run in `scope`, synchronously. Returns the end of it; calling that twice is harmless. */
  subscribe(scope: Scope, listener: (change: RunChange) => void): () => void;
}

/** Indexes a store, what is in it and whatever comes. Each change costs the logarithm of the number of runs. */
export function createRunIndex(store: Store<PipelineRun>): RunIndex {
  const namespaces = new Map<string, OrderedRuns>();
  const revisions = new Map<string, number>();
  let latest = 0;
  const listeners = new Set<{ readonly scope: ReadonlySet<string> | 'all'; hear(change: RunChange): void }>();

  const forget = (run: PipelineRun): void => {
    const { namespace } = run.meta;
    const runs = namespaces.get(namespace);
    runs?.remove(run);
    if (runs?.size === 0) namespaces.delete(namespace);
  };
  const keep = (run: PipelineRun): void => {
    const { namespace } = run.meta;
    const runs = namespaces.get(namespace) ?? new OrderedRuns();
    runs.add(run);
    namespaces.set(namespace, runs);
  };
  for (const run of store.values()) keep(run);
  store.subscribe(({ type, object, before }) => {
    const after = type === 'deleted' ? undefined : object;
    if (before !== undefined) forget(before);
    if (after !== undefined) keep(after);
    const { namespace } = object.meta;
    latest += 1;
    revisions.set(namespace, latest);
    for (const listener of listeners) {
      if (listener.scope === 'all' || listener.scope.has(namespace)) listener.hear({ before, after });
    }
  });

  return {
    next(scope, { descending, after, count }) {
      const names = scope === 'all' ? [...namespaces.keys()] : scope;
      const lists = names.flatMap((name) => namespaces.get(name) ?? []);
      const sources = lists.map((runs) => runs.walk(descending, after)).filter(({ head }) => head !== undefined);
      return merged(sources, descending, count);
    },
    revision: (scope) =>
      scope === 'all' ? latest : scope.reduce((newest, name) => Math.max(newest, revisions.get(name) ?? 0), 0),
    subscribe(scope, hear) {
      const listener = { scope: scope === 'all' ? scope : new Set(scope), hear };
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

/** A way through some runs in order: the next one, if there is one, and how to step past it. */
interface Walk {
  readonly head: PipelineRun | undefined;
  step(): void;
}

/** The first `count` of several ordered ways, in order. A heap, because there may be as many ways as namespaces. */
function merged(walks: Walk[], descending: boolean, count: number): readonly PipelineRun[] {
  const found: PipelineRun[] = [];
  const comesFirst = (a: Walk | undefined, b: Walk | undefined): boolean =>
    a?.head !== undefined && (b?.head === undefined || compareRuns(a.head, b.head, descending) < 0);
  const sink = (from: number): void => {
    for (let at = from; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      const child = comesFirst(walks[right], walks[left]) ? right : left;
      const [parent, first] = [walks[at], walks[child]];
      if (parent === undefined || first === undefined || !comesFirst(first, parent)) return;
      walks[at] = first;
      walks[child] = parent;
      at = child;
    }
  };
  for (let at = (walks.length >> 1) - 1; at >= 0; at--) sink(at);
  for (let first = walks[0]; found.length < count && first?.head !== undefined; first = walks[0]) {
    found.push(first.head);
    first.step();
    sink(0);
  }
  return found;
}

/** A piece holds so many runs at most; then it becomes two. Moving them costs less than finding the piece. */
const LARGEST_PIECE = 512;

/** Runs of one namespace, oldest first, in pieces: adding one moves a few hundred, however many there are. */
class OrderedRuns {
  readonly #pieces: PipelineRun[][] = [];
  size = 0;

  /** Adds a run. One with the same place is replaced. */
  add(run: PipelineRun): void {
    const place = placeOf(run, 'created');
    const piece = this.#pieceOf(place);
    const runs = this.#pieces[piece];
    if (runs === undefined) {
      this.#pieces.push([run]);
      this.size += 1;
      return;
    }
    const at = firstFrom(runs, place);
    const there = runs[at];
    if (there !== undefined && comparePlaces(placeOf(there, 'created'), place, false) === 0) {
      runs[at] = run;
      return;
    }
    runs.splice(at, 0, run);
    this.size += 1;
    // Most runs are added at the end: there a full piece is left as it is, instead of two halves that stay half full.
    if (runs.length <= LARGEST_PIECE) return;
    const isLast = piece === this.#pieces.length - 1 && at === runs.length - 1;
    this.#pieces.splice(piece + 1, 0, runs.splice(isLast ? LARGEST_PIECE : LARGEST_PIECE >> 1));
  }

  /** Removes a run. Absent: nothing happens. */
  remove(run: PipelineRun): void {
    const place = placeOf(run, 'created');
    const piece = this.#pieceOf(place);
    const runs = this.#pieces[piece];
    if (runs === undefined) return;
    const at = firstFrom(runs, place);
    const there = runs[at];
    if (there === undefined || comparePlaces(placeOf(there, 'created'), place, false) !== 0) return;
    runs.splice(at, 1);
    this.size -= 1;
    if (runs.length === 0) this.#pieces.splice(piece, 1);
  }

  /** A way through the runs behind `after`. Good until the next change. */
  walk(descending: boolean, after: RunPlace | undefined): Walk {
    const pieces = this.#pieces;
    let piece = descending ? pieces.length - 1 : 0;
    let at = descending ? (pieces[piece]?.length ?? 0) - 1 : 0;
    if (after !== undefined) {
      piece = this.#pieceOf(after);
      at = firstFrom(pieces[piece] ?? [], after);
      if (descending) at -= 1;
      else if (isAt(pieces[piece]?.[at], after)) at += 1;
    }
    const settle = (): void => {
      const runs = pieces[piece];
      if (descending && at < 0 && piece > 0) {
        piece -= 1;
        at = (pieces[piece]?.length ?? 0) - 1;
      } else if (!descending && runs !== undefined && at >= runs.length) {
        piece += 1;
        at = 0;
      }
    };
    settle();
    return {
      get head() {
        return pieces[piece]?.[at];
      },
      step() {
        at += descending ? -1 : 1;
        settle();
      },
    };
  }

  /** The piece that a place is in, or would be added to: the last that does not begin behind it. */
  #pieceOf(place: RunPlace): number {
    let [low, high] = [0, this.#pieces.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const first = this.#pieces[middle]?.[0];
      if (first !== undefined && comparePlaces(placeOf(first, 'created'), place, false) <= 0) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }
}

/** The first in `runs` that does not stand before `place`. */
function firstFrom(runs: readonly PipelineRun[], place: RunPlace): number {
  let [low, high] = [0, runs.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const run = runs[middle];
    if (run !== undefined && comparePlaces(placeOf(run, 'created'), place, false) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function isAt(run: PipelineRun | undefined, place: RunPlace): boolean {
  return run !== undefined && comparePlaces(placeOf(run, 'created'), place, false) === 0;
}

function compareRuns(a: PipelineRun, b: PipelineRun, descending: boolean): number {
  return comparePlaces(placeOf(a, 'created'), placeOf(b, 'created'), descending);
}
