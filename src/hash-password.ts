/** `rungate hash-password`: a line for AUTH_FILE, from a password that is typed twice or piped in. */
import { Fault } from './fault.ts';
import { isCallerName } from './gateway/callers/callerfiles.ts';
import { hashPassword, type NewHashKind } from './gateway/callers/passwords.ts';
import { askHidden, readLine, type TerminalInput } from './prompt.ts';

/** What the command is told, and where it reads and writes. */
export interface HashPasswordOptions {
  readonly kind: NewHashKind;
  /** Written before the hash, as AUTH_FILE wants it. */
  readonly name: string | undefined;
  /** A terminal is asked twice; anything else is read as one line. */
  readonly input: { readonly terminal: TerminalInput } | { readonly piped: AsyncIterable<Buffer | string> };
  /** The hash, and nothing else: it may go to a file. */
  write(text: string): void;
  /** Questions and advice. */
  tell(text: string): void;
}

/** NIST SP 800-63B asks for at least so many where a password is all there is. */
const ADVISED_LENGTH = 8;

/**
 * Writes the line and resolves with true; with false when the person at the terminal gave up. Faults: `bad-request` for a
 * password or name that cannot be used.
 */
export async function hashPasswordCommand(options: HashPasswordOptions): Promise<boolean> {
  const { kind, name, input, write, tell } = options;
  if (name !== undefined && (!isCallerName(name) || name.includes(':'))) {
    throw new Fault('bad-request', '--name may have printable characters other than ":"');
  }
  const password = 'terminal' in input ? await typedTwice(input.terminal, tell) : await readLine(input.piped);
  if (password === undefined) return false;
  if (password === '') throw new Fault('bad-request', 'an empty password would let everybody in');
  if (/[\x00-\x1f\x7f]/.test(password)) {
    throw new Fault('bad-request', 'the password has a control character, which nobody can send (RFC 7617)');
  }
  if ([...password].length < ADVISED_LENGTH)
    tell(`Short passwords are guessed; use ${ADVISED_LENGTH} characters or more.\n`);
  const hash = await hashPassword(password, kind);
  write(`${name === undefined ? '' : `${name}:`}${hash}\n`);
  return true;
}

async function typedTwice(terminal: TerminalInput, tell: (text: string) => void): Promise<string | undefined> {
  const first = await askHidden('Password: ', { input: terminal, write: tell });
  if (first === undefined || first === '') return first;
  const second = await askHidden('Once more: ', { input: terminal, write: tell });
  if (second === undefined) return undefined;
  if (second !== first) throw new Fault('bad-request', 'these were two different passwords');
  return first;
}
