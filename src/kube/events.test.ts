import assert from 'node:assert/strict';
import { createApi, resources } from '../../test/support/api.ts';
import { apiWriter } from '../../test/support/api-writer.ts';
import { Fault } from '../fault.ts';
import type { Log, LogFields } from '../log.ts';
import { createEvents, type Events, type Involved, type Told } from './events.ts';
import { WriteFault, type WriteOptions } from './writer.ts';

const EVENTS = { group: '', version: 'v1', plural: 'events' };
const trigger: Involved = {
  apiVersion: 'pipeline.jquad.rocks/v1alpha1',
  kind: 'PipelineTrigger',
  namespace: 'ci',
  name: 't',
  uid: '11111111-2222-3333-4444-555555555555',
  resourceVersion: '7',
};
const about = (namespace: string): Involved => ({ ...trigger, namespace, uid: `uid-${namespace}` });
const info = (message: string, more: Partial<Told> = {}): Told => ({
  type: 'Normal',
  reason: 'Info',
  message,
  ...more,
});
const warning = (message: string, more: Partial<Told> = {}): Told => ({
  type: 'Warning',
  reason: 'ProcessingError',
  message,
  ...more,
});

describe('createEvents', () => {
  /** A recorder on an API of its own; `fails` is asked before each write and throws what goes wrong. */
  const world = ({
    fails = () => {},
    namespaces = [],
  }: {
    fails?: (verb: 'create' | 'patch') => void;
    /** Those there are beside `ci`. */
    namespaces?: readonly string[];
  } = {}) => {
    const { client, clock } = createApi();
    for (const name of namespaces) {
      client.create(resources.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    }
    /** Those in which writes do not end by themselves. */
    const hanging = new Set<string>();
    const atWork = { now: 0, most: 0 };
    /** Resolves when the answer to a write would come; rejects where that is not waited for any longer. */
    const answered = async (path: string, { signal, timeoutMs = 10_000 }: WriteOptions = {}) => {
      atWork.now += 1;
      atWork.most = Math.max(atWork.most, atWork.now);
      try {
        if (!hanging.has(path.split('/')[4] ?? '')) return;
        await clock.sleep(timeoutMs, signal);
        signal?.throwIfAborted();
        throw new Fault('timeout', 'no answer');
      } finally {
        atWork.now -= 1;
      }
    };
    const lines: { level: string; message: string; fields: LogFields }[] = [];
    const write =
      (level: string) =>
      (message: string, fields: LogFields = {}) =>
        void lines.push({ level, message, fields });
    const log: Log = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
    const api = apiWriter(client);
    const calls: string[] = [];
    const levels = new Map<string, () => number>();
    const recorder = (): Events =>
      createEvents({
        writer: {
          async create(path, object, more) {
            calls.push('create');
            fails('create');
            await answered(path, more);
            return api.create(path, object, more);
          },
          async patch(path, merge, more) {
            calls.push('patch');
            fails('patch');
            await answered(path, more);
            return api.patch(path, merge, more);
          },
        },
        name: 'triggers',
        component: 'PipelineTrigger',
        instance: 'rungate-0',
        clock,
        log,
        metrics: { level: (what, read) => void levels.set(what, read) },
      });
    const kept = () => client.list(EVENTS, { namespace: 'ci' });
    const names = () => kept().map(({ metadata }) => metadata.name);
    const messages = () => kept().map(({ message, count }) => `${message} x${count}`);
    const messagesIn = (namespace: string) => client.list(EVENTS, { namespace }).map(({ message }) => String(message));
    const events = recorder();
    const unwritten = () => levels.get('kubernetes events triggers')?.();
    return {
      unwritten,
      client,
      clock,
      lines,
      calls,
      events,
      recorder,
      kept,
      names,
      messages,
      hanging,
      atWork,
      messagesIn,
    };
  };

  it('trigger 3: what is told is an Event of the object, in the place where kubectl looks', async () => {
    const { clock, events, kept } = world();
    events.tell(trigger, info('Source app in namespace ci got new event main/03da4fd'));
    await clock.settle();
    const [{ metadata, ...event } = {}] = kept();
    assert.match(metadata?.name ?? '', /^t\.[0-9a-f]{16}$/);
    assert.deepEqual(event, {
      apiVersion: 'v1',
      kind: 'Event',
      involvedObject: trigger,
      type: 'Normal',
      reason: 'Info',
      message: 'Source app in namespace ci got new event main/03da4fd',
      count: 1,
      firstTimestamp: '2026-11-01T10:00:00Z',
      lastTimestamp: '2026-11-01T10:00:00Z',
      eventTime: null,
      source: { component: 'PipelineTrigger' },
      reportingComponent: 'PipelineTrigger',
      reportingInstance: 'rungate-0',
    });
  });

  it('is told in order, one write after another', async () => {
    const { clock, events, messages } = world();
    for (const word of ['one', 'two', 'three']) events.tell(trigger, info(word));
    await clock.settle();
    await clock.settle();
    assert.deepEqual(messages().toSorted(), ['one x1', 'three x1', 'two x1']);
  });

  describe('once', () => {
    it('stays one Event, whoever tells it again', async () => {
      const { clock, events, recorder, calls, kept } = world();
      events.tell(trigger, info('Started the pipeline t-abcd', { once: 't-abcd' }));
      events.tell(trigger, info('Started the pipeline t-abcd', { once: 't-abcd' }));
      await clock.settle();
      await clock.turn(3_600_000);
      events.tell(trigger, info('Started the pipeline t-abcd', { once: 't-abcd' }));
      await clock.settle();
      assert.deepEqual(calls, ['create']);
      const afterRestart = recorder();
      afterRestart.tell(trigger, info('Started the pipeline t-abcd', { once: 't-abcd' }));
      await clock.settle();
      assert.equal(kept().length, 1);
      assert.equal(kept()[0]?.count, 1);
    });

    it('another object, reason or thing is another Event', async () => {
      const { clock, events, kept } = world();
      events.tell(trigger, info('a', { once: '1' }));
      events.tell(trigger, info('a', { once: '2' }));
      events.tell(trigger, { ...info('a', { once: '1' }), reason: 'Other' });
      events.tell({ ...trigger, uid: 'another' }, info('a', { once: '1' }));
      await clock.turn(0);
      await clock.settle();
      assert.equal(kept().length, 4);
    });
  });

  describe('repeats', () => {
    it('within ten minutes of each other are counted in the same Event', async () => {
      const { clock, events, kept, messages } = world();
      for (let count = 0; count < 4; count++) {
        events.tell(trigger, warning('Pipeline "build" not found'));
        await clock.turn(540_000);
      }
      assert.deepEqual(messages(), ['Pipeline "build" not found x4']);
      assert.equal(kept()[0]?.firstTimestamp, '2026-11-01T10:00:00Z');
      assert.equal(kept()[0]?.lastTimestamp, '2026-11-01T10:27:00Z');
    });

    it('after more than ten minutes are another Event', async () => {
      const { clock, events, messages } = world();
      events.tell(trigger, warning('again'));
      await clock.turn(600_001);
      events.tell(trigger, warning('again'));
      await clock.settle();
      assert.deepEqual(messages(), ['again x1', 'again x1']);
    });

    it('that come while the first still waits cost one write', async () => {
      const { clock, events, calls, messages } = world();
      events.tell(trigger, warning('first'));
      for (let count = 0; count < 100; count++) events.tell(trigger, warning('often'));
      await clock.settle();
      assert.deepEqual(calls, ['create', 'create']);
      assert.deepEqual(messages().toSorted(), ['first x1', 'often x100']);
    });

    it('that come too soon are swallowed, and what goes on is still the same Event', async () => {
      const { clock, events, calls, messages } = world();
      for (let minute = 0; minute < 25; minute++) {
        events.tell(trigger, warning('away', { atMostEveryMs: 600_000 }));
        await clock.turn(60_000);
      }
      assert.deepEqual(calls, ['create', 'patch', 'patch']);
      assert.deepEqual(messages(), ['away x3']);
    });

    it('of an Event that the server has forgotten make it anew', async () => {
      const { client, clock, events, names, messages } = world();
      events.tell(trigger, warning('again'));
      await clock.settle();
      for (const name of names()) client.remove(EVENTS, 'ci', name);
      events.tell(trigger, warning('again'));
      await clock.settle();
      assert.deepEqual(messages(), ['again x2']);
    });

    it('with another message, type or object are not repeats', async () => {
      const { clock, events, kept } = world();
      events.tell(trigger, warning('a'));
      events.tell(trigger, warning('b'));
      events.tell(trigger, { ...warning('a'), type: 'Normal' });
      events.tell({ ...trigger, uid: 'another' }, warning('a'));
      await clock.turn(0);
      await clock.settle();
      assert.equal(kept().length, 4);
    });
  });

  describe('what is told', () => {
    it('a long message is cut between two characters, control characters become spaces', async () => {
      const { clock, events, kept } = world();
      events.tell(trigger, warning(`a\u001b[31m\r\n${'ü'.repeat(2_000)}`));
      await clock.settle();
      const message = String(kept()[0]?.message);
      assert(Buffer.byteLength(message) <= 1024 && Buffer.byteLength(message) > 1020);
      assert.match(message, /^a \[31m ü+…$/);
    });

    it('a long name of an object leaves room for the suffix', async () => {
      const { clock, events, names } = world();
      events.tell({ ...trigger, name: `${'a'.repeat(235)}.${'b'.repeat(17)}` }, info('x'));
      await clock.settle();
      assert.match(names().join(), /^a{235}\.[0-9a-f]{16}$/);
    });

    it('an object in no namespace is told about in the default one', async () => {
      const { client, clock, events } = world();
      client.create(resources.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } });
      events.tell({ apiVersion: 'v1', kind: 'Node', namespace: '', name: 'n', uid: 'u' }, info('x'));
      await clock.settle();
      assert.equal(client.list(EVENTS, { namespace: 'default' }).length, 1);
    });
  });

  describe('trouble', () => {
    const away = () => new Fault('unavailable', 'Kubernetes cannot be reached');
    const denied = (said: string) =>
      new WriteFault('refused', 'refused (403)', { status: 403, reason: 'Forbidden', said });

    it('a write that fails is tried again; the ones behind it wait', async () => {
      let failures = 2;
      const { clock, events, lines, messages } = world({
        fails: () => {
          if (failures-- > 0) throw away();
        },
      });
      events.tell(trigger, info('one'));
      events.tell(trigger, info('two'));
      await clock.settle();
      assert.deepEqual(messages(), []);
      await clock.turn(10_000);
      assert.deepEqual(messages().toSorted(), ['one x1', 'two x1']);
      assert.deepEqual(lines, []);
    });

    it('after three tries it is let go with a log line, and told again it is heard', async () => {
      let isAway = true;
      const { clock, events, calls, lines, messages } = world({
        fails: () => {
          if (isAway) throw away();
        },
      });
      events.tell(trigger, info('one', { once: '1' }));
      await clock.turn(60_000);
      assert.deepEqual(calls, ['create', 'create', 'create']);
      assert.deepEqual(
        lines.map(({ level, message }) => [level, message]),
        [['warn', 'an Event could not be written']],
      );
      isAway = false;
      events.tell(trigger, info('one', { once: '1' }));
      await clock.settle();
      assert.deepEqual(messages(), ['one x1']);
    });

    it('missing rights are not worth a second try, and are said in the words of the server', async () => {
      const { clock, events, calls, lines } = world({
        fails: () => {
          throw denied('events is forbidden: User "x" cannot create resource "events"');
        },
      });
      events.tell(trigger, info('one'));
      await clock.turn(60_000);
      assert.deepEqual(calls, ['create']);
      assert.match(String(lines[0]?.fields.cause), /cannot create resource/);
    });

    for (const [name, fault] of [
      [
        'is going',
        denied(
          'events "t.1" is forbidden: unable to create new content in namespace ci because it is being terminated',
        ),
      ],
      [
        'is gone',
        new WriteFault('not-found', '404', { status: 404, reason: 'NotFound', said: 'namespaces "ci" not found' }),
      ],
    ] as const) {
      it(`a namespace that ${name} is not worth a word`, async () => {
        const { clock, events, calls, lines } = world({
          fails: () => {
            throw fault;
          },
        });
        events.tell(trigger, info('one'));
        await clock.turn(60_000);
        assert.deepEqual(calls, ['create']);
        assert.deepEqual(lines, []);
      });
    }

    it('when more come than can be written the oldest are dropped, with one log line', async () => {
      let isAway = true;
      const { clock, events, lines, kept } = world({
        fails: () => {
          if (isAway) throw away();
        },
      });
      for (let count = 0; count < 1_500; count++) events.tell(trigger, info(`message ${count}`));
      await clock.settle();
      assert.equal(lines.filter(({ message }) => message.includes('dropped')).length, 1);
      isAway = false;
      await clock.turn(10_000);
      for (let round = 0; round < 100; round++) await clock.settle();
      const messages = kept().map(({ message }) => message);
      assert.equal(messages.length, 1_001);
      assert(messages.includes('message 1499') && !messages.includes('message 400'));
    });

    it('what it remembers is bounded', async () => {
      const { clock, events, calls } = world();
      for (let count = 0; count < 2_100; count++) {
        events.tell(trigger, info('x', { once: String(count) }));
        if (count % 50 === 0) for (let round = 0; round < 12; round++) await clock.settle();
      }
      for (let round = 0; round < 20; round++) await clock.settle();
      const before = calls.length;
      events.tell(trigger, info('x', { once: '2099' }));
      events.tell(trigger, info('x', { once: '0' }));
      await clock.settle();
      assert.equal(calls.length - before, 1);
    });
  });

  describe('namespaces', () => {
    const places = Array.from({ length: 20 }, (_, place) => `ns-${place}`);

    it('one in which writes hang keeps no other waiting', async () => {
      const { clock, events, hanging, messages, messagesIn, unwritten } = world({ namespaces: ['stuck'] });
      hanging.add('stuck');
      assert.equal(unwritten(), 0);
      for (const word of ['one', 'two', 'three']) {
        events.tell(about('stuck'), info(word));
        events.tell(trigger, info(word));
      }
      assert.equal(unwritten(), 6);
      await clock.settle(); // and no time passes
      assert.deepEqual(messages().toSorted(), ['one x1', 'three x1', 'two x1']);
      assert.deepEqual(messagesIn('stuck'), []);
      assert.equal(unwritten(), 3);
      hanging.clear();
      await clock.turn(10_000);
      assert.deepEqual(messagesIn('stuck').toSorted(), ['one', 'three', 'two']);
      assert.equal(unwritten(), 0);
    });

    it('more than may be written to at once: those that hang give their places back', async () => {
      const { clock, events, hanging, atWork, messagesIn } = world({ namespaces: places });
      for (const namespace of places.slice(0, 12)) hanging.add(namespace);
      for (const namespace of places) events.tell(about(namespace), info('one'));
      await clock.settle();
      assert.equal(atWork.now, 8);
      await clock.turn(10_000);
      for (const namespace of places) {
        assert.deepEqual(messagesIn(namespace), hanging.has(namespace) ? [] : ['one'], namespace);
      }
      assert.equal(atWork.most, 8);
    });

    it('one that is flooded loses of its own Events alone', async () => {
      const { clock, events, hanging, lines, messagesIn } = world({ namespaces: ['flooded', 'quiet'] });
      for (const namespace of ['flooded', 'quiet']) hanging.add(namespace);
      for (let count = 0; count < 5; count++) events.tell(about('quiet'), info(`message ${count}`));
      for (let count = 0; count < 2_000; count++) events.tell(about('flooded'), info(`message ${count}`));
      assert.equal(lines.filter(({ message }) => message.includes('dropped')).length, 1);
      hanging.clear();
      await clock.turn(10_000);
      for (let round = 0; round < 100; round++) await clock.settle();
      assert.equal(messagesIn('quiet').length, 5);
      assert.equal(messagesIn('flooded').length, 1 + 1_000 - 4);
      assert(messagesIn('flooded').includes('message 1999'));
    });
  });

  describe('stop', () => {
    it('writes what can be written beside a namespace that hangs, and waits for that one until its deadline', async () => {
      const { clock, events, hanging, atWork, messages, messagesIn } = world({ namespaces: ['stuck'] });
      hanging.add('stuck');
      for (let count = 0; count < 50; count++) {
        events.tell(about('stuck'), info(`message ${count}`));
        events.tell(trigger, info(`message ${count}`));
      }
      const deadline = new AbortController();
      let isOver = false;
      const stopping = events.stop(deadline.signal).then(() => {
        isOver = true;
      });
      for (let round = 0; round < 20; round++) await clock.settle();
      assert.equal(messages().length, 50);
      assert.equal(isOver, false);
      deadline.abort();
      await stopping;
      assert.deepEqual([messagesIn('stuck'), atWork.now, clock.sleeping], [[], 0, 0]);
    });

    it('waits for what is still to be written, and tells nothing after', async () => {
      const { clock, events, messages } = world();
      events.tell(trigger, info('last words'));
      await events.stop(new AbortController().signal);
      assert.deepEqual(messages(), ['last words x1']);
      events.tell(trigger, info('too late'));
      await clock.settle();
      assert.equal(messages().length, 1);
    });

    it('lets go when its deadline has passed', async () => {
      const { clock, events, lines } = world({
        fails: () => {
          throw new Fault('unavailable', 'Kubernetes cannot be reached');
        },
      });
      events.tell(trigger, info('one'));
      events.tell(trigger, info('two'));
      await clock.settle();
      const deadline = new AbortController();
      const stopping = events.stop(deadline.signal);
      deadline.abort();
      await stopping;
      assert.equal(clock.sleeping, 0);
      assert.deepEqual(lines, []);
    });

    it('with nothing to write is over at once', async () => {
      await world().events.stop(AbortSignal.abort());
    });
  });
});
