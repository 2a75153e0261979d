/** Reading a whole log as fast as it comes, and making sure that two servers send the very same one. */
import { createHash } from 'node:crypto';
import { Fault } from '../src/fault.ts';
import { open, type Target } from './target.ts';

/** Lines of a log that is measured: each of 100 bytes with its line break. */
export interface EvenLog {
  readonly lines: number;
  /** What the step runs to write it. */
  readonly script: string;
  readonly textBytes: number;
}

/** A log of so many megabytes of text. */
export function evenLog(megabytes: number): EvenLog {
  const lines = megabytes * 10_000;
  return { lines, script: `yes "$(printf '%099d' 7)" | head -n ${lines}`, textBytes: lines * 100 };
}

/** Where a log is read. */
export interface LogAt {
  readonly target: Target;
  readonly path: string;
}

/** Megabytes of log text a second, from the request to the last byte. Timestamps and prefixes are not text. */
export async function textRate({ target, path }: LogAt, { textBytes }: EvenLog): Promise<number> {
  const beganAt = performance.now();
  for await (const _chunk of await open(target, path)); // read, not kept
  return textBytes / 1e6 / ((performance.now() - beganAt) / 1000);
}

/** Length and hash of a log. */
export interface Digest {
  readonly bytes: number;
  readonly sha256: string;
}

/** The digest of what a server sends, without the empty line that rungate and tkn put after each container. */
export async function digestOf({ target, path }: LogAt): Promise<Digest> {
  const digest = createDigest();
  for await (const chunk of await open(target, path)) digest.update(chunk as Buffer);
  return digest.end();
}

/** A digest of bytes that come one after another; it leaves out one LF at the end that follows another one. */
export function createDigest(): { update(bytes: Buffer): void; end(): Digest } {
  const hash = createHash('sha256');
  let bytes = 0;
  let kept: Buffer = Buffer.alloc(0); // the last two bytes are not hashed before it is known that they are the last
  const take = (piece: Buffer) => {
    bytes += piece.length;
    hash.update(piece);
  };
  return {
    update(piece) {
      const all = piece.length >= 2 ? piece : Buffer.concat([kept, piece]);
      if (all === piece) take(kept);
      const at = Math.max(0, all.length - 2);
      take(all.subarray(0, at));
      kept = Buffer.from(all.subarray(at));
    },
    end() {
      take(kept.toString('latin1') === '\n\n' ? kept.subarray(1) : kept);
      return { bytes, sha256: hash.digest('hex') };
    },
  };
}

/** Throws a Fault when the peer has kept less than the whole log, an Error when both do not send the same. */
export function requireSameBytes(ours: Digest, peer: Digest, { textBytes }: EvenLog): void {
  if (peer.bytes < textBytes) {
    throw new Fault(
      'refused',
      `the kubelet has kept ${peer.bytes} bytes of a log of ${textBytes}: its containerLogMaxSize has to be 64Mi or more`,
    );
  }
  if (ours.sha256 !== peer.sha256)
    throw new Error(`rungate sent ${ours.bytes} bytes where the peer sends ${peer.bytes}, or others`);
}
