/** The engine: expressions are read and evaluated in a few workers that take turns with what waits. */
import type { Clock } from '../../clock.ts';
import { Fault } from '../../fault.ts';
import type { Log } from '../../log.ts';
import type { Metrics } from '../../metrics.ts';
import type { Json, JsonMap } from '../request.ts';
import type { CelEngine, CelInputs, CelResult, SecretLookup } from './engine.ts';
import type { SecretKey, SecretValue } from './evaluator.ts';
import { Kept } from './kept.ts';
import type { EvaluationOutcome, EvaluationTask, WorkerTask } from './task.ts';
import { type CelThread, type Gone, MOST_MEMORY_MIB, startThread, type TaskEnd } from './thread.ts';
import { isList } from './values.ts';

/** What an engine is made of. */
export interface CelEngineParts {
  /** How many workers there may be; 2 unless told. Each takes some 40 MiB of memory, and one is enough until many wait. */
  readonly workers?: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics?: Pick<Metrics, 'limited' | 'level'>;
}

/** What the expressions of one trigger may compute for one event. */
const LIMIT_MS = 50;
/** How many may wait for a worker. More are told to come back, which a sender does. */
const MOST_WAITING = 256;
/** When that many wait, one more worker is started. A start takes about as long as a hundred evaluations. */
const WAITING_FOR_ANOTHER = 8;
/** How often expressions may turn out to need one more Secret. */
const MOST_ROUNDS = 4;
/** How many characters of bodies may wait with them. */
const MOST_WAITING_TEXT = 64 * 1024 * 1024;
/** When to come back, where too many wait. */
const RETRY_MS = 3_000;
/** How much text is read in one turn, so that deliveries have theirs in between, and for how long it may be. */
const READ_AT_ONCE = 16 * 1024;
const READ_LIMIT_MS = 2_000;
/** How many characters of expressions are remembered with what is wrong with them: as much as all listeners of a large cluster have. */
const MOST_JUDGED_TEXT = 8 * 1024 * 1024;
/** How long an owner rests whose expressions took too much. A new worker costs more than what it was ended for. */
const REST_MS = 1_000;

/** One round of one trigger's expressions, waiting for a worker or in one. */
interface Turn {
  readonly task: WorkerTask;
  readonly limitMs: number;
  readonly settle: PromiseWithResolvers<TaskEnd>;
}

