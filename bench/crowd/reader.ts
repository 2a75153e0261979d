/**
 * The peer of P9, a process: reads the lists of a crowd as a watch streams them, parses every object and keeps none. Its
 * argument is the API server's URL; when it has read them all it says how late 99 of 100 turns of its event loop were at most, in ms.
 */
import http from 'node:http';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const COLLECTIONS = ['/apis/tekton.dev/v1/pipelineruns', '/apis/tekton.dev/v1/taskruns'] as const;
const LF = 0x0a;

// As rungate's own metric measures it.
const delay = monitorEventLoopDelay({ resolution: 10 });
delay.enable();
await Promise.all(COLLECTIONS.map(read));
process.send?.(delay.percentile(99) / 1e6);
process.on('disconnect', () => process.exit());

/** Resolves at the bookmark that ends the list. */
function read(path: string): Promise<void> {
  const query = 'watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
  return new Promise((resolve) => {
    http.get(`${process.argv[2]}${path}?${query}`, (answer) => {
      let rest: Buffer = Buffer.alloc(0);
      answer.on('data', (chunk: Buffer) => {
        const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
        let from = 0;
        for (let end = bytes.indexOf(LF); end !== -1; end = bytes.indexOf(LF, from)) {
          if (JSON.parse(bytes.toString('utf8', from, end)).type === 'BOOKMARK') resolve();
          from = end + 1;
        }
        rest = bytes.subarray(from);
      });
    });
  });
}
