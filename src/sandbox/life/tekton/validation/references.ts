/** What Tekton refuses of references to Tasks, Pipelines and StepActions. */
import { qualifiedName } from '../../../core/formats.ts';
import type { Param, Reference } from '../types.ts';
import { at, type Complaints } from './complaints.ts';
import { checkGivenOnce } from './params.ts';

/** A reference to a Task, a Pipeline or a StepAction: a name, or a resolver with its parameters. */
export function checkReference({ name = '', resolver = '', params }: Reference, path: string, say: Complaints): void {
  const isAddress = /[\w-]+:\/\/*/.test(name);
  if (resolver === '' && params === undefined) {
    if (name === '') say.missing(at(path, 'name'));
    else if (isAddress) {
      conciseSyntax(path, say);
      say.missing(at(path, 'resolver'));
    } else {
      const wrong = qualifiedName(name);
      if (wrong.length > 0) say.invalid(wrong.join(','), at(path, 'name'));
    }
    return;
  }
  if (params !== undefined) {
    if (name !== '') say.both([at(path, 'name'), at(path, 'params')]);
    if (resolver === '') say.missing(at(path, 'resolver'));
    checkGivenOnce(namesOf(params), path, false, say);
  }
  if (resolver !== '' && name !== '') {
    if (isAddress) conciseSyntax(path, say);
    else say.invalid('invalid URI for request', at(path, 'name'));
  }
}

/** Names of parameters. */
export function namesOf(params: readonly Param[] | undefined): string[] {
  return (params ?? []).map(({ name }) => name);
}

function conciseSyntax(path: string, say: Complaints): void {
  say.needsFlag('enable-concise-resolver-syntax', 'use concise resolver syntax', path);
}
