/** Reads what programs have left in files, and may have left as something else. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

/**
 * The text of a file, of which at most `bytes` are read. Undefined when it cannot be read or is no file: a pipe, which a
 * program may put in its place, would be waited for for ever.
 */
export function readLeft(path: string, bytes: number): string | undefined {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) return undefined;
    const text = Buffer.alloc(Math.min(bytes, stat.size));
    return text.subarray(0, readSync(file, text)).toString();
  } finally {
    closeSync(file);
  }
}
