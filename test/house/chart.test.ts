/**
 * The chart, read as the files that it is: its version, its values and their schema, and what it has of k8s/ and monitoring/, which
 * stay the one place for rights, kinds and alerts. What Helm makes of it is in test/cluster/chart.test.ts. `UPDATE_DOCS=1` writes what is made here.
 */
import assert from 'node:assert/strict';
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import { isMap, isScalar, parse, parseDocument, type YAMLMap } from 'yaml';
import { type Setting, settings } from '../../src/settings.ts';
import { checkout } from '../support/gateway.ts';

const chart = `${checkout}charts/rungate/`;
const updates = process.env.UPDATE_DOCS === '1';
const read = (path: string) => readFileSync(path, 'utf8');
const schemaFile = `${chart}values.schema.json`;

describe('the chart', () => {
  it('has the version of package.json', () => {
    const { version } = JSON.parse(read(`${checkout}package.json`)) as { readonly version: string };
    const about = parse(read(`${chart}Chart.yaml`)) as Readonly<Record<string, string>>;
    assert.deepEqual([about.version, about.appVersion], [version, version]);
  });

  it('has roles, kinds and what watches as they are in k8s/ and monitoring/ (UPDATE_DOCS=1 copies them)', () => {
    const wanted = globSync(
      [
        'k8s/{base,components/*}/*role.yaml',
        'k8s/crds/!(kustomization).yaml',
        'monitoring/{servicemonitor,prometheusrule}.yaml',
        'monitoring/dashboard.json',
      ],
      { cwd: checkout },
    );
    const copies = globSync('{k8s,monitoring}/**/*.*', { cwd: chart });
    if (updates) {
      for (const file of copies) rmSync(chart + file);
      for (const file of wanted) {
        mkdirSync(dirname(chart + file), { recursive: true });
        writeFileSync(chart + file, read(checkout + file));
      }
      return;
    }
    assert.deepEqual(copies.toSorted(), wanted.toSorted());
    for (const file of wanted) assert.equal(read(chart + file), read(checkout + file), file);
  });

  it('gives every role to something', () => {
    const templates = read(`${chart}templates/rights.yaml`);
    const roles = globSync('{base,components/*}/*role.yaml', { cwd: `${chart}k8s` });
    assert.ok(roles.length > 5);
    for (const file of roles) assert.ok(templates.includes(`"${file}"`), file);
  });

  it('repeats no rule in its templates, but for the one that only the cluster has', () => {
    for (const file of globSync('templates/*', { cwd: chart })) {
      const found = [...read(chart + file).matchAll(/apiGroups|verbs/g)];
      assert.equal(found.length, file.endsWith('rights.yaml') ? 2 : 0, file);
    }
  });
});

