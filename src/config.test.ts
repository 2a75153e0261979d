import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { loadConfig, replicaOf } from './config.ts';
import type { OperatorFlagName } from './flags.ts';
import { settingsMarkdown } from './settings.ts';

const least = { AUTH_USERNAME: 'ci', AUTH_PASSWORD: 'correct horse' };

describe('loadConfig', () => {
  it('needs no more than a name and a password', () => {
    const loaded = loadConfig(least);
    assert(loaded.ok);
    assert.deepEqual(loaded.config, {
      port: 8080,
      host: undefined,
      namespace: 'tekton-pipelines',
      namespaces: ['tekton-pipelines'],
      username: 'ci',
      password: 'correct horse',
      parts: ['gateway', 'triggers', 'hooks'],
      authFile: undefined,
      accessFile: undefined,
      trustProxy: undefined,
      corsOrigins: undefined,
      cache: 'on',
      watchSeconds: 300,
      maxStreams: 1000,
      maxStreamsPerCaller: undefined,
      maxWaiters: 20_000,
      requestsPerSecond: 0,
      requestBurst: 100,
      maxConnections: 25_000,
      maxHeaderBytes: 16_384,
      maxUrlBytes: 8_192,
      headerSeconds: 15,
      idleSeconds: 75,
      slowClientSeconds: 120,
      stallSeconds: 30,
      graceSeconds: 30,
      cursorKeyFile: undefined,
      externalLogsUrl: undefined,
      maxWaitSeconds: 300,
      drainSeconds: 25,
      leaseName: 'bb9e0b30.jquad.rocks',
      leaseNamespace: undefined,
      leaseSeconds: 15,
      podName: undefined,
      orphanRuns: false,
      maxDeletesPerSecond: 50,
      managedCredentials: 'off',
      credentialsAcrossNamespaces: false,
      allowUnauthenticatedHooks: false,
      maxHookBytes: 1_048_576,
      hooksPerSecond: 10,
      hookBurst: 50,
      maxHooks: 64,
      fluxReceiverUrl: undefined,
      fluxReceiverTokenFile: undefined,
      tektonTriggersCompat: false,
      hooksDir: undefined,
      compatSourceNamespaces: ['flux-system'],
      compatRunNamespaces: [],
      compatTaskRuns: false,
      logLevel: 'info',
      logFormat: 'auto',
      tlsCertFile: undefined,
      tlsKeyFile: undefined,
      tlsClientCaFile: undefined,
      probing: [{ host: undefined, port: 9090, portSetting: 'METRICS_PORT', hostSetting: 'HOST' }],
      crossDc: false,
      secondCluster: undefined,
    });
    assert.deepEqual(loaded.warnings, []);
  });

  const served = [
    { name: 'none', given: {}, want: ['tekton-pipelines'] },
    { name: 'a list', given: { NAMESPACES: 'team-a, team-b' }, want: ['tekton-pipelines', 'team-a', 'team-b'] },
    { name: 'the default one twice', given: { NAMESPACE: 'a', NAMESPACES: 'b,a' }, want: ['a', 'b'] },
    { name: 'all', given: { NAMESPACES: '*' }, want: '*' },
  ];
  for (const { name, given, want } of served) {
    it(`serves the namespaces of NAMESPACE and NAMESPACES: ${name}`, () => {
      const loaded = loadConfig({ ...least, ...given });
      assert(loaded.ok);
      assert.deepEqual(loaded.config.namespaces, want);
    });
  }

  it('needs neither name nor password beside a file of callers', () => {
    const loaded = loadConfig({ AUTH_FILE: '/callers' });
    assert(loaded.ok);
    assert.deepEqual([loaded.config.username, loaded.config.password], [undefined, undefined]);
  });

  it('lets the demo have its password on this machine alone', () => {
    const demo = { AUTH_USERNAME: 'demo', AUTH_PASSWORD: 'demo' };
    assert(loadConfig({ ...demo, HOST: '127.0.0.1' }, { demo: true }).ok);
    for (const HOST of ['', '0.0.0.0', '192.0.2.1']) assert(!loadConfig({ ...demo, HOST }, { demo: true }).ok, HOST);
    assert(!loadConfig({ ...demo, HOST: '127.0.0.1' }).ok);
  });

  it("reads the listener's older names where the newer are not set", () => {
    const loaded = loadConfig({ BASIC_USERNAME: 'old', BASIC_PASSWORD: 'older' });
    assert(loaded.ok);
    assert.equal(loaded.config.username, 'old');
    assert.equal(loaded.config.password, 'older');
  });

  const mistakes: { name: string; given: Record<string, string>; want: string }[] = [
    {
      name: 'a port that is none',
      given: { PORT: 'http' },
      want: 'PORT is "http"; write a port from 1 to 65535, or 0 for any free one',
    },
    {
      name: 'a port out of range',
      given: { PORT: '65536' },
      want: 'PORT is "65536"; write a port from 1 to 65535, or 0 for any free one',
    },
    {
      name: 'one port for two',
      given: { PORT: '9090' },
      want: 'PORT and METRICS_PORT are both 9090; write two different ports',
    },
    {
      name: 'what Kubernetes sets for a Service named metrics',
      given: { METRICS_PORT: 'tcp://10.0.0.1:9090' },
      want: 'METRICS_PORT is "tcp://10.0.0.1:9090", set by Kubernetes for a Service of that name (enableServiceLinks: false in the pod prevents it); write a port from 1 to 65535, or 0 for any free one',
    },
    {
      name: 'a namespace that is none',
      given: { NAMESPACE: 'Team_A' },
      want: 'NAMESPACE is "Team_A"; write a namespace: lower case letters, digits and "-", at most 63 characters',
    },
    {
      name: 'a list with a bad one',
      given: { NAMESPACES: 'a,b.c' },
      want: 'NAMESPACES names "b.c", which is not a namespace; write namespaces separated by commas, or * for all',
    },
    {
      name: 'a list with all and one',
      given: { NAMESPACES: 'a,*' },
      want: 'NAMESPACES is "a,*", which has * beside names; write namespaces separated by commas, or * for all',
    },
    {
      name: 'no password',
      given: { AUTH_PASSWORD: '' },
      want: 'AUTH_PASSWORD is not set, nor is AUTH_FILE; write text without control characters',
    },
    {
      name: 'a password from echo',
      given: { AUTH_PASSWORD: 'secret\n' },
      want: 'AUTH_PASSWORD ends with a line break (printf writes none, echo does); write text without control characters',
    },
    {
      name: 'a name with a colon',
      given: { AUTH_USERNAME: 'a:b' },
      want: 'AUTH_USERNAME has a ":", which ends the name in Basic credentials; write text without control characters and without ":"',
    },
    {
      name: 'a name without its password, beside a file of callers',
      given: { AUTH_PASSWORD: '', AUTH_FILE: '/callers' },
      want: 'AUTH_PASSWORD is not set, but AUTH_USERNAME is; set both, or neither and AUTH_FILE',
    },
    {
      name: 'a password that is the name',
      given: { AUTH_USERNAME: 'gateway-ci', AUTH_PASSWORD: 'gateway-ci' },
      want: 'AUTH_PASSWORD is one that everybody tries first; write a long random one',
    },
    {
      name: 'a password that came with some program',
      given: { AUTH_PASSWORD: 'ChangeMe' },
      want: 'AUTH_PASSWORD is one that everybody tries first; write a long random one',
    },
    {
      name: 'a URL longer than all headers',
      given: { MAX_URL_BYTES: '20000' },
      want: 'MAX_URL_BYTES is 20000, above MAX_HEADER_BYTES (16384), which counts the URL as well; write less',
    },
    {
      name: 'a proxy that is no network',
      given: { TRUST_PROXY: '10.0.0.0/8,10.0.0.0/40' },
      want: 'TRUST_PROXY names "10.0.0.0/40", which is no address or network; write addresses or networks such as 10.0.0.0/8 or fd00::/8, separated by commas',
    },
    {
      name: 'every origin',
      given: { CORS_ORIGINS: '*' },
      want: 'CORS_ORIGINS names "*", which is no origin; write origins such as https://dashboard.example.com, separated by commas',
    },
    {
      name: 'an origin with a path',
      given: { CORS_ORIGINS: 'https://a.example/' },
      want: 'CORS_ORIGINS names "https://a.example/", which is no origin; write origins such as https://dashboard.example.com, separated by commas',
    },
    {
      name: 'two names that differ',
      given: { BASIC_USERNAME: 'other' },
      want: 'AUTH_USERNAME and its older name BASIC_USERNAME differ; set only AUTH_USERNAME',
    },
    {
      name: 'authorities of clients without a certificate of the server',
      given: { TLS_CLIENT_CA_FILE: '/ca.crt' },
      want: 'TLS_CLIENT_CA_FILE is set, but TLS_CERT_FILE is not; set TLS_CERT_FILE and TLS_KEY_FILE as well',
    },
    {
      name: 'a grant that is no namespace',
      given: { COMPAT_SOURCE_NAMESPACES: 'flux-system,apps=other' },
      want: 'COMPAT_SOURCE_NAMESPACES names "apps=other", which is neither of them; write namespaces separated by commas, each for all or, as in apps/flux-system, for one namespace alone',
    },
    {
      name: 'a list without parts',
      given: { PARTS: ',' },
      want: 'PARTS is ","; write a list of gateway, triggers, hooks',
    },
    {
      name: 'a Lease whose name is none',
      given: { LEASE_NAME: 'Lease' },
      want: 'LEASE_NAME is "Lease"; write a name of an object: lower case letters, digits, "-" and ".", at most 253 characters',
    },
    {
      name: 'a Lease without an end',
      given: { LEASE_SECONDS: '0' },
      want: 'LEASE_SECONDS is "0"; write a whole number from 1 to 3600',
    },
    {
      name: 'a yes that is none',
      given: { ORPHAN_RUNS: 'on' },
      want: 'ORPHAN_RUNS is "on"; write one of true, false',
    },
    {
      name: 'a part nobody knows',
      given: { PARTS: 'gatway' },
      want: 'PARTS names "gatway", which is no part of rungate; write a list of gateway, triggers, hooks',
    },
    {
      name: 'a wait too long',
      given: { MAX_WAIT: '3601' },
      want: 'MAX_WAIT is "3601"; write a whole number from 0 to 3600',
    },
    {
      name: 'seconds with a unit',
      given: { DRAIN_SECONDS: '25s' },
      want: 'DRAIN_SECONDS is "25s"; write a whole number from 0 to 3600',
    },
    {
      name: 'a level nobody knows',
      given: { LOG_LEVEL: 'trace' },
      want: 'LOG_LEVEL is "trace"; write one of error, warn, info, debug',
    },
    {
      name: 'a certificate without key',
      given: { TLS_CERT_FILE: '/tls.crt' },
      want: 'TLS_KEY_FILE is not set, but TLS_CERT_FILE is; set both for HTTPS, or neither',
    },
  ];
  for (const { name, given, want } of mistakes) {
    it(`refuses ${name}`, () => {
      assert.deepEqual(loadConfig({ ...least, ...given }), { ok: false, mistakes: [want] });
    });
  }

  it('names every mistake at once, and never a secret', () => {
    const given = {
      PORT: 'http',
      METRICS_PORT: '-1',
      NAMESPACE: 'A',
      NAMESPACES: 'b,C',
      AUTH_PASSWORD: 'hunter2\n',
      PARTS: 'hook',
      MAX_HOOK_BYTES: '3145729',
      COMPAT_SOURCE_NAMESPACES: 'a/b/c',
      MAX_STREAMS: '0',
      MAX_WAIT: '1h',
      LOG_FORMAT: 'xml',
      TLS_KEY_FILE: '/tls.key',
    };
    const loaded = loadConfig(given);
    assert(!loaded.ok);
    const named = loaded.mistakes.map((mistake) => mistake.split(' ', 1)[0]);
    const { TLS_KEY_FILE: _given, ...wrong } = given;
    assert.deepEqual(named.toSorted(), [...Object.keys(wrong), 'AUTH_USERNAME', 'TLS_CERT_FILE'].toSorted());
    assert.doesNotMatch(loaded.mistakes.join(), /hunter2/);
  });
});

