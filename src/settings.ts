/**
 * Every setting: its variable, what it may be, its default and its purpose. The one table below is what `loadConfig` (see
 * `config`) reads the environment with, what `--help` (see `commandline`) prints and what docs/configuration.md shows (a
 * test keeps them equal).
 */
import {
  anyText,
  credential,
  type Kind,
  namespace,
  namespaceGrants,
  namespaceList,
  networkList,
  objectName,
  oneOf,
  originList,
  partList,
  port,
  trueOrFalse,
  url,
  wholeNumber,
} from './values.ts';

/** A row of the table. */
export interface Setting<T> {
  readonly variable: string;
  /** The name an earlier program used; read where `variable` is not set. */
  readonly older?: string;
  readonly kind: Kind<T>;
  readonly unit?: string;
  /** As it would be written in the environment. */
  readonly fallback?: string;
  /** Needed by the gateway, unless the variable named here is set. */
  readonly requiredWithout?: string;
  /** Its value is never shown. */
  readonly secret?: boolean;
  readonly purpose: string;
}

/** The table. */
export const settings = {
  parts: {
    variable: 'PARTS',
    kind: partList,
    fallback: 'gateway,triggers,hooks',
    purpose:
      'What this process does: `gateway` is the API, `triggers` starts PipelineRuns for PipelineTriggers, `hooks` takes events of Flux and Git hosts. Only `gateway` needs callers; it and `hooks` open `PORT`. It is `triggers` alone where flags of Pipeline Trigger Operator are given and neither this nor any `AUTH_...` is set.',
  },
  port: {
    variable: 'PORT',
    kind: port,
    fallback: '8080',
    purpose: 'Port of the API and of hooks.',
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
    purpose: 'Address that ports are bound to; all addresses when not set.',
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
    purpose:
      'Namespaces served besides `NAMESPACE`, separated by commas, or `*` for all. PipelineTriggers of other namespaces start nothing.',
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
      'What each name may read (YAML, `name: [namespace, ...]`), and whose triggers it may run (`name: {read: [...], run: [...]}`); a name that is not in it may read every namespace served, and run nothing. Read again when it changes.',
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
  leaseName: {
    variable: 'LEASE_NAME',
    kind: objectName,
    fallback: 'bb9e0b30.jquad.rocks',
    purpose:
      'Lease by which replicas settle which of them starts runs. It has the name of the one of Pipeline Trigger Operator: the two exclude each other where they have one `LEASE_NAMESPACE` as well, and the operator runs with `--leader-elect`.',
  },
  leaseNamespace: {
    variable: 'LEASE_NAMESPACE',
    kind: namespace,
    purpose: "Namespace of that Lease; the pod's own when not set, outside of a pod `NAMESPACE`.",
  },
  leaseSeconds: {
    variable: 'LEASE_SECONDS',
    kind: wholeNumber(1, 3600),
    unit: 'seconds',
    fallback: '15',
    purpose: 'How long a replica that is heard from no more keeps the others waiting. The same for all replicas.',
  },
  podName: {
    variable: 'POD_NAME',
    kind: objectName,
    purpose: 'What this replica is called in the Lease; the name of its machine when not set.',
  },
  orphanRuns: {
    variable: 'ORPHAN_RUNS',
    kind: trueOrFalse,
    fallback: 'false',
    purpose:
      '`true`: runs have no owner and outlive their PipelineTrigger, as with the releases 0.1 of Pipeline Trigger Operator.',
  },
  maxDeletesPerSecond: {
    variable: 'MAX_DELETES_PER_SECOND',
    kind: wholeNumber(1, 10_000),
    fallback: '50',
    purpose: 'Runs deleted in a second at most, where PipelineTriggers keep fewer (`maxHistory`).',
  },
  managedCredentials: {
    variable: 'MANAGED_CREDENTIALS',
    kind: oneOf('on', 'off'),
    fallback: 'off',
    purpose:
      '`on`: ManagedCredentials get their Secret and ServiceAccount, and runs of PipelineTriggers that name one use them. Needs rights on Secrets.',
  },
  credentialsAcrossNamespaces: {
    variable: 'CREDENTIALS_ACROSS_NAMESPACES',
    kind: trueOrFalse,
    fallback: 'false',
    purpose:
      '`true`: a PipelineTrigger may name a ManagedCredential of another namespace, and that one a Secret of yet another. Whoever may write one of them then reads the Secrets of all namespaces served.',
  },
  allowUnauthenticatedHooks: {
    variable: 'ALLOW_UNAUTHENTICATED_HOOKS',
    kind: trueOrFalse,
    fallback: 'false',
    purpose: '`true`: hooks that name no Secret are served to everybody who can reach `PORT`; else to nobody.',
  },
  maxHookBytes: {
    variable: 'MAX_HOOK_BYTES',
    kind: wholeNumber(1024, 3 * 1024 * 1024),
    unit: 'bytes',
    fallback: '1048576',
    purpose: 'The longest body of a delivery to a hook; a longer one is answered 413.',
  },
  hooksPerSecond: {
    variable: 'HOOKS_PER_SECOND',
    kind: wholeNumber(0, 1_000_000),
    fallback: '10',
    purpose: 'Deliveries to one hook in a second, from whoever may deliver; more are answered 429. 0: no limit.',
  },
  hookBurst: {
    variable: 'HOOK_BURST',
    kind: wholeNumber(1, 1_000_000),
    fallback: '50',
    purpose: 'Deliveries that one hook may get at once before `HOOKS_PER_SECOND` holds.',
  },
  maxHooks: {
    variable: 'MAX_HOOKS',
    kind: wholeNumber(1, 10_000),
    fallback: '64',
    purpose: 'Deliveries to all hooks that are under way at the same time; one more is answered 429.',
  },
  fluxReceiverUrl: {
    variable: 'FLUX_RECEIVER_URL',
    kind: url,
    purpose:
      'URL of a Receiver of Flux, of type `generic` or `generic-hmac`, with the path that its `status.webhookPath` tells: asked to have Flux look at a source before a run by hand, where rungate may not annotate the source itself.',
  },
  fluxReceiverTokenFile: {
    variable: 'FLUX_RECEIVER_TOKEN_FILE',
    kind: anyText('path', 'the path of a file'),
    purpose:
      'The `token` of that Receiver, byte for byte, where it is of type `generic-hmac`. Read once, at the start.',
  },
  tektonTriggersCompat: {
    variable: 'TEKTON_TRIGGERS_COMPAT',
    kind: trueOrFalse,
    fallback: 'false',
    purpose:
      "`true`: EventListeners of Tekton Triggers are hooks as well, with their Triggers, TriggerBindings and TriggerTemplates, and hosts named `el-<name>.<namespace>.svc` lead to them. Tekton's own controller would start a pod for each.",
  },
  hooksDir: {
    variable: 'HOOKS_DIR',
    kind: anyText('path', 'the path of a folder with YAML files'),
    purpose:
      'Folder with manifests of EventListeners and what they name, for clusters that do not have these kinds. Read again when they change; they are served whatever `TEKTON_TRIGGERS_COMPAT` says.',
  },
  compatSourceNamespaces: {
    variable: 'COMPAT_SOURCE_NAMESPACES',
    kind: namespaceGrants,
    fallback: 'flux-system',
    purpose:
      'Namespaces whose sources an EventListener may be told of besides its own, separated by commas: `flux-system` for every EventListener, `apps/flux-system` for those of `apps`.',
  },
  compatRunNamespaces: {
    variable: 'COMPAT_RUN_NAMESPACES',
    kind: namespaceGrants,
    purpose:
      'Namespaces whose Triggers an EventListener may select, and in which its templates may create, besides its own; written as above. None unless set.',
  },
  compatTaskRuns: {
    variable: 'COMPAT_TASKRUNS',
    kind: trueOrFalse,
    fallback: 'false',
    purpose: '`true`: templates of EventListeners may create TaskRuns as well as PipelineRuns.',
  },
  secondClusterTokenFile: {
    variable: 'SECOND_CLUSTER_TOKEN_FILE',
    kind: anyText('path', 'the path of a file with a token'),
    purpose:
      'Token for the cluster that `--second-cluster-address` names, read again when it changes; instead of the flag, which everybody on the machine can read.',
  },
  secondClusterCaFile: {
    variable: 'SECOND_CLUSTER_CA_FILE',
    kind: anyText('path', 'the path of a PEM file'),
    purpose: 'Certificate authorities (PEM) of that cluster; those of Node.js when not set.',
  },
  secondClusterInsecure: {
    variable: 'SECOND_CLUSTER_INSECURE',
    kind: trueOrFalse,
    fallback: 'false',
    purpose: '`true`: its certificate is not verified, as with Pipeline Trigger Operator.',
  },
  secondClusterFailOpen: {
    variable: 'SECOND_CLUSTER_FAIL_OPEN',
    kind: trueOrFalse,
    fallback: 'false',
    purpose:
      '`true`: when that cluster could not be asked for 60 s, the run is started here (Pipeline Trigger Operator does so at once); else it waits until it can.',
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
  tlsClientCaFile: {
    variable: 'TLS_CLIENT_CA_FILE',
    kind: anyText('path', 'the path of a PEM file'),
    purpose:
      'Certificate authorities (PEM) of clients. With it clients are asked for a certificate, which hooks can want; who has none is served as well. Read again when it changes.',
  },
  // Read by kube/connect, together with what else it looks at; here so that the table is whole.
  kubeconfig: {
    variable: 'KUBECONFIG',
    kind: anyText('path', 'the path of a kubeconfig, or several separated as in PATH'),
    purpose:
      "Where the cluster is; `--kubeconfig` wins over it. Without either: `~/.kube/config`, else the pod's own identity.",
  },
} satisfies Record<string, Setting<unknown>>;

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
