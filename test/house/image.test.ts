/** What the Dockerfile repeats of other files, and what it may not have. The image itself is looked at in test/cluster. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';

const dockerfile = readFileSync('Dockerfile', 'utf8');
const { version, description, license, engines } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  readonly version: string;
  readonly description: string;
  readonly license: string;
  readonly engines: { readonly node: string };
};
const commands = (text: string): string[] =>
  [...text.matchAll(/^[#\s]*(docker .*?)\s*$/gm)].map(([, line]) => line ?? '');

describe('the Dockerfile', () => {
  for (const [label, wanted] of [
    ['version', version],
    ['description', description],
    ['licenses', license],
  ] as const) {
    it(`says in its ${label} what package.json says`, () => {
      assert.equal(new RegExp(`image\\.${label}="([^"]*)"`).exec(dockerfile)?.[1], wanted);
    });
  }

  it('builds and runs, in its first lines, the version it has', () => {
    const tags = [...dockerfile.matchAll(/rungate:(\S+)/g)].map(([, tag]) => tag);
    assert.deepEqual(tags, [version, version]);
  });

  it('begins with the Node.js that package.json asks for', () => {
    assert.equal(/^ARG NODE_IMAGE=node:(\d+)/m.exec(dockerfile)?.[1], /\d+/.exec(engines.node)?.[0]);
  });

  it('names no image but by its two arguments, and no image by the host that keeps it', () => {
    const from = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image);
    assert.deepEqual([...new Set(from)], [`\${NODE_IMAGE}`, `\${BASE_IMAGE}`]);
    const defaults = [...dockerfile.matchAll(/^ARG \w+_IMAGE=(\S+)/gm)].map(([, image]) => image ?? '');
    assert.equal(defaults.length, 2);
    for (const image of defaults) assert.doesNotMatch(image, /\//);
  });

  it('runs no command in the last stage, where there may be no shell', () => {
    const last = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '));
    assert.doesNotMatch(last, /^(?:RUN|SHELL)\b/m);
    for (const [, , command] of last.matchAll(/^( *)(?:ENTRYPOINT|CMD) (.*)$/gm)) assert(JSON.parse(command ?? ''));
  });

  it('is run by the documentation as its first lines do: the same settings, kubeconfig and version', () => {
    const runs = (text: string) => commands(text).filter((line) => line.startsWith('docker run '));
    const [own = ''] = runs(dockerfile);
    const told = [...globSync('docs/**/*.md'), 'README.md'].flatMap((page) =>
      runs(readFileSync(page, 'utf8')).map((line) => ({ page, line })),
    );
    for (const { page, line } of told) assert.deepEqual(saidBy(line), saidBy(own), page);
  });
});

/** What a `docker run` hands to the container, and what it runs. */
function saidBy(line: string): unknown {
  return {
    settings: [...line.matchAll(/ -e (\w+)=/g)].map(([, name]) => name),
    kubeconfig: / -v \S+:(\S+:ro)/.exec(line)?.[1],
    readOnly: line.includes(' --read-only '),
    user: / --user (\S+( -u\)")?)/.exec(line)?.[1],
    image: line.split(' ').at(-1),
  };
}
