/**
 * The flags of Pipeline Trigger Operator, so that rungate starts in its place with the arguments that its manifests have.
 * Like settings they are a table: what reads them, what `--help` prints and what docs/configuration.md shows are the same.
 * Those whose names begin with `zap` are of the library that it logs with:
 * https://pkg.go.dev/sigs.k8s.io/controller-runtime/pkg/log/zap#Options.BindFlags
 */
import { anyText, type Kind, quoted, url } from './values.ts';

/** A row of the table. */
export interface OperatorFlag<T> {
  readonly kind: Kind<T>;
  /** How its value is shown; absent where the flag alone means `true`. */
  readonly value?: string;
  /** Another way to write the flag named here. */
  readonly sameAs?: string;
  readonly purpose: string;
}

/** Where to listen: no `host` means where HOST says. */
export interface BindAddress {
  readonly host: string | undefined;
  readonly port: number;
}

/** As Go listens (https://pkg.go.dev/net#Listen), with numbers for ports only; `0` alone: not at all. */
const bindAddress: Kind<BindAddress | 'off'> = {
  type: 'address',
  allowed: 'an address with a port such as :8080 or 127.0.0.1:8080, or 0 for none',
  read(text) {
    if (text === '0') return { value: 'off' };
    const [, bracketed, plain, digits] = /^(?:\[([\da-fA-F:.]+)\]|([\w.-]*)):(\d{1,5})$/.exec(text) ?? [];
    const port = Number(digits);
    if (digits === undefined || port > 65535) return { wrong: `is ${quoted(text)}` };
    return { value: { host: bracketed ?? (plain || undefined), port } };
  },
};

/** As Go reads it: https://pkg.go.dev/strconv#ParseBool */
const goBoolean: Kind<boolean> = {
  type: 'boolean',
  allowed: 'true or false',
  read(text) {
    if (/^(?:1|t|T|true|TRUE|True)$/.test(text)) return { value: true };
    return /^(?:0|f|F|false|FALSE|False)$/.test(text) ? { value: false } : { wrong: `is ${quoted(text)}` };
  },
};

/** A word of a table, in any case. */
const word = <T>(type: string, meanings: Readonly<Record<string, T>>): Kind<T> => ({
  type,
  allowed: `one of ${Object.keys(meanings).join(', ')}`,
  read(text) {
    const name = text.toLowerCase();
    const value = Object.hasOwn(meanings, name) ? meanings[name] : undefined;
    return value === undefined ? { wrong: `is ${quoted(text)}` } : { value };
  },
});

const zapLevels = word<'debug' | 'info' | 'error'>('level', {
  debug: 'debug',
  info: 'info',
  error: 'error',
  panic: 'error', // nothing of ours is worse than an error
});

const zapLevel: Kind<'debug' | 'info' | 'error'> = {
  type: 'level',
  allowed: `${zapLevels.allowed}, or a whole number above 0`,
  read: (text) => (/^[+]?0*[1-9]\d{0,8}$/.test(text) ? { value: 'debug' } : zapLevels.read(text)),
};

const timeEncodings = ['epoch', 'millis', 'nano', 'iso8601', 'rfc3339', 'rfc3339nano'];

/** A token goes to it: only where nobody can listen. */
const clusterAddress: Kind<string> = {
  type: 'URL',
  allowed: 'the URL of an API server: https://, or http:// to this machine alone',
  read(text) {
    const read = url.read(text);
    if ('wrong' in read) return read;
    const { protocol, hostname } = new URL(read.value);
    const isHere = hostname === 'localhost' || hostname === '[::1]' || /^127\./.test(hostname);
    return protocol === 'https:' || isHere ? read : { wrong: `is ${quoted(text)}` };
  },
};

