/** `npm run bench -- soak`: what it understands, and its exit code. */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { soakFaults } from './kinds.ts';
import { reportJson, reportText } from './report.ts';
import { type SoakOptions, soak } from './soak.ts';

/** For `npm run bench -- --help`. */
export const soakHelp = `usage: npm run bench -- soak [--minutes N | --seconds N] [--seed N] [--streams N] [--ground sandbox|cluster]

Follows runs by many clients (200) for ten minutes while a fault of a random kind happens every second, and holds every
line against what was written. docs/reliability.md says which faults, and what must hold. Exit code 1 when something
does not; --seed plays the same faults again.
`;

/** Every kind of fault once. */
const LEAST_SECONDS = soakFaults.length;

type Wish = Omit<SoakOptions, 'say'> | { readonly mistake: string };

/** Does a soak, and prints what came of it: a page, and a last line of JSON. Resolves with the exit code: 0 held, 1 did not, 2 not understood. */
export async function soakCommand(args: readonly string[], say: (sentence: string) => void): Promise<0 | 1 | 2> {
  const wish = understand(args);
  if ('mistake' in wish) {
    say(wish.mistake);
    return 2;
  }
  say(`Soak of ${wish.seconds} s, seed ${wish.seed}.`);
  const report = await soak({ ...wish, say });
  process.stdout.write(`${reportText(report)}\n${reportJson(report)}\n`);
  return report.violations.length === 0 ? 0 : 1;
}

function understand(args: readonly string[]): Wish {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        minutes: { type: 'string' },
        seconds: { type: 'string' },
        seed: { type: 'string' },
        streams: { type: 'string' },
        ground: { type: 'string', default: 'sandbox' },
      },
    });
    const { ground } = values;
    if (ground !== 'sandbox' && ground !== 'cluster') return { mistake: '--ground is sandbox or cluster.' };
    const seconds =
      values.seconds === undefined ? 60 * whole('minutes', values.minutes ?? '10') : whole('seconds', values.seconds);
    if (seconds < LEAST_SECONDS) return { mistake: `A soak takes at least ${LEAST_SECONDS} seconds.` };
    return {
      seconds,
      seed: values.seed === undefined ? randomInt(1, 2 ** 31) : whole('seed', values.seed),
      streams: whole('streams', values.streams ?? '200'),
      // Pods of a real kubelet are dearer than the sandbox's.
      runs: ground === 'cluster' ? 4 : 10,
      ground,
    };
  } catch (error) {
    return { mistake: `${(error as Error).message}\n\n${soakHelp}` };
  }
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} is ${text}: write a whole number from 1 on.`);
  return value;
}
