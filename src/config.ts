/**
 * Settings and flags, read and checked as one: whatever is wrong with them is told at once. Only `main` holds a `Config`;
 * rooms get slices of it.
 */
import { isIP } from 'node:net';
import { type BindAddress, type GivenFlags, type ReadFlags, readOperatorFlags } from './flags.ts';
import { type Setting, settings } from './settings.ts';
import type { Kind } from './values.ts';

type Settings = typeof settings;

/** A setting's value: `undefined` only where it has no default. */
type ValueOf<S> = S extends { kind: Kind<infer T> } ? (S extends { fallback: string } ? T : T | undefined) : never;

/** Those whose values are only told together with others. */
type Joined =
  | 'metricsPort'
  | 'namespaces'
  | 'compatRunNamespaces'
  | 'kubeconfig'
  | 'secondClusterTokenFile'
  | 'secondClusterCaFile'
  | 'secondClusterInsecure'
  | 'secondClusterFailOpen';

/** The settings and flags, checked. */
export type Config = { readonly [K in Exclude<keyof Settings, Joined>]: ValueOf<Settings[K]> } & {
  /** Has `namespace` in it, unless it is `*`. */
  readonly namespaces: '*' | readonly string[];
  readonly compatRunNamespaces: readonly string[];
  /** Where probes and metrics are served: METRICS_PORT, and what flags add. No two of them are the same. */
  readonly probing: readonly ListenPlace[];
  /** Runs are started only while a lock that data centres share is held. */
  readonly crossDc: boolean;
  /** The cluster whose runs count as well; undefined: there is none. */
  readonly secondCluster: SecondClusterPlace | undefined;
};

/** Where to listen, and what to change where that is not possible. */
export interface ListenPlace extends BindAddress {
  readonly portSetting: string;
  readonly hostSetting: string;
}

/** How to ask a second cluster. */
export interface SecondClusterPlace {
  readonly address: string;
  readonly token: { readonly text: string } | { readonly file: string };
  readonly caFile: string | undefined;
  readonly insecureSkipVerify: boolean;
  readonly failOpen: boolean;
}

/** What reading came to: a configuration and what may surprise in it, or everything that is wrong with it; a sentence each. */
export type Loaded =
  | { readonly ok: true; readonly config: Config; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly mistakes: readonly string[] };

/**
 * Passwords that everyone tries first, because some program or example came with them.
 * https://owasp.org/www-project-application-security-verification-standard/ 13.2.3
 */
const SHIPPED_PASSWORDS: ReadonlySet<string> = new Set(
  'admin administrator changeme change-me default demo password rungate tekton test 12345678'.split(' '),
);

/** Whether everybody would try this password first: one of those, or the name itself. */
export function isPasswordKnown({ username, password }: Pick<Config, 'username' | 'password'>): boolean {
  return password !== undefined && (password === username || SHIPPED_PASSWORDS.has(password.toLowerCase()));
}

