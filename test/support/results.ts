/** Result files: what a run of tests came to, one file each, so that whoever sums them up need not read what was printed. */
import { readFileSync, writeFileSync } from 'node:fs';

/** What a result file holds, as JSON. */
export interface Results {
  readonly passed: number;
  readonly failed: number;
  /** Titles of tests that were held back; what the cluster lacks for them is in the title. */
  readonly notRun: readonly string[];
  /** Title and message of each failure. */
  readonly failures: readonly string[];
}

/** The environment variable that names the file to write. */
export const resultsVariable = 'RESULTS_FILE';

/** One failure and nothing else: what a suite came to that never wrote its own file. */
export function oneFailure(failure: string): Results {
  return { passed: 0, failed: 1, notRun: [], failures: [failure] };
}

/** Writes a result file. */
export function writeResults(file: string, results: Results): void {
  writeFileSync(file, `${JSON.stringify(results, undefined, 2)}\n`);
}

/** Reads a result file. Throws when it is not there. */
export function readResults(file: string): Results {
  return JSON.parse(readFileSync(file, 'utf8')) as Results;
}
