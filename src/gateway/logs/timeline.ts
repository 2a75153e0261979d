/** Lines of many containers in the order of their timestamps. Containers are opened when their time comes, not all at once. */
import type { LineBatch, LogLine } from '../../kube/lines.ts';
import type { Joined } from '../../tekton/joiner.ts';

/** From how many held bytes on a container's reader should pause. */
const HELD_BYTES_MAX = 64 * 1024;

/** Where a container stands among others. */
interface Place {
  readonly from?: string | undefined;
  readonly behind?: string | undefined;
}

/** One container's lines that wait for those of others. */
interface Voice {
  /** No line of it is older. */
  readonly from: string;
  readonly say: (joined: Joined) => void;
  readonly open: () => void;
  isOpen: boolean;
  /** The container whose end is said before its own. */
  readonly behind: string | undefined;
  /** Its end, to be said behind its last line. */
  end: Joined | undefined;
  held: { readonly step: number; readonly batch: LineBatch; at: number }[];
  heldBytes: number;
  /** Of the first line held. */
  head: string | undefined;
  paused: (() => void)[];
}

/**
 * Merges what containers say. A line leaves when every container that is open has shown a later one or has ended, and every
 * other one is known to begin later; lines of one container keep their order, whatever their timestamps. Blank lines are
 * left out: they would stand between lines that belong together.
 */
export class Timeline {
  readonly #voices = new Map<string, Voice>();
  /** While containers are being added, or a line leaves, nothing else is decided. */
  #isSettling = false;
  #isDue = false;

  /**
   * Adds a container that begins at `from` (RFC 3339; absent: nobody knows) and says through `say` what leaves, its end
   * after that of `behind`: a step that was skipped has no line whose time would tell its place. Resolves when it is to be
   * read.
   */
  add(key: string, { from = '', behind }: Place, say: (joined: Joined) => void): Promise<void> {
    return new Promise((resolve) => {
      const voice = { from: sortable(from), behind, say, open: resolve, isOpen: false, end: undefined };
      this.#voices.set(key, { ...voice, held: [], heldBytes: 0, head: undefined, paused: [] });
      // After all containers that are known now have been added.
      if (this.#isDue) return;
      this.#isDue = true;
      queueMicrotask(() => {
        this.#isDue = false;
        this.#settle();
      });
    });
  }

  /** A container has said something. */
  take(key: string, joined: Joined): void {
    const voice = this.#voices.get(key);
    if (voice === undefined || joined.kind === 'blank') return;
    if (joined.kind === 'over') voice.end = joined;
    else if (joined.batch.lines.length > 0) {
      voice.held.push({ step: joined.step, batch: joined.batch, at: 0 });
      for (const { text } of joined.batch.lines) voice.heldBytes += text.length;
      voice.head ??= stampOf(joined.batch.lines[0], '');
    }
    this.#settle();
  }

  /** Resolves when a container may say more. */
  async room(key: string): Promise<void> {
    const voice = this.#voices.get(key);
    if (voice === undefined || voice.heldBytes < HELD_BYTES_MAX) return;
    await new Promise<void>((resolve) => voice.paused.push(resolve));
  }

  /** Lets everybody go who waits. */
  close(): void {
    for (const voice of this.#voices.values()) {
      voice.open();
      letGo(voice);
    }
    this.#voices.clear();
  }

  #settle(): void {
    if (this.#isSettling) return;
    this.#isSettling = true;
    while (this.#step());
    this.#isSettling = false;
  }

  /** One decision; false when something has to come first. */
  #step(): boolean {
    let first: Voice | undefined;
    /** What the lines that leave now must not be later than. */
    let until = '\uffff';
    let opensNext: string | undefined;
    for (const [key, voice] of this.#voices) {
      if (!voice.isOpen) {
        if (opensNext === undefined || voice.from < opensNext) opensNext = voice.from;
      } else if (voice.head !== undefined) {
        if (first?.head === undefined || voice.head < first.head) {
          until = first?.head ?? until;
          first = voice;
        } else if (voice.head < until) until = voice.head;
      } else if (voice.end !== undefined) {
        if (voice.behind !== undefined && this.#voices.has(voice.behind)) continue;
        this.#voices.delete(key);
        voice.say(voice.end);
      } else return false;
    }
    if (opensNext !== undefined && opensNext <= (first?.head ?? '\uffff')) {
      for (const voice of this.#voices.values()) {
        if (voice.isOpen || voice.from > opensNext) continue;
        voice.isOpen = true;
        voice.open();
      }
      return false;
    }
    if (first === undefined) return false;
    this.#leave(first, opensNext !== undefined && opensNext < until ? opensNext : until);
    return true;
  }

  /** Says the lines of `voice` that are no later than `until`, at least one. */
  #leave(voice: Voice, until: string): void {
    while (voice.head !== undefined && voice.head <= until) {
      const [front] = voice.held;
      if (front === undefined) break;
      const { step, batch } = front;
      const begin = front.at;
      let stamp = voice.head;
      for (; front.at < batch.lines.length; front.at++) {
        stamp = stampOf(batch.lines[front.at], stamp);
        if (stamp > until) break;
        voice.heldBytes -= batch.lines[front.at]?.text.length ?? 0;
      }
      voice.say({ kind: 'lines', step, batch: part(batch, begin, front.at) });
      if (front.at === batch.lines.length) {
        voice.held.shift();
        const next = voice.held[0];
        voice.head = next === undefined ? undefined : stampOf(next.batch.lines[0], stamp);
      } else voice.head = stamp;
    }
    if (voice.heldBytes < HELD_BYTES_MAX) letGo(voice);
  }
}

function letGo(voice: Voice): void {
  const all = voice.paused;
  voice.paused = [];
  for (const resolve of all) resolve();
}

/** The lines from `begin` up to `end`, with their positions. */
function part(batch: LineBatch, begin: number, end: number): LineBatch {
  if (begin === 0 && end === batch.lines.length) return batch;
  const { positionAfter } = batch;
  const lines = batch.lines.slice(begin, end);
  return positionAfter === undefined ? { lines } : { lines, positionAfter: (at) => positionAfter(at + begin) };
}

/** A line without a timestamp, and a fragment after the first, belongs to the one before. */
function stampOf(line: LogLine | undefined, before: string): string {
  const stamp = sortable(line?.timestamp ?? '');
  return stamp === '' ? before : stamp;
}

/** A timestamp in a form in which the order of texts is that of instants; '' for what is none. */
function sortable(timestamp: string): string {
  // What nearly every kubelet writes is in that form.
  if (timestamp.length === 30 && timestamp.endsWith('Z')) return timestamp;
  const [, seconds, fraction = '', zone] = /^(.{19})(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(timestamp) ?? [];
  const epochMs = Date.parse(`${seconds}${zone}`);
  return Number.isNaN(epochMs) ? '' : `${new Date(epochMs).toISOString().slice(0, 19)}.${fraction.padEnd(9, '0')}Z`;
}
