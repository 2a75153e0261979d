/** docs/reliability.md lists the faults that the soak has. With UPDATE_DOCS=1 it is made to. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { soakFaults } from '../../bench/soak/kinds.ts';

const file = new URL('../../docs/reliability.md', import.meta.url);
const rows = soakFaults.map(
  ({ name, where, what, sandboxOnly }) =>
    `| \`${name}\` | ${where}${sandboxOnly ? ', in the sandbox alone' : ''} | ${what} |`,
);

describe('docs/reliability.md', () => {
  it('lists every fault of the soak, as it is', () => {
    const page = readFileSync(file, 'utf8');
    const head = '| Fault | Where | What happens |\n|---|---|---|\n';
    const [before, after] = page.split(head);
    const rest = (after ?? '').split('\n');
    const end = rest.indexOf('');
    if (process.env.UPDATE_DOCS === '1')
      writeFileSync(file, [`${before}${head}${rows.join('\n')}`, ...rest.slice(end)].join('\n'));
    else assert.deepEqual(rest.slice(0, end), rows);
  });

  it('there are 24 of them, each with a name of its own', () => {
    assert.equal(new Set(soakFaults.map(({ name }) => name)).size, 24);
  });
});
