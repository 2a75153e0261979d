/**
 * Pages whose commands are typed by tests. A page is a story for one shell: its blocks of `sh` are typed from top to bottom,
 * as they stand, and what the page shows as an answer has to be printed. A line before a block says what is special about it:
 *
 *   <!-- in another terminal -->     it is left running, until another one takes its place or the page ends
 *   <!-- not typed: the reason -->   it is left out; test/house/install-docs.test.ts has the list of those
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from './program.ts';

/** How a block is to be taken. */
export type Manner =
  | { readonly kind: 'typed' }
  | { readonly kind: 'beside' } // in a terminal of its own
  | { readonly kind: 'not typed'; readonly reason: string };

/** A block of commands, as a reader of the page sees it. */
export interface Block {
  readonly page: string;
  /** Line of its first command, from 1. */
  readonly line: number;
  readonly text: string;
  /** What is shown as its answer, in a block right behind it; `…` stands for anything. */
  readonly answer: string | undefined;
  readonly manner: Manner;
}

/** Which file types the commands of a page, or of every page of a folder. Whoever adds a page adds it there, and here. */
export const typedBy: Readonly<Record<string, string>> = {
  'docs/install.md': 'test/cluster/install-docs.test.ts',
  'docs/upgrade.md': 'test/cluster/install-docs.test.ts',
  'docs/operations.md': 'test/cluster/install-docs.test.ts',
  'docs/runbooks/': 'test/cluster/monitoring.test.ts',
  'docs/logging.md': 'test/cluster/monitoring.test.ts',
  'docs/release.md': 'test/e2e/release.test.ts',
  'charts/rungate/README.md': 'test/cluster/chart.test.ts',
  'docs/migrate/listener.md': 'test/cluster/migrate-docs.test.ts',
  'docs/migrate/eventlistener.md': 'test/cluster/migrate-docs.test.ts',
  'docs/migrate/pipeline-trigger-operator.md': 'test/cluster/migrate-docs.test.ts',
};

/** Every block of commands of a page, in its order. Throws where a line before one is not understood. */
export function blocksOf(page: string, text: string): readonly Block[] {
  const fences = fencesIn(text);
  return fences.flatMap(({ language, body, line, end, before }, place): readonly Block[] => {
    if (language !== 'sh') return [];
    const next = fences[place + 1];
    const isAnswer = next !== undefined && ['', 'json', 'text'].includes(next.language) && next.start <= end + 2;
    const manner = mannerOf(before);
    if (manner === undefined) throw new Error(`${page}:${line}: not understood: ${before}`);
    return [{ page, line, text: body, answer: isAnswer ? next.body : undefined, manner }];
  });
}

/** The blocks of a page of a checkout. */
export async function readBlocks(root: string, page: string): Promise<readonly Block[]> {
  return blocksOf(page, await readFile(join(root, page), 'utf8'));
}

/** The languages of all fenced blocks of a page, each once: so that no command hides behind another word. */
export function languagesOf(text: string): readonly string[] {
  return [...new Set(fencesIn(text).map(({ language }) => language))];
}

interface Fence {
  readonly language: string;
  readonly body: string;
  /** Line of the opening fence, from 0. */
  readonly start: number;
  /** Line of the closing fence. */
  readonly end: number;
  /** Line of the first line within, from 1. */
  readonly line: number;
  /** The line of text before it; '' where that is blank. */
  readonly before: string;
}

function fencesIn(text: string): readonly Fence[] {
  const lines = text.split('\n');
  const fences: Fence[] = [];
  for (let place = 0; place < lines.length; place += 1) {
    const [, indent, language] = /^( *)```(\w*)\s*$/.exec(lines[place] ?? '') ?? [];
    if (indent === undefined || language === undefined) continue;
    const end = lines.findIndex((line, at) => at > place && line.trim() === '```');
    if (end === -1) throw new Error(`line ${place + 1}: a block that does not end`);
    const body = lines.slice(place + 1, end).map((line) => line.slice(Math.min(indent.length, line.search(/\S|$/))));
    const before = lines[place - 1]?.trim() ?? '';
    fences.push({ language, body: body.join('\n'), start: place, end, line: place + 2, before });
    place = end;
  }
  return fences;
}

