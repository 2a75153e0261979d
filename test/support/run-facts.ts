/** What is known of a run, from YAML as the API server would show it. */
import { parseAllDocuments } from 'yaml';
import { type JsonObject, listOf, objectOf, stringOf, stringsOf } from '../../src/kube/objects.ts';
import { projectCustomRun, projectPipelineRun, projectPod, projectTaskRun } from '../../src/tekton/project.ts';
import type { RunFacts } from '../../src/tekton/types.ts';

/**
 * Gathers PipelineRuns, TaskRuns, CustomRuns and Pods around the first PipelineRun. What every object has anyway may be
 * left out: the uid is `uid-<name>`, the owner is the one that Tekton's labels name, the creation time is
 * 2026-11-01T10:00:00Z.
 */
export function runFacts(yaml: string): RunFacts {
  const objects = parseAllDocuments(yaml).flatMap((document) => {
    // The documents are ours: JSON of any shape, which the projections read.
    const raw = document.toJS() as JsonObject | null;
    return raw === null ? [] : [complete(raw)];
  });
  const ofKind = (kind: string) => objects.filter((raw) => raw.kind === kind);
  const runs = ofKind('PipelineRun').map(projectPipelineRun);
  const taskRuns = ofKind('TaskRun').map(projectTaskRun);
  const customRuns = ofKind('CustomRun').map(projectCustomRun);
  const pods = ofKind('Pod').map(projectPod);
  const gather = (run: (typeof runs)[number]): RunFacts => {
    const own = taskRuns.filter(({ meta }) => meta.owner?.uid === run.meta.uid);
    return {
      run,
      taskRuns: own,
      customRuns: customRuns.filter(({ meta }) => meta.owner?.uid === run.meta.uid),
      nested: runs.filter(({ meta }) => meta.owner?.uid === run.meta.uid).map(gather),
      pods: pods.filter(({ meta }) => own.some((taskRun) => taskRun.meta.uid === meta.owner?.uid)),
    };
  };
  const [run] = runs;
  if (run === undefined) throw new Error('no PipelineRun in this YAML');
  return gather(run);
}

function complete(raw: JsonObject): JsonObject {
  const metadata = objectOf(raw.metadata);
  const labels = stringsOf(metadata.labels);
  const name = stringOf(metadata.name) ?? '';
  const [kind, owner] =
    labels['tekton.dev/taskRun'] === undefined
      ? ['PipelineRun', labels['tekton.dev/pipelineRun']]
      : ['TaskRun', labels['tekton.dev/taskRun']];
  const named = owner === undefined ? [] : [{ kind, name: owner, uid: `uid-${owner}`, controller: true }];
  const given = listOf(metadata.ownerReferences);
  return {
    ...raw,
    metadata: {
      namespace: 'ci',
      uid: `uid-${name}`,
      creationTimestamp: '2026-11-01T10:00:00Z',
      ...metadata,
      ownerReferences: given.length > 0 ? given : named,
    },
  };
}
