import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Labels, readSelector } from './selector.ts';

function selects(text: string, labels: Labels): boolean {
  const reading = readSelector(text);
  if (!reading.ok) assert.fail(`${JSON.stringify(text)}: ${reading.wrong} at ${reading.at}`);
  return reading.selects(labels);
}

describe('label selectors', () => {
  // As k8s.io/apimachinery's own tests have it (labels/selector_test.go), and what else its parser lets pass.
  for (const text of [
    '',
    '   ',
    'x=a,y=b,z=c',
    'x!=a,y=b',
    'x=',
    'x= ',
    'x=,z= ',
    'x= ,z= ',
    '!x',
    '! x',
    'x>1',
    'x>1,z<5',
    'x in (a,b)',
    'x in (a)',
    'x in ()',
    'x in (,)',
    'x in (,a)',
    'x in (a,)',
    'x in (a,,b)',
    'x in (,a,b)',
    'x notin (a, b),y',
    'x==a',
    'in in (in,notin)',
    'notin=in',
    'example.com/team=a',
    'x=a\n,\ty',
    'a.b-c_d',
    '0',
  ]) {
    it(`takes ${JSON.stringify(text)}`, () => {
      assert.equal(readSelector(text).ok, true);
    });
  }

  for (const [text, at] of [
    ['x=a||y=b', 3],
    ['x==a==b', 5],
    ['!x=a', 3],
    ['x<a', 3],
    ['x>', 3],
    ['x>1.5', 3],
    ['x>9223372036854775808', 3],
    ['x in a', 6],
    ['x in (a', 8],
    ['x in (a b)', 9],
    ['x in (a,,)', 10],
    ['x in (=)', 7],
    ['x in', 5],
    ['x y', 3],
    ['x,', 3],
    [',x', 1],
    ['x,,y', 3],
    ['!', 2],
    ['!!x', 2],
    ['=a', 1],
    ['x=a b', 5],
    ['x=-a', 3],
    ['-x', 1],
    ['x/y/z', 1],
    ['/x', 1],
    ['x/', 1],
    ['X.y/z', 1],
    [`${'a'.repeat(64)}`, 1],
    [`x=${'a'.repeat(64)}`, 3],
    ['x=é', 3],
    ['x=a\u00a0', 3],
    ['x=a\u0000', 3],
    ['x in (a)b', 9],
    ['(x)', 1],
  ] as const) {
    it(`refuses ${JSON.stringify(text.length > 30 ? `${text.slice(0, 30)}...` : text)} at ${at}`, () => {
      const reading = readSelector(text);
      assert.ok(!reading.ok);
      assert.equal(reading.at, at, reading.wrong);
    });
  }

  const labels = { team: 'a', tier: 'web', size: '5', empty: '' };
  for (const [text, want] of [
    ['', true],
    ['team', true],
    ['!team', false],
    ['other', false],
    ['!other', true],
    ['team=a', true],
    ['team==a', true],
    ['team=b', false],
    ['team!=b', true],
    ['other!=b', true],
    ['other=', false],
    ['empty=', true],
    ['empty in ()', true],
    ['team in (a,b)', true],
    ['team notin (a,b)', false],
    ['other notin (a)', true],
    ['other in (a)', false],
    ['size>4', true],
    ['size>5', false],
    ['size<6', true],
    ['size < 05', false],
    ['team>1', false],
    ['other<1', false],
    ['team=a,tier=db', false],
    ['team=a,tier in (db,web),!other', true],
    ['constructor', false],
    ['toString!=x', true],
  ] as const) {
    it(`${JSON.stringify(text)} ${want ? 'selects' : 'leaves out'}`, () => {
      assert.equal(selects(text, labels), want);
    });
  }

  it('compares numbers of 64 bits exactly', () => {
    assert.equal(selects('n>9223372036854775806', { n: '9223372036854775807' }), true);
    assert.equal(selects('n<9223372036854775807', { n: '9223372036854775807' }), false);
    assert.equal(selects('n<1', { n: '9223372036854775808' }), false);
  });

  it('reads any text without throwing, and names a character of it or its end', () => {
    const text = fc.oneof(
      fc.string({ maxLength: 40 }),
      fc
        .array(fc.constantFrom('a', 'in', 'notin', ' ', '(', ')', ',', '!', '=', '==', '!=', '<', '>', '1', '-', '/'))
        .map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (given) => {
        const reading = readSelector(given);
        if (reading.ok) assert.equal(typeof reading.selects({ a: '1' }), 'boolean');
        else assert.ok(reading.at >= 1 && reading.at <= given.length + 1, `${reading.at} of ${given.length}`);
      }),
      { numRuns: 2_000 },
    );
  });

  it('a selector that was written for labels selects them, and says so in every spelling', () => {
    const name = fc.stringMatching(/^[a-z]([-a-z0-9_.]{0,10}[a-z0-9])?$/);
    const space = fc.constantFrom('', ' ', '\t', '\n', '  ');
    fc.assert(
      fc.property(fc.dictionary(name, name, { maxKeys: 5 }), space, fc.array(name), (given, gap, others) => {
        const parts = Object.entries(given).flatMap(([key, value]) => [
          `${key}${gap}=${gap}${value}`,
          `${key}${gap}==${value}`,
          key,
          `${key} in (${[...others, value].join(`${gap},${gap}`)})`,
          `${key}!=${value}x`,
        ]);
        assert.equal(selects(parts.join(`${gap},${gap}`), given), true);
        for (const [key, value] of Object.entries(given)) {
          for (const text of [`!${key}`, `${key}!=${value}`, `${key} notin (${value})`, `${key}=${value}x`]) {
            assert.equal(selects(text, given), false, text);
          }
        }
      }),
    );
  });
});
