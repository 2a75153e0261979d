/** What came of a soak, for people and for programs. */
import { JUDGED_SECONDS, type SoakReport } from './soak.ts';

/** Violations shown; the rest is counted. */
const MOST_SHOWN = 20;

/** A page for a terminal. */
export function reportText(report: SoakReport): string {
  const {
    seed,
    seconds,
    streams,
    ground,
    lines,
    followed,
    resumes,
    runsStarted,
    toldLost,
    goneBefore,
    memory,
    sockets,
  } = report;
  const mib = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`;
  const width = Math.max(...report.faults.map(({ name }) => name.length));
  const shown = report.violations.slice(0, MOST_SHOWN);
  const more = report.violations.length - shown.length;
  return [
    `Soak of ${seconds} s on the ${ground}, ${streams} streams, seed ${seed}.`,
    '',
    `${'fault'.padEnd(width)}  planned  struck`,
    ...report.faults.map(
      ({ name, planned, struck }) =>
        `${name.padEnd(width)}  ${String(planned).padStart(7)}  ${String(struck).padStart(6)}`,
    ),
    '',
    `${runsStarted} runs, ${followed} streams followed to their end, ${lines} lines, ${resumes} returns with a cursor, ${toldLost} lines behind a told gap, ${goneBefore} rotated away before anybody came`,
    `memory: ${mib(memory.from)} to ${mib(memory.to)}, at most ${mib(memory.highest)}; sockets beside its clients’: ${Math.round(sockets.from)} to ${Math.round(sockets.to)}, at most ${sockets.highest}${seconds < JUDGED_SECONDS ? ' (not judged: too short)' : ''}`,
    '',
    report.violations.length === 0
      ? '0 lost, 0 repeated, 0 out of order, 0 altered; every end told the truth.'
      : `${report.violations.length} VIOLATIONS (again with --seed ${seed}):`,
    ...shown.map(({ kind, detail }) => `  ${kind}: ${detail}`),
    ...(more > 0 ? [`  and ${more} more`] : []),
    '',
  ].join('\n');
}

/** One line of JSON, as the rows of the benchmark have it. */
export function reportJson(report: SoakReport): string {
  const { say: _, violations, faults, ...rest } = report;
  const counts = Map.groupBy(violations, ({ kind }) => kind);
  return JSON.stringify({
    row: 'soak',
    ...rest,
    faults: Object.fromEntries(faults.map(({ name, struck }) => [name, struck])),
    violations: Object.fromEntries([...counts].map(([kind, all]) => [kind, all.length])),
    holds: violations.length === 0,
  });
}
