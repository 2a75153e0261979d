import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { HandClock } from '../../../test/support/hand-clock.ts';
import { Fault } from '../../fault.ts';
import type { KubeReader } from '../../kube/client.ts';
import type { Leadership } from '../../kube/lease.ts';
import { type JsonObject, objectOf, stringOf } from '../../kube/objects.ts';
import type { KubeWriter } from '../../kube/writer.ts';
import { silentLog } from '../../log.ts';
import { silentMetrics } from '../../metrics.ts';
import { createCredentials } from './controller.ts';

const GROUP = '/apis/credentials.jquad.rocks';
const COLLECTION = `${GROUP}/v1alpha1/managedcredentials`;

/** An API server with ManagedCredentials, each with its token, and the part in front of it. It notes every read of what they name. */
class Rig {
  readonly clock = new HandClock();
  readonly reads: { readonly path: string; readonly atMs: number }[] = [];
  /** Statuses that were written. */
  readonly statuses: string[] = [];
  readonly #startedAt = this.clock.now();
  readonly #credentials = new Map<string, JsonObject>();
  readonly #others = new Map<string, JsonObject>();
  #watch = new PassThrough();
  #version = 1;
  readonly part;

  constructor(count: number) {
    for (let place = 0; place < count; place++) this.#credentials.set(nameOf(place), this.#credential(nameOf(place)));
    const reader: KubeReader = {
      get: async (path) => this.#get(path),
      stream: async (path, { signal } = {}) => {
        const isList = path.includes('sendInitialEvents');
        const body = new PassThrough();
        if (isList) body.end('{}');
        else this.#watch = body;
        signal?.addEventListener('abort', () => body.destroy(signal.reason), { once: true });
        // A watch reads its body as any Readable; nothing else of IncomingMessage is used.
        return { status: isList ? 422 : 200, headers: {}, body: body as unknown as IncomingMessage };
      },
    };
    const writer: KubeWriter = {
      create: async (path, object) => {
        const metadata = { ...objectOf(object.metadata), uid: 'made', resourceVersion: String(++this.#version) };
        this.#others.set(`${path}/${stringOf(objectOf(object.metadata).name)}`, { ...object, metadata });
        return object;
      },
      patch: async (path, { status }) => {
        const name = path.split('/').at(-2) ?? '';
        this.statuses.push(name);
        return this.#put({ ...this.#credentials.get(name), status: objectOf(status) });
      },
      replace: () => assert.fail('nothing has to be replaced'),
      remove: () => assert.fail('nothing has to be removed'),
    };
    const leadership: Leadership = {
      held: () => true,
      remainingMs: () => 10_000,
      holder: () => undefined,
      subscribe: () => () => {},
    };
    const { clock } = this;
    this.part = createCredentials({
      reader,
      writer,
      leadership,
      served: '*',
      acrossNamespaces: false,
      clock,
      random: () => 0.5,
      log: silentLog,
      metrics: silentMetrics,
    });
  }

  #credential(name: string, generation = 1): JsonObject {
    return {
      metadata: { namespace: 'ci', name, uid: `uid-${name}`, generation, resourceVersion: String(this.#version) },
      spec: { credentialType: 'git', provider: 'git.example.com', tokenSecretRef: { name: `${name}-token` } },
    };
  }

  #put(object: JsonObject): JsonObject {
    const metadata = { ...objectOf(object.metadata), resourceVersion: String(++this.#version) };
    const after = { ...object, metadata };
    this.#credentials.set(stringOf(objectOf(metadata).name) ?? '', after);
    this.#watch.write(`${JSON.stringify({ type: 'MODIFIED', object: after })}\n`);
    return after;
  }

  #get(path: string): JsonObject {
    if (path === GROUP) return { versions: [{ version: 'v1alpha1' }] };
    if (path === `${GROUP}/v1alpha1`) {
      return { resources: [{ name: 'managedcredentials', verbs: ['list', 'watch'] }] };
    }
    if (path.startsWith(`${COLLECTION}?`)) {
      return { metadata: { resourceVersion: String(this.#version) }, items: [...this.#credentials.values()] };
    }
    this.reads.push({ path, atMs: this.clock.now() - this.#startedAt });
    if (path.endsWith('-token')) return { type: 'Opaque', data: { token: 'dG9rZW4=' } };
    const found = this.#others.get(path);
    if (found === undefined) throw new Fault('not-found', 'absent');
    return found;
  }

  /** Gives a credential another generation, as an edit of its spec does. */
  edit(name: string): void {
    this.#put({ ...this.#credential(name, 2), status: objectOf(this.#credentials.get(name)?.status) });
  }

  /** When the token of a credential was read. */
  looksAt(name: string): readonly number[] {
    return this.reads.filter(({ path }) => path.endsWith(`/${name}-token`)).map(({ atMs }) => atMs);
  }

  async start(): Promise<void> {
    await this.part.start();
    await this.clock.settle();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const stopping = this.part.stop(AbortSignal.timeout(5_000));
    await this.clock.turn(1_000);
    await stopping;
  }
}

function nameOf(place: number): string {
  return `credential-${place}`;
}

describe('ManagedCredentials as a part', () => {
  it('a few are each looked at every half minute, and written once', async () => {
    await using rig = new Rig(3);
    await rig.start();
    await rig.clock.turn(305_000);
    for (let place = 0; place < 3; place++) {
      const looks = rig.looksAt(nameOf(place));
      assert.equal(looks.length, 10, looks.join());
    }
    assert.deepEqual(rig.statuses.toSorted(), [0, 1, 2].map(nameOf));
  });

  it('a thousand cost no more than fifty reads a second, and half of that once all have been looked at', async () => {
    await using rig = new Rig(1_000);
    await rig.start();
    await rig.clock.turn(70_000);
    assert.equal(rig.statuses.length, 1_000);
    await rig.clock.turn(300_000);
    for (const [place, { atMs }] of rig.reads.entries()) {
      const before = rig.reads[place - 50];
      if (before !== undefined) assert.ok(atMs - before.atMs >= 1_000, `read ${place} at ${atMs} ms`);
    }
    const later = rig.reads.filter(({ atMs }) => atMs >= 120_000);
    assert.ok(later.length <= 25 * 240, `${later.length} reads in four minutes`);
    for (let place = 0; place < 1_000; place++) {
      assert.ok(rig.looksAt(nameOf(place)).length >= 2, `${nameOf(place)} was looked at again`);
    }
  });

  it('one that is edited among a thousand is looked at within a second', async () => {
    await using rig = new Rig(1_000);
    await rig.start();
    await rig.clock.turn(200_000);
    const before = rig.looksAt(nameOf(500)).length;
    rig.edit(nameOf(500));
    await rig.clock.turn(1_000);
    assert.equal(rig.looksAt(nameOf(500)).length, before + 1);
  });
});
