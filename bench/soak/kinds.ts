/** The faults of the soak, by name: what each does, and how. docs/reliability.md has the same table; a test keeps them equal. */
import {
  expiredFrame,
  kubeletError,
  on,
  type RequestMatch,
  refusal,
  type WireFault,
} from '../../test/support/fault-proxy.ts';
import type { Place } from '../../test/support/relay.ts';
import type { Dice } from './dice.ts';

/** What faults are done with. One counts as struck when it has come to pass, not when it was asked for. */
export interface Hands {
  readonly dice: Dice;
  /** The next request to the API server that matches meets a fault. Of several matches the first to come counts. */
  meet(fault: WireFault, ...matches: readonly RequestMatch[]): void;
  /** The next watch of a resource is told to list again, which is only the occasion for a fault. */
  expireWatch(resource: string): void;
  /** The next connection to the API server is closed in its TLS handshake. */
  refuseHandshake(): void;
  /** A step writes more than the kubelet keeps in one file, followed by a client. */
  writeMuch(): void;
  /** So many clients hang up in the middle of whatever they receive, and come back with their cursors. */
  hangUp(clients: number): void;
  /** So many clients stop reading for a while, and one more reads a long log slowly. */
  readSlowly(clients: number): void;
  /** So many clients connect, and hang up before or after the first bytes. */
  storm(clients: number): void;
  /** A replica is told to stop, as in a rollout: its successor is there first. */
  terminate(): void;
  /** A replica is killed, and started again. */
  kill(): void;
}

/** One kind of fault. */
export interface SoakFault {
  readonly name: string;
  /** Where it happens. */
  readonly where: 'log stream' | 'watch' | 'list' | 'connection' | 'node' | 'client' | 'gateway';
  /** What happens, as a sentence's end. */
  readonly what: string;
  /** Only the sandbox lets it happen. */
  readonly sandboxOnly?: true;
  strike(hands: Hands): void;
}

const WATCHED = ['pipelineruns', 'taskruns', 'pods'] as const;
/** A line of 20,000 bytes is in two records of the runtime: this far into it is inside one. */
const INTO_RECORD = { lines: 96, into: 12_000 };

const lines = (dice: Dice, into: number): Place => ({ lines: dice.whole(1, 40), into });
const soon = (dice: Dice): Place => ({ ms: dice.whole(0, 1500) });
const watch = (dice: Dice) => on.watch(dice.pick(WATCHED));
const anyList = (resource: string): readonly RequestMatch[] => [
  on.list(resource),
  { ...on.watch(resource), query: { watch: /^(true|1)$/, sendInitialEvents: /^true$/ } },
];

