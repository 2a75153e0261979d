/**
 * Where the commands of a page are typed: namespaces of their own, a copy of what pages speak of, and a shell that finds the
 * real programs.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { eventually } from '../support/eventually.ts';
import { checkout, freePort } from '../support/gateway.ts';
import { clusterSuite, type Needs } from '../support/needs.ts';
import { runProgram } from '../support/program.ts';
import { type Block, blocksOf, type Desk, sitDown, type Typist } from '../support/typed-docs.ts';
import { startWorld, testLabel } from '../support/world.ts';
import { connect } from './cluster.ts';
import { raiseImage } from './image.ts';
import { noPodEnding, restrictedNamespace } from './installation.ts';
import { raiseHelm } from './parts.ts';
import { showProgress } from './progress.ts';

/** A site that is open. */
export interface Site {
  readonly desk: Desk;
  /** What pages call `tekton-pipelines`; it enforces the Pod Security level `restricted`. */
  readonly home: string;
  /** What they call `team-a`. */
  readonly team: string;
  /** What they call `pipeline-trigger-operator-system`; it enforces `restricted` as well. */
  readonly operator: string;
  /** Runs kubectl as administrator, with `input` on its standard input; throws where it fails, or prints what is not as expected. */
  kubectl(args: readonly string[], options?: { readonly input?: string; readonly expect?: RegExp }): Promise<void>;
  /** Waits until no pod of rungate or of the operator is about to end: who asks for any pod of a Service may be led to one of those. */
  settled(): Promise<void>;
  /** Deletes what the page has left, and does not wait for it. */
  close(): Promise<void>;
}

/** Folders of the checkout that pages speak of. */
const spokenOf = ['k8s', 'charts', 'examples', 'monitoring'];

/**
 * A suite that types pages, one after another at one site, each from its beginning to its end. `prepare` makes what their reader
 * has before the first line. What comes behind a block that failed is not typed.
 */
export function typing(title: string, { pages = [title], prepare, afterwards, ...needs }: Needs & Typing = {}): void {
  clusterSuite(title, { root: true, ...needs }, function () {
    this.timeout(900_000);
    const texts = pages.map((page) => blocksOf(page, readFileSync(checkout + page, 'utf8')));
    let site: Site;
    let typist: Typist;
    let isBroken = false;

    before(async function () {
      this.timeout(25 * 60_000); // whoever comes first builds the image, and helm
      site = await openSite(texts.flat());
      await prepare?.(site);
      typist = await sitDown(site.desk);
    });
    after(async () => {
      await typist?.leave();
      await site?.close();
    });

    for (const block of texts.flat().filter(({ manner }) => manner.kind !== 'not typed')) {
      const page = pages.length > 1 ? `${basename(block.page)}, ` : '';
      it(`${page}line ${block.line}: ${block.text.split('\n')[0]}`, async function () {
        // A command before it has failed, and that failure counts: in what it left this one would say nothing.
        if (isBroken) this.skip();
        isBroken = true;
        await site.settled();
        await typist.type(block);
        isBroken = false;
      });
    }
    if (afterwards !== undefined) {
      it('has led to what it says', async function () {
        if (isBroken) this.skip(); // a command of the page has failed, and that failure counts
        await afterwards(site);
      });
    }
  });
}

/** What a suite of pages may be told. */
export interface Typing {
  /** The page of its title unless told. */
  readonly pages?: readonly string[];
  readonly prepare?: (site: Site) => Promise<void>;
  /** Looks at what the pages have led to. */
  readonly afterwards?: (site: Site) => Promise<void>;
}

/** What docs/install.md comes to, in short: gateway and triggers for two namespaces, and a caller `ci`. */
export async function installed({ desk, home, team, kubectl }: Site): Promise<void> {
  const literals = ['--from-literal=AUTH_USERNAME=ci', '--from-literal=AUTH_PASSWORD=a-password-for-docs'];
  await kubectl(['-n', home, 'create', 'secret', 'generic', 'rungate-auth', ...literals]);
  const key = `--from-literal=key=${'k'.repeat(64)}`;
  await kubectl(['-n', home, 'create', 'secret', 'generic', 'rungate-cursor-key', key]);
  await kubectl(['apply', '--server-side', '-k', `${desk.folder}/k8s/crds`]);
  await kubectl(['apply', '-k', `${desk.folder}/k8s/overlays/namespaced`]);
  for (const part of ['base', 'components/triggers']) {
    for (const file of ['role', 'rolebinding']) {
      const text = await readFile(`${desk.folder}/k8s/${part}/${file}.yaml`, 'utf8');
      await kubectl(['apply', '-f', '-'], { input: text.replace(/^ {2}namespace: .*/m, `  namespace: ${team}`) });
    }
  }
  await kubectl(['-n', home, 'set', 'env', 'deployment/rungate', `NAMESPACES=${team}`]);
  await kubectl(['-n', home, 'rollout', 'status', 'deployment/rungate', '--timeout=9m']);
}

