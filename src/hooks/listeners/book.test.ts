import assert from 'node:assert/strict';
import { parseAllDocuments } from 'yaml';
import { HandClock } from '../../../test/support/hand-clock.ts';
import type { Involved, Told } from '../../kube/events.ts';
import { type JsonObject, type ObjectRef, objectOf } from '../../kube/objects.ts';
import { type Log, type LogFields, silentLog } from '../../log.ts';
import type { CelEngine } from '../cel/engine.ts';
import type { Hook } from '../hook.ts';
import { createListenerBook, type ListenerBook } from './book.ts';
import {
  type ListenerKind,
  type ListenerObject,
  type ListenerObjectOf,
  listenerKindOf,
  projectListenerObject,
} from './manifests.ts';
import type { ListenerShelf } from './shelf.ts';
import type { ListenerWorld } from './world.ts';

const cel: CelEngine = {
  mistakesIn: async (expressions) => expressions.map((text) => (text === 'bad' ? 'does not parse' : undefined)),
  evaluate: async (expressions) => expressions.map(() => ({ ok: true, value: true })),
  close: async () => {},
};
const nothing = () => assert.fail('nobody was to be asked');
const world: ListenerWorld = {
  cel,
  secret: nothing,
  source: nothing,
  lookOn: nothing,
  create: nothing,
  known: nothing,
};
const policy = { sourceNamespaces: [], runNamespaces: [], taskRuns: false };

/** A shelf that a test fills. */
interface TestShelf extends ListenerShelf {
  /** Puts the objects of a YAML text; those of no namespace into `apps`. */
  put(yaml: string): void;
  remove(kind: ListenerKind, name: string): void;
}

function testShelf(): TestShelf {
  const objects = new Map<string, ListenerObject>();
  const listeners: (() => void)[] = [];
  const told = () => {
    for (const listener of listeners) listener();
  };
  const idOf = (kind: ListenerKind, { namespace, name }: ObjectRef) => `${kind}/${namespace}/${name}`;
  return {
    // The key holds the kind.
    get: <K extends ListenerKind>(kind: K, ref: ObjectRef) =>
      objects.get(idOf(kind, ref)) as ListenerObjectOf[K] | undefined,
    *all<K extends ListenerKind>(kind: K) {
      for (const object of objects.values()) if (object.kind === kind) yield object as ListenerObjectOf[K];
    },
    onChange: (listener) => void listeners.push(listener),
    put(yaml) {
      for (const document of parseAllDocuments(yaml)) {
        const raw = document.toJS() as JsonObject; // they are written here
        const kind = listenerKindOf(raw) ?? assert.fail(String(raw.kind));
        const metadata = {
          namespace: 'apps',
          uid: `uid-${String(objectOf(raw.metadata).name)}`,
          ...objectOf(raw.metadata),
        };
        const object = projectListenerObject(kind, { ...raw, metadata });
        objects.set(idOf(kind, object.meta), object);
      }
      told();
    },
    remove(kind, name) {
      objects.delete(idOf(kind, { namespace: 'apps', name }));
      told();
    },
  };
}

const api = 'apiVersion: triggers.tekton.dev/v1beta1';
const listener = (name: string, { filter = 'true', secret = 'key', namespace = 'apps' } = {}) => `
${api}
kind: EventListener
metadata: {name: ${name}, namespace: ${namespace}, annotations: {rungate.dev/hook-secret: ${secret}}}
spec:
  triggers:
  - name: one
    interceptors: [{ref: {name: cel}, params: [{name: filter, value: "${filter}"}]}]
    template: {ref: run}
`;
const template = `
${api}
kind: TriggerTemplate
metadata: {name: run}
spec:
  resourcetemplates: [{apiVersion: tekton.dev/v1, kind: PipelineRun, spec: {pipelineRef: {name: p}}}]
`;

