import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parse } from 'yaml';
import { projectSource } from '../../flux/project.ts';
import type { Source, SourceKind } from '../../flux/types.ts';
import type { JsonObject } from '../../kube/objects.ts';
import { eventsOf, sameAsUpstream, storedTriggerEvent, type TriggerEvent } from './event.ts';

const SHA = '03da4fd0d2c9d2b2b1f0ac5ee7b2a7b2f3b9e4c1';

function source(kind: SourceKind, status: JsonObject): Source {
  return projectSource(kind, { metadata: { name: 'app', namespace: 'ci' }, status });
}

function git(revision: string, digest?: string): Source {
  return source('GitRepository', { artifact: { revision, ...(digest === undefined ? {} : { digest }) } });
}

function image(name: string, tag: string, digest?: string): Source {
  return source('ImagePolicy', { latestRef: { name, tag, ...(digest === undefined ? {} : { digest }) } });
}

function only(of: Source): TriggerEvent {
  const [event, ...more] = eventsOf(of);
  assert.ok(event !== undefined && more.length === 0);
  return event;
}

describe('events of a repository', () => {
  it('tells the branch and the commit', () => {
    assert.deepEqual(only(git(`main@sha1:${SHA}`)), {
      line: '',
      raw: `main@sha1:${SHA}`,
      identity: `main@${SHA}`,
      shown: { as: 'repository', branchName: 'main', commitId: SHA, repositoryName: 'app' },
      branch: 'main',
      commit: SHA,
      details: `{"branchName":"main","commitId":"${SHA}","repositoryName":"app"}`,
    });
  });

  it('trigger 7: without a branch it has none, in its details as well', () => {
    const { branch, commit, details } = only(git(`sha1:${SHA}`));
    assert.deepEqual({ branch, commit }, { branch: '', commit: SHA });
    assert.equal(details, `{"commitId":"${SHA}","repositoryName":"app"}`);
  });

  it('trigger 8: there is none before the first artifact', () => {
    assert.deepEqual(eventsOf(source('GitRepository', { artifact: null })), []);
  });

  it('is the same in every format of its revision', () => {
    const formats = [`main@sha1:${SHA}`, `main/${SHA}`, `refs/heads/main@sha1:${SHA}`];
    assert.equal(new Set(formats.map((revision) => only(git(revision)).identity)).size, 1);
  });

  it('OCIRepositories and Buckets have a digest for a commit', () => {
    const { shown } = only(source('OCIRepository', { artifact: { revision: 'latest@sha256:abc' } }));
    assert.deepEqual(shown, { as: 'repository', branchName: 'latest', commitId: 'abc', repositoryName: 'app' });
    assert.equal(only(source('Bucket', { artifact: { revision: 'sha256:abc' } })).identity, '@abc');
  });

  it('a changed digest alone is no other event', () => {
    const [one, other] = [git('main@sha1:a1', 'sha256:1'), git('main@sha1:a1', 'sha256:2')];
    assert.equal(only(one).identity, only(other).identity);
  });

  it('any revision makes an event whose details can be read', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), (revision) => {
        const { branch, details } = only(git(revision));
        const { branchName = '' } = JSON.parse(details) as { branchName?: string };
        assert.equal(branchName, branch);
      }),
    );
  });
});

describe('events of an image policy', () => {
  it('tells the image, its version and what it lies in', () => {
    assert.deepEqual(only(image('ghcr.io/org/nginx', 'v0.0.2', 'sha256:a')), {
      line: '',
      raw: 'ghcr.io/org/nginx:v0.0.2',
      identity: 'ghcr.io/org/nginx:v0.0.2',
      shown: { as: 'image', repositoryName: 'org', imageName: 'nginx', imageVersion: 'v0.0.2' },
      branch: 'ghcr.io',
      commit: 'org',
      details: '{"repositoryName":"org","imageName":"nginx","imageVersion":"v0.0.2"}',
    });
  });

  it('trigger 12: registries with a port and images without a slash are understood', () => {
    assert.equal(
      only(image('reg:5000/org/team/nginx', '1.2')).details,
      '{"repositoryName":"team","imageName":"nginx","imageVersion":"1.2"}',
    );
    assert.equal(only(image('nginx', '1.2')).details, '{"imageName":"nginx","imageVersion":"1.2"}');
  });

  it('trigger 11: a changed digest alone is no other event', () => {
    const [one, other] = [image('nginx', '1', 'sha256:1'), image('nginx', '1', 'sha256:2')];
    assert.equal(only(one).identity, only(other).identity);
  });
});

