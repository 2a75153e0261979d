import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../../../test/support/eventually.ts';
import { HandClock } from '../../../test/support/hand-clock.ts';
import type { Log, LogFields } from '../../log.ts';
import { type CallerChange, type CallerSettings, createCallers } from './callers.ts';
import { hashPassword, type PasswordHash } from './passwords.ts';

const letGo = new AbortController().signal;
const NETWORK = '192.0.2.0/24';

describe('callers', () => {
  let folder: string;
  const [authFile, accessFile] = ['callers', 'access.yaml'];
  const hashes = new Map<string, string>();

  before(async () => {
    for (const password of ['one', 'two', 'three']) hashes.set(password, await hashPassword(password, 'argon2id'));
  });

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rungate-callers-'));
  });

  afterEach(() => rm(folder, { recursive: true }));

  const put = (file: string, text: string) => writeFile(join(folder, file), text);
  const lines = (callers: Record<string, string>) =>
    Object.entries(callers)
      .map(([name, password]) => `${name}:${hashes.get(password)}\n`)
      .join('');

  /** Callers whose passwords are compared without the work. */
  function rig(settings: Partial<CallerSettings> = {}) {
    const clock = new HandClock();
    const told: { level: string; message: string; fields: LogFields | undefined }[] = [];
    const at = (level: string) => (message: string, fields?: LogFields) => void told.push({ level, message, fields });
    const log: Log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
    const reloads: string[] = [];
    const compared: PasswordHash[] = [];
    const byHash = async (hash: PasswordHash, password: string) => {
      compared.push(hash);
      return (
        hash.kind === 'argon2id' &&
        hashes.get(password)?.endsWith(hash.hash.toString('base64').replace(/=+$/, '')) === true
      );
    };
    const metrics = { reload: (file: string, how: string) => void reloads.push(`${file} ${how}`), level() {} };
    const callers = createCallers(
      { authFile: join(folder, authFile), namespaces: ['ci', 'dev'], ...settings },
      { check: { matches: byHash }, clock, log, metrics },
    );
    const changes: CallerChange[] = [];
    callers.onChange?.((change) => changes.push(change));
    /** Lets the files be looked at, until `probe` holds. */
    const look = (probe: () => void | Promise<void>) =>
      eventually(async () => {
        await clock.turn(2_300);
        await probe();
      });
    const nameOf = async (name: string, password: string) => (await callers.find(name, password, NETWORK))?.name;
    return { callers, clock, told, reloads, compared, changes, look, nameOf };
  }

  it('are those of the file and that of the environment', async () => {
    await put(authFile, lines({ ci: 'one', anna: 'two' }));
    const { callers, nameOf } = rig({ username: 'root', password: 'correct horse' });
    await callers.start();
    assert.deepEqual(
      [
        await nameOf('ci', 'one'),
        await nameOf('anna', 'two'),
        await nameOf('root', 'correct horse'),
        await nameOf('ci', 'two'),
        await nameOf('root', 'one'),
        await nameOf('nobody', 'one'),
      ],
      ['ci', 'anna', 'root', undefined, undefined, undefined],
    );
    await callers.stop(letGo);
  });

  it('cost one comparison each time they are wrong, whoever they are', async () => {
    await put(authFile, lines({ ci: 'one' }));
    const { callers, compared } = rig({ username: 'root', password: 'correct horse' });
    await callers.start();
    for (const name of ['ci', 'root', 'nobody', '']) {
      compared.length = 0;
      await callers.find(name, 'wrong', NETWORK);
      assert.equal(compared.length, 1, name);
      assert.equal(compared[0]?.kind, 'argon2id');
    }
    await callers.stop(letGo);
  });

  it('may read what ACCESS_FILE gives them, and who is not in it everything', async () => {
    await put(authFile, lines({ ci: 'one', anna: 'two' }));
    await put(accessFile, 'ci: [dev]\nroot: []\n');
    const { callers } = rig({ accessFile: join(folder, accessFile), username: 'root', password: 'correct horse' });
    await callers.start();
    assert.deepEqual(
      ['ci', 'anna', 'root', 'nobody'].map((name) => callers.named(name)?.namespaces),
      [['dev'], 'all served', [], undefined],
    );
    await callers.stop(letGo);
  });

  it('are not there at all when a file has a mistake: every one is told', async () => {
    await put(authFile, 'ci:hunter2\nanna\n');
    await put(accessFile, 'ci: [prod]\n');
    const { callers } = rig({ accessFile: join(folder, accessFile) });
    await assert.rejects(callers.start(), ({ code, message }) => {
      assert.equal(code, 'bad-request');
      assert.deepEqual(
        message.split('\n').map((line: string) => line.split(' ', 3).join(' ')),
        ['AUTH_FILE line 1', 'AUTH_FILE line 2', 'ACCESS_FILE line 1'],
      );
      return true;
    });
    await assert.rejects(rig({ authFile: join(folder, 'nowhere') }).callers.start(), {
      message: /^AUTH_FILE cannot be read: ENOENT/,
    });
  });

  it('are read again when the file changes: some come, some go, the rest stays who they were', async () => {
    await put(authFile, lines({ ci: 'one', anna: 'two', bob: 'three' }));
    const { callers, look, changes, reloads, told, nameOf } = rig();
    await callers.start();
    const [ci, anna, bob] = ['ci', 'anna', 'bob'].map((name) => callers.named(name));
    await put(authFile, lines({ ci: 'one', anna: 'three', eve: 'two' }));
    await look(() => assert.equal(changes.length, 1));
    assert.equal(callers.named('ci'), ci);
    assert.deepEqual(changes[0]?.lost, new Set([anna, bob]));
    assert.deepEqual(
      [
        await nameOf('anna', 'two'),
        await nameOf('anna', 'three'),
        await nameOf('bob', 'three'),
        await nameOf('eve', 'two'),
      ],
      [undefined, 'anna', undefined, 'eve'],
    );
    assert.deepEqual(reloads, ['AUTH_FILE taken', 'AUTH_FILE taken']);
    const taken = told.filter(({ message }) => message === 'a changed file was taken');
    assert.deepEqual(taken, [{ level: 'info', message: 'a changed file was taken', fields: { setting: 'AUTH_FILE' } }]);
    const audited = told
      .filter(({ message }) => message === 'audit')
      .map(({ fields }) => `${fields?.event} ${fields?.caller}`);
    assert.deepEqual(audited.sort(), ['caller added eve', 'caller changed anna', 'caller removed bob']);
    await callers.stop(letGo);
  });

  it('lose something only when they lose it: a namespace more cuts nobody off', async () => {
    await put(authFile, lines({ ci: 'one', anna: 'two' }));
    await put(accessFile, 'ci: [dev]\nanna: [dev, ci]\n');
    const { callers, look, changes } = rig({ accessFile: join(folder, accessFile) });
    await callers.start();
    const [ci, anna] = [callers.named('ci'), callers.named('anna')];
    await put(accessFile, 'ci: [dev, ci]\nanna: [ci]\n');
    await look(() => assert.equal(changes.length, 1));
    assert.deepEqual(changes[0], { replaced: new Set([ci, anna]), lost: new Set([anna]) });
    await callers.stop(letGo);
  });

  it('stay while a changed file has a mistake, which is told once', async () => {
    await put(authFile, lines({ ci: 'one' }));
    const { callers, look, reloads, told, nameOf, clock } = rig();
    await callers.start();
    await put(authFile, `${lines({ anna: 'two' })}bob:hunter2\n`);
    await look(() => assert.equal(reloads.at(-1), 'AUTH_FILE refused'));
    for (let times = 0; times < 3; times++) await clock.turn(2_300);
    assert.equal(told.filter(({ level }) => level === 'error').length, 1);
    assert.match(String(told.find(({ level }) => level === 'error')?.fields?.mistake), /^AUTH_FILE line 2 \("bob"\)/);
    assert.deepEqual([await nameOf('ci', 'one'), await nameOf('anna', 'two')], ['ci', undefined]);

    await rm(join(folder, authFile));
    await look(() => assert.match(String(told.at(-1)?.fields?.mistake), /cannot be read/));
    assert.equal(await nameOf('ci', 'one'), 'ci');
    await put(authFile, lines({ anna: 'two' }));
    await look(async () => assert.equal(await nameOf('anna', 'two'), 'anna'));
    assert.equal(await nameOf('ci', 'one'), undefined);
    await callers.stop(letGo);
  });

  it('are removed even while ACCESS_FILE still has them, or has a mistake', async () => {
    await put(authFile, lines({ ci: 'one', anna: 'two' }));
    await put(accessFile, 'anna: [dev]\n');
    const { callers, look, told } = rig({ accessFile: join(folder, accessFile) });
    await callers.start();
    await put(authFile, lines({ ci: 'one' }));
    await put(accessFile, 'anna: [nowhere]\n');
    await look(() => assert.equal(callers.named('anna'), undefined));
    assert(told.some(({ message }) => message === 'a name in ACCESS_FILE is no caller'));
    await callers.stop(letGo);
  });

  it('are taken from a misspelt ACCESS_FILE no more than from a wrong one', async () => {
    await put(authFile, lines({ anna: 'one' }));
    await put(accessFile, 'anna: [dev]\n');
    const { callers, look, reloads } = rig({ accessFile: join(folder, accessFile) });
    await callers.start();
    await put(accessFile, 'ana: [dev]\n');
    await look(() => assert.equal(reloads.at(-1), 'ACCESS_FILE refused'));
    assert.deepEqual(callers.named('anna')?.namespaces, ['dev']);
    await callers.stop(letGo);
  });

  it('who are new while ACCESS_FILE has a mistake may read nothing until it is put right', async () => {
    await put(authFile, lines({ anna: 'one' }));
    await put(accessFile, 'anna: [dev]\n');
    const { callers, look } = rig({ accessFile: join(folder, accessFile) });
    await callers.start();
    await put(accessFile, 'anna: [dev]\neev: [dev]\n');
    await put(authFile, lines({ anna: 'one', eve: 'two' }));
    await look(() => assert.deepEqual(callers.named('eve')?.namespaces, []));
    await put(accessFile, 'anna: [dev]\neve: [ci]\n');
    await look(() => assert.deepEqual(callers.named('eve')?.namespaces, ['ci']));
    await callers.stop(letGo);
  });

  it('may be granted something before they are there: the grant holds as soon as they are', async () => {
    await put(authFile, lines({ anna: 'one' }));
    await put(accessFile, 'anna: [dev]\n');
    const { callers, look, reloads } = rig({ accessFile: join(folder, accessFile) });
    await callers.start();
    await put(accessFile, 'anna: [dev]\neve: [ci]\n');
    await look(() => assert.equal(reloads.at(-1), 'ACCESS_FILE refused'));
    await put(authFile, lines({ anna: 'one', eve: 'two' }));
    await look(() => assert.deepEqual(callers.named('eve')?.namespaces, ['ci']));
    assert.equal(reloads.at(-1), 'ACCESS_FILE taken');
    await callers.stop(letGo);
  });

  it('follow the links that Kubernetes swaps in a mounted Secret', async () => {
    for (const [version, text] of [
      ['..1', lines({ ci: 'one' })],
      ['..2', lines({ ci: 'two' })],
    ] as const) {
      await mkdir(join(folder, version));
      await put(join(version, authFile), text);
    }
    await symlink('..1', join(folder, '..data'));
    await symlink(join('..data', authFile), join(folder, authFile));
    const { callers, look, nameOf } = rig();
    await callers.start();
    assert.equal(await nameOf('ci', 'one'), 'ci');
    await symlink('..2', join(folder, '..data_tmp'));
    await rename(join(folder, '..data_tmp'), join(folder, '..data'));
    await look(async () => assert.equal(await nameOf('ci', 'two'), 'ci'));
    assert.equal(await nameOf('ci', 'one'), undefined);
    await callers.stop(letGo);
  });

  it('leave nothing behind when they stop', async () => {
    await put(authFile, lines({ ci: 'one' }));
    const { callers, clock } = rig();
    await callers.start();
    await callers.stop(letGo);
    await clock.settle();
    assert.equal(clock.sleeping, 0);
  });

  for (const { name, password, is } of [
    { name: 'ci', password: 'a:b', is: true },
    { name: 'ci', password: 'a', is: false },
    { name: 'ci', password: 'a:b ', is: false },
    { name: 'ci', password: '', is: false },
    { name: 'c', password: 'a:b', is: false },
    { name: 'CI', password: 'a:b', is: false },
    { name: '', password: '', is: false },
  ]) {
    it(`of AUTH_USERNAME and AUTH_PASSWORD: ${JSON.stringify(`${name} ${password}`)} ${is ? 'is' : 'is not'}`, async () => {
      const { callers, nameOf } = rig({ authFile: undefined, username: 'ci', password: 'a:b' });
      await callers.start();
      assert.equal(await nameOf(name, password), is ? 'ci' : undefined);
    });
  }

  it('advise nothing where the password need not be secret', async () => {
    const { callers, told } = rig({ authFile: undefined, username: 'demo', password: 'demo', isPasswordKnown: true });
    await callers.start();
    assert.deepEqual(told, []);
  });

  it('advise against a short AUTH_PASSWORD', async () => {
    const { callers, told } = rig({ authFile: undefined, username: 'ci', password: 'short' });
    await callers.start();
    assert.deepEqual(
      told.map(({ level }) => level),
      ['warn'],
    );
    assert.doesNotMatch(JSON.stringify(told), /"short"/);
  });
});