describe('PARTS', () => {
  const table = [
    { given: 'triggers,gateway', want: ['gateway', 'triggers'] },
    { given: 'triggers, triggers', want: ['triggers'] },
    { given: 'gateway', want: ['gateway'] },
    { given: 'hooks,gateway', want: ['gateway', 'hooks'] },
  ];
  for (const { given, want } of table) {
    it(`${given} is ${want.join(' and ')}`, () => {
      const loaded = loadConfig({ ...least, PARTS: given });
      assert(loaded.ok);
      assert.deepEqual(loaded.config.parts, want);
    });
  }

  it('without the gateway needs no callers, and what only the gateway has cannot contradict', () => {
    assert(loadConfig({ PARTS: 'triggers' }).ok);
    assert(loadConfig({ PARTS: 'triggers', PORT: '9090', AUTH_PASSWORD: 'admin', TLS_KEY_FILE: '/tls.key' }).ok);
  });

  it('without the gateway hooks need no callers, and their port may not be that of another', () => {
    assert(loadConfig({ PARTS: 'hooks' }).ok);
    assert.deepEqual(loadConfig({ PARTS: 'hooks', PORT: '9090', TLS_KEY_FILE: '/tls.key' }), {
      ok: false,
      mistakes: [
        'PORT and METRICS_PORT are both 9090; write two different ports',
        'TLS_CERT_FILE is not set, but TLS_KEY_FILE is; set both for HTTPS, or neither',
      ],
    });
  });

  it('of the demo has the gateway', () => {
    assert.deepEqual(loadConfig({ PARTS: 'triggers' }, { demo: true }), {
      ok: false,
      mistakes: ['PARTS leaves out gateway, which is what the demo shows; add it'],
    });
  });
});

