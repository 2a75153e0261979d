import assert from 'node:assert/strict';
import { lacking, type Needs } from './needs.ts';

describe('what a suite needs of a cluster', () => {
  const own = { root: true, knobs: true, flux: true, tkn: true, triggers: true, tektonVersion: 'v1.15.0' };
  const existing = { root: false, knobs: false, flux: false, tkn: false, triggers: false, tektonVersion: 'v1.6.0' };
  const table: readonly {
    readonly name: string;
    readonly needs: Needs;
    readonly has: typeof own;
    readonly lacks: readonly string[];
  }[] = [
    { name: 'nothing is always there', needs: {}, has: existing, lacks: [] },
    {
      name: 'all of it is there',
      needs: { tekton: '1.15', root: true, knobs: true, flux: true, tkn: true },
      has: own,
      lacks: [],
    },
    { name: 'a newer Tekton will do', needs: { tekton: '1.9.3' }, has: own, lacks: [] },
    {
      name: 'versions are numbers, not texts',
      needs: { tekton: '1.15' },
      has: existing,
      lacks: ['Tekton 1.15 or newer (there is v1.6.0)'],
    },
    {
      name: 'everything lacking is named',
      needs: { tkn: true, knobs: true, root: true },
      has: existing,
      lacks: ['root', 'knobs', 'tkn'],
    },
  ];
  for (const { name, needs, has, lacks } of table) it(name, () => assert.deepEqual(lacking(needs, has), lacks));
});
