import assert from 'node:assert/strict';
import { HandClock } from '../../../test/support/hand-clock.ts';
import { systemClock } from '../../clock.ts';
import { Fault } from '../../fault.ts';
import { silentLog } from '../../log.ts';
import type { Json, JsonMap } from '../request.ts';
import type { CelEngine, CelInputs, SecretLookup } from './engine.ts';
import { createCelEngine } from './pool.ts';

/** Three macros in each other, over a list that makes more rounds of it than anybody waits for. */
const ENDLESS = 'body.many.all(x, body.many.all(y, body.many.all(z, x + y + z >= 0.0)))';
/** Linear, but with so many states that 30 KB take seconds. */
const CATASTROPHIC = "body.long.matches('(?:a?){200}a{200}$')";

const body: JsonMap = { a: 1, word: 'x', many: Array.from({ length: 5000 }, (_, at) => at), long: 'a'.repeat(30_000) };

function inputsOf(some: JsonMap = body): CelInputs {
  return { body: some, header: {}, extensions: {}, requestURL: '/' };
}

const noSecret: SecretLookup = async () => undefined;

function more(secret = noSecret): { readonly secret: SecretLookup; readonly signal: AbortSignal } {
  return { secret, signal: new AbortController().signal };
}

describe('the engine', function () {
  // A worker on a busy machine takes seconds to start, and tests here start several.
  this.timeout(120_000);
  let engine: CelEngine;
  const said: string[] = [];

  before(() => {
    const metrics = { limited: (what: string) => void said.push(what), level() {} };
    engine = createCelEngine({ clock: systemClock, log: silentLog, metrics });
  });
  after(() => engine.close());

  it('evaluates in the order of the expressions, each against the same inputs', async () => {
    const results = await engine.evaluate(['body.a + 1.0', 'body.nope', "{'b': [body.word]}"], inputsOf(), more());
    assert.deepEqual(plain(results), [
      { ok: true, value: 2 },
      { ok: false, error: 'no such key: nope' },
      { ok: true, value: { b: ['x'] } },
    ]);
  });

  it('hands out objects without a prototype', async () => {
    const [result] = await engine.evaluate(["{'a': {'constructor': 1}}"], inputsOf(), more());
    assert(result?.ok === true);
    const { a } = result.value as { a: Json };
    assert.deepEqual([Object.getPrototypeOf(result.value), Object.getPrototypeOf(a)], [null, null]);
  });

  it('says what is wrong with expressions, in their order', async () => {
    const { signal } = more();
    assert.deepEqual(await engine.mistakesIn([], signal), []);
    assert.deepEqual(await engine.mistakesIn(['body.a == 1', 'body.a = 1', 'body.a == 1'], signal), [
      undefined,
      'line 1, column 8: = was not expected',
      undefined,
    ]);
  });

  it('reads megabytes of expressions while the event loop goes on, and each of them once', async () => {
    const { signal } = more();
    const nested = `${'('.repeat(40)}true${')'.repeat(40)}`;
    const expressions = Array.from({ length: 200 }, (_, at) => `[${`${nested}, `.repeat(90)}${at}].size() > 0`);
    let turns = 0;
    let isOver = false;
    const spin = (): void => {
      turns++;
      if (!isOver) setImmediate(spin);
    };
    spin();
    const own = createCelEngine({ clock: systemClock, log: silentLog });
    const first = await own.mistakesIn(expressions, signal);
    isOver = true;
    assert.equal(first.length, expressions.length);
    // Read in this thread they would be one turn.
    assert(turns > 100, `the event loop turned ${turns} times`);
    await own.close(); // from here on nothing can be read
    assert.deepEqual(await own.mistakesIn([...expressions].reverse(), signal), [...first].reverse());
    await assert.rejects(own.mistakesIn(['true'], signal), { code: 'draining' });
  });

  it('answers nothing for nothing', async () => {
    assert.deepEqual(await engine.evaluate([], inputsOf(), more()), []);
  });

  it('event 30: a text, an error and one that never ends are no match, and what comes next is evaluated', async () => {
    const results = await engine.evaluate(["'true'", 'body.a.b.c', '1 / 0 == 1', 'true', ENDLESS], inputsOf(), more());
    assert.deepEqual(
      results.map((result) => result.ok && result.value === true),
      [false, false, false, true, false],
    );
    assert.deepEqual(await engine.evaluate(['body.a == 1'], inputsOf(), more()), [{ ok: true, value: true }]);
  });

  it('event 34: a catastrophic pattern is ended, while everything else goes on', async () => {
    said.length = 0;
    let turns = 0;
    let isOver = false;
    const spin = (): void => {
      turns++;
      if (!isOver) setImmediate(spin);
    };
    await engine.evaluate(['true'], inputsOf(), more());
    const evaluated = engine.evaluate(['body.a == 1', CATASTROPHIC, 'true'], inputsOf(), more());
    spin();
    const results = await evaluated;
    isOver = true;
    assert.deepEqual(results, [
      { ok: true, value: true },
      { ok: false, error: 'it computes for longer than 50 ms' },
      { ok: false, error: 'an expression before it took too much' },
    ]);
    // Had the pattern been matched in this thread, the loop would have turned once.
    assert(turns > 10, `the event loop turned ${turns} times`);
    assert.deepEqual(said, ['expression time']);
  });

  it('event 34: patterns for which others try all ways to go back are matched in one', async () => {
    const patterns = ['^(a|a)*b', '(x+x+)+y', '^([a-z]+)*[A-Z]', '(.*)(.*)(.*)(.*)(.*)[=]'];
    for (const pattern of patterns) {
      const results = await engine.evaluate([`body.long.substring(0, 2000).matches('${pattern}')`], inputsOf(), more());
      assert.deepEqual(results, [{ ok: true, value: false }], pattern);
    }
  });

  it('lets others wait, and no longer, while an endless one is ended', async () => {
    const endless = engine.evaluate([ENDLESS], inputsOf(), more());
    const others = Array.from({ length: 40 }, () => engine.evaluate(['body.a == 1'], inputsOf(), more()));
    assert.deepEqual(
      (await Promise.all(others)).flat(),
      others.map(() => ({ ok: true, value: true })),
    );
    assert.equal((await endless)[0]?.ok, false);
  });

  it('ends a worker that takes too much memory, and goes on with another', async () => {
    // Only time that nobody turns lets it live long enough.
    const patient = createCelEngine({ clock: new HandClock(), log: silentLog });
    const large = inputsOf({ text: 'a'.repeat(1024 * 1024), list: Array.from({ length: 1000 }, (_, at) => at) });
    try {
      const results = await patient.evaluate(
        ['body.list.map(x, (body.text + string(x)).upperAscii()).size()'],
        large,
        more(),
      );
      assert.deepEqual(results, [{ ok: false, error: 'it takes more than 128 MiB of memory' }]);
      assert.deepEqual(await patient.evaluate(['body.a == 1'], inputsOf(), more()), [{ ok: true, value: true }]);
    } finally {
      await patient.close();
    }
  });

  it('lets an owner rest whose expressions took too much, and nobody else', async () => {
    let steadyMs = 0;
    const resting = createCelEngine({ clock: { ...systemClock, steady: () => steadyMs }, log: silentLog });
    const evaluate = (expression: string, owner: string) => {
      return resting.evaluate([expression], inputsOf(), { ...more(), owner });
    };
    try {
      await evaluate(ENDLESS, 'busy');
      await assert.rejects(
        evaluate('true', 'busy'),
        (error) => error instanceof Fault && error.code === 'exhausted' && error.retryAfterMs === 3000,
      );
      assert.deepEqual(await evaluate('true', 'other'), [{ ok: true, value: true }]);
      steadyMs += 1000;
      assert.deepEqual(await evaluate('true', 'busy'), [{ ok: true, value: true }]);
    } finally {
      await resting.close();
    }
  });

  it('looks Secrets up when an expression asks for one, once each', async () => {
    const asked: string[] = [];
    const secret: SecretLookup = async (name, key) => {
      asked.push(`${name}/${key}`);
      return name === 'hook' && key === 'token' ? Buffer.from('s3cret') : undefined;
    };
    const results = await engine.evaluate(
      [
        "'s3cret'.compareSecret('token', 'hook')",
        "'s3cret\\n'.compareSecret('token', 'hook', 'elsewhere') || body.a == 2",
        "'s3cret'.compareSecret('other', 'hook')",
        "false && 's3cret'.compareSecret('never', 'hook')",
        'body.word',
      ],
      inputsOf(),
      more(secret),
    );
    assert.deepEqual(results, [
      { ok: true, value: true },
      { ok: true, value: false },
      { ok: false, error: 'compareSecret: there is no such Secret, or it has no such key' },
      { ok: true, value: false },
      { ok: true, value: 'x' },
    ]);
    assert.deepEqual(asked, ['hook/token', 'hook/other']);
  });

  it('asks for no more Secrets than it may, however an expression names them', async () => {
    const asked: string[] = [];
    const secret: SecretLookup = async (name) => {
      asked.push(name);
      return undefined;
    };
    const [atOnce] = await engine.evaluate(
      ["body.some.exists(name, 'a'.compareSecret('token', name))"],
      inputsOf({ some: Array.from({ length: 20 }, (_, at) => `secret-${at}`) }),
      more(secret),
    );
    assert.deepEqual([atOnce?.ok, asked.length], [false, 8]);
    const oneByOne = [1, 2, 3, 4].reduceRight(
      (rest, at) => `'a'.compareSecret('token', '${at}') ? true : ${rest}`,
      'false',
    );
    assert.deepEqual(
      await engine.evaluate(
        [oneByOne],
        inputsOf(),
        more(async () => Buffer.from('b')),
      ),
      [{ ok: false, error: 'it asks for one Secret after another, more than 3 times' }],
    );
  });

  it('rejects with what the look-up of a Secret rejects with', async () => {
    const away = new Fault('unavailable', 'the API server is away');
    const secret: SecretLookup = async () => {
      throw away;
    };
    await assert.rejects(
      engine.evaluate(["'a'.compareSecret('token', 'hook')"], inputsOf(), more(secret)),
      (error) => error === away,
    );
  });

  it('takes no more than may wait, and tells them to come back', async () => {
    // Its worker only starts, so all of them wait.
    const fresh = createCelEngine({ clock: systemClock, log: silentLog });
    const evaluations = Array.from({ length: 300 }, () => fresh.evaluate(['body.a == 1'], inputsOf(), more()));
    const ends = await Promise.allSettled(evaluations);
    await fresh.close();
    const faults = ends.flatMap((end) =>
      end.status === 'rejected' && end.reason instanceof Fault ? [end.reason] : [],
    );
    assert.equal(faults.length, 300 - 256);
    assert(faults.every(({ code, retryAfterMs }) => code === 'exhausted' && retryAfterMs === 3000));
    assert(ends.every((end) => end.status === 'rejected' || end.value[0]?.ok === true));
  });

  it('forgets what is aborted while it waits', async () => {
    const fresh = createCelEngine({ clock: systemClock, log: silentLog });
    const leaving = new AbortController();
    const asLeaving = { secret: noSecret, signal: leaving.signal };
    const left = fresh.evaluate(['true'], inputsOf(), asLeaving);
    const stays = fresh.evaluate(['true'], inputsOf(), more());
    leaving.abort(new Error('gone'));
    await assert.rejects(left, /gone/);
    await assert.rejects(fresh.evaluate(['true'], inputsOf(), asLeaving), /gone/);
    assert.deepEqual(await stays, [{ ok: true, value: true }]);
    await fresh.close();
  });

  it('closes while something is evaluated and while something waits, and takes nothing afterwards', async () => {
    const closing = createCelEngine({ workers: 1, clock: systemClock, log: silentLog });
    await closing.evaluate(['true'], inputsOf(), more());
    const evaluations = [ENDLESS, 'true', 'true'].map((expression) =>
      closing.evaluate([expression], inputsOf(), more()),
    );
    const ends = Promise.allSettled(evaluations);
    await Promise.all([closing.close(), closing.close()]);
    const late = Promise.allSettled([closing.evaluate(['true'], inputsOf(), more())]);
    for (const end of [...(await ends), ...(await late)]) {
      assert(end.status === 'rejected' && end.reason instanceof Fault && end.reason.code === 'draining');
    }
  });
});

/** With prototypes, which is what texts of a test have. */
function plain<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T; // which is of the same shape
}
