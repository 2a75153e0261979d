/** The API in its own words: the document is sound, the page is safe, and what the document allows is what is read. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { html } from '../../src/gateway/described/html.ts';
import { type OpenApiDocument, openApiDocument, type Parameter } from '../../src/gateway/described/openapi.ts';
import type { Operation } from '../../src/gateway/operation.ts';
import { AppRig } from '../support/app-rig.ts';
import {
  type Described,
  operationsIn,
  parametersOf,
  responsesOf,
  servedDocument,
  servedGateway,
} from '../support/described.ts';

const ajv = new Ajv2020({ strict: false, validateFormats: false });

describe('the OpenAPI document', () => {
  let document: OpenApiDocument;

  before(async () => {
    document = await servedDocument();
  });

  it('refers to nothing that is not there, and has nothing that nobody refers to', () => {
    const references = new Set(referencesIn(document));
    const there = Object.entries(document.components)
      .filter(([kind]) => kind !== 'securitySchemes')
      .flatMap(([kind, components]) => Object.keys(components).map((name) => `#/components/${kind}/${name}`));
    assert.deepEqual(
      [...references].filter((each) => !there.includes(each)),
      [],
    );
    assert.deepEqual(
      there.filter((each) => !references.has(each) && !each.includes('/headers/')),
      [],
    );
  });

  it('has examples that fit their schemas', () => {
    for (const { path, operation } of operationsIn(document)) {
      const bodies = Object.values(responsesOf(document, operation)).flatMap(({ content = {} }) =>
        Object.values(content),
      );
      for (const { schema, example } of bodies) {
        if (example === undefined) continue;
        const validate = ajv.compile({ ...schema, components: document.components });
        assert(validate(example), `${path}: ${ajv.errorsText(validate.errors)}`);
      }
      for (const place of ['query', 'header'] as const) {
        for (const { name, schema, example } of parametersOf(document, operation, place)) {
          const accepts = acceptor(schema);
          for (const each of [example, ...((schema.examples as readonly string[] | undefined) ?? [])]) {
            if (each !== undefined) assert(accepts(each), `${path} ${name}: ${each}`);
          }
        }
      }
    }
  });

  it('has schemas that are valid JSON Schema', () => {
    for (const schema of schemasIn(document)) assert(ajv.validateSchema(schema), JSON.stringify(schema));
  });

  it('says of every segment of a path what it may be, and has every operation once', () => {
    const ids = operationsIn(document).map(({ operation }) => operation.operationId);
    assert.deepEqual(ids, [...new Set(ids)]);
    for (const { path, operation } of operationsIn(document)) {
      const segments = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const described = parametersOf(document, operation, 'path').map(({ name }) => name);
      assert.deepEqual(described, segments, path);
    }
  });

  it('has for every operation a summary, a description, a success and, unless it is open, 401', () => {
    for (const { path, operation } of operationsIn(document)) {
      const { summary, description, security } = operation;
      const responses = responsesOf(document, operation);
      assert.match(summary, /^[A-Z].*[^.]$/, path);
      assert.match(description, /[.]$/, path);
      assert(
        Object.keys(responses).some((status) => /^[23]/.test(status)),
        path,
      );
      assert.equal(security?.length !== 0, '401' in responses, path);
      for (const [status, response] of Object.entries(responses)) assert(response.description, `${path} ${status}`);
    }
  });

  it('says of every option what it is for and what it may be', () => {
    for (const { path, operation } of operationsIn(document)) {
      for (const { name, description, schema } of parametersOf(document, operation, 'query')) {
        assert.match(description, /^\W*\w.{10,}[^.]$/s, `${path} ${name}`);
        assert.equal(typeof schema.description, 'string', `${path} ${name}`);
      }
    }
  });

  const same = { method: 'get', path: '/a', tag: 'gateway', summary: 'A', description: 'A.', options: {} } as const;
  const bodied = (title: string, type: string): Operation['answers'] => ({
    200: { description: 'A', content: { 'application/json': { schema: { title, type } } } },
  });
  const mistakes: readonly {
    readonly name: string;
    readonly operations: readonly Operation[];
    readonly says: RegExp;
  }[] = [
    {
      name: 'two operations of one id',
      operations: [
        { ...same, id: 'a', answers: {}, problems: [] },
        { ...same, path: '/b', id: 'a', answers: {}, problems: [] },
      ],
      says: /two operations are a/,
    },
    {
      name: 'two operations of one path and method',
      operations: [
        { ...same, id: 'a', answers: {}, problems: [] },
        { ...same, id: 'b', answers: {}, problems: [] },
      ],
      says: /two operations serve get \/a/,
    },
    {
      name: 'two schemas of one title',
      operations: [
        { ...same, id: 'a', answers: bodied('Run', 'object'), problems: [] },
        { ...same, path: '/b', id: 'b', answers: bodied('Run', 'string'), problems: [] },
      ],
      says: /two schemas are called Run/,
    },
    {
      name: 'a segment that nobody has described',
      operations: [{ ...same, path: '/a/:thing', id: 'a', answers: {}, problems: [] }],
      says: /nothing says what :thing/,
    },
  ];
  for (const { name, operations, says } of mistakes) {
    it(`is not made with ${name}`, () => {
      assert.throws(() => openApiDocument({ operations, version: '1' }), says);
    });
  }
});

describe('/openapi.json, /docs and /', () => {
  let rig: AppRig;
  const wants = { 'accept-encoding': 'gzip' };

  before(async () => {
    rig = await new AppRig().listen();
  });
  after(() => rig?.[Symbol.asyncDispose]());

  for (const path of ['/openapi.json', '/docs']) {
    it(`${path} is sent once to whoever keeps it, and compressed to whoever takes that`, async () => {
      const whole = await rig.get(path);
      assert.equal(whole.status, 200);
      assert.equal(whole.headers['cache-control'], 'private, no-cache');
      const { etag = '' } = whole.headers;
      const known = await rig.get(path, { 'if-none-match': `"other", ${etag}` });
      assert.equal(known.status, 304);
      assert.equal(known.text, '');
      assert.equal(known.headers.etag, etag);
      const packed = await rig.get(path, wants);
      assert.equal(packed.headers['content-encoding'], 'gzip');
      assert.equal(gunzipSync(Buffer.from(packed.text, 'latin1')).toString('latin1'), whole.text);
      for (const { headers } of [whole, packed]) assert.equal(headers.vary, 'Accept-Encoding');
    });

    it(`${path} answers HEAD with the head of GET`, async () => {
      const whole = await rig.get(path);
      const head = await rig.follow(path, {}, 'HEAD').whole;
      assert.equal(head.text, '');
      for (const name of ['content-length', 'content-type', 'etag'])
        assert.equal(head.headers[name], whole.headers[name]);
    });

    it(`${path} is for callers only, and takes no options`, async () => {
      assert.equal((await rig.get(path, { authorization: 'Basic !' })).status, 401);
      const refused = await rig.get(`${path}?a=1`);
      assert.equal(refused.status, 400);
      assert.match(refused.text, /unknown option \\"a\\": this path takes none/);
    });
  }

  it('/ leads to the page', async () => {
    const front = await rig.get('/');
    assert.equal(front.status, 302);
    assert.equal(front.headers.location, 'docs');
  });

  it('/docs runs and shows only what it brings along', async () => {
    const { text, headers } = await rig.get('/docs');
    const policies = new Map(
      String(headers['content-security-policy'])
        .split(';')
        .map((directive) => [directive.split(' ')[0], directive.split(' ').slice(1).join(' ')]),
    );
    assert.equal(policies.get('default-src'), "'none'");
    for (const [tag, directive] of [
      ['style', 'style-src'],
      ['script', 'script-src'],
    ] as const) {
      const blocks = [...text.matchAll(new RegExp(`<${tag}>(.*?)</${tag}>`, 'gs'))];
      assert.equal(blocks.length, 1, tag);
      const hash = createHash('sha256')
        .update(Buffer.from(blocks[0]?.[1] ?? '', 'latin1'))
        .digest('base64');
      assert.equal(policies.get(directive), `'sha256-${hash}'`);
    }
    assert.doesNotMatch(text, /\s(?:on\w+|style)=/, 'no handlers and styles within tags: the policy would stop them');
    assert.doesNotMatch(text, /(?:src|href)="(?!#|openapi\.json|data:,)/);
  });

  it('/docs has a place for every link within it', async () => {
    const { text } = await rig.get('/docs');
    const ids = [...text.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id);
    assert.deepEqual(ids, [...new Set(ids)]);
    for (const [, target] of text.matchAll(/href="#([^"]+)"/g)) assert(ids.includes(target), target);
  });

  it('/docs has every operation and every option', async () => {
    const document = JSON.parse((await rig.get('/openapi.json')).text) as OpenApiDocument;
    const { text } = await rig.get('/docs');
    for (const { operation } of operationsIn(document)) {
      if (operation['x-short-of'] !== undefined) continue;
      const article = text.split(`<article id="${operation.operationId}">`)[1]?.split('</article>')[0] ?? '';
      for (const { name } of parametersOf(document, operation, 'query'))
        assert(article.includes(`<code>${name}</code>`));
      for (const status of Object.keys(operation.responses))
        assert(new RegExp(`[> ]${status}(?: |</b>)`).test(article));
    }
  });
});

describe('html', () => {
  it('escapes text and not HTML, at any depth', () => {
    const evil = `<script>alert("1") & '2'</script>`;
    const want = '<p>&lt;script&gt;alert(&quot;1&quot;) &amp; &#39;2&#39;&lt;/script&gt;</p>';
    assert.equal(html`<p>${evil}</p>`.text, want);
    assert.equal(html`${[html`<p>${evil}</p>`, [html`<p>${[evil]}</p>`]]}`.text, want + want);
  });
});

describe('the options of the document', function () {
  this.timeout(60_000); // thousands of requests
  let gateway: Awaited<ReturnType<typeof servedGateway>>;
  let document: OpenApiDocument;

  before(async () => {
    gateway = await servedGateway();
    document = JSON.parse((await gateway.get('/openapi.json')).text) as OpenApiDocument;
  });
  after(() => gateway?.close());

  /** A path whose segments are names of no run. */
  const concrete = (path: string) => path.replace('{namespace}', 'tekton-pipelines').replace(/\{\w+\}/g, 'nothing');

  /** Whether a text is read as `name`. Options are read in order, so an unknown one behind ends the request before it waits. */
  const isRead = async (path: string, name: string, text: string): Promise<boolean> => {
    const { status, text: body } = await gateway.get(`${concrete(path)}?${new URLSearchParams({ [name]: text })}&zz=1`);
    const { error } = JSON.parse(body) as { readonly error: string };
    assert.equal(status, 400, `${path} ${name}=${text}: ${body}`);
    if (error.startsWith('unknown option "zz"')) return true;
    assert(error.startsWith(`option ${name} is `), `${name} is named: ${error}`);
    return false;
  };

  it('every text that a schema accepts is read, and every other is 400 naming the option', async () => {
    for (const { path, method, operation } of operationsIn(document)) {
      // What has a short form is served by the same handler.
      if (method !== 'get' || operation['x-short-of'] !== undefined) continue;
      for (const parameter of parametersOf(document, operation, 'query')) {
        const accepts = acceptor(parameter.schema);
        await fc.assert(
          fc.asyncProperty(fc.oneof(texts(parameter.schema), fc.string(), fc.constantFrom(...odd)), async (text) => {
            if (!text.isWellFormed()) return; // no URL can have it
            const read = await isRead(path, parameter.name, text);
            // A duration may be too long and a selector may have a grammar, which only their descriptions can say.
            if (!read && /at most|label selector/.test(String(parameter.schema.description))) return;
            assert.equal(read, accepts(text), `${path}?${parameter.name}=${JSON.stringify(text)}`);
          }),
          { numRuns: 25 },
        );
      }
    }
  });

  it('run 5: every name that a schema accepts may stand in a path, and every other is 400', async () => {
    for (const { path, method, operation } of operationsIn(document)) {
      if (method !== 'get') continue;
      for (const { name, schema } of parametersOf(document, operation, 'path')) {
        const accepts = acceptor(schema);
        await fc.assert(
          fc.asyncProperty(
            fc.oneof(texts(schema), fc.string({ minLength: 1 }), fc.constantFrom(...odd)),
            async (text) => {
              if (!text.isWellFormed() || /^\.{0,2}$/.test(text)) return; // no segment can be that
              const asked = concrete(path.replace(`{${name}}`, encodeURIComponent(text).replaceAll('*', '%2A')));
              const { status, text: body } = await gateway.get(`${asked}?zz=1`);
              const { error } = JSON.parse(body) as { readonly error: string };
              // A path of fewer segments is another one; a namespace that is not served is refused before options are read.
              const isRead = error.startsWith('unknown option') || status === 403;
              assert(isRead || /^Invalid /.test(error), `${asked}: ${body}`);
              assert.equal(isRead, accepts(text), `${asked}: ${body}`);
            },
          ),
          { numRuns: 25 },
        );
      }
    }
  });

  it('an option that a path does not have is 400 and named, with those that it has', async () => {
    for (const { path, method, operation, named } of everyOperation(document)) {
      if (method !== 'get' || operation.security?.length === 0) continue;
      const { status, text } = await gateway.get(`${concrete(path)}?zz=1`);
      assert.equal(status, 400, path);
      const takes = named.length === 0 ? 'none' : named.join(', ');
      assert.equal(JSON.parse(text).error, `unknown option "zz": this path takes ${takes}`, path);
    }
  });

  it('an option that is given twice is 400 and named, unless it is a list', async () => {
    for (const { path, method, operation } of operationsIn(document)) {
      if (method !== 'get') continue;
      for (const { name, schema } of parametersOf(document, operation, 'query')) {
        const [sample] = fc.sample(texts(schema), { numRuns: 1, seed: 1 });
        const [value = sample ?? ''] = (schema.examples as readonly string[] | undefined) ?? [];
        const query = new URLSearchParams([
          [name, value],
          [name, value],
          ['zz', '1'],
        ]);
        const { text } = await gateway.get(`${concrete(path)}?${query}`);
        const want = schema.type === 'array' ? /^unknown option "zz"/ : new RegExp(`^option ${name} is given twice$`);
        assert.match(JSON.parse(text).error, want, `${path} ${name}=${value}`);
      }
    }
  });
});

