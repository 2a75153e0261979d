import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { loadConfig, settingsMarkdown } from './config.ts';

const least = { AUTH_USERNAME: 'ci', AUTH_PASSWORD: 'correct horse' };

describe('loadConfig', () => {
  it('needs no more than a name and a password', () => {
    const loaded = loadConfig(least);
    assert(loaded.ok);
    assert.deepEqual(loaded.config, {
      port: 8080,
      metricsPort: 9090,
      host: undefined,
      namespace: 'tekton-pipelines',
      namespaces: ['tekton-pipelines'],
      username: 'ci',
      password: 'correct horse',
      parts: ['gateway'],
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
      logLevel: 'info',
      logFormat: 'auto',
      tlsCertFile: undefined,
      tlsKeyFile: undefined,
    });
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
      name: 'a part of the future',
      given: { PARTS: 'gateway,triggers' },
      want: 'PARTS names "triggers", which comes in a later version; write gateway',
    },
    {
      name: 'a part nobody knows',
      given: { PARTS: 'gatway' },
      want: 'PARTS names "gatway", which is no part of rungate; write gateway',
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
      PARTS: 'hooks',
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

describe('the documentation of the settings', () => {
  it('is docs/configuration.md (UPDATE_DOCS=1 writes it)', () => {
    const file = new URL('../docs/configuration.md', import.meta.url);
    const page = readFileSync(file, 'utf8');
    const marks = /(<!-- settings: made from src\/config\.ts -->\n\n)([\s\S]*?)(\n\n<!-- end of settings -->)/;
    const wanted = page.replace(marks, (_all, begin, _table, end) => `${begin}${settingsMarkdown()}${end}`);
    if (process.env.UPDATE_DOCS === '1') writeFileSync(file, wanted);
    else assert.equal(page, wanted);
    assert.match(page, marks);
  });
});
