/**
 * Every setting: its variable, what it may be, its default and its purpose. The one table below is what `loadConfig`
 * reads the environment with, what `--help` (see `commandline`) prints and what docs/configuration.md shows (a test keeps
 * them equal).
 * Only `main` holds a `Config`; rooms get slices of it.
 */
import { isIP } from 'node:net';

/** What a setting's text may be, and how it is read. */
interface Kind<T> {
  /** In a word or two, for the documentation. */
  readonly type: string;
  /** What to write instead of a mistake. */
  readonly allowed: string;
  /** The value, or what is wrong with the text, as the end of "PORT ...". */
  read(text: string): { readonly value: T } | { readonly wrong: string };
}

interface Setting<T> {
  readonly variable: string;
  /** The name an earlier program used; read where `variable` is not set. */
  readonly older?: string;
  readonly kind: Kind<T>;
  readonly unit?: string;
  /** As it would be written in the environment. */
  readonly fallback?: string;
  /** Needed, unless the variable named here is set. */
  readonly requiredWithout?: string;
  /** Its value is never shown. */
  readonly secret?: boolean;
  readonly purpose: string;
}

const wholeNumber = (from: number, to: number): Kind<number> => ({
  type: 'integer',
  allowed: `a whole number from ${from} to ${to}`,
  read(text) {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= from && value <= to) return { value };
    return { wrong: `is ${quoted(text)}` };
  },
});

const port: Kind<number> = {
  ...wholeNumber(0, 65535),
  type: 'port',
  allowed: 'a port from 1 to 65535, or 0 for any free one',
  read(text) {
    // A Service named `metrics` makes Kubernetes set METRICS_PORT to its URL in every pod of its namespace.
    // https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
    if (/^(tcp|udp|sctp):\/\//.test(text)) {
      return {
        wrong: `is ${quoted(text)}, set by Kubernetes for a Service of that name (enableServiceLinks: false in the pod prevents it)`,
      };
    }
    return wholeNumber(0, 65535).read(text);
  },
};

const oneOf = <const T extends string>(...words: readonly T[]): Kind<T> => ({
  type: words.join(', '),
  allowed: `one of ${words.join(', ')}`,
  read(text) {
    const value = words.find((word) => word === text);
    return value === undefined ? { wrong: `is ${quoted(text)}` } : { value };
  },
});

const anyText = (type: string, allowed: string): Kind<string> => ({
  type,
  allowed,
  read: (value) => ({ value }),
});

const NAMESPACE_NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

const namespace: Kind<string> = {
  type: 'namespace',
  allowed: 'a namespace: lower case letters, digits and "-", at most 63 characters',
  read: (text) => (NAMESPACE_NAME.test(text) ? { value: text } : { wrong: `is ${quoted(text)}` }),
};

const namespaceList: Kind<'*' | readonly string[]> = {
  type: 'list of namespaces',
  allowed: 'namespaces separated by commas, or * for all',
  read(text) {
    const names = words(text);
    if (names.includes('*')) {
      return names.length === 1 ? { value: '*' } : { wrong: `is ${quoted(text)}, which has * beside names` };
    }
    const bad = names.find((name) => !NAMESPACE_NAME.test(name));
    return bad === undefined ? { value: names } : { wrong: `names ${quoted(bad)}, which is not a namespace` };
  },
};

/** Parts that design and documentation speak of, but that this version does not have. */
const LATER_PARTS = ['triggers', 'hooks'];

const partList: Kind<readonly 'gateway'[]> = {
  type: 'list of parts',
  allowed: 'gateway',
  read(text) {
    const named = words(text);
    const later = named.find((name) => LATER_PARTS.includes(name));
    if (later !== undefined) return { wrong: `names ${quoted(later)}, which comes in a later version` };
    const unknown = named.find((name) => name !== 'gateway');
    if (unknown !== undefined) return { wrong: `names ${quoted(unknown)}, which is no part of rungate` };
    return { value: ['gateway'] };
  },
};

