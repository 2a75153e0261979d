/** `npm run bench -- [row ...]`: rungate beside its peers on a real cluster, as a table and as JSON. */
import { readFile, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Fault } from '../src/fault.ts';
import { connect } from '../test/cluster/cluster.ts';
import { AdminError } from '../test/support/admin.ts';
import { startWorld, type World } from '../test/support/world.ts';
import { type Place, pageWith, placeText, terminalTable } from './page.ts';
import { type Figure, figureOf, type Row } from './row.ts';
import { rows } from './rows.ts';
import { soakCommand, soakHelp } from './soak/command.ts';

const EXIT = { measured: 0, failed: 1, misunderstood: 2 } as const;

const help = `usage: npm run bench -- [row ...] [--write]

Measures rungate beside a peer in the same minutes, on the cluster that is up (npm run cluster -- up, or
RUNGATE_CLUSTER=existing KUBECONFIG=<file>). Prints a table and, last, one line of JSON for each row. All rows
take about half an hour; other work on the machine shows in the figures. A missed goal is no failure.

rows:
${rows
  .map(({ name, ours, peer }) => `  ${name}  ${ours}\n      beside: ${peer}`)
  .join('\n')
  .replaceAll('`', '')}

  --write  also puts the figures into docs/performance.md, those of a row or of all

${soakHelp}`;

/** The world while there is one, so that a signal can end it. */
let world: Promise<World> | undefined;
/** The exit code that a signal has asked for. */
let interrupted: number | undefined;

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, async () => {
    const code = 128 + constants.signals[signal];
    // Twice: at once. Processes still end; the namespace is found by its label at the next `npm run test:cluster`.
    if (interrupted !== undefined) process.exit(code);
    interrupted = code;
    say('Interrupted: ending what was started.');
    await world?.then((started) => started.end()).catch(() => {});
    process.exit(code);
  });
}

const code = await main(process.argv.slice(2));
process.exit(interrupted ?? code);

async function main(args: readonly string[]): Promise<number> {
  if (args[0] === 'soak') return soakCommand(args.slice(1), say).catch(failed);
  const wish = understand(args);
  if (wish.ask === 'help') {
    process.stdout.write(help);
    return EXIT.measured;
  }
  if (wish.ask === 'nothing') {
    say(wish.mistake);
    return EXIT.misunderstood;
  }
  try {
    const figures: Figure[] = [];
    const { place, failed } = await measure(wish.rows, (figure) => figures.push(figure));
    if (wish.write && failed) say('docs/performance.md stays as it is: not every row was measured.');
    else if (wish.write) await write(figures, place);
    if (figures.length > 0) process.stdout.write(`${placeText(place)}\n\n${terminalTable(figures)}\n`);
    for (const figure of figures) process.stdout.write(`${JSON.stringify(figure)}\n`);
    return failed ? EXIT.failed : EXIT.measured;
  } catch (error) {
    return failed(error);
  }
}

function failed(error: unknown): number {
  say(sentenceOf(error));
  return EXIT.failed;
}

type Wish =
  | { readonly ask: 'help' }
  | { readonly ask: 'nothing'; readonly mistake: string }
  | { readonly ask: 'measure'; readonly rows: readonly Row[]; readonly write: boolean };

function understand(args: readonly string[]): Wish {
  const names = rows.map(({ name }) => name);
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { help: { type: 'boolean', short: 'h' }, write: { type: 'boolean' } },
      allowPositionals: true,
    });
    if (values.help) return { ask: 'help' };
    const unknown = positionals.filter((name) => !names.includes(name));
    if (unknown.length > 0) {
      return { ask: 'nothing', mistake: `There is no row ${unknown.join(', ')}; there are ${names.join(', ')}.` };
    }
    const asked = positionals.length === 0 ? rows : rows.filter(({ name }) => positionals.includes(name));
    return { ask: 'measure', rows: asked, write: values.write ?? false };
  } catch (error) {
    return { ask: 'nothing', mistake: `${(error as Error).message} See npm run bench -- --help.` };
  }
}

/** Measures row after row. One that cannot be measured is told and does not keep the others from it. */
async function measure(
  asked: readonly Row[],
  measured: (figure: Figure) => void,
): Promise<{ readonly place: Place; readonly failed: boolean }> {
  const { capabilities } = await connect();
  say('Starting rungate in a namespace of its own.');
  world = startWorld({ ground: 'cluster', env: { LOG_LEVEL: 'info', LOG_FORMAT: 'json' } }); // as it runs in a cluster
  const started = await world;
  try {
    const { gitVersion } = await started.admin.get<{ gitVersion: string }>('/version');
    let failed = false;
    for (const row of asked) {
      if (interrupted !== undefined) break;
      say(`${row.name}: ${row.ours} beside ${row.peer}`.replaceAll('`', ''));
      try {
        measured(figureOf(row, await row.measure(started)));
      } catch (error) {
        if (interrupted !== undefined) break; // what it was measured with is being ended
        say(`${row.name} was not measured: ${sentenceOf(error)}`);
        failed = true;
      }
    }
    const place = { kubernetes: gitVersion, tekton: capabilities.tektonVersion, at: new Date() };
    return { place, failed: failed || interrupted !== undefined };
  } finally {
    await started.end();
  }
}

async function write(figures: readonly Figure[], place: Place): Promise<void> {
  const path = join(import.meta.dirname, '../docs/performance.md');
  await writeFile(path, pageWith(await readFile(path, 'utf8'), rows, figures, place));
}

/** A Fault's sentence is for whoever started us, and so is what the cluster answers; all else is a mistake and shows where. */
function sentenceOf(error: unknown): string {
  return error instanceof Fault || error instanceof AdminError
    ? error.message
    : String((error as Error).stack ?? error);
}

/** To standard error, so that standard output is the figures alone. */
function say(sentence: string): void {
  process.stderr.write(`${sentence}\n`);
}
