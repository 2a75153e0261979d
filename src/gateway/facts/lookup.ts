/** What is not in a store: one object or one list of Tekton's, asked of the API server and projected. */
import { Fault } from '../../fault.ts';
import type { KubeReader } from '../../kube/client.ts';
import type { Discovery, Wanted } from '../../kube/discovery.ts';
import { type JsonObject, type ObjectRef, objectOf } from '../../kube/objects.ts';
import { listPages } from '../../kube/pages.ts';
import { projectPipelineRun, projectPod, projectTaskRun } from '../../tekton/project.ts';
import { PIPELINE_RUNS, TASK_RUNS } from '../../tekton/resources.ts';
import type { PipelineRun, Pod, TaskRun } from '../../tekton/types.ts';

/** Asking without a store. Each call is one request, or one for each page. */
export interface Lookup {
  /** Fault `not-found`: 'pipeline not found'; others as `KubeReader.get`. */
  run(ref: ObjectRef): Promise<PipelineRun>;
  /** Fault `not-found`: 'taskrun not found'; others as `KubeReader.get`. */
  taskRun(ref: ObjectRef): Promise<TaskRun>;
  /** Undefined when there is none, or we may not see it. Faults `unavailable`, `timeout`: there may be one. */
  pod(ref: ObjectRef): Promise<Pod | undefined>;
  /** All PipelineRuns of a namespace ('' for every one), page by page. Faults: as `listPages`. */
  runs(namespace: string, signal: AbortSignal): AsyncIterable<readonly PipelineRun[]>;
}

/** Looks up through `reader`, in the versions that `versions` says are served. */
export function createLookup({ reader, versions }: { reader: KubeReader; versions: Discovery }): Lookup {
  const collectionOf = async (wanted: Wanted, namespace: string): Promise<string> => {
    const path = await versions.pathOf(wanted, namespace);
    if (path !== undefined) return path;
    throw new Fault('refused', `this cluster serves no ${wanted.resource} that can be read here`);
  };
  const one = async (wanted: Wanted, { namespace, name }: ObjectRef, absent: string): Promise<JsonObject> => {
    const collection = await collectionOf(wanted, namespace);
    try {
      return await reader.get(`${collection}/${encodeURIComponent(name)}`);
    } catch (error) {
      if (error instanceof Fault && error.code === 'not-found') throw new Fault('not-found', absent, { cause: error });
      throw error;
    }
  };
  return {
    run: async (ref) => projectPipelineRun(await one(PIPELINE_RUNS, ref, 'pipeline not found')),
    taskRun: async (ref) => projectTaskRun(await one(TASK_RUNS, ref, 'taskrun not found')),
    async pod({ namespace, name }) {
      try {
        return projectPod(await reader.get(`/api/v1/namespaces/${namespace}/pods/${encodeURIComponent(name)}`));
      } catch (error) {
        if (error instanceof Fault && (error.code === 'unavailable' || error.code === 'timeout')) throw error;
        // Asked only about pods that are believed to be gone: whatever else keeps us from seeing it, it cannot be read.
        return undefined;
      }
    },
    async *runs(namespace, signal) {
      const collection = await collectionOf(PIPELINE_RUNS, namespace);
      for await (const { items } of listPages(reader, collection, { signal })) {
        yield items.map((item) => projectPipelineRun(objectOf(item)));
      }
    },
  };
}
