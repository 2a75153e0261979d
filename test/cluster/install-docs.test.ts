/**
 * The commands of docs/install.md, docs/upgrade.md and docs/operations.md, typed one after another by a real shell on the real
 * cluster: word for word, but that namespaces have names of their own, and port 8080 is a free one.
 */
import { installed, type Site, typing } from './docs-site.ts';

typing('docs/install.md');
typing('docs/upgrade.md', { prepare: installed });
typing('docs/operations.md', {
  flux: true,
  prepare: async (site) => {
    await installed(site);
    await withTrigger(site);
  },
  afterwards: async (site) => {
    const { team, home, kubectl } = site;
    await kubectl(['-n', team, 'patch', 'pipelinetrigger', 'app', '--type=merge', '-p', '{"spec":{"suspend":false}}']);
    await kubectl(['-n', home, 'scale', 'deployment', 'rungate', '--replicas=1']);
    await report(site, '2');
    // The trigger was deleted and restored: had it forgotten its first run, there would be three.
    await kubectl(['-n', team, 'get', 'pipelineruns', '-o', 'name'], { expect: /^(?:pipelinerun\S+\n){2}$/ });
  },
});

/** A trigger that has had its run. */
async function withTrigger(site: Site): Promise<void> {
  await site.kubectl(['-n', site.team, 'apply', '-f', '-'], { input: app });
  await report(site, '1');
}

/** Lets the source report a commit, and waits until the run for it has succeeded. */
async function report({ team, kubectl }: Site, digit: string): Promise<void> {
  const revision = `main@sha1:${digit.repeat(40)}`;
  const lastUpdateTime = '2026-11-01T10:00:00Z';
  const artifact = {
    revision,
    digest: `sha256:${digit.repeat(64)}`,
    path: 'app.tar.gz',
    url: 'http://source.invalid/',
    lastUpdateTime,
  };
  const status = JSON.stringify({ status: { observedGeneration: 1, artifact } });
  const source = ['gitrepositories.source.toolkit.fluxcd.io', 'app'];
  await kubectl(['-n', team, 'patch', ...source, '--subresource=status', '--type=merge', '-p', status]);
  for (const so of [`{.status.latestEvent}=${revision}`, '{.status.outcome.status}=True']) {
    const trigger = 'pipelinetriggers.pipeline.jquad.rocks/app';
    await kubectl(['-n', team, 'wait', trigger, '--timeout=9m', `--for=jsonpath=${so}`]);
  }
}

/** The label keeps Flux's own controller from looking for the repository; the Pipeline ends without a pod. */
const app = `
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: { name: app, labels: { sharding.fluxcd.io/key: docs } }
spec: { url: 'https://git.invalid/app.git', interval: 10m }
---
apiVersion: tekton.dev/v1
kind: Pipeline
metadata: { name: build }
spec:
  tasks:
    - name: only
      when: [{ input: 'no', operator: in, values: ['yes'] }]
      taskSpec: { steps: [{ name: step, image: docker.io/library/busybox:1, script: 'true' }] }
---
apiVersion: pipeline.jquad.rocks/v1alpha1
kind: PipelineTrigger
metadata: { name: app }
spec:
  source: { kind: GitRepository, name: app }
  pipeline: { name: build }
`;
