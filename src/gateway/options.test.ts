import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Fault } from '../fault.ts';
import {
  duration,
  instant,
  listOption,
  objectName,
  option,
  optionReader,
  runRef,
  taskPath,
  truth,
  wholeNumber,
  word,
} from './options.ts';

const read = optionReader({
  follow: option(truth, true, ''),
  wait: option(duration({ toSeconds: 300 }), 0, ''),
  tail: option(wholeNumber({ from: 0, to: 1000 }), undefined, ''),
  format: option(word('text', 'ndjson'), undefined, ''),
  task: listOption(objectName, ''),
  path: listOption(taskPath, ''),
});
const defaults = {
  follow: true,
  wait: 0,
  tail: undefined,
  format: undefined,
  task: [],
  path: [],
};

describe('optionReader', () => {
  const right = [
    { given: '/logs/a', want: {} },
    { given: '/logs/a?', want: {} },
    { given: '/logs/a?&', want: {} },
    { given: '/logs/a?follow=false', want: { follow: false } },
    { given: '/logs/a?wait=90&tail=0', want: { wait: 90_000, tail: 0 } },
    { given: '/logs/a?wait=0', want: { wait: 0 } },
    { given: '/logs/a?wait=90s', want: { wait: 90_000 } },
    { given: '/logs/a?wait=5m', want: { wait: 300_000 } },
    { given: '/logs/a?wait=0h4m5s', want: { wait: 245_000 } },
    { given: '/logs/a?format=ndjson', want: { format: 'ndjson' } },
    { given: '/logs/a?task=build', want: { task: ['build'] } },
    { given: '/logs/a?task=build,test&task=deploy&task=test', want: { task: ['build', 'test', 'deploy'] } },
    { given: '/logs/a?t%61sk=a%2Cb', want: { task: ['a', 'b'] } },
    { given: '/logs/a?path=deploy/test,build-3', want: { path: ['deploy/test', 'build-3'] } },
    { given: '/logs/a?path=a%2Fb%2Fc', want: { path: ['a/b/c'] } },
  ];
  for (const { given, want } of right) {
    it(`reads ${given}`, () => assert.deepEqual({ ...read(given) }, { ...defaults, ...want }));
  }

  const knows = 'this path takes follow, wait, tail, format, task, path';
  const aDuration = 'write a duration such as 90, 90s, 5m or 1h30m, at most 300 seconds';
  const aPath =
    'write names of lower case letters, digits, "-" and ".", joined by "/"; several are separated by commas';
  const aName = 'write a name of lower case letters, digits, "-" and "."; several are separated by commas';
  const wrong = [
    { given: 'foo=1', want: `unknown option "foo": ${knows}` },
    { given: 'Follow=true', want: `unknown option "Follow": ${knows}` },
    { given: '__proto__=1', want: `unknown option "__proto__": ${knows}` },
    { given: 'constructor=1', want: `unknown option "constructor": ${knows}` },
    { given: 'task[]=a', want: `unknown option "task[]": ${knows}` },
    { given: '=1', want: `unknown option "": ${knows}` },
    { given: 'follow=true&follow=true', want: 'option follow is given twice' },
    { given: 'follow=yes', want: 'option follow is "yes": write true or false' },
    { given: 'follow', want: 'option follow is "": write true or false' },
    { given: 'wait=', want: `option wait is "": ${aDuration}` },
    { given: 'wait=301', want: `option wait is "301": ${aDuration}` },
    { given: 'wait=-1', want: `option wait is "-1": ${aDuration}` },
    { given: 'wait=1.5m', want: `option wait is "1.5m": ${aDuration}` },
    { given: 'wait=30m1h', want: `option wait is "30m1h": ${aDuration}` },
    { given: 'wait=1m30', want: `option wait is "1m30": ${aDuration}` },
    { given: 'wait=%D9%A3', want: `option wait is "٣": ${aDuration}` },
    { given: 'tail=1001', want: 'option tail is "1001": write a whole number from 0 to 1000' },
    { given: 'tail=1e3', want: 'option tail is "1e3": write a whole number from 0 to 1000' },
    {
      given: 'tail=99999999999999999999',
      want: 'option tail is "99999999999999999999": write a whole number from 0 to 1000',
    },
    { given: 'format=xml', want: 'option format is "xml": write one of text, ndjson' },
    { given: 'task=a,,b', want: `option task is "a,,b": ${aName}` },
    { given: 'task=A', want: `option task is "A": ${aName}` },
    {
      given: `task=${Array(201).fill('a').join()}`,
      want: `option task is "${Array(30).fill('a').join()},...": ${aName}`,
    },
    { given: 'path=a//b', want: `option path is "a//b": ${aPath}` },
    { given: 'path=/a', want: `option path is "/a": ${aPath}` },
    { given: 'path=../a', want: `option path is "../a": ${aPath}` },
  ];
  for (const { given, want } of wrong) {
    it(`refuses ?${given.slice(0, 40)}`, () => {
      assert.throws(() => read(`/logs/a?${given}`), { name: 'Fault', code: 'bad-request', message: want });
    });
  }

  it('says of a path without options that it takes none', () => {
    assert.throws(() => optionReader({})('/ready?x=1'), { message: 'unknown option "x": this path takes none' });
  });

  it('answers any query with values or a bad-request of one short line', () => {
    const piece = fc.oneof(
      fc.constantFrom('wait', 'task', 'follow', '=', '&', ',', '%', '%zz', '1m', 'true'),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        try {
          assert.deepEqual(Object.keys(read(`/?${pieces.join('')}`)), Object.keys(defaults));
        } catch (error) {
          assert(error instanceof Fault && error.code === 'bad-request', String(error));
          assert.match(error.message, /^[^\x00-\x1f]{1,800}$/);
        }
      }),
    );
  });

  it('reads every duration back as it was written', () => {
    const part = fc.option(fc.nat(59), { nil: undefined });
    fc.assert(
      fc.property(fc.nat(9), part, part, (hours, minutes, seconds) => {
        const text = [
          [hours, 'h'],
          [minutes, 'm'],
          [seconds, 's'],
        ].flatMap(([n, unit]) => (n === undefined ? [] : [n, unit]));
        const want = hours * 3_600_000 + (minutes ?? 0) * 60_000 + (seconds ?? 0) * 1_000;
        assert.equal(duration({ toSeconds: 36_000 }).read(text.join('')), want);
      }),
    );
  });
});