describe('the hooks of EventListeners', () => {
  let clock: HandClock;
  let cluster: TestShelf;
  let files: TestShelf;
  let isKnown: boolean;
  let isThere: boolean;
  let problems: string[];
  let told: (Told & { readonly about: string })[];
  let logged: string[];
  let book: ListenerBook;

  beforeEach(async () => {
    clock = new HandClock();
    [cluster, files, told, logged] = [testShelf(), testShelf(), [], []];
    [isKnown, isThere, problems] = [true, true, []];
    const log: Log = {
      ...silentLog,
      warn: (message, { namespace, name, problem }: LogFields = {}) =>
        void logged.push([message, namespace, name, problem].filter((each) => each !== undefined).join(' | ')),
    };
    const events = { tell: (about: Involved, what: Told) => void told.push({ ...what, about: about.name }) };
    const caches = { ...cluster, isKnown: () => isKnown, isServed: () => isThere, problems: () => problems };
    book = createListenerBook({ served: ['apps', 'more'], files, caches, world, policy, cel, events, clock, log });
    await book.start();
  });
  afterEach(async () => {
    await book.stop(AbortSignal.abort());
    await clock.settle();
    assert.equal(clock.sleeping, 0);
  });

  const find = async (name: string, namespace = 'apps') => await book.find({ namespace, name });
  const found = async (name: string): Promise<Hook> => {
    const hook = await find(name);
    if (hook === undefined || hook === 'waiting') assert.fail(String(hook));
    return hook;
  };

  it('are found by the name of the listener', async () => {
    cluster.put(template);
    cluster.put(listener('build'));
    const { kind, ref, uid, secret, wantsFluxEvent } = await found('build');
    assert.deepEqual(
      { kind, ref, uid, secret, wantsFluxEvent },
      {
        ...{ kind: 'EventListener', ref: { namespace: 'apps', name: 'build' }, uid: 'uid-build' },
        ...{ secret: 'key', wantsFluxEvent: false },
      },
    );
    assert.equal(await find('other'), undefined);
    assert.equal(await find('build', 'more'), undefined);
  });

  it('are not those of namespaces that are not served', async () => {
    cluster.put(listener('build', { namespace: 'elsewhere' }));
    assert.equal(await find('build', 'elsewhere'), undefined);
  });

  it('are waited for until everything that they may name is known', async () => {
    isKnown = false;
    cluster.put(template);
    cluster.put(listener('build'));
    assert.deepEqual(await Promise.all([find('build'), find('other'), find('build', 'elsewhere')]), [
      'waiting',
      'waiting',
      undefined,
    ]);
    isKnown = true;
    assert.equal((await found('build')).uid, 'uid-build');
  });

  it('are resolved anew when something has changed, and not for each delivery', async () => {
    cluster.put(template);
    cluster.put(listener('build'));
    const first = await found('build');
    assert.equal(await found('build'), first);
    cluster.put(listener('build', { secret: 'other-key' }));
    assert.equal((await found('build')).secret, 'other-key');
    const second = await found('build');
    cluster.remove('TriggerTemplate', 'run');
    const third = found('build');
    await clock.turn(2_000);
    assert.notEqual(await third, second);
    cluster.remove('EventListener', 'build');
    assert.equal(await find('build'), undefined);
  });

  it('wait a moment for what a listener names and is not there yet, and not for ever', async () => {
    cluster.put(listener('build'));
    const early = found('build');
    await clock.turn(1_000);
    cluster.put(template);
    await clock.turn(1_000);
    assert.deepEqual(told, []);
    const hook = await early;
    assert.equal(await find('build'), hook);
    cluster.remove('TriggerTemplate', 'run');
    const broken = found('build');
    await clock.turn(2_000);
    assert.notEqual(await broken, hook);
    assert.equal(await find('build'), await broken);
  });

  it('may be in files, together with what is in the cluster', async () => {
    files.put(listener('build'));
    cluster.put(template);
    assert.equal((await found('build')).secret, 'key');
  });

  it('of a file take the place of those in the cluster, which is logged once', async () => {
    cluster.put(listener('build', { secret: 'of-the-cluster' }));
    files.put(template + listener('build', { secret: 'of-the-file' }).replace('\n', '---\n'));
    assert.equal((await found('build')).secret, 'of-the-file');
    await clock.turn(2_000);
    cluster.put(listener('another'));
    await clock.turn(2_000);
    assert.deepEqual(
      logged.filter((line) => line.includes('takes the place')),
      ['an object of HOOKS_DIR takes the place of one in the cluster | apps | build'],
    );
  });

  it('whose triggers have mistakes tell their owner although nothing is delivered', async () => {
    cluster.put(template);
    cluster.put(listener('build', { filter: 'bad' }));
    await clock.turn(2_000);
    const [warning] = told;
    assert.deepEqual(
      [told.length, warning?.about, warning?.type, warning?.reason],
      [1, 'build', 'Warning', 'InvalidTrigger'],
    );
    assert.match(warning?.message ?? '', /^trigger one: .*does not parse/);
    assert.equal(warning?.once, warning?.message);
    assert.equal(logged.length, 1);
    cluster.put(listener('other'));
    await clock.turn(2_000);
    assert.equal(logged.length, 1, 'the log has it once');
  });

  it('are not told of what comes in the same breath', async () => {
    cluster.put(listener('build'));
    await clock.turn(1_000);
    cluster.put(template);
    await clock.turn(10_000);
    assert.deepEqual(told, []);
  });

  it('are not told of what is not known yet, and then are', async () => {
    isKnown = false;
    cluster.put(listener('build'));
    await clock.turn(10_000);
    assert.equal(told.length, 0);
    isKnown = true;
    await clock.turn(2_000);
    assert.match(told[0]?.message ?? '', /there is no TriggerTemplate run/);
  });

  it('event 26: that there are none in the cluster is logged once', async () => {
    isThere = false;
    await clock.turn(2_000);
    files.put(template);
    await clock.turn(10_000);
    assert.deepEqual(logged, ['this cluster has no EventListeners: they are looked for each minute']);
  });

  it('that may not be read are logged once, with what to do', async () => {
    isKnown = false;
    await clock.turn(2_000);
    problems = ['eventlisteners: Kubernetes refused the request (403)'];
    isKnown = true;
    await clock.turn(10_000);
    assert.equal(logged.length, 1);
    assert.match(logged[0] ?? '', /apply k8s\/components\/hooks.*refused the request/);
  });

  it('that may be read, but for ClusterTriggerBindings, are no reason for a warning', async () => {
    problems = ['clustertriggerbindings: Kubernetes refused the request (403)'];
    await clock.turn(10_000);
    assert.deepEqual(logged, []);
  });
});
