/** What is answered to what a client accepts. */
import assert from 'node:assert/strict';
import { type Asking, formFor, formForStatus, formForWatch } from './negotiate.ts';

const asking = (accept: string | undefined, query = '', userAgent = 'kubectl/v1'): Asking => {
  return { accept, userAgent, query: new URLSearchParams(query) };
};

describe('formFor', () => {
  const table = [
    [undefined, 'application/json', 'object'],
    ['*/*', 'application/json', 'object'],
    ['application/yaml', 'application/yaml', 'object'],
    ['application/yaml;q=0.5, application/json', 'application/json', 'object'],
    ['application/vnd.kubernetes.protobuf, application/json', 'application/json', 'object'],
    ['application/json;as=Table;v=v1;g=meta.k8s.io,application/json', 'application/json', 'table'],
    ['application/json;as=Table;v=v9;g=meta.k8s.io,application/json', 'application/json', 'object'],
    ['application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io', 'application/json', 'metadata'],
  ] as const;
  for (const [accept, mediaType, kind] of table) {
    it(`${accept} is answered with ${mediaType}, ${kind}`, () => {
      const form = formFor(asking(accept));
      assert.deepEqual([form.mediaType, form.as.kind], [mediaType, kind]);
    });
  }

  it('refuses what it cannot write, and says what it can', () => {
    const message = 'only the following media types are accepted: application/json, application/yaml';
    for (const accept of ['text/plain', 'application/json;as=Foo;v=v1;g=meta.k8s.io']) {
      assert.throws(() => formFor(asking(accept)), { code: 406, reason: 'NotAcceptable', message });
    }
  });

  it('writes for people where people read', () => {
    const pretty = (query: string, userAgent: string) => formFor(asking('*/*', query, userAgent)).pretty;
    assert.deepEqual(
      [
        pretty('', 'curl/8.5'),
        pretty('', 'kubectl/v1'),
        pretty('pretty=true', 'kubectl/v1'),
        pretty('pretty=false', 'curl/8.5'),
      ],
      [true, false, true, false],
    );
  });

  it('wants to know how much of each object a table shows', () => {
    const table = 'application/json;as=Table;v=v1;g=meta.k8s.io';
    const { as } = formFor(asking(table, 'includeObject=None'));
    assert.deepEqual(as, { kind: 'table', version: 'v1', include: 'None' });
    assert.throws(() => formFor(asking(table, 'includeObject=Foo')), { code: 400 });
  });
});

it('a watch is JSON, or nothing', () => {
  assert.equal(formForWatch(asking('application/json;stream=watch')).mediaType, 'application/json');
  assert.throws(() => formForWatch(asking('application/yaml')), { code: 406 });
});

it('a Status comes in JSON when nothing else can be had', () => {
  assert.equal(formForStatus(asking('application/yaml')).mediaType, 'application/yaml');
  assert.equal(formForStatus(asking('text/plain')).mediaType, 'application/json');
});
