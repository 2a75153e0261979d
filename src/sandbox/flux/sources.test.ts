import assert from 'node:assert/strict';
import fs from 'node:fs';
import { access, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import git from 'isomorphic-git';
import { eventually } from '../../../test/support/eventually.ts';
import { HandClock } from '../../../test/support/hand-clock.ts';
import type { Part } from '../../lifecycle.ts';
import { silentLog } from '../../log.ts';
import type { ApiClient } from '../api/client.ts';
import { objectIn, textIn } from '../core/reading.ts';
import { fluxCrds } from '../kinds/flux.ts';
import type { JsonObject, KubeObject, Resource } from '../object.ts';
import { createSandbox } from '../sandbox.ts';
import { conditionsOf } from './conditions.ts';
import { createSourceController, gitRepositories } from './sources.ts';

describe('source-controller', () => {
  const author = { name: 'somebody', email: 'somebody@example.test', timestamp: 1_790_000_000, timezoneOffset: 0 };
  let root = '';
  let dir = '';
  let client: ApiClient;
  let clock: HandClock;
  let controller: Part;
  let told: string[] = [];

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'rungate-sources-'));
    dir = join(root, 'work');
    await git.init({ fs, dir, defaultBranch: 'main' });
    clock = new HandClock();
    ({ client } = createSandbox({ folder: join(root, 'sandbox'), clock, log: silentLog, life: false }));
    for (const crd of fluxCrds()) {
      if (crd.metadata.name === 'gitrepositories.source.toolkit.fluxcd.io') client.create(definitions, crd);
    }
    client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'apps' } });
    controller = createSourceController({ client, clock, log: silentLog, folder: join(root, 'artifacts') });
    await controller.start();
    told = [];
    client.watch(gitRepositories, {}, ({ type, object }) => told.push(type === 'DELETED' ? type : sentence(object)));
  });

  afterEach(async () => {
    await controller.stop(AbortSignal.timeout(5_000));
    await clock.settle();
    assert.equal(clock.sleeping, 0, 'a timer was left behind');
    await rm(root, { recursive: true, force: true });
  });

  async function push(content: string): Promise<string> {
    await writeFile(join(dir, 'a.txt'), content);
    await git.add({ fs, dir, filepath: 'a.txt' });
    return git.commit({ fs, dir, message: `${content}\n\nand why`, author });
  }

  function create(spec: JsonObject = {}): void {
    client.create(gitRepositories, {
      apiVersion: 'source.toolkit.fluxcd.io/v1',
      kind: 'GitRepository',
      metadata: { name: 'web', namespace: 'apps' },
      spec: { interval: '1m', url: dir, ref: { branch: 'main' }, ...spec },
    });
  }

  const change = (spec: JsonObject) => client.patch(gitRepositories, 'apps', 'web', { spec });
  const ask = (value: string) =>
    client.patch(gitRepositories, 'apps', 'web', {
      metadata: { annotations: { 'reconcile.fluxcd.io/requestedAt': value } },
    });
  const get = (): KubeObject => {
    const object = client.get(gitRepositories, 'apps', 'web');
    assert.ok(object);
    return object;
  };
  const revision = () => textIn(objectIn(objectIn(get().status).artifact).revision);
  const ready = () => conditionsOf(objectIn(get().status)).find(({ type }) => type === 'Ready');

  it('reports a revision in the steps of the real one', async () => {
    const commit = await push('one');
    create();
    await eventually(() => assert.equal(objectIn(get().status).observedGeneration, 1));
    const building = `building artifact: new upstream revision 'main@sha1:${commit}'`;
    const stored = `stored artifact for revision 'main@sha1:${commit}'`;
    const progress = (message: string) =>
      `Reconciling=True/Progressing: ${message} | Ready=Unknown/Progressing: ${message}`;
    const done = `Ready=True/Succeeded: ${stored} | ArtifactInStorage=True/Succeeded: ${stored}`;
    const sequence = [
      ' ',
      ' ',
      ` ${progress('processing object: new generation -1 -> 1')}`,
      ` ${progress('building artifact')}`,
      ` ${progress(building)}`,
      ` ${done}`,
      `main@sha1:${commit} ${done}`,
    ];
    await eventually(() => assert.deepEqual(told, sequence));
    assert.deepEqual(get().metadata.finalizers, ['finalizers.fluxcd.io']);
    const { digest, path, size, url, lastUpdateTime } = objectIn(objectIn(get().status).artifact);
    assert.match(textIn(digest), /^sha256:[0-9a-f]{64}$/);
    assert.equal(path, `gitrepository/apps/web/${commit}.tar.gz`);
    assert.equal(url, `file://${join(root, 'artifacts', textIn(path))}`);
    assert.equal(lastUpdateTime, '2026-11-01T10:00:00Z');
    assert.ok(typeof size === 'number' && size > 0);
    assert.deepEqual(events(), [`Normal NewArtifact stored artifact for commit 'one'`]);
  });

  it('looks again after the interval, and not before', async () => {
    const first = await push('one');
    create();
    await eventually(() => assert.equal(revision(), `main@sha1:${first}`));
    await eventually(() => assert.equal(clock.sleeping, 1));
    const second = await push('two');
    await clock.turn(59_000);
    assert.equal(revision(), `main@sha1:${first}`);
    await clock.turn(1_000);
    await eventually(() => assert.equal(revision(), `main@sha1:${second}`));
    assert.ok(
      told.some((line) =>
        line.includes(`ArtifactOutdated=True/NewRevision: new upstream revision 'main@sha1:${second}'`),
      ),
    );
  });

  it('looks at once when it is asked, and says that it has', async () => {
    const first = await push('one');
    create({ interval: '1h' });
    await eventually(() => assert.equal(revision(), `main@sha1:${first}`));
    const second = await push('two');
    ask('now');
    await eventually(() => assert.equal(objectIn(get().status).lastHandledReconcileAt, 'now'));
    assert.equal(revision(), `main@sha1:${second}`);
    ask('again');
    await eventually(() => assert.equal(objectIn(get().status).lastHandledReconcileAt, 'again'));
    assert.equal(
      events().at(-1),
      `Normal GitOperationSucceeded no changes since last reconcilation: observed revision 'main@sha1:${second}'`,
    );
  });

  it('keeps the artifact while the repository cannot be read, tries again, and recovers', async () => {
    const commit = await push('one');
    create();
    await eventually(() => assert.equal(revision(), `main@sha1:${commit}`));
    await eventually(() => assert.equal(clock.sleeping, 1));
    await rename(dir, `${dir}-away`);
    await clock.turn(60_000);
    await eventually(() => assert.equal(ready()?.status, 'False'));
    const why = `failed to checkout and determine revision: unable to clone '${dir}': repository not found`;
    const stored = `stored artifact for revision 'main@sha1:${commit}'`;
    assert.equal(
      sentence(get()),
      `main@sha1:${commit} Reconciling=True/ProgressingWithRetry: reconciliation in progress | ` +
        `Ready=False/GitOperationFailed: ${why} | ArtifactInStorage=True/Succeeded: ${stored} | FetchFailed=True/GitOperationFailed: ${why}`,
    );
    await rename(`${dir}-away`, dir);
    await eventually(() => assert.equal(clock.sleeping, 1));
    await clock.turn(750);
    await eventually(() => assert.equal(ready()?.status, 'True'));
    assert.equal(
      sentence(get()),
      `main@sha1:${commit} Ready=True/Succeeded: ${stored} | ArtifactInStorage=True/Succeeded: ${stored}`,
    );
    assert.deepEqual(events().slice(-2), [
      `Warning GitOperationFailed ${why}`,
      `Normal Succeeded stored artifact for commit 'main@sha1:${commit}'`,
    ]);
  });

  it('follows the spec: another branch, one that is not there, and back', async () => {
    const commit = await push('one');
    await git.branch({ fs, dir, ref: 'dev' });
    create();
    await eventually(() => assert.equal(objectIn(get().status).observedGeneration, 1));
    change({ ref: { branch: 'nope' } });
    await eventually(() => assert.equal(ready()?.observedGeneration, 2));
    assert.equal(ready()?.reason, 'GitOperationFailed');
    assert.equal(objectIn(get().status).observedGeneration, 1);
    assert.equal(revision(), `main@sha1:${commit}`);
    change({ ref: { branch: 'dev' } });
    await eventually(() => assert.equal(objectIn(get().status).observedGeneration, 3));
    assert.equal(revision(), `dev@sha1:${commit}`);
  });

  it('makes another artifact of the same revision when other files are left out', async () => {
    await push('one');
    create();
    await eventually(() => assert.equal(objectIn(get().status).observedGeneration, 1));
    const before = objectIn(objectIn(get().status).artifact).digest;
    change({ ignore: 'a.txt' });
    await eventually(() => assert.equal(objectIn(get().status).observedGeneration, 2));
    const status = objectIn(get().status);
    assert.notEqual(objectIn(status.artifact).digest, before);
    assert.equal(status.observedIgnore, 'a.txt');
  });

  it('builds an artifact again that has disappeared', async () => {
    const commit = await push('one');
    create();
    await eventually(() => assert.equal(objectIn(get().status).observedGeneration, 1));
    await rm(join(root, 'artifacts'), { recursive: true });
    told = [];
    ask('again');
    await eventually(() => assert.equal(objectIn(get().status).lastHandledReconcileAt, 'again'));
    assert.ok(
      told.some((line) => line.includes('Reconciling=True/Progressing: building artifact: disappeared from storage')),
    );
    await access(join(root, 'artifacts', 'gitrepository', 'apps', 'web', `${commit}.tar.gz`));
  });

  it('does nothing while it is suspended, but takes note', async () => {
    const first = await push('one');
    create();
    await eventually(() => assert.equal(objectIn(get().status).observedGeneration, 1));
    change({ suspend: true });
    await eventually(() => assert.equal(objectIn(get().status).observedGeneration, 2));
    const second = await push('two');
    ask('now');
    await eventually(() => assert.equal(objectIn(get().status).lastHandledReconcileAt, 'now'));
    assert.equal(clock.sleeping, 0);
    assert.equal(revision(), `main@sha1:${first}`);
    change({ suspend: null });
    await eventually(() => assert.equal(revision(), `main@sha1:${second}`));
  });

  it('wants credentials to be there, and says that it does not use them', async () => {
    await push('one');
    create({ secretRef: { name: 'key' } });
    const why = `failed to get secret 'apps/key': failed to get secret 'apps/key': secrets "key" not found`;
    await eventually(() => assert.equal(ready()?.message, why));
    assert.equal(ready()?.reason, 'AuthenticationFailed');
    client.create(secrets, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'key', namespace: 'apps' } });
    ask('now');
    await eventually(() => assert.equal(ready()?.status, 'True'));
    const ignored = conditionsOf(objectIn(get().status)).find(({ type }) => type === 'CredentialsIgnored');
    assert.equal(ignored?.message, "the sandbox reads local repositories as whoever runs it: secret 'key' is not used");
  });

  it('lets go of a repository that is deleted, and of its artifact', async () => {
    const commit = await push('one');
    create();
    await eventually(() => assert.equal(objectIn(get().status).observedGeneration, 1));
    client.remove(gitRepositories, 'apps', 'web');
    await eventually(() => assert.equal(client.get(gitRepositories, 'apps', 'web'), undefined));
    await assert.rejects(access(join(root, 'artifacts', 'gitrepository', 'apps', 'web', `${commit}.tar.gz`)));
    assert.equal(told.at(-1), 'DELETED');
    await eventually(() => assert.equal(clock.sleeping, 0));
  });

  /** Revision and conditions, as one line. */
  function sentence(object: KubeObject): string {
    const status = objectIn(object.status);
    const conditions = conditionsOf(status).map(
      ({ type, status: is, reason, message }) => `${type}=${is}/${reason}: ${message}`,
    );
    return `${textIn(objectIn(status.artifact).revision)} ${conditions.join(' | ')}`;
  }

  function events(): string[] {
    return client
      .list({ group: '', version: 'v1', plural: 'events' }, { namespace: 'apps' })
      .map(({ type, reason, message }) => `${textIn(type)} ${textIn(reason)} ${textIn(message)}`);
  }
});

const definitions: Resource = { group: 'apiextensions.k8s.io', version: 'v1', plural: 'customresourcedefinitions' };
const namespaces: Resource = { group: '', version: 'v1', plural: 'namespaces' };
const secrets: Resource = { group: '', version: 'v1', plural: 'secrets' };
