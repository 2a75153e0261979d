/** What a path is about, as the audit line has it. */
import assert from 'node:assert/strict';
import { objectIn } from './audit.ts';

describe('what an audited path is about', () => {
  for (const [pattern, path, want] of [
    ['/status/:namespace/:name', '/status/dev/build-1', 'get status dev build-1'],
    ['/status/:name', '/status/build-1', 'get status ci build-1'],
    ['/runs/:namespace', '/runs/dev', 'list runs dev'],
    ['/runs/:namespace/:name/events', '/runs/dev/build-1/events', 'watch runs dev build-1'],
    ['/triggers/:namespace', '/triggers/dev', 'list triggers dev'],
    ['/triggers/:namespace/:trigger', '/triggers/dev/app', 'get triggers dev app'],
  ] as const) {
    it(`${path} is ${want}`, () => {
      const { verb, resource, namespace, name } = objectIn(pattern, path, 'ci');
      assert.equal([verb, resource, namespace, name].filter((each) => each !== undefined).join(' '), want);
    });
  }
});
