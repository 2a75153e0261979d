/**
 * examples/triggers as they are, with no more rights than k8s/base and k8s/components/triggers give. PullRequests stand for all
 * sources here, because nothing but the test writes their status, on either ground.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { Manifest } from '../support/admin.ts';
import { eventually } from '../support/eventually.ts';
import { checkout } from '../support/gateway.ts';
import { startWorld, type World } from '../support/world.ts';

const commits = { first: '1'.repeat(40), second: '2'.repeat(40) };
const branch = (name: string, commit: string, title: string) => ({
  name,
  commit,
  details: JSON.stringify({ title, head: { ref: name, sha: commit } }),
});

describe('examples/triggers/pull-request.yaml', function () {
  this.timeout(600_000);
  let world: World;
  before(async () => {
    world = await startWorld({ components: ['triggers'], env: { PARTS: 'gateway,triggers' } });
    await world.apply(readFileSync(`${checkout}examples/triggers/pull-request.yaml`, 'utf8'));
  });
  after(() => world?.end());

  const path = (kind: string, name: string) =>
    `/apis/pipeline.jquad.rocks/v1alpha1/namespaces/${world.namespace}/${kind}/${name}`;
  const report = (...branches: readonly object[]) =>
    world.admin.patch(`${path('pullrequests', 'app')}/status`, { status: { sourceBranches: { branches } } });
  const runs = async (): Promise<readonly Manifest[]> => {
    const { items } = await world.admin.get<{ items: readonly Manifest[] }>(
      `/apis/tekton.dev/v1/namespaces/${world.namespace}/pipelineruns`,
    );
    return items;
  };
  const eventuallyRuns = (count: number) =>
    eventually(
      async () => {
        const all = await runs();
        assert.equal(all.length, count);
        return all;
      },
      { withinMs: 240_000 },
    );

  it('waits for the first poll, and says so', async () => {
    await eventually(
      async () => {
        const { status } = await world.admin.get(path('pipelinetriggers', 'review'));
        const { conditions = [] } = status as { conditions?: readonly { type: string; message: string }[] };
        assert.deepEqual(
          conditions.map(({ type, message }) => [type, message]),
          [['Unknown', 'waiting for PullRequest app to report a revision']],
        );
      },
      { withinMs: 240_000 },
    );
    assert.deepEqual(await runs(), []);
  });

  it('starts a run for each pull request, each with what its author wrote', async () => {
    await report(
      branch('feature/login', commits.first, 'says "hello" & goes `date`'),
      branch('fix', commits.second, 'x'),
    );
    const names = (await eventuallyRuns(2)).map(({ metadata }) => metadata.name ?? '');
    const login = names.find((name) => name.startsWith('feature-login-')) ?? '';
    const { status, message } = await world.finished(login, { withinMs: 240_000 });
    assert.equal(status, 'True', message);
    const log = await world.gateway.get(`/logs/${world.namespace}/${login}?prefix=none&color=never`);
    assert.match(log.text, /^feature\/login is at 1{40} now - says "hello" & goes `date`$/m);
  });

  it('starts one more when a commit follows, and none when nothing has changed', async () => {
    const next = '3'.repeat(40);
    await report(branch('feature/login', next, 'y'), branch('fix', commits.second, 'another title'));
    const all = await eventuallyRuns(3);
    const labels = all.map(({ metadata }) => metadata.labels?.['pipeline.jquad.rocks/pr.branch.commit']);
    assert.deepEqual(labels.toSorted(), [commits.first, commits.second, next]);
  });

  it('shows how it stands', async () => {
    await eventually(
      async () => {
        const { status } = await world.admin.get(path('pipelinetriggers', 'review'));
        const { conditions, branches } = status as {
          readonly conditions: readonly { readonly type: string; readonly status: string }[];
          readonly branches: { readonly branch: Readonly<Record<string, object>> };
        };
        assert.deepEqual(
          conditions.map(({ type, status: is }) => [type, is]),
          [['Success', 'True']],
        );
        assert.deepEqual(Object.keys(branches.branch).sort(), ['feature/login', 'fix']);
      },
      { withinMs: 240_000 },
    );
    assert.equal((await runs()).length, 3);
  });
});