describe('flags of Pipeline Trigger Operator', () => {
  type Given = Partial<Record<OperatorFlagName, string>>;
  const load = (flags: Given, env: Record<string, string> = {}) =>
    loadConfig(env, { operator: new Map(Object.entries(flags) as [OperatorFlagName, string][]) });
  const place = (text: string, portSetting: string, hostSetting = 'HOST') => {
    const [, host, port] = /^(.*):(\d+)$/.exec(text) ?? [];
    return { host: host || undefined, port: Number(port), portSetting, hostSetting };
  };
  const own = place(':9090', 'METRICS_PORT');

  it('alone make it the operator: its part, its namespaces, its ports, no callers', () => {
    const loaded = load({ 'leader-elect': 'true' });
    assert(loaded.ok);
    const { parts, namespaces, probing } = loaded.config;
    assert.deepEqual({ parts, namespaces }, { parts: ['triggers'], namespaces: '*' });
    assert.deepEqual(probing, [
      own,
      place(':8080', '--metrics-bind-address'),
      place(':8081', '--health-probe-bind-address'),
    ]);
  });

  it('do so within the namespaces that are named', () => {
    for (const [env, want] of [
      [{ NAMESPACE: 'ci' }, ['ci']],
      [{ NAMESPACES: 'ci' }, ['tekton-pipelines', 'ci']],
    ] as const) {
      const loaded = load({ 'zap-devel': 'true' }, env);
      assert(loaded.ok);
      assert.deepEqual(loaded.config.namespaces, want);
    }
  });

  it('do not where somebody says otherwise', () => {
    for (const env of [{ PARTS: 'gateway,triggers,hooks', ...least }, least, { AUTH_FILE: '/callers' }]) {
      const loaded = load({ 'leader-elect': 'true' }, env);
      assert(loaded.ok);
      const { parts, namespaces, probing } = loaded.config;
      assert.deepEqual(parts, ['gateway', 'triggers', 'hooks']);
      assert.deepEqual([namespaces, probing], [['tekton-pipelines'], [own]]);
    }
    const narrowed = load({ 'leader-elect': 'true' }, { PARTS: 'triggers' });
    assert(narrowed.ok);
    assert.deepEqual(narrowed.config.probing, [own]);
  });

  const addresses: { name: string; flags: Given; env?: Record<string, string>; want: readonly object[] }[] = [
    {
      name: 'where the proxy variant has them',
      flags: { 'metrics-bind-address': '127.0.0.1:8080', 'health-probe-bind-address': ':8081' },
      want: [
        own,
        place('127.0.0.1:8080', '--metrics-bind-address', '--metrics-bind-address'),
        place(':8081', '--health-probe-bind-address'),
      ],
    },
    { name: 'not at all', flags: { 'metrics-bind-address': '0', 'health-probe-bind-address': '0' }, want: [own] },
    {
      name: 'where the operator does, when they are empty',
      flags: { 'metrics-bind-address': '', 'health-probe-bind-address': '0' },
      want: [own, place(':8080', '--metrics-bind-address')],
    },
    {
      name: 'once where both are the same',
      flags: { 'metrics-bind-address': ':8081' },
      want: [own, place(':8081', '--metrics-bind-address')],
    },
    {
      name: 'once where METRICS_PORT does',
      flags: { 'metrics-bind-address': '127.0.0.1:9090', 'health-probe-bind-address': ':9090' },
      want: [own],
    },
    {
      name: 'at the widest of those that overlap',
      flags: { 'metrics-bind-address': '0.0.0.0:9090', 'health-probe-bind-address': '0' },
      env: { HOST: '127.0.0.1' },
      want: [place('0.0.0.0:9090', '--metrics-bind-address', '--metrics-bind-address')],
    },
    {
      name: 'at any port as often as told',
      flags: { 'metrics-bind-address': ':0', 'health-probe-bind-address': '[::1]:0' },
      env: { METRICS_PORT: '0', HOST: '127.0.0.1' },
      want: [
        place('127.0.0.1:0', 'METRICS_PORT'),
        place('127.0.0.1:0', '--metrics-bind-address'),
        place('::1:0', '--health-probe-bind-address', '--health-probe-bind-address'),
      ],
    },
  ];
  for (const { name, flags, env = {}, want } of addresses) {
    it(`listen ${name}`, () => {
      const loaded = load(flags, env);
      assert(loaded.ok);
      assert.deepEqual(loaded.config.probing, want);
    });
  }

  const logs: { flags: Given; env?: Record<string, string>; want: readonly [string, string] }[] = [
    { flags: { 'leader-elect': 'true' }, want: ['info', 'auto'] },
    { flags: { 'zap-devel': 'true' }, want: ['debug', 'text'] },
    { flags: { 'zap-devel': 'false' }, want: ['info', 'json'] },
    { flags: { 'zap-devel': 'T', 'zap-encoder': 'JSON', 'zap-log-level': 'Error' }, want: ['error', 'json'] },
    { flags: { 'zap-encoder': 'console', 'zap-log-level': 'panic' }, want: ['error', 'text'] },
    { flags: { 'zap-log-level': '5' }, want: ['debug', 'auto'] },
    { flags: { 'zap-log-level': 'debug' }, env: { LOG_LEVEL: 'warn', LOG_FORMAT: 'json' }, want: ['warn', 'json'] },
    { flags: { 'zap-stacktrace-level': 'panic', 'zap-time-encoding': 'RFC3339Nano' }, want: ['info', 'auto'] },
  ];
  for (const { flags, env = {}, want } of logs) {
    it(`log as ${Object.entries({ ...flags, ...env }).join(' ')} says`, () => {
      const loaded = load(flags, env);
      assert(loaded.ok);
      assert.deepEqual([loaded.config.logLevel, loaded.config.logFormat], want);
    });
  }

  it('ask for the lock of data centres', () => {
    for (const [text, want] of [
      ['true', true],
      ['1', true],
      ['FALSE', false],
      ['', false],
    ] as const) {
      const loaded = load({ 'cross-dc-leader-elect': text });
      assert(loaded.ok);
      assert.equal(loaded.config.crossDc, want, text);
    }
  });

  const second = {
    'second-cluster': 'true',
    'second-cluster-address': 'https://b.example:6443/',
  } as const;

  it('name a second cluster, its token on the command line or in a file', () => {
    const usual = { address: 'https://b.example:6443', caFile: undefined, insecureSkipVerify: false, failOpen: false };
    const told = load({ ...second, 'second-cluster-bearer-token': 't0ken' });
    assert(told.ok);
    assert.deepEqual(told.config.secondCluster, { ...usual, token: { text: 't0ken' } });
    assert.doesNotMatch(told.warnings.join(), /t0ken/);
    const kept = load(second, {
      SECOND_CLUSTER_TOKEN_FILE: '/token',
      SECOND_CLUSTER_CA_FILE: '/ca',
      SECOND_CLUSTER_INSECURE: 'true',
      SECOND_CLUSTER_FAIL_OPEN: 'true',
    });
    assert(kept.ok);
    const { address } = usual;
    assert.deepEqual(kept.config.secondCluster, {
      address,
      token: { file: '/token' },
      caFile: '/ca',
      insecureSkipVerify: true,
      failOpen: true,
    });
    const off = load({ 'second-cluster': 'false', 'second-cluster-address': '', 'second-cluster-bearer-token': '' });
    assert(off.ok);
    assert.equal(off.config.secondCluster, undefined);
  });

  const warned: { flags: Given; env?: Record<string, string>; want: RegExp }[] = [
    { flags: { 'leader-elect': 'false' }, want: /^--leader-elect=false has no effect/ },
    {
      flags: { ...second, 'second-cluster-bearer-token': 't' },
      want: /^--second-cluster-bearer-token can be read by everybody on this machine/,
    },
    {
      flags: second,
      env: { SECOND_CLUSTER_TOKEN_FILE: '/token', SECOND_CLUSTER_INSECURE: 'true' },
      want: /^SECOND_CLUSTER_INSECURE is true/,
    },
  ];
  for (const { flags, env = {}, want } of warned) {
    it(`warn: ${want.source}`, () => {
      const loaded = load(flags, env);
      assert(loaded.ok);
      assert.equal(loaded.warnings.length, 1);
      assert.match(loaded.warnings[0] ?? '', want);
    });
  }

  const mistakes: { name: string; flags: Given; env?: Record<string, string>; want: string }[] = [
    {
      name: 'an address without a port',
      flags: { 'metrics-bind-address': '8080' },
      want: '--metrics-bind-address is "8080"; write an address with a port such as :8080 or 127.0.0.1:8080, or 0 for none',
    },
    {
      name: 'a port out of range',
      flags: { 'health-probe-bind-address': ':65536' },
      want: '--health-probe-bind-address is ":65536"; write an address with a port such as :8080 or 127.0.0.1:8080, or 0 for none',
    },
    {
      name: 'an address that is that of the API',
      flags: { 'metrics-bind-address': '127.0.0.1:8080' },
      env: least,
      want: 'PORT and --metrics-bind-address are both 8080; write two different ports',
    },
    {
      name: 'a boolean that is none',
      flags: { 'leader-elect': 'yes' },
      want: '--leader-elect is "yes"; write true or false',
    },
    {
      name: 'an encoder nobody knows',
      flags: { 'zap-encoder': 'xml' },
      want: '--zap-encoder is "xml"; write one of json, console',
    },
    {
      name: 'a level that is none',
      flags: { 'zap-log-level': '0' },
      want: '--zap-log-level is "0"; write one of debug, info, error, panic, or a whole number above 0',
    },
    {
      name: 'a level that is a word of JavaScript',
      flags: { 'zap-stacktrace-level': 'constructor' },
      want: '--zap-stacktrace-level is "constructor"; write one of debug, info, error, panic',
    },
    {
      name: 'a second cluster nobody knows the place of',
      flags: { 'second-cluster': 'true', 'second-cluster-bearer-token': 't' },
      want: '--second-cluster needs --second-cluster-address',
    },
    {
      name: 'a second cluster without a token',
      flags: second,
      want: '--second-cluster needs SECOND_CLUSTER_TOKEN_FILE, or --second-cluster-bearer-token',
    },
    {
      name: 'two tokens',
      flags: { ...second, 'second-cluster-bearer-token': 't0ken' },
      env: { SECOND_CLUSTER_TOKEN_FILE: '/token' },
      want: 'SECOND_CLUSTER_TOKEN_FILE and --second-cluster-bearer-token are both given; keep the file',
    },
    {
      name: 'a second cluster that everybody can listen to',
      flags: { ...second, 'second-cluster-address': 'http://b.example', 'second-cluster-bearer-token': 't' },
      want: '--second-cluster-address is "http://b.example"; write the URL of an API server: https://, or http:// to this machine alone',
    },
  ];
  for (const { name, flags, env = {}, want } of mistakes) {
    it(`refuse ${name}`, () => assert.deepEqual(load(flags, env), { ok: false, mistakes: [want] }));
  }

  it('are wrong together with settings, all at once', () => {
    const loaded = load({ 'leader-elect': 'maybe', 'zap-encoder': 'xml' }, { PORT: 'x', ...least });
    assert(!loaded.ok);
    assert.deepEqual(
      loaded.mistakes.map((mistake) => mistake.split(' ', 1)[0]),
      ['--leader-elect', '--zap-encoder', 'PORT'],
    );
  });
});

