import assert from 'node:assert/strict';
import { runProgram } from '../../test/support/program.ts';
import { lineOf, type NumberedLines, scriptOf } from './numbered.ts';

describe('the lines of the soak', () => {
  it('are written by a shell as they are expected by a reader, long ones too', async () => {
    const lines: NumberedLines = { salt: 17, count: 200, width: 8, burst: 50, pauseSeconds: 0.01 };
    const { code, stdout } = await runProgram('sh', ['-e', '-c', scriptOf(lines)]);
    assert.equal(code, 0);
    const want = Array.from({ length: lines.count }, (_, place) => `${lineOf(lines, place + 1)}\n`);
    assert.equal(stdout, want.join(''));
    assert.ok(want.some((line) => line.length > 16_384));
  });
});
