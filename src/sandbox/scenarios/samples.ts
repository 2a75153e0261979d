/**
 * What the demo begins with: a pipeline, a run of it that succeeds, one that fails and one that takes its time, and a trigger
 * that starts one for each commit.
 */
import { parse, parseAllDocuments } from 'yaml';
import type { ApiClient, NewObject } from '../api/client.ts';
import { groupVersionOf, type Resource } from '../object.ts';

/** The namespace of the samples. */
export const SAMPLES_NAMESPACE = 'default';

const tasks = `
apiVersion: tekton.dev/v1
kind: Task
metadata:
  name: fetch
spec:
  description: Puts a small project into its workspace.
  params:
    - name: revision
      default: main
  workspaces:
    - name: source
  results:
    - name: commit
      description: What was fetched.
  steps:
    - name: clone
      image: docker.io/library/busybox:1
      workingDir: $(workspaces.source.path)
      script: |
        echo "fetching $(params.revision)"
        for part in app cart checkout search; do
          mkdir -p "$part"
          echo "print('$part')" > "$part/main.py"
          echo "  $part/main.py"
          sleep 0.2
        done
        printf 4f1c2ab | tee $(results.commit.path)
        echo
---
apiVersion: tekton.dev/v1
kind: Task
metadata:
  name: test
spec:
  description: Runs tests, one of which can be told to fail.
  params:
    - name: count
      default: "12"
    - name: pause
      default: "0.1"
    - name: broken
      description: The number of a test that fails; 0 for none.
      default: "0"
  workspaces:
    - name: source
  steps:
    - name: install
      image: docker.io/library/busybox:1
      workingDir: $(workspaces.source.path)
      script: |
        echo "found $(ls | wc -l | tr -d ' ') parts to test"
    - name: unit
      image: docker.io/library/busybox:1
      workingDir: $(workspaces.source.path)
      script: |
        number=1
        while [ "$number" -le "$(params.count)" ]; do
          sleep "$(params.pause)"
          if [ "$number" = "$(params.broken)" ]; then
            echo "test $number of $(params.count): FAILED: the cart is empty, but the bill is not" >&2
            exit 2
          fi
          echo "test $number of $(params.count): ok"
          number=$((number + 1))
        done
    - name: report
      image: docker.io/library/busybox:1
      script: echo "all tests passed"
---
apiVersion: tekton.dev/v1
kind: Task
metadata:
  name: lint
spec:
  workspaces:
    - name: source
  steps:
    - name: check
      image: docker.io/library/busybox:1
      workingDir: $(workspaces.source.path)
      script: |
        for file in */main.py; do
          echo "$file is clean"
          sleep 0.3
        done
---
apiVersion: tekton.dev/v1
kind: Pipeline
metadata:
  name: build
spec:
  description: Fetches a project, tests and lints it at the same time, and packs it.
  params:
    - name: revision
      default: main
    - name: count
      default: "12"
    - name: pause
      default: "0.1"
    - name: broken
      default: "0"
  workspaces:
    - name: source
  results:
    - name: image
      value: $(tasks.pack.results.image)
  tasks:
    - name: fetch
      taskRef: { name: fetch }
      params:
        - { name: revision, value: $(params.revision) }
      workspaces:
        - { name: source, workspace: source }
    - name: test
      runAfter: [fetch]
      taskRef: { name: test }
      params:
        - { name: count, value: $(params.count) }
        - { name: pause, value: $(params.pause) }
        - { name: broken, value: $(params.broken) }
      workspaces:
        - { name: source, workspace: source }
    - name: lint
      runAfter: [fetch]
      taskRef: { name: lint }
      workspaces:
        - { name: source, workspace: source }
    - name: pack
      runAfter: [test, lint]
      params:
        - { name: commit, value: $(tasks.fetch.results.commit) }
      workspaces:
        - { name: source, workspace: source }
      taskSpec:
        params:
          - name: commit
        workspaces:
          - name: source
        results:
          - name: image
        steps:
          - name: archive
            image: docker.io/library/busybox:1
            workingDir: $(workspaces.source.path)
            script: |
              tar -cf app.tar app cart checkout search
              echo "app.tar: $(wc -c < app.tar | tr -d ' ') bytes"
              printf 'example.test/app:%s' "$(params.commit)" > $(results.image.path)
  finally:
    - name: notify
      params:
        - { name: outcome, value: $(tasks.status) }
      taskSpec:
        params:
          - name: outcome
        steps:
          - name: tell
            image: docker.io/library/busybox:1
            script: echo "the build has ended, $(params.outcome)"
`;

const runs = `
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata:
  name: green-build
spec:
  pipelineRef: { name: build }
  workspaces:
    - name: source
      volumeClaimTemplate:
        spec:
          accessModes: [ReadWriteOnce]
          resources: { requests: { storage: 1Gi } }
---
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata:
  name: red-build
spec:
  pipelineRef: { name: build }
  params:
    - { name: broken, value: "7" }
  workspaces:
    - name: source
      volumeClaimTemplate:
        spec:
          accessModes: [ReadWriteOnce]
          resources: { requests: { storage: 1Gi } }
---
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata:
  name: slow-build
spec:
  pipelineRef: { name: build }
  params:
    - { name: count, value: "120" }
    - { name: pause, value: "1" }
  workspaces:
    - name: source
      volumeClaimTemplate:
        spec:
          accessModes: [ReadWriteOnce]
          resources: { requests: { storage: 1Gi } }
`;

/** On the GitRepository that follows the demo's own repository (repository.ts). */
const trigger = `
apiVersion: pipeline.jquad.rocks/v1alpha1
kind: PipelineTrigger
metadata:
  name: demo
spec:
  source: { kind: GitRepository, name: demo }
  pipelineRun:
    apiVersion: tekton.dev/v1
    kind: PipelineRun
    metadata:
      generateName: demo-
    spec:
      pipelineRef: { name: build }
      params:
        - { name: revision, value: $.commitId }
      workspaces:
        - name: source
          volumeClaimTemplate:
            spec:
              accessModes: [ReadWriteOnce]
              resources: { requests: { storage: 1Gi } }
`;

const plurals: Readonly<Record<string, string>> = {
  Task: 'tasks',
  Pipeline: 'pipelines',
  PipelineRun: 'pipelineruns',
  GitRepository: 'gitrepositories',
  PipelineTrigger: 'pipelinetriggers',
};

/** The trigger of the samples; the kind has to be served (definitions.ts). */
export function sampleTrigger(): NewObject {
  return parse(trigger) as NewObject; // the text above is one
}

/** The objects of the samples, in the order in which they are created. */
export function sampleObjects(): readonly NewObject[] {
  // The texts are those above: objects of Tekton, a document each.
  return parseAllDocuments(`${tasks}\n---\n${runs}`).map((document) => document.toJS() as NewObject);
}

/** Creates those of `objects` that are not there yet: a demo that kept its state has them already. */
export function applySamples(client: ApiClient, objects: readonly NewObject[]): void {
  for (const object of objects) {
    const resource: Resource = { ...groupVersionOf(object.apiVersion), plural: plurals[object.kind] ?? '' };
    const name = object.metadata.name ?? '';
    if (client.get(resource, SAMPLES_NAMESPACE, name) === undefined) {
      client.create(resource, { ...object, metadata: { ...object.metadata, namespace: SAMPLES_NAMESPACE } });
    }
  }
}
