/** What is shipped: the packages of package-lock.json, the bill of materials that lists them and Node, their licences. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { type Bom, billOfMaterials, bomText } from '../../release/bom.ts';
import { allowedLicenses, isAllowed, licenseList } from '../../release/licenses.ts';
import { builtInto, cpeOf, type NodeBinary, unknownNames } from '../../release/node.ts';
import { type Lockfile, type Manifest, shippedPackages, statedElsewhere } from '../../release/shipped.ts';
import { checkout } from '../support/gateway.ts';
import { runProgram } from '../support/program.ts';

const read = (path: string) => readFileSync(join(checkout, path), 'utf8');
const manifest = JSON.parse(read('package.json')) as Manifest;
const lock = JSON.parse(read('package-lock.json')) as Lockfile;
const packages = shippedPackages(lock);

describe('package-lock.json', () => {
  it('names no registry, and everything that is shipped by a hash', () => {
    assert.doesNotMatch(read('package-lock.json'), /"resolved"|:\/\/registry\./);
    for (const { path, integrity } of packages) assert.match(integrity, /^sha512-/, path);
  });

  it('has nothing to ship that runs a script when it is installed, or that is of one platform', () => {
    const special = packages.filter(({ path }) => {
      const { hasInstallScript, os, cpu } = (lock.packages[path] ?? {}) as Readonly<Record<string, unknown>>;
      return hasInstallScript === true || os !== undefined || cpu !== undefined;
    });
    assert.deepEqual(special, []);
  });

  it('needs our word for a licence only where a package states it elsewhere, and it is that', () => {
    for (const [name, license] of Object.entries(statedElsewhere)) {
      const { path } = packages.find((each) => each.name === name) ?? { path: '' };
      assert.equal(lock.packages[path]?.license, undefined, name);
      const folder = join(checkout, path);
      const files = globSync(['package.json', '[Rr]eadme.md', 'LICENSE'], { cwd: folder });
      const said = files.map((file) => readFileSync(join(folder, file), 'utf8')).join('\n');
      assert.match(said, new RegExp(`"type": "${license}"|The ${license} License`), name);
    }
  });
});

describe('the bill of materials', function () {
  this.timeout(60_000); // a schema that takes long to compile, and npm

  const node: NodeBinary = {
    versions: process.versions,
    platform: 'linux',
    arch: 'x64',
    sha256: 'a'.repeat(64),
  };
  const bom = billOfMaterials({ manifest, lock, node, madeAt: undefined });
  const refs = new Set([bom.metadata.component, ...bom.components].map((component) => component['bom-ref']));

  it('is CycloneDX 1.6 with licences of SPDX, as their schemas have it', () => {
    const folder = join(checkout, 'node_modules/@cyclonedx/cyclonedx-library/res/schema');
    const schema = (name: string): object => JSON.parse(readFileSync(join(folder, name), 'utf8'));
    // Of the formats only a time is used; names of people and addresses are not in a bill of ours.
    const ajv = new Ajv({ strict: false, formats: { 'date-time': isTime, ...unused } });
    for (const name of ['spdx.SNAPSHOT.schema.json', 'jsf-0.82.SNAPSHOT.schema.json']) {
      ajv.addSchema(schema(name), `http://cyclonedx.org/schema/${name}`);
    }
    const validate = ajv.compile(schema('bom-1.6.SNAPSHOT.schema.json'));
    for (const madeAt of [undefined, new Date(0)]) {
      const text = bomText(billOfMaterials({ manifest, lock, node, madeAt }));
      assert.ok(validate(JSON.parse(text)), JSON.stringify(validate.errors));
    }
    assert.ok(!validate({ ...bom, components: [{ type: 'library' }] }), 'the schema refuses nothing');
    const foreign = { ...bom.components[0], licenses: [{ license: { id: 'No-Such-Licence' } }] };
    assert.ok(!validate({ ...bom, components: [foreign] }), 'the list of licences is not looked at');
  });

  it('has every package that is shipped once, and none that is for development alone', () => {
    const wanted = new Set(packages.map(({ name, version }) => `${name}@${version}`));
    const found = bom.components.filter(({ hashes, type }) => type === 'library' && hashes !== undefined);
    assert.deepEqual(new Set(found.map(({ name, version }) => `${name}@${version}`)), wanted);
    assert.equal(found.length, wanted.size);
    const development = Object.entries(lock.packages).filter(([, { dev }]) => dev === true);
    assert.ok(development.length > 50);
    const purls = new Set(bom.components.map(({ purl }) => purl));
    for (const [path, { version }] of development) {
      const name = path.replace(/.*node_modules\//, '');
      assert.ok(wanted.has(`${name}@${version}`) || !purls.has(`pkg:npm/${name}@${version}`), name);
    }
  });

  it('has the packages by name, version, URL, hash and licence', () => {
    const express = bom.components.find(({ name }) => name === 'express');
    assert.ok(express);
    const { integrity = '' } = lock.packages['node_modules/express'] ?? {};
    assert.equal(`sha512-${Buffer.from(express.hashes?.[0]?.content ?? '', 'hex').toString('base64')}`, integrity);
    assert.equal(express.purl, `pkg:npm/express@${express.version}`);
    assert.deepEqual(express.licenses, [{ license: { id: 'MIT' } }]);
    const scoped = bom.components.find(({ name }) => name === '@kubernetes/client-node');
    assert.equal(scoped?.purl, `pkg:npm/%40kubernetes/client-node@${scoped?.version}`);
  });

  it('has the whole graph: all is reached from rungate, and nothing leads out', () => {
    const needs = new Map(bom.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]));
    assert.deepEqual(new Set(needs.keys()), refs);
    const reached = new Set<string>();
    const next = [bom.metadata.component['bom-ref']];
    for (let ref = next.pop(); ref !== undefined; ref = next.pop()) {
      reached.add(ref);
      next.push(...(needs.get(ref) ?? []).filter((each) => !reached.has(each)));
    }
    assert.deepEqual(reached, refs);
  });

  it('takes the package that Node would take: the nearest one', () => {
    const nested = Object.keys(lock.packages).filter((path) =>
      /^node_modules\/express\/node_modules\/mime-types$/.test(path),
    );
    assert.equal(nested.length, 1);
    const { version } = lock.packages[nested[0] ?? ''] ?? {};
    const express = bom.dependencies.find(({ ref }) => ref.startsWith('pkg:npm/express@'));
    assert.ok(express?.dependsOn.includes(`pkg:npm/mime-types@${version}`));
  });

  it('has the Node that it was made with, and what that was built with', () => {
    const platform = bom.components.find(({ type }) => type === 'platform');
    assert.equal(platform?.cpe, `cpe:2.3:a:nodejs:node.js:${process.versions.node}:*:*:*:*:*:*:*`);
    assert.deepEqual(platform?.hashes, [{ alg: 'SHA-256', content: node.sha256 }]);
    const within = bom.dependencies.find(({ ref }) => ref === platform?.['bom-ref'])?.dependsOn ?? [];
    assert.equal(within.length, builtInto(node).length);
    for (const [name, version] of [
      ['openssl', process.versions.openssl],
      ['v8', process.versions.v8],
      ['libuv', process.versions.uv],
    ]) {
      const part = bom.components.find((each) => each.name === name);
      assert.equal(part?.version, version);
      assert.ok(within.includes(part?.['bom-ref'] ?? ''), name);
    }
  });

  it('knows every name of process.versions of this Node', () => assert.deepEqual(unknownNames(process.versions), []));

  it('lists a part that it does not know, and none that is not built in', () => {
    const versions = { node: '99.0.0', napi: '9', novel: '1.0', nghttp3: '' };
    assert.deepEqual(
      builtInto({ ...node, versions }).map(({ name, version, purl }) => ({ name, version, purl })),
      [{ name: 'novel', version: '1.0', purl: 'pkg:generic/novel@1.0' }],
    );
    assert.deepEqual(unknownNames(versions), ['novel']);
  });

  it('names of the vulnerability database are escaped', () => {
    assert.equal(cpeOf('a:b', '1.0-rc+1'), 'cpe:2.3:a:a:b:1.0\\-rc\\+1:*:*:*:*:*:*:*');
  });

  it('is the same for the same input, and has another serial number for another', () => {
    const again = billOfMaterials({ manifest, lock, node, madeAt: undefined });
    assert.equal(bomText(again), bomText(bom));
    const others: readonly Bom[] = [
      billOfMaterials({ manifest: { ...manifest, version: '99.0.0' }, lock, node, madeAt: undefined }),
      billOfMaterials({ manifest, lock, node, madeAt: new Date(0) }),
    ];
    for (const other of others) assert.notEqual(other.serialNumber, bom.serialNumber);
  });

  it('is not made where a package lacks its hash, its licence or what it needs', () => {
    const one = { version: '1.0.0', integrity: 'sha512-AAAA', license: 'MIT' };
    const made = (locked: object, root = {}) =>
      shippedPackages({ packages: { '': root, 'node_modules/a': { ...one, ...locked } } });
    assert.equal(made({}).length, 1);
    assert.throws(() => made({ integrity: undefined }), /node_modules\/a: .*integrity/);
    assert.throws(() => made({ license: undefined }), /licence/);
    assert.throws(() => made({ dependencies: { b: '1' } }), /node_modules\/a needs b/);
    assert.deepEqual(made({ peerDependencies: { b: '1' } })[0]?.needs, []);
  });

  it('npm run sbom prints it', async () => {
    const env = { ...process.env, SOURCE_DATE_EPOCH: '0' };
    const { code, stdout, stderr } = await runProgram('npm', ['run', '--silent', 'sbom'], { cwd: checkout, env });
    assert.equal(code, 0, stderr);
    const printed = JSON.parse(stdout) as Bom;
    assert.equal(printed.metadata.timestamp, '1970-01-01T00:00:00.000Z');
    assert.equal(printed.components.length, bom.components.length);
  });

  it('is made where there is no git and nothing installed, as when an image is built', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'rungate-test-'));
    try {
      for (const path of ['release', 'package.json', 'package-lock.json']) {
        await cp(join(checkout, path), join(folder, path), { recursive: true });
      }
      const made = await runProgram(process.execPath, ['release/main.ts', 'sbom'], { cwd: folder, env: { PATH: '' } });
      assert.deepEqual([made.code, made.stderr], [0, '']);
      const { metadata, components } = JSON.parse(made.stdout) as Bom;
      assert.equal(metadata.timestamp, undefined);
      assert.equal(components.length, bom.components.length);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

const isTime = (text: string) => !Number.isNaN(Date.parse(text));
const unused = { 'idn-email': true, 'iri-reference': true, uri: true } as const;

describe('licences of what is shipped', () => {
  it('are allowed, each of them', () => {
    assert.deepEqual(
      packages.filter(({ license }) => !isAllowed(license)).map(({ name, license }) => `${name}: ${license}`),
      [],
    );
  });

  const rows: readonly (readonly [license: string, isAllowed: boolean])[] = [
    ['MIT', true],
    ['GPL-3.0-only', false],
    ['(MIT AND Zlib)', true],
    ['MIT AND GPL-2.0-only', false],
    ['(MIT OR GPL-2.0-only)', true],
    ['GPL-2.0-only OR LGPL-3.0-only', false],
    ['MIT AND (GPL-2.0-only OR MIT)', false],
    ['SEE LICENSE IN LICENSE.txt', false],
    ['UNLICENSED', false],
    ['', false],
  ];
  for (const [license, isFine] of rows) {
    it(`${JSON.stringify(license)} is ${isFine ? '' : 'not '}allowed`, () => assert.equal(isAllowed(license), isFine));
  }

  it('no licence is allowed that nothing has', () => {
    const names = packages.flatMap(({ license }) => license.match(/[\w.-]+/g) ?? []);
    assert.deepEqual(
      [...allowedLicenses].filter((license) => !names.includes(license)),
      [],
    );
  });

  it('THIRD-PARTY-LICENSES.md has each with its text (npm run licenses writes it)', () => {
    const text = read('THIRD-PARTY-LICENSES.md');
    assert.equal(text, licenseList(packages, checkout));
    const [, above = '', below = ''] = text.split(/^## .*$/m);
    const named = new Set(
      [above, below].flatMap((part) => [...part.matchAll(/^- (\S+ [^\s:\\]+)/gm)].map(([, title]) => title)),
    );
    for (const { name, version, license } of packages) {
      assert.ok(text.includes(`| ${name} | ${version} | ${license} |`), name);
      assert.ok(named.has(`${name} ${version}`), name);
    }
    for (const words of ['Permission is hereby granted', 'Apache License', 'Redistribution and use', 'Copyright']) {
      assert.ok(text.includes(words), words);
    }
  });

  it('packages without a text have one that stands in the file, or in LICENSE', () => {
    const [, list = ''] = read('THIRD-PARTY-LICENSES.md').split('## Packages that carry no text');
    const names = [...list.matchAll(/^- \S+ \S+: (\S+), by /gm)].map(([, license]) => license);
    assert.ok(names.length > 0);
    for (const name of names) assert.ok(name === 'Apache-2.0' || name === 'MIT', name);
  });
});