/** Texts that people and programs send by mistake. */
const odd = [
  '',
  ' ',
  '0',
  '-1',
  '+1',
  '1e3',
  '0x10',
  '1.0',
  '00',
  'TRUE',
  'true ',
  'null',
  'undefined',
  ',',
  'a,',
  '\0',
  'a\n',
  '٣',
  '%00',
  '../..',
  '__proto__',
  'constructor',
  '9'.repeat(17),
  'a'.repeat(64),
  '1h',
  'h',
  '1m1h',
];

function everyOperation(document: OpenApiDocument): readonly (Described & { readonly named: readonly string[] })[] {
  return operationsIn(document).map((each) => ({
    ...each,
    named: parametersOf(document, each.operation, 'query').map(({ name }) => name),
  }));
}

/** Texts for a schema: what it accepts, written as a query has it. */
function texts(schema: Parameter['schema']): fc.Arbitrary<string> {
  const { type, enum: words, minimum = 0, maximum = 1e6, pattern, maxLength = 200, items, format, examples } = schema;
  if (Array.isArray(words)) return fc.constantFrom(...words.map(String));
  if (type === 'boolean') return fc.constantFrom('true', 'false');
  if (type === 'integer') return fc.integer({ min: Number(minimum), max: Number(maximum) }).map(String);
  if (type === 'array') {
    return fc.array(texts(items as Parameter['schema']), { minLength: 1, maxLength: 4 }).map((each) => each.join(','));
  }
  if (Array.isArray(examples) && (format !== undefined || pattern === undefined))
    return fc.constantFrom(...examples.map(String));
  if (typeof pattern === 'string') {
    return fc.stringMatching(new RegExp(pattern)).filter((text) => text.length <= Number(maxLength));
  }
  return fc.string({ maxLength: Math.min(Number(maxLength), 200) });
}

