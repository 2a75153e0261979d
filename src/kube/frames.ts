/** The frames of a watch as they come over the wire: one JSON object a line. */
import type { Readable } from 'node:stream';
import { Fault } from '../fault.ts';
import { type Json, type JsonObject, numberOf, objectOf, stringOf } from './objects.ts';

/**
 * One frame of a watch. `expired`: 410, the version asked for is too old. `endsList`: every object that there was has been
 * sent, as a watch with `sendInitialEvents` says once.
 */
export type WatchFrame =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: JsonObject; readonly resourceVersion: string }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string; readonly endsList: boolean }
  | { readonly type: 'ERROR'; readonly expired: boolean; readonly message: string };

/** etcd holds objects up to 1.5 MiB; JSON and managedFields make them larger, never this large. */
const FRAME_LIMIT_BYTES = 16 * 1024 * 1024;

const LF = 0x0a;

/** https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists */
const INITIAL_EVENTS_END = 'k8s.io/initial-events-end';

/**
 * The frames of a watch's body, in the batches they arrive in. What follows the last line break is dropped: the connection
 * was cut within it. Rejects with Fault `refused` at a line that is no frame or is longer than `limitBytes`, with Fault
 * `unavailable` when the connection breaks, and with the Fault that `body` was destroyed with.
 */
export async function* watchFrames(
  body: Readable,
  limitBytes: number = FRAME_LIMIT_BYTES,
): AsyncGenerator<readonly WatchFrame[], void> {
  let begun: Buffer[] = [];
  let begunBytes = 0;
  const chunks: AsyncIterator<Buffer> = body[Symbol.asyncIterator]();
  try {
    while (true) {
      const { done, value: chunk } = await nextChunk(chunks);
      if (done) return;
      const frames: WatchFrame[] = [];
      let from = 0;
      // Only the new bytes are searched, and text is made of whole lines only: no character is ever cut.
      for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, from)) {
        const line = begun.length === 0 ? chunk.toString('utf8', from, end) : joined(begun, chunk.subarray(from, end));
        begun = [];
        begunBytes = 0;
        from = end + 1;
        if (line.trim() !== '') frames.push(parseFrame(line));
      }
      if (from < chunk.length) {
        begun.push(chunk.subarray(from));
        begunBytes += chunk.length - from;
      }
      if (begunBytes > limitBytes)
        throw new Fault('refused', `Kubernetes sent a frame of more than ${limitBytes} bytes`);
      if (frames.length > 0) yield frames;
    }
  } finally {
    body.destroy();
  }
}

function joined(begun: readonly Buffer[], rest: Buffer): string {
  return Buffer.concat([...begun, rest]).toString('utf8');
}

async function nextChunk(chunks: AsyncIterator<Buffer>): Promise<IteratorResult<Buffer>> {
  try {
    return await chunks.next();
  } catch (error) {
    throw error instanceof Fault ? error : new Fault('unavailable', 'the watch broke off', { cause: error });
  }
}

function parseFrame(line: string): WatchFrame {
  let frame: JsonObject;
  try {
    frame = objectOf(JSON.parse(line) as Json);
  } catch (cause) {
    throw new Fault('refused', 'Kubernetes sent a frame that is not JSON', { cause });
  }
  const object = objectOf(frame.object);
  const metadata = objectOf(object.metadata);
  const resourceVersion = stringOf(metadata.resourceVersion) ?? '';
  switch (frame.type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type: frame.type, object, resourceVersion };
    case 'BOOKMARK':
      return {
        type: 'BOOKMARK',
        resourceVersion,
        endsList: objectOf(metadata.annotations)[INITIAL_EVENTS_END] === 'true',
      };
    case 'ERROR': {
      const expired = numberOf(object.code) === 410 || object.reason === 'Expired' || object.reason === 'Gone';
      return { type: 'ERROR', expired, message: stringOf(object.message) ?? 'no message' };
    }
    default:
      throw new Fault('refused', 'Kubernetes sent a frame of an unknown type');
  }
}