describe('instant', () => {
  it('is read on every day that a calendar has, and on no other', () => {
    for (const year of [1900, 2000, 2024, 2026, 2100]) {
      for (let month = 1; month <= 12; month++) {
        for (let day = 0; day <= 32; day++) {
          const text = `${year}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}`;
          const ms = Date.UTC(year, month - 1, day);
          const isDay = new Date(ms).toISOString().startsWith(text);
          assert.equal(instant.read(`${text}T00:00:00Z`), isDay ? ms : undefined, text);
        }
      }
    }
  });
});

describe('runRef', () => {
  const right = [
    { given: { name: 'build-1' }, want: { namespace: 'tekton-pipelines', name: 'build-1' } },
    { given: { namespace: 'team-a', name: 'build-1' }, want: { namespace: 'team-a', name: 'build-1' } },
    { given: { name: 'release-v1.2.3' }, want: { namespace: 'tekton-pipelines', name: 'release-v1.2.3' } },
    { given: { name: 'a'.repeat(63) }, want: { namespace: 'tekton-pipelines', name: 'a'.repeat(63) } },
  ];
  for (const { given, want } of right) {
    it(`run 5: finds ${JSON.stringify(given)}`, () => assert.deepEqual(runRef(given, 'tekton-pipelines'), want));
  }

  for (const name of [
    'A_B',
    '--last',
    'a'.repeat(64),
    '',
    'a_b',
    'Build',
    'a-',
    '.a',
    'a..b',
    'a.-b',
    '../a',
    'a b',
    'a\n',
    '-f',
    '--help',
  ]) {
    it(`run 5: refuses ${JSON.stringify(name.slice(0, 20))} in the listener's words`, () => {
      assert.throws(() => runRef({ name }, 'a'), { code: 'bad-request', message: 'Invalid pipeline RunID' });
    });
  }

  for (const namespace of ['A', 'a.b', 'a'.repeat(64), '', '..', '*']) {
    it(`refuses the namespace ${JSON.stringify(namespace.slice(0, 20))}`, () => {
      assert.throws(() => runRef({ namespace, name: 'a' }, 'a'), { code: 'bad-request', message: 'Invalid namespace' });
    });
  }
});
