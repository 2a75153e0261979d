/**
 * A step of a TaskRun, run as Tekton's entrypoint runs it: in its turn, with its limits, and with what it leaves for the
 * controller in the termination message. https://github.com/tektoncd/pipeline/blob/v1.15.0/cmd/entrypoint/README.md
 */
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, posix } from 'node:path';
import type { Clock } from '../../../clock.ts';
import type { Entrypoint } from '../entrypoint.ts';
import { allow } from '../tekton/when.ts';
import type { Changes } from './changes.ts';
import type { Environment } from './environment.ts';
import { type Copies, type Launched, type Stopping, when } from './launch.ts';
import { readLeft } from './leftfile.ts';
import type { LogFile } from './logfile.ts';
import type { ContainerPaths } from './mounts.ts';
import { substituteStepResults } from './stepresults.ts';

/** What running a step needs of its container. */
export interface StepParts {
  readonly paths: ContainerPaths;
  readonly log: LogFile;
  readonly clock: Clock;
  /** Rings when files that steps wait for may have appeared. */
  readonly changes: Changes;
  readonly variables: Environment;
  launch(command: readonly string[], variables: Environment, stopping: Stopping, copies: Copies): Promise<Launched>;
}

/** How the container ends. */
export interface ContainerEnd {
  readonly exitCode: number;
  readonly outOfMemory?: boolean;
  /** It never ran: the runtime's sentence about it. */
  readonly startError?: string;
}

/** One entry of the termination message. 1 is a Task's result, 3 Tekton's own, 4 a step's, 5 and 6 their artifacts. */
interface Entry {
  readonly key: string;
  readonly value: string;
  readonly type: 1 | 3 | 4 | 5 | 6;
}

/** A step's own result may be as long as what a program can be given. */
const STEP_RESULT_BYTES = 2 << 20;

const cancelFile = '/tekton/downward/cancel';
const stepsFolder = '/tekton/steps';

/** What the kubelet takes of one container's message. */
const MESSAGE_BYTES = 4096;
/** Of what goes into the message, more need not be read to know that it is too long. */
const ENOUGH_BYTES = MESSAGE_BYTES + 1;
const tooLong = 'Termination message is above max allowed size 4096, caused by large task result.';

/** Runs the step to its end; `term` and `kill` are what the container is sent. Never rejects for what the step does. */
export async function runStep(entrypoint: Entrypoint, stopping: Stopping, parts: StepParts): Promise<ContainerEnd> {
  const step = new Step(entrypoint, parts);
  const end = await step.run(stopping);
  parts.changes.ring(); // the next step waits for the files written above
  return end;
}

class Step {
  readonly #entrypoint: Entrypoint;
  readonly #parts: StepParts;

  constructor(entrypoint: Entrypoint, parts: StepParts) {
    this.#entrypoint = entrypoint;
    this.#parts = parts;
  }

  async run(stopping: Stopping): Promise<ContainerEnd> {
    const { stepMetadataDir, timeoutMs } = this.#entrypoint;
    for (const name of ['results', 'artifacts']) mkdirSync(this.#file(stepMetadataDir, name), { recursive: true });
    const turn = await this.#waitForTurn(stopping);
    if (turn === 'stopped') return stopping.kill.aborted ? killed : { exitCode: 2 }; // as Go ends by SIGTERM
    const startedAt = this.#startedAt();
    if (turn === 'skipped') {
      this.#post('failed');
      return this.#leave([startedAt, own('Reason', 'Skipped')], 1, 'Skipping step because a previous step failed');
    }
    if (timeoutMs !== undefined && timeoutMs < 0) {
      this.#post('failed');
      return this.#leave([startedAt], 1, 'Error executing command: negative timeout specified');
    }
    const { command, variables, expressions } = this.#substituted();
    try {
      if (!allow(expressions)) {
        this.#say('INFO Step was skipped due to when expressions were evaluated to false.');
        this.#post('succeeded');
        this.#exitCodeFile('0');
        return this.#leave([startedAt, own('Reason', 'Skipped')], 0);
      }
    } catch (error) {
      this.#post('failed');
      return this.#leave([startedAt], 1, `Error executing command: ${error instanceof Error ? error.message : error}`);
    }
    return this.#conclude(startedAt, await this.#execute(command, variables, stopping));
  }

  /** Until the file it waits for is there, or its neighbour that says that the step before failed. */
  async #waitForTurn({ term, kill }: Stopping): Promise<'turn' | 'skipped' | 'stopped'> {
    const { waitFile, waitFileContent } = this.#entrypoint;
    if (!waitFile) return 'turn';
    const file = this.#file(waitFile);
    const stopped = AbortSignal.any([term, kill]);
    for (;;) {
      if (stopped.aborted) return 'stopped';
      if (existsSync(file) && (!waitFileContent || statSync(file).size > 0)) return 'turn';
      if (existsSync(`${file}.err`)) return 'skipped';
      await this.#parts.changes.next(stopped);
    }
  }

