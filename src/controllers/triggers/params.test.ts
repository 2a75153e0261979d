import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Fault } from '../../fault.ts';
import { projectSource } from '../../flux/project.ts';
import type { Json, JsonObject } from '../../kube/objects.ts';
import { eventsOf, type TriggerEvent } from './event.ts';
import { type Dialect, resolveParams } from './params.ts';

const SHA = '03da4fd0d2c9d2b2b1f0ac5ee7b2a7b2f3b9e4c1';

function eventOf(kind: 'GitRepository' | 'ImagePolicy' | 'PullRequest', status: JsonObject): TriggerEvent {
  const [event] = eventsOf(projectSource(kind, { metadata: { name: 'app' }, status }));
  return event ?? assert.fail('no event');
}

const git = (revision: string) => eventOf('GitRepository', { artifact: { revision } });
const image = (latestImage: string) => eventOf('ImagePolicy', { latestImage });
const pull = (details: string) =>
  eventOf('PullRequest', { sourceBranches: { branches: [{ name: 'feature/x', commit: 'c1', details }] } });

const main = git(`main@sha1:${SHA}`);
const request = pull(`{
  "title": "He said \\"x\\" \\u0026 y", "id": 9007199254740993, "number": 7, "ratio": 1.50, "draft": false, "body": null,
  "head": {"ref": "feature/x", "my-key": "dashed", "id": 12345678901234567890},
  "labels": [{"name": "bug"}, {"name": "a\\"b"}], "nullable": "null", "branchId": "its own"
}`);

function resolved(value: Json, event: TriggerEvent, dialect: Dialect): Json | undefined {
  const [param] = resolveParams([{ name: 'rev', value }], event, dialect) as readonly JsonObject[];
  return param?.value;
}

function refusal(value: Json, event: TriggerEvent, dialect: Dialect = 'jsonpath'): string {
  try {
    resolved(value, event, dialect);
  } catch (error) {
    assert.ok(error instanceof Fault && error.code === 'bad-request', String(error));
    return error.message;
  }
  return assert.fail(`${JSON.stringify(value)} was accepted`);
}

describe('parameters with variables', () => {
  const table: [value: string, event: TriggerEvent, want: string][] = [
    ['$(branch)', main, 'main'],
    ['$(commit)', main, SHA],
    ['main', main, 'main'],
    ['refs/heads/$(branch)', main, 'refs/heads/$(branch)'],
    [' $(branch)', main, ' $(branch)'],
    ['$(context.pipelineRun.name)', main, '$(context.pipelineRun.name)'],
    ['$', main, '$'],
    ['$[0]', main, '$[0]'],
    ['$.commitId', main, SHA],
    ['$(branch)', git(`sha1:${SHA}`), ''],
    ['$(branch)', git(`feature/Login_ü@2@sha1:${SHA}`), 'feature/Login_ü@2'],
    ['$(branch)', git(`feature/Login_ü@2/${SHA}`), 'feature/Login_ü@2'],
    ['$(commit)', image('nginx:1.0'), ''],
    ['$(branch)', pull(''), 'feature/x'],
  ];
  for (const [value, event, want] of table) {
    it(`trigger 4: ${value} of ${event.raw} is ${JSON.stringify(want)}`, () => {
      assert.equal(resolved(value, event, 'variables'), want);
    });
  }
});

