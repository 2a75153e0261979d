/** RunFacts from API objects, as YAML a person writes or as a cluster was recorded: for tests of what runs mean. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { type JsonObject, objectOf } from '../../src/kube/objects.ts';
import { projectCustomRun, projectPipelineRun, projectPod, projectTaskRun } from '../../src/tekton/project.ts';
import type { PipelineRun, RunFacts } from '../../src/tekton/types.ts';

/** The documents of a YAML text. */
export function objectsOf(yaml: string): readonly JsonObject[] {
  return parseAllDocuments(yaml).map((document) => objectOf(document.toJS()));
}

/** The facts of the PipelineRun among `objects` that no other PipelineRun owns. Children are found by their owner's uid. */
export function factsOf(objects: readonly JsonObject[]): RunFacts {
  const ofKind = <T>(kind: string, project: (raw: JsonObject) => T) =>
    objects.filter((object) => object.kind === kind).map(project);
  const runs = ofKind('PipelineRun', projectPipelineRun);
  const taskRuns = ofKind('TaskRun', projectTaskRun);
  const customRuns = ofKind('CustomRun', projectCustomRun);
  const pods = ofKind('Pod', projectPod);
  const gather = (run: PipelineRun): RunFacts => {
    const isOwn = ({ meta }: { readonly meta: PipelineRun['meta'] }) => meta.owner?.uid === run.meta.uid;
    const own = taskRuns.filter(isOwn);
    const uids = new Set(own.map(({ meta }) => meta.uid));
    return {
      run,
      taskRuns: own,
      customRuns: customRuns.filter(isOwn),
      nested: runs.filter(isOwn).map(gather),
      pods: pods.filter(({ meta }) => uids.has(meta.owner?.uid ?? '')),
    };
  };
  const root = runs.find(({ meta }) => meta.owner?.kind !== 'PipelineRun');
  if (root === undefined) throw new Error('no PipelineRun among the objects');
  return gather(root);
}

/**
 * What a real Tekton made of `test/cluster/runs/<name>.yaml`: the objects of each recorded moment, in the order of time.
 * Recorded by `test/cluster/record-runs.ts`.
 */
export function recordedMoments(name: string): ReadonlyMap<string, readonly JsonObject[]> {
  const text = readFileSync(join(import.meta.dirname, '../fixtures/tekton', `${name}.json`), 'utf8');
  const moments: Record<string, Record<string, readonly JsonObject[]>> = JSON.parse(text);
  return new Map(Object.entries(moments).map(([moment, kinds]) => [moment, Object.values(kinds).flat()]));
}

/** The facts of one recorded moment. Throws when there is no such moment. */
export function recordedFacts(name: string, moment = 'final'): RunFacts {
  const objects = recordedMoments(name).get(moment);
  if (objects === undefined) throw new Error(`${name} was not recorded at "${moment}"`);
  return factsOf(objects);
}
