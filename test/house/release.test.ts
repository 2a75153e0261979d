/** What a release goes by: one version, a changelog, and what npm audit says. What is shipped is in bom.test.ts. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { auditText, explained, readAudit } from '../../release/audit.ts';
import { groupNames, readChangelog, released } from '../../release/changelog.ts';
import type { Lockfile, Manifest } from '../../release/shipped.ts';
import { versionsIn, withVersion } from '../../release/version.ts';
import { checkout } from '../support/gateway.ts';
import { runProgram } from '../support/program.ts';

const read = (path: string) => readFileSync(join(checkout, path), 'utf8');
const manifest = JSON.parse(read('package.json')) as Manifest;
const lock = JSON.parse(read('package-lock.json')) as Lockfile;

describe('the version', () => {
  it('is one of Semantic Versioning, and that of package-lock.json', () => {
    assert.match(manifest.version, /^\d+\.\d+\.\d+(?:-[\w.]+)?$/);
    assert.equal((lock as Lockfile & { readonly version: string }).version, manifest.version);
    assert.equal(lock.packages['']?.version, manifest.version);
  });

  it('is the same wherever a file repeats it', () => {
    const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { encoding: 'utf8' });
    const places = files
      .split('\n')
      .filter((path) => path !== '' && existsSync(join(checkout, path)))
      .flatMap((path) => versionsIn(path, read(path)).map((place) => ({ path, ...place })));
    assert.deepEqual(
      places.filter(({ version }) => version !== manifest.version),
      [],
    );
    for (const path of ['k8s/base/deployment.yaml', 'charts/rungate/Chart.yaml', 'Dockerfile']) {
      assert.ok(
        places.some((place) => place.path === path),
        `${path} has a version, and it is not found`,
      );
    }
  });

  it('stands in no source', () => {
    const found = globSync('src/**/*.ts', { cwd: checkout }).filter((path) =>
      read(path).includes(`'${manifest.version}'`),
    );
    assert.deepEqual(found, []);
  });

  /** `%` stands for a version, since this file is looked at as well. */
  const rows: readonly (readonly [path: string, text: string, places: number])[] = [
    ['README.md', 'image: rungate:%', 1],
    ['README.md', 'docker run rungate:%.', 1],
    ['docs/release.md', 'rungate-%.tgz rungate-%.cdx.json', 2],
    ['k8s/base/deployment.yaml', 'app.kubernetes.io/version: %', 1],
    ['k8s/base/deployment.yaml', '{"app.kubernetes.io/version":"%"}', 1],
    ['k8s/overlays/ha/kustomization.yaml', '    newTag: %', 1],
    ['examples/kustomization.yaml', '    newTag: %', 0],
    ['charts/rungate/Chart.yaml', 'version: %\nappVersion: "%"', 2],
    ['charts/other/Chart.yaml', 'version: %', 0],
    ['Dockerfile', 'LABEL org.opencontainers.image.version="%"', 1],
    ['CHANGELOG.md', 'rungate:%', 0],
    ['docs/install.md', 'tekton %, rungate-triggers', 0],
  ];
  for (const [path, text, places] of rows) {
    it(`is ${places === 0 ? 'not ' : ''}found in ${path}: ${JSON.stringify(text)}`, () => {
      for (const version of ['7.8.9', '7.8.9-rc.1']) {
        const written = text.replaceAll('%', version);
        assert.deepEqual(
          versionsIn(path, written).map((place) => place.version),
          Array(places).fill(version),
        );
        const raised = withVersion(path, written, '8.0.0');
        assert.equal(raised, places === 0 ? written : text.replaceAll('%', '8.0.0'));
      }
    });
  }
});