describe('values of the chart', () => {
  const values = parse(read(`${chart}values.yaml`)) as Values;
  let accepts: ValidateFunction;

  before(() => {
    accepts = new Ajv({ allowUnionTypes: true, strictTypes: false, allErrors: true }).compile(
      JSON.parse(read(schemaFile)),
    );
  });

  it('fit their schema', () => assert.ok(accepts(values), JSON.stringify(accepts.errors)));

  it('have each a comment, which is its line in the README (UPDATE_DOCS=1 writes it)', () => {
    const file = `${chart}README.md`;
    const text = read(file);
    const marked = /(<!-- values: made from values.yaml -->\n)[\s\S]*?(<!-- end of values -->)/;
    assert.match(text, marked);
    const wanted = text.replace(marked, (_all, begin: string, end: string) => `${begin}\n${valuesTable()}\n\n${end}`);
    if (updates) writeFileSync(file, wanted);
    else assert.equal(text, wanted);
  });

  it('are each known to the schema, which knows no other but global and what the listener’s documentation calls replicas', () => {
    const inSchema = leavesOf(JSON.parse(read(schemaFile)) as Schema);
    const here = documentedValues().map(({ path }) => path);
    const known = inSchema.filter((path) => !path.startsWith('settings.') && !here.includes(path));
    // Those of a map that is documented as one.
    const others = known.filter((path) => !here.some((one) => path.startsWith(`${one}.`)));
    assert.deepEqual(others, ['global', 'service.replicas']);
    for (const path of here)
      assert.ok(
        inSchema.some((one) => one === path || one.startsWith(`${path}.`)),
        path,
      );
  });

  it('have the settings of rungate, but for those that the chart makes itself (UPDATE_DOCS=1 writes them)', () => {
    const schema = JSON.parse(read(schemaFile)) as Schema;
    const wanted = settingsSchema();
    if (updates) {
      const next = { ...schema, properties: { ...schema.properties, settings: wanted } };
      writeFileSync(schemaFile, `${JSON.stringify(next, null, 2)}\n`);
      return;
    }
    assert.deepEqual(schema.properties?.settings, wanted);
  });

  const taken: Readonly<Record<string, unknown>> = {
    'those of the listener’s chart': {
      image: 'example.test/listener:1.2.3',
      auth: { existingSecret: '', username: 'admin', password: 'admin' },
      service: { type: 'NodePort', port: 8080 },
      deployment: {
        replicas: 1,
        limits: { cpu: '500m', memory: '512Mi' },
        requests: { cpu: '100m', memory: '256Mi' },
      },
      annotations: { 'example.test/team': 'ci' },
    },
    'the replicas of its documentation': { service: { replicas: 2 } },
    'what Helm gives a chart that another one needs': { global: { anything: true } },
    'a switch as YAML reads it': { settings: { CACHE: false, ORPHAN_RUNS: true } },
    'a number as text': { settings: { MAX_STREAMS: '5' } },
    'callers with runs and without': { access: { callers: { ci: ['team-a'], bot: { read: [], run: ['team-a'] } } } },
  };
  for (const [name, value] of Object.entries(taken)) {
    it(`takes ${name}`, () => assert.ok(accepts(value), JSON.stringify(accepts.errors)));
  }

  const refused: readonly (readonly [string, unknown, string])[] = [
    ['a value that is not there', { replicas: 2 }, 'replicas'],
    ['one that is spelt wrong', { deployment: { replica: 2 } }, 'replica'],
    ['one of the wrong type', { deployment: { replicas: 'two' } }, '/deployment/replicas'],
    ['a switch that is text', { triggers: { enabled: 'yes' } }, '/triggers/enabled'],
    ['a setting that is spelt wrong', { settings: { MAX_STREAM: 5 } }, 'MAX_STREAM'],
    ['a setting that the chart makes itself', { settings: { PARTS: 'gateway' } }, 'PARTS'],
    ['a setting of the wrong type', { settings: { MAX_STREAMS: 'many' } }, '/settings/MAX_STREAMS'],
    ['a setting that is too large', { settings: { DRAIN_SECONDS: 5000 } }, '/settings/DRAIN_SECONDS'],
    ['a name with a colon', { auth: { username: 'a:b' } }, '/auth/username'],
    ['a password that ends with a line break', { auth: { password: 'secret\n' } }, '/auth/password'],
    ['a namespace that is none', { namespaces: ['Team_A'] }, '/namespaces/0'],
    ['a * among namespaces', { namespaces: ['*'] }, '/namespaces/0'],
    ['a type of Service that is none', { service: { type: 'ExternalName' } }, '/service/type'],
    ['memory that is no quantity', { deployment: { limits: { memory: 'lots' } } }, '/deployment/limits/memory'],
  ];
  for (const [name, value, word] of refused) {
    it(`refuses ${name}, and names it`, () => {
      assert.equal(accepts(value), false);
      const said = JSON.stringify(accepts.errors);
      assert.ok(said.includes(word), said);
    });
  }
});

interface Values {
  readonly [name: string]: unknown;
}

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly [field: string]: unknown;
}

/** A value that a reader may set: a map that is documented as such is one. */
interface DocumentedValue {
  readonly path: string;
  readonly standard: unknown;
  readonly purpose: string;
}

