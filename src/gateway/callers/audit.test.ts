/** What a path is about, as the audit line has it. */
import assert from 'node:assert/strict';
import type { Request } from 'express';
import { type LogFields, silentLog } from '../../log.ts';
import type { RequestNotes } from '../notes.ts';
import { auditDenied, objectIn } from './audit.ts';

describe('what an audited path is about', () => {
  for (const [pattern, path, want] of [
    ['/status/:namespace/:name', '/status/dev/build-1', 'get status dev build-1'],
    ['/status/:name', '/status/build-1', 'get status ci build-1'],
    ['/runs/:namespace', '/runs/dev', 'list runs dev'],
    ['/runs/:namespace/:name/events', '/runs/dev/build-1/events', 'watch runs dev build-1'],
    ['/triggers/:namespace', '/triggers/dev', 'list triggers dev'],
    ['/triggers/:namespace/:trigger', '/triggers/dev/app', 'get triggers dev app'],
    ['/triggers/:namespace/:trigger/run', '/triggers/dev/app/run', 'run triggers dev app'],
  ] as const) {
    it(`${path} is ${want}`, () => {
      const { verb, resource, namespace, name } = objectIn(pattern, path, 'ci');
      assert.equal([verb, resource, namespace, name].filter((each) => each !== undefined).join(' '), want);
    });
  }
});

describe('a refusal', () => {
  for (const [pattern, path, want] of [
    ['/status/:name', '/status/build-1?wait=1', 'read get status ci build-1'],
    ['/triggers/:namespace/:trigger/run', '/triggers/dev/app/run', 'run asked for run triggers dev app'],
    ['/triggers', '/triggers', 'read list triggers ci'],
  ] as const) {
    it(`of ${path} is told as ${want}`, () => {
      const told: (LogFields | undefined)[] = [];
      const log = { ...silentLog, warn: (_message: string, fields?: LogFields) => void told.push(fields) };
      const rungateNotes = { client: '127.0.0.1', requestId: 'r-1', mode: 'basic' } as RequestNotes;
      auditDenied(log, { originalUrl: path, route: { path: pattern }, rungateNotes } as unknown as Request, 'ci');
      const [{ event, decision, verb, resource, namespace, name } = {}] = told;
      assert.equal(decision, 'deny');
      assert.equal([event, verb, resource, namespace, name].filter((each) => each !== undefined).join(' '), want);
    });
  }
});