describe('events of a pull request', () => {
  const branches = (...entries: readonly JsonObject[]) =>
    source('PullRequest', { sourceBranches: { branches: entries } });

  it('trigger 32: each branch is one', () => {
    const events = eventsOf(
      branches({ name: 'a', commit: 'c1', details: '{"number":1}' }, { name: 'b/c', commit: 'c2', details: '{}' }),
    );
    assert.deepEqual(
      events.map(({ line, raw, identity, details }) => ({ line, raw, identity, details })),
      [
        { line: 'a', raw: 'a@c1', identity: 'a@c1', details: '{"number":1}' },
        { line: 'b/c', raw: 'b/c@c2', identity: 'b/c@c2', details: '{}' },
      ],
    );
    assert.deepEqual(events[1]?.shown, { as: 'pullRequest', branchName: 'b/c', commitId: 'c2' });
  });

  it('of two branches with one name the last counts', () => {
    const events = eventsOf(
      branches({ name: 'a', commit: 'c1' }, { name: 'b', commit: 'c2' }, { name: 'a', commit: 'c3' }),
    );
    assert.deepEqual(
      events.map(({ raw }) => raw),
      ['a@c3', 'b@c2'],
    );
  });
});

describe('a status that the original wrote', () => {
  const table: [title: string, of: Source, status: string, stands: boolean][] = [
    ['trigger 44: stands for the same revision', git(`main@sha1:${SHA}`), `latestEvent: main@sha1:${SHA}`, true],
    ['trigger 44: stands for it in another format', git(`main@sha1:${SHA}`), `latestEvent: main/${SHA}`, true],
    ['does not stand for another commit', git('main@sha1:abc'), `latestEvent: main/${SHA}`, false],
    ['does not stand for another branch', git(`next@sha1:${SHA}`), `latestEvent: main/${SHA}`, false],
    ['does not stand for anything when it is empty', git(`main@sha1:${SHA}`), '{}', false],
    [
      'stands for the revision in its block',
      git('main@sha1:abc'),
      'gitRepository: {branchName: main, commitId: abc, repositoryName: app}',
      true,
    ],
    [
      'stands for it when the block has the whole reference',
      git('refs/heads/main@sha1:abc'),
      'gitRepository: {branchName: refs/heads/main, commitId: abc, repositoryName: app}',
      true,
    ],
    [
      'stands for it when the block has a part of the branch',
      git('feature/Login_ü@2@sha1:abc'),
      'gitRepository: {branchName: feature/Login_ü, commitId: abc, repositoryName: app}',
      true,
    ],
    [
      'stands for it when there is no branch',
      git('sha1:abc'),
      'gitRepository: {branchName: "sha1:abc", commitId: abc, repositoryName: app}',
      true,
    ],
    [
      'does not stand for another repository',
      git('main@sha1:abc'),
      'gitRepository: {branchName: main, commitId: abc, repositoryName: other}',
      false,
    ],
    [
      'does not stand for another commit in its block',
      git('main@sha1:abd'),
      'gitRepository: {branchName: main, commitId: abc, repositoryName: app}',
      false,
    ],
    ['stands for the same image', image('ghcr.io/org/nginx', '1'), 'latestEvent: ghcr.io/org/nginx:1', true],
    ['stands for it with another digest', image('nginx', '1', 'sha256:b'), 'latestEvent: nginx:1@sha256:a', true],
    ['does not stand for another tag', image('nginx', '2'), 'latestEvent: nginx:1', false],
    [
      'stands for the image in its block',
      image('ghcr.io/org/nginx', '1'),
      'imagePolicy: {repositoryName: org, imageName: nginx, imageVersion: "1"}',
      true,
    ],
    [
      'does not stand for another image in its block',
      image('ghcr.io/org/nginx', '2'),
      'imagePolicy: {repositoryName: org, imageName: nginx, imageVersion: "1"}',
      false,
    ],
    [
      'of kinds it does not know stands for nothing',
      source('Bucket', { artifact: { revision: 'sha256:abc' } }),
      'latestEvent: sha256:abc',
      false,
    ],
    ['of another shape stands for nothing', git('main@sha1:abc'), 'gitRepository: [main]', false],
  ];
  for (const [title, of, status, stands] of table) {
    it(title, () => assert.equal(sameAsUpstream(parse(status) as JsonObject, only(of), of), stands));
  }

  it('stands for the branches in it, each by itself', () => {
    const of = source('PullRequest', {
      sourceBranches: {
        branches: [
          { name: 'a', commit: 'c1' },
          { name: 'b', commit: 'c2' },
          { name: 'c', commit: 'c3' },
        ],
      },
    });
    const status = { branches: { branch: { a: { name: 'a', commit: 'c1' }, b: { name: 'b', commit: 'c0' } } } };
    assert.deepEqual(
      eventsOf(of).map((event) => sameAsUpstream(status, event, of)),
      [true, false, false],
    );
  });
});

