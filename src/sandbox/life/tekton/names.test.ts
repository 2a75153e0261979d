import assert from 'node:assert/strict';
import { formatDuration, parseDuration } from './duration.ts';
import { childName, hashedName, joinSubPaths, restrictLength, runNames, stepContainer } from './names.ts';

describe('childName', () => {
  // As a real Tekton named them.
  const cases = [
    { parent: 'run', suffix: '-task', want: 'run-task' },
    {
      parent: 'other-rather-long-name-for-a-pipelinerun-that-has-to-be-hashed',
      suffix: '-complex',
      want: 'other-rather-long-name-5c8ea297192a0e4c675b30743382dd03-complex',
    },
    {
      parent: 'other-rather-long-name-for-a-pipelinerun-that-has-to-be-hashed',
      suffix: '-meta',
      want: 'other-rather-long-name-for5c8ea297192a0e4c675b30743382dd03-meta',
    },
  ];
  for (const { parent, suffix, want } of cases) {
    it(`${parent} and ${suffix}`, () => assert.equal(childName(parent, suffix), want));
  }

  it('never has more than 63 characters, and ends with a letter or digit', () => {
    for (const length of [2, 20, 31, 32, 63, 200]) {
      const name = childName('p'.repeat(63), `-${'s'.repeat(length - 1)}`);
      assert.ok(name.length <= 63, name);
      assert.match(name, /[a-z0-9]$/);
    }
  });
});

describe('runNames', () => {
  it('one run has the name of the task, several have a number too', () => {
    assert.deepEqual(runNames('run', 'task', 1), ['run-task']);
    assert.deepEqual(runNames('run', 'task', 2), ['run-task-0', 'run-task-1']);
  });

  it('the number is kept whatever has to be shortened', () => {
    const names = runNames('run', 't'.repeat(70), 12);
    assert.equal(new Set(names).size, 12);
    assert.ok(names.every((name, index) => name.endsWith(`-${index}`) && name.length <= 63));
  });
});

describe('other names', () => {
  it('volumes of workspaces are hashed as Tekton hashes them', () => {
    // Of the workspace `w`, as a real Tekton named its volume.
    assert.equal(hashedName('ws', 'w', 5), 'ws-f20c3');
  });

  it('labels are cut to fit', () => {
    assert.equal(restrictLength('generated.name-'), 'generated.name');
    assert.equal(restrictLength('x'.repeat(80)).length, 63);
  });

  it('steps without a name are counted', () => {
    assert.equal(stepContainer('', 2), 'step-unnamed-2');
    assert.equal(stepContainer('build', 2), 'step-build');
  });

  it('sub-paths are joined', () => {
    assert.equal(joinSubPaths('a', 'b'), 'a/b');
    assert.equal(joinSubPaths(undefined, 'b'), 'b');
    assert.equal(joinSubPaths('a', ''), 'a');
  });
});

describe('durations', () => {
  const cases = [
    { text: '1h0m0s', ms: 3_600_000 },
    { text: '1m30s', ms: 90_000 },
    { text: '8s', ms: 8_000 },
    { text: '2.5s', ms: 2_500 },
    { text: '250ms', ms: 250 },
    { text: '0s', ms: 0 },
    { text: '25h0m1s', ms: 90_001_000 },
  ];
  for (const { text, ms } of cases) {
    it(`${text} is ${ms} ms`, () => {
      assert.equal(parseDuration(text), ms);
      assert.equal(formatDuration(ms), text);
    });
  }

  it('other spellings are understood', () => {
    assert.equal(parseDuration('1h'), 3_600_000);
    assert.equal(parseDuration('1.5h'), 5_400_000);
    assert.equal(parseDuration('-1s'), -1_000);
  });
});
