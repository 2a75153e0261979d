/** Node.js as a part of what is shipped: the program itself, and the libraries that are built into it. Pure. */

/** The Node that a list of parts is made for. */
export interface NodeBinary {
  /** As in `process.versions`. */
  readonly versions: Readonly<Record<string, string | undefined>>;
  /** As in `process.platform` and `process.arch`. */
  readonly platform: string;
  readonly arch: string;
  /** SHA-256 of the program's file, hexadecimal. */
  readonly sha256: string;
}

/** Something that Node was built with. */
export interface BuiltIn {
  readonly name: string;
  readonly version: string;
  readonly kind: 'library' | 'data';
  /** In the words of SPDX; undefined where we do not know it. */
  readonly license: string | undefined;
  /** https://github.com/package-url/purl-spec */
  readonly purl: string;
  /** Its name in the National Vulnerability Database, where it has one that scanners look for. */
  readonly cpe: string | undefined;
}

/** What a name of `process.versions` stands for. */
interface Known {
  readonly name: string;
  /** Left out where we do not know it. */
  readonly license?: string;
  /** A package of npm as well, under its name. */
  readonly npm?: true;
  /** A library unless it says otherwise. */
  readonly kind?: BuiltIn['kind'];
  /** Vendor and product in the National Vulnerability Database. */
  readonly cpe?: string;
}

/** https://nodejs.org/api/process.html#processversions and the LICENSE of Node. */
const known: Readonly<Record<string, Known>> = {
  acorn: { name: 'acorn', license: 'MIT', npm: true },
  ada: { name: 'ada', license: 'Apache-2.0 OR MIT' },
  amaro: { name: 'amaro', license: 'MIT', npm: true },
  ares: { name: 'c-ares', license: 'MIT', cpe: 'c-ares:c-ares' },
  brotli: { name: 'brotli', license: 'MIT', cpe: 'google:brotli' },
  cjs_module_lexer: { name: 'cjs-module-lexer', license: 'MIT', npm: true },
  cldr: { name: 'cldr', license: 'Unicode-3.0', kind: 'data' },
  icu: { name: 'icu', license: 'Unicode-3.0', cpe: 'unicode:international_components_for_unicode' },
  llhttp: { name: 'llhttp', license: 'MIT', cpe: 'llhttp:llhttp' },
  merve: { name: 'merve' },
  nbytes: { name: 'nbytes', license: 'MIT' },
  ncrypto: { name: 'ncrypto', license: 'MIT' },
  nghttp2: { name: 'nghttp2', license: 'MIT', cpe: 'nghttp2:nghttp2' },
  nghttp3: { name: 'nghttp3', license: 'MIT' },
  ngtcp2: { name: 'ngtcp2', license: 'MIT' },
  openssl: { name: 'openssl', license: 'Apache-2.0', cpe: 'openssl:openssl' },
  simdjson: { name: 'simdjson', license: 'Apache-2.0' },
  simdutf: { name: 'simdutf', license: 'Apache-2.0 OR MIT' },
  sqlite: { name: 'sqlite', license: 'blessing', cpe: 'sqlite:sqlite' },
  tz: { name: 'tz', kind: 'data' },
  undici: { name: 'undici', license: 'MIT', npm: true },
  uv: { name: 'libuv', license: 'MIT', cpe: 'libuv:libuv' },
  uvwasi: { name: 'uvwasi', license: 'MIT' },
  v8: { name: 'v8', license: 'BSD-3-Clause' },
  zlib: { name: 'zlib', license: 'Zlib' },
  zstd: { name: 'zstd', license: 'BSD-3-Clause', cpe: 'facebook:zstandard' },
};

/** Names that are no parts: Node itself, its interfaces, and the standard that ICU follows. */
const interfaces = new Set(['node', 'modules', 'napi', 'unicode']);

/** Names of `process.versions` about which nothing is known here. */
export function unknownNames(versions: NodeBinary['versions']): readonly string[] {
  return Object.keys(versions).filter((name) => !interfaces.has(name) && known[name] === undefined);
}

/** What a Node was built with, by name; what has an empty version was left out of that build. */
export function builtInto({ versions }: NodeBinary): readonly BuiltIn[] {
  return Object.entries(versions)
    .flatMap(([key, version]) =>
      version && !interfaces.has(key) ? [builtIn(known[key] ?? { name: key }, version)] : [],
    )
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function builtIn({ name, license, npm, kind = 'library', cpe }: Known, version: string): BuiltIn {
  return {
    name,
    version,
    kind,
    license,
    purl: `pkg:${npm ? 'npm' : 'generic'}/${name}@${encodeURIComponent(version)}`,
    cpe: cpe === undefined ? undefined : cpeOf(cpe, version),
  };
}

/** A name of the National Vulnerability Database, of `vendor:product`. https://nvd.nist.gov/products/cpe */
export function cpeOf(product: string, version: string): string {
  return `cpe:2.3:a:${product}:${version.replace(/[^\w.]/g, '\\$&')}:*:*:*:*:*:*:*`;
}
