import assert from 'node:assert/strict';
import { compileIgnore } from './ignore.ts';

describe('ignore rules', () => {
  const table: readonly {
    readonly name: string;
    readonly rules: string;
    readonly out: readonly string[];
    readonly kept: readonly string[];
  }[] = [
    {
      name: 'what Flux always leaves out',
      rules: '',
      out: [
        '.git/HEAD',
        '.gitignore',
        'a/.gitmodules',
        'logo.png',
        'a/b.tar.gz',
        '.github/workflows/ci.yml',
        'x/.sops.yaml',
      ],
      kept: ['a.txt', 'tar.gz', 'png/a.txt', 'github/x'],
    },
    { name: 'a name, wherever it is', rules: 'notes.txt', out: ['notes.txt', 'a/notes.txt'], kept: ['my-notes.txt'] },
    { name: 'a path from the top', rules: '/docs', out: ['docs/a.md'], kept: ['a/docs/a.md'] },
    { name: 'a path with a folder', rules: 'a/b', out: ['a/b', 'a/b/c'], kept: ['x/a/b'] },
    { name: 'a folder alone', rules: 'build/', out: ['build/a', 'x/build/a'], kept: ['build'] },
    { name: 'stars', rules: '*.log\n/a/*/c', out: ['x.log', 'a/b/c'], kept: ['x.logs', 'a/b/d/c'] },
    { name: 'two stars', rules: 'a/**/z\n**/tmp\nq/**', out: ['a/z', 'a/b/c/z', 'x/tmp', 'q/r/s'], kept: ['b/z', 'q'] },
    {
      name: 'one character, and characters',
      rules: '?.md\n[!a-c].txt',
      out: ['x.md', 'd.txt'],
      kept: ['xy.md', 'a.txt'],
    },
    {
      name: 'exceptions, though not below a folder that is out',
      rules: '*.md\n!README.md\nlib/\n!lib/keep.js',
      out: ['a.md', 'lib/keep.js'],
      kept: ['README.md', 'x/README.md'],
    },
    {
      name: 'comments and blanks',
      rules: '# all\n\n  \n\\#file\ntrailing   ',
      out: ['#file', 'trailing'],
      kept: ['all'],
    },
    { name: 'signs that mean nothing here', rules: 'a+b(c).txt', out: ['a+b(c).txt'], kept: ['aab(c)xtxt'] },
    { name: 'everything but one folder', rules: '/*\n!/deploy', out: ['a', 'src/a'], kept: ['deploy/a'] },
  ];
  for (const { name, rules, out, kept } of table) {
    it(name, () => {
      const isIgnored = compileIgnore('', rules);
      assert.deepEqual([...out, ...kept].filter(isIgnored), out);
    });
  }

  it("the object's rules come after the repository's", () => {
    const isIgnored = compileIgnore('*.md', '!a.md');
    assert.deepEqual(['a.md', 'b.md'].filter(isIgnored), ['b.md']);
  });
});
