/**
 * The version stands in package.json; a few files have to repeat it: names of the image, the chart, labels. This is where
 * they do, for the test that holds them to it and for `npm version`, which writes it there. Pure.
 */

/** `1.2.3`, or `1.2.3-rc.1` before it. */
const VERSION = String.raw`(\d+\.\d+\.\d+(?:-[a-z]+\.\d+)?)`;

/** Texts that repeat the version, wherever they stand. */
const anywhere = [
  new RegExp(String.raw`\brungate[:@]${VERSION}`, 'g'),
  new RegExp(String.raw`\brungate-${VERSION}`, 'g'),
  new RegExp(String.raw`\borg\.opencontainers\.image\.version="?${VERSION}`, 'g'),
  new RegExp(String.raw`\bapp\.kubernetes\.io/version['"]?: *['"]?${VERSION}`, 'g'),
];

/** Lines that repeat it in certain files. */
const inFiles: readonly { readonly file: RegExp; readonly line: RegExp }[] = [
  {
    file: /^charts\/rungate\/Chart\.yaml$/,
    line: new RegExp(`^(?:version|appVersion): *['"]?${VERSION}`, 'gm'),
  },
  { file: /^k8s\/.*kustomization\.yaml$/, line: new RegExp(String.raw`\bnewTag: *['"]?${VERSION}`, 'g') },
];

/** Files with versions of the past, those that npm keeps, and recordings. */
const elsewhere = /^(?:CHANGELOG\.md|package\.json|package-lock\.json|THIRD-PARTY-LICENSES\.md)$|^test\/fixtures\//;

/** Every place of a file where a version of rungate stands, as written there. Files with versions of the past have none. */
export function versionsIn(path: string, text: string): readonly { readonly text: string; readonly version: string }[] {
  return patternsFor(path).flatMap((pattern) =>
    [...text.matchAll(pattern)].map(([found, version = '']) => ({ text: found, version })),
  );
}

/** The text with `version` in all of those places. */
export function withVersion(path: string, text: string, version: string): string {
  return patternsFor(path).reduce(
    (before, pattern) => before.replace(pattern, (found: string, old: string) => found.replace(old, version)),
    text,
  );
}

function patternsFor(path: string): readonly RegExp[] {
  if (elsewhere.test(path)) return [];
  return [...anywhere, ...inFiles.filter(({ file }) => file.test(path)).map(({ line }) => line)];
}
