/** The files of examples/ and what its README tells people to type, for tests that do just that. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { checkout } from './gateway.ts';

/** The text of a file below examples/. */
export function recipe(path: string): string {
  return readFileSync(`${checkout}examples/${path}`, 'utf8');
}

/**
 * A text with the places of a test for those that it names: addresses, ports, paths. Everything else stays word for word, and every
 * place has to stand there, as often as `times` says (once), so that no test passes with what nobody has written.
 */
export function inPlace(text: string, places: Readonly<Record<string, string | readonly [to: string, times: number]>>) {
  let changed = text;
  for (const [from, place] of Object.entries(places)) {
    const [to, times] = typeof place === 'string' ? [place, 1] : place;
    assert.equal(changed.split(from).length - 1, times, `how often "${from}" stands in it`);
    changed = changed.replaceAll(from, to);
  }
  return changed;
}

/** The blocks of commands below a heading of examples/README.md, up to the next heading, in order. */
export function commandsBelow(heading: string): readonly string[] {
  const page = recipe('README.md');
  const begin = page.indexOf(`\n## ${heading}\n`);
  assert.notEqual(begin, -1, `examples/README.md has no heading "${heading}"`);
  const [section = ''] = page.slice(begin + 4).split('\n## ');
  return [...section.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = '']) => block);
}

/** A program that runs, and what it has written so far. */
export interface Running {
  text(): string;
  /** Its exit code, when it has ended; undefined when a signal ended it. */
  readonly ended: Promise<number | undefined>;
  /** Ends it with SIGTERM; harmless when it has ended. */
  stop(): void;
}

/** Starts a program whose output is looked at while it runs. */
export function startProgram(
  file: string,
  args: readonly string[],
  { env = process.env, cwd }: { readonly env?: NodeJS.ProcessEnv; readonly cwd?: string } = {},
): Running {
  const child = spawn(file, args, { env, cwd, stdio: ['ignore', 'pipe', 'ignore'] });
  const written: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => written.push(piece));
  const stop = () => void child.kill();
  process.once('exit', stop);
  const ended = once(child, 'close').then(([code]) => {
    process.off('exit', stop);
    return (code as number | null) ?? undefined; // what Node says of a child that ended
  });
  return { text: () => Buffer.concat(written).toString(), ended, stop };
}