function mannerOf(before: string): Manner | undefined {
  if (!before.startsWith('<!--')) return { kind: 'typed' };
  if (before === '<!-- in another terminal -->') return { kind: 'beside' };
  const [, reason] = /^<!-- not typed: (\S.*) -->$/.exec(before) ?? [];
  return reason === undefined ? undefined : { kind: 'not typed', reason };
}

/** Somebody at a terminal, who types the blocks of one page. */
export interface Typist {
  /** Types a block; throws with what was printed when it fails, or when the page shows another answer. */
  type(block: Block): Promise<void>;
  /** Ends what was left running. Called again it does nothing. */
  leave(): Promise<void>;
}

/** Where somebody types. */
export interface Desk {
  readonly folder: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What of a command has to be said otherwise here: names of namespaces, a port that is free. */
  readonly put: (text: string) => string;
}

/** A typist whose shell keeps its variables and its folder from block to block, as a terminal does. */
export async function sitDown({ folder, env, put }: Desk): Promise<Typist> {
  const own = await mkdtemp(join(tmpdir(), 'rungate-typist-'));
  const kept = join(own, 'kept');
  await writeFile(kept, `cd ${quoted(folder)}\n`);
  let beside: ChildProcess | undefined;

  async function endBeside(): Promise<void> {
    const child = beside;
    beside = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    process.kill(-(child.pid ?? 0), 'SIGKILL');
    await gone;
  }

  return {
    async type(block) {
      const text = put(block.text);
      if (block.manner.kind === 'not typed') return;
      if (block.manner.kind === 'beside') {
        await endBeside();
        // A group of its own, so that what its shell starts ends with it.
        const child = spawn('bash', ['-c', `. ${quoted(kept)}\n${text}`], { cwd: folder, env, detached: true });
        beside = child;
        const told = await firstWords(child);
        if (child.exitCode !== null)
          throw new Error(`${block.page}:${block.line} ended with ${child.exitCode}: ${told}`);
        return;
      }
      const script = `set -eo pipefail\n. ${quoted(kept)}\nset -a\n${text}\nset +a\n{ export -p; printf 'cd %q\\n' "$PWD"; } > ${quoted(kept)}\n`;
      const { code, stdout, stderr } = await runProgram('bash', ['-c', script], {
        env,
        cwd: folder,
        withinMs: 600_000,
      });
      const where = `${block.page}:${block.line}`;
      if (code !== 0) throw new Error(`${where} ended with ${code}\n${text}\n--- printed\n${stdout}${stderr}`);
      if (block.answer === undefined) return;
      const missing = missingIn(stdout, put(block.answer));
      if (missing !== undefined) throw new Error(`${where} did not print: ${missing}\n--- but\n${stdout}${stderr}`);
    },
    async leave() {
      await endBeside();
      await rm(own, { recursive: true, force: true });
    },
  };
}

/** The first line of an answer that was not printed, in the order of the answer; `…` stands for anything. */
export function missingIn(printed: string, answer: string): string | undefined {
  // A terminal shows colours as such.
  let left = printed.replace(/\x1b\[[\d;]*m/g, '');
  for (const line of answer.split('\n').filter((each) => each.trim() !== '')) {
    const pattern = line
      .trim()
      .split('…')
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/\s+/g, '\\s+'))
      .join('[^\\n]*?');
    const found = new RegExp(pattern).exec(left);
    if (found === null) return line;
    left = left.slice(found.index + found[0].length);
  }
  return undefined;
}

/** What a program that goes on prints first: that it has begun; or all that it printed, where it ends before that. */
function firstWords(child: ChildProcess): Promise<string> {
  const complaints: Buffer[] = [];
  child.stderr?.on('data', (piece: Buffer) => complaints.push(piece));
  return new Promise((resolve, reject) => {
    // The stream is read on: a program that cannot print any more would end.
    child.stdout?.on('data', (piece: Buffer) => resolve(String(piece)));
    child.once('error', reject);
    child.once('close', () => resolve(Buffer.concat(complaints).toString()));
  });
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
