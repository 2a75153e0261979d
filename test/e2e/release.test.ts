/**
 * A release as docs/release.md has it, typed in a copy of this checkout: the version is raised, the package is made,
 * looked into, installed and started.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Bom } from '../../release/bom.ts';
import { readChangelog } from '../../release/changelog.ts';
import { versionsIn } from '../../release/version.ts';
import { eventually } from '../support/eventually.ts';
import { checkout } from '../support/gateway.ts';
import { runProgram } from '../support/program.ts';
import { type Block, blocksOf, sitDown, type Typist } from '../support/typed-docs.ts';

describe('a release', () => {
  let parent: string;
  let copy: string;
  let env: NodeJS.ProcessEnv;
  let typist: Typist;
  let page: string;
  let blocks: readonly Block[];
  let files: readonly string[];
  let first: string;

  async function run(file: string, ...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await runProgram(file, args, { cwd: copy, env });
    assert.equal(code, 0, `${file} ${args.join(' ')}\n${stdout}${stderr}`);
    return stdout;
  }

  /** Types the block that has such a line; nothing is typed twice unless it is asked for twice. */
  async function type(words: string): Promise<void> {
    const block = blocks.find(({ text }) => text.includes(words));
    assert.ok(block, `docs/release.md has no block with ${words}`);
    typed.add(block);
    await typist.type(block);
  }
  const typed = new Set<Block>();

  const readJson = async <T>(path: string) => JSON.parse(await readFile(join(copy, path), 'utf8')) as T; // looked at by the tests
  const version = async () => (await readJson<{ readonly version: string }>('package.json')).version;

  before(async () => {
    parent = await mkdtemp(join(tmpdir(), 'rungate-test-'));
    copy = join(parent, 'checkout');
    await mkdir(copy);
    // Nothing of the npm script that runs this test but npm's own settings; the Node that runs it, as a releaser has.
    const own = Object.entries(process.env).filter(
      ([name]) => !/^(?:npm_(?:package|lifecycle|config_(?:\w+_)?prefix)|NODE_V8_COVERAGE)/.test(name),
    );
    env = {
      ...Object.fromEntries(own),
      PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
      npm_config_prefer_offline: 'true',
      npm_config_update_notifier: 'false',
    };
    for (const who of ['AUTHOR', 'COMMITTER']) {
      env[`GIT_${who}_NAME`] = 'A releaser';
      env[`GIT_${who}_EMAIL`] = 'releaser@rungate.invalid';
    }
    const { stdout } = await runProgram('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
      cwd: checkout,
    });
    for (const path of stdout.split('\0').filter(Boolean)) {
      await cp(join(checkout, path), join(copy, path)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error; // deleted, and not committed yet
      });
    }
    // Whether something was released already must not matter here.
    await writeFile(join(copy, 'CHANGELOG.md'), '# Changelog\n\n## [Unreleased]\n\n### Added\n\n- Something.\n');
    await symlink(join(checkout, 'node_modules'), join(copy, 'node_modules'));
    await run('git', 'init', '--quiet');
    await writeFile(join(copy, '.git/info/exclude'), 'node_modules\n'); // a link is no folder to .gitignore
    await run('git', 'add', '--all');
    await run('git', 'commit', '--quiet', '--message', 'all of it');
    typist = await sitDown({ folder: copy, env, put: (text) => text });
    page = await readFile(join(checkout, 'docs/release.md'), 'utf8');
    blocks = blocksOf('docs/release.md', page);
    first = await version();
  });

  after(async () => {
    await typist?.leave();
    await rm(parent, { recursive: true, force: true });
  });

  it('is refused before the changelog has it, and where something is not committed', async () => {
    const refusal = async () => (await runProgram('npm', ['run', '--silent', 'release'], { cwd: copy, env })).stderr;
    assert.match(await refusal(), /CHANGELOG\.md has no section of/);
    await writeFile(join(copy, 'left-over'), '');
    assert.match(await refusal(), /^Commit first:/m);
    await rm(join(copy, 'left-over'));
  });

  it('the first one keeps the version that is there', async () => {
    const [, command = ''] = /`(npm version \S+ --allow-same-version)`/.exec(page) ?? [];
    await run('bash', '-c', command.replace('0.1.0', first));
    assert.equal(await version(), first);
    assert.equal((await run('git', 'describe', '--tags')).trim(), `v${first}`);
    await run('git', 'reset', '--quiet', '--hard', 'HEAD~1');
    await run('git', 'tag', '--delete', `v${first}`);
  });

  it('npm version raises it in every file that repeats it, dates the changelog, commits and tags', async () => {
    await type('npm version');
    const raised = await version();
    const [major, minor] = first.split('.').map(Number);
    assert.equal(raised, `${major}.${(minor ?? 0) + 1}.0`);
    assert.equal(await run('git', 'status', '--porcelain'), '');
    assert.match(await run('git', 'log', '-1', '--format=%s %D'), new RegExp(`^release: ${raised} .*tag: v${raised}`));
    const places = (await run('git', 'ls-files')).split('\n').filter(Boolean);
    const found = await Promise.all(
      places.map(async (path) => versionsIn(path, await readFile(join(copy, path), 'utf8'))),
    );
    const versions = found.flat().map((place) => place.version);
    assert.ok(versions.length > 3);
    assert.deepEqual(new Set(versions), new Set([raised]));
    const [next, newest] = readChangelog(await readFile(join(copy, 'CHANGELOG.md'), 'utf8'));
    assert.deepEqual([next?.name, next?.groups, newest?.name], ['Unreleased', [], raised]);
    assert.ok(newest?.date);
  });

  it('the audit that is asked for before it ends well, or says what is known', async () => {
    const { code, stdout, stderr } = await runProgram('npm', ['run', '--silent', 'audit'], { cwd: copy, env });
    // What is known changes without us: that it is told is all that a test can hold.
    assert.match(stdout, /^(?:Clean: |Not audited: |\d+ known, )/m, stderr);
    assert.equal(code === 0, !/^\d+ known, [1-9]/m.test(stdout));
    for (const block of blocks) if (block.text === 'npm run audit') typed.add(block);
  });

  it('npm run release makes a package, a bill of materials and their sums', async () => {
    await type('npm run release');
    const raised = await version();
    const sums = await readFile(join(copy, '.rungate/release/SHA256SUMS'), 'utf8');
    assert.match(sums, new RegExp(`^\\w{64}  rungate-${raised}\\.cdx\\.json\n\\w{64}  rungate-${raised}\\.tgz\n$`));
    const bom = await readJson<Bom>(`.rungate/release/rungate-${raised}.cdx.json`);
    assert.equal(bom.metadata.component.version, raised);
    assert.equal(bom.components.find(({ type }) => type === 'platform')?.version, process.versions.node);
    const committed = (await run('git', 'log', '-1', '--format=%ct')).trim();
    assert.equal(Date.parse(bom.metadata.timestamp ?? ''), Number(committed) * 1000);
    assert.equal(await run('git', 'status', '--porcelain'), '');
  });

  it('makes the same bytes again, whatever was left in dist', async () => {
    const sums = await readFile(join(copy, '.rungate/release/SHA256SUMS'), 'utf8');
    await writeFile(join(copy, 'dist/left-over.js'), '');
    await run('npm', 'run', '--silent', 'release');
    assert.equal(await readFile(join(copy, '.rungate/release/SHA256SUMS'), 'utf8'), sums);
  });

  it('the package has what is built and written for whoever runs it, and nothing else', async () => {
    const archive = join(copy, `.rungate/release/rungate-${await version()}.tgz`);
    files = (await run('tar', '-tzf', archive))
      .split('\n')
      .filter(Boolean)
      .map((path) => path.replace(/^package\//, ''));
    const tracked = (await run('git', 'ls-files', 'bin', 'k8s', 'src')).split('\n').filter(Boolean);
    const built = tracked
      .filter((path) => /^src\/.*\.ts$/.test(path) && !path.endsWith('.test.ts'))
      .map((path) => path.replace(/^src\//, 'dist/').replace(/\.ts$/, '.js'));
    const wanted = [
      ...['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'THIRD-PARTY-LICENSES.md'],
      ...tracked.filter((path) => /^(?:bin|k8s)\//.test(path)),
      ...built,
    ];
    assert.deepEqual(files.toSorted(), wanted.toSorted());
  });

  it('what is in it names nothing that is not in it', async () => {
    await run('tar', '-xzf', join(copy, `.rungate/release/rungate-${await version()}.tgz`), '-C', parent);
    const programs = files.filter((path) => path.endsWith('.js'));
    const texts = await Promise.all(programs.map((path) => readFile(join(parent, 'package', path), 'utf8')));
    assert.deepEqual(
      programs.filter((_path, place) => /sourceMappingURL|from '[^']+\.ts'/.test(texts[place] ?? '')),
      [],
    );
  });

  it('npm installs it, without anything that is for development', async () => {
    await type('npm install');
    const installed = await readJson<{ readonly packages: Readonly<Record<string, object>> }>(
      '.rungate/installed/node_modules/.package-lock.json',
    );
    const names = Object.keys(installed.packages).map((path) => path.replace(/.*node_modules\//, ''));
    assert.ok(names.includes('rungate') && names.includes('express'));
    for (const name of ['mocha', 'typescript', '@biomejs/biome', 'node']) assert.ok(!names.includes(name), name);
  });

  it('every block of the page was typed', () => {
    const left = blocks.filter((block) => block.manner.kind !== 'not typed' && !typed.has(block));
    assert.deepEqual(
      left.map(({ text }) => text),
      [],
    );
  });

  describe('that is installed', () => {
    const rungate = () => join(copy, '.rungate/installed/node_modules/.bin/rungate');

    it('says its version and its help', async () => {
      assert.equal(await run(rungate(), '--version'), `${await version()}\n`);
      assert.match(await run(rungate(), '--help'), /AUTH_USERNAME/);
    });

    it('plays the demo', async () => {
      const folder = join(parent, 'somewhere');
      await mkdir(folder);
      const demo = spawn(rungate(), ['demo'], {
        cwd: folder,
        env: { PATH: env.PATH, HOME: folder, PORT: '0', METRICS_PORT: '0' },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const ended = once(demo, 'close');
      let printed = '';
      demo.stdout.setEncoding('utf8').on('data', (text) => (printed += text));
      try {
        const url = await eventually(
          () => {
            const [address] = /http:\/\/localhost:\d+/.exec(printed) ?? [];
            assert.ok(address, printed);
            return address;
          },
          { withinMs: 240_000 },
        );
        const health = await fetch(`${url}/health`);
        assert.deepEqual([health.status, await health.json()], [200, { status: 1 }]);
        const authorization = `Basic ${Buffer.from('demo:demo').toString('base64')}`;
        const log = await fetch(`${url}/logs/green-build`, { headers: { authorization } });
        assert.equal(log.status, 200);
        assert.match(await log.text(), /"type":"Succeeded","status":"True"|Succeeded/);
        const description = await fetch(`${url}/openapi.json`, { headers: { authorization } });
        const { info } = (await description.json()) as { readonly info: { readonly version: string } };
        assert.equal(info.version, await version());
      } finally {
        demo.kill('SIGINT');
      }
      assert.deepEqual(await ended, [0, null]);
    });
  });
});
