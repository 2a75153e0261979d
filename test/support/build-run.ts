/** A run with one task of two steps, put into the app by hand, moment by moment. */
import { AppRig } from './app-rig.ts';

/** A run with one task of two steps, as far as its controller has come. */
export function run(verdict = 'status: Unknown, reason: Running, message: working', more = ''): string {
  return `
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata: { name: build, namespace: ci, uid: run-1, resourceVersion: "1${verdict.length}", creationTimestamp: "2026-11-01T10:00:00Z" }
status:
  startTime: "2026-11-01T10:00:00Z"
  conditions: [{ type: Succeeded, ${verdict} }]
${more}`;
}
/** Its TaskRun, as far as that has come. */
export function taskRun(verdict = 'status: Unknown, reason: Running, message: working', more = ''): string {
  return `
apiVersion: tekton.dev/v1
kind: TaskRun
metadata:
  name: build-compile
  namespace: ci
  uid: task-1
  resourceVersion: "2${verdict.length}"
  creationTimestamp: "2026-11-01T10:00:01Z"
  labels: { tekton.dev/pipelineTask: compile, tekton.dev/pipelineRun: build }
  ownerReferences: [{ apiVersion: tekton.dev/v1, kind: PipelineRun, name: build, uid: run-1, controller: true }]
status:
  podName: build-compile-pod
  startTime: "2026-11-01T10:00:01Z"
  conditions: [{ type: Succeeded, ${verdict} }]
${more}`;
}
/** The pod of that, each container in a state. */
export function pod(one = 'running: {}', two = 'running: {}'): string {
  return `
apiVersion: v1
kind: Pod
metadata:
  name: build-compile-pod
  namespace: ci
  uid: pod-1
  resourceVersion: "3${one.length}${two.length}"
  creationTimestamp: "2026-11-01T10:00:02Z"
  labels: { tekton.dev/taskRun: build-compile }
  ownerReferences: [{ apiVersion: tekton.dev/v1, kind: TaskRun, name: build-compile, uid: task-1, controller: true }]
spec: { nodeName: n, containers: [{ name: step-one }, { name: step-two }] }
status:
  phase: Running
  containerStatuses:
    - { name: step-one, restartCount: 0, state: { ${one} } }
    - { name: step-two, restartCount: 0, state: { ${two} } }
`;
}
/** The state of a container that has ended well. */
export const OVER = 'terminated: { exitCode: 0, reason: Completed }';
/** What a condition says of success. */
export const GREEN = 'status: "True", reason: Succeeded, message: all done';
/** And of failure. */
export const RED = 'status: "False", reason: Failed, message: a task failed';

/** Both steps have spoken and ended, everything is told. */
export function finish(rig: AppRig, verdict = GREEN): void {
  for (const step of ['step-one', 'step-two']) rig.file('build-compile-pod', step).end();
  rig.put(pod(OVER, OVER));
  rig.put(taskRun(verdict, '  completionTime: "2026-11-01T10:01:00Z"'));
  rig.put(run(verdict));
}

/** A rig in which the run is under way. */
export async function underWay(options?: ConstructorParameters<typeof AppRig>[0]): Promise<AppRig> {
  const rig = await new AppRig(options).listen();
  rig.put(run());
  rig.put(taskRun());
  rig.put(pod());
  rig.file('build-compile-pod', 'step-one').say('hello');
  rig.file('build-compile-pod', 'step-two');
  return rig;
}