/** Makes an engine. Its workers start with the first evaluation, and do not keep the process alive when they have nothing to do. */
export function createCelEngine({ workers = 2, clock, log, metrics }: CelEngineParts): CelEngine {
  const judged = new Kept<string | undefined>(MOST_JUDGED_TEXT);
  const waiting: Turn[] = [];
  const threads = new Set<CelThread>();
  const idle: CelThread[] = [];
  /** When owners may come again, by `clock.steady()`. */
  const resting = new Map<string, number>();
  let isClosed = false;
  metrics?.level('expressions waiting', () => waiting.length);

  const next = (): void => {
    while (waiting.length > 0) {
      const thread = idle.pop();
      if (thread !== undefined) {
        const turn = waiting.shift();
        if (turn !== undefined) void take(thread, turn);
      } else {
        if (threads.size < workers && (threads.size === 0 || waiting.length > WAITING_FOR_ANOTHER)) void startAnother();
        return;
      }
    }
  };

  const startAnother = async (): Promise<void> => {
    const thread = startThread(clock);
    threads.add(thread);
    const gone = await thread.ready;
    if (gone === undefined) idle.push(thread);
    else {
      threads.delete(thread);
      // Another one would hardly fare better now; whoever comes next makes it try again.
      if (gone.why === 'broken') for (const { settle } of waiting.splice(0)) settle.reject(broken(gone.cause));
    }
    next();
  };

  const take = async (thread: CelThread, { task, limitMs, settle }: Turn): Promise<void> => {
    const end = await thread.perform(task, limitMs);
    if (end.gone === undefined) idle.push(thread);
    else threads.delete(thread);
    if (end.gone?.why === 'closed') settle.reject(draining());
    else if (end.gone?.why === 'broken') settle.reject(broken(end.gone.cause));
    else settle.resolve(end);
    next();
  };

  const broken = (cause: unknown): Fault => {
    log.error('a worker for expressions broke', { error: String(cause) });
    return new Fault('unavailable', 'expressions cannot be evaluated now; try again', {
      cause,
      retryAfterMs: RETRY_MS,
    });
  };

  const turnOf = (task: WorkerTask, limitMs: number, signal: AbortSignal): Promise<TaskEnd> => {
    if (isClosed) throw draining();
    signal.throwIfAborted();
    const text = waiting.reduce((sum, { task: other }) => sum + ('body' in other ? other.body.length : 0), 0);
    if (waiting.length >= MOST_WAITING || text > MOST_WAITING_TEXT) {
      metrics?.limited('expressions waiting');
      throw new Fault('exhausted', 'too many expressions wait to be evaluated; try again', {
        retryAfterMs: RETRY_MS,
      });
    }
    const turn: Turn = { task, limitMs, settle: Promise.withResolvers() };
    const leave = (): void => {
      const place = waiting.indexOf(turn);
      if (place !== -1) waiting.splice(place, 1);
      turn.settle.reject(signal.reason);
    };
    signal.addEventListener('abort', leave, { once: true });
    waiting.push(turn);
    next();
    return turn.settle.promise.finally(() => signal.removeEventListener('abort', leave));
  };

  const refuseWhileResting = (owner: string): void => {
    const now = clock.steady();
    for (const [name, until] of resting) if (until <= now) resting.delete(name);
    const until = resting.get(owner);
    if (until === undefined) return;
    metrics?.limited('expression rest');
    throw new Fault('exhausted', 'expressions of this namespace took too much just now; try again', {
      retryAfterMs: Math.max(RETRY_MS, until - now),
    });
  };

  /** The error of the expression with which a worker ended. */
  const tooMuch = (gone: Gone): CelResult => {
    if (gone.why === 'memory') {
      metrics?.limited('expression memory');
      log.warn('an expression was ended because it takes too much memory', { limitMiB: MOST_MEMORY_MIB });
      return { ok: false, error: `it takes more than ${MOST_MEMORY_MIB} MiB of memory` };
    }
    metrics?.limited('expression time');
    log.warn('an expression was ended because it computes too long', { limitMs: LIMIT_MS });
    return { ok: false, error: `it computes for longer than ${LIMIT_MS} ms` };
  };

  return {
    async mistakesIn(expressions, signal) {
      const found = new Map<string, string | undefined>();
      const wanted = [...new Set(expressions)];
      for (const expression of wanted) {
        if (judged.has(expression)) found.set(expression, judged.of(expression, nothing));
      }
      let atOnce = READ_AT_ONCE;
      for (;;) {
        const reads = firstOf(
          wanted.filter((expression) => !found.has(expression)),
          atOnce,
        );
        if (reads.length === 0) break;
        const { outcomes, gone } = await turnOf({ reads }, READ_LIMIT_MS, signal);
        for (const [place, outcome] of outcomes.entries()) {
          const [expression, mistake] = [reads[place] ?? '', 'mistake' in outcome ? outcome.mistake : undefined];
          found.set(
            expression,
            judged.of(expression, () => mistake),
          );
        }
        if (gone === undefined) continue;
        atOnce = 0; // alone, so that none is blamed for what others took
        const [only, ...others] = reads;
        if (only === undefined || others.length > 0 || found.has(only)) continue;
        log.warn('an expression takes too much to be read', { characters: only.length });
        found.set(only, 'it takes too much to be read'); // not kept: the machine may have had no time for it
      }
      return expressions.map((expression) => found.get(expression));
    },

    async evaluate(expressions, inputs, { secret, signal, owner }) {
      if (owner !== undefined) refuseWhileResting(owner);
      const results: CelResult[] = expressions.map(() => BEHIND);
      const texts = textsOf(inputs);
      let open = [...expressions.keys()];
      let secrets: readonly SecretValue[] = [];
      let leftMs = LIMIT_MS;
      for (let round = 1; open.length > 0; round++) {
        const task = { ...texts, expressions: open.map((place) => expressions[place] ?? ''), secrets };
        const { outcomes, spentMs, gone } = await turnOf(task, Math.max(leftMs, 1), signal);
        leftMs -= spentMs;
        const again: number[] = [];
        const needed: SecretKey[] = [];
        for (const [at, outcome] of outcomes.entries()) {
          const place = open[at] ?? 0;
          if ('mistake' in outcome) continue; // none was to be read
          if (!('needs' in outcome)) results[place] = resultOf(outcome);
          else if (gone === undefined && round < MOST_ROUNDS) {
            again.push(place);
            needed.push(...outcome.needs);
          } else results[place] = gone === undefined ? ONE_AFTER_ANOTHER : BEHIND;
        }
        const stopped = open[outcomes.length];
        if (gone !== undefined) {
          if (stopped !== undefined) results[stopped] = tooMuch(gone);
          if (owner !== undefined) resting.set(owner, clock.steady() + REST_MS);
        }
        open = again;
        secrets = [...secrets, ...(await valuesOf(needed, secret, signal))];
      }
      return results;
    },

    async close() {
      isClosed = true;
      for (const { settle } of waiting.splice(0)) settle.reject(draining());
      await Promise.all([...threads].map((thread) => thread.end()));
      threads.clear();
      idle.length = 0;
    },
  };
}

