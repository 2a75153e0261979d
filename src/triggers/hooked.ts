/** PipelineTriggers as their hooks know them: what an event has to be about, and what is done with it. */
import { SOURCE_KINDS, type SourceKind } from '../flux/types.ts';
import {
  type JsonObject,
  type Kept,
  type ObjectRef,
  objectOf,
  present,
  projectMeta,
  stringOf,
} from '../kube/objects.ts';
import { type HookSpec, readHook } from './hookspec.ts';
import { TOLD_ANNOTATION } from './names.ts';

/** A trigger that has `spec.hook`, or had it. */
export interface HookedTrigger extends Kept {
  readonly source: { readonly kind: SourceKind; readonly name: string };
  readonly suspended: boolean;
  /** Absent: there is none, or the spec is wrong in a way that leaves open what is meant. */
  readonly hook?: HookSpec;
}

/** Where hooks find triggers. Looks into memory only. */
export interface HookedTriggers {
  /** Undefined: there is no such trigger. `waiting`: what there is is not known yet. */
  find(ref: ObjectRef): HookedTrigger | 'waiting' | undefined;
  /** Whether they are still being listed for the first time, and nothing is wrong with that. */
  isListing(): boolean;
}

/** Keeps of a PipelineTrigger what its hook needs. Never throws. */
export function projectHookedTrigger(raw: JsonObject): HookedTrigger {
  const spec = objectOf(raw.spec);
  const source = objectOf(spec.source);
  const kind = SOURCE_KINDS.find((each) => each === source.kind);
  const mistakes: string[] = [];
  const hook = spec.hook === undefined ? undefined : readHook(spec.hook, kind ?? '', (each) => mistakes.push(each));
  return {
    meta: projectMeta(raw, [TOLD_ANNOTATION]),
    source: { kind: kind ?? 'GitRepository', name: stringOf(source.name) ?? '' },
    suspended: spec.suspend === true,
    ...present({ hook: kind === undefined || mistakes.length > 0 ? undefined : hook }),
  };
}
