/**
 * The audit lines: who was let in, who was turned away and why, which streams were opened, what was changed about callers.
 * What was answered without a question of rights has its access line (see `arrival`), which names the caller as well, so
 * the hot path writes no second one. docs/security.md lists both.
 */
import type { Request } from 'express';
import type { ObjectRef } from '../../kube/objects.ts';
import type { Log, LogFields } from '../../log.ts';
import { notesOf } from '../notes.ts';

/** Why somebody was not let in. */
export type SignInRefusal =
  | 'malformed header'
  | 'unknown name'
  | 'wrong password'
  | 'too many attempts'
  | 'ticket not valid';

/** Somebody showed credentials or a ticket that hold; not said of those who were remembered. */
export function auditSignIn(log: Log, request: Request, mode: 'basic' | 'ticket', caller: string): void {
  log.info('audit', { event: 'sign-in', decision: 'allow', mode, caller, ...whence(request) });
}

/**
 * Somebody was not let in. `name` is given only where somebody has it: other names may be passwords that were typed in the
 * wrong place.
 */
export function auditSignInRefused(
  log: Log,
  request: Request,
  mode: 'basic' | 'ticket',
  reason: SignInRefusal,
  name: string | undefined,
): void {
  log.warn('audit', { event: 'sign-in', decision: 'deny', mode, reason, caller: name, ...whence(request) });
}

/** A caller asked for what is not open to them. */
export function auditDenied(log: Log, request: Request, defaultNamespace: string): void {
  const asked = about(request, defaultNamespace);
  log.warn('audit', {
    event: asked.verb === 'run' ? 'run asked for' : 'read',
    decision: 'deny',
    reason: 'namespace not open to this caller',
    ...asked,
  });
}

/** A caller asked for a run of a trigger. */
export function auditRunAsked(log: Log, request: Request, trigger: ObjectRef, asked: 'now' | 'before'): void {
  const { caller } = notesOf(request);
  log.info('audit', {
    event: 'run asked for',
    decision: 'allow',
    caller: caller?.name,
    ...trigger,
    asked,
    ...whence(request),
  });
}

/** A ticket was given out. */
export function auditTicket(log: Log, request: Request, path: string | undefined): void {
  const { caller } = notesOf(request);
  log.info('audit', { event: 'ticket', decision: 'allow', caller: caller?.name, path, ...whence(request) });
}

/** A stream was opened for a caller. `arrival` writes its end. */
export function auditStream(log: Log, request: Request, defaultNamespace: string): void {
  notesOf(request).isStream = true;
  log.info('audit', { event: 'stream opened', decision: 'allow', ...about(request, defaultNamespace) });
}

/** A stream that was opened has ended; how says its `outcome`. */
export function auditStreamEnd(log: Log, request: Request, defaultNamespace: string, outcome: string): void {
  log.info('audit', { event: 'stream closed', outcome, ...about(request, defaultNamespace) });
}

function whence(request: Request): LogFields {
  const { client, requestId } = notesOf(request);
  return { client, requestId };
}

function about(request: Request, defaultNamespace: string): LogFields {
  const { caller, mode } = notesOf(request);
  const { originalUrl, route } = request;
  const pattern: unknown = route?.path;
  const mark = originalUrl.indexOf('?');
  const path = mark === -1 ? originalUrl : originalUrl.slice(0, mark);
  return {
    mode,
    caller: caller?.name,
    ...(typeof pattern === 'string' ? objectIn(pattern, path, defaultNamespace) : { path }),
    ...whence(request),
  };
}

/**
 * What a path is about, as Express has read it: `/status/ci/build-1` of the route `/status/:namespace/:name` is to get `status` `build-1` in `ci`.
 * Express has forgotten the parameters by the time an answer ends, so they are read from the path again.
 */
export function objectIn(
  pattern: string,
  path: string,
  defaultNamespace: string,
): { readonly verb: string; readonly resource: string; readonly namespace: string; readonly name: string | undefined } {
  const segments = path.split('/');
  const named = new Map(
    pattern.split('/').flatMap((part, place) =>
      // Of a path that matched, Express has decoded each of these already.
      part.startsWith(':') ? [[part.slice(1), decodeURIComponent(segments[place] ?? '')]] : [],
    ) as [string, string][],
  );
  const [, resource = ''] = pattern.split('/');
  const name = named.get('name') ?? named.get('run') ?? named.get('trigger') ?? named.get('hook');
  const verb =
    name === undefined ? 'list' : pattern.endsWith('/events') ? 'watch' : pattern.endsWith('/run') ? 'run' : 'get';
  return { verb, resource, namespace: named.get('namespace') ?? defaultNamespace, name };
}
