/** Paths, and what they ask for. */
import assert from 'node:assert/strict';
import { askedFor, attributesOf } from './request.ts';

const asked = (path: string, query = '') => askedFor(path, new URLSearchParams(query));

describe('askedFor', () => {
  const pods = { resource: { group: '', version: 'v1', plural: 'pods' }, tooDeep: false, isWatch: false };
  const whole = { namespace: '', name: '', subresource: '' };
  const table = [
    ['/api/v1/pods', { ...pods, ...whole }],
    ['/api/v1/pods/', { ...pods, ...whole }],
    ['/api/v1/namespaces/ci/pods', { ...pods, ...whole, namespace: 'ci' }],
    ['/api/v1/namespaces/ci/pods/a', { ...pods, ...whole, namespace: 'ci', name: 'a' }],
    ['/api/v1/namespaces/ci/pods/a/log', { ...pods, namespace: 'ci', name: 'a', subresource: 'log' }],
    ['/api/v1/namespaces/ci/pods/a/log/b', { ...pods, namespace: 'ci', name: 'a', subresource: 'log', tooDeep: true }],
    [
      '/api/v1/namespaces/ci/status',
      {
        ...pods,
        resource: { ...pods.resource, plural: 'namespaces' },
        namespace: '',
        name: 'ci',
        subresource: 'status',
      },
    ],
    [
      '/apis/tekton.dev/v1/namespaces/ci/pipelineruns/a%20b',
      {
        ...pods,
        resource: { group: 'tekton.dev', version: 'v1', plural: 'pipelineruns' },
        namespace: 'ci',
        name: 'a b',
        subresource: '',
      },
    ],
    ['/api/v1/watch/namespaces/ci/pods', { ...pods, ...whole, namespace: 'ci', isWatch: true }],
  ] as const;
  for (const [path, want] of table) {
    it(`reads ${path}`, () => assert.deepEqual(asked(path), { of: 'resource', ...want }));
  }

  for (const path of [
    '/',
    '/version',
    '/api',
    '/api/v1',
    '/apis',
    '/apis/tekton.dev',
    '/apis/tekton.dev/v1',
    '/openapi/v3/api/v1',
  ]) {
    it(`takes ${path} for no resource`, () => assert.deepEqual(asked(path), { of: 'path', path }));
  }

  it('watches collections alone', () => {
    const watches = (path: string) => asked(path, 'watch=true') as { isWatch: boolean };
    assert.equal(watches('/api/v1/pods').isWatch, true);
    assert.equal(watches('/api/v1/namespaces/ci/pods/a').isWatch, false);
  });
});

describe('attributesOf', () => {
  const attributes = (method: string, path: string, query = '') => {
    const parameters = new URLSearchParams(query);
    return attributesOf(askedFor(path, parameters), method, parameters);
  };
  const core = { group: '', version: 'v1' };
  const table = [
    ['GET', '/api/v1/pods', '', { ...core, verb: 'list', resource: 'pods', namespace: '', name: '' }],
    ['GET', '/api/v1/pods', 'watch=1', { ...core, verb: 'watch', resource: 'pods', namespace: '', name: '' }],
    [
      'GET',
      '/api/v1/namespaces/ci/pods',
      'fieldSelector=metadata.name%3Da',
      { ...core, verb: 'list', resource: 'pods', namespace: 'ci', name: 'a' },
    ],
    [
      'GET',
      '/api/v1/namespaces/ci/pods/a/log',
      '',
      { ...core, verb: 'get', resource: 'pods/log', namespace: 'ci', name: 'a' },
    ],
    ['GET', '/api/v1/namespaces/ci', '', { ...core, verb: 'get', resource: 'namespaces', namespace: 'ci', name: 'ci' }],
    [
      'DELETE',
      '/api/v1/namespaces/ci/pods',
      '',
      { ...core, verb: 'deletecollection', resource: 'pods', namespace: 'ci', name: '' },
    ],
    ['GET', '/version', '', { verb: 'get', path: '/version' }],
  ] as const;
  for (const [method, path, query, want] of table) {
    it(`of ${method} ${path}${query && `?${query}`}`, () => assert.deepEqual(attributes(method, path, query), want));
  }
});
