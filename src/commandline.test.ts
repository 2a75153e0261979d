import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { flagsMarkdown, helpText, readFlags } from './commandline.ts';
import { operatorFlagOf, operatorFlags } from './flags.ts';
import { settingsMarkdown } from './settings.ts';

describe('readFlags', () => {
  const table = [
    { given: [], want: run({}) },
    { given: ['--help'], want: { ask: 'help' } },
    { given: ['-h', '--version'], want: { ask: 'help' } },
    { given: ['--version'], want: { ask: 'version' } },
    { given: ['-v'], want: { ask: 'version' } },
    { given: ['--kubeconfig=/a', '--context', 'b'], want: run({ kubeconfig: '/a', context: 'b' }) },
    { given: ['-kubeconfig', '/a', '--kubeconfig='], want: run({}) },
    { given: ['--leader-elect'], want: run({}, { 'leader-elect': 'true' }) },
    { given: ['-leader-elect=F', '--kubeconfig', '/a'], want: run({ kubeconfig: '/a' }, { 'leader-elect': 'F' }) },
    { given: ['--leader-elect', '--leader-elect=false'], want: run({}, { 'leader-elect': 'false' }) },
    { given: ['--cross-ds-leader-elect'], want: run({}, { 'cross-dc-leader-elect': 'true' }) },
    { given: ['-metrics-bind-address', ':8080'], want: run({}, { 'metrics-bind-address': ':8080' }) },
    { given: ['--second-cluster-bearer-token=a=b'], want: run({}, { 'second-cluster-bearer-token': 'a=b' }) },
    { given: ['--second-cluster-bearer-token', '-a'], want: run({}, { 'second-cluster-bearer-token': '-a' }) },
    { given: ['--zap-log-level='], want: run({}, { 'zap-log-level': '' }) },
    { given: ['--zap-log-level'], want: mistake('--zap-log-level needs a value') },
    { given: ['--leader-elect', 'true'], want: mistake('unexpected argument "true"') },
    { given: ['demo', '--leader-elect'], want: mistake('unknown flag --leader-elect') },
    { given: ['--'], want: mistake('unexpected argument "--"') },
    { given: ['---help'], want: mistake('unexpected argument "---help"') },
    { given: ['demo'], want: { ask: 'demo', keep: false, simulate: false } },
    { given: ['demo', '--keep', '--simulate'], want: { ask: 'demo', keep: true, simulate: true } },
    { given: ['hash-password'], want: { ask: 'hash-password', name: undefined, kind: 'argon2id' } },
    {
      given: ['hash-password', '--name', 'ci', '--scrypt'],
      want: { ask: 'hash-password', name: 'ci', kind: 'scrypt' },
    },
    { given: ['hash-password', 'secret'], want: mistake('unexpected argument "secret"') },
    { given: ['healthcheck'], want: { ask: 'healthcheck' } },
    { given: ['healthcheck', '--name=ci'], want: mistake('unknown flag --name') },
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

  function run(own: { kubeconfig?: string; context?: string }, operator: Readonly<Record<string, string>> = {}) {
    return {
      ask: 'run',
      kubeconfig: undefined,
      context: undefined,
      ...own,
      operator: new Map(Object.entries(operator)),
    };
  }

  function mistake(sentence: string) {
    return { ask: 'nothing', mistake: `${sentence}; rungate --help lists what there is` };
  }
});

describe('--help', () => {
  it('names every setting, every command and every flag', () => {
    const help = new Set(helpText().split(/\s/));
    const variables = namesIn(settingsMarkdown());
    const flags = namesIn(flagsMarkdown());
    assert(variables.length > 10 && flags.length > 10);
    for (const word of [...variables, ...flags, '--keep', '--simulate', '--name', '--scrypt']) {
      assert(help.has(word), word);
    }
  });

  function namesIn(table: string): string[] {
    return [...table.matchAll(/^\| `([\w-]+)/gm)].map(([, name = '']) => name);
  }
});

describe('the flags of Pipeline Trigger Operator', () => {
  for (const name of Object.keys(operatorFlags)) {
    it(`--${name} is one, or stands for one`, () => {
      const known = operatorFlagOf(name);
      assert(known !== undefined && Object.hasOwn(operatorFlags, known));
    });
  }
});

describe('the documentation of the flags', () => {
  it('is docs/configuration.md (UPDATE_DOCS=1 writes it)', () => {
    const file = new URL('../docs/configuration.md', import.meta.url);
    const page = readFileSync(file, 'utf8');
    const marks = /(<!-- flags: made from src\/commandline\.ts -->\n\n)([\s\S]*?)(\n\n<!-- end of flags -->)/;
    const wanted = page.replace(marks, (_all, begin, _table, end) => `${begin}${flagsMarkdown()}${end}`);
    if (process.env.UPDATE_DOCS === '1') writeFileSync(file, wanted);
    else assert.equal(page, wanted);
    assert.match(page, marks);
  });
});
