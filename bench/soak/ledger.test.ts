import assert from 'node:assert/strict';
import { Ledger } from './ledger.ts';
import { lineOf } from './numbered.ts';

const lines = { salt: 5, count: 6, width: 4, burst: 6, pauseSeconds: 0 };
const said = (n: number) => lineOf(lines, n);

describe('a ledger of the soak', () => {
  const ledger = (rotates: boolean) => new Ledger('r', new Map([['build/write', { lines, rotates }]]));
  const table: readonly {
    readonly name: string;
    /** Numbers are lines; `gap` is told between them. */
    readonly read: readonly (number | 'gap' | string)[];
    readonly rotates?: boolean;
    readonly complete?: boolean;
    readonly want: readonly string[];
    readonly toldLost?: number;
  }[] = [
    { name: 'finds nothing wrong with all lines in order', read: [1, 2, 3, 4, 5, 6], want: [] },
    { name: 'finds a line that comes twice', read: [1, 2, 2, 3, 4, 5, 6], want: ['repeated'] },
    { name: 'finds a line that never comes', read: [1, 2, 4, 5, 6], want: ['lost'] },
    { name: 'finds an end that never comes', read: [1, 2, 3, 4], want: ['lost'] },
    { name: 'tells order from loss', read: [1, 3, 2, 4, 5, 6], want: ['out of order'] },
    { name: 'finds half a line', read: [1, 2, said(3).slice(0, 4), 4, 5, 6], want: ['altered', 'lost'] },
    { name: 'finds two lines in one', read: [1, `${said(2)}${said(3)}`, 4, 5, 6], want: ['altered', 'lost'] },
    { name: 'finds a line of nobody', read: [1, 2, 3, 4, 5, 6, '7 1 0007'], want: ['altered'] },
    { name: 'believes no gap where nothing rotates', read: [1, 2, 'gap', 5, 6], want: ['lost', 'lost'] },
    {
      name: 'believes a gap where the file rotates, if the end says so too',
      read: [1, 2, 'gap', 5, 6],
      rotates: true,
      complete: false,
      want: [],
      toldLost: 2,
    },
    {
      name: 'finds an end that hides a gap',
      read: [1, 2, 'gap', 5, 6],
      rotates: true,
      want: ['incomplete'],
      toldLost: 2,
    },
    { name: 'misses nothing that was rotated away before the first look', read: [4, 5, 6], rotates: true, want: [] },
    { name: 'misses the beginning of what does not rotate', read: [4, 5, 6], want: ['lost'] },
    {
      name: 'finds an end that says less than there was',
      read: [1, 2, 3, 4, 5, 6],
      complete: false,
      want: ['incomplete'],
    },
  ];
  for (const { name, read, rotates = false, complete = true, want, toldLost = 0 } of table)
    it(name, () => {
      const book = ledger(rotates);
      for (const each of read)
        if (each === 'gap') book.gap('build/write');
        else book.take('build/write', typeof each === 'number' ? said(each) : each);
      book.close({ complete });
      assert.deepEqual(
        book.violations.map(({ kind }) => kind),
        want,
      );
      assert.equal(book.toldLost, toldLost);
    });

  it('names run, step and line', () => {
    const book = ledger(false);
    book.take('build/write', said(2));
    book.close({ complete: true });
    assert.deepEqual(
      book.violations.map(({ detail }) => detail),
      ['run r: 5 lines of build/write, from line 1'],
    );
  });
});
