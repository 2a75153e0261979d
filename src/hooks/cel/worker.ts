/** What a worker runs, and nobody imports. It may be ended at any moment, so it holds nothing that would be missed. */
import { parentPort, workerData } from 'node:worker_threads';
import type { JsonMap } from '../request.ts';
import { createEvaluator, readable } from './evaluator.ts';
import { forgetCompiled } from './regex.ts';
import {
  type EvaluationTask,
  NOT_BEGUN,
  type WorkerOutcome,
  type WorkerStart,
  type WorkerTask,
  type WorkerWord,
} from './task.ts';

/** The longest value, as JSON: the main thread has to parse it. */
const LONGEST_VALUE = 1024 * 1024;

// An expression may fail for each of thousands of items, and nobody reads where in our code that was. This thread has nothing else.
Error.stackTraceLimit = 0;

const evaluator = createEvaluator();

function perform(task: WorkerTask, begin: () => void, tell: (outcome: WorkerOutcome) => void): void {
  if ('reads' in task) {
    begin();
    for (const expression of task.reads) tell({ mistake: evaluator.mistakeIn(expression) });
  } else evaluate(task, begin, tell);
}

function evaluate(task: EvaluationTask, begin: () => void, tell: (outcome: WorkerOutcome) => void): void {
  const inputs = readable({
    body: JSON.parse(task.body) as JsonMap, // which the main thread made of one
    header: task.header,
    extensions: JSON.parse(task.extensions) as JsonMap, // likewise
    requestURL: task.requestURL,
  });
  const evaluations = task.expressions.map((expression) => evaluator.prepare(expression));
  // Reading is not counted: it is bounded already, and a new worker has to read again what an old one had kept.
  begin();
  for (const evaluation of evaluations) {
    const result = evaluation(inputs, task.secrets);
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

const { began } = workerData as WorkerStart; // which is what it is started with

function say(word: WorkerWord): void {
  parentPort?.postMessage(word);
}

function usedMicroseconds(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

parentPort?.on('message', (task: WorkerTask) => {
  let start = 0;
  const begin = (): void => {
    start = usedMicroseconds();
    Atomics.store(began, 0, BigInt(Math.trunc(start)));
  };
  perform(task, begin, (outcome) => say({ word: 'outcome', outcome }));
  Atomics.store(began, 0, NOT_BEGUN);
  forgetCompiled();
  say({ word: 'done', spentMs: (usedMicroseconds() - start) / 1000 });
});
warmUp();
say({ word: 'ready' });
