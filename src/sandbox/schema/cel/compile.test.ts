/** What expressions may not do to the process that runs them. */
import assert from 'node:assert/strict';
import { CompilationError, compileExpression } from './compile.ts';
import { Budget } from './run.ts';
import { string } from './types.ts';
import { EvaluationError } from './values.ts';

function run(source: string, self = '', steps = 100_000) {
  return compileExpression(source, new Map([['self', string]])).run(new Map([['self', self]]), new Budget(steps));
}

describe('an expression that asks too much', () => {
  const loops = '[1,2,3,4,5,6,7,8,9].all(a, '.repeat(8);
  const cases: readonly (readonly [name: string, source: string, self?: string])[] = [
    ['loops within loops', `${loops}true${')'.repeat(8)}`],
    ['a search that takes back what it tried', "self.find('(a+)+b|c') == 'c'", `c${'a'.repeat(2000)}`],
    ['a text that grows with what replaces it', "self.replace('a', self) == ''", 'a'.repeat(20_000)],
    ['a text made of texts', "[self, self, self].map(x, self + self + self).join(self) == ''", 'a'.repeat(1_000_000)],
  ];
  for (const [name, source, self] of cases) {
    it(name, () => {
      assert.throws(() => run(source, self), new EvaluationError('operation cancelled: actual cost limit exceeded'));
    });
  }

  it('a pattern that others would work on for ever is matched at once', () => {
    assert.equal(run("self.matches('^(a+)+$')", `${'a'.repeat(5000)}b`), false);
  });

  it('brackets without end are refused', () => {
    assert.throws(() => run(`${'('.repeat(100_000)}1`), CompilationError);
  });
});