describe('CHANGELOG.md', () => {
  const sections = readChangelog(read('CHANGELOG.md'));

  it('keeps the form: what is not released first, then versions with their days, newest first', () => {
    const [next, ...past] = sections;
    assert.deepEqual([next?.name, next?.date], ['Unreleased', undefined]);
    for (const { name, date } of past) assert.match(date ?? '', /^\d{4}-\d{2}-\d{2}$/, name);
    const days = past.map(({ date }) => date);
    assert.deepEqual(days, days.toSorted().toReversed());
    for (const { name, groups } of sections) {
      const names = groups.map((group) => group.name);
      assert.deepEqual(
        names,
        groupNames.filter((each) => names.includes(each)),
        `${name}: groups stand once, in order`,
      );
      for (const { name: group, lines } of groups) assert.ok(lines.length > 0, `${name}: ${group} is empty`);
    }
  });

  it('has the version of package.json once that is released', () => {
    const newest = sections[1];
    if (newest !== undefined) assert.equal(newest.name, manifest.version);
  });

  it('what is not released becomes a version with its day, below a new heading', () => {
    const before = '# Changelog\n\n## [Unreleased]\n\n### Added\n\n- One.\n';
    const after = released(before, '1.2.0', '2026-01-31');
    assert.deepEqual(readChangelog(after), [
      { name: 'Unreleased', date: undefined, groups: [] },
      { name: '1.2.0', date: '2026-01-31', groups: [{ name: 'Added', lines: ['One.'] }] },
    ]);
    assert.throws(() => released(after, '1.3.0', '2026-02-01'), /says nothing below \[Unreleased\]/);
  });

  it('a heading of another form is told', () => {
    assert.throws(() => readChangelog('# Changelog\n## 1.0.0 (January)\n'), /1\.0\.0 \(January\)/);
  });
});

describe('npm run audit', function () {
  this.timeout(60_000); // npm, four times

  const advisory = 'GHSA-aaaa-bbbb-cccc';
  const about = {
    id: 1,
    url: `https://github.com/advisories/${advisory}`,
    title: 'It does what it should not',
    severity: 'high',
    vulnerable_versions: '*',
    cwe: [],
    cvss: { score: 0, vectorString: null },
  };

  it('is clean where nothing is known', async () => {
    const { code, stdout } = await audited((_request, response) =>
      response.setHeader('content-type', 'application/json').end('{}'),
    );
    assert.equal(stdout, 'Clean: no known vulnerability in what is shipped.\n');
    assert.equal(code, 0);
  });

  it('fails where something is known, and says what', async () => {
    const { code, stdout } = await audited((request, response) => {
      const isAsked = request.url?.endsWith('/advisories/bulk') === true;
      response.writeHead(isAsked ? 200 : 404, { 'content-type': 'application/json' });
      response.end(isAsked ? JSON.stringify({ express: [about] }) : '{}');
    });
    assert.match(stdout, new RegExp(`^${advisory} high express: It does what it should not$`, 'm'));
    assert.match(stdout, /^1 known, 1 of them not explained\.$/m);
    assert.equal(code, 1);
  });

  it('says so where the registry does not answer such questions, and does not fail for it', async () => {
    const { code, stdout } = await audited((_request, response) => response.writeHead(405).end());
    assert.match(stdout, /^Not audited: the registry gave no answer \(.*405/);
    assert.equal(code, 0);
  });

  it('says so where nobody answers', async () => {
    const { code, stdout } = await audited((request) => request.socket.destroy());
    assert.match(stdout, /^Not audited: the registry gave no answer \(/);
    assert.equal(code, 0);
  });

  it('a finding that is explained is told with its reason, and is no failure', () => {
    const printed = JSON.stringify({
      vulnerabilities: { express: { via: [about] }, 'router-of-express': { via: ['express'] } },
    });
    const audit = readAudit(printed);
    assert.equal(auditText(audit, {}).isWell, false);
    const { text, isWell } = auditText(audit, { [advisory]: 'we never call it' });
    assert.match(text, /\(explained: we never call it\)\n1 known, 0 of them not explained\.$/);
    assert.equal(isWell, true);
  });

  it('what is no report is no answer', () => {
    for (const printed of ['', 'null', '[]', '{}', '{"error":{"summary":"no lockfile"}}']) {
      assert.equal(readAudit(printed).state, 'unanswered', printed);
    }
  });

  it('every explanation is of an advisory', () => {
    for (const [name, reason] of Object.entries(explained)) {
      assert.match(name, /^GHSA(?:-\w{4}){3}$/);
      assert.ok(reason.length > 20, name);
    }
  });
});

/** Runs it against a registry that answers as it is told. */
async function audited(answer: RequestListener) {
  const registry = createServer(answer).listen(0, '127.0.0.1');
  await new Promise((resolve) => registry.once('listening', resolve));
  try {
    const { port } = registry.address() as AddressInfo;
    const env = { ...process.env, npm_config_registry: `http://127.0.0.1:${port}`, npm_config_fetch_retries: '0' };
    return await runProgram('npm', ['run', '--silent', 'audit'], { cwd: checkout, env });
  } finally {
    registry.closeAllConnections();
    registry.close();
  }
}
