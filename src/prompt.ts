/** Asking a person for something that must not be seen: a terminal that shows nothing of what is typed. */
import { Fault } from './fault.ts';

/** A terminal as Node has it (`process.stdin`), as far as it is needed here. */
export interface TerminalInput {
  setRawMode(raw: boolean): unknown;
  setEncoding(encoding: 'utf8'): unknown;
  on(event: 'data', listener: (text: string) => void): unknown;
  on(event: 'end', listener: () => void): unknown;
  off(event: 'data', listener: (text: string) => void): unknown;
  off(event: 'end', listener: () => void): unknown;
  resume(): unknown;
  pause(): unknown;
}

/** Longer answers are no passwords, but a file dropped on the terminal. */
const LONGEST_ANSWER = 4_096;

const KEYS = { interrupt: '\x03', end: '\x04', backspace: ['\x7f', '\b'], clear: '\x15', enter: ['\r', '\n'] } as const;

/**
 * Writes `question` and resolves with the line that was typed, without showing it. Backspace and Ctrl-U work; arrows and
 * other keys that write nothing are ignored. Resolves with undefined on Ctrl-C, Ctrl-D or a terminal that is closed. The
 * terminal is as it was whichever way it ends.
 */
export async function askHidden(
  question: string,
  { input, write }: { readonly input: TerminalInput; write(text: string): void },
): Promise<string | undefined> {
  write(question);
  input.setEncoding('utf8');
  input.setRawMode(true);
  input.resume();
  const answer = await new Promise<string | undefined>((resolve) => {
    let typed: string[] = [];
    const finish = (text: string | undefined): void => {
      input.off('data', read);
      input.off('end', gone);
      resolve(text);
    };
    const gone = () => finish(undefined);
    const read = (text: string): void => {
      for (const key of withoutKeySequences(text)) {
        const isGivenUp = key === KEYS.interrupt || key === KEYS.end;
        if (isGivenUp || KEYS.enter.some((each) => each === key)) {
          finish(isGivenUp ? undefined : typed.join(''));
          return; // what was pasted behind it belongs to nobody
        }
        if (KEYS.backspace.some((each) => each === key)) typed.pop();
        else if (key === KEYS.clear) typed = [];
        else if (key >= ' ' && typed.length < LONGEST_ANSWER) typed.push(key);
      }
    };
    input.on('data', read);
    input.on('end', gone);
  });
  input.pause();
  input.setRawMode(false);
  write('\n'); // the one that was typed was not shown
  return answer;
}

/** The characters of a text, without what arrow and function keys send. https://en.wikipedia.org/wiki/ANSI_escape_code */
function withoutKeySequences(text: string): string[] {
  return [...text.replace(/\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.)?/gs, '')];
}

/** The one line of what is piped in, without its end. Faults: `bad-request` for more than that, or what is no text. */
export async function readLine(input: AsyncIterable<Buffer | string>): Promise<string> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of input) {
    const bytes = Buffer.from(piece);
    length += bytes.length;
    if (length > LONGEST_ANSWER) throw new Fault('bad-request', `the input is longer than ${LONGEST_ANSWER} bytes`);
    pieces.push(bytes);
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(pieces));
  } catch (error) {
    throw new Fault('bad-request', 'the input is not UTF-8', { cause: error });
  }
  const line = text.replace(/\r?\n$/, '');
  if (/[\r\n]/.test(line)) throw new Fault('bad-request', 'the input has more than one line');
  return line;
}