describe('events of failures', () => {
  const failing = {
    conditions: [
      { type: 'Ready', status: 'False', reason: 'GitOperationFailed', message: 'm', lastTransitionTime: 't' },
    ],
  };
  for (const [title, kind, status, want] of [
    [
      'with the last artifact',
      'GitRepository',
      { ...failing, artifact: { revision: `main@sha1:${'a'.repeat(40)}` } },
      { branchName: 'main', commitId: 'a'.repeat(40), repositoryName: 'app' },
    ],
    ['with nothing ever fetched', 'GitRepository', failing, { branchName: '', commitId: '', repositoryName: 'app' }],
    [
      'of an image',
      'ImagePolicy',
      { ...failing, latestImage: 'docker.io/team/app:1.0' },
      { repositoryName: 'team', imageName: 'app', imageVersion: '1.0' },
    ],
    ['of no image', 'ImagePolicy', failing, { repositoryName: '', imageName: '', imageVersion: '' }],
  ] as const) {
    it(`tell why ${title}`, () => {
      const of = projectSource(kind, { metadata: { name: 'app' }, status });
      const [event, ...more] = eventsOf(of, 'Failure');
      assert.ok(event && more.length === 0);
      assert.deepEqual([event.raw, event.identity], ['GitOperationFailed', 'failure GitOperationFailed']);
      const told = { reason: 'GitOperationFailed', message: 'm', since: 't', ...want };
      assert.deepEqual(JSON.parse(event.details), told);
      assert.equal(sameAsUpstream({ latestEvent: 'GitOperationFailed' }, event, of), false);
    });
  }

  it('are none while the source is well, or does not know', () => {
    for (const state of ['True', 'Unknown']) {
      const status = { artifact: { revision: 'main/1' }, conditions: [{ type: 'Ready', status: state }] };
      assert.deepEqual(eventsOf(projectSource('GitRepository', { status }), 'Failure'), []);
    }
  });

  it('that are believed tell their cluster, and each is one of its own', () => {
    const stored = { key: 'k', cluster: 'edge', reason: 'GitOperationFailed', message: 'm', atMs: 0 };
    const event = storedTriggerEvent(stored, { kind: 'GitRepository', name: 'app' });
    assert.equal(event.identity, 'failure GitOperationFailed at 1970-01-01T00:00:00.000Z of edge');
    assert.equal(JSON.parse(event.details).cluster, 'edge');
  });
});
