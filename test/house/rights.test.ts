/** The rights that k8s/ gives: which part can do what, as a reader of the folder would check it. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { checkout } from '../support/gateway.ts';
import { objectsOf, type Right, rightsMarkdown, rightsOf, without } from '../support/rights.ts';

const folders = ['base', ...readdirSync(`${checkout}k8s/components`).map((name) => `components/${name}`)];
const written = ({ verb, resource }: Right) => `${verb} ${resource}`;
const writing = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);

describe('k8s', () => {
  it('has no folder whose kustomization names what is not there', () => {
    const overlays = readdirSync(`${checkout}k8s/overlays`).map((name) => `overlays/${name}`);
    for (const folder of ['crds', ...folders, ...overlays]) {
      const file = `${checkout}k8s/${folder}/kustomization.yaml`;
      const { resources = [], components = [] } = parse(readFileSync(file, 'utf8')) as Record<
        string,
        readonly string[]
      >;
      for (const each of [...resources, ...components])
        assert.ok(existsSync(join(file, '..', each)), `${folder}: ${each}`);
    }
  });

  it('gives every verb by its name, and every binding to the one account', () => {
    for (const folder of folders) {
      for (const right of rightsOf(folder)) assert.doesNotMatch(written(right), /\*/, folder);
      for (const { kind, subjects } of objectsOf(folder)) {
        if (kind !== 'RoleBinding') continue;
        assert.deepEqual(
          subjects,
          [{ kind: 'ServiceAccount', name: 'rungate', namespace: 'tekton-pipelines' }],
          folder,
        );
      }
    }
  });

  it('lets only what acts write, and only credentials and hooks near a Secret', () => {
    const where = (test: (right: Right) => boolean) => folders.filter((folder) => rightsOf(folder).some(test));
    assert.deepEqual(
      where(({ verb }) => writing.has(verb)),
      ['components/credentials', 'components/hooks', 'components/triggers', 'components/triggers-run'],
    );
    assert.deepEqual(
      where(({ resource }) => resource === 'secrets'),
      ['components/credentials', 'components/hooks'],
    );
    assert.deepEqual(
      where(({ resource }) => resource === 'serviceaccounts'),
      ['components/credentials', 'components/hooks-impersonation'],
    );
  });

  it('lets triggers write their status, runs, Events and the Lease, and nothing else', () => {
    assert.deepEqual(
      rightsOf('components/triggers')
        .filter(({ verb }) => writing.has(verb))
        .map(written),
      [
        'patch pipelinetriggers/status.pipeline.jquad.rocks',
        'update pipelinetriggers/finalizers.pipeline.jquad.rocks',
        'create pipelineruns.tekton.dev',
        'delete pipelineruns.tekton.dev',
        'create events',
        'patch events',
        'create leases.coordination.k8s.io',
        'update leases.coordination.k8s.io',
      ],
    );
  });
});

describe('docs/security.md', () => {
  it('has the rights of each folder as they are (UPDATE_DOCS=1 writes them)', () => {
    const page = `${checkout}docs/security.md`;
    const text = readFileSync(page, 'utf8');
    const place = /(<!-- rights: made from k8s\/ -->)[\s\S]*?(<!-- end of rights -->)/;
    assert.match(text, place);
    const wanted = text.replace(
      place,
      (_all, begin: string, end: string) => `${begin}\n\n${rightsMarkdown()}\n\n${end}`,
    );
    if (process.env.UPDATE_DOCS === '1') writeFileSync(page, wanted);
    else assert.equal(text, wanted);
  });
});

describe('the rights of hooks', () => {
  it('let them create runs, ledgers and Events, ring for triggers, and write nothing else', () => {
    assert.deepEqual(
      rightsOf('components/hooks')
        .filter(({ verb }) => writing.has(verb))
        .map(written),
      [
        'patch pipelinetriggers.pipeline.jquad.rocks',
        'create pipelineruns.tekton.dev',
        'create taskruns.tekton.dev',
        'create configmaps',
        'patch configmaps',
        'create events',
        'patch events',
      ],
    );
  });

  it('let them read Secrets by name alone, and act as somebody else only where that is given by itself', () => {
    const secrets = rightsOf('components/hooks').filter(({ resource }) => resource === 'secrets');
    assert.deepEqual(secrets.map(written), ['get secrets']);
    const where = folders.filter((folder) => rightsOf(folder).some(({ verb }) => verb === 'impersonate'));
    assert.deepEqual(where, ['components/hooks-impersonation']);
  });
});

describe('a right that is taken away', () => {
  for (const right of rightsOf('components/triggers')) {
    it(`${written(right)} is the only one that goes`, () => {
      const roles = objectsOf('components/triggers').map((object) => without(object, right));
      const left = roles.flatMap((object) => (object.rules as readonly Rule[] | undefined) ?? []).flatMap(spelt);
      const all = rightsOf('components/triggers').map(written);
      assert.deepEqual(new Set(left), new Set(all.filter((each) => each !== written(right))));
    });
  }
});

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

function spelt({ apiGroups, resources, verbs }: Rule): readonly string[] {
  return apiGroups.flatMap((group) =>
    resources.flatMap((resource) => verbs.map((verb) => `${verb} ${group ? `${resource}.${group}` : resource}`)),
  );
}
