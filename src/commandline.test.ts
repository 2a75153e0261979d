import assert from 'node:assert/strict';
import { helpText, readFlags } from './commandline.ts';
import { settingsMarkdown } from './config.ts';

describe('readFlags', () => {
  const table = [
    { given: [], want: { ask: 'run', kubeconfig: undefined, context: undefined } },
    { given: ['--help'], want: { ask: 'help' } },
    { given: ['-h', '--version'], want: { ask: 'help' } },
    { given: ['--version'], want: { ask: 'version' } },
    { given: ['--kubeconfig=/a', '--context', 'b'], want: { ask: 'run', kubeconfig: '/a', context: 'b' } },
    { given: ['demo'], want: { ask: 'demo', keep: false, simulate: false } },
    { given: ['demo', '--keep', '--simulate'], want: { ask: 'demo', keep: true, simulate: true } },
    { given: ['hash-password'], want: { ask: 'hash-password', name: undefined, kind: 'argon2id' } },
    {
      given: ['hash-password', '--name', 'ci', '--scrypt'],
      want: { ask: 'hash-password', name: 'ci', kind: 'scrypt' },
    },
    { given: ['hash-password', 'secret'], want: mistake('unexpected argument "secret"') },
    { given: ['demo', '-h'], want: { ask: 'help' } },
    { given: ['demo', '--context=a'], want: mistake('unknown flag --context') },
    { given: ['--keep'], want: mistake('unknown flag --keep') },
    { given: ['demo', 'again'], want: mistake('unexpected argument "again"') },
    { given: ['--prot=1'], want: mistake('unknown flag --prot') },
    { given: ['--constructor'], want: mistake('unknown flag --constructor') },
    { given: ['-x'], want: mistake('unknown flag -x') },
    { given: ['serve'], want: mistake('unexpected argument "serve"') },
    { given: ['--context'], want: mistake('--context needs a value') },
    { given: ['--help=yes'], want: mistake('--help takes no value') },
  ];
  for (const { given, want } of table) {
    it(`reads: rungate ${given.join(' ')}`, () => assert.deepEqual(readFlags(given), want));
  }

  function mistake(sentence: string) {
    return { ask: 'nothing', mistake: `${sentence}; rungate --help lists what there is` };
  }
});

describe('--help', () => {
  it('names every setting, every command and every flag', () => {
    const variables = [...settingsMarkdown().matchAll(/^\| `(\w+)`/gm)].map(([, variable]) => variable);
    assert(variables.length > 10);
    for (const word of [
      ...variables,
      '--help',
      '--version',
      '--kubeconfig',
      '--context',
      '--keep',
      '--simulate',
      '--name',
      '--scrypt',
    ]) {
      assert(helpText().includes(` ${word} `), word);
    }
  });
});
