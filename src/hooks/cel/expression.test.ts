import assert from 'node:assert/strict';
import { celEnv } from '@bufbuild/cel';
import fc from 'fast-check';
import { readExpression } from './expression.ts';
import { functions } from './functions.ts';

const env = celEnv({
  funcs: functions(
    () => undefined,
    () => {},
  ),
});

function mistakeIn(text: string): string | undefined {
  const read = readExpression(text, env.funcs);
  return read.ok ? undefined : read.mistake;
}

function nested(levels: number, [open, close]: readonly [string, string], inmost = '1'): string {
  return `${open.repeat(levels)}${inmost}${close.repeat(levels)}`;
}

/** Macros in each other. */
function macros(levels: number): string {
  return levels === 0 ? 'true' : `body.l.all(x${levels}, ${macros(levels - 1)})`;
}

describe('reading expressions', () => {
  const cases: readonly { readonly name: string; readonly given: string; readonly want: string | undefined }[] = [
    { name: 'as long as it may be', given: `body.x == '${'x'.repeat(10_228)}'`, want: undefined },
    { name: 'too long', given: `'${'x'.repeat(10_239)}'`, want: 'it is longer than 10240 bytes' },
    { name: 'too long in bytes alone', given: `'${'é'.repeat(5_200)}'`, want: 'it is longer than 10240 bytes' },
    { name: 'empty', given: '', want: 'line 1, column 1: end of input was not expected' },
    { name: 'of many parts', given: `[${'1,'.repeat(1_900)}1]`, want: undefined },
    { name: 'of too many parts', given: `[${'1,'.repeat(2_000)}1]`, want: 'it has more than 2000 parts' },
    { name: 'nested', given: nested(60, ['[', ']']), want: undefined },
    { name: 'in many brackets', given: nested(64, ['(', ')']), want: undefined },
    {
      name: 'in too many brackets',
      given: nested(65, ['(', ')']),
      want: 'line 1, column 65: it is nested deeper than 64 levels',
    },
    {
      name: 'in brackets that would keep a parser busy for minutes',
      given: nested(1_000, ['[1,2,(', ')]']),
      want: 'line 1, column 193: it is nested deeper than 64 levels',
    },
    {
      name: 'nested without brackets',
      given: `${'true?1:'.repeat(1_000)}1`,
      want: 'line 1, column 442: it is nested deeper than 64 levels',
    },
    { name: 'a long chain of fields', given: `body${'.x'.repeat(62)}`, want: undefined },
    {
      name: 'too long a chain of fields',
      given: `body${'.x'.repeat(64)}`,
      want: 'line 1, column 1: it is nested deeper than 64 levels',
    },
    { name: 'three macros in each other', given: macros(3), want: undefined },
    {
      name: 'four macros in each other',
      given: macros(4),
      want: 'line 1, column 52: macros lie in each other more than 3 times',
    },
    { name: 'ten macros one behind the other', given: `body.l${'.map(x, x)'.repeat(10)}`, want: undefined },
    { name: 'with comments', given: '// one\n// two: (\nbody.a // three "\n == 1', want: undefined },
    { name: 'a comment in a text', given: "body.url == 'https://x'", want: undefined },
    {
      name: 'a mistake behind comments',
      given: '// one\n// two\n  nope',
      want: "line 3, column 3: undeclared reference to 'nope'",
    },
    { name: 'brackets in texts', given: `body.a == '((' || body.b == "]]" || body.c == r'\\('`, want: undefined },
    { name: 'texts of several lines', given: `body.a == '''x\n'"(\n''' + """y\n"""`, want: undefined },
    {
      name: 'a text that goes on in the next line',
      given: `body.a == 'x\n'`,
      want: 'line 1, column 11: the text that begins here does not end',
    },
    { name: 'an escaped quote', given: `body.a == 'it\\'s (' && body.b == "\\"("`, want: undefined },
    { name: 'a bracket of another kind', given: '[body.a)', want: 'line 1, column 8: ) was not expected' },
    {
      name: 'a message',
      given: 'google.type.Date{year: 1}',
      want: 'line 1, column 1: messages like google.type.Date are not supported',
    },
    {
      name: 'a method as a function',
      given: "split('a', '/')",
      want: "line 1, column 1: found no matching overload for 'split' applied to '(string, string)'",
    },
    {
      name: 'a macro over a text',
      given: "'abc'.map(x, x)",
      want: 'line 1, column 6: a macro goes over a list or a map, not over a string',
    },
    {
      name: 'what a macro names is not known outside',
      given: 'body.l.all(x, true) && x',
      want: "line 1, column 24: undeclared reference to 'x'",
    },
    {
      name: 'what a macro builds for itself has no name',
      given: 'body.l.map(x, @result)',
      want: 'line 1, column 7: what begins here does not parse',
    },
  ];
  for (const { name, given, want } of cases) it(name, () => assert.equal(mistakeIn(given), want));

  it('never throws, whatever the text', () => {
    const piece = fc.constantFrom(
      ...[
        'body',
        '.',
        'a',
        '(',
        ')',
        '[',
        ']',
        '{',
        '}',
        ',',
        ':',
        '?',
        "'",
        '"',
        '\\',
        '//',
        '\n',
        '+',
        '-',
        '!',
        '==',
        '&&',
      ],
      ...[
        'in',
        '1',
        '1.5',
        '0x',
        'b"',
        "r'",
        "'''",
        '.map(x, ',
        '.all(',
        'has(',
        'true',
        'null',
        ' ',
        'é',
        '😀',
        '\ud800',
      ],
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 25 }), (pieces) => {
        const mistake = mistakeIn(pieces.join(''));
        assert(mistake === undefined || mistake.length < 250);
      }),
      { numRuns: 2_000 },
    );
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => void mistakeIn(text)));
  });
});
