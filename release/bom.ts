/**
 * The bill of materials (SBOM) in CycloneDX 1.6: rungate, the packages that it ships with, and Node with what is built
 * into it. The same input gives the same bytes. Pure. https://cyclonedx.org/docs/1.6/json/
 */
import { createHash } from 'node:crypto';
import { type BuiltIn, builtInto, cpeOf, type NodeBinary } from './node.ts';
import { directNeeds, type Lockfile, type Manifest, type ShippedPackage, shippedPackages } from './shipped.ts';

/** What a bill is made of. */
export interface BomInput {
  readonly manifest: Manifest;
  readonly lock: Lockfile;
  readonly node: NodeBinary;
  /** When it was made, if that is to stand in it. */
  readonly madeAt: Date | undefined;
}

/** A bill; of its fields, those that we look at again. */
export interface Bom {
  readonly bomFormat: 'CycloneDX';
  readonly specVersion: '1.6';
  readonly serialNumber: string;
  readonly version: 1;
  readonly metadata: { readonly timestamp?: string; readonly component: Component };
  /** Sorted by `bom-ref`. */
  readonly components: readonly Component[];
  /** What each needs, by `bom-ref`; sorted likewise. */
  readonly dependencies: readonly Dependency[];
}

/** One thing in it. */
export interface Component {
  readonly 'bom-ref': string;
  readonly type: 'application' | 'library' | 'platform' | 'data';
  readonly name: string;
  readonly version: string;
  readonly description?: string;
  readonly scope?: 'required';
  readonly hashes?: readonly { readonly alg: 'SHA-256' | 'SHA-512'; readonly content: string }[];
  readonly licenses?: readonly [{ readonly license: { readonly id: string } } | { readonly expression: string }];
  readonly cpe?: string;
  readonly purl: string;
}

/** What a thing needs. */
export interface Dependency {
  readonly ref: string;
  readonly dependsOn: readonly string[];
}

/** Makes the bill. Throws when package-lock.json lacks something of a package (see `shippedPackages`). */
export function billOfMaterials({ manifest, lock, node, madeAt }: BomInput): Bom {
  const packages = shippedPackages(lock);
  const refs = new Map(packages.map((each) => [each.path, purlOf(each)]));
  const refOf = (path: string) => {
    const ref = refs.get(path);
    if (ref === undefined) throw new Error(`${path} is for development alone, and something that is shipped needs it`);
    return ref;
  };
  const rungate = rungateItself(manifest);
  const platform = nodeItself(node);
  const parts = builtInto(node);
  // A package that lies in several folders in one version is one component, which needs what any of them needs. Should
  // Node have it as well, the one with a hash stands.
  const components = uniqueByRef([...parts.map(partComponent), platform, ...packages.map(packageComponent)]);
  const needs = new Map<string, Set<string>>(components.map((component) => [component['bom-ref'], new Set()]));
  needs.set(rungate['bom-ref'], new Set([...directNeeds(lock).map(refOf), platform['bom-ref']]));
  needs.set(platform['bom-ref'], new Set(parts.map(({ purl }) => purl)));
  for (const { path, needs: paths } of packages) for (const each of paths) needs.get(refOf(path))?.add(refOf(each));
  const content = {
    metadata: { ...(madeAt && { timestamp: madeAt.toISOString() }), component: rungate },
    components: components.sort((a, b) => compare(a['bom-ref'], b['bom-ref'])),
    dependencies: [...needs]
      .map(([ref, dependsOn]) => ({ ref, dependsOn: [...dependsOn].sort(compare) }))
      .sort((a, b) => compare(a.ref, b.ref)),
  };
  return { bomFormat: 'CycloneDX', specVersion: '1.6', serialNumber: serialOf(content), version: 1, ...content };
}

/** The text of a bill, with a line break at its end. */
export function bomText(bom: Bom): string {
  return `${JSON.stringify({ $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json', ...bom }, undefined, 2)}\n`;
}

function rungateItself({ name, version, description, license }: Manifest): Component {
  const purl = `pkg:npm/${name}@${version}`;
  return { 'bom-ref': purl, type: 'application', name, version, description, licenses: licensesOf(license), purl };
}

/** Where it runs is a part of its name, because its hash is that of one build. */
function nodeItself({ versions, platform, arch, sha256 }: NodeBinary): Component {
  const version = versions.node ?? '';
  const purl = `pkg:generic/node@${version}?arch=${arch}&os=${platform}`;
  return {
    'bom-ref': purl,
    type: 'platform',
    name: 'node',
    version,
    description: 'Node.js, which runs it',
    scope: 'required',
    hashes: [{ alg: 'SHA-256', content: sha256 }],
    licenses: licensesOf('MIT'),
    cpe: cpeOf('nodejs:node.js', version),
    purl,
  };
}

function packageComponent(shipped: ShippedPackage): Component {
  const { name, version, integrity, license } = shipped;
  const [algorithm, digest = ''] = integrity.split('-');
  if (algorithm !== 'sha512') throw new Error(`${name}: the integrity is ${algorithm}, not sha512`);
  const purl = purlOf(shipped);
  return {
    'bom-ref': purl,
    type: 'library',
    name,
    version,
    scope: 'required',
    hashes: [{ alg: 'SHA-512', content: Buffer.from(digest, 'base64').toString('hex') }],
    licenses: licensesOf(license),
    purl,
  };
}

function partComponent({ name, version, kind, license, purl, cpe }: BuiltIn): Component {
  return {
    'bom-ref': purl,
    type: kind,
    name,
    version,
    scope: 'required',
    ...(license && { licenses: licensesOf(license) }),
    ...(cpe && { cpe }),
    purl,
  };
}

function licensesOf(license: string): NonNullable<Component['licenses']> {
  return [license.includes(' ') ? { expression: license } : { license: { id: license } }];
}

/** `pkg:npm/%40scope/name@version`: https://github.com/package-url/purl-spec/blob/main/types-doc/npm-definition.md */
function purlOf({ name, version }: ShippedPackage): string {
  return `pkg:npm/${name.replace(/^@/, '%40')}@${encodeURIComponent(version)}`;
}

function uniqueByRef(components: readonly Component[]): Component[] {
  return [...new Map(components.map((component) => [component['bom-ref'], component])).values()];
}

/** A UUID that follows from what the bill says (version 8 of RFC 9562), so that another bill has another one. */
function serialOf(content: object): string {
  const hex = createHash('sha256').update(JSON.stringify(content)).digest('hex');
  const groups = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `a${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ];
  return `urn:uuid:${groups.join('-')}`;
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
