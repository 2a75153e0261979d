/** What is shipped with rungate: the packages of package-lock.json that are not for development alone. Pure. */

/** What is read of package.json. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly license: string;
}

/**
 * What is read of package-lock.json: packages by the folder that they are installed in, our own by the empty name.
 * https://docs.npmjs.com/cli/v11/configuring-npm/package-lock-json#packages
 */
export interface Lockfile {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

/** One package of it. */
export interface LockedPackage {
  readonly version?: string;
  /** Subresource Integrity: `sha512-<base64>`. */
  readonly integrity?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

/** A package that is shipped. */
export interface ShippedPackage {
  /** Where it is installed: `node_modules/express`. */
  readonly path: string;
  readonly name: string;
  readonly version: string;
  readonly integrity: string;
  /** A licence or an expression of several, in the words of SPDX. */
  readonly license: string;
  /** Paths of what it needs, sorted. */
  readonly needs: readonly string[];
}

/** Licences that packages state where npm does not look: in a list `licenses`, or in their readme alone. */
export const statedElsewhere: Readonly<Record<string, string>> = {
  'passport-http': 'MIT',
  'passport-strategy': 'MIT',
  pause: 'MIT',
};

/** Everything that is shipped, sorted by path. Throws when a package has no version, no integrity or no licence. */
export function shippedPackages(lock: Lockfile): readonly ShippedPackage[] {
  return Object.entries(lock.packages)
    .filter(([path, { dev }]) => path !== '' && dev !== true)
    .map(([path, locked]) => shipped(lock, path, locked))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Paths of what rungate itself needs, sorted. */
export function directNeeds(lock: Lockfile): readonly string[] {
  return needsOf(lock, '', { ...lock.packages[''], peerDependencies: {} });
}

function shipped(lock: Lockfile, path: string, locked: LockedPackage): ShippedPackage {
  const name = path.slice(path.lastIndexOf(FOLDER) + FOLDER.length);
  const { version, integrity, license = statedElsewhere[name] } = locked;
  if (version === undefined || integrity === undefined || license === undefined) {
    throw new Error(`${path}: package-lock.json does not have its version, integrity and licence`);
  }
  return { path, name, version, integrity, license, needs: needsOf(lock, path, locked) };
}

const FOLDER = 'node_modules/';

function needsOf(lock: Lockfile, path: string, locked: LockedPackage): readonly string[] {
  const { dependencies = {}, optionalDependencies = {}, peerDependencies = {} } = locked;
  const found = Object.keys(dependencies).map((name) => {
    const place = placeOf(lock, path, name);
    if (place === undefined)
      throw new Error(`${path || 'rungate'} needs ${name}, which package-lock.json does not have`);
    return place;
  });
  // What may be absent counts where it is there and shipped.
  const perhaps = [...Object.keys(optionalDependencies), ...Object.keys(peerDependencies)].flatMap((name) => {
    const place = placeOf(lock, path, name);
    return place === undefined || lock.packages[place]?.dev === true ? [] : [place];
  });
  return [...new Set([...found, ...perhaps])].sort();
}

/** Where Node finds a package: in the asking package's own folder, or in that of the nearest one around it. */
function placeOf(lock: Lockfile, path: string, name: string): string | undefined {
  for (let folder = path; ; folder = folder.slice(0, Math.max(folder.lastIndexOf(`/${FOLDER}`), 0))) {
    const place = folder === '' ? `${FOLDER}${name}` : `${folder}/${FOLDER}${name}`;
    if (lock.packages[place] !== undefined) return place;
    if (folder === '') return undefined;
  }
}