const BEHIND: CelResult = { ok: false, error: 'an expression before it took too much' };
const ONE_AFTER_ANOTHER: CelResult = {
  ok: false,
  error: `it asks for one Secret after another, more than ${MOST_ROUNDS - 1} times`,
};

function draining(): Fault {
  return new Fault('draining', 'this process is stopping; try again');
}

/** The first of these, as many as have their turn together, of so many characters: one at least. */
function firstOf(expressions: readonly string[], mostText: number): readonly string[] {
  let length = 0;
  const end = expressions.findIndex((expression, place) => {
    length += expression.length;
    return place > 0 && length > mostText;
  });
  return end === -1 ? expressions : expressions.slice(0, end);
}

function nothing(): undefined {}

type Texts = Omit<EvaluationTask, 'expressions' | 'secrets'>;

/** Bodies as text: all triggers of a listener look at the same one. */
const bodies = new WeakMap<JsonMap, string>();

function textsOf({ body, header, extensions, requestURL }: CelInputs): Texts {
  const text = bodies.get(body) ?? JSON.stringify(body);
  bodies.set(body, text);
  return { body: text, header, extensions: JSON.stringify(extensions), requestURL };
}

/** The Secrets that are needed, each asked for once. Rejects when the signal aborts, and with what the look-up rejects with. */
async function valuesOf(
  needed: readonly SecretKey[],
  secret: SecretLookup,
  signal: AbortSignal,
): Promise<readonly SecretValue[]> {
  const distinct = new Map(needed.map((wanted) => [JSON.stringify(wanted), wanted]));
  const values = [...distinct.values()].map(async ({ name, key }) => ({ name, key, value: await secret(name, key) }));
  const found = await Promise.all(values);
  signal.throwIfAborted();
  return found;
}

function resultOf(outcome: Exclude<EvaluationOutcome, { needs: unknown }>): CelResult {
  if ('error' in outcome) return { ok: false, error: outcome.error };
  return { ok: true, value: bare(JSON.parse(outcome.json) as Json) }; // which is what it returns
}

/** The same without prototypes, as all JSON of a hook. */
function bare(json: Json): Json {
  if (typeof json !== 'object' || json === null) return json;
  if (isList(json)) return json.map(bare);
  const map: Record<string, Json> = Object.create(null);
  for (const [key, value] of Object.entries(json)) map[key] = bare(value);
  return map;
}
