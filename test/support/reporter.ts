/** Mocha's spec output for people and, where RESULTS_FILE names one, a result file for machines beside it. */
import Mocha, { type MochaOptions, type Runner } from 'mocha';
import { resultsVariable, writeResults } from './results.ts';

/** How long a process may outlive its last test before it is ended and told what kept it. */
const lingerMs = 15_000;

/** The reporter, as mocha wants it. */
export default class ResultsReporter extends Mocha.reporters.Spec {
  constructor(runner: Runner, options: MochaOptions) {
    super(runner, options);
    const file = process.env[resultsVariable];
    if (!file) return;
    const results = { passed: 0, failed: 0, notRun: [] as string[], failures: [] as string[] };
    // Written as it goes: a process that is killed in the middle has left what it was at.
    runner.on('test', (test) => {
      const at = `${test.fullTitle()}: the process ended here`;
      writeResults(file, { ...results, failed: results.failed + 1, failures: [...results.failures, at] });
    });
    runner.on('pass', () => results.passed++);
    runner.on('pending', (test) => results.notRun.push(test.fullTitle()));
    // Hooks that fail are told here as well.
    runner.on('fail', (test, error) => {
      results.failed++;
      results.failures.push(`${test.fullTitle()}: ${error?.message ?? error}`);
    });
    runner.once('end', () => {
      writeResults(file, results);
      // Without a hold on the process the timer only fires if something else has one.
      setTimeout(() => {
        console.error(`Still open after the last test: ${process.getActiveResourcesInfo().join(', ')}`);
        process.exit(1);
      }, lingerMs).unref();
    });
  }
}
