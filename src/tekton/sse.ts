/** What is said on a log stream as server-sent events: the objects of ndjson for EventSource, which comes back by itself. */
import { type JsonFrame, type JsonOptions, jsonSayer } from './ndjson.ts';
import type { LogShaper } from './shaper.ts';

/** How long a client waits before it comes back. */
const RETRY_MS = 1_000;

/**
 * A shaper of `text/event-stream`: `event` is the object's type, `data` the object as `ndjsonShaper` has it, in one line,
 * and `id` its cursor, which a client sends as `Last-Event-ID` when it comes back. A heartbeat is a comment. The first
 * bytes tell the client to come back after a second. https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export function sseShaper(options: JsonOptions = {}): LogShaper {
  const say = jsonSayer(options);
  // JSON has no line ends outside of texts and escapes those within, so neither data nor id can end early.
  const frame: JsonFrame = (json, type, cursor) =>
    cursor === undefined ? `event: ${type}\ndata: ${json}\n\n` : `id: ${cursor}\nevent: ${type}\ndata: ${json}\n\n`;
  let opening = `retry: ${RETRY_MS}\n\n`;
  return {
    contentType: 'text/event-stream',
    framed: true,
    shape(event) {
      const said = opening + (event.type === 'heartbeat' ? ':\n\n' : say(event, frame));
      opening = '';
      return Buffer.from(said);
    },
  };
}
