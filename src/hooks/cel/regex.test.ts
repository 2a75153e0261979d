import assert from 'node:assert/strict';
import fc from 'fast-check';
import { compiled, replaceAll } from './regex.ts';

describe('regular expressions', () => {
  // As https://pkg.go.dev/regexp#Regexp.ReplaceAllString answers.
  const cases: readonly (readonly [text: string, pattern: string, template: string, want: string])[] = [
    ['refs/heads/main', 'refs/heads/(.*)', 'branch-$1', 'branch-main'],
    ['refs/heads/main', 'refs/heads/(.*)', 'branch-$1x', 'branch-'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a template of Go
    ['refs/heads/main', 'refs/heads/(.*)', 'branch-${1}x', 'branch-mainx'],
    ['refs/heads/main', '(?P<kind>heads)', '<$kind>', 'refs/<heads>/main'],
    ['abc', '(b)', '$0$0$9', 'abbc'],
    ['abc', 'b', '$$$', 'a$$c'],
    ['abc', '(x)?b', '[$1]', 'a[]c'],
    ['baaac', 'a*', 'x', 'xbxcx'],
    ['abc', '', '-', '-a-b-c-'],
    ['a😀c', '', '-', '-a-😀-c-'],
    ['a😀c', '[^a-z]', '?', 'a?c'],
    ['foobar', 'foo|foobar', '<$0>', '<foo>bar'],
    ['foobar', 'foobar|foo', '<$0>', '<foobar>'],
    ['foobar', 'fo+?', '<$0>', '<fo>obar'],
    ['a\nb', '(?m)^', '> ', '> a\n> b'],
    ['a\nb$', '$', '!', 'a\nb$!'],
    ['hello big world', '\\b', '|', '|hello| |big| |world|'],
    ['aBc', '(?i)b', 'x', 'axc'],
    ['Straße', '\\pL', 'L', 'LLLLLL'],
    ['aaa', '^a', 'x', 'xaa'],
    ['', '^$', 'x', 'x'],
    ['', 'a', 'x', ''],
    ['ab12', '([a-z]+)([0-9]+)', '$2$1', '12ab'],
    ['aXbXc', 'X(.)?', '[$1]', 'a[b][c]'],
    ['abab', '(a)|(b)', '[$1|$2]', '[a|][|b][a|][|b]'],
    ['aaaa', '(a{2})', '<$1>', '<aa><aa>'],
  ];
  for (const [text, pattern, template, want] of cases) {
    it(`${JSON.stringify(text)} with ${pattern} replaced by ${template}`, () => {
      assert.equal(replaceAll(text, pattern, template), want);
    });
  }

  it('finds what the engine of JavaScript finds, where both read a pattern alike', () => {
    const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '(?:ab)', '(a|b)', '(a)', 'é', '😀');
    const repeat = fc.constantFrom('', '', '*', '+', '?', '*?', '+?', '{2}', '{1,2}?');
    const pattern = fc
      .array(
        fc.tuple(atom, repeat).map((parts) => parts.join('')),
        { minLength: 1, maxLength: 4 },
      )
      // Matches of nothing are counted otherwise there.
      .map((parts) => `c${parts.join('')}`);
    const text = fc.array(fc.constantFrom('a', 'b', 'c', 'é', '😀'), { maxLength: 20 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(pattern, text, (regex, input) => {
        const inJavaScript = new RegExp(regex, 'gsu');
        assert.equal(replaceAll(input, `(?s)${regex}`, '<$0>'), input.replace(inJavaScript, '<$&>'));
        assert.equal(compiled(`(?s)${regex}`).test(input), new RegExp(regex, 'su').test(input));
      }),
      { numRuns: 500 },
    );
  });

  it('refuses what is no pattern of RE2, and never shows it', () => {
    for (const pattern of ['(', '(?=a)', '\\1', 'a{1001}', '[z-a]', '*']) {
      assert.throws(() => compiled(pattern), { message: 'regex: not a regular expression of RE2' });
    }
  });
});