/** RFC 7617 allows neither of these; a Secret made with `echo` ends in a line break, which nobody can send. */
const credential = (type: string, colonAllowed: boolean): Kind<string> => ({
  type,
  allowed: `text without control characters${colonAllowed ? '' : ' and without ":"'}`,
  read(text) {
    if (/[\r\n]$/.test(text)) return { wrong: 'ends with a line break (printf writes none, echo does)' };
    if (/[\x00-\x1f\x7f]/.test(text)) return { wrong: 'has a control character' };
    if (!colonAllowed && text.includes(':')) return { wrong: 'has a ":", which ends the name in Basic credentials' };
    return { value: text };
  },
});

const url: Kind<string> = {
  type: 'URL',
  allowed: 'a URL that begins with http:// or https://, without credentials, query and fragment',
  read(text) {
    const read = URL.canParse(text) ? new URL(text) : undefined;
    if (read === undefined || !/^https?:$/.test(read.protocol)) return { wrong: `is ${quoted(text)}` };
    // Never shown: what stands there may be a password.
    if (read.username !== '' || read.password !== '') return { wrong: 'has credentials in it' };
    if (read.search !== '' || read.hash !== '') return { wrong: `is ${quoted(text)}` };
    return { value: read.href.replace(/\/+$/, '') };
  },
};

/** As browsers write the `Origin` header: https://www.rfc-editor.org/rfc/rfc6454#section-6.1 */
const originList: Kind<readonly string[]> = {
  type: 'list of origins',
  allowed: 'origins such as https://dashboard.example.com, separated by commas',
  read(text) {
    const names = words(text);
    const bad = names.find((name) => !URL.canParse(name) || new URL(name).origin !== name);
    return bad === undefined ? { value: names } : { wrong: `names ${quoted(bad)}, which is no origin` };
  },
};

const networkList: Kind<readonly string[]> = {
  type: 'list of networks',
  allowed: 'addresses or networks such as 10.0.0.0/8 or fd00::/8, separated by commas',
  read(text) {
    const names = words(text);
    const bad = names.find((name) => !isNetwork(name));
    return bad === undefined ? { value: names } : { wrong: `names ${quoted(bad)}, which is no address or network` };
  },
};

function isNetwork(text: string): boolean {
  const [address = '', length, ...rest] = text.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return length === undefined || (/^\d{1,3}$/.test(length) && Number(length) <= (family === 4 ? 32 : 128));
}