/** Opens a site, with the image of this checkout on the node; helm is built where a block needs it. */
export async function openSite(blocks: readonly Block[]): Promise<Site> {
  const { kubectl, kubeconfig, own } = await connect();
  assert(own, 'the image can be handed to a cluster of our own alone');
  await raiseImage();
  const needsHelm = blocks.some(({ text, manner }) => manner.kind === 'typed' && /^helm /m.test(text));
  const helm = needsHelm ? [dirname(await raiseHelm(own.settings.cache, showProgress(process.stderr)))] : [];

  const world = await startWorld({ gateway: false });
  const { admin, folder } = world;
  const [home, team, operator] = ['home', 'team', 'operator'].map((name) => `${world.namespace}-${name}`) as [
    string,
    string,
    string,
  ];
  const roles = `${world.namespace}-manager-role`;
  const port = await freePort();
  const names: readonly (readonly [RegExp, string])[] = [
    [/tekton-pipelines/g, home],
    [/team-a\b/g, team],
    [/pipeline-trigger-operator-system/g, operator],
    [/pipeline-trigger-operator-manager-role/g, roles],
    [/(port-forward \S+) 8080:/g, `$1 ${port}:`],
  ];
  const put = (text: string) => names.reduce((so, [what, instead]) => so.replace(what, instead), text);

  for (const each of spokenOf) await copyPut(join(checkout, each), join(folder, each), put);
  await keepToItself(join(folder, 'k8s/overlays/pipeline-trigger-operator/deployment.yaml'), team);
  await writeFile(join(folder, '.curlrc'), `connect-to = "localhost:8080:127.0.0.1:${port}"\n`);

  await Promise.all([restrictedNamespace(world, home), restrictedNamespace(world, operator)]);
  const { metadata } = await admin.get(`/api/v1/namespaces/${home}`);
  const labels = { [testLabel]: metadata.labels?.[testLabel] ?? '' };
  await admin.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: team, labels } });
  await eventually(() => admin.get(`/api/v1/namespaces/${team}/serviceaccounts/default`), { withinMs: 90_000 });

  const path = [dirname(kubectl.file), ...helm, process.env.PATH].join(':');
  return {
    desk: { folder, put, env: { HOME: folder, KUBECONFIG: kubeconfig, PATH: path } },
    home,
    team,
    operator,
    kubectl: async (args, { input = '', expect = /(?:)/ } = {}) => {
      const env = { ...process.env, KUBECONFIG: kubeconfig };
      const { code, stdout, stderr } = await runProgram(kubectl.file, args, { input, env, withinMs: 600_000 });
      assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}`);
      assert.match(stdout, expect);
    },
    settled: async () => {
      for (const place of [home, operator]) {
        await noPodEnding(admin, `/api/v1/namespaces/${place}/pods`);
      }
    },
    close: async () => {
      const rbac = '/apis/rbac.authorization.k8s.io/v1';
      await admin.remove(`${rbac}/clusterroles/${roles}`);
      await admin.remove(`${rbac}/clusterrolebindings/${roles}binding`);
      for (const name of [home, team, operator]) await admin.remove(`/api/v1/namespaces/${name}`);
      await world.end();
    },
  };
}

/** Copies a folder, its texts said otherwise. */
async function copyPut(from: string, to: string, put: Desk['put']): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    const isText = /\.(?:ya?ml|tpl|json|txt|sh|md)$/.test(entry.name);
    if (entry.isDirectory()) await copyPut(source, target, put);
    else if (isText) await writeFile(target, put(await readFile(source, 'utf8')));
    else await cp(source, target);
  }
}

/** The overlay that looks after every namespace looks after one: the cluster has triggers of others, who are being tested too. */
async function keepToItself(file: string, namespace: string): Promise<void> {
  const text = await readFile(file, 'utf8');
  const kept = text.replace(/^( +)env:\n/m, `$&$1  - name: NAMESPACES\n$1    value: ${namespace}\n`);
  assert.notEqual(kept, text, `${file} has no env`);
  await writeFile(file, kept);
}
