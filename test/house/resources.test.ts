/**
 * docs/resources against k8s/crds: the tables of fields are made from the schemas (`UPDATE_DOCS=1` writes them), so every
 * field is there and none is invented; manifests on the pages are taken by the schemas; and what the controllers write into a
 * status is kept by them.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { projectTrigger } from '../../src/controllers/triggers/resource.ts';
import { type Line, type Standing, writeStatus } from '../../src/controllers/triggers/status.ts';
import type { KubeObject } from '../../src/sandbox/object.ts';
import { compileSchema } from '../../src/sandbox/schema/compile.ts';
import type { SchemaNode } from '../../src/sandbox/schema/node.ts';

const root = join(import.meta.dirname, '../..');

/** A schema as its file has it. */
type Schema = Omit<SchemaNode, 'properties' | 'items' | 'additionalProperties'> & {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
};

const kinds = readdirSync(join(root, 'k8s/crds'))
  .filter((file) => file !== 'kustomization.yaml')
  .map((file) => {
    const { spec } = parse(readFileSync(join(root, 'k8s/crds', file), 'utf8'));
    const { kind } = spec.names as { kind: string };
    return { kind, schema: spec.versions[0].schema.openAPIV3Schema as Schema };
  });

const schemaOf = (kind: string): Schema => {
  const found = kinds.find((each) => each.kind === kind);
  assert(found, `no CRD of ${kind}`);
  return found.schema;
};

const MADE = /<!-- made from the schema: ([^>]+) -->\n[\s\S]*?<!-- end -->/g;

describe('docs/resources', () => {
  for (const { kind, schema } of kinds) {
    const page = `docs/resources/${kind.toLowerCase()}.md`;

    it(`${page} has every field of the schema and no other (UPDATE_DOCS=1 writes it)`, () => {
      const text = readFileSync(join(root, page), 'utf8');
      const placed = [...text.matchAll(MADE)].map(([, name]) => name);
      assert.deepEqual(placed, ['spec', 'status']);
      const wanted = text.replace(MADE, (_all, name: string) => {
        const part = schema.properties?.[name];
        assert(part);
        return `<!-- made from the schema: ${name} -->\n${fieldTable(name, part)}\n<!-- end -->`;
      });
      if (process.env.UPDATE_DOCS === '1') writeFileSync(join(root, page), wanted);
      else assert.equal(text, wanted);
    });

    it(`manifests on ${page} are taken by the schemas`, () => {
      const text = readFileSync(join(root, page), 'utf8');
      let seen = 0;
      for (const [, yaml = ''] of text.matchAll(/```yaml\n([\s\S]*?)```/g)) {
        for (const document of parseAllDocuments(yaml)) {
          const object = document.toJS() as KubeObject;
          if (!kinds.some((each) => each.kind === object.kind)) continue;
          seen += 1;
          assert.deepEqual(troubleWith(object), []);
        }
      }
      assert.ok(seen > 0, 'a page shows at least one');
    });
  }
});

describe('k8s/crds', () => {
  for (const { kind, schema } of kinds) {
    it(`${kind}: every field says what it is for`, () => {
      for (const [path, node] of fieldsOf('spec', schema.properties?.spec ?? {})) assert.ok(node.description, path);
      for (const [path, node] of fieldsOf('status', schema.properties?.status ?? {})) assert.ok(node.description, path);
    });
  }
});