const settings = {
  port: {
    variable: 'PORT',
    kind: port,
    fallback: '8080',
    purpose: 'Port of the API.',
  },
  metricsPort: {
    variable: 'METRICS_PORT',
    kind: port,
    fallback: '9090',
    purpose: 'Port of `/metrics`, `/livez`, `/healthz` and `/readyz`, which ask for no credentials.',
  },
  host: {
    variable: 'HOST',
    kind: anyText('address', 'an address of this machine, such as 127.0.0.1'),
    purpose: 'Address both ports are bound to; all addresses when not set.',
  },
  namespace: {
    variable: 'NAMESPACE',
    kind: namespace,
    fallback: 'tekton-pipelines',
    purpose: 'Namespace of runs whose path names none. Always served.',
  },
  namespaces: {
    variable: 'NAMESPACES',
    kind: namespaceList,
    purpose: 'Namespaces served besides `NAMESPACE`, separated by commas, or `*` for all.',
  },
  username: {
    variable: 'AUTH_USERNAME',
    older: 'BASIC_USERNAME',
    kind: credential('name', false),
    requiredWithout: 'AUTH_FILE',
    purpose: 'Name callers sign in with.',
  },
  password: {
    variable: 'AUTH_PASSWORD',
    older: 'BASIC_PASSWORD',
    kind: credential('password', true),
    requiredWithout: 'AUTH_FILE',
    secret: true,
    purpose: 'Their password. None that anybody would try first: the name itself, `admin`, `password`, ...',
  },
  parts: {
    variable: 'PARTS',
    kind: partList,
    fallback: 'gateway',
    purpose: 'What this process does. There is one part so far.',
  },
  authFile: {
    variable: 'AUTH_FILE',
    kind: anyText('path', 'the path of a file with lines name:hash'),
    purpose:
      'More callers: lines `name:hash`, the hash as `rungate hash-password` or `htpasswd -B -C 12` writes it. Read again when it changes.',
  },
  accessFile: {
    variable: 'ACCESS_FILE',
    kind: anyText('path', 'the path of a YAML file'),
    purpose:
      'What each name may read (YAML, `name: [namespace, ...]`); a name that is not in it may read every namespace served. Read again when it changes.',
  },
  trustProxy: {
    variable: 'TRUST_PROXY',
    kind: networkList,
    purpose: 'Proxies whose `X-Forwarded-For` is believed. None unless set.',
  },
  corsOrigins: {
    variable: 'CORS_ORIGINS',
    kind: originList,
    purpose: 'Origins whose pages may read answers in a browser. None unless set.',
  },
  cache: {
    variable: 'CACHE',
    kind: oneOf('on', 'off'),
    fallback: 'on',
    purpose:
      '`off`: nothing is watched but the runs that somebody asks about, while they ask. For small installs and for rights that allow no list of all pods.',
  },
  watchSeconds: {
    variable: 'WATCH_SECONDS',
    kind: wholeNumber(1, 3600),
    unit: 'seconds',
    fallback: '300',
    purpose: 'A watch is opened anew after this time at the latest; one that is silent 15 s longer is taken for dead.',
  },
  maxStreams: {
    variable: 'MAX_STREAMS',
    kind: wholeNumber(1, 100_000),
    fallback: '1000',
    purpose: 'Log streams open at the same time; one more is answered 429.',
  },
  maxStreamsPerCaller: {
    variable: 'MAX_STREAMS_PER_CALLER',
    kind: wholeNumber(1, 100_000),
    purpose: 'Log and event streams of one caller at the same time; as many as `MAX_STREAMS` when not set.',
  },
  maxWaiters: {
    variable: 'MAX_WAITERS',
    kind: wholeNumber(1, 1_000_000),
    fallback: '20000',
    purpose: 'Requests that wait for a change (`wait`) at the same time; one more is answered 429.',
  },
  requestsPerSecond: {
    variable: 'REQUESTS_PER_SECOND',
    kind: wholeNumber(0, 1_000_000),
    fallback: '0',
    purpose: 'Requests of one caller in a second; more are answered 429. 0: no limit.',
  },
  requestBurst: {
    variable: 'REQUEST_BURST',
    kind: wholeNumber(1, 1_000_000),
    fallback: '100',
    purpose: 'Requests that one caller may send at once before `REQUESTS_PER_SECOND` holds.',
  },
  maxConnections: {
    variable: 'MAX_CONNECTIONS',
    kind: wholeNumber(1, 1_000_000),
    fallback: '25000',
    purpose: 'Connections to the API at the same time; more are closed.',
  },
  maxHeaderBytes: {
    variable: 'MAX_HEADER_BYTES',
    kind: wholeNumber(1024, 1_048_576),
    unit: 'bytes',
    fallback: '16384',
    purpose: 'The longest head of a request; a longer one is answered 431.',
  },
  maxUrlBytes: {
    variable: 'MAX_URL_BYTES',
    kind: wholeNumber(256, 1_048_576),
    unit: 'bytes',
    fallback: '8192',
    purpose: 'The longest path with its query; a longer one is answered 414.',
  },
  headerSeconds: {
    variable: 'HEADER_SECONDS',
    kind: wholeNumber(1, 3600),
    unit: 'seconds',
    fallback: '15',
    purpose: 'How long a client may take to send the head of its request.',
  },
  idleSeconds: {
    variable: 'IDLE_SECONDS',
    kind: wholeNumber(1, 3600),
    unit: 'seconds',
    fallback: '75',
    purpose: 'How long a connection may be idle between two requests. Keep it above that of a proxy in front.',
  },
  slowClientSeconds: {
    variable: 'SLOW_CLIENT_SECONDS',
    kind: wholeNumber(1, 3600),
    unit: 'seconds',
    fallback: '120',
    purpose: 'A client that takes nothing of its answer for so long is dropped.',
  },
  stallSeconds: {
    variable: 'STALL_SECONDS',
    kind: wholeNumber(1, 3600),
    unit: 'seconds',
    fallback: '30',
    purpose: 'After so much silence of a running container its log is asked for beside the stream, which may be dead.',
  },
  graceSeconds: {
    variable: 'GRACE_SECONDS',
    kind: wholeNumber(1, 3600),
    unit: 'seconds',
    fallback: '30',
    purpose: 'How long the log of a run that is over waits for what does not come.',
  },
  cursorKeyFile: {
    variable: 'CURSOR_KEY_FILE',
    kind: anyText('path', 'the path of a file with at least 32 bytes'),
    purpose:
      'Key that log cursors are signed with, the same for all replicas. Without it a cursor ends with its process.',
  },
  externalLogsUrl: {
    variable: 'EXTERNAL_LOGS_URL',
    kind: url,
    purpose:
      'Where logs of deleted pods are: asked as Tekton Dashboard does, `<url>/<namespace>/<pod>/<container>?startTime=...&completionTime=...`.',
  },
  maxWaitSeconds: {
    variable: 'MAX_WAIT',
    kind: wholeNumber(0, 3600),
    unit: 'seconds',
    fallback: '300',
    purpose: 'The longest `wait` a caller may ask for.',
  },
  drainSeconds: {
    variable: 'DRAIN_SECONDS',
    kind: wholeNumber(0, 3600),
    unit: 'seconds',
    fallback: '25',
    purpose: 'How long open requests get to end after SIGTERM. Keep it below `terminationGracePeriodSeconds`.',
  },
  logLevel: {
    variable: 'LOG_LEVEL',
    kind: oneOf('error', 'warn', 'info', 'debug'),
    fallback: 'info',
    purpose: 'The least important lines that are written.',
  },
  logFormat: {
    variable: 'LOG_FORMAT',
    kind: oneOf('auto', 'json', 'text'),
    fallback: 'auto',
    purpose: 'How log lines look; `auto` is `text` on a terminal and `json` elsewhere.',
  },
  tlsCertFile: {
    variable: 'TLS_CERT_FILE',
    kind: anyText('path', 'the path of a PEM file'),
    purpose:
      'Certificate chain (PEM). With `TLS_KEY_FILE` the API is served over HTTPS only; both files are read again when they change.',
  },
  tlsKeyFile: {
    variable: 'TLS_KEY_FILE',
    kind: anyText('path', 'the path of a PEM file'),
    purpose: 'Private key (PEM) of that certificate.',
  },
  // Read by kube/connect, together with what else it looks at; here so that the table is whole.
  kubeconfig: {
    variable: 'KUBECONFIG',
    kind: anyText('path', 'the path of a kubeconfig, or several separated as in PATH'),
    purpose:
      "Where the cluster is; `--kubeconfig` wins over it. Without either: `~/.kube/config`, else the pod's own identity.",
  },
} satisfies Record<string, Setting<unknown>>;