/** What is read besides the environment. */
export interface LoadOptions {
  /** The password may be one that everybody knows, as long as HOST is this machine only. */
  readonly demo?: boolean;
  readonly operator?: GivenFlags;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads environment and flags. An empty variable counts as not set; values of secrets never appear in a mistake. */
export function loadConfig(
  environment: Environment,
  { demo = false, operator: given = new Map() }: LoadOptions = {},
): Loaded {
  const flags = readOperatorFlags(given);
  const replaces = replacesOperator(environment, given);
  const env = { ...implied(flags, replaces, environment), ...onlySet(environment) };
  const mistakes: string[] = [...flags.mistakes];
  const value = <S extends Setting<unknown>>(setting: S, required = true): ValueOf<S> => {
    const read = readSetting(setting, env, required);
    if ('mistake' in read) mistakes.push(read.mistake);
    // A setting with a mistake has no value, and none is used: `loadConfig` answers with the mistakes instead.
    return ('mistake' in read ? undefined : read.value) as ValueOf<S>;
  };
  const parts: Config['parts'] | undefined = value(settings.parts);
  const withGateway = parts === undefined || parts.includes('gateway');
  const single = {
    parts: parts ?? [],
    port: value(settings.port),
    host: value(settings.host),
    namespace: value(settings.namespace),
    username: value(settings.username, withGateway),
    password: value(settings.password, withGateway),
    authFile: value(settings.authFile),
    accessFile: value(settings.accessFile),
    trustProxy: value(settings.trustProxy),
    corsOrigins: value(settings.corsOrigins),
    cache: value(settings.cache),
    watchSeconds: value(settings.watchSeconds),
    maxStreams: value(settings.maxStreams),
    maxStreamsPerCaller: value(settings.maxStreamsPerCaller),
    maxWaiters: value(settings.maxWaiters),
    requestsPerSecond: value(settings.requestsPerSecond),
    requestBurst: value(settings.requestBurst),
    maxConnections: value(settings.maxConnections),
    maxHeaderBytes: value(settings.maxHeaderBytes),
    maxUrlBytes: value(settings.maxUrlBytes),
    headerSeconds: value(settings.headerSeconds),
    idleSeconds: value(settings.idleSeconds),
    slowClientSeconds: value(settings.slowClientSeconds),
    stallSeconds: value(settings.stallSeconds),
    graceSeconds: value(settings.graceSeconds),
    cursorKeyFile: value(settings.cursorKeyFile),
    externalLogsUrl: value(settings.externalLogsUrl),
    maxWaitSeconds: value(settings.maxWaitSeconds),
    drainSeconds: value(settings.drainSeconds),
    leaseName: value(settings.leaseName),
    leaseNamespace: value(settings.leaseNamespace),
    leaseSeconds: value(settings.leaseSeconds),
    podName: value(settings.podName),
    orphanRuns: value(settings.orphanRuns),
    maxDeletesPerSecond: value(settings.maxDeletesPerSecond),
    managedCredentials: value(settings.managedCredentials),
    credentialsAcrossNamespaces: value(settings.credentialsAcrossNamespaces),
    allowUnauthenticatedHooks: value(settings.allowUnauthenticatedHooks),
    maxHookBytes: value(settings.maxHookBytes),
    hooksPerSecond: value(settings.hooksPerSecond),
    hookBurst: value(settings.hookBurst),
    maxHooks: value(settings.maxHooks),
    fluxReceiverUrl: value(settings.fluxReceiverUrl),
    fluxReceiverTokenFile: value(settings.fluxReceiverTokenFile),
    tektonTriggersCompat: value(settings.tektonTriggersCompat),
    hooksDir: value(settings.hooksDir),
    compatSourceNamespaces: value(settings.compatSourceNamespaces),
    compatTaskRuns: value(settings.compatTaskRuns),
    logLevel: value(settings.logLevel),
    logFormat: value(settings.logFormat),
    tlsCertFile: value(settings.tlsCertFile),
    tlsKeyFile: value(settings.tlsKeyFile),
    tlsClientCaFile: value(settings.tlsClientCaFile),
  };
  const { namespace, host } = single;
  const others = value(settings.namespaces) ?? [];
  const config: Config = {
    ...single,
    namespaces: others === '*' ? '*' : [...new Set([namespace, ...others])],
    compatRunNamespaces: value(settings.compatRunNamespaces) ?? [],
    probing: probingPlaces({ port: value(settings.metricsPort), host }, flags, replaces),
    crossDc: crossDcAsked(given),
    secondCluster: undefined,
  };
  const second = secondClusterPlace(flags, {
    file: value(settings.secondClusterTokenFile),
    caFile: value(settings.secondClusterCaFile),
    insecureSkipVerify: value(settings.secondClusterInsecure),
    failOpen: value(settings.secondClusterFailOpen),
  });
  if (second !== undefined && 'mistakes' in second) mistakes.push(...second.mistakes);
  if (withGateway || single.parts.includes('hooks')) mistakes.push(...portContradictions(config));
  if (withGateway) mistakes.push(...callerContradictions(config, mistakes, demo));
  if (demo && !withGateway) mistakes.push('PARTS leaves out gateway, which is what the demo shows; add it');
  if (mistakes.length > 0) return { ok: false, mistakes };
  const secondCluster = second !== undefined && 'address' in second ? second : undefined;
  return { ok: true, config: { ...config, secondCluster }, warnings: warningsOf(flags, secondCluster) };
}

const GATEWAY_SIGNS = 'PARTS AUTH_USERNAME AUTH_PASSWORD AUTH_FILE BASIC_USERNAME BASIC_PASSWORD'.split(' ');

/** Flags that only the operator has, and nothing that only a gateway has: this process was put in the operator's place. */
function replacesOperator(env: Environment, given: GivenFlags): boolean {
  return given.size > 0 && !GATEWAY_SIGNS.some((variable) => env[variable]);
}

/** What flags say of settings that are not set. */
function implied(flags: ReadFlags, replaces: boolean, env: Environment): Environment {
  const devel = flags.value('zap-devel');
  const [usualLevel, usualFormat] = devel === undefined ? [] : devel ? ['debug', 'text'] : ['info', 'json'];
  const isNarrowed = Boolean(env.NAMESPACE || env.NAMESPACES);
  return {
    LOG_LEVEL: flags.value('zap-log-level') ?? usualLevel,
    LOG_FORMAT: flags.value('zap-encoder') ?? usualFormat,
    ...(replaces ? { PARTS: 'triggers' } : {}),
    ...(replaces && !isNarrowed ? { NAMESPACES: '*' } : {}),
  };
}

function onlySet(env: Environment): Environment {
  return Object.fromEntries(Object.entries(env).filter(([, text]) => text));
}

/** Where the operator listens without being told. */
const OPERATOR_PLACES = {
  'metrics-bind-address': { host: undefined, port: 8080 },
  'health-probe-bind-address': { host: undefined, port: 8081 },
} as const;

function probingPlaces(own: BindAddress, flags: ReadFlags, replaces: boolean): readonly ListenPlace[] {
  const places: ListenPlace[] = [{ ...own, portSetting: 'METRICS_PORT', hostSetting: 'HOST' }];
  for (const name of ['metrics-bind-address', 'health-probe-bind-address'] as const) {
    const told = flags.value(name) ?? (replaces ? OPERATOR_PLACES[name] : 'off');
    if (told === 'off') continue;
    const [portSetting, hostSetting] = [`--${name}`, told.host === undefined ? 'HOST' : `--${name}`];
    places.push({ port: told.port, host: told.host ?? own.host, portSetting, hostSetting });
  }
  // The widest of those that overlap serves for all of them.
  return places.filter(
    (place, at) =>
      !places.some(
        (other, otherAt) => at !== otherAt && covers(other, place) && (otherAt < at || !covers(place, other)),
      ),
  );
}

/** Whether whoever asks at `narrow` is answered by what listens at `wide`. */
function covers(wide: BindAddress, narrow: BindAddress): boolean {
  if (wide.port !== narrow.port || !(wide.port > 0)) return false; // 0 is another one each time; a mistake is none
  if (wide.host === undefined || wide.host === '::' || wide.host === narrow.host) return true;
  return wide.host === '0.0.0.0' && narrow.host !== undefined && isIP(narrow.host) !== 6;
}

function secondClusterPlace(
  flags: ReadFlags,
  settingsOfIt: Omit<SecondClusterPlace, 'address' | 'token'> & { readonly file: string | undefined },
): SecondClusterPlace | { readonly mistakes: readonly string[] } | undefined {
  if (flags.value('second-cluster') !== true) return undefined;
  const { file, ...more } = settingsOfIt;
  const address = flags.value('second-cluster-address');
  const text = flags.value('second-cluster-bearer-token');
  const token = text !== undefined ? { text } : file !== undefined ? { file } : undefined;
  if (address !== undefined && token !== undefined && (text === undefined || file === undefined)) {
    return { address, token, ...more };
  }
  const mistakes: string[] = [];
  const isMistaken = flags.mistakes.some((each) => each.startsWith('--second-cluster-address '));
  if (address === undefined && !isMistaken) mistakes.push('--second-cluster needs --second-cluster-address');
  if (token === undefined) {
    mistakes.push('--second-cluster needs SECOND_CLUSTER_TOKEN_FILE, or --second-cluster-bearer-token');
  } else if (text !== undefined && file !== undefined) {
    mistakes.push('SECOND_CLUSTER_TOKEN_FILE and --second-cluster-bearer-token are both given; keep the file');
  }
  return { mistakes };
}

/** What is wrong with settings of the public port only beside each other. */
function portContradictions(config: Config): readonly string[] {
  const mistakes: string[] = [];
  const { port, host, tlsCertFile, tlsKeyFile, tlsClientCaFile, maxUrlBytes, maxHeaderBytes } = config;
  for (const place of config.probing) {
    if (!covers(place, { port, host }) && !covers({ port, host }, place)) continue;
    mistakes.push(`PORT and ${place.portSetting} are both ${port}; write two different ports`);
  }
  if ((tlsCertFile === undefined) !== (tlsKeyFile === undefined)) {
    const [set, missing] =
      tlsKeyFile === undefined ? ['TLS_CERT_FILE', 'TLS_KEY_FILE'] : ['TLS_KEY_FILE', 'TLS_CERT_FILE'];
    mistakes.push(`${missing} is not set, but ${set} is; set both for HTTPS, or neither`);
  }
  if (tlsClientCaFile !== undefined && tlsCertFile === undefined && tlsKeyFile === undefined) {
    mistakes.push('TLS_CLIENT_CA_FILE is set, but TLS_CERT_FILE is not; set TLS_CERT_FILE and TLS_KEY_FILE as well');
  }
  if (maxUrlBytes > maxHeaderBytes) {
    mistakes.push(
      `MAX_URL_BYTES is ${maxUrlBytes}, above MAX_HEADER_BYTES (${maxHeaderBytes}), which counts the URL as well; write less`,
    );
  }
  return mistakes;
}

/** What is wrong with settings of callers only beside each other. `known` is what is wrong with them by themselves. */
function callerContradictions(config: Config, known: readonly string[], demo: boolean): readonly string[] {
  const mistakes: string[] = [];
  const { host, username, password } = config;
  if ((username === undefined) !== (password === undefined) && !known.some((each) => each.startsWith('AUTH_'))) {
    const [set, missing] =
      password === undefined ? ['AUTH_USERNAME', 'AUTH_PASSWORD'] : ['AUTH_PASSWORD', 'AUTH_USERNAME'];
    mistakes.push(`${missing} is not set, but ${set} is; set both, or neither and AUTH_FILE`);
  }
  if (isPasswordKnown(config)) {
    if (!demo) mistakes.push('AUTH_PASSWORD is one that everybody tries first; write a long random one');
    else if (host === undefined || !isLoopback(host)) {
      mistakes.push(
        'AUTH_PASSWORD is one that everybody tries first, and HOST is not this machine alone; set one of them',
      );
    }
  }
  return mistakes;
}

function warningsOf(flags: ReadFlags, secondCluster: SecondClusterPlace | undefined): readonly string[] {
  const warnings: string[] = [];
  if (flags.value('leader-elect') === false) {
    warnings.push('--leader-elect=false has no effect: only the replica that holds the Lease starts runs');
  }
  if (flags.value('second-cluster-bearer-token') !== undefined) {
    warnings.push(
      '--second-cluster-bearer-token can be read by everybody on this machine; SECOND_CLUSTER_TOKEN_FILE cannot',
    );
  }
  if (secondCluster?.insecureSkipVerify) {
    warnings.push('SECOND_CLUSTER_INSECURE is true: whoever answers in the place of the second cluster gets its token');
  }
  return warnings;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

function readSetting(
  setting: Setting<unknown>,
  env: Environment,
  required: boolean,
): { readonly value: unknown } | { readonly mistake: string } {
  const { variable, older, kind } = setting;
  const own = env[variable];
  const inherited = older === undefined ? undefined : env[older];
  if (own !== undefined && inherited !== undefined && own !== inherited) {
    return { mistake: `${variable} and its older name ${older} differ; set only ${variable}` };
  }
  const name = own === undefined && inherited !== undefined ? (older ?? variable) : variable;
  const text = own ?? inherited ?? setting.fallback;
  if (text === undefined) {
    const { requiredWithout } = setting;
    if (!required || requiredWithout === undefined || env[requiredWithout]) return { value: undefined };
    return { mistake: `${variable} is not set, nor is ${requiredWithout}; write ${kind.allowed}` };
  }
  const read = kind.read(text);
  return 'wrong' in read ? { mistake: `${name} ${read.wrong}; write ${kind.allowed}` } : read;
}

/** Whether flags ask for the lock that data centres share, and with it for what the environment says of its database. */
export function crossDcAsked(operator: GivenFlags): boolean {
  return readOperatorFlags(operator).value('cross-dc-leader-elect') ?? false;
}

/** Who this process is among its replicas, and where they settle which of them starts runs. */
export interface Replica {
  /** Never that of another process: a pod that starts again is somebody else. */
  readonly identity: string;
  readonly leaseNamespace: string;
}

/** `podNamespace`: where the pod runs that this is; undefined: it runs in none. `unique`: never handed in before. */
export function replicaOf(
  { podName, leaseNamespace, namespace }: Pick<Config, 'podName' | 'leaseNamespace' | 'namespace'>,
  here: { readonly hostname: string; readonly podNamespace: string | undefined; readonly unique: string },
): Replica {
  return {
    identity: `${podName ?? here.hostname}_${here.unique}`,
    leaseNamespace: leaseNamespace ?? here.podNamespace ?? namespace,
  };
}