/** Every kind, in the order of the documentation. */
export const soakFaults: readonly SoakFault[] = [
  {
    name: 'log-cut-clean',
    where: 'log stream',
    what: 'ends in order in the middle of a line, as when the API server lost its kubelet',
    strike: ({ meet, dice }) => meet({ kind: 'cut', at: lines(dice, dice.whole(1, 30)), how: 'clean' }, on.follow()),
  },
  {
    name: 'log-cut-reset',
    where: 'log stream',
    what: 'is reset (TCP RST) in the middle of a line',
    strike: ({ meet, dice }) => meet({ kind: 'cut', at: lines(dice, dice.whole(1, 30)), how: 'reset' }, on.follow()),
  },
  {
    name: 'log-cut-record',
    where: 'log stream',
    what: 'breaks off without its last chunk inside a line of several records',
    strike: ({ meet }) => meet({ kind: 'cut', at: INTO_RECORD, how: 'unfinished' }, on.follow()),
  },
  {
    name: 'log-early-end',
    where: 'log stream',
    what: 'ends in order after a whole line, or before the first, although the container runs',
    strike: ({ meet, dice }) => meet({ kind: 'cut', at: { lines: dice.whole(0, 20) }, how: 'clean' }, on.follow()),
  },
  {
    name: 'log-stall',
    where: 'log stream',
    what: 'stays open and brings nothing any more, as after a rotation that the kubelet missed',
    strike: ({ meet, dice }) => meet({ kind: 'stall', at: lines(dice, dice.whole(0, 30)) }, on.follow()),
  },
  {
    name: 'log-slow',
    where: 'log stream',
    what: 'comes at 2 KB a second',
    // Not of the step that writes much: at that rate its log takes hours.
    strike: ({ meet }) => meet({ kind: 'slow', bytesPerSecond: 2000 }, on.follow('-(left|right)-')),
  },
  {
    name: 'log-silence',
    where: 'log stream',
    what: 'is asked for, and not even a head is answered (half-open connection)',
    strike: ({ meet }) => meet({ kind: 'silence' }, on.follow()),
  },
  {
    name: 'log-half-head',
    where: 'log stream',
    what: 'breaks off in the middle of the answer’s head',
    strike: ({ meet }) => meet({ kind: 'half-head' }, on.log()),
  },
  {
    name: 'log-401',
    where: 'log stream',
    what: 'is refused once with 401, as while a token is renewed',
    strike: ({ meet }) => meet(refusal(401), on.log()),
  },
  {
    name: 'log-429',
    where: 'log stream',
    what: 'is refused with 429 and `Retry-After: 1`',
    strike: ({ meet }) => meet(refusal(429, 1), on.log()),
  },
  {
    name: 'log-5xx',
    where: 'log stream',
    what: 'is answered 500, 502 or 504',
    strike: ({ meet, dice }) => meet(refusal(dice.pick([500, 502, 504] as const)), on.log()),
  },
  {
    name: 'log-503',
    where: 'log stream',
    what: 'is answered 503 with `Retry-After: 1`, as while an API server restarts',
    strike: ({ meet }) => meet(refusal(503, 1), on.log()),
  },
  {
    name: 'log-error-as-200',
    where: 'log stream',
    what: 'is a 200 whose body is the kubelet’s error text',
    strike: ({ meet }) => meet(kubeletError('4f1d'), on.log()),
  },
  {
    name: 'watch-410',
    where: 'watch',
    what: 'is told that its version is too old',
    strike: ({ meet, dice }) => meet(expiredFrame(soon(dice)), watch(dice)),
  },
  {
    name: 'watch-cut',
    where: 'watch',
    what: 'ends in order, without its last chunk, or by a reset',
    strike: ({ meet, dice }) =>
      meet({ kind: 'cut', at: soon(dice), how: dice.pick(['clean', 'unfinished', 'reset'] as const) }, watch(dice)),
  },
  {
    name: 'watch-stall',
    where: 'watch',
    what: 'stays open and brings nothing any more',
    strike: ({ meet, dice }) => meet({ kind: 'stall', at: soon(dice) }, watch(dice)),
  },
  {
    name: 'list-500',
    where: 'list',
    what: 'is answered 500 after a watch was told to list again',
    strike: ({ meet, expireWatch, dice }) => {
      const resource = dice.pick(WATCHED);
      meet(refusal(500), ...anyList(resource));
      expireWatch(resource);
    },
  },
  {
    name: 'tls-cut',
    where: 'connection',
    what: 'is closed in the TLS handshake',
    strike: ({ refuseHandshake }) => refuseHandshake(),
  },
  {
    name: 'rotation',
    where: 'node',
    what: 'rotates the file of a step that writes 11 MB, under its readers; the test cluster keeps 512 MiB in one file',
    sandboxOnly: true,
    strike: ({ writeMuch }) => writeMuch(),
  },
  {
    name: 'client-hang-up',
    where: 'client',
    what: 'hangs up, ten of them at once, and comes back with its cursor, to whichever replica',
    strike: ({ hangUp }) => hangUp(10),
  },
  {
    name: 'client-slow',
    where: 'client',
    what: 'stops reading for some seconds, five of them at once; one more reads a log of 11 MB at 200 KB a second and gives up',
    strike: ({ readSlowly }) => readSlowly(5),
  },
  {
    name: 'client-storm',
    where: 'client',
    what: 'connects and hangs up at once or after the first bytes, forty of them',
    strike: ({ storm }) => storm(40),
  },
  {
    name: 'gateway-sigterm',
    where: 'gateway',
    what: 'one of two replicas is told to stop while its successor is there already, as in a rollout',
    strike: ({ terminate }) => terminate(),
  },
  {
    name: 'gateway-sigkill',
    where: 'gateway',
    what: 'one of two replicas is killed, and started again',
    strike: ({ kill }) => kill(),
  },
];
