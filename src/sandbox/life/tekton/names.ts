/** Names that Tekton makes from others, so that asking twice names the same object. */
import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import type { Run, WorkspaceBinding } from './types.ts';

/** The longest name of an object whose name is used as a label too. */
const LONGEST = 63;
/** What of the parent's name is left when a hash (MD5, 32 digits) has to fit beside it. */
const HEAD = LONGEST - 32;

/**
 * `parent` and `suffix` together, shortened with a hash when they are longer than 63 characters, in the way of Knative's
 * ChildName: https://pkg.go.dev/knative.dev/pkg/kmeta#ChildName
 */
export function childName(parent: string, suffix: string): string {
  if (parent.length + suffix.length <= LONGEST) return parent + suffix;
  if (suffix.length < HEAD) return `${parent.slice(0, HEAD - suffix.length)}${md5(parent)}${suffix}`;
  const hashed = `${parent.slice(0, HEAD)}${md5(parent + suffix)}`;
  return `${hashed}${suffix.slice(0, LONGEST - hashed.length)}`.replace(/[^a-zA-Z0-9]+$/, '');
}

/** The names of a pipeline task's runs: one, or as many as its matrix has combinations. */
export function runNames(pipelineRun: string, pipelineTask: string, count: number): string[] {
  if (count === 1) return [childName(pipelineRun, `-${pipelineTask}`)];
  return Array.from({ length: count }, (_, index) => {
    const name = childName(pipelineRun, `-${pipelineTask}-${index}`);
    if (name.endsWith(`-${index}`)) return name;
    return `${childName(pipelineRun, `-${pipelineTask}`).slice(0, LONGEST - `-${count}`.length)}-${index}`;
  });
}

/** At most 63 characters, the last of them a letter or digit. */
export function restrictLength(name: string): string {
  return name.slice(0, LONGEST).replace(/[^a-zA-Z0-9]+$/, '');
}

/** `prefix-` and `length` digits of the name's hash (FNV-1a, 32 bits). */
export function hashedName(prefix: string, name: string, length: number): string {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(name)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return `${prefix}-${hash.toString(16).slice(0, length).padEnd(length, '0')}`;
}

/** The claim that is made for a workspace's `volumeClaimTemplate`, by the run that declares it. */
export function claimName(binding: WorkspaceBinding, owner: Run): string {
  const prefix = binding.volumeClaimTemplate?.metadata?.name ?? 'pvc';
  return `${prefix}-${sha256(binding.name + owner.metadata.uid)}`;
}

/** What keeps the pods that share a claim on one node; the sandbox has one node and only passes the name on. */
export function affinityAssistantName(workspace: string, pipelineRun: string): string {
  return `affinity-assistant-${sha256(workspace + pipelineRun)}`;
}

/** The container of a step. */
export function stepContainer(name: string | undefined, index: number): string {
  return name === undefined || name === '' ? `step-unnamed-${index}` : `step-${name}`;
}

/** Two sub-paths, either of which may be missing. */
export function joinSubPaths(outer: string | undefined, inner: string | undefined): string | undefined {
  if (outer === undefined || outer === '') return inner;
  if (inner === undefined || inner === '') return outer;
  return posix.join(outer, inner);
}

function md5(text: string): string {
  return createHash('md5').update(text).digest('hex');
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 10);
}