type Settings = typeof settings;

/** A setting's value: `undefined` only where it has no default. */
type ValueOf<S> = S extends { kind: Kind<infer T> } ? (S extends { fallback: string } ? T : T | undefined) : never;

/** The settings, checked. `namespaces` has `namespace` in it, unless it is `*`. */
export type Config = { readonly [K in Exclude<keyof Settings, 'namespaces' | 'kubeconfig'>]: ValueOf<Settings[K]> } & {
  readonly namespaces: '*' | readonly string[];
};

/** What reading the environment came to: a configuration, or everything that is wrong with it, a sentence each. */
export type Loaded =
  | { readonly ok: true; readonly config: Config }
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

/**
 * Reads the environment. An empty variable counts as not set; values of secrets never appear in a mistake. With `demo` the
 * password may be one that everybody knows, as long as HOST is this machine only.
 */
export function loadConfig(
  env: Readonly<Record<string, string | undefined>>,
  { demo = false }: { readonly demo?: boolean } = {},
): Loaded {
  const mistakes: string[] = [];
  const value = <S extends Setting<unknown>>(setting: S): ValueOf<S> => {
    const read = readSetting(setting, env);
    if ('mistake' in read) mistakes.push(read.mistake);
    // A setting with a mistake has no value, and none is used: `loadConfig` answers with the mistakes instead.
    return ('mistake' in read ? undefined : read.value) as ValueOf<S>;
  };
  const config = {
    port: value(settings.port),
    metricsPort: value(settings.metricsPort),
    host: value(settings.host),
    namespace: value(settings.namespace),
    namespaces: value(settings.namespaces),
    username: value(settings.username),
    password: value(settings.password),
    parts: value(settings.parts),
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
    logLevel: value(settings.logLevel),
    logFormat: value(settings.logFormat),
    tlsCertFile: value(settings.tlsCertFile),
    tlsKeyFile: value(settings.tlsKeyFile),
  };
  if (config.port === config.metricsPort && config.port !== 0 && config.port !== undefined) {
    mistakes.push(`PORT and METRICS_PORT are both ${config.port}; write two different ports`);
  }
  if ((config.tlsCertFile === undefined) !== (config.tlsKeyFile === undefined)) {
    const [set, missing] =
      config.tlsKeyFile === undefined ? ['TLS_CERT_FILE', 'TLS_KEY_FILE'] : ['TLS_KEY_FILE', 'TLS_CERT_FILE'];
    mistakes.push(`${missing} is not set, but ${set} is; set both for HTTPS, or neither`);
  }
  if (config.maxUrlBytes > config.maxHeaderBytes) {
    mistakes.push(
      `MAX_URL_BYTES is ${config.maxUrlBytes}, above MAX_HEADER_BYTES (${config.maxHeaderBytes}), which counts the URL as well; write less`,
    );
  }
  const { username, password, host } = config;
  if ((username === undefined) !== (password === undefined) && !mistakes.some((each) => each.startsWith('AUTH_'))) {
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
  if (mistakes.length > 0) return { ok: false, mistakes };
  const { namespace, namespaces = [] } = config;
  const served = namespaces === '*' ? '*' : [...new Set([namespace, ...namespaces])];
  return { ok: true, config: { ...config, namespaces: served } };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

function readSetting(
  setting: Setting<unknown>,
  env: Readonly<Record<string, string | undefined>>,
): { readonly value: unknown } | { readonly mistake: string } {
  const { variable, older, kind } = setting;
  const own = env[variable] || undefined;
  const inherited = older === undefined ? undefined : env[older] || undefined;
  if (own !== undefined && inherited !== undefined && own !== inherited) {
    return { mistake: `${variable} and its older name ${older} differ; set only ${variable}` };
  }
  const name = own === undefined && inherited !== undefined ? (older ?? variable) : variable;
  const text = own ?? inherited ?? setting.fallback;
  if (text === undefined) {
    const { requiredWithout } = setting;
    if (requiredWithout === undefined || env[requiredWithout]) return { value: undefined };
    return { mistake: `${variable} is not set, nor is ${requiredWithout}; write ${kind.allowed}` };
  }
  const read = kind.read(text);
  return 'wrong' in read ? { mistake: `${name} ${read.wrong}; write ${kind.allowed}` } : read;
}

const allSettings: readonly Setting<unknown>[] = Object.values(settings);

/** Each setting with its purpose and what it may be, as `--help` prints them. */
export function settingsHelp(): readonly { readonly variable: string; readonly purpose: string }[] {
  return allSettings.map((setting) => {
    const { variable, purpose } = setting;
    return { variable, purpose: `${purpose.replaceAll('`', '')} ${standing(setting)}` };
  });
}

function standing({ fallback, requiredWithout, kind, unit }: Setting<unknown>): string {
  const type = unit === undefined ? kind.type : `${kind.type}, ${unit}`;
  if (requiredWithout !== undefined) return `(${type}; required without ${requiredWithout})`;
  return fallback === undefined ? `(${type})` : `(${type}; default ${fallback})`;
}

/** The settings as the table of docs/configuration.md. */
export function settingsMarkdown(): string {
  const lines = allSettings.map(({ variable, older, kind, unit, fallback, requiredWithout, purpose }) => {
    const type = unit === undefined ? kind.type : `${kind.type}, ${unit}`;
    const none = requiredWithout === undefined ? 'none' : `none: required without \`${requiredWithout}\``;
    const standard = fallback === undefined ? none : `\`${fallback}\``;
    const alias = older === undefined ? '' : ` Read from \`${older}\` where not set.`;
    return `| \`${variable}\` | ${type} | ${standard} | ${purpose}${alias} |`;
  });
  return ['| Variable | Type | Default | Purpose |', '|---|---|---|---|', ...lines].join('\n');
}

function words(text: string): string[] {
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

/** A text as JSON would show it, so that invisible characters are seen, and no longer than a line. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}...` : text);
}
