/**
 * `/docs`: the API reference as one page of HTML, made of the OpenAPI document. It needs nothing from anywhere else, and
 * works without JavaScript; the one small script only filters the list. Pure.
 */
import { createHash } from 'node:crypto';
import type { Page } from '../page.ts';
import { script, style } from './docsdress.ts';
import { type Html, html, raw } from './html.ts';
import {
  type OpenApiDocument,
  type OperationObject,
  type Parameter,
  type ResponseObject,
  resolved,
} from './openapi.ts';
import { meanings } from './schemas/problem.ts';
import type { JsonSchema } from './schemas/schema.ts';
import { schemaInWords } from './schemas/words.ts';

/** Makes the page, with the policy under which its own style and script are all that may run. */
export function docsPage(document: OpenApiDocument): Page {
  return {
    contentType: 'text/html; charset=utf-8',
    contentSecurityPolicy: [
      "default-src 'none'",
      `style-src '${hashOf(style)}'`,
      `script-src '${hashOf(script)}'`,
      'img-src data:', // the empty icon, so that browsers ask for none
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ].join(';'),
    text: pageOf(document).text,
  };
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}

function pageOf(document: OpenApiDocument): Html {
  const { info, tags, components } = document;
  const operations = operationsOf(document);
  const chapters = tags.map(({ name, description }) => ({
    name,
    description,
    operations: operations.filter(({ operation }) => operation.tags[0] === name),
  }));
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${info.title} API</title>
<link rel="icon" href="data:,">
<style>${raw(style)}</style>
</head>
<body>
<a class="skip" href="#content">To the content</a>
<header>
<h1>${info.title} <small>${info.version}</small></h1>
<p>${String(info.summary ?? '')} · <a href="openapi.json">openapi.json</a></p>
</header>
<div class="columns">
<nav aria-label="Operations">
<label id="search" hidden>Filter <input type="search" id="filter" placeholder="path, option or word"></label>
${chapters.map(
  ({ name, operations: listed }) => html`<section><h2><a href="#tag-${name}">${name}</a></h2><ul>
${listed.map(
  ({
    path,
    method,
    operation,
  }) => html`<li data-filter="${filterText(path, operation)}"><a href="#${operation.operationId}">${methodBadge(method)} <span class="path">${breakable(path)}</span></a></li>
`,
)}</ul></section>
`,
)}<section><h2>reference</h2><ul><li><a href="#errors">Errors</a></li><li><a href="#schemas">Schemas</a></li></ul></section>
</nav>
<main id="content">
${markdown(String(info.description ?? ''))}
${chapters.map(
  ({ name, description, operations: listed }) => html`<section class="chapter" id="tag-${name}">
<h2>${name}</h2>
<p>${markdownLine(description)}.</p>
${listed.map((each) => operationHtml(each, document))}
</section>
`,
)}<section class="chapter" id="errors">
<h2>Errors</h2>
<p>Every error is JSON: ${schemaLink('Problem')}.</p>
${table(
  ['Code', 'When', 'What to do'],
  Object.entries(meanings).map(([code, { when, advice }]) => [
    html`<code>${code}</code>`,
    markdownLine(when),
    markdownLine(advice),
  ]),
)}
</section>
<section class="chapter" id="schemas">
<h2>Schemas</h2>
${Object.entries(components.schemas).map(([title, schema]) => schemaHtml(title, schema))}
</section>
</main>
</div>
<script>${raw(script)}</script>
</body>
</html>
`;
}

/** One operation as the page shows it: that in the default namespace is a second path of the same. */
interface Shown {
  readonly path: string;
  readonly method: string;
  readonly operation: OperationObject;
  readonly shortPath: string | undefined;
}

function operationsOf({ paths }: OpenApiDocument): readonly Shown[] {
  const all = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
  );
  const shortOf = (id: string) => all.find(({ operation }) => operation['x-short-of'] === id)?.path;
  return all
    .filter(({ operation }) => operation['x-short-of'] === undefined)
    .map((each) => ({ ...each, shortPath: shortOf(each.operation.operationId) }));
}

function filterText(path: string, { summary, parameters }: OperationObject): string {
  const names = parameters.map((each) => ('name' in each ? each.name : (each.$ref.split(/[./]/).at(-1) ?? '')));
  return [path, summary, ...names].join(' ').toLowerCase();
}

function operationHtml({ path, shortPath, method, operation }: Shown, document: OpenApiDocument): Html {
  const { operationId, summary, description, security } = operation;
  const { components } = document;
  const parameters = operation.parameters.map((each) => resolved(each, components.parameters));
  const responses = Object.entries(operation.responses);
  const own = responses.flatMap(([status, response]) => ('$ref' in response ? [] : [{ status, response }]));
  const shared = responses.flatMap(([status, response]) => ('$ref' in response ? [{ status, ...response }] : []));
  const options = parameters.filter((each) => each.in === 'query');
  // That every operation has it is said once, above.
  const others = parameters.filter(({ in: place, name }) => place !== 'query' && name !== 'X-Request-Id');
  return html`<article id="${operationId}">
<h3><a href="#${operationId}">${methodBadge(method)} <span class="path">${breakable(path)}</span></a></h3>
<p class="summary">${markdownLine(summary)}${security?.length === 0 ? ' (open to everyone)' : ''}</p>
${shortPath === undefined ? '' : html`<p>In the default namespace: <code>${breakable(shortPath)}</code></p>`}
${markdown(description)}
${parameterTable('Options', options)}
${parameterTable('Path and headers', others)}
<h4>Answers</h4>
${table(
  ['Status', 'Meaning', 'Body'],
  own.map(({ status, response }) => answerRow(status, response)),
)}
${sharedAnswers(shared)}
${trailerTable(own.map(({ response }) => response))}
</article>
`;
}

function parameterTable(title: string, parameters: readonly Parameter[]): Html {
  if (parameters.length === 0) return raw('');
  const haveDefaults = parameters.some(({ schema }) => schema.default !== undefined);
  return html`<h4>${title}</h4>
${table(
  ['Name', 'Values', ...(haveDefaults ? ['Default'] : []), ''],
  parameters.map(({ name, schema, description, required }) => [
    html`<code>${name}</code>${required ? raw(' <small>required</small>') : ''}`,
    markdownLine(schemaInWords(schema)),
    ...(haveDefaults ? [schema.default === undefined ? raw('') : html`<code>${String(schema.default)}</code>`] : []),
    markdownLine(description),
  ]),
)}`;
}

/** Answers that are problems and no more: what their codes mean is said once for all operations. */
function sharedAnswers(answers: readonly { readonly status: string; readonly $ref: string }[]): Html {
  if (answers.length === 0) return raw('');
  const named = answers.map(({ status, $ref }, place) => {
    const codes = $ref.slice($ref.lastIndexOf('/') + 1).split('-or-');
    return html`${place === 0 ? '' : ', '}${status} ${codes.map((code) => html`<code>${code}</code>`)}`;
  });
  return html`<p class="shared">And <a href="#errors">errors</a>: ${named}</p>`;
}

function answerRow(status: string, { description, headers, content = {} }: ResponseObject): readonly Html[] {
  const named = Object.keys(headers).filter((name) => name !== 'X-Request-Id');
  const bodies = Object.entries(content).map(
    ([type, { schema, 'x-item-schema': item }]) =>
      html`<div><code>${type}</code> ${item === undefined ? typeHtml(schema) : html`stream of ${typeHtml(item)}`}</div>`,
  );
  const list = named.map((name, place) => html`${place === 0 ? '' : ', '}<code>${name}</code>`);
  return [
    html`<b class="status s${status.slice(0, 1)}">${status}</b>`,
    html`${description.split('\n').map((line) => html`<div>${markdownLine(line)}</div>`)}${named.length === 0 ? '' : html`<div class="headers">${list}</div>`}`,
    html`${bodies}`,
  ];
}

function trailerTable(responses: readonly ResponseObject[]): Html {
  const trailers = responses.flatMap((response) => Object.entries(response['x-trailers'] ?? {}));
  if (trailers.length === 0) return raw('');
  return html`<h4>Trailers</h4>
${table(
  ['Name', 'Values', ''],
  trailers.map(([name, { schema, description }]) => [
    html`<code>${name}</code>`,
    markdownLine(schemaInWords(schema)),
    markdownLine(description),
  ]),
)}`;
}

function schemaHtml(title: string, schema: JsonSchema): Html {
  const { description } = schema;
  const rows = fieldsOf(schema, '');
  return html`<article id="schema-${title}">
<h3><a href="#schema-${title}">${title}</a></h3>
${typeof description === 'string' ? html`<p>${markdownLine(description)}</p>` : ''}
${rows.length === 0 ? html`<p>${typeHtml(schema)}</p>` : table(['Field', 'Type', ''], rows)}
</article>
`;
}

/** One row for each field; those of objects that have no name of their own follow, with a path. */
function fieldsOf(schema: JsonSchema, path: string): readonly (readonly Html[])[] {
  const { properties = {}, required = [], items } = schema;
  if (isSchema(items)) return fieldsOf(items, `${path}[]`);
  const needed = new Set(required as readonly string[]); // as JSON Schema has it
  return Object.entries(properties as Readonly<Record<string, JsonSchema>>).flatMap(([name, field]) => {
    const here = path === '' ? name : `${path}.${name}`;
    const { description } = field;
    const row = [
      html`<code>${breakable(here)}</code>${needed.has(name) ? '' : raw(' <small>optional</small>')}`,
      typeHtml(field),
      typeof description === 'string' ? markdownLine(description) : raw(''),
    ];
    return [row, ...fieldsOf(field, here)];
  });
}

function typeHtml(schema: JsonSchema): Html {
  const { $ref, anyOf, oneOf, type, items, additionalProperties } = schema;
  if (typeof $ref === 'string') return schemaLink($ref.split('/').at(-1) ?? '');
  const choice = anyOf ?? oneOf;
  if (Array.isArray(choice)) {
    return html`${choice.map((each: JsonSchema, place) => html`${place === 0 ? '' : ' or '}${typeHtml(each)}`)}`;
  }
  if (type === 'array' && isSchema(items)) return html`list of ${typeHtml(items)}`;
  if (type === 'object' && isSchema(additionalProperties)) return html`map to ${typeHtml(additionalProperties)}`;
  return markdownLine(schemaInWords({ ...schema, description: undefined }));
}

function schemaLink(title: string): Html {
  return html`<a href="#schema-${title}">${title}</a>`;
}

function table(heads: readonly string[], rows: readonly (readonly Html[])[]): Html {
  return html`<div class="table"><table>
<thead><tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
<tbody>
${rows.map(
  (cells) => html`<tr>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>
`,
)}</tbody></table></div>`;
}

function methodBadge(method: string): Html {
  return html`<span class="method ${method}">${method.toUpperCase()}</span>`;
}

/** Paths may break after a slash, and nowhere else. */
function breakable(path: string): Html {
  return html`${path.split(/(?<=[/.])/).map((part, place) => html`${place === 0 ? '' : raw('<wbr>')}${part}`)}`;
}

/** Paragraphs of what `markdownLine` knows. */
function markdown(text: string): Html {
  return html`${text.split(/\n{2,}/).map(
    (paragraph) => html`<p>${markdownLine(paragraph)}</p>
`,
  )}`;
}

/** `code` is all the Markdown that descriptions have. */
function markdownLine(text: string): Html {
  return html`${text.split(/(`[^`]*`)/).map((part) => (/^`[^`]*`$/.test(part) ? html`<code>${part.slice(1, -1)}</code>` : part))}`;
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