describe('a status that is written', () => {
  const line: Line = {
    raw: 'main@sha1:03da4fd2e83b2e0f4a1f3a7a6ff3a6d6a7d4f6b1',
    identity: 'main 03da4fd',
    digest: 'sha256:8d1f',
    sequence: 3,
    attempt: 1,
    run: 'app-abcde',
    outcome: { status: 'False', reason: 'Failed', message: 'it failed' },
    byHand: true,
    counted: true,
    recovered: true,
  };
  const said = { type: 'Success', status: 'False', reason: 'Failed', message: 'it failed' } as const;
  const shapes = {
    pipeline: { name: 'build', retries: 2 },
    pipelineRun: { apiVersion: 'tekton.dev/v1', kind: 'PipelineRun', spec: { pipelineRef: { name: 'build' } } },
    pipelineRunSpec: { pipelineRef: { name: 'build' } },
  };
  const shown = {
    GitRepository: { as: 'repository', branchName: 'main', commitId: '03da4fd', repositoryName: 'app' },
    ImagePolicy: { as: 'image', repositoryName: 'team', imageName: 'app', imageVersion: '1.2' },
    PullRequest: { as: 'pullRequest', branchName: 'main', commitId: '03da4fd' },
  } as const;

  for (const [shape, template] of Object.entries(shapes)) {
    for (const kind of ['GitRepository', 'ImagePolicy', 'PullRequest'] as const) {
      it(`of ${shape} on ${kind} is kept whole: a field that the API server drops would be written for ever`, () => {
        const object = {
          apiVersion: 'pipeline.jquad.rocks/v1alpha1',
          kind: 'PipelineTrigger',
          metadata: { name: 'app', namespace: 'ci', uid: 'u', resourceVersion: '1', generation: 2 },
          spec: { source: { kind, name: 'app' }, [shape]: template },
        };
        const name = kind === 'PullRequest' ? 'feature/x' : '';
        const { counted: _counted, ...over } = line;
        const closed = [{ name: 'gone', line: over, closed: '2026-01-31T12:00:00.000Z' }];
        const standing: Standing = {
          lines: new Map([[name, line]]),
          sequence: 3,
          handledRunAt: 'now',
          handledKeys: ['key-0123456789abcdef0123456789abcdef'],
          handledSequences: [2, 3],
          recentRuns: ['2026-01-31T11:59:00.000Z'],
          trusted: [{ cluster: 'edge', identity: 'main@03da4fd of edge', atMs: Date.UTC(2026, 0, 31) }],
          closed,
        };
        const status = writeStatus(projectTrigger(object), {
          standing,
          lines: [{ name, line, said, shown: shown[kind], details: '{"branchName":"main"}' }],
          said,
          now: Date.UTC(2026, 0, 31),
        });
        assert.deepEqual(troubleWith(JSON.parse(JSON.stringify({ ...object, status })) as KubeObject), []);
      });
    }
  }
});

/** Fields that the schema of its kind would drop, and what else it would say. */
function troubleWith(object: KubeObject): readonly unknown[] {
  const schema = compileSchema(schemaOf(object.kind) as SchemaNode, { custom: true });
  const copy = structuredClone(object);
  const dropped = schema.prune(copy);
  return [...dropped, ...schema.validate(copy, undefined)];
}

/** Every field below a node with its path, in the order of the schema. What is in a condition is the same everywhere. */
function* fieldsOf(path: string, node: Schema): Generator<readonly [string, Schema]> {
  for (const [name, field] of Object.entries(node.properties ?? {})) {
    const place = `${path}.${name}`;
    yield [place, field];
    if (name === 'conditions') continue;
    yield* fieldsOf(place, field);
    if (field.items !== undefined) yield* fieldsOf(`${place}[]`, field.items);
    if (typeof field.additionalProperties === 'object') yield* fieldsOf(`${place}.<name>`, field.additionalProperties);
  }
}

function fieldTable(name: string, part: Schema): string {
  const required = new Set(requiredBelow(name, part));
  const rows = [...fieldsOf(name, part)].map(([path, node]) => {
    const must = required.has(path) ? ', required' : '';
    return [`\`${path}\``, `${typeOf(node)}${must}`, (node.description ?? '').trim()];
  });
  return [['Field', 'Type', ''], ['---', '---', '---'], ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`.replace(/ {2}\|/g, ' |'))
    .join('\n');
}

function requiredBelow(path: string, node: Schema): readonly string[] {
  return [
    ...(node.required ?? []).map((name) => `${path}.${name}`),
    ...Object.entries(node.properties ?? {}).flatMap(([name, field]) => requiredBelow(`${path}.${name}`, field)),
    ...(node.items ? requiredBelow(`${path}[]`, node.items) : []),
    ...(typeof node.additionalProperties === 'object'
      ? requiredBelow(`${path}.<name>`, node.additionalProperties)
      : []),
  ];
}

/** A type in a word or two. */
function typeOf({ type, enum: values, minimum, maximum, items, additionalProperties, format }: Schema): string {
  if (values !== undefined) return values.map((value) => `\`${String(value)}\``).join(', ');
  if (type === 'integer' && minimum !== undefined && maximum !== undefined) return `${minimum} to ${maximum}`;
  if (type === 'integer' && minimum !== undefined) return `integer from ${minimum}`;
  if (type === 'array') return `list of ${items?.type ?? 'anything'}s`;
  if (additionalProperties !== undefined) return `map of ${additionalProperties.type}s`;
  return format === 'date-time' ? 'time' : String(type);
}
