/**
 * monitoring/ on the real thing: the image as a pod with every part on, scraped by a real Prometheus with the configuration of
 * docs/metrics.md. Each query of dashboard, alerts and docs has an answer, and the commands of the runbooks are typed.
 *
 * What only happens when something breaks (a log that is resumed, a list anew) is counted by a second rungate, a process behind a
 * fault proxy, which the same Prometheus scrapes.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parse, stringify } from 'yaml';
import { eventually } from '../support/eventually.ts';
import { expiredFrame, on } from '../support/fault-proxy.ts';
import { ask, checkout, type Gateway } from '../support/gateway.ts';
import { postOnce } from '../support/hook-client.ts';
import { hookedTrigger } from '../support/hook-manifests.ts';
import { type HookWorld, startHookWorld } from '../support/hooks.ts';
import { clusterSuite } from '../support/needs.ts';
import { runProgram } from '../support/program.ts';
import { type Dashboard, queriesOf, selectorsIn } from '../support/promql.ts';
import { blocksOf, sitDown } from '../support/typed-docs.ts';
import { connect } from './cluster.ts';
import { raiseImage } from './image.ts';
import { type Installation, install, serve } from './installation.ts';
import { type Prometheus, type PrometheusPrograms, prometheusPrograms, startPrometheus } from './prometheus.ts';

const read = (path: string) => readFileSync(checkout + path, 'utf8');
const dashboard: Dashboard = JSON.parse(read('monitoring/dashboard.json'));
const patience = { withinMs: 240_000, everyMs: 250 };

/** What only breaks can bring about. */
const ofTheProcess = ['rungate_log_resumes_total', 'rungate_watch_relists_total'];