  /** `$(steps.<name>.results.<name>)` in what is to be run: those results exist only now. A missing one is said, and left. */
  #substituted() {
    const { command, when: expressions = [] } = this.#entrypoint;
    const { paths, variables } = this.#parts;
    const read = (step: string, name: string) => {
      const file = paths.resolve(posix.join(stepsFolder, `step-${step}`, 'results', name));
      const value = readLeft(file, STEP_RESULT_BYTES);
      if (value === undefined) throw new Error(`ENOENT: no such file or directory, open '${file}'`);
      return value;
    };
    try {
      return substituteStepResults({ command, variables, expressions }, read);
    } catch (error) {
      this.#say(`ERROR Error while substituting step results: error=${JSON.stringify(String(error))}`);
      return { command, variables, expressions };
    }
  }

  async #execute(command: readonly string[], variables: Environment, stopping: Stopping): Promise<Outcome> {
    const { timeoutMs, stdoutPath, stderrPath } = this.#entrypoint;
    const { clock, changes } = this.#parts;
    const over = new AbortController();
    const kill = new AbortController();
    let why: 'timeout' | 'cancel' | undefined;
    const stop = (reason: 'timeout' | 'cancel') => {
      why ??= reason;
      kill.abort();
    };
    if (timeoutMs) void clock.sleep(timeoutMs, over.signal).then(() => over.signal.aborted || stop('timeout'));
    void (async () => {
      while (!over.signal.aborted) {
        const file = this.#file(cancelFile);
        if (existsSync(file) && statSync(file).size > 0) return stop('cancel');
        await changes.next(over.signal);
      }
    })();
    when(stopping.kill, over.signal, () => kill.abort());
    const launched = await this.#parts.launch(
      command,
      variables,
      { term: stopping.term, kill: kill.signal },
      { stdout: stdoutPath, stderr: stderrPath },
    );
    over.abort();
    if (stopping.kill.aborted) return { at: 'killed' };
    if (why !== undefined) return { at: why };
    return launched;
  }

  /** What is written where, and with which exit code the entrypoint ends. */
  #conclude(startedAt: Entry, outcome: Outcome): ContainerEnd {
    const { onError } = this.#entrypoint;
    switch (outcome.at) {
      case 'killed':
        return killed;
      case 'timeout':
        this.#post('failed');
        return this.#results([startedAt, own('Reason', 'TimeoutExceeded')], 1, 'context deadline exceeded');
      case 'cancel':
        this.#say('INFO Step was canceling');
        this.#post('failed');
        this.#exitCodeFile('killed');
        return this.#results([startedAt, own('Reason', 'Cancelled')], 9, 'Step was cancelled');
      case 'missing':
        this.#post('failed');
        return this.#results([startedAt], 1, `Error executing command: ${missingSentence(outcome)}`);
      case 'literal':
        return this.#ended(startedAt, 1, onError);
      case 'ended': {
        if (outcome.broke === 'memory') return { exitCode: 137, outOfMemory: true }; // the entrypoint goes with it
        if (outcome.broke !== undefined) return this.#ended(startedAt, 137, onError);
        // As Go has it: a program that a signal ended has no exit code, and -1 leaves the entrypoint as 255.
        return { ...this.#ended(startedAt, outcome.code ?? -1, onError), outOfMemory: outcome.starved };
      }
    }
  }

  #ended(startedAt: Entry, exitCode: number, onError: Entrypoint['onError']): ContainerEnd {
    if (exitCode === 0) {
      this.#post('succeeded');
      this.#exitCodeFile('0');
      return this.#results([startedAt], 0);
    }
    if (onError === 'continue') {
      this.#post('succeeded');
      this.#exitCodeFile(String(exitCode));
      return this.#results([startedAt, own('ExitCode', String(exitCode))], 0);
    }
    this.#post('failed');
    return this.#results([startedAt], exitCode & 0xff);
  }

  /** Results first, as the entrypoint writes them, then its own entries; too much of them fails the step. */
  #results(entries: readonly Entry[], exitCode: number, line?: string): ContainerEnd {
    const { results = [], stepResults = [], stepMetadataDir } = this.#entrypoint;
    const groups: Entry[][] = [
      this.#read('/tekton/results', results, 1),
      this.#read(posix.join(stepMetadataDir, 'results'), stepResults, 4),
    ];
    for (const group of groups) {
      if (group.length === 0 || this.#append(group)) continue;
      this.#say(`ERROR Error while substituting step artifacts: error=${JSON.stringify(tooLong)}`);
      return this.#leave(entries, 1, tooLong);
    }
    const artifacts = [
      ...this.#artifacts(posix.join(stepMetadataDir, 'artifacts', 'provenance.json'), 5),
      ...this.#artifacts('/tekton/artifacts/provenance.json', 6),
    ];
    return this.#leave([...entries, ...artifacts], exitCode, line);
  }

  #leave(entries: readonly Entry[], exitCode: number, line?: string): ContainerEnd {
    if (!this.#append(entries)) {
      this.#say(`Error while writing message: ${tooLong}`);
      return { exitCode: 1 };
    }
    if (line !== undefined) this.#say(line);
    return { exitCode };
  }

  /** Adds to the termination message; false when that would be too long. */
  #append(entries: readonly Entry[]): boolean {
    const file = this.#file(this.#entrypoint.terminationPath);
    const before = entriesIn(readLeft(file, ENOUGH_BYTES) ?? '');
    const message = goJson([...before, ...entries]);
    if (Buffer.byteLength(message) > MESSAGE_BYTES) return false;
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, message);
    return true;
  }

  #read(folder: string, names: readonly string[], type: 1 | 4): Entry[] {
    return names.flatMap((name) => {
      const value = readLeft(this.#file(folder, name), ENOUGH_BYTES);
      return value === undefined ? [] : [{ key: name, value, type }];
    });
  }

  #artifacts(path: string, type: 5 | 6): Entry[] {
    const value = readLeft(this.#file(path), ENOUGH_BYTES);
    return value === undefined ? [] : [{ key: path, value, type }];
  }

  #post(how: 'succeeded' | 'failed'): void {
    const { postFile } = this.#entrypoint;
    if (postFile === '') return;
    this.#write(this.#file(how === 'failed' ? `${postFile}.err` : postFile), '');
  }

  #exitCodeFile(content: string): void {
    this.#write(this.#file(this.#entrypoint.stepMetadataDir, 'exitCode'), content);
  }

  #write(file: string, content: string): void {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }

  #startedAt(): Entry {
    return own('StartedAt', new Date(this.#parts.clock.now()).toISOString());
  }

  /** A line as Go's log package writes it. */
  #say(line: string): void {
    this.#parts.log.say('stderr', goLogLine(this.#parts.clock.now(), line));
  }

  #file(...path: readonly string[]): string {
    return this.#parts.paths.resolve(posix.join(...path));
  }
}

type Outcome = Launched | { readonly at: 'timeout' | 'cancel' | 'killed' };

const killed: ContainerEnd = { exitCode: 137 };

/** `2026/11/01 10:00:00 line` */
export function goLogLine(nowMs: number, line: string): string {
  const [date = '', time = ''] = new Date(nowMs).toISOString().split('T');
  return `${date.replaceAll('-', '/')} ${time.slice(0, 8)} ${line}`;
}

function own(key: string, value: string): Entry {
  return { key, value, type: 3 };
}

/** What os/exec says of a program that is not there. */
function missingSentence({ program, why, path }: Extract<Launched, { at: 'missing' }>): string {
  return path ? `fork/exec ${program}: ${why}` : `exec: ${JSON.stringify(program)}: ${why}`;
}

function entriesIn(message: string): Entry[] {
  try {
    const entries: unknown = JSON.parse(message);
    return Array.isArray(entries) ? entries : [];
  } catch {
    return []; // whatever a step wrote there itself is replaced
  }
}

/** As Go's encoding/json writes it, which escapes what could end a script element. */
function goJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