/** The table. */
export const operatorFlags = {
  'metrics-bind-address': {
    kind: bindAddress,
    value: '<address>',
    purpose:
      'One more address at which to serve what `METRICS_PORT` serves; `0` for none. Bound as `HOST` says where it begins with `:`. `:8080` when not given, but only where these flags make `PARTS` `triggers`.',
  },
  'health-probe-bind-address': {
    kind: bindAddress,
    value: '<address>',
    purpose: 'The same, and `:8081` when not given.',
  },
  'leader-elect': {
    kind: goBoolean,
    purpose: 'Accepted without effect: replicas always settle which of them starts runs, also with `false`.',
  },
  'cross-dc-leader-elect': {
    kind: goBoolean,
    purpose:
      'Start runs only while holding a lock in a MySQL or MariaDB that data centres share: `address`, `username`, `password`, `ha_enabled`, `plaintext_connection_allowed` and `tls_ca_file` of the environment say where.',
  },
  'cross-ds-leader-elect': {
    kind: goBoolean,
    sameAs: 'cross-dc-leader-elect',
    purpose: 'The same: some of its documentation spells it so.',
  },
  'second-cluster': {
    kind: goBoolean,
    purpose: 'Start no run for what a run of a second cluster was started for.',
  },
  'second-cluster-address': { kind: clusterAddress, value: '<url>', purpose: 'Where that cluster is.' },
  'second-cluster-bearer-token': {
    kind: anyText('token', 'a token'),
    value: '<token>',
    purpose: 'Token to ask it with. Better in `SECOND_CLUSTER_TOKEN_FILE`.',
  },
  'zap-devel': {
    kind: goBoolean,
    purpose:
      'Lines for people and `debug` with `true`, JSON and `info` with `false`, where neither the next two nor `LOG_FORMAT` and `LOG_LEVEL` say otherwise.',
  },
  'zap-encoder': {
    kind: word<'json' | 'text'>('encoder', { json: 'json', console: 'text' }),
    value: '<encoder>',
    purpose: '`json` is `LOG_FORMAT=json`, `console` is `LOG_FORMAT=text`, where that is not set.',
  },
  'zap-log-level': {
    kind: zapLevel,
    value: '<level>',
    purpose:
      '`LOG_LEVEL`, where that is not set: `debug`, `info`, `error`, `panic` for `error`, a number above 0 for `debug`.',
  },
  'zap-stacktrace-level': {
    kind: zapLevels,
    value: '<level>',
    purpose: 'Accepted without effect: lines carry no stacks.',
  },
  'zap-time-encoding': {
    kind: word('time encoding', Object.fromEntries(timeEncodings.map((name) => [name, name]))),
    value: '<encoding>',
    purpose: 'Accepted without effect: times are written as RFC 3339 has them.',
  },
} satisfies Record<string, OperatorFlag<unknown>>;

/** Their names. */
export type OperatorFlagName = keyof typeof operatorFlags;

/** What was given, by name, as text: nothing has been checked. A flag that stands for another is under that name. */
export type GivenFlags = ReadonlyMap<OperatorFlagName, string>;

type ValueOf<Name extends OperatorFlagName> = (typeof operatorFlags)[Name]['kind'] extends Kind<infer T> ? T : never;

/** The flags' values, and a sentence for each that has none. */
export interface ReadFlags {
  /** Undefined where it was not given, was given empty, or is a mistake. */
  value<Name extends OperatorFlagName>(name: Name): ValueOf<Name> | undefined;
  readonly mistakes: readonly string[];
}

/** Reads what was given. */
export function readOperatorFlags(given: GivenFlags): ReadFlags {
  const values = new Map<OperatorFlagName, unknown>();
  const mistakes: string[] = [];
  for (const [name, text] of given) {
    if (text === '') continue;
    const { kind } = operatorFlags[name];
    const read = kind.read(text);
    if ('wrong' in read) mistakes.push(`--${name} ${read.wrong}; write ${kind.allowed}`);
    else values.set(name, read.value);
  }
  return {
    // The kind under a name made what is kept under it.
    value: <Name extends OperatorFlagName>(name: Name) => values.get(name) as ValueOf<Name> | undefined,
    mistakes,
  };
}

/** The name of the flag that `name` is or stands for; undefined: there is none. */
export function operatorFlagOf(name: string): OperatorFlagName | undefined {
  if (!Object.hasOwn(operatorFlags, name)) return undefined;
  const flag: OperatorFlag<unknown> = operatorFlags[name as OperatorFlagName]; // it is there
  return (flag.sameAs ?? name) as OperatorFlagName; // `sameAs` names one of the table: a test follows each
}

/** Whether the flag takes a value even without `=`. */
export function takesValue(name: OperatorFlagName): boolean {
  const flag: OperatorFlag<unknown> = operatorFlags[name];
  return flag.value !== undefined;
}