clusterSuite('monitoring', { root: true }, () => {
  let programs: PrometheusPrograms;
  let world: HookWorld;
  let pod: Installation;
  let gateway: Gateway;
  let prometheus: Prometheus;

  before(async function () {
    this.timeout(25 * 60_000); // whoever comes first builds the image
    programs = await prometheusPrograms();
    await raiseImage();
    world = await startHookWorld({ gateway: false, faults: true });
    const env = { NAMESPACES: world.namespace, HOOKS_DIR: '/tmp', HOOKS_PER_SECOND: '1', HOOK_BURST: '3' };
    pod = await install(world, { folder: 'overlays/hooks', env });
    await serve(world, pod, world.namespace);
    await pod.rolledOut();
    gateway = await brokenGateway(world);
    const config = await configuration(world, pod, gateway.metricsUrl);
    prometheus = await startPrometheus(programs, { folder: world.folder, config });
    await everything(world, pod);
  });
  after(async () => {
    await prometheus?.end();
    if (pod) await world.admin.remove(`/api/v1/namespaces/${pod.namespace}`);
    await world?.end();
  });

  it('has rules that promtool takes, and that fire when they should and only then', async () => {
    for (const args of [
      ['check', 'rules', 'monitoring/rungate.rules.yaml'],
      ['test', 'rules', 'monitoring/rungate.rules.test.yaml'],
    ]) {
      const { code, stdout, stderr } = await runProgram(programs.promtool, args, { cwd: checkout });
      assert.equal(code, 0, `${args.join(' ')}\n${stdout}${stderr}`);
    }
  });

  it('is rendered by kubectl as it is applied', async () => {
    const { code, stdout, stderr } = await world.kubectl('kustomize', `${checkout}monitoring`);
    assert.equal(code, 0, stderr);
    const kinds = [...stdout.matchAll(/^kind: (\w+)$/gm)].map(([, kind]) => kind);
    assert.deepEqual(kinds.toSorted(), ['ConfigMap', 'PrometheusRule', 'ServiceMonitor']);
  });

  it('finds every series of dashboard, alerts and docs in a scrape of the pod, once everything has happened', async () => {
    const address = await eventually(async () => {
      const [series] = await prometheus.query('rungate_build_info{pod!=""}');
      return series?.metric.instance ?? assert.fail('the pod is not scraped yet');
    }, patience);
    const wanted = new Set(
      expressions().flatMap(({ expression }) => selectorsIn(expression).map(({ metric }) => metric)),
    );
    wanted.delete('up'); // which Prometheus makes
    await eventually(async () => {
      const scrape = await (await fetch(`http://${address}/metrics`)).text();
      const inPod = new Set([...scrape.matchAll(/^(\w+)[{ ]/gm)].map(([, name]) => name));
      const missing = [...wanted].filter((name) => !inPod.has(name));
      assert.deepEqual(
        missing.filter((name) => !ofTheProcess.includes(name)),
        [],
      );
      const ofProcess = await gateway.metrics();
      for (const name of missing) assert(ofProcess.includes(`${name}{`), name);
    }, patience);
  });

  it('answers each query with series that have the labels it groups by', async () => {
    for (const { title, expression } of expressions().filter(({ isAlert }) => !isAlert)) {
      await eventually(async () => {
        const found = await prometheus.query(expression);
        assert(found.length > 0, `${title} has no answer: ${expression}`);
        const [, by = ''] = /^\w+ by \(([^)]*)\)/.exec(expression) ?? [];
        for (const label of by.split(', ').filter((name) => name !== '' && name !== 'repo')) {
          assert(
            found.some(({ metric }) => metric[label] !== undefined),
            `${title}: no ${label}`,
          );
        }
      }, patience);
    }
  });

  it('answers the queries of the original operator as that would', async () => {
    const isOf = (name: string, value: string) => async (expression: string) => {
      const found = await prometheus.query(expression);
      const own = found.find(({ metric }) => metric.name === name && metric.namespace === world.namespace);
      assert.equal(own?.value[1], value, `${expression}\n${JSON.stringify(found)}`);
      assert.deepEqual(
        [own?.metric.kind, own?.metric.sourcekind, own?.metric.repo !== ''],
        ['PipelineTrigger', 'GitRepository', true],
      );
    };
    const [inError = '', ended = ''] = originalQueries();
    await eventually(() => isOf('broken', '1')(inError), patience);
    await eventually(() => isOf('app', '1')(`${ended} == 1`), patience);
  });

  it('evaluates every alert without an error, and one of them is about to fire for the trigger in Error', async () => {
    await eventually(async () => {
      const rules = await prometheus.rules();
      const { groups } = parse(read('monitoring/rungate.rules.yaml'));
      assert.equal(rules.length, groups.flatMap((group: { rules: readonly object[] }) => group.rules).length);
      for (const { name, health, lastError } of rules) assert.equal(health, 'ok', `${name}: ${lastError}`);
      const state = (alert: string) => rules.find(({ name }) => name === alert)?.state;
      assert.match(state('RungateTriggerError') ?? '', /^(?:pending|firing)$/); // after 15 minutes it fires
      for (const quiet of [
        'RungateDown',
        'RungateNoLeader',
        'RungateTwoLeaders',
        'RungateWatchStale',
        'RungateNotReady',
      ])
        assert.equal(state(quiet), 'inactive', quiet);
    }, patience);
  });

  it('tells in its runbooks, and in docs/logging.md, only commands that work', async function () {
    this.timeout(600_000);
    const { kubectl, kubeconfig } = await connect();
    const typist = await sitDown({
      folder: checkout,
      env: { ...process.env, KUBECONFIG: kubeconfig, PATH: `${dirname(kubectl.file)}:${process.env.PATH}` },
      put: (text) => text.replaceAll('tekton-pipelines', pod.namespace),
    });
    try {
      const pages = [
        'docs/logging.md',
        ...readdirSync(`${checkout}docs/runbooks`).map((name) => `docs/runbooks/${name}`),
      ];
      for (const page of pages) for (const block of blocksOf(page, read(page))) await typist.type(block);
    } finally {
      await typist.leave();
    }
  });

  it('finds in the log of the pod what docs/logging.md says of it', async () => {
    const known = new Set([...read('docs/logging.md').matchAll(/^\| `(.+?)` \|/gm)].map(([, message]) => message));
    const text = await pod.kubectl('logs', 'deployment/rungate', '--tail=-1');
    const lines = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { readonly time: string; readonly level: string; readonly message: string });
    for (const { time, level, message } of lines) {
      assert.match(time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
      assert(['error', 'warn', 'info'].includes(level), level);
      assert(known.has(message), message);
    }
    for (const message of [
      'listening',
      'listed',
      'this replica leads',
      'a run was started',
      'request',
      'audit',
      'hook delivery',
    ])
      assert(
        lines.some((line) => line.message === message),
        message,
      );
  });
});

interface Expression {
  readonly title: string;
  readonly expression: string;
  readonly isAlert: boolean;
}

/** Every expression there is. */
function expressions(): readonly Expression[] {
  const { groups } = parse(read('monitoring/rungate.rules.yaml')) as {
    readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[];
  };
  return [
    ...groups.flatMap(({ rules }) =>
      rules.map(({ alert, expr }) => ({ title: alert, expression: expr, isAlert: true })),
    ),
    ...queriesOf(dashboard).map((query) => ({ ...query, isAlert: false })),
    ...originalQueries().map((expression) => ({ title: 'docs/metrics.md', expression, isAlert: false })),
  ];
}

/** The queries of the original operator's dashboard, as docs/metrics.md has them. */
function originalQueries(): readonly string[] {
  return [...read('docs/metrics.md').matchAll(/^\| `(pipelinetrigger_\w+\{.+?)` \|/gm)].map(([, query = '']) =>
    query.replaceAll('\\|', '|'),
  );
}

/**
 * The configuration that docs/metrics.md shows, and beside it the process. Debian builds its Prometheus without the discovery of
 * Kubernetes, so the test tells it of the pod what discovery would: a target for each port, with the same labels.
 */