function documentedValues(): readonly DocumentedValue[] {
  const document = parseDocument(read(`${chart}values.yaml`));
  assert.ok(isMap(document.contents));
  return within(document.contents, '');
}

function within(map: YAMLMap, path: string): readonly DocumentedValue[] {
  return map.items.flatMap(({ key, value }, place) => {
    assert.ok(isScalar(key));
    // The comment above the first key of a map within another is the map's own.
    const above = key.commentBefore ?? (place === 0 ? map.commentBefore : undefined);
    // The head of the file stands apart from the first value.
    const comment = above?.split('\n\n').at(-1);
    const own = `${path}${key.value}`;
    if (isMap(value) && value.items.length > 0 && !maps.has(own)) return within(value, `${own}.`);
    assert.ok(comment, `${own} has no comment`);
    const purpose = comment
      .split('\n')
      .map((line) => line.trim())
      .join(' ');
    return [{ path: own, standard: isMap(value) || !isScalar(value) ? toPlain(value) : value.value, purpose }];
  });
}

/** Maps whose keys are those of Kubernetes. */
const maps = new Set(['deployment.limits', 'deployment.requests']);

function toPlain(node: unknown): unknown {
  assert.ok(node !== null && typeof node === 'object' && 'toJSON' in node && typeof node.toJSON === 'function');
  return node.toJSON();
}

function valuesTable(): string {
  const rows = documentedValues().map(({ path, standard, purpose }) => {
    const shown = standard === '' ? '' : `\`${typeof standard === 'string' ? standard : JSON.stringify(standard)}\``;
    return `| \`${path}\` | ${shown} | ${purpose} |`;
  });
  return ['| Value | Default | Meaning |', '|---|---|---|', ...rows].join('\n').replaceAll('|  |', '| |');
}

function leavesOf({ properties }: Schema, path = ''): readonly string[] {
  return Object.entries(properties ?? {}).flatMap(([name, schema]) =>
    schema.properties === undefined ? [`${path}${name}`] : leavesOf(schema, `${path}${name}.`),
  );
}

/** Settings that the chart makes of values, or that a pod has no use for. */
const ownSettings = new Set([
  ...['PARTS', 'PORT', 'METRICS_PORT', 'HOST', 'NAMESPACE', 'NAMESPACES', 'POD_NAME', 'KUBECONFIG'],
  ...['AUTH_USERNAME', 'AUTH_PASSWORD', 'AUTH_FILE', 'ACCESS_FILE', 'CURSOR_KEY_FILE', 'TLS_CERT_FILE', 'TLS_KEY_FILE'],
  ...['MANAGED_CREDENTIALS', 'TEKTON_TRIGGERS_COMPAT', 'COMPAT_SOURCE_NAMESPACES'],
  // The right to a Lease is one to a name, in the release's namespace.
  ...['LEASE_NAME', 'LEASE_NAMESPACE'],
]);

function settingsSchema(): Schema {
  const rows: readonly Setting<unknown>[] = Object.values(settings);
  for (const name of ownSettings)
    assert.ok(
      rows.some(({ variable }) => variable === name),
      name,
    );
  const properties = rows
    .filter(({ variable }) => !ownSettings.has(variable))
    .map((setting) => [setting.variable, { description: setting.purpose, ...typeOf(setting) }]);
  return { type: 'object', additionalProperties: false, properties: Object.fromEntries(properties) };
}

/** What YAML may make of a setting: a number, or its text; `off` and `true` are both booleans. */
function typeOf({ kind: { type, allowed } }: Setting<unknown>): Schema {
  const [, from, to] = /^a whole number from (\d+) to (\d+)$/.exec(allowed) ?? [];
  if (from !== undefined)
    return { type: ['integer', 'string'], pattern: '^[0-9]{1,9}$', minimum: Number(from), maximum: Number(to) };
  const words = type.split(', ');
  if (words.length === 1) return { type: 'string' };
  const booleans = words.every((word) => ['on', 'off', 'true', 'false'].includes(word)) ? [true, false] : [];
  return { enum: [...booleans, ...words] };
}