describe('replicaOf', () => {
  const settings = { podName: undefined, leaseNamespace: undefined, namespace: 'tekton-pipelines' };
  const here = { hostname: 'node-1', podNamespace: undefined, unique: 'u' };
  const table = [
    { name: 'outside of a pod', given: settings, at: here, want: ['node-1_u', 'tekton-pipelines'] },
    { name: 'in a pod', given: settings, at: { ...here, podNamespace: 'ops' }, want: ['node-1_u', 'ops'] },
    {
      name: 'as told',
      given: { ...settings, podName: 'rungate-0', leaseNamespace: 'leases' },
      at: { ...here, podNamespace: 'ops' },
      want: ['rungate-0_u', 'leases'],
    },
  ];
  for (const { name, given, at, want } of table) {
    it(`is somebody ${name}`, () => {
      const { identity, leaseNamespace } = replicaOf(given, at);
      assert.deepEqual([identity, leaseNamespace], want);
    });
  }
});

describe('the documentation of the settings', () => {
  it('is docs/configuration.md (UPDATE_DOCS=1 writes it)', () => {
    const file = new URL('../docs/configuration.md', import.meta.url);
    const page = readFileSync(file, 'utf8');
    const marks = /(<!-- settings: made from src\/settings\.ts -->\n\n)([\s\S]*?)(\n\n<!-- end of settings -->)/;
    const wanted = page.replace(marks, (_all, begin, _table, end) => `${begin}${settingsMarkdown()}${end}`);
    if (process.env.UPDATE_DOCS === '1') writeFileSync(file, wanted);
    else assert.equal(page, wanted);
    assert.match(page, marks);
  });
});