async function configuration({ folder }: HookWorld, pod: Installation, metricsUrl: string): Promise<string> {
  const [, block = ''] = /```yaml\n([\s\S]*?)```/.exec(read('docs/metrics.md')) ?? [];
  const {
    scrape_configs: [scrape],
    ...rest
  } = parse(block);
  const { kubernetes_sd_configs: discovery, ...scraping } = scrape;
  assert.deepEqual(discovery, [{ role: 'pod', namespaces: { names: ['tekton-pipelines'] } }]);
  const beside = {
    job_name: 'process',
    honor_labels: true,
    static_configs: [{ targets: [new URL(metricsUrl).host], labels: { job: 'rungate', namespace: 'beside' } }],
  };
  await writeFile(join(folder, 'rungate.rules.yaml'), read('monitoring/rungate.rules.yaml'));
  return stringify({
    ...rest,
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    scrape_configs: [{ ...scraping, static_configs: await discovered(pod) }, beside],
  });
}

/** https://prometheus.io/docs/prometheus/latest/configuration/configuration/#pod */
async function discovered(pod: Installation): Promise<readonly object[]> {
  const { items } = JSON.parse(await pod.kubectl('get', 'pods', '-o', 'json')) as {
    readonly items: readonly {
      readonly metadata: {
        readonly name: string;
        readonly namespace: string;
        readonly labels: Readonly<Record<string, string>>;
      };
      readonly spec: {
        readonly containers: readonly [
          { readonly ports: readonly { readonly name: string; readonly containerPort: number }[] },
        ];
      };
      readonly status: { readonly podIP: string };
    }[];
  };
  return items.flatMap(({ metadata, spec, status }) =>
    spec.containers[0].ports.map(({ name, containerPort }) => ({
      targets: [`${status.podIP}:${containerPort}`],
      labels: {
        __meta_kubernetes_namespace: metadata.namespace,
        __meta_kubernetes_pod_name: metadata.name,
        __meta_kubernetes_pod_container_port_name: name,
        ...Object.fromEntries(
          Object.entries(metadata.labels).map(([label, value]) => [
            `__meta_kubernetes_pod_label_${label.replace(/\W/g, '_')}`,
            value,
          ]),
        ),
      },
    })),
  );
}

/** A rungate that has met what breaks: a watch that expired, and a log that was cut. */
async function brokenGateway(world: HookWorld): Promise<Gateway> {
  const gateway = await world.startGateway({ env: { PARTS: 'gateway' } });
  world.faults.add({ on: on.follow(), fault: { kind: 'cut', at: { lines: 3 }, how: 'clean' }, times: 1 });
  world.faults.add({ on: on.watch('taskruns'), fault: expiredFrame({ ms: 0 }), times: 1 });
  const run = await world.run('ticking', { params: { count: '30' } });
  const log = await gateway.stream(`/logs/${run}?wait=30`);
  world.faults.reset();
  assert.equal(await log.ended(), 'complete');
  return gateway;
}

/** Does with the pod what makes each of its series: what counts nothing has none. */
async function everything(world: HookWorld, pod: Installation): Promise<void> {
  const { namespace } = world;
  const as = pod.credentials;
  const status = async (path: string, options: Parameters<typeof ask>[1] = { as }) => {
    const answer = await ask(pod.url + path, options);
    await answer.toArray();
    return answer.statusCode;
  };
  assert.equal(await status(`/runs/${namespace}`), 200);
  assert.equal(await status(`/status/${namespace}/absent`), 404);
  for (let wrong = 0; wrong < 7; wrong++)
    assert.equal(await status('/runs', { as: { ...as, password: 'not this one' } }), 401);

  await world.pipeline('skips');
  await world.repository('app', 'main@sha1:1111111111111111111111111111111111111111');
  await world.trigger(hookedTrigger('app'));
  await world.trigger(hookedTrigger('broken')); // its source is not there
  const [run] = await world.hasRuns('app', 1);
  assert.equal(await status(`/logs/${namespace}/${run?.metadata.name}`), 200);
  await world.says('app', 'Success', 'True');
  await world.says('broken', 'Error', 'False');

  const address = `${pod.url}/hooks/${namespace}/app`;
  const body = await world.event('app', { revision: 'main@sha1:1111111111111111111111111111111111111111' });
  await eventually(async () => {
    const answer = await postOnce({ address, token: world.token }, body);
    assert.equal(answer?.status, 202, answer?.text);
  }, patience);
  assert.equal((await postOnce({ address, token: 'not this one' }, body))?.status, 401);
  const many = await Promise.all(Array.from({ length: 40 }, () => postOnce({ address, token: world.token }, body)));
  assert(
    many.some((answer) => answer?.status === 429),
    many.map((answer) => answer?.status).join(),
  );
}
