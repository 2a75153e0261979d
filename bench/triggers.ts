/** What rows about triggers are made of: sources, triggers and runs in a namespace, and bare watches of them. */
import type { IncomingMessage } from 'node:http';
import type { Admin, Manifest } from '../test/support/admin.ts';

const collections = {
  gitrepositories: 'source.toolkit.fluxcd.io/v1',
  pipelinetriggers: 'pipeline.jquad.rocks/v1alpha1',
  pipelineruns: 'tekton.dev/v1',
} as const;

/** The path of a collection. */
export function collectionOf(plural: keyof typeof collections, namespace: string): string {
  return `/apis/${collections[plural]}/namespaces/${namespace}/${plural}`;
}

/** A frame of a watch, as far as rows look at it. */
export interface Changed {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly name: string;
  /** Of a source; '' without one. */
  readonly revision: string;
  /** Of a run: the trigger that its label names; '' without one. */
  readonly trigger: string;
}

/** Reads the frames of a watch as they come. */
export function changesIn(watch: IncomingMessage, see: (changed: Changed) => void): void {
  let rest = '';
  watch.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const { type, object } = JSON.parse(line) as { readonly type: Changed['type']; readonly object: Watched };
      const { metadata, status } = object;
      const trigger = metadata.labels?.['pipeline.jquad.rocks/pipelinetrigger'] ?? '';
      see({ type, name: metadata.name, revision: status?.artifact?.revision ?? '', trigger });
    }
  });
}

interface Watched {
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly status?: { readonly artifact?: { readonly revision?: string } };
}

/** A run that Tekton lets lie, so that nothing of what is measured competes with pods. */
const pending = {
  status: 'PipelineRunPending',
  pipelineSpec: {
    tasks: [
      { name: 'only', taskSpec: { steps: [{ name: 'say', image: 'docker.io/library/busybox:1', script: 'true' }] } },
    ],
  },
} as const;

/** Such a run, of a trigger. */
export function pendingRun({
  name,
  trigger,
}: {
  readonly name: string;
  readonly trigger: string;
}): Omit<Manifest, 'metadata'> & { readonly metadata: object } {
  return {
    apiVersion: 'tekton.dev/v1',
    kind: 'PipelineRun',
    metadata: { name, labels: { 'pipeline.jquad.rocks/pipelinetrigger': trigger } },
    spec: pending,
  };
}

/** A trigger whose runs are such, on the source of its name. */
export function pendingTrigger(
  name: string,
  namespace: string,
  annotations: Readonly<Record<string, string>> = {},
): Manifest {
  const pipelineRun = { apiVersion: 'tekton.dev/v1', kind: 'PipelineRun', spec: pending };
  return {
    apiVersion: collections.pipelinetriggers,
    kind: 'PipelineTrigger',
    metadata: { name, namespace, annotations },
    spec: { source: { kind: 'GitRepository', name }, pipelineRun },
  };
}

/** Makes a source that nobody fetches. */
export async function makeSource(admin: Admin, namespace: string, name: string): Promise<void> {
  await admin.create({
    apiVersion: collections.gitrepositories,
    kind: 'GitRepository',
    metadata: { name, namespace, labels: { 'sharding.fluxcd.io/key': 'bench' } },
    spec: { url: 'https://git.invalid/app.git', interval: '10m' },
  });
}

/** Lets a source report the revision of a number, as source-controller would. */
export async function report(admin: Admin, namespace: string, name: string, number: number): Promise<void> {
  const commit = number.toString(16).padStart(40, '0');
  await admin.patch(`${collectionOf('gitrepositories', namespace)}/${name}/status`, {
    status: {
      observedGeneration: 1,
      artifact: {
        revision: `main@sha1:${commit}`,
        digest: `sha256:${commit.padStart(64, '0')}`,
        path: `gitrepository/${namespace}/${name}/${commit}.tar.gz`,
        url: 'http://source-controller.invalid/latest.tar.gz',
        lastUpdateTime: '2026-01-01T00:00:00Z',
      },
    },
  });
}