describe('parameters with JSONPath', () => {
  const table: [value: Json, event: TriggerEvent, want: Json][] = [
    ['$.branchName', main, 'main'],
    ['$.commitId', main, SHA],
    ['$.branchId', main, SHA],
    ["$['branchId']", main, SHA],
    ['$.repositoryName', main, 'app'],
    ['$', main, `{"branchName":"main","commitId":"${SHA}","repositoryName":"app"}`],
    ['$.*', main, `["main","${SHA}","app"]`],
    ['$.branchName', git(`nullable@sha1:${SHA}`), 'nullable'],
    ['$.branchName', git(`feature/Login_ü@2@sha1:${SHA}`), 'feature/Login_ü@2'],
    ['$.repositoryName', image('reg:5000/org/team/nginx:1.2'), 'team'],
    ['$.imageName', image('reg:5000/org/team/nginx:1.2'), 'nginx'],
    ['$.imageVersion', image('reg:5000/org/team/nginx:1.2'), '1.2'],
    ["$.repositoryName + ':' + $.imageVersion", image('ghcr.io/org/nginx:1.2'), 'org:1.2'],
    ['$.repositoryName+":"+$.imageVersion', image('ghcr.io/org/nginx:1.2'), 'org:1.2'],
    ['$.title', request, 'He said "x" & y'],
    ['$.id', request, '9007199254740993'],
    ['$.head.id', request, '12345678901234567890'],
    ['$.ratio', request, '1.50'],
    ['$.draft', request, 'false'],
    ['$.branchId', request, 'its own'],
    ['$.nullable', request, 'null'],
    ['$.labels[*].name', request, '["bug","a\\"b"]'],
    ['$.labels[0]', request, '{"name":"bug"}'],
    ['$..ref', request, 'feature/x'],
    ["$['head']['my-key']", request, 'dashed'],
    ["$.head['my-key'] + '-' + $.number", request, 'dashed-7'],
    ["$.title + ' + \\'q\\' \"'", request, 'He said "x" & y + \'q\' "'],
    ["$.labels[?@.name == 'a+b-c' || @.name == 'bug'].name", request, 'bug'],
    ['a$b', main, 'a$b'],
    ['cost$5', main, 'cost$5'],
    ['$5', main, '$5'],
    ['$(context.pipelineRun.name)', main, '$(context.pipelineRun.name)'],
    ['$(branch)', main, '$(branch)'],
    [' $.branchName', main, ' $.branchName'],
    ['', main, ''],
    [['$.branchName', 'b', '$(x)'], main, ['main', 'b', '$(x)']],
    [{ url: '$.repositoryName', other: 'o' }, main, { url: 'app', other: 'o' }],
    [7, main, 7],
    [null, main, null],
  ];
  for (const [value, event, want] of table) {
    it(`trigger 27: ${JSON.stringify(value)} of ${event.raw} is ${JSON.stringify(want)}`, () => {
      assert.deepEqual(resolved(value, event, 'jsonpath'), want);
    });
  }

  const wrong: [value: Json, event: TriggerEvent, says: RegExp][] = [
    ['$.nope', main, /^parameter rev: Expression \$\.nope evaluates to null\.$/],
    ['$.body', request, /^parameter rev: Expression \$\.body evaluates to null\.$/],
    ["$.title + $.nope + 'x'", request, /evaluates to null\.$/],
    ['$.branchName', git(`sha1:${SHA}`), /^parameter rev: Expression \$\.branchName evaluates to null\.$/],
    [['a', '$.nope'], main, /^parameter rev: Expression \$\.nope evaluates to null\.$/],
    ['$.[[', main, /^parameter rev: Expression \$\.\[\[ cannot be evaluated: unexpected shorthand selector/],
    ['$.number - 1', request, /cannot be evaluated: - is not supported; .* written \$\['my-key'\]$/],
    ['$.number * 2', request, /\* is not supported/],
    ['$.number ** 2', request, /\* is not supported/],
    ['$.number + 1', request, /cannot be evaluated/],
    ['$.number + $.number', request, /\+ joins strings only$/],
    ["$.labels + ''", request, /\+ joins strings only$/],
    ['$.title +', request, /cannot be evaluated/],
    ["$.title 'x'", request, /cannot be evaluated/],
    ["$.title + 'x' 'y'", request, /' is not supported/],
    ["$.title + '\\x'", request, /escape/],
    ['$.labels[(@.length-1)]', request, /\[\(\.\.\.\)\] is not supported/],
    ['$.labels.length()', request, /\( is not supported/],
    ['$.labels[?search(@.name, "(a+)+$")]', request, /the function search\(\) is not supported$/],
    ['$.title', pull(''), /what the source tells of the event is no JSON$/],
    ['$.title', pull('{"title":'), /is no JSON$/],
    [Array.from({ length: 30 }).reduce<Json>((inner) => [inner], 'x'), main, /deeper than 20 levels$/],
    [`$.${'a'.repeat(1500)}`, main, /cannot be evaluated: it is longer than 1000 characters$/],
    [`$${'.*'.repeat(500_000)}`, main, /cannot be evaluated: it is longer than 2000 characters$/],
  ];
  for (const [value, event, says] of wrong) {
    it(`trigger 26: ${JSON.stringify(value).slice(0, 60)} of ${event.raw} is refused`, () => {
      assert.match(refusal(value, event), says);
      assert.ok(refusal(value, event).length < 600);
    });
  }

  it('all parameters together are bounded', () => {
    const event = pull(JSON.stringify({ body: 'x'.repeat(400_000) }));
    const params = ['a', 'b'].map((name) => ({ name, value: '$.body' }));
    assert.throws(
      () => resolveParams(params, event, 'jsonpath'),
      /^Fault: parameter b: .* more than 524288 characters$/,
    );
  });

  it('keeps the order, other fields, and what is no list or entry', () => {
    const params = [{ name: 'a', value: '$.branchName', more: 1 }, 'odd', { name: 'b' }, null];
    assert.deepEqual(resolveParams(params, main, 'jsonpath'), [
      { name: 'a', value: 'main', more: 1 },
      'odd',
      { name: 'b' },
      null,
    ]);
    assert.deepEqual(resolveParams({ a: '$.nope' }, main, 'jsonpath'), { a: '$.nope' });
    assert.throws(() => resolveParams([{ value: '$.nope' }], main, 'jsonpath'), /^Fault: parameter number 1: /);
  });

  it('any string comes through a document as it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), (title, quoted) => {
        fc.pre(!/\\/.test(quoted));
        const event = pull(JSON.stringify({ title }));
        assert.equal(resolved('$.title', event, 'jsonpath'), title);
        if (!quoted.includes("'")) assert.equal(resolved(`$.title + '${quoted}'`, event, 'jsonpath'), title + quoted);
      }),
    );
  });

  it('any whole number comes through digit for digit', () => {
    fc.assert(
      fc.property(fc.bigInt(), (id) => {
        assert.equal(resolved('$.id', pull(`{"id":${id}}`), 'jsonpath'), String(id));
      }),
    );
  });

  it('what does not start as an expression is never touched', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        fc.pre(!text.startsWith('$.') && !text.startsWith('$[') && text !== '$');
        assert.equal(resolved(text, main, 'jsonpath'), text);
      }),
    );
  });

  it('nothing that can be written throws anything but a Fault', () => {
    const piece = fc.constantFrom(
      '.',
      '..',
      '[',
      ']',
      '*',
      '?',
      '@',
      "'",
      '"',
      '(',
      ')',
      '+',
      '-',
      ' ',
      '\\',
      '$',
      'a',
      '0',
      '==',
      ':',
    );
    const text = fc.oneof(
      fc.array(piece).map((pieces) => `$.${pieces.join('')}`),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(
        fc.jsonValue(),
        text,
        fc.constantFrom<Dialect>('variables', 'jsonpath'),
        fc.string(),
        (odd, expression, dialect, details) => {
          for (const value of [odd as Json, expression]) {
            try {
              resolved(value, pull(details), dialect);
              resolved(value, request, dialect);
            } catch (error) {
              assert.ok(error instanceof Fault && error.code === 'bad-request', String(error));
            }
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
