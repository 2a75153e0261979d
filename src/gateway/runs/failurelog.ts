/** The last lines of the step that made a run fail: one read, bounded in every direction, that never fails the answer. */
import type { Clock } from '../../clock.ts';
import { Fault } from '../../fault.ts';
import type { KubeReader } from '../../kube/client.ts';
import { logPath } from '../../kube/logread.ts';
import type { FailedContainer } from '../../tekton/failure.ts';
import type { Failure } from '../../tekton/types.ts';
import type { Runs } from '../facts/gather.ts';

/** The most lines that may be asked for. */
export const MOST_TAIL_LINES = 20;
/** Of a line; what is longer is cut, and ends with an ellipsis. */
const LONGEST_LINE_BYTES = 4_096;
/** Lines may be of any length, so what is read is bounded as well. */
const MOST_READ_BYTES = 16 * 1024 * 1024;
const LONGEST_READ_MS = 5_000;

/** What reading needs. */
export interface FailureLogParts {
  readonly reader: Pick<KubeReader, 'stream'>;
  readonly runs: Pick<Runs, 'pod' | 'fetchPod'>;
  readonly clock: Clock;
}

/**
 * A failure with the last `lines` of its container's log, or with the reason why there are none. The container is read
 * only if its pod belongs to the TaskRun by uid: names can be taken over, and status be written by others.
 */
export async function withLogTail(
  failure: Failure,
  { namespace, lines, container }: { namespace: string; lines: number; container: FailedContainer | undefined },
  { reader, runs, clock }: FailureLogParts,
): Promise<Failure & { readonly logTail?: readonly string[]; readonly logProblem?: string }> {
  if (container === undefined) return failure;
  const ref = { namespace, name: container.pod };
  let pod = runs.pod(ref);
  try {
    pod ??= await runs.fetchPod(ref);
  } catch (error) {
    if (error instanceof Fault) return { ...failure, logProblem: error.message };
    throw error;
  }
  if (pod?.meta.owner?.uid !== container.taskRunUid) {
    return { ...failure, logProblem: 'the pod is gone, and its log with it' };
  }
  const over = new AbortController();
  const done = new AbortController();
  void clock.sleep(LONGEST_READ_MS, done.signal).then(() => {
    if (!done.signal.aborted) over.abort(new Fault('timeout', 'the log did not come in time'));
  });
  try {
    const path = logPath({ namespace, pod: container.pod, container: container.container }, { tailLines: lines });
    const { status, body } = await reader.stream(path, { signal: over.signal });
    if (status !== 200) {
      body.destroy();
      return { ...failure, logProblem: `the cluster has no log of it (${status})` };
    }
    const tail = new TailLines(lines);
    for await (const chunk of body as AsyncIterable<Buffer>) {
      tail.add(chunk);
      if (tail.bytes > MOST_READ_BYTES) break;
    }
    body.destroy();
    const { logTail, isLog } = tail.end();
    // The kubelet answers 200 with an error for a log that it has lost.
    return isLog ? { ...failure, logTail } : { ...failure, logProblem: 'the node has no log of it any more' };
  } catch (error) {
    return { ...failure, logProblem: error instanceof Fault ? error.message : 'the log could not be read' };
  } finally {
    done.abort();
  }
}

const LF = 0x0a;
const STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d) ?/;

/** The last lines of a log that comes with timestamps, in pieces. */
class TailLines {
  readonly #most: number;
  #lines: string[] = [];
  #line: Buffer[] = [];
  #lineBytes = 0;
  #isFirst = true;
  #isLog = true;
  bytes = 0;

  constructor(most: number) {
    this.#most = most;
  }

  add(chunk: Buffer): void {
    this.bytes += chunk.length;
    for (let start = 0; start < chunk.length; ) {
      const end = chunk.indexOf(LF, start);
      const piece = chunk.subarray(start, end === -1 ? chunk.length : end);
      if (this.#lineBytes <= LONGEST_LINE_BYTES) this.#line.push(piece);
      this.#lineBytes += piece.length;
      if (end === -1) return;
      this.#endLine();
      start = end + 1;
    }
  }

  end(): { readonly logTail: readonly string[]; readonly isLog: boolean } {
    if (this.#lineBytes > 0) this.#endLine();
    return { logTail: this.#lines, isLog: this.#isLog };
  }

  #endLine(): void {
    const bytes = Buffer.concat(this.#line);
    const text = bytes.subarray(0, LONGEST_LINE_BYTES).toString('utf8');
    const stamp = STAMP.exec(text)?.[0];
    // Asked for timestamps, a log begins with one.
    if (this.#isFirst) this.#isLog = stamp !== undefined;
    this.#isFirst = false;
    this.#lines.push(
      text.slice(stamp?.length ?? 0) + (bytes.length < this.#lineBytes || bytes.length > LONGEST_LINE_BYTES ? '…' : ''),
    );
    if (this.#lines.length > this.#most) this.#lines.shift();
    this.#line = [];
    this.#lineBytes = 0;
  }
}
