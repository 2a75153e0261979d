/** What one client has been given of each container, so that it can go on from there: the state behind its cursors. */
import type { LineBatch } from '../../kube/lines.ts';
import { type CursorState, type Cursors, lineCursor, type ReadCursor, type ResumePoint } from './cursor.ts';
import { containerKey, type Milestone } from './floor.ts';

/** What the cursors of one stream have in common. */
export interface DeliveredParts {
  readonly cursors: Cursors;
  /** Of every cursor: which run, which options. */
  readonly subject: Pick<CursorState, 'runUid' | 'filters' | 'askedSeconds'>;
  /** What the client came with. */
  readonly before: ReadCursor | undefined;
}

/** How far one client has come. A container that is not told of is as the cursor says that the client came with. */
export class Delivered {
  readonly #parts: DeliveredParts;
  readonly #reached = new Map<string, Milestone>();
  /** What was asked for of each pod and is not complete; by the name of the pod. */
  readonly #pending = new Map<string, Set<string>>();
  readonly #podsRead = new Set<string>();

  constructor(parts: DeliveredParts) {
    this.#parts = parts;
  }

  /** Where to begin with a container. */
  startOf(pod: string, container: string): ResumePoint {
    return this.#parts.before?.at(pod, container) ?? 'beginning';
  }

  /** Says which containers of a pod are asked for: when all of them are complete, the pod stands for them. */
  expect(pod: string, containers: readonly string[]): void {
    const pending = this.#pending.get(pod) ?? new Set();
    for (const container of containers) if (this.startOf(pod, container) !== 'end') pending.add(container);
    this.#pending.set(pod, pending);
  }

  /** Something has left for the client. */
  reach(milestone: Milestone): void {
    const { pod, container, at } = milestone;
    this.#reached.set(containerKey(milestone), milestone);
    const pending = this.#pending.get(pod);
    if (at !== 'complete' || !pending?.delete(container) || pending.size > 0) return;
    this.#podsRead.add(pod);
    for (const [key, { pod: other }] of this.#reached) if (other === pod) this.#reached.delete(key);
  }

  /** A cursor for what has left so far. `ended`: with the last word about a run that is over. */
  cursor({ ended = false }: { readonly ended?: boolean } = {}): string {
    return this.#sign([...this.#reached.values()], undefined, ended);
  }

  /**
   * The cursors of the lines of a batch that is about to leave: call each before anything else leaves. One signature serves
   * all of a batch. Undefined where lines have no positions.
   */
  lineCursors(
    pod: string,
    container: string,
    { lines, positionAfter }: LineBatch,
  ): ((at: number) => string) | undefined {
    if (positionAfter === undefined) return undefined;
    const signedAt = (at: number) => {
      const here: Milestone = { pod, container, at: positionAfter(at) };
      return this.#sign([...this.#othersThan(here), here], here);
    };
    let first: string | undefined;
    let areWhole: boolean | undefined;
    return (at) => {
      areWhole ??= lines.every(({ part }) => part === 'whole');
      if (!areWhole) return signedAt(at);
      first ??= signedAt(0);
      return lineCursor(first, at);
    };
  }

  *#othersThan(milestone: Milestone): Iterable<Milestone> {
    const key = containerKey(milestone);
    for (const [other, reached] of this.#reached) if (other !== key) yield reached;
  }

  #sign(reached: readonly Milestone[], speaking?: Milestone, ended = false): string {
    const { cursors, subject, before } = this.#parts;
    const containers = reached.map(
      ({ pod, container, at }) => ({ pod, container, at: at === 'complete' ? 'end' : at }) as const,
    );
    const state = {
      ...subject,
      ended,
      podsRead: this.#podsRead,
      containers,
      ...(before === undefined ? {} : { before }),
    };
    return cursors.sign(state, speaking);
  }
}