/** Whether a schema accepts what a text of a query says. */
function acceptor(schema: Parameter['schema']): (text: string) => boolean {
  const { type, items } = schema;
  if (type === 'array') {
    const each = acceptor(items as Parameter['schema']);
    const isLength = ajv.compile({ ...schema, items: true });
    return (text) => isLength(text.split(',')) && text.split(',').every((part) => each(part.trim()));
  }
  const validate = ajv.compile(schema);
  return (text) => {
    if (type === 'boolean') return /^(?:true|false)$/.test(text) && validate(text === 'true');
    if (type === 'integer') return /^\d{1,16}$/.test(text) && validate(Number(text));
    return validate(text);
  };
}

function referencesIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  const own = '$ref' in value && typeof value.$ref === 'string' ? [value.$ref] : [];
  return [...own, ...Object.values(value).flatMap(referencesIn)];
}

function schemasIn(document: OpenApiDocument): readonly Parameter['schema'][] {
  const bodies = operationsIn(document).flatMap(({ operation }) =>
    Object.values(responsesOf(document, operation)).flatMap(({ content = {} }) =>
      Object.values(content).map(({ schema }) => schema),
    ),
  );
  const parameters = operationsIn(document).flatMap(({ operation }) => parametersOf(document, operation, 'query'));
  return [...Object.values(document.components.schemas), ...bodies, ...parameters.map(({ schema }) => schema)];
}
