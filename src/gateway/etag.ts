/** Entity tags: what an answer was made of, in a word, so that whoever has it already need not be sent it again. */
import { hash } from 'node:crypto';
import type { Kept } from '../kube/objects.ts';

/**
 * The tag of an answer that is made of `objects` and asked for with `options`, in any order. Weak, because the same state
 * may be written differently. It depends on nothing else: every replica, and this one after a restart, makes the same.
 */
export function tagOf(objects: readonly Kept[], ...options: readonly string[]): string {
  const versions = objects.map(({ meta }) => `${meta.uid} ${meta.resourceVersion}`).sort();
  return tagFrom([...options, ...versions]);
}

/** The tag of what these texts tell, in their order. None of them may hold a line break. */
export function tagFrom(texts: readonly string[]): string {
  return `W/"${hash('sha256', texts.join('\n'), 'base64url').slice(0, 22)}"`;
}

/** Whether `If-None-Match` has this tag: a list compared weakly, or `*`. https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2 */
export function matches(header: string, tag: string): boolean {
  if (header.trim() === '*') return true;
  const opaque = tag.slice(tag.indexOf('"'));
  return [...header.matchAll(/"[^"]*"/g)].some(([given]) => given === opaque);
}
