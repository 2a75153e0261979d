/** Who wrote when, and whether ever two wrote at once: the proof that an election keeps its promise. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { connect } from '../cluster/cluster.ts';
import type { FaultProxy } from './fault-proxy.ts';
import type { World } from './world.ts';

/** One write of one of those who stand for election. Times are in milliseconds, of one clock for all of them. */
export interface Write {
  readonly who: string;
  /** `lease`: it takes the Lease, or keeps it. Everything else may be written by its holder alone. */
  readonly what: 'lease' | 'object';
  readonly from: number;
  readonly until: number;
  /** Whether the server took it. */
  readonly isTaken: boolean;
  /** For the reader of a failure. */
  readonly shown: string;
}

/**
 * The writes that should not have been: sent by somebody other than who last took the Lease, or while another one took it.
 * Empty when there was never a second writer. Refused writes count as well: whoever sends one believes that he may.
 */
export function secondWriters(writes: readonly Write[]): string[] {
  const taken = writes.filter(({ what, isTaken }) => what === 'lease' && isTaken).sort((a, b) => a.from - b.from);
  const objects = writes.filter(({ what }) => what === 'object').sort((a, b) => a.from - b.from);
  let next = 0;
  return objects.flatMap(({ who, from, until, shown }) => {
    while ((taken[next]?.from ?? Number.POSITIVE_INFINITY) < from) next++;
    const holder = taken[next - 1]?.who ?? 'nobody';
    const others = taken.slice(next).filter((lease) => lease.from < until && lease.who !== who);
    if (holder === who && others.length === 0) return [];
    const also = others.map((lease) => lease.who).join(', ');
    return [`${shown} by ${who} while ${[holder, also].filter(Boolean).join(', then ')} held the Lease`];
  });
}

/** Whether a path is of a Lease. */
const isLease = (path: string) => /\/leases(\/|$)/.test(path);

/** What passed through proxies, as far as it wrote. */
export function writesThrough(proxies: readonly Pick<FaultProxy, 'requests'>[]): Write[] {
  return proxies
    .flatMap(({ requests }) => requests)
    .filter(({ method }) => method !== 'GET')
    .map(({ method, path, who, start, end = Number.POSITIVE_INFINITY, status, fault }) => ({
      who,
      what: isLease(path) ? 'lease' : 'object',
      from: start,
      until: end,
      isTaken: fault === 'lost' || (status !== undefined && status < 300),
      shown: `${method} ${path} (${status ?? 'unanswered'})`,
    }));
}

/** As far as this test looks at it. https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/#audit-k8s-io-v1-Event */
interface Audited {
  readonly verb: string;
  readonly requestURI: string;
  readonly user: { readonly username: string };
  readonly objectRef?: { readonly resource: string };
  readonly responseStatus?: { readonly code: number };
  readonly requestReceivedTimestamp: string;
  readonly stageTimestamp: string;
}

/**
 * What the ServiceAccounts of a world's first namespace wrote, by the API server's own audit log; undefined on ground that
 * has none.
 */
export async function auditedWrites({ ground, namespace }: World): Promise<Write[] | undefined> {
  if (ground !== 'cluster') return undefined;
  const { own } = await connect();
  if (own === undefined) return undefined;
  const accounts = `system:serviceaccount:${namespace}:`;
  const writes: Write[] = [];
  for await (const line of createInterface({ input: createReadStream(own.auditLogPath) })) {
    // The last line may be on its way still.
    if (!line.includes(accounts) || !line.endsWith('}')) continue;
    const { verb, requestURI, user, objectRef, responseStatus, ...times } = JSON.parse(line) as Audited;
    if (!user.username.startsWith(accounts)) continue;
    const code = responseStatus?.code ?? 0;
    writes.push({
      who: user.username,
      what: objectRef?.resource === 'leases' ? 'lease' : 'object',
      from: microseconds(times.requestReceivedTimestamp),
      until: microseconds(times.stageTimestamp),
      isTaken: code >= 200 && code < 300,
      shown: `${verb} ${requestURI} (${code})`,
    });
  }
  return writes;
}

/** Milliseconds of a time with six digits of a second. */
function microseconds(time: string): number {
  const [, digits = '0'] = /\.\d{3}(\d*)Z$/.exec(time) ?? [];
  return Date.parse(time.replace(/(\.\d{3})\d*Z$/, '$1Z')) + Number(digits || '0') / 10 ** digits.length;
}
