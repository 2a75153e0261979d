/**
 * What monitoring/ and docs/metrics.md name is what the code counts: series, labels, limits. Tables between marks and
 * monitoring/prometheusrule.yaml are made (`UPDATE_DOCS=1` writes them). That queries answer is shown on a real Prometheus by
 * test/cluster/monitoring.test.ts.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { createMetrics } from '../../src/prometheus.ts';
import { settings } from '../../src/settings.ts';
import { HandClock } from '../support/hand-clock.ts';
import { type Dashboard, groupingsIn, queriesOf, selectorsIn } from '../support/promql.ts';

const root = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string; readonly runbook: string };
}

const { groups } = parse(read('monitoring/rungate.rules.yaml')) as {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[];
};
const rules = groups.flatMap((group) => group.rules);
const dashboard: Dashboard = JSON.parse(read('monitoring/dashboard.json'));
const page = read('docs/metrics.md');

/** Labels that Prometheus gives each series it scrapes, and `up`, which it makes itself. */
const ofTarget = ['job', 'instance', 'namespace'];

/** Series of the process, which prom-client makes. */
const OF_PROCESS = /^(?:process|nodejs)_/;

interface Series {
  readonly type: string;
  readonly help: string;
  readonly labels: ReadonlySet<string>;
}

describe('monitoring', () => {
  let series: ReadonlyMap<string, Series>;
  before(async () => {
    series = await everySeries();
  });

  const queries = () => [
    ...rules.map(({ alert, expr }) => ({ title: alert, expression: expr })),
    ...queriesOf(dashboard),
    ...rowsUnder('Query').map(([query = '']) => ({ title: 'docs/metrics.md', expression: codeIn(query)[0] ?? '' })),
  ];

  it('names only series that there are, and labels that they have', () => {
    for (const { title, expression } of queries()) {
      const selectors = selectorsIn(expression);
      assert(selectors.length > 0, title);
      const labels = new Set(ofTarget);
      for (const { metric, matchers } of selectors) {
        const own = metric === 'up' ? new Set<string>() : labelsOf(series, metric);
        assert(own !== undefined, `${title}: there is no ${metric}`);
        for (const label of own) labels.add(label);
        for (const { label } of matchers)
          assert(own.has(label) || ofTarget.includes(label), `${title}: ${metric} has no ${label}`);
      }
      for (const label of groupingsIn(expression)) assert(labels.has(label), `${title}: nothing has ${label}`);
    }
  });

  it('looks only for words that the code has', () => {
    const literals = inSource(/'([\w./ :-]+)'/g);
    const described: Readonly<Record<string, readonly string[]>> = {
      what: firstCells('`what`'),
      limit: firstCells('`limit`'),
    };
    for (const { title, expression } of queries()) {
      for (const { metric, matchers } of selectorsIn(expression)) {
        for (const { label, value, isPattern } of matchers) {
          if ([...ofTarget, 'code', 'status', 'le', 'repo'].includes(label)) continue;
          const words = described[label] ?? literals;
          for (const word of isPattern ? value.split('|') : [value]) {
            const pattern = new RegExp(`^(?:${word})$`);
            assert(
              words.some((one) => pattern.test(one)),
              `${title}: ${metric}{${label}="${word}"}`,
            );
          }
        }
      }
    }
  });

  it('has every alert with what whoever is woken needs, and a page for it', () => {
    const pages = readdirSync(join(root, 'docs/runbooks'));
    assert.deepEqual(pages.toSorted(), rules.map(({ alert }) => `${alert}.md`).toSorted());
    for (const { alert, for: after, labels, annotations } of rules) {
      assert.match(alert, /^Rungate[A-Z]/);
      assert.match(after, /^[1-9]\d*m$/, alert);
      assert(['critical', 'warning'].includes(labels.severity), alert);
      assert.deepEqual(Object.keys(annotations), ['summary', 'description', 'runbook'], alert);
      if (!['RungateDown', 'RungateNoLeader'].includes(alert))
        assert.match(annotations.description, /\{\{ \$(?:value|labels)/, alert);
      assert.equal(annotations.runbook, `docs/runbooks/${alert}.md`);
      const text = read(annotations.runbook);
      assert(text.startsWith(`# ${alert}\n\n`), alert);
      for (const part of ['**What is noticed.**', '## Look', '```sh', '## Do'])
        assert(text.includes(part), `${alert}: ${part}`);
    }
  });

  it('shows of every alert what it fires at, and what it stays quiet at', () => {
    const { tests } = parse(read('monitoring/rungate.rules.test.yaml')) as {
      readonly tests: readonly {
        readonly alert_rule_test: readonly { readonly alertname: string; readonly exp_alerts: readonly object[] }[];
      }[];
    };
    const cases = tests.flatMap((test) => test.alert_rule_test);
    for (const { alert } of rules) {
      const own = cases.filter(({ alertname }) => alertname === alert);
      assert(
        own.some((one) => one.exp_alerts.length > 0),
        `${alert} never fires`,
      );
      assert(
        own.some((one) => one.exp_alerts.length === 0),
        `${alert} always fires`,
      );
    }
  });

  it('has numbers that follow from settings and manifests', () => {
    const threshold = (alert: string) => {
      const { expr = '' } = rules.find((rule) => rule.alert === alert) ?? {};
      return /> ([\d.* ]+)/
        .exec(expr)?.[1]
        ?.trim()
        .split(' * ')
        .map(Number)
        .reduce((product, factor) => product * factor);
    };
    const standard = (variable: string) =>
      Number(
        Object.values<{ variable: string; fallback?: string }>(settings).find((one) => one.variable === variable)
          ?.fallback,
      );
    assert.equal(threshold('RungateStreamsNearLimit'), 0.8 * standard('MAX_STREAMS'));
    assert((threshold('RungateWatchStale') ?? 0) > standard('WATCH_SECONDS') + 15);
    const [deployment] = parseAllDocuments(read('k8s/base/deployment.yaml')).map((document) => document.toJS());
    const [, gibibytes] = /^(\d+)Gi$/.exec(deployment.spec.template.spec.containers[0].resources.limits.memory) ?? [];
    assert.equal(threshold('RungateMemoryHigh'), 0.75 * Number(gibibytes) * 2 ** 30);
  });

  it('has the rules once more for the operator (UPDATE_DOCS=1 writes them)', () => {
    const wanted = [
      '# The rules of rungate.rules.yaml for the Prometheus Operator: made from there (UPDATE_DOCS=1 npx mocha test/house/monitoring.test.ts).',
      stringify(
        {
          apiVersion: 'monitoring.coreos.com/v1',
          kind: 'PrometheusRule',
          metadata: { name: 'rungate', namespace: 'tekton-pipelines', labels: { 'app.kubernetes.io/name': 'rungate' } },
          spec: { groups },
        },
        { lineWidth: 0 },
      ),
    ].join('\n');
    heldAgainst('monitoring/prometheusrule.yaml', wanted);
  });

  it('leads the operator to the Service that there is', () => {
    const { spec } = parse(read('monitoring/servicemonitor.yaml'));
    const service = parse(read('k8s/base/service.yaml'));
    const { containers } = parse(read('k8s/base/deployment.yaml')).spec.template.spec;
    for (const [label, value] of Object.entries(spec.selector.matchLabels))
      assert.equal(service.metadata.labels[label], value);
    assert.equal(service.metadata.labels[spec.jobLabel], 'rungate');
    const [{ port, path }] = spec.endpoints;
    assert(containers[0].ports.some(({ name }: { name: string }) => name === port));
    assert.match(read('k8s/components/metrics/kustomization.yaml'), new RegExp(`name: ${port}\\b`));
    assert.equal(path, '/metrics');
  });
});

describe('monitoring/dashboard.json', () => {
  const graphs = dashboard.panels.filter(({ type }) => type !== 'row');

  it('has a name that stays, and its data source as a variable', () => {
    assert.deepEqual([dashboard.uid, dashboard.title], ['rungate', 'rungate']);
    assert(dashboard.schemaVersion >= 38);
    assert.deepEqual(
      dashboard.templating.list.map(({ name }) => name),
      ['datasource', 'namespace', 'instance'],
    );
    for (const { title, datasource, targets = [] } of graphs) {
      for (const source of [datasource, ...targets.map((target) => target.datasource)])
        assert.equal(source?.uid, `\${datasource}`, title);
    }
  });

  it('answers a question with each panel, of the replicas that are chosen', () => {
    const ids = dashboard.panels.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length);
    for (const { title, description = '', fieldConfig, targets = [] } of graphs) {
      assert.match(description, /\.$/, title);
      assert(fieldConfig?.defaults.unit, title);
      assert(targets.length > 0, title);
      for (const { expr } of targets) assert.match(expr, /instance=~"\$instance"/, title);
    }
    assert.doesNotMatch(read('monitoring/dashboard.json'), /https?:\/\//);
  });
});

describe('docs/metrics.md', () => {
  it('has the tables of series and of alerts (UPDATE_DOCS=1 writes them)', async () => {
    const all = await everySeries();
    const tables: Readonly<Record<string, readonly string[]>> = {
      metrics: [
        '| Series | Type | Labels | |',
        '|---|---|---|---|',
        ...[...all]
          .filter(([name]) => !OF_PROCESS.test(name))
          .map(([name, { type, help, labels }]) =>
            `| \`${name}\` | ${type} | ${[...labels].map((label) => `\`${label}\``).join(', ')} | ${help} |`.replace(
              '|  |',
              '| |',
            ),
          ),
      ],
      alerts: [
        '| Alert | Severity | For | |',
        '|---|---|---|---|',
        ...rules.map(
          ({ alert, for: after, labels, annotations }) =>
            `| [${alert}](runbooks/${alert}.md) | ${labels.severity} | ${after} | ${annotations.summary} |`,
        ),
      ],
    };
    const placed: string[] = [];
    const wanted = page.replace(
      /<!-- made from (\S+): (\w+) -->\n[\s\S]*?<!-- end -->/g,
      (_all, from: string, name: string) => {
        placed.push(name);
        return `<!-- made from ${from}: ${name} -->\n${tables[name]?.join('\n')}\n<!-- end -->`;
      },
    );
    assert.deepEqual(placed.toSorted(), Object.keys(tables).toSorted());
    heldAgainst('docs/metrics.md', wanted);
  });

  it('explains everything that can be open, and nothing else', () => {
    const controllers = inSource(/createController\(\{\s+(?:\.\.\.\w+,\s+)?name: '([^']+)'/g);
    const recorders = inSource(/createEvents\(\{\s+(?:\w+(?:: \w+)?,\s+)?name: '([^']+)'/g);
    const known = [
      ...inSource(/\.level\(\s*'([^']+)'/g),
      ...controllers.map((name) => `controller keys ${name}`),
      ...recorders.map((name) => `kubernetes events ${name}`),
    ];
    assert.deepEqual(firstCells('`what`').toSorted(), [...new Set(known)].toSorted());
  });

  it('explains every limit, and nothing else', () => {
    const known = [
      ...inSource(/\blimited\(\s*'([^']+)'/g),
      ...inSource(/\brefuse\(\s*'([^']+)'/g, (source) => /metrics\.limited\(limit\)/.test(source)),
    ];
    assert.deepEqual(firstCells('`limit`').toSorted(), [...new Set(known)].toSorted());
  });

  it('tells plain Prometheus what the operator is told', () => {
    const [, block = ''] = /```yaml\n([\s\S]*?)```/.exec(page) ?? [];
    const {
      scrape_configs: [scrape],
      rule_files: files,
    } = parse(block);
    assert.equal(scrape.job_name, 'rungate');
    assert.equal(scrape.honor_labels, parse(read('monitoring/servicemonitor.yaml')).spec.endpoints[0].honorLabels);
    for (const file of files) assert(existsSync(join(root, 'monitoring', file)));
  });
});

/** Everything that is counted, each series once, with the labels that it has. */
async function everySeries(): Promise<ReadonlyMap<string, Series>> {
  const clock = new HandClock();
  const metrics = createMetrics({ clock, version: '0', processSeries: true, isReady: () => true });
  metrics.request('/x', 'GET', 200, 1);
  metrics.stream()('complete');
  metrics.upstream('get', '200');
  metrics.reconcile('x', 'done', 1);
  const line = { sourceKind: 'GitRepository', repo: 'main', type: 'Success', status: 'True' } as const;
  metrics.triggerCondition({ namespace: 'x', name: 'x' }, [line]);
  metrics.hookDelivery('none', 'x');
  metrics.watching('x', () => clock.now());
  metrics.relist('x', 'x');
  metrics.resume('x');
  metrics.limited('x');
  metrics.level('x', () => 1);
  metrics.reload('x', 'taken');
  const { text } = await metrics.exposition();
  const found = new Map<string, Series>();
  for (const [, name = '', help = '', type = ''] of text.matchAll(/^# HELP (\S+) (.*)\n# TYPE \S+ (\w+)$/gm)) {
    const own = text.split('\n').filter((each) => new RegExp(`^${name}(?:_bucket|_count|_sum)?[{ ]`).test(each));
    const labels = own.flatMap((each) => [...each.matchAll(/[{,](\w+)="/g)].map(([, label = '']) => label));
    found.set(name, { type, help, labels: new Set(labels.filter((label) => label !== 'le')) });
  }
  return found;
}

function labelsOf(series: ReadonlyMap<string, Series>, metric: string): ReadonlySet<string> | undefined {
  const own = series.get(metric)?.labels;
  if (own !== undefined) return own;
  const [, base = '', part] = /^(.+)_(bucket|count|sum)$/.exec(metric) ?? [];
  const histogram = series.get(base);
  if (histogram?.type !== 'histogram') return undefined;
  return part === 'bucket' ? new Set([...histogram.labels, 'le']) : histogram.labels;
}

/** What stands in the group of a pattern in the source, sandbox and tests aside; in all files, or in those that are meant. */
function inSource(pattern: RegExp, isMeant: (source: string) => boolean = () => true): readonly string[] {
  return readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !name.startsWith('sandbox'))
    .map((name) => read(`src/${name}`))
    .filter(isMeant)
    .flatMap((source) => [...source.matchAll(pattern)].map(([, word = '']) => word));
}

/** The cells of each row of the table of docs/metrics.md whose first head this is; `\|` is no border. */
function rowsUnder(head: string): readonly (readonly string[])[] {
  const lines = page.split('\n');
  const first = lines.findIndex((line) => line.startsWith(`| ${head} |`));
  assert.notEqual(first, -1, `no table begins with ${head}`);
  const length = lines.slice(first).findIndex((line) => !line.startsWith('|'));
  return lines.slice(first + 2, first + length).map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('\\|', '|')),
  );
}

/** The word that each row of that table is about. */
function firstCells(head: string): readonly string[] {
  return rowsUnder(head).flatMap(([cell]) => codeIn(cell)[0] ?? []);
}

function codeIn(text = ''): readonly string[] {
  return [...text.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);
}

/** A file that is made: written where that is asked for, else held against what it should be. */
function heldAgainst(path: string, wanted: string): void {
  if (process.env.UPDATE_DOCS === '1') writeFileSync(join(root, path), wanted);
  else assert.equal(read(path), wanted);
}
