import assert from 'node:assert/strict';
import { projectPipelineRun } from '../tekton/project.ts';
import { matches, tagFrom, tagOf } from './etag.ts';

const object = (uid: string, resourceVersion: string) => projectPipelineRun({ metadata: { uid, resourceVersion } });

describe('entity tags', () => {
  it('depend on objects and options, not on the order of objects', () => {
    const [a, b] = [object('a', '1'), object('b', '2')];
    assert.match(tagOf([a]), /^W\/"[A-Za-z0-9_-]{22}"$/);
    assert.equal(tagOf([a, b], 'x'), tagOf([b, a], 'x'));
    assert.notEqual(tagOf([a, b]), tagOf([a]));
    assert.notEqual(tagOf([a]), tagOf([object('a', '2')]));
    assert.notEqual(tagOf([a], 'x'), tagOf([a], 'y'));
    assert.notEqual(tagFrom(['a', 'b']), tagFrom(['b', 'a']));
  });

  for (const [header, want] of [
    ['W/"a"', true],
    ['"a"', true],
    ['"b", W/"a"', true],
    ['"x,y","a"', true],
    ['*', true],
    [' * ', true],
    ['W/"b"', false],
    ['a', false],
    ['', false],
    ['"A"', false],
  ] as const) {
    it(`If-None-Match: ${header} ${want ? 'matches' : 'does not match'} W/"a"`, () => {
      assert.equal(matches(header, 'W/"a"'), want);
    });
  }
});
