/** Suites say what they need of a cluster. One that needs what is not there is listed as not run, never left out in silence. */
import type { Capabilities } from '../cluster/cluster.ts';

/** Set by `npm run test:cluster`: the capabilities of its cluster, as JSON. Without it nothing is held back. */
export const capabilitiesVariable = 'RUNGATE_CAPABILITIES';

/** What a suite needs. `tekton` is the oldest version that will do, `1.15`. */
export interface Needs {
  readonly tekton?: string;
  readonly root?: true;
  readonly knobs?: true;
  readonly flux?: true;
  readonly tkn?: true;
  readonly triggers?: true;
}

/** What of `needs` a cluster lacks, in words; empty when the suite can run. */
export function lacking(needs: Needs, has: Capabilities): string[] {
  const missing: string[] = (['root', 'knobs', 'flux', 'tkn', 'triggers'] as const).filter(
    (need) => needs[need] && !has[need],
  );
  if (needs.tekton !== undefined && !reaches(has.tektonVersion, needs.tekton)) {
    missing.push(`Tekton ${needs.tekton} or newer (there is ${has.tektonVersion ?? 'none'})`);
  }
  return missing;
}

/** A mocha `describe` that runs only where its needs are met; elsewhere it is one pending test that says what is lacking. */
export function clusterSuite(title: string, needs: Needs, body: (this: Mocha.Suite) => void): void {
  const told = process.env[capabilitiesVariable];
  const missing = told === undefined ? [] : lacking(needs, JSON.parse(told));
  describe(title, missing.length === 0 ? body : () => it(`not run: the cluster lacks ${missing.join(', ')}`));
}

function reaches(version: string | undefined, wanted: string): boolean {
  const numbers = (text: string) =>
    text
      .replace(/^v/, '')
      .split('.')
      .map((part) => Number.parseInt(part, 10));
  const [has, least] = [numbers(version ?? '0'), numbers(wanted)];
  for (const [place, number] of least.entries()) {
    const own = has[place] ?? 0;
    if (own !== number) return own > number;
  }
  return true;
}
