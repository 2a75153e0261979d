import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { eventually } from '../../../test/support/eventually.ts';
import { HandClock } from '../../../test/support/hand-clock.ts';
import { faultOf } from '../../fault.ts';
import type { Part } from '../../lifecycle.ts';
import { type Log, type LogFields, silentLog } from '../../log.ts';
import { createListenerFiles, readManifests } from './files.ts';
import type { ListenerShelf } from './shelf.ts';

const ground = { defaultNamespace: 'default', served: ['default', 'apps'] };
const api = 'apiVersion: triggers.tekton.dev/v1beta1';
const listener = (name: string, more = '') => `${api}\nkind: EventListener\nmetadata: {name: ${name}${more}}\n`;

/** What one file comes to. */
const read = (text: string, name = 'a.yaml') => readManifests([{ name, text }], ground);

describe('manifests of listeners in files', () => {
  it('a file may have many documents, of all kinds and both versions', () => {
    const came = read(`
# the first document is empty
---
${listener('one')}
---
apiVersion: triggers.tekton.dev/v1alpha1
kind: TriggerTemplate
metadata: {name: two, namespace: apps}
---
${api}
kind: ClusterTriggerBinding
metadata: {name: three, namespace: ignored}
`);
    assert(came.ok, JSON.stringify(came));
    assert.deepEqual(
      came.objects.map(({ kind, meta }) => [kind, meta.namespace, meta.name]),
      [
        ['EventListener', 'default', 'one'],
        ['TriggerTemplate', 'apps', 'two'],
        ['ClusterTriggerBinding', '', 'three'],
      ],
    );
  });

  it('an object has the same uid for every replica, and another one than every other', () => {
    const uids = (text: string) => {
      const came = read(text);
      assert(came.ok);
      return came.objects.map(({ meta }) => meta.uid);
    };
    const text = [listener('one'), listener('two'), listener('one', ', namespace: apps')].join('---\n');
    const first = uids(text);
    assert.deepEqual(first, uids(text));
    assert.equal(new Set(first).size, 3);
    for (const uid of first) assert.match(uid, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it('a list is what is in it', () => {
    const came = read(`
apiVersion: v1
kind: List
items:
- {apiVersion: triggers.tekton.dev/v1beta1, kind: EventListener, metadata: {name: one}}
- {apiVersion: v1, kind: Secret, metadata: {name: two}}
`);
    assert(came.ok);
    assert.equal(came.objects.length, 1);
    assert.deepEqual(came.leftOut, ['a.yaml document 1, item 2 is no object of triggers.tekton.dev']);
  });

  const mistakes: readonly { name: string; text: string; want: RegExp }[] = [
    {
      name: 'what is no YAML',
      text: `${listener('one')}---\nkind: [\n`,
      want: /^a\.yaml document 2, line \d+: is not YAML that rungate reads: /,
    },
    { name: 'what is no object', text: 'just text', want: /^a\.yaml document 1 is no object$/ },
    {
      name: 'a version that is not read',
      text: listener('one').replace('v1beta1', 'v1'),
      want: /^a\.yaml document 1 is of a kind or version that is not read; write one of v1beta1 or v1alpha1$/,
    },
    {
      name: 'no name',
      text: listener('""'),
      want: /^a\.yaml document 1 has no metadata\.name that an object can have$/,
    },
    { name: 'a name that is a path', text: listener('../b'), want: /has no metadata\.name/ },
    {
      name: 'a namespace that is not served',
      text: listener('one', ', namespace: kube-system'),
      want: /^a\.yaml document 1 is in the namespace kube-system, which is not served; add it to NAMESPACES$/,
    },
    { name: 'a namespace that is none', text: listener('one', ', namespace: A'), want: /has no metadata\.namespace/ },
    {
      name: 'an object that is there twice',
      text: `${listener('one')}---\n${listener('one', ', namespace: default')}`,
      want: /^a\.yaml document 2 is the EventListener that a\.yaml document 1 is; leave out the one or the other$/,
    },
    {
      name: 'aliases of aliases',
      text: `a: &a [x, x, x, x, x, x, x, x, x]\n${[...'bcdefgh']
        .map((name, place) => `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[place]}`).join(', ')}]`)
        .join('\n')}\n`,
      want: /^a\.yaml document 1 cannot be read: /,
    },
  ];
  for (const { name, text, want } of mistakes) {
    it(`tells the file and the document of ${name}`, () => {
      const came = read(text);
      assert(!came.ok);
      assert.match(came.mistakes[0] ?? '', want);
    });
  }

  it('nothing that a file may hold throws', () => {
    const piece = fc.constantFrom(
      'kind: EventListener\n',
      `${api}\n`,
      'metadata: {name: a}\n',
      '---\n',
      '...\n',
      '- ',
      '{',
      '&a ',
      '*a',
      ': ',
      '<<: *a\n',
      '\t',
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, fc.string())), (pieces) => {
        assert.equal(typeof read(pieces.join('')).ok, 'boolean');
      }),
    );
  });
});

describe('a folder of manifests', () => {
  let folder: string;
  let clock: HandClock;
  let said: string[];
  let reloads: string[];
  let files: ListenerShelf & Part;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hooks-'));
    clock = new HandClock();
    [said, reloads] = [[], []];
    const note = (message: string, { mistake, note: left }: LogFields = {}) => {
      said.push([message, mistake ?? left].filter((each) => each !== undefined).join(': '));
    };
    const log: Log = { ...silentLog, info: note, error: note };
    const metrics = { reload: (setting: string, outcome: string) => void reloads.push(`${setting} ${outcome}`) };
    files = createListenerFiles({ folder, ...ground, clock, log, metrics });
  });
  afterEach(async () => {
    await files.stop(AbortSignal.abort());
    await rm(folder, { recursive: true });
  });

  const write = (name: string, text: string) => writeFile(join(folder, name), text);
  const names = () => [...files.all('EventListener')].map(({ meta }) => meta.name).sort();
  /** Looks until the folder is as it is wanted: disks are as slow as they like. */
  const turned = (probe: () => void) =>
    eventually(async () => {
      await clock.turn(2_000);
      probe();
    });

  it('is what its YAML files have', async () => {
    await write('b.yaml', listener('b'));
    await write('a.yml', listener('a'));
    await write('README.md', 'no YAML');
    await write('.hidden.yaml', listener('hidden'));
    await files.start();
    assert.deepEqual(names(), ['a', 'b']);
    assert.equal(files.get('EventListener', { namespace: 'default', name: 'a' })?.meta.name, 'a');
    assert.equal(files.get('Trigger', { namespace: 'default', name: 'a' }), undefined);
  });

  it('is read again when a file comes, changes or goes, and tells that', async () => {
    await write('a.yaml', listener('a'));
    await files.start();
    let changes = 0;
    files.onChange(() => {
      changes += 1;
    });
    await write('b.yaml', listener('b'));
    await turned(() => assert.deepEqual(names(), ['a', 'b']));
    await write('b.yaml', `${listener('b')}---\n${listener('c')}`);
    await turned(() => assert.deepEqual(names(), ['a', 'b', 'c']));
    await unlink(join(folder, 'a.yaml'));
    await turned(() => assert.deepEqual(names(), ['b', 'c']));
    assert.equal(changes, 3);
    assert.deepEqual(reloads, Array(4).fill('HOOKS_DIR taken'));
  });

  it('is read as a ConfigMap that is mounted changes: all at once', async () => {
    const version = async (name: string, text: string) => {
      await mkdir(join(folder, name));
      await write(join(name, 'a.yaml'), text);
      await symlink(name, join(folder, '..next'));
      await rename(join(folder, '..next'), join(folder, '..data'));
    };
    await version('..one', listener('a'));
    await symlink('..data/a.yaml', join(folder, 'a.yaml'));
    await files.start();
    assert.deepEqual(names(), ['a']);
    await version('..two', listener('b'));
    await turned(() => assert.deepEqual(names(), ['b']));
  });

  it('with a mistake is not taken, as a whole: what was read before stays', async () => {
    await write('a.yaml', listener('a'));
    await files.start();
    await write('a.yaml', listener('changed'));
    await write('b.yaml', 'kind: [');
    await turned(() => assert(said.some((line) => line.startsWith('a changed folder was not taken'))));
    assert.deepEqual(names(), ['a']);
    assert(said.some((line) => line.includes('b.yaml document 1, line 1')));
    await unlink(join(folder, 'b.yaml'));
    await turned(() => assert.deepEqual(names(), ['changed']));
    assert.deepEqual(reloads, ['HOOKS_DIR taken', 'HOOKS_DIR refused', 'HOOKS_DIR taken']);
  });

  it('that goes away leaves what was read', async () => {
    await write('a.yaml', listener('a'));
    await files.start();
    await rename(folder, `${folder}-away`);
    await turned(() => assert.deepEqual(reloads, ['HOOKS_DIR taken', 'HOOKS_DIR refused']));
    assert.deepEqual(names(), ['a']);
    await rename(`${folder}-away`, folder);
    await turned(() => assert.equal(reloads.length, 3));
  });

  it('tells what it leaves out', async () => {
    await write('a.yaml', 'apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n');
    await files.start();
    assert.deepEqual(said, [
      'a document of HOOKS_DIR is left out: a.yaml document 1 is no object of triggers.tekton.dev',
    ]);
  });

  const wrong: readonly { name: string; make: () => Promise<unknown>; want: RegExp }[] = [
    {
      name: 'a mistake in each of two files',
      make: async () => {
        await write('a.yaml', listener('""'));
        await write('b.yaml', listener('""'));
      },
      want: /^a\.yaml document 1 .*\nb\.yaml document 1 /,
    },
    {
      name: 'a folder that is not there',
      make: () => rename(folder, `${folder}-away`),
      want: /^HOOKS_DIR cannot be read: ENOENT/,
    },
    {
      name: 'a folder with the name of a file',
      make: () => mkdir(join(folder, 'a.yaml')),
      want: /^HOOKS_DIR has a\.yaml, which is no file$/,
    },
    {
      name: 'a file that is too large',
      make: () => write('a.yaml', '#'.repeat(1024 * 1024 + 1)),
      want: /^HOOKS_DIR has a\.yaml of more than 1048576 bytes$/,
    },
    {
      name: 'too many files',
      make: () => Promise.all(Array.from({ length: 201 }, (_, place) => write(`${place}.yaml`, ''))),
      want: /^HOOKS_DIR has 201 files, and may have 200$/,
    },
  ];
  for (const { name, make, want } of wrong) {
    it(`does not start with ${name}`, async () => {
      await make();
      await assert.rejects(files.start(), (error) => {
        const { code, message } = faultOf(error);
        assert.equal(code, 'bad-request');
        assert.match(message, want);
        return true;
      });
      await rename(`${folder}-away`, folder).catch(() => {});
    });
  }
});
