/** What `npm audit` says of the packages that are shipped: nothing, or findings that are explained or not. Pure. */

/** Findings that do not concern us, by the identifier of the advisory (`GHSA-...`), and why. */
export const explained: Readonly<Record<string, string>> = {};

/** A known vulnerability of a package. */
export interface Finding {
  readonly package: string;
  readonly severity: string;
  readonly title: string;
  /** `GHSA-...`, or where it is described if that has none. */
  readonly advisory: string;
}

/** What came of asking. A registry need not have this endpoint: then nothing is known, which is not the same as clean. */
export type Audit =
  | { readonly state: 'unanswered'; readonly reason: string }
  | { readonly state: 'answered'; readonly findings: readonly Finding[] };

/** What is read of `npm audit --json`. A string in `via` names another package whose findings reach this one. */
interface Report {
  readonly vulnerabilities?: Readonly<
    Record<
      string,
      {
        readonly via: readonly (string | { readonly title: string; readonly url: string; readonly severity: string })[];
      }
    >
  >;
  readonly message?: string;
  readonly error?: { readonly summary?: string; readonly detail?: string };
}

/** Reads what `npm audit --json` printed. */
export function readAudit(printed: string): Audit {
  let report: Report;
  try {
    report = JSON.parse(printed) as Report; // npm's own, and every field is looked at before it is used
  } catch {
    return { state: 'unanswered', reason: 'npm printed no report' };
  }
  const { vulnerabilities, message, error } = report ?? {};
  if (vulnerabilities === undefined) {
    return { state: 'unanswered', reason: message ?? error?.summary ?? error?.detail ?? 'npm gave no reason' };
  }
  const findings = Object.entries(vulnerabilities).flatMap(([name, { via }]) =>
    via.flatMap((cause) => {
      if (typeof cause === 'string') return [];
      const { title, url, severity } = cause;
      return [{ package: name, severity, title, advisory: /GHSA(?:-\w+)+/.exec(url)?.[0] ?? url }];
    }),
  );
  return { state: 'answered', findings };
}

/** The report for a person, and whether all is well: unanswered is, because no one can act on it here. */
export function auditText(
  audit: Audit,
  reasons: Readonly<Record<string, string>> = explained,
): { readonly text: string; readonly isWell: boolean } {
  if (audit.state === 'unanswered') {
    return { text: `Not audited: the registry gave no answer (${audit.reason}).`, isWell: true };
  }
  const lines = audit.findings.map(({ package: name, severity, title, advisory }) => {
    const reason = reasons[advisory];
    return `${advisory} ${severity} ${name}: ${title}${reason === undefined ? '' : ` (explained: ${reason})`}`;
  });
  const open = audit.findings.filter(({ advisory }) => reasons[advisory] === undefined);
  const sum =
    audit.findings.length === 0
      ? 'Clean: no known vulnerability in what is shipped.'
      : `${audit.findings.length} known, ${open.length} of them not explained.`;
  return { text: [...lines, sum].join('\n'), isWell: open.length === 0 };
}
