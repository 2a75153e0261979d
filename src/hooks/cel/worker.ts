/** The thread in which expressions are evaluated. It may be ended at any moment, so it holds nothing that would be missed. */
import { parentPort, workerData } from 'node:worker_threads';
import type { JsonMap } from '../request.ts';
import type { CelInputs } from './engine.ts';
import { createEvaluator, readable, type SecretKey, type SecretValue } from './evaluator.ts';

/** What a worker starts with. */
export interface WorkerStart {
  /** One number that both sides see: the processor time, in microseconds, that this thread had used when it began to compute. */
  readonly began: BigInt64Array<SharedArrayBuffer>;
}

/** What `began` says while nothing is computed. */
export const NOT_BEGUN = -1n;

/** One round of expressions. Objects come as text, because that is copied faster. */
export interface WorkerTask {
  readonly expressions: readonly string[];
  readonly body: string;
  readonly header: CelInputs['header'];
  readonly extensions: string;
  readonly requestURL: string;
  readonly secrets: readonly SecretValue[];
}

/** What became of one expression; a value comes as JSON. */
export type WorkerOutcome =
  | { readonly json: string }
  | { readonly error: string }
  | { readonly needs: readonly SecretKey[] };

/** What a worker says: that it can be given a task, what became of each expression in turn, and that the task is done. */
export type WorkerWord =
  | { readonly word: 'ready' }
  | { readonly word: 'outcome'; readonly outcome: WorkerOutcome }
  | { readonly word: 'done'; readonly spentMs: number };

/** The longest value, as JSON: the main thread has to parse it. */
const LONGEST_VALUE = 1024 * 1024;

// An expression may fail for each of thousands of items, and nobody reads where in our code that was.
Error.stackTraceLimit = 0;

const evaluator = createEvaluator();

function perform(task: WorkerTask, begin: () => void, tell: (outcome: WorkerOutcome) => void): void {
  const inputs = readable({
    body: JSON.parse(task.body) as JsonMap, // which the main thread made of one
    header: task.header,
    extensions: JSON.parse(task.extensions) as JsonMap, // likewise
    requestURL: task.requestURL,
  });
  const evaluations = task.expressions.map((expression) => evaluator.prepare(expression));
  // Reading is not counted: it is bounded already, and a new worker has to read again what an old one had kept.
  begin();
  for (const evaluate of evaluations) {
    const result = evaluate(inputs, task.secrets);
    if ('needs' in result) tell(result);
    else if (!result.ok) tell({ error: result.error });
    else {
      const json = JSON.stringify(result.value);
      tell(json.length > LONGEST_VALUE ? { error: `the result is longer than ${LONGEST_VALUE} characters` } : { json });
    }
  }
}

/** Code that runs for the first time runs slowly, and nobody's expression is to be charged for that. */
function warmUp(): void {
  const task: WorkerTask = {
    expressions: [
      "header.match('X-GitHub-Event', 'push') && body.ref.matches('^refs/heads/(main|release-[0-9]+)$')",
      "has(body.commits) && body.commits.exists(c, c.files.exists(f, f.startsWith('src/'))) ? body.count + 1.0 : 0.0",
      "body.commits.filter(c, c.id != '').map(c, c.id.truncate(7)).join(', ') + body.ref.split('/')[2].replace('-', '_')",
      "'https://example.com/?a=1'.parseURL().query.a in ['1', '2'] || '{\"a\":1}'.parseJSON().a == extensions.a",
      "body.ref.translate('refs/(heads|tags)/', '') + string(body.count) + body.commits.marshalJSON()",
    ],
    body: JSON.stringify({
      ref: 'refs/heads/main',
      count: 1,
      commits: Array.from({ length: 50 }, (_, place) => ({ id: `commit-${place}`, files: ['README.md', 'docs/a.md'] })),
    }),
    header: { 'X-Github-Event': ['push'] },
    extensions: '{"a":1}',
    requestURL: '/',
    secrets: [],
  };
  for (let turn = 0; turn < 10; turn++) perform(task, nothing, nothing);
}

function nothing(): void {}

if (parentPort !== null) {
  const port = parentPort;
  const { began } = workerData as WorkerStart; // which is what the pool starts it with
  const say = (word: WorkerWord): void => port.postMessage(word);
  const usedMicroseconds = (): number => {
    const { user, system } = process.threadCpuUsage();
    return user + system;
  };
  port.on('message', (task: WorkerTask) => {
    let start = 0;
    const begin = (): void => {
      start = usedMicroseconds();
      Atomics.store(began, 0, BigInt(Math.trunc(start)));
    };
    perform(task, begin, (outcome) => say({ word: 'outcome', outcome }));
    Atomics.store(began, 0, NOT_BEGUN);
    say({ word: 'done', spentMs: (usedMicroseconds() - start) / 1000 });
  });
  warmUp();
  say({ word: 'ready' });
}
